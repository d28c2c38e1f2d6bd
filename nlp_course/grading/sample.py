"""A class that shows what grading does, made up from an assignment's own answers.

Each student stands for something that happens: all right, nothing done, another right answer,
a notebook as Colab saves it, a missing package, an endless loop, a broken file, and, for each
question, a usual mistake. What each must get is known, so the sample is a test as well.
"""

from __future__ import annotations

import copy
import hashlib
import random
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Comment, Grade, Gradebook

from nlp_course.grading.classroom import Classroom
from nlp_course.grading.course import Answers
from nlp_course.grading.notebooks import (
    GradingError,
    answer_cells,
    questions,
    read_notebook,
)
from nlp_course.grading.receipts import REVIEW_FOLDER
from nlp_course.grading.scoring import StudentReport

ABOUT = "ABOUT.txt"
SAMPLE_NAME = re.compile(r"student-\d{2,}")
SOLUTION_MARK = re.compile(r"^.*(BEGIN|END) SOLUTION.*\n?", flags=re.MULTILINE)
ABOUT_THE_FOLDER = """A sample class; `make grade-sample` makes and grades it, afresh each time.

handed-in/     what each student handed in      reports/       marks, and a page on the class
received/      the same, kept byte for byte     gradebook.db   marks, for nbgrader's formgrader
submitted/     the same, rebuilt                results/       what became of each notebook
autograded/    notebooks as they were run       grading.log    all that nbgrader said
feedback/      what each student gets back      secret         for each student's random inputs
"""


@dataclass(frozen=True)
class SampleStudent:
    """What one student hands in, and the marks it must get.

    Parameters
    ----------
    about : what it is, in a few words
    file_name : as it was handed in
    text : the file
    gets : all automatic marks, none, all but those of one question, or no grading
    question : the one question that loses marks
    """

    about: str
    file_name: str
    text: str
    gets: Literal["all", "nothing", "all but one", "not graded"]
    question: str = ""

    def complaint(self, report: StudentReport | None) -> str | None:
        """How the marks differ from what they must be; None where they do not."""
        graded = report is not None and report.failure is None
        if self.gets == "not graded":
            return "was graded, and could not be" if graded else None
        if report is None or not graded:
            return "was not graded"
        if self.gets == "nothing":
            got = sum(test.points for test in report.tests)
            return f"must get 0, got {got:g}" if got else None
        wanted = {self.question} if self.gets == "all but one" else set()
        lost = {test.question for test in report.tests if test.points < test.maximum}
        if lost == wanted:
            return None
        said = " and ".join(sorted(lost)) or "nothing"
        return f"must lose marks on {' '.join(wanted) or 'nothing'}, lost them on {said}"


def complaints(
    students: Mapping[str, SampleStudent], reports: Sequence[StudentReport]
) -> dict[str, str]:
    """Whose marks are not what they must be, and how."""
    known = {report.student: report for report in reports}
    found = {name: one.complaint(known.get(name)) for name, one in students.items()}
    return {name: complaint for name, complaint in found.items() if complaint}


def make_students(classroom: Classroom) -> dict[str, SampleStudent]:
    """The sample's students, by name; the same each time."""
    students = list(_students(classroom))
    return {f"student-{number:02d}": student for number, student in enumerate(students, start=1)}


def hand_in(classroom: Classroom, students: Mapping[str, SampleStudent]) -> Path:
    """Write what the students hand in, a folder each, and say where."""
    top = classroom.folder / "handed-in"
    for name, student in students.items():
        folder = top / name
        folder.mkdir(parents=True)
        (folder / student.file_name).write_text(student.text, encoding="utf-8")
    return top


