"""Mixtures of experts: the short way equals the long one, limits, balance, capacity, Mixtral's.

Comparisons are in double precision, to 10⁻¹⁰, unless it is said otherwise.
"""

from __future__ import annotations

import copy
import functools
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from nlp_course.experts import (  # noqa: E402
    MixtureOfExperts,
    active_parameters,
    balance,
    balance_loss,
    gate,
    mixture,
    mixtures,
    over_capacity,
    uncertainty_coefficient,
)
from nlp_course.transformer import Encoder, EncoderDecoder, Settings, TransformerLM  # noqa: E402
from nlp_course.transformer_blocks import FeedForward  # noqa: E402

V, D = 11, 6
SIZES = {"dimension": D, "heads": 2, "layers": 2, "length": 40, "hidden": 5}


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ids(*shape, seed=0):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(seed))


def assert_close(found, expected, tolerance=1e-10):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def large(module):
    """In double precision, with weights large enough for every part to matter."""
    module = module.double()
    for i, parameter in enumerate(module.parameters()):
        parameter.data = 0.5 * numbers(*parameter.shape, seed=i)
    return module


@functools.cache
def layer(experts=4, chosen=2, **named):
    return large(MixtureOfExperts(Settings(**{**SIZES, **named}, experts=experts, chosen=chosen)))


def decoder(**named):
    return large(TransformerLM(V, Settings(**{**SIZES, "experts": 4, **named})))


# Limits and identities


@given(
    experts=st.integers(1, 6),
    tokens=st.integers(0, 9),
    gated=st.booleans(),
    seed=st.integers(0, 99),
    data=st.data(),
)
@examples(max_examples=40)
def test_each_expert_computing_its_own_tokens_gives_what_all_computing_all_give(
    experts, tokens, gated, seed, data
):
    k = data.draw(st.integers(1, experts))
    mixed, x = layer(experts, k, gated=gated), numbers(tokens, D, seed=seed)
    assert_close(mixed(x), mixture(x, mixed.router(x), list(mixed.experts), k))


def test_an_expert_computes_no_token_but_its_own():
    mixed, x = layer(), numbers(7, D)
    seen = []
    hooks = [e.register_forward_hook(lambda m, i, o: seen.append(len(i[0]))) for e in mixed.experts]
    mixed(x)
    for hook in hooks:
        hook.remove()
    assert sum(seen) == 2 * 7
    assert seen == mixed.routing.chosen.flatten().bincount(minlength=4).tolist()


@pytest.mark.parametrize("chosen", [1, 2, 3])
def test_alike_experts_give_what_one_of_them_gives(chosen):
    mixed, x = copy.deepcopy(layer(3, chosen)), numbers(2, 5, D)
    for expert in mixed.experts:
        expert.load_state_dict(mixed.experts[0].state_dict())
    assert_close(mixed(x), mixed.experts[0](x))


def test_one_expert_is_a_dense_network_and_its_router_learns_nothing():
    mixed, x = layer(1, 1), numbers(5, D)
    assert_close(mixed(x), mixed.experts[0](x))
    mixed.zero_grad()
    mixed(x).square().sum().backward()
    assert not mixed.router.weight.grad.any()


def test_all_experts_chosen_are_an_average_weighed_by_the_softmax_of_all_scores():
    mixed, x = layer(3, 3), numbers(5, D)
    weights = mixed.router(x).softmax(dim=-1)
    expected = sum(weights[:, i : i + 1] * mixed.experts[i](x) for i in range(3))
    assert_close(mixed(x), expected)


@given(seed=st.integers(0, 99), k=st.integers(1, 5))
def test_weights_are_the_whole_softmax_cut_and_divided_by_its_sum(seed, k):
    logits = numbers(4, 5, seed=seed)
    chosen, weights = gate(logits, k)
    top = logits.softmax(dim=-1).gather(1, chosen)
    assert_close(weights, top / top.sum(dim=1, keepdim=True))
    assert_close(top, logits.softmax(dim=-1).topk(k).values)
    assert all(len(set(row)) == k for row in chosen.tolist())


def test_of_equal_scores_the_first_experts_are_chosen_each_alike():
    chosen, weights = gate(torch.zeros(3, 40), k=3)
    assert chosen.tolist() == [[0, 1, 2]] * 3
    assert_close(weights, torch.full((3, 3), 1 / 3), 1e-6)
    assert gate(torch.tensor([[1.0, 3.0, 2.0, 3.0]]), 3).chosen.tolist() == [[1, 3, 2]]


