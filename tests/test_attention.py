"""Attention: by hand, fused and written out, beside torch's, with masks that hide what they hide.

Comparisons are in double precision, to 10⁻¹⁰.
"""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402

from nlp_course.attention import (  # noqa: E402
    MultiHeadAttention,
    attention_weights,
    causal_mask,
    fused_attention,
    masked_softmax,
    padding_mask,
    scaled_dot_product,
)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_close(found, expected, tolerance=1e-10):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def attention(*arguments, seed=0, **named):
    """In double precision, with weights large enough for attention to differ between tokens."""
    layer = MultiHeadAttention(*arguments, **named).double()
    for i, parameter in enumerate(layer.parameters()):
        parameter.data = numbers(*parameter.shape, seed=seed + i)
    return layer


# Masked softmax


def test_softmax_of_what_is_present_worked_by_hand():
    scores = torch.log(torch.tensor([[1.0, 3.0, 100.0, 4.0]]))
    weights = masked_softmax(scores, torch.tensor([[True, True, False, True]]))
    torch.testing.assert_close(weights, torch.tensor([[1 / 8, 3 / 8, 0.0, 4 / 8]]))


@given(st.integers(1, 6), st.integers(1, 6), st.floats(-1e4, 1e4), st.integers(0, 99))
@settings(deadline=None)
def test_weights_are_softmax_of_the_real_part_whatever_stands_in_padding(n, extra, fill, seed):
    scores = numbers(2, 3, n, seed=seed)
    padded = torch.cat([scores, torch.full((2, 3, extra), fill, dtype=torch.float64)], dim=-1)
    present = torch.arange(n + extra) < n
    weights = masked_softmax(padded, present.expand(2, 1, -1))
    torch.testing.assert_close(weights[..., :n], torch.softmax(scores, dim=-1))
    assert not weights[..., n:].any()


def test_a_row_with_nothing_present_is_zeros_with_zero_gradient():
    scores = numbers(2, 3).requires_grad_()
    weights = masked_softmax(scores, torch.tensor([[True, True, True], [False, False, False]]))
    assert weights[0].sum().item() == pytest.approx(1)
    assert not weights[1].any()
    (weights * numbers(2, 3, seed=1)).sum().backward()
    assert scores.grad[0].any()
    assert not scores.grad[1].any()


def test_no_source_at_all_gives_no_weights():
    assert masked_softmax(torch.zeros(2, 4, 0), torch.zeros(2, 1, 0, dtype=torch.bool)).shape == (
        2,
        4,
        0,
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_large_scores_do_not_overflow(dtype):
    scores = torch.tensor([[6e4, 0.0, 6e4]], dtype=dtype)
    weights = masked_softmax(scores, torch.tensor([[True, True, False]]))
    assert weights.tolist() == [[1.0, 0.0, 0.0]]
    assert weights.dtype == dtype


# Masks


def test_a_padding_mask_hides_what_follows_a_text_and_combines_with_a_causal_mask():
    mask = padding_mask(torch.tensor([3, 2]), 3) & causal_mask(3, 3)
    assert mask.shape == (2, 1, 3, 3)
    whole, shorter = mask[:, 0].int().tolist()
    assert whole == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert shorter == [[1, 0, 0], [1, 1, 0], [1, 1, 0]]


@given(st.integers(0, 6), st.integers(0, 6))
def test_later_queries_have_the_last_rows_of_the_whole_causal_mask(queries, before):
    keys = queries + before
    assert causal_mask(queries, keys).equal(causal_mask(keys, keys)[before:])


def test_a_mask_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="3 queries stand at 3 keys at least, got 2"):
        causal_mask(3, 2)
    with pytest.raises(ValueError, match="lengths must lie in 0 … 3, got 1 … 4"):
        padding_mask(torch.tensor([1, 4]), 3)
    with pytest.raises(ValueError, match="lengths must lie in 0 … 3, got -1 … 2"):
        padding_mask(torch.tensor([-1, 2]), 3)


# Scaled dot product


