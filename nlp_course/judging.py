"""How sure a judgement of word vectors is: bootstrap intervals, and a test of association.

A correlation over 300 pairs, or an F1 over 1000 sentences, would come out differently on other
pairs and sentences. The bootstrap asks how differently, by drawing from those there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from nlp_course.similarity import RatedPairs, WordVectors, cosine_matrix, rated_pairs

FEWEST_PAIRS = 10
MOST_PARTITIONS = 200_000  # so many ways to split the target words are all looked at
RESAMPLES_AT_ONCE = 100  # bounds the memory of the bootstrap

Statistic: TypeAlias = Callable[[Int[np.ndarray, "resample n"]], Float[np.ndarray, "resample"]]


class Interval(NamedTuple):
    """A statistic of the data there are, and the range it would mostly lie in on others."""

    estimate: float
    low: float
    high: float


class Association(NamedTuple):
    """How much nearer the words X are to A than to B, compared with the words Y.

    effect : d, in standard deviations
    p_value : share of all splits of X ∪ Y whose effect is at least as large
    exact : whether all splits were looked at, or only some drawn at random
    two_sided : share of all splits whose effect is at least as far from 0, whatever its sign
    """

    effect: float
    p_value: float
    exact: bool
    two_sided: float


def bootstrap(
    statistic: Statistic,
    n: int,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap: the range of a statistic over samples drawn from the sample.

    Each resample draws n of the n items with replacement; the interval holds the middle
    `confidence` of the statistic's values.

    Parameters
    ----------
    statistic : takes the numbers of the drawn items, (resample, n), and gives a value for each row
    n : how many items there are: pairs, sentences
    resamples : how many samples to draw
    confidence : between 0 and 1

    Raises
    ------
    ValueError : n < 2, resamples < 100, confidence is not between 0 and 1, or a resample has no
        value, because too few different items are in it.

    References
    ----------
    Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.

    Examples
    --------
    >>> heights = np.array([1.6, 1.7, 1.8, 1.9])
    >>> estimate, low, high = bootstrap(lambda drawn: heights[drawn].mean(axis=1), 4)
    >>> print(f"{estimate:.2f}, from {low:.2f} to {high:.2f}")
    1.75, from 1.65 to 1.85
    """
    if n < 2:
        raise ValueError(f"the bootstrap needs at least 2 items to draw from, got {n}")
    if resamples < 100:
        raise ValueError(f"resamples must be at least 100, got {resamples}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    rng = np.random.default_rng(seed)
    values = []
    for start in range(0, resamples, RESAMPLES_AT_ONCE):
        drawn = rng.integers(n, size=(min(RESAMPLES_AT_ONCE, resamples - start), n))
        values.append(statistic(drawn))
    distribution = np.concatenate(values)  # (resamples,)
    undefined = int((~np.isfinite(distribution)).sum())
    if undefined:
        raise ValueError(
            f"{undefined} of {resamples} resamples have no value: there are too few different items"
        )
    low, high = np.quantile(distribution, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(statistic(np.arange(n)[None])[0]), float(low), float(high))


def rating_interval(
    vectors: WordVectors,
    ratings: Iterable[tuple[str, str, float]],
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Spearman's ρ with people's ratings, as `similarity.rating_correlation`, and its interval.

    Pairs are drawn anew, with replacement; people's ratings of a pair are taken as they are.

    Raises
    ------
    ValueError : fewer than ten pairs have known words, a rating is not finite, all ratings or
        cosines are (nearly) the same, or a setting of `bootstrap` is out of range.
    """
    rated = _enough(rated_pairs(vectors, ratings))
    return bootstrap(
        lambda drawn: _spearman(rated.cosines, rated.ratings, drawn),
        len(rated.pairs),
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )


def rating_difference(
    first: WordVectors,
    second: WordVectors,
    ratings: Iterable[tuple[str, str, float]],
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """ρ of the first vectors minus ρ of the second, over the pairs both know, and its interval.

    The bootstrap is paired: both are judged on the same drawn pairs, so what makes a pair hard for
    both cancels, and the interval is narrower than that of two independent correlations.

    Raises
    ------
    ValueError : as in `rating_interval`.
    """
    records = list(ratings)
    missing = {*rated_pairs(first, records).missing, *rated_pairs(second, records).missing}
    shared = [record for record in records if (record[0].lower(), record[1].lower()) not in missing]
    one, two = (_enough(rated_pairs(vectors, shared)) for vectors in (first, second))
    return bootstrap(
        lambda drawn: (
            _spearman(one.cosines, one.ratings, drawn) - _spearman(two.cosines, two.ratings, drawn)
        ),
        len(shared),
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )


def _enough(rated: RatedPairs) -> RatedPairs:
    if len(rated.pairs) < FEWEST_PAIRS:
        raise ValueError(
            f"an interval needs at least {FEWEST_PAIRS} pairs whose words are known, got "
            f"{len(rated.pairs)}"
        )
    return rated


def _spearman(
    first: Float[np.ndarray, "n"],
    second: Float[np.ndarray, "n"],
    drawn: Int[np.ndarray, "resample n"],
) -> Float[np.ndarray, "resample"]:
    """Spearman's ρ of each row of drawn items: Pearson's correlation of their ranks."""
    ranks = [_ranks(values, drawn) for values in (first, second)]
    first_rank, second_rank = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    spread = np.sqrt((first_rank**2).sum(axis=1) * (second_rank**2).sum(axis=1))
    together = (first_rank * second_rank).sum(axis=1)
    return np.divide(together, spread, out=np.full(len(spread), np.nan), where=spread > 0)


def _ranks(
    values: Float[np.ndarray, "n"], drawn: Int[np.ndarray, "resample n"]
) -> Float[np.ndarray, "resample n"]:
    """The ranks of drawn items among those of their row, ties at their mean rank."""
    # Sorted once, not once a resample: after that a rank is a matter of counting.
    distinct, place = np.unique(values, return_inverse=True)
    places = place[drawn]  # (resample, n)
    rows = np.arange(len(drawn))[:, None] * len(distinct)
    tied = np.bincount((places + rows).ravel(), minlength=len(drawn) * len(distinct))
    tied = tied.reshape(len(drawn), len(distinct))  # how often each value was drawn
    return np.take_along_axis(tied.cumsum(axis=1) - (tied - 1) / 2, places, axis=1)


def word_association(
    vectors: WordVectors, words: Sequence[str], a: Sequence[str], b: Sequence[str]
) -> Float[np.ndarray, "word"]:
    """How much nearer each word is to the words of A than to those of B.

    s(w, A, B) = mean over a in A of cos(w, a) − mean over b in B of cos(w, b)

    Raises
    ------
    UnknownWordError : a word has no vector.
    ValueError : a list is empty, or a vector is 0 everywhere.
    """
    for name, group in (("words", words), ("a", a), ("b", b)):
        if not group:
            raise ValueError(f"{name} has no words")
    rows, to_a, to_b = (
        np.array([vectors.vector(word) for word in group]) for group in (words, a, b)
    )  # each (word, d)
    return np.asarray(cosine_matrix(rows, to_a).mean(axis=1) - cosine_matrix(rows, to_b).mean(1))


def weat(
    vectors: WordVectors,
    x: Sequence[str],
    y: Sequence[str],
    a: Sequence[str],
    b: Sequence[str],
    *,
    permutations: int = 10_000,
    seed: int = 0,
) -> Association:
    """Word Embedding Association Test: are the words X nearer to A, and Y nearer to B?

    d = (mean over x of s(x, A, B) − mean over y of s(y, A, B)) / standard deviation of s over X ∪ Y

    with s of `word_association` and the standard deviation that divides by |X| + |Y|, so that d
    lies in −2 … 2 where X and Y are equally many. The p-value asks how often a random split of
    X ∪ Y into parts as large as X and Y has at least this d, the given split counted. It is
    one-sided: an association the other way round gives it a value near 1, and only `two_sided`
    a small one. Where there are at most 200 000 splits, all are looked at.

    Parameters
    ----------
    x, y : target words, such as names of flowers and of insects
    a, b : attribute words, such as pleasant and unpleasant ones
    permutations : how many splits to draw where there are too many
    seed : of the drawn splits

    Raises
    ------
    UnknownWordError : a word has no vector.
    ValueError : a word stands in two sets or twice in one, X or Y has fewer than two words, A or B
        none, permutations < 1, a vector is 0 everywhere, or all s are the same.

    References
    ----------
    Caliskan, Bryson and Narayanan 2017, Semantics Derived Automatically from Language Corpora
    Contain Human-Like Biases.
    """
    _check_sets(x=x, y=y, a=a, b=b)
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    s = word_association(vectors, [*x, *y], a, b)  # (x_and_y,)
    spread = s.std()
    # Rounding alone leaves a spread in words that associate alike.
    if spread < 1e-12:
        raise ValueError("all words of x and y associate alike with a and b: there is no effect")
    size, total = len(x), len(s)
    observed = s[:size].mean() - s[size:].mean()
    exact = comb(total, size) <= MOST_PARTITIONS
    if exact:
        chosen = np.array(list(combinations(range(total), size)))  # (split, x)
    else:
        rng = np.random.default_rng(seed)
        order = rng.permuted(np.tile(np.arange(total), (permutations, 1)), axis=1)
        chosen = order[:, :size]  # (split, x)
    sums = s[chosen].sum(axis=1)  # (split,)
    differences = sums / size - (s.sum() - sums) / (total - size)
    # The same words summed in another order differ by rounding, and must count as the same split.
    slack = 1e-9 * spread
    # Of all splits the given one is one; of drawn ones it need not be, and is added.
    counted = 0 if exact else 1
    p_value, two_sided = (
        float((reached.sum() + counted) / (len(chosen) + counted))
        for reached in (
            differences >= observed - slack,
            np.abs(differences) >= abs(observed) - slack,
        )
    )
    return Association(float(observed / spread), p_value, exact, two_sided)


def _check_sets(**sets: Sequence[str]) -> None:
    place: dict[str, str] = {}
    for name, words in sets.items():
        fewest = 2 if name in "xy" else 1
        if len(words) < fewest:
            raise ValueError(f"{name} needs at least {fewest} words, got {len(words)}")
        for word in words:
            if word in place:
                raise ValueError(f"{word!r} stands in {place[word]} and in {name}: leave one out")
            place[word] = name
