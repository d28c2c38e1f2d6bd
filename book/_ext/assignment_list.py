"""All assignments in one place: what each is about, how long it takes, and where it opens.

The list is read from the notebooks that students get, so that it cannot say other than they do.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from addresses import Addresses
from course import addresses

HEAD = re.compile(
    r"# Assignment \d\d: (?P<title>.+)\n\n(?P<chapters>Chapters? .+?) · (?P<time>about .+?) · "
)
NUMBER = re.compile(r"\d+")


class Assignment(NamedTuple):
    """What the list says of an assignment.

    chapters : their numbers, as in `Chapters 3 and 4`
    time : how long it takes, in words
    """

    name: str
    title: str
    chapters: str
    time: str


class AssignmentList(SphinxDirective):
    """The list: a line for each assignment."""

    option_spec: ClassVar = {}

    def run(self) -> list[nodes.Node]:
        book = Path(self.env.srcdir)
        folder = book.parent / "assignments"
        pages = {path.name[:2]: path.stem for path in sorted(book.glob("[0-9][0-9]-*.md"))}
        rows = nodes.bullet_list()
        for path in sorted(folder.glob("*/*.ipynb")):
            self.env.note_dependency(str(path))
            try:
                line = describe(read(path), addresses(self.config), pages)
            except ValueError as error:
                raise self.error(str(error)) from error
            children, messages = self.parse_inline(line, lineno=self.lineno)
            rows += nodes.list_item("", nodes.paragraph("", "", *children, *messages))
        if not rows.children:
            raise self.error(f"there are no notebooks in {folder}: run make assignments")
        return [rows]


def read(path: Path) -> Assignment:
    """What an assignment's notebook says of itself at its head.

    Raises
    ------
    ValueError : its first cell is not of the form that all have.
    """
    head = HEAD.match(nbformat.read(path, as_version=4).cells[0].source)
    if head is None:
        raise ValueError(
            f"{path.name} must begin with '# Assignment NN: TITLE' and, after an empty line, "
            "'Chapters N and M · about HOW LONG · …'"
        )
    return Assignment(path.stem, **head.groupdict())


def describe(it: Assignment, course: Addresses, pages: dict[str, str]) -> str:
    """An assignment's line, as MyST: links to its notebook and to its chapters.

    Parameters
    ----------
    pages : of chapters, by their numbers of two digits

    Raises
    ------
    ValueError : it names a chapter that there is not.
    """

    def link(number: re.Match[str]) -> str:
        page = pages.get(number[0].zfill(2))
        if page is None:
            raise ValueError(f"{it.name} names chapter {number[0]}, and there is none")
        return f"[{number[0]}]({page}.md)"

    chapters = NUMBER.sub(link, it.chapters.lower())
    return f"[{it.name[:2]} · {it.title}]({course.assignment(it.name)}): {chapters}, {it.time}"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("assignment-list", AssignmentList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
