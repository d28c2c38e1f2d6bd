# Hands in cells twice: a test, the second of which is empty, and an answer with two texts.
# gains: nothing
# may keep: q02-mean
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [copy q01-total-hidden]
2

# %% [copy q02-mean-tests]
pass


# %% [copy q03-ranks]
def ranks(values):
    return []
