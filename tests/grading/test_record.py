"""Steps that ask the gradebook once decide what nbgrader's own decide, which ask for each cell."""

from __future__ import annotations

import copy
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbgrader import api
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.preprocessors import NbGraderPreprocessor, OverwriteCells, SaveAutoGrades
from sqlalchemy import event

from nlp_course.grading.classroom import Classroom
from nlp_course.grading.course import Course
from nlp_course.grading.notebooks import grade_id, read_notebook
from nlp_course.grading.record import RestoreCells, SaveMarks, one_engine
from tests.grading.conftest import NAME, write_course

pytestmark = [
    pytest.mark.grading,
    pytest.mark.filterwarnings("ignore:Object of type"),  # nbgrader's queries, by SQLAlchemy
]
STUDENT = "student-01"
ABOUT = {"notebook": NAME, "assignment": NAME, "student": STUDENT}
QUIET = logging.getLogger("quiet")
QUIET.setLevel(logging.CRITICAL)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    root = tmp_path_factory.mktemp("course")
    made = Classroom(Course(write_course(root)), NAME, root / "class")
    made.open()
    with Gradebook(made.gradebook) as book:
        book.update_or_create_student(STUDENT)
        book.update_or_create_submission(NAME, STUDENT)
    return made


@pytest.fixture
def classroom(opened: Classroom, tmp_path: Path) -> Classroom:
    shutil.copytree(opened.folder, tmp_path / "class")
    return Classroom(opened.course, NAME, tmp_path / "class")


@pytest.fixture
def released(classroom: Classroom) -> NotebookNode:
    return read_notebook(classroom.release)


def _cell(notebook: NotebookNode, name: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if grade_id(cell) == name)


def _drop(name: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells.remove(_cell(notebook, name))


def _points(notebook: NotebookNode) -> None:
    _cell(notebook, "q01-total-tests").metadata.nbgrader.points = 100


def _unlock(notebook: NotebookNode) -> None:
    _cell(notebook, "q01-total-tests").metadata.nbgrader.locked = False


def _rewrite(notebook: NotebookNode) -> None:
    _cell(notebook, "q02-mean-tests").source = "assert True"


def _turn(notebook: NotebookNode) -> None:
    cell = _cell(notebook, "q01-total-hidden")
    cell.cell_type = "markdown"
    del cell["outputs"], cell["execution_count"]


CHANGES: dict[str, Callable[[NotebookNode], None]] = {
    "none": lambda notebook: None,
    "more points": _points,
    "unlocked": _unlock,
    "tests rewritten": _rewrite,
    "tests turned into text": _turn,
    "first tests gone": _drop("q01-total-tests"),
    "last tests gone": _drop("q02-mean-tests"),
    "text to mark gone": _drop("q03-derivation"),
}


def _run(
    step: type[NbGraderPreprocessor], notebook: NotebookNode, classroom: Classroom
) -> NotebookNode:
    about = {**ABOUT, "db_url": classroom.gradebook}
    made = step(log=QUIET, add_missing_cells=True) if step is not SaveMarks else step(log=QUIET)
    return made.preprocess(copy.deepcopy(notebook), {"nbgrader": about})[0]


@pytest.mark.parametrize("change", CHANGES)
def test_cells_are_restored_as_nbgrader_does(
    change: str, classroom: Classroom, released: NotebookNode
):
    CHANGES[change](released)
    ours, theirs = (_run(step, released, classroom) for step in (RestoreCells, OverwriteCells))
    for notebook in (ours, theirs):
        for cell in notebook.cells:
            cell.pop("id", None)  # of a cell that is added it is random
    assert ours == theirs
    if change != "none":
        before = [(grade_id(cell), cell.source, cell.metadata) for cell in released.cells]
        assert [(grade_id(cell), cell.source, cell.metadata) for cell in ours.cells] != before


def _marks(classroom: Classroom) -> list[tuple[Any, ...]]:
    with Gradebook(classroom.gradebook) as book:
        (notebook,) = book.find_submission(NAME, STUDENT).notebooks
        grades = [
            (one.name, one.auto_score, one.manual_score, one.needs_manual_grade)
            for one in notebook.grades
        ]
        return sorted(grades) + sorted((one.name, one.auto_comment) for one in notebook.comments)


def _outputs(notebook: NotebookNode) -> None:
    error = nbformat.v4.new_output("error", ename="AssertionError", evalue="", traceback=[])
    partial = nbformat.v4.new_output("execute_result", {"text/plain": "1.5"})
    _cell(notebook, "q01-total-hidden").outputs = [partial]
    _cell(notebook, "q02-mean-tests").outputs = [error]
    _cell(notebook, "q01-total").source = "def total(numbers):\n    return sum(numbers)"
    _cell(notebook, "q03-derivation").source = "Set the derivative to nought."


@pytest.mark.parametrize("manual", [None, 2.5])
@pytest.mark.parametrize("change", [lambda notebook: None, _outputs])
def test_marks_are_those_that_nbgrader_saves(
    classroom: Classroom,
    released: NotebookNode,
    change: Callable[[NotebookNode], None],
    manual: float | None,
):
    change(released)
    saved = []
    for step in (SaveMarks, SaveAutoGrades):
        with Gradebook(classroom.gradebook) as book:
            for name in ("q01-total-tests", "q03-derivation"):
                grade = book.find_grade(name, NAME, NAME, STUDENT)
                grade.auto_score, grade.manual_score, grade.needs_manual_grade = 77, manual, False
            book.db.commit()
        about = {**ABOUT, "db_url": classroom.gradebook}
        step(log=QUIET).preprocess(copy.deepcopy(released), {"nbgrader": about})
        saved.append(_marks(classroom))
    assert saved[0] == saved[1]
    assert ("q01-total-tests", 1.0, manual, manual is not None) in saved[0]


def test_marks_are_saved_together_or_not_at_all(classroom: Classroom, released: NotebookNode):
    about = {**ABOUT, "db_url": classroom.gradebook}
    SaveMarks(log=QUIET).preprocess(copy.deepcopy(released), {"nbgrader": about})
    before = _marks(classroom)
    _outputs(released)
    stranger = copy.deepcopy(_cell(released, "q02-mean-tests"))
    stranger.metadata.nbgrader.grade_id = "q09-of-my-own"
    released.cells.append(stranger)
    with pytest.raises(MissingEntry, match="q09-of-my-own"):
        SaveMarks(log=QUIET).preprocess(released, {"nbgrader": about})
    assert _marks(classroom) == before


@pytest.fixture
def commits() -> Iterator[list[object]]:
    """One entry for each commit that any database engine is asked for."""
    made: list[object] = []

    def note(connection: object) -> None:
        made.append(connection)

    event.listen(api.create_engine("sqlite://").__class__, "commit", note)
    yield made
    event.remove(api.create_engine("sqlite://").__class__, "commit", note)


def test_a_submission_is_committed_once(
    classroom: Classroom, released: NotebookNode, commits: list[object]
):
    with Gradebook(classroom.gradebook):
        opened = len(commits)
    _run(SaveMarks, released, classroom)
    assert len(commits) == 2 * opened + 1


def test_one_engine_serves_all_and_is_put_back(classroom: Classroom):
    make = api.create_engine
    with one_engine():
        books = [Gradebook(classroom.gradebook) for _ in range(2)]
        assert books[0].engine is books[1].engine
        for book in books:
            book.close()
        with Gradebook(classroom.gradebook) as book:
            assert book.find_student(STUDENT).id == STUDENT
    assert api.create_engine is make
