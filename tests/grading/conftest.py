"""A course with one small assignment: two questions that tests mark, one marked by hand."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from nlp_course.grading.course import Course

ROOT = Path(__file__).parents[2]
NAME = "90-sums"

TOTAL = '''def total(numbers):
    """Sum of a list of numbers; 0 for none."""
    ### BEGIN SOLUTION
    result = 0
    for number in numbers:
        result = result + number
    return result
    ### END SOLUTION'''
TOTAL_TESTS = "assert total([1, 2]) == 3, 'add all of them'"
TOTAL_HIDDEN = """### BEGIN HIDDEN TESTS
assert total([]) == 0, 'nothing sums to nought'
assert total([1.5, 2.5, 3.0]) == 7.0
### END HIDDEN TESTS"""
MEAN = '''def mean(numbers):
    """Arithmetic mean; None for none."""
    ### BEGIN SOLUTION
    count = len(numbers)
    return sum(numbers) / count if count else None
    ### END SOLUTION'''
MEAN_TESTS = """assert mean([1, 3]) == 2
### BEGIN HIDDEN TESTS
assert mean([]) is None, 'the mean of nothing is None'
assert graded == '1', 'the set-up cell must know that it is graded'
### END HIDDEN TESTS"""
DERIVATION = "The mean minimises the sum of squares: set its derivative to nought."

MUTANTS = '''"""Known answers."""
MUTANTS = {
    "q01-total": {"last left out": "def total(numbers):\\n    return sum(numbers[:-1])"},
    "q02-mean": {
        "whole numbers": "def mean(numbers):\\n    return sum(numbers) // 2 if numbers else None",
        "none forgotten": "def mean(numbers):\\n    return sum(numbers) / len(numbers)",
    },
}
ALTERNATIVES = {
    "q01-total": {
        "built in, talkative": "import sys\\n\\n\\ndef total(numbers):\\n"
        "    print('adding', file=sys.stderr)\\n    return sum(numbers)"
    },
    "q02-mean": {
        "library": "import statistics\\n\\n\\ndef mean(numbers):\\n"
        "    return statistics.fmean(numbers) if numbers else None"
    },
}
'''


def _cell(
    name: str, source: str, points: float | None = None, answer: bool = False, text: bool = False
) -> NotebookNode:
    marks = {
        "grade_id": name,
        "grade": points is not None,
        "solution": answer,
        "locked": not answer,
        "task": False,
        "schema_version": 3,
    }
    if points is not None:
        marks["points"] = points
    new = new_markdown_cell if text else new_code_cell
    return new(source, id=name, metadata={"nbgrader": marks})


def source_notebook() -> NotebookNode:
    """The instructor's version, with an output that must not be released."""
    set_up = "import os\n\ngraded = os.environ.get('NLP_COURSE_GRADING')"
    cells = [
        new_markdown_cell("# Sums", id="title"),
        new_code_cell(set_up, id="set-up"),
        _cell("q01-total", TOTAL, answer=True),
        _cell("q01-total-tests", TOTAL_TESTS, points=1),
        _cell("q01-total-hidden", TOTAL_HIDDEN, points=2),
        _cell("q02-mean", MEAN, answer=True),
        _cell("q02-mean-tests", MEAN_TESTS, points=3),
        _cell("q03-derivation", DERIVATION, points=4, answer=True, text=True),
    ]
    cells[2].outputs = [nbformat.v4.new_output("stream", name="stdout", text="an old output")]
    cells[2].execution_count = 7
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def write_course(root: Path) -> Path:
    """A course's folder with this assignment, and the real settings but for a shorter time-out."""
    folder = root / "solutions" / NAME
    folder.mkdir(parents=True)
    nbformat.write(source_notebook(), folder / f"{NAME}.ipynb")
    (folder / "mutants.py").write_text(MUTANTS)
    (folder / "assignment.toml").write_text(
        'title = "Sums"\n[questions.q02-mean]\nhint = "What is left of nothing, divided?"\n'
    )
    (folder / "numbers.csv").write_text("1,2,3\n")
    for name in ("nbgrader_config.py", "_config.yml"):
        shutil.copy(ROOT / name, root)
    with (root / "nbgrader_config.py").open("a") as config:
        config.write("\nc.Execute.cell_timeout = 5\n")
    return root


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(write_course(tmp_path))


@pytest.fixture
def change_source(course: Course) -> Callable[[Callable[[NotebookNode], None]], None]:
    """Edits the instructor's notebook."""

    def change(edit: Callable[[NotebookNode], None]) -> None:
        path = course.source(NAME)
        notebook = nbformat.read(path, as_version=4)
        edit(notebook)
        nbformat.write(notebook, path)

    return change


def read_marks(path: Path) -> dict[str, dict[str, str]]:
    """A class's marks as the command writes them, a row a student."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="session")
def run_grading() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program of this environment by its full path, with a PATH that lacks the others."""

    def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).with_name(arguments[0]), *arguments[1:]],
            cwd=folder,
            env={**os.environ, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def graded(tmp_path_factory: pytest.TempPathFactory, run_grading) -> tuple[Path, str]:
    """A course whose sample class is graded, once for all tests, and what was printed."""
    folder = write_course(tmp_path_factory.mktemp("course"))
    done = run_grading(folder, "nlp-course", "sample", NAME)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout
