"""Exact match and F1 of short answers: SQuAD's rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course.metrics_answers import exact_match, normalized_answer, token_f1


def test_case_punctuation_and_articles_do_not_matter():
    assert exact_match("The Alps.", "alps")
    assert exact_match("an  Otter!", "otter")
    assert not exact_match("Swiss Alps", "the Alps")
    assert normalized_answer("Theodore, the an-swer") == ["theodore", "answer"]


def test_an_article_is_a_word_by_itself():
    assert normalized_answer("Athens than anthem") == ["athens", "than", "anthem"]


def test_the_best_of_several_gold_answers_counts():
    assert exact_match("Bonn", "Berlin", "Bonn")
    assert token_f1("in Bonn", "Berlin", "Bonn") == pytest.approx(2 / 3)


def test_f1_worked_by_hand():
    # "swiss", "alps" of "in swiss alps": 2 · 2 / (2 + 3).
    assert token_f1("the Swiss Alps", "in the Swiss Alps") == pytest.approx(4 / 5)
    # A word counts as often as both have it.
    assert token_f1("no no no", "no") == pytest.approx(2 / 4)


@pytest.mark.parametrize(
    ("answer", "gold", "value"), [("", "", 1), ("the", "", 1), ("Bonn", "", 0), ("", "Bonn", 0)]
)
def test_an_empty_answer_is_right_where_there_is_none(answer, gold, value):
    assert exact_match(answer, gold) == value == token_f1(answer, gold)


WORDS = st.text(alphabet="ab the.", max_size=12)


@given(WORDS, WORDS)
def test_f1_is_symmetric_and_1_where_the_match_is_exact(first, second):
    value = token_f1(first, second)
    assert value == token_f1(second, first)
    assert 0 <= value <= 1
    if exact_match(first, second):
        assert value == 1


def test_a_question_without_gold_answers_is_refused():
    for score in (exact_match, token_f1):
        with pytest.raises(ValueError, match="give at least one gold answer"):
            score("Bonn")
