"""Every assignment: its marks add up, its tests catch mistakes, and they pass whatever is right.

Each answer runs as a grader runs it: the answer in the sandbox, the tests outside it, and only
plain data between the two. What passes here passes where both share a kernel, too; that is shown
once for each assignment, in a real kernel.

Why a mistake cannot cost marks on another question: each question passes all its tests with the
set-up cell and its own cells alone, so it reads nothing that another answer defines; and no answer,
right or wrong, changes what all cells share (names of the set-up cell, NumPy's settings, random
states). The first part is the test of the reference, the second is looked at in every run.
"""

from __future__ import annotations

import ast
import copy
import importlib.util
import re
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearSolutions

from nlp_course import data
from nlp_course.grading import check
from nlp_course.grading.course import Course
from nlp_course.grading.job import CellOutcome
from nlp_course.grading.notebooks import answer_cells, grade_id, question_of, read_notebook
from nlp_course.grading.sandbox import SandboxError, best_layer
from nlp_course.grading.scoring import Status
from nlp_course.grading.trial import (
    Authored,
    answer_outcomes,
    points,
    raised,
    said,
    start_engine,
)

pytestmark = pytest.mark.assignments

ROOT = Path(__file__).parents[2]
COURSE = Course(ROOT)
# The public copy of the course has no solutions, so nothing to test here.
ASSIGNMENTS = COURSE.assignments() if (ROOT / "solutions").is_dir() else []
CIRCLES = {1: "●○○", 2: "●●○", 3: "●●●"}


@dataclass(frozen=True)
class Assignment:
    """The instructor's version of an assignment and what belongs to it."""

    name: str
    notebook: NotebookNode
    settings: dict[str, Any]
    mutants: dict[str, dict[str, str]]
    alternatives: dict[str, dict[str, str]]

    @property
    def cells(self) -> dict[str, NotebookNode]:
        """Cells that nbgrader knows, by grade id."""
        return {name: cell for cell in self.notebook.cells if (name := grade_id(cell)) is not None}

    @property
    def answers(self) -> dict[str, NotebookNode]:
        """Answer cells that tests mark, by question."""
        every = answer_cells(self.notebook)
        return {name: cell for name, cell in every.items() if cell.cell_type == "code"}

    def tests(self, question: str) -> dict[str, NotebookNode]:
        """The cells that test a question, by grade id."""
        return {
            name: cell
            for name, cell in self.cells.items()
            if name != question and question_of(name, self.answers) == question
        }


@cache
def load(name: str) -> Assignment:
    source = COURSE.source(name)
    mutants, alternatives = COURSE.known_answers(name)
    settings = tomllib.loads(source.with_name("assignment.toml").read_text(encoding="utf-8"))
    return Assignment(name, read_notebook(source), settings, mutants, alternatives)


class Tried:
    """Answers of an assignment and what became of them, each run once, two at a time."""

    def __init__(self, name: str) -> None:
        self._authored = Authored.read(COURSE, name)
        self.engine = start_engine(self._authored)
        self._pool = ThreadPoolExecutor(2)
        found = load(name)
        every = {
            (question, source, 0): None
            for question, reference in found.answers.items()
            for known in (found.mutants, found.alternatives)
            for source in (reference.source, *known.get(question, {}).values())
        }
        self._outcomes = {one: self._start(*one) for one in every}

    def _start(self, question: str, source: str, seed: int = 0) -> Future[dict[str, CellOutcome]]:
        run = answer_outcomes
        return self._pool.submit(run, self.engine, self._authored, question, source, seed)

    def outcomes(self, question: str, source: str, seed: int = 0) -> dict[str, CellOutcome]:
        """What each test cell of a question makes of this answer."""
        one = (question, source, seed)
        if one not in self._outcomes:
            self._outcomes[one] = self._start(*one)
        return self._outcomes[one].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self.engine.close()


