"""Batches of questions to an encoder: classes of texts, tags of words, spans that answer.

Tags and answers are of words, and an encoder reads pieces of words: `pack_words` remembers which
piece is of which word, `tag_targets` and `span_tokens` go from words to pieces, `span_words` comes
back. Words are arrays of ids from any tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from nlp_course.batching import NOTHING, Batches, check_sizes, pad, similar_lengths
from nlp_course.masking import Packed, Specials
from nlp_course.pretraining import EncoderBatch, Texts, encoder_batch

NO_WORD = -1  # what stands beside a token that is not of the text's words


class PackedWords(NamedTuple):
    """A text as an encoder reads it, and of which word each token is a piece.

    packed : ids and segments, specials and question included
    word : the number of each token's word; NO_WORD at specials and in the question
    """

    packed: Packed
    word: Int[np.ndarray, "time"]


class SpanBatch(NamedTuple):
    """Questions with their passages, and where the answers are.

    ids : [CLS] question [SEP] passage [SEP]; then padding
    lengths : tokens of each, specials counted
    segments : 0 for the question, 1 for the passage; 0 at padding
    allowed : True at tokens of the passage, where an answer may begin and end
    spans : the first token of each answer, and the last; NOTHING, twice, where it is not asked for
    """

    ids: Int[Tensor, "batch time"]
    lengths: Int[Tensor, "batch"]
    segments: Int[Tensor, "batch time"]
    allowed: Bool[Tensor, "batch time"]
    spans: Int[Tensor, "batch 2"]


def pack_words(
    words: Sequence[Int[np.ndarray, "_"]],
    specials: Specials,
    *,
    question: Int[np.ndarray, "_"] | None = None,
    length: int | None = None,
) -> PackedWords:
    """[CLS] words [SEP], or [CLS] question [SEP] words [SEP], of the pieces of each word.

    Parameters
    ----------
    words : the pieces of each
    question : the pieces of all of it; it is never cut
    length : of all, specials counted; what is longer is cut at its end, inside a word if need be

    Raises
    ------
    ValueError : no words, a word without pieces, an empty question, or a length that leaves no room
        for one piece.

    Examples
    --------
    >>> specials = Specials(pad=0, cls=1, sep=2, mask=3)
    >>> one = pack_words([np.array([7]), np.array([8, 9])], specials, question=np.array([5, 6]))
    >>> one.packed.ids, one.word
    (array([1, 5, 6, 2, 7, 8, 9, 2]), array([-1, -1, -1, -1,  0,  1,  1, -1]))
    """
    if not len(words):
        raise ValueError("a text without words cannot be packed")
    sizes = np.array([len(pieces) for pieces in words])
    if not sizes.all():
        raise ValueError(
            f"word {int(sizes.argmin())} has no pieces: give it the unknown token's id, or leave "
            "it and its tag out"
        )
    before = np.array([specials.cls])
    if question is not None:
        if not len(question):
            raise ValueError("the question has no tokens")
        before = np.concatenate([before, question, [specials.sep]])
    pieces, word = np.concatenate(words), np.repeat(np.arange(len(words)), sizes)
    if length is not None:
        room = length - len(before) - 1
        if room < 1:
            raise ValueError(
                f"length must be at least {len(before) + 2}, to hold what stands before the "
                f"words, one piece and [SEP]; got {length}"
            )
        pieces, word = pieces[:room], word[:room]
    ids = np.concatenate([before, pieces, [specials.sep]]).astype(np.int64)
    segments = np.zeros(len(ids), dtype=np.int64)
    if question is not None:
        segments[len(before) :] = 1
    of_word = np.full(len(ids), NO_WORD)
    of_word[len(before) : -1] = word
    return PackedWords(Packed(ids, segments), of_word)


def tag_targets(text: PackedWords, tags: Int[np.ndarray, "word"]) -> Int[np.ndarray, "time"]:
    """A target a token: each word's tag at its first piece, NOTHING elsewhere.

    Words that were cut off have no target.

    Raises
    ------
    ValueError : fewer tags than words.

    Examples
    --------
    >>> words = [np.array([7]), np.array([8, 9])]
    >>> text = pack_words(words, Specials(pad=0, cls=1, sep=2, mask=3))
    >>> tag_targets(text, np.array([4, 5])).tolist()
    [-100, 4, 5, -100, -100]
    """
    first = (text.word != NO_WORD) & (np.diff(text.word, prepend=NO_WORD) != 0)
    words = text.word[first]
    if len(tags) <= words[-1]:
        raise ValueError(f"{words[-1] + 1} words need as many tags, got {len(tags)}")
    targets = np.full(len(text.word), NOTHING)
    targets[first] = tags[words]
    return targets


def span_tokens(text: PackedWords, start: int, end: int) -> tuple[int, int]:
    """The first and the last token of words[start:end].

    Raises
    ------
    ValueError : no words in between, or one that the passage does not have, or no longer has.

    Examples
    --------
    >>> words = [np.array([7]), np.array([8, 9]), np.array([4])]
    >>> span_tokens(pack_words(words, Specials(pad=0, cls=1, sep=2, mask=3)), 1, 3)
    (2, 4)
    """
    last_word = int(text.word.max())
    if not 0 <= start < end <= last_word + 1:
        raise ValueError(
            f"an answer must have words, and lie in the passage's 0 … {last_word} (which may have "
            f"been cut); got words {start} … {end - 1}"
        )
    first, last = np.flatnonzero(text.word == start)[0], np.flatnonzero(text.word == end - 1)[-1]
    return int(first), int(last)


def span_words(text: PackedWords, first: int, last: int) -> tuple[int, int]:
    """Start and end of the words that the tokens first … last are of: `span_tokens` undone.

    Raises
    ------
    ValueError : the tokens are not in order, or one of the two is not of a word.
    """
    if not 0 <= first <= last < len(text.word):
        raise ValueError(f"tokens {first} … {last} are no span of {len(text.word)} tokens")
    start, end = int(text.word[first]), int(text.word[last])
    if NO_WORD in (start, end):
        raise ValueError(f"token {first} or {last} is not of a word of the passage")
    return start, end + 1


def in_order(
    packed: Sequence[Packed],
    specials: Specials,
    batch_size: int = 64,
    *,
    targets: Texts | None = None,
    labels: Int[np.ndarray, "text"] | None = None,
) -> list[EncoderBatch]:
    """Batches to measure on, in the order of the texts.

    Parameters
    ----------
    targets, labels : an answer a token, or a text; by default none is asked for

    Raises
    ------
    ValueError : batch_size < 1, or as for `pretraining.encoder_batch`.
    """
    check_sizes(batch_size=batch_size)
    _check_numbers(len(packed), targets=targets, labels=labels)
    return [
        _chosen(np.arange(at, min(at + batch_size, len(packed))), packed, specials, targets, labels)
        for at in range(0, len(packed), batch_size)
    ]


def task_batches(
    packed: Sequence[Packed],
    specials: Specials,
    batch_size: int,
    *,
    targets: Texts | None = None,
    labels: Int[np.ndarray, "text"] | None = None,
    pool: int = 100,
) -> Batches:
    """Batches to fine-tune on, of similar lengths, dealt anew in each epoch.

    Parameters
    ----------
    packed : see `masking.pack` and `pack_words`
    targets, labels : an answer a token, or a text
    pool : batches among which texts are sorted: see `batching.similar_lengths`

    Returns
    -------
    What `training.train` takes as its batches: each is an `EncoderBatch`.

    Raises
    ------
    ValueError : no texts, not as many answers, or a size below 1.

    Examples
    --------
    >>> from nlp_course.masking import pack
    >>> specials = Specials(pad=0, cls=1, sep=2, mask=3)
    >>> texts = [pack(np.array([5, 6]), None, specials), pack(np.array([7]), None, specials)]
    >>> batches = task_batches(texts, specials, 1, labels=np.array([0, 1]))
    >>> sorted((len(batch.ids[0]), int(batch.labels)) for batch in batches(np.random.default_rng()))
    [(3, 1), (4, 0)]
    """
    check_sizes(batch_size=batch_size, pool=pool)
    _check_numbers(len(packed), targets=targets, labels=labels)
    lengths = np.array([len(one.ids) for one in packed])
    return lambda rng: [
        _chosen(rows, packed, specials, targets, labels)
        for rows in similar_lengths(lengths, batch_size, rng, pool)
    ]


def span_batch(
    texts: Sequence[PackedWords],
    specials: Specials,
    spans: Int[np.ndarray, "batch 2"] | None = None,
) -> SpanBatch:
    """Questions with passages as one padded batch, in the order given.

    Parameters
    ----------
    texts : packed by `pack_words`, each with its question
    spans : first and last token of each answer, see `span_tokens`; by default none is asked for

    Raises
    ------
    ValueError : no texts, not one span a text, or a span that is not inside its passage.
    """
    batch = encoder_batch([one.packed for one in texts], specials)
    word, _ = pad([one.word for one in texts], NO_WORD)
    allowed = word != NO_WORD
    if spans is None:
        asked = torch.full((len(texts), 2), NOTHING)
    elif len(spans) != len(texts):
        raise ValueError(f"{len(texts)} texts need as many spans, got {len(spans)}")
    else:
        asked = torch.from_numpy(spans.astype(np.int64))
        for number, (text, span) in enumerate(zip(texts, spans.tolist(), strict=True)):
            try:
                span_words(text, *span)
            except ValueError as error:
                raise ValueError(f"the span of text {number}: {error}") from None
    return SpanBatch(batch.ids, batch.lengths, batch.segments, allowed, asked)


def span_batches(
    texts: Sequence[PackedWords],
    spans: Int[np.ndarray, "text 2"],
    specials: Specials,
    batch_size: int,
    *,
    pool: int = 100,
) -> Batches:
    """Batches of questions to fine-tune on: see `span_batch` and `task_batches`.

    Raises
    ------
    ValueError : as for both.
    """
    check_sizes(batch_size=batch_size, pool=pool)
    _check_numbers(len(texts), spans=spans)
    lengths = np.array([len(one.word) for one in texts])
    return lambda rng: [
        span_batch([texts[row] for row in rows], specials, spans[rows])
        for rows in similar_lengths(lengths, batch_size, rng, pool)
    ]


def _chosen(
    rows: Int[np.ndarray, "_"],
    packed: Sequence[Packed],
    specials: Specials,
    targets: Texts | None,
    labels: Int[np.ndarray, "text"] | None,
) -> EncoderBatch:
    return encoder_batch(
        [packed[row] for row in rows],
        specials,
        None if targets is None else [targets[row] for row in rows],
        None if labels is None else labels[rows],
    )


def _check_numbers(number: int, **answers: Sequence[object] | np.ndarray | None) -> None:
    if not number:
        raise ValueError("there are no texts")
    for name, given in answers.items():
        if given is not None and len(given) != number:
            raise ValueError(f"{number} texts need as many {name}, got {len(given)}")
