"""Submissions graded a minute, beside `nbgrader autograde` and `otter run`, in one run.

    python -m benchmarks.grading                       300 submissions, 24 of them by the peers too
    python -m benchmarks.grading --size 40 --stock 10

All grade the same files of a generated class. nbgrader and Otter run each notebook in a kernel that
nothing keeps apart from the machine; here the sandbox is on. Otter gets the same test cells as its
own tests (`benchmarks.otter`) and is started as often at a time as the course.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook

from benchmarks import otter, results
from benchmarks.results import Row
from nlp_course.grading.classroom import Classroom
from nlp_course.grading.course import Course
from nlp_course.grading.notebooks import read_notebook, tested_points
from nlp_course.grading.run import grade_class, threads
from nlp_course.grading.sample import large_class

ROOT = results.ROOT
NBGRADER, OTTER = "nbgrader autograde", "otter run"
HOW = {NBGRADER: "one at a time, so that a core idles", OTTER: "as many at a time as the course"}
GOALS = {NBGRADER: 8.0, OTTER: 5.0}
STOCK = """
from nbgrader.converters import GenerateAssignment
from nlp_course.grading.student_cells import AddStudentCells
c = get_config()
STEPS = GenerateAssignment.class_traits()["preprocessors"].default()
c.GenerateAssignment.preprocessors = [AddStudentCells, *STEPS]
c.AddStudentCells.course = {course!r}
c.CourseDirectory.root = {root!r}
c.CourseDirectory.source_directory = {solutions!r}
c.CourseDirectory.db_url = "sqlite:///{root}/stock.db"
c.CourseDirectory.ignore = ["assignment.toml", "mutants.py", "__pycache__"]
c.Execute.timeout = 30
"""


class Class(NamedTuple):
    """A generated class: where it is graded, and what its students have handed in."""

    classroom: Classroom
    assignment: str
    notebooks: dict[str, NotebookNode]
    source: NotebookNode


class Graded(NamedTuple):
    """Seconds until the first submission is done, and for the others; the first ones' marks."""

    first: float
    others: float
    marks: list[float]


def make_class(assignment: str, size: int, folder: Path) -> Class:
    """A class in a folder, its submissions collected."""
    course = Course(ROOT)
    classroom = Classroom(course, assignment, folder)
    classroom.open()
    source = read_notebook(course.source(assignment))
    released = read_notebook(classroom.release)
    made = large_class(released, source, course.known_answers(assignment), size)
    notebooks = {f"student-{number:03d}": notebook for number, notebook in enumerate(made, start=1)}
    for student, notebook in notebooks.items():
        hand_in(notebook, folder, student, assignment)
    return Class(classroom, assignment, notebooks, source)


def hand_in(notebook: NotebookNode, folder: Path, student: str, assignment: str) -> None:
    """Write a notebook where nbgrader collects it."""
    path = folder / "submitted" / student / assignment / f"{assignment}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)


def grade(made: Class, executor: Executor, *, again: bool = False) -> Iterator[float]:
    """Grade a class; seconds from the beginning until each submission was done.

    Raises
    ------
    RuntimeError : one was not graded.
    """
    begun = time.perf_counter()
    classroom = made.classroom
    with classroom.log() as log:
        chosen = list(made.notebooks)
        for one in grade_class(
            classroom.config, made.assignment, chosen, executor, log, again=again
        ):
            if one.failure:
                raise RuntimeError(f"{one.student} was not graded: {one.failure}")
            yield time.perf_counter() - begun


def main() -> None:
    """Make the class, grade it in each way, and print the figures."""
    parser = results.parser(__doc__)
    parser.add_argument("--assignment", default="02-word2vec")
    parser.add_argument(
        "--size", type=int, default=300, help="submissions for this course's grading"
    )
    parser.add_argument("--stock", type=int, default=24, help="of them, by the peers too")
    parser.add_argument("--jobs", type=int, default=results.cores(), help="at a time")
    options = parser.parse_args()
    if not 3 <= options.stock <= options.size:
        parser.error("--stock must be at least 3, to tell the start, and at most --size")
    rows = []
    if (ROOT / "solutions").is_dir():
        with tempfile.TemporaryDirectory() as folder:
            rows = compare(options, Path(folder))
    else:
        print("skipped: the public copy of the course comes without solutions/")
    results.finish("grading", options, rows, results.installed("nbgrader") | otter.version())


