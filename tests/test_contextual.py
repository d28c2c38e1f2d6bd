"""Two language models and a mix of layers: what each half knows, and how layers are weighed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402

from nlp_course import contextual, ngram, training  # noqa: E402
from nlp_course.batching import pad  # noqa: E402
from nlp_course.contextual import BidirectionalLM, CharacterCNN, ScalarMix  # noqa: E402
from nlp_course.sequence_models import Tagger, labelled_batches, tagging_loss  # noqa: E402

TEXT = [line.split() for line in ("the dog barks", "the cats sleep", "a dog sleeps well", "cats")]
VOCABULARY = ngram.language_vocabulary(TEXT, min_count=1)
SENTENCES = [VOCABULARY.encode(line) for line in TEXT]
EMPTY = np.array([], dtype=np.int64)
START, STOP = VOCABULARY.id("<s>"), VOCABULARY.id("</s>")
SIZE = len(VOCABULARY)
ordinary = st.lists(st.integers(3, SIZE - 1), max_size=5).map(
    lambda ids: np.array(ids, dtype=np.int64)
)


def a_model(seed=0, **options):
    training.set_seed(seed)
    return BidirectionalLM(VOCABULARY, **{"dimension": 4} | options)


def randomized(model, seed=0, scale=1.0):
    """Every parameter away from where it begins, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = scale * torch.randn(parameter.shape, generator=generator)
    return model.double().eval()


def torchs_lstm(networks):
    """torch's LSTMs of one layer each with the weights of ours."""
    found = []
    for network in networks:
        (cell,) = network.cells
        theirs = nn.LSTM(cell.inputs, cell.hidden, batch_first=True).double()
        theirs.weight_ih_l0.data, theirs.weight_hh_l0.data = cell.W_hx.data, cell.W_hh.data
        theirs.bias_ih_l0.data = cell.b.data
        theirs.bias_hh_l0.data.zero_()
        found.append(theirs)
    return found


# Two language models


@given(st.lists(ordinary, min_size=1, max_size=4))
@settings(deadline=None, max_examples=10)
def test_reversing_twice_changes_nothing_and_once_reverses_each_sentence(sentences):
    ids, lengths = pad(sentences)
    once = contextual.reverse(ids, lengths)
    assert torch.equal(contextual.reverse(once, lengths), ids)
    for row, words in zip(once.tolist(), sentences, strict=True):
        assert row[: len(words)] == words.tolist()[::-1]


@pytest.mark.parametrize("characters", [False, True])
def test_the_forward_half_does_not_know_what_comes_nor_the_backward_half_what_was(characters):
    model = randomized(a_model(characters=characters), scale=0.3)  # so that nothing saturates
    ids, lengths = pad([np.array([3, 5, 4, 6, 7])])
    changed = ids.clone()
    changed[0, 2] = 8
    before, after = model.layers(ids, lengths)[0], model.layers(changed, lengths)[0]
    same = torch.isclose(before, after).all(dim=-1)  # (time, layer)
    forward, backward = (
        torch.isclose(before[..., half], after[..., half]).all(dim=-1)
        for half in (slice(0, 4), slice(4, 8))
    )
    assert same[:, 0].tolist() == [True, True, False, True, True]
    for layer in (1, 2):
        assert forward[:, layer].tolist() == [True, True, False, False, False]
        assert backward[:, layer].tolist() == [False, False, False, True, True]


def test_layers_are_those_of_torch_with_the_first_layer_added_to_the_second():
    model = randomized(a_model())
    ids = torch.tensor([[START, *SENTENCES[2]]])
    for networks, half, order in (
        (model.forwards, slice(0, 4), ids),
        (model.backwards, slice(4, 8), torch.cat([ids[:, :1], ids[:, 1:].flip(1)], dim=1)),
    ):
        first, second = torchs_lstm(networks)
        x = model.words(order)
        one = first(x)[0]
        two = second(one)[0] + one
        found = model.layers(*pad(SENTENCES[2:3]))[0, :, :, half]
        for layer, expected in enumerate((x, one, two)):
            read = expected[0, 1:]
            in_order = read if half.start == 0 else read.flip(0)
            torch.testing.assert_close(found[:, layer], in_order)


def test_the_backward_model_is_a_forward_model_of_the_reversed_sentence():
    model = randomized(a_model())
    turned = randomized(a_model())
    turned.forwards, turned.backwards = turned.backwards, turned.forwards
    forward, backward = model.log_probabilities(*pad(SENTENCES))
    reversed_sentences = pad([words[::-1].copy() for words in SENTENCES])
    of_turned, back_again = turned.log_probabilities(*reversed_sentences)
    torch.testing.assert_close(of_turned, backward)
    torch.testing.assert_close(back_again, forward)


