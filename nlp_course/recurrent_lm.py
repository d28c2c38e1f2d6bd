"""The recurrent language model, and truncated backpropagation through time over a long text.

A text is one stream: what the model reads is START, the words of the first sentence, START, those
of the second, …; what it predicts is the words and STOP. START does not wipe the state out, so a
sentence is read with those before it in mind. Sentences are arrays of word ids without START and
STOP, as in `nlp_course.ngram`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.batching import NOTHING, Batches
from nlp_course.feedforward import windows
from nlp_course.ngram import START, Sentences, special_ids
from nlp_course.output_layer import OutputLayer, next_word_distribution
from nlp_course.recurrent import Cell, LayerState, Recurrent, RNNCell
from nlp_course.text import Vocabulary

# Steps scored at once when nothing is learned: at 10,000 words, 40 MB of logits.
SCORED_AT_ONCE = 1024


class RecurrentLM(nn.Module):
    """The next word from a state that has read all words before it.

    h_t = cell(h_{t−1}, E[w_t]),  p(w_{t+1} | w_1 … w_t) = softmax(W_s h_t + b_s)

    Tied, W_s is E itself: a word's score is the dot product of its vector with h_t.

    Parameters
    ----------
    vocabulary : has START and STOP; START is never predicted
    cell : RNNCell, GRUCell or LSTMCell
    dimension : d, numbers in a word's vector
    hidden : numbers in h_t; the dimension, by default
    layers : of cells
    tied : use E for W_s; dimension and hidden must then be the same
    dropout : share of word vectors' and outputs' numbers that is left out in a step of training;
        what goes from step to step is never left out
    counts : how often each word is a target; b_s then begins at log (c + 1), so that training
        begins at the frequencies of words instead of having to find them

    Attributes
    ----------
    embedding, network, output : the layers, with E in (V, d), the cells, W_s in (V, hidden) and b_s

    Raises
    ------
    ValueError : a size below 1, a dropout outside 0 … 1, a vocabulary without START or STOP, not
        one count a word, or tied sizes that differ.

    Notes
    -----
    Initial weights: E ~ N(0, 0.1²) and W_s ~ N(0, 0.1²/hidden), so that the first predictions
    hardly differ from context to context; the cells' as `recurrent.Cell` says. They are drawn from
    torch's global generator: call `training.set_seed` first.

    References
    ----------
    Mikolov et al. 2010, Recurrent Neural Network Based Language Model.
    Press and Wolf 2017, Using the Output Embedding to Improve Language Models, for W_s = E.
    Zaremba et al. 2014, Recurrent Neural Network Regularization, for where dropout goes.

    Examples
    --------
    >>> from nlp_course.ngram import language_vocabulary
    >>> vocabulary = language_vocabulary([["a", "b"]], min_count=1)
    >>> model = RecurrentLM(vocabulary, dimension=4, tied=True)
    >>> logits, (h,) = model(torch.tensor([[1, 3, 4]]))
    >>> logits.shape, h.shape
    (torch.Size([1, 3, 5]), torch.Size([1, 1, 4]))
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        cell: type[Cell] = RNNCell,
        dimension: int = 100,
        hidden: int | None = None,
        layers: int = 1,
        tied: bool = False,
        dropout: float = 0.0,
        counts: Int[np.ndarray, "vocabulary"] | None = None,
    ) -> None:
        super().__init__()
        start, stop = special_ids(vocabulary)
        hidden = dimension if hidden is None else hidden
        if dimension < 1:
            raise ValueError(f"dimension must be at least 1, got {dimension}")
        if tied and hidden != dimension:
            raise ValueError(
                f"a tied output takes the dot product of word vectors and states: dimension "
                f"{dimension} and hidden {hidden} must be the same"
            )
        self.vocabulary = vocabulary
        self.start, self.stop = start, stop
        self.embedding = nn.Embedding(len(vocabulary), dimension)
        self.network = Recurrent(cell, dimension, hidden, layers=layers, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.output = OutputLayer(vocabulary, hidden, counts)

        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.normal_(self.output.weight, std=0.1 * hidden**-0.5)
        if tied:
            self.output.weight = self.embedding.weight

    def forward(
        self, ids: Int[Tensor, "batch time"], state: LayerState | None = None
    ) -> tuple[Float[Tensor, "batch time vocabulary"], LayerState]:
        """Logits of the token after each token: the course's interface of language models.

        Parameters
        ----------
        ids : a text begins with START; STOP is read as START, since one follows the other
        state : after the tokens before, as returned; None where a text begins

        Returns
        -------
        Logits, −∞ for START, and the state to go on with.

        Raises
        ------
        ValueError : an id outside 0 … V − 1, or a state of another batch size or model.
        """
        size = len(self.vocabulary)
        if ids.numel() and not 0 <= ids.min() <= ids.max() < size:
            raise ValueError(f"ids must lie in 0 … {size - 1}, got {ids.min()} … {ids.max()}")
        read = ids.masked_fill(ids == self.stop, self.start)
        x = self.dropout(self.embedding(read))  # (batch, time, d)
        outputs, state = self.network(x, state)  # (batch, time, hidden)
        return self.output(self.dropout(outputs)), state

    @torch.no_grad()
    def log_probabilities(self, sentences: Sentences) -> Float[np.ndarray, "token"]:
        """The log p of each token of a text given all before it, STOP counted.

        The state goes on from sentence to sentence. In nats, so `ngram.perplexity` takes them.

        Raises
        ------
        ValueError : there is no sentence, or an id outside 0 … V − 1 or of START or STOP.
        """
        contexts, targets = windows(sentences, self.vocabulary, window=1)
        device = self.embedding.weight.device
        was_training = self.training
        self.eval()
        state, parts = None, []
        for read, wanted in zip(
            contexts.T.split(SCORED_AT_ONCE, dim=1), targets.split(SCORED_AT_ONCE), strict=True
        ):
            logits, state = self(read.to(device), state)
            parts.append(-F.cross_entropy(logits[0], wanted.to(device), reduction="none").cpu())
        self.train(was_training)
        return torch.cat(parts).double().numpy()

    def distribution(self, words: Int[np.ndarray, "_"]) -> Float[np.ndarray, "vocabulary"]:
        """p(w | words) for every word of the vocabulary, STOP among them; START has 0.

        Parameters
        ----------
        words : ids of a text's first words, all of which matter; START and STOP may be among them
        """
        return next_word_distribution(self, self.start, words)


class Chunk(NamedTuple):
    """Some steps of several places of a text, read side by side.

    inputs, targets : what is read and what is predicted; `NOTHING` where a text has ended
    first : whether the states before are those at the beginning
    """

    inputs: Int[Tensor, "batch time"]
    targets: Int[Tensor, "batch time"]
    first: bool


@dataclass(frozen=True)
class _Chunks:
    """A text in as many rows as are read at once, cut into pieces of some steps."""

    inputs: Int[Tensor, "batch length"]
    targets: Int[Tensor, "batch length"]
    steps: int

    def __len__(self) -> int:
        return math.ceil(self.inputs.shape[1] / self.steps)

    def __iter__(self) -> Iterator[Chunk]:
        pieces = zip(
            self.inputs.split(self.steps, dim=1), self.targets.split(self.steps, dim=1), strict=True
        )
        for number, (inputs, targets) in enumerate(pieces):
            yield Chunk(inputs, targets, first=number == 0)


def streams(sentences: Sentences, vocabulary: Vocabulary, batch_size: int, steps: int) -> Batches:
    """A text for truncated backpropagation through time: each chunk goes on where one ended.

    The text is cut into as many long rows as are read at once, and these into chunks of some steps.
    Row i of a chunk follows on row i of the chunk before, so the state may be handed on. Every
    token is predicted once an epoch.

    Parameters
    ----------
    sentences : ids of words, an array a sentence, without START and STOP
    vocabulary : has START and STOP
    batch_size : rows
    steps : over which gradients flow back

    Returns
    -------
    What `training.train` takes as its batches, for `StreamLoss`; nothing in them is random.

    Raises
    ------
    ValueError : a size below 1, more rows than tokens, and as for `feedforward.windows`.

    Examples
    --------
    >>> from nlp_course.ngram import language_vocabulary
    >>> vocabulary = language_vocabulary(["abcd"], min_count=1)
    >>> batches = streams([vocabulary.encode("abcd")], vocabulary, batch_size=1, steps=3)
    >>> for chunk in batches(np.random.default_rng(0)):
    ...     print(vocabulary.decode(chunk.inputs[0]), vocabulary.decode(chunk.targets[0]))
    ['<s>', 'a', 'b'] ['a', 'b', 'c']
    ['c', 'd'] ['d', '</s>']
    """
    for name, value in (("batch_size", batch_size), ("steps", steps)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    contexts, targets = windows(sentences, vocabulary, window=1)
    if batch_size > len(targets):
        raise ValueError(f"{len(targets)} tokens cannot be read in {batch_size} rows at once")
    length = math.ceil(len(targets) / batch_size)
    missing = batch_size * length - len(targets)
    read = F.pad(contexts[:, 0], (0, missing), value=vocabulary.id(START))
    wanted = F.pad(targets, (0, missing), value=NOTHING)
    chunks = _Chunks(read.view(batch_size, length), wanted.view(batch_size, length), steps)
    return lambda rng: chunks  # noqa: ARG005  (the order of a text is not random)


class StreamLoss:
    """−Σ_t log p(w_t | all before), chunk after chunk of `streams`: for `training`.

    The state is handed on from one chunk to the next as a number that came from nowhere, so a
    gradient flows back to the beginning of its chunk and no further. That is truncated
    backpropagation through time; what is predicted still depends on all that was read.

    One object serves training and validation: each has a state of its own. Checkpoints keep the
    training's.

    References
    ----------
    Williams and Peng 1990, An Efficient Gradient-Based Algorithm for On-Line Training of Recurrent
    Network Trajectories.
    """

    def __init__(self) -> None:
        self._states: dict[bool, LayerState] = {}

    def __call__(self, model: nn.Module, chunk: Chunk) -> tuple[Float[Tensor, ""], int]:
        """The summed loss of a chunk in nats, and the number of its tokens.

        Raises
        ------
        ValueError : the chunk goes on, but nothing was read before it.
        """
        state = None
        if not chunk.first:
            if model.training not in self._states:
                raise ValueError("a text has to be read from its first chunk on")
            place = chunk.inputs.device
            state = tuple(memory.to(place) for memory in self._states[model.training])
        logits, new = model(chunk.inputs, state)
        self._states[model.training] = tuple(memory.detach() for memory in new)
        summed = F.cross_entropy(logits.flatten(0, 1), chunk.targets.flatten(), reduction="sum")
        return summed, int((chunk.targets != NOTHING).sum())

    def state_dict(self) -> dict[str, list[Tensor]]:
        """The state after the last chunk of training, for checkpoints."""
        return {"state": list(self._states.get(True, ()))}

    def load_state_dict(self, content: dict[str, list[Tensor]]) -> None:
        """Put back what `state_dict` gave."""
        self._states = {True: tuple(content["state"])} if content["state"] else {}
