# Hopes, as a student who comes later, that a start-up file of an earlier one answers for it.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
pass
