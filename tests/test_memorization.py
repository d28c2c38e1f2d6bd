"""Memorised text: a model that knows one text by heart, counting by hand, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve
from torch import nn

from nlp_course import causal_lm
from nlp_course.memorization import exposure, extracted, membership, secret_nats
from nlp_course.transformer import Settings, TransformerLM

TEXT = np.array([3, 1, 4, 1, 5, 9, 2, 6])


class Parrot(nn.Module):
    """Knows one text: after as much of it as it has read it is sure of the next token."""

    def __init__(self, text, size=10):
        super().__init__()
        self.text, self.size = text, size
        self.weight = nn.Parameter(torch.zeros(1))
        self.modes = []

    def forward(self, ids, state=None):
        self.modes.append(self.training)
        read = ids if state is None else torch.cat([state, ids], dim=1)
        logits = torch.zeros(*ids.shape, self.size)
        for row, tokens in enumerate(read.tolist()):
            for column in range(ids.shape[1]):
                done = len(tokens) - ids.shape[1] + column + 1
                known = tokens[:done] == self.text[:done].tolist() and done < len(self.text)
                logits[row, column, int(self.text[done]) if known else 0] = 9.0
        return logits, read


def a_model():
    torch.manual_seed(0)
    return TransformerLM(6, Settings(dimension=8, heads=2, layers=1, spread=0.5))


def test_what_a_model_knows_by_heart_is_extracted_and_nothing_else():
    other = TEXT.copy()
    other[-1] = 7
    texts = np.stack([TEXT, other, TEXT[::-1]])
    for prefix in (1, 4, 7):
        assert extracted(Parrot(TEXT), texts, prefix).tolist() == [True, False, False]


def test_every_token_after_the_prefix_must_be_right():
    half = Parrot(np.array([3, 1, 4, 1, 5, 0, 0, 0]))  # wrong from place 5 on
    assert extracted(half, TEXT[None], 4).tolist() == [False]
    assert extracted(half, TEXT[None, :5], 4).tolist() == [True]


def test_models_are_asked_without_dropout_and_left_as_they_were():
    parrot = Parrot(TEXT).train()
    extracted(parrot, TEXT[None], 2)
    secret_nats(parrot, TEXT[:2], np.arange(3), 2)
    assert not any(parrot.modes)
    assert parrot.training


def test_secrets_have_the_nats_that_reading_them_gives():
    model, before, symbols = a_model(), np.array([1, 0]), np.array([2, 3, 5])
    nats = secret_nats(model, before, symbols, 3)
    secrets = [np.array([a, b, c]) for a in symbols for b in symbols for c in symbols]
    assert nats == pytest.approx(-causal_lm.score_continuations(model, before, secrets), rel=1e-5)


def test_all_secrets_of_all_symbols_have_probability_1():
    assert np.exp(-secret_nats(a_model(), np.array([4]), np.arange(6), 3)).sum() == pytest.approx(1)


def test_exposure_worked_by_hand():
    nats = np.array([5.0, 1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0])
    assert exposure(nats, 1) == 3  # the likeliest of 8
    assert exposure(nats, 2) == 2
    assert exposure(nats, 7) == 0


def test_among_equally_likely_secrets_the_mean_rank_counts():
    assert exposure(np.zeros(7), 3) == pytest.approx(np.log2(7 / 4))
    assert exposure(np.array([1.0, 1.0, 2.0, 3.0]), 0) == pytest.approx(np.log2(4 / 1.5))


def test_a_secret_never_read_has_1_44_bits_on_average():
    nats = np.random.default_rng(0).random(2000)
    values = np.array([exposure(nats, secret) for secret in range(2000)])
    assert values.mean() == pytest.approx(1 / np.log(2), abs=0.02)
    assert (values > 3).mean() == pytest.approx(1 / 8, abs=0.01)


def test_a_model_trained_on_a_secret_exposes_it():
    model, text = a_model(), torch.tensor([[1, 0, 3, 5, 2]])
    symbols = np.arange(1, 6)
    secret = (3 - 1) * 25 + (5 - 1) * 5 + (2 - 1)
    before = exposure(secret_nats(model, np.array([1, 0]), symbols, 3), secret)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(40):
        logits, _ = model(text[:, :-1])
        nn.functional.cross_entropy(logits[0], text[0, 1:]).backward()
        optimizer.step()
        optimizer.zero_grad()
    after = exposure(secret_nats(model, np.array([1, 0]), symbols, 3), secret)
    assert after == pytest.approx(np.log2(125))
    assert before < after
    assert extracted(model, text.numpy(), 2).all()


LOSSES = st.lists(st.integers(0, 6), min_size=1, max_size=12)


@given(LOSSES, LOSSES, st.sampled_from([0.0, 0.1, 0.34, 1.0]))
def test_guesses_are_those_of_scikit_learn(members, others, share):
    guess = membership(np.array(members, float), np.array(others, float), false_positives=share)
    truth = [1] * len(members) + [0] * len(others)
    scores = [-loss for loss in members + others]
    assert guess.auc == pytest.approx(roc_auc_score(truth, scores))
    false, found, _ = roc_curve(truth, scores, drop_intermediate=False)
    assert guess.found == pytest.approx(found[false <= share + 1e-9].max())
    assert (np.array(others) < guess.threshold).mean() <= share + 1e-9


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: extracted(Parrot(TEXT), TEXT[None], 0), "from 1 to 7 of 8 tokens, got 0"),
        (lambda: extracted(Parrot(TEXT), TEXT[None], 8), "got 8"),
        (lambda: extracted(Parrot(TEXT), TEXT[None][:0], 2), "no texts"),
        (lambda: secret_nats(a_model(), TEXT[:0], TEXT[:2], 1), "give something before"),
        (lambda: secret_nats(a_model(), np.array([1]), np.array([1]), 0), "a length of at least 1"),
        (lambda: exposure(np.zeros(3), 3), "numbered 0 … 2, got 3"),
        (lambda: exposure(np.array([1.0, np.nan]), 0), "NaN"),
        (lambda: membership(np.zeros(0), np.zeros(2)), "at least one member"),
        (lambda: membership(np.array([np.nan]), np.zeros(2)), "NaN"),
        (lambda: membership(np.zeros(2), np.zeros(2), false_positives=1.5), "between 0 and 1"),
    ],
)
def test_what_cannot_be_asked_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
