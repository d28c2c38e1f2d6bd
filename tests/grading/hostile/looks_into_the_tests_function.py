# A test passes it a function; it looks into its closure, code and globals for the answer.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q07-root]
import inspect


def root(function, low, high):
    if getattr(function, "__closure__", None):
        return function.__closure__[0].cell_contents
    places = getattr(function, "__globals__", {})
    print([name for name in places if "hidden" in name])
    return function.__code__.co_consts[1]
