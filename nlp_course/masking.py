"""What BERT is trained on: tokens that are masked, and pairs of sentences.

Texts are arrays of token ids. Which ids mean something else than a piece of text, such as [MASK],
is a tokenizer's matter: they come in as `Specials`. All that is random is drawn from a generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Int

from nlp_course.batching import NOTHING

# A document is its sentences, in order; a sentence is its ids.
Documents: TypeAlias = Sequence[Sequence[Int[np.ndarray, "_"]]]


class Specials(NamedTuple):
    """Ids that are no text. They are never masked, and never stand in for a token.

    pad : what follows a text that is shorter than others of its batch
    cls : begins what an encoder reads; its vector stands for the whole
    sep : ends each sentence
    mask : stands where a token is hidden
    others : further ids to leave alone, such as that of the unknown token, or sentinels
    """

    pad: int
    cls: int
    sep: int
    mask: int
    others: tuple[int, ...] = ()

    @property
    def ids(self) -> list[int]:
        """All of them."""
        return [*self[:4], *self.others]


class Masked(NamedTuple):
    """What an encoder reads, and what it is to say of it.

    inputs : ids, some of them replaced
    targets : the id that was there, at each chosen place; NOTHING elsewhere
    """

    inputs: Int[np.ndarray, "*batch time"]
    targets: Int[np.ndarray, "*batch time"]


class SentencePair(NamedTuple):
    """Two sentences, and whether the second follows the first in their text."""

    first: Int[np.ndarray, "_"]
    second: Int[np.ndarray, "_"]
    is_next: bool


class Packed(NamedTuple):
    """One or two texts as an encoder reads them, and which of the two each token belongs to."""

    ids: Int[np.ndarray, "time"]
    segments: Int[np.ndarray, "time"]


def check_rate(rate: float) -> None:
    """ValueError where a share of a text's tokens is not between 0 and 1."""
    if not 0 < rate < 1:
        raise ValueError(f"rate must be above 0 and below 1, got {rate}")


def mask_tokens(
    ids: Int[np.ndarray, "*batch time"],
    rng: np.random.Generator,
    specials: Specials,
    vocabulary_size: int,
    *,
    rate: float = 0.15,
    starts: Bool[np.ndarray, "*_"] | None = None,
    mask_share: float | int = 0.8,
    random_share: float | int = 0.1,
) -> Masked:
    """Hide some tokens of each text, which a model is to restore from those on both sides.

    Of a text with n tokens that are not special max(1, round(rate · n)) are chosen, each with the
    same probability. Each chosen one becomes [MASK] with probability 0.8, a token drawn from all
    that are not special with 0.1, and stays what it is with 0.1. So a model has to make a vector of
    use for each token that it reads, not for [MASK] alone, which no text holds after pretraining.

    Parameters
    ----------
    ids : texts, one a row, or a single one; padding and other specials are left alone, and so is a
        row that has nothing else
    rng : all that is random is drawn from it
    specials, vocabulary_size : ids lie in 0 … vocabulary_size − 1
    rate : share of the tokens that is chosen
    starts : True where a token begins a word, of the shape of ids, for whole-word masking: all
        tokens of a word are chosen, or none. The first token, and one after a special, begins a
        word in any case. Words are taken in random order, each that still fits into the number;
        where none fits, the first of them. By default each token is a word
    mask_share, random_share : of the chosen tokens; the rest is unchanged

    Raises
    ------
    ValueError : nothing that is not special, rate outside (0, 1), shares that are negative or sum
        to more than 1, an id outside the vocabulary, or starts of another shape than ids.

    Notes
    -----
    The number is fixed, as in BERT's own code, and not drawn by a coin a token: so a short text,
    too, has something to predict, and the loss is over nearly as many tokens in each batch. BERT's
    code counts [CLS] and [SEP] into n; here they are left out, so that `rate` is the share.

    References
    ----------
    Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers for Language
    Understanding, section 3.1 and appendix A.1.

    Examples
    --------
    >>> words = "[PAD] [CLS] [SEP] [MASK] The cat sat on the mat".split()
    >>> ids = np.array([1, 4, 5, 6, 7, 8, 9, 2])
    >>> specials = Specials(pad=0, cls=1, sep=2, mask=3)
    >>> masked = mask_tokens(ids, np.random.default_rng(0), specials, len(words))
    >>> " ".join(words[i] for i in masked.inputs)
    '[CLS] The cat [MASK] on the mat [SEP]'
    >>> [words[i] for i in masked.targets if i != NOTHING]
    ['sat']
    """
    check_rate(rate)
    if min(mask_share, random_share) < 0 or mask_share + random_share > 1:
        raise ValueError(
            "mask_share and random_share must be at least 0 and sum to at most 1, got "
            f"{mask_share} and {random_share}"
        )
    check_ids(ids, vocabulary_size)
    check_ids(np.array(specials.ids), vocabulary_size)
    maskable = ~np.isin(ids, specials.ids)
    if not maskable.any():
        raise ValueError("there is nothing to mask: a text needs a token that is not special")
    rows = ids.reshape(-1, ids.shape[-1])  # (batch, time)
    maskable = maskable.reshape(rows.shape)
    tokens = maskable.sum(axis=1)
    number = np.where(tokens, np.maximum(1, np.rint(rate * tokens)), 0).astype(np.int64)
    if starts is None:
        chosen = _random_tokens(maskable, number, rng)
    elif starts.shape == ids.shape:
        chosen = _random_words(maskable, starts.reshape(rows.shape), number, rng)
    else:
        raise ValueError(f"starts must have the shape of ids, {ids.shape}, got {starts.shape}")

    ordinary = np.delete(np.arange(vocabulary_size), specials.ids)  # what may stand in
    draw = rng.random(int(chosen.sum()))
    replaced = rows[chosen]
    replaced[draw < mask_share] = specials.mask
    at_random = (draw >= mask_share) & (draw < mask_share + random_share)
    replaced[at_random] = rng.choice(ordinary, size=int(at_random.sum()))
    inputs = rows.copy()
    inputs[chosen] = replaced
    targets = np.where(chosen, rows, NOTHING)
    return Masked(inputs.reshape(ids.shape), targets.reshape(ids.shape))


