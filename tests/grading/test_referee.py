"""A submission walked through in the real sandbox: what right answers keep, what trouble costs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from nlp_course.grading.engine import Engine, Surroundings
from nlp_course.grading.job import STARVED, CellOutcome, Job, JobCell, Outcome
from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.referee import RESTARTS
from nlp_course.grading.scoring import Status

pytestmark = [pytest.mark.grading, pytest.mark.sandbox]

SET_UP = "import numpy as np"
VISIBLE = "np.testing.assert_allclose(means(np.eye(2)), [0.5, 0.5], rtol=1e-5)"
HIDDEN = """### BEGIN HIDDEN TESTS
generator = np.random.default_rng(student_seed)
for rows, columns in ((1, 1), (3, 4), (50, 2)):
    x = generator.normal(size=(rows, columns))
    np.testing.assert_allclose(means(x), x.mean(axis=0), rtol=1e-4, atol=1e-6)
### END HIDDEN TESTS"""
SECOND = "def double(x):\n    return 2 * x"
SECOND_TEST = "assert double(4) == 8"

STYLES = {
    "loop": [
        "def means(x):\n"
        "    result = []\n"
        "    for column in range(x.shape[1]):\n"
        "        total = 0.0\n"
        "        for row in range(x.shape[0]):\n"
        "            total += x[row, column]\n"
        "        result.append(total / x.shape[0])\n"
        "    return result"
    ],
    "vectorised": ["def means(x):\n    return x.mean(axis=0)"],
    "torch": ["import torch\n\ndef means(x):\n    return torch.as_tensor(x).mean(dim=0)"],
    "float32": ["def means(x):\n    return x.astype(np.float32).mean(axis=0)"],
    "prints and warnings": [
        "import logging, sys, warnings\n\n"
        "def means(x):\n"
        "    print('shape', x.shape)\n"
        "    print('looking', file=sys.stderr)\n"
        "    logging.warning('still looking')\n"
        "    warnings.warn('slow')\n"
        "    np.log(np.zeros(1))\n"
        "    return x.mean(axis=0)"
    ],
    "helpers in added cells": [
        "def add_up(x):\n    return sum(x)",
        "class Mean:\n    def __call__(self, x):\n        return add_up(x) / len(x)",
        "def means(x):\n    return Mean()(x)",
    ],
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(Surroundings(preload=("numpy", "torch"))) as one:
        yield one


def setup(source: str) -> JobCell:
    return JobCell(0, "setup", source, "set-up")


def answer(source: str) -> JobCell:
    return JobCell(0, "student", source)


NUMBERS = itertools.count(1)


def check(source: str, points: float = 1.0, seed: int = 7) -> JobCell:
    name = f"q{next(NUMBERS)}-tests"
    return JobCell(0, "test", source, name, name.removesuffix("-tests"), float(points), seed)


def job(*cells: JobCell, seconds: float = 20.0, notebook: float = 120.0) -> Job:
    numbered = tuple(
        JobCell(**{**cell.__dict__, "index": index}) for index, cell in enumerate(cells)
    )
    return Job(numbered, cell_timeout=float(seconds), notebook_timeout=float(notebook))


def results(outcome: Outcome) -> list[CellOutcome]:
    return [cell for _, cell in sorted(outcome.cells.items()) if cell.status is not None]


def statuses(outcome: Outcome) -> list[Status]:
    return [cell.status for cell in results(outcome)]


PASSED, FAILED, ERROR = Status.PASSED, Status.FAILED, Status.ERROR
TIMEOUT, NOT_RUN = Status.TIMEOUT, Status.NOT_RUN


@pytest.mark.parametrize("style", STYLES)
def test_a_right_answer_keeps_full_marks_in_whatever_style(engine: Engine, style: str):
    answers = map(answer, STYLES[style])
    outcome = engine.run(job(setup(SET_UP), *answers, check(VISIBLE), check(HIDDEN)))
    assert statuses(outcome) == [PASSED, PASSED], [cell.message for cell in results(outcome)]


def test_a_wrong_answer_fails_the_hidden_test_alone(engine: Engine):
    wrong = answer("def means(x):\n    return x.mean(axis=0).round(1)")
    outcome = engine.run(job(setup(SET_UP), wrong, check(VISIBLE), check(HIDDEN)))
    assert statuses(outcome) == [PASSED, FAILED]


@pytest.mark.parametrize(
    "source",
    [
        "import os, sys\nsys.stderr.write('one\\n')\nos.write(2, b'two\\n')",
        "import warnings\nwarnings.warn('watch out')",
        "import numpy as np\nnp.array([1.0]) / 0",
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import sys; sys.stderr.write(chr(33))'])",
    ],
)
def test_what_a_cell_writes_to_stderr_costs_nothing(engine: Engine, source: str):
    outcome = engine.run(job(answer(source), answer(SECOND), check(SECOND_TEST)))
    assert statuses(outcome) == [PASSED]


def test_figures_stay_in_what_a_student_gets_back(engine: Engine):
    figure = answer("import matplotlib.pyplot as plt\nplt.plot([1, 2])")
    outcome = engine.run(job(figure, answer(SECOND), check(SECOND_TEST)))
    assert any("image/png" in output.get("data", {}) for output in outcome.cells[0].outputs)
    assert statuses(outcome) == [PASSED]


# What ends, blocks, or breaks -------------------------------------------------------------------


@pytest.mark.parametrize(
    "end",
    [
        "import os; os._exit(0)",
        "import os; os.abort()",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import ctypes; ctypes.string_at(0)",
    ],
)
def test_a_cell_that_ends_the_process_costs_its_own_question(engine: Engine, end: str):
    first = "def one():\n    return 1"
    cells = [
        answer(first),
        check("assert one() == 1"),
        answer(f"{end}\n\ndef means(x):\n    return x"),
        check("assert means(3) == 3"),
        answer(SECOND),
        check(SECOND_TEST),
        check(f"### BEGIN HIDDEN TESTS\n{SECOND_TEST}\nassert one() == 1\n### END HIDDEN TESTS"),
    ]
    outcome = engine.run(job(*cells, seconds=2))
    assert statuses(outcome) == [PASSED, ERROR, PASSED, PASSED]
    (said,) = outcome.cells[2].outputs
    assert said["evalue"].startswith("this cell ended Python itself: ")


@pytest.mark.parametrize(
    ("loop", "before"),
    [
        ("while True: pass", PASSED),
        # What stops it may end the process, and what the cell had defined with it.
        ("while True:\n    try:\n        while True: pass\n    except BaseException: pass", None),
    ],
)
def test_an_endless_loop_costs_its_own_question_and_says_how_long_it_ran(
    engine: Engine, loop: str, before: Status | None
):
    cells = [
        answer(f"def before():\n    return 1\n\n{loop}\n\ndef means(x):\n    return x"),
        check("assert before() == 1"),
        check("assert means(3) == 3"),
        answer(SECOND),
        check(SECOND_TEST),
    ]
    outcome = engine.run(job(*cells, seconds=1))
    first, second, third = statuses(outcome)
    assert (second, third) == (ERROR, PASSED)
    assert before in (first, None)
    assert "1 second" in outcome.cells[0].outputs[-1]["evalue"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("os._exit(0)", ERROR),
        ("os.kill(os.getpid(), 9)", ERROR),
        ("while True: pass", TIMEOUT),
        ("time.sleep(1000)", TIMEOUT),
        ("raise SystemExit", ERROR),
        ("raise KeyboardInterrupt", ERROR),
        ("import threading\n    threading.Thread(target=time.sleep, args=(99,)).start()", PASSED),
        ("if os.fork() == 0: os._exit(0)", PASSED),
        ("if os.fork() == 0: time.sleep(1000)", PASSED),
    ],
)
def test_what_a_tested_function_does_to_its_process_costs_that_test(
    engine: Engine, body: str, expected: Status
):
    source = f"import os, time\n\ndef means(x):\n    {body}\n    return x"
    hidden = "### BEGIN HIDDEN TESTS\nassert means(5) == 5\n### END HIDDEN TESTS"
    cells = [
        answer(SECOND),
        check(SECOND_TEST),
        answer(source),
        check("assert means(3) == 3"),
        check(SECOND_TEST),
        check(hidden),
        check(f"### BEGIN HIDDEN TESTS\n{SECOND_TEST}\n### END HIDDEN TESTS"),
    ]
    outcome = engine.run(job(*cells, seconds=2))
    assert statuses(outcome) == [PASSED, expected, PASSED, expected, PASSED]


