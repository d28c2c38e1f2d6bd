"""The blocks that transformers are stacks of, and their settings.

A block is attention, then a feed-forward network for each token, each with a shortcut past it. A
causal stack keeps the keys and values of what it has read, so a new token costs one row of scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.attention import MultiHeadAttention, causal_mask
from nlp_course.cache import Cache, KeysValues
from nlp_course.experts import MixtureOfExperts
from nlp_course.positions import ALiBi, Learned, Position, RelativeBias, Rotary, Sinusoidal

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),  # GPT-2's
    "silu": F.silu,
}
POSITIONS = ("learned", "sinusoidal", "rotary", "relative", "alibi", "none")
NORMS = ("layer", "rms")


@dataclass(frozen=True)
class Settings:
    """What a transformer is like; the defaults are a small GPT-2.

    Attributes
    ----------
    dimension : d, numbers in a token's vector
    heads, layers : of attention in a block, and blocks in a stack
    length : places that learned positions have
    hidden : units of a feed-forward network; 4 d by default
    head_size : numbers in a query, key or value of one head; d / heads by default
    position : "learned", "sinusoidal", "rotary", "relative" (T5's), "alibi" or "none"
    norm : "layer" or "rms"
    norm_first : normalize what goes into a sublayer (pre-norm) or what comes out of the sum after
        it (post-norm, as the first transformer, BERT and BART)
    embedding_norm : normalize the vectors that go into the first block, too, as BERT and BART
    epsilon : added to variances
    activation : "relu", "gelu", "gelu_tanh" or "silu"
    gated : multiply the activation by a second projection, as Llama
    bias : whether linear maps and layer norms add a vector
    scaled : divide scores by √d_k; T5 does not
    dropout : share of numbers left out in a step of training: of embeddings, of attention's weights
        and of what each sublayer adds
    spread : standard deviation σ of initial weights; 0.02 is GPT-2's, for many hundreds of
        dimensions. With some dozens, 0.1 or 1/√d trains faster: scores must differ to be learned
    experts : feed-forward networks in a block, of which each token goes through some; 0 for one
        network that all go through
    chosen : experts that a token goes through
    capacity : tokens that an expert takes, at most, for each that it would take if all had equally
        many; None for any number. See `experts.MixtureOfExperts`

    Raises
    ------
    ValueError : a number or name out of range, when the settings are made.
    """

    dimension: int = 128
    heads: int = 4
    layers: int = 4
    length: int = 256
    hidden: int | None = None
    head_size: int | None = None
    position: str = "learned"
    norm: str = "layer"
    norm_first: bool = True
    embedding_norm: bool = False
    epsilon: float = 1e-5
    activation: str = "gelu"
    gated: bool = False
    bias: bool = True
    scaled: bool = True
    dropout: float = 0.0
    spread: float = 0.02
    experts: int = 0
    chosen: int = 2
    capacity: float | None = None

    def __post_init__(self) -> None:
        for name in ("dimension", "heads", "layers", "length", "hidden", "head_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name, known in (
            ("position", POSITIONS),
            ("norm", NORMS),
            ("activation", tuple(ACTIVATIONS)),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}"
                )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}")
        if not self.spread > 0:
            raise ValueError(f"spread must be above 0, got {self.spread}")
        if self.experts < 0:
            raise ValueError(f"experts must be at least 0, got {self.experts}")
        if self.experts and not 1 <= self.chosen <= self.experts:
            raise ValueError(
                f"chosen must lie in 1 … {self.experts}, the number of experts, got {self.chosen}"
            )
        if self.capacity is not None and not self.capacity > 0:
            raise ValueError(f"capacity must be above 0, got {self.capacity}")

    def make_norm(self) -> nn.Module:
        """A new normalization of token vectors."""
        if self.norm == "rms":
            return nn.RMSNorm(self.dimension, self.epsilon)
        return nn.LayerNorm(self.dimension, self.epsilon, bias=self.bias)

    def make_attention(self) -> MultiHeadAttention:
        """A new layer of attention."""
        return MultiHeadAttention(
            self.dimension,
            self.heads,
            head_size=self.head_size,
            bias=self.bias,
            scale=None if self.scaled else 1.0,
            dropout=self.dropout,
            spread=self.spread,
        )

    def make_feed_forward(self) -> nn.Module:
        """A new network that each token goes through, or a mixture of several."""
        return MixtureOfExperts(self) if self.experts else FeedForward(self)

    def make_position(self, causal: bool) -> Position:
        """What tells a stack where its tokens stand."""
        if self.position == "learned":
            return Learned(self.length, self.dimension, self.spread)
        if self.position == "sinusoidal":
            return Sinusoidal(self.dimension)
        if self.position == "rotary":
            return Rotary(self.head_size or self.dimension // self.heads)
        if self.position == "relative":
            return RelativeBias(self.heads, both=not causal)
        return ALiBi(self.heads) if self.position == "alibi" else Position()


class FeedForward(nn.Module):
    """The network that each token's vector goes through by itself.

    y = W_2 φ(W_1 x + b_1) + b_2, or, gated, y = W_2 (φ(W_g x + b_g) ∘ (W_1 x + b_1)) + b_2

    Attributes
    ----------
    widen, gate, narrow : W_1, W_g (or None) and W_2; (hidden, d) twice, and (d, hidden)

    References
    ----------
    Vaswani et al. 2017, Attention Is All You Need, eq. 2; Shazeer 2020, GLU Variants Improve
    Transformer, for the gate.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        d, hidden = settings.dimension, settings.hidden or 4 * settings.dimension
        self.activation = ACTIVATIONS[settings.activation]
        self.widen = nn.Linear(d, hidden, settings.bias)
        self.gate = nn.Linear(d, hidden, settings.bias) if settings.gated else None
        self.narrow = nn.Linear(hidden, d, settings.bias)
        for layer in (self.widen, self.gate, self.narrow):
            if layer is not None:
                nn.init.normal_(layer.weight, std=settings.spread)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: Float[Tensor, "*places d"]) -> Float[Tensor, "*places d"]:
        """A new vector for each."""
        if self.gate is None:
            return self.narrow(self.activation(self.widen(x)))
        return self.narrow(self.activation(self.gate(x)) * self.widen(x))


