"""The commands that grade a real class: collect, grade, report, and again after a correction."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook

from nlp_course.grading.classbook import OUTDATED
from nlp_course.grading.course import Course
from nlp_course.grading.release import release
from tests.grading.conftest import read_marks

pytestmark = [pytest.mark.grading, pytest.mark.sandbox]
NAME = "90-sums"
RIGHT = {
    "q01-total": "def total(numbers):\n    return sum(numbers)",
    "q02-mean": "def mean(numbers):\n    return sum(numbers) / len(numbers) if numbers else None",
    "q03-derivation": "The derivative is nought at the mean.",
}


@pytest.fixture
def hand_in(course: Course):
    """Puts the release with these answers into a student's folder of what was handed in."""
    given = release(course, NAME) / f"{NAME}.ipynb"

    def write(student: str, answers: dict[str, str]) -> None:
        notebook = nbformat.read(given, 4)
        for cell in notebook.cells:
            cell.source = answers.get(cell.id, cell.source)
        path = course.root / "export" / student / "my copy.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)

    return write


def run(run_grading, course: Course, command: str, *arguments: str) -> str:
    done = run_grading(course.root, "nlp-course", command, NAME, *arguments, "--class", "autumn")
    assert done.returncode == 0, done.stderr
    return done.stdout


def grade(run_grading, course: Course) -> tuple[str, dict[str, dict[str, str]]]:
    printed = run(run_grading, course, "grade")
    return printed, read_marks(course.root / f"autumn/reports/{NAME}.csv")


def test_a_class_is_graded_and_what_a_person_gave_stays(run_grading, course: Course, hand_in):
    settings = course.source(NAME).with_name("assignment.toml")
    settings.write_text('ruled_out = ["os"]\n' + settings.read_text())
    hand_in("student-01", RIGHT)
    hand_in("student-02", {**RIGHT, "q01-total": "import os\nos._exit(0)"})
    (course.root / "export/.ipynb_checkpoints").mkdir()
    (course.root / "export/notes.txt").write_text("no student")
    collected = run(run_grading, course, "collect", "export")
    assert "2 taken in, 1 to review" in collected
    assert "to review: notes.txt" in collected
    printed, rows = grade(run_grading, course)
    # What ends Python costs the answer that does so, and no other.
    assert {name: row["automatic"] for name, row in rows.items()} == {
        "student-01": "6",
        "student-02": "3",
    }
    assert "2 graded, 0 not" in printed
    class_page = (course.root / f"autumn/reports/{NAME}.html").read_text()
    assert "q01-total uses os, which the text rules out" in class_page
    assert rows["student-02"]["q02-mean-tests"] == "3"
    assert {row["waiting"] for row in rows.values()} == {"4"}
    notebook = nbformat.read(course.root / f"autumn/autograded/student-02/{NAME}/{NAME}.ipynb", 4)
    (output,) = next(cell for cell in notebook.cells if cell.id == "q01-total").outputs
    assert "ended Python itself" in output.evalue
    run(run_grading, course, "feedback")
    page = course.root / "autumn/feedback/student-01" / NAME / f"{NAME}.html"
    assert "not marked yet, of 4 points" in page.read_text()
    assert (course.root / "autumn/feedback/student-02" / NAME / f"{NAME}.html").is_file()

    with Gradebook(f"sqlite:///{course.root}/autumn/gradebook.db") as book:
        book.find_grade("q03-derivation", NAME, NAME, "student-01").manual_score = 3
        book.db.commit()
    _, rows = grade(run_grading, course)
    first = rows["student-01"]
    assert (first["total"], first["automatic"], first["by_hand"], first["waiting"]) == (
        *("9", "6", "3"),
        "0",
    )
    run(run_grading, course, "feedback")
    assert "Score: 3.0 / 4.0" in page.read_text()
    assert "not marked yet" not in page.read_text()


def test_marks_given_by_hand_are_in_the_next_report_without_grading(
    run_grading, course: Course, hand_in
):
    hand_in("student-01", RIGHT)
    run(run_grading, course, "collect", "export")
    grade(run_grading, course)
    with Gradebook(f"sqlite:///{course.root}/autumn/gradebook.db") as book:
        book.find_grade("q03-derivation", NAME, NAME, "student-01").manual_score = 2.5
        book.find_grade("q01-total-tests", NAME, NAME, "student-01").manual_score = 1
        book.db.commit()
    run(run_grading, course, "report")
    assert read_marks(course.root / f"autumn/reports/{NAME}.csv")["student-01"]["total"] == "8.5"
    page = (course.root / f"autumn/reports/{NAME}.html").read_text()
    assert "q01-total-tests was marked by hand: 1, where the tests gave 1" in page
    assert "q03-derivation was marked by hand" not in page


