# Looks for notebooks in and around its own folder, one of which may hold the hidden tests.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import json
import re
from pathlib import Path


def sources():
    for folder in (Path.cwd(), *list(Path.cwd().parents)[:4]):
        for path in [*folder.glob("*.ipynb"), *folder.glob("*/*.ipynb")]:
            try:
                cells = json.loads(path.read_text())["cells"]
            except (OSError, ValueError, KeyError):
                continue
            yield from ("".join(cell["source"]) for cell in cells)


text = "\n".join(sources())
print(text[:20000])


def total(numbers):
    return int(re.search(re.escape(f"total({numbers}) == ") + r"(\d+)", text)[1])
