"""Linear probes beside scikit-learn, their control tasks, and correlations with intervals."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression

from nlp_course.interpretability_probes import (
    Probe,
    Selectivity,
    control_labels,
    correlation,
    fit_probe,
    selectivity,
)


def clouds(rows=300, classes=4, d=6, seed=0):
    """Points around a centre for each class, with overlap."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, d))
    labels = rng.integers(classes, size=rows)
    return centres[labels] + rng.normal(size=(rows, d)), labels


# Probes


@pytest.mark.parametrize(("classes", "penalty"), [(4, 0.01), (4, 0.3), (3, 1.0)])
def test_a_probe_is_the_penalized_softmax_regression_of_scikit_learn(classes, penalty):
    x, labels = clouds(classes=classes)
    probe = fit_probe(x, labels, classes=classes, penalty=penalty, steps=500)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    other = LogisticRegression(C=1 / (penalty * len(x)), tol=1e-9, max_iter=5000)
    other.fit(standard, labels)
    np.testing.assert_allclose(probe.weight, other.coef_, atol=2e-4)
    scores = probe.scores(x)
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    found = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, other.predict_proba(standard), atol=1e-4)
    np.testing.assert_array_equal(probe.predict(x), other.predict(standard))


def test_shares_of_zero_and_one_are_logistic_regression():
    x, labels = clouds(classes=2)
    probe = fit_probe(x, labels.astype(float), penalty=0.1, steps=500)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    other = LogisticRegression(C=1 / (0.1 * len(x)), tol=1e-9, max_iter=5000).fit(standard, labels)
    np.testing.assert_allclose(probe.estimate(x), other.predict_proba(standard)[:, 1], atol=1e-4)


def test_a_constant_share_is_estimated_as_itself():
    x, _ = clouds()
    np.testing.assert_allclose(fit_probe(x, np.full(len(x), 0.3)).estimate(x), 0.3, atol=1e-4)


@given(factor=st.floats(0.01, 100), shift=st.floats(-10, 10))
@settings(max_examples=10)
def test_units_of_the_vectors_do_not_matter(factor, shift):
    x, labels = clouds(rows=60)
    first, second = (fit_probe(v, labels, classes=4) for v in (x, factor * x + shift))
    np.testing.assert_allclose(second.scores(factor * x + shift), first.scores(x), atol=1e-3)


def test_a_number_that_is_the_same_in_all_rows_is_no_trouble():
    x, labels = clouds()
    x = np.hstack([x, np.ones((len(x), 1))])
    assert (fit_probe(x, labels, classes=4).predict(x) == labels).mean() > 0.6


# Control tasks


def test_control_labels_are_of_types_and_spread_over_classes():
    types = np.random.default_rng(0).integers(3000, size=6000)
    labels = control_labels(types, classes=5)
    for kind in range(20):
        assert len(set(labels[types == kind])) <= 1
    assert np.bincount(labels, minlength=5).min() > 1000
    assert (control_labels(types, 5, seed=1) != labels).mean() > 0.7
    np.testing.assert_array_equal(control_labels(types, 5), labels)


def test_what_is_in_the_vectors_is_selective_and_what_is_learned_by_heart_is_not():
    """Of few types with a place each a probe learns any labels; of many it needs the vectors'."""
    rng = np.random.default_rng(0)
    few = np.repeat(np.arange(8), 40)
    x = np.eye(8)[few] + 0.01 * rng.normal(size=(320, 8))
    order = rng.permutation(320)
    train, test = order[:200], order[200:]
    labels = few % 4
    easy = selectivity(
        (x[train], labels[train], few[train]), (x[test], labels[test], few[test]), classes=4
    )
    assert easy.accuracy > 0.99
    assert easy.control > 0.99
    assert abs(easy.difference) < 0.02
    x, labels = clouds(rows=600)
    many = np.arange(600) // 2  # two rows of each type
    first, second = slice(0, None, 2), slice(1, None, 2)
    hard = selectivity(
        (x[first], labels[first], many[first]), (x[second], labels[second], many[second]), 4
    )
    assert hard.accuracy > 0.6
    assert hard.control < 0.4
    assert hard.difference == pytest.approx(hard.accuracy - hard.control)


def test_difference_is_the_task_without_its_control():
    assert Selectivity(0.9, 0.3).difference == pytest.approx(0.6)


# Correlation


def test_correlation_is_pearsons():
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    y = 0.5 * x + rng.normal(size=80)
    found = correlation(x, y)
    exact = stats.pearsonr(x, y)
    assert found.estimate == pytest.approx(exact.statistic)
    low, high = exact.confidence_interval()
    assert found.low == pytest.approx(low, abs=0.06)
    assert found.high == pytest.approx(high, abs=0.06)


@given(seed=st.integers(0, 50), factor=st.floats(0.1, 10))
@settings(max_examples=10)
def test_correlation_has_no_units_turns_with_the_sign_and_does_not_mind_the_order(seed, factor):
    x, y = np.random.default_rng(seed).normal(size=(2, 30))
    r = correlation(x, y).estimate
    assert correlation(factor * x + 1, y).estimate == pytest.approx(r)
    assert correlation(-x, y).estimate == pytest.approx(-r)
    assert correlation(y, x).estimate == pytest.approx(r)
    assert correlation(x, x).estimate == pytest.approx(1)


# Bad input


def test_refuses_what_cannot_be_trained_on():
    x, labels = clouds(rows=10)
    with pytest.raises(ValueError, match=r"2 rows or more and a target for each: got 10 and 9"):
        fit_probe(x, labels[:9], classes=4)
    with pytest.raises(ValueError, match=r"targets must lie in 0 … 2, got 0 … 3"):
        fit_probe(x, np.array([0, 3] * 5), classes=3)
    with pytest.raises(ValueError, match=r"targets must lie in 0 … 1"):
        fit_probe(x, np.linspace(0, 1.1, 10))
    with pytest.raises(ValueError, match="penalty must be above 0"):
        fit_probe(x, labels, classes=4, penalty=0.0)
    with pytest.raises(ValueError, match="at least 1 class"):
        control_labels(labels, 0)


def test_refuses_other_vectors_and_several_outputs_as_a_share():
    probe = Probe(np.zeros((2, 3)), np.zeros(2), np.zeros(3), np.ones(3))
    with pytest.raises(ValueError, match="reads 3 numbers, got 4"):
        probe.scores(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="this probe has 2"):
        probe.estimate(np.zeros((1, 3)))


def test_refuses_correlations_of_too_little():
    with pytest.raises(ValueError, match="3 pairs or more"):
        correlation(np.arange(2.0), np.arange(2.0))
    with pytest.raises(ValueError, match="the same for all"):
        correlation(np.ones(5), np.arange(5.0))
