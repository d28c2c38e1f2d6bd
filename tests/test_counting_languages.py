"""Counting: the strings, a counter set by hand, and what a GRU's state cannot do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course import counting_languages as counting  # noqa: E402
from nlp_course import sequence_models, training  # noqa: E402
from nlp_course.recurrent import GRUCell, LSTMCell, RNNCell  # noqa: E402
from nlp_course.sequence_models import NOTHING  # noqa: E402


def a_model(cell, hidden=4, seed=0, **options):
    training.set_seed(seed)
    return counting.one_hot_tagger(cell, hidden, **options)


# Strings


@given(st.integers(1, 30), st.integers(2, 4))
@settings(deadline=None)
def test_a_string_has_each_letter_n_times_in_order(n, letters):
    string = counting.counting_string(n, letters)
    assert np.bincount(string).tolist() == [n] * letters
    assert (np.diff(string) >= 0).all()


def test_targets_worked_by_hand():
    _, (one, three) = counting.counting_examples([1, 3])
    assert one.tolist() == [NOTHING, 2]
    assert three.tolist() == [NOTHING, NOTHING, NOTHING, 1, 1, 2]
    _, (two,) = counting.counting_examples([2], letters=3)
    assert two.tolist() == [NOTHING, NOTHING, 1, 2, 2, 3]


@given(st.integers(1, 20), st.integers(2, 4))
@settings(deadline=None)
def test_targets_are_the_next_symbols_where_they_are_determined(n, letters):
    (string,), (target,) = counting.counting_examples([n], letters)
    known = target != NOTHING
    assert known.tolist() == [at >= n for at in range(letters * n)]
    assert target[known].tolist() == [*string[1:], letters][n:]


# A counter by hand


def test_the_counter_is_at_the_number_of_as_minus_that_of_bs():
    string = np.array([0, 0, 1, 0, 0, 0, 1, 1, 1, 1])
    h, c = counting.states(counting.counting_lstm(), string)
    assert c[:, 0].tolist() == [1, 2, 1, 2, 3, 4, 3, 2, 1, 0]
    np.testing.assert_allclose(h, np.tanh(c), rtol=1e-6)


def test_the_counter_is_right_far_beyond_any_training():
    assert counting.right_strings(counting.counting_lstm(), [1, 2, 3, 10, 300]).all()


def test_the_counter_ends_where_float32_does():
    """Up to 2²⁴ each step is exact, back to 0 too; there c + 1 is c."""
    (cell,) = counting.counting_lstm().reader.network.cells
    a, b = torch.eye(2)[:, None]
    h = torch.zeros(1, 1)
    with torch.no_grad():
        for c in (1.0, 1e6, 2.0**24 - 1):
            assert cell(a, (h, torch.tensor([[c]])))[1].item() == c + 1
            assert cell(b, (h, torch.tensor([[c]])))[1].item() == c - 1
        full = torch.tensor([[2.0**24]])
        assert cell(a, (h, full))[1].item() == 2.0**24
        assert cell(b, (h, full))[1].item() == 2.0**24 - 1


# What the cells' states can do


@given(st.integers(0, 200), st.floats(0.1, 30))
@settings(deadline=None, max_examples=30)
def test_the_state_of_a_gru_never_leaves_the_box(seed, scale):
    model = a_model(GRUCell)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = scale * torch.randn(parameter.shape, generator=generator)
    string = np.random.default_rng(seed).integers(0, 2, size=30)
    (h,) = counting.states(model, string)
    assert np.abs(h).max() <= 1


def test_a_state_of_a_gru_outside_of_the_box_goes_no_further_out():
    (cell,) = a_model(GRUCell).reader.network.cells
    h = 3 * torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    (new,) = cell(torch.ones(5, 2), (h,))
    assert (new.abs() <= h.abs().clamp(min=1)).all()


def test_a_counter_moves_as_far_at_each_step_and_a_gru_less_and_less():
    by_hand = counting.steps_apart(counting.counting_lstm(), 100)
    np.testing.assert_allclose(by_hand[20:], 1, atol=1e-6)
    gru = counting.steps_apart(a_model(GRUCell), 100)
    assert gru[-1] < 1e-3 * gru[0]
    (h,) = counting.states(a_model(GRUCell), np.zeros(3, dtype=np.int64))
    np.testing.assert_allclose(
        gru[:3], [np.linalg.norm(h[0]), *np.linalg.norm(np.diff(h, axis=0), axis=1)], rtol=1e-5
    )


@pytest.mark.parametrize("cell", [RNNCell, GRUCell, LSTMCell])
def test_states_are_those_of_the_network(cell):
    model = a_model(cell)
    string = counting.counting_string(4)
    found = counting.states(model, string)
    x = model.reader.embedding(torch.from_numpy(string)[None])
    outputs, last = model.reader.network(x)
    np.testing.assert_allclose(found[0], outputs[0].detach(), rtol=1e-6)
    for memory, end in zip(found, last, strict=True):
        np.testing.assert_allclose(memory[-1], end[0, 0].detach(), rtol=1e-6)


# Learning


def test_right_strings_are_those_with_no_mistake_where_they_are_determined():
    class AlwaysB(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scores = torch.nn.Parameter(torch.tensor([0.0, 1.0, 0.0]))

        def forward(self, inputs, lengths):
            return self.scores.expand(*inputs.shape, 3)

    assert counting.right_strings(AlwaysB(), [1, 2, 3]).tolist() == [False, False, False]
    stop = AlwaysB()
    stop.scores.data = torch.tensor([0.0, 0.0, 1.0])
    assert counting.right_strings(stop, [1, 2, 3]).tolist() == [True, False, False]


def test_an_lstm_learns_to_count_a_little():
    model = a_model(LSTMCell)
    strings, targets = counting.counting_examples(range(1, 4))
    batches = sequence_models.labelled_batches(strings, targets, 4)
    training.train(
        model, sequence_models.tagging_loss, batches, steps=50, learning_rate=0.1, clip=1.0,
        device="cpu", progress=False,
    )  # fmt: skip
    assert counting.right_strings(model, range(1, 4)).all()
    assert not model.reader.embedding.weight.requires_grad


@pytest.mark.parametrize(
    ("right", "expected"),
    [([True, True, False, True], 2), ([False, True], 0), ([True, True], 2)],
)
def test_counting_goes_up_to_the_first_mistake(right, expected):
    assert counting.counts_up_to(np.array(right)) == expected


# Bad input


def test_impossible_strings_are_refused():
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        counting.counting_string(0)
    with pytest.raises(ValueError, match="letters must be at least 2, got 1"):
        counting.counting_string(3, letters=1)
    with pytest.raises(ValueError, match="n must be at least 1, got -1"):
        counting.right_strings(counting.counting_lstm(), [3, -1])


def test_states_of_several_layers_are_refused():
    two = sequence_models.Tagger(2, 3, layers=2, bidirectional=False)
    with pytest.raises(ValueError, match="one layer and direction, it has 2"):
        counting.states(two, np.array([0, 1]))
    with pytest.raises(ValueError, match="longest must be at least 1, got 0"):
        counting.steps_apart(counting.counting_lstm(), 0)
