"""Processes that import once and fork often: what they start, stop, and do not keep."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nlp_course.grading import layers, staging
from nlp_course.grading.layers import Layer, Probe, best_layer, probe
from nlp_course.grading.sandbox import (
    Client,
    Process,
    SandboxError,
    Warm,
    start_sandboxed,
    start_trusted,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="warm processes are forked")
pytestmark = [pytest.mark.grading, linux]
STUDENT = "nlp_course.grading.agent:serve"

ENTRIES = '''
"""What warm processes of these tests run."""
import os, signal, subprocess, sys, time


def echo(channel, *more):
    while data := channel.recv(1000):
        channel.sendall(data + str(len(more)).encode())


def number(channel):
    channel.sendall(str(os.getpid()).encode())
    channel.recv(1)


def fails(channel):
    raise ValueError("not today")


def leaves(channel):
    sys.exit(3)


def interrupted(channel):
    try:
        channel.sendall(b"r")
        time.sleep(60)
    except KeyboardInterrupt:
        channel.sendall(b"stopped")


def descriptors(channel):
    channel.sendall(" ".join(os.listdir("/proc/self/fd")).encode())


def works(channel):
    children = []
    for _ in range(3 * len(os.sched_getaffinity(0))):
        children.append(os.fork())
        if not children[-1]:
            while True:
                pass
    time.sleep(2)
    channel.sendall(b"done")
    channel.recv(1)


def starts_more(channel):
    child = subprocess.Popen(["sleep", "61"])
    channel.sendall(str(child.pid).encode())
    channel.recv(1)
'''


@pytest.fixture(autouse=True)
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "entries.py").write_text(ENTRIES)
    (tmp_path / "threaded.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    )
    (tmp_path / "broken.py").write_text("raise RuntimeError('this module is broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def start(warm: Warm, control: socket.socket | None = None) -> tuple[socket.socket, Process]:
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    process = Client(control or warm.connect()).start(theirs)
    theirs.close()
    return ours, process


def gone(pid: int, seconds: float = 2.0) -> bool:
    """Whether a process has ended by then; one that only waits to be waited for has."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def echoing() -> Iterator[Warm]:
    with start_trusted("entries:echo", []) as warm:
        yield warm


def test_child_serves_the_socket_that_it_was_given(echoing: Warm) -> None:
    channel, process = start(echoing)
    with channel:
        channel.sendall(b"a")
        assert channel.recv(9) == b"a0"
        assert process.ended(0.05) is None
    assert process.ended(5.0) == "it ended itself with status 0"


def test_child_gets_every_socket_that_was_passed(echoing: Warm) -> None:
    ours, theirs = socket.socketpair()
    more, beside = socket.socketpair()
    with closing(echoing.connect()) as control, ours, theirs, more, beside:
        Client(control).start(theirs, beside)
        ours.sendall(b"a")
        ours.settimeout(5)
        assert ours.recv(9) == b"a1"


def test_clients_do_not_see_each_others_processes(echoing: Warm) -> None:
    with closing(echoing.connect()) as first, closing(echoing.connect()) as second:
        channel, process = start(echoing, first)
        other, _ = start(echoing, second)
        process.kill()  # both are their client's first
        assert process.ended(5.0) == "killed"
        other.sendall(b"a")
        assert other.recv(9) == b"a0"
        channel.close()
        other.close()


@pytest.mark.parametrize(
    ("entry", "why"),
    [("fails", "ValueError: not today"), ("leaves", "it ended itself with status 3")],
)
def test_reason_of_an_end_reaches_who_asked(entry: str, why: str) -> None:
    with start_trusted(f"entries:{entry}", []) as warm:
        channel, process = start(warm)
        with channel:
            assert why in (process.ended(5.0) or "")


def test_end_by_a_signal_is_named(echoing: Warm) -> None:
    with start_trusted("entries:number", []) as warm:
        channel, process = start(warm)
        with channel:
            os.kill(int(channel.recv(20)), signal.SIGSEGV)
            assert process.ended(5.0) == "it was ended by SIGSEGV"


def test_interrupt_is_a_keyboard_interrupt() -> None:
    with start_trusted("entries:interrupted", []) as warm:
        channel, process = start(warm)
        with channel:
            assert channel.recv(1) == b"r"
            process.interrupt()
            assert channel.recv(9) == b"stopped"
            assert process.ended(5.0) == "it ended itself with status 0"


def test_kill_ends_what_a_child_started() -> None:
    with start_trusted("entries:starts_more", []) as warm:
        channel, process = start(warm)
        with channel:
            pid = int(channel.recv(20))
            process.kill()
            assert process.ended(5.0) == "killed"
            assert gone(pid)


def test_children_end_when_their_client_goes() -> None:
    with start_trusted("entries:starts_more", []) as warm:
        control = warm.connect()
        channel, _ = start(warm, control)
        pid = int(channel.recv(20))
        control.close()
        assert gone(pid)
        assert channel.recv(1) == b""
        channel.close()
        again, _ = start(warm)
        assert int(again.recv(20)) != pid
        again.close()


def test_all_ends_when_the_warm_process_is_closed() -> None:
    with start_trusted("entries:number", []) as warm:
        channel, process = start(warm)
        pid = int(channel.recv(20))
    assert gone(pid)
    with pytest.raises(SandboxError, match="has ended"):
        warm.connect()
    assert process.ended(1.0) == "the process that starts notebooks has ended"
    channel.close()


