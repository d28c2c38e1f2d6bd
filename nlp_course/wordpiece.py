"""WordPiece: BERT's pieces of words, learned by a score and found by the longest match.

Pieces that go on inside a word begin with "##". BERT's own way from text to words, `bert_words`,
belongs to it: lower case, accents off, every punctuation mark and Chinese character alone.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import chain
from pathlib import Path
from typing import NamedTuple, SupportsIndex

import numpy as np
from jaxtyping import Int

from nlp_course.subword_merges import Pair, PairCounts, RememberedWords

INSIDE = "##"
UNKNOWN = "[UNK]"
SPECIALS = ("[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]")

# Blocks of Chinese characters, which Japanese and Korean texts use too; kana and hangul are not.
_CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class _BertCharacters(dict[int, str]):
    """What becomes of a character: nothing, a blank, letters, or a sign with blanks around it."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character in "\t\n\r" or unicodedata.category(character) == "Zs":
            result = " "
        elif character == "\ufffd" or unicodedata.category(character).startswith("C"):
            result = ""
        elif any(first <= code <= last for first, last in _CHINESE):
            result = f" {unicodedata.normalize('NFD', character)} "
        else:
            parts = unicodedata.normalize("NFD", character)
            letters = [part for part in parts if unicodedata.category(part) != "Mn"]
            result = "".join(_apart(letter.lower()) for letter in letters)
        self[code] = result
        return result


def _apart(letter: str) -> str:
    ascii_sign = letter.isascii() and letter.isprintable() and not letter.isalnum()
    is_sign = ascii_sign or unicodedata.category(letter[0]).startswith("P")
    return f" {letter} " if is_sign else letter


_BERT_CHARACTERS = _BertCharacters()


def bert_words(text: str) -> list[str]:
    """Words as uncased BERT sees them.

    Lower case, accents and other non-spacing marks off, control characters out; white space
    separates, and each punctuation mark, ASCII sign and Chinese character is a word by itself.

    References
    ----------
    Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers, and its code,
    `BasicTokenizer`; like the one of Hugging Face, this writes σ for Σ at the end of a word too.

    Examples
    --------
    >>> bert_words("Café-owners pay £3.50.")
    ['cafe', '-', 'owners', 'pay', '£3', '.', '50', '.']
    """
    return text.translate(_BERT_CHARACTERS).split()


def characters(word: str) -> tuple[str, ...]:
    """A word's first symbols: its characters, all but the first marked as inside.

    Examples
    --------
    >>> characters("surf")
    ('s', '##u', '##r', '##f')
    """
    return (word[0], *(INSIDE + letter for letter in word[1:]))


class ScoredMerge(NamedTuple):
    """Two symbols that became one, how often they stood side by side, and their score."""

    left: str
    right: str
    frequency: int
    score: float


