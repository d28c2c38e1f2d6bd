"""What a late submission costs, by the dates and the policy of `course.toml`.

A late day ends at the due date's time of day in the course's zone, however many hours it has, and
counts once begun. Free late days are spent in the order of due dates, the earliest first,
whatever order submissions are graded in: all is computed from when each was handed in, as the
gradebook knows it, so grading again gives the same. The points taken are a fraction of those
earned, rounded to a hundredth of a point, halves down; never more than were earned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_DOWN, Decimal
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbgrader.api import Assignment, Gradebook, SubmittedAssignment, SubmittedNotebook
from nbgrader.plugins import BasePlugin, LateSubmissionPlugin
from nbgrader.preprocessors import AssignLatePenalties
from sqlalchemy import Select, select
from traitlets import Type, Unicode

from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.settings import LatePolicy, Settings, days_after, read_settings


@dataclass(frozen=True)
class Submitted:
    """When one student's assignment was due, for all and for them, and handed in; all in UTC."""

    due: datetime
    own_due: datetime
    handed_in: datetime
    closes: datetime | None = None

    def __post_init__(self) -> None:
        moments = [self.due, self.own_due, self.handed_in, self.closes]
        if any(moment is not None and moment.tzinfo is not UTC for moment in moments):
            # Python subtracts times of one zone as if its clocks never changed.
            raise ValueError(f"moments must be in UTC, got {self}")


@dataclass(frozen=True)
class Lateness:
    """How late one assignment was, and what that costs.

    Parameters
    ----------
    by : time since the student's own due date; zero if on time, or within the policy's grace
    days : days begun since then
    free : free late days that it uses
    free_before : free late days that earlier assignments use
    fraction : of the points earned, what is taken; 1 after the last moment
    closed : the last moment, if the submission came after it
    """

    by: timedelta = timedelta(0)
    days: int = 0
    free: int = 0
    free_before: int = 0
    fraction: Decimal = Decimal(0)
    closed: datetime | None = None

    def penalty(self, score: float) -> float:
        """Points taken from those earned."""
        if self.fraction == 1:
            return max(score, 0.0)  # nothing is left over from rounding
        exact = Decimal(str(score)) * self.fraction
        rounded = float(exact.quantize(Decimal("0.01"), ROUND_HALF_DOWN))
        return min(max(rounded, 0.0), max(score, 0.0))


