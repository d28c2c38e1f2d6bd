"""What the book makes of its glossary: cards at first uses, an index, two more languages.

Reading a page notes where its prose first uses each term. A page is written with the definitions of
these terms, hidden at its end: static/terms.js shows them as cards. The index links each use.
"""

from __future__ import annotations

import html
import tomllib
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

# What each language calls itself, by its code; both are written from right to left.
LANGUAGES = {"fa": "فارسی", "he": "עברית"}
TABLE = "terms.toml"
# The class of the first links; terms.js looks for it.
FIRST = "term-first"
SCRIPTS = ("vendor/tippy/popper.min.js", "vendor/tippy/tippy.min.js", "terms.js")
# Paragraphs in these are no prose, and a link in a link has no card. (Headings and captions are no
# paragraphs.)
NO_PROSE = (nodes.field_list, nodes.reference, addnodes.pending_xref)


class Term(NamedTuple):
    """A term of the glossary: its name, and the page and anchor of its definition."""

    name: str
    page: str
    anchor: str


class term_index(nodes.General, nodes.Element):
    """Stands for the index, made once all pages were read."""


class term_letters(nodes.General, nodes.Element):
    """Stands for a row of letters, each a link to the first of the glossary's terms with it."""


class right_to_left(nodes.entry):
    """A cell of a table in a language, `lang`, that is written from right to left."""


class TermIndex(SphinxDirective):
    """Every term by its first letter, with the chapters that use it."""

    def run(self) -> list[nodes.Node]:
        return [term_index()]


class TermLetters(SphinxDirective):
    """The letters with which terms begin, as links down the glossary's page."""

    def run(self) -> list[nodes.Node]:
        return [term_letters()]


class TermTranslations(SphinxDirective):
    """Every term of the page's glossary in Persian and Hebrew, from terms.toml beside the page."""

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.doc2path(self.env.docname)).with_name(TABLE)
        self.env.note_dependency(str(path))
        rows = tomllib.loads(path.read_text(encoding="utf-8"))
        names = [term.name for term in defined(self.env) if term.page == self.env.docname]
        try:
            check(rows, names)
        except ValueError as error:
            raise self.error(str(error)) from error
        group = nodes.tgroup("", cols=3)
        group += [nodes.colspec(colwidth=1) for _ in range(3)]
        head = nodes.row("", _cell(nodes.Text("English")))
        head += [_foreign(name, code) for code, name in LANGUAGES.items()]
        body = nodes.tbody()
        for name, words in rows.items():
            row = nodes.row("", _cell(self._link(name)))
            row += [_foreign(words.get(code, ""), code) for code in LANGUAGES]
            body += row
        group += [nodes.thead("", head), body]
        return [nodes.table("", group, classes=["term-translations"])]

    def _link(self, name: str) -> nodes.Node:
        place = {"refdoc": self.env.docname, "refdomain": "std", "reftype": "term"}
        text = nodes.inline("", name)
        return addnodes.pending_xref("", text, reftarget=name, refexplicit=True, **place)


def check(rows: dict[str, dict[str, str]], names: Iterable[str]) -> None:
    """See that the table of translations has the glossary's terms.

    Raises
    ------
    ValueError : a term has no row, a row no term, they are in another order, or a row names
        a language that the course has not.
    """
    said, there = list(rows), list(names)
    if said != there:
        wrong = sorted({*said} ^ {*there}) or [
            one for one, other in zip(said, there, strict=True) if one != other
        ]
        raise ValueError(f"{TABLE} does not have the glossary's terms in order: {wrong}")
    for name, words in rows.items():
        if not words.keys() <= LANGUAGES.keys():
            raise ValueError(f"{TABLE}, {name}: {', '.join(LANGUAGES)} only, got {list(words)}")


def _cell(content: nodes.Node) -> nodes.entry:
    return nodes.entry("", nodes.paragraph("", "", content))


def _foreign(text: str, code: str) -> right_to_left:
    cell = right_to_left(lang=code)
    if text:
        cell += nodes.paragraph("", text)
    return cell


