"""Links of the built pages and of their notebooks: each leads to something that is there.

What other sites have is asked by `make links`, weekly: this runs without a network.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import lxml.html
import nbformat
import pytest

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import addresses  # noqa: E402

COURSE = addresses.configured()
SITE = COURSE.site
# What a page or a program of ours would be called by while it is made.
LOCAL = re.compile(r"^file:|^(?:https?:)?//(?:localhost|127\.|0\.0\.0\.0|\[::1\])|^/|^[A-Za-z]:\\")
# Where the repository's files are seen, and which branch they are on there.
SEEN = re.compile(
    rf"{re.escape(COURSE.repository)}/(?:blob|edit|raw|tree)/(?P<branch>\w+)/(?P<path>[^?#]+)"
    rf"|https://colab\.research\.google\.com/github/{COURSE.project}/blob/"
    r"(?P<colab_branch>\w+)/(?P<colab_path>[^?#]+)"
    rf"|{re.escape(COURSE.files)}"
    r"(?P<raw_branch>\w+)/(?P<raw_path>[^?#]+)"
)
LINK = re.compile(
    r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)|<(https?://[^>\s]+)>|(?:src|href)=\"([^\"]+)\""
)


@pytest.fixture(scope="module")
def links(built: Path) -> dict[Path, list[tuple[str, str]]]:
    """Each page's addresses, with what they are: a link, a picture, a script or a style sheet."""
    return {path: list(_addresses(path)) for path in _pages(built)}


def _pages(built: Path) -> list[Path]:
    return [path for path in sorted(built.rglob("*.html")) if "_static" not in path.parts]


@cache
def _tree(path: Path) -> lxml.html.HtmlElement:
    return lxml.html.parse(path, lxml.html.HTMLParser(encoding="utf-8")).getroot()


@cache
def _anchors(path: Path) -> frozenset[str]:
    return frozenset(map(str, _tree(path).xpath("//@id | //a/@name")))


def _addresses(path: Path) -> Iterator[tuple[str, str]]:
    for element, attribute, address, _ in _tree(path).iterlinks():
        if attribute is not None:  # else of a style sheet within the page
            yield str(element.tag), address.strip()
    for sources in _tree(path).xpath("//@srcset"):
        for source in sources.split(","):
            yield "img", source.split()[0]


def test_the_pages_and_their_sources_were_read(links, built):
    assert built / "index.html" in links
    assert any("_modules" in path.parts for path in links)
    assert {tag for found in links.values() for tag, _ in found} >= {"a", "img", "link", "script"}


def test_every_address_within_the_book_is_there_with_its_anchor(links, built):
    lost = []
    for page, found in links.items():
        for tag, address in found:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not target.is_file() or not target.is_relative_to(built.resolve()):
                lost.append((page.name, tag, address))
                continue
            anchor = unquote(parts.fragment) if target.suffix == ".html" else ""
            if anchor and anchor not in _anchors(target):
                lost.append((page.name, tag, address))
    assert lost == []


def test_no_address_is_one_of_the_machine_that_built_the_book(links):
    assert [
        (page.name, address)
        for page, found in links.items()
        for _, address in found
        if LOCAL.match(address)
    ] == []


def test_no_page_names_the_folder_it_was_built_in(built):
    assert [page.name for page in _pages(built) if str(ROOT) in page.read_text("utf-8")] == []


@cache
def _site_page(built: Path, path: str) -> Path | None:
    page = built / (unquote(path) or "index.html")
    return page if page.is_file() else None


def lost_of_ours(built: Path, addresses: list[str]) -> list[str]:
    """Addresses of the published book or repository that lead to nothing which is here."""
    lost = []
    for address in addresses:
        if address.startswith(SITE):
            parts = urlsplit(address.removeprefix(SITE))
            page = _site_page(built, parts.path)
            anchor = unquote(parts.fragment)
            if page is None or (anchor and anchor not in _anchors(page)):
                lost.append(address)
        elif seen := SEEN.match(address):
            branch, path = [part for part in seen.groups() if part]
            # The notebooks' branch holds what the build makes; the other is this folder.
            known = branch in (COURSE.branch, COURSE.notebook_branch)
            if not known or not (ROOT / unquote(path)).exists():
                lost.append(address)
    return lost


def test_addresses_of_the_site_and_the_repository_are_of_what_is_here(links, built):
    lost = {
        page.name: missing
        for page, found in links.items()
        if (missing := lost_of_ours(built, [address for _, address in found]))
    }
    assert lost == {}


def test_links_of_every_notebook_lead_somewhere(built):
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert len(notebooks) == len(list((ROOT / "book").glob("[0-9][0-9]-*.md")))
    lost = {}
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        addresses = ["".join(found) for text in texts for found in LINK.findall(text)]
        assert any(address.startswith(SITE) for address in addresses), path.name
        # A notebook is opened far from its folder: what is not an address of its own leads nowhere.
        relative = [address for address in addresses if not re.match(r"https?:|#|mailto:", address)]
        local = [address for address in addresses if LOCAL.match(address)]
        if missing := [*relative, *local, *lost_of_ours(built, addresses)]:
            lost[path.name] = missing
    assert lost == {}
