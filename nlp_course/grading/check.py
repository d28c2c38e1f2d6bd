"""Tries an assignment before students do: what its author should mend, a sentence each.

Answers run as a submission runs, in the sandbox, with the tests outside it.
"""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from nbformat import NotebookNode
from nbgrader.utils import is_grade, is_solution

from nlp_course import data
from nlp_course.grading.course import Course
from nlp_course.grading.engine import Engine
from nlp_course.grading.job import CellOutcome, Job, JobCell, Outcome
from nlp_course.grading.leaks import leaks
from nlp_course.grading.notebooks import (
    GradingError,
    answer_cells,
    grade_id,
    question_of,
    read_notebook,
    tested_points,
)
from nlp_course.grading.release import generate_release
from nlp_course.grading.ruled_out import used
from nlp_course.grading.scoring import Status
from nlp_course.grading.spoil import SPOILED, spoiled
from nlp_course.grading.trial import (
    Authored,
    SharesError,
    answer_outcomes,
    error_of,
    points,
    printed,
    raised,
    said,
    start_engine,
    unnoticed,
)

# Real seeds have 63 bits; some generators take only 32, and say so at the largest.
SEEDS = (0, 1, 2**63 - 1)
TEST_SECONDS = 3.0  # for all tests of one question, with the reference answer
NOTEBOOK_SECONDS = 60.0
# A mistake that fails by one of these is not the mistake it is meant to be.
NOT_MEANT = ("NameError", "UnboundLocalError", "SyntaxError", "IndentationError", "TabError")
# What may be the matter with a result, and what to do about it.
MISSING = {
    "empty": "is empty: assert its shape or its length",
    "hollow": "has a length and no items: use zip(..., strict=True), or assert the length of a "
    "list of its items",
}
HIDDEN = re.compile(r"### BEGIN HIDDEN TESTS.*?(### END HIDDEN TESTS|\Z)", flags=re.DOTALL)


def check_assignment(
    course: Course, assignment: str, *, engine: Engine | None = None, seeds: Sequence[int] = SEEDS
) -> Iterator[str]:
    """What the author of an assignment should mend, a sentence each; nothing when all is well.

    What needs no running comes first, and all of it comes as it is found.

    Parameters
    ----------
    engine : one with the assignment's surroundings; None starts one
    seeds : students' seeds that the reference is tried with; other answers, with the first

    Raises
    ------
    GradingError : the set-up cell fails, a file is missing, or there is no sandbox here.
    """
    authored = Authored.read(course, assignment)
    for look in (_marks, _tests, _known, _files):
        yield from look(authored)
    with tempfile.TemporaryDirectory() as folder:
        try:
            published = generate_release(course, assignment, Path(folder))
        except GradingError as error:
            yield f"it cannot be released: {error}"
            return
        for leak in leaks(course, assignment, published):
            yield f"the release tells: {leak}"
        released = read_notebook(published / f"{assignment}.ipynb")
    with ExitStack() as stack:
        running = engine or stack.enter_context(start_engine(authored))
        yield from _Trial(running, authored, seeds).complaints(released)


def _marks(authored: Authored) -> Iterator[str]:
    """Points, hints and rubrics against the notebook."""
    about = authored.settings.get("questions", {})
    cells = answer_cells(authored.notebook)
    for name in about:
        if name not in cells:
            yield f"assignment.toml: there is no question {name}"
    for name, cell in cells.items():
        known = about.get(name, {})
        marked = [*authored.tests(name)]
        by_hand = is_grade(cell)
        if not str(known.get("hint", "")).strip():
            yield f"{name} has no hint in assignment.toml"
        if not marked and not by_hand:
            yield f"{name} is marked by nothing: it has no test, and no points by hand"
        total = sum(authored.sources[one].points or 0 for one in marked)
        total += (authored.sources[name].points or 0) if by_hand else 0
        if known.get("points") != total:
            stated = known.get("points", "nothing")
            yield f"{name}: its cells have {total:g} points, assignment.toml says {stated}"
        rubric = sum(part.get("points", 0) for part in known.get("rubric", ()))
        manual = authored.sources[name].points or 0
        if by_hand and rubric != manual:
            yield f"{name} has {manual:g} points by hand, its rubric in assignment.toml {rubric:g}"
    for test in tested_points(authored.notebook):
        if question_of(test, cells) is None:
            yield f"{test} tests no question: its name must begin with a question's"
        if not authored.sources[test].locked:
            yield f"{test} is not locked, so students may change it"


