"""Texts as vectors without learning: one-hot words, bags of words, TF-IDF, features made by hand.

A document is an array of word ids (`nlp_course.text.Vocabulary.encode_known`), and becomes a row of
a sparse matrix with a column for each word of the vocabulary. A document without a known word is a
row of zeros throughout, at cosine 0 to every other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from nlp_course.text import ngrams

Frequency = Literal["count", "share", "log"]
Rarity = Literal["notes", "plain", "plain+1", "smooth"]
Counts = Any  # a scipy.sparse array or a NumPy array of two axes


class FeatureTable(NamedTuple):
    """Words, the names of their features, and a value for each pair."""

    words: tuple[str, ...]
    features: tuple[str, ...]
    values: Float[np.ndarray, "word feature"]


def one_hot(ids: Int[np.ndarray, "token"], vocabulary_size: int) -> sparse.csr_array:
    """A row for each token, with a single 1 in the column of its word.

    e_i[j] = [i = j], so e_i·e_j = [i = j] and ‖e_i − e_j‖ = √2 for i ≠ j

    Returns
    -------
    (token, V)

    Raises
    ------
    ValueError : an id outside 0 … V − 1.

    Examples
    --------
    >>> one_hot(np.array([2, 0]), 3).toarray()
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    return _rows(ids, np.ones(len(ids), dtype=np.int64), vocabulary_size)


def bag_of_words(
    documents: Sequence[Int[np.ndarray, "_"]], vocabulary_size: int
) -> sparse.csr_array:
    """How often each word stands in each document: the sum of its tokens' one-hot vectors.

    Returns
    -------
    (document, V); an empty document is a row of zeros.

    Raises
    ------
    ValueError : there is no document, or an id outside 0 … V − 1.

    Examples
    --------
    >>> bag_of_words([np.array([0, 1, 0]), np.array([], dtype=int)], 3).toarray()
    array([[2., 1., 0.],
           [0., 0., 0.]])
    """
    if len(documents) == 0:
        raise ValueError("the corpus is empty: give at least one document")
    tokens = np.concatenate([np.array([], dtype=np.int64), *documents])
    return _rows(tokens, np.array([len(document) for document in documents]), vocabulary_size)


def k_hot(documents: Sequence[Int[np.ndarray, "_"]], vocabulary_size: int) -> sparse.csr_array:
    """Which words stand in each document, however often: a row has k ones for k different words.

    Returns
    -------
    (document, V); an empty document is a row of zeros.

    Raises
    ------
    ValueError : there is no document, or an id outside 0 … V − 1.

    Examples
    --------
    >>> k_hot([np.array([0, 1, 0])], 3).toarray()
    array([[1., 1., 0.]])
    """
    bags = bag_of_words(documents, vocabulary_size)
    bags.data[:] = 1.0
    return bags


def _rows(
    tokens: Int[np.ndarray, "token"], lengths: Int[np.ndarray, "document"], vocabulary_size: int
) -> sparse.csr_array:
    """Tokens, one document after the other, as a row of counts for each document."""
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < vocabulary_size:
        raise ValueError(
            f"ids must lie in 0 … {vocabulary_size - 1}, got {tokens.min()} … {tokens.max()}"
        )
    # Narrow indices: scikit-learn's linear solvers refuse sparse matrices with 64-bit ones.
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    rows = sparse.csr_array(
        (np.ones(len(tokens)), tokens.astype(np.int32), ends),
        shape=(len(lengths), vocabulary_size),
    )
    rows.sum_duplicates()
    return rows


