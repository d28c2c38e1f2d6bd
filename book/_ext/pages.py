"""A page's cells: which data and modules they use, and their outputs from the cache or a run.

jupyter-cache recognises a page by its cells alone. Here a run also carries a hash of the modules
of `nlp_course` that the page imports, directly or through others, and is thrown away when it
changes.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from nbformat import NotebookNode

from notebook_cells import as_python

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
PACKAGE = ROOT / "nlp_course"
WORKERS = 2
MOST_FRAMES = 100  # pictures behind a page's sliders: more make it too heavy for a phone


class BuildError(Exception):
    """The book cannot be built; the message says why and what to do."""


def page_names(only: Sequence[str] | None = None) -> list[str]:
    """The pages that have cells: of the table of contents, in order, or of those named.

    Raises
    ------
    BuildError : a page is not there.
    """
    contents = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    names = [contents["root"]]
    names += [page["file"] for part in contents["parts"] for page in part["chapters"]]
    names = names if only is None else list(only)
    for name in names:
        if not (BOOK / f"{name}.md").is_file():
            raise BuildError(f"There is no book/{name}.md; book/_toc.yml lists the pages.")
    return [name for name in names if is_myst_markdown_notebook(read_text(name))]


def read_text(name: str) -> str:
    """A page's source."""
    return (BOOK / f"{name}.md").read_text(encoding="utf-8")


def read_notebook(name: str) -> NotebookNode:
    """A page as a notebook without outputs, exactly as Sphinx will read it."""
    return deepcopy(_parsed(name, read_text(name)))


@cache
def _parsed(name: str, text: str) -> NotebookNode:
    """Remembered: a build asks for every page several times."""
    return read_myst_markdown_notebook(text, path=str(BOOK / f"{name}.md"))


def data_sets(name: str) -> list[str]:
    """The real sets that a page names at its head.

    Raises
    ------
    BuildError : a cell loads a set that the head does not name.
    """
    notebook = read_notebook(name)
    named = list(notebook.metadata.get("nlp_course", {}).get("data", []))
    for call in (node for node in _nodes(notebook) if isinstance(node, ast.Call)):
        loads = isinstance(call.func, ast.Attribute) and ast.unparse(call.func) == "data.load"
        if loads and call.args and isinstance(call.args[0], ast.Constant):
            loaded = call.args[0].value
            if loaded not in [*named, "world"]:
                raise BuildError(f"book/{name}.md loads {loaded!r}: name it at the head, in data:")
    return named


def _nodes(notebook: NotebookNode) -> Iterator[ast.AST]:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            try:
                yield from ast.walk(ast.parse(as_python(cell.source)))
            except SyntaxError:
                # A cell may show a syntax error; one that must not have it fails when it runs.
                continue


def page_key(name: str, generated: bool = False) -> str:
    """A hash of what a page's cells run with: the package's modules, libraries, and the data."""
    digest = hashlib.sha256(f"{sys.version} {generated}".encode())
    digest.update((ROOT / "requirements.txt").read_bytes())
    for path in sorted(modules(name)):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def modules(name: str) -> set[Path]:
    """The package's files that a page's cells use, directly or through others."""
    found: set[Path] = set()
    waiting = set(_imported_by_page(name, read_text(name)))
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            if path.suffix == ".py":
                waiting |= _imported_by(path)
    return found


@cache
def _imported_by_page(name: str, text: str) -> set[Path]:
    """Remembered, as what is imported by a module: a build asks about every page twice."""
    return _imported(_nodes(_parsed(name, text)))


@cache
def _imported_by(module: Path) -> set[Path]:
    """Remembered: pages share most modules."""
    return _imported(ast.walk(ast.parse(module.read_text(encoding="utf-8"))))


def _imported(tree: Iterator[ast.AST]) -> set[Path]:
    names = set()
    for node in tree:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {path for name in names for path in _files(name)}


def _files(module: str) -> list[Path]:
    package, *parts = module.split(".")
    if package != PACKAGE.name:
        return []
    path = PACKAGE.joinpath(*parts)
    if path != PACKAGE and path.is_dir():
        # A folder's modules may be imported late, and read the files beside them.
        return [file for file in path.rglob("*") if file.suffix in (".py", ".toml")]
    return [file for file in (path.with_suffix(".py"),) if file.is_file()]