def test_scaled_dot_product_worked_by_hand():
    # d_k = 4: the scores ln 9 · 2 / √4 and 0 give the weights 9/10 and 1/10.
    query = torch.tensor([[2.0, 0.0, 0.0, 0.0]])
    key = torch.tensor([[math.log(9), 5.0, 0.0, 0.0], [0.0, 0.0, 7.0, 0.0]])
    value = torch.tensor([[10.0, 0.0], [0.0, 20.0]])
    output, weights = scaled_dot_product(query, key, value)
    torch.testing.assert_close(weights, torch.tensor([[0.9, 0.1]]))
    torch.testing.assert_close(output, torch.tensor([[9.0, 2.0]]))
    # A bias of −ln 9 on the first makes them equal; a mask leaves the second alone.
    bias = torch.tensor([[-math.log(9), 0.0]])
    torch.testing.assert_close(
        scaled_dot_product(query, key, value, bias=bias).output, torch.tensor([[5.0, 10.0]])
    )
    mask = torch.tensor([[False, True]])
    assert scaled_dot_product(query, key, value, mask).weights.tolist() == [[0.0, 1.0]]
    # Unscaled, the scores are ln 81 and 0.
    torch.testing.assert_close(
        scaled_dot_product(query, key, value, scale=1.0).weights,
        torch.tensor([[81 / 82, 1 / 82]]),
    )


def test_equal_keys_share_alike_and_a_far_better_key_takes_all():
    query, value = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0], [2.0], [6.0]])
    assert scaled_dot_product(query, torch.ones(3, 2), value).output.item() == pytest.approx(3)
    keys = torch.tensor([[0.0, 0.0], [1e4, 0.0], [0.0, 0.0]])
    assert scaled_dot_product(query, keys, value).output.item() == 2


def test_dot_products_of_random_vectors_have_variance_d_and_scaled_ones_variance_1():
    for size in (16, 256):
        query, key = numbers(500, size), numbers(500, size, seed=1)
        raw = query @ key.T
        assert raw.var().item() == pytest.approx(size, rel=0.1)
        # The weights' logarithms are the scores less one number for each row.
        scores = scaled_dot_product(query, key, key).weights.log()
        assert scores.var(dim=1).mean().item() == pytest.approx(1, rel=0.1)


def test_there_is_a_weight_for_each_query_and_key_so_weights_grow_with_the_square_of_length():
    x = {n: numbers(1, 2, n, 4) for n in (10, 20, 40)}
    counts = {n: scaled_dot_product(y, y, y).weights.numel() for n, y in x.items()}
    assert counts == {n: 2 * n**2 for n in x}


PADDING = padding_mask(torch.tensor([5, 3]), 5)
MASKS = {
    "none": None,
    "padding": PADDING,
    "causal": causal_mask(5, 5),
    "both": PADDING & causal_mask(5, 5),
    "each head its own": torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0)) < 0.5,
    "a text with nothing": padding_mask(torch.tensor([5, 0]), 5),
    "a query with nothing": causal_mask(5, 5) & (torch.arange(5) > 0),
}
BIASES = {
    "none": None,
    "of each head": numbers(3, 5, 5, seed=8),
    "of each text and head": numbers(2, 3, 5, 5, seed=9),
}


@pytest.mark.parametrize("scale", [None, 1.0])
@pytest.mark.parametrize(("mask", "bias"), list(itertools.product(MASKS, BIASES)))
def test_fused_attention_and_its_gradients_are_those_of_the_written_out(mask, bias, scale):
    found = {}
    for fused in (False, True):
        inputs = [numbers(2, 3, 5, size, seed=size).requires_grad_() for size in (4, 4, 4)]
        inputs[1].data += 1  # queries and keys differ
        extra = None if BIASES[bias] is None else BIASES[bias].clone().requires_grad_()
        if fused:
            output = fused_attention(*inputs, MASKS[mask], extra, scale)
        else:
            output = scaled_dot_product(*inputs, MASKS[mask], extra, scale).output
        (output * numbers(2, 3, 5, 4, seed=7)).sum().backward()
        gradients = [x.grad for x in (*inputs, *([] if extra is None else [extra]))]
        found[fused] = [output, *gradients]
        assert all(x.isfinite().all() for x in found[fused])
    for written_out, kernel in zip(found[False], found[True], strict=True):
        assert_close(kernel, written_out)