def _tests(authored: Authored) -> Iterator[str]:
    """What can be seen of tests without running them."""
    for question in authored.answers:
        seen = False
        for test, source in authored.tests(question).items():
            try:
                silent = [node for node in _asserts(source) if node.msg is None]
                seen = seen or bool(_asserts(HIDDEN.sub("", source)))
            except SyntaxError as error:
                yield f"{test}, line {error.lineno}: {error.msg}"
                continue
            if not _asserts(source):
                yield f"{test} asserts nothing"
            for node in silent:
                yield f"{test}, line {node.lineno}: fails without a word: {ast.unparse(node)}"
        if not seen:
            yield f"{question} has hidden tests, but no visible one that a student could run"


def _asserts(source: str) -> list[ast.Assert]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]


def _known(authored: Authored) -> Iterator[str]:
    """Known answers against the questions."""
    kinds = {"usual mistake": authored.mutants, "other right answer": authored.alternatives}
    for kind, answers in kinds.items():
        for name in answers:
            if name not in authored.answers:
                yield f"mutants.py: there is no question {name} that tests mark"
        for name in authored.answers:
            if not answers.get(name):
                yield f"mutants.py has no {kind} for {name}"


def _files(authored: Authored) -> Iterator[str]:
    for module in authored.around.withheld:
        if not _exists(module):
            yield f"assignment.toml withholds {module}, which does not exist"
    for name in authored.settings.get("prefetch", ()):
        if name not in data.names():
            yield f"assignment.toml asks for data {name!r}, which do not exist"


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its package does not exist
        return False


