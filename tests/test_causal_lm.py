"""What predictions of a text cost: tokens, characters, continuations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course import causal_lm, training  # noqa: E402
from nlp_course.batching import NOTHING  # noqa: E402
from nlp_course.causal import CausalBatch, blocks  # noqa: E402
from nlp_course.transformer import Settings, TransformerLM  # noqa: E402

SIZE = 7
SETTINGS = Settings(dimension=8, heads=2, layers=2, length=16, dropout=0.3)


def a_model():
    training.set_seed(0)
    model = TransformerLM(SIZE, SETTINGS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)  # predictions that differ from place to place
    return model.eval()


def a_text(length, seed=0):
    return np.random.default_rng(seed).integers(SIZE, size=length)


def log_p(model, read, token):
    """Of one token after a text that is read from its beginning, by the whole distribution."""
    with torch.no_grad():
        logits, _ = model(torch.tensor([list(read)]))
    return torch.log_softmax(logits[0, -1].double(), dim=-1)[token].item()


def test_one_pass_over_a_text_gives_the_losses_of_a_pass_for_each_token():
    model, ids = a_model(), a_text(12)
    nats = causal_lm.token_nats(model, ids, time=11)
    expected = [-log_p(model, ids[:t], ids[t]) for t in range(1, 12)]
    np.testing.assert_allclose(nats, expected, atol=1e-5)


@settings(max_examples=25)
@given(st.integers(2, 40), st.integers(1, 16), st.data())
def test_every_token_but_the_first_costs_once_whatever_the_pieces(length, time, drawn):
    stride = drawn.draw(st.integers(1, time))
    model, ids = a_model(), a_text(length)
    nats = causal_lm.token_nats(model, ids, time, stride=stride, batch_size=3)
    assert nats.shape == (length - 1,)
    for t in (1, length // 2, length - 1):
        piece = max(0, -(-(t - time) // stride))  # the first that reaches token t
        expected = -log_p(model, ids[piece * stride : t], ids[t])
        assert nats[t - 1] == pytest.approx(expected, abs=1e-5)


def test_columns_are_places_where_pieces_do_not_overlap():
    model, ids = a_model(), a_text(4 * 5 + 1)
    by_place = causal_lm.token_nats(model, ids, time=5).reshape(4, 5)
    assert by_place[2, 0] == pytest.approx(-log_p(model, ids[10:11], ids[11]), abs=1e-5)


def test_the_mean_is_that_of_training_evaluate():
    model, ids = a_model(), a_text(50)
    nats = causal_lm.token_nats(model, ids, time=8)
    mean = training.evaluate(model, causal_lm.next_token_loss, blocks(ids, 8, batch_size=4))
    assert nats.mean() == pytest.approx(mean, abs=1e-5)


def test_a_uniform_model_costs_log_v_everywhere():
    model = a_model()
    torch.nn.init.zeros_(model.embedding.weight)
    nats = causal_lm.token_nats(model, a_text(30), time=8)
    np.testing.assert_allclose(nats, np.log(SIZE), atol=1e-6)


def test_dropout_is_off_while_a_text_is_judged_and_on_again_afterwards():
    model, ids = a_model().train(), a_text(30)
    first, second = (causal_lm.token_nats(model, ids, time=8) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    causal_lm.score_continuations(model, ids[:3], [ids[3:5]])
    assert model.training


def test_loss_leaves_out_what_is_not_asked_for():
    model = a_model()
    inputs = torch.tensor([[1, 2, 3]])
    asked = CausalBatch(inputs, torch.tensor([[NOTHING, 3, 4]]))
    summed, number = causal_lm.next_token_loss(model, asked)
    assert number == 2
    expected = -log_p(model, [1, 2], 3) - log_p(model, [1, 2, 3], 4)
    assert summed.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("nats", "characters", "bits"),
    [
        ([np.log(2)] * 8, 8, 1.0),
        ([np.log(2)] * 8, 16, 0.5),
        ([np.log(8), 0.0], 1, 3.0),
    ],
)
def test_bits_a_character_by_hand(nats, characters, bits):
    assert causal_lm.bits_per_character(np.array(nats), characters) == pytest.approx(bits)


def test_continuations_score_as_they_do_when_read_from_the_beginning():
    model, prompt = a_model(), a_text(6)
    continuations = [np.array([1]), np.array([2, 3]), np.array([4, 5, 6, 0])]
    scores = causal_lm.score_continuations(model, prompt, continuations)
    for score, continuation in zip(scores, continuations, strict=True):
        text = [*prompt, *continuation]
        expected = sum(log_p(model, text[:t], text[t]) for t in range(6, len(text)))
        assert score == pytest.approx(expected, abs=1e-5)


def test_all_continuations_of_two_tokens_share_a_probability_of_one():
    every = [np.array([a, b]) for a in range(SIZE) for b in range(SIZE)]
    scores = causal_lm.score_continuations(a_model(), a_text(3), every)
    assert np.exp(scores).sum() == pytest.approx(1, abs=1e-5)


def test_bad_input_is_refused():
    model, ids = a_model(), a_text(30)
    with pytest.raises(ValueError, match="at least one token"):
        causal_lm.score_continuations(model, ids[:0], [ids[:1]])
    with pytest.raises(ValueError, match="at least one continuation"):
        causal_lm.score_continuations(model, ids[:2], [])
    with pytest.raises(ValueError, match="each at least one token"):
        causal_lm.score_continuations(model, ids[:2], [ids[:1], ids[:0]])
    with pytest.raises(ValueError, match="at least 1 character, got 0"):
        causal_lm.bits_per_character(np.ones(3), 0)
    with pytest.raises(ValueError, match="needs 2 tokens"):
        causal_lm.token_nats(model, ids[:1], time=4)
    with pytest.raises(ValueError, match="17"):
        causal_lm.token_nats(model, ids, time=17)
