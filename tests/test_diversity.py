"""Diversity of texts: repetition, sameness, and the frontier between two collections."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nlp_course.diversity import (
    distinct_n,
    divergence_frontier,
    mauve,
    repetition,
    self_bleu,
)

TEXTS = st.lists(st.text("abc", min_size=1, max_size=8), min_size=1, max_size=5)
COUNTS = arrays.arrays(
    np.float64, 6, elements=st.integers(0, 9).map(float)
).filter(lambda counts: counts.any())  # fmt: skip

# Within a text and across texts


def test_texts_without_a_repeated_ngram_are_all_distinct():
    assert distinct_n(["abc", "bca"], 3) == 1.0
    assert distinct_n(["abc", "cab"], 2) == 3 / 4  # ab bc, ca ab
    assert distinct_n(["aaaa"], 1) == 1 / 4


def test_repetition_looks_at_each_text_alone():
    assert repetition(["ab", "ab"], 1) == 0.0
    assert distinct_n(["ab", "ab"], 1) == 0.5
    assert repetition(["aaaa", "abcd", "a"], 2) == pytest.approx((2 / 3 + 0) / 2)  # "a" is short


@given(TEXTS)
def test_an_ngram_comes_again_only_where_its_parts_do(texts):
    longest = max(map(len, texts))
    shares = [distinct_n([max(texts, key=len)], n) for n in range(1, longest + 1)]
    assert all(0 < share <= 1 for share in shares)
    grams = [{text[i : i + n] for text in texts for i in range(len(text) - n + 1)}
             for n in range(1, longest + 1)]  # fmt: skip
    total = [sum(max(0, len(text) - n + 1) for text in texts) for n in range(1, longest + 1)]
    expected = [len(some) / all_ for some, all_ in zip(grams, total, strict=True)]
    assert [distinct_n(texts, n) for n in range(1, longest + 1)] == pytest.approx(expected)


def test_self_bleu_is_highest_for_one_text_and_lowest_for_texts_that_share_nothing():
    texts = [["a", "b", "c", "d", "e"], ["f", "g", "h", "i", "j"], ["k", "l", "m", "n", "o"]]
    assert self_bleu([texts[0]] * 3) == pytest.approx(100)
    assert self_bleu(texts) == 0.0
    assert self_bleu([*texts[:2], texts[0]]) == pytest.approx(200 / 3)


def test_self_bleu_is_sacrebleus_with_the_others_as_references():
    sacrebleu = pytest.importorskip("sacrebleu", reason="sacrebleu is not installed")
    rng = np.random.default_rng(0)
    texts = [[str(word) for word in rng.integers(4, size=12)] for _ in range(6)]
    lines = [" ".join(text) for text in texts]
    scores = [
        sacrebleu.corpus_bleu(
            [line],
            [[other] for at, other in enumerate(lines) if at != place],
            tokenize="none",
            force=True,
        ).score
        for place, line in enumerate(lines)
    ]
    assert self_bleu(texts) == pytest.approx(np.mean(scores))


# Between two collections


@given(COUNTS)
def test_a_distribution_beside_itself_has_all_of_the_area(counts):
    found = divergence_frontier(counts, 3 * counts)
    assert found.area == pytest.approx(1)


def test_nothing_in_common_leaves_the_area_that_mixing_alone_gives():
    # Then KL(Q | R_λ) = −log(1 − λ): the curve is ((1 − λ)^c, λ^c), of area c B(c, c + 1).
    p, q = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    for scale in (1.0, 2.0, 5.0):
        exact = scale * math.gamma(scale) * math.gamma(scale + 1) / math.gamma(2 * scale + 1)
        assert divergence_frontier(p, q, scale=scale).area == pytest.approx(exact, abs=2e-3)


@given(COUNTS, COUNTS)
def test_the_frontier_falls_and_changing_sides_changes_only_the_axes(p, q):
    one, other = divergence_frontier(p, q), divergence_frontier(q, p)
    assert (np.diff(one.quality) >= -1e-9).all()
    assert (np.diff(one.variety) <= 1e-9).all()
    assert 0 <= one.area <= 1 + 1e-9
    np.testing.assert_allclose(one.quality, other.variety[::-1], atol=1e-9)
    assert one.area == pytest.approx(other.area, abs=1e-9)


@given(COUNTS, COUNTS)
def test_points_of_the_frontier_are_those_of_the_formula(p, q):
    found = divergence_frontier(p, q, scale=2.0)
    p, q = p / p.sum(), q / q.sum()
    for place, weight in ((1, 1 - 1e-6), (13, 0.5), (25, 1e-6)):
        mixture = weight * p + (1 - weight) * q
        for axis, part in ((found.quality, q), (found.variety, p)):
            kl = sum(a * math.log(a / b) for a, b in zip(part, mixture, strict=True) if a)
            assert axis[place] == pytest.approx(math.exp(-2 * kl))


def test_what_is_never_written_costs_variety_and_what_never_should_be_costs_quality():
    people, dull, wild = np.array([1, 1, 0.0]), np.array([1, 0, 0.0]), np.array([1, 1, 1.0])
    one, other = (divergence_frontier(people, q) for q in (dull, wild))
    # Where R is P, c KL(Q | P); where it is Q, c KL(P | Q).
    assert one.quality[1] == pytest.approx(2**-5, abs=1e-3)
    assert one.variety[-2] == pytest.approx(0, abs=1e-3)
    assert other.quality[1] == pytest.approx(0, abs=1e-3)
    assert other.variety[-2] == pytest.approx(1.5**-5, abs=1e-3)


def test_vectors_of_one_kind_are_near_and_of_another_far():
    rng = np.random.default_rng(0)
    people, alike = rng.normal(size=(2, 300, 3))
    areas = [mauve(people, alike + shift, clusters=12).area for shift in (0.0, 0.5, 3.0)]
    assert areas[0] > 0.9
    assert areas[0] > areas[1] + 0.1 > areas[2] + 0.2
    few = alike[:, :1] * 0  # all texts the same
    assert mauve(people, np.repeat(few, 3, axis=1), clusters=12).area < 0.3


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distinct_n(["ab"], 3), "no text has 3 tokens"),
        (lambda: distinct_n([], 1), "no text has 1 tokens"),
        (lambda: distinct_n(["ab"], 0), "n must be at least 1"),
        (lambda: repetition(["ab"], 3), "no text has 3 tokens"),
        (lambda: self_bleu([["a"]]), "at least 2, got 1"),
        (lambda: divergence_frontier(np.ones(2), np.ones(3)), "the same bins"),
        (lambda: divergence_frontier(np.zeros(2), np.ones(2)), "p must be finite"),
        (lambda: divergence_frontier(np.ones(2), np.array([2.0, -1.0])), "q must be finite"),
        (lambda: divergence_frontier(np.ones(2), np.ones(2), scale=0.0), "scale must be above 0"),
        (lambda: mauve(np.ones((9, 2)), np.ones((9, 3)), clusters=2), "vectors of one size"),
        (lambda: mauve(np.ones((9, 2)), np.ones((9, 2)), clusters=1), "at least 2"),
        (lambda: mauve(np.ones((2, 2)), np.ones((2, 2)), clusters=9), "9 clusters need"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
