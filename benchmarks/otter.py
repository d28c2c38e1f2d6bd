"""Submissions graded by Otter-Grader: the course's test cells as its tests, and its program.

Otter runs in an environment of its own, which has the packages of the notebooks.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from benchmarks import results
from nlp_course.grading.notebooks import question_of, questions, tested_points

TEST = """\
from otter.test_files import test_case

OK_FORMAT = False
name = {name!r}
points = {points}
"""
CASE = """
@test_case(points={points}, hidden={hidden})
def {function}(env):
    exec({source!r}, env)
"""


def program() -> Path | None:
    """Where `otter` is, in its environment, or None."""
    return results.peer_path("otter", "bin", "otter")


def version() -> dict[str, str]:
    """What the program says of itself; nothing where there is none."""
    found = program()
    if found is None:
        return {}
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    return {"otter-grader": said.rpartition(":")[2].strip()}


def write_tests(source: NotebookNode, folder: Path) -> None:
    """A file of tests for each question, a case for each of its test cells."""
    folder.mkdir(parents=True)
    points = tested_points(source)
    cells = {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in source.cells
        if cell.metadata.get("nbgrader", {}).get("grade_id") in points
    }
    names = questions(source)
    for question in names:
        cases = [name for name in points if question_of(name, names) == question]
        total = sum(points[name] for name in cases)
        text = TEST.format(name=question, points=[points[name] for name in cases])
        assert total > 0, f"{question}: its test cells have no points"
        for name in cases:
            text += CASE.format(
                points=points[name],
                hidden=name.endswith("-hidden"),
                function=f"test_{name.replace('-', '_')}",
                source=cells[name],
            )
        (folder / f"{question}.py").write_text(text, encoding="utf-8")


def configure(otter: Path, source: NotebookNode, folder: Path) -> Path:
    """The zip file that Otter grades an assignment by."""
    write_tests(source, folder / "tests")
    command = [otter, "generate", "-t", "tests", "-o", "autograder.zip"]
    left = ["--no-config", "--no-requirements", "--no-environment"]
    subprocess.run([*command, *left], cwd=folder, check=True, capture_output=True)
    return folder / "autograder.zip"


def write_submission(notebook: NotebookNode, points: Sequence[str], path: Path) -> None:
    """A notebook without the course's test cells: Otter's own tests are instead of them."""
    kept = [
        cell
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("grade_id") not in points
    ]
    path.parent.mkdir(parents=True)
    nbformat.write(nbformat.from_dict({**notebook, "cells": kept}), path)


def grade(otter: Path, submissions: Sequence[Path], zipped: Path, jobs: int) -> list[float]:
    """Run Otter on each, so many at a time.

    Returns
    -------
    Seconds from the beginning until each was done, in the order in which they were.
    """
    begun = time.perf_counter()
    environment = {**os.environ, "NLP_COURSE_GRADING": "1"}

    def run(path: Path) -> float:
        command = [otter, "run", path, "-a", zipped, "-o", path.parent, "--no-logo"]
        subprocess.run(command, check=True, capture_output=True, env=environment)
        return time.perf_counter() - begun

    with ThreadPoolExecutor(jobs) as pool:
        return sorted(pool.map(run, submissions))


def marks(submission: Path) -> float:
    """The points that Otter's results give."""
    found = json.loads((submission.parent / "results.json").read_text(encoding="utf-8"))
    return sum(test.get("score", 0) or 0 for test in found["tests"] if test.get("max_score"))
