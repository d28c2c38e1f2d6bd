"""Every assignment: its marks add up, its tests catch mistakes, and they pass whatever is right.

A question is run as a grader that does not trust students runs it: the answer cell in one
namespace, the test cells in another that holds nothing but the answer's functions, and between
the two only plain data, copied. What passes here passes where both share a kernel, too; that is
shown once for each assignment, in a real kernel.

Why a mistake cannot cost marks on another question: each question passes all its tests with the
set-up cell and its own cells alone, so it reads nothing that another answer defines; and no answer,
right or wrong, changes what all cells share (names of the set-up cell, NumPy's settings, random
states). The first part is the test of the reference, the second is looked at in every run.
"""

from __future__ import annotations

import ast
import builtins
import copy
import importlib.util
import re
import tomllib
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearSolutions

from nlp_course import data
from nlp_course.grading.course import Course
from nlp_course.grading.notebooks import answer_cells, grade_id, question_of, read_notebook

pytestmark = pytest.mark.assignments

ROOT = Path(__file__).parents[2]
COURSE = Course(ROOT)
# The public copy of the course has no solutions, so nothing to test here.
ASSIGNMENTS = COURSE.assignments() if (ROOT / "solutions").is_dir() else []
CIRCLES = {1: "●○○", 2: "●●○", 3: "●●●"}
PLAIN = (bool, int, float, str, np.generic, types.NoneType)


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


@cache
def set_up(name: str) -> dict[str, Any]:
    """The names that the set-up cell defines; it runs once."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NLP_COURSE_GRADING", "1")
        exec(load(name).cells["setup"].source, names)
    return names


def plain(value: Any) -> Any:
    """A copy of plain data; what is not plain data cannot pass from one process to another."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufU":
        return value.copy()
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, list | tuple | set):
        return type(value)(plain(item) for item in value)
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    raise TypeError(f"{type(value).__name__} is not plain data")


def write_back(value: Any, after: Any) -> Any:
    """What the caller holds after the call: a function that changes its arguments changes them."""
    if isinstance(value, np.ndarray):
        if value.flags.writeable and value.shape == after.shape:
            value[...] = after
        return value
    if isinstance(value, list | tuple) and len(value) == len(after):
        items = [write_back(*pair) for pair in zip(value, after, strict=True)]
        if isinstance(value, list):
            value[:] = items
        return value
    if isinstance(value, list):
        value[:] = after
        return value
    if isinstance(value, dict):
        items = {k: write_back(value[k], v) if k in value else v for k, v in after.items()}
        value.clear()
        value.update(items)
        return value
    return after


def proxy(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        own_args, own_options = plain(args), plain(options)
        result = plain(function(*own_args, **own_options))
        write_back((args, options), (own_args, own_options))
        return result

    return call


def shared_state() -> tuple[object, ...]:
    """What answers could change for all cells that run after them."""
    state = np.random.get_state(legacy=False)  # noqa: NPY002, the state a student may set
    return np.geterr(), np.get_printoptions(), repr(state), dict(vars(builtins)).keys()


def run(assignment: str, question: str, answer: str) -> dict[str, BaseException | None]:
    """What each test cell of a question raises, with this answer; None where it passes."""
    names = dict(set_up(assignment))
    before = shared_state()
    exec(compile(answer, question, "exec"), names)
    functions = {
        name: proxy(value)
        for name, value in names.items()
        if isinstance(value, types.FunctionType) and value.__module__ == "__main__"
    }
    outcome: dict[str, BaseException | None] = {}
    for test, cell in load(assignment).tests(question).items():
        outcome[test] = None
        try:
            exec(compile(cell.source, test, "exec"), {**functions, "student_seed": 0})
        except Exception as error:
            outcome[test] = error
    assert shared_state() == before, f"{question}: an answer changes what all cells share"
    changed = [name for name, value in set_up(assignment).items() if names[name] is not value]
    assert not changed, f"{question}: an answer changes names of the set-up cell: {changed}"
    return outcome


def cases(kind: str) -> Iterator[Any]:
    for assignment in ASSIGNMENTS:
        for question, answers in getattr(load(assignment), kind).items():
            for name in answers:
                yield pytest.param(assignment, question, name, id=f"{question}: {name}")


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
    assert 7 <= len(found.answers) <= 12, "seven to twelve questions are marked by tests"
    assert any(name.endswith("-derivation") for name in found.cells)
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
        said = f"\n{circles} · {about['minutes']} minutes · {points} points{by_hand}\n"
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
def test_reference_passes_with_nothing_but_its_own_cells(assignment: str, question: str):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a line on stderr costs the marks in nbgrader
        outcome = run(assignment, question, load(assignment).answers[question].source)
    assert set(outcome.values()) == {None}, outcome


@every_question
def test_untouched_release_gets_nothing_and_is_told_why(assignment: str, question: str):
    cell = copy.deepcopy(load(assignment).answers[question])
    stub, _ = ClearSolutions(config=COURSE.config).preprocess_cell(
        cell, {"language": "python"}, cell_index=0
    )
    for test, error in run(assignment, question, stub.source).items():
        assert isinstance(error, NotImplementedError), f"{test}: {error!r}"
        assert "Write your answer" in str(error)


@pytest.mark.parametrize(("assignment", "question", "name"), cases("mutants"))
def test_mistake_loses_marks(assignment: str, question: str, name: str):
    outcome = run(assignment, question, load(assignment).mutants[question][name])
    errors = [error for error in outcome.values() if error is not None]
    assert errors, "no test notices"
    for error in errors:
        assert not isinstance(error, NameError | SyntaxError), f"the mistake is another: {error!r}"


@pytest.mark.parametrize(("assignment", "question", "name"), cases("alternatives"))
def test_other_right_answer_keeps_all_marks(assignment: str, question: str, name: str):
    source = load(assignment).alternatives[question][name]
    if "import torch" in source:
        pytest.importorskip("torch", reason="torch is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome = run(assignment, question, source)
    assert set(outcome.values()) == {None}, outcome


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
