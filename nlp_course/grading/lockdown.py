"""What a student's process does to itself before it reads a byte of its notebook.

    warm process ─ fork ─ keeper ─ fork ─ first ─ fork ─ student

With namespaces, the keeper leaves those of the warm process, and the first is process 1 of a
world of its own, with whose end all in it ends. Without, there is no keeper, and the first gets
what the student's children leave behind. Neither runs any of the student's code: they wait, hand
on interrupts, and end as the student ends.

Each step raises where the kernel does not do what it was asked, so that nothing runs with less.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FrameType

from nlp_course.grading import kernel, landlock, seccomp
from nlp_course.grading.processes import become

if sys.platform != "win32":
    import resource

INODES = 50_000
SUPERVISORS = 2  # the keeper and the first
NEW_WORLD = kernel.CLONE_NEWPID | kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC
SAFE = kernel.MS_NOSUID | kernel.MS_NODEV
FOLDERS = ("home", "work", "tmp", "shm")  # in a student's own
COUNTED_OUT = "1000"  # of those that the kernel ends first when memory is short
DEVICES = ("/dev/urandom", "/dev/random", "/dev/zero", "/dev/full")
HARMLESS = ("/proc/cpuinfo", "/proc/meminfo", "/proc/filesystems", "/proc/stat")
OF_GPU = ("/proc/driver/nvidia", "/proc/devices", "/proc/modules", "/sys")


@dataclass(frozen=True)
class Lock:
    """What a student's process may still do.

    Parameters
    ----------
    namespaces : it has its own processes, mounts and messages
    landlock : files are closed by the kernel's rules
    filtered : system calls are
    work : the folder for what notebooks write; each has its own there
    first_user : the first of the user ids that notebooks run as; None: as who grades
    readable : files and folders that it may read
    below_tmp : those of them that lie in /tmp, where it has a folder of its own
    devices : what else it may use of /dev
    """

    namespaces: bool
    landlock: bool
    filtered: bool
    work: str
    first_user: int | None
    memory: int
    processes: int
    file_bytes: int
    disk: int
    open_files: int
    gpu: bool = False
    readable: tuple[str, ...] = ()
    below_tmp: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def lock_down(lock: Lock, uid: int | None, own: str, others: int) -> None:
    """Return as a student's process; who called ends when that ends.

    Parameters
    ----------
    uid : the user that it is to run as; None: the same
    own : its folder
    others : processes of the same user that are not its own

    Raises
    ------
    OSError : the kernel refused a step.
    """
    _die_with_parent(os.getppid())
    with contextlib.suppress(OSError):  # no promise, only kindness to who shares the machine
        _write("/proc/self/oom_score_adj", COUNTED_OUT)
    if lock.namespaces:
        _leave_namespaces(uid)
        _fork_and_wait(uid)
        _mount(lock, uid)
    else:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        _make_folders(own, uid)
    _fork_and_wait(uid)
    os.umask(0o077)
    os.environ.clear()
    os.environ.update(lock.environment, **places(own, lock))
    tempfile.tempdir = None  # found before, for the warm process
    parent = os.getppid()
    if uid is not None:
        become(uid)
    os.chdir(f"{own}/work")
    kernel.drop_capabilities()
    kernel.no_new_privileges()
    # A new identity has cleared both.
    _die_with_parent(parent)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    _limit(lock, others)
    if lock.landlock:
        _close_files(lock, uid, own)
    if lock.filtered:
        shared = uid is None and not lock.namespaces
        scoped = lock.landlock and landlock.version() >= landlock.OUTSIDE_SINCE
        seccomp.install(alone=os.getpid() if shared else None, silent=not scoped)


def places(own: str, lock: Lock) -> dict[str, str]:
    """Variables that name a student's own folders."""
    home = f"{own}/home"
    temporary = "/tmp" if lock.namespaces else f"{own}/tmp"
    return {"HOME": home, "TMPDIR": temporary, "MPLCONFIGDIR": f"{home}/.matplotlib"}


