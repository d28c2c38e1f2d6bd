"""Recall, reciprocal rank, average precision and nDCG: by hand, and beside scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course import retrieval_judging as judging
from nlp_course.retrieval import rank


def scores_and_gains(queries=25, documents=12, seed=0):
    """Scores without ties, gains 0 … 3 with at least one above 0."""
    rng = np.random.default_rng(seed)
    gains = rng.integers(0, 4, (queries, documents))
    gains[:, 0] = 1 + gains[:, 0] % 3
    return rng.permuted(np.tile(np.arange(documents, dtype=float), (queries, 1)), axis=1), gains


def rankings_of(scores):
    return [rank(row, len(row)) for row in scores]


RANKINGS = [[4, 7, 1, 0], [2, 3], []]
RELEVANT = [{7, 0}, {9}, {1}]


def test_measures_worked_by_hand():
    assert judging.recall_at_k(RANKINGS, RELEVANT, 2).tolist() == [0.5, 0, 0]
    # Of two right ones a single place holds one: the other counts as missed.
    assert judging.recall_at_k([[7, 4]], [{7, 0}], 1).tolist() == [0.5]
    assert judging.recall_at_k(RANKINGS, RELEVANT, 4).tolist() == [1, 0, 0]
    assert judging.precision_at_k(RANKINGS, RELEVANT, 2).tolist() == [0.5, 0, 0]
    assert judging.precision_at_k(RANKINGS, RELEVANT, 8).tolist() == [0.25, 0, 0]
    assert judging.reciprocal_rank(RANKINGS, RELEVANT).tolist() == [0.5, 0, 0]
    assert judging.average_precision(RANKINGS, RELEVANT).tolist() == [(1 / 2 + 2 / 4) / 2, 0, 0]


def test_ndcg_worked_by_hand():
    [value] = judging.ndcg_at_k([[4, 7, 1]], [{7: 3, 1: 1, 8: 2}], k=3)
    dcg = 3 / math.log2(3) + 1 / math.log2(4)
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert value == pytest.approx(dcg / ideal)


@pytest.mark.parametrize("k", [1, 3, 12, 20])
def test_ndcg_is_scikit_learns(k):
    from sklearn.metrics import ndcg_score

    scores, gains = scores_and_gains()
    found = judging.ndcg_at_k(
        rankings_of(scores), [dict(enumerate(row.tolist())) for row in gains], k
    )
    assert found.mean() == pytest.approx(ndcg_score(gains, scores, k=k), abs=1e-12)


def test_average_precision_is_scikit_learns():
    from sklearn.metrics import average_precision_score

    scores, gains = scores_and_gains()
    found = judging.average_precision(
        rankings_of(scores), [set(np.flatnonzero(row > 1).tolist()) or {0} for row in gains]
    )
    for value, row, mine in zip(found, gains, scores, strict=True):
        right = row > 1 if (row > 1).any() else np.arange(12) == 0
        assert value == pytest.approx(average_precision_score(right, mine))


@pytest.mark.parametrize("ties", [False, True])
def test_rank_of_one_target_is_scikit_learns_with_ties_lost(ties):
    from sklearn.metrics import label_ranking_average_precision_score

    scores, _ = scores_and_gains()
    scores = scores // 3 if ties else scores
    targets = np.arange(len(scores)) % 12
    ranks = judging.target_ranks(scores, targets)
    right = np.eye(12, dtype=int)[targets]
    assert (1 / ranks).mean() == pytest.approx(label_ranking_average_precision_score(right, scores))


def test_all_alike_puts_the_target_last():
    assert judging.target_ranks(np.zeros((2, 5)), np.array([0, 4])).tolist() == [5, 5]


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_with_one_right_document_all_measures_follow_from_its_rank(seed, k):
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(9.0), (6, 1)), axis=1)
    targets = rng.integers(9, size=6)
    ranks = judging.target_ranks(scores, targets)
    rankings, relevant = rankings_of(scores), [{int(target)} for target in targets]
    np.testing.assert_allclose(judging.recall_at_k(rankings, relevant, k), ranks <= k)
    np.testing.assert_allclose(judging.reciprocal_rank(rankings, relevant), 1 / ranks)
    np.testing.assert_allclose(judging.average_precision(rankings, relevant), 1 / ranks)
    gains = [{int(target): 1.0} for target in targets]
    np.testing.assert_allclose(
        judging.ndcg_at_k(rankings, gains, k), (ranks <= k) / np.log2(ranks + 1)
    )


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_measures_lie_in_0_to_1_and_the_best_ranking_has_1(seed, k):
    scores, gains = scores_and_gains(queries=4, documents=9, seed=seed)
    as_gains = [dict(enumerate(row.tolist())) for row in gains]
    relevant = [set(np.flatnonzero(row).tolist()) for row in gains]
    for rankings in (rankings_of(scores), rankings_of(gains.astype(float))):
        values = [
            judging.recall_at_k(rankings, relevant, k),
            judging.precision_at_k(rankings, relevant, k),
            judging.reciprocal_rank(rankings, relevant),
            judging.average_precision(rankings, relevant),
            judging.ndcg_at_k(rankings, as_gains, k),
        ]
        assert all(((value >= 0) & (value <= 1 + 1e-12)).all() for value in values)
    for value in (values[2], values[3], values[4]):
        np.testing.assert_allclose(value, 1)


def test_interval_holds_the_mean_and_narrows_with_more_queries():
    values = np.random.default_rng(0).random(400)
    few, many = judging.mean_interval(values[:50]), judging.mean_interval(values)
    assert many.low < many.estimate < many.high
    assert many.estimate == pytest.approx(values.mean())
    assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize(
    "measure",
    [
        lambda rankings, relevant: judging.recall_at_k(rankings, relevant, 1),
        lambda rankings, relevant: judging.precision_at_k(rankings, relevant, 1),
        judging.reciprocal_rank,
        judging.average_precision,
    ],
)
def test_bad_queries_are_refused(measure):
    with pytest.raises(ValueError, match="at least one ranking"):
        measure([], [])
    with pytest.raises(ValueError, match="got 1 and 2"):
        measure([[1]], [{1}, {2}])
    with pytest.raises(ValueError, match="query 0 has no right document"):
        measure([[1]], [set()])
    with pytest.raises(ValueError, match="query 0 has a document twice"):
        measure([[1, 1]], [{1}])


def test_k_of_0_and_gains_without_worth_are_refused():
    for measure in (judging.recall_at_k, judging.precision_at_k):
        with pytest.raises(ValueError, match="k must be at least 1, got 0"):
            measure([[1]], [{1}], 0)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        judging.ndcg_at_k([[1]], [{1: 1}], 0)
    for gains in ({}, {1: 0}, {1: -1, 2: 1}, {1: math.nan}, {1: math.inf}):
        with pytest.raises(ValueError, match="gains of query 0"):
            judging.ndcg_at_k([[1]], [gains], 1)


def test_targets_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match="as many targets"):
        judging.target_ranks(np.zeros((2, 3)), np.array([0]))
    with pytest.raises(ValueError, match="as many targets"):
        judging.target_ranks(np.zeros((0, 3)), np.array([], dtype=int))
    for target in (-1, 3):
        with pytest.raises(ValueError, match="targets must lie in 0 … 2"):
            judging.target_ranks(np.zeros((1, 3)), np.array([target]))
    with pytest.raises(ValueError, match="NaN"):
        judging.target_ranks(np.array([[0.0, np.nan]]), np.array([0]))
