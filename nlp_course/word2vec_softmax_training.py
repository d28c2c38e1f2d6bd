"""Training skip-gram with a softmax over all words: the full one, and Huffman's tree.

Both give every word a probability, and all of them sum to 1, which negative sampling does not. The
full softmax touches all V outside vectors for each center word, the tree about log₂ V for each
pair.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Float, Int, Real

from nlp_course.word2vec import HuffmanTree, huffman_tree, log_sigmoid, sigmoid
from nlp_course.word2vec_corpus import (
    Blocks,
    Corpus,
    OnEpoch,
    Settings,
    StepLoss,
    WindowSampling,
    Word2Vec,
    initial_model,
    scatter_add,
    shorten,
    train,
    words_per_step,
)


def train_skipgram_softmax(
    sentences: Sequence[Int[np.ndarray, "_"]],
    counts: Real[np.ndarray, "vocabulary"],
    *,
    dimension: int = 100,
    window: int = 5,
    epochs: int = 5,
    learning_rate: float = 0.025,
    subsample: float | None = 1e-3,
    window_sampling: WindowSampling = "uniform",
    seed: int = 0,
    progress: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Word2Vec:
    """Train skip-gram with the full softmax, for vocabularies of at most a few thousand words.

    The loss is that of `word2vec.naive_softmax_loss`. A center word's scores serve its whole
    window, so the time goes into V products for each center word. Parameters, errors and result
    are those of `train_skipgram`, but for its noise and its workers.

    Examples
    --------
    >>> sentences = [np.array([0, 1, 2, 3, 4])] * 100
    >>> model = train_skipgram_softmax(sentences, np.full(5, 100), dimension=8, subsample=None)
    >>> model.outside.shape
    (5, 8)
    """
    settings = Settings(
        dimension, window, epochs, learning_rate, subsample, window_sampling, progress, on_epoch
    )
    corpus = Corpus(sentences, counts, settings)
    rng = np.random.default_rng(seed)
    vocabulary = len(counts)
    model = initial_model(vocabulary, vocabulary, dimension, rng)
    # Each pair adds what was observed and what was expected; 2²² scores are 16 MB.
    words = words_per_step(
        settings, corpus.top_share(), 2 * corpus.mean_window(), max(1, 2**22 // vocabulary)
    )
    return train(corpus, model, softmax_step, words, rng)


def softmax_step(
    model: Word2Vec, blocks: Blocks, rate: float, _rng: np.random.Generator
) -> StepLoss:
    """Move the vectors of some blocks, in place, by their gradients times the learning rate."""
    ids = blocks.center.reshape(-1)  # (words,)
    center = model.center[ids]  # (words, d)
    observed = outside_counts(blocks, len(model.outside))  # (words, vocabulary)
    pairs = observed.sum(axis=1, keepdims=True)  # (words, 1)
    scores = center @ model.outside.T  # (words, vocabulary)
    log_probability = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    error = observed - pairs * np.exp(log_probability)
    scatter_add(model.center, ids, error @ model.outside, rate)
    moves = np.float32(rate) * (error.T @ center)
    shorten(moves)
    model.outside[:] += moves
    return StepLoss(-float(np.vdot(observed, log_probability)), float(pairs.sum()))


def outside_counts(blocks: Blocks, vocabulary: int) -> Float[np.ndarray, "words vocabulary"]:
    """How often each word of the vocabulary stands in the window of each center word."""
    block, center, column = np.nonzero(blocks.inside)
    row = block * blocks.center.shape[1] + center
    cell = row * vocabulary + blocks.column[block, column]
    counted = np.bincount(cell, minlength=blocks.center.size * vocabulary)
    return counted.reshape(-1, vocabulary).astype(np.float32)


def train_skipgram_hierarchical(
    sentences: Sequence[Int[np.ndarray, "_"]],
    counts: Real[np.ndarray, "vocabulary"],
    *,
    dimension: int = 100,
    window: int = 5,
    epochs: int = 5,
    learning_rate: float = 0.025,
    subsample: float | None = 1e-3,
    window_sampling: WindowSampling = "uniform",
    seed: int = 0,
    progress: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Word2Vec:
    """Train skip-gram with hierarchical softmax over the Huffman tree of the counts.

    The loss is that of `word2vec.hierarchical_softmax_loss`. Parameters and errors are those of
    `train_skipgram`, but for its noise and its workers; `outside` holds the vectors of the tree's
    V − 1 inner nodes.

    Examples
    --------
    >>> sentences = [np.array([0, 1, 2, 3, 4])] * 100
    >>> model = train_skipgram_hierarchical(sentences, np.full(5, 100), dimension=8, subsample=None)
    >>> model.outside.shape
    (4, 8)
    """
    settings = Settings(
        dimension, window, epochs, learning_rate, subsample, window_sampling, progress, on_epoch
    )
    corpus = Corpus(sentences, counts, settings)
    rng = np.random.default_rng(seed)
    paths, turns = padded_paths(huffman_tree(counts))  # (vocabulary, longest)
    model = initial_model(len(counts), len(counts) - 1, dimension, rng)
    # Every pair passes the root.
    words = words_per_step(settings, 1.0, corpus.mean_window())
    step = partial(hierarchical_step, paths=paths, turns=turns)
    return train(corpus, model, step, words, rng)


def hierarchical_step(
    model: Word2Vec,
    blocks: Blocks,
    rate: float,
    _rng: np.random.Generator,
    *,
    paths: Int[np.ndarray, "vocabulary longest"],
    turns: Float[np.ndarray, "vocabulary longest"],
) -> StepLoss:
    """Move the vectors of some blocks, in place, by their gradients times the learning rate."""
    block, place, column = np.nonzero(blocks.inside)
    center, outside = blocks.center[block, place], blocks.column[block, column]  # (pairs,)
    path, turn = paths[outside], turns[outside]  # (pairs, longest)
    v, nodes = model.center[center], model.outside[path]  # (pairs, d), (pairs, longest, d)
    scores = turn * np.matmul(nodes, v[:, :, None])[:, :, 0]  # (pairs, longest)
    slope = turn * sigmoid(-scores)  # 0 where a path has ended
    scatter_add(model.center, center, np.matmul(slope[:, None, :], nodes)[:, 0], rate)
    scatter_add(model.outside, path, slope[:, :, None] * v[:, None, :], rate)
    loss = -np.vdot(np.abs(turn), log_sigmoid(scores))
    return StepLoss(float(loss), float(len(center)))


def padded_paths(
    tree: HuffmanTree,
) -> tuple[Int[np.ndarray, "vocabulary longest"], Float[np.ndarray, "vocabulary longest"]]:
    """All paths and turns of a tree as two arrays; past a path's end node 0 with turn 0."""
    longest = max(len(path) for path in tree.paths)
    paths = np.zeros((len(tree), longest), dtype=np.int64)
    turns = np.zeros((len(tree), longest), dtype=np.float32)
    for word, (path, turn) in enumerate(zip(tree.paths, tree.turns, strict=True)):
        paths[word, : len(path)] = path
        turns[word, : len(turn)] = turn
    return paths, turns
