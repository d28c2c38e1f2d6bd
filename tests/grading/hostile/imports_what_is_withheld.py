# Imports a module of the course that answers the question, by name, by path, from caches and from
# archives.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import contextlib
import importlib
import importlib.util
import sys
from pathlib import Path

found = []
with contextlib.suppress(ImportError):
    importlib.import_module("nlp_course.grading.scoring")
    found.append("grading")
for folder in [*sys.path, "@COURSE@"]:
    for pattern in ("nlp_course/similarity*.py", "nlp_course/__pycache__/similarity*.pyc"):
        with contextlib.suppress(OSError):
            found += list(Path(folder or ".").glob(pattern))[:3]
try:
    import nlp_course.similarity

    print("reached @MARKER@:", nlp_course.similarity.__name__)
except ImportError as error:
    print("withheld:", error)
if found:
    print("reached @MARKER@:", found)


def total(numbers):
    raise ValueError(found)
