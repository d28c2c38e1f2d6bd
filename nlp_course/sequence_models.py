"""A recurrent network put to use: a tag for each word of a sentence, or a class for all of it.

Sentences are arrays of word ids. They are read in batches of similar lengths, padded to the longest
of a batch; what is padding changes no score and no loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.batching import NOTHING, Batches, pad, similar_lengths
from nlp_course.recurrent import Cell, LayerState, LSTMCell, Recurrent, max_pool, mean_pool

__all__ = [
    "NOTHING",
    "Inputs",
    "Labelled",
    "Pooling",
    "Reader",
    "Tagger",
    "TextClassifier",
    "classification_loss",
    "labelled_batches",
    "pad",
    "predict_classes",
    "predict_tags",
    "tagging_loss",
]

# What is read: the ids of each sentence's words, or some features of each word.
Inputs: TypeAlias = Sequence[Shaped[np.ndarray, "_ *rest"]]

Pooling: TypeAlias = Literal["last", "mean", "max"]


class Reader(nn.Module):
    """Vectors of words and a recurrent network over them: where tagger and classifier agree.

    Parameters
    ----------
    words : how many there are in the vocabulary; each gets a vector that is learned. Or a module
        that makes `dimension` numbers of each step of the inputs, such as an embedding with its own
        rules, or `contextual.ScalarMix` where the inputs are layers of a language model
    cell : RNNCell, GRUCell or LSTMCell
    dimension : d, numbers in a word's vector
    hidden : numbers in a state
    layers, bidirectional : as for `recurrent.Recurrent`
    dropout : share of the numbers that is left out in a step of training: of word vectors, between
        layers, and of what goes into the output layer
    vectors : to begin with, one a word; by default N(0, 0.1²)

    Attributes
    ----------
    embedding, network, dropout : the layers
    size : numbers in an output: hidden, times two if bidirectional

    Raises
    ------
    ValueError : a size below 1, a dropout outside 0 … 1, or vectors that are not one a word and
        `dimension` long, or come with a module.
    """

    def __init__(
        self,
        words: int | nn.Module,
        *,
        cell: type[Cell],
        dimension: int,
        hidden: int,
        layers: int,
        bidirectional: bool,
        dropout: float,
        vectors: Float[np.ndarray, "vocabulary d"] | None,
    ) -> None:
        super().__init__()
        if dimension < 1:
            raise ValueError(f"dimension must be at least 1, got {dimension}")
        self.network = Recurrent(
            cell, dimension, hidden, layers=layers, bidirectional=bidirectional, dropout=dropout
        )
        self.embedding = _embedding(words, dimension, vectors)
        self.dropout = nn.Dropout(dropout)
        self.size = self.network.directions * hidden

    def forward(
        self, inputs: Shaped[Tensor, "batch time *rest"], lengths: Int[Tensor, "batch"]
    ) -> tuple[Float[Tensor, "batch time size"], LayerState]:
        """Outputs at every step, zeros at padded ones, and the last states."""
        x = self.dropout(self.embedding(inputs))  # (batch, time, d)
        return self.network(x, lengths=lengths)


def _embedding(
    words: int | nn.Module, dimension: int, vectors: Float[np.ndarray, "vocabulary d"] | None
) -> nn.Module:
    if isinstance(words, nn.Module):
        if vectors is not None:
            raise ValueError("vectors are for words that are a number: the module has its own")
        return words
    if words < 1:
        raise ValueError(f"words must be at least 1, got {words}")
    table = nn.Embedding(words, dimension)
    nn.init.normal_(table.weight, std=0.1)
    if vectors is not None:
        if vectors.shape != (words, dimension):
            raise ValueError(
                f"vectors must have shape {(words, dimension)}, one a word, got {vectors.shape}"
            )
        table.weight.data = torch.tensor(vectors, dtype=table.weight.dtype)
    return table


class Tagger(nn.Module):
    """Scores of each tag at each word: s_t = W h_t + b.

    With a bidirectional network h_t knows the words on both sides.

    Parameters
    ----------
    words : how many there are, or what makes vectors of the inputs; see `Reader`
    tags : how many there are
    cell, dimension, hidden, layers, bidirectional, dropout, vectors : as for `Reader`

    Raises
    ------
    ValueError : tags < 1, and as for `Reader`.

    Examples
    --------
    >>> model = Tagger(100, 5, dimension=8, hidden=6)
    >>> ids, lengths = pad([np.array([7, 8, 9]), np.array([10])])
    >>> model(ids, lengths).shape
    torch.Size([2, 3, 5])
    """

    def __init__(
        self,
        words: int | nn.Module,
        tags: int,
        *,
        cell: type[Cell] = LSTMCell,
        dimension: int = 50,
        hidden: int = 50,
        layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        vectors: Float[np.ndarray, "vocabulary d"] | None = None,
    ) -> None:
        super().__init__()
        if tags < 1:
            raise ValueError(f"tags must be at least 1, got {tags}")
        self.reader = Reader(
            words,
            cell=cell,
            dimension=dimension,
            hidden=hidden,
            layers=layers,
            bidirectional=bidirectional,
            dropout=dropout,
            vectors=vectors,
        )
        self.output = nn.Linear(self.reader.size, tags)

    def forward(
        self, inputs: Shaped[Tensor, "batch time *rest"], lengths: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch time tags"]:
        """Scores of a padded batch; at padded steps they mean nothing.

        Raises
        ------
        ValueError : lengths do not fit the inputs.
        """
        outputs, _ = self.reader(inputs, lengths)
        return self.output(self.reader.dropout(outputs))


class TextClassifier(nn.Module):
    """Scores of each class: s = W p + b, where p is one vector made of a text's states.

    Parameters
    ----------
    words : how many there are, or what makes vectors of the inputs; see `Reader`
    classes : how many there are
    pooling : what p is. "last": the state that has read everything; of a bidirectional network the
        last one of the forward direction and the one of the backward direction that has reached the
        first word, side by side. "mean" and "max": the mean, or each coordinate's maximum, of all
        outputs. A text without words has p = 0 in each case, so that its scores are b
    cell, dimension, hidden, layers, bidirectional, dropout, vectors : as for `Reader`

    Raises
    ------
    ValueError : classes < 1, another pooling, and as for `Reader`.

    Examples
    --------
    >>> model = TextClassifier(100, 2, dimension=8, hidden=6, pooling="max")
    >>> model(*pad([np.array([7, 8, 9]), np.array([10])])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        words: int | nn.Module,
        classes: int,
        *,
        pooling: Pooling = "last",
        cell: type[Cell] = LSTMCell,
        dimension: int = 50,
        hidden: int = 50,
        layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        vectors: Float[np.ndarray, "vocabulary d"] | None = None,
    ) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError(f"classes must be at least 1, got {classes}")
        if pooling not in get_args(Pooling):
            raise ValueError(f'pooling must be "last", "mean" or "max", got {pooling!r}')
        self.pooling = pooling
        self.reader = Reader(
            words,
            cell=cell,
            dimension=dimension,
            hidden=hidden,
            layers=layers,
            bidirectional=bidirectional,
            dropout=dropout,
            vectors=vectors,
        )
        self.output = nn.Linear(self.reader.size, classes)

    def forward(
        self, inputs: Shaped[Tensor, "batch time *rest"], lengths: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch classes"]:
        """Scores of a padded batch.

        Raises
        ------
        ValueError : lengths do not fit the inputs.
        """
        outputs, (h, *_) = self.reader(inputs, lengths)
        if self.pooling == "mean":
            pooled = mean_pool(outputs, lengths)
        elif self.pooling == "max":
            pooled = max_pool(outputs, lengths)
        else:
            of_last_layer = h[-self.reader.network.directions :]  # (directions, batch, hidden)
            pooled = torch.cat(tuple(of_last_layer), dim=1)
        return self.output(self.reader.dropout(pooled))  # (batch, classes)


class Labelled(NamedTuple):
    """Sentences side by side, and what is to be said of them.

    inputs : padded
    lengths : words of each sentence
    targets : a tag a word, `NOTHING` where there is no word; or a class a sentence
    """

    inputs: Shaped[Tensor, "batch time *rest"]
    lengths: Int[Tensor, "batch"]
    targets: Int[Tensor, "batch time"] | Int[Tensor, "batch"]


def labelled_batches(
    inputs: Inputs,
    targets: Sequence[Int[np.ndarray, "_"]] | Int[np.ndarray, "example"],
    batch_size: int,
) -> Batches:
    """Batches of sentences of similar lengths, random in each epoch: see `similar_lengths`.

    Parameters
    ----------
    inputs : of each sentence the ids of its words, or some features of each word
    targets : of each sentence a tag for each word; or one array, a class a sentence
    batch_size : sentences in a batch

    Returns
    -------
    What `training.train` takes as its batches, for `tagging_loss` or `classification_loss`: each
    is a `Labelled`.

    Raises
    ------
    ValueError : there are no sentences, batch_size < 1, or inputs and targets differ in number, or
        a sentence's words and tags.

    Examples
    --------
    >>> tagged = labelled_batches([np.array([5, 6])], [np.array([0, 1])], batch_size=1)
    >>> [batch.targets.tolist() for batch in tagged(np.random.default_rng(0))]
    [[[0, 1]]]
    """
    if len(inputs) != len(targets):
        raise ValueError(f"{len(inputs)} sentences need as many targets, got {len(targets)}")
    lengths = np.array([len(sentence) for sentence in inputs], dtype=np.int64)
    if not isinstance(targets, np.ndarray):
        for number, (words, tags) in enumerate(zip(lengths, map(len, targets), strict=True)):
            if words != tags:
                raise ValueError(f"sentence {number} has {words} words and {tags} tags")

    def batch(rows: Int[np.ndarray, "_"]) -> Labelled:
        if isinstance(targets, np.ndarray):
            answers = torch.from_numpy(targets[rows])
        else:
            answers, _ = pad([targets[row] for row in rows], NOTHING)
        return Labelled(*pad([inputs[row] for row in rows]), answers)

    return lambda rng: [batch(rows) for rows in similar_lengths(lengths, batch_size, rng)]


def tagging_loss(model: nn.Module, batch: Labelled) -> tuple[Float[Tensor, ""], int]:
    """−Σ log p(tag | sentence) over the words of a batch, and their number: for `training`.

    A word whose target is `NOTHING` counts neither here nor there.
    """
    scores = model(batch.inputs, batch.lengths)
    summed = F.cross_entropy(scores.flatten(0, 1), batch.targets.flatten(), reduction="sum")
    return summed, int((batch.targets != NOTHING).sum())


def classification_loss(model: nn.Module, batch: Labelled) -> tuple[Float[Tensor, ""], int]:
    """−Σ log p(class | text) over the texts of a batch, and their number: for `training`."""
    scores = model(batch.inputs, batch.lengths)
    return F.cross_entropy(scores, batch.targets, reduction="sum"), len(batch.targets)


def predict_tags(
    model: nn.Module, inputs: Inputs, batch_size: int = 256
) -> list[Int[np.ndarray, "_"]]:
    """The highest-scoring tag of each word, an array a sentence.

    Raises
    ------
    ValueError : batch_size < 1.
    """
    found: dict[int, Int[np.ndarray, "_"]] = {}
    for rows, scores in _scored(model, inputs, batch_size):
        for row, best in zip(rows, scores.argmax(dim=-1).cpu().numpy(), strict=True):
            found[row] = best[: len(inputs[row])]
    return [found[row] for row in range(len(inputs))]


def predict_classes(
    model: nn.Module, inputs: Inputs, batch_size: int = 256
) -> Int[np.ndarray, "example"]:
    """The highest-scoring class of each text.

    Raises
    ------
    ValueError : batch_size < 1.
    """
    classes = np.zeros(len(inputs), dtype=np.int64)
    for rows, scores in _scored(model, inputs, batch_size):
        classes[rows] = scores.argmax(dim=-1).cpu().numpy()
    return classes


@torch.no_grad()
def _scored(
    model: nn.Module, inputs: Inputs, batch_size: int
) -> Iterator[tuple[Int[np.ndarray, "_"], Tensor]]:
    """The scores of all sentences, from the shortest to the longest, so that little is padding."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    place = next(model.parameters()).device
    was_training = model.training
    model.eval()
    order = np.argsort([len(sentence) for sentence in inputs], kind="stable")
    try:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            padded, lengths = pad([inputs[row] for row in rows])
            yield rows, model(padded.to(place), lengths.to(place))
    finally:
        model.train(was_training)
