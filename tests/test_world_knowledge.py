"""World's knowledge base: what is true, what its texts say, and how often."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course.data.world import World
from nlp_course.data.world_knowledge import (
    CLOSED,
    FLATNESS,
    KINDS,
    RELATIONS,
    SEVERAL,
    UNKNOWN,
    KnowledgeBase,
)

PEOPLE = st.integers(0, 399)
RELATION = st.sampled_from([*RELATIONS])


@pytest.fixture(scope="module")
def base() -> KnowledgeBase:
    return World(seed=0).facts()


@pytest.fixture(scope="module")
def texts(base) -> list[list[str]]:
    return base.texts(15_000)


# Names


def test_names_are_different_and_strangers_are_nobody(base):
    assert len(set(base.subjects)) == len(base.subjects) == 400
    assert len(set(base.strangers)) == 400
    assert not set(base.subjects) & set(base.strangers)
    assert {len(name) for name in base.subjects} == {2, 3}


def test_no_token_of_a_name_says_who_is_meant(base):
    """Each is a token of several people's names: one must join tokens to know who is meant."""
    people = Counter(part for name in base.subjects for part in name)
    assert min(people.values()) >= 10
    assert not set(people) & {word for r in RELATIONS.values() for word in r.attributes}


def test_strangers_are_made_of_the_tokens_of_people(base):
    known = {part for name in base.subjects for part in name}
    assert {part for name in base.strangers for part in name} == known


def test_the_same_tokens_in_another_order_are_somebody_else(base):
    """Often enough that a bag of tokens does not say who is meant."""
    assert sum(name[::-1] in base.facts for name in base.subjects) > 40
    assert sum(name[::-1] in base.strangers for name in base.subjects) > 20


# Facts


def test_everybody_has_one_attribute_of_each_closed_set(base):
    for subject in base.subjects:
        assert list(base.facts[subject]) == list(RELATIONS)
        for relation in CLOSED:
            [attribute] = base.facts[subject][relation]
            assert attribute in RELATIONS[relation].attributes
        assert len(base.attributes(subject)) == len(CLOSED) == 6


def test_attributes_of_two_relations_are_different_words_and_are_shared_by_people(base):
    words = [word for relation in RELATIONS.values() for word in relation.attributes]
    assert len(words) == len(set(words))
    shared = Counter(word for subject in base.subjects for word in base.attributes(subject))
    assert set(shared) == set(words)
    assert min(shared.values()) > 5


def test_friend_and_mentor_are_two_other_people(base):
    for subject in base.subjects:
        edges = base.neighbours(subject)
        assert set(edges) == {"friend", "mentor"}
        assert len({subject, *edges.values()}) == 3
        assert set(edges.values()) <= set(base.subjects)


def test_facts_lead_to_the_much_mentioned_more_often_than_to_others(base):
    ends = Counter(end for s in base.subjects for end in base.neighbours(s).values())
    first, last = (sum(ends[s] for s in part) for part in (base.subjects[:40], base.subjects[-40:]))
    assert first > 5 * last


def test_shares_sum_to_one_and_fall_as_one_over_rank_and_a_constant(base):
    shares = [base.share(subject) for subject in base.subjects]
    assert math.fsum(shares) == pytest.approx(1)
    assert shares[0] / shares[99] == pytest.approx((100 + FLATNESS) / (1 + FLATNESS))


# Texts


@given(person=PEOPLE, relation=RELATION, wording=st.integers(0, 4))
def test_a_statement_is_a_prompt_and_the_attribute_and_a_full_stop(base, person, relation, wording):
    subject = base.subjects[person]
    said = base.statement(subject, relation, wording)
    prompt, answer = base.prompt(subject, relation, wording), base.facts[subject][relation]
    assert said == [*prompt, *answer, "."]
    places = range(len(prompt))
    assert any(tuple(prompt[i : i + len(subject)]) == subject for i in places)
    assert not any("{" in word for word in said)


def test_three_wordings_have_the_subject_first_and_one_the_relation(base):
    subject = base.subjects[0]
    for name in RELATIONS:
        prompts = [base.prompt(subject, name, wording) for wording in range(5)]
        assert [prompt[0] == subject[0] for prompt in prompts] == [True] * 3 + [False, True]
        assert prompts[3][:4] == ["the", name, "of", subject[0]]
        assert len({tuple(prompt) for prompt in prompts}) == 5


def test_held_out_wordings_are_in_no_text_but_their_words_are(base, texts):
    vocabulary = {word for text in texts for word in text}
    prompts = {tuple(base.prompt(s, name, 4)) for s in base.subjects for name in RELATIONS}
    for name in RELATIONS:
        assert set(RELATIONS[name].held_out.split()) - {"{s}", "{a}"} <= vocabulary
    for text in texts:
        assert not any(tuple(text[:n]) in prompts for n in range(3, 11))


