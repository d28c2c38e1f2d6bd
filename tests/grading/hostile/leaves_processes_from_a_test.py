# Starts a process inside a call that a test makes, and one for each call.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import os
import time


def total(numbers):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv("/bin/sleep", ["@MARKER@", "120"])
        os._exit(0)
    return 0
