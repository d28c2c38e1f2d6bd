# Starts threads that go on after the cell, write to the output of later cells, and never end.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import threading
import time


def talk():
    for number in range(40):
        print("from a thread", number, In[-1])
        time.sleep(0.1)


def hold():
    time.sleep(20)


for target in (talk, hold, hold):
    threading.Thread(target=target, daemon=False).start()
