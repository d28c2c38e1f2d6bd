"""What students get: complete, always the same, and without a word of the answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nbformat
import pytest

from nlp_course.grading.course import Course
from nlp_course.grading.leaks import leaks
from nlp_course.grading.notebooks import GradingError, NotANotebookError
from nlp_course.grading.release import differences, generate_release, release

pytestmark = pytest.mark.grading
ROOT = Path(__file__).parents[2]
NAME = "90-sums"


@pytest.fixture
def released(course: Course) -> Path:
    return release(course, NAME)


def cells(folder: Path) -> dict[str, nbformat.NotebookNode]:
    return {cell.id: cell for cell in nbformat.read(folder / f"{NAME}.ipynb", 4).cells}


def test_students_get_the_notebook_and_its_data_and_nothing_else(released: Path, course: Course):
    assert released == course.root / "assignments" / NAME
    assert {path.name for path in released.iterdir()} == {f"{NAME}.ipynb", "numbers.csv"}


def test_answers_give_way_to_words_that_say_what_to_do(released: Path):
    answer = cells(released)["q01-total"].source.splitlines()
    assert answer[0] == "def total(numbers):"
    assert answer[-1] == (
        '    raise NotImplementedError("Write your answer here, then run the tests below.")'
    )
    assert len(answer) == 3
    assert cells(released)["q03-derivation"].source == (
        "*Write your answer here, in place of this line.*"
    )


def test_hidden_tests_go_and_visible_tests_stay(released: Path):
    assert cells(released)["q01-total-hidden"].source == ""
    assert cells(released)["q02-mean-tests"].source == "assert mean([1, 3]) == 2"


def test_each_cell_keeps_what_nbgrader_must_know_of_it(released: Path):
    def marks(name: str) -> tuple:
        known = cells(released)[name].metadata.nbgrader
        return known.grade_id, known.solution, known.grade, known.locked, known.get("points")

    assert marks("q01-total") == ("q01-total", True, False, False, None)
    assert marks("q01-total-hidden") == ("q01-total-hidden", False, True, True, 2)
    assert marks("q03-derivation") == ("q03-derivation", True, True, False, 4)
    assert not cells(released)["q01-total-tests"].metadata.editable
    assert "nbgrader" not in cells(released)["set-up"].metadata


def test_outputs_are_stripped(released: Path):
    code = [cell for cell in cells(released).values() if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_two_releases_are_the_same_byte_for_byte(course: Course, released: Path, tmp_path: Path):
    fresh = generate_release(course, NAME, tmp_path / "fresh")
    assert differences(fresh, released) == []
    (released / "numbers.csv").write_text("3,2,1\n")
    (released / "left over.txt").write_text("")
    assert differences(fresh, released) == ["left over.txt", "numbers.csv"]


def test_a_release_replaces_all_of_the_old_one(course: Course, released: Path):
    (released / "left over.txt").write_text("")
    assert not (release(course, NAME) / "left over.txt").exists()


def test_a_release_that_tells_nothing_is_found_clean(course: Course, released: Path):
    assert leaks(course, NAME, released) == []


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("notes.md", "Think of result = result + number first.", "result = result + number"),
        ("data.json", json.dumps({"a": ["assert total([1.5, 2.5, 3.0]) == 7.0\n"]}), "7.0"),
        ("hint.txt", "    return sum(numbers[:-1])", "sum(numbers[:-1])"),
        ("hint.txt", "set its derivative to nought. The mean minimises the sum", None),
        ("answer.txt", "The mean minimises the sum of squares: set its derivative to nought.", ""),
        ("mutants.py", "", "is for instructors only"),
        ("notes.md", "### BEGIN HIDDEN TESTS", "BEGIN HIDDEN TESTS"),
    ],
)
def test_a_planted_secret_is_found(course: Course, released: Path, file, text, found):
    (released / file).write_text(text)
    told = leaks(course, NAME, released)
    if found is None:
        assert told == []  # other words for the same thing are not looked for
    else:
        assert told
        assert all(file in line and found in line for line in told)


@pytest.mark.parametrize("place", ["output", "metadata", "source"])
def test_a_secret_planted_in_the_notebook_is_found(course: Course, released: Path, place: str):
    path = released / f"{NAME}.ipynb"
    notebook = nbformat.read(path, 4)
    secret = "return sum(numbers) / count if count else None"
    if place == "output":
        notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text=f"{secret}\n")]
    elif place == "metadata":
        notebook.metadata["note"] = {"deep": [secret]}
    else:
        notebook.cells[0].source += f"\n{secret}"
    nbformat.write(notebook, path)
    assert any(secret in line for line in leaks(course, NAME, released))


def test_an_answer_left_outside_its_region_stops_the_release(course, released, change_source):
    """The author's own slip: what is public in the source is public in the release."""
    before = (released / f"{NAME}.ipynb").read_bytes()

    def spell_out(notebook: nbformat.NotebookNode) -> None:
        lines = notebook.cells[5].source.splitlines()
        notebook.cells[0].source += "\n" + "\n".join(line for line in lines if "###" not in line)

    change_source(spell_out)
    with pytest.raises(GradingError, match=r"not released[^$]*count = len\(numbers\)"):
        release(course, NAME)
    assert (released / f"{NAME}.ipynb").read_bytes() == before


