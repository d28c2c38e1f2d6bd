"""The instructor's notebook for Colab, run with a folder in place of Drive and without a GPU."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from nlp_course.grading.course import Course
from nlp_course.grading.release import release
from tests.grading.conftest import NAME, ROOT, read_marks, write_course

pytestmark = [pytest.mark.grading, pytest.mark.sandbox, pytest.mark.slow]

NOTEBOOK = ROOT / "book" / "instructors" / "grade-on-colab.ipynb"
HANDED_IN = "lastfirst_4711_90001_90-sums.ipynb"  # as Canvas names it
RIGHT = {
    "q01-total": "def total(numbers):\n    return sum(numbers)",
    "q02-mean": "def mean(numbers):\n    return sum(numbers) / len(numbers) if numbers else None",
}


def set_parameters(notebook: NotebookNode, **parameters: object) -> None:
    """Change the first code cell as a person would: each line that gives one of these a value."""
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    for name, value in parameters.items():
        line = re.compile(rf"^{name} = .*$", re.MULTILINE)
        assert len(line.findall(cell.source)) == 1, name
        cell.source = line.sub(lambda _, new=f"{name} = {value!r}": new, cell.source)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an instructor keeps in Drive: the course, and a folder as Canvas gives it out."""
    drive = tmp_path_factory.mktemp("drive")
    course = write_course(drive / "course")
    released = release(Course(course), NAME) / f"{NAME}.ipynb"
    handed_in = nbformat.read(released, as_version=4)
    for cell in handed_in.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = RIGHT.get(name, cell.source)
    (drive / "export").mkdir()
    nbformat.write(handed_in, drive / "export" / HANDED_IN)
    shutil.copy(released, drive / "export" / HANDED_IN.replace("4711", "4712"))
    return drive


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., NotebookNode]:
    """Runs the notebook with that folder, in the present environment."""

    def run(**parameters: object) -> NotebookNode:
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        work = str(tmp_path_factory.mktemp("content"))
        usual = {"FOLDER": str(folder), "ARCHIVE": "export", "WORK": work}
        usual |= {"ASSIGNMENT": NAME, "PLATFORM": "canvas", "INSTALL": False}
        set_parameters(notebook, **{**usual, **parameters})
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=work)
        return notebook

    return run


@pytest.fixture(scope="module")
def graded(run) -> NotebookNode:
    """The notebook as it ran first."""
    return run()


def test_marks_and_feedback_come_back_to_the_folder(folder, graded):
    marks = read_marks(folder / "class" / "reports" / f"{NAME}.csv")
    assert {student: row["automatic"] for student, row in marks.items()} == {
        "lastfirst-4711": "6",
        "lastfirst-4712": "0",
    }
    reports = {path.name for path in (folder / "class" / "reports").iterdir()}
    assert {f"{NAME}.html", f"{NAME}-feedback-canvas.zip", f"{NAME}-canvas.csv"} <= reports
    assert (folder / "class" / "feedback" / "lastfirst-4711" / NAME / f"{NAME}.html").is_file()
    said = "".join(o.get("text", "") for cell in graded.cells for o in cell.get("outputs", []))
    assert "2 taken in, 0 to review" in said
    assert "2 graded, 0 not" in said


def test_a_second_run_keeps_the_secret_and_the_marks(folder, graded, run):
    secret = folder / "class" / "secret"
    before = secret.read_bytes(), read_marks(folder / "class" / "reports" / f"{NAME}.csv")
    secret.chmod(0o644)  # as Drive gives it back
    run()
    after = secret.read_bytes(), read_marks(folder / "class" / "reports" / f"{NAME}.csv")
    assert after == before


def test_a_wrong_folder_stops_it_with_what_to_change(run):
    with pytest.raises(CellExecutionError, match=r"missing\.zip is not there; change FOLDER"):
        run(ARCHIVE="missing.zip")


def test_its_cells_are_short_and_hold_no_outputs():
    cells = [c for c in nbformat.read(NOTEBOOK, as_version=4).cells if c.cell_type == "code"]
    assert all(not cell.outputs for cell in cells)
    assert all(len(cell.source.splitlines()) <= 15 for cell in cells)