def check_ids(ids: Int[np.ndarray, "*_"], vocabulary_size: int) -> None:
    """ValueError where an id is not one of a vocabulary."""
    if ids.size and not 0 <= ids.min() <= ids.max() < vocabulary_size:
        raise ValueError(
            f"ids must lie in 0 … {vocabulary_size - 1}, got {ids.min()} … {ids.max()}"
        )


def _random_tokens(
    maskable: Bool[np.ndarray, "batch time"],
    number: Int[np.ndarray, "batch"],
    rng: np.random.Generator,
) -> Bool[np.ndarray, "batch time"]:
    """So many tokens of each row: those with the smallest of numbers drawn for all."""
    drawn = np.where(maskable, rng.random(maskable.shape), np.inf)
    last = np.take_along_axis(np.sort(drawn, axis=1), number[:, None] - 1, axis=1)
    return maskable & (drawn <= last)


def _random_words(
    maskable: Bool[np.ndarray, "batch time"],
    starts: Bool[np.ndarray, "batch time"],
    number: Int[np.ndarray, "batch"],
    rng: np.random.Generator,
) -> Bool[np.ndarray, "batch time"]:
    """Whole words of each row, with so many tokens in all at most, but one word at least."""
    after_special = np.pad(~maskable, ((0, 0), (1, 0)), constant_values=True)[:, :-1]
    words = np.cumsum(starts | after_special, axis=1)
    words[~maskable] = 0  # no word
    chosen = np.zeros_like(maskable)
    for row, room in enumerate(number.tolist()):
        sizes = np.bincount(words[row])
        sizes[0] = 0
        order = rng.permutation(np.flatnonzero(sizes))
        taken = []
        for word, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
            if size <= room:
                taken.append(word)
                room -= size
            if not room:
                break
        of_word = np.zeros(len(sizes), dtype=bool)
        of_word[taken or order[:1]] = True
        chosen[row] = of_word[words[row]]
    return chosen


