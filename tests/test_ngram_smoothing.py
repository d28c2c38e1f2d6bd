"""Smoothing: distributions that sum to 1, EM that climbs, Kneser–Ney beside KenLM and nltk."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from nlp_course import ngram, ngram_models
from nlp_course import ngram_smoothing as smoothing
from nlp_course.data.world import World
from nlp_course.ngram import START, STOP, UNKNOWN

KENLM = Path(__file__).parent / "kenlm"
FALLBACK = (0.5, 1.0, 1.5)
NOTES = ((0.05, 0.2, 0.75), (0.2, 0.5, 0.3), (0.8, 0.15, 0.05))


def prepared(sentences, order, min_count=1):
    """A vocabulary, the encoded sentences and their table."""
    vocabulary = ngram.language_vocabulary(sentences, min_count=min_count)
    ids = [vocabulary.encode(sentence) for sentence in sentences]
    return vocabulary, ids, ngram.count_ngrams(ids, vocabulary, order)


@pytest.fixture(scope="module")
def world():
    """Words seen once are UNKNOWN, so that no held-out word is impossible."""
    sentences = World(seed=0).sentences(400)
    vocabulary, ids, table = prepared(sentences[:300], 3, min_count=2)
    return vocabulary, ids, table, [vocabulary.encode(s) for s in sentences[300:]]


def models(table):
    uniform = np.full(table.order, 1 / table.order)
    yield ngram_models.AddK(table, 0.5)
    yield smoothing.Interpolated(table, uniform)
    yield smoothing.KneserNey(table, FALLBACK)
    if table.order == 3:
        yield smoothing.Interpolated(table, NOTES, edges=(0, 10))


# What all have in common


@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=9).filter(any),
    st.integers(1, 4),
    st.lists(st.integers(0, 6), max_size=4),
)
def test_every_distribution_sums_to_one_in_every_context(sentences, order, context):
    vocabulary, _, table = prepared(sentences, order)
    words = np.array([word % len(vocabulary) for word in context], dtype=np.int64)
    for model in models(table):
        p = model.distribution(words)
        assert p.sum() == pytest.approx(1)
        assert p.min() >= 0
        assert p[vocabulary.id(START)] == 0


def test_tokens_get_what_the_distribution_of_their_context_says(world):
    vocabulary, _, table, held_out = world
    for model in [*models(table), smoothing.KneserNey(table)]:
        for sentence in held_out[:5]:
            ended = [*sentence.tolist(), vocabulary.id(STOP)]
            expected = [model.distribution(sentence[:i])[word] for i, word in enumerate(ended)]
            np.testing.assert_allclose(
                np.exp(model.log_probabilities([sentence])), expected, rtol=1e-12
            )


def test_scores_of_stupid_backoff_do_not_sum_to_one(world):
    vocabulary, ids, table, _ = world
    backoff = ngram_models.StupidBackoff(table)
    in_seen_contexts = [backoff.scores(sentence[:2]).sum() for sentence in ids[:30]]
    assert min(in_seen_contexts) > 1.1
    unknown = np.full(2, vocabulary.id(UNKNOWN))
    assert backoff.scores(unknown).sum() < 0.95
    assert not hasattr(backoff, "log_probabilities")


def test_stupid_backoff_by_hand():
    sentences = [s.split() for s in ("the dog barks", "the dog runs", "the cat runs")]
    vocabulary, _, table = prepared(sentences, 3)
    backoff = ngram_models.StupidBackoff(table, alpha=0.4)
    after = backoff.scores(vocabulary.encode(["the", "cat"]))
    assert after[vocabulary.id("runs")] == 1
    # (the, cat, barks) and (cat, barks) are unseen; barks is one of 12 tokens.
    assert after[vocabulary.id("barks")] == pytest.approx(0.4 * 0.4 / 12)
    log_score = backoff.log_scores([vocabulary.encode(["the", "cat", "barks"])])
    assert np.exp(log_score[2]) == pytest.approx(0.4 * 0.4 / 12)


# Interpolation


def test_interpolation_is_the_weighted_sum_of_the_orders(world):
    vocabulary, ids, table, _ = world
    weights = (0.6, 0.3, 0.1)
    mixed = smoothing.Interpolated(table, weights).log_probabilities(ids)
    orders = [
        ngram_models.MaximumLikelihood(ngram.count_ngrams(ids, vocabulary, n)) for n in (3, 2, 1)
    ]
    # On the counted text every context was seen.
    parts = [np.exp(model.log_probabilities(ids)) for model in orders]
    np.testing.assert_allclose(np.exp(mixed), np.average(parts, axis=0, weights=weights))


def test_all_weight_on_the_longest_context_is_maximum_likelihood(world):
    vocabulary, ids, table, held_out = world
    one = smoothing.Interpolated(table, (1, 0, 0))
    other = ngram_models.MaximumLikelihood(table)
    np.testing.assert_allclose(one.log_probabilities(ids), other.log_probabilities(ids))
    np.testing.assert_array_equal(
        one.log_probabilities(held_out), other.log_probabilities(held_out)
    )
    with pytest.raises(ngram_models.UnseenContextError):
        one.distribution(vocabulary.encode([UNKNOWN, UNKNOWN]))


def test_weight_of_an_unseen_context_goes_to_the_others_in_their_proportion():
    sentences = [s.split() for s in ("a b c", "b a", "c b a")]
    vocabulary, _, table = prepared(sentences, 3)
    model = smoothing.Interpolated(table, NOTES, edges=(0, 10))
    # (a, c) was never seen: λ_1 drops out, .2 and .75 are divided by .95. c was seen twice, before
    # STOP and b; there are 8 words and 3 STOPs.
    p = model.distribution(vocabulary.encode(["a", "c"]))
    expected = (0.2 * 1 / 2 + 0.75 * 3 / 11) / 0.95
    assert p[vocabulary.id("b")] == pytest.approx(expected)


@pytest.mark.parametrize(("seen", "bucket"), [(1, 1), (10, 1), (11, 2)])
def test_the_bucket_is_chosen_by_the_count_of_the_context(seen, bucket):
    sentences = [["a", "b", "c"]] * seen + [["d"]] * 5
    vocabulary, _, table = prepared(sentences, 3)
    p = smoothing.Interpolated(table, NOTES, edges=(0, 10)).distribution(
        vocabulary.encode(["a", "b"])
    )
    # q(d | a, b) = q(d | b) = 0, and q(d) = 5 / tokens
    assert p[vocabulary.id("d")] == pytest.approx(NOTES[bucket][2] * 5 / (4 * seen + 10))


@pytest.mark.parametrize("edges", [(), (0, 10), (0, 1, 2, 5)])
def test_no_step_of_em_lowers_the_likelihood(world, edges):
    _, _, table, held_out = world
    fitted = smoothing.fit_weights(table, held_out, edges, iterations=60, tolerance=0.0)
    assert np.diff(fitted.log_likelihoods).min() > -1e-12
    assert fitted.log_likelihoods[-1] > fitted.log_likelihoods[0] + 0.05
    np.testing.assert_allclose(fitted.weights.sum(axis=1), 1)
    model = smoothing.Interpolated(table, fitted.weights, edges)
    assert model.log_probabilities(held_out).mean() == pytest.approx(fitted.log_likelihoods[-1])


def test_em_ends_where_a_search_along_the_line_ends(world):
    vocabulary, ids, _, held_out = world
    table = ngram.count_ngrams(ids, vocabulary, 2)

    def loss(weight):
        model = smoothing.Interpolated(table, (weight, 1 - weight))
        return -model.log_probabilities(held_out).mean()

    best = minimize_scalar(loss, bounds=(0.01, 0.99), method="bounded", options={"xatol": 1e-7})
    fitted = smoothing.fit_weights(table, held_out, iterations=2000, tolerance=0.0)
    assert fitted.weights[0, 0] == pytest.approx(best.x, abs=1e-4)


def test_no_neighbour_of_ems_weights_is_better_though_contexts_are_unseen(world):
    _, _, table, held_out = world
    assert (table.of_tokens(held_out)[-1].total == 0).any()
    weights = smoothing.fit_weights(table, held_out, iterations=2000, tolerance=0.0).weights[0]
    best = smoothing.Interpolated(table, weights).log_probabilities(held_out).mean()
    for one, other in product(range(3), repeat=2):
        moved = weights.copy()
        moved[one] -= 0.01
        moved[other] += 0.01
        if one != other and moved.min() >= 0:
            assert smoothing.Interpolated(table, moved).log_probabilities(held_out).mean() < best


def test_buckets_are_at_least_as_good_and_the_unseen_one_ignores_its_context(world):
    _, _, table, held_out = world
    one = smoothing.fit_weights(table, held_out, iterations=500)
    three = smoothing.fit_weights(table, held_out, edges=(0, 10), iterations=500)
    assert three.log_likelihoods[-1] > one.log_likelihoods[-1]
    assert three.weights[0, 0] == 0
    assert three.weights[2, 0] > three.weights[1, 0]


def test_on_the_counted_text_the_longest_context_takes_all(world):
    _, ids, table, _ = world
    weights = smoothing.fit_weights(table, ids, iterations=500).weights[0]
    assert weights[0] > 0.99


def test_a_bucket_without_held_out_text_keeps_equal_weights(world):
    _, _, table, held_out = world
    fitted = smoothing.fit_weights(table, held_out, edges=(0, 100_000))
    assert fitted.weights[2].tolist() == [1 / 3] * 3


@pytest.mark.parametrize(
    ("weights", "edges", "message"),
    [
        ((0.5, 0.3, 0.3), (), "must sum to 1"),
        ((1.2, -0.2, 0.0), (), "at least 0"),
        ((0.5, 0.5), (), r"shape \(1, 3\)"),
        (NOTES, (0,), r"2 buckets of order 3 need weights of shape \(2, 3\), got \(3, 3\)"),
        (NOTES, (10, 0), "edges must rise"),
        ((np.nan, 0.5, 0.5), (), "at least 0"),
    ],
)
def test_interpolation_refuses(world, weights, edges, message):
    with pytest.raises(ValueError, match=message):
        smoothing.Interpolated(world[2], weights, edges)


def test_fitting_refuses(world):
    _, _, table, held_out = world
    with pytest.raises(ValueError, match="iterations must be at least 1"):
        smoothing.fit_weights(table, held_out, iterations=0)
    vocabulary, _, small = prepared([["a", "b"]], 2)
    with pytest.raises(ValueError, match="1 held-out tokens have probability 0"):
        smoothing.fit_weights(small, [vocabulary.encode(["a", "c"])])


def test_alpha_is_refused_outside_its_range(world):
    with pytest.raises(ValueError, match="alpha must be above 0"):
        ngram_models.StupidBackoff(world[2], alpha=0.0)


# Kneser–Ney


def arpa(path):
    """log₁₀ p and log₁₀ of the backoff weight of each n-gram in a file of KenLM's."""
    entries = {}
    for line in path.read_text("utf-8").splitlines():
        fields = line.split("\t")
        if len(fields) >= 2:
            words = tuple(fields[1].split())
            entries[words] = float(fields[0]), float(fields[2]) if len(fields) == 3 else 0.0
    return entries


