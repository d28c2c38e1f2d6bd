"""Small models trained for a scaling law: nothing read twice, nothing held out read, and judged."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course import causal_lm, scaling, training  # noqa: E402
from nlp_course.scaling_runs import (  # noqa: E402
    TIME,
    Characters,
    brown_characters,
    judge,
    small_settings,
    train_once,
    train_run,
)
from nlp_course.text import Vocabulary  # noqa: E402
from nlp_course.transformer import TransformerLM  # noqa: E402

V = 7
VOCABULARY = Vocabulary(tuple("abcdefg"), np.ones(V, dtype=np.int64))


def corpus(pieces=40, held_out=6):
    """Pieces of a text in which each character tells the next; each piece is another."""
    text = np.cumsum(np.random.default_rng(0).integers(1, 3, size=(pieces + held_out, TIME + 1)), 1)
    text %= V
    return Characters(text[:pieces], text[pieces:], ["a"] * held_out, VOCABULARY)


def model(seed=0):
    training.set_seed(seed)
    return TransformerLM(V, small_settings(16, 1))


class Noting(TransformerLM):
    """Notes what it reads."""

    def __init__(self):
        super().__init__(V, small_settings(16, 1))
        self.read = []

    def forward(self, ids, state=None):
        self.read += ids.tolist()
        return super().forward(ids, state)


@pytest.mark.parametrize(
    ("tokens", "pieces"), [(40 * 64, 40), (16 * 64, 16), (20 * 64, 16), (512, 8)]
)
def test_training_reads_as_many_pieces_as_there_are_whole_batches_none_twice(tokens, pieces):
    noting, text = Noting(), corpus()
    train_once(noting, text, tokens, learning_rate=0.01)
    assert len(noting.read) == pieces
    assert len({tuple(row) for row in noting.read}) == pieces
    assert {tuple(row) for row in noting.read} <= {
        tuple(row) for row in text.train[:, :-1].tolist()
    }


def test_another_seed_reads_other_pieces():
    rows = []
    for seed in (0, 0, 1):
        noting = Noting()
        train_once(noting, corpus(), 16 * 64, learning_rate=0.01, seed=seed)
        rows.append(sorted(map(tuple, noting.read)))
    assert rows[0] == rows[1] != rows[2]


def test_the_rate_rises_in_a_twentieth_and_falls_to_nothing(monkeypatch):
    histories = []
    train = training.train

    def spy(*given, **named):
        histories.append(train(*given, **named))
        return histories[-1]

    monkeypatch.setattr("nlp_course.scaling_runs.training.train", spy)
    train_once(model(), corpus(40), 40 * 64, learning_rate=0.01, batch_size=1)
    rates = [step.learning_rate for step in histories[0].records]
    assert len(rates) == 40
    assert max(rates) == pytest.approx(0.01)
    assert int(np.argmax(rates)) <= 2
    assert rates[0] < 0.01
    assert rates[-1] < 1e-4


def test_a_trained_model_is_better_than_chance_and_than_an_untrained_one():
    text = corpus(400)
    trained = model()
    before = judge(trained, text.held_out)
    train_once(trained, text, 400 * 64, learning_rate=0.03)
    after = judge(trained, text.held_out)
    assert before.loss == pytest.approx(math.log(V), rel=0.2)
    # The next character is one of two, alike: log 2.
    assert math.log(2) - 0.05 < after.loss < 1.0
    assert after.exact[0] == pytest.approx(0.5, abs=0.1)


def test_judging_is_the_mean_of_all_held_out_characters():
    text, judged_model = corpus(held_out=150), model()
    found = judge(judged_model, text.held_out)
    nats = [causal_lm.token_nats(judged_model, row, TIME).mean() for row in text.held_out]
    assert found.loss == pytest.approx(np.mean(nats), abs=2e-5)


class Fixed(torch.nn.Module):
    """Guesses that character 1 comes after each."""

    def forward(self, ids):
        return torch.zeros(*ids.shape, V).index_fill(2, torch.tensor([1]), 3.0), None


def test_stretches_guessed_whole_are_counted_by_hand():
    pieces = np.ones((2, TIME + 1), dtype=np.int64)
    assert judge(Fixed(), pieces).exact == (1, 1, 1, 1, 1)
    pieces[0, 3] = 0  # predicted third: it spoils one stretch of each length
    assert judge(Fixed(), pieces).exact == pytest.approx(
        [1 - 1 / (128 / k) for k in scaling.EXACT], abs=1e-5
    )
    pieces[1, 0] = 5  # only read
    assert judge(Fixed(), pieces).exact[0] == pytest.approx(127 / 128, abs=1e-5)


def test_a_run_says_what_was_done_and_its_seed_repeats_it():
    found, again = (train_run(corpus(), 16, 2, 1024, learning_rate=0.01, seed=3) for _ in range(2))
    assert found._replace(seconds=0.0) == again._replace(seconds=0.0)
    assert found[:2] == (16, 2)
    assert found.parameters == found.non_embedding + V * 16
    assert found.non_embedding == 12 * 2 * 16**2 + 5 * 16
    assert (found.tokens, found.learning_rate, found.seed) == (1024, 0.01, 3)
    assert found.loss != train_run(corpus(), 16, 2, 1024, learning_rate=0.01, seed=4).loss
    lines = []
    train_run(corpus(), 16, 1, 512, learning_rate=0.01, show=lines.append)
    assert lines[0].startswith("d 16, 1 layers, N 3,120, D 512, rate 0.01, seed 0: ")


def test_more_or_less_text_than_there_is_is_refused():
    for tokens in (511, 40 * 64 + 512, 0):
        with pytest.raises(ValueError, match="tokens must lie in 512 … 2,560, one batch and all"):
            train_once(model(), corpus(), tokens, learning_rate=0.01)


@pytest.mark.real_data
def test_of_brown_every_twentieth_document_is_held_out_and_no_piece_of_it_is_trained_on():
    text = brown_characters()
    assert len(text.characters) == 85
    assert text.train.shape == (90_998, TIME + 1)
    assert text.held_out.shape == (25 * 64, TIME + 1)
    assert len(text.kinds) == len(text.held_out)
    assert len(set(text.kinds)) == 13  # kinds of 15 have a document whose number 20 divides
    assert text.kinds[0] == "news"
    assert "".join(text.characters.words[i] for i in text.held_out[0]).startswith(
        "The Fulton County"
    )
    # Each is the other's continuation: the last character is the next piece's first.
    assert (text.train[1:, 0] == text.train[:-1, -1]).all()
    trained = {row.tobytes() for row in text.train}
    assert not any(row.tobytes() in trained for row in text.held_out)
