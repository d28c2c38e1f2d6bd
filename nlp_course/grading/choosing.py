"""Which of the files of one student is the one to grade.

The same answers twice are one; the untouched release is not an answer beside one that is; of what
was handed in again the last counts. Anything else is for a person, who lays the right file into
the student's folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from nbformat import NotebookNode

from nlp_course.grading.archives import File
from nlp_course.grading.matching import answers, labels, same
from nlp_course.grading.reading import Cell, IntakeError, read_cells
from nlp_course.grading.rebuild import Rebuilt, rebuild_cells

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Candidate:
    """A file that answers the assignment.

    Parameters
    ----------
    file : as it was handed in
    rebuilt : the release with its answers
    untouched : whether it answers nothing
    order : grows with each time the student hands in; 0 where that is not known
    handed_in : when, where that is known
    settled : when a person chose it, where one did
    said : what its name or place tells, a sentence each
    """

    file: File
    rebuilt: Rebuilt
    untouched: bool
    order: int = 0
    handed_in: datetime | None = None
    settled: datetime | None = None
    said: tuple[str, ...] = field(default=())

    @property
    def signature(self) -> str:
        """Differs where any cell that is run or read differs."""
        cells = "\x00".join(f"{c.cell_type}\x01{c.source}" for c in self.rebuilt.notebook.cells)
        return hashlib.sha256(cells.encode()).hexdigest()

    @property
    def rank(self) -> tuple[int, datetime, str]:
        """Later is greater; where nothing tells, by content, so that it is always the same."""
        content = hashlib.sha256(self.file.data).hexdigest()
        return self.order, self.handed_in or LONG_AGO, content


def understand(
    data: bytes, wanted: str, assignments: dict[str, NotebookNode]
) -> tuple[Rebuilt, bool]:
    """A file rebuilt on the release it answers, and whether it answers nothing of it.

    Raises
    ------
    IntakeError : it is not a notebook, or answers another assignment, or none.
    """
    handed = read_cells(data)
    score = {name: _likeness(handed.cells, release) for name, release in assignments.items()}
    best = max(score, key=lambda name: (score[name], name == wanted))
    if score[best] > score[wanted]:
        raise IntakeError(f"it answers {best}, not {wanted}")
    release = assignments[wanted]
    rebuilt = rebuild_cells(handed, release)
    given = answers(release)
    untouched = all(same(text, given[name]) for name, text in answers(rebuilt.notebook).items())
    added = len(rebuilt.notebook.cells) > len(release.cells)
    return rebuilt, untouched and not added


def _likeness(cells: Sequence[Cell], release: NotebookNode) -> float:
    """The share of a release's labels and texts that a file has; ids count as labels."""
    known = labels(release)
    told = {name for cell in cells for name in (cell.name, cell.cell_id)}
    texts = {cell.source.strip() for cell in release.cells} - {""}
    theirs = {cell.text.strip() for cell in cells}
    return len(told & known) / max(len(known), 1) + len(texts & theirs) / max(len(texts), 1)


def choose(candidates: Sequence[Candidate]) -> tuple[Candidate, tuple[str, ...]]:
    """The file to grade, and why it and not another, a sentence each.

    Raises
    ------
    IntakeError : two files answer differently, and nothing says which is the later.
    """
    ranked = sorted(candidates, key=lambda one: one.rank)
    settled = [one for one in ranked if one.settled is not None]
    if settled:
        last = max(settled, key=lambda one: (one.settled or LONG_AGO, one.rank))
        newer = [one for one in ranked if (one.handed_in or LONG_AGO) > (last.settled or LONG_AGO)]
        if not newer:
            others = {
                f"{one.file.shown!r}"
                for one in ranked
                if not one.untouched and one.signature != last.signature
            }
            over = f", and is taken over {', '.join(sorted(others))}" if others else ""
            return last, (f"it was laid here by hand{over}",)
        ranked = [last, *newer]
    own = {one.signature: one for one in ranked if not one.untouched}
    if not own:
        return ranked[-1], ()
    rest = sorted(own.values(), key=lambda one: one.rank)
    said = _said_of_others(ranked, rest)
    if len(rest) == 1:
        return rest[0], said
    orders = {one.order for one in rest}
    times = {one.handed_in for one in rest}
    names = ", ".join(sorted(f"{one.file.shown!r}" for one in rest))
    if len(orders) == len(rest) and 0 not in orders:
        why = "handed in again under a higher number"
    elif len(times) == len(rest) and None not in times:
        rest.sort(key=lambda one: one.handed_in or LONG_AGO)
        why = "handed in last"
    else:
        raise IntakeError(
            f"{names} answer differently, and nothing says which is the later; lay the right one "
            "into the student's folder and collect that"
        )
    return rest[-1], (*said, f"of {names}, {rest[-1].file.shown!r} is taken, {why}")


def _said_of_others(ranked: Sequence[Candidate], rest: Sequence[Candidate]) -> tuple[str, ...]:
    said = []
    for one in ranked:
        if any(one is other for other in rest):
            continue
        if one.untouched:
            said.append(f"{one.file.shown!r} is the release, untouched, and is passed over")
        else:
            said.append(f"{one.file.shown!r} has the same answers, and is passed over")
    return tuple(said)
