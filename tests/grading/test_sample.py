"""The sample class gets the marks it must, through nbgrader, on the small assignment."""

from __future__ import annotations

import ast
import csv
import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbgrader.api import Gradebook

from nlp_course.grading.classroom import Classroom
from nlp_course.grading.course import Course
from nlp_course.grading.execution import add_scripts_to_path
from nlp_course.grading.marks import Marks
from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.sample import SampleStudent, clear, hand_in, make_students

pytestmark = pytest.mark.grading
ROOT = Path(__file__).parents[2]
NAME = "90-sums"


@pytest.fixture(scope="module")
def rows(graded) -> dict[str, dict[str, str]]:
    folder, _ = graded
    with (folder / "_build/class/marks.csv").open(newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def test_each_kind_of_student_gets_its_marks(rows):
    automatic = {student: row["automatic"] for student, row in rows.items()}
    assert automatic == {
        "student-01": "6",  # the reference answers
        "student-02": "0",  # the release, untouched
        "student-03": "6",  # other right answers, one of which writes to stderr
        "student-04": "6",  # right, saved by Colab
        "student-05": "3",  # a package that is not there, in the first question
        "student-06": "3",  # an endless loop there
        "student-07": "",  # a download cut short: no marks, not nought
        "student-08": "3",  # a usual mistake in the first question
        "student-09": "3",  # and in the second
    }
    assert {row["maximum"] for row in rows.values()} == {"6"}


def test_a_mistake_loses_marks_where_it_is_and_nowhere_else(rows):
    assert rows["student-09"]["q02-mean-tests"] == "0"
    assert rows["student-09"]["q01-total-hidden"] == "2"
    assert rows["student-08"]["q02-mean-tests"] == "3"


def test_a_written_answer_waits_for_a_person_and_an_untouched_one_does_not(rows):
    assert rows["student-01"]["by_hand"] == "4"
    assert rows["student-02"]["by_hand"] == "0"


def test_what_happened_is_said(rows, graded):
    _, printed = graded
    assert "is not a notebook" in rows["student-07"]["failure"]
    assert (
        rows["student-04"]["notes"] == f"took 'Copy of {NAME}.ipynb' for {NAME}.ipynb, by its cells"
    )
    assert "Timeout" in rows["student-06"]["notes"]
    assert rows["student-01"]["notes"] == ""
    assert "student-07  a download cut short" in printed
    assert "not graded: '90-sums.ipynb' is not a notebook" in printed


def test_the_addresses_printed_are_there(graded):
    _, printed = graded
    addresses = [line.split()[-1] for line in printed.splitlines() if " /" in line]
    assert len(addresses) == 4
    assert all(Path(address).exists() for address in addresses)


def test_the_course_folder_holds_no_gradebook(graded):
    folder, _ = graded
    names = {path.name for path in folder.iterdir()} - {"__pycache__"}
    assert names == {"_build", "nbgrader_config.py", "solutions"}


def test_feedback_shows_the_marks_and_hides_the_hidden_tests(graded):
    folder, _ = graded
    pages = {
        path.parts[-3]: path.read_text()
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


def auto_score(folder: Path, student: str) -> float:
    with Gradebook(f"sqlite:///{folder}/_build/class/gradebook.db") as book:
        return sum(
            g.auto_score or 0 for g in book.find_submission(NAME, student).notebooks[0].grades
        )


@pytest.mark.slow
def test_nbgrader_itself_works_on_the_sample(graded, run_grading):
    """The commands that the package's docstring names, with nothing but their own names."""
    folder, _ = graded
    for arguments in (
        ["autograde", NAME, "--student", "student-09", "--force"],
        ["generate_feedback", NAME, "--student", "student-09", "--force"],
        ["export", "--to", str(folder / "_build/all.csv")],
        ["generate_assignment", NAME, "--no-db", "--force"],
    ):
        done = run_grading(folder, "nbgrader", *arguments)
        assert done.returncode == 0, done.stderr
    assert auto_score(folder, "student-09") == 3
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
    script.cells[-1].source += "\n\n<script>alert('written')</script>"
    script.cells[1].source += (
        "\nfrom IPython.display import HTML, SVG, Markdown, display"
        "\ndisplay(SVG('<svg><image href=\"https://localhost/a\"/><script>alert(1)</script></svg>'))"
        "\ndisplay(Markdown('![](https://localhost/b)'))"
        "\ndisplay({'image/png': '\"><img src=\"https://localhost/c'}, raw=True)"
        "\nHTML('<script>alert(1)</script><img src=\"https://localhost/d\">')"
    )
    raw = "<script>alert(2)</script><img src='https://localhost/e'>"
    script.cells.append(nbformat.v4.new_raw_cell(raw, metadata={"raw_mimetype": "text/html"}))
    texts = {
        "student-01": "",
        "student-02": nbformat.writes(without_tests),
        "student-03": nbformat.writes(cheat),
        "student-04": nbformat.writes(script),
    }
    hand_in(classroom, {n: dataclasses.replace(right, text=t) for n, t in texts.items()})
    first, second, third, fourth = classroom.grade()
    assert first.failure is not None
    assert "not a notebook" in first.failure
    assert second.automatic == 6
    assert "q01-total-hidden was missing, and is restored" in second.notes
    assert third.automatic == 0
    assert "q02-mean-tests was edited, and is restored" in third.notes
    assert fourth.automatic == 6
    page = (classroom.folder / "feedback/student-04" / NAME / f"{NAME}.html").read_text()
    assert "<script>alert" not in page
    pictures = BeautifulSoup(page, "html.parser").select("img, image, script, iframe, link")
    # The drawing and the made-up PNG, each held by the page itself.
    assert [picture.get("src", "")[:11] for picture in pictures] == ["data:image/"] * 2


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
    path = folder / f"_build/class/received/student-04/Copy of {NAME}.ipynb"
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 0)
    assert notebook.metadata.kernelspec.display_name == "Python 3"
    assert all("id" not in cell and "id" in cell.metadata for cell in notebook.cells)


POINTS = {"q1-tests": 1.0, "q1-hidden": 2.0, "q2-tests": 3.0}
FULL, EMPTY = POINTS, dict.fromkeys(POINTS, 0.0)
FIRST_LOST = {**FULL, "q1-hidden": 0.0}


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
    failure = None if tests is not None else "broken"
    marks = Marks("student-01", tests, POINTS, failure=failure)
    assert student.complaint(marks, ["q1", "q2"]) == complaint


def test_wrong_marks_end_in_an_error(course: Course, monkeypatch: pytest.MonkeyPatch, capsys):
    from nlp_course.grading import __main__ as command

    def all_full(classroom: Classroom) -> list[Marks]:
        names = sorted(path.name for path in (classroom.folder / "received").iterdir())
        return [Marks(name, FULL, POINTS) for name in names]

    monkeypatch.setattr(Classroom, "grade", all_full)
    with pytest.raises(GradingError, match="got other marks than they must"):
        command.sample(NAME, course.root / "class", course.root)
    assert "WRONG, must get 0, got 6" in capsys.readouterr().out


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


@pytest.mark.parametrize("part", ["received", "submitted"])
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
    assert (tmp_path / "class" / "marks.csv").exists()


def test_a_class_that_only_tests_marked_is_cleared(graded, tmp_path: Path):
    shutil.copytree(graded[0] / "_build/class", tmp_path / "class")
    clear(tmp_path / "class")
    assert [path.name for path in (tmp_path / "class").iterdir()] == ["ABOUT.txt"]


def test_errors_at_the_command_line_have_no_traceback(course: Course, run_grading):
    done = run_grading(course.root, "python", "-m", "nlp_course.grading", "sample", "91-products")
    assert done.returncode == 1
    assert done.stderr.startswith("grading: no assignment '91-products'")
    assert "Traceback" not in done.stderr


def test_every_assignment_is_released_if_none_is_named(course: Course, run_grading):
    command = ["python", "-m", "nlp_course.grading", "release"]
    done = run_grading(course.root, *command)
    assert done.stdout == f"{NAME} → {course.root / 'assignments' / NAME}\n"
    course.source(NAME).unlink()
    done = run_grading(course.root, *command)
    assert (done.returncode, done.stderr) == (
        1,
        f"grading: {course.solutions} holds no assignment\n",
    )


def test_without_nbgrader_the_command_says_what_to_install():
    program = (
        "import runpy, sys; sys.modules['nbgrader'] = None; "
        "runpy.run_module('nlp_course.grading', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
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
    package = ROOT / "nlp_course"
    for path in package.rglob("*.py"):
        own = path.is_relative_to(package / "grading")
        for name in imports(path):
            assert name.startswith("nlp_course.grading") == own, f"{path} imports {name}"


@pytest.mark.slow
@pytest.mark.assignments
@pytest.mark.real_data
@pytest.mark.skipif(
    not (ROOT / "solutions/02-word2vec/mutants.py").exists(),
    reason="this copy of the course holds no solutions",
)
def test_the_sample_class_of_word2vec_gets_the_marks_it_must(tmp_path: Path, run_grading):
    command = ["python", "-m", "nlp_course.grading", "sample", "--out", str(tmp_path / "class")]
    done = run_grading(ROOT, *command)
    assert done.returncode == 0, done.stdout + done.stderr
