# Answers that are not numbers, infinite, negative nought, half an emoji, or the wrong kind of
# true.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
def total(numbers):
    return float("nan") if numbers else "\ud800"


# %% [answer q02-mean]
def mean(numbers):
    return complex("nan+infj")


# %% [answer q03-ranks]
def ranks(values):
    return [float("inf"), -0.0, float("nan")]


# %% [answer q04-softmax]
def softmax(scores):
    return np.full(scores.shape, np.nan)


# %% [answer q05-cosines]
def cosines(queries, keys):
    return torch.full((len(queries), len(keys)), float("nan"))


# %% [answer q07-root]
def root(function, low, high):
    return float("nan")


# %% [answer q08-center]
def center(rows):
    rows[:] = np.nan
