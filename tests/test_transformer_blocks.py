"""Blocks and stacks: beside torch's transformer layers, parameters counted, and what is refused.

Comparisons are in double precision, to 10⁻¹⁰.
"""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402

from nlp_course.attention import causal_mask, padding_mask  # noqa: E402
from nlp_course.transformer_blocks import (  # noqa: E402
    POSITIONS,
    Block,
    Cache,
    FeedForward,
    Settings,
    Stack,
)

SIZES = {"dimension": 12, "heads": 3, "layers": 2, "hidden": 20, "length": 30}


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_close(found, expected, tolerance=1e-10):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def mixed(module):
    """The module in double precision, with weights large enough for every part to matter."""
    module = module.double()
    for i, parameter in enumerate(module.parameters()):
        parameter.data = 0.3 * numbers(*parameter.shape, seed=i)
    return module


# torch's layers


def parts(ours, theirs):
    """Pairs of parameters that mean the same in a block of ours and a layer of torch's."""
    modules = [(ours.attention, theirs.self_attn)]
    norms = [theirs.norm1, theirs.norm2]
    if ours.cross is not None:
        modules.append((ours.cross, theirs.multihead_attn))
        norms.append(theirs.norm3)
    pairs = []
    for attention, other in modules:
        pairs += [
            (attention.project.weight, other.in_proj_weight),
            (attention.project.bias, other.in_proj_bias),
            (attention.output.weight, other.out_proj.weight),
            (attention.output.bias, other.out_proj.bias),
        ]
    mine = [ours.attention_norm, ours.cross_norm, ours.feed_forward_norm]
    same = [(ours.feed_forward.widen, theirs.linear1), (ours.feed_forward.narrow, theirs.linear2)]
    same += zip([norm for norm in mine if norm is not None], norms, strict=True)
    for one, other in same:
        pairs += [(one.weight, other.weight), (one.bias, other.bias)]
    return pairs


def give_weights(pairs):
    for ours, theirs in pairs:
        theirs.data = ours.data.clone()


def assert_same_gradients(outputs, inputs, pairs):
    direction = numbers(*outputs[0].shape, seed=50)
    for output in outputs:
        (output * direction).sum().backward()
    for ours, theirs in [*inputs, *pairs]:
        assert ours.grad.any()
        assert_close(ours.grad, theirs.grad)


def twice(x):
    return x.clone().requires_grad_(), x.clone().requires_grad_()


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [True, False])
def test_a_block_is_torchs_encoder_layer(norm_first, activation):
    block = mixed(Block(Settings(**SIZES, norm_first=norm_first, activation=activation)))
    theirs = nn.TransformerEncoderLayer(
        12, 3, 20, 0.0, activation, batch_first=True, norm_first=norm_first
    ).double()
    pairs = parts(block, theirs)
    give_weights(pairs)
    x, other = twice(numbers(2, 5, 12, seed=99))
    mask = padding_mask(torch.tensor([5, 3]), 5)
    output, _ = block(x, mask=mask & causal_mask(5, 5))
    expected = theirs(
        other, src_mask=~causal_mask(5, 5), src_key_padding_mask=~mask.flatten(1), is_causal=True
    )
    assert_close(output, expected)
    assert_same_gradients((output, expected), [(x, other)], pairs)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [True, False])
def test_a_block_with_cross_attention_is_torchs_decoder_layer(norm_first, activation):
    settings = Settings(**SIZES, norm_first=norm_first, activation=activation)
    block = mixed(Block(settings, cross=True))
    theirs = nn.TransformerDecoderLayer(
        12, 3, 20, 0.0, activation, batch_first=True, norm_first=norm_first
    ).double()
    pairs = parts(block, theirs)
    give_weights(pairs)
    x, other_x = twice(numbers(2, 5, 12, seed=99))
    memory, other_memory = twice(numbers(2, 6, 12, seed=98))
    mask = padding_mask(torch.tensor([6, 2]), 6)
    output, _ = block(x, causal=True, memory=block.cross.keys_values(memory), memory_mask=mask)
    expected = theirs(
        other_x,
        other_memory,
        tgt_mask=~causal_mask(5, 5),
        memory_key_padding_mask=~mask.flatten(1),
    )
    assert_close(output, expected)
    assert_same_gradients((output, expected), [(x, other_x), (memory, other_memory)], pairs)


