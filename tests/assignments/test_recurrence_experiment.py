"""05-recurrence, q14: the cell that students start from, with the reference's answers."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from nlp_course.grading.notebooks import answer_cells, questions, read_notebook

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "solutions/05-recurrence/05-recurrence.ipynb"
RESULT = re.compile(r"lstm, seed (\d): loss ([\d.]+) nats, counts to n = (\d+)")
TRAINING = "\n    for seed in (0, 1):\n"

pytestmark = [
    pytest.mark.assignments,
    pytest.mark.skipif(not SOURCE.exists(), reason="this copy of the course holds no solutions"),
]


def set_out(monkeypatch: pytest.MonkeyPatch, *, own: bool) -> tuple[dict[str, Any], str, str]:
    """Names after the reference's answers, and the cell in two parts: functions and training."""
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    notebook = read_notebook(SOURCE)
    cells = {cell.id: cell.source for cell in notebook.cells}
    start = cells["q14-network"]
    assert start.startswith("RUN = False\nOWN = True "), "as released, the notebook trains nothing"
    start = start.replace("RUN = False", "RUN = True").replace("OWN = True", f"OWN = {own}")
    functions, training = start.split(TRAINING)
    names: dict[str, Any] = {}
    tested = questions(notebook) if own else []
    for cell in ("setup", *(name for name in answer_cells(notebook) if name in tested)):
        exec(cells[cell], names)
    return names, functions, f"{functions}{TRAINING}{training}"


@pytest.mark.parametrize("own", [pytest.param(True, marks=pytest.mark.slow), False])
def test_the_starting_cell_trains_an_lstm_that_counts_as_far_as_it_was_trained(
    own: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    names, _, cell = set_out(monkeypatch, own=own)
    exec(cell, names)
    printed = RESULT.findall(capsys.readouterr().out)
    assert [seed for seed, *_ in printed] == ["0", "1"]
    # The text of the question says it: log 10 nats a string, in 11 letters on average.
    least = math.log(10) / 11
    for _, loss, n in printed:
        assert least < float(loss) < 1.1 * least
        assert 10 <= int(n) < 200


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_pytorchs_cells_stand_in_for_the_answers_with_the_same_weights(
    kind: str, monkeypatch: pytest.MonkeyPatch
):
    names, functions, _ = set_out(monkeypatch, own=True)
    exec(functions, names)
    torch.manual_seed(0)
    model = names["Counter"](kind, 4, 1.0)
    for parameter in model.parameters():
        parameter.data.normal_()
    x = torch.randn(6, 3, 3)
    with torch.no_grad():
        assert torch.allclose(model.states(x), model.torch_states(x), atol=1e-6)


def test_a_string_is_right_where_each_letter_from_the_first_b_on_is(
    monkeypatch: pytest.MonkeyPatch,
):
    names, functions, _ = set_out(monkeypatch, own=False)
    exec(functions, names)
    read, wanted = names["letters"]([2, 1])
    assert read.T.tolist() == [[0, 0, 1, 1], [0, 1, 0, 0]]
    assert wanted.T.tolist() == [[0, 1, 1, 2], [1, 2, -100, -100]]

    def ends_after_three(ids: torch.Tensor) -> torch.Tensor:
        """Predicts b until it has read three of them, and then #: right for n = 3 alone."""
        done = (ids == 1).cumsum(dim=0) >= 3
        return torch.nn.functional.one_hot(1 + done.long(), 3).float()

    def counts(ids: torch.Tensor) -> torch.Tensor:
        """Predicts # where as many b as a were read, up to seven."""
        a, b = ((ids == letter).cumsum(dim=0) for letter in (0, 1))
        return torch.nn.functional.one_hot(1 + ((a == b) & (a <= 7)).long(), 3).float()

    assert names["counts_to"](ends_after_three) == 0
    assert names["counts_to"](counts) == 7
