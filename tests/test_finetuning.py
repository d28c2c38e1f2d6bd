"""Fine-tuning a part: nothing changes until it is trained, what is counted, and the way back.

Comparisons are in double precision, to 10⁻¹⁰, unless it is said otherwise.
"""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402

from nlp_course.attention import MultiHeadAttention  # noqa: E402
from nlp_course.finetuning import (  # noqa: E402
    AdaptedLinear,
    add_adapters,
    count_parameters,
    put_weights,
    remove,
    train_only,
    trained_weights,
)
from nlp_course.finetuning_lora import (  # noqa: E402
    TARGETS,
    LoRALinear,
    add_lora,
    lora_layers,
    merge_lora,
    unmerge_lora,
)
from nlp_course.finetuning_memory import (  # noqa: E402
    TRAINED_BYTES,
    measured_bytes,
    quantized,
    training_bytes,
)
from nlp_course.transformer import (  # noqa: E402
    Encoder,
    EncoderDecoder,
    Settings,
    TransformerLM,
)

V = 11
UNGATED = tuple(name for name in TARGETS if name != "gate")
SIZES = {"dimension": 8, "heads": 2, "layers": 3, "hidden": 12, "length": 20, "spread": 0.5}


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ids(*shape, seed=0):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(seed))


def language_model(**more):
    torch.manual_seed(0)
    return TransformerLM(V, Settings(**SIZES, **more)).double()


def stir(model, seed=0):
    """Give every trained parameter other values, as training would."""
    with torch.no_grad():
        for i, parameter in enumerate(p for p in model.parameters() if p.requires_grad):
            parameter.add_(0.3 * numbers(*parameter.shape, seed=seed + i))
    return model