@pytest.fixture(scope="module")
def kenlm_text():
    return [line.split() for line in (KENLM / "world.txt").read_text("utf-8").splitlines()]


def test_probabilities_and_backoff_weights_are_kenlms(kenlm_text):
    vocabulary, _, table = prepared(kenlm_text, 3)
    model = smoothing.KneserNey(table)
    entries = arpa(KENLM / "world.arpa")
    assert len(entries) > 1000
    ours_p, theirs_p, ours_b, theirs_b = [], [], [], []
    for words, (log_p, log_backoff) in entries.items():
        *context, word = vocabulary.encode(words).tolist()
        # The probability after just this context: its row, and nothing longer.
        rows = table.rows(np.array([context, context], dtype=np.int64))
        contexts = [np.zeros(1, dtype=np.int64)]
        contexts += [rows[k][:1, -1] if k <= len(context) else np.array([-1]) for k in (1, 2)]
        if words[-1] != START:
            ours_p.append(np.log10(model._estimate(model.table.of_contexts(contexts))[0, word]))
            theirs_p.append(log_p)
        if len(words) < 3 and words[-1] != STOP:
            row = table.rows(vocabulary.encode(words))[len(words)][-1]
            ours_b.append(np.log10(model.backoff[len(words)][row]) if row >= 0 else 0.0)
            theirs_b.append(log_backoff)
    assert len(theirs_p) == len(entries) - 1
    np.testing.assert_allclose(ours_p, theirs_p, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(ours_b, theirs_b, rtol=2e-6, atol=2e-6)


def test_perplexity_is_kenlms(kenlm_text):
    entries = arpa(KENLM / "world.arpa")

    def log10_p(words, context):
        """As the format defines it: the longest n-gram there is, with the weights on the way."""
        if (*context, *words) in entries:
            return entries[(*context, *words)][0]
        return entries.get(context, (0.0, 0.0))[1] + log10_p(words, context[1:])

    total, tokens = 0.0, 0
    test = [*World(seed=5).sentences(40), ["the", "unicorn", "sleeps"]]
    for sentence in test:
        line = [START, *sentence, STOP]
        line = [word if (word,) in entries else UNKNOWN for word in line]
        for place in range(1, len(line)):
            total += log10_p((line[place],), tuple(line[max(place - 2, 0) : place]))
            tokens += 1
    vocabulary, _, table = prepared(kenlm_text, 3)
    ours = smoothing.KneserNey(table).log_probabilities([vocabulary.encode(s) for s in test])
    assert len(ours) == tokens
    assert ngram.perplexity(ours) == pytest.approx(10 ** (-total / tokens), rel=1e-6)


def test_interpolated_kneser_ney_of_order_two_is_nltks():
    lm = pytest.importorskip("nltk.lm", reason="nltk is not installed")

    sentences = World(seed=3).sentences(80)
    vocabulary, _, table = prepared(sentences, 2)
    runs = [
        [run for a, b in zip([START, *s], [*s, STOP], strict=True) for run in ((b,), (a, b))]
        for s in sentences
    ]
    theirs = lm.KneserNeyInterpolated(2, discount=0.1)
    theirs.fit(runs, [word for s in sentences for word in [START, *s, STOP]])
    # nltk discounts bigrams alone, by one number, and leaves continuation counts as they are.
    model = smoothing.KneserNey(table, (0.1, 0.1, 0.1))
    words_before = model.table.counts[1]
    model.kept[0][:-1] = words_before / words_before.sum()
    model.backoff[0][:-1] = 0
    for before, word in [(START, "the"), ("the", "king"), ("king", "the"), ("the", STOP)]:
        context = [] if before == START else [before]
        p = model.distribution(vocabulary.encode(context))[vocabulary.id(word)]
        assert p == pytest.approx(theirs.score(word, (before,)), rel=1e-9)


def test_a_word_with_one_neighbour_is_rarely_expected_elsewhere():
    # "francisco" is frequent, but only ever after "san"; "glasses" is rarer, after many words.
    verbs = ["buy", "like", "lose", "find", "sell"]
    sentences = [["san", "francisco"]] * 20 + [[verb, "glasses"] for verb in verbs] + [["see"]]
    vocabulary, _, table = prepared(sentences, 2)
    kneser_ney = smoothing.KneserNey(table, FALLBACK).distribution(vocabulary.encode(["see"]))
    mixed = smoothing.Interpolated(table, (0.5, 0.5)).distribution(vocabulary.encode(["see"]))
    francisco, glasses = vocabulary.id("francisco"), vocabulary.id("glasses")
    assert mixed[francisco] > mixed[glasses]
    assert kneser_ney[glasses] > 2 * kneser_ney[francisco]


def test_discounts_worked_by_hand():
    # Unigrams keep their counts at order 1: 4 words once, 2 twice, 1 three times, 1 four times.
    words = [*"abcdeeffggghhhh"]
    # STOP is counted five times, and 5 enters no discount.
    _, _, table = prepared([words[:3], words[3:5], words[5:8], words[8:11], words[11:]], 1)
    y = 4 / (4 + 2 * 2)
    expected = [0, 1 - 2 * y * 2 / 4, 2 - 3 * y * 1 / 2, 3 - 4 * y * 1 / 1]
    np.testing.assert_allclose(smoothing.KneserNey(table).discounts[0], expected)


def test_what_is_taken_is_what_is_passed_on(world):
    _, _, table, _ = world
    model = smoothing.KneserNey(table)
    for k in range(3):
        seen = model.table.totals[k] > 0
        assert np.all(model.backoff[k][:-1][seen] < 1)
        assert np.all(model.backoff[k][:-1][~seen] == 1)
        assert model.backoff[k][-1] == 1


def test_what_runs_keep_and_what_their_context_passes_on_is_all(world):
    _, _, table, _ = world
    model = smoothing.KneserNey(table)
    for k, (kept, backoff) in enumerate(zip(model.kept, model.backoff, strict=True)):
        context = table.codes[k + 1] // table.vocabulary_size
        shares = np.bincount(context, kept[:-1], minlength=len(backoff) - 1) + backoff[:-1]
        np.testing.assert_allclose(shares, 1)
        assert kept[-1] == 0


@pytest.mark.parametrize(
    ("discounts", "message"),
    [
        (None, r"discounts need runs of 1 tokens that count 1, 2 and 3, got \[0, 3, 0\]"),
        ((0.5, 1.0), "must be three"),
        ((0.5, 2.5, 1.5), "must lie in 0 … 1, 0 … 2 and 0 … 3"),
    ],
)
def test_kneser_ney_refuses(discounts, message):
    _, _, table = prepared([["a", "b"], ["b", "a"]], 2)
    with pytest.raises(ValueError, match=message):
        smoothing.KneserNey(table, discounts)


def test_text_too_small_for_discounts_works_with_the_fallback():
    vocabulary, ids, table = prepared([["a", "b"], ["b", "a"]], 2)
    model = smoothing.KneserNey(table, FALLBACK)
    assert model.distribution(vocabulary.encode(["a"])).sum() == pytest.approx(1)
    assert np.isfinite(model.log_probabilities(ids)).all()


@pytest.mark.real_data
def test_on_brown_each_step_of_the_chapter_lowers_the_perplexity():
    from nlp_course import data

    train, valid, test = ngram.split_by_tokens(data.load("brown").sentences, (200_000, 50_000))
    vocabulary = ngram.language_vocabulary(train, min_count=4)
    train, valid, test = (
        [vocabulary.encode(s) for s in part] for part in (train, valid, test[:5000])
    )
    table = ngram.count_ngrams(train, vocabulary, 3)
    perplexities = [
        ngram.perplexity(model.log_probabilities(test))
        for model in (
            ngram_models.MaximumLikelihood(table),
            ngram_models.AddK(table, 1),
            ngram_models.AddK(ngram.count_ngrams(train, vocabulary, 1), 0),
            smoothing.Interpolated(table, smoothing.fit_weights(table, valid).weights),
            smoothing.KneserNey(table),
        )
    ]
    assert perplexities[0] == np.inf
    assert perplexities == sorted(perplexities, reverse=True)


def test_no_order_that_was_asked_is_left_without_weight():
    vocabulary = ngram.language_vocabulary([["a", "b"], ["c", "a"]], min_count=1)
    sentences = [vocabulary.encode(line.split()) for line in ["a b"] * 30 + ["c a"]]
    table = ngram.count_ngrams(sentences, vocabulary, order=2)
    # Held-out text in which pairs alone do well: unigrams are never needed.
    weights = smoothing.fit_weights(table, sentences[:5], iterations=2000, tolerance=0.0).weights
    assert 0 < weights[0, 1] < 2e-4
    assert np.isclose(weights.sum(), 1)
    model = smoothing.Interpolated(table, weights)
    new = [vocabulary.encode(["b", "c"])]
    assert np.all(np.isfinite(model.log_probabilities(new)))
