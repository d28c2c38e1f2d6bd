"""Reinforcement learning of a policy that answers prompts: REINFORCE and PPO.

A reward judges whole answers, and each token's probability is moved by its advantage. Both ways
have batches and a loss for `training.train`; the batches are drawn from the policy as it is when
they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.alignment import Reward, ScalarHead, answer_log_probabilities, answer_mask
from nlp_course.alignment_advantages import (
    generalized_advantages,
    leave_one_out,
    token_rewards,
    whiten,
)
from nlp_course.batching import Batches, check_sizes
from nlp_course.decoding import sample
from nlp_course.transformer import TransformerLM


class Rollout(NamedTuple):
    """What a policy answered, and what is thought of it.

    prompts, answers : x and y; stop fills what stands after an answer's end
    mask : True for the tokens of an answer, its stop counted
    log_probabilities : log π of each token, of the policy that drew it
    log_reference : log π_ref of each token
    scores : the reward of each answer
    """

    prompts: Int[Tensor, "batch prompt"]
    answers: Int[Tensor, "batch answer"]
    mask: Bool[Tensor, "batch answer"]
    log_probabilities: Float[Tensor, "batch answer"]
    log_reference: Float[Tensor, "batch answer"]
    scores: Float[Tensor, "batch"]

    @property
    def log_ratio(self) -> Float[Tensor, "batch"]:
        """Of each answer, log π(y | x) − log π_ref(y | x); its mean estimates KL(π ‖ π_ref)."""
        return ((self.log_probabilities - self.log_reference) * self.mask).sum(dim=1)


# Someone who is told of each rollout, in order.
Watch: TypeAlias = Callable[[Rollout], object]


class Experience(NamedTuple):
    """What a step learns from; the meaning of the first four is that in `Rollout`.

    advantages : A_t of each token
    values, returns : the critic's V_t when the answer was drawn, and the goal R_t; 0 without critic
    """

    prompts: Int[Tensor, "batch prompt"]
    answers: Int[Tensor, "batch answer"]
    mask: Bool[Tensor, "batch answer"]
    log_probabilities: Float[Tensor, "batch answer"]
    advantages: Float[Tensor, "batch answer"]
    values: Float[Tensor, "batch answer"]
    returns: Float[Tensor, "batch answer"]


# Losses


def clipped_policy_loss(
    log_p: Float[Tensor, "*tokens"],
    old_log_p: Float[Tensor, "*tokens"],
    advantages: Float[Tensor, "*tokens"],
    epsilon: float = 0.2,
) -> Float[Tensor, "*tokens"]:
    """PPO's −min(ρ A, clip(ρ, 1 − ε, 1 + ε) A), where ρ = π(y_t) / π_old(y_t).

    A token has no gradient once its ratio has left the clip in the direction that A wants.

    Raises
    ------
    ValueError : ε not above 0.

    References
    ----------
    Schulman et al. 2017, Proximal Policy Optimization Algorithms, eq. 7.

    Examples
    --------
    >>> ratio = torch.tensor([1.5, 0.5, 1.5, 0.5])
    >>> advantage = torch.tensor([1.0, 1.0, -1.0, -1.0])
    >>> clipped_policy_loss(ratio.log(), torch.zeros(4), advantage)
    tensor([-1.2000, -0.5000,  1.5000,  0.8000])
    """
    if not epsilon > 0:
        raise ValueError(f"epsilon must be above 0, got {epsilon}")
    ratio = torch.exp(log_p - old_log_p)
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def clipped_value_loss(
    values: Float[Tensor, "*tokens"],
    old_values: Float[Tensor, "*tokens"],
    returns: Float[Tensor, "*tokens"],
    epsilon: float = 0.2,
) -> Float[Tensor, "*tokens"]:
    """max((V − R)², (V_clip − R)²) / 2, where V_clip is V, no further than ε from the old one.

    References
    ----------
    Not in the paper: it is in its authors' code (Dhariwal et al. 2017, OpenAI Baselines).

    Examples
    --------
    >>> clipped_value_loss(torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([1.0]))
    tensor([0.3200])
    """
    near = old_values + (values - old_values).clamp(-epsilon, epsilon)
    return torch.maximum((values - returns) ** 2, (near - returns) ** 2) / 2


def policy_gradient_loss(policy: TransformerLM, batch: Experience) -> tuple[Float[Tensor, ""], int]:
    """REINFORCE: −Σ_t A_t log π(y_t | x, y_<t) over a batch, and how many answers there are.

    Its gradient is an estimate of that of the expected return, if A is a return less what does not
    depend on the answer.

    References
    ----------
    Williams 1992, Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement
    Learning.
    """
    log_p = answer_log_probabilities(policy, batch.prompts, batch.answers)
    return -(log_p * batch.advantages * batch.mask).sum(), len(log_p)


class Critic(ScalarHead):
    """V_t: the return that is expected before token t of an answer is drawn.

    Parameters
    ----------
    model : as for `alignment.ScalarHead`: the policy, or the reward model
    """

    def forward(
        self, prompts: Int[Tensor, "batch prompt"], answers: Int[Tensor, "batch answer"]
    ) -> Float[Tensor, "batch answer"]:
        """V before each token of the answers: from the prompt, and the tokens before it."""
        numbers = self.numbers(torch.cat([prompts, answers[:, :-1]], dim=1))
        return numbers[:, prompts.shape[1] - 1 :]


class ActorCritic(nn.Module):
    """A policy and its critic, which share no weights: what PPO trains.

    Parameters
    ----------
    policy : the model that answers; it is trained in place
    critic : by default one that begins with the policy's weights
    """

    def __init__(self, policy: TransformerLM, critic: Critic | None = None) -> None:
        super().__init__()
        self.policy = policy
        self.critic = Critic(policy) if critic is None else critic


@dataclass(frozen=True)
class PPOLoss:
    """The clipped loss of policy and critic over a batch, and how many tokens it has.

    Attributes
    ----------
    epsilon : how far a ratio may leave 1
    value_epsilon : how far a value may leave its old one
    value_weight : of the critic's loss
    """

    epsilon: float = 0.2
    value_epsilon: float = 0.2
    value_weight: float = 0.5

    def __call__(self, model: ActorCritic, batch: Experience) -> tuple[Float[Tensor, ""], int]:
        log_p = answer_log_probabilities(model.policy, batch.prompts, batch.answers)
        values = model.critic(batch.prompts, batch.answers)
        losses = clipped_policy_loss(
            log_p, batch.log_probabilities, batch.advantages, self.epsilon
        ) + self.value_weight * clipped_value_loss(
            values, batch.values, batch.returns, self.value_epsilon
        )
        return losses[batch.mask].sum(), int(batch.mask.sum())


# Batches


@torch.no_grad()
def roll_out(
    policy: TransformerLM,
    reference: TransformerLM,
    reward: Reward,
    prompts: Int[Tensor, "batch prompt"],
    length: int,
    *,
    stop: int,
    seed: int = 0,
) -> Rollout:
    """An answer to each prompt, drawn from the policy without dropout, and what is thought of it.

    Parameters
    ----------
    policy, reference : π and π_ref
    reward : of prompts and answers
    prompts : of one length
    length : tokens of an answer at most
    stop : ends an answer
    seed : same seed, same answers

    Raises
    ------
    ValueError : as for `decoding.sample`.
    """
    was_training = policy.training
    policy.eval()
    try:
        answers = sample(policy, prompts, length, seed=seed, stop=stop)
        answers = F.pad(answers, (0, length - answers.shape[1]), value=stop)
        log_p = answer_log_probabilities(policy, prompts, answers)
    finally:
        policy.train(was_training)
    return Rollout(
        prompts,
        answers,
        answer_mask(answers, stop),
        log_p,
        answer_log_probabilities(reference, prompts, answers),
        reward(prompts, answers),
    )


def ppo_batches(
    model: ActorCritic,
    reference: TransformerLM,
    reward: Reward,
    prompts: Int[Tensor, "example prompt"],
    length: int,
    *,
    stop: int,
    beta: float,
    batch_size: int,
    passes: int = 2,
    minibatches: int = 2,
    gamma: float = 1.0,
    lam: float = 0.95,
    watch: Watch | None = None,
) -> Batches:
    """For each rollout, its answers again and again, in pieces; then a new rollout, without end.

    A rollout takes passes · minibatches steps of `training.train`, to which ``steps=`` must be
    given.

    Parameters
    ----------
    model : policy and critic
    reference, reward, length, stop : as for `roll_out`
    prompts : from which those of a rollout are drawn
    beta : β, the price of a nat of log π/π_ref
    batch_size : answers of a rollout
    passes : how often a rollout is gone through
    minibatches : pieces of a rollout in each pass
    gamma, lam : as for `generalized_advantages`; advantages are then whitened over the rollout
    watch : is shown each rollout

    Raises
    ------
    ValueError : no prompts, a size below 1, more pieces than answers, or β < 0.
    """
    check_sizes(passes=passes, minibatches=minibatches)
    _check(prompts, batch_size, minibatches, beta)

    def batches(rng: np.random.Generator) -> Iterator[Experience]:
        while True:
            drawn = prompts[torch.from_numpy(rng.integers(len(prompts), size=batch_size))]
            rollout = roll_out(
                model.policy, reference, reward, drawn, length, stop=stop, seed=_seed(rng)
            )
            if watch is not None:
                watch(rollout)
            with torch.no_grad():
                values = model.critic(drawn, rollout.answers)
            ratios = rollout.log_probabilities - rollout.log_reference
            rewards = token_rewards(rollout.scores, ratios, rollout.mask, beta)
            advantages = generalized_advantages(rewards, values, rollout.mask, gamma=gamma, lam=lam)
            experience = Experience(
                *rollout[:4], whiten(advantages, rollout.mask), values, advantages + values
            )
            for _ in range(passes):
                order = torch.from_numpy(rng.permutation(batch_size))
                for rows in order.chunk(minibatches):
                    yield Experience(*(part[rows] for part in experience))

    return batches


def group_batches(
    policy: TransformerLM,
    reference: TransformerLM,
    reward: Reward,
    prompts: Int[Tensor, "example prompt"],
    length: int,
    *,
    stop: int,
    beta: float,
    batch_size: int,
    group: int = 4,
    advantage: Callable[[Tensor], Tensor] = leave_one_out,
    watch: Watch | None = None,
) -> Batches:
    """Several answers to each prompt, judged by one another: without a critic, without end.

    The return of an answer is r(x, y) − β log(π(y | x) / π_ref(y | x)), and all of its tokens have
    the advantage of the answer. Each rollout is one step.

    Parameters
    ----------
    policy : π
    reference, reward, prompts, length, stop, beta, watch : as for `ppo_batches`
    batch_size : answers of a rollout
    group : answers to each prompt
    advantage : `leave_one_out` or `group_advantages`

    Raises
    ------
    ValueError : no prompts, a size below 1, answers that do not make whole groups of two or more,
        or β < 0.
    """
    _check(prompts, batch_size, 1, beta)
    if group < 2 or batch_size % group:
        raise ValueError(f"{batch_size} answers do not make groups of {group}, of two or more")

    def batches(rng: np.random.Generator) -> Iterator[Experience]:
        while True:
            chosen = torch.from_numpy(rng.integers(len(prompts), size=batch_size // group))
            rollout = roll_out(
                policy,
                reference,
                reward,
                prompts[chosen].repeat_interleave(group, dim=0),
                length,
                stop=stop,
                seed=_seed(rng),
            )
            if watch is not None:
                watch(rollout)
            returns = (rollout.scores - beta * rollout.log_ratio).view(-1, group)
            advantages = advantage(returns).view(-1, 1) * rollout.mask
            nothing = torch.zeros_like(advantages)
            yield Experience(*rollout[:4], advantages, nothing, nothing)

    return batches


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**63))


def _check(prompts: Tensor, batch_size: int, minibatches: int, beta: float) -> None:
    check_sizes(prompts=len(prompts), batch_size=batch_size)
    if minibatches > batch_size:
        raise ValueError(f"{batch_size} answers cannot be cut into {minibatches} pieces")
    if beta < 0:
        raise ValueError(f"beta must be at least 0, got {beta}")