def test_a_token_worked_by_hand():
    logits = torch.tensor([[3.0, 1.0, 2.0]]).double().log()
    chosen, weights = gate(logits, k=2)
    assert chosen.tolist() == [[0, 2]]
    assert_close(weights, torch.tensor([[3.0, 2.0]]).double() / 5)
    y = mixture(torch.ones(1, 2).double(), logits, [lambda x: 10 * x, lambda x: 1e9 * x, abs], 2)
    assert_close(y, torch.full((1, 2), 6.4, dtype=torch.float64))


@given(order=st.permutations(range(6)), seed=st.integers(0, 99))
def test_without_capacity_tokens_permute_and_do_not_depend_on_one_another(order, seed):
    mixed, x = layer(), numbers(6, D, seed=seed)
    whole = mixed(x)
    assert_close(mixed(x[order]), whole[order])
    assert_close(mixed(x[2]), whole[2])
    assert_close(mixed(x.view(2, 3, D)), whole.view(2, 3, D))


def test_no_tokens_are_computed_too():
    mixed = layer()
    assert mixed(numbers(2, 0, D)).shape == (2, 0, D)
    assert mixed.routing.chosen.shape == (0, 2)
    full = layer(capacity=1.0)
    assert full(numbers(0, D)).shape == (0, D)


# Gradients


def test_gradients_are_those_of_finite_differences_for_router_experts_and_tokens():
    mixed, x = layer(3, 2), numbers(4, D)
    scores = mixed.router(x).sort(dim=-1).values
    assert scores.diff(dim=-1).min() > 1e-3  # no choice changes within the differences
    names = [name for name, _ in mixed.named_parameters()]
    assert "router.weight" in names

    def output(x, *parameters):
        return torch.func.functional_call(mixed, dict(zip(names, parameters, strict=True)), (x,))

    inputs = [x, *(parameter.detach().clone() for parameter in mixed.parameters())]
    assert torch.autograd.gradcheck(output, [part.requires_grad_() for part in inputs])


def test_an_expert_that_no_token_chose_has_a_gradient_of_zero_and_not_none():
    mixed = copy.deepcopy(layer(4, 1))
    with torch.no_grad():
        mixed.router.weight.zero_()  # all scores alike: all tokens go to the first
    mixed(numbers(5, D)).sum().backward()
    assert mixed.routing.chosen.unique().tolist() == [0]
    assert mixed.experts[0].widen.weight.grad.any()
    for expert in mixed.experts[1:]:
        assert not expert.widen.weight.grad.any()


# Balance


@given(seed=st.integers(0, 99), k=st.integers(1, 4))
def test_balance_is_1_if_probabilities_or_choices_are_even(seed, k):
    probabilities = numbers(8, 4, seed=seed).softmax(dim=-1)
    even = torch.stack([torch.arange(4).roll(-shift) for shift in range(8)])[:, :k]
    assert_close(balance(probabilities, even), torch.tensor(1.0).double(), 1e-6)
    chosen = gate(numbers(8, 4, seed=seed), k).chosen
    assert_close(
        balance(torch.full((8, 4), 0.25).double(), chosen), torch.tensor(1.0).double(), 1e-6
    )


def test_balance_worked_by_hand_and_at_its_most():
    probabilities = torch.tensor([[0.5, 0.3, 0.2], [0.7, 0.1, 0.2]])
    # f = (2, 1, 1)/4, P = (0.6, 0.2, 0.2): 3 (0.3 + 0.05 + 0.05)
    assert balance(probabilities, torch.tensor([[0, 1], [0, 2]])).item() == pytest.approx(1.2)
    sure = torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(5, 4)
    assert balance(sure, torch.tensor([[0]] * 5)).item() == 4
    assert balance(sure, torch.tensor([[0, 1]] * 5)).item() == 2


def test_balance_lowers_the_probability_of_what_is_chosen_often():
    logits = torch.zeros(6, 3, requires_grad=True)
    balance(logits.softmax(dim=-1), torch.tensor([[0]] * 4 + [[1]] * 2)).backward()
    assert (logits.grad[:, 0] > 0).all()
    assert (logits.grad[:, 2] < 0).all()


def test_balance_is_hugging_faces_divided_by_k():
    theirs = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
    for k in (1, 2, 3):
        logits = numbers(20, 4, seed=k)
        found = balance(logits.softmax(dim=-1), gate(logits, k).chosen)
        expected = theirs.load_balancing_loss_func((logits,), num_experts=4, top_k=k)
        assert_close(found.float(), expected / k, 1e-6)


