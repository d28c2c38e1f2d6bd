# Looks for tests and secrets in the command lines, environments, open files and working folders
# of all processes it can see.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
from pathlib import Path

for process in Path("/proc").glob("[0-9]*"):
    for name in ("cmdline", "environ"):
        try:
            text = (process / name).read_bytes().decode(errors="replace")
        except OSError:
            continue
        for part in text.split("\0"):
            if any(word in part for word in ("SECRET", "trust", "HIDDEN", "nbgrader")):
                print(process.name, name, part)
    for name in ("fd", "cwd", "root"):
        try:
            links = [process / name] if name != "fd" else list((process / name).iterdir())
        except OSError:
            continue
        for link in links:
            try:
                target = str(link.readlink())
                if target.endswith((".db", ".ipynb", "secret")):
                    print(link, target, link.read_bytes()[:20000].decode(errors="replace"))
                for path in (link / "course").glob("s*/**/*.ipynb"):
                    print(path.read_text()[:20000])
            except OSError:
                continue
