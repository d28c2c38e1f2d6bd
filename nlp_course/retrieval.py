"""Finding texts: the inverted index, and what all ways to rank have in common.

`retrieval_scoring` scores documents by the words they share with a query, `retrieval_dense` learns
vectors of texts, `retrieval_vectors` searches these, and `retrieval_judging` says how well each
finds what is sought. A document is an array of word ids (`text.Vocabulary.encode_known`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from nlp_course.representations import bag_of_words


class Postings(NamedTuple):
    """The documents that have a word, by rising number, and how often each has it."""

    documents: Int[np.ndarray, "posting"]
    counts: Int[np.ndarray, "posting"]


class Hit(NamedTuple):
    """A document that was found, and its score."""

    document: int
    score: float


class InvertedIndex:
    """For each word, the documents that have it.

    The postings of all words stand in one array, those of word 0 first; `starts` says where those
    of each word begin. The index is as large as the documents' different words, added up.

    Parameters
    ----------
    documents : word ids of each; one without words is allowed, and is never found
    vocabulary_size : ids lie in 0 … vocabulary_size − 1

    Attributes
    ----------
    starts : (V + 1,), where each word's postings begin and end
    documents, counts : (posting,), a document, and how often it has the word
    lengths : (document,), words in each

    Raises
    ------
    ValueError : there is no document, none has a word, or an id outside 0 … V − 1.

    References
    ----------
    Manning, Raghavan and Schütze 2008, Introduction to Information Retrieval, chapter 1.

    Examples
    --------
    >>> index = InvertedIndex([np.array([0, 1, 0]), np.array([1, 2])], vocabulary_size=3)
    >>> index.postings(1).documents, index.postings(0).counts
    (array([0, 1]), array([2]))
    """

    def __init__(self, documents: Sequence[Int[np.ndarray, "_"]], vocabulary_size: int) -> None:
        bags = bag_of_words(documents, vocabulary_size)  # (document, V)
        if not bags.nnz:
            raise ValueError("the index would be empty: no document has a word")
        by_word = bags.tocsc()
        self.starts: Int[np.ndarray, "ends"] = by_word.indptr.astype(np.int64)
        self.documents: Int[np.ndarray, "posting"] = by_word.indices.astype(np.int64)
        self.counts: Int[np.ndarray, "posting"] = by_word.data.astype(np.int64)
        self.lengths: Int[np.ndarray, "document"] = np.array([len(one) for one in documents])

    def __len__(self) -> int:
        """How many documents there are: N."""
        return len(self.lengths)

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return len(self.starts) - 1

    @cached_property
    def document_frequency(self) -> Int[np.ndarray, "vocabulary"]:
        """In how many documents each word stands: the length of its postings."""
        return np.diff(self.starts)

    @property
    def average_length(self) -> float:
        """Words in a document, on average."""
        return float(self.lengths.mean())

    def postings(self, word: int) -> Postings:
        """The documents that have a word.

        Raises
        ------
        ValueError : the word is not one of the vocabulary.
        """
        self.check(np.array([word]))
        own = self.slice(word)
        return Postings(self.documents[own], self.counts[own])

    def slice(self, word: int) -> slice:
        """Where a word's postings stand in the arrays of all postings."""
        return slice(int(self.starts[word]), int(self.starts[word + 1]))

    def check(self, query: Int[np.ndarray, "_"]) -> None:
        """ValueError where a query has an id outside the vocabulary."""
        if len(query) and not 0 <= query.min() <= query.max() < self.vocabulary_size:
            raise ValueError(
                f"ids must lie in 0 … {self.vocabulary_size - 1}, got {query.min()} … "
                f"{query.max()}: leave unknown words out of a query (Vocabulary.encode_known)"
            )


def rank(scores: Float[np.ndarray, "document"], k: int) -> Int[np.ndarray, "rank"]:
    """The numbers of the k largest scores, largest first; of equal ones the smaller number first.

    Raises
    ------
    ValueError : k < 1, or a score is NaN.

    Examples
    --------
    >>> rank(np.array([0.5, 2.0, 2.0, 1.0]), k=3)
    array([1, 2, 3])
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if np.isnan(scores).any():
        raise ValueError("scores must be numbers: at least one is NaN")
    candidates = np.arange(len(scores))
    if k < len(scores):  # all that may be among the k, so that ties at the border stay in order
        border = np.partition(scores, len(scores) - k)[len(scores) - k]
        candidates = np.flatnonzero(scores >= border)
    return candidates[np.argsort(-scores[candidates], kind="stable")][:k]


def reciprocal_rank_fusion(
    rankings: Iterable[Sequence[int] | Int[np.ndarray, "_"]], constant: float | int = 60
) -> list[Hit]:
    """One ranking out of several, by ranks alone, so that scores of any scale can be joined.

    score(d) = Σ_i 1 / (constant + rank_i(d)), ranks from 1, over the rankings that have d

    Of equal scores, the document with the smaller number comes first.

    Parameters
    ----------
    rankings : document numbers, best first
    constant : how little the first places stand out; 60 is the paper's

    Raises
    ------
    ValueError : a constant that is negative, or a document that a ranking has twice.

    References
    ----------
    Cormack, Clarke and Büttcher 2009, Reciprocal Rank Fusion Outperforms Condorcet and Individual
    Rank Learning Methods.

    Examples
    --------
    >>> [hit.document for hit in reciprocal_rank_fusion([[3, 1, 2], [1, 4]])]
    [1, 3, 4, 2]
    """
    if not constant >= 0:
        raise ValueError(f"constant must be at least 0, got {constant}")
    totals: dict[int, float] = {}
    for ranking in rankings:
        documents = [int(document) for document in ranking]
        if len(set(documents)) < len(documents):
            raise ValueError("a ranking has a document twice: give each once, at its best place")
        for place, document in enumerate(documents, start=1):
            totals[document] = totals.get(document, 0.0) + 1 / (constant + place)
    best = sorted(totals, key=lambda document: (-totals[document], document))
    return [Hit(document, totals[document]) for document in best]
