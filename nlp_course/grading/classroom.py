"""A class, from the files handed in to marks and feedback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from warnings import catch_warnings, filterwarnings

from nbclient.exceptions import DeadKernelError
from nbformat.warnings import MissingIDFieldWarning
from sqlalchemy.exc import SAWarning
from tqdm import tqdm
from traitlets.config import Config

from nlp_course.grading.converters import autograde, class_config, feedback, generate
from nlp_course.grading.course import Course
from nlp_course.grading.intake import take_in
from nlp_course.grading.marks import Marks, read_marks
from nlp_course.grading.notebooks import GradingError, read_notebook, tested_points


@dataclass(frozen=True)
class Classroom:
    """A folder with one assignment of one class.

    `received/` what students handed in, a folder each · `release/` what they were given ·
    `submitted/` `autograded/` `feedback/` nbgrader's · `gradebook.db` · `grading.log`
    """

    course: Course
    assignment: str
    folder: Path

    @property
    def config(self) -> Config:
        """Settings of nbgrader for this folder."""
        return class_config(self.course.config, self.folder, self.course.solutions)

    @property
    def gradebook(self) -> str:
        """Address of the gradebook's database."""
        return self.config.CourseDirectory.db_url

    @property
    def release(self) -> Path:
        """The notebook the students were given."""
        return self.folder / "release" / self.assignment / f"{self.assignment}.ipynb"

    def open(self) -> None:
        """Make the gradebook, and the release it is for."""
        self.course.source(self.assignment)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._log() as (log, _):
            generate(self.config, self.assignment, log)

    def students(self) -> list[str]:
        """Those who handed something in: the folders in `received/`, but for hidden ones.

        Raises
        ------
        GradingError : there is no such folder.
        """
        received = self.folder / "received"
        if not received.is_dir():
            raise GradingError(
                f"{received} is not there; lay in it what students handed in, a folder each"
            )
        folders = (path for path in received.iterdir() if path.is_dir())
        return sorted(folder.name for folder in folders if not folder.name.startswith("."))

    def grade(self) -> list[Marks]:
        """Grade all that was received; a submission that cannot be is named, and stops no other."""
        students = self.students()
        progress = tqdm(students, desc="grading", unit="student")
        return [self._grade(student) for student in progress]

    def _grade(self, student: str) -> Marks:
        points = tested_points(read_notebook(self.course.source(self.assignment)))
        with self._log() as (log, warnings):
            try:
                repairs = take_in(
                    self.folder / "received" / student,
                    self.release,
                    self.folder / "submitted" / student / self.assignment,
                )
                autograde(self.config, self.assignment, student, log)
                tests, by_hand = read_marks(self.gradebook, self.assignment, student, points)
            # Anything may be wrong with what a stranger sends; the table says what it was.
            except Exception as error:
                log.exception("%s was not graded", student)
                return Marks(student, None, points, failure=_say(error))
            try:
                feedback(self.config, self.assignment, student, log)
            except Exception as error:  # the marks stand all the same
                log.exception("%s gets no feedback", student)
                warnings.append(f"no feedback: {_say(error)}")
        return Marks(student, tests, points, by_hand, (*repairs, *warnings))

    @contextmanager
    def _log(self) -> Iterator[tuple[logging.Logger, list[str]]]:
        """What nbgrader says, into a file; the warnings among it also by themselves."""
        log = logging.Logger("nbgrader", logging.INFO)
        warnings: list[str] = []
        keep = _Keep(warnings)
        file = logging.FileHandler(self.folder / "grading.log", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(keep)
        log.addHandler(file)
        try:
            with catch_warnings():
                # nbgrader 0.9.6 builds its queries in a way that SQLAlchemy 2 remarks upon.
                filterwarnings("ignore", "Object of type .* not in session", SAWarning)
                filterwarnings("ignore", category=MissingIDFieldWarning)  # cells it puts back
                yield log, warnings
        finally:
            file.close()


class _Keep(logging.Handler):
    """Keeps nbgrader's warnings, but for those that come with each submission.

    The checksum of a cell with hidden tests differs by design, since students get it without
    them; intake reports cells that students changed.
    """

    USUAL = ("Attribute 'checksum'", "Interrupting kernel")

    def __init__(self, warnings: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.warnings = warnings

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if not message.startswith(self.USUAL) and record.exc_info is None:
            self.warnings.append(message)


def _say(error: Exception) -> str:
    """An error in one line; its kind too where the message is not made for this table."""
    if isinstance(error, DeadKernelError):
        return "the notebook ended Python itself, with os._exit or for want of memory; look at it"
    line = next(iter(str(error).strip().splitlines()), "")
    return line if isinstance(error, GradingError) else f"{type(error).__name__}: {line}"
