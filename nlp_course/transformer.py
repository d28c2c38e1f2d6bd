"""Transformers: encoder, decoder, and encoder with decoder, all from the stacks of one block.

An encoder's tokens attend to all of their text; a decoder's to themselves and to those before; a
decoder after an encoder attends to the encoder's text as well. Ids come from any tokenizer: a model
knows only how many there are.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nlp_course.attention import padding_mask
from nlp_course.cache import Cache, KeysValues
from nlp_course.transformer_blocks import Block, FeedForward, Settings, Stack

__all__ = [
    "Block",
    "Cache",
    "DecoderState",
    "Encoder",
    "EncoderDecoder",
    "FeedForward",
    "Settings",
    "Stack",
    "TransformerLM",
    "approximate_parameters",
]


class Encoder(nn.Module):
    """A vector for each token, from all of its text: what BERT is made of.

    Parameters
    ----------
    vocabulary_size : ids there are
    settings : of the blocks
    segments : kinds of sentence that a token may belong to; 0 for no such thing

    Attributes
    ----------
    embedding, segment_embedding : (V, d) and (segments, d) or None
    stack : the blocks

    Raises
    ------
    ValueError : no ids.

    References
    ----------
    Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers for Language
    Understanding.

    Examples
    --------
    >>> encoder = Encoder(10, Settings(dimension=8, heads=2, layers=1))
    >>> encoder(torch.tensor([[4, 5, 6], [7, 0, 0]]), torch.tensor([3, 1])).shape
    torch.Size([2, 3, 8])
    """

    def __init__(self, vocabulary_size: int, settings: Settings, *, segments: int = 0) -> None:
        super().__init__()
        self.settings = settings
        self.embedding = _embedding(vocabulary_size, settings)
        self.segment_embedding = _embedding(segments, settings) if segments else None
        self.stack = Stack(settings, causal=False)

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        lengths: Int[Tensor, "text"] | None = None,
        segments: Int[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch time d"]:
        """A vector a token.

        Parameters
        ----------
        ids : of tokens; what stands beyond a text's length is not attended to
        lengths : tokens of each text; all of them, by default
        segments : the kind of sentence of each token; 0, by default

        Raises
        ------
        ValueError : an id or a segment out of range, more tokens than positions, or lengths that do
            not fit.
        """
        _check(ids, self.embedding.num_embeddings)
        x = self.embedding(ids)  # (batch, time, d)
        if self.segment_embedding is not None:
            segments = torch.zeros_like(ids) if segments is None else segments
            _check(segments, self.segment_embedding.num_embeddings, "segments")
            x = x + self.segment_embedding(segments)
        elif segments is not None:
            raise ValueError("this encoder has no segments: build it with segments=2")
        return self.stack(x, mask=None if lengths is None else _present(ids, lengths))[0]


class TransformerLM(nn.Module):
    """The next token from all before it: what GPT is made of.

    p(w_{t+1} | w_1 … w_t) = softmax(W_o h_t), and h_t is the stack's vector of w_t

    Parameters
    ----------
    vocabulary_size : ids there are
    settings : of the blocks
    tied : use the vectors of tokens for W_o

    Attributes
    ----------
    embedding : (V, d)
    stack : the blocks
    output : W_o, (V, d)

    Raises
    ------
    ValueError : no ids.

    References
    ----------
    Radford et al. 2018, Improving Language Understanding by Generative Pre-Training; Radford et
    al. 2019, Language Models are Unsupervised Multitask Learners.

    Examples
    --------
    >>> model = TransformerLM(10, Settings(dimension=8, heads=2, layers=1))
    >>> logits, cache = model(torch.tensor([[4, 5, 6]]))
    >>> logits, cache = model(torch.tensor([[7]]), cache)
    >>> logits.shape, cache.length
    (torch.Size([1, 1, 10]), 4)
    """

    def __init__(self, vocabulary_size: int, settings: Settings, *, tied: bool = True) -> None:
        super().__init__()
        self.settings = settings
        self.embedding = _embedding(vocabulary_size, settings)
        self.stack = Stack(settings, causal=True)
        self.output = _output(self.embedding, settings, tied)

    def forward(
        self, ids: Int[Tensor, "batch time"], state: Cache | None = None
    ) -> tuple[Float[Tensor, "batch time vocabulary"], Cache]:
        """Logits of the token after each token: the course's interface of language models.

        Parameters
        ----------
        ids : of tokens; padding, if any, comes last, where no target asks for it
        state : the cache of the tokens before, as returned; None where a text begins

        Raises
        ------
        ValueError : an id outside 0 … V − 1, more tokens than positions, or a cache of another
            batch or model.
        """
        _check(ids, self.embedding.num_embeddings)
        h, state = self.stack(self.embedding(ids), state)
        return self.output(h), state


class DecoderState(NamedTuple):
    """All that a decoder after an encoder goes on with.

    cache : of the target's tokens
    memory : keys and values of the source, for each block
    present : False where the source is padding
    """

    cache: Cache | None
    memory: tuple[KeysValues, ...]
    present: Bool[Tensor, "batch 1 1 source"]

    def select(self, rows: Int[Tensor, "new"]) -> DecoderState:
        """The state of some rows of the batch, in a new order; a row may come twice."""
        return DecoderState(
            None if self.cache is None else self.cache.select(rows),
            Cache(self.memory).select(rows).layers,
            self.present[rows],
        )

    def reorder(self, rows: Int[Tensor, "batch"], last: int) -> DecoderState:
        """As `Cache.reorder`, of rows that have their source in common with those they replace."""
        return self if self.cache is None else self._replace(cache=self.cache.reorder(rows, last))


class EncoderDecoder(nn.Module):
    """p(y | x) = Π_i p(y_i | y_1 … y_{i−1}, x): what T5 and BART are made of.

    Source and target have one vocabulary, and one vector a token.

    Parameters
    ----------
    vocabulary_size : ids there are
    settings : of both stacks
    tied : use the vectors of tokens for W_o

    Attributes
    ----------
    embedding : (V, d), of both sides
    encoder, decoder : the stacks
    output : W_o, (V, d)

    Raises
    ------
    ValueError : no ids.

    References
    ----------
    Vaswani et al. 2017, Attention Is All You Need.

    Examples
    --------
    >>> model = EncoderDecoder(10, Settings(dimension=8, heads=2, layers=1))
    >>> state = model.encode(torch.tensor([[4, 5, 6]]), torch.tensor([3]))
    >>> logits, state = model(torch.tensor([[1, 7]]), state)
    >>> logits.shape, state.cache.length
    (torch.Size([1, 2, 10]), 2)
    """

    def __init__(self, vocabulary_size: int, settings: Settings, *, tied: bool = True) -> None:
        super().__init__()
        self.settings = settings
        self.embedding = _embedding(vocabulary_size, settings)
        self.encoder = Stack(settings, causal=False)
        self.decoder = Stack(settings, causal=True, cross=True)
        self.output = _output(self.embedding, settings, tied)

    def encode(
        self, source: Int[Tensor, "batch source"], lengths: Int[Tensor, "text"]
    ) -> DecoderState:
        """Read the source: keys and values for each block of the decoder.

        Parameters
        ----------
        source : ids of tokens; what stands beyond a text's length is not attended to
        lengths : tokens of each

        Raises
        ------
        ValueError : an id outside 0 … V − 1, more tokens than positions, or lengths that do not
            fit.
        """
        _check(source, self.embedding.num_embeddings)
        present = _present(source, lengths)
        encoded, _ = self.encoder(self.embedding(source), mask=present)
        memory = self.decoder.memories(encoded)
        return DecoderState(None, memory, present)

    def forward(
        self, inputs: Int[Tensor, "batch target"], state: DecoderState
    ) -> tuple[Float[Tensor, "batch target vocabulary"], DecoderState]:
        """Logits of the token after each token: the course's interface of language models.

        Parameters
        ----------
        inputs : ids of target tokens, START first
        state : `encode`'s at the beginning, then as returned

        Raises
        ------
        ValueError : an id outside 0 … V − 1, more tokens than positions, or a state of another
            batch or model.
        """
        _check(inputs, self.embedding.num_embeddings)
        h, cache = self.decoder(
            self.embedding(inputs), state.cache, memory=state.memory, memory_mask=state.present
        )
        return self.output(h), state._replace(cache=cache)


def approximate_parameters(vocabulary_size: int, dimension: int, layers: int) -> int:
    """|V| d + 12 L d²: numbers in a transformer, without biases, norms and positions.

    A block has 4 d² in attention's four maps and 8 d² in the feed-forward network's two, if its
    hidden layer has 4 d units.

    Examples
    --------
    >>> approximate_parameters(50_257, 768, 12)  # GPT-2 has 124,439,808
    123532032
    """
    return vocabulary_size * dimension + 12 * layers * dimension**2


def _embedding(size: int, settings: Settings) -> nn.Embedding:
    if size < 1:
        raise ValueError(f"there must be at least 1 id, got {size}")
    embedding = nn.Embedding(size, settings.dimension)
    nn.init.normal_(embedding.weight, std=settings.spread)
    return embedding


def _output(embedding: nn.Embedding, settings: Settings, tied: bool) -> nn.Linear:
    # Tied, the layer needs no weights of its own, and none are made: "meta" has shapes alone.
    place = "meta" if tied else None
    output = nn.Linear(embedding.embedding_dim, embedding.num_embeddings, False, device=place)
    if tied:
        output.weight = embedding.weight
    else:
        nn.init.normal_(output.weight, std=settings.spread)
    return output


def _present(ids: Tensor, lengths: Tensor) -> Tensor:
    """The mask of what is no padding."""
    batch, time = ids.shape
    if len(lengths) != batch:
        raise ValueError(f"{batch} texts need as many lengths, got {len(lengths)}")
    return padding_mask(lengths, time).to(ids.device)


def _check(ids: Tensor, size: int, name: str = "ids") -> None:
    # One question, since on a GPU each answer has to be waited for.
    if not torch.equal(ids, ids.clamp(0, size - 1)):
        raise ValueError(f"{name} must lie in 0 … {size - 1}, got {ids.min()} … {ids.max()}")
