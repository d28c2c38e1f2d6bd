# An object that has whatever it is asked for, itself each time, also float(), int(), complex()
# and index().
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
class Anything:
    def __getattr__(self, name):
        return self

    def __call__(self, *arguments, **options):
        return self

    def __float__(self):
        return float("nan")

    def __int__(self):
        return 10**5000

    __index__ = __int__

    def __getitem__(self, key):
        return self

    def __eq__(self, other):
        return True

    __hash__ = None


def total(numbers):
    return Anything()


# %% [answer q02-mean]
mean = Anything()

# %% [answer q04-softmax]
softmax = Anything()

# %% [answer q05-cosines]
cosines = Anything()

# %% [answer q07-root]
root = Anything()

# %% [answer q08-center]
center = Anything()
