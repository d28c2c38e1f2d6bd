"""Weights from Hugging Face: GPT-2, BERT and T5 as models of this course, with the same numbers.

The three differ in a handful of settings; a table says which tensor of theirs is which of ours. A
model with a setting or a tensor that ours have no place for is refused, since it would give numbers
that are almost right. The package `transformers` is needed only to load a model by its name.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from nlp_course.positions import RelativeBias
from nlp_course.transformer import Encoder, EncoderDecoder, TransformerLM
from nlp_course.transformer_blocks import Settings, Stack

# A model of `transformers`, or the name or folder that its `from_pretrained` takes.
Source: TypeAlias = nn.Module | str | Path

Model = TypeVar("Model", bound=nn.Module)

ACTIVATIONS = {  # by the names that Hugging Face has for them
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "silu": "silu",
    "swish": "silu",
}
DROPOUT = 0.1  # all three were trained with it

# What stands in a block, by Hugging Face's names and ours.
GPT2_BLOCK = {
    "ln_1": "attention_norm",
    "attn.c_attn": "attention.project",
    "attn.c_proj": "attention.output",
    "ln_2": "feed_forward_norm",
    "mlp.c_fc": "feed_forward.widen",
    "mlp.c_proj": "feed_forward.narrow",
}
BERT_BLOCK = {
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "feed_forward.widen",
    "output.dense": "feed_forward.narrow",
    "output.LayerNorm": "feed_forward_norm",
}


def gpt2(source: Source, *, dropout: float = DROPOUT) -> TransformerLM:
    """A GPT-2 as a `TransformerLM`: pre-norm, learned positions, GELU by its tanh formula.

    Parameters
    ----------
    source : a GPT2LMHeadModel or GPT2Model of `transformers`, or a name or folder to load one from
    dropout : share of numbers left out, should the model be trained further; it is not taken over,
        since Hugging Face has several

    Returns
    -------
    A copy of the model, in its precision and on its device, in evaluation mode.

    Raises
    ------
    ValueError : another model, or one with a setting or weights that ours have no place for.
    ImportError : a name or folder, but `transformers` is not installed.

    References
    ----------
    Radford et al. 2019, Language Models are Unsupervised Multitask Learners.
    """
    theirs = _model(source, "gpt2", "GPT2LMHeadModel")
    config = theirs.config
    _require(
        config,
        scale_attn_weights=True,
        scale_attn_by_inverse_layer_idx=False,
        add_cross_attention=False,
    )
    weights = _Weights(theirs.base_model.state_dict())
    embedding = weights.take("wte.weight")
    head = theirs.lm_head.weight.detach() if hasattr(theirs, "lm_head") else embedding
    ours = TransformerLM(
        config.vocab_size,
        Settings(
            dimension=config.n_embd,
            heads=config.n_head,
            layers=config.n_layer,
            length=config.n_positions,
            hidden=config.n_inner,
            activation=_activation(config.activation_function),
            epsilon=config.layer_norm_epsilon,
            dropout=dropout,
        ),
        tied=torch.equal(head, embedding),
    )
    found = {
        "embedding.weight": embedding,
        "output.weight": head,
        "stack.position.vectors": weights.take("wpe.weight"),
    }
    found |= weights.renamed({"ln_f": "stack.last_norm"})
    for layer in range(config.n_layer):
        block = weights.renamed(GPT2_BLOCK, f"h.{layer}.", f"stack.blocks.{layer}.")
        # Theirs compute x W, ours W x.
        found |= {name: tensor.T if tensor.ndim == 2 else tensor for name, tensor in block.items()}
    weights.check_rest(".attn.bias", ".attn.masked_bias")  # causal masks, by older versions
    return _filled(ours, found, embedding)


def bert(source: Source, *, dropout: float = DROPOUT) -> Encoder:
    """A BERT as an `Encoder`: post-norm, learned positions, two kinds of sentence.

    Its vectors are those of the last layer. The pooler, a layer on the first token's vector, and
    the heads of its tasks are left out.

    Parameters
    ----------
    source : a BertModel of `transformers` or one with a head, or a name or folder to load one from
    dropout : as for `gpt2`

    Returns
    -------
    A copy of the model, in its precision and on its device, in evaluation mode.

    Raises
    ------
    ValueError, ImportError : as for `gpt2`.

    References
    ----------
    Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers for Language
    Understanding.
    """
    theirs = _model(source, "bert", "BertModel", add_pooling_layer=False)
    config = theirs.config
    _require(config, is_decoder=False, add_cross_attention=False)
    _require(config, position_embedding_type="absolute")
    weights = _Weights(theirs.base_model.state_dict())
    ours = Encoder(
        config.vocab_size,
        Settings(
            dimension=config.hidden_size,
            heads=config.num_attention_heads,
            layers=config.num_hidden_layers,
            length=config.max_position_embeddings,
            hidden=config.intermediate_size,
            norm_first=False,
            embedding_norm=True,
            epsilon=config.layer_norm_eps,
            activation=_activation(config.hidden_act),
            dropout=dropout,
        ),
        segments=config.type_vocab_size,
    )
    embedding = weights.take("embeddings.word_embeddings.weight")
    found = {
        "embedding.weight": embedding,
        "segment_embedding.weight": weights.take("embeddings.token_type_embeddings.weight"),
        "stack.position.vectors": weights.take("embeddings.position_embeddings.weight"),
    }
    found |= weights.renamed({"embeddings.LayerNorm": "stack.first_norm"})
    for layer in range(config.num_hidden_layers):
        old, new = f"encoder.layer.{layer}.", f"stack.blocks.{layer}."
        found |= weights.renamed(BERT_BLOCK, old, new)
        maps = [f"{old}attention.self.{part}" for part in ("query", "key", "value")]
        found |= weights.joined(maps, f"{new}attention.project")
    weights.check_rest("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids")
    return _filled(ours, found, embedding)


def t5(source: Source, *, dropout: float = DROPOUT) -> EncoderDecoder:
    """A T5 as an `EncoderDecoder`: RMS norm, no biases, relative positions, scores not divided.

    T5 1.0 multiplies the decoder's vectors by 1/√d before W_o, which is E; here that is part of
    the last norm's gain. T5 1.1 has a gated GELU and its own W_o, and multiplies by nothing.

    Parameters
    ----------
    source : a T5ForConditionalGeneration of `transformers`, or a name or folder to load one from
    dropout : as for `gpt2`

    Returns
    -------
    A copy of the model, in its precision and on its device, in evaluation mode.

    Raises
    ------
    ValueError, ImportError : as for `gpt2`.

    References
    ----------
    Raffel et al. 2020, Exploring the Limits of Transfer Learning with a Unified Text-to-Text
    Transformer, section 2.1; Shazeer 2020, GLU Variants Improve Transformer, for 1.1.
    """
    theirs = _model(source, "t5", "T5ForConditionalGeneration")
    config = theirs.config
    weights = _Weights(theirs.state_dict())
    embedding = weights.take("shared.weight")
    head = weights.take("lm_head.weight")
    for side in ("encoder", "decoder"):
        if not torch.equal(weights.take(f"{side}.embed_tokens.weight"), embedding):
            raise ValueError(f"the {side} has vectors of its own for tokens; ours share them")
    settings = Settings(
        dimension=config.d_model,
        heads=config.num_heads,
        layers=config.num_layers,
        hidden=config.d_ff,
        head_size=config.d_kv,
        position="relative",
        norm="rms",
        epsilon=config.layer_norm_epsilon,
        activation=_activation(config.dense_act_fn),
        gated=config.is_gated_act,
        bias=False,
        scaled=False,
        dropout=dropout,
    )
    ours = EncoderDecoder(config.vocab_size, settings, tied=torch.equal(head, embedding))
    deep = replace(settings, layers=config.num_decoder_layers)
    ours.decoder = Stack(deep, causal=True, cross=True)
    found = {"embedding.weight": embedding, "output.weight": head}
    for side, stack, layers in (
        ("encoder", ours.encoder, config.num_layers),
        ("decoder", ours.decoder, config.num_decoder_layers),
    ):
        stack.position = RelativeBias(
            config.num_heads,
            config.relative_attention_num_buckets,
            config.relative_attention_max_distance,
            both=side == "encoder",
        )
        found[f"{side}.position.biases"] = weights.take(
            f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        )
        found |= weights.renamed({f"{side}.final_layer_norm": f"{side}.last_norm"})
        for layer in range(layers):
            found |= _t5_block(weights, f"{side}.block.{layer}.layer.", f"{side}.blocks.{layer}.")
    weights.check_rest()
    if getattr(config, "scale_decoder_outputs", config.tie_word_embeddings):
        found["decoder.last_norm.weight"] = found["decoder.last_norm.weight"] * config.d_model**-0.5
    return _filled(ours, found, embedding)


def _t5_block(weights: _Weights, old: str, new: str) -> dict[str, Tensor]:
    """One block: its sublayers are numbered, and a decoder has one more in the middle."""
    kinds = [("SelfAttention", "attention"), ("DenseReluDense", "feed_forward")]
    if old.startswith("decoder"):
        kinds.insert(1, ("EncDecAttention", "cross"))
    found: dict[str, Tensor] = {}
    for number, (kind, name) in enumerate(kinds):
        sublayer = f"{old}{number}.{kind}."
        found |= weights.renamed({f"{old}{number}.layer_norm": f"{new}{name}_norm"})
        if name == "feed_forward":
            gated = f"{sublayer}wi_0.weight" in weights.tensors
            first = {"wi_0": "gate", "wi_1": "widen"} if gated else {"wi": "widen"}
            found |= weights.renamed(first | {"wo": "narrow"}, sublayer, f"{new}{name}.")
        else:
            found |= weights.joined([sublayer + part for part in "qkv"], f"{new}{name}.project")
            found |= weights.renamed({"o": "output"}, sublayer, f"{new}{name}.")
    return found


class _Weights:
    """Tensors by Hugging Face's names, each of which is taken once."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = dict(tensors)

    def take(self, name: str) -> Tensor:
        """A tensor, which is no longer here afterwards."""
        if name not in self.tensors:
            raise ValueError(f"the model lacks {name}: it is of another kind, or not whole")
        return self.tensors.pop(name)

    def layer(self, name: str) -> dict[str, Tensor]:
        """A layer's weight and, if it has one, bias."""
        found = {"weight": self.take(f"{name}.weight")}
        if f"{name}.bias" in self.tensors:
            found["bias"] = self.take(f"{name}.bias")
        return found

    def renamed(self, names: dict[str, str], old: str = "", new: str = "") -> dict[str, Tensor]:
        """Layers by new names; `old` and `new` are what stands before the names."""
        return {
            f"{new}{ours}.{part}": tensor
            for theirs, ours in names.items()
            for part, tensor in self.layer(old + theirs).items()
        }

    def joined(self, names: list[str], new: str) -> dict[str, Tensor]:
        """Several linear maps as one, the rows of one after those of the other."""
        layers = [self.layer(name) for name in names]
        return {f"{new}.{part}": torch.cat([x[part] for x in layers]) for part in layers[0]}

    def check_rest(self, *unneeded: str) -> None:
        """Nothing is left, but for names that end in some way."""
        if rest := [name for name in self.tensors if not name.endswith(unneeded)]:
            raise ValueError(
                f"weights that this course's model has no place for: {', '.join(rest)}"
            )


