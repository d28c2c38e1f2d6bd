"""Mixtures of experts: many feed-forward networks, of which each token goes through a few.

A router scores the experts for each token; the k best are computed, and their outputs summed with
weights. So a model has many parameters, and a token uses few of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

if TYPE_CHECKING:
    from nlp_course.transformer_blocks import Settings


class Gate(NamedTuple):
    """Which experts each token goes through, and how much each of these counts.

    chosen : the experts with the k largest scores, the largest first; of equal ones the first
    weights : softmax over these k scores; a row sums to 1
    """

    chosen: Int[Tensor, "token k"]
    weights: Float[Tensor, "token k"]


class Routing(NamedTuple):
    """What the router of a mixture did with the tokens of one call, text after text.

    probabilities : softmax over all experts' scores
    chosen, weights : see `Gate`
    dropped : True where an expert was full: it does not compute this token
    """

    probabilities: Float[Tensor, "token expert"]
    chosen: Int[Tensor, "token k"]
    weights: Float[Tensor, "token k"]
    dropped: Bool[Tensor, "token k"]


class Parameters(NamedTuple):
    """How many numbers one token uses, and how many there are.

    active : without those of the experts that a token does not go through
    total : all of them
    """

    active: int
    total: int


def gate(logits: Float[Tensor, "token expert"], k: int) -> Gate:
    """Choose k experts for each token and weigh them.

    w = softmax(the k largest scores): the same as the softmax over all scores, cut to the k largest
    and divided by their sum

    Parameters
    ----------
    logits : the router's scores
    k : how many experts a token goes through

    Raises
    ------
    ValueError : k outside 1 … experts.

    References
    ----------
    Shazeer et al. 2017, Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts
    Layer, eq. 3–5, without its noise; Jiang et al. 2024, Mixtral of Experts, section 2.1.

    Examples
    --------
    >>> gate(torch.tensor([[0.0, 2.0, 2.0, 1.0]]), k=2)
    Gate(chosen=tensor([[1, 2]]), weights=tensor([[0.5000, 0.5000]]))
    """
    if not 1 <= k <= logits.shape[-1]:
        raise ValueError(f"k must lie in 1 … {logits.shape[-1]}, the number of experts, got {k}")
    # topk may take any of equal scores; a stable sort takes the first.
    scores, order = logits.sort(dim=-1, descending=True, stable=True)
    return Gate(order[:, :k], torch.softmax(scores[:, :k], dim=-1))


def mixture(
    x: Float[Tensor, "token d"],
    logits: Float[Tensor, "token expert"],
    experts: Sequence[Callable[[Tensor], Tensor]],
    k: int,
) -> Float[Tensor, "token d"]:
    """What a mixture gives, the long way: every expert computes every token.

    y = Σ_i w_i E_i(x), where w_i is 0 for the experts that are not chosen

    Parameters
    ----------
    x : a vector a token
    logits : the router's scores
    experts : E_1, E_2, …
    k : how many experts a token goes through

    Raises
    ------
    ValueError : k outside 1 … experts, or not one expert a score.

    Examples
    --------
    >>> x, logits = torch.tensor([[1.0], [1.0]]), torch.tensor([[0.0, 9.0, 9.0], [9.0, 0.0, 0.0]])
    >>> experts = [lambda x: x, lambda x: 10 * x, lambda x: 30 * x]
    >>> mixture(x, logits, experts, k=1).tolist(), mixture(x[:1], logits[:1], experts, k=2).tolist()
    ([[10.0], [1.0]], [[20.0]])
    """
    if len(experts) != logits.shape[-1]:
        raise ValueError(f"{logits.shape[-1]} scores need as many experts, got {len(experts)}")
    chosen, some = gate(logits, k)
    weights = torch.zeros_like(logits).scatter(1, chosen, some)  # (token, expert)
    outputs = torch.stack([expert(x) for expert in experts], dim=1)  # (token, expert, d)
    return (weights[..., None] * outputs).sum(dim=1)


def balance(
    probabilities: Float[Tensor, "token expert"], chosen: Int[Tensor, "token k"]
) -> Float[Tensor, ""]:
    """A loss that is small where the experts have equally much to do.

    N Σ_i f_i P_i

    N experts; f_i is expert i's share of all choices, k of each token, so that Σ_i f_i = 1; P_i is
    the mean probability that the router gives it. If all f_i or all P_i are alike, it is 1; if the
    router is sure of one expert for all tokens, it is N for k = 1, and N/k in general. f has no
    gradient: the loss lowers the probability of experts that are chosen often.

    Parameters
    ----------
    probabilities, chosen : see `Routing`

    Raises
    ------
    ValueError : there is no token.

    References
    ----------
    Fedus et al. 2022, Switch Transformers, eq. 4–6, for k = 1. Hugging Face's for Mixtral does not
    divide f by k: it is k where this is 1.

    Examples
    --------
    >>> sure = torch.eye(4)
    >>> balance(sure, torch.tensor([[0], [1], [2], [3]])).item()
    1.0
    >>> balance(sure[[0, 0, 0, 0]], torch.tensor([[0], [0], [0], [0]])).item()
    4.0
    """
    if not len(chosen):
        raise ValueError("there are no tokens whose experts could be balanced")
    experts = probabilities.shape[-1]
    counts = torch.bincount(chosen.flatten(), minlength=experts)
    share = counts.to(probabilities.dtype) / chosen.numel()  # f
    return experts * (share * probabilities.mean(dim=0)).sum()


def over_capacity(
    chosen: Int[Tensor, "token k"], experts: int, capacity: int
) -> Bool[Tensor, "token k"]:
    """Where a token comes too late: its expert has as many already as it may take.

    All tokens' first choices come before all second ones, and so on; among these the order is the
    tokens' own.

    Parameters
    ----------
    chosen : see `Gate`
    experts : how many there are
    capacity : tokens that each of them takes at most

    References
    ----------
    Lepikhin et al. 2021, GShard, algorithm 1.

    Examples
    --------
    >>> over_capacity(torch.tensor([[0, 1], [0, 1], [1, 0]]), experts=2, capacity=2).tolist()
    [[False, False], [False, True], [False, True]]
    """
    queue = chosen.T.flatten()  # (k · token,): first choices first
    asked = nn.functional.one_hot(queue, experts)
    place = (asked.cumsum(dim=0) * asked).sum(dim=-1)  # 1 for the first that asks an expert
    return (place > capacity).view(chosen.T.shape).T


class MixtureOfExperts(nn.Module):
    """A feed-forward network for each token, mixed from the k that its router chooses of N.

    y = Σ_{i among the k chosen} w_i E_i(x),  w = softmax of the k largest of W_r x

    Parameters
    ----------
    settings : with `experts`, N, and `chosen`, k; each expert is the feed-forward network that they
        describe. With a `capacity` c an expert takes ⌈c k T/N⌉ of a call's T tokens at most; what
        is over is left out of the sum, so that a token may pass by the shortcut alone

    Attributes
    ----------
    router : W_r, (N, d)
    experts : E_1 … E_N
    routing : of the last call; None before any

    Raises
    ------
    ValueError : settings without experts.

    Notes
    -----
    Each expert computes its own tokens only, gathered. Without capacity a token's output depends on
    nothing but the token. With one it depends on which others are in the call, those after it and
    those of other texts too: a decoder is then not causal, and what it says with a cache differs
    from what it says without.

    References
    ----------
    Shazeer et al. 2017; Fedus et al. 2022, Switch Transformers, for capacity; Jiang et al. 2024,
    Mixtral of Experts.

    Examples
    --------
    >>> from nlp_course.transformer_blocks import Settings
    >>> layer = MixtureOfExperts(Settings(dimension=8, heads=2, experts=4, chosen=2))
    >>> layer(torch.randn(1, 5, 8)).shape, layer.routing.chosen.shape
    (torch.Size([1, 5, 8]), torch.Size([5, 2]))
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        if not settings.experts:
            raise ValueError("a mixture needs at least 1 expert: build it with experts=…")
        self.chosen, self.capacity = settings.chosen, settings.capacity
        self.router = nn.Linear(settings.dimension, settings.experts, bias=False)
        nn.init.normal_(self.router.weight, std=settings.spread)
        one = replace(settings, experts=0)
        self.experts = nn.ModuleList(one.make_feed_forward() for _ in range(settings.experts))
        self.routing: Routing | None = None

    def forward(self, x: Float[Tensor, "*places d"]) -> Float[Tensor, "*places d"]:
        """A new vector for each token; `routing` says how it came about."""
        tokens = x.reshape(-1, x.shape[-1])  # (token, d)
        # Probabilities of half precision would be too coarse (Fedus et al., section 2.4).
        logits = self.router(tokens)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        chosen, weights = gate(logits, self.chosen)
        dropped = torch.zeros_like(chosen, dtype=torch.bool)
        if self.capacity is not None:
            room = math.ceil(self.capacity * chosen.numel() / len(self.experts))
            dropped = over_capacity(chosen, len(self.experts), room)
        self.routing = Routing(logits.softmax(dim=-1), chosen, weights, dropped)
        y = torch.zeros_like(tokens, dtype=weights.dtype)
        for number, expert in enumerate(self.experts):
            place, choice = torch.where((chosen == number) & ~dropped)
            part = expert(tokens[place]) * weights[place, choice, None]
            y.index_add_(0, place, part)
        return y.to(x.dtype).view_as(x)

    def __getstate__(self) -> dict[str, Any]:
        """All but the routing, which hangs on its computation and cannot be copied."""
        return {**self.__dict__, "routing": None}


