"""All that is known of a class, put together: gradebook, outcomes of runs, receipts, roster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.utils import is_locked

from nlp_course.grading.classroom import Classroom
from nlp_course.grading.execute import Assignment, Results
from nlp_course.grading.job import Job, Outcome
from nlp_course.grading.late import Lateness, explain, settle
from nlp_course.grading.notebooks import answer_cells, read_notebook
from nlp_course.grading.receipts import Kept, Receipt, from_iso, read_receipt
from nlp_course.grading.roster import Person
from nlp_course.grading.ruled_out import used
from nlp_course.grading.scoring import Status, StudentReport, TestResult

OUTDATED = "another notebook was taken in since this one was graded: grade it again"


def student_reports(classroom: Classroom) -> list[StudentReport]:
    """A report of everyone who handed in, in the order of their ids.

    Late penalties are settled first: marks given by hand since the last grading count.
    """
    settings, students = classroom.course.settings, classroom.students()
    folder = Path(classroom.config.Execute.solutions) / classroom.assignment
    ruled_out = Assignment.read(folder, ()).ruled_out
    with Gradebook(classroom.gradebook) as book:
        late = settle(book, settings)
        return [
            _report(
                classroom,
                book,
                student,
                late.get(student, {}).get(classroom.assignment),
                ruled_out,
            )
            for student in students
        ]


def _report(
    classroom: Classroom,
    book: Gradebook,
    student: str,
    late: Lateness | None,
    ruled_out: Iterable[str],
) -> StudentReport:
    assignment, settings = classroom.assignment, classroom.course.settings
    person = settings.roster.get(student, Person(student))
    receipt = receipt_of(classroom, student)
    results = Results(Path(classroom.config.Execute.results))
    job, outcome, failure = results.latest(assignment, student)
    submitted = _submitted(classroom, student)
    about: dict[str, Any] = {
        "student": student,
        "name": person.name,
        "lms_id": person.lms_id,
        "repairs": receipt.repairs,
        "handed_in": from_iso(next((k.handed_in for k in _graded(receipt)), "")),
        "answers": {name: cell.source for name, cell in answer_cells(submitted).items()},
    }
    if job is None or outcome is None:
        return StudentReport(**about, failure=failure)
    try:
        submission = book.find_submission(assignment, student)
    except MissingEntry:
        return StudentReport(**about, failure="its marks are not in the gradebook; grade it again")
    grades = {grade.name: grade for notebook in submission.notebooks for grade in notebook.grades}
    if any(_is_withdrawn(grades.get(cell.grade_id)) for cell in job.cells if cell.kind == "test"):
        return StudentReport(**about, failure="its grading was broken off; grade it again")
    tests = _tests(job, outcome, {name: grade.score for name, grade in grades.items()})
    tested = {test.grade_id for test in tests}
    penalties = [notebook.late_submission_penalty or 0.0 for notebook in submission.notebooks]
    return StudentReport(
        **about,
        tests=tests,
        by_hand={
            name: (_by_hand(grade), float(grade.max_score))
            for name, grade in grades.items()
            if name not in tested
        },
        late="" if late is None else explain(late, settings),
        penalty=sum(penalties),
        warnings=(
            *([] if _is_graded(classroom, student, submitted) else [OUTDATED]),
            *outcome.notes,
            *_ruled_out(
                ruled_out,
                {name: about["answers"].get(name, "") for name in {one.question for one in tests}},
            ),
            *_overruled(tested, grades),
            *_unconfirmed(results.earlier(assignment, student), grades),
        ),
        sandbox=outcome.sandbox,
        seconds=outcome.seconds,
    )


def _tests(
    job: Job, outcome: Outcome, scores: Mapping[str, float | None]
) -> tuple[TestResult, ...]:
    return tuple(
        TestResult(
            grade_id=cell.grade_id,
            question=cell.question,
            status=outcome.cells[cell.index].status or Status.NOT_RUN,
            points=scores.get(cell.grade_id) or 0.0,
            maximum=cell.points,
            message=outcome.cells[cell.index].message,
            hidden=cell.hidden,
            seconds=outcome.cells[cell.index].seconds,
        )
        for cell in job.cells
        if cell.kind == "test"
    )


def _is_withdrawn(grade: Any) -> bool:
    """Whether a test's mark was taken back when a grading began that never got to it."""
    return grade is not None and grade.auto_score is None and grade.manual_score is None


def _ruled_out(names: Iterable[str], answers: Mapping[str, str]) -> list[str]:
    """Answers that use what the assignment's text rules out."""
    return [
        f"{question} uses {', '.join(found)}, which the text rules out: look at it"
        for question, source in sorted(answers.items())
        if (found := used(source, names))
    ]


def _overruled(tested: Iterable[str], grades: Mapping[str, Any]) -> list[str]:
    """Tests whose points a person changed: a page may have done it with the person's click."""
    return [
        f"{name} was marked by hand: {grades[name].manual_score:g}, where the tests gave "
        f"{grades[name].auto_score or 0.0:g}"
        for name in sorted(tested)
        if name in grades and grades[name].manual_score is not None
    ]


def _unconfirmed(earlier: Iterable[str], grades: Mapping[str, Any]) -> list[str]:
    """Marks that a person gave to an earlier text, and has not saved again since."""
    return [
        f"{name} keeps the {grades[name].manual_score:g} points that were given by hand to an "
        "earlier text: look at it in the formgrader, and save its points again"
        for name in earlier
        if name in grades
        and grades[name].manual_score is not None
        and grades[name].needs_manual_grade
    ]


def _by_hand(grade: Any) -> float | None:
    """Points for an answer that people mark; None while nobody has."""
    if grade.manual_score is not None:
        return float(grade.score)
    # nbgrader gives 0 by itself where the answer is the release's own text.
    return None if grade.needs_manual_grade else float(grade.auto_score or 0.0)


def receipt_of(classroom: Classroom, student: str) -> Receipt:
    """What is kept of what a student handed in."""
    folder = classroom.folder / "received" / classroom.assignment / student
    return read_receipt(folder, classroom.assignment)


def received_as(classroom: Classroom) -> dict[str, str]:
    """Where each graded file lay in what the platform gave out, by student."""
    return {
        student: kept.shown
        for student in classroom.students()
        for kept in _graded(receipt_of(classroom, student))
    }


def _graded(receipt: Receipt) -> list[Kept]:
    return [kept for kept in receipt.files if kept.name == receipt.graded]


def _submitted(classroom: Classroom, student: str) -> NotebookNode:
    name = classroom.assignment
    return read_notebook(classroom.folder / "submitted" / student / name / f"{name}.ipynb")


def _is_graded(classroom: Classroom, student: str, submitted: NotebookNode) -> bool:
    """Whether what was graded is what was taken in last, prose and all."""
    path = classroom.folder / "autograded" / student / classroom.assignment
    graded = path / f"{classroom.assignment}.ipynb"
    return graded.is_file() and _unlocked(read_notebook(graded)) == _unlocked(submitted)


def _unlocked(notebook: NotebookNode) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells if not is_locked(cell)]
