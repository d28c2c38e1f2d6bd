"""Normalization: vectors brought to a fixed size, written out, in three kinds.

They differ in what the mean and the variance are taken over. Layer and RMS normalization look at
one token's vector alone; batch normalization looks at one number of all tokens of a batch, so a
token's result depends on its company. Models use torch's own layers, which compute the same.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

EPSILON = 1e-5  # added to a variance, which may be 0


def layer_norm(
    x: Float[Tensor, "*places d"],
    gain: Float[Tensor, "d"] | None = None,
    bias: Float[Tensor, "d"] | None = None,
    epsilon: float = EPSILON,
) -> Float[Tensor, "*places d"]:
    """Each vector with mean 0 and variance 1 over its own numbers: torch.nn.LayerNorm.

    y = g ∘ (x − μ) / √(σ² + ε) + b,  μ = (1/d) Σ_i x_i,  σ² = (1/d) Σ_i (x_i − μ)²

    References
    ----------
    Ba et al. 2016, Layer Normalization, eq. 3 and 4.

    Examples
    --------
    >>> import torch
    >>> layer_norm(torch.tensor([1.0, 3.0]), epsilon=0.0).tolist()
    [-1.0, 1.0]
    """
    mean = x.mean(dim=-1, keepdim=True)
    variance = x.var(dim=-1, correction=0, keepdim=True)
    return _scaled((x - mean) * (variance + epsilon).rsqrt(), gain, bias)


def rms_norm(
    x: Float[Tensor, "*places d"],
    gain: Float[Tensor, "d"] | None = None,
    epsilon: float = EPSILON,
) -> Float[Tensor, "*places d"]:
    """Each vector with a root mean square of 1, its mean left alone: torch.nn.RMSNorm.

    y = g ∘ x / √((1/d) Σ_i x_i² + ε)

    References
    ----------
    Zhang and Sennrich 2019, Root Mean Square Layer Normalization, eq. 4.

    Examples
    --------
    >>> import torch
    >>> rms_norm(torch.tensor([3.0, 3.0]), epsilon=0.0).tolist()
    [1.0, 1.0]
    """
    return _scaled(x * (x.square().mean(dim=-1, keepdim=True) + epsilon).rsqrt(), gain, None)


def batch_norm(
    x: Float[Tensor, "*places d"],
    gain: Float[Tensor, "d"] | None = None,
    bias: Float[Tensor, "d"] | None = None,
    epsilon: float = EPSILON,
) -> Float[Tensor, "*places d"]:
    """Each number with mean 0 and variance 1 over all places of a batch: torch.nn.BatchNorm1d.

    y_i = g_i (x_i − μ_i) / √(σ²_i + ε) + b_i, with μ_i and σ²_i over the places, as in training. In
    use, torch's layer has running averages of them instead.

    References
    ----------
    Ioffe and Szegedy 2015, Batch Normalization, algorithm 1.

    Examples
    --------
    >>> import torch
    >>> batch_norm(torch.tensor([[1.0, 10.0], [3.0, 30.0]]), epsilon=0.0).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    rows = x.reshape(-1, x.shape[-1])  # (all places, d)
    variance = rows.var(dim=0, correction=0)
    return _scaled((x - rows.mean(dim=0)) * (variance + epsilon).rsqrt(), gain, bias)


def _scaled(y: Tensor, gain: Tensor | None, bias: Tensor | None) -> Tensor:
    y = y if gain is None else y * gain
    return y if bias is None else y + bias
