"""The output layer of the course's language models, and the next word's distribution."""

import numpy as np
import pytest
import torch
from torch import nn

from nlp_course.ngram import START, STOP, language_vocabulary
from nlp_course.output_layer import OutputLayer, next_word_distribution
from nlp_course.text import Vocabulary
from nlp_course.training import set_seed


@pytest.fixture
def vocabulary():
    return language_vocabulary([["a", "b", "c"]], min_count=1)


def test_start_is_never_predicted_and_has_no_gradient(vocabulary):
    layer = OutputLayer(vocabulary, inputs=4)
    nn.init.normal_(layer.weight)
    log_p = torch.log_softmax(layer(torch.randn(7, 4)), dim=-1)
    assert torch.isneginf(log_p[:, vocabulary.id(START)]).all()
    torch.testing.assert_close(log_p.exp().sum(dim=-1), torch.ones(7))
    log_p[:, vocabulary.id("a")].sum().backward()
    assert torch.isfinite(layer.weight.grad).all()
    assert layer.weight.grad[vocabulary.id(START)].eq(0).all()


def test_other_scores_are_those_of_a_linear_layer(vocabulary):
    set_seed(0)
    layer, plain = OutputLayer(vocabulary, inputs=4), nn.Linear(4, len(vocabulary))
    plain.load_state_dict(layer.state_dict())  # START's −∞ is no weight
    h = torch.randn(2, 3, 4)
    others = [i for i in range(len(vocabulary)) if i != vocabulary.id(START)]
    torch.testing.assert_close(layer(h)[..., others], plain(h)[..., others])


def test_training_begins_at_the_frequencies_of_words(vocabulary):
    counts = np.array([0, 0, 9, 1, 4, 2])
    layer = OutputLayer(vocabulary, inputs=4, counts=counts)
    p = torch.softmax(layer(torch.zeros(4)), dim=0)
    expected = (counts + 1.0) * (np.arange(6) != vocabulary.id(START))
    np.testing.assert_allclose(p.detach(), expected / expected.sum(), rtol=1e-6)


class Echo(nn.Module):
    """Says that the last word comes again, twice as likely with dropout as without."""

    def __init__(self, size):
        super().__init__()
        self.scores = nn.Parameter(torch.eye(size) * 5)

    def forward(self, ids, state=None):
        return self.scores[ids] * (2 if self.training else 1), state


def test_distribution_reads_start_and_the_words_without_dropout(vocabulary):
    model = Echo(len(vocabulary))
    words = vocabulary.encode("ba")
    p = next_word_distribution(model, vocabulary.id(START), words)
    expected = torch.softmax(model.scores[vocabulary.id("a")].double(), dim=0)
    np.testing.assert_allclose(p, expected.detach(), rtol=1e-6)
    assert model.training
    empty = next_word_distribution(model, vocabulary.id(START), words[:0])
    assert empty.argmax() == vocabulary.id(START)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inputs": 0}, "inputs must be at least 1, got 0"),
        ({"inputs": 2, "counts": np.ones(3, dtype=int)}, "each of 6 words needs a count, got 3"),
    ],
)
def test_bad_settings_are_named(vocabulary, settings, message):
    with pytest.raises(ValueError, match=message):
        OutputLayer(vocabulary, **settings)


def test_a_vocabulary_needs_start_and_stop():
    with pytest.raises(ValueError, match=f"{START}|{STOP}"):
        OutputLayer(Vocabulary.from_sentences([["a"]]), inputs=2)
