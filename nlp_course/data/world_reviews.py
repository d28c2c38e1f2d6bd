"""Opinions on what World has, with a score that follows from the words by rules.

A review is one sentence, such as *the soup was not bad at all but the tea was a little bland*. Its
score is computed as follows, and its label is the score's sign; no score is 0.

- *good*, *liked* and their like are worth 2, *great* and *loved* 4; *bad*, *disliked*, *terrible*,
  *hated* and their like the same below 0 (`WORTH`).
- What stands with a word multiplies its worth: *very* and *really* by 1.5, *fairly* and *a little*
  by 0.5, *not* by −0.5, *not very* and *not really* by −0.25, *not … at all* and *nobody* by −1.
- *a and b* is worth a + b, and *a but b* is worth 0.4 a + b.
- *i thought … would be a but it was b* is worth b.

Each word of worth has an opposite, each opinion occurs with its opposite as often, and so half of
all reviews are positive. A bag of words is not enough to tell which: *the film was good but the
story was bad* is negative, and the same words in another order are positive.

References
----------
Hatzivassiloglou and McKeown 1997, Predicting the Semantic Orientation of Adjectives, for *and* and
*but*. Taboada et al. 2011, Lexicon-Based Methods for Sentiment Analysis, for numbers that
intensifiers multiply; for *not* that paper shifts a word's worth instead of turning it round.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from nlp_course.data.dataset import Review
from nlp_course.data.grammar import Alternative, Grammar


class Kind(NamedTuple):
    """Things of one kind, others to set against them, and a good and a bad word for both."""

    things: str
    others: str
    good: str
    bad: str


KINDS = {
    "shown": Kind("film|game", "story|music", "funny", "boring"),
    "eaten": Kind("cake|soup|cheese", "tea|bread", "tasty", "bland"),
    "seen": Kind("museum|church|village", "garden|palace", "beautiful", "ugly"),
    "read": Kind("book|letter", "song|story", "clever", "silly"),
}
WORTH = {
    "good": 2.0,
    "bad": -2.0,
    "great": 4.0,
    "terrible": -4.0,
    "liked": 2.0,
    "like": 2.0,
    "loved": 4.0,
    "disliked": -2.0,
    "dislike": -2.0,
    "hated": -4.0,
    **{kind.good: 2.0 for kind in KINDS.values()},
    **{kind.bad: -2.0 for kind in KINDS.values()},
}
# What the words that stand with one of worth multiply it by, in their order.
FACTORS = {
    (): 1.0,
    ("everybody",): 1.0,
    ("very",): 1.5,
    ("really",): 1.5,
    ("fairly",): 0.5,
    ("a", "little"): 0.5,
    ("not",): -0.5,
    ("not", "very"): -0.25,
    ("not", "really"): -0.25,
    ("not", "at", "all"): -1.0,
    ("nobody",): -1.0,
}
_MODIFIERS = {word for words in FACTORS for word in words}
BEFORE_BUT = 0.4
LABELS = ("negative", "positive")


def score(review: Sequence[str]) -> float:
    """How good a review says that something is, by the rules above: from −7 to 7, never 0.

    Parameters
    ----------
    review : words of a sentence of `grammar`

    Raises
    ------
    ValueError : a part of it has no word of worth, or several, or modifiers that no rule is about.

    Examples
    --------
    >>> score("the film was good but the story was bad .".split())  # 0.4 · 2 − 2
    -1.2
    >>> score("the film was bad but the story was good .".split())
    1.2
    >>> score("i thought the cake would be bland but it was not bad at all .".split())
    2.0
    """
    words = list(review)
    if "but" in words:
        place = words.index("but")
        last = _worth(words[place + 1 :])
        return last if "thought" in words else round(BEFORE_BUT * _worth(words[:place]) + last, 6)
    if "and" in words:
        place = words.index("and")
        return _worth(words[:place]) + _worth(words[place + 1 :])
    return _worth(words)


def _worth(words: list[str]) -> float:
    """The worth of the one opinion in a clause."""
    opinions = [WORTH[word] for word in words if word in WORTH]
    modifiers = tuple(word for word in words if word in _MODIFIERS)
    if len(opinions) != 1 or modifiers not in FACTORS:
        raise ValueError(f"not a clause of a review: {' '.join(words)!r}")
    return opinions[0] * FACTORS[modifiers]


def label(review: Sequence[str]) -> str:
    """Whether a review is "positive" or "negative": its score's sign."""
    return LABELS[score(review) > 0]


