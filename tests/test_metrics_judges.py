"""Agreement and ranking: values by hand, scikit-learn's κ, a fit by another method, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.metrics import cohen_kappa_score

from nlp_course.metrics_judges import bradley_terry, cohen_kappa


def test_judges_who_agree_have_1_and_who_never_do_less_than_0():
    assert cohen_kappa([0, 1, 1], [0, 1, 1]).kappa == 1
    assert cohen_kappa([0, 1], [1, 0]).kappa == -1


def test_independent_judges_have_about_0_however_much_they_agree():
    rng = np.random.default_rng(0)
    first, second = ((rng.random(20_000) < 0.95).astype(int).tolist() for _ in range(2))
    agreement = cohen_kappa(first, second)
    assert agreement.observed > 0.9
    assert abs(agreement.kappa) < 0.03


def test_value_worked_by_hand():
    # 20 both yes, 15 both no, 5 and 10 apart: p_o = 0.7, p_e = 0.5 · 0.6 + 0.5 · 0.4.
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx((0.4, 0.7, 0.5))


GRADES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=20)


@given(GRADES, st.sampled_from([None, "linear", "quadratic"]))
def test_kappa_is_that_of_scikit_learn(rows, weights):
    first, second = (list(column) for column in zip(*rows, strict=True))
    if len({*first, *second}) == 1:
        return
    labels = sorted({*first, *second})
    # Grades that nobody gave leave no gap: places count, not values.
    expected = cohen_kappa_score(first, second, weights=weights, labels=labels)
    assert cohen_kappa(first, second, weights).kappa == pytest.approx(expected)


@pytest.mark.parametrize(
    ("first", "second", "weights", "says"),
    [
        ([], [], None, "got 0 and 0 labels"),
        ([1, 0], [1], None, "got 2 and 1 labels"),
        (["a", "a"], ["a", "a"], None, "both judges always say a"),
        ([0, 1], [0, 1], "cubic", "weights are None"),
    ],
)
def test_agreement_without_a_value_is_refused(first, second, weights, says):
    with pytest.raises(ValueError, match=says):
        cohen_kappa(first, second, weights)


def test_two_systems_have_the_odds_of_their_wins():
    strengths = bradley_terry(np.array([[0, 3], [1, 0]]))
    assert strengths == pytest.approx([np.log(3) / 2, -np.log(3) / 2])


@given(st.integers(0, 200))
def test_strengths_have_the_highest_likelihood(seed):
    wins = np.random.default_rng(seed).integers(1, 9, size=(4, 4))
    np.fill_diagonal(wins, 0)
    strengths = bradley_terry(wins)
    assert strengths.mean() == pytest.approx(0, abs=1e-9)

    def nats(theta):
        return (wins * np.logaddexp(0, -np.subtract.outer(theta, theta))).sum()

    assert minimize(nats, np.zeros(4)).fun == pytest.approx(nats(strengths), rel=1e-7)
    # As many wins as expected, for each system: the gradient is 0.
    expected = (wins + wins.T) / (1 + np.exp(-np.subtract.outer(strengths, strengths)))
    assert expected.sum(axis=1) == pytest.approx(wins.sum(axis=1))


def test_known_strengths_are_found_again():
    true = np.array([1.0, 0.2, -0.4, -0.8])
    p = 1 / (1 + np.exp(-np.subtract.outer(true, true)))
    wins = np.random.default_rng(0).binomial(20_000, np.triu(p, 1))
    wins = wins + np.tril(20_000 - wins.T, -1)
    assert bradley_terry(wins) == pytest.approx(true, abs=0.03)


@pytest.mark.parametrize(
    ("wins", "says"),
    [
        (np.array([[0]]), "at least 2 systems"),
        (np.ones((2, 3), dtype=int), "a square"),
        (np.array([[0, -1], [1, 0]]), "at least 0"),
        (np.array([[1, 1], [1, 0]]), "compared with itself"),
        (np.array([[0, 2], [0, 0]]), "strengths would be infinite"),
        (np.zeros((3, 3), dtype=int), "compare more"),
    ],
)
def test_comparisons_without_a_ranking_are_refused(wins, says):
    with pytest.raises(ValueError, match=says):
        bradley_terry(wins)
