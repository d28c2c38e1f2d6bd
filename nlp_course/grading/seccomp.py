"""A filter of system calls: what a notebook never needs is refused by the kernel.

References: seccomp(2); the kernel's tables of system calls, of x86_64 and of aarch64.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

from nlp_course.grading import kernel

MACHINES = ("x86_64", "aarch64")
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
Numbers = dict[str, tuple[int | None, int | None]]  # in the order of MACHINES; None: not there

DENIED: Numbers = {
    # the network; socketpair stays
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "migrate_pages": (256, 238),
    "move_pages": (279, 239), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    # memory and messages that outlive a process, or that nobody counts
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190),
    "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186),
    "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187), "mq_open": (240, 180),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    # namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "move_mount": (429, 429),
    "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "mknod": (133, None), "mknodat": (259, 33), "fanotify_init": (300, 262),
    # the machine
    "bpf": (321, 280), "perf_event_open": (298, 241), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "acct": (163, 89), "swapon": (167, 224), "swapoff": (168, 225),
    "reboot": (169, 142), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "adjtimex": (159, 171), "sethostname": (170, 161),
    "setdomainname": (171, 162), "syslog": (103, 116), "personality": (135, 92),
    "vhangup": (153, 58), "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None),
    "lookup_dcookie": (212, 18),
}  # fmt: skip
# These claim not to be there, and who asks for them then does without.
ABSENT: Numbers = {
    # Its flags lie in memory, where a filter cannot look; the C library then takes clone.
    "clone3": (435, 435),
    # Files that are in no folder and in no process's memory: no bound would count them.
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "userfaultfd": (323, 282), "pidfd_open": (434, 434),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
}  # fmt: skip
# With the user id of others, Landlock leaves these open: marks on files that are not read.
MARKS: Numbers = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466), "utime": (132, None), "utimes": (235, None),
    "utimensat": (280, 88), "futimesat": (261, None), "file_setattr": (469, 469),
    "setpriority": (141, 140), "ioprio_set": (251, 30),
}  # fmt: skip
# The first argument of these is a process.
ON_PROCESSES: Numbers = {
    "prlimit64": (302, 261), "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274), "setpgid": (109, 154),
}  # fmt: skip
SIGNALS: Numbers = {"kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131)}
CLONE, SOCKETPAIR = (56, 220), (53, 199)
ANY_NAMESPACE = 0x7E020000  # of clone's flags
X32 = 0x40000000
AF_UNIX, SOCK_STREAM, SOCK_SEQPACKET, SOCKET_KINDS = 1, 1, 5, 0xF

# Classic BPF, as in linux/bpf_common.h and linux/seccomp.h.
LOAD, AND, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, MACHINE, FIRST, SECOND = 0, 4, 16, 24  # offsets in struct seccomp_data
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2


def _step(code: int, value: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, jump_true, jump_false, value & 0xFFFFFFFF)


DENY, PASS = _step(RETURN, FAIL | errno.EPERM), _step(RETURN, ALLOW)
NOT_THERE = _step(RETURN, FAIL | errno.ENOSYS)


def _numbers(calls: Numbers, machine: str) -> list[int]:
    place = MACHINES.index(machine)
    return [number for pair in calls.values() if (number := pair[place]) is not None]


def _for_call(number: int, *steps: bytes) -> list[bytes]:
    """Steps for one system call; the last of them must return."""
    return [_step(EQUAL, number, 0, len(steps)), *steps]


def program(machine: str, *, alone: int | None = None, silent: bool = False) -> bytes:
    """The filter's instructions.

    Parameters
    ----------
    machine : its processor, of `MACHINES`
    alone : the process's number where others that it sees run as the same user: no other's
        limits may then be set, and no file's mode, owner or time
    silent : nor may another be sent a signal

    Raises
    ------
    OSError : no list of system calls is known for the machine.
    """
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"no list of system calls for {machine}")
    place = MACHINES.index(machine)
    steps = [
        _step(LOAD, MACHINE),
        _step(EQUAL, ARCHITECTURE[machine], 1, 0),
        _step(RETURN, KILL),
        _step(LOAD, NUMBER),
    ]
    if machine == "x86_64":
        steps += [_step(AT_LEAST, X32, 0, 1), NOT_THERE]
    steps += _for_call(
        CLONE[place], _step(LOAD, FIRST), _step(ANY_BIT, ANY_NAMESPACE, 0, 1), DENY, PASS
    )
    # Not datagrams: they may be sent to any name, without a connection.
    steps += _for_call(
        SOCKETPAIR[place],
        _step(LOAD, FIRST),
        _step(EQUAL, AF_UNIX, 0, 4),
        _step(LOAD, SECOND),
        _step(AND, SOCKET_KINDS),
        _step(EQUAL, SOCK_STREAM, 2, 0),
        _step(EQUAL, SOCK_SEQPACKET, 1, 0),
        DENY,
        PASS,
    )
    for number in _numbers(ABSENT, machine):
        steps += _for_call(number, NOT_THERE)
    for number in _numbers(DENIED, machine):
        steps += _for_call(number, DENY)
    if alone is not None:
        for number in _numbers(MARKS, machine):
            steps += _for_call(number, DENY)
        own = (_step(EQUAL, 0, 2, 0), _step(EQUAL, alone, 1, 0))
        for number in _numbers(ON_PROCESSES | (SIGNALS if silent else {}), machine):
            steps += _for_call(number, _step(LOAD, FIRST), *own, DENY, PASS)
    return b"".join([*steps, PASS])


def install(*, alone: int | None = None, silent: bool = False) -> None:
    """Filter the system calls of this process, and of all that it starts; see `program`."""
    steps = program(platform.machine(), alone=alone, silent=silent)
    buffer = ctypes.create_string_buffer(steps, len(steps))
    described = struct.pack("HxxxxxxP", len(steps) // 8, ctypes.addressof(buffer))
    pointer = ctypes.c_char_p(described)
    done = kernel.libc().prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, pointer, 0, 0)
    kernel.check(done, "seccomp")
