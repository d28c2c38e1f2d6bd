"""From `solutions/` to `assignments/`: what students get, and proof that it tells no answer."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from pathlib import Path

from nbgrader.nbgraderformat import ValidationError
from traitlets.config import Config

from nlp_course.grading.converters import generate
from nlp_course.grading.course import Course
from nlp_course.grading.leaks import leaks
from nlp_course.grading.notebooks import GradingError, read_notebook

LOG = logging.getLogger(__name__)


def release(course: Course, assignment: str) -> Path:
    """Write the students' version of an assignment; the old one stays where this fails.

    Raises
    ------
    GradingError : there is no such assignment, its notebook is not as nbgrader needs it, a cell
        has no id, or an answer would be told.
    """
    target = course.root / "assignments" / assignment
    with tempfile.TemporaryDirectory() as folder:
        fresh = generate_release(course, assignment, Path(folder))
        told = leaks(course, assignment, fresh)
        if told:
            raise GradingError(f"{assignment} is not released: it tells\n  " + "\n  ".join(told))
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(fresh, target)
    return target


def generate_release(course: Course, assignment: str, into: Path) -> Path:
    """The students' version of an assignment, in a folder; the same bytes each time."""
    source = course.source(assignment)
    _require_ids(source)
    config = Config()
    config.merge(course.config)
    config.CourseDirectory.root = str(course.root)
    config.CourseDirectory.release_directory = str(into)
    config.GenerateAssignment.no_database = True
    config.SaveCells.enabled = False
    try:
        generate(config, assignment, LOG)
    except (RuntimeError, ValidationError) as error:  # so nbgrader says what the author must mend
        raise GradingError(f"{source}: {error}") from error
    return into / assignment


def differences(one: Path, other: Path) -> list[str]:
    """Files that are not byte for byte the same in two folders, or only in one of them."""
    names = sorted({path.relative_to(top) for top in (one, other) for path in _files(top)})
    return [
        str(name)
        for name in names
        if not (one / name).is_file()
        or not (other / name).is_file()
        or (one / name).read_bytes() != (other / name).read_bytes()
    ]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _require_ids(source: Path) -> None:
    """Without ids of their own, cells would get new ones at each release."""
    read_notebook(source)
    raw = json.loads(source.read_text(encoding="utf-8"))
    if (raw["nbformat"], raw["nbformat_minor"]) < (4, 5):
        raise GradingError(f"{source} is in an old format; save it once in JupyterLab")
    without = [index for index, cell in enumerate(raw["cells"]) if "id" not in cell]
    if without:
        raise GradingError(f"{source}: cells {without} have no id; save it once in JupyterLab")
