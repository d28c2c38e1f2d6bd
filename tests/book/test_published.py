"""What search engines and lost readers find beside the pages, and what pages load in vain."""

from __future__ import annotations

import sys
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_ext"))
import addresses  # noqa: E402
import assignment_list  # noqa: E402
import course  # noqa: E402

COURSE = addresses.configured()


def page(built: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((built / name).read_text(encoding="utf-8"), "lxml")


def test_a_fork_s_addresses_follow_from_its_repository():
    fork = addresses.Addresses("https://github.com/someone/their-course/", "main", "built")
    assert fork.site == "https://someone.github.io/their-course/"
    assert fork.files == "https://raw.githubusercontent.com/someone/their-course/"
    assert fork.assignment("02-word2vec") == (
        "https://colab.research.google.com/github/someone/their-course/blob/built/"
        "assignments/02-word2vec/02-word2vec.ipynb"
    )


@pytest.mark.book
def test_the_map_of_the_site_has_every_page_once_and_the_home_page_by_its_short_address(built):
    tree = ElementTree.parse(built / "sitemap.xml")
    found = [it.text for it in tree.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    contents = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    names = [it["file"] for part in contents["parts"] for it in part["chapters"]]
    assert found[0] == COURSE.site
    assert sorted(found[1:]) == sorted(f"{COURSE.site}{name}.html" for name in names)


@pytest.mark.book
def test_who_opens_an_address_of_no_page_is_led_on_from_whatever_folder(built):
    lost = page(built, "404.html")
    targets = [it["href"] for it in lost.find_all(href=True)] + [lost.form["action"]]
    assert len(targets) >= 4
    assert [it for it in targets if not it.startswith(COURSE.site)] == []
    assert lost.find_all(["script", "img", "link"]) == []


@pytest.mark.book
def test_the_home_page_has_one_name_and_one_address(built):
    home = page(built, "index.html")
    assert home.title.get_text() == "An executable NLP course"
    assert home.find("link", rel="canonical")["href"] == COURSE.site
    assert home.find("meta", property="og:url")["content"] == COURSE.site
    chapter = page(built, "04-word2vec.html")
    assert chapter.title.get_text() == "4 · word2vec — An executable NLP course"
    assert chapter.find("link", rel="canonical")["href"] == f"{COURSE.site}04-word2vec.html"


@pytest.mark.book
def test_pages_load_no_script_in_vain(built):
    for path in built.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "thebe" not in text, path.name
        assert ("home.js" in text) == (path.name == "index.html"), path.name


@pytest.mark.book
def test_all_assignments_are_listed_with_their_notebooks_chapters_and_times(built):
    section = page(built, "index.html").find(id="the-assignments")
    rows = section.find_all("li")
    names = sorted(path.name for path in (ROOT / "assignments").iterdir())
    assert [row.a["href"] for row in rows] == [COURSE.assignment(name) for name in names]
    for row, name in zip(rows, names, strict=True):
        head = nbformat.read(ROOT / "assignments" / name / f"{name}.ipynb", as_version=4).cells[0]
        said = head.source.splitlines()[2].split(" · ")
        told = " ".join(row.get_text().split())
        assert told.endswith(f": {said[0].lower()}, {said[1]}")
        linked = [int(link["href"][:2]) for link in row.find_all("a")[1:]]
        assert linked == [int(link.get_text()) for link in row.find_all("a")[1:]] != []


def test_an_assignment_without_its_head_or_of_no_chapter_is_named(tmp_path):
    path = tmp_path / "03-ngrams.ipynb"
    cell = nbformat.v4.new_markdown_cell("# Assignment 03: n-grams\n\nNo more.")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    with pytest.raises(ValueError, match=r"03-ngrams\.ipynb must begin with '# Assignment NN"):
        assignment_list.read(path)
    it = assignment_list.Assignment("03-ngrams", "n-grams", "Chapters 7 and 99", "about an hour")
    with pytest.raises(ValueError, match="03-ngrams names chapter 99, and there is none"):
        assignment_list.describe(it, COURSE, {"07": "07-ngrams"})


def test_a_change_of_an_extension_changes_a_setting_of_sphinx(tmp_path, monkeypatch):
    monkeypatch.setattr(course, "HERE", tmp_path)
    for name in ("used", "other"):
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    used = types.ModuleType("used")
    used.__file__ = str(tmp_path / "used.py")
    monkeypatch.setitem(sys.modules, "used", used)

    def setting() -> str:
        config = SimpleNamespace()
        course.note_extensions(None, config)
        return config.course_extensions

    before = setting()
    (tmp_path / "other.py").write_text("x = 2\n")
    assert setting() == before
    (tmp_path / "used.py").write_text("x = 2\n")
    assert setting() != before