@pytest.fixture(scope="module")
def tried() -> Iterator[Callable[[str], Tried]]:
    """An assignment's answers, run when the first of them is asked for."""
    try:
        best_layer()
    except SandboxError as error:
        pytest.skip(str(error))
    started: dict[str, Tried] = {}

    def of(name: str) -> Tried:
        if name not in started:
            started[name] = Tried(name)
        return started[name]

    yield of
    for one in started.values():
        one.close()


def cases(kind: str) -> list[Any]:
    return [
        pytest.param(assignment, question, name, id=f"{question}: {name}")
        for assignment in ASSIGNMENTS
        for question, answers in getattr(load(assignment), kind).items()
        for name in answers
    ]


def all_questions() -> list[Any]:
    return [
        pytest.param(assignment, question, id=f"{assignment} {question}")
        for assignment in ASSIGNMENTS
        for question in load(assignment).answers
    ]


every_assignment = pytest.mark.parametrize("assignment", ASSIGNMENTS)
every_question = pytest.mark.parametrize(("assignment", "question"), all_questions())


@pytest.mark.skipif(bool(ASSIGNMENTS), reason="this copy of the course holds the solutions")
def test_public_copy_has_no_solutions():
    assert not (ROOT / "solutions").exists()


@every_assignment
def test_notebook_is_clean_and_its_cells_are_named(assignment: str):
    found = load(assignment)
    assert found.notebook.metadata.kernelspec.name == "python3"
    for cell in found.notebook.cells:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", cell.id), f"cell id {cell.id!r}"
        assert grade_id(cell) in (None, cell.id), "a cell's id is its grade id"
        if cell.cell_type == "code":
            assert not cell.outputs, f"{cell.id} has outputs"
            assert cell.execution_count is None, f"{cell.id} has an execution count"
    identifiers = [cell.id for cell in found.notebook.cells]
    assert len(set(identifiers)) == len(identifiers), "two cells have one id"


@every_assignment
def test_every_question_has_visible_and_hidden_tests(assignment: str):
    found = load(assignment)
    fewest = 4 if found.settings["chapters"] == [0] else 7  # the first one shows how it goes
    assert fewest <= len(found.answers) <= 12, f"{fewest} to twelve questions are marked by tests"
    assert {*answer_cells(found.notebook)} - {*found.answers}, "one question is marked by hand"
    known = {"setup"} | set(answer_cells(found.notebook))
    for question in found.answers:
        assert re.fullmatch(r"q\d\d-[a-z-]+", question)
        assert list(found.tests(question)) == [f"{question}-tests", f"{question}-hidden"]
        known |= set(found.tests(question))
        visible, hidden = (cell.source for cell in found.tests(question).values())
        assert "HIDDEN" not in visible
        assert hidden.startswith("### BEGIN HIDDEN TESTS\n")
        assert hidden.endswith("\n### END HIDDEN TESTS")
        assert hidden.count("### ") == 2, "one region, the whole cell"
    assert set(found.cells) == known, "a cell belongs to no question"


@every_question
def test_every_assert_of_a_test_says_what_is_wrong(assignment: str, question: str):
    for test, cell in load(assignment).tests(question).items():
        asserts = [
            node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Assert)
        ]
        assert asserts, f"{test} asserts nothing"
        silent = [ast.unparse(node) for node in asserts if node.msg is None]
        assert not silent, f"{test}: these fail without a word: {silent}"


@every_assignment
def test_settings_say_what_the_notebook_says(assignment: str):
    found = load(assignment)
    settings = found.settings
    assert settings["title"]
    assert settings["chapters"]
    for module in settings["withheld"]:
        assert importlib.util.find_spec(module), f"withheld, but there is no {module}"
    assert set(settings["prefetch"]) <= set(data.names())

    questions = settings["questions"]
    assert list(questions) == list(answer_cells(found.notebook))
    for question, about in questions.items():
        marked = {question: found.cells[question], **found.tests(question)}.values()
        points = sum(cell.metadata.nbgrader.get("points", 0) for cell in marked)
        assert about["points"] == points, question
        assert about["hint"].strip(), f"{question} has no hint"
        text = next(c.source for c in found.notebook.cells if c.id == f"{question[:3]}-text")
        by_hand = "" if question in found.answers else ", marked by hand"
        circles = CIRCLES[about["difficulty"]]
        minutes = "1 minute" if about["minutes"] == 1 else f"{about['minutes']} minutes"
        said = f"\n{circles} · {minutes} · {points} points{by_hand}\n"
        assert said in text, f"{question}: the text of the question must say {said.strip()!r}"
        if by_hand:
            assert sum(part["points"] for part in about["rubric"]) == points
    assert sum(about["points"] for about in questions.values()) == 100


