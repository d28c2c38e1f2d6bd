"""Words as the company they keep: co-occurrence counts, what mends them, and short vectors.

Counts are sparse matrices, a row for a word and a column for a context. A sentence is an array of
word ids (`nlp_course.text.Vocabulary.encode`); windows never reach into the next sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from nlp_course.representations import bag_of_words

Weighting = Literal["uniform", "ramped", "harmonic"]
Counts = Any  # a scipy.sparse array or a NumPy array of two axes


class SVD(NamedTuple):
    """A matrix as U Σ Vᵀ, cut off after the k largest singular values."""

    left: Float[np.ndarray, "word k"]
    singular_values: Float[np.ndarray, "k"]
    right: Float[np.ndarray, "k context"]


def window_counts(
    sentences: Sequence[Int[np.ndarray, "_"]],
    vocabulary_size: int,
    window: int = 5,
    weighting: Weighting = "uniform",
) -> sparse.csr_array:
    """How often each word stands within a window around each other word.

    X[i, j] = Σ over occurrences of i, and of j at distance d ≤ window from it, of weight(d)

    Parameters
    ----------
    sentences : ids of words, an array a sentence
    vocabulary_size : V
    window : m, the largest distance, to the left and to the right
    weighting : a neighbour at distance d counts 1 ("uniform"), (m + 1 − d) / m ("ramped") or 1 / d
        ("harmonic")

    Returns
    -------
    X, symmetric, (V, V).

    Raises
    ------
    ValueError : there is no token, window < 1, an unknown weighting, or an id outside 0 … V − 1.

    References
    ----------
    Lund and Burgess 1996, Producing High-Dimensional Semantic Spaces, for ramped windows;
    Pennington et al. 2014, GloVe, for 1 / d.

    Examples
    --------
    >>> window_counts([np.array([0, 1, 2]), np.array([0, 1])], 3, window=1).toarray()
    array([[0., 2., 0.],
           [2., 0., 1.],
           [0., 1., 0.]])
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    weights = _distance_weights(window, weighting)
    tokens, sentence = _flatten(sentences, vocabulary_size)
    total = sparse.csr_array((vocabulary_size, vocabulary_size))
    for distance in range(1, window + 1):
        together = sentence[distance:] == sentence[:-distance]
        left, right = tokens[:-distance][together], tokens[distance:][together]
        total = total + weights[distance - 1] * _tally(left, right, total.shape)
    return (total + total.T).tocsr()


def _distance_weights(window: int, weighting: str) -> Float[np.ndarray, "window"]:
    distance = np.arange(1, window + 1)
    weights = {
        "uniform": np.ones(window),
        "ramped": (window + 1 - distance) / window,
        "harmonic": 1 / distance,
    }
    if weighting not in weights:
        raise ValueError(f"weighting must be one of {', '.join(weights)}, got {weighting!r}")
    return weights[weighting]


def _flatten(
    sentences: Iterable[Int[np.ndarray, "_"]], vocabulary_size: int
) -> tuple[Int[np.ndarray, "token"], Int[np.ndarray, "token"]]:
    """All tokens one after the other, and the number of the sentence each belongs to."""
    arrays = list(sentences)
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    if lengths.sum() == 0:
        raise ValueError("the corpus is empty: give at least one sentence with one token")
    tokens = np.concatenate(arrays)
    if tokens.min() < 0 or tokens.max() >= vocabulary_size:
        raise ValueError(
            f"ids must lie in 0 … {vocabulary_size - 1}, got {tokens.min()} … {tokens.max()}"
        )
    return tokens, np.repeat(np.arange(len(arrays)), lengths)


def _tally(
    rows: Int[np.ndarray, "pair"], columns: Int[np.ndarray, "pair"], shape: tuple[int, int]
) -> sparse.csr_array:
    """How often each (row, column) is among the pairs."""
    ones = np.ones(len(rows))
    # Converting adds up what stands in one cell, in time that grows with the pairs, without a sort.
    return sparse.coo_array((ones, (rows, columns)), shape=shape).tocsr()


def document_counts(
    documents: Sequence[Int[np.ndarray, "_"]], vocabulary_size: int
) -> sparse.csr_array:
    """How often each word occurs in each document, whatever its place.

    The documents' bags of words as columns: here a word is a row, and the documents its contexts.

    Returns
    -------
    X, (V, number of documents).

    Raises
    ------
    ValueError : there is no token, or an id outside 0 … V − 1.

    References
    ----------
    Deerwester et al. 1990, Indexing by Latent Semantic Analysis.

    Examples
    --------
    >>> document_counts([np.array([0, 1, 0]), np.array([2])], 3).toarray()
    array([[2., 0.],
           [1., 0.],
           [0., 1.]])
    """
    if not any(len(document) for document in documents):
        raise ValueError("the corpus is empty: give at least one document with one token")
    return bag_of_words(documents, vocabulary_size).T.tocsr()


