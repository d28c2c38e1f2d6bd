"""The notebooks for Colab: valid, plain, and set up by their first code cell."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
import yaml

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "book").glob("[0-9][0-9]-*.md"))
TITLE = "# @title Set-up: run this cell first"


@pytest.fixture(params=NAMES)
def notebook(request, built):
    return nbformat.read(ROOT / "notebooks" / f"{request.param}.ipynb", as_version=4)


def test_notebook_is_valid_and_has_no_outputs(notebook):
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)


def test_no_directive_or_role_is_left(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert "```{" not in cell.source
            assert ":::" not in cell.source
            assert not re.search(r"\{[\w:]+\}`", cell.source), cell.source
            assert not re.search(r"^\([\w-]+\)=$", cell.source, re.MULTILINE)
        else:
            assert "myst_nb" not in cell.source
            assert not re.search(r"\bglue\(", cell.source)


def test_set_up_stands_below_the_title(notebook):
    assert notebook.cells[0].source.startswith("# ")
    assert notebook.cells[1].source.startswith(TITLE)


def test_set_up_installs_from_the_one_address(notebook):
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    assert f'git+{config["repository"]["url"]}"' in notebook.cells[1].source


def test_set_up_does_nothing_where_the_package_is_here(notebook, capsys):
    exec(notebook.cells[1].source, {})
    assert capsys.readouterr().out == "Ready.\n"


def test_set_up_does_nothing_while_grading(notebook, monkeypatch, capsys):
    monkeypatch.setenv("NLP_COURSE_GRADING", "1")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: pytest.fail("looked"))
    exec(notebook.cells[1].source, {})
    assert capsys.readouterr().out == ""


def test_set_up_that_fails_says_what_to_do(notebook, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr("subprocess.run", lambda command: None)
    with pytest.raises(RuntimeError, match=r"could not be installed.*run this cell again"):
        exec(notebook.cells[1].source, {})


def test_every_code_cell_is_python(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code" and not cell.source.lstrip().startswith(("%", "!")):
            compile(cell.source, "cell", "exec")


def test_links_to_pages_are_whole_addresses(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)\s]+)\)", cell.source):
                assert target.startswith("https://"), target


def test_answers_are_folded_within_their_cells(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert cell.source.count("<details>") == cell.source.count("</details>"), cell.source
            assert "> **Answer**" not in cell.source
