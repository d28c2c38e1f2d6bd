"""word2vec's objectives, one training example at a time, with gradients derived by hand.

Every word has two vectors: v, used when it is the center word, and u, used when it stands
outside, in another word's window. Each loss below scores one center word (or one context) with
dot products u·v, turns the scores into a probability, and returns the negative logarithm of that
probability in nats, together with its gradient for every vector it was given.

`nlp_course.word2vec_training` trains on whole corpora with the same objectives in batches.

References
----------
Mikolov et al. 2013a, Efficient Estimation of Word Representations in Vector Space.
Mikolov et al. 2013b, Distributed Representations of Words and Phrases and their
Compositionality.
"""

import heapq
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.special import expit

from nlp_course.word2vec_examples import (
    cbow_examples,
    keep_probability,
    noise_distribution,
    skipgram_pairs,
    word_shares,
)

__all__ = [
    "CBOWGradients",
    "HierarchicalGradients",
    "HuffmanTree",
    "SkipGramGradients",
    "SoftmaxGradients",
    "cbow_examples",
    "cbow_negative_sampling_loss",
    "hierarchical_softmax_loss",
    "huffman_tree",
    "keep_probability",
    "log_sigmoid",
    "naive_softmax_loss",
    "negative_sampling_loss",
    "noise_distribution",
    "sigmoid",
    "skipgram_pairs",
    "softmax",
]


class SoftmaxGradients(NamedTuple):
    """Gradients of `naive_softmax_loss`: ∂J/∂v_c and ∂J/∂U, every outside vector."""

    center: Float[np.ndarray, "d"]
    outside_vectors: Float[np.ndarray, "vocabulary d"]


class SkipGramGradients(NamedTuple):
    """Gradients of `negative_sampling_loss`: ∂J/∂v_c, ∂J/∂u_o and ∂J/∂u_1 … ∂J/∂u_k."""

    center: Float[np.ndarray, "d"]
    outside: Float[np.ndarray, "d"]
    noise: Float[np.ndarray, "k d"]


class CBOWGradients(NamedTuple):
    """Gradients of `cbow_negative_sampling_loss`, in the order of its arguments."""

    context: Float[np.ndarray, "context d"]
    target: Float[np.ndarray, "d"]
    noise: Float[np.ndarray, "k d"]


class HierarchicalGradients(NamedTuple):
    """Gradients of `hierarchical_softmax_loss`: the center word and the nodes on the path."""

    center: Float[np.ndarray, "d"]
    nodes: Float[np.ndarray, "path d"]


