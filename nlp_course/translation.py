"""Pairs of sentences for models that translate, and how good an alignment is.

Sentences become arrays of word ids without START and STOP, as in `nlp_course.ngram`; a batch of
pairs is `Pairs`. Places in sentences count from 0, a link is (place in source, place in target).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlp_course.batching import NOTHING, Batches, pad, similar_lengths
from nlp_course.data.dataset import AlignedTranslation, Translation
from nlp_course.ngram import Sentences, language_vocabulary, special_ids, token_stream
from nlp_course.text import Vocabulary, normalize, tokenize

Link: TypeAlias = tuple[int, int]


class Pairs(NamedTuple):
    """A batch of pairs.

    source : ids of the source's words, then 0
    source_lengths : words of each source; the rest of its row is padding
    inputs : what the decoder reads: START w_1 … w_m, then 0
    targets : what it predicts: w_1 … w_m STOP, then NOTHING, which cross_entropy leaves out
    """

    source: Int[Tensor, "batch source"]
    source_lengths: Int[Tensor, "batch"]
    inputs: Int[Tensor, "batch target"]
    targets: Int[Tensor, "batch target"]


@dataclass(frozen=True)
class _PairBatches:
    """Batches of pairs; one is padded when it is asked for."""

    sources: Sentences
    marked: Sentences  # the targets between START and STOP
    places: list[Int[np.ndarray, "_"]]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Pairs]:
        for chosen in self.places:
            yield _padded([self.sources[i] for i in chosen], [self.marked[i] for i in chosen])


def token_pairs(
    translations: Iterable[Translation | AlignedTranslation],
) -> tuple[list[list[str]], list[list[str]]]:
    """The sources and the targets as tokens; raw text is lower-cased and cut by `text.tokenize`.

    Examples
    --------
    >>> token_pairs([Translation("Two dogs.", "Zwei Hunde.")])
    ([['two', 'dogs', '.']], [['zwei', 'hunde', '.']])
    """
    pairs = list(translations)
    return [_tokens(pair.source) for pair in pairs], [_tokens(pair.target) for pair in pairs]


def _tokens(sentence: str | list[str]) -> list[str]:
    return tokenize(normalize(sentence)) if isinstance(sentence, str) else sentence


def vocabularies(
    translations: Iterable[Translation | AlignedTranslation],
    min_count: int = 2,
    max_size: int | None = None,
) -> tuple[Vocabulary, Vocabulary]:
    """The vocabularies of the source's and the target's language: see `ngram.language_vocabulary`.

    Raises
    ------
    ValueError : a side has no words or keeps none, or a number is below 1.
    """
    sources, targets = token_pairs(translations)
    return (
        language_vocabulary(sources, min_count, max_size),
        language_vocabulary(targets, min_count, max_size),
    )


def encode_pairs(
    translations: Iterable[Translation | AlignedTranslation],
    source_vocabulary: Vocabulary,
    target_vocabulary: Vocabulary,
) -> tuple[list[Int[np.ndarray, "_"]], list[Int[np.ndarray, "_"]]]:
    """The sources and the targets as ids, without START and STOP.

    Examples
    --------
    >>> pairs = [AlignedTranslation(["two", "dogs"], ["fod", "vosa"], [(0, 0), (1, 1)])]
    >>> english, second = vocabularies(pairs, min_count=1)
    >>> [ids.tolist() for ids in encode_pairs(pairs, english, second)[0]]
    [[4, 3]]
    """
    sources, targets = token_pairs(translations)
    return (
        [source_vocabulary.encode(tokens) for tokens in sources],
        [target_vocabulary.encode(tokens) for tokens in targets],
    )


def pad_pairs(sources: Sentences, targets: Sentences, target_vocabulary: Vocabulary) -> Pairs:
    """Pairs as one batch, in the order given.

    Parameters
    ----------
    sources, targets : ids of words, an array a sentence, without START and STOP; may be empty
    target_vocabulary : has START and STOP

    Raises
    ------
    ValueError : no pairs, not one target a source, a negative id in a source, an id in a target
        that is outside 0 … V − 1 or that of START or STOP, or a vocabulary without these.

    Examples
    --------
    >>> _, vocabulary = vocabularies([Translation("x", "a b")], min_count=1)
    >>> pad_pairs([np.array([5, 6])], [vocabulary.encode("ab")], vocabulary)[2:]
    (tensor([[1, 3, 4]]), tensor([[3, 4, 2]]))
    """
    return _padded(sources, _marked(sources, targets, target_vocabulary))


def pair_batches(
    sources: Sentences,
    targets: Sentences,
    target_vocabulary: Vocabulary,
    batch_size: int,
    pool: int = 100,
) -> Batches:
    """Batches of pairs of similar length, in a new random order each epoch.

    Parameters
    ----------
    sources, targets, target_vocabulary : as for `pad_pairs`
    batch_size : pairs in a batch
    pool : batches among which pairs are sorted: see `batching.similar_lengths`

    Returns
    -------
    What `training.train` takes as its batches: each is a `Pairs`.

    Raises
    ------
    ValueError : as for `pad_pairs`, or batch_size or pool is below 1.
    """
    for name, value in (("batch_size", batch_size), ("pool", pool)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    marked = _marked(sources, targets, target_vocabulary)
    # Sorted by the source first, since each of its places is met at each step of the target.
    longest = max(map(len, marked))
    lengths = np.array([len(source) for source in sources]) * (longest + 1)
    lengths += [len(target) for target in marked]

    def batches(rng: np.random.Generator) -> _PairBatches:
        return _PairBatches(sources, marked, similar_lengths(lengths, batch_size, rng, pool))

    return batches


def _marked(sources: Sentences, targets: Sentences, vocabulary: Vocabulary) -> Sentences:
    """The targets between START and STOP, all checked."""
    if len(sources) != len(targets):
        raise ValueError(
            f"each source needs one target, got {len(sources)} sources and {len(targets)} targets"
        )
    if not len(sources):
        raise ValueError("there are no pairs: give at least one source and its target")
    lowest = min(source.min() for source in sources if len(source)) if any(map(len, sources)) else 0
    if lowest < 0:
        raise ValueError(f"ids must be at least 0, got {lowest} in a source")
    stream = token_stream(targets, *special_ids(vocabulary), len(vocabulary))
    return np.split(stream, np.cumsum([len(target) + 2 for target in targets])[:-1])


def _padded(sources: Sentences, marked: Sentences) -> Pairs:
    source, source_lengths = pad(sources)
    inputs, _ = pad([target[:-1] for target in marked])
    targets, _ = pad([target[1:] for target in marked], NOTHING)
    return Pairs(source, source_lengths, inputs, targets)


def links(
    weights: Float[Tensor, "batch target source"],
    source_lengths: Sequence[int] | Int[Tensor, "batch"],
    target_lengths: Sequence[int] | Int[Tensor, "batch"],
    threshold: float | None = None,
) -> list[list[Link]]:
    """Which word says which, read from attention: for each pair its links, sorted.

    Parameters
    ----------
    weights : α_ij, how much the i-th word of the target attends to the j-th of the source
    source_lengths, target_lengths : words of each; rows and columns beyond (STOP, padding) are not
        looked at
    threshold : None links each target word to the one source word of largest weight, the first of
        equals; a number links it to all of at least this weight, which may be none

    Raises
    ------
    ValueError : lengths that do not fit the weights, a weight that is not a number, or a threshold
        not above 0.

    Examples
    --------
    >>> weights = torch.tensor([[[0.9, 0.1, 0.0], [0.0, 0.4, 0.6], [0.5, 0.5, 0.0]]])
    >>> links(weights, [3], [2])
    [[(0, 0), (2, 1)]]
    >>> links(weights, [3], [2], threshold=0.3)
    [[(0, 0), (1, 1), (2, 1)]]
    """
    if threshold is not None and not threshold > 0:
        raise ValueError(f"threshold must be above 0, got {threshold}")
    alpha = weights.detach().cpu().double().numpy()  # NumPy has no bfloat16
    sizes = [torch.as_tensor(one).long().cpu().numpy() for one in (target_lengths, source_lengths)]
    for side, size, room in zip(("target", "source"), sizes, alpha.shape[1:], strict=True):
        if len(size) != len(alpha) or np.any((size < 0) | (size > room)):
            raise ValueError(
                f"{len(alpha)} pairs of weights for {room} {side} words do not fit "
                f"{side} lengths {size.tolist()}"
            )
    found = []
    for sheet, target, source in zip(alpha, *sizes, strict=True):
        part = sheet[:target, :source]
        if np.isnan(part).any():
            raise ValueError("attention weights must be numbers, got NaN")
        if threshold is not None:
            pairs = np.argwhere(part >= threshold)[:, ::-1]
        elif source:
            pairs = np.stack([part.argmax(axis=1), np.arange(target)], axis=1)
        else:
            pairs = np.zeros((0, 2), dtype=np.int64)
        found.append(sorted((int(j), int(i)) for j, i in pairs))
    return found


def alignment_error_rate(
    predicted: Sequence[Iterable[Link]],
    sure: Sequence[Iterable[Link]],
    possible: Sequence[Iterable[Link]] | None = None,
) -> float:
    """1 − (|A ∩ S| + |A ∩ P|) / (|A| + |S|), counted over all sentences together.

    0 if all sure links are found and none that is not possible; 1 if none is right. Where all links
    are sure it is 1 − F₁, the harmonic mean of precision and recall.

    Parameters
    ----------
    predicted : A, links of each sentence
    sure : S, those that people are certain of
    possible : P, those that may be there, too; the sure ones count as possible, and by default
        there are no others

    Raises
    ------
    ValueError : the three differ in their number of sentences, or there is no link in A and S.

    References
    ----------
    Och and Ney 2003, A Systematic Comparison of Various Statistical Alignment Models, section 5.

    Examples
    --------
    >>> alignment_error_rate([[(0, 0), (1, 2)]], sure=[[(0, 0), (1, 1)]])
    0.5
    """
    possible = [()] * len(sure) if possible is None else possible
    if not len(predicted) == len(sure) == len(possible):
        raise ValueError(
            f"alignments of the same sentences are compared, got {len(predicted)} predicted, "
            f"{len(sure)} sure and {len(possible)} possible ones"
        )
    right = all_links = 0
    for a, s, p in zip(map(set, predicted), map(set, sure), map(set, possible), strict=True):
        right += len(a & s) + len(a & (s | p))
        all_links += len(a) + len(s)
    if all_links == 0:
        raise ValueError("there is no link, predicted or sure, to compute an error rate of")
    return 1 - right / all_links
