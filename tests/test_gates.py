"""Gates: the values are those of the cells, and what is said of them holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd.functional import jacobian

from nlp_course.gates import (
    TellingUnit,
    cell_jacobian,
    gru_gates,
    lstm_gates,
    telling_unit,
    written,
)
from nlp_course.recurrent import GRUCell, LSTMCell, unroll


def drawn(cell: type, seed: int = 0, time: int = 6) -> tuple:
    torch.manual_seed(seed)
    return cell(3, 4).double(), torch.randn(time, 3, dtype=torch.float64)


def test_lstm_gates_make_the_cell_and_the_state():
    cell, x = drawn(LSTMCell)
    i, f, o, g, c, h = lstm_gates(cell, x)
    before = torch.cat([torch.zeros_like(c[:1]), c[:-1]])
    assert torch.allclose(f * before + i * g, c)
    assert torch.allclose(o * torch.tanh(c), h)
    states = unroll(cell, x[None])
    assert torch.allclose(torch.cat([c for _, c in states]), c)


def test_gru_gates_make_the_state():
    cell, x = drawn(GRUCell)
    cell.b_hn.data[:] = 0.7
    r, z, candidate, h = gru_gates(cell, x)
    before = torch.cat([torch.zeros_like(h[:1]), h[:-1]])
    assert torch.allclose(z * before + (1 - z) * candidate, h)
    assert torch.allclose(h, torch.cat([h for (h,) in unroll(cell, x[None])]))
    assert ((r > 0) & (r < 1)).all()


def test_reset_gate_multiplies_what_comes_from_the_state():
    cell, x = drawn(GRUCell)
    gates = gru_gates(cell, x)
    W_n, U_n = cell.W_hx[8:], cell.W_hh[8:]
    expected = torch.tanh(W_n @ x[3] + gates.r[3] * (U_n @ gates.h[2]))
    assert torch.allclose(gates.candidate[3], expected)


@pytest.mark.parametrize(("cell", "gates_of"), [(LSTMCell, lstm_gates), (GRUCell, gru_gates)])
def test_reading_may_go_on_from_a_state(cell, gates_of):
    cell, x = drawn(cell)
    whole = gates_of(cell, x)
    states = unroll(cell, x[None, :2])
    rest = gates_of(cell, x[2:], states[-1])
    for one, other in zip(whole, rest, strict=True):
        assert torch.allclose(one[2:], other)


def test_saturated_gates_copy_and_overwrite():
    cell, x = drawn(GRUCell)
    for bias, wanted in ((50.0, "copy"), (-50.0, "overwrite")):
        cell.b.data[4:8] = bias  # b_z
        gates = gru_gates(cell, x, (torch.full((1, 4), 0.3, dtype=torch.float64),))
        expected = torch.full_like(gates.h, 0.3) if wanted == "copy" else gates.candidate
        assert torch.allclose(gates.h, expected)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), time=st.integers(1, 12))
def test_what_is_written_sums_to_the_cell(seed, time):
    cell, x = drawn(LSTMCell, seed, time)
    gates = lstm_gates(cell, x)
    assert torch.allclose(written(gates).sum(dim=0), gates.c[-1])


def test_with_open_forget_gates_nothing_that_was_written_is_lost():
    cell, x = drawn(LSTMCell)
    cell.b.data[4:8] = 50.0  # b_f
    gates = lstm_gates(cell, x)
    assert torch.allclose(written(gates), gates.i * gates.g)


def test_cell_jacobian_is_that_of_automatic_differentiation():
    cell, x = drawn(LSTMCell)
    gates = lstm_gates(cell, x)
    t = 3

    def next_cell(c):
        h = gates.o[t - 1] * torch.tanh(c)
        return cell(x[t][None], (h[None], c[None]))[1][0]

    kept, through_hidden = cell_jacobian(cell, gates, t)
    assert torch.allclose(torch.diag(kept) + through_hidden, jacobian(next_cell, gates.c[t - 1]))


def test_closed_output_gate_leaves_the_additive_path_alone():
    cell, x = drawn(LSTMCell)
    cell.b.data[12:] = -50.0  # b_o
    gates = lstm_gates(cell, x)
    assert cell_jacobian(cell, gates, 2).through_hidden.abs().max() < 1e-12


def test_telling_unit_finds_the_unit_that_was_planted():
    rng = np.random.default_rng(0)
    labels = rng.random(200) < 0.4
    values = rng.standard_normal((200, 7))
    values[:, 3] = np.where(labels, -2.0, 1.0) + 0.1 * rng.standard_normal(200)
    found = telling_unit(values, labels)
    assert found.unit == 3
    assert not found.above
    assert -1.7 < found.threshold < 0.7
    assert (found.predict(values) == labels).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_threshold_on_any_unit_is_right_more_often(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (9, 3)).astype(float)
    labels = rng.random(9) < 0.5
    if labels.all() or not labels.any():
        return
    best = max(
        ((values[:, unit] > threshold) == (labels == above)).mean()
        for unit in range(3)
        for threshold in np.arange(0.5, 3)
        if len(np.unique(values[:, unit] > threshold)) == 2
        for above in (True, False)
    )
    assert (telling_unit(values, labels).predict(values) == labels).mean() == best


def test_telling_unit_predicts_by_its_threshold():
    unit = TellingUnit(unit=1, threshold=0.5, above=False)
    assert unit.predict(np.array([[9.0, 0.4], [9.0, 0.6]])).tolist() == [True, False]


@pytest.mark.parametrize("gates_of", [lstm_gates, gru_gates])
def test_empty_sequence_is_refused(gates_of):
    cell, x = drawn(LSTMCell if gates_of is lstm_gates else GRUCell)
    with pytest.raises(ValueError, match="at least one step"):
        gates_of(cell, x[:0])


@pytest.mark.parametrize("t", [0, 6, -1])
def test_jacobian_needs_a_step_with_one_before_it(t):
    cell, x = drawn(LSTMCell)
    with pytest.raises(ValueError, match=r"t must lie in 1 … 5"):
        cell_jacobian(cell, lstm_gates(cell, x), t)


def test_telling_unit_needs_both_classes_and_as_many_labels():
    values = np.zeros((3, 2))
    with pytest.raises(ValueError, match="both classes"):
        telling_unit(values, np.array([True, True, True]))
    with pytest.raises(ValueError, match="3 examples need as many labels, got 2"):
        telling_unit(values, np.array([True, False]))
    with pytest.raises(ValueError, match="all the same values"):
        telling_unit(values, np.array([True, False, True]))
