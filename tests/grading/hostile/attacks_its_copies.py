# Changes, from one test, what the next one finds: its functions, the shell and the copies of its
# process.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
def total(numbers):
    global mean, asked
    asked = globals().get("asked", 0) + 1
    mean = lambda values: asked
    get_ipython().user_ns["ranks"] = lambda values: [1, 2, 0] if asked else []
    return asked * 3 if asked == 1 and sum(numbers) != 3 else 0
