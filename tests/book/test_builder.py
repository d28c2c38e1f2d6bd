"""The builder: what it notices, what it refuses, and what it makes of MyST."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import build  # noqa: E402
import citations  # noqa: E402
import docstrings  # noqa: E402
import notebook_cells  # noqa: E402
import notebooks  # noqa: E402
import pages  # noqa: E402

HEAD = """---
jupytext:
  text_representation: {extension: .md, format_name: myst, format_version: 0.13}
kernelspec: {display_name: Python 3, language: python, name: python3}
nlp_course:
  data: [brown]
---

# A page

"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A small course: a package of two modules, and a page that imports one of them."""
    book, package = tmp_path / "book", tmp_path / "nlp_course"
    book.mkdir()
    package.mkdir()
    (tmp_path / "requirements.txt").write_text("numpy\n")
    (tmp_path / "_config.yml").write_text("execute: {timeout: 60}\n")
    (package / "first.py").write_text("from nlp_course import second\n")
    (package / "second.py").write_text("x = 1\n")
    (package / "third.py").write_text("y = 1\n")
    for name, path in {"ROOT": tmp_path, "BOOK": book, "PACKAGE": package}.items():
        monkeypatch.setattr(pages, name, path)
    write_page(tmp_path, "from nlp_course import first")
    return tmp_path


def write_page(course, *cells, head=HEAD):
    text = head + "\n\n".join(f"```{{code-cell}} ipython3\n{cell}\n```" for cell in cells)
    (course / "book" / "page.md").write_text(text + "\n")


def test_key_changes_with_a_module_imported_through_another(course):
    before = pages.page_key("page")
    (course / "nlp_course" / "second.py").write_text("x = 2\n")
    assert pages.page_key("page") != before


def test_key_stays_when_another_module_changes(course):
    before = pages.page_key("page")
    (course / "nlp_course" / "third.py").write_text("y = 2\n")
    assert pages.page_key("page") == before


def test_key_changes_with_the_pinned_libraries(course):
    before = pages.page_key("page")
    (course / "requirements.txt").write_text("numpy==1\n")
    assert pages.page_key("page") != before


def test_key_sees_imports_inside_functions_and_names_from_modules(course):
    write_page(course, "def late():\n    from nlp_course.second import x\n    return x")
    before = pages.page_key("page")
    (course / "nlp_course" / "second.py").write_text("x = 2\n")
    assert pages.page_key("page") != before


def test_page_runs_once_and_again_when_its_module_changed(course):
    write_page(course, "print(1 + 1)", "from nlp_course import text")
    (course / "nlp_course" / "text.py").write_text("")
    cache = course / "cache"
    assert pages.run(["page"], cache) == ["page"]
    assert pages.run(["page"], cache) == []
    assert pages.outputs("page", cache).cells[1].outputs[0].text == "2\n"
    (course / "nlp_course" / "text.py").write_text("# changed\n")
    assert pages.run(["page"], cache) == ["page"]


def test_failing_cell_stops_the_build_and_is_shown(course):
    write_page(course, "1 / 0")
    with pytest.raises(pages.BuildError, match=r"book/page\.md(.|\n)*ZeroDivisionError"):
        pages.run(["page"], course / "cache")


def test_failed_page_is_run_again(course):
    write_page(course, "1 / 0")
    for _ in range(2):
        with pytest.raises(pages.BuildError):
            pages.run(["page"], course / "cache")


def test_page_with_too_many_frames_stops_the_build(course):
    frames = "[widgets.HTML('<img alt=\"a\">') for _ in range(101)]"
    write_page(course, f"import ipywidgets as widgets\nwidgets.VBox({frames})")
    with pytest.raises(pages.BuildError, match="101 frames in its figures, at most 100"):
        pages.run(["page"], course / "cache")


