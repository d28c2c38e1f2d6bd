# Replaces the builtins that tests use: isinstance, abs, len, list, all, next, and the error that
# an assert raises.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import builtins


class Always:
    def __eq__(self, other):
        return True

    def __lt__(self, other):
        return True


for name in ("isinstance", "abs", "list", "all", "any", "iter"):
    setattr(builtins, name, lambda *arguments, **options: Always())
builtins.len = lambda *arguments: 2
builtins.next = lambda *arguments: Always()
builtins.AssertionError = type("Fine", (BaseException,), {"__init__": lambda self, *a: None})


# %% [answer q03-ranks]
def ranks(values):
    return 0


# %% [answer q06-windows]
def windows(tokens, size):
    return None


# %% [answer q07-root]
def root(function, low, high):
    return None
