# Looks through every object of the process, and at what refers to its arguments, for tests and
# expected values.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q04-softmax]
import gc


def softmax(scores):
    for found in gc.get_objects():
        if isinstance(found, dict) and "hidden_wanted" in found:
            return found["hidden_wanted"].copy()
    raise ValueError("nothing found")


# %% [answer q08-center]
def center(rows):
    for holder in gc.get_referrers(rows):
        if isinstance(holder, dict) and "hidden_centered" in holder:
            rows[:] = holder["hidden_centered"]


# %% [after q08-center]
for found in gc.get_objects():
    if isinstance(found, dict):
        for value in list(found.values()):
            if isinstance(value, str) and "BEGIN HIDDEN" in value:
                print(value)