def up_to_ngrams(tokens: Sequence[str], n: int = 2) -> list[str]:
    """The words, the pairs of neighbours, … the runs of n, to be counted as words are.

    Raises
    ------
    ValueError : n < 1.

    Examples
    --------
    >>> up_to_ngrams(["not", "bad", "at"])
    ['not', 'bad', 'at', 'not bad', 'bad at']
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    return [" ".join(run) for length in range(1, n + 1) for run in ngrams(tokens, length)]


def document_frequency(counts: Counts) -> Int[np.ndarray, "vocabulary"]:
    """In how many documents each word stands.

    Raises
    ------
    ValueError : there is no document, or a count is negative or not finite.
    """
    matrix = _counts(counts)
    return np.bincount(matrix.indices, minlength=matrix.shape[1])


def inverse_document_frequency(
    counts: Counts, rarity: Rarity = "smooth"
) -> Float[np.ndarray, "vocabulary"]:
    """How telling each word is, by the number of documents that have it.

    "notes":   log(N / (1 + df)), negative for a word that every document has
    "plain":   log(N / df), 0 for such a word
    "plain+1": log(N / df) + 1, scikit-learn's smooth_idf=False
    "smooth":  log((1 + N) / (1 + df)) + 1, scikit-learn's default; never below 1

    with N documents, df of which have the word

    Parameters
    ----------
    counts : (document, V), of the documents that df is to be counted in: the training ones

    Raises
    ------
    ValueError : there is no document, a count is negative or not finite, the form is unknown, or it
        divides by df and a word stands in no document.

    References
    ----------
    Spärck Jones 1972, A Statistical Interpretation of Term Specificity, for log(N / df).

    Examples
    --------
    >>> inverse_document_frequency(np.array([[1, 0], [1, 2]]), "plain").round(3)
    array([0.   , 0.693])
    """
    matrix = _counts(counts)
    total, df = matrix.shape[0], document_frequency(matrix)
    if rarity == "notes":
        return np.log(total / (1 + df))
    if rarity == "smooth":
        return np.log((1 + total) / (1 + df)) + 1
    if rarity not in ("plain", "plain+1"):
        raise ValueError(f"rarity must be notes, plain, plain+1 or smooth, got {rarity!r}")
    if not df.all():
        raise ValueError(
            f"{(df == 0).sum()} words stand in no document, so log(N / df) is infinite: build the "
            f'vocabulary from these documents, or use rarity="smooth"'
        )
    return np.log(total / df) + (rarity == "plain+1")


def term_frequency(counts: Counts, frequency: Frequency = "share") -> sparse.csr_array:
    """How much of a document each word is.

    "count": n; "share": n / length of the document; "log": 1 + log n, where n > 0 is the count

    Returns
    -------
    (document, V); the length is that of the known words, and an empty document stays a row of 0.

    Raises
    ------
    ValueError : there is no document, a count is negative or not finite, or an unknown form.
    """
    matrix = _counts(counts)
    if frequency == "share":
        lengths = np.asarray(matrix.sum(axis=1))  # (document,)
        matrix.data /= np.repeat(lengths, np.diff(matrix.indptr))
    elif frequency == "log":
        matrix.data = 1 + np.log(matrix.data)
    elif frequency != "count":
        raise ValueError(f"frequency must be count, share or log, got {frequency!r}")
    return matrix


def tf_idf(
    counts: Counts, idf: Float[np.ndarray, "vocabulary"], frequency: Frequency = "share"
) -> sparse.csr_array:
    """Words weighed by how much of their document they are, and by how few documents have them.

    TF-IDF(t, d) = TF(t, d) · IDF(t)

    With `unit_rows` of frequency "count" and the smooth idf it is scikit-learn's TfidfVectorizer.

    Parameters
    ----------
    counts : (document, V)
    idf : from the training documents (`inverse_document_frequency`), whatever the documents are
    frequency : TF, see `term_frequency`

    Returns
    -------
    (document, V)

    Raises
    ------
    ValueError : there is no document, a count is negative or not finite, an unknown form, or the
        idf has not one number for each word.

    References
    ----------
    Salton and Buckley 1988, Term-Weighting Approaches in Automatic Text Retrieval.

    Examples
    --------
    >>> tf_idf(np.array([[1, 0], [1, 3]]), np.array([0.0, 0.8])).toarray()
    array([[0. , 0. ],
           [0. , 0.6]])
    """
    weights = term_frequency(counts, frequency)
    if len(idf) != weights.shape[1]:
        raise ValueError(f"{weights.shape[1]} words need as many idf, got {len(idf)}")
    weights.data *= idf[weights.indices]
    return weights


def unit_rows(matrix: Counts) -> sparse.csr_array:
    """Each row divided by its length ‖x‖, so that dot products are cosines; rows of 0 stay.

    Raises
    ------
    ValueError : an entry is not finite.
    """
    rows = sparse.csr_array(matrix, dtype=np.float64, copy=True)
    if not np.all(np.isfinite(rows.data)):
        raise ValueError("the matrix must be finite")
    # What is stored twice would count as two, and a stored 0 can be all that its row has.
    rows.sum_duplicates()
    rows.eliminate_zeros()
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)))  # (row,)
    rows.data /= np.repeat(lengths, np.diff(rows.indptr))
    return rows


def cosines(rows: Counts, columns: Counts) -> Float[np.ndarray, "n m"]:
    """The cosine of each row of one sparse matrix with each of another; 0 where one is all 0.

    cos θ = a·b / (‖a‖ ‖b‖)

    Raises
    ------
    ValueError : the two have not as many columns, or an entry is not finite.

    Examples
    --------
    >>> cosines(np.array([[1, 1], [0, 0]]), np.array([[1, 0]])).round(4)
    array([[0.7071],
           [0.    ]])
    """
    first, second = unit_rows(rows), unit_rows(columns)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"the rows differ in length: {first.shape[1]} and {second.shape[1]}")
    return np.clip((first @ second.T).toarray(), -1.0, 1.0)


def featurize(table: Mapping[str, Mapping[str, float | int]]) -> FeatureTable:
    """Vectors from features that somebody wrote down, word by word.

    Features are in the order of first mention; one that a word does not mention is 0 for it.

    Raises
    ------
    ValueError : there is no word or no feature, or a value is not finite.

    Examples
    --------
    >>> featurize({"king": {"royal": 1, "gender": -1}, "apple": {"fruit": 1}}).values
    array([[ 1., -1.,  0.],
           [ 0.,  0.,  1.]])
    """
    features = tuple(dict.fromkeys(name for row in table.values() for name in row))
    if not features:
        raise ValueError("the table is empty: give at least one word with one feature")
    values = np.array([[float(row.get(name, 0)) for name in features] for row in table.values()])
    if not np.all(np.isfinite(values)):
        raise ValueError("features must be finite")
    return FeatureTable(tuple(table), features, values)


def _counts(counts: Counts) -> sparse.csr_array:
    """A copy without stored zeros, once all are known to be counts."""
    matrix = sparse.csr_array(counts, dtype=np.float64, copy=True)
    if matrix.shape[0] == 0:
        raise ValueError("the corpus is empty: give at least one document")
    if not np.all(np.isfinite(matrix.data)) or np.any(matrix.data < 0):
        raise ValueError("counts must be finite and not negative")
    # Twice the same cell, or a stored 0, would count as a document.
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
