"""Policy gradients: unbiased, TRL's advantages and losses, and the known optimum approached.

Values of TRL are those of `PPOTrainer.compute_rewards`, `.compute_advantages` and `.loss` in its
release 0.11.4, the last in which they are methods, on the numbers below.
"""

from __future__ import annotations

import copy
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

import numpy as np  # noqa: E402

from nlp_course.alignment import (  # noqa: E402
    RewardModel,
    enumerate_answers,
    kl_divergence,
    optimal_policy,
    optimal_value,
    sequence_log_probability,
)
from nlp_course.alignment_advantages import (  # noqa: E402
    generalized_advantages,
    group_advantages,
    leave_one_out,
    token_rewards,
    whiten,
)
from nlp_course.alignment_ppo import (  # noqa: E402
    ActorCritic,
    Critic,
    Experience,
    PPOLoss,
    clipped_policy_loss,
    clipped_value_loss,
    group_batches,
    policy_gradient_loss,
    ppo_batches,
    roll_out,
)
from nlp_course.training import set_seed, train  # noqa: E402
from nlp_course.transformer import Settings, TransformerLM  # noqa: E402

V, STOP, LENGTH = 4, 0, 3
SIZES = {"dimension": 8, "heads": 2, "layers": 1, "length": 8}
PROMPTS = torch.tensor([[1, 2], [3, 1]])


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tiny(seed=0, **named):
    set_seed(seed)
    return TransformerLM(V, Settings(**SIZES, spread=0.5, **named)).eval()


def ones(prompts, answers):
    """A reward: how many tokens are 1."""
    return (answers == 1).sum(dim=1).float()


def assert_close(found, expected, tolerance=1e-9):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


# Beside TRL

LOG_P = doubles([-1.0, -2.0, -0.5], [-0.3, -1.5, -2.5])
LOG_REFERENCE = doubles([-1.5, -1.0, -0.5], [-0.6, -1.0, -2.0])
NEW_LOG_P = doubles([-0.7, -2.1, -0.9], [-0.5, -1.45, -2.0])
MASK = torch.tensor([[True, True, True], [True, True, False]])
VALUES, NEW_VALUES = (
    doubles([0.2, 0.4, 0.1], [-0.3, 0.3, 0.6]),
    doubles([0.5, 0.3, 0.9], [-0.2, -0.2, 0.5]),
)


def test_rewards_advantages_and_losses_are_those_of_trl():
    rewards = token_rewards(doubles(1.0, -0.5), LOG_P - LOG_REFERENCE, MASK, beta=0.1)
    # TRL also charges for what stands after an answer's end, and masks it later.
    assert_close(rewards, doubles([-0.05, 0.1, 1.0], [-0.03, -0.45, 0.0]))
    advantages = generalized_advantages(rewards, VALUES, MASK, gamma=0.9, lam=0.8)
    assert_close(advantages, doubles([0.42536, 0.438, 0.9], [0.0, -0.75, 0.0]))
    returns = advantages + VALUES * MASK
    assert_close(returns, doubles([0.62536, 0.838, 1.0], [-0.3, -0.45, 0.0]))
    whitened = whiten(advantages, MASK)
    assert_close(
        whitened,
        doubles([0.3589063891, 0.379278285, 1.1238839745], [-0.3266465894, -1.5354220592, 0.0]),
    )
    policy_loss = clipped_policy_loss(NEW_LOG_P, LOG_P, whitened, epsilon=0.2)
    value_loss = clipped_value_loss(NEW_VALUES, VALUES, returns, epsilon=0.2)
    assert_close(policy_loss[MASK].mean(), doubles(0.0708691262)[0])
    assert_close(0.5 * value_loss[MASK].mean(), doubles(0.0571365565)[0])


# Advantages

floats = st.floats(-5, 5)


