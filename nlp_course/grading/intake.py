"""What students hand in becomes what nbgrader can read.

nbgrader looks for one file name and gives 0 where it does not find it, although a download
from Colab is called `Copy of 02-word2vec.ipynb` and from a browser `02-word2vec (1).ipynb`.
Here a notebook is known by the grade ids of its cells.
"""

from __future__ import annotations

import codecs
import copy
from collections import Counter
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.utils import is_locked

from nlp_course.grading.notebooks import (
    GradingError,
    NotANotebookError,
    answer_cells,
    grade_id,
    read_notebook,
)


class IntakeError(GradingError):
    """A submission that a person must look at before it can be graded."""


def take_in(received: Path, release: Path, submitted: Path) -> list[str]:
    """Copy the one notebook in a student's folder that answers an assignment to where it belongs.

    Parameters
    ----------
    received : what the student handed in; read only
    release : the notebook the student was given
    submitted : folder for the notebook, under the release's name

    Returns
    -------
    What was, or will be, repaired, in words.

    Raises
    ------
    IntakeError : no notebook answers the assignment, more than one does, or an answer cell is
        missing or there twice.
    NotANotebookError : what there is cannot be read.
    """
    asked = read_notebook(release)
    path, notebook = _find(received, asked, release.stem)
    mended = _mend(notebook, asked)
    repairs = [*mended, *_compare(notebook, asked)]
    if path.name != release.name:
        repairs.insert(0, f"took {path.name!r} for {release.name}, by its cells")
    submitted.mkdir(parents=True, exist_ok=True)
    if mended:
        nbformat.write(notebook, submitted / release.name)
    else:
        without_mark = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        (submitted / release.name).write_bytes(without_mark)
    return repairs


def _find(received: Path, asked: NotebookNode, assignment: str) -> tuple[Path, NotebookNode]:
    """The one notebook that shares cells with the release."""
    fitting, others, unreadable = [], [], []
    for path in sorted(received.rglob("*.ipynb")):
        # Copies that Jupyter keeps in `.ipynb_checkpoints`, and macOS's `._` files in an archive.
        if any(part.startswith(".") for part in path.relative_to(received).parts):
            continue
        # Followed, a link would show the student any file the grader may read.
        if path.is_symlink():
            raise IntakeError(f"{path.name!r} is a link, not a file; ask for the notebook itself")
        try:
            notebook = read_notebook(path)
        except NotANotebookError as error:
            unreadable.append(error)
            continue
        if _named_cells(asked).keys() & _named_cells(notebook).keys() or _stripped(notebook, asked):
            fitting.append((path, notebook))
        else:
            others.append(_describe(path, notebook))
    if len(fitting) > 1:
        names = ", ".join(path.name for path, _ in fitting)
        raise IntakeError(f"more than one notebook answers {assignment}: {names}; keep one")
    if not fitting:
        if unreadable:
            raise unreadable[0]
        found = "; ".join(others) or "no .ipynb file"
        raise IntakeError(f"no notebook answers {assignment}; found {found}")
    return fitting[0]


def _describe(path: Path, notebook: NotebookNode) -> str:
    """A notebook that is not the assignment's, in words that tell which it may be."""
    names = list(_named_cells(notebook))
    if not names:
        return f"{path.name!r}, where no cell has nbgrader's metadata or a question's id"
    more = ", …" if len(names) > 3 else ""
    return f"{path.name!r}, which answers {', '.join(names[:3])}{more}"


def _stripped(notebook: NotebookNode, asked: NotebookNode) -> dict[str, NotebookNode]:
    """Cells that lost nbgrader's metadata and kept the id they had in the release, by grade id."""
    theirs = _named_cells(notebook)
    names = {
        (cell.get("id"), cell.cell_type): name
        for name, cell in _named_cells(asked).items()
        if name not in theirs and cell.get("id") is not None
    }
    return {
        names[key]: cell
        for cell in notebook.cells
        if grade_id(cell) is None and (key := (cell.get("id"), cell.cell_type)) in names
    }


def _mend(notebook: NotebookNode, asked: NotebookNode) -> list[str]:
    """Put back metadata that nbgrader needs; say what was put back."""
    repairs = []
    for cell in notebook.cells:
        # nbgrader looks into whatever stands there.
        if "nbgrader" in cell.metadata and not isinstance(cell.metadata["nbgrader"], dict):
            del cell.metadata["nbgrader"]
            repairs.append("metadata that nbgrader cannot read was taken out")
    given = _named_cells(asked)
    stripped = _stripped(notebook, asked)
    for name, cell in stripped.items():
        cell.metadata["nbgrader"] = copy.deepcopy(given[name].metadata["nbgrader"])
    if stripped:
        repairs.append(f"metadata of {', '.join(stripped)} was missing, and is restored by cell id")
    return list(dict.fromkeys(repairs))


def _compare(notebook: NotebookNode, asked: NotebookNode) -> list[str]:
    """Cells that nbgrader will restore; an error for answers it would lose or stumble over."""
    copies = Counter(grade_id(cell) for cell in notebook.cells)
    twice = [name for name in _named_cells(asked) if copies[name] > 1]
    if twice:
        raise IntakeError(f"there twice: {', '.join(twice)}; keep the cell that is the answer")
    missing = [name for name in answer_cells(asked) if not copies[name]]
    if missing:
        raise IntakeError(f"no answer cell {', '.join(missing)}; put it back from the release")
    theirs = _named_cells(notebook)
    return [
        f"{name} was {'edited' if name in theirs else 'missing'}, and is restored"
        for name, cell in _named_cells(asked).items()
        if is_locked(cell) and (name not in theirs or theirs[name].source != cell.source)
    ]


def _named_cells(notebook: NotebookNode) -> dict[str, NotebookNode]:
    return {name: cell for cell in notebook.cells if (name := grade_id(cell)) is not None}
