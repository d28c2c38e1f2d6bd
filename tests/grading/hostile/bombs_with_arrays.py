# Takes memory in NumPy and torch, also more than any machine has (writes to at most 8 GB).
# gains: nothing
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q04-softmax]
def softmax(scores):
    return np.broadcast_to(np.float64(1), (2**40,))


# %% [answer q05-cosines]
def cosines(queries, keys):
    return torch.zeros(1).expand(2**40)


# %% [answer q03-ranks]
def ranks(values):
    return [np.ones(10**8) for _ in range(10)]


# %% [answer q01-total]
def total(numbers):
    return np.empty(2**45)