@pytest.mark.parametrize("kind", [Encoder, TransformerLM])
def test_a_models_balance_is_the_sum_over_its_layers(kind):
    model = large(kind(V, Settings(**SIZES, experts=4)))
    model(ids(2, 7))
    routings = [found.routing for found in mixtures(model)]
    assert len(routings) == 2
    expected = sum(balance(one.probabilities, one.chosen) for one in routings)
    assert_close(balance_loss(model), expected)
    balance_loss(model).backward()
    assert all(found.router.weight.grad.any() for found in mixtures(model))


def test_training_with_the_loss_evens_the_work():
    torch.manual_seed(0)
    mixed = MixtureOfExperts(Settings(**SIZES, experts=4, chosen=1, spread=0.5))
    x = torch.randn(64, D) + 2  # off centre, so that one expert has more than its part
    optimizer = torch.optim.Adam(mixed.router.parameters(), lr=0.02)
    mixed(x)
    before = mixed.routing.chosen.flatten().bincount(minlength=4).max().item()
    for _ in range(200):
        mixed(x)
        optimizer.zero_grad()
        balance_loss(mixed).backward()
        optimizer.step()
    after = mixed.routing.chosen.flatten().bincount(minlength=4).max().item()
    assert before > 32 > 24 > after


# Capacity


def test_over_capacity_first_choices_come_before_second_ones():
    chosen = torch.tensor([[0, 1], [0, 1], [1, 0]])
    assert over_capacity(chosen, 2, 1).tolist() == [[False, True], [True, True], [False, True]]
    assert over_capacity(chosen, 2, 2).tolist() == [[False, False], [False, True], [False, True]]
    assert not over_capacity(chosen, 2, 3).any()
    assert over_capacity(chosen, 2, 0).all()


@given(
    tokens=st.integers(1, 12), k=st.integers(1, 3), room=st.integers(0, 5), seed=st.integers(0, 99)
)
def test_every_expert_takes_what_it_was_asked_for_up_to_its_capacity(tokens, k, room, seed):
    chosen = gate(numbers(tokens, 3, seed=seed), k).chosen
    dropped = over_capacity(chosen, 3, room)
    asked = chosen.flatten().bincount(minlength=3)
    taken = chosen[~dropped].bincount(minlength=3)
    assert taken.tolist() == asked.clamp(max=room).tolist()


@pytest.mark.parametrize(
    ("capacity", "room"), [(1.0, 4), (1.25, 5), (0.5, 2), (0.1, 1), (100.0, 400)]
)
def test_capacity_is_a_multiple_of_an_equal_share_rounded_up(capacity, room):
    mixed, x = layer(capacity=capacity), numbers(8, D)  # an equal share is 2 · 8 / 4 = 4
    mixed(x)
    dropped = over_capacity(mixed.routing.chosen, 4, room)
    assert mixed.routing.dropped.equal(dropped)


def test_what_is_dropped_is_left_out_of_the_sum_and_weights_stay():
    mixed, free, x = layer(capacity=0.5), layer(), numbers(8, D)
    y, routing = mixed(x), mixed.routing
    assert 0 < routing.dropped.sum() < 16
    outputs = torch.stack([expert(x) for expert in free.experts], dim=1)
    expected = torch.zeros_like(x)
    for token, choice in itertools.product(range(8), range(2)):
        if not routing.dropped[token, choice]:
            part = outputs[token, routing.chosen[token, choice]]
            expected[token] += routing.weights[token, choice] * part
    assert_close(y, expected)
    both = routing.dropped.all(dim=1)
    assert both.any()
    assert not y[both].any()


def test_ample_capacity_changes_nothing():
    assert_close(decoder(capacity=4.0)(ids(2, 9))[0], decoder()(ids(2, 9))[0])
    model = decoder(capacity=4.0)
    model(ids(2, 9))
    assert not any(found.routing.dropped.any() for found in mixtures(model))


# In a transformer


@given(place=st.integers(0, 6), new=st.integers(0, V - 1), seed=st.integers(0, 99))
@examples(max_examples=20)
def test_without_capacity_no_token_changes_a_logit_before_it_or_in_another_text(place, new, seed):
    model, x = decoder(), ids(2, 7, seed=seed)
    other = x.clone()
    other[0, place] = new
    before, after = model(x)[0], model(other)[0]
    assert_close(after[0, :place], before[0, :place])
    assert_close(after[1], before[1])


