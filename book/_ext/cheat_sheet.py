"""Writes book/cheat-sheet.md: every numbered formula of the chapters, and what computes it.

    python book/_ext/cheat_sheet.py

book/formulas.toml names each formula and its functions; the formula itself is the page's.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

BOOK = Path(__file__).resolve().parents[1]
PAGE, TABLE = BOOK / "cheat-sheet.md", BOOK / "formulas.toml"
MATH = re.compile(r"^```+\{math\}\n((?::[^\n]*\n)+)(.*?)^```+$", re.MULTILINE | re.DOTALL)
LABEL = re.compile(r"^:label: *([\w-]+)", re.MULTILINE)
HEAD = """# Cheat sheet

*Every numbered formula of the chapters, and what computes it.*

A number leads to where a formula is derived, a function to its description. *By the page* is said
of what a cell of the page computes, or only a proof needs.
"""


class Equation(NamedTuple):
    """A numbered formula of a chapter: its page, without ending, its label, and its LaTeX."""

    page: str
    label: str
    latex: str


def equations() -> Iterator[Equation]:
    """The numbered formulas of all chapters, in their order."""
    for path in sorted(BOOK.glob("[0-9][0-9]-*.md")):
        for options, latex in MATH.findall(path.read_text(encoding="utf-8")):
            for label in LABEL.findall(options):
                yield Equation(path.stem, label, latex.strip())


def table() -> list[dict[str, Any]]:
    """The rows of formulas.toml.

    Raises
    ------
    ValueError : a row says both or neither of what computes it, or a formula of the chapters has
        no row, or a row no formula, or they are in another order.
    """
    rows: list[dict[str, Any]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))["formula"]
    for row in rows:
        if set(row) not in ({"label", "name", "functions"}, {"label", "name", "cell"}):
            raise ValueError(
                f"{TABLE.name}, {row.get('label')}: label, name, and functions or cell"
            )
    said, there = [row["label"] for row in rows], [one.label for one in equations()]
    if said != there:
        wrong = sorted({*said} ^ {*there}) or [
            one for one, other in zip(said, there, strict=True) if one != other
        ]
        raise ValueError(f"{TABLE.name} does not have the chapters' formulas in order: {wrong}")
    return rows


def sheet(rows: Sequence[dict[str, Any]]) -> str:
    """The page, from the rows of the table."""
    parts, page = [HEAD], ""
    for one, row in zip(equations(), rows, strict=True):
        if one.page != page:
            page = one.page
            title = (BOOK / f"{page}.md").read_text(encoding="utf-8")
            [name] = re.findall(r"^# (.+)$", title, re.MULTILINE)[:1]
            parts.append(f"## [{name}]({page}.md)\n")
        by = ", ".join(function(name) for name in row.get("functions", ())) or "by the page"
        parts.append(f"**{row['name']}** {{eq}}`{one.label}` · {by}\n\n$$\n{one.latex}\n$$\n")
    return "\n".join(parts)


def function(name: str) -> str:
    """A link to what a row names, a function, a class or a method."""
    kind = ("func", "class")[name.rpartition(".")[2][0].isupper()]
    if len(name.split(".")) > 2 and name.split(".")[-2][0].isupper():
        kind = "meth"
    return f"{{py:{kind}}}`~nlp_course.{name}`"


if __name__ == "__main__":
    PAGE.write_text(sheet(table()), encoding="utf-8")
