# Puts what tests pass to it into the message, notes, causes, text and file name of exceptions.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q06-windows]
def windows(tokens, size):
    word = " ".join(tokens)
    error = SyntaxError(word, (word, 1, 1, word))
    error.add_note(word)
    try:
        raise KeyError(word) from error
    except KeyError as cause:
        raise ExceptionGroup(word, [error, OSError(5, word, word)]) from cause


# %% [answer q01-total]
def total(numbers):
    raise AssertionError(f"expected {numbers} to be right")
