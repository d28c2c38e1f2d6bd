# Endless loops in a cell, in answers, in a generator and in a finalizer.
# gains: nothing
# stock: runs
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
def total(numbers):
    while True:
        pass


# %% [answer q03-ranks]
class Slow:
    def __del__(self):
        while True:
            pass


def ranks(values):
    Slow()
    return 0


# %% [answer q06-windows]
def windows(tokens, size):
    while True:
        if size > 10**9:
            yield None


# %% [answer q04-softmax]
import time


def softmax(scores):
    time.sleep(10**6)
