# Shows a great many small outputs, updates and clearings.
# gains: nothing
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [after q01-total]
from IPython.display import clear_output, display

for number in range(1_000_000):
    display({"text/plain": "x"}, raw=True)
    if number % 1000 == 0:
        clear_output()