def test_with_capacity_later_tokens_and_other_texts_change_logits():
    model, earlier, elsewhere = decoder(capacity=1.0), 0.0, 0.0
    for seed in range(20):
        x = ids(2, 7, seed=seed)
        other = x.clone()
        other[0, -1] = (other[0, -1] + 1) % V
        difference = (model(x)[0] - model(other)[0]).abs()
        earlier = max(earlier, difference[0, :-1].max().item())
        elsewhere = max(elsewhere, difference[1].max().item())
    assert earlier > 1e-3
    assert elsewhere > 1e-3


def test_logits_with_a_cache_are_those_without_unless_there_is_a_capacity():
    x = ids(2, 9)
    for capacity, same in ((None, True), (0.5, False)):
        model = decoder(capacity=capacity)
        whole = model(x)[0]
        logits, state = [], None
        for t in range(9):
            found, state = model(x[:, t : t + 1], state)
            logits.append(found)
        assert torch.allclose(torch.cat(logits, dim=1), whole, rtol=0, atol=1e-10) is same


def test_both_stacks_of_an_encoder_decoder_may_have_experts():
    model = large(EncoderDecoder(V, Settings(**SIZES, experts=3)))
    state = model.encode(ids(2, 4), torch.tensor([4, 2]))
    assert model(ids(2, 3), state)[0].shape == (2, 3, V)
    assert len(mixtures(model)) == 4


def test_initial_weights_are_a_dense_models_however_many_experts():
    settings = Settings(dimension=64, layers=3, spread=0.1, experts=8)
    model = TransformerLM(V, settings)
    for block in model.stack.blocks:
        assert block.feed_forward.router.weight.std().item() == pytest.approx(0.1, rel=0.2)
        for expert in block.feed_forward.experts:
            assert expert.widen.weight.std().item() == pytest.approx(0.1, rel=0.1)
            # Two sums a block, of three blocks: as many as in a dense model.
            assert expert.narrow.weight.std().item() == pytest.approx(0.1 * 6**-0.5, rel=0.1)


def test_without_experts_a_block_has_a_feed_forward_network():
    model = TransformerLM(V, Settings(**SIZES))
    assert all(isinstance(block.feed_forward, FeedForward) for block in model.stack.blocks)
    assert not mixtures(model)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_precision_half_and_mixed(kind):
    torch.manual_seed(0)
    mixed = MixtureOfExperts(Settings(dimension=16, heads=2, experts=4))
    x = torch.randn(2, 9, 16)
    expected = mixed(x)
    with torch.autocast("cpu", torch.bfloat16):
        y = mixed(x)
        assert mixed.routing.probabilities.dtype == torch.float32
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, expected, rtol=0, atol=5e-3)
    y.sum().backward()
    assert all(p.grad.isfinite().all() for p in mixed.parameters())
    half = mixed.to(kind)(x.to(kind))
    assert half.dtype == kind
    torch.testing.assert_close(half.float(), expected, rtol=0, atol=5e-3)


def test_a_model_that_was_called_can_be_copied_and_trained():
    model = decoder()
    model(ids(2, 5))
    again = copy.deepcopy(model)
    assert mixtures(model)[0].routing is not None
    assert mixtures(again)[0].routing is None
    assert_close(again(ids(2, 5))[0], model(ids(2, 5))[0])


# Mixtral


def test_with_mixtrals_settings_a_mixture_is_hugging_faces_block():
    """Gated networks with SiLU and no biases; in single precision, to 10⁻⁶."""
    theirs = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
    config = theirs.MixtralConfig(
        hidden_size=12, intermediate_size=20, num_local_experts=5, num_experts_per_tok=2
    )
    config._experts_implementation = "eager"
    block = theirs.MixtralSparseMoeBlock(config).eval()
    for i, parameter in enumerate(block.parameters()):
        parameter.data = 0.3 * numbers(*parameter.shape, seed=i).float()
    ours = MixtureOfExperts(
        Settings(12, 2, hidden=20, activation="silu", gated=True, bias=False, experts=5, chosen=2)
    )
    found = {"router.weight": block.gate.weight}
    for i in range(5):
        gates, ups = block.experts.gate_up_proj[i].chunk(2)
        found[f"experts.{i}.gate.weight"] = gates
        found[f"experts.{i}.widen.weight"] = ups
        found[f"experts.{i}.narrow.weight"] = block.experts.down_proj[i]
    ours.load_state_dict(found)
    x = numbers(3, 7, 12).float()
    torch.testing.assert_close(ours(x), block(x), rtol=1e-6, atol=1e-6)
    assert len(ours.routing.chosen.unique()) == 5


