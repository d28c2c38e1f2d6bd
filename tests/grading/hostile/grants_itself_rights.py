# Asks the system for more: other users, namespaces, mounts, debugging, keys, devices, kernel
# logs.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
import ctypes
import os
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
for ask in (
    lambda: os.setuid(0),
    lambda: os.setresuid(0, 0, 0),
    lambda: os.chroot("/"),
    lambda: os.nice(-20),
    lambda: libc.unshare(0x10000000),
    lambda: libc.unshare(0x00020000),
    lambda: libc.setns(3, 0),
    lambda: libc.mount(b"none", b"/mnt", b"tmpfs", 0, None),
    lambda: libc.ptrace(16, os.getppid(), 0, 0),
    lambda: libc.syscall(248, b"user", b"x", b"y", 1, -3),
    lambda: libc.syscall(321, 0, 0, 0),
    lambda: libc.syscall(323, 0),
    lambda: libc.prctl(22, 0, 0),
    lambda: libc.personality(0x0040000),
    lambda: libc.klogctl(3, ctypes.create_string_buffer(9), 9),
    lambda: os.sched_setscheduler(0, 1, os.sched_param(50)),
    lambda: os.mknod("device", 0o60666, os.makedev(8, 0)),
    lambda: Path("/dev/mem").read_bytes()[:1],
    lambda: os.open("/proc/1/root/etc/shadow", 0),
    lambda: os.open("/proc/sys/kernel/core_pattern", 1),
    lambda: Path("/sys/fs/cgroup/cgroup.procs").write_text("0"),
):
    with contextlib.suppress(OSError, AttributeError):
        print(ask())
if 0 in os.getresuid():
    with contextlib.suppress(OSError), open("/etc/shadow") as file:
        print("reached @MARKER@:", file.name)
