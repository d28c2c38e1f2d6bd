"""Sequence to sequence: an encoder, a decoder, and attention between them.

The encoder reads a source sentence and gives a state a word. The decoder is a language model of
the target sentence: without attention it begins in a state that sums the source up, and that is all
it hears of it; with attention it looks at the encoder's states again at every step. Sentences are
arrays of word ids without START and STOP, as in `nlp_course.ngram`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.attention import masked_softmax
from nlp_course.attention_scores import SCORES
from nlp_course.batching import NOTHING, pad, to_device
from nlp_course.ngram import Sentences, special_ids
from nlp_course.output_layer import OutputLayer
from nlp_course.recurrent import Cell, GRUCell, Recurrent
from nlp_course.text import Vocabulary
from nlp_course.translation import Pairs, pad_pairs


class DecoderState(NamedTuple):
    """All that the decoder goes on with.

    hidden : s_i, as `recurrent.Recurrent` has it
    encoded, present : h_1 … h_n of the source, and False where it is padding
    attention : α_ij of the tokens read by the call that gave this state; None without attention
    """

    hidden: tuple[Float[Tensor, "layer batch hidden"], ...]
    encoded: Float[Tensor, "batch source hidden"]
    present: Bool[Tensor, "batch source"]
    attention: Float[Tensor, "batch target source"] | None

    def select(self, rows: Int[Tensor, "new"]) -> DecoderState:
        """The state of some rows of the batch, in a new order; a row may come twice."""
        return DecoderState(
            tuple(part[:, rows] for part in self.hidden),
            self.encoded[rows],
            self.present[rows],
            None if self.attention is None else self.attention[rows],
        )


class EncoderDecoder(nn.Module):
    """p(y | x) = Π_i p(y_i | y_1 … y_{i−1}, x): a language model of y that has read x.

    Encoder: h_j = [h→_j; h←_j], cells that read x in both directions
    Decoder: s_0 = tanh(W_0 [h→_n; h←_1] + b_0),  s_i = cell(s_{i−1}, E[y_{i−1}])
    Attention: α_i = softmax_j score(s_i, h_j),  c_i = Σ_j α_ij h_j
    Output: s̃_i = tanh(W_c [s_i; c_i] + b_c),  p(y_i | …) = softmax(W_o s̃_i + b_o)

    Without attention c_i is left out, and s_0 is all that the decoder hears of x. Tied, W_o is E.

    Parameters
    ----------
    source_vocabulary : of x
    target_vocabulary : of y; has START, which is read first and never predicted, and STOP
    cell : RNNCell, GRUCell or LSTMCell
    dimension : d, numbers in a word's vector and in s̃_i
    hidden : numbers in s_i and in h_j, of which each direction of the encoder has half
    attention : the score, "dot", "bilinear" or "additive"; None for no attention
    tied : use E, the vectors of target words, for W_o
    dropout : share of word vectors' and s̃'s numbers that is left out in a step of training
    counts : how often each target word is to be predicted; b_o then begins at log (c + 1), so that
        training begins at the frequencies of words instead of having to find them

    Attributes
    ----------
    source_embedding, target_embedding : (V_x, d) and E, (V_y, d)
    encoder, bridge, decoder : the cells; W_0 and b_0 between them, which give each part of a state
        of several
    score : an `attention_scores.Score`, or None
    combine, output : W_c, b_c and W_o, b_o

    Raises
    ------
    ValueError : a size below 1, `hidden` odd, an attention that there is not, a dropout outside
        0 … 1, a target vocabulary without START or STOP, not one count a word.

    Notes
    -----
    The query is s_i, the state that has read y_{i−1} and is about to predict y_i, and c_i goes into
    the output only (Luong et al.). So in training all s_i are computed first and all attention in
    one product. Bahdanau et al. take s_{i−1} and let c_i into s_i: then each step waits for the
    attention before.

    Initial weights: word vectors ~ N(0, 0.3²), so that attention can tell words apart from the
    first step on; W_0, W_c and W_o ~ N(0, 1/columns); biases 0; the cells' as `recurrent.Cell`
    says.
    They are drawn from torch's global generator: call `training.set_seed` first.

    References
    ----------
    Sutskever et al. 2014, Sequence to Sequence Learning with Neural Networks.
    Bahdanau et al. 2015, Neural Machine Translation by Jointly Learning to Align and Translate.
    Luong et al. 2015, Effective Approaches to Attention-based Neural Machine Translation, eq. 5–7.

    Examples
    --------
    >>> from nlp_course.ngram import language_vocabulary
    >>> vocabulary = language_vocabulary([["a", "b"]], min_count=1)
    >>> model = EncoderDecoder(vocabulary, vocabulary, dimension=4, hidden=6, attention="dot")
    >>> state = model.encode(torch.tensor([[3, 4, 3]]), torch.tensor([3]))
    >>> logits, state = model(torch.tensor([[1, 4]]), state)
    >>> logits.shape, state.attention.shape
    (torch.Size([1, 2, 5]), torch.Size([1, 2, 3]))
    """

    def __init__(
        self,
        source_vocabulary: Vocabulary,
        target_vocabulary: Vocabulary,
        *,
        cell: type[Cell] = GRUCell,
        dimension: int = 64,
        hidden: int = 128,
        attention: str | None = None,
        tied: bool = False,
        dropout: float = 0.0,
        counts: Int[np.ndarray, "vocabulary"] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("dimension", dimension), ("hidden", hidden)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if hidden % 2:
            raise ValueError(f"each direction of the encoder has half of hidden: {hidden} is odd")
        if attention is not None and attention not in SCORES:
            raise ValueError(
                f"attention must be one of {sorted(SCORES)} or None, got {attention!r}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
        self.source_vocabulary, self.target_vocabulary = source_vocabulary, target_vocabulary
        self.start, self.stop = special_ids(target_vocabulary)
        self.source_embedding = nn.Embedding(len(source_vocabulary), dimension)
        self.target_embedding = nn.Embedding(len(target_vocabulary), dimension)
        self.encoder = Recurrent(cell, dimension, hidden // 2, bidirectional=True)
        self.bridge = nn.Linear(hidden, cell.memories * hidden)
        self.decoder = Recurrent(cell, dimension, hidden)
        self.score = None if attention is None else SCORES[attention](hidden, hidden)
        self.combine = nn.Linear(hidden if attention is None else 2 * hidden, dimension)
        self.dropout = nn.Dropout(dropout)
        self.output = OutputLayer(target_vocabulary, dimension, counts)

        for embedding in (self.source_embedding, self.target_embedding):
            nn.init.normal_(embedding.weight, std=0.3)
        for layer in (self.bridge, self.combine, self.output):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
        for layer in (self.bridge, self.combine):
            nn.init.zeros_(layer.bias)
        if tied:
            self.output.weight = self.target_embedding.weight

    def encode(
        self, source: Int[Tensor, "batch source"], lengths: Int[Tensor, "sentence"]
    ) -> DecoderState:
        """Read the source: h_1 … h_n and s_0, the state to begin the decoder with.

        Parameters
        ----------
        source : ids of words; what stands beyond a sentence's length does not matter
        lengths : words of each; a sentence of length 0 has s_0 = tanh(b_0) and c_i = 0

        Raises
        ------
        ValueError : an id outside the source vocabulary, or lengths that do not fit.
        """
        _check(source, len(self.source_vocabulary), "source")
        x = self.dropout(self.source_embedding(source))  # (batch, source, d)
        encoded, (last, *_) = self.encoder(x, lengths=lengths)  # (batch, source, hidden)
        both = torch.cat(tuple(last), dim=-1)  # (batch, hidden): h→_n and h←_1
        parts = torch.tanh(self.bridge(both)).chunk(self.decoder.memories, dim=-1)
        places = torch.arange(source.shape[1], device=source.device)
        present = places < lengths.to(source.device)[:, None]  # (batch, source)
        return DecoderState(tuple(part[None] for part in parts), encoded, present, None)

    def forward(
        self, inputs: Int[Tensor, "batch target"], state: DecoderState
    ) -> tuple[Float[Tensor, "batch target vocabulary"], DecoderState]:
        """Logits of the token after each token: the course's interface of language models.

        Parameters
        ----------
        inputs : ids of target words, START first; whose words they are, the reference's (teacher
            forcing) or the model's own (free running), makes no difference here
        state : `encode`'s at the beginning, then as returned

        Returns
        -------
        Logits, −∞ for START, and the state to go on with. Its `attention` is that of these tokens.

        Raises
        ------
        ValueError : an id outside the target vocabulary, or a state of another batch.
        """
        _check(inputs, len(self.target_vocabulary), "target")
        y = self.dropout(self.target_embedding(inputs))  # (batch, target, d)
        s, hidden = self.decoder(y, state.hidden)  # (batch, target, hidden)
        alpha = None
        if self.score is not None:
            scores = self.score(s, state.encoded)  # (batch, target, source)
            alpha = masked_softmax(scores, state.present[:, None])
            context = alpha @ state.encoded  # (batch, target, hidden)
            s = torch.cat([s, context], dim=-1)
        combined = self.dropout(torch.tanh(self.combine(s)))  # (batch, target, d)
        return self.output(combined), state._replace(hidden=hidden, attention=alpha)


def _check(ids: Tensor, size: int, side: str) -> None:
    if ids.numel() and not 0 <= ids.min() <= ids.max() < size:
        raise ValueError(f"{side} ids must lie in 0 … {size - 1}, got {ids.min()} … {ids.max()}")


def translation_loss(model: Any, batch: Pairs) -> tuple[Float[Tensor, ""], int]:
    """−Σ_i log p(y_i | y_1 … y_{i−1}, x) over some pairs, STOP counted: for `training`.

    Parameters
    ----------
    model : an `EncoderDecoder`, or that of `transformer`: any that encodes a source and goes on

    Returns
    -------
    The sum in nats, and the number of tokens in it.
    """
    logits, _ = model(batch.inputs, model.encode(batch.source, batch.source_lengths))
    summed = F.cross_entropy(
        logits.flatten(0, 1), batch.targets.flatten(), ignore_index=NOTHING, reduction="sum"
    )
    return summed, int((batch.targets != NOTHING).sum())


class Reading(NamedTuple):
    """What a model says of given translations, a sentence an array; STOP is the last token of each.

    predicted : the likeliest token in each place
    log_probabilities : of the tokens that stand there, in nats
    attention : α_ij, (target + 1, source); empty without attention
    """

    predicted: list[Int[np.ndarray, "target"]]
    log_probabilities: list[Float[np.ndarray, "target"]]
    attention: list[Float[np.ndarray, "target source"]]


class Translations(NamedTuple):
    """What a model writes, a sentence an array.

    ids : of words, STOP left out; max_length of them where no STOP came
    attention : α_ij, (target, source), a row a word; empty without attention
    """

    ids: list[Int[np.ndarray, "target"]]
    attention: list[Float[np.ndarray, "target source"]]


@torch.no_grad()
def read_translations(
    model: EncoderDecoder, sources: Sentences, targets: Sentences, *, batch_size: int = 64
) -> Reading:
    """Teacher forcing: the model reads each translation and says at each place what comes next.

    Parameters
    ----------
    sources, targets : ids of words, an array a sentence; one translation a source

    Returns
    -------
    Predictions, log-probabilities and attention. `np.concatenate` of the log-probabilities is what
    `ngram.perplexity` takes.

    Raises
    ------
    ValueError : sources and targets differ in number, there are none, ids outside a vocabulary, or
        a batch size below 1.
    """
    if len(sources) != len(targets):
        raise ValueError(f"{len(sources)} sources need as many targets, got {len(targets)}")
    found = Reading([], [], [])
    order = []
    with _evaluating(model):
        for rows, state in _encoded(model, sources, batch_size):
            order += rows
            some = [targets[row] for row in rows]
            batch = pad_pairs([sources[row] for row in rows], some, model.target_vocabulary)
            batch = to_device(batch, state.present.device)
            logits, state = model(batch.inputs, state)
            nats = F.cross_entropy(logits.transpose(1, 2), batch.targets, reduction="none")
            steps = [len(words) + 1 for words in some]
            found.predicted.extend(_cut(logits.argmax(dim=-1), steps))
            found.log_probabilities.extend(_cut(-nats.double(), steps))
            found.attention.extend(_cut_attention(state, steps))
    return Reading(*(_restored(part, order) for part in found))


@torch.no_grad()
def translate(
    model: EncoderDecoder, sources: Sentences, max_length: int = 50, *, batch_size: int = 64
) -> Translations:
    """Free running, greedy: the likeliest token, read as the next input, until STOP.

    Parameters
    ----------
    sources : ids of words, an array a sentence; may be empty
    max_length : words of a translation at most

    Raises
    ------
    ValueError : no sources, ids outside the vocabulary, max_length or batch size below 1.
    """
    if max_length < 1:
        raise ValueError(f"max_length must be at least 1, got {max_length}")
    found = Translations([], [])
    order = []
    with _evaluating(model):
        for rows, state in _encoded(model, sources, batch_size):
            order += rows
            read = torch.full((len(rows), 1), model.start, device=state.present.device)
            tokens: list[Tensor] = []
            weights: list[Tensor] = []
            over = torch.zeros_like(read, dtype=torch.bool)
            while len(tokens) < max_length and not over.all():
                logits, state = model(read, state)
                read = logits.argmax(dim=-1)  # (batch, 1)
                over |= read == model.stop
                tokens.append(read)
                if state.attention is not None:
                    weights.append(state.attention)
            ids = torch.cat(tokens, dim=1)  # (batch, target)
            # The words before the first STOP: at and after it the sum is above 0.
            words = ((ids == model.stop).cumsum(dim=1) == 0).sum(dim=1).tolist()
            if weights:
                state = state._replace(attention=torch.cat(weights, dim=1))
            found.ids.extend(_cut(ids, words))
            found.attention.extend(_cut_attention(state, words))
    return Translations(*(_restored(part, order) for part in found))


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Without dropout; afterwards the model is in the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _encoded(
    model: EncoderDecoder, sources: Sentences, batch_size: int
) -> Iterator[tuple[list[int], DecoderState]]:
    """The sources in batches of similar length, read: which they are, and s_0."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if not len(sources):
        raise ValueError("there is nothing to translate: give at least one source")
    order = np.argsort([len(words) for words in sources], kind="stable").tolist()
    device = model.target_embedding.weight.device
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        ids, lengths = to_device(pad([sources[row] for row in rows]), device)
        yield rows, model.encode(ids, lengths)


def _cut(rows: Tensor, lengths: list[int]) -> list[np.ndarray]:
    return [row[:length] for row, length in zip(rows.cpu().numpy(), lengths, strict=True)]


def _cut_attention(state: DecoderState, steps: list[int]) -> list[np.ndarray]:
    if state.attention is None:
        return []
    words = state.present.sum(dim=1).tolist()
    return [alpha[:, :n] for alpha, n in zip(_cut(state.attention, steps), words, strict=True)]


def _restored(part: list[np.ndarray], order: list[int]) -> list[np.ndarray]:
    """Into the order that the sentences had before they were sorted by length."""
    return [part[place] for place in np.argsort(order)] if part else part
