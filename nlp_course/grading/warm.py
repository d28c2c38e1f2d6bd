"""A process that imports once and forks often; what the trusted and the sandboxed one run.

It is asked over a socket of whole messages, JSON with file descriptors beside it:

    connect + socket                a further client
    start id + sockets              fork; the child runs the entry on these sockets
    try id + socket                 fork; the child says which files it can read, see `attempt`
    interrupt id, kill id
    waited id                       → waited id seconds, for a core, so far
    → ready, then: started id pid · ended id why

When a client goes, all that it started is killed. A sandboxed child locks itself down before its
entry reads a byte; see `lockdown`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from nlp_course.grading import kernel, processes
from nlp_course.grading.attempt import attempt
from nlp_course.grading.lockdown import INODES, SUPERVISORS, Lock, lock_down

if sys.platform != "win32":
    import fcntl

MESSAGE_BYTES = 1 << 16
MOST_SOCKETS = 4
TICK = 0.1  # seconds between looks at memory and processes
DISK_TICK = 0.5
USERS = 128  # user ids that one warm process may hand out
FOR_ALL = ("/dev/shm", "/tmp", "/var/tmp")  # where any user may write, if it can get there


@dataclass
class Child:
    """A process that was started, and for whom."""

    key: int
    client: socket.socket
    pid: int
    report: int  # where it says why it could not be locked down
    uid: int | None = None
    own: str | None = None  # its folder, where it has no file system of its own
    why: str = ""


@dataclass
class Server:
    """What the warm process holds.

    Parameters
    ----------
    entry : what a child runs
    lock : how a child locks itself down; None for a trusted one
    wake : readable when a child has ended
    """

    entry: Callable[..., None]
    lock: Lock | None
    clients: list[socket.socket]
    wake: int
    children: dict[int, Child] = field(default_factory=dict)  # by pid

    def serve(self) -> None:
        """Answer until the first client has gone, whoever else is still there."""
        looked = measured = 0.0
        owner = self.clients[0]
        while owner in self.clients:
            watching = self.lock is not None and self.children
            heard: list[socket.socket | int] = [*self.clients, self.wake]
            ready, _, _ = select.select(heard, [], [], TICK / 2 if watching else None)
            for one in ready:
                if isinstance(one, int):
                    os.read(one, MESSAGE_BYTES)
                elif one in self.clients:
                    self._hear(one)
            self._reap()
            now = time.monotonic()
            if self.lock is not None and now - looked > TICK:
                self._watch(self.lock, disk=now - measured > DISK_TICK)
                looked = time.monotonic()
                measured = looked if now - measured > DISK_TICK else measured
        for child in list(self.children.values()):
            self._kill(child, "killed")
            os.waitpid(child.pid, 0)
            self._clean(child)

    def _hear(self, client: socket.socket) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(client, MESSAGE_BYTES, MOST_SOCKETS)
        except BlockingIOError:
            return
        except ConnectionError:
            data, descriptors = b"", []
        if not data:
            self._leave(client)
            return
        message = json.loads(data)
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        wish = message["do"]
        if wish == "connect":
            for one in sockets:
                one.setblocking(False)
            self.clients += sockets
        elif wish in ("start", "try"):
            entry = self.entry if wish == "start" else attempt
            self._start(client, message["id"], entry, sockets)
        for child in list(self.children.values()):
            if child.client is client and child.key == message.get("id"):
                if wish == "interrupt":
                    _interrupt(child.pid)
                elif wish == "kill":
                    self._kill(child, "killed")
                elif wish == "waited":
                    pids = processes.tree(child.pid, processes.look())
                    self._say(client, waited=child.key, seconds=processes.waited(pids))

    def _leave(self, client: socket.socket) -> None:
        self.clients.remove(client)
        for child in list(self.children.values()):
            if child.client is client:
                self._kill(child, "killed")
        client.close()

    def _say(self, client: socket.socket, **message: Any) -> None:
        """Who has gone, or does not listen, is not waited for."""
        with contextlib.suppress(OSError):
            client.send(json.dumps(message).encode())

    def _start(
        self,
        client: socket.socket,
        key: int,
        entry: Callable[..., None],
        sockets: list[socket.socket],
    ) -> None:
        uid = own = None
        others = 0
        if self.lock is not None and self.lock.first_user is not None:
            taken = {child.uid for child in self.children.values()}
            free = range(self.lock.first_user, self.lock.first_user + USERS)
            uid = next((one for one in free if one not in taken), None)
            if uid is None:
                self._say(client, ended=key, why=f"{USERS} notebooks were running already")
                return
        if self.lock is not None and not self.lock.namespaces:
            own = tempfile.mkdtemp(dir=self.lock.work)
            os.chmod(own, 0o755)
            others = 0 if uid is not None else _tasks_of(os.getuid())
        report, said = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._be_child(entry, sockets, said, uid, own, others)
        os.close(said)
        for one in sockets:
            one.close()
        self.children[pid] = Child(key, client, pid, report, uid, own)
        self._say(client, started=key, pid=pid)

    def _be_child(
        self,
        entry: Callable[..., None],
        sockets: list[socket.socket],
        report: int,
        uid: int | None,
        own: str | None,
        others: int,
    ) -> NoReturn:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            *kept, report = _keep_descriptors([*(one.detach() for one in sockets), report])
            os.setsid()
            if self.lock is not None:
                lock_down(self.lock, uid, own or self.lock.work, others)
                os.close(report)
            entry(*(socket.socket(fileno=number) for number in kept))
            status = 0
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 1
        except BaseException as error:
            with contextlib.suppress(OSError):  # closed, once student's code may run
                os.write(report, traceback.format_exception_only(error)[-1][:2000].encode())
        finally:
            os._exit(status)

    def _kill(self, child: Child, why: str) -> None:
        child.why = child.why or why
        # With the child, what it started loses its parents; so all are looked for first.
        processes.kill([child.pid, *processes.tree(child.pid, processes.look())])

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            child = self.children.pop(pid, None)
            if child is None:
                continue  # it was left behind, and has ended by itself
            with os.fdopen(child.report, "rb") as file:
                refused = file.read().decode(errors="replace").strip()
            self._clean(child)
            why = child.why or refused or describe_status(status)
            self._say(child.client, ended=child.key, why=why)

    def _clean(self, child: Child) -> None:
        """Kill what outlived a child, and take its files away."""
        if self.lock is None or self.lock.namespaces:
            return
        if child.uid is not None:
            _end_all_of(child.uid)
            _remove_all_of(child.uid)
        else:
            self._kill_orphans()
        if child.own is not None:
            _remove(child.own)

    def _kill_orphans(self) -> None:
        """What children left behind is ours; while one is there it may have started another."""
        while True:
            seen = processes.look()
            known = {pid for child in self.children for pid in processes.tree(child, seen)}
            left = [pid for pid in processes.tree(os.getpid(), seen)[1:] if pid not in known]
            if not left:
                return
            processes.kill(left)
            for pid in left:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)

    def _watch(self, lock: Lock, *, disk: bool) -> None:
        seen = processes.look() if self.children else {}
        for child in self.children.values():
            pids = processes.tree(child.pid, seen)
            if child.uid is not None:
                known = set(pids)
                left = (one.pid for one in seen.values() if one.uid == child.uid)
                pids += [pid for pid in left if pid not in known]
            if len(pids) >= lock.processes + SUPERVISORS:
                self._kill(child, f"it had {lock.processes} processes, or more")
            elif self._memory(pids, child, seen) > lock.memory:
                self._kill(child, f"it used more than {lock.memory >> 20} MB of memory")
            elif disk and child.own is not None and self._disk(pids, child) > lock.disk:
                self._kill(child, f"it wrote more than {lock.disk >> 20} MB, or too many files")

    def _memory(self, pids: list[int], child: Child, seen: dict[int, processes.Seen]) -> int:
        """Bytes of memory; counted only where the quick answer leaves room for doubt.

        The first processes run nothing of the student's, and do not let themselves be looked at.
        """
        most = sum(seen[pid].resident for pid in pids)
        if self.lock is None or most <= self.lock.memory:
            return most
        running = pids[SUPERVISORS if self.lock.namespaces else 1 :]
        return min(most, _measure(child.uid, lambda: processes.memory(running)))

    def _disk(self, pids: list[int], child: Child) -> int:
        total = processes.written(child.own or "", INODES)
        total += _measure(child.uid, lambda: processes.unnamed(pids[1:]))
        if child.uid is not None:
            total += sum(processes.written(place, INODES, child.uid) for place in FOR_ALL)
        return total


def _measure(uid: int | None, measure: Callable[[], int]) -> int:
    """What is counted by who may: us, or else the student's own user."""
    said = measure()
    if said >= processes.NOBODYS and uid is not None:
        return processes.as_user(uid, measure)
    return said


