"""How varied written texts are, and how far from people's: what quality alone does not see.

A model that writes one good sentence again and again loses nothing in quality. Measured here are
repetition within a text, sameness across texts, and the distance between two collections of texts;
a text is a sequence of tokens.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from nlp_course.metrics import bleu

WEIGHTS = 25  # points of a divergence frontier
SCALE = 5.0  # c, Pillutla et al.'s


def distinct_n(texts: Sequence[Sequence[Hashable]], n: int) -> float:
    """Share of the n-grams of all texts that are different ones: 1 if none comes twice.

    It falls as more text is looked at, so compare only collections of one size.

    Parameters
    ----------
    texts : tokens of each
    n : tokens of an n-gram

    Raises
    ------
    ValueError : n < 1, or no text has n tokens.

    References
    ----------
    Li et al. 2016, A Diversity-Promoting Objective Function for Neural Conversation Models.

    Examples
    --------
    >>> distinct_n([["a", "b", "a"], ["a", "b"]], 2)  # a b, b a, a b
    0.6666666666666666
    """
    found = [gram for text in texts for gram in _ngrams(text, n)]
    if not found:
        raise ValueError(f"no text has {n} tokens")
    return len(set(found)) / len(found)


def repetition(texts: Sequence[Sequence[Hashable]], n: int) -> float:
    """Share of a text's n-grams that it has had before, the mean over texts with n tokens.

    1 − distinct_n of a text alone; of English text and n = 4 it is about 0.01.

    Raises
    ------
    ValueError : as for `distinct_n`.

    References
    ----------
    Welleck et al. 2020, Neural Text Generation with Unlikelihood Training, section 6, seq-rep-n.

    Examples
    --------
    >>> repetition([["a", "b", "a", "b"], ["a", "b", "c"]], 2)  # of 3, one; of 2, none
    0.16666666666666669
    """
    long = [text for text in texts if len(text) >= n]
    if not long:
        raise ValueError(f"no text has {n} tokens")
    return float(np.mean([1 - distinct_n([text], n) for text in long]))


def self_bleu(texts: Sequence[Sequence[str]]) -> float:
    """BLEU of each text with all others as its references, in percent, the mean: 100 if all agree.

    Parameters
    ----------
    texts : tokens of each; the time grows with the square of their number

    Raises
    ------
    ValueError : fewer than 2 texts.

    References
    ----------
    Zhu et al. 2018, Texygen: A Benchmarking Platform for Text Generation Models.

    Examples
    --------
    >>> f"{self_bleu([['one', 'and', 'the', 'same']] * 3):.1f}"
    '100.0'
    """
    if len(texts) < 2:
        raise ValueError(f"a text is compared with others: give at least 2, got {len(texts)}")
    scores = []
    for place, text in enumerate(texts):
        others = [*texts[:place], *texts[place + 1 :]]
        scores.append(bleu([text], *([other] for other in others)).score)
    return float(np.mean(scores))


class Frontier(NamedTuple):
    """How far two distributions are from each other, whatever weight each kind of fault has.

    quality : exp(−c KL(Q | R_λ)); it begins at 0 if Q writes something that P never would
    variety : exp(−c KL(P | R_λ)); it ends at 0 if P writes something that Q never would
    area : under the curve; 1 if P = Q; if they share nothing, nearly 0 (0.004 for c = 5)
    """

    quality: Float[np.ndarray, "point"]
    variety: Float[np.ndarray, "point"]
    area: float


def divergence_frontier(
    p: Float[np.ndarray, "bin"], q: Float[np.ndarray, "same"], *, scale: float = SCALE
) -> Frontier:
    """The two kinds of error of Q against P, for all weights between them, and the area beneath.

    R_λ = λ P + (1 − λ) Q;  the curve is (exp(−c KL(Q | R_λ)), exp(−c KL(P | R_λ))) for λ in 0 … 1

    Parameters
    ----------
    p, q : probabilities, or counts, of the same bins: of people's texts, and of a model's
    scale : c

    Raises
    ------
    ValueError : other shapes, a number below 0 or not finite, one with no mass, or a scale that is
        not above 0.

    References
    ----------
    Pillutla et al. 2021, MAUVE: Measuring the Gap Between Neural Text and Human Text using
    Divergence Frontiers, eq. 2.

    Examples
    --------
    >>> half = np.array([0.5, 0.5, 0.0])
    >>> round(divergence_frontier(half, half).area, 3)
    1.0
    >>> round(divergence_frontier(half, np.array([0.0, 0.5, 0.5])).area, 3)
    0.093
    """
    if p.shape != q.shape:
        raise ValueError(f"p and q must have the same bins, got {p.shape} and {q.shape}")
    if not 0 < scale < np.inf:
        raise ValueError(f"scale must be above 0 and finite, got {scale}")
    for name, counts in (("p", p), ("q", q)):
        if not np.isfinite(counts).all() or (counts < 0).any() or not counts.any():
            raise ValueError(f"{name} must be finite, nowhere below 0, and somewhere above it")
    p, q = p / p.sum(), q / q.sum()
    # At both ends one of the two is infinite, or as good as: there the curve meets the axes.
    quality, variety = [0.0], [1.0]
    for weight in np.linspace(1 - 1e-6, 1e-6, WEIGHTS):
        mixture = weight * p + (1 - weight) * q
        quality.append(np.exp(-scale * _kl(q, mixture)))
        variety.append(np.exp(-scale * _kl(p, mixture)))
    quality.append(1.0)
    variety.append(0.0)
    x, y = np.array(quality), np.array(variety)
    return Frontier(x, y, float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum()))


def mauve(
    people: Float[np.ndarray, "text d"],
    model: Float[np.ndarray, "other e"],
    *,
    clusters: int,
    seed: int = 0,
) -> Frontier:
    """How far a model's texts are from people's, by vectors of texts: MAUVE, on a small scale.

    The vectors of both are put into bins by k-means, and the bins' counts compared by
    `divergence_frontier`.

    Parameters
    ----------
    people, model : a vector a text, all made in the same way; as many of one as of the other, and
        of texts of one length, since both move the result
    clusters : bins; the paper takes a tenth of the number of texts
    seed : of k-means

    Raises
    ------
    ValueError : vectors of different size, clusters below 2, or fewer texts than clusters.

    Notes
    -----
    Pillutla et al. take the last hidden vector of GPT-2 large, reduce it to the directions that
    hold 90 percent of the variance, and use 5,000 texts of each side and 500 clusters. Any other
    vectors give other numbers: compare only what was computed alike. With few texts a bin has few
    of either side by chance, so that even people's texts beside people's have less than 1.

    References
    ----------
    Pillutla et al. 2021, MAUVE: Measuring the Gap Between Neural Text and Human Text using
    Divergence Frontiers.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> vectors = rng.normal(size=(3, 400, 2)) + [[[0]], [[0]], [[3]]]
    >>> [round(mauve(vectors[0], other, clusters=10).area, 1) for other in vectors[1:]]
    [1.0, 0.0]
    """
    from sklearn.cluster import KMeans

    if people.shape[1] != model.shape[1]:
        raise ValueError(
            f"vectors of one size can be compared, got {people.shape[1]} and {model.shape[1]}"
        )
    if clusters < 2:
        raise ValueError(f"clusters must be at least 2, got {clusters}")
    if len(people) + len(model) < clusters:
        raise ValueError(f"{clusters} clusters need as many texts, got {len(people) + len(model)}")
    both = np.concatenate([people, model])
    labels = KMeans(clusters, n_init=5, random_state=seed).fit_predict(both)
    counts = [
        np.bincount(part, minlength=clusters).astype(np.float64)
        for part in (labels[: len(people)], labels[len(people) :])
    ]
    return divergence_frontier(counts[0], counts[1])


def _ngrams(tokens: Sequence[Hashable], n: int) -> list[tuple[Hashable, ...]]:
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    return [tuple(tokens[at : at + n]) for at in range(len(tokens) - n + 1)]


def _kl(p: Float[np.ndarray, "bin"], q: Float[np.ndarray, "bin"]) -> float:
    """KL(p | q), in nats, where q is above 0 wherever p is."""
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())
