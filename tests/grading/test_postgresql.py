"""Several people write to one gradebook: PostgreSQL as a server keeps it, SQLite on one machine."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nbgrader import dbutil
from nbgrader.api import Grade, Gradebook
from sqlalchemy import create_engine, text

from nlp_course.grading.late import settle
from nlp_course.grading.settings import Settings, read_settings

pytestmark = [
    pytest.mark.grading,
    pytest.mark.postgresql,
    # nbgrader 0.9.6 builds its queries in a way that SQLAlchemy 2 remarks upon.
    pytest.mark.filterwarnings("ignore:Object of type .* not in session"),
]

NAME = "90-sums"
STUDENTS = [f"student-{number:02d}" for number in range(1, 9)]
PASSWORD = "a long: pass\\word"
TOML = f"""
[late]
policy = "fraction"
per_day = 0.1
[assignments.{NAME}]
due = 2026-10-14T23:59:00Z
"""

# One who writes marks, as nbgrader does it: automatic ones, or by hand in the formgrader.
WRITER = """
import sys
from nbformat.v4 import new_code_cell, new_notebook, new_output
from nbgrader.api import Gradebook
from nlp_course.grading.record import SaveMarks

role, url, name, rounds, *students = sys.argv[1:]
marks = dict(grade=True, solution=False, locked=True, task=False, schema_version=3)
for number in range(int(rounds)):
    for student in students:
        if role == "autograde":
            about_cell = {**marks, "grade_id": "q01", "points": 10}
            tests = new_code_cell("", metadata={"nbgrader": about_cell})
            tests.outputs = [new_output("execute_result", {"text/plain": str(number)})]
            about = {"notebook": name, "assignment": name, "student": student, "db_url": url}
            SaveMarks().preprocess(new_notebook(cells=[tests]), {"nbgrader": about})
            continue
        with Gradebook(url, "nlp_course") as book:
            cell = {"derivations": "q02", "essays": "q03"}[role]
            grade = book.find_grade(cell, name, name, student)
            grade.manual_score, grade.needs_manual_grade = number + 0.5, False
            book.find_comment(cell, name, name, student).manual_comment = f"{role} {number}"
            book.db.commit()
