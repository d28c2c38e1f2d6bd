"""WordNet as a graph: synonyms, the ladder from a word to ever more general ones, similarity on it.

A sense is NLTK's `Synset`; `data.load("wordnet").reader` gives the reader that the functions ask.
A sense is below its *hypernyms*, which are more general (a dog is a canine), or below the class it
is an instance of (Bach is a composer); it is above its *hyponyms*. Most have one hypernym, some
more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order

from nlp_course.text import UnknownWordError

Sense = Any  # nltk.corpus.reader.wordnet.Synset
Reader = Any  # nltk.corpus.reader.wordnet.WordNetCorpusReader


class Drawing(NamedTuple):
    """A graph with a place for each node: y is minus its depth, x keeps a row's nodes 1 apart."""

    nodes: tuple[Any, ...]  # senses
    edges: tuple[tuple[int, int], ...]
    places: Float[np.ndarray, "node 2"]


class Dictionary(NamedTuple):
    """Words, and which words define each: `defined_by[i, j]` is 1 where j helps to define i."""

    words: tuple[str, ...]
    defined_by: Any  # scipy.sparse.csr_array, (word, word)


def senses(reader: Reader, word: str, pos: str | None = None) -> list[Sense]:
    """The senses of a word, the most frequent first.

    Parameters
    ----------
    pos : "n", "v", "a" or "r" for nouns, verbs, adjectives, adverbs; None for all

    Raises
    ------
    UnknownWordError : WordNet does not have the word, or not as this part of speech.
    """
    found = list(reader.synsets(word.replace(" ", "_"), pos=pos))
    if not found:
        kind = "" if pos is None else f" with part of speech {pos!r}"
        raise UnknownWordError(
            f"WordNet has no {word!r}{kind}: it lists nouns, verbs, adjectives and adverbs in "
            "their basic form, and no function words"
        )
    return found


def synonyms(reader: Reader, word: str, pos: str | None = None) -> dict[str, list[str]]:
    """For each sense of a word, by the sense's name, the other words that have it.

    Raises
    ------
    UnknownWordError : WordNet does not have the word.
    """
    same = word.replace(" ", "_").lower()
    return {
        sense.name(): [name for name in sense.lemma_names() if name.lower() != same]
        for sense in senses(reader, word, pos)
    }


def usage_words(reader: Reader, *domains: str) -> dict[str, bool]:
    """The single words of senses that WordNet marks by how they are used: as insults, as vulgar.

    Parameters
    ----------
    domains : names of the senses they are marked with, such as "disparagement.n.01"

    Returns
    -------
    Each word, in small letters → whether it has other senses, too, which are not marked.

    Raises
    ------
    ValueError : a domain with which no sense is marked.
    """
    marked = set()
    for domain in domains:
        found = reader.synset(domain).in_usage_domains()
        if not found:
            raise ValueError(f"WordNet marks no sense with {domain!r}")
        marked.update(found)
    words = sorted({name.lower() for sense in marked for name in sense.lemma_names()})
    return {word: not marked.issuperset(reader.synsets(word)) for word in words if "_" not in word}


def parents(sense: Sense) -> list[Sense]:
    """The senses one step more general: hypernyms, and classes it is an instance of."""
    return [*sense.hypernyms(), *sense.instance_hypernyms()]


def hyponym_paths(sense: Sense, steps: int = 2) -> list[list[Sense]]:
    """All ways down from a sense, of so many steps, or fewer where one ends before.

    Raises
    ------
    ValueError : steps < 1.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    paths = [[sense]]
    for _ in range(steps):
        paths = [
            [*path, *further]
            for path in paths
            for further in ([[below] for below in path[-1].hyponyms()] or [[]])
        ]
    return paths


def ancestors(sense: Sense) -> dict[Sense, int]:
    """The senses above, and the least number of steps up to each; itself is 0 steps away."""
    steps: dict[Sense, int] = {}
    level, distance = [sense], 0
    while level:
        steps |= dict.fromkeys(level, distance)
        level = [above for below in level for above in parents(below) if above not in steps]
        distance += 1
    return steps


def depth(sense: Sense) -> int:
    """How many senses the longest way from the top down to this one has, both ends counted."""
    return 1 + max((depth(above) for above in parents(sense)), default=0)


def path_similarity(first: Sense, second: Sense) -> float:
    """1 / (1 + steps on the shortest way between the two over a common ancestor); 0 without one.

    From 1 for a sense with itself down towards 0. NLTK's `path_similarity` with
    `simulate_root=False`, which answers None where this is 0.
    """
    up, over = ancestors(first), ancestors(second)
    ways = [up[common] + over[common] for common in up.keys() & over.keys()]
    return 1 / (1 + min(ways)) if ways else 0.0


def wu_palmer(first: Sense, second: Sense) -> float:
    """How deep the deepest common ancestor lies, beside how deep the two do; 0 without one.

    sim(a, b) = 2 depth(c) / (depth(c) + steps(a, c) + depth(c) + steps(b, c))

    c is the common ancestor of greatest depth; of several, the one that gives most.

    References
    ----------
    Wu and Palmer 1994, Verb Semantics and Lexical Selection.
    """
    up, over = ancestors(first), ancestors(second)
    shared = {common: depth(common) for common in up.keys() & over.keys()}
    deepest = max(shared.values(), default=0)
    return max(
        (
            2 * deepest / (2 * deepest + up[common] + over[common])
            for common, level in shared.items()
            if level == deepest
        ),
        default=0.0,
    )


def ancestor_vectors(
    chosen: Sequence[Sense],
) -> tuple[tuple[Sense, ...], Float[np.ndarray, "sense ancestor"]]:
    """Each sense as a k-hot vector of the senses above it, itself among them.

    Returns
    -------
    The senses that the columns stand for, by falling number of ones, and the vectors.

    Raises
    ------
    ValueError : there is no sense.
    """
    if not chosen:
        raise ValueError("give at least one sense")
    above = [ancestors(sense) for sense in chosen]
    columns = list(dict.fromkeys(sense for steps in above for sense in reversed(steps)))
    columns.sort(key=lambda column: -sum(column in steps for steps in above))
    vectors = np.array([[float(column in steps) for column in columns] for steps in above])
    return tuple(columns), vectors


def draw_up(chosen: Sequence[Sense]) -> Drawing:
    """Senses and all above them, laid out in rows by depth: each node above the mean of its own.

    Edges lead from the more general to the more special.

    Raises
    ------
    ValueError : there is no sense.
    """
    nodes, _ = ancestor_vectors(chosen)
    number = {node: i for i, node in enumerate(nodes)}
    edges = tuple((number[above], number[node]) for node in nodes for above in parents(node))
    places = np.zeros((len(nodes), 2))
    places[:, 1] = [-depth(node) for node in nodes]
    for i, sense in enumerate(dict.fromkeys(chosen)):
        places[number[sense], 0] = i
    # From the lowest row up, so that a node's children have their places before it.
    for y in np.unique(places[:, 1]):
        row = np.flatnonzero(places[:, 1] == y)
        for node in row:
            below = [places[child, 0] for above, child in edges if above == node]
            if below:
                places[node, 0] = np.mean(below)
        places[row, 0] = _spread(places[row, 0])
    return Drawing(nodes, edges, places)


def _spread(wanted: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Places in the same order with the same mean, at least 1 apart."""
    order = np.argsort(wanted, kind="stable")
    apart = wanted[order]
    for i in range(1, len(apart)):
        apart[i] = max(apart[i], apart[i - 1] + 1)
    result = np.empty_like(wanted)
    result[order] = apart + wanted.mean() - apart.mean()
    return result


