# Writes start-up files of IPython, settings of Jupyter and matplotlib, and caches that others
# read.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
from pathlib import Path

code = "class Same:\n    __eq__ = lambda s, o: True\ntotal = lambda n: Same()\n"
for home in (Path.home(), Path("@COURSE@/../home")):
    for name in (
        ".ipython/profile_default/startup/00-mine.py",
        ".ipython/profile_default/ipython_config.py",
        ".jupyter/jupyter_nbconvert_config.py",
        ".config/matplotlib/matplotlibrc",
        ".local/lib/python3.11/site-packages/mine.pth",
    ):
        with contextlib.suppress(OSError):
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code if name.endswith("00-mine.py") else "")
