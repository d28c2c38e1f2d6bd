"""From `solutions/` to `assignments/`: what students get, and proof that it tells no answer."""

from __future__ import annotations

import json
import logging
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode
from nbgrader.nbgraderformat import ValidationError
from nbgrader.utils import is_solution
from traitlets.config import Config

from nlp_course.grading.converters import generate
from nlp_course.grading.course import Course
from nlp_course.grading.notebooks import GradingError, read_notebook

LOG = logging.getLogger(__name__)
REGION = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)")
# A line shorter than this (`return x`) stands in many an honest place.
SHORTEST_SECRET = 12


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


def leaks(course: Course, assignment: str, published: Path) -> list[str]:
    """Where files that anyone may read tell what only instructors may know.

    Found are: a line of a solution, hidden test, marking scheme or mutant that stands in no
    public part of the instructor's notebook; a whole solution, even where its lines stand in
    public; the marks of such a region; the instructors' own files. Lines of fewer than 12
    characters are not looked for.

    Returns
    -------
    One sentence for each find; nothing where all is well.
    """
    notebook = read_notebook(course.source(assignment))
    public, secrets = _split(notebook)
    public_text = "\n".join(public)
    regions = [lines for kind, lines in secrets if kind == "SOLUTION" and lines]
    mutants = [
        line
        for answers in course.known_answers(assignment)
        for sources in answers.values()
        for source in sources.values()
        for line in _worth_hiding(source.splitlines())
    ]
    lines = {line for _, lines in secrets for line in lines} | set(mutants)
    hidden = sorted(line for line in lines if line not in public_text)

    found = []
    for path in _files(published):
        name = path.relative_to(published)
        if path.name in ("mutants.py", "assignment.toml"):
            found.append(f"{name}: is for instructors only")
        text = "\n".join(_texts(path))
        found += [f"{name}: says {match[0]!r}" for match in REGION.finditer(text)]
        found += [f"{name}: holds {line!r}" for line in hidden if line in text]
        found += [
            f"{name}: holds all of the answer that begins {lines[0]!r}"
            for lines in regions
            if all(line in text for line in lines)
        ]
    return sorted(set(found))


def _split(notebook: NotebookNode) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Public lines, and secret regions as (kind, lines)."""
    public: list[str] = []
    secrets: list[tuple[str, list[str]]] = []
    for cell in notebook.cells:
        lines = cell.source.splitlines()
        if is_solution(cell) and not REGION.search(cell.source):
            secrets.append(("SOLUTION", _worth_hiding(lines)))  # all of it is the answer
            continue
        region: list[str] | None = None
        for line in lines:
            mark = REGION.search(line)
            if mark and mark[1] == "BEGIN":
                region = []
            elif mark and region is not None:
                secrets.append((mark[2], _worth_hiding(region)))
                region = None
            else:
                (public if region is None else region).append(line)
    return public, secrets


def _worth_hiding(lines: list[str]) -> list[str]:
    return [line.strip() for line in lines if len(line.strip()) >= SHORTEST_SECRET]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _texts(path: Path) -> Iterator[str]:
    """All that a file says; of JSON every string, so that no quoting hides a line."""
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        yield from _strings(json.loads(text))
    except json.JSONDecodeError:
        yield text


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(key)
            yield from _strings(inner)
    elif isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            yield "".join(value)  # a cell's source is a list of lines
        else:
            for item in value:
                yield from _strings(item)


def _require_ids(source: Path) -> None:
    """Without ids of their own, cells would get new ones at each release."""
    read_notebook(source)
    raw = json.loads(source.read_text(encoding="utf-8"))
    if (raw["nbformat"], raw["nbformat_minor"]) < (4, 5):
        raise GradingError(f"{source} is in an old format; save it once in JupyterLab")
    without = [index for index, cell in enumerate(raw["cells"]) if "id" not in cell]
    if without:
        raise GradingError(f"{source}: cells {without} have no id; save it once in JupyterLab")
