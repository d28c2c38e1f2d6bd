"""What a test came to, and what a submission came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """How one test cell ended."""

    PASSED = "passed"
    FAILED = "failed"  # the test itself said no
    ERROR = "error"  # the student's code raised, ended its process, or returned what is no data
    TIMEOUT = "timeout"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class TestResult:
    """One test cell of one submission.

    Parameters
    ----------
    grade_id : of the test cell
    question : grade id of the answer it tests
    points, maximum : what it gave, and what it can give
    message : what a visible test said, or what went wrong; of a hidden test too, for instructors
    hidden : whether any line of it is hidden from students
    seconds : how long it took, wall clock
    """

    __test__ = False  # not a test of ours, whatever its name

    grade_id: str
    question: str
    status: Status
    points: float
    maximum: float
    message: str = ""
    hidden: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class StudentReport:
    """All that is known of one student's submission.

    Parameters
    ----------
    by_hand : grade id -> (points, or None where nobody has marked it yet; maximum)
    late, penalty : what the late policy says, and the points it takes
    repairs : what intake put right
    failure : why the submission was not graded; None where it was
    sandbox : what kept the notebook apart from everything else
    seconds : how long the notebook took, wall clock
    answers : grade id -> the answer cell's text
    lms_id : who the learning platform says this is
    """

    student: str
    name: str = ""
    tests: tuple[TestResult, ...] = ()
    by_hand: Mapping[str, tuple[float | None, float]] = field(default_factory=dict)
    late: str = ""
    penalty: float = 0.0
    repairs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    failure: str | None = None
    sandbox: str = ""
    seconds: float = 0.0
    answers: Mapping[str, str] = field(default_factory=dict)
    lms_id: str = ""
    handed_in: datetime | None = None