@given(seed=st.integers(0, 999), length=st.integers(1, 6), gamma=st.floats(0, 1))
def test_the_limits_of_lambda(seed, length, gamma):
    rewards, values = numbers(2, 6, seed=seed), numbers(2, 6, seed=seed + 1)
    mask = torch.arange(6).expand(2, 6) < torch.tensor([[length], [6]])
    monte_carlo = generalized_advantages(rewards, values, mask, gamma=gamma, lam=1.0)
    errors = generalized_advantages(rewards, values, mask, gamma=gamma, lam=0.0)
    for row, end in enumerate((length, 6)):
        for t in range(end):
            whole = sum(gamma ** (s - t) * rewards[row, s].item() for s in range(t, end))
            assert monte_carlo[row, t].item() == pytest.approx(whole - values[row, t].item())
            after = values[row, t + 1].item() if t + 1 < end else 0.0
            assert errors[row, t].item() == pytest.approx(
                rewards[row, t].item() + gamma * after - values[row, t].item()
            )
        assert not monte_carlo[row, end:].any()


def test_advantages_are_the_sum_of_the_papers_series():
    rewards, values, gamma, lam = numbers(1, 5), numbers(1, 5, seed=1), 0.9, 0.7
    everywhere = torch.ones(1, 5, dtype=torch.bool)
    later = torch.cat([values[0, 1:], doubles(0.0)])
    delta = rewards[0] + gamma * later - values[0]
    expected = [
        sum((gamma * lam) ** (s - t) * delta[s].item() for s in range(t, 5)) for t in range(5)
    ]
    found = generalized_advantages(rewards, values, everywhere, gamma=gamma, lam=lam)
    assert found[0].tolist() == pytest.approx(expected)


def test_a_critic_that_knows_leaves_advantages_of_mean_zero():
    """V as the exact expectation: over all answers, each place's advantage is 0 on average."""
    model, answers = tiny(), enumerate_answers(V, LENGTH, STOP)
    prompts = PROMPTS[:1].expand(len(answers), -1)
    p = sequence_log_probability(model, prompts, answers, STOP).exp()
    scores = ones(prompts, answers)
    mask = (answers == STOP).int().cumsum(1) - (answers == STOP).int() == 0
    values = torch.zeros(answers.shape)
    for t in range(LENGTH):
        for row in range(len(answers)):
            same = (answers[:, :t] == answers[row, :t]).all(dim=1)
            values[row, t] = (p * scores)[same].sum() / p[same].sum()
    rewards = token_rewards(scores, torch.zeros(answers.shape), mask, beta=0.0)
    for lam in (0.0, 0.5, 1.0):
        advantages = generalized_advantages(rewards, values, mask, lam=lam)
        assert_close((p[:, None] * advantages).sum(0), torch.zeros(LENGTH), 1e-5)


def test_the_rewards_of_an_answer_sum_to_its_score_less_beta_times_its_log_ratio():
    ratios = numbers(2, 3)
    rewards = token_rewards(doubles(2.0, -1.0), ratios, MASK, beta=0.3)
    expected = doubles(2.0, -1.0) - 0.3 * (ratios * MASK).sum(dim=1)
    assert_close(rewards.sum(dim=1), expected)


@given(seed=st.integers(0, 999), shift=floats, scale=st.floats(0.1, 10))
def test_advantages_in_a_group_do_not_depend_on_a_constant_and_grpos_not_on_scale(
    seed, shift, scale
):
    returns = numbers(3, 5, seed=seed)
    moved = scale * returns + shift
    assert_close(leave_one_out(moved), scale * leave_one_out(returns), 1e-6)
    assert_close(group_advantages(moved), group_advantages(returns), 1e-5)


def test_leaving_one_out_is_the_mean_of_the_others():
    returns = numbers(2, 4)
    for row, i in itertools.product(range(2), range(4)):
        others = [returns[row, j].item() for j in range(4) if j != i]
        expected = returns[row, i].item() - sum(others) / 3
        assert leave_one_out(returns)[row, i].item() == pytest.approx(expected)


def test_whitened_advantages_have_mean_0_and_deviation_1_over_the_tokens_there_are():
    whitened = whiten(5 + 3 * numbers(2, 3), MASK)
    assert whitened[MASK].mean().item() == pytest.approx(0, abs=1e-9)
    assert whitened[MASK].std().item() == pytest.approx(1, abs=1e-6)
    assert not whitened[~MASK].any()
    assert not whiten(doubles([7.0]), torch.tensor([[True]])).any()


