"""Transformers: order, causality, cache and padding as they must be, counted and beside Llama.

Comparisons are in double precision, to 10⁻¹⁰, unless it is said otherwise.
"""

from __future__ import annotations

import functools
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.nn import functional as F  # noqa: E402

from nlp_course.attention import attention_weights  # noqa: E402
from nlp_course.pretrained import load_weights, save_weights  # noqa: E402
from nlp_course.training import set_seed, train  # noqa: E402
from nlp_course.transformer import (  # noqa: E402
    Encoder,
    EncoderDecoder,
    Settings,
    TransformerLM,
    approximate_parameters,
)
from nlp_course.transformer_blocks import POSITIONS  # noqa: E402

V = 11
SIZES = {"dimension": 8, "heads": 2, "layers": 2, "length": 40}
KINDS = list(itertools.product(POSITIONS, [True, False]))


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ids(*shape, seed=0):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(seed))


def assert_close(found, expected, tolerance=1e-10):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@functools.cache
def model(kind, position, norm_first=True):
    """In double precision, with weights large enough for every token to matter to every other."""
    made = kind(V, Settings(**SIZES, position=position, norm_first=norm_first)).double()
    for i, parameter in enumerate(made.parameters()):
        parameter.data = 0.5 * numbers(*parameter.shape, seed=i)
    return made


# Order


