# Answers lists that hold themselves, are nested a hundred thousand deep, or double at each level.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
def total(numbers):
    own = []
    own.append(own)
    return own


# %% [answer q03-ranks]
def ranks(values):
    nested = []
    for _ in range(100_000):
        nested = [nested]
    return nested


# %% [answer q02-mean]
def mean(numbers):
    table = {}
    table["me"] = (table, [table])
    return table


# %% [answer q06-windows]
def windows(tokens, size):
    laughs = ["ha"]
    for _ in range(60):
        laughs = [laughs, laughs]
    return laughs
