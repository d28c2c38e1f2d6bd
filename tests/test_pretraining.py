"""Masked tokens, pairs of sentences, spans, noises, blocks, and the batches made of them."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course import training  # noqa: E402
from nlp_course.batching import NOTHING  # noqa: E402
from nlp_course.causal import CausalBatch, blocks, causal_targets, random_blocks  # noqa: E402
from nlp_course.masking import (  # noqa: E402
    Specials,
    mask_tokens,
    pack,
    sentence_pairs,
    truncate_pair,
)
from nlp_course.ngram import START, STOP, language_vocabulary  # noqa: E402
from nlp_course.noising import (  # noqa: E402
    delete_tokens,
    infill,
    noise,
    permute_sentences,
    replace_tokens,
    rotate,
)
from nlp_course.pretraining import (  # noqa: E402
    EncoderBatch,
    denoising_batch,
    denoising_batches,
    encoder_batch,
    masked_batches,
    sentence_pair_batches,
)
from nlp_course.span_corruption import (  # noqa: E402
    UL2,
    Denoiser,
    corrupt,
    corrupted_lengths,
    denoise,
    mixture_of_denoisers,
    prefix_split,
    random_spans,
    restore,
    span_corruption,
    span_counts,
)
from nlp_course.translation import Pairs, pad_pairs  # noqa: E402

PAD, CLS, SEP, MASK, UNKNOWN = range(5)
SPECIALS = Specials(PAD, CLS, SEP, MASK, others=(UNKNOWN,))
V = 1000
SENTINELS = list(range(V, V + 100))

seeds = st.integers(0, 2**32 - 1)
texts_of_ids = st.lists(st.integers(5, V - 1), min_size=1, max_size=40).map(np.array)


def rng(seed=0):
    return np.random.default_rng(seed)


def texts(*lengths, seed=0):
    draw = rng(seed)
    return [draw.integers(5, V, size=length) for length in lengths]


def padded(lengths=(126,) * 64, seed=0):
    """Packed texts, padded."""
    packed = [pack(text, None, SPECIALS) for text in texts(*lengths, seed=seed)]
    return encoder_batch(packed, SPECIALS).ids.numpy()


def plausible(successes, trials, share):
    """Whether so many successes are what chance gives in all but one of a million cases."""
    return stats.binomtest(int(successes), int(trials), share).pvalue > 1e-6


# Masked tokens


@given(st.lists(texts_of_ids, min_size=1, max_size=5), seeds, st.floats(0.01, 0.99))
def test_targets_restore_the_text_and_all_else_is_unchanged(sentences, seed, rate):
    ids = encoder_batch([pack(one, None, SPECIALS) for one in sentences], SPECIALS).ids.numpy()
    before = ids.copy()
    inputs, targets = mask_tokens(ids, rng(seed), SPECIALS, V, rate=rate)
    assert np.array_equal(ids, before)
    assert np.array_equal(np.where(targets == NOTHING, inputs, targets), ids)
    assert not np.isin(ids[targets != NOTHING], SPECIALS.ids).any()
    numbers = [max(1, round(rate * len(one))) for one in sentences]
    assert (targets != NOTHING).sum(axis=1).tolist() == numbers


@pytest.mark.parametrize("seed", range(3))
def test_of_chosen_tokens_8_in_10_are_masked_1_is_random_and_1_unchanged(seed):
    ids = np.concatenate([padded(seed=s) for s in range(20)])
    inputs, targets = mask_tokens(ids, rng(seed), SPECIALS, V)
    chosen = targets != NOTHING
    assert chosen.sum() == len(ids) * round(0.15 * 126)
    masked, same = inputs[chosen] == MASK, inputs[chosen] == ids[chosen]
    other = 1 / (V - 5)  # a random token is by chance the old one
    assert plausible(masked.sum(), masked.size, 0.8)
    assert plausible(same.sum(), same.size, 0.1 + 0.1 * other)
    assert plausible((~masked & ~same).sum(), same.size, 0.1 * (1 - other))


def test_each_token_is_chosen_with_the_same_probability_wherever_it_stands():
    ids = np.tile(np.r_[CLS, np.arange(10, 30), SEP, PAD, PAD], (20_000, 1))
    _, targets = mask_tokens(ids, rng(), SPECIALS, V)
    found = (targets != NOTHING).sum(axis=0)
    assert found[[0, -3, -2, -1]].tolist() == [0, 0, 0, 0]
    assert found.sum() == 3 * len(ids)
    assert all(plausible(number, len(ids), 3 / 20) for number in found[1:-3])


def test_random_tokens_are_every_ordinary_one_alike():
    ids = np.full((3000, 20), 7)
    inputs, targets = mask_tokens(ids, rng(), SPECIALS, 12, mask_share=0, random_share=1)
    drawn = np.bincount(inputs[targets != NOTHING], minlength=12)
    assert drawn[SPECIALS.ids].sum() == 0
    assert stats.chisquare(drawn[5:]).pvalue > 1e-6


@pytest.mark.parametrize(
    ("shares", "becomes"), [((1, 0), MASK), ((0, 0), None), ((1.0, 0.0), MASK)]
)
def test_shares_of_none_and_of_all(shares, becomes):
    ids = padded()
    mask, random = shares
    inputs, targets = mask_tokens(ids, rng(), SPECIALS, V, mask_share=mask, random_share=random)
    expected = ids if becomes is None else np.where(targets == NOTHING, ids, becomes)
    assert np.array_equal(inputs, expected)


def test_one_text_is_masked_as_a_batch_of_one():
    ids = padded()[:1]
    alone = mask_tokens(ids[0], rng(), SPECIALS, V)
    batch = mask_tokens(ids, rng(), SPECIALS, V)
    assert alone.inputs.shape == ids[0].shape
    assert all(np.array_equal(one, rows[0]) for one, rows in zip(alone, batch, strict=True))


@pytest.mark.parametrize("starts", [None, np.ones((2, 3), dtype=bool)])
def test_a_row_of_specials_stays_as_it_is_beside_others(starts):
    ids = np.array([[CLS, UNKNOWN, SEP], [CLS, 7, SEP]])
    inputs, targets = mask_tokens(ids, rng(), SPECIALS, V, starts=starts)
    assert inputs[0].tolist() == ids[0].tolist()
    assert targets.tolist() == [[NOTHING] * 3, [NOTHING, 7, NOTHING]]


def test_the_generator_alone_decides_the_masks():
    one, same, other = (mask_tokens(padded(), rng(s), SPECIALS, V).inputs for s in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@given(texts_of_ids, texts_of_ids, seeds, st.floats(0.01, 0.6))
def test_a_whole_word_is_chosen_or_none_of_it(first, second, seed, rate):
    ids = pack(first, second, SPECIALS).ids
    starts = rng(seed).random(len(ids)) < 0.5
    targets = mask_tokens(ids, rng(seed), SPECIALS, V, rate=rate, starts=starts).targets
    words, special = [], True
    for place, one in enumerate(ids.tolist()):
        begins, special = starts[place] or special, one in SPECIALS.ids
        if not special and begins:
            words.append([])
        if not special:
            words[-1].append(bool(targets[place] != NOTHING))
    assert all(len(set(word)) == 1 for word in words)
    number, room = sum(map(sum, words)), max(1, round(rate * (len(first) + len(second))))
    whole = [word for word in words if word[0]]
    assert whole
    assert number <= room or (len(whole) == 1 and min(map(len, words)) > room)
    left = [len(word) for word in words if not word[0]]
    assert number >= room or not left or min(left) > room - number  # nothing else would fit


def test_a_word_longer_than_the_share_is_chosen_where_nothing_else_fits():
    ids = np.array([7, 8, 9])  # the first token begins a word in any case
    targets = mask_tokens(ids, rng(), SPECIALS, V, starts=np.zeros(3, dtype=bool)).targets
    assert targets.tolist() == [7, 8, 9]


def test_words_of_one_token_are_masked_as_tokens_are():
    ids = padded()
    _, targets = mask_tokens(ids, rng(), SPECIALS, V, starts=np.ones(ids.shape, dtype=bool))
    assert set((targets != NOTHING).sum(axis=1).tolist()) == {round(0.15 * 126)}


def test_masks_have_the_shares_of_hugging_face(monkeypatch):
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    names = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]", *(f"w{i}" for i in range(5, V))]
    model = tokenizers.models.WordLevel({name: i for i, name in enumerate(names)}, "[UNK]")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(model),
        **{f"{name[1:-1].lower()}_token": name for name in names[:5]},
    )
    collator = transformers.DataCollatorForLanguageModeling(tokenizer, seed=0)
    ids = np.concatenate([padded(seed=s) for s in range(10)])
    theirs = collator([{"input_ids": row} for row in ids.tolist()])
    ours = mask_tokens(ids, rng(), SPECIALS, V)
    for inputs, targets in (
        (theirs["input_ids"].numpy(), theirs["labels"].numpy()),
        (ours.inputs, ours.targets),
    ):
        chosen = targets != NOTHING
        assert not np.isin(ids[chosen], SPECIALS.ids).any()
        assert np.array_equal(targets[chosen], ids[chosen])
        assert chosen.sum() / np.sum(ids > UNKNOWN) == pytest.approx(0.15, abs=0.004)
        masked, same = inputs[chosen] == MASK, inputs[chosen] == ids[chosen]
        assert plausible(masked.sum(), masked.size, 0.8)
        assert plausible(same.sum(), same.size, 0.1 + 0.1 / V)


@pytest.mark.parametrize(
    ("ids", "options", "says"),
    [
        (np.array([7, V]), {}, "ids must lie in 0 … 999, got 7 … 1000"),
        (np.array([-1, 7]), {}, "ids must lie in 0 … 999, got -1 … 7"),
        (np.array([CLS, SEP]), {}, "there is nothing to mask"),
        (np.array([], dtype=int), {}, "there is nothing to mask"),
        (np.zeros((0, 3), dtype=int), {}, "there is nothing to mask"),
        (np.array([7, 8]), {"rate": 0.0}, "rate must be above 0 and below 1, got 0.0"),
        (np.array([7, 8]), {"rate": 1.0}, "rate must be above 0 and below 1, got 1.0"),
        (np.array([7, 8]), {"rate": float("nan")}, "rate must be above 0 and below 1, got nan"),
        (np.array([7, 8]), {"mask_share": 0.95}, "sum to at most 1, got 0.95 and 0.1"),
        (np.array([7, 8]), {"random_share": -0.1}, "got 0.8 and -0.1"),
        (np.array([7, 8]), {"starts": np.array([True])}, r"the shape of ids, \(2,\), got \(1,\)"),
    ],
)
def test_what_cannot_be_masked_is_refused(ids, options, says):
    with pytest.raises(ValueError, match=says):
        mask_tokens(ids, rng(), SPECIALS, V, **options)


def test_specials_outside_the_vocabulary_are_refused():
    with pytest.raises(ValueError, match="ids must lie in 0 … 8, got 0 … 9"):
        mask_tokens(np.array([7]), rng(), Specials(0, 1, 2, mask=9), 9)


# Pairs of sentences


def documents(sizes, seed=0):
    """Documents of sentences that are all different."""
    draw = rng(seed)
    content = 5 + np.arange(sum(sizes) * 2).reshape(-1, 2)
    lengths = draw.integers(1, 9, size=len(content))
    sentences = [np.resize(pair, length) for pair, length in zip(content, lengths, strict=True)]
    ends = np.cumsum(sizes).tolist()
    return [sentences[end - size : end] for end, size in zip(ends, sizes, strict=True)]


@given(st.lists(st.integers(2, 6), min_size=2, max_size=6), seeds)
def test_each_sentence_is_followed_by_its_next_or_by_one_of_another_document(sizes, seed):
    given_documents = documents(sizes)
    places = {
        one.tobytes(): (number, place)
        for number, document in enumerate(given_documents)
        for place, one in enumerate(document)
    }
    pairs = sentence_pairs(given_documents, rng(seed))
    found = [(places[a.tobytes()], places[b.tobytes()], true) for a, b, true in pairs]
    expected = [(number, place) for number, size in enumerate(sizes) for place in range(size - 1)]
    assert [first for first, _, _ in found] == expected
    for (number, place), second, true in found:
        assert (second == (number, place + 1)) if true else (second[0] != number)
    assert abs(sum(1 if true else -1 for *_, true in found)) <= 1


def test_every_pair_is_true_half_of_the_times_and_false_ones_come_from_all_others():
    given_documents, rounds = documents([2, 4, 2]), 2000
    true, seconds = np.zeros(5), Counter()
    draw = rng()
    for _ in range(rounds):
        pairs = sentence_pairs(given_documents, draw)
        true += [pair.is_next for pair in pairs]
        if not pairs[0].is_next:
            seconds[pairs[0].second.tobytes()] += 1
    assert all(plausible(number, rounds, 0.5) for number in true)
    assert plausible(true.sum() - 2 * rounds, rounds, 0.5)  # 2 or 3 of 5, alike
    # Each of the two other documents alike, and in it each sentence.
    shares = {one.tobytes(): 0.5 / 4 for one in given_documents[1]}
    shares |= {one.tobytes(): 0.5 / 2 for one in given_documents[2]}
    assert set(seconds) == set(shares)
    for one, share in shares.items():
        assert plausible(seconds[one], seconds.total(), share)


def test_a_false_pair_never_says_what_the_true_one_says():
    a, b, c = np.array([5, 6]), np.array([7]), np.array([8])
    for seed in range(50):
        pairs = sentence_pairs([[a, b], [b, b, b, b, c]], rng(seed))
        false = [pair for pair in pairs if not pair.is_next]
        assert false
        for pair in false:
            if np.array_equal(pair.first, a):
                assert pair.second.tolist() == [8]


@pytest.mark.parametrize(
    ("given_documents", "says"),
    [
        ([], "need a second document to draw a sentence from, got 0"),
        (documents([4]), "need a second document to draw a sentence from, got 1"),
        (documents([2, 1]), "document 1 has 1 sentences, but a pair needs two"),
        (documents([0, 2]), "document 0 has 0 sentences, but a pair needs two"),
        (
            [[np.array([5]), np.array([], dtype=int)]] * 2,
            "document 0 has a sentence without tokens",
        ),
    ],
)
def test_documents_without_pairs_are_refused(given_documents, says):
    with pytest.raises(ValueError, match=says):
        sentence_pairs(given_documents, rng())
    with pytest.raises(ValueError, match=says):
        sentence_pair_batches(given_documents, SPECIALS, V, batch_size=2)


def test_documents_that_all_say_the_same_are_refused():
    same = [[np.array([5]), np.array([5])]] * 3
    with pytest.raises(ValueError, match="there is no false pair"):
        sentence_pairs(same, rng())


@given(st.integers(0, 30), st.integers(0, 30), st.integers(2, 40), st.none() | seeds)
def test_truncation_takes_one_token_at_a_time_from_the_longer_text(first, second, length, seed):
    a, b = np.arange(first), np.arange(second)
    cut_a, cut_b = truncate_pair(a, b, length, None if seed is None else rng(seed))
    while first + second > length:
        first, second = (first - 1, second) if first > second else (first, second - 1)
    assert (len(cut_a), len(cut_b)) == (first, second)
    for cut in (cut_a, cut_b):
        assert np.all(np.diff(cut) == 1)
        assert seed is not None or not len(cut) or cut[0] == 0


def test_with_a_generator_both_ends_are_cut_alike():
    begins = [
        truncate_pair(np.arange(10), np.arange(4), 8, rng(seed))[0][0] for seed in range(4000)
    ]
    counts = np.bincount(begins, minlength=7)
    expected = stats.binom.pmf(np.arange(7), 6, 0.5) * len(begins)
    assert stats.chisquare(counts, expected).pvalue > 1e-6


def test_a_pair_is_packed_with_its_segments():
    ids, segments = pack(np.array([10, 11, 12, 13]), np.array([20, 21]), SPECIALS)
    assert ids.tolist() == [CLS, 10, 11, 12, 13, SEP, 20, 21, SEP]
    assert segments.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1]
    ids, segments = pack(np.array([10, 11, 12, 13]), np.array([20, 21]), SPECIALS, length=7)
    assert ids.tolist() == [CLS, 10, 11, SEP, 20, 21, SEP]
    assert segments.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_one_text_is_packed_in_one_segment():
    ids, segments = pack(np.array([10, 11, 12]), None, SPECIALS, length=4)
    assert (ids.tolist(), segments.tolist()) == ([CLS, 10, 11, SEP], [0, 0, 0, 0])


@pytest.mark.parametrize(
    ("second", "length", "says"),
    [
        (None, 2, "length must be at least 3, got 2"),
        (np.array([7]), 4, "length must be at least 5, got 4"),
        (np.array([], dtype=int), None, "a text without tokens cannot be packed"),
    ],
)
def test_what_cannot_be_packed_is_refused(second, length, says):
    with pytest.raises(ValueError, match=says):
        pack(np.array([5, 6]), second, SPECIALS, length)


def test_two_texts_need_room_for_two_tokens():
    with pytest.raises(ValueError, match="at least 2 tokens, got length 1"):
        truncate_pair(np.arange(3), np.arange(3), 1)


# Batches for encoders


def test_an_encoder_batch_worked_by_hand():
    packed = [pack(np.array([10]), np.array([20]), SPECIALS), pack(np.array([11]), None, SPECIALS)]
    targets = [np.array([0, 7, 0, 8, 0]), np.array([0, 9, 0])]
    batch = encoder_batch(packed, SPECIALS._replace(pad=4), targets, np.array([1, 0]))
    assert batch.ids.tolist() == [[CLS, 10, SEP, 20, SEP], [CLS, 11, SEP, 4, 4]]
    assert batch.lengths.tolist() == [5, 3]
    assert batch.segments.tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]]
    assert batch.targets.tolist() == [[0, 7, 0, 8, 0], [0, 9, 0, NOTHING, NOTHING]]
    assert batch.labels.tolist() == [1, 0]
    assert all(part.dtype == torch.int64 for part in batch)
    asked = encoder_batch(packed, SPECIALS)
    assert asked.targets.unique().tolist() == asked.labels.unique().tolist() == [NOTHING]


def test_answers_that_do_not_fit_the_texts_are_refused():
    packed = [pack(np.array([10]), None, SPECIALS)]
    with pytest.raises(ValueError, match="1 texts need as many labels, got 2"):
        encoder_batch(packed, SPECIALS, labels=np.array([0, 1]))
    with pytest.raises(ValueError, match="1 texts need as many targets, got 0"):
        encoder_batch(packed, SPECIALS, targets=[])
    with pytest.raises(ValueError, match=r"texts of \[3\] tokens need as many targets, got \[1\]"):
        encoder_batch(packed, SPECIALS, targets=[np.array([1])])
    with pytest.raises(ValueError, match="there are no sequences"):
        encoder_batch([], SPECIALS)


def test_an_epoch_of_masked_texts_has_each_once():
    given_texts = texts(*range(1, 40))
    epoch = masked_batches(given_texts, SPECIALS, V, batch_size=8)(rng())
    found = []
    for batch in epoch:
        assert isinstance(training.to_device(batch, "cpu"), EncoderBatch)
        whole = torch.where(batch.targets == NOTHING, batch.ids, batch.targets)
        for row, length in zip(whole.tolist(), batch.lengths.tolist(), strict=True):
            assert (row[0], row[length - 1]) == (CLS, SEP)
            assert set(row[length:]) <= {PAD}
            found.append(row[1 : length - 1])
        assert batch.segments.eq(0).all()
        assert batch.labels.eq(NOTHING).all()
        asked = (batch.targets != NOTHING).sum(dim=1)
        assert asked.tolist() == [max(1, round(0.15 * (n - 2))) for n in batch.lengths.tolist()]
    assert sorted(found) == sorted(text.tolist() for text in given_texts)
    assert len(epoch) == len(list(epoch)) == 5


@pytest.mark.parametrize(
    "make",
    [
        lambda: masked_batches(texts(*[20] * 12), SPECIALS, V, batch_size=5),
        lambda: sentence_pair_batches(documents([5, 4, 6]), SPECIALS, V, batch_size=5),
        lambda: random_blocks(np.arange(500), time=8, batch_size=4, steps=3),
        lambda: denoising_batches(
            texts(*[20] * 12), partial(span_corruption, sentinels=SENTINELS), 5, start=0, stop=1
        ),
    ],
)
def test_an_epoch_is_the_same_each_time_and_the_next_one_is_another(make):
    def content(epoch):
        return [[part.tolist() for part in batch] for batch in epoch]

    batches = make()
    epoch = batches(rng())
    assert content(epoch) == content(epoch) == content(make()(rng()))
    assert content(epoch) != content(batches(rng(1)))
    assert len(epoch) == 3


def test_each_batch_and_each_epoch_has_masks_of_its_own():
    batches = masked_batches([np.arange(5, 60)] * 4, SPECIALS, V, batch_size=1)
    masks = [tuple(batch.targets[0].tolist()) for seed in (0, 1) for batch in batches(rng(seed))]
    assert len(set(masks)) == 8


def test_texts_that_are_too_long_are_cut():
    batches = masked_batches(texts(3, 30), SPECIALS, V, batch_size=2, length=12)
    (batch,) = batches(rng())
    assert batch.lengths.tolist() == [5, 12]


def test_word_starts_say_which_ids_are_masked_together():
    word_starts = np.arange(V) % 2 == 0  # an odd id goes on with the word before it
    text = np.array([10, 11, 13, 20, 21, 23, 30, 31, 33, 40, 41, 43])
    batches = masked_batches([text], SPECIALS, V, 1, rate=0.5, word_starts=word_starts)
    for seed in range(20):
        (batch,) = batches(rng(seed))
        asked = (batch.targets[0, 1:-1] != NOTHING).view(4, 3)
        assert asked.all(dim=1).sum() == asked.any(dim=1).sum() == 2


def test_pairs_are_read_with_both_questions():
    given_documents = documents([5, 4, 6])
    follows = {
        (a.tobytes(), b.tobytes()) for document in given_documents for a, b in pairwise(document)
    }
    batches = sentence_pair_batches(given_documents, SPECIALS, V, batch_size=4)
    labels = []
    for batch in (batch for seed in range(10) for batch in batches(rng(seed))):
        whole = torch.where(batch.targets == NOTHING, batch.ids, batch.targets).numpy()
        for row, length, segments, label in zip(
            whole,
            batch.lengths.tolist(),
            batch.segments.numpy(),
            batch.labels.tolist(),
            strict=True,
        ):
            first, middle, last = row[0], *np.flatnonzero(row == SEP).tolist()
            assert (first, last) == (CLS, length - 1)
            assert np.array_equal(
                segments, (np.arange(len(row)) > middle) & (np.arange(len(row)) <= last)
            )
            pair = row[1:middle].tobytes(), row[middle + 1 : last].tobytes()
            assert (pair in follows) == bool(label)
            labels.append(label)
        assert (batch.targets != NOTHING).any(dim=1).all()
    assert len(labels) == 120
    assert sum(labels) == 60


def test_pairs_that_are_too_long_are_cut():
    long = [[one.repeat(9) for one in document] for document in documents([5, 4])]
    for batch in sentence_pair_batches(long, SPECIALS, V, batch_size=2, length=11)(rng()):
        assert batch.lengths.max() <= 11
        assert batch.segments.eq(1).any(dim=1).all()


@pytest.mark.parametrize(
    ("given_texts", "options", "says"),
    [
        ([], {}, "there are no texts"),
        (texts(3, 0, 4), {}, "text 1 has no tokens"),
        ([np.array([5, V])], {}, "ids must lie in 0 … 999, got 5 … 1000"),
        ([np.array([5, SEP])], {}, "are added to texts, which must not hold them"),
        (texts(3), {"rate": 1.0}, "rate must be above 0 and below 1"),
        (texts(3), {"batch_size": 0}, "batch_size must be at least 1, got 0"),
        (texts(3), {"pool": 0}, "pool must be at least 1, got 0"),
        (texts(3), {"length": 2}, "length must be at least 3, got 2"),
        (texts(3), {"word_starts": np.ones(3, dtype=bool)}, "of each of 1000 ids .* got 3"),
    ],
)
def test_texts_that_cannot_be_masked_are_refused_before_training(given_texts, options, says):
    with pytest.raises(ValueError, match=says):
        masked_batches(given_texts, SPECIALS, V, **({"batch_size": 2} | options))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"length": 4}, "length must be at least 5, got 4"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"vocabulary_size": 8}, "ids must lie in 0 … 7"),
    ],
)
def test_settings_for_pairs_that_cannot_be_are_refused(options, says):
    settings = {"vocabulary_size": V, "batch_size": 2} | options
    with pytest.raises(ValueError, match=says):
        sentence_pair_batches(documents([3, 3]), SPECIALS, **settings)


# Decoders


def test_targets_are_the_inputs_moved_by_one():
    ids = rng().integers(V, size=(3, 9))
    inputs, targets = causal_targets(ids)
    assert np.array_equal(inputs[:, 1:], targets[:, :-1])
    assert np.array_equal(inputs[:, 0], ids[:, 0])
    assert np.array_equal(targets[:, -1], ids[:, -1])


@pytest.mark.parametrize("dtype", [np.int16, np.int64])
def test_random_blocks_are_pieces_of_the_text_from_everywhere(dtype):
    ids = np.arange(1000, 1012, dtype=dtype)  # 8 places to begin at
    epoch = random_blocks(ids, time=4, batch_size=50, steps=80)(rng())
    begins = Counter()
    for batch in epoch:
        assert isinstance(batch, CausalBatch)
        assert batch.inputs.dtype == batch.targets.dtype == torch.int64
        assert batch.inputs.shape == (50, 4)
        assert torch.equal(batch.targets, batch.inputs + 1)
        assert torch.equal(batch.inputs, batch.inputs[:, :1] + torch.arange(4))
        begins.update(batch.inputs[:, 0].tolist())
    assert sorted(begins) == list(range(1000, 1008))
    assert stats.chisquare(list(begins.values())).pvalue > 1e-6


def test_a_block_may_be_the_whole_text():
    (batch,) = random_blocks(np.arange(5), time=4, batch_size=2, steps=1)(rng())
    assert batch.targets.tolist() == [[1, 2, 3, 4]] * 2


@given(st.integers(2, 60), st.integers(1, 12), st.data(), st.integers(1, 4))
def test_each_token_but_the_first_is_predicted_once_from_what_precedes_it(
    length, time, data, batch_size
):
    stride = data.draw(st.integers(1, time))
    ids = 7 + np.arange(length)
    epoch = blocks(ids, time, batch_size, stride)
    asked = []
    for number, batch in enumerate(epoch):
        assert len(batch.inputs) <= batch_size
        for row, (inputs, targets) in enumerate(zip(*batch, strict=True)):
            places = (targets != NOTHING).nonzero().flatten().tolist()
            assert targets[places].tolist() == (inputs[places] + 1).tolist()
            real = inputs[: places[-1] + 1].tolist()
            assert real == list(range(real[0], real[0] + len(real)))
            if number or row:
                assert places[0] == time - stride
            asked += targets[places].tolist()
    assert asked == ids[1:].tolist()
    assert len(epoch) == len(list(epoch))


def test_strides_are_those_of_hugging_faces_recipe():
    """Their loop over windows: what is asked in each, as places in the text."""
    length, time, stride = 23, 8, 3
    expected, before = [], 0
    for begin in range(0, length - 1, stride):
        end = min(begin + time, length - 1)
        expected.append(list(range(before + 1, end + 1)))
        before = end
        if end == length - 1:
            break
    asked = [
        batch.targets[batch.targets != NOTHING].tolist()
        for batch in blocks(np.arange(length), time, batch_size=1, stride=stride)
    ]
    assert asked == expected


def test_perplexity_over_blocks_is_that_of_the_text():
    """Of a model that looks one token back, so that it does not matter where pieces begin."""
    torch.manual_seed(0)
    table = torch.nn.Embedding(20, 20)
    ids = rng().integers(20, size=101)

    def loss(model, batch):
        logits = model(batch.inputs).flatten(0, 1)
        summed = torch.nn.functional.cross_entropy(logits, batch.targets.flatten(), reduction="sum")
        return summed, int((batch.targets != NOTHING).sum())

    expected = torch.nn.functional.cross_entropy(
        table(torch.from_numpy(ids[:-1])), torch.from_numpy(ids[1:])
    ).item()
    for stride in (None, 1, 5):
        found = training.evaluate(table, loss, blocks(ids, 16, batch_size=3, stride=stride))
        assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: causal_targets(np.array([5])), "a text needs 2 tokens, .* got 1"),
        (lambda: blocks(np.array([], dtype=int), 4, 1), "a text needs 2 tokens, .* got 0"),
        (lambda: blocks(np.arange(9), 4, 1, stride=5), "stride above time, 4, .* got 5"),
        (lambda: blocks(np.arange(9), 4, 1, stride=0), "stride must be at least 1, got 0"),
        (lambda: blocks(np.arange(9), 0, 1), "time must be at least 1, got 0"),
        (lambda: random_blocks(np.arange(4), 4, 1, 1), "a text needs 5, got 4"),
        (lambda: random_blocks(np.arange(9), 4, 0, 1), "batch_size must be at least 1"),
        (lambda: random_blocks(np.arange(9), 4, 1, 0), "steps must be at least 1"),
    ],
)
def test_texts_that_cannot_be_cut_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


# Span corruption

rates = st.floats(0.01, 0.99)
means = st.floats(1, 70)
longer_texts = st.lists(st.integers(0, V - 1), min_size=2, max_size=200).map(np.array)


def test_the_papers_sentence():
    words = ["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week", "."]
    names = {V: "<X>", V + 1: "<Y>", V + 2: "<Z>"} | dict(enumerate(words))
    inputs, targets = corrupt(np.arange(len(words)), [(2, 4), (8, 9)], SENTINELS)
    assert " ".join(names[i] for i in inputs) == "Thank you <X> me to your party <Y> week ."
    assert " ".join(names[i] for i in targets) == "<X> for inviting <Y> last <Z>"


def test_spans_at_both_ends_side_by_side_and_none():
    ids = np.array([5, 6, 7])
    assert [part.tolist() for part in corrupt(ids, [(0, 1), (1, 3)], [90, 91, 92])] == [
        [90, 91],
        [90, 5, 91, 6, 7, 92],
    ]
    assert [part.tolist() for part in corrupt(ids, [], [90])] == [[5, 6, 7], [90]]


@given(longer_texts, seeds, rates, means)
def test_what_was_corrupted_can_be_restored_and_has_the_length_foretold(ids, seed, rate, mean):
    sentinels = list(range(V, V + 300))
    inputs, targets = span_corruption(ids, rng(seed), sentinels, rate, mean)
    assert np.array_equal(restore(inputs, targets, sentinels), ids)
    assert (len(inputs), len(targets)) == corrupted_lengths(len(ids), rate, mean)


@given(longer_texts, st.data())
def test_any_spans_can_be_undone(ids, data):
    edges = data.draw(st.lists(st.integers(0, len(ids)), unique=True, max_size=20).map(sorted))
    spans = list(zip(edges[::2], edges[1::2], strict=False))
    inputs, targets = corrupt(ids, spans, SENTINELS)
    assert np.array_equal(restore(inputs, targets, SENTINELS), ids)
    assert np.isin(inputs, SENTINELS).sum() == np.isin(targets, SENTINELS).sum() - 1 == len(spans)


@given(st.integers(2, 300), seeds, rates, means)
def test_random_spans_are_as_many_and_as_long_as_counted_and_do_not_touch(length, seed, rate, mean):
    tokens, number = span_counts(length, rate, mean)
    spans = random_spans(length, rng(seed), rate, mean)
    assert len(spans) == number
    assert sum(stop - start for start, stop in spans) == tokens
    edges = [0, *(edge for span in spans for edge in span)]
    assert all(left < right for left, right in pairwise(edges))
    assert edges[-1] == length


def test_span_counts_worked_by_hand():
    assert span_counts(512) == (77, 26)  # 76.8 tokens, 25.7 spans
    assert span_counts(11) == (2, 1)  # 1.65 tokens, 0.7 spans
    assert span_counts(2, 0.9) == (1, 1)
    assert span_counts(100, 0.9, 1) == (90, 10)  # 10 tokens stay, one before each span
    assert corrupted_lengths(512) == (512 - 77 + 26, 77 + 26 + 1)


def test_every_way_to_part_a_text_into_spans_is_as_likely():
    # 4 of 8 tokens in 2 spans: 3 ways to part the hidden ones, times 3 to part the others.
    found = Counter(tuple(random_spans(8, rng(seed), 0.5, 2)) for seed in range(3000))
    assert len(found) == 9
    assert stats.chisquare(list(found.values())).pvalue > 1e-6


def test_too_few_sentinels_are_refused_and_the_number_needed_is_said():
    with pytest.raises(ValueError, match=r"26 spans need 27 sentinels, .* got 26"):
        span_corruption(np.arange(512), rng(), list(range(V, V + 26)))


@pytest.mark.parametrize(
    ("ids", "spans", "says"),
    [
        (np.array([], dtype=int), [], "a text without tokens"),
        (np.arange(5), [(2, 2)], "each span must have a token"),
        (np.arange(5), [(3, 4), (1, 2)], "spans must be in order, apart, and within 5 tokens"),
        (np.arange(5), [(1, 3), (2, 4)], "spans must be in order, apart"),
        (np.arange(5), [(3, 6)], "spans must be in order, apart"),
        (np.arange(5), [(-1, 2)], "spans must be in order, apart"),
        (np.array([V, 5, 6]), [(1, 2)], "the text has a sentinel in it"),
    ],
)
def test_spans_that_cannot_be_cut_out_are_refused(ids, spans, says):
    with pytest.raises(ValueError, match=says):
        corrupt(ids, spans, SENTINELS)


@pytest.mark.parametrize(
    ("inputs", "targets", "says"),
    [
        ([5, V + 1], [V, 6, V + 1], r"the inputs' sentinels must be \[1000\], got \[1001\]"),
        ([5, V], [V, 6], r"the targets' sentinels must be \[1000, 1001\], got \[1000\]"),
        ([5, V], [V + 1, 6, V], "the targets' sentinels must be"),
        ([5, V], [6, V, V + 1], "targets must begin and end with a sentinel"),
        ([5, V], [V, 6, V + 1, 7], "targets must begin and end with a sentinel"),
    ],
)
def test_what_no_text_can_be_made_of_is_refused(inputs, targets, says):
    with pytest.raises(ValueError, match=says):
        restore(np.array(inputs), np.array(targets), SENTINELS)


def test_restoring_needs_a_sentinel_for_the_end():
    with pytest.raises(ValueError, match="the targets' sentinels must be"):
        restore(np.array([5, V]), np.array([V, 6]), [V])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ((1,), "a text needs 2 tokens, one to hide and one to keep; got 1"),
        ((9, 0.0), "rate must be above 0"),
        ((9, 1.0), "rate must be above 0 and below 1"),
        ((9, 0.5, 0.5), "mean_length must be at least 1, got 0.5"),
        ((9, 0.5, float("nan")), "mean_length must be at least 1, got nan"),
    ],
)
def test_spans_that_cannot_be_are_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        span_counts(*settings)


@given(longer_texts, seeds)
def test_a_prefix_and_the_rest_are_the_text(ids, seed):
    inputs, targets = prefix_split(ids, rng(seed))
    assert np.array_equal(np.concatenate([inputs, targets]), ids)
    assert len(inputs)
    assert len(targets)


def test_every_place_to_cut_a_prefix_is_as_likely():
    found = Counter(len(prefix_split(np.arange(6), rng(seed)).inputs) for seed in range(3000))
    assert sorted(found) == [1, 2, 3, 4, 5]
    assert stats.chisquare(list(found.values())).pvalue > 1e-6
    with pytest.raises(ValueError, match="2 tokens to be cut between, got 1"):
        prefix_split(np.arange(1), rng())


def test_denoisers_of_ul2_hide_as_much_as_they_say():
    ids = np.arange(512)
    for one in UL2:
        inputs, targets = denoise(ids, rng(), one, SENTINELS)
        spans = int(np.isin(inputs, SENTINELS).sum())
        hidden = len(targets) - spans - 1
        assert hidden == round(one.rate * 512)
        assert np.array_equal(restore(inputs, targets, SENTINELS), ids)
        if one.kind == "S":
            assert (spans, inputs[-1]) == (1, SENTINELS[0])
        else:
            assert spans == max(1, round(hidden / one.mean_length))
    regular = {("R", 0.15, 3), ("R", 0.15, 8)}
    extreme = {("X", 0.5, 3), ("X", 0.5, 8), ("X", 0.15, 64), ("X", 0.5, 64)}
    assert set(UL2) == regular | {("S", 0.25, None)} | extreme


def test_each_denoiser_of_a_mixture_is_drawn_alike_and_told_by_its_mode():
    modes, ids = {"R": 1, "S": 2, "X": 3}, 5 + np.arange(64)
    found = Counter()
    for seed in range(2000):
        inputs, targets = mixture_of_denoisers(ids, rng(seed), SENTINELS, modes=modes)
        assert np.array_equal(restore(inputs[1:], targets, SENTINELS), ids)
        found[int(inputs[0])] += 1
    assert all(
        plausible(found[mode], 2000, share) for mode, share in ((1, 2 / 7), (2, 1 / 7), (3, 4 / 7))
    )
    plain, _ = mixture_of_denoisers(ids, rng(5), SENTINELS)
    assert np.array_equal(mixture_of_denoisers(ids, rng(5), SENTINELS, modes=modes)[0][1:], plain)


def test_mixtures_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="no denoisers"):
        mixture_of_denoisers(np.arange(9), rng(), SENTINELS, [])
    with pytest.raises(ValueError, match="no id for denoisers of kind 'Q'"):
        mixture_of_denoisers(
            np.arange(9), rng(), SENTINELS, [Denoiser("Q", 0.5, 2)], modes={"R": 1}
        )


# BART's noises


@given(texts_of_ids, seeds, rates)
def test_masked_tokens_are_the_number_asked_for_and_the_others_stay(ids, seed, rate):
    found = replace_tokens(ids, rng(seed), MASK, rate)
    masked = found == MASK
    assert masked.sum() == max(1, round(rate * len(ids)))
    assert np.array_equal(found[~masked], ids[~masked])


def is_part_in_order(part, whole):
    rest = iter(whole)
    return all(one in rest for one in part)


@given(texts_of_ids, seeds, rates)
def test_deleted_tokens_leave_the_others_in_order(ids, seed, rate):
    found = delete_tokens(ids, rng(seed), rate)
    assert is_part_in_order(found.tolist(), ids.tolist())
    assert len(ids) - len(found) == min(max(1, round(rate * len(ids))), len(ids) - 1)


@given(texts_of_ids, seeds, rates, st.floats(1, 9))
def test_infilling_leaves_the_share_it_should_in_order_between_masks(ids, seed, rate, mean):
    found = infill(ids, rng(seed), MASK, rate, mean)
    kept = found[found != MASK]
    assert is_part_in_order(kept.tolist(), ids.tolist())
    assert len(kept) == len(ids) - max(1, round(rate * len(ids)))
    assert np.any(found == MASK)


def test_what_a_mask_stands_for_is_one_run_of_tokens():
    """The text's ids count up, so what lies between two that stay is known."""
    lengths, n = Counter(), 200
    for seed in range(300):
        found = infill(np.arange(5, 5 + n), rng(seed), MASK)
        edges = np.r_[4, found[found != MASK], 5 + n]
        missing = np.diff(edges) - 1  # hidden between neighbours that stay
        masks = np.diff(np.flatnonzero(np.r_[-9, found, -9] != MASK)) - 1
        assert missing.sum() == 60
        assert np.all(masks[missing > 0] > 0)
        lengths.update(missing[masks == 1].tolist())  # of masks that stand alone
    total = lengths.total()
    # The last of a text's spans is cut, so the shares are only nearly Poisson's.
    for length in range(6):
        assert lengths[length] / total == pytest.approx(stats.poisson.pmf(length, 3), abs=0.03)
    assert lengths[0] > 0


