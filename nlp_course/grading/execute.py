"""nbgrader's step that runs a submission, replaced.

`nbgrader autograde`, the formgrader's button and this course's own command all come through here,
so they give the same marks.
"""

from __future__ import annotations

import atexit
import json
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import nltk
from nbformat import NotebookNode
from nbformat.notebooknode import from_dict
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import find_all_files
from traitlets import Bool, Float, Integer, List, Unicode

from nlp_course.data.download import cache_folder, mirror_folder
from nlp_course.grading.engine import Engines, Surroundings, preloads
from nlp_course.grading.job import Job, JobCell, Outcome
from nlp_course.grading.notebooks import GradingError, grade_id, question_of
from nlp_course.grading.sandbox import Bounds
from nlp_course.grading.seeds import read_secret, student_seed

ENGINES = Engines()
atexit.register(ENGINES.close)


@dataclass(frozen=True)
class SourceCell:
    """A cell as the instructor wrote it and released it, hidden tests and all."""

    source: str
    locked: bool
    points: float | None  # of a cell that is marked


def read_sources(gradebook: str, assignment: str, notebook: str) -> dict[str, SourceCell]:
    """The instructor's cells by grade id, as nbgrader's gradebook keeps them since the release."""
    with Gradebook(gradebook) as book:
        known = book.find_notebook(notebook, assignment)
        points = {cell.name: float(cell.max_score) for cell in known.grade_cells}
        return {
            cell.name: SourceCell(cell.source, cell.locked, points.get(cell.name))
            for cell in known.source_cells
        }


def job_cells(
    notebook: NotebookNode, sources: Mapping[str, SourceCell], seed: Callable[[str], int]
) -> tuple[JobCell, ...]:
    """The code cells of a submission; only what is the instructor's to the letter is trusted.

    A test that is not there to the letter must never run as if the student had written it.

    Parameters
    ----------
    notebook : a submission in which locked cells are restored
    sources : the instructor's cells, by grade id
    seed : a student's own, of a question

    Raises
    ------
    GradingError : a test is missing.
    """
    answers = [name for name, cell in sources.items() if not cell.locked]
    cells, seen = [], set()
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        name = grade_id(cell) or ""
        known = sources.get(name)
        if name in seen or known is None or not known.locked or known.source != cell.source:
            cells.append(JobCell(index, "student", cell.source))
            continue
        seen.add(name)
        if known.points is None:
            cells.append(JobCell(index, "setup", cell.source, name))
        else:
            question = question_of(name, answers) or name
            cells.append(
                JobCell(index, "test", cell.source, name, question, known.points, seed(question))
            )
    tests = {name for name, cell in sources.items() if cell.locked and cell.points is not None}
    if missing := sorted(tests - seen):
        raise GradingError(
            f"its notebook is of another release, without {', '.join(missing)}; "
            "take it in again: nlp-course collect"
        )
    return tuple(cells)


@dataclass(frozen=True)
class Assignment:
    """What the grader knows of an assignment beside its cells.

    Parameters
    ----------
    folder : the instructor's, with `assignment.toml`; what else lies there goes beside a notebook
    withheld : modules of the course that a notebook must not find
    files : those that go beside a notebook
    ruled_out : what answers must not use by the assignment's text, and can; see `ruled_out.used`
    """

    folder: Path
    withheld: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    ruled_out: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path, ignore: Iterable[str]) -> Assignment:
        """What lies in an assignment's folder; files that match `ignore` are for instructors."""
        path = folder / "assignment.toml"
        try:
            known = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except ValueError as error:
            raise GradingError(f"{path}: {error}") from error
        files = find_all_files(str(folder), [*ignore, "*.ipynb"])
        return cls(
            folder,
            tuple(known.get("withheld", ())),
            tuple(map(Path, sorted(files))),
            tuple(known.get("ruled_out", ())),
        )

    @property
    def set_out(self) -> str:
        """Code that lays the files beside a notebook; empty where there are none."""
        if not self.files:
            return ""
        pairs = [(str(path), str(path.relative_to(self.folder))) for path in self.files]
        return (
            "import os, shutil\n"
            f"for source, target in {pairs!r}:\n"
            "    os.makedirs(os.path.dirname(target) or '.', exist_ok=True)\n"
            "    shutil.copy(source, target)\n"
            "del os, shutil, source, target"
        )


def surroundings(
    assignment: Assignment, sources: Mapping[str, SourceCell], *, bounds: Bounds, gpu: bool
) -> Surroundings:
    """What the notebooks of an assignment find around them."""
    cells = sources.values()
    tests = tuple(cell.source for cell in cells if cell.locked and cell.points is not None)
    others = tuple(cell.source for cell in cells if cell.points is None)
    preload, test_preload = preloads(others, tests)
    readable = [Path(path) for path in nltk.data.path if Path(path).is_dir()]
    environment = {"NLTK_DATA": os.pathsep.join(map(str, readable))}
    if named := mirror_folder():
        readable.append(named)
        environment["NLP_COURSE_DATA"] = str(named)
    if cache_folder().is_dir():
        readable.append(cache_folder())
        environment["XDG_CACHE_HOME"] = str(cache_folder().parent)
    return Surroundings(
        preload=preload,
        test_preload=test_preload,
        withheld=assignment.withheld,
        readable=(*assignment.files, *readable),
        environment=environment,
        bounds=bounds,
        gpu=gpu,
    )


