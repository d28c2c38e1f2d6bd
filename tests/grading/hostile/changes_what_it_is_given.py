# Changes the arrays and lists that tests pass to it, so that what is expected fits what it
# answers.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
def total(numbers):
    numbers.clear()
    return 0


# %% [answer q03-ranks]
def ranks(values):
    values[:] = [0, 1, 2]
    return values


# %% [answer q04-softmax]
def softmax(scores):
    scores[:] = 0
    return np.full(len(scores), 1 / len(scores)) if len(scores) != 2 else np.zeros(2)


# %% [answer q05-cosines]
def cosines(queries, keys):
    queries.data = keys.data = torch.eye(9)
    return torch.eye(9)


# %% [answer q08-center]
def center(rows):
    rows.resize((0, 0), refcheck=False)
    rows.__class__ = np.matrix
