# Hands in test cells that are worth a thousand points, less than nothing, or no number at all.
# gains: nothing
# stock: runs
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [metadata q01-total-tests]
# {"points": 1000}

# %% [metadata q01-total-hidden]
# {"points": -1000}

# %% [metadata q02-mean-tests]
# {"points": 1e308}

# %% [metadata q03-ranks-hidden]
# {"points": "2; DROP TABLE grade"}

# %% [metadata q09-why]
# {"points": 500, "score": 500, "manual_score": 500, "extra_credit": 50}

# %% [notebook metadata]
# {"nbgrader": {"score": 24}, "kernelspec": {"name": "../../evil", "display_name": "x",
#  "language": "sh", "argv": ["sh", "-c", "true"]}}
