"""What a statement of World says: who did what, where, when, with whom and why.

A `Fact` holds these as fields, read from a derivation. It can be changed field by field and said
again, affirmed or denied, and two facts can be compared: `nlp_course.data.world_questions` and
`nlp_course.data.world_entailments` are made so.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from nlp_course.data.grammar import Derivation, Grammar
from nlp_course.data.world_grammar import (
    ARE,
    COUNTRIES,
    IS,
    KIN,
    NOUNS,
    PEOPLE,
    PLURAL_PEOPLE,
    PRONOUNS,
    VERBS,
    Verb,
)

Words = tuple[str, ...]

EVERYBODY = PEOPLE | KIN
VERB_GROUPS = {verb: group for group, verbs in VERBS.items() for verb in verbs}
VERB_OF = {verb.base: verb for verb in VERB_GROUPS}
SINGULAR = {noun.plural: noun.singular for noun in NOUNS}
SINGULAR |= {plural: person for person, plural in PLURAL_PEOPLE.items()}
COUNTRY_OF = {row.capital: row.name for row in COUNTRIES}
TOPIC, PLACE = ("about", "with"), ("to", "over", "in", "through", "from", "on", "at")


class Person(NamedTuple):
    """Whom a statement is about.

    symbol : of the grammar, from which such a person's names are derived
    words : the name, such as *the old king*
    noun : the noun in it, in the singular
    gender : male, female, or they, if several
    does : the sets of verbs of which such people do something
    """

    symbol: str
    words: Words
    noun: str
    gender: str
    does: Words

    @property
    def plain(self) -> bool:
        """Whether the name is no more than *the* or *my* and the noun."""
        return len(self.words) == 2


class Fact(NamedTuple):
    """A statement of World, taken apart; what it does not have is empty.

    tense : past, present or future
    early : whether the time stands first
    mark, object : *bread*; or, after the verbs that ask for it, *about* and *the war*
    tail : company and a kinsman or *friends*; alone; reason and a mood
    """

    tense: str
    time: Words
    early: bool
    person: Person
    verb: Verb
    mark: Words
    object: Words
    place: Words
    tail: tuple[str, str]

    @property
    def complement(self) -> Words:
        """All that follows the verb and belongs to it."""
        return self.mark + self.object + self.place

    @property
    def possible(self) -> bool:
        """Whether people of this kind do such a thing in such company in World."""
        friends = self.tail == ("company", "friends") and self.person.gender != "they"
        return VERB_GROUPS[self.verb] in self.person.does and not friends

    def pieces(self, denied: bool = False) -> list[tuple[str, Words]]:
        """The sentence as (role, words), in order, without the full stop.

        A denied one has *did not*, *does not*, *do not* or *will not*.
        """
        when = [("time", self.time)]
        said = [
            ("subject", self.person.words),
            ("verb", self._denied() if denied else self.verb_form(self.person.gender == "they")),
            ("mark", self.mark),
            ("object", self.object),
            ("place", self.place),
            *self._tail(),
        ]
        return when + said if self.early else said + when

    def words(self, denied: bool = False) -> list[str]:
        """The sentence."""
        return [word for _, words in self.pieces(denied) for word in words] + ["."]

    def verb_form(self, several: bool) -> Words:
        """The verb in its tense, for one who does it or for several."""
        if self.tense == "future":
            return ("will", self.verb.base)
        if self.tense == "past":
            return (self.verb.past,)
        return (self.verb.base if several else self.verb.third,)

    @property
    def auxiliary(self) -> str:
        """What a question or a denial puts before the base of the verb."""
        present = "do" if self.person.gender == "they" else "does"
        return {"past": "did", "present": present, "future": "will"}[self.tense]

    def _denied(self) -> Words:
        return (self.auxiliary, "not", self.verb.base)

    def _tail(self) -> list[tuple[str, Words]]:
        several = self.person.gender == "they"
        he, his, himself = PRONOUNS.get(self.person.gender, ("they", "their", ""))
        match self.tail:
            case "company", whom:
                return [("", ("with",)), ("company", (his, "friends" if several else whom))]
            case "alone", _:
                return [("alone", ("together",) if several else ("by", himself))]
            case "reason", mood:
                be = (ARE if several else IS)[self.tense]
                return [("reason", ("because", he, *be.split(), mood))]
            case _:
                return []


def read(sentence: Derivation) -> Fact | None:
    """The fact a sentence of World states; None where it describes a thing or a country."""
    statement = sentence.parts[0]
    assert isinstance(statement, Derivation)
    if not statement.symbol.startswith("Statement"):
        return None
    parts = [part for part in statement.parts if isinstance(part, Derivation)]
    times = [part for part in parts if part.symbol.startswith("Time")]
    [clause] = [part for part in parts if part not in times]
    subject, does, tail = (part for part in clause.parts if isinstance(part, Derivation))
    after = _after(does)
    mark, thing, place = _complement(tuple(after.words()))
    return Fact(
        tense=statement.symbol.split(".")[1],
        time=tuple(times[0].words()) if times else (),
        early=parts[0] in times,
        person=person(subject),
        verb=VERB_OF[after.symbol.split(".")[1]],
        mark=mark,
        object=thing,
        place=place,
        tail=_read_tail(tail.words()),
    )


def person(subject: Derivation) -> Person:
    """Who a subject is."""
    kind = subject.symbol.split(".")
    words = tuple(subject.words())
    if kind[0] == "People":
        noun, gender = kind[1], "they"
        [row] = [row for row in EVERYBODY.values() if noun in (row.male, row.female)]
    else:
        row, gender = EVERYBODY[kind[2]], kind[1]
        noun = row.male if gender == "male" else row.female
    return Person(subject.symbol, words, noun, gender, ("Any", *row.does.split()))


def _after(does: Derivation) -> Derivation:
    """The node of a verb's complement: the last of the verb phrase."""
    last = does.parts[-1]
    assert isinstance(last, Derivation)
    return last if last.symbol.startswith("After") else _after(last)


