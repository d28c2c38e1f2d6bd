# Reads what other students handed in and wrote, prints it, and spoils it.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import json
from pathlib import Path

for pattern in (
    "received/*/*.ipynb",
    "submitted/*/*/*.ipynb",
    "autograded/*/*/*.ipynb",
    "results/**/*",
):
    for path in Path("@CLASS@").glob(pattern):
        try:
            text = path.read_text()
            if "neighbour" in text:
                print(text[text.index("neighbour") - 20 :][:200])
            if "student-02" in str(path):
                path.write_text(text.replace("sum(numbers)", "0"))
        except OSError as error:
            print(error)
for path in Path("../..").glob("*/*/*.ipynb"):
    print(path, path.read_text()[-2000:])
