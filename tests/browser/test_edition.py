"""The book on paper, and the book opened from its files: two ways to read it without a network."""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pytest
import yaml

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import edition  # noqa: E402
import joining  # noqa: E402
from addresses import configured  # noqa: E402
from pages import BuildError  # noqa: E402

# A short chapter, one whose links lead to the first, and a page with no cells.
PRINTED = ("00-setup", "26-dpo", "notation")
OPENED = ("index", "00-setup", "25-rlhf", "errata", "instructors/index")


@pytest.fixture(scope="module")
def out(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("edition")
    edition.make(built, folder, PRINTED)
    return folder


@pytest.fixture(scope="module")
def book(out: Path) -> Iterator[pikepdf.Pdf]:
    with pikepdf.open(out / "nlp_course.pdf") as pdf:
        yield pdf


@pytest.fixture(scope="module")
def reports(out: Path) -> dict[str, dict]:
    """What the browser found on each page."""
    return json.loads((out / "pdf" / "report.json").read_text(encoding="utf-8"))


def front(book: pikepdf.Pdf, reports: dict[str, dict]) -> int:
    """How many pages stand before the first chapter."""
    return len(book.pages) - sum(report["pages"] for report in reports.values())


def links(book: pikepdf.Pdf) -> list[pikepdf.Dictionary]:
    return [link for page in book.pages for link in page.obj.get("/Annots", [])]


def entries(book: pikepdf.Pdf) -> list[tuple[int, str, int]]:
    """The outline's lines: how deep, what, and to which page, counted from 0."""
    numbers = {page.obj.objgen: number for number, page in enumerate(book.pages)}
    found = []

    def walk(items: list[pikepdf.OutlineItem], depth: int) -> None:
        for item in items:
            found.append((depth, item.title, numbers[item.destination[0].objgen]))
            walk(item.children, depth + 1)

    with book.open_outline() as outline:
        walk(outline.root, 0)
    return found


def listed(value: object) -> list[pikepdf.Dictionary]:
    """The dictionaries among an element's children, which may be one, or numbers."""
    values = list(value) if isinstance(value, pikepdf.Array) else [value]
    return [value for value in values if isinstance(value, pikepdf.Dictionary)]


def elements(book: pikepdf.Pdf) -> Iterator[pikepdf.Dictionary]:
    waiting = listed(book.Root.StructTreeRoot.K)
    while waiting:
        element = waiting.pop()
        if "/S" in element:
            yield element
            waiting.extend(listed(element.get("/K")))


def test_nothing_is_missing_unset_folded_or_beyond_the_edge(reports):
    assert set(reports) == set(PRINTED)
    for name, report in reports.items():
        assert report["formulas"] > 0, name
        for wrong in ("errors", "unset", "broken", "closed", "wide", "small"):
            assert not report[wrong], (name, wrong)


def test_the_outline_has_parts_chapters_and_sections_in_order(book, reports):
    found = entries(book)
    first = front(book, reports)
    assert found[0] == (0, "Contents", 2)
    assert [entry[1] for entry in found if entry[0] == 1] == [
        "0 · Setup",
        "26 · DPO: the policy is the reward",
        "Notation",
    ]
    assert (1, "0 · Setup", first) in found
    assert (1, "26 · DPO: the policy is the reward", first + reports["00-setup"]["pages"]) in found
    pages = [entry[2] for entry in found]
    assert pages == sorted(pages)
    assert sum(entry[1] == "Exercises" for entry in found) == 2  # each chapter's own


def test_no_link_leads_to_the_machine_that_printed_the_book(book):
    addresses = [str(link.A.URI) for link in links(book) if "/A" in link]
    assert addresses
    assert [address for address in addresses if not re.match(r"https?://|mailto:", address)] == []


def test_links_lead_from_page_to_page_and_to_the_site_where_a_page_is_not_printed(book):
    pages = {page.obj.objgen for page in book.pages}
    inside = [link.Dest for link in links(book) if "/Dest" in link]
    assert len(inside) > 50
    assert {place[0].objgen for place in inside} <= pages
    addresses = {str(link.A.URI) for link in links(book) if "/A" in link}
    site = configured().site
    assert any(address.startswith(f"{site}api.html#") for address in addresses)
    printed = tuple(f"{site}{name}.html" for name in PRINTED)
    assert [address for address in addresses if address.startswith(printed)] == []


def test_a_link_of_the_contents_leads_to_the_page_that_it_names(book, reports, out):
    """The contents' lines are links; the numbers at their ends are the pages' own."""
    first = front(book, reports)
    text = (out / "pdf" / "front.html").read_text(encoding="utf-8")
    named = [int(number) for number in re.findall(r'class="number">(\d+)<', text)]
    numbers = {page.obj.objgen: number for number, page in enumerate(book.pages)}
    contents = [
        numbers[link.Dest[0].objgen] - first + 1
        for page in book.pages[2:first]
        for link in page.obj.get("/Annots", [])
        if "/Dest" in link
    ]
    assert len(named) > 20
    # A line that is broken is two links to the same place.
    assert list(dict.fromkeys(contents)) == list(dict.fromkeys(named))


def test_pages_are_numbered_for_viewers_as_on_paper(book, reports):
    first = front(book, reports)
    labels = list(book.Root.PageLabels.Nums)
    assert [int(label) for label in labels[::2]] == [0, first]
    assert [str(label.S) for label in labels[1::2]] == ["/r", "/D"]


def test_pages_on_paper_go_on_with_the_number_after_the_last(tmp_path):
    style = "<style>@page { margin: 2cm } p { break-before: page }</style>"
    (tmp_path / "a.html").write_text(f"{style}<main>One<p>Two</main>")
    jobs = [
        {"source": str(tmp_path / "a.html"), "target": str(tmp_path / f"{i}.pdf"), "head": "H"}
        for i in range(2)
    ]
    assert [report["pages"] for report in edition.chromium("decimal", jobs)] == [2, 2]
    with pikepdf.open(tmp_path / "0.pdf") as once, pikepdf.open(tmp_path / "1.pdf") as again:
        drawn = [page.Contents.read_bytes() for pdf in (once, again) for page in pdf.pages]
    assert len(set(drawn)) == 4  # 1, 2 with the head above it, 3, 4


def test_a_reader_that_speaks_finds_each_tag_and_nearly_each_formula(book, reports, out):
    root = book.Root
    assert root.MarkInfo.Marked
    assert str(root.Lang) == "en"
    found = list(elements(book))
    kinds = {str(element.S) for element in found}
    assert kinds >= {"/H1", "/H2", "/P", "/Link", "/Figure", "/Table", "/TH", "/TD", "/LI"}
    names = [str(element.ID) for element in found if "/ID" in element]
    assert len(names) == len(set(names)) > 0
    spoken = [str(element.Alt) for element in found if "/Alt" in element]
    assert r"\beta" in " ".join(spoken)
    # Chromium leaves out a few; joining leaves out none.
    assert len(spoken) > 0.95 * sum(report["formulas"] for report in reports.values())
    parts = 0
    for name in PRINTED:
        with pikepdf.open(out / "pdf" / f"{name}.pdf") as part:
            parts += sum("/Alt" in element for element in elements(part))
    assert len(spoken) == parts


def test_names_of_tags_that_two_files_share_are_kept_apart(out, tmp_path):
    twice = joining.Joined()
    for address in ("one", "two"):
        twice.add(address, out / "pdf" / "notation.pdf")
    twice.save(tmp_path / "twice.pdf", "T", "A", "S")
    with pikepdf.open(tmp_path / "twice.pdf") as pdf:
        found = list(elements(pdf))
        names = [str(element.ID) for element in found if "/ID" in element]
        attributes = [one for element in found for one in listed(element.get("/A"))]
        headers = {str(name) for one in attributes for name in one.get("/Headers", [])}
    assert len(names) == len(set(names)) > 0
    assert headers
    assert headers <= set(names)


def test_tags_belong_to_the_pages_that_number_them(book):
    tree = list(book.Root.StructTreeRoot.ParentTree.Nums)
    parents = dict(zip(map(int, tree[::2]), tree[1::2], strict=True))
    numbers = []
    for page in book.pages:
        if "/StructParents" in page.obj:
            numbers.append(int(page.obj.StructParents))
            for owner in parents[numbers[-1]]:
                # What goes on over two pages says of each part on which it is.
                places = [part.Pg for part in (owner, *listed(owner.K)) if "/Pg" in part]
                assert page.obj.objgen in {place.objgen for place in places}
        annotations = page.obj.get("/Annots", [])
        numbers += [int(link.StructParent) for link in annotations if "/StructParent" in link]
    assert len(numbers) == len(set(numbers))
    assert set(numbers) <= set(parents)


def test_the_title_page_has_the_changelogs_date_and_no_clock(book, out):
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    text = (out / "pdf" / "front.html").read_text(encoding="utf-8")
    assert f"Version {about['version']}, {edition.dated()}" in text
    newest = re.search(r"^## .*$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[0]
    assert edition.dated() in newest or edition.dated() == "not yet released"
    if edition.dated() != "not yet released":
        datetime.date.fromisoformat(edition.dated())
    assert str(book.docinfo.Title) == about["title"]
    assert "/CreationDate" not in book.docinfo


def test_pages_that_are_not_there_or_not_printed_are_named(tmp_path, built):
    with pytest.raises(BuildError, match="run make book"):
        edition.make(tmp_path, tmp_path / "out", ["00-setup"])
    with pytest.raises(BuildError, match=r"^api, nothing: no page that is printed; .* 26-dpo,"):
        edition.make(built, tmp_path / "out", ["00-setup", "api", "nothing"])


def test_a_page_with_an_error_is_not_printed_in_silence(tmp_path):
    page = "<article><section id=a><h1>A</h1><img src=lost.png alt=b></section></article>"
    (tmp_path / "00-setup.html").write_text(f"<main>{page}</main><script>nothing()</script>")
    (tmp_path / "_static").mkdir()
    with pytest.raises(BuildError, match=r"00-setup: errors: .*nothing(.|\n)*broken.*lost\.png"):
        edition.make(tmp_path, tmp_path / "out", ["00-setup"])


def test_no_chromium_is_said(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(BuildError, match="apt-get install chromium"):
        edition.chromium("decimal", [])


@pytest.fixture(scope="module")
def opened(built: Path) -> dict:
    """What Chromium finds in pages opened from their files, offline."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("node")),
            str(HERE / "visit_files.mjs"),
            shutil.which("chromium") or "chromium",
            str(built),
            "perplexity",
            *(f"{name}.html" for name in OPENED),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "TZ": "UTC"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_pages_opened_from_files_are_whole(opened):
    assert len(opened["visits"]) == len(OPENED)
    for visit in opened["visits"]:
        assert visit["errors"] == [], visit["page"]
        assert visit["styled"], visit["page"]
        assert visit["theme"] == "dark"  # what the browser asks for
        assert (visit["unset"], visit["broken"], visit["fonts"]) == (0, [], []), visit["page"]


def test_figures_move_and_links_lead_on_in_pages_opened_from_files(opened):
    moved = [visit["moved"] for visit in opened["visits"] if visit["views"]]
    assert len(moved) == 2
    assert all(moved)
    assert all(visit["followed"] for visit in opened["visits"])


def test_search_finds_in_pages_opened_from_files(opened):
    assert opened["found"]["errors"] == []
    names = [Path(address.partition("#")[0]).name for address in opened["found"]["results"]]
    assert {"07-ngrams.html", "glossary.html"} <= set(names)
