"""Marks as CSV: what each platform's importer reads, and what no spreadsheet may run."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.report import (
    canvas_csv,
    comment,
    defused,
    legible,
    moodle_csv,
    number,
    plain_csv,
    total,
)
from nlp_course.grading.roster import Person
from nlp_course.grading.scoring import Status, StudentReport, TestResult

pytestmark = pytest.mark.grading
GRADED = datetime(2026, 10, 5, 12, 30, tzinfo=UTC)


def result(name: str, points: float, maximum: float = 2.0, **more: object) -> TestResult:
    status = Status.PASSED if points == maximum else Status.FAILED
    question = name.rsplit("-", 1)[0]
    return TestResult(name, question, status, float(points), float(maximum), **more)


RIGHT = StudentReport(
    "student-01",
    "Ada One",
    (result("q01-sum-tests", 2), result("q01-sum-hidden", 4, 4)),
    {"q02-proof": (2.5, 3.0)},
    lms_id="4711",
)
LATE = StudentReport(
    "student-02",
    "Bo Two",
    (result("q01-sum-tests", 2), result("q01-sum-hidden", 0, 4, message="got 41, want 42")),
    {"q02-proof": (None, 3.0)},
    late="2 days late",
    penalty=0.5,
    repairs=("took 'Copy of sums.ipynb' for sums.ipynb",),
    lms_id="4712",
)
BROKEN = StudentReport("student-03", "Cy Three", failure="not a notebook", lms_id="4713")
CLASS = [RIGHT, LATE, BROKEN]
ADDRESSES = {
    one.student: Person(one.student, email=f"{one.student}@example.org", lms_id=one.lms_id)
    for one in CLASS
}


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_points_add_up_and_a_penalty_never_goes_below_nought():
    sums = total(RIGHT)
    assert (sums.automatic, sums.by_hand, sums.waiting) == (6, 2.5, 0)
    assert (sums.points, sums.maximum) == (8.5, 9)
    assert total(LATE).points == 1.5
    assert total(StudentReport("a", tests=(result("q-t", 1),), penalty=5.0)).points == 0
    assert total(BROKEN) is None


def test_plain_marks_are_one_line_a_student_and_empty_where_not_graded():
    assert plain_csv(CLASS) == (
        "student,name,total,maximum,automatic,by_hand,waiting,late,late_penalty,"
        "q01-sum-tests,q01-sum-hidden,q02-proof,failure,repairs,warnings\n"
        "student-01,Ada One,8.5,9,6,2.5,0,,0,2,4,2.5,,,\n"
        "student-02,Bo Two,1.5,9,2,0,3,2 days late,0.5,2,0,,,"
        "took 'Copy of sums.ipynb' for sums.ipynb,\n"
        "student-03,Cy Three,,,,,,,,,,,not a notebook,,\n"
    )


def test_canvas_gets_the_lines_its_own_export_has():
    roster = {"student-01": Person("student-01", section="Section A", lms_id="4711")}
    assert canvas_csv(CLASS, "Word vectors", assignment_id=88, roster=roster) == (
        "Student,ID,SIS User ID,SIS Login ID,Section,Word vectors (88)\n"
        "    Points Possible,,,,,9\n"
        "Ada One,4711,,student-01,Section A,8.5\n"
        "Bo Two,4712,,student-02,,\n"
        "Cy Three,4713,,student-03,,\n"
    )


def test_totals_that_wait_for_a_person_are_sent_when_asked():
    assert rows(canvas_csv(CLASS, "Sums", unfinished=True))[3][-1] == "1.5"
    assert rows(moodle_csv(CLASS, roster=ADDRESSES, unfinished=True))[2][2] == "1.5"


def test_moodle_finds_people_by_their_addresses_and_by_nothing_else():
    assert moodle_csv(CLASS, roster=ADDRESSES) == (
        "Full name,Email address,Grade,Maximum Grade,Feedback comments\n"
        "Ada One,student-01@example.org,8.5,9,"
        "8.5 of 9 points. Not all points: q02-proof 2.5 of 3.\n"
        "Bo Two,student-02@example.org,,9,"
        "1.5 of 9 points. Not all points: q01-sum 2 of 6. Not marked yet: 3 points. "
        "2 days late: -0.5.\n"
        "Cy Three,student-03@example.org,,,\n"
    )


def test_a_comment_holds_no_message_of_a_test_and_no_html():
    assert "42" not in comment(LATE)
    hostile = StudentReport(
        "a", tests=(result("q<script>-t", 0),), late="<img src=x onerror=1>", penalty=1.0
    )
    assert "<" not in comment(hostile)
    assert "&lt;script&gt;" in comment(hostile)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: canvas_csv(CLASS, " "), "no title"),
        (lambda: canvas_csv(CLASS, "Final Grade of sums"), "Canvas skips columns"),
        (
            lambda: moodle_csv([*CLASS, StudentReport("student-09")], roster=ADDRESSES),
            "there is none for student-09",
        ),
        (
            lambda: canvas_csv([RIGHT, StudentReport("b", tests=(result("q-t", 1),))], "Sums"),
            "submissions have 2 and 9 points to win",
        ),
    ],
)
def test_what_a_platform_would_misread_is_refused_in_words(call, said: str):
    with pytest.raises(GradingError, match=said):
        call()


def test_no_student_can_set_the_maximum_by_their_name():
    report = StudentReport("student-07", "Points Possible", (result("q-t", 2),))
    assert [line[0] for line in rows(canvas_csv([report], "Sums"))[1:]] == [
        "    Points Possible",
        "student-07",
    ]


HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\n=1", "＝1", '=cmd|"/c calc"!A0']


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_column_begins_a_formula(text: str):
    report = StudentReport(
        text,
        text,
        (result(f"{text}-tests", 1, message=text),),
        {text: (None, 1.0)},
        late=text,
        penalty=0.1,
        repairs=(text,),
        warnings=(text,),
        lms_id=text,
    )
    broken = StudentReport("b", text, failure=text)
    roster = {text: Person(text, text, text, text, text), "b": Person("b", email="b@example.org")}
    for written in (
        plain_csv([report, broken]),
        canvas_csv([report, broken], "Sums", roster=roster),
        moodle_csv([report, broken], roster=roster),
    ):
        for cell in (cell for row in rows(written) for cell in row):
            assert not cell.strip().startswith(("=", "+", "-", "@", "＝")), cell


@given(st.text())
def test_what_is_defused_is_never_a_formula_and_can_be_written(text: str):
    made = defused(text)
    assert not made.strip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    made.encode()
    assert "\x00" not in made


def test_marks_are_never_defused_or_rounded_to_less_than_four_decimals():
    assert [number(x) for x in (0.0, -0.0, -1e-9, 100.0, 1 / 3, 1234567.25, -2.5)] == [
        *("0", "0", "0", "100", "0.3333", "1234567.25", "-2.5")
    ]


def test_long_text_is_bounded_and_says_so():
    assert len(legible("x" * 10**6)) == 2000
    assert legible("x" * 10**6).endswith("…")
    assert legible("ok\nline\ttab") == "ok\nline\ttab"
    assert legible("می‌خواهم") == "می‌خواهم"  # a joiner within a word is no control character
    assert legible("a\ud800b") == "a�b"
