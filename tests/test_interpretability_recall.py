"""The logit lens and what is counted with it: identities, values by hand, sums over heads."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from nlp_course.interpretability import Recording, record  # noqa: E402
from nlp_course.interpretability_recall import (  # noqa: E402
    Extraction,
    answer_rank,
    attributes_rate,
    extraction_events,
    head_additions,
    head_lens,
    lens,
)
from nlp_course.transformer import Settings, TransformerLM  # noqa: E402

V, LAYERS, TIME, D = 11, 3, 6, 8


def ids(*shape, seed=0):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(seed))


def make(**settings):
    torch.manual_seed(0)
    sizes = {"dimension": D, "heads": 2, "layers": LAYERS, "length": 12, "spread": 0.4}
    return TransformerLM(V, Settings(**sizes, **settings)).double().eval()


def assert_close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


# Lens


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_the_lens_after_the_last_layer_gives_the_logits(norm):
    model = make(norm=norm)
    run = record(model, ids(2, TIME))
    assert_close(lens(model, run.stream[-1]), run.logits)
    assert (lens(model, run.stream[1]) - run.logits).abs().max() > 1e-2


def test_the_lens_by_hand():
    model = make(norm="rms")
    x = torch.arange(1.0, 9.0).double()
    normed = x / (x.square().mean() + 1e-5).sqrt()
    assert_close(lens(model, x), model.embedding.weight @ normed)


# Attributes and ranks


def test_attributes_rate_by_hand():
    logits = torch.tensor([[5.0, 4.0, 3.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
    truth = torch.tensor([[True, False, True, False], [True, True, False, False]])
    assert attributes_rate(logits, truth, 1).tolist() == [1.0, 0.0]
    assert attributes_rate(logits, truth, 3).tolist() == [
        pytest.approx(2 / 3),
        pytest.approx(1 / 3),
    ]
    assert attributes_rate(logits, truth, 4).tolist() == [0.5, 0.5]


@given(k=st.integers(1, V), seed=st.integers(0, 99))
def test_of_random_logits_the_rate_is_what_chance_gives_and_within_bounds(k, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4_000, V, generator=generator)
    truth = torch.zeros(1, V, dtype=torch.bool)
    truth[:, :4] = True
    rates = attributes_rate(logits, truth, k)
    assert rates.min() >= max(0, k + 4 - V) / k - 1e-6
    assert rates.max() <= min(1, 4 / k) + 1e-6
    assert rates.mean() == pytest.approx(4 / V, abs=0.04)


def test_answer_rank_counts_what_is_likelier():
    logits = torch.tensor([[[0.1, 0.7, 0.2], [0.5, 0.1, 0.4]]])
    assert answer_rank(logits, torch.tensor([[0, 0]])).tolist() == [[2, 0]]
    assert answer_rank(logits[0], torch.tensor([2, 2])).tolist() == [1, 1]


# Extraction


def test_extraction_is_seen_in_the_layer_and_part_that_writes_the_answer():
    """A recording made by hand: layer 1's network adds the vector of token 7 to the first text."""
    model = make(norm="rms")
    with torch.no_grad():
        model.embedding.weight.copy_(torch.eye(V, D).double())
    nothing = torch.zeros(LAYERS, 2, TIME, D).double()
    attention, feed_forward = nothing - torch.eye(V, D)[3].double(), nothing.clone()
    feed_forward[1, 0, 4] = model.embedding.weight[7]
    attention[2, 1, 2] = model.embedding.weight[5]
    logits = torch.zeros(2, TIME, V).double()
    logits[0, 4, 7] = logits[1, 2, 5] = 1.0
    run = Recording(logits, torch.zeros(LAYERS + 1, 2, TIME, D).double(), attention, feed_forward)
    found = extraction_events(model, run, torch.tensor([4, 2]))
    assert found.feed_forward.tolist() == [[False, False], [True, False], [False, False]]
    assert found.attention.tolist() == [[False, False], [False, False], [False, True]]
    assert found.rates() == (0.5, 0.5)


def test_rates_count_a_text_once_however_many_layers_write_its_answer():
    layers = torch.tensor([[True, False, False, False], [True, True, False, False]])
    assert Extraction(layers, ~layers).rates() == (0.5, 0.75)


# Heads


@pytest.mark.parametrize("bias", [True, False])
def test_what_heads_add_sums_to_what_attention_adds(bias):
    model, text = make(bias=bias), ids(2, TIME)
    if bias:
        for block in model.stack.blocks:
            torch.nn.init.normal_(block.attention.output.bias)
    run = record(model, text)
    for layer in range(LAYERS):
        assert_close(head_additions(model, text, layer).sum(dim=2), run.attention[layer])


def test_a_head_that_attends_to_one_token_writes_what_its_lens_says():
    """The first token can attend to itself alone."""
    model, text = make(bias=False), ids(3, TIME)
    run = record(model, text)
    for layer in range(LAYERS):
        added = head_additions(model, text, layer)[:, 0]
        for head in range(2):
            found = head_lens(model, layer, head, run.stream[layer][:, 0])
            assert_close(found, lens(model, added[:, head]))


def test_without_vectors_a_head_maps_every_token():
    model = make()
    found = head_lens(model, 1, 1)
    assert found.shape == (V, V)
    assert_close(found[4:5], head_lens(model, 1, 1, model.embedding.weight[4:5]))


# Bad input


def test_refuses_layers_heads_and_numbers_that_there_are_not():
    model = make()
    with pytest.raises(ValueError, match=r"layer must lie in 0 … 2, got 3"):
        head_additions(model, ids(1, 3), 3)
    with pytest.raises(ValueError, match=r"layer must lie in 0 … 2, got -1"):
        head_lens(model, -1, 0)
    with pytest.raises(ValueError, match=r"head must lie in 0 … 1, got 2"):
        head_lens(model, 0, 2)
    for k in (0, V + 1):
        with pytest.raises(ValueError, match=r"k must lie in 1 … 11"):
            attributes_rate(torch.zeros(1, V), torch.zeros(1, V, dtype=torch.bool), k)
