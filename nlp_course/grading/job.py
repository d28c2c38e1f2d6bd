"""What a referee is asked to do with one submission, and what it answers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nlp_course.grading.scoring import Status

HIDDEN = "BEGIN HIDDEN TESTS"
STARVED = (
    "it ran out of time when it had waited long for a processor: "
    "the machine had too much else to do"
)


@dataclass(frozen=True)
class JobCell:
    """A code cell of a submission, and who is trusted to have written it.

    Parameters
    ----------
    index : its place in the notebook
    kind : "setup", the instructor's, run by the student's process and by the referee; "test", the
        instructor's, run by the referee alone; "student", run by the student's process alone
    grade_id, question, points, seed : of a test; the seed is the student's own for this question
    """

    index: int
    kind: Literal["setup", "student", "test"]
    source: str
    grade_id: str = ""
    question: str = ""
    points: float = 0.0
    seed: int = 0

    @property
    def hidden(self) -> bool:
        """Whether a student never sees some of it."""
        return HIDDEN in self.source


@dataclass(frozen=True)
class Job:
    """One submission as the referee gets it.

    Parameters
    ----------
    set_out : code that lays an assignment's files beside the notebook; empty where it has none
    cell_timeout : seconds for a cell, and for all that one test cell does
    notebook_timeout : seconds for all of it
    output_limit : bytes of output kept of a cell
    """

    cells: tuple[JobCell, ...]
    set_out: str = ""
    cell_timeout: float = 30.0
    notebook_timeout: float = 300.0
    output_limit: int = 1 << 20

    @property
    def digest(self) -> str:
        """Tells this job from any other: what was asked, to the letter."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """The job as one line of text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """The job that `to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "cells": tuple(JobCell(**cell) for cell in fields["cells"])})


@dataclass(frozen=True)
class CellOutcome:
    """What became of one cell.

    Parameters
    ----------
    outputs : as a notebook holds them
    status : of a test; None for other cells
    message : why a test did not pass
    score : points that a test gave by its last expression; None where it gave none
    seconds : wall clock
    """

    outputs: list[dict[str, Any]] = field(default_factory=list)
    status: Status | None = None
    message: str = ""
    score: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What became of a submission: its cells by index, and in what they ran."""

    cells: Mapping[int, CellOutcome]
    sandbox: str = ""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def starved(self) -> bool:
        """Whether it might pass more tests on a machine with less to do."""
        return STARVED in self.notes

    def to_json(self) -> str:
        """The outcome as one line of text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """The outcome that `to_json` wrote."""
        fields = json.loads(text)
        cells = {int(index): _cell(cell) for index, cell in fields["cells"].items()}
        return cls(**{**fields, "cells": cells, "notes": tuple(fields["notes"])})

    @classmethod
    def gather(cls, messages: Iterable[str], **about: Any) -> Outcome:
        """The outcome of what a referee sent, a cell at a time; the last word on a cell counts."""
        cells = {}
        for message in messages:
            index, cell = json.loads(message)
            cells[index] = _cell(cell)
        return cls(cells, **about)


def _cell(fields: dict[str, Any]) -> CellOutcome:
    status = fields["status"]
    return CellOutcome(**{**fields, "status": None if status is None else Status(status)})
