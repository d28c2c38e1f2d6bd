# Prints 200 MB without a line's end, to both streams, in a cell and in an answer.
# gains: nothing
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [after q01-total]
import sys

for _ in range(100):
    sys.stdout.write("x" * (1 << 20))
    sys.stderr.write("y" * (1 << 20))


# %% [answer q01-total]
def total(numbers):
    sys.stdout.write("x" * (200 << 20))
    raise ValueError("z" * (200 << 20))
