"""A class: where its submissions, marks and feedback lie, and how they come about."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from warnings import catch_warnings, filterwarnings

from nbformat import NotebookNode
from nbformat.warnings import MissingIDFieldWarning
from sqlalchemy.exc import SAWarning
from tqdm import tqdm
from traitlets.config import Config

from nlp_course.grading.converters import class_config, feedback, generate
from nlp_course.grading.course import Course
from nlp_course.grading.intake import Collection, collect
from nlp_course.grading.notebooks import GradingError, answer_cells, read_notebook
from nlp_course.grading.receipts import read_reviews
from nlp_course.grading.run import Graded, grade_class, progress
from nlp_course.grading.scoring import StudentReport
from nlp_course.grading.similarity import Pair, near_identical


@dataclass(frozen=True)
class Classroom:
    """A folder with the submissions of one class, and one of its assignments.

    `received/` what students handed in, and what needs a person · `submitted/` the same, rebuilt,
    as nbgrader reads it · `release/` what they were given · `results/` what became of each ·
    `autograded/` `feedback/` nbgrader's · `reports/` marks and class pages · `gradebook.db` ·
    `grading.log`
    """

    course: Course
    assignment: str
    folder: Path

    @property
    def config(self) -> Config:
        """Settings of nbgrader for this folder."""
        return class_config(self.course, self.folder)

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
        with self.log() as log:
            generate(self.config, self.assignment, log)

    def collect(self, source: Path) -> Collection:
        """Take in what students handed in: an archive or a folder."""
        releases = {name: self._release_of(name) for name in self.course.assignments()}
        return collect(
            source,
            assignments=releases,
            wanted=self.assignment,
            into=self.folder,
            roster=tuple(self.course.settings.roster.values()),
            zone=self.course.settings.zone,
        )

    def _release_of(self, name: str) -> NotebookNode:
        if name == self.assignment:
            return read_notebook(self.release)
        return read_notebook(self.course.root / "assignments" / name / f"{name}.ipynb")

    def students(self) -> list[str]:
        """Those whose submission has been taken in.

        Raises
        ------
        GradingError : there is none.
        """
        place = f"*/{self.assignment}/{self.assignment}.ipynb"
        students = sorted(path.parts[-3] for path in (self.folder / "submitted").glob(place))
        if not students:
            raise GradingError(
                f"{self.folder / 'submitted'} holds no submission of {self.assignment}; "
                f"take them in first: nlp-course collect {self.assignment} ARCHIVE"
            )
        return students

    def grade(
        self, executor: Executor, students: Sequence[str] = (), *, again: bool = False
    ) -> list[Graded]:
        """Grade these students, or all; a submission that cannot be is named, and stops no other.

        Parameters
        ----------
        again : run also those notebooks whose outcome is known

        Raises
        ------
        GradingError : one of them has handed in nothing.
        """
        taken_in = self.students()
        if unknown := sorted({*students} - {*taken_in}):
            raise GradingError(
                f"no submission of {self.assignment} was taken in from {', '.join(unknown)}; "
                f"students are named by id, as in {self.folder / 'submitted'}"
            )
        chosen = list(students) or taken_in
        with self.log() as log:
            graded = grade_class(self.config, self.assignment, chosen, executor, log, again=again)
            done = list(progress(graded, len(chosen)))
        return sorted(done, key=lambda one: one.student)

    def feedback(self, students: Sequence[str]) -> dict[str, Path]:
        """Write feedback pages, by student; one that cannot be made is in the log."""
        pages = {}
        with self.log() as log:
            for student in tqdm(students, desc="feedback", unit="page"):
                try:
                    feedback(self.config, self.assignment, student, log)
                except Exception:  # what a stranger wrote may be more than a template can take
                    log.exception("%s gets no feedback", student)
                    continue
                folder = self.folder / "feedback" / student / self.assignment
                pages[student] = folder / f"{self.assignment}.html"
        return pages

    def reviews(self) -> list[tuple[str, str]]:
        """What was handed in and needs a person: file, and why."""
        rows = read_reviews(self.folder / "received" / self.assignment)
        return [(row["file"], row["sentence"]) for row in rows]

    def near_identical(self, reports: Sequence[StudentReport]) -> list[Pair]:
        """Pairs of students whose answers are nearly the same."""
        released = answer_cells(read_notebook(self.release))
        source = answer_cells(read_notebook(self.course.source(self.assignment)))
        given = {name: (cell.source, source[name].source) for name, cell in released.items()}
        prose = {name for name, cell in released.items() if cell.cell_type == "markdown"}
        return near_identical(reports, given=given, prose=prose)

    @contextmanager
    def log(self) -> Iterator[logging.Logger]:
        """What nbgrader says, into a file."""
        log = logging.Logger("nbgrader", logging.INFO)
        self.folder.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(self.folder / "grading.log", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(file)
        try:
            with catch_warnings():
                # nbgrader 0.9.6 builds its queries in a way that SQLAlchemy 2 remarks upon.
                filterwarnings("ignore", "Object of type .* not in session", SAWarning)
                filterwarnings("ignore", category=MissingIDFieldWarning)  # cells it puts back
                yield log
        finally:
            file.close()
