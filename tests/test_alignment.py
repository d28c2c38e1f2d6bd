"""Alignment: rewards from comparisons, divergences, and the optimum where answers are listed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

import numpy as np  # noqa: E402

from nlp_course.alignment import (  # noqa: E402
    RewardModel,
    answer_log_probabilities,
    answer_mask,
    best_of_n_kl_bound,
    best_of_n_policy,
    enumerate_answers,
    kl_divergence,
    kl_estimates,
    optimal_policy,
    optimal_value,
    preference_loss,
    preference_probability,
    reward_loss,
    sequence_log_probability,
)
from nlp_course.ngram import language_vocabulary  # noqa: E402
from nlp_course.recurrent_lm import RecurrentLM  # noqa: E402
from nlp_course.training import evaluate, set_seed, shuffled, train  # noqa: E402
from nlp_course.transformer import Settings, TransformerLM  # noqa: E402

V, STOP, LENGTH = 6, 0, 4
SIZES = {"dimension": 8, "heads": 2, "layers": 1, "length": 12, "spread": 0.5}


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tiny(seed=0):
    set_seed(seed)
    return TransformerLM(V, Settings(**SIZES)).double().eval()


def assert_close(found, expected, tolerance=1e-9):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def outcomes(seed, n=12):
    """A reference of n answers, and their rewards."""
    return torch.log_softmax(numbers(n, seed=seed), dim=0), numbers(n, seed=seed + 1)


seeds = st.integers(0, 10_000)
betas = st.floats(0.05, 20)


# Answers


def test_an_answer_goes_up_to_its_first_stop():
    answers = torch.tensor([[3, STOP, 4, STOP], [STOP, 1, 1, 1], [1, 2, 3, 4], [1, 2, 3, STOP]])
    assert answer_mask(answers, STOP).int().tolist() == [
        [1, 1, 0, 0],
        [1, 0, 0, 0],
        [1, 1, 1, 1],
        [1, 1, 1, 1],
    ]


def test_log_probability_of_an_answer_is_that_of_reading_it_token_by_token():
    model, prompt, answer = tiny(), [3, 1, 2], [4, 5, STOP]
    total, read = 0.0, list(prompt)
    for token in answer:
        logits, _ = model(torch.tensor([read]))
        total += torch.log_softmax(logits[0, -1], dim=0)[token].item()
        read.append(token)
    prompts, answers = torch.tensor([prompt]), torch.tensor([[*answer, STOP]])
    found = sequence_log_probability(model, prompts, answers, STOP)
    assert found.item() == pytest.approx(total, abs=1e-12)


def recurrent():
    """A model whose state is not a cache."""
    set_seed(0)
    return RecurrentLM(language_vocabulary([["a", "b"]], min_count=1), dimension=8).double()


@pytest.mark.parametrize("make", [tiny, recurrent])
@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("several", [2, 3])
def test_a_prompt_read_once_for_several_answers_gives_the_same(make, length, several):
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(3, 5, (4, 3), generator=generator)
    answers = torch.randint(3, 5, (4 * several, length), generator=generator)
    gradients = []
    for repeated in (prompts, prompts.repeat(several, 1)):
        model = make()
        log_p = sequence_log_probability(model, repeated, answers, STOP)
        (log_p * torch.arange(len(answers))).sum().backward()
        gradients.append([log_p, *(parameter.grad for parameter in model.parameters())])
    for once, often in zip(*gradients, strict=True):
        assert_close(once, often)


@pytest.mark.parametrize("length", [1, 5])
def test_a_prompt_is_read_once_for_all_of_its_answers(length):
    read = []

    def watched(ids, state):
        read.append(ids.numel())
        return model(ids, state)

    model = tiny()
    prompts, answers = torch.tensor([[1, 2, 3]]), torch.ones(4, length, dtype=torch.long)
    answer_log_probabilities(watched, prompts, answers)
    assert sum(read) == 3 + 4 * (length - 1)


def test_a_model_without_a_state_reads_the_prompt_with_each_answer():
    def forgetful(ids, _state):
        return model(ids, None)[0], None

    model = tiny()
    prompts, answers = torch.tensor([[1, 2], [2, 1]]), torch.tensor([[1, 2, 1]] * 4)
    assert_close(
        answer_log_probabilities(forgetful, prompts, answers),
        answer_log_probabilities(model, prompts, answers),
    )


def test_prompts_with_more_answers_than_others_are_refused():
    prompts, answers = torch.tensor([[1], [2]]), torch.tensor([[1, 2]] * 3)
    with pytest.raises(ValueError, match="as many answers, got 3 for 2 prompts"):
        answer_log_probabilities(tiny(), prompts, answers)
    with pytest.raises(ValueError, match="as many answers, got 3 for 0 prompts"):
        answer_log_probabilities(tiny(), prompts[:0], answers)


@given(seed=seeds)
@settings(max_examples=20)
def test_what_stands_after_an_answers_end_changes_nothing(seed):
    model, reward = tiny(), RewardModel(tiny(), STOP).double()
    reward.head.weight.data = numbers(1, 8)
    prompts = torch.tensor([[1, 2]])
    answers = torch.tensor([[3, STOP, STOP, STOP]])
    other = answers.clone()
    other[0, 2:] = torch.randint(V, (2,), generator=torch.Generator().manual_seed(seed))
    log_p = sequence_log_probability(model, prompts, answers, STOP)
    assert_close(sequence_log_probability(model, prompts, other, STOP), log_p)
    assert_close(reward(prompts, other), reward(prompts, answers))
    assert_close(reward(prompts, answers[:, :2]), reward(prompts, answers))


def test_every_answer_is_listed_once_and_their_probabilities_sum_to_one():
    answers = enumerate_answers(V, LENGTH, STOP)
    assert len(answers) == 1 + 5 + 25 + 125 + 625 == len(answers.unique(dim=0))
    for seed in range(3):
        prompts = torch.tensor([[1, 2]]).expand(len(answers), -1)
        log_p = sequence_log_probability(tiny(seed), prompts, answers, STOP)
        assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_stop_may_be_any_token():
    answers = enumerate_answers(3, 2, stop=2)
    assert answers.tolist() == [[2, 2], [0, 2], [1, 2], [0, 0], [0, 1], [1, 0], [1, 1]]


@pytest.mark.parametrize(("size", "length", "stop"), [(1, 2, 0), (3, 0, 0), (3, 2, 3), (3, 2, -1)])
def test_answers_that_cannot_be_listed_are_refused(size, length, stop):
    with pytest.raises(ValueError, match="no answers"):
        enumerate_answers(size, length, stop)
    with pytest.raises(ValueError, match="too many"):
        enumerate_answers(60, 12, 0)


def test_empty_prompts_and_answers_are_refused():
    model, some, none = tiny(), torch.tensor([[1]]), torch.zeros(1, 0, dtype=torch.long)
    for prompts, answers in ((some, none), (none, some)):
        for call in (
            lambda p, a: answer_log_probabilities(model, p, a),
            RewardModel(model, STOP).double(),
        ):
            with pytest.raises(ValueError, match="needs at least one token"):
                call(prompts, answers)


# Rewards


@given(r=st.floats(-30, 30), s=st.floats(-30, 30), shift=st.floats(-30, 30))
def test_preferences_sum_to_one_and_only_the_difference_counts(r, s, shift):
    r, s = torch.tensor(r, dtype=torch.float64), torch.tensor(s, dtype=torch.float64)
    p = preference_probability(r, s)
    assert_close(p + preference_probability(s, r), torch.ones_like(p))
    assert_close(preference_probability(r + shift, s + shift), p)
    assert_close(preference_loss(r, s), -p.log(), 1e-6)


def test_a_reward_of_log_3_more_is_preferred_three_times_in_four():
    r = torch.tensor([math.log(3)])
    assert preference_probability(r, torch.zeros(1)).item() == pytest.approx(0.75)
    assert preference_loss(r, torch.zeros(1)).item() == pytest.approx(math.log(4 / 3))


def test_bradley_and_terrys_rewards_are_those_of_logistic_regression_without_intercept():
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, w = numbers(400, 3), numbers(3, seed=1)
    left, right = x[:200], x[200:]
    wins = torch.rand(200, generator=torch.Generator().manual_seed(2)) < torch.sigmoid(
        left @ w - right @ w
    )
    fitted = linear_model.LogisticRegression(C=1e8, fit_intercept=False, tol=1e-10).fit(
        (left - right).numpy(), wins.numpy()
    )
    reward = torch.nn.Linear(3, 1, bias=False).double()
    chosen = torch.where(wins[:, None], left, right)
    rejected = torch.where(wins[:, None], right, left)
    descent = torch.optim.LBFGS(reward.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss():
        descent.zero_grad()
        value = preference_loss(reward(chosen), reward(rejected)).mean()
        value.backward()
        return value

    descent.step(loss)
    assert_close(reward.weight.detach(), torch.from_numpy(fitted.coef_), 1e-3)


def test_a_reward_model_begins_indifferent_and_leaves_the_language_model_alone():
    model = tiny()
    before = {name: p.clone() for name, p in model.named_parameters()}
    reward = RewardModel(model, STOP).double()
    prompts, answers = torch.tensor([[1, 2]] * 5), enumerate_answers(V, 2, STOP)[:5]
    assert not reward(prompts, answers).any()
    batches = shuffled(prompts, answers, answers.flip(0), batch_size=5)
    reward.head.weight.data.normal_()
    train(reward, reward_loss, batches, epochs=2, device="cpu", progress=False)
    for name, parameter in model.named_parameters():
        assert parameter.equal(before[name])


def test_a_reward_is_the_heads_number_of_the_last_tokens_vector():
    reward = RewardModel(tiny(), STOP).double()
    reward.head.weight.data, reward.head.bias.data = numbers(1, 8), numbers(1)
    for answer, end in (([3, STOP, STOP], 2), ([3, 4, 5], 3), ([STOP, 1, 1], 1)):
        read = torch.tensor([[1, 2, *answer[:end]]])
        h, _ = reward.stack(reward.embedding(read))
        expected = h[0, -1] @ reward.head.weight[0] + reward.head.bias[0]
        found = reward(torch.tensor([[1, 2]]), torch.tensor([answer]))
        assert_close(found[0], expected)


def test_a_reward_model_learns_what_decides_the_comparisons():
    """Of two answers, that with more tokens 5 wins; the new answers are ordered, too."""
    answers = enumerate_answers(V, LENGTH, STOP)
    rng = torch.Generator().manual_seed(0)
    pairs = answers[torch.randint(len(answers), (600, 2), generator=rng)]
    score = (pairs == 5).sum(dim=2)
    pairs = pairs[score[:, 0] != score[:, 1]]
    best = (pairs == 5).sum(dim=2).argmax(dim=1)
    rows = torch.arange(len(pairs))
    chosen, rejected = pairs[rows, best], pairs[rows, 1 - best]
    prompts = torch.ones(len(pairs), 1, dtype=torch.long)
    reward = RewardModel(tiny().float(), STOP)
    texts = (prompts, chosen, rejected)
    seen, new = ([t[:300] for t in texts], [t[300:] for t in texts])
    rng = np.random.default_rng(0)
    before = evaluate(reward, reward_loss, shuffled(*new, batch_size=64)(rng))
    train(
        reward,
        reward_loss,
        shuffled(*seen, batch_size=32),
        epochs=6,
        learning_rate=1e-2,
        device="cpu",
        progress=False,
    )
    assert before == pytest.approx(math.log(2), abs=1e-6)
    assert evaluate(reward, reward_loss, shuffled(*new, batch_size=64)(rng)) < 0.3


# Divergences


def test_divergence_of_two_coins_by_hand_and_of_a_distribution_from_itself():
    fair, biased = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.75, 0.25]).log()
    expected = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert kl_divergence(fair, biased).item() == pytest.approx(expected, abs=1e-6)
    assert kl_divergence(biased, biased).item() == 0


def test_what_a_policy_never_says_adds_nothing_and_what_the_reference_never_says_is_infinite():
    p, q = torch.tensor([1.0, 0.0]).log(), torch.tensor([0.5, 0.5]).log()
    assert kl_divergence(p, q).item() == pytest.approx(math.log(2))
    assert kl_divergence(q, p).item() == math.inf


@given(seed=seeds)
def test_divergence_is_torchs(seed):
    p, _ = outcomes(seed)
    q, _ = outcomes(seed + 7)
    expected = torch.nn.functional.kl_div(q, p, reduction="sum", log_target=True)
    assert_close(kl_divergence(p, q), expected)


@given(seed=seeds, near=st.floats(0.01, 1))
def test_k1_and_k3_have_the_divergence_as_their_mean_and_k2_nearly_if_policies_are_near(seed, near):
    p, _ = outcomes(seed)
    q = torch.log_softmax(p + near * numbers(12, seed=seed + 7), dim=0)
    mean = {name: (p.exp() * k).sum() for name, k in kl_estimates(p - q).items()}
    exact = kl_divergence(p, q)
    assert_close(mean["k1"], exact)
    assert_close(mean["k3"], exact)
    assert abs(mean["k2"] - exact) < 8 * near**3 + 1e-12


@given(log_ratio=st.floats(-20, 20))
def test_k2_and_k3_are_never_negative(log_ratio):
    estimates = kl_estimates(torch.tensor(log_ratio, dtype=torch.float64))
    assert estimates["k2"] >= 0
    assert estimates["k3"] >= 0


# The optimum


def objective(log_policy, log_reference, rewards, beta):
    return (log_policy.exp() * rewards).sum() - beta * kl_divergence(log_policy, log_reference)


@given(seed=seeds, beta=betas)
def test_no_policy_does_better_than_the_optimum(seed, beta):
    log_reference, rewards = outcomes(seed)
    best = optimal_policy(log_reference, rewards, beta)
    value = objective(best, log_reference, rewards, beta)
    assert best.exp().sum().item() == pytest.approx(1)
    assert_close(value, optimal_value(log_reference, rewards, beta))
    for near in (0.01, 1.0):
        other = torch.log_softmax(best + near * numbers(12, seed=seed + 3), dim=0)
        assert objective(other, log_reference, rewards, beta) <= value + 1e-12


@given(seed=seeds, beta=betas)
def test_what_another_policy_lacks_is_beta_times_its_divergence_from_the_optimum(seed, beta):
    log_reference, rewards = outcomes(seed)
    best = optimal_policy(log_reference, rewards, beta)
    other = torch.log_softmax(best + numbers(12, seed=seed + 3), dim=0)
    lacks = optimal_value(log_reference, rewards, beta) - objective(
        other, log_reference, rewards, beta
    )
    assert_close(lacks, beta * kl_divergence(other, best), 1e-7)


def test_the_gradient_of_the_objective_is_zero_at_the_optimum_alone():
    log_reference, rewards = outcomes(5)
    for logits, largest in (
        (optimal_policy(log_reference, rewards, 0.7), 1e-12),
        (log_reference, math.inf),
    ):
        logits = logits.clone().requires_grad_()
        objective(torch.log_softmax(logits, dim=0), log_reference, rewards, 0.7).backward()
        assert logits.grad.abs().max() <= largest
    assert logits.grad.abs().max() > 0.01


def test_a_large_beta_keeps_the_reference_and_a_small_one_takes_the_best_answer():
    log_reference, rewards = outcomes(3)
    assert_close(optimal_policy(log_reference, rewards, 1e9), log_reference, 1e-6)
    assert optimal_policy(log_reference, rewards, 1e-3).exp()[rewards.argmax()] > 0.999


@given(seed=seeds, beta=betas, shift=st.floats(-10, 10))
def test_a_constant_added_to_all_rewards_moves_no_policy(seed, beta, shift):
    log_reference, rewards = outcomes(seed)
    assert_close(
        optimal_policy(log_reference, rewards + shift, beta),
        optimal_policy(log_reference, rewards, beta),
        1e-7,
    )


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan])
def test_without_a_beta_there_is_no_optimal_distribution(beta):
    for function in (optimal_policy, optimal_value):
        with pytest.raises(ValueError, match="beta must be above 0"):
            function(*outcomes(0), beta)


# Best of n


@given(seed=seeds, n=st.integers(1, 40), tied=st.booleans())
def test_best_of_n_is_a_distribution_and_no_further_than_the_bound(seed, n, tied):
    log_reference, rewards = outcomes(seed)
    rewards = rewards.round() if tied else rewards
    best = best_of_n_policy(log_reference, rewards, n)
    assert best.exp().sum().item() == pytest.approx(1)
    assert kl_divergence(best, log_reference).item() <= best_of_n_kl_bound(n) + 1e-9
    if n == 1:
        assert_close(best, log_reference)


def test_best_of_n_is_what_choosing_among_n_gives():
    log_reference, rewards = outcomes(4, n=5)
    rewards[1] = rewards[3]  # a tie
    n, draws = 3, 40_000
    drawn = torch.multinomial(
        log_reference.exp().expand(draws, -1),
        n,
        replacement=True,
        generator=torch.Generator().manual_seed(0),
    )
    chosen = drawn[torch.arange(draws), rewards[drawn].argmax(dim=1)]
    shares = torch.bincount(chosen, minlength=5) / draws
    expected = best_of_n_policy(log_reference, rewards, n).exp()
    assert (shares - expected).abs().max() < 4 * 0.5 / math.sqrt(draws)


def test_many_answers_without_ties_reach_the_bound():
    uniform = torch.full((20_000,), -math.log(20_000), dtype=torch.float64)
    best = best_of_n_policy(uniform, torch.arange(20_000.0).double(), 8)
    assert kl_divergence(best, uniform).item() == pytest.approx(best_of_n_kl_bound(8), abs=1e-3)


def test_best_of_many_takes_the_best_alone():
    log_reference, rewards = outcomes(4)
    best = best_of_n_policy(log_reference, rewards, 100_000).exp()
    assert best[rewards.argmax()] > 0.999


@pytest.mark.parametrize("n", [0, -3])
def test_the_best_of_nothing_is_refused(n):
    with pytest.raises(ValueError, match="n of at least 1"):
        best_of_n_policy(*outcomes(0), n)
    with pytest.raises(ValueError, match="n of at least 1"):
        best_of_n_kl_bound(n)
