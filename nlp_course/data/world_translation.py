"""World's second language: an invented one, into which every sentence of World can be translated.

A translation is made from the derivation of the English sentence, rule by rule, so it is the one
that the language has, and which word says which is known exactly.

The language puts things together otherwise than English does:

- The verb ends its clause: time, subject, with whom or why, place, object, verb. Time always stands
  first. Whether it did in English is lost, and nothing else is.
- Adjectives follow their noun; numbers, *this*, *every* and *most* precede it, and so does what an
  *of* joins to it: *the king of france* is ``faranoda nafami``.
- Postpositions: *to the market* is ``lomomi guf``. *because* ends its clause, too.
- A noun is a root, ``a`` for the living or ``o`` for things, and suffixes: ``le`` for several (not
  after a number), then ``mi`` (the), ``mo`` (my), ``su`` (his, her, their) or ``da`` (of), then
  ``t`` where it is the object. ``is`` after the root makes a woman of a man, and ``ez`` a language
  of a country.
- An adjective ends in the ``a``, ``o``, ``ale`` or ``ole`` of the noun that it speaks of; ``um``
  before it is *-est*.
- A verb is a root, ``ut`` (now), ``ir`` (before) or ``ol`` (later), and ``i`` if several do it.
- *a*, *is*, *are*, *named*, *he*, *she* and *they* have no word. *was* and *will be* are the verb
  ``v``, *there is* is the verb ``dab``, and *by himself* is one word, ``mur``.
- Some English words are two words here: *old* for people (``mal``) and for things (``biv``),
  *fast* that says how something is (``tad``) or is done (``gul``), *with* for company (``lun``) and
  for a tool (``mok``).

An example, word for word::

    yesterday the old queen opened two boxes because she was tired .

    ter        nafisami   mala  fega   vir  dom      fod  mefot    vetir   .
    yesterday  queen-the  old   tired  was  because  two  box-OBJ  opened  .

References
----------
Aho and Ullman 1969, Syntax Directed Translations and the Pushdown Assembler, for grammars whose
rules come in pairs, one a language.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from nlp_course.data.dataset import AlignedTranslation
from nlp_course.data.grammar import Alternative, Derivation, Grammar
from nlp_course.data.world_lexicon import (
    ADJECTIVES,
    ALONE,
    NOUNS,
    OBJECT,
    OF,
    OLD_PERSON,
    OTHERS,
    POSSESSORS,
    POSTPOSITIONS,
    SEVERAL,
    SEVERAL_DO,
    TENSES,
    VERB_FORMS,
    VERBS,
    WITH_COMPANY,
    WITH_TOOL,
)

IS = {"is": "present", "are": "present", "was": "past", "were": "past", "will": "future"}
# What the symbols of World's grammar stand for in a phrase.
NOUN_SYMBOLS = {"Kin": "a", "Country": "o", "Capital": "o", "Language": "o"}
ADJECTIVE_SYMBOLS = ("Quality", "Look", "Mood", "Street", "Field")
PRECEDING = ("Number", "every", "most", "this", "these", "that", "those")


class Word(NamedTuple):
    """A word, and the places in an English rule of what it says."""

    form: str
    links: tuple[int, ...]


class Child(NamedTuple):
    """What the symbol at a place of an English rule becomes.

    ending : what its word has to end in because of words outside it
    links : places of those words, where the ending says them
    """

    place: int
    ending: str = ""
    links: tuple[int, ...] = ()


Piece = Word | Child


class Phrase(NamedTuple):
    """A noun phrase, the ending of adjectives that speak of it, and whether several are meant."""

    pieces: list[Piece]
    agreement: str
    several: bool


def translate(derivation: Derivation) -> AlignedTranslation:
    """The translation of a sentence of World, given how it is derived.

    A link joins a word with each English word that it says. English words that only grammar asks
    for, such as *a*, have none.

    Raises
    ------
    ValueError : a rule of the derivation cannot be read as one of World's.
    """
    source: list[str] = []
    target = _words(derivation, "", source)
    alignment = sorted((i, j) for j, (_, links) in enumerate(target) for i in links)
    return AlignedTranslation(source, [form for form, _ in target], alignment)


def _words(node: Derivation, ending: str, source: list[str]) -> list[tuple[str, tuple[int, ...]]]:
    """A node's words with the places that they are linked to; its English ones go to the source."""
    right = tuple(part if isinstance(part, str) else part.symbol for part in node.parts)
    pieces = rewrite(node.symbol, right, ending)
    endings = {piece.place: piece.ending for piece in pieces if isinstance(piece, Child)}
    starts, inner = [], {}
    for place, part in enumerate(node.parts):
        starts.append(len(source))
        if isinstance(part, str):
            source.append(part)
        else:
            inner[place] = _words(part, endings[place], source)
    made = []
    for piece in pieces:
        links = tuple(starts[place] for place in piece.links)
        if isinstance(piece, Word):
            made.append((piece.form, links))
        else:
            made.extend((form, before + links) for form, before in inner[piece.place])
    return made