def clear(folder: Path) -> None:
    """Empty a folder that an earlier sample filled, and no other.

    Raises
    ------
    GradingError : something else lies there, or the work of a person: a submission of someone
        whom no sample made, a mark or a comment given by hand.
    """
    about = folder / ABOUT
    if folder.exists() and not folder.is_dir():
        raise GradingError(f"{folder} is a file; name a folder with --out")
    if folder.exists() and any(folder.iterdir()) and not about.is_file():
        raise GradingError(
            f"{folder} holds something that is not a sample class; name another folder with --out"
        )
    people = sorted(
        {
            path.name
            for pattern in ("submitted/*", "handed-in/*", "received/*/*")
            for path in folder.glob(pattern)
            if path.is_dir()
            and path.name != REVIEW_FOLDER
            and not SAMPLE_NAME.fullmatch(path.name)
            and not path.name.startswith(".")
        }
    )
    if people:
        raise GradingError(
            f"{folder} holds what no sample made, of {', '.join(people)}; it is left as it is. "
            "Name another folder with --out"
        )
    if _marked_by_hand(folder / "gradebook.db"):
        raise GradingError(
            f"{folder} holds marks or comments given by hand; it is left as it is. "
            "Name another folder with --out, or delete it yourself"
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    about.write_text(ABOUT_THE_FOLDER, encoding="utf-8")


def _marked_by_hand(gradebook: Path) -> bool:
    """Whether a person gave a mark or wrote a comment."""
    if not gradebook.is_file():
        return False
    with Gradebook(f"sqlite:///{gradebook}") as book:
        marks = book.db.query(Grade).filter(
            Grade.manual_score.is_not(None) | Grade.extra_credit.is_not(None)
        )
        comments = book.db.query(Comment).filter(Comment.manual_comment.is_not(None))
        return marks.count() + comments.count() > 0


def _students(classroom: Classroom) -> Iterator[SampleStudent]:
    released = read_notebook(classroom.release)
    source = read_notebook(classroom.course.source(classroom.assignment))
    mutants, alternatives = classroom.course.known_answers(classroom.assignment)
    names = questions(source)
    if not names:
        raise GradingError(f"{classroom.assignment} has no question that tests mark")
    unknown = sorted({*mutants, *alternatives} - {*names})
    if unknown:
        raise GradingError(f"mutants.py of {classroom.assignment} names no question: {unknown}")
    right = {name: SOLUTION_MARK.sub("", c.source) for name, c in answer_cells(source).items()}
    others = {name: next(iter(answers.values())) for name, answers in alternatives.items()}
    file_name, first = classroom.release.name, names[0]

    def answered(changes: Mapping[str, str]) -> str:
        return nbformat.writes(_fill(released, {**right, **changes}))

    reference = answered({})
    yield SampleStudent("the reference answers", file_name, reference, "all")
    yield SampleStudent("the release, untouched", file_name, nbformat.writes(released), "nothing")
    yield SampleStudent("other right answers", file_name, answered(others), "all")
    yield SampleStudent(
        "right, saved by Colab",
        f"Copy of {file_name}",
        nbformat.writes(_as_colab_saves(_fill(released, right))),
        "all",
    )
    yield SampleStudent(
        "a package that is not there",
        file_name,
        answered({first: f"import a_package_that_is_not_there\n\n{right[first]}"}),
        "all but one",
        first,
    )
    yield SampleStudent(
        "an endless loop",
        file_name,
        answered({first: f"while True:\n    pass\n\n{right[first]}"}),
        "all but one",
        first,
    )
    yield SampleStudent(
        "a download cut short", file_name, reference[: len(reference) // 2], "not graded"
    )
    for index, name in enumerate(names):
        mistakes = mutants.get(name)
        if not mistakes:
            raise GradingError(f"mutants.py of {classroom.assignment} has no mistake for {name}")
        # Not the first each time: authors begin with the same kind.
        mistake = list(mistakes)[index % len(mistakes)]
        yield SampleStudent(
            f"{name}: {mistake}",
            file_name,
            answered({name: mistakes[mistake]}),
            "all but one",
            name,
        )


def large_class(
    released: NotebookNode, source: NotebookNode, known: tuple[Answers, Answers], size: int
) -> Iterator[NotebookNode]:
    """Notebooks as a large class hands them in, the same each time.

    Of a hundred, about six are untouched and ten stop half-way; in the others each answer is, one
    time in five, a usual mistake, else the reference or another right answer. One in ten is saved
    by Colab.

    Parameters
    ----------
    released, source : the notebook as students get it, and as the instructor has it
    known : usual mistakes and other right answers, by question
    """
    generator = random.Random(0)
    mistakes, others = known
    right = {name: SOLUTION_MARK.sub("", c.source) for name, c in answer_cells(source).items()}
    stubs = {name: cell.source for name, cell in answer_cells(released).items()}
    for number in range(size):
        answers = {}
        for name, reference in right.items():
            choice = [*others.get(name, {}).values(), reference]
            if name in mistakes and generator.random() < 0.2:
                choice = list(mistakes[name].values())
            answers[name] = generator.choice(choice)
        kind = generator.random()
        done = 0 if kind < 0.06 else len(right) // 2 if kind < 0.16 else len(right)
        for name in list(right)[done:]:
            answers[name] = stubs[name]
        notebook = _fill(released, answers)
        yield _as_colab_saves(notebook) if number % 10 == 9 else notebook


def _fill(released: NotebookNode, answers: Mapping[str, str]) -> NotebookNode:
    """The release with answers written into their cells."""
    notebook = copy.deepcopy(released)
    for name, cell in answer_cells(notebook).items():
        cell.source = answers[name]
    return notebook


def _as_colab_saves(notebook: NotebookNode) -> NotebookNode:
    """Colab writes an old minor format: ids among the metadata, and much of its own beside."""
    saved = copy.deepcopy(notebook)
    saved.nbformat_minor = 0
    saved.metadata = NotebookNode(
        accelerator="GPU",
        colab={"gpuType": "T4", "provenance": [], "toc_visible": True},
        kernelspec={"display_name": "Python 3", "name": "python3"},
        language_info={"name": "python"},
    )
    for index, cell in enumerate(saved.cells):
        del cell["id"]
        key = hashlib.sha256(f"{index} {cell.source}".encode()).hexdigest()[:12]
        cell.metadata["id"] = key
        if cell.cell_type == "code":
            cell.metadata["colab"] = {"base_uri": "https://localhost:8080/"}
            cell.metadata["outputId"] = key[::-1]
            cell.metadata["executionInfo"] = {
                "elapsed": 12,
                "status": "ok",
                "timestamp": 1767225600000 + 1000 * index,
                "user": {"displayName": "", "userId": ""},
                "user_tz": 0,
            }
            cell.execution_count = index + 1
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="done\n")]
    return saved
