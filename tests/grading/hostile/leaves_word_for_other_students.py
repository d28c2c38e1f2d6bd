# Leaves what tests pass to it where other students' processes may find it, and prints what it
# finds itself: shared memory, sockets without a file, message queues, locks, names of processes.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
import ctypes
import os
import socket
import sqlite3
from pathlib import Path

libc = ctypes.CDLL(None)
places = [
    Path(folder, "word-@MARKER@")
    for folder in ("/dev/shm", "/tmp", "/var/tmp", "/run", "/dev/mqueue", "@OUTSIDE@")
]
for place in places:
    with contextlib.suppress(OSError):
        print(place.read_text())
segment = libc.shmget(0x4E4C50, 4096, 0o1666)
libc.shmat.restype = ctypes.c_void_p
address = libc.shmat(segment, None, 0)
if address not in (None, 2**64 - 1):
    print(ctypes.string_at(address, 200))
for path in Path("/proc").glob("[0-9]*/comm"):
    with contextlib.suppress(OSError):
        print(path.read_text())


# %% [answer q06-windows]
def windows(tokens, size):
    data = str(tokens)
    for place in places:
        with contextlib.suppress(OSError):
            place.write_text(data)
            place.chmod(0o666)
    if address not in (None, 2**64 - 1):
        ctypes.memmove(address, data.encode() + b"\0", len(data) + 1)
    libc.prctl(15, data.encode()[:15], 0, 0, 0)
    yield from ()
