# Answers numbers of a million digits, lists of ten million items, and generators without end.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
def total(numbers):
    return 10**1_000_000


# %% [answer q03-ranks]
def ranks(values):
    return list(range(10**7))


# %% [answer q06-windows]
def windows(tokens, size):
    number = 0
    while True:
        yield ("a", number)
        number += 1


# %% [answer q02-mean]
def mean(numbers):
    return "x" * (300 << 20)


# %% [answer q04-softmax]
def softmax(scores):
    return np.array(["x" * (64 << 20)] * 2)
