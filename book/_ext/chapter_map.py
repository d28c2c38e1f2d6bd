"""The map of chapters on the home page: each with what it is about, and arcs from what it needs.

It reads the chapters' own boxes, so that it cannot say other than they do.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

TITLE = re.compile(r"^# (?P<title>.+)$", re.M)
BOX = re.compile(r"^(?:```+|:::+)\{chapter-box\}\n(?P<options>(?::[\w-]+:.*\n)+)", re.M)
OPTION = re.compile(r"^:(?P<key>[\w-]+): *(?P<value>.*)$", re.M)
NEEDED = re.compile(r"\]\((?P<page>\d\d-[\w-]+)\.md")
EDGE = 2.6  # how far to the right the arcs begin, in rows
LONGEST = 24  # rows that an arc may span before it bends no wider


class Chapter(NamedTuple):
    """What the map says of a chapter."""

    page: str
    title: str
    minutes: int
    needs: list[str]


class Part(NamedTuple):
    """A part of the book."""

    caption: str
    chapters: list[Chapter]


class ChapterMap(SphinxDirective):
    """The map. Its content has a line for each chapter: `04-word2vec: what it is about`."""

    has_content = True
    option_spec: ClassVar = {}

    def run(self) -> list[nodes.Node]:
        book = Path(self.env.srcdir)
        parts = parts_of(book)
        about = {}
        for line in self.content:
            page, colon, text = line.partition(":")
            if not colon:
                raise self.error(
                    f"chapter-map: {line!r} is not of the form 'page: what it is about'"
                )
            about[page.strip()] = text.strip()
        pages = [chapter.page for part in parts for chapter in part.chapters]
        if list(about) != pages:
            odd = sorted(set(about) ^ set(pages)) or "their order"
            raise self.error(f"chapter-map and _toc.yml do not list the same chapters: {odd}")
        for page in ["_toc.yml", *(f"{page}.md" for page in pages)]:
            self.env.note_dependency(str(book / page))
        return [self._map(parts, about)]

    def _map(self, parts: list[Part], about: dict[str, str]) -> nodes.container:
        """Rows of one height, and beside them arcs drawn in units of that height."""
        content: list[nodes.Node] = []
        middles: dict[str, float] = {}  # where each chapter's row is
        row = 0
        for part in parts:
            hours = sum(chapter.minutes for chapter in part.chapters) / 60
            caption = nodes.strong(text=part.caption)
            length = nodes.inline(text=f" · {hours:.0f} hours to read", classes=["hours"])
            content.append(nodes.paragraph("", "", caption, length, classes=["part"]))
            row += 1
            rows = nodes.bullet_list()
            for chapter in part.chapters:
                name = self._inline(f"[{chapter.title}]({chapter.page}.md)")
                says = nodes.inline("", "", *self._inline(about[chapter.page]), classes=["about"])
                # What the arcs show, for who does not see them.
                needs = ", ".join(str(int(page[:2])) for page in chapter.needs)
                told = nodes.inline(
                    text=f" (needs {needs})" if needs else "", classes=["visually-hidden"]
                )
                rows += nodes.list_item(
                    "", nodes.paragraph("", "", *name, nodes.Text(" "), says, told)
                )
                middles[chapter.page] = row + 0.5
                row += 1
            content.append(rows)
        arcs = nodes.raw("", draw_arcs(parts, middles, row), format="html")
        return nodes.container("", arcs, *content, classes=["chapter-map"])

    def _inline(self, text: str) -> list[nodes.Node]:
        children, messages = self.parse_inline(text, lineno=self.lineno)
        return [*children, *messages]


def parts_of(book: Path) -> list[Part]:
    """The book's parts with their chapters, as the table of contents lists them."""
    contents = yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))
    parts: list[Part] = []
    for part in contents["parts"]:
        pages = [page["file"] for page in part["chapters"] if re.match(r"\d\d-", page["file"])]
        if pages:
            parts.append(Part(part["caption"], [read_chapter(book, page) for page in pages]))
    return parts


def read_chapter(book: Path, page: str) -> Chapter:
    """A chapter's title, and what its box says.

    Raises
    ------
    ValueError : it has no title, or no box with minutes and needs.
    """
    text = (book / f"{page}.md").read_text(encoding="utf-8")
    title, box = TITLE.search(text), BOX.search(text)
    options = dict(OPTION.findall(box["options"])) if box else {}
    if title is None or not {"minutes", "needs"} <= options.keys():
        raise ValueError(f"book/{page}.md needs a title and a chapter-box with minutes and needs")
    needs = sorted(set(NEEDED.findall(options["needs"])))
    return Chapter(page, title["title"], int(options["minutes"]), needs)


def draw_arcs(parts: list[Part], middles: dict[str, float], rows: int) -> str:
    """An SVG one unit high for each row: an arc from each chapter to each that it needs.

    Parameters
    ----------
    middles : of each chapter's row
    rows : how many there are
    """
    chapters = [chapter for part in parts for chapter in part.chapters]
    shapes = [
        _arc(middles[need], middles[chapter.page], f'data-from="{need}" data-to="{chapter.page}"')
        for chapter in chapters
        for need in chapter.needs
    ]
    shapes += [f'<path class="dot" d="M{EDGE},{middle:g}h0"/>' for middle in middles.values()]
    return (
        f'<svg viewBox="0 0 {EDGE} {rows}" preserveAspectRatio="none" '
        f'style="--rows: {rows}" aria-hidden="true">'
        f"{''.join(shapes)}</svg>"
    )


def _arc(start: float, end: float, data: str) -> str:
    """Half an ellipse to the left, the wider the further it reaches."""
    width = EDGE * ((end - start) / LONGEST) ** 0.5
    x = max(EDGE - width, 0.1)
    return f'<path d="M{EDGE},{start:g}C{x:.2f},{start:g} {x:.2f},{end:g} {EDGE},{end:g}" {data}/>'


def load_script(
    app: Sphinx, page: str, _template: str, _context: dict[str, Any], _doctree: Any
) -> None:
    """Load what lets arcs stand out, and the picture play again, on the home page alone."""
    if page == app.config.root_doc:
        app.add_js_file("home.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("chapter-map", ChapterMap)
    app.connect("html-page-context", load_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
