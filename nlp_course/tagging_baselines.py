"""What a tagger must beat: entities known by heart, and each word's most frequent tag."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from nlp_course.tagging import OUTSIDE, entities


class DictionaryTagger:
    """The baseline that learns entities by heart: the longest run of words seen as an entity.

    Runs are compared in lower case, from left to right; each has the kind it had most often.
    """

    def __init__(self) -> None:
        self.kinds: dict[tuple[str, ...], str] = {}

    def fit(
        self, sentences: Sequence[Sequence[str]], tags: Sequence[Sequence[str]]
    ) -> DictionaryTagger:
        """Learn the entities of tagged sentences by heart."""
        seen: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for tokens, marks in zip(sentences, tags, strict=True):
            for kind, start, stop in entities(marks):
                seen[tuple(token.lower() for token in tokens[start:stop])][kind] += 1
        self.kinds = {run: _most_frequent(kinds) for run, kinds in seen.items()}
        return self

    def predict(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """Tags of the known runs, O elsewhere."""
        longest = max(map(len, self.kinds), default=0)
        return [self._tags([token.lower() for token in tokens], longest) for tokens in sentences]

    def _tags(self, words: Sequence[str], longest: int) -> list[str]:
        tags = [OUTSIDE] * len(words)
        start = 0
        while start < len(words):
            for length in range(min(longest, len(words) - start), 0, -1):
                kind = self.kinds.get(tuple(words[start : start + length]))
                if kind is not None:
                    tags[start : start + length] = [f"B-{kind}", *[f"I-{kind}"] * (length - 1)]
                    break
            else:
                length = 1
            start += length
        return tags


class FrequentTagger:
    """The baseline that gives each word its most frequent tag, and unknown ones the commonest."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.commonest = OUTSIDE

    def fit(
        self, sentences: Sequence[Sequence[str]], tags: Sequence[Sequence[str]]
    ) -> FrequentTagger:
        """Count the tags of each word."""
        seen: dict[str, Counter[str]] = defaultdict(Counter)
        for tokens, marks in zip(sentences, tags, strict=True):
            for token, tag in zip(tokens, marks, strict=True):
                seen[token.lower()][tag] += 1
        self.tags = {word: _most_frequent(marks) for word, marks in seen.items()}
        self.commonest = _most_frequent(sum(seen.values(), Counter()))
        return self

    def predict(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """A tag for each token."""
        return [
            [self.tags.get(token.lower(), self.commonest) for token in tokens]
            for tokens in sentences
        ]


def _most_frequent(seen: Counter[str]) -> str:
    """The one seen most often; the first in the alphabet of those seen equally often."""
    return min(seen, key=lambda name: (-seen[name], name))
