"""Searching vectors: exactly, by a product with all, or in some clusters of them only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from nlp_course.retrieval import rank


class Nearest(NamedTuple):
    """The nearest vectors of each query, best first, and how many it was compared with.

    documents : −1 where there is none left
    scores : −∞ there
    compared : vectors that were looked at, for each query
    """

    documents: Int[np.ndarray, "query k"]
    scores: Float[np.ndarray, "query k"]
    compared: Int[np.ndarray, "query"]


@dataclass(frozen=True, eq=False)
class VectorIndex:
    """Exact search: each query's dot product with each vector.

    Parameters
    ----------
    vectors : of the documents

    Raises
    ------
    ValueError : there is no vector, or one is not finite.
    """

    vectors: Float[np.ndarray, "document d"]

    def __post_init__(self) -> None:
        if not len(self.vectors):
            raise ValueError("the index would be empty: give at least one vector")
        if not np.isfinite(self.vectors).all():
            raise ValueError("vectors must be finite: did training diverge?")

    def scores(self, queries: Float[np.ndarray, "query d"]) -> Float[np.ndarray, "query document"]:
        """Dot products, of cosines where vectors have length 1."""
        return queries @ self.vectors.T

    def search(self, queries: Float[np.ndarray, "query d"], k: int = 10) -> Nearest:
        """The k nearest of each query; of equal scores the smaller number comes first.

        Raises
        ------
        ValueError : k < 1.
        """
        every = np.arange(len(self.vectors))
        return _collect([(every, row) for row in self.scores(queries)], k)


class ClusteredIndex:
    """Approximate search: vectors in clusters, of which each query looks into the nearest few.

    A query is compared with all centers first, then with the vectors of `probes` clusters. What
    lies just beyond a border is missed: `probes` trades recall for work.

    Parameters
    ----------
    vectors : of the documents
    clusters : how many k-means makes of them
    seed : of k-means

    Attributes
    ----------
    centers : (cluster, d)
    members : the documents of each cluster

    Raises
    ------
    ValueError : as for `VectorIndex`; clusters outside 1 … number of vectors.

    References
    ----------
    Sivic and Zisserman 2003, Video Google. Jégou, Douze and Schmid 2011, Product Quantization for
    Nearest Neighbor Search, section IV, for the inverted file of vectors.
    """

    def __init__(
        self, vectors: Float[np.ndarray, "document d"], clusters: int, seed: int = 0
    ) -> None:
        from sklearn.cluster import KMeans

        self.exact = VectorIndex(vectors)
        if not 1 <= clusters <= len(vectors):
            raise ValueError(f"clusters must lie in 1 … {len(vectors)}, got {clusters}")
        # Far from converged, but the borders of clusters need not be exact.
        found = KMeans(clusters, n_init=1, max_iter=10, random_state=seed).fit(vectors)
        self.centers: Float[np.ndarray, "cluster d"] = found.cluster_centers_.astype(vectors.dtype)
        self.members = [np.flatnonzero(found.labels_ == cluster) for cluster in range(clusters)]

    def search(
        self, queries: Float[np.ndarray, "query d"], k: int = 10, probes: int = 1
    ) -> Nearest:
        """The k best that were found in the `probes` clusters whose centers are nearest.

        Centers are compared by distance, as k-means made them; `compared` counts them, too.

        Raises
        ------
        ValueError : k < 1, or probes outside 1 … number of clusters.
        """
        if not 1 <= probes <= len(self.centers):
            raise ValueError(f"probes must lie in 1 … {len(self.centers)}, got {probes}")
        # ‖x − c‖² without ‖x‖², which is the same for all centers.
        near = queries @ self.centers.T - (self.centers**2).sum(axis=1) / 2
        looked = []
        for query, row in zip(queries, near, strict=True):
            members = np.concatenate([self.members[cluster] for cluster in rank(row, probes)])
            members.sort()
            looked.append((members, self.exact.vectors[members] @ query))
        found = _collect(looked, k)
        return found._replace(compared=found.compared + len(self.centers))


def _collect(looked: list[tuple[Int[np.ndarray, "_"], Float[np.ndarray, "_"]]], k: int) -> Nearest:
    """The k best of the documents that each query was compared with."""
    documents = np.full((len(looked), k), -1)
    scores = np.full((len(looked), k), -np.inf)
    for row, (members, values) in enumerate(looked):
        best = rank(values, k)
        documents[row, : len(best)] = members[best]
        scores[row, : len(best)] = values[best]
    return Nearest(documents, scores, np.array([len(members) for members, _ in looked]))
