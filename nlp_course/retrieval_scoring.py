"""Ranking documents by the words of a query: TF-IDF and BM25, from an inverted index.

A query is an array of word ids; a word that stands in it twice counts twice. It is answered from
the postings of its own words, and no other word is looked at.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from nlp_course.representations import (
    Frequency,
    Rarity,
    inverse_document_frequency,
    term_frequency,
)
from nlp_course.retrieval import Hit, InvertedIndex, rank

BM25Rarity = Literal["lucene", "robertson", "plain"]


class WeighedWords(NamedTuple):
    """The different words of a query, by rising id, and what each is worth."""

    words: Int[np.ndarray, "word"]
    weights: Float[np.ndarray, "word"]


class Scorer(ABC):
    """Scores that are sums over a query's words: `BM25` and `TfIdf` say of what.

    score(q, D) = Σ_{t ∈ q} weight(t, q) · weight(t, D)

    A posting has a weight, which does not depend on the query and is computed once. A document
    without a word of the query is at 0, and is not found.
    """

    index: InvertedIndex

    @property
    @abstractmethod
    def weights(self) -> Float[np.ndarray, "posting"]:
        """What each posting is worth, in the index's order."""

    @abstractmethod
    def query_vector(self, query: Int[np.ndarray, "_"]) -> WeighedWords:
        """The different words of a query, by rising id, and what each is worth."""

    def scores(self, query: Int[np.ndarray, "_"]) -> Float[np.ndarray, "document"]:
        """The score of every document, term at a time; 0 throughout for a query without words.

        Raises
        ------
        ValueError : an id outside the vocabulary.
        """
        return self._add_up(query)[0]

    def search(self, query: Int[np.ndarray, "_"], k: int = 10) -> list[Hit]:
        """The k best of the documents that have a word of the query; fewer where fewer have one.

        Of equal scores, the document with the smaller number comes first. A query without words
        finds nothing.

        Raises
        ------
        ValueError : k < 1, or an id outside the vocabulary.
        """
        scores, reached = self._add_up(query)
        candidates = np.flatnonzero(reached)
        best = candidates[rank(scores[candidates], k)]
        return [Hit(int(document), float(scores[document])) for document in best]

    def score_matrix(
        self, queries: Sequence[Int[np.ndarray, "_"]]
    ) -> Float[np.ndarray, "query document"]:
        """The scores of many queries: a sparse matrix of queries times that of postings.

        Raises
        ------
        ValueError : there is no query, or an id outside the vocabulary.
        """
        if not len(queries):
            raise ValueError("there is no query")
        vectors = [self._checked(query) for query in queries]
        ends = np.cumsum([0, *(len(vector.words) for vector in vectors)])
        rows = sparse.csr_array(
            (
                np.concatenate([vector.weights for vector in vectors]),
                np.concatenate([vector.words for vector in vectors]),
                ends,
            ),
            shape=(len(queries), self.index.vocabulary_size),
        )
        columns = sparse.csr_array(
            (self.weights, self.index.documents, self.index.starts),
            shape=(self.index.vocabulary_size, len(self.index)),
        )
        return (rows @ columns).toarray()

    def contributions(
        self, query: Int[np.ndarray, "word"], document: int
    ) -> Float[np.ndarray, "word"]:
        """What each word of a query adds to a document's score; repeated words share their part.

        Raises
        ------
        ValueError : an id outside the vocabulary, or no such document.
        """
        if not 0 <= document < len(self.index):
            raise ValueError(f"documents are 0 … {len(self.index) - 1}, got {document}")
        words, weights = self._checked(query)
        parts = np.zeros(len(words))
        for place, (word, weight) in enumerate(zip(words.tolist(), weights.tolist(), strict=True)):
            own = self.index.slice(word)
            parts[place] = weight * self.weights[own][self.index.documents[own] == document].sum()
        places = np.searchsorted(words, query)
        return (parts / np.bincount(places, minlength=len(words)))[places]

    def _checked(self, query: Int[np.ndarray, "_"]) -> WeighedWords:
        self.index.check(query)
        return self.query_vector(query)

    def _add_up(
        self, query: Int[np.ndarray, "_"]
    ) -> tuple[Float[np.ndarray, "document"], Int[np.ndarray, "document"]]:
        """The scores, and how many different words of the query each document has."""
        words, weights = self._checked(query)
        scores = np.zeros(len(self.index))
        reached = np.zeros(len(self.index), dtype=np.int64)
        for word, weight in zip(words.tolist(), weights.tolist(), strict=True):
            own = self.index.slice(word)
            # A document stands in a word's postings once, so none is added to twice.
            scores[self.index.documents[own]] += weight * self.weights[own]
            reached[self.index.documents[own]] += 1
        return scores, reached


