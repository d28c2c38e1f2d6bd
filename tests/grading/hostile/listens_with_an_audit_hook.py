# Audit hooks are told of all that is compiled and opened; this one keeps the source of the tests.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import re
import sys

compiled = []


def hook(event, arguments):
    if event == "compile" and arguments[0]:
        compiled.append(str(arguments[0]))
    if event in ("exec", "object.__getattr__", "code.__new__"):
        compiled.append(repr(getattr(arguments[0], "co_consts", "")))


sys.addaudithook(hook)


def total(numbers):
    text = "\n".join(compiled) + "\n".join(In)
    return int(re.search(re.escape(f"total({numbers}) == ") + r"(\d+)", text)[1])


# %% [after q09-why]
print("\n".join(part for part in compiled if "HIDDEN" in part or "hidden" in part))
