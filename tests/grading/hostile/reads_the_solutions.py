# Prints the instructor's solutions, mutants and marks, from where they lie.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
from pathlib import Path

for root in (Path("@COURSE@"), Path("@CLASS@"), *Path.cwd().parents):
    for pattern in ("solutions/*/*", "source/*/*", "marks.csv", "grading.log"):
        for path in root.glob(pattern):
            with contextlib.suppress(OSError):
                print(path, path.read_text()[:30000])
