"""What a student has: an empty folder, the notebook, and the package from its wheel. Nothing else.

The notebooks run in an environment made for this test, so a need that pyproject.toml does not
state shows here and not first in Colab.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from nlp_course.grading import notebooks

pytestmark = [pytest.mark.assignments, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
RELEASED = sorted((ROOT / "assignments").glob("*/*.ipynb"))
RUN = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=120, allow_errors=True, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[1])
"""


@pytest.fixture(scope="module")
def student_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, what it asks for, and a kernel."""
    folder = tmp_path_factory.mktemp("student")
    # From a copy: setuptools leaves a build folder beside the sources, and would pack what an
    # earlier one left there.
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (folder / "source").mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / "source")
    shutil.copytree(ROOT / "nlp_course", folder / "source" / "nlp_course")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = ["wheel", "-q", "--no-deps", "--wheel-dir", folder / "dist", folder / "source"]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = (folder / "dist").glob("nlp_course-*.whl")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    install = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    (torch,) = (pin for pin in pins if pin.startswith("torch=="))  # Colab has it, and so may anyone
    subprocess.run([*install, wheel, torch, "nbclient", "ipykernel"], check=True)
    return python


def run(python: Path, notebook: Path, folder: Path) -> NotebookNode:
    """A copy of the notebook, run top to bottom in a folder of its own."""
    copy = folder / notebook.name
    copy.write_bytes(notebook.read_bytes())
    # As on a student's machine: neither this checkout nor the grader's variables are seen.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "NLP_COURSE_GRADING", "VIRTUAL_ENV")
    }
    environment["PATH"] = f"{python.parent}{os.pathsep}{environment['PATH']}"
    environment["JUPYTER_PREFER_ENV_PATH"] = "1"
    subprocess.run([python, "-c", RUN, copy], cwd=folder, env=environment, check=True)
    return nbformat.read(copy, as_version=4)


def errors(cell: NotebookNode) -> list[str]:
    return [
        f"{output.ename}: {output.evalue}"
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]


def test_there_are_released_assignments():
    assert RELEASED, "run `make assignments` and commit what it writes"


@pytest.mark.parametrize("notebook", RELEASED, ids=lambda path: path.stem)
def test_the_untouched_notebook_runs_and_each_question_says_what_to_do(
    student_python: Path, notebook: Path, tmp_path: Path
):
    ran = run(student_python, notebook, tmp_path)
    tested = notebooks.tested_points(notebooks.read_notebook(notebook))
    assert notebooks.questions(ran)
    for cell in ran.cells:
        name = notebooks.grade_id(cell)
        if name in tested and cell.source.strip():
            assert any("Write your answer here" in error for error in errors(cell)), (
                f"{name} must fail by the message that tells what to do, got {errors(cell)}"
            )
        else:
            assert not errors(cell), f"{name or cell.source[:60]} fails: {errors(cell)}"


def test_the_package_is_imported_from_the_wheel(student_python: Path, tmp_path: Path):
    script = (
        "import json, nlp_course, nlp_course.data as data; "
        "print(json.dumps([nlp_course.__file__, len(data.load('world').sentences)]))"
    )
    said = subprocess.run(
        [student_python, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    where, sentences = json.loads(said.stdout)
    assert "site-packages" in where
    assert str(ROOT) not in where
    assert sentences > 0
