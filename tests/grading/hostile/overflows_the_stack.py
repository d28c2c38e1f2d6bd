# Recurs without end, with the limit lifted, in Python, in C and through repr.
# gains: nothing
# stock: runs
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import sys

sys.setrecursionlimit(2**30)


def total(numbers):
    return total(numbers) + 1


# %% [answer q03-ranks]
def ranks(values):
    nested = []
    for _ in range(1_000_000):
        nested = [nested]
    return repr(nested)


# %% [answer q06-windows]
class Self:
    def __getattr__(self, name):
        return getattr(self, name + "x")

    __repr__ = __str__ = lambda self: f"{self!r}"


def windows(tokens, size):
    raise ValueError(Self())
