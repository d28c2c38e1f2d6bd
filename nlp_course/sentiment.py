"""Opinion as the sign of a weighted sum: y = sign(w·x), learned by the perceptron.

x is a document's row (`nlp_course.representations`), w a weight for each word, y is +1 for a
positive and −1 for a negative opinion. A document none of whose words has a weight scores 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from nlp_course.text import Vocabulary


class Perceptron(NamedTuple):
    """What training found.

    `weights` are the last; `averaged` their mean over all steps, which does better on new text;
    `mistakes` says how many each epoch made, 0 at the end if training converged.
    """

    weights: Float[np.ndarray, "vocabulary"]
    averaged: Float[np.ndarray, "vocabulary"]
    mistakes: Int[np.ndarray, "epoch"]


class WeighedWord(NamedTuple):
    """A word and its weight."""

    word: str
    weight: float


class TellingWords(NamedTuple):
    """The words of largest weight on either side, the strongest first."""

    positive: list[WeighedWord]
    negative: list[WeighedWord]


def perceptron(
    features: sparse.csr_array, labels: Int[np.ndarray, "document"], epochs: int = 10, seed: int = 0
) -> Perceptron:
    """Learn weights one mistake at a time.

    w ← w + y x, where y (w·x) ≤ 0; w is 0 at the start

    Each epoch sees the documents in a new random order, and training ends before `epochs` when one
    goes by without a mistake.

    Parameters
    ----------
    features : (document, V)
    labels : +1 or −1

    Returns
    -------
    Weights, their average over all steps, and the mistakes of each epoch.

    Raises
    ------
    ValueError : epochs < 1, there is no document, features and labels differ in number, a label is
        neither +1 nor −1, or a feature is not finite.

    References
    ----------
    Rosenblatt 1958, The Perceptron; Freund and Schapire 1999, Large Margin Classification Using the
    Perceptron Algorithm, for averaging.

    Examples
    --------
    >>> fit = perceptron(sparse.csr_array([[1.0, 1.0], [1.0, -1.0]]), np.array([1, -1]))
    >>> fit.weights, fit.mistakes
    (array([0., 2.]), array([2, 0]))
    """
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    rows = _checked(features, labels)
    spans = [slice(*ends) for ends in zip(rows.indptr[:-1], rows.indptr[1:], strict=True)]
    columns = [rows.indices[span] for span in spans]
    values = [rows.data[span] for span in spans]
    targets = labels.tolist()
    generator = np.random.default_rng(seed)
    weights = np.zeros(rows.shape[1])
    # An update at step t is missing from the t − 1 weight vectors before it. To sum up what is
    # missing takes a document's few words; a running mean would take the whole vocabulary.
    missing = np.zeros(rows.shape[1])
    steps, mistakes = 0, []
    for _ in range(epochs):
        wrong = 0
        for i in generator.permutation(len(targets)).tolist():
            if targets[i] * (weights[columns[i]] @ values[i]) <= 0:
                update = targets[i] * values[i]
                weights[columns[i]] += update
                missing[columns[i]] += steps * update
                wrong += 1
            steps += 1
        mistakes.append(wrong)
        if wrong == 0:
            break
    return Perceptron(weights, weights - missing / steps, np.array(mistakes))


def mistake_bound(
    features: sparse.csr_array,
    labels: Int[np.ndarray, "document"],
    separator: Float[np.ndarray, "vocabulary"],
) -> float:
    """No perceptron makes more mistakes than this, over all epochs together: (R / γ)².

    R = max ‖x‖, γ = min y (u·x) / ‖u‖ for the separator u, the margin

    Raises
    ------
    ValueError : u does not separate: some y (u·x) ≤ 0; or as for `perceptron`.

    References
    ----------
    Novikoff 1962, On Convergence Proofs on Perceptrons.
    """
    rows = _checked(features, labels)
    margins = labels * (rows @ separator)  # (document,)
    if margins.min() <= 0:
        raise ValueError(
            f"the separator has {(margins <= 0).sum()} documents on the wrong side or on the line, "
            "so it bounds nothing"
        )
    squares = np.asarray(rows.multiply(rows).sum(axis=1))  # (document,)
    return float(squares.max() * (separator @ separator) / margins.min() ** 2)


def predict(
    features: sparse.csr_array, weights: Float[np.ndarray, "vocabulary"]
) -> Int[np.ndarray, "document"]:
    """sign(w·x): +1, −1, or 0 where the score is exactly 0, as it is without a known word.

    Examples
    --------
    >>> predict(sparse.csr_array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]), np.array([0.5, -1.0]))
    array([ 1, -1,  0])
    """
    return np.sign(features @ weights).astype(np.int64)


def weigh(
    tokens: Iterable[str], vocabulary: Vocabulary, weights: Float[np.ndarray, "vocabulary"]
) -> list[WeighedWord]:
    """What each token adds to the score of a bag of words; an unknown one adds 0.

    Raises
    ------
    ValueError : weights and words differ in number.
    """
    _fit(vocabulary, weights)
    return [
        WeighedWord(token, float(weights[vocabulary.id(token)]) if token in vocabulary else 0.0)
        for token in tokens
    ]


def telling_words(
    vocabulary: Vocabulary, weights: Float[np.ndarray, "vocabulary"], k: int = 10
) -> TellingWords:
    """The k words that speak most for a positive opinion, and the k that speak most against.

    Fewer where fewer have a weight of that sign.

    Raises
    ------
    ValueError : k < 1, or weights and words differ in number.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    _fit(vocabulary, weights)
    order = np.argsort(-weights, kind="stable")
    ranked = [WeighedWord(vocabulary.words[i], float(weights[i])) for i in order]
    return TellingWords(
        [word for word in ranked[:k] if word.weight > 0],
        [word for word in ranked[: -k - 1 : -1] if word.weight < 0],
    )


def _checked(features: sparse.csr_array, labels: Int[np.ndarray, "document"]) -> sparse.csr_array:
    rows = sparse.csr_array(features, dtype=np.float64)
    if rows.shape[0] == 0 or rows.shape[0] != len(labels):
        raise ValueError(
            f"each document needs a label, and there must be one: got {rows.shape[0]} documents "
            f"and {len(labels)} labels"
        )
    if not np.isin(labels, (-1, 1)).all():
        raise ValueError(f"labels must be +1 or −1, got {sorted(set(labels.tolist()))}")
    if not np.all(np.isfinite(rows.data)):
        raise ValueError("features must be finite")
    # In a cell that is stored twice, `weights[columns] += …` would lose one of the two.
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


def _fit(vocabulary: Vocabulary, weights: Float[np.ndarray, "vocabulary"]) -> None:
    if len(vocabulary) != len(weights):
        raise ValueError(f"got {len(vocabulary)} words and {len(weights)} weights")
