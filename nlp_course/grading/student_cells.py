"""The cells that every notebook for students has: set-up, self-check and hand-in.

Chapters' notebooks begin with the same set-up cell as assignments. Where it finds the package
stands in `_config.yml` alone: the address of the course and the branch of its notebooks.
"""

from __future__ import annotations

import ast
import copy
import inspect
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions, NbGraderPreprocessor
from nbgrader.utils import is_grade, is_task
from traitlets import Unicode

import nlp_course
from nlp_course.grading.notebooks import (
    GradingError,
    answer_cells,
    grade_id,
    question_of,
    tested_points,
)
from nlp_course.handing_in import Points, Row, fingerprint

PACKAGE = Path(nlp_course.__file__).parent
SET_UP, SELF_CHECK, HAND_IN = "install", "self-check", "hand-in"  # their grade ids
HIDDEN = "BEGIN HIDDEN TESTS"
NOT_RETURNED = "not-returned"  # tag of cells that feedback pages leave out

CHECK_AND_HAND_IN = """\
## Check and hand in

1. *Runtime → Restart session and run all* (in JupyterLab *Kernel → Restart Kernel and Run All \
Cells*). It stops at a test that fails: then run the cell after it and all below (*Runtime → Run \
cell and below*; in JupyterLab *Run → Run Selected Cell and All Below*), down to here.
2. The first cell runs the tests that you see once more, and says what they give, and what is \
decided after you hand in.
3. In JupyterLab and VS Code save first. Then run the second cell: it makes the file to hand \
in, and in Colab downloads it. Upload the file where your course collects assignments.

If the hour of handing in is near, hand in what you have: each question is marked by itself, and \
you can hand in again."""


def _set_up(wheel: str, needs_torch: bool) -> None:
    """Install the course's package where it is missing; NumPy and PyTorch stay as they are."""
    import importlib.util
    import os
    import subprocess
    import sys
    import time
    from importlib.metadata import distributions

    def versions() -> dict[str, str]:
        importlib.invalidate_caches()
        found = {name: [*distributions(name=name)] for name in ("numpy", "torch")}
        return {name: those[0].version for name, those in found.items() if those}

    if os.environ.get("NLP_COURSE_GRADING") == "1":
        return
    begun, before = time.monotonic(), versions()
    package = f"nlp-course[torch] @ {wheel}" if needs_torch or "torch" in before else wheel
    to_install = f'run  %pip install "{package}"  in a cell of its own, then restart the session'
    if importlib.util.find_spec("nlp_course") is None:
        what = package if "torch" in before else wheel
        keep = [f"{name}=={version}" for name, version in before.items()]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", what, *keep]
        done = subprocess.run(pip, capture_output=True, text=True)
        kept = before.items() <= versions().items()
        if done.returncode or not kept or importlib.util.find_spec("nlp_course") is None:
            print(*done.stderr.strip().splitlines()[-6:], sep="\n")
            raise RuntimeError(
                "The course's package could not be installed beside what is here; pip says why "
                "above. Is there a network? Then choose Runtime > Restart session and run this "
                f"cell again. If it fails again, ask your instructor about this address: {wheel}"
            )
    from packaging.version import Version

    import nlp_course

    now, ours, wanted = versions(), nlp_course.__version__, wheel.split("/")[-1].split("-")[1]
    line = f"nlp_course {ours}, NumPy {now['numpy']}"
    if "torch" in now:
        line += f", PyTorch {now['torch'].partition('+')[0]}"
    if needs_torch and "torch" in now:
        from torch import cuda

        line += f" on {cuda.get_device_name() if cuda.is_available() else 'CPU'}"
    print(f"Ready in {time.monotonic() - begun:.0f} s: {line}")
    if needs_torch and "torch" not in now:
        print(f"This notebook needs PyTorch, too, which is not installed: {to_install}.")
    if Version(ours) < Version(wanted):
        print(f"This notebook is of nlp_course {wanted}. To have that, {to_install}.")


def wheel_address(repository: str, branch: str) -> str:
    """Where students' notebooks get the package.

    Parameters
    ----------
    repository : the course's address
    branch : of that repository, on which the notebooks and the package are published
    """
    name = f"nlp_course-{nlp_course.__version__}-py3-none-any.whl"
    return f"{repository}/raw/{branch}/wheel/{name}"


def read_address(course: Path) -> str:
    """The same, by the `_config.yml` in a course's folder.

    Raises
    ------
    GradingError : it is not there.
    """
    path = course / "_config.yml"
    if not path.is_file():
        raise GradingError(
            f"{path} is not there; it says where students' notebooks get the package: repository "
            "(url) and sphinx, config, course_notebook_branch"
        )
    settings: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    branch = settings["sphinx"]["config"]["course_notebook_branch"]
    return wheel_address(settings["repository"]["url"], branch)


def set_up_source(wheel: str, *, torch: bool) -> str:
    """The set-up cell of a notebook.

    Parameters
    ----------
    wheel : address of the package
    torch : whether the notebook's cells need PyTorch
    """
    return (
        f"# @title Set-up: run this cell first\n{inspect.getsource(_set_up)}\n\n"
        f'_set_up(\n    "{wheel}",\n    needs_torch={torch},\n)\n'
        "del _set_up"
    )


