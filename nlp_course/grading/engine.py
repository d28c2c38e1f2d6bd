"""Runs submissions: a warm trusted process for referees, a warm sandboxed one for students.

Both import what an assignment needs once; each submission then costs two forks. An engine serves
any number of threads, one submission each.
"""

from __future__ import annotations

import ast
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from nlp_course.grading import wire
from nlp_course.grading.job import CellOutcome, Job, Outcome
from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.sandbox import (
    Bounds,
    Client,
    Layer,
    Process,
    SandboxError,
    Warm,
    best_layer,
    start_sandboxed,
    start_trusted,
)
from nlp_course.grading.scoring import Status

REFEREE = "nlp_course.grading.referee:serve"
STUDENT = "nlp_course.grading.agent:serve"
# Seconds that a referee gets beyond its notebook's, to start, to kill and to answer.
MARGIN = 60.0
MESSAGE_LIMIT = 256 << 20  # bytes; what a trusted referee sends of one cell
# What answers to any assignment may import, and what takes so long that it is done once for all.
COMMON = ("import matplotlib.pyplot, torch",)


@dataclass(frozen=True)
class Surroundings:
    """What an assignment's notebooks find around them.

    Parameters
    ----------
    preload : modules that are imported once, before any notebook runs
    test_preload : those that only tests need
    withheld : modules of the course that a notebook must not find
    readable : files and folders that it may read
    closed : the course's and the class's, which a notebook must not be able to read
    environment : variables that it sees
    gpu : whether it may use the machine's GPUs
    trusting : run it even where there is no sandbox
    """

    preload: tuple[str, ...] = ()
    test_preload: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    readable: tuple[Path, ...] = ()
    closed: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=Bounds)
    gpu: bool = False
    trusting: bool = False


class Engine:
    """Two warm processes and what they are asked; close it, or use it as a context."""

    def __init__(self, around: Surroundings, *, layer: Layer | None = None) -> None:
        self.layer = layer or best_layer(allow_none=around.trusting)
        preload = [*around.preload, *around.test_preload]
        # Both at a time: each spends seconds on imports. The sandbox is started here, since it
        # ends with the thread that started it.
        with ExitStack() as stack, ThreadPoolExecutor(1) as beside:
            referees = beside.submit(start_trusted, REFEREE, preload)
            stack.callback(_close, referees)
            self._students: Warm = stack.enter_context(
                start_sandboxed(
                    STUDENT,
                    around.preload,
                    layer=self.layer,
                    withheld=around.withheld,
                    readable=around.readable,
                    closed=around.closed,
                    environment=around.environment,
                    bounds=around.bounds,
                    gpu=around.gpu,
                )
            )
            self._referees: Warm = referees.result()
            self._open = stack.pop_all()

    def run(self, job: Job) -> Outcome:
        """Run a submission; every test of it has an outcome.

        Raises
        ------
        GradingError : what the instructor wrote failed, such as the set-up cell.
        """
        begun = time.monotonic()
        ours, theirs = socket.socketpair()
        sandbox = self._students.connect()
        with ours, self._referees.connect() as control:
            referee = Client(control).start(theirs, sandbox)
            theirs.close()
            sandbox.close()
            try:
                messages, note = _follow(ours, referee, job)
            finally:
                referee.kill()
        outcome = Outcome.gather(
            messages,
            sandbox=self.layer.describe(),
            seconds=time.monotonic() - begun,
            notes=(note,) if note else (),
        )
        return _complete(outcome, job, note or "it was not reached")

    def close(self) -> None:
        """End both processes, and all that they started."""
        self._open.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _close(started: Future[Warm]) -> None:
    if started.exception() is None:
        started.result().close()


def _follow(channel: socket.socket, referee: Process, job: Job) -> tuple[list[str], str]:
    """What a referee says of each cell, and what is to be said of the whole, if anything."""
    until = time.monotonic() + job.notebook_timeout + MARGIN
    messages: list[str] = []
    try:
        wire.send(channel, job.to_json().encode())
        while True:
            left = max(until - time.monotonic(), 0.01)
            message = wire.receive(channel, left, MESSAGE_LIMIT).decode()
            if message.startswith("end "):
                return messages, message.removeprefix("end ")
            if message.startswith("failed "):
                raise GradingError(
                    "the course's own code failed while it graded: "
                    + message.removeprefix("failed ").strip()
                )
            messages.append(message)
    except TimeoutError:
        return messages, "the notebook took too long, and was stopped"
    except (EOFError, OSError):
        why = referee.ended(5.0) or "for no known reason"
        return messages, f"the process that runs the tests ended: {why}"


def _complete(outcome: Outcome, job: Job, why: str) -> Outcome:
    """The outcome with an entry for each test."""
    missing = {
        cell.index: CellOutcome(
            [
                {
                    "output_type": "error",
                    "ename": "NotRun",
                    "evalue": why,
                    "traceback": [f"NotRun: {why}"],
                }
            ],
            Status.NOT_RUN,
            why,
        )
        for cell in job.cells
        if cell.kind == "test" and cell.index not in outcome.cells
    }
    return replace(outcome, cells={**outcome.cells, **missing})


def imports(sources: Iterable[str]) -> list[str]:
    """Modules that these cells import and that are installed, but for the course's own.

    >>> imports(["import os, numpy as np", "from scipy.special import expit", "%magic"])
    ['numpy', 'os', 'scipy.special']
    """
    found = set()
    for source in sources:
        try:
            tree = ast.parse(source)
        except SyntaxError:  # a magic, or a shell command
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    return sorted(name for name in found if _installed(name) and not name.startswith("nlp_course"))


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its package is not there
        return False


class Engines:
    """Engines by what they need, started when first asked for; all closed together."""

    def __init__(self) -> None:
        self._engines: dict[str, Engine] = {}
        self._lock = threading.Lock()
        # A sandbox ends with the thread that started it, so one thread starts them all.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="engines")

    def run(self, job: Job, around: Surroundings) -> Outcome:
        """Run a submission in the engine with these surroundings; in a new one, if it has ended."""
        engine = self._get(around, None)
        try:
            return engine.run(job)
        except (SandboxError, OSError):
            return self._get(around, engine).run(job)

    def _get(self, around: Surroundings, ended: Engine | None) -> Engine:
        key = repr(around)
        with self._lock:
            known = self._engines.get(key)
            if known is None or known is ended:
                if known is not None:
                    self._starter.submit(known.close).result()
                self._engines[key] = self._starter.submit(Engine, around).result()
            return self._engines[key]

    def close(self) -> None:
        """Close them all."""
        with self._lock:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()


@cache  # a class's notebooks all ask the same
def preloads(answers: tuple[str, ...], tests: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Modules to import once: for everyone, and for tests alone."""
    everyone = imports((*COMMON, *answers))
    return tuple(everyone), tuple(name for name in imports(tests) if name not in everyone)
