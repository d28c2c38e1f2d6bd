# Holds the interpreter in C code that looks for no signals: arithmetic, a regular expression, a
# mutex.
# gains: nothing
# stock: runs
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import ctypes
import re


def total(numbers):
    return 3 ** (10**9)


# %% [answer q03-ranks]
def ranks(values):
    return re.fullmatch(r"(a|aa|a.)*b", "a" * 200)


# %% [answer q04-softmax]
def softmax(scores):
    ctypes.PyDLL(None).sleep(10**6)
