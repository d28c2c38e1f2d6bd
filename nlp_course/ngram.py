"""n-gram language models, counting: special words, parts of a text, perplexity, and the table.

One table of counts serves all orders and all estimators. It knows every run of up to n tokens by a
row; an estimator (`nlp_course.ngram_models`, `nlp_course.ngram_smoothing`) is a formula over the
counts found there. Sentences are arrays of word ids without START and STOP, which are added here:
START as often as an order needs it, STOP once. STOP is predicted and counted, START never.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from nlp_course.ngram_index import CodeIndex, Level
from nlp_course.text import Vocabulary

START = "<s>"  # * in the literature
STOP = "</s>"
UNKNOWN = "<unk>"

Sentences: TypeAlias = Sequence[Int[np.ndarray, "_"]]


def language_vocabulary(
    sentences: Iterable[Sequence[str]], min_count: int = 2, max_size: int | None = None
) -> Vocabulary:
    """Words of a training text for a language model: the rest is UNKNOWN, START and STOP have ids.

    Parameters
    ----------
    min_count : words seen less often become UNKNOWN, so that UNKNOWN is seen in training
    max_size : at most so many words, the three special ones included

    Raises
    ------
    ValueError : the text is empty or no word of it is kept, or a number is below 1.

    Examples
    --------
    >>> language_vocabulary([["a", "b", "a"], ["c", "a"]]).words
    ('<unk>', '<s>', '</s>', 'a')
    """
    specials = (UNKNOWN, START, STOP)
    return Vocabulary.from_sentences(sentences, min_count, max_size, UNKNOWN, specials)


def encode_all(
    sentences: Iterable[Sequence[str]],
) -> tuple[Vocabulary, list[Int[np.ndarray, "_"]]]:
    """All words of a text as a vocabulary, and its sentences as ids, in one pass over the words.

    The same as `language_vocabulary` with min_count 1 and then `encode`, in half the time.

    Parameters
    ----------
    sentences : may be a generator; then the strings of a long text are never all there at once

    Raises
    ------
    ValueError : the text is empty.
    """
    # A word that is looked up for the first time gets the next number.
    seen = defaultdict(itertools.count(3).__next__, {UNKNOWN: 0, START: 1, STOP: 2})
    lengths: list[int] = []
    tokens = _in_a_row(sentences, lengths)
    first_ids = np.fromiter(map(seen.__getitem__, tokens), dtype=np.int64)
    if not len(first_ids):
        raise ValueError("the text is empty: give at least one sentence with one word")
    words, counts = list(seen), np.bincount(first_ids, minlength=len(seen))
    by_name = sorted(range(3, len(words)), key=words.__getitem__)
    by_count = np.argsort(-counts[by_name], kind="stable")
    order = np.concatenate([np.arange(3), np.array(by_name)[by_count]])
    ids = np.argsort(order)[first_ids]  # numbers by first appearance become numbers by count
    vocabulary = Vocabulary(tuple(words[i] for i in order), counts[order], UNKNOWN)
    return vocabulary, _cut(ids, lengths)


def encode_with(
    vocabulary: Vocabulary, sentences: Iterable[Sequence[str]]
) -> list[Int[np.ndarray, "_"]]:
    """The sentences of a text as ids: `vocabulary.encode` for each, in two thirds of the time.

    Parameters
    ----------
    sentences : may be a generator; then the strings of a long text are never all there at once

    Raises
    ------
    UnknownWordError : a word is outside and the vocabulary has no `unknown`.

    Examples
    --------
    >>> vocabulary = language_vocabulary([["a", "b"]], min_count=1)
    >>> [ids.tolist() for ids in encode_with(vocabulary, ["ab", "", "ba"])]
    [[3, 4], [], [4, 3]]
    """
    lengths: list[int] = []
    return _cut(vocabulary.encode(_in_a_row(sentences, lengths)), lengths)


def _in_a_row(sentences: Iterable[Sequence[str]], lengths: list[int]) -> Iterator[str]:
    """All tokens, one after the other; the length of each sentence is written down on the way."""

    def measured(sentence: Sequence[str]) -> Sequence[str]:
        lengths.append(len(sentence))
        return sentence

    return itertools.chain.from_iterable(map(measured, sentences))


def _cut(ids: Int[np.ndarray, "token"], lengths: list[int]) -> list[Int[np.ndarray, "_"]]:
    ends = itertools.accumulate(lengths, initial=0)
    return [ids[first:end] for first, end in itertools.pairwise(ends)]


def split_by_tokens(sentences: Sequence[Any], sizes: Sequence[int]) -> list[list[Any]]:
    """Cut a text into parts of about so many tokens; what is left is the last part.

    Sentences stay whole: one that crosses a mark belongs to the part before the mark.

    Parameters
    ----------
    sentences : lists of tokens or arrays of ids
    sizes : tokens of each part but the last

    Raises
    ------
    ValueError : a size is below 1, or the text ends before its last part begins.

    Examples
    --------
    >>> split_by_tokens([["a", "b"], ["c"], ["d", "e"], ["f"]], sizes=[1, 2])
    [[['a', 'b']], [['c'], ['d', 'e']], [['f']]]
    """
    if any(size < 1 for size in sizes):
        raise ValueError(f"sizes must be at least 1, got {list(sizes)}")
    lengths = np.array([len(sentence) for sentence in sentences], dtype=np.int64)
    ends = np.cumsum(lengths)
    cuts = [0]
    for size in sizes:
        read = int(ends[cuts[-1] - 1]) if cuts[-1] else 0
        cuts.append(int(np.searchsorted(ends, read + size)) + 1)
    if cuts[-1] >= len(sentences) and sizes:
        raise ValueError(
            f"parts of {list(sizes)} tokens leave nothing for the last part: the text has "
            f"{lengths.sum()}"
        )
    pairs = zip(cuts, [*cuts[1:], len(sentences)], strict=True)
    return [list(sentences[first:last]) for first, last in pairs]


def perplexity(log_probabilities: Float[np.ndarray, "token"]) -> float:
    """How many equally likely words would surprise as much: PPL = 2^{−l}.

    l = (1/M) Σ_i log₂ p(s_i | s_1 … s_{i−1}), M the tokens of the text with STOP counted

    Parameters
    ----------
    log_probabilities : natural logarithms, one a token; −∞ makes the perplexity ∞

    Raises
    ------
    ValueError : there is no token, a number is NaN, or one is above 0 and so no log-probability.

    References
    ----------
    Jelinek et al. 1977, Perplexity: a Measure of the Difficulty of Speech Recognition Tasks.

    Examples
    --------
    >>> round(perplexity(np.log([0.5, 0.125])), 6)
    4.0
    """
    if len(log_probabilities) == 0:
        raise ValueError("perplexity needs at least one token")
    if np.isnan(log_probabilities).any():
        raise ValueError("log-probabilities must be numbers, got NaN")
    # Rounding may lift a certain word above 0 by a hair.
    if log_probabilities.max() > 1e-6:
        raise ValueError(
            f"log-probabilities must be at most 0, got {log_probabilities.max():.3g}: scores that "
            "do not sum to 1 have no perplexity"
        )
    # 2^{−mean log₂ p} = e^{−mean log p}
    return float(np.exp(-log_probabilities.mean()))


@dataclass(frozen=True, eq=False)
class NgramTable:
    """How often every run of 0 … n tokens was seen.

    A run of k tokens is known by its row in the arrays of index k. Its code is the row of its first
    k − 1 tokens, times V, plus its last token; codes are sorted, so the runs that continue one
    context lie side by side, and `index` finds the row of any. A code is at most the number of
    tokens times V, whatever the order, so nothing overflows.

    codes[k] : (rows of k) codes, rising
    counts[k] : (rows of k) how often seen; runs that end in START count 0, they are no events
    totals[k] : (rows of k) c(run) as a context, Σ_w c(run, w), for k < n
    suffixes[k] : (rows of k) row of the run without its first token, among the runs of k − 1
    starts[k] : the row of k STARTs
    start, stop, vocabulary_size : ids of START and STOP, and V
    index[k] : the same codes as a hash table
    """

    codes: tuple[Int[np.ndarray, "_"], ...]
    counts: tuple[Int[np.ndarray, "_"], ...]
    totals: tuple[Int[np.ndarray, "_"], ...]
    suffixes: tuple[Int[np.ndarray, "_"], ...]
    starts: tuple[int, ...]
    start: int
    stop: int
    vocabulary_size: int
    index: tuple[CodeIndex, ...] = field(repr=False)

    @property
    def order(self) -> int:
        """n, the length of the longest runs."""
        return len(self.codes) - 1

    def rows(self, ids: Int[np.ndarray, "*batch time"]) -> list[Int[np.ndarray, "*batch time"]]:
        """For k = 0 … n the row of the k tokens that end at each place, −1 where never seen.

        Before a START there are only STARTs.
        """
        runs = self._runs(ids, first=ids == self.start)
        return [np.zeros(ids.shape, dtype=np.int64), *(row for _, row in runs)]

    def _runs(
        self, ids: Int[np.ndarray, "*batch time"], first: Bool[np.ndarray, "*batch time"]
    ) -> Iterator[tuple[Int[np.ndarray, "*batch time"], Int[np.ndarray, "*batch time"]]]:
        """For k = 1 … n the rows of the k − 1 tokens before each place, and of these with its own.

        Before a place that is the first of its sentence there are only STARTs.
        """
        places = np.nonzero(first)
        before = np.zeros(ids.shape, dtype=np.int64)  # one run has no tokens
        for k in range(1, self.order + 1):
            before[places] = self.starts[k - 1]
            row = np.full(ids.shape, -1)
            seen = np.nonzero(before >= 0)
            row[seen] = self.index[k].find(before[seen] * self.vocabulary_size + ids[seen])
            yield before, row
            before = np.full(ids.shape, -1)
            before[..., 1:] = row[..., :-1]

    def of_tokens(self, sentences: Sentences) -> list[Level]:
        """The levels of orders 1 … n for each token of a text, STOP counted.

        Raises
        ------
        ValueError : there is no sentence, or an id outside 0 … V − 1 or of START or STOP.
        """
        stream = token_stream(sentences, self.start, self.stop, self.vocabulary_size, starts=0)
        after_stop = np.roll(stream == self.stop, 1)  # the last STOP comes round: one before all
        runs = self._runs(stream, first=after_stop)
        return [
            Level(row, context, self.counts[k], self.totals[k - 1])
            for k, (context, row) in enumerate(runs, start=1)
        ]

    def of_contexts(self, contexts: Sequence[Int[np.ndarray, "context"]]) -> list[Level]:
        """The levels of orders 1 … n for every word of the vocabulary after each context.

        Parameters
        ----------
        contexts : for k = 0 … n − 1 the rows of the last k tokens, −1 where never seen
        """
        levels = []
        for k, context in enumerate(contexts, start=1):
            # What continues a context is a slice of the sorted codes.
            first, end = np.searchsorted(
                self.codes[k], np.stack([context, context + 1]) * self.vocabulary_size
            )
            length = end - first
            which = np.repeat(np.arange(len(context)), length)
            row = np.arange(length.sum()) + np.repeat(first - np.cumsum(length) + length, length)
            run = np.full((len(context), self.vocabulary_size), -1)
            run[which, self.codes[k][row] % self.vocabulary_size] = row
            levels.append(Level(run, context[:, None], self.counts[k], self.totals[k - 1]))
        return levels


def count_ngrams(sentences: Sentences, vocabulary: Vocabulary, order: int) -> NgramTable:
    """Count every run of up to n tokens, STARTs before each sentence and STOP after it.

    Parameters
    ----------
    sentences : ids of words, an array a sentence, without START and STOP
    vocabulary : has START and STOP, as those of `language_vocabulary`
    order : n

    Raises
    ------
    ValueError : order < 1, no sentence has a word, the vocabulary lacks START or STOP, or an id is
        outside 0 … V − 1 or that of START or STOP.

    Examples
    --------
    >>> vocabulary = language_vocabulary([["a", "b"], ["a"]], min_count=1)
    >>> table = count_ngrams([vocabulary.encode("ab"), vocabulary.encode("a")], vocabulary, 2)
    >>> _, of_words, of_pairs = table.rows(np.array([vocabulary.id("<s>"), vocabulary.id("a")]))
    >>> table.counts[2][of_pairs[1]].item()
    2
    """
    if order < 1:
        raise ValueError(f"order must be at least 1, got {order}")
    (start, stop), size = special_ids(vocabulary), len(vocabulary)
    if not any(len(sentence) for sentence in sentences):
        raise ValueError("the text is empty: give at least one sentence with one word")
    stream = token_stream(sentences, start, stop, size)
    is_start = stream == start

    rows = np.zeros(len(stream), dtype=np.int64)
    codes, suffixes, starts = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)], [0]
    counts, index = [np.array([len(stream) - is_start.sum()])], [CodeIndex(codes[0])]
    for k in range(1, order + 1):
        before = np.roll(rows, 1)  # the stream begins with START, so nothing comes round its end
        before[is_start] = starts[k - 1]
        code = before * size + stream
        found, count = np.unique(code, return_counts=True)
        index.append(CodeIndex(found))
        row = index[-1].find(code)
        suffix = np.empty_like(found)
        suffix[row] = rows  # wherever a run occurs, its suffix ends there too
        starts.append(int(row[0]))
        count[row[0]] = 0
        codes.append(found)
        counts.append(count)
        suffixes.append(suffix)
        rows = row
    return NgramTable(
        codes=tuple(codes),
        counts=tuple(counts),
        totals=context_totals(codes, counts, size),
        suffixes=tuple(suffixes),
        starts=tuple(starts),
        start=start,
        stop=stop,
        vocabulary_size=size,
        index=tuple(index),
    )


def context_totals(
    codes: Sequence[Int[np.ndarray, "_"]], counts: Sequence[Int[np.ndarray, "_"]], size: int
) -> tuple[Int[np.ndarray, "_"], ...]:
    """Σ_w c(context, w) for the contexts of 0 … n − 1 tokens; see `NgramTable` for codes."""
    pairs = zip(codes[1:], counts[1:], codes[:-1], strict=True)
    return tuple(
        # Sums of whole numbers are exact as floating-point numbers, up to 2⁵³.
        np.bincount(code // size, count, minlength=len(contexts)).astype(np.int64)
        for code, count, contexts in pairs
    )


def special_ids(vocabulary: Vocabulary) -> tuple[int, int]:
    """The ids of START and STOP; ValueError where the vocabulary lacks one."""
    if missing := [word for word in (START, STOP) if word not in vocabulary]:
        raise ValueError(f"the vocabulary lacks {missing}: make it with ngram.language_vocabulary")
    return vocabulary.id(START), vocabulary.id(STOP)


def token_stream(
    sentences: Sentences, start: int, stop: int, size: int, starts: int = 1
) -> Int[np.ndarray, "position"]:
    """All sentences in a row, each with so many STARTs before it and STOP after it.

    The table needs one START: the run of k STARTs is where the next word's context begins.
    """
    if not len(sentences):
        raise ValueError("the text is empty: give at least one sentence")
    lengths = np.array([len(sentence) for sentence in sentences])
    words = np.concatenate(sentences).astype(np.int64, copy=False)
    if len(words) and not 0 <= words.min() <= words.max() < size:
        raise ValueError(f"ids must lie in 0 … {size - 1}, got {words.min()} … {words.max()}")
    if np.any((words == start) | (words == stop)):
        raise ValueError(f"{START} and {STOP} are added to sentences, which must not hold them")
    ends = np.cumsum(lengths)
    places = np.column_stack([*[ends - lengths] * starts, ends])  # (sentence, starts + 1)
    return np.insert(words, places.ravel(), np.tile([start] * starts + [stop], len(lengths)))
