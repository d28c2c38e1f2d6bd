"""The inverted index, BM25 and TF-IDF: identities, values by hand, independent libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from nlp_course import representations
from nlp_course.retrieval import Hit, InvertedIndex, rank, reciprocal_rank_fusion
from nlp_course.retrieval_scoring import BM25, Scorer, TfIdf

V = 6
documents_of_words = st.lists(
    st.lists(st.integers(0, V - 1), max_size=8).map(lambda words: np.array(words, dtype=np.int64)),
    min_size=1,
    max_size=8,
).filter(lambda documents: any(map(len, documents)))
queries_of_words = st.lists(st.integers(0, V - 1), max_size=6).map(
    lambda words: np.array(words, dtype=np.int64)
)


def ids(*words):
    return np.array(words, dtype=np.int64)


def an_index():
    """Three documents: word 0 in the first, word 1 in two, word 2 in two."""
    return InvertedIndex([ids(0, 1, 1), ids(1, 2), ids(2, 2, 2, 2)], vocabulary_size=4)


def random_texts(number, size=40, longest=30, seed=0):
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, size + 1)
    return [
        rng.choice(size, size=rng.integers(1, longest), p=share / share.sum())
        for _ in range(number)
    ]


# The index


def test_postings_are_the_documents_that_have_the_word_and_how_often():
    index = an_index()
    assert index.postings(1).documents.tolist() == [0, 1]
    assert index.postings(1).counts.tolist() == [2, 1]
    assert index.postings(2).counts.tolist() == [1, 4]
    assert len(index.postings(3).documents) == 0
    assert len(index) == 3
    assert index.average_length == 3
    assert index.document_frequency.tolist() == [1, 2, 2, 0]


@given(documents_of_words)
def test_postings_and_documents_say_the_same(documents):
    index = InvertedIndex(documents, V)
    table = np.zeros((len(documents), V), dtype=int)
    for word in range(V):
        found = index.postings(word)
        assert (np.diff(found.documents) > 0).all()
        table[found.documents, word] = found.counts
    expected = [np.bincount(document, minlength=V) for document in documents]
    np.testing.assert_array_equal(table, expected)
    np.testing.assert_array_equal(index.lengths, table.sum(axis=1))


@pytest.mark.parametrize("documents", [[], [ids()], [ids(), ids()]])
def test_empty_index_is_refused(documents):
    with pytest.raises(ValueError, match="empty"):
        InvertedIndex(documents, 3)


@pytest.mark.parametrize("word", [-1, 4])
def test_ids_outside_the_vocabulary_are_refused(word):
    index = an_index()
    with pytest.raises(ValueError, match="must lie in 0 … 3"):
        index.postings(word)
    with pytest.raises(ValueError, match="encode_known"):
        BM25(index).scores(ids(0, word))
    with pytest.raises(ValueError, match="encode_known"):
        BM25(index).score_matrix([ids(0), ids(word)])
    with pytest.raises(ValueError, match="must lie in 0 … 3"):
        InvertedIndex([ids(0, word)], 4)


# BM25


def test_bm25_worked_by_hand():
    # Word 1: N = 3, df = 2. Document 0 has it twice and average length, document 1 once and 2/3.
    idf = math.log(1 + 1.5 / 2.5)
    expected = [
        idf * 2 / (2 + 1.2),
        idf * 1 / (1 + 1.2 * (0.25 + 0.75 * 2 / 3)),
        0,
    ]
    np.testing.assert_allclose(BM25(an_index()).scores(ids(1)), expected, rtol=1e-14)


def test_three_rarities_are_their_formulas():
    index = an_index()
    for rarity, expected in (
        ("lucene", [math.log(1 + 2.5 / 1.5), math.log(1 + 1.5 / 2.5)]),
        ("robertson", [math.log(2.5 / 1.5), math.log(1.5 / 2.5)]),
        ("plain", [math.log(3), math.log(3 / 2)]),
    ):
        idf = BM25(index, rarity=rarity).idf
        np.testing.assert_allclose(idf[:2], expected)
        assert idf[3] == 0


def test_robertsons_rarity_lets_a_word_of_most_documents_count_against():
    index = an_index()
    assert BM25(index, rarity="robertson").scores(ids(1))[0] < 0
    assert BM25(index).idf.min() >= 0
    # It was found all the same: a negative score is a score.
    assert [hit.document for hit in BM25(index, rarity="robertson").search(ids(1))] == [1, 0]


def test_k1_of_0_looks_only_at_whether_a_word_is_there():
    scorer = BM25(an_index(), k1=0)
    np.testing.assert_allclose(scorer.scores(ids(1))[:2], scorer.idf[1])


def test_large_k1_counts_repetitions_in_full():
    texts = [ids(0, 1), ids(0, 0, 0, 1), ids(1)]
    scores = BM25(InvertedIndex(texts, 2), k1=1e9, b=0).scores(ids(0))
    assert scores[1] / scores[0] == pytest.approx(3, rel=1e-6)


def test_with_b_of_0_length_does_not_matter_and_with_1_only_the_share_does():
    texts = [ids(0, 1), ids(0, 1, 1, 1), ids(0, 0, 1, 1)]
    index = InvertedIndex(texts, 2)
    without = BM25(index, b=0).scores(ids(0))
    assert without[0] == without[1] < without[2]
    full = BM25(index, b=1).scores(ids(0))
    assert full[0] == pytest.approx(full[2])
    assert full[1] < full[0]


@given(documents_of_words, queries_of_words)
def test_a_repetition_adds_less_and_less_and_never_more_than_the_idf(documents, query):
    index = InvertedIndex(documents, V)
    scorer = BM25(index)
    assert (scorer.scores(query) <= scorer.idf[query].sum() + 1e-12).all()
    more = [
        BM25(InvertedIndex([ids(*[0] * n), ids(1)], V), b=0).scores(ids(0))[0] for n in range(1, 6)
    ]
    steps = np.diff(more)
    assert (steps > 0).all()
    assert (np.diff(steps) < 0).all()


@pytest.mark.parametrize(
    ("method", "rarity", "factor"),
    [("lucene", "lucene", 1.0), ("robertson", "robertson", 1.0), ("atire", "plain", 2.5)],
)
@pytest.mark.parametrize("b", [0.0, 0.75, 1.0])
def test_bm25_is_that_of_bm25s_in_each_variant(method, rarity, factor, b):
    bm25s = pytest.importorskip("bm25s", reason="bm25s is not installed")
    texts = random_texts(60)
    index = InvertedIndex(texts, 40)
    # bm25s takes 0 for Robertson's IDF where it is negative; such words are not asked here.
    rare = [word for word in range(40) if 0 < index.document_frequency[word] < 30]
    theirs = bm25s.BM25(method=method, k1=1.5, b=b, dtype="float64")
    theirs.index([[str(word) for word in text] for text in texts], show_progress=False)
    ours = BM25(index, k1=1.5, b=b, rarity=rarity)
    rng = np.random.default_rng(1)
    for _ in range(20):
        query = rng.choice(rare, size=5, replace=False)
        expected = theirs.get_scores([str(word) for word in query])
        np.testing.assert_allclose(factor * ours.scores(query), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "bad",
    [{"k1": -1}, {"k1": math.inf}, {"k1": math.nan}, {"b": 1.1}, {"b": -0.1}],
)
def test_bm25_refuses_what_it_cannot_compute(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        BM25(an_index(), **bad)


def test_an_unknown_rarity_is_named():
    # The run-time check of annotations would refuse it first.
    scorer = BM25(an_index())
    object.__setattr__(scorer, "rarity", "bm25+")
    with pytest.raises(ValueError, match="rarity must be lucene"):
        scorer.__post_init__()


# TF-IDF


@pytest.mark.parametrize("frequency", ["count", "share", "log"])
@pytest.mark.parametrize("rarity", ["smooth", "plain+1"])
def test_tf_idf_from_postings_is_the_cosine_of_the_sparse_rows(frequency, rarity):
    texts = random_texts(30, size=20)
    index = InvertedIndex(texts, 20)
    if rarity == "plain+1":
        assert index.document_frequency.all()
    queries = random_texts(7, size=20, longest=6, seed=1)
    bags = representations.bag_of_words(texts, 20)
    idf = representations.inverse_document_frequency(bags, rarity)
    asked = representations.tf_idf(representations.bag_of_words(queries, 20), idf, frequency)
    expected = representations.cosines(asked, representations.tf_idf(bags, idf, frequency))
    found = TfIdf(index, frequency, rarity).score_matrix(queries)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_tf_idf_is_scikit_learns():
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = random_texts(30, size=20)
    as_words = [" ".join(f"w{word}" for word in text) for text in texts]
    theirs = TfidfVectorizer(sublinear_tf=True)
    rows = theirs.fit_transform(as_words)
    expected = (rows @ rows.T).toarray()
    found = TfIdf(InvertedIndex(texts, 20)).score_matrix(texts)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(np.diag(found), 1)


def test_words_without_weight_leave_a_document_at_0():
    texts = [ids(0, 1), ids(0)]
    scores = TfIdf(InvertedIndex(texts, 2), rarity="plain").scores(ids(0, 1))
    np.testing.assert_allclose(scores, [1, 0])


# Searching


@given(documents_of_words, queries_of_words, st.sampled_from([BM25, TfIdf]))
def test_all_ways_to_score_agree(documents, query, kind):
    scorer: Scorer = kind(InvertedIndex(documents, V))
    scores = scorer.scores(query)
    np.testing.assert_allclose(scorer.score_matrix([query, query])[1], scores, atol=1e-12)
    for document in range(len(documents)):
        parts = scorer.contributions(query, document)
        assert len(parts) == len(query)
        assert parts.sum() == pytest.approx(scores[document], abs=1e-12)


@given(documents_of_words, queries_of_words, st.integers(1, 9))
def test_search_gives_the_best_of_the_documents_that_share_a_word(documents, query, k):
    scorer = BM25(InvertedIndex(documents, V))
    scores = scorer.scores(query)
    sharing = [i for i, document in enumerate(documents) if set(document) & set(query)]
    expected = sorted(sharing, key=lambda i: (-scores[i], i))[:k]
    found = scorer.search(query, k)
    assert [hit.document for hit in found] == expected
    assert [hit.score for hit in found] == [scores[i] for i in expected]


def test_a_word_asked_twice_counts_twice():
    scorer = BM25(an_index())
    np.testing.assert_allclose(scorer.scores(ids(1, 1)), 2 * scorer.scores(ids(1)))
    once, twice = scorer.contributions(ids(1), 0), scorer.contributions(ids(1, 1), 0)
    np.testing.assert_allclose(twice, [once[0], once[0]])


def test_postings_of_other_words_are_not_read():
    index = an_index()
    scorer = BM25(index)
    scorer.weights[index.slice(2)] = np.nan
    assert np.isfinite(scorer.scores(ids(0, 1))).all()


@pytest.mark.parametrize("kind", [BM25, TfIdf])
def test_empty_query_finds_nothing(kind):
    scorer = kind(an_index())
    assert scorer.search(ids()) == []
    assert not scorer.scores(ids()).any()
    assert not scorer.score_matrix([ids()]).any()
    assert len(scorer.contributions(ids(), 0)) == 0


def test_equal_documents_have_equal_scores_and_come_in_order():
    index = InvertedIndex([ids(2), ids(0, 1), ids(0, 1)], 3)
    found = BM25(index).search(ids(0, 1))
    assert [hit.document for hit in found] == [1, 2]
    assert found[0].score == found[1].score


def test_searches_refuse_k_of_0_no_queries_and_documents_that_there_are_not():
    scorer = BM25(an_index())
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        scorer.search(ids(1), 0)
    with pytest.raises(ValueError, match="no query"):
        scorer.score_matrix([])
    for document in (-1, 3):
        with pytest.raises(ValueError, match="documents are 0 … 2"):
            scorer.contributions(ids(1), document)


def test_scores_are_a_sparse_product():
    texts, queries = random_texts(20), random_texts(3, seed=2)
    scorer = BM25(InvertedIndex(texts, 40))
    index = scorer.index
    table = sparse.csc_array((scorer.weights, index.documents, index.starts), shape=(20, 40))
    bags = representations.bag_of_words(queries, 40)
    np.testing.assert_allclose(scorer.score_matrix(queries), (bags @ table.T).toarray())


# Ranks


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(1, 14))
def test_rank_sorts_by_falling_score_then_by_number(values, k):
    expected = sorted(range(len(values)), key=lambda i: (-values[i], i))[:k]
    assert rank(np.array(values, dtype=float), k).tolist() == expected


def test_rank_refuses_k_of_0_and_nan():
    with pytest.raises(ValueError, match="k must be at least 1"):
        rank(np.zeros(3), 0)
    with pytest.raises(ValueError, match="NaN"):
        rank(np.array([0.0, np.nan]), 1)


def test_fusion_worked_by_hand():
    fused = reciprocal_rank_fusion([[3, 1, 2], ids(1, 4)])
    assert fused[0] == Hit(1, pytest.approx(1 / 62 + 1 / 61))
    assert fused[1] == Hit(3, pytest.approx(1 / 61))
    assert [hit.document for hit in fused] == [1, 3, 4, 2]


def test_fusion_of_one_ranking_is_that_ranking_and_ties_go_by_number():
    assert [hit.document for hit in reciprocal_rank_fusion([[5, 2, 9]])] == [5, 2, 9]
    assert [hit.document for hit in reciprocal_rank_fusion([[5, 2], [2, 5]])] == [2, 5]
    assert reciprocal_rank_fusion([]) == []
    assert reciprocal_rank_fusion([[], []]) == []


def test_fusion_refuses_a_document_twice_and_a_negative_constant():
    with pytest.raises(ValueError, match="twice"):
        reciprocal_rank_fusion([[1, 1]])
    with pytest.raises(ValueError, match="constant"):
        reciprocal_rank_fusion([[1]], constant=-1)