def dictionary(reader: Reader, pos: str = "n", leave_out: Collection[str] = ()) -> Dictionary:
    """Which words of a part of speech stand in the definition of each, in its most frequent sense.

    Only single words in small letters; a word of a definition is looked up in its basic form. It
    counts if it can be that part of speech: "signified" in "the message that is signified" counts
    as a noun, since WordNet has such a noun, though it is a verb there.

    Parameters
    ----------
    leave_out : words that define nothing: function words, some of which WordNet lists for a rare
        meaning, such as "a" for the ångström

    References
    ----------
    Vincent-Lamarre et al. 2016, The Latent Structure of Dictionaries.
    """
    left_out = set(leave_out)
    definitions = {
        word: definition
        for word, definition in _first_definitions(reader, pos).items()
        if word.isalpha() and word.islower() and word not in left_out
    }
    words = sorted(definitions)
    number = {word: i for i, word in enumerate(words)}
    basic: dict[str, str | None] = {}
    pairs = set()
    for word, i in number.items():
        for token in re.findall(r"\b[a-z]+\b", definitions[word]):
            if token not in basic:
                basic[token] = None if token in left_out else reader.morphy(token, pos)
            if basic[token] in number:
                pairs.add((i, number[str(basic[token])]))
    cells = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    shape = len(words), len(words)
    return Dictionary(
        tuple(words), sparse.csr_array((np.ones(len(cells)), tuple(cells.T)), shape=shape)
    )


def _first_definitions(reader: Reader, pos: str) -> dict[str, str]:
    """The definition of each word's most frequent sense, read off WordNet's own two files.

    NLTK parses a whole line of the second for each sense, which takes ten times as long. The format
    is described in wndb(5WN): the first file lists a word's senses, most frequent first, as places
    in the second; a line there begins with its place, and its definition stands after a bar.
    """
    part = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}[pos]

    def lines(file: str) -> list[str]:
        # The licence stands above, each line of it indented.
        return [line for line in reader.open(file).read().splitlines() if line[:1] != " "]

    place = {}
    for line in lines(f"index.{part}"):
        word, _, _, pointers, *rest = line.split()
        place[word] = rest[int(pointers) + 2]
    meaning = {line[:8]: line.partition(" | ")[2] for line in lines(f"data.{part}")}
    # Examples follow the definition, in quotation marks.
    return {word: re.sub(r'[;:]? *".*', "", meaning[where]) for word, where in place.items()}


def definition_circle(found: Dictionary, word: str) -> list[str]:
    """The shortest way from a word over words of definitions back to itself, both ends listed.

    Raises
    ------
    UnknownWordError : the dictionary does not have the word.
    ValueError : no way leads back.
    """
    if word not in found.words:
        raise UnknownWordError(f"{word!r} is not among the {len(found.words)} words defined")
    start = found.words.index(word)
    order, before = breadth_first_order(found.defined_by, start)
    uses_it = set(found.defined_by[:, [start]].nonzero()[0].tolist())
    # In breadth-first order the first word that is defined by the start is the nearest to it.
    nearest = next((int(i) for i in order if i in uses_it), None)
    if nearest is None:
        raise ValueError(f"no definition on the way from {word!r} uses it")
    way = [start, nearest]
    while way[-1] != start:
        way.append(int(before[way[-1]]))
    return [found.words[i] for i in reversed(way)]
