"""DPO and its relatives: TRL's values, the optimum it reaches, and the gradient that is written.

Values of TRL are those of its release 0.11.4, where each loss is a method: `DPOTrainer.dpo_loss`,
`KTOTrainer.kto_loss`, `CPOTrainer.cpo_loss`, `ORPOTrainer.odds_ratio_loss`; on the numbers below.
"""

from __future__ import annotations

import math
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

import numpy as np  # noqa: E402

from nlp_course.alignment import (  # noqa: E402
    optimal_policy,
    preference_probability,
    sequence_log_probability,
)
from nlp_course.alignment_dpo import (  # noqa: E402
    dpo_loss,
    dpo_weight,
    hinge_loss,
    implicit_reward,
    ipo_loss,
    kto_loss,
    orpo_loss,
    preference_batches,
    preference_objective,
    simpo_loss,
)
from nlp_course.training import set_seed, train  # noqa: E402
from nlp_course.transformer import Settings, TransformerLM  # noqa: E402

STOP = 0


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_close(found, expected, tolerance=1e-9):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


# Beside TRL

CHOSEN, REJECTED = doubles(-3.0, -7.5, -1.25, -12.0), doubles(-4.0, -6.0, -9.5, -12.5)
REFERENCE_CHOSEN = doubles(-3.5, -6.0, -2.0, -11.0)
REFERENCE_REJECTED = doubles(-3.0, -7.0, -5.5, -14.5)
RATIOS = CHOSEN - REFERENCE_CHOSEN, REJECTED - REFERENCE_REJECTED


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (dpo_loss, (0.493248946, 1.1368710061, 0.2155213465, 1.2411538747)),
        (
            partial(dpo_loss, smoothing=0.1),
            (0.538248946, 1.0618710061, 0.3580213465, 1.1511538747),
        ),
        (hinge_loss, (0.55, 1.75, 0.0, 1.9)),
        (ipo_loss, (0.0277777778, 17.3611111111, 9.5069444444, 21.7777777778)),
    ],
)
def test_losses_of_log_ratios_are_those_of_trl(loss, expected):
    assert_close(loss(*RATIOS, beta=0.3), doubles(*expected))


def test_kto_is_that_of_trl():
    ratios = torch.cat(RATIOS)
    liked = doubles(1, 1, 1, 1, 0, 0, 0, 0)
    found = kto_loss(ratios, liked, torch.tensor(0.375).double(), 0.3, weights=(1.0, 1.5))
    expected = (
        *(0.4906260985, 0.6370307945, 0.4719046256, 0.6016871802),
        *(0.5974692297, 0.820107228, 0.3181032065, 0.9292759795),
    )
    assert_close(found, doubles(*expected))


def test_simpo_and_orpo_are_those_of_trl_on_means_of_four_tokens():
    found = simpo_loss(CHOSEN / 4, REJECTED / 4, beta=2.0, gamma=0.5)
    assert_close(found, doubles(0.6931471806, 1.5019290813, 0.0263001952, 0.8259394199))
    found = orpo_loss(CHOSEN / 4, REJECTED / 4, weight=0.1)
    assert_close(found, doubles(0.8000816494, 1.9699985685, 0.3161930106, 3.0629726391))


# What the loss is

ratios = st.floats(-20, 20)


@given(w=ratios, l=ratios, beta=st.floats(0.01, 5))
def test_dpo_is_the_preference_loss_of_the_implicit_reward(w, l, beta):  # noqa: E741
    w, l = doubles(w), doubles(l)  # noqa: E741
    reference = doubles(-3.0)
    rewards = (implicit_reward(r + reference, reference, beta) for r in (w, l))
    assert_close(dpo_loss(w, l, beta).exp() ** -1, preference_probability(*rewards), 1e-7)


def test_an_untouched_policy_loses_log_2_whatever_beta_and_smoothing():
    for beta in (0.01, 1.0, 50.0):
        for smoothing in (0.0, 0.3):
            found = dpo_loss(torch.zeros(3), torch.zeros(3), beta, smoothing)
            assert_close(found, torch.full((3,), math.log(2)), 1e-6)


@given(w=ratios, l=ratios, beta=st.floats(0.01, 5))
def test_the_weight_is_the_losss_gradient(w, l, beta):  # noqa: E741
    w, l = doubles(w).requires_grad_(), doubles(l).requires_grad_()  # noqa: E741
    dpo_loss(w, l, beta).sum().backward()
    weight = dpo_weight(w.detach(), l.detach(), beta)
    assert_close(w.grad, -weight)
    assert_close(l.grad, weight)


def test_smoothing_has_its_least_where_the_preference_has_the_smoothed_probability():
    margins = torch.linspace(-5, 30, 70_001, dtype=torch.float64)
    best = margins[dpo_loss(margins, torch.zeros_like(margins), 0.3, 0.1).argmin()]
    assert torch.sigmoid(0.3 * best).item() == pytest.approx(0.9, abs=1e-3)


def test_where_all_agree_dpo_wants_ever_more_and_ipo_and_hinge_do_not():
    margins, zero = torch.linspace(0, 100, 1001, dtype=torch.float64), torch.zeros(1001).double()
    assert (dpo_loss(margins, zero, 0.1).diff() < 0).all()
    assert margins[ipo_loss(margins, zero, 0.1).argmin()].item() == pytest.approx(5)
    hinge = hinge_loss(margins, zero, 0.1)
    assert hinge[margins < 10].min() > 0
    assert not hinge[margins >= 10].any()


