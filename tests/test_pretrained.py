"""Saved weights: the same model up to half precision, refused by any other; the shipped files."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from safetensors.torch import save_file  # noqa: E402

from nlp_course import (  # noqa: E402
    data,
    interpretability_measures,
    metrics,
    ngram,
    pretrained,
    scaling,
    training,
    translation,
)
from nlp_course.recurrent_lm import RecurrentLM  # noqa: E402
from nlp_course.seq2seq import EncoderDecoder, translate  # noqa: E402

nn = torch.nn
ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "weights" / "README.md"
FILES = [path for path in pretrained.FOLDER.iterdir() if path.is_file()]
MEGABYTE = 1_000_000
TEXT = [line.split() for line in ("the dog „barks“", "ein Hündchen bellt", 'a "quoted" \\ word')]
VOCABULARY = ngram.language_vocabulary(TEXT, min_count=1)


def a_model(seed=0, tied=False, hidden=6):
    training.set_seed(seed)
    return RecurrentLM(VOCABULARY, dimension=6, hidden=hidden, tied=tied, dropout=0.5)


def copied(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


# There and back


@pytest.mark.parametrize("tied", [False, True])
def test_weights_come_back_rounded_to_half_precision(tmp_path, tied):
    model, other = a_model(0, tied), a_model(1, tied)
    pretrained.save_weights(model, tmp_path / "a.safetensors")
    pretrained.load_weights(other, tmp_path / "a.safetensors")
    for name, tensor in model.state_dict().items():
        loaded = other.state_dict()[name]
        assert loaded.dtype == tensor.dtype == torch.float32
        assert torch.equal(loaded, tensor.half().float())
        torch.testing.assert_close(loaded, tensor, rtol=2**-11, atol=2**-25)


@given(st.floats(-65000, 65000, width=32))
def test_a_weight_moves_by_no_more_than_is_said(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "one.safetensors"
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    pretrained.save_weights(model, path)
    nn.init.zeros_(model.weight)
    pretrained.load_weights(model, path)
    assert abs(model.weight.item() - value) <= max(0.0005 * abs(value), 3e-8)


def test_a_loaded_model_predicts_what_the_saved_one_did(tmp_path):
    model, other = a_model(0), a_model(1)
    pretrained.save_weights(model, tmp_path / "a.safetensors")
    pretrained.load_weights(other, tmp_path / "a.safetensors")
    sentences = [VOCABULARY.encode(line) for line in TEXT]
    np.testing.assert_allclose(
        other.log_probabilities(sentences), model.log_probabilities(sentences), atol=2e-3
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_keeps_its_own_precision(tmp_path, dtype):
    model, other = a_model(0), a_model(1).to(dtype)
    pretrained.save_weights(model, tmp_path / "a.safetensors")
    pretrained.load_weights(other, tmp_path / "a.safetensors")
    expected = model.embedding.weight.half().to(dtype)
    assert torch.equal(other.embedding.weight, expected)


def test_a_loaded_model_is_in_evaluation_mode_and_can_be_trained_on(tmp_path):
    model = a_model()
    pretrained.save_weights(model, tmp_path / "a.safetensors")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pretrained.load_weights(model, tmp_path / "a.safetensors")
    assert not model.training
    before = copied(model)
    model(torch.tensor([[1, 3]]))[0][0, 0, 3].backward()
    optimizer.step()
    assert not torch.equal(model.embedding.weight, before["embedding.weight"])


def test_integers_and_buffers_are_kept_as_they_are(tmp_path):
    model, other = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    model.num_batches_tracked += 100_001  # half precision would round it
    model.running_mean += 0.5
    pretrained.save_weights(model, tmp_path / "a.safetensors")
    pretrained.load_weights(other, tmp_path / "a.safetensors")
    assert other.num_batches_tracked == 100_001
    assert other.running_mean.tolist() == [0.5] * 3


# Tied weights


def test_tied_weights_are_written_once_and_stay_tied(tmp_path):
    model, other = a_model(0, tied=True), a_model(1, tied=True)
    pretrained.save_weights(model, tmp_path / "a.safetensors")
    info = pretrained.weights_info(tmp_path / "a.safetensors")
    assert "embedding.weight" in info.shapes
    assert "output.weight" not in info.shapes
    assert info.parameters == sum(parameter.numel() for parameter in model.parameters())
    pretrained.load_weights(other, tmp_path / "a.safetensors")
    assert other.output.weight is other.embedding.weight


def test_a_tied_model_and_an_untied_one_are_different_models(tmp_path):
    tied, untied = a_model(tied=True), a_model(tied=False)
    pretrained.save_weights(tied, tmp_path / "tied.safetensors")
    pretrained.save_weights(untied, tmp_path / "untied.safetensors")
    with pytest.raises(ValueError, match=r"the file lacks output\.weight"):
        pretrained.load_weights(untied, tmp_path / "tied.safetensors")
    with pytest.raises(ValueError, match=r"the model lacks output\.weight"):
        pretrained.load_weights(tied, tmp_path / "untied.safetensors")


# The description


def test_a_file_describes_its_model(tmp_path):
    path = tmp_path / "a.safetensors"
    about = {"licence": "CC BY 4.0", "settings": {"hidden": 6, "tied": False}, "BLEU": 31.25}
    pretrained.save_weights(a_model(), path, {"words": VOCABULARY}, about)
    info = pretrained.weights_info(path)
    assert info.about == about
    assert info.vocabularies["words"] == VOCABULARY
    assert info.vocabularies["words"].counts.tolist() == VOCABULARY.counts.tolist()
    assert info.vocabularies["words"].encode(["unseen"]) == [VOCABULARY.id(ngram.UNKNOWN)]
    assert info.shapes["embedding.weight"] == (len(VOCABULARY), 6)
    assert info.size == path.stat().st_size
    rebuilt = RecurrentLM(info.vocabularies["words"], dimension=6, **info.about["settings"])
    pretrained.load_weights(rebuilt, path)


def test_a_file_takes_two_bytes_a_number(tmp_path):
    pretrained.save_weights(nn.Linear(1000, 100), tmp_path / "a.safetensors")
    assert 200_200 <= (tmp_path / "a.safetensors").stat().st_size < 201_000


def test_a_file_can_be_read_by_whoever_could_read_another(tmp_path):
    pretrained.save_weights(nn.Linear(1, 1), tmp_path / "a.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    (tmp_path / "b").touch()
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_the_same_weights_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        pretrained.save_weights(
            a_model(), tmp_path / f"{name}.safetensors", {"x": VOCABULARY}, {"b": 1, "a": 2}
        )
    a, b = ((tmp_path / f"{name}.safetensors").read_bytes() for name in ("a", "b"))
    assert a == b


# What does not fit


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: a_model(hidden=5), r"network.cells.0.W_hx had shape \(6, 6\) and has \(5, 6\)"),
        (lambda: nn.Linear(2, 2), r"the model lacks .* and 3 more; the file lacks weight, bias"),
    ],
)
def test_another_model_is_told_what_differs_and_what_to_do(tmp_path, other, message):
    pretrained.save_weights(a_model(), tmp_path / "a.safetensors")
    model = other()
    before = copied(model)
    with pytest.raises(ValueError, match=message) as raised:
        pretrained.load_weights(model, tmp_path / "a.safetensors")
    assert "settings and vocabularies of weights_info(" in str(raised.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in copied(model).items())


def test_an_unknown_name_is_answered_with_those_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    for name in ("b", "a"):
        pretrained.save_weights(nn.Linear(1, 1), tmp_path / f"{name}.safetensors")
    (tmp_path / "README.md").touch()
    assert pretrained.names() == ["a", "b"]
    pretrained.load_weights(nn.Linear(1, 1), "a")
    for call in (pretrained.weights_info, lambda name: pretrained.load_weights(nn.ReLU(), name)):
        with pytest.raises(ValueError, match=r"no weights 'c'; there are a, b"):
            call("c")


def test_a_file_that_is_not_there_is_missed(tmp_path):
    with pytest.raises(FileNotFoundError):
        pretrained.load_weights(nn.Linear(1, 1), tmp_path / "a.safetensors")


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_damaged_file_is_refused(tmp_path, length):
    path = tmp_path / "a.safetensors"
    model = a_model()
    pretrained.save_weights(model, path)
    path.write_bytes(path.read_bytes()[:length])
    before = copied(model)
    with pytest.raises(ValueError, match="damaged"):
        pretrained.load_weights(model, path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in copied(model).items())


def test_a_file_of_another_origin_is_refused(tmp_path):
    save_file({"weight": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="does not describe its model"):
        pretrained.weights_info(tmp_path / "a.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 70_000.0])
def test_what_half_precision_cannot_hold_is_not_written(tmp_path, value):
    path = tmp_path / "a.safetensors"
    model = nn.Linear(2, 2)
    pretrained.save_weights(model, path)
    before = path.read_bytes()
    nn.init.constant_(model.bias, value)
    with pytest.raises(ValueError, match=r"beyond the 65,504 .* reaches: bias"):
        pretrained.save_weights(model, path)
    assert path.read_bytes() == before


def test_a_description_is_data(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        pretrained.save_weights(nn.Linear(1, 1), tmp_path / "a.safetensors", about={"cell": nn.GRU})
    assert not list(tmp_path.iterdir())


def test_the_suffix_says_what_a_file_is(tmp_path):
    with pytest.raises(ValueError, match=r"named ….safetensors, got 'a.pt'"):
        pretrained.save_weights(nn.Linear(1, 1), tmp_path / "a.pt")


# The files that are shipped


def row_of(name):
    lines = README.read_text(encoding="utf-8").splitlines()
    (row,) = [line for line in lines if line.startswith(f"| `{name}` |")]
    return row


def test_the_package_stays_small():
    sizes = {name: pretrained.weights_info(name).size for name in pretrained.names()}
    assert sizes
    assert max(sizes.values()) <= 2 * MEGABYTE, sizes
    # What a wheel, which is a zip archive, takes for them.
    packed = {path.name: len(zlib.compress(path.read_bytes())) for path in FILES}
    assert sum(packed.values()) <= 10 * MEGABYTE, packed


def test_nothing_but_weights_and_what_was_measured_of_them_is_in_their_folder():
    weights = {f"{name}.safetensors" for name in pretrained.names()}
    measured = {scaling.FILE.name, interpretability_measures.FILE.name, "finetuning.json"}
    assert {path.name for path in FILES} == weights | measured


@pytest.mark.parametrize("name", pretrained.names())
def test_every_file_says_how_it_was_made_and_stands_in_the_table(name):
    info = pretrained.weights_info(name)
    about = info.about
    assert (ROOT / about["script"]).is_file()
    assert {"data", "licence", "settings"} <= about.keys()
    assert f"{info.parameters:,} |" in row_of(name)


@pytest.fixture(scope="module")
def german_to_english():
    records = data.load("multi30k").splits["test"].records[:200]
    return [data.Translation(german, english) for english, german in records]


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["multi30k_attention", "multi30k_plain"])
def test_shipped_translators_reach_the_bleu_they_state(name, german_to_english):
    info = pretrained.weights_info(name)
    german, english = info.vocabularies["source"], info.vocabularies["target"]
    model = EncoderDecoder(german, english, **info.about["settings"])
    pretrained.load_weights(model, name)
    sources, _ = translation.encode_pairs(german_to_english, german, english)
    hypotheses = [english.decode(words) for words in translate(model, sources).ids]
    _, references = translation.token_pairs(german_to_english)
    stated = info.about["bleu_of_first_test_sentences"]
    # Another machine adds in another order, so a word in a thousand may come out otherwise.
    assert metrics.bleu(hypotheses, references).score == pytest.approx(stated["200"], abs=0.3)
    assert f"BLEU {stated['1000']:.1f}," in row_of(name)