@cache
def grammar() -> Grammar:
    """The rules of reviews: unambiguous, so that entropy and probabilities are exact.

    Symbols carry features after dots: ``Good.eaten`` is a phrase that is worth more than 0 with a
    word for what is eaten, ``Bad`` one with *good*, *bad* or another word for all things.
    """
    rules: dict[str, list[Alternative]] = {}

    def rule(symbol: str, *alternatives: tuple[float | int, str]) -> None:
        rules[symbol] = [(weight, tuple(right.split())) for weight, right in alternatives]

    def phrases(after: str, good: str, bad: str, *strong: tuple[str, str]) -> None:
        """What is worth more than 0, and what is worth less: one list is the other's mirror."""
        pairs = (("Good", good, bad, "fairly"), ("Bad", bad, good, "a little"))
        for place, (symbol, own, opposite, softer) in enumerate(pairs):
            plain = [own, f"very {own}", f"really {own}", f"{softer} {own}"]
            denied = [f"not {opposite}", f"not very {opposite}", f"not {opposite} at all"]
            best = [pair[place] for pair in strong]
            rule(symbol + after, *((1, phrase) for phrase in plain + denied + best))
            rule(f"{symbol}{after}.plain", *((1, phrase) for phrase in plain))

    rule("Review", (1, "Opinion ."), (1, "Time Opinion ."))
    rule("Time", (1, "yesterday"), (1, "last week"), (1, "last year"))
    rule("Opinion", *((1, f"Opinion.{kind}") for kind in KINDS))
    phrases("", "good", "bad", ("great", "terrible"))
    for kind, row in KINDS.items():
        rule(f"Thing.{kind}", *((1, f"the {word}") for word in row.things.split("|")))
        rule(f"Other.{kind}", *((1, f"the {word}") for word in row.others.split("|")))
        phrases(f".{kind}", row.good, row.bad)
        thing = f"Thing.{kind}"
        opinions = []
        for own, opposite in (("Good", "Bad"), ("Bad", "Good")):
            like, likes = ("like", "liked") if own == "Good" else ("dislike", "disliked")
            most = "loved" if own == "Good" else "hated"
            opinions += [
                (3, f"{thing} was {own}"),
                (3, f"{thing} was {own}.{kind}"),
                (2, f"{thing} was {own} and {own}.{kind}"),
                (2, f"{thing} was {own} but {opposite}.{kind}"),
                (2, f"{thing} was {own}.{kind} but {opposite}"),
                (3, f"{thing} was {own} but Other.{kind} was {opposite}"),
                (2, f"{thing} was {own}.{kind} but Other.{kind} was {opposite}.{kind}"),
                (2, f"i thought {thing} would be {own}.plain but it was {opposite}"),
                (2, f"i thought {thing} would be {own}.{kind}.plain but it was {opposite}.{kind}"),
                *((0.5, f"i {said} {thing}") for said in (likes, f"really {likes}", most)),
                *((0.5, f"i did {said} {thing}") for said in (f"not {like}", f"not really {like}")),
                (0.5, f"i did not {like} {thing} at all"),
                *((0.5, f"{who} {likes} {thing}") for who in ("everybody", "nobody")),
            ]
        rule(f"Opinion.{kind}", *opinions)
    return Grammar(rules, start="Review")


def reviews(generator: random.Random) -> Iterator[Review]:
    """Reviews without end, drawn from the grammar."""
    for words in grammar().sample(generator):
        yield Review(words, worth := score(words), LABELS[worth > 0])
