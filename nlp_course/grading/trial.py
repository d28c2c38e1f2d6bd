"""Tries answers to an assignment's questions, each as it would run in a submission.

A question is tried with nothing but the set-up cells and its own cells, so what an answer gets
depends on no other answer.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from nbformat import NotebookNode
from nbgrader.utils import is_grade

from nlp_course.grading.course import Answers, Course
from nlp_course.grading.engine import Engine, imports
from nlp_course.grading.execute import Assignment, SourceCell, job_cells, surroundings
from nlp_course.grading.job import CellOutcome, Job, JobCell, Outcome
from nlp_course.grading.notebooks import (
    GradingError,
    answer_cells,
    grade_id,
    question_of,
    questions,
    read_notebook,
    tested_points,
)
from nlp_course.grading.sandbox import Bounds
from nlp_course.grading.scoring import Status
from nlp_course.grading.spoil import COUNTED, FOUND, announced, watched

# A test that takes so long has no hope of taking three seconds.
CELL_TIMEOUT = 10.0
# A third of what a submission may use: other right answers use more than the reference.
MEMORY = 1 << 30
BEFORE, AFTER = -2, -1  # indices of the cells that look at what all cells share
PLANNED = 1_000_000  # the first index of cells that are in no notebook

# What every cell of the notebook shares, as one line of text.
SHARED = """
(lambda: print(__import__("json").dumps({
    "names": {name: id(value) for name, value in globals().items() if not name.startswith("_")},
    "settings of NumPy": repr([
        (np.geterr(), np.get_printoptions(), np.random.get_state(legacy=False))
        for np in [__import__("sys").modules.get("numpy")] if np
    ]),
    "random numbers": repr(__import__("random").getstate()),
    "built-in names": sorted(set(vars(__import__("builtins"))) - {"_", "display"}),
})))()
"""


class SharesError(GradingError):
    """An answer changes what all cells share, so it could cost marks on other questions."""


@dataclass(frozen=True)
class Authored:
    """An assignment as its author has it.

    Parameters
    ----------
    settings : what `assignment.toml` says
    around : what a notebook finds beside it
    mutants, alternatives : usual mistakes and other right answers
    """

    name: str
    notebook: NotebookNode
    settings: Mapping[str, Any]
    around: Assignment
    mutants: Answers
    alternatives: Answers

    @classmethod
    def read(cls, course: Course, assignment: str) -> Authored:
        """The assignment of a course.

        Raises
        ------
        GradingError : a file is missing, or cannot be read.
        """
        path = course.source(assignment)
        ignore = course.config.CourseDirectory.get("ignore", [])
        around = Assignment.read(path.parent, ignore)
        toml = path.with_name("assignment.toml")
        if not toml.is_file():
            raise GradingError(f"{toml} is not there; it holds points, hints and rubrics")
        settings = tomllib.loads(toml.read_text(encoding="utf-8"))
        return cls(
            assignment, read_notebook(path), settings, around, *course.known_answers(assignment)
        )

    @cached_property
    def sources(self) -> dict[str, SourceCell]:
        """Cells that nbgrader knows, by grade id."""
        return {
            name: SourceCell(
                cell.source,
                cell.metadata.nbgrader.get("locked", False),
                float(cell.metadata.nbgrader.get("points", 0)) if is_grade(cell) else None,
            )
            for cell in self.notebook.cells
            if (name := grade_id(cell)) is not None
        }

    @cached_property
    def answers(self) -> dict[str, str]:
        """Reference answers of questions that tests mark."""
        cells = answer_cells(self.notebook)
        return {name: cells[name].source for name in questions(self.notebook)}

    def tests(self, question: str) -> dict[str, str]:
        """Source of the cells that test a question, by grade id."""
        names = answer_cells(self.notebook)
        return {
            test: self.sources[test].source
            for test in tested_points(self.notebook)
            if question_of(test, names) == question
        }

    def job(self, notebook: NotebookNode, seed: int) -> Job:
        """A whole notebook, as a submission."""
        cells = job_cells(notebook, self.sources, lambda _: seed)
        return Job(cells, self.around.set_out)

    def question_job(self, question: str, source: str, seed: int) -> Job:
        """The set-up cells, one answer, and its tests.

        Set-up are locked cells without points, and what comes before the first answer.
        """
        whole = self.job(self.notebook, seed).cells
        tests, first = self.tests(question), True
        cells: list[JobCell] = []
        for cell in whole:
            name = grade_id(self.notebook.cells[cell.index]) or ""
            if name == question:
                look = JobCell(BEFORE, "student", SHARED)
                answer = JobCell(cell.index, "student", source)
                cells += [look, answer, replace(look, index=AFTER)]
            elif cell.kind == "setup" or name in tests or (first and not name):
                cells.append(cell)
            first = first and name not in answer_cells(self.notebook)
        return Job(tuple(cells), self.around.set_out, cell_timeout=CELL_TIMEOUT)


def answer_outcomes(
    engine: Engine, authored: Authored, question: str, source: str, seed: int = 0
) -> dict[str, CellOutcome]:
    """What each test of a question makes of an answer, as it would of a submission's.

    Parameters
    ----------
    question : its grade id
    source : of the answer cell
    seed : what the tests find as `student_seed`

    Raises
    ------
    GradingError : the set-up fails.
    SharesError : the answer changes what all cells share.
    """
    job = authored.question_job(question, source, seed)
    outcome = engine.run(job)
    for cell in job.cells:
        if cell.index == BEFORE:
            break
        if error := error_of(outcome, cell):
            name = authored.notebook.cells[cell.index].get("id", cell.index)
            raise GradingError(f"the set-up, cell {name}, fails: {error}")
    looks = [outcome.cells.get(index, CellOutcome()) for index in (BEFORE, AFTER)]
    if changed := _changed(*map(printed, looks)):
        raise SharesError(f"{question}: an answer changes what all cells share: {changed}")
    return {cell.grade_id: outcome.cells[cell.index] for cell in job.cells if cell.kind == "test"}


@dataclass(frozen=True)
class Plan:
    """Which results of the reference are spoiled while one test cell runs.

    Parameters
    ----------
    test : the cell's grade id
    line : of the cell, where the calls stand; 0 for all lines
    way : "empty" for no elements, "hollow" for a length and no items; "" spoils nothing
    version : number of the part of a result that is spoiled
    wrong : whether that part has its shape, and wrong values, instead
    """

    test: str
    line: int = 0
    way: str = ""
    version: int = 0
    wrong: bool = False


def unnoticed(
    engine: Engine, authored: Authored, question: str, seed: int = 0
) -> list[tuple[Plan, str]]:
    """Parts of results that a test looks at, and that may be missing: it passes without them.

    A test looks at what it does not pass with wrong values of the same shape.

    Raises
    ------
    GradingError : a test fails that passes with the reference as it is.
    """

    def carry_out(plans: Iterable[Plan]) -> dict[Plan, CellOutcome]:
        return _carried_out(engine, authored, question, seed, tuple(plans))

    tries: list[Plan] = []
    for plan, outcome in carry_out(map(Plan, authored.tests(question))).items():
        if outcome.status is not Status.PASSED:
            raise GradingError(f"{question}: the reference, watched: {said(plan.test, outcome)}")
        most = {0: [0, 0]}
        for line, *counts in COUNTED.findall(printed(outcome)):
            most[int(line)] = [int(count) for count in counts]
        most[0] = [max(counts) for counts in zip(*most.values(), strict=True)]
        tries += [
            Plan(plan.test, line, way, version)
            for line, counts in sorted(most.items())
            for way, count in zip(("empty", "hollow"), counts, strict=True)
            for version in range(count)
        ]
    passed = {
        plan: found[1]
        for plan, outcome in carry_out(tries).items()
        if outcome.status is Status.PASSED and (found := FOUND.search(printed(outcome)))
    }
    looked = carry_out(replace(plan, wrong=True) for plan in passed)
    return [
        (plan, part)
        for plan, part in passed.items()
        if looked[replace(plan, wrong=True)].status is not Status.PASSED
    ]


def _carried_out(
    engine: Engine, authored: Authored, question: str, seed: int, plans: Sequence[Plan]
) -> dict[Plan, CellOutcome]:
    """What becomes of tests by these plans, one after another in one process."""
    answer = authored.answers[question]
    job = authored.question_job(question, watched(answer), seed)
    tests = {cell.grade_id: cell for cell in job.cells if cell.kind == "test"}
    cells = [cell for cell in job.cells if cell.kind != "test"]
    for number, plan in enumerate(plans):
        test, index = tests[plan.test], PLANNED + 2 * number
        order = f"_plan({plan.line}, {plan.way!r}, {plan.version}, {plan.wrong})"
        source = announced(test.source, answer)
        cells += [JobCell(index, "student", order), replace(test, index=index + 1, source=source)]
    whole = CELL_TIMEOUT * (1 + len(cells))
    outcome = engine.run(replace(job, cells=tuple(cells), notebook_timeout=whole))
    return {plan: outcome.cells[PLANNED + 2 * i + 1] for i, plan in enumerate(plans)}


def _changed(before: str, after: str) -> str:
    """What of the names and settings that all cells share is another than it was."""
    try:
        old, new = json.loads(before), json.loads(after)
    except ValueError:  # the answer ended the process, and its tests will say so
        return ""
    changed = [key for key in old if key != "names" and old[key] not in (new[key], "[]")]
    named = [name for name, place in old["names"].items() if new["names"].get(name) != place]
    return ", ".join(named + changed)


def printed(cell: CellOutcome) -> str:
    """What a cell printed, to either stream."""
    return "".join(output.get("text", "") for output in cell.outputs)


def error_of(outcome: Outcome, cell: JobCell) -> str:
    """What a cell that is no test raised; empty where it raised nothing."""
    known = outcome.cells.get(cell.index)
    for output in known.outputs if known else ():
        if output["output_type"] == "error":
            return f"{output['ename']}: {output['evalue']}"
    return ""


def raised(outcome: CellOutcome) -> str:
    """Name of the class of what a test raised; empty where it raised nothing."""
    return next((o["ename"] for o in outcome.outputs if o["output_type"] == "error"), "")


def points(outcome: CellOutcome, maximum: float) -> float:
    """What a test gives."""
    if outcome.score is not None:
        return outcome.score
    return maximum if outcome.status is Status.PASSED else 0.0


def said(test: str, outcome: CellOutcome) -> str:
    """Where a test failed, and by what."""
    lines = [line for o in outcome.outputs for line in o.get("traceback", ())]
    place = re.match(r"----> (\d+) ", lines[0]) if lines else None
    where = f"{test}, line {place[1]}" if place else test
    return f"{where}: {raised(outcome) or outcome.status}: {outcome.message}"


def start_engine(authored: Authored) -> Engine:
    """An engine for this assignment's answers, known ones included; close it."""
    bounds = Bounds(memory=MEMORY)
    around = surroundings(authored.around, authored.sources, bounds=bounds, gpu=False)
    known = [
        source
        for answers in (authored.mutants, authored.alternatives)
        for sources in answers.values()
        for source in sources.values()
    ]
    return Engine(replace(around, preload=tuple(sorted({*around.preload, *imports(known)}))))
