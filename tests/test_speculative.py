"""Speculative decoding: the distribution is the dear model's, whatever the cheap one proposes."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course import decoding, speculative, transformer  # noqa: E402
from nlp_course.cache import Cache, KeysValues  # noqa: E402
from nlp_course.decoding_processors import NoRepeatNgram, Temperature, TopK  # noqa: E402

V = 3
BEGIN = torch.tensor([[1, 2]])


def a_transformer(seed, spread=0.7):
    settings = transformer.Settings(dimension=8, heads=2, layers=1, length=40, hidden=8)
    model = transformer.TransformerLM(V, settings).eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = spread * torch.randn(parameter.shape, generator=generator)
    return model


def markov(*rows):
    """A model without memory, whose cache has only a length: quick, so it can be asked often."""
    log_p = torch.tensor(rows).log()

    def model(ids, state):
        nothing = torch.zeros(1, 1, ids.shape[1], 1)
        layer = KeysValues(nothing, nothing)
        if state is not None:
            layer = state.layers[0].append(nothing, nothing)
        return log_p[ids], Cache((layer,))

    return model


DEAR = markov([0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3])
CHEAP = markov([0.5, 0.1, 0.4], [0.3, 0.4, 0.3], [0.0, 0.5, 0.5])


def even(ids, state):
    """A draft that knows nothing."""
    return torch.zeros(*ids.shape, V), state


@torch.no_grad()
def exact(model, length, processors=()):
    """The probability of every text, read at one go."""
    found = {}
    for number in range(V**length):
        text = [number // V**place % V for place in range(length)]
        whole = torch.cat([BEGIN, torch.tensor([text])], dim=1)
        logits = model(whole[:, :-1], None)[0][0]
        p = 1.0
        for place, token in enumerate(text):
            row = logits[None, place + 1]
            for processor in processors:
                row = processor(whole[:, : place + 2], row)
            p *= torch.softmax(row, dim=-1)[0, token].item()
        found[tuple(text)] = p
    return found


@pytest.mark.parametrize(
    ("draft", "ahead", "processors"),
    [
        (CHEAP, 3, []),
        (even, 1, []),
        (CHEAP, 2, [Temperature(0.6), TopK(2)]),
        (CHEAP, 2, [NoRepeatNgram(2)]),
    ],
)
def test_texts_are_drawn_from_the_dear_models_distribution(draft, ahead, processors):
    expected = exact(DEAR, 3, processors)
    times = 400
    counts = dict.fromkeys(expected, 0)
    refused = 0
    for seed in range(times):
        found = speculative.speculative_sample(
            DEAR, draft, BEGIN, 3, ahead=ahead, processors=processors, seed=seed
        )
        counts[tuple(found.ids[0].tolist())] += 1
        refused += found.proposed - found.accepted
    assert refused > times / 20
    # χ² over the texts that can occur; three standard deviations above its mean.
    chi = sum(
        (counts[text] - times * p) ** 2 / (times * p) for text, p in expected.items() if p > 0.002
    )
    freedom = sum(p > 0.002 for p in expected.values()) - 1
    assert chi < freedom + 3 * np.sqrt(2 * freedom)
    assert all(counts[text] == 0 for text, p in expected.items() if p == 0)


def test_a_draft_that_is_the_model_itself_is_always_accepted():
    model = a_transformer(0)
    found = speculative.speculative_sample(model, model, BEGIN, 21, ahead=4, seed=1)
    assert found.accepted == found.proposed
    assert found.passes == 5  # 4 + 1 tokens in each of four passes, then the last one
    assert found.ids.shape == (1, 21)


def test_greedy_texts_stay_greedy_whatever_is_proposed():
    model, coldest = a_transformer(0), [TopK(1)]
    expected = decoding.greedy(model, BEGIN, 30)
    for draft in (even, a_transformer(2), model):
        for ahead in (1, 2, 5):
            found = speculative.speculative_sample(
                model, draft, BEGIN, 30, ahead=ahead, processors=coldest
            )
            assert torch.equal(found.ids, expected)


def test_tokens_that_were_refused_leave_no_trace():
    """Each distribution is that of the text as it stands, read anew."""
    model, draft = a_transformer(0), a_transformer(1)
    for seed in range(5):
        seen = []

        def watch(ids, logits, seen=seen):
            seen.append((ids, logits))
            return logits

        speculative.speculative_sample(
            model, draft, BEGIN, 12, ahead=3, processors=[watch], seed=seed
        )
        for ids, logits in seen:
            with torch.no_grad():
                either = [one(ids)[0][:, -1] for one in (model, draft)]
            assert any(torch.allclose(logits, whole, atol=1e-4) for whole in either)


def test_a_text_ends_with_stop():
    model = a_transformer(0)
    for seed in range(9):
        found = speculative.speculative_sample(model, even, BEGIN, 25, seed=seed, stop=0)
        row = found.ids[0].tolist()
        assert 0 not in row[:-1]
        assert row[-1] == 0 or len(row) == 25


def test_acceptance_is_what_two_distributions_share():
    p, q = (torch.softmax(one(BEGIN, None)[0][0, -1], dim=-1) for one in (DEAR, CHEAP))
    share = speculative.acceptance(p, q).item()
    assert share == pytest.approx(0.7)  # 0, 0.4 and 0.3
    assert share == pytest.approx(1 - (p - q).abs().sum().item() / 2)
    found = [
        speculative.speculative_sample(DEAR, CHEAP, BEGIN, 2, ahead=1, seed=seed).accepted
        for seed in range(400)
    ]
    assert np.mean(found) == pytest.approx(share, abs=0.06)


def test_tokens_a_pass_are_those_of_a_simulation():
    rng = np.random.default_rng(0)
    for chance, ahead in ((0.8, 4), (0.3, 2)):
        taken = rng.random((50_000, ahead)) < chance
        mean = 1 + np.cumprod(taken, axis=1).sum(axis=1).mean()
        assert speculative.tokens_a_pass(chance, ahead) == pytest.approx(mean, abs=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": torch.zeros(2, 3, dtype=torch.long)}, r"one text .* got \(2, 3\)"),
        ({"ids": BEGIN[:, :0]}, "at least one token"),
        ({"length": 0}, "at least 1"),
        ({"ahead": 0}, "at least 1"),
        ({"draft": lambda ids, state: (torch.zeros(*ids.shape, V + 1), state)}, "got 3 of the"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, message):
    usual = {"draft": even, "ids": BEGIN, "length": 3}
    with pytest.raises(ValueError, match=message):
        speculative.speculative_sample(a_transformer(0), **usual | options)


def test_a_state_that_cannot_be_shortened_is_refused():
    with pytest.raises(TypeError, match="tokens can be dropped"):
        speculative.speculative_sample(even, DEAR, BEGIN, 3)


@pytest.mark.parametrize("values", [(-0.1, 2), (1.1, 2), (0.5, -1)])
def test_chances_that_there_are_not_are_refused(values):
    with pytest.raises(ValueError, match="must"):
        speculative.tokens_a_pass(*values)
