"""What a model says is the same inside and outside, and nothing is left behind."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from nlp_course import decoding
from nlp_course.inference import inferring
from nlp_course.positions import Sinusoidal
from nlp_course.training import set_seed
from nlp_course.transformer import Settings, TransformerLM

IDS = torch.tensor([[1, 2, 3]])


@pytest.fixture
def model():
    set_seed(0)
    return TransformerLM(7, Settings(dimension=8, heads=2, layers=2, spread=0.5)).eval()


def attributes(model):
    return [sorted(vars(module)) for module in model.modules()]


def test_the_same_logits_without_gradients(model):
    outside, _ = model(IDS)
    with inferring(model):
        inside, _ = model(IDS)
        assert inside.is_inference()
    assert_close(inside.clone(), outside.detach(), rtol=0, atol=0)


def test_parts_are_attributes_inside_only(model):
    before = attributes(model)
    with inferring(model):
        assert vars(model)["embedding"] is model._modules["embedding"]
        linear = model.stack.blocks[1].feed_forward.widen
        assert vars(linear)["weight"] is linear._parameters["weight"]
    assert attributes(model) == before


def test_nothing_is_left_after_an_error(model):
    before = attributes(model)
    with pytest.raises(ValueError, match="ids must lie"), inferring(model):
        model(IDS + 7)
    assert attributes(model) == before
    assert torch.is_grad_enabled()


def test_one_inside_another(model):
    before = attributes(model)
    with inferring(model):
        with inferring(model):
            pass
        model(IDS)
    assert attributes(model) == before


def test_a_parameter_replaced_inside_is_replaced(model):
    with inferring(model):
        model.embedding.weight = nn.Parameter(torch.zeros(7, 8))
        assert not model.embedding.weight.any()
    assert not model.embedding.weight.any()


def test_a_table_that_grows_inside_is_used():
    position, x = Sinusoidal(4), torch.zeros(1, 9, 4)
    expected = Sinusoidal(4).add(x)
    with inferring(position):
        assert_close(position.add(x), expected)
    assert len(position.waves) >= 9


@pytest.mark.parametrize("model", [None, lambda ids, state: (ids, state)])
def test_what_is_no_module_is_left_alone(model):
    with inferring(model):
        assert torch.is_inference_mode_enabled()


def test_a_search_may_be_given_its_model_by_name(model):
    found = decoding.greedy(model=model, ids=IDS, length=2)
    assert found.tolist() == decoding.greedy(model, IDS, 2).tolist()
    assert "embedding" not in vars(model)
