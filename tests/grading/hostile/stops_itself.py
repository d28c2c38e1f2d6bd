# Stops its process without ending it, so that nothing answers any more.
# gains: nothing
# stock: runs
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import os
import signal


def total(numbers):
    os.kill(os.getpid(), signal.SIGSTOP)


# %% [after q08-center]
os.kill(os.getpid(), signal.SIGSTOP)
