"""The package's docstrings for Sphinx: numpydoc sections whose types stand in the signature.

A parameter is written `name : what it is`, on one line; Sphinx's own reader of numpydoc would take
what follows the colon for a type and look it up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sphinx.application import Sphinx

# What a section's entries become; the others keep their text under a bold head.
FIELDS = {"Parameters": "param", "Attributes": "ivar", "Raises": "raises"}
UNDERLINE = re.compile(r"-{3,}\s*$")
# Literals stay as they are; elsewhere a bar would begin a substitution, and an underscore at a
# word's end a link: formulas have both.
LITERAL = re.compile(r"(``.*?``|`.*?`)")
MARKUP = re.compile(r"\||(?<=\w)_(?!\w)")


def as_fields(lines: list[str]) -> list[str]:
    """A docstring's lines with its sections as reStructuredText fields.

    >>> as_fields(["Sum.", "", "Parameters", "----------", "a, b : numbers"])
    ['Sum.', '', ':param a: numbers', ':param b: numbers', '']
    """
    starts = [
        number
        for number in range(len(lines) - 1)
        if lines[number][:1].isalpha() and UNDERLINE.match(lines[number + 1])
    ]
    bounds = zip([*starts, len(lines)], [*starts[1:], len(lines), len(lines)], strict=False)
    result = lines[: starts[0]] if starts else list(lines)
    for start, end in bounds:
        if start < len(lines):
            result += _section(lines[start], lines[start + 2 : end])
    return result


def _section(head: str, body: list[str]) -> list[str]:
    while body and not body[-1].strip():
        body = body[:-1]
    if head in FIELDS:
        entries = [line for entry in _entries(body) for line in _fields(FIELDS[head], entry)]
        return [*entries, ""]
    if head in ("Returns", "Yields"):
        field = head.lower()
        return [f":{field}: {body[0]}", *(f"    {line}" for line in body[1:]), ""]
    return [f"**{head}**", "", *body, ""]


def _entries(body: list[str]) -> Iterator[list[str]]:
    entry: list[str] = []
    for line in body:
        if line[:1].strip() and entry:
            yield entry
            entry = []
        entry.append(line)
    if entry:
        yield entry


def _fields(field: str, entry: list[str]) -> Iterator[str]:
    names, _, first = entry[0].partition(" : ")
    for name in names.split(","):
        yield f":{field} {name.strip()}: {first}".rstrip()
        yield from entry[1:]


def _read(
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: Any, lines: list[str]
) -> None:
    escaped = [
        "".join(
            part if number % 2 else MARKUP.sub(r"\\\g<0>", part)
            for number, part in enumerate(LITERAL.split(line))
        )
        for line in lines
    ]
    lines[:] = as_fields(escaped)


def setup(app: Sphinx) -> dict[str, Any]:
    """Read every docstring this way."""
    app.connect("autodoc-process-docstring", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