# Losses


@given(log_ratio=st.floats(-2, 2), advantage=floats, epsilon=st.floats(0.05, 0.5))
def test_the_clip_stops_the_gradient_only_where_the_ratio_has_gone_far_enough(
    log_ratio, advantage, epsilon
):
    log_p = doubles(log_ratio).requires_grad_()
    ratio = math.exp(log_ratio)
    clipped_policy_loss(log_p, doubles(0.0), doubles(advantage), epsilon).sum().backward()
    done = (advantage > 0 and ratio > 1 + epsilon) or (advantage < 0 and ratio < 1 - epsilon)
    expected = 0.0 if done else -advantage * ratio
    assert log_p.grad.item() == pytest.approx(expected)


def test_before_the_first_step_ppos_gradient_is_that_of_the_policy_gradient():
    log_p, advantages = numbers(6), numbers(6, seed=1)
    first, second = (log_p.clone().requires_grad_() for _ in range(2))
    clipped_policy_loss(first, log_p, advantages).sum().backward()
    (-second * advantages).sum().backward()
    assert_close(first.grad, second.grad)


def test_the_policy_gradient_is_the_gradient_of_the_regularised_reward():
    """Over all answers, weighted by their probability: no sampling, so equality."""
    policy, reference, beta = tiny().double(), tiny(1).double(), 0.3
    answers = enumerate_answers(V, LENGTH, STOP)
    prompts = PROMPTS[:1].expand(len(answers), -1)
    scores = ones(prompts, answers).double()
    log_p = sequence_log_probability(policy, prompts, answers, STOP)
    log_reference = sequence_log_probability(reference, prompts, answers, STOP).detach()
    value = (log_p.exp() * scores).sum() - beta * kl_divergence(log_p, log_reference)
    exact = torch.autograd.grad(value, list(policy.parameters()))

    p = log_p.detach().exp()
    returns = scores - beta * (log_p.detach() - log_reference)
    mask = (answers == STOP).int().cumsum(1) - (answers == STOP).int() == 0
    for baseline in (0.0, 5.0):  # what does not depend on the answer changes nothing
        advantages = (p * (returns - baseline))[:, None] * mask
        nothing = torch.zeros_like(advantages)
        batch = Experience(prompts, answers, mask, nothing, advantages, nothing, nothing)
        loss, rows = policy_gradient_loss(policy, batch)
        assert rows == len(answers)
        found = torch.autograd.grad(loss, list(policy.parameters()))
        for one, other in zip(found, exact, strict=True):
            assert_close(-one, other, 1e-9)


def test_the_losses_of_ppo_are_summed_over_the_tokens_of_answers_alone():
    model = ActorCritic(tiny(), Critic(tiny(1)))
    model.critic.head.weight.data.normal_()
    rollout = roll_out(model.policy, tiny(1), ones, PROMPTS.repeat(8, 1), LENGTH, stop=STOP)
    shape = rollout.answers.shape
    advantages, values, returns = (numbers(*shape, seed=s).float() for s in range(3))
    batch = Experience(*rollout[:4], advantages, values, returns)
    found, tokens = PPOLoss(value_weight=0.7)(model, batch)
    log_p, v = rollout.log_probabilities, model.critic(rollout.prompts, rollout.answers)
    expected = sum(
        clipped_policy_loss(log_p[i, t], log_p[i, t], advantages[i, t]).item()
        + 0.7 * clipped_value_loss(v[i, t], values[i, t], returns[i, t]).item()
        for i, t in rollout.mask.nonzero().tolist()
    )
    assert tokens == int(rollout.mask.sum()) < rollout.mask.numel()
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_a_value_sees_what_stands_before_its_token_alone():
    critic = Critic(tiny())
    critic.head.weight.data.normal_()
    answers = torch.tensor([[1, 2, 3]])
    before = critic(PROMPTS[:1], answers)
    for t in range(3):
        other = answers.clone()
        other[0, t] = STOP
        moved = (critic(PROMPTS[:1], other) - before)[0].abs()
        assert (moved[: t + 1] < 1e-6).all()
        assert t == 2 or moved[t + 1] > 1e-5