def _leave_namespaces(uid: int | None) -> None:
    if uid is not None:
        kernel.unshare(NEW_WORLD)
        return
    user, group = os.getuid(), os.getgid()
    kernel.unshare(NEW_WORLD | kernel.CLONE_NEWUSER)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")


def _fork_and_wait(uid: int | None) -> None:
    """Return in a new process; the old one does nothing any more but end as that ends."""
    before = os.getpid()
    pid = os.fork()
    if pid == 0:
        _die_with_parent(before)
        return

    def hand_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    signal.signal(signal.SIGINT, hand_on)
    status = 1
    try:
        os.closerange(0, os.sysconf("SC_OPEN_MAX"))
        if uid is not None:
            become(uid)
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        ended, status = 0, 0
        while ended != pid:
            ended, status = os.wait()
        status = exit_code(status)
    finally:
        os._exit(status)


def exit_code(status: int) -> int:
    """As a shell says it: 128 and the number of the signal that ended a process."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _die_with_parent(parent: int) -> None:
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have died before; one in another world has no number here.
    if os.getppid() not in (parent, 0):
        os._exit(128 + signal.SIGKILL)


def _mount(lock: Lock, uid: int | None) -> None:
    """A file system of its own for what it writes, of bounded size, and its own /proc."""
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    size = f"size={lock.disk},nr_inodes={INODES},mode=0755"
    kernel.mount("tmpfs", lock.work, "tmpfs", SAFE, size)
    _make_folders(lock.work, uid)
    stay = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in lock.below_tmp]
    for name, place in (("shm", "/dev/shm"), ("tmp", "/tmp")):
        kernel.mount(f"{lock.work}/{name}", place, "", kernel.MS_BIND)
    for path, descriptor in stay:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.makedirs(path, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
        source = f"/proc/self/fd/{descriptor}"
        kernel.mount(source, path, "", kernel.MS_BIND | kernel.MS_REC)
        os.close(descriptor)
    try:
        kernel.mount("proc", "/proc", "proc", SAFE | kernel.MS_NOEXEC)
    except PermissionError:  # parts of the one there are covered: then none at all
        kernel.mount("tmpfs", "/proc", "tmpfs", SAFE, "size=4096,mode=0555")


def _make_folders(own: str, uid: int | None) -> None:
    for name in FOLDERS:
        os.mkdir(f"{own}/{name}", 0o700)
        if uid is not None:
            os.chown(f"{own}/{name}", uid, uid)


def _limit(lock: Lock, others: int) -> None:
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: lock.file_bytes,
        resource.RLIMIT_NOFILE: lock.open_files,
        resource.RLIMIT_NPROC: lock.processes + SUPERVISORS + others,
        resource.RLIMIT_MEMLOCK: 0 if not lock.gpu else resource.RLIM_INFINITY,
    }
    if not lock.gpu:  # CUDA reserves far more than it uses
        wanted[resource.RLIMIT_DATA] = lock.memory
    for kind, value in wanted.items():
        highest = resource.getrlimit(kind)[1]
        if highest != resource.RLIM_INFINITY and (value > highest or value < 0):
            value = highest
        resource.setrlimit(kind, (value, value))


def _close_files(lock: Lock, uid: int | None, own: str) -> None:
    folders = [f"{own}/{name}" for name in FOLDERS]
    readable = [*lock.readable, *DEVICES]
    writable = [*folders, "/dev/null", *lock.devices]
    if lock.namespaces:
        readable.append("/proc")
        writable += ["/dev/shm", "/tmp"]
    else:
        readable += [f"/proc/{os.getpid()}", *HARMLESS]
        if uid is not None:  # others' files there are others', and what it leaves is removed
            writable.append("/dev/shm")
    if lock.gpu:
        readable += OF_GPU
    landlock.restrict(readable, writable)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