def test_a_function_that_goes_on_in_two_processes_costs_no_other_test(engine: Engine):
    source = "import os\n\ndef means(x):\n    os.fork()\n    return x"
    twice = check("assert means(3) == 3\nassert means(4) == 4")
    cells = [answer(SECOND), answer(source), twice, answer("os.fork()"), twice, check(SECOND_TEST)]
    assert statuses(engine.run(job(*cells, seconds=2))) == [PASSED] * 3


@pytest.mark.parametrize("net", ["Exception", "BaseException"])
def test_the_end_of_the_process_is_not_taken_for_an_expected_error(engine: Engine, net: str):
    test = f"try:\n    means(1)\nexcept {net}:\n    pass\nelse:\n    raise AssertionError"
    refuses = answer("def means(x):\n    raise ValueError('no')")
    ends = answer("def means(x):\n    import os\n    os._exit(0)")
    assert statuses(engine.run(job(refuses, check(test)))) == [PASSED]
    assert statuses(engine.run(job(ends, check(test)))) == [ERROR]


KEEP = answer("kept = []\n\ndef keep(x):\n    kept.append(x)\n    return list(kept)")


def test_visible_tests_follow_each_other_as_they_do_before_the_student(engine: Engine):
    tests = [check("assert keep(1) == [1]"), check("assert keep(2) == [1, 2]")]
    assert statuses(engine.run(job(KEEP, *tests))) == [PASSED, PASSED]


