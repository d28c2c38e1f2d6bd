"""How the course cites: by author and year, with a letter where that would name two works.

A citation in a chapter, the label of its entry in the bibliography, and a citation in a notebook
are one form, "Mikolov et al., 2013a", and lead to the entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from string import ascii_lowercase
from typing import Any

import pybtex.plugin
from docutils.nodes import make_id
from pybtex.database import BibliographyData, Entry, parse_file
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.labels import BaseLabelStyle
from pybtex.style.sorting.author_year_title import SortingStyle
from sphinx.application import Sphinx

from pages import BOOK

ANCHOR = "cite-{key}"


def names(entry: Entry) -> str:
    """The authors as a citation calls them: one, two, or the first of more.

    >>> from pybtex.database import Person
    >>> three = [Person("Ada Wu"), Person("Bo Xi"), Person("Cy Yu")]
    >>> [names(Entry("article", persons={"author": three[:n]})) for n in (1, 2, 3)]
    ['Wu', 'Wu and Xi', 'Wu et al.']
    """
    people = [
        # Rich names are decoded: LaTeX writes accents as commands.
        " ".join(str(part) for part in [*person.rich_prelast_names, *person.rich_last_names])
        for person in entry.persons["author"]
    ]
    return " and ".join(people) if len(people) < 3 else f"{people[0]} et al."


def tell_apart(bibliography: BibliographyData) -> None:
    """Give works of the same authors and year letters, in the order of the bibliography.

    >>> data = '@misc{b, author={Wu}, year={2013}, title={B}}'
    >>> data += '@misc{a, author={Wu}, year={2013}, title={A}}'
    >>> bibliography = BibliographyData.from_string(data, "bibtex")
    >>> tell_apart(bibliography)
    >>> {key: entry.fields["year"] for key, entry in bibliography.entries.items()}
    {'b': '2013b', 'a': '2013a'}
    """
    # Sorted by the label alone, which keeps those of one label in the bibliography's order.
    ordered = sorted(SortingStyle().sort(bibliography.entries.values()), key=label)
    for _, same in groupby(ordered, key=label):
        works = list(same)
        if len(works) > 1:
            for work, letter in zip(works, ascii_lowercase[: len(works)], strict=True):
                work.fields["year"] += letter


def label(entry: Entry) -> str:
    """What a citation in brackets says: authors and year."""
    return f"{names(entry)}, {entry.fields['year']}"


def anchor(key: str) -> str:
    """Where in the bibliography's page a work is."""
    return make_id(ANCHOR.format(key=key))


def read() -> BibliographyData:
    """The book's bibliography, its works told apart."""
    bibliography = parse_file(BOOK / "references.bib")
    tell_apart(bibliography)
    return bibliography


class _Labels(BaseLabelStyle):
    def format_labels(self, entries: Iterable[Entry]) -> Iterator[str]:
        return map(label, entries)


class _Style(PlainStyle):
    default_label_style = _Labels


def _tell_apart_in_book(app: Sphinx) -> None:
    tell_apart(app.env.get_domain("cite").bibdata.data)


def setup(app: Sphinx) -> dict[str, Any]:
    """Let the bibliography be labelled as it is cited."""
    pybtex.plugin.register_plugin("pybtex.style.formatting", "course", _Style)
    # After the extension has read the file, which it does at the same event.
    app.connect("builder-inited", _tell_apart_in_book, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
