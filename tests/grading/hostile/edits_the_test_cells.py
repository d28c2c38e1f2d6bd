# Replaces the source of tests by nothing, by a number of points, and by a comment.
# gains: nothing
# stock: runs
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [edit q01-total-tests]
pass

# %% [edit q01-total-hidden]
2.0

# %% [edit q03-ranks-tests]
# nothing to see

# %% [edit q03-ranks-hidden]
2

# %% [edit set-up]
raise SystemExit