# Rollouts


def test_a_rollout_says_the_same_again_and_ends_answers_where_they_end():
    policy, reference = tiny(), tiny(1)
    prompts = PROMPTS.repeat(20, 1)
    first, second = (
        roll_out(policy, reference, ones, prompts, LENGTH, stop=STOP, seed=5) for _ in range(2)
    )
    assert first.answers.equal(second.answers)
    assert first.answers.shape == first.mask.shape == (40, LENGTH)
    assert len(first.answers.unique(dim=0)) > 10
    for row, mask in zip(first.answers.tolist(), first.mask.sum(dim=1).tolist(), strict=True):
        expected = row.index(STOP) + 1 if STOP in row else LENGTH
        assert mask == expected
    assert first.scores.equal(ones(prompts, first.answers))
    expected = sequence_log_probability(
        policy, prompts, first.answers, STOP
    ) - sequence_log_probability(reference, prompts, first.answers, STOP)
    assert_close(first.log_ratio, expected, 1e-5)


def test_answers_that_all_end_early_are_filled_up():
    policy = tiny()
    final = policy.stack.last_norm
    final.weight.data.zero_()
    final.bias.data = 50 * policy.embedding.weight.data[STOP]  # it says nothing but stop
    rollout = roll_out(policy, tiny(1), ones, PROMPTS, LENGTH, stop=STOP)
    assert rollout.answers.shape == (2, LENGTH)
    assert not rollout.answers.any()
    assert rollout.mask.sum().item() == 2


def test_a_rollout_is_without_dropout_and_leaves_the_mode_as_it_was():
    policy = tiny(dropout=0.5).train()
    calm = copy.deepcopy(policy).eval()
    rollout = roll_out(policy, tiny(1), ones, PROMPTS, LENGTH, stop=STOP, seed=3)
    expected = roll_out(calm, tiny(1), ones, PROMPTS, LENGTH, stop=STOP, seed=3)
    assert rollout.log_probabilities.equal(expected.log_probabilities)
    assert policy.training
    assert not calm.training


def test_a_rollout_is_gone_through_as_often_as_said_and_then_comes_a_new_one():
    model, seen = ActorCritic(tiny()), []
    batches = ppo_batches(
        model, tiny(1), ones, PROMPTS, LENGTH, stop=STOP, beta=0.1, batch_size=6, passes=2,
        minibatches=3, watch=seen.append,
    )  # fmt: skip
    drawn = list(itertools.islice(batches(np.random.default_rng(0)), 12))
    assert len(seen) == 2
    assert all(len(batch.prompts) == 2 for batch in drawn)
    for start, rollout in zip(range(0, 12, 3), (seen[0], seen[0], seen[1], seen[1]), strict=True):
        answers = torch.cat([batch.answers for batch in drawn[start : start + 3]])
        assert sorted(answers.tolist()) == sorted(rollout.answers.tolist())
    assert not seen[0].answers.equal(seen[1].answers)


def test_answers_of_a_group_have_one_prompt_and_are_judged_by_one_another():
    seen = []
    batches = group_batches(
        tiny(), tiny(1), ones, PROMPTS, LENGTH, stop=STOP, beta=0.2, batch_size=12, group=3,
        watch=seen.append,
    )  # fmt: skip
    batch = next(iter(batches(np.random.default_rng(0))))
    for rows in batch.prompts.view(4, 3, -1):
        assert (rows == rows[0]).all()
    returns = seen[0].scores - 0.2 * seen[0].log_ratio
    assert_close(batch.advantages[:, 0], leave_one_out(returns.view(4, 3)).flatten(), 1e-5)
    assert batch.advantages.equal(batch.advantages[:, :1] * batch.mask)


# What it leads to


