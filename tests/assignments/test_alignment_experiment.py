"""09-alignment, q14: the cell that students start from, with the reference's answer to q12."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlp_course.grading.notebooks import read_notebook

pytest.importorskip("torch", reason="torch is not installed")

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "solutions/09-alignment/09-alignment.ipynb"
ROW = re.compile(r"DPO, seed \d +([\d.]+) +([\d.]+) +([\d.]+)\n")
TABLE = "\n    print(f\"{'β = 0.6':12}\""
LEAST_REWARD, MOST_LACK = 1.3, 0.15  # as the text of the question has them

pytestmark = [
    pytest.mark.assignments,
    pytest.mark.skipif(not SOURCE.exists(), reason="this copy of the course holds no solutions"),
]


@cache
def cells() -> dict[str, str]:
    return {cell.id: cell.source for cell in read_notebook(SOURCE).cells}


def set_out(monkeypatch: pytest.MonkeyPatch, *, own: bool = True) -> tuple[dict[str, Any], str]:
    """Names after the set-up, the answer and the cell's functions; and the rest of the cell."""
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    start = cells()["q14-policies"]
    assert start.startswith("RUN = False\nOWN = True "), "as released, the notebook trains nothing"
    start = start.replace("RUN = False", "RUN = True").replace("OWN = True", f"OWN = {own}")
    functions, table = start.split(TABLE)
    names: dict[str, Any] = {}
    for cell in ("setup", "q12-dpo") if own else ("setup",):
        exec(cells()[cell], names)
    exec(functions, names)
    return names, "if RUN and not GRADING:" + TABLE + table


def test_the_starting_cell_is_within_the_bars(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    names, table = set_out(monkeypatch)
    capsys.readouterr()
    exec(table, names)
    printed = capsys.readouterr().out
    rows = [[float(number) for number in row] for row in ROW.findall(printed)]
    assert len(rows) == 2, printed
    assert all(reward > LEAST_REWARD and lack < MOST_LACK for reward, _, lack in rows)
    text = cells()["q14-text"]
    assert f"above {LEAST_REWARD} in both seeds" in text
    assert f"below {MOST_LACK}" in text
    # The rows stand in the model solution, and in its table, to two digits.
    solution = cells()["q14-experiment"]
    for reward, kl, _ in rows:
        assert f"{reward:.2f}, KL {kl:.2f}" in solution


def test_the_courses_functions_train_the_same_policy(monkeypatch: pytest.MonkeyPatch):
    own, _ = set_out(monkeypatch)
    course, _ = set_out(monkeypatch, own=False)
    found = [
        names["train"](names["draw_comparisons"](400, 3), 1.2, smoothing=0.1)
        for names in (own, course)
    ]
    assert np.abs(np.exp(found[0]) - np.exp(found[1])).max() < 1e-3


def test_what_is_trained_is_a_minimum(monkeypatch: pytest.MonkeyPatch):
    names, _ = set_out(monkeypatch)
    answers, first_wins = comparisons = names["draw_comparisons"](500, 0)
    log_p, log_ref, beta, penalty = (
        names["train"](comparisons, 0.8),
        names["log_reference"],
        0.8,
        2e-3,
    )

    def goal(log_p: np.ndarray) -> float:
        h = log_p - log_ref
        gap = np.where(first_wins, 1, -1) * (h[answers[:, 0]] - h[answers[:, 1]])
        rewards = beta * (h - h.mean())
        return float(np.logaddexp(0, -beta * gap).mean() + penalty * (rewards**2).mean())

    rng = np.random.default_rng(0)
    for _ in range(20):
        other = log_p + rng.normal(0, 0.1, len(log_p))
        other -= np.log(np.exp(other).sum())
        assert goal(other) > goal(log_p)


def test_lack_is_beta_times_the_divergence_from_the_best_policy(monkeypatch: pytest.MonkeyPatch):
    names, _ = set_out(monkeypatch)
    rng = np.random.default_rng(0)
    for beta in (0.15, 0.6, 2.4):
        best = names["best_policy"](beta)
        assert abs(names["measure"](best, beta)["lack"]) < 1e-6
        p = rng.dirichlet(np.ones(names["K"]))
        kl = float((p * (np.log(p) - best)).sum())
        assert names["measure"](np.log(p), beta)["lack"] == pytest.approx(beta * kl, abs=1e-6)


def test_judges_follow_bradley_and_terry_but_for_those_flipped(monkeypatch: pytest.MonkeyPatch):
    names, _ = set_out(monkeypatch)
    even, rewards = np.ones(names["K"]), names["true_rewards"]
    for flipped in (0.0, 0.3):
        answers, first = names["draw_comparisons"](40_000, 5, flipped=flipped, writer=even)
        gap = rewards[answers[:, 0]] - rewards[answers[:, 1]]
        p = 1 / (1 + np.exp(-gap))
        p = (1 - flipped) * p + flipped * (1 - p)
        for low, high in ((-4, -1), (-1, 0), (0, 0.01), (0.01, 1), (1, 4)):
            among = (gap >= low) & (gap < high)
            spread = np.sqrt((p * (1 - p))[among].sum())
            assert abs((first - p)[among].sum()) < 5 * spread, (low, high)
        counts = np.bincount(answers.ravel(), minlength=names["K"])
        assert np.abs(counts - 80_000 / 63).max() < 6 * np.sqrt(80_000 / 63)
    # Without a writer, answers are the reference's.
    answers, _ = names["draw_comparisons"](40_000, 5)
    p = np.exp(names["log_reference"])
    counts = np.bincount(answers.ravel(), minlength=names["K"])
    assert (np.abs(counts - 80_000 * p) < 6 * np.sqrt(80_000 * p) + 1).all()


def test_with_many_comparisons_dpo_finds_the_best_policy_even_at_a_small_beta(
    monkeypatch: pytest.MonkeyPatch,
):
    names, _ = set_out(monkeypatch)
    lacks = [
        names["measure"](names["train"](names["draw_comparisons"](n, 0), 0.15), 0.15)["lack"]
        for n in (3000, 30_000)
    ]
    assert lacks[0] > 1 > 0.1 > lacks[1]
