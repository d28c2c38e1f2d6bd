"""The feed-forward language model: by hand, against chapter 8's engine, and as a language model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course import backprop, backprop_networks, feedforward, ngram, training  # noqa: E402
from nlp_course.ngram_models import MaximumLikelihood  # noqa: E402
from nlp_course.text import Vocabulary  # noqa: E402

TEXT = [line.split() for line in ("the dog barks", "the cat sleeps", "the dog sleeps", "a cat")]
VOCABULARY = ngram.language_vocabulary(TEXT, min_count=1)
SENTENCES = [VOCABULARY.encode(line) for line in TEXT]
START, STOP = VOCABULARY.id("<s>"), VOCABULARY.id("</s>")


def a_model(seed=0, **sizes):
    training.set_seed(seed)
    return feedforward.FeedForwardLM(
        VOCABULARY, **{"window": 2, "dimension": 3, "hidden": 5} | sizes
    )


def randomized(model, seed=0):
    """Every parameter away from where it begins, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return model.double()


def numbers(parameter):
    return parameter.detach().numpy()


# The formula


@pytest.mark.parametrize("direct", [False, True])
def test_logits_are_the_formula_written_out(direct):
    model = randomized(a_model(direct=direct))
    first, second = VOCABULARY.id("the"), VOCABULARY.id("dog")
    e = numbers(model.embedding.weight)
    x = np.array([*e[first], *e[second]])
    z = np.tanh(numbers(model.hidden.weight) @ x + numbers(model.hidden.bias))
    expected = numbers(model.output.weight) @ z + numbers(model.output.bias)
    if direct:
        expected += numbers(model.direct.weight) @ x
    expected[START] = -np.inf
    logits = model.logits(torch.tensor([first, second]))
    np.testing.assert_allclose(numbers(logits), expected)


@pytest.mark.parametrize("direct", [False, True])
def test_gradients_are_those_of_the_engine_of_chapter_8(direct):
    model = randomized(a_model(direct=direct))
    contexts, targets = feedforward.windows(SENTENCES, VOCABULARY, window=2)
    loss, tokens = feedforward.next_word_loss(model, (contexts, targets))
    (loss / tokens).backward()

    node = {name: backprop.Node(numbers(value)) for name, value in model.named_parameters()}
    never = np.zeros(len(VOCABULARY))
    never[START] = -1e9  # as good as −∞, and finite
    x = backprop_networks.lookup(node["embedding.weight"], contexts.numpy()).reshape(-1, 6)
    z = (x @ node["hidden.weight"].T + node["hidden.bias"]).tanh()
    scores = z @ node["output.weight"].T + node["output.bias"] + never
    if direct:
        scores = scores + x @ node["direct.weight"].T
    engine = backprop_networks.cross_entropy(scores, targets.numpy())
    engine.backward()
    assert engine.item() == pytest.approx((loss / tokens).item())
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(node[name].grad, parameter.grad.numpy(), atol=1e-12)


def test_gradients_are_finite_differences():
    model = randomized(a_model(dimension=2, hidden=2))
    contexts, targets = feedforward.windows(SENTENCES, VOCABULARY, window=2)
    feedforward.next_word_loss(model, (contexts, targets))[0].backward()
    step = 1e-6
    for parameter in model.parameters():
        place = int(parameter.grad.abs().argmax())
        around = []
        for sign in (1, -1):
            parameter.data.view(-1)[place] += sign * step
            with torch.no_grad():
                around.append(feedforward.next_word_loss(model, (contexts, targets))[0].item())
            parameter.data.view(-1)[place] -= sign * step
        slope = (around[0] - around[1]) / (2 * step)
        assert slope == pytest.approx(parameter.grad.view(-1)[place].item(), rel=1e-6)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6), st.booleans(), st.integers(1, 20))
def test_parameter_count_is_that_of_the_model_built(window, dimension, hidden, direct, words):
    letters = tuple("abcdefghijklmnopqrst"[:words])
    vocabulary = Vocabulary(("<s>", "</s>", *letters), np.ones(words + 2, dtype=np.int64))
    model = feedforward.FeedForwardLM(
        vocabulary, window=window, dimension=dimension, hidden=hidden, direct=direct
    )
    built = sum(parameter.numel() for parameter in model.parameters())
    sizes = len(vocabulary), window, dimension, hidden, direct
    assert feedforward.parameter_count(*sizes) == built


