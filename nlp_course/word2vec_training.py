"""Training word2vec on a corpus: skip-gram and CBOW with negative sampling, in blocks.

The textbook form takes one pair at a time, with k noise words of its own. Nearly all its time goes
into fetching and storing single vectors. Here 32 neighbouring center words form a block: their
windows overlap, so 32 + 2·window columns hold every outside word of all of them, and 32 noise
words, weighted down to k for each pair, serve the whole block. Scores and gradients of a block are
then three matrix products, and in expectation over the noise the gradient is the textbook's.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Real

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
    train,
    words_per_step,
)
from nlp_course.word2vec_examples import noise_distribution
from nlp_course.word2vec_softmax_training import (
    train_skipgram_hierarchical,
    train_skipgram_softmax,
)

__all__ = [
    "Word2Vec",
    "train_cbow",
    "train_skipgram",
    "train_skipgram_hierarchical",
    "train_skipgram_softmax",
]

SHARED_NOISE = 32  # noise words that a block shares


class NoiseTable:
    """Draws noise words: a table where each word fills its share of 2²⁰ cells.

    Looking up a random cell is several times as fast as searching the cumulative distribution for
    a random number. A word is drawn with its probability, rounded to 1 / 2²⁰.
    """

    def __init__(self, probability: Float[np.ndarray, "vocabulary"]) -> None:
        cells = 1 << 20
        middle = (np.arange(cells) + 0.5) / cells
        self.words = np.searchsorted(np.cumsum(probability), middle)
        # Rounding may leave the cumulative distribution's last value just below the last cell.
        np.minimum(self.words, len(probability) - 1, out=self.words)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Int[np.ndarray, "..."]:
        return self.words[rng.integers(0, len(self.words), shape)]


class Answers(NamedTuple):
    """Yes-or-no answers to questions of which some count more than others.

    error : y − p, what is right minus what is believed
    weight : how much a question counts
    """

    error: Float[np.ndarray, "block row column"]
    weight: Float[np.ndarray, "block row column"]

    def loss(self) -> float:
        """J = Σ weight · (−log likelihood), in nats: a tenth of a step's time, if it is asked for.

        A term is at most 16: the loss tells how training goes, and single precision has no more.
        """
        likelihood = np.maximum(1.0 - np.abs(self.error), np.float32(1e-7))
        return -float(np.vdot(self.weight, np.log(likelihood)))


class BlockGradients(NamedTuple):
    """−∂J/∂v and −∂J/∂u for every place of a batch of blocks, and the answers that J judges."""

    center: Float[np.ndarray, "block center d"]
    outside: Float[np.ndarray, "block column_and_noise d"]
    answers: Answers


class CBOWBlockGradients(NamedTuple):
    """−∂J/∂v and −∂J/∂u for every place of a batch of blocks, and the answers that J judges."""

    context: Float[np.ndarray, "block column d"]
    target: Float[np.ndarray, "block center d"]
    noise: Float[np.ndarray, "block noise d"]
    answers: Answers


def skipgram_gradients(
    center: Float[np.ndarray, "block center d"],
    outside: Float[np.ndarray, "block column_and_noise d"],
    inside: Bool[np.ndarray, "block center column"],
    negatives: int,
) -> BlockGradients:
    """Negative-sampling gradients of whole blocks: of every center word with all its window.

    J = −Σ_(c,o) [log σ(u_o·v_c) + (k / N) Σ_n log σ(−u_n·v_c)], over the pairs inside the windows
    and the block's N noise words

    Parameters
    ----------
    center : v, vectors of the blocks' center words
    outside : u, vectors of the words in the columns, then of the shared noise words
    inside : which columns are outside words of which center word
    negatives : k, noise words a pair

    Returns
    -------
    The directions in which J falls, with the arguments' shapes.
    """
    columns = inside.shape[2]
    shared = outside.shape[1] - columns
    pairs = inside.sum(axis=2, dtype=np.float32)  # (block, center)
    weight = np.empty((*outside.shape[:2], center.shape[1]), dtype=np.float32)
    weight[:, :columns] = inside.swapaxes(1, 2)
    weight[:, columns:] = (pairs * (negatives / shared))[:, None]

    # Copied, the turned vectors are next to one another, and the product takes two thirds as long.
    scores = outside @ center.swapaxes(1, 2).copy()  # (block, column_and_noise, center)
    error = -1.0 / (1.0 + np.exp(-scores))
    error[:, :columns] += 1.0
    slope = error * weight  # −∂J/∂score
    answers = Answers(error, weight)
    return BlockGradients(slope.swapaxes(1, 2) @ outside, slope @ center, answers)


def cbow_gradients(
    context: Float[np.ndarray, "block column d"],
    target: Float[np.ndarray, "block center d"],
    noise: Float[np.ndarray, "block noise d"],
    inside: Bool[np.ndarray, "block center column"],
    negatives: int,
) -> CBOWBlockGradients:
    """Negative-sampling gradients of whole blocks, each word predicted from its window's mean.

    J = −Σ_t [log σ(u_t·h_t) + (k / N) Σ_n log σ(−u_n·h_t)], where h_t is the mean of the context
    vectors inside t's window and n goes through the block's N noise words

    Parameters
    ----------
    context : v, vectors of the words in the blocks' columns
    target : u_t, vectors of the blocks' center words, each to be predicted
    noise : u_n, vectors of the shared noise words
    inside : which columns are context words of which target
    negatives : k, noise words a target

    Returns
    -------
    The directions in which J falls, with the arguments' shapes.
    """
    words = inside.sum(axis=2, dtype=np.float32)  # (block, center) context words of each target
    share = inside / np.maximum(words, 1.0)[..., None]  # (block, center, column)
    mean = share @ context  # (block, center, d)
    scores = np.concatenate(
        [(mean * target).sum(axis=2, keepdims=True), mean @ noise.swapaxes(1, 2)], axis=2
    )  # (block, center, 1 + noise)
    weight = np.full_like(scores, negatives / noise.shape[1])
    weight[..., 0] = 1.0
    weight *= (words > 0)[..., None]

    error = -1.0 / (1.0 + np.exp(-scores))
    error[..., 0] += 1.0
    slope = error * weight  # −∂J/∂score
    positive, negative = slope[..., :1], slope[..., 1:]
    mean_gradient = positive * target + negative @ noise  # (block, center, d)
    return CBOWBlockGradients(
        context=share.swapaxes(1, 2) @ mean_gradient,
        target=positive * mean,
        noise=negative.swapaxes(1, 2) @ mean,
        answers=Answers(error, weight),
    )


def train_skipgram(
    sentences: Sequence[Int[np.ndarray, "_"]],
    counts: Real[np.ndarray, "vocabulary"],
    *,
    dimension: int = 100,
    window: int = 5,
    negatives: int = 5,
    epochs: int = 5,
    learning_rate: float = 0.025,
    subsample: float | None = 1e-3,
    noise_power: float = 0.75,
    window_sampling: WindowSampling = "uniform",
    seed: int = 0,
    workers: int = 1,
    progress: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Word2Vec:
    """Train skip-gram with negative sampling (SGNS).

    Every word predicts each word of its window against k noise words, with the loss of
    `word2vec.negative_sampling_loss`, in blocks that share their noise words.

    Parameters
    ----------
    sentences : arrays of word ids; windows do not cross from one to the next
    counts : how often each word of the vocabulary occurs, for noise and subsampling
    dimension : d, numbers in a vector
    window : how many words to the left and right are looked at, at most
    negatives : k, noise words for each pair
    epochs : how many times to go through the corpus
    learning_rate : at the start; it falls linearly to 0. In one step no vector moves further than 1
    subsample : threshold t of `word2vec.keep_probability`; None keeps every occurrence
    noise_power : exponent of `word2vec.noise_distribution`
    window_sampling : "uniform" draws each center word's window from 1 … window, as word2vec does,
        so that near words count more; "fixed" always uses the whole window
    seed : same seed, same vectors, with one worker
    workers : processes that train the same vectors side by side, each with its part of the corpus.
        Where there is a processor for it, a second makes training about half as fast again
    progress : show a progress bar, in words of the corpus
    on_epoch : called after each epoch with its number from 1, the model so far (copy what you
        keep: its arrays go on being trained) and the epoch's mean loss a pair, in nats

    Returns
    -------
    center and outside vectors, in single precision; the center vectors are the embeddings.

    Raises
    ------
    ValueError : a setting out of range, bad counts, a vocabulary of one word, no sentence of two
        words, an id outside the vocabulary, or a learning rate that is known to diverge.
    FloatingPointError : training diverged.

    Notes
    -----
    With noise_power=1, subsample=None, window_sampling="fixed" and d ≥ V, u_o·v_c tends to
    PMI(c, o) − log k for the pairs that occur. PMI is then of pair counts, so give as `counts`
    how many pairs each word is in, the row sums of `cooccurrence.window_counts`.

    References
    ----------
    Mikolov et al. 2013, Distributed Representations of Words and Phrases and their
    Compositionality, section 2.2. Levy and Goldberg 2014, Neural Word Embedding as Implicit Matrix
    Factorization, for the note. Ji et al. 2016, Parallelizing Word2Vec in Shared and Distributed
    Memory, for sharing noise words. Recht et al. 2011, Hogwild!, for workers without locks.

    Examples
    --------
    >>> sentences = [np.array([0, 1, 2, 3, 4])] * 100  # Hope can set you free
    >>> model = train_skipgram(sentences, np.full(5, 100), dimension=8, window=1, subsample=None)
    >>> model.center.shape
    (5, 8)
    """
    settings = Settings(
        dimension,
        window,
        epochs,
        learning_rate,
        subsample,
        window_sampling,
        progress,
        on_epoch,
        workers,
    )
    check_negatives(negatives)
    corpus = Corpus(sentences, counts, settings)
    rng = np.random.default_rng(seed)
    noise = NoiseTable(noise_distribution(counts, noise_power))
    model = initial_model(len(counts), len(counts), dimension, rng)
    terms = corpus.mean_window() * (1 + negatives)
    words = words_per_step(settings, corpus.top_share(), terms)
    told = on_epoch is not None
    step = partial(skipgram_step, noise=noise, negatives=negatives, told=told)
    return train(corpus, model, step, words, rng)


def skipgram_step(
    model: Word2Vec,
    blocks: Blocks,
    rate: float,
    rng: np.random.Generator,
    *,
    noise: NoiseTable,
    negatives: int,
    told: bool,
) -> StepLoss:
    """Move the vectors of some blocks, in place, by their gradients times the learning rate.

    The loss is 0 where nobody is to be told of it.
    """
    shared = noise.draw((len(blocks.center), SHARED_NOISE), rng)
    outside = np.concatenate([blocks.column, shared], axis=1)  # (block, column_and_noise)
    gradients = skipgram_gradients(
        model.center.take(blocks.center, axis=0),
        model.outside.take(outside, axis=0),
        blocks.inside,
        negatives,
    )
    scatter_add(model.center, blocks.center, gradients.center, rate)
    scatter_add(model.outside, outside, gradients.outside, rate)
    return StepLoss(gradients.answers.loss() if told else 0.0, float(blocks.inside.sum()))


def train_cbow(
    sentences: Sequence[Int[np.ndarray, "_"]],
    counts: Real[np.ndarray, "vocabulary"],
    *,
    dimension: int = 100,
    window: int = 5,
    negatives: int = 5,
    epochs: int = 5,
    learning_rate: float = 0.1,
    subsample: float | None = 1e-3,
    noise_power: float = 0.75,
    window_sampling: WindowSampling = "uniform",
    seed: int = 0,
    workers: int = 1,
    progress: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Word2Vec:
    """Train CBOW with negative sampling: the mean of a window predicts the word in its middle.

    The loss is that of `word2vec.cbow_negative_sampling_loss`, in blocks that share their noise
    words. Parameters, errors and result are those of `train_skipgram`, except that k noise words
    go with each target, not with each pair; `center` holds the context words' vectors, which are
    the embeddings, and `outside` those of the predicted words.

    Each context word gets its share, 1/C, of the gradient of the mean. word2vec's C program gives
    it the whole, C times as much, from a learning rate of 0.05; hence the larger rate here.

    References
    ----------
    Mikolov et al. 2013, Efficient Estimation of Word Representations in Vector Space, section 3.1.

    Examples
    --------
    >>> sentences = [np.array([0, 1, 2, 3, 4])] * 100
    >>> model = train_cbow(sentences, np.full(5, 100), dimension=8, window=2, subsample=None)
    >>> model.outside.shape
    (5, 8)
    """
    settings = Settings(
        dimension,
        window,
        epochs,
        learning_rate,
        subsample,
        window_sampling,
        progress,
        on_epoch,
        workers,
    )
    check_negatives(negatives)
    corpus = Corpus(sentences, counts, settings)
    rng = np.random.default_rng(seed)
    noise = NoiseTable(noise_distribution(counts, noise_power))
    model = initial_model(len(counts), len(counts), dimension, rng)
    words = words_per_step(settings, corpus.top_share(), 1.0 + negatives)
    told = on_epoch is not None
    step = partial(cbow_step, noise=noise, negatives=negatives, told=told)
    return train(corpus, model, step, words, rng)


def cbow_step(
    model: Word2Vec,
    blocks: Blocks,
    rate: float,
    rng: np.random.Generator,
    *,
    noise: NoiseTable,
    negatives: int,
    told: bool,
) -> StepLoss:
    """Move the vectors of some blocks, in place, by their gradients times the learning rate.

    The loss is 0 where nobody is to be told of it.
    """
    shared = noise.draw((len(blocks.center), SHARED_NOISE), rng)
    gradients = cbow_gradients(
        model.center.take(blocks.column, axis=0),
        model.outside.take(blocks.center, axis=0),
        model.outside.take(shared, axis=0),
        blocks.inside,
        negatives,
    )
    scatter_add(model.center, blocks.column, gradients.context, rate)
    scatter_add(
        model.outside,
        np.concatenate([blocks.center, shared], axis=1),
        np.concatenate([gradients.target, gradients.noise], axis=1),
        rate,
    )
    number = float(blocks.inside.any(axis=2).sum())
    return StepLoss(gradients.answers.loss() if told else 0.0, number)


def check_negatives(negatives: int) -> None:
    if negatives < 1:
        raise ValueError(f"negatives must be at least 1, got {negatives}")