def visit_right_to_left(translator: HTML5Translator, cell: right_to_left) -> None:
    tag = "th" if isinstance(cell.parent.parent, nodes.thead) else "td"
    kind = {"class": "head"} if tag == "th" else {}
    start = translator.starttag(cell, tag, "", lang=cell["lang"], dir="rtl", **kind)
    translator.body.append(start)
    translator.context.append(f"</{tag}>\n")


def depart_right_to_left(translator: HTML5Translator, _cell: right_to_left) -> None:
    translator.body.append(translator.context.pop())


def defined(env: BuildEnvironment) -> Iterator[Term]:
    """The terms of the glossary, in its order."""
    for name, _shown, kind, page, anchor, _priority in env.get_domain("std").get_objects():
        if kind == "term":
            yield Term(name, page, anchor)


def _uses(env: BuildEnvironment) -> dict[str, dict[str, str]]:
    """For each page, the terms that its prose uses, in small letters, and the anchors of where."""
    if not hasattr(env, "course_term_uses"):
        env.course_term_uses = {}  # type: ignore[attr-defined]
    uses: dict[str, dict[str, str]] = env.course_term_uses
    return uses


def note_uses(app: Sphinx, doctree: nodes.document) -> None:
    """Mark each term's first link in a page that was read, and give its paragraph an anchor."""
    page = app.env.docname
    _uses(app.env).pop(page, None)
    if next(doctree.findall(addnodes.glossary), None) is not None:
        return
    found: dict[str, str] = {}
    for link in doctree.findall(addnodes.pending_xref):
        term = link["reftarget"].lower()
        paragraph = _paragraph(link)
        if link["reftype"] != "term" or term in found or paragraph is None:
            continue
        if not paragraph["ids"]:
            paragraph["ids"].append(nodes.make_id(f"use-{page}-{term}"))
        found[term] = paragraph["ids"][0]
        link.children[0]["classes"].append(FIRST)
    if found:
        _uses(app.env)[page] = found


def _paragraph(link: nodes.Node) -> nodes.Element | None:
    """The paragraph of prose around a link; None where there is none."""
    around, paragraph = link.parent, None
    while around is not None:
        if isinstance(around, NO_PROSE):
            return None
        if paragraph is None and isinstance(around, nodes.paragraph):
            paragraph = around
        around = around.parent
    return paragraph


def _indexes(env: BuildEnvironment) -> set[str]:
    """Pages that have an index."""
    if not hasattr(env, "course_term_indexes"):
        env.course_term_indexes = set()  # type: ignore[attr-defined]
    indexes: set[str] = env.course_term_indexes
    return indexes


def forget_page(_app: Sphinx, env: BuildEnvironment, page: str) -> None:
    """Forget the uses, or the index, of a page that is read anew or gone."""
    _uses(env).pop(page, None)
    _indexes(env).discard(page)


def merge_pages(
    _app: Sphinx, env: BuildEnvironment, pages: Iterable[str], other: BuildEnvironment
) -> None:
    """Take over what another process found in the pages that it read."""
    _uses(env).update({page: _uses(other)[page] for page in pages if page in _uses(other)})
    _indexes(env).update(_indexes(other).intersection(pages))


