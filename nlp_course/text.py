"""From raw text to ids: normalising, tokenising, vocabularies, n-grams, coverage, overlap.

Every later module works on integers; here is where words get them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import SupportsIndex, TypeVar

import numpy as np
from jaxtyping import Float, Int

Token = TypeVar("Token")

# Vowel points and accents are no letters to `re`, but stand inside Hebrew, Arabic and other words.
# All of Unicode's lie in these two ranges; looking through the rest takes ten times as long.
_MARKS = "".join(
    mark
    for mark in map(chr, chain(range(0x300, 0x1F000), range(0xE0100, 0xE01F0)))
    if unicodedata.category(mark).startswith("M")
)
_RUN = rf"[^\W_]+(?:[{_MARKS}]+[^\W_]*)*"  # letters and digits, with their marks
# What may join two runs: apostrophes; hyphens, the Hebrew maqaf among them; geresh and gershayim;
# Persian's zero-width non-joiner and the joiner; between digits a separator.
_JOINT = r"(?:['’\-‐‑\u05be\u05f3\u05f4\u200c\u200d]|(?<=\d)[.,:](?=\d))"
_TOKEN = re.compile(rf"{_RUN}(?:{_JOINT}{_RUN})*|\S[{_MARKS}]*")
# The end mark, and what closes after it, stay with the sentence that they end.
_SENTENCE_END = re.compile(r"(?:(?<=[.!?…؟])|(?<=[.!?…؟][\"'”’)\]]))\s+(?=[\"'“‘(\[]*\w)")


class UnknownWordError(KeyError):
    """A word is not in the vocabulary, and no word there stands for such words."""

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError would show it quoted and escaped


def normalize(text: str, lowercase: bool = True) -> str:
    r"""One spelling for what looks the same: Unicode NFC, single spaces, lower case.

    Examples
    --------
    >>> normalize("  The  CAT\nsat ")
    'the cat sat'
    """
    if lowercase:
        text = text.lower()
    # After lower-casing, which can leave a letter and its mark apart.
    return " ".join(unicodedata.normalize("NFC", text).split())


def tokenize(text: str) -> list[str]:
    """Cut text into words, numbers and punctuation marks.

    Apostrophes and hyphens inside a word belong to it, so do separators inside a number; every
    other sign is a token by itself, so "U.S." becomes four. Nothing but white space is lost.

    Examples
    --------
    >>> tokenize("Don't pay $1,000.50 for a well-known book!")
    ["Don't", 'pay', '$', '1,000.50', 'for', 'a', 'well-known', 'book', '!']
    """
    return _TOKEN.findall(text)


def split_sentences(text: str) -> list[str]:
    """Cut text after each end mark that white space and a word follow.

    A rule, not a model: it also cuts after "Dr." and other abbreviations.

    Examples
    --------
    >>> split_sentences("I like NLP. I enjoy flying! (So do I.)")
    ['I like NLP.', 'I enjoy flying!', '(So do I.)']
    """
    return [sentence for sentence in _SENTENCE_END.split(text.strip()) if sentence]


class _WordIds(dict[str, int]):
    """Ids of words; a word outside has that of `unknown`."""

    unknown: str | None = None

    def __missing__(self, word: str) -> int:
        if self.unknown is not None:
            return self[self.unknown]
        raise UnknownWordError(
            f"{word!r} is not among the {len(self)} words of the vocabulary; small and capital "
            f"letters differ. `vocabulary.words` lists them, `{word!r} in vocabulary` asks, "
            f"encode_known leaves such words out, and a vocabulary built with "
            f'unknown="<unk>" has a word for them.'
        )


@dataclass(frozen=True)
class Vocabulary:
    """The words of a corpus, each with an id and a count.

    Ids run from 0: special tokens first, then words by falling count, ties in alphabetical order.
    Vocabularies are equal when they give the same words the same ids.

    Parameters
    ----------
    words : word of each id
    counts : how often each was seen, read-only; `unknown` has the count of all it stands for
    unknown : the word that stands for those outside the vocabulary, or None

    Raises
    ------
    ValueError : a word stands there twice, counts and words differ in number, or `unknown` is not
        among the words.

    Examples
    --------
    >>> vocabulary = Vocabulary.from_sentences([["a", "b", "a"], ["a", "c"]])
    >>> vocabulary.words, vocabulary.counts.tolist()
    (('a', 'b', 'c'), [3, 1, 1])
    >>> vocabulary.encode(["c", "a"]).tolist()
    [2, 0]
    """

    words: tuple[str, ...]
    counts: Int[np.ndarray, "vocabulary"] = field(compare=False)
    unknown: str | None = None
    _ids: _WordIds = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.words) != len(self.counts):
            raise ValueError(
                f"each word needs a count, got {len(self.words)} words, {len(self.counts)} counts"
            )
        ids = _WordIds(zip(self.words, range(len(self.words)), strict=True))
        ids.unknown = self.unknown
        if len(ids) != len(self.words):
            twice = [word for word, count in Counter(self.words).items() if count > 1]
            raise ValueError(f"a word must stand in a vocabulary once; twice or more: {twice[:5]}")
        if self.unknown is not None and self.unknown not in ids:
            raise ValueError(f"the unknown word {self.unknown!r} must be one of the words")
        counts = self.counts.copy()
        counts.setflags(write=False)
        object.__setattr__(self, "counts", counts)
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def from_sentences(
        cls,
        sentences: Iterable[Sequence[str]],
        min_count: int = 1,
        max_size: int | None = None,
        unknown: str | None = None,
        specials: Sequence[str] = (),
    ) -> Vocabulary:
        """Count the words of a corpus and keep the frequent ones.

        Parameters
        ----------
        sentences : tokens, a sequence a sentence
        min_count : words seen less often are left out
        max_size : at most so many words, `unknown` and specials included
        unknown : a token that stands for all words left out; it comes first, or where `specials`
            has it
        specials : tokens that need an id whether they were seen or not, such as "<s>"

        Raises
        ------
        ValueError : the corpus is empty or no word of it is kept, or a number is below 1.
        """
        if min_count < 1:
            raise ValueError(f"min_count must be at least 1, got {min_count}")
        if max_size is not None and max_size < 1:
            raise ValueError(f"max_size must be at least 1, got {max_size}")
        seen = Counter(chain.from_iterable(sentences))
        if not seen:
            raise ValueError("the corpus is empty: give at least one sentence with one token")
        first = [*([] if unknown is None or unknown in specials else [unknown]), *specials]
        ordinary = [word for word in seen if seen[word] >= min_count and word not in first]
        ordinary.sort(key=lambda word: (-seen[word], word))
        room = None if max_size is None else max(max_size - len(first), 0)
        words = [*first, *ordinary[:room]]
        if len(words) == len(first):
            raise ValueError(
                f"no word is kept: the most frequent is seen {max(seen.values())} times, "
                f"min_count is {min_count}, max_size {max_size}"
            )
        counts = np.array([seen[word] for word in words], dtype=np.int64)
        if unknown is not None:
            counts[first.index(unknown)] += seen.total() - counts.sum()
        return cls(tuple(words), counts, unknown)

    def __len__(self) -> int:
        """Number of words."""
        return len(self.words)

    def __iter__(self) -> Iterator[str]:
        """The words, by id."""
        return iter(self.words)

    def __contains__(self, word: object) -> bool:
        """Whether a word has an id of its own."""
        return word in self._ids

    def id(self, word: str) -> int:
        """The id of a word; that of `unknown` for a word outside.

        Raises
        ------
        UnknownWordError : the word is outside and the vocabulary has no `unknown`.
        """
        return self._ids[word]

    def encode(self, tokens: Iterable[str]) -> Int[np.ndarray, "length"]:
        """Ids of tokens; words outside become `unknown`.

        Raises
        ------
        UnknownWordError : a word is outside and the vocabulary has no `unknown`.
        """
        return np.fromiter(map(self._ids.__getitem__, tokens), dtype=np.int64)

    def encode_known(self, tokens: Iterable[str]) -> Int[np.ndarray, "length"]:
        """Ids of those tokens that are in the vocabulary; the others are left out.

        The words around a gap move together, so a window reaches further: word2vec does this.
        """
        ids = self._ids
        return np.array([ids[token] for token in tokens if token in ids], dtype=np.int64)

    def decode(self, ids: Iterable[SupportsIndex]) -> list[str]:
        """The words of ids.

        Raises
        ------
        IndexError : an id is below 0 or not below the number of words.
        """
        words = []
        for index in map(int, ids):
            if not 0 <= index < len(self):
                raise IndexError(f"ids lie in 0 … {len(self) - 1}, got {index}")
            words.append(self.words[index])
        return words


def ngrams(tokens: Sequence[Token], n: int) -> list[tuple[Token, ...]]:
    """All runs of n neighbouring tokens, from left to right.

    Raises
    ------
    ValueError : n < 1.

    Examples
    --------
    >>> ngrams(["I", "ate", "an", "apple"], 2)
    [('I', 'ate'), ('ate', 'an'), ('an', 'apple')]
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    return list(zip(*(tokens[start:] for start in range(n)), strict=False))