@pytest.mark.parametrize("norm_first", [True, False])
@given(order=st.permutations(range(6)), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_without_position_an_encoder_permutes_with_its_tokens_and_its_mean_stays(
    norm_first, order, seed
):
    encoder, x = model(Encoder, "none", norm_first), ids(2, 6, seed=seed)
    before, after = encoder(x), encoder(x[:, order])
    assert_close(after, before[:, order])
    assert_close(after.mean(dim=1), before.mean(dim=1))


@pytest.mark.parametrize("position", [name for name in POSITIONS if name != "none"])
def test_with_position_an_encoder_does_not_permute_with_its_tokens(position):
    encoder, x, order = model(Encoder, position), torch.arange(6)[None], [1, 0, 2, 3, 4, 5]
    before, after = encoder(x), encoder(x[:, order])
    assert (after - before[:, order]).abs().amax(dim=(0, 2)).min() > 1e-5
    assert (after.mean(dim=1) - before.mean(dim=1)).abs().max() > 1e-5


def test_a_causal_mask_alone_tells_of_order():
    decoder, x = model(TransformerLM, "none"), torch.tensor([[1, 2, 3, 4]])
    first, second = decoder(x)[0][0, -1], decoder(x[:, [1, 0, 2, 3]])[0][0, -1]
    assert (first - second).abs().max() > 1e-3


# Causality


@pytest.mark.parametrize(("position", "norm_first"), KINDS)
@given(place=st.integers(0, 6), new=st.integers(0, V - 1), seed=st.integers(0, 99))
@settings(max_examples=10)
def test_a_token_changes_no_logit_before_it_and_changes_its_own(
    position, norm_first, place, new, seed
):
    x = ids(1, 7, seed=seed)
    other = x.clone()
    other[0, place] = new
    source = ids(1, 4, seed=seed + 1)
    decoder, both = (model(kind, position, norm_first) for kind in (TransformerLM, EncoderDecoder))
    state = both.encode(source, torch.tensor([4]))
    for read in (lambda x: decoder(x)[0][0], lambda x: both(x, state)[0][0]):
        before, after = read(x), read(other)
        assert_close(after[:place], before[:place])
        if new != x[0, place]:
            assert (after[place] - before[place]).abs().max() > 1e-6


# Cache


def in_pieces(read, x, state, cuts):
    """Logits of a text read in pieces, which end at the cuts."""
    logits = []
    for start, end in itertools.pairwise([0, *sorted(cuts), x.shape[1]]):
        found, state = read(x[:, start:end], state)
        logits.append(found)
    return torch.cat(logits, dim=1), state


@pytest.mark.parametrize(("position", "norm_first"), KINDS)
@given(time=st.integers(1, 12), cuts=st.sets(st.integers(1, 11)), seed=st.integers(0, 99))
@settings(max_examples=10)
def test_logits_with_a_cache_are_those_without(position, norm_first, time, cuts, seed):
    x, source = ids(2, time, seed=seed), ids(2, 5, seed=seed + 1)
    decoder, both = (model(kind, position, norm_first) for kind in (TransformerLM, EncoderDecoder))
    begin = both.encode(source, torch.tensor([5, 3]))
    for read, start in ((decoder, None), (both, begin)):
        whole, at_once = read(x, start)
        for places in (range(1, time), {cut for cut in cuts if cut < time}):
            found, end = in_pieces(read, x, start, places)
            assert_close(found, whole)
            caches = (end, at_once) if read is decoder else (end.cache, at_once.cache)
            assert caches[0].length == caches[1].length == time
            for one, other in zip(*(cache.layers for cache in caches), strict=True):
                assert_close(one.keys, other.keys)
                assert_close(one.values, other.values)


@pytest.mark.parametrize("position", POSITIONS)
def test_one_may_go_on_from_a_cache_in_several_ways(position):
    decoder, x = model(TransformerLM, position), ids(2, 5)
    _, cache = decoder(x)
    parts = [part for layer in cache.layers for part in (layer.keys, layer.values)]
    kept = [part.clone() for part in parts]
    for seed in (1, 2):
        more = ids(2, 3, seed=seed)
        assert_close(decoder(more, cache)[0], decoder(torch.cat([x, more], dim=1))[0][:, 5:])
    for before, part in zip(kept, parts, strict=True):
        assert part.equal(before)


@pytest.mark.parametrize("position", POSITIONS)
def test_selected_rows_of_a_cache_are_those_of_the_rows_read_again(position):
    x, more, rows = ids(3, 5), ids(4, 2, seed=1), torch.tensor([2, 0, 0, 1])
    decoder = model(TransformerLM, position)
    again = decoder(x[rows])[1]
    assert_close(decoder(more, decoder(x)[1].select(rows))[0], decoder(more, again)[0])

    both, source, lengths = model(EncoderDecoder, position), ids(3, 6), torch.tensor([6, 2, 0])
    begin, again = both.encode(source, lengths), both.encode(source[rows], lengths[rows])
    for read in (lambda state, x: state, lambda state, x: both(x, state)[1]):
        selected = read(begin, x).select(rows)
        assert_close(both(more, selected)[0], both(more, read(again, x[rows]))[0])


# Padding


@pytest.mark.parametrize(("position", "norm_first"), KINDS)
@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=3), seed=st.integers(0, 99))
@settings(max_examples=10)
def test_what_stands_in_padding_and_how_much_changes_nothing(position, norm_first, lengths, seed):
    x, target = ids(len(lengths), 5, seed=seed), ids(len(lengths), 4, seed=seed + 1)
    places = torch.arange(8)
    other = F.pad(x, (0, 3)).where(
        places < torch.tensor(lengths)[:, None], ids(len(lengths), 8, seed=seed + 2)
    )
    encoder, both = (model(kind, position, norm_first) for kind in (Encoder, EncoderDecoder))
    ends = torch.tensor(lengths)
    encoded, encoded_other = encoder(x, ends), encoder(other, ends)
    logits = both(target, both.encode(x, ends))[0]
    assert_close(both(target, both.encode(other, ends))[0], logits)
    for row, length in enumerate(lengths):
        assert_close(encoded_other[row, :length], encoded[row, :length])
        alone = x[row : row + 1, :length]
        assert_close(encoded[row, :length], encoder(alone)[0])
        state = both.encode(alone, ends[row : row + 1])
        assert_close(both(target[row : row + 1], state)[0][0], logits[row])


def test_an_encoder_without_lengths_reads_all():
    encoder, x = model(Encoder, "learned"), ids(2, 5)
    assert_close(encoder(x), encoder(x, torch.tensor([5, 5])))


