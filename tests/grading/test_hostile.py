"""No hostile notebook gains a mark, reads a hidden test, touches another, or stops the class.

The set is graded once, as one class with honest students in it, by the command an instructor
uses; each test then looks at one thing it did. What the notebooks try is in `hostile/`.
"""

from __future__ import annotations

import ast
import html
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.grading import hostile_class as graded
from tests.grading import hostile_course as hostile

pytestmark = pytest.mark.grading
SCRIPTS = {script.name: script for script in hostile.scripts()}
# What a process that outlives grading gets to do its harm, before it is looked for.
LATER = 6.0
FEEDBACK_BYTES = 5 << 20
each = pytest.mark.parametrize("name", SCRIPTS)


def test_there_are_enough():
    assert len(SCRIPTS) >= 55


@each
def test_a_script_says_what_it_tries_and_runs_nothing_by_itself(name: str):
    script = SCRIPTS[name]
    first = ast.parse(script.text).body[0]
    assert ast.unparse(first) == ast.unparse(ast.parse(hostile.GUARD).body[0])
    assert script.about
    assert script.expectations["gains"] == "nothing"
    assert script.keeps | script.may_keep <= hostile.ANSWERS.keys()


@each
def test_what_stock_nbgrader_is_given_leaves_no_process_and_takes_no_machine(name: str):
    if not SCRIPTS[name].stock:
        return
    harmful = r"fork\(|Popen|setsid|posix_spawn|nohup|killpg|getppid|os\.kill\((?!os\.getpid)"
    assert not re.search(harmful, SCRIPTS[name].text)
    assert not name.startswith(("bombs_", "fills_", "kills_everyone", "leaves_process"))


@each
def test_a_script_stands_under_the_layer_it_is_for(name: str):
    """The handbook's reader looks there for what a sandbox must have."""
    listed = re.findall(r"`([a-z0-9_*]+)`", (hostile.SET / "README.md").read_text())
    assert any(fnmatch(name, pattern) for pattern in listed)


@pytest.fixture(scope="module")
def stage() -> Iterator[graded.Stage]:
    """A course and a class, in a folder that others may read, so that the sandbox must hide it."""
    with tempfile.TemporaryDirectory(prefix="hostile-stage-") as folder:
        yield graded.Stage(Path(folder))


@pytest.fixture(scope="module")
def given(stage: graded.Stage) -> bytes:
    return stage.write()


def test_the_release_tells_no_secret(stage: graded.Stage, given: bytes):
    assert stage.known.told(given.decode()) == []
    source = (stage.course_folder / f"solutions/{hostile.NAME}/{hostile.NAME}.ipynb").read_text()
    assert {"hidden", "word", "number", "expected"} <= set(stage.known.told(source))
    assert len(hostile.hidden_lines(stage.known)) > 15


@each
def test_a_script_becomes_a_notebook(given: bytes, name: str):
    places = {**dict.fromkeys(hostile.PLACES, "/nowhere"), "TCP": "1", "UDP": "2", "VICTIM": "3"}
    files = hostile.submission(SCRIPTS[name], given, places)
    made = json.loads(files[f"{hostile.NAME}.ipynb"])
    assert made["cells"]
    assert made != json.loads(given) or len(files) > 1
    assert not re.search(r"@[A-Z]{3,}@", json.dumps(made))


def test_a_secret_is_found_in_its_usual_disguises():
    known = hostile.Secrets()
    word = known.word
    for said in (word, word[::-1], word.encode().hex(), f"<b>{word.upper()}</b>", " ".join(word)):
        assert known.told(f"a line {said} more") == ["word"]
    assert known.told("nothing") == []


@dataclass(frozen=True)
class Batch:
    """The class, graded."""

    results: dict[str, graded.Result]
    honest: dict[str, float]
    seconds: float
    changed: list[str]
    left_behind: list[str]
    touched: list[str]
    reached: list[str]
    rows: list[tuple[object, ...]]
    rows_later: list[tuple[object, ...]]
    hidden_lines: list[str]


@pytest.fixture(scope="module")
def batch(stage: graded.Stage, given: bytes) -> Batch:
    if sys.platform != "linux":
        pytest.skip("untrusted notebooks are graded on Linux only")
    honest = hostile.honest(given, stage.known)
    with stage.listening():
        handed = {student: files for student, (files, _) in honest.items()}
        handed |= {
            name: hostile.submission(script, given, stage.places)
            for name, script in SCRIPTS.items()
        }
        graded.hand_in(stage.class_folder, handed)
        before = stage.fingerprint()
        begun = time.monotonic()
        results = graded.grade_class(stage.class_folder, stage.environment)
        seconds = time.monotonic() - begun
        rows = graded.gradebook_rows(stage.class_folder)
        time.sleep(LATER)
        later = graded.gradebook_rows(stage.class_folder)
        after = stage.fingerprint()
        left_behind = stage.left_behind()
    return Batch(
        results,
        {student: points for student, (_, points) in honest.items()},
        seconds,
        [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)],
        left_behind,
        stage.touched(),
        stage.connections,
        rows,
        later,
        hostile.hidden_lines(stage.known),
    )


@pytest.mark.slow
@pytest.mark.sandbox
@each
def test_it_gains_nothing(batch: Batch, name: str):
    script, result = SCRIPTS[name], batch.results[name]
    if script.keeps:
        assert not result.failure
    got = {question: result.of(question) for question in hostile.ANSWERS}
    for question, points in got.items():
        if question in script.keeps:
            assert points == 3, question
        elif question not in script.may_keep:
            assert points == 0, question


