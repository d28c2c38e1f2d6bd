"""Discrete representations: identities of one-hot vectors, TF-IDF beside scikit-learn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import normalize

from nlp_course import cooccurrence, similarity
from nlp_course import representations as rp
from nlp_course.text import Vocabulary

EMPTY = np.array([], dtype=np.int64)
TEXTS = [
    "the cat sat on the mat",
    "the dog sat on the log",
    "the cats and the dogs and the cat",
    "a a a a the",
]
SIZE = 6
documents = st.lists(
    st.lists(st.integers(0, SIZE - 1), max_size=12).map(lambda ids: np.array(ids, dtype=np.int64)),
    min_size=1,
    max_size=8,
)


def bags_of(texts: list[str]) -> tuple[Vocabulary, sparse.csr_array]:
    tokens = [text.split() for text in texts]
    vocabulary = Vocabulary.from_sentences(tokens)
    return vocabulary, rp.bag_of_words([vocabulary.encode(t) for t in tokens], len(vocabulary))


@given(st.integers(1, 40))
def test_one_hot_vectors_are_orthogonal_and_root_two_apart(size):
    vectors = rp.one_hot(np.arange(size), size)
    assert vectors.shape == (size, size)
    np.testing.assert_array_equal((vectors @ vectors.T).toarray(), np.eye(size))
    dense = vectors.toarray()
    between = dense[:, None] - dense[None]
    others = ~np.eye(size, dtype=bool)
    np.testing.assert_allclose(np.linalg.norm(between, axis=-1)[others], np.sqrt(2))
    # The notes' 2 is the squared distance, and the L1 distance.
    np.testing.assert_array_equal(np.abs(between).sum(axis=-1)[others], 2)
    np.testing.assert_array_equal((between**2).sum(axis=-1)[others], 2)


def test_a_row_of_a_one_hot_matrix_picks_a_row_of_another_matrix():
    ids = np.array([3, 0, 3, 2])
    table = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_array_equal(rp.one_hot(ids, 5) @ table, table[ids])
    assert rp.one_hot(EMPTY, 5).shape == (0, 5)


@given(documents)
def test_a_bag_is_the_sum_of_its_one_hot_vectors(docs):
    bags = rp.bag_of_words(docs, SIZE).toarray()
    for bag, ids in zip(bags, docs, strict=True):
        np.testing.assert_array_equal(bag, rp.one_hot(ids, SIZE).toarray().sum(axis=0))
        assert {i: int(n) for i, n in enumerate(bag) if n} == Counter(ids.tolist())


@given(documents, st.randoms(use_true_random=False))
def test_a_bag_forgets_order(docs, random):
    shuffled = [np.array(random.sample(ids.tolist(), len(ids)), dtype=np.int64) for ids in docs]
    assert (rp.bag_of_words(docs, SIZE) != rp.bag_of_words(shuffled, SIZE)).nnz == 0


@given(documents)
def test_k_hot_has_a_one_for_each_different_word(docs):
    vectors = rp.k_hot(docs, SIZE).toarray()
    assert set(vectors.ravel().tolist()) <= {0.0, 1.0}
    assert vectors.sum(axis=1).tolist() == [len(set(ids.tolist())) for ids in docs]


def test_bags_are_scikit_learns():
    vocabulary, bags = bags_of(TEXTS)
    counter = CountVectorizer(tokenizer=str.split, token_pattern=None, vocabulary=vocabulary.words)
    np.testing.assert_array_equal(bags.toarray(), counter.fit_transform(TEXTS).toarray())


def test_bags_are_the_word_document_table_turned():
    vocabulary, bags = bags_of(TEXTS)
    ids = [vocabulary.encode(text.split()) for text in TEXTS]
    table = cooccurrence.document_counts(ids, len(vocabulary))
    np.testing.assert_array_equal(bags.toarray(), table.T.toarray())


def test_bags_have_indices_that_scikit_learns_solvers_take():
    _, bags = bags_of(TEXTS)
    assert bags.indices.dtype == bags.indptr.dtype == np.int32


@pytest.mark.parametrize("make", [rp.bag_of_words, rp.k_hot])
def test_an_empty_document_is_a_row_of_zeros_and_an_empty_corpus_an_error(make):
    assert make([EMPTY, np.array([1])], 2).toarray().tolist() == [[0, 0], [0, 1]]
    assert make([EMPTY], 2).toarray().tolist() == [[0, 0]]
    with pytest.raises(ValueError, match="the corpus is empty"):
        make([], 2)
    for wrong in (-1, 2):
        with pytest.raises(ValueError, match=r"ids must lie in 0 … 1"):
            make([np.array([0]), np.array([wrong])], 2)


def test_a_document_of_unknown_words_alone_is_at_cosine_zero_to_all():
    vocabulary, bags = bags_of(TEXTS)
    stranger = rp.bag_of_words([vocabulary.encode_known(["zebra", "xylophone"])], len(vocabulary))
    idf = rp.inverse_document_frequency(bags)
    for frequency in ("count", "share", "log"):
        weights = rp.tf_idf(stranger, idf, frequency)
        assert weights.nnz == 0
        assert np.isfinite(rp.unit_rows(weights).toarray()).all()
        np.testing.assert_array_equal(rp.cosines(weights, rp.tf_idf(bags, idf, frequency)), 0)


def test_up_to_ngrams_are_scikit_learns():
    analyse = CountVectorizer(
        tokenizer=str.split, token_pattern=None, ngram_range=(1, 3)
    ).build_analyzer()
    for text in TEXTS:
        assert rp.up_to_ngrams(text.split(), 3) == analyse(text)
    assert rp.up_to_ngrams(["alone"], 2) == ["alone"]
    assert rp.up_to_ngrams([], 2) == []
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        rp.up_to_ngrams(["a"], 0)


@pytest.mark.parametrize("frequency", ["count", "log"])
@pytest.mark.parametrize("rarity", ["plain+1", "smooth"])
@pytest.mark.parametrize("norm", [None, "l2"])
def test_tf_idf_is_scikit_learns_transformer(frequency, rarity, norm):
    _, bags = bags_of(TEXTS)
    theirs = TfidfTransformer(
        norm=norm, smooth_idf=rarity == "smooth", sublinear_tf=frequency == "log"
    ).fit(bags)
    idf = rp.inverse_document_frequency(bags, rarity)
    ours = rp.tf_idf(bags, idf, frequency)
    ours = ours if norm is None else rp.unit_rows(ours)
    np.testing.assert_allclose(idf, theirs.idf_, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.toarray(), theirs.transform(bags).toarray(), rtol=0, atol=1e-12)


def test_tf_idf_is_scikit_learns_vectorizer_on_new_documents():
    vocabulary, bags = bags_of(TEXTS)
    new = ["the cat and the zebra", "zebra", ""]
    theirs = TfidfVectorizer(
        tokenizer=str.split, token_pattern=None, vocabulary=vocabulary.words
    ).fit(TEXTS)
    ids = [vocabulary.encode_known(text.split()) for text in new]
    idf = rp.inverse_document_frequency(bags)
    ours = rp.unit_rows(rp.tf_idf(rp.bag_of_words(ids, len(vocabulary)), idf, "count"))
    np.testing.assert_allclose(ours.toarray(), theirs.transform(new).toarray(), rtol=0, atol=1e-12)


def test_share_is_scikit_learns_l1_norm():
    _, bags = bags_of(TEXTS)
    ours = rp.term_frequency(bags, "share")
    np.testing.assert_allclose(ours.toarray(), normalize(bags, "l1").toarray(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.sum(axis=1), 1)


def test_the_notes_tf_idf_by_hand():
    vocabulary, bags = bags_of(TEXTS)
    weights = rp.tf_idf(bags, rp.inverse_document_frequency(bags, "notes"), "share").toarray()
    # "the" is in 4 of 4 documents, "cat" in 2, "mat" in 1.
    assert weights[0, vocabulary.id("the")] == pytest.approx(2 / 6 * np.log(4 / 5))
    assert weights[0, vocabulary.id("cat")] == pytest.approx(1 / 6 * np.log(4 / 3))
    assert weights[0, vocabulary.id("mat")] == pytest.approx(1 / 6 * np.log(4 / 2))
    assert weights[3, vocabulary.id("a")] == pytest.approx(4 / 5 * np.log(4 / 2))
    assert weights[0, vocabulary.id("the")] < 0


@given(st.integers(1, 200), st.integers(1, 200))
def test_signs_and_limits_of_the_inverse_document_frequency(total, having):
    df = min(total, having)
    counts = np.zeros((total, 1))
    counts[:df] = 3
    idf = {
        rarity: rp.inverse_document_frequency(counts, rarity)[0]
        for rarity in ("notes", "plain", "plain+1", "smooth")
    }
    assert idf["plain"] >= 0
    assert (idf["plain"] == 0) == (df == total)
    assert idf["plain+1"] == pytest.approx(idf["plain"] + 1)
    assert idf["smooth"] >= 1
    assert idf["notes"] < idf["plain"]
    assert (idf["notes"] < 0) == (df == total)
    assert idf["notes"] == pytest.approx(np.log(total / (df + 1)))


def test_a_word_in_no_document_is_infinitely_rare_or_smoothed():
    counts = np.array([[1, 0], [2, 0]])
    assert rp.inverse_document_frequency(counts, "smooth")[1] == pytest.approx(np.log(3) + 1)
    assert rp.inverse_document_frequency(counts, "notes")[1] == pytest.approx(np.log(2))
    for rarity in ("plain", "plain+1"):
        with pytest.raises(ValueError, match="1 words stand in no document"):
            rp.inverse_document_frequency(counts, rarity)


def test_document_frequency_counts_documents_not_occurrences_nor_stored_zeros():
    counts = sparse.csr_array(np.array([[5.0, 1.0], [1.0, 0.0]]))
    counts.data[1] = 0
    assert rp.document_frequency(counts).tolist() == [2, 0]
    # Column 0 is stored twice, as 1 and 2.
    twice = sparse.csr_array(([1.0, 2.0], [0, 0], [0, 2]), shape=(1, 2))
    assert rp.document_frequency(twice).tolist() == [1, 0]
    assert twice.nnz == 2


@given(documents)
def test_inputs_are_left_as_they_are(docs):
    bags = rp.bag_of_words(docs, SIZE)
    before = bags.toarray()
    idf = rp.inverse_document_frequency(bags)
    for frequency in ("count", "share", "log"):
        rp.unit_rows(rp.tf_idf(bags, idf, frequency))
    np.testing.assert_array_equal(bags.toarray(), before)


@given(documents, st.integers(1, 5))
def test_a_document_repeated_has_the_same_shares_and_direction(docs, times):
    bags = rp.bag_of_words(docs, SIZE)
    longer = rp.bag_of_words([np.tile(ids, times) for ids in docs], SIZE)
    share = lambda x: rp.term_frequency(x, "share").toarray()  # noqa: E731
    np.testing.assert_allclose(share(longer), share(bags), atol=1e-12)
    np.testing.assert_allclose(
        rp.unit_rows(longer).toarray(), rp.unit_rows(bags).toarray(), atol=1e-12
    )


@given(documents)
def test_cosines_are_scikit_learns_with_zero_for_empty_rows(docs):
    bags = rp.bag_of_words(docs, SIZE)
    ours = rp.cosines(bags, bags)
    np.testing.assert_allclose(ours, cosine_similarity(bags), rtol=0, atol=1e-12)
    assert ours.max() <= 1
    lengths = np.array([len(ids) for ids in docs])
    np.testing.assert_allclose(np.diag(ours), lengths > 0)


def test_unit_rows_add_up_what_is_stored_twice_and_pass_over_stored_zeros():
    twice = sparse.csr_array(([1.0, 2.0, 4.0, 0.0], [0, 0, 1, 1], [0, 3, 4]), shape=(2, 2))
    np.testing.assert_allclose(rp.unit_rows(twice).toarray(), [[0.6, 0.8], [0, 0]])
    assert twice.nnz == 4


def test_a_dot_product_is_two_lengths_and_the_cosine_between():
    a, b = np.random.default_rng(1).normal(size=(2, 7))
    cosine = rp.cosines(a[None], b[None])[0, 0]
    assert np.linalg.norm(a) * np.linalg.norm(b) * cosine == pytest.approx(a @ b)
    assert cosine == pytest.approx(similarity.cosine(a, b))


def test_features_stand_in_the_order_of_first_mention():
    table = rp.featurize({"king": {"royal": 1, "male": 1}, "pea": {"food": 0.5, "royal": 0}})
    assert table.words == ("king", "pea")
    assert table.features == ("royal", "male", "food")
    assert table.values.tolist() == [[1, 1, 0], [0, 0, 0.5]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rp.featurize({}), "the table is empty"),
        (lambda: rp.featurize({"king": {}}), "the table is empty"),
        (lambda: rp.featurize({"king": {"age": float("nan")}}), "must be finite"),
        (lambda: rp.one_hot(np.array([3]), 3), "ids must lie in 0 … 2, got 3 … 3"),
        (lambda: rp.document_frequency(np.zeros((0, 3))), "the corpus is empty"),
        (lambda: rp.term_frequency(np.array([[-1]])), "not negative"),
        (lambda: rp.term_frequency(np.array([[np.inf]])), "must be finite"),
        (lambda: rp.tf_idf(np.ones((1, 2)), np.ones(3)), "2 words need as many idf, got 3"),
        (lambda: rp.unit_rows(np.array([[np.nan]])), "must be finite"),
        (lambda: rp.cosines(np.ones((1, 2)), np.ones((1, 3))), "differ in length: 2 and 3"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_unknown_form_is_named():
    # The run-time check of annotations would refuse it first.
    bare = lambda function: getattr(function, "__wrapped__", function)  # noqa: E731
    with pytest.raises(ValueError, match="rarity must be notes, plain"):
        bare(rp.inverse_document_frequency)(np.ones((1, 1)), "often")
    with pytest.raises(ValueError, match="frequency must be count, share"):
        bare(rp.term_frequency)(np.ones((1, 1)), "often")


@pytest.mark.real_data
def test_tf_idf_of_real_reviews_is_scikit_learns():
    from nlp_course import data

    texts = [record.sentences[0] for record in data.load("sentence_polarity").records]
    vocabulary = Vocabulary.from_sentences(texts)
    bags = rp.bag_of_words([vocabulary.encode(tokens) for tokens in texts], len(vocabulary))
    theirs = TfidfVectorizer(
        analyzer=lambda tokens: tokens, vocabulary=vocabulary.words, lowercase=False
    ).fit_transform(texts)
    ours = rp.unit_rows(rp.tf_idf(bags, rp.inverse_document_frequency(bags), "count"))
    assert abs(ours - theirs).max() < 1e-12