def write_again(_app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Pages to write although they were not read.

    If the glossary was read, all that have cards; if a page uses other terms than before or has
    another title, the index.
    """
    glossary = {term.page: env.all_docs[term.page] for term in defined(env)}
    uses = {page: (env.titles[page].astext(), terms) for page, terms in _uses(env).items()}
    before = getattr(env, "course_terms_before", None)
    env.course_terms_before = glossary, uses  # type: ignore[attr-defined]
    if before is None or before[0] != glossary:
        return [*uses, *_indexes(env)]
    return [] if before[1] == uses else list(_indexes(env))


def note_index(app: Sphinx, doctree: nodes.document) -> None:
    """Remember a page with the index, to write it anew where others change."""
    if next(doctree.findall(term_index), None) is not None:
        _indexes(app.env).add(app.env.docname)


def fill_index(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put the index, or the row of letters, where its directive stands."""
    for place in list(doctree.findall(term_index)):
        place.replace_self(_index(app, page))
    for place in list(doctree.findall(term_letters)):
        first = {letter: terms[0].anchor for letter, terms in _by_letter(app.env)}
        place.replace_self(_letters(first))


def _by_letter(env: BuildEnvironment) -> Iterator[tuple[str, list[Term]]]:
    """Letters in order, each with the terms that begin with it."""
    terms = sorted(defined(env), key=lambda term: term.name.lower())
    for letter, group in groupby(terms, key=lambda term: term.name[0].upper()):
        yield letter, list(group)


def _letters(anchors: dict[str, str]) -> nodes.paragraph:
    """A row of letters that lead to anchors of their page."""
    row = nodes.paragraph(classes=["term-letters"])
    for letter, anchor in anchors.items():
        row += [nodes.reference("", letter, refid=anchor), nodes.Text(" ")]
    return row


def _index(app: Sphinx, page: str) -> list[nodes.Node]:
    def link(text: str, target: str, anchor: str) -> nodes.reference:
        address = f"{app.builder.get_relative_uri(page, target)}#{anchor}"
        return nodes.reference("", "", nodes.inline("", text), refuri=address, internal=True)

    anchors: dict[str, str] = {}
    sections: list[nodes.Node] = []
    for letter, group in _by_letter(app.env):
        anchors[letter] = f"letter-{letter.lower()}"
        entries = nodes.definition_list(classes=["term-index"])
        for term in group:
            uses = [
                nodes.paragraph("", "", link(app.env.titles[chapter].astext(), chapter, use))
                for chapter, anchors in sorted(_uses(app.env).items())
                if (use := anchors.get(term.name.lower()))
            ]
            name = nodes.term("", "", link(term.name, term.page, term.anchor))
            entries += nodes.definition_list_item("", name, nodes.definition("", *uses))
        sections.append(nodes.section("", nodes.title("", letter), entries, ids=[anchors[letter]]))
    return [_letters(anchors), *sections]


def add_cards(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: Any
) -> None:
    """Write a page's definitions at its end, and load what shows them."""
    uses = _uses(app.env).get(page, {})
    terms = [term for term in defined(app.env) if term.name.lower() in uses]
    if not terms or "body" not in context:
        return
    texts = _definitions(app, {term.page for term in terms})
    cards = []
    for term in terms:
        address = f"{app.builder.get_relative_uri(page, term.page)}#{term.anchor}"
        cards.append(
            f'<div id="card-{term.anchor}">{texts[term.anchor]}'
            f'<p><a href="{address}">{html.escape(term.name)} in the glossary</a></p></div>'
        )
    context["body"] += "\n".join(['<div class="term-cards" hidden>', *cards, "</div>"])
    for script in SCRIPTS:
        app.add_js_file(script, loading_method="defer")


def _definitions(app: Sphinx, pages: Iterable[str]) -> dict[str, str]:
    """The definitions of glossaries as HTML without links, by anchor; made once a process."""
    made: dict[str, str] = getattr(app.builder, "course_definitions", {})
    if not made:
        for page in pages:
            for item in app.env.get_doctree(page).findall(nodes.definition_list_item):
                [definition] = item.findall(nodes.definition)
                for link in list(definition.findall(addnodes.pending_xref)):
                    link.replace_self(link.children)
                parts = [app.builder.render_partial(part)["fragment"] for part in definition]
                made |= {
                    anchor: "".join(parts)
                    for name in item.findall(nodes.term)
                    for anchor in name["ids"]
                }
        app.builder.course_definitions = made
    return made


def setup(app: Sphinx) -> dict[str, Any]:
    visitors = (visit_right_to_left, depart_right_to_left)
    app.add_node(right_to_left, html=visitors)
    app.add_node(term_index)
    app.add_node(term_letters)
    app.add_directive("term-index", TermIndex)
    app.add_directive("term-letters", TermLetters)
    app.add_directive("term-translations", TermTranslations)
    app.connect("doctree-read", note_uses)
    app.connect("doctree-read", note_index)
    app.connect("env-purge-doc", forget_page)
    app.connect("env-merge-info", merge_pages)
    app.connect("env-updated", write_again)
    app.connect("doctree-resolved", fill_index)
    app.connect("html-page-context", add_cards)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": 1}
