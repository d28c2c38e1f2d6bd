"""What a model's probabilities are worth: bits a byte, and whether they say how often it is right.

Perplexity is `ngram.perplexity`, bits a character `causal_lm.bits_per_character`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

HOTTEST = 1000.0  # a temperature that makes any logits of use nearly uniform


class Reliability(NamedTuple):
    """How often predictions are right, by how sure they are.

    edges : of the bins, 0 … 1; a confidence on an edge is in the bin below it
    counts : predictions in each bin
    confidence : their mean confidence, NaN in an empty bin
    accuracy : share of them that is right, NaN in an empty bin
    error : expected calibration error, the mean of |accuracy − confidence| over predictions
    """

    edges: Float[np.ndarray, "bin_and_1"]
    counts: Int[np.ndarray, "bin"]
    confidence: Float[np.ndarray, "bin"]
    accuracy: Float[np.ndarray, "bin"]
    error: float


def bits_per_byte(nats: Float[np.ndarray, "token"], text: str) -> float:
    """The bits of a text over its bytes in UTF-8: comparable whatever the tokens are.

    Σ_t −log₂ p(x_t | x_1 … x_{t−1}) / bytes

    Parameters
    ----------
    nats : −log p of each token
    text : what these tokens spell

    Raises
    ------
    ValueError : the text is empty.

    Examples
    --------
    >>> bits_per_byte(np.log([4.0, 16.0]), "naïve")  # 2 + 4 bits; ï takes two bytes
    1.0
    """
    if not text:
        raise ValueError("an empty text has no bytes to share bits among")
    return float(nats.sum() / math.log(2) / len(text.encode()))


def reliability(
    confidence: Float[np.ndarray, "n"], correct: Bool[np.ndarray, "_"], bins: int = 10
) -> Reliability:
    """A reliability diagram's numbers: predictions in bins by confidence, and how many are right.

    error = Σ_b n_b / n · |accuracy_b − confidence_b|

    Of a calibrated model 70 % of the predictions that have probability 0.7 are right.

    Parameters
    ----------
    confidence : the probability that each prediction was given
    correct : whether it was right
    bins : of equal width

    Raises
    ------
    ValueError : no predictions, not one outcome for each, a confidence outside 0 … 1, bins < 1.

    References
    ----------
    Guo et al. 2017, On Calibration of Modern Neural Networks.

    Examples
    --------
    >>> diagram = reliability(np.array([0.9, 0.9, 0.9, 0.6]), np.array([True, True, False, True]))
    >>> round(diagram.error, 3)  # ¾ · |2/3 − 0.9| + ¼ · |1 − 0.6|
    0.275
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    if not len(confidence) or len(confidence) != len(correct):
        raise ValueError(
            "give at least one prediction and an outcome for each, got "
            f"{len(confidence)} and {len(correct)}"
        )
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("a confidence lies between 0 and 1")
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], confidence)
    counts = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, values, bins) for values in (confidence, correct.astype(float))]
    sure, right = (
        np.divide(total, counts, out=np.full(bins, np.nan), where=counts > 0) for total in sums
    )
    error = float(np.abs(sums[1] - sums[0]).sum() / len(confidence))
    return Reliability(edges, counts, sure, right, error)


def brier(probabilities: Float[np.ndarray, "n class"], labels: Int[np.ndarray, "_"]) -> float:
    """Brier score: squared distance of the probabilities from the outcome, 0 … 2, less is better.

    (1/n) Σ_i Σ_c (p_ic − [c is the label of i])²

    Unlike the calibration error it cannot be 0 for a model that always says how often each class
    comes: to be right counts, too.

    Raises
    ------
    ValueError : no predictions, not one label for each, a label that is no class, or rows that do
        not sum to 1.

    References
    ----------
    Brier 1950, Verification of Forecasts Expressed in Terms of Probability.

    Examples
    --------
    >>> round(brier(np.array([[0.75, 0.25]]), np.array([0])), 3)
    0.125
    """
    _check_labels(probabilities, labels)
    if probabilities.min() < 0 or not np.allclose(probabilities.sum(axis=1), 1, atol=1e-4):
        raise ValueError("each row of probabilities is at least 0 and sums to 1")
    outcome = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - outcome) ** 2).sum(axis=1).mean())


def fit_temperature(logits: Float[np.ndarray, "n class"], labels: Int[np.ndarray, "_"]) -> float:
    """The T for which softmax(logits / T) gives the labels the highest likelihood.

    One number, so that no prediction changes, only how sure it is. T > 1 says that the model was
    too sure. Fit it on examples that the model was not trained on.

    Raises
    ------
    ValueError : no predictions, not one label for each, a label that is no class, logits that are
        not finite, or every label has the largest logit, so that no T is the best.

    References
    ----------
    Guo et al. 2017, section 4.2.
    """
    _check_labels(logits, labels)
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite")
    own = logits[np.arange(len(labels)), labels]
    if (own >= logits.max(axis=1)).all():
        raise ValueError("every prediction is right, so no temperature is too low: give more data")

    def nats(log_temperature: float) -> float:
        scaled = log_softmax(logits / math.exp(log_temperature), axis=1)
        return float(-scaled[np.arange(len(labels)), labels].mean())

    bound = math.log(HOTTEST)
    best = minimize_scalar(nats, bounds=(-bound, bound), method="bounded", options={"xatol": 1e-6})
    return math.exp(best.x)


def _check_labels(rows: Float[np.ndarray, "n class"], labels: Int[np.ndarray, "_"]) -> None:
    if not len(rows) or len(rows) != len(labels):
        raise ValueError(
            f"give at least one prediction and a label for each, got {len(rows)} and {len(labels)}"
        )
    if labels.min() < 0 or labels.max() >= rows.shape[1]:
        raise ValueError(f"labels lie in 0 … {rows.shape[1] - 1}")
