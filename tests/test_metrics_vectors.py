"""The match of vectors: identities, values by hand, and BERTScore's formula in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nlp_course.metrics_vectors import greedy_match

X, Y, Z = np.eye(3)


def drawn(seed, sizes=(4, 6), d=5):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(size, d)) for size in sizes]


def test_a_text_matches_itself_in_any_order_and_scale():
    text, _ = drawn(0)
    assert greedy_match(text, text) == pytest.approx((1, 1, 1))
    assert greedy_match(text[::-1] * 3, text) == pytest.approx((1, 1, 1))


def test_with_one_direction_a_word_it_is_the_share_of_words_in_the_other():
    match = greedy_match(np.array([X, X, Y]), np.array([X, Z]))
    assert match == pytest.approx((2 / 3, 1 / 2, 2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2)))


def test_weights_say_how_much_a_token_counts():
    ours, theirs = np.array([X, Y]), np.array([X, Z])
    match = greedy_match(
        ours, theirs, weights=np.array([3.0, 1.0]), reference_weights=np.array([0.0, 2.0])
    )
    assert (match.precision, match.recall, match.f1) == (0.75, 0, 0)


def test_opposite_vectors_have_no_f1():
    assert greedy_match(np.array([X]), np.array([-X])) == (-1, -1, 0)


@given(st.integers(0, 10_000))
def test_it_is_the_formula_of_bertscore(seed):
    ours, theirs = drawn(seed)
    one, two = (torch.nn.functional.normalize(torch.from_numpy(x), dim=1) for x in (ours, theirs))
    similar = torch.bmm(one[None], two[None].transpose(1, 2))[0]
    weights = torch.from_numpy(np.random.default_rng(seed).random(len(ours)) + 0.1)
    precision = (similar.max(dim=1).values * weights / weights.sum()).sum().item()
    match = greedy_match(ours, theirs, weights=weights.numpy())
    assert match.precision == pytest.approx(precision)
    assert match.recall == pytest.approx(similar.max(dim=0).values.mean().item())
    other = greedy_match(theirs, ours, reference_weights=weights.numpy())
    assert (other.recall, other.precision) == pytest.approx((match.precision, match.recall))


@pytest.mark.parametrize(
    ("ours", "weights", "says"),
    [
        (np.empty((0, 3)), None, "a text without tokens"),
        (np.zeros((1, 3)), None, "0 everywhere"),
        (np.array([[np.nan, 0, 1]]), None, "finite"),
        (np.ones((1, 3)), np.ones(2), "got 2 for 1 tokens"),
        (np.ones((1, 3)), np.array([-1.0]), "at least 0"),
        (np.ones((2, 3)), np.zeros(2), "not all 0"),
        (np.ones((1, 3)), np.array([np.inf]), "finite"),
    ],
)
def test_what_cannot_be_matched_is_refused(ours, weights, says):
    with pytest.raises(ValueError, match=says):
        greedy_match(ours, np.ones((2, 3)), weights=weights)
