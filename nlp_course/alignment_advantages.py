"""From the reward of an answer to the advantage of each of its tokens.

An advantage says how much better what followed a token was than what was expected: by a critic's
values, or by the other answers to the same prompt.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F


def token_rewards(
    scores: Float[Tensor, "batch"],
    log_ratios: Float[Tensor, "batch answer"],
    mask: Bool[Tensor, "batch answer"],
    beta: float,
) -> Float[Tensor, "batch answer"]:
    """r_t = −β log(π(y_t) / π_ref(y_t)), and the answer's score is added at its last token.

    Examples
    --------
    >>> mask = torch.tensor([[True, True, False]])
    >>> token_rewards(torch.tensor([2.0]), torch.tensor([[1.0, 3.0, 9.0]]), mask, beta=0.5)
    tensor([[-0.5000,  0.5000,  0.0000]])
    """
    rewards = (-beta * log_ratios).masked_fill(~mask, 0.0)
    last = mask.sum(dim=1, keepdim=True) - 1
    return rewards.scatter_add(1, last, scores[:, None])


def generalized_advantages(
    rewards: Float[Tensor, "batch answer"],
    values: Float[Tensor, "batch answer"],
    mask: Bool[Tensor, "batch answer"],
    *,
    gamma: float = 1.0,
    lam: float = 0.95,
) -> Float[Tensor, "batch answer"]:
    """A_t = Σ_l (γλ)^l δ_{t+l}, where δ_t = r_t + γ V_{t+1} − V_t and V is 0 after the end.

    λ = 1 is the return less V_t: no bias by the critic, all the variance. λ = 0 is δ_t: little
    variance, all the critic's bias.

    Parameters
    ----------
    rewards, values : r_t and V_t, before token t is drawn
    mask : True for the tokens of an answer; what is outside gets 0
    gamma, lam : γ and λ

    Raises
    ------
    ValueError : γ or λ outside [0, 1].

    References
    ----------
    Schulman et al. 2016, High-Dimensional Continuous Control Using Generalized Advantage
    Estimation, eq. 16.

    Examples
    --------
    >>> rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.5, 0.5, 0.5]])
    >>> everywhere = torch.tensor([[True, True, True]])
    >>> generalized_advantages(rewards, values, everywhere, lam=0.5)
    tensor([[0.1250, 0.2500, 0.5000]])
    """
    if not (0 <= gamma <= 1 and 0 <= lam <= 1):
        raise ValueError(f"gamma and lam must lie in 0 … 1, got {gamma} and {lam}")
    rewards, values = rewards.masked_fill(~mask, 0.0), values.masked_fill(~mask, 0.0)
    delta = rewards + gamma * F.pad(values[:, 1:], (0, 1)) - values
    advantages = torch.zeros_like(delta)
    later = torch.zeros_like(delta[:, 0])
    for t in reversed(range(delta.shape[1])):
        later = delta[:, t] + gamma * lam * later
        advantages[:, t] = later
    return advantages


def whiten(
    values: Float[Tensor, "batch answer"], mask: Bool[Tensor, "batch answer"]
) -> Float[Tensor, "batch answer"]:
    """Mean 0 and standard deviation 1 over the tokens of all answers; 0 outside.

    Examples
    --------
    >>> whiten(torch.tensor([[1.0, 3.0, 7.0]]), torch.tensor([[True, True, False]]))
    tensor([[-0.7071,  0.7071,  0.0000]])
    """
    kept = values[mask]
    spread = torch.rsqrt(kept.var(correction=min(1, len(kept) - 1)) + 1e-8)
    return ((values - kept.mean()) * spread).masked_fill(~mask, 0.0)


def leave_one_out(returns: Float[Tensor, "prompt group"]) -> Float[Tensor, "prompt group"]:
    """Each answer's return less the mean of the other answers' to the same prompt.

    What an answer is compared with does not depend on it, so the gradient stays unbiased.

    Raises
    ------
    ValueError : a group of one answer.

    References
    ----------
    Kool et al. 2019, Buy 4 REINFORCE Samples, Get a Baseline for Free. Ahmadian et al. 2024, Back
    to Basics: Revisiting REINFORCE-Style Optimization for Learning from Human Feedback.

    Examples
    --------
    >>> leave_one_out(torch.tensor([[1.0, 2.0, 6.0]]))
    tensor([[-3.0000, -1.5000,  4.5000]])
    """
    group = _group(returns)
    return (returns - returns.mean(dim=1, keepdim=True)) * group / (group - 1)


def group_advantages(returns: Float[Tensor, "prompt group"]) -> Float[Tensor, "prompt group"]:
    """GRPO's (r_i − mean) / standard deviation, within the answers to one prompt; 0 if all equal.

    Raises
    ------
    ValueError : a group of one answer.

    References
    ----------
    Shao et al. 2024, DeepSeekMath, section 4.1.

    Examples
    --------
    >>> group_advantages(torch.tensor([[1.0, 2.0, 6.0], [3.0, 3.0, 3.0]]))
    tensor([[-0.7559, -0.3780,  1.1339],
            [ 0.0000,  0.0000,  0.0000]])
    """
    _group(returns)
    centred = returns - returns.mean(dim=1, keepdim=True)
    return centred / (returns.std(dim=1, keepdim=True) + 1e-8)


def _group(returns: Tensor) -> int:
    if returns.shape[1] < 2:
        raise ValueError("an answer is judged by others to its prompt: a group needs two or more")
    return returns.shape[1]
