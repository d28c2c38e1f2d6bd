"""Judges: how far two agree beyond chance, and a ranking from who was preferred to whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.sparse.csgraph import connected_components


class Agreement(NamedTuple):
    """How far two judges agree.

    kappa : 1 is full agreement, 0 what chance would give, below 0 is less than that
    observed : share of the items they agree on; with weights, partly right counts in part
    expected : the same for judges with these habits who look at nothing
    """

    kappa: float
    observed: float
    expected: float


def cohen_kappa(
    first: Sequence[str] | Sequence[int],
    second: Sequence[str] | Sequence[int],
    weights: str | None = None,
) -> Agreement:
    """Cohen's κ: the agreement of two judges, with that of chance taken off.

    κ = (p_o − p_e) / (1 − p_e)

    p_o is the share of items on which they agree; p_e = Σ_c p_first(c) · p_second(c) what would
    come out if each kept to how often they give each label and drew at random.

    Parameters
    ----------
    first, second : their labels of the same items
    weights : for grades, from the least to the largest: how a difference counts. "linear" is as its
        size in places, "quadratic" as its square; by default all differences are alike

    Raises
    ------
    ValueError : no items, not a label of each judge for each, or both always give the same one
        label: then chance agrees as well, and κ is 0/0.

    References
    ----------
    Cohen 1960, A Coefficient of Agreement for Nominal Scales; 1968, Weighted Kappa.

    Examples
    --------
    >>> agreement = cohen_kappa("yes yes no no".split(), "yes no no no".split())
    >>> agreement
    Agreement(kappa=0.5, observed=0.75, expected=0.5)
    """
    if not len(first) or len(first) != len(second):
        raise ValueError(
            f"each item needs a label of both judges, got {len(first)} and {len(second)} labels"
        )
    if weights not in (None, "linear", "quadratic"):
        raise ValueError(f'weights are None, "linear" or "quadratic", got {weights!r}')
    labels, places = np.unique(np.array([*first, *second]), return_inverse=True)
    size = len(labels)
    if size == 1:
        raise ValueError(f"both judges always say {labels[0]!s}: κ is 0/0, give other items")
    together = np.zeros((size, size))
    np.add.at(together, (places[: len(first)], places[len(first) :]), 1 / len(first))
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) / (size - 1)
    cost = {None: (apart > 0).astype(float), "linear": apart, "quadratic": apart**2}[weights]
    chance = np.outer(together.sum(axis=1), together.sum(axis=0))
    observed, expected = (float(1 - (cost * table).sum()) for table in (together, chance))
    return Agreement((observed - expected) / (1 - expected), observed, expected)


def bradley_terry(wins: Int[np.ndarray, "system other"]) -> Float[np.ndarray, "system"]:
    """Strengths θ of systems from comparisons: P(i preferred to j) = σ(θ_i − θ_j).

    The strengths of maximum likelihood, by Zermelo's iteration; their mean is 0. In units of an Elo
    rating they are 400 / log 10 ≈ 174 times as large.

    Parameters
    ----------
    wins : wins[i, j] is how often i was preferred to j; the diagonal is 0

    Raises
    ------
    ValueError : fewer than two systems, a negative number, wins of a system against itself, or
        systems that fall into two groups of which one never lost to the other: then the strengths
        that fit best are infinitely far apart.

    References
    ----------
    Zermelo 1929; Bradley and Terry 1952, Rank Analysis of Incomplete Block Designs; Hunter 2004, MM
    Algorithms for Generalized Bradley–Terry Models.

    Examples
    --------
    >>> strengths = bradley_terry(np.array([[0, 3], [1, 0]]))
    >>> print(f"{1 / (1 + np.exp(strengths[1] - strengths[0])):.2f}")  # 3 of 4
    0.75
    """
    if len(wins) != wins.shape[1] or len(wins) < 2:
        raise ValueError(f"wins is a square of at least 2 systems, got {wins.shape}")
    if wins.min() < 0 or np.diag(wins).any():
        raise ValueError("wins are at least 0, and no system is compared with itself")
    groups, group = connected_components(sparse.csr_array(wins > 0), connection="strong")
    if groups > 1:
        raise ValueError(
            f"systems {np.flatnonzero(group == group[0]).tolist()} and the others never both won "
            "and lost against each other: strengths would be infinite, so compare more"
        )
    played = wins + wins.T
    strength = np.ones(len(wins))
    for _ in range(100_000):
        pairs = played / np.add.outer(strength, strength)
        new = wins.sum(axis=1) / pairs.sum(axis=1)
        new /= np.exp(np.log(new).mean())
        moved = np.abs(np.log(new / strength)).max()
        strength = new
        if moved < 1e-12:
            break
    return np.asarray(np.log(strength))
