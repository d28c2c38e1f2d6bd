"""What a decoder is trained on: at every place of a text, the token that comes next.

A text is one long array of ids. Training takes pieces of it from places drawn at random, evaluation
cuts it such that each token is predicted once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from nlp_course.batching import NOTHING, Batches, check_sizes


class CausalBatch(NamedTuple):
    """What a decoder reads, and what comes next at each place; NOTHING where that is not asked."""

    inputs: Int[Tensor, "batch time"]
    targets: Int[Tensor, "batch time"]


def causal_targets(
    ids: Int[np.ndarray, "*batch _"],
) -> tuple[Int[np.ndarray, "*batch time"], Int[np.ndarray, "*batch time"]]:
    """What a decoder reads and what it predicts there: all but the last token, all but the first.

    At place t it has read x_1 … x_t and is asked for x_{t+1}: one text of n tokens is n − 1
    questions, answered in one pass if no place sees those after it.

    Raises
    ------
    ValueError : fewer than two tokens, of which none is followed by another.

    Examples
    --------
    >>> words = "The weather is great today.".split()
    >>> inputs, targets = causal_targets(np.arange(5))
    >>> " ".join(words[i] for i in inputs)
    'The weather is great'
    >>> " ".join(words[i] for i in targets)
    'weather is great today.'
    """
    if ids.shape[-1] < 2:
        raise ValueError(f"a text needs 2 tokens, to read and to predict, got {ids.shape[-1]}")
    return ids[..., :-1], ids[..., 1:]


@dataclass(frozen=True)
class _RandomBlocks:
    """Pieces of a text that begin at some places; a batch is cut out when it is asked for."""

    ids: Int[np.ndarray, "token"]
    starts: Int[np.ndarray, "step batch"]
    time: int

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[CausalBatch]:
        for starts in self.starts:
            rows = self.ids[starts[:, None] + np.arange(self.time + 1)]  # (batch, time + 1)
            inputs, targets = causal_targets(_int64(rows))
            yield CausalBatch(torch.from_numpy(inputs), torch.from_numpy(targets))


def _int64(ids: Int[np.ndarray, "*_"]) -> Int[np.ndarray, "*_"]:
    """Ids of any type as those that torch looks embeddings up with."""
    return ids.astype(np.int64)


def random_blocks(ids: Int[np.ndarray, "token"], time: int, batch_size: int, steps: int) -> Batches:
    """Pieces of a long text, each from a place drawn at random: to train a decoder.

    Parameters
    ----------
    ids : the text; may be of a small signed type, and a file mapped into memory
    time : tokens that are predicted in each piece
    batch_size : pieces in a batch
    steps : batches in what then counts as an epoch

    Returns
    -------
    What `training.train` takes as its batches: each is a `CausalBatch`.

    Raises
    ------
    ValueError : a number below 1, or a text of fewer than time + 1 tokens.

    Examples
    --------
    >>> batches = random_blocks(np.arange(100), time=4, batch_size=1, steps=1)
    >>> for inputs, targets in batches(np.random.default_rng(0)):
    ...     print(inputs.tolist(), targets.tolist())
    [[81, 82, 83, 84]] [[82, 83, 84, 85]]
    """
    check_sizes(time=time, batch_size=batch_size, steps=steps)
    if len(ids) <= time:
        raise ValueError(
            f"to predict {time} tokens of a block a text needs {time + 1}, got {len(ids)}"
        )

    def batches(rng: np.random.Generator) -> _RandomBlocks:
        starts = rng.integers(len(ids) - time, size=(steps, batch_size))
        return _RandomBlocks(ids, starts, time)

    return batches


@dataclass(frozen=True)
class _Blocks:
    """A text in pieces, in order."""

    ids: Int[np.ndarray, "token"]
    time: int
    stride: int
    batch_size: int

    @property
    def pieces(self) -> int:
        return 1 + math.ceil(max(0, len(self.ids) - 1 - self.time) / self.stride)

    def __len__(self) -> int:
        return math.ceil(self.pieces / self.batch_size)

    def __iter__(self) -> Iterator[CausalBatch]:
        inputs, targets = causal_targets(self.ids)
        columns = np.arange(self.time)
        for first in range(0, self.pieces, self.batch_size):
            numbers = np.arange(first, min(first + self.batch_size, self.pieces))[:, None]
            places = numbers * self.stride + columns  # (batch, time)
            there = places < len(targets)
            seen = (numbers > 0) & (columns < self.time - self.stride)
            places = np.minimum(places, len(targets) - 1)
            read = np.where(there, _int64(inputs[places]), 0)
            asked = np.where(there & ~seen, _int64(targets[places]), NOTHING)
            yield CausalBatch(torch.from_numpy(read), torch.from_numpy(asked))


def blocks(
    ids: Int[np.ndarray, "token"], time: int, batch_size: int, stride: int | None = None
) -> Iterable[CausalBatch]:
    """A long text in pieces in which each token but the first is predicted once: to evaluate.

    A piece begins `stride` tokens after the one before. What they have in common is read again but
    not predicted again. So from the second piece on a token is predicted from at least
    time − stride + 1 others, where pieces that do not overlap begin with a token predicted from one
    alone: a small stride shows a model's perplexity with nearly the context that it has in use. It
    takes time / stride times as long.

    Parameters
    ----------
    ids : the text
    time : tokens that are read at once
    batch_size : pieces in a batch; the last may have fewer
    stride : new tokens of a piece; by default `time`, so that pieces do not overlap

    Returns
    -------
    What `training.evaluate` takes as its batches. The last row is filled up with zeros, where
    nothing is to be predicted.

    Raises
    ------
    ValueError : a number below 1, a stride above time, which would leave tokens out, or fewer than
        two tokens.

    References
    ----------
    Hugging Face, Perplexity of fixed-length models,
    https://huggingface.co/docs/transformers/perplexity

    Examples
    --------
    >>> for inputs, targets in blocks(np.arange(8), time=4, batch_size=1, stride=2):
    ...     print(inputs.tolist(), targets.tolist())
    [[0, 1, 2, 3]] [[1, 2, 3, 4]]
    [[2, 3, 4, 5]] [[-100, -100, 5, 6]]
    [[4, 5, 6, 0]] [[-100, -100, 7, -100]]
    """
    stride = time if stride is None else stride
    check_sizes(time=time, batch_size=batch_size, stride=stride)
    if stride > time:
        raise ValueError(f"stride above time, {time}, would leave tokens out, got {stride}")
    causal_targets(ids)  # refuses a text in which nothing is to be predicted
    return _Blocks(ids, time, stride, batch_size)
