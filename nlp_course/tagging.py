"""Named entities and chunks: a linear tagger over frozen word vectors, and its score.

Tags are BIO: `B-kind` begins an entity, `I-kind` goes on with it, `O` is outside. The tagger sees
a token's vector, those of its neighbours, and how they are written. The vectors are not trained
further, so that what the tagger can do is what was in them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from nlp_course.geometry import whiten
from nlp_course.judging import Interval, bootstrap
from nlp_course.similarity import WordVectors

OUTSIDE = "O"
WRITING = ("capital first", "all capitals", "digit", "no letter", "unknown word", "no token")


class Entity(NamedTuple):
    """A run of tokens of one kind: tokens[start:stop]."""

    kind: str
    start: int
    stop: int


class Score(NamedTuple):
    """Precision, recall and F1 of entities, found exactly: kind and both ends.

    precision = correct / predicted, recall = correct / gold, F1 = 2 correct / (predicted + gold);
    a ratio with nothing below is 0.
    """

    precision: float
    recall: float
    f1: float
    correct: int
    predicted: int
    gold: int


class EntityScores(NamedTuple):
    """The score over all entities (micro-averaged), and that of each kind, in alphabetical order.

    `macro_f1` is the mean of the kinds' F1, in which a rare kind counts as much as a frequent one.
    """

    overall: Score
    by_kind: dict[str, Score]

    @property
    def macro_f1(self) -> float:
        """Mean of the kinds' F1; 0 where there is no entity."""
        scores = [score.f1 for score in self.by_kind.values()]
        return float(np.mean(scores)) if scores else 0.0


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities that a sequence of BIO tags marks.

    What is ill-formed is read as conlleval reads it: an `I-kind` after `O`, after another kind or
    at the start begins an entity, as a `B-kind` would.

    Raises
    ------
    ValueError : a tag is neither O nor B-kind nor I-kind.

    Examples
    --------
    >>> entities(["B-person", "I-person", "O", "I-place"])
    [Entity(kind='person', start=0, stop=2), Entity(kind='place', start=3, stop=4)]
    """
    found: list[Entity] = []
    start, open_kind = 0, ""
    for position, tag in enumerate([*tags, OUTSIDE]):
        mark, _, kind = tag.partition("-")
        if tag != OUTSIDE and not (mark in ("B", "I") and kind):
            raise ValueError(f"a tag must be O, B-kind or I-kind, got {tag!r}")
        if open_kind and (mark != "I" or kind != open_kind):
            found.append(Entity(open_kind, start, position))
            open_kind = ""
        if kind and not open_kind:
            start, open_kind = position, kind
    return found


def entity_scores(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> EntityScores:
    """Precision, recall and F1 of predicted tags, by entity; equal to seqeval's default.

    An entity is right if its kind and both its ends are. Ill-formed tags are read as `entities`
    says. A kind counts in `by_kind` where it is either in the gold or in the predicted tags.

    Parameters
    ----------
    gold, predicted : BIO tags, a sequence a sentence

    Raises
    ------
    ValueError : there is no sentence, the two differ in sentences or in a sentence's length, or a
        tag is not a BIO tag.

    References
    ----------
    Tjong Kim Sang and Buchholz 2000, Introduction to the CoNLL-2000 Shared Task: Chunking.

    Examples
    --------
    >>> overall, by_kind = entity_scores([["B-a", "I-a", "O", "B-b"]], [["B-a", "O", "O", "B-b"]])
    >>> overall.f1, by_kind["b"].f1
    (0.5, 1.0)
    """
    tallies: dict[str, Counter[str]] = defaultdict(Counter)
    for right, guess in _paired(gold, predicted):
        for name, found in (("gold", right), ("predicted", guess), ("correct", right & guess)):
            for kind, *_ in found:
                tallies[kind][name] += 1
    return EntityScores(
        _score(sum(tallies.values(), Counter())),
        {kind: _score(tallies[kind]) for kind in sorted(tallies)},
    )


def _paired(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> list[tuple[set[Entity], set[Entity]]]:
    """The entities of each sentence, right and guessed."""
    if len(gold) == 0 or len(gold) != len(predicted):
        raise ValueError(
            f"each sentence needs gold and predicted tags, got {len(gold)} and {len(predicted)}"
        )
    for number, (right, guess) in enumerate(zip(gold, predicted, strict=True)):
        if len(right) != len(guess):
            raise ValueError(
                f"sentence {number} has {len(right)} gold and {len(guess)} predicted tags"
            )
    return [
        (set(entities(right)), set(entities(guess)))
        for right, guess in zip(gold, predicted, strict=True)
    ]


def _score(tally: Counter[str]) -> Score:
    correct, predicted, gold = tally["correct"], tally["predicted"], tally["gold"]
    return Score(
        correct / predicted if predicted else 0.0,
        correct / gold if gold else 0.0,
        2 * correct / (predicted + gold) if predicted + gold else 0.0,
        correct,
        predicted,
        gold,
    )


def f1_interval(
    gold: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """F1 over all entities, and its bootstrap interval over sentences.

    Raises
    ------
    ValueError : as in `entity_scores` and `judging.bootstrap`; a resample without any entity, gold
        or predicted, has no F1.
    """
    counts = _sentence_counts(gold, predicted)
    return bootstrap(
        lambda drawn: _f1(counts[drawn].sum(axis=1)),
        len(counts),
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )


def f1_difference(
    gold: Sequence[Sequence[str]],
    first: Sequence[Sequence[str]],
    second: Sequence[Sequence[str]],
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """F1 of the first predictions minus F1 of the second, and its paired bootstrap interval.

    Raises
    ------
    ValueError : as in `f1_interval`.
    """
    one, two = (_sentence_counts(gold, predicted) for predicted in (first, second))
    return bootstrap(
        lambda drawn: _f1(one[drawn].sum(axis=1)) - _f1(two[drawn].sum(axis=1)),
        len(one),
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )


def _sentence_counts(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> Int[np.ndarray, "sentence 2"]:
    """Of each sentence, the entities that are right, and those in gold plus those predicted."""
    return np.array(
        [(len(right & guess), len(right) + len(guess)) for right, guess in _paired(gold, predicted)]
    )


def _f1(counts: Int[np.ndarray, "resample 2"]) -> Float[np.ndarray, "resample"]:
    correct, both = counts.T
    return np.divide(2 * correct, both, out=np.full(len(both), np.nan), where=both > 0)


class WindowTagger:
    """Logistic regression over the frozen vectors of a token and its neighbours.

    A token's features are, for each place from `window` before it to `window` after it, the word's
    vector (0 for an unknown word or beyond the sentence) and six yes-or-no questions: a capital
    first, all capitals, a digit, no letter at all, unknown word, no token here. Words are looked up
    in lower case. Each tag is chosen by itself, so that ill-formed sequences can come out.

    Parameters
    ----------
    vectors : of words, whitened over the vocabulary: a linear classifier can undo any linear map of
        them, so how they happen to be scaled must neither help nor slow it
    window : neighbours seen on each side
    strength : C of the logistic regression; smaller values keep the weights smaller
    max_iterations : of its solver, L-BFGS

    Raises
    ------
    ValueError : window < 0, strength is not above 0, max_iterations < 1, or the vectors do not vary
        in all d directions.
    """

    def __init__(
        self,
        vectors: WordVectors,
        window: int = 1,
        strength: float = 1.0,
        max_iterations: int = 200,
    ) -> None:
        if window < 0:
            raise ValueError(f"window must be at least 0, got {window}")
        if strength <= 0:
            raise ValueError(f"strength must be above 0, got {strength}")
        if max_iterations < 1:
            raise ValueError(f"max_iterations must be at least 1, got {max_iterations}")
        self.vocabulary = vectors.vocabulary
        self.window = window
        self.strength = strength
        self.max_iterations = max_iterations
        scaled = whiten(vectors.vectors.astype(np.float64))
        # One more row, of zeros, for words without a vector and for places without a word.
        self.table = np.pad(scaled, ((0, 1), (0, 0))).astype(np.float32)  # (V + 1, d)
        self.classifier: Any = None

    def features(self, sentences: Sequence[Sequence[str]]) -> Float[np.ndarray, "token feature"]:
        """The features of all tokens, one sentence after the other.

        Raises
        ------
        ValueError : there is no token.
        """
        none = len(self.table) - 1
        edge = [none] * self.window
        blank = [(0, 0, 0, 0, 0, 1)] * self.window
        ids, writing, inside = list(edge), list(blank), [False] * self.window
        # Sentences are laid one after the other, so far apart that no window reaches the next.
        for tokens in sentences:
            words = [token.lower() for token in tokens]
            known = [word in self.vocabulary for word in words]
            ids += [
                self.vocabulary.id(word) if has else none
                for word, has in zip(words, known, strict=True)
            ]
            ids += edge
            writing += [_writing(token, has) for token, has in zip(tokens, known, strict=True)]
            writing += blank
            inside += [True] * len(tokens) + [False] * self.window
        if not any(inside):
            raise ValueError("there is no token: give at least one sentence with one")
        place = np.flatnonzero(inside)  # (token,)
        rows, questions = np.array(ids), np.array(writing, dtype=np.float32)
        return np.hstack(
            [
                block
                for shift in range(-self.window, self.window + 1)
                for block in (self.table[rows[place + shift]], questions[place + shift])
            ]
        )

    def fit(
        self, sentences: Sequence[Sequence[str]], tags: Sequence[Sequence[str]]
    ) -> WindowTagger:
        """Learn from tagged sentences.

        Raises
        ------
        ValueError : sentences and tags differ in number or length, there is no token, or all tags
            are the same.
        """
        from sklearn.linear_model import LogisticRegression

        if [len(tokens) for tokens in sentences] != [len(marks) for marks in tags]:
            raise ValueError("each token needs one tag: sentences and tags differ in length")
        answers = [tag for marks in tags for tag in marks]
        if len(set(answers)) < 2:
            raise ValueError("there is nothing to learn: all tags are the same, or there are none")
        features = self.features(sentences)
        # The last digits of the weights are not worth the time that they take.
        self.classifier = LogisticRegression(
            C=self.strength, max_iter=self.max_iterations, tol=1e-3
        ).fit(features, answers)
        return self

    def predict(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The most probable tag of each token.

        Raises
        ------
        ValueError : there is no token.
        RuntimeError : nothing was learned yet.
        """
        if self.classifier is None:
            raise RuntimeError("the tagger has learned nothing yet: call fit first")
        return _cut(self.classifier.predict(self.features(sentences)).tolist(), sentences)


def _writing(token: str, known: bool) -> tuple[bool, bool, bool, bool, bool, bool]:
    return (
        token[:1].isupper(),
        len(token) > 1 and token.isupper(),
        any(letter.isdigit() for letter in token),
        not any(letter.isalpha() for letter in token),
        not known,
        False,
    )


def _cut(tags: Sequence[str], sentences: Iterable[Sequence[str]]) -> list[list[str]]:
    """One tag after the other, as one list a sentence."""
    rest = iter(tags)
    return [[next(rest) for _ in tokens] for tokens in sentences]
