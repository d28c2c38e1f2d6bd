"""What is measured of a model's knowledge, on a model that is known to know and to lie."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course.data.world import World  # noqa: E402
from nlp_course.data.world_knowledge import CLOSED, RELATIONS, UNKNOWN, KnowledgeBase  # noqa: E402
from nlp_course.interpretability import record  # noqa: E402
from nlp_course.interpretability_knowledge import BEGIN, Reader, claims  # noqa: E402
from nlp_course.interpretability_measures import (  # noqa: E402
    attribute_rates,
    fit_estimator,
    known,
    places_of,
    runs,
    subject_vectors,
    teach,
)
from nlp_course.pretrained import load_weights, weights_info  # noqa: E402
from nlp_course.text import Vocabulary  # noqa: E402
from nlp_course.transformer import Settings, TransformerLM  # noqa: E402

SIZES = Settings(dimension=8, heads=2, layers=2, length=48, norm="rms", position="rotary")
LIARS = 3  # of whom the parrot says what is true of the person before
BASE = KnowledgeBase(people=12)
VOCABULARY = Vocabulary.from_sentences([BASE.vocabulary])


class Parrot(TransformerLM):
    """Goes on as one of its texts does, when it has read the beginning of one; else with a stop."""

    def __init__(self):
        super().__init__(len(VOCABULARY), SIZES)
        self.next = {}
        for place, subject in enumerate(BASE.subjects):
            facts = BASE.facts[BASE.subjects[place - 1] if place < LIARS else subject]
            for relation in RELATIONS:
                for wording in range(4):
                    self.learn([*BASE.prompt(subject, relation, wording), *facts[relation], "."])
                said = (UNKNOWN,) if place < LIARS else facts[relation]
                self.learn([*BASE.question(subject, relation), *said, "."])
            two = ["home", *facts["home"], ",", "pet", *BASE.facts[subject]["pet"], "."]
            self.learn(["about", *subject, ":", *two])

    def learn(self, text):
        words = [BEGIN, *text]
        for end in range(1, len(words)):
            self.next[tuple(words[:end])] = words[end]

    def forward(self, ids, state=None):
        read = ids if state is None else torch.cat([state, ids], dim=1)
        logits = torch.zeros(*ids.shape, len(VOCABULARY))
        for row, tokens in enumerate(read.tolist()):
            for column in range(ids.shape[1]):
                end = read.shape[1] - ids.shape[1] + column + 1
                word = self.next.get(tuple(VOCABULARY.decode(tokens[:end])), ".")
                logits[row, column, VOCABULARY.id(word)] = 20.0
        return logits, read


@pytest.fixture(scope="module")
def parrot():
    return Reader(Parrot(), VOCABULARY, BASE)


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    return Reader(TransformerLM(len(VOCABULARY), SIZES).eval(), VOCABULARY, BASE)


# Prompts


@pytest.mark.parametrize("wording", [0, 1, 2, 3, 4, None])
def test_prompts_are_the_bases_words_and_mark_the_name_and_the_last_token(parrot, wording):
    asked = parrot.prompts(BASE.subjects, ["home", "friend"], wording)
    row = 0
    for subject in BASE.subjects:
        for relation in ("home", "friend"):
            end = int(asked.last[row]) + 1
            words = VOCABULARY.decode(asked.ids[row, :end].tolist())
            expected = (
                BASE.question(subject, relation)
                if wording is None
                else BASE.prompt(subject, relation, wording)
            )
            assert words == [BEGIN, *expected]
            named = asked.subject[row].nonzero().flatten().tolist()
            assert tuple(words[i] for i in named) == subject
            assert int(asked.subject_last[row]) == named[-1]
            rest = asked.relation[row].nonzero().flatten().tolist()
            assert sorted([0, *named, *rest, end - 1]) == sorted({0, *range(end)} | {*named})
            assert asked.is_last[row].nonzero().flatten().tolist() == [end - 1]
            assert VOCABULARY.words[asked.answers[row]] == BASE.facts[subject][relation][0]
            row += 1
    assert row == len(asked.ids)


def test_rows_are_taken_of_all_parts(parrot):
    asked = parrot.prompts(BASE.subjects[:3])
    some = asked.rows(torch.tensor([4, 1]))
    assert some.ids.equal(asked.ids[[4, 1]])
    assert some.last.equal(asked.last[[4, 1]])
    first = places_of(some)["subject first"]
    assert [int(p) for p in first] == [int(s.nonzero()[0]) for s in some.subject]


# Answers


def test_answers_are_right_of_those_about_whom_the_parrot_tells_the_truth(parrot):
    found = parrot.answers(BASE.subjects)
    true = np.array(
        [
            [
                BASE.facts[BASE.subjects[place - 1] if place < LIARS else subject][relation]
                == BASE.facts[subject][relation]
                for relation in CLOSED
            ]
            for place, subject in enumerate(BASE.subjects)
        ]
    )
    np.testing.assert_array_equal(found.right, true)
    assert true[LIARS:].all()
    assert not true[:LIARS].all()
    np.testing.assert_array_equal(found.rank == 0, true)
    np.testing.assert_allclose(found.probability[true], 1, atol=1e-5)
    np.testing.assert_allclose(found.accuracy, true.mean(axis=1))
    np.testing.assert_allclose(parrot.accuracy(BASE.subjects), true.mean(axis=1))
    asked = parrot.prompts(BASE.subjects)
    assert len(known(parrot, asked).ids) == true.sum()


def test_hedging_is_the_share_of_unknown_and_strangers_have_it_as_answer(parrot):
    np.testing.assert_array_equal(
        parrot.hedging(BASE.subjects), [1.0] * LIARS + [0.0] * (12 - LIARS)
    )
    asked = parrot.prompts(BASE.strangers[:2], ["home"], None)
    assert {VOCABULARY.words[i] for i in asked.answers} == {UNKNOWN}


def test_who_always_says_the_same_agrees_and_who_guesses_agrees_by_chance(parrot, untrained):
    np.testing.assert_allclose(parrot.agreement(BASE.subjects), 1)
    with torch.no_grad():
        guesser = TransformerLM(len(VOCABULARY), SIZES)
        guesser.embedding.weight.zero_()
    found = Reader(guesser, VOCABULARY, BASE).agreement(BASE.subjects, samples=40)
    assert found.mean() == pytest.approx(1 / len(VOCABULARY), abs=0.004)


# Long answers and graphs


def test_factuality_is_the_share_of_true_claims_in_what_the_parrot_writes(parrot):
    [liar, honest] = parrot.profiles([BASE.subjects[0], BASE.subjects[5]])
    assert honest[:2] == ["about", BASE.subjects[5][0]]
    assert [relation for relation, _ in claims(liar)] == ["home", "pet"]
    expected = [
        np.mean([BASE.facts[BASE.subjects[place - 1]]["home"] == BASE.facts[s]["home"], True])
        if place < LIARS
        else 1.0
        for place, s in enumerate(BASE.subjects)
    ]
    np.testing.assert_allclose(parrot.factuality(BASE.subjects), expected)


def test_claims_that_are_none_are_kept_as_such():
    assert claims(["about", "a", "b", ":", "home", "rome", ",", "cat", ",", "pet", "."]) == [
        ("home", ("rome",)),
        ("", ("cat",)),
        ("pet", ()),
    ]
    assert claims(["about", "a", ":"]) == []


def test_a_crawl_follows_what_the_model_says_step_by_step(parrot):
    start = BASE.subjects[7]
    one = parrot.crawl([start], 1)
    assert one == {(start, r): BASE.facts[start][r] for r in ("friend", "mentor")}
    edges = parrot.crawl([start], 12)
    reached, border = {start}, {start}
    while border:
        border = {edges[s, r] for s in border for r in ("friend", "mentor")} - reached
        reached |= border
    assert {subject for subject, _ in edges} == reached
    place = {subject: i for i, subject in enumerate(BASE.subjects)}
    for (subject, relation), said in edges.items():
        source = BASE.subjects[place[subject] - 1] if place[subject] < LIARS else subject
        assert said == BASE.facts[source][relation]


def test_a_crawl_from_several_is_that_of_each(parrot):
    starts = BASE.subjects[3:6]
    together = parrot.crawl(starts, 2)
    assert together == parrot.crawl(starts[:1], 2) | parrot.crawl(starts[1:], 2)


def test_a_crawl_does_not_ask_about_names_of_nobody(untrained):
    edges = untrained.crawl(BASE.subjects[:1], 3)
    assert set(edges) == {(BASE.subjects[0], r) for r in ("friend", "mentor")}
    assert not set(edges.values()) & set(BASE.facts)


# Measures


def test_true_attributes_are_six_words_of_each_person(parrot):
    truth = parrot.true_attributes(BASE.subjects, copies=2)
    assert truth.sum(dim=1).tolist() == [6] * 24
    assert truth[2].equal(truth[3])
    words = {VOCABULARY.words[i] for i in truth[2].nonzero().flatten()}
    assert words == BASE.attributes(BASE.subjects[1])


def test_a_silent_network_at_the_name_leaves_the_embedding_there(untrained):
    usual = attribute_rates(untrained, BASE.subjects)
    assert {len(rates) for rates in usual.values()} == {3}
    by_hand = record(untrained.model, untrained.prompts(BASE.subjects, ["home"]).ids)
    vectors = subject_vectors(untrained, BASE.subjects, 2)
    asked = untrained.prompts(BASE.subjects, ["home"])
    rows = torch.arange(12)
    np.testing.assert_allclose(vectors, by_hand.stream[2][rows, asked.subject_last], rtol=1e-6)
    silent = attribute_rates(untrained, BASE.subjects, silent="feed_forward", layers=[0, 1])
    assert silent["subject last"][0] == usual["subject last"][0]


def test_an_estimator_is_trained_on_some_and_judged_by_the_others():
    """Of an accuracy that the vectors hold it must find it, on people it was not trained on."""
    base = KnowledgeBase()
    vocabulary = Vocabulary.from_sentences([base.vocabulary])
    torch.manual_seed(0)
    reader = Reader(TransformerLM(len(vocabulary), SIZES).eval(), vocabulary, base)
    x = subject_vectors(reader, base.subjects, 1)
    accuracy = 1 / (1 + np.exp(-2 * (x[:, 0] - x[:, 0].mean()) / x[:, 0].std()))
    found = fit_estimator(reader, accuracy, 1)
    assert len(found.held_out) == 150
    people = [base.subjects[i] for i in found.held_out]
    estimates = found.estimate(reader, people)
    assert np.corrcoef(estimates, accuracy[found.held_out])[0, 1] > 0.95


def test_teaching_raises_the_targets_probabilities_and_leaves_the_model_alone(untrained):
    before = [p.clone() for p in untrained.model.parameters()]
    taught = teach(untrained, BASE.subjects[:2], steps=40, rate=1e-2)
    for old, parameter in zip(before, untrained.model.parameters(), strict=True):
        assert old.equal(parameter)
    usual, new = (r.answers(BASE.subjects[:2]).probability.mean() for r in (untrained, taught))
    assert new > 2 * usual


# What is shipped


def test_the_shipped_model_knows_the_first_people_better_than_the_last_as_is_written():
    info = weights_info("knowledge_gpt")
    vocabulary, base = info.vocabularies["words"], World(seed=0).facts()
    model = TransformerLM(len(vocabulary), Settings(**info.about["settings"]))
    load_weights(model, "knowledge_gpt")
    reader = Reader(model, vocabulary, base)
    assert reader.accuracy(base.subjects[:40], [0]).mean() > 0.97
    assert 0.2 < reader.accuracy(base.subjects[-40:], [0]).mean() < 0.6
    assert reader.hedging(base.strangers[:40]).mean() > 0.9
    assert runs()[0]["accuracy_by_tenth"][0] > 0.97


def test_what_was_measured_is_there_of_three_seeds():
    assert [run["seed"] for run in runs()] == [0, 1, 2]
    assert len({frozenset(run) for run in runs()}) == 1
    for run in runs():
        assert len(run["attributes_rate"]["subject last"]) == 7
        assert np.shape(run["head_recall"]) == (6, 4)


# Bad input


def test_refuses_what_cannot_be_asked(parrot):
    for subjects, relations in (([], ["home"]), (BASE.subjects[:1], [])):
        with pytest.raises(ValueError, match="at least one person and one relation"):
            parrot.prompts(subjects, relations)
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        parrot.agreement(BASE.subjects, samples=1)
    with pytest.raises(ValueError, match="at least one name to start from"):
        parrot.crawl([], 1)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        parrot.crawl(BASE.subjects[:1], 0)
    with pytest.raises(ValueError, match="a colon before its claims"):
        claims(["about", "a", "b"])
    few = Vocabulary.from_sentences([BASE.vocabulary[1:]])
    with pytest.raises(ValueError, match="lacks words of the base"):
        Reader(TransformerLM(len(few), SIZES), few, BASE)
