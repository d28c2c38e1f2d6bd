"""LoRA: updates of low rank beside the frozen maps of a transformer, apart or merged into them.

A map W keeps its weights, and is given two thin ones, A and B, whose product is the update. The
three maps of attention that are one layer, `project`, are changed each by itself, as rows of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.attention import MultiHeadAttention
from nlp_course.finetuning import Wrapper
from nlp_course.transformer_blocks import FeedForward

PARTS = ("query", "key", "value")
TARGETS = (*PARTS, "output", "widen", "gate", "narrow")


class LoRALinear(Wrapper):
    """A linear map and an update of low rank, which alone is trained.

    y = W x + b + (α/r) B A x

    Parameters
    ----------
    base : W and b, (d_out, d_in) and (d_out,); or such a layer with an update already
    rank : r
    alpha : α. α/r in front is the paper's; trained with one α, a larger r changes W less, where
        α/√r would not (Kalajdzievski 2023)
    rows : the rows of W that are changed; all of them by default

    Attributes
    ----------
    A, B : (r, d_in), N(0, 1/d_in) at first; and (rows, r), 0 at first: no update
    merged : whether the update is in W at present

    Raises
    ------
    ValueError : a rank below 1 or above that of a full update, or rows that there are not.

    Notes
    -----
    A is drawn from torch's global generator. W is not frozen here: see `add_lora`.

    References
    ----------
    Hu et al. 2022, LoRA: Low-Rank Adaptation of Large Language Models, section 4.1.

    Examples
    --------
    >>> layer = LoRALinear(nn.Linear(6, 4), rank=2)
    >>> layer.A.shape, layer.B.shape, layer.update().abs().max().item()
    (torch.Size([2, 6]), torch.Size([4, 2]), 0.0)
    """

    base: nn.Linear | LoRALinear

    def __init__(
        self,
        base: nn.Linear | LoRALinear,
        rank: int,
        *,
        alpha: float = 8.0,
        rows: slice | None = None,
    ) -> None:
        super().__init__()
        outputs, inputs = base.weight.shape
        chosen = range(outputs)[slice(None) if rows is None else rows]
        if not len(chosen) or chosen.step != 1:
            raise ValueError(f"rows must be some of 0 … {outputs - 1}, side by side; got {rows}")
        if not 1 <= rank <= min(len(chosen), inputs):
            raise ValueError(
                f"rank must lie in 1 … {min(len(chosen), inputs)}, the rank of any update of a "
                f"{len(chosen)} × {inputs} matrix, got {rank}"
            )
        self.base, self.scale = base, alpha / rank
        self.rows, self.after = slice(chosen.start, chosen.stop), outputs - chosen.stop
        weight = base.weight
        random = torch.randn(rank, inputs, device=weight.device, dtype=weight.dtype)
        self.A = nn.Parameter(random / inputs**0.5)
        self.B = nn.Parameter(weight.new_zeros(len(chosen), rank))
        self._overwritten: Tensor | None = None

    @property
    def merged(self) -> bool:
        """Whether the update is in W at present."""
        return self._overwritten is not None

    @property
    def linear(self) -> nn.Linear:
        """The layer with W in it, below all updates."""
        return self.base.linear if isinstance(self.base, LoRALinear) else self.base

    @property
    def weight(self) -> Float[Tensor, "d_out d_in"]:
        """W with the update, for layers that use a part of it by itself, as cross-attention."""
        if self.merged:
            return self.base.weight
        return self.base.weight + F.pad(self.update(), (0, 0, self.rows.start, self.after))

    @property
    def bias(self) -> Float[Tensor, "d_out"] | None:
        """b, which has no update."""
        return self.base.bias

    def update(self) -> Float[Tensor, "rows d_in"]:
        """ΔW = (α/r) B A, of the rows that are changed."""
        return self.scale * self.B @ self.A

    def forward(self, x: Float[Tensor, "*places d_in"]) -> Float[Tensor, "*places d_out"]:
        """A new vector for each: two thin products in place of one with ΔW."""
        y = self.base(x)
        if self.merged:
            return y
        change = self.scale * F.linear(F.linear(x, self.A), self.B)  # (*places, rows)
        return y + F.pad(change, (self.rows.start, self.after))

    @torch.no_grad()
    def merge(self) -> None:
        """W ← W + ΔW: from now on the layer costs what it did without an update.

        The rows as they were are kept, to put them back bit for bit.

        Raises
        ------
        ValueError : it is merged already.
        """
        if self.merged:
            raise ValueError("merged already: a second time would add the update twice")
        rows = self.linear.weight[self.rows]
        self._overwritten = rows.clone()
        rows += self.update()

    @torch.no_grad()
    def unmerge(self) -> None:
        """W as it was before `merge`.

        Raises
        ------
        ValueError : it is not merged, or W, A or B has changed since.
        """
        if self._overwritten is None:
            raise ValueError("not merged: there is no update in the weights to take out")
        rows = self.linear.weight[self.rows]
        if not torch.equal(rows, self._overwritten + self.update()):
            raise ValueError(
                "the weights have changed since they were merged: unmerge in the opposite order, "
                "and do not train what is merged"
            )
        rows.copy_(self._overwritten)
        self._overwritten = None


def add_lora(
    model: nn.Module,
    rank: int,
    *,
    alpha: float = 8.0,
    targets: Sequence[str] = ("query", "value"),
) -> None:
    """Freeze a transformer, and put a `LoRALinear` around maps of each block.

    Parameters
    ----------
    model : any with `MultiHeadAttention` or `FeedForward` in it
    rank, alpha : as for `LoRALinear`
    targets : of "query", "key", "value", "output", "widen", "gate" and "narrow"; by default those
        of the paper. The first three are rows of one layer; each has A and B of its own

    Raises
    ------
    ValueError : an unknown target, one given twice or one that no layer has,
        adapters where an update should be, and as for `LoRALinear`; then nothing is changed.

    Examples
    --------
    >>> from nlp_course.finetuning import count_parameters
    >>> from nlp_course.transformer import Settings, TransformerLM
    >>> model = TransformerLM(10, Settings(dimension=8, heads=2, layers=3))
    >>> add_lora(model, rank=1)
    >>> count_parameters(model).trained  # 3 layers · 2 maps · rank 1 · (8 + 8)
    96
    """
    if unknown := [name for name in targets if name not in TARGETS]:
        raise ValueError(f"targets are of {', '.join(TARGETS)}; got {', '.join(unknown)}")
    if not targets or len(set(targets)) < len(targets):
        raise ValueError(f"give at least one target, and each once; got {list(targets)}")
    found: dict[nn.Module, list[tuple[str, LoRALinear]]] = {}
    missing = set(targets)
    for module in model.modules():
        if not isinstance(module, (MultiHeadAttention, FeedForward)):
            continue
        for target in targets:
            name, rows = target, None
            if target in PARTS and isinstance(module, MultiHeadAttention):
                first = PARTS.index(target) * module.width
                name, rows = "project", slice(first, first + module.width)
            changed = found.setdefault(module, [])
            base = dict(changed).get(name, getattr(module, name, None))
            if isinstance(base, Wrapper) and not isinstance(base, LoRALinear):
                raise ValueError(f"adapters stand after {name}: call remove(model) before")
            if base is not None:
                changed.append((name, LoRALinear(base, rank, alpha=alpha, rows=rows)))
                missing.discard(target)
    if missing:
        raise ValueError(f"no layer of this model has {', '.join(sorted(missing))}")
    model.requires_grad_(False)
    for module, layers in found.items():
        for name, layer in layers:
            setattr(module, name, layer)


def lora_layers(model: nn.Module) -> list[LoRALinear]:
    """All of a model's; of two on one layer, the one below comes first."""
    return [module for module in model.modules() if isinstance(module, LoRALinear)][::-1]


def merge_lora(model: nn.Module) -> None:
    """`LoRALinear.merge` for all of a model.

    Raises
    ------
    ValueError : the model has none, or one is merged already.
    """
    for layer in _some_lora(model):
        layer.merge()


def unmerge_lora(model: nn.Module) -> None:
    """`LoRALinear.unmerge` for all of a model.

    Raises
    ------
    ValueError : the model has none, and as for `LoRALinear.unmerge`.
    """
    for layer in _some_lora(model)[::-1]:
        layer.unmerge()


def _some_lora(model: nn.Module) -> list[LoRALinear]:
    layers = lora_layers(model)
    if not layers:
        raise ValueError("there is no LoRA in this model: see add_lora")
    return layers
