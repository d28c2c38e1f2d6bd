"""01-counting-words, q12: the cell that students start from, with the reference's answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlp_course.grading.notebooks import answer_cells, questions, read_notebook

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "solutions/01-counting-words/01-counting-words.ipynb"
BROWN = 'data.load("brown").sentences  # or '

pytestmark = [
    pytest.mark.assignments,
    pytest.mark.skipif(not SOURCE.exists(), reason="this copy of the course holds no solutions"),
]


@pytest.mark.parametrize(
    ("corpus", "word", "neighbour"),
    [
        pytest.param("world", "king", "queen", id="world"),
        pytest.param(
            "brown", "bad", "good", id="brown", marks=[pytest.mark.real_data, pytest.mark.slow]
        ),
    ],
)
def test_the_starting_cell_prints_neighbours_that_make_sense(
    corpus: str,
    word: str,
    neighbour: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    notebook = read_notebook(SOURCE)
    cells = {cell.id: cell.source for cell in notebook.cells}
    start = cells["q12-corpus"]
    assert start.startswith("RUN = False\n"), "as released, the notebook reads no corpus"
    assert BROWN in start
    start = start.replace("RUN = False", "RUN = True")

    names: dict[str, object] = {}
    for cell in (
        "setup",
        *(name for name in answer_cells(notebook) if name in questions(notebook)),
    ):
        exec(cells[cell], names)
    exec(start if corpus == "brown" else start.replace(BROWN, ""), names)
    printed = {first: rest for first, *rest in map(str.split, capsys.readouterr().out.splitlines())}
    assert neighbour in printed[word]
