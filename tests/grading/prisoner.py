"""What a student's process can and cannot do: run inside a sandbox, by `warden`.

Each function tries one thing and returns what it reached; nothing, or an error, if nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import mmap
import os
import platform
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ARM = platform.machine() == "aarch64"
LIBC = ctypes.CDLL(None, use_errno=True)


def serve(channel: socket.socket) -> None:
    """Do as asked, a line of JSON each."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with channel.makefile("rwb") as file:
        for line in file:
            name, arguments = json.loads(line)
            try:
                said = {"reached": globals()[name](**arguments)}
            except BaseException as error:
                said = {"error": type(error).__name__, "message": str(error)[:300]}
            file.write(json.dumps(said, default=repr).encode() + b"\n")
            file.flush()


def call(x86: int, arm: int, *arguments: Any) -> int:
    """A system call without the C library's words for it."""
    done: int = LIBC.syscall(arm if ARM else x86, *arguments)
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done


def each(attempt: Any, paths: list[Any]) -> list[Any]:
    """Those for which an attempt does not fail."""
    found = []
    for path in paths:
        try:
            attempt(path)
        except (OSError, ValueError, AttributeError):
            continue
        found.append(path)
    return found


# files


def _open(path: str) -> None:
    if os.path.isdir(path):
        if not os.listdir(path):
            raise OSError("empty")
    else:
        os.close(os.open(path, os.O_RDONLY))


def reads(paths: list[str]) -> list[str]:
    return each(_open, paths)