@dataclass(frozen=True, eq=False)
class BM25(Scorer):
    """Okapi BM25: rare words count more, repeated words less and less, long documents less.

    weight(t, D) = IDF(t) · tf / (tf + k1 (1 − b + b |D| / L))

    tf is how often t stands in D, |D| the words of D, L their average over the documents. The
    fraction is at most 1, however often the word comes. Many write k1 + 1 above the line, which
    multiplies all scores by one number and changes no ranking.

    Parameters
    ----------
    index : with its N documents, df(t) of which have t
    k1 : how slowly repetitions stop to count; 0 looks only at whether the word is there
    b : how far a document's length is held against it: 0 not at all, 1 in full
    rarity : IDF, one of three
        "lucene":    log(1 + (N − df + ½) / (df + ½)), never negative
        "robertson": log((N − df + ½) / (df + ½)), negative for a word of most documents
        "plain":     log(N / df)

    Raises
    ------
    ValueError : k1 is negative or not finite, b is outside 0 … 1, or the rarity is unknown.

    References
    ----------
    Robertson and Zaragoza 2009, The Probabilistic Relevance Framework: BM25 and Beyond, eq. 3.15.
    Kamphuis et al. 2020, Which BM25 Do You Mean?, for the variants.

    Examples
    --------
    >>> index = InvertedIndex([np.array([0, 1, 1]), np.array([1, 2]), np.array([2])], 3)
    >>> [hit.document for hit in BM25(index).search(np.array([1]))]
    [0, 1]
    """

    index: InvertedIndex
    k1: float | int = 1.2
    b: float | int = 0.75
    rarity: BM25Rarity = "lucene"

    def __post_init__(self) -> None:
        if not 0 <= self.k1 < np.inf:
            raise ValueError(f"k1 must be at least 0 and finite, got {self.k1}")
        if not 0 <= self.b <= 1:
            raise ValueError(f"b must lie in 0 … 1, got {self.b}")
        if self.rarity not in ("lucene", "robertson", "plain"):
            raise ValueError(f"rarity must be lucene, robertson or plain, got {self.rarity!r}")

    @cached_property
    def idf(self) -> Float[np.ndarray, "vocabulary"]:
        """IDF of each word; 0 for one that no document has, since it has no postings."""
        total, df = len(self.index), self.index.document_frequency
        with np.errstate(divide="ignore"):
            odds = (total - df + 0.5) / (df + 0.5)
            values = {
                "lucene": np.log1p(odds),
                "robertson": np.log(odds),
                "plain": np.log(total / df),
            }[self.rarity]
        return np.where(df > 0, values, 0.0)

    @cached_property
    def weights(self) -> Float[np.ndarray, "posting"]:
        """IDF(t) · tf / (tf + k1 (1 − b + b |D| / L)) of each posting."""
        index = self.index
        relative = index.lengths[index.documents] / index.average_length  # (posting,)
        saturated = index.counts / (index.counts + self.k1 * (1 - self.b + self.b * relative))
        return np.repeat(self.idf, index.document_frequency) * saturated

    def query_vector(self, query: Int[np.ndarray, "_"]) -> WeighedWords:
        """The different words of a query, and how often each stands there."""
        words, counts = np.unique(query, return_counts=True)
        return WeighedWords(words, counts.astype(np.float64))


@dataclass(frozen=True, eq=False)
class TfIdf(Scorer):
    """The cosine of TF-IDF vectors, from the postings: what `representations.cosines` gives.

    weight(t, D) = TF(t, D) · IDF(t) / ‖D‖, and the same for the query

    Parameters
    ----------
    index : the documents' words
    frequency : TF, see `term_frequency` of `representations`; "share" is "count" once divided by
        the length
    rarity : IDF, see `inverse_document_frequency` there

    Raises
    ------
    ValueError : as for the two.

    References
    ----------
    Salton and Buckley 1988, Term-Weighting Approaches in Automatic Text Retrieval.
    """

    index: InvertedIndex
    frequency: Frequency = "log"
    rarity: Rarity = "smooth"

    @cached_property
    def idf(self) -> Float[np.ndarray, "vocabulary"]:
        """IDF of each word."""
        return inverse_document_frequency(self._counts, self.rarity)

    @cached_property
    def weights(self) -> Float[np.ndarray, "posting"]:
        """TF(t, D) · IDF(t) / ‖D‖ of each posting."""
        by_word = term_frequency(self._counts, self.frequency).tocsc()
        values = by_word.data * np.repeat(self.idf, self.index.document_frequency)
        norms = np.sqrt(np.bincount(self.index.documents, values**2, len(self.index)))
        return values / np.where(norms > 0, norms, 1.0)[self.index.documents]

    def query_vector(self, query: Int[np.ndarray, "_"]) -> WeighedWords:
        """The different words of a query, and TF(t, q) · IDF(t) / ‖q‖ of each."""
        words, counts = np.unique(query, return_counts=True)
        values = (1 + np.log(counts) if self.frequency == "log" else counts) * self.idf[words]
        norm = np.linalg.norm(values)
        return WeighedWords(words, np.asarray(values / norm if norm > 0 else values))

    @property
    def _counts(self) -> sparse.csr_array:
        index = self.index
        return sparse.csc_array(
            (index.counts, index.documents, index.starts),
            shape=(len(index), index.vocabulary_size),
        ).tocsr()
