"""The words of World and the rules that put them together.

Each table row is a fact: which words are a man and a woman of one rank, which city is whose
capital, which form of a verb is its past. The rules use the words of a row in the same places, and
words of a column beside the same function words; that is why analogies hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from nlp_course.data.grammar import Alternative


class Verb(NamedTuple):
    """A verb's base, third person and past, and what may follow it."""

    base: str
    third: str
    past: str
    complements: str


class Noun(NamedTuple):
    """A thing one can count, what it is like, and where it is."""

    singular: str
    plural: str
    adjectives: str
    places: str


class Country(NamedTuple):
    """A country, its capital, its language and a river of its capital."""

    name: str
    capital: str
    language: str
    river: str


class People(NamedTuple):
    """Two words that differ in gender alone, what such people do, and how they are called."""

    male: str
    female: str
    does: str
    adjectives: str


COUNTRIES = [
    Country("france", "paris", "french", "seine"),
    Country("italy", "rome", "italian", "tiber"),
    Country("england", "london", "english", "thames"),
    Country("germany", "berlin", "german", "spree"),
    Country("poland", "warsaw", "polish", "vistula"),
    Country("portugal", "lisbon", "portuguese", "tagus"),
    Country("egypt", "cairo", "arabic", "nile"),
    Country("japan", "tokyo", "japanese", "sumida"),
]

# What people of a kind do, in `does`, names sets of verbs below.
PEOPLE = {
    "ruler": People("king", "queen", "Royal Work", "wise|old"),
    "heir": People("prince", "princess", "Royal Young", "young|little"),
    "adult": People("man", "woman", "Work", "old|tall"),
    "child": People("boy", "girl", "Young", "young|little"),
    "actor": People("actor", "actress", "Work Act", "famous"),
    "waiter": People("waiter", "waitress", "Work Serve", "friendly"),
}
KIN = {
    "parent": People("father", "mother", "Work Tell", "dear"),
    "sibling": People("brother", "sister", "Young Share", "dear|little"),
    "offspring": People("son", "daughter", "Young Grow", "dear|little"),
    "uncle": People("uncle", "aunt", "Work Bring", "dear"),
}
NAMES = {"male": "john|paul", "female": "mary|anna"}
PRONOUNS = {"male": ("he", "his", "himself"), "female": ("she", "her", "herself")}

# Complements: alternatives divided by bars; +noun is a countable noun in singular or plural.
VERBS = {
    "Any": [
        Verb("walk", "walks", "walked", "to the market|to the river|over the bridge"),
        Verb("talk", "talks", "talked", "about the war|about the weather|about money"),
        Verb("cook", "cooks", "cooked", "soup|rice|fish in the kitchen"),
        Verb("eat", "eats", "ate", "bread|cheese|rice|fish|+cake"),
        Verb("drink", "drinks", "drank", "water|wine|milk|tea"),
        Verb("paint", "paints", "painted", "the house|the wall|+door"),
        Verb("open", "opens", "opened", "+door|+letter|+box"),
        Verb("carry", "carries", "carried", "+box|the water"),
        Verb("watch", "watches", "watched", "the game|the film|+bird|+boat"),
        Verb("visit", "visits", "visited", "the museum|the church|the village"),
        Verb("write", "writes", "wrote", "+letter|+book|+song"),
        Verb("sing", "sings", "sang", "+song|in the church"),
        Verb("buy", "buys", "bought", "bread|cheese|+coat|+cake"),
        Verb("love", "loves", "loved", "music|+cat|+dog|+flower"),
        Verb("ride", "rides", "rode", "+horse|through the forest"),
        Verb("travel", "travels", "travelled", "to Capital|from Capital to Capital|to Country"),
        Verb("speak", "speaks", "spoke", "Language"),
        Verb("wear", "wears", "wore", "+coat|the red shoes"),
    ],
    "Royal": [
        Verb("live", "lives", "lived", "in the palace|in the castle"),
        Verb("rule", "rules", "ruled", "the kingdom|the land"),
        Verb("sit", "sits", "sat", "on the throne"),
        Verb("greet", "greets", "greeted", "the soldiers"),
    ],
    "Work": [
        Verb("work", "works", "worked", "in the field|in the office"),
    ],
    "Young": [
        Verb("play", "plays", "played", "with a ball|in the garden"),
        Verb("learn", "learns", "learned", "at school|the numbers"),
    ],
    "Act": [Verb("act", "acts", "acted", "in the theatre|on the stage")],
    "Serve": [Verb("serve", "serves", "served", "the guests|the dinner")],
    "Tell": [Verb("tell", "tells", "told", "a story")],
    "Share": [Verb("share", "shares", "shared", "the bedroom|the toys")],
    "Grow": [Verb("grow", "grows", "grew", "fast|strong")],
    "Bring": [Verb("bring", "brings", "brought", "the presents|the luggage")],
}