def reads_by_links(paths: list[str]) -> list[str]:
    def through(path: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            os.symlink(path, f"{folder}/link")
            _open(f"{folder}/link")

    def hard(path: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            os.link(path, f"{folder}/hard")
            _open(f"{folder}/hard")

    def by_root(path: str) -> None:
        _open(f"/proc/1/root{path}")

    return [*each(through, paths), *each(hard, paths), *each(by_root, paths)]


def writes(folders: list[str]) -> list[str]:
    def write(folder: str) -> None:
        path = os.path.join(folder, "left-by-a-student")
        with open(path, "w") as file:
            file.write("here")

    return each(write, folders)


def opens_for_writing(paths: list[str]) -> list[str]:
    return each(lambda path: os.close(os.open(path, os.O_WRONLY | os.O_APPEND)), paths)


def changes_marks(paths: list[str]) -> list[str]:
    attempts = [
        lambda path: os.chmod(path, 0o777),
        lambda path: os.utime(path, (1, 1)),
        lambda path: os.setxattr(path, "user.student", b"1"),
        lambda path: os.chown(path, os.getuid(), -1),
    ]
    return [path for attempt in attempts for path in each(attempt, paths)]


def takes_away(paths: list[str]) -> list[str]:
    attempts = [
        os.remove,
        lambda path: os.rename(path, path + ".taken"),
        lambda path: os.truncate(path, 0),
    ]
    return [path for attempt in attempts for path in each(attempt, paths)]


def changes_the_course() -> list[str]:
    """The course as every notebook imports it, and the grading that runs there."""
    import nlp_course.grading.agent
    import nlp_course.text

    modules = (nlp_course, nlp_course.text, nlp_course.grading.agent)
    paths = [str(module.__file__) for module in modules]
    folders = [os.path.dirname(path) for path in paths]
    return [*opens_for_writing(paths), *writes(folders), *takes_away(paths)]


def searches(patterns: list[str]) -> list[str]:
    """Paths like these, anywhere on the disk."""
    places = ["/", *filter(os.path.isdir, sys.path), sys.prefix, sys.base_prefix]
    wanted = [word for pattern in patterns for word in ("-o", "-path", pattern, "-print")]
    command = ["find", *places, "-path", "/proc", "-prune", "-false", *wanted]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def imports(names: list[str]) -> list[str]:
    found = []
    for name in names:
        try:
            __import__(name)
        except ImportError:
            continue
        found.append(name)
    return found


def environment(variable: str) -> str | None:
    return os.environ.get(variable)


def descriptors() -> list[str]:
    """Those that are open, but for the standard ones: what each is."""
    found = []
    for number in range(3, 4096):
        try:
            mode = os.fstat(number).st_mode
        except OSError:
            continue
        found.append("socket" if stat.S_ISSOCK(mode) else oct(mode))
    return found


def hands_down() -> list[int]:
    """Descriptors that a program it starts finds open, but for the standard ones."""
    code = (
        "import json, os\nfound = []\nfor number in range(3, 64):\n"
        "    try:\n        os.fstat(number)\n        found.append(number)\n"
        "    except OSError:\n        pass\nprint(json.dumps(found))"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, close_fds=False, capture_output=True, check=True)
    found: list[int] = json.loads(done.stdout)
    return found


def memory_holds(backwards: str) -> bool:
    """Whether a word is anywhere in this process's memory."""
    word = backwards[::-1].encode()
    own = id(word)
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            first, last = (int(part, 16) for part in span.split("-"))
            if not rights.startswith("rw") or last - first > 1 << 30:
                continue
            memory.seek(first)
            text = bytearray(memory.read(last - first))
            at = text.find(word)
            while at >= 0:
                # Not the word itself that is looked for.
                if not own <= first + at < own + sys.getsizeof(word):
                    return True
                at = text.find(word, at + 1)
    return False


# the network


def connects(port: int, path: str, abstract: str) -> list[str]:
    def tcp(_: str) -> None:
        socket.create_connection(("127.0.0.1", port), 1).close()

    def udp(_: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"x", ("127.0.0.1", port))

    def unix(_: str) -> None:
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(path)

    def unnamed(_: str) -> None:
        with socket.socket(socket.AF_UNIX) as one:
            one.connect("\0" + abstract)

    def datagram(_: str) -> None:
        one, _other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.sendto(b"x", path + ".datagrams")

    def raw(_: str) -> None:
        os.close(call(41, 198, 2, 1, 0))

    attempts = {"tcp": tcp, "udp": udp, "unix": unix, "abstract": unnamed}
    attempts |= {"datagram": datagram, "raw": raw}
    return [name for name, attempt in attempts.items() if each(attempt, [name])]


# other processes


def looks_into(pids: list[int]) -> list[str]:
    """These processes, and those above its own."""
    folders = ("fd", "fdinfo", "map_files", "ns")
    opened = ("mem", "pagemap")  # it is asked who may, when they are opened
    read = ("environ", "maps", "auxv", "io", "personality", "stack", "syscall")
    links = ("cwd", "root", "exe")

    def look(path: str) -> None:
        name = os.path.basename(path)
        if name in links:
            os.readlink(path)
        elif name in folders:
            os.listdir(path)
        else:
            with open(path, "rb", 0) as file:
                if name in read and not file.read(1):
                    raise OSError("nothing there")

    names = (*folders, *opened, *read, *links)
    return each(look, [f"/proc/{pid}/{name}" for pid in {*pids, 1, os.getppid()} for name in names])


def sees() -> int:
    """How many processes' names can be read."""
    return len(each(lambda pid: open(f"/proc/{pid}/comm").read(), list(range(1, 1 << 16))))


def signals(pids: list[int]) -> list[int]:
    return each(lambda pid: os.kill(pid, signal.SIGCONT), pids)


def kills_everyone() -> str:
    """Signals all it may; where the process above it ends so, it ends too."""
    each(lambda pid: os.kill(pid, signal.SIGTERM), [os.getppid(), -1])
    each(lambda pid: os.kill(pid, signal.SIGKILL), [os.getppid(), -1])
    time.sleep(0.2)
    return "still there"


def traces(pids: list[int]) -> list[Any]:
    attach = each(lambda pid: call(101, 117, 16, pid, 0, 0), pids)
    seize = each(lambda pid: call(101, 117, 0x4206, pid, 0, 0), pids)
    compare = each(lambda pid: call(312, 272, pid, pid, 0, 0, 0), pids)
    move = each(lambda pid: call(256, 238, pid, 1, bytes(8), bytes(8)), pids)
    buffer = ctypes.create_string_buffer(8)
    part = struct.pack("PN", ctypes.addressof(buffer), 8)
    there = struct.pack("PN", id(pids), 8)
    read = each(lambda pid: call(310, 270, pid, part, 1, there, 1, 0), pids)
    return [*attach, *seize, *compare, *move, *read]


def limits_others(pids: list[int]) -> list[Any]:
    import resource

    limit = each(lambda pid: resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0)), pids)
    nice = each(lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19), pids)
    return [*limit, *nice, *each(lambda pid: os.sched_setaffinity(pid, {0}), pids)]


# the kernel


