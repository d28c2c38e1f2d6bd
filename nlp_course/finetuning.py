"""Fine-tuning a part of the weights: freezing, adapters, and what a task needs to keep.

What is added stands around layers of a model that was trained before: `add_adapters` here,
`finetuning_lora.add_lora` and `finetuning_prompts.add_prefix` freeze the model and put it there,
`remove` takes it away. What all of it needs of memory is in `nlp_course.finetuning_memory`.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.attention import MultiHeadAttention
from nlp_course.transformer_blocks import FeedForward


class Wrapper(nn.Module):
    """Something added around a layer.

    Attributes
    ----------
    base : the layer, as it was
    """

    base: nn.Module


class AdaptedLinear(Wrapper):
    """A linear map, and a small network after it, with a shortcut past the network.

    y = W x + b,  z = y + U φ(D y + c) + u, with φ = GELU

    Parameters
    ----------
    base : W and b, the last map of a sublayer: what is added to the sum goes through the network
    size : m, numbers in the narrow middle

    Attributes
    ----------
    down, up : D and c, (m, d) and (m,); U and u, (d, m) and (d,), both 0 at first: z = y

    Raises
    ------
    ValueError : size < 1.

    References
    ----------
    Houlsby et al. 2019, Parameter-Efficient Transfer Learning for NLP, section 2.1.

    Examples
    --------
    >>> layer, y = AdaptedLinear(nn.Linear(6, 4), size=2), torch.ones(1, 6)
    >>> torch.equal(layer(y), layer.base(y)), sum(p.numel() for p in layer.down.parameters())
    (True, 10)
    """

    base: nn.Linear

    def __init__(self, base: nn.Linear, size: int) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.base, width = base, base.out_features
        self.down = nn.Linear(width, size).to(base.weight)
        self.up = nn.Linear(size, width).to(base.weight)
        nn.init.normal_(self.down.weight, std=width**-0.5)
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, x: Float[Tensor, "*places d_in"]) -> Float[Tensor, "*places d_out"]:
        """A new vector for each."""
        y = self.base(x)
        return y + self.up(F.gelu(self.down(y)))


class Parameters(NamedTuple):
    """Numbers in a model.

    trained : those that require gradients
    every : all of them, each counted once
    """

    trained: int
    every: int


def count_parameters(model: nn.Module) -> Parameters:
    """How many numbers a model has, and how many of them training changes.

    Examples
    --------
    >>> layer = nn.Linear(6, 4)
    >>> train_only(layer, "bias")
    >>> count_parameters(layer)
    Parameters(trained=4, every=28)
    """
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return Parameters(sum(n for n, trained in sizes if trained), sum(n for n, _ in sizes))


def train_only(model: nn.Module, *patterns: str) -> None:
    """Freeze a model but for the parameters whose names fit a pattern.

    Parameters
    ----------
    patterns : as of file names, where ``*`` stands for anything: ``"*bias"`` for all biases, which
        is BitFit (Ben Zaken et al. 2022), ``"output.*"`` for a head, none to freeze everything

    Raises
    ------
    ValueError : a pattern that no parameter fits; then nothing is changed.
    """
    named = dict(model.named_parameters())
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in named):
            some = ", ".join(list(named)[:3])
            raise ValueError(f"no parameter fits {pattern!r}; their names are {some}, …")
    for name, parameter in named.items():
        parameter.requires_grad_(any(fnmatchcase(name, pattern) for pattern in patterns))


def add_adapters(model: nn.Module, size: int) -> None:
    """Freeze a transformer, and put a small network after each of its sublayers.

    Parameters
    ----------
    model : any with `MultiHeadAttention` or `FeedForward` in it
    size : as for `AdaptedLinear`

    Raises
    ------
    ValueError : no layer to add one to, layers that something was added to, or size < 1; then
        nothing is changed.

    Examples
    --------
    >>> from nlp_course.transformer import Settings, TransformerLM
    >>> model = TransformerLM(10, Settings(dimension=8, heads=2, layers=3))
    >>> add_adapters(model, size=2)
    >>> count_parameters(model).trained  # 3 layers · 2 sublayers · (2 · 8 · 2 + 2 + 8)
    252
    """
    ends = {MultiHeadAttention: "output", FeedForward: "narrow"}
    found = [(m, name) for m in model.modules() for kind, name in ends.items() if type(m) is kind]
    if not found:
        raise ValueError(f"there is no sublayer in a {type(model).__name__} to adapt")
    layers = []
    for module, name in found:
        base = getattr(module, name)
        if not isinstance(base, nn.Linear):
            raise ValueError(f"something was added to {name} already: call remove(model) before")
        layers.append(AdaptedLinear(base, size))
    model.requires_grad_(False)
    for (module, name), layer in zip(found, layers, strict=True):
        setattr(module, name, layer)


def remove(model: nn.Module) -> None:
    """Take away all that was added around layers; what LoRA has merged stays in the weights.

    The layers stay frozen: ``model.requires_grad_(True)`` to train them again.
    """
    for name, layer in list(model.named_children()):
        while isinstance(layer, Wrapper):
            layer = layer.base
        setattr(model, name, layer)
        remove(layer)


def trained_weights(model: nn.Module) -> dict[str, Tensor]:
    """Copies of the parameters that require gradients, by name: all that a task needs to keep."""
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}


@torch.no_grad()
def put_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put `trained_weights` of another task, on the same base, into a model.

    Raises
    ------
    ValueError : a name or a shape that the model does not have; then nothing is changed.
    """
    named = dict(model.named_parameters())
    for name, weight in weights.items():
        if name not in named or named[name].shape != weight.shape:
            raise ValueError(
                f"the model has no parameter {name} of shape {tuple(weight.shape)}: add to it what "
                "was added when these weights were trained"
            )
    for name, weight in weights.items():
        named[name].copy_(weight)
