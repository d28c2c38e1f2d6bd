"""The page about a graded class: what it says, and that strangers' text stays text."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag

from nlp_course.grading.class_page import class_page
from nlp_course.grading.scoring import Status, StudentReport, TestResult
from nlp_course.grading.similarity import near_identical

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GRADED = datetime(2026, 10, 5, 12, 30, tzinfo=UTC)
HOSTILE = (
    "</script></style></title><script>document.title='run'</script><img src=x onerror=\"document."
    "title='run'\">'\"><a href=javascript:alert(1)>{{ 7*7 }}{% raw %}\u202e\x00\ud800" + "W" * 3000
)
LONG_ANSWER = "\n".join(f"value_{i} = other_{i} ** {i} + len(names[{i}:])" for i in range(40))


def result(cell: str, status: Status, message: str = "", hidden: bool = False) -> TestResult:
    points = 2.0 if status == Status.PASSED else 0.0
    return TestResult(cell, cell.rsplit("-", 1)[0], status, points, 2.0, message, hidden)


CLASS = [
    StudentReport(
        "student-01",
        "Ada One",
        (result("q01-sum-tests", Status.PASSED), result("q01-sum-hidden", Status.PASSED)),
        {"q02-proof": (3.0, 4.0)},
        sandbox="bubblewrap+landlock",
        seconds=2.0,
        answers={"q01-sum": LONG_ANSWER},
    ),
    StudentReport(
        "student-02",
        "Bo Two",
        (
            result("q01-sum-tests", Status.FAILED, "got 41, want 42"),
            result("q01-sum-hidden", Status.TIMEOUT, "did not stop", hidden=True),
        ),
        {"q02-proof": (None, 4.0)},
        repairs=("took 'Copy of sums.ipynb' for sums.ipynb",),
        sandbox="bubblewrap+landlock",
        seconds=30.5,
        answers={"q01-sum": LONG_ANSWER.replace("value", "v")},
    ),
    StudentReport(
        "student-03",
        "Cy Three",
        (
            result("q01-sum-tests", Status.FAILED, "got 7, want 42"),
            result("q01-sum-hidden", Status.ERROR, "ValueError: no"),
        ),
        {"q02-proof": (None, 4.0)},
        late="2 days late",
        penalty=0.5,
        sandbox="landlock",
        seconds=1.5,
        answers={"q01-sum": "def total(x):\n    return sum(x)"},
    ),
    StudentReport("student-04", "Di Four", failure="not a notebook"),
]


def page_of(reports: list[StudentReport], **more: object) -> str:
    return class_page(
        reports,
        assignment="90-sums",
        title="Sums",
        graded_at=GRADED,
        pairs=near_identical(reports),
        **more,
    )


@pytest.fixture(scope="module")
def text() -> str:
    return page_of(
        CLASS,
        promises={"landlock": "No network; students share the list of processes."},
        review=[("lost.ipynb", "nobody of this name is on the roster")],
    )


@pytest.fixture(scope="module")
def page(text: str) -> BeautifulSoup:
    return BeautifulSoup(text, "html.parser")


def section(page: BeautifulSoup, name: str) -> str:
    """All that a section says, up to the next one."""
    head = page.find("h2", id=name)
    parts = itertools.takewhile(
        lambda part: part.name != "h2", (p for p in head.next_siblings if isinstance(p, Tag))
    )
    words = " ".join(" ".join(part.get_text(" ").split()) for part in parts)
    return re.sub(r" (?=[:,.])", "", words)


def row(page: Tag, head: str) -> list[str]:
    for line in page.find_all("tr"):
        first = line.find(["th", "td"])
        if first and " ".join(first.get_text(" ").split()) == head:
            return [" ".join(cell.get_text(" ").split()) for cell in line.find_all(["th", "td"])]
    raise AssertionError(f"no row {head}")


def test_the_head_says_what_was_graded_when_and_in_what(page):
    head = " ".join(page.main.get_text(" ").split())
    assert "Assignment 90-sums , graded 5 October 2026, 12:30 UTC" in head
    facts = {term.text: term.find_next("dd").text for term in page.dl.find_all("dt")}
    assert facts == {
        "Handed in": "4",
        "Graded": "3",
        "Not graded": "1",
        "Waiting for a person": "2",
        "Repaired": "1",
        "Median mark": "0%",
    }
    assert "2 of the submissions ran in: bubblewrap+landlock" in head
    assert "landlock . No network; students share the list of processes." in head


def test_every_submission_that_needs_a_look_is_listed_with_its_reason(page):
    look = section(page, "look")
    for said in (
        "lost.ipynb: nobody of this name is on the roster",
        "not a notebook (1): student-04",
        "q01-sum-hidden (1): student-02",
        "q02-proof (2): student-02, student-03",
        "compared below (2): student-01, student-02",
    ):
        assert said in look


def test_tests_are_counted_by_how_they_ended(page):
    assert row(page, "q01-sum-tests") == ["q01-sum-tests", "", "1", "2", "0", "0", "0"]
    assert row(page, "q01-sum-hidden") == ["q01-sum-hidden", "", "1", "0", "1", "1", "0"]
    questions = section(page, "questions")
    assert "q01-sum 33% of the points; all of them: 1 of 3" in questions
    assert "q02-proof 75% of the points; all of them: 0 of 1; marked by hand; 2 wait" in questions


def test_a_bar_is_as_long_as_its_numbers(page):
    line = page.find("th", string=re.compile("q01-sum-tests")).parent
    bars = [(b["class"], float(b["width"])) for b in line.svg.find_all("rect")][:-1]
    assert bars == [(["passed"], 66.67), (["failed"], 133.33)]


def test_messages_that_differ_in_numbers_are_one(page):
    table = page.find("h2", id="messages").find_next("table")
    said = row(table, "2")
    assert said[:3] == ["2", "failed", "got 41, want 42"]
    assert "student-02" in said[3]
    assert "student-03" in said[3]
    assert "got 7, want 42" not in page.get_text()
    assert "timeout (hidden)" in section(page, "messages")


def test_the_histogram_has_a_table_that_says_the_same(page):
    svg = page.find("svg", role="img")
    assert svg.find("title").text
    assert [t.text for t in svg.find_all("text")][-2:] == [
        "marks, % of the points marked so far",
        "students",
    ]
    table = page.find("details").table
    counts = [int(line.find_all("td")[1].text) for line in table.tbody.find_all("tr")]
    assert counts == [2, 0, 0, 0, 0, 0, 0, 0, 1, 0]


def test_near_identical_answers_are_shown_side_by_side_and_nobody_is_accused(page):
    alike = section(page, "alike")
    assert "nothing here changes a mark" in alike
    assert "q01-sum: 100% the same" in alike
    compared = page.find("table", class_="compare")
    assert [th.text for th in compared.thead.find_all("th")] == ["student-01", "", "student-02"]
    signs = {td.text for td in compared.find_all("td", class_="sign")}
    assert signs == {"≠"}  # other names; and not by colour alone
    assert page.find("details", class_="diff").get("open") is None


def test_students_who_were_not_graded_have_empty_marks_not_nought(page):
    students = page.find("table", class_="students")
    assert row(students, "student-01")[:6] == ["student-01", "Ada One", "7", "8", "0", "0"]
    assert row(students, "student-03")[2:6] == ["0", "8", "4", "0.5"]
    assert row(students, "student-04")[2:9] == [""] * 7
    assert row(students, "student-04")[-1] == "not graded: not a notebook"


def test_the_page_needs_nothing_from_elsewhere(text: str, page):
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", text)
    for tag in page.find_all(True):
        assert not {"src", "srcset", "data", "action", "style"} & set(tag.attrs)
        assert not [name for name in tag.attrs if name.startswith("on")]
        assert tag.get("href", "#").startswith("#")
    assert len(page.find_all("script")) == 1
    policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_every_anchor_leads_somewhere(page):
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.find_all("a")} <= set(ids)


def hostile_class() -> list[StudentReport]:
    students = [f"{i}{HOSTILE}" for i in range(3)]
    return [
        StudentReport(
            student,
            HOSTILE,
            (TestResult(f"{HOSTILE}-tests", HOSTILE, Status.FAILED, 0.0, 1.0, HOSTILE),),
            {f"p{HOSTILE}": (None, 1.0)},
            late=HOSTILE,
            penalty=0.5,
            repairs=(HOSTILE,),
            warnings=(HOSTILE,),
            failure=HOSTILE if student.startswith("2") else None,
            sandbox=HOSTILE,
            seconds=1.0,
            answers={HOSTILE: f"{LONG_ANSWER}\n# {HOSTILE}"},
            lms_id=HOSTILE,
        )
        for student in students
    ]


def hostile_page() -> str:
    return class_page(
        hostile_class(),
        assignment=HOSTILE,
        title=HOSTILE,
        graded_at=GRADED,
        promises={HOSTILE: HOSTILE},
        review=[(HOSTILE, HOSTILE)],
        pairs=near_identical(hostile_class()),
    )


def test_hostile_text_in_every_field_stays_text():
    text = hostile_page()
    text.encode()  # can be written to a file
    page = BeautifulSoup(text, "html.parser")
    assert len(page.find_all("script")) == 1
    assert not page.find_all(["img", "iframe", "object"])
    assert all(a["href"].startswith("#") for a in page.find_all("a"))
    assert "49" not in page.title.text
    for bad in ("\u202e", "\x00", "\ud800"):
        assert bad not in text
    assert len(text) < 400_000


def test_a_class_of_nobody_has_a_page():
    assert "Handed in" in page_of([])
    assert "Nothing was run." in page_of([StudentReport("a", failure="gone")])


def large_class(students: int) -> list[StudentReport]:
    statuses = list(Status)
    return [
        StudentReport(
            f"student-{i:03}",
            f"Student Number {i}",
            tuple(
                result(f"q{q:02}-name-{kind}", statuses[(i * q) % 7 % 5], f"got {i}, want {q}")
                for q in range(1, 13)
                for kind in ("tests", "hidden")
            ),
            {"q20-proof": (None if i % 3 else 3.0, 4.0)},
            sandbox="landlock",
            seconds=1.0 + i % 7,
            answers={f"q{q:02}-name": f"{LONG_ANSWER}\nx = {i // 2}" for q in range(1, 13)},
        )
        for i in range(students)
    ]


def test_a_page_about_300_students_is_small_and_quick():
    reports = large_class(300)
    pairs = near_identical(reports[:2]) * 50  # as if hundreds of pairs stood out
    assert pairs
    start = time.perf_counter()
    text = class_page(reports, assignment="a", graded_at=GRADED, pairs=pairs)
    assert time.perf_counter() - start < 5
    assert len(text.encode()) < 1_500_000
    assert "more pairs that share fewer passages" in text


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict]:
    """What Chromium finds on three pages, opened from files, on every screen."""
    folder = tmp_path_factory.mktemp("pages")
    reports = large_class(30)
    pages = {
        "small": page_of(CLASS),
        "large": class_page(
            reports, assignment="a", graded_at=GRADED, pairs=near_identical(reports[:2])
        ),
        "hostile": hostile_page(),
    }
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    screenshots = ROOT / "_build" / "screenshots"
    screenshots.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("node")),
            str(HERE / "visit_class_page.mjs"),
            shutil.which("chromium") or "chromium",
            str(folder),
            str(screenshots),
            *pages,
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return {(found["page"], found["screen"]): found for found in json.loads(done.stdout)}


@pytest.mark.browser
def test_the_browser_reports_no_error_and_asks_nobody(seen):
    assert len(seen) == 12
    for found in seen.values():
        assert found["errors"] == []
        assert len(found["asked"]) == 1


@pytest.mark.browser
def test_no_screen_is_too_narrow_and_no_text_faint(seen):
    for key, found in seen.items():
        assert found["overflow"] == 0, key
        assert found["faint"] == [], key
        assert found["dark"] == key[1].endswith("dark")


@pytest.mark.browser
def test_nothing_that_a_student_wrote_runs(seen):
    for key, found in seen.items():
        assert found["title"] != "run", key


@pytest.mark.browser
def test_the_table_is_sorted_by_keyboard_with_the_unmarked_last(seen):
    for found in (found for key, found in seen.items() if key[0] == "small"):
        up, down = found["sorted"]
        assert (up["way"], up["values"]) == ("ascending", ["0", "0", "7", ""])
        assert (down["way"], down["values"]) == ("descending", ["7", "0", "0", ""])
