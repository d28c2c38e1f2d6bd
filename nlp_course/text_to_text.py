"""Every task as text: a prefix says what to do, and the answer is written word by word.

What is labelled, asked or translated becomes a source and a target. An encoder–decoder reads the
one and writes the other; a decoder alone reads both as one text and learns the second part of it; a
prefix language model is a decoder that reads the first part in both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from nlp_course import decoding
from nlp_course.attention import causal_mask
from nlp_course.batching import NOTHING, Batches, check_sizes, pad, similar_lengths
from nlp_course.data.dataset import (
    AlignedTranslation,
    LabelledPair,
    LabelledText,
    SpanQuestion,
    TaggedSentence,
    Translation,
)
from nlp_course.seq2seq import translation_loss
from nlp_course.text import tokenize
from nlp_course.transformer import Cache, EncoderDecoder, Settings, TransformerLM
from nlp_course.translation import Pairs

Record: TypeAlias = (
    Translation | AlignedTranslation | LabelledText | LabelledPair | SpanQuestion | TaggedSentence
)
Ids: TypeAlias = Sequence[Int[np.ndarray, "_"]]


class Example(NamedTuple):
    """A task put as text.

    source : words to read, the prefix first
    target : words to write
    """

    source: list[str]
    target: list[str]


def as_text(record: Record, prefix: str) -> Example:
    """A record of a data set as a source and a target, in the manner of T5.

    A translation is ``prefix : source`` → target, a labelled text ``prefix : text`` → label, a
    labelled pair ``prefix premise : first hypothesis : second`` → label, a question
    ``prefix : question context : passage`` → the answer's words, a tagged sentence
    ``prefix : sentence`` → its tags.

    Parameters
    ----------
    record : see `data.dataset`; raw text is cut by `text.tokenize`
    prefix : words that say which task it is

    Raises
    ------
    ValueError : a prefix without words.
    TypeError : a record of another kind.

    References
    ----------
    Raffel et al. 2020, Exploring the Limits of Transfer Learning with a Unified Text-to-Text
    Transformer, section 2.4 and appendix D.

    Examples
    --------
    >>> as_text(LabelledText([["a", "dull", "film"]], "neg"), "sentiment")
    Example(source=['sentiment', ':', 'a', 'dull', 'film'], target=['neg'])
    """
    if not prefix.split():
        raise ValueError("a prefix has at least one word: it says which task is meant")
    begin = prefix.split()
    match record:
        case Translation(source, target):
            return Example([*begin, ":", *tokenize(source)], tokenize(target))
        case AlignedTranslation(words, translated, _):
            return Example([*begin, ":", *words], translated)
        case LabelledText(sentences, label):
            return Example([*begin, ":", *(word for one in sentences for word in one)], [label])
        case LabelledPair(first, second, label):
            pair = ["premise", ":", *first, "hypothesis", ":", *second]
            return Example([*begin, *pair], [label])
        case SpanQuestion(passage, question):
            return Example([*begin, ":", *question, "context", ":", *passage], record.answer)
        case TaggedSentence(tokens, tags):
            return Example([*begin, ":", *tokens], list(tags))
    raise TypeError(f"there is no way to put a {type(record).__name__} as text: make an Example")


# Decoders alone


class PromptBatch(NamedTuple):
    """Sources and targets as a decoder alone reads them: one text, START between the two.

    inputs : x_1 … x_n START y_1 … y_m, then padding
    targets : y_1 … y_m STOP where they are asked for; NOTHING at the source and at padding
    prefixes : n + 1, tokens of each row that are given and not asked for
    """

    inputs: Int[Tensor, "batch time"]
    targets: Int[Tensor, "batch time"]
    prefixes: Int[Tensor, "batch"]


def prompt_batch(
    sources: Ids, targets: Ids, *, start: int, stop: int, padding: int = 0
) -> PromptBatch:
    """Sources and targets as one padded batch for a decoder alone, in the order given.

    It asks for the same tokens as `pretraining.denoising_batch` asks an encoder–decoder for.

    Raises
    ------
    ValueError : no texts, or not one target a source.

    Examples
    --------
    >>> batch = prompt_batch([np.array([5, 6])], [np.array([7])], start=1, stop=2)
    >>> batch.inputs.tolist(), batch.targets.tolist(), batch.prefixes.tolist()
    ([[5, 6, 1, 7]], [[-100, -100, 7, 2]], [3])
    """
    if len(sources) != len(targets):
        raise ValueError(f"{len(sources)} sources need as many targets, got {len(targets)}")
    read = [np.concatenate([s, [start], t]) for s, t in zip(sources, targets, strict=True)]
    asked = [
        np.concatenate([np.full(len(s), NOTHING), t, [stop]])
        for s, t in zip(sources, targets, strict=True)
    ]
    prefixes = torch.tensor([len(source) + 1 for source in sources])
    return PromptBatch(pad(read, padding)[0], pad(asked, NOTHING)[0], prefixes)


def prompt_batches(
    sources: Ids,
    targets: Ids,
    batch_size: int,
    *,
    start: int,
    stop: int,
    padding: int = 0,
    pool: int = 100,
) -> Batches:
    """Sources and targets of similar length together, in a new random order each epoch.

    Parameters
    ----------
    sources, targets, start, stop, padding : as for `prompt_batch`
    batch_size : pairs in a batch
    pool : batches among which pairs are sorted: see `batching.similar_lengths`

    Returns
    -------
    What `training.train` takes as its batches: each is a `PromptBatch`.

    Raises
    ------
    ValueError : no texts, not one target a source, or a size below 1.
    """
    check_sizes(batch_size=batch_size, pool=pool)
    if len(sources) != len(targets):
        raise ValueError(f"{len(sources)} sources need as many targets, got {len(targets)}")
    if not len(sources):
        raise ValueError("there are no texts")
    lengths = np.array([len(s) + len(t) for s, t in zip(sources, targets, strict=True)])
    make = partial(prompt_batch, start=start, stop=stop, padding=padding)
    return lambda rng: _PromptBatches(
        sources, targets, similar_lengths(lengths, batch_size, rng, pool), make
    )


@dataclass(frozen=True)
class _PromptBatches:
    """Batches of prompts; one is padded when it is asked for."""

    sources: Ids
    targets: Ids
    places: list[Int[np.ndarray, "_"]]
    make: Callable[[Ids, Ids], PromptBatch]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[PromptBatch]:
        for chosen in self.places:
            yield self.make([self.sources[i] for i in chosen], [self.targets[i] for i in chosen])


def prefix_mask(prefixes: Int[Tensor, "batch"], time: int) -> Bool[Tensor, "batch 1 {time} {time}"]:
    """Every query may attend to the prefix, to itself and to what is before it.

    Parameters
    ----------
    prefixes : tokens of each text that are read in both directions; 0 and 1 leave a causal mask
    time : tokens of each text, padding counted, which comes last

    Raises
    ------
    ValueError : a prefix below 0 or above `time`.

    References
    ----------
    Raffel et al. 2020, section 3.2.1 and figure 3.

    Examples
    --------
    >>> prefix_mask(torch.tensor([2]), time=3).int().squeeze().tolist()
    [[1, 1, 0], [1, 1, 0], [1, 1, 1]]
    """
    if ((prefixes < 0) | (prefixes > time)).any():
        raise ValueError(f"prefixes must lie in 0 … {time}, got {prefixes.tolist()}")
    inside = torch.arange(time, device=prefixes.device) < prefixes[:, None]  # (batch, key)
    return causal_mask(time, time, prefixes.device) | inside[:, None, None]


class PrefixLM(TransformerLM):
    """A decoder that reads the beginning of a text in both directions, and writes the rest.

    It has the parameters of a `TransformerLM`: the mask alone differs.

    Parameters
    ----------
    vocabulary_size, settings, tied : as for `TransformerLM`

    References
    ----------
    Liu et al. 2018, Generating Wikipedia by Summarizing Long Sequences, for source and target as
    one text; Raffel et al. 2020, section 3.2.1, for the mask.

    Examples
    --------
    >>> model = PrefixLM(10, Settings(dimension=8, heads=2, layers=1))
    >>> logits, cache = model(torch.tensor([[4, 5, 6]]))  # the prefix
    >>> logits, cache = model(torch.tensor([[7]]), cache)
    >>> logits.shape, cache.length
    (torch.Size([1, 1, 10]), 4)
    """

    def __init__(self, vocabulary_size: int, settings: Settings, *, tied: bool = True) -> None:
        super().__init__(vocabulary_size, settings, tied=tied)
        self.stack.causal = False  # its masks are given
        if settings.position == "relative":
            self.stack.position = settings.make_position(causal=False)  # a prefix looks both ways

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        state: Cache | None = None,
        prefixes: Int[Tensor, "text"] | None = None,
    ) -> tuple[Float[Tensor, "batch time vocabulary"], Cache]:
        """Logits of the token after each token; those inside a prefix mean nothing.

        Parameters
        ----------
        ids : of tokens; padding, if any, comes last
        state : the cache of the tokens before, as returned; None where a text begins
        prefixes : tokens of each text's prefix; where a text begins all of `ids`, by default. What
            comes after a cache is read causally

        Raises
        ------
        ValueError : prefixes beside a state, not one a text or longer than it, and as for
            `TransformerLM`.
        """
        batch, time = ids.shape
        if state is not None and prefixes is not None:
            raise ValueError("a prefix is read at once: give prefixes where a text begins")
        if prefixes is not None and len(prefixes) != batch:
            raise ValueError(f"{batch} texts need as many prefixes, got {len(prefixes)}")
        mask = None
        if prefixes is not None:
            mask = prefix_mask(prefixes, time)
        elif state is not None:
            mask = causal_mask(time, state.length + time, ids.device)
        h, state = self.stack(self.embedding(ids), state, mask=mask)
        return self.output(h), state


# Answers


def answer_loss(
    model: EncoderDecoder | TransformerLM, batch: Pairs | PromptBatch
) -> tuple[Float[Tensor, ""], int]:
    """−Σ_i log p(y_i | y_1 … y_{i−1}, x) over a batch, STOP counted: for `training`.

    Parameters
    ----------
    model : an encoder–decoder, whose batches are `Pairs`; or a decoder alone, whose batches are
        `PromptBatch`es. A `PrefixLM` is told the prefixes

    Raises
    ------
    TypeError : a batch of the other kind.
    """
    if isinstance(model, EncoderDecoder) and isinstance(batch, Pairs):
        return translation_loss(model, batch)
    if isinstance(model, PrefixLM) and isinstance(batch, PromptBatch):
        logits, _ = model(batch.inputs, prefixes=batch.prefixes)
    elif isinstance(model, TransformerLM) and isinstance(batch, PromptBatch):
        logits, _ = model(batch.inputs)
    else:
        raise TypeError(
            f"a {type(model).__name__} cannot read a {type(batch).__name__}: an encoder–decoder "
            "takes Pairs, a decoder alone takes a PromptBatch"
        )
    targets = batch.targets.flatten()
    summed = F.cross_entropy(logits.flatten(0, 1), targets, reduction="sum", ignore_index=NOTHING)
    return summed, int((targets != NOTHING).sum())


@torch.no_grad()
def write_answers(
    model: EncoderDecoder | TransformerLM,
    sources: Ids,
    length: int,
    *,
    start: int,
    stop: int,
    batch_size: int = 64,
) -> list[Int[np.ndarray, "_"]]:
    """What a model writes for each source, the likeliest token in each place, without STOP.

    Parameters
    ----------
    model : an encoder–decoder, or a decoder alone, which reads the source and START and goes on
    sources : ids, as in training
    length : tokens of an answer at most
    start, stop : as in training
    batch_size : sources read side by side; a decoder alone reads those of one length together,
        since padding would stand between a source and its answer

    Raises
    ------
    ValueError : a size below 1, an encoder–decoder's source without tokens, and what the model
        refuses.
    """
    check_sizes(length=length, batch_size=batch_size)
    place, was_training = model.embedding.weight.device, model.training
    answers: dict[int, Int[np.ndarray, "_"]] = {}
    model.eval()
    try:
        for rows in _alike(sources, batch_size, apart=isinstance(model, TransformerLM)):
            read, lengths = (part.to(place) for part in pad([sources[row] for row in rows]))
            begin = torch.full((len(rows), 1), start, device=place)
            state = None
            if isinstance(model, EncoderDecoder):
                state = model.encode(read, lengths)
            else:
                begin = torch.cat([read, begin], dim=1)
            new = decoding.greedy(model, begin, length, stop=stop, state=state).cpu().numpy()
            # What comes after a STOP is STOP again, so those that are none come first.
            answers.update((row, ids[ids != stop]) for row, ids in zip(rows, new, strict=True))
    finally:
        model.train(was_training)
    return [answers[row] for row in range(len(sources))]


def _alike(sources: Ids, batch_size: int, apart: bool) -> Iterator[list[int]]:
    """Places of sources that are nearly, or exactly, of one length."""
    lengths = np.array([len(source) for source in sources])
    order = np.argsort(lengths, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1) if apart else [order]
    for group in groups:
        for first in range(0, len(group), batch_size):
            yield group[first : first + batch_size].tolist()


def exact_match(written: Ids, wanted: Ids) -> float:
    """Share of the answers that are, token for token, what was wanted.

    Raises
    ------
    ValueError : no answers, or not as many as were wanted.

    Examples
    --------
    >>> exact_match([np.array([5, 6]), np.array([7])], [np.array([5, 6]), np.array([7, 8])])
    0.5
    """
    if len(written) != len(wanted):
        raise ValueError(f"{len(wanted)} answers were wanted, got {len(written)}")
    if not len(wanted):
        raise ValueError("there are no answers to judge")
    return float(np.mean([np.array_equal(a, b) for a, b in zip(written, wanted, strict=True)]))
