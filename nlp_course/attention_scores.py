"""Scores of attention between two recurrent networks: dot, bilinear, additive.

How well each query, a state of the decoder, and each key, a state of the encoder, fit. All have one
interface; `attention.masked_softmax` makes weights of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Score(nn.Module, ABC):
    """How well each key answers each query: one number e_ij a pair.

    Parameters
    ----------
    queries : numbers in a query, a state s_i of the decoder
    keys : numbers in a key, a state h_j of the encoder

    Raises
    ------
    ValueError : a size below 1.
    """

    def __init__(self, queries: int, keys: int) -> None:
        super().__init__()
        for name, value in (("queries", queries), ("keys", keys)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")

    @abstractmethod
    def forward(
        self,
        queries: Float[Tensor, "batch target queries"],
        keys: Float[Tensor, "batch source keys"],
    ) -> Float[Tensor, "batch target source"]:
        """e_ij for each query i and key j."""


class DotScore(Score):
    """e_ij = s_iᵀ h_j, without parameters.

    Raises
    ------
    ValueError : queries and keys of different sizes.

    References
    ----------
    Luong et al. 2015, Effective Approaches to Attention-based Neural Machine Translation,
    section 3.1.
    """

    def __init__(self, queries: int, keys: int) -> None:
        super().__init__(queries, keys)
        if queries != keys:
            raise ValueError(f"a dot product needs vectors of one size, got {queries} and {keys}")

    def forward(
        self,
        queries: Float[Tensor, "batch target queries"],
        keys: Float[Tensor, "batch source keys"],
    ) -> Float[Tensor, "batch target source"]:
        """e_ij for each query i and key j."""
        return queries @ keys.transpose(1, 2)


class BilinearScore(Score):
    """e_ij = s_iᵀ W h_j.

    Attributes
    ----------
    W : (queries, keys); it begins as N(0, 1/keys), which gives the scores a dot product's spread

    References
    ----------
    Luong et al. 2015, section 3.1, where it is called general.
    """

    def __init__(self, queries: int, keys: int) -> None:
        super().__init__(queries, keys)
        self.W = nn.Parameter(torch.randn(queries, keys) * keys**-0.5)

    def forward(
        self,
        queries: Float[Tensor, "batch target queries"],
        keys: Float[Tensor, "batch source keys"],
    ) -> Float[Tensor, "batch target source"]:
        """e_ij for each query i and key j."""
        return queries @ self.W @ keys.transpose(1, 2)


class AdditiveScore(Score):
    """e_ij = vᵀ tanh(W_s s_i + W_h h_j): a network with one hidden layer.

    Parameters
    ----------
    width : units of the hidden layer; as many as a query has numbers by default

    Attributes
    ----------
    W_s, W_h, v : (width, queries), (width, keys), (width,); each begins as N(0, 1/columns)

    Raises
    ------
    ValueError : a size below 1.

    References
    ----------
    Bahdanau et al. 2015, Neural Machine Translation by Jointly Learning to Align and Translate,
    appendix A.1.2.
    """

    def __init__(self, queries: int, keys: int, width: int | None = None) -> None:
        super().__init__(queries, keys)
        width = queries if width is None else width
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width}")
        self.W_s = nn.Parameter(torch.randn(width, queries) * queries**-0.5)
        self.W_h = nn.Parameter(torch.randn(width, keys) * keys**-0.5)
        self.v = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(
        self,
        queries: Float[Tensor, "batch target queries"],
        keys: Float[Tensor, "batch source keys"],
    ) -> Float[Tensor, "batch target source"]:
        """e_ij for each query i and key j."""
        s = (queries @ self.W_s.T)[:, :, None]  # (batch, target, 1, width)
        h = (keys @ self.W_h.T)[:, None]  # (batch, 1, source, width)
        return torch.tanh(s + h) @ self.v


SCORES: dict[str, type[Score]] = {
    "dot": DotScore,
    "bilinear": BilinearScore,
    "additive": AdditiveScore,
}