def _interrupt(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)


def _tasks_of(uid: int) -> int:
    """Threads of a user, which the kernel counts as processes."""
    total = 0
    for one in processes.look().values():
        with contextlib.suppress(OSError):
            total += len(os.listdir(f"/proc/{one.pid}/task")) if one.uid == uid else 0
    return total


def _keep_descriptors(kept: list[int]) -> list[int]:
    """Of all open files only these stay, from 3 on; the standard ones go nowhere."""
    first, end = 3, 3 + len(kept)
    high = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, end) for number in kept]
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(first):
        os.dup2(nowhere, number)
    for place, number in enumerate(high, first):
        os.dup2(number, place, inheritable=False)
    os.closerange(end, os.sysconf("SC_OPEN_MAX"))
    return list(range(first, end))


def describe_status(status: int) -> str:
    """How a process ended, as waitpid says it or a shell does."""
    code = os.waitstatus_to_exitcode(status)
    number = -code if code < 0 else code - 128
    if number > 0 and number in set(signal.Signals):
        return f"it was ended by {signal.Signals(number).name}"
    return f"it ended itself with status {code}"


def _end_all_of(uid: int) -> None:
    while left := [one.pid for one in processes.look().values() if one.uid == uid]:
        processes.kill_all_of(uid)
        for pid in left:
            with contextlib.suppress(ChildProcessError):  # another's child, so far
                os.waitpid(pid, 0)