@given(st.lists(ordinary, min_size=1, max_size=4))
@settings(deadline=None, max_examples=10)
def test_a_sentence_does_not_depend_on_what_is_read_beside_it(sentences):
    model = randomized(a_model())
    forward, backward = model.log_probabilities(*pad(sentences))
    alone = [model.log_probabilities(*pad([words])) for words in sentences]
    torch.testing.assert_close(forward, torch.cat([one for one, _ in alone]))
    torch.testing.assert_close(backward, torch.cat([other for _, other in alone]))
    assert len(forward) == sum(len(words) + 1 for words in sentences)


def test_log_probabilities_are_those_of_a_language_model_read_word_by_word():
    model = randomized(a_model(layers=1))
    words = SENTENCES[0]
    (cell,) = model.forwards[0].cells
    state, expected = cell.start(1), []
    for read, target in zip([START, *words], [*words, STOP], strict=True):
        state = cell(model.words(torch.tensor([read])), state)
        expected.append(torch.log_softmax(model.output(state[0]), dim=-1)[0, target])
    forward, _ = model.log_probabilities(*pad([words]))
    torch.testing.assert_close(forward, torch.stack(expected))


def test_all_sentences_up_to_a_length_have_at_most_all_the_probability():
    """Over the first word and what may follow it, p sums to 1, in both directions."""
    model = randomized(a_model())
    single = [np.array([word]) for word in range(SIZE) if word not in (START, STOP)]
    for first in model.log_probabilities(*pad([*single, EMPTY])):
        of_words = first[:-1:2].exp().sum()  # each sentence has its word and STOP; EMPTY has STOP
        assert (of_words + first[-1].exp()).item() == pytest.approx(1)


def test_the_loss_is_the_sum_of_both_directions_and_counts_each_token_twice():
    model = randomized(a_model())
    forward, backward = model.log_probabilities(*pad(SENTENCES))
    summed, number = contextual.bidirectional_loss(model, pad(SENTENCES))
    assert summed.item() == pytest.approx(-(forward.sum() + backward.sum()).item())
    assert number == 2 * sum(len(words) + 1 for words in SENTENCES)


def test_training_begins_at_the_frequencies_of_words():
    counts = np.arange(SIZE) * 10
    training.set_seed(0)
    model = BidirectionalLM(VOCABULARY, dimension=50, counts=counts)
    expected = np.log((counts + 1.0) / (counts + 1.0)[np.arange(SIZE) != START].sum())
    for found in model.log_probabilities(*pad([SENTENCES[0]])):
        assert found[-1].item() == pytest.approx(expected[STOP], abs=0.3)


def test_it_learns_sentences_by_heart_from_both_sides():
    text = [["a", "b"], ["c", "b", "a"]]
    vocabulary = ngram.language_vocabulary(text, min_count=1)
    sentences = [vocabulary.encode(line) for line in text]
    training.set_seed(0)
    model = BidirectionalLM(vocabulary, dimension=8, layers=1)
    training.train(
        model, contextual.bidirectional_loss, contextual.sentence_batches(sentences, 2),
        steps=40, learning_rate=0.1, device="cpu", progress=False,
    )  # fmt: skip
    for found in model.log_probabilities(*pad(sentences)):
        assert found.sum().item() == pytest.approx(2 * np.log(0.5), abs=0.3)


# Words by their letters


def test_a_words_vector_depends_on_its_letters_alone():
    model = randomized(CharacterCNN(VOCABULARY, 5))
    ids = torch.tensor([[VOCABULARY.id("dog"), VOCABULARY.id("a")], [VOCABULARY.id("dog"), STOP]])
    vectors = model(ids)
    assert vectors.shape == (2, 2, 5)
    torch.testing.assert_close(vectors[0, 0], vectors[1, 0])
    for words in (["dog"], ["dog", "caterpillars"]):  # other padding
        torch.testing.assert_close(model.read(model.spell(words))[0], vectors[0, 0])
    assert not torch.allclose(*model.read(model.spell(["god", "dog"])))


def test_an_unseen_word_has_a_vector_and_letters_never_seen_are_one():
    model = randomized(CharacterCNN(VOCABULARY, 5))
    unseen, one, other = model.read(model.spell(["catdog", "Ωdog", "Ψdog"]))
    assert unseen.isfinite().all()
    torch.testing.assert_close(one, other)


def test_gradients_reach_every_letter_of_the_words_read_and_no_other():
    model = CharacterCNN(VOCABULARY, 5)
    model(torch.tensor([VOCABULARY.id("dog")])).pow(2).sum().backward()
    moved = model.letter_vectors.weight.grad.abs().sum(dim=1) > 0
    read = {1, 2, *(model.letter_ids[letter] for letter in "dog")}
    assert set(moved.nonzero().flatten().tolist()) == read
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_special_words_are_not_spelled():
    model = CharacterCNN(VOCABULARY, 5)
    start, spelled = model.spell(["<s>", "<x>"])
    assert (start != 0).sum() == 3  # the marks of beginning and end, and itself
    assert (spelled != 0).sum() == 5


