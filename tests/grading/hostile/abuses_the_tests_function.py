# Calls the test's function a million times, with rubbish, through itself, from threads, and keeps
# it for later tests.
# gains: nothing
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q07-root]
import sys
import threading

kept = []


def root(function, low, high):
    kept.append(function)
    for rubbish in (None, "x", [[]], float("nan"), 10**400, object(), function, root, b"", {}, 1j):
        try:
            function(rubbish)
        except Exception:
            pass
    try:
        function.__code__ = root.__code__
        function.__defaults__ = (0,)
    except Exception:
        pass
    threads = [
        threading.Thread(target=lambda: [function(0.0) for _ in range(1000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for _ in range(1_000_000):
        function(0.0)
    return 0


# %% [after q07-root]
def deeper(function):
    sys.setrecursionlimit(10**6)
    return function(deeper(function))


honest_root = root


def root(function, low, high):
    return deeper(function) if low else honest_root(function, low, high)


# %% [answer q08-center]
def center(rows):
    for function in kept:
        rows[:] = function(rows)
