"""How alike word vectors are, and whether people agree.

Similarity is the cosine throughout: the angle between vectors, whatever their lengths.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from nlp_course.text import UnknownWordError, Vocabulary

QUESTIONS_AT_ONCE = 256  # bounds the memory of analogies: questions × vocabulary scores


class Neighbour(NamedTuple):
    """A word, and the cosine of its vector with the one asked about."""

    word: str
    cosine: float


class RatingCorrelation(NamedTuple):
    """Spearman's ρ with people's ratings, over the pairs whose words both have a vector."""

    spearman: float
    used: int
    missing: tuple[tuple[str, str], ...]


class RatedPairs(NamedTuple):
    """Pairs of words whose words both have a vector, with their cosines and people's ratings."""

    pairs: tuple[tuple[str, str], ...]
    cosines: Float[np.ndarray, "pair"]
    ratings: Float[np.ndarray, "pair"]
    missing: tuple[tuple[str, str], ...]


class AnalogyAccuracy(NamedTuple):
    """The share of analogies answered right, among those whose four words have a vector."""

    accuracy: float
    correct: int
    used: int
    missing: tuple[tuple[str, str, str, str], ...]


class UnrestrictedAnswers(NamedTuple):
    """Shares of a, b, c, d and all other words among answers that may be a, b or c."""

    a: float
    b: float
    c: float
    d: float
    other: float
    used: int


def cosine(first: Float[np.ndarray, "d"], second: Float[np.ndarray, "d"]) -> float:
    """cos(u, v) = u·v / (‖u‖ ‖v‖), from −1 to 1.

    Raises
    ------
    ValueError : a vector is 0, so that it has no direction, or the lengths differ.

    Examples
    --------
    >>> round(cosine(np.array([1.0, 0.0]), np.array([1.0, 1.0])), 4)
    0.7071
    """
    return float(cosine_matrix(first[None], second[None])[0, 0])


def cosine_matrix(
    rows: Float[np.ndarray, "n d"], columns: Float[np.ndarray, "m d"]
) -> Float[np.ndarray, "n m"]:
    """The cosine of every row of one matrix with every row of another.

    Raises
    ------
    ValueError : a row is 0 or not finite, or the two do not share d.
    """
    if rows.shape[1] != columns.shape[1]:
        raise ValueError(f"the vectors differ in length: {rows.shape[1]} and {columns.shape[1]}")
    # Rounding would lead beyond ±1, where arccos ends.
    return np.clip(_unit(rows) @ _unit(columns).T, -1.0, 1.0)