def learn_scored_merges(
    words: Mapping[tuple[str, ...], int], limit: int, min_count: int = 1
) -> list[ScoredMerge]:
    """The first merges by the score count(a, b) / (count(a) · count(b)).

    Multiplied by the number of symbols in the text, this is p(a, b) / (p(a) p(b)), the exponential
    of PMI: it asks how surprising the pair is, not how frequent, and like PMI it prefers what is
    rare. Of pairs with equal scores the more frequent comes first, then as in `learn_merges`.

    Parameters
    ----------
    words : symbols of each different word, such as `characters` gives, and how often it was seen
    limit : at most so many; fewer where no pair is left
    min_count : pairs seen less often are not merged

    Raises
    ------
    ValueError : there is no word, limit is below 0, or min_count below 1.

    References
    ----------
    Schuster and Nakajima 2012, Japanese and Korean Voice Search, who choose what raises the
    likelihood most and publish no formula or code; the score is the one of the Hugging Face course,
    chapter 6.

    Examples
    --------
    >>> learn_scored_merges({tuple("aab"): 4, tuple("cd"): 2}, limit=1)
    [ScoredMerge(left='c', right='d', frequency=2, score=0.5)]
    """
    if not words:
        raise ValueError("there is no word to learn from: give at least one")
    if limit < 0 or min_count < 1:
        raise ValueError(f"limit must be at least 0, got {limit}; min_count 1, got {min_count}")
    symbols = sorted(set(chain.from_iterable(words)))
    number = {symbol: rank for rank, symbol in enumerate(symbols)}
    table = PairCounts(([number[s] for s in word] for word in words), words.values())
    seen: Counter[int] = Counter()
    for word, frequency in zip(table.words, table.frequencies, strict=True):
        for symbol in word:
            seen[symbol] += frequency
    pairs_of: defaultdict[int, set[Pair]] = defaultdict(set)
    for pair in table.counts:
        for symbol in pair:
            pairs_of[symbol].add(pair)

    def entry(pair: Pair) -> tuple[float, int, Pair]:
        count = table.counts[pair]
        return -count / (seen[pair[0]] * seen[pair[1]]), -count, pair

    queue = [entry(pair) for pair, count in table.counts.items() if count >= min_count]
    heapify(queue)
    merges: list[ScoredMerge] = []
    while len(merges) < limit and queue:
        top = heappop(queue)
        left, right = pair = top[2]
        if table.counts[pair] < min_count or entry(pair) != top:
            continue  # it changed since, and was pushed again with its new score
        joined = symbols[left] + symbols[right].removeprefix(INSIDE)
        merges.append(ScoredMerge(symbols[left], symbols[right], -top[1], -top[0]))
        made, merged = table.merge(pair, len(symbols))
        seen[len(symbols)] = merged
        seen[left] -= merged
        seen[right] -= merged
        symbols.append(joined)
        for new in made:
            for symbol in new:
                pairs_of[symbol].add(new)
        # Rarer symbols raise the score of all their other pairs.
        for changed in pairs_of[left] | pairs_of[right] | made:
            if table.counts[changed] >= min_count:
                heappush(queue, entry(changed))
            else:
                for symbol in changed:
                    pairs_of[symbol].discard(changed)
    return merges


