"""Instructions of World: that right answers are right, and that what is held out is held out."""

from __future__ import annotations

import math
import time
from collections import Counter

import pytest

from nlp_course.data import world_facts, world_grammar, world_reviews
from nlp_course.data import world_instructions as wi
from nlp_course.data.dataset import Instruction
from nlp_course.data.world import World

WORLD = World(seed=0)
VERBS = [verb for group in world_grammar.VERBS.values() for verb in group]


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Instruction]]:
    return {split: WORLD.instructions(1_200, split) for split in wi.SPLITS}


@pytest.fixture(scope="module")
def of_kind(rows) -> dict[str, list[Instruction]]:
    found: dict[str, list[Instruction]] = {kind: [] for kind in wi.KINDS}
    for split in rows.values():
        for row in split:
            found[row.kind].append(row)
    return found


def about(row: Instruction) -> str:
    """What an instruction is about, found by taking away the words of its wording."""
    if row.input and row.kind != "question":
        return " ".join(row.input)
    text = " ".join(row.instruction)
    for wording in (*wi.WORDINGS[row.kind], wi.HELD_OUT_WORDING[row.kind]):
        before, _, after = wording.partition("{}")
        if "{}" in wording and before and text.startswith(before) and text.endswith(after):
            return text[len(before) : len(text) - len(after) or None]
    return text


# Right answers, by other means than they are made with


def test_capitals_are_those_of_worlds_own_sentences(of_kind):
    for row in of_kind["capital"]:
        said = f"{row.response[0]} is the capital of {about(row)} ."
        assert WORLD.log2_probability(said.split()) > -math.inf


def test_pasts_and_plurals_are_those_of_the_tables(of_kind):
    past = {verb.base: verb.past for verb in VERBS}
    plural = {noun.singular: noun.plural for noun in world_grammar.NOUNS}
    plural |= world_grammar.PLURAL_PEOPLE
    for kind, table in (("past", past), ("plural", plural)):
        for row in of_kind[kind]:
            assert row.answers == [[table[about(row)]]]


def test_translations_are_what_sentences_are_translated_into(of_kind):
    """There is a cat: its word, as it stands in the translation of a sentence."""
    places = {noun.singular: noun.places.split("|")[0] for noun in world_grammar.NOUNS}
    for word in {about(row) for row in of_kind["translation"]}:
        pair = WORLD.translate(f"there is a {word} {places[word]} .".split())
        [target] = [pair.target[j] for i, j in pair.alignment if pair.source[i] == word]
        assert wi.relations()["translation"][word] == target


def test_questions_are_answered_by_their_sentence(of_kind):
    """The answer stands in the sentence, and the words of who did what are as in the question."""
    for row in of_kind["question"]:
        sentence, answer = " ".join(row.input), " ".join(row.response)
        assert sentence.count(answer) >= 1
        fact = world_facts.read(WORLD.grammar.parse(row.input))
        assert fact is not None
        wanted = {
            "who": fact.person.words,
            "what": fact.object,
            "where": fact.place,
        }
        [asked] = [word for word in about(row).split() if word in wanted]
        assert tuple(row.response) == wanted[asked]


def test_numbers_reversals_and_opinions(of_kind):
    for row in of_kind["count"]:
        assert row.response == [wi.NUMBERS[len(row.input) - 1]]
    for row in of_kind["reverse"]:
        assert list(reversed(row.input)) == row.response
        assert 2 <= len(row.input) <= 4
    for row in of_kind["opinion"]:
        assert row.response == [world_reviews.label(row.input)]


def test_future_is_a_sentence_of_world_with_the_same_parts(of_kind):
    for row in of_kind["future"]:
        before, after = (
            world_facts.read(WORLD.grammar.parse(words)) for words in (row.input, row.response)
        )
        assert before is not None
        assert after is not None
        assert before.tense in ("past", "present")
        assert after.tense == "future"
        assert before._replace(tense="future") == after


def test_any_member_of_a_category_is_a_right_name_and_no_other_word(of_kind):
    for row in of_kind["name"]:
        [category] = set(wi.CATEGORIES) & set(row.instruction)
        members = wi.CATEGORIES[category]
        assert sorted(word for [word] in row.answers) == sorted(members)
        assert all(row.check([word]) for word in members)
        assert not row.check(members[:2])
        assert not row.check(["cake"])
    # Not always the same one is to be learned.
    first = {row.response[0] for row in of_kind["name"] if "river" in row.instruction}
    assert len(first) == 8


def test_check_wants_the_words_and_nothing_else(rows):
    for row in rows["train"]:
        assert row.check(row.response)
        assert row.check(tuple(row.response))
        assert not row.check([*row.response, "."])
        assert not row.check([])