def needs_torch(sources: Iterable[str]) -> bool:
    """Whether cells import PyTorch, or modules of the course that do.

    >>> needs_torch(["from nlp_course import text"]), needs_torch(["import nlp_course.attention"])
    (False, True)
    """
    waiting = {name for source in sources for name in _imports(source)}
    known: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name.split(".")[0] == "torch":
            return True
        path = PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py")
        if name not in known and name.startswith("nlp_course.") and path.is_file():
            waiting |= set(_imports(path.read_text(encoding="utf-8")))
        known.add(name)
    return False


def _imports(source: str) -> Iterator[str]:
    """Modules that a source imports when it runs, so not those that only its functions do."""
    try:
        waiting: list[ast.AST] = [ast.parse(source)]
    except SyntaxError:  # a magic
        return
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)


class AddStudentCells(NbGraderPreprocessor):
    """Gives a release its set-up, self-check and hand-in cells.

    It comes first of nbgrader's steps, so that the gradebook knows these cells, as locked ones
    that nothing is given for.
    """

    course = Unicode(help="folder with `_config.yml`").tag(config=True)

    def preprocess(
        self, notebook: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Add the cells."""
        released = copy.deepcopy(notebook)
        for step in (ClearSolutions(parent=self), ClearHiddenTests(parent=self)):
            released, _ = step.preprocess(released, copy.deepcopy(resources))
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        uses_torch = needs_torch(cell.source for cell in code)
        set_up = _locked(SET_UP, set_up_source(read_address(Path(self.course)), torch=uses_torch))
        first = next(k for k, cell in enumerate(notebook.cells) if cell.cell_type == "code")
        notebook.cells.insert(first, set_up)
        name = resources["nbgrader"]["notebook"]
        notebook.cells += [
            nbformat.v4.new_markdown_cell(
                CHECK_AND_HAND_IN, id="check-and-hand-in", metadata={"tags": [NOT_RETURNED]}
            ),
            _locked(SELF_CHECK, self_check_source(notebook, released)),
            _locked(HAND_IN, hand_in_source(name, released)),
        ]
        return notebook, resources


def _locked(name: str, source: str) -> NotebookNode:
    """A cell that students only run; Colab folds it."""
    marks = {"grade": False, "solution": False, "locked": True, "task": False}
    metadata = {
        "cellView": "form",
        "nbgrader": {**marks, "grade_id": name, "schema_version": 3},
        "tags": [NOT_RETURNED],
    }
    return nbformat.v4.new_code_cell(source, id=name, metadata=metadata)


def self_check_source(notebook: NotebookNode, released: NotebookNode) -> str:
    """The self-check cell, with a row a question.

    Parameters
    ----------
    notebook : the instructor's, with all points
    released : what students get of it
    """
    rows = [f"    ({json.dumps(row)[1:-1]}),\n" for row in question_rows(notebook, released)]
    return (
        "# @title Check yourself: what the tests that you see give\n"
        "import nlp_course.handing_in\n\n"
        "nlp_course.handing_in.self_check(\n"
        "    # question; points of the tests you see, of hidden tests, by hand; the test's text\n"
        f"{''.join(rows)})"
    )


def question_rows(notebook: NotebookNode, released: NotebookNode) -> Iterator[Row]:
    """The rows of the self-check: one a question, and one more for each further visible test.

    A test of which a part is hidden is tried by what is seen of it, and its points are counted
    among the hidden ones.
    """
    names = [*answer_cells(notebook)]
    points = tested_points(notebook)
    seen = {grade_id(cell): cell.source for cell in released.cells}
    whole = {grade_id(cell): HIDDEN not in cell.source for cell in notebook.cells}
    for cell in notebook.cells:
        name = grade_id(cell)
        if name is None or not (name in names or is_task(cell)):
            continue
        tests = [test for test in points if question_of(test, names) == name]
        hidden = sum(points[test] for test in tests if not whole[test])
        by_hand = cell.metadata.nbgrader.points if is_grade(cell) or is_task(cell) else 0
        shown = [test for test in tests if seen[test].strip()]
        for test in shown or [""]:
            worth = points[test] if test and whole[test] else 0
            mark = fingerprint(seen[test]) if test else ""
            yield Row(name, _plain(worth), _plain(hidden), _plain(by_hand), mark)
            hidden = by_hand = 0


def _plain(points: Points) -> Points:
    return int(points) if points == int(points) else points


def hand_in_source(name: str, released: NotebookNode) -> str:
    """The hand-in cell of an assignment.

    Parameters
    ----------
    name : of its notebook
    released : what students get
    """
    given = {one: fingerprint(cell.source) for one, cell in answer_cells(released).items()}
    lines = [f'        "{one}": "{mark}",\n' for one, mark in given.items()]
    return (
        "# @title Hand in: makes the file that you upload\n"
        "import nlp_course.handing_in\n\n"
        "nlp_course.handing_in.hand_in(\n"
        f'    "{name}",\n'
        "    {  # what stood in the answer cells\n"
        f"{''.join(lines)}    }},\n)"
    )
