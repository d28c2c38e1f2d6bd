"""What is decided before the first step: seed, device, precision, optimiser, schedule."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

# What is left of the learning rate when a share, from 0 to 1, of the training is done.
Schedule: TypeAlias = Callable[[float], float]

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
FUSING = ("cpu", "cuda", "mps")  # devices on which Adam has a fused step


def constant(done: float) -> float:  # noqa: ARG001  (a schedule among others)
    """The learning rate stays as it is."""
    return 1.0


def linear(done: float) -> float:
    """The learning rate falls along a line to 0: 1 − done."""
    return 1.0 - done


def cosine(done: float) -> float:
    """The learning rate falls along half a wave of the cosine to 0: (1 + cos(π · done)) / 2.

    References
    ----------
    Loshchilov and Hutter 2017, SGDR: Stochastic Gradient Descent with Warm Restarts, eq. 5.
    """
    return (1.0 + math.cos(math.pi * done)) / 2.0


def learning_rate_factor(
    step: int, total: int, schedule: Schedule = constant, warmup: int = 0
) -> float:
    """What the learning rate is multiplied by at a step, counted from 0.

    (step + 1) / warmup during the warm-up, then schedule((step − warmup) / (total − warmup))

    Examples
    --------
    >>> [learning_rate_factor(step, 6, linear, warmup=2) for step in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    if step < warmup:
        return (step + 1) / warmup
    # Epochs may turn out longer than the first, from which the total was taken.
    return schedule(min((step - warmup) / max(total - warmup, 1), 1.0))


def set_seed(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators; call it before a model is made.

    Raises
    ------
    ValueError : the seed is negative or above 2³² − 1, which NumPy does not take.

    Examples
    --------
    >>> set_seed(0)
    >>> first = torch.rand(3)
    >>> set_seed(0)
    >>> torch.equal(first, torch.rand(3))
    True
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must lie in 0 … 2³² − 1, got {seed}")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (other libraries draw from it)
    torch.manual_seed(seed)


def pick_device(name: str | None = None) -> torch.device:
    """The device of this name; by default a CUDA GPU where there is one, else the CPU.

    Apple's "mps" is taken by name only: it runs models as small as the course's slower than the
    processor beside it does.

    Raises
    ------
    ValueError : torch does not know the name, or finds no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device must be a name such as 'cpu' or 'cuda', got {name!r}") from error
    here: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
    }
    if device.type in here and not here[device.type]():
        raise ValueError(f"torch finds no {name!r} device here: leave device out, or give 'cpu'")
    return device


def uses_bfloat16(precision: str | None, device: torch.device) -> bool:
    """Whether the forward pass is in bfloat16: as asked, else where the GPU computes with it.

    Raises
    ------
    ValueError : the precision is neither "float32" nor "bfloat16" nor None.
    """
    if precision not in (None, "float32", "bfloat16"):
        raise ValueError(f'precision must be "float32" or "bfloat16", got {precision!r}')
    if precision is None and device.type == "cuda":
        # Before Ampere (8.0), as on Colab's T4, bfloat16 is emulated and slower than float32.
        return torch.cuda.get_device_capability(device)[0] >= 8
    return precision == "bfloat16"


def make_optimizer(
    optimizer: str | Optimizer,
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    weight_decay: float,
) -> Optimizer:
    """An optimiser by its name, over those parameters that are trained; one of torch's as it is.

    Raises
    ------
    ValueError : an unknown name, no parameter that requires gradients, a learning rate that is
        not above 0, or a weight decay below 0.
    """
    trained = list(parameters)
    if not trained:
        raise ValueError("the model has no parameter that requires gradients: nothing to train")
    if isinstance(optimizer, Optimizer):
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate must be above 0 and finite, got {learning_rate}")
    if not 0 <= weight_decay < math.inf:
        raise ValueError(f"weight_decay must be at least 0 and finite, got {weight_decay}")
    # Fused, a step of Adam is one pass over the numbers and not a dozen; but it takes them in the
    # order of memory, which is wrong for a parameter that is a part of another tensor.
    fused = optimizer in ("adam", "adamw") and all(
        p.is_contiguous() and p.is_floating_point() and p.device.type in FUSING for p in trained
    )
    way = {"fused": True} if fused else {}
    return OPTIMIZERS[optimizer](trained, lr=learning_rate, weight_decay=weight_decay, **way)


def check_settings(
    epochs: int | None,
    steps: int | None,
    warmup: int,
    clip: float | None,
    validate: object,
    every: int | None,
    patience: int | None,
    keep: str,
) -> None:
    """Refuse what cannot be meant, before anything is computed."""
    if (epochs is None) == (steps is None):
        raise ValueError(f"give epochs or steps, one of the two; got {epochs} and {steps}")
    counts = {"epochs": epochs, "steps": steps, "every": every, "patience": patience}
    for name, value in counts.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if warmup < 0:
        raise ValueError(f"warmup must be at least 0, got {warmup}")
    if clip is not None and not clip > 0:
        raise ValueError(f"clip must be above 0, or None for no clipping, got {clip}")
    if patience is not None and validate is None:
        raise ValueError("patience needs a validation to wait for: give validate")
    if keep not in ("best", "last"):
        raise ValueError(f'keep must be "best" or "last", got {keep!r}')
