# Asks for input, opens debuggers and editors, and waits for a key that nobody presses.
# gains: nothing
# stock: runs
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
def total(numbers):
    return int(input("what is it? "))


# %% [answer q03-ranks]
def ranks(values):
    breakpoint()
    return []


# %% [after q02-mean]
import pdb
import sys

try:
    pdb.set_trace()
except BaseException as error:
    print(type(error))
try:
    sys.stdin.read()
except BaseException as error:
    print(type(error))
