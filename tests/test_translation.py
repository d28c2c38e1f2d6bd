"""Batches of pairs, links read from attention, and the alignment error rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.api import Alignment
from nltk.translate.metrics import alignment_error_rate as nltk_error_rate

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course import data, training, translation  # noqa: E402
from nlp_course.batching import NOTHING  # noqa: E402
from nlp_course.data.dataset import AlignedTranslation, Translation  # noqa: E402
from nlp_course.data.world import World  # noqa: E402
from nlp_course.text import Vocabulary  # noqa: E402
from nlp_course.translation import alignment_error_rate, links, pad_pairs, pair_batches  # noqa: E402

WORLD = World(seed=0).translations(600)
ENGLISH, SECOND = translation.vocabularies(WORLD, min_count=1)
SOURCES, TARGETS = translation.encode_pairs(WORLD, ENGLISH, SECOND)
START, STOP = SECOND.id("<s>"), SECOND.id("</s>")


def ids(*lengths):
    return [np.arange(3, 3 + length) for length in lengths]


# From translations to ids


def test_raw_text_is_cut_and_lower_cased_and_tokens_stay_as_they_are():
    raw = Translation("Two dogs  RUN.", "Zwei Hunde\nrennen – schnell!")
    cut = AlignedTranslation(["The", "dog."], ["vosami"], [(0, 0), (1, 0)])
    sources, targets = translation.token_pairs(pair for pair in (raw, cut))
    assert sources == [["two", "dogs", "run", "."], ["The", "dog."]]
    assert targets == [["zwei", "hunde", "rennen", "–", "schnell", "!"], ["vosami"]]


def test_ids_decode_to_the_words_and_rare_words_are_unknown():
    for pair, source, target in zip(WORLD, SOURCES, TARGETS, strict=True):
        assert ENGLISH.decode(source) == pair.source
        assert SECOND.decode(target) == pair.target
    pairs = [Translation("a a b", "x y y"), Translation("a", "y")]
    english, other = translation.vocabularies(pairs, min_count=2)
    assert english.words[3:] == ("a",)
    assert other.words[3:] == ("y",)
    sources, targets = translation.encode_pairs(pairs, english, other)
    assert [english.decode(one) for one in sources] == [["a", "a", "<unk>"], ["a"]]
    assert [other.decode(one) for one in targets] == [["<unk>", "y", "y"], ["y"]]


def test_a_side_without_words_has_no_vocabulary():
    with pytest.raises(ValueError, match="empty"):
        translation.vocabularies([Translation("a a", "")])


@pytest.mark.real_data
def test_multi30k_becomes_ids():
    pairs = data.load("multi30k").splits["test"].records
    english, german = translation.vocabularies(pairs, min_count=2)
    sources, targets = translation.encode_pairs(pairs, english, german)
    assert len(sources) == len(targets) == 1000
    tokens = sum(map(len, sources))
    unknown = sum(int((one == english.id("<unk>")).sum()) for one in sources)
    assert tokens == 12_956
    assert unknown / tokens == pytest.approx(english.counts[0] / english.counts.sum())


# Batches


def test_a_batch_worked_by_hand():
    vocabulary = Vocabulary(("<unk>", "<s>", "</s>", "x", "y"), np.ones(5, dtype=int), "<unk>")
    pairs = pad_pairs(
        [np.array([7, 8, 9]), np.array([6])], [np.array([3]), np.array([3, 4])], vocabulary
    )
    assert pairs.source.tolist() == [[7, 8, 9], [6, 0, 0]]
    assert pairs.source_lengths.tolist() == [3, 1]
    assert pairs.inputs.tolist() == [[1, 3, 0], [1, 3, 4]]
    assert pairs.targets.tolist() == [[3, 2, NOTHING], [3, 4, 2]]
    assert all(part.dtype == torch.int64 for part in pairs)


def test_empty_sentences_are_pairs_too():
    pairs = pad_pairs([np.array([], dtype=int)], [np.array([], dtype=int)], SECOND)
    assert pairs.source.shape == (1, 0)
    assert pairs.source_lengths.tolist() == [0]
    assert (pairs.inputs.tolist(), pairs.targets.tolist()) == ([[START]], [[STOP]])


def test_an_epoch_has_every_pair_once_and_whole():
    batches = pair_batches(SOURCES, TARGETS, SECOND, batch_size=32)(np.random.default_rng(0))
    found = []
    for batch in batches:
        for source, length, inputs, targets in zip(*batch, strict=True):
            assert source[length:].eq(0).all()
            real = targets != NOTHING
            assert inputs[~real].eq(0).all()
            size = int(real.sum())
            assert real[:size].all()
            assert (inputs[0], targets[size - 1]) == (START, STOP)
            assert inputs[1:size].tolist() == targets[: size - 1].tolist()
            found.append((source[:length].tolist(), targets[: size - 1].tolist()))
    expected = [(s.tolist(), t.tolist()) for s, t in zip(SOURCES, TARGETS, strict=True)]
    assert sorted(found) == sorted(expected)
    assert len(batches) == sum(1 for _ in batches) == 19


def test_pairs_in_a_batch_are_of_similar_length_so_little_is_padding():
    def padding(pool):
        batches = pair_batches(SOURCES, TARGETS, SECOND, batch_size=20, pool=pool)
        lost = room = 0
        for batch in batches(np.random.default_rng(0)):
            lost += int((batch.targets == NOTHING).sum() + (batch.source == 0).sum())
            room += batch.targets.numel() + batch.source.numel()
        return lost / room

    assert padding(100) < 0.1 < 0.3 < padding(1)


def test_the_generator_alone_decides_the_order():
    batches = pair_batches(SOURCES, TARGETS, SECOND, batch_size=50)

    def order(seed):
        return [batch.source.tolist() for batch in batches(np.random.default_rng(seed))]

    assert order(0) == order(0) != order(1)


def test_batches_move_to_a_device_as_pairs():
    (batch,) = pair_batches(ids(2, 3), ids(1, 2), SECOND, batch_size=2)(np.random.default_rng(0))
    moved = training.to_device(batch, "cpu")
    assert isinstance(moved, translation.Pairs)


@pytest.mark.parametrize(
    ("sources", "targets", "says"),
    [
        ([], [], "there are no pairs"),
        (ids(1, 2), ids(1), "got 2 sources and 1 targets"),
        ([np.array([3, -1])], ids(1), "ids must be at least 0, got -1 in a source"),
        (ids(1), [np.array([len(SECOND)])], "ids must lie in 0"),
        (ids(1), [np.array([START])], "are added to sentences"),
        (ids(1), [np.array([3, STOP])], "are added to sentences"),
    ],
)
def test_what_are_no_pairs_is_refused(sources, targets, says):
    with pytest.raises(ValueError, match=says):
        pad_pairs(sources, targets, SECOND)
    with pytest.raises(ValueError, match=says):
        pair_batches(sources, targets, SECOND, batch_size=2)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        pair_batches(SOURCES, TARGETS, SECOND, batch_size=0)
    with pytest.raises(ValueError, match="pool must be at least 1, got 0"):
        pair_batches(SOURCES, TARGETS, SECOND, batch_size=8, pool=0)
    with pytest.raises(ValueError, match="the vocabulary lacks"):
        pair_batches(SOURCES, TARGETS, Vocabulary(("a",), np.array([1])), batch_size=8)


# Links


def test_links_worked_by_hand():
    weights = torch.tensor([[[0.2, 0.7, 0.1], [0.5, 0.1, 0.4]]])
    assert links(weights, [3], [2]) == [[(0, 1), (1, 0)]]
    assert links(weights, [3], [2], threshold=0.4) == [[(0, 1), (1, 0), (2, 1)]]
    assert links(weights, [3], [2], threshold=0.8) == [[]]


def test_weights_in_half_precision_are_read():
    weights = torch.tensor([[[0.25, 0.75]]], dtype=torch.bfloat16, requires_grad=True)
    assert links(weights, [2], [1]) == [[(1, 0)]]


def test_of_equal_weights_the_first_is_linked():
    assert links(torch.full((1, 2, 3), 1 / 3), [3], [2]) == [[(0, 0), (0, 1)]]


def test_padding_and_stop_are_not_linked_however_large_their_weights():
    weights = torch.zeros(3, 3, 4)
    weights[:, :, 3] = 0.9  # padding of the source
    weights[:, :, 1] = 0.1
    found = links(weights, torch.tensor([3, 2, 0]), torch.tensor([2, 0, 3]))
    assert found == [[(1, 0), (1, 1)], [], []]
    assert links(weights, [3, 2, 0], [2, 0, 3], threshold=0.5) == [[], [], []]


@given(st.integers(0, 2**32 - 1))
def test_each_word_has_one_link_and_a_low_threshold_gives_all(seed):
    rng = np.random.default_rng(seed)
    weights = torch.from_numpy(rng.dirichlet(np.ones(5), size=(4, 6)))  # (batch, target, source)
    source, target = rng.integers(1, 6, 4).tolist(), rng.integers(0, 7, 4).tolist()
    for number, found in enumerate(links(weights, source, target)):
        assert sorted(i for _, i in found) == list(range(target[number]))
        assert found == sorted(found)
        for j, i in found:
            assert weights[number, i, j] == weights[number, i, : source[number]].max()
    every = links(weights, source, target, threshold=1e-300)
    assert [len(found) for found in every] == [s * t for s, t in zip(source, target, strict=True)]


@pytest.mark.parametrize(
    ("source", "target", "options", "says"),
    [
        ([4], [2], {}, r"do not fit source lengths \[4\]"),
        ([3], [3], {}, r"do not fit target lengths \[3\]"),
        ([-1], [2], {}, r"do not fit source lengths \[-1\]"),
        ([3, 3], [2, 2], {}, "1 pairs of weights"),
        ([3], [2], {"threshold": 0.0}, "threshold must be above 0"),
        ([3], [2], {"threshold": float("nan")}, "threshold must be above 0"),
    ],
)
def test_weights_that_do_not_fit_are_refused(source, target, options, says):
    with pytest.raises(ValueError, match=says):
        links(torch.ones(1, 2, 3), source, target, **options)


def test_weights_that_are_no_numbers_are_refused_where_they_are_looked_at():
    weights = torch.ones(1, 2, 3)
    weights[0, 1, 2] = torch.nan
    assert links(weights, [2], [2]) == [[(0, 0), (0, 1)]]
    with pytest.raises(ValueError, match="must be numbers, got NaN"):
        links(weights, [3], [2])


# The alignment error rate

LINKS = st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=6)


def test_error_rate_worked_by_hand():
    # A = {00, 11, 22}, S = {00, 12}, P = {00, 12, 11}: 1 − (1 + 2) / (3 + 2)
    predicted, sure, possible = {(0, 0), (1, 1), (2, 2)}, {(0, 0), (1, 2)}, {(1, 1)}
    assert alignment_error_rate([predicted], [sure], [possible]) == pytest.approx(2 / 5)
    assert alignment_error_rate([predicted], [sure]) == pytest.approx(1 - 2 / 5)


def test_all_right_is_0_and_nothing_right_is_1():
    gold = [pair.alignment for pair in WORLD]
    assert alignment_error_rate(gold, gold) == 0
    wrong = [[(i, j + 50) for i, j in one] for one in gold]
    assert alignment_error_rate(wrong, gold) == 1
    assert alignment_error_rate([[]] * len(gold), gold) == 1


def test_a_possible_link_may_be_there_or_not():
    sure, possible = [[(0, 0)]], [[(1, 1), (1, 2)]]
    for predicted in ([(0, 0)], [(0, 0), (1, 1)], [(0, 0), (1, 1), (1, 2)]):
        assert alignment_error_rate([predicted], sure, possible) == 0


@given(LINKS, LINKS)
def test_where_all_links_are_sure_the_error_rate_is_one_minus_f1(predicted, sure):
    if not predicted or not sure:
        return
    precision = len(predicted & sure) / len(predicted)
    recall = len(predicted & sure) / len(sure)
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0
    assert alignment_error_rate([predicted], [sure]) == pytest.approx(1 - f1)


@given(LINKS, LINKS, LINKS)
def test_error_rates_are_those_of_nltk(predicted, sure, more):
    if not predicted | sure:
        return
    ours = alignment_error_rate([predicted], [sure], [more])
    every = Alignment(sure | more)
    assert ours == pytest.approx(nltk_error_rate(Alignment(sure), Alignment(predicted), every))


@given(st.lists(st.tuples(LINKS, LINKS), min_size=1, max_size=4))
def test_error_rate_of_a_text_counts_its_links_together(rows):
    """Sentence by sentence it is that of one long sentence, into which all are moved."""
    if not any(predicted or sure for predicted, sure in rows):
        return
    together = [
        {
            (i + 10 * number, j + 10 * number)
            for number, row in enumerate(rows)
            for i, j in row[side]
        }
        for side in (0, 1)
    ]
    ours = alignment_error_rate([row[0] for row in rows], [row[1] for row in rows])
    assert ours == pytest.approx(alignment_error_rate([together[0]], [together[1]]))


def test_a_link_given_twice_counts_once():
    assert alignment_error_rate([[(0, 0), (0, 0)]], [[(0, 0)]]) == 0


def test_alignments_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="got 2 predicted, 1 sure and 1 possible"):
        alignment_error_rate([[], []], [[(0, 0)]])
    with pytest.raises(ValueError, match="1 predicted, 1 sure and 2 possible"):
        alignment_error_rate([[]], [[(0, 0)]], [[], []])
    for nothing in ([], [[]]):
        with pytest.raises(ValueError, match="there is no link, predicted or sure"):
            alignment_error_rate(nothing, nothing)
