"""Recording and intervening: identities that hold for any model, and values computed apart."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course.attention import attention_weights, causal_mask  # noqa: E402
from nlp_course.interpretability import (  # noqa: E402
    PARTS,
    answer_probabilities,
    cut_attention,
    edges_between,
    knockout_curve,
    layers_of,
    logits_of,
    patch,
    patching_effect,
    record,
    silence,
    window,
)
from nlp_course.transformer import Settings, TransformerLM  # noqa: E402
from nlp_course.transformer_blocks import POSITIONS  # noqa: E402

V, LAYERS, TIME = 11, 3, 6


def ids(*shape, seed=0):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(seed))


def make(**settings):
    """In double precision, with weights large enough for every token to matter to every other."""
    torch.manual_seed(0)
    sizes = {"dimension": 8, "heads": 2, "layers": LAYERS, "length": 12, "spread": 0.4}
    return TransformerLM(V, Settings(**sizes, **settings)).double().eval()


@pytest.fixture(params=POSITIONS)
def model(request):
    return make(position=request.param)


def at(batch, time, *places):
    """True at some places of every text."""
    chosen = torch.zeros(batch, time, dtype=torch.bool)
    chosen[:, list(places)] = True
    return chosen


def assert_close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


# The stream


def test_the_stream_is_the_sum_of_what_layers_add(model):
    run = record(model, ids(2, TIME))
    assert len(run.stream) == LAYERS + 1
    for place in range(LAYERS + 1):
        total = run.stream[0] + run.attention[:place].sum(0) + run.feed_forward[:place].sum(0)
        assert_close(total, run.stream[place])


def test_the_stream_begins_with_vectors_of_tokens_and_ends_in_the_logits():
    model, text = make(position="none"), ids(2, TIME)
    run = record(model, text)
    assert_close(run.stream[0], model.embedding(text))
    assert_close(run.logits, model.output(model.stack.last_norm(run.stream[-1])))


def test_recording_changes_nothing_and_leaves_no_hooks(model):
    text = ids(2, TIME)
    model.train()
    usual = model(text)[0]
    run = record(model, text)
    assert model.training
    assert_close(run.logits, usual)
    assert_close(model(text)[0], usual)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_recording_is_without_dropout():
    model = make(dropout=0.5).train()
    assert_close(record(model, ids(1, TIME)).logits, record(model, ids(1, TIME)).logits)


# Cutting edges


def test_cutting_no_edge_changes_no_logit(model):
    text = ids(2, TIME)
    none = torch.zeros(2, TIME, TIME, dtype=torch.bool)
    with cut_attention(model, none, range(LAYERS)):
        assert_close(logits_of(model, text), model(text)[0])


def test_with_all_edges_into_the_last_token_cut_it_depends_on_itself_alone(model):
    text, other = ids(1, TIME), ids(1, TIME, seed=1)
    other[:, -1] = text[:, -1]
    last = at(1, TIME, TIME - 1)
    with cut_attention(model, edges_between(last, ~last), range(LAYERS)):
        assert_close(logits_of(model, text)[:, -1], logits_of(model, other)[:, -1])
    assert (logits_of(model, text) - logits_of(model, other))[:, -1].abs().max() > 1e-3


def test_cut_edges_get_no_weight_and_the_others_of_a_row_sum_to_one(model):
    text, edges = ids(2, TIME), edges_between(at(2, TIME, 3, 5), at(2, TIME, 1))
    with cut_attention(model, edges, [1]):
        weights = attention_weights(model, text)
    assert_close(weights[1].sum(-1), torch.ones_like(weights[1].sum(-1)))
    assert weights[1][:, :, [3, 5], 1].abs().max() == 0
    assert weights[0][:, :, [3, 5], 1].min() > 0
    assert weights[2][:, :, [3, 5], 1].min() > 0
    assert weights[1].triu(1).abs().max() == 0


def test_cut_weights_are_the_usual_ones_without_the_edge_made_to_sum_to_one():
    model, text = make(), ids(1, TIME)
    [usual, *_] = attention_weights(model, text)
    with cut_attention(model, edges_between(at(1, TIME, 5), at(1, TIME, 2)), [0]):
        [cut, *_] = attention_weights(model, text)
    expected = usual.clone()
    expected[:, :, 5, 2] = 0
    assert_close(cut, expected / expected.sum(-1, keepdim=True))


def test_a_token_that_may_attend_to_nothing_gets_zeros_from_attention(model):
    everything = torch.ones(1, TIME, TIME, dtype=torch.bool)
    with cut_attention(model, everything, [2]):
        run = record(model, ids(2, TIME))
    bias = layers_of(model)[2].attention.output.bias
    assert_close(run.attention[2], bias.expand_as(run.attention[2]))


def test_each_text_of_a_batch_has_edges_of_its_own():
    model, text = make(), ids(2, TIME)
    edges = torch.zeros(2, TIME, TIME, dtype=torch.bool)
    edges[1, 5, :4] = True
    with cut_attention(model, edges, range(LAYERS)):
        found = logits_of(model, text)
    assert_close(found[0], model(text)[0][0])
    assert (found[1] - model(text)[0][1])[5].abs().max() > 1e-3


# Silence


@pytest.mark.parametrize("part", PARTS)
def test_a_silent_layer_adds_nothing_where_it_is_silent(model, part):
    text, chosen = ids(2, TIME), at(2, TIME, 1, 4)
    usual = record(model, text)
    with silence(model, part, [1], chosen):
        run = record(model, text)
    added = getattr(run, part)
    assert added[1][chosen].abs().max() == 0
    assert_close(getattr(run, PARTS[0])[0], usual.attention[0])
    assert added[0].abs().min() > 0
    assert_close(added[1][:, 0], getattr(usual, part)[1][:, 0])


def test_with_all_sublayers_silent_the_stream_never_changes(model):
    with silence(model, "attention", range(3)), silence(model, "feed_forward", range(3)):
        run = record(model, ids(2, TIME))
    for vectors in run.stream:
        assert_close(vectors, run.stream[0])


# Patching


def test_patching_a_run_with_itself_changes_nothing(model):
    text = ids(2, TIME)
    run = record(model, text)
    for place, vectors in enumerate(run.stream):
        with patch(model, place, at(2, TIME, 1, 3), vectors):
            assert_close(logits_of(model, text), run.logits)


def test_patching_all_tokens_with_another_run_gives_its_logits(model):
    run = record(model, ids(2, TIME, seed=1))
    for place, vectors in enumerate(run.stream):
        with patch(model, place, torch.ones(2, TIME, dtype=torch.bool), vectors):
            assert_close(logits_of(model, ids(2, TIME)), run.logits)


def test_patching_one_token_at_the_beginning_is_changing_it():
    model, text, other = make(position="none"), ids(1, TIME), ids(1, TIME, seed=1)
    changed = text.clone()
    changed[0, 2] = other[0, 2]
    with patch(model, 0, at(1, TIME, 2), record(model, other).stream[0]):
        assert_close(logits_of(model, text), model(changed)[0])


def test_patching_reaches_no_token_before_it(model):
    text, run = ids(1, TIME), record(model, ids(1, TIME, seed=1))
    with patch(model, 1, at(1, TIME, 3), run.stream[1]):
        found = logits_of(model, text)
    assert_close(found[:, :3], model(text)[0][:, :3])
    assert (found - model(text)[0])[:, 3:].abs().amax(dim=2).min() > 1e-6


def test_patching_effect_is_one_where_all_comes_back_and_zero_where_nothing_does():
    model, clean = make(), ids(2, TIME)
    other = clean.clone()
    other[:, 2] = (clean[:, 2] + 1) % V
    last, answers = torch.tensor([5, 5]), torch.tensor([[1, 2], [3, 4]])
    effect = patching_effect(model, clean, other, last, answers)
    assert effect.shape == (LAYERS + 1, TIME)
    assert_close(effect[0, 2].double(), torch.tensor(1.0).double())  # all that differs
    torch.testing.assert_close(effect[-1, 5].item(), 1.0)  # all that is looked at
    assert effect[:, :2].abs().max() < 1e-6  # the same in both texts
    assert effect[-1, :5].abs().max() < 1e-6  # nobody reads them any more


# Curves


def test_knockout_curve_is_the_change_of_the_probability_computed_apart():
    model, text = make(), ids(2, TIME)
    last, answers = torch.tensor([5, 4]), torch.tensor([3, 7])
    edges = edges_between(at(2, TIME, 4, 5), at(2, TIME, 1, 2))
    curve = knockout_curve(model, text, last, answers, edges, width=1)
    assert curve.shape == (LAYERS, 2)
    for row in range(2):
        usual = model(text)[0][row, last[row]].softmax(-1)[answers[row]]
        for layer in range(LAYERS):
            with cut_attention(model, edges, [layer]):
                cut = model(text)[0][row, last[row]].softmax(-1)[answers[row]]
            assert_close(curve[layer, row], (cut - usual) / usual)


def test_answer_probabilities_by_hand():
    logits = torch.log(torch.tensor([[[1.0, 3.0], [1.0, 1.0]], [[1.0, 1.0], [4.0, 1.0]]]))
    found = answer_probabilities(logits, torch.tensor([0, 1]), torch.tensor([1, 1]))
    torch.testing.assert_close(found, torch.tensor([0.75, 0.2]))


def test_windows_hold_their_layer_and_end_with_the_model():
    for width in range(1, 9):
        for layer in range(6):
            found = window(layer, width, 6)
            assert layer in found
            assert 1 <= len(found) <= min(width, 6)
            assert 0 <= found[0] <= found[-1] <= 5
    assert list(window(3, 2, 6)) == [3, 4]


# Bad input


def test_refuses_post_norm_whose_stream_is_no_sum():
    with pytest.raises(ValueError, match="norm_first=True"):
        record(make(norm_first=False), ids(1, 3))


def test_refuses_layers_parts_and_sizes_that_there_are_not():
    model, none = make(), torch.zeros(1, TIME, TIME, dtype=torch.bool)
    with (
        pytest.raises(ValueError, match=r"layers must lie in 0 … 2, got 3"),
        cut_attention(model, none, [0, 3]),
    ):
        pass
    with (
        pytest.raises(ValueError, match="part must be one of attention, feed_forward"),
        silence(model, "mlp", [0]),
    ):
        pass
    with (
        pytest.raises(ValueError, match=r"layers must lie in 0 … 3, got -1"),
        patch(model, -1, at(1, TIME, 0), torch.zeros(1, TIME, 8)),
    ):
        pass
    with (
        pytest.raises(ValueError, match=r"edges have shape \(1, 6, 6\)"),
        cut_attention(model, none, [0]),
    ):
        logits_of(model, ids(1, 4))
    with pytest.raises(ValueError, match="width must be at least 1"):
        window(0, 0, 3)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_refuses_a_state_where_edges_are_cut():
    model = make()
    _, state = model(ids(1, 3))
    with (
        pytest.raises(ValueError, match="without a state"),
        cut_attention(model, causal_mask(1, 1)[None] & False, [0]),
    ):
        model(ids(1, 1), state)


def test_refuses_texts_of_two_forms_and_texts_without_a_difference():
    model, text = make(), ids(1, TIME)
    last, answers = torch.tensor([5]), torch.tensor([[1, 2]])
    with pytest.raises(ValueError, match="one form"):
        patching_effect(model, text, ids(1, 4), last, answers)
    with pytest.raises(ValueError, match="nothing to bring back"):
        patching_effect(model, text, text, last, answers)
