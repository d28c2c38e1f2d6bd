"""Run a program as if on another machine: an ordinary user's, a container's, an older kernel's.

    python pretend.py WHAT ... -- PROGRAM ...

WHAT is any of: `container` (root with Docker's rights and no new namespaces), `no-landlock`,
`no-nested` (no namespaces in namespaces, as a security module may have it), `no-filter` (no filters
of system calls), `ordinary` (from root: another user, who can read this Python).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from pathlib import Path

from nlp_course.grading import kernel, seccomp
from nlp_course.grading.processes import become

ROOT = Path(__file__).resolve().parents[2]
FIRST_USER, USERS = 50_000, 4096
DOCKERS = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)  # capabilities
LANDLOCK = {"create": (444, 444), "add": (445, 445), "restrict": (446, 446)}
NAMESPACES = ("unshare", "setns", "mount", "umount2", "pivot_root", "move_mount")
PRCTL = (157, 167)
PR_CAPBSET_DROP = 24


def refuse(calls: seccomp.Numbers, *, clone: bool = False, filters: bool = False) -> None:
    """Have the kernel refuse system calls to this process and all it starts."""
    machine = platform.machine()
    steps = [seccomp._step(seccomp.LOAD, seccomp.NUMBER)]
    if clone:
        place = seccomp.MACHINES.index(machine)
        steps += seccomp._for_call(
            seccomp.CLONE[place],
            seccomp._step(seccomp.LOAD, seccomp.FIRST),
            seccomp._step(seccomp.ANY_BIT, seccomp.ANY_NAMESPACE, 0, 1),
            seccomp.DENY,
            seccomp.PASS,
        )
        steps += seccomp._for_call(435, seccomp._step(seccomp.RETURN, seccomp.FAIL | errno.ENOSYS))
    if filters:
        steps += seccomp._for_call(
            PRCTL[seccomp.MACHINES.index(machine)],
            seccomp._step(seccomp.LOAD, seccomp.FIRST),
            seccomp._step(seccomp.EQUAL, seccomp.PR_SET_SECCOMP, 0, 1),
            seccomp.DENY,
            seccomp.PASS,
        )
    for number in seccomp._numbers(calls, machine):
        steps += seccomp._for_call(number, seccomp.DENY)
    program = b"".join([*steps, seccomp.PASS])
    buffer = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    done = kernel.libc().prctl(seccomp.PR_SET_SECCOMP, 2, ctypes.c_char_p(described), 0, 0)
    kernel.check(done, "seccomp")


def keep_capabilities(kept: tuple[int, ...]) -> None:
    """Have these and no others, for good."""
    for number in range(64):
        if number not in kept:
            kernel.libc().prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    mask = sum(1 << number for number in kept)
    header = struct.pack("Ii", kernel.CAPABILITY_VERSION_3, 0)
    sets = struct.pack("6I", mask, mask, 0, 0, 0, 0)
    kernel.check(kernel.libc().capset(ctypes.c_char_p(header), ctypes.c_char_p(sets)), "capset")


def open_up(needed: set[Path]) -> None:
    """In mounts of our own, let other users reach folders that lie in someone's closed one."""
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    held = {path: os.open(path, os.O_PATH) for path in needed}
    closed = {
        parent for path in needed for parent in path.parents if not parent.stat().st_mode & 0o001
    }
    for folder in closed:
        kernel.mount("tmpfs", str(folder), "tmpfs", 0, "mode=0755")
    for path, descriptor in held.items():
        if any(folder in path.parents for folder in closed):
            path.mkdir(parents=True, exist_ok=True)
            kernel.mount(f"/proc/self/fd/{descriptor}", str(path), "", kernel.MS_BIND)


def main() -> None:
    """See above."""
    place = sys.argv.index("--")
    wanted, command = sys.argv[1:place], sys.argv[place + 1 :]
    refused: seccomp.Numbers = {}
    if "no-landlock" in wanted:
        refused |= LANDLOCK
    if "no-nested" in wanted:
        refused["unshare"] = seccomp.DENIED["unshare"]
    if "container" in wanted:
        refused |= {name: seccomp.DENIED[name] for name in NAMESPACES}
    if os.geteuid() == 0 and {"ordinary", "container"} & {*wanted}:
        open_up({Path(sys.prefix), Path(os.path.realpath(sys.executable)).parents[1], ROOT})
    if os.geteuid() == 0 and "ordinary" in wanted:
        become(FIRST_USER + os.getpid() % USERS)  # another for who runs beside it
        os.environ["HOME"] = "/nonexistent"
    if "container" in wanted and os.geteuid() == 0:
        keep_capabilities(DOCKERS)
    if refused or "no-filter" in wanted:
        kernel.no_new_privileges()
        refuse(refused, clone="container" in wanted, filters="no-filter" in wanted)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
