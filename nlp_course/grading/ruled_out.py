"""What an assignment's text rules out, found in an answer: a person decides what it is worth.

A module of the course that holds an answer can be withheld. A library cannot, where notebooks and
tests need it for other things; and of most libraries only a part is ruled out. So an answer that
uses such a part keeps its points, and the class page names it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator


def used(source: str, ruled_out: Iterable[str]) -> list[str]:
    """What of the things ruled out an answer uses, as far as its text shows.

    Parameters
    ----------
    source : an answer cell
    ruled_out : packages and what is in them, `transformers` or `torch.autograd`, which stand for
        all below them; with a point before it a method, `.backward`, of whatever object

    Returns
    -------
    Those used, in the order of `ruled_out`; none if the source is no Python.

    Examples
    --------
    >>> used("import torch as t; t.autograd.grad(J, x)", ["torch.autograd", "torch.nn"])
    ['torch.autograd']
    >>> used("J.backward()", [".backward"])
    ['.backward']
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # too deep for Python, too
        return []
    paths = set(_paths(tree))
    methods = {f".{node.attr}" for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return [
        name
        for name in ruled_out
        if name in methods or any(f"{path}.".startswith(f"{name}.") for path in paths)
    ]


def _paths(tree: ast.Module) -> Iterator[str]:
    """Dotted names that a program writes, from the module that they come from."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield one.name
                top = one.name.partition(".")[0]
                known[one.asname or top] = one.name if one.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for one in node.names:
                yield f"{node.module}.{one.name}"
                known[one.asname or one.name] = f"{node.module}.{one.name}"
    dots = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    within = {node.value for node in dots}  # `a.b` in `a.b.c`
    for node in dots:
        if node in within:
            continue
        parts: list[str] = []
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            yield ".".join([known.get(inner.id, inner.id), *reversed(parts)])
