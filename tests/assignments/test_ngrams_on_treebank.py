"""03-ngrams, q13: the cell that students start from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nlp_course.grading.notebooks import answer_cells, read_notebook

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "solutions/03-ngrams/03-ngrams.ipynb"
TREEBANK = '"treebank", fallback="world"'
MODELS = ["MLE", "add-0.1", "mixture", "buckets", "KN"]

pytestmark = [
    pytest.mark.assignments,
    pytest.mark.slow,
    pytest.mark.skipif(not SOURCE.exists(), reason="this copy of the course holds no solutions"),
]


@pytest.mark.parametrize(
    "corpus",
    [
        pytest.param("world", id="world"),
        pytest.param("treebank", id="treebank", marks=pytest.mark.real_data),
    ],
)
def test_the_starting_cell_prints_perplexities_that_make_sense(
    corpus: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    notebook = read_notebook(SOURCE)
    cells = {cell.id: cell.source for cell in notebook.cells}
    start = cells["q13-models"]
    assert start.startswith("RUN = False\n"), "as released, the notebook reads no corpus"
    assert TREEBANK in start
    start = start.replace("RUN = False", "RUN = True").replace(TREEBANK, f'"{corpus}"')

    names: dict[str, object] = {}
    exec(cells["setup"], names)
    capsys.readouterr()
    before = set(names)
    exec(start, names)
    lines = capsys.readouterr().out.splitlines()
    heading = next(place for place, line in enumerate(lines) if line.startswith("order"))
    assert lines[heading].split()[2:-1] == MODELS
    rows = [line.split() for line in lines[heading + 1 :]]
    assert [row[:2] for row in rows] == [[str(n), text] for n in range(1, 5) for text in "AB"]
    table = np.array([row[2:] for row in rows], dtype=float).reshape(4, 2, len(MODELS))

    unigrams, longer = table[0], table[1:]
    assert np.allclose(unigrams, unigrams[:, :1], rtol=0.01), "one order has nothing to mix"
    assert np.isinf(longer[..., 0]).all(), "maximum likelihood meets something it never saw"
    mixture, kneser_ney = longer[..., 2], longer[..., 4]
    for smoothed in (mixture, kneser_ney):
        assert (smoothed < unigrams[0, 0]).all(), "a context helps whoever smooths"
        assert (smoothed < longer[..., 1]).all(), "adding a constant is the worst"
    if corpus == "treebank":
        assert (longer[..., 4] < longer[..., :4].min(axis=-1)).all(), "Kneser–Ney is the best"

    # It may be run before or after the questions, whose functions it must not replace.
    functions = {
        name
        for cell in answer_cells(notebook).values()
        if cell.cell_type == "code"
        for name in _defined(cell.source)
    }
    assert len(functions) >= 11
    assert not functions & (set(names) - before), "the cell replaces a student's function"


def _defined(source: str) -> list[str]:
    return [
        line.split("(")[0].removeprefix("def ") for line in source.splitlines() if "def " in line
    ]
