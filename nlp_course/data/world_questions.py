"""Questions on World whose answers are known, with passages that hold them.

A question is made from the derivation of one sentence, by rules, and its answer is a constituent of
that sentence. Questions need a few words that World's sentences lack, such as *who*, *did* and *?*.

The answer stands in the passage once, and no other sentence answers the question: each is about
another matter, or differs from what the question says in one of its parts: tense, person, verb,
object, place or time. People are others if they are called by different nouns, names or countries
(so *the king* and *the old king* may be one, and *the king* and *the man* are two). *Yesterday*,
*last week* and *last year* are three times, and so are *tomorrow*, *next week* and *next year*;
what is done every day is done on sundays, too. A sentence that leaves out what the question says,
such as the time, counts as one that might answer, and is not taken. About three other sentences of
four are near: they share what the question says but for one part, and have an answer of the kind
that is asked for.

References
----------
Rajpurkar et al. 2016, SQuAD: 100,000+ Questions for Machine Comprehension of Text, for answers that
are spans.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nlp_course.data.dataset import SpanQuestion
from nlp_course.data.grammar import Derivation, Grammar
from nlp_course.data.world_facts import (
    Fact,
    Source,
    Words,
    different_objects,
    different_people,
    different_places,
    different_times,
    read,
)
from nlp_course.data.world_grammar import COUNTRIES

STATEMENT_KINDS = ("subject", "action", "object", "place", "time", "reason", "company")
KINDS = (*STATEMENT_KINDS, "description", "geography")

# What follows a verb and is no thing: "what did the king greet ?" would be odd.
NO_THINGS = ("soldiers", "guests", "fast", "strong")
# A sentence about a country, what can be asked of it, and the answer.
GEOGRAPHY = [
    (
        "{capital} is the capital of {name}",
        [
            ("what is the capital of {name} ?", "{capital}"),
            ("which country is {capital} the capital of ?", "{name}"),
        ],
    ),
    (
        "the people of {name} speak {language}",
        [("what do the people of {name} speak ?", "{language}")],
    ),
    (
        "most people in {capital} speak {language}",
        [
            ("what do most people in {capital} speak ?", "{language}"),
            ("where do most people speak {language} ?", "in {capital}"),
        ],
    ),
    (
        "the longest river of {name} is the {river}",
        [("what is the longest river of {name} ?", "the {river}")],
    ),
    (
        "the {river} flows through {capital}",
        [
            ("what flows through {capital} ?", "the {river}"),
            ("where does the {river} flow ?", "through {capital}"),
        ],
    ),
    (
        "the streets of {capital} are {look}",
        [("what are the streets of {capital} like ?", "{look}")],
    ),
    (
        "the fields of {name} are {look}",
        [("what are the fields of {name} like ?", "{look}")],
    ),
]


class Asked(NamedTuple):
    """A question put to one sentence.

    start, end : of the answer in the sentence
    timed : whether the question says the time
    """

    kind: str
    question: list[str]
    sentence: Derivation
    start: int
    end: int
    timed: bool


def questions(grammar: Grammar, generator: random.Random) -> Iterator[SpanQuestion]:
    """Questions without end, each kind as probable, with passages of two to five sentences."""
    source = Source(grammar, generator)
    sentences = source.sentences()
    while True:
        kind = generator.choice(KINDS)
        asked = next(
            found for sentence in sentences if (found := ask(sentence, kind, generator)) is not None
        )
        yield _with_passage(asked, source, sentences)


def ask(sentence: Derivation, kind: str, generator: random.Random) -> Asked | None:
    """A question of a kind to a sentence; None where the sentence has no answer to it."""
    fact = read(sentence)
    timed = False
    if fact is not None:
        if kind not in STATEMENT_KINDS:
            return None
        timed = kind != "time" and bool(fact.time) and generator.random() < 0.5
        answer = _part(fact, kind)
        if not answer or (kind == "object" and answer[-1] in NO_THINGS):
            return None
        question = _question(fact, kind, timed)
    else:
        found = _of_thing(sentence) if kind == "description" else _of_country(sentence)
        symbol = {"description": "Description", "geography": "Geography"}.get(kind)
        if symbol != _topic(sentence) or not found:
            return None
        question, answer = generator.choice(found)
    words = sentence.words()
    [start] = _places(answer, words)
    return Asked(kind, question, sentence, start, start + len(answer), timed)


def _part(fact: Fact, kind: str) -> Words:
    """The words of a fact that answer a kind of question; none where it has none."""
    if kind == "action":
        several = fact.person.gender == "they"
        return fact.verb_form(several) + fact.complement
    return dict(fact.pieces()).get(kind, ())


def _question(fact: Fact, kind: str, timed: bool) -> list[str]:
    time = fact.time if timed else ()
    asks = (fact.auxiliary, *fact.person.words)
    does = (*asks, fact.verb.base)
    words = {
        "subject": ("who", *fact.verb_form(several=False), *fact.complement),
        "action": ("what", *asks, "do"),
        "object": ("what", *does, *fact.place, *fact.mark),
        "place": ("where", *does, *fact.mark, *fact.object),
        "time": ("when", *does, *fact.complement),
        "reason": ("why", *does, *fact.complement),
        "company": ("with", "whom", *does, *fact.complement),
    }[kind]
    return [*words, *time, "?"]


def _of_thing(sentence: Derivation) -> list[tuple[list[str], Words]]:
    """Questions to a sentence that describes a thing, with their answers."""
    words = tuple(sentence.words())
    if words[0] == "there":
        # Two words of thing: a cat, two cats; the rest, but for the full stop, is the place.
        return [(["where", words[1], "there", *words[2:4], "?"], words[4:-1])]
    return [(["what", words[2], *words[:2], "like", "?"], words[3:-1])]


def _of_country(sentence: Derivation) -> list[tuple[list[str], Words]]:
    """Questions to a sentence about a country, with their answers."""
    words = sentence.words()
    for row in COUNTRIES:
        names = row._asdict() | {"look": words[-2]}
        for pattern, asked in GEOGRAPHY:
            if pattern.format(**names).split() == words[:-1]:
                return [
                    (question.format(**names).split(), tuple(answer.format(**names).split()))
                    for question, answer in asked
                ]
    return []


def _topic(sentence: Derivation) -> str:
    topic = sentence.parts[0]
    assert isinstance(topic, Derivation)
    return topic.symbol


def _places(part: Sequence[str], words: Sequence[str]) -> list[int]:
    """Where a run of words begins in others."""
    width = len(part)
    return [i for i in range(len(words)) if tuple(words[i : i + width]) == tuple(part)]


def _with_passage(asked: Asked, source: Source, sentences: Iterator[Derivation]) -> SpanQuestion:
    """The question with other sentences around the one that answers it."""
    own = asked.sentence.words()
    answer = own[asked.start : asked.end]
    others: list[list[str]] = []
    number = source.generator.randint(1, 4)
    for _ in range(number):
        near = source.generator.random() < 0.75
        while True:
            other = _near(asked, source, sentences) if near else next(sentences)
            if other is not None and not might_answer(asked, other):
                words = other.words()
                if words not in others and not _places(answer, words):
                    break
        others.append(words)
    place = source.generator.randint(0, number)
    before = [word for words in others[:place] for word in words]
    after = [word for words in others[place:] for word in words]
    start, end = len(before) + asked.start, len(before) + asked.end
    return SpanQuestion(before + own + after, asked.question, start, end, asked.kind)


def might_answer(asked: Asked, other: Derivation | Fact) -> bool:
    """Whether another sentence says, or leaves open, all that the question says."""
    one = read(asked.sentence)
    two = other if isinstance(other, Fact) else read(other)
    if one is None or two is None:
        return one is two is None and _about(asked.sentence) == _about(other)
    tells_apart = {
        "tense": one.tense != two.tense,
        "subject": different_people(one.person, two.person),
        "verb": one.verb != two.verb,
        "object": different_objects(one.object, two.object),
        "place": different_places(one.place, two.place),
        "time": asked.timed and different_times(one.time, two.time, one.tense),
    }
    unsaid = ("verb", "object", "place") if asked.kind == "action" else (asked.kind,)
    return not any(differs for part, differs in tells_apart.items() if part not in unsaid)


def _about(sentence: Derivation | Fact) -> tuple[str, str]:
    """What is said, and of which thing or country, in a sentence that is no statement."""
    assert isinstance(sentence, Derivation)
    topic = sentence.parts[0]
    assert isinstance(topic, Derivation)
    [described] = topic.parts
    assert isinstance(described, Derivation)
    name = described.symbol.split(".")[1]
    words = described.words()
    if topic.symbol == "Description":
        return ("there" if words[0] == "there" else "like"), name
    [row] = [row for row in COUNTRIES if row.name == name]
    names = row._asdict() | {"look": words[-1]}
    return next(said for said, _ in GEOGRAPHY if said.format(**names).split() == words), name


def _near(
    asked: Asked, source: Source, sentences: Iterator[Derivation]
) -> Derivation | Fact | None:
    """A sentence with much of the question in it; None where what was drawn does not go together.

    Of a statement, one part that the question says is exchanged, and all that it does not say.
    """
    fact = read(asked.sentence)
    if fact is None:
        topic, about = _topic(asked.sentence), _about(asked.sentence)
        return next(
            one for one in sentences if _topic(one) == topic and set(_about(one)) & set(about)
        )
    kind = asked.kind
    unsaid = {"subject": ("person",), "action": ("verb", "complement")}.get(kind, (kind,))
    parts = ["person", "verb", "complement", "tense", *(["time"] if asked.timed else [])]
    changed = {*unsaid, source.generator.choice([part for part in parts if part not in unsaid])}
    other = next(found for one in sentences if (found := read(one)) is not None)
    near = fact._replace(early=other.early, tail=other.tail)
    if "person" in changed:
        near = near._replace(person=other.person)
    if "tense" in changed:
        near = near._replace(tense=other.tense, time=other.time)
    elif "time" in changed or not asked.timed:
        near = near._replace(time=other.time and source.time(fact.tense))
    if "verb" in changed:
        near = near._replace(
            verb=other.verb, mark=other.mark, object=other.object, place=other.place
        )
    elif changed & {"complement", "object", "place"}:
        near = source.other_complement(near)
    return near if near.possible and _part(near, kind) else None
