"""n-grams: the table beside plain counting, perplexity, estimators by hand, one model interface."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course import ngram, ngram_models
from nlp_course.data.world import World
from nlp_course.ngram import START, STOP, UNKNOWN
from nlp_course.text import UnknownWordError, Vocabulary

DOGS = ["the dog barks", "the dog runs", "the cat runs", "a dog barks"]
texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=12).filter(any)


def prepared(sentences, order, min_count=1):
    """A vocabulary, the encoded sentences and their table."""
    sentences = [list(s.split()) if isinstance(s, str) else list(s) for s in sentences]
    vocabulary = ngram.language_vocabulary(sentences, min_count=min_count)
    ids = [vocabulary.encode(sentence) for sentence in sentences]
    return vocabulary, ids, ngram.count_ngrams(ids, vocabulary, order)


def padded(sentence, order, vocabulary):
    start, stop = vocabulary.id(START), vocabulary.id(STOP)
    return (start,) * (order - 1) + tuple(sentence.tolist()) + (stop,)


def counted(ids, order, vocabulary):
    """Padded n-grams, counted one by one."""
    return Counter(
        line[place : place + order]
        for line in (padded(sentence, order, vocabulary) for sentence in ids)
        for place in range(len(line) - order + 1)
    )


def row_of(table, gram):
    """The row of a run, looked up token by token from its START on or from nothing."""
    return table.rows(np.array(gram))[len(gram)][-1]


# Counting


@given(texts, st.integers(1, 4))
def test_table_holds_every_padded_ngram_as_often_as_it_occurs(sentences, order):
    vocabulary, ids, table = prepared(sentences, order)
    expected = counted(ids, order, vocabulary)
    assert table.counts[order].sum() == expected.total() == sum(len(s) + 1 for s in ids)
    for gram, count in expected.items():
        assert table.counts[order][row_of(table, gram)] == count


@given(texts, st.integers(2, 4))
def test_total_of_a_context_is_the_sum_over_what_follows_it(sentences, order):
    vocabulary, ids, table = prepared(sentences, order)
    followed = Counter()
    for gram, count in counted(ids, order, vocabulary).items():
        followed[gram[:-1]] += count
    for context, total in followed.items():
        assert table.totals[order - 1][row_of(table, context)] == total


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_sentence_begins_at_the_starts_though_unknown_words_stand_before_them(order):
    # Codes rise with ids, and UNKNOWN's is the lowest: the STARTs are not in the first row.
    vocabulary, ids, table = prepared(["a b z", "b a", "y a b", "x z a", "a"], order, min_count=2)
    lines = [padded(sentence, order, vocabulary) for sentence in ids]
    grams = counted(ids, order, vocabulary)
    expected = [grams[line[i : i + order]] for line in lines for i in range(len(line) - order + 1)]
    assert table.of_tokens(ids)[-1].count.tolist() == expected
    assert table.starts[order] > 0


@given(texts, st.integers(1, 4))
def test_every_run_of_k_has_its_suffix_among_the_runs_of_k_minus_one(sentences, order):
    vocabulary, _, table = prepared(sentences, order)
    size = len(vocabulary)

    def words(k, row):
        code = table.codes[k][row]
        return [*words(k - 1, code // size), code % size] if k else []

    for k in range(1, order + 1):
        for row, suffix in enumerate(table.suffixes[k]):
            assert words(k, row)[1:] == words(k - 1, suffix)


def test_long_orders_do_not_overflow():
    # 8 words of 10⁵: V⁸ = 10⁴⁰ is far beyond 64 bits, row · V is not.
    words = [str(number) for number in range(100_000)]
    vocabulary = ngram.language_vocabulary([words], min_count=1)
    sentence = vocabulary.encode(words[:: 100_000 // 20])
    table = ngram.count_ngrams([sentence, sentence[::-1].copy()], vocabulary, 8)
    assert min(code.min() for code in table.codes) >= 0
    assert (table.rows(sentence)[8][7:] >= 0).all()
    assert (ngram_models.MaximumLikelihood(table).log_probabilities([sentence])[1:] == 0).all()


def test_unseen_runs_have_no_row():
    vocabulary, _, table = prepared(DOGS, 3)
    the_cat_barks = vocabulary.encode(["the", "cat", "barks"])
    rows = table.rows(the_cat_barks)
    assert [row[2] >= 0 for row in rows] == [True, True, False, False]


def test_vocabulary_has_the_special_words_and_keeps_the_frequent():
    vocabulary = ngram.language_vocabulary([["a"] * 3, ["b"] * 2, ["c"]])
    assert vocabulary.words == (UNKNOWN, START, STOP, "a", "b")
    assert vocabulary.counts[vocabulary.id(UNKNOWN)] == 1
    assert len(ngram.language_vocabulary([["a"] * 3, ["b"] * 2], max_size=4)) == 4


@given(texts)
def test_encoding_all_words_at_once_gives_the_vocabulary_and_ids_of_two_passes(sentences):
    vocabulary, ids = ngram.encode_all(sentences)
    expected = ngram.language_vocabulary(sentences, min_count=1)
    assert vocabulary == expected
    assert vocabulary.counts.tolist() == expected.counts.tolist()
    assert [i.tolist() for i in ids] == [expected.encode(s).tolist() for s in sentences]


@given(texts)
def test_a_text_is_encoded_as_its_sentences_are_though_they_come_one_by_one(sentences):
    vocabulary = ngram.language_vocabulary([["a", "b", "d"]], min_count=1)
    ids = ngram.encode_with(vocabulary, (sentence for sentence in sentences))
    assert [i.tolist() for i in ids] == [vocabulary.encode(s).tolist() for s in sentences]
    whole, all_ids = ngram.encode_all(sentence for sentence in sentences)
    assert [whole.decode(i) for i in all_ids] == sentences


def test_a_text_with_a_word_outside_is_refused_where_none_stands_for_it():
    vocabulary = Vocabulary.from_sentences(["ab"])
    with pytest.raises(UnknownWordError, match="'c' is not among the 2 words"):
        ngram.encode_with(vocabulary, ["ab", "bc"])


def test_encoding_all_words_of_an_empty_text_is_refused():
    with pytest.raises(ValueError, match="the text is empty"):
        ngram.encode_all([[]])


def test_split_takes_whole_sentences_and_loses_none():
    sentences = [["x"] * length for length in (3, 5, 2, 7, 1)]
    first, second, rest = ngram.split_by_tokens(sentences, [4, 2])
    assert [len(s) for s in first] == [3, 5]
    assert [len(s) for s in second] == [2]
    assert first + second + rest == sentences
    assert ngram.split_by_tokens(sentences, [3])[0] == sentences[:1]
    assert ngram.split_by_tokens(sentences, []) == [sentences]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [([0], "at least 1"), ([18], "the text has 18"), ([9, 9], "leave nothing")],
)
def test_split_refuses(sizes, message):
    with pytest.raises(ValueError, match=message):
        ngram.split_by_tokens([["x"] * length for length in (3, 5, 2, 7, 1)], sizes)


# Perplexity


@given(st.integers(1, 10_000), st.integers(1, 50))
def test_perplexity_of_uniform_model_is_vocabulary_size(size, tokens):
    assert ngram.perplexity(np.full(tokens, -np.log(size))) == pytest.approx(size)


def test_add_k_with_a_huge_k_is_uniform_over_all_words_and_stop():
    vocabulary, ids, table = prepared(DOGS, 2)
    model = ngram_models.AddK(table, k=1e12)
    assert ngram.perplexity(model.log_probabilities(ids)) == pytest.approx(len(vocabulary) - 1)


def test_perplexity_is_two_to_the_bits_a_token():
    p = np.array([0.5, 0.25, 0.1, 0.7])
    bits = -np.log2(p).mean()
    assert ngram.perplexity(np.log(p)) == pytest.approx(2**bits)


def test_perplexity_of_an_impossible_token_is_infinite():
    assert ngram.perplexity(np.array([-1.0, -np.inf])) == np.inf


@pytest.mark.parametrize(
    ("values", "message"),
    [([], "at least one token"), ([np.nan], "NaN"), ([0.3], "do not sum to 1")],
)
def test_perplexity_refuses(values, message):
    with pytest.raises(ValueError, match=message):
        ngram.perplexity(np.array(values, dtype=np.float64))


# Maximum likelihood and add-k


def test_probability_of_a_sentence_is_the_product_of_its_trigrams():
    vocabulary, _, table = prepared(DOGS, 3)
    model = ngram_models.MaximumLikelihood(table)
    log_p = model.log_probabilities([vocabulary.encode(["the", "dog", "barks"])])
    # q(the|*,*) = 3/4, q(dog|*,the) = 2/3, q(barks|the,dog) = 1/2, q(STOP|dog,barks) = 1
    np.testing.assert_allclose(np.exp(log_p), [3 / 4, 2 / 3, 1 / 2, 1])


@given(texts, st.integers(1, 4))
def test_likelihood_of_each_token_is_the_ratio_of_plain_counts(sentences, order):
    vocabulary, ids, table = prepared(sentences, order)
    grams = counted(ids, order, vocabulary)
    contexts = Counter()
    for gram, count in grams.items():
        contexts[gram[:-1]] += count
    expected = [
        grams[line[i : i + order]] / contexts[line[i : i + order - 1]]
        for line in (padded(sentence, order, vocabulary) for sentence in ids)
        for i in range(len(line) - order + 1)
    ]
    log_p = ngram_models.MaximumLikelihood(table).log_probabilities(ids)
    np.testing.assert_allclose(np.exp(log_p), expected)


def test_no_model_of_its_order_likes_the_counted_text_more_than_relative_frequencies():
    _, ids, table = prepared(World(seed=1).sentences(200), 2)
    best = ngram_models.MaximumLikelihood(table).log_probabilities(ids).sum()
    for k in (0.001, 0.1, 1):
        assert ngram_models.AddK(table, k).log_probabilities(ids).sum() < best


def test_all_lengths_together_have_probability_one():
    vocabulary, _, table = prepared(["a b", "a", "b b a", "b"], 2)
    model = ngram_models.MaximumLikelihood(table)
    letters = [vocabulary.id("a"), vocabulary.id("b")]
    total = 0.0
    for length in range(12):
        strings = [np.array(s, dtype=np.int64) for s in product(letters, repeat=length)]
        log_p = model.log_probabilities(strings).reshape(len(strings), length + 1)
        total += np.exp(log_p.sum(axis=1)).sum()
    assert 0.995 < total <= 1 + 1e-12


def test_an_unseen_context_has_no_distribution_and_makes_a_text_impossible():
    vocabulary, _, table = prepared(DOGS, 3)
    model = ngram_models.MaximumLikelihood(table)
    impossible = vocabulary.encode(["cat", "dog", "barks"])
    assert ngram.perplexity(model.log_probabilities([impossible])) == np.inf
    with pytest.raises(ngram_models.UnseenContextError, match="never seen"):
        model.distribution(vocabulary.encode(["cat", "dog"]))
    with pytest.raises(
        ngram_models.UnseenContextError, match="were never seen one after the other"
    ):
        model.sample(vocabulary.encode(["cat", "dog"]), seed=0)


def test_add_one_by_hand_and_add_none_is_maximum_likelihood():
    vocabulary, ids, table = prepared(DOGS, 2)
    one = ngram_models.AddK(table, 1).distribution(vocabulary.encode(["the"]))
    # c(the, dog) = 2 of 3; the words that may come next: 6, STOP and UNKNOWN
    assert one[vocabulary.id("dog")] == pytest.approx((2 + 1) / (3 + 8))
    assert one[vocabulary.id("a")] == pytest.approx(1 / 11)
    np.testing.assert_array_equal(
        ngram_models.AddK(table, 0).log_probabilities(ids),
        ngram_models.MaximumLikelihood(table).log_probabilities(ids),
    )
    with pytest.raises(ngram_models.UnseenContextError):
        ngram_models.AddK(table, 0).distribution(vocabulary.encode([UNKNOWN]))


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(("name", "k"), [("MLE", 0), ("Laplace", 1), ("Lidstone", 0.3)])
def test_scores_are_those_of_nltk(order, name, k):
    lm = pytest.importorskip("nltk.lm", reason="nltk is not installed")
    from nltk.lm.preprocessing import pad_both_ends
    from nltk.util import ngrams

    sentences = World(seed=2).sentences(60)
    vocabulary, ids, table = prepared(sentences, order)
    # nltk pads the end n − 1 times and predicts START; so it is given runs ended by one STOP.
    lines = [list(pad_both_ends(s, n=2))[1:] for s in sentences]
    runs = [
        [run for n in range(1, order + 1) for run in ngrams((START,) * (n - 1) + tuple(line), n)]
        for line in lines
    ]
    theirs = lm.Lidstone(k, order) if name == "Lidstone" else getattr(lm, name)(order)
    # Its vocabulary adds UNKNOWN itself.
    theirs.fit(runs, [word for line in lines for word in line])
    model = ngram_models.AddK(table, k) if k else ngram_models.MaximumLikelihood(table)
    assert len(theirs.vocab) == len(vocabulary) - 1
    for sentence, coded in zip(sentences[:10], ids[:10], strict=True):
        line = [START] * (order - 1) + sentence + [STOP]
        expected = [
            theirs.score(line[i + order - 1], line[i : i + order - 1])
            for i in range(len(sentence) + 1)
        ]
        np.testing.assert_allclose(np.exp(model.log_probabilities([coded])), expected)


# The interface that all language models share


@pytest.fixture(scope="module")
def laplace():
    vocabulary, ids, table = prepared(World(seed=0).sentences(80), 3)
    return vocabulary, ids, ngram_models.AddK(table, 0.1)


def test_logits_are_the_log_probabilities_of_the_next_tokens(laplace):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    vocabulary, ids, model = laplace
    sentence = [*ids[0].tolist(), vocabulary.id(STOP)]
    logits, _ = model(torch.tensor([[vocabulary.id(START), *sentence[:-1]]]))
    picked = logits[0, torch.arange(len(sentence)), torch.tensor(sentence)]
    np.testing.assert_allclose(picked, model.log_probabilities([ids[0]]), rtol=1e-6)
    assert logits[0, :, vocabulary.id(START)].isinf().all()


def test_a_text_at_once_or_token_by_token_gives_the_same_logits(laplace):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    vocabulary, _, model = laplace
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(len(vocabulary), (3, 9), generator=generator)
    ids[:, 0] = vocabulary.id(START)
    at_once, last = model(ids)
    state, pieces = None, []
    for time in range(ids.shape[1]):
        logits, state = model(ids[:, time : time + 1], state)
        pieces.append(logits)
    assert torch.equal(torch.cat(pieces, dim=1), at_once)
    assert torch.equal(state, last)
    assert state.shape == (3, 2)


def test_going_on_mid_sentence_needs_no_distribution_of_earlier_places():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    _, ids, table = prepared(DOGS, 4)
    model = ngram_models.MaximumLikelihood(table)
    sentence = torch.from_numpy(ids[0])[None]
    at_once, _ = model(sentence)
    _, state = model(sentence[:, :2])
    assert torch.equal(model(sentence[:, 2:], state)[0], at_once[:, 2:])


def test_start_may_be_left_out_and_stop_begins_a_new_sentence(laplace):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    vocabulary, ids, model = laplace
    start, stop = vocabulary.id(START), vocabulary.id(STOP)
    words = ids[0][:4].tolist()
    with_start = model(torch.tensor([[start, *words]]))[0]
    assert torch.equal(model(torch.tensor([words]))[0], with_start[:, 1:])
    after_another = model(torch.tensor([[*ids[1].tolist(), stop, *words]]))[0]
    assert torch.equal(after_another[:, -5:], with_start)


def test_order_one_has_an_empty_state():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    vocabulary, _, table = prepared(DOGS, 1)
    model = ngram_models.MaximumLikelihood(table)
    logits, state = model(torch.tensor([[vocabulary.id("dog"), vocabulary.id("cat")]]))
    assert state.shape == (1, 0)
    assert logits.shape == (1, 2, len(vocabulary))
    assert torch.equal(logits[0, 0], logits[0, 1])
    # 16 tokens, STOP counted: 4 of them STOP, 3 "dog".
    p = model.distribution(np.array([], dtype=np.int64))
    assert p[vocabulary.id(STOP)] == pytest.approx(4 / 16)
    assert p[vocabulary.id("dog")] == pytest.approx(3 / 16)


# Sampling


def test_samples_begin_with_the_prompt_end_with_stop_and_repeat_with_the_seed(laplace):
    vocabulary, ids, model = laplace
    prompt = ids[0][:2]
    first, again = (model.sample(prompt, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first[:2].tolist() == prompt.tolist()
    assert any(model.sample(prompt, seed=s).tolist() != first.tolist() for s in range(4, 9))
    maximum_likelihood = ngram_models.MaximumLikelihood(model.table)
    for seed in range(5):
        drawn = maximum_likelihood.sample(seed=seed)
        assert vocabulary.words[drawn[-1]] == STOP
        assert START not in vocabulary.decode(drawn)
    assert len(model.sample(max_length=3, temperature=5, seed=1)) <= 3


def test_words_are_drawn_as_often_as_the_model_says():
    vocabulary, _, table = prepared(DOGS, 2)
    model = ngram_models.MaximumLikelihood(table)
    rng = np.random.default_rng(0)
    firsts = [model.sample(max_length=1, seed=rng)[0] for _ in range(2000)]
    # "the" begins three sentences of four; four standard errors are 0.04.
    assert np.mean(np.array(firsts) == vocabulary.id("the")) == pytest.approx(0.75, abs=0.04)
    cold = [model.sample(max_length=1, temperature=0.5, seed=rng)[0] for _ in range(2000)]
    # 3² : 1² at half the temperature
    assert np.mean(np.array(cold) == vocabulary.id("the")) == pytest.approx(0.9, abs=0.03)


def test_temperature_zero_takes_the_most_likely_word_and_tiny_ones_nearly_so():
    vocabulary, _, table = prepared(DOGS, 2)
    model = ngram_models.MaximumLikelihood(table)
    greedy = vocabulary.decode(model.sample(temperature=0))
    assert greedy[:2] == ["the", "dog"]
    assert vocabulary.decode(model.sample(temperature=1e-3, seed=5))[:2] == ["the", "dog"]


# Bad input


@pytest.mark.parametrize(
    ("sentences", "order", "message"),
    [
        ([], 2, "the text is empty"),
        ([np.array([], dtype=np.int64)], 2, "the text is empty"),
        ([np.array([3, 4])], 0, "order must be at least 1, got 0"),
        ([np.array([3, 99])], 2, "ids must lie in 0 … 8, got 3 … 99"),
        ([np.array([3, -1])], 2, "ids must lie in 0 … 8, got -1 … 3"),
        ([np.array([3, 1])], 2, "<s> and </s> are added"),
    ],
)
def test_counting_refuses(sentences, order, message):
    vocabulary, _, _ = prepared(DOGS, 2)
    assert len(vocabulary) == 9
    with pytest.raises(ValueError, match=message):
        ngram.count_ngrams(sentences, vocabulary, order)


def test_a_vocabulary_without_stop_is_refused():
    from nlp_course.text import Vocabulary

    vocabulary = Vocabulary.from_sentences([["a"]])
    with pytest.raises(ValueError, match="lacks"):
        ngram.count_ngrams([vocabulary.encode(["a"])], vocabulary, 2)


def test_models_refuse():
    _, _, table = prepared(DOGS, 2)
    model = ngram_models.MaximumLikelihood(table)
    with pytest.raises(ValueError, match="the text is empty"):
        model.log_probabilities([])
    with pytest.raises(ValueError, match="ids must lie in 0 … 8, got 99"):
        model.distribution(np.array([99]))
    with pytest.raises(ValueError, match="k must be at least 0"):
        ngram_models.AddK(table, -0.5)
    with pytest.raises(ValueError, match="temperature must be at least 0"):
        model.sample(temperature=-1)
    with pytest.raises(ValueError, match="max_length must be at least 1"):
        model.sample(max_length=0)


def test_a_text_of_unknown_words_alone_is_counted_and_judged():
    vocabulary = ngram.language_vocabulary([["a", "a"]], min_count=2)
    unknown = [vocabulary.encode(["x", "y", "z"]), vocabulary.encode(["w"])]
    table = ngram.count_ngrams(unknown, vocabulary, 2)
    model = ngram_models.MaximumLikelihood(table)
    # After START always UNKNOWN; after UNKNOWN two of four go on and two stop.
    log_p = model.log_probabilities(unknown)
    np.testing.assert_allclose(np.exp(log_p), [1, 0.5, 0.5, 0.5, 1, 0.5])
