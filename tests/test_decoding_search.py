"""Exhaustive and contrastive search: against brute force and against their formula."""

from __future__ import annotations

from itertools import product

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course import decoding, decoding_search, transformer  # noqa: E402

V = 5
BEGIN = torch.tensor([[1, 3]])


def a_transformer(seed=0):
    settings = transformer.Settings(dimension=8, heads=2, layers=2, length=16, hidden=16)
    model = transformer.TransformerLM(V, settings).eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = 0.7 * torch.randn(parameter.shape, generator=generator)
    return model


@torch.no_grad()
def log_probability(model, text):
    """Of the tokens after BEGIN, read at one go."""
    whole = torch.cat([BEGIN, torch.tensor([text])], dim=1)
    log_p = torch.log_softmax(model(whole[:, :-1])[0], dim=-1)[0, BEGIN.shape[1] - 1 :]
    return sum(log_p[place, token].item() for place, token in enumerate(text))


# Exhaustive search


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.5])
@pytest.mark.parametrize("stop", [None, 2])
def test_the_best_of_all_texts_are_found_in_order(stop, alpha):
    model = a_transformer()
    texts = {
        text[: text.index(stop) + 1] if stop in text else text
        for text in product(range(V), repeat=4)
    }
    scored = sorted(((log_probability(model, t) / len(t) ** alpha, t) for t in texts), reverse=True)
    found = decoding_search.exhaustive_search(model, BEGIN, 4, 20, length_penalty=alpha, stop=stop)
    for number, (score, text) in enumerate(scored[:20]):
        assert found.ids[0, number].tolist() == [*text, *[stop] * (4 - len(text))]
        assert found.log_probabilities[0, number].item() == pytest.approx(
            score * len(text) ** alpha, rel=1e-4
        )


def test_all_texts_together_have_probability_one():
    found = decoding_search.exhaustive_search(a_transformer(), BEGIN, 4, 9999, stop=0)
    assert len(found.ids[0]) == sum(4**n for n in range(4)) + 4**4
    assert found.log_probabilities.exp().sum().item() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("stop", [None, 4])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_beam_as_wide_as_there_are_texts_is_exhaustive(stop, alpha):
    for seed in range(3):
        model = a_transformer(seed)
        options = {"length_penalty": alpha, "stop": stop}
        every = decoding_search.exhaustive_search(model, BEGIN, 4, 10, **options)
        wide = decoding.beam_search(model, BEGIN, 4, V**3, **options)
        assert torch.equal(wide.ids[:, :10, : every.ids.shape[2]], every.ids)
        torch.testing.assert_close(wide.log_probabilities[:, :10], every.log_probabilities)


def test_no_search_finds_a_likelier_text():
    for seed in range(5):
        model = a_transformer(seed)
        best = decoding_search.exhaustive_search(model, BEGIN, 5, length_penalty=0)
        for beams in (1, 2, 3):
            some = decoding.beam_search(model, BEGIN, 5, beams, length_penalty=0)
            assert some.log_probabilities[0, 0] <= best.log_probabilities[0, 0] + 1e-4


# Contrastive search


@torch.no_grad()
def step_by_step(model, ids, length, k, alpha):
    """The paper's rule for one text, each candidate read with all of the text before it."""
    text = ids
    for _ in range(length):
        p = torch.softmax(model(text)[0][0, -1], dim=-1)
        scored = []
        for token in p.topk(min(k, V)).indices:
            whole = torch.cat([text, token.view(1, 1)], dim=1)
            h = model.stack(model.embedding(whole))[0][0]
            likeness = torch.cosine_similarity(h[-1:], h[:-1]).max()
            scored.append(((1 - alpha) * p[token] - alpha * likeness, token))
        text = torch.cat([text, max(scored, key=lambda pair: pair[0])[1].view(1, 1)], dim=1)
    return text[:, ids.shape[1] :]


@pytest.mark.parametrize(("k", "alpha"), [(2, 0.3), (3, 0.6), (9, 1.0), (4, 0.1)])
def test_contrastive_search_is_its_formula_for_each_text_of_a_batch(k, alpha):
    ids = torch.tensor([[1, 3], [4, 4], [0, 2]])
    for seed in range(3):
        model = a_transformer(seed)
        found = decoding_search.contrastive_search(model, ids, 8, k=k, alpha=alpha)
        expected = [step_by_step(model, row[None], 8, k, alpha) for row in ids]
        assert torch.equal(found, torch.cat(expected))


def test_without_contrast_or_without_choice_it_is_greedy():
    model = a_transformer()
    expected = decoding.greedy(model, BEGIN, 8)
    for options in ({"alpha": 0.0}, {"k": 1}):
        assert torch.equal(decoding_search.contrastive_search(model, BEGIN, 8, **options), expected)
    other = decoding_search.contrastive_search(model, BEGIN, 8, k=5, alpha=0.9)
    assert not torch.equal(other, expected)


def test_what_follows_stop_is_stop():
    model, ids = a_transformer(), torch.tensor([[1, 3], [4, 4]])
    free = decoding_search.contrastive_search(model, ids, 8)
    for stop in range(V):
        found = decoding_search.contrastive_search(model, ids, 8, stop=stop)
        for row, kept in zip(free.tolist(), found.tolist(), strict=True):
            end = row.index(stop) + 1 if stop in row else len(row)
            assert kept == (row[:end] + [stop] * 8)[: len(kept)]


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": BEGIN[:, :0]}, r"one text .* got \(1, 0\)"),
        ({"ids": BEGIN.expand(2, 2)}, r"one text .* got \(2, 2\)"),
        ({"length": 0}, "must be at least 1, got 0"),
        ({"best": 0}, "must be at least 1"),
        ({"length": 9}, r"2e\+06 texts of length 9; at most 1,000,000"),
    ],
)
def test_searches_through_too_many_or_no_texts_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        decoding_search.exhaustive_search(a_transformer(), **{"ids": BEGIN, "length": 2} | options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": BEGIN[:, :0]}, "begins with at least one token"),
        ({"length": 0}, "must be at least 1"),
        ({"k": 0}, "must be at least 1"),
        ({"alpha": 1.1}, r"alpha must lie in 0 … 1, got 1.1"),
        ({"alpha": float("nan")}, "alpha must lie in 0"),
    ],
)
def test_contrasts_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        decoding_search.contrastive_search(a_transformer(), **{"ids": BEGIN, "length": 2} | options)
