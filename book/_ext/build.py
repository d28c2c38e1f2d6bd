"""Build the book: `python book/_ext/build.py`.

1. Checks that the real text the pages use is here or can be had, and fetches it.
2. Installs the pages' scripts, if their lock file changed.
3. Runs the pages whose cells or modules changed, two at a time.
4. Builds the HTML; a warning is an error.
5. Writes the notebooks that Colab opens.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

# Running this file puts its folder on the path, so its neighbours import by name.
import browser_files
import course
import notebooks
import pages
from nlp_course import data
from pages import ROOT, BuildError

# Not sources: what is installed, and what running the sources leaves behind.
IGNORED = {"node_modules", "vendor", "__pycache__", ".ipynb_checkpoints"}


def main() -> None:
    """Build the book as the command line says; 1 is the exit status where that fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "_build", help="default: _build")
    parser.add_argument(
        "--data",
        choices=["real", "world"],
        default="real",
        help="world: build on the generated language alone, with a note where real text belongs",
    )
    parser.add_argument(
        "--pages", nargs="+", metavar="PAGE", help="only these, while writing: warnings do not fail"
    )
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        build(arguments.out.resolve(), arguments.pages, arguments.data == "world")
    except BuildError as error:
        sys.exit(f"The book was not built. {error}")
    print(f"Built in {time.monotonic() - started:.0f} seconds.")
    print(f"Open {arguments.out.resolve() / 'html' / 'index.html'}")


def build(out: Path, only: Sequence[str] | None = None, generated: bool = False) -> None:
    """Build into a folder.

    Parameters
    ----------
    out : the folder; the pages go to its `html/`, the notebooks to `notebooks/` beside it
    only : pages to build, instead of all
    generated : build without real text

    Raises
    ------
    BuildError : something is missing or failed; the message says what to do.
    """
    # Kernels and npm are found by name; so they are this environment's, not another's.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    out.mkdir(parents=True, exist_ok=True)
    stamp = out / "built-from.txt"
    sources = _sources(f"{only} {generated}")
    here = ROOT / "notebooks" if out == ROOT / "_build" else out / "notebooks"
    made = (out / "html" / "index.html").is_file() and (generated or here.is_dir())
    if made and stamp.is_file() and stamp.read_text() == sources:
        print("Nothing changed since the last build.")
        return
    stamp.unlink(missing_ok=True)
    names = pages.page_names(only)
    needed = dict.fromkeys(name for page in names for name in pages.data_sets(page))
    if not generated:
        get_data(list(needed))
    browser_files.install()
    pages.run(names, out / ".jupyter_cache", generated)
    keys = {name: pages.page_key(name, generated) for name in names}
    (out / course.PAGE_KEYS).write_text(json.dumps(keys, indent=1), encoding="utf-8")
    sphinx(out, only, generated)
    if not generated:
        # The home page leads to the chapters: there is nothing to do in a notebook of it.
        chapters = [name for name in names if name != "index"]
        notebooks.write(chapters, out, here)
        # The page's download button: the notebook that Colab opens, not the page's source.
        for name in chapters:
            shutil.copyfile(here / f"{name}.ipynb", out / "html" / "_sources" / f"{name}.ipynb")
    stamp.write_text(sources)


def _sources(options: str) -> str:
    """A hash of everything that a build reads, real text aside, which the registry fixes."""
    digest = hashlib.sha256(f"{options} {sys.version}".encode())
    paths = [ROOT / "_config.yml", ROOT / "requirements.txt"]
    paths += sorted((ROOT / "assignments").glob("*/*.ipynb"))
    # What the page of benchmarks includes.
    paths += [*ROOT.glob("benchmarks/RESULTS.md"), *sorted(ROOT.glob("benchmarks/*.svg"))]
    for folder in (pages.BOOK, pages.PACKAGE):
        paths += sorted(
            path
            for path in folder.rglob("*")
            if path.is_file() and not IGNORED & set(path.relative_to(folder).parts)
        )
    for path in paths:
        digest.update(str(path).encode() + path.read_bytes())
    return digest.hexdigest()


def get_data(names: Sequence[str]) -> None:
    """Fetch the real sets that are not here yet.

    Raises
    ------
    BuildError : some cannot be had; the message lists them all.
    """
    failures = []
    for name in names:
        if data.missing(name):
            print(f"Fetching {name}", flush=True)
            try:
                data.fetch(name)
            except data.DataError as error:
                failures.append(f"- {error}")
    if failures:
        raise BuildError(
            "Its pages need real text that is not on this machine:\n"
            + "\n".join(failures)
            + "\nOr build without it: make book DATA=world"
        )


def sphinx(out: Path, only: Sequence[str] | None, generated: bool) -> None:
    """Turn the pages into HTML; a warning fails the build of the whole book on real text.

    Raises
    ------
    BuildError : Jupyter Book failed.
    """
    if out.name != "_build":
        raise BuildError(f"Jupyter Book calls its folder _build: name one, not {out}")
    command = ["jupyter-book", "build", str(pages.BOOK), "--config", str(ROOT / "_config.yml")]
    command += ["--path-output", str(out.parent), "-n"]
    # Without real text the prose lacks numbers, and each would be a warning.
    command += ["-qq"] if generated else ["-q"]
    command += [] if only or generated else ["-W", "--keep-going"]
    if only:
        contents = {"format": "jb-book", "root": "index", "chapters": [{"file": p} for p in only]}
        some = out / "toc.yml"
        some.write_text(yaml.safe_dump(contents), encoding="utf-8")
        command += ["--toc", str(some)]
    if subprocess.run(command, cwd=ROOT).returncode:
        # Sphinx warns of a page when it reads it; one that it remembers would pass the next time.
        shutil.rmtree(out / ".doctrees", ignore_errors=True)
        raise BuildError("The warnings and errors above say why; each is to be mended.")


if __name__ == "__main__":
    main()