def _unit(vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """The vectors at length 1."""
    if not np.all(np.isfinite(vectors)):
        raise ValueError("vectors must be finite: did training diverge?")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.all(norms > 0):
        raise ValueError(
            f"vector {int(np.argmin(norms))} is 0 everywhere and has no direction, so no cosine"
        )
    return np.asarray(vectors / norms)


@dataclass(frozen=True, eq=False)
class WordVectors:
    """A vector for each word of a vocabulary.

    A word outside the vocabulary has no vector, even where the vocabulary has an `unknown` word: to
    answer for that one instead would be to guess.

    Raises
    ------
    ValueError : the vectors and the words differ in number, or a vector is not finite.

    Examples
    --------
    >>> vocabulary = Vocabulary.from_sentences([["north", "east", "northeast"]])
    >>> vocabulary.words
    ('east', 'north', 'northeast')
    >>> vectors = WordVectors(vocabulary, np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    >>> [word for word, _ in vectors.neighbours("east")]
    ['northeast', 'north']
    """

    vocabulary: Vocabulary
    vectors: Float[np.ndarray, "vocabulary d"]

    def __post_init__(self) -> None:
        if len(self.vectors) != len(self.vocabulary):
            raise ValueError(
                f"each word needs one vector, got {len(self.vocabulary)} words and "
                f"{len(self.vectors)} vectors"
            )
        if not np.all(np.isfinite(self.vectors)):
            raise ValueError("vectors must be finite: did training diverge?")

    @cached_property
    def unit(self) -> Float[np.ndarray, "vocabulary d"]:
        """The vectors at length 1; one that is 0 everywhere stays so, at cosine 0 to all."""
        norms = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        return np.asarray(self.vectors / np.where(norms > 0, norms, 1.0))

    def vector(self, word: str) -> Float[np.ndarray, "d"]:
        """The vector of a word.

        Raises
        ------
        UnknownWordError : the vocabulary does not have it.
        """
        return np.asarray(self.vectors[self._id(word)])

    def similarity(self, first: str, second: str) -> float:
        """The cosine of two words' vectors.

        Raises
        ------
        UnknownWordError : the vocabulary does not have one of them.
        ValueError : the vector of one is 0 everywhere.
        """
        return cosine(self.vector(first), self.vector(second))

    def neighbours(self, word: str, k: int = 10) -> list[Neighbour]:
        """The k words of largest cosine with a word, itself excluded.

        Raises
        ------
        UnknownWordError : the vocabulary does not have it.
        ValueError : k < 1, or the vector of the word is 0 everywhere.
        """
        index = self._id(word)
        return self._nearest(self.unit[index], [index], k)

    def analogy(self, a: str, b: str, c: str, k: int = 1) -> list[Neighbour]:
        """What is to c as b is to a: the k words x of largest cos(x_b − x_a + x_c, x).

        The vectors are brought to length 1 first, and a, b and c are no answers.

        Raises
        ------
        UnknownWordError : the vocabulary does not have one of them.
        ValueError : k < 1, or x_b − x_a + x_c is 0 everywhere.

        References
        ----------
        Mikolov, Yih and Zweig 2013, Linguistic Regularities in Continuous Space Word
        Representations.
        """
        given = [self._id(word) for word in (a, b, c)]
        x_a, x_b, x_c = self.unit[given]
        return self._nearest(x_b - x_a + x_c, given, k)

    def _id(self, word: str) -> int:
        if word not in self.vocabulary:
            raise UnknownWordError(
                f"{word!r} is not among the {len(self.vocabulary)} words that have a vector; small "
                f"and capital letters differ. `vectors.vocabulary.words` lists them, "
                f"`{word!r} in vectors.vocabulary` asks."
            )
        return self.vocabulary.id(word)

    def _has_direction(self, word: str) -> bool:
        return word in self.vocabulary and bool(self.unit[self._id(word)].any())

    def _nearest(
        self, direction: Float[np.ndarray, "d"], excluded: list[int], k: int
    ) -> list[Neighbour]:
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        scores = self.unit @ _unit(direction[None])[0]  # (vocabulary,)
        scores[excluded] = -np.inf
        best = np.argsort(-scores, kind="stable")[: min(k, len(scores) - len(set(excluded)))]
        return [Neighbour(self.vocabulary.words[index], float(scores[index])) for index in best]


def rating_correlation(
    vectors: WordVectors, ratings: Iterable[tuple[str, str, float]]
) -> RatingCorrelation:
    """Whether the vectors find the same words alike as people do: Spearman's ρ of ranks.

    Words are looked up in lower case. A pair with an unknown word, or one whose vector is 0
    everywhere, is left out and listed, never guessed: compare vectors over the same pairs only.

    Parameters
    ----------
    ratings : (first word, second word, how alike people found them)

    Raises
    ------
    ValueError : fewer than three pairs are left, a rating is not finite, or all ratings or all
        cosines are the same, so that there are no ranks.

    References
    ----------
    Finkelstein et al. 2002, Placing Search in Context, for WordSim-353.
    """
    from scipy.stats import spearmanr

    rated = rated_pairs(vectors, ratings)
    if len(rated.pairs) < 3:
        raise ValueError(
            f"a correlation needs at least 3 pairs whose words are known, got {len(rated.pairs)} "
            f"({len(rated.missing)} have an unknown word)"
        )
    if np.ptp(rated.cosines) == 0 or np.ptp(rated.ratings) == 0:
        raise ValueError("a correlation needs ratings, and cosines, that are not all the same")
    return RatingCorrelation(
        float(spearmanr(rated.cosines, rated.ratings).statistic), len(rated.pairs), rated.missing
    )


def rated_pairs(vectors: WordVectors, ratings: Iterable[tuple[str, str, float]]) -> RatedPairs:
    """The pairs that `rating_correlation` compares, each with its cosine and its rating.

    Raises
    ------
    ValueError : a rating is not finite.
    """
    pairs, scores, missing = [], [], []
    for first, second, score in ratings:
        pair = first.lower(), second.lower()
        if not np.isfinite(score):
            raise ValueError(f"ratings must be finite, got {score} for {pair}")
        if all(vectors._has_direction(word) for word in pair):
            pairs.append(pair)
            scores.append(float(score))
        else:
            missing.append(pair)
    first_id, second_id = ([vectors._id(pair[side]) for pair in pairs] for side in (0, 1))
    cosines = (vectors.unit[first_id] * vectors.unit[second_id]).sum(axis=1)  # (pair,)
    return RatedPairs(tuple(pairs), np.clip(cosines, -1, 1), np.array(scores), tuple(missing))


def analogy_accuracy(vectors: WordVectors, analogies: Iterable[Sequence[str]]) -> AnalogyAccuracy:
    """How many analogies a : b :: c : d the vectors answer with d (see `WordVectors.analogy`).

    Parameters
    ----------
    analogies : the words a, b, c, d, looked up in lower case; what follows in a record is not read.
        Those with an unknown word, or one whose vector is 0 everywhere, are left out and listed.

    Raises
    ------
    ValueError : no analogy is left.
    """
    known, missing = _known_analogies(vectors, analogies)
    correct = 0
    for given, scores in _analogy_scores(vectors, known):
        np.put_along_axis(scores, given[:, :3], -np.inf, axis=1)
        correct += int((scores.argmax(axis=1) == given[:, 3]).sum())
    return AnalogyAccuracy(correct / len(known), correct, len(known), missing)


def accuracy_by_category(
    vectors: WordVectors, analogies: Iterable[Sequence[str]]
) -> dict[str, AnalogyAccuracy]:
    """`analogy_accuracy` of each category by itself, in the order in which categories come.

    Parameters
    ----------
    analogies : a, b, c, d and the category; one without a question of known words is left out

    Raises
    ------
    ValueError : a record has no category, or no analogy is left.
    """
    categories: dict[str, list[Sequence[str]]] = {}
    for record in analogies:
        if len(record) < 5:
            raise ValueError(f"a record needs a, b, c, d and a category, got {tuple(record)}")
        categories.setdefault(record[4], []).append(record)
    results = {
        category: analogy_accuracy(vectors, records)
        for category, records in categories.items()
        if any(_is_known(vectors, record) for record in records)
    }
    if not results:
        raise ValueError(f"none of {len(categories)} categories has a question of known words")
    return results


def unrestricted_answers(
    vectors: WordVectors, analogies: Iterable[Sequence[str]]
) -> UnrestrictedAnswers:
    """What the word nearest to x_b − x_a + x_c is when the three given words are not excluded.

    Raises
    ------
    ValueError : no analogy is left.

    References
    ----------
    Linzen 2016, Issues in Evaluating Semantic Spaces Using Word Analogies.
    """
    known, _ = _known_analogies(vectors, analogies)
    tally = np.zeros(5, dtype=np.int64)
    for given, scores in _analogy_scores(vectors, known):
        hit = given == scores.argmax(axis=1)[:, None]  # (question, 4)
        which = np.where(hit.any(axis=1), hit.argmax(axis=1), 4)
        tally += np.bincount(which, minlength=5)
    a, b, c, d, other = (tally / len(known)).tolist()
    return UnrestrictedAnswers(a, b, c, d, other, len(known))


def _is_known(vectors: WordVectors, record: Sequence[str]) -> bool:
    return all(vectors._has_direction(word.lower()) for word in record[:4])


def _known_analogies(
    vectors: WordVectors, analogies: Iterable[Sequence[str]]
) -> tuple[Int[np.ndarray, "question 4"], tuple[tuple[str, str, str, str], ...]]:
    """Ids of the analogies that can be asked, and the words of those that cannot."""
    known, missing = [], []
    for record in analogies:
        a, b, c, d = (word.lower() for word in record[:4])
        if _is_known(vectors, record):
            known.append([vectors.vocabulary.id(word) for word in (a, b, c, d)])
        else:
            missing.append((a, b, c, d))
    if not known:
        raise ValueError(f"none of the {len(missing)} analogies has all its words known")
    return np.array(known), tuple(missing)


def _analogy_scores(
    vectors: WordVectors, known: Int[np.ndarray, "question 4"]
) -> Iterator[tuple[Int[np.ndarray, "block 4"], Float[np.ndarray, "block vocabulary"]]]:
    """Ids of a block of questions, and each word's cosine up to a factor a question."""
    for start in range(0, len(known), QUESTIONS_AT_ONCE):
        given = known[start : start + QUESTIONS_AT_ONCE]
        x_a, x_b, x_c, _ = vectors.unit[given.T]  # each (block, d)
        yield given, (x_b - x_a + x_c) @ vectors.unit.T


def project(
    vectors: Float[np.ndarray, "n d"], dimensions: int = 2
) -> Float[np.ndarray, "n dimensions"]:
    """Principal components: the flat map on which the points spread most.

    Each axis is turned so that its entry of largest size is positive, so the same vectors always
    give the same map.

    Raises
    ------
    ValueError : dimensions is below 1 or above n or d.

    References
    ----------
    Pearson 1901, On Lines and Planes of Closest Fit to Systems of Points in Space.
    """
    from sklearn.decomposition import PCA

    if not 1 <= dimensions <= min(vectors.shape):
        raise ValueError(f"dimensions must lie in 1 … {min(vectors.shape)}, got {dimensions}")
    points = PCA(n_components=dimensions, svd_solver="full").fit_transform(vectors)
    largest = np.abs(points).argmax(axis=0)
    return np.asarray(points * np.where(points[largest, np.arange(dimensions)] < 0, -1.0, 1.0))
