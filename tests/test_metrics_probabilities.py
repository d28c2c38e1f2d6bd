"""Bits a byte, reliability, Brier score, temperature: limits, scikit-learn's values, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from nlp_course.causal_lm import bits_per_character
from nlp_course.metrics_probabilities import bits_per_byte, brier, fit_temperature, reliability


def forecasts(seed=0, n=4000, classes=3, scale=1.0):
    """Logits, and labels drawn from the probabilities that logits times a scale give."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes)) * 2
    cumulative = softmax(logits * scale, axis=1).cumsum(axis=1)
    labels = (rng.random((n, 1)) > cumulative[:, :-1]).sum(axis=1)
    return logits, labels


def judged(logits, labels):
    probabilities = softmax(logits, axis=1)
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


def test_a_uniform_model_of_bytes_has_8_bits_a_byte():
    text = "naïve שלום"
    nats = np.full(len(text.encode()), np.log(256))
    assert bits_per_byte(nats, text) == pytest.approx(8)


def test_of_ascii_text_bytes_are_characters():
    nats = np.random.default_rng(0).random(7)
    assert bits_per_byte(nats, "a plain") == pytest.approx(bits_per_character(nats, 7))


def test_an_empty_text_has_no_bits_a_byte():
    with pytest.raises(ValueError, match="an empty text"):
        bits_per_byte(np.zeros(0), "")


def test_a_calibrated_model_has_little_error_and_one_too_sure_more():
    logits, labels = forecasts()
    assert reliability(*judged(logits, labels)).error < 0.02
    assert reliability(*judged(logits * 3, labels)).error > 0.1


def test_error_worked_by_hand():
    sure = np.array([0.95, 0.85, 0.85, 0.15])
    diagram = reliability(sure, np.array([True, True, False, False]), bins=2)
    assert diagram.counts.tolist() == [1, 3]
    assert diagram.confidence == pytest.approx([0.15, 2.65 / 3])
    assert diagram.accuracy == pytest.approx([0, 2 / 3])
    assert diagram.error == pytest.approx((0.15 + 0.65) / 4)


def test_a_confidence_on_an_edge_is_in_the_bin_below_and_empty_bins_have_no_value():
    diagram = reliability(np.array([0.0, 0.5, 1.0]), np.array([False, True, True]), bins=4)
    assert diagram.counts.tolist() == [1, 1, 0, 1]
    assert np.isnan([diagram.accuracy[2], diagram.confidence[2]]).all()
    assert diagram.error == pytest.approx(0.5 / 3)


@given(st.integers(0, 1000), st.integers(1, 12))
def test_bins_are_those_of_scikit_learn(seed, bins):
    rng = np.random.default_rng(seed)
    sure, right = rng.random(50).round(2), rng.random(50) < 0.5
    right[0] = not right[1]  # scikit-learn wants both outcomes
    diagram = reliability(sure, right, bins)
    accuracy, confidence = calibration_curve(right, sure, n_bins=bins)
    filled = diagram.counts > 0
    assert diagram.accuracy[filled] == pytest.approx(accuracy)
    assert diagram.confidence[filled] == pytest.approx(confidence)
    assert diagram.counts.sum() == 50


def test_brier_scores_are_those_of_scikit_learn():
    logits, labels = forecasts(n=200)
    probabilities = softmax(logits, axis=1)
    assert brier(probabilities, labels) == pytest.approx(
        np.mean([(brier_score_loss(labels == c, probabilities[:, c])) for c in range(3)]) * 3
    )


def test_brier_limits():
    right, wrong = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    zero = np.array([0])
    assert (brier(right, zero), brier(wrong, zero)) == (0, 2)
    assert brier(np.full((1, 2), 0.5), zero) == 0.5


def test_the_fitted_temperature_is_the_one_that_was_used():
    for scale in (0.5, 1.0, 2.0):
        logits, labels = forecasts(n=20_000, scale=scale)
        assert fit_temperature(logits, labels) == pytest.approx(1 / scale, rel=0.05)


def test_at_the_fitted_temperature_the_likelihood_does_not_move():
    logits, labels = forecasts(n=300, scale=0.3)
    T = fit_temperature(logits, labels)
    p = softmax(logits / T, axis=1)
    # d/d(1/T) of the log-likelihood: what the labels' logits are less what was expected.
    slope = logits[np.arange(300), labels].mean() - (p * logits).sum(axis=1).mean()
    assert abs(slope) < 1e-4
    assert (
        reliability(*judged(logits / T, labels)).error < reliability(*judged(logits, labels)).error
    )


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: reliability(np.zeros(0), np.zeros(0, dtype=bool)), "at least one prediction"),
        (lambda: reliability(np.ones(2), np.ones(1, dtype=bool)), "got 2 and 1"),
        (lambda: reliability(np.array([1.2]), np.array([True])), "between 0 and 1"),
        (lambda: reliability(np.array([np.nan]), np.array([True])), "between 0 and 1"),
        (lambda: reliability(np.array([0.2]), np.array([True]), 0), "bins must be at least 1"),
        (lambda: brier(np.zeros((0, 2)), np.zeros(0, dtype=int)), "at least one prediction"),
        (lambda: brier(np.array([[0.5, 0.5]]), np.array([2])), "labels lie in 0 … 1"),
        (lambda: brier(np.array([[0.5, 0.6]]), np.array([0])), "sums to 1"),
        (lambda: fit_temperature(np.array([[2.0, 1.0]]), np.array([0])), "every prediction is"),
        (lambda: fit_temperature(np.array([[np.inf, 1.0]]), np.array([1])), "finite"),
        (lambda: fit_temperature(np.ones((2, 2)), np.array([1])), "a label for each, got 2 and 1"),
    ],
)
def test_what_has_no_value_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
