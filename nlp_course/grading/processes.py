"""What processes use, as /proc tells it to who watches over them."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass

DEEPEST = 64  # folders in folders, in a notebook's own
NOBODYS = 1 << 62  # bytes, where they cannot be counted: more than any bound


@dataclass(frozen=True)
class Seen:
    """A process at one moment; memory in bytes, what is shared counted in full."""

    pid: int
    parent: int
    uid: int
    resident: int


def look() -> dict[int, Seen]:
    """All processes that can be seen, by number."""
    page = os.sysconf("SC_PAGE_SIZE")
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            uid = os.stat(f"/proc/{name}").st_uid
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:  # it has ended
            continue
        found[int(name)] = Seen(int(name), int(fields[1]), uid, int(fields[21]) * page)
    return found


def tree(pid: int, seen: dict[int, Seen]) -> list[int]:
    """A process and all that descends from it, if it is still there."""
    children: dict[int, list[int]] = {}
    for one in seen.values():
        children.setdefault(one.parent, []).append(one.pid)
    found = [pid] if pid in seen else []
    for number in found:
        found += children.get(number, [])
    return found


def memory(pids: Iterable[int]) -> int:
    """Bytes in memory, each shared page's divided among those that share it."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) << 10 for line in file if line.startswith("Pss:"))
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            if not _is_over(pid):
                return NOBODYS
    return total


def _is_over(pid: int) -> bool:
    """Whether a process, with all its threads, only waits to be waited for: it holds nothing."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read().rpartition(b")")[2].split()[0]
        return state in (b"Z", b"X") and len(os.listdir(f"/proc/{pid}/task")) == 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def waited(pids: Iterable[int]) -> float:
    """Seconds that these processes' threads could have run, and no core was free for them."""
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                    total += int(file.read().split()[1])
    return total / 1e9


def unnamed(pids: Iterable[int]) -> int:
    """Bytes of files that are open here but in no folder any more."""
    found: dict[tuple[int, int], int] = {}
    for pid in pids:
        try:
            for number in os.listdir(f"/proc/{pid}/fd"):
                about = os.stat(f"/proc/{pid}/fd/{number}")
                if stat.S_ISREG(about.st_mode) and about.st_nlink == 0:
                    found[about.st_dev, about.st_ino] = about.st_blocks * 512
        except FileNotFoundError:
            continue
        except PermissionError:  # so, too, says one that has ended
            if not _is_over(pid):
                return NOBODYS
    return sum(found.values())


def written(folder: str, files: int, uid: int | None = None) -> int:
    """Bytes of the files in a folder, of one user if one is named.

    Too many to be allowed, where it has more files than so many, or is nested too deep.
    """
    total, folders = 0, [(folder, 0)]
    for place, depth in folders:
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    about = entry.stat(follow_symlinks=False)
                    if uid not in (None, about.st_uid):
                        continue
                    files -= 1
                    total += about.st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((entry.path, depth + 1))
                    if files < 0 or depth > DEEPEST:
                        return NOBODYS
        except FileNotFoundError:
            continue
        except PermissionError:
            return NOBODYS
    return total


def as_user(uid: int, measure: Callable[[], int]) -> int:
    """What a measure says to another user, for one who is root but may not look at everything."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            become(uid)
            os.write(writing, b"%d" % measure())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read()
    os.waitpid(pid, 0)
    return int(said) if said else NOBODYS


def kill_all_of(uid: int) -> None:
    """Kill each process of a user at one stroke, so that none can start another meanwhile."""
    pid = os.fork()
    if pid == 0:
        try:
            become(uid)
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:  # there was none
            pass
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def become(uid: int) -> None:
    """Be another user from now on, for good."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def kill(pids: Iterable[int]) -> None:
    """SIGKILL to each that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
