"""Bootstrap intervals that cover what they should, and the association test by enumeration."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nlp_course import judging as ju
from nlp_course import similarity as si
from nlp_course.text import UnknownWordError, Vocabulary


def at_cosines(*columns):
    """Word vectors in which the cosine of ("base", "p3") is the third entry, for each column."""
    words = ("base", *(f"p{number}" for number in range(len(columns[0]))))
    vocabulary = Vocabulary(words, np.ones(len(words), dtype=int))
    return [
        si.WordVectors(
            vocabulary,
            np.vstack([[1.0, 0.0], np.column_stack([column, np.sqrt(1 - np.square(column))])]),
        )
        for column in columns
    ]


def rated(scores):
    return [("base", f"p{number}", float(score)) for number, score in enumerate(scores)]


def correlated(n, correlation, seed):
    rng = np.random.default_rng(seed)
    first, second = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], n).T
    return np.tanh(first), second  # as a cosine: between −1 and 1, ranks unchanged


def test_the_interval_of_a_mean_is_the_normal_one():
    sample = np.random.default_rng(0).normal(size=400)
    estimate, low, high = ju.bootstrap(lambda drawn: sample[drawn].mean(axis=1), 400, seed=1)
    assert estimate == pytest.approx(sample.mean())
    error = sample.std() / np.sqrt(400)
    assert low == pytest.approx(estimate - 1.96 * error, abs=0.12 * error)
    assert high == pytest.approx(estimate + 1.96 * error, abs=0.12 * error)


def test_the_interval_is_scipys_on_the_same_sample():
    sample = np.random.default_rng(2).exponential(size=80)
    ours = ju.bootstrap(lambda drawn: np.median(sample[drawn], axis=1), 80, resamples=5000)
    theirs = stats.bootstrap(
        (sample,), np.median, method="percentile", n_resamples=5000, rng=0
    ).confidence_interval
    assert ours[1:] == pytest.approx([theirs.low, theirs.high], abs=0.03)


def test_intervals_of_simulated_ratings_cover_the_true_correlation():
    truth = 0.5
    spearman = 6 / np.pi * np.arcsin(truth / 2)  # of the bivariate normal distribution
    covered = 0
    for seed in range(150):
        cosines, scores = correlated(100, truth, seed)
        (vectors,) = at_cosines(cosines)
        interval = ju.rating_interval(vectors, rated(scores), resamples=300, seed=seed)
        assert interval.low <= interval.estimate <= interval.high
        covered += interval.low <= spearman <= interval.high
    # 95 % of 150 is 142.5, with a standard deviation of 2.7.
    assert 134 <= covered <= 150


def test_the_estimate_is_the_correlation_and_the_seed_decides_the_rest():
    cosines, scores = correlated(60, 0.4, seed=3)
    (vectors,) = at_cosines(cosines)
    ratings = [*rated(scores), ("base", "nowhere", 1.0)]
    interval = ju.rating_interval(vectors, ratings, seed=5)
    assert interval.estimate == pytest.approx(si.rating_correlation(vectors, ratings).spearman)
    assert interval == ju.rating_interval(vectors, ratings, seed=5)
    assert interval[1:] != ju.rating_interval(vectors, ratings, seed=6)[1:]
    wider = ju.rating_interval(vectors, ratings, confidence=0.99, seed=5)
    assert wider.low < interval.low < interval.high < wider.high


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_spearman_of_each_row_is_scipys_with_ties(seed, values):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(values, size=(2, 12)).astype(float)
    drawn = rng.integers(12, size=(4, 12))
    ours = ju._spearman(first, second, drawn)
    for row, items in enumerate(drawn):
        one, two = first[items], second[items]
        if np.ptp(one) and np.ptp(two):
            assert ours[row] == pytest.approx(stats.spearmanr(one, two).statistic)
        else:
            assert np.isnan(ours[row])


def test_a_paired_difference_is_surer_than_two_intervals():
    cosines, scores = correlated(150, 0.6, seed=4)
    noisy = np.clip(cosines + np.random.default_rng(5).normal(scale=0.15, size=150), -1, 1)
    first, second = at_cosines(cosines, noisy)
    difference = ju.rating_difference(first, second, rated(scores))
    one, two = (ju.rating_interval(vectors, rated(scores)) for vectors in (first, second))
    assert difference.estimate == pytest.approx(one.estimate - two.estimate)
    width = difference.high - difference.low
    assert width < 0.6 * min(one.high - one.low, two.high - two.low)


def test_the_difference_of_vectors_to_themselves_is_zero():
    cosines, scores = correlated(40, 0.3, seed=6)
    first, second = at_cosines(cosines, cosines)
    assert ju.rating_difference(first, second, rated(scores))[:] == (0, 0, 0)


def test_a_difference_is_over_the_pairs_that_both_know():
    cosines, scores = correlated(30, 0.3, seed=7)
    (long,), (short,) = at_cosines(cosines), at_cosines(cosines[:20])
    difference = ju.rating_difference(long, short, rated(scores))
    assert difference.estimate == pytest.approx(0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resamples": 10}, "resamples must be at least 100, got 10"),
        ({"confidence": 95.0}, "confidence must lie between 0 and 1, got 95.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ju.bootstrap(lambda drawn: drawn.mean(axis=1), 20, **settings)


def test_too_little_to_draw_from_is_refused():
    with pytest.raises(ValueError, match="at least 2 items"):
        ju.bootstrap(lambda drawn: drawn.mean(axis=1), 1)
    with pytest.raises(ValueError, match="resamples have no value"):
        ju.bootstrap(lambda drawn: np.full(len(drawn), np.nan), 5)
    cosines, scores = correlated(9, 0.5, seed=8)
    (vectors,) = at_cosines(cosines)
    with pytest.raises(ValueError, match="at least 10 pairs whose words are known, got 9"):
        ju.rating_interval(vectors, [*rated(scores), ("base", "nowhere", 3.0)])
    with pytest.raises(ValueError, match="at least 10 pairs whose words are known, got 9"):
        ju.rating_difference(vectors, vectors, rated(scores))


X, Y, A, B = ("x1", "x2", "x3"), ("y1", "y2", "y3"), ("a1", "a2"), ("b1", "b2")


def with_points(**points):
    return si.WordVectors(
        Vocabulary(tuple(points), np.ones(len(points), dtype=int)), np.array(list(points.values()))
    )


@pytest.fixture
def opposed() -> si.WordVectors:
    """X lies on A, Y on B, at a right angle: as associated as words can be."""
    east = {word: [length, 0.0] for length, word in enumerate((*X, *A), 1)}
    north = {word: [0.0, length] for length, word in enumerate((*Y, *B), 1)}
    return with_points(**east, **north)


def test_association_is_the_difference_of_mean_cosines():
    vectors = with_points(w=[1.0, 0.0], a1=[1.0, 0.0], a2=[0.0, 1.0], b1=[-1.0, 0.0])
    # (1 + 0) / 2 − (−1)
    assert ju.word_association(vectors, ["w"], ["a1", "a2"], ["b1"]) == pytest.approx([1.5])


def test_opposed_words_have_the_largest_effect_and_the_smallest_p_value(opposed):
    result = ju.weat(opposed, X, Y, A, B)
    assert result.effect == pytest.approx(2)
    # Of the 20 splits of six words into three and three, only the given one reaches it.
    assert result.p_value == pytest.approx(1 / 20)
    assert result.exact
    other_way = ju.weat(opposed, Y, X, A, B)
    assert other_way.effect == pytest.approx(-2)
    assert other_way.p_value == 1
    # Either way round, the given split and the opposite one are as far from 0.
    assert result.two_sided == other_way.two_sided == pytest.approx(2 / 20)


@settings(max_examples=30)
@given(st.integers(0, 100_000))
def test_exact_p_value_by_enumeration(seed):
    rng = np.random.default_rng(seed)
    words = (*X, *Y, "y4", *A, *B)  # three and four: the sets need not be as large
    vectors = with_points(**{word: rng.normal(size=4).tolist() for word in words})
    y = (*Y, "y4")
    s = {
        w: np.mean([vectors.similarity(w, a) for a in A])
        - np.mean([vectors.similarity(w, b) for b in B])
        for w in (*X, *y)
    }

    def difference(chosen):
        rest = [s[w] for w in s if w not in chosen]
        return np.mean([s[w] for w in chosen]) - np.mean(rest)

    splits = [difference(chosen) for chosen in combinations(s, 3)]
    result = ju.weat(vectors, X, y, A, B)
    assert result.p_value == pytest.approx(np.mean(np.array(splits) >= difference(X) - 1e-12))
    assert result.effect == pytest.approx(difference(X) / np.std(list(s.values())))
    assert result.p_value == pytest.approx(
        stats.permutation_test(
            ([s[w] for w in X], [s[w] for w in y]),
            lambda first, second: np.mean(first) - np.mean(second),
            alternative="greater",
            n_resamples=1000,
        ).pvalue
    )
    far = np.abs(splits) >= abs(difference(X)) - 1e-12
    assert result.two_sided == pytest.approx(np.mean(far))


def test_without_association_p_values_are_uniform():
    p_values = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        words = (*X, *Y, *A, *B)
        vectors = with_points(**{word: rng.normal(size=6).tolist() for word in words})
        p_values.append(ju.weat(vectors, X, Y, A, B).p_value)
    assert np.mean(np.array(p_values) <= 0.25) == pytest.approx(0.25, abs=0.09)
    assert min(p_values) >= 1 / 20


def test_many_splits_are_sampled_near_the_exact_value(monkeypatch):
    rng = np.random.default_rng(11)
    x, y = [f"x{n}" for n in range(7)], [f"y{n}" for n in range(7)]
    points = {word: rng.normal(size=5).tolist() for word in (*x, *y, *A, *B)}
    vectors = with_points(**points)
    exact = ju.weat(vectors, x, y, A, B)
    monkeypatch.setattr(ju, "MOST_PARTITIONS", 10)
    sampled = ju.weat(vectors, x, y, A, B, permutations=20_000)
    assert (exact.exact, sampled.exact) == (True, False)
    assert sampled.effect == exact.effect
    assert sampled.p_value == pytest.approx(exact.p_value, abs=0.02)
    assert sampled.two_sided == pytest.approx(exact.two_sided, abs=0.02)
    assert ju.weat(vectors, x, y, A, B, seed=3) == ju.weat(vectors, x, y, A, B, seed=3)
    with pytest.raises(ValueError, match="permutations must be at least 1"):
        ju.weat(vectors, x, y, A, B, permutations=0)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ((X, ("y1", "x1"), A, B), "'x1' stands in x and in y"),
        ((X, Y, A, ("b1", "x2")), "'x2' stands in x and in b"),
        ((("x1", "x1"), Y, A, B), "'x1' stands in x and in x"),
        ((("x1",), Y, A, B), "x needs at least 2 words, got 1"),
        ((X, Y, A, ()), "b needs at least 1 words, got 0"),
    ],
)
def test_sets_that_are_no_test_are_refused(opposed, sets, message):
    with pytest.raises(ValueError, match=message):
        ju.weat(opposed, *sets)


def test_words_without_a_place_are_named(opposed):
    with pytest.raises(UnknownWordError, match="'unicorn' is not among the 10 words"):
        ju.weat(opposed, ("x1", "unicorn"), Y, A, B)
    with pytest.raises(ValueError, match="a has no words"):
        ju.word_association(opposed, X, (), B)
    points = dict(zip((*X, *Y, *A, *B), np.ones((10, 2)).tolist(), strict=True))
    with pytest.raises(ValueError, match="all words of x and y associate alike"):
        ju.weat(with_points(**points), X, Y, A, B)
    with pytest.raises(ValueError, match="has no direction"):
        ju.weat(with_points(**(points | {"x1": [0.0, 0.0]})), X, Y, A, B)
