"""The sample class gets the marks it must, through nbgrader, on the small assignment."""

from __future__ import annotations

import ast
import copy
import csv
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbgrader.api import Gradebook

from nlp_course.grading import classbook, commands
from nlp_course.grading.classroom import Classroom
from nlp_course.grading.course import Course, add_scripts_to_path
from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.run import threads
from nlp_course.grading.sample import SampleStudent, clear, complaints, hand_in, make_students
from nlp_course.grading.scoring import Status, StudentReport, TestResult
from tests.grading.conftest import read_marks

pytestmark = [pytest.mark.grading, pytest.mark.sandbox]
ROOT = Path(__file__).parents[2]
NAME = "90-sums"


@pytest.fixture(scope="module")
def rows(graded) -> dict[str, dict[str, str]]:
    folder, _ = graded
    return read_marks(folder / f"_build/class/reports/{NAME}.csv")


def test_each_kind_of_student_gets_its_marks(rows):
    automatic = {student: row["automatic"] for student, row in rows.items() if not row["failure"]}
    assert automatic == {
        "student-01": "6",  # the reference answers
        "student-02": "0",  # the release, untouched
        "student-03": "6",  # other right answers, one of which writes to stderr
        "student-04": "6",  # right, saved by Colab
        "student-05": "3",  # a package that is not there, in the first question
        "student-06": "3",  # an endless loop there
        "student-08": "3",  # a usual mistake in the first question
        "student-09": "3",  # and in the second
    }
    assert {rows[student]["maximum"] for student in automatic} == {"10"}


def test_a_download_cut_short_gets_no_marks_rather_than_nought(rows):
    assert rows.get("student-07", {}).get("total", "") == ""


def test_a_mistake_loses_marks_where_it_is_and_nowhere_else(rows):
    assert rows["student-09"]["q02-mean-tests"] == "0"
    assert rows["student-09"]["q01-total-hidden"] == "2"
    assert rows["student-08"]["q02-mean-tests"] == "3"


def test_a_written_answer_waits_for_a_person_and_an_untouched_one_does_not(rows):
    assert rows["student-01"]["waiting"] == "4"
    assert rows["student-01"]["q03-derivation"] == ""
    assert rows["student-02"]["waiting"] == "0"
    assert rows["student-02"]["q03-derivation"] == "0"


def test_what_happened_is_said(rows, graded):
    folder, printed = graded
    assert "to review: student-07/90-sums.ipynb: the file breaks off before q02-mean" in printed
    with (folder / f"_build/class/received/{NAME}/review.csv").open(newline="") as file:
        (review,) = csv.DictReader(file)
    assert "the file breaks off before q02-mean" in review["sentence"]
    assert (rows["student-01"]["repairs"], rows["student-01"]["warnings"]) == ("", "")
    assert "student-09      3  10        4  lost points on q02-mean-tests" in printed
    page = (folder / f"_build/class/reports/{NAME}.html").read_text()
    assert "the file breaks off before q02-mean" in page


def test_an_endless_loop_is_named_where_it_is(graded):
    folder, _ = graded
    path = folder / f"_build/class/autograded/student-06/{NAME}/{NAME}.ipynb"
    cells = {cell.id: cell for cell in nbformat.read(path, 4).cells}
    (output,) = cells["q01-total"].outputs
    assert output.output_type == "error"
    assert re.search("5 seconds", output.evalue)
    assert cells["q02-mean-tests"].outputs == []


def test_the_addresses_printed_are_there(graded):
    _, printed = graded
    lines = [line.split() for line in printed.splitlines()]
    addresses = {line[0]: line[-1] for line in lines if len(line) > 1 and "/" in line[-1]}
    assert {"Marks", "Gradebook", "Log", "Feedback"} <= {*addresses}
    assert re.fullmatch(r"sqlite:///(.+\.db)\?timeout=60", addresses["Gradebook"])
    addresses["Gradebook"] = addresses["Gradebook"][len("sqlite:///") : -len("?timeout=60")]
    assert [line for line in printed.splitlines() if line.startswith("Class page  /")]
    assert all(Path(address).exists() for address in addresses.values())


# Who waits for a person is said whenever something leaves the house.
BROKEN_OFF = (
    f"to review: student-07/{NAME}.ipynb: the file breaks off before q02-mean, q03-derivation; "
    "ask for the whole file\n"
)


