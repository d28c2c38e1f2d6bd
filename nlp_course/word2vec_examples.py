"""What word2vec trains on: pairs and contexts from a window, and how often each word takes part.

References
----------
Mikolov et al. 2013a, Efficient Estimation of Word Representations in Vector Space.
Mikolov et al. 2013b, Distributed Representations of Words and Phrases and their
Compositionality.
"""

import numpy as np
from jaxtyping import Float, Int, Real


def skipgram_pairs(tokens: Int[np.ndarray, "length"], window: int) -> Int[np.ndarray, "pairs two"]:
    """Pair every word with each word at most `window` places from it.

    Parameters
    ----------
    tokens : the ids of one sentence
    window : m, how many words to the left and to the right belong to a center word

    Returns
    -------
    Rows (center, outside), by the center's position, then from left to right. A sentence of one
    word has no pairs.

    Raises
    ------
    ValueError : window < 1.

    Examples
    --------
    "Hope can set you free" as 0 1 2 3 4:

    >>> skipgram_pairs(np.arange(5), window=1).tolist()
    [[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2], [3, 4], [4, 3]]
    """
    _check_window(window)
    offsets = np.concatenate([np.arange(-window, 0), np.arange(1, window + 1)])
    outside = np.arange(len(tokens))[:, None] + offsets  # (length, 2 window) positions
    inside = (outside >= 0) & (outside < len(tokens))
    center, _ = np.nonzero(inside)
    return np.stack([tokens[center], tokens[outside[inside]]], axis=1)  # (pairs, 2)


def cbow_examples(
    tokens: Int[np.ndarray, "length"], window: int
) -> list[tuple[Int[np.ndarray, "context"], int]]:
    """Pair every word with all the words at most `window` places from it, as one context.

    Parameters
    ----------
    tokens : the ids of one sentence
    window : m, how many words to the left and to the right make the context

    Returns
    -------
    (context ids from left to right, id of the word to predict), by position. A word alone in its
    sentence has no context and gives no example.

    Raises
    ------
    ValueError : window < 1.

    Examples
    --------
    >>> [(context.tolist(), target) for context, target in cbow_examples(np.arange(3), window=2)]
    [([1, 2], 0), ([0, 2], 1), ([0, 1], 2)]
    """
    _check_window(window)
    examples = []
    for position, target in enumerate(tokens.tolist()):
        left = tokens[max(0, position - window) : position]
        right = tokens[position + 1 : position + 1 + window]
        if len(left) + len(right) > 0:
            examples.append((np.concatenate([left, right]), target))
    return examples


def word_shares(counts: Real[np.ndarray, "vocabulary"]) -> Float[np.ndarray, "vocabulary"]:
    """U(w): counts as shares of their sum.

    Raises
    ------
    ValueError : a negative count, or no count above 0.
    """
    if counts.size == 0 or counts.min() < 0 or counts.sum() <= 0:
        raise ValueError("counts must hold no negative number and at least one above 0")
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def noise_distribution(
    counts: Real[np.ndarray, "vocabulary"], power: float = 0.75
) -> Float[np.ndarray, "vocabulary"]:
    """The distribution that negative words are drawn from.

    P(w) = U(w)^power / Z, where U(w) is the word's share of the corpus and Z = Σ_w U(w)^power

    Power 1 draws words as often as the corpus has them, 0 draws all alike; 3/4 lies between:
    rare words are drawn more often than they occur, frequent ones less.

    Parameters
    ----------
    counts : how often each word occurs
    power : the exponent, at least 0

    Returns
    -------
    Probabilities, which sum to 1.

    Raises
    ------
    ValueError : a negative count, no count above 0, or a negative power.

    References
    ----------
    Mikolov et al. 2013b, section 2.2.

    Examples
    --------
    >>> noise_distribution(np.array([16, 1])).round(3)
    array([0.889, 0.111])
    """
    if power < 0:
        raise ValueError(f"power must be at least 0, got {power}")
    weights = word_shares(counts) ** power
    return np.asarray(weights / weights.sum())


def keep_probability(
    counts: Real[np.ndarray, "vocabulary"], threshold: float = 1e-3
) -> Float[np.ndarray, "vocabulary"]:
    """The probability that an occurrence of a word survives subsampling.

    keep(w) = min(1, √(t / f(w)) + t / f(w)), where f(w) is the word's share of the corpus

    This is what word2vec's C program computes. The paper prints another rule: discard with
    probability 1 − √(t / f(w)), that is, keep with √(t / f(w)).

    Parameters
    ----------
    counts : how often each word occurs
    threshold : t; words with a share up to about 2.6 t are always kept

    Raises
    ------
    ValueError : a negative count, no count above 0, or a threshold of 0 or less.

    References
    ----------
    Mikolov et al. 2013b, section 2.3, eq. 5 for the printed rule.

    Examples
    --------
    A word that is 4 % of the corpus keeps √(0.01 / 0.04) + 0.01 / 0.04 of its occurrences:

    >>> keep_probability(np.array([96, 4]), threshold=0.01).round(3)
    array([0.112, 0.75 ])
    """
    if threshold <= 0:
        raise ValueError(f"threshold must be above 0, got {threshold}")
    shares = word_shares(counts)
    # A word that never occurs has nothing to discard: 1, whatever the ratio.
    ratio = np.divide(threshold, shares, out=np.ones_like(shares), where=shares > 0)
    return np.minimum(1.0, np.sqrt(ratio) + ratio)


def _check_window(window: int) -> None:
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
