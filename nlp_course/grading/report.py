"""Marks as CSV: for people, for Canvas's gradebook, for Moodle's assignment.

What a platform reads was taken from the importer's own source: Canvas's `lib/gradebook_importer.rb`
and Moodle's `mod/assign/feedback/offline/importgradeslib.php`.
"""

from __future__ import annotations

import csv
import html
import io
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.roster import Person
from nlp_course.grading.scoring import StudentReport

# A spreadsheet runs a cell that begins so; names and messages are not ours.
RUNS_IN_A_SPREADSHEET = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
TURNS_WRITING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Canvas skips a column whose title holds one of these, for it writes such columns itself.
CANVAS_SKIPS = (
    *("Current Score", "Current Points", "Current Grade"),
    *("Final Score", "Final Points", "Final Grade"),
    *("Override Score", "Override Grade", "Override Status"),
)
# Canvas takes a line for the maxima, whoever's it is, if its first cell holds this.
CANVAS_MAXIMA = "Points Possible"
LONGEST_CELL = 2000
COMMENT_LENGTH = 4000


@dataclass(frozen=True)
class Total:
    """What a submission's points add up to; see `total`.

    Parameters
    ----------
    automatic : points that tests gave
    by_hand : points that people gave
    waiting : points that nobody has given or refused yet
    penalty : points that the late policy takes
    maximum : points there are, those that wait among them
    """

    automatic: float
    by_hand: float
    waiting: float
    penalty: float
    maximum: float

    @property
    def points(self) -> float:
        """All points so far, less the penalty; never below 0."""
        return max(0.0, self.automatic + self.by_hand - self.penalty)


def total(report: StudentReport) -> Total | None:
    """What a submission's points add up to; None where it was not graded."""
    if report.failure is not None:
        return None
    given = report.by_hand.values()
    return Total(
        automatic=math.fsum(test.points for test in report.tests),
        by_hand=math.fsum(points for points, _ in given if points is not None),
        waiting=math.fsum(maximum for points, maximum in given if points is None),
        penalty=report.penalty,
        maximum=math.fsum(test.maximum for test in report.tests)
        + math.fsum(maximum for _, maximum in given),
    )


def number(value: float | None) -> str:
    """Points as text, at most four decimals; nothing for None.

    >>> number(6.0), number(2 / 3), number(-0.0), number(None)
    ('6', '0.6667', '0', '')
    """
    if value is None:
        return ""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def legible(text: str, longest: int = LONGEST_CELL) -> str:
    r"""What a stranger wrote, fit to be shown: no control characters, bounded.

    Lone surrogates cannot be written to a file, and characters that turn the direction of
    writing make a text say what it does not.

    >>> legible("a\x00b\u202ec"), legible("abcdef", 4)
    ('a�b�c', 'abc…')
    """
    text = text[: longest + 1]
    if not text.isprintable():
        text = "".join(
            "�"
            if c in TURNS_WRITING or (unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t")
            else c
            for c in text
        )
    return text if len(text) <= longest else text[: longest - 1] + "…"


def defused(text: str, longest: int = LONGEST_CELL) -> str:
    """A text that no spreadsheet takes for a formula.

    >>> defused("=HYPERLINK(1)"), defused(" +1"), defused("Ann-Marie")
    ("'=HYPERLINK(1)", "' +1", 'Ann-Marie')
    """
    text = legible(text, longest)
    runs = text.startswith(RUNS_IN_A_SPREADSHEET) or text.lstrip().startswith(RUNS_IN_A_SPREADSHEET)
    return f"'{text}" if runs else text


def table(reports: Sequence[StudentReport]) -> str:
    """The class as text: who, marks, points that wait for a person, what happened."""
    head = ("student", "marks", "of", "waiting", "what happened")
    rows = []
    for report in reports:
        sums = total(report)
        marks = ("–", "–", "–") if sums is None else (sums.points, sums.maximum, sums.waiting)
        numbers = [mark if isinstance(mark, str) else number(mark) for mark in marks]
        rows.append((legible(report.student, 40), *numbers, _what_happened(report)))
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(4)]
    return "\n".join(
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(row[column].rjust(widths[column]) for column in (1, 2, 3)),
                row[4],
            ]
        ).rstrip()
        for row in [head, *rows]
    )


def _what_happened(report: StudentReport) -> str:
    if report.failure is not None:
        return f"not graded: {legible(report.failure, 200)}"
    lost = [test.grade_id for test in report.tests if test.points < test.maximum]
    said = f"lost points on {', '.join(lost)}" if lost else "passed all tests"
    if lost and len(lost) == len(report.tests):
        said = "passed no test"
    return legible("; ".join([said, *report.repairs, *report.warnings]), 400)


def plain_csv(reports: Sequence[StudentReport]) -> str:
    """Marks of a class, a line a student, every test a column.

    A submission that was not graded has empty marks, not 0. A column is also there for each
    question that people mark; it is empty while it waits.
    """
    tests = dict.fromkeys(test.grade_id for report in reports for test in report.tests)
    marked = dict.fromkeys(name for report in reports for name in report.by_hand)
    head = ["student", "name", "total", "maximum", "automatic", "by_hand", "waiting", "late"]
    head += ["late_penalty", *map(defused, tests), *map(defused, marked)]
    head += ["failure", "repairs", "warnings"]
    rows = []
    for report in reports:
        sums = total(report)
        got = {test.grade_id: test.points for test in report.tests} if sums else {}
        given = {name: points for name, (points, _) in report.by_hand.items()} if sums else {}
        rows.append(
            [
                defused(report.student),
                defused(report.name),
                *_sums(sums),
                defused(report.late),
                number(sums.penalty) if sums else "",
                *(number(got.get(name)) for name in tests),
                *(number(given.get(name)) for name in marked),
                defused(report.failure or ""),
                defused("; ".join(report.repairs)),
                defused("; ".join(report.warnings)),
            ]
        )
    return _csv([head, *rows])


