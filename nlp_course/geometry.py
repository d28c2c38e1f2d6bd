"""Where words lie: a map that keeps neighbours, and a space in which all directions vary alike."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def neighbour_map(
    vectors: Float[np.ndarray, "n d"], perplexity: float | int = 30.0, seed: int = 0
) -> Float[np.ndarray, "n 2"]:
    """A flat map that keeps near points near, by t-SNE; only who is near to whom is to be read.

    Other than in `similarity.project`, the distance between groups, their size and the axes mean
    nothing, and another perplexity gives another map. Give vectors of length 1, such as rows of
    `WordVectors.unit`, to have near mean of large cosine. The start is the map of PCA.

    Parameters
    ----------
    perplexity : about how many neighbours each point is to be kept near to
    seed : of the solver that finds the start; same seed, same map

    Raises
    ------
    ValueError : perplexity is below 1 or not below n, or a vector is not finite.

    References
    ----------
    van der Maaten and Hinton 2008, Visualizing Data using t-SNE.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if not 1 <= perplexity < len(vectors):
        raise ValueError(
            f"perplexity must be at least 1 and below {len(vectors)}, the number of points, "
            f"got {perplexity}"
        )
    _check_finite(vectors)
    tsne = TSNE(perplexity=float(perplexity), init="pca", random_state=seed)
    # Threads add up in an order of their own, and rounding would lead to another map each time.
    with threadpool_limits(1):
        return np.asarray(tsne.fit_transform(vectors))


def whiten(vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """The vectors with mean 0 and covariance I: z = Σ^(−1/2) (x − mean).

    Of all the maps that do this, the symmetric one, which moves the points least. In it a
    direction's length says how unusual it is, not how much the vectors happen to spread along it.

    Raises
    ------
    ValueError : a vector is not finite, or there are not enough different vectors for d directions.

    References
    ----------
    Park et al. 2025, The Geometry of Categorical and Hierarchical Concepts in Large Language
    Models, for its use on the vectors of words.

    Examples
    --------
    >>> z = whiten(np.random.default_rng(0).normal(size=(50, 2)) * [1, 10] + 5)
    >>> np.cov(z.T, bias=True).round(6) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """
    _check_finite(vectors)
    centred = vectors - vectors.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred / len(vectors))  # rising
    if not variances[0] > 1e-10 * variances[-1]:
        raise ValueError(
            f"{len(vectors)} vectors do not vary in all {len(variances)} directions: give more of "
            "them, or fewer dimensions"
        )
    return np.asarray(centred @ (directions / np.sqrt(variances)) @ directions.T)


def _check_finite(vectors: Float[np.ndarray, "n d"]) -> None:
    if not np.all(np.isfinite(vectors)):
        raise ValueError("vectors must be finite: did training diverge?")
