"""What a student gets back: pages that tell no hidden test, run no scripts, and ask no other host.

Formulas stay as text between dollars: what would set them comes from another host.
"""

from __future__ import annotations

import re
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import bleach
from jinja2 import DictLoader, pass_context
from jinja2.runtime import Context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests, GetGrades
from traitlets import Dict, List

from nlp_course.grading.notebooks import GradingError, question_of

# What Markdown makes, and what a harmless page is written with.
SAFE_TAGS = bleach.ALLOWED_TAGS.union(
    {"br", "del", "details", "div", "hr", "img", "p", "pre", "s", "span", "sub", "summary", "sup"},
    {"h1", "h2", "h3", "h4", "h5", "h6", "table", "tbody", "td", "th", "thead", "tr"},
)
SAFE_PROTOCOLS = bleach.ALLOWED_PROTOCOLS | {"data"}
# What the referee calls the end of a test that ended in none of Python's own ways.
OWN_KINDS = {
    "TestTimeout": "TimeoutError",
    "SessionLost": "the code ended its own process",
    "NotRun": "it was not run",
}
USUAL_KINDS = {
    *("AssertionError", "AttributeError", "IndexError", "KeyError", "NameError", "TypeError"),
    *("ValueError", "ZeroDivisionError", "NotImplementedError", "TimeoutError", "RuntimeError"),
}


def _harmless_in_picture(tag: str, name: str, value: str) -> bool:  # noqa: ARG001
    """A picture is part of the notebook; one on another host would tell that host who reads."""
    if name == "src":
        return value.startswith(("data:image/", "attachment:"))
    return name in {"alt", "height", "width"}


# No id and no class: the formgrader's script finds marks by the one and buttons by the other.
SAFE_ATTRIBUTES = {
    **bleach.ALLOWED_ATTRIBUTES,
    "*": ["title"],
    "img": _harmless_in_picture,
}


@pass_context
def safe_markdown(context: Context, source: str) -> str:
    """Markdown as HTML in which nothing can run; nbgrader's pages take a student's as it is."""
    attachments = context.get("cell", {}).get("attachments", {})
    renderer = IPythonRenderer(escape=False, attachments=attachments)
    return safe_html(MarkdownWithMath(renderer=renderer).render(source))


def safe_html(source: str) -> str:
    """HTML in which nothing can run; raw cells, which pages show as it, are let through by this."""
    return bleach.clean(
        source, tags=SAFE_TAGS, attributes=SAFE_ATTRIBUTES, protocols=SAFE_PROTOCOLS
    )


def read_hints(solutions: Path) -> dict[str, dict[str, str]]:
    """Hints by assignment and question, from each `assignment.toml`; none where there is none.

    Raises
    ------
    GradingError : such a file is not TOML.
    """
    hints = {}
    for path in sorted(solutions.glob("*/assignment.toml")):
        try:
            known = tomllib.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise GradingError(f"{path}: {error}") from error
        hints[path.parent.name] = {
            name: question["hint"]
            for name, question in known.get("questions", {}).items()
            if "hint" in question
        }
    return hints


class GetMarks(GetGrades):
    """nbgrader's marks, and which of them wait for a person."""

    def _get_score(self, cell: NotebookNode, resources: dict[str, Any]) -> None:
        super()._get_score(cell, resources)
        name = cell.metadata.nbgrader.grade_id
        grade = self.gradebook.find_grade(
            name, self.notebook_id, self.assignment_id, self.student_id
        )
        if grade.needs_manual_grade and grade.manual_score is None:
            resources["nbgrader"].setdefault("unread", {})[name] = grade.max_score


class Page(HTMLExporter):
    """nbgrader's page, without MathJax from another host, and honest about what nobody has read."""

    def __init__(self, **options: Any) -> None:
        # nbgrader's template ignores `HTMLExporter.mathjax_url`.
        no_mathjax = DictLoader({"mathjax.html.j2": "{% macro mathjax() %}{% endmacro %}"})
        super().__init__(extra_loaders=[no_mathjax], **options)

    def from_notebook_node(  # type: ignore[override]  # as nbconvert's own exporters
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[str, dict[str, Any]]:
        """The page, with "not marked yet" where nbgrader prints 0 for an unread answer."""
        page, resources = super().from_notebook_node(nb, resources, **options)
        return not_marked_yet(page, resources["nbgrader"].get("unread", {})), resources


def not_marked_yet(page: str, unread: dict[str, float]) -> str:
    """A page of nbgrader's in which answers nobody has read have no score.

    Parameters
    ----------
    page : as nbgrader's template writes it
    unread : points of these answers, by grade id
    """
    for name, points in unread.items():
        said = rf"\g<1>not marked yet, of {points:g} points"
        # Once in the list at the top, once above the answer.
        for place in (rf'<a href="#{re.escape(name)}">', rf'<a name="{re.escape(name)}">'):
            score = rf"({place}(?:(?!Score:).)*)Score: [\d.]+ / [\d.]+"
            page = re.sub(score, said, page, count=1, flags=re.DOTALL)
    if unread:
        waiting = rf"\g<0>, {sum(unread.values()):g} of them not marked yet"
        page = re.sub(r"Score: [\d.]+ / [\d.]+", waiting, page, count=1)
    return page


class HideHiddenTests(ClearHiddenTests):
    """Takes hidden tests out of the feedback, and what failed in them.

    nbgrader's own feedback shows a graded cell as it was run, hidden tests and all, and a
    traceback quotes the lines around the one that failed.
    """

    hints: Dict[str, dict[str, str]] = Dict(
        help="assignment -> question -> what a student reads beside a failed hidden test"
    ).tag(config=True)

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
            kinds = [_kind(output) for output in cell.outputs if output.output_type == "error"]
            hint = self._hint(cell, resources)
            cell.outputs = [
                NotebookNode(
                    output_type="stream",
                    name="stdout",
                    text=f"A test of this question failed: {kind}. "
                    f"Some of its tests are hidden.{hint}",
                )
                for kind in kinds
            ]
        return cell, resources

    def _hint(self, cell: NotebookNode, resources: dict[str, Any]) -> str:
        hints = self.hints.get(resources.get("nbgrader", {}).get("assignment", ""), {})
        question = question_of(cell.metadata.nbgrader.get("grade_id", ""), hints)
        return "" if question is None else "\n" + textwrap.fill(f"Hint: {hints[question]}", 88)


def _kind(error: NotebookNode) -> str:
    """A failure's kind, of a few: a student's code that chose among all would tell what it saw."""
    if error.ename in OWN_KINDS:
        return OWN_KINDS[error.ename]
    return error.ename if error.ename in USUAL_KINDS else "Exception"