@pytest.mark.parametrize("norm_first", [True, False])
def test_stacks_are_torchs_encoder_and_decoder(norm_first):
    settings = Settings(**SIZES, norm_first=norm_first, position="none")
    encoder, decoder = (
        mixed(Stack(settings, causal=False)),
        mixed(Stack(settings, causal=True, cross=True)),
    )
    shape = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": norm_first}
    last = [nn.LayerNorm(12) if norm_first else None for _ in range(2)]
    their_encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(12, 3, 20, **shape), 2, last[0], enable_nested_tensor=False
    ).double()
    their_decoder = nn.TransformerDecoder(
        nn.TransformerDecoderLayer(12, 3, 20, **shape), 2, last[1]
    ).double()
    pairs = []
    for ours, theirs in ((encoder, their_encoder), (decoder, their_decoder)):
        for block, layer in zip(ours.blocks, theirs.layers, strict=True):
            pairs += parts(block, layer)
        if norm_first:
            pairs.append((ours.last_norm.weight, theirs.norm.weight))
            pairs.append((ours.last_norm.bias, theirs.norm.bias))
    give_weights(pairs)
    source, other_source = twice(numbers(2, 6, 12, seed=99))
    target, other_target = twice(numbers(2, 5, 12, seed=98))
    mask = padding_mask(torch.tensor([6, 2]), 6)
    own = padding_mask(torch.tensor([3, 5]), 5)  # hides beside what the order hides
    encoded, _ = encoder(source, mask=mask)
    memory = decoder.memories(encoded)
    output, _ = decoder(target, mask=own, memory=memory, memory_mask=mask)
    padding = ~mask.flatten(1)
    their_encoded = their_encoder(other_source, src_key_padding_mask=padding)
    expected = their_decoder(
        other_target,
        their_encoded,
        tgt_mask=~causal_mask(5, 5),
        tgt_key_padding_mask=~own.flatten(1),
        memory_key_padding_mask=padding,
    )
    assert_close(encoded, their_encoded)
    assert_close(output, expected)
    inputs = [(source, other_source), (target, other_target)]
    assert_same_gradients((output, expected), inputs, pairs)


def test_a_gated_feed_forward_network_is_hugging_faces_llama_mlp():
    pytest.importorskip("transformers", reason="transformers is not installed")
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaMLP

    ours = mixed(FeedForward(Settings(**SIZES, gated=True, activation="silu", bias=False)))
    theirs = LlamaMLP(
        LlamaConfig(hidden_size=12, intermediate_size=20, num_attention_heads=3)
    ).double()
    for name, layer in (("up", ours.widen), ("gate", ours.gate), ("down", ours.narrow)):
        getattr(theirs, f"{name}_proj").weight.data = layer.weight.data
    x = numbers(2, 5, 12)
    assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("name", ["relu", "gelu", "gelu_tanh", "silu"])
def test_activations_are_hugging_faces(name):
    pytest.importorskip("transformers", reason="transformers is not installed")
    from transformers.activations import ACT2FN

    theirs = ACT2FN[{"gelu_tanh": "gelu_new"}.get(name, name)]
    x = numbers(50)
    assert_close(FeedForward(Settings(activation=name)).activation(x), theirs(x))


def test_unscaled_scores_are_scaled_ones_of_longer_queries():
    scaled, unscaled = Block(Settings(**SIZES)), Block(Settings(**SIZES, scaled=False))
    mixed(scaled), mixed(unscaled)
    with torch.no_grad():
        for parameter in scaled.attention.project.parameters():
            parameter[:12] *= 4**0.5  # queries come first; d_k = 12 / 3
    x = numbers(2, 5, 12, seed=99)
    assert_close(unscaled(x)[0], scaled(x)[0])


# Norms


def test_norms_are_where_the_settings_say():
    x = numbers(2, 5, 12, seed=99)
    for norm_first in (True, False):
        block = mixed(Block(Settings(**SIZES, norm_first=norm_first, norm="rms")))
        for part in (block.attention.output, block.feed_forward.narrow):
            for parameter in part.parameters():
                parameter.data.zero_()
        # Sublayers that add nothing leave pre-norm's vectors alone, and post-norm's normalized.
        expected = x if norm_first else block.feed_forward_norm(block.attention_norm(x))
        assert_close(block(x)[0], expected)
    stack = mixed(Stack(Settings(**SIZES, embedding_norm=True, position="none"), causal=False))
    stack.blocks = nn.ModuleList()
    assert_close(stack(x)[0], stack.last_norm(stack.first_norm(x)))


@pytest.mark.parametrize(("norm", "bias"), list(itertools.product(["layer", "rms"], [True, False])))
def test_norms_have_the_settings_epsilon_and_biases(norm, bias):
    made = Settings(norm=norm, bias=bias, epsilon=0.5).make_norm()
    assert (getattr(made, "bias", None) is not None) == (bias and norm == "layer")
    assert made.eps == 0.5
    assert type(made) is {"layer": nn.LayerNorm, "rms": nn.RMSNorm}[norm]


# Positions


@pytest.mark.parametrize("causal", [True, False])
def test_a_causal_stack_spends_all_of_its_relative_buckets_on_the_past(causal):
    stack = Stack(Settings(position="relative"), causal=causal)
    bias = stack.position.bias(200, 200)[0]
    assert len(bias[-1].unique()) == (32 if causal else 16)  # the last token's: all are before it


