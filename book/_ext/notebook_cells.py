"""What of a page's code a notebook shows: not what only feeds or checks the page's prose."""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

Test = Callable[[ast.stmt], bool]
BINDING = (ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


def exported(cells: Sequence[NotebookNode]) -> list[str]:
    """What each cell is in the notebook; empty where nothing of it is.

    A cell with the tag `remove-cell`, which no reader of the page sees, stays out unless it defines
    a name that a later cell of the notebook uses. Then it stays in without its assertions: they
    guard the page, and would fail as soon as a reader changes something above.

    Parameters
    ----------
    cells : of a page, text cells too
    """
    sources = []
    needed: set[str] = set()
    for cell in reversed(cells):
        source = without_glue(cell.source) if cell.cell_type == "code" else ""
        if "remove-cell" in cell.metadata.get("tags", []):
            source = without(source, lambda node: isinstance(node, ast.Assert))
            if not _defined(_statements(source)) & needed:
                source = ""
        needed = _needed(_statements(source), needed) | _in_magic(source)
        sources.append(source)
    return sources[::-1]


@cache
def as_python(source: str) -> str:
    """A cell as Python reads it, with calls of IPython for magics. Remembered: it takes a while."""
    return TransformerManager().transform_cell(source)


def _in_magic(source: str) -> set[str]:
    """The words of a cell of which some is not Python: it may need whatever it names."""
    magic = as_python(source).strip() != source.strip()
    plain = bool(_statements(source)) and not magic
    return set() if plain else set(re.findall(r"\w+", source))


def without_glue(source: str) -> str:
    r"""A cell without the lines that hand values to the page's prose.

    >>> without_glue("from myst_nb import glue\nx = 1\nglue('x', x)")
    'x = 1'
    """
    return without(source, _glues)


def without(source: str, drop: Test) -> str:
    """A cell without some statements, and without loops and branches that hold nothing else.

    Parameters
    ----------
    source : of the cell
    drop : says which statements go
    """
    dropped = {
        line
        for node in _dropped(_statements(source), drop)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = source.splitlines()
    kept = [line for number, line in enumerate(lines, start=1) if number not in dropped]
    return "\n".join(kept).strip("\n")


def _statements(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(as_python(source)).body
    except SyntaxError:
        # A page may show a syntax error.
        return []


def _dropped(body: Sequence[ast.stmt], drop: Test) -> Iterator[ast.stmt]:
    for node in body:
        inner = getattr(node, "body", [])
        if all(part in list(_dropped(inner, drop)) for part in inner) if inner else drop(node):
            yield node
        elif inner:
            yield from _dropped(inner, drop)


def _glues(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "myst_nb"
    called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    return called and ast.unparse(node.value.func) == "glue"


def _defined(body: Sequence[ast.stmt]) -> set[str]:
    """The names that statements bind, functions' own names aside."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
            continue
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                found.add(part.id)
            elif isinstance(part, ast.alias):
                found.add((part.asname or part.name).partition(".")[0])
    return found


def _needed(body: Sequence[ast.stmt], after: set[str]) -> set[str]:
    """The names that must be there before statements run, given those needed after them."""
    needed = set(after)
    for node in reversed(body):
        if isinstance(node, ast.For):
            inside = _needed(node.body, set()) - _defined([ast.Expr(node.target)])
            needed |= inside | _read(ast.Expr(node.iter)) | _needed(node.orelse, set())
            continue
        if isinstance(node, BINDING):
            needed -= _defined([node])
        needed |= _read(node)
    return needed


def _read(node: ast.stmt) -> set[str]:
    """The names of the notebook that a statement reads, in its functions too."""
    changed = (part.target for part in ast.walk(node) if isinstance(part, ast.AugAssign))
    found = {target.id for target in changed if isinstance(target, ast.Name)}
    tables = [symtable.symtable(ast.unparse(node), "cell", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        found |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global())
        }
    return found
