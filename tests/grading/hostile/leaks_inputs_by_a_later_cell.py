# Keeps what tests pass to it, in a global, a default argument, a module, the shell, and prints it
# in a cell below.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q06-windows]
import builtins
import sys

seen = []


def windows(tokens, size, kept=seen):
    kept.append(tokens)
    sys.seen = builtins.seen = get_ipython().seen = kept
    yield from ()


# %% [after q09-why]
import base64

text = str([seen, getattr(sys, "seen", ""), windows.__defaults__])
print(text)
print(text[::-1], text.encode().hex(), base64.b64encode(text.encode()).decode())
print(" ".join(str(seen)))
