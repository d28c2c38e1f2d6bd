"""The book's build beside plain `jupyter-book build`: all pages run, and nothing changed.

    python -m benchmarks.building [--rounds 1] [--pages 01-language 07-ngrams]

Both begin with an empty folder and run every page's cells: the course's build side by side, plain
Jupyter Book one after another. Both use the same configuration; what fetches text or scripts that
are not there yet is done before. Then each builds again what has not changed: the course's build
without the stamp by which it would know so at once, so that it looks at every page.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from benchmarks import results
from benchmarks.results import ROOT, Row

BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_ext"))

import browser_files  # noqa: E402
import build  # noqa: E402
import pages as book_pages  # noqa: E402

PEER, GOAL, GOAL_WARM = "jupyter-book build", 1.7, 20.0
WHY_WARM = (
    "Jupyter Book alone, which finds nothing to do, takes {} s to start and to look; the course "
    "then reads the pages for the modules that they use, and writes their notebooks for Colab. "
    "`make book`, which notes what it was made of, says at once that nothing changed. Tried, and "
    "kept: numbers and the index of terms that make no page new, pages that are parsed once, which "
    "took off more than half"
)


def course_command(folder: Path, pages: Sequence[str]) -> list[str]:
    """The course's build into a folder's `_build`."""
    command = [sys.executable, str(BOOK / "_ext" / "build.py"), "--out", str(folder / "_build")]
    return [*command, *(["--pages", *pages] if pages else [])]


def peer_command(folder: Path, pages: Sequence[str]) -> list[str]:
    """Plain Jupyter Book, with the course's configuration, into a folder's `_build`."""
    program = Path(sys.executable).with_name("jupyter-book")
    command = [str(program), "build", str(BOOK), "--config", str(ROOT / "_config.yml")]
    command += ["--path-output", str(folder), "-n", "-qq"]
    if pages:
        contents = {"format": "jb-book", "root": "index", "chapters": [{"file": p} for p in pages]}
        path = folder / "toc.yml"
        path.write_text(yaml.safe_dump(contents), encoding="utf-8")
        command += ["--toc", str(path)]
    return command


def fetch(pages: Sequence[str]) -> None:
    """Text and scripts that are not there yet, which is not timed."""
    names = book_pages.page_names(pages or None)
    build.get_data(sorted({name for page in names for name in book_pages.data_sets(page)}))
    browser_files.install()


def seconds(command: Sequence[str]) -> float:
    """By the clock, since what is measured is work side by side; threads are left to each side."""
    start = time.perf_counter()
    free = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(command, cwd=ROOT, env=free, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return time.perf_counter() - start


def compare(pages: Sequence[str], rounds: int) -> list[Row]:
    """Build in turn, print the times, and return the rows."""
    named = f"{len(pages)} pages" if pages else "the whole book"
    print(f"{'':8}{'round':>6}{'cold, s':>10}{'warm, s':>10}")
    cold, warm = [], []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as theirs, tempfile.TemporaryDirectory() as ours:
            peer = peer_command(Path(theirs), pages)
            course = course_command(Path(ours), pages)
            cold.append((seconds(course), seconds(peer)))
            (Path(ours) / "_build" / "built-from.txt").unlink()
            warm.append((seconds(course), seconds(peer)))
        for side, name in enumerate(("course", "plain")):
            print(f"{name:8}{number:>6}{cold[-1][side]:>10.1f}{warm[-1][side]:>10.1f}", flush=True)
    again, their_again = zip(*warm, strict=True)
    alone = results.written(min(their_again))
    note = f"the peer, in {alone} s, does not notice changed modules"
    why = WHY_WARM.format(alone)
    return [
        results.compared(
            f"book: build {named}, {results.cores()} cores",
            PEER,
            *zip(*cold, strict=True),
            "s",
            GOAL,
        ),
        results.bounded(f"book: build {named} again", again, "s", GOAL_WARM, note, why),
    ]


def main() -> None:
    """Read the settings, fetch what is needed, build, print."""
    parser = results.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--pages", nargs="+", default=[], metavar="PAGE", help="default: all")
    options = parser.parse_args()
    fetch(options.pages)
    rows = compare(options.pages, options.rounds)
    results.finish("building", options, rows, results.installed("jupyter-book"))


if __name__ == "__main__":
    main()
