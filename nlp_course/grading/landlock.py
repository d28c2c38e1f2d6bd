"""Landlock: files that a process may read, files that it may write, and no others.

What it leaves open: whether a file is there, its size, date and mode can be asked of any file.

References: landlock(7); Salaün, Landlock's documentation for user space, in the kernel's.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys
from collections.abc import Iterable

from nlp_course.grading import kernel

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION, RULE_PATH_BENEATH = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER = 1, 2, 4, 8
MAKE_CHARACTER_DEVICE, MAKE_BLOCK_DEVICE = 1 << 6, 1 << 11
REFER, TRUNCATE, IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
FIRST_RIGHTS = (1 << 13) - 1
SINCE = {REFER: 2, TRUNCATE: 3, IOCTL_DEVICE: 5}  # version of the interface
TCP, TCP_SINCE = 3, 4  # bind and connect
OUTSIDE, OUTSIDE_SINCE = 3, 6  # abstract sockets and signals of who is not restricted likewise
READ = EXECUTE | READ_FILE | READ_FOLDER
ON_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE


def version() -> int:
    """Version of the kernel's interface; 0 where there is none, or it may not be used."""
    if sys.platform != "linux":
        return 0
    nothing = ctypes.c_size_t(0)
    return max(0, kernel.libc().syscall(CREATE_RULESET, None, nothing, ASK_VERSION))


def restrict(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Close all files to this process but these, and what is below them.

    Paths that are not there, or not open to this user, are passed over. TCP, signals and
    abstract sockets of others are closed too, where the kernel's version knows how.

    Raises
    ------
    OSError : the kernel has no Landlock, or refused a rule.
    """
    known = version()
    if not known:
        raise OSError(errno.ENOSYS, "Landlock is not there")
    handled = FIRST_RIGHTS | sum(right for right, since in SINCE.items() if known >= since)
    attributes = struct.pack("Q", handled)
    if known >= TCP_SINCE:
        attributes += struct.pack("Q", TCP)
    if known >= OUTSIDE_SINCE:
        attributes += struct.pack("Q", OUTSIDE)
    size = ctypes.c_size_t(len(attributes))
    made = kernel.libc().syscall(CREATE_RULESET, ctypes.c_char_p(attributes), size, 0)
    rules = kernel.check(made, "landlock_create_ruleset")
    write = handled & ~(MAKE_CHARACTER_DEVICE | MAKE_BLOCK_DEVICE)
    try:
        for paths, rights in ((readable, READ), (writable, write)):
            for path in paths:
                _allow(rules, path, rights & handled)
        kernel.check(kernel.libc().syscall(RESTRICT_SELF, rules, 0), "landlock_restrict_self")
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return  # without a rule it stays closed
    try:
        folder = stat.S_ISDIR(os.fstat(place).st_mode)
        rule = struct.pack("=Qi", rights if folder else rights & ON_A_FILE, place)
        pointer = ctypes.c_char_p(rule)
        added = kernel.libc().syscall(ADD_RULE, rules, RULE_PATH_BENEATH, pointer, 0)
        kernel.check(added, f"landlock_add_rule {path}")
    finally:
        os.close(place)
