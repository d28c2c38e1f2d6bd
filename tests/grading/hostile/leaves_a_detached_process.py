# Forks twice, so that nobody waits for the child, which edits the gradebook seconds after
# grading.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import os
import sqlite3
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.environ["MARK"] = "@MARKER@"
        for number in range(3):
            try:
                os.close(number)
            except OSError:
                pass
        end = time.monotonic() + 120
        while time.monotonic() < end:
            time.sleep(2)
            try:
                book = sqlite3.connect("@CLASS@/gradebook.db", timeout=1)
                book.execute("update grade set auto_score = 0")
                book.commit()
            except sqlite3.Error:
                pass
            os.spawnv(os.P_NOWAIT, "/bin/sleep", ["@MARKER@", "2"])
    os._exit(0)