def bits(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_close(found, expected, tolerance=1e-10):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


ADD = {
    "LoRA": lambda model: add_lora(model, rank=2, targets=UNGATED),
    "adapters": lambda model: add_adapters(model, size=3),
}


# Identities


@pytest.mark.parametrize("add", ADD.values(), ids=ADD)
def test_what_is_added_says_nothing_until_it_is_trained(add):
    model = language_model()
    before = model(ids(2, 6))[0]
    add(model)
    assert torch.equal(model(ids(2, 6))[0], before)
    assert not torch.equal(stir(model)(ids(2, 6))[0], before)


@pytest.mark.parametrize("add", ADD.values(), ids=ADD)
def test_training_reaches_what_was_added_and_nothing_else(add):
    model = language_model()
    before = bits(model)
    add(model)
    stir(model)(ids(2, 6))[0].square().mean().backward()
    for name, parameter in model.named_parameters():
        added = name.endswith((".A", ".B")) or ".down." in name or ".up." in name
        assert (parameter.grad is not None) == added == parameter.requires_grad, name
        assert not added or parameter.grad.abs().max() > 0, name
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.step()
    remove(model)
    assert_same(bits(model), before)


@pytest.mark.parametrize("add", ADD.values(), ids=ADD)
def test_removing_what_was_added_gives_the_model_back_to_the_bit(add):
    model = language_model()
    before, output = bits(model), model(ids(2, 6))[0]
    add(model)
    stir(model)
    remove(model)
    assert_same(bits(model), before)
    assert torch.equal(model(ids(2, 6))[0], output)
    assert count_parameters(model).trained == 0


@pytest.mark.parametrize("targets", [("query", "value"), UNGATED, ("key",)])
def test_merged_lora_is_the_model_with_lora(targets):
    model = language_model()
    add_lora(model, rank=2, targets=targets)
    apart = stir(model)(ids(2, 6))[0]
    merge_lora(model)
    assert_close(model(ids(2, 6))[0], apart)
    remove(model)
    assert not lora_layers(model)
    assert_close(model(ids(2, 6))[0], apart)


def test_merged_in_single_precision_is_the_same_to_a_millionth():
    torch.manual_seed(0)
    layer = LoRALinear(nn.Linear(64, 48), rank=4)
    nn.init.normal_(layer.B)
    x = torch.randn(10, 64)
    apart = layer(x)
    layer.merge()
    torch.testing.assert_close(layer(x), apart, rtol=1e-5, atol=1e-5)


def test_unmerging_gives_the_weights_back_to_the_bit():
    model = language_model()
    before = bits(model)
    add_lora(model, rank=2)
    stir(model)
    apart = model(ids(2, 6))[0]
    merge_lora(model)
    unmerge_lora(model)
    assert torch.equal(model(ids(2, 6))[0], apart)
    remove(model)
    assert_same(bits(model), before)


def test_lora_of_cross_attention_which_takes_rows_of_its_weights_is_used_there_as_well():
    torch.manual_seed(0)
    model = EncoderDecoder(V, Settings(**SIZES)).double()
    add_lora(model, rank=2, targets=("query", "key", "value"))
    stir(model)

    def logits():
        return model(ids(2, 4), model.encode(ids(2, 6, seed=1), torch.tensor([6, 4])))[0]

    apart = logits()
    for module in model.modules():
        if isinstance(module, MultiHeadAttention):
            module.project = plain(module.project)
    assert_close(logits(), apart)


def plain(layer):
    """A linear layer with W + ΔW, computed by hand, rows after rows."""
    made = nn.Linear(8, 24).double()
    made.load_state_dict(layer.linear.state_dict())
    with torch.no_grad():
        while isinstance(layer, LoRALinear):
            made.weight[layer.rows] += 8.0 / 2 * layer.B @ layer.A
            layer = layer.base
    return made


# Worked by hand


def test_a_low_rank_update_by_hand():
    layer = LoRALinear(nn.Linear(2, 3, bias=False).double(), rank=1, alpha=3.0)
    with torch.no_grad():
        layer.base.weight.copy_(torch.tensor([[1.0, 0], [0, 1], [1, 1]]))
        layer.A.copy_(torch.tensor([[2.0, 1]]))
        layer.B.copy_(torch.tensor([[1.0], [0], [-1]]))
    # A x = 4, times α/r = 3 and B: (12, 0, −12); W x = (1, 2, 3)
    assert layer(torch.tensor([1.0, 2]).double()).tolist() == [13, 2, -9]
    assert layer.update().tolist() == [[6, 3], [0, 0], [-6, -3]]
    assert layer.weight.tolist() == [[7, 3], [0, 1], [-5, -2]]


def test_rows_that_are_not_chosen_are_not_changed():
    base = nn.Linear(5, 6).double()
    layer = LoRALinear(base, rank=2, rows=slice(2, 4))
    layer.B.data = numbers(2, 2)
    x = numbers(3, 5)
    changed = (layer(x) - base(x)).abs().sum(dim=0) > 0
    assert changed.tolist() == [False, False, True, True, False, False]
    assert_close(layer(x), nn.functional.linear(x, layer.weight, layer.bias))


@pytest.mark.parametrize(("target", "part"), [("query", 0), ("key", 1), ("value", 2)])
def test_query_key_and_value_are_the_thirds_of_the_projection(target, part):
    model = language_model()
    before = model.stack.blocks[0].attention.project.weight.clone()
    add_lora(model, rank=1, targets=[target])
    stir(model)
    thirds = (model.stack.blocks[0].attention.project.weight - before).view(3, 8, 8)
    assert [bool(third.abs().max() > 0) for third in thirds] == [i == part for i in range(3)]


def test_an_adapter_by_hand():
    layer = AdaptedLinear(nn.Linear(2, 2, bias=False).double(), size=1)
    with torch.no_grad():
        layer.base.weight.copy_(torch.eye(2))
        layer.down.weight.copy_(torch.tensor([[1.0, 1]]))
        layer.down.bias.copy_(torch.tensor([-2.0]))
        layer.up.weight.copy_(torch.tensor([[1.0], [10]]))
        layer.up.bias.copy_(torch.tensor([0.0, 1]))
    # D y + c = 1; GELU(1) = Φ(1) = 0.841345
    found = layer(torch.tensor([1.0, 2]).double())
    assert_close(found, torch.tensor([1.841345, 11.413447]).double(), 1e-6)


def test_adapters_stand_before_the_sum_after_each_sublayer():
    model = language_model()
    add_adapters(model, size=3)
    found = [name for name, module in model.named_modules() if isinstance(module, AdaptedLinear)]
    assert found == [
        f"stack.blocks.{layer}.{name}"
        for layer in range(3)
        for name in ("attention.output", "feed_forward.narrow")
    ]


# Counts and memory


@given(rank=st.integers(1, 8), targets=st.sets(st.sampled_from(UNGATED), min_size=1))
@settings(max_examples=15, deadline=None)
def test_lora_has_r_times_inputs_and_outputs_of_each_map(rank, targets):
    sizes = dict.fromkeys(("query", "key", "value", "output"), 8 + 8)
    sizes |= {"widen": 8 + 12, "narrow": 12 + 8}
    model = language_model()
    every = count_parameters(model).every
    add_lora(model, rank, targets=sorted(targets))
    trained = 3 * rank * sum(sizes[target] for target in targets)
    assert count_parameters(model) == (trained, every + trained)


def test_adapters_have_two_thin_maps_a_sublayer():
    model = language_model()
    add_adapters(model, size=3)
    assert count_parameters(model).trained == 3 * 2 * (2 * 8 * 3 + 3 + 8)


def test_tied_weights_are_counted_once():
    model = language_model()
    assert model.output.weight is model.embedding.weight
    everything = sum(tensor.numel() for tensor in bits(model).values())
    assert count_parameters(model).every == everything - V * 8


def test_gated_networks_have_a_gate_to_change_and_others_do_not():
    model = language_model(gated=True)
    add_lora(model, rank=1, targets=["gate"])
    assert len(lora_layers(model)) == 3
    with pytest.raises(ValueError, match="has gate"):
        add_lora(language_model(), rank=1, targets=["query", "gate"])


@given(rank=st.integers(1, 5), seed=st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_an_update_has_at_most_its_rank(rank, seed):
    layer = LoRALinear(nn.Linear(7, 5).double(), rank)
    layer.B.data = numbers(5, rank, seed=seed)
    assert torch.linalg.matrix_rank(layer.update()) == rank


def test_the_first_step_is_on_b_alone():
    layer = LoRALinear(nn.Linear(4, 3), rank=2)
    layer(torch.ones(1, 4)).square().sum().backward()
    assert layer.A.grad.abs().max() == 0 < layer.B.grad.abs().max()


def test_a_begins_with_outputs_as_large_as_its_inputs():
    torch.manual_seed(0)
    layer = LoRALinear(nn.Linear(400, 300), rank=200)
    assert layer.A.std().item() == pytest.approx(400**-0.5, rel=0.02)


@pytest.mark.parametrize("share", ["all", "biases"])
def test_measured_bytes_are_those_of_the_formula(share):
    model = TransformerLM(V, Settings(**SIZES))
    if share == "biases":
        train_only(model, "*bias")
    trained, every = count_parameters(model)
    adam = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    model(ids(2, 6))[0].square().mean().backward()
    adam.step()
    steps = 4 * sum(p.requires_grad for p in model.parameters())  # a counter each
    assert measured_bytes(model, adam) - steps == training_bytes(every, trained)


def test_memory_of_models_that_everybody_trains():
    assert training_bytes(7e9, 7e9) == 112e9
    assert training_bytes(100, 10, frozen_bits=4) == 16 * 10 + 90 / 2
    assert training_bytes(100, 0, frozen_bits=16) == 200
    assert training_bytes(100, 100, trained_bytes=6) == 600
    assert TRAINED_BYTES == 16


# Quantization


def test_quantized_by_hand():
    weight = torch.tensor([[7.0, 3.4, -0.6, 0.2, 70.0, 14.9]])
    # blocks of four: s = 1, and s = 10
    assert quantized(weight, 4, block=4).tolist() == [[7, 3, -1, 0, 70, 10]]


@given(bits_=st.integers(2, 8), columns=st.integers(1, 9), block=st.integers(1, 10))
@settings(max_examples=30, deadline=None)
def test_quantized_has_few_levels_and_errs_by_half_a_step(bits_, columns, block):
    weight = numbers(3, columns, seed=columns)
    found = quantized(weight, bits_, block)
    largest = 2 ** (bits_ - 1) - 1
    for row, new in zip(weight, found, strict=True):
        for start in range(0, columns, block):
            old, made = row[start : start + block], new[start : start + block]
            step = old.abs().max() / largest
            assert (made - old).abs().max() <= step / 2 + 1e-12
            assert_close(made / step, (made / step).round(), 1e-9)
            assert (made / step).abs().max() <= largest + 1e-9


def test_quantized_twice_is_quantized_once_and_zeros_stay():
    once = quantized(numbers(4, 70), 4)
    assert_close(quantized(once, 4), once)
    assert quantized(torch.zeros(2, 3), 4).tolist() == [[0, 0, 0]] * 2


# What is kept of a task


def test_two_tasks_take_turns_on_one_base():
    model = language_model()
    base = model(ids(2, 6))[0]
    add_lora(model, rank=2)
    empty = trained_weights(model)
    outputs, kept = [], []
    for seed in (10, 20):
        put_weights(model, empty)
        outputs.append(stir(model, seed)(ids(2, 6))[0])
        kept.append(trained_weights(model))
    for task in (0, 1, 0):
        put_weights(model, kept[task])
        assert torch.equal(model(ids(2, 6))[0], outputs[task])
    put_weights(model, empty)
    assert torch.equal(model(ids(2, 6))[0], base)
    assert sum(t.numel() for t in kept[0].values()) == count_parameters(model).trained


def test_a_second_lora_on_the_first_adds_up_and_the_first_is_frozen():
    model = language_model()
    add_lora(model, rank=2)
    stir(model)
    first = trained_weights(model)
    between = model(ids(2, 6))[0]
    add_lora(model, rank=1, targets=["query", "output"])
    assert torch.equal(model(ids(2, 6))[0], between)
    both = stir(model, 30)(ids(2, 6))[0]
    kept = {name.rsplit(".", 1)[-1] for name in trained_weights(model)}
    assert kept == {"A", "B"}
    frozen = [tensor for name, tensor in model.named_parameters() if not tensor.requires_grad]
    assert all(any(torch.equal(one, tensor) for tensor in frozen) for one in first.values())
    merge_lora(model)
    assert_close(model(ids(2, 6))[0], both)
    unmerge_lora(model)
    assert torch.equal(model(ids(2, 6))[0], both)


def test_biases_alone_and_a_head_alone():
    model = language_model()
    train_only(model, "*bias")
    assert {n for n, p in model.named_parameters() if p.requires_grad} == {
        name for name, _ in model.named_parameters() if name.endswith(".bias")
    }
    train_only(model, "stack.last_norm.*", "stack.blocks.2.*")
    assert all(
        p.requires_grad == n.startswith(("stack.last_norm", "stack.blocks.2"))
        for n, p in model.named_parameters()
    )
    train_only(model)
    assert count_parameters(model).trained == 0


def test_weights_kept_are_copies():
    model = language_model()
    add_lora(model, rank=1)
    kept = trained_weights(model)
    stir(model)
    assert all(kept[name].abs().max() == 0 for name in kept if name.endswith(".B"))


# Bad input


@pytest.mark.parametrize("rank", [0, 5])
def test_no_rank_beyond_that_of_a_full_update(rank):
    with pytest.raises(ValueError, match="rank must lie in 1 … 4"):
        LoRALinear(nn.Linear(9, 4), rank)


@pytest.mark.parametrize("rows", [slice(4, 4), slice(0, 4, 2), slice(9, 12)])
def test_rows_that_there_are_not(rows):
    with pytest.raises(ValueError, match="rows must be"):
        LoRALinear(nn.Linear(9, 4), 1, rows=rows)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: add_lora(m, 2, targets=["query", "keys"]), "got keys"),
        (lambda m: add_lora(m, 2, targets=[]), "at least one target"),
        (lambda m: add_lora(m, 2, targets=["key", "key"]), "each once"),
        (lambda m: add_lora(m, 99), "rank must lie"),
        (lambda m: add_adapters(m, 0), "size must be"),
        (lambda m: train_only(m, "*bias", "heads.*"), "heads"),
        (lambda m: put_weights(m, {"A": torch.zeros(2)}), "no parameter A"),
        (merge_lora, "no LoRA"),
        (unmerge_lora, "no LoRA"),
    ],
)
def test_what_cannot_be_done_changes_nothing(call, message):
    model = language_model()
    before, output = bits(model), model(ids(1, 4))[0]
    with pytest.raises(ValueError, match=message):
        call(model)
    assert_same(bits(model), before)
    assert torch.equal(model(ids(1, 4))[0], output)
    assert count_parameters(model).trained == count_parameters(model).every