# Initial weights


@pytest.mark.parametrize("spread", [0.02, 0.1])
@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("layers", [1, 8])
def test_initial_weights_are_smaller_where_a_sum_takes_them_in(layers, cross, spread):
    torch.manual_seed(0)
    settings = Settings(dimension=64, layers=layers, spread=spread)
    stack = Stack(settings, causal=True, cross=cross)
    assert stack.position.vectors.std().item() == pytest.approx(spread, rel=0.05)
    ends = layers * (3 if cross else 2)
    seen = 0
    for name, parameter in stack.blocks.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif "norm" in name:
            assert parameter.eq(1).all()
        else:
            end = name.endswith(("output.weight", "narrow.weight"))
            seen += end
            expected = spread * ends**-0.5 if end else spread
            assert parameter.std().item() == pytest.approx(expected, rel=0.05)
    assert seen == ends


def test_dropout_is_in_training_alone():
    torch.manual_seed(0)
    stack, x = Stack(Settings(dropout=0.5, layers=1), causal=True), numbers(1, 5, 128).float()
    first, second = stack(x)[0], stack(x)[0]
    assert not first.equal(second)
    stack.eval()
    assert stack(x)[0].equal(stack(x)[0])


# Moved and lowered


@pytest.mark.parametrize("position", POSITIONS)
def test_a_stack_runs_where_it_is_and_in_its_own_precision(position):
    settings = Settings(**SIZES, position=position)
    for place in ("meta", torch.bfloat16):
        stack = Stack(settings, causal=True).to(place)
        x = numbers(2, 5, 12).float().to(place)
        _, cache = stack(x)
        y, cache = stack(x.repeat(1, 4, 1), cache)  # more places than the first call's table
        assert (y.device, y.dtype) == (x.device, x.dtype)
        assert cache.length == 25


# Refused


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"dimension": 0}, "dimension must be at least 1, got 0"),
        ({"heads": 0}, "heads must be at least 1, got 0"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"length": -1}, "length must be at least 1, got -1"),
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
        ({"head_size": 0}, "head_size must be at least 1, got 0"),
        ({"position": "rotated"}, "position must be one of learned, .*, got 'rotated'"),
        ({"norm": "batch"}, "norm must be one of layer, rms, got 'batch'"),
        ({"activation": "tanh"}, "activation must be one of relu, .*, got 'tanh'"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"dropout": -0.1}, "dropout must be at least 0 and below 1, got -0.1"),
        ({"spread": 0.0}, "spread must be above 0, got 0.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(named, message):
    with pytest.raises(ValueError, match=message):
        Settings(**named)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"dimension": 10, "heads": 4}, "4 heads cannot share 10 numbers evenly"),
        ({"dimension": 6, "heads": 2, "position": "rotary"}, "3 is not an even size"),
        ({"head_size": 7, "position": "rotary"}, "7 is not an even size"),
        ({"dimension": 9, "heads": 3, "position": "sinusoidal"}, "9 is not an even size"),
    ],
)
def test_a_stack_that_cannot_be_built_is_refused(named, message):
    with pytest.raises(ValueError, match=message):
        Stack(Settings(**named), causal=True)


def test_cross_attention_without_a_second_text_is_refused_and_the_reverse():
    settings, x = Settings(**SIZES), numbers(2, 5, 12).float()
    alone = Stack(settings, causal=True)
    crossed = Stack(settings, causal=True, cross=True)
    memory = crossed.memories(x)
    with pytest.raises(ValueError, match="a memory goes with cross-attention"):
        crossed(x)
    with pytest.raises(ValueError, match="a memory goes with cross-attention"):
        alone(x, memory=memory)
    with pytest.raises(ValueError, match="blocks without cross-attention attend to no other text"):
        alone.memories(x)


@pytest.mark.parametrize(
    "other", [{"layers": 3}, {"heads": 2}, {"head_size": 5}, {"dimension": 24, "heads": 3}]
)
def test_a_cache_or_memory_of_another_model_or_batch_is_refused(other):
    x = numbers(2, 5, 12).float()
    stack = Stack(Settings(**SIZES), causal=True, cross=True)
    other = Settings(**{**SIZES, **other})
    strange = Stack(other, causal=True, cross=True)
    y = numbers(2, 5, other.dimension).float()
    memory, strange_memory = stack.memories(x), strange.memories(y)
    _, cache = stack(x, memory=memory)
    _, strange_cache = strange(y, memory=strange_memory)
    rows = torch.tensor([0, 1, 0])
    few = Cache(memory).select(rows).layers
    for bad in (strange_cache, cache.select(rows), Cache(())):
        with pytest.raises(ValueError, match="this cache is of another model or batch"):
            stack(x, bad, memory=memory)
    for bad in (strange_memory, few, ()):
        with pytest.raises(ValueError, match="this memory is of another model or batch"):
            stack(x, cache, memory=bad)