"""
ROUNDS = 3


def _programs() -> Path | None:
    """Where the server's programs are: Debian's newest, on other systems those on PATH."""
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    newest_first = sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)
    needed = ("initdb", "postgres", "pg_isready")
    for folder in [*newest_first, *map(Path, os.get_exec_path())]:
        if all((folder / name).is_file() for name in needed):
            return folder
    return None


def _lacking() -> str | None:
    if sys.platform == "win32" or _programs() is None:
        return "PostgreSQL: install its server (Debian: apt-get install postgresql)"
    if importlib.util.find_spec("psycopg") is None:
        return 'PostgreSQL: install its driver (pip install "psycopg[binary]")'
    return None


def _someone_else() -> dict[str, object]:
    """Whom the server runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    import pwd  # not there on Windows

    names = {user.pw_name for user in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@pytest.fixture(scope="module")
def server() -> Iterator[Path]:
    """A PostgreSQL server that only its socket, in this folder, leads to."""
    if lacking := _lacking():
        pytest.skip(lacking)
    programs, them = _programs(), _someone_else()
    # Not in pytest's folders: they are closed to others, and too deep for a socket's path.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        place = Path(folder)
        password = place / "password"
        password.write_text(PASSWORD)
        if them:
            os.chown(place, them["user"], them["group"])
            os.chown(password, them["user"], them["group"])
        place.chmod(0o711)
        options = {**them, "cwd": place, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}}
        make = ["--auth=scram-sha-256", "--username=grader", f"--pwfile={password}", "--no-sync"]
        done = subprocess.run(
            [programs / "initdb", "--pgdata=data", "--encoding=UTF8", *make],
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        with (place / "log").open("w") as log:
            running = subprocess.Popen(
                [programs / "postgres", "-D", "data", "-k", place, "-F", "-c", "listen_addresses="],
                stdout=log,
                stderr=subprocess.STDOUT,
                **options,
            )
        try:
            deadline = time.monotonic() + 60
            while subprocess.run(
                [programs / "pg_isready", "-q", "-h", place], check=False
            ).returncode:
                assert running.poll() is None, (place / "log").read_text()
                assert time.monotonic() < deadline, (place / "log").read_text()
                time.sleep(0.05)
            yield place
        finally:
            running.send_signal(signal.SIGINT)  # SIGTERM waits until nobody is connected
            running.wait(timeout=60)


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """nbgrader starts `alembic` by name."""
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"), prepend=os.pathsep)


def course(folder: Path, gradebook: str = "") -> Settings:
    folder.mkdir(exist_ok=True)
    (folder / "course.toml").write_text(TOML + gradebook)
    settings = read_settings(folder)
    settings.class_folder.mkdir(parents=True, exist_ok=True)
    return settings


@pytest.fixture
def on_postgresql(server: Path, tmp_path: Path) -> Settings:
    """A course whose gradebook is a new database of the server."""
    passwords = tmp_path / "pgpass"
    escaped = re.sub(r"([:\\])", r"\\\1", PASSWORD)
    passwords.write_text(f"*:*:*:grader:{escaped}\n")
    passwords.chmod(0o600)
    database = f"class_{time.monotonic_ns()}"
    where = f"host={server}&passfile={passwords}"
    admin = create_engine(f"postgresql+psycopg://grader@/postgres?{where}")
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {database}"))
    admin.dispose()
    url = f"postgresql+psycopg://grader@/{database}?host={server}"
    return course(tmp_path / "course", f'[gradebook]\nurl = "{url}"\npassword_file = "{passwords}"')


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Settings:
    return course(tmp_path / "course")


@pytest.fixture(params=["postgresql", "sqlite"])
def settings(request: pytest.FixtureRequest) -> Settings:
    return request.getfixturevalue(f"on_{request.param}")


def fill(settings: Settings) -> None:
    """Students who have all handed in, two days late; nothing is marked."""
    with Gradebook(settings.db_url, settings.course_id) as book:
        book.add_assignment(NAME, course_id=settings.course_id)
        book.add_notebook(NAME, NAME)
        book.add_grade_cell("q01", NAME, NAME, max_score=10, cell_type="code")
        for cell in ("q02", "q03"):
            book.add_grade_cell(cell, NAME, NAME, max_score=10, cell_type="markdown")
            book.add_solution_cell(cell, NAME, NAME)
        for student in STUDENTS:
            book.add_student(student)
            book.add_submission(NAME, student, timestamp="2026-10-16 12:00:00 UTC")


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a writer in a process of its own."""
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    running = []

    def begin(role: str, url: str, rounds: int = ROUNDS, students: list[str] = STUDENTS):
        command = [sys.executable, "-W", "ignore", script, role, url, NAME, str(rounds), *students]
        running.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait()


def complaint(process: subprocess.Popen[str]) -> str:
    """What a writer says on stderr in the end; nothing, if it did all it had to."""
    said = process.communicate(timeout=120)[1]
    return said if process.returncode else ""


def test_a_gradebook_holds_what_it_is_given(settings: Settings):
    fill(settings)
    with Gradebook(settings.db_url, settings.course_id) as book:
        grade = book.find_grade("q01", NAME, NAME, "student-01")
        grade.auto_score = 7.5
        book.db.commit()
        late = settle(book, settings)
    assert late["student-01"][NAME].days == 2
    with Gradebook(settings.db_url, settings.course_id) as book:
        submission = book.find_submission(NAME, "student-01")
        assert (submission.score, submission.max_score) == (7.5, 30)
        assert submission.needs_manual_grade
        assert [notebook.late_submission_penalty for notebook in submission.notebooks] == [1.5]
        assert submission.total_seconds_late == 36 * 3600 + 60
        # What the formgrader's pages are made of.
        assert len(book.student_dicts()) == len(book.submission_dicts(NAME)) == len(STUDENTS)
        assert sum(row["score"] for row in book.notebook_submission_dicts(NAME, NAME)) == 7.5
        assert book.average_assignment_score(NAME) == 7.5 / len(STUDENTS)
        book.remove_submission(NAME, "student-01")
        assert len(book.assignment_submissions(NAME)) == len(STUDENTS) - 1


def test_marks_on_postgresql_are_not_on_disk_here(on_postgresql: Settings):
    fill(on_postgresql)
    assert not list(on_postgresql.class_folder.rglob("*.db*"))


def test_nbgraders_migrations_find_a_new_gradebook_up_to_date(on_postgresql: Settings):
    fill(on_postgresql)
    engine = create_engine(on_postgresql.db_url)
    version = text("SELECT version_num FROM alembic_version")
    with engine.begin() as connection:
        before = connection.execute(version).scalar_one()
    dbutil.upgrade(on_postgresql.db_url)
    with engine.begin() as connection:
        assert connection.execute(version).scalar_one() == before
    engine.dispose()
    with Gradebook(on_postgresql.db_url, on_postgresql.course_id) as book:
        assert len(book.students) == len(STUDENTS)


@pytest.mark.slow
def test_writers_at_once_lose_nothing(settings: Settings, start: Start):
    fill(settings)
    roles = ("autograde", "derivations", "essays")
    writers = {role: start(role, settings.db_url) for role in roles}
    assert {role: complaint(writer) for role, writer in writers.items()} == dict.fromkeys(roles, "")
    last = ROUNDS - 1
    with Gradebook(settings.db_url, settings.course_id) as book:
        grades = book.db.query(Grade).all()
        assert len(grades) == 3 * len(STUDENTS)
        scores = {(grade.student.id, grade.name): grade for grade in grades}
        for student in STUDENTS:
            assert scores[student, "q01"].auto_score == last
            assert scores[student, "q02"].manual_score == last + 0.5
            assert scores[student, "q03"].manual_score == last + 0.5
            assert book.find_comment("q02", NAME, NAME, student).comment == f"derivations {last}"
            assert book.find_comment("q03", NAME, NAME, student).comment == f"essays {last}"


def test_a_regrade_keeps_marks_given_by_hand(settings: Settings, start: Start):
    fill(settings)
    with Gradebook(settings.db_url, settings.course_id) as book:
        book.find_grade("q01", NAME, NAME, "student-01").manual_score = 9.0
        book.db.commit()
    assert complaint(start("autograde", settings.db_url, 1, ["student-01"])) == ""
    with Gradebook(settings.db_url, settings.course_id) as book:
        grade = book.find_grade("q01", NAME, NAME, "student-01")
        assert (grade.auto_score, grade.manual_score, grade.score) == (0.0, 9.0, 9.0)
        assert grade.needs_manual_grade  # somebody should look whether it still holds


@pytest.mark.slow
def test_an_sqlite_lock_over_5_seconds_is_waited_for_and_was_not(on_sqlite: Settings, start: Start):
    fill(on_sqlite)
    url, _, patience = on_sqlite.db_url.partition("?")
    assert patience == "timeout=60"
    lock = sqlite3.connect(url.removeprefix("sqlite:///"))
    lock.execute("BEGIN IMMEDIATE")
    ours = start("derivations", on_sqlite.db_url, 1, ["student-01"])
    plain = start("essays", url, 1, ["student-01"])
    assert "database is locked" in complaint(plain)
    time.sleep(2)  # the other may have been slower to start, and has waited as long by now
    assert ours.poll() is None
    lock.rollback()
    lock.close()
    assert complaint(ours) == ""
    with Gradebook(on_sqlite.db_url, on_sqlite.course_id) as book:
        assert book.find_grade("q02", NAME, NAME, "student-01").manual_score == 0.5
        assert book.find_grade("q03", NAME, NAME, "student-01").manual_score is None


@pytest.mark.slow
def test_postgresql_writers_do_not_wait_for_each_other(on_postgresql: Settings, start: Start):
    """A grader who leaves a page open with unsaved marks holds up nobody else."""
    fill(on_postgresql)
    with Gradebook(on_postgresql.db_url, on_postgresql.course_id) as book:
        book.find_grade("q02", NAME, NAME, "student-01").manual_score = 4.0
        book.db.flush()
        writers = [start(role, on_postgresql.db_url, 1) for role in ("autograde", "essays")]
        assert [complaint(writer) for writer in writers] == ["", ""]
        book.db.commit()
        assert book.find_grade("q02", NAME, NAME, "student-01").manual_score == 4.0