def exact(policy, reference, beta):
    """Mean over prompts: what the policy lacks of the best value, and its divergence."""
    answers, lacks, divergence = enumerate_answers(V, LENGTH, STOP), [], []
    with torch.no_grad():
        for prompt in PROMPTS:
            prompts = prompt.expand(len(answers), -1)
            log_p, log_reference = (
                sequence_log_probability(model, prompts, answers, STOP)
                for model in (policy, reference)
            )
            scores = ones(prompts, answers)
            divergence.append(kl_divergence(log_p, log_reference).item())
            best = optimal_policy(log_reference, scores, beta)
            lacks.append(beta * kl_divergence(log_p, best).item())
            value = (log_p.exp() * scores).sum().item() - beta * divergence[-1]
            assert value <= optimal_value(log_reference, scores, beta).item() + 1e-5
    return np.mean(lacks), np.mean(divergence)


@pytest.mark.parametrize("way", ["ppo", "reinforce"])
def test_the_optimum_is_approached(way):
    reference, beta = tiny(1), 0.5
    policy = copy.deepcopy(reference)
    said = {"stop": STOP, "beta": beta, "batch_size": 64}
    before, _ = exact(policy, reference, beta)
    if way == "ppo":
        model = ActorCritic(policy)
        batches = ppo_batches(model, reference, ones, PROMPTS, LENGTH, **said)
        arguments = (model, PPOLoss(), batches)
    else:
        batches = group_batches(policy, reference, ones, PROMPTS, LENGTH, **said)
        arguments = (policy, policy_gradient_loss, batches)
    train(*arguments, steps=160, learning_rate=5e-3, clip=1.0, device="cpu", progress=False)
    after, divergence = exact(policy, reference, beta)
    assert before > 0.1
    assert after < before / 5
    assert divergence > 0.1


def test_a_reward_model_can_be_the_reward_and_begin_the_critic():
    reference = tiny(1)
    reward = RewardModel(reference, STOP)
    critic = Critic(reward)
    model = ActorCritic(copy.deepcopy(reference), critic)
    batches = ppo_batches(
        model, reference, reward, PROMPTS, LENGTH, stop=STOP, beta=0.1, batch_size=4
    )
    train(model, PPOLoss(), batches, steps=4, device="cpu", progress=False)
    assert critic.embedding.weight is not reward.embedding.weight


# Bad input


def test_sizes_that_do_not_fit_are_refused_before_anything_is_drawn():
    model, rest = ActorCritic(tiny()), (tiny(1), ones)
    said = {"stop": STOP, "beta": 0.1, "batch_size": 4}
    for batches, wrong, message in (
        (ppo_batches, {"batch_size": 0}, "batch_size must be at least 1"),
        (ppo_batches, {"minibatches": 5}, "4 answers cannot be cut into 5"),
        (ppo_batches, {"passes": 0}, "passes must be at least 1"),
        (ppo_batches, {"beta": -0.1}, "beta must be at least 0"),
        (group_batches, {"group": 3}, "4 answers do not make groups of 3"),
        (group_batches, {"group": 1}, "4 answers do not make groups of 1"),
        (group_batches, {"beta": -0.1}, "beta must be at least 0"),
    ):
        first = model if batches is ppo_batches else model.policy
        with pytest.raises(ValueError, match=message):
            batches(first, *rest, PROMPTS, LENGTH, **{**said, **wrong})
    with pytest.raises(ValueError, match="prompts must be at least 1"):
        ppo_batches(model, *rest, PROMPTS[:0], LENGTH, **said)


def test_numbers_out_of_range_are_refused():
    one, mask = doubles([1.0]), torch.tensor([[True]])
    for gamma, lam in ((1.1, 0.5), (0.5, -0.1)):
        with pytest.raises(ValueError, match="gamma and lam"):
            generalized_advantages(one, one, mask, gamma=gamma, lam=lam)
    with pytest.raises(ValueError, match="epsilon must be above 0"):
        clipped_policy_loss(one, one, one, epsilon=0.0)
    for advantages in (leave_one_out, group_advantages):
        with pytest.raises(ValueError, match="two or more"):
            advantages(one)