def test_parameter_count_is_the_one_of_the_paper():
    """|V|(1 + nm + h) + h(1 + (n − 1)m), with n the order and m, h dimension and hidden units."""
    V, n, m, h = 17_964, 6, 30, 60
    expected = V * (1 + n * m + h) + h * (1 + (n - 1) * m)
    assert feedforward.parameter_count(V, n - 1, m, h, direct=True) == expected


def test_each_word_more_in_the_window_costs_the_same():
    counts = [feedforward.parameter_count(1000, window, 60, 50) for window in range(1, 9)]
    assert set(np.diff(counts)) == {60 * 50}


# The initial weights


def test_initial_spreads_are_the_documented_ones():
    words = tuple(f"w{number}" for number in range(2000))
    vocabulary = Vocabulary(("<s>", "</s>", *words), np.ones(2002, dtype=np.int64))
    training.set_seed(0)
    model = feedforward.FeedForwardLM(vocabulary, window=4, dimension=60, hidden=100, direct=True)
    assert model.embedding.weight.std().item() == pytest.approx(0.1, rel=0.02)
    assert model.hidden.weight.std().item() == pytest.approx(240**-0.5, rel=0.02)
    assert model.output.weight.std().item() == pytest.approx(0.1 * 100**-0.5, rel=0.02)
    for parameter in (model.hidden.bias, model.output.bias, model.direct.weight):
        assert not parameter.any()
    inside = model.hidden(model.embedding(torch.randint(2002, (500, 4))).flatten(-2))
    assert inside.std().item() == pytest.approx(0.1, rel=0.05)


def test_training_begins_at_the_frequencies_of_words():
    counts = np.array([3, 0, 40, *range(10, 10 + len(VOCABULARY) - 3)])
    model = a_model(counts=counts, hidden=400)
    p = model.distribution(VOCABULARY.encode(["the"]))
    expected = (counts + 1.0) * (np.arange(len(counts)) != START)
    np.testing.assert_allclose(p, expected / expected.sum(), rtol=0.5)


def test_the_same_seed_gives_the_same_model():
    first, second, other = a_model(1), a_model(1), a_model(2)
    assert torch.equal(first.hidden.weight, second.hidden.weight)
    assert not torch.equal(first.hidden.weight, other.hidden.weight)


# As a language model


