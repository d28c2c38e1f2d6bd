"""06-transformer, q14: the cell that students start from, with the reference's answer to q12."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nlp_course.grading.notebooks import read_notebook

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "solutions/06-transformer/06-transformer.ipynb"
SHAKESPEARE = '"tinyshakespeare", fallback="world"'
RESULT = re.compile(r"training ([\d.]+), held out ([\d.]+) nats a letter, \d+ s\n")
TRAINING = "\n    start = time.perf_counter()\n"
BAR = 2.0  # nats a letter of Shakespeare, as the text of the question has it
STEPS = 900  # of the 1500 in the cell: below the bar already

pytestmark = [
    pytest.mark.assignments,
    pytest.mark.skipif(not SOURCE.exists(), reason="this copy of the course holds no solutions"),
]


def set_out(
    monkeypatch: pytest.MonkeyPatch, *, own: bool = True, corpus: str = "world"
) -> tuple[dict[str, Any], str, str]:
    """Names after the set-up and the answer, and the cell in two parts: functions and training."""
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    cells = {cell.id: cell.source for cell in read_notebook(SOURCE).cells}
    start = cells["q14-network"]
    assert start.startswith("RUN = False\nOWN = True "), "as released, the notebook trains nothing"
    start = start.replace("RUN = False", "RUN = True").replace("OWN = True", f"OWN = {own}")
    assert SHAKESPEARE in start
    functions, training = start.replace(SHAKESPEARE, f'"{corpus}"').split(TRAINING)
    names: dict[str, Any] = {}
    for cell in ("setup", "q12-gpt") if own else ("setup",):
        exec(cells[cell], names)
    return names, functions, TRAINING + training


def told_by_one_letter(text: torch.Tensor, held: torch.Tensor, size: int) -> torch.Tensor:
    """Log p of each letter after each other one, counted in `text`, a tenth added to each count."""
    pairs = torch.bincount(text[:-1] * size + text[1:], minlength=size**2).reshape(size, size) + 0.1
    return (pairs / pairs.sum(dim=1, keepdim=True)).log()


@pytest.mark.slow
@pytest.mark.real_data
def test_the_starting_cell_gets_shakespeare_below_the_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    names, functions, training = set_out(monkeypatch, corpus="tinyshakespeare")
    assert "steps=1500" in functions
    exec(functions.replace("steps=1500", f"steps={STEPS}") + training, names)
    printed = capsys.readouterr().out
    result = RESULT.search(printed)
    assert result is not None, printed
    on_its_batches, held_out = float(result[1]), float(result[2])
    assert 1.3 < on_its_batches < held_out < BAR
    text = next(cell.source for cell in read_notebook(SOURCE).cells if cell.id == "q14-text")
    assert f"below {BAR} nats" in text
    written = printed[result.end() :]
    assert len(written.strip("\n")) > 250
    assert set(written) <= {*names["letters"], "\n"}
    # Words of Shakespeare's text, and not letters in a row.
    known = set(names["text"].split())
    words = written.split()
    assert sum(word in known for word in words) > 0.4 * len(words)


@pytest.mark.parametrize("own", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_short_training_beats_whoever_sees_one_letter(own: bool, monkeypatch: pytest.MonkeyPatch):
    names, functions, _ = set_out(monkeypatch, own=own)
    exec(functions, names)
    train, held, size = names["train_ids"], names["held"], len(names["letters"])
    table = told_by_one_letter(train, held, size)
    by_one = names["held_out_loss"](table.__getitem__, 32)
    _, _, loss = names["run"](steps=250, d=32, layers=1, length=32, learning_rate=0.01)
    assert 1.0 < loss < by_one - 0.1


def test_held_out_loss_is_the_mean_over_letters_that_no_training_sees(
    monkeypatch: pytest.MonkeyPatch,
):
    names, functions, _ = set_out(monkeypatch)
    exec(functions, names)
    train, held, ids = names["train_ids"], names["held"], names["ids"]
    size, loss = len(names["letters"]), names["held_out_loss"]
    assert torch.equal(torch.cat([train, held]), ids)
    assert loss(lambda read: torch.zeros(*read.shape, size), 8) == pytest.approx(math.log(size))
    table = told_by_one_letter(train, held, size)
    n = min(len(held) - 1, 50_000) // 7 * 7
    by_hand = -table[held[:n], held[1 : n + 1]].double().mean()
    assert loss(table.__getitem__, 7) == pytest.approx(float(by_hand), rel=1e-4)
    seen: list[torch.Tensor] = []

    def uniform(read: torch.Tensor) -> torch.Tensor:
        seen.append(read)
        return torch.zeros(*read.shape, size)

    loss(uniform, 10, most=1000)
    assert torch.equal(torch.cat(seen).flatten(), held[:1000]), "each letter is read once"


def test_what_is_written_follows_the_models_probabilities_and_the_last_letters_alone(
    monkeypatch: pytest.MonkeyPatch,
):
    names, functions, _ = set_out(monkeypatch)
    exec(functions, names)
    letters, size = names["letters"], len(names["letters"])
    lengths = []

    def next_letter(read: torch.Tensor) -> torch.Tensor:
        """All probability on the letter after the one that was read."""
        lengths.append(read.shape[1])
        return 1e9 * torch.nn.functional.one_hot((read + 1) % size, size).float()

    written = names["write"](next_letter, 4, letters_to_write=2 * size)
    first = letters.index("\n")
    assert written == "".join(letters[(first + i) % size] for i in range(2 * size + 1))
    assert lengths[:5] == [1, 2, 3, 4, 4]
    assert max(lengths) == 4

    def even(read: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*read.shape, size)

    write: Callable[..., str] = names["write"]
    assert write(even, 4, seed=1) == write(even, 4, seed=1) != write(even, 4, seed=2)