def test_a_hidden_test_changes_nothing_for_what_comes_after_it(engine: Engine):
    hidden = check("### BEGIN HIDDEN TESTS\nassert keep(1) == [1]\n### END HIDDEN TESTS")
    asked = job(KEEP, check("assert keep(0) == [0]"), hidden, hidden)
    assert statuses(engine.run(asked)) == [PASSED] * 3


@pytest.mark.parametrize(
    ("wait", "starved"),
    [
        ("while True: pass", False),
        ("import time; time.sleep(1000)", False),
        # Of many that could run, most wait; a neighbour's would have the same effect.
        (
            "import os\n"
            "    for _ in range(5 * os.cpu_count()):\n"
            "        if not os.fork():\n"
            "            while True: pass\n"
            "    while True: pass",
            True,
        ),
    ],
)
@pytest.mark.parametrize("where", ["cell", "visible test", "hidden test"])
def test_out_of_time_is_told_from_out_of_turn(engine: Engine, wait: str, starved: bool, where: str):
    function = answer(f"def means(x):\n    {wait}\n" + "means(1)" * (where == "cell"))
    hidden = "### BEGIN HIDDEN TESTS\n" * (where == "hidden test")
    for _ in range(20):
        outcome = engine.run(job(function, check(hidden + "means(1)"), seconds=2))
        if outcome.starved is starved:  # where other tests run beside it, it may really have waited
            break
    assert TIMEOUT in statuses(outcome) or where == "cell"
    assert outcome.starved is starved
    assert outcome.notes == ((STARVED,) if starved else ())


def test_a_hidden_test_that_takes_the_first_process_along_costs_itself_alone(engine: Engine):
    ends = answer("import os\ndef means(x):\n    os.kill(os.getppid(), 9)\n    return x")
    hidden = "### BEGIN HIDDEN TESTS\nassert "
    tests = [check(hidden + "means(1) == 1"), check(hidden + "double(4) == 8")]
    outcome = engine.run(job(ends, answer(SECOND), *tests, tests[-1]))
    assert statuses(outcome)[1:] == [PASSED, PASSED], [cell.message for cell in results(outcome)]


def test_files_that_cannot_be_laid_out_are_no_cells_fault(engine: Engine):
    cells = job(answer(SECOND), check(SECOND_TEST))
    never = engine.run(replace(cells, set_out="import os; os._exit(0)"))
    assert statuses(never) == [NOT_RUN]
    assert never.cells[0].outputs[0]["ename"] == "NotRun"


def test_tests_that_end_the_process_cost_themselves_alone(engine: Engine):
    ends = answer("import os\n\ndef end():\n    os._exit(0)")
    tests = [check("end()") for _ in range(RESTARTS + 5)]
    outcome = engine.run(job(KEEP, ends, *tests, check("assert keep(1) == [1]")))
    assert statuses(outcome) == [ERROR] * len(tests) + [PASSED]


