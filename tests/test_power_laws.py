"""Zipf's and Heaps' laws: exact on made-up texts, nearly true on real ones."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from nlp_course import power_laws

ROSE = ["a", "rose", "is", "a", "rose", "is", "a", "rose"]


@given(st.floats(0.1, 100), st.floats(-3, 3))
def test_a_power_law_is_found_again(constant, exponent):
    x = np.array([1.0, 2, 5, 30])
    fit = power_laws.fit_power_law(x, constant * x**exponent)
    assert fit == pytest.approx((constant, exponent, 1))
    assert fit.predict(x) == pytest.approx(constant * x**exponent)


def test_the_fit_is_scipys_regression_of_the_logarithms():
    generator = np.random.default_rng(0)
    x = np.arange(1, 40)
    y = 50 * x**-0.7 * generator.lognormal(sigma=0.3, size=len(x))
    fit, other = power_laws.fit_power_law(x, y), linregress(np.log(x), np.log(y))
    assert fit.exponent == pytest.approx(other.slope)
    assert np.log(fit.constant) == pytest.approx(other.intercept)
    errors = np.log(y) - other.intercept - other.slope * np.log(x)
    assert fit.factor == pytest.approx(np.exp(errors.std()))


def test_points_twice_and_half_the_law_are_off_by_a_factor_of_two():
    # Symmetric in the logarithm, so that the line stays where it is.
    x, off = np.array([1, 1, 10, 10]), np.array([2, 0.5, 2, 0.5])
    assert power_laws.fit_power_law(x, 3 * x * off) == pytest.approx((3, 1, 2))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2], [1], "got 2 and 1"),
        ([0, 2], [1, 1], "above 0"),
        ([1, 2], [1, -1], "above 0"),
        ([2, 2], [1, 3], "two different x, got 1"),
        ([], [], "two different x, got 0"),
    ],
)
def test_a_fit_refuses(x, y, message):
    with pytest.raises(ValueError, match=message):
        power_laws.fit_power_law(np.array(x, dtype=float), np.array(y, dtype=float))


@given(st.integers(1, 50), st.integers(1, 10**6), st.integers(2, 80))
def test_spaced_numbers_rise_from_the_first_to_the_last(first, further, points):
    numbers = power_laws.log_spaced(first, first + further, points)
    assert (numbers[0], numbers[-1]) == (first, first + further)
    assert (np.diff(numbers) > 0).all()
    assert len(numbers) <= points


def test_spacing_refuses():
    with pytest.raises(ValueError, match="below last, got 0 and 5"):
        power_laws.log_spaced(0, 5)
    with pytest.raises(ValueError, match="below last, got 5 and 5"):
        power_laws.log_spaced(5, 5)
    with pytest.raises(ValueError, match="points must be at least 2"):
        power_laws.log_spaced(1, 5, 1)


@given(st.lists(st.sampled_from("abcdef"), min_size=1))
def test_ranked_counts_fall_and_sum_to_the_length(tokens):
    counts = power_laws.rank_frequency(tokens)
    assert counts.tolist() == [count for _, count in Counter(tokens).most_common()]
    assert counts.sum() == len(tokens)


def test_nothing_has_no_ranks():
    with pytest.raises(ValueError, match="no token"):
        power_laws.rank_frequency([])


def test_growth_by_hand():
    lengths = np.array([0, 1, 2, 3, 8, 2])
    assert power_laws.vocabulary_growth(ROSE, lengths).tolist() == [0, 1, 2, 3, 3, 2]


@given(st.lists(st.sampled_from("abcdef"), max_size=20))
def test_growth_counts_the_words_of_every_beginning(tokens):
    lengths = np.arange(len(tokens) + 1)
    grown = power_laws.vocabulary_growth(tokens, lengths)
    assert grown.tolist() == [len(set(tokens[:n])) for n in lengths]


def test_growth_refuses_lengths_that_the_text_does_not_have():
    for lengths in ([-1, 2], [9]):
        with pytest.raises(ValueError, match="lie in 0 … 8"):
            power_laws.vocabulary_growth(ROSE, np.array(lengths))


def test_words_drawn_by_zipfs_law_show_its_exponent_and_heaps():
    # Of words with p ∝ rank^−2 about the square root of the length is seen: β = 1 / α.
    generator = np.random.default_rng(0)
    tokens = [str(rank) for rank in generator.zipf(2.0, size=200_000)]
    counts = power_laws.rank_frequency(tokens)
    ranks = power_laws.log_spaced(1, 100)
    zipf = power_laws.fit_power_law(ranks, counts[ranks - 1])
    lengths = power_laws.log_spaced(1000, len(tokens))
    heaps = power_laws.fit_power_law(lengths, power_laws.vocabulary_growth(tokens, lengths))
    assert zipf.exponent == pytest.approx(-2, abs=0.1)
    assert heaps.exponent == pytest.approx(0.5, abs=0.05)


@pytest.mark.real_data
def test_brown_follows_both_laws_nearly():
    from nlp_course import data

    tokens = [token.lower() for token in data.load("brown").tokens]
    counts = power_laws.rank_frequency(tokens)
    ranks = power_laws.log_spaced(1, len(counts))
    zipf = power_laws.fit_power_law(ranks, counts[ranks - 1])
    assert -1.2 < zipf.exponent < -0.95
    assert 1.1 < zipf.factor < 1.5
    lengths = power_laws.log_spaced(1000, len(tokens))
    heaps = power_laws.fit_power_law(lengths, power_laws.vocabulary_growth(tokens, lengths))
    assert 0.6 < heaps.exponent < 0.75