def grammar(english: Grammar) -> Grammar:
    """The second language's own grammar: World's rules, rewritten, with their probabilities.

    Its symbols are World's, each with the ending that it is given.
    """
    rules: dict[str, list[Alternative]] = {}

    def add(symbol: str, ending: str) -> str:
        name = f"{symbol}/{ending}"
        if name not in rules:
            rules[name] = [
                (
                    probability,
                    tuple(
                        piece.form
                        if isinstance(piece, Word)
                        else add(right[piece.place], piece.ending)
                        for piece in rewrite(symbol, right, ending)
                    ),
                )
                for probability, right in english.rules[symbol]
            ]
        return name

    return Grammar(rules, start=add(english.start, ""))


@cache
def rewrite(symbol: str, right: tuple[str, ...], ending: str = "") -> tuple[Piece, ...]:
    """What an English rule becomes: the pieces of its right side in the second language's order.

    Parameters
    ----------
    symbol, right : a rule of World's grammar
    ending : of a noun, a verb or an adjective, as words outside the rule demand it

    Raises
    ------
    ValueError : it cannot be read as a rule of World.

    Examples
    --------
    >>> rewrite("Person.male.ruler", ("the", "king", "of", "Country"))
    (Child(place=3, ending='da', links=(2,)), Word(form='nafami', links=(0, 1)))
    """
    try:
        return tuple(_Rule(right).pieces(symbol, ending))
    except (KeyError, IndexError, StopIteration) as error:
        raise ValueError(f"no rule of World: {symbol} becomes {' '.join(right)}") from error


