"""Entities, their score beside seqeval's, and taggers over frozen vectors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_course import tagging as ta
from nlp_course.geometry import whiten
from nlp_course.similarity import WordVectors
from nlp_course.tagging_baselines import DictionaryTagger, FrequentTagger
from nlp_course.text import Vocabulary

sequence_labeling = pytest.importorskip(
    "seqeval.metrics.sequence_labeling", reason="seqeval is not installed"
)

TAGS = ("O", "B-person", "I-person", "B-place", "I-place", "B-creative-work", "I-creative-work")
# Any order of tags, well-formed or not.
SENTENCES = st.lists(st.lists(st.tuples(*[st.sampled_from(TAGS)] * 2), max_size=9), min_size=1)


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("B-a I-a O B-b", [("a", 0, 2), ("b", 3, 4)]),
        ("B-a B-a", [("a", 0, 1), ("a", 1, 2)]),
        ("O I-a I-a O", [("a", 1, 3)]),
        ("B-a I-b I-b", [("a", 0, 1), ("b", 1, 3)]),
        ("I-a B-a I-a", [("a", 0, 1), ("a", 1, 3)]),
        ("O O", []),
        ("", []),
    ],
)
def test_entities_well_formed_and_not(tags, spans):
    assert [tuple(entity) for entity in ta.entities(tags.split())] == spans


@given(st.lists(st.sampled_from(TAGS), max_size=12))
def test_entities_are_seqevals(tags):
    found = sequence_labeling.get_entities(list(tags))
    theirs = [(kind, start, end + 1) for kind, start, end in found]
    assert [tuple(entity) for entity in ta.entities(tags)] == theirs


@pytest.mark.parametrize("tag", ["person", "E-person", "B-", "b-person", "", "O-person", "B"])
def test_a_tag_that_is_not_bio_is_refused(tag):
    with pytest.raises(ValueError, match="must be O, B-kind or I-kind"):
        ta.entities(["O", tag])


def test_scores_worked_by_hand():
    gold = [["B-person", "I-person", "O", "B-place"], ["B-person", "O"]]
    predicted = [["B-person", "O", "O", "B-place"], ["B-person", "B-place"]]
    overall, by_kind = ta.entity_scores(gold, predicted)
    # "B-person" alone is not the entity of two tokens: a wrong end is wrong.
    assert overall == (2 / 4, 2 / 3, 4 / 7, 2, 4, 3)
    assert by_kind["person"] == (1 / 2, 1 / 2, 1 / 2, 1, 2, 2)
    assert by_kind["place"] == (1 / 2, 1, 2 / 3, 1, 2, 1)
    assert ta.entity_scores(gold, predicted).macro_f1 == pytest.approx((1 / 2 + 2 / 3) / 2)


@settings(max_examples=50)
@given(SENTENCES)
def test_scores_are_seqevals(sentences):
    gold = [[right for right, _ in sentence] for sentence in sentences]
    predicted = [[guess for _, guess in sentence] for sentence in sentences]
    count = sequence_labeling.precision_recall_fscore_support
    ours = ta.entity_scores(gold, predicted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ratios that have nothing below
        micro = count(gold, predicted, average="micro")
        macro = sequence_labeling.f1_score(gold, predicted, average="macro") if ours.by_kind else 0
        kinds = count(gold, predicted, average=None)
    assert ours.overall[:3] == pytest.approx(micro[:3])
    assert ours.overall.gold == micro[3]
    assert ours.macro_f1 == pytest.approx(macro)
    found = list(ours.by_kind.values())
    assert [score.gold for score in found] == list(kinds[3])
    for column in range(3):
        assert [score[column] for score in found] == pytest.approx(list(kinds[column]))


def test_perfect_and_empty_predictions():
    gold = [["B-a", "I-a", "O"], ["O", "B-b"]]
    assert ta.entity_scores(gold, gold).overall.f1 == 1
    nothing = ta.entity_scores(gold, [["O"] * len(tags) for tags in gold])
    assert nothing.overall == (0, 0, 0, 0, 0, 2)
    none_to_find = ta.entity_scores([["O"]], [["O"]])
    assert (none_to_find.overall.f1, none_to_find.macro_f1, none_to_find.by_kind) == (0, 0, {})


def test_scores_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="got 1 and 2"):
        ta.entity_scores([["O"]], [["O"], ["O"]])
    with pytest.raises(ValueError, match="got 0 and 0"):
        ta.entity_scores([], [])
    with pytest.raises(ValueError, match="sentence 1 has 2 gold and 1 predicted tags"):
        ta.entity_scores([["O"], ["O", "O"]], [["O"], ["O"]])


def random_tags(rng, sentences, wrong=0.0):
    gold = [rng.choice(["O", "B-a", "B-b"], size=6, p=[0.5, 0.3, 0.2]) for _ in range(sentences)]
    guess = [np.where(rng.random(6) < wrong, "O", tags) for tags in gold]
    return [tags.tolist() for tags in gold], [tags.tolist() for tags in guess]


def test_f1_interval_holds_the_f1_and_narrows_with_more_sentences():
    rng = np.random.default_rng(0)
    widths = []
    for sentences in (50, 800):
        gold, predicted = random_tags(rng, sentences, wrong=0.4)
        interval = ta.f1_interval(gold, predicted, resamples=500)
        assert interval.estimate == pytest.approx(ta.entity_scores(gold, predicted).overall.f1)
        assert interval.low < interval.estimate < interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.4)


def test_f1_interval_covers_the_f1_of_all_sentences():
    gold, predicted = random_tags(np.random.default_rng(1), 5000, wrong=0.4)
    truth = ta.entity_scores(gold, predicted).overall.f1
    covered = 0
    for start in range(0, 5000, 50):
        some = slice(start, start + 50)
        interval = ta.f1_interval(gold[some], predicted[some], resamples=300, seed=start)
        covered += interval.low <= truth <= interval.high
    assert 88 <= covered <= 100  # of 100; 95 expected, with a standard deviation of 2.2


def test_f1_difference_is_paired():
    rng = np.random.default_rng(2)
    gold, first = random_tags(rng, 300, wrong=0.3)
    second = [["O", *tags[1:]] for tags in first]
    difference = ta.f1_difference(gold, first, second, resamples=500)
    f1 = [ta.entity_scores(gold, tags).overall.f1 for tags in (first, second)]
    assert difference.estimate == pytest.approx(f1[0] - f1[1])
    assert 0 < difference.low < difference.high
    assert ta.f1_difference(gold, first, first)[:] == (0, 0, 0)


def test_an_interval_without_entities_is_refused():
    with pytest.raises(ValueError, match="resamples have no value"):
        ta.f1_interval([["O"]] * 5, [["O"]] * 5)


WORDS = ("paris", "rome", "anna", "ben", "sees", "likes", ".")
KINDS = {"paris": "B-place", "rome": "B-place", "anna": "B-person", "ben": "B-person"}


@pytest.fixture(scope="module")
def vectors() -> WordVectors:
    points = np.array([[5.0, 0], [6, 0], [0, 5], [0, 6], [-3, -3], [-4, -3], [-5, -1]])
    return WordVectors(Vocabulary(WORDS, np.ones(7, dtype=int)), points)


@pytest.fixture(scope="module")
def trained(vectors) -> ta.WindowTagger:
    sentences = [["Anna", "sees", "Paris", "."], ["Anna", "likes", "Paris"]] * 10
    tags = [[KINDS.get(word.lower(), "O") for word in tokens] for tokens in sentences]
    return ta.WindowTagger(vectors, window=1).fit(sentences, tags)


def test_a_word_never_tagged_is_known_by_its_vector(trained):
    assert trained.predict([["Ben", "likes", "Rome", "."]]) == [["B-person", "O", "B-place", "O"]]


def test_features_are_vectors_and_writing_of_each_place(vectors):
    tagger = ta.WindowTagger(vectors, window=1)
    features = tagger.features([["Paris", "BEN"], ["x2", "."]])
    assert features.shape == (4, 3 * (2 + 6))
    scaled = whiten(vectors.vectors)  # (word, 2)
    edge = [0, 0, 0, 0, 0, 0, 0, 1]
    paris, ben = [*scaled[0], 1, 0, 0, 0, 0, 0], [*scaled[3], 1, 1, 0, 0, 0, 0]
    unknown, stop = [0, 0, 0, 0, 1, 0, 1, 0], [*scaled[6], 0, 0, 0, 1, 0, 0]
    expected = [
        edge + paris + ben,
        paris + ben + edge,
        edge + unknown + stop,
        unknown + stop + edge,
    ]
    np.testing.assert_allclose(features, expected, atol=1e-6)


def test_without_a_window_a_token_is_seen_alone(vectors):
    tagger = ta.WindowTagger(vectors, window=0)
    together = tagger.features([["Anna", "sees", "Rome"]])
    alone = tagger.features([["Anna"], ["sees"], ["Rome"]])
    np.testing.assert_array_equal(together, alone)


def test_sentences_do_not_see_one_another(vectors):
    tagger = ta.WindowTagger(vectors, window=2)
    both = tagger.features([["Anna"], ["Rome", "."]])
    np.testing.assert_array_equal(both[:1], tagger.features([["Anna"]]))
    np.testing.assert_array_equal(both[1:], tagger.features([["Rome", "."]]))


def test_an_empty_sentence_has_no_tags(trained):
    assert trained.predict([[], ["Rome"], []]) == [[], ["B-place"], []]


def test_a_linear_map_of_the_vectors_changes_nothing(vectors, trained):
    turned = WordVectors(vectors.vocabulary, vectors.vectors @ np.array([[3.0, 1.0], [-0.5, 0.01]]))
    sentences = [["Anna", "sees", "Paris", "."], ["Anna", "likes", "Paris"]] * 10
    tags = [[KINDS.get(word.lower(), "O") for word in tokens] for tokens in sentences]
    other = ta.WindowTagger(turned, window=1).fit(sentences, tags)
    unseen = [["Ben", "likes", "Rome"], ["Rome"], ["Ben", "sees", "a", "house", "."]]
    probability = [
        tagger.classifier.predict_proba(tagger.features(unseen)) for tagger in (trained, other)
    ]
    np.testing.assert_allclose(*probability, atol=0.02)
    assert trained.predict(unseen) == other.predict(unseen)


def test_the_tagger_refuses_what_it_cannot_learn(vectors):
    for values, message in (
        ({"window": -1}, "window must be at least 0, got -1"),
        ({"strength": 0.0}, "strength must be above 0"),
        ({"max_iterations": 0}, "max_iterations must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            ta.WindowTagger(vectors, **values)
    flat = WordVectors(vectors.vocabulary, np.ones((7, 2)))
    with pytest.raises(ValueError, match="do not vary in all 2 directions"):
        ta.WindowTagger(flat)
    tagger = ta.WindowTagger(vectors)
    with pytest.raises(RuntimeError, match="call fit first"):
        tagger.predict([["Rome"]])
    with pytest.raises(ValueError, match="all tags are the same"):
        tagger.fit([["Rome", "."]], [["O", "O"]])
    with pytest.raises(ValueError, match="differ in length"):
        tagger.fit([["Rome", "."]], [["O"]])
    with pytest.raises(ValueError, match="there is no token"):
        tagger.features([[]])


def test_the_dictionary_finds_the_longest_run_it_has_seen():
    sentences = [["New", "York"], ["New", "York", "Times"], ["York"], ["york"], ["York"]]
    tags = [
        ["B-place", "I-place"],
        ["B-group", "I-group", "I-group"],
        ["B-person"],
        ["B-place"],
        ["B-place"],
    ]
    tagger = DictionaryTagger().fit(sentences, tags)
    found = tagger.predict([["the", "NEW", "York", "Times", "of", "York"], ["New"]])
    assert found == [["O", "B-group", "I-group", "I-group", "O", "B-place"], ["O"]]


def test_the_dictionary_knows_its_training_entities_where_they_do_not_disagree():
    gold = [["B-a", "I-a", "O", "B-b"]]
    tokens = [["one", "two", "three", "four"]]
    assert DictionaryTagger().fit(tokens, gold).predict(tokens) == gold
    assert DictionaryTagger().fit([["one"]], [["O"]]).predict([["one", "two"]]) == [["O", "O"]]


def test_the_frequent_tagger_gives_a_word_its_usual_tag():
    tagger = FrequentTagger().fit([["a", "b", "A", "a"]], [["B-x", "O", "B-x", "O"]])
    # Two of each: the first in the alphabet is the commonest of all.
    assert tagger.predict([["A", "b", "new"]]) == [["B-x", "O", "B-x"]]


@pytest.mark.real_data
def test_wnut_and_conll2000_hold_bio_tags_that_both_scorers_read_alike():
    from nlp_course import data

    for name in ("wnut17", "conll2000"):
        records = data.load(name).splits["test"].records[:300]
        gold = [record.tags for record in records]
        # Each tag moved by one place: many ill-formed sequences, some entities still right.
        moved = [tags[1:] + tags[:1] for tags in gold]
        ours = ta.entity_scores(gold, moved).overall
        assert ours.f1 == pytest.approx(sequence_labeling.f1_score(gold, moved))
        assert ta.entity_scores(gold, gold).overall.f1 == 1