def coverage(train: Iterable[Sequence[str]], test: Iterable[Sequence[str]], n: int) -> float:
    """Share of the test text's n-grams, counted as often as they occur, that training text has.

    N-grams do not cross sentences.

    Raises
    ------
    ValueError : n < 1, or no sentence of the test text has n tokens.

    Examples
    --------
    >>> coverage([["the", "cat", "sat"]], [["the", "cat", "ran"]], n=2)
    0.5
    """
    seen = set(chain.from_iterable(ngrams(sentence, n) for sentence in train))
    asked = Counter(chain.from_iterable(ngrams(sentence, n) for sentence in test))
    if not asked:
        raise ValueError(f"no sentence of the test text has {n} tokens")
    return sum(count for ngram, count in asked.items() if ngram in seen) / asked.total()


def coverage_curve(
    train: Iterable[Sequence[str]],
    test: Iterable[Sequence[str]],
    n: int,
    sizes: Sequence[int],
) -> Float[np.ndarray, "size"]:
    """`coverage` as the training text grows: by its first sentences of at least `sizes` tokens.

    The training text is gone through once, however many sizes there are.

    Parameters
    ----------
    sizes : tokens of training text, rising; a sentence is taken whole, so a little more is read

    Raises
    ------
    ValueError : as for `coverage`; sizes do not rise, or the last is more than the training text.

    Examples
    --------
    >>> train = [["the", "cat"], ["sat", "down"], ["on", "it"]]
    >>> coverage_curve(train, [["the", "cat", "sat", "on"]], n=1, sizes=[0, 2, 6])
    array([0. , 0.5, 1. ])
    """
    if any(later <= earlier for earlier, later in pairwise(sizes)):
        raise ValueError(f"sizes must rise, got {list(sizes)}")
    asked = Counter(chain.from_iterable(ngrams(sentence, n) for sentence in test))
    if not asked:
        raise ValueError(f"no sentence of the test text has {n} tokens")
    total, covered, read = asked.total(), 0, 0
    sentences, shares = iter(train), []
    for size in sizes:
        while read < size:
            sentence = next(sentences, None)
            if sentence is None:
                raise ValueError(f"the training text has {read} tokens, sizes ask for {size}")
            read += len(sentence)
            # What was found is no longer asked for, so it counts once.
            covered += sum(asked.pop(ngram, 0) for ngram in ngrams(sentence, n))
        shares.append(covered / total)
    return np.array(shares, dtype=np.float64)


