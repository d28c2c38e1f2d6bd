"""Instructions to do something with words of World, and which answers are right.

Ten kinds (`KINDS`): say a country's capital, a verb's past, a noun's plural or its word in the
second language; answer a question on a sentence; count words, turn their order round; say whether a
review is positive; put a sentence into the future; name some country, animal or the like. Each kind
is worded in five ways. What it is about stands in the instruction, or beside it as its input.

Three splits tell what was learned. In ``train``, four wordings of each kind (`WORDINGS`) occur.
In ``wordings`` the fifth one does (`HELD_OUT_WORDING`), which has no word that the others lack.
``items`` has the wordings of ``train``, about words that ``train`` never asks for: a quarter of the
countries, verbs and nouns (`held_out`). Kinds without such words, as counting, have new sentences
and lists there.

`lists` draws text of another sort: *france : paris , italy : rome .* It holds the facts that the
instructions ask for, of the words held out, too, but no instruction. A model that has read it may
know an answer without having been told to answer.

References
----------
Wei et al. 2022, Finetuned Language Models Are Zero-Shot Learners, for tasks in several wordings
each. Sanh et al. 2022, Multitask Prompted Training Enables Zero-Shot Task Generalization.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import NamedTuple

from nlp_course.data import world_lexicon, world_questions, world_reviews
from nlp_course.data.dataset import Instruction
from nlp_course.data.grammar import Grammar
from nlp_course.data.world_facts import Source
from nlp_course.data.world_grammar import COUNTRIES, KIN, NOUNS, PEOPLE, PLURAL_PEOPLE, VERBS

SPLITS = ("train", "wordings", "items")
# Four wordings for training and the one held out; {} is what it is about, else that is the input.
_ALL_WORDINGS = {
    "capital": (
        "what is the capital of {} ?",
        "name the capital of {} .",
        "which city is the capital of {} ?",
        "give the capital of {} .",
        "say which city is the capital of {} .",
    ),
    "past": (
        "what is the past of {} ?",
        "give the past of {} .",
        "write {} in the past .",
        "say this word in the past .",
        "which word is the past of {} ?",
    ),
    "plural": (
        "what is the plural of {} ?",
        "give the plural of {} .",
        "write {} in the plural .",
        "say this word in the plural .",
        "which word is the plural of {} ?",
    ),
    "translation": (
        "translate {} .",
        "what is {} in the other language ?",
        "say this word in the other language .",
        "write {} in the other language .",
        "translate this word .",
    ),
    "question": (
        "{}",
        "read this and answer : {}",
        "answer this : {}",
        "read and say : {}",
        "read this and say : {}",
    ),
    "count": (
        "how many words are there ?",
        "count the words .",
        "give the number of words .",
        "say how many words these are .",
        "count how many words there are .",
    ),
    "reverse": (
        "write the words backwards .",
        "reverse the words .",
        "give the words in reverse .",
        "say these words backwards .",
        "write these words in reverse .",
    ),
    "opinion": (
        "is this review positive or negative ?",
        "what is the opinion ?",
        "say positive or negative .",
        "give the opinion of this review .",
        "is the opinion positive or negative ?",
    ),
    "future": (
        "write it in the future .",
        "say this sentence in the future .",
        "give this in the future .",
        "put the sentence into the future .",
        "write this sentence in the future .",
    ),
    "name": (
        "name one {} .",
        "give the name of one {} .",
        "say the name of some {} .",
        "which {} is there ?",
        "name some {} .",
    ),
}
KINDS = tuple(_ALL_WORDINGS)
WORDINGS = {kind: every[:-1] for kind, every in _ALL_WORDINGS.items()}
HELD_OUT_WORDING = {kind: every[-1] for kind, every in _ALL_WORDINGS.items()}
NUMBERS = ("one", "two", "three", "four", "five", "six")
CATEGORIES = {
    "country": [row.name for row in COUNTRIES],
    "city": [row.capital for row in COUNTRIES],
    "language": [row.language for row in COUNTRIES],
    "river": [row.river for row in COUNTRIES],
    "animal": ["cat", "dog", "horse", "bird"],
    "drink": ["water", "wine", "milk", "tea"],
}
_PEOPLE = [word for row in (PEOPLE | KIN).values() for word in (row.male, row.female)]


class Item(NamedTuple):
    """Something to give an instruction about.

    about : what a wording may have in it, or else beside it
    given : what stands beside it in any wording, such as a sentence that a question is on
    """

    about: list[str]
    answers: list[list[str]]
    given: Sequence[str] = ()


@cache
def relations() -> dict[str, dict[str, str]]:
    """Words and what stands to each in a relation: what closed kinds and `lists` are made of.

    Examples
    --------
    >>> relations()["past"]["sing"], relations()["plural"]["box"], relations()["gender"]["king"]
    ('sang', 'boxes', 'queen')
    """
    singular = {noun.singular: noun.plural for noun in NOUNS} | PLURAL_PEOPLE
    # Of a woman's word the root is the man's, with a suffix that this table leaves out.
    nouns = [word for word in world_lexicon.NOUNS if word in {noun.singular for noun in NOUNS}]
    return {
        "capital": {row.name: row.capital for row in COUNTRIES},
        "language": {row.name: row.language for row in COUNTRIES},
        "past": {verb.base: verb.past for group in VERBS.values() for verb in group},
        "plural": singular,
        "translation": {word: world_lexicon.NOUNS[word][0] for word in nouns},
        "gender": {row.male: row.female for row in (PEOPLE | KIN).values()},
    }


def held_out(kind: str) -> set[str]:
    """The words of a closed kind that ``train`` never asks for: every fourth of its relation.

    Examples
    --------
    >>> sorted(held_out("capital")), held_out("count")
    (['egypt', 'england'], set())
    """
    closed = kind in ("capital", "past", "plural", "translation")
    return set(list(relations()[kind])[2::4]) if closed else set()


@cache
def vocabulary(grammar: Grammar) -> tuple[str, ...]:
    """Every word of World's sentences, of instructions, their inputs and answers, and of lists."""
    words = set(grammar.words) | set(world_reviews.grammar().words) | set(NUMBERS)
    words |= {word for every in _ALL_WORDINGS.values() for word in " ".join(every).split()}
    words |= {"who", "where", "what", "did", "does", "do", "positive", "negative", *CATEGORIES, ","}
    words |= {word for row in relations().values() for pair in row.items() for word in pair}
    words |= {word for row in CATEGORIES.values() for word in row}
    return tuple(sorted(words - {"{}"}))


