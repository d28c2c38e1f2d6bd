"""System calls that Python has no words for: prctl, unshare, mount, capset, madvise."""

from __future__ import annotations

import ctypes
import functools
import os
import struct

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x8000000, 0x10000000, 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 0x1000, 0x4000, 0x40000
CAPABILITY_VERSION_3 = 0x20080522
MADV_COLLAPSE = 25
HUGE_PAGE = 2 << 20  # bytes


@functools.cache
def libc() -> ctypes.CDLL:
    """The C library; looked for when it is used, since not every system has one to be found."""
    return ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> int:
    """A system call's result, if it is one.

    Raises
    ------
    OSError : it says that the call failed.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(option: int, value: int) -> None:
    """prctl(2) with one argument."""
    check(libc().prctl(option, value, 0, 0, 0), f"prctl {option}")


def unshare(flags: int) -> None:
    """Leave the namespaces that are shared so far."""
    check(libc().unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2)."""
    texts = [text.encode() for text in (source, target, kind, options)]
    done = libc().mount(*texts[:3], ctypes.c_ulong(flags), texts[3])
    check(done, f"mount {target}")


def drop_capabilities() -> None:
    """Give up all capabilities; with `no_new_privileges`, for good."""
    header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
    check(libc().capset(ctypes.c_char_p(header), ctypes.c_char_p(bytes(24))), "capset")


def no_new_privileges() -> None:
    """From now on no program that is started gains rights: setuid bits mean nothing."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def collapse() -> None:
    """Gather this process's memory into huge pages, as far as the kernel can.

    A fork copies a table with an entry a page: with PyTorch imported it takes a third of the time
    afterwards. Linux knows how since 6.1; where it does not, or will not, all stays as it is.
    """
    with open("/proc/self/maps") as file:
        lines = [line.split() for line in file]
    for place, rights, *_ in lines:
        start, end = (int(part, 16) for part in place.split("-"))
        first, last = -(-start // HUGE_PAGE) * HUGE_PAGE, end // HUGE_PAGE * HUGE_PAGE
        if "w" in rights and first < last:
            size = ctypes.c_size_t(last - first)
            libc().madvise(ctypes.c_void_p(first), size, MADV_COLLAPSE)