def test_empty_texts_are_read():
    empty = torch.zeros(2, 0, dtype=torch.long)
    decoder, both = model(TransformerLM, "learned"), model(EncoderDecoder, "learned")
    logits, cache = decoder(empty)
    assert logits.shape == (2, 0, V)
    assert_close(decoder(ids(2, 3), cache)[0], decoder(ids(2, 3))[0])
    assert model(Encoder, "learned")(empty).shape == (2, 0, 8)
    assert both(ids(2, 3), both.encode(empty, torch.tensor([0, 0])))[0].isfinite().all()


# Segments


def test_segments_are_vectors_added_to_the_tokens():
    encoder = Encoder(V, Settings(**SIZES), segments=2).double()
    x, second = ids(2, 5), torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, 0, 1]])
    assert_close(encoder(x, segments=torch.zeros_like(x)), encoder(x))
    with torch.no_grad():
        encoder.segment_embedding.weight.mul_(20)
    assert (encoder(x, segments=second) - encoder(x)).abs().max() > 1e-3
    vectors = encoder.embedding(x) + encoder.segment_embedding(second)
    assert_close(encoder(x, segments=second), encoder.stack(vectors)[0])


# Weights looked at


def test_weights_of_an_encoder_decoder_come_layer_by_layer_self_then_cross():
    both = model(EncoderDecoder, "alibi")
    state = both.encode(ids(3, 6), torch.tensor([6, 2, 1]))
    weights = attention_weights(both, ids(3, 4), state)
    assert [tuple(w.shape) for w in weights] == [(3, 2, 4, 4), (3, 2, 4, 6)] * 2
    for cross in weights[1::2]:
        assert not cross[1, ..., 2:].any()
        assert_close(cross.sum(dim=-1), torch.ones(3, 2, 4).double())
    weights = attention_weights(model(Encoder, "rotary"), ids(3, 6), torch.tensor([6, 2, 1]))
    assert [tuple(w.shape) for w in weights] == [(3, 2, 6, 6)] * 2
    assert not weights[0][2, ..., 1:].any()


def test_weights_are_looked_at_without_any_dropout():
    encoder = Encoder(V, Settings(**SIZES, dropout=0.5)).train()
    first, second = (attention_weights(encoder, ids(2, 6)) for _ in range(2))
    assert all(one.equal(other) for one, other in zip(first, second, strict=True))


def test_a_decoder_weighs_the_past_alone_and_has_n_squared_weights_a_head():
    for time in (5, 10, 20):
        for weights in attention_weights(model(TransformerLM, "learned"), ids(1, time)):
            assert weights.numel() == 2 * time**2
            assert not weights.triu(1).any()


# Parameters


def count(made):
    return sum(parameter.numel() for parameter in made.parameters())


@pytest.mark.parametrize(
    ("dimension", "heads", "layers", "expected"),
    [
        (768, 12, 12, 124_439_808),
        (1024, 16, 24, 354_823_168),
        (1280, 20, 36, 774_030_080),
        (1600, 25, 48, 1_557_611_200),
    ],
)
def test_gpt2s_four_sizes_have_the_numbers_of_parameters_that_gpt2_has(
    dimension, heads, layers, expected
):
    with torch.device("meta"):
        made = TransformerLM(50_257, Settings(dimension, heads, layers, length=1024))
    assert count(made) == expected
    d, rest = dimension, layers * 13 * dimension + 2 * dimension + 1024 * dimension
    assert approximate_parameters(50_257, d, layers) + rest == expected
    assert rest < 0.012 * expected


def test_bert_base_and_t5_small_have_as_many_as_the_real_ones():
    with torch.device("meta"):
        bert = Encoder(
            30_522,
            Settings(768, 12, 12, 512, norm_first=False, embedding_norm=True),
            segments=2,
        )
        t5 = EncoderDecoder(
            32_128,
            Settings(512, 8, 6, norm="rms", bias=False, position="relative", activation="relu"),
        )
    assert count(bert) == 109_482_240 - (768**2 + 768)  # less BERT's pooling layer
    assert count(t5) == 60_506_624