def test_a_filter_is_the_largest_answer_of_its_places():
    model = randomized(CharacterCNN(VOCABULARY, 2, filters={2: 1}, highways=0))
    (convolution,) = model.convolutions
    letters = model.spell(["cats"])
    x = model.letter_vectors(letters)[0]  # (length, letter_dimension)
    answers = [
        (convolution.weight[0].T * x[at : at + 2]).sum() + convolution.bias[0]
        for at in range(len(x) - 1)
    ]
    y = torch.stack(answers).relu().max()
    expected = model.output.weight[:, 0] * y + model.output.bias
    torch.testing.assert_close(model.read(letters)[0], expected)


def test_a_highway_layer_with_its_gate_shut_hands_on_what_it_gets():
    model = randomized(CharacterCNN(VOCABULARY, 2, filters={2: 3}, highways=1))
    without = CharacterCNN(VOCABULARY, 2, filters={2: 3}, highways=0).double()
    without.load_state_dict(
        {name: weight for name, weight in model.state_dict().items() if "highway" not in name}
    )
    (highway,) = model.highways
    highway.bias.data[3:] = -1e3
    letters = model.spell(["cats", "dog"])
    torch.testing.assert_close(model.read(letters), without.read(letters))


# The mix


def test_a_mix_begins_as_the_mean_and_with_one_hot_weights_picks_a_layer():
    h = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
    mix = ScalarMix(3)
    torch.testing.assert_close(mix(h), h.mean(dim=2))
    mix.w.data = torch.tensor([0.0, 1e3, 0.0])
    torch.testing.assert_close(mix(h), h[:, :, 1])
    mix.gamma.data = torch.tensor(-2.0)
    torch.testing.assert_close(mix(h), -2 * h[:, :, 1])


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=4), st.floats(-3, 3))
@settings(deadline=None, max_examples=30)
def test_a_mix_is_the_weighted_mean_written_out(w, gamma):
    mix = ScalarMix(len(w))
    mix.w.data, mix.gamma.data = torch.tensor(w), torch.tensor(gamma)
    h = torch.randn(len(w), 6, generator=torch.Generator().manual_seed(0))
    s = np.exp(w) / np.exp(w).sum()
    expected = gamma * (s[:, None] * h.numpy()).sum(axis=0)
    np.testing.assert_allclose(mix(h).detach(), expected, atol=1e-5)
    assert mix.weights.sum().item() == pytest.approx(1)


def test_frozen_features_serve_a_tagger_that_learns_its_mix():
    model = a_model(dropout=0.5)
    frozen = contextual.features(model, [*SENTENCES, EMPTY], batch_size=2)
    assert [len(rows) for rows in frozen] == [3, 3, 4, 1, 0]
    model.eval()
    expected = model.layers(*pad(SENTENCES[:1]))[0].detach()
    np.testing.assert_allclose(frozen[0], expected, atol=1e-6)
    mix = ScalarMix(3)
    tagger = Tagger(mix, 2, dimension=8, hidden=3)
    tags = [words % 2 for words in [*SENTENCES, EMPTY]]
    training.train(
        tagger, tagging_loss, labelled_batches(frozen, tags, 5), steps=3, learning_rate=0.05,
        device="cpu", progress=False,
    )  # fmt: skip
    assert mix.w.abs().min() > 0
    assert mix.gamma.item() != 1


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimension": 0}, "dimension must be at least 1, got 0"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"counts": np.ones(3, dtype=np.int64)}, "words needs a count, got 3"),
    ],
)
def test_impossible_models_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        a_model(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimension": 0}, "dimension must be at least 1, got 0"),
        ({"letter_dimension": 0}, "letter_dimension must be at least 1"),
        ({"filters": {}}, "width must be at least 1, got 0"),
        ({"filters": {2: 0}}, "filters of width 2 must be at least 1, got 0"),
        ({"highways": -1}, "highways must be at least 0, got -1"),
    ],
)
def test_impossible_character_networks_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CharacterCNN(VOCABULARY, **{"dimension": 4} | options)


def test_other_impossible_input_is_refused():
    with pytest.raises(ValueError, match="layers must be at least 1, got 0"):
        ScalarMix(0)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        contextual.features(a_model(), SENTENCES, batch_size=0)
    with pytest.raises(ValueError, match="there are no examples"):
        contextual.sentence_batches([], 2)(np.random.default_rng(0))
    with pytest.raises(ValueError, match="lengths must lie in"):
        a_model().layers(torch.zeros(1, 2, dtype=torch.int64), torch.tensor([4]))
