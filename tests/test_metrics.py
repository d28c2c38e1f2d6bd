"""BLEU and chrF: values worked by hand, limits, and sacrebleu's on any text."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course import data, text
from nlp_course.metrics import (
    bleu,
    bleu_counts,
    bleu_difference,
    bleu_interval,
    bleu_of_counts,
    chrf,
)

sacrebleu = pytest.importorskip("sacrebleu", reason="sacrebleu is not installed")

REFERENCE = "the cat sat on the mat".split()  # noqa: SIM905


def by_sacrebleu(hypotheses, *references):
    def lines(sentences):
        return [" ".join(tokens) for tokens in sentences]

    return sacrebleu.corpus_bleu(lines(hypotheses), [*map(lines, references)], tokenize="none")


def assert_same(ours, theirs):
    assert ours.score == pytest.approx(theirs.score, abs=1e-9)
    assert ours.brevity_penalty == pytest.approx(theirs.bp)
    assert (ours.length, ours.reference_length) == (theirs.sys_len, theirs.ref_len)
    assert ours.precisions == pytest.approx(tuple(theirs.precisions))


def test_a_text_compared_with_itself_has_100():
    score = bleu([REFERENCE, list("abcde")], [REFERENCE, list("abcde")])
    assert score.score == pytest.approx(100)
    assert score == (score.score, (100.0,) * 4, 1.0, 11, 11)


def test_value_worked_by_hand():
    # "the cat sat on a mat": 5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3 quadruples.
    score = bleu([["the", "cat", "sat", "on", "a", "mat"]], [REFERENCE])
    assert score.precisions == pytest.approx((500 / 6, 60, 50, 100 / 3))
    assert score.score == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    assert score.brevity_penalty == 1


def test_a_word_is_right_only_as_often_as_one_reference_has_it():
    # Papineni's example: seven times "the" against two and one.
    one = "the cat is on the mat".split()  # noqa: SIM905
    two = ["there", "is", "a", "cat", "on", "the", "mat"]
    assert bleu([["the"] * 7], [one], [two]).precisions[0] == pytest.approx(100 * 2 / 7)
    assert bleu([["the"] * 7], [two]).precisions[0] == pytest.approx(100 / 7)


def test_a_text_too_short_is_punished_by_its_length_and_one_too_long_is_not():
    begun = bleu([REFERENCE[:5]], [REFERENCE])
    assert begun.precisions == (100,) * 4
    assert begun.score == pytest.approx(100 * math.exp(1 - 6 / 5))
    assert bleu([[*REFERENCE, "."]], [REFERENCE]).brevity_penalty == 1


def test_length_counts_over_the_whole_text():
    """One sentence may be too short if another is too long."""
    texts = [REFERENCE[:5], [*REFERENCE, "."]]
    assert bleu(texts, [REFERENCE, REFERENCE]).brevity_penalty == 1


def test_of_several_references_the_nearest_in_length_counts_and_of_two_the_shorter():
    lengths = {(4, 9): 4, (7, 5): 5, (6, 4): 6, (9, 3): 3, (9, 2): 9}
    for (first, second), nearest in lengths.items():
        score = bleu([REFERENCE], [["x"] * first], [["x"] * second])
        assert score.reference_length == nearest


def test_orders_without_a_match_count_a_half_then_a_quarter():
    # Two of four words are right, and no longer run is.
    score = bleu([["a", "x", "b", "y"]], [["b", "a", "c", "d"]])
    expected = (100 * 2 / 4, 100 * 0.5 / 3, 100 * 0.25 / 2, 100 * 0.125 / 1)
    assert score.precisions == pytest.approx(expected)
    assert score.score == pytest.approx(math.prod(expected) ** 0.25)


@pytest.mark.parametrize("hypothesis", [[], ["dog"], ["the", "cat", "sat"]])
def test_nothing_right_and_nothing_long_enough_have_0(hypothesis):
    assert bleu([hypothesis], [REFERENCE]).score == 0


def test_the_order_of_sentences_does_not_matter_and_their_order_of_words_does():
    texts, references = [REFERENCE, list("abcd")], [list("the cat"), list("abdc")]
    assert bleu(texts, references) == bleu(texts[::-1], references[::-1])
    assert bleu([REFERENCE[::-1]], [REFERENCE]).score < 20


TOKENS = st.lists(st.sampled_from("abcd"), max_size=9)


@given(st.lists(st.tuples(TOKENS, TOKENS, TOKENS), min_size=1, max_size=5), st.booleans())
def test_scores_are_those_of_sacrebleu(rows, two):
    hypotheses, first, second = (list(column) for column in zip(*rows, strict=True))
    references = [first, second] if two else [first]
    assert_same(bleu(hypotheses, *references), by_sacrebleu(hypotheses, *references))


@given(st.lists(st.sampled_from("abcdefgh"), min_size=4, max_size=30), st.integers(0, 1000))
def test_scores_of_texts_that_differ_little_are_those_of_sacrebleu(tokens, place):
    other = [*tokens]
    other[place % len(tokens)] = "z"
    assert_same(bleu([other], [tokens]), by_sacrebleu([other], [tokens]))


@pytest.mark.real_data
def test_scores_of_real_text_are_those_of_sacrebleu():
    """Captions of one picture said to be translations of the next one's, and shuffled ones."""
    captions = data.load("multi30k").splits["test"].records
    english = [text.tokenize(text.normalize(pair.source)) for pair in captions]
    mixed = [
        [*sentence[:6], *other[6:]]
        for sentence, other in zip(english, english[1:] + english[:1], strict=True)
    ]
    ours = bleu(mixed, english)
    assert_same(ours, by_sacrebleu(mixed, english))
    assert 20 < ours.score < 80
    assert_same(bleu(mixed, english, mixed[::-1]), by_sacrebleu(mixed, english, mixed[::-1]))


