# Forks, and so does each of its children, twelve times: 4096 processes, which end after a minute.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
import os
import signal
import time

for _ in range(12):
    with contextlib.suppress(OSError):
        os.fork()
    signal.alarm(60)
time.sleep(60)
