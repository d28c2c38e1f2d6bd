# Ends its process at once, from an answer while it is tested and from a cell.
# gains: nothing
# stock: runs
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import os


def total(numbers):
    os._exit(0)


# %% [after q08-center]
os._exit(0)
