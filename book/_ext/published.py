"""What search engines, other sites and lost readers are told of the published book.

Each page says what it is about; `sitemap.xml` lists the pages; `404.html` leads on from an address
that names none.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from course import addresses

LOST = "404"


def introduce(_app: Sphinx, config: Any) -> None:
    """What other sites show beside a link to a page: its first words, and the course's picture."""
    site = addresses(config).site
    config.ogp_site_url = config.html_baseurl = site
    config.ogp_site_name = config.html_title
    config.ogp_image = f"{site}_static/card.png"
    config.ogp_image_alt = f"{config.html_title}: two vectors, a dot and a square"
    config.ogp_use_first_image = False
    # One picture for all pages: drawing one for each takes longer than all the rest.
    config.ogp_social_cards = {"enable": False}
    config.ogp_custom_meta_tags = (
        '<meta property="og:image:width" content="1200" />',
        '<meta property="og:image:height" content="630" />',
        '<meta name="twitter:card" content="summary_large_image" />',
    )


def describe(
    _app: Sphinx,
    _page: str,
    _template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Say what a page is about by its first paragraph alone: below it stands the chapter's box."""
    first = doctree and next(doctree.findall(nodes.paragraph), None)
    if first:
        said = " ".join(first.astext().split())
        context["meta"] = {**(context["meta"] or {}), "og:description": said}
        context["metatags"] += f'\n<meta name="description" content="{html.escape(said)}" />'


def name_home(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: Any
) -> None:
    """Let the home page call itself by the site's address, under which it is found too."""
    if page == app.config.root_doc:
        site = app.config.html_baseurl
        context["pageurl"] = site
        context["metatags"] = context["metatags"].replace(address(app, page), site)


def address(app: Sphinx, page: str) -> str:
    """Where a page's file is published."""
    return f"{app.config.html_baseurl}{app.builder.get_target_uri(page)}"


def lost_page(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The page that GitHub shows for an address that names none, whatever folder it is in."""
    if app.builder.format == "html":
        yield LOST, {"title": "No such page", "site": app.config.html_baseurl}, f"{LOST}.html"


def list_pages(app: Sphinx, failed: Exception | None) -> None:
    """Write the map of the site: what search engines are to read."""
    if failed or app.builder.format != "html":
        return
    home = app.config.root_doc
    others = sorted(page for page in app.env.found_docs if page != home)
    found = [app.config.html_baseurl, *(address(app, page) for page in others)]
    lines = [f"  <url><loc>{html.escape(it)}</loc></url>" for it in found]
    head = '<?xml version="1.0" encoding="utf-8"?>'
    urls = '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    text = "\n".join([head, urls, *lines, "</urlset>\n"])
    Path(app.outdir, "sitemap.xml").write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", introduce, priority=900)
    # sphinxext.opengraph comes at 500: before it, for it would take all of the page's first words.
    app.connect("html-page-context", describe, priority=400)
    app.connect("html-page-context", name_home, priority=600)
    app.connect("html-collect-pages", lost_page)
    app.connect("build-finished", list_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
