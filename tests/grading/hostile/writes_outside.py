# Writes into folders that anyone may write to, and that only the grader may.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
import os
from pathlib import Path

with contextlib.suppress(OSError):
    Path("@OUTSIDE@/canary").write_text("touched by @MARKER@")
with contextlib.suppress(OSError):
    Path("@OUTSIDE@/new-@MARKER@").write_text("new")
with contextlib.suppress(OSError):
    (Path("@COURSE@") / "../home/.netrc").write_text("mine")
with contextlib.suppress(OSError):
    Path.home().joinpath(".netrc").write_text("mine")
with contextlib.suppress(OSError):
    os.symlink("@OUTSIDE@/canary", "a-link")
    Path("a-link").write_text("through a link")
with contextlib.suppress(OSError):
    os.link("@OUTSIDE@/canary", "hard-link")
