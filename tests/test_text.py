"""Text to ids and back: nothing lost, nothing guessed."""

from __future__ import annotations

import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course import text

SENTENCES = [["b", "a", "c"], ["a", "b", "a"], ["d"]]


@given(st.text())
def test_normalizing_twice_changes_nothing_more(raw):
    once = text.normalize(raw)
    assert text.normalize(once) == once


def test_composed_and_decomposed_letters_become_one_spelling():
    assert text.normalize("Cafe\u0301") == text.normalize("CAFÉ") == "café"
    assert text.normalize("A  B", lowercase=False) == "A B"


@given(st.text())
def test_tokens_hold_every_sign_but_white_space(raw):
    assert "".join(text.tokenize(raw)) == "".join(raw.split())


@pytest.mark.parametrize(
    ("raw", "tokens"),
    [
        ("rock'n'roll, don't!", ["rock'n'roll", ",", "don't", "!"]),
        ("3.14 and 1,000.", ["3.14", "and", "1,000", "."]),
        ("well-known -- x2 B2B", ["well-known", "-", "-", "x2", "B2B"]),
        ("a 62-year-old's 3rd, at 10:30", ["a", "62-year-old's", "3rd", ",", "at", "10:30"]),
        ("2, end.Start 4.x", ["2", ",", "end", ".", "Start", "4", ".", "x"]),
        ("snake_case 'quoted'", ["snake", "_", "case", "'", "quoted", "'"]),
        ("שָׁלוֹם, עולם", ["שָׁלוֹם", ",", "עולם"]),
        ("צה״ל בית־ספר", ["צה״ל", "בית־ספר"]),
        ("हिन्दी ❤️!", ["हिन्दी", "❤️", "!"]),
        ("می\u200cخواهم بروم؟", ["می\u200cخواهم", "بروم", "؟"]),
        ("", []),
    ],
)
def test_tokens_by_hand(raw, tokens):
    assert text.tokenize(raw) == tokens


def test_no_mark_of_unicode_cuts_a_word():
    marks = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in ("Mn", "Mc", "Me")
    ]
    assert [mark for mark in marks if text.tokenize(f"a{mark}b") != [f"a{mark}b"]] == []


def test_sentences_end_with_their_marks():
    assert text.split_sentences('He said "Stop!" She left. Why? ') == [
        'He said "Stop!"',
        "She left.",
        "Why?",
    ]
    assert text.split_sentences("v. 3.14") == ["v.", "3.14"]
    assert text.split_sentences("") == []


def test_ids_fall_with_counts_and_ties_are_alphabetical():
    vocabulary = text.Vocabulary.from_sentences(SENTENCES)
    assert list(vocabulary) == ["a", "b", "c", "d"]
    assert vocabulary.counts.tolist() == [3, 2, 1, 1]


@given(st.lists(st.lists(st.text(max_size=3), max_size=5), min_size=1).filter(any))
def test_encoding_and_decoding_give_the_words_back(sentences):
    vocabulary = text.Vocabulary.from_sentences(sentences)
    for sentence in sentences:
        assert vocabulary.decode(vocabulary.encode(sentence)) == sentence
    assert vocabulary.counts.sum() == sum(map(len, sentences))


def test_the_unknown_word_stands_for_the_rare_ones_and_has_their_count():
    vocabulary = text.Vocabulary.from_sentences(
        SENTENCES, min_count=2, unknown="<unk>", specials=["<s>"]
    )
    assert vocabulary.words == ("<unk>", "<s>", "a", "b")
    assert vocabulary.counts.tolist() == [2, 0, 3, 2]
    assert vocabulary.encode(["a", "zebra"]).tolist() == [2, 0]
    assert "zebra" not in vocabulary


def test_the_largest_size_counts_the_special_words():
    vocabulary = text.Vocabulary.from_sentences(SENTENCES, max_size=2, unknown="<unk>")
    assert vocabulary.words == ("<unk>", "a")
    assert vocabulary.counts.sum() == 7


def test_the_unknown_word_stays_where_the_specials_have_it():
    vocabulary = text.Vocabulary.from_sentences(
        SENTENCES, min_count=3, unknown="<unk>", specials=["<pad>", "<unk>"]
    )
    assert vocabulary.words == ("<pad>", "<unk>", "a")
    assert vocabulary.counts.tolist() == [0, 4, 3]
    assert vocabulary.encode(["zebra", "b"]).tolist() == [1, 1]