def test_without_real_text_a_page_gets_a_banner_and_goes_on(course):
    write_page(
        course,
        "from nlp_course import data\nprint(data.load('brown').name)",
        "data.load('wordsim353').records[0].score",
        "print('goes on')",
    )
    pages.run(["page"], course / "cache", generated=True)
    cells = pages.outputs("page", course / "cache").cells[1:]
    loaded, failed, after = (cell.outputs for cell in cells)
    assert "needs real text" in loaded[0].data["text/html"]
    assert loaded[1].text == "world\n"
    assert ["needs real text" in output.data["text/html"] for output in failed] == [True]
    assert after[0].text == "goes on\n"


def test_build_without_real_text_does_not_stand_in_for_the_real_one(course):
    write_page(course, "print(1)")
    assert pages.run(["page"], course / "cache", generated=True) == ["page"]
    assert pages.run(["page"], course / "cache") == ["page"]


def test_page_must_name_the_data_it_loads(course):
    write_page(course, "from nlp_course import data", "data.load('treebank')")
    with pytest.raises(pages.BuildError, match="loads 'treebank': name it at the head"):
        pages.data_sets("page")


def test_data_named_at_the_head_is_checked(course):
    assert pages.data_sets("page") == ["brown"]


def test_missing_page_of_the_contents_is_named(course):
    (course / "book" / "_toc.yml").write_text(
        "root: page\nparts: [{chapters: [{file: 99-nothing}]}]\n"
    )
    with pytest.raises(pages.BuildError, match=r"There is no book/99-nothing\.md"):
        pages.page_names()


