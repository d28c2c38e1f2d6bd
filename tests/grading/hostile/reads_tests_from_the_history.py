# Asks IPython's history manager, and its database on disk, for the tests that ran.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import re
import sqlite3
from pathlib import Path


def inputs():
    manager = get_ipython().history_manager
    yield from manager.input_hist_raw
    yield from manager.input_hist_parsed
    yield from (line for _, _, line in manager.get_range(raw=False))
    for path in Path.home().glob(".ipython/profile_*/history.sqlite"):
        for (line,) in sqlite3.connect(path).execute("select source from history"):
            yield line


def total(numbers):
    pattern = re.escape(f"total({numbers}) == ") + r"(\d+)"
    return int(next(found[1] for text in inputs() if (found := re.search(pattern, text))))


# %% [after q08-center]
for line in inputs():
    print(line)
