"""Citations: one form in chapters, bibliography and notebooks, and no two works with one."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from pybtex.database import BibliographyData, Entry, Person, parse_file

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_ext"))
import citations  # noqa: E402


def works(*entries: str) -> BibliographyData:
    """Works of `key: authors: year: title`."""
    made = {}
    for entry in entries:
        key, authors, year, title = entry.split(": ")
        persons = {"author": [Person(name) for name in authors.split(" and ")]}
        made[key] = Entry("misc", {"year": year, "title": title}, persons)
    return BibliographyData(made)


def years(bibliography: BibliographyData) -> dict[str, str]:
    citations.tell_apart(bibliography)
    return {key: entry.fields["year"] for key, entry in bibliography.entries.items()}


def test_no_two_works_of_the_book_are_cited_alike():
    labels = Counter(map(citations.label, citations.read().entries.values()))
    assert [label for label, count in labels.items() if count > 1] == []


def test_only_works_that_would_be_cited_alike_get_letters():
    before = parse_file(BOOK / "references.bib").entries
    alike = Counter(map(citations.label, before.values()))
    for key, entry in citations.read().entries.items():
        letter = entry.fields["year"].removeprefix(before[key].fields["year"])
        assert bool(letter) == (alike[citations.label(before[key])] > 1), key


def test_letters_follow_the_order_of_the_bibliography():
    three = ["b: Wu, A and Yu, B and Xi, C: 2013: One", "a: Wu, A and Xi, B and Yu, C: 2013: Two"]
    assert years(works(*three, "c: Wu, A and Xi, B and Yu, C: 2013: Also")) == {
        "b": "2013c", "a": "2013b", "c": "2013a",
    }  # fmt: skip


def test_works_of_other_years_and_authors_need_no_letters():
    found = years(works("a: Wu, A: 2013: A", "b: Wu, A: 2014: B", "c: Xi, A: 2013: C"))
    assert found == {"a": "2013", "b": "2014", "c": "2013"}


def test_letters_are_given_once():
    bibliography = works("a: Wu, A: 2013: A", "b: Wu, A: 2013: B")
    assert years(bibliography) == years(bibliography) == {"a": "2013a", "b": "2013b"}


@pytest.mark.book
def test_an_entry_is_labelled_as_it_is_cited_and_is_where_citations_lead(built):
    entries = citations.read().entries
    text = (built / "bibliography.html").read_text(encoding="utf-8")
    listed = BeautifulSoup(text, "lxml").select("div.citation")
    assert [it["id"] for it in listed] != []
    assert {it["id"]: it.select_one(".label").get_text().strip("[]") for it in listed} == {
        citations.anchor(key): citations.label(entry) for key, entry in entries.items()
    }
    cited = {}
    for path in built.glob("[0-9][0-9]-*.html"):
        links = re.findall(r'href="bibliography\.html#([\w-]+)"[^>]*>(.*?)</a>', path.read_text())
        cited |= {anchor: re.sub("<[^>]+>", "", shown) for anchor, shown in links}
    labels = {citations.anchor(key): citations.label(entry) for key, entry in entries.items()}
    assert len(cited) > 100
    for anchor, shown in cited.items():
        assert labels[anchor].endswith(shown.replace("\N{NO-BREAK SPACE}", " ")), anchor
