"""The home page: its map of chapters, and what it says of the whole."""

from __future__ import annotations

import re
import statistics
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_ext"))
import card  # noqa: E402
import chapter_map  # noqa: E402

CHAPTERS = sorted(path.stem for path in BOOK.glob("[0-9][0-9]-*.md"))
HOME = (BOOK / "index.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def parts() -> list[chapter_map.Part]:
    return chapter_map.parts_of(BOOK)


def test_the_map_has_every_chapter_once_and_in_order(parts):
    mapped = [chapter.page for part in parts for chapter in part.chapters]
    assert mapped == CHAPTERS
    told = re.search(r"```{chapter-map}\n(.*?)```", HOME, re.S)[1]
    assert [line.partition(":")[0] for line in told.splitlines()] == CHAPTERS


def test_a_chapter_needs_only_earlier_ones(parts):
    for part in parts:
        for chapter in part.chapters:
            assert all(need < chapter.page for need in chapter.needs), chapter


def test_arcs_join_the_rows_of_a_chapter_and_of_what_it_needs():
    first = chapter_map.Chapter("01-one", "One", 60, [])
    second = chapter_map.Chapter("02-two", "Two", 60, ["01-one"])
    drawn = chapter_map.draw_arcs(
        [chapter_map.Part("Part", [first, second])], {"01-one": 1.5, "02-two": 2.5}, 3
    )
    [(start, end, source, target)] = re.findall(
        r'<path d="M[\d.]+,([\d.]+)C.* [\d.]+,([\d.]+)" data-from="([^"]+)" data-to="([^"]+)"',
        drawn,
    )
    assert (float(start), float(end), source, target) == (1.5, 2.5, "01-one", "02-two")
    assert drawn.count('class="dot"') == 2


def test_a_chapter_without_a_box_is_named(tmp_path):
    (tmp_path / "01-one.md").write_text("# One\n\nNo box.\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"book/01-one\.md needs a title and a chapter-box"):
        chapter_map.read_chapter(tmp_path, "01-one")


def test_the_page_says_how_many_chapters_there_are_and_how_long_they_take(parts):
    minutes = [chapter.minutes for part in parts for chapter in part.chapters]
    assert f"{len(minutes)} chapters lead" in HOME
    assert "About an hour to read a chapter, two for the longest" in HOME
    assert 55 <= statistics.median(minutes) <= 75
    assert 105 <= max(minutes) <= 135


@pytest.mark.skipif(not (ROOT / "solutions").is_dir(), reason="the public copy has no solutions/")
def test_the_page_says_how_long_assignments_take():
    hours = []
    for settings in sorted((ROOT / "solutions").glob("*/assignment.toml")):
        told = tomllib.loads(settings.read_text(encoding="utf-8"))
        hours.append(sum(question["minutes"] for question in told["questions"].values()) / 60)
    first, *others = hours
    assert "five to eight and a half for each of ten assignments,\nand five minutes" in HOME
    assert first * 60 == 5
    assert len(others) == 10
    assert min(others) >= 5
    assert max(others) <= 8.5


def test_other_sites_find_a_picture_of_the_size_they_ask_for():
    assert Image.open(card.CARD).size == (card.WIDTH, card.HEIGHT)
    assert yaml.safe_load((ROOT / "_config.yml").read_text())["logo"] == "static/logo.svg"
    for logo in ("logo.svg", "logo-dark.svg"):
        assert (BOOK / "static" / logo).is_file()