def test_mixtral_has_46_7_billion_parameters_and_a_token_uses_12_9():
    settings = Settings(
        4096, 32, 32, hidden=14336, position="rotary", norm="rms", activation="silu", gated=True,
        bias=False, experts=8, chosen=2,
    )  # fmt: skip
    with torch.device("meta"):
        model = TransformerLM(32_000, settings, tied=False)
    # Mixtral's 32 heads share 8 of keys and values, ours have one each.
    surplus = 32 * 2 * (4096 - 1024) * 4096
    active, total = active_parameters(model)
    assert total - surplus == 46_702_792_704
    assert active - surplus == 12_879_925_248


# Parameters


def test_active_parameters_count_the_chosen_experts_alone():
    dense = active_parameters(TransformerLM(V, Settings(**SIZES)))
    assert dense.active == dense.total
    expert = 2 * D * 5 + 5 + D
    for chosen in (1, 2, 4):
        active, total = active_parameters(decoder(chosen=chosen))
        assert total == dense.total + 2 * (3 * expert + 4 * D)
        assert active == dense.total + 2 * ((chosen - 1) * expert + 4 * D)


# What tells an expert


def test_what_decides_the_expert_tells_all_and_what_is_independent_nothing():
    experts = torch.arange(6).repeat(4)
    assert uncertainty_coefficient(experts, experts * 7 + 1) == pytest.approx(1)
    assert uncertainty_coefficient(experts, torch.arange(4).repeat_interleave(6)) == pytest.approx(
        0, abs=1e-12
    )
    # Labels that halve three experts' choice from six: log 2 of log 6.
    assert uncertainty_coefficient(experts, experts % 2) == pytest.approx(math.log(2) / math.log(6))


@given(tokens=st.integers(2, 60), seed=st.integers(0, 99))
def test_what_a_label_tells_is_scikit_learns_homogeneity(tokens, seed):
    metrics = pytest.importorskip("sklearn.metrics")
    draw = torch.Generator().manual_seed(seed)
    experts = torch.randint(4, (tokens,), generator=draw)
    labels = torch.randint(5, (tokens,), generator=draw)
    if len(experts.unique()) > 1:
        expected = metrics.homogeneity_score(experts.numpy(), labels.numpy())
        assert uncertainty_coefficient(experts, labels) == pytest.approx(expected, abs=1e-9)


# Refused


def test_numbers_that_make_no_sense_are_refused():
    for named, message in (
        ({"experts": -1}, "experts must be at least 0, got -1"),
        ({"experts": 2, "chosen": 3}, "chosen must lie in 1 … 2, the number of experts, got 3"),
        ({"experts": 2, "chosen": 0}, "chosen must lie in 1 … 2, the number of experts, got 0"),
        ({"experts": 2, "capacity": 0.0}, "capacity must be above 0, got 0.0"),
        ({"experts": 2, "capacity": math.nan}, "capacity must be above 0, got nan"),
    ):
        with pytest.raises(ValueError, match=message):
            Settings(**SIZES, **named)
    for k in (0, 4):
        with pytest.raises(
            ValueError, match=f"k must lie in 1 … 3, the number of experts, got {k}"
        ):
            gate(torch.zeros(2, 3), k)
    with pytest.raises(ValueError, match="3 scores need as many experts, got 2"):
        mixture(torch.zeros(2, 4), torch.zeros(2, 3), [F.relu, F.gelu], 1)
    with pytest.raises(ValueError, match="a mixture needs at least 1 expert"):
        MixtureOfExperts(Settings(**SIZES))


def test_a_balance_of_nothing_is_refused():
    with pytest.raises(ValueError, match="there are no tokens whose experts could be balanced"):
        balance(torch.zeros(0, 3), torch.zeros(0, 1, dtype=torch.long))
    with pytest.raises(ValueError, match="there is no mixture of experts in a Linear"):
        balance_loss(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="call the model first"):
        balance_loss(decoder())


def test_labels_that_do_not_fit_or_tell_nothing_are_refused():
    with pytest.raises(ValueError, match="3 tokens need as many labels, got 2"):
        uncertainty_coefficient(torch.arange(3), torch.arange(2))
    with pytest.raises(ValueError, match="all tokens have the same expert"):
        uncertainty_coefficient(torch.zeros(3, dtype=torch.long), torch.arange(3))
