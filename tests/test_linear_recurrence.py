"""Linear recurrences: loop and scan, table of scores and table of keys, the same numbers both ways.

Comparisons are in double precision, to 10⁻¹⁰.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from scipy.signal import lfilter  # noqa: E402

from nlp_course.linear_recurrence import (  # noqa: E402
    GatedRecurrence,
    linear_attention,
    linear_attention_steps,
    parallel_scan,
    step_by_step,
)

BOTH = pytest.mark.parametrize("states", [step_by_step, parallel_scan])


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shares(*shape, seed=0):
    return torch.sigmoid(numbers(*shape, seed=seed))


def assert_close(found, expected, tolerance=1e-10):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


# h_t = a_t ∘ h_{t−1} + b_t


@BOTH
def test_three_steps_worked_by_hand(states):
    a = torch.tensor([[0.5], [2.0], [-1.0]])
    b = torch.tensor([[1.0], [3.0], [4.0]])
    h = states(a, b, torch.tensor([10.0]))
    assert h.flatten().tolist() == [6.0, 15.0, -11.0]


@BOTH
def test_keeping_all_is_a_running_sum_and_keeping_nothing_is_the_input(states):
    b = numbers(2, 13, 3)
    assert_close(states(torch.ones_like(b), b), b.cumsum(dim=1))
    assert_close(states(torch.zeros_like(b), b), b)


@BOTH
def test_a_constant_share_is_the_first_order_filter_of_signal_processing(states):
    b = numbers(40, 2)
    h = states(torch.full_like(b, 0.8), b)
    expected = lfilter([1.0], [1.0, -0.8], b.numpy(), axis=0)
    assert_close(h, torch.from_numpy(np.ascontiguousarray(expected)))


@BOTH
def test_a_text_read_in_two_parts_has_the_states_of_the_whole(states):
    a, b = shares(2, 11, 3), numbers(2, 11, 3, seed=1)
    first = states(a[:, :4], b[:, :4])
    second = states(a[:, 4:], b[:, 4:], first[:, -1])
    assert_close(torch.cat([first, second], dim=1), states(a, b))


@given(st.integers(1, 70), st.integers(1, 3), st.booleans(), st.integers(0, 99))
@settings(deadline=None)
def test_scan_and_loop_give_the_same_states_whatever_the_length(time, d, begun, seed):
    a, b = numbers(2, time, d, seed=seed), numbers(2, time, d, seed=seed + 1)
    a = a / a.abs().amax()
    start = numbers(2, d, seed=seed + 2) if begun else None
    assert_close(parallel_scan(a, b, start), step_by_step(a, b, start))


def test_the_scan_takes_a_logarithm_of_rounds(monkeypatch):
    rounds = []
    cat = torch.cat
    monkeypatch.setattr(
        torch, "cat", lambda *args, **named: rounds.append(1) or cat(*args, **named)
    )
    for time in (1, 2, 3, 8, 9, 1000):
        rounds.clear()
        parallel_scan(torch.ones(time, 1), torch.ones(time, 1))
        assert len(rounds) == 2 * math.ceil(math.log2(time))


def test_the_scan_changes_nothing_that_it_is_given():
    a, b = shares(9, 2), numbers(9, 2)
    before = a.clone(), b.clone()
    parallel_scan(a, b, numbers(2))
    assert a.equal(before[0])
    assert b.equal(before[1])


def test_gradients_of_scan_and_loop_are_the_same():
    weights = numbers(7, 2, seed=3)
    found = []
    for states in (step_by_step, parallel_scan):
        a, b = shares(7, 2).requires_grad_(), numbers(7, 2, seed=1).requires_grad_()
        start = numbers(2, seed=2).requires_grad_()
        (states(a, b, start) * weights).sum().backward()
        found.append((a.grad, b.grad, start.grad))
    for one, other in zip(*found, strict=True):
        assert_close(one, other)


@BOTH
def test_no_step_is_refused(states):
    with pytest.raises(ValueError, match="at least one step"):
        states(torch.ones(0, 2), torch.ones(0, 2))


# Attention as a recurrence


def test_linear_attention_worked_by_hand():
    query = torch.tensor([[1.0, 0.0], [1.0, 2.0]])
    key = torch.tensor([[3.0, 1.0], [0.0, 1.0]])
    value = torch.tensor([[1.0], [10.0]])
    decay = torch.tensor([0.1, 0.5])
    # o_1 = 3 · 1; o_2 = 0.5 · (3 + 2) · 1 + 2 · 10. The first step has nothing to forget.
    assert linear_attention(query, key, value, decay).flatten().tolist() == [3.0, 22.5]
    output, state = linear_attention_steps(query, key, value, decay)
    assert output.flatten().tolist() == [3.0, 22.5]
    assert state.tolist() == [[1.5], [10.5]]


@given(st.integers(1, 40), st.booleans(), st.integers(0, 99))
@settings(deadline=None)
def test_scores_and_state_give_the_same_outputs(time, forgets, seed):
    query, key = numbers(2, 3, time, 4, seed=seed), numbers(2, 3, time, 4, seed=seed + 1)
    value = numbers(2, 3, time, 5, seed=seed + 2)
    decay = shares(2, 3, time, seed=seed + 3) if forgets else None
    output, _ = linear_attention_steps(query, key, value, decay)
    assert_close(output, linear_attention(query, key, value, decay))


def test_each_column_of_values_is_a_diagonal_recurrence():
    key, value, decay = numbers(9, 2), numbers(9, 3, seed=1), shares(9, seed=2)
    _, state = linear_attention_steps(key, key, value, decay)
    written = (key[:, :, None] * value[:, None, :]).flatten(1)  # (time, d e)
    h = parallel_scan(decay[:, None].expand_as(written), written)
    assert_close(state.flatten(), h[-1])


def test_a_column_of_ones_normalizes_as_katharopoulos_does():
    query, key = numbers(6, 4).exp(), numbers(6, 4, seed=1).exp()
    value = numbers(6, 3, seed=2)
    sums = linear_attention(query, key, torch.cat([value, torch.ones_like(value[:, :1])], dim=1))
    scores = (query @ key.T).tril()
    assert_close(sums[:, :3] / sums[:, 3:], (scores / scores.sum(dim=1, keepdim=True)) @ value)


def test_orthonormal_keys_are_recalled_exactly_and_one_more_is_not():
    keys = torch.linalg.qr(numbers(5, 5)).Q
    values = numbers(5, 3, seed=1)
    _, state = linear_attention_steps(keys, keys, values)
    assert_close(keys @ state, values)
    more = torch.cat([keys, keys[:1] + keys[1:2]])
    _, state = linear_attention_steps(more, more, torch.cat([values, numbers(1, 3, seed=2)]))
    assert (keys @ state - values).abs().amax() > 0.1


def test_the_state_goes_on_and_does_not_grow():
    query, key, value, decay = numbers(8, 2), numbers(8, 2, seed=1), numbers(8, 3), shares(8)
    whole, last = linear_attention_steps(query, key, value, decay)
    _, state = linear_attention_steps(query[:5], key[:5], value[:5], decay[:5])
    rest, state = linear_attention_steps(query[5:], key[5:], value[5:], decay[5:], state)
    assert_close(rest, whole[5:])
    assert_close(state, last)
    assert state.shape == (2, 3)


def test_what_comes_later_changes_nothing_before():
    query, key, value = numbers(6, 2), numbers(6, 2, seed=1), numbers(6, 2, seed=2)
    other = torch.cat([value[:4], value[4:] + 1])
    assert_close(linear_attention(query, key, value)[:4], linear_attention(query, key, other)[:4])


def test_a_long_text_with_strong_decay_and_its_gradient_stay_finite():
    ones = torch.ones(2000, 1)
    decay = torch.full((2000,), 0.5, requires_grad=True)
    output = linear_attention(ones, ones, ones, decay)
    torch.testing.assert_close(output[-1], torch.tensor([2.0]))
    output.sum().backward()
    # Σ_t ∂o_t/∂γ_s = Σ_t≥s γ^(t−s) · o_{s−1} = 2 · 2, far from both ends.
    torch.testing.assert_close(decay.grad[1000].item(), 4.0, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("wrong", [0.0, -0.5, 1.5, math.nan])
@pytest.mark.parametrize("attend", [linear_attention, linear_attention_steps])
def test_a_decay_that_is_none_is_refused(attend, wrong):
    ones = torch.ones(2, 1)
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        attend(ones, ones, ones, torch.tensor([1.0, wrong]))


@pytest.mark.parametrize("attend", [linear_attention, linear_attention_steps])
def test_attention_over_no_step_is_refused(attend):
    with pytest.raises(ValueError, match="at least one step"):
        attend(torch.ones(0, 1), torch.ones(0, 1), torch.ones(0, 1))


# A gated recurrence


def gated(d=3):
    layer = GatedRecurrence(d).double()
    for i, parameter in enumerate(layer.parameters()):
        parameter.data = numbers(*parameter.shape, seed=i)
    return layer


def test_gated_recurrence_is_the_formula_of_griffin():
    layer, x = gated(), numbers(2, 5, 3, seed=9)
    W_r, W_i = layer.gates.weight.chunk(2)
    b_r, b_i = layer.gates.bias.chunk(2)
    h = torch.zeros(2, 3, dtype=torch.float64)
    for t in range(5):
        r = torch.sigmoid(x[:, t] @ W_r.T + b_r)
        i = torch.sigmoid(x[:, t] @ W_i.T + b_i)
        a = torch.sigmoid(layer.forgetting) ** (8 * r)
        h = a * h + torch.sqrt(1 - a**2) * (i * x[:, t])
        assert_close(layer(x)[0][:, t], h)


def test_gated_recurrence_goes_on_from_its_state_token_by_token():
    layer, x = gated(), numbers(2, 6, 3, seed=9)
    whole, last = layer(x)
    state, parts = None, []
    for t in range(6):
        h, state = layer(x[:, t : t + 1], state)
        parts.append(h)
    assert_close(torch.cat(parts, dim=1), whole)
    assert_close(state, last)


def test_at_the_beginning_between_nine_tenths_and_nearly_all_is_kept_when_the_gate_is_open():
    layer = GatedRecurrence(7)
    kept = torch.sigmoid(layer.forgetting) ** 8
    torch.testing.assert_close(kept, torch.linspace(0.9, 0.999, 7), rtol=1e-4, atol=1e-4)


def test_states_of_white_noise_keep_its_variance():
    # √(1 − a²) is what makes the recurrence neither grow nor shrink.
    torch.manual_seed(0)
    layer = GatedRecurrence(64)
    with torch.no_grad():
        layer.gates.weight.zero_()
        layer.gates.bias[64:] = 20.0  # i = 1
        h, _ = layer(torch.randn(8, 4000, 64))
    assert 0.9 < h[:, 2000:].var().item() < 1.1


def test_a_state_of_no_numbers_is_refused():
    with pytest.raises(ValueError, match="at least 1 number, got 0"):
        GatedRecurrence(0)
    with pytest.raises(ValueError, match="at least one step"):
        GatedRecurrence(2)(torch.zeros(1, 0, 2))