def _remove(folder: str) -> None:
    """Remove a folder that was a student's, however deep, and whatever its modes."""
    for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        subprocess.run([*command, "--", folder], check=False, capture_output=True)


def _remove_all_of(uid: int) -> None:
    for entry in (
        entry for place in FOR_ALL if os.path.isdir(place) for entry in os.scandir(place)
    ):
        with contextlib.suppress(FileNotFoundError):
            if entry.stat(follow_symlinks=False).st_uid == uid:
                _remove(entry.path)


def _import(names: Iterable[str]) -> str:
    """Import modules; what went wrong with the first that cannot be."""
    missing = ""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            missing = missing or f"{name} ({type(error).__name__}: {error})"
    return missing


def main(descriptor: int, entry: str, preload: list[str], lock: dict[str, Any] | None) -> None:
    """Run until who started it has gone."""
    control = socket.socket(fileno=descriptor)
    begun = time.monotonic()
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    missing = _import(preload)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    module, _, function = entry.partition(":")
    found = importlib.import_module(module)
    getattr(found, "prepare", lambda: None)()
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    gc.collect()
    gc.freeze()  # so that collections in a child touch, and copy, none of it
    kernel.collapse()
    threads = len(os.listdir("/proc/self/task"))
    said = {"ready": time.monotonic() - begun, "missing": missing, "threads": threads}
    control.setblocking(False)
    control.send(json.dumps(said).encode())
    Server(getattr(found, function), Lock(**lock) if lock else None, [control], wake).serve()
