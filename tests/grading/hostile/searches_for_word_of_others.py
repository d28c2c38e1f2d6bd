# Looks, as a student who comes later, for what another has left, and prints it.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
import ctypes
from pathlib import Path

libc = ctypes.CDLL(None)
for folder in ("/dev/shm", "/tmp", "/var/tmp", "/run", "/dev/mqueue", "@OUTSIDE@"):
    for path in Path(folder).glob("word-*"):
        with contextlib.suppress(OSError):
            print(path.read_text())
segment = libc.shmget(0x4E4C50, 4096, 0o666)
libc.shmat.restype = ctypes.c_void_p
address = libc.shmat(segment, None, 0)
if address not in (None, 2**64 - 1):
    print(ctypes.string_at(address, 200))
with contextlib.suppress(OSError):
    print(Path("/proc/sysvipc/shm").read_text(), Path("/proc/locks").read_text())