def test_one_instruction_has_one_set_of_answers(rows):
    answers: dict[tuple[str, ...], list[list[str]]] = {}
    for split in rows.values():
        for row in split:
            key = (*row.instruction, "|", *row.input)
            assert answers.setdefault(key, sorted(row.answers)) == sorted(row.answers)


# What is held out


def wording_of(row: Instruction) -> str:
    text = " ".join(row.instruction)
    fits = [
        wording
        for wording in (*wi.WORDINGS[row.kind], wi.HELD_OUT_WORDING[row.kind])
        if text.replace(about(row), "{}") == wording or text == wording
    ]
    return fits[0] if fits else "{}"


def test_wordings_held_out_are_new_and_their_words_are_not(rows):
    seen = {word for row in rows["train"] for word in row.instruction}
    for kind in wi.KINDS:
        assert len(set(wi.WORDINGS[kind])) == 4
        assert wi.HELD_OUT_WORDING[kind] not in wi.WORDINGS[kind]
        assert set(wi.HELD_OUT_WORDING[kind].split()) - {"{}"} <= seen
    for split, held in (("train", False), ("items", False), ("wordings", True)):
        for row in rows[split]:
            assert (wording_of(row) == wi.HELD_OUT_WORDING[row.kind]) is held, row


def test_all_wordings_occur(rows):
    counts = Counter((row.kind, wording_of(row)) for row in rows["train"])
    assert len(counts) == 4 * len(wi.KINDS)


def test_fewer_wordings_are_the_first_ones():
    for number in (1, 2):
        counts = Counter(
            (row.kind, wording_of(row)) for row in WORLD.instructions(600, wordings=number)
        )
        expected = {(kind, one) for kind in wi.KINDS for one in wi.WORDINGS[kind][:number]}
        assert set(counts) == expected
    for number in (0, 5):
        with pytest.raises(ValueError, match=f"wordings must lie in 1 … 4, got {number}"):
            WORLD.instructions(1, wordings=number)


def test_words_held_out_are_never_asked_for_in_training_and_always_in_items(rows):
    for kind in ("capital", "past", "plural", "translation"):
        apart = wi.held_out(kind)
        share = len(apart) / len(wi.relations()[kind])
        assert 0.2 <= share <= 0.3
        for split, held in (("train", False), ("wordings", False), ("items", True)):
            words = {about(row) for row in rows[split] if row.kind == kind}
            assert words
            assert (words <= apart) if held else not words & apart
    for kind in ("question", "count", "reverse", "opinion", "future", "name"):
        assert wi.held_out(kind) == set()


def test_lists_have_every_pair_of_every_relation_held_out_or_not():
    found = set()
    for words in WORLD.lists(800):
        text = " ".join(words)
        assert text.endswith(" .")
        pairs = [tuple(pair.split(" : ")) for pair in text[:-2].split(" , ")]
        assert 2 <= len(pairs) <= 8
        assert len(set(pairs)) == len(pairs)
        assert any(set(pairs) <= set(table.items()) for table in wi.relations().values())
        found |= set(pairs)
    assert found == {pair for table in wi.relations().values() for pair in table.items()}


# How they are drawn


def test_kinds_are_equally_frequent(rows):
    share = 1 / len(wi.KINDS)
    for split in rows.values():
        counts = Counter(row.kind for row in split)
        error = math.sqrt(share * (1 - share) / len(split))
        for kind in wi.KINDS:
            assert counts[kind] / len(split) == pytest.approx(share, abs=4.5 * error)


def test_vocabulary_has_every_word(rows):
    words = set(wi.vocabulary(WORLD.grammar))
    assert len(words) <= 420
    for split in rows.values():
        for row in split:
            assert set(row.instruction) | set(row.input) <= words
            assert all(set(answer) <= words for answer in row.answers)
    assert {word for one in WORLD.lists(800) for word in one} <= words
    assert set(WORLD.vocabulary) <= words


def test_fewer_are_the_first_of_more_and_the_seed_decides(rows):
    for split in wi.SPLITS:
        assert World(seed=0).instructions(9, split) == rows[split][:9]
        assert World(seed=1).instructions(9, split) != rows[split][:9]
    assert WORLD.instructions(0) == WORLD.lists(0) == []
    assert WORLD.lists(9) == WORLD.lists(20)[:9]
    assert World(seed=1).lists(9) != WORLD.lists(9)


def test_what_there_is_not_is_refused():
    with pytest.raises(ValueError, match="split must be one of train, wordings, items, got 'test'"):
        WORLD.instructions(1, "test")
    for draw in (WORLD.instructions, WORLD.lists):
        with pytest.raises(ValueError, match="n must be at least 0, got -1"):
            draw(-1)


def test_two_thousand_take_less_than_four_seconds():
    start = time.process_time()
    World(seed=5).instructions(2_000)
    assert time.process_time() - start < 4
