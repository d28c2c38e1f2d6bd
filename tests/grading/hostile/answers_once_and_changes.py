# Answers with objects that are right the first time they are looked at and others later, and with
# generators that know how far they were asked.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q07-root]
class Moving:
    guesses = 0

    def __float__(self):
        Moving.guesses += 1
        return Moving.guesses / 1000

    def __sub__(self, other):
        return other - other

    def __rsub__(self, other):
        return 0.0


def root(function, low, high):
    return Moving()


# %% [answer q06-windows]
class Asked:
    def __init__(self):
        self.times = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.times += 1
        if self.times > 2:
            raise StopIteration

        class Equal(tuple):
            __eq__ = lambda self, other: True
            __hash__ = None

        return Equal()

    def __eq__(self, other):
        return True


def windows(tokens, size):
    return Asked()