class _Trial:
    """Runs an assignment's answers."""

    def __init__(self, engine: Engine, authored: Authored, seeds: Sequence[int]) -> None:
        self._engine, self._authored, self._seeds = engine, authored, seeds

    def complaints(self, released: NotebookNode) -> Iterator[str]:
        """What running them shows."""
        right = []
        for question in self._authored.answers:  # one after the other, for their times
            wrong = self._reference(question)
            yield from wrong
            if not wrong:
                right.append(question)
        yield from self._withheld()
        yield from self._ruled_out()
        yield from self._whole()
        yield from self._untouched(released)
        with ThreadPoolExecutor(2) as pool:
            for look, tried in ((self._answer, self._answers(right)), (self._missing, right)):
                for found in pool.map(look, tried):
                    yield from found

    def _answers(self, right: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
        """Answers to try: their kind, question, name and source."""
        authored = self._authored
        kinds = {"mistake": authored.mutants, "right": authored.alternatives}
        for question, reference in authored.answers.items():
            for kind, answers in kinds.items():
                for name, source in answers.get(question, {}).items():
                    yield kind, question, name, source
            for empty in (False, True) if question in right else ():
                source = spoiled(reference, empty=empty)
                yield "spoiled", question, "arguments wiped out", source

    def _run(self, question: str, source: str, seed: int) -> dict[str, CellOutcome]:
        return answer_outcomes(self._engine, self._authored, question, source, seed)

    def _worth(self, test: str) -> float:
        return self._authored.sources[test].points or 0.0

    def _lost(self, outcomes: Mapping[str, CellOutcome]) -> dict[str, CellOutcome]:
        """Tests that do not pass, or give less than they can."""
        return {
            test: outcome
            for test, outcome in outcomes.items()
            if outcome.status is not Status.PASSED
            or points(outcome, self._worth(test)) < self._worth(test)
        }

    def _reference(self, question: str) -> list[str]:
        source = self._authored.answers[question]
        seconds = []
        for seed in self._seeds:
            try:
                outcomes = self._run(question, source, seed)
            except SharesError as error:
                return [str(error)]
            if lost := self._lost(outcomes):
                wrong = f"{question}: the reference loses marks with seed {seed}"
                return [f"{wrong}: {said(test, outcome)}" for test, outcome in lost.items()]
            seconds.append(sum(outcome.seconds for outcome in outcomes.values()))
        # The least of them: another program may have held up the others.
        if min(seconds) > TEST_SECONDS:
            return [
                f"{question}: its tests take {min(seconds):.1f} s, and may take {TEST_SECONDS:g} s"
            ]
        return []

    def _answer(self, answer: tuple[str, str, str, str]) -> list[str]:
        kind, question, name, source = answer
        try:
            outcomes = self._run(question, source, self._seeds[0])
        except SharesError as error:
            return [f"{error}; it is {name!r}"]
        lost = self._lost(outcomes)
        if kind == "right":
            wrong = f"{question}: the right answer {name!r} loses marks"
            return [f"{wrong}: {said(test, outcome)}" for test, outcome in lost.items()]
        if kind == "spoiled":
            return [
                f"{test} passes an answer that wipes out its arguments and returns nothing but "
                "zeros: take what is expected from a copy, made before the call"
                for test, outcome in outcomes.items()
                if test not in lost and SPOILED in printed(outcome)
            ]
        if not any(points(outcomes[test], self._worth(test)) < self._worth(test) for test in lost):
            return [f"{question}: no test notices the mistake {name!r}"]
        return [
            f"{question}: the mistake {name!r} is another than meant: {said(test, outcome)}"
            for test, outcome in lost.items()
            if raised(outcome) in NOT_MEANT or outcome.status is Status.NOT_RUN
        ]

    def _missing(self, question: str) -> list[str]:
        """What tests do not miss of the reference's results."""
        try:
            found = unnoticed(self._engine, self._authored, question, self._seeds[0])
        except GradingError as error:
            return [str(error)]
        everywhere = {(plan.test, plan.way) for plan, _ in found if not plan.line}
        said = []
        for plan, part in found:
            if plan.line and (plan.test, plan.way) in everywhere:
                continue
            where = f"{plan.test}, line {plan.line}:" if plan.line else plan.test
            said.append(f"{where} passes if {part} {MISSING[plan.way]}")
        return said

    def _whole(self) -> Iterator[str]:
        """The reference, all of it in one notebook."""
        job = self._authored.job(self._authored.notebook, self._seeds[0])
        outcome = self._engine.run(job)
        for cell in job.cells:
            if cell.kind != "test" and (error := error_of(outcome, cell)):
                name = self._authored.notebook.cells[cell.index].get("id", cell.index)
                yield f"the reference notebook, cell {name}, fails: {error}"
        for test, one in self._lost(_by_test(job, outcome)).items():
            yield f"the reference notebook as a whole loses marks: {said(test, one)}"
        if outcome.seconds > NOTEBOOK_SECONDS:
            seconds = f"{outcome.seconds:.0f} s, and may take {NOTEBOOK_SECONDS:.0f} s"
            yield f"the reference notebook takes {seconds}"

    def _untouched(self, released: NotebookNode) -> Iterator[str]:
        """The release as students get it, graded by all tests."""
        authored = self._authored
        stubs = {name: cell.source for name, cell in answer_cells(released).items()}
        notebook = NotebookNode(authored.notebook)
        notebook.cells = [
            NotebookNode({**cell, "source": stubs.get(grade_id(cell) or "", cell.source)})
            if is_solution(cell)
            else cell
            for cell in authored.notebook.cells
        ]
        job = authored.job(notebook, self._seeds[0])
        for test, one in _by_test(job, self._engine.run(job)).items():
            given = points(one, authored.sources[test].points or 0)
            stub = stubs.get(question_of(test, stubs) or "", "")
            if given:
                yield f"{test} gives {given:g} points to the untouched release"
            elif raised(one) != "NotImplementedError" or one.message not in stub:
                yield f"the untouched release fails not as its answer cell says: {said(test, one)}"

    def _ruled_out(self) -> Iterator[str]:
        """Right answers that use what students' must not."""
        authored = self._authored
        for question, reference in authored.answers.items():
            answers = {"the answer": reference, **authored.alternatives.get(question, {})}
            for name, source in answers.items():
                if found := used(source, authored.around.ruled_out):
                    yield f"{question}, {name}: it uses {', '.join(found)}, which is ruled out"

    def _withheld(self) -> Iterator[str]:
        """Modules that a notebook can import, and must not."""
        modules = [name for name in self._authored.around.withheld if _exists(name)]
        if not modules:
            return
        cells = (JobCell(i, "student", f"import {name}") for i, name in enumerate(modules))
        outcome = self._engine.run(Job(tuple(cells)))
        for index, module in enumerate(modules):
            if raised(outcome.cells[index]) != "ModuleNotFoundError":
                yield f"{module} is withheld, but a notebook can import it"


def _by_test(job: Job, outcome: Outcome) -> dict[str, CellOutcome]:
    return {cell.grade_id: outcome.cells[cell.index] for cell in job.cells if cell.kind == "test"}