def test_an_unknown_assignment_is_answered_with_those_there_are(course: Course):
    with pytest.raises(GradingError, match=r"no assignment '91-products'.*there are: 90-sums"):
        release(course, "91-products")


def test_the_public_copy_has_no_solutions_and_says_so(course: Course):
    shutil.rmtree(course.solutions)
    with pytest.raises(GradingError, match="public copy of the course comes without solutions"):
        course.assignments()


def test_a_folder_that_is_no_course_is_named(tmp_path: Path):
    with pytest.raises(GradingError, match=r"holds no nbgrader_config\.py"):
        Course(tmp_path / "elsewhere")


@pytest.mark.parametrize("text", ["", "not JSON", "[]", '{"cells": []}', '{"nbformat": 4}'])
def test_a_source_that_is_no_notebook_is_named(course: Course, text: str):
    course.source(NAME).write_text(text)
    with pytest.raises(NotANotebookError, match=r"90-sums\.ipynb' is not a notebook"):
        release(course, NAME)


def test_cells_without_ids_are_refused_for_they_would_change_each_time(course: Course):
    path = course.source(NAME)
    notebook = json.loads(path.read_text())
    del notebook["cells"][2]["id"]
    path.write_text(json.dumps(notebook))
    with pytest.raises(GradingError, match=r"cells \[2\] have no id"):
        release(course, NAME)


def test_an_unfinished_region_is_named_with_its_file(course: Course, change_source):
    def forget_the_end(notebook: nbformat.NotebookNode) -> None:
        notebook.cells[2].source = notebook.cells[2].source.replace("### END SOLUTION", "")

    change_source(forget_the_end)
    with pytest.raises(GradingError, match=r"90-sums\.ipynb: no end solution"):
        release(course, NAME)


def test_one_grade_id_for_two_cells_is_refused(course: Course, change_source):
    def repeat(notebook: nbformat.NotebookNode) -> None:
        notebook.cells[5].metadata.nbgrader.grade_id = "q01-total"

    change_source(repeat)
    with pytest.raises(GradingError, match=r"90-sums\.ipynb"):
        release(course, NAME)


def test_mutants_without_their_two_names_are_refused(course: Course):
    (course.source(NAME).parent / "mutants.py").write_text("MUTANTS = {}\n")
    with pytest.raises(GradingError, match="does not define ALTERNATIVES"):
        release(course, NAME)


def committed() -> list[str]:
    return Course(ROOT).assignments() if (ROOT / "solutions").is_dir() else []


@pytest.mark.assignments
@pytest.mark.parametrize("assignment", committed())
def test_the_committed_release_equals_a_fresh_one(assignment: str, tmp_path: Path):
    fresh = generate_release(Course(ROOT), assignment, tmp_path)
    assert differences(fresh, ROOT / "assignments" / assignment) == [], "run `make assignments`"
    assert leaks(Course(ROOT), assignment, fresh) == []


@pytest.mark.assignments
@pytest.mark.skipif(not committed(), reason="this copy of the course holds no solutions")
def test_every_committed_assignment_has_a_source():
    assert sorted(path.name for path in (ROOT / "assignments").iterdir()) == committed()
