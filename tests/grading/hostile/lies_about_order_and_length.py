# Objects with their own `__len__`, `__iter__`, `__getitem__`, `__contains__`, `__length_hint__`
# and order, which differ each time.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q06-windows]
class Sequence:
    asked = 0

    def __len__(self):
        Sequence.asked += 1
        return -5 if Sequence.asked % 2 else 2**62

    def __length_hint__(self):
        return 2**40

    def __getitem__(self, place):
        if isinstance(place, slice):
            return self
        if place > 5:
            raise IndexError
        return self

    def __contains__(self, item):
        return True

    def __lt__(self, other):
        return True

    __eq__ = __gt__ = __le__ = __ge__ = __lt__
    __hash__ = None


def windows(tokens, size):
    return Sequence()


# %% [answer q03-ranks]
def ranks(values):
    return Sequence()


# %% [answer q07-root]
def root(function, low, high):
    return Sequence()