def test_feedback_comes_as_an_archive_too(graded, run_grading):
    folder, _ = graded
    done = run_grading(folder, "nlp-course", "feedback", NAME)
    path = folder / f"_build/class/reports/{NAME}-feedback-plain.zip"
    assert done.stdout == f"{BROKEN_OFF}Feedback    {path}\n"
    with zipfile.ZipFile(path) as archive:
        pages = {name: archive.read(name) for name in archive.namelist()}
    written = folder / "_build/class/feedback"
    students = [f"student-0{number}" for number in (1, 2, 3, 4, 5, 6, 8, 9)]
    assert pages == {
        f"{student}/{NAME}.html": (written / student / NAME / f"{NAME}.html").read_bytes()
        for student in students
    }


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("feedback", "is not a name that Moodle gives a file"),
        ("export", "Moodle finds students by their addresses, from the roster"),
    ],
)
def test_moodle_cannot_be_told_without_what_it_finds_people_by(
    graded, run_grading, command: str, said: str
):
    folder, _ = graded
    done = run_grading(folder, "nlp-course", command, NAME, "--format", "moodle")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_marks_as_platforms_import_them(graded, run_grading):
    folder, _ = graded
    done = run_grading(folder, "nlp-course", "export", NAME)
    path = folder / f"_build/class/reports/{NAME}-plain.csv"
    assert done.stdout == f"{BROKEN_OFF}Marks       {path}\n"
    assert read_marks(path) == read_marks(folder / f"_build/class/reports/{NAME}.csv")
    out = folder / "_build/canvas.csv"
    done = run_grading(
        folder,
        "nlp-course",
        "export",
        NAME,
        "--format",
        "canvas",
        "--unfinished",
        "--out",
        str(out),
    )
    assert done.returncode == 0, done.stderr
    head, _, first = out.read_text(encoding="utf-8-sig").splitlines()[:3]
    assert head.endswith(",90 Sums")
    assert first.startswith("student-01,")
    assert first.endswith(",6")


def test_the_course_folder_holds_no_gradebook(graded):
    folder, _ = graded
    names = {path.name for path in folder.iterdir()} - {"__pycache__"}
    assert names == {"_build", "_config.yml", "nbgrader_config.py", "solutions"}


def test_feedback_shows_the_marks_and_hides_the_hidden_tests(graded):
    folder, _ = graded
    pages = {
        path.parts[-3]: path.read_text(encoding="utf-8")
        for path in (folder / "_build/class/feedback").glob(f"*/{NAME}/{NAME}.html")
    }
    assert sorted(pages) == [f"student-0{number}" for number in (1, 2, 3, 4, 5, 6, 8, 9)]
    for page in pages.values():
        assert "3.0]) == 7.0" not in page
        assert "the mean of nothing is None" not in page
        assert "BEGIN HIDDEN TESTS" not in page
    assert "A test of this question failed: ZeroDivisionError" in pages["student-09"]
    assert "Hint: What is left of nothing, divided?" in pages["student-09"]
    assert "Hint:" not in pages["student-01"]
    assert "(Score: 6.0 / 10.0, 4 of them not marked yet)" in pages["student-01"]
    assert pages["student-01"].count("not marked yet, of 4 points") == 2
    assert "not marked yet" not in pages["student-02"]  # nothing was written


def test_feedback_asks_no_other_host(graded):
    folder, _ = graded
    pages = list((folder / "_build/class/feedback").glob("*/*/*.html"))
    assert len(pages) == 8
    for path in pages:
        assert re.findall(r"<script|<link|<iframe|@import", path.read_text()) == []
        assert re.findall(r"(?:src=|url\()[\"']?\s*(?:https?:)?//", path.read_text()) == []


def auto_scores(folder: Path, student: str) -> dict[str, float | None]:
    with Gradebook(f"sqlite:///{folder}/_build/class/gradebook.db") as book:
        (notebook,) = book.find_submission(NAME, student).notebooks
        return {grade.name: grade.auto_score for grade in notebook.grades}


