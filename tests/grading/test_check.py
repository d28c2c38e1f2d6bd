"""The author's check names each fault in a sentence, and finds nothing where all is well."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from nlp_course.grading.check import check_assignment
from nlp_course.grading.course import Course
from nlp_course.grading.engine import Engine
from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.spoil import announced, spoiled, watched
from nlp_course.grading.trial import Authored, answer_outcomes, start_engine, unnoticed

pytestmark = [pytest.mark.grading, pytest.mark.sandbox]

NAME = "90-sums"
SETTINGS = """title = "Sums"
withheld = []

[questions.q01-total]
points = 3
hint = "One after the other."

[questions.q02-mean]
points = 3
hint = "What is left of nothing, divided?"

[questions.q03-derivation]
points = 4
hint = "Differentiate."

[[questions.q03-derivation.rubric]]
points = 4
criterion = "The derivative, set to nought."
"""


class Faulty:
    """The small course, with nothing to mend, and ways to put faults into it."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.folder = course.source(NAME).parent
        self.replace("assignment.toml", r"(?s).*", SETTINGS, count=1)
        self.cell("q01-total-hidden", r"== 7\.0", "== 7.0, 'fractions'")
        self.cell(
            "q02-mean-tests",
            r"== 2",
            "== 2, 'half of the sum'\nassert mean([1, 2]) == 1.5, 'not whole'",
        )

    def replace(self, file: str, old: str, new: str, count: int = 0) -> None:
        path = self.folder / file
        text, times = re.subn(old, lambda _: new, path.read_text(), count=count)
        assert times, f"{file} holds no {old}"
        path.write_text(text)

    def edit(self, change: Callable[[NotebookNode], None]) -> None:
        path = self.course.source(NAME)
        notebook = nbformat.read(path, as_version=4)
        change(notebook)
        nbformat.write(notebook, path)

    def cell(self, name: str, old: str, new: str) -> None:
        def change(notebook: NotebookNode) -> None:
            (cell,) = (cell for cell in notebook.cells if cell.id == name)
            cell.source, times = re.subn(old, lambda _: new, cell.source)
            assert times, f"{name} holds no {old}"

        self.edit(change)

    def metadata(self, name: str, **marks: object) -> None:
        def change(notebook: NotebookNode) -> None:
            (cell,) = (cell for cell in notebook.cells if cell.id == name)
            cell.metadata.nbgrader.update(marks)

        self.edit(change)

    def found(self, engine: Engine, seeds: tuple[int, ...] = (0,)) -> Iterator[str]:
        return check_assignment(Course(self.course.root), NAME, engine=engine, seeds=seeds)


