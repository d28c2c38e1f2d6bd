"""02-word2vec, q12: the training that students do themselves, with the reference's answers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from nlp_course.grading.notebooks import read_notebook

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "solutions/02-word2vec/02-word2vec.ipynb"

pytestmark = [
    pytest.mark.assignments,
    pytest.mark.real_data,
    pytest.mark.slow,
    pytest.mark.skipif(not SOURCE.exists(), reason="this copy of the course holds no solutions"),
]


def test_what_the_training_cell_prints_gets_full_marks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    cells = {cell.id: cell.source for cell in read_notebook(SOURCE).cells}
    names: dict[str, object] = {}
    for cell in ("setup", "q11-training"):
        exec(cells[cell], names)
    training = cells["q12-training-on-brown"]
    assert training.startswith("TRAIN = False\n"), "as released, the notebook trains nothing"
    exec(training.replace("TRAIN = False", "TRAIN = True"), names)
    printed = ast.literal_eval(capsys.readouterr().out.strip().splitlines()[-1])

    numbers = re.search(r'said = """(.*?)"""', cells["q12-real-words-tests"], re.S)
    assert numbers is not None
    from_the_data = [score for *_, score in names["ratings"]]  # type: ignore[attr-defined]
    assert [float(number) for number in numbers[1].split()] == from_the_data

    for cell in ("q12-real-words-tests", "q12-real-words-hidden"):
        exec(cells[cell], {"brown_cosines": lambda: printed})