def test_a_special_word_of_the_corpus_keeps_its_count():
    vocabulary = text.Vocabulary.from_sentences([["a", "</s>"], ["</s>"]], specials=["</s>"])
    assert (vocabulary.words, vocabulary.counts.tolist()) == (("</s>", "a"), [2, 1])


def test_a_vocabulary_cannot_be_changed():
    counts = np.array([2, 1])
    vocabulary = text.Vocabulary(("a", "b"), counts)
    counts[0] = 99
    assert vocabulary.counts.tolist() == [2, 1]
    with pytest.raises(ValueError, match="read-only"):
        vocabulary.counts[0] = 99
    with pytest.raises(AttributeError):
        vocabulary.words = ("c",)


def test_vocabularies_are_equal_when_they_give_the_same_ids():
    first = text.Vocabulary.from_sentences([["a", "a", "b"]])
    assert first == text.Vocabulary.from_sentences([["b", "a"]])
    assert first != text.Vocabulary.from_sentences([["b", "b", "a"]])
    assert len({first, text.Vocabulary.from_sentences([["a", "b"]])}) == 1


def test_words_outside_are_left_out_or_named():
    vocabulary = text.Vocabulary.from_sentences([["only"]])
    assert len(vocabulary) == 1
    assert vocabulary.encode_known(["x", "only", "y"]).tolist() == [0]
    with pytest.raises(text.UnknownWordError) as caught:
        vocabulary.encode(["x"])
    assert str(caught.value).startswith("'x' is not among the 1 words")
    assert "`'x' in vocabulary` asks" in str(caught.value)
    assert isinstance(caught.value, KeyError)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: text.Vocabulary.from_sentences([]), "corpus is empty"),
        (lambda: text.Vocabulary.from_sentences([[]]), "corpus is empty"),
        (lambda: text.Vocabulary.from_sentences(SENTENCES, min_count=0), "min_count must be"),
        (lambda: text.Vocabulary.from_sentences(SENTENCES, max_size=0), "max_size must be"),
        (lambda: text.Vocabulary.from_sentences(SENTENCES, min_count=9), "no word is kept"),
        (
            lambda: text.Vocabulary.from_sentences(SENTENCES, specials=["<s>", "<s>"]),
            "twice or more: \\['<s>'\\]",
        ),
        (lambda: text.Vocabulary(("a",), np.array([1, 2])), "each word needs a count"),
        (lambda: text.Vocabulary(("a", "a"), np.array([1, 2])), "twice or more: \\['a'\\]"),
        (lambda: text.Vocabulary(("a",), np.array([1]), "<unk>"), "must be one of the words"),
    ],
)
def test_vocabulary_refuses(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_an_id_outside_is_refused():
    vocabulary = text.Vocabulary.from_sentences(SENTENCES)
    for index in (-1, 4):
        with pytest.raises(IndexError, match="ids lie in 0 … 3"):
            vocabulary.decode([index])


@given(st.lists(st.integers(), max_size=8), st.integers(1, 5))
def test_a_text_has_its_length_minus_n_plus_one_ngrams(tokens, n):
    grams = text.ngrams(tokens, n)
    assert len(grams) == max(0, len(tokens) - n + 1)
    assert all(gram == tuple(tokens[i : i + n]) for i, gram in enumerate(grams))


def test_coverage_by_hand():
    train, test = [["a", "b"], ["c", "a"]], [["a", "b", "c", "a", "b"], ["z"]]
    assert text.coverage(train, test, 1) == pytest.approx(5 / 6)
    # ab, bc, ca, ab: "bc" is seen only across two sentences, which does not count.
    assert text.coverage(train, test, 2) == pytest.approx(3 / 4)
    assert text.coverage(test, test, 3) == 1
    with pytest.raises(ValueError, match="n must be at least 1"):
        text.coverage(train, test, 0)
    with pytest.raises(ValueError, match="has 6 tokens"):
        text.coverage(train, test, 6)


@given(st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=1, max_size=5), st.integers(1, 3))
def test_a_text_covers_itself_and_nothing_covers_other_words(sentences, n):
    tokens = [[str(token) for token in sentence] for sentence in sentences]
    if all(len(sentence) < n for sentence in tokens):
        return
    assert text.coverage(tokens, tokens, n) == 1
    assert text.coverage([], tokens, n) == 0
    assert text.coverage([["x"] * n], tokens, n) == 0


