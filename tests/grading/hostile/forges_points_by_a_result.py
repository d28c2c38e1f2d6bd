# Shows the number of points as the result of the cell that tests it, as nbgrader's partial credit
# is shown, before the test can fail.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
def total(numbers):
    get_ipython().displayhook(1.0 if numbers == [1, 2] else 2.0)
    return 0


# %% [answer q02-mean]
def mean(numbers):
    kernel = get_ipython().kernel
    points = "1.0" if numbers == [1, 3] else "2.0"
    content = {"data": {"text/plain": points}, "metadata": {}, "execution_count": 1}
    kernel.session.send(
        kernel.iopub_socket,
        "execute_result",
        content,
        parent=kernel.get_parent(),
        ident=b"execute_result",
    )
    return 0