def instructions(
    grammar: Grammar, generator: random.Random, split: str = "train", wordings: int = 4
) -> Iterator[Instruction]:
    """Instructions without end, each kind as probable.

    Parameters
    ----------
    grammar : World's
    split : "train", "wordings" or "items", see above
    wordings : how many of the four occur, the first ones of `WORDINGS`

    Raises
    ------
    ValueError : another split, or another number of wordings than 1 to 4.
    """
    if not 1 <= wordings <= 4:
        raise ValueError(f"wordings must lie in 1 … 4, got {wordings}")
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    makers = _makers(grammar, generator, split)
    while True:
        kind = generator.choice(KINDS)
        about, answers, given = makers[kind]()
        if split == "wordings":
            wording = HELD_OUT_WORDING[kind]
        else:
            wording = generator.choice(WORDINGS[kind][:wordings])
        said = wording.replace("{}", " ".join(about)).split()
        yield Instruction(kind, said, list(given) if "{}" in wording else about, answers)


def _makers(
    grammar: Grammar, generator: random.Random, split: str
) -> dict[str, Callable[[], Item]]:
    """For each kind, what draws something of that kind and its answers."""
    source = Source(grammar, generator)
    facts = source.facts()
    sentences = source.sentences()
    opinions = world_reviews.reviews(generator)

    def closed(kind: str) -> Item:
        relation, apart = relations()[kind], held_out(kind)
        words = [word for word in relation if (word in apart) == (split == "items")]
        word = generator.choice(words)
        return Item([word], [[relation[word]]])

    def question() -> Item:
        while True:
            sentence = next(sentences)
            kind = generator.choice(["subject", "object", "place"])
            found = world_questions.ask(sentence, kind, generator)
            if found is not None and len(sentence.words()) <= 10 and not found.timed:
                words = sentence.words()
                answer = words[found.start : found.end]
                return Item(found.question, [answer], words)

    def count() -> Item:
        number = generator.randint(1, len(NUMBERS))
        return Item(generator.sample(_PEOPLE, number), [[NUMBERS[number - 1]]])

    def reverse() -> Item:
        words = generator.sample(_PEOPLE, generator.randint(2, 4))
        return Item(words, [words[::-1]])

    def opinion() -> Item:
        found = next(opinions)
        return Item(found.words, [[found.label]])

    def future() -> Item:
        fact = next(one for one in facts if one.tense != "future")
        plain = fact._replace(time=(), tail=("", ""))
        return Item(plain.words(), [plain._replace(tense="future").words()])

    def name() -> Item:
        category = generator.choice(list(CATEGORIES))
        members = CATEGORIES[category]
        return Item([category], [[word] for word in generator.sample(members, len(members))])

    closed_kinds = {kind: partial(closed, kind) for kind in KINDS if held_out(kind)}
    return closed_kinds | {
        "question": question,
        "count": count,
        "reverse": reverse,
        "opinion": opinion,
        "future": future,
        "name": name,
    }


def lists(generator: random.Random) -> Iterator[list[str]]:
    """Pairs of words in one relation, some to a text, without end: *cat : cats , box : boxes .*

    Each relation is as probable; a text has two to eight pairs, each once, in random order.
    """
    while True:
        relation = generator.choice(list(relations().values()))
        number = generator.randint(2, min(8, len(relation)))
        yield written_list(generator.sample(list(relation.items()), number))


def written_list(pairs: Sequence[tuple[str, str]], asked: str | None = None) -> list[str]:
    """A text of `lists`, or one that breaks off where the word beside the last one would follow.

    Examples
    --------
    >>> " ".join(written_list([("france", "paris"), ("italy", "rome")]))
    'france : paris , italy : rome .'
    >>> " ".join(written_list([("france", "paris")], asked="japan"))
    'france : paris , japan :'
    """
    words = [word for first, second in pairs for word in (first, ":", second, ",")]
    return [*words, asked, ":"] if asked is not None else [*words[:-1], "."]
