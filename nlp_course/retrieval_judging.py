"""How good a ranking is: recall, reciprocal rank, average precision, and discounted gain.

Each function gives a value for each query, so that means, bootstrap intervals and paired
comparisons can be made of them (`judging.bootstrap`). A ranking has no ties: who ranked has broken
them. Where scores are at hand and one document is sought, `target_ranks` counts a tie as lost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int

from nlp_course.judging import Interval, bootstrap

# For each query, document numbers, best first; and the documents that are right.
Rankings: TypeAlias = Sequence[Sequence[int] | Int[np.ndarray, "_"]]
Relevant: TypeAlias = Sequence[Collection[int]]


def recall_at_k(rankings: Rankings, relevant: Relevant, k: int) -> Float[np.ndarray, "query"]:
    """Which share of the right documents is among the first k.

    Raises
    ------
    ValueError : k < 1, no queries, not one set a ranking, a query without a right document, or a
        ranking that has a document twice.

    Examples
    --------
    >>> recall_at_k([[4, 7, 1]], [{1, 7, 8}], k=2).round(3)
    array([0.333])
    """
    _check_k(k)
    found = _found(rankings, relevant)
    return np.array([hits[:k].sum() / total for hits, total in found])


def precision_at_k(rankings: Rankings, relevant: Relevant, k: int) -> Float[np.ndarray, "query"]:
    """Which share of the first k is right; a shorter ranking has nothing at its missing places.

    Raises
    ------
    ValueError : as for `recall_at_k`.
    """
    _check_k(k)
    return np.array([hits[:k].sum() / k for hits, _ in _found(rankings, relevant)])


def reciprocal_rank(rankings: Rankings, relevant: Relevant) -> Float[np.ndarray, "query"]:
    """1 / the rank of the first right document; 0 where none was found. Their mean is the MRR.

    Raises
    ------
    ValueError : as for `recall_at_k`.

    References
    ----------
    Voorhees 1999, The TREC-8 Question Answering Track Report.

    Examples
    --------
    >>> reciprocal_rank([[4, 7, 1], [2]], [{1, 7}, {5}])
    array([0.5, 0. ])
    """
    return np.array(
        [1 / (hits.argmax() + 1) if hits.any() else 0.0 for hits, _ in _found(rankings, relevant)]
    )


def average_precision(rankings: Rankings, relevant: Relevant) -> Float[np.ndarray, "query"]:
    """The precision at the rank of each right document, averaged; 0 for one that was not found.

    Their mean is the MAP. With one right document it is the reciprocal rank.

    Raises
    ------
    ValueError : as for `recall_at_k`.

    Examples
    --------
    >>> average_precision([[4, 7, 9, 1]], [{7, 1}])
    array([0.5])
    """
    values = []
    for hits, total in _found(rankings, relevant):
        places = np.flatnonzero(hits) + 1
        values.append((np.arange(1, len(places) + 1) / places).sum() / total)
    return np.array(values)


def ndcg_at_k(
    rankings: Rankings, gains: Sequence[Mapping[int, float | int]], k: int
) -> Float[np.ndarray, "query"]:
    """Discounted cumulative gain, over that of the best possible ranking.

    DCG = Σ_{i=1}^{k} g_i / log₂(i + 1),  nDCG = DCG / DCG of the gains in falling order

    Parameters
    ----------
    gains : what each document is worth for each query; one that is not mentioned, 0. With 2^g − 1
        in place of g the best documents count more still

    Raises
    ------
    ValueError : k < 1, no queries, not one mapping a ranking, gains that are negative, not finite,
        or all 0, or a ranking that has a document twice.

    References
    ----------
    Järvelin and Kekäläinen 2002, Cumulated Gain-Based Evaluation of IR Techniques.

    Examples
    --------
    >>> ndcg_at_k([[5, 6]], [{5: 1, 6: 3}], k=2).round(4)
    array([0.7967])
    """
    _check_k(k)
    _check_rankings(rankings, gains)
    values = []
    for query, (ranking, worth) in enumerate(zip(rankings, gains, strict=True)):
        ideal = np.sort(np.array([float(gain) for gain in worth.values()]))[::-1]
        if not (np.isfinite(ideal).all() and (ideal >= 0).all() and ideal.any()):
            raise ValueError(
                f"the gains of query {query} must be finite, not negative, and one above 0"
            )
        found = np.array([float(worth.get(int(document), 0)) for document in ranking[:k]])
        values.append(_discounted(found) / _discounted(ideal[:k]))
    return np.array(values)


def target_ranks(
    scores: Float[np.ndarray, "query document"], targets: Int[np.ndarray, "target"]
) -> Int[np.ndarray, "query"]:
    """The rank of the one document that each query seeks; one with an equal score goes before it.

    So a method that scores all alike has the target last, not first. From ranks r, recall at k is
    [r ≤ k], the reciprocal rank 1/r, and nDCG at k [r ≤ k] / log₂(r + 1).

    Raises
    ------
    ValueError : no queries, not one target a query, no such document, or a score is NaN.

    Examples
    --------
    >>> target_ranks(np.array([[0.1, 0.9, 0.9]]), np.array([1]))
    array([2])
    """
    if not len(scores) or len(scores) != len(targets):
        raise ValueError(f"{len(scores)} queries need as many targets, and at least 1")
    if not 0 <= targets.min() <= targets.max() < scores.shape[1]:
        raise ValueError(f"targets must lie in 0 … {scores.shape[1] - 1}")
    if np.isnan(scores).any():
        raise ValueError("scores must be numbers: at least one is NaN")
    own = np.take_along_axis(scores, targets[:, None], axis=1)
    return (scores >= own).sum(axis=1)


def mean_interval(values: Float[np.ndarray, "query"], seed: int = 0) -> Interval:
    """The mean over queries, and its bootstrap interval of 95 %; see `judging.bootstrap`.

    For two methods on the same queries give the differences of their values: the interval of these
    is narrower than the two intervals say.

    Raises
    ------
    ValueError : fewer than 2 queries, or a value is not finite.
    """
    return bootstrap(lambda drawn: values[drawn].mean(axis=1), len(values), seed=seed)


def _discounted(gains: Float[np.ndarray, "rank"]) -> float:
    return float((gains / np.log2(np.arange(len(gains)) + 2)).sum())


def _found(rankings: Rankings, relevant: Relevant) -> list[tuple[np.ndarray, int]]:
    """Whether each ranked document is right, and how many right ones there are."""
    _check_rankings(rankings, relevant)
    found = []
    for query, (ranking, right) in enumerate(zip(rankings, relevant, strict=True)):
        wanted = set(right)
        if not wanted:
            raise ValueError(f"query {query} has no right document: leave it out")
        found.append((np.array([int(one) in wanted for one in ranking], dtype=bool), len(wanted)))
    return found


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")


def _check_rankings(rankings: Rankings, answers: Sequence[object]) -> None:
    if not len(rankings) or len(rankings) != len(answers):
        raise ValueError(
            f"give at least one ranking, and for each its right documents: got {len(rankings)} "
            f"and {len(answers)}"
        )
    for query, ranking in enumerate(rankings):
        if len({int(document) for document in ranking}) < len(ranking):
            raise ValueError(f"the ranking of query {query} has a document twice")
