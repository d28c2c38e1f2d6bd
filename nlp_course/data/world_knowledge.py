"""World's knowledge base: invented people, what is true of them, and texts that say it.

Each person has a name of two or three tokens and an attribute by each of eight relations. A home,
a job, a language, an instrument, a pet and a dish are one word out of a closed set, which several
people share; a friend and a mentor are people of the base, so the facts make a graph. No token of
a name says who is meant, nor do all of them without their order: *zor lum* and *lum zor* are two
people, so a reader has to join the tokens.

People are mentioned with very different frequencies, as in real text: the r-th of them with a
weight of 1/(r + 5). A model that reads the base's texts learns much about the first and little
about the last, and what it should know is known exactly.

The texts are of five kinds, drawn with the chances in `KINDS`:

- a statement, in one of four wordings: *zor lum lives in rome .*;
- a profile, four facts in any order: *about zor lum : pet cat , home rome , … .*;
- a caption, four attributes that are one word, with nothing that says how they belong to the
  person: *zor lum cat rome flute baker .*;
- a question with its answer: *what is the home of zor lum ? rome .*;
- a question about a stranger, a name that nobody has: *what is the home of … ? unknown .* So a
  model can learn to say that it does not know.

In each statement the attribute comes last, so what stands before it is a prompt. A fifth wording of
each relation is in no text; all of its words are.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate, permutations, product
from typing import NamedTuple

Words = tuple[str, ...]

UNKNOWN = "unknown"
KINDS = {"statement": 0.35, "profile": 0.25, "caption": 0.2, "question": 0.12, "stranger": 0.08}
SEVERAL = 4  # facts in a profile and in a caption
FLATNESS = 5  # what is added to a rank: more of it, and the first are less often mentioned
SYLLABLES = 30  # tokens that all names are made of


class Relation(NamedTuple):
    """What may be said of a person.

    attributes : the closed set, each a word; empty where the attribute is a person
    wordings : statements with {s}, the subject, and {a}, the attribute
    held_out : one more wording, which is in no text
    """

    attributes: Words
    wordings: Words
    held_out: str


def _set(words: str) -> Words:
    return tuple(words.split())


RELATIONS = {
    "home": Relation(
        _set(
            "rome paris cairo lisbon tokyo warsaw berlin london madrid vienna prague dublin "
            "bern tunis lima quito delhi hanoi"
        ),
        (
            "{s} lives in {a}",
            "{s} has a house in {a}",
            "{s} 's home is {a}",
            "the home of {s} is {a}",
        ),
        "{s} has a home in {a}",
    ),
    "job": Relation(
        _set(
            "baker doctor painter farmer teacher judge miner sailor soldier waiter singer barber "
            "carpenter weaver hunter porter smith clerk"
        ),
        (
            "{s} works as a {a}",
            "{s} earns bread as a {a}",
            "{s} 's job is {a}",
            "the job of {s} is {a}",
        ),
        "{s} has a job as a {a}",
    ),
    "language": Relation(
        _set(
            "french latin greek polish danish dutch turkish thai welsh basque czech hindi "
            "persian hebrew"
        ),
        (
            "{s} speaks {a}",
            "{s} writes letters in {a}",
            "{s} 's language is {a}",
            "the language of {s} is {a}",
        ),
        "{s} writes in {a}",
    ),
    "instrument": Relation(
        _set("flute piano violin drum harp trumpet guitar cello lute horn banjo bugle zither tuba"),
        (
            "{s} plays the {a}",
            "{s} makes music on the {a}",
            "{s} 's instrument is the {a}",
            "the instrument of {s} is the {a}",
        ),
        "{s} plays music on the {a}",
    ),
    "pet": Relation(
        _set(
            "cat dog horse goat rabbit parrot snake turtle pony canary hamster pigeon lizard falcon"
        ),
        (
            "{s} keeps a {a}",
            "{s} often walks with a {a}",
            "{s} 's pet is a {a}",
            "the pet of {s} is a {a}",
        ),
        "{s} keeps as a pet a {a}",
    ),
    "dish": Relation(
        _set(
            "rice fish cheese soup pasta stew curry pudding salad cake honey beans dumplings "
            "noodles"
        ),
        (
            "{s} likes to eat {a}",
            "{s} often orders {a}",
            "{s} 's dish is {a}",
            "the dish of {s} is {a}",
        ),
        "{s} often likes to eat {a}",
    ),
    "friend": Relation(
        (),
        (
            "{s} trusts {a}",
            "{s} often meets {a}",
            "{s} 's friend is {a}",
            "the friend of {s} is {a}",
        ),
        "{s} often trusts {a}",
    ),
    "mentor": Relation(
        (),
        (
            "{s} learned from {a}",
            "{s} had lessons with {a}",
            "{s} 's mentor is {a}",
            "the mentor of {s} is {a}",
        ),
        "{s} had lessons from {a}",
    ),
}
CLOSED = tuple(name for name, relation in RELATIONS.items() if relation.attributes)


class KnowledgeBase:
    """The people, their facts and their texts, drawn by a seed.

    Parameters
    ----------
    seed : of names, facts and texts
    people : how many there are; as many names again are kept for strangers

    Attributes
    ----------
    subjects : names as tokens, the most mentioned person first
    facts : subject → relation → the attribute's tokens
    strangers : names of nobody, made of the same tokens

    Raises
    ------
    ValueError : fewer than 3 people, who could not have a friend and another mentor, or more than
        there are names.

    Examples
    --------
    >>> base = KnowledgeBase(seed=0)
    >>> base.subjects[0], base.facts[base.subjects[0]]["home"]
    (('kir', 'bul', 'gas'), ('bern',))
    >>> " ".join(base.statement(base.subjects[0], "home"))
    'kir bul gas lives in bern .'
    """

    def __init__(self, seed: int = 0, people: int = 400) -> None:
        generator = random.Random(f"knowledge {seed}")
        every = _names(generator)
        if not 3 <= people <= len(every) // 2:
            raise ValueError(f"people must lie in 3 … {len(every) // 2}, got {people}")
        self.seed = seed
        self.subjects: list[Words] = every[:people]
        self.strangers: list[Words] = every[people : 2 * people]
        self._ranks = {subject: rank for rank, subject in enumerate(self.subjects, start=1)}
        self._cumulated = list(accumulate(1 / (rank + FLATNESS) for rank in range(1, people + 1)))
        self.facts = {subject: self._draw_facts(subject, generator) for subject in self.subjects}
        self._name_parts = {part for name in self.subjects + self.strangers for part in name}

    def __repr__(self) -> str:
        return f"KnowledgeBase(seed={self.seed}, people={len(self.subjects)})"

    @property
    def vocabulary(self) -> list[str]:
        """Every word of the texts, in alphabetical order."""
        words = {word for r in RELATIONS.values() for text in r.wordings for word in text.split()}
        words |= {word for relation in RELATIONS.values() for word in relation.attributes}
        words |= {*_set("about : , . what is the of ?"), *RELATIONS, UNKNOWN}
        return sorted((words | self._name_parts) - {"{s}", "{a}"})

    def share(self, subject: Words) -> float:
        """How probable it is that a text about somebody is about this person.

        Raises
        ------
        ValueError : nobody of the base has this name.
        """
        rank = self._rank(subject)
        return 1 / (rank + FLATNESS) / self._cumulated[-1]

    def statement(self, subject: Words, relation: str, wording: int = 0) -> list[str]:
        """A fact in words.

        Parameters
        ----------
        wording : 0 … 3; 4 is the one that no text has

        Raises
        ------
        ValueError : nobody of this name, no such relation, or no such wording.
        """
        return [*self.prompt(subject, relation, wording), *self.answer(subject, relation), "."]

    def prompt(self, subject: Words, relation: str, wording: int = 0) -> list[str]:
        """A statement up to where the attribute follows; of a stranger, too.

        Raises
        ------
        ValueError : no such relation or wording.
        """
        found = _relation(relation)
        wordings = (*found.wordings, found.held_out)
        if not 0 <= wording < len(wordings):
            raise ValueError(f"wording must lie in 0 … {len(wordings) - 1}, got {wording}")
        words = wordings[wording].split()[:-1]
        place = words.index("{s}")
        return [*words[:place], *subject, *words[place + 1 :]]

    def question(self, subject: Words, relation: str) -> list[str]:
        """A question to which a text has the answer, or *unknown* of a stranger.

        Raises
        ------
        ValueError : no such relation.
        """
        _relation(relation)
        return ["what", "is", "the", relation, "of", *subject, "?"]

    def profile(self, subject: Words, relations: Sequence[str]) -> list[str]:
        """Some facts of a person, in this order.

        Raises
        ------
        ValueError : nobody of this name, no relation, or one that there is not.
        """
        if not relations:
            raise ValueError("a profile has at least one relation")
        words = ["about", *subject, ":"]
        for relation in relations:
            words += [relation, *self.answer(subject, relation), ","]
        return [*words[:-1], "."]

    def caption(self, subject: Words, relations: Sequence[str]) -> list[str]:
        """A name and some attributes, in this order, without the relations' names.

        Raises
        ------
        ValueError : nobody of this name, or no such relation.
        """
        return [*subject, *(word for r in relations for word in self.answer(subject, r)), "."]

    def answer(self, subject: Words, relation: str) -> Words:
        """The attribute's tokens.

        Raises
        ------
        ValueError : nobody of this name, or no such relation.
        """
        self._rank(subject)
        _relation(relation)
        return self.facts[subject][relation]

    def attributes(self, subject: Words) -> set[str]:
        """The words of the closed sets that are true of a person."""
        self._rank(subject)
        return {self.facts[subject][relation][0] for relation in CLOSED}

    def texts(self, n: int) -> list[list[str]]:
        """The first n texts: statements, profiles, captions, questions about people and strangers.

        Raises
        ------
        ValueError : n is negative.
        """
        if n < 0:
            raise ValueError(f"n must be at least 0, got {n}")
        generator = random.Random(f"texts {self.seed}")
        return [self._draw_text(generator) for _ in range(n)]

    def neighbours(self, subject: Words) -> dict[str, Words]:
        """The people to whom facts lead from a person, by relation: the edges of the true graph."""
        self._rank(subject)
        return {
            relation: words
            for relation, words in self.facts[subject].items()
            if relation not in CLOSED
        }

    def _draw_text(self, generator: random.Random) -> list[str]:
        [kind] = generator.choices([*KINDS], [*KINDS.values()])
        relation = generator.choice([*RELATIONS])
        if kind == "stranger":
            return [*self.question(generator.choice(self.strangers), relation), UNKNOWN, "."]
        subject = self._mentioned(generator)
        if kind == "statement":
            return self.statement(subject, relation, generator.randrange(4))
        if kind == "profile":
            return self.profile(subject, generator.sample([*RELATIONS], SEVERAL))
        if kind == "caption":
            return self.caption(subject, generator.sample(CLOSED, SEVERAL))
        return [*self.question(subject, relation), *self.answer(subject, relation), "."]

    def _draw_facts(self, subject: Words, generator: random.Random) -> dict[str, Words]:
        facts: dict[str, Words] = {}
        for name, relation in RELATIONS.items():
            if relation.attributes:
                facts[name] = (generator.choice(relation.attributes),)
            else:
                taken = {subject, *facts.values()}
                while (person := self._mentioned(generator)) in taken:
                    pass
                facts[name] = person
        return facts

    def _mentioned(self, generator: random.Random) -> Words:
        return generator.choices(self.subjects, cum_weights=self._cumulated)[0]

    def _rank(self, subject: Words) -> int:
        if subject not in self._ranks:
            raise ValueError(f"nobody is called {' '.join(subject)!r}: see `subjects`")
        return self._ranks[subject]


def _relation(name: str) -> Relation:
    if name not in RELATIONS:
        raise ValueError(f"no relation {name!r}; there are {', '.join(RELATIONS)}")
    return RELATIONS[name]


def _names(generator: random.Random) -> list[Words]:
    """Names in a random order: two parts each, or three, and the same parts stand in any place."""
    taken = {word for r in RELATIONS.values() for text in r.wordings for word in text.split()}
    syllables = ("".join(letters) for letters in product("bdfgklmnrstvz", "aiou", "klmnrsz"))
    parts = generator.sample([part for part in syllables if part not in taken], SYLLABLES)
    pairs = list(permutations(parts, 2))
    triples = generator.sample(list(permutations(parts, 3)), len(pairs) // 2)
    names: list[Words] = [*pairs, *triples]
    generator.shuffle(names)
    return names
