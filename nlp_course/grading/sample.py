"""A class that shows what grading does, made up from an assignment's own answers.

Each student stands for something that happens: all right, nothing done, another right answer,
a notebook as Colab saves it, a missing package, an endless loop, a broken file, and, for each
question, a usual mistake. What each must get is known, so the sample is a test as well.
"""

from __future__ import annotations

import copy
import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Comment, Grade, Gradebook

from nlp_course.grading.classroom import Classroom
from nlp_course.grading.marks import Marks
from nlp_course.grading.notebooks import (
    GradingError,
    answer_cells,
    question_of,
    questions,
    read_notebook,
)

SAMPLE_NAME = re.compile(r"student-\d{2,}")
SOLUTION_MARK = re.compile(r"^.*(BEGIN|END) SOLUTION.*\n?", flags=re.MULTILINE)
ABOUT_THE_FOLDER = """A sample class; `make grade-sample` makes and grades it, afresh each time.

received/      what each student handed in      marks.csv      marks, a line a student
submitted/     the same, as nbgrader reads it   gradebook.db   marks, for nbgrader's formgrader
autograded/    notebooks as they were run       grading.log    all that nbgrader said
feedback/      what each student gets back
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

    def complaint(self, marks: Marks, names: list[str]) -> str | None:
        """How the marks differ from what they must be; None where they do not."""
        if self.gets == "not graded":
            return None if marks.failure else "was graded, and could not be"
        if marks.failure:
            return "was not graded"
        if self.gets == "nothing":
            return f"must get 0, got {marks.automatic:g}" if marks.automatic else None
        wanted = {self.question} if self.gets == "all but one" else set()
        lost = {question_of(test, names) for test in marks.lost}
        if lost == wanted:
            return None
        said = " and ".join(sorted(map(str, lost))) or "nothing"
        return f"must lose marks on {' '.join(wanted) or 'nothing'}, lost them on {said}"


def make_students(classroom: Classroom) -> dict[str, SampleStudent]:
    """The sample's students, by name; the same each time."""
    students = list(_students(classroom))
    return {f"student-{number:02d}": student for number, student in enumerate(students, start=1)}


def hand_in(classroom: Classroom, students: Mapping[str, SampleStudent]) -> None:
    """Write what the students hand in."""
    for name, student in students.items():
        folder = classroom.folder / "received" / name
        folder.mkdir(parents=True)
        (folder / student.file_name).write_text(student.text, encoding="utf-8")


def clear(folder: Path) -> None:
    """Empty a folder that an earlier sample filled, and no other.

    Raises
    ------
    GradingError : something else lies there, or the work of a person: a submission of someone
        whom no sample made, a mark or a comment given by hand.
    """
    about = folder / "ABOUT.txt"
    if folder.exists() and not folder.is_dir():
        raise GradingError(f"{folder} is a file; name a folder with --out")
    if folder.exists() and any(folder.iterdir()) and not about.is_file():
        raise GradingError(
            f"{folder} holds something that is not a sample class; name another folder with --out"
        )
    people = sorted(
        {
            path.name
            for part in ("received", "submitted")
            for path in (folder / part).glob("*")
            if not SAMPLE_NAME.fullmatch(path.name) and not path.name.startswith(".")
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
