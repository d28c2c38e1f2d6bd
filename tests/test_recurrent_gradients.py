"""Gradients through time: by hand beside autograd and finite differences; their bound; clipping."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402

from nlp_course import recurrent  # noqa: E402
from nlp_course import recurrent_gradients as rg  # noqa: E402


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def a_cell(inputs=2, hidden=3, seed=0):
    cell = recurrent.RNNCell(inputs, hidden).double()
    for place, parameter in enumerate(cell.parameters()):
        parameter.data = numbers(*parameter.shape, seed=10 * seed + place)
    return cell


def loss_of(cell, x, weights, start=None):
    state = None if start is None else (start[None],)
    return sum(
        (h[0] * w).sum()
        for (h,), w in zip(recurrent.unroll(cell, x[None], state), weights, strict=True)
    )


def test_one_unit_and_two_steps_worked_by_hand():
    cell = recurrent.RNNCell(1, 1).double()
    cell.W_hx.data[:], cell.W_hh.data[:] = 1.0, 0.5
    x = torch.tensor([[0.3], [-0.2]], dtype=torch.float64)
    found = rg.backpropagate_through_time(cell, x, from_loss=torch.tensor([[0.0], [1.0]]).double())
    h1 = torch.tanh(torch.tensor(0.3, dtype=torch.float64))
    h2 = torch.tanh(0.5 * h1 - 0.2)
    d2 = 1 - h2**2
    d1 = (1 - h1**2) * 0.5 * d2
    assert found.b.flatten().tolist() == pytest.approx([d1.item(), d2.item()])
    assert found.W_hh.flatten().tolist() == pytest.approx([0.0, (d2 * h1).item()])
    assert found.W_hx.flatten().tolist() == pytest.approx([(d1 * 0.3).item(), (d2 * -0.2).item()])
    assert found.h.flatten().tolist() == pytest.approx([(0.5 * d2).item(), 1.0])


@given(st.integers(1, 7), st.integers(1, 4), st.integers(1, 3), st.integers(0, 99), st.booleans())
@settings(deadline=None, max_examples=30)
def test_sums_over_time_are_the_gradients_of_autograd(time, hidden, inputs, seed, started):
    cell = a_cell(inputs, hidden, seed)
    x, weights = numbers(time, inputs, seed=seed), numbers(time, hidden, seed=seed + 1)
    start = numbers(hidden, seed=seed + 2) if started else None
    found = rg.backpropagate_through_time(cell, x, weights, start)
    loss_of(cell, x, weights, start).backward()
    torch.testing.assert_close(found.W_hx.sum(dim=0), cell.W_hx.grad)
    torch.testing.assert_close(found.W_hh.sum(dim=0), cell.W_hh.grad)
    torch.testing.assert_close(found.b.sum(dim=0), cell.b.grad)


def test_a_step_adds_what_changing_the_weights_at_this_step_alone_does():
    """Finite differences, with W_hh changed at one step and left as it is at all others."""
    cell, x, weights = a_cell(), numbers(5, 2), numbers(5, 3, seed=1)
    found = rg.backpropagate_through_time(cell, x, weights)

    def loss(step, row, column, change):
        h, total = torch.zeros(3, dtype=torch.float64), 0.0
        for t in range(5):
            W = cell.W_hh.detach().clone()
            if t == step:
                W[row, column] += change
            h = torch.tanh(W @ h + cell.project(x[t]).detach())
            total += (h * weights[t]).sum().item()
        return total

    for step in range(5):
        for row, column in ((0, 0), (2, 1)):
            slope = (loss(step, row, column, 1e-6) - loss(step, row, column, -1e-6)) / 2e-6
            assert slope == pytest.approx(found.W_hh[step, row, column].item(), abs=1e-8)


def test_gradients_of_states_are_those_of_autograd():
    cell, x, weights = a_cell(), numbers(6, 2), numbers(6, 3, seed=1)
    states = recurrent.unroll(cell, x[None])
    loss = sum((h[0] * w).sum() for (h,), w in zip(states, weights, strict=True))
    expected = torch.autograd.grad(loss, [h for (h,) in states], retain_graph=True)
    found = rg.backpropagate_through_time(cell, x, weights)
    torch.testing.assert_close(found.h, torch.cat(expected))
    torch.testing.assert_close(rg.gradient_norms(loss, states), found.h.norm(dim=1))


def test_gradient_norms_are_zero_after_the_loss_and_of_an_lstm_those_of_c():
    cell = recurrent.LSTMCell(2, 3).double()
    states = recurrent.unroll(cell, numbers(4, 5, 2))
    norms = rg.gradient_norms(states[2][1].pow(2).sum(), states)
    assert (norms[:3] > 0).all()
    assert not norms[3:].any()
    assert norms[2].item() == pytest.approx((2 * states[2][1]).norm(dim=1).mean().item())


@given(st.integers(0, 6), st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_jacobian_is_that_of_autograd(steps, seed):
    cell, x = a_cell(seed=seed), numbers(steps, 2, seed=seed)
    start = numbers(3, seed=seed + 1)

    def last(h):
        states = [(h[None],), *recurrent.unroll(cell, x[None], (h[None],))]
        return states[-1][0][0]

    hidden = [h[0] for (h,) in recurrent.unroll(cell, x[None], (start[None],))]
    later = torch.stack(hidden) if hidden else torch.empty(0, 3, dtype=torch.float64)
    expected = torch.autograd.functional.jacobian(last, start)
    torch.testing.assert_close(rg.state_jacobian(cell, later.detach()), expected)


@given(st.integers(1, 20), st.floats(0.1, 3), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_jacobian_stays_within_its_bound(steps, scale, seed):
    """‖∂h_t/∂h_k‖ ≤ (γλ)^{t−k}, λ the largest singular value, and γ = 1 for tanh."""
    cell = a_cell(seed=seed)
    cell.W_hh.data *= scale
    hidden = torch.stack([h[0] for (h,) in recurrent.unroll(cell, numbers(1, steps, 2))])
    norm = torch.linalg.matrix_norm(rg.state_jacobian(cell, hidden.detach()), 2)
    assert norm <= torch.linalg.matrix_norm(cell.W_hh, 2) ** steps * (1 + 1e-9)


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.integers(0, 99))
def test_a_clipped_gradient_keeps_its_direction_and_is_at_most_so_long(length, threshold, seed):
    gradient = numbers(4, 3, seed=seed)
    gradient *= length / gradient.norm()
    clipped = rg.clip_gradient(gradient, threshold)
    assert clipped.norm().item() == pytest.approx(min(length, threshold))
    torch.testing.assert_close(clipped / clipped.norm(), gradient / length)


def test_clipping_is_that_of_torch():
    parameter = nn.Parameter(torch.zeros(5))
    for scale in (0.1, 10.0):
        parameter.grad = torch.arange(5.0) * scale
        ours = rg.clip_gradient(parameter.grad.clone(), threshold=2.0)
        nn.utils.clip_grad_norm_([parameter], max_norm=2.0)
        torch.testing.assert_close(ours, parameter.grad)


def test_random_weights_have_the_radius_asked_for():
    for radius in (0.0, 0.5, 2.0):
        W = rg.random_weights(30, radius, seed=1)
        assert torch.linalg.eigvals(W).abs().max().item() == pytest.approx(radius)
    assert torch.equal(rg.random_weights(4, 1.0, seed=2), rg.random_weights(4, 1.0, seed=2))
    assert not torch.equal(rg.random_weights(4, 1.0, seed=2), rg.random_weights(4, 1.0, seed=3))


def test_what_cannot_be_computed_is_refused():
    cell = a_cell()
    with pytest.raises(ValueError, match="at least one step"):
        rg.backpropagate_through_time(cell, numbers(0, 2), numbers(0, 3))
    for threshold in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="threshold must be above 0"):
            rg.clip_gradient(torch.ones(2), threshold)
    with pytest.raises(ValueError, match="size must be at least 1"):
        rg.random_weights(0, 1.0)
    with pytest.raises(ValueError, match="spectral_radius must be at least 0"):
        rg.random_weights(3, -1.0)
