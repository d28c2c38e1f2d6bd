"""Print the book to _build/nlp_course.pdf: `python book/_ext/edition.py`, after `make book`.

1. Prints the built pages by headless Chromium, each by itself, with page numbers that go on.
2. Prints a title page and the contents, which need those numbers.
3. Joins them: one outline, links that lead from page to page, and tags for who listens.

The pages are the site's own, so each number in them is the site's too. Sphinx's one-page builder
would lose the figures with sliders, and anchors such as `#exercises` that each chapter has.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import lxml.html
import yaml

import joining
from addresses import configured
from pages import BOOK, ROOT, BuildError

HERE = Path(__file__).resolve().parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# For instructors, and what is read beside an editor: the site has them.
NOT_PRINTED = ("instructors/", "api")


class Heading(NamedTuple):
    """A section of a page: how deep it is, 2 for a section of the chapter, and its anchor."""

    level: int
    title: str
    anchor: str


class Page(NamedTuple):
    """A page of the site: its name, where it is built, its title and its sections."""

    name: str
    path: Path
    title: str
    headings: list[Heading]

    @property
    def address(self) -> str:
        return self.path.as_uri()

    @property
    def sections(self) -> list[Heading]:
        return [heading for heading in self.headings if heading.level == 2]


class Part(NamedTuple):
    """Some chapters under one title."""

    title: str
    pages: list[Page]


def main() -> None:
    """Print the book as the command line says; 1 is the exit status where that fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "_build", help="default: _build")
    parser.add_argument("--pages", nargs="+", metavar="PAGE", help="only these")
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        out = arguments.out.resolve()
        target = make(out / "html", out, arguments.pages)
    except BuildError as error:
        sys.exit(f"The book was not printed. {error}")
    size = target.stat().st_size / 2**20
    print(f"Printed {target}: {size:.0f} MB in {time.monotonic() - started:.0f} seconds.")


def make(html: Path, out: Path, only: Sequence[str] | None = None) -> Path:
    """Print the book.

    Parameters
    ----------
    html : the folder of the built pages
    out : where the book is written, and its parts, to `pdf/`
    only : pages to print, instead of all

    Returns
    -------
    The book's path.

    Raises
    ------
    BuildError : a page is not built, Chromium is missing, or a page cannot be printed as it is.
    """
    work = out / "pdf"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    parts = contents(html, only)
    pages = [page for part in parts for page in part.pages]
    print(f"Printing {len(pages)} pages of the site by Chromium", flush=True)
    reports = chromium(
        "decimal",
        [
            {"source": str(page.path), "target": str(_printed(work, page)), "head": page.title}
            for page in pages
        ],
    )
    (work / "report.json").write_text(
        json.dumps({page.name: it for page, it in zip(pages, reports, strict=True)}, indent=1),
        encoding="utf-8",
    )
    refuse(pages, reports)
    chapters = joining.Joined()
    for page in pages:
        chapters.add(page.address, _printed(work, page))
    front = work / "front.html"
    front.write_text(front_matter(parts, chapters, html), encoding="utf-8")
    chromium("lower-roman", [{"source": str(front), "target": str(work / "0.pdf"), "head": ""}])

    book = joining.Joined()
    book.add(front.as_uri(), work / "0.pdf")
    for page in pages:
        book.add(page.address, _printed(work, page))
    about = citation()
    book.link(html.as_uri() + "/", about["url"])
    book.outline(_entries(parts, front))
    book.number({"r": front.as_uri(), "D": pages[0].address})
    target = out / "nlp_course.pdf"
    names = ", ".join(author["name"] for author in about["authors"])
    book.save(target, about["title"], names, f"Version {about['version']}, {dated()}")
    return target


def _printed(work: Path, page: Page) -> Path:
    return work / f"{page.name}.pdf"


