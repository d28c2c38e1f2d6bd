# Makes empty files, folders in folders and links, until there can be no more (at most 100 000).
# gains: nothing
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [after q08-center]
import contextlib
import os
from pathlib import Path

for folder in (Path.cwd(), Path("/tmp")):
    with contextlib.suppress(OSError):
        place = folder / "files-@MARKER@"
        place.mkdir()
        for number in range(50_000):
            (place / str(number)).touch()
os.symlink("/", "root")
deep = Path("deep")
for _ in range(1000):
    with contextlib.suppress(OSError):
        os.mkdir("deep")
        os.chdir("deep")
