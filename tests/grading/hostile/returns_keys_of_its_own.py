# Answers dicts and sets whose keys have a hash and an equality that misbehave on the other side.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
class Key:
    def __hash__(self):
        raise ValueError("not today")

    def __eq__(self, other):
        return True


class Late(int):
    asked = 0

    def __hash__(self):
        Late.asked += 1
        if Late.asked > 1:
            raise ValueError("not twice")
        return 1


def total(numbers):
    return {Late(1): [Key()], (): {}, frozenset(): 1, float("nan"): 2, ("a", (1,)): 3}


# %% [answer q03-ranks]
def ranks(values):
    class Table(dict):
        __iter__ = items = keys = values = lambda self: iter([({}, []), ([], {})])
        __len__ = lambda self: -1

    return Table(a=1)


# %% [answer q06-windows]
from collections import namedtuple


def windows(tokens, size):
    odd = namedtuple("odd", ["a", "b"])
    odd._fields = ("__class__", "a b; import os")
    odd.__name__ = "x\nimport os"
    yield odd(1, 2)
