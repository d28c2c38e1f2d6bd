"""What all word2vec trainers share: the corpus as a stream, its windows, the training loop."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int, Real
from joblib import Parallel, delayed
from scipy.sparse import csc_array
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from nlp_course.word2vec_examples import keep_probability, word_shares

WindowSampling: TypeAlias = Literal["uniform", "fixed"]


@dataclass(frozen=True)
class Word2Vec:
    """Two vectors for each word of a vocabulary.

    center : (V, d) the vectors of words that see a window, v for skip-gram: the embeddings. CBOW
        sees its window through the words in it, so there they are the context words' vectors.
    outside : (V, d) the vectors of the words that are predicted, u; with hierarchical softmax
        (V − 1, d), one for each inner node of the tree.
    """

    center: Float[np.ndarray, "vocabulary d"]
    outside: Float[np.ndarray, "predicted d"]


# Called after each epoch with its number from 1, the model so far (the arrays that go on being
# trained: copy what you keep) and the epoch's mean loss a pair (CBOW: a target), in nats.
OnEpoch: TypeAlias = Callable[[int, Word2Vec, float], object]


@dataclass(frozen=True)
class Settings:
    """What every trainer is told, checked once; see `train_skipgram` for the meaning of each."""

    dimension: int
    window: int
    epochs: int
    learning_rate: float
    subsample: float | None
    window_sampling: WindowSampling
    progress: bool
    on_epoch: OnEpoch | None
    workers: int = 1

    def __post_init__(self) -> None:
        for name in ("dimension", "window", "epochs", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}")
        if self.window_sampling not in ("uniform", "fixed"):
            raise ValueError(
                f"window_sampling must be 'uniform' or 'fixed', got {self.window_sampling!r}"
            )


class Stream(NamedTuple):
    """All sentences one after another: word ids, and how far each word sees inside its sentence."""

    words: Int[np.ndarray, "tokens"]
    left: Int[np.ndarray, "tokens"]
    right: Int[np.ndarray, "tokens"]


class Corpus:
    """Sentences flattened once, from which each epoch draws its own stream.

    Raises
    ------
    ValueError : fewer than two words in the vocabulary, bad counts, an id outside the vocabulary,
        no sentence of two words, so that there is no pair to learn from, or subsampling that
        leaves no two words.
    """

    def __init__(
        self,
        sentences: Sequence[Int[np.ndarray, "_"]],
        counts: Real[np.ndarray, "vocabulary"],
        settings: Settings,
    ) -> None:
        shares = word_shares(counts)
        if len(counts) < 2:
            raise ValueError(f"the vocabulary needs at least two words, got {len(counts)}")
        lengths = np.array([len(sentence) for sentence in sentences], dtype=np.int64)
        if not np.any(lengths > 1):
            raise ValueError("the corpus has no sentence of two words, so no pair to learn from")
        self.words = np.concatenate(sentences).astype(np.int64)  # (tokens,)
        if self.words.min() < 0 or self.words.max() >= len(counts):
            raise ValueError(
                f"ids must lie in 0 … {len(counts) - 1}, one for each count; "
                f"got {self.words.min()} … {self.words.max()}"
            )
        self.sentence = np.repeat(np.arange(len(lengths)), lengths)  # (tokens,)
        self.settings = settings
        if settings.subsample is None:
            self.keep = np.ones_like(shares)
        else:
            self.keep = keep_probability(counts, settings.subsample)
            expected = self.keep[self.words].sum()
            if expected < 2:
                raise ValueError(
                    f"subsample {settings.subsample} leaves about {expected:.1f} of the corpus's "
                    f"{len(self.words)} words: choose a larger threshold, or None to keep all"
                )

    @property
    def vocabulary_size(self) -> int:
        return len(self.keep)

    def top_share(self) -> float:
        """The largest share that one word has of the stream, after subsampling."""
        expected = np.bincount(self.words) * self.keep[: self.words.max() + 1]
        return float(expected.max() / expected.sum())

    def mean_window(self) -> float:
        """How many outside words a center word has at most, on average over the window sizes."""
        window = self.settings.window
        return float(2 * window if self.settings.window_sampling == "fixed" else window + 1)

    def parts(self, number: int) -> list[Corpus]:
        """The corpus cut between sentences, as equally as these allow; a part may be empty."""
        quiet = replace(self.settings, progress=False, on_epoch=None)  # that is for the whole
        places = np.linspace(0, len(self.words), number + 1).astype(np.int64)[1:-1]
        # Where the sentence of each place begins or ends, whichever is nearer.
        begins = np.searchsorted(self.sentence, self.sentence[places], "left")
        ends = np.searchsorted(self.sentence, self.sentence[places], "right")
        cuts = np.where(places - begins <= ends - places, begins, ends)
        parts = []
        for words, sentence in zip(
            np.split(self.words, cuts), np.split(self.sentence, cuts), strict=True
        ):
            part = copy(self)
            part.words, part.sentence, part.settings = words, sentence, quiet
            parts.append(part)
        return parts

    def stream(self, rng: np.random.Generator) -> Stream:
        """Subsample, then give every word a window cut at the ends of its sentence.

        Words are dropped before windows are laid, as in word2vec's C program, so a window reaches
        further where frequent words fell out. "uniform" draws each window's size from
        1 … window, which weights near words more than distant ones.
        """
        kept: Bool[np.ndarray, "tokens"] = rng.random(len(self.words)) < self.keep[self.words]
        words, sentence = self.words[kept], self.sentence[kept]
        starts = np.flatnonzero(np.diff(sentence, prepend=-1))
        lengths = np.diff(starts, append=len(words))
        before = np.arange(len(words)) - np.repeat(starts, lengths)  # words to the left
        after = np.repeat(lengths, lengths) - 1 - before
        size: Any = self.settings.window
        if self.settings.window_sampling == "uniform":
            size = rng.integers(1, self.settings.window + 1, len(words))
        return Stream(words, np.minimum(before, size), np.minimum(after, size))


BLOCK = 32  # center words in a block, where a step may take as many


class Blocks(NamedTuple):
    """Blocks of neighbouring center words, and the columns that their windows look at.

    center : ids of the center words
    column : ids of the words from `window` places before a block to `window` places after it
    inside : whether a column holds an outside word of a center word
    """

    center: Int[np.ndarray, "block center"]
    column: Int[np.ndarray, "block column"]
    inside: Bool[np.ndarray, "block center column"]


class Batch(NamedTuple):
    """Part of an epoch: what a step needs, and how many of the stream's words it covers."""

    examples: Blocks
    words: int


