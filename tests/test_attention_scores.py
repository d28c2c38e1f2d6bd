"""Scores of attention: by hand, beside torch's layers, and one for each query and key."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.nn import functional as F  # noqa: E402

from nlp_course.attention import masked_softmax  # noqa: E402
from nlp_course.attention_scores import (  # noqa: E402
    SCORES,
    AdditiveScore,
    BilinearScore,
    DotScore,
)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tensor(*rows):
    return torch.tensor([rows], dtype=torch.float64)


QUERIES, KEYS = tensor([1.0, 2.0], [0.0, -1.0]), tensor([3.0, 1.0], [1.0, 0.0], [0.0, 2.0])


def test_dot_scores_worked_by_hand():
    expected = tensor([5.0, 1.0, 4.0], [-1.0, 0.0, -2.0])
    torch.testing.assert_close(DotScore(2, 2)(QUERIES, KEYS), expected)


def test_a_bilinear_score_with_the_identity_is_the_dot_product():
    score = BilinearScore(2, 2)
    score.W.data = torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(score(QUERIES, KEYS), DotScore(2, 2)(QUERIES, KEYS))


def test_a_bilinear_score_worked_by_hand():
    score = BilinearScore(2, 2)
    score.W.data = torch.tensor([[0.0, 1.0], [2.0, 0.0]], dtype=torch.float64)
    # s = (1, 2): sᵀW = (4, 1).
    torch.testing.assert_close(score(QUERIES, KEYS)[0, 0], torch.tensor([13.0, 4.0, 2.0]).double())


def test_an_additive_score_worked_by_hand():
    score = AdditiveScore(2, 2, width=1)
    score.W_s.data, score.W_h.data = tensor([1.0, 0.0])[0], tensor([0.0, 1.0])[0]
    score.v.data = torch.tensor([3.0], dtype=torch.float64)
    found = score(QUERIES, KEYS)[0, 0]
    torch.testing.assert_close(found, 3 * torch.tanh(torch.tensor([2.0, 1.0, 3.0]).double()))


def test_bilinear_and_additive_scores_are_torchs_layers():
    queries, keys = numbers(4, 3, 5), numbers(4, 6, 7, seed=1)
    bilinear, additive = BilinearScore(5, 7).double(), AdditiveScore(5, 7, width=8).double()
    each_query = queries[:, :, None].expand(4, 3, 6, 5).contiguous()
    each_key = keys[:, None].expand(4, 3, 6, 7).contiguous()
    expected = F.bilinear(each_query, each_key, bilinear.W[None])[..., 0]
    torch.testing.assert_close(bilinear(queries, keys), expected)
    both = torch.cat([each_query, each_key], dim=-1)
    hidden = torch.tanh(F.linear(both, torch.cat([additive.W_s, additive.W_h], dim=1)))
    torch.testing.assert_close(additive(queries, keys), F.linear(hidden, additive.v[None])[..., 0])


def test_dot_attention_is_torchs_scaled_dot_product_attention_with_scale_one():
    queries, keys = numbers(4, 3, 5), numbers(4, 6, 5, seed=1)
    present = torch.arange(6) < torch.tensor([6, 1, 4, 3])[:, None]
    weights = masked_softmax(DotScore(5, 5)(queries, keys), present[:, None])
    expected = F.scaled_dot_product_attention(
        queries, keys, keys, attn_mask=present[:, None], scale=1.0
    )
    torch.testing.assert_close(weights @ keys, expected)


@pytest.mark.parametrize("name", SCORES)
def test_every_score_is_of_one_query_and_one_key(name):
    """Entry (i, j) is that of query i and key j alone."""
    score = SCORES[name](5, 5).double()
    queries, keys = numbers(2, 3, 5), numbers(2, 4, 5, seed=1)
    whole = score(queries, keys)
    assert whole.shape == (2, 3, 4)
    alone = score(queries[1:, 2:3], keys[1:, 3:4])
    torch.testing.assert_close(whole[1:, 2:3, 3:4], alone)


@pytest.mark.parametrize("name", SCORES)
def test_gradients_of_scores_are_those_of_finite_differences(name):
    score = SCORES[name](3, 3).double()
    queries, keys = numbers(2, 2, 3).requires_grad_(), numbers(2, 4, 3, seed=1).requires_grad_()
    present = torch.tensor([[True] * 4, [True, True, False, False]])

    def context(queries, keys, *_):
        return masked_softmax(score(queries, keys), present[:, None]) @ keys

    assert torch.autograd.gradcheck(context, (queries, keys, *score.parameters()))


@pytest.mark.parametrize("name", SCORES)
def test_scores_begin_with_the_spread_of_a_dot_product_or_below(name):
    torch.manual_seed(0)
    score = SCORES[name](64, 64)
    queries, keys = numbers(200, 1, 64).float(), numbers(200, 1, 64, seed=1).float()
    dot = DotScore(64, 64)(queries, keys).std().item()
    assert score(queries, keys).std().item() < 1.5 * dot


def test_parameter_counts():
    counts = {
        name: sum(p.numel() for p in score(6, 6).parameters()) for name, score in SCORES.items()
    }
    assert counts == {"dot": 0, "bilinear": 36, "additive": 6 * (6 + 6) + 6}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DotScore(3, 4), "a dot product needs vectors of one size, got 3 and 4"),
        (lambda: BilinearScore(0, 4), "queries must be at least 1, got 0"),
        (lambda: AdditiveScore(3, 0), "keys must be at least 1, got 0"),
        (lambda: AdditiveScore(3, 3, width=0), "width must be at least 1, got 0"),
    ],
)
def test_a_score_that_cannot_be_built_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