SMALL = {"dimension": 8, "heads": 2, "layers": 3, "length": 7}


@pytest.mark.parametrize(
    ("named", "rest"),
    [
        # Beside V d + 12 L d²: biases 3d + d + 4d + d = 9d and two norms' 4d a block, a last norm.
        ({}, 7 * 8 + 3 * 13 * 8 + 2 * 8),
        ({"heads": 4}, 7 * 8 + 3 * 13 * 8 + 2 * 8),
        ({"layers": 1}, 7 * 8 + 13 * 8 + 2 * 8),
        ({"dimension": 16}, 7 * 16 + 3 * 13 * 16 + 2 * 16),
        ({"length": 100}, 100 * 8 + 3 * 13 * 8 + 2 * 8),
        ({"bias": False}, 7 * 8 + 3 * 2 * 8 + 8),
        ({"norm": "rms"}, 7 * 8 + 3 * 11 * 8 + 8),
        ({"norm_first": False}, 7 * 8 + 3 * 13 * 8),
        ({"embedding_norm": True}, 7 * 8 + 3 * 13 * 8 + 4 * 8),
        ({"position": "none"}, 3 * 13 * 8 + 2 * 8),
        ({"position": "sinusoidal"}, 3 * 13 * 8 + 2 * 8),
        ({"position": "rotary"}, 3 * 13 * 8 + 2 * 8),
        ({"position": "alibi"}, 3 * 13 * 8 + 2 * 8),
        ({"position": "relative"}, 32 * 2 + 3 * 13 * 8 + 2 * 8),
        ({"hidden": 50}, 7 * 8 + 3 * 13 * 8 + 2 * 8 + 3 * (50 - 32) * (2 * 8 + 1)),
        ({"gated": True}, 7 * 8 + 3 * 13 * 8 + 2 * 8 + 3 * (4 * 8**2 + 4 * 8)),
        ({"head_size": 5}, 7 * 8 + 3 * 13 * 8 + 2 * 8 + 3 * 2 * (4 * 8 + 3)),
    ],
)
def test_exact_number_of_parameters(named, rest):
    made = Settings(**{**SMALL, **named})
    expected = approximate_parameters(V, made.dimension, made.layers) + rest
    assert count(TransformerLM(V, made)) == expected
    assert count(TransformerLM(V, made, tied=False)) == expected + V * made.dimension
    assert count(Encoder(V, made)) == expected


# Weights


@pytest.mark.parametrize("spread", [0.02, 0.1])
@pytest.mark.parametrize("kind", [TransformerLM, EncoderDecoder])
def test_tied_weights_are_one_tensor_and_untied_ones_begin_alike(kind, spread):
    big = Settings(dimension=64, layers=1, spread=spread)
    tied, untied = kind(500, big), kind(500, big, tied=False)
    assert tied.output.weight is tied.embedding.weight
    assert untied.output.weight is not untied.embedding.weight
    for weight in (tied.embedding.weight, untied.embedding.weight, untied.output.weight):
        assert weight.std().item() == pytest.approx(spread, rel=0.05)


def test_an_untrained_model_has_the_loss_of_a_uniform_one():
    set_seed(0)
    decoder, x = TransformerLM(500, Settings()), torch.randint(500, (4, 64))
    loss = F.cross_entropy(decoder(x)[0].flatten(0, 1), torch.randint(500, (256,)))
    assert loss.item() == pytest.approx(torch.tensor(500.0).log().item(), rel=0.01)


