"""`python -m nlp_course.grading`, with `release`, `grade` or `sample`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

try:
    from nlp_course.grading.classroom import Classroom
    from nlp_course.grading.course import Course
    from nlp_course.grading.marks import Marks, table, write_csv
    from nlp_course.grading.notebooks import GradingError, questions, read_notebook
    from nlp_course.grading.release import release as release_one
    from nlp_course.grading.sample import clear, hand_in, make_students
except ModuleNotFoundError as missing:
    package = (missing.name or "").partition(".")[0]
    if package == "nlp_course":  # a fault of ours
        raise
    sys.exit(f'{package} is not installed. Grading needs: pip install "nlp-course[grading]"')

app = typer.Typer(
    help="Release assignments and grade them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
CourseFolder = Annotated[Path, typer.Option(help="The folder with nbgrader_config.py.")]


@app.command()
def release(
    assignments: Annotated[list[str] | None, typer.Argument(help="Which; all, if none.")] = None,
    course: CourseFolder = Path(),
) -> None:
    """Write what students get: solutions/ without answers and hidden tests, to assignments/."""
    place = Course(course.resolve())
    names = assignments or place.assignments()
    if not names:
        raise GradingError(f"{place.solutions} holds no assignment")
    for name in names:
        print(f"{name} → {release_one(place, name)}")


@app.command()
def grade(
    assignment: Annotated[str, typer.Argument(help="Which assignment.")],
    folder: Annotated[Path, typer.Argument(help="Folder that holds received/STUDENT/*.ipynb.")],
    course: CourseFolder = Path(),
) -> None:
    """Grade what a class handed in: marks.csv, and feedback for each student."""
    classroom = Classroom(Course(course.resolve()), assignment, folder.resolve())
    classroom.course.source(assignment)
    received = {name: _handed_in(classroom, name) for name in classroom.students()}
    if not received:
        raise GradingError(f"{classroom.folder / 'received'} holds no student's folder")
    classroom.open()
    marks = classroom.grade()
    _report(classroom, marks, received, {row.student: row.outcome for row in marks})


def _handed_in(classroom: Classroom, student: str) -> str:
    folder = classroom.folder / "received" / student
    names = [path.name for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    return ", ".join(names[:2]) + (", …" if names[2:] else "") or "nothing"


def _report(
    classroom: Classroom, marks: list[Marks], about: dict[str, str], outcome: dict[str, str]
) -> None:
    """Print the class, write its marks, and say where everything lies."""
    print(table(marks, about, outcome))
    write_csv(classroom.folder / "marks.csv", marks)
    print(f"\nMarks       {classroom.folder / 'marks.csv'}")
    print(f"Gradebook   {classroom.folder / 'gradebook.db'}")
    print(f"Feedback    {classroom.folder / 'feedback'}")
    print(f"Log         {classroom.folder / 'grading.log'}")


@app.command()
def sample(
    assignment: Annotated[str, typer.Argument(help="Which assignment.")] = "02-word2vec",
    out: Annotated[Path, typer.Option(help="Folder for the class.")] = Path("_build/class"),
    course: CourseFolder = Path(),
) -> None:
    """Make up a class, grade it, and check that each student gets the marks they must."""
    place = Course(course.resolve())
    classroom = Classroom(place, assignment, out.resolve())
    names = questions(read_notebook(place.source(assignment)))
    clear(classroom.folder)
    classroom.open()
    students = make_students(classroom)
    hand_in(classroom, students)
    marks = classroom.grade()

    complaints = {row.student: students[row.student].complaint(row, names) for row in marks}
    outcome = {
        row.student: f"WRONG, {complaint}; {row.outcome}" if complaint else row.outcome
        for row in marks
        for complaint in [complaints[row.student]]
    }
    about = {name: student.about for name, student in students.items()}
    _report(classroom, marks, about, outcome)
    wrong = [student for student, complaint in complaints.items() if complaint]
    if wrong:
        raise GradingError(f"{len(wrong)} of {len(marks)} got other marks than they must: {wrong}")


def main() -> None:
    """Run a command; what the person at the keyboard can put right is said without a traceback."""
    try:
        app()
    except GradingError as error:
        sys.exit(f"grading: {error}")


if __name__ == "__main__":
    main()