def blocks_of(stream: Stream, window: int, words: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Cut the stream into blocks, and deal out about `words` center words at a time, shuffled.

    The last block is filled up with center words that have no outside words, and so no gradient.
    """
    if len(stream.words) == 0:  # subsampling may leave nothing of a very small corpus
        return
    size = min(BLOCK, words)
    per_step = words // size
    count = -(-len(stream.words) // size)
    missing = count * size - len(stream.words)
    padded = np.pad(stream.words, (window, window + missing))
    columns = np.lib.stride_tricks.sliding_window_view(padded, size + 2 * window)[::size]
    left = np.pad(stream.left, (0, missing)).reshape(count, size)
    right = np.pad(stream.right, (0, missing)).reshape(count, size)
    # Center word i of a block stands in column window + i.
    distance = np.arange(size + 2 * window) - window - np.arange(size)[:, None]  # (center, column)
    order = rng.permutation(count)
    for start in range(0, count, per_step):
        chosen = order[start : start + per_step]
        column = columns[chosen]
        inside = (
            (distance >= -left[chosen, :, None])
            & (distance <= right[chosen, :, None])
            & (distance != 0)
        )
        words_covered = len(chosen) * size - missing * int(count - 1 in chosen)
        yield Batch(Blocks(column[:, window:-window], column, inside), words_covered)


def initial_model(
    vocabulary_size: int, predicted: int, dimension: int, rng: np.random.Generator
) -> Word2Vec:
    """Small random center vectors and outside vectors of 0, as word2vec starts.

    Center vectors of 0 too would have no gradient. Dividing by d keeps first scores near 0.
    """
    center = (rng.random((vocabulary_size, dimension)) - 0.5) / dimension
    return Word2Vec(center.astype(np.float32), np.zeros((predicted, dimension), np.float32))


# A step sums gradients that were all taken at the vectors before it, so a row that occurs often in
# the step may be carried past its optimum, and each step then overshoots what the last one
# overshot. In a vocabulary of 25 000 words this does not show with 2048 words a step; in one of 5
# it ends in numbers that are not finite. Two limits, both measured on vocabularies from 2 words up:
# a step is so short that the learning rate times the number of gradient terms on the most used row
# stays below LARGEST_SUM, and in one step a row moves no further than LONGEST_MOVE, which is about
# the length of a trained vector. Neither moves the point where the gradients vanish.
LARGEST_SUM = 8.0
LONGEST_MOVE = 1.0


def words_per_step(settings: Settings, top_share: float, terms: float, at_most: int = 2048) -> int:
    """How many words of the stream one step may take together, for its most used row's sake.

    Parameters
    ----------
    top_share : the share of the stream's words that use the most used row
    terms : gradient terms that such a word adds to the row

    Raises
    ------
    ValueError : the learning rate is too large even for a step of one word.
    """
    # Workers take their steps at the same time, from the same vectors.
    per_word = top_share * terms * settings.workers
    words = int(LARGEST_SUM / (settings.learning_rate * per_word))
    if words < 1:
        raise ValueError(
            f"learning_rate {settings.learning_rate} makes training diverge with these settings "
            f"and this vocabulary: choose at most {LARGEST_SUM / per_word:.2g}"
        )
    return min(words, at_most)


def scatter_add(
    vectors: Float[np.ndarray, "rows d"],
    ids: Int[np.ndarray, "*batch"],
    updates: Float[np.ndarray, "*batch d"],
    rate: float,
) -> None:
    """Move each id's row by rate · the sum of its updates, in place.

    `vectors[ids] += updates` would keep only the last update of a row, and `np.add.at`, which is
    right, takes three times as long as the product with a sparse matrix that sums them.
    """
    flat = ids.reshape(-1)  # (n,)
    place = np.arange(len(flat), dtype=np.int32)
    # Number the rows that are named without sorting: all places of one id write to its cell, one
    # of them stays there, and that one stands for the id. The other cells are never read.
    cell = np.empty(len(vectors), dtype=np.int32)
    cell[flat] = place
    named = flat[cell.take(flat) == place]  # (named,) each id once
    cell[named] = place[: len(named)]
    column_ends = np.arange(len(flat) + 1, dtype=np.int32)
    sums = csc_array(
        (np.full(len(flat), rate, vectors.dtype), cell.take(flat), column_ends),
        shape=(len(named), len(flat)),
    )
    moves = sums @ updates.reshape(len(flat), updates.shape[-1])
    shorten(moves)
    moves += vectors.take(named, axis=0)
    vectors[named] = moves


def shorten(moves: Float[np.ndarray, "rows d"]) -> None:
    """Cut moves longer than LONGEST_MOVE to that length, in place."""
    length = np.sqrt(np.einsum("rd,rd->r", moves, moves))
    far = length > LONGEST_MOVE
    moves[far] *= (LONGEST_MOVE / length[far])[:, None]


class StepLoss(NamedTuple):
    """Sum of the losses of a step's pairs or targets, in nats, and their number."""

    total: float
    number: float


# Moves a model's vectors in place by the gradients of some blocks, times the learning rate.
Step: TypeAlias = Callable[[Word2Vec, Blocks, float, np.random.Generator], StepLoss]


def train(
    corpus: Corpus, model: Word2Vec, step: Step, words: int, rng: np.random.Generator
) -> Word2Vec:
    """Go through the corpus `epochs` times; the learning rate falls linearly to (nearly) 0.

    Parameters
    ----------
    model : what training begins with; one worker trains these very arrays
    step : of some blocks
    words : of the stream that a step takes

    Returns
    -------
    The trained model.

    Raises
    ------
    FloatingPointError : the loss, or at the end of an epoch a vector, is no longer finite.
    """
    settings = corpus.settings
    bar = tqdm(
        total=settings.epochs * len(corpus.words),
        unit="word",
        unit_scale=True,
        disable=not settings.progress,
    )
    with bar:
        if settings.workers > 1:
            return _train_together(corpus, model, step, words, rng, bar)
        for epoch in range(settings.epochs):
            loss = train_epoch(corpus, model, step, words, rng, epoch, bar.update)
            _tell(settings, epoch, model, loss)
    return model


def train_epoch(
    corpus: Corpus,
    model: Word2Vec,
    step: Step,
    words: int,
    rng: np.random.Generator,
    epoch: int,
    update: Callable[[float], object] = lambda _: None,
) -> StepLoss:
    """One epoch of `train`, whose number begins at 0; `update` is told of words that are done."""
    settings = corpus.settings
    stream = corpus.stream(rng)
    done, total, number = 0, 0.0, 0.0
    # Products of 32 rows are too small to be worth sharing: more threads wait for one another.
    one_thread = threadpool_limits(limits=1, user_api="blas")
    with one_thread, np.errstate(over="ignore", invalid="ignore"):
        for batch in blocks_of(stream, settings.window, words, rng):
            left = 1.0 - (epoch + done / len(stream.words)) / settings.epochs
            loss = step(model, batch.examples, settings.learning_rate * max(left, 1e-4), rng)
            total, number, done = total + loss.total, number + loss.number, done + batch.words
            if not np.isfinite(total):
                break
            update(batch.words * len(corpus.words) / len(stream.words))
    finite = np.isfinite(total) and all(
        np.isfinite(vectors).all() for vectors in (model.center, model.outside)
    )
    if not finite:
        raise FloatingPointError(
            f"training diverged in epoch {epoch + 1}: choose a learning_rate below "
            f"{settings.learning_rate}"
        )
    return StepLoss(total, number)


def _train_together(
    corpus: Corpus, model: Word2Vec, step: Step, words: int, rng: np.random.Generator, bar: tqdm
) -> Word2Vec:
    """Several processes, each with a part of the corpus, change the same vectors.

    Nobody waits for anybody but at the end of an epoch. Where two move a row at the same moment,
    one of the moves is lost, and so little is lost by it that nobody need wait: Hogwild.
    """
    settings = corpus.settings
    parts, rngs = corpus.parts(settings.workers), rng.spawn(settings.workers)
    # Threads would share Python's lock, and other machines would not see the files.
    with _shared(model) as shared, Parallel(settings.workers, backend="loky") as parallel:
        for epoch in range(settings.epochs):
            done = parallel(
                delayed(_train_part)(part, shared, step, words, own, epoch)
                for part, own in zip(parts, rngs, strict=True)
            )
            losses = [loss for loss, _ in done]
            rngs = [own for _, own in done]
            bar.update(len(corpus.words))
            _tell(settings, epoch, shared, StepLoss(*np.sum(losses, axis=0).tolist()))
        return Word2Vec(np.array(shared.center), np.array(shared.outside))


def _train_part(
    part: Corpus, model: Word2Vec, step: Step, words: int, rng: np.random.Generator, epoch: int
) -> tuple[StepLoss, np.random.Generator]:
    """An epoch, in a process of its own: the generator comes back, to go on with."""
    return train_epoch(part, model, step, words, rng, epoch), rng


@contextmanager
def _shared(model: Word2Vec) -> Iterator[Word2Vec]:
    """A copy of the vectors in files in memory's place, which joblib gives to all processes."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        arrays = []
        for name, array in (("center", model.center), ("outside", model.outside)):
            file = Path(folder) / name
            arrays.append(np.memmap(file, array.dtype, "w+", shape=array.shape))
            arrays[-1][:] = array
        yield Word2Vec(*arrays)


def _tell(settings: Settings, epoch: int, model: Word2Vec, loss: StepLoss) -> None:
    if settings.on_epoch is not None:
        mean = loss.total / loss.number if loss.number else float("nan")
        settings.on_epoch(epoch + 1, model, mean)
