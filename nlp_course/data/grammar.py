"""Probabilistic context-free grammars without recursion: sampling, probability, entropy.

Without recursion there are finitely many sentences and every derivation ends, so expectations
over all sentences are finite sums that follow the rules downward.
"""

from __future__ import annotations

import math
import random
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import NamedTuple

Alternative = tuple[float | int, tuple[str, ...]]


class Derivation(NamedTuple):
    """How a symbol became words: what it was rewritten into, and each symbol therein likewise."""

    symbol: str
    parts: tuple[Derivation | str, ...]

    def words(self) -> list[str]:
        """The words it ends in, from left to right."""
        found: list[str] = []
        for part in self.parts:
            if isinstance(part, str):
                found.append(part)
            else:
                found.extend(part.words())
        return found


class Grammar:
    """Rules that rewrite a symbol into one of several sequences, each with its probability.

    Whatever has a rule is a symbol; every other string is a word of the language.

    Parameters
    ----------
    rules : for each symbol its alternatives, as (weight, sequence of symbols and words); weights
        are normalised, and a sequence may be empty
    start : the symbol a sentence is derived from

    Raises
    ------
    ValueError : a weight is not positive, a symbol has no alternative or derives itself, or the
        start symbol has no rule.

    Examples
    --------
    >>> coin = Grammar({"S": [(1, ("heads",)), (3, ("tails", "again"))]}, start="S")
    >>> coin.log2_probability(["heads"])
    -2.0
    >>> round(coin.entropy(), 4), coin.expected_length()
    (0.8113, 1.75)
    """

    def __init__(self, rules: Mapping[str, Sequence[Alternative]], start: str = "Sentence") -> None:
        if start not in rules:
            raise ValueError(f"the start symbol {start!r} has no rule")
        self.start = start
        self.rules: dict[str, list[Alternative]] = {}
        for symbol, alternatives in rules.items():
            if not alternatives or min(weight for weight, _ in alternatives) <= 0:
                raise ValueError(f"{symbol!r} needs alternatives of positive weight")
            total = math.fsum(weight for weight, _ in alternatives)
            self.rules[symbol] = [(weight / total, tuple(right)) for weight, right in alternatives]
        self._order = self._children_first()
        self._first = self._first_words()
        self.words = {
            word
            for alternatives in self.rules.values()
            for _, right in alternatives
            for word in right
            if word not in self.rules
        }

    def _children_first(self) -> list[str]:
        """The symbols, each after all that occur in its alternatives."""
        order: list[str] = []
        open_symbols: set[str] = set()

        def visit(symbol: str) -> None:
            if symbol in open_symbols:
                raise ValueError(f"{symbol!r} derives itself: this grammar is recursive")
            open_symbols.add(symbol)
            for _, right in self.rules[symbol]:
                for part in right:
                    if part in self.rules and part not in done:
                        visit(part)
            open_symbols.remove(symbol)
            done.add(symbol)
            order.append(symbol)

        done: set[str] = set()
        for symbol in self.rules:
            if symbol not in done:
                visit(symbol)
        return order

    def sample(self, generator: random.Random) -> Iterator[list[str]]:
        """Sentences, one after the other, without end."""
        return (sentence for sentence, _ in self._draw(generator))

    def derivations(self, generator: random.Random) -> Iterator[Derivation]:
        """The derivations of the sentences that `sample` gives for the same random numbers."""

        def build(symbol: str, used: Iterator[tuple[str, ...]]) -> Derivation:
            return Derivation(
                symbol,
                tuple(build(part, used) if part in self.rules else part for part in next(used)),
            )

        return (build(self.start, iter(used)) for _, used in self._draw(generator))

    def _draw(self, generator: random.Random) -> Iterator[tuple[list[str], list[tuple[str, ...]]]]:
        """Sentences, each with the alternatives drawn for it, the leftmost symbol's first."""
        # Reversed, so that what is written first lies on top of the stack.
        rewrites = {
            symbol: (
                list(accumulate(probability for probability, _ in alternatives))[:-1],
                [(right[::-1], right) for _, right in alternatives],
            )
            for symbol, alternatives in self.rules.items()
        }
        draw = generator.random
        while True:
            sentence: list[str] = []
            used: list[tuple[str, ...]] = []
            stack = [self.start]
            while stack:
                part = stack.pop()
                if part in rewrites:
                    cumulative, alternatives = rewrites[part]
                    backward, right = alternatives[bisect(cumulative, draw()) if cumulative else 0]
                    stack.extend(backward)
                    used.append(right)
                else:
                    sentence.append(part)
            yield sentence, used

    def parse(self, sentence: Sequence[str]) -> Derivation:
        """The derivation of a sentence; where it has several, one of them.

        Raises
        ------
        ValueError : the language does not have the sentence; says up to where it might have been
            one.

        Examples
        --------
        >>> coin = Grammar({"S": [(1, ("Side",))], "Side": [(1, ("heads",)), (1, ("tails",))]}, "S")
        >>> coin.parse(["tails"])
        Derivation(symbol='S', parts=(Derivation(symbol='Side', parts=('tails',)),))
        """
        length, furthest = len(sentence), 0

        @cache
        def derived(symbol: str, start: int) -> dict[int, Derivation]:
            """For each end, how the symbol becomes the words from start to it."""
            ends: dict[int, Derivation] = {}
            for _, right in self.rules[symbol]:
                runs: dict[int, tuple[Derivation | str, ...]] = {start: ()}
                for part in right:
                    runs = {
                        end: (*before, found)
                        for middle, before in runs.items()
                        for end, found in matches(part, middle)
                    }
                for end, parts in runs.items():
                    ends.setdefault(end, Derivation(symbol, parts))
            return ends

        def matches(part: str, start: int) -> Iterable[tuple[int, Derivation | str]]:
            nonlocal furthest
            furthest = max(furthest, start)
            word = sentence[start] if start < length else None
            if part not in self.rules:
                return [(start + 1, part)] if word == part else []
            first = self._first[part]
            return derived(part, start).items() if "" in first or word in first else []

        found = derived(self.start, 0)
        if length in found:
            return found[length]
        furthest = max([furthest, *found])
        if furthest == length:
            raise ValueError(f"the language has no such sentence: more has to follow {sentence}")
        raise ValueError(
            f"the language has no such sentence: after {list(sentence[:furthest])} it cannot go on "
            f"with {sentence[furthest]!r}"
        )

    def log2_probability(self, sentence: Sequence[str]) -> float:
        """Base-2 logarithm of a sentence's probability; -inf outside the language.

        The inside algorithm: P(symbol ⇒ words i … j) sums, over the alternatives, their
        probability times that of every way to share the words among their parts.
        """
        length = len(sentence)

        @cache
        def inside(symbol: str, start: int) -> dict[int, float]:
            """For each end, the probability that the symbol derives the words from start to it."""
            ends: dict[int, float] = {}
            for probability, right in self.rules[symbol]:
                spans = {start: probability}
                for part in right:
                    spans = advance(part, spans)
                    if not spans:
                        break
                for end, value in spans.items():
                    ends[end] = ends.get(end, 0.0) + value
            return ends

        def advance(part: str, spans: dict[int, float]) -> dict[int, float]:
            if part not in self.rules:
                return {
                    start + 1: value
                    for start, value in spans.items()
                    if start < length and sentence[start] == part
                }
            reached: dict[int, float] = {}
            first = self._first[part]
            for start, value in spans.items():
                if "" not in first and (start == length or sentence[start] not in first):
                    continue
                for end, probability in inside(part, start).items():
                    reached[end] = reached.get(end, 0.0) + value * probability
            return reached

        probability = inside(self.start, 0).get(length, 0.0)
        return math.log2(probability) if probability else -math.inf

    def _first_words(self) -> dict[str, set[str]]:
        """The words a symbol's derivations can begin with; "" where one is empty."""
        first: dict[str, set[str]] = {}
        for symbol in self._order:
            first[symbol] = set()
            for _, right in self.rules[symbol]:
                for part in right:
                    begins = first.get(part, {part})
                    first[symbol] |= begins - {""}
                    if "" not in begins:
                        break
                else:
                    first[symbol].add("")
        return first

    def entropy(self) -> float:
        """Entropy of a derivation in bits: H(X) = Σ_r p_r (-log2 p_r + Σ_{Y in r} H(Y)).

        It is the entropy of a sentence where every sentence has one derivation; otherwise it is
        more.
        """
        return self._expectation(lambda probability: -math.log2(probability), word=0.0)

    def expected_length(self) -> float:
        """Expected number of words of a sentence."""
        return self._expectation(lambda _: 0.0, word=1.0)

    def _expectation(self, rule: Callable[[float], float], word: float) -> float:
        """Expected sum, over a derivation, of a value for each rule used and each word made."""
        value: dict[str, float] = {}
        for symbol in self._order:
            value[symbol] = math.fsum(
                probability * (rule(probability) + sum(value.get(part, word) for part in right))
                for probability, right in self.rules[symbol]
            )
        return value[self.start]