@pytest.mark.parametrize(
    ("hypotheses", "references", "says"),
    [
        ([REFERENCE], [], "give at least one"),
        ([], [[]], "there is no sentence to score"),
        ([REFERENCE, REFERENCE], [[REFERENCE]], "got 2 hypotheses and 1 sentences in reference 1"),
        ([REFERENCE], [[REFERENCE], []], "got 1 hypotheses and 0 sentences in reference 2"),
    ],
)
def test_texts_that_cannot_be_compared_are_refused(hypotheses, references, says):
    with pytest.raises(ValueError, match=says):
        bleu(hypotheses, *references)


def test_bleu_of_a_part_is_that_of_the_sum_of_its_counts():
    texts, references = (
        [REFERENCE[:5], list("abcd"), REFERENCE],
        [REFERENCE, list("abdc"), REFERENCE],
    )
    counts = bleu_counts(texts, references)
    assert counts.shape == (3, 10)
    assert bleu_of_counts(counts[1:].sum(axis=0)) == bleu(texts[1:], references[1:])
    assert counts[0].tolist() == [5, 4, 3, 2, 5, 4, 3, 2, 5, 6]


def worse_and_better(sentences=60):
    """References, translations with two wrong words in each, and with one."""
    rng = np.random.default_rng(0)
    references, worse, better = [], [], []
    for _ in range(sentences):
        reference = [f"w{i}" for i in rng.integers(1000, size=12)]
        places = rng.permutation(12)[:2]
        references.append(reference)
        worse.append(["x" if i in places else word for i, word in enumerate(reference)])
        better.append(["x" if i == places[0] else word for i, word in enumerate(reference)])
    return references, worse, better


def test_an_interval_holds_the_score_and_narrows_with_sentences():
    references, worse, _ = worse_and_better(200)
    few, many = (bleu_interval(worse[:n], references[:n]) for n in (20, 200))
    for interval, n in ((few, 20), (many, 200)):
        assert interval.low < interval.estimate < interval.high
        assert interval.estimate == bleu(worse[:n], references[:n]).score
    assert many.high - many.low < 0.6 * (few.high - few.low)


