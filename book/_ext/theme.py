"""Mends the theme's pages: names for readers who cannot see, nothing loaded in vain.

`book/templates/layout.html` passes the theme's blocks through `mended`. Of Font Awesome's fonts, a
quarter of a megabyte, pages load the icons that they show.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pydata_sphinx_theme
from fontTools import subset
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

# For each block of the layout: what every page has and should not, and what takes its place.
ON_EVERY_PAGE = {
    "css": [
        # All of Font Awesome drawn by a script of half a megabyte, packed; the style sheets draw
        # the same icons from a font.
        (r'<script defer src="[^"]*/fontawesome\.js[^"]*"></script>', ""),
    ],
    "content": [
        # A landmark: else a screen reader finds the logo and the search outside of all of them.
        (
            r'<div id="pst-primary-sidebar" ',
            '<div id="pst-primary-sidebar" role="complementary" aria-label="Book" ',
        ),
        # Speech control finds a button by what stands on it: "Search Ctrl+K", not "Search".
        (
            r'(<button class="btn search-button-field[^>]*?) title="Search" aria-label="Search"',
            r"\1",
        ),
    ],
}
# And what only some pages have.
ON_SOME_PAGES = {
    "content": [
        # Named by what stands on it, "Show code cell source", not by "Toggle hidden content".
        (r'<summary aria-label="Toggle hidden content">', "<summary>"),
        # Its role is withdrawn from the standard; the list around it needs items.
        (r'role="doc-biblioentry"', 'role="listitem"'),
    ],
}

FONTS = "theme/pydata_sphinx_theme/static/vendor/fontawesome/webfonts"
# The icons of each font: those of buttons, of frames such as notes and warnings, and of links. An
# icon that is not among them is drawn too, but its page loads the whole font for it.
ICONS = {
    ("fa-solid-900", "Font Awesome 6 Free"): (
        "f002 f019 f03a f042 f055 f056 f057 f058 f05a f062 f064 f065 f06a f071 f0c9 f0eb f0f3 f104 "
        "f105 f121 f135 f15b f185 f186 f1c1 f303 f35d"
    ),
    ("fa-brands-400", "Font Awesome 6 Brands"): "f09b",
}
ICON_SHEET = "icons.css"


def mended(page: str, block: str, html: str) -> str:
    """A block of the theme's layout, mended.

    Raises
    ------
    ExtensionError : something that every page had is not there: the theme changed.
    """
    for pattern, new in ON_EVERY_PAGE.get(block, []):
        html, count = re.subn(pattern, new, html)
        if not count:
            raise ExtensionError(f"{page}: the theme has no {pattern!r} any more; see {__file__}")
    for pattern, new in ON_SOME_PAGES.get(block, []):
        html = re.sub(pattern, new, html)
    return html


def cut_icons(app: Sphinx) -> None:
    """Write fonts of the icons that pages show, and the sheet that has browsers prefer them."""
    if app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    static.mkdir(parents=True, exist_ok=True)
    rules = []
    for (name, family), icons in ICONS.items():
        options = subset.Options(flavor="woff")
        source = Path(pydata_sphinx_theme.__file__).parent / FONTS / f"{name}.ttf"
        font = subset.load_font(str(source), options)
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=[int(icon, 16) for icon in icons.split()])
        cutter.subset(font)
        subset.save_font(font, str(static / f"{name}.woff"), options)
        codes = ", ".join(f"U+{icon}" for icon in icons.split())
        rules.append(
            f'@font-face {{ font-family: "{family}"; font-weight: {name.rsplit("-", 1)[1]};'
            f" font-display: block; src: url({name}.woff); unicode-range: {codes}; }}\n"
        )
    (static / ICON_SHEET).write_text("".join(rules), encoding="utf-8")
    app.add_css_file(ICON_SHEET)


def extend(_app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Give the layout its filter."""
    context["mended"] = partial(mended, page)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", cut_icons)
    app.connect("html-page-context", extend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
