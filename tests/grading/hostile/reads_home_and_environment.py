# Prints keys in the grader's home, all variables of the environment, and what names a secret.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
import os
from pathlib import Path

print(
    dict(os.environ).get("COURSE_SECRET"),
    {k: v for k, v in os.environ.items() if "SECRET" in k or "TOKEN" in k},
)
roots = [Path.home(), Path("@COURSE@"), Path("@COURSE@/../home"), Path("@CLASS@")]
for root in roots:
    for name in (".ssh/id_ed25519", ".netrc", ".pgpass", "secret", "course.toml", ".git/config"):
        with contextlib.suppress(OSError):
            print(name, (root / name).read_text())
