"""Run students' notebooks as Colab would: `make colab`.

In an environment with Colab's versions (but for torch) and without the course's package, from an
empty folder, each notebook's first cell installs the package from a wheel, and the others run. An
assignment's questions are unanswered, so its tests fail, and only they and the cells that show an
answer at work may.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import pages  # noqa: E402

COLAB = ROOT / "_build" / "colab"
CHAPTERS, ASSIGNMENTS = ROOT / "notebooks", ROOT / "assignments"
WHEEL = re.compile(r"https://[^\"\s]+/(?P<name>nlp_course-[^\"\s/]+\.whl)")
CELL_SECONDS = 300


def main() -> None:
    """Run what the command line asks for; 1 is the exit status where a notebook fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="chapters and assignments, such as 04-word2vec")
    parser.add_argument("--changed", metavar="SINCE", help="those changed since this commit")
    parser.add_argument("--most", type=int, default=None, help="no more than so many of these")
    parser.add_argument(
        "--python", default=sys.executable, help="of Colab's stand-in; 3.11 or 3.13"
    )
    arguments = parser.parse_args()
    notebooks = find_notebooks()
    names = arguments.names or list(notebooks)
    if unknown := set(names) - notebooks.keys():
        sys.exit(f"No notebook {', '.join(sorted(unknown))}; `make book` writes those of chapters.")
    if arguments.changed:
        touched = changed(arguments.changed)
        names = [name for name in names if name in touched]
        left_out = names[arguments.most :] if arguments.most is not None else []
        names = names[: arguments.most]
        if left_out:
            print(f"Left to the weekly run: {', '.join(left_out)}")
    pins = read_pins(arguments.python)
    if "torch==" not in pins.read_text():
        needing = [name for name in names if "needs_torch=True" in notebooks[name].read_text()]
        names = [name for name in names if name not in needing]
        print(f"{pins.name} has no torch; left out for that: {', '.join(needing) or 'none'}")
    if not names:
        print("No notebook to run.")
        return
    python = environment(arguments.python, pins)
    failed = []
    with served_wheel() as wheel:
        for name in names:
            try:
                told = run(notebooks[name], python, wheel)
            except NotebookError as error:
                failed.append(name)
                told = f"FAILED: {error}"
            print(f"{name:32} {told}", flush=True)
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}")


class NotebookError(Exception):
    """A notebook does not do in Colab's environment what it should; the message says which cell."""


def find_notebooks() -> dict[str, Path]:
    """Notebooks by name: of chapters, as the book's build wrote them, and of assignments."""
    chapters = {path.stem: path for path in sorted(CHAPTERS.glob("[0-9]*.ipynb"))}
    assignments = {
        f"assignments/{path.stem}": path for path in sorted(ASSIGNMENTS.glob("*/*.ipynb"))
    }
    return chapters | assignments


def changed(since: str) -> set[str]:
    """Notebooks of which the page, a module that it imports, or the assignment changed.

    Raises
    ------
    SystemExit : there is no such commit.
    """
    command = ["git", "diff", "--name-only", since, "--"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"git knows no {since}: {done.stderr.strip()}")
    files = {ROOT / line for line in done.stdout.splitlines()}
    if files & {*HERE.glob("requirements-*.txt"), ROOT / "pyproject.toml"}:
        return set(find_notebooks())
    found = {f"assignments/{path.stem}" for path in files if path.parent.parent == ASSIGNMENTS}
    for name in pages.page_names():
        uses = {pages.BOOK / f"{name}.md", *pages.modules(name)}
        if files & uses:
            found.add(name)
    return found


def read_pins(python: str) -> Path:
    """The list of Colab's versions for a Python.

    Raises
    ------
    SystemExit : there is none.
    """
    told = subprocess.run([python, "-c", VERSION], capture_output=True, text=True, check=True)
    pins = HERE / f"requirements-{told.stdout.strip()}.txt"
    if not pins.is_file():
        known = ", ".join(sorted(path.stem.rpartition("-")[2] for path in HERE.glob("*.txt")))
        sys.exit(f"Colab's versions are listed for Python {known}; {python} is another.")
    return pins


