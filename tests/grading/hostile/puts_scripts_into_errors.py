# Raises errors, prints lines and defines names that hold HTML and terminal control codes.
# gains: nothing
# stock: runs
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
page = "</pre></div><script>document.title = 1</script><img src=https://hostile.invalid/a onerror=alert(1)>"


def total(numbers):
    print(page, "\x1b]8;;https://hostile.invalid/b\x1b\\link\x1b]8;;\x1b\\ \x1b[2J\x1b[31m" + page)
    raise ValueError(page + "\x1b]0;title\x07\x1b[8mhidden")


# %% [answer q03-ranks]
def ranks(values):
    raise type(page, (Exception,), {})(page)


# %% [after q02-mean]
import sys

print(page, file=sys.stderr)
raise RuntimeError(page)
