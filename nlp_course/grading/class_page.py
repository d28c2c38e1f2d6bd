"""One page about a graded class, for its instructors: a file that needs nothing but a browser.

It holds names, marks, students' answers and messages of hidden tests: not for publication. What
students wrote is escaped and bounded, and the page's own policy lets a browser run and fetch
nothing but what is part of the page.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import SequenceMatcher
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nlp_course.grading.report import Total, legible, number, total
from nlp_course.grading.scoring import Status, StudentReport, TestResult
from nlp_course.grading.similarity import Pair, rule

LONGEST_MESSAGE = 300
MOST_MESSAGES = 8  # of a question
MOST_NAMES = 12  # in a list; the rest are counted
MOST_PAIRS = 40
# Of all comparisons on the page, and of one.
MOST_LINES = 2500
LINES_OF_ONE = 120
LONGEST_LINE = 140
BINS = 10
BAR = 200  # width of a bar of results, in its own units


@dataclass
class Message:
    """A message that tests gave, numbers aside, and to whom."""

    text: str
    status: Status
    hidden: bool
    students: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TestRow:
    """How a test cell ended over the class."""

    __test__ = False  # not a test of ours, whatever its name

    name: str
    hidden: bool
    counts: Mapping[Status, int]

    @property
    def bars(self) -> list[tuple[Status, float, float]]:
        """Status, left end and width of each part of the row's bar."""
        everyone = max(1, sum(self.counts.values()))
        ends = BAR * np.cumsum([0, *(self.counts[status] for status in Status)]) / everyone
        parts = zip(Status, ends[:-1], np.diff(ends), strict=True)
        return [(status, round(x, 2), round(width, 2)) for status, x, width in parts if width]


@dataclass(frozen=True)
class Question:
    """How a question went over the class.

    Parameters
    ----------
    share : mean of the points got, of those that can be got; None where nothing is marked
    full, marked : students with all points, and with any mark
    waiting : students whose answer waits for a person
    more : messages that are not among those shown
    """

    name: str
    share: float | None
    full: int
    marked: int
    waiting: int = 0
    tests: tuple[TestRow, ...] = ()
    messages: tuple[Message, ...] = ()
    more: int = 0


def class_page(
    reports: Sequence[StudentReport],
    *,
    assignment: str,
    graded_at: datetime,
    title: str = "",
    promises: Mapping[str, str] | None = None,
    review: Sequence[tuple[str, str]] = (),
    pairs: Sequence[Pair] = (),
) -> str:
    """The page, as HTML.

    Parameters
    ----------
    assignment, title : its name, and what students know it by
    promises : name of a sandbox -> one sentence on what it keeps apart and what not
    review : what was handed in and could not be told apart: file or student, and a sentence
    pairs : answers that are nearly the same, from `similarity.near_identical`
    """
    sums = [total(report) for report in reports]
    anchors = [f"s{place}" for place in range(len(reports))]
    rows = list(zip(reports, sums, anchors, strict=True))
    questions = _questions(reports)
    templates = files("nlp_course.grading") / "templates"
    style = (templates / "class_page.css").read_text(encoding="utf-8")
    script = (templates / "class_page.js").read_text(encoding="utf-8")
    ran = [report for report in reports if report.failure is None and report.seconds]
    return (
        _environment()
        .get_template("class_page.html.j2")
        .render(
            assignment=assignment,
            title=title or assignment,
            graded_at=f"{graded_at.day} {graded_at:%B %Y, %H:%M %Z}".strip(),
            style=Markup(style),
            script=Markup(script),
            policy=f"default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
            f"style-src '{_digest(style)}'; script-src '{_digest(script)}'",
            facts=_facts(reports, sums),
            sandboxes=_sandboxes(reports, promises or {}),
            review=review,
            look=_look(reports, pairs),
            chart=_chart([share for made in sums if (share := _share(made)) is not None]),
            questions=questions,
            statuses=list(Status),
            bar=BAR,
            pairs=_pairs(reports, pairs),
            hidden_pairs=max(0, len(pairs) - MOST_PAIRS),
            rule=rule(len(reports)),
            repairs=_grouped((r.student, repair) for r in reports for repair in r.repairs),
            times=_times([report.seconds for report in ran]),
            slowest=sorted(ran, key=lambda report: -report.seconds)[:5],
            rows=rows,
            got=[_got(report) for report in reports],
            anchors={report.student: anchor for report, _, anchor in rows},
            most_names=MOST_NAMES,
        )
    )