def test_a_whole_text_at_once_gives_the_logits_of_token_by_token():
    model = randomized(a_model(window=3))
    ids = torch.randint(len(VOCABULARY), (4, 12), generator=torch.Generator().manual_seed(0))
    ids[:, 5], ids[1, 6] = STOP, START
    whole, final = model(ids)
    state, parts = None, []
    for piece in ids.split([1, 1, 4, 2, 3, 1], dim=1):
        logits, state = model(piece, state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    assert torch.equal(state, final)


def test_start_may_be_left_out_and_a_stop_begins_a_new_sentence():
    model = randomized(a_model(window=4))
    dog = torch.from_numpy(VOCABULARY.encode(["the", "dog"]))[None]
    cat = torch.from_numpy(VOCABULARY.encode(["a", "cat", "sleeps"]))[None]
    special = torch.tensor([[START]]), torch.tensor([[STOP]])
    alone, _ = model(cat)
    with_start, _ = model(torch.cat([special[0], cat], dim=1))
    after_another, _ = model(torch.cat([dog, special[1], cat], dim=1))
    torch.testing.assert_close(with_start[:, 1:], alone)
    torch.testing.assert_close(after_another[:, 3:], alone)


def test_log_probabilities_are_those_of_the_logits():
    model = randomized(a_model())
    expected = []
    for words in SENTENCES:
        ids = torch.tensor([[START, *words]])
        log_p = torch.log_softmax(model(ids)[0][0], dim=-1)
        targets = torch.tensor([*words, STOP])
        expected.extend(log_p[torch.arange(len(targets)), targets].tolist())
    np.testing.assert_allclose(model.log_probabilities(SENTENCES), expected)


def test_every_distribution_sums_to_one_without_start():
    model = randomized(a_model())
    for words in ([], ["the"], ["the", "dog", "barks", "the"]):
        p = model.distribution(VOCABULARY.encode(words))
        assert p.sum() == pytest.approx(1)
        assert p[START] == 0
        assert (np.delete(p, START) > 0).all()


def test_what_is_outside_the_window_makes_no_difference_at_all():
    model = a_model(window=2)
    one = torch.from_numpy(VOCABULARY.encode(["the", "dog", "sleeps"]))[None]
    other = torch.from_numpy(VOCABULARY.encode(["a", "dog", "sleeps"]))[None]
    assert torch.equal(model(one)[0][:, 2], model(other)[0][:, 2])
    assert not torch.equal(model(one)[0][:, 1], model(other)[0][:, 1])


def test_a_word_meets_other_weights_in_another_place():
    model = randomized(a_model())
    dog, cat = VOCABULARY.id("dog"), VOCABULARY.id("cat")
    here, there = model.logits(torch.tensor([[dog, cat], [cat, dog]]))
    assert not torch.allclose(here, there)


def test_with_a_window_of_one_it_learns_the_relative_frequencies():
    """The likelihood's maximum, for whatever model can reach it, is the bigram table."""
    model = a_model(window=1, dimension=8, hidden=16)
    contexts, targets = feedforward.windows(SENTENCES, VOCABULARY, window=1)
    training.train(
        model,
        feedforward.next_word_loss,
        lambda rng: [(contexts, targets)],
        steps=800,
        learning_rate=0.03,
        schedule=training.cosine,
        device="cpu",
        progress=False,
    )
    table = MaximumLikelihood(ngram.count_ngrams(SENTENCES, VOCABULARY, order=2))
    for words in ([], ["the"], ["dog"], ["cat"]):
        context = VOCABULARY.encode(words)
        expected = table.distribution(context)
        np.testing.assert_allclose(model.distribution(context), expected, atol=0.01)


def test_dropout_is_for_training_only():
    model = a_model(dropout=0.5)
    first = model.log_probabilities(SENTENCES)
    assert np.array_equal(first, model.log_probabilities(SENTENCES))
    assert model.training  # as it was
    contexts, targets = feedforward.windows(SENTENCES, VOCABULARY, window=2)
    losses = {feedforward.next_word_loss(model, (contexts, targets))[0].item() for _ in range(3)}
    assert len(losses) == 3


# Windows


def test_windows_do_not_cross_sentences_and_stop_is_predicted():
    contexts, targets = feedforward.windows(SENTENCES[:2], VOCABULARY, window=3)
    rows = [
        (VOCABULARY.decode(context), VOCABULARY.words[target])
        for context, target in zip(contexts, targets, strict=True)
    ]
    assert rows == [
        (["<s>", "<s>", "<s>"], "the"),
        (["<s>", "<s>", "the"], "dog"),
        (["<s>", "the", "dog"], "barks"),
        (["the", "dog", "barks"], "</s>"),
        (["<s>", "<s>", "<s>"], "the"),
        (["<s>", "<s>", "the"], "cat"),
        (["<s>", "the", "cat"], "sleeps"),
        (["the", "cat", "sleeps"], "</s>"),
    ]


def test_an_empty_sentence_is_a_stop():
    contexts, targets = feedforward.windows([np.array([], dtype=np.int64)], VOCABULARY, window=2)
    assert contexts.tolist() == [[START, START]]
    assert targets.tolist() == [STOP]


@pytest.mark.parametrize(
    ("sentences", "window", "message"),
    [
        (SENTENCES, 0, "window must be at least 1, got 0"),
        ([], 2, "the text is empty"),
        ([np.array([99])], 2, r"ids must lie in 0 … 8, got 99 … 99"),
        ([np.array([-1])], 2, "ids must lie in"),
        ([np.array([START])], 2, "must not hold them"),
        ([np.array([3, STOP])], 2, "must not hold them"),
    ],
)
def test_a_text_that_cannot_be_cut_is_refused(sentences, window, message):
    with pytest.raises(ValueError, match=message):
        feedforward.windows(sentences, VOCABULARY, window)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"window": 0}, "window must be at least 1"),
        ({"dimension": 0}, "dimension must be at least 1"),
        ({"hidden": -3}, "hidden must be at least 1, got -3"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"counts": np.ones(3, dtype=np.int64)}, "each of 9 words needs a count"),
    ],
)
def test_a_model_that_cannot_be_built_is_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        a_model(**sizes)


def test_a_vocabulary_without_start_and_stop_is_refused():
    with pytest.raises(ValueError, match=r"lacks \['<s>', '</s>'\]: make it with"):
        feedforward.FeedForwardLM(Vocabulary.from_sentences(TEXT))