def test_book_that_had_warnings_is_read_again(tmp_path, monkeypatch):
    out = tmp_path / "_build"
    (out / ".doctrees").mkdir(parents=True)
    failed = subprocess.CompletedProcess([], returncode=1)
    monkeypatch.setattr(build.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(pages.BuildError, match="each is to be mended"):
        build.sphinx(out, only=None, generated=False)
    assert not (out / ".doctrees").exists()


def test_all_missing_data_are_listed_before_anything_runs(monkeypatch):
    def refuse(name):
        raise build.data.OfflineError(f"{name} is not on this machine")

    monkeypatch.setattr(build.data, "missing", lambda name: ["file"])
    monkeypatch.setattr(build.data, "fetch", refuse)
    with pytest.raises(pages.BuildError) as error:
        build.get_data(["brown", "text8"])
    assert "- brown is not on this machine\n- text8 is not" in str(error.value)
    assert "make book DATA=world" in str(error.value)


@pytest.fixture
def page():
    references = {
        "equation": {"eq-pmi": "3.1"},
        "figure": {"fig-map": "3.2"},
        "exercise": {"ex-a": "3.3"},
        "section": {"sec-pairs": "Pairs"},
        "term": {"pmi": "glossary.html#term-PMI", "a window": "glossary.html#term-a-window"},
    }
    repository = {"url": "https://github.com/owner/project", "branch": "main"}
    bibliography = citations.read()
    return notebooks.Page("03-page", references, {"half": "0.50"}, bibliography, repository)


@pytest.mark.parametrize(
    ("myst", "plain"),
    [
        (
            "{term}`PMI` and {term}`windows <a\nwindow>`",
            "[PMI](https://owner.github.io/project/glossary.html#term-PMI) and "
            "[windows](https://owner.github.io/project/glossary.html#term-a-window)",
        ),
        ("{eq}`eq-pmi`", "(3.1)"),
        ("{numref}`fig-map`", "Figure 3.2"),
        ("{ref}`sec-pairs`, {ref}`ex-a`, {ref}`that <sec-pairs>`", "“Pairs”, Exercise 3.3, that"),
        ("is {glue:text}`half`.", "is 0.50."),
        ("{glue:text}`half:.1f`", "0.5"),
        ("{py:func}`~nlp_course.cooccurrence.pmi`", "`pmi`"),
        ("(sec-pairs)=\n## Pairs", "## Pairs"),
        (
            "{cite:p}`levy2014neural`",
            "([Levy and Goldberg, 2014](https://owner.github.io/project/bibliography.html"
            "#cite-levy2014neural))",
        ),
        (
            "{cite:t}`mikolov2013efficient`",
            "Mikolov et al. [2013a](https://owner.github.io/project/bibliography.html"
            "#cite-mikolov2013efficient)",
        ),
        (
            "{cite:p}`rehurek2010software`",
            "([Řehůřek and Sojka, 2010](https://owner.github.io/project/bibliography.html"
            "#cite-rehurek2010software))",
        ),
        ("[next](04-word2vec.md#b)", "[next](https://owner.github.io/project/04-word2vec.html#b)"),
        ("[n²](04-word2vec.md#n²)", "[n²](https://owner.github.io/project/04-word2vec.html#n2)"),
        ("[whole](04-word2vec.md)", "[whole](https://owner.github.io/project/04-word2vec.html)"),
        ("```python\nx = {1}\n```", "```python\nx = {1}\n```"),
        ("```{math}\n:label: eq-pmi\nx\n```", "$$\nx\n\\tag{3.1}\n$$"),
        (
            "::::{note}\nOne\n\n:::{tip} Title\nTwo $x$\n:::\n::::",
            "> **Note**\n>\n> One\n>\n>\n> > **Tip**",
        ),
        ("```{exercise} ●○○\n:label: ex-a\nWhy?\n```", "### Exercise 3.3 · ●○○\n\nWhy?"),
        (
            "```{solution} ex-a\n:class: dropdown\nSo.\n```",
            "<details><summary>Answer</summary>\n\nSo.\n\n</details>",
        ),
        (
            ":::{admonition} Why {term}`PMI`?\n:class: tip dropdown\nThus.\n:::",
            "<details><summary>Why PMI?</summary>\n\nThus.\n\n</details>",
        ),
        (
            "```{chapter-box}\n:minutes: 9\n:needs: nothing\n:assignment: 02-a\n```",
            "- **To read** 9 minutes; the page with its outputs is "
            "[here](https://owner.github.io/project/03-page.html)\n"
            "- **To run** begin with the set-up cell below, then go on from top to bottom\n"
            "- **Needs** nothing\n"
            "- **Practised in** assignment [02-a](https://colab.research.google.com/github/owner/"
            "project/blob/notebooks/assignments/02-a/02-a.ipynb)",
        ),
        (
            "```{chapter-box}\n:minutes: 9\n:needs: nothing\n:assignment: 1, 2\n```",
            "- **To read** 9 minutes; the page with its outputs is "
            "[here](https://owner.github.io/project/03-page.html)\n"
            "- **To run** begin with the set-up cell below, then go on from top to bottom\n"
            "- **Needs** nothing\n"
            "- **Practised in** assignments [1](https://colab.research.google.com/github/owner/"
            "project/blob/notebooks/assignments/1/1.ipynb) and [2](https://colab.research.google"
            ".com/github/owner/project/blob/notebooks/assignments/2/2.ipynb)",
        ),
        (
            "```{figure} static/a.svg\n:name: fig-map\n:alt: A map.\nSeen.\n```",
            "![A map.](https://raw.githubusercontent.com/owner/project/main/book/static/a.svg)"
            "\n\n**Figure 3.2.** Seen.",
        ),
    ],
)
def test_myst_becomes_plain_markdown(page, myst, plain):
    if "Tip" in plain:
        plain = plain.replace("**Tip**", "**Title**\n> >\n> > Two $x$")
    assert page.markdown(myst).strip() == plain


def test_answer_cells_are_closed_forms(page):
    source = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# T\n\n```{solution-start} ex-a\n```\n"),
            nbformat.v4.new_code_cell("x = 1"),
            nbformat.v4.new_markdown_cell("```{solution-end}\n```\n"),
            nbformat.v4.new_code_cell("y = 1"),
        ]
    )
    codes = [cell for cell in page.notebook(source).cells[2:] if cell.cell_type == "code"]
    assert codes[0].source == "# @title Answer (open the cell to read it)\nx = 1"
    assert codes[0].metadata == {"cellView": "form", "jupyter": {"source_hidden": True}}
    assert codes[1].source == "y = 1"