def _environment() -> Environment:
    """Templates in which every text is made legible and escaped, whoever wrote it."""
    environment = Environment(
        loader=PackageLoader("nlp_course.grading", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters["number"] = number
    return environment


def _shown(value: Any) -> Any:
    return legible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _share(sums: Total | None) -> float | None:
    """Points got of those that are marked so far, in per cent."""
    if sums is None or sums.maximum <= sums.waiting:
        return None
    return 100 * sums.points / (sums.maximum - sums.waiting)


def _facts(reports: Sequence[StudentReport], sums: Sequence[Total | None]) -> dict[str, str]:
    graded = [made for made in sums if made]
    shares = [share for made in graded if (share := _share(made)) is not None]
    waiting = sum(bool(made.waiting) for made in graded)
    return {
        "Handed in": str(len(reports)),
        "Graded": str(len(graded)),
        "Not graded": str(len(reports) - len(graded)),
        "Waiting for a person": str(waiting),
        "Repaired": str(sum(bool(report.repairs) for report in reports)),
        "Median mark": f"{np.median(shares):.0f}%" if shares else "–",
    }


def _sandboxes(
    reports: Sequence[StudentReport], promises: Mapping[str, str]
) -> list[tuple[str, int, str]]:
    used = Counter(report.sandbox for report in reports if report.sandbox)
    return [(name, count, promises.get(name, "")) for name, count in used.most_common()]


def _look(
    reports: Sequence[StudentReport], pairs: Sequence[Pair]
) -> dict[str, list[tuple[str, list[str]]]]:
    """What a person should look at: kind -> sentences, and of which students they are said."""
    kinds: dict[str, list[tuple[str, str]]] = {
        kind: [] for kind in ("Not graded", "Out of time", "Warnings", "Waiting for a person")
    }
    for report in reports:
        if report.failure is not None:
            kinds["Not graded"].append((report.student, report.failure))
            continue
        for test in report.tests:
            if test.status == Status.TIMEOUT:
                kinds["Out of time"].append((report.student, test.grade_id))
        for name, (points, _) in report.by_hand.items():
            if points is None:
                kinds["Waiting for a person"].append((report.student, name))
        kinds["Warnings"] += [(report.student, warning) for warning in report.warnings]
    alike = dict.fromkeys(student for pair in pairs for student in (pair.first, pair.second))
    kinds["Nearly the same answers"] = [(student, "compared below") for student in alike]
    return {kind: _grouped(said) for kind, said in kinds.items() if said}


def _chart(shares: Sequence[float]) -> dict[str, Any] | None:
    """The histogram of marks: bars, ticks and counts, in the drawing's units of 480 by 230."""
    if not shares:
        return None
    clipped = np.clip(shares, 0, 100)
    counts, edges = np.histogram(clipped, bins=BINS, range=(0, 100))
    highest = int(counts.max())
    step = _step(highest)
    top = step * math.ceil(highest / step)
    left, bottom, width, height = 52, 178, 416, 150
    bars = []
    for place, count in enumerate(counts.tolist()):
        tall = height * count / top
        last = place == BINS - 1
        bars.append(
            {
                "x": left + place * width / BINS + 2,
                "y": round(bottom - tall, 1),
                "width": width / BINS - 4,
                "height": round(tall, 1),
                "count": count,
                "label": f"{edges[place]:.0f} to {edges[place + 1]:.0f}"
                + ("%" if last else "%, less than the upper end"),
            }
        )
    ticks = [(value, bottom - height * value / top) for value in range(0, top + 1, step)]
    marks = [(value, left + width * value / 100) for value in range(0, 101, 20)]
    return {"bars": bars, "ticks": ticks, "marks": marks, "left": left, "bottom": bottom}


def _step(highest: int) -> int:
    """A round distance of at most five ticks up to the highest bar."""
    for power in range(9):
        for digit in (1, 2, 5):
            if digit * 10**power * 5 >= highest:
                return digit * 10**power
    return highest


def _questions(reports: Sequence[StudentReport]) -> list[Question]:
    graded = [report for report in reports if report.failure is None]
    by_question: dict[str, dict[str, list[tuple[str, TestResult]]]] = {}
    for report in graded:
        for test in report.tests:
            cells = by_question.setdefault(test.question, {})
            cells.setdefault(test.grade_id, []).append((report.student, test))
    questions = []
    for name, cells in by_question.items():
        tests = [test for results in cells.values() for _, test in results]
        points: dict[str, list[float]] = {}
        for results in cells.values():
            for student, test in results:
                points.setdefault(student, []).append(test.points - test.maximum)
        most = math.fsum(test.maximum for test in tests)
        messages = _messages(pair for results in cells.values() for pair in results)
        questions.append(
            Question(
                name,
                100 * math.fsum(test.points for test in tests) / most if most else None,
                full=sum(math.fsum(lost) >= 0 for lost in points.values()),
                marked=len(points),
                tests=tuple(
                    TestRow(
                        cell,
                        results[0][1].hidden,
                        {s: sum(test.status == s for _, test in results) for s in Status},
                    )
                    for cell, results in cells.items()
                ),
                messages=tuple(messages[:MOST_MESSAGES]),
                more=max(0, len(messages) - MOST_MESSAGES),
            )
        )
    return questions + _marked_by_hand(graded)


def _marked_by_hand(graded: Sequence[StudentReport]) -> list[Question]:
    questions = []
    for name in dict.fromkeys(name for report in graded for name in report.by_hand):
        marks = [report.by_hand[name] for report in graded if name in report.by_hand]
        given = [(points, most) for points, most in marks if points is not None]
        most = math.fsum(most for _, most in given)
        share = 100 * math.fsum(points for points, _ in given) / most if most else None
        full = sum(points >= most for points, most in given)
        questions.append(Question(name, share, full, len(given), len(marks) - len(given)))
    return questions


def _messages(results: Iterable[tuple[str, TestResult]]) -> list[Message]:
    """Messages, the commonest first; those that differ in numbers alone are one."""
    found: dict[tuple[Status, str, bool], Message] = {}
    for student, test in results:
        if test.status == Status.PASSED:
            continue
        text = legible(" ".join(test.message[: 4 * LONGEST_MESSAGE].split()), LONGEST_MESSAGE)
        key = test.status, re.sub(r"-?\d+(\.\d+)?(e[+-]?\d+)?", "#", text), test.hidden
        message = found.setdefault(key, Message(text, test.status, test.hidden))
        if student not in message.students:
            message.students.append(student)
    return sorted(found.values(), key=lambda message: -len(message.students))


def _grouped(said: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Sentences and who they are said of, the commonest first."""
    found: dict[str, list[str]] = {}
    for student, sentence in said:
        found.setdefault(legible(sentence, LONGEST_MESSAGE), []).append(student)
    return sorted(found.items(), key=lambda item: -len(item[1]))


def _times(seconds: Sequence[float]) -> dict[str, str]:
    """What running one submission took, in seconds."""
    if not seconds:
        return {}
    half, most, longest = np.percentile(seconds, [50, 90, 100])
    return {
        "Half took at most": f"{half:.1f} s",
        "Nine in ten took at most": f"{most:.1f} s",
        "The longest took": f"{longest:.1f} s",
        "All together": f"{math.fsum(seconds) / 60:.1f} min",
    }


def _got(report: StudentReport) -> dict[str, float | None]:
    """Points by question; None where the submission or the question is not marked."""
    if report.failure is not None:
        return {}
    got: dict[str, float | None] = {}
    for test in report.tests:
        got[test.question] = (got.get(test.question) or 0.0) + test.points
    return {**got, **{name: points for name, (points, _) in report.by_hand.items()}}


def _pairs(reports: Sequence[StudentReport], pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Pairs with their answers side by side, as long as there is room on the page."""
    answers = {report.student: report.answers for report in reports}
    room = MOST_LINES
    shown = []
    for pair in pairs[:MOST_PAIRS]:
        matches = []
        for match in pair.matches:
            one = answers.get(pair.first, {}).get(match.question, "")
            other = answers.get(pair.second, {}).get(match.question, "")
            lines = side_by_side(one, other) if room > 0 else []
            room -= len(lines)
            matches.append({"match": match, "lines": lines})
        shown.append({"pair": pair, "matches": matches})
    return shown


def side_by_side(one: str, other: str) -> list[tuple[str, str, bool]]:
    r"""Lines of two texts, those that belong together in a row, and whether they are equal.

    >>> side_by_side("a\nb\nc", "a\nc")
    [('a', 'a', True), ('b', '', False), ('c', 'c', True)]
    """
    left, right = (
        [legible(line, LONGEST_LINE) for line in text[: LINES_OF_ONE * LONGEST_LINE].splitlines()]
        for text in (one, other)
    )
    rows: list[tuple[str, str, bool]] = []
    matcher = SequenceMatcher(None, left[:LINES_OF_ONE], right[:LINES_OF_ONE], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        for place in range(max(b - a, d - c)):
            first = left[a + place] if a + place < b else ""
            second = right[c + place] if c + place < d else ""
            rows.append((first, second, kind == "equal"))
    return rows
