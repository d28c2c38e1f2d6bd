"""Starts the best sandbox where it is run, has `prisoner` try everything, and prints what came.

    python warden.py [--closed-to-others]

Run under `pretend`, it shows what other machines would.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlp_course.grading import staging
from nlp_course.grading.layers import Layer
from nlp_course.grading.sandbox import Bounds, Client, Process, Warm, best_layer, start_sandboxed

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIGHT = Bounds(memory=400 << 20, processes=24, disk=48 << 20, file_bytes=32 << 20)
WITHHELD = ["nlp_course.word2vec", "nlp_course.data"]
HIDDEN = ["*/nlp_course/word2vec.*", "*/nlp_course/grading/referee.*", "*/nlp_course/data/*"]
ORDINARY = (
    *("computes", "maps_in_a_pool", "runs_python", "runs_a_shell", "keeps_files", "draws"),
    *("tells_time", "passes_descriptors", "awaits", "places", "ends_a_child", "uses_devices"),
)


class Prisoner:
    """A student's process that does as it is told."""

    def __init__(self, client: Client) -> None:
        ours, theirs = socket.socketpair()
        self.process: Process = client.start(theirs)
        theirs.close()
        ours.settimeout(60)
        self._channel, self._file = ours, ours.makefile("rwb")

    def say(self, name: str, **arguments: Any) -> None:
        self._file.write(json.dumps([name, arguments]).encode() + b"\n")
        self._file.flush()

    def hear(self) -> dict[str, Any]:
        try:
            line = self._file.readline()
        except OSError:
            line = b""
        return json.loads(line) if line else {"ended": self.process.ended(10)}

    def do(self, name: str, **arguments: Any) -> dict[str, Any]:
        with contextlib.suppress(BrokenPipeError):  # it has ended before, and will say why
            self.say(name, **arguments)
        return self.hear()

    def go(self) -> str | None:
        with contextlib.suppress(BrokenPipeError):
            self._file.close()
        self._channel.close()
        return self.process.ended(10)


def pid_of(client: Client, prisoner: Prisoner) -> int:
    """The number that a prisoner has for us: the last of the three that were forked for it."""
    from nlp_course.grading import processes

    prisoner.do("computes")
    seen = processes.look()
    below = processes.tree(os.getpid(), seen)
    return max(below, key=lambda pid: (len(list(_above(pid, seen))), pid))


def _above(pid: int, seen: Any) -> Iterator[int]:
    while pid in seen:
        pid = seen[pid].parent
        yield pid