# Numbers on x86_64 and aarch64, and arguments with which no call fails for another reason.
CALLS: dict[str, tuple[Any, ...]] = {
    "mount": (165, 40, b"none", b".", b"tmpfs", 0, None),
    "umount": (166, 39, b"/proc", 2),
    "move mount": (429, 429, -100, b".", -100, b".", 0),
    "copy mount": (428, 428, -100, b".", 1),
    "open file system": (430, 430, b"tmpfs", 0),
    "pivot": (155, 41, b".", b"."),
    "new user": (272, 97, 0x10000000),
    "new mounts": (272, 97, 0x20000),
    "namespace": (308, 268, 0, 0),
    "clone3": (435, 435, bytes(88), 88),
    "key": (248, 217, b"user", b"name", b"x", 1, -3),
    "keys": (250, 219, 0, -3, 1, 0, 0),
    "bpf": (321, 280, 0, None, 0),
    "perf": (298, 241, bytes(112), 0, -1, -1, 0),
    "faults": (323, 282, 0),
    "io_uring": (425, 425, 1, bytes(120)),
    "shared memory": (29, 194, 0, 4096, 0o1600),
    "semaphores": (64, 190, 0, 1, 0o1600),
    "messages": (68, 186, 0, 0o1600),
    "queue": (240, 180, b"name", os.O_CREAT | os.O_RDWR, 0o600, None),
    "unnamed memory": (319, 279, b"name", 0),
    "secret memory": (447, 447, 0),
    "a socket": (41, 198, 1, 1, 0),
    "a socket by the x32 way": (0x40000000 + 41, 0x40000000 + 41, 1, 1, 0),
    "name of the machine": (170, 161, b"mine", 4),
    "personality": (135, 92, 0x0040000),
    "clock": (164, 170, None, None),
    "log of the kernel": (103, 116, 10, None, 0),
    "module": (175, 105, b"", 0, b""),
    "another kernel": (246, 104, 0, 0, None, 0),
    "restart": (169, 142, 0, 0, 0, None),
    "watch on files": (300, 262, 0x200, 0),
    "handles of files": (303, 264, -100, b".", bytes(136), bytes(4), 0),
    "file by its handle": (304, 265, -100, bytes(136), 0),
}


def gains_rights() -> list[str]:
    attempts: dict[str, Any] = {name: lambda name=name: call(*CALLS[name]) for name in CALLS}
    attempts |= {
        "set user": lambda: os.setresuid(0, 0, 0),
        "set group": lambda: os.setresgid(0, 0, 0),
        "set groups": lambda: os.setgroups([0]),
        "clone": _clone,
        "chroot": lambda: os.chroot("."),
        "device": lambda: os.mknod("device", 0o600 | stat.S_IFBLK, os.makedev(8, 0)),
        "process descriptor": lambda: call(434, 434, os.getppid(), 0),
        "capability": _raise_capability,
        "a program with setuid": _setuid_program,
    }
    return [
        name + why for name, attempt in attempts.items() if (why := _not_refused(attempt, name))
    ]


def _not_refused(attempt: Any, name: str) -> str:
    """Empty where it is; else how an attempt came further than the first look at who may."""
    refusals = [errno.EPERM, errno.ENOSYS]
    if name.startswith("set "):
        refusals.append(errno.EINVAL)  # no such user in its world
    try:
        attempt()
    except OSError as error:
        return "" if error.errno in refusals else f": {error}"
    return ": done"


