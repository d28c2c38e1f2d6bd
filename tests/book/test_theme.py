"""What the book mends of its theme's pages."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fontTools.ttLib import TTFont
from sphinx.errors import ExtensionError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

theme = pytest.importorskip("theme")

HEAD = '<link href="a.css"/><script defer src="../_static/scripts/fontawesome.js?d=5"></script><b>'
BODY = (
    '<div id="pst-primary-sidebar" class="bd-sidebar">'
    '<button class="btn search-button-field pst-js-only" title="Search" aria-label="Search" data-x>'
)


def test_the_script_that_draws_all_icons_is_left_out_and_nothing_else():
    assert theme.mended("page", "css", HEAD) == '<link href="a.css"/><b>'


def test_the_sidebar_is_a_landmark_and_the_search_button_is_named_by_its_text():
    mended = theme.mended("page", "content", BODY)
    assert 'id="pst-primary-sidebar" role="complementary" aria-label="Book"' in mended
    assert '<button class="btn search-button-field pst-js-only" data-x>' in mended


def test_what_stands_in_cells_and_lists_is_named():
    body = BODY + '<summary aria-label="Toggle hidden content"><div role="doc-biblioentry">'
    mended = theme.mended("page", "content", body)
    assert mended.endswith('<summary><div role="listitem">')


@pytest.mark.parametrize("block", ["css", "content"])
def test_a_theme_that_changed_is_reported_not_passed_over(block):
    with pytest.raises(ExtensionError, match="page: the theme has no"):
        theme.mended("page", block, "<p>another theme</p>")


def test_icons_fonts_hold_the_icons_and_are_small(tmp_path: Path):
    sheets: list[str] = []
    app = SimpleNamespace(
        builder=SimpleNamespace(format="html"), outdir=tmp_path, add_css_file=sheets.append
    )
    theme.cut_icons(app)
    sheet = (tmp_path / "_static" / sheets[0]).read_text(encoding="utf-8")
    for (name, family), icons in theme.ICONS.items():
        path = tmp_path / "_static" / f"{name}.woff"
        assert {f"{code:04x}" for code in TTFont(path).getBestCmap()} == set(icons.split())
        assert path.stat().st_size < 10_000
        assert f'"{family}"' in sheet
        assert f"url({path.name})" in sheet


def test_no_fonts_are_cut_for_what_is_not_a_page(tmp_path: Path):
    theme.cut_icons(SimpleNamespace(builder=SimpleNamespace(format="latex"), outdir=tmp_path))
    assert list(tmp_path.iterdir()) == []
