"""Laws of word counts: how frequencies fall with rank (Zipf), how a vocabulary grows (Heaps).

Both are power laws, y = c x^b, straight lines on two logarithmic axes. They are regularities that
are nearly true, so a fit says here how far it is off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real


class PowerLaw(NamedTuple):
    """y = constant · x^exponent.

    `factor` is by how much the points typically lie off the line: the exponential of the root mean
    square of log y − log ŷ, so that 1.1 means about 10 % and 1 means nothing at all.
    """

    constant: float
    exponent: float
    factor: float

    def predict(self, x: Real[np.ndarray, "point"]) -> Float[np.ndarray, "point"]:
        """The law's y at each x > 0."""
        return self.constant * np.asarray(x, dtype=np.float64) ** self.exponent


def fit_power_law(x: Real[np.ndarray, "point"], y: Real[np.ndarray, "_"]) -> PowerLaw:
    """The straight line through (log x, log y) with the least squared error.

    Every point weighs the same: give points that are evenly spaced in log x (`log_spaced`), or
    the thousands of points at the far end decide alone.

    Raises
    ------
    ValueError : fewer than two different x, a value that is not positive, or x and y that differ
        in number.

    Examples
    --------
    >>> fit = fit_power_law(np.array([1, 2, 4]), np.array([12, 6, 3]))
    >>> round(fit.constant, 6), round(fit.exponent, 6), round(fit.factor, 6)
    (12.0, -1.0, 1.0)
    """
    if len(x) != len(y):
        raise ValueError(f"each x needs a y, got {len(x)} and {len(y)}")
    if not ((x > 0).all() and (y > 0).all()):
        raise ValueError("a power law is fitted to logarithms: all values must be above 0")
    if len(np.unique(x)) < 2:
        raise ValueError(f"a line needs two different x, got {len(np.unique(x))}")
    log_x, log_y = np.log(x), np.log(y)  # (point,)
    centred = log_x - log_x.mean()
    slope = float(centred @ log_y / (centred @ centred))
    intercept = float(log_y.mean() - slope * log_x.mean())
    errors = log_y - (intercept + slope * log_x)  # (point,)
    return PowerLaw(float(np.exp(intercept)), slope, float(np.exp(np.sqrt(np.mean(errors**2)))))


def log_spaced(first: int, last: int, points: int = 50) -> Int[np.ndarray, "point"]:
    """Whole numbers from `first` to `last`, about evenly spaced in the logarithm, none twice.

    There are fewer than `points` where small numbers lie too near to one another.

    Raises
    ------
    ValueError : not 1 ≤ first < last, or points < 2.

    Examples
    --------
    >>> log_spaced(1, 100, 5).tolist()
    [1, 3, 10, 32, 100]
    """
    if not 1 <= first < last:
        raise ValueError(f"first must be at least 1 and below last, got {first} and {last}")
    if points < 2:
        raise ValueError(f"points must be at least 2, got {points}")
    return np.unique(np.geomspace(first, last, points).round().astype(np.int64))


def rank_frequency(tokens: Iterable[str]) -> Int[np.ndarray, "vocabulary"]:
    """Count of the most frequent word, of the second, and so on: rank r is at index r − 1.

    Raises
    ------
    ValueError : there is no token.

    References
    ----------
    Zipf 1949, Human Behavior and the Principle of Least Effort: count ≈ c · rank^−α, α near 1.

    Examples
    --------
    >>> rank_frequency("a rose is a rose".split()).tolist()
    [2, 2, 1]
    """
    counts = np.sort(np.fromiter(Counter(tokens).values(), dtype=np.int64))[::-1]
    if not len(counts):
        raise ValueError("there is no token to count")
    return counts


def vocabulary_growth(
    tokens: Sequence[str], lengths: Int[np.ndarray, "point"]
) -> Int[np.ndarray, "point"]:
    """How many different words the first n tokens have, for each n of `lengths`.

    Raises
    ------
    ValueError : a length is below 0 or larger than the text.

    References
    ----------
    Heaps 1978, Information Retrieval; Herdan 1960: V ≈ k · n^β, β between 0.4 and 0.8.

    Examples
    --------
    >>> vocabulary_growth("a rose is a rose".split(), np.array([0, 2, 5])).tolist()
    [0, 2, 3]
    """
    if len(lengths) and not (lengths.min() >= 0 and lengths.max() <= len(tokens)):
        raise ValueError(
            f"lengths must lie in 0 … {len(tokens)}, the text's own, got {lengths.min()} … "
            f"{lengths.max()}"
        )
    first: dict[str, int] = {}
    for position, token in enumerate(tokens):
        first.setdefault(token, position)
    # A dict keeps the order in which its keys came, so the positions rise.
    seen_at = np.fromiter(first.values(), dtype=np.int64)  # (vocabulary,)
    return np.searchsorted(seen_at, lengths, side="left").astype(np.int64)