def _clone() -> None:
    if call(56, 220, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:
        os._exit(0)


def _raise_capability() -> None:
    header = struct.pack("Ii", 0x20080522, 0)
    every = b"\xff" * 8 + bytes(4) + b"\xff" * 8 + bytes(4)
    if LIBC.capset(header, every) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _setuid_program() -> None:
    for name in ("/usr/bin/mount", "/bin/mount"):
        if os.path.exists(name):
            command = [name, "-t", "tmpfs", "none", os.getcwd()]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return
    raise PermissionError(errno.EPERM, "no such program, or it failed")


def rights() -> dict[str, str]:
    """Who it is, as the kernel has it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def raises_limits() -> list[str]:
    import resource

    def higher(name: str) -> None:
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            resource.setrlimit(kind, (hard, hard + 1))

    kinds = ("NPROC", "FSIZE", "NOFILE", "CORE", "DATA", "MEMLOCK")
    dumped = ["a core"] if resource.getrlimit(resource.RLIMIT_CORE)[1] else []
    return dumped + each(higher, [f"RLIMIT_{kind}" for kind in kinds])


# bounds


def uses_memory(size: int, *, shared: bool) -> str:
    """Use memory and wait to be noticed."""
    kept = []
    for _ in range(size >> 24):
        if shared:
            block = mmap.mmap(-1, 1 << 24)
            block.write(b"x" * (1 << 24))
            kept.append(block)
        else:
            kept.append(bytearray(b"x" * (1 << 24)))
    time.sleep(20)
    return "used"


def shares_out_memory(size: int, among: int) -> str:
    """Use memory in several processes, none of which uses much."""
    for _ in range(among):
        if os.fork() == 0:
            kept = b"x" * (size // among)
            time.sleep(20)
            os._exit(len(kept) & 1)
    time.sleep(20)
    return "used"


def starts_threads(count: int) -> int:
    """How many threads can be had at a time."""
    stop = threading.Event()
    started = 0
    try:
        for _ in range(count):
            threading.Thread(target=stop.wait, daemon=True).start()
            started += 1
    except RuntimeError:
        return started
    finally:
        stop.set()
    return started


def forks_without_end() -> str:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            os.fork()
        except OSError:
            time.sleep(0.01)
    return "forked"


def fills(size: int, *, unlinked: bool = False, folder: str = ".", each_file: int = 8) -> int:
    """Bytes written to disk, in files of so many megabytes, before that was refused."""
    total, kept = 0, []
    block = b"x" * (1 << 20)
    try:
        for number in range(1000):
            path = f"{folder}/file{number}"
            file = open(path, "wb", 0)  # noqa: SIM115
            kept.append(file)
            if unlinked:
                os.unlink(path)
            for _ in range(each_file):
                total += file.write(block)
                if total >= size:
                    time.sleep(20)
                    return total
    except OSError:
        return total
    return total


def makes_files(count: int) -> int:
    made = 0
    try:
        for number in range(count):
            os.close(os.open(f"f{number}", os.O_CREAT | os.O_WRONLY))
            made += 1
    except OSError:
        return made
    time.sleep(20)
    return made


def nests_folders(depth: int) -> str:
    for _ in range(depth):
        os.mkdir("d", 0o700)
        os.chdir("d")
    os.mkdir("closed", 0)
    return "made"


def stays_behind(marker: str) -> str:
    """Leave a process that belongs to nobody, ignores what it is told, and lives long."""
    code = (
        "import os, signal, time\n"
        "for number in (signal.SIGHUP, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        "time.sleep(60)\n"
    )
    subprocess.run([sys.executable, "-I", "-c", code, marker], check=True)
    time.sleep(0.3)
    return "left"


def leaves(text: str, *, open_to_all: bool) -> list[str]:
    """Write where another student might look; the paths."""
    made = []
    for folder in (os.environ["HOME"], os.getcwd(), tempfile.gettempdir(), "/dev/shm", "/dev"):
        try:
            path = f"{folder}/{text}"
            with open(path, "w") as file:
                file.write(text)
            made.append(path)
        except OSError:
            continue
        for one in (folder, path) if open_to_all else ():
            with contextlib.suppress(OSError):
                os.chmod(one, 0o777)
    return made


def forgets_children() -> str:
    """Have some that have ended, and that nobody asks about."""
    for _ in range(3):
        if os.fork() == 0:
            os._exit(0)
    return "forgotten"


def finds(text: str, paths: list[str]) -> list[str]:
    """What another student left, at its path or in the folders that are shared."""
    found = each(_open, paths)
    above = {str(folder) for path in paths for folder in Path(path).parents}
    for path in each(_open, sorted(above)):
        found += [f"{path}/{name}" for name in os.listdir(path) if text in name]
    return [path for path in found if _holds(path, text)]


def _holds(path: str, text: str) -> bool:
    try:
        return text in Path(path).read_text()
    except OSError:
        return False


def waits() -> str:
    """Until an interrupt."""
    try:
        time.sleep(20)
    except KeyboardInterrupt:
        return "interrupted"
    return "waited"


def ends(status: int) -> None:
    os._exit(status)


# what ordinary notebooks do


def computes() -> float:
    import numpy as np
    import scipy.linalg

    return float(scipy.linalg.norm(np.linalg.inv(2 * np.eye(4))))


def maps_in_a_pool() -> list[int]:
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [-1, 2, -3])


def runs_python() -> str:
    code = "import json, ssl, ctypes, sqlite3; print(json.dumps([1]))"
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def runs_a_shell() -> str:
    command = "sleep 0.01 & wait; echo $((1 + 1))"
    return subprocess.run(command, shell=True, check=True, capture_output=True).stdout.decode()


def keeps_files() -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a")
        path.write_text("kept")
        shutil.move(path, Path.home() / "b")
    return (Path.home() / "b").read_text()


def draws() -> int:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots()
    axes.set_title("Größe – 語")
    figure.savefig("picture.png")
    return os.path.getsize("picture.png")


def tells_time() -> list[Any]:
    from zoneinfo import ZoneInfo

    return [time.tzname[0], str(ZoneInfo("Europe/Berlin")), os.cpu_count()]


def passes_descriptors() -> str:
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    socket.send_fds(ours, [b"x"], [writing])
    _, (got,), _, _ = socket.recv_fds(theirs, 1, 1)
    os.write(got, b"through")
    return os.read(reading, 20).decode()


def ends_a_child() -> int:
    child = subprocess.Popen(["sleep", "60"])
    child.terminate()
    return child.wait(5)


def uses_devices() -> list[int]:
    Path("/dev/null").write_text("gone")
    found = []
    for name in ("zero", "random", "urandom", "null"):
        with open(f"/dev/{name}", "rb", 0) as device:
            found.append(len(device.read(4)))
    return found


def awaits() -> str:
    import asyncio

    async def later() -> str:
        await asyncio.sleep(0.01)
        return "awaited"

    return asyncio.run(later())


def places() -> list[str]:
    return [os.getcwd(), os.environ["HOME"], tempfile.gettempdir(), oct(os.stat(".").st_mode)]
