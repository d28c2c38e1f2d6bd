"""The memory that fine-tuning needs, by formula and measured, and weights in few bits.

What training keeps of a parameter: the weight, its gradient, and Adam's two means. What is frozen
needs its weight alone, and that may have fewer bits.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

TRAINED_BYTES = 16  # of a trained parameter: weight, gradient and two means, 4 bytes each


def training_bytes(
    parameters: float | int,
    trained: float | int,
    *,
    frozen_bits: float | int = 32,
    trained_bytes: int = TRAINED_BYTES,
) -> float:
    """What weights, gradients and optimizer take while some of a model is trained.

    16 n_trained + (bits/8) (n − n_trained)

    Activations come on top: they grow with the batch and its length, and freezing spares few.

    Parameters
    ----------
    parameters, trained : n, all there are, what was added counted; and those that are trained
    frozen_bits : of a frozen weight: 32, 16, 8 or 4, and a little for scales
    trained_bytes : of a trained parameter; by default 16. In mixed precision it is 16 as well: a
        weight and a gradient of 2 bytes, and a copy and two means of 4 (Rajbhandari et al. 2020)

    Raises
    ------
    ValueError : more are trained than there are, or a number below 0.

    Examples
    --------
    >>> training_bytes(7e9, 7e9) / 1e9, training_bytes(7e9, 0, frozen_bits=4) / 1e9
    (112.0, 3.5)
    """
    if not 0 <= trained <= parameters:
        raise ValueError(f"of {parameters} parameters 0 … {parameters} are trained, got {trained}")
    if not (frozen_bits > 0 and trained_bytes > 0):
        raise ValueError(f"bits and bytes are above 0, got {frozen_bits} and {trained_bytes}")
    return trained_bytes * trained + frozen_bits / 8 * (parameters - trained)


def measured_bytes(model: nn.Module, optimizer: Optimizer) -> int:
    """Bytes of a model's parameters, of the gradients there are, and of the optimizer's state.

    Examples
    --------
    >>> layer = nn.Linear(6, 4)
    >>> adam = torch.optim.Adam(layer.parameters())
    >>> layer(torch.ones(1, 6)).sum().backward()
    >>> adam.step()
    >>> measured_bytes(layer, adam), 28 * TRAINED_BYTES  # beside them, each tensor's step number
    (456, 448)
    """
    parameters = list(model.parameters())
    tensors: list[Tensor] = [*parameters]
    tensors += [parameter.grad for parameter in parameters if parameter.grad is not None]
    for state in optimizer.state.values():
        tensors += [value for value in state.values() if isinstance(value, Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def quantized(
    weight: Float[Tensor, "rows columns"], bits: int, block: int = 64
) -> Float[Tensor, "rows columns"]:
    """A matrix after a round trip through few bits, by the largest absolute value of each block.

    q = round(w / s),  s = max |w| / (2^{bits−1} − 1) over the block,  w̃ = s q

    Stored are q, of so many bits, and s, one a block: bits + 16/block a weight, with s in half
    precision. Here s has the weight's own.

    Parameters
    ----------
    bits : of q; with 4 it is one of −7 … 7
    block : weights side by side, in a row, that share s; the last of a row may be shorter

    Returns
    -------
    w̃; no number is further from its w than s/2.

    Raises
    ------
    ValueError : bits outside 2 … 16, or block < 1.

    References
    ----------
    Dettmers et al. 2023, QLoRA: Efficient Finetuning of Quantized LLMs, section 2, with levels that
    are evenly spaced; QLoRA's own are closer together near 0.

    Examples
    --------
    >>> quantized(torch.tensor([[7.0, 3.4, -0.6, 0.2]]), bits=4)
    tensor([[ 7.,  3., -1.,  0.]])
    """
    if not 2 <= bits <= 16:
        raise ValueError(f"bits must lie in 2 … 16, got {bits}")
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}")
    rows, columns = weight.shape
    block = min(block, columns)
    padded = nn.functional.pad(weight, (0, -columns % block)).view(rows, -1, block)
    scale = padded.abs().amax(dim=2, keepdim=True) / (2 ** (bits - 1) - 1)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))  # a block of zeros stays so
    return ((padded / scale).round() * scale).reshape(rows, -1)[:, :columns]
