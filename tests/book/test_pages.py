"""The built pages: what they must say, and that nothing in them comes from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

pytestmark = pytest.mark.book

BOOK = Path(__file__).resolve().parents[2] / "book"
# What fetches: a link that a reader may follow is not among them.
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}
PLAIN = {"genindex.html", "search.html", "py-modindex.html", "proof-proof.html"}


@pytest.fixture(scope="session")
def pages(built: Path) -> dict[str, BeautifulSoup]:
    """Every page, parsed."""
    return {
        path.relative_to(built).as_posix(): BeautifulSoup(path.read_text("utf-8"), "html.parser")
        for path in sorted(built.rglob("*.html"))
        if "_static" not in path.parts
    }


def chapters() -> list[str]:
    """Chapters by name: their files begin with their number."""
    return sorted(path.stem for path in BOOK.glob("[0-9][0-9]-*.md"))


def test_there_is_a_page_for_each_chapter(pages):
    assert chapters()
    assert {f"{name}.html" for name in chapters()} <= set(pages)


def test_every_picture_says_what_it_shows(pages):
    speechless = [
        (name, image["src"][:80])
        for name, page in pages.items()
        for image in page.find_all("img")
        if not image.get("alt", "").strip() or image["alt"] == image["src"]
    ]
    assert speechless == []


def test_every_frame_of_a_moving_figure_says_what_it_shows(pages):
    for name in chapters():
        state = pages[f"{name}.html"].find(
            "script", type="application/vnd.jupyter.widget-state+json"
        )
        assert state, f"{name} has no figure that moves"
        frames = re.findall(r'<img alt=\\"(.*?)\\" width', state.string)
        assert 2 <= len(frames) <= 100
        assert all(frame.strip() for frame in frames)
        assert state.string.count("<img ") == len(frames)


def test_pages_fetch_nothing_from_another_host(pages):
    foreign = []
    for name, page in pages.items():
        fetched = [
            (tag, tag.get(key)) for tag, key in FETCHED.items() for tag in page.find_all(tag)
        ]
        fetched += [
            (link, link.get("href"))
            for link in page.find_all("link", href=True)
            if {"stylesheet", "preload", "icon", "modulepreload", "preconnect"} & set(link["rel"])
        ]
        foreign += [
            (name, address)
            for _, address in fetched
            if address and re.match(r"(https?:)?//", address)
        ]
        foreign += [
            (name, address)
            for style in page.find_all("style")
            for address in re.findall(r"url\(['\"]?((?:https?:)?//[^)]*)", style.string or "")
        ]
    assert foreign == []


def test_style_sheets_fetch_nothing_from_another_host(built):
    foreign = [
        (path.name, address)
        for path in built.rglob("*.css")
        for address in re.findall(
            r"(?:url\(|@import )['\"]?((?:https?:)?//[^)'\"]*)", path.read_text("utf-8")
        )
    ]
    assert foreign == []


def test_every_labelled_equation_is_referred_to():
    texts = {path.name: path.read_text("utf-8") for path in BOOK.glob("*.md")}
    referred = {
        label
        for name, text in texts.items()
        if name != "cheat-sheet.md"  # it refers to all
        for label in re.findall(r"\{eq\}`(?:[^`<]*<)?([\w-]+)>?`", text)
    }
    unused = [
        (name, label)
        for name, text in texts.items()
        for block in re.findall(r"^```+\{math\}\n((?::.*\n)+)", text, re.MULTILINE)
        for label in re.findall(r":label: *([\w-]+)", block)
        if label not in referred
    ]
    assert unused == []


@pytest.mark.parametrize("name", chapters())
def test_chapter_says_what_it_takes(pages, name):
    box = pages[f"{name}.html"].find(class_="chapter-box")
    assert box, f"{name} has no chapter-box"
    rows = [row.get_text().strip(" :") for row in box.find_all("dt")]
    assert rows[:4] == ["To read", "To run", "Needs", "Modules"]
    text = box.get_text(" ", strip=True)
    assert re.search(r"To read ?:? \d+ minutes", text)
    assert re.search(r"To run ?:? \d+ seconds?", text)


@pytest.mark.parametrize("name", chapters())
def test_chapter_runs_within_its_minute(pages, name):
    box = pages[f"{name}.html"].find(class_="chapter-box").get_text(" ", strip=True)
    # Processor time, so a busy machine does not count; a slower one may.
    assert int(re.search(r"(\d+) seconds?", box)[1]) <= 90


@pytest.mark.parametrize("name", chapters())
def test_chapter_opens_its_own_notebook_in_colab(pages, name):
    links = [link["href"] for link in pages[f"{name}.html"].find_all("a", href=True)]
    colab = [
        link
        for link in links
        if "colab.research.google.com" in link and re.search(r"/notebooks/\d\d-", link)
    ]
    assert colab
    assert all(link.endswith(f"/blob/notebooks/notebooks/{name}.ipynb") for link in colab)


@pytest.mark.parametrize("name", chapters())
def test_chapter_has_quiz_exercises_with_answers_and_summary(pages, name):
    page = pages[f"{name}.html"]
    questions = page.select(".quiz > ol > li")
    assert 3 <= len(questions) <= 6
    exercises = page.select("div.exercise")
    assert 3 <= len(exercises) <= 6
    assert len(page.select("div.solution")) == len(exercises)
    headings = [heading.get_text() for heading in page.find_all("h2")]
    assert any(heading.startswith("Summary") for heading in headings)


def test_no_page_shows_markup_that_was_not_understood(pages):
    leftovers = re.compile(
        r"\{(?:[a-z]+:)?(?:term|eq|ref|numref|cite|glue|py|func|math)[:\w]*\}`|^:::", re.M
    )
    for name, page in pages.items():
        if name.startswith("_modules"):
            continue
        for code in page.find_all(["code", "pre", "script"]):
            code.extract()
        assert not leftovers.search(page.get_text()), name
