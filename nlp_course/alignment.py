"""Learning from comparisons of answers: rewards, how far a policy has moved, and its exact optimum.

A policy π(y | x) is a language model that answers prompts. All prompts of a batch have one length;
shorter ones are filled on the left, with a token that the model reads as any other. An answer y
ends with the stop token or where there is no more room, and stop fills its row, as `decoding` gives
it. Where all answers can be listed, everything here can be computed without sampling, and sampling
can be judged by it.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.decoding import LanguageModel, select_rows
from nlp_course.transformer import Stack, TransformerLM

# Prompts and answers to a number for each answer: a `RewardModel`, or a rule.
Reward: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def answer_mask(answers: Int[Tensor, "batch answer"], stop: int) -> Bool[Tensor, "batch answer"]:
    """True for the tokens of each answer: up to its first stop, which is one of them.

    Examples
    --------
    >>> answer_mask(torch.tensor([[5, 0, 0], [5, 6, 7]]), stop=0).int().tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    ends = (answers == stop).int()
    return ends.cumsum(dim=1) - ends == 0


def answer_log_probabilities(
    model: LanguageModel,
    prompts: Int[Tensor, "batch prompt"],
    answers: Int[Tensor, "answers answer"],
) -> Float[Tensor, "answers answer"]:
    """For each place of each answer log π(y_t | x, y_1 … y_{t−1}), with gradients.

    What stands after an answer's end is scored like the rest: leave it out with `answer_mask`.

    Parameters
    ----------
    model : π
    prompts : x
    answers : y, one for each prompt; or several, first one for each, then a second for each, and so
        on: then each prompt is read once for all of its answers, if the model has a state. What is
        of one reading, as dropout, is then the same for them

    Raises
    ------
    ValueError : a prompt or an answer without tokens, or prompts with more answers than others.

    Examples
    --------
    >>> uniform = lambda ids, state=None: (torch.zeros(*ids.shape, 4), state)
    >>> answer_log_probabilities(uniform, torch.tensor([[1]]), torch.tensor([[2, 0]])).exp()
    tensor([[0.2500, 0.2500]])
    """
    _check(prompts, answers)
    if len(prompts) == 0 or len(answers) % len(prompts):
        raise ValueError(
            f"each prompt needs as many answers, got {len(answers)} for {len(prompts)} prompts"
        )
    logits = _after_shared_prompts(model, prompts, answers)
    if logits is None:
        repeated = prompts.repeat(len(answers) // len(prompts), 1)
        logits, _ = model(torch.cat([repeated, answers[:, :-1]], dim=1), None)
        logits = logits[:, prompts.shape[1] - 1 :]
    log_p = torch.log_softmax(logits, dim=-1)  # (answers, answer, V)
    return log_p.gather(2, answers[:, :, None])[:, :, 0]


def _after_shared_prompts(model: LanguageModel, prompts: Tensor, answers: Tensor) -> Tensor | None:
    """Logits of several answers for each prompt, which is read once; None where it cannot be."""
    if len(answers) == len(prompts):
        return None
    first, state = model(prompts, None)
    if state is None:  # a model that remembers nothing has to read all at once
        return None
    rows = torch.arange(len(answers), device=answers.device) % len(prompts)
    if answers.shape[1] == 1:
        return first[rows, -1:]
    later, _ = model(answers[:, :-1], select_rows(state, rows))
    return torch.cat([first[rows, -1:], later], dim=1)


def sequence_log_probability(
    model: LanguageModel,
    prompts: Int[Tensor, "batch prompt"],
    answers: Int[Tensor, "answers answer"],
    stop: int,
) -> Float[Tensor, "answers"]:
    """For each answer log π(y | x): the sum over its tokens, stop counted, and nothing else.

    Parameters and errors are those of `answer_log_probabilities`.

    Examples
    --------
    >>> uniform = lambda ids, state=None: (torch.zeros(*ids.shape, 4), state)
    >>> answers = torch.tensor([[2, 0, 0], [2, 3, 3]])
    >>> sequence_log_probability(uniform, torch.tensor([[1], [1]]), answers, stop=0).exp()
    tensor([0.0625, 0.0156])
    """
    return (
        answer_log_probabilities(model, prompts, answers)
        .masked_fill(~answer_mask(answers, stop), 0.0)
        .sum(dim=1)
    )


def enumerate_answers(vocabulary_size: int, length: int, stop: int) -> Int[Tensor, "answers time"]:
    """Every answer of at most some tokens: those that stop ends, and those that fill the room.

    Their probabilities sum to 1 under any policy.

    Raises
    ------
    ValueError : fewer than two tokens in the vocabulary, stop not among them, length < 1, or more
        than a million answers.

    Examples
    --------
    >>> enumerate_answers(3, 2, stop=0).tolist()
    [[0, 0], [1, 0], [2, 0], [1, 1], [1, 2], [2, 1], [2, 2]]
    """
    if not (0 <= stop < vocabulary_size and vocabulary_size >= 2 and length >= 1):
        raise ValueError(
            f"no answers of {length} tokens from {vocabulary_size}, of which stop, {stop}, is one"
        )
    if vocabulary_size**length > 10**6:
        raise ValueError(f"{vocabulary_size}^{length} answers are too many to list: sample instead")
    others = [token for token in range(vocabulary_size) if token != stop]
    rows = [
        [*row, *[stop] * (length - n)]
        for n in range(length + 1)
        for row in itertools.product(others, repeat=n)
    ]
    return torch.tensor(rows)


def preference_probability(
    better: Float[Tensor, "*pairs"], worse: Float[Tensor, "*pairs"]
) -> Float[Tensor, "*pairs"]:
    """Bradley and Terry's p(y_w ≻ y_l) = σ(r_w − r_l): only the difference of rewards counts.

    References
    ----------
    Bradley and Terry 1952, Rank Analysis of Incomplete Block Designs.

    Examples
    --------
    >>> preference_probability(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
    tensor([0.5000, 0.8808])
    """
    return torch.sigmoid(better - worse)


def preference_loss(
    chosen: Float[Tensor, "*pairs"], rejected: Float[Tensor, "*pairs"]
) -> Float[Tensor, "*pairs"]:
    """−log σ(r_w − r_l) of each comparison, in nats: log 2 where the rewards are equal.

    References
    ----------
    Ouyang et al. 2022, Training language models to follow instructions with human feedback, eq. 1.

    Examples
    --------
    >>> preference_loss(torch.tensor([0.0]), torch.tensor([0.0]))
    tensor([0.6931])
    """
    return -F.logsigmoid(chosen - rejected)


class ScalarHead(nn.Module):
    """A number at each token, w · h_t + b, from the vectors h_t of a language model.

    Parameters
    ----------
    model : whose embedding and blocks it begins with, as a copy: usually the model that answers

    Attributes
    ----------
    embedding, stack : as the model's
    head : w and b, which begin at 0
    """

    embedding: nn.Embedding
    stack: Stack

    def __init__(self, model: TransformerLM | ScalarHead) -> None:
        super().__init__()
        self.embedding = copy.deepcopy(model.embedding)
        self.stack = copy.deepcopy(model.stack)
        self.head = nn.Linear(self.embedding.embedding_dim, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def numbers(self, ids: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time"]:
        """The number at each token, which depends on it and on those before it."""
        h, _ = self.stack(self.embedding(ids))
        return self.head(h)[:, :, 0]


class RewardModel(ScalarHead):
    """A number for an answer, r_φ(x, y): that at its last token.

    Parameters
    ----------
    model : as for `ScalarHead`
    stop : ends an answer

    Examples
    --------
    >>> from nlp_course.transformer import Settings
    >>> model = TransformerLM(5, Settings(dimension=4, heads=1, layers=1))
    >>> RewardModel(model, stop=0)(torch.tensor([[1, 2]]), torch.tensor([[3, 0]])).tolist()
    [0.0]
    """

    def __init__(self, model: TransformerLM | ScalarHead, stop: int) -> None:
        super().__init__(model)
        self.stop = stop

    def forward(
        self, prompts: Int[Tensor, "batch prompt"], answers: Int[Tensor, "batch answer"]
    ) -> Float[Tensor, "batch"]:
        """The reward of each answer; what stands after its end does not count.

        Raises
        ------
        ValueError : a prompt or an answer without tokens.
        """
        _check(prompts, answers)
        numbers = self.numbers(torch.cat([prompts, answers], dim=1))
        last = prompts.shape[1] - 1 + answer_mask(answers, self.stop).sum(dim=1)
        return numbers.gather(1, last[:, None])[:, 0]


def reward_loss(
    model: Reward,
    batch: tuple[
        Int[Tensor, "pair prompt"], Int[Tensor, "pair answer"], Int[Tensor, "pair answer"]
    ],
) -> tuple[Float[Tensor, ""], int]:
    """−Σ log σ(r(x, y_w) − r(x, y_l)) over a batch of (x, y_w, y_l), and how many they are.

    For `training.train` and `training.evaluate`, with batches by `training.shuffled`.
    """
    prompts, chosen, rejected = batch
    # Both in one pass, which takes less time than two.
    rewards = model(torch.cat([prompts, prompts]), torch.cat([chosen, rejected]))
    losses = preference_loss(*rewards.chunk(2))
    return losses.sum(), len(losses)


def kl_divergence(
    log_p: Float[Tensor, "*batch outcome"], log_q: Float[Tensor, "*batch outcome"]
) -> Float[Tensor, "*batch"]:
    """KL(p ‖ q) = Σ_y p(y) log(p(y) / q(y)), exact, in nats; p(y) = 0 adds 0.

    Examples
    --------
    >>> kl_divergence(torch.tensor([0.5, 0.5]).log(), torch.tensor([0.9, 0.1]).log())
    tensor(0.5108)
    """
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), 0.0).sum(dim=-1)


def kl_estimates(log_ratio: Float[Tensor, "*batch"]) -> dict[str, Float[Tensor, "*batch"]]:
    """Three estimates of KL(π ‖ π_ref) from each sample of π, by log ρ = log π(y) − log π_ref(y).

    k1 = log ρ,  k2 = (log ρ)² / 2,  k3 = 1/ρ − 1 + log ρ

    The mean of k1 is the divergence, but a single one may be negative. That of k3 is, too, and k3
    is never negative. k2 is never negative and has little variance, but a bias that grows as the
    policies part.

    References
    ----------
    Schulman 2020, Approximating KL Divergence, whose r is 1/ρ here.

    Examples
    --------
    >>> {name: round(k.item(), 3) for name, k in kl_estimates(torch.tensor(-0.1)).items()}
    {'k1': -0.1, 'k2': 0.005, 'k3': 0.005}
    """
    return {
        "k1": log_ratio,
        "k2": log_ratio**2 / 2,
        "k3": torch.expm1(-log_ratio) + log_ratio,
    }


def optimal_policy(
    log_reference: Float[Tensor, "*batch outcome"],
    rewards: Float[Tensor, "*batch outcome"],
    beta: float,
) -> Float[Tensor, "*batch outcome"]:
    """The policy π*, as log π*, that makes E[r] − β KL(π ‖ π_ref) as large as it can be.

    π*(y) = π_ref(y) exp(r(y) / β) / Z,  Z = Σ_y π_ref(y) exp(r(y) / β)

    Parameters
    ----------
    log_reference : log π_ref of all answers
    rewards : r of each
    beta : β, what a nat of divergence costs, in units of reward

    Raises
    ------
    ValueError : β not above 0.

    References
    ----------
    Rafailov et al. 2023, Direct Preference Optimization, eq. 4.

    Examples
    --------
    >>> even = torch.tensor([0.5, 0.5]).log()
    >>> optimal_policy(even, torch.tensor([1.0, 0.0]), beta=1.0).exp()  # odds e : 1
    tensor([0.7311, 0.2689])
    """
    _check_beta(beta)
    return torch.log_softmax(log_reference + rewards / beta, dim=-1)


def optimal_value(
    log_reference: Float[Tensor, "*batch outcome"],
    rewards: Float[Tensor, "*batch outcome"],
    beta: float,
) -> Float[Tensor, "*batch"]:
    """β log Z: what E[r] − β KL(π ‖ π_ref) is at the optimum; any other policy has less.

    Raises
    ------
    ValueError : β not above 0.
    """
    _check_beta(beta)
    return beta * torch.logsumexp(log_reference + rewards / beta, dim=-1)


def best_of_n_policy(
    log_reference: Float[Tensor, "outcome"], rewards: Float[Tensor, "outcome"], n: int
) -> Float[Tensor, "outcome"]:
    """The log-probability of each answer to be the best of n by π_ref; of equals, the first.

    p(y) = π_ref(y) · (F(y)^n − F⁻(y)^n) / (F(y) − F⁻(y)), where F(y) is π_ref's probability of a
    reward of r(y) or less, and F⁻(y) that of less

    Raises
    ------
    ValueError : n < 1.

    Examples
    --------
    >>> even = torch.tensor([0.5, 0.5]).log()
    >>> best_of_n_policy(even, torch.tensor([1.0, 0.0]), n=3).exp()
    tensor([0.8750, 0.1250])
    """
    _check_n(n)
    levels, level = rewards.unique(return_inverse=True)  # ascending
    p = log_reference.double().exp()
    of_level = torch.zeros(len(levels), dtype=p.dtype, device=p.device).index_add(0, level, p)
    up_to = of_level.cumsum(dim=0) / of_level.sum()
    below = F.pad(up_to[:-1], (1, 0))
    # (b^n − a^n) / (b − a) = Σ_k b^k a^{n−1−k}, which stays exact where a level has little.
    k = torch.arange(n, device=p.device)[:, None]
    gain = (up_to**k * below ** (n - 1 - k)).sum(dim=0)  # (level,)
    return log_reference + gain[level].log().to(log_reference.dtype)


def best_of_n_kl_bound(n: int) -> float:
    """The most that KL(best of n ‖ π_ref) can be, in nats: log n − (n − 1)/n.

    It is the divergence itself where no two answers have one reward and each is very unlikely; of
    few answers, no choice can move a policy that far.

    Raises
    ------
    ValueError : n < 1.

    References
    ----------
    Beirami et al. 2024, Theoretical Guarantees on the Best-of-n Alignment Policy, who show that
    what had been used as an equation is a bound.

    Examples
    --------
    >>> best_of_n_kl_bound(1), round(best_of_n_kl_bound(16), 3)
    (0.0, 1.835)
    """
    _check_n(n)
    return math.log(n) - (n - 1) / n


def _check_beta(beta: float) -> None:
    if not beta > 0:
        raise ValueError(f"beta must be above 0, got {beta}: without it the optimum is one answer")


def _check_n(n: int) -> None:
    if n < 1:
        raise ValueError(f"the best of n needs n of at least 1, got {n}")


def _check(prompts: Tensor, answers: Tensor) -> None:
    for name, ids in (("prompt", prompts), ("answer", answers)):
        if ids.shape[1] == 0:
            raise ValueError(f"a {name} needs at least one token: give START or stop")