def test_no_output_that_a_student_sees_holds_a_hidden_input(engine: Engine):
    canary = 918_273_645
    keeps = (
        "seen = []\n\n"
        "def means(x):\n"
        "    seen.append(x)\n"
        "    print('got', x)\n"
        "    with open('kept.txt', 'a') as file:\n"
        "        file.write(repr(x))\n"
        "    __builtins__.kept = getattr(__builtins__, 'kept', '') + repr(x)\n"
        "    return x"
    )
    tells = (
        "import glob, time\n"
        "print(seen, getattr(__builtins__, 'kept', None))\n"
        "print([open(path).read() for path in glob.glob('*.txt')])\n"
        "raise ValueError(seen)"
    )
    hidden = f"### BEGIN HIDDEN TESTS\nassert means({canary}) == {canary}\n### END HIDDEN TESTS"
    cells = [
        answer(keeps),
        check("assert means(3) == 3"),
        check(hidden),
        answer(tells),
        check("assert means(4) == 4\nprint(seen)"),
        check(hidden),
        answer(tells),
    ]
    asked = job(*cells)
    outcome = engine.run(asked)
    assert statuses(outcome) == [PASSED] * 4
    shown = {cell.index: outcome.cells[cell.index] for cell in asked.cells if not cell.hidden}
    assert "got 4" in json.dumps(shown[4].outputs)  # what is printed is looked for where it goes
    assert str(canary) not in json.dumps([cell.outputs for cell in shown.values()])


# Points and time --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "score", "status"),
    [
        ("1.5", 1.5, FAILED),
        ("2", 2.0, PASSED),
        ("3", 2.0, PASSED),
        ("-1", 0.0, FAILED),
        ("0", 0.0, FAILED),
        ("np.float32(0.5)", 0.5, FAILED),
        ("np.int64(1)", 1.0, FAILED),
        ("share(1) * 2", 1.0, FAILED),
        ("float('inf')", 2.0, PASSED),
        ("True", None, PASSED),
        ("None", None, PASSED),
        ("'well done'", None, PASSED),
        ("'not a line of its own'; x = 1.0", None, PASSED),
    ],
)
def test_the_last_line_of_a_test_may_give_a_part_of_its_points(
    engine: Engine, last: str, score: float | None, status: Status
):
    share = answer("def share(x):\n    return 0.5")
    (one,) = results(engine.run(job(setup(SET_UP), share, check(last, points=2))))
    assert (one.score, one.status) == (score, status)


def test_what_is_not_a_number_gives_no_points(engine: Engine):
    share = answer("def share(x):\n    return float('nan')")
    (one,) = results(engine.run(job(share, check("2 * share(1)", points=2))))
    assert one.status != PASSED
    assert one.score in (None, 0.0)


def test_a_test_that_does_not_end_is_stopped(engine: Engine):
    cells = [check("while True:\n    pass"), answer(SECOND), check(SECOND_TEST)]
    first, second = results(engine.run(job(*cells, seconds=1)))
    assert (first.status, second.status) == (TIMEOUT, PASSED)
    assert "seconds" in first.message


def test_a_notebook_out_of_time_says_so_of_what_was_not_run(engine: Engine):
    slow = answer("import time\ntime.sleep(0.8)")
    cells = [answer(SECOND), check(SECOND_TEST), *[slow] * 6, check(SECOND_TEST)]
    outcome = engine.run(job(*cells, notebook=3))
    assert statuses(outcome) == [PASSED, NOT_RUN]
    assert results(outcome)[1].message == "the notebook had used all of its time"
    assert outcome.seconds < 30


def test_a_set_up_cell_that_fails_is_the_course_s_own_fault_and_is_named(engine: Engine):
    broken = setup("import a_package_that_is_not_there")
    with pytest.raises(GradingError, match="the course's own code failed") as caught:
        engine.run(job(broken, answer(SECOND), check(SECOND_TEST)))
    assert "a_package_that_is_not_there" in str(caught.value)
    assert statuses(engine.run(job(answer(SECOND), check(SECOND_TEST)))) == [PASSED]


def test_a_re_grade_draws_the_same_inputs(engine: Engine):
    test = (
        "import random\nprint(np.random.default_rng(student_seed).random(), np.random.random(), "
        "random.random())"
    )
    one, same, other = (
        results(engine.run(job(setup(SET_UP), check(test, seed=seed))))[0].outputs
        for seed in (3, 3, 4)
    )
    assert one == same
    assert set(one[0]["text"].split()).isdisjoint(other[0]["text"].split())


def test_a_submission_without_code_has_every_test_accounted_for(engine: Engine):
    outcome = engine.run(job(check(SECOND_TEST), check(VISIBLE)))
    assert statuses(outcome) == [ERROR, ERROR]
    assert results(outcome)[0].message == "name 'double' is not defined in the notebook"