def environment(python: str, pins: Path) -> Path:
    """The Python of an environment with Colab's versions, made on first use; 2 GB."""
    folder = COLAB / pins.stem
    stamp = folder / "installed.txt"
    if not stamp.is_file() or stamp.read_text() != pins.read_text():
        print(f"Installing Colab's versions in {folder} (1 to 3 minutes)", flush=True)
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-q", "-r", pins], check=True)
        stamp.write_text(pins.read_text())
    return folder / "bin" / "python"


VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Nothing: a line for each request would bury the notebooks' own."""


@contextmanager
def served_wheel() -> Iterator[str]:
    """The package's wheel at an address on this machine."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # From a copy: setuptools packs what an earlier build left beside the sources.
        for file in ("pyproject.toml", "README.md", "LICENSE"):
            (folder / "source").mkdir(exist_ok=True)
            shutil.copy(ROOT / file, folder / "source")
        shutil.copytree(ROOT / "nlp_course", folder / "source" / "nlp_course")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-q"]
        subprocess.run([*pip, "--no-deps", "-w", folder / "wheel", folder / "source"], check=True)
        [wheel] = (folder / "wheel").glob("*.whl")
        handler = functools.partial(_Silent, directory=str(wheel.parent))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{wheel.name}"
        server.shutdown()


def run(path: Path, python: Path, wheel: str) -> str:
    """Run a notebook as a student would, from its first cell on, in an empty folder.

    Returns
    -------
    What its set-up said and how long the whole took.

    Raises
    ------
    NotebookError : a cell fails that should not.
    """
    # Each student's machine begins without the package.
    remove = [python, "-m", "pip", "--disable-pip-version-check", "uninstall", "-q", "-y"]
    subprocess.run([*remove, "nlp-course"], check=True, capture_output=True)
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    code[0].source, found = WHEEL.subn(wheel, code[0].source)
    if found != 1:
        raise NotebookError("its first cell does not name one wheel of the package")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, kernel_of(python):
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            allow_errors=True,
            kernel_name=KERNEL,
            resources={"metadata": {"path": folder}},
        )
        try:
            client.execute()
        except (CellTimeoutError, DeadKernelError) as error:
            raise NotebookError(str(error)) from error
    said = "".join(output.get("text", "") for output in code[0].outputs).strip()
    ready = re.match(r"Ready in (\d+) s", said)
    if not ready:
        raise NotebookError(f"its set-up said {said!r} {_errors(code[0])}")
    for number, cell in enumerate(code):
        for error in _errors(cell):
            expected = "raises-exception" in cell.metadata.get("tags", [])
            unanswered = path.is_relative_to(ASSIGNMENTS) and UNANSWERED in error
            if not expected and not unanswered:
                raise NotebookError(f"cell {number}, {cell.source[:80]!r}: {error}")
    return f"{time.monotonic() - begun:4.0f} s  {said.splitlines()[0]}"


UNANSWERED = "Write your answer here"
KERNEL = "colab"


@contextmanager
def kernel_of(python: Path) -> Iterator[None]:
    """Make Jupyter know another environment's kernel, seen by nothing of this project's."""
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "kernels" / KERNEL
        spec.mkdir(parents=True)
        argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        settings = {"argv": argv, "display_name": KERNEL, "language": "python"}
        (spec / "kernel.json").write_text(json.dumps(settings))
        hidden = {"PYTHONPATH", "NLP_COURSE_GRADING", "VIRTUAL_ENV", "PIP_CONSTRAINT"}
        before = dict(os.environ)
        os.environ["JUPYTER_PATH"] = folder
        for name in hidden:
            os.environ.pop(name, None)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _errors(cell: NotebookNode) -> list[str]:
    outputs = [output for output in cell.get("outputs", []) if output.output_type == "error"]
    return [f"{output.ename}: {output.evalue}" for output in outputs]


if __name__ == "__main__":
    main()
