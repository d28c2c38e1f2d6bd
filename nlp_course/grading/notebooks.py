"""Reading notebooks, and what nbgrader's marks on their cells mean here.

A question is named by the grade id of its answer cell, `q03-softmax`; the cells that test it
carry the same name and more, `q03-softmax-tests`, `q03-softmax-hidden`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from warnings import catch_warnings, simplefilter

import nbformat
from nbformat import NotebookNode
from nbformat.warnings import MissingIDFieldWarning
from nbgrader.utils import is_grade, is_solution


class GradingError(Exception):
    """Something the person at the keyboard can put right; the message says how."""


class NotANotebookError(GradingError):
    """A file that holds no notebook."""


def read_notebook(path: Path) -> NotebookNode:
    """The notebook in a file.

    Raises
    ------
    NotANotebookError : the file is broken, cut short, or something else.
    """
    broken = f"{path.name!r} is not a notebook, or only a part of one; ask for the file again"
    try:
        with catch_warnings():
            simplefilter("ignore", MissingIDFieldWarning)  # of no matter to a reader
            # Some editors on Windows begin a file with a byte-order mark.
            notebook = nbformat.reads(path.read_text(encoding="utf-8-sig"), as_version=4)
    # nbformat says in many ways that a file is not for it.
    except (ValueError, AttributeError, KeyError, TypeError, nbformat.ValidationError) as error:
        raise NotANotebookError(f"{broken} ({type(error).__name__})") from error
    cells = notebook.get("cells", [])
    if not isinstance(notebook, NotebookNode) or not all(
        "source" in cell and isinstance(cell.get("metadata"), dict) for cell in cells
    ):
        raise NotANotebookError(broken)
    return notebook


def grade_id(cell: NotebookNode) -> str | None:
    """The name nbgrader knows a cell by; None for a cell it does not know."""
    marks = cell.metadata.get("nbgrader")
    return marks.get("grade_id") if isinstance(marks, dict) else None


def answer_cells(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """The cells students write, code and text, by grade id and in order."""
    return {
        name: cell
        for cell in notebook.cells
        if (name := grade_id(cell)) is not None and is_solution(cell)
    }


def tested_points(notebook: NotebookNode) -> dict[str, float]:
    """Points of each cell that is marked by running it, by grade id and in order."""
    return {
        name: float(cell.metadata.nbgrader.points)
        for cell in notebook.cells
        if (name := grade_id(cell)) is not None
        and is_grade(cell)
        and not is_solution(cell)
        and cell.cell_type == "code"
    }


def questions(notebook: NotebookNode) -> list[str]:
    """The questions whose answer is code that tests mark, in order."""
    names = answer_cells(notebook)
    tested = {question_of(test, names) for test in tested_points(notebook)}
    return [name for name in names if name in tested]


def question_of(test: str, names: Iterable[str]) -> str | None:
    """The question, of those named, that a test cell belongs to.

    >>> question_of("q01-sum-hidden", ["q01-sum", "q02-mean"])
    'q01-sum'
    """
    fitting = [name for name in names if test == name or test.startswith(f"{name}-")]
    return max(fitting, key=len, default=None)