def pmi(counts: Counts) -> Float[np.ndarray, "word context"]:
    """Pointwise mutual information, in nats.

    PMI(x, y) = log p(x, y) / (p(x) p(y)), with p from the counts

    It is 0 where word and context are independent, positive where they meet more often than
    chance would have it, and −∞ where they never meet.

    Returns
    -------
    A dense array, since most of it is −∞; for large vocabularies see `ppmi`.

    Raises
    ------
    ValueError : a count is negative or not finite, or none is above 0.

    References
    ----------
    Church and Hanks 1990, Word Association Norms, Mutual Information, and Lexicography.

    Examples
    --------
    >>> pmi(np.array([[1.0, 1.0], [1.0, 0.0]])).round(3)
    array([[-0.288,  0.405],
           [ 0.405,   -inf]])
    """
    cells = _cells(counts)
    result = np.full(cells.shape, -np.inf)
    result[cells.row, cells.col] = _pmi_of_cells(cells, context_power=1.0)
    return result


def ppmi(
    counts: Counts, shift: float | int = 0.0, context_power: float | int = 1.0
) -> sparse.csr_array:
    """Positive pointwise mutual information: max(PMI − shift, 0), sparse.

    Parameters
    ----------
    counts : (word, context)
    shift : subtracted first, in nats; log k makes the positive part of the matrix
        that skip-gram with k negatives factorises
    context_power : p(y) becomes proportional to #(y)^power; 0.75 keeps rare contexts from scoring
        high only because they are rare

    Returns
    -------
    (word, context); cells at or below 0 are not stored.

    Raises
    ------
    ValueError : a count is negative or not finite, or none is above 0.

    References
    ----------
    Levy, Goldberg and Dagan 2015, Improving Distributional Similarity, sections 2.1 and 3.2.

    Examples
    --------
    >>> ppmi(np.array([[1.0, 1.0], [1.0, 0.0]])).toarray().round(3)
    array([[0.   , 0.405],
           [0.405, 0.   ]])
    """
    cells = _cells(counts)
    values = np.maximum(_pmi_of_cells(cells, context_power) - shift, 0.0)
    result = sparse.coo_array((values, (cells.row, cells.col)), shape=cells.shape).tocsr()
    result.eliminate_zeros()
    return result


def _cells(counts: Counts) -> sparse.coo_array:
    """The cells above 0, once all are known to be counts."""
    matrix = sparse.csr_array(counts, dtype=np.float64).tocoo()
    if not np.all(np.isfinite(matrix.data)) or np.any(matrix.data < 0):
        raise ValueError("counts must be finite and not negative")
    matrix.eliminate_zeros()
    if matrix.nnz == 0:
        raise ValueError("counts must hold at least one number above 0")
    return matrix


def _pmi_of_cells(cells: sparse.coo_array, context_power: float) -> Float[np.ndarray, "cell"]:
    word = np.asarray(cells.sum(axis=1))
    context = np.asarray(cells.sum(axis=0)) ** context_power
    # log p(x,y) − log p(x) − log p(y): of the three totals one is left.
    return np.asarray(
        np.log(cells.data)
        - np.log(word[cells.row])
        - np.log(context[cells.col])
        + np.log(context.sum())
    )


def log_counts(counts: Counts) -> sparse.csr_array:
    """log(1 + X), in nats: a thousand meetings say little more than a hundred.

    Raises
    ------
    ValueError : a count is negative or not finite, or none is above 0.
    """
    return _cells(counts).log1p().tocsr()


def clip_counts(counts: Counts, maximum: float | int = 100) -> sparse.csr_array:
    """min(X, maximum).

    Raises
    ------
    ValueError : the maximum is not above 0, a count is negative or not finite, or none is above 0.
    """
    if maximum <= 0:
        raise ValueError(f"maximum must be above 0, got {maximum}")
    cells = _cells(counts)
    cells.data = np.minimum(cells.data, maximum)
    return cells.tocsr()


def drop_words(counts: Counts, ids: Sequence[int] | Int[np.ndarray, "_"]) -> sparse.csr_array:
    """Empty the rows and columns of some words, such as function words; ids stay as they are.

    Raises
    ------
    ValueError : the matrix is not square, or an id is not one of its rows.
    """
    matrix = sparse.csr_array(counts, dtype=np.float64)
    rows, columns = matrix.shape
    if rows != columns:
        raise ValueError(f"rows and columns must stand for the same words, got {matrix.shape}")
    dropped = np.asarray(ids, dtype=np.int64)
    if dropped.size and not 0 <= dropped.min() <= dropped.max() < rows:
        raise ValueError(f"ids must lie in 0 … {rows - 1}")
    keep = np.ones(rows)
    keep[dropped] = 0.0
    result = (matrix * keep[:, None] * keep[None, :]).tocsr()
    result.eliminate_zeros()
    return result


