"""Feedback tells no hidden test, runs no script, and still reads as it was written."""

from __future__ import annotations

from pathlib import Path

import jinja2
import nbformat
import pytest

from nlp_course.grading.feedback import (
    HideHiddenTests,
    not_marked_yet,
    read_hints,
    safe_markdown,
)
from nlp_course.grading.notebooks import GradingError

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
        ("<img src='https://localhost/who-reads.png'>", "localhost"),
        ("<img src='//localhost/who-reads.png'>", "localhost"),
        ("![mine](https://localhost/who-reads.png)", "localhost"),
        # The formgrader finds marks by these, and saves them when it is clicked.
        ("<span id='q01-total-hidden'></span>", "id="),
        ("# q01-total-hidden", "id="),
        ("<div class='full-credit modal-backdrop fade'></div>", "class="),
        ("<a class='full-credit' name='q01-total' href='#'>here</a>", "class="),
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


def after(source: str, kind: str = "AssertionError") -> nbformat.NotebookNode:
    marks = {"grade": True, "grade_id": "q02-mean-tests"}
    cell = nbformat.v4.new_code_cell(source, metadata={"nbgrader": marks})
    error = {"ename": kind, "evalue": "42", "traceback": ["assert f(7) == 42"]}
    cell.outputs = [nbformat.v4.new_output("error", **error)]
    hide = HideHiddenTests(hints={"90-sums": {"q02-mean": "Count first.", "q02": "Not this."}})
    return hide.preprocess_cell(cell, {"nbgrader": {"assignment": "90-sums"}}, 0)[0]


def test_of_a_failed_hidden_test_only_its_kind_remains():
    cell = after(HIDDEN)
    assert cell.source == "assert True"
    assert "42" not in str(cell.outputs)
    assert "AssertionError" in cell.outputs[0].text


def test_a_visible_test_shows_what_failed():
    assert after("assert f(7) == 42").outputs[0].evalue == "42"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("ZeroDivisionError", "ZeroDivisionError"),
        ("TestTimeout", "TimeoutError"),
        ("Got_7_Wanted_42", "Exception"),
        ("print", "Exception"),  # a builtin, and no failure
        ("BufferError", "Exception"),  # chosen among many it would tell more
    ],
)
def test_a_failure_that_a_student_named_does_not_carry_a_hidden_input_out(kind: str, said: str):
    assert f"failed: {said}. " in after(HIDDEN, kind).outputs[0].text


def test_a_failed_hidden_test_comes_with_its_question_s_hint():
    assert after(HIDDEN).outputs[0].text.endswith("\nHint: Count first.")


def test_hints_come_from_each_assignment_s_own_file(tmp_path: Path):
    assert read_hints(tmp_path / "solutions") == {}  # the public copy has none
    (tmp_path / "01-a").mkdir()
    path = tmp_path / "01-a" / "assignment.toml"
    path.write_text('[questions.q1]\nhint = "Look."\n[questions.q2]\npoints = 3\n')
    assert read_hints(tmp_path) == {"01-a": {"q1": "Look."}}
    path.write_text("hint = Look.")
    with pytest.raises(GradingError, match=r"assignment\.toml"):
        read_hints(tmp_path)


PAGE = """<h4>sums (Score: 6.0 / 10.0)</h4>
<li><a href="#q1-tests">Test cell</a> (Score: 6.0 / 6.0)</li>
<li><a href="#q2">Written response</a> (Score: 0.0 / 4.0)</li>
<a name="q1-tests"></a><span>Score: 6.0 / 6.0 </span>
<a name="q2"></a><div><span>
  Score: 0.0 / 4.0 </span></div><p>My Score: 0.0 / 4.0</p>"""


def test_an_answer_nobody_has_read_has_no_score():
    assert not_marked_yet(PAGE, {}) == PAGE
    page = not_marked_yet(PAGE, {"q2": 4.0})
    assert page.splitlines() == [
        "<h4>sums (Score: 6.0 / 10.0, 4 of them not marked yet)</h4>",
        '<li><a href="#q1-tests">Test cell</a> (Score: 6.0 / 6.0)</li>',
        '<li><a href="#q2">Written response</a> (not marked yet, of 4 points)</li>',
        '<a name="q1-tests"></a><span>Score: 6.0 / 6.0 </span>',
        '<a name="q2"></a><div><span>',
        "  not marked yet, of 4 points </span></div><p>My Score: 0.0 / 4.0</p>",
    ]
