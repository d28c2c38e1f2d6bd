# Marks test cells as cells for answers, as unlocked and as not graded, and its answer as a test.
# gains: nothing
# stock: runs
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [metadata q01-total-tests]
# {"solution": true, "locked": false}

# %% [edit q01-total-tests]
1

# %% [metadata q01-total-hidden]
# {"grade": false, "solution": true, "locked": false, "task": true}

# %% [edit q01-total-hidden]
2

# %% [metadata q03-ranks]
# {"grade": true, "points": 2, "locked": true, "solution": false, "grade_id": "q03-ranks-hidden"}

# %% [answer q03-ranks]
2
