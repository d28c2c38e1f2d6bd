"""The pages in headless Chromium, with every other host out of reach."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.browser

BOOK = Path(__file__).resolve().parents[2] / "book"
CONTENTS = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
LISTED = [chapter["file"] for part in CONTENTS["parts"] for chapter in part["chapters"]]
CHAPTERS = [page for page in LISTED if re.match(r"\d\d-", page)]
PAGES = [CONTENTS["root"], *LISTED, "genindex", "py-modindex", "search"]
# axe's fourth, minor, is left out: it speaks of a table's empty corner, and takes a heading that is
# a formula for an empty one.
IMPACTS = {"moderate", "serious", "critical"}
# Bytes of a page with all it loads, packed as servers send it, but for the figures with sliders.
WEIGHT = 1_500_000
TEXT = {".html", ".css", ".js", ".svg", ".json"}
SLIDERS = "_static/vendor/html-manager/"
FRAMES = rb'<script type="application/vnd.jupyter.widget-state\+json">.*?</script>'


@pytest.fixture(scope="session")
def reports(browse: Callable[..., list[dict]], pytestconfig: pytest.Config) -> list[dict]:
    """What the browser found on each page, at desktop and phone width, light and dark."""
    screenshots = pytestconfig.getoption("--screenshots")
    if screenshots:
        (screenshots / "instructors").mkdir(parents=True, exist_ok=True)
    return browse("visit.mjs", str(screenshots or ""), *(f"{page}.html" for page in PAGES))


def found(reports: list[dict], key: str) -> list[tuple]:
    """Where something is that should not be."""
    return [(it["page"], it["screen"], it[key]) for it in reports if it.get(key)]


def test_every_page_was_seen_on_every_screen(reports):
    assert len(reports) == 4 * len(PAGES)


def test_nothing_is_asked_of_another_host(reports):
    assert found(reports, "external") == []


def test_the_console_reports_no_error(reports):
    assert found(reports, "errors") == []


def test_every_formula_is_set(reports):
    assert found(reports, "unset") == []
    assert found(reports, "wrong") == []
    for report in reports:
        if report["page"].removesuffix(".html") in CHAPTERS:
            assert report["formulas"] > 0


def test_every_picture_is_there_and_says_what_it_shows(reports):
    assert found(reports, "broken") == []
    assert found(reports, "speechless") == []


def test_every_control_changes_its_picture_by_keyboard(reports):
    for report in reports:
        if report["page"].removesuffix(".html") in CHAPTERS:
            assert report["views"] > 0
            assert len(report["moved"]) >= report["views"]
        for move in report["moved"]:
            assert move["before"], report["page"]
            assert move["after"] != move["before"], report["page"]
            assert move["decoded"]
            assert move["label"]


def test_no_page_is_wider_than_its_screen(reports):
    assert found(reports, "overflow") == []


def test_no_page_is_wider_than_the_narrowest_screen(reports):
    assert found(reports, "narrow") == []


def test_equation_numbers_take_no_room_from_wide_formulas(reports):
    assert found(reports, "crowded") == []


def test_labels_of_the_chapter_box_stay_on_one_line(reports):
    assert found(reports, "split") == []


def test_figures_with_controls_do_not_scroll_aside(reports):
    assert found(reports, "loose") == []


def test_text_keeps_its_contrast_in_light_and_dark(reports):
    assert found(reports, "faint") == []


def test_axe_finds_nothing_in_light_or_dark(reports):
    assert sum("axe" in report for report in reports) == len(PAGES)
    for page, screen, findings in found(reports, "axe"):
        assert [it for it in findings if it["impact"] in IMPACTS] == [], (page, screen)


def test_what_scrolls_aside_does_so_by_keyboard(reports):
    assert found(reports, "stuck") == []


def test_what_can_be_pressed_is_reached_by_keyboard_and_shows_it(reports):
    assert found(reports, "unreached") == []
    assert found(reports, "ringless") == []


@cache
def packed(path: Path) -> int:
    """Bytes that a server sends for a file, without the frames of figures with sliders."""
    content = re.sub(FRAMES, b"", path.read_bytes(), flags=re.DOTALL)
    return len(gzip.compress(content, 6)) if path.suffix in TEXT else len(content)


def test_no_page_loads_all_icons_for_the_few_it_shows(reports):
    for page, _screen, loaded in found(reports, "loaded"):
        assert [path for path in loaded if "/webfonts/" in path] == [], page


def test_no_page_is_heavy(reports, built):
    for page, _screen, loaded in found(reports, "loaded"):
        parts = {path: packed(built / path) for path in loaded if not path.startswith(SLIDERS)}
        heaviest = sorted(parts.items(), key=lambda part: -part[1])[:8]
        assert sum(parts.values()) <= WEIGHT, (page, heaviest)