@contextlib.contextmanager
def listening(folder: Path) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Servers of all kinds; where they are, and who has reached them."""
    abstract = f"warden-{secrets.token_hex(4)}"
    path = f"{folder}/socket"
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(path)
        named = stack.enter_context(socket.socket(socket.AF_UNIX))
        named.bind("\0" + abstract)
        datagrams = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        datagrams.bind(path + ".datagrams")
        for one in (unix, named):
            one.listen()
        for one in (path, path + ".datagrams"):
            os.chmod(one, 0o777)
        for one in (tcp, unix, named, datagrams):
            one.setblocking(False)
        reached: list[str] = []
        yield {"port": tcp.getsockname()[1], "path": path, "abstract": abstract}, reached
        for name, one in (("tcp", tcp), ("unix", unix), ("abstract", named)):
            with contextlib.suppress(BlockingIOError):
                one.accept()
                reached.append(name)
        with contextlib.suppress(BlockingIOError):
            datagrams.recv(1)
            reached.append("datagram")


def outside_its_own(folder: str) -> bool:
    """Whether it wrote there, and not to a folder of that name in a /tmp of its own."""
    path = Path(folder, "left-by-a-student")
    shadow = folder.startswith("/tmp/") and not path.exists()
    path.unlink(missing_ok=True)
    return not shadow


def left(marker: str) -> int:
    """Processes with a word in their command line."""
    count = 0
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            count += entry.name.isdigit() and marker.encode() in (entry / "cmdline").read_bytes()
    return count


def try_everything(warm: Warm, layer: Layer, about: dict[str, Any]) -> dict[str, Any]:
    """All that needs no process of its own."""
    control = warm.connect()
    client = Client(control)
    sibling = Prisoner(client)
    sibling_pid = pid_of(client, sibling)
    note, shared = (f"note-{secrets.token_hex(6)}" for _ in range(2))
    left_paths = sibling.do("leaves", text=note, open_to_all=False)["reached"]
    shared_paths = sibling.do("leaves", text=shared, open_to_all=True)["reached"]
    sibling.do("forgets_children")
    one = Prisoner(client)
    victim = subprocess.Popen(["sleep", "600"])
    others = [victim.pid, os.getpid(), sibling_pid]
    # First of all: to be told what is closed puts it into memory.
    said = {"memory_holds": one.do("memory_holds", backwards=about["marker"][::-1])}
    secret = os.environ["WARDEN_SECRET"]
    said["memory_holds_environment"] = one.do("memory_holds", backwards=secret[::-1])
    closed, outside = about["closed"], about["outside"]
    with listening(Path(outside[0])) as (servers, reached):
        for name, arguments in {
            "reads": {"paths": closed},
            "reads_by_links": {"paths": closed},
            "writes": {"folders": outside},
            "opens_for_writing": {"paths": about["files"]},
            "changes_marks": {"paths": about["marked"]},
            "takes_away": {"paths": about["own"]},
            "changes_the_course": {},
            "searches": {"patterns": about["patterns"]},
            "imports": {"names": about["withheld"]},
            "environment": {"variable": "WARDEN_SECRET"},
            "descriptors": {},
            "hands_down": {},
            "connects": servers,
            "looks_into": {"pids": others},
            "sees": {},
            "signals": {"pids": others},
            "traces": {"pids": others},
            "limits_others": {"pids": others},
            "finds": {"text": note, "paths": left_paths},
            "finds_shared": {"text": shared, "paths": shared_paths},
            "gains_rights": {},
            "rights": {},
            "raises_limits": {},
        }.items():
            said[name] = one.do(name.partition("_shared")[0], **arguments)
    said["servers"] = reached
    if "reached" in said["writes"]:
        said["writes"]["reached"] = [*filter(outside_its_own, said["writes"]["reached"])]
    for name in ORDINARY:
        said[name] = one.do(name)
    said["kills_everyone"] = one.do("kills_everyone")
    time.sleep(0.2)
    said["victim"] = victim.poll()
    victim.kill()
    victim.wait()
    said["sibling"] = sibling.do("computes")
    said["gone"] = [one.go(), sibling.go()]
    for_all = [f"{folder}/{shared}" for folder in ("/tmp", "/var/tmp", "/dev/shm")]
    said["notes left"] = [*filter(os.path.exists, [*left_paths, *shared_paths, *for_all])]
    control.close()
    return said


def exhaust(warm: Warm) -> dict[str, Any]:
    """What may cost a process its life; each has one."""
    said: dict[str, Any] = {}
    for label, name, arguments in (
        ("memory", "uses_memory", {"size": 1 << 30, "shared": False}),
        ("shared memory", "uses_memory", {"size": 1 << 30, "shared": True}),
        ("memory of many", "shares_out_memory", {"size": 640 << 20, "among": 8}),
        ("threads", "starts_threads", {"count": 200}),
        ("forks", "forks_without_end", {}),
        ("one file", "fills", {"size": 1 << 30, "each_file": 64}),
        ("disk", "fills", {"size": 1 << 30}),
        ("unlinked files", "fills", {"size": 1 << 30, "unlinked": True}),
        ("files in memory", "fills", {"size": 1 << 30, "folder": "/dev/shm"}),
        ("many files", "makes_files", {"count": 55_000}),
        ("deep folders", "nests_folders", {"depth": 500}),
        ("status", "ends", {"status": 3}),
    ):
        begun = time.monotonic()
        with warm.connect() as control:
            one = Prisoner(Client(control))
            said[label] = one.do(name, **arguments)
            said[label]["seconds"] = time.monotonic() - begun
            one.go()
    for label, way in (("left at the end", Prisoner.go), ("left when killed", None)):
        marker = f"marker-{secrets.token_hex(8)}"
        with warm.connect() as control:
            one = Prisoner(Client(control))
            made = one.do("stays_behind", marker=marker)
            there = left(marker)
            if way is None:
                one.process.kill()
                one.process.ended(10)
            else:
                way(one)
            time.sleep(0.2)
            said[label] = {"made": made, "there": there, "left": left(marker)}
    with warm.connect() as control:
        one = Prisoner(Client(control))
        one.do("computes")
        one.say("waits")
        time.sleep(0.3)
        one.process.interrupt()
        said["interrupt"] = one.hear()
        said["after the interrupt"] = one.do("computes")
        one.go()
        again = Prisoner(Client(control))
        said["still starts"] = again.do("computes")
        again.go()
    return said


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--closed-to-others", action="store_true")
    options = parser.parse_args()
    os.environ["WARDEN_SECRET"] = secrets.token_hex(12)
    with tempfile.TemporaryDirectory(prefix="warden-") as folder:
        top = Path(folder)
        top.chmod(0o755)
        tempfile.tempdir = folder
        marker = secrets.token_hex(12)
        home = top / "home"
        home.mkdir()
        (home / "notes.txt").write_text("private")
        os.environ["HOME"] = str(home)
        secret = top / f"course-{marker}"
        (secret / "solutions").mkdir(parents=True)
        (secret / "solutions" / "secret.txt").write_text("secret")
        if options.closed_to_others:
            secret.chmod(0o700)
        outside = top / "outside"
        outside.mkdir()
        outside.chmod(0o777)
        mine = outside / "mine.txt"
        mine.write_text("mine")
        mine.chmod(0o666)
        program = top / "program"
        program.mkdir()
        shutil.copy(HERE / "prisoner.py", program)
        data = top / "data.txt"
        data.write_text("data")
        layer = best_layer()
        begun = time.monotonic()
        package = staging.package_folder()
        marked = [os.__file__, sys.executable, str(data), str(home / "notes.txt")]
        files = list(marked)
        files += ["/proc/sysrq-trigger", "/proc/sys/kernel/hostname"]
        files += [] if options.closed_to_others else [str(mine), str(outside)]
        open_to_all = [home, home / "notes.txt", ROOT / "pyproject.toml", ROOT / "tests", mine]
        open_to_all = [str(path) for path in [*open_to_all, HERE / "warden.py"]]
        open_to_all += [str(ROOT / ".git/HEAD"), "/etc/hostname", "/var/lib/dpkg/status"]
        about = {
            "marker": marker,
            "closed": [
                *(str(secret), str(secret / "solutions" / "secret.txt"), "/etc/shadow"),
                *("/dev/mem", "/dev/kmsg", "/root/.bashrc"),
                *(str(package), str(package / "word2vec.py"), str(package / "grading/referee.py")),
                *([] if options.closed_to_others else open_to_all),
            ],
            "outside": [
                str(outside) if not options.closed_to_others else str(secret),
                str(secret),
                *([] if options.closed_to_others else ["/var/tmp"]),
                *("/", "/usr", "/usr/bin", "/etc", "/home", "/dev", "/run", "/course"),
                *(str(program), sys.prefix, os.path.dirname(os.__file__)),
            ],
            "files": files,
            "marked": marked,
            "own": [str(data), str(home / "notes.txt"), str(program / "prisoner.py")],
            "patterns": [] if options.closed_to_others else HIDDEN,
            "withheld": [] if options.closed_to_others else [*WITHHELD, "nlp_course.grading.run"],
        }
        preload = ["numpy", "scipy.linalg", "matplotlib.pyplot"]
        with start_sandboxed(
            "prisoner:serve",
            preload,
            layer=layer,
            withheld=[] if options.closed_to_others else WITHHELD,
            readable=[program, data],
            closed=[secret],
            bounds=TIGHT,
            environment={"PYTHONPATH": str(program)},
        ) as warm:
            seconds = time.monotonic() - begun
            said = try_everything(warm, layer, about)
            said |= exhaust(warm)
        said |= {"layer": layer.name, "describe": layer.describe(), "namespaces": layer.namespaces}
        said |= {"users": layer.users, "start": seconds, "ready": warm.ready_seconds}
        said["folders left"] = len(list(top.glob("nlp-course-*")))
    print(json.dumps(said))


if __name__ == "__main__":
    main()