def run(names: Sequence[str], cache_folder: Path, generated: bool = False) -> list[str]:
    """Make sure the cache holds each page's outputs, running what it lacks.

    Parameters
    ----------
    names : pages
    cache_folder : of jupyter-cache
    generated : let cells see the generated language wherever they load real text

    Returns
    -------
    The pages that were run.

    Raises
    ------
    BuildError : cells failed, or a page has too many frames.
    """
    cache = get_cache(cache_folder)
    stale = []
    for name in names:
        try:
            record = cache.match_cache_notebook(read_notebook(name))
        except KeyError:
            stale.append(name)
            continue
        if record.data.get("key") != page_key(name, generated):
            cache.remove_cache(record.pk)
            stale.append(name)
    if stale:
        print(f"Running {len(stale)} of {len(names)} pages: {', '.join(stale)}", flush=True)
    failures = []
    with ProcessPoolExecutor(WORKERS) as pool:
        # The last chapters take longest: begun first, they leave no worker idle at the end.
        runs = {pool.submit(_execute, name, generated): name for name in reversed(stale)}
        for finished in as_completed(runs):
            name = runs[finished]
            notebook, seconds, failure = finished.result()
            print(f"  {name}: {seconds:.0f} s{' FAILED' if failure else ''}", flush=True)
            failure = failure or _too_heavy(notebook)
            if failure:
                failures.append(f"book/{name}.md: {failure}")
                continue
            # What the page will be looked up by is the source, so it is read again: the key and
            # the cells belong together even if the file was edited meanwhile.
            data = {"execution_seconds": seconds, "key": page_key(name, generated)}
            bundle = CacheBundleIn(notebook, str(BOOK / f"{name}.md"), data=data)
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    if failures:
        raise BuildError("\n\n".join(failures))
    return stale


def outputs(name: str, cache_folder: Path) -> NotebookNode:
    """A page with the outputs that the cache holds."""
    return get_cache(cache_folder).merge_match_into_notebook(read_notebook(name))[1]


def _execute(name: str, generated: bool) -> tuple[NotebookNode, float, str | None]:
    notebook = read_notebook(name)
    # Notebooks that run side by side must not each take all cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    if generated:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(GENERATED))
    before = os.times()
    result = single_nb_execution(
        notebook,
        cwd=str(BOOK),
        timeout=config["execute"]["timeout"],
        allow_errors=generated,
        # Each kernel warns that it talks over TCP; it does so with this machine alone.
        extra_arguments=["--log-level=ERROR"],
    )
    if generated:
        del notebook.cells[0]
        _say_what_lacks(notebook)
    _hide_folder(notebook)
    after = os.times()
    # The kernel's processor time: what a page costs, however busy the machine.
    seconds = after.children_user + after.children_system
    seconds -= before.children_user + before.children_system
    return notebook, seconds, result.exc_string and _last_error(result.exc_string)


def _hide_folder(notebook: NotebookNode) -> None:
    """Name files of the course in tracebacks as they are called in it, wherever it lies here."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                output.traceback = [line.replace(f"{ROOT}/", "") for line in output.traceback]


def _last_error(trace: str) -> str:
    """The failing cell and its error, without the frames of what ran the notebook."""
    return trace[trace.find("An error occurred while executing") :].strip()


def _too_heavy(notebook: NotebookNode) -> str | None:
    widgets = notebook.metadata.get("widgets", {}).values()
    models: list[Any] = [model for view in widgets for model in view["state"].values()]
    frames = sum("<img " in str(model["state"].get("value", "")) for model in models)
    if frames > MOST_FRAMES:
        return f"{frames} frames in its figures, at most {MOST_FRAMES} are allowed: draw fewer"
    return None


# Run before a page's cells where the book is built without real text.
GENERATED = """
from nlp_course import data as _data

def _generated(name, fallback=None, _load=_data.load):
    return _load("world")

_data.load = _generated
"""

BANNER = (
    '<p class="needs-real-text">This cell needs real text. It was built without: '
    "<code>make book</code> with a network shows its result.</p>"
)


def _say_what_lacks(notebook: NotebookNode) -> None:
    """Put a banner where real text belongs: at cells that load it, or fail for want of it."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            failed = any(output.output_type == "error" for output in cell.outputs)
            expected = "raises-exception" in cell.metadata.get("tags", [])
            if failed and not expected:
                cell.outputs = []
            if (failed and not expected) or "data.load(" in cell.source:
                banner = nbformat.v4.new_output("display_data", {"text/html": BANNER})
                cell.outputs.insert(0, banner)