def _model(source: Source, kind: str, class_name: str, **options: Any) -> Any:
    """A model of `transformers`, loaded if need be, after a look at what kind it is of."""
    if isinstance(source, nn.Module):
        _check_kind(getattr(source, "config", None), kind)
        return source
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            f"to load {str(source)!r} needs the package transformers: pip install transformers"
        ) from error
    _check_kind(transformers.AutoConfig.from_pretrained(source), kind)
    model, report = getattr(transformers, class_name).from_pretrained(
        source, output_loading_info=True, **options
    )
    # from_pretrained would fill these with random numbers.
    if lacking := [*report["missing_keys"], *report["mismatched_keys"]]:
        raise ValueError(f"{source} lacks weights: {', '.join(map(str, lacking))}")
    return model


def _check_kind(config: Any, kind: str) -> None:
    found = getattr(config, "model_type", None)
    if found != kind:
        raise ValueError(f"a model of the type {kind!r} is needed, got {found!r}")


def _require(config: Any, **wanted: object) -> None:
    for name, value in wanted.items():
        if (found := getattr(config, name, value)) != value:
            raise ValueError(f"only models with {name}={value!r} can be loaded, got {found!r}")


def _activation(name: Any) -> str:
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]


def _filled(ours: Model, found: dict[str, Tensor], like: Tensor) -> Model:
    """Our model with these weights, all of which it must need and have."""
    ours.to(like.device, like.dtype).load_state_dict(found)
    return ours.eval()
