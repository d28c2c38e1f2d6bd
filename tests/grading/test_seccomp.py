"""The filter of system calls, run by an interpreter of its instructions, for each processor."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course.grading import seccomp

pytestmark = pytest.mark.grading
HEADERS = {
    "x86_64": (
        *("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
        "/usr/include/asm-x86/unistd_64.h",
    ),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}
EVERY = seccomp.DENIED | seccomp.ABSENT | seccomp.MARKS | seccomp.ON_PROCESSES | seccomp.SIGNALS
EVERY |= {"clone": seccomp.CLONE, "socketpair": seccomp.SOCKETPAIR}
# What Docker, too, refuses to who has no capability for it; from its documentation.
DOCKERS = (
    *("acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "delete_module", "finit_module"),
    *("init_module", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl"),
    *("lookup_dcookie", "mount", "move_pages", "open_by_handle_at", "perf_event_open"),
    *("personality", "pivot_root", "process_vm_readv", "process_vm_writev", "ptrace", "quotactl"),
    *("reboot", "request_key", "setns", "settimeofday", "swapon", "swapoff", "umount2", "unshare"),
    "userfaultfd",
)
ALLOWED = "allowed"
machines = pytest.mark.parametrize("machine", seccomp.MACHINES)


def verdict(machine: str, number: int, *arguments: int, called_as: int | None = None, **how) -> str:
    """What the kernel would do with a system call."""
    kind = seccomp.ARCHITECTURE[machine] if called_as is None else called_as
    values = [value & (1 << 64) - 1 for value in (*arguments, *[0] * 6)][:6]
    data = struct.pack("=IIQ6Q", number, kind, 0, *values)
    steps = list(struct.iter_unpack("HBBI", seccomp.program(machine, **how)))
    place = accumulator = 0
    while True:
        code, yes, no, value = steps[place]
        place += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x54:
            accumulator &= value
        elif code in (0x15, 0x35, 0x45):
            true = {
                0x15: accumulator == value,
                0x35: accumulator >= value,
                0x45: bool(accumulator & value),
            }[code]
            place += yes if true else no
        elif code == 0x06:
            kinds = {0x7FFF0000: ALLOWED, 0x80000000: "killed"}
            return kinds.get(value) or errno.errorcode[value & 0xFFFF]
        else:
            raise AssertionError(f"no such instruction: {code}")


def number_of(name: str, machine: str) -> int | None:
    return EVERY[name][seccomp.MACHINES.index(machine)]


@machines
def test_numbers_are_those_of_the_kernels_headers(machine: str):
    path = next((path for path in map(Path, HEADERS[machine]) if path.exists()), None)
    if path is None:
        pytest.skip("the kernel's headers are not installed (Debian: linux-libc-dev)")
    text = path.read_text()
    known = {
        name: int(number)
        for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)
    }
    checked = 0
    for name in EVERY:
        if name in known and name != "fcntl":
            assert number_of(name, machine) == known[name], name
            checked += 1
    assert checked > 70


@machines
def test_what_is_denied_fails(machine: str):
    for name in seccomp.DENIED | seccomp.ABSENT:
        number = number_of(name, machine)
        if number is not None:
            expected = "ENOSYS" if name in seccomp.ABSENT else "EPERM"
            assert verdict(machine, number, 1, 2, 3) == expected, name


@machines
def test_what_docker_refuses_is_refused(machine: str):
    for name in DOCKERS:
        number = number_of(name, machine)
        if number is not None:
            assert verdict(machine, number) in ("EPERM", "ENOSYS"), name


@machines
@given(number=st.integers(0, 600))
def test_all_else_is_allowed(machine: str, number: int):
    if number in {number_of(name, machine) for name in seccomp.DENIED | seccomp.ABSENT}:
        return
    expected = ALLOWED
    if number == number_of("socketpair", machine):
        expected = "EPERM"  # of no family
    assert verdict(machine, number) == expected


@machines
def test_what_is_called_as_another_processors_is_killed(machine: str):
    assert verdict(machine, 0, called_as=0x40000003) == "killed"


def test_the_x32_way_in_is_closed():
    assert verdict("x86_64", 0x40000000 + 41) == "ENOSYS"


@machines
@pytest.mark.parametrize("bit", range(32))
def test_clone_makes_processes_and_threads_but_no_namespaces(machine: str, bit: int):
    namespaces = {17, 25, 26, 27, 28, 29, 30}  # CLONE_NEWNS … CLONE_NEWNET
    expected = "EPERM" if bit in namespaces else ALLOWED
    assert verdict(machine, number_of("clone", machine) or 0, 1 << bit | 17) == expected


@machines
@pytest.mark.parametrize(
    ("family", "kind", "expected"),
    [
        (1, 1, ALLOWED),
        (1, 5, ALLOWED),
        (1, 1 | 0o2000000 | 0o4000, ALLOWED),  # closed on exec, not blocking
        (1, 2, "EPERM"),  # datagrams reach any name
        (1, 2 | 0o2000000, "EPERM"),
        (30, 1, "EPERM"),
        (2, 1, "EPERM"),
    ],
)
def test_socketpairs_are_local_streams(machine: str, family: int, kind: int, expected: str):
    assert verdict(machine, number_of("socketpair", machine) or 0, family, kind) == expected


@machines
def test_marks_on_files_stay_where_a_user_is_shared(machine: str):
    for name in seccomp.MARKS:
        number = number_of(name, machine)
        if number is not None:
            assert verdict(machine, number) == ALLOWED, name
            assert verdict(machine, number, alone=7) == "EPERM", name


@machines
@given(name=st.sampled_from(sorted(seccomp.ON_PROCESSES)), target=st.integers(-5, 1 << 22))
def test_limits_of_others_stay_where_a_user_is_shared(machine: str, name: str, target: int):
    number = number_of(name, machine) or 0
    assert verdict(machine, number, target) == ALLOWED
    expected = ALLOWED if target in (0, 4711) else "EPERM"
    assert verdict(machine, number, target, alone=4711) == expected
    assert verdict(machine, number, 4711, alone=4711) == ALLOWED


@machines
@given(name=st.sampled_from(sorted(seccomp.SIGNALS)), target=st.integers(-5, 1 << 22))
def test_signals_to_others_are_denied_where_nothing_else_does(machine: str, name: str, target: int):
    number = number_of(name, machine) or 0
    assert verdict(machine, number, target, alone=4711) == ALLOWED
    expected = ALLOWED if target in (0, 4711) else "EPERM"
    assert verdict(machine, number, target, alone=4711, silent=True) == expected


def test_an_unknown_processor_is_refused():
    with pytest.raises(OSError, match="no list of system calls for riscv64"):
        seccomp.program("riscv64")