def test_the_interval_is_that_of_sacrebleus_bootstrap():
    references, worse, _ = worse_and_better()
    ours = bleu_interval(worse, references, resamples=2000)
    theirs = sacrebleu.BLEU(tokenize="none").corpus_score(
        [" ".join(tokens) for tokens in worse],
        [[" ".join(tokens) for tokens in references]],
        n_bootstrap=2000,
    )
    assert (ours.high - ours.low) / 2 == pytest.approx(theirs._ci, rel=0.1)


def test_a_paired_difference_is_surer_than_two_scores_apart():
    references, worse, better = worse_and_better()
    difference = bleu_difference(better, worse, references)
    scores = [bleu(text, references).score for text in (better, worse)]
    assert difference.estimate == pytest.approx(scores[0] - scores[1])
    assert 0 < difference.low < difference.high
    apart = [bleu_interval(text, references) for text in (better, worse)]
    independent = math.hypot(*(one.high - one.low for one in apart))
    assert difference.high - difference.low < independent
    assert bleu_difference(worse, worse, references) == (0, 0, 0)


def chrf_by_sacrebleu(hypotheses, *references, words=0, beta=2):
    metric = sacrebleu.CHRF(word_order=words, beta=beta)
    return metric.corpus_score(hypotheses, [*references]).score


def test_chrf_of_a_text_with_itself_is_100_and_with_nothing_in_common_0():
    assert chrf(["the cat", "sat"], ["the cat", "sat"]) == pytest.approx(100)
    assert chrf(["abc"], ["xyz"]) == chrf([""], ["abc"]) == chrf(["abc"], [""]) == 0
    assert chrf([""], [""]) == 0


def test_chrf_worked_by_hand():
    # "ab" of "abc": characters 2/2 and 2/3, pairs 1/1 and 1/2; the reference alone has a triple.
    precision, recall = 1, (2 / 3 + 1 / 2) / 2
    expected = 100 * 5 * precision * recall / (4 * precision + recall)
    assert chrf(["ab"], ["abc"]) == pytest.approx(expected)


def test_chrf_counts_recall_more_and_blanks_not_at_all():
    assert chrf(["the cat sat on"], ["the cat"]) > chrf(["the cat"], ["the cat sat on"])
    assert chrf(["the cat sat on"], ["the cat"], beta=0.5) < chrf(
        ["the cat"], ["the cat sat on"], beta=0.5
    )
    assert chrf(["the cat"], ["thecat"]) == pytest.approx(100)
    assert chrf(["the cat"], ["thecat"], words=2) < 100


SENTENCES = st.text(alphabet="abc .,(é", max_size=14)


@given(
    st.lists(st.tuples(SENTENCES, SENTENCES, SENTENCES), min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([1, 2, 3]),
)
def test_chrf_is_that_of_sacrebleu(rows, two, words, beta):
    hypotheses, first, second = (list(column) for column in zip(*rows, strict=True))
    references = [first, second] if two else [first]
    ours = chrf(hypotheses, *references, words=words, beta=beta)
    assert ours == pytest.approx(
        chrf_by_sacrebleu(hypotheses, *references, words=words, beta=beta), abs=1e-9
    )


@pytest.mark.real_data
def test_chrf_of_real_text_is_that_of_sacrebleu():
    captions = data.load("multi30k").splits["test"].records[:300]
    english = [pair.source for pair in captions]
    moved = english[1:] + english[:1]
    for words in (0, 2):
        ours = chrf(moved, english, words=words)
        assert ours == pytest.approx(chrf_by_sacrebleu(moved, english, words=words))
    assert 10 < ours < 40


@pytest.mark.parametrize(
    ("references", "settings", "says"),
    [
        ([], {}, "chrF compares with references"),
        ([["a", "b"]], {}, "got 1 hypotheses and 2 sentences"),
        ([["a"]], {"words": -1}, "words must be at least 0"),
        ([["a"]], {"beta": 0}, "beta above 0"),
    ],
)
def test_chrf_refuses_what_it_cannot_compare(references, settings, says):
    with pytest.raises(ValueError, match=says):
        chrf(["a"], *references, **settings)
