"""Preferences learned without a reward model and without sampling: DPO, and losses like it.

All but two take log-ratios h(y) = log π_θ(y | x) − log π_ref(y | x) of whole answers; β h is the
reward that the policy stands for (`implicit_reward`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from nlp_course.alignment import sequence_log_probability
from nlp_course.decoding import LanguageModel
from nlp_course.training import Batches, Loss, shuffled

# Log-ratios of the chosen and of the rejected answers to a loss for each pair.
PairLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]

BLOCK = 512  # comparisons that the reference reads at once


def implicit_reward(
    log_policy: Float[Tensor, "*pairs"], log_reference: Float[Tensor, "*pairs"], beta: float
) -> Float[Tensor, "*pairs"]:
    """β (log π_θ(y | x) − log π_ref(y | x)): a reward of which π_θ is the optimal policy.

    It is known up to a constant β log Z(x) for each prompt, which no comparison of two answers to
    that prompt depends on.

    References
    ----------
    Rafailov et al. 2023, Direct Preference Optimization, eq. 5.
    """
    _check_beta(beta)
    return beta * (log_policy - log_reference)


def dpo_loss(
    chosen: Float[Tensor, "*pairs"],
    rejected: Float[Tensor, "*pairs"],
    beta: float,
    smoothing: float = 0.0,
) -> Float[Tensor, "*pairs"]:
    """−(1 − ε) log σ(βΔ) − ε log σ(−βΔ), where Δ = h(y_w) − h(y_l).

    Parameters
    ----------
    chosen, rejected : log-ratios h(y_w) and h(y_l)
    beta : β; the larger, the closer to the reference the loss keeps the policy
    smoothing : ε, the share of comparisons that may be the wrong way round; 0 is DPO

    Raises
    ------
    ValueError : β not above 0, or ε outside [0, 1/2).

    References
    ----------
    Rafailov et al. 2023, eq. 7. Mitchell 2023, A note on DPO with noisy preferences, for ε.

    Examples
    --------
    >>> dpo_loss(torch.tensor([0.0, 20.0]), torch.tensor([0.0, 0.0]), beta=0.1)
    tensor([0.6931, 0.1269])
    """
    _check_beta(beta)
    if not 0 <= smoothing < 0.5:
        raise ValueError(f"smoothing must be at least 0 and below 1/2, got {smoothing}")
    margin = beta * (chosen - rejected)
    return -(1 - smoothing) * F.logsigmoid(margin) - smoothing * F.logsigmoid(-margin)


def dpo_weight(
    chosen: Float[Tensor, "*pairs"], rejected: Float[Tensor, "*pairs"], beta: float
) -> Float[Tensor, "*pairs"]:
    """β σ(−βΔ): how hard a pair pulls. ∇ L = −β σ(−βΔ) (∇ log π(y_w) − ∇ log π(y_l)).

    σ(−βΔ) is the probability that the implicit reward gives to the wrong order.

    Examples
    --------
    >>> dpo_weight(torch.tensor([0.0, 20.0]), torch.tensor([0.0, 0.0]), beta=0.1)
    tensor([0.0500, 0.0119])
    """
    _check_beta(beta)
    return beta * torch.sigmoid(-beta * (chosen - rejected))


def ipo_loss(
    chosen: Float[Tensor, "*pairs"], rejected: Float[Tensor, "*pairs"], beta: float
) -> Float[Tensor, "*pairs"]:
    """(Δ − 1/(2β))²: the margin has a goal, so it stays finite where people always agree.

    References
    ----------
    Azar et al. 2024, A General Theoretical Paradigm to Understand Learning from Human Preferences,
    eq. 17, whose τ is β.
    """
    _check_beta(beta)
    return (chosen - rejected - 1 / (2 * beta)) ** 2


def hinge_loss(
    chosen: Float[Tensor, "*pairs"], rejected: Float[Tensor, "*pairs"], beta: float
) -> Float[Tensor, "*pairs"]:
    """max(0, 1 − βΔ): a pair that is apart far enough pulls no more.

    References
    ----------
    Zhao et al. 2023, SLiC-HF: Sequence Likelihood Calibration with Human Feedback; here on
    log-ratios, as Liu et al. 2024 (Statistical Rejection Sampling) write it.
    """
    _check_beta(beta)
    return torch.relu(1 - beta * (chosen - rejected))


def kto_loss(
    ratios: Float[Tensor, "answer"],
    liked: Float[Tensor, "answer"],
    reference_point: Float[Tensor, ""],
    beta: float,
    weights: tuple[float, float] = (1.0, 1.0),
) -> Float[Tensor, "answer"]:
    """λ (1 − σ(±β (h − z₀))): + for answers that were liked, − for others; no pairs are needed.

    Parameters
    ----------
    ratios : h, log-ratio of each answer
    liked : 1 or 0 for each
    reference_point : z₀, an estimate of KL(π_θ ‖ π_ref), through which no gradient goes; what is
        below 0 counts as 0
    beta : β
    weights : λ of liked answers, and of others

    References
    ----------
    Ethayarajh et al. 2024, KTO: Model Alignment as Prospect Theoretic Optimization, eq. 8.

    Examples
    --------
    >>> kto_loss(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0]), torch.tensor(0.0), beta=0.1)
    tensor([0.5000, 0.5000])
    """
    _check_beta(beta)
    surplus = beta * (ratios - reference_point.detach().clamp(min=0))
    good, bad = weights
    return liked * good * torch.sigmoid(-surplus) + (1 - liked) * bad * torch.sigmoid(surplus)


def simpo_loss(
    chosen: Float[Tensor, "*pairs"], rejected: Float[Tensor, "*pairs"], beta: float, gamma: float
) -> Float[Tensor, "*pairs"]:
    """−log σ(β (l_w − l_l) − γ) of mean log-probabilities a token, l = log π_θ(y | x) / |y|.

    No reference, and no reward for length as such.

    References
    ----------
    Meng et al. 2024, SimPO: Simple Preference Optimization with a Reference-Free Reward, eq. 6.
    """
    _check_beta(beta)
    return -F.logsigmoid(beta * (chosen - rejected) - gamma)


def orpo_loss(
    chosen: Float[Tensor, "*pairs"], rejected: Float[Tensor, "*pairs"], weight: float
) -> Float[Tensor, "*pairs"]:
    """−l_w − λ log σ(log odds_w − log odds_l): fine-tuning and preferences at once.

    odds = p / (1 − p) of p = exp(l), where l is the mean log-probability a token, below 0.

    Parameters
    ----------
    chosen, rejected : l_w and l_l
    weight : λ of the comparison

    References
    ----------
    Hong et al. 2024, ORPO: Monolithic Preference Optimization without Reference Model, eq. 6.
    """
    odds = chosen - rejected - (_log_not(chosen) - _log_not(rejected))
    return -chosen - weight * F.logsigmoid(odds)


def _log_not(log_p: Tensor) -> Tensor:
    """log(1 − p), also where p is nearly 0 or nearly 1."""
    return torch.log(-torch.expm1(log_p))


@torch.no_grad()
def preference_batches(
    reference: LanguageModel,
    prompts: Int[Tensor, "pair prompt"],
    chosen: Int[Tensor, "pair answer"],
    rejected: Int[Tensor, "pair answer"],
    *,
    stop: int,
    batch_size: int,
) -> Batches:
    """Comparisons in random order, with what the reference says of them, which is computed once.

    Parameters
    ----------
    reference : π_ref, usually the model before training
    prompts, chosen, rejected : x, y_w, y_l
    stop : ends an answer
    batch_size : comparisons in a batch

    Returns
    -------
    What `training.train` takes as its batches: x, y_w, y_l, log π_ref(y_w | x), log π_ref(y_l | x).

    Raises
    ------
    ValueError : no comparisons, not as many of each, or a batch size below 1.
    """
    log_references = []
    for answers in (chosen, rejected):
        blocks = zip(prompts.split(BLOCK), answers.split(BLOCK), strict=True)
        log_p = [sequence_log_probability(reference, x, y, stop) for x, y in blocks]
        log_references.append(torch.cat(log_p))
    return shuffled(prompts, chosen, rejected, *log_references, batch_size=batch_size)


def preference_objective(pair_loss: PairLoss, stop: int) -> Loss:
    """What `training.train` makes smaller, on batches by `preference_batches`.

    Parameters
    ----------
    pair_loss : of the log-ratios of y_w and y_l, such as ``partial(dpo_loss, beta=0.1)``
    stop : ends an answer

    Examples
    --------
    >>> import numpy as np
    >>> from functools import partial
    >>> from nlp_course.transformer import Settings, TransformerLM
    >>> model = TransformerLM(5, Settings(dimension=4, heads=1, layers=1))
    >>> texts = torch.tensor([[1]]), torch.tensor([[2, 0]]), torch.tensor([[3, 4]])
    >>> batches = preference_batches(model, *texts, stop=0, batch_size=1)
    >>> loss = preference_objective(partial(dpo_loss, beta=0.1), stop=0)
    >>> [round(loss(model, batch)[0].item(), 4) for batch in batches(np.random.default_rng(0))]
    [0.6931]
    """

    def loss(model: LanguageModel, batch: tuple[Tensor, ...]) -> tuple[Tensor, int]:
        prompts, chosen, rejected, log_reference_chosen, log_reference_rejected = batch
        both = torch.cat([chosen, rejected])
        log_chosen, log_rejected = sequence_log_probability(model, prompts, both, stop).chunk(2)
        losses = pair_loss(log_chosen - log_reference_chosen, log_rejected - log_reference_rejected)
        return losses.sum(), len(losses)

    return loss


def _check_beta(beta: float) -> None:
    if not beta > 0:
        raise ValueError(f"beta must be above 0, got {beta}")
