"""The package's docstrings for Sphinx: numpydoc sections whose types stand in the signature.

A parameter is written `name : what it is`, on one line; Sphinx's own reader of numpydoc would take
what follows the colon for a type and look it up.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from sphinx.application import Sphinx

# What a section's entries become; the others keep their text under a bold head.
FIELDS = {"Parameters": "param", "Attributes": "ivar", "Raises": "raises"}
UNDERLINE = re.compile(r"-{3,}\s*$")
ENTRY = re.compile(r"(?P<names>\w+(?:, \w+)*) : ")
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


def with_fields(lines: list[str], fields: Collection[str]) -> list[str]:
    """A class's docstring with its list of fields, which needs no head, as reStructuredText fields.

    The list is a paragraph each of whose entries names fields of the class: no other is changed.

    >>> with_fields(["A point.", "", "x, y : to the right,", "    and up"], ["x", "y"])
    ['A point.', '', ':ivar x: to the right,', '    and up', ':ivar y: to the right,', '    and up']
    >>> with_fields(["A point.", "", "It is this : a place."], ["x", "y"])
    ['A point.', '', 'It is this : a place.']
    """
    start = 0
    while start < len(lines):
        end = next((n for n in range(start, len(lines)) if not lines[n].strip()), len(lines))
        paragraph = lines[start:end]
        if any(UNDERLINE.match(line) for line in paragraph):
            break
        entries = [ENTRY.match(line) for line in paragraph if line[:1].strip()]
        if entries and all(it and {*it["names"].split(", ")} <= {*fields} for it in entries):
            listed = [line for entry in _entries(paragraph) for line in _fields("ivar", entry)]
            return [*lines[:start], *listed, *lines[end:]]
        start = end + 1
    return lines


def _fields_of(thing: object) -> Collection[str]:
    """The fields of a named tuple or a data class; of anything else none."""
    named: Collection[str] = getattr(thing, "_fields", ())
    return named or getattr(thing, "__dataclass_fields__", ())


def _leave_out(
    _app: Sphinx, _what: str, _name: str, member: object, _skip: bool, _options: Any
) -> bool | None:
    """Leave out a named tuple's fields as members: Python only says which number they have."""
    alias = (getattr(member, "__doc__", None) or "").startswith("Alias for field number")
    return True if alias else None


def _read(
    _app: Sphinx, what: str, _name: str, thing: object, _options: Any, lines: list[str]
) -> None:
    escaped = [
        "".join(
            part if number % 2 else MARKUP.sub(r"\\\g<0>", part)
            for number, part in enumerate(LITERAL.split(line))
        )
        for line in lines
    ]
    listed = with_fields(escaped, _fields_of(thing)) if what == "class" else escaped
    lines[:] = as_fields(listed)


def setup(app: Sphinx) -> dict[str, Any]:
    """Read every docstring this way."""
    app.connect("autodoc-process-docstring", _read)
    app.connect("autodoc-skip-member", _leave_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
