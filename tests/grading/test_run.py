"""A class graded at once: killed and started again, on a cluster, by nbgrader: the same marks."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path

import nbformat
import psutil
import pytest
from nbgrader.api import Gradebook

from nlp_course.grading.classbook import student_reports
from nlp_course.grading.classroom import Classroom
from nlp_course.grading.converters import autograde
from nlp_course.grading.course import Course
from nlp_course.grading.execute import Results
from nlp_course.grading.job import STARVED, Outcome
from nlp_course.grading.notebooks import GradingError, read_notebook
from nlp_course.grading.run import dask, grade_class, threads
from nlp_course.grading.sample import large_class
from nlp_course.grading.scoring import Status
from nlp_course.grading.seeds import read_secret
from tests.grading.conftest import write_course

pytestmark = [pytest.mark.grading, pytest.mark.sandbox]
NAME = "90-sums"
SIZE = 20
SEEDED = "assert total([student_seed, 1]) == student_seed + 1\n### END HIDDEN TESTS"
COMMAND = Path(sys.executable).with_name("nlp-course")

Marks = dict[str, dict[str, float | None]]


def marks(classroom: Classroom) -> Marks:
    """What tests gave, by student and cell, from the gradebook."""
    found = {}
    with Gradebook(classroom.gradebook) as book:
        for submission in book.assignment_submissions(NAME):
            (notebook,) = submission.notebooks
            found[submission.student_id] = {one.name: one.auto_score for one in notebook.grades}
    return found


def results(classroom: Classroom) -> dict[str, Path]:
    """Files with outcomes, by student."""
    return {path.stem: path for path in (classroom.folder / "results" / NAME).glob("*.json")}


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    """A class that has handed in, with nothing graded."""
    course = Course(write_course(tmp_path_factory.mktemp("course")))
    source = nbformat.read(course.source(NAME), 4)
    source.cells[4].source = source.cells[4].source.replace("### END HIDDEN TESTS", SEEDED)
    nbformat.write(source, course.source(NAME))
    classroom = Classroom(course, NAME, course.root / "class")
    classroom.open()
    released = read_notebook(classroom.release)
    notebooks = large_class(released, source, course.known_answers(NAME), SIZE)
    for number, notebook in enumerate(notebooks, start=1):
        folder = course.root / "handed-in" / f"student-{number:02d}"
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / "any name.ipynb")
    collection = classroom.collect(course.root / "handed-in")
    assert (len(collection.accepted), collection.reviews) == (SIZE, ())
    read_secret(classroom.folder / "secret")  # so that copies of the class draw the same inputs
    return classroom


@pytest.fixture(scope="module")
def another(collected: Classroom) -> Callable[[str], Classroom]:
    """The same class once more, in another folder."""

    def copy(name: str) -> Classroom:
        folder = collected.course.root / name
        shutil.copytree(collected.folder, folder, dirs_exist_ok=True)  # the settings make one
        return Classroom(collected.course, NAME, folder)

    return copy


@pytest.fixture(scope="module")
def undisturbed(another: Callable[[str], Classroom]) -> Classroom:
    """The class, graded in one go. It lies where nbgrader's own commands look for it."""
    classroom = another("_build/class")
    assert classroom.folder == classroom.course.settings.class_folder
    with threads(2) as executor:
        graded = classroom.grade(executor)
    assert [(one.student, one.failure) for one in graded] == [
        (f"student-{number:02d}", None) for number in range(1, SIZE + 1)
    ]
    return classroom


def test_the_class_has_marks_of_every_kind(undisturbed: Classroom):
    totals = {sum(points or 0 for points in one.values()) for one in marks(undisturbed).values()}
    assert {0, 3, 6} <= totals


