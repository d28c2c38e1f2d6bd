"""The grading commands of `nlp-course`, each thin over what does the work.

Modules that grading alone needs are imported where they are used: the other commands work
without them, as in Colab.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nlp_course.grading.classroom import Classroom
    from nlp_course.grading.scoring import StudentReport


class Platform(StrEnum):
    """Learning platforms that files are made for."""

    PLAIN = "plain"
    CANVAS = "canvas"
    MOODLE = "moodle"


Assignment = Annotated[str, typer.Argument(help="Which assignment, such as 02-word2vec.")]
CourseFolder = Annotated[Path, typer.Option("--course", help="Folder with nbgrader_config.py.")]
ClassFolder = Annotated[
    Path | None, typer.Option("--class", help="Folder of the class; else as course.toml says.")
]
Format = Annotated[Platform, typer.Option("--format", help="The learning platform.")]
Out = Annotated[Path | None, typer.Option(help="File to write; else in the class's reports/.")]


def add_to(app: typer.Typer) -> None:
    """Give an application these commands."""
    for command in (release, publish, check, collect, grade, report, feedback, export, sample):
        app.command()(command)


def release(
    assignments: Annotated[list[str] | None, typer.Argument(help="Which; all, if none.")] = None,
    course: CourseFolder = Path(),
) -> None:
    """Write what students get: solutions/ without answers and hidden tests, to assignments/."""
    from nlp_course.grading.course import Course
    from nlp_course.grading.notebooks import GradingError
    from nlp_course.grading.release import release as release_one

    place = Course(course.resolve())
    names = assignments or place.assignments()
    if not names:
        raise GradingError(f"{place.solutions} holds no assignment")
    for name in names:
        print(f"{name} → {release_one(place, name)}")


def publish(
    destination: Annotated[
        Path, typer.Argument(help="Folder of the public copy: absent, empty, or written before.")
    ],
    course: CourseFolder = Path(),
) -> None:
    """Write the public copy of the course, without solutions/, once it is found to tell none."""
    from nlp_course.grading.public import publish as write_copy
    from nlp_course.grading.public import require_fresh

    require_fresh(course)
    print(write_copy(course, destination))


def collect(
    assignment: Assignment,
    source: Annotated[Path, typer.Argument(help="A platform's archive, or a folder.")],
    course: CourseFolder = Path(),
    folder: ClassFolder = None,
) -> None:
    """Take in what students handed in; say what was repaired, and list what needs a person."""
    from nlp_course.grading.notebooks import GradingError
    from nlp_course.grading.sample import ABOUT

    classroom = _classroom(course, folder, assignment)
    inside = source.resolve().is_relative_to(classroom.folder.resolve())
    if (classroom.folder / ABOUT).is_file() and not inside:
        raise GradingError(
            f"{classroom.folder} holds a made-up class; name a folder for yours, as class_folder "
            "in course.toml or with --class"
        )
    classroom.open()
    collection = classroom.collect(source)
    for one in collection.accepted:
        for repair in one.repairs:
            print(f"{one.student}: {repair}")
    for review in collection.reviews:
        print(f"to review: {review.file}: {review.sentence}")
    taken, waiting = len(collection.accepted), len(collection.reviews)
    print(f"{taken} taken in, {waiting} to review: {classroom.folder / 'received' / assignment}")


def grade(
    assignment: Assignment,
    students: Annotated[list[str] | None, typer.Argument(help="Whom; all, if none.")] = None,
    course: CourseFolder = Path(),
    folder: ClassFolder = None,
    jobs: Annotated[int, typer.Option(min=0, help="Notebooks at a time; 0 for one a core.")] = 0,
    scheduler: Annotated[
        str, typer.Option(help="A Dask cluster: tcp://host:8786, or local to start one here.")
    ] = "",
    again: Annotated[
        bool, typer.Option("--again", help="Run also notebooks whose outcome is known.")
    ] = False,
    gpu: Annotated[bool, typer.Option("--gpu", help="Let notebooks use the GPUs.")] = False,
    without_sandbox: Annotated[
        bool,
        typer.Option(
            "--without-sandbox", help="Run them even where nothing keeps them from your files."
        ),
    ] = False,
) -> None:
    """Grade what was taken in: marks into the gradebook, then the class's reports.

    Submissions that cannot be graded are named, and stop nothing: the exit status stays 0.
    """
    from nlp_course.grading.layers import best_layer

    classroom = _classroom(course, folder, assignment)
    classroom.course.config.Execute.gpu |= gpu
    classroom.course.config.Execute.trusting |= without_sandbox
    classroom.open()
    if not scheduler:  # what is refused is said before marks are withdrawn
        best_layer(allow_none=classroom.config.Execute.trusting is True)
    with _executor(jobs, scheduler) as executor:
        graded = classroom.grade(executor, students or (), again=again)
    failures = [one for one in graded if one.failure]
    for one in failures:
        print(f"not graded: {one.student}: {one.failure}")
    print(f"{len(graded) - len(failures)} graded, {len(failures)} not")
    _report(classroom)


def report(
    assignment: Assignment, course: CourseFolder = Path(), folder: ClassFolder = None
) -> None:
    """Write the class's marks and its page: distribution, questions, what needs a look."""
    _report(_classroom(course, folder, assignment))


