"""Learning by merging pairs of neighbours, and applying what was learned: the heart of BPE.

Counts are kept up to date: a merge touches only the words that have the pair, and the most frequent
pair is the top of a heap whose stale entries are mended when they come up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import chain, pairwise
from typing import NamedTuple, TypeAlias, TypeVar

Pair: TypeAlias = tuple[int, int]
Symbol = TypeVar("Symbol", str, bytes)

END = "</w>"  # of a word, where symbols are characters


class Merge(NamedTuple):
    """Two symbols that became one, and how often they stood side by side at that time."""

    left: str
    right: str
    frequency: int


class RememberedWords(dict[str, list[int]]):
    """The ids of words met before: few different words make up most of a text.

    Parameters
    ----------
    encode_word : gives the ids of a word not met yet
    most : words kept; a text of the web has no end of different ones
    """

    def __init__(self, encode_word: Callable[[str], list[int]], most: int = 1 << 16) -> None:
        super().__init__()
        self.encode_word, self.most = encode_word, most

    def __missing__(self, word: str) -> list[int]:
        ids = self.encode_word(word)
        if len(self) < self.most:
            self[word] = ids
        return ids


class PairCounts:
    """Different words as symbols, and how often each pair of neighbours occurs in the text.

    words : symbols of each word, as ids
    frequencies : how often each word was seen
    counts : of each pair Σ_words frequency · occurrences in the word; 0 where it has gone
    places : numbers of the words that have the pair, once an occurrence, and of some that had it
    """

    def __init__(self, words: Iterable[list[int]], frequencies: Iterable[int]) -> None:
        self.words = list(words)
        self.frequencies = list(frequencies)
        self.counts: defaultdict[Pair, int] = defaultdict(int)
        self.places: defaultdict[Pair, list[int]] = defaultdict(list)
        for number, (symbols, frequency) in enumerate(
            zip(self.words, self.frequencies, strict=True)
        ):
            for pair in pairwise(symbols):
                self.counts[pair] += frequency
                self.places[pair].append(number)

    def merge(self, pair: Pair, new: int) -> tuple[set[Pair], int]:
        """Write `new` for the pair, from left to right in each word, and mend the counts.

        Returns
        -------
        pairs that the new symbol is in, and how often it now occurs; of a pair of two equal
        symbols that is less than the pair's count, since in "aaa" it stands twice and is merged
        once.
        """
        left, right = pair
        # For each neighbour of the new symbol the words where it is one, once an occurrence.
        before: defaultdict[int, list[int]] = defaultdict(list)
        after: defaultdict[int, list[int]] = defaultdict(list)
        merged = 0
        for number in dict.fromkeys(self.places.pop(pair, ())):  # each word once, in order
            word = self.words[number]
            at, last = 0, len(word) - 1
            while at < last:
                if word[at] == left and word[at + 1] == right:
                    word[at : at + 2] = (new,)
                    last -= 1
                    merged += self.frequencies[number]
                    if at > 0:
                        before[word[at - 1]].append(number)
                    if at < last:
                        after[word[at + 1]].append(number)
                at += 1
        changes = [((n, left), (n, new), where) for n, where in before.items()]
        changes += [((right, n), (new, n), where) for n, where in after.items()]
        frequency = self.frequencies.__getitem__
        for lost, made, where in changes:
            times = sum(map(frequency, where))
            self.counts[lost] -= times
            self.counts[made] += times
            self.places[made].extend(where)
        self.counts[pair] = 0
        return {made for _, made, _ in changes}, merged


def most_frequent_pairs(table: PairCounts, first: int, limit: int) -> Iterator[tuple[Pair, int]]:
    """Merge the most frequent pair, again and again; new symbols are numbered from `first` on.

    Of equally frequent pairs the one with the lower ids comes first.
    """
    queue = [(-count, pair) for pair, count in table.counts.items()]
    heapify(queue)
    new = first
    while new < first + limit and queue:
        negative, pair = heappop(queue)
        count = table.counts[pair]
        if count != -negative:  # it fell since; a rise is pushed at once
            if count > 0:
                heappush(queue, (-count, pair))
            continue
        yield pair, count
        fresh, _ = table.merge(pair, new)
        for made in fresh:
            if table.counts[made] > 0:
                heappush(queue, (-table.counts[made], made))
        new += 1


def learn_merges(words: Mapping[tuple[str, ...], int], limit: int) -> list[Merge]:
    """The first merges of byte-pair encoding, each with its count.

    Again and again the pair of neighbours with the largest count becomes one symbol:
    count(a, b) = Σ_words frequency(word) · occurrences of a, b in the word.
    Ties go to the symbols that came first: those given in alphabetical order, then merged ones.

    Parameters
    ----------
    words : symbols of each different word, such as ("l", "o", "w", END), and how often it was seen
    limit : at most so many; fewer where no pair is left

    Raises
    ------
    ValueError : there is no word, or limit is below 0.

    References
    ----------
    Sennrich et al. 2016, Neural Machine Translation of Rare Words with Subword Units, algorithm 1.

    Examples
    --------
    >>> learn_merges({tuple("aab"): 2, tuple("ab"): 1}, limit=2)
    [Merge(left='a', right='b', frequency=3), Merge(left='a', right='ab', frequency=2)]
    """
    if not words:
        raise ValueError("there is no word to learn from: give at least one")
    if limit < 0:
        raise ValueError(f"limit must be at least 0, got {limit}")
    symbols = sorted(set(chain.from_iterable(words)))
    number = {symbol: rank for rank, symbol in enumerate(symbols)}
    table = PairCounts(([number[s] for s in word] for word in words), words.values())
    merges = []
    for (left, right), count in most_frequent_pairs(table, len(symbols), limit):
        merges.append(Merge(symbols[left], symbols[right], count))
        symbols.append(symbols[left] + symbols[right])
    return merges


def merge_steps(
    symbols: Sequence[Symbol], ranks: Mapping[tuple[Symbol, Symbol], int]
) -> list[tuple[Symbol, ...]]:
    """A word from its first symbols to its pieces, one merge at a time.

    Of all neighbours that were merged in training the ones merged earliest go first, and of several
    such places the leftmost. It is not the longest piece that wins.

    Parameters
    ----------
    symbols : of the word, at least one
    ranks : place of each merge in the order of learning

    Examples
    --------
    >>> merge_steps(tuple("abab"), {("a", "b"): 0, ("ab", "ab"): 1})
    [('a', 'b', 'a', 'b'), ('ab', 'a', 'b'), ('ab', 'ab'), ('abab',)]
    """
    word = list(symbols)
    steps = [tuple(word)]
    while True:
        known = [(ranks[pair], at) for at, pair in enumerate(pairwise(word)) if pair in ranks]
        if not known:
            return steps
        _, first = min(known)
        word[first : first + 2] = [word[first] + word[first + 1]]
        steps.append(tuple(word))