def compare(options: argparse.Namespace, folder: Path) -> list[Row]:
    """Grade the class in each way, print the figures, and return the rows."""
    made = make_class(options.assignment, options.size, folder / "class")
    tests = list(tested_points(made.source))
    peer = otter.program()
    if peer is None:
        results.say_absent(OTTER)
    few = list(made.notebooks)[: options.stock]
    for_otter = []
    for student in few:
        hand_in(made.notebooks[student], folder / "stock", student, options.assignment)
        if peer is not None:
            for_otter.append(folder / "otter" / student / f"{options.assignment}.ipynb")
            otter.write_submission(made.notebooks[student], tests, for_otter[-1])

    print(
        f"{options.assignment}: {options.size} submissions, {results.cores()} cores, "
        f"{options.jobs} at a time"
    )
    first, others = _stock(options.assignment, folder / "stock", options.stock)
    _report(NBGRADER, options.stock, first, others)
    book = f"sqlite:///{folder}/stock/stock.db"
    peers = {NBGRADER: Graded(first, others, _marks(book, options.assignment, few))}
    if peer is not None:
        zipped = otter.configure(peer, made.source, folder / "otter")
        first, *_, last = otter.grade(peer, for_otter, zipped, options.jobs)
        _report(OTTER, options.stock, first, last - first)
        marks = [otter.marks(path) for path in for_otter]
        peers[OTTER] = Graded(first, last - first, marks)

    peaks, done_at = [], []
    with threads(options.jobs) as executor:
        for done, end in enumerate(grade(made, executor), start=1):
            done_at.append(end)
            if done in (max(options.size // 3, 1), options.size):
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    first, others = _start() + done_at[0], done_at[-1] - done_at[0]
    _report("nlp-course grade", options.size, first, others)
    print(f"memory of the writer: {peaks[0]:.0f} MB after a third, {peaks[-1]:.0f} MB at the end")
    marks = _marks(made.classroom.config.CourseDirectory.db_url, options.assignment, few)
    ours = Graded(first, others, marks)
    return [_row(name, ours, peers.get(name), options.size) for name in GOALS]


def _row(name: str, ours: Graded, peer: Graded | None, size: int) -> Row:
    """Submissions a minute of a class of this size; a peer has graded its first ones alone."""
    work = f"grading: {size} submissions, {results.cores()} cores"
    if peer is None:
        return results.absent(work, name, GOALS[name])
    graded = len(peer.marks)
    seconds = ours.first + ours.others, peer.first + peer.others / (graded - 1) * (size - 1)
    rates = [[60 * size / side] for side in seconds]
    same = sum(mark == other for mark, other in zip(ours.marks, peer.marks, strict=True))
    note = (
        f"it grades {graded} of them, {HOW[name]}, the same marks for {same}; its time for all is "
        "that of its first and of the mean of its others"
    )
    goal, equal = GOALS[name], same == graded
    return results.compared(work, name, *rates, "a minute", goal, rate=True, note=note, same=equal)


def _start() -> float:
    """Seconds until a fresh Python could grade, as the peers' first submissions have them, too."""
    begun = time.perf_counter()
    modules = "import nlp_course.grading.classroom, nlp_course.grading.run"
    subprocess.run([sys.executable, "-c", modules], check=True)
    return time.perf_counter() - begun


def _marks(book: str, assignment: str, students: Sequence[str]) -> list[float]:
    """What tests gave each student, as a gradebook has it."""
    with Gradebook(book) as gradebook:
        submissions = [gradebook.find_submission(assignment, student) for student in students]
        return [
            sum(grade.auto_score or 0 for notebook in one.notebooks for grade in notebook.grades)
            for one in submissions
        ]


def _report(name: str, size: int, first: float, others: float) -> None:
    """Print submissions a minute, with what it takes to start and after that.

    Parameters
    ----------
    first : seconds until the first submission is done
    others : seconds for all the others
    """
    print(
        f"{name:18} {size:4d} in {first + others:6.1f} s, the first {first:4.1f} s: "
        f"{60 * size / (first + others):6.1f} a minute, "
        f"{60 * (size - 1) / others:6.1f} after the first"
    )


def _stock(assignment: str, folder: Path, size: int) -> tuple[float, float]:
    """Seconds that `nbgrader autograde` takes: until the first is done, and for the others."""
    settings = STOCK.format(
        root=str(folder), solutions=str(Course(ROOT).solutions), course=str(ROOT)
    )
    (folder / "nbgrader_config.py").write_text(settings, encoding="utf-8")
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ,
        "NLP_COURSE_GRADING": "1",
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
    }

    def nbgrader(*words: str) -> str:
        done = subprocess.run(
            [scripts / "nbgrader", *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode and words[0] != "autograde":  # a notebook that fails is an error there
            raise RuntimeError(done.stderr[-2000:])
        return done.stderr

    nbgrader("generate_assignment", assignment, "--force")
    begun = time.perf_counter()
    nbgrader("autograde", assignment, "--student", "student-001")
    first = time.perf_counter() - begun
    begun = time.perf_counter()
    said = nbgrader("autograde", assignment)  # it passes over what is graded
    rest = time.perf_counter() - begun
    graded = len(list((folder / "autograded").glob(f"*/{assignment}/{assignment}.ipynb")))
    if graded < size:
        raise RuntimeError(f"nbgrader graded {graded} of {size}: {said[-2000:]}")
    each = (rest - first) / (size - 2)  # the program starts a second time
    return first, each * (size - 1)


if __name__ == "__main__":
    main()