def test_a_report_says_whose_marks_are_of_a_notebook_before_the_last(
    run_grading, course: Course, hand_in
):
    hand_in("student-01", {})
    hand_in("student-02", RIGHT)
    run(run_grading, course, "collect", "export")
    _, rows = grade(run_grading, course)
    assert {row["warnings"] for row in rows.values()} == {""}
    hand_in("student-01", RIGHT)
    run(run_grading, course, "collect", "export")
    run(run_grading, course, "report")
    rows = read_marks(course.root / f"autumn/reports/{NAME}.csv")
    assert (rows["student-01"]["total"], rows["student-01"]["warnings"]) == ("0", OUTDATED)
    assert rows["student-02"]["warnings"] == ""
    outdated = f"outdated: student-01: {OUTDATED}\n"
    assert outdated in run(run_grading, course, "export")
    assert outdated in run(run_grading, course, "feedback")
    _, rows = grade(run_grading, course)
    assert (rows["student-01"]["total"], rows["student-01"]["warnings"]) == ("6", "")


def give(course: Course, points: float) -> None:
    """Save a mark by hand, as the formgrader does."""
    with Gradebook(f"sqlite:///{course.root}/autumn/gradebook.db") as book:
        grade = book.find_grade("q03-derivation", NAME, NAME, "student-01")
        grade.manual_score, grade.needs_manual_grade = points, False
        book.db.commit()


def test_a_mark_given_by_hand_to_an_earlier_text_is_named_till_it_is_saved_again(
    run_grading, course: Course, hand_in
):
    keeps = (
        "q03-derivation keeps the 3 points that were given by hand to an earlier text: look at it "
        "in the formgrader, and save its points again"
    )
    hand_in("student-01", RIGHT)
    run(run_grading, course, "collect", "export")
    grade(run_grading, course)
    give(course, 3)
    _, rows = grade(run_grading, course)
    assert rows["student-01"]["warnings"] == ""  # nbgrader asks for the mark anew, but in vain
    hand_in("student-01", {**RIGHT, "q03-derivation": "It is nought nowhere."})
    run(run_grading, course, "collect", "export")
    for _ in range(2):
        _, rows = grade(run_grading, course)
        assert (rows["student-01"]["by_hand"], rows["student-01"]["warnings"]) == ("3", keeps)
    give(course, 3)
    run(run_grading, course, "report")
    rows = read_marks(course.root / f"autumn/reports/{NAME}.csv")
    assert rows["student-01"]["warnings"] == ""
    _, rows = grade(run_grading, course)
    assert (rows["student-01"]["by_hand"], rows["student-01"]["warnings"]) == ("3", "")


def test_only_those_named_are_graded(run_grading, course: Course, hand_in):
    for student in ("student-01", "student-02"):
        hand_in(student, RIGHT)
    run(run_grading, course, "collect", "export")
    assert "1 graded, 0 not" in run(run_grading, course, "grade", "student-02")
    rows = read_marks(course.root / f"autumn/reports/{NAME}.csv")
    assert (rows["student-01"]["total"], rows["student-02"]["total"]) == ("", "6")
    assert rows["student-01"]["failure"] == "it has not been graded yet"


def test_whoever_has_handed_in_nothing_is_named_before_anything_is_graded(
    run_grading, course: Course, hand_in
):
    hand_in("student-01", RIGHT)
    run(run_grading, course, "collect", "export")
    names = ["stduent-01", "student-01"]
    done = run_grading(course.root, "nlp-course", "grade", NAME, *names, "--class", "autumn")
    assert done.returncode == 1
    assert "was taken in from stduent-01; students are named by id" in done.stderr
    assert not (course.root / "autumn/results").exists()


def test_a_real_class_is_not_collected_among_made_up_students(run_grading, course: Course, hand_in):
    hand_in("student-01", RIGHT)
    (course.root / "autumn").mkdir()
    (course.root / "autumn/ABOUT.txt").write_text("A sample class.")
    done = run_grading(course.root, "nlp-course", "collect", NAME, "export", "--class", "autumn")
    assert done.returncode == 1
    assert "holds a made-up class; name a folder for yours" in done.stderr
    assert not (course.root / "autumn/received").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["grade", NAME], "holds no submission of 90-sums; take them in first: nlp-course collect"),
        (["grade", "91-products"], "no assignment '91-products'"),
        (["report", NAME], "holds no submission of 90-sums"),
        (["feedback", NAME], "holds no submission of 90-sums"),
        (["export", NAME], "holds no submission of 90-sums"),
        (["collect", NAME, "nowhere.zip"], "nowhere.zip"),
        (["release", "91-products"], "no assignment '91-products'"),
        (["grade", NAME, "--course", "empty"], "holds no nbgrader_config.py"),
    ],
)
def test_what_is_not_there_is_named(run_grading, course: Course, arguments: list[str], said: str):
    Path(course.root, "empty").mkdir()
    place = [] if arguments[0] == "release" else ["--class", "autumn"]
    done = run_grading(course.root, "nlp-course", *arguments, *place)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
