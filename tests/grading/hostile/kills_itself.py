# Sends itself signals that end it, and aborts.
# gains: nothing
# stock: runs
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import os
import signal


def total(numbers):
    os.kill(os.getpid(), signal.SIGKILL)


# %% [answer q03-ranks]
def ranks(values):
    os.abort()


# %% [answer q04-softmax]
def softmax(scores):
    signal.raise_signal(signal.SIGTERM)
