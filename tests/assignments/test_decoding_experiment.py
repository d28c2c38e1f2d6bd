"""08-decoding, q13: the cell that students start from, and what the model answer makes of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlp_course.grading.notebooks import read_notebook

pytest.importorskip("torch", reason="torch is not installed")

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "solutions/08-decoding/08-decoding.ipynb"
PRINTED = re.compile(
    r"^(.+?) +cost ([\d.]+)  distinct ([\d.]+)  repeated ([\d.]+)$", flags=re.MULTILINE
)
PEOPLE = (3.97, 0.78, 0.04)

pytestmark = [
    pytest.mark.assignments,
    pytest.mark.skipif(not SOURCE.exists(), reason="this copy of the course holds no solutions"),
]


def cells() -> dict[str, str]:
    return {cell.id: cell.source for cell in read_notebook(SOURCE).cells}


def table() -> dict[str, list[list[float]]]:
    """The model answer's table: of each row, the numbers of its columns, a seed each."""
    rows = {}
    for line in cells()["q13-experiment"].splitlines():
        if line.startswith(("| people", "| `")):
            name, *columns = (part.strip(" `") for part in line.strip("|").split("|"))
            rows[name] = [[float(x) for x in column.split(",")] for column in columns]
    return rows


def test_the_model_answer_has_what_its_rubric_asks_for():
    rows = table()
    assert {name: len(columns) for name, columns in rows.items()} == dict.fromkeys(rows, 3)
    assert [numbers[0] for numbers in rows.pop("people")] == list(PEOPLE)
    assert len(rows) >= 3
    assert all(len(numbers) == 2 for columns in rows.values() for numbers in columns)


def test_released_the_cell_does_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    names: dict[str, Any] = {}
    exec(cells()["setup"], names)
    capsys.readouterr()
    exec(cells()["q13-start"], names)
    assert "gpt" not in names
    assert capsys.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.real_data
def test_the_cell_and_the_model_answer_give_the_numbers_that_are_written_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    names: dict[str, Any] = {}
    exec(cells()["setup"], names)
    start = cells()["q13-start"]
    assert start.startswith("RUN = False\n"), "as released, the notebook runs nothing long"
    exec(start.replace("RUN = False", "RUN = True", 1), names)
    found = {
        name: tuple(map(float, row)) for name, *row in PRINTED.findall(capsys.readouterr().out)
    }
    assert found.pop("people") == pytest.approx(PEOPLE, abs=0.011)
    assert len(found) == 6, "three settings, two seeds each"
    text = cells()["q13-experiment"]
    for seed in (0, 1):
        cost, distinct, repeated = found[f"[TopP(p=0.9)], seed {seed}"]
        written = re.search(rf"([\d.]+), ([\d.]+), ([\d.]+) with seed {seed}", text)
        assert written is not None
        near = tuple(map(float, written.groups()))
        assert (cost, distinct, repeated) == pytest.approx(near, abs=0.25)

    # The table, measured again. Another version of torch draws other texts.
    from nlp_course import decoding_processors

    measured = {}
    for name, columns in table().items():
        if name == "people":
            continue
        processors = eval(f"[{name}]", vars(decoding_processors))
        again = np.array([names["measure"](names["write"](processors, seed)) for seed in (0, 1)])
        measured[name] = again.mean(axis=0)
        written = np.mean(columns, axis=1)
        assert np.abs(measured[name] - written).max() < 0.25
        assert np.abs(measured[name] - written)[1:].max() < 0.04
    # What the answer concludes.
    hot, first = measured["Temperature(1.5), MinP(0.1)"], measured["MinP(0.1), Temperature(1.5)"]
    mild = measured["Temperature(0.85)"]
    assert np.abs(hot - mild)[1:].max() < 0.05
    assert max(hot[1], mild[1]) < PEOPLE[1] - 0.05
    assert first[1] < 0.5
