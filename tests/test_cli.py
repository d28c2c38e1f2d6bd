"""The command ``nlp-course``."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from nlp_course import data
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