@pytest.fixture
def faulty(course: Course) -> Faulty:
    return Faulty(course)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One for all: faults are in what runs, not in what surrounds it."""
    from tests.grading.conftest import write_course

    folder: Path = write_course(tmp_path_factory.mktemp("engine"))
    with start_engine(Authored.read(Course(folder), NAME)) as running:
        yield running


def test_nothing_is_found_where_all_is_well(faulty: Faulty, engine: Engine):
    assert list(faulty.found(engine, seeds=(0, 1, 2**63 - 1))) == []


def _mistake(source: str) -> Callable[[Faulty], None]:
    """Another usual mistake of the first question."""
    added = f'"q01-total": {{"planted": {source!r}, '
    return lambda faulty: faulty.replace("mutants.py", r'"q01-total": \{', added, count=1)


def _right(source: str) -> Callable[[Faulty], None]:
    """Another answer to the second question that is said to be right."""
    added = f'"q02-mean": {{"planted": {source!r}, "library":'
    return lambda faulty: faulty.replace("mutants.py", r'"q02-mean": \{\s+"library":', added)


def _solve(faulty: Faulty, line: str) -> None:
    faulty.cell("q01-total", r"    result = 0\n", line)


def _two_seeds(faulty: Faulty) -> None:
    faulty.cell("q01-total-tests", r"^", "assert total([student_seed]) < 2**40, 'not so large'\n")


def _test(line: str, name: str = "q01-total-tests") -> Callable[[Faulty], None]:
    """A test cell of this alone."""
    return lambda faulty: faulty.cell(name, r"(?s)\A.*\Z", line)


def _unknown_cell(faulty: Faulty) -> None:
    def add(notebook: NotebookNode) -> None:
        cell = nbformat.v4.new_code_cell("assert True, 'always'", id="q09-tests")
        marks = dict(notebook.cells[-2].metadata.nbgrader, grade_id="q09-tests", points=1)
        cell.metadata["nbgrader"] = marks
        notebook.cells.append(cell)

    faulty.edit(add)


def _returns(source: str, tests: str) -> Callable[[Faulty], None]:
    """Another second question, whose visible tests are these."""

    def plant(faulty: Faulty) -> None:
        answer = f"import numpy as np\n\n\ndef mean(x):\n    {source}"
        faulty.cell("q02-mean", r"(?s)\A.*\Z", answer)
        faulty.cell("q02-mean-tests", r"(?s)\A.*\Z", f"import numpy as np\n{tests}")

    return plant


def _silent_set_up(faulty: Faulty) -> None:
    faulty.cell("set-up", r"graded = .*", "graded = None")


FAULTS: dict[str, tuple[Callable[[Faulty], None], str]] = {
    "a wrong reference": (
        lambda faulty: _solve(faulty, "    result = 1\n"),
        r"q01-total: the reference loses marks with seed 0: q01-total-tests, line 1: "
        r"AssertionError: add all of them",
    ),
    "a reference that needs another's answer": (
        lambda faulty: faulty.cell("q02-mean", r"sum\(numbers\)", "total(numbers)"),
        r"q02-mean: the reference loses marks .* NameError: name 'total' is not defined",
    ),
    "a reference that changes what all share": (
        lambda faulty: faulty.cell("q01-total", r"\A", "graded = 'no'\n"),
        r"q01-total: an answer changes what all cells share: graded",
    ),
    "a reference cell that raises": (
        lambda faulty: faulty.cell("q02-mean", r"\Z", "\n1 / 0"),
        r"the reference notebook, cell q02-mean, fails: ZeroDivisionError",
    ),
    "set-up that the tests do not find as they expect": (
        _silent_set_up,
        r"q02-mean: the reference loses marks .* the set-up cell must know that it is graded",
    ),
    "a mistake that nothing notices": (
        _mistake("def total(numbers):\n    return sum(numbers) + 0.0"),
        r"q01-total: no test notices the mistake 'planted'",
    ),
    "a mistake that is a slip of the author's": (
        _mistake("def total(numbers):\n    return summ(numbers)"),
        r"q01-total: the mistake 'planted' is another than meant: q01-total-tests, line 1: Name",
    ),
    "a mistake that is no Python": (
        _mistake("def total(numbers)\n    return 0"),
        r"q01-total: the mistake 'planted' is another than meant",
    ),
    "a mistake that costs marks elsewhere": (
        _mistake("import os\ndef total(numbers):\n    return 1\ngraded = 0"),
        r"q01-total: an answer changes what all cells share: graded; it is 'planted'",
    ),
    "a right answer that is wrong": (
        _right("def mean(numbers):\n    return sum(numbers) / len(numbers)"),
        r"q02-mean: the right answer 'planted' loses marks: q02-mean-tests, line 4: ZeroDivision",
    ),
    "an object that the tests cannot deal with": (
        _right(
            "class Mean:\n    def __eq__(self, other):\n        return True\n"
            "def mean(numbers):\n    return Mean() if numbers else None"
        ),
        r"q02-mean: the right answer 'planted' loses marks: q02-mean-tests, line 1: "
        r"AssertionError: half of the sum",
    ),
    "no mistakes of a question": (
        lambda faulty: faulty.replace("mutants.py", r'"q01-total": \{"last', '"q04": {"last'),
        r"mutants.py has no usual mistake for q01-total",
    ),
    "answers to no question": (
        lambda faulty: faulty.replace("mutants.py", r'"q01-total": \{"last', '"q04": {"last'),
        r"mutants.py: there is no question q04 that tests mark",
    ),
    "a test that passes the untouched release": (
        _test("assert True, 'always'"),
        r"q01-total-tests gives 1 points to the untouched release",
    ),
    "a test that gives part of its points to nothing": (
        _test("0.5"),
        r"q01-total-tests gives 0.5 points to the untouched release",
    ),
    "a test that hides what a student is to do": (
        _test(
            "try:\n    good = total([1]) == 1\nexcept Exception:\n    good = False\n"
            "assert good, 'wrong'"
        ),
        r"the untouched release fails not as its answer cell says: q01-total-tests, line 5",
    ),
    "a test that expects what the function left of its input": (
        _test("given = [1, 2]\nassert total(given) == sum(given), 'add all of them'"),
        r"q01-total-tests passes an answer that wipes out its arguments",
    ),
    "an array of which every element is compared, if there are any": (
        _returns(
            "return np.sqrt(x)", "assert np.allclose(mean(np.array([4, 9])), [2, 3]), 'roots'"
        ),
        r"q02-mean-tests passes if `result` is empty: assert its shape or its length",
    ),
    "a number that may be an array": (
        _returns("return sum(x) / len(x)", "assert np.isclose(mean([1, 2]), 1.5).all(), 'half'"),
        r"q02-mean-tests passes if `result` is empty",
    ),
    "an array in a dictionary, of no matter what shape": (
        _returns(
            "return {'sum': sum(x), 'roots': np.sqrt(x)}",
            "found = mean([4, 9])\nassert float(found['sum']) == 13, 'sum'\n"
            "assert np.allclose(found['roots'], [2, 3]), 'roots'",
        ),
        r"q02-mean-tests passes if `result\['roots'\]` is empty",
    ),
    "a second array that the first one's shape hides": (
        _returns(
            "return np.sqrt(x), np.square(x)",
            "roots, squares = map(np.asarray, mean([4, 9]))\nassert roots.shape == (2,), 'two'\n"
            "assert np.allclose(roots, [2, 3]) and np.allclose(squares, [16, 81]), 'values'",
        ),
        r"q02-mean-tests passes if `result\[1\]` is empty",
    ),
    "a later array that the first one's shape hides": (
        _returns(
            "return np.sqrt(x)",
            "for first in (4, 9):\n    roots = np.asarray(mean([first, 1]))\n"
            "    assert roots.shape == (2,), 'two'\n    assert roots[1] == 1, 'the root of 1'\n"
            "single = mean(np.float32([4, 9]))\nassert np.allclose(single, [2, 3]), 'float32'",
        ),
        r"q02-mean-tests, line 6: passes if `result` is empty",
    ),
    "a loop over what may be nothing": (
        _returns(
            "return [y + 1 for y in x]",
            "for one in mean([1, 1]):\n    assert one == 2, 'one more'",
        ),
        r"q02-mean-tests passes if `result` is empty",
    ),
    "items that may be nothing": (
        _returns(
            "return [[y, y] for y in x]",
            "pairs = mean([1, 2])\nassert len(pairs) == 2, 'two pairs'\n"
            "assert all(y == i for i, pair in zip((1, 2), pairs, strict=True) for y in pair), 'i'",
        ),
        r"q02-mean-tests passes if `result\[\.\.\.\]` is empty",
    ),
    "a loop over what may have no items, whatever its length": (
        _returns(
            "return [y + 1 for y in x]",
            "more = mean([1, 2])\nassert len(more) == 2, 'two'\n"
            "for one, right in zip(more, (2, 3)):\n    assert one == right, 'one more'",
        ),
        r"q02-mean-tests passes if `result` has a length and no items: use zip\(",
    ),
    "a loop over a dictionary that may have no items, whatever its length": (
        _returns(
            "return {y: y + 1 for y in x}",
            "more = mean([1, 2])\nassert len(more) == 2, 'two'\n"
            "for one, right in more.items():\n    assert right == one + 1, 'one more'",
        ),
        r"q02-mean-tests passes if `result` has a length and no items",
    ),
    "a method's result that may be empty": (
        _returns(
            "return Roots()\n\n\nclass Roots:\n    def of(self, x):\n        return np.sqrt(x)",
            "roots = mean(0)\nassert np.allclose(roots.of([4, 9]), [2, 3]), 'roots'",
        ),
        r"q02-mean-tests passes if `result` is empty",
    ),
    "an assert without a word": (
        lambda faulty: faulty.cell("q02-mean-tests", ", 'half of the sum'", ""),
        r"q02-mean-tests, line 1: fails without a word: assert mean\(\[1, 3\]\) == 2",
    ),
    "a test that asserts nothing": (_test("total([1])"), r"q01-total-tests asserts nothing"),
    "a test that is no Python": (
        _test("assert total([1] == 1, 'add'"),
        r"q01-total-tests, line 1: '\(' was never closed",
    ),
    "hidden tests alone": (
        lambda faulty: faulty.cell("q02-mean-tests", r"\A(assert .*\n)+(?=###)", ""),
        r"q02-mean has hidden tests, but no visible one",
    ),
    "a test that takes too long": (
        lambda faulty: faulty.cell("q01-total-tests", r"\A", "import time\n\ntime.sleep(3.1)\n"),
        r"q01-total: its tests take 3\.\d s, and may take 3 s",
    ),
    "a reference that takes too much memory": (
        lambda faulty: _solve(faulty, "    result = 0 * len(bytes(1500 << 20))\n"),
        r"q01-total: the reference loses marks .* q01-total-tests, line 1: .*[Mm]emory",
    ),
    "a test of no question": (_unknown_cell, r"q09-tests tests no question"),
    "a test that students may change": (
        lambda faulty: faulty.metadata("q01-total-tests", locked=False),
        r"q01-total-tests is not locked",
    ),
    "points that do not add up": (
        lambda faulty: faulty.metadata("q01-total-tests", points=2),
        r"q01-total: its cells have 4 points, assignment.toml says 3",
    ),
    "a question without a hint": (
        lambda faulty: faulty.replace("assignment.toml", "Differentiate.", " "),
        r"q03-derivation has no hint",
    ),
    "a rubric that does not add up": (
        lambda faulty: faulty.replace("assignment.toml", r"points = 4\ncrit", "points = 3\ncrit"),
        r"q03-derivation has 4 points by hand, its rubric in assignment.toml 3",
    ),
    "a question that nothing marks": (
        lambda faulty: faulty.metadata("q03-derivation", grade=False),
        r"q03-derivation is marked by nothing",
    ),
    "settings of no question": (
        lambda faulty: faulty.replace("assignment.toml", r"\Z", "[questions.q08]\npoints = 1\n"),
        r"assignment.toml: there is no question q08",
    ),
    "a withheld module that does not exist": (
        lambda faulty: faulty.replace("assignment.toml", r"\[\]", '["nlp_course.no.such"]'),
        r"assignment.toml withholds nlp_course.no.such, which does not exist",
    ),
    "a withheld module that can be imported": (
        lambda faulty: faulty.replace("assignment.toml", r"\[\]", '["statistics"]'),
        r"statistics is withheld, but a notebook can import it",
    ),
    "a right answer that uses what is ruled out": (
        lambda faulty: (
            faulty.replace("assignment.toml", r"withheld", "ruled_out=['.pop']\nwithheld"),
            faulty.cell("q01-total", r"(?=    ### BEGIN SOLUTION)", "    [0].pop()\n"),
        ),
        r"q01-total, the answer: it uses .pop, which is ruled out",
    ),
    "data that do not exist": (
        lambda faulty: faulty.replace("assignment.toml", r"withheld", "prefetch=['no']\nwithheld"),
        r"assignment.toml asks for data 'no', which do not exist",
    ),
    "a file that tells an answer": (
        lambda faulty: faulty.replace("numbers.csv", "1,2,3", "for number in numbers:"),
        r"the release tells: numbers.csv: holds 'for number in numbers:'",
    ),
    "a solution without its end": (
        lambda faulty: faulty.cell("q01-total", r"\n    ### END SOLUTION", ""),
        r"it cannot be released: ",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, faulty: Faulty, engine: Engine):
    plant, sentence = FAULTS[fault]
    plant(faulty)
    others = []
    for one in faulty.found(engine):
        if re.match(sentence, one):
            return
        others.append(one)
    pytest.fail(f"not found; found are: {others}")


def test_a_test_that_fails_for_large_seeds_is_found_by_the_seeds_tried_by_default(
    faulty: Faulty, engine: Engine
):
    _two_seeds(faulty)
    found = check_assignment(faulty.course, NAME, engine=engine)
    assert [one.split(":")[1] for one in found] == [
        f" the reference loses marks with seed {2**63 - 1}"
    ]


def test_withheld_modules_are_absent_from_the_engine_that_the_check_starts(faulty: Faulty):
    faulty.replace("assignment.toml", r"\[\]", '["nlp_course.word2vec"]')
    assert list(check_assignment(faulty.course, NAME, seeds=(0,))) == []


def test_set_up_that_fails_is_an_error_and_no_complaint(faulty: Faulty, engine: Engine):
    faulty.cell("set-up", r"\Z", "\nraise OSError('no such disk')")
    with pytest.raises(GradingError, match="the set-up, cell set-up, fails: OSError: no such disk"):
        list(faulty.found(engine))


def test_locked_set_up_that_fails_is_an_error_and_no_complaint(faulty: Faulty, engine: Engine):
    def lock(notebook: NotebookNode) -> None:
        marks = {**notebook.cells[3].metadata.nbgrader, "grade": False, "grade_id": "set-up"}
        notebook.cells[1].metadata["nbgrader"] = marks

    faulty.edit(lock)
    faulty.cell("set-up", r"\Z", "\nraise OSError('no such disk')")
    with pytest.raises(GradingError, match="no such disk"):
        list(faulty.found(engine))


@pytest.mark.parametrize("file", ["assignment.toml", "mutants.py"])
def test_a_missing_file_is_named(file: str, faulty: Faulty, engine: Engine):
    (faulty.folder / file).unlink()
    with pytest.raises(GradingError, match=f"{file} is not there"):
        list(faulty.found(engine))


def test_a_spoiled_answer_wipes_out_its_arguments_and_returns_nothing():
    names: dict[str, object] = {}
    answer = "def double(numbers):\n    return [2 * number for number in numbers]"
    for empty, left, result in ((False, [0, 0], [0, 0]), (True, [], [])):
        exec(spoiled(answer, empty=empty), names)
        given = [1, 2]
        assert names["double"](given) == result
        assert given == left


HARMLESS = {
    "a shape that is asserted": (
        "return np.sqrt(x)",
        "roots = np.asarray(mean([4, 9]))\nassert roots.shape == (2,), 'two'\n"
        "assert np.allclose(roots, [2, 3]), 'roots'",
    ),
    "a part that is another test's": (
        "return {'sum': sum(x), 'roots': np.sqrt(x)}",
        "assert float(mean([4, 9])['sum']) == 13, 'sum'",
    ),
    "a result that is let go": (
        "return np.sqrt(x)",
        "given = [4, 9]\nmean(given)\nassert given == [4, 9], 'unchanged'\n"
        "assert np.asarray(mean(given)).tolist() == [2, 3], 'roots'",
    ),
    "nothing, where nothing is right": (
        "return list(x)",
        "assert all(mean([])), 'none'\nassert list(mean([3, 4])) == [3, 4], 'the same'",
    ),
    "a length of a list": (
        "return list(x)",
        "assert len(mean([1, 2])) == 2, 'two'\nassert list(mean([3, 4])) == [3, 4], 'the same'",
    ),
    "many calls, of which each has its share": (
        "return np.ones(1)",
        "assert sum(sum(mean(i)) for i in range(9)) == 9, 'nine'",
    ),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_a_test_may_do_is_no_fault(case: str, faulty: Faulty, engine: Engine):
    _returns(*HARMLESS[case])(faulty)
    assert unnoticed(engine, Authored.read(faulty.course, NAME), "q02-mean") == []


def test_a_test_that_cannot_be_watched_is_named(faulty: Faulty, engine: Engine):
    _returns("return x", "assert mean(2) == 2, 'two'\n_line = None\nassert mean(3) == 3, 'three'")(
        faulty
    )
    with pytest.raises(GradingError, match="q02-mean: the reference, watched: q02-mean-tests"):
        unnoticed(engine, Authored.read(faulty.course, NAME), "q02-mean")


def test_a_line_is_said_before_each_statement_that_calls_an_answer():
    answer = "class Up:\n    def by(self, x):\n        return x\n\n\ndef up():\n    return Up()"
    test = (
        "### BEGIN HIDDEN TESTS\nimport math\nfor x in (1,\n          2):\n    y = math.sqrt(x)\n"
        "    if up().by(x):\n        up()\n    else:\n        assert (\n            up())\n"
    )
    assert announced(test, answer).splitlines() == [
        "### BEGIN HIDDEN TESTS",
        "import math",
        "for x in (1, 2):",
        "    y = math.sqrt(x)",
        "    _line(6)",
        "    if up().by(x):",
        "        _line(7)",
        "        up()",
        "    else:",
        "        _line(9)",
        "        assert up()",
    ]


def test_a_watched_answer_is_right_but_for_what_is_planned():
    names: dict[str, object] = {}
    exec(watched("def double(numbers):\n    return [2 * number for number in numbers]"), names)
    line, plan, double = names["_line"], names["_plan"], names["double"]
    plan(7, "empty", 0, False)
    for at, result in ((0, [2]), (6, [2]), (7, [])):
        line(at)
        assert double([1]) == result
    plan(0, "hollow", 0, False)
    line(7)
    assert len(double([1, 2])) == 2
    assert list(double([1, 2])) == []
    plan(0, "hollow", 0, True)
    line(7)
    assert len(double([1, 2])) == 2
    assert double([1, 2]) != [2, 4]


def test_a_call_within_a_call_is_right_whatever_is_planned():
    names: dict[str, object] = {}
    answer = "def total(x):\n    return sum(copy(x))\n\n\ndef copy(x):\n    return list(x)"
    exec(watched(answer), names)
    names["_plan"](0, "hollow", 0, False)
    names["_line"](7)
    assert names["total"]([1, 2]) == 3
    assert list(names["copy"]([1, 2])) == []


def test_an_answer_gets_an_outcome_of_each_of_its_tests(faulty: Faulty, engine: Engine):
    authored = Authored.read(faulty.course, NAME)
    outcomes = answer_outcomes(engine, authored, "q01-total", "def total(numbers):\n    return 0")
    assert {test: outcome.status for test, outcome in outcomes.items()} == {
        "q01-total-tests": "failed",
        "q01-total-hidden": "failed",
    }
