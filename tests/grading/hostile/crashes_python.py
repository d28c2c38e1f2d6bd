# Reads where no memory is, frees what is not its own, and builds code that Python cannot run.
# gains: nothing
# stock: runs
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import ctypes


def total(numbers):
    return ctypes.string_at(0)


# %% [answer q03-ranks]
def ranks(values):
    ctypes.memset(id(values), 255, 64)
    return values


# %% [answer q04-softmax]
def softmax(scores):
    code = (lambda: 0).__code__.replace(co_code=bytes(range(2, 250, 2)), co_stacksize=0)
    return eval(code)