@pytest.mark.slow
def test_nbgrader_itself_works_on_the_sample(graded, run_grading):
    """nbgrader's own commands, with nothing but their own names, give the same marks."""
    folder, _ = graded
    students = [f"student-0{number}" for number in (1, 2, 3, 4, 5, 8, 9)]
    before = {student: auto_scores(folder, student) for student in students}
    assert before["student-09"]["q02-mean-tests"] == 0
    with Gradebook(f"sqlite:///{folder}/_build/class/gradebook.db") as book:
        for student in students:
            for grade in book.find_submission(NAME, student).notebooks[0].grades:
                grade.auto_score = None
        book.db.commit()
    for arguments in (
        *(["autograde", NAME, "--student", student, "--force"] for student in students),
        ["generate_feedback", NAME, "--student", "student-09", "--force"],
        ["export", "--to", str(folder / "_build/all.csv")],
        ["generate_assignment", NAME, "--no-db", "--force"],
    ):
        done = run_grading(folder, "nbgrader", *arguments)
        assert done.returncode == 0, done.stderr
    assert {student: auto_scores(folder, student) for student in students} == before
    assert "student-09" in (folder / "_build/all.csv").read_text()
    page = (folder / f"_build/class/feedback/student-09/{NAME}/{NAME}.html").read_text()
    assert "the mean of nothing is None" not in page
    done = run_grading(folder, "nbgrader", "validate", f"assignments/{NAME}/{NAME}.ipynb")
    assert "VALIDATION FAILED ON 3 CELL(S)" in done.stdout


@pytest.mark.slow
def test_odd_submissions_are_graded_or_named_and_stop_no_other(course: Course, tmp_path: Path):
    classroom = Classroom(course, NAME, tmp_path / "class")
    classroom.open()
    sample = make_students(classroom)
    right, untouched = sample["student-01"], sample["student-02"]
    without_tests = nbformat.reads(right.text, 4)
    without_tests.cells = [c for c in without_tests.cells if c.id != "q01-total-hidden"]
    cheat = nbformat.reads(untouched.text, 4)
    for cell in cheat.cells:
        if cell.id.endswith(("-tests", "-hidden")):
            cell.source, cell.metadata.nbgrader.points = "pass", 100
    script = nbformat.reads(right.text, 4)
    own = {cell.id: cell for cell in script.cells}
    own["q03-derivation"].source += "\n\n<script>alert('written')</script>"
    own["set-up"].source += (
        "\nfrom IPython.display import HTML, SVG, Markdown, display"
        "\ndisplay(SVG('<svg><image href=\"https://localhost/a\"/><script>alert(1)</script></svg>'))"
        "\ndisplay(Markdown('![](https://localhost/b)'))"
        "\ndisplay({'image/png': '\"><img src=\"https://localhost/c'}, raw=True)"
        "\nHTML('<script>alert(1)</script><img src=\"https://localhost/d\">')"
    )
    raw = "<script>alert(2)</script><img src='https://localhost/e'>"
    script.cells.append(nbformat.v4.new_raw_cell(raw, metadata={"raw_mimetype": "text/html"}))
    twice = nbformat.reads(right.text, 4)
    twice.cells.append(copy.deepcopy(twice.cells[4]))
    texts = {
        "student-01": "",
        "student-02": nbformat.writes(without_tests),
        "student-03": nbformat.writes(cheat),
        "student-04": nbformat.writes(script),
        "student-05": nbformat.writes(twice),
    }
    handed_in = hand_in(
        classroom, {name: dataclasses.replace(right, text=text) for name, text in texts.items()}
    )
    collection = classroom.collect(handed_in)
    assert [review.student for review in collection.reviews] == ["student-01"]
    with threads(2) as executor:
        graded = classroom.grade(executor)
    assert [(one.student, one.failure) for one in graded] == [
        (f"student-0{number}", None) for number in (2, 3, 4, 5)
    ]
    reports = {report.student: report for report in classbook.student_reports(classroom)}
    points = {name: sum(test.points for test in one.tests) for name, one in reports.items()}
    maximum = {sum(test.maximum for test in one.tests) for one in reports.values()}
    assert points == {"student-02": 6, "student-03": 0, "student-04": 6, "student-05": 6}
    assert maximum == {6}
    assert "q01-total-hidden was missing, and is restored" in reports["student-02"].repairs
    assert "q02-mean-tests was edited, and is restored" in reports["student-03"].repairs
    assert {*classroom.feedback([*reports])} == {*reports}
    page = (classroom.folder / "feedback/student-04" / NAME / f"{NAME}.html").read_text()
    assert "<script>alert" not in page
    pictures = BeautifulSoup(page, "html.parser").select("img, image, script, iframe, link")
    # The drawing, held by the page itself; the PNG that is none was never taken. What the raw cell
    # asks of another host is left without its address.
    assert [picture.get("src", "")[:11] for picture in pictures] == ["data:image/", ""]


