"""nbgrader's own pages in JupyterLab show the marks that the command gave, and grade likewise."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook

from tests.grading.conftest import NAME, read_marks, write_course

pytestmark = [
    pytest.mark.browser,
    pytest.mark.grading,
    pytest.mark.sandbox,
    pytest.mark.slow,
]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STUDENT = "student-09"  # who loses points on the second question


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course whose sample class the course's own command has graded."""
    folder = write_course(tmp_path_factory.mktemp("course"))
    command = Path(sys.executable).with_name("nlp-course")
    done = subprocess.run([command, "sample", NAME], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def marks(course: Path) -> dict[str, dict[str, str]]:
    """The marks that the command wrote."""
    rows = read_marks(course / f"_build/class/reports/{NAME}.csv")
    return {student: row for student, row in rows.items() if not row["failure"]}


@pytest.fixture(scope="module")
def server(course: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """JupyterLab in the course's folder: its address, and the token that opens it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    home = tmp_path_factory.mktemp("home")
    own = {"HOME": str(home), "JUPYTER_TOKEN": token, "JUPYTER_RUNTIME_DIR": str(home)}
    options = ("ServerApp.ip=127.0.0.1", f"ServerApp.port={port}", "ServerApp.port_retries=0")
    with (home / "server.log").open("wb") as log:
        running = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                *(f"--{option}" for option in options),
            ],
            cwd=course,
            env={**os.environ, **own},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while True:
            try:
                fetch_from(address, token, "formgrader/api/status")
                break
            except (OSError, urllib.error.HTTPError):
                said = (home / "server.log").read_text()
                assert running.poll() is None, said
                assert time.monotonic() < until, said
                time.sleep(0.2)
        yield address, token
    finally:
        running.terminate()
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def fetch_from(address: str, token: str, path: str, method: str = "GET") -> str:
    request = urllib.request.Request(
        f"{address}/{path}",
        method=method,
        headers={"Authorization": f"token {token}"},
        data=b"" if method == "POST" else None,
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.read().decode()


@pytest.fixture(scope="module")
def api(server: tuple[str, str]) -> Callable[..., Any]:
    """What the formgrader's pages ask the server."""
    address, token = server

    def ask(path: str, method: str = "GET") -> Any:
        return json.loads(fetch_from(address, token, f"formgrader/api/{path}", method))

    return ask


def test_without_the_token_nothing_is_shown(server):
    address, _ = server
    place = f"{address}/formgrader/api/submissions/{NAME}"
    with urllib.request.urlopen(place, timeout=60) as answer:
        assert "/login?" in answer.url
        assert "student-0" not in answer.read().decode()


def test_the_formgrader_has_the_marks_that_the_command_gave(api, marks):
    shown = {one["student"]: one for one in api(f"submissions/{NAME}") if one["autograded"]}
    assert shown.keys() == marks.keys()
    assert len(shown) == 8
    for student, row in marks.items():
        assert shown[student]["score"] == float(row["total"])
        assert shown[student]["max_score"] == float(row["maximum"])
        assert shown[student]["needs_manual_grade"] == (row["waiting"] != "0")


def test_a_student_s_page_shows_the_tests_and_their_points(server, api, marks, course):
    address, token = server
    (one,) = api(f"student_notebook_submissions/{STUDENT}/{NAME}")
    page = fetch_from(address, token, f"formgrader/submissions/{one['id']}/")
    assert "the mean of nothing is None" in page  # the grader sees hidden tests
    assert "ZeroDivisionError" in page
    assert one["score"] == float(marks[STUDENT]["total"])


def test_autograde_in_the_browser_gives_the_same_marks(server, marks, course):
    address, token = server
    database = f"sqlite:///{course}/_build/class/gradebook.db"
    with Gradebook(database) as book:
        (notebook,) = book.find_submission(NAME, STUDENT).notebooks
        before = {grade.name: grade.auto_score for grade in notebook.grades}
        for grade in notebook.grades:
            grade.auto_score = 0.5 if grade.auto_score is not None else None
        book.db.commit()
    screenshots = ROOT / "_build" / "screenshots"
    screenshots.mkdir(parents=True, exist_ok=True)
    outcome = course / f"_build/class/results/{NAME}/{STUDENT}.json"
    ran = outcome.stat().st_mtime_ns
    command = [
        str(Path(sys.executable).with_name("node")),
        str(HERE / "visit_formgrader.mjs"),
        str(ROOT / "book" / "_ext" / "package.json"),
        shutil.which("chromium") or "chromium",
        *(address, token, NAME, STUDENT),
        str(screenshots / "formgrader.png"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    shown = {student: f"{row['total']} / {row['maximum']}" for student, row in marks.items()}
    assert seen["errors"] == []
    assert seen["said"]["success"], seen["said"]
    assert seen["before"] == {**shown, STUDENT: "1.5 / 10"}
    assert seen["after"] == shown
    with Gradebook(database) as book:
        (notebook,) = book.find_submission(NAME, STUDENT).notebooks
        assert {grade.name: grade.auto_score for grade in notebook.grades} == before
    assert outcome.stat().st_mtime_ns > ran  # the notebook was run, in the sandbox as ever
