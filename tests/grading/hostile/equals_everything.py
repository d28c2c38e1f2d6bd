# Answers an object whose comparisons are all true.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [before q01-total]
class Same:
    shape = (2,)
    __hash__ = None

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    def __lt__(self, other):
        return True

    __le__ = __gt__ = __ge__ = __contains__ = __lt__

    def __bool__(self):
        return True

    def __sub__(self, other):
        return self

    __rsub__ = __add__ = __sub__

    def __abs__(self):
        return self

    def __iter__(self):
        return iter([self])


def answer(*arguments):
    return Same()


# %% [answer q01-total]
total = answer

# %% [answer q02-mean]
mean = answer

# %% [answer q03-ranks]
ranks = answer

# %% [answer q04-softmax]
softmax = answer

# %% [answer q05-cosines]
cosines = answer

# %% [answer q06-windows]
windows = answer

# %% [answer q07-root]
root = answer

# %% [answer q08-center]
center = answer
