"""Byte-level byte-pair encoding: any text as pieces of words, and back.

`nlp_course.subword_merges` learns the merges, and applies them one at a time, which is the clear
form of encoding; `BPE.encode` gives the same pieces fast.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import chain, pairwise
from pathlib import Path
from typing import Literal, SupportsIndex

import numpy as np
from jaxtyping import Int

from nlp_course.collector import collector_paused
from nlp_course.subword_merges import (
    Pair,
    PairCounts,
    RememberedWords,
    merge_steps,
    most_frequent_pairs,
)

# To `re`, \w is Unicode's letters, numbers (category N) and "_", while \d is decimal digits alone.
# The other numbers, such as ² and Ⅷ, are named so that they count as numbers, as they do in GPT-2.
_NUMBER = r"\d" + "".join(
    number
    for number in map(chr, range(0x20000))  # there are none beyond
    if unicodedata.category(number) in ("Nl", "No")
)
_LETTER = rf"^\W_{_NUMBER}"
# Unicode's white space; Python's \s has four control characters more.
_BLANK = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_WORD = re.compile(
    # Nine tenths of most texts in the Latin alphabet: ASCII, and then nothing that the general
    # rules below could add. `re` looks into their large classes four times as long.
    r" ?[A-Za-z]++(?!\w)"
    r"|'(?:[sdmt]|ll|ve|re)"
    r"| ?[0-9]++(?!\w)"
    r"| ?[!-/:-@[-^`{-~]++(?![^ \n\w]|_)"
    rf"| ?[{_LETTER}]+"
    rf"| ?[{_NUMBER}]+"
    rf"| ?(?:[^{_BLANK}\w]|_)+"
    rf"|[{_BLANK}]+(?![^{_BLANK}])|[{_BLANK}]+"
)


def _printable_bytes() -> str:
    """GPT-2's name for each byte: itself where it prints, else a letter from U+0100 on."""
    prints = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in prints else next(others)) for byte in range(256))


_NAME_OF_BYTE = _printable_bytes()
_BYTE_OF_NAME = {name: byte for byte, name in enumerate(_NAME_OF_BYTE)}
# The order in which bytes get their ids decides ties between pairs: it is that of their names.
_BYTES = bytes(_BYTE_OF_NAME[name] for name in sorted(_NAME_OF_BYTE))
_RANK_OF_BYTE = bytes(_BYTES.index(byte) for byte in range(256))


def pre_tokenize(text: str) -> list[str]:
    """Cut a text into the units that no piece crosses, by GPT-2's rule; nothing is lost.

    A unit is a contraction ('s, 't, 're, 've, 'm, 'll, 'd), or a run of letters, of numbers, or of
    other signs, each with the blank before it, or white space. Of several blanks the last one
    goes with what follows. Letters and numbers are Unicode's categories L and N, as this Python's
    version of Unicode has them; marks, among them the vowel points of Hebrew, are other signs.

    References
    ----------
    Radford et al. 2019, Language Models are Unsupervised Multitask Learners, section 2.2.

    Examples
    --------
    >>> pre_tokenize("They'll pay  $1000, won't they?")
    ['They', "'ll", ' pay', ' ', ' $', '1000', ',', ' won', "'t", ' they', '?']
    """
    return _WORD.findall(text)


