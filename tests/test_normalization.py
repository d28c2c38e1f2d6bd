"""Normalizations: by hand, beside torch's layers, and what each leaves unchanged.

Comparisons are in double precision, to 10⁻¹⁰.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402

from nlp_course.normalization import batch_norm, layer_norm, rms_norm  # noqa: E402


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_close(found, expected, tolerance=1e-10):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_worked_by_hand():
    # Mean 3, deviations −2, 0, 0, 2, variance 2; mean square (1 + 9 + 9 + 25)/4 = 11.
    x = tensor(1, 3, 3, 5)
    assert_close(layer_norm(x, epsilon=0.0), tensor(-2, 0, 0, 2) / 2**0.5)
    assert_close(rms_norm(x, epsilon=0.0), x / 11**0.5)
    assert_close(layer_norm(x, tensor(1, 2, 3, 4), tensor(5, 6, 7, 8), 2.0), tensor(4, 6, 7, 12))
    assert_close(rms_norm(x, tensor(1, 2, 3, 4), 25.0), x * tensor(1, 2, 3, 4) / 6)
    columns = torch.stack([x, 10 * x], dim=1)  # batch norm looks at each column
    assert_close(
        batch_norm(columns, epsilon=0.0), (tensor(-2, 0, 0, 2) / 2**0.5)[:, None].expand(4, 2)
    )


@pytest.mark.parametrize("epsilon", [1e-5, 0.5])
@pytest.mark.parametrize("kind", ["layer", "layer without bias", "rms", "batch"])
def test_normalizations_and_their_gradients_are_torchs_layers(kind, epsilon):
    x, gain, bias = numbers(3, 4, 6) + 2, numbers(6, seed=1), numbers(6, seed=2)
    theirs = {
        "layer": nn.LayerNorm(6, epsilon),
        "layer without bias": nn.LayerNorm(6, epsilon, bias=False),
        "rms": nn.RMSNorm(6, epsilon),
        "batch": nn.BatchNorm1d(6, epsilon),
    }[kind].double()
    theirs.weight.data = gain.clone()
    if getattr(theirs, "bias", None) is not None:
        theirs.bias.data = bias.clone()
    x, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    parameters = [gain.requires_grad_()]
    if kind in ("layer", "batch"):
        parameters.append(bias.requires_grad_())
    ours = {"rms": rms_norm, "batch": batch_norm}.get(kind, layer_norm)
    found = ours(x, *parameters, epsilon=epsilon)
    # torch's batch norm has the numbers of a vector on the second axis.
    expected = theirs(other.mT).mT if kind == "batch" else theirs(other)
    assert_close(found, expected)
    direction = numbers(3, 4, 6, seed=3)
    (found * direction).sum().backward()
    (expected * direction).sum().backward()
    assert_close(x.grad, other.grad)
    for parameter, other in zip(parameters, theirs.parameters(), strict=True):
        assert_close(parameter.grad, other.grad)


@given(st.integers(2, 8), st.integers(0, 99), st.floats(0.1, 100), st.floats(-100, 100))
@settings(max_examples=50)
def test_layer_norm_forgets_shift_and_scale_and_rms_norm_scale_alone(d, seed, scale, shift):
    x = numbers(5, d, seed=seed)
    tolerance = 1e-8  # the shift leaves fewer digits to the differences
    assert_close(layer_norm(scale * x + shift, epsilon=0.0), layer_norm(x, epsilon=0.0), tolerance)
    assert_close(rms_norm(scale * x, epsilon=0.0), rms_norm(x, epsilon=0.0))
    assert not torch.allclose(rms_norm(x + 3, epsilon=0.0), rms_norm(x, epsilon=0.0))


@given(st.integers(2, 8), st.integers(0, 99))
@settings(max_examples=30)
def test_what_comes_out_has_the_moments_it_is_named_for(d, seed):
    x = 3 * numbers(4, 5, d, seed=seed) + 2
    layer, batch = layer_norm(x, epsilon=0.0), batch_norm(x, epsilon=0.0)
    assert_close(layer.mean(dim=-1), torch.zeros(4, 5).double())
    assert_close(layer.square().mean(dim=-1), torch.ones(4, 5).double())
    assert_close(rms_norm(x, epsilon=0.0).square().mean(dim=-1), torch.ones(4, 5).double())
    assert_close(batch.mean(dim=(0, 1)), torch.zeros(d).double())
    assert_close(batch.square().mean(dim=(0, 1)), torch.ones(d).double())


def test_rms_norm_of_centred_numbers_is_layer_norm():
    x = numbers(5, 8)
    x = x - x.mean(dim=-1, keepdim=True)
    assert_close(rms_norm(x), layer_norm(x))


@given(st.integers(0, 99), st.integers(0, 3))
@settings(max_examples=20)
def test_layer_and_rms_norm_of_a_token_do_not_depend_on_the_others_and_batch_norm_does(seed, row):
    x = numbers(4, 6, seed=seed)
    changed = x + torch.eye(4)[row][:, None].double() * numbers(4, 6, seed=seed + 1)
    others = torch.arange(4) != row
    for alone in (layer_norm, rms_norm):
        assert alone(changed)[others].equal(alone(x)[others])
        assert_close(alone(x[row]), alone(x)[row])
    assert (batch_norm(changed)[others] - batch_norm(x)[others]).abs().min() > 1e-6


@pytest.mark.parametrize("normalize", [layer_norm, rms_norm, batch_norm])
def test_equal_numbers_have_finite_results_and_gradients(normalize):
    for value in (0.0, 7.0):
        x = torch.full((3, 4), value, requires_grad=True)
        y = normalize(x)
        y.sum().backward()
        assert y.isfinite().all()
        assert x.grad.isfinite().all()
