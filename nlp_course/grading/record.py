"""nbgrader's steps that ask the gradebook about each cell, asking about all cells at once.

nbgrader 0.9.6 opens the database a dozen times for each submission, each time with empty caches,
asks for each cell by itself, and commits after each mark: a third of the time that grading takes,
and on a disk that is slow to commit most of it. What is decided stays nbgrader's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nbformat import NotebookNode
from nbgrader import api
from nbgrader.api import (
    BaseCell,
    Comment,
    Gradebook,
    GradeCell,
    MissingEntry,
    Notebook,
    SourceCell,
    SubmittedNotebook,
    TaskCell,
)
from nbgrader.preprocessors import NbGraderPreprocessor, OverwriteCells, SaveAutoGrades

Notebooks = tuple[NotebookNode, dict[str, Any]]


@contextmanager
def one_engine() -> Iterator[None]:
    """Let all that opens a gradebook meanwhile share one engine, and what that has learnt."""
    make: Callable[..., Any] = api.create_engine
    api.create_engine = functools.cache(make)
    try:
        yield
    finally:
        api.create_engine = make


def _known(rows: Mapping[str, Any], name: str) -> Any:
    if name not in rows:
        raise MissingEntry(f"No such cell: {name}")
    return rows[name]


@dataclass(frozen=True)
class _Cells:
    """Answers for a gradebook about the cells of one notebook, by their names."""

    notebook: Notebook
    sources: Mapping[str, SourceCell]
    graded: Mapping[str, GradeCell | TaskCell]

    @classmethod
    def of(cls, book: Gradebook, name: str, assignment: str) -> _Cells:
        notebook = book.find_notebook(name, assignment)
        graded = [
            *book.db.query(GradeCell).filter_by(notebook_id=notebook.id),
            *book.db.query(TaskCell).filter_by(notebook_id=notebook.id),
        ]
        return cls(
            notebook,
            {cell.name: cell for cell in notebook.source_cells},
            {cell.name: cell for cell in graded},
        )

    def find_notebook(self, *_: str) -> Notebook:
        return self.notebook

    def find_source_cell(self, name: str, *_: str) -> SourceCell:
        found: SourceCell = _known(self.sources, name)
        return found

    def find_graded_cell(self, name: str, *_: str) -> GradeCell | TaskCell:
        found: GradeCell | TaskCell = _known(self.graded, name)
        return found


class RestoreCells(OverwriteCells):
    """nbgrader's step that puts the instructor's cells back."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> Notebooks:
        """Restore a submission's cells."""
        about = resources["nbgrader"]
        self.notebook_id, self.assignment_id = about["notebook"], about["assignment"]
        with Gradebook(about["db_url"]) as book:
            self.gradebook = _Cells.of(book, self.notebook_id, self.assignment_id)
            nb, resources = NbGraderPreprocessor.preprocess(self, nb, resources)
            if self.add_missing_cells:
                nb, resources = self.add_missing_grade_cells(nb, resources)
                nb, resources = self.add_missing_task_cells(nb, resources)
        return nb, resources


class _Marks:
    """Answers for a gradebook about one submission's marks and comments; keeps its commits."""

    def __init__(self, book: Gradebook, submission: SubmittedNotebook) -> None:
        self.db = self
        # Loaded here, the cell that a mark belongs to is not asked for again.
        self._cells = book.db.query(BaseCell).filter_by(notebook_id=submission.notebook_id).all()
        self._grades = {grade.cell.name: grade for grade in submission.grades}
        self._comments = {comment.cell.name: comment for comment in submission.comments}

    def commit(self) -> None:
        """All is committed at the end."""

    def find_grade(self, name: str, *_: str) -> api.Grade:
        return _known(self._grades, name)

    def find_comment(self, name: str, *_: str) -> Comment:
        return _known(self._comments, name)


class SaveMarks(SaveAutoGrades):
    """nbgrader's step that puts marks into the gradebook: all of a submission's, or none."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> Notebooks:
        """Save a graded submission's marks."""
        about = resources["nbgrader"]
        self.notebook_id, self.assignment_id = about["notebook"], about["assignment"]
        self.student_id = about["student"]
        with Gradebook(about["db_url"]) as book:
            submission = book.find_submission_notebook(
                self.notebook_id, self.assignment_id, self.student_id
            )
            self.gradebook = _Marks(book, submission)
            nb, resources = NbGraderPreprocessor.preprocess(self, nb, resources)
            book.db.commit()
        return nb, resources