def test_masks_are_inserted_where_nothing_was():
    """With the smallest share, one token is hidden; every other mask stands for nothing."""
    found = Counter(
        int((infill(np.arange(5, 15), rng(seed), MASK, 0.01) == MASK).sum()) for seed in range(4000)
    )
    zero = np.exp(-3)  # so many spans of no tokens before the first that has some
    for number in (1, 2):
        assert plausible(found[number], 4000, (1 - zero) * zero ** (number - 1))


def test_an_infilled_span_begins_at_each_place_alike():
    begins = Counter()
    for seed in range(6000):
        found = infill(np.arange(5, 17), rng(seed), MASK, rate=0.25)
        if len(found) == 10:  # the 3 hidden tokens are one span
            begins[int(np.flatnonzero(found == MASK)[0])] += 1
    assert sorted(begins) == list(range(10))
    assert stats.chisquare(list(begins.values())).pvalue > 1e-6


@given(st.lists(st.integers(5, 12), min_size=1, max_size=30).map(np.array), seeds)
def test_permuted_sentences_are_the_same_ones(ids, seed):
    ends = {5, 6}

    def sentences(tokens):
        found = [[]]
        for one in tokens.tolist():
            found[-1].append(one)
            if one in ends:
                found.append([])
        return [tuple(one) for one in found if one]

    found = permute_sentences(ids, rng(seed), ends)
    whole = sentences(ids)
    if ids[-1] in ends:
        assert Counter(sentences(found)) == Counter(whole)
    assert sorted(found.tolist()) == sorted(ids.tolist())


