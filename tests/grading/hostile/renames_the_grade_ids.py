# Swaps the names of a right answer and a missing one, also with characters that cannot be seen.
# gains: nothing
# stock: runs
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [metadata q03-ranks-hidden]
# {"grade_id": "q02-mean-hidden"}

# %% [metadata q03-ranks-tests]
# {"grade_id": "q02-mean-tests\u200b"}

# %% [metadata q01-total]
# {"grade_id": "q01-total\u202e"}

# %% [metadata q04-softmax-hidden]
# {"grade_id": "../../../../gradebook.db"}
