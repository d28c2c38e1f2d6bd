"""Whitening and neighbour maps."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from nlp_course import geometry as ge


def test_whitened_vectors_vary_alike_in_all_directions():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) + rng.normal(size=6)
    z = ge.whiten(vectors)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(np.cov(z.T, bias=True), np.eye(6), atol=1e-8)


def test_whitening_is_scikit_learns_up_to_a_rotation():
    vectors = np.random.default_rng(1).normal(size=(200, 4)) * [1, 2, 3, 4]
    theirs = PCA(whiten=True).fit_transform(vectors) * np.sqrt(200 / 199)  # n, not n − 1
    ours = ge.whiten(vectors)
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-8)


def test_whitening_leaves_white_points_where_they_are_and_forgets_scale():
    z = ge.whiten(np.random.default_rng(2).normal(size=(100, 3)))
    np.testing.assert_allclose(ge.whiten(z), z, atol=1e-10)
    np.testing.assert_allclose(ge.whiten(7 * z + 3), z, atol=1e-10)


def test_vectors_that_span_too_little_are_refused():
    with pytest.raises(ValueError, match="do not vary in all 4 directions"):
        ge.whiten(np.random.default_rng(3).normal(size=(4, 4)))
    with pytest.raises(ValueError, match="finite"):
        ge.whiten(np.array([[1.0, np.nan], [0.0, 1.0]]))


def clusters(count=3, size=20):
    rng = np.random.default_rng(4)
    centers = 10 * np.eye(count, 5)
    points = np.repeat(centers, size, axis=0) + rng.normal(size=(count * size, 5))
    return points, np.repeat(np.arange(count), size)


def test_the_map_keeps_neighbours_together():
    points, cluster = clusters()
    places = ge.neighbour_map(points, perplexity=10)
    assert places.shape == (60, 2)
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (cluster[distances.argmin(axis=1)] == cluster).all()


def test_the_map_is_the_same_for_the_same_seed():
    points, _ = clusters()
    first, second = (ge.neighbour_map(points, perplexity=10, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("perplexity", [0.5, 60])
def test_a_perplexity_that_does_not_fit_is_refused(perplexity):
    points, _ = clusters()
    with pytest.raises(ValueError, match="at least 1 and below 60, the number of points"):
        ge.neighbour_map(points, perplexity=perplexity)


def test_a_point_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="finite"):
        ge.neighbour_map(np.full((10, 2), np.nan), perplexity=3)
