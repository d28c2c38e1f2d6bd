# Walks up the stack to the test that called it, and takes the answer from its constants and
# names.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import sys


def callers():
    frame = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def total(numbers):
    for frame in callers():
        # A small number stands in any code, also in that of the student's own process.
        numbers_there = [c for c in frame.f_code.co_consts if isinstance(c, int) and c > 9]
        if sum(numbers) in numbers_there:
            return sum(number for number in numbers_there if number == sum(numbers))
        if frame.f_code.co_name == "<module>" and len(numbers_there) > 1:
            print("constants:", frame.f_code.co_consts)
    raise ValueError("no test in sight")


# %% [answer q08-center]
def center(rows):
    for frame in callers():
        if "hidden_centered" in frame.f_globals:
            rows[:] = frame.f_globals["hidden_centered"]


# %% [answer q04-softmax]
def softmax(scores):
    for frame in callers():
        if "hidden_wanted" in frame.f_globals:
            return frame.f_globals["hidden_wanted"]
    raise ValueError("no test in sight")
