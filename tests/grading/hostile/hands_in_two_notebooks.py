# Hands in a second notebook, so that it is not clear which one counts.
# gains: nothing
# may keep: q01-total, q02-mean, q03-ranks, q04-softmax, q05-cosines, q06-windows, q07-root, q08-center
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
def total(numbers):
    return 0


# %% [second notebook]
