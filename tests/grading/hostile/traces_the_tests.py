# Sets trace and profile functions that see each line that is run, and take expected values from
# its frame.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q04-softmax]
import sys
import threading

kept = {}


def trace(frame, event, argument):
    names = {**frame.f_globals, **frame.f_locals}
    for name in ("hidden_wanted", "hidden_centered", "hidden_cosines"):
        if name in names:
            kept[name] = names[name]
    kept.setdefault("constants", set()).add(repr(frame.f_code.co_consts)[:300])
    return trace


def softmax(scores):
    return kept["hidden_wanted"].copy()


# %% [answer q05-cosines]
def cosines(queries, keys):
    return kept["hidden_cosines"].clone()


# %% [answer q08-center]
def center(rows):
    rows[:] = kept["hidden_centered"]


# %% [after q08-center]
sys.settrace(trace)
sys.setprofile(trace)
threading.settrace(trace)
print(kept)