def test_the_coverage_curve_by_hand():
    train, test = [["a", "b"], ["c", "a"], ["b", "c"]], [["a", "b", "c", "a", "b"], ["z"]]
    assert text.coverage_curve(train, test, 1, [0, 1, 3]) == pytest.approx([0, 4 / 6, 5 / 6])
    # Five tokens are reached only with the third sentence, which brings "bc".
    assert text.coverage_curve(train, test, 2, [2, 4, 5]) == pytest.approx([2 / 4, 3 / 4, 1])


@given(
    st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=8),
    st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=4),
    st.integers(1, 3),
)
def test_the_coverage_curve_rises_through_the_coverage_of_each_beginning(train, test, n):
    if all(len(sentence) < n for sentence in test):
        return
    ends = sorted({sum(map(len, train[:i])) for i in range(len(train) + 1)})
    curve = text.coverage_curve(train, test, n, ends)
    assert (np.diff(curve) >= 0).all()
    # A sentence without tokens covers nothing, so it does not matter where it stands.
    full = [sentence for sentence in train if sentence]
    assert curve.tolist() == [text.coverage(full[:i], test, n) for i in range(len(full) + 1)]


@pytest.mark.parametrize(
    ("n", "sizes", "message"),
    [
        (0, [1], "n must be at least 1"),
        (3, [1], "has 3 tokens"),
        (1, [2, 2], "sizes must rise"),
        (1, [2, 5], "has 4 tokens, sizes ask for 5"),
    ],
)
def test_the_coverage_curve_refuses(n, sizes, message):
    with pytest.raises(ValueError, match=message):
        text.coverage_curve([["a", "b"], ["c", "d"]], [["a", "b"]], n, sizes)


def test_overlap_by_hand():
    assert text.jaccard(["a", "b", "b"], ["b", "c"]) == pytest.approx(1 / 3)
    assert text.jaccard(["a"], []) == 0
    with pytest.raises(ValueError, match="neither text has a word"):
        text.jaccard([], [])


@given(st.lists(st.integers(0, 9), min_size=1), st.lists(st.integers(0, 9)))
def test_overlap_is_symmetric_and_1_for_the_same_words_alone(first, second):
    overlap = text.jaccard(first, second)
    assert overlap == text.jaccard(second, first)
    assert (overlap == 1) == (set(first) == set(second))
    assert (overlap == 0) == (not set(first) & set(second))


PHONEMES = {
    "like": [["L", "AY", "K"]],
    "lie": [["L", "AY"]],
    "cure": [["K", "Y", "UH", "R"]],
    "your": [["Y", "AO", "R"], ["Y", "UH", "R"]],
}


def test_one_run_of_sounds_is_two_runs_of_words():
    assert text.segmentations(["L", "AY", "K", "Y", "UH", "R"], PHONEMES) == [
        ("lie", "cure"),
        ("like", "your"),
    ]
    assert text.segmentations(["L", "AY", "K", "Y", "AO", "R"], PHONEMES) == [("like", "your")]
    assert text.segmentations(["L", "AY", "K", "Y"], PHONEMES) == []
    # Words that sound the same are different ways; a form listed twice is one.
    assert text.segmentations("ab", {"x": ["ab", "ab"], "y": ["ab"]}) == [("x",), ("y",)]


def test_nothing_is_one_run_of_no_words():
    assert text.segmentations("", PHONEMES) == [()]
    with pytest.raises(ValueError, match="'x' has an empty form"):
        text.segmentations("a", {"x": ["a", ""]})


@given(st.integers(0, 12))
def test_ways_to_cut_a_run_of_one_sign_into_ones_and_twos_are_fibonacci_numbers(length):
    fibonacci = [1, 1]
    while len(fibonacci) <= length:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    ways = text.segmentations("a" * length, {"one": ["a"], "two": ["aa"]})
    assert len(ways) == len(set(ways)) == fibonacci[length]


@given(st.lists(st.sampled_from(["no", "now", "where", "here", "nowhere", "he", "re"]), max_size=6))
def test_every_way_to_cut_gives_the_letters_back_and_the_words_are_among_them(words):
    lexicon = {word: [word] for word in ("no", "now", "where", "here", "nowhere", "he", "re")}
    ways = text.segmentations("".join(words), lexicon)
    assert tuple(words) in ways
    assert {"".join(way) for way in ways} == {"".join(words)}


@pytest.mark.real_data
def test_coverage_of_real_text_falls_with_n():
    from nlp_course import data

    sentences = data.load("brown").sentences
    middle = len(sentences) * 9 // 10
    shares = [text.coverage(sentences[:middle], sentences[middle:], n) for n in range(1, 6)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.9
    assert shares[4] < 0.05
