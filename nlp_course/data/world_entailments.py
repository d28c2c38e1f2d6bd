"""Pairs of World's sentences of which the first entails the second, contradicts it, or neither.

Both are made from one derivation, by rules. One of two is denied (*did not*, *does not*, *will
not*), which World's own sentences never are.

A sentence says that something happens at least once: there is an event that fits its tense, person,
verb, object, place, time and company. A denied one says that there is none; without a time, none at
any time of its tense. The first sentence

- entails the second if the second is true whenever the first is: *the king ate bread yesterday*
  entails *the king ate bread*, and *the king did not eat bread* entails *the king did not eat bread
  yesterday*;
- contradicts it if they are never both true: *the king did not eat bread* contradicts *the king ate
  bread yesterday*;
- is neutral otherwise. *The king ate rice* does not contradict *the king ate bread*: he may have
  eaten both.

Where people might read otherwise, no pair is made. There are no reasons (*did not … because* can
deny either) and no subjects of several people. Whether *the king* and *the old king* are one makes
no difference to a label: the first sentence may call the person otherwise only where it is
affirmed, and a pair is never neutral for that alone. A person is exchanged for one of the other sex
alone, since an actor is a man; *by himself* is never set against *with his mother*, nor *on
sundays* against *every day*.

The second sentence is drawn before the label and does not depend on it. It has either a time, or
*with* somebody or *by himself*. Leaving denial aside, a pair that entails and one that contradicts
are made alike; so the words that the two share tell them apart only by those of the denial.

References
----------
Bowman et al. 2015, A large annotated corpus for learning natural language inference, for the three
labels, and for what goes wrong where the event meant is left open. MacCartney and Manning 2007,
Natural Logic for Textual Inference: denial turns round what may be left out or added. Gururangan et
al. 2018, Annotation Artifacts in Natural Language Inference Data, for second sentences that give
the label away.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from nlp_course.data.dataset import LabelledPair
from nlp_course.data.grammar import Grammar
from nlp_course.data.world_facts import (
    EVERYBODY,
    Fact,
    Source,
    different_objects,
    different_places,
    different_times,
)

LABELS = ("entailed", "contradicted", "neutral")


def entailments(grammar: Grammar, generator: random.Random) -> Iterator[LabelledPair]:
    """Pairs without end, each label as probable; the second sentence does not depend on it."""
    source = Source(grammar, generator)
    for fact in source.facts():
        if fact.person.gender == "they" or fact.tail[0] == "reason":
            continue
        # With one of the two, there is always one to leave out and one to add.
        if bool(fact.time) == bool(fact.tail[0]):
            continue
        denied = generator.random() < 0.5
        label = generator.choice(LABELS)
        first_denied = generator.random() < 0.5
        if label != "neutral":
            first_denied = denied if label == "entailed" else not denied
        related = _undecided if label == "neutral" else _deciding
        first = related(fact, first_denied, source)
        first = first._replace(early=generator.random() < 0.5)
        yield LabelledPair(first.words(first_denied), fact.words(denied), label)


def _deciding(fact: Fact, denied: bool, source: Source) -> Fact:
    """A fact of which the truth decides on that of another.

    An event that fits all of a fact also fits what is left of it when a part is left out. So it has
    all parts of the other, and may have more; denied, it may have fewer.
    """
    if source.generator.random() < 1 / 3:
        return fact
    return _fewer(fact, False, source) if denied else _more(fact, True, source)


def _undecided(fact: Fact, denied: bool, source: Source) -> Fact:
    """A fact of which the truth does not decide on that of another that is alike."""
    generator = source.generator
    match generator.choice(["direction", "others", "exchanged"]):
        case "direction":
            return _more(fact, False, source) if denied else _fewer(fact, True, source)
        case "others":
            both = _more(fact, False, source)
            left_out = {"time": ()} if fact.time else {"tail": ("", "")}
            return both._replace(**left_out)
        case _:
            exchanged, always_there = _exchange(fact, source)
            return _deciding(exchanged, denied, source) if always_there else exchanged


def _more(fact: Fact, of_person: bool, source: Source) -> Fact:
    """With a time or a company that it lacks, or with something said of the person, or both."""
    ways = ["event"]
    if of_person and fact.person.plain:
        ways += ["person", "both"]
    way = source.generator.choice(ways)
    if way != "event":
        fact = fact._replace(person=source.person(fact.person.symbol, plain=False))
    if way == "person":
        return fact
    if fact.time:
        tail = source.generator.choice([("alone", ""), ("company", source.kin())])
        return fact._replace(tail=tail)
    return fact._replace(time=source.time(fact.tense))


def _fewer(fact: Fact, of_person: bool, source: Source) -> Fact:
    """Without its time or company; the person may be called otherwise."""
    fewer = fact._replace(time=(), tail=("", ""))
    if of_person and source.generator.random() < 0.5:
        return fewer._replace(person=source.person(fact.person.symbol))
    return fewer


def _exchange(fact: Fact, source: Source) -> tuple[Fact, bool]:
    """With another person, complement, time or company; and whether it is one of the first two."""
    while True:
        part = source.generator.choice(["person", "complement", "time", "company"])
        other = fact
        match part:
            case "person":
                gender = "female" if fact.person.gender == "male" else "male"
                kind = source.generator.choice(list(EVERYBODY))
                other = fact._replace(person=source.person(f"Person.{gender}.{kind}"))
            case "complement":
                other = source.other_complement(fact)
            case "time" if fact.time:
                other = fact._replace(time=source.time(fact.tense))
            case "company" if fact.tail[0] == "company":
                other = fact._replace(tail=("company", source.kin()))
        differs = (
            part == "person"
            or different_objects(fact.object, other.object)
            or different_places(fact.place, other.place)
            or different_times(fact.time, other.time, fact.tense)
            or fact.tail != other.tail
        )
        if differs and other.possible:
            return other, part in ("person", "complement")
