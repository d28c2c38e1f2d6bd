"""What `load` returns: a data set of named splits, each read when first looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

from nlp_course.collector import collector_paused
from nlp_course.data.registry import DatasetInfo


class Rating(NamedTuple):
    """How alike people find two words, mostly on a scale from 0 to 10."""

    first: str
    second: str
    score: float


class Analogy(NamedTuple):
    """a is to b as c is to d; the category names the relation."""

    a: str
    b: str
    c: str
    d: str
    category: str


class LabelledText(NamedTuple):
    """A text as tokenised sentences, and the class it belongs to."""

    sentences: list[list[str]]
    label: str


class TaggedSentence(NamedTuple):
    """A sentence and one tag a token: part of speech, chunk or entity."""

    tokens: list[str]
    tags: list[str]


class Translation(NamedTuple):
    """A sentence and its translation, as raw text."""

    source: str
    target: str


class AlignedTranslation(NamedTuple):
    """A sentence and its translation as tokens, and which word says which.

    alignment : links (place in source, place in target), sorted; a word may have several or none
    """

    source: list[str]
    target: list[str]
    alignment: list[tuple[int, int]]


class SpanQuestion(NamedTuple):
    """A question, and a passage in which its answer is a span: passage[start:end].

    kind : what is asked for, such as "subject" or "place"
    """

    passage: list[str]
    question: list[str]
    start: int
    end: int
    kind: str

    @property
    def answer(self) -> list[str]:
        """The words of the answer."""
        return self.passage[self.start : self.end]


class LabelledPair(NamedTuple):
    """Two sentences, and what the first says of the second: the label."""

    first: list[str]
    second: list[str]
    label: str


class Review(NamedTuple):
    """A sentence of opinion, how good it says that something is, and whether that is above 0."""

    words: list[str]
    score: float
    label: str


class Instruction(NamedTuple):
    """What is to be done, with what, and the answers that are right.

    kind : what sort of thing is to be done, such as "capital"
    input : words that it is to be done with; none where the instruction itself has them
    answers : of which the first stands in training sets
    """

    kind: str
    instruction: list[str]
    input: list[str]
    answers: list[list[str]]

    @property
    def response(self) -> list[str]:
        """The answer to be learned."""
        return self.answers[0]

    def check(self, answer: Sequence[str]) -> bool:
        """Whether an answer is right, word for word."""
        return list(answer) in self.answers


class Demonstration(NamedTuple):
    """What is asked, and what a writer answered: one answer of many, not always a good one."""

    prompt: list[str]
    answer: list[str]


class Preference(NamedTuple):
    """What is asked, the answer of two that was preferred, and the other."""

    prompt: list[str]
    chosen: list[str]
    rejected: list[str]


class Split:
    """One part of a data set: its text, its sentences, its records, as far as it has them.

    Each is read when first asked for, and kept. What the set does not have raises an
    AttributeError that says what it has.

    Parameters
    ----------
    name : of the split, such as "train"
    text, sentences, records : functions without argument that read them
    """

    def __init__(
        self,
        name: str,
        *,
        text: Callable[[], str] | None = None,
        sentences: Callable[[], list[list[str]]] | None = None,
        records: Callable[[], Sequence[Any]] | None = None,
    ) -> None:
        self.name = name
        self._text = text
        self._sentences = sentences
        self._records = records

    def __repr__(self) -> str:
        return f"Split({self.name!r}, has {_listed(self.views)})"

    @property
    def views(self) -> tuple[str, ...]:
        """What can be asked of this split."""
        readable = ("text", "sentences", "tokens") if self._text or self._sentences else ()
        return (*readable, "records") if self._records else readable

    @cached_property
    def text(self) -> str:
        """The raw text; of a set that comes tokenised, tokens and spaces, a sentence a line."""
        if self._text is not None:
            return self._text()
        return "\n".join(" ".join(sentence) for sentence in self.sentences)

    @cached_property
    def sentences(self) -> list[list[str]]:
        """Tokenised sentences: the set's own, or `nlp_course.text`'s where it is raw text."""
        if self._sentences is not None:
            with collector_paused():
                return self._sentences()
        if self._text is None:
            raise AttributeError(_lacks(f"split {self.name!r}", "text or sentences", self.views))
        from nlp_course.text import split_sentences, tokenize

        with collector_paused():
            return [tokenize(sentence) for sentence in split_sentences(self.text)]

    @cached_property
    def tokens(self) -> list[str]:
        """All tokens, one sentence after the other."""
        return list(chain.from_iterable(self.sentences))

    @cached_property
    def records(self) -> list[Any]:
        """Named tuples: ratings, analogies, labelled or tagged texts, translations."""
        if self._records is None:
            raise AttributeError(_lacks(f"split {self.name!r}", "records", self.views))
        with collector_paused():
            return list(self._records())


class Dataset:
    """A data set: its splits, and the whole of them as text, sentences, tokens or records.

    Parameters
    ----------
    info : what the registry says of it
    splits : by name
    reader : NLTK's own corpus reader, where the set is NLTK's: all that NLTK offers on it
    """

    def __init__(self, info: DatasetInfo, splits: Mapping[str, Split], reader: Any = None) -> None:
        self.info = info
        self.splits = dict(splits)
        self._reader = reader

    @property
    def name(self) -> str:
        """The name to load it by."""
        return self.info.name

    def __repr__(self) -> str:
        splits = f"splits {_listed(tuple(self.splits))}" if len(self.splits) < 10 else "many splits"
        return f"Dataset({self.name!r}, {splits}, has {_listed(self.views)})"

    @property
    def views(self) -> tuple[str, ...]:
        """What can be asked of this set."""
        views = tuple(dict.fromkeys(chain(*(split.views for split in self.splits.values()))))
        return views if self._reader is None else (*views, "reader")

    @property
    def reader(self) -> Any:
        """NLTK's corpus reader: categories, tags, trees, synsets, whatever the corpus has."""
        if self._reader is None:
            raise AttributeError(_lacks(self.name, "NLTK reader", self.views))
        return self._reader

    @cached_property
    def text(self) -> str:
        """The text of all splits, one after the other."""
        return "\n".join(split.text for split in self._with("text"))

    @cached_property
    def sentences(self) -> list[list[str]]:
        """The tokenised sentences of all splits."""
        return list(chain.from_iterable(split.sentences for split in self._with("sentences")))

    @cached_property
    def tokens(self) -> list[str]:
        """The tokens of all splits."""
        return list(chain.from_iterable(self.sentences))

    @cached_property
    def records(self) -> list[Any]:
        """The records of all splits."""
        return list(chain.from_iterable(split.records for split in self._with("records")))

    def _with(self, view: str) -> list[Split]:
        if view not in self.views:
            raise AttributeError(_lacks(self.name, view, self.views))
        return [split for split in self.splits.values() if view in split.views]


def _lacks(name: str, view: str, views: tuple[str, ...]) -> str:
    return f"{name} has no {view}; it has {_listed(views) or 'nothing to read'}"


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words)
