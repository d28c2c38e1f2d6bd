"""Walks through one submission: students' cells run in their sandbox, tests run here.

A referee is a process of its own, forked from a warm trusted one for each submission. It holds
the hidden tests; the student's process, which it reaches over one socket, never does.

The notebook is walked through twice, each time with a fresh process of the student's. In the
first walk the outputs are kept and visible tests run, in that process, as they did when the
student ran them. In the second nothing of what is printed is kept, and hidden tests run: whatever
a function keeps of a hidden test's input, no output that anyone sees comes after it. A hidden
test runs on a copy of the process that is thrown away afterwards, so it changes nothing for the
cells and tests after it, unless the student's code leaves word for itself in a file, say.
What ends or blocks the process costs one test: the process is started again, and the cells before
that test run in it again.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import io
import json
import math
import random
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Protocol

import numpy as np

from nlp_course.grading import wire
from nlp_course.grading.job import STARVED, CellOutcome, Job, JobCell
from nlp_course.grading.remote import CallTimeout, SessionLost, Student, StudentError
from nlp_course.grading.sandbox import Client, Process
from nlp_course.grading.scoring import Status

# How often one walk starts the student's process again after a cell, not a test, has ended it.
RESTARTS = 20
# Seconds that a test gets beyond its calls' deadline, for what it does with the results.
GRACE = 5.0
# Seconds for a cell that took all of its time before: what it defines first is defined by then.
AGAIN = 2.0
MEMORY = 4 << 30  # bytes; a result may be large, and a test may make more of it
PRINTED = 20_000  # characters kept of what a test cell prints


class TestTimeout(BaseException):
    """A test took too long; no `except Exception` of the test's may catch it."""

    __test__ = False


class Session(Protocol):
    """A student's running process."""

    student: Student

    def end(self) -> str:
        """Kill what is left of it; why it ended by itself, where it did."""

    def starved(self, seconds: float) -> bool:
        """Whether it has waited so long for a core."""


class Referee:
    """One submission's walks.

    Parameters
    ----------
    job : the submission
    start : starts a student's process
    report : is given each cell's outcome, by index; a later one replaces an earlier one
    """

    def __init__(
        self,
        job: Job,
        start: Callable[[], Session],
        report: Callable[[int, CellOutcome], None],
    ) -> None:
        self._job = job
        self._start = start
        self._report = report
        self._until = time.monotonic() + job.notebook_timeout
        self._own: dict[str, Any] | None = None  # names of the set-up cells, on this side
        self._ended_it: dict[int, str] = {}  # cells that ended the process, and how
        self._too_slow: set[int] = set()  # cells that took all of their time
        self.starved = False  # it ran out of time when it had waited long for a core

    def run(self) -> None:
        """Walk through the notebook."""
        self._own = self._set_up()
        _Walk(self, hidden=False).run()
        if any(cell.kind == "test" and cell.hidden for cell in self._job.cells):
            _Walk(self, hidden=True).run()

    def _set_up(self) -> dict[str, Any]:
        """Run the instructor's set-up cells on this side."""
        names: dict[str, Any] = {"__name__": "__main__"}
        with contextlib.redirect_stdout(io.StringIO()):
            for cell in self._job.cells:
                if cell.kind == "setup":
                    exec(compile(cell.source, "<set-up>", "exec"), names)
        return names


