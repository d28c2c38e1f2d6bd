"""04-backpropagation, q14: the cell that students start from, with the reference's answers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nlp_course.grading.notebooks import answer_cells, questions, read_notebook

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "solutions/04-backpropagation/04-backpropagation.ipynb"
RESULT = re.compile(r"seed (\d): loss ([\d.]+) -> ([\d.]+) nats, held out ([\d.]+)% right, (\d+)%")

pytestmark = [
    pytest.mark.assignments,
    pytest.mark.skipif(not SOURCE.exists(), reason="this copy of the course holds no solutions"),
]


@pytest.mark.parametrize(
    ("source", "by_chance"),
    [
        pytest.param("world", 25, id="world"),
        pytest.param("reviews", 55, id="reviews", marks=pytest.mark.real_data),
    ],
)
def test_the_starting_cell_trains_and_units_die_where_steps_are_too_large(
    source: str,
    by_chance: float,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    notebook = read_notebook(SOURCE)
    cells = {cell.id: cell.source for cell in notebook.cells}
    start = cells["q14-network"]
    assert start.startswith("RUN = False\n"), "as released, the notebook trains nothing"
    start = start.replace("RUN = False", "RUN = True")
    start = re.sub(r'SOURCE = "\w+"', f'SOURCE = "{source}"', start)

    names: dict[str, object] = {}
    tested = questions(notebook)
    for cell in ("setup", *(name for name in answer_cells(notebook) if name in tested)):
        exec(cells[cell], names)
    exec(start, names)
    printed = RESULT.findall(capsys.readouterr().out)
    assert [seed for seed, *_ in printed] == ["0", "1"]
    for _, first, last, right, dead in printed:
        assert float(last) < 0.8 * float(first)
        assert float(right) > by_chance
        assert int(dead) == 0

    _, _, dead_units = names["run"](learning_rate=10.0, epochs=2)  # type: ignore[operator]
    assert dead_units > 0.5
