"""What a late submission costs: hand-worked cases, limits, and the same whatever the order."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nbformat.v4 import new_notebook
from nbgrader.api import Gradebook
from nbgrader.preprocessors import AssignLatePenalties
from traitlets.config import Config

from nlp_course.grading.late import (
    AssignPenalties,
    Lateness,
    LatePenalty,
    Submitted,
    days_begun,
    explain,
    lateness,
    register,
    settle,
)
from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.settings import Dates, LatePolicy, Settings, read_settings

pytestmark = [
    pytest.mark.grading,
    # nbgrader 0.9.6 builds its queries in a way that SQLAlchemy 2 remarks upon.
    pytest.mark.filterwarnings("ignore:Object of type .* not in session"),
]

BERLIN = ZoneInfo("Europe/Berlin")
DUE = datetime(2026, 10, 14, 21, 59, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FRACTION = LatePolicy("fraction", per_day=0.1, maximum=0.5)
BUDGET = LatePolicy("budget", per_day=0.1, maximum=0.5, free_days=4)


def course(policy: LatePolicy, **changes) -> Settings:
    folder = Path("course")
    return Settings(folder, BERLIN, folder, "", folder / "secret", late=policy, **changes)


def one(policy: LatePolicy, late_by: timedelta, closes: datetime | None = None) -> Lateness:
    """How late an assignment was that was handed in by so much after its due date."""
    submitted = {"01": Submitted(DUE, DUE, DUE + late_by, closes)}
    return lateness(submitted, course(policy))["01"]


def several(policy: LatePolicy, late_by: Mapping[str, timedelta]) -> dict[str, Lateness]:
    """Assignments a week apart, in the order of their names."""
    submitted = {}
    for week, name in enumerate(sorted(late_by)):
        due = DUE + week * 7 * DAY
        submitted[name] = Submitted(due, due, due + late_by[name])
    return lateness(submitted, course(policy))


# Days


@pytest.mark.parametrize(
    ("after", "days"),
    [
        (-DAY, 0),
        (timedelta(0), 0),
        (timedelta(microseconds=1), 1),
        (DAY, 1),
        (DAY + timedelta(seconds=1), 2),
        (9 * DAY, 9),
    ],
)
def test_a_day_counts_once_begun(after: timedelta, days: int):
    assert days_begun(DUE, DUE + after, course(FRACTION)) == days


@pytest.mark.parametrize(
    ("due", "hours"),
    [
        (datetime(2026, 10, 24, 23, 59, tzinfo=BERLIN), 25),  # clocks go back that night
        (datetime(2027, 3, 27, 23, 59, tzinfo=BERLIN), 23),  # and forward
    ],
)
def test_a_late_day_ends_at_the_due_dates_time_of_day(due: datetime, hours: int):
    moment, settings = due.astimezone(UTC), course(FRACTION)
    assert days_begun(moment, moment + hours * HOUR, settings) == 1
    assert days_begun(moment, moment + hours * HOUR + timedelta(seconds=1), settings) == 2


@given(st.integers(0, 400 * 24), st.integers(1, 40), st.integers(-600, 600))
def test_days_begun_go_by_the_wall_clock(start: int, days: int, seconds: int):
    due = DUE + start * HOUR
    wall = due.astimezone(BERLIN).replace(tzinfo=None) + days * DAY
    moments = {wall.replace(tzinfo=BERLIN, fold=fold).astimezone(UTC) for fold in (0, 1)}
    assume(len(moments) == 1)  # a time that clocks skip or show twice
    handed_in = moments.pop() + timedelta(seconds=seconds)
    assert days_begun(due, handed_in, course(FRACTION)) == days + (seconds > 0)


def test_moments_must_be_in_utc():
    with pytest.raises(ValueError, match="moments must be in UTC"):
        Submitted(DUE.astimezone(BERLIN), DUE, DUE)


# Policies


def test_no_policy_takes_nothing():
    late = one(LatePolicy(), 9 * DAY)
    assert late.penalty(20.0) == 0
    assert explain(late, course(LatePolicy())) == "handed in 9 days late: nothing is taken off"


def test_on_time_costs_nothing_and_is_not_mentioned():
    late = one(FRACTION, timedelta(0))
    assert late.penalty(20.0) == 0
    assert explain(late, course(FRACTION)) == ""


@pytest.mark.parametrize(("hours", "penalty"), [(1, 2), (24, 2), (26, 4), (5 * 24, 10), (240, 10)])
def test_fraction_for_each_day_begun_up_to_the_maximum(hours: int, penalty: float):
    assert one(FRACTION, hours * HOUR).penalty(20.0) == penalty


def test_fraction_is_explained():
    said = explain(one(FRACTION, 26 * HOUR), course(FRACTION))
    assert said == (
        "handed in 26 hours late: 20% of the points earned are taken off, for 2 days begun"
    )
    assert explain(one(FRACTION, 6 * DAY), course(FRACTION)).endswith(
        "50% of the points earned are taken off, for 6 days begun, the most there is"
    )


def test_free_days_cost_nothing():
    late = one(BUDGET, 26 * HOUR)
    assert (late.days, late.free, late.penalty(20.0)) == (2, 2, 0)
    assert explain(late, course(BUDGET)) == (
        "handed in 26 hours late: 2 of your 4 late days are used"
    )


def test_free_days_are_spent_in_the_order_of_due_dates():
    late = several(
        BUDGET, {"01": HOUR, "02": 2 * DAY, "03": timedelta(0), "04": 3 * DAY, "05": DAY}
    )
    assert {name: one.free for name, one in late.items()} == {
        "01": 1,
        "02": 2,
        "03": 0,
        "04": 1,
        "05": 0,
    }
    said = {name: explain(one, course(BUDGET)) for name, one in late.items()}
    assert said == {
        "01": "handed in 1 hour late: 1 of your 4 late days is used",
        "02": "handed in 2 days late: 2 more of your 4 late days are used, 1 is left",
        "03": "",
        "04": "handed in 3 days late: 1 more of your 4 late days is used, none is left; "
        "20% of the points earned are taken off, for 2 days more begun",
        "05": "handed in 24 hours late: none of your 4 late days was left; "
        "10% of the points earned are taken off, for 1 day begun",
    }


def test_the_assignment_due_first_uses_free_days_first_whatever_its_name():
    first, later = Submitted(DUE, DUE, DUE + 3 * DAY), DUE + 7 * DAY
    submitted = {"01-later": Submitted(later, later, later + 3 * DAY), "02-first": first}
    late = lateness(submitted, course(BUDGET))
    assert {name: one.free for name, one in late.items()} == {"02-first": 3, "01-later": 1}


def test_an_extension_does_not_change_which_assignment_comes_first():
    extended = Submitted(DUE, DUE + 20 * DAY, DUE + 23 * DAY)
    later = DUE + 7 * DAY
    submitted = {"01": extended, "02": Submitted(later, later, later + 3 * DAY)}
    late = lateness(submitted, course(BUDGET))
    assert {name: one.free for name, one in late.items()} == {"01": 3, "02": 1}


def test_one_assignment_may_use_only_so_many_free_days():
    late = one(replace(BUDGET, free_days_each=2), 3 * DAY)
    assert (late.free, late.fraction) == (2, Decimal("0.1"))


def test_within_grace_is_on_time_and_beyond_it_the_whole_time_counts():
    policy = replace(FRACTION, grace=timedelta(minutes=10))
    assert one(policy, timedelta(minutes=10)) == Lateness()
    late = one(policy, timedelta(minutes=11))
    assert (late.by, late.days) == (timedelta(minutes=11), 1)
    assert explain(late, course(policy)).startswith("handed in 11 minutes late: 10%")


def test_after_the_last_moment_it_counts_0_with_words():
    policy = replace(BUDGET, last_days=2)
    assert one(policy, 2 * DAY).penalty(20.0) == 0
    late = one(policy, 2 * DAY + timedelta(seconds=1))
    assert late.penalty(20.0) == 20.0
    assert late.free == 0
    assert explain(late, course(policy)) == (
        "handed in 2 days late, after the last moment for it, "
        "16 October 2026, 23:59 (Europe/Berlin): it counts 0"
    )


def test_the_earlier_of_two_last_moments_counts():
    policy = replace(FRACTION, last_days=2)
    assert one(policy, 26 * HOUR, closes=DUE + DAY).closed == DUE + DAY
    assert one(policy, 26 * HOUR, closes=DUE + 5 * DAY).closed is None


def test_an_extension_moves_the_last_moment():
    extended = Submitted(DUE, DUE + 5 * DAY, DUE + 5 * DAY, closes=DUE + DAY)
    assert lateness({"01": extended}, course(FRACTION))["01"] == Lateness()
    after = replace(extended, handed_in=DUE + 5 * DAY + HOUR)
    assert lateness({"01": after}, course(FRACTION))["01"].closed == DUE + 5 * DAY


def test_less_than_a_minute_is_said_so():
    assert explain(one(FRACTION, timedelta(seconds=3)), course(FRACTION)).startswith(
        "handed in less than a minute late"
    )


@pytest.mark.parametrize(
    ("score", "fraction", "penalty"),
    [(0.1 + 0.2, "0.1", 0.03), (0.25, "0.1", 0.02), (0.26, "0.1", 0.03), (1 / 3, "1", 1 / 3)],
)
def test_penalty_is_rounded_to_hundredths_halves_down(score: float, fraction: str, penalty: float):
    assert Lateness(fraction=Decimal(fraction)).penalty(score) == penalty


POLICIES = st.builds(
    LatePolicy,
    policy=st.sampled_from(["none", "fraction", "budget"]),
    per_day=st.floats(0, 1),
    maximum=st.floats(0, 1),
    free_days=st.integers(0, 6),
    free_days_each=st.none() | st.integers(1, 6),
    last_days=st.none() | st.integers(0, 9),
    grace=st.timedeltas(timedelta(0), timedelta(hours=2)),
)
LATE_BY = st.dictionaries(
    st.sampled_from(["01", "02", "03", "04"]), st.timedeltas(-3 * DAY, 12 * DAY), min_size=1
)


@given(POLICIES, LATE_BY, st.floats(0, 1000))
def test_penalty_lies_between_nothing_and_what_was_earned(
    policy: LatePolicy, late_by: dict[str, timedelta], score: float
):
    for late in several(policy, late_by).values():
        assert 0 <= late.penalty(score) <= score
        assert late.free <= late.days


@given(POLICIES, LATE_BY)
def test_free_days_are_never_overspent(policy: LatePolicy, late_by: dict[str, timedelta]):
    late = several(policy, late_by)
    assert sum(one.free for one in late.values()) <= policy.free_days


@given(POLICIES, st.timedeltas(timedelta(0), 12 * DAY), st.timedeltas(timedelta(0), 3 * DAY))
def test_later_is_never_cheaper(policy: LatePolicy, late_by: timedelta, more: timedelta):
    assert one(policy, late_by).penalty(10.0) <= one(policy, late_by + more).penalty(10.0)


@given(POLICIES, LATE_BY, st.randoms())
def test_the_order_in_which_assignments_are_given_is_of_no_matter(
    policy: LatePolicy, late_by: dict[str, timedelta], chance: random.Random
):
    shuffled = list(late_by.items())
    chance.shuffle(shuffled)
    assert several(policy, dict(shuffled)) == several(policy, late_by)


# In the gradebook

NAMES = ("01-words", "02-word2vec", "03-ngrams")
TOML = """
course.time_zone = "Europe/Berlin"
[late]
policy = "budget"
free_days = 2
per_day = 0.1
[assignments]
01-words.due = 2026-10-14T23:59:00
02-word2vec.due = 2026-10-24T23:59:00
03-ngrams.due = 2026-11-04T23:59:00
"""
LATE_BY_DAYS = {"01-words": 1, "02-word2vec": 2, "03-ngrams": 1}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course's folder and gradebook; making one takes nbgrader two seconds."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "course.toml").write_text(TOML)
    settings = read_settings(folder)
    settings.class_folder.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        # nbgrader starts `alembic` by name.
        patch.setenv("PATH", sysconfig.get_path("scripts"), prepend=os.pathsep)
        with Gradebook(settings.db_url, settings.course_id) as book:
            book.add_student("student-01")
            for name in NAMES:
                book.add_assignment(name, course_id=settings.course_id)
                book.add_notebook(name, name)
                for cell, kind in (("q01", "code"), ("q02", "markdown")):
                    book.add_grade_cell(cell, name, name, max_score=10, cell_type=kind)
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    return shutil.copytree(prepared, tmp_path / "course")


@pytest.fixture
def book(folder: Path) -> Iterator[Gradebook]:
    """A gradebook with three assignments, and one student who has handed in none."""
    settings = read_settings(folder)
    with Gradebook(settings.db_url, settings.course_id) as opened:
        yield opened


def hand_in(book: Gradebook, settings: Settings, name: str, days: float, auto: float = 8.0) -> None:
    """As nbgrader does it: the time and the automatic marks."""
    moment = (settings.dates[name].due + days * DAY).replace(tzinfo=None)
    book.update_or_create_submission(name, "student-01", timestamp=moment)
    grade = book.find_grade("q01", name, name, "student-01")
    grade.auto_score, grade.needs_manual_grade = auto, False
    book.db.commit()


def step(folder: Path, name: str, kind: type[AssignLatePenalties] = AssignPenalties) -> None:
    """What `nbgrader autograde` runs after the marks are in."""
    config = Config()
    config.LatePenalty.course = str(folder)
    config.AssignLatePenalties.plugin_class = LatePenalty
    about = {"notebook": name, "assignment": name, "student": "student-01"}
    about["db_url"] = read_settings(folder).db_url
    kind(config=config).preprocess(new_notebook(), {"nbgrader": about})


def penalties(book: Gradebook) -> dict[str, float | None]:
    book.db.expire_all()
    return {
        notebook.name: notebook.late_submission_penalty
        for submission in book.student_submissions("student-01")
        for notebook in submission.notebooks
    }


def test_nbgraders_step_takes_what_the_policy_says(book: Gradebook, folder: Path):
    settings = read_settings(folder)
    hand_in(book, settings, "01-words", 4)
    step(folder, "01-words")
    assert penalties(book) == {"01-words": 1.6}
    assert book.find_assignment("01-words").duedate == datetime(2026, 10, 14, 21, 59)


def test_grading_again_changes_nothing(book: Gradebook, folder: Path):
    hand_in(book, read_settings(folder), "01-words", 4)
    for _ in range(3):
        step(folder, "01-words")
        assert penalties(book) == {"01-words": 1.6}


@pytest.mark.parametrize("order", list(itertools.permutations(NAMES)))
def test_the_order_of_grading_is_of_no_matter(book: Gradebook, folder: Path, order: tuple[str]):
    settings = read_settings(folder)
    for name in order:
        hand_in(book, settings, name, LATE_BY_DAYS[name])
        step(folder, name)
    # One free day goes to 01, one of two to 02, none is left for 03.
    assert penalties(book) == {"01-words": None, "02-word2vec": 0.8, "03-ngrams": 0.8}


def test_handing_in_again_on_time_gives_free_days_back(book: Gradebook, folder: Path):
    settings = read_settings(folder)
    for name in NAMES:
        hand_in(book, settings, name, LATE_BY_DAYS[name])
    settle(book, settings)
    hand_in(book, settings, "01-words", -1)
    step(folder, "01-words")
    assert penalties(book) == {"01-words": None, "02-word2vec": None, "03-ngrams": 0.8}


def test_a_changed_due_date_counts_at_the_next_grading(book: Gradebook, folder: Path):
    hand_in(book, read_settings(folder), "01-words", 4)
    step(folder, "01-words")
    (folder / "course.toml").write_text(TOML.replace("2026-10-14", "2026-10-17"))
    step(folder, "01-words")
    assert penalties(book) == {"01-words": None}


def test_an_extension_counts_and_can_be_taken_back(book: Gradebook, folder: Path):
    extension = "[[extensions]]\nstudent = 'student-01'\nassignment = '02-word2vec'\ndays = 2"
    (folder / "course.toml").write_text(TOML + extension)
    settings = read_settings(folder)
    hand_in(book, settings, "02-word2vec", 4 + 1 / 24)
    settle(book, settings)
    # Two days of which the first has 25 hours, and an hour later than that two free days.
    submission = book.find_submission("02-word2vec", "student-01")
    assert submission.extension == 49 * HOUR
    assert penalties(book) == {"02-word2vec": None}
    (folder / "course.toml").write_text(TOML)
    settle(book, read_settings(folder))
    assert submission.extension is None
    assert penalties(book) == {"02-word2vec": 1.6}


def test_marks_given_by_hand_count_once_settled_again(book: Gradebook, folder: Path):
    settings = read_settings(folder)
    hand_in(book, settings, "01-words", 4)
    settle(book, settings)
    grade = book.find_grade("q02", "01-words", "01-words", "student-01")
    grade.manual_score = 10.0
    book.db.commit()
    settle(book, settings)
    assert penalties(book) == {"01-words": 3.6}
    assert grade.manual_score == 10.0


def test_dates_set_in_the_formgrader_stand_where_the_file_gives_none(book: Gradebook, folder: Path):
    settings = read_settings(folder)
    (folder / "course.toml").write_text(TOML.replace("01-words.due = 2026-10-14T23:59:00", ""))
    hand_in(book, settings, "01-words", 4)
    book.update_or_create_assignment("01-words", duedate="2026-10-14 21:59:00 UTC")
    step(folder, "01-words")
    assert penalties(book) == {"01-words": 1.6}
    book.grant_extension("01-words", "student-01", days=2)
    step(folder, "01-words")
    assert penalties(book) == {"01-words": None}


def test_a_submission_without_a_time_is_not_late(book: Gradebook, folder: Path):
    book.add_submission("01-words", "student-01")
    step(folder, "01-words")
    assert penalties(book) == {"01-words": None}


def test_the_plugin_serves_nbgraders_own_step(book: Gradebook, folder: Path):
    settings = read_settings(folder)
    hand_in(book, settings, "01-words", 4)
    register(book, settings)
    step(folder, "01-words", AssignLatePenalties)
    assert penalties(book) == {"01-words": 1.6}


def test_the_folder_must_be_named():
    with pytest.raises(GradingError, match=r"c\.LatePenalty\.course must name the folder"):
        _ = LatePenalty().settings


def test_what_settle_returns_is_what_feedback_says(book: Gradebook, folder: Path):
    settings = read_settings(folder)
    hand_in(book, settings, "01-words", 26 / 24)
    late = settle(book, settings)["student-01"]["01-words"]
    assert (
        explain(late, settings)
        == "handed in 26 hours late: 2 of your 2 late days are used, none is left"
    )


def test_dates_are_a_settings_matter():
    settings = course(FRACTION, dates={"01": Dates(DUE)})
    assert settings.due("01", "student-01") == DUE