def days_begun(due: datetime, handed_in: datetime, settings: Settings) -> int:
    """Late days begun, of moments in UTC; 0 up to the due date and at it."""
    # Days differ from 24 hours by an hour or two, so the answer is near this.
    days = max((handed_in - due) // timedelta(days=1) - 1, 0)
    while handed_in > days_after(due, days, settings.zone):
        days += 1
    return days


def lateness(submitted: Mapping[str, Submitted], settings: Settings) -> dict[str, Lateness]:
    """How late each of one student's assignments was, in the order of due dates.

    Free late days go to the earliest due dates first; one that came after its last moment uses
    none.
    """
    policy, used, found = settings.late, 0, {}
    for name, one in sorted(submitted.items(), key=lambda item: (item[1].due, item[0])):
        by = one.handed_in - one.own_due
        if by <= policy.grace:
            found[name] = Lateness(free_before=used)
            continue
        days = days_begun(one.own_due, one.handed_in, settings)
        closes = _last_moment(one, settings)
        if closes is not None and one.handed_in > closes + policy.grace:
            found[name] = Lateness(by, days, 0, used, Decimal(1), closes)
            continue
        each = days if policy.free_days_each is None else policy.free_days_each
        free = min(days, each, policy.free_days - used)
        per_day, most = Decimal(str(policy.per_day)), Decimal(str(policy.maximum))
        found[name] = Lateness(by, days, free, used, min((days - free) * per_day, most))
        used += free
    return found


def _last_moment(one: Submitted, settings: Settings) -> datetime | None:
    """After this a submission counts 0; an extension beyond it moves it."""
    moments = []
    if one.closes is not None:
        moments.append(max(one.closes, one.own_due))
    if settings.late.last_days is not None:
        moments.append(days_after(one.own_due, settings.late.last_days, settings.zone))
    return min(moments, default=None)


def explain(late: Lateness, settings: Settings) -> str:
    """A student's lateness in a sentence, without its stop; nothing for who was on time."""
    if not late.by:
        return ""
    policy, said = settings.late, f"handed in {_duration(late.by)} late"
    if late.closed is not None:
        moment = late.closed.astimezone(settings.zone)
        last = f"{moment.day} {moment:%B %Y, %H:%M} ({settings.zone.key})"
        return f"{said}, after the last moment for it, {last}: it counts 0"
    parts = []
    if policy.free_days:
        parts.append(_free_days(late, policy))
    if late.fraction:
        days = _count(late.days - late.free, "day") + (" more" if late.free else "")
        most = ", the most there is" if late.fraction == Decimal(str(policy.maximum)) else ""
        percent = f"{float(late.fraction * 100):g}%"
        parts.append(f"{percent} of the points earned are taken off, for {days} begun{most}")
    return f"{said}: {'; '.join(parts) or 'nothing is taken off'}"


def _free_days(late: Lateness, policy: LatePolicy) -> str:
    yours = f"your {_count(policy.free_days, 'late day')}"
    if not late.free:
        return f"none of {yours} was left"
    more = " more" if late.free_before else ""
    left = policy.free_days - late.free_before - late.free
    remain = f", {left or 'none'} {'are' if left > 1 else 'is'} left" if more or not left else ""
    return f"{late.free}{more} of {yours} {'is' if late.free == 1 else 'are'} used{remain}"


def _duration(by: timedelta) -> str:
    """Whole hours, or the unit in which there is at least one and not very many."""
    minutes = by // timedelta(minutes=1)
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return _count(minutes, "minute")
    hours = minutes // 60
    return _count(hours, "hour") if hours < 48 else _count(hours // 24, "day")


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


def register(book: Gradebook, settings: Settings, student: str | None = None) -> None:
    """Write due dates and extensions into nbgrader's gradebook, where its pages show them.

    An assignment that `course.toml` gives no date keeps those that were set in the formgrader or
    with `grant_extension`.

    Parameters
    ----------
    student : whose extensions are written; everybody's, if none is named
    """
    for assignment in book.db.scalars(select(Assignment)).all():
        dates = settings.dates.get(assignment.name)
        if dates is not None:
            # nbgrader keeps times in UTC, and without saying so.
            _set(assignment, "duedate", dates.due.astimezone(UTC).replace(tzinfo=None))
    for submission in book.db.scalars(_only(select(SubmittedAssignment), student)).all():
        dates = settings.dates.get(submission.name)
        if dates is not None:
            own = settings.extensions.get((submission.student_id, submission.name))
            _set(submission, "extension", None if own is None else own - dates.due)
    book.db.commit()


def settle(
    book: Gradebook, settings: Settings, student: str | None = None
) -> dict[str, dict[str, Lateness]]:
    """Write the penalty of every submission into the gradebook; the same again changes nothing.

    Marks given by hand count: settle again when they are in, before marks are exported.

    Parameters
    ----------
    student : whose; everybody's, if none is named

    Returns
    -------
    Lateness by student and assignment.
    """
    register(book, settings, student)
    late = _latenesses(book, settings, student)
    query = select(SubmittedNotebook, SubmittedAssignment).join(SubmittedNotebook.assignment)
    for notebook, submission in book.db.execute(_only(query, student)).all():
        one = late.get(submission.student_id, {}).get(submission.name, Lateness())
        # nbgrader, too, writes None where nothing is taken; a score is a slow question to it.
        penalty = one.penalty(notebook.score) or None if one.fraction else None
        _set(notebook, "late_submission_penalty", penalty)
    book.db.commit()
    return late


def _latenesses(
    book: Gradebook, settings: Settings, student: str | None
) -> dict[str, dict[str, Lateness]]:
    submitted: dict[str, dict[str, Submitted]] = {}
    for submission in book.db.scalars(_only(select(SubmittedAssignment), student)).all():
        due, own_due = submission.assignment.duedate, submission.duedate
        if due is None or submission.timestamp is None:
            continue
        dates = settings.dates.get(submission.name)
        submitted.setdefault(submission.student_id, {})[submission.name] = Submitted(
            due.replace(tzinfo=UTC),
            own_due.replace(tzinfo=UTC),
            submission.timestamp.replace(tzinfo=UTC),
            None if dates is None else dates.closes,
        )
    return {name: lateness(theirs, settings) for name, theirs in submitted.items()}


def _only(query: Select[Any], student: str | None) -> Select[Any]:
    return query if student is None else query.where(SubmittedAssignment.student_id == student)


def _set(row: Any, name: str, value: object) -> None:
    """Change a row only if it differs: what is not changed needs no lock."""
    if getattr(row, name) != value:
        setattr(row, name, value)


class LatePenalty(LateSubmissionPlugin):
    """nbgrader's question, what a late notebook loses, answered by `course.toml`."""

    course = Unicode(help="folder that holds course.toml").tag(config=True)

    @property
    def settings(self) -> Settings:
        """As they are now: a JupyterLab that runs for weeks sees each change."""
        if not self.course:
            raise GradingError("c.LatePenalty.course must name the folder that holds course.toml")
        return read_settings(Path(self.course))

    def late_submission_penalty(
        self,
        student_id: str,
        score: float,
        total_seconds_late: float,  # noqa: ARG002  (the policy counts days, in the course's zone)
    ) -> float | None:
        """Points taken from the notebook that nbgrader's own step is at; None for none."""
        book, assignment = self.parent.gradebook, self.parent.assignment_id
        late = _latenesses(book, self.settings, student_id)
        return late[student_id][assignment].penalty(score) or None


class AssignPenalties(AssignLatePenalties):
    """Takes the place of nbgrader's step, which asks only about what is late, and only about that.

    Handed in again and on time, an assignment gives back free late days that others may then use.
    """

    plugin_class = Type(LatePenalty, klass=BasePlugin).tag(config=True)

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Settle all that the student handed in; the notebook stays as it is."""
        self.init_plugin()
        about, settings = resources["nbgrader"], self.plugin_inst.settings
        with Gradebook(about["db_url"], settings.course_id) as book:
            settle(book, settings, about["student"])
        return nb, resources