class _Walk:
    """Once through the notebook, from a fresh process of the student's."""

    def __init__(self, referee: Referee, *, hidden: bool) -> None:
        self._job, self._hidden = referee._job, hidden
        self._referee = referee
        self._session: Session | None = None
        self._past: list[JobCell] = []
        self._starts = 0
        self._most = 1 + RESTARTS + sum(cell.kind == "test" for cell in self._job.cells)

    def run(self) -> None:
        try:
            for cell in self._job.cells:
                if cell.kind != "test":
                    self._run_cell(cell)
                elif cell.hidden == self._hidden:
                    self._referee._report(cell.index, self._test(cell))
        finally:
            if self._session is not None:
                self._session.end()

    def _seconds(self) -> float:
        """What the next cell may take."""
        left = self._referee._until - time.monotonic()
        return min(self._job.cell_timeout, max(left, 0.0))

    def _out_of_time(self) -> None:
        """Find out whose fault it is, while the process is still there."""
        if self._session is not None and self._session.starved(self._job.cell_timeout / 2):
            self._referee.starved = True

    def _live(self) -> Student:
        """The student's process, with all cells so far run in it, but for those that end it."""
        while self._session is None:
            if self._starts == self._most:
                raise SessionLost("its cells ended the process too often")
            self._starts += 1
            self._session = self._referee._start()
            if self._job.set_out:
                try:
                    self._session.student.run_cell(self._job.set_out, self._job.cell_timeout)
                except SessionLost as lost:  # no cell's fault
                    self._out_of_time()
                    self._lose(lost)
                    continue
            for cell in self._past:
                if not self._run_in(self._session.student, cell)[1]:
                    break
        return self._session.student

    def _run_in(self, student: Student, cell: JobCell) -> tuple[list[dict[str, Any]], bool]:
        """Outputs of a cell, and whether the process is still there."""
        seconds, begun, limit = self._seconds(), time.monotonic(), self._job.output_limit
        if cell.index in self._referee._too_slow:
            seconds = min(seconds, AGAIN)
        try:
            outputs = student.run_cell(cell.source, seconds, output_limit=limit)
            if time.monotonic() - begun > seconds:
                self._out_of_time()
                self._referee._too_slow.add(cell.index)
                if outputs and outputs[-1].get("ename") == "KeyboardInterrupt":
                    said = f"this cell took more than {seconds:.0f} seconds, and was stopped"
                    return [*map(dict, outputs[:-1]), _error("TimeoutError", said)], True
        except SessionLost as lost:
            if time.monotonic() - begun > seconds:
                self._out_of_time()
            why = self._lose(lost)
            self._referee._ended_it[cell.index] = why
            self._past = [past for past in self._past if past is not cell]
            return [_error("SessionLost", f"this cell ended Python itself: {why}")], False
        return [dict(output) for output in outputs], True

    def _lose(self, lost: SessionLost) -> str:
        """End the process and forget it; why it was lost."""
        session, self._session = self._session, None
        why = session.end() if session is not None else ""
        return why or str(lost)

    def _run_cell(self, cell: JobCell) -> None:
        begun = time.monotonic()
        if cell.index in self._referee._ended_it:
            return
        if self._seconds() == 0:
            self._out_of_time()
            outputs = [_error("NotRun", "the notebook had used all of its time")]
        else:
            try:
                outputs, lives = self._run_in(self._live(), cell)
            except SessionLost as lost:
                outputs, lives = [_error("NotRun", str(lost))], False
            if lives:
                self._past.append(cell)
        if not self._hidden:
            spent = time.monotonic() - begun
            self._referee._report(cell.index, CellOutcome(outputs, seconds=spent))

    def _test(self, cell: JobCell) -> CellOutcome:
        begun = time.monotonic()
        if self._seconds() == 0:
            self._out_of_time()
            return _not_run("the notebook had used all of its time")
        try:
            live, student = self._copied()
        except SessionLost as lost:
            self._out_of_time()
            self._lose(lost)
            return _not_run(str(lost))
        try:
            outcome = self._judge(cell, student)
        finally:
            if student is not live:
                student.close()
        if live.lost is not None:
            self._lose(SessionLost(live.lost))
        return dataclasses.replace(outcome, seconds=time.monotonic() - begun)

    def _copied(self) -> tuple[Student, Student]:
        """The student's process, and what a test runs on: for a hidden one a copy, if it can be."""
        live = self._live()
        if not self._hidden:
            return live, live
        try:
            return live, live.snapshot() or live
        except SessionLost as lost:  # an earlier test's copy may have taken it along
            self._lose(lost)
        live = self._live()
        return live, live.snapshot() or live

    def _judge(self, cell: JobCell, student: Student) -> CellOutcome:
        seconds = self._seconds()
        student.deadline = time.monotonic() + seconds
        student.printed = ""
        names = student.names({**(self._referee._own or {}), "student_seed": cell.seed})
        _seed(cell.seed)
        printed = io.StringIO()
        score, error, failure = None, None, Status.PASSED
        try:
            with (
                contextlib.redirect_stdout(printed),
                contextlib.redirect_stderr(printed),
                _limited(seconds + GRACE),
            ):
                score = _execute(cell, names)
        except BaseException as caught:  # the student's code chooses what a test runs into
            error = caught
            failure = _status(caught)
        if failure is Status.TIMEOUT:
            self._out_of_time()
        # A test that expects an error must not take the end of the process for one.
        if student.lost is not None and failure is not Status.TIMEOUT:
            failure, error = Status.ERROR, SessionLost(student.lost)

        said = (printed.getvalue() + student.printed)[-PRINTED:]
        outputs: list[dict[str, Any]] = []
        if said:
            outputs.append({"output_type": "stream", "name": "stdout", "text": said})
        if error is not None:
            outputs.append(_describe(error, cell))
            return CellOutcome(outputs, failure, f"{outputs[-1]['evalue']}")
        if score is not None:
            plain = {"text/plain": repr(score)}
            outputs.append(
                {
                    "output_type": "execute_result",
                    "data": plain,
                    "metadata": {},
                    "execution_count": None,
                }
            )
            if score < cell.points:
                return CellOutcome(outputs, Status.FAILED, f"{score:g} of {cell.points:g}", score)
        return CellOutcome(outputs, Status.PASSED, score=score)