def test_the_sample_is_the_same_each_time(course: Course, tmp_path: Path):
    classroom = Classroom(course, NAME, tmp_path / "class")
    classroom.open()
    assert make_students(classroom) == make_students(classroom)


def test_an_answer_to_no_question_is_refused(course: Course, tmp_path: Path):
    path = course.source(NAME).parent / "mutants.py"
    path.write_text(path.read_text().replace('"q02-mean"', '"q02-median"', 1))
    classroom = Classroom(course, NAME, tmp_path / "class")
    classroom.open()
    with pytest.raises(GradingError, match=r"names no question: \['q02-median'\]"):
        make_students(classroom)


def test_colab_saves_no_cell_ids_and_another_kernel(graded):
    folder, _ = graded
    path = folder / f"_build/class/handed-in/student-04/Copy of {NAME}.ipynb"
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 0)
    assert notebook.metadata.kernelspec.display_name == "Python 3"
    assert all("id" not in cell and "id" in cell.metadata for cell in notebook.cells)
    (kept,) = (folder / f"_build/class/received/{NAME}/student-04").glob("*.ipynb")
    assert kept.read_bytes() == path.read_bytes()


FULL = {"q1-tests": 1.0, "q1-hidden": 2.0, "q2-tests": 3.0}
EMPTY = dict.fromkeys(FULL, 0.0)
FIRST_LOST = {**FULL, "q1-hidden": 0.0}


def report(student: str, points: dict[str, float] | None) -> StudentReport:
    """A report in which tests gave these points; None: the submission was not graded."""
    return StudentReport(
        student,
        tests=tuple(
            TestResult(name, name[:2], Status.PASSED, got, FULL[name])
            for name, got in (points or {}).items()
        ),
        failure="broken" if points is None else None,
    )


@pytest.mark.parametrize(
    ("gets", "tests", "complaint"),
    [
        ("all", FULL, None),
        ("all", FIRST_LOST, "must lose marks on nothing, lost them on q1"),
        ("nothing", EMPTY, None),
        ("nothing", FIRST_LOST, "must get 0, got 4"),
        ("all but one", FIRST_LOST, None),
        ("all but one", FULL, "must lose marks on q1, lost them on nothing"),
        ("all but one", EMPTY, "must lose marks on q1, lost them on q1 and q2"),
        ("all but one", None, "was not graded"),
        ("not graded", None, None),
        ("not graded", EMPTY, "was graded, and could not be"),
    ],
)
def test_other_marks_than_expected_are_complained_of(gets, tests, complaint):
    question = "q1" if gets == "all but one" else ""
    student = SampleStudent("any", "any.ipynb", "", gets, question)
    assert student.complaint(report("student-01", tests)) == complaint


def test_who_is_missing_from_the_reports_is_complained_of_unless_it_must_be():
    students = {
        "student-01": SampleStudent("any", "any.ipynb", "", "all"),
        "student-02": SampleStudent("any", "any.ipynb", "", "not graded"),
        "student-03": SampleStudent("any", "any.ipynb", "", "all"),
    }
    assert complaints(students, [report("student-03", FULL)]) == {"student-01": "was not graded"}


def test_wrong_marks_end_in_an_error(course: Course, monkeypatch: pytest.MonkeyPatch, capsys):
    def all_full(classroom: Classroom) -> list[StudentReport]:
        return [report(student, FULL) for student in classroom.students()]

    monkeypatch.setattr(Classroom, "grade", lambda *_: [])
    monkeypatch.setattr(Classroom, "feedback", lambda *_: {})
    monkeypatch.setattr(classbook, "student_reports", all_full)
    with pytest.raises(GradingError, match="5 of 9 got other marks than they must"):
        commands.sample(NAME, course.root / "class", course.root)
    said = "WRONG       student-02, the release, untouched: must get 0, got 6"
    assert said in capsys.readouterr().out


def test_only_a_sample_class_is_cleared(tmp_path: Path):
    clear(tmp_path / "class")
    (tmp_path / "class" / "more.txt").write_text("")
    clear(tmp_path / "class")
    assert [path.name for path in (tmp_path / "class").iterdir()] == ["ABOUT.txt"]
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(GradingError, match="holds something that is not a sample class"):
        clear(tmp_path)
    assert (tmp_path / "thesis.txt").exists()
    with pytest.raises(GradingError, match=r"thesis\.txt is a file; name a folder with --out"):
        clear(tmp_path / "thesis.txt")