def contents(html: Path, only: Sequence[str] | None = None) -> list[Part]:
    """The parts and pages that are printed, read from the table of contents and the built pages.

    Raises
    ------
    BuildError : a page is not built, or one of `only` is not a page that is printed.
    """
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    listed = {
        part["caption"]: [
            page["file"] for page in part["chapters"] if not page["file"].startswith(NOT_PRINTED)
        ]
        for part in toc["parts"]
    }
    printed = [name for names in listed.values() for name in names]
    if unknown := [name for name in only or () if name not in printed]:
        raise BuildError(
            f"{', '.join(unknown)}: no page that is printed; these are: {', '.join(printed)}"
        )
    chosen = printed if only is None else only
    parts = [
        Part(caption, [read(html, name) for name in names if name in chosen])
        for caption, names in listed.items()
    ]
    return [part for part in parts if part.pages]


def read(html: Path, name: str) -> Page:
    """A built page's title and sections.

    Raises
    ------
    BuildError : it is not built.
    """
    path = html / f"{name}.html"
    if not path.is_file():
        raise BuildError(f"{path} is not there: run make book.")
    tree = lxml.html.parse(path)
    headings = []
    for node in tree.xpath("//article//section[@id]/*[self::h1 or self::h2 or self::h3]"):
        for mark in node.xpath('a[@class="headerlink"]'):
            mark.drop_tree()
        title = re.sub(r"\\\((.*?)\\\)", r"\1", node.text_content()).strip()
        headings.append(Heading(int(node.tag[1]), title, node.getparent().get("id")))
    if not headings:
        raise BuildError(f"{path} has no heading: remove _build/html and run make book.")
    return Page(name, path, headings[0].title, headings[1:])


def chromium(style: str, jobs: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """Print pages, numbered through; what print.mjs found on each.

    Parameters
    ----------
    style : of the page numbers, as CSS calls it
    jobs : of each page its `source`, `target` and `head`

    Raises
    ------
    BuildError : Chromium is missing, or fails.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise BuildError("It needs Chromium (Debian and Ubuntu: apt-get install chromium).")
    node = Path(sys.executable).with_name("node")
    done = subprocess.run(
        [str(node), str(HERE / "print.mjs"), browser],
        input=json.dumps({"style": style, "pages": list(jobs)}),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BuildError(f"Chromium could not print:\n{done.stderr[-4000:]}")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def refuse(pages: Sequence[Page], reports: Sequence[dict[str, Any]]) -> None:
    """Stop at pages with errors, formulas that are not set, or pictures that are not there.

    Raises
    ------
    BuildError : there are some; the message lists them.
    """
    wrong = [
        f"- {page.name}: {what}: {report[what][:3]}"
        for page, report in zip(pages, reports, strict=True)
        for what in ("errors", "unset", "broken")
        if report[what]
    ]
    if wrong:
        raise BuildError("In the browser:\n" + "\n".join(wrong))


def front_matter(parts: Sequence[Part], chapters: joining.Joined, html: Path) -> str:
    """The title page and the contents, as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("edition.html").render(
        book=citation(),
        dated=dated(),
        parts=parts,
        number=lambda page, anchor: chapters.place(page.address, anchor).page + 1,
        style=(html / "_static" / "print.css").as_uri(),
    )


def _entries(parts: Sequence[Part], front: Path) -> list[joining.Entry]:
    """The outline: part, chapter, section."""
    made = [joining.Entry("Contents", front.as_uri(), "contents")]
    for part in parts:
        pages = []
        for page in part.pages:
            entry = joining.Entry(page.title, page.address)
            above = [entry]
            for level, title, anchor in page.headings:
                del above[level - 1 :]
                above.append(joining.Entry(title, page.address, anchor))
                above[-2].below.append(above[-1])
            pages.append(entry)
        made.append(joining.Entry(part.title, part.pages[0].address, below=pages))
    return made


def citation() -> dict[str, Any]:
    """How the course is cited: title, version, authors; and the address of its site."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return {**found, "url": configured().site}


def dated() -> str:
    """The date of the changelog's newest entry; not the build's, so an old version stays old."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (.+)$", text, re.MULTILINE)
    date = newest and re.search(r"\d{4}-\d\d-\d\d", newest[1])
    return date[0] if date else "not yet released"


if __name__ == "__main__":
    main()