@dataclass(frozen=True)
class WordPiece:
    """Words cut into pieces of a vocabulary, the longest that fits first.

    Parameters
    ----------
    vocabulary : piece of each id; those that go on inside a word begin with "##"
    unknown : what a word becomes that cannot be cut; one of the vocabulary
    longest : characters of a word; longer ones are unknown

    Raises
    ------
    ValueError : a piece stands there twice, or `unknown` is not among them.

    References
    ----------
    Wu et al. 2016, Google's Neural Machine Translation System, section 4.1. Devlin et al. 2019,
    BERT, and its code, `WordpieceTokenizer`.

    Examples
    --------
    >>> pieces = WordPiece(("[UNK]", "surf", "##board", "##ing"))
    >>> pieces.tokens("Surfing, surfboarding")
    ['surf', '##ing', '[UNK]', 'surf', '##board', '##ing']
    """

    vocabulary: tuple[str, ...]
    unknown: str = UNKNOWN
    longest: int = 100
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)
    _reach: int = field(init=False, repr=False, compare=False)
    _ids_of_word: RememberedWords = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = {piece: index for index, piece in enumerate(self.vocabulary)}
        if len(ids) != len(self.vocabulary):
            twice = [piece for piece, count in Counter(self.vocabulary).items() if count > 1]
            raise ValueError(f"a piece must stand in a vocabulary once; more often: {twice[:5]}")
        if self.unknown not in ids:
            raise ValueError(f"the unknown piece {self.unknown!r} must be one of the vocabulary")
        object.__setattr__(self, "_ids", ids)
        object.__setattr__(self, "_reach", max(map(len, ids)))
        object.__setattr__(self, "_ids_of_word", RememberedWords(self._cut))

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocabulary_size: int,
        specials: Sequence[str] = SPECIALS,
        min_count: int = 1,
    ) -> WordPiece:
        """Learn pieces from texts: specials, characters, and what `learn_scored_merges` joins.

        Parameters
        ----------
        vocabulary_size : pieces in all; fewer come out where no pair is left to merge
        specials : "[UNK]" among them
        min_count : pairs seen less often are not merged

        Raises
        ------
        ValueError : the texts have no word, or the size is less than specials and characters need.
        """
        words = Counter(chain.from_iterable(map(bert_words, texts)))
        if not words:
            raise ValueError("there is no text to learn from: give at least one word")
        cut = {characters(word): count for word, count in words.items()}
        alphabet = sorted(set(chain.from_iterable(cut)))
        room = vocabulary_size - len(specials) - len(alphabet)
        if room < 0:
            raise ValueError(
                f"vocabulary_size must be at least {vocabulary_size - room}, for {len(specials)} "
                f"specials and {len(alphabet)} characters, got {vocabulary_size}"
            )
        merges = learn_scored_merges(cut, room, min_count)
        joined = (merge.left + merge.right.removeprefix(INSIDE) for merge in merges)
        return cls((*specials, *alphabet, *joined))

    def __len__(self) -> int:
        """Number of pieces."""
        return len(self.vocabulary)

    def id(self, piece: str) -> int:
        """The id of a piece or special.

        Raises
        ------
        ValueError : it is not in the vocabulary.
        """
        if piece not in self._ids:
            raise ValueError(f"{piece!r} is not among the {len(self)} pieces")
        return self._ids[piece]

    def segment(self, word: str) -> list[str]:
        """The pieces of one word: the longest that it begins with, and on with the rest.

        Examples
        --------
        >>> WordPiece(("[UNK]", "un", "under", "##stand", "##der")).segment("understand")
        ['under', '##stand']
        """
        if len(word) > self.longest:
            return [self.unknown]
        pieces: list[str] = []
        start = 0
        while start < len(word):
            mark = INSIDE if start else ""
            for end in range(min(len(word), start + self._reach), start, -1):
                if mark + word[start:end] in self._ids:
                    break
            else:
                return [self.unknown]
            pieces.append(mark + word[start:end])
            start = end
        return pieces

    def tokens(self, text: str) -> list[str]:
        """The pieces of a text."""
        return list(chain.from_iterable(map(self.segment, bert_words(text))))

    def encode(self, text: str) -> Int[np.ndarray, "token"]:
        """Ids of a text, without [CLS] and [SEP]; none for a text without words."""
        ids = chain.from_iterable(map(self._ids_of_word.__getitem__, bert_words(text)))
        return np.fromiter(ids, dtype=np.int64)

    def decode(self, ids: Iterable[SupportsIndex]) -> str:
        """Words with a blank between; case, accents and spacing of the text are lost.

        Raises
        ------
        IndexError : an id is below 0 or not below the number of pieces.
        """
        words: list[str] = []
        for index in map(int, ids):
            if not 0 <= index < len(self):
                raise IndexError(f"ids lie in 0 … {len(self) - 1}, got {index}")
            piece = self.vocabulary[index]
            if words and piece.startswith(INSIDE):
                words[-1] += piece.removeprefix(INSIDE)
            else:
                words.append(piece)
        return " ".join(words)

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as BERT's vocab.txt does: a piece a line, in the order of ids."""
        Path(path).write_text("".join(f"{piece}\n" for piece in self.vocabulary), "utf-8")

    @classmethod
    def load(cls, path: str | Path, unknown: str = UNKNOWN) -> WordPiece:
        """Read a file such as `save` writes, or BERT's vocab.txt.

        Raises
        ------
        ValueError : a piece stands there twice, or the unknown piece is missing.
        """
        return cls(tuple(Path(path).read_text("utf-8").rstrip("\n").split("\n")), unknown)

    def _cut(self, word: str) -> list[int]:
        return [self._ids[piece] for piece in self.segment(word)]