@pytest.mark.parametrize("part", ["handed-in", f"received/{NAME}", "submitted"])
def test_a_class_with_a_person_in_it_is_not_cleared(tmp_path: Path, part: str):
    clear(tmp_path)
    for name in ("student-01", "student-123", "amal", "student-x"):
        (tmp_path / part / name).mkdir(parents=True)
    with pytest.raises(GradingError, match="no sample made, of amal, student-x;"):
        clear(tmp_path)
    assert (tmp_path / part / "amal").is_dir()


@pytest.mark.parametrize("work", ["manual_score", "extra_credit", "manual_comment"])
def test_a_class_marked_by_hand_is_not_cleared(graded, tmp_path: Path, work: str):
    shutil.copytree(graded[0] / "_build/class", tmp_path / "class")
    with Gradebook(f"sqlite:///{tmp_path}/class/gradebook.db") as book:
        find = book.find_comment if work == "manual_comment" else book.find_grade
        setattr(find("q03-derivation", NAME, NAME, "student-01"), work, 3)
        book.db.commit()
    with pytest.raises(GradingError, match="marks or comments given by hand"):
        clear(tmp_path / "class")
    assert (tmp_path / "class" / "reports" / f"{NAME}.csv").exists()


def test_a_class_that_only_tests_marked_is_cleared(graded, tmp_path: Path):
    shutil.copytree(graded[0] / "_build/class", tmp_path / "class")
    clear(tmp_path / "class")
    assert [path.name for path in (tmp_path / "class").iterdir()] == ["ABOUT.txt"]


def test_errors_at_the_command_line_have_no_traceback(course: Course, run_grading):
    done = run_grading(course.root, "nlp-course", "sample", "91-products")
    assert done.returncode == 1
    assert done.stderr.startswith("nlp-course: no assignment '91-products'")
    assert "Traceback" not in done.stderr


def test_every_assignment_is_released_if_none_is_named(course: Course, run_grading):
    done = run_grading(course.root, "nlp-course", "release")
    assert done.stdout == f"{NAME} → {course.root / 'assignments' / NAME}\n"
    course.source(NAME).unlink()
    done = run_grading(course.root, "nlp-course", "release")
    assert (done.returncode, done.stderr) == (
        1,
        f"nlp-course: {course.solutions} holds no assignment\n",
    )


@pytest.mark.parametrize("command", ["release", "grade 90-sums", "report 90-sums"])
def test_without_nbgrader_the_command_says_what_to_install(command: str, course: Course):
    program = "import sys; sys.modules['nbgrader'] = None; import nlp_course.cli as c; c.run()"
    arguments = [sys.executable, "-c", program, *command.split()]
    done = subprocess.run(arguments, cwd=course.root, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        'nbgrader is not installed. Grading needs: pip install "nlp-course[grading]"'
    )


def test_alembic_is_found_beside_this_python(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    add_scripts_to_path()
    add_scripts_to_path()
    assert os.environ["PATH"].split(os.pathsep)[1:] == ["/usr/bin"]
    assert Path(os.environ["PATH"].split(os.pathsep)[0], "alembic").exists()


def imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("nlp_course")}


def test_grading_and_the_models_do_not_import_each_other():
    """But for the command line, for where the data sets lie, which a notebook must find, and for
    what the cells call that a release adds.
    """
    package = ROOT / "nlp_course"
    for path in package.rglob("*.py"):
        own = path.is_relative_to(package / "grading")
        for name in imports(path):
            if own:
                allowed = ("nlp_course.grading", "nlp_course.data", "nlp_course.handing_in")
                assert name == "nlp_course" or name.startswith(allowed), path
            elif path.name != "cli.py":
                assert not name.startswith("nlp_course.grading"), path


@pytest.mark.slow
@pytest.mark.assignments
@pytest.mark.real_data
@pytest.mark.skipif(
    not (ROOT / "solutions/02-word2vec/mutants.py").exists(),
    reason="this copy of the course holds no solutions",
)
def test_the_sample_class_of_word2vec_gets_the_marks_it_must(tmp_path: Path, run_grading):
    done = run_grading(ROOT, "nlp-course", "sample", "--out", str(tmp_path / "class"))
    assert done.returncode == 0, done.stdout + done.stderr