def exported_texts(page, *cells):
    """What the text cells become in a notebook, from texts and, as lists of a text, code cells."""
    made = [
        nbformat.v4.new_code_cell(cell[0])
        if isinstance(cell, list)
        else nbformat.v4.new_markdown_cell(cell)
        for cell in ["# T", *cells]
    ]
    notebook = page.notebook(nbformat.v4.new_notebook(cells=made))
    return [cell.source for cell in notebook.cells[2:] if cell.cell_type == "markdown"]


def test_prose_of_an_answer_is_folded_in_each_cell(page):
    begin, end = "```{solution-start} ex-a\n:class: dropdown\n```", "```{solution-end}\n```"
    texts = exported_texts(
        page, f"Why?\n\n{begin}\n\nSo.", ["x = 1"], "More.", ["x = 2"], f"Lo.\n\n{end}\n\nNext."
    )
    title = "<details><summary>Answer to exercise 3.3</summary>"
    more = "<details><summary>Answer, continued</summary>"
    assert [re.sub(r"\n{2,}", "\n\n", text) for text in texts] == [
        f"Why?\n\n{title}\n\nSo.\n\n</details>",
        f"{more}\n\nMore.\n\n</details>",
        f"{more}\n\nLo.\n\n</details>\n\nNext.",
    ]


def test_answer_of_code_alone_has_its_title_and_nothing_to_unfold(page):
    texts = exported_texts(
        page, "```{solution-start} ex-a\n```", ["x = 1"], "```{solution-end}\n```\n\nNext."
    )
    assert texts == ["#### Answer to exercise 3.3", "Next."]


def test_figure_of_a_cell_is_told_in_words_below_its_caption(page):
    cell = nbformat.v4.new_code_cell("ax.plot(x)")
    cell.metadata["mystnb"] = {
        "figure": {"name": "fig-map", "caption": "A\nmap."},
        "image": {"alt": "One line\nthat falls."},
    }
    cells = [nbformat.v4.new_markdown_cell("# T"), cell]
    [_, told] = page.notebook(nbformat.v4.new_notebook(cells=cells)).cells[2:]
    assert told.source == (
        "**Figure 3.2.** A map.\n\n"
        "<details><summary>The figure in words</summary>\n\nOne line that falls.\n\n</details>"
    )


def code(source, *tags):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})


def test_removed_cells_stay_out_of_the_notebook(page):
    cells = [
        nbformat.v4.new_markdown_cell("# T"),
        code("from myst_nb import glue", "remove-cell"),
        code("x = 1"),
        code("y = x\nassert y == 1\nglue('x', y)", "remove-cell"),
        code("y = 2\nassert x"),
    ]
    notebook = page.notebook(nbformat.v4.new_notebook(cells=cells[:4]))
    assert [cell.source for cell in notebook.cells[2:]] == ["x = 1"]
    # An assertion that the page shows is the reader's too.
    notebook = page.notebook(nbformat.v4.new_notebook(cells=cells))
    assert [cell.source for cell in notebook.cells[2:]] == ["x = 1", "y = 2\nassert x"]


def test_removed_cell_stays_where_a_later_one_needs_it_without_its_assertions():
    cells = [
        code("def f():\n    return a", "remove-cell"),
        code("import numpy as np\na = 1\nassert a\nglue('a', a)\nunused = 2", "remove-cell"),
        code("for b in [3]:\n    assert b", "remove-cell"),
        code("import numpy\nprint(f(), np.pi)"),
    ]
    assert notebook_cells.exported(cells) == [
        "def f():\n    return a",
        "import numpy as np\na = 1\nunused = 2",
        "",
        "import numpy\nprint(f(), np.pi)",
    ]


@pytest.mark.parametrize(
    "later",
    [
        "a = 2\nprint(a)",
        "import numpy as a\na.pi",
        "for a in b:\n    print(a)",
        "def f(a):\n    return a",
        "[a for a in b]",
    ],
)
def test_name_that_a_later_cell_defines_itself_keeps_no_removed_cell(later):
    assert notebook_cells.exported([code("a = 1", "remove-cell"), code(later)])[0] == ""


