"""What the book adds to Sphinx: a box at a chapter's head, Colab links, pictures that speak.

It also leaves out scripts that a page would load in vain.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from addresses import Addresses
from terms import defined

logger = logging.getLogger(__name__)
HERE = Path(__file__).resolve().parent
# Beside the built pages: for each page, a hash of what its cells ran with.
PAGE_KEYS = "page-keys.json"
# And what the book calls each label.
REFERENCES = "references.json"
THEBE = "sphinx_thebe"


class run_time(nodes.Inline, nodes.TextElement):
    """Stands for the seconds that a page's cells took, known once the page was run."""


class ChapterBox(SphinxDirective):
    """What a chapter takes and where it leads, at the page's head."""

    option_spec: ClassVar = {
        "minutes": directives.positive_int,
        "needs": directives.unchanged_required,
        "modules": directives.unchanged_required,
        "assignment": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        for option in ("minutes", "needs", "modules"):
            if option not in self.options:
                raise self.error(f"chapter-box needs :{option}:")
        modules = (name.strip() for name in self.options["modules"].split(","))
        rows = [
            ("To read", f"{self.options['minutes']} minutes"),
            ("To run", ""),
            ("Needs", self.options["needs"]),
            ("Modules", ", ".join(f"{{py:mod}}`~nlp_course.{name}`" for name in modules)),
        ]
        if assignments := self.options.get("assignment"):
            rows.append(("Practised in", practised_in(assignments, addresses(self.config))))
        fields = nodes.field_list(classes=["chapter-box"])
        for name, text in rows:
            body = nodes.field_body()
            if text:
                children, messages = self.parse_inline(text, lineno=self.lineno)
                body += nodes.paragraph("", "", *children, *messages)
            else:
                body += nodes.paragraph("", "", run_time())
            fields += nodes.field("", nodes.field_name(text=name), body)
        return [fields]


def addresses(config: Any) -> Addresses:
    """The course's addresses, from Sphinx's settings."""
    options = config.html_theme_options
    return Addresses(
        options["repository_url"], options["repository_branch"], config.course_notebook_branch
    )


def note_extensions(_app: Sphinx, config: Any) -> None:
    """Make a setting of this folder's modules: when one changes, pages are read and written anew.

    Sphinx itself notices only what pages are made from.
    """
    digest = hashlib.sha256()
    files = {Path(getattr(module, "__file__", None) or "") for module in sys.modules.values()}
    for path in sorted(path for path in files if path.parent == HERE):
        digest.update(path.read_bytes())
    config.course_extensions = digest.hexdigest()


def ask_others_alone(_app: Sphinx, config: Any) -> None:
    """`make links` leaves out the course's own addresses: they may not be published yet.

    tests/book/test_links.py finds in this folder what they name.
    """
    it = addresses(config)
    own = [it.site, it.repository, it.files, it.colab]
    config.linkcheck_ignore = [*config.linkcheck_ignore, *map(re.escape, own)]


def practised_in(names: str, course: Addresses) -> str:
    """Links to the assignments of a chapter's box, `01-counting-words, 02-word2vec`."""
    chosen = [name.strip() for name in names.split(",")]
    links = [f"[{name}]({course.assignment(name)})" for name in chosen]
    return f"assignment{'s' if len(links) > 1 else ''} {' and '.join(links)}"


def finish_page(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put the measured time into the box; warn of pictures that do not say what they show."""
    for node in list(doctree.findall(run_time)):
        executed = NbMetadataCollector.get_exec_data(app.env, page)
        seconds = executed and executed["runtime"]
        text = f"{max(1, round(seconds))} seconds" if seconds else "not run yet"
        node.replace_self(nodes.Text(text))
    for image in doctree.findall(nodes.image):
        if not image.get("alt", "").strip():
            logger.warning(
                "this picture has no alternative text: give it `alt`",
                location=image if image.line else page,
                type="course",
                subtype="alt",
            )


def leave_out_thebe(app: Sphinx, _config: Any) -> None:
    """Undo an extension of Jupyter Book's: it runs cells in the page, which this book does not."""
    listeners = [it for found in app.events.listeners.values() for it in found]
    for listener in listeners:
        if listener.handler.__module__ == THEBE:
            app.disconnect(listener.id)
    sheets = app.registry.css_files
    sheets[:] = [sheet for sheet in sheets if sheet[0] != f"{THEBE.replace('_', '-')}.css"]


def print_scripts_once(
    _app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: Any
) -> None:
    """Leave out the scripts in the page's text that extensions gave it before."""
    seen: set[str] = set()
    kept = []
    for script in context.get("script_files", []):
        body = getattr(script, "attributes", {}).get("body")
        if body is None or body not in seen:
            kept.append(script)
        seen.add(body)
    if "script_files" in context:
        context["script_files"][:] = kept


def link_notebook(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: Any
) -> None:
    """Point the page's Colab button at its notebook; the home page has none."""
    if page == app.config.root_doc:
        buttons = context.get("header_buttons", [])
        buttons[:] = [group for group in buttons if group.get("label") != "launch-buttons"]
    for group in context.get("header_buttons", []):
        if group.get("label") == "launch-buttons":
            for button in group["buttons"]:
                if button.get("text") == "Colab":
                    folder = app.config.course_notebook_folder
                    button["url"] = f"{addresses(app.config).colab}{folder}/{page}.ipynb"


def run_anew(
    app: Sphinx, env: BuildEnvironment, _added: set[str], _changed: set[str], _removed: set[str]
) -> list[str]:
    """Pages whose cells ran anew because a module changed: their text did not, but read them."""
    keys = Path(app.outdir).parent / PAGE_KEYS
    if not keys.is_file():
        return []
    new = json.loads(keys.read_text(encoding="utf-8"))
    old = getattr(env, "course_page_keys", {})
    env.course_page_keys = new  # type: ignore[attr-defined]
    return [page for page in new if page in env.found_docs and new[page] != old.get(page)]


def write_references(app: Sphinx, env: BuildEnvironment) -> None:
    """Write down what the book calls each label and where its terms are, for the notebooks."""

    def number(page: str, kind: str, name: str) -> str | None:
        found = env.toc_fignumbers.get(page, {}).get(kind, {}).get(name)
        return found and ".".join(map(str, found))

    labels = env.get_domain("std").anonlabels
    titles = env.get_domain("std").labels
    equations = env.get_domain("math").equations
    named = {
        "figure": {label: number(page, "figure", name) for label, (page, name) in labels.items()},
        "exercise": {
            label: number(page, "exercise", name) for label, (page, name) in labels.items()
        },
        "section": {label: str(title) for label, (_page, _name, title) in titles.items()},
        "equation": {
            label: number(page, "displaymath", f"equation-{label}")
            for label, (page, _number) in equations.items()
        },
        "term": {
            term.name.lower(): f"{app.builder.get_target_uri(term.page)}#{term.anchor}"
            for term in defined(env)
        },
    }
    found = {
        kind: {label: text for label, text in texts.items() if text}
        for kind, texts in named.items()
    }
    path = Path(app.outdir).parent / REFERENCES
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("course_notebook_branch", "notebooks", "html", str)
    app.add_config_value("course_notebook_folder", "notebooks", "html", str)
    app.add_config_value("course_extensions", "", "env", str)
    app.add_node(run_time)
    app.add_directive("chapter-box", ChapterBox)
    app.connect("config-inited", note_extensions)
    app.connect("config-inited", leave_out_thebe)
    app.connect("config-inited", ask_others_alone, priority=900)
    app.connect("env-get-outdated", run_anew)
    app.connect("env-check-consistency", write_references)
    app.connect("doctree-resolved", finish_page)
    app.connect("html-page-context", print_scripts_once, priority=600)
    # The theme makes its launch buttons at priority 501.
    app.connect("html-page-context", link_notebook, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": 1}
