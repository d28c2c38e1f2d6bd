# Writes until the disk is full: one large file, many, sparse ones (at most 4 GB).
# gains: nothing
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [after q08-center]
import contextlib
from pathlib import Path

block = b"x" * (16 << 20)
for folder in (Path.cwd(), Path.home(), Path("/tmp"), Path("/var/tmp"), Path("@OUTSIDE@")):
    with contextlib.suppress(OSError):
        with (folder / "large-@MARKER@").open("wb") as file:
            for _ in range(50):
                file.write(block)
            file.truncate(1 << 40)
