"""Submissions graded a minute: this course's grading beside `nbgrader autograde`, in one run.

    python -m benchmarks.grading                       300 submissions, 24 of them by nbgrader too
    python -m benchmarks.grading --size 40 --stock 10

Both grade the same files of a generated class. nbgrader runs each notebook in a kernel that
nothing keeps apart from the machine; here the sandbox is on.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from nlp_course.grading.classroom import Classroom
from nlp_course.grading.course import Course
from nlp_course.grading.notebooks import read_notebook
from nlp_course.grading.run import grade_class, threads
from nlp_course.grading.sample import large_class

ROOT = Path(__file__).parents[1]
STOCK = """
c = get_config()
c.CourseDirectory.root = {root!r}
c.CourseDirectory.source_directory = {solutions!r}
c.CourseDirectory.db_url = "sqlite:///{root}/stock.db"
c.CourseDirectory.ignore = ["assignment.toml", "mutants.py", "__pycache__"]
c.Execute.timeout = 30
"""


def main() -> None:
    """Make the class, grade it both ways, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assignment", default="02-word2vec")
    parser.add_argument(
        "--size", type=int, default=300, help="submissions for this course's grading"
    )
    parser.add_argument("--stock", type=int, default=24, help="of them, by nbgrader too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(options, Path(folder))


def compare(options: argparse.Namespace, folder: Path) -> None:
    course = Course(ROOT)
    classroom = Classroom(course, options.assignment, folder / "class")
    classroom.open()
    source = read_notebook(course.source(options.assignment))
    released = read_notebook(classroom.release)
    known = course.known_answers(options.assignment)
    students = []
    for number, notebook in enumerate(large_class(released, source, known, options.size), start=1):
        student = f"student-{number:03d}"
        students.append(student)
        for place in [folder / "class", *([folder / "stock"] if number <= options.stock else [])]:
            path = (
                place / "submitted" / student / options.assignment / f"{options.assignment}.ipynb"
            )
            path.parent.mkdir(parents=True)
            nbformat.write(notebook, path)

    cores = len(os.sched_getaffinity(0))
    print(
        f"{options.assignment}: {options.size} submissions, {cores} cores, {options.jobs} at a time"
    )
    first, others = _stock(course, options.assignment, folder / "stock", options.stock)
    stock = _report("nbgrader autograde", options.stock, first, others)

    failures, peaks, done_at = [], [], []
    begun = time.perf_counter()
    with classroom.log() as log, threads(options.jobs) as executor:
        graded = grade_class(classroom.config, options.assignment, students, executor, log)
        for done, one in enumerate(graded, start=1):
            done_at.append(time.perf_counter() - begun)
            if one.failure:
                failures.append(one)
            if done in (max(options.size // 3, 1), options.size):
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    ours = _report("nlp-course grade", options.size, done_at[0], done_at[-1] - done_at[0])
    ratio = {name: ours[name] / stock[name] for name in ours}
    print(f"ratio: {ratio['whole']:.1f} with the start, {ratio['after']:.1f} after it")
    print(f"memory of the writer: {peaks[0]:.0f} MB after a third, {peaks[-1]:.0f} MB at the end")
    print(
        f"not graded: {len(failures)} {[f'{one.student}: {one.failure}' for one in failures[:3]]}"
    )
    print(json.dumps({"stock": stock, "course": ours, "ratio": ratio}))


def _report(name: str, size: int, first: float, others: float) -> dict[str, float]:
    """Submissions a minute, with what it takes to start and after that.

    Parameters
    ----------
    first : seconds until the first submission is done
    others : seconds for all the others
    """
    rates = {"whole": 60 * size / (first + others), "after": 60 * (size - 1) / others}
    print(
        f"{name:18} {size:4d} in {first + others:6.1f} s, the first {first:4.1f} s: "
        f"{rates['whole']:6.1f} a minute, {rates['after']:6.1f} after the first"
    )
    return rates


def _stock(course: Course, assignment: str, folder: Path, size: int) -> tuple[float, float]:
    """Seconds that `nbgrader autograde` takes: until the first is done, and for the others."""
    settings = STOCK.format(root=str(folder), solutions=str(course.solutions))
    (folder / "nbgrader_config.py").write_text(settings, encoding="utf-8")
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ,
        "NLP_COURSE_GRADING": "1",
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
    }

    def nbgrader(*words: str) -> None:
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
        if not (folder / "release").is_dir():
            raise RuntimeError(done.stderr[-2000:])

    nbgrader("generate_assignment", assignment, "--force")
    begun = time.perf_counter()
    nbgrader("autograde", assignment, "--student", "student-001")
    first = time.perf_counter() - begun
    begun = time.perf_counter()
    nbgrader("autograde", assignment)  # it passes over what is graded
    rest = time.perf_counter() - begun
    each = (rest - first) / (size - 2)  # the program starts a second time
    return first, each * (size - 1)


if __name__ == "__main__":
    main()