class _Rule:
    """The right side of an English rule, read as a phrase or a clause."""

    def __init__(self, right: tuple[str, ...]) -> None:
        self.right = right
        self.kinds = [part.split(".")[0] for part in right]

    def pieces(self, symbol: str, ending: str) -> Sequence[Piece]:
        kind, everything = symbol.split(".")[0], range(len(self.right))
        match kind:
            case "Sentence":
                return [Child(0), Word(".", (1,))]
            case "Statement":
                return [Child(place) for place in sorted(everything, key=self.is_not_time)]
            case "Clause":
                several = SEVERAL_DO if self.kinds[0] == "People" else ""
                return [Child(0), Child(2), Child(1, several)]
            case "Does" | "Description":
                return [Child(0, ending)]
            case "Geography" if symbol == "Geography":
                return [Child(0)]
            case "Describe" | "Geography":
                return self.exists() if self.right[0] == "there" else self.clause()
            case "After" if self.right[0] in ADJECTIVES:
                if self.right[0] == "fast":
                    return [Word(OTHERS["fast"], (0,))]
                return [self.adjective(0, "a" + (SEVERAL if ending else ""))]
            case "After":
                return self.complement(everything)
            case "Tail":
                return self.tail(several=symbol.startswith("Tail.they"))
            case "Object":
                return self.noun_phrase(everything, OBJECT).pieces
            case "Person" | "People":
                return self.noun_phrase(everything).pieces
            case "Time" | "Place":
                if self.right[0] in OTHERS and len(self.right) == 1:
                    return [Word(OTHERS[self.right[0]], (0,))]
                if self.right[0] in POSTPOSITIONS:
                    return self.complement(everything)
                return self.noun_phrase(everything).pieces
            case "Number":
                return [Word(OTHERS[self.right[0]], (0,))]
            case "Name":
                return [Word(NOUNS[self.right[0]][0], (0,))]
            case _ if kind in NOUN_SYMBOLS:
                return [Word(NOUNS[self.right[0]][0] + ending, (0,))]
            case _ if kind in ADJECTIVE_SYMBOLS:
                return [self.adjective(0, ending)]
            case _:
                return self.verb_phrase(ending)

    def is_not_time(self, place: int) -> bool:
        return self.kinds[place] != "Time"

    def clause(self) -> list[Piece]:
        """Subject, verb, the rest: this cat is soft, the nile flows through cairo."""
        verb = next(i for i, part in enumerate(self.right) if part in IS or part in VERB_FORMS)
        subject = self.noun_phrase(range(verb))
        after = range(verb + 1, len(self.right))
        if self.right[verb] in VERB_FORMS:
            return [*subject.pieces, *self.complement(after), self.verb(verb, subject.several)]
        if self.kinds[verb + 1] in ADJECTIVE_SYMBOLS:
            rest: list[Piece] = [self.adjective(verb + 1, subject.agreement)]
        else:
            rest = self.noun_phrase(after).pieces
        return [*subject.pieces, *rest, *self.be((verb,), subject.several)]

    def exists(self) -> list[Piece]:
        """There is a cat, under the table: the place comes first."""
        last = len(self.right) - 1
        thing = self.noun_phrase(range(2, last))
        form = VERBS["exist"] + TENSES[IS[self.right[1]]] + SEVERAL_DO * thing.several
        return [Child(last), *thing.pieces, Word(form, (0, 1))]

    def verb_phrase(self, ending: str) -> list[Piece]:
        """A verb and what follows it: walked, or will walk, and where."""
        last = len(self.right) - 1
        return [Child(last, ending), self.verb(last - 1, bool(ending))]

    def verb(self, place: int, several: bool) -> Word:
        root, tense = VERB_FORMS[self.right[place]]
        will = place > 0 and self.right[place - 1] == "will"
        form = root + TENSES["future" if will else tense] + SEVERAL_DO * several
        return Word(form, (place - 1, place) if will else (place,))

    def be(self, places: tuple[int, ...], several: bool) -> Iterator[Word]:
        """Was, were or will be; nothing for is and are."""
        tense = IS[self.right[places[0]]]
        if tense != "present":
            yield Word(VERBS["be"] + TENSES[tense] + SEVERAL_DO * several, places)

    def tail(self, several: bool) -> list[Piece]:
        """With whom, or why."""
        match self.right:
            case ():
                return []
            case ("by", _):
                return [Word(ALONE, (0, 1))]
            case ("together",):
                return [Word(OTHERS["together"], (0,))]
            case ("because", *_):
                last = len(self.right) - 1
                mood = self.adjective(last, "a" + SEVERAL * several)
                be = self.be(tuple(range(2, last)), several)
                return [mood, *be, Word(OTHERS["because"], (0,))]
            case _:
                return self.complement(range(len(self.right)))

    def complement(self, places: range) -> list[Piece]:
        """What follows a verb: where, and then, next to the verb, the object."""
        marks = [i for i in places if self.right[i] in (*POSTPOSITIONS, "with")]
        pieces: list[Piece] = []
        for mark, end in pairwise([*marks, places.stop]):
            phrase = self.noun_phrase(range(mark + 1, end))
            if self.right[mark] == "with":
                form = WITH_COMPANY if phrase.agreement.startswith("a") else WITH_TOOL
            else:
                form = POSTPOSITIONS[self.right[mark]]
            pieces += [*phrase.pieces, Word(form, (mark,))]
        before = range(places.start, marks[0] if marks else places.stop)
        if before and self.kinds[before[0]] == "Object":
            return [*pieces, Child(before[0])]
        return [*pieces, *self.noun_phrase(before, OBJECT).pieces] if before else pieces

    def noun_phrase(self, places: range, case: str = "") -> Phrase:
        """What belongs to it, number or demonstrative, noun with its suffixes, adjectives, name."""
        inside = next((i for i in places if self.right[i] in (*POSTPOSITIONS, "of")), places.stop)
        own = range(places.start, inside)
        suffixes, preceding, nouns, qualities, names = [], [], [], [], []
        for i in own:
            if self.right[i] in POSSESSORS:
                suffixes.append(i)
            elif self.kinds[i] in PRECEDING:
                preceding.append(i)
            elif self.kinds[i] in NOUN_SYMBOLS or self.right[i] in NOUNS:
                nouns.append(i)
            elif self.kinds[i] in ADJECTIVE_SYMBOLS or self.right[i] in ADJECTIVES:
                qualities.append(i)
            elif self.kinds[i] == "Name":
                names.append(Child(i))
            elif self.right[i] not in ("a", "named"):
                raise KeyError(self.right[i])
        noun = nouns[0]
        suffix = "".join(POSSESSORS[self.right[i]] for i in suffixes) + case
        counted = any(self.right[i] in ("Number", "most") for i in preceding)
        if self.right[noun] in NOUNS:
            stem, mark = NOUNS[self.right[noun]]
            head: Piece = Word(stem + ("" if counted else mark) + suffix, (*suffixes, noun))
            vowel, several = stem[-1], bool(mark)
        else:
            mark, several, vowel = "", False, NOUN_SYMBOLS[self.kinds[noun]]
            head = Child(noun, suffix, tuple(suffixes))
        agreement = vowel + ("" if counted else mark)
        pieces = [
            *self.belonging(inside, places.stop),
            *(self.preceding(i, agreement) for i in preceding),
            head,
            *(self.adjective(i, agreement) for i in qualities),
            *names,
        ]
        return Phrase(pieces, agreement, several)

    def belonging(self, mark: int, end: int) -> list[Piece]:
        """Of france, in paris: what comes before the noun it belongs to."""
        if mark == end:
            return []
        if self.right[mark] != "of":
            return self.complement(range(mark, end))
        (owner,) = range(mark + 1, end)
        if self.kinds[owner] in NOUN_SYMBOLS:
            return [Child(owner, OF, (mark,))]
        return [Word(NOUNS[self.right[owner]][0] + OF, (mark, owner))]

    def preceding(self, place: int, agreement: str) -> Piece:
        if self.kinds[place] == "Number":
            return Child(place)
        if self.right[place] in ADJECTIVES:
            return self.adjective(place, agreement)
        return Word(OTHERS[self.right[place]], (place,))

    def adjective(self, place: int, ending: str) -> Piece:
        word = self.right[place]
        if self.kinds[place] in ADJECTIVE_SYMBOLS:
            return Child(place, ending)
        root = OLD_PERSON if word == "old" and ending.startswith("a") else ADJECTIVES[word]
        return Word(root + ending, (place,))