def feedback(
    assignment: Assignment,
    course: CourseFolder = Path(),
    folder: ClassFolder = None,
    platform: Format = Platform.PLAIN,
) -> None:
    """Write each student's feedback, and an archive of it for the learning platform."""
    from nlp_course.grading.classbook import received_as, student_reports
    from nlp_course.grading.returns import return_feedback

    classroom = _classroom(course, folder, assignment)
    reports = student_reports(classroom)
    _say_what_is_open(classroom, reports)
    graded = [one.student for one in reports if one.failure is None]
    pages = classroom.feedback(graded)
    path = classroom.folder / "reports" / f"{assignment}-feedback-{platform.value}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    returned = return_feedback(
        path,
        platform.value,
        assignment,
        reports,
        pages,
        received_as=received_as(classroom),
    )
    for student, why in returned.left_out.items():
        print(f"left out: {student}: {why}")
    print(f"Feedback    {path}")


def export(
    assignment: Assignment,
    course: CourseFolder = Path(),
    folder: ClassFolder = None,
    platform: Format = Platform.PLAIN,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Also marks that wait for a person.")
    ] = False,
    out: Out = None,
) -> None:
    """Write marks as the learning platform imports them."""
    from nlp_course.grading.classbook import student_reports
    from nlp_course.grading.report import canvas_csv, moodle_csv, plain_csv

    classroom = _classroom(course, folder, assignment)
    reports, roster = student_reports(classroom), classroom.course.settings.roster
    _say_what_is_open(classroom, reports)
    if platform is Platform.CANVAS:
        title = classroom.course.title(assignment)
        text = canvas_csv(reports, title, roster=roster, unfinished=unfinished)
    elif platform is Platform.MOODLE:
        text = moodle_csv(reports, roster=roster, unfinished=unfinished)
    else:
        text = plain_csv(reports)
    path = out or classroom.folder / "reports" / f"{assignment}-{platform.value}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8-sig", newline="")
    print(f"Marks       {path}")


def check(
    assignments: Annotated[list[str] | None, typer.Argument(help="Which; all, if none.")] = None,
    course: CourseFolder = Path(),
) -> None:
    """Try an assignment: reference, release, usual mistakes, other right answers, leaks, limits."""
    from nlp_course.grading.check import check_assignment
    from nlp_course.grading.course import Course
    from nlp_course.grading.notebooks import GradingError

    place = Course(course.resolve())
    found = 0
    for name in assignments or place.assignments():
        for complaint in check_assignment(place, name):
            found += 1
            print(f"{name}: {complaint}")
    if found:
        raise GradingError(f"{found} to mend")
    print("nothing to mend")


def sample(
    assignment: Assignment = "02-word2vec",
    out: Annotated[Path, typer.Option(help="Folder for the class.")] = Path("_build/class"),
    course: CourseFolder = Path(),
    jobs: Annotated[int, typer.Option(min=0, help="Notebooks at a time; 0 for one a core.")] = 0,
) -> None:
    """Make up a class, grade it, and check that each student gets the marks they must."""
    from nlp_course.grading.notebooks import GradingError
    from nlp_course.grading.sample import clear, complaints, hand_in, make_students

    classroom = _classroom(course, out, assignment)
    clear(classroom.folder)
    classroom.open()
    students = make_students(classroom)
    classroom.collect(hand_in(classroom, students))
    with _executor(jobs, "") as executor:
        classroom.grade(executor)
    reports = _report(classroom)
    classroom.feedback([one.student for one in reports if one.failure is None])
    print(f"Feedback    {classroom.folder / 'feedback'}")
    wrong = complaints(students, reports)
    for student, complaint in wrong.items():
        print(f"WRONG       {student}, {students[student].about}: {complaint}")
    if wrong:
        raise GradingError(f"{len(wrong)} of {len(students)} got other marks than they must")


def _classroom(course: Path, folder: Path | None, assignment: str) -> Classroom:
    from nlp_course.grading.classroom import Classroom
    from nlp_course.grading.course import Course

    place = Course(course.resolve())
    place.source(assignment)
    return Classroom(place, assignment, (folder or place.settings.class_folder).resolve())


def _say_what_is_open(classroom: Classroom, reports: list[StudentReport]) -> None:
    """Before marks leave the house: whose are not of their last notebook, or wait for a person."""
    from nlp_course.grading.classbook import OUTDATED

    for one in reports:
        if OUTDATED in one.warnings:
            print(f"outdated: {one.student}: {OUTDATED}")
    _print_reviews(classroom)


def _print_reviews(classroom: Classroom) -> None:
    for file, sentence in classroom.reviews():
        print(f"to review: {file}: {sentence}")


@contextmanager
def _executor(jobs: int, scheduler: str) -> Iterator[Executor]:
    from nlp_course.grading.run import dask, threads

    number = jobs or os.cpu_count() or 1
    with dask(scheduler, number) if scheduler else threads(number) as executor:
        yield executor


def _report(classroom: Classroom) -> list[StudentReport]:
    """Write marks and the class page, print the class, and say where everything lies."""
    from nlp_course.grading.class_page import class_page
    from nlp_course.grading.classbook import student_reports
    from nlp_course.grading.report import plain_csv, table

    reports = student_reports(classroom)
    folder, name = classroom.folder / "reports", classroom.assignment
    folder.mkdir(parents=True, exist_ok=True)
    marks, page = folder / f"{name}.csv", folder / f"{name}.html"
    marks.write_text(plain_csv(reports), encoding="utf-8-sig", newline="")
    text = class_page(
        reports,
        assignment=name,
        title=classroom.course.title(name),
        graded_at=datetime.now(classroom.course.settings.zone),
        review=classroom.reviews(),
        pairs=classroom.near_identical(reports),
    )
    page.write_text(text, encoding="utf-8")
    print(table(reports))
    _print_reviews(classroom)
    print(f"\nMarks       {marks}")
    print(f"Class page  {page}")
    print(f"Gradebook   {classroom.gradebook}")
    print(f"Log         {classroom.folder / 'grading.log'}")
    return reports