def test_vocabulary_is_that_of_the_texts(base, texts):
    assert base.vocabulary == sorted({word for text in texts for word in text})


def told(base, text):
    """(subject, relation, attribute) that a text states, read back from its words alone."""
    if text[0] == "about":
        colon = text.index(":")
        subject, rest = tuple(text[1:colon]), " ".join(text[colon + 1 : -1])
        for claim in rest.split(" , "):
            relation, *attribute = claim.split()
            yield subject, relation, tuple(attribute)
    elif text[0] == "what":
        mark = text.index("?")
        yield tuple(text[5:mark]), text[3], tuple(text[mark + 1 : -1])
    elif captioned(base, text):
        subject, words = captioned(base, text)
        for word in words:
            [relation] = [r for r in CLOSED if word in RELATIONS[r].attributes]
            yield subject, relation, (word,)
    else:
        [found] = [
            (tuple(match["s"].split()), relation, tuple(match["a"].split()))
            for relation in RELATIONS
            for wording in RELATIONS[relation].wordings
            if (match := pattern(wording).fullmatch(" ".join(text[:-1])))
            if tuple(match["s"].split()) in base.facts
        ]
        yield found


def captioned(base, text):
    """The name and the words of a caption; None for another text."""
    every = {word for relation in RELATIONS.values() for word in relation.attributes}
    subject, words = tuple(text[: -SEVERAL - 1]), text[-SEVERAL - 1 : -1]
    return (subject, words) if subject in base.facts and every.issuperset(words) else None


@functools.cache
def pattern(wording):
    return re.compile(wording.replace("{s}", "(?P<s>.+)").replace("{a}", "(?P<a>.+)"))


def test_every_text_is_true_and_only_strangers_are_unknown(base, texts):
    for text in texts[:5_000]:
        assert text[-1] == "."
        for subject, relation, attribute in told(base, text):
            if attribute == (UNKNOWN,):
                assert subject in base.strangers
            else:
                assert base.facts[subject][relation] == attribute


def test_kinds_and_subjects_come_as_often_as_is_said(base, texts):
    kinds = Counter(
        ("stranger" if UNKNOWN in text else "question")
        if text[0] == "what"
        else "profile"
        if text[0] == "about"
        else "caption"
        if captioned(base, text)
        else "statement"
        for text in texts
    )
    for kind, chance in KINDS.items():
        error = math.sqrt(chance * (1 - chance) / len(texts))
        assert kinds[kind] / len(texts) == pytest.approx(chance, abs=5 * error)
    profiles = [text for text in texts if text[0] == "about"]
    subjects = Counter(tuple(text[1 : text.index(":")]) for text in profiles)
    for subject in base.subjects[:5]:
        share = base.share(subject)
        error = math.sqrt(share * (1 - share) / len(profiles))
        assert subjects[subject] / len(profiles) == pytest.approx(share, abs=5 * error)
    captions = [text for text in texts if captioned(base, text)]
    for text in profiles[:300] + captions[:300]:
        assert len({relation for _, relation, _ in told(base, text)}) == SEVERAL


def test_same_seed_same_base_and_texts_and_another_seed_others(base):
    again, other = World(seed=0).facts(), World(seed=1).facts()
    assert again.facts == base.facts
    assert again.texts(50) == base.texts(60)[:50]
    assert other.facts != base.facts
    assert other.texts(50) != base.texts(50)


# Bad input


@pytest.mark.parametrize("people", [2, 10_000])
def test_refuses_too_few_and_too_many_people(people):
    with pytest.raises(ValueError, match=r"people must lie in 3 …"):
        KnowledgeBase(people=people)


def test_refuses_strangers_unknown_relations_and_wordings(base):
    someone, stranger = base.subjects[0], base.strangers[0]
    for ask in (base.share, base.attributes, base.neighbours):
        with pytest.raises(ValueError, match="nobody is called"):
            ask(stranger)
    with pytest.raises(ValueError, match="nobody is called"):
        base.statement(stranger, "home")
    with pytest.raises(ValueError, match="no relation 'shoe'; there are home, job"):
        base.question(someone, "shoe")
    with pytest.raises(ValueError, match=r"wording must lie in 0 … 4, got 5"):
        base.prompt(someone, "home", 5)
    with pytest.raises(ValueError, match="at least one relation"):
        base.profile(someone, [])
    with pytest.raises(ValueError, match="at least 0"):
        base.texts(-1)