def _sums(sums: Total | None) -> list[str]:
    if sums is None:
        return [""] * 5
    numbers = (sums.points, sums.maximum, sums.automatic, sums.by_hand, sums.waiting)
    return [number(value) for value in numbers]


def canvas_csv(
    reports: Sequence[StudentReport],
    assignment: str,
    *,
    assignment_id: int | None = None,
    roster: Mapping[str, Person] | None = None,
    unfinished: bool = False,
) -> str:
    """Marks for Canvas: Grades, Import.

    Canvas finds a student by the number in `ID`, else by `SIS Login ID`, else by name; and the
    assignment by the number in brackets after its title, else by the title alone. A title it does
    not know makes a new assignment, of `Points Possible` points.

    Parameters
    ----------
    assignment, assignment_id : title and number in Canvas; the number ends the assignment's address
    roster : people by id, for their sections and where a report lacks Canvas's number
    unfinished : also send totals that still wait for a person; else their cells stay empty

    Raises
    ------
    GradingError : a title that Canvas would take for something else, or submissions that do not
        have the same points to win.
    """
    if not assignment.strip():
        raise GradingError("the assignment has no title; Canvas finds it by its title")
    skipped = next((words for words in CANVAS_SKIPS if words in assignment), None)
    if skipped:
        raise GradingError(
            f"Canvas skips columns with {skipped!r} in their title; rename the assignment there"
        )
    title = assignment if assignment_id is None else f"{assignment} ({assignment_id})"
    people = roster or {}
    rows = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", legible(title)],
        # Canvas writes the spaces itself: they sort the row above all names.
        [f"    {CANVAS_MAXIMA}", "", "", "", "", number(_maximum(reports))],
    ]
    for report in reports:
        person = people.get(report.student, Person(report.student))
        identity = next((i for i in (report.lms_id, person.lms_id) if i.isdecimal()), "")
        login = "" if report.student == identity else report.student
        name = _name(report, person)
        if CANVAS_MAXIMA in name:
            name = defused(report.student)
        section = defused(person.section)
        rows.append([name, identity, "", defused(login), section, _mark(report, unfinished)])
    return _csv(rows)


def moodle_csv(
    reports: Sequence[StudentReport],
    *,
    roster: Mapping[str, Person] | None = None,
    unfinished: bool = False,
) -> str:
    """Marks for Moodle: "Grades, Import, CSV file", mapped from `Email address`.

    It is no grading worksheet: that finds people by numbers which Moodle gives out afresh for each
    assignment, and a number of another kind could be another student's.

    Parameters
    ----------
    roster : people by id, for their addresses
    unfinished : also send totals that still wait for a person; else their cells stay empty

    Raises
    ------
    GradingError : students whom Moodle could not find.
    """
    people = roster or {}
    rows = [["Full name", "Email address", "Grade", "Maximum Grade", "Feedback comments"]]
    addressless = []
    for report in reports:
        person = people.get(report.student, Person(report.student))
        if not person.email:
            addressless.append(report.student)
        sums = total(report)
        rows.append(
            [
                _name(report, person),
                defused(person.email),
                _mark(report, unfinished),
                number(sums.maximum) if sums else "",
                comment(report),
            ]
        )
    if addressless:
        raise GradingError(
            "Moodle finds students by their addresses, from the roster; there is none for "
            f"{_some(addressless)}"
        )
    return _csv(rows)


def comment(report: StudentReport) -> str:
    """One paragraph for the student, as HTML: points by question, and what they cost.

    Platforms show comments as HTML, so everything is escaped. Messages of tests do not belong
    here: those of hidden tests would tell them.
    """
    sums = total(report)
    if sums is None:
        return ""
    parts = [f"{number(sums.points)} of {number(sums.maximum)} points."]
    questions: dict[str, tuple[float, float]] = {}
    for test in report.tests:
        got, maximum = questions.get(test.question, (0.0, 0.0))
        questions[test.question] = (got + test.points, maximum + test.maximum)
    questions.update(
        {name: (got, most) for name, (got, most) in report.by_hand.items() if got is not None}
    )
    lost = [
        f"{name} {number(got)} of {number(maximum)}"
        for name, (got, maximum) in questions.items()
        if got < maximum
    ]
    if lost:
        parts.append(f"Not all points: {', '.join(lost)}.")
    if sums.waiting:
        parts.append(f"Not marked yet: {number(sums.waiting)} points.")
    if sums.penalty:
        parts.append(f"{report.late or 'Late'}: -{number(sums.penalty)}.")
    return html.escape(legible(" ".join(parts), COMMENT_LENGTH))


def _name(report: StudentReport, person: Person) -> str:
    # Canvas counts separators line by line before it reads the file.
    return defused(" ".join((report.name or person.name or report.student).split()))


def _mark(report: StudentReport, unfinished: bool) -> str:
    sums = total(report)
    return "" if sums is None or (sums.waiting and not unfinished) else number(sums.points)


def _maximum(reports: Iterable[StudentReport]) -> float | None:
    """Points of the assignment; None where nothing was graded."""
    known = {round(sums.maximum, 4) for report in reports if (sums := total(report))}
    if len(known) > 1:
        raise GradingError(
            f"submissions have {' and '.join(map(number, sorted(known)))} points to win; "
            "they were graded with different versions of the assignment: grade all again"
        )
    return next(iter(known), None)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _csv(rows: Iterable[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
