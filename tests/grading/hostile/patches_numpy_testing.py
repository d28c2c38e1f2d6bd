# Replaces what tests compare arrays with by functions that always agree.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q04-softmax]
import sys

import numpy.testing


def softmax(scores):
    return np.zeros(2)


def center(rows):
    return None


for module in list(sys.modules.values()):
    if getattr(module, "__name__", "").startswith("numpy"):
        for name in (
            "assert_allclose",
            "assert_array_equal",
            "assert_equal",
            "assert_almost_equal",
        ):
            if hasattr(module, name):
                setattr(module, name, lambda *arguments, **options: None)
        for name in ("allclose", "array_equal", "isclose", "all"):
            if hasattr(module, name):
                setattr(module, name, lambda *arguments, **options: True)


# %% [answer q08-center]
def center(rows):
    return None
