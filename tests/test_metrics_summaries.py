"""ROUGE: values worked by hand, limits, and rouge-score's on any text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course import data, text
from nlp_course.metrics_summaries import rouge_l, rouge_lsum, rouge_n

rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="rouge-score is missing")

CAT = "the cat sat on the mat".split()  # noqa: SIM905


class Blanks:
    """Tokens as they are: the default tokenizer of rouge-score keeps a-z and 0-9 alone."""

    def tokenize(self, line):
        return line.split()


def by_rouge_score(kind, hypothesis, reference):
    scorer = rouge_scorer.RougeScorer([kind], tokenizer=Blanks())
    return tuple(scorer.score(reference, hypothesis)[kind])


def test_a_text_with_itself_has_1_and_with_nothing_in_common_0():
    for score in (rouge_n(CAT, CAT, 1), rouge_n(CAT, CAT, 2), rouge_l(CAT, CAT)):
        assert score == (1, 1, 1)
    assert rouge_lsum([CAT, ["a"]], [CAT, ["a"]]) == (1, 1, 1)
    assert rouge_n(CAT, ["dog"], 1) == rouge_l(CAT, ["dog"]) == (0, 0, 0)
    assert rouge_lsum([CAT], [["dog"]]) == (0, 0, 0)


@pytest.mark.parametrize(("ours", "theirs"), [([], CAT), (CAT, []), ([], [])])
def test_an_empty_text_has_0(ours, theirs):
    assert rouge_n(ours, theirs, 1) == rouge_l(ours, theirs) == (0, 0, 0)
    assert rouge_lsum([ours], [theirs]) == rouge_lsum([], [theirs]) == (0, 0, 0)


def test_values_worked_by_hand():
    # Shared pairs of "the cat is on the mat": the cat, on the, the mat.
    other = "the cat is on the mat".split()  # noqa: SIM905
    assert rouge_n(other, CAT, 2) == (3 / 5, 3 / 5, 3 / 5)
    # Lin's example: the first keeps the order of three words, the second of two.
    police = "police killed the gunman".split()  # noqa: SIM905
    assert rouge_l("police kill the gunman".split(), police).recall == 3 / 4  # noqa: SIM905
    assert rouge_l("the gunman kill police".split(), police).recall == 2 / 4  # noqa: SIM905


def test_a_word_counts_as_often_as_both_have_it():
    assert rouge_n(["the"] * 6, CAT, 1) == (2 / 6, 2 / 6, 2 / 6)


def test_summaries_join_what_their_sentences_have_of_a_reference():
    # Lin's example of section 3.2: w1 w2 of one sentence and w1 w3 w5 of the other.
    reference = ["w1", "w2", "w3", "w4", "w5"]
    hypothesis = [["w1", "w2", "w6", "w7", "w8"], ["w1", "w3", "w8", "w9", "w5"]]
    assert rouge_lsum(hypothesis, [reference]).recall == 4 / 5
    assert rouge_lsum(hypothesis, [reference]).precision == 4 / 10


TOKENS = st.lists(st.sampled_from("abcd"), max_size=9)


@given(TOKENS, TOKENS, st.sampled_from([1, 2, 3]))
def test_scores_are_those_of_rouge_score(ours, theirs, n):
    lines = " ".join(ours), " ".join(theirs)
    assert rouge_n(ours, theirs, n) == pytest.approx(by_rouge_score(f"rouge{n}", *lines))
    assert rouge_l(ours, theirs) == pytest.approx(by_rouge_score("rougeL", *lines))


@given(st.lists(TOKENS, max_size=4), st.lists(TOKENS, max_size=4))
def test_scores_of_several_sentences_are_those_of_rouge_score(ours, theirs):
    lines = ["\n".join(" ".join(tokens) for tokens in sentences) for sentences in (ours, theirs)]
    assert rouge_lsum(ours, theirs) == pytest.approx(by_rouge_score("rougeLsum", *lines))


@pytest.mark.real_data
def test_scores_of_real_text_are_those_of_rouge_score():
    captions = data.load("multi30k").splits["test"].records[:60]
    english = [text.tokenize(text.normalize(pair.source)) for pair in captions]
    for ours, theirs in pairwise(english):
        lines = " ".join(ours), " ".join(theirs)
        assert rouge_l(ours, theirs) == pytest.approx(by_rouge_score("rougeL", *lines))
    first, second = english[:10], english[10:20]
    lines = ["\n".join(" ".join(tokens) for tokens in one) for one in (first, second)]
    assert rouge_lsum(first, second) == pytest.approx(by_rouge_score("rougeLsum", *lines))


def test_n_is_at_least_1():
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        rouge_n(CAT, CAT, 0)