@pytest.mark.parametrize("kind", [Encoder, TransformerLM, EncoderDecoder])
def test_the_same_seed_gives_the_same_model(kind):
    def made(seed):
        set_seed(seed)
        return kind(V, Settings(**SIZES)).state_dict()

    first, second, other = made(0), made(0), made(1)
    assert all(first[name].equal(second[name]) for name in first)
    assert not first["embedding.weight"].equal(other["embedding.weight"])


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("position", POSITIONS)
def test_saved_weights_are_loaded_again_each_once(tmp_path, tied, position):
    made = TransformerLM(V, Settings(**SIZES, position=position), tied=tied)
    x, path = ids(2, 9), tmp_path / "model.safetensors"
    made(x)  # tables of positions, which grow with use, are not saved
    save_weights(made, path)
    assert path.stat().st_size < 2 * count(made) + 8000
    again = TransformerLM(V, Settings(**SIZES, position=position), tied=tied)
    load_weights(again, path)
    assert (again.output.weight is again.embedding.weight) is tied
    for name, parameter in made.named_parameters():
        assert again.get_parameter(name).equal(parameter.half().float())
    torch.testing.assert_close(again(x)[0], made(x)[0], rtol=0, atol=1e-3)


# Training


def learn(device, precision, position="learned"):
    """The loss, in nats, of a model trained on a text in which two tokens back tell the next."""
    text = torch.tensor([[1, 2, 3, 1, 3, 2, 1] * 3]).expand(8, -1)

    def loss(decoder, x):
        logits = decoder(x[:, :-1])[0]
        summed = F.cross_entropy(logits.flatten(0, 1).float(), x[:, 1:].flatten(), reduction="sum")
        return summed, x[:, 1:].numel()

    set_seed(0)
    decoder = TransformerLM(V, Settings(32, 2, 2, position=position))
    history = train(
        decoder,
        loss,
        lambda rng: iter([text] * 60),
        epochs=1,
        optimizer="adamw",
        learning_rate=1e-2,
        device=device,
        precision=precision,
        progress=False,
    )
    return history.loss[-1]


def test_a_small_model_learns_a_text_by_heart():
    assert learn("cpu", "float32") < 0.2


@pytest.mark.gpu
@pytest.mark.parametrize("position", POSITIONS)
def test_a_small_model_learns_in_bfloat16_on_cuda(position):
    # How often each token comes is learned at once: ln 3 nats. What comes when takes longer.
    assert learn("cuda", "bfloat16", position) < (0.3 if position == "learned" else 1.2)


@pytest.mark.parametrize("position", POSITIONS)
def test_mixed_precision_gives_nearly_the_same_logits_and_finite_gradients(position):
    set_seed(0)
    decoder, x = TransformerLM(V, Settings(**SIZES, position=position)), ids(2, 9)
    expected = decoder(x)[0]
    with torch.autocast("cpu", torch.bfloat16):
        logits, cache = decoder(x)
        decoder(x, cache)
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(logits.float(), expected, rtol=0, atol=5e-3)
    logits.float().logsumexp(dim=-1).sum().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


# Hugging Face's Llama