def test_kto_pulls_liked_answers_up_and_others_down_and_not_through_its_reference_point():
    ratio = doubles(1.0, 1.0).requires_grad_()
    point = torch.tensor(0.5).double().requires_grad_()
    kto_loss(ratio, doubles(1, 0), point, beta=0.5).sum().backward()
    assert ratio.grad[0] < 0 < ratio.grad[1]
    assert point.grad is None


def test_kto_takes_a_negative_reference_point_for_zero():
    args = doubles(1.0, -2.0), doubles(1, 0)
    assert_close(
        kto_loss(*args, torch.tensor(-3.0).double(), 0.5), kto_loss(*args, doubles(0.0)[0], 0.5)
    )


def test_simpo_and_orpo_fall_with_the_chosen_answers_likelihood():
    chosen = doubles(-2.0, -1.0, -0.1, -1e-4)
    for losses in (
        simpo_loss(chosen, torch.full_like(chosen, -1.0), 2.0, 0.5),
        orpo_loss(chosen, torch.full_like(chosen, -1.0), 0.5),
    ):
        assert losses.isfinite().all()
        assert (losses.diff() < 0).all()


@pytest.mark.parametrize("loss", [dpo_loss, dpo_weight, ipo_loss, hinge_loss, implicit_reward])
@pytest.mark.parametrize("beta", [0.0, -0.1, math.nan])
def test_a_beta_that_is_not_above_0_is_refused(loss, beta):
    with pytest.raises(ValueError, match="beta must be above 0"):
        loss(doubles(1.0), doubles(0.0), beta)


def test_smoothing_of_a_half_or_more_or_below_0_is_refused():
    for smoothing in (-0.1, 0.5, 0.9):
        with pytest.raises(ValueError, match="below 1/2"):
            dpo_loss(doubles(1.0), doubles(0.0), 0.1, smoothing)


# What it leads to


@given(seed=st.integers(0, 1000), beta=st.floats(0.2, 5))
@settings(max_examples=10)
def test_with_all_comparisons_dpo_ends_at_the_optimum(seed, beta):
    """Every pair, weighted by how often it is preferred: the least loss is π*'s."""
    log_reference, rewards = torch.log_softmax(numbers(6, seed=seed), 0), numbers(6, seed=seed + 1)
    first, second = torch.triu_indices(6, 6, 1)
    p = preference_probability(rewards[first], rewards[second])
    logits = log_reference.clone().requires_grad_()
    descent = torch.optim.LBFGS(
        [logits], max_iter=300, tolerance_grad=1e-11, tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def expected_loss():
        descent.zero_grad()
        ratio = torch.log_softmax(logits, 0) - log_reference
        value = (
            p * dpo_loss(ratio[first], ratio[second], beta)
            + (1 - p) * dpo_loss(ratio[second], ratio[first], beta)
        ).sum()
        value.backward()
        return value

    descent.step(expected_loss)
    found = torch.log_softmax(logits.detach(), 0)
    assert_close(found, optimal_policy(log_reference, rewards, beta), 1e-4)


def tiny():
    set_seed(0)
    sizes = Settings(dimension=16, heads=2, layers=1, length=12, spread=0.3)
    return TransformerLM(6, sizes).eval()


TEXTS = (
    torch.tensor([[1, 2]] * 4),
    torch.tensor([[3, 3, STOP], [3, STOP, STOP], [3, 4, STOP], [3, 3, 3]]),
    torch.tensor([[4, STOP, STOP], [4, 4, STOP], [5, STOP, STOP], [5, 5, 5]]),
)


def test_the_objective_is_the_sum_of_the_losses_of_the_pairs_of_a_batch():
    reference, policy = tiny(), tiny()
    policy.embedding.weight.data += 0.3 * torch.randn(6, 16)
    (batch,) = preference_batches(reference, *TEXTS, stop=STOP, batch_size=4)(
        np.random.default_rng(0)
    )
    found, pairs = preference_objective(partial(dpo_loss, beta=0.5), STOP)(policy, batch)
    prompts, *answers = TEXTS
    ratios = [
        sequence_log_probability(policy, prompts, y, STOP)
        - sequence_log_probability(reference, prompts, y, STOP)
        for y in answers
    ]
    assert pairs == 4
    assert_close(found, dpo_loss(*ratios, beta=0.5).sum(), 1e-5)


def test_training_lifts_chosen_answers_over_rejected_ones_and_leaves_the_reference():
    reference, policy = tiny(), tiny()
    batches = preference_batches(reference, *TEXTS, stop=STOP, batch_size=2)
    before = [p.clone() for p in reference.parameters()]
    objective = preference_objective(partial(dpo_loss, beta=0.5), STOP)
    history = train(
        policy, objective, batches, epochs=20, learning_rate=3e-3, device="cpu", progress=False
    )
    assert history.loss[0] == pytest.approx(math.log(2), abs=1e-5)
    assert history.loss[-1] < 0.1
    assert all(p.equal(q) for p, q in zip(before, reference.parameters(), strict=True))


def test_what_the_reference_says_is_the_same_in_blocks(monkeypatch):
    whole = preference_batches(tiny(), *TEXTS, stop=STOP, batch_size=4)
    monkeypatch.setattr("nlp_course.alignment_dpo.BLOCK", 3)
    pieces = preference_batches(tiny(), *TEXTS, stop=STOP, batch_size=4)
    (one,), (other,) = (batches(np.random.default_rng(0)) for batches in (whole, pieces))
    for left, right in zip(one, other, strict=True):
        assert_close(left, right, 1e-5)
