# Takes memory that no process owns: /dev/shm, memfd, shared maps, pipes (at most 6 GB).
# gains: nothing
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [after q08-center]
import contextlib
import mmap
import os

kept = []
block = b"x" * (64 << 20)
with contextlib.suppress(OSError):
    with open("/dev/shm/@MARKER@", "wb") as file:
        for _ in range(32):
            file.write(block)
with contextlib.suppress(OSError):
    memory = os.memfd_create("large")
    for _ in range(32):
        os.write(memory, block)
with contextlib.suppress(OSError, ValueError):
    shared = mmap.mmap(-1, 2 << 30)
    for _ in range(32):
        shared.write(block)
