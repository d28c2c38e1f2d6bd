"""Keeps a student's notebook apart from the machine, from the tests and from other students.

The best of several layers that the machine allows, found by trying, and said in every report.
Nothing here runs with less than its layer promises: a first process is locked down and asked what
it can read before any notebook is run, and where a machine allows too little, grading is refused.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO

from nlp_course.grading import processes, staging
from nlp_course.grading.client import MESSAGE_BYTES, Client, Process
from nlp_course.grading.layers import FIRST_USER, Layer, SandboxError, best_layer, probe
from nlp_course.grading.lockdown import Lock
from nlp_course.grading.warm import USERS

__all__ = [
    "Bounds",
    "Client",
    "Layer",
    "Process",
    "SandboxError",
    "Warm",
    "best_layer",
    "probe",
    "start_sandboxed",
    "start_trusted",
]

STARTUP_SECONDS = 180.0
ATTEMPT_SECONDS = 20.0
CLOSED_FILES = 2000  # of those that must be closed, how many a first process tries to read
RANGES = 43  # of user ids, from FIRST_USER on; the next would reach the system's "nobody"
# A process with threads cannot be forked safely; and notebooks run side by side anyway.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Bounds:
    """What one notebook may use: bytes of memory, processes, bytes of a file and of all files."""

    memory: int = 3 << 30
    processes: int = 64
    file_bytes: int = 256 << 20
    disk: int = 512 << 20
    open_files: int = 512


class Warm:
    """A running warm process; close it, or use it as a context."""

    def __init__(self, control: socket.socket, ready_seconds: float, held: ExitStack) -> None:
        self._control, self._held = control, held
        self._lock = threading.Lock()
        self.ready_seconds = ready_seconds

    def connect(self) -> socket.socket:
        """A socket for another client; it may be handed to another process.

        Raises
        ------
        SandboxError : the warm process has gone.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with self._lock, theirs:
                socket.send_fds(self._control, [b'{"do": "connect"}'], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise SandboxError("the process that starts notebooks has ended") from error
        return ours

    def close(self) -> None:
        """End it, and all that it started."""
        self._held.close()

    def __enter__(self) -> Warm:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def start_trusted(entry: str, preload: Sequence[str]) -> Warm:
    """A warm process that nothing keeps apart; its children run `entry`, `module:function`.

    Raises
    ------
    SandboxError : it did not start, or a module to preload cannot be imported.
    """
    environment = {**os.environ, **ONE_THREAD, "NLP_COURSE_GRADING": "1"}
    with ExitStack() as stack:
        return _run(stack, [sys.executable], entry, preload, None, environment, [])


def start_sandboxed(
    entry: str,
    preload: Sequence[str],
    *,
    layer: Layer,
    withheld: Sequence[str] = (),
    readable: Sequence[Path] = (),
    closed: Sequence[Path] = (),
    environment: Mapping[str, str] = NOTHING,
    bounds: Bounds = Bounds(),
    gpu: bool = False,
) -> Warm:
    """A warm process in a sandbox, whose children lock themselves down.

    Parameters
    ----------
    withheld : modules of the course that no notebook finds
    readable : files and folders that notebooks may read
    closed : files and folders that none of them may: the course's, the class's
    environment : variables that they see

    Raises
    ------
    SandboxError : it did not start, or it would not keep its promises: a step was refused, or
        something closed can be read.
    """
    _keep_apart(closed, readable)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nlp-course-")))
        place.chmod(0o711)
        staged = staging.stage(place / "course", withheld)
        work = place / "work"
        work.mkdir(mode=0o711)
        seen = [*staging.python_folders(), *(str(path.absolute()) for path in readable)]
        inside = layer.bubblewrap
        lock = Lock(
            namespaces=layer.namespaces,
            landlock=layer.landlock,
            filtered=layer.filtered,
            work=staging.NOTEBOOKS if inside else str(work),
            first_user=_claim_users(stack) if layer.users else None,
            **dataclasses.asdict(bounds),
            gpu=gpu,
            readable=_readable([*staging.SYSTEM, *seen], inside, staged) if layer.landlock else (),
            below_tmp=tuple(path for path in seen if path.startswith("/tmp/")),
            devices=tuple(staging.devices()) if gpu else (),
            environment=_environment(staging.COURSE if inside else str(staged), environment),
        )
        command = [sys.executable]
        if inside:
            program = shutil.which("bwrap") or "bwrap"
            shown = staging.bubblewrap(program, staged, seen, gpu=gpu, disk=8 * bounds.disk)
            command = [*shown, *command]
        own = lock.work if inside else str(place)  # what libraries keep while they are imported
        environment = {**lock.environment, "HOME": own, "TMPDIR": own, "MPLCONFIGDIR": own}
        paths = lock.environment["PYTHONPATH"].split(os.pathsep)
        warm = _run(stack, command, entry, preload, lock, environment, paths)
        try:
            if layer.filtered:
                _attempt(warm, layer, [*closed, staging.package_folder()], seen, withheld)
        except BaseException:
            warm.close()
            raise
        return warm


def _keep_apart(closed: Sequence[Path], readable: Sequence[Path]) -> None:
    for path in closed:
        for folder in readable:
            if folder.is_dir() and path.resolve().is_relative_to(folder.resolve()):
                raise SandboxError(
                    f"notebooks may read {folder}, and {path} lies in it: keep the data that "
                    "NLTK_DATA and NLP_COURSE_DATA name in a folder with nothing else"
                )


def _readable(paths: Sequence[str], inside: bool, staged: Path) -> tuple[str, ...]:
    """The same, but for the course's package; bubblewrap has covered that already."""
    if inside:
        return (*paths, staging.COURSE)
    own = staging.package_folder()
    return (*(part for path in paths for part in staging.without(path, own)), str(staged))


def _environment(course: str, more: Mapping[str, str]) -> dict[str, str]:
    paths = [course, *staging.own_packages(), more.get("PYTHONPATH", "")]
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        **ONE_THREAD,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "NLP_COURSE_GRADING": "1",
        **more,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def _claim_users(stack: ExitStack) -> int:
    """The first of a range of user ids that no other grading on this machine uses.

    A socket's name in the kernel is the claim: it is given up with whatever ends this process.
    """
    used = {one.uid for one in processes.look().values()}
    for number in range(RANGES):
        first = FIRST_USER + number * USERS
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0nlp-course-users-{first}")
        except OSError:
            claim.close()
            continue
        stack.enter_context(claim)
        if used.isdisjoint(range(first, first + USERS)):
            return first
    raise SandboxError(f"{RANGES} gradings run on this machine already, or others use their ids")


def _run(
    stack: ExitStack,
    command: Sequence[str],
    entry: str,
    preload: Sequence[str],
    lock: Lock | None,
    environment: Mapping[str, str],
    paths: Sequence[str],
) -> Warm:
    """Start a warm process, which then holds what the stack held."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stack.enter_context(ours)
    described = dataclasses.asdict(lock) if lock is not None else None
    settings = {"entry": entry, "preload": list(preload), "lock": described}
    code = (
        "import json, sys; number, settings, *paths = sys.argv[1:]; sys.path[:0] = paths; "
        "from nlp_course.grading.warm import main; main(int(number), **json.loads(settings))"
    )
    arguments = [*command, "-P", "-c", code, str(theirs.fileno()), json.dumps(settings), *paths]
    errors: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    with theirs:
        process = subprocess.Popen(
            arguments,
            pass_fds=[theirs.fileno()],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd="/",
            start_new_session=True,
        )
    stack.enter_context(_ended_at_last(process, ours))
    seconds = _ready(ours, process, errors)
    return Warm(ours, seconds, stack.pop_all())


@contextmanager
def _ended_at_last(process: subprocess.Popen[bytes], control: socket.socket) -> Iterator[None]:
    try:
        yield
    finally:
        control.shutdown(socket.SHUT_RDWR)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(control: socket.socket, process: subprocess.Popen[bytes], errors: IO[bytes]) -> float:
    control.settimeout(STARTUP_SECONDS)
    try:
        data = control.recv(MESSAGE_BYTES)
    except TimeoutError as error:
        raise SandboxError(f"it was not ready after {STARTUP_SECONDS:.0f} seconds") from error
    except ConnectionError:
        data = b""
    finally:
        control.settimeout(None)
    if not data:
        process.wait(10)
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
        raise SandboxError(f"the sandbox did not start: {' / '.join(lines[-3:])}")
    said = json.loads(data)
    if said["missing"]:
        raise SandboxError(
            f"a module that the assignment uses cannot be imported: {said['missing']}"
        )
    if said["threads"] != 1:
        raise SandboxError("a module that the assignment uses starts threads when it is imported")
    return float(said["ready"])


def _attempt(
    warm: Warm,
    layer: Layer,
    closed: Sequence[Path],
    seen: Sequence[str],
    withheld: Sequence[str],
) -> None:
    """Lock a first process down, and have it try to read what it must not, and what it must."""
    ours, theirs = socket.socketpair()
    with ours, warm.connect() as control:
        process = Client(control).start(theirs, do="try")
        theirs.close()
        ours.settimeout(ATTEMPT_SECONDS)
        asked = {
            "closed": list(_files(closed, seen)),
            "open": [os.__file__, *seen],
            "withheld": list(withheld),
        }
        try:
            with ours.makefile("rwb") as file:
                file.write(json.dumps(asked).encode())
                file.flush()
                ours.shutdown(socket.SHUT_WR)
                said = file.read()
        except OSError:
            said = b""
        if not said:
            why = process.ended(ATTEMPT_SECONDS) or "it did not answer"
            raise SandboxError(f"the sandbox {layer.name} could not be closed: {why}")
    answer = json.loads(said)
    if answer["readable"]:
        raise SandboxError(
            f"notebooks could read {answer['readable'][0]}. Keep it in a folder that only you may "
            "open (chmod -R go= FOLDER) and that is no part of what notebooks are given"
        )
    if answer["found"]:
        raise SandboxError(
            f"notebooks could import {answer['found'][0]}: the course is installed in two places"
        )
    if answer["missing"]:
        instead = "" if layer.bubblewrap else "install bubblewrap, with which it need not be, or "
        raise SandboxError(
            f"notebooks could not read {answer['missing'][0]}, which they need: {instead}"
            "open it to all users (chmod -R a+rX), and its folders too"
        )


def _files(paths: Sequence[Path], seen: Sequence[str]) -> Iterator[str]:
    """These paths, and what is in them, up to a number; not what is seen, nor what holds that."""
    open_ = [Path(path) for path in seen]
    every = (inner for path in paths for inner in [path, *path.rglob("*")])
    closed = (
        str(path)
        for path in every
        if not any(path.is_relative_to(one) or one.is_relative_to(path) for one in open_)
    )
    return itertools.islice(closed, CLOSED_FILES)