def test_child_holds_no_descriptor_but_its_own() -> None:
    with start_trusted("entries:descriptors", []) as warm:
        first, _ = start(warm)
        second, _ = start(warm)
        for channel in (first, second):
            with channel:
                # The standard ones, its socket, its report, and the list itself.
                assert set(channel.recv(1000).decode().split()) <= set("012345")


def test_open_client_does_not_keep_a_closed_warm_process_alive() -> None:
    with start_trusted("entries:number", []) as warm:
        control = warm.connect()
        channel, _ = start(warm, control)
        pid = int(channel.recv(20))
        begun = time.monotonic()
    assert time.monotonic() - begun < 5.0
    assert gone(pid)
    control.close()
    channel.close()


def test_two_hundred_starts_leave_nothing_behind(echoing: Warm) -> None:
    control = echoing.connect()
    client = Client(control)

    def once() -> None:
        ours, theirs = socket.socketpair()
        process = client.start(theirs)
        theirs.close()
        ours.settimeout(10)
        ours.sendall(b"a")
        assert ours.recv(9) == b"a0"
        ours.close()
        assert process.ended(10.0)

    with start_trusted("entries:number", []) as other:
        channel, _ = start(other)
        child = int(channel.recv(20))
        channel.close()
    assert gone(child)
    warm = _parent_of_next(echoing)
    for _ in range(20):
        once()
    before = _held(warm)
    begun = time.monotonic()
    for _ in range(200):
        once()
    seconds = time.monotonic() - begun
    after = _held(warm)
    control.close()
    assert after["descriptors"] == before["descriptors"]
    assert after["children"] == before["children"]
    assert after["memory"] < before["memory"] + (2 << 20)
    assert seconds < 60


def _parent_of_next(warm: Warm) -> int:
    """The warm process's number: its child's stat names it."""
    before = {name for name in os.listdir("/proc") if name.isdigit()}
    channel, _ = start(warm)
    channel.sendall(b"a")
    channel.recv(9)
    mine = os.getpid()
    for name in sorted(set(os.listdir("/proc")) - before, key=len):
        if not name.isdigit():
            continue
        try:
            parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
            above = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if above == mine:
            channel.close()
            return parent
    raise AssertionError("no child of the warm process was found")


def _held(pid: int) -> dict[str, int]:
    time.sleep(0.2)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return {
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "children": len(children),
        "memory": resident * os.sysconf("SC_PAGE_SIZE"),
    }


# Preloading


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("no_such_module", "no_such_module"),
        ("broken", "this module is broken"),
        ("threaded", "starts threads"),
    ],
)
def test_module_that_cannot_be_preloaded_is_named(module: str, message: str) -> None:
    with pytest.raises(SandboxError, match=message):
        start_trusted("entries:echo", [module])


def test_entry_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(SandboxError, match="did not start"):
        start_trusted("no_such_entry:serve", [])


# Fail closed


@pytest.mark.parametrize("inner", [".", "class", "deep/in/it"])
def test_data_around_what_is_closed_refuses_the_start(tmp_path: Path, inner: str) -> None:
    (tmp_path / inner).mkdir(parents=True, exist_ok=True)
    closed, readable = [tmp_path / inner], [tmp_path]
    with pytest.raises(SandboxError, match="lies in it: keep the data"):
        start_sandboxed(STUDENT, [], layer=best_layer(), closed=closed, readable=readable)


def test_closed_file_that_could_be_read_refuses_the_start() -> None:
    # It lies in a folder of the system's, which every notebook sees.
    closed = [Path("/usr/bin/env")]
    with pytest.raises(SandboxError, match=r"could read /usr/bin/env.*chmod"):
        start_sandboxed(STUDENT, [], layer=best_layer(), closed=closed)


def test_where_nothing_is_found_nothing_runs_unless_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layers, "probe", lambda: Probe(why_not="an empty machine"))
    with pytest.raises(SandboxError, match=r"apt-get install bubblewrap.*an empty machine"):
        best_layer()
    assert best_layer(allow_none=True) == layers.NONE


def test_other_systems_are_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers.sys, "platform", "darwin")
    assert "not Linux" in probe().why_not
    for allowed in (False, True):
        with pytest.raises(SandboxError, match=r"WSL2.*Colab"):
            best_layer(allow_none=allowed)


def test_every_layer_says_what_it_does_not_keep_apart() -> None:
    assert "could read" in layers.NONE.describe()
    assert "not hidden" in Layer("landlock", landlock=True).describe()
    assert "not hidden" in Layer("user", users=True).describe()


def test_gpu_is_passed_only_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "devices", lambda: ["/dev/nvidia0"])
    course = tmp_path / "course"
    course.mkdir()
    without = staging.bubblewrap("bwrap", course, [], gpu=False, disk=1)
    given = staging.bubblewrap("bwrap", course, [], gpu=True, disk=1)
    assert "/dev/nvidia0" not in without
    place = given.index("/dev/nvidia0")
    assert given[place - 1 : place + 2] == ["--dev-bind", "/dev/nvidia0", "/dev/nvidia0"]


def test_how_long_a_process_and_its_children_waited_for_a_core():
    with start_trusted("entries:works", []) as warm:
        working, process = start(warm)
        assert working.recv(10) == b"done"
        assert process.waited(10.0) > 1.0
        process.kill()
        assert process.ended(10.0) == "killed"
        with pytest.raises(EOFError, match="killed"):
            process.waited(10.0)
        working.close()


def test_what_sleeps_waits_for_no_core(echoing: Warm):
    channel, process = start(echoing)
    time.sleep(1.0)
    assert process.waited(10.0) < 0.5
    channel.close()
