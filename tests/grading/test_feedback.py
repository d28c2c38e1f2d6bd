"""Feedback tells no hidden test, runs no script, and still reads as it was written."""

from __future__ import annotations

import jinja2
import nbformat
import pytest

from nlp_course.grading.feedback import HideHiddenTests, safe_markdown

pytestmark = pytest.mark.grading
HIDDEN = "assert True\n### BEGIN HIDDEN TESTS\nassert f(7) == 42\n### END HIDDEN TESTS"


def render(source: str, **cell: object) -> str:
    environment = jinja2.Environment(autoescape=False)
    environment.filters["markdown2html"] = safe_markdown
    return environment.from_string("{{ source | markdown2html }}").render(source=source, cell=cell)


@pytest.mark.parametrize(
    ("source", "harm"),
    [
        ("<script>alert(1)</script>", "<script"),
        ("<img src=x onerror=alert(1)>", "onerror"),
        ("[here](javascript:alert(1))", "javascript:"),
        ("<iframe src='https://localhost'></iframe>", "<iframe"),
        ("<p style='position:fixed'>over all</p>", "style"),
    ],
)
def test_what_could_run_does_not(source: str, harm: str):
    assert harm not in render(source)


def test_what_a_student_writes_reads_as_it_was_written():
    page = render("## By hand\n\nSince $a < b$, **so**\n\n| x |\n|---|\n| 1 |")
    assert "<h2" in page
    assert "$a &lt; b$" in page
    assert "<strong>so</strong>" in page
    assert "<td>1</td>" in page


def test_a_picture_pasted_into_an_answer_stays():
    page = render("![mine](attachment:a.png)", attachments={"a.png": {"image/png": "iVBORw0="}})
    assert 'src="data:image/png;base64,iVBORw0="' in page


def after(source: str) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell(source, metadata={"nbgrader": {"grade": True}})
    error = {"ename": "AssertionError", "evalue": "42", "traceback": ["assert f(7) == 42"]}
    cell.outputs = [nbformat.v4.new_output("error", **error)]
    return HideHiddenTests().preprocess_cell(cell, {}, 0)[0]


def test_of_a_failed_hidden_test_only_its_kind_remains():
    cell = after(HIDDEN)
    assert cell.source == "assert True"
    assert "42" not in str(cell)
    assert "AssertionError" in cell.outputs[0].text


def test_a_visible_test_shows_what_failed():
    assert after("assert f(7) == 42").outputs[0].evalue == "42"
