"""Marks: read from the gradebook, printed as a table, written as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbgrader.api import Gradebook

from nlp_course.grading.notebooks import GradingError


@dataclass(frozen=True)
class Marks:
    """One student's marks for one assignment.

    Parameters
    ----------
    student : their id
    tests : points got at each cell that tests mark; None where the submission was not graded
    points : points there are at each of these cells
    by_hand : points that wait for a person
    notes : what was repaired, and what nbgrader warned of
    failure : why there are no marks; None where there are
    """

    student: str
    tests: Mapping[str, float] | None
    points: Mapping[str, float]
    by_hand: float = 0.0
    notes: tuple[str, ...] = ()
    failure: str | None = None

    @property
    def automatic(self) -> float | None:
        """Points the tests gave."""
        return None if self.tests is None else sum(self.tests.values(), 0.0)

    @property
    def maximum(self) -> float:
        """Points the tests can give."""
        return sum(self.points.values(), 0.0)

    @property
    def lost(self) -> list[str]:
        """Cells whose tests did not give all their points."""
        tests = self.tests or {}
        return [name for name, points in self.points.items() if tests.get(name, 0.0) < points]

    @property
    def outcome(self) -> str:
        """What happened, in one line."""
        if self.failure:
            return f"not graded: {self.failure}"
        if not self.lost:
            said = "passed all tests"
        elif len(self.lost) == len(self.points):
            said = "failed all tests"
        else:
            said = f"failed {', '.join(self.lost)}"
        return "; ".join([said, *self.notes])


def read_marks(
    gradebook: str, assignment: str, student: str, points: Mapping[str, float]
) -> tuple[dict[str, float], float]:
    """Points at each test cell, and those that wait for a person, from nbgrader's gradebook.

    Raises
    ------
    GradingError : a test cell was not marked.
    """
    with Gradebook(gradebook) as book:
        submission = book.find_submission(assignment, student)
        grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
        scores = {grade.name: grade.auto_score for grade in grades}
        by_hand = sum((float(grade.max_score) for grade in grades if grade.needs_manual_grade), 0.0)
    unmarked = [name for name in points if scores.get(name) is None]
    if unmarked:
        raise GradingError(f"nbgrader gave no score for {', '.join(unmarked)}")
    return {name: float(scores[name]) for name in points}, by_hand


def table(marks: Sequence[Marks], about: Mapping[str, str], outcome: Mapping[str, str]) -> str:
    """The class as text: who, what they handed in, marks, points that wait, what happened."""
    head = ("student", "handed in", "marks", "of", "by hand", "what happened")
    rows = [
        (
            row.student,
            about[row.student],
            "–" if row.automatic is None else f"{row.automatic:g}",
            f"{row.maximum:g}",
            f"{row.by_hand:g}",
            outcome[row.student],
        )
        for row in marks
    ]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    widths[-1] = len(head[-1])  # the last column may run on
    rule = tuple("─" * width for width in widths)
    return "\n".join(
        "  ".join(
            text.rjust(width) if column in (2, 3, 4) else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, rule, *rows]
    )


def write_csv(path: Path, marks: Sequence[Marks]) -> None:
    """One line a student; empty, not 0, where a submission was not graded."""
    tests = list(marks[0].points) if marks else []
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["student", "automatic", "maximum", "by_hand", *tests, "failure", "notes"])
        for row in marks:
            got = [""] * len(tests) if row.tests is None else [f"{row.tests[t]:g}" for t in tests]
            automatic = "" if row.automatic is None else f"{row.automatic:g}"
            sums = [automatic, f"{row.maximum:g}", f"{row.by_hand:g}"]
            words = [row.failure or "", "; ".join(row.notes)]
            writer.writerow([row.student, *sums, *got, *words])