def softmax(scores: Float[np.ndarray, "*batch n"]) -> Float[np.ndarray, "*batch n"]:
    """exp(s_i) / Σ_j exp(s_j), along the last axis.

    Adding a constant to every score changes nothing, so the largest is moved to 0 first: exp of
    a positive number may overflow, exp of a negative one may not.

    Examples
    --------
    >>> softmax(np.array([1000.0, 1000.0 + np.log(3.0)])).round(6)
    array([0.25, 0.75])
    """
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def sigmoid(scores: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """σ(x) = 1 / (1 + exp(−x)), without overflow at any x."""
    return np.asarray(expit(scores))


def log_sigmoid(scores: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """The logarithm of the sigmoid, log σ(x) = −log(1 + exp(−x)), in nats, without overflow.

    The logarithm of a rounded σ(x) is −∞ from about x = −745 down; this form is x there.

    Examples
    --------
    >>> log_sigmoid(np.array([-1000.0, 1000.0]))
    array([-1000.,    -0.])
    """
    return np.asarray(-np.logaddexp(0.0, -scores))


def naive_softmax_loss(
    center: Float[np.ndarray, "d"],
    outside_id: int,
    outside_vectors: Float[np.ndarray, "vocabulary d"],
) -> tuple[float, SoftmaxGradients]:
    """Loss of one skip-gram pair against the whole vocabulary, and its gradients.

    J = −log p(o|c), with p(w|c) = exp(u_w·v_c) / Σ_x exp(u_x·v_c)
    ∂J/∂v_c = Uᵀ(p − y) = Σ_x p(x|c) u_x − u_o: what is expected minus what is observed
    ∂J/∂U = (p − y) v_cᵀ, where y is 1 at o and 0 elsewhere

    Parameters
    ----------
    center : v_c, the center word's vector
    outside_id : o, the row of the word seen beside it
    outside_vectors : U, the outside vector of every word of the vocabulary

    Returns
    -------
    loss, in nats, and gradients with the arguments' shapes.

    Raises
    ------
    ValueError : the two do not share d.
    IndexError : o is not a row of U.

    References
    ----------
    Mikolov et al. 2013b, eq. 2.

    Examples
    --------
    >>> loss, gradients = naive_softmax_loss(np.zeros(2), 0, np.eye(4, 2))
    >>> print(f"{np.exp(loss):.2f}")
    4.00
    >>> gradients.center
    array([-0.75,  0.25])
    """
    _check_dimension(center, outside_vectors=outside_vectors)
    if not 0 <= outside_id < len(outside_vectors):
        raise IndexError(f"outside_id must lie in 0 … {len(outside_vectors) - 1}, got {outside_id}")
    scores = outside_vectors @ center  # (vocabulary,)
    error = softmax(scores)
    error[outside_id] -= 1.0  # p − y
    # log p from the scores: the logarithm of a probability rounded to 0 would be −∞.
    loss = float(np.logaddexp.reduce(scores) - scores[outside_id])
    return loss, SoftmaxGradients(
        center=outside_vectors.T @ error, outside_vectors=np.outer(error, center)
    )


def negative_sampling_loss(
    center: Float[np.ndarray, "d"],
    outside: Float[np.ndarray, "d"],
    noise: Float[np.ndarray, "k d"],
) -> tuple[float, SkipGramGradients]:
    """Loss of one skip-gram pair against k noise words, and its gradients.

    J = −log σ(u_o·v_c) − Σ_i log σ(−u_i·v_c), i = 1 … k
    ∂J/∂v_c = (σ(u_o·v_c) − 1) u_o + Σ_i σ(u_i·v_c) u_i
    ∂J/∂u_o = (σ(u_o·v_c) − 1) v_c,  ∂J/∂u_i = σ(u_i·v_c) v_c

    Parameters
    ----------
    center : v_c, the center word's vector
    outside : u_o, the vector of the word seen beside it
    noise : u_1 … u_k, vectors of words drawn from U(w)^{3/4}; repeats count each time

    Returns
    -------
    loss, in nats, and gradients with the arguments' shapes: where a word was drawn twice, the
    gradient of its one vector is the sum of the two rows.

    Raises
    ------
    ValueError : the three do not share d.

    References
    ----------
    Mikolov et al. 2013b, eq. 4.

    Examples
    --------
    >>> loss, gradients = negative_sampling_loss(np.zeros(2), np.ones(2), np.ones((3, 2)))
    >>> print(f"{loss / np.log(2):.2f}")
    4.00
    >>> gradients.center
    array([1., 1.])
    """
    _check_dimension(center, outside=outside, noise=noise)
    vectors = np.vstack([outside, noise])  # (1 + k, d)
    # The pair should score high, the noise low: the two kinds of term differ only in sign.
    signs = np.ones(len(vectors), dtype=vectors.dtype)
    signs[1:] = -1.0
    scores = signs * (vectors @ center)  # (1 + k,)
    slope = -signs * sigmoid(-scores)  # ∂J/∂(u·v_c), since ∂ log σ(x)/∂x = σ(−x)
    gradients = np.outer(slope, center)  # (1 + k, d)
    return -float(log_sigmoid(scores).sum()), SkipGramGradients(
        center=slope @ vectors, outside=gradients[0], noise=gradients[1:]
    )


def cbow_negative_sampling_loss(
    context: Float[np.ndarray, "context d"],
    target: Float[np.ndarray, "d"],
    noise: Float[np.ndarray, "k d"],
) -> tuple[float, CBOWGradients]:
    """Loss of predicting one word from the mean of its context, and its gradients.

    J = −log σ(u_t·h) − Σ_i log σ(−u_i·h), i = 1 … k, with h = (1/C) Σ_c v_c
    ∂J/∂v_c = (1/C) ∂J/∂h, the same for every context word

    Parameters
    ----------
    context : v_1 … v_C, the vectors of the words in the window
    target : u_t, the vector of the word in the middle, to be predicted
    noise : u_1 … u_k, vectors of words drawn from U(w)^{3/4}; repeats count each time

    Returns
    -------
    loss, in nats, and gradients with the arguments' shapes.

    Raises
    ------
    ValueError : the context is empty, or the three do not share d.

    References
    ----------
    Mikolov et al. 2013a, section 3.1, with the objective of Mikolov et al. 2013b, eq. 4.

    Examples
    --------
    >>> loss, gradients = cbow_negative_sampling_loss(np.zeros((4, 2)), np.ones(2), np.ones((3, 2)))
    >>> gradients.context[0]
    array([0.25, 0.25])
    """
    if len(context) == 0:
        raise ValueError("context must hold at least one vector, got none")
    loss, gradients = negative_sampling_loss(context.mean(axis=0), target, noise)
    shared = np.broadcast_to(gradients.center / len(context), context.shape).copy()
    return loss, CBOWGradients(context=shared, target=gradients.outside, noise=gradients.noise)


@dataclass(frozen=True)
class HuffmanTree:
    """A binary tree with the words at its leaves, frequent words near the root.

    paths : for each word the inner nodes from the root down to its leaf, as ids 0 … V − 2
    turns : for each word and each of these nodes +1 where the way goes left, −1 right
    """

    paths: tuple[Int[np.ndarray, "_"], ...]
    turns: tuple[Float[np.ndarray, "_"], ...]

    def __len__(self) -> int:
        """Number of words, one more than there are inner nodes."""
        return len(self.paths)


def huffman_tree(counts: Real[np.ndarray, "vocabulary"]) -> HuffmanTree:
    """Build the binary tree with the shortest mean path, by joining the two rarest again and again.

    Parameters
    ----------
    counts : how often each word occurs

    Raises
    ------
    ValueError : a negative count, no count above 0, or fewer than two words.

    References
    ----------
    Huffman 1952, A Method for the Construction of Minimum-Redundancy Codes.

    Examples
    --------
    >>> [len(path) for path in huffman_tree(np.array([8, 4, 2, 1])).paths]
    [1, 2, 3, 3]
    """
    word_shares(counts)
    words = len(counts)
    if words < 2:
        raise ValueError(f"a tree needs at least two words, got {words}")
    # Leaves are numbered 0 … V − 1, inner nodes V … 2V − 2 as they are made, so the root is last.
    # The number is also the tie-break: same counts, same tree.
    heap = [(count, node) for node, count in enumerate(counts.tolist())]
    heapq.heapify(heap)
    parent = np.zeros(2 * words - 1, dtype=np.int64)
    turn = np.zeros(2 * words - 1)
    for node in range(words, 2 * words - 1):
        right_count, right = heapq.heappop(heap)
        left_count, left = heapq.heappop(heap)
        parent[[left, right]] = node
        turn[[left, right]] = 1.0, -1.0
        heapq.heappush(heap, (left_count + right_count, node))

    # A child's number is below its parent's, so going down the numbers meets parents first.
    root = 2 * words - 2
    ways: dict[int, tuple[list[int], list[float]]] = {root: ([], [])}
    for node in range(root - 1, -1, -1):
        path, turns = ways[int(parent[node])]
        ways[node] = [*path, int(parent[node]) - words], [*turns, float(turn[node])]
    return HuffmanTree(
        paths=tuple(np.array(ways[word][0], dtype=np.int64) for word in range(words)),
        turns=tuple(np.array(ways[word][1]) for word in range(words)),
    )


def hierarchical_softmax_loss(
    center: Float[np.ndarray, "d"],
    nodes: Float[np.ndarray, "path d"],
    turns: Float[np.ndarray, "path"],
) -> tuple[float, HierarchicalGradients]:
    """Loss of walking from the root of a tree to one word, and its gradients.

    J = −Σ_n log σ(s_n h_n·v_c): at each node, left has probability σ(h_n·v_c), right the rest
    ∂J/∂h_n = −s_n σ(−s_n h_n·v_c) v_c

    About log₂ V nodes are touched instead of V words, and the probabilities of all words sum to
    1, because at every node those of the two ways do.

    Parameters
    ----------
    center : v_c, the center word's vector
    nodes : h_n, vectors of the inner nodes on the outside word's path, `tree.paths[o]`
    turns : s_n, +1 where the path goes left and −1 where it goes right, `tree.turns[o]`

    Returns
    -------
    loss, in nats, and gradients with the arguments' shapes.

    Raises
    ------
    ValueError : a turn is neither +1 nor −1, nodes and turns differ in number, or d differs.

    References
    ----------
    Morin and Bengio 2005, Hierarchical Probabilistic Neural Network Language Model;
    Mikolov et al. 2013b, eq. 3.

    Examples
    --------
    >>> loss, _ = hierarchical_softmax_loss(np.zeros(2), np.ones((3, 2)), np.array([1.0, -1, 1]))
    >>> print(f"{np.exp(-loss):.3f}")
    0.125
    """
    _check_dimension(center, nodes=nodes)
    if len(nodes) != len(turns):
        raise ValueError(f"each node needs one turn, got {len(nodes)} nodes, {len(turns)} turns")
    if not np.all(np.abs(turns) == 1.0):
        raise ValueError(f"turns must be +1 or -1, got {turns.tolist()}")
    scores = turns * (nodes @ center)  # (path,)
    slope = -turns * sigmoid(-scores)  # (path,)
    return -float(log_sigmoid(scores).sum()), HierarchicalGradients(
        center=slope @ nodes, nodes=np.outer(slope, center)
    )


def _check_dimension(center: Float[np.ndarray, "d"], **others: np.ndarray) -> None:
    for name, vectors in others.items():
        if vectors.shape[-1] != len(center):
            raise ValueError(
                f"{name} has dimension {vectors.shape[-1]}, the center word's vector {len(center)}"
            )