NOUNS = [
    Noun("cat", "cats", "soft|lazy", "under the table|on the roof"),
    Noun("dog", "dogs", "brown|loud", "in the yard|at the gate"),
    Noun("horse", "horses", "brown|fast", "in the stable|in the field"),
    Noun("bird", "birds", "small|loud|fast", "in the tree|on the roof"),
    Noun("cake", "cakes", "sweet|soft", "on the table|in the kitchen"),
    Noun("door", "doors", "heavy|wide", "in the wall|in the castle"),
    Noun("letter", "letters", "long|sad|short", "on the desk|in the drawer"),
    Noun("book", "books", "long|old", "on the desk|on the shelf"),
    Noun("song", "songs", "sad|sweet|loud", "in the film|in the theatre"),
    Noun("box", "boxes", "heavy|empty", "in the drawer|under the table"),
    Noun("coat", "coats", "warm|new", "on the hook|on the shelf"),
    Noun("flower", "flowers", "red|bright|sweet", "in the garden|in the yard"),
    Noun("boat", "boats", "wooden|fast|small", "on the river|at the bridge"),
]
PLURAL_PEOPLE = {
    "king": "kings",
    "queen": "queens",
    "man": "men",
    "woman": "women",
    "boy": "boys",
    "girl": "girls",
}
TIMES = {
    "past": "yesterday|last week|last year",
    "present": "every day|every week|on sundays",
    "future": "tomorrow|next week|next year",
}
IS = {"past": "was", "present": "is", "future": "will be"}
ARE = {"past": "were", "present": "are", "future": "will be"}
MOODS = "happy|tired|hungry"

Rules = dict[str, list[Alternative]]
Weighted = Sequence[tuple[float | int, str]]
Rule = Callable[[str, Weighted], None]
Words = Callable[[str, str], None]


def rules() -> Rules:
    """The grammar of World: for each symbol its alternatives and their weights.

    Symbols begin with a capital letter and carry their features after dots: ``Person.female.heir``
    is what a princess can be called, ``Does.past.heir`` what a prince or princess did.
    """
    grammar: Rules = {}

    def rule(symbol: str, alternatives: Weighted) -> None:
        grammar[symbol] = [(weight, tuple(right.split())) for weight, right in alternatives]

    def words(symbol: str, barred: str) -> None:
        """Alternatives of one weight, divided by bars."""
        rule(symbol, [(1, right) for right in barred.split("|")])

    rule(
        "Sentence",
        [
            *((1, f"Statement.{tense} .") for tense in TIMES),
            (0.8, "Description ."),
            (0.7, "Geography ."),
        ],
    )
    kinds = PEOPLE | KIN
    for tense, times in TIMES.items():
        words(f"Time.{tense}", times)
        rule(
            f"Statement.{tense}",
            [
                (2, f"Time.{tense} Clause.{tense}"),
                (2, f"Clause.{tense} Time.{tense}"),
                (1, f"Clause.{tense}"),
            ],
        )
        rule(
            f"Clause.{tense}",
            [
                (1, f"Person.{gender}.{kind} Does.{tense}.{kind} Tail.{gender}.{tense}")
                for kind in kinds
                for gender in PRONOUNS
            ]
            + [
                (0.5, f"People.{people} Does.{_plural(tense)}.{kind} Tail.they.{tense}")
                for kind, row in kinds.items()
                for people in (row.male, row.female)
                if people in PLURAL_PEOPLE
            ],
        )
        for gender, (he, his, himself) in PRONOUNS.items():
            rule(
                f"Tail.{gender}.{tense}",
                [
                    (2, ""),
                    (2, f"with {his} Kin"),
                    (1, f"by {himself}"),
                    (2, f"because {he} {IS[tense]} Mood"),
                ],
            )
        rule(
            f"Tail.they.{tense}",
            [
                (2, ""),
                (1, "with their friends"),
                (1, "together"),
                (2, f"because they {ARE[tense]} Mood"),
            ],
        )
    _people(rule, words)
    _verbs(rule, words)
    _things(words)
    _geography(words)
    words("Mood", MOODS)
    words("Kin", "|".join(f"{row.male}|{row.female}" for row in KIN.values()))
    return grammar