def mixtures(model: nn.Module) -> list[MixtureOfExperts]:
    """The mixtures of experts in a model, first layer first."""
    return [module for module in model.modules() if isinstance(module, MixtureOfExperts)]


def balance_loss(model: nn.Module) -> Float[Tensor, ""]:
    """`balance`, summed over all mixtures of a model, of the call they last did.

    It is added to the mean loss a token, times a small number: 0.01 in Switch Transformers.

    Raises
    ------
    ValueError : there is no mixture in the model, or it was not called yet.
    """
    routings = [layer.routing for layer in mixtures(model)]
    called = [routing for routing in routings if routing is not None]
    if not routings:
        raise ValueError(
            f"there is no mixture of experts in a {type(model).__name__}: build it with experts=…"
        )
    if len(called) < len(routings):
        raise ValueError("call the model first: it has not chosen any experts yet")
    return torch.stack([balance(one.probabilities, one.chosen) for one in called]).sum()


def uncertainty_coefficient(experts: Int[Tensor, "token"], labels: Int[Tensor, "_"]) -> float:
    """How much of the choice of experts a label of the tokens tells.

    U = I(expert; label)/H(expert)

    I is the mutual information, H the entropy, of the shares counted. U is 1 if the label decides
    the expert, and 0 if it says nothing. From few tokens it is too large, by about
    (experts − 1)(labels − 1)/(2 tokens H): compare with labels in random order.

    Parameters
    ----------
    experts : an expert a token, such as ``routing.chosen[:, 0]``
    labels : a number a token, from 0 on: the token's id, say, or the number of its text's subject

    Raises
    ------
    ValueError : not one label a token, or all tokens have the same expert, so that there is nothing
        to tell.

    References
    ----------
    Theil 1970, On the Estimation of Relationships Involving Qualitative Variables.

    Examples
    --------
    >>> experts = torch.tensor([0, 0, 1, 1])
    >>> labels = torch.tensor([[5, 5, 3, 2], [5, 5, 5, 2], [0, 1, 0, 1]])
    >>> [round(uncertainty_coefficient(experts, row), 3) for row in labels]
    [1.0, 0.311, 0.0]
    """
    if experts.shape != labels.shape:
        raise ValueError(f"{len(experts)} tokens need as many labels, got {len(labels)}")
    pairs = torch.stack([experts, labels])
    of_experts, of_labels, of_pairs = (_entropy(values) for values in (pairs[:1], pairs[1:], pairs))
    if not of_experts:
        raise ValueError("all tokens have the same expert: there is no choice to be told")
    return (of_experts + of_labels - of_pairs) / of_experts


def _entropy(columns: Int[Tensor, "rows token"]) -> float:
    counts = torch.unique(columns, dim=1, return_counts=True)[1].double()
    share = counts / counts.sum()
    return -(share * share.log()).sum().item() if len(counts) > 1 else 0.0


def active_parameters(model: nn.Module) -> Parameters:
    """Numbers that one token uses, and all: of a mixture's N experts it uses k.

    Vectors of tokens count in full, as is usual, although a token looks up one of them.

    Examples
    --------
    >>> from nlp_course.transformer_blocks import FeedForward, Settings
    >>> settings = Settings(dimension=4, heads=1, hidden=3, bias=False, experts=8, chosen=2)
    >>> active_parameters(MixtureOfExperts(settings))  # 8 · 4 of the router, 24 an expert
    Parameters(active=80, total=224)
    """
    total = sum(parameter.numel() for parameter in model.parameters())
    unused = 0
    for layer in mixtures(model):
        of_one = sum(parameter.numel() for parameter in layer.experts[0].parameters())
        unused += (len(layer.experts) - layer.chosen) * of_one
    return Parameters(total - unused, total)