def test_causal_attention_in_the_kernel_is_that_of_a_causal_mask():
    x = numbers(2, 3, 5, 4)
    assert_close(fused_attention(x, x, x, causal=True), fused_attention(x, x, x, causal_mask(5, 5)))
    for others in ({"mask": PADDING}, {"bias": BIASES["of each head"]}):
        with pytest.raises(ValueError, match="causal stands alone"):
            fused_attention(x, x, x, causal=True, **others)
    with pytest.raises(ValueError, match="for as many queries as keys"):
        fused_attention(x[:, :, 3:], x, x, causal=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("bias", ["none", "of each head"])
def test_a_query_with_nothing_to_attend_to_gets_zeros_and_finite_gradients(dtype, bias):
    mask = MASKS["a query with nothing"]
    extra = None if BIASES[bias] is None else BIASES[bias].to(dtype)
    for function in (fused_attention, lambda *given: scaled_dot_product(*given).output):
        x = numbers(2, 3, 5, 4).to(dtype).requires_grad_()
        output = function(x, x, x, mask, extra)
        assert not output[:, :, 0].any()
        assert output[:, :, 1:].any(dim=-1).all()
        output.float().square().sum().backward()
        assert x.grad.isfinite().all()
        assert x.grad[:, :, 1:].any()


def on_device(device):
    """Fused beside written out in single precision, one row without a key among the others."""
    mask = MASKS["a query with nothing"].to(device)
    for bias in (None, BIASES["of each head"].float().to(device)):
        found = []
        for fused in (False, True):
            x = numbers(2, 3, 5, 8).float().to(device).requires_grad_()
            if fused:
                output = fused_attention(x, x, x, mask, bias)
            else:
                output = scaled_dot_product(x, x, x, mask, bias).output
            output.square().sum().backward()
            assert not output[:, :, 0].any()
            found.append((output, x.grad))
        for written_out, kernel in zip(*found, strict=True):
            assert_close(kernel, written_out, 1e-4)
    x = numbers(2, 3, 64, 16).to(device, torch.bfloat16)
    expected = scaled_dot_product(x, x, x, causal_mask(64, 64, device)).output
    assert_close(fused_attention(x, x, x, causal=True), expected, 3e-2)
    nothing = torch.zeros(64, 64, dtype=torch.bool, device=device)
    assert not fused_attention(x, x, x, nothing).any()


def test_fused_attention_is_the_written_out_in_single_precision():
    on_device("cpu")


@pytest.mark.gpu
def test_fused_attention_is_the_written_out_on_cuda():
    on_device("cuda")


@given(
    queries=st.integers(1, 4),
    keys=st.integers(1, 6),
    hidden=st.sets(st.integers(0, 5)),
    seed=st.integers(0, 99),
)
@settings(max_examples=50)
def test_weights_sum_to_1_and_hidden_keys_get_0_and_change_nothing(queries, keys, hidden, seed):
    mask = torch.tensor([j not in hidden for j in range(keys)])[None, None, None]
    query = numbers(1, 2, queries, 4, seed=seed)
    key, value = numbers(1, 2, keys, 4, seed=seed + 1), numbers(1, 2, keys, 3, seed=seed + 2)
    output, weights = scaled_dot_product(query, key, value, mask)
    sums = weights.sum(dim=-1)
    assert_close(sums, torch.full_like(sums, float(mask.any())))
    assert not weights[..., ~mask.flatten()].any()

    other_key, other_value = 100 * numbers(*key.shape), 100 * numbers(*value.shape)
    other_key = torch.where(mask.transpose(2, 3), key, other_key)
    other_value = torch.where(mask.transpose(2, 3), value, other_value)
    assert scaled_dot_product(query, other_key, other_value, mask).output.equal(output)
    assert_close(fused_attention(query, other_key, other_value, mask), output)


@given(st.integers(1, 5), st.integers(0, 99), st.floats(-50, 50))
@settings(max_examples=30)
def test_one_number_added_to_all_scores_of_a_query_changes_no_weight(keys, seed, shift):
    query, key = numbers(1, 1, 3, 4, seed=seed), numbers(1, 1, keys, 4, seed=seed + 1)
    bias = numbers(1, 3, keys, seed=seed + 2)
    before = scaled_dot_product(query, key, key, bias=bias).weights
    assert_close(scaled_dot_product(query, key, key, bias=bias + shift).weights, before)


# Several heads


def as_torchs(layer, dimension):
    """torch.nn.MultiheadAttention with the same weights, and the pairs that hold the same."""
    theirs = nn.MultiheadAttention(
        dimension, layer.heads, bias=layer.project.bias is not None, batch_first=True
    ).double()
    pairs = [
        (layer.project.weight, theirs.in_proj_weight),
        (layer.output.weight, theirs.out_proj.weight),
    ]
    if layer.project.bias is not None:
        pairs += [
            (layer.project.bias, theirs.in_proj_bias),
            (layer.output.bias, theirs.out_proj.bias),
        ]
    for ours, other in pairs:
        other.data = ours.data.clone()
    return theirs, pairs


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("padding", [True, False])
@pytest.mark.parametrize("kind", ["self", "causal", "cross"])
def test_multi_head_attention_is_torchs(bias, padding, kind):
    causal, cross = kind == "causal", kind == "cross"
    layer = attention(12, heads=3, bias=bias)
    theirs, pairs = as_torchs(layer, 12)
    x, y = numbers(2, 5, 12, seed=1), numbers(2, 6, 12, seed=2) if cross else None
    keys = 6 if cross else 5
    x, other_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    memory = None if y is None else y.clone().requires_grad_()
    other_memory = other_x if y is None else y.clone().requires_grad_()
    masks = [
        *([padding_mask(torch.tensor([keys, 3]), keys)] if padding else []),
        *([causal_mask(5, keys)] if causal else []),
    ]
    mask = None
    for one in masks:
        mask = one if mask is None else mask & one

    output, _ = layer(x, mask=mask, memory=None if memory is None else layer.keys_values(memory))
    expected, expected_weights = theirs(
        other_x,
        other_memory,
        other_memory,
        key_padding_mask=~masks[0].flatten(1) if padding else None,
        attn_mask=~causal_mask(5, keys) if causal else None,
        average_attn_weights=False,
    )
    assert_close(output, expected)
    layer.keep_weights = True
    again, _ = layer(x, mask=mask, memory=None if memory is None else layer.keys_values(memory))
    assert_close(again, expected)
    assert_close(layer.weights, expected_weights)

    direction = numbers(*output.shape, seed=3)
    (output * direction).sum().backward()
    (expected * direction).sum().backward()
    assert_close(x.grad, other_x.grad)
    if cross:
        assert_close(memory.grad, other_memory.grad)
    for ours, other in pairs:
        assert_close(ours.grad, other.grad)


def test_a_head_of_identity_maps_is_one_scaled_dot_product():
    layer, x = attention(4, heads=1, bias=False), numbers(1, 5, 4)
    layer.project.weight.data, layer.output.weight.data = torch.eye(4).repeat(3, 1), torch.eye(4)
    layer = layer.double()
    assert_close(layer(x)[0], scaled_dot_product(x, x, x).output)


def test_heads_do_not_see_each_other():
    """The second head's maps change nothing of the first head's weights."""
    layer, x = attention(8, heads=2), numbers(1, 5, 8)
    (before,) = attention_weights(layer, x)
    with torch.no_grad():
        for part in layer.project.weight.split(8):
            part[4:] += 1
    (after,) = attention_weights(layer, x)
    assert_close(after[:, 0], before[:, 0])
    assert (after[:, 1] - before[:, 1]).abs().max() > 1e-3


def test_a_head_size_and_a_scale_of_ones_own():
    layer, x = attention(8, heads=3, head_size=5, scale=1.0), numbers(2, 4, 8)
    assert layer.project.weight.shape == (45, 8)
    assert layer.output.weight.shape == (8, 15)
    query, key, value = (
        (x @ weight.T + bias).unflatten(2, (3, 5)).transpose(1, 2)
        for weight, bias in zip(
            layer.project.weight.split(15), layer.project.bias.split(15), strict=True
        )
    )
    expected = torch.softmax(query @ key.transpose(2, 3), dim=-1) @ value
    assert_close(layer(x)[0], layer.output(expected.transpose(1, 2).flatten(2)))


def test_four_maps_have_4_d_squared_weights_whatever_the_number_of_heads():
    for heads in (1, 2, 4, 8):
        layer = MultiHeadAttention(8, heads)
        assert sum(p.numel() for p in layer.parameters()) == 4 * 8**2 + 4 * 8


def test_initial_weights_have_standard_deviation_0_02_and_biases_are_0():
    torch.manual_seed(0)
    layer = MultiHeadAttention(64, heads=4)
    for part in (layer.project, layer.output):
        assert part.weight.std().item() == pytest.approx(0.02, rel=0.03)
        assert not part.bias.any()


def test_dropout_of_weights_is_in_training_alone_and_keeps_their_mean():
    torch.manual_seed(0)
    layer, x = attention(8, heads=2, dropout=0.5), numbers(1, 5, 8)
    expected = layer.eval()(x)[0]
    layer.train()
    drawn = torch.stack([layer(x)[0] for _ in range(1000)])
    assert drawn.std(dim=0).min() > 0.1
    assert ((drawn.mean(dim=0) - expected).abs() < 5 * drawn.std(dim=0) / 1000**0.5).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiHeadAttention(8, 3), "3 heads cannot share 8 numbers evenly"),
        (lambda: MultiHeadAttention(8, 0), "heads must be at least 1, got 0"),
        (lambda: MultiHeadAttention(0, 1), "dimension must be at least 1, got 0"),
        (lambda: MultiHeadAttention(8, 2, head_size=0), "head_size must be at least 1, got 0"),
    ],
)
def test_attention_that_cannot_be_built_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Weights looked at


