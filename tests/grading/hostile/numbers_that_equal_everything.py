# Subclasses of int, float, bool-like and complex numbers with comparisons of their own.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
class Whole(int):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __hash__ = int.__hash__


def total(numbers):
    return Whole(7)


# %% [answer q02-mean]
class Real(float):
    __eq__ = __le__ = __ge__ = lambda self, other: True
    __hash__ = float.__hash__


def mean(numbers):
    return Real("nan")


# %% [answer q07-root]
class Near(float):
    __sub__ = __rsub__ = __abs__ = __add__ = lambda self, *other: self
    __lt__ = __gt__ = __le__ = __ge__ = lambda self, other: True


def root(function, low, high):
    return Near("nan")
