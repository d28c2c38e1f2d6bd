"""Scaling laws: known ones recovered, optima that are ones, operations counted, and the runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy import optimize

from nlp_course import scaling, scaling_fits
from nlp_course.scaling import (
    BESIROGLU,
    HOFFMANN,
    KAPLAN,
    KAPLAN_PARAMETERS,
    KAPLAN_TOKENS,
    ChinchillaLaw,
    KaplanLaw,
    LossLaw,
    bootstrap,
    compute_optimal,
    fit_chinchilla,
    fit_kaplan,
    fit_power_law,
    forward_flops,
    interval,
    runs,
    training_flops,
)

N, D = (axis.ravel() for axis in np.meshgrid([3e3, 1e4, 4e4, 1.5e5], [3e5, 5e5, 1e6, 2e6, 4e6]))
LAW = ChinchillaLaw(1.2, 20.0, 40.0, 0.35, 0.3)


def noisy(law, share=0.003, seed=0):
    """Losses of the law, off by that share of themselves."""
    return law.predict(N, D) * np.exp(share * np.random.default_rng(seed).normal(size=N.size))


def huber(law, loss, delta=1e-3):
    """What a fit makes small, up to a factor, by the formula."""
    r = np.abs(np.log(law.predict(N, D)) - np.log(loss))
    return np.where(r <= delta, r**2 / 2, delta * (r - delta / 2)).sum()


# One variable


@given(
    scale=st.floats(1e-3, 1e14), exponent=st.floats(0.02, 2), decades=st.lists(
        st.floats(2, 9), min_size=2, max_size=6, unique_by=lambda x: round(x, 1)
    )
)  # fmt: skip
def test_a_power_law_without_noise_is_found_again(scale, exponent, decades):
    x = 10.0 ** np.array(decades)
    found = fit_power_law(x, LossLaw(scale, exponent).predict(x))
    assert found.exponent == pytest.approx(exponent, rel=1e-6)
    assert math.log(found.scale) == pytest.approx(math.log(scale), rel=1e-5, abs=1e-5)
    assert found.floor == 0


@given(floor=st.floats(0.1, 3), exponent=st.floats(0.05, 1.5), height=st.floats(0.3, 3))
@examples(max_examples=40)
def test_a_power_law_with_a_floor_is_found_again(floor, exponent, height):
    x = np.geomspace(1e4, 1e8, 7)
    law = LossLaw(1e4 * height ** (1 / exponent), exponent, floor)  # so high above it at first
    found = fit_power_law(x, law.predict(x), floor=True)
    assert found.exponent == pytest.approx(exponent, rel=1e-3)
    assert found.floor == pytest.approx(floor, rel=1e-2)
    np.testing.assert_allclose(found.predict(x), law.predict(x), rtol=1e-5)


def test_a_power_law_is_a_straight_line_in_logarithms_and_one_with_a_floor_is_not():
    x = np.geomspace(10, 1e6, 6)
    straight = np.diff(np.log(LossLaw(1e5, 0.2).predict(x)))
    np.testing.assert_allclose(straight, -0.2 * math.log(10), rtol=1e-12)
    bent = np.diff(np.log(LossLaw(1e5, 0.2, 1.0).predict(x)))
    assert (np.diff(bent) > 0.01).all()


def test_doubling_worked_by_hand():
    law = fit_power_law(np.array([1, 2, 4]), np.array([8.0, 4.0, 2.0]))
    assert law == pytest.approx((8, 1, 0))
    law = fit_power_law(np.array([1, 2, 4, 8]), np.array([9.0, 5.0, 3.0, 2.0]), floor=True)
    assert law == pytest.approx((8, 1, 1), rel=1e-4)


def test_without_a_floor_a_floor_is_fitted_as_a_smaller_exponent():
    x = np.geomspace(1e4, 1e8, 9)
    loss = LossLaw(1e5, 0.4, 1.5).predict(x)
    assert fit_power_law(x, loss).exponent < 0.3
    assert fit_power_law(x, loss, floor=True).exponent == pytest.approx(0.4, rel=1e-3)


def test_losses_that_fall_straight_get_no_floor():
    x = np.geomspace(1e3, 1e7, 9)
    found = fit_power_law(x, LossLaw(1e9, 0.1).predict(x), floor=True)
    assert found.floor < 0.02
    assert found.exponent == pytest.approx(0.1, rel=0.02)


# Two variables


@given(
    e=st.floats(0.5, 2), a=st.floats(0.3, 3), b=st.floats(0.3, 3), alpha=st.floats(0.15, 0.9),
    beta=st.floats(0.15, 0.9),
)  # fmt: skip
@examples(max_examples=8)
def test_a_law_of_size_and_text_without_noise_is_found_again(e, a, b, alpha, beta):
    law = ChinchillaLaw(e, a * 1e4**alpha, b * 1e6**beta, alpha, beta)  # parts of about a nat
    found = fit_chinchilla(N, D, law.predict(N, D))
    np.testing.assert_allclose(found.predict(N, D), law.predict(N, D), rtol=1e-5)
    assert found.alpha == pytest.approx(alpha, rel=1e-2)
    assert found.beta == pytest.approx(beta, rel=1e-2)


@given(
    alpha_N=st.floats(0.03, 0.5), alpha_D=st.floats(0.05, 0.6), size=st.floats(1, 1e3),
    text=st.floats(1, 1e3),
)  # fmt: skip
@examples(max_examples=8)
def test_kaplans_law_without_noise_is_found_again(alpha_N, alpha_D, size, text):
    law = KaplanLaw(1e5 * size ** (alpha_D / alpha_N), 1e7 * text, alpha_N, alpha_D)
    found = fit_kaplan(N, D, law.predict(N, D))
    np.testing.assert_allclose(found.predict(N, D), law.predict(N, D), rtol=1e-5)


def test_kaplans_law_from_noisy_losses_and_its_bootstrap():
    law = KaplanLaw(2e7, 2.6e7, 0.08, 0.14)
    loss = noisy(law)
    found = fit_kaplan(N, D, loss)
    assert found.alpha_N == pytest.approx(0.08, abs=0.01)
    assert found.alpha_D == pytest.approx(0.14, abs=0.02)
    laws = bootstrap(N, D, loss, form="kaplan", times=40)
    low, high = interval([one.alpha_N for one in laws], 0.98)
    assert low < 0.08 < high
    assert 0.001 < high - low < 0.03


def test_kaplans_law_has_those_of_one_variable_at_its_ends():
    assert KAPLAN.predict(1e9, 1e30) == pytest.approx((6.4e13 / 1e9) ** 0.076)
    assert KAPLAN.predict(1e40, 1e9) == pytest.approx((1.8e13 / 1e9) ** 0.103)
    # Two terms of 1 in the brackets, by hand.
    assert KAPLAN.predict(6.4e13, 1.8e13) == pytest.approx(2**0.103)


def test_each_form_fits_its_own_losses_better_than_the_other_form_does():
    kaplan = KaplanLaw(2e7, 2.6e7, 0.08, 0.14)
    for law, own, other in (
        (LAW, fit_chinchilla, fit_kaplan),
        (kaplan, fit_kaplan, fit_chinchilla),
    ):
        loss = law.predict(N, D)
        right, wrong = (
            np.abs(np.log(fit(N, D, loss).predict(N, D) / loss)).max() for fit in (own, other)
        )
        assert right < 1e-5
        assert wrong > 1e-3


def test_from_noisy_losses_a_law_is_found_nearly():
    laws = [fit_chinchilla(N, D, noisy(LAW, seed=seed)) for seed in range(5)]
    assert np.mean([law.alpha for law in laws]) == pytest.approx(LAW.alpha, abs=0.02)
    assert np.mean([law.beta for law in laws]) == pytest.approx(LAW.beta, abs=0.04)
    assert max(abs(law.alpha - LAW.alpha) for law in laws) > 1e-3  # the noise is seen


def test_the_fit_is_as_good_as_scipys_robust_least_squares_from_the_truth():
    loss = noisy(LAW)

    def residuals(theta):
        law = ChinchillaLaw(*np.exp(theta[:3]), *theta[3:])
        return np.log(law.predict(N, D)) - np.log(loss)

    start = [*np.log(LAW[:3]), LAW.alpha, LAW.beta]
    theirs = optimize.least_squares(
        residuals, start, loss="huber", f_scale=1e-3, xtol=1e-14, ftol=1e-14, x_scale="jac"
    ).x
    theirs = ChinchillaLaw(*np.exp(theirs[:3]), *theirs[3:])
    found = fit_chinchilla(N, D, loss)
    assert huber(found, loss) <= huber(theirs, loss) * (1 + 1e-6)
    assert huber(found, loss) < huber(LAW, loss)
    assert found.alpha == pytest.approx(theirs.alpha, abs=1e-3)
    assert found.beta == pytest.approx(theirs.beta, abs=1e-3)


def test_nothing_near_the_fit_is_better():
    loss = noisy(LAW)
    found = fit_chinchilla(N, D, loss)
    least, rng = huber(found, loss), np.random.default_rng(0)
    for size in (1e-4, 1e-3, 1e-2):
        for _ in range(50):
            other = ChinchillaLaw(*np.array(found) * (1 + size * rng.normal(size=5)))
            assert huber(other, loss) >= least


def test_a_run_gone_wrong_pulls_little_and_less_than_with_squares():
    loss = LAW.predict(N, D)
    loss[7] *= 1.3
    robust, squares = fit_chinchilla(N, D, loss), fit_chinchilla(N, D, loss, delta=10.0)
    assert robust.alpha == pytest.approx(LAW.alpha, abs=1e-3)
    assert abs(squares.alpha - LAW.alpha) > 0.01


def test_units_of_size_and_text_change_the_factors_alone():
    loss = noisy(LAW)
    found, other = fit_chinchilla(N, D, loss), fit_chinchilla(N * 1e6, D * 1e3, loss)
    assert other[3:] == pytest.approx(found[3:], rel=1e-4)
    assert pytest.approx(found.E, rel=1e-4) == other.E
    assert pytest.approx(found.A * 1e6**found.alpha, rel=1e-3) == other.A
    assert pytest.approx(found.B * 1e3**found.beta, rel=1e-3) == other.B


def test_the_gradient_that_the_optimizer_gets_is_that_of_finite_differences(monkeypatch):
    seen = []
    minimize = optimize.minimize

    def spy(objective, start, **named):
        seen.append((objective, np.array(start)))
        return minimize(objective, start, **named)

    monkeypatch.setattr(scaling_fits.optimize, "minimize", spy)
    fit_chinchilla(N, D, noisy(LAW))
    fit_kaplan(N, D, noisy(LAW))
    assert [len(start) for _, start in seen] == [5] * 8 + [4] * 8
    for objective, start in (*seen[:3], *seen[-3:]):
        expected = optimize.approx_fprime(start, lambda theta: objective(theta)[0], 1e-7)  # noqa: B023
        np.testing.assert_allclose(objective(start)[1], expected, rtol=1e-3, atol=1.0)


# Bootstrap


def test_without_noise_every_drawing_gives_the_same_law():
    laws = bootstrap(N, D, LAW.predict(N, D), times=4)
    assert len(laws) == 4
    for law in laws:
        assert tuple(law) == pytest.approx(tuple(LAW), rel=1e-3)


def test_bootstrap_intervals_hold_the_truth_and_grow_with_the_noise():
    widths = []
    for share in (0.001, 0.01):
        laws = bootstrap(N, D, noisy(LAW, share, seed=3), times=20)
        low, high = interval([law.alpha for law in laws], 0.95)
        assert low < LAW.alpha < high
        widths.append(high - low)
    assert widths[1] > 2 * widths[0] > 0


def test_bootstrap_is_of_its_seed():
    loss = noisy(LAW)
    first, again, other = (bootstrap(N, D, loss, times=3, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert len(set(first)) == 3


def test_an_interval_holds_its_share():
    values = np.arange(1001)
    assert interval(values, 0.9) == pytest.approx((50, 950))
    assert interval(values[::-1], 0.5) == pytest.approx((250, 750))
    assert interval([3.0]) == (3.0, 3.0)


# The best for a computation


@given(
    law=st.builds(
        ChinchillaLaw, st.floats(0, 3), st.floats(1, 1e4), st.floats(1, 1e4), st.floats(0.1, 1),
        st.floats(0.1, 1),
    ),
    flops=st.floats(1e10, 1e26),
)  # fmt: skip
def test_the_optimum_is_the_lowest_loss_that_numerical_search_finds(law, flops):
    parameters, tokens = compute_optimal(law, flops)
    assert training_flops(parameters, tokens) == pytest.approx(flops)

    def loss(log_n):
        return law._replace(E=0.0).predict(math.exp(log_n), flops / 6 / math.exp(log_n))

    middle = math.log(parameters)
    search = optimize.minimize_scalar(loss, bounds=(middle - 3, middle + 2), method="bounded")
    assert loss(middle) <= search.fun * (1 + 1e-9)
    assert search.x == pytest.approx(middle, abs=0.01)
    # A per cent more of either gains alike.
    by_n = law.alpha * law.A * parameters**-law.alpha
    assert by_n == pytest.approx(law.beta * law.B * tokens**-law.beta)


def test_the_optimum_of_kaplans_law_is_the_lowest_loss_too():
    for flops in (1e15, 1e21):
        parameters, tokens = compute_optimal(KAPLAN, flops)
        assert training_flops(parameters, tokens) == pytest.approx(flops)
        losses = [KAPLAN.predict(parameters * by, tokens / by) for by in (0.98, 1.0, 1.02)]
        assert losses[1] == min(losses)
    more = compute_optimal(KAPLAN, 1e22).parameters / parameters
    assert math.log10(more) == pytest.approx(1 / (1 + 0.076 / 0.103))


def test_how_size_and_text_grow_with_computation():
    for law, size in ((HOFFMANN, 0.28 / 0.62), (BESIROGLU, 0.5126)):  # a of the two papers
        few, many = (compute_optimal(law, flops) for flops in (1e20, 1e24))
        assert math.log10(many.parameters / few.parameters) / 4 == pytest.approx(size, abs=1e-3)
        assert math.log10(many.tokens / few.tokens) / 4 == pytest.approx(1 - size, abs=1e-3)


def test_with_like_exponents_the_ratio_of_text_to_size_stays():
    law = ChinchillaLaw(1.7, 100.0, 300.0, 0.3, 0.3)
    for flops in (1e18, 1e21, 1e25):
        parameters, tokens = compute_optimal(law, flops)
        assert tokens / parameters == pytest.approx(3 ** (1 / 0.3))  # (B/A)^(1/α)


# Published laws


def test_published_laws_say_what_their_papers_say():
    # Kaplan et al.: twice the parameters, 0.95 of the loss; eq. 1.1 and 1.2.
    assert KAPLAN_PARAMETERS.predict(2e9) / KAPLAN_PARAMETERS.predict(1e9) == pytest.approx(
        2**-0.076
    )
    assert KAPLAN_PARAMETERS.predict(8.8e13) == KAPLAN_TOKENS.predict(5.4e13) == 1
    # Chinchilla, by hand: 1.69 + 406.4/70e9^0.34 + 410.7/1.4e12^0.28.
    assert HOFFMANN.predict(70e9, 1.4e12) == pytest.approx(1.69 + 0.0833 + 0.1635, abs=1e-3)
    # Gopher, with more parameters and less text, is worse.
    assert HOFFMANN.predict(280e9, 300e9) > HOFFMANN.predict(70e9, 1.4e12)
    parameters, tokens = compute_optimal(BESIROGLU, training_flops(70e9, 1.4e12))
    assert 15 < tokens / parameters < 25


# Operations


def test_training_flops_worked_by_hand():
    assert training_flops(10, 100) == 6000


torch_settings = [
    {},
    {"layers": 3},
    {"gated": True},
    {"hidden": 7},
    {"head_size": 5},
    {"position": "rotary"},
    {"norm": "rms", "bias": False},
]


def counted(model, x, train=False):
    """Operations as torch counts them, of attention written out: a fused kernel recomputes."""
    from torch.utils.flop_counter import FlopCounterMode

    from nlp_course.attention import MultiHeadAttention

    for module in model.modules():
        if isinstance(module, MultiHeadAttention):
            module.keep_weights = True
    counter = FlopCounterMode(display=False)
    with counter:
        logits = model(x)[0]
        if train:
            logits.logsumexp(-1).sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("named", torch_settings)
def test_forward_flops_are_what_torch_counts_and_training_takes_three_times_as_many(named):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from nlp_course.transformer import Settings, TransformerLM

    settings = Settings(**{"dimension": 12, "heads": 3, "layers": 2, "length": 20, **named})
    for time in (1, 9, 20):
        model, x = TransformerLM(13, settings), torch.zeros(1, time, dtype=torch.long)
        expected = forward_flops(settings, 13, time)
        assert counted(model, x) == expected
        if time > 1:  # of one place torch makes a sum, and not a product, of attention
            assert counted(model, x, train=True) == 3 * expected


@pytest.mark.parametrize("chosen", [1, 2, 4])
def test_of_experts_the_chosen_ones_are_counted(chosen):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from nlp_course.transformer import Settings, TransformerLM

    settings = Settings(12, 3, 2, 20, hidden=7, experts=4, chosen=chosen)
    x = torch.arange(9)[None]
    assert counted(TransformerLM(13, settings), x) == forward_flops(settings, 13, 9)


def test_for_large_models_and_short_texts_training_takes_6_n_d():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from nlp_course.transformer import Settings, TransformerLM

    gpt2 = Settings(768, 12, 12, length=1024)
    with torch.device("meta"):
        model = TransformerLM(50_257, gpt2)
    used = sum(p.numel() for p in model.parameters()) - 1024 * 768  # positions are looked up
    for time, ratio in ((64, 1.004), (1024, 1.15)):
        exact = 3 * forward_flops(gpt2, 50_257, time)
        assert exact / training_flops(used, time) == pytest.approx(ratio, abs=0.01)


# The runs


def test_the_runs_are_of_the_sizes_that_they_say():
    found = runs()
    assert len({run.dimension for run in found}) >= 4
    assert len({run.tokens for run in found}) >= 4
    for run in found:
        d, layers = run.dimension, run.layers
        assert run.non_embedding == 12 * layers * d**2 + (2 * layers + 1) * d
        assert run.parameters == run.non_embedding + 85 * d
        assert run.tokens <= 5_823_872  # of which no character is read twice
        assert 1 < run.loss < math.log(85)
        assert len(run.exact) == len(scaling.EXACT)
        assert list(run.exact) == sorted(run.exact, reverse=True)
        assert 0.3 < run.exact[0] < 0.7


def test_more_text_is_better_for_every_size():
    for size in {(run.dimension, run.layers) for run in runs()}:
        some = [run for run in runs() if (run.dimension, run.layers) == size and run.seed == 0]
        losses = [run.loss for run in sorted(some, key=lambda run: run.tokens)]
        assert len(losses) >= 3
        assert losses == sorted(losses, reverse=True)


def test_a_law_fitted_to_the_runs_is_near_them():
    n, d, loss = (np.array([getattr(run, name) for run in runs()], dtype=float) for name in (
        "parameters", "tokens", "loss"
    ))  # fmt: skip
    error = [np.abs(np.log(fit(n, d, loss).predict(n, d) / loss)).mean() for fit in (
        fit_kaplan, fit_chinchilla
    )]  # fmt: skip
    assert error[0] < 0.01
    assert error[0] < error[1] < 0.03


def test_the_experts_are_told_of_three_seeds():
    models = scaling.measured()["experts"]["models"]
    assert set(models) == {
        "dense, as many active", "dense, as many in all", "mixture", "mixture, not balanced",
    }  # fmt: skip
    for name, model in models.items():
        assert [run["seed"] for run in model["runs"]] == [0, 1, 2]
        for run in model["runs"]:
            assert len(run["layers"]) == (2 if "mixture" in name else 0)
            for layer in run["layers"]:
                assert sum(layer["share_of_choices"]) == pytest.approx(1, abs=1e-3)
    active, whole, mixed = (models[name] for name in list(models)[:3])
    assert mixed["active"] == pytest.approx(active["active"], rel=0.03)
    assert mixed["total"] == pytest.approx(whole["total"], rel=0.03)


# Refused


def test_runs_that_no_law_can_be_fitted_to_are_refused():
    for bad, message in (
        ((N[:3], D, LAW.predict(N, D)), "each run needs one of each, got 3 of parameters"),
        ((N, -D, LAW.predict(N, D)), "tokens must be finite and above 0"),
        ((N, D, N * np.nan), "loss must be finite and above 0"),
        ((np.full(20, 5.0), D, D), "the law needs 3 different parameters, got 1"),
        ((N, np.resize([1.0, 2.0], 20), D), "the law needs 3 different tokens, got 2"),
        ((np.arange(1, 5), np.arange(1, 5), np.ones(4)), "at least 5 runs, got 4"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_chinchilla(*bad)
        with pytest.raises(ValueError, match=message):
            fit_kaplan(*bad)
        with pytest.raises(ValueError, match=message):
            bootstrap(*bad)
    with pytest.raises(ValueError, match=r"delta must be above 0, got 0\.0"):
        fit_chinchilla(N, D, D, delta=0.0)
    with pytest.raises(ValueError, match="times must be at least 1, got 0"):
        bootstrap(N, D, D, times=0)


def test_points_that_no_power_law_can_be_fitted_to_are_refused():
    with pytest.raises(ValueError, match="the law needs 2 different x, got 1"):
        fit_power_law(np.array([3, 3]), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="the law needs 3 different x, got 2"):
        fit_power_law(np.array([3, 4]), np.array([1.0, 2.0]), floor=True)
    with pytest.raises(ValueError, match="x must be finite and above 0"):
        fit_power_law(np.array([0, 3]), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="each run needs one of each, got 2 of x, 1 of loss"):
        fit_power_law(np.array([1, 3]), np.array([1.0]))


@pytest.mark.parametrize(
    "law",
    [
        LAW._replace(A=0.0),
        LAW._replace(beta=-0.1),
        LAW._replace(alpha=math.nan),
        KAPLAN._replace(alpha_N=0.0),
    ],
)
def test_a_law_without_an_optimum_is_refused(law):
    with pytest.raises(ValueError, match="numbers of a law and C must be above 0"):
        compute_optimal(law, 1e20)


def test_numbers_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="numbers of a law and C must be above 0"):
        compute_optimal(LAW, 0)
    for values, level in (([], 0.9), ([1.0], 0.0), ([1.0], 1.0)):
        with pytest.raises(ValueError, match="give values and a level between 0 and 1"):
            interval(values, level)
    pytest.importorskip("torch", reason="torch is not installed")
    from nlp_course.transformer import Settings

    for size, time in ((0, 5), (5, 0)):
        with pytest.raises(ValueError, match="at least 1 id and 1 token"):
            forward_flops(Settings(), size, time)
