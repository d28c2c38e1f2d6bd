# sys.exit, quit, subclasses of SystemExit and KeyboardInterrupt, from answers and from cells.
# gains: nothing
# stock: runs
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import sys


class Done(SystemExit):
    pass


def total(numbers):
    raise Done(0)


# %% [answer q03-ranks]
def ranks(values):
    sys.exit(0)


# %% [answer q04-softmax]
def softmax(scores):
    raise KeyboardInterrupt


# %% [answer q05-cosines]
class Fine(BaseException):
    pass


def cosines(queries, keys):
    raise Fine


# %% [answer q06-windows]
def windows(tokens, size):
    yield tokens
    raise GeneratorExit


# %% [answer q07-root]
def root(function, low, high):
    raise StopIteration


# %% [after q08-center]
quit()

# %% [after q08-center]
exit(0)

# %% [after q08-center]
raise SystemExit
