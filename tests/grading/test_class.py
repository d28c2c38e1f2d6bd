"""The command that grades a real class: whoever's folders lie in `received/`."""

from __future__ import annotations

import csv
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook

from nlp_course.grading.course import Course
from nlp_course.grading.release import release

pytestmark = pytest.mark.grading
NAME = "90-sums"
RIGHT = {
    "q01-total": "def total(numbers):\n    return sum(numbers)",
    "q02-mean": "def mean(numbers):\n    return sum(numbers) / len(numbers) if numbers else None",
    "q03-derivation": "The derivative is nought at the mean.",
}


@pytest.fixture
def hand_in(course: Course):
    """Puts the release with these answers into a student's folder."""
    given = release(course, NAME) / f"{NAME}.ipynb"

    def write(student: str, answers: dict[str, str]) -> None:
        notebook = nbformat.read(given, 4)
        for cell in notebook.cells:
            cell.source = answers.get(cell.id, cell.source)
        path = course.root / "autumn" / "received" / student / "my copy.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)

    return write


def grade(run_grading, course: Course) -> tuple[str, dict[str, dict[str, str]]]:
    done = run_grading(course.root, "python", "-m", "nlp_course.grading", "grade", NAME, "autumn")
    assert done.returncode == 0, done.stderr
    with (course.root / "autumn" / "marks.csv").open(newline="") as file:
        return done.stdout, {row["student"]: row for row in csv.DictReader(file)}


def test_a_class_is_graded_and_what_a_person_gave_stays(run_grading, course: Course, hand_in):
    hand_in("amal", RIGHT)
    hand_in("bo", {**RIGHT, "q01-total": "import os\nos._exit(0)"})
    (course.root / "autumn/received/.ipynb_checkpoints").mkdir()
    (course.root / "autumn/received/notes.txt").write_text("no student")
    printed, rows = grade(run_grading, course)
    assert {name: row["automatic"] for name, row in rows.items()} == {"amal": "6", "bo": ""}
    assert "my copy.ipynb" in printed
    assert "not graded: the notebook ended Python itself, with os._exit" in printed
    page = course.root / "autumn/feedback/amal" / NAME / f"{NAME}.html"
    assert "not marked yet, of 4 points" in page.read_text()
    assert not (course.root / "autumn/feedback/bo").exists()

    with Gradebook(f"sqlite:///{course.root}/autumn/gradebook.db") as book:
        book.find_grade("q03-derivation", NAME, NAME, "amal").manual_score = 3
        book.db.commit()
    _, rows = grade(run_grading, course)
    assert rows["amal"]["automatic"] == "6"
    assert "Score: 3.0 / 4.0" in page.read_text()
    assert "not marked yet" not in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([NAME, "autumn"], "autumn/received is not there; lay in it what students handed in"),
        ([NAME, "empty"], "empty/received holds no student's folder"),
        (["91-products", "empty"], "no assignment '91-products'"),
    ],
)
def test_a_class_that_is_not_there_is_named(
    run_grading, course: Course, arguments: list[str], said: str
):
    Path(course.root, "empty/received").mkdir(parents=True)
    done = run_grading(course.root, "python", "-m", "nlp_course.grading", "grade", *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
