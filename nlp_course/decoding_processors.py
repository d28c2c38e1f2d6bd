"""What may be done to the scores of the next token before one is chosen.

A processor takes the tokens of each text so far and the logits of its next token, and returns
logits: scaled, lowered, or −∞ for what is never to be chosen. Processors are put in a row, each on
what the one before leaves: ``processors=(Temperature(0.8), TopP(0.9))``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

# (ids so far, logits of the next token) → logits: (batch, time), (batch, V) → (batch, V)
Processor: TypeAlias = Callable[[Tensor, Tensor], Tensor]

Ids: TypeAlias = Int[Tensor, "batch time"]
Logits: TypeAlias = Float[Tensor, "batch vocabulary"]


class NothingLeftError(ValueError):
    """No token can be chosen: every logit is −∞, or one is +∞ or not a number."""


@dataclass(frozen=True)
class Temperature:
    """Divide logits by T, so that p becomes p^{1/T} / Z: below 1 sharper, above 1 flatter.

    Parameters
    ----------
    t : T

    Raises
    ------
    ValueError : T is not above 0 and finite. The limit 0 is `decoding.greedy`.

    Examples
    --------
    >>> Temperature(0.5)(torch.tensor([[0]]), torch.tensor([[3.0, 1.0]])).tolist()
    [[6.0, 2.0]]
    """

    t: float | int

    def __post_init__(self) -> None:
        if not 0 < self.t < math.inf:
            raise ValueError(
                f"temperature must be above 0 and finite, got {self.t}; greedy is the limit 0"
            )

    def __call__(self, _: Ids, logits: Logits) -> Logits:
        return logits / self.t


@dataclass(frozen=True)
class TopK:
    """Keep the k likeliest tokens; of equal ones more than k.

    Parameters
    ----------
    k : 1 leaves the likeliest, V or more all

    Raises
    ------
    ValueError : k < 1.

    References
    ----------
    Fan et al. 2018, Hierarchical Neural Story Generation.

    Examples
    --------
    >>> TopK(2)(torch.tensor([[0]]), torch.tensor([[3.0, 1.0, 2.0]])).tolist()
    [[3.0, -inf, 2.0]]
    """

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be at least 1, got {self.k}")

    def __call__(self, _: Ids, logits: Logits) -> Logits:
        last = logits.topk(min(self.k, logits.shape[-1]), dim=-1).values[:, -1:]  # (batch, 1)
        return logits.masked_fill(logits < last, -torch.inf)


@dataclass(frozen=True)
class TopP:
    """Keep the nucleus: the fewest tokens, likeliest first, whose probability reaches p.

    Parameters
    ----------
    p : 1 leaves all

    Raises
    ------
    ValueError : p is not above 0 and at most 1.

    References
    ----------
    Holtzman et al. 2020, The Curious Case of Neural Text Degeneration, eq. 2.

    Examples
    --------
    >>> logits = torch.tensor([[2.0, 0.0, 1.0]])  # probabilities 0.67, 0.09 and 0.24
    >>> TopP(0.8)(torch.tensor([[0]]), logits).tolist()
    [[2.0, -inf, 1.0]]
    """

    p: float | int

    def __post_init__(self) -> None:
        _check_share(self.p)

    def __call__(self, _: Ids, logits: Logits) -> Logits:
        # Added up from the unlikeliest: else the tail is lost in the rounding of a sum near 1.
        ordered, order = logits.sort(dim=-1)
        outside = torch.softmax(ordered, dim=-1).cumsum(dim=-1) <= 1 - self.p
        outside[:, -1] = False
        return logits.masked_fill(outside.scatter(1, order, outside), -torch.inf)


@dataclass(frozen=True)
class MinP:
    """Keep tokens that are at least p times as likely as the likeliest.

    Where the model is sure few are left, where it is not many.

    Parameters
    ----------
    p : 1 leaves the likeliest

    Raises
    ------
    ValueError : p is not above 0 and at most 1.

    References
    ----------
    Nguyen et al. 2025, Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs.

    Examples
    --------
    >>> logits = torch.tensor([[0.0, -3.0, -1.0]])
    >>> MinP(0.1)(torch.tensor([[0]]), logits).tolist()  # e⁻³ is 0.05
    [[0.0, -inf, -1.0]]
    """

    p: float | int

    def __post_init__(self) -> None:
        _check_share(self.p)

    def __call__(self, _: Ids, logits: Logits) -> Logits:
        least = logits.amax(dim=-1, keepdim=True) + math.log(self.p)  # (batch, 1)
        return logits.masked_fill(logits < least, -torch.inf)


@dataclass(frozen=True)
class Typical:
    """Keep tokens whose surprise is nearest to the expected one, until their probability reaches p.

    ε(w) = |−log p(w) − H|,  H = −Σ_w p(w) log p(w)

    The likeliest token may go: it says less than people mostly do.

    Parameters
    ----------
    p : the mass, τ in the paper; 1 leaves all that can occur

    Raises
    ------
    ValueError : p is not above 0 and at most 1.

    References
    ----------
    Meister et al. 2023, Locally Typical Sampling.

    Examples
    --------
    >>> logits = torch.tensor([[2.0, 1.0, 0.0, 0.0]])  # H is 1.1 nats, surprises 0.5, 1.5, 2.5
    >>> Typical(0.2)(torch.tensor([[0]]), logits).tolist()
    [[-inf, 1.0, -inf, -inf]]
    """

    p: float | int

    def __post_init__(self) -> None:
        _check_share(self.p)

    def __call__(self, _: Ids, logits: Logits) -> Logits:
        log_p = torch.log_softmax(logits, dim=-1)
        p = log_p.exp()
        entropy = -torch.where(p > 0, p * log_p, 0.0).sum(dim=-1, keepdim=True)  # (batch, 1)
        unusual = (-log_p - entropy).abs()
        # From the most unusual, as in TopP; of equally unusual tokens all are kept.
        ordered, order = unusual.sort(dim=-1, descending=True)
        outside = (p.gather(1, order).cumsum(dim=-1) <= 1 - self.p).sum(dim=-1, keepdim=True)
        last = ordered.gather(1, outside.clamp(max=logits.shape[-1] - 1))
        return logits.masked_fill(unusual > last, -torch.inf)


@dataclass(frozen=True)
class RepetitionPenalty:
    """Lower the logits of all tokens that the text has: above 0 divided by θ, below 0 times θ.

    What counts as 0 is the model's choice: adding a number to all logits changes no probability,
    but what this does.

    Parameters
    ----------
    theta : θ; 1 changes nothing, and below 1 repetition is rewarded

    Raises
    ------
    ValueError : θ is not above 0 and finite.

    References
    ----------
    Keskar et al. 2019, CTRL: A Conditional Transformer Language Model for Controllable Generation,
    section 4.1, with θ = 1.2. They divide all of these logits, which would raise those below 0.

    Examples
    --------
    >>> logits = torch.tensor([[3.0, -1.0, 2.0]])
    >>> RepetitionPenalty(2.0)(torch.tensor([[0, 1, 0]]), logits).tolist()
    [[1.5, -2.0, 2.0]]
    """

    theta: float | int

    def __post_init__(self) -> None:
        if not 0 < self.theta < math.inf:
            raise ValueError(f"theta must be above 0 and finite, got {self.theta}")

    def __call__(self, ids: Ids, logits: Logits) -> Logits:
        lowered = torch.where(logits > 0, logits / self.theta, logits * self.theta)
        return logits.scatter(1, ids, lowered.gather(1, ids))


@dataclass(frozen=True)
class NoRepeatNgram:
    """Never write n tokens in a row that the text has already.

    Parameters
    ----------
    n : 1 forbids every token of the text

    Raises
    ------
    ValueError : n < 1.

    References
    ----------
    Paulus et al. 2018, A Deep Reinforced Model for Abstractive Summarization, section 2.5, with
    n = 3.

    Examples
    --------
    >>> logits = torch.zeros(1, 4)
    >>> NoRepeatNgram(2)(torch.tensor([[1, 2, 3, 1]]), logits).tolist()  # 1 2 is there
    [[0.0, 0.0, -inf, 0.0]]
    """

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be at least 1, got {self.n}")

    def __call__(self, ids: Ids, logits: Logits) -> Logits:
        time = ids.shape[1]
        if time < self.n:
            return logits
        present = ids.unfold(1, self.n, 1)  # (batch, place, n)
        last = ids[:, time - self.n + 1 :]  # n − 1 tokens, of which the next is the n-th
        again = (present[:, :, :-1] == last[:, None]).all(dim=2)  # (batch, place)
        # A token stands at several places: counted, since one of them is enough.
        count = torch.zeros_like(logits).scatter_add(1, present[:, :, -1], again.to(logits.dtype))
        return logits.masked_fill(count > 0, -torch.inf)


def processed(processors: Sequence[Processor], ids: Ids, logits: Logits) -> Logits:
    """Logits after all processors, in their order.

    Examples
    --------
    >>> logits = torch.tensor([[3.0, 1.0, 2.0]])
    >>> processed([Temperature(0.5), TopK(1)], torch.tensor([[0]]), logits).tolist()
    [[6.0, -inf, -inf]]
    """
    for processor in processors:
        logits = processor(ids, logits)
    return logits


def check_possible(logits: Logits) -> None:
    """Every text has a token that can be chosen.

    Raises
    ------
    NothingLeftError : a text's logits are all −∞, or one of them is +∞ or not a number.
    """
    highest = logits.amax(dim=-1)  # of some that are not numbers it is none
    if not math.isfinite(highest.sum()):  # the sum for speed: one question for all texts
        row = int((~highest.isfinite()).nonzero()[0])
        why = "are all −∞" if logits[row].isneginf().all() else "are not all numbers below +∞"
        raise NothingLeftError(f"no token can be chosen for text {row}: its logits {why}")


def _check_share(p: float | int) -> None:
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got {p}")