def test_merging_twice_and_unmerging_twice_are_refused():
    layer = LoRALinear(nn.Linear(4, 4), 2)
    with pytest.raises(ValueError, match="not merged"):
        layer.unmerge()
    layer.merge()
    with pytest.raises(ValueError, match="merged already"):
        layer.merge()
    layer.unmerge()
    with pytest.raises(ValueError, match="not merged"):
        layer.unmerge()


def test_unmerging_in_the_wrong_order_is_refused_and_in_the_right_one_works():
    low = LoRALinear(nn.Linear(4, 4), 2)
    high = LoRALinear(low, 1)
    for layer in (low, high):
        nn.init.ones_(layer.B)
    before = low.base.weight.clone()
    low.merge()
    high.merge()
    with pytest.raises(ValueError, match="opposite order"):
        low.unmerge()
    high.unmerge()
    low.unmerge()
    assert torch.equal(low.base.weight, before)


def test_adapters_and_lora_where_the_other_stands():
    model = language_model()
    add_adapters(model, 2)
    with pytest.raises(ValueError, match="call remove"):
        add_adapters(model, 2)
    with pytest.raises(ValueError, match="adapters stand after output"):
        add_lora(model, 1, targets=["output"])
    add_lora(model, 1, targets=["query"])
    assert len(lora_layers(model)) == 3


def test_models_without_attention_are_refused():
    with pytest.raises(ValueError, match="no sublayer"):
        add_adapters(nn.Linear(2, 2), 1)
    with pytest.raises(ValueError, match="no layer of this model has query, value"):
        add_lora(nn.Linear(2, 2), 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quantized(torch.ones(1, 2), 1), "bits must lie"),
        (lambda: quantized(torch.ones(1, 2), 4, 0), "block must be"),
        (lambda: training_bytes(10, 11), "got 11"),
        (lambda: training_bytes(10, 1, frozen_bits=0), "above 0"),
    ],
)
def test_memory_and_quantization_refuse_what_has_no_meaning(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_copy_is_trained_by_itself():
    model = Encoder(V, Settings(**SIZES)).double()
    add_lora(model, rank=1)
    other = copy.deepcopy(model)
    before = model(ids(2, 5))
    stir(other)
    assert torch.equal(model(ids(2, 5)), before)
    assert not torch.equal(other(ids(2, 5)), before)
