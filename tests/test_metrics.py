"""BLEU: values worked by hand, limits, and sacrebleu's on any text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course import data, text
from nlp_course.metrics import bleu

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