def test_every_order_of_sentences_is_as_likely():
    ids = np.array([7, 1, 8, 8, 1, 9, 1])
    found = Counter(tuple(permute_sentences(ids, rng(s), [1]).tolist()) for s in range(3000))
    assert len(found) == 6
    assert stats.chisquare(list(found.values())).pvalue > 1e-6
    assert (7, 1, 8, 8, 1, 9, 1) in found
    assert (9, 1, 8, 8, 1, 7, 1) in found


def test_a_text_is_rotated_to_each_of_its_tokens_alike():
    found = Counter(tuple(rotate(np.arange(5), rng(seed)).tolist()) for seed in range(3000))
    assert set(found) == {tuple((np.arange(5) + k) % 5) for k in range(5)}
    assert stats.chisquare(list(found.values())).pvalue > 1e-6


def test_noises_are_done_in_turn_with_one_generator():
    ids = 5 + np.arange(30)
    noises = [rotate, partial(delete_tokens, rate=0.2), partial(infill, mask=MASK)]
    draw = rng(3)
    expected = infill(delete_tokens(rotate(ids, draw), draw, rate=0.2), draw, mask=MASK)
    assert np.array_equal(noise(ids, rng(3), noises), expected)
    assert np.array_equal(noise(ids, rng(3), []), ids)