@pytest.mark.slow
@pytest.mark.sandbox
@each
def test_it_reads_nothing_hidden(batch: Batch, stage: graded.Stage, name: str):
    result = batch.results[name]
    assert stage.known.told(result.shown) == []
    assert stage.known.told(result.feedback) == []
    plain = html.unescape(result.feedback) + json.dumps(result.shown)
    text = BeautifulSoup(result.feedback, "html.parser").get_text()
    assert [line for line in batch.hidden_lines if line in plain or line in text] == []
    assert not stage.reached(result)


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.parametrize("name", [*SCRIPTS, "a-student-01", "z-student-04"])
def test_its_feedback_runs_nothing_and_asks_no_other_host(batch: Batch, name: str):
    page = batch.results[name].feedback
    assert len(page) < FEEDBACK_BYTES
    assert graded.live_parts(page) == []


@pytest.mark.parametrize(
    "page",
    [
        "<script>1</script>",
        "<img src='//other.invalid/a'>",
        "<img src=x onerror=alert(1)>",
        "<a href='java\nscript:1'>x</a>",
        "<style>@import 'a'</style>",
        "<p style='background: url(https://other.invalid)'>",
        "<meta http-equiv=refresh content=0>",
    ],
)
def test_a_page_that_runs_or_fetches_is_seen(page: str):
    assert graded.live_parts(page)
    assert (
        graded.live_parts("<p><a href='https://other.invalid'>x</a><img src='data:image/png;,'>")
        == []
    )


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.parametrize("name", [*SCRIPTS, "z-student-03", "z-student-04"])
def test_its_pages_hold_nothing_that_a_script_takes_for_a_mark(batch: Batch, name: str):
    """The formgrader's script finds marks by ids, and buttons by classes, wherever they stand."""
    result, honest = batch.results[name], batch.results["a-student-01"]
    assert result.marking or result.failure
    assert graded.planted(result.marking, honest.marking) == []
    assert graded.planted(result.feedback, honest.feedback) == []
    if result.marking:
        assert graded.planted(honest.marking, result.marking) == []
    shown = [output for outputs in json.loads(result.shown or "[]") for output in outputs]
    kinds = {kind for output in shown for kind in output.get("data", {})}
    assert {kind for kind in kinds if not kind.startswith(("text/plain", "image/"))} == set()


@pytest.mark.parametrize(
    "plant",
    [
        "<i id='q01-total-tests'></i>",
        "<b class='full-credit'>x</b>",
        "<input type='number'>",
        "<form action='x'></form>",
        "<style>p { color: red }</style>",
        "<p style='position: fixed'>x</p>",
        "<p style='color: rgb(0,0,0); position: fixed'>x</p>",
        "<a data-toggle='modal' href='#x'>x</a>",
    ],
)
def test_what_a_script_could_take_for_a_mark_is_seen(plant: str):
    page = "<button class='full-credit'>x</button><input class='score' id='q01-total-tests'>"
    text = (
        "<div class='cell text_cell' id='cell-id=1'><pre><b class='ansi-red-fg'>x</b>"
        "<i class='nb'>x</i><i style='color: rgb(1,2,3)'>x</i></pre><a href='#x'>x</a></div>"
    )
    assert graded.planted(page + text, page) == []
    assert graded.planted(page + text + plant, page)
    assert graded.planted(plant + page, page)


@pytest.mark.slow
@pytest.mark.sandbox
def test_honest_students_in_the_same_class_keep_their_marks(batch: Batch):
    assert {name: batch.results[name].points for name in batch.honest} == batch.honest


@pytest.mark.slow
@pytest.mark.sandbox
def test_nobody_reads_what_another_student_wrote(batch: Batch, stage: graded.Stage):
    for name, result in batch.results.items():
        if name != "a-student-02":
            assert stage.known.neighbour not in result.shown + result.feedback, name
    assert stage.known.neighbour in batch.results["a-student-02"].feedback


@pytest.mark.slow
@pytest.mark.sandbox
def test_everyone_has_a_result_and_who_has_none_is_told_why(batch: Batch):
    assert batch.results.keys() == SCRIPTS.keys() | batch.honest.keys()
    for name, result in batch.results.items():
        assert result.tests or result.failure, name


@pytest.mark.slow
@pytest.mark.sandbox
def test_the_gradebook_says_what_the_command_says_and_nothing_else(batch: Batch):
    points: dict[object, float] = {}
    for student, cell, automatic, manual, extra, maximum in batch.rows:
        kind = str(cell).rpartition("-")[2]
        assert maximum == {"tests": 1, "hidden": 2, "why": 4}[kind], (student, cell)
        assert manual is None, (student, cell)
        assert extra in (None, 0), (student, cell)
        if kind != "why":
            points[student] = points.get(student, 0.0) + float(str(automatic or 0))
    graded = {name: result.points for name, result in batch.results.items() if result.tests}
    assert {name: points[name] for name in graded} == graded


@pytest.mark.slow
@pytest.mark.sandbox
def test_nothing_happens_after_grading(batch: Batch):
    assert batch.rows_later == batch.rows
    assert batch.left_behind == []


@pytest.mark.slow
@pytest.mark.sandbox
def test_no_file_of_anyone_else_is_changed(batch: Batch):
    assert batch.changed == []
    assert batch.touched == []


@pytest.mark.slow
@pytest.mark.sandbox
def test_nobody_reaches_a_server_or_another_process(batch: Batch):
    assert batch.reached == []


@pytest.mark.slow
@pytest.mark.sandbox
def test_the_class_is_graded_in_bounded_time(batch: Batch):
    assert batch.seconds < graded.BATCH_SECONDS
