"""Who handed in a file is read from its name; who is not clear is nobody."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course.grading.platforms import People
from nlp_course.grading.reading import IntakeError
from nlp_course.grading.roster import FIT_FOR_A_FOLDER, Person

pytestmark = pytest.mark.grading
NAME = "90-sums"
ROSTER = [
    Person("student-01", "First Number", "first@uni.test", "12345"),
    Person("student-02", "Éna O’Dó-Trí", "second@uni.test", "777"),
    Person("student-03", "Same Name", "third@uni.test", "100"),
    Person("student-04", "Same Name", "fourth@uni.test", "200"),
    Person("student-05", "طالب واحد", "fifth@uni.test", "300"),
]


def who(path: str, roster: list[Person] = ROSTER, others: tuple[str, ...] = ()) -> str:
    return People(roster, [path, *others], NAME).find(path)[0]


@pytest.mark.parametrize(
    ("path", "student"),
    [
        # Canvas
        ("numberfirst_12345_678910_90-sums.ipynb", "student-01"),
        ("numberfirst_LATE_12345_678910_90-sums-2.ipynb", "student-01"),
        ("odótríéna_777_678910_my_own_file.ipynb", "student-02"),
        ("namesame_200_678910_90-sums.ipynb", "student-04"),
        ("numberfirst_12345_text.html", "student-01"),
        ("nicknamefirst_12345_678910_90-sums.ipynb", "student-01"),
        ("anon_k3hGs_678910_90-sums.ipynb", None),
        ("namesame_999_678910_90-sums.ipynb", None),
        ("numberfirst_99999_678910_90-sums.ipynb", None),
        ("odotriena_12345_678910_90-sums.ipynb", None),
        # Moodle
        ("First Number_5_assignsubmission_file_/sums.ipynb", "student-01"),
        ("First Number_5_assignsubmission_file/deep/sums.ipynb", "student-01"),
        ("First Number_5_assignsubmission_file_sums.ipynb", "student-01"),
        ("Group A-First Number_5_assignsubmission_file_sums.ipynb", "student-01"),
        ("ENA O'DO TRI_5_assignsubmission_file_/sums.ipynb", "student-02"),
        ("طالب واحد_5_assignsubmission_file_/sums.ipynb", "student-05"),
        ("Same Name_100_assignsubmission_file_/sums.ipynb", "student-03"),
        ("Same Name_5_assignsubmission_file_/sums.ipynb", None),
        ("Nobody Known_12345_assignsubmission_file_/sums.ipynb", None),
        ("Participant_5_assignsubmission_file_/sums.ipynb", None),
        # Google Classroom
        ("First Number - Sums.ipynb", "student-01"),
        ("Copy of First Number - Sums (1).ipynb", "student-01"),
        ("Classroom/Sums/First Number - Sums.ipynb", "student-01"),
        # nbgrader
        ("submitted/student-01/90-sums/90-sums.ipynb", "student-01"),
        ("inbound/student-01+90-sums+2026-01-31 23:59:59.000001 UTC/90-sums.ipynb", "student-01"),
        ("student-01+90-sums+2026-01-31 23:59:59 UTC+Ab3_-x9/90-sums.ipynb", "student-01"),
        # folders and flat
        ("student-01/Untitled.ipynb", "student-01"),
        ("Autumn/Number, First/Untitled.ipynb", "student-01"),
        ("first@uni.test.ipynb", "student-01"),
        ("90-sums-student-01.ipynb", "student-01"),
        ("STUDENT-01_90-sums (3).ipynb", "student-01"),
        ("90-sums (1).ipynb", None),
        ("Copy of 90-sums.ipynb", None),
        ("student-99.ipynb", None),
    ],
)
def test_names_that_platforms_give(path: str, student: str | None):
    if student is None:
        with pytest.raises(IntakeError, match=r"\w+ \w+ \w+"):
            who(path)
    else:
        assert who(path) == student


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_a_name_is_the_same_however_its_accents_are_stored(form: str):
    path = unicodedata.normalize(form, "Éna O’Dó-Trí_5_assignsubmission_file_/sums.ipynb")
    assert who(path) == "student-02"


def test_canvas_says_who_was_late_and_in_which_order():
    people = People(ROSTER, [], NAME)
    _, late = people.find("numberfirst_LATE_12345_678910_90-sums.ipynb")
    _, later = people.find("numberfirst_12345_678911_90-sums-1.ipynb")
    assert late.late
    assert not later.late
    assert later.order > late.order
    assert not late.times_are_theirs


def test_the_exchange_says_when():
    _, owner = People([], [], NAME).find("a+b+90-sums+2026-01-31 23:59:59.000001 UTC/90-sums.ipynb")
    assert owner.key == "a+b"
    assert owner.handed_in is not None
    assert owner.handed_in.isoformat() == "2026-01-31T23:59:59+00:00"


def test_without_a_roster_the_platform_names_students():
    assert who("numberfirst_12345_678910_x.ipynb", []) == "numberfirst-12345"
    assert who("First Number_5_assignsubmission_file_/x.ipynb", []) == "first-number"
    assert who("student_01/x.ipynb", []) == "student_01"


def test_without_a_roster_namesakes_on_moodle_are_not_told_apart():
    paths = [f"{name}_assignsubmission_file_/x.ipynb" for name in ("A B_1", "A B_2", "C D_3")]
    assert who(paths[2], [], tuple(paths)) == "c-d"
    with pytest.raises(IntakeError, match="more than one person is called 'A B'"):
        who(paths[0], [], tuple(paths))


def test_blind_marking_on_moodle_leaves_the_number():
    paths = [f"Participant_{number}_assignsubmission_file_/x.ipynb" for number in (1, 2)]
    assert [who(path, [], tuple(paths)) for path in paths] == ["participant-1", "participant-2"]


def test_a_folder_around_all_of_an_export_is_nobody():
    paths = ("Autumn/s1/x.ipynb", "Autumn/s2/x.ipynb")
    assert [who(path, [], paths) for path in paths] == ["s1", "s2"]


@given(st.text(alphabet=st.characters(exclude_characters="/"), min_size=1, max_size=40))
def test_any_name_gives_an_id_fit_for_a_folder_or_a_sentence(name: str):
    try:
        student = who(f"{name}/x.ipynb", [])
    except IntakeError:
        return
    assert FIT_FOR_A_FOLDER.fullmatch(student)