def test_no_noise_changes_the_text_it_is_given():
    ids = 5 + np.arange(30)
    for one in (
        rotate,
        delete_tokens,
        partial(replace_tokens, mask=MASK),
        partial(infill, mask=MASK),
        partial(permute_sentences, ends=[9]),
        partial(span_corruption, sentinels=SENTINELS),
    ):
        one(ids, rng())
        assert np.array_equal(ids, 5 + np.arange(30))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda ids: replace_tokens(ids, rng(), MASK), "a text without tokens"),
        (lambda ids: delete_tokens(ids, rng()), "a text without tokens"),
        (lambda ids: infill(ids, rng(), MASK), "a text without tokens"),
        (lambda ids: permute_sentences(ids, rng(), [1]), "a text without tokens"),
        (lambda ids: rotate(ids, rng()), "a text without tokens"),
        (lambda _: replace_tokens(np.arange(4), rng(), MASK, 1.0), "rate must be above 0"),
        (lambda _: delete_tokens(np.arange(4), rng(), 0.0), "rate must be above 0"),
        (lambda _: infill(np.arange(4), rng(), MASK, 1.5), "rate must be above 0"),
        (lambda _: infill(np.arange(4), rng(), MASK, 0.3, 0.2), "mean_length must be at least 1"),
        (lambda _: permute_sentences(np.arange(4), rng(), []), "ends must name at least one"),
    ],
)
def test_what_cannot_be_spoiled_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call(np.array([], dtype=int))