def jaccard(first: Iterable[Token], second: Iterable[Token]) -> float:
    """Share of all the words of two texts that both have: |A ∩ B| / |A ∪ B|.

    Words count once, however often they occur. From 0, nothing in common, to 1.

    Raises
    ------
    ValueError : neither text has a word.

    References
    ----------
    Jaccard 1912, The Distribution of the Flora in the Alpine Zone.

    Examples
    --------
    >>> jaccard(["the", "dog", "bit", "the", "man"], ["the", "man", "fled"])
    0.4
    """
    one, other = set(first), set(second)
    if not one | other:
        raise ValueError("neither text has a word: their overlap is not defined")
    return len(one & other) / len(one | other)


def segmentations(
    symbols: Sequence[Token], lexicon: Mapping[str, Iterable[Sequence[Token]]]
) -> list[tuple[str, ...]]:
    """All sequences of words whose forms, one after the other, are exactly the symbols.

    Parameters
    ----------
    symbols : letters or phonemes, without any mark between words
    lexicon : for each word its forms, in the same symbols; one may have several

    Returns
    -------
    The sequences, in alphabetical order; none where the words do not fit. There may be
    exponentially many.

    Raises
    ------
    ValueError : a form is empty.

    Examples
    --------
    >>> lexicon = {word: [word] for word in ("no", "now", "where", "here", "nowhere")}
    >>> segmentations("nowhere", lexicon)
    [('no', 'where'), ('now', 'here'), ('nowhere',)]
    """
    words_of: dict[tuple[Token, ...], list[str]] = {}
    for word, forms in lexicon.items():
        for form in {tuple(form) for form in forms}:
            if not form:
                raise ValueError(f"the word {word!r} has an empty form: it would fit anywhere")
            words_of.setdefault(form, []).append(word)
    given = tuple(symbols)
    # From the end to the start: ways[i] are the segmentations of what begins at i.
    ways: list[list[tuple[str, ...]]] = [[] for _ in given] + [[()]]
    for start in reversed(range(len(given))):
        for form, words in words_of.items():
            end = start + len(form)
            if given[start:end] == form:
                ways[start] += [(word, *rest) for word in words for rest in ways[end]]
    return sorted(ways[0])