def sentence_pairs(documents: Documents, rng: np.random.Generator) -> list[SentencePair]:
    """Each sentence that another follows, with that one or with one of another document.

    Half of the pairs are true. In the others the second sentence is drawn from another document,
    each of these alike, and never says the same as the sentence that does follow.

    Parameters
    ----------
    documents : of at least two sentences each. What is called a sentence may be any piece of text:
        BERT's are as many sentences as fit into half of its length
    rng : all that is random is drawn from it

    Raises
    ------
    ValueError : fewer than two documents, a document with fewer than two sentences, a sentence
        without tokens, or documents so alike that there is no false pair.

    References
    ----------
    Devlin et al. 2019, section 3.1, task 2.

    Examples
    --------
    >>> documents = [[np.array([5]), np.array([6]), np.array([7])], [np.array([8]), np.array([9])]]
    >>> for first, second, is_next in sentence_pairs(documents, np.random.default_rng(1)):
    ...     print(first, second, is_next)
    [5] [8] False
    [6] [7] True
    [8] [9] True
    """
    check_documents(documents)
    sizes = np.array([len(document) for document in documents])
    begins = np.cumsum(sizes) - sizes
    sentences = [sentence for document in documents for sentence in document]
    document_of = np.repeat(np.arange(len(sizes)), sizes)
    first = np.flatnonzero(np.diff(document_of, append=-1) == 0)  # those that another follows
    # Of an odd number of pairs one is true or false with equal probability.
    false = rng.permutation(len(first))[: (len(first) + rng.integers(2)) // 2]
    other = rng.integers(len(sizes) - 1, size=len(false))
    other += other >= document_of[first[false]]  # skips the pair's own document
    second = first + 1
    second[false] = begins[other] + rng.integers(sizes[other])
    for pair in false.tolist():
        following = sentences[first[pair] + 1]
        if np.array_equal(sentences[second[pair]], following):
            second[pair] = _different(sentences, document_of, int(first[pair]) + 1, rng)
    is_next = np.ones(len(first), dtype=bool)
    is_next[false] = False
    return [
        SentencePair(sentences[i], sentences[j], true)
        for i, j, true in zip(first.tolist(), second.tolist(), is_next.tolist(), strict=True)
    ]


def check_documents(documents: Documents) -> None:
    """ValueError where pairs of sentences cannot be made of documents."""
    if len(documents) < 2:
        raise ValueError(
            f"false pairs need a second document to draw a sentence from, got {len(documents)}"
        )
    for number, document in enumerate(documents):
        if len(document) < 2:
            raise ValueError(
                f"document {number} has {len(document)} sentences, but a pair needs two: "
                "leave it out or join it to another"
            )
        if not all(map(len, document)):
            raise ValueError(f"document {number} has a sentence without tokens: leave it out")


def _different(
    sentences: list[Int[np.ndarray, "_"]],
    document_of: Int[np.ndarray, "sentence"],
    following: int,
    rng: np.random.Generator,
) -> int:
    """A sentence of another document that is not the same as the one that follows."""
    others = [
        place
        for place in np.flatnonzero(document_of != document_of[following]).tolist()
        if not np.array_equal(sentences[place], sentences[following])
    ]
    if not others:
        raise ValueError(
            f"every sentence outside document {document_of[following]} is the same as the one "
            "that should be replaced there: there is no false pair"
        )
    return others[rng.integers(len(others))]


def truncate_pair(
    first: Int[np.ndarray, "_"],
    second: Int[np.ndarray, "_"],
    length: int,
    rng: np.random.Generator | None = None,
) -> tuple[Int[np.ndarray, "_"], Int[np.ndarray, "_"]]:
    """Two texts cut to so many tokens together: one at a time is taken from the longer one.

    Parameters
    ----------
    length : of both together; of two equally long ones the second is cut
    rng : cuts each token at the beginning or at the end, by a coin, so that a model meets texts'
        ends as often as their beginnings; None cuts at the end

    Raises
    ------
    ValueError : length < 2.

    Examples
    --------
    >>> truncate_pair(np.arange(6), np.array([7, 8]), length=5)
    (array([0, 1, 2]), array([7, 8]))
    """
    if length < 2:
        raise ValueError(f"two texts need at least 2 tokens, got length {length}")
    # The longer one is cut until both are equally long, and then each in turn.
    kept = min(len(first), max(length - len(second), (length + 1) // 2))
    return _cut(first, kept, rng), _cut(second, min(len(second), length - kept), rng)


def _cut(
    ids: Int[np.ndarray, "_"], length: int, rng: np.random.Generator | None
) -> Int[np.ndarray, "_"]:
    surplus = len(ids) - length
    begin = 0 if rng is None else int(rng.binomial(surplus, 0.5))
    return ids[begin : begin + length]


def pack(
    first: Int[np.ndarray, "_"],
    second: Int[np.ndarray, "_"] | None,
    specials: Specials,
    length: int | None = None,
    rng: np.random.Generator | None = None,
) -> Packed:
    """[CLS] first [SEP], or [CLS] first [SEP] second [SEP], and the segments 0 … 0 1 … 1.

    Parameters
    ----------
    first, second : ids without specials; second may be None
    length : of all, specials counted; what is longer is cut, two texts by `truncate_pair`
    rng : as for `truncate_pair`

    Raises
    ------
    ValueError : a text without tokens, or a length that leaves no room for one of each.

    Examples
    --------
    >>> packed = pack(np.array([5, 6]), np.array([7]), Specials(pad=0, cls=1, sep=2, mask=3))
    >>> packed.ids, packed.segments
    (array([1, 5, 6, 2, 7, 2]), array([0, 0, 0, 0, 1, 1]))
    """
    texts = [first] if second is None else [first, second]
    if not all(map(len, texts)):
        raise ValueError("a text without tokens cannot be packed")
    if length is not None:
        room = length - 1 - len(texts)  # [CLS], and [SEP] after each
        if room < len(texts):
            raise ValueError(f"length must be at least {1 + 2 * len(texts)}, got {length}")
        if second is None:
            texts = [_cut(first, min(room, len(first)), rng)]
        else:
            texts = list(truncate_pair(first, second, room, rng))
    sep = np.array([specials.sep])
    parts = [np.array([specials.cls])]
    for text in texts:
        parts += [text, sep]
    segments = np.zeros(1 + len(texts) + sum(map(len, texts)), dtype=np.int64)
    segments[len(texts[0]) + 2 :] = 1
    return Packed(np.concatenate(parts).astype(np.int64), segments)