# Batches for encoder and decoder


def test_denoising_batches_are_padded_as_pairs_of_sentences_are():
    """`translation.pad_pairs`, where ids are of a vocabulary with START and STOP."""
    vocabulary = language_vocabulary(["abc"], min_count=1)
    sources = [np.array([7, 8, 9]), np.array([6])]
    targets = [vocabulary.encode("a"), vocabulary.encode("abc")]
    start, stop = vocabulary.id(START), vocabulary.id(STOP)
    ours = denoising_batch(sources, targets, start=start, stop=stop)
    assert isinstance(ours, Pairs)
    expected = pad_pairs(sources, targets, vocabulary)
    assert all(torch.equal(one, other) for one, other in zip(ours, expected, strict=True))


def test_padding_is_what_it_is_said_to_be():
    batch = denoising_batch(texts(2, 3), texts(1, 4), start=4, stop=2, padding=1)
    assert batch.source[0, 2:].tolist() == [1]
    assert batch.inputs[0, 2:].tolist() == [1, 1, 1]
    assert batch.inputs[:, 0].tolist() == [4, 4]
    assert batch.targets[0, 1:].tolist() == [2, NOTHING, NOTHING, NOTHING]


def test_an_epoch_of_span_corruption_has_each_text_once():
    given_texts = texts(*range(4, 40))
    epoch = denoising_batches(
        given_texts, partial(span_corruption, sentinels=SENTINELS), 8, start=PAD, stop=SEP
    )(rng())
    found = []
    for batch in epoch:
        assert isinstance(batch, Pairs)
        for source, length, _, target in zip(*batch, strict=True):
            real = target[target != NOTHING].numpy()
            assert real[-1] == SEP
            found.append(restore(source[:length].numpy(), real[:-1], SENTINELS).tolist())
    assert sorted(found) == sorted(text.tolist() for text in given_texts)