def _complement(words: Words) -> tuple[Words, Words, Words]:
    """Mark, object and place of what follows a verb."""
    if words[0] in TOPIC:
        return words[:1], words[1:], ()
    start = next((i for i, word in enumerate(words) if word in PLACE), len(words))
    return (), words[:start], words[start:]


def _read_tail(words: list[str]) -> tuple[str, str]:
    match words:
        case []:
            return ("", "")
        case ["with", *_]:
            return ("company", words[-1])
        case ["because", *_]:
            return ("reason", words[-1])
        case _:
            return ("alone", "")


class Source:
    """Draws facts, or parts of them, from World's grammar."""

    def __init__(self, grammar: Grammar, generator: random.Random) -> None:
        self.grammar = grammar
        self.generator = generator

    def sentences(self) -> Iterator[Derivation]:
        """Derivations of sentences, without end."""
        return self.grammar.derivations(self.generator)

    def facts(self) -> Iterator[Fact]:
        """The facts that sentences state, without end."""
        return (fact for one in self.sentences() if (fact := read(one)) is not None)

    def draw(self, symbol: str) -> Derivation:
        """A derivation of any symbol."""
        alternatives = self.grammar.rules[symbol]
        weights = [weight for weight, _ in alternatives]
        [(_, right)] = self.generator.choices(alternatives, weights)
        return Derivation(
            symbol,
            tuple(self.draw(part) if part in self.grammar.rules else part for part in right),
        )

    def person(self, symbol: str, plain: bool | None = None) -> Person:
        """Somebody of a kind, called somehow, or in as few words as can be, or in more."""
        while True:
            found = person(self.draw(symbol))
            if plain in (None, found.plain):
                return found

    def time(self, tense: str) -> Words:
        """A time of a tense."""
        return tuple(self.draw(f"Time.{tense}").words())

    def kin(self) -> str:
        """A kinsman."""
        return self.draw("Kin").words()[0]

    def other_complement(self, fact: Fact) -> Fact:
        """The fact with what follows its verb drawn anew."""
        mark, thing, place = _complement(tuple(self.draw(f"After.{fact.verb.base}").words()))
        return fact._replace(mark=mark, object=thing, place=place)


def different_people(one: Person, other: Person) -> bool:
    """Whether their nouns differ, or both their names, or both their countries."""
    marked = len(one.words) > 3 and len(other.words) > 3 and one.words[-2] == other.words[-2]
    return one.noun != other.noun or (marked and one.words[-1] != other.words[-1])


def different_objects(one: Words, other: Words) -> bool:
    """Whether both are there and their nouns differ; number and article do not count."""
    return bool(one and other) and _singular(one[-1]) != _singular(other[-1])


def different_places(one: Words, other: Words) -> bool:
    """Whether both are there and end elsewhere; a capital is in its country."""
    return bool(one and other) and _country(one[-1]) != _country(other[-1])


def different_times(one: Words, other: Words, tense: str) -> bool:
    """Whether both are there and are not the same; what is done every day is done on sundays."""
    return bool(one and other) and one != other and tense != "present"


def _singular(noun: str) -> str:
    return SINGULAR.get(noun, noun)


def _country(place: str) -> str:
    return COUNTRY_OF.get(place, place)