def test_each_student_has_inputs_of_their_own_and_the_same_each_time(
    undisturbed: Classroom, another: Callable[[str], Classroom]
):
    def seeds(classroom: Classroom, student: str) -> list[int]:
        job, _, _ = Results(classroom.folder / "results").latest(NAME, student)
        return [cell.seed for cell in job.cells if cell.kind == "test"]

    again = another("again")
    with threads(1) as executor:
        again.grade(executor, ["student-01", "student-02"])
    first, second = seeds(again, "student-01"), seeds(again, "student-02")
    assert set(first).isdisjoint(second)
    assert first[0] == first[1] != first[2]  # two tests of one question, and one of another
    assert first == seeds(undisturbed, "student-01")
    assert second == seeds(undisturbed, "student-02")


def command(classroom: Classroom, *arguments: str) -> list[str | Path]:
    return [COMMAND, "grade", NAME, "--class", classroom.folder.name, *arguments]


def test_killed_in_the_middle_and_started_again_it_ends_with_the_same_marks(
    undisturbed: Classroom, another: Callable[[str], Classroom]
):
    killed = another("killed")
    grading = subprocess.Popen(
        command(killed, "--jobs", "1"),
        cwd=killed.course.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 120
        while len(results(killed)) < SIZE // 2 and time.monotonic() < until:
            assert grading.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
        below = psutil.Process(grading.pid).children(recursive=True)
        os.killpg(grading.pid, signal.SIGKILL)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(grading.pid, signal.SIGKILL)
        grading.wait()
    assert below
    assert psutil.wait_procs(below, timeout=20)[1] == []  # what it started ends with it
    before = {student: path.stat().st_mtime_ns for student, path in results(killed).items()}
    assert SIZE // 2 <= len(before) < SIZE

    done = subprocess.run(
        command(killed, "--jobs", "2"), cwd=killed.course.root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert f"{SIZE} graded, 0 not" in done.stdout
    assert marks(killed) == marks(undisturbed)
    after = {student: path.stat().st_mtime_ns for student, path in results(killed).items()}
    assert len(after) == SIZE
    assert {student: after[student] for student in before} == before


class Counting(Executor):
    """Runs at once what it is given, and counts it."""

    def __init__(self) -> None:
        self.asked = 0

    def submit(self, function, /, *arguments, **options) -> Future:
        self.asked += 1
        future: Future = Future()
        future.set_result(function(*arguments, **options))
        return future


def test_a_notebook_runs_again_only_if_it_changed_or_is_asked_to(
    undisturbed: Classroom, another: Callable[[str], Classroom]
):
    some = another("some")
    students = ["student-01", "student-02", "student-03"]
    executor = Counting()

    def runs(**options: bool) -> int:
        before = executor.asked
        assert all(one.failure is None for one in some.grade(executor, students, **options))
        return executor.asked - before

    assert runs() == 3
    assert runs() == 0
    path = some.folder / "submitted/student-02" / NAME / f"{NAME}.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells[3].source += "\n# another thought"
    nbformat.write(notebook, path)
    assert runs() == 1
    assert runs(again=True) == 3
    assert marks(some) == {student: marks(undisturbed)[student] for student in students}


def test_a_failed_re_grade_withdraws_marks_of_tests_and_keeps_those_given_by_hand(
    undisturbed: Classroom, another: Callable[[str], Classroom]
):
    classroom = another("regrade")
    full = [name for name, one in marks(undisturbed).items() if one["q02-mean-tests"] == 3]
    broken, whole = full[:2]
    with threads(2) as executor:
        classroom.grade(executor, [broken, whole])
    with Gradebook(classroom.gradebook) as book:
        for student in (broken, whole):
            book.find_grade("q03-derivation", NAME, NAME, student).manual_score = 3
        book.db.commit()
    (classroom.folder / "submitted" / broken / NAME / f"{NAME}.ipynb").write_text("{")
    with threads(2) as executor:
        graded = {one.student: one.failure for one in classroom.grade(executor, [broken, whole])}
    assert graded[whole] is None
    assert "not a notebook" in (graded[broken] or "")
    tested = ("q01-total-tests", "q01-total-hidden", "q02-mean-tests")
    found = marks(classroom)
    assert [found[broken][name] for name in tested] == [None, None, None]
    assert found[whole] == marks(undisturbed)[whole]
    with Gradebook(classroom.gradebook) as book:
        for student in (broken, whole):
            assert book.find_grade("q03-derivation", NAME, NAME, student).manual_score == 3


def test_a_grading_that_is_broken_off_leaves_no_mark_that_looks_like_one(
    undisturbed: Classroom, another: Callable[[str], Classroom]
):
    classroom = another("broken-off")
    students = ["student-01", "student-02"]
    classroom.grade(Counting(), students)
    with classroom.log() as log:
        grading = grade_class(classroom.config, NAME, students, Counting(), log, again=True)
        done = next(grading).student
        grading.close()
    reports = {one.student: one for one in student_reports(classroom)}
    (other,) = {*students} - {done}
    assert reports[done].failure is None
    assert reports[other].failure == "its grading was broken off; grade it again"
    classroom.grade(Counting(), students)
    assert {one.failure for one in student_reports(classroom) if one.student in students} == {None}


def test_a_secret_that_others_may_read_stops_before_marks_are_withdrawn(
    undisturbed: Classroom, another: Callable[[str], Classroom]
):
    classroom = another("open-secret")
    classroom.grade(Counting(), ["student-01"])
    before = marks(classroom)["student-01"]
    (classroom.folder / "secret").chmod(0o644)
    with pytest.raises(GradingError, match="others may read this secret"):
        classroom.grade(Counting(), ["student-01"], again=True)
    assert marks(classroom)["student-01"] == before == marks(undisturbed)["student-01"]


def test_a_test_that_is_not_there_never_runs_as_the_students_own(
    undisturbed: Classroom, another: Callable[[str], Classroom]
):
    """Nor by nbgrader's own command, which would put it back with a line before it."""
    classroom = another("missing")
    path = classroom.folder / "submitted/student-01" / NAME / f"{NAME}.ipynb"
    notebook = nbformat.read(path, 4)
    (hidden,) = [cell for cell in notebook.cells if cell.id == "q01-total-hidden"]
    notebook.cells.remove(hidden)
    nbformat.write(notebook, path)
    (graded,) = classroom.grade(Counting(), ["student-01"])
    assert graded.failure == (
        "its notebook is of another release, without q01-total-hidden; "
        "take it in again: nlp-course collect"
    )
    with classroom.log() as log, pytest.raises(GradingError, match="without q01-total-hidden"):
        autograde(classroom.config, NAME, "student-01", log)


def test_damaged_submissions_are_named_and_stop_no_other(
    undisturbed: Classroom, another: Callable[[str], Classroom]
):
    classroom = another("damaged")
    damage = {
        "student-02": b"{",
        "student-05": b"",
        "student-09": b"\xff\xfe\x00",
        "student-11": None,
    }
    for student, data in damage.items():
        path = classroom.folder / "submitted" / student / NAME / f"{NAME}.ipynb"
        path.unlink()
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data)
    with threads(2) as executor:
        graded = {one.student: one.failure for one in classroom.grade(executor)}
    assert {student for student, failure in graded.items() if failure} == {*damage}
    assert len(graded) == SIZE
    expected = marks(undisturbed)
    assert {name: one for name, one in marks(classroom).items() if name not in damage} == {
        name: one for name, one in expected.items() if name not in damage
    }
    assert f"{NAME}.ipynb" in graded["student-02"]


def test_what_a_worker_cannot_do_is_named_and_stops_no_other(
    undisturbed: Classroom, another: Callable[[str], Classroom], caplog
):
    class Faulty(Counting):
        def submit(self, function, /, *arguments, **options) -> Future:
            if self.asked == 0:
                self.asked += 1
                lost: Future = Future()
                lost.set_exception(MemoryError("the worker was lost"))
                return lost
            return super().submit(function, *arguments, **options)

    classroom = another("lost")
    with classroom.log() as log:
        graded = list(
            grade_class(classroom.config, NAME, ["student-01", "student-02"], Faulty(), log)
        )
    failures = {one.student: one.failure for one in graded}
    assert failures == {"student-01": "MemoryError: the worker was lost", "student-02": None}
    reports = {one.student: one for one in student_reports(classroom)}
    assert reports["student-01"].failure == "MemoryError: the worker was lost"
    assert reports["student-03"].failure == "it has not been graded yet"


def test_what_was_starved_runs_again_alone_after_the_others(
    undisturbed: Classroom, another: Callable[[str], Classroom]
):
    class Crowded(Counting):
        """It has no time for the second and the third notebook that it is asked for."""

        def __init__(self) -> None:
            super().__init__()
            self.jobs: list[str] = []

        def submit(self, function, /, *arguments, **options) -> Future:
            self.jobs.append(arguments[0])
            future = super().submit(function, *arguments, **options)
            if self.asked in (2, 3):
                outcome = Outcome.from_json(future.result())
                cells = {
                    index: replace(cell, status=cell.status and Status.TIMEOUT)
                    for index, cell in outcome.cells.items()
                }
                short = replace(outcome, cells=cells, notes=(STARVED,))
                future = Future()
                future.set_result(short.to_json())
            return future

    classroom, executor = another("crowded"), Crowded()
    students = ["student-01", "student-02", "student-03", "student-04"]
    graded = classroom.grade(executor, students)
    assert [one.failure for one in graded] == [None] * 4
    assert sorted(one.student for one in graded) == students
    assert len(executor.jobs) == 6
    assert set(executor.jobs[4:]) == set(executor.jobs[1:3])
    expected = marks(undisturbed)
    assert {student: marks(classroom)[student] for student in students} == {
        student: expected[student] for student in students
    }


def test_what_only_waits_is_run_no_third_time_and_its_report_says_so(
    undisturbed: Classroom, another: Callable[[str], Classroom]
):
    class Waiting(Counting):
        def submit(self, function, /, *arguments, **options) -> Future:
            future = super().submit(function, *arguments, **options)
            waited = replace(Outcome.from_json(future.result()), notes=(STARVED,))
            again: Future = Future()
            again.set_result(waited.to_json())
            return again

    classroom, executor = another("waiting"), Waiting()
    classroom.grade(executor, ["student-01", "student-02"])
    assert executor.asked == 4
    classroom.grade(executor, ["student-03"])  # it ran alone
    assert executor.asked == 5
    reports = {one.student: one for one in student_reports(classroom)}
    assert STARVED in reports["student-01"].warnings


@pytest.mark.slow
def test_dask_with_two_workers_gives_the_same_marks(
    undisturbed: Classroom, another: Callable[[str], Classroom]
):
    pytest.importorskip("distributed")
    classroom = another("dask")
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with dask("local", 2) as executor:
        graded = classroom.grade(executor)
    assert [one for one in graded if one.failure] == []
    assert len(graded) == SIZE
    assert marks(classroom) == marks(undisturbed)


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_named():
    pytest.importorskip("distributed")
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with (
        pytest.raises(GradingError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
        dask("tcp://127.0.0.1:9", 1),
    ):
        pass


@pytest.mark.slow
def test_nbgrader_autograde_gives_the_same_marks(undisturbed: Classroom, run_grading):
    expected = marks(undisturbed)
    with Gradebook(undisturbed.gradebook) as book:
        for submission in book.assignment_submissions(NAME):
            for grade in submission.notebooks[0].grades:
                grade.auto_score = None
        book.db.commit()
    before = {student: path.stat().st_mtime_ns for student, path in results(undisturbed).items()}
    done = run_grading(undisturbed.course.root, "nbgrader", "autograde", NAME, "--force")
    assert done.returncode == 0, done.stderr[-4000:]
    assert marks(undisturbed) == expected
    after = {student: path.stat().st_mtime_ns for student, path in results(undisturbed).items()}
    assert all(after[student] > before[student] for student in before)  # nothing was reused