class Block(nn.Module):
    """Attention, cross-attention where there is a second text, and a feed-forward network.

    Pre-norm: x ← x + f(norm(x)).  Post-norm: x ← norm(x + f(x)).  f is each of the sublayers.

    Parameters
    ----------
    settings : sizes, norm and the rest
    cross : whether there is cross-attention

    Attributes
    ----------
    attention, cross, feed_forward : the sublayers; cross may be None
    attention_norm, cross_norm, feed_forward_norm : a norm each

    References
    ----------
    Vaswani et al. 2017, Attention Is All You Need, section 3.1; Xiong et al. 2020, On Layer
    Normalization in the Transformer Architecture, for the two places of the norm.
    """

    def __init__(self, settings: Settings, cross: bool = False) -> None:
        super().__init__()
        self.norm_first = settings.norm_first
        self.attention = settings.make_attention()
        self.attention_norm = settings.make_norm()
        self.cross = settings.make_attention() if cross else None
        self.cross_norm = settings.make_norm() if cross else None
        self.feed_forward = settings.make_feed_forward()
        self.feed_forward_norm = settings.make_norm()
        self.dropout = settings.dropout

    def forward(
        self,
        x: Float[Tensor, "batch time d"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        causal: bool = False,
        bias: Float[Tensor, "heads time key"] | None = None,
        position: Position | None = None,
        past: KeysValues | None = None,
        memory: KeysValues | None = None,
        memory_mask: Bool[Tensor, "..."] | None = None,
    ) -> tuple[Float[Tensor, "batch time d"], KeysValues]:
        """A new vector for each token, and the keys and values of self-attention.

        Parameters
        ----------
        mask, causal, bias, position, past : of self-attention, as for `MultiHeadAttention`
        memory, memory_mask : of cross-attention

        Raises
        ------
        ValueError : cross-attention without a memory, or a memory without cross-attention.
        """
        if (self.cross is None) != (memory is None):
            raise ValueError(
                "a memory goes with cross-attention: give both, memory=… and a block built with "
                "cross=True, or neither"
            )
        y, seen = self.attention(
            self._before(x, self.attention_norm),
            mask=mask,
            causal=causal,
            bias=bias,
            position=position,
            past=past,
        )
        x = self._after(x, y, self.attention_norm)
        if self.cross is not None and self.cross_norm is not None:
            y, _ = self.cross(self._before(x, self.cross_norm), mask=memory_mask, memory=memory)
            x = self._after(x, y, self.cross_norm)
        y = self.feed_forward(self._before(x, self.feed_forward_norm))
        return self._after(x, y, self.feed_forward_norm), seen

    def _before(self, x: Tensor, norm: nn.Module) -> Tensor:
        """What a sublayer gets."""
        return norm(x) if self.norm_first else x

    def _after(self, x: Tensor, y: Tensor, norm: nn.Module) -> Tensor:
        """The sum, past the sublayer and through it."""
        total = x + (F.dropout(y, self.dropout) if self.training else y)
        return total if self.norm_first else norm(total)


class Stack(nn.Module):
    """Blocks one after another, with position before them and in them, and a last norm.

    Parameters
    ----------
    settings : of the blocks
    causal : a token attends to itself and those before it only
    cross : blocks have cross-attention

    Attributes
    ----------
    position : a `positions.Position`, which all blocks share
    first_norm, blocks, last_norm : what vectors go through; the norms may be identities

    Notes
    -----
    Initial weights: N(0, σ²), see `Settings`. Those of the maps that end in a sum, each W_o and
    W_2, are divided by the square root of how many such sums there are, so that the vectors do not
    grow with depth (Radford et al. 2019, section 2.3).
    """

    def __init__(self, settings: Settings, *, causal: bool, cross: bool = False) -> None:
        super().__init__()
        self.causal = causal
        self.position = settings.make_position(causal)
        self.first_norm = settings.make_norm() if settings.embedding_norm else nn.Identity()
        self.dropout = settings.dropout
        self.blocks = nn.ModuleList(Block(settings, cross) for _ in range(settings.layers))
        self.last_norm = settings.make_norm() if settings.norm_first else nn.Identity()
        attentions = [m for m in self.modules() if isinstance(m, MultiHeadAttention)]
        self.head_shape = attentions[0].heads, attentions[0].head_size
        ends = [attention.output for attention in attentions]
        sums = len(ends) + settings.layers  # a mixture of experts is one sum, however many it has
        ends += [m.narrow for m in self.modules() if isinstance(m, FeedForward)]
        with torch.no_grad():
            for end in ends:
                end.weight.mul_(sums**-0.5)

    def memories(self, encoded: Float[Tensor, "batch source d"]) -> tuple[KeysValues, ...]:
        """Keys and values of another text for each block's cross-attention.

        Raises
        ------
        ValueError : the blocks have no cross-attention.
        """
        layers = [block.cross for block in self.blocks if isinstance(block, Block)]
        if None in layers:
            raise ValueError("blocks without cross-attention attend to no other text")
        return tuple(layer.keys_values(encoded) for layer in layers if layer is not None)

    def forward(
        self,
        x: Float[Tensor, "batch time d"],
        cache: Cache | None = None,
        *,
        mask: Bool[Tensor, "..."] | None = None,
        memory: tuple[KeysValues, ...] | None = None,
        memory_mask: Bool[Tensor, "..."] | None = None,
    ) -> tuple[Float[Tensor, "batch time d"], Cache]:
        """A new vector for each token, and the cache to go on with.

        Parameters
        ----------
        x : vectors of tokens
        cache : of the tokens before; None where a text begins
        mask : True where a token may attend to another; a causal stack's own mask is added to it
        memory, memory_mask : keys and values of another text for each block, and its mask

        Raises
        ------
        ValueError : a cache or a memory of another model or batch, or too many tokens for learned
            positions.
        """
        if cache is not None:
            self._check("cache", cache.layers, len(x))
        if memory is not None:
            self._check("memory", memory, len(x))
        pasts = (None,) * len(self.blocks) if cache is None else cache.layers
        memories = (None,) * len(self.blocks) if memory is None else memory
        queries, start = x.shape[1], 0 if cache is None else cache.length
        keys = start + queries
        bias = self.position.bias(queries, keys)
        causal = self.causal and mask is None and bias is None and start == 0
        if self.causal and not causal and queries > 1:  # one token may attend to all before it
            before = causal_mask(queries, keys, x.device)
            mask = before if mask is None else mask & before
        x = self.first_norm(self.position.add(x, start))
        if self.training:
            x = F.dropout(x, self.dropout)
        seen = []
        for block, past, keys_values in zip(self.blocks, pasts, memories, strict=True):
            x, layer = block(
                x,
                mask=mask,
                causal=causal,
                bias=bias,
                position=self.position,
                past=past,
                memory=keys_values,
                memory_mask=memory_mask,
            )
            seen.append(layer)
        return self.last_norm(x), Cache(tuple(seen))

    def _check(self, name: str, layers: tuple[KeysValues, ...], batch: int) -> None:
        expected = len(self.blocks), batch, *self.head_shape
        texts, heads, _, size = layers[0].keys.shape if layers else (0, 0, 0, 0)
        found = len(layers), texts, heads, size
        if found != expected:
            raise ValueError(
                f"this {name} is of another model or batch: its layers, texts, heads and numbers "
                f"in a key are {found}, here they are {expected}"
            )
