"""Grades a class: many notebooks at a time, one writer of the gradebook.

Notebooks run wherever the executor has its workers: threads of this process, each of which waits
for a sandboxed process, or a Dask cluster. What became of a notebook is kept in a file.
This process alone writes the gradebook, through nbgrader's own step. Killed and started again,
a grading takes from the files what is done, and ends with the same marks.

A notebook that ran out of time when it had waited long for a core is run again after all the
others, alone: one notebook's many processes must not cost its neighbours their marks.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from tqdm import tqdm
from traitlets.config import Config

from nlp_course.grading.converters import autograde
from nlp_course.grading.engine import Surroundings
from nlp_course.grading.execute import ENGINES, Execute, Results, SourceCell, read_sources
from nlp_course.grading.job import Job, Outcome
from nlp_course.grading.notebooks import GradingError, answer_cells, grade_id, read_notebook
from nlp_course.grading.record import one_engine
from nlp_course.grading.seeds import read_secret


@dataclass(frozen=True)
class Graded:
    """One submission that has been dealt with; `failure` says why it has no marks."""

    student: str
    failure: str | None = None


def run_job(job: str, around: Surroundings) -> str:
    """Run one submission in this process's own engine; what a worker of any kind is asked."""
    return ENGINES.run(Job.from_json(job), around).to_json()


def grade_class(
    config: Config,
    assignment: str,
    students: Iterable[str],
    executor: Executor,
    log: logging.Logger,
    *,
    again: bool = False,
) -> Iterator[Graded]:
    """Grade these students' submissions, and say of each that it is done, in any order.

    Parameters
    ----------
    config : nbgrader's, with the class's folders
    executor : runs the notebooks
    again : run all of them, also those whose outcome is known from before

    Raises
    ------
    GradingError : others may read the course's secret, or it is none.
    """
    step = Execute(config=config)
    read_secret(Path(step.secret))  # what is wrong with it is said before marks are withdrawn
    results = Results(Path(step.results))
    book = config.CourseDirectory.db_url
    sources = read_sources(book, assignment, assignment)
    known = copy.deepcopy(config)
    known.Execute.reuse = True

    def record(student: str) -> Graded:
        try:
            autograde(known, assignment, student, log)
        # Anything may be wrong with what a stranger sends; it is named, and stops no other.
        except Exception as error:
            return fail(student, error)
        return Graded(student)

    def fail(student: str, error: Exception) -> Graded:
        log.error("%s was not graded", student, exc_info=error)
        line = next(iter(str(error).strip().splitlines()), "")
        kind = "" if isinstance(error, GradingError) else f"{type(error).__name__}: "
        results.fail(assignment, student, kind + line)
        return Graded(student, kind + line)

    with one_engine():
        waiting: dict[Future[str], tuple[str, Job, Surroundings]] = {}
        chosen = list(students)
        withdraw(config, results, assignment, chosen)
        for student in chosen:
            try:
                notebook = restored(_submitted(config, assignment, student), sources)
                about = {"assignment": assignment, "student": student}
                job, around = step.prepare(notebook, about, sources)
            except Exception as error:
                yield fail(student, error)
                continue
            if not again and results.read(assignment, student, job) is not None:
                yield record(student)
                continue
            future = executor.submit(run_job, job.to_json(), around)
            waiting[future] = (student, job, around)

        def finish(future: Future[str], student: str, job: Job, *, alone: bool) -> Graded | None:
            """Keep what became of a notebook; None if it is to run again, alone."""
            try:
                outcome = Outcome.from_json(future.result())
                if outcome.starved and not alone:
                    return None
                results.write(assignment, student, job, outcome)
            except Exception as error:
                return fail(student, error)
            return record(student)

        alone, starved = len(waiting) == 1, []
        for future in as_completed(waiting):
            student, job, around = waiting.pop(future)
            if done := finish(future, student, job, alone=alone):
                yield done
            else:
                starved.append((student, job, around))
        for student, job, around in starved:
            future = executor.submit(run_job, job.to_json(), around)
            if done := finish(future, student, job, alone=True):
                yield done


@contextmanager
def threads(jobs: int) -> Iterator[Executor]:
    """Runs so many notebooks at a time on this machine; each thread only waits for a process."""
    with ThreadPoolExecutor(jobs, thread_name_prefix="grading") as executor:
        try:
            yield executor
        finally:
            executor.shutdown(cancel_futures=True)


@contextmanager
def dask(address: str, jobs: int) -> Iterator[Executor]:
    """Runs them on a Dask cluster: that at an address such as tcp://host:8786, or a local one.

    Every worker's machine needs this package, the data sets, and what its sandbox needs.

    Raises
    ------
    GradingError : there is no such cluster, or Dask is not installed.
    """
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise GradingError('Dask is not installed: pip install "distributed"') from error
    with ExitStack() as stack:
        if address == "local":
            address = stack.enter_context(
                LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
            )
        try:
            client = stack.enter_context(Client(address, timeout=20))
        except (OSError, ValueError) as error:
            raise GradingError(f"no Dask scheduler answers at {address}: {error}") from error
        yield client.get_executor(pure=False, retries=2)


def progress(graded: Iterable[Graded], total: int) -> Iterator[Graded]:
    """The same, with a bar: students done, how many a second, time left."""
    return iter(tqdm(graded, total=total, desc="grading", unit="student"))


def withdraw(config: Config, results: Results, assignment: str, students: Iterable[str]) -> None:
    """Take back the marks that tests gave these students before; those given by hand stay.

    A submission that cannot be graded again must not keep the marks of the one before it. And a
    mark that a person gave to another text than is graded now is kept as such, till it is saved
    again: nbgrader asks for all of them anew, and a person's saving ends that.
    """
    with Gradebook(config.CourseDirectory.db_url) as book:
        for student in students:
            try:
                submission = book.find_submission(assignment, student)
            except MissingEntry:
                continue
            grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
            by_hand = [grade for grade in grades if grade.manual_score is not None]
            rewritten = _rewritten(config, assignment, student) if by_hand else set()
            known = results.earlier(assignment, student)
            earlier = {
                grade.name
                for grade in by_hand
                if grade.name in rewritten or (grade.name in known and grade.needs_manual_grade)
            }
            results.keep_earlier(assignment, student, sorted(earlier))
            for grade in by_hand:
                grade.needs_manual_grade = True
            for grade in grades:
                grade.auto_score = None
        book.db.commit()


def _rewritten(config: Config, assignment: str, student: str) -> set[str]:
    """Answers with another text than when they were graded last."""
    root, folder = Path(config.CourseDirectory.root), config.CourseDirectory.autograded_directory
    graded = root / folder / student / assignment / f"{assignment}.ipynb"
    try:
        before = answer_cells(read_notebook(graded)) if graded.is_file() else {}
        now = answer_cells(_submitted(config, assignment, student))
    except GradingError:  # it is not graded, and why is said when it is prepared
        return set()
    return {
        name for name, cell in before.items() if name in now and cell.source != now[name].source
    }


def restored(notebook: NotebookNode, sources: Mapping[str, SourceCell]) -> NotebookNode:
    """A submission with the instructor's cells as the instructor wrote them, as nbgrader has it."""
    for cell in notebook.cells:
        known = sources.get(grade_id(cell) or "")
        if known is not None and known.locked:
            cell.source = known.source
    return notebook


def _submitted(config: Config, assignment: str, student: str) -> NotebookNode:
    root, submitted = config.CourseDirectory.root, config.CourseDirectory.submitted_directory
    return read_notebook(Path(root) / submitted / student / assignment / f"{assignment}.ipynb")
