# Subclasses of list, tuple, str and dict with comparisons of their own, and such things inside
# honest lists.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q03-ranks]
class Places(list):
    __eq__ = lambda self, other: True
    __hash__ = None


def ranks(values):
    return Places([7])


# %% [answer q06-windows]
class Text(str):
    __eq__ = lambda self, other: True
    __hash__ = str.__hash__


class Run(tuple):
    __eq__ = lambda self, other: True
    __hash__ = tuple.__hash__


def windows(tokens, size):
    for _ in range(len(tokens) - size + 1):
        yield Run([Text("z")])
