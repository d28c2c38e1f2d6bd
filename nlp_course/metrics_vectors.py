"""Two texts compared by the vectors of their tokens, so that a synonym is nearly right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from nlp_course.similarity import cosine_matrix


class Match(NamedTuple):
    """How near the tokens of two texts are, in cosines.

    precision : of the hypothesis's tokens to the reference's
    recall : of the reference's tokens to the hypothesis's
    f1 : their harmonic mean; 0 where precision or recall is not above 0
    """

    precision: float
    recall: float
    f1: float


def greedy_match(
    hypothesis: Float[np.ndarray, "token d"],
    reference: Float[np.ndarray, "other d"],
    *,
    weights: Float[np.ndarray, "_"] | None = None,
    reference_weights: Float[np.ndarray, "_"] | None = None,
) -> Match:
    """BERTScore: each token with the token of the other text that is nearest to it.

    precision = Σ_i w_i max_j cos(h_i, r_j) / Σ_i w_i
    recall    = Σ_j w_j max_i cos(h_i, r_j) / Σ_j w_j

    Any vectors will do: with one vector for each word it is a soft count of shared words, with an
    encoder's the same word in another sentence is another token. Cosines of different models have
    different ranges, so their scores cannot be compared.

    Parameters
    ----------
    hypothesis, reference : a vector for each token
    weights, reference_weights : how much each token counts, such as the inverse of its frequency;
        by default all count alike

    Raises
    ------
    ValueError : a text has no token, a vector is 0 or not finite, or weights are negative, not
        finite, all 0, or not one for each token.

    References
    ----------
    Zhang et al. 2020, BERTScore: Evaluating Text Generation with BERT.

    Examples
    --------
    >>> east, north = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    >>> greedy_match(np.array([east]), np.array([east, north]))
    Match(precision=1.0, recall=0.5, f1=0.666...)
    """
    if not len(hypothesis) or not len(reference):
        raise ValueError("a text without tokens matches nothing: give each at least one vector")
    cosines = cosine_matrix(hypothesis, reference)  # (token, other)
    precision = _mean(cosines.max(axis=1), weights)
    recall = _mean(cosines.max(axis=0), reference_weights)
    f1 = 0.0
    if precision > 0 and recall > 0:
        f1 = 2 * precision * recall / (precision + recall)
    return Match(precision, recall, f1)


def _mean(values: Float[np.ndarray, "_"], weights: Float[np.ndarray, "_"] | None) -> float:
    if weights is None:
        return float(values.mean())
    if len(weights) != len(values):
        raise ValueError(f"each token needs a weight, got {len(weights)} for {len(values)} tokens")
    if not np.isfinite(weights).all() or weights.min() < 0 or weights.sum() == 0:
        raise ValueError("weights must be finite, at least 0, and not all 0")
    return float(np.average(values, weights=weights))
