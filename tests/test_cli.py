"""The command ``nlp-course``."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from nlp_course import cli, data
from nlp_course.cli import app

run = CliRunner().invoke


def test_list_shows_every_set():
    result = run(app, ["data", "list"])
    assert result.exit_code == 0
    shown = [line.split()[0] for line in result.output.splitlines()]
    assert shown == data.names()
    assert "here" in result.output.splitlines()[0]


def test_fetch_gets_each_named_set(monkeypatch):
    fetched = []
    monkeypatch.setattr(data, "fetch", fetched.append)
    result = run(app, ["data", "fetch", "brown", "names"])
    assert (result.exit_code, fetched) == (0, ["brown", "names"])
    assert "brown: here" in result.output


def test_fetch_all_gets_every_set(monkeypatch):
    fetched = []
    monkeypatch.setattr(data, "fetch", fetched.append)
    assert run(app, ["data", "fetch", "--all"]).exit_code == 0
    assert fetched == data.names()


def test_fetch_goes_on_after_a_failure_and_reports_it(monkeypatch):
    fetched = []

    def fetch(name: str) -> None:
        if name == "brown":
            raise data.OfflineError("brown is not on this machine")
        fetched.append(name)

    monkeypatch.setattr(data, "fetch", fetch)
    result = run(app, ["data", "fetch", "brown", "names"])
    assert result.exit_code == 1
    assert fetched == ["names"]
    assert "brown is not on this machine" in result.output
    assert "not fetched: brown" in result.output


@pytest.mark.parametrize("arguments", [[], ["--all", "brown"]])
def test_fetch_wants_names_or_all(arguments):
    result = run(app, ["data", "fetch", *arguments])
    assert result.exit_code == 2
    assert "--all" in result.output


def test_fetch_of_an_unknown_set_proposes_near_names():
    result = run(app, ["data", "fetch", "browm"])
    assert result.exit_code == 1
    assert "did you mean brown" in result.output


def test_help_lists_the_commands():
    result = run(app, ["data", "--help"])
    assert result.exit_code == 0
    assert "list" in result.output
    assert "fetch" in result.output


GRADING = (
    *("release", "publish", "check", "sample"),
    *("collect", "grade", "report", "feedback", "export"),
)


def test_help_lists_what_grades_a_class():
    result = run(app, ["--help"])
    assert result.exit_code == 0
    shown = {word for line in result.output.splitlines() for word in line.split()[1:2]}
    assert {"data", *GRADING} <= shown


@pytest.mark.parametrize("command", GRADING)
def test_each_command_says_what_it_does(command: str):
    result = run(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Usage: nlp-course {command}" in result.output.replace("root", "nlp-course")


def test_an_unknown_platform_is_answered_with_those_there_are():
    result = run(app, ["export", "90-sums", "--format", "paper"])
    assert result.exit_code == 2
    assert all(name in result.output for name in ("plain", "canvas", "moodle"))


def test_the_data_commands_work_where_nothing_for_grading_is_installed():
    """As in Colab; and no command starts slowly for the sake of another."""
    program = (
        "import sys\n"
        "lacking = ('nbgrader', 'nbconvert', 'nbformat', 'sqlalchemy', 'IPython')\n"
        "sys.modules.update(dict.fromkeys(lacking))\n"
        "sys.argv = ['nlp-course', 'data', 'list']\n"
        "from nlp_course.cli import run\n"
        "run()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == data.names()


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken() -> None:
        raise error

    monkeypatch.setattr(cli, "app", broken)


def test_what_the_person_at_the_keyboard_can_put_right_has_no_traceback(monkeypatch):
    from nlp_course.grading.notebooks import GradingError

    fail_with(monkeypatch, GradingError("no such class"))
    with pytest.raises(SystemExit, match=r"^nlp-course: no such class$"):
        cli.run()


def test_a_package_that_is_missing_is_named_with_what_installs_it(monkeypatch):
    fail_with(monkeypatch, ModuleNotFoundError("no", name="nbgrader.api"))
    with pytest.raises(
        SystemExit, match=r'^nbgrader is not .* pip install "nlp-course\[grading\]"$'
    ):
        cli.run()


@pytest.mark.parametrize(
    "error", [ValueError("a fault"), ModuleNotFoundError("no", name="nlp_course.grading.gone")]
)
def test_a_fault_of_our_own_shows_where_it_is(monkeypatch, error: Exception):
    fail_with(monkeypatch, error)
    with pytest.raises(type(error)) as caught:
        cli.run()
    assert caught.value is error
