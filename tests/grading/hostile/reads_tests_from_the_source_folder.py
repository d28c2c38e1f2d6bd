# Reads the instructor's notebook: by the way nbgrader lays folders out, by the course's address,
# and by a walk over the disk.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q03-ranks]
import os
import time
from pathlib import Path

found = []
places = [
    Path("../../../source"),
    Path("../../source"),
    Path("@COURSE@/solutions"),
    Path("@CLASS@/source"),
]
for place in places:
    found += place.glob("**/*.ipynb")
end = time.monotonic() + 2
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if name not in ("proc", "sys", "dev")]
    found += [Path(folder, name) for name in files if name.endswith(".ipynb")]
    if time.monotonic() > end:
        break
for path in found:
    try:
        text = path.read_text()
    except OSError:
        continue
    if "BEGIN HIDDEN" in text or "BEGIN SOLUTION" in text:
        print(text[:20000])
        start = text.index("return sorted(")
        exec("def ranks(values):\n    " + text[start : text.index('\\n"', start)])
        break
