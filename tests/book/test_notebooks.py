"""The notebooks for Colab: valid, plain, and set up by their first code cell.

What that cell does, on which machine, tests/assignments/test_student_cells.py tries.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from pybtex.database import BibliographyData

from nlp_course.grading.student_cells import read_address, set_up_source

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import notebooks  # noqa: E402

pytestmark = pytest.mark.book

NAMES = sorted(path.stem for path in (ROOT / "book").glob("[0-9][0-9]-*.md"))
WHEEL = read_address(ROOT)


@pytest.fixture(params=NAMES)
def notebook(request, built):
    return nbformat.read(ROOT / "notebooks" / f"{request.param}.ipynb", as_version=4)


def test_notebook_is_valid_and_has_no_outputs(notebook):
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_s_download_is_the_notebook_that_colab_opens(name, built):
    download = built / "_sources" / f"{name}.ipynb"
    assert download.read_bytes() == (ROOT / "notebooks" / f"{name}.ipynb").read_bytes()
    assert f"_sources/{name}.ipynb" in (built / f"{name}.html").read_text(encoding="utf-8")


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


def test_set_up_stands_below_the_title_and_is_the_assignments(notebook):
    assert notebook.cells[0].source.startswith("# ")
    code = "\n".join(cell.source for cell in notebook.cells[2:] if cell.cell_type == "code")
    ways = {torch: set_up_source(WHEEL, torch=torch) for torch in (True, False)}
    assert notebook.cells[1].source in ways.values()
    assert notebook.cells[1].metadata.cellView == "form"
    if re.search(r"^ *(import|from) torch\b", code, re.MULTILINE):
        assert notebook.cells[1].source == ways[True]


def chapter(code: str, settings: dict) -> nbformat.NotebookNode:
    """The notebook of a page with one cell."""
    branch = settings["sphinx"]["config"]["course_notebook_branch"]
    nothing: dict = {"equation": {}, "figure": {}, "exercise": {}, "section": {}, "term": {}}
    page = notebooks.Page(
        "03-page", nothing, {}, BibliographyData(), settings["repository"], branch
    )
    cells = [nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell(code)]
    return page.notebook(nbformat.v4.new_notebook(cells=cells))


def test_a_fork_changes_the_address_in_one_place():
    url, branch = "https://github.com/fork/of-it", "public"
    settings = {
        "repository": {"url": url, "branch": "main"},
        "sphinx": {"config": {"course_notebook_branch": branch}},
    }
    source = chapter("import numpy", settings).cells[1].source
    assert f'"{url}/raw/{branch}/wheel/nlp_course-' in source
    assert source.count("https://") == 1


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("import torch", True),
        ("from torch import nn", True),
        ("from nlp_course import plots, transformer", True),
        ("from nlp_course.attention import attend", True),
        ("from nlp_course import data, plots, text", False),
        ("# import torch", False),
        ("%matplotlib inline", False),
    ],
)
def test_a_chapter_needs_torch_if_its_cells_or_its_modules_import_it(code: str, needed: bool):
    settings = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    assert chapter(code, settings).cells[1].source == set_up_source(WHEEL, torch=needed)


def test_citations_and_terms_lead_to_their_entries():
    entry = "@misc{wu_2013, author={Wu, Ada and Xi, Bo}, year={2013b}, title={A}}"
    terms = {"term": {"word vector": "glossary.html#term-word-vector"}}
    page = notebooks.Page(
        "03-page",
        terms,
        {},
        BibliographyData.from_string(entry, "bibtex"),
        {"url": "https://github.com/owner/course", "branch": "main"},
        "notebooks",
    )
    site = "https://owner.github.io/course"
    work = f"{site}/bibliography.html#cite-wu-2013"
    assert page.markdown("{cite:p}`wu_2013`") == f"([Wu and Xi, 2013b]({work}))"
    assert page.markdown("{cite:t}`wu_2013`") == f"Wu and Xi [2013b]({work})"
    shown = page.markdown("{term}`vectors <word vector>`")
    assert shown == f"[vectors]({site}/glossary.html#term-word-vector)"


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