class Two(nn.Module):
    """Two layers of attention, of which the second can be left out, or fail."""

    def __init__(self):
        super().__init__()
        self.first, self.second = attention(8, 2, dropout=0.5), attention(8, 4, seed=9, dropout=0.5)

    def forward(self, x, *, both=True, fail=False):
        x, _ = self.first(x, mask=causal_mask(x.shape[1], x.shape[1]))
        if fail:
            raise RuntimeError("in the middle")
        return self.second(x, causal=True)[0] if both else x


def test_attention_weights_come_in_the_models_order_without_dropout_or_gradient():
    model, x = Two(), numbers(3, 5, 8)
    first, second = attention_weights(model, x)
    assert (first.shape, second.shape) == ((3, 2, 5, 5), (3, 4, 5, 5))
    assert not first.requires_grad
    for weights in (first, second):
        assert not weights[:, :, ~causal_mask(5, 5)].any()
        assert_close(weights.sum(dim=-1), torch.ones_like(weights[..., 0]))
    assert len(attention_weights(model, x, both=False)) == 1


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fail", [True, False])
def test_looking_at_weights_leaves_the_model_as_it_was(training, fail):
    model = Two().train(training)
    if fail:
        with pytest.raises(RuntimeError, match="in the middle"):
            attention_weights(model, numbers(3, 5, 8), fail=True)
    else:
        attention_weights(model, numbers(3, 5, 8))
    for layer in (model.first, model.second):
        assert layer.training is training
        assert not layer.keep_weights
        assert layer.weights is None
    assert torch.is_grad_enabled()


def test_a_model_without_attention_has_no_weights_to_look_at():
    with pytest.raises(ValueError, match="there is no MultiHeadAttention in a Linear"):
        attention_weights(nn.Linear(2, 2), torch.zeros(1, 2))

    class Idle(Two):
        def forward(self, x):
            return x

    with pytest.raises(ValueError, match="none of 2 layers of attention was called"):
        attention_weights(Idle(), numbers(1, 2, 8))
