# Leaves tests out, so that nothing can fail.
# gains: nothing
# stock: runs
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [delete q01-total-tests]

# %% [delete q01-total-hidden]

# %% [delete q03-ranks-hidden]

# %% [delete set-up]
