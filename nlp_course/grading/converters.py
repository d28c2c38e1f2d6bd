"""nbgrader's three steps, for one folder at a time, with their own errors.

nbgrader runs a step over a whole class, logs what went wrong and raises an error that says
"see the log"; some faults of one student stop all after them. Here each step takes one
assignment of one student, and what goes wrong is raised as itself.
"""

from __future__ import annotations

import copy
import logging
import shutil
from pathlib import Path

from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.converters.base import BaseConverter
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from nlp_course.grading.course import Course


class _OneFolder(BaseConverter):
    """Converts the one folder that its course directory names, afresh."""

    def convert_notebooks(self) -> None:
        assignment, student = self.coursedir.assignment_id, self.coursedir.student_id
        self.force = True
        self.notebooks = sorted(path for paths in self.assignments.values() for path in paths)
        try:
            self.init_destination(assignment, student)
            self.init_assignment(assignment, student)
            for notebook in self.notebooks:
                self.convert_single_notebook(notebook)
            self.set_permissions(assignment, student)
        except BaseException:
            # Half a result would be taken for a whole one.
            shutil.rmtree(self._format_dest(assignment, student), ignore_errors=True)
            raise


class _Generate(_OneFolder, GenerateAssignment):
    pass


class _Autograde(_OneFolder, Autograde):
    pass


class _Feedback(_OneFolder, GenerateFeedback):
    pass


def generate(config: Config, assignment: str, log: logging.Logger) -> None:
    """Make the students' version of an assignment; register it, unless told not to keep a book."""
    _start(_Generate, config, assignment, ".", log)


def autograde(config: Config, assignment: str, student: str, log: logging.Logger) -> None:
    """Run one student's submission and put its marks into the gradebook."""
    _start(_Autograde, config, assignment, student, log)


def feedback(config: Config, assignment: str, student: str, log: logging.Logger) -> None:
    """Write one student's feedback as HTML."""
    _start(_Feedback, config, assignment, student, log)


def class_config(course: Course, folder: Path) -> Config:
    """The course's settings for a class; one in another folder than the course's has its own
    gradebook there.
    """
    own = Config()
    own.CourseDirectory.root = str(folder)
    own.CourseDirectory.source_directory = str(course.solutions)
    own.CourseDirectory.release_directory = "release"
    own.CourseDirectory.submitted_directory = "submitted"
    own.CourseDirectory.autograded_directory = "autograded"
    own.CourseDirectory.feedback_directory = "feedback"
    if folder != course.settings.class_folder:
        own.CourseDirectory.db_url = f"sqlite:///{folder / 'gradebook.db'}?timeout=60"
        own.Execute.secret = str(folder / "secret")
    own.Execute.results = str(folder / "results")
    merged = copy.deepcopy(course.config)  # traitlets' own merging shares what is nested
    merged.merge(own)
    return merged


def _start(
    step: type[BaseConverter], config: Config, assignment: str, student: str, log: logging.Logger
) -> None:
    place = CourseDirectory(config=config, log=log)
    place.assignment_id, place.student_id = assignment, student
    step(coursedir=place, config=config, log=log).start()
