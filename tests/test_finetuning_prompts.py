"""Prefixes and prompts: what they add to attention, rows of several tasks, caches, the way back.

Comparisons are in double precision, to 10⁻¹⁰, unless it is said otherwise.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402

from nlp_course.attention import attention_weights, scaled_dot_product  # noqa: E402
from nlp_course.cache import Cache, KeysValues  # noqa: E402
from nlp_course.decoding import greedy  # noqa: E402
from nlp_course.finetuning import count_parameters, remove, trained_weights  # noqa: E402
from nlp_course.finetuning_lora import add_lora  # noqa: E402
from nlp_course.finetuning_prompts import (  # noqa: E402
    PrefixAttention,
    add_prefix,
    add_prompt,
    serving,
)
from nlp_course.transformer import (  # noqa: E402
    Encoder,
    EncoderDecoder,
    Settings,
    TransformerLM,
)
from nlp_course.transformer_blocks import POSITIONS  # noqa: E402

V = 11
SIZES = {"dimension": 8, "heads": 2, "layers": 2, "hidden": 12, "length": 30, "spread": 0.5}
ADD = {
    "prefix": lambda model, tasks=1: add_prefix(model, 3, tasks=tasks, spread=1.0),
    "prompt": lambda model, tasks=1: add_prompt(model, 3, tasks=tasks),
}
every_way = pytest.mark.parametrize("add", ADD.values(), ids=ADD)
every_position = pytest.mark.parametrize("position", POSITIONS)


def ids(*shape, seed=0):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(seed))


def made(kind=TransformerLM, **more):
    torch.manual_seed(0)
    return kind(V, Settings(**SIZES, **more)).double().eval()


def assert_close(found, expected, tolerance=1e-10):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


# Identities


def test_a_prefix_is_further_keys_and_values_for_every_query():
    model = made(position="none")
    attention = model.stack.blocks[0].attention
    x = torch.randn(2, 4, 8, dtype=torch.float64)
    add_prefix(model, 3, spread=1.0)
    wrapped = model.stack.blocks[0].attention
    query, key, value = attention._heads(attention.project(x))
    keys, values = wrapped.added[0].expand(2, -1, -1, -1, -1).unbind(1)
    mask = torch.cat([torch.ones(4, 3, dtype=torch.bool), torch.ones(4, 4).tril().bool()], dim=1)
    by_hand = scaled_dot_product(
        query, torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2), mask
    ).output
    found, seen = wrapped(x, causal=True)
    assert_close(found, attention.output(by_hand.transpose(1, 2).flatten(2)))
    assert_close(seen.keys, key)


def test_a_prefix_of_the_keys_and_values_of_words_is_as_if_they_had_been_read():
    model = made(position="none")
    first, text = ids(1, 3, seed=1), ids(1, 5)
    together = model(torch.cat([first, text], dim=1))[0][:, 3:]
    _, cache = model(first)
    add_prefix(model, 3)
    with torch.no_grad():
        for block, layer in zip(model.stack.blocks, cache.layers, strict=True):
            block.attention.added.copy_(torch.stack([layer.keys, layer.values], dim=1))
    assert_close(model(text)[0], together)


@every_position
def test_a_prompt_of_the_vectors_of_words_is_as_if_they_had_been_read(position):
    model = made(position=position)
    first, text = ids(1, 3, seed=1), ids(2, 5)
    together = model(torch.cat([first.expand(2, -1), text], dim=1))[0][:, 3:]
    add_prompt(model, 3)
    model.stack.added.data = model.embedding(first).detach()
    assert_close(model(text)[0], together)


def test_a_prompt_of_words_is_as_if_an_encoder_had_read_them_padding_or_not():
    model = made(Encoder)
    first, text, lengths = ids(1, 3, seed=1), ids(2, 5), torch.tensor([5, 2])
    together = model(torch.cat([first.expand(2, -1), text], dim=1), lengths + 3)[:, 3:]
    add_prompt(model, 3)
    model.stack.added.data = model.embedding(first).detach()
    assert_close(model(text, lengths), together)


def test_a_prefix_that_no_query_looks_at_changes_nothing():
    model = made(position="none", scaled=False)
    before = model(ids(2, 5))[0]
    # A key far away on the one axis where all queries are 1: b of the queries, W of them 0 there.
    with torch.no_grad():
        for block in model.stack.blocks:
            block.attention.project.weight[[0, 4]] = 0
            block.attention.project.bias[[0, 4]] = 1
    plain = model(ids(2, 5))[0]
    assert not torch.equal(plain, before)
    add_prefix(model, 2, spread=1.0)
    with torch.no_grad():
        for block in model.stack.blocks:
            block.attention.added[:, 0, :, :, 0] = -1e6
    assert_close(model(ids(2, 5))[0], plain)


def test_all_tokens_may_attend_to_the_prefix_and_padding_to_nothing_new():
    model = made(Encoder)
    add_prefix(model, 3, spread=1.0)
    for weights in attention_weights(model, ids(2, 5), torch.tensor([5, 2])):
        assert weights.shape == (2, 2, 5, 8)
        assert (weights[:, :, :, :3] > 0).all()
        assert (weights[1, :, :, 5:] == 0).all()
        assert_close(weights.sum(dim=3), torch.ones(2, 2, 5).double())


@every_position
@every_way
def test_a_decoder_with_a_prefix_or_a_prompt_still_cannot_see_what_comes(add, position):
    model = made(position=position)
    add(model)
    text = ids(1, 6)
    other = text.clone()
    other[0, 4] = (other[0, 4] + 1) % V
    found, changed = model(text)[0], model(other)[0]
    assert_close(found[:, :4], changed[:, :4])
    assert (found[:, 4:] - changed[:, 4:]).abs().amax(dim=2).min() > 1e-6


@every_position
@every_way
def test_token_by_token_is_all_at_once(add, position):
    model = made(position=position)
    add(model)
    text = ids(2, 6)
    together, state = model(text)[0], None
    for place, step in enumerate(text.split([2, 1, 2, 1], dim=1)):
        logits, state = model(step, state)
        end = [2, 3, 5, 6][place]
        assert_close(logits, together[:, end - step.shape[1] : end])


@every_way
def test_removing_it_gives_the_model_back_to_the_bit(add):
    model = made()
    output = model(ids(2, 6))[0]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    add(model)
    assert not torch.allclose(model(ids(2, 6))[0], output)
    remove(model)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert torch.equal(model(ids(2, 6))[0], output)


@every_way
@pytest.mark.parametrize("kind", [TransformerLM, Encoder])
def test_gradients_reach_what_was_added_alone(add, kind):
    model = made(kind)
    add(model)
    out = model(ids(2, 6))
    (out if kind is Encoder else out[0]).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == name.endswith("added") == parameter.requires_grad
        assert parameter.grad is None or parameter.grad.abs().amax(dim=-1).min() > 0, name


# Counts


@given(length=st.integers(1, 6), tasks=st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_a_prefix_has_keys_and_values_a_layer_and_a_prompt_one_vector(length, tasks):
    model = made()
    add_prefix(model, length, tasks=tasks)
    assert count_parameters(model).trained == tasks * 2 * 2 * length * 8
    model = made()
    add_prompt(model, length, tasks=tasks)
    assert count_parameters(model).trained == tasks * length * 8


def test_a_prompt_begins_as_vectors_of_words():
    model = made()
    add_prompt(model, 5, tasks=2)
    distances = torch.cdist(model.stack.added.flatten(0, 1), model.embedding.weight)
    assert (distances.min(dim=1).values < 1e-6).all()


def test_a_prefix_begins_as_wide_as_it_is_told():
    model = made()
    add_prefix(model, 500, spread=0.1)
    assert model.stack.blocks[0].attention.added.std().item() == pytest.approx(0.1, rel=0.03)


# Rows of several tasks


@every_way
@given(rows=st.lists(st.integers(0, 2), min_size=1, max_size=5), seed=st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_rows_of_several_tasks_are_as_one_by_one(add, rows, seed):
    model = made()
    add(model, tasks=3)
    text = ids(len(rows), 5, seed=seed)
    with serving(model, torch.tensor(rows)):
        together = model(text)[0]
    for row, task in enumerate(rows):
        alone = made()
        add(alone)
        kept = trained_weights(model)
        for name, parameter in alone.named_parameters():
            if name in kept:
                parameter.data = kept[name][task : task + 1]
        assert_close(together[row], alone(text[row : row + 1])[0][0])


@every_way
def test_texts_of_several_tasks_are_written_in_one_batch(add):
    model = made()
    add(model, tasks=2)
    text, tasks = ids(4, 3), torch.tensor([1, 0, 0, 1])
    with serving(model, tasks):
        together = greedy(model, text, 6)
    for row, task in enumerate(tasks):
        with serving(model, task[None]):
            assert torch.equal(greedy(model, text[row : row + 1], 6)[0], together[row])


@every_way
def test_after_serving_rows_are_as_before(add):
    model = made()
    add(model, tasks=2)
    with serving(model, torch.tensor([0, 1])):
        outer = model(ids(2, 4))[0]
        with pytest.raises(RuntimeError), serving(model, torch.tensor([1, 1])):
            raise RuntimeError
        assert torch.equal(model(ids(2, 4))[0], outer)
    with pytest.raises(ValueError, match="which of 2 tasks"):
        model(ids(2, 4))


# Encoders with decoders, and LoRA beside


def test_an_encoder_with_a_decoder_has_a_prompt_in_its_source():
    model = made(EncoderDecoder)
    first, source, target = ids(1, 3, seed=1), ids(2, 5), ids(2, 4, seed=2)
    longer = torch.cat([first.expand(2, -1), source], dim=1)
    whole = model.encoder(model.embedding(longer))[0][:, 3:]
    add_prompt(model, 3)
    model.encoder.added.data = model.embedding(first).detach()
    assert_close(model.encoder(model.embedding(source))[0], whole)
    logits, _ = model(target, model.encode(source, torch.tensor([5, 5])))
    assert logits.shape == (2, 4, V)


def test_an_encoder_with_a_decoder_has_prefixes_in_self_attention_on_both_sides():
    model = made(EncoderDecoder)
    add_prefix(model, 3)
    found = [name for name, module in model.named_modules() if isinstance(module, PrefixAttention)]
    assert found == [
        f"{side}.blocks.{layer}.attention" for side in ("encoder", "decoder") for layer in (0, 1)
    ]
    logits, _ = model(ids(2, 4), model.encode(ids(2, 5), torch.tensor([5, 2])))
    assert logits.shape == (2, 4, V)


def test_lora_and_a_prefix_stand_side_by_side():
    model = made()
    add_prefix(model, 3)
    with_prefix = model(ids(2, 5))[0]
    add_lora(model, 1)
    assert torch.equal(model(ids(2, 5))[0], with_prefix)


def test_a_cache_is_of_the_tokens_for_a_prefix_and_of_the_prompt_too_for_a_prompt():
    for add, length in ((ADD["prefix"], 4), (ADD["prompt"], 7)):
        model = made()
        add(model)
        assert model(ids(2, 4))[1].length == length


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: add_prefix(m, 0), "length must"),
        (lambda m: add_prefix(m, 2, tasks=0), "tasks must"),
        (lambda m: add_prefix(m, 2, spread=0.0), "spread must"),
        (lambda m: add_prompt(m, 0), "length must"),
        (lambda m: serving(m, torch.tensor([0])).__enter__(), "no prefix and no prompt"),
    ],
)
def test_what_cannot_be_done_changes_nothing(call, message):
    model = made()
    before = model(ids(1, 4))[0]
    with pytest.raises(ValueError, match=message):
        call(model)
    assert torch.equal(model(ids(1, 4))[0], before)
    assert count_parameters(model).trained == count_parameters(model).every


@every_way
def test_a_second_one_and_tasks_that_there_are_not_are_refused(add):
    model = made()
    add(model, tasks=2)
    with pytest.raises(ValueError, match=r"already: call finetuning\.remove"):
        add(model)
    for wrong in ([2], [-1]):
        with (
            pytest.raises(ValueError, match="tasks are 0 … 1"),
            serving(model, torch.tensor(wrong)),
        ):
            pass
    with (
        pytest.raises(ValueError, match="3 rows need as many tasks, got 2"),
        serving(model, torch.tensor([0, 1])),
    ):
        model(ids(3, 4))


def test_a_model_without_blocks_and_a_prompt_that_takes_all_places_are_refused():
    with pytest.raises(ValueError, match="no block"):
        add_prefix(nn.Linear(2, 2), 1)
    model = made()
    add_prompt(model, 28)
    with pytest.raises(ValueError, match="30"):
        model(ids(1, 4))


def test_prefixes_leave_all_places_to_the_text():
    model = made()
    add_prefix(model, 28)
    assert model(ids(1, 30))[0].shape == (1, 30, V)
    cache = Cache((KeysValues(torch.zeros(1, 2, 1, 4), torch.zeros(1, 2, 1, 4)),))
    with pytest.raises(ValueError, match="another model"):
        model(ids(1, 2), cache)