def _plural(tense: str) -> str:
    """Only the present has another form after a plural subject."""
    return "plural" if tense == "present" else tense


def _people(rule: Rule, words: Words) -> None:
    for gender, names in NAMES.items():
        words(f"Name.{gender}", names)
    for kind, row in (PEOPLE | KIN).items():
        words(f"Quality.{kind}", row.adjectives)
        for gender, person in (("male", row.male), ("female", row.female)):
            determiner = "my" if kind in KIN else "the"
            called: list[tuple[float | int, str]] = [
                (3, f"{determiner} {person}"),
                (2, f"{determiner} Quality.{kind} {person}"),
                (2, f"{determiner} {person} named Name.{gender}"),
            ]
            if "Royal" in row.does:
                called.append((2, f"the {person} of Country"))
            rule(f"Person.{gender}.{kind}", called)
    for person, people in PLURAL_PEOPLE.items():
        words(f"People.{person}", f"the {people}|Number {people}")


def _verbs(rule: Rule, words: Words) -> None:
    for kind, row in (PEOPLE | KIN).items():
        for tense in ("past", "present", "future", "plural"):
            own = [(1, f"{verbs}.{tense}") for verbs in row.does.split()]
            rule(f"Does.{tense}.{kind}", [(3, f"Any.{tense}"), *own])
    for group, verbs in VERBS.items():
        forms = {
            "past": [verb.past for verb in verbs],
            "present": [verb.third for verb in verbs],
            "plural": [verb.base for verb in verbs],
            "future": [f"will {verb.base}" for verb in verbs],
        }
        for tense, written in forms.items():
            uses = [f"{form} After.{verb.base}" for form, verb in zip(written, verbs, strict=True)]
            words(f"{group}.{tense}", "|".join(uses))
        for verb in verbs:
            words(f"After.{verb.base}", verb.complements.replace("+", "Object."))


def _things(words: Words) -> None:
    words("Number", "two|three|many|some")
    words("Description", "|".join(f"Describe.{noun.singular}" for noun in NOUNS))
    for noun in NOUNS:
        one, many = noun.singular, noun.plural
        words(f"Look.{one}", noun.adjectives)
        words(f"Place.{one}", noun.places)
        words(
            f"Object.{one}", f"a {one}|the {one}|this {one}|the {many}|these {many}|Number {many}"
        )
        words(
            f"Describe.{one}",
            f"this {one} is Look.{one}|that {one} was Look.{one}|there is a {one} Place.{one}|"
            f"these {many} are Look.{one}|those {many} were Look.{one}|"
            f"there are Number {many} Place.{one}",
        )


def _geography(words: Words) -> None:
    for column, symbol in enumerate(("Country", "Capital", "Language")):
        words(symbol, "|".join(row[column] for row in COUNTRIES))
    words("Street", "long|quiet")
    words("Field", "wide|green")
    words("Geography", "|".join(f"Geography.{row.name}" for row in COUNTRIES))
    for row in COUNTRIES:
        words(
            f"Geography.{row.name}",
            f"{row.capital} is the capital of {row.name}|"
            f"the people of {row.name} speak {row.language}|"
            f"most people in {row.capital} speak {row.language}|"
            f"the longest river of {row.name} is the {row.river}|"
            f"the {row.river} flows through {row.capital}|"
            f"the streets of {row.capital} are Street|"
            f"the fields of {row.name} are Field",
        )


def pairs() -> dict[str, list[tuple[str, str]]]:
    """For each relation, the pairs of words that stand in it."""
    every = [*PEOPLE.values(), *KIN.values()]
    verbs = [verb for group in VERBS.values() for verb in group]
    ranks = [("adult", "ruler"), ("child", "heir")]
    return {
        "gender": [(row.male, row.female) for row in every],
        "royalty": [
            (getattr(PEOPLE[common], gender), getattr(PEOPLE[royal], gender))
            for gender in PRONOUNS
            for common, royal in ranks
        ],
        "capital": [(row.name, row.capital) for row in COUNTRIES],
        "language": [(row.name, row.language) for row in COUNTRIES],
        "tense": [(verb.third, verb.past) for verb in verbs],
        "plural": [(noun.singular, noun.plural) for noun in NOUNS],
    }