@every_assignment
def test_every_question_has_known_answers(assignment: str):
    found = load(assignment)
    assert set(found.mutants) == set(found.alternatives) == set(found.answers)
    for question in found.answers:
        assert len(found.mutants[question]) >= 4, f"{question}: at least four usual mistakes"
        assert len(found.alternatives[question]) >= 2, f"{question}: at least two right answers"


@every_question
def test_reference_passes_with_nothing_but_its_own_cells(
    assignment: str, question: str, tried: Callable[[str], Tried]
):
    source = load(assignment).answers[question].source
    outcomes = tried(assignment).outcomes(question, source)
    assert list(outcomes) == list(load(assignment).tests(question))
    for test, outcome in outcomes.items():
        assert outcome.status is Status.PASSED, said(test, outcome)
        assert not outcome.outputs, f"{test} prints or warns: {outcome.outputs}"


@every_question
def test_untouched_release_gets_nothing_and_is_told_why(
    assignment: str, question: str, tried: Callable[[str], Tried]
):
    cell = copy.deepcopy(load(assignment).answers[question])
    stub, _ = ClearSolutions(config=COURSE.config).preprocess_cell(
        cell, {"language": "python"}, cell_index=0
    )
    for test, outcome in tried(assignment).outcomes(question, stub.source).items():
        assert points(outcome, 1.0) == 0
        assert raised(outcome) == "NotImplementedError", said(test, outcome)
        assert "Write your answer" in outcome.message


@pytest.mark.parametrize(("assignment", "question", "name"), cases("mutants"))
def test_mistake_loses_marks(
    assignment: str, question: str, name: str, tried: Callable[[str], Tried]
):
    source = load(assignment).mutants[question][name]
    outcomes = tried(assignment).outcomes(question, source)
    lost = {test: one for test, one in outcomes.items() if points(one, 1.0) < 1}
    assert lost, "no test notices"
    for test, outcome in lost.items():
        where = said(test, outcome)
        assert outcome.status in (Status.FAILED, Status.ERROR), where
        assert raised(outcome) not in check.NOT_MEANT, f"the mistake is another: {where}"
        assert outcome.message, where


@pytest.mark.parametrize(("assignment", "question", "name"), cases("alternatives"))
def test_other_right_answer_keeps_all_marks(
    assignment: str, question: str, name: str, tried: Callable[[str], Tried]
):
    source = load(assignment).alternatives[question][name]
    if "import torch" in source:
        pytest.importorskip("torch", reason="torch is not installed")
    for test, outcome in tried(assignment).outcomes(question, source).items():
        assert outcome.status is Status.PASSED, said(test, outcome)
        assert not outcome.outputs, f"{test} prints or warns: {outcome.outputs}"


@every_assignment
@pytest.mark.slow
def test_the_author_has_nothing_to_mend(
    assignment: str, tried: Callable[[str], Tried], monkeypatch: pytest.MonkeyPatch
):
    answers = tried(assignment)
    # What the tests above ran is not run again.
    monkeypatch.setattr(check, "answer_outcomes", lambda _, __, *one: answers.outcomes(*one))
    assert list(check.check_assignment(COURSE, assignment, engine=answers.engine)) == []


@every_assignment
def test_reference_runs_in_a_real_kernel(
    assignment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NLP_COURSE_GRADING", "1")
    notebook = copy.deepcopy(load(assignment).notebook)
    client = NotebookClient(
        notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs, f"{cell.id} says {cell.outputs}"
