"""Parses counted without being built, and trees drawn so that they can be read."""

from __future__ import annotations

from math import comb

import matplotlib.pyplot as plt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from nltk import CFG, ChartParser, Tree

from nlp_course import plots, trees

ATTACHMENT = CFG.fromstring("""
    S -> NP VP
    VP -> V NP | VP PP
    NP -> NP PP | Det N | 'I'
    PP -> P NP
    V -> 'saw'
    P -> 'with' | 'on' | 'in'
    Det -> 'the'
    N -> 'man' | 'hill' | 'park'
""")
PHRASES = ["on the hill", "in the park", "with the man", "on the park", "in the hill"]
TREE = Tree.fromstring("(S (NP (N they)) (VP (V discuss) (NP (N violence)) (PP (P on) (N TV))))")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def sentence(phrases):
    return ["I", "saw", "the", "man", *" ".join(PHRASES[i % 5] for i in range(phrases)).split()]


def catalan(n):
    return comb(2 * n, n) // (n + 1)


@pytest.mark.parametrize("phrases", range(5))
def test_counts_are_the_number_of_trees_that_the_chart_parser_builds(phrases):
    built = list(ChartParser(ATTACHMENT).parse(sentence(phrases)))
    assert trees.count_parses(ATTACHMENT, sentence(phrases)) == len(built)


@pytest.mark.parametrize("phrases", [0, 1, 2, 10, 20])
def test_attachments_of_prepositional_phrases_are_catalan_numbers(phrases):
    assert trees.count_parses(ATTACHMENT, sentence(phrases)) == catalan(phrases + 1)


@given(st.integers(1, 30))
def test_bracketings_of_a_compound_are_catalan_numbers(nouns):
    compound = CFG.fromstring("N -> N N | 'tea'")
    assert trees.count_parses(compound, ["tea"] * nouns) == catalan(nouns - 1)


def test_a_rule_may_have_words_among_its_phrases_and_three_parts():
    grammar = CFG.fromstring("S -> 'either' N 'or' N | N\nN -> 'tea' | 'coffee'")
    assert trees.count_parses(grammar, ["either", "tea", "or", "coffee"]) == 1
    assert trees.count_parses(grammar, ["tea"]) == 1
    assert trees.count_parses(grammar, ["either", "tea", "coffee"]) == 0


def test_what_the_grammar_lacks_has_no_tree():
    assert trees.count_parses(ATTACHMENT, ["I", "saw", "the", "dog"]) == 0
    assert trees.count_parses(ATTACHMENT, []) == 0


def test_grammars_with_infinitely_many_trees_are_refused():
    with pytest.raises(ValueError, match=r"go round in a circle: (A → B → A|B → A → B)$"):
        trees.count_parses(CFG.fromstring("A -> B | 'a'\nB -> A"), ["a"])
    with pytest.raises(ValueError, match="empty right side"):
        trees.count_parses(CFG.fromstring("A -> 'a' B\nB -> "), ["a"])


def test_a_drawing_has_every_label_and_the_words_in_order_on_one_line():
    axes = trees.draw_tree(TREE)
    labels = [node.label() for node in TREE.subtrees()]
    assert sorted(text.get_text() for text in axes.texts) == sorted([*labels, *TREE.leaves()])
    words = [text for text in axes.texts if text.get_text() in TREE.leaves()]
    across = [text.get_position()[0] for text in words]
    assert [text.get_text() for text in words] == TREE.leaves()
    assert across == sorted(across)
    assert len({text.get_position()[1] for text in words}) == 1


def test_a_drawing_has_a_line_from_each_node_to_each_child():
    axes = trees.draw_tree(TREE)
    assert len(axes.lines) == sum(len(node) for node in TREE.subtrees())


def test_a_node_stands_midway_between_its_first_and_last_child():
    axes = trees.draw_tree(Tree.fromstring("(S (A a) (B b) (C extraordinary))"))
    across = {text.get_text(): text.get_position()[0] for text in axes.texts}
    assert across["S"] == pytest.approx((across["A"] + across["C"]) / 2)
    assert across["B"] == across["b"] < across["S"]


def test_texts_of_a_drawing_do_not_cover_one_another():
    plots.use_style()
    axes = trees.draw_tree(TREE)
    axes.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    pairs = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i]]
    assert not any(a.overlaps(b) for a, b in pairs)


def test_a_marked_phrase_differs_by_more_than_colour():
    axes = trees.draw_tree(TREE, marked="PP")
    marked = next(text for text in axes.texts if text.get_text() == "PP")
    assert marked.get_bbox_patch() is not None
    thick = [line for line in axes.lines if line.get_linewidth() > 2]
    # From PP to P and N, and from these to their words.
    assert len(thick) == 4
    assert {to_hex(line.get_color(), False).upper() for line in thick} == {
        plots.COLOURS["vermilion"]
    }


def test_a_tree_of_one_word_is_drawn():
    axes = trees.draw_tree(Tree.fromstring("(N tea)"), ax=plt.subplots()[1])
    assert [text.get_text() for text in axes.texts] == ["tea", "N"]


def test_a_tree_without_words_is_refused():
    with pytest.raises(ValueError, match="no words"):
        trees.draw_tree(Tree("S", []))
