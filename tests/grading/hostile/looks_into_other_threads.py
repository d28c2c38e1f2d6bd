# Reads the frames of all threads, while a test runs in one of them, from a thread of its own.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q08-center]
import sys
import threading
import time

seen = []
arrays = {}


def watch():
    while True:
        for frame in sys._current_frames().values():
            while frame is not None:
                if "hidden_centered" in frame.f_globals:
                    arrays["hidden"] = frame.f_globals["hidden_centered"]
                seen.append(repr(frame.f_code.co_consts)[:500])
                frame = frame.f_back
        del seen[:-300]
        time.sleep(0.002)


threading.Thread(target=watch, daemon=True).start()


def center(rows):
    time.sleep(0.05)
    if "hidden" in arrays:
        rows[:] = arrays["hidden"]
    if threading.enumerate():
        seen.append(str(threading.enumerate()))


# %% [after q09-why]
print("\n".join(seen))
