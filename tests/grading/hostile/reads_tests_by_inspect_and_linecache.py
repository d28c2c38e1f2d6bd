# Has the inspect module, linecache and the traceback module show the lines of the test that
# called it.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import inspect
import linecache
import re
import traceback

seen = []


def total(numbers):
    text = "\n".join(line for caller in inspect.stack(9) for line in caller.code_context or [])
    text += "\n".join(
        line for entry in linecache.cache.values() if len(entry) > 2 for line in entry[2]
    )
    text += "\n".join(line.line or "" for line in traceback.extract_stack())
    seen.append(text)
    return int(re.search(re.escape(f"total({numbers}) == ") + r"(\d+)", text)[1])


# %% [after q08-center]
print("\n".join(seen)[:100000])