@dataclass(frozen=True)
class BPE:
    """Byte-level byte-pair encoding: any text becomes ids, and comes back unchanged.

    The first symbols are the 256 values of a byte, so nothing is unknown. Ids run from 0: specials,
    the bytes in GPT-2's order, then a piece a merge. Text never gives the id of a special, even
    where it spells one: whoever builds the model's input adds it, by `special_id`.

    Parameters
    ----------
    merges : pairs of pieces in the order of learning; each part is a byte or merged before
    specials : tokens with an id that no text has, such as "<|endoftext|>"

    Raises
    ------
    ValueError : a part of a merge is neither a byte nor merged before it, a merge or special
        stands there twice, or a special is empty.

    References
    ----------
    Gage 1994, A New Algorithm for Data Compression. Sennrich et al. 2016, Neural Machine
    Translation of Rare Words with Subword Units. Radford et al. 2019, Language Models are
    Unsupervised Multitask Learners, section 2.2.

    Examples
    --------
    >>> bpe = BPE.train(["low lower lowest"], vocabulary_size=260)
    >>> bpe.tokens("slow")
    ['s', 'low']
    >>> bpe.decode(bpe.encode("Ünicode"))
    'Ünicode'
    """

    merges: tuple[tuple[bytes, bytes], ...]
    specials: tuple[str, ...] = ()
    _pieces: list[bytes] = field(init=False, repr=False, compare=False)
    _merged: dict[Pair, int] = field(init=False, repr=False, compare=False)
    _ids_of_word: RememberedWords = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(set(self.specials)) != len(self.specials) or "" in self.specials:
            raise ValueError(f"specials must differ and not be empty, got {list(self.specials)}")
        first = len(self.specials)
        pieces = [*(special.encode() for special in self.specials), *(bytes([b]) for b in _BYTES)]
        ids = {piece: index for index, piece in enumerate(pieces) if index >= first}
        merged: dict[Pair, int] = {}
        for left, right in self.merges:
            if left not in ids or right not in ids:
                raise ValueError(f"{left!r} + {right!r}: a part is no byte and not merged before")
            if left + right in ids:
                raise ValueError(f"{left!r} + {right!r} is merged twice, or in two ways")
            merged[ids[left], ids[right]] = ids[left + right] = len(pieces)
            pieces.append(left + right)
        object.__setattr__(self, "_pieces", pieces)
        object.__setattr__(self, "_merged", merged)
        object.__setattr__(self, "_ids_of_word", RememberedWords(self._merge_word))

    @classmethod
    @collector_paused()
    def train(cls, texts: Iterable[str], vocabulary_size: int, specials: Sequence[str] = ()) -> BPE:
        """Learn merges from texts, as `learn_merges` does, with bytes for symbols.

        Parameters
        ----------
        vocabulary_size : pieces in all, specials and the 256 bytes among them; fewer come out where
            the texts have no pair left to merge

        Raises
        ------
        ValueError : the texts are empty, the size is less than specials and bytes need, or a text
            is not Unicode.
        """
        first = len(specials) + 256
        if vocabulary_size < first:
            raise ValueError(
                f"vocabulary_size must be at least {first}, for 256 bytes and {len(specials)} "
                f"specials, got {vocabulary_size}"
            )
        words: Counter[str] = Counter()
        for text in texts:
            _refuse_surrogates(text)
            words.update(pre_tokenize(text))
        if not words:
            raise ValueError("there is no text to learn from: give at least one character")
        symbols = (list(word.encode().translate(_RANK_OF_BYTE)) for word in words)
        table = PairCounts(symbols, words.values())
        pieces = [bytes([byte]) for byte in _BYTES]
        merges = []
        for (left, right), _ in most_frequent_pairs(table, 256, vocabulary_size - first):
            merges.append((pieces[left], pieces[right]))
            pieces.append(pieces[left] + pieces[right])
        return cls(tuple(merges), tuple(specials))

    def __len__(self) -> int:
        """Number of ids."""
        return len(self._pieces)

    def special_id(self, special: str) -> int:
        """The id of a special token.

        Raises
        ------
        ValueError : there is no such special.
        """
        if special not in self.specials:
            raise ValueError(f"{special!r} is not among the specials {list(self.specials)}")
        return self.specials.index(special)

    def encode(self, text: str) -> Int[np.ndarray, "token"]:
        """Ids of a text; none for the empty one.

        Raises
        ------
        ValueError : the text holds half of a surrogate pair, which is no character.
        """
        _refuse_surrogates(text)
        return self._encode_words(pre_tokenize(text))

    def encode_bytes(self, data: bytes) -> Int[np.ndarray, "token"]:
        """Ids of any bytes, UTF-8 or not; `decode_bytes` gives them back."""
        return self._encode_words(pre_tokenize(data.decode("utf-8", "surrogateescape")))

    def decode(
        self, ids: Iterable[SupportsIndex], errors: Literal["replace", "strict"] = "replace"
    ) -> str:
        """The text of ids; specials as they are written.

        A token may hold a part of a character only, so not every sequence of ids is a text.

        Parameters
        ----------
        errors : "replace" writes U+FFFD, �, where bytes are no character; "strict" refuses

        Raises
        ------
        IndexError : an id is below 0 or not below the number of pieces.
        ValueError : bytes are no character and errors is "strict", or errors is neither.
        """
        if errors not in ("replace", "strict"):
            raise ValueError(f'errors must be "replace" or "strict", got {errors!r}')
        data = self.decode_bytes(ids)
        try:
            return data.decode("utf-8", errors)
        except UnicodeDecodeError as error:
            wrong = data[error.start : error.end]
            raise ValueError(
                f"the ids do not spell a text: {wrong!r} at byte {error.start} is no character "
                f'in UTF-8; errors="replace" writes � for it'
            ) from None

    def decode_bytes(self, ids: Iterable[SupportsIndex]) -> bytes:
        """The bytes of ids.

        Raises
        ------
        IndexError : an id is below 0 or not below the number of pieces.
        """
        return b"".join(self._piece(index) for index in ids)

    def tokens(self, text: str) -> list[str]:
        r"""The pieces of a text, to be read; bytes that are no character by themselves as \xd7."""
        return [_readable(self._pieces[index]) for index in self.encode(text)]

    def piece(self, index: SupportsIndex) -> str:
        """The piece of an id, to be read.

        Raises
        ------
        IndexError : the id is below 0 or not below the number of pieces.
        """
        return _readable(self._piece(index))

    def segment(self, word: str) -> list[str]:
        """The pieces of one word that is not cut before, to be read."""
        return list(self.steps(word)[-1])

    def steps(self, word: str) -> list[tuple[str, ...]]:
        """One word from its bytes to its pieces, one merge at a time, as `merge_steps` has it."""
        _refuse_surrogates(word)
        ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        steps = merge_steps([bytes([byte]) for byte in word.encode()], ranks)
        return [tuple(map(_readable, step)) for step in steps]

    def save(self, path: str | Path) -> None:
        """Write specials and merges as JSON; bytes go by GPT-2's names for them, Ġ for a blank."""
        merges = [[_named(left), _named(right)] for left, right in self.merges]
        content = {"specials": self.specials, "merges": merges}
        Path(path).write_text(json.dumps(content, ensure_ascii=False, indent=0), "utf-8")

    @classmethod
    def load(cls, path: str | Path) -> BPE:
        """What `save` wrote.

        Raises
        ------
        ValueError : the file holds something else.
        """
        try:
            content = json.loads(Path(path).read_text("utf-8"))
            merges = [(_unnamed(left), _unnamed(right)) for left, right in content["merges"]]
            specials = tuple(map(str, content["specials"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a file that BPE.save wrote: {error!r}") from error
        return cls(tuple(merges), specials)

    def _piece(self, index: SupportsIndex) -> bytes:
        number = int(index)
        if not 0 <= number < len(self):
            raise IndexError(f"ids lie in 0 … {len(self) - 1}, got {number}")
        return self._pieces[number]

    def _encode_words(self, words: list[str]) -> Int[np.ndarray, "token"]:
        ids = chain.from_iterable(map(self._ids_of_word.__getitem__, words))
        return np.fromiter(ids, dtype=np.int64)

    def _merge_word(self, word: str) -> list[int]:
        """`merge_steps` on ids, in time n log n: a heap of places, neighbours as a linked list."""
        merged, first = self._merged, len(self.specials)
        data = word.encode("utf-8", "surrogateescape").translate(_RANK_OF_BYTE)
        symbols = [first + rank for rank in data]
        queue = [(merged[pair], at) for at, pair in enumerate(pairwise(symbols)) if pair in merged]
        if not queue:
            return symbols
        heapify(queue)
        gone, end = -1, len(symbols)
        before, after = list(range(-1, end - 1)), list(range(1, end + 1))
        while queue:
            new, at = heappop(queue)
            right = after[at]
            if right == end or merged.get((symbols[at], symbols[right])) != new:
                continue  # a neighbour was merged into something else meanwhile
            symbols[at], symbols[right] = new, gone
            after[at] = following = after[right]
            if following < end:
                before[following] = at
                made = merged.get((new, symbols[following]))
                if made is not None:
                    heappush(queue, (made, at))
            if (left := before[at]) >= 0:
                made = merged.get((symbols[left], new))
                if made is not None:
                    heappush(queue, (made, left))
        return [symbol for symbol in symbols if symbol != gone]


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text is not Unicode: half of a surrogate pair, {text[error.start]!r}, at place "
            f"{error.start}; encode_bytes takes bytes as they are"
        ) from error


def _readable(piece: bytes) -> str:
    return piece.decode("utf-8", "backslashreplace")


def _named(piece: bytes) -> str:
    return "".join(_NAME_OF_BYTE[byte] for byte in piece)


def _unnamed(name: str) -> bytes:
    return bytes(_BYTE_OF_NAME[letter] for letter in name)
