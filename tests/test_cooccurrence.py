"""Co-occurrence: counts against a double loop, weights against identities and other libraries."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import mutual_info_score

from nlp_course import cooccurrence as co
from nlp_course.text import Vocabulary

WEIGHT = {
    "uniform": lambda distance, window: 1.0,
    "ramped": lambda distance, window: (window + 1 - distance) / window,
    "harmonic": lambda distance, window: 1 / distance,
}
corpora = st.lists(st.lists(st.integers(0, 4), max_size=8), min_size=1, max_size=4).filter(any)


def as_ids(sentences: list[list[int]]) -> list[np.ndarray]:
    return [np.array(sentence, dtype=np.int64) for sentence in sentences]


def test_counts_of_the_three_sentences_are_the_table_worked_by_hand():
    sentences = [
        line.split() for line in ("I like deep learning .", "I like NLP .", "I enjoy flying .")
    ]
    order = ("I", "like", "enjoy", "deep", "learning", "NLP", "flying", ".")
    vocabulary = Vocabulary(order, np.array([3, 2, 1, 1, 1, 1, 1, 3]))
    counts = co.window_counts([vocabulary.encode(s) for s in sentences], 8, window=1)
    assert counts.toarray().tolist() == [
        [0, 2, 1, 0, 0, 0, 0, 0],
        [2, 0, 0, 1, 0, 1, 0, 0],
        [1, 0, 0, 0, 0, 0, 1, 0],
        [0, 1, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 0, 0, 1],
        [0, 1, 0, 0, 0, 0, 0, 1],
        [0, 0, 1, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1, 1, 1, 0],
    ]


@settings(max_examples=60, deadline=None)
@given(corpora, st.integers(1, 5), st.sampled_from(sorted(WEIGHT)))
def test_window_counts_equal_a_double_loop(sentences, window, weighting):
    expected = np.zeros((5, 5))
    for sentence in sentences:
        for i, first in enumerate(sentence):
            for j, second in enumerate(sentence):
                if 0 < abs(i - j) <= window:
                    expected[first, second] += WEIGHT[weighting](abs(i - j), window)
    counts = co.window_counts(as_ids(sentences), 5, window, weighting)
    np.testing.assert_allclose(counts.toarray(), expected, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(corpora, st.integers(1, 5), st.sampled_from(sorted(WEIGHT)))
def test_window_counts_are_symmetric(sentences, window, weighting):
    counts = co.window_counts(as_ids(sentences), 5, window, weighting).toarray()
    assert np.array_equal(counts, counts.T)


@settings(max_examples=30, deadline=None)
@given(corpora)
def test_in_a_window_as_long_as_the_sentence_each_word_meets_all_the_others(sentences):
    expected = np.zeros(5)
    for sentence in sentences:
        np.add.at(expected, np.array(sentence, dtype=np.int64), len(sentence) - 1)
    counts = co.window_counts(as_ids(sentences), 5, window=8)
    np.testing.assert_array_equal(counts.sum(axis=1), expected)


@settings(max_examples=30, deadline=None)
@given(corpora, st.integers(1, 5))
def test_a_ramped_window_is_the_mean_of_the_windows_up_to_it(sentences, window):
    ids = as_ids(sentences)
    mean = sum(co.window_counts(ids, 5, size) for size in range(1, window + 1)) / window
    ramped = co.window_counts(ids, 5, window, "ramped")
    np.testing.assert_allclose(ramped.toarray(), mean.toarray(), atol=1e-12)


def test_a_window_does_not_reach_into_the_next_sentence():
    assert co.window_counts(as_ids([[0], [1]]), 2, window=3).nnz == 0


def test_uniform_counts_add_up_to_two_for_each_pair_of_places():
    counts = co.window_counts(as_ids([[0, 1, 2, 3, 4]]), 5, window=2)
    assert counts.sum() == 2 * (4 + 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 3, 1), "corpus is empty"),
        ((as_ids([[]]), 3, 1), "corpus is empty"),
        ((as_ids([[0, 1]]), 3, 0), "window must be at least 1, got 0"),
        ((as_ids([[0, 1]]), 3, 1, "square"), "weighting must be one of"),
        ((as_ids([[0, 3]]), 3, 1), "ids must lie in 0 … 2"),
        ((as_ids([[-1, 0]]), 3, 1), "ids must lie in 0 … 2"),
    ],
)
def test_window_counts_refuse(arguments, message):
    # The run-time type check would refuse an unknown weighting first.
    count = getattr(co.window_counts, "__wrapped__", co.window_counts)
    with pytest.raises(ValueError, match=message):
        count(*arguments)


def test_document_counts_ignore_places_and_keep_documents_apart():
    counts = co.document_counts(as_ids([[2, 0, 2], [], [1]]), 3)
    assert counts.toarray().tolist() == [[1, 0, 0], [0, 0, 1], [2, 0, 0]]
    with pytest.raises(ValueError, match="corpus is empty"):
        co.document_counts([], 3)


def test_pmi_is_zero_where_word_and_context_are_independent():
    np.testing.assert_allclose(co.pmi(np.outer([1.0, 2, 5], [3.0, 4])), 0, atol=1e-12)


def test_pmi_is_minus_infinity_where_a_pair_never_meets_and_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = co.pmi(np.array([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]))
    assert values[0, 1] == -np.inf
    assert np.all(values[2] == -np.inf)


def test_expected_pmi_is_scikit_learns_mutual_information():
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, [4, 6], size=(300, 2))
    pairs[:, 1] = np.where(rng.random(300) < 0.5, pairs[:, 0], pairs[:, 1])
    counts = np.zeros((4, 6))
    np.add.at(counts, tuple(pairs.T), 1)
    values = co.pmi(counts)
    seen = counts > 0
    expected = float((counts[seen] / counts.sum() * values[seen]).sum())
    assert expected == pytest.approx(mutual_info_score(*pairs.T), abs=1e-12)


@given(st.floats(0.01, 100))
def test_pmi_does_not_depend_on_how_much_text_was_counted(scale):
    counts = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 5.0]])
    np.testing.assert_allclose(co.pmi(counts * scale), co.pmi(counts), atol=1e-12)


def test_sparse_weights_of_a_large_vocabulary_fit_in_memory():
    # Dense, each would take 320 GB.
    counts = co.window_counts(as_ids([[0, 1, 2], [199_999, 1]]), 200_000, window=1)
    pairs = [[0, 1], [1, 0], [1, 2], [1, 199_999], [2, 1], [199_999, 1]]
    for function in (co.ppmi, co.log_counts, co.clip_counts, co.correlation_weights):
        weights = function(counts)
        assert isinstance(weights, sparse.csr_array)
        assert np.transpose(weights.nonzero()).tolist() == pairs
    assert co.drop_words(counts, [1]).nnz == 0


@given(st.integers(0, 2**32 - 1), st.floats(0, 2))
def test_ppmi_is_pmi_shifted_and_cut_off_at_zero(seed, shift):
    counts = np.random.default_rng(seed).poisson(1.0, size=(5, 4)).astype(float)
    counts[0, 0] += 1
    np.testing.assert_allclose(
        co.ppmi(counts, shift).toarray(), np.maximum(co.pmi(counts) - shift, 0), atol=1e-12
    )


def test_context_power_below_one_lowers_rare_contexts_and_raises_frequent_ones():
    counts = np.array([[90.0, 9.0], [10.0, 1.0], [800.0, 0.0], [0.0, 2.0]])
    plain, smoothed = co.ppmi(counts).toarray(), co.ppmi(counts, context_power=0.75).toarray()
    assert smoothed[3, 1] < plain[3, 1]
    assert smoothed[2, 0] > plain[2, 0]


def test_smoothed_contexts_still_have_a_probability():
    # PPMI of one word that meets every context: log p(y) / p_α(y), so Σ p_α is 1 if all are kept.
    counts = np.array([[16.0, 1.0]])
    smoothed = co.ppmi(counts, shift=-10.0, context_power=0.5).toarray() - 10.0
    share = counts[0] / counts.sum()
    assert (share / np.exp(smoothed[0])).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "function", [co.pmi, co.ppmi, co.log_counts, co.clip_counts, co.correlation_weights]
)
@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.array([[1.0, -1.0]]), "not negative"),
        (np.array([[1.0, np.nan]]), "finite"),
        (np.zeros((2, 2)), "at least one number above 0"),
    ],
)
def test_weights_refuse_what_is_no_count(function, counts, message):
    with pytest.raises(ValueError, match=message):
        function(counts)


def test_log_counts_and_clip_counts_by_hand():
    counts = sparse.csr_array(np.array([[0.0, np.e - 1], [300.0, 1.0]]))
    assert co.log_counts(counts).toarray()[0].tolist() == [0.0, pytest.approx(1.0)]
    assert co.clip_counts(counts).toarray()[1].tolist() == [100.0, 1.0]
    assert counts[1, 0] == 300.0, "the counts themselves must stay"
    with pytest.raises(ValueError, match="maximum must be above 0"):
        co.clip_counts(counts, 0)


def test_dropped_words_have_neither_row_nor_column():
    counts = co.drop_words(np.arange(9.0).reshape(3, 3), [1])
    assert counts.toarray().tolist() == [[0, 0, 2], [0, 0, 0], [6, 0, 8]]
    with pytest.raises(ValueError, match="same words"):
        co.drop_words(np.ones((2, 3)), [0])
    with pytest.raises(ValueError, match="ids must lie"):
        co.drop_words(np.ones((2, 2)), [2])


def test_correlation_weights_are_numpys_correlations_of_indicators():
    counts = np.array([[4.0, 1.0, 0.0], [2.0, 3.0, 5.0]])
    rows, columns = np.repeat(
        np.indices(counts.shape).reshape(2, -1), counts.ravel().astype(int), axis=1
    )
    expected = np.array(
        [[np.corrcoef(rows == a, columns == b)[0, 1] for b in range(3)] for a in range(2)]
    )
    np.testing.assert_allclose(
        co.correlation_weights(counts).toarray(), np.maximum(expected, 0), atol=1e-12
    )


def test_coals_takes_the_square_root_of_the_correlations():
    # T = 8; word and context 0 have 4 each, of which 3 together: r = (8·3 − 4·4) / √(4·4·4·4).
    weights = co.correlation_weights(np.array([[3.0, 1.0], [1.0, 3.0]]))
    assert weights.toarray().tolist() == [[0.5, 0.0], [0.0, 0.5]]
    assert weights.sqrt()[0, 0] == pytest.approx(np.sqrt(0.5))


def test_correlation_with_the_only_word_is_zero():
    assert co.correlation_weights(np.array([[1.0, 2.0]])).nnz == 0


@pytest.mark.parametrize("shape", [(12, 9), (80, 120)])
def test_truncated_svd_is_numpys_and_the_best_of_its_rank(shape):
    matrix = np.random.default_rng(1).normal(size=shape)
    svd = co.truncated_svd(sparse.csr_array(matrix), k=5)
    singular = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(svd.singular_values, singular[:5], rtol=1e-8)
    np.testing.assert_allclose(svd.left.T @ svd.left, np.eye(5), atol=1e-8)
    # Eckart and Young: what is left over are the singular values that were cut off.
    rest = matrix - svd.left * svd.singular_values @ svd.right
    assert np.linalg.norm(rest) ** 2 == pytest.approx((singular[5:] ** 2).sum())


def test_truncated_svd_has_the_same_signs_each_time():
    matrix = np.random.default_rng(2).normal(size=(70, 60))
    one, other = co.truncated_svd(matrix, 3, seed=0), co.truncated_svd(matrix, 3, seed=9)
    np.testing.assert_allclose(one.left, other.left, atol=1e-7)
    assert np.all(one.left[np.abs(one.left).argmax(axis=0), range(3)] > 0)


def test_truncated_svd_of_a_matrix_of_lower_rank_ends_in_zeros():
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(80, 3)) @ rng.normal(size=(3, 90))
    svd = co.truncated_svd(sparse.csr_array(matrix), k=6)
    np.testing.assert_allclose(svd.singular_values[3:], 0, atol=1e-10)
    np.testing.assert_allclose(svd.left.T @ svd.left, np.eye(6), atol=1e-8)
    np.testing.assert_allclose(svd.left * svd.singular_values @ svd.right, matrix, atol=1e-10)


def test_truncated_svd_with_the_same_seed_is_the_same_to_the_last_bit():
    matrix = np.random.default_rng(5).poisson(0.1, size=(300, 200)).astype(float)
    one, other = co.truncated_svd(matrix, 4, seed=7), co.truncated_svd(matrix, 4, seed=7)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("matrix", "k", "message"),
    [
        (np.zeros((60, 60)), 2, "0 everywhere"),
        (np.ones((3, 2)), 0, "k must lie in 1 … 2"),
        (np.ones((3, 2)), 3, "k must lie in 1 … 2"),
        (np.array([[1.0, -np.inf]]), 1, "PMI has -inf"),
    ],
)
def test_truncated_svd_refuses(matrix, k, message):
    with pytest.raises(ValueError, match=message):
        co.truncated_svd(matrix, k)


def test_vectors_of_power_zero_weigh_all_directions_alike_and_a_half_shares_them_out():
    matrix = np.random.default_rng(6).normal(size=(6, 4))
    svd = co.truncated_svd(matrix, 4)
    alike = co.svd_vectors(svd, power=0)
    np.testing.assert_allclose(alike.T @ alike, np.eye(4), atol=1e-10)
    contexts = svd.right.T * np.sqrt(svd.singular_values)
    np.testing.assert_allclose(co.svd_vectors(svd) @ contexts.T, matrix, atol=1e-10)


def test_vectors_of_power_one_keep_the_dot_products_of_rows():
    matrix = np.random.default_rng(3).normal(size=(6, 4))
    vectors = co.svd_vectors(co.truncated_svd(matrix, 4), power=1)
    np.testing.assert_allclose(vectors @ vectors.T, matrix @ matrix.T, atol=1e-10)
    with pytest.raises(ValueError, match="power must be at least 0"):
        co.svd_vectors(co.truncated_svd(matrix, 4), power=-1)
