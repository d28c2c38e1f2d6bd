"""Bi-encoders, in-batch negatives, and the search of vectors: by hand, and beside torch's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.nn import functional as F  # noqa: E402

from nlp_course import retrieval_dense as dense  # noqa: E402
from nlp_course import retrieval_judging, training  # noqa: E402
from nlp_course.batching import pad  # noqa: E402
from nlp_course.retrieval_vectors import ClusteredIndex, VectorIndex  # noqa: E402
from nlp_course.transformer import Encoder, Settings  # noqa: E402


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit_rows(rows, d, seed=0):
    return F.normalize(numbers(rows, d, seed=seed), dim=1).numpy()


def some_texts(number, size=20, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, size, rng.integers(1, 9)) for _ in range(number)]


# The loss


def test_loss_worked_by_hand():
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    z = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]], dtype=torch.float64)
    e = math.e
    expected = -math.log(e / (e + e + 1)) - math.log(e / (1 + e + e**2))
    found = dense.contrastive_loss(x, z, torch.arange(3))
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_temperature_divides_the_scores():
    x, z = numbers(4, 3), numbers(4, 3, seed=1)
    found = dense.contrastive_loss(x, z, torch.arange(4), temperature=0.25)
    torch.testing.assert_close(found, dense.contrastive_loss(4 * x, z, torch.arange(4)))


def test_scores_all_alike_cost_the_logarithm_of_the_passages():
    x = torch.zeros(3, 2, dtype=torch.float64)
    found = dense.contrastive_loss(x, numbers(5, 2), torch.arange(5))
    assert found.item() == pytest.approx(3 * math.log(5))


def test_gradient_at_the_scores_is_probability_minus_truth():
    x, z = numbers(3, 4).requires_grad_(), numbers(5, 4, seed=1)
    dense.contrastive_loss(x, z, torch.arange(5), temperature=0.5).backward()
    p = torch.softmax(x.detach() @ z.T / 0.5, dim=1)
    torch.testing.assert_close(x.grad, (p - torch.eye(3, 5)) @ z / 0.5)


def test_copies_of_the_own_passage_are_no_negatives():
    x, z = numbers(3, 4), numbers(3, 4, seed=1)
    z[2] = z[0]
    marked = dense.contrastive_loss(x, z, torch.tensor([7, 8, 7]))
    by_hand = sum(
        F.cross_entropy(x[i : i + 1] @ z[kept].T, torch.tensor([own]), reduction="sum")
        for i, kept, own in ((0, [0, 1], 0), (1, [0, 1, 2], 1), (2, [1, 2], 1))
    )
    torch.testing.assert_close(marked, by_hand)
    assert marked < dense.contrastive_loss(x, z, torch.arange(3))


def test_loss_is_that_of_sentence_transformers():
    losses = pytest.importorskip(
        "sentence_transformers.losses", reason="sentence_transformers is not installed"
    )
    x, z, worse = (F.normalize(numbers(5, 8, seed=seed), dim=1) for seed in (0, 1, 2))

    class Given(torch.nn.Module):
        def forward(self, features):
            return {"sentence_embedding": features["vectors"]}

    theirs = losses.MultipleNegativesRankingLoss(Given(), scale=20.0)
    expected = theirs([{"vectors": some} for some in (x, z, worse)], None)
    found = dense.contrastive_loss(x, torch.cat([z, worse]), torch.arange(10), temperature=0.05)
    torch.testing.assert_close(found / 5, expected)


def test_more_negatives_make_the_loss_larger():
    x, z = numbers(4, 3), numbers(9, 3, seed=1)
    losses = [dense.contrastive_loss(x, z[:n], torch.arange(n)).item() for n in range(4, 10)]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]


def test_loss_refuses_one_pair_missing_passages_and_temperature_0():
    one = torch.ones(1, 2)
    with pytest.raises(ValueError, match="at least 2 passages"):
        dense.contrastive_loss(one, one, torch.arange(1))
    with pytest.raises(ValueError, match="3 queries need a passage each"):
        dense.contrastive_loss(torch.ones(3, 2), torch.ones(2, 2), torch.arange(2))
    for temperature in (0.0, -1.0):
        with pytest.raises(ValueError, match="temperature must be above 0"):
            dense.contrastive_loss(torch.ones(2, 2), torch.ones(2, 2), torch.arange(2), temperature)
        with pytest.raises(ValueError, match="temperature must be above 0"):
            dense.BiEncoder(torch.nn.Identity(), torch.nn.Identity(), temperature)


# Encoders


def test_bag_is_the_sum_of_the_vectors_at_length_1_whatever_the_order_and_padding():
    encoder = dense.BagEncoder(20, 6).double()
    table = encoder.embedding.weight.detach()
    texts = [np.array([3, 4, 3]), np.array([5]), np.array([4, 3, 3])]
    x = encoder(*pad(texts)).detach()
    torch.testing.assert_close(x[0], F.normalize(2 * table[3] + table[4], dim=0))
    torch.testing.assert_close(x[1], F.normalize(table[5], dim=0))
    torch.testing.assert_close(x[0], x[2])


def test_text_without_tokens_is_0_and_not_nan():
    x = dense.BagEncoder(20, 6)(*pad([np.array([3]), np.array([], dtype=np.int64)]))
    assert not x[1].any()
    assert np.isclose(x[0].norm().item(), 1)


@torch.no_grad()
def test_pooled_is_the_mean_over_tokens_that_are_no_padding():
    training.set_seed(0)
    inside = Encoder(20, Settings(dimension=8, heads=2, layers=1)).eval()
    pooled = dense.PooledEncoder(inside)
    texts = some_texts(3)
    x = pooled(*pad(texts))
    for row, text in zip(x, texts, strict=True):
        alone = inside(torch.from_numpy(text)[None])[0].mean(dim=0)
        torch.testing.assert_close(row, F.normalize(alone, dim=0), rtol=1e-4, atol=1e-5)


def test_embedding_keeps_the_order_of_the_texts():
    encoder = dense.BagEncoder(20, 6)
    texts = some_texts(11)
    found = dense.embed(encoder, texts, batch_size=3)
    expected = np.concatenate([dense.embed(encoder, [text]) for text in texts])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(ValueError, match="no texts"):
        dense.embed(encoder, [])


# Batches


def test_batches_have_each_query_once_with_its_own_passage():
    queries, passages = [np.array([i]) for i in range(10)], [np.array([i, i]) for i in range(4)]
    targets = np.arange(10) % 4
    batches = dense.pair_batches(queries, passages, targets, batch_size=3)
    found = batches(np.random.default_rng(0))
    assert len(found) == 3
    asked = torch.cat([batch.queries[:, 0] for batch in found])
    assert len(set(asked.tolist())) == 9
    for batch in found:
        np.testing.assert_array_equal(batch.numbers, targets[batch.queries[:, 0]])
        np.testing.assert_array_equal(batch.passages[:, 0], batch.numbers)


def test_negatives_follow_the_right_passages():
    queries, passages = some_texts(4), [np.array([i]) for i in range(9)]
    negatives = np.array([[5, 6], [6, 7], [7, 8], [8, 4]])
    [batch] = dense.pair_batches(queries, passages, np.arange(4), 4, negatives)(
        np.random.default_rng(0)
    )
    own, wrong = batch.numbers[:4], batch.numbers[4:].reshape(4, 2)
    np.testing.assert_array_equal(wrong, negatives[own])
    np.testing.assert_array_equal(batch.passages[:, 0], batch.numbers)


def test_batches_refuse_what_does_not_fit():
    queries, passages = some_texts(4), some_texts(3)
    targets = np.array([0, 1, 2, 0])
    for bad in (5, 0):
        with pytest.raises(ValueError, match="batch_size"):
            dense.pair_batches(queries, passages, targets, bad)
    with pytest.raises(ValueError, match="as many targets"):
        dense.pair_batches(queries, passages, targets[:3], 2)
    with pytest.raises(ValueError, match="passages are 0 … 2"):
        dense.pair_batches(queries, passages, targets + 1, 2)
    with pytest.raises(ValueError, match="rows of negatives"):
        dense.pair_batches(queries, passages, targets, 2, np.zeros((3, 1), dtype=np.int64))


def test_cloze_takes_out_one_sentence_and_keeps_it_in_the_share_asked_for():
    documents = [[np.array([i]), np.array([i + 100]), np.array([i + 200])] for i in range(100)]
    documents.append([np.array([7])])
    for keep, low, high in ((0, 0, 0), (1, 100, 100), (0.3, 15, 45)):
        queries, passages = dense.inverse_cloze(documents, np.random.default_rng(0), keep=keep)
        assert len(queries) == len(passages) == 100
        kept = [int(q[0]) in p.tolist() for q, p in zip(queries, passages, strict=True)]
        assert low <= sum(kept) <= high
        for one, rest, inside in zip(queries, passages, kept, strict=True):
            assert len(rest) == (3 if inside else 2)
            assert set((rest % 100).tolist()) == {int(one[0]) % 100}


def test_cloze_refuses_single_sentences_and_shares_above_1():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="two sentences"):
        dense.inverse_cloze([[np.array([1])]], rng)
    with pytest.raises(ValueError, match="keep"):
        dense.inverse_cloze([[np.array([1]), np.array([2])]], rng, keep=1.5)


def test_hard_negatives_are_the_best_of_the_wrong_ones():
    scores = np.random.default_rng(0).random((6, 8))
    targets = np.arange(6)
    found = dense.hard_negatives(scores, targets, n=3)
    for row, target, wrong in zip(scores, targets, found, strict=True):
        others = np.delete(np.arange(8), target)
        assert wrong.tolist() == others[np.argsort(-row[others])][:3].tolist()
    for n in (0, 8):
        with pytest.raises(ValueError, match="n must lie in 1 … 7"):
            dense.hard_negatives(scores, targets, n)
    with pytest.raises(ValueError, match="as many targets"):
        dense.hard_negatives(scores, targets[:2])


def test_training_finds_passages_that_share_no_word_with_their_query():
    rng = np.random.default_rng(0)
    queries = [rng.integers(0, 30, 4) for _ in range(300)]
    passages = [query + 30 for query in queries]  # each word has a partner of another name
    training.set_seed(0)
    model = dense.BiEncoder(dense.BagEncoder(60, 16), dense.BagEncoder(60, 16))
    batches = dense.pair_batches(queries[:200], passages, np.arange(200), 50)

    def rank_of_new():
        x, z = dense.embed(model.queries, queries[200:]), dense.embed(model.passages, passages)
        return retrieval_judging.target_ranks(x @ z.T, np.arange(200, 300))

    assert np.median(rank_of_new()) > 50
    training.train(
        model,
        dense.in_batch_loss,
        batches,
        steps=60,
        learning_rate=0.05,
        device="cpu",
        progress=False,
    )
    assert (rank_of_new() == 1).mean() > 0.9


# Searching vectors


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_exact_search_is_the_sorted_product(seed, k):
    vectors, queries = unit_rows(9, 4, seed), unit_rows(3, 4, seed + 1)
    found = VectorIndex(vectors).search(queries, k)
    expected = np.argsort(-(queries @ vectors.T), axis=1)[:, :k]
    np.testing.assert_array_equal(found.documents[:, :9], expected)
    np.testing.assert_allclose(
        found.scores[:, :9], np.take_along_axis(queries @ vectors.T, expected, axis=1)
    )
    assert found.compared.tolist() == [9] * 3
    assert (found.documents[:, 9:] == -1).all()
    assert np.isneginf(found.scores[:, 9:]).all()


def test_looking_into_all_clusters_is_exact_search():
    vectors, queries = unit_rows(200, 8), unit_rows(20, 8, seed=1)
    index = ClusteredIndex(vectors, clusters=10)
    assert sorted(np.concatenate(index.members).tolist()) == list(range(200))
    every = index.search(queries, 5, probes=10)
    exact = index.exact.search(queries, 5)
    np.testing.assert_array_equal(every.documents, exact.documents)
    np.testing.assert_allclose(every.scores, exact.scores)
    assert (every.compared == 210).all()


def test_more_probes_find_more_and_cost_more():
    vectors, queries = unit_rows(500, 8), unit_rows(50, 8, seed=1)
    index = ClusteredIndex(vectors, clusters=20)
    best = index.exact.search(queries, 5).documents
    recall, cost = [], []
    for probes in (1, 3, 9, 20):
        found = index.search(queries, 5, probes)
        recall.append(
            np.mean([np.isin(a, b).mean() for a, b in zip(best, found.documents, strict=True)])
        )
        cost.append(found.compared.mean())
    assert recall == sorted(recall)
    assert cost == sorted(cost)
    assert recall[0] < 0.9 < recall[-1] == 1
    assert cost[0] < 100


def test_a_vector_is_found_in_the_cluster_it_is_in():
    vectors = unit_rows(200, 8)
    found = ClusteredIndex(vectors, clusters=10).search(vectors, 1, probes=1)
    np.testing.assert_array_equal(found.documents[:, 0], np.arange(200))


def test_searches_of_vectors_refuse_what_makes_no_sense():
    vectors = unit_rows(5, 3)
    with pytest.raises(ValueError, match="empty"):
        VectorIndex(vectors[:0])
    with pytest.raises(ValueError, match="finite"):
        VectorIndex(np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        VectorIndex(vectors).search(vectors, 0)
    for clusters in (0, 6):
        with pytest.raises(ValueError, match="clusters must lie in 1 … 5"):
            ClusteredIndex(vectors, clusters)
    index = ClusteredIndex(vectors, 2)
    for probes in (0, 3):
        with pytest.raises(ValueError, match="probes must lie in 1 … 2"):
            index.search(vectors, probes=probes)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        index.search(vectors, 0)
