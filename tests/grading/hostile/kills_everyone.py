# Sends signals to its parent, its group, and a process of the grader's that has nothing to do
# with it.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
import os
import signal

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
    for target in (int("@VICTIM@"), os.getppid()):
        with contextlib.suppress(OSError):
            os.kill(target, number)


# %% [answer q01-total]
def total(numbers):
    with contextlib.suppress(OSError):
        os.kill(os.getppid(), signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.killpg(os.getpgrp(), signal.SIGKILL)