def test_with_llamas_settings_a_decoder_is_hugging_faces_llama():
    """Rotary positions, RMS norm, a gated network and no biases, all at once."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.LlamaConfig(
        vocab_size=V,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
    )
    theirs = transformers.LlamaForCausalLM(config).eval()
    for i, parameter in enumerate(theirs.parameters()):
        parameter.data = 0.3 * numbers(*parameter.shape, seed=i).float()
    weights = {name.removeprefix("model."): p for name, p in theirs.state_dict().items()}
    ours = TransformerLM(
        V,
        Settings(
            16, 2, 2, hidden=24, position="rotary", norm="rms", activation="silu", gated=True,
            bias=False,
        ),
        tied=False,
    )  # fmt: skip
    found = {
        "embedding.weight": weights["embed_tokens.weight"],
        "output.weight": weights["lm_head.weight"],
        "stack.last_norm.weight": weights["norm.weight"],
    }
    for i in range(2):
        layer, block = f"layers.{i}.", f"stack.blocks.{i}."
        maps = [weights[f"{layer}self_attn.{name}_proj.weight"] for name in "qkv"]
        found[f"{block}attention.project.weight"] = torch.cat(maps)
        for our_name, name in (
            ("attention.output", "self_attn.o_proj"),
            ("attention_norm", "input_layernorm"),
            ("feed_forward_norm", "post_attention_layernorm"),
            ("feed_forward.widen", "mlp.up_proj"),
            ("feed_forward.gate", "mlp.gate_proj"),
            ("feed_forward.narrow", "mlp.down_proj"),
        ):
            found[f"{block}{our_name}.weight"] = weights[f"{layer}{name}.weight"]
    ours.load_state_dict(found)
    x = ids(3, 20)
    torch.testing.assert_close(ours(x)[0], theirs(x).logits, rtol=1e-4, atol=1e-4)


# Refused


def test_ids_out_of_range_are_refused():
    encoder, decoder, both = (model(k, "none") for k in (Encoder, TransformerLM, EncoderDecoder))
    state = both.encode(ids(1, 2), torch.tensor([2]))
    for bad, message in (([[0, V]], f"got 0 … {V}"), ([[-1, 3]], "got -1 … 3")):
        bad = torch.tensor(bad)
        for read in (
            lambda: encoder(bad),  # noqa: B023
            lambda: decoder(bad),  # noqa: B023
            lambda: both.encode(bad, torch.tensor([2])),  # noqa: B023
            lambda: both(bad, state),  # noqa: B023
        ):
            with pytest.raises(ValueError, match=f"ids must lie in 0 … {V - 1}, {message}"):
                read()


def test_segments_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="this encoder has no segments: build it with segments=2"):
        model(Encoder, "none")(ids(1, 2), segments=torch.zeros(1, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="segments must lie in 0 … 1, got 0 … 2"):
        Encoder(V, Settings(**SIZES), segments=2)(ids(1, 2), segments=torch.tensor([[0, 2]]))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([3], "2 texts need as many lengths, got 1"),
        ([3, 3, 3], "2 texts need as many lengths, got 3"),
        ([3, 6], "lengths must lie in 0 … 5, got 3 … 6"),
        ([-1, 5], "lengths must lie in 0 … 5, got -1 … 5"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(lengths, message):
    for read in (model(Encoder, "none"), model(EncoderDecoder, "none").encode):
        with pytest.raises(ValueError, match=message):
            read(ids(2, 5), torch.tensor(lengths))


def test_a_text_longer_than_learned_positions_is_refused_in_pieces_too():
    decoder = model(TransformerLM, "learned")
    message = "41 tokens, but only 40 places have a learned vector"
    with pytest.raises(ValueError, match=message):
        decoder(ids(1, 41))
    _, cache = decoder(ids(1, 40))
    with pytest.raises(ValueError, match=message):
        decoder(ids(1, 1), cache)


@pytest.mark.parametrize("position", [name for name in POSITIONS if name != "learned"])
def test_other_positions_have_no_longest_text(position):
    decoder = model(TransformerLM, position)
    _, cache = decoder(ids(1, 100))
    assert decoder(ids(1, 1), cache)[0].isfinite().all()


def test_a_cache_of_another_batch_or_model_is_refused():
    decoder, both = model(TransformerLM, "none"), model(EncoderDecoder, "none")
    deeper = TransformerLM(V, Settings(**{**SIZES, "layers": 3})).double()
    _, cache = decoder(ids(2, 3))
    for read in (lambda: decoder(ids(1, 1), cache), lambda: deeper(ids(2, 1), cache)):
        with pytest.raises(ValueError, match="this cache is of another model or batch"):
            read()
    state = both.encode(ids(2, 3), torch.tensor([3, 3]))
    with pytest.raises(ValueError, match="this memory is of another model or batch"):
        both(ids(3, 1), state)


@pytest.mark.parametrize("kind", [Encoder, TransformerLM, EncoderDecoder])
def test_a_vocabulary_without_ids_is_refused(kind):
    with pytest.raises(ValueError, match="there must be at least 1 id, got 0"):
        kind(0, Settings(**SIZES))
