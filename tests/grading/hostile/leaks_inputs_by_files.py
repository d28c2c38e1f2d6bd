# Writes what tests pass to it into files in its own folder, the temporary one and shared memory,
# and prints them in a cell below.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q06-windows]
import contextlib
import tempfile
from pathlib import Path

places = [
    Path.cwd(),
    Path.home(),
    Path(tempfile.gettempdir()),
    Path("/tmp"),
    Path("/var/tmp"),
    Path("/dev/shm"),
    Path("@OUTSIDE@"),
]
places = [place / "notes-@MARKER@" for place in places]


def windows(tokens, size):
    for place in places:
        with contextlib.suppress(OSError):
            place.write_text(str(tokens))
    yield from ()


# %% [after q09-why]
for place in places:
    with contextlib.suppress(OSError):
        print(place.read_text())
        place.unlink()
