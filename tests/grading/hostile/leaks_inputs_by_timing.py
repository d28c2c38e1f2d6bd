# Takes longer the larger its input is, and ends in another way for each of its letters.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import time


def total(numbers):
    time.sleep(min(sum(numbers) % 10, 3) / 10 if numbers else 0)
    kinds = [ValueError, TypeError, KeyError, IndexError, OSError]
    raise kinds[int(sum(numbers)) % 5]
