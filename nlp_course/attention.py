"""Attention: how well each query and each key fit, and weights that sum to 1.

Masks, the softmax that leaves out what is masked, the scaled dot product, written out and as
torch's fused kernel, and several heads of it side by side. The scores that came before it are in
`nlp_course.attention_scores`.

A mask is a tensor of truth values, True where a query may attend to a key. It has the shape
(batch, heads, query, key), or any that is broadcast to it; several are combined by ``&``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.cache import KeysValues

if TYPE_CHECKING:
    from nlp_course.positions import Position


def masked_softmax(
    scores: Float[Tensor, "*rows source"], present: Bool[Tensor, "*#rows source"]
) -> Float[Tensor, "*rows source"]:
    """Softmax over the last axis, where what is masked gets 0.

    α_j = exp(e_j) / Σ_k exp(e_k), the sum over what is present

    Returns
    -------
    Rows that sum to 1; a row with nothing present is all zeros.

    Examples
    --------
    >>> masked_softmax(torch.zeros(1, 3), torch.tensor([[True, True, False]])).tolist()
    [[0.5, 0.5, 0.0]]
    """
    # −∞ in place of the lowest number would make NaN of a row that is all padding.
    lowest = torch.finfo(scores.dtype).min
    return torch.softmax(scores.masked_fill(~present, lowest), dim=-1) * present


def padding_mask(lengths: Int[Tensor, "batch"], keys: int) -> Bool[Tensor, "batch 1 1 {keys}"]:
    """Every query may attend to the keys before its sentence's end, and to no padding.

    Parameters
    ----------
    lengths : tokens of each sentence; what follows them is padding
    keys : places there are

    Raises
    ------
    ValueError : a length below 0 or above `keys`.

    Examples
    --------
    >>> padding_mask(torch.tensor([2, 1]), keys=3).squeeze().tolist()
    [[True, True, False], [True, False, False]]
    """
    if ((lengths < 0) | (lengths > keys)).any():
        raise ValueError(f"lengths must lie in 0 … {keys}, got {lengths.min()} … {lengths.max()}")
    return (torch.arange(keys, device=lengths.device) < lengths[:, None])[:, None, None]


def causal_mask(
    queries: int, keys: int, device: torch.device | str | None = None
) -> Bool[Tensor, "{queries} {keys}"]:
    """Every query may attend to itself and to what is before it.

    The last query stands at the last key: where there are more keys than queries, the first keys
    are of tokens read earlier, and every query may attend to them.

    Raises
    ------
    ValueError : more queries than keys.

    Examples
    --------
    >>> causal_mask(2, 3).tolist()
    [[True, True, False], [True, True, True]]
    """
    if queries > keys:
        raise ValueError(f"{queries} queries stand at {queries} keys at least, got {keys}")
    everything = torch.ones(queries, keys, dtype=torch.bool, device=device)
    return everything.tril(keys - queries)


class Attended(NamedTuple):
    """What attention gives.

    output : a weighted sum of values for each query
    weights : α, a row a query; the rows sum to 1, or to 0 where there is nothing to attend to
    """

    output: Float[Tensor, "*batch query value_size"]
    weights: Float[Tensor, "*batch query key"]


def scaled_dot_product(
    query: Float[Tensor, "*batch query size"],
    key: Float[Tensor, "*batch key size"],
    value: Float[Tensor, "*batch key value_size"],
    mask: Bool[Tensor, "*#batch #query #key"] | None = None,
    bias: Float[Tensor, "*#batch #query #key"] | None = None,
    scale: float | None = None,
) -> Attended:
    """Scaled dot-product attention, step by step.

    α_ij = softmax_j (q_i · k_j / √d_k + b_ij),  output_i = Σ_j α_ij v_j

    Parameters
    ----------
    query, key, value : a row each token; usually (batch, heads, time, d_k)
    mask : True where a query may attend to a key; everything, by default
    bias : b, added to the scaled scores
    scale : what the scores are multiplied by; 1/√d_k by default

    Returns
    -------
    Output and weights. A query that may attend to nothing gets zeros of both.

    References
    ----------
    Vaswani et al. 2017, Attention Is All You Need, eq. 1.

    Examples
    --------
    >>> q, k, v = torch.zeros(1, 4), torch.randn(2, 4), torch.tensor([[1.0], [3.0]])
    >>> scaled_dot_product(q, k, v)
    Attended(output=tensor([[2.]]), weights=tensor([[0.5000, 0.5000]]))
    """
    scores = query @ key.transpose(-2, -1)  # (*batch, query, key)
    scores = scores * (query.shape[-1] ** -0.5 if scale is None else scale)
    if bias is not None:
        scores = scores + bias
    weights = torch.softmax(scores, dim=-1) if mask is None else masked_softmax(scores, mask)
    return Attended(weights @ value, weights)


def fused_attention(
    query: Float[Tensor, "batch heads query size"],
    key: Float[Tensor, "batch heads key size"],
    value: Float[Tensor, "batch heads key value_size"],
    mask: Bool[Tensor, "..."] | None = None,
    bias: Float[Tensor, "..."] | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
    causal: bool = False,
) -> Float[Tensor, "batch heads query value_size"]:
    """The output of `scaled_dot_product` by torch's fused kernel, which need not keep the weights.

    Parameters
    ----------
    query, key, value, mask, bias, scale : as for `scaled_dot_product`
    dropout : share of the weights that is left out; the others are made larger in turn
    causal : attend as by `causal_mask`, which the kernel knows: it skips the half of the scores
        that a mask would hide. It stands alone, without mask and bias

    Raises
    ------
    ValueError : `causal` beside a mask or a bias, or where queries and keys are not as many.
    """
    if causal and (mask is not None or bias is not None or query.shape[2] != key.shape[2]):
        raise ValueError(
            "causal stands alone, for as many queries as keys: else give mask=causal_mask(…)"
        )
    seen = mask
    if bias is not None:
        seen = bias if mask is None else bias.masked_fill(~mask, -torch.inf)
    return F.scaled_dot_product_attention(query, key, value, seen, dropout, causal, scale=scale)


class MultiHeadAttention(nn.Module):
    """Attention by several heads side by side, each with its own queries, keys and values.

    head_m = attention(X W_q^m, M W_k^m, M W_v^m),  output = [head_1; …; head_h] W_o

    Self-attention has M = X. Cross-attention has queries from one text, keys and values from M,
    another.

    Parameters
    ----------
    dimension : d, numbers in a token's vector
    heads : h
    head_size : numbers in a query, key or value of one head; d/h by default
    bias : whether each of the four linear maps adds a vector
    scale : what the scores are multiplied by; 1/√head_size by default
    dropout : share of the weights that is left out in a step of training
    spread : standard deviation σ of initial weights

    Attributes
    ----------
    project : W_q, W_k and W_v of all heads, one product for all, (3 · h · head_size, d)
    output : W_o, (d, h · head_size)
    keep_weights : compute by `scaled_dot_product`, and leave the weights in `weights`; see
        `attention_weights`

    Raises
    ------
    ValueError : a size below 1, or a number of heads that does not divide the dimension.

    Notes
    -----
    Initial weights: N(0, σ²), biases 0; σ = 0.02 is GPT-2's. They are drawn from torch's global
    generator: call `training.set_seed` first.

    References
    ----------
    Vaswani et al. 2017, Attention Is All You Need, section 3.2.2.

    Examples
    --------
    >>> attention = MultiHeadAttention(8, heads=2)
    >>> output, past = attention(torch.randn(1, 5, 8), mask=causal_mask(5, 5))
    >>> output.shape, past.keys.shape
    (torch.Size([1, 5, 8]), torch.Size([1, 2, 5, 4]))
    """

    def __init__(
        self,
        dimension: int,
        heads: int,
        *,
        head_size: int | None = None,
        bias: bool = True,
        scale: float | None = None,
        dropout: float = 0.0,
        spread: float = 0.02,
    ) -> None:
        super().__init__()
        for name, value in (("dimension", dimension), ("heads", heads), ("head_size", head_size)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if head_size is None and dimension % heads:
            raise ValueError(
                f"{heads} heads cannot share {dimension} numbers evenly: take a dimension that "
                f"{heads} divides, or give head_size"
            )
        self.heads, self.head_size = heads, head_size or dimension // heads
        self.width = heads * self.head_size
        self.scale, self.dropout = scale, dropout
        self.project = nn.Linear(dimension, 3 * self.width, bias)
        self.output = nn.Linear(self.width, dimension, bias)
        self.keep_weights = False
        self.weights: Float[Tensor, "batch heads query key"] | None = None
        for layer in (self.project, self.output):
            nn.init.normal_(layer.weight, std=spread)
            if bias:
                nn.init.zeros_(layer.bias)

    def keys_values(self, memory: Float[Tensor, "batch key d"]) -> KeysValues:
        """Keys and values of the text that cross-attention attends to."""
        keys, values = self._heads(F.linear(memory, *self._maps(slice(self.width, None))))
        return KeysValues(keys, values)

    def forward(
        self,
        x: Float[Tensor, "batch query d"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        causal: bool = False,
        bias: Float[Tensor, "..."] | None = None,
        position: Position | None = None,
        past: KeysValues | None = None,
        memory: KeysValues | None = None,
    ) -> tuple[Float[Tensor, "batch query d"], KeysValues]:
        """Attend from each token of x.

        Parameters
        ----------
        x : a vector a token
        mask, bias : as for `scaled_dot_product`
        causal : as for `fused_attention`
        position : rotates queries and keys, if it is one that does
        past : keys and values of the tokens before x; these and x are attended to
        memory : keys and values of another text, which alone is attended to: cross-attention

        Returns
        -------
        A new vector a token, and the keys and values that were attended to.
        """
        if memory is None:
            query, key, value = self._heads(self.project(x))
            if position is not None:
                start = 0 if past is None else past.length
                query, key = position.rotate(query, start), position.rotate(key, start)
            seen = KeysValues(key, value) if past is None else past.append(key, value)
        else:
            (query,) = self._heads(F.linear(x, *self._maps(slice(self.width))))
            seen = memory
        key, value = seen.keys, seen.values
        if self.keep_weights:
            if causal:
                mask = causal_mask(query.shape[2], key.shape[2], x.device)
            output, self.weights = scaled_dot_product(query, key, value, mask, bias, self.scale)
        else:
            dropout = self.dropout if self.training else 0.0
            output = fused_attention(query, key, value, mask, bias, self.scale, dropout, causal)
        return self.output(output.transpose(1, 2).flatten(2)), seen

    def _maps(self, rows: slice) -> tuple[Tensor, Tensor | None]:
        """Some of the rows of `project`: the weights and biases of one or two of its three maps."""
        bias = None if self.project.bias is None else self.project.bias[rows]
        return self.project.weight[rows], bias

    def _heads(
        self, projected: Float[Tensor, "batch time parts_width"]
    ) -> tuple[Float[Tensor, "batch heads time size"], ...]:
        """Queries, keys or values side by side, taken apart and each cut into heads."""
        batch, time, width = projected.shape
        parts = width // self.width
        if time == 1:  # all numbers are in their order already
            return projected.view(batch, parts, self.heads, 1, self.head_size).unbind(1)
        cut = projected.view(batch, time, parts, self.heads, self.head_size)
        # Turned once they are apart: so their gradients are put side by side in one copy, not two.
        return tuple(part.transpose(1, 2) for part in cut.unbind(2))


@contextmanager
def _keeping(layers: list[MultiHeadAttention]) -> Iterator[None]:
    try:
        for layer in layers:
            layer.keep_weights = True
        yield
    finally:
        for layer in layers:
            layer.keep_weights, layer.weights = False, None


@torch.no_grad()
def attention_weights(
    model: nn.Module, *inputs: object, **named: object
) -> list[Float[Tensor, "batch heads query key"]]:
    """The weights of all attention that a model does on some inputs, without dropout.

    Parameters
    ----------
    model : any with `MultiHeadAttention` in it
    inputs, named : what the model is called with

    Returns
    -------
    α of each `MultiHeadAttention` that the call reached, in the order in which the model holds
    them: a layer's self-attention comes before its cross-attention.

    Raises
    ------
    ValueError : there is none in the model, or the call reached none.
    """
    layers = [module for module in model.modules() if isinstance(module, MultiHeadAttention)]
    if not layers:
        raise ValueError(f"there is no MultiHeadAttention in a {type(model).__name__}")
    was_training = model.training
    model.eval()
    try:
        with _keeping(layers):
            model(*inputs, **named)
            found = [layer.weights for layer in layers if layer.weights is not None]
    finally:
        model.train(was_training)
    if not found:
        raise ValueError(f"none of {len(layers)} layers of attention was called")
    return found
