"""Gradients through time, by hand: how they arise, shrink and grow, and how to clip them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from nlp_course.recurrent import RNNCell, State


class StepGradients(NamedTuple):
    """What each step of a sequence adds to the gradients, which are the sums over time.

    W_hx, W_hh, b : δ_t x_tᵀ, δ_t h_{t−1}ᵀ and δ_t, for each t
    h : ∂L/∂h_t, by all ways from h_t to the loss; there is nothing to sum here
    """

    W_hx: Float[Tensor, "time hidden inputs"]
    W_hh: Float[Tensor, "time hidden hidden"]
    b: Float[Tensor, "time hidden"]
    h: Float[Tensor, "time hidden"]


@torch.no_grad()
def backpropagate_through_time(
    cell: RNNCell,
    x: Float[Tensor, "time inputs"],
    from_loss: Float[Tensor, "time hidden"],
    start: Float[Tensor, "hidden"] | None = None,
) -> StepGradients:
    """Gradients of a loss L = Σ_t L_t(h_t) through a simple recurrent network, for one sequence.

    ∂L/∂h_t = ∂L_t/∂h_t + W_hhᵀ δ_{t+1},  δ_t = (1 − h_t²) ∘ ∂L/∂h_t
    ∂L/∂W_hh = Σ_t δ_t h_{t−1}ᵀ,  ∂L/∂W_hx = Σ_t δ_t x_tᵀ,  ∂L/∂b = Σ_t δ_t

    Parameters
    ----------
    from_loss : ∂L_t/∂h_t, what each step's own loss asks of its state
    start : h_0; zeros by default

    Returns
    -------
    The terms of the sums, step by step.

    Raises
    ------
    ValueError : there is no step.

    References
    ----------
    Werbos 1990, Backpropagation Through Time: What It Does and How to Do It.
    """
    if len(x) == 0:
        raise ValueError("a sequence needs at least one step")
    h = [cell.b.new_zeros(cell.hidden) if start is None else start]  # h_0 … h_T
    for projected in cell.project(x):
        h.append(torch.tanh(cell.W_hh @ h[-1] + projected))
    later = torch.zeros_like(h[0])  # W_hhᵀ δ_{t+1}
    of_states, deltas = [], []
    for t in range(len(x), 0, -1):
        of_states.append(from_loss[t - 1] + later)
        deltas.append((1 - h[t] ** 2) * of_states[-1])
        later = cell.W_hh.T @ deltas[-1]
    delta = torch.stack(deltas[::-1])  # (time, hidden)
    before = torch.stack(h[:-1])  # (time, hidden)
    return StepGradients(
        W_hx=delta[:, :, None] * x[:, None, :],
        W_hh=delta[:, :, None] * before[:, None, :],
        b=delta,
        h=torch.stack(of_states[::-1]),
    )


@torch.no_grad()
def state_jacobian(
    cell: RNNCell, later_states: Float[Tensor, "steps hidden"]
) -> Float[Tensor, "hidden hidden"]:
    """∂h_t/∂h_k of a simple recurrent network: the product of its steps' Jacobians.

    ∂h_t/∂h_k = Π_{i=t…k+1} diag(1 − h_i²) W_hh, the latest on the left

    Parameters
    ----------
    later_states : h_{k+1} … h_t; none for t = k

    Returns
    -------
    In row r and column c, ∂h_t[r]/∂h_k[c].

    References
    ----------
    Pascanu et al. 2013, On the Difficulty of Training Recurrent Neural Networks, eq. 5, which is
    for the other form, h_t = W_hh σ(h_{t−1}) + W_hx x_t + b.
    """
    product = torch.eye(cell.hidden, dtype=cell.W_hh.dtype)
    for h in later_states:
        product = (1 - h**2)[:, None] * (cell.W_hh @ product)
    return product


def gradient_norms(loss: Float[Tensor, ""], states: Sequence[State]) -> Float[Tensor, "time"]:
    """How much a loss depends on the state after each step: mean over a batch of ‖∂L/∂h_t‖.

    Parameters
    ----------
    loss : made from the states, or from what was made of them
    states : of `recurrent.unroll`. Of an LSTM's the norm is that of ∂L/∂c_t, its longer memory
    """
    memories = [state[-1] for state in states]
    gradients = torch.autograd.grad(loss, memories, retain_graph=True, materialize_grads=True)
    return torch.stack([gradient.norm(dim=-1).mean() for gradient in gradients])


def clip_gradient(
    gradient: Float[Tensor, "*shape"], threshold: float | int
) -> Float[Tensor, "*shape"]:
    """A gradient that is at most so long: τ g / ‖g‖ where ‖g‖ > τ, else g.

    `training.train` does this with the gradients of all parameters, taken as one.

    Raises
    ------
    ValueError : the threshold τ is not above 0.

    References
    ----------
    Pascanu et al. 2013, On the Difficulty of Training Recurrent Neural Networks, algorithm 1.

    Examples
    --------
    >>> clip_gradient(torch.tensor([3.0, 4.0]), threshold=1).tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0, got {threshold}")
    norm = gradient.norm()
    return threshold * gradient / norm if norm > threshold else gradient


def random_weights(
    size: int, spectral_radius: float | int, seed: int = 0
) -> Float[Tensor, "size size"]:
    """A Gaussian matrix, scaled so that its largest eigenvalue has the given absolute value.

    Raises
    ------
    ValueError : size < 1, or the spectral radius is negative.

    Examples
    --------
    >>> W = random_weights(50, spectral_radius=0.9)
    >>> round(torch.linalg.eigvals(W).abs().max().item(), 6)
    0.9
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    if not spectral_radius >= 0:
        raise ValueError(f"spectral_radius must be at least 0, got {spectral_radius}")
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return W * (spectral_radius / torch.linalg.eigvals(W).abs().max())