def test_an_epoch_of_noised_texts_asks_for_the_texts():
    given_texts = texts(*range(4, 20))
    noises = [partial(permute_sentences, ends=[9]), partial(infill, mask=MASK)]
    epoch = denoising_batches(
        given_texts, lambda ids, draw: (noise(ids, draw, noises), ids), 4, start=SEP, stop=SEP
    )(rng())
    asked = [row[row != NOTHING].tolist()[:-1] for batch in epoch for row in batch.targets]
    assert sorted(asked) == sorted(text.tolist() for text in given_texts)


@pytest.mark.parametrize(
    ("given_texts", "options", "says"),
    [
        ([], {}, "there are no texts"),
        (texts(3, 0), {}, "text 1 has no tokens"),
        (texts(3, 9), {"length": 8}, "text 1 has 9 tokens, but only 8 are allowed"),
        (texts(3), {"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_texts_that_cannot_be_denoised_are_refused_before_training(given_texts, options, says):
    settings = {"batch_size": 2, "start": 0, "stop": 1} | options
    with pytest.raises(ValueError, match=says):
        denoising_batches(given_texts, prefix_split, **settings)


def test_sources_and_targets_must_be_as_many():
    with pytest.raises(ValueError, match="2 sources need as many targets, got 1"):
        denoising_batch(texts(2, 3), texts(1), start=0, stop=1)
    with pytest.raises(ValueError, match="there are no sequences"):
        denoising_batch([], [], start=0, stop=1)


# Training


def test_a_model_learns_from_masked_batches():
    """Texts that repeat one token: what is hidden stands beside it."""
    given_texts = [np.full(12, 5 + number % 20) for number in range(200)]

    class Mean(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.output = torch.nn.Embedding(25, 32), torch.nn.Linear(32, 25)

        def forward(self, ids):
            x = self.embedding(ids).mean(dim=1, keepdim=True)
            return self.output(x.expand(-1, ids.shape[1], -1))

    def loss(model, batch):
        logits = model(batch.ids).flatten(0, 1)
        summed = torch.nn.functional.cross_entropy(logits, batch.targets.flatten(), reduction="sum")
        return summed, int((batch.targets != NOTHING).sum())

    training.set_seed(0)
    history = training.train(
        Mean(),
        loss,
        masked_batches(given_texts, SPECIALS, 25, batch_size=20),
        epochs=6,
        learning_rate=0.1,
        device="cpu",
        progress=False,
    )
    assert history.loss[0] > 2.5
    assert history.loss[-1] < 0.2
