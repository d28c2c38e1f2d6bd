"""The generated language: its grammar, its exact probabilities, its analogies."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course.data import world_grammar
from nlp_course.data.grammar import Grammar
from nlp_course.data.world import World

SMALL = {
    "Sentence": [(3, ("Person", "Does")), (1, ("hello", "Maybe", "Person"))],
    "Person": [(1, ("ada",)), (2, ("the", "Kind"))],
    "Kind": [(1, ("cat",)), (1, ("old", "cat"))],
    "Does": [(1, ("sleeps",)), (3, ("sees", "Person"))],
    "Maybe": [(1, ()), (4, ("dear",))],
}


def derivations(grammar: Grammar, parts: tuple[str, ...]) -> list[tuple[float, tuple[str, ...]]]:
    """Every way to rewrite the parts into words, with its probability, by brute force."""
    if not parts:
        return [(1.0, ())]
    rest = derivations(grammar, parts[1:])
    if parts[0] not in grammar.rules:
        return [(probability, (parts[0], *words)) for probability, words in rest]
    return [
        (p * q * r, first + words)
        for p, right in grammar.rules[parts[0]]
        for q, first in derivations(grammar, right)
        for r, words in rest
    ]


# The grammar, against brute force on one small enough to list


@pytest.fixture(scope="module")
def small() -> Grammar:
    return Grammar(SMALL)


@pytest.fixture(scope="module")
def listed(small) -> list[tuple[float, tuple[str, ...]]]:
    return derivations(small, ("Sentence",))


def test_probabilities_of_all_sentences_sum_to_one(small, listed):
    assert math.fsum(p for p, _ in listed) == pytest.approx(1)
    assert len({words for _, words in listed}) == len(listed) == 18


def test_probability_equals_the_enumerated_one(small, listed):
    for probability, words in listed:
        assert small.log2_probability(words) == pytest.approx(math.log2(probability))


def test_entropy_and_length_equal_the_enumerated_ones(small, listed):
    entropy = -sum(p * math.log2(p) for p, _ in listed)
    assert small.entropy() == pytest.approx(entropy)
    assert small.expected_length() == pytest.approx(sum(p * len(words) for p, words in listed))


def test_sample_has_the_enumerated_frequencies(small, listed):
    n = 20_000
    counts = Counter(map(tuple, itertools.islice(small.sample(random.Random(0)), n)))
    for probability, words in listed:
        error = math.sqrt(probability * (1 - probability) / n)
        assert counts[words] / n == pytest.approx(probability, abs=5 * error)


def test_entropy_of_a_uniform_choice_is_log2_of_its_size():
    grammar = Grammar({"S": [(1, (str(i),)) for i in range(32)]}, start="S")
    assert grammar.entropy() == pytest.approx(5)
    assert Grammar({"S": [(1, ("only", "this"))]}, start="S").entropy() == 0


def test_ambiguous_sentence_has_the_probability_of_all_its_derivations():
    grammar = Grammar({"S": [(1, ("A",)), (3, ("x",))], "A": [(1, ("x",))]}, start="S")
    assert grammar.log2_probability(["x"]) == 0
    assert grammar.entropy() > 0


@pytest.mark.parametrize("words", [[], ["ada"], ["ada", "sleeps", "sleeps"], ["ada", "unheard"]])
def test_sentence_outside_the_language_has_probability_zero(small, words):
    assert small.log2_probability(words) == -math.inf


@given(
    st.lists(st.floats(0.1, 10), min_size=1, max_size=4),
    st.lists(st.floats(0.1, 10), min_size=1, max_size=4),
)
def test_entropy_of_independent_parts_is_the_sum(first, second):
    def choice(weights: list[float]) -> list:
        return [(weight, (f"w{i}",)) for i, weight in enumerate(weights)]

    both = Grammar({"S": [(1, ("A", "B"))], "A": choice(first), "B": choice(second)}, start="S")
    alone = [Grammar({"S": choice(weights)}, start="S").entropy() for weights in (first, second)]
    assert both.entropy() == pytest.approx(sum(alone), abs=1e-9)


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"A": [(1, ("x",))]}, "start symbol 'S' has no rule"),
        ({"S": []}, "'S' needs alternatives of positive weight"),
        ({"S": [(0, ("x",))]}, "'S' needs alternatives of positive weight"),
        ({"S": [(1, ("A",))], "A": [(1, ("x", "S")), (1, ("x",))]}, "derives itself"),
    ],
)
def test_grammar_that_cannot_work_is_refused(rules, says):
    with pytest.raises(ValueError, match=says):
        Grammar(rules, start="S")


# World


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=0)


class Automaton:
    """Reads the grammar's sentences, by one path from state 0 to `final` for each derivation.

    Each occurrence of a symbol becomes its own copy of the symbol's automaton, which is possible
    because there is no recursion. A state reads one word, or goes on in silence to others, or is
    the final one.
    """

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.reads: dict[int, tuple[str, int]] = {}
        self.silent: list[list[int]] = [[]]
        self.final = self._build(grammar.start, 0)

    def _state(self) -> int:
        self.silent.append([])
        return len(self.silent) - 1

    def _build(self, part: str, start: int) -> int:
        end = self._state()
        if part not in self.grammar.rules:
            self.reads[start] = (part, end)
            return end
        for _, right in self.grammar.rules[part]:
            # A state of its own, so that alternatives that begin alike are two paths.
            position = self._state()
            self.silent[start].append(position)
            for child in right:
                position = self._build(child, position)
            self.silent[position].append(end)
        return end

    def onward(self, start: int) -> list[int]:
        """The states reached in silence that read a word or are final, once for each way there."""
        found, stack = [], [start]
        while stack:
            state = stack.pop()
            if state == self.final or state in self.reads:
                found.append(state)
            stack.extend(self.silent[state])
        return found


def is_ambiguous(grammar: Grammar) -> bool:
    """Whether two derivations give the same words, that is, two paths read the same.

    Follows all pairs of paths that read the same words. Every state leads to the end, so there
    are two derivations of one sentence exactly if two paths, once parted, meet again.
    """
    automaton = Automaton(grammar)
    onward = {
        state: automaton.onward(state)
        for state in [0, *(target for _, target in automaton.reads.values())]
    }
    if any(len(set(states)) < len(states) for states in onward.values()):
        return True

    def alike(first: int, second: int) -> list[tuple[int, int]]:
        """Pairs of states onward of two that read the same word, or both end."""
        by_word: dict[str | None, list[int]] = {}
        for state in onward[second]:
            by_word.setdefault(automaton.reads.get(state, (None,))[0], []).append(state)
        return [
            (one, two)
            for one in onward[first]
            for two in by_word.get(automaton.reads.get(one, (None,))[0], [])
        ]

    seen = set()
    stack = alike(0, 0)
    while stack:
        pair = stack.pop()
        if pair in seen or automaton.final in pair:
            continue
        seen.add(pair)
        one, two = pair
        following = alike(automaton.reads[one][1], automaton.reads[two][1])
        if one != two and any(first == second for first, second in following):
            return True
        stack.extend(following)
    return False


@pytest.mark.parametrize(
    ("rules", "ambiguous"),
    [
        (SMALL, False),
        ({"Sentence": [(1, ("A",)), (1, ("x",))], "A": [(1, ("x",))]}, True),
        ({"Sentence": [(1, ("A", "A"))], "A": [(1, ("x",)), (1, ())]}, True),
        (
            {
                "Sentence": [(1, ("A", "B"))],
                "A": [(1, ("x",)), (1, ("x", "x"))],
                "B": [(1, ("y",)), (1, ("x", "y"))],
            },
            True,
        ),
        (
            {
                "Sentence": [(1, ("x", "A")), (1, ("x", "B"))],
                "A": [(1, ("y",))],
                "B": [(1, ("z",))],
            },
            False,
        ),
        ({"Sentence": [(1, ("A", "end"))], "A": [(1, ()), (1, ("B",))], "B": [(1, ())]}, True),
    ],
)
def test_ambiguity_is_recognised(rules, ambiguous):
    assert is_ambiguous(Grammar(rules)) is ambiguous


def test_world_is_unambiguous(world):
    assert not is_ambiguous(world.grammar)


def test_entropy_equals_the_mean_surprise_of_sampled_sentences(world):
    """Bits a token by sampling: ratio of mean bits to mean length + 1, within 4 standard errors."""
    sentences = World(seed=1).sentences(800)
    bits = np.array([-world.log2_probability(sentence) for sentence in sentences])
    tokens = np.array([len(sentence) + 1 for sentence in sentences])
    ratio = bits.sum() / tokens.sum()
    error = np.std(bits - ratio * tokens) / (tokens.mean() * math.sqrt(len(sentences)))
    assert error < 0.03
    assert ratio == pytest.approx(world.entropy(), abs=4 * error)


def test_same_seed_gives_the_same_text_and_another_another():
    assert World(seed=3).text(50) == World(seed=3).text(50)
    assert World(seed=3).text(50) != World(seed=4).text(50)


def test_fewer_sentences_are_the_first_of_more(world):
    assert world.sentences(1_000)[:10] == world.sentences(10)
    assert world.sentences(0) == []


def test_text_is_the_sentences_a_line_each(world):
    lines = world.text(20).split("\n")
    assert [line.split(" ") for line in lines] == world.sentences(20)


def test_negative_number_of_sentences_is_refused(world):
    with pytest.raises(ValueError, match="n must be at least 0, got -1"):
        world.sentences(-1)


def test_world_says_what_one_would_expect(world):
    said = "yesterday the queen of france walked to the market with her mother ."
    unsaid = "yesterday the queen of france walks to the market with his mother ."
    assert world.log2_probability(said.split()) > -60
    assert world.log2_probability(unsaid.split()) == -math.inf


def test_world_is_lower_case_and_of_some_three_hundred_words(world):
    assert 150 <= len(world.vocabulary) <= 350
    assert all(word == word.lower() for word in world.vocabulary)
    assert {word for sentence in world.sentences(20_000) for word in sentence} == set(
        world.vocabulary
    )


def test_no_form_belongs_to_two_words():
    """An analogy would have two answers, and a tense two meanings."""
    verbs = [verb for group in world_grammar.VERBS.values() for verb in group]
    forms = [form for verb in verbs for form in (verb.base, verb.third, verb.past)]
    nouns = [form for noun in world_grammar.NOUNS for form in (noun.singular, noun.plural)]
    places = [name for country in world_grammar.COUNTRIES for name in country]
    every = world_grammar.PEOPLE | world_grammar.KIN
    people = [word for row in every.values() for word in (row.male, row.female)]
    plural = list(world_grammar.PLURAL_PEOPLE.values())
    words = forms + nouns + places + people + plural
    assert not [word for word, count in Counter(words).items() if count > 1]


def test_analogies_are_of_words_of_the_language_and_of_six_kinds(world):
    analogies = world.analogies()
    vocabulary = set(world.vocabulary)
    assert {word for analogy in analogies for word in analogy[:4]} <= vocabulary
    assert all(len(set(analogy[:4])) >= 3 for analogy in analogies)
    assert len(set(analogies)) == len(analogies)
    found = {analogy[:4] for analogy in analogies}
    assert ("man", "woman", "king", "queen") in found
    assert ("france", "paris", "japan", "tokyo") in found
    assert ("walks", "walked", "sings", "sang") in found
    assert ("cat", "cats", "dog", "dogs") in found
    assert ("man", "king", "woman", "queen") in found
    assert {analogy.category for analogy in analogies} == {
        "gender",
        "royalty",
        "capital",
        "language",
        "tense",
        "plural",
    }


def test_analogies_are_answered_by_counts_of_neighbours(world):
    """Positive PMI in windows of 5, SVD to 100 dimensions, 20,000 sentences: most are right."""
    index = {word: i for i, word in enumerate(world.vocabulary)}
    counts = np.zeros((len(index), len(index)))
    for sentence in world.sentences(20_000):
        ids = np.array([index[word] for word in sentence])
        for distance in range(1, min(6, len(ids))):
            np.add.at(counts, (ids[distance:], ids[:-distance]), 1)
    counts += counts.T
    expected = np.outer(counts.sum(1), counts.sum(0)) / counts.sum()
    with np.errstate(divide="ignore"):
        positive = np.maximum(np.log(counts / expected), 0)
    left, values, _ = np.linalg.svd(positive)
    vectors = left[:, :100] * np.sqrt(values[:100])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    right, asked = Counter(), Counter()
    for a, b, c, d, category in world.analogies():
        a, b, c, d = (index[word] for word in (a, b, c, d))
        scores = vectors @ (vectors[b] - vectors[a] + vectors[c])
        scores[[a, b, c]] = -np.inf
        right[category] += int(scores.argmax() == d)
        asked[category] += 1
    assert sum(right.values()) / sum(asked.values()) > 0.95
    for category, number in asked.items():
        assert right[category] / number >= 0.6, category


def test_fifty_thousand_sentences_take_less_than_two_seconds(world):
    world.sentences(1)
    start = time.perf_counter()
    world.sentences(50_000)
    assert time.perf_counter() - start < 2
