"""BART's five ways to spoil a text, which a model that has read the spoiled one is to write.

Each takes a text's ids and a generator, and gives ids. `noise` does several in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Int

from nlp_course.masking import check_rate

Noise: TypeAlias = Callable[
    [Int[np.ndarray, "before"], np.random.Generator], Int[np.ndarray, "after"]
]


def replace_tokens(
    ids: Int[np.ndarray, "token"], rng: np.random.Generator, mask: int, rate: float = 0.15
) -> Int[np.ndarray, "token"]:
    """Token masking: max(1, round(rate · n)) of n tokens, drawn at random, become [MASK].

    Raises
    ------
    ValueError : no tokens, or rate outside (0, 1).

    References
    ----------
    Lewis et al. 2020, BART: Denoising Sequence-to-Sequence Pre-training for Natural Language
    Generation, Translation, and Comprehension, section 2.2, for all five.

    Examples
    --------
    >>> replace_tokens(np.arange(8), np.random.default_rng(0), mask=99, rate=0.25)
    array([ 0,  1, 99,  3, 99,  5,  6,  7])
    """
    return np.where(_some(ids, rng, rate, most=len(ids)), mask, ids)


def delete_tokens(
    ids: Int[np.ndarray, "token"], rng: np.random.Generator, rate: float = 0.15
) -> Int[np.ndarray, "rest"]:
    """Token deletion: max(1, round(rate · n)) of n tokens vanish, and leave no sign where.

    One token stays in any case.

    Raises
    ------
    ValueError : no tokens, or rate outside (0, 1).

    Examples
    --------
    >>> delete_tokens(np.arange(8), np.random.default_rng(0), rate=0.25)
    array([0, 1, 3, 5, 6, 7])
    """
    return ids[~_some(ids, rng, rate, most=len(ids) - 1)]


def _some(
    ids: Int[np.ndarray, "token"], rng: np.random.Generator, rate: float, most: int
) -> Bool[np.ndarray, "token"]:
    """True at some of a text's tokens."""
    _check(ids)
    check_rate(rate)
    chosen = np.zeros(len(ids), dtype=bool)
    chosen[rng.permutation(len(ids))[: min(max(1, round(rate * len(ids))), most)]] = True
    return chosen


def _check(ids: Int[np.ndarray, "token"]) -> None:
    if not len(ids):
        raise ValueError("a text without tokens cannot be spoiled")


def infill(
    ids: Int[np.ndarray, "token"],
    rng: np.random.Generator,
    mask: int,
    rate: float = 0.3,
    mean_length: float | int = 3.0,
) -> Int[np.ndarray, "rest"]:
    """Text infilling: spans become one [MASK] each, however long they are.

    Lengths are drawn from a Poisson distribution until they sum to max(1, round(rate · n)); the
    last one is cut to fit. A span without tokens is a [MASK] that stands for nothing. Where the
    spans lie is drawn such that each order of spans and other tokens has the same probability.

    Parameters
    ----------
    mask : the id of [MASK]
    rate : share of the tokens that lie in spans
    mean_length : λ, the mean of the Poisson distribution, in tokens

    Raises
    ------
    ValueError : no tokens, rate outside (0, 1), or mean_length < 1.

    Examples
    --------
    >>> infill(np.arange(12), np.random.default_rng(1), mask=99)
    array([ 0, 99,  5,  6,  7,  8,  9, 10, 11])
    """
    _check(ids)
    check_rate(rate)
    if not mean_length >= 1:
        raise ValueError(f"mean_length must be at least 1, got {mean_length}")
    hidden = max(1, round(rate * len(ids)))
    sizes: list[int] = []
    missing = hidden
    while missing:
        sizes.append(min(int(rng.poisson(mean_length)), missing))
        missing -= sizes[-1]
    rng.shuffle(sizes)  # so that the one that was cut may be anywhere
    # Spans among the tokens that stay, in an order drawn at random.
    places = rng.permutation(len(ids) - hidden + len(sizes))[: len(sizes)]
    gaps = np.sort(places) - np.arange(len(sizes))  # tokens that stay before each span
    sign, pieces, at, passed = np.array([mask]), [], 0, 0
    for gap, size in zip(gaps.tolist(), sizes, strict=True):
        start = at + gap - passed
        pieces += [ids[at:start], sign]
        at, passed = start + size, gap
    return np.concatenate([*pieces, ids[at:]])


def permute_sentences(
    ids: Int[np.ndarray, "token"], rng: np.random.Generator, ends: Collection[int]
) -> Int[np.ndarray, "token"]:
    """Sentence permutation: the sentences of a text in random order.

    Parameters
    ----------
    ends : ids of the tokens that end a sentence, such as a full stop's; what stands after the last
        of them is a sentence, too

    Raises
    ------
    ValueError : no tokens, or no ends.

    Examples
    --------
    >>> permute_sentences(np.array([5, 6, 1, 7, 1, 8, 9]), np.random.default_rng(0), ends=[1])
    array([8, 9, 5, 6, 1, 7, 1])
    """
    _check(ids)
    if not len(ends):
        raise ValueError("ends must name at least one token that ends a sentence")
    after_end = (np.flatnonzero(np.isin(ids, list(ends))) + 1).tolist()
    sentences = [ids[left:right] for left, right in pairwise([0, *after_end, len(ids)])]
    return np.concatenate([sentences[place] for place in rng.permutation(len(sentences))])


def rotate(ids: Int[np.ndarray, "token"], rng: np.random.Generator) -> Int[np.ndarray, "token"]:
    """Document rotation: the text begins at a token drawn at random; what was before it follows.

    Raises
    ------
    ValueError : no tokens.

    Examples
    --------
    >>> rotate(np.arange(6), np.random.default_rng(0))
    array([5, 0, 1, 2, 3, 4])
    """
    _check(ids)
    return np.roll(ids, -int(rng.integers(len(ids))))


def noise(
    ids: Int[np.ndarray, "before"], rng: np.random.Generator, noises: Sequence[Noise]
) -> Int[np.ndarray, "after"]:
    """A text spoiled in several ways, one after the other.

    BART itself is trained on `permute_sentences` and `infill`.

    Parameters
    ----------
    noises : functions of ids and a generator, such as those above; `functools.partial` gives them
        the rest that they ask for

    Examples
    --------
    >>> from functools import partial
    >>> noises = [partial(permute_sentences, ends=[1]), partial(infill, mask=99)]
    >>> noise(np.array([5, 6, 1, 7, 8, 1]), np.random.default_rng(2), noises)
    array([ 5,  6, 99,  8,  1])
    """
    for one in noises:
        ids = one(ids, rng)
    return ids
