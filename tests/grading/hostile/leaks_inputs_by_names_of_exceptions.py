# Makes classes, functions and files named as what tests pass to it, which a traceback would show.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q06-windows]
def windows(tokens, size):
    name = "_".join(tokens)
    raise type(name, (Exception,), {"__module__": name, "__qualname__": name})


# %% [answer q01-total]
def total(numbers):
    name = "_".join(map(str, numbers))
    source = f"def f_{name}():\n    raise ValueError  # {name}\nf_{name}()"
    exec(compile(source, f"<{name}>", "exec"))


# %% [answer q02-mean]
def mean(numbers):
    kind = type(f"Got{numbers}", (ZeroDivisionError,), {"__str__": lambda self: str(numbers)})
    kind.__name__ = kind.__qualname__ = f"Z{numbers}"
    raise kind()