def _execute(cell: JobCell, names: dict[str, Any]) -> float | None:
    """Run a test cell; the points that its last line says, as in nbgrader, if it says any."""
    tree = ast.parse(cell.source)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        exec(compile(tree, _file(cell), "exec"), names)
        return None
    tree.body.pop()
    exec(compile(tree, _file(cell), "exec"), names)
    value = eval(compile(ast.Expression(last.value), _file(cell), "eval"), names)
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        points = float(value)
        return 0.0 if math.isnan(points) else min(max(points, 0.0), cell.points)
    return None


def _file(cell: JobCell) -> str:
    return f"<{cell.grade_id}>"


def _status(error: BaseException) -> Status:
    if isinstance(error, CallTimeout | TestTimeout):
        return Status.TIMEOUT
    if isinstance(error, AssertionError) and not isinstance(error, StudentError):
        return Status.FAILED
    return Status.ERROR


def _describe(error: BaseException, cell: JobCell) -> dict[str, Any]:
    """An error as a notebook shows one, with the line of the test that failed."""
    kind = error.kind if isinstance(error, StudentError) else type(error).__name__
    lines = cell.source.splitlines()
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame.lineno for frame in frames if frame.filename == _file(cell) and frame.lineno]
    shown = [f"----> {places[-1]} {lines[places[-1] - 1].strip()}"] if places else []
    if isinstance(error, StudentError) and error.traceback_text:
        shown += ["", "Your code raised:", error.traceback_text]
    message = _one(str(error)) or _one(lines[places[-1] - 1] if places else "")
    return _error(kind, message, shown)


def _one(text: str) -> str:
    return text.strip()[:2000]


def _error(kind: str, message: str, lines: list[str] | None = None) -> dict[str, Any]:
    said = [*(lines or []), f"{kind}: {message}"]
    return {"output_type": "error", "ename": kind, "evalue": message, "traceback": said}


def _not_run(why: str) -> CellOutcome:
    return CellOutcome([_error("NotRun", why)], Status.NOT_RUN, why)


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Stop what takes longer."""

    def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise TestTimeout(f"the test took more than {seconds:.0f} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _seed(seed: int) -> None:
    """The same random numbers on a re-grade, for tests that draw some without a generator."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed % 2**63)


@dataclasses.dataclass
class _Sandboxed:
    """A student's process in the sandbox."""

    student: Student
    process: Process

    def starved(self, seconds: float) -> bool:
        try:
            return self.process.waited(5.0) >= seconds
        except TimeoutError:  # not even those that watch over it get their turn
            return True
        except EOFError:
            return False

    def end(self) -> str:
        why = self.process.ended(0.5) if self.student.lost is not None else None
        self.process.kill()
        self.student.close()
        return why or ""


def serve(channel: socket.socket, sandbox: socket.socket) -> None:
    """Referee one submission: a job in, its cells' outcomes out, one message each, then an end."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    job = Job.from_json(wire.receive(channel, None, 1 << 30).decode())
    client = Client(sandbox)

    def start() -> _Sandboxed:
        ours, theirs = socket.socketpair()
        process = client.start(theirs)
        theirs.close()
        return _Sandboxed(Student(ours, interrupt=process.interrupt), process)

    def report(index: int, outcome: CellOutcome) -> None:
        text = json.dumps([index, dataclasses.asdict(outcome)])
        wire.send(channel, text.encode())

    try:
        referee = Referee(job, start, report)
        referee.run()
        last = f"end {STARVED if referee.starved else ''}"
    except Exception:  # a fault of the course's or of ours, not of the student's
        last = "failed " + traceback.format_exc()
    wire.send(channel, last.encode())
