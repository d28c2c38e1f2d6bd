"""Archives of feedback: names that the platforms' own importers take, and nothing else."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.returns import canvas_name, moodle_name, return_feedback
from nlp_course.grading.scoring import StudentReport

pytestmark = pytest.mark.grading
NAME = "90-sums"


def graded(*students: str) -> list[StudentReport]:
    return [StudentReport(student) for student in students]


@pytest.fixture
def pages(tmp_path: Path) -> dict[str, Path]:
    made = {}
    for student in ("student-01", "student-02", "student-03"):
        made[student] = tmp_path / "feedback" / student / f"{NAME}.html"
        made[student].parent.mkdir(parents=True)
        made[student].write_text(f"<p>for {student}</p>")
    return made


def test_each_student_gets_their_own_page(tmp_path: Path, pages):
    made = return_feedback(
        tmp_path / "out" / "feedback.zip", "plain", NAME, graded("student-02", "student-01"), pages
    )
    with zipfile.ZipFile(made.path) as archive:
        assert archive.namelist() == [f"student-01/{NAME}.html", f"student-02/{NAME}.html"]
        assert archive.read(f"student-02/{NAME}.html") == b"<p>for student-02</p>"
        assert archive.testzip() is None
    assert made.left_out == {}


def test_who_was_not_graded_is_left_out_and_named(tmp_path: Path, pages):
    reports = [
        *graded("student-01", "student-09"),
        StudentReport("student-02", failure="not a notebook"),
    ]
    made = return_feedback(tmp_path / "f.zip", "plain", NAME, reports, pages)
    assert list(made.sent) == ["student-01"]
    assert made.left_out == {
        "student-09": "there is no page of feedback",
        "student-02": "not graded: not a notebook",
    }
    with zipfile.ZipFile(made.path) as archive:
        assert archive.namelist() == [f"student-01/{NAME}.html"]


@pytest.mark.parametrize("platform", ["plain", "moodle", "canvas"])
def test_the_same_pages_make_the_same_bytes(tmp_path: Path, pages, platform: str):
    received = {
        "student-01": "Ada One_1_assignsubmission_file/a.ipynb",
        "student-02": "Bo Two_2_assignsubmission_file/a.ipynb",
    }
    if platform == "canvas":
        received = {"student-01": "oneada_1_11_a.ipynb", "student-02": "twobo_2_12_a.ipynb"}
    reports = graded("student-01", "student-02")
    one = return_feedback(
        tmp_path / "1.zip", platform, NAME, reports, pages, received_as=received
    ).path.read_bytes()
    os.utime(pages["student-01"], (10**9, 10**9))
    pages["student-01"].chmod(0o600)
    other = return_feedback(
        tmp_path / "2.zip", platform, NAME, reports[::-1], pages, received_as=received
    ).path.read_bytes()
    assert one == other


@pytest.mark.parametrize(
    ("received", "name"),
    [
        # As Moodle gives files out from 4.1 on, before that, and without folders.
        (
            "Ada One_4711_assignsubmission_file/sums.ipynb",
            f"Ada One_4711_assignsubmission_file/{NAME}.html",
        ),
        (
            "Ada One_4711_assignsubmission_file_/deep/er/sums.ipynb",
            f"Ada One_4711_assignsubmission_file/{NAME}.html",
        ),
        (
            "Ada One_4711_assignsubmission_file_my_sums.ipynb",
            f"Ada One_4711_assignsubmission_file/{NAME}.html",
        ),
        (
            "course-sums-12/Participant_99_assignsubmission_onlinetext/onlinetext.html",
            f"Participant_99_assignsubmission_onlinetext/{NAME}.html",
        ),
        ("Ada One/sums.ipynb", None),
        ("Ada One_x_assignsubmission_file/sums.ipynb", None),
        ("~Ada_1_assignsubmission_file/sums.ipynb", None),
        ("", None),
    ],
)
def test_moodle_gets_its_own_names_back(received: str, name: str | None):
    assert moodle_name(received, NAME) == name


@pytest.mark.parametrize(
    ("received", "name"),
    [
        ("oneada_4711_90210_sums.ipynb", f"oneada_4711_90210_{NAME}.html"),
        ("oneada_LATE_4711_90210_sums-2.ipynb", f"oneada_LATE_4711_90210_{NAME}.html"),
        ("sub/oneada_4711_90210_12_34_sums.ipynb", f"oneada_4711_90210_{NAME}.html"),
        ("my group_4711_90210_sums.ipynb", f"my group_4711_90210_{NAME}.html"),
        ("anon_x1Yz9_90210_sums.ipynb", f"anon_x1Yz9_90210_{NAME}.html"),
        ("LATE_anon_x1Yz9_90210_sums.ipynb", f"LATE_anon_x1Yz9_90210_{NAME}.html"),
        ("LATE", None),
        ("oneada_4711_text.html", None),
        ("oneada_4711_link.html", None),
        ("oneada_4711_90210", None),
        ("._oneada_4711_90210_sums.ipynb", None),
        ("sums.ipynb", None),
        ("", None),
    ],
)
def test_canvas_gets_its_own_names_back(received: str, name: str | None):
    assert canvas_name(received, NAME) == name


def moodle_reads(path: str) -> str | None:
    """Whose a file is to Moodle: the first part of its path with at least four pieces."""
    for part in path.split("/"):
        pieces = part.split("_", 4)
        if len(pieces) >= 4 and pieces[1].isdigit():
            return pieces[1]
    return None


def canvas_reads(path: str) -> tuple[str, ...]:
    """Whose a file is to Canvas, and which: its first two numbers between underscores."""
    pieces = [piece for piece in path.split("/")[-1].split("_") if piece != "LATE"]
    if pieces[0] == "anon":
        return tuple(pieces[1:3])
    return tuple(piece for piece in pieces if re.fullmatch(r"[0-9]+", piece))[:2]


@given(st.text(alphabet="ab1_ /.\\-é:", max_size=30), st.integers(1, 10**6), st.integers(1, 10**9))
def test_whatever_a_student_is_called_the_file_stays_theirs(name: str, user: int, file: int):
    # Both platforms take underscores and slashes out of names before they use them.
    clean = re.sub(r"[_/\\]", " ", name).lstrip(".~")
    sent = moodle_name(f"{clean}_{user}_assignsubmission_file/x_1_2_3.ipynb", NAME)
    assert moodle_reads(sent or "") == str(user)
    clean = re.sub(r"\W", "", name)
    received = f"{clean}_{user}_{file}_x_7_8.ipynb"
    sent = canvas_name(received, NAME)
    assert canvas_reads(sent or "") == canvas_reads(received)


@pytest.mark.parametrize("platform", ["moodle", "canvas"])
def test_a_file_that_the_platform_did_not_give_out_is_left_out(tmp_path, pages, platform: str):
    received = {
        "student-01": "A_1_assignsubmission_file/a.ipynb"
        if platform == "moodle"
        else "a_1_2_a.ipynb",
        "student-02": "sums.ipynb",
    }
    made = return_feedback(
        tmp_path / "f.zip",
        platform,
        NAME,
        graded("student-01", "student-02", "student-03"),
        pages,
        received_as=received,
    )
    assert list(made.sent) == ["student-01"]
    assert "is not a name that" in made.left_out["student-02"]
    assert "did not come from" in made.left_out["student-03"]


@pytest.mark.parametrize("student", ["../up", "a/b", "a\\b", "..", "", "a\x00b", "nul", "a. "])
def test_an_id_cannot_lead_out_of_the_archive(tmp_path: Path, pages, student: str):
    pages[student] = pages["student-01"]
    with pytest.raises(GradingError, match="cannot name a file"):
        return_feedback(tmp_path / "f.zip", "plain", NAME, graded(student), pages)


def test_names_from_an_archive_cannot_lead_out_of_another():
    assert moodle_name("../..\\x_1_assignsubmission_file/../a", NAME) == (
        f"x_1_assignsubmission_file/{NAME}.html"
    )
    assert canvas_name("../..\\..\\x_1_2_a.ipynb", NAME) == f"x_1_2_{NAME}.html"


def test_two_students_cannot_get_one_file(tmp_path: Path, pages):
    received = dict.fromkeys(("student-01", "student-02"), "a_1_2_a.ipynb")
    with pytest.raises(GradingError, match="student-01 and student-02 would both get"):
        return_feedback(
            tmp_path / "f.zip",
            "canvas",
            NAME,
            graded("student-01", "student-02"),
            pages,
            received_as=received,
        )
    assert not (tmp_path / "f.zip").exists()


def test_an_empty_archive_is_not_written(tmp_path: Path, pages):
    with pytest.raises(GradingError, match=r"no feedback to return .*not graded: broken"):
        return_feedback(
            tmp_path / "f.zip", "plain", NAME, [StudentReport("a", failure="broken")], pages
        )
    with pytest.raises(GradingError, match="no submissions"):
        return_feedback(tmp_path / "f.zip", "plain", NAME, [], pages)
    assert not (tmp_path / "f.zip").exists()
