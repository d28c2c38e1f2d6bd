"""What a student gets back: pages that tell no hidden test and run no one's scripts."""

from __future__ import annotations

from typing import Any

import bleach
from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests
from traitlets import List

# What Markdown makes, and what a harmless page is written with.
SAFE_TAGS = bleach.ALLOWED_TAGS.union(
    {"br", "del", "details", "div", "hr", "img", "p", "pre", "s", "span", "sub", "summary", "sup"},
    {"h1", "h2", "h3", "h4", "h5", "h6", "table", "tbody", "td", "th", "thead", "tr"},
)
SAFE_ATTRIBUTES = {
    **bleach.ALLOWED_ATTRIBUTES,
    "*": ["class", "id", "title"],
    "img": ["alt", "height", "src", "width"],
}
SAFE_PROTOCOLS = bleach.ALLOWED_PROTOCOLS | {"data"}  # a picture that is part of the notebook


@pass_context
def safe_markdown(context: Context, source: str) -> str:
    """Markdown as HTML in which nothing can run; nbgrader's pages take a student's as it is."""
    attachments = context.get("cell", {}).get("attachments", {})
    renderer = IPythonRenderer(escape=False, attachments=attachments)
    return bleach.clean(
        MarkdownWithMath(renderer=renderer).render(source),
        tags=SAFE_TAGS,
        attributes=SAFE_ATTRIBUTES,
        protocols=SAFE_PROTOCOLS,
    )


class HideHiddenTests(ClearHiddenTests):
    """Takes hidden tests out of the feedback, and what failed in them.

    nbgrader's own feedback shows a graded cell as it was run, hidden tests and all, and a
    traceback quotes the lines around the one that failed.
    """

    # The HTML exporter sets this on all it uses; nbgrader's base class does not take it.
    display_data_priority: List[str] = List(config=True)

    def preprocess_cell(
        self,
        cell: NotebookNode,
        resources: dict[str, Any],
        cell_index: int,  # noqa: ARG002
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Empty the hidden regions; of a failure in such a cell only its kind remains."""
        held_hidden_tests = self._remove_hidden_test_region(cell)
        if held_hidden_tests and cell.cell_type == "code":
            kinds = [output.ename for output in cell.outputs if output.output_type == "error"]
            cell.outputs = [
                NotebookNode(
                    output_type="stream",
                    name="stdout",
                    text=f"A test of this question failed: {kind}. Some of its tests are hidden.",
                )
                for kind in kinds
            ]
        return cell, resources