def correlation_weights(counts: Counts) -> sparse.csr_array:
    """Pearson's correlation between "the word is a" and "the context is b", negatives set to 0.

    r(a, b) = (N X_ab − X_a· X_·b) / √(X_a· (N − X_a·) X_·b (N − X_·b)), N = ΣX

    The correlation is over the N pairs counted, of two yes-or-no questions. A pair that never meets
    correlates negatively, so what was 0 stays 0 and the matrix sparse. COALS goes on to take the
    square root of what is left: `correlation_weights(counts).sqrt()`.

    Raises
    ------
    ValueError : a count is negative or not finite, or none is above 0.

    References
    ----------
    Rohde, Gonnerman and Plaut 2006, An Improved Model of Semantic Similarity Based on Lexical
    Co-Occurrence.

    Examples
    --------
    >>> correlation_weights(np.array([[3.0, 0.0], [0.0, 3.0]])).toarray()
    array([[1., 0.],
           [0., 1.]])
    """
    cells = _cells(counts)
    word, context = np.asarray(cells.sum(axis=1)), np.asarray(cells.sum(axis=0))
    total = cells.sum()
    spread = (
        np.sqrt(word * (total - word))[cells.row] * np.sqrt(context * (total - context))[cells.col]
    )
    covariance = total * cells.data - word[cells.row] * context[cells.col]
    # No spread: the only word, or the only context, which correlates with nothing.
    values = np.divide(covariance, spread, out=np.zeros_like(spread), where=spread > 0)
    values = np.maximum(values, 0.0)
    result = sparse.coo_array((values, (cells.row, cells.col)), shape=cells.shape).tocsr()
    result.eliminate_zeros()
    return result


def truncated_svd(matrix: Counts, k: int, seed: int = 0) -> SVD:
    """The best approximation of a matrix by one of rank k: X ≈ U_k Σ_k V_kᵀ.

    Parameters
    ----------
    matrix : X, (word, context), dense or sparse
    k : how many singular values to keep, the largest
    seed : of the vector the iteration starts from

    Returns
    -------
    Singular values falling; in each column of U the entry of largest size is positive, so that the
    signs, which are otherwise free, are always the same.

    Raises
    ------
    ValueError : k is below 1 or above the smaller side, an entry is not finite, or all are 0.

    References
    ----------
    Eckart and Young 1936, The Approximation of One Matrix by Another of Lower Rank.

    Examples
    --------
    >>> truncated_svd(np.diag([3.0, 2.0, 1.0]), k=2).singular_values.round(6)
    array([3., 2.])
    """
    smaller = min(matrix.shape)
    if not 1 <= k <= smaller:
        raise ValueError(f"k must lie in 1 … {smaller}, the matrix's smaller side, got {k}")
    values = matrix.data if sparse.issparse(matrix) else np.asarray(matrix)
    if not np.all(np.isfinite(values)):
        raise ValueError("the matrix must be finite: PMI has -inf where a pair never meets, PPMI 0")
    if not np.any(values):
        raise ValueError(
            "the matrix is 0 everywhere and has no directions: was the shift too large?"
        )
    # The iterative solver is for a few values of a large matrix; near full rank it has no room.
    if 2 * k >= smaller or smaller < 50:
        dense = (
            matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix, dtype=np.float64)
        )
        left, singular, right = np.linalg.svd(dense, full_matrices=False)
        left, singular, right = left[:, :k], singular[:k], right[:k]
    else:
        start = np.random.default_rng(seed).standard_normal(smaller)
        left, singular, right = sparse.linalg.svds(
            sparse.csr_array(matrix, dtype=np.float64), k=k, v0=start
        )
        order = np.argsort(-singular)
        left, singular, right = left[:, order], singular[order], right[order]
    largest = np.abs(left).argmax(axis=0)
    signs = np.where(left[largest, np.arange(k)] < 0, -1.0, 1.0)
    return SVD(left * signs, singular, right * signs[:, None])


def svd_vectors(svd: SVD, power: float | int = 0.5) -> Float[np.ndarray, "word k"]:
    """Word vectors from a decomposition: U Σ^power.

    Power 1 keeps the dot products of the matrix's rows, 0 weighs all directions alike; 1/2 shares
    Σ between words and contexts.

    Raises
    ------
    ValueError : power is negative.

    References
    ----------
    Levy, Goldberg and Dagan 2015, Improving Distributional Similarity, section 3.3.
    """
    if power < 0:
        raise ValueError(f"power must be at least 0, got {power}")
    return np.asarray(svd.left * svd.singular_values**power)
