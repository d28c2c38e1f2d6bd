"""Batches to pretrain on: for encoders as BERT, and for encoders with decoders as T5 and BART.

`masking`, `span_corruption` and `noising` say what is done to one text; here texts become padded
batches for `training.train`. Those for decoders alone are in `causal`. Texts are arrays of token
ids, and special ids are arguments. What is random in a batch depends on the epoch's generator and
the batch's number alone, so batches that are gone through twice are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from nlp_course.batching import NOTHING, Batches, check_sizes, pad, similar_lengths
from nlp_course.masking import (
    Documents,
    Masked,
    Packed,
    Specials,
    check_documents,
    check_ids,
    check_rate,
    mask_tokens,
    pack,
    sentence_pairs,
)
from nlp_course.translation import Pairs

Texts: TypeAlias = Sequence[Int[np.ndarray, "_"]]

# What makes of a text what an encoder reads and what a decoder writes: `span_corruption`, say.
Denoise: TypeAlias = Callable[
    [Int[np.ndarray, "text"], np.random.Generator],
    tuple[Int[np.ndarray, "source"], Int[np.ndarray, "target"]],
]


class EncoderBatch(NamedTuple):
    """Texts, or pairs of texts, as an encoder reads them, and what is asked about them.

    ids : [CLS] first [SEP], or [CLS] first [SEP] second [SEP]; then padding
    lengths : tokens of each, specials counted; the rest of its row is padding
    segments : 0 for the first text, 1 for the second; 0 at padding
    targets : an answer a token; NOTHING where none is asked for
    labels : an answer a row; NOTHING where none is asked for
    """

    ids: Int[Tensor, "batch time"]
    lengths: Int[Tensor, "batch"]
    segments: Int[Tensor, "batch time"]
    targets: Int[Tensor, "batch time"]
    labels: Int[Tensor, "batch"]


@dataclass(frozen=True)
class _Epoch:
    """Batches that are made when they are asked for, each from a generator of its own."""

    make: Callable[[Any, np.random.Generator], Any]
    parts: Sequence[Any]  # what each batch is made of
    seed: int

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Any]:
        for number, part in enumerate(self.parts):
            yield self.make(part, np.random.default_rng([self.seed, number]))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**63))


# Encoders


def encoder_batch(
    packed: Sequence[Packed],
    specials: Specials,
    targets: Texts | None = None,
    labels: Int[np.ndarray, "batch"] | None = None,
) -> EncoderBatch:
    """Packed texts as one padded batch, in the order given.

    Parameters
    ----------
    packed : see `masking.pack`
    targets : an answer a token of each, specials counted; by default none is asked for
    labels : an answer for each; by default none is asked for

    Raises
    ------
    ValueError : no texts, not one label a text, or not one target a token.

    Examples
    --------
    >>> specials = Specials(pad=0, cls=1, sep=2, mask=3)
    >>> pair = pack(np.array([5, 6]), np.array([7]), specials)
    >>> batch = encoder_batch([pair, pack(np.array([8]), None, specials)], specials)
    >>> batch.ids.tolist(), batch.lengths.tolist()
    ([[1, 5, 6, 2, 7, 2], [1, 8, 2, 0, 0, 0]], [6, 3])
    """
    for name, answers in (("targets", targets), ("labels", labels)):
        if answers is not None and len(answers) != len(packed):
            raise ValueError(f"{len(packed)} texts need as many {name}, got {len(answers)}")
    ids, lengths = pad([one.ids for one in packed], specials.pad)
    segments, _ = pad([one.segments for one in packed])
    if targets is None:
        asked = torch.full_like(ids, NOTHING)
    else:
        asked, numbers = pad(targets, NOTHING)
        if not torch.equal(numbers, lengths):
            raise ValueError(
                f"texts of {lengths.tolist()} tokens need as many targets, got {numbers.tolist()}"
            )
    answers = np.full(len(packed), NOTHING) if labels is None else labels
    return EncoderBatch(ids, lengths, segments, asked, torch.from_numpy(answers))


def masked_batches(
    texts: Texts,
    specials: Specials,
    vocabulary_size: int,
    batch_size: int,
    *,
    length: int | None = None,
    rate: float = 0.15,
    word_starts: Bool[np.ndarray, "vocabulary"] | None = None,
    pool: int = 100,
) -> Batches:
    """Masked language modelling: [CLS] text [SEP], masked anew in each epoch.

    Parameters
    ----------
    texts : ids without specials
    specials, vocabulary_size, rate : as for `masking.mask_tokens`
    batch_size : texts in a batch
    length : of what is read, specials counted; a longer text is cut at its end
    word_starts : which ids begin a word, for whole-word masking
    pool : batches among which texts are sorted: see `batching.similar_lengths`

    Returns
    -------
    What `training.train` takes as its batches: each is an `EncoderBatch` with targets.

    Raises
    ------
    ValueError : no texts, one without tokens, an id outside the vocabulary or that of a special, a
        size below 1, a rate outside (0, 1), a length below 3, not one of word_starts an id.

    Notes
    -----
    New masks in each epoch are RoBERTa's; BERT's were drawn ten times, before training.

    References
    ----------
    Devlin et al. 2019, BERT. Liu et al. 2019, RoBERTa, section 4.1.

    Examples
    --------
    >>> specials = Specials(pad=0, cls=1, sep=2, mask=3)
    >>> batches = masked_batches([np.arange(4, 9)], specials, vocabulary_size=9, batch_size=1)
    >>> for batch in batches(np.random.default_rng(0)):
    ...     print(batch.ids.tolist(), batch.targets.tolist())
    [[1, 4, 5, 6, 3, 8, 2]] [[-100, -100, -100, -100, 7, -100, -100]]
    """
    mask = _masking(specials, vocabulary_size, rate, word_starts)
    check_sizes(batch_size=batch_size, pool=pool)
    _check_texts(texts, specials, vocabulary_size)
    packed = [pack(text, None, specials, length) for text in texts]

    def batches(rng: np.random.Generator) -> _Epoch:
        return _encoder_epoch(packed, None, specials, mask, batch_size, pool, rng)

    return batches


def sentence_pair_batches(
    documents: Documents,
    specials: Specials,
    vocabulary_size: int,
    batch_size: int,
    *,
    length: int | None = None,
    rate: float = 0.15,
    word_starts: Bool[np.ndarray, "vocabulary"] | None = None,
    pool: int = 100,
) -> Batches:
    """BERT's two tasks at once: [CLS] A [SEP] B [SEP], masked, and whether B follows A.

    Pairs and masks are drawn anew in each epoch.

    Parameters
    ----------
    documents : of at least two sentences each: see `masking.sentence_pairs`
    length : of what is read, specials counted; a longer pair is cut: see `masking.truncate_pair`
    specials, vocabulary_size, batch_size, rate, word_starts, pool : as for `masked_batches`

    Returns
    -------
    What `training.train` takes as its batches: each is an `EncoderBatch` with targets, and with
    labels that are 1 where B follows A and 0 where it is from another document. (In the weights
    that BERT's authors published it is the other way round.)

    Raises
    ------
    ValueError : as for `masking.sentence_pairs` and `masked_batches`; a length below 5.
    """
    mask = _masking(specials, vocabulary_size, rate, word_starts)
    check_sizes(batch_size=batch_size, pool=pool)
    check_documents(documents)
    _check_texts([text for document in documents for text in document], specials, vocabulary_size)
    pack(documents[0][0], documents[0][1], specials, length)  # refuses a length that is too small

    def batches(rng: np.random.Generator) -> _Epoch:
        pairs = sentence_pairs(documents, rng)
        packed = [pack(pair.first, pair.second, specials, length, rng) for pair in pairs]
        labels = np.array([pair.is_next for pair in pairs], dtype=np.int64)
        return _encoder_epoch(packed, labels, specials, mask, batch_size, pool, rng)

    return batches


_Masking: TypeAlias = Callable[[Int[np.ndarray, "batch time"], np.random.Generator], Masked]


def _masking(
    specials: Specials,
    vocabulary_size: int,
    rate: float,
    word_starts: Bool[np.ndarray, "vocabulary"] | None,
) -> _Masking:
    check_rate(rate)
    mask = partial(mask_tokens, specials=specials, vocabulary_size=vocabulary_size, rate=rate)
    if word_starts is None:
        return mask
    if len(word_starts) != vocabulary_size:
        raise ValueError(
            f"word_starts must say of each of {vocabulary_size} ids whether it begins a word, "
            f"got {len(word_starts)}"
        )
    return lambda ids, rng: mask(ids, rng, starts=word_starts[ids])


def _check_texts(texts: Texts, specials: Specials, vocabulary_size: int) -> None:
    if not len(texts):
        raise ValueError("there are no texts")
    if not all(map(len, texts)):
        empty = [len(text) for text in texts].index(0)
        raise ValueError(f"text {empty} has no tokens: leave it out")
    tokens = np.concatenate(texts)
    check_ids(tokens, vocabulary_size)
    if np.isin(tokens, specials[:4]).any():
        raise ValueError(
            "[PAD], [CLS], [SEP] and [MASK] are added to texts, which must not hold them"
        )


def _encoder_epoch(
    packed: Sequence[Packed],
    labels: Int[np.ndarray, "example"] | None,
    specials: Specials,
    mask: _Masking,
    batch_size: int,
    pool: int,
    rng: np.random.Generator,
) -> _Epoch:
    def make(places: Int[np.ndarray, "_"], rng: np.random.Generator) -> EncoderBatch:
        batch = encoder_batch(
            [packed[place] for place in places],
            specials,
            labels=None if labels is None else labels[places],
        )
        inputs, targets = map(torch.from_numpy, mask(batch.ids.numpy(), rng))
        return batch._replace(ids=inputs, targets=targets)

    lengths = np.array([len(one.ids) for one in packed])
    return _Epoch(make, similar_lengths(lengths, batch_size, rng, pool), _seed(rng))


# Encoder and decoder


def denoising_batch(
    sources: Texts, targets: Texts, *, start: int, stop: int, padding: int = 0
) -> Pairs:
    """What an encoder reads and a decoder writes as one padded batch, in the order given.

    It is `translation.pad_pairs` for tokenizers that are no `text.Vocabulary`.

    Parameters
    ----------
    sources, targets : ids without start and stop
    start, stop : what the decoder reads first, and what it predicts last; T5 starts with its
        padding's id, BART with that of its stop

    Raises
    ------
    ValueError : no texts, or not one target a source.

    Examples
    --------
    >>> batch = denoising_batch([np.array([5, 90])], [np.array([90, 6, 91])], start=0, stop=1)
    >>> batch.inputs, batch.targets
    (tensor([[ 0, 90,  6, 91]]), tensor([[90,  6, 91,  1]]))
    """
    if len(sources) != len(targets):
        raise ValueError(f"{len(sources)} sources need as many targets, got {len(targets)}")
    source, lengths = pad(sources, padding)
    inputs, _ = pad([np.concatenate([[start], target]) for target in targets], padding)
    asked, _ = pad([np.concatenate([target, [stop]]) for target in targets], NOTHING)
    return Pairs(source, lengths, inputs, asked)


def denoising_batches(
    texts: Texts,
    denoise: Denoise,
    batch_size: int,
    *,
    start: int,
    stop: int,
    padding: int = 0,
    length: int | None = None,
    pool: int = 100,
) -> Batches:
    """Texts of similar length, spoiled anew in each epoch, and what is to be written.

    Parameters
    ----------
    texts : ids without start and stop
    denoise : makes source and target of a text, such as `span_corruption.span_corruption` with its
        sentinels, or a function that gives `noising.noise`'s result and the text
    batch_size : texts in a batch
    start, stop, padding : as for `denoising_batch`
    length : tokens that a text may have at most; by default any number
    pool : batches among which texts are sorted: see `batching.similar_lengths`

    Returns
    -------
    What `training.train` takes as its batches: each is a `translation.Pairs`.

    Raises
    ------
    ValueError : no texts, one without tokens or longer than allowed, or a size below 1. What
        `denoise` refuses, it refuses when the batch is made.

    Examples
    --------
    >>> from nlp_course.span_corruption import span_corruption
    >>> denoise = partial(span_corruption, sentinels=[90, 91, 92])
    >>> batches = denoising_batches([np.arange(5, 13)], denoise, 1, start=0, stop=1)
    >>> for batch in batches(np.random.default_rng(0)):
    ...     print(batch.source.tolist(), batch.targets.tolist())
    [[5, 6, 7, 8, 9, 10, 11, 90]] [[90, 12, 91, 1]]
    """
    check_sizes(batch_size=batch_size, pool=pool)
    lengths = np.array([len(text) for text in texts])
    if not lengths.size:
        raise ValueError("there are no texts")
    if not lengths.all():
        raise ValueError(f"text {lengths.argmin()} has no tokens: leave it out")
    if length is not None and lengths.max() > length:
        raise ValueError(
            f"text {lengths.argmax()} has {lengths.max()} tokens, but only {length} are allowed: "
            "cut it in pieces"
        )

    def make(places: Int[np.ndarray, "_"], rng: np.random.Generator) -> Pairs:
        pairs = [denoise(texts[place], rng) for place in places]
        return denoising_batch(
            [source for source, _ in pairs],
            [target for _, target in pairs],
            start=start,
            stop=stop,
            padding=padding,
        )

    return lambda rng: _Epoch(make, similar_lengths(lengths, batch_size, rng, pool), _seed(rng))