@pytest.mark.parametrize(
    "later",
    [
        "a = a + 1",
        "a += 1",
        "a[0] = 1",
        "for a in a:\n    pass",
        "for b in c:\n    print(a)",
        "if b:\n    a = 2\na",
        "def f():\n    return a",
        "%timeit a",
        "a if",
    ],
)
def test_name_that_a_later_cell_reads_keeps_its_removed_cell(later):
    assert notebook_cells.exported([code("a = 1", "remove-cell"), code(later)])[0] == "a = 1"


@pytest.mark.parametrize(
    ("cell", "rest"),
    [
        ("from myst_nb import glue\nx = 1\nglue('x', x)", "x = 1"),
        ("for a in b:\n    glue(a, 1)\nx = 1", "x = 1"),
        ("for a in b:\n    x = a\n    glue(a, x)", "for a in b:\n    x = a"),
        ("glue(\n    'x',\n    1,\n)", ""),
        ("plot(glue=1)", "plot(glue=1)"),
    ],
)
def test_what_only_feeds_the_prose_is_left_out(cell, rest):
    assert notebook_cells.without_glue(cell) == rest


@pytest.mark.parametrize("myst", ["```{mermaid}\na\n```", "{unheard}`of`"])
def test_what_has_no_notebook_form_stops_the_build(page, myst):
    with pytest.raises(pages.BuildError, match="has no notebook form"):
        page.markdown(myst)


def test_reference_to_nothing_stops_the_build(page):
    with pytest.raises(pages.BuildError, match="refers to 'eq-lost'"):
        page.markdown("{eq}`eq-lost`")
    with pytest.raises(pages.BuildError, match="refers to 'lost word'"):
        page.markdown("{term}`Lost word`")
    with pytest.raises(pages.BuildError, match="prints 'lost', which none of its cells glues"):
        page.markdown("{glue:text}`lost`")


def test_docstring_sections_become_fields():
    lines = [
        "Sum.", "",
        "Parameters", "----------", "a, b : numbers,", "    both finite", "",
        "Returns", "-------", "their sum, in nats", "",
        "Raises", "------", "ValueError : one is not finite.", "",
        "References", "----------", "Nobody 1900.",
    ]  # fmt: skip
    assert docstrings.as_fields(lines) == [
        "Sum.", "",
        ":param a: numbers,", "    both finite", ":param b: numbers,", "    both finite", "",
        ":returns: their sum, in nats", "",
        ":raises ValueError: one is not finite.", "",
        "**References**", "", "Nobody 1900.", "",
    ]  # fmt: skip


def test_fields_of_a_class_become_a_list_with_or_without_a_head():
    lines = ["A level.", "", "count, total : numbers,", "    0 where none", "row : its own"]
    fields = [
        ":ivar count: numbers,", "    0 where none", ":ivar total: numbers,", "    0 where none",
        ":ivar row: its own",
    ]  # fmt: skip
    names = ("count", "total", "row", "more")
    assert docstrings.with_fields(lines, names) == [*lines[:2], *fields]
    # Prose after the list stays prose.
    after = ["", "All three : are arrays."]
    assert docstrings.with_fields([*lines, *after], names) == [*lines[:2], *fields, *after]
    # What has a head is read by it.
    headed = ["A level.", "", "Attributes", "----------", "row : its own"]
    assert docstrings.with_fields(headed, names) == headed


@pytest.mark.parametrize(
    "lines",
    [
        ["A run has a code : its row."],
        ["count : of runs", "which are many"],
        ["codes[k] : rising", "count : of runs"],
        ["count : of runs", "elsewhere : of others"],
        ["count, elsewhere : of runs"],
    ],
)
def test_a_paragraph_that_names_anything_but_fields_stays_as_it_is(lines):
    assert docstrings.with_fields(["A table.", "", *lines], ("count", "codes")) == [
        "A table.", "", *lines,
    ]  # fmt: skip


def test_a_named_tuple_s_fields_are_no_members_of_their_own():
    def skipped(member: object) -> bool | None:
        return docstrings._leave_out(None, "class", "name", member, False, None)

    assert skipped(notebooks.Directive.body) is True
    assert skipped(notebooks.Page.notebook) is None
    assert skipped(3) is None