@dataclass(frozen=True)
class Results:
    """What became of each submission, a file each, so that a grading that was killed goes on."""

    folder: Path

    def read(self, assignment: str, student: str, job: Job) -> Outcome | None:
        """The outcome of just this job; None where it is not known."""
        kept = self._load(assignment, student)
        known = kept.get("job") == job.digest
        return Outcome.from_json(kept["outcome"]) if known else None

    def write(self, assignment: str, student: str, job: Job, outcome: Outcome) -> None:
        """Keep an outcome."""
        kept = {"job": job.digest, "cells": job.to_json(), "outcome": outcome.to_json()}
        self._save(assignment, student, kept)

    def fail(self, assignment: str, student: str, why: str) -> None:
        """Keep why a submission was not graded."""
        self._save(assignment, student, {"failure": why})

    def latest(self, assignment: str, student: str) -> tuple[Job | None, Outcome | None, str]:
        """What was run last, what became of it, and why it was not graded, if it was not."""
        kept = self._load(assignment, student)
        if "outcome" not in kept:
            return None, None, kept.get("failure", "it has not been graded yet")
        return Job.from_json(kept["cells"]), Outcome.from_json(kept["outcome"]), ""

    def earlier(self, assignment: str, student: str) -> list[str]:
        """Answers whose mark a person gave to an earlier text, and has not confirmed since."""
        kept: list[str] = self._load(assignment, student).get("earlier", [])
        return kept

    def keep_earlier(self, assignment: str, student: str, names: list[str]) -> None:
        """Keep which answers those are."""
        if names != self.earlier(assignment, student):
            self._save(assignment, student, {**self._load(assignment, student), "earlier": names})

    def _path(self, assignment: str, student: str) -> Path:
        return self.folder / assignment / f"{student}.json"

    def _load(self, assignment: str, student: str) -> dict[str, Any]:
        path = self._path(assignment, student)
        try:
            kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except ValueError:  # not ours; the notebook runs again
            return {}
        return kept if isinstance(kept, dict) else {}

    def _save(self, assignment: str, student: str, kept: dict[str, Any]) -> None:
        """Write it whole, or not at all."""
        kept = {"earlier": self.earlier(assignment, student), **kept}
        path = self._path(assignment, student)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}.new")
        fresh.write_text(json.dumps(kept), encoding="utf-8")
        fresh.replace(path)


def put_in(outcome: Outcome, notebook: NotebookNode) -> None:
    """Put what became of each cell into the notebook, as if it had run there."""
    count = 0
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        known = outcome.cells.get(index)
        cell.outputs = [] if known is None else from_dict(known.outputs)
        cell.execution_count = None
        if known is not None:
            count += 1
            cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count


class Execute(NbGraderPreprocessor):
    """Runs a notebook: the student's cells in a sandbox, the instructor's tests outside it."""

    solutions = Unicode(help="folder with a folder an assignment").tag(config=True)
    ignore = List(Unicode(), help="files of these folders that no student gets").tag(config=True)
    results = Unicode(help="folder for what became of each submission").tag(config=True)
    secret = Unicode(help="file with the course's secret").tag(config=True)
    reuse = Bool(
        False, help="take what became of the same submission from there, where it is known"
    ).tag(config=True)
    cell_timeout = Float(30.0, help="seconds for one cell").tag(config=True)
    notebook_timeout = Float(300.0, help="seconds for one notebook").tag(config=True)
    output_limit = Integer(1 << 20, help="bytes of output kept of one cell").tag(config=True)
    memory = Integer(3 << 30, help="bytes of memory for one notebook").tag(config=True)
    gpu = Bool(False, help="whether notebooks may use the machine's GPUs").tag(config=True)
    trusting = Bool(
        False, help="run notebooks even where nothing keeps them from all that you may do"
    ).tag(config=True)

    def prepare(
        self,
        notebook: NotebookNode,
        about: Mapping[str, str],
        sources: Mapping[str, SourceCell],
    ) -> tuple[Job, Surroundings]:
        """What is to be run, and where.

        Parameters
        ----------
        notebook : a submission in which locked cells are restored
        about : as nbgrader says it: assignment and student
        sources : the instructor's cells, by grade id
        """
        folder = Path(self.solutions) / about["assignment"]
        assignment = Assignment.read(folder, self.ignore)
        secret = read_secret(Path(self.secret))
        seed = partial(student_seed, secret, about["student"])
        job = Job(
            job_cells(notebook, sources, seed),
            assignment.set_out,
            self.cell_timeout,
            self.notebook_timeout,
            self.output_limit,
        )
        bounds = Bounds(memory=self.memory)
        around = surroundings(assignment, sources, bounds=bounds, gpu=self.gpu)
        closed = (Path(self.secret), Path(self.solutions), Path(self.results).parent)
        return job, replace(around, closed=closed, trusting=self.trusting)

    def preprocess(
        self, notebook: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Run the notebook, or put in what became of it already."""
        about = resources["nbgrader"]
        results = Results(Path(self.results))
        sources = read_sources(about["db_url"], about["assignment"], about["notebook"])
        job, around = self.prepare(notebook, about, sources)
        known = results.read(about["assignment"], about["student"], job) if self.reuse else None
        outcome = known or ENGINES.run(job, around)
        if known is None:
            results.write(about["assignment"], about["student"], job, outcome)
        put_in(outcome, notebook)
        return notebook, resources
