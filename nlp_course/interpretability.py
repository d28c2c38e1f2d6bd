"""What goes on inside a transformer: recorded at every layer, cut off, silenced, exchanged.

All of it is done from outside, by torch's hooks, on models as they are. A model with pre-norm adds
up a sum, the residual stream: a token's vector, then what each layer's attention and feed-forward
network add to it. `record` keeps every term. `cut_attention`, `silence` and `patch` are contexts:
inside a ``with`` block the model computes with the change, after it as before, and several may be
nested. `knockout_curve` and `patching_effect` ask a question of each layer in turn.

Layers are counted from 0. The stream has one more place than there are layers: 0 is what goes into
the first layer, l what comes out of l of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from nlp_course.attention import causal_mask
from nlp_course.transformer import TransformerLM
from nlp_course.transformer_blocks import Block

PARTS = ("attention", "feed_forward")


class Recording(NamedTuple):
    """All terms of the residual stream, and the logits at its end.

    stream[0] + Σ_{i<l} (attention[i] + feed_forward[i]) = stream[l]

    logits : of the token after each
    stream : what goes into the first layer, and what comes out of each
    attention : what each layer's attention adds
    feed_forward : what each layer's feed-forward network adds
    """

    logits: Float[Tensor, "batch time vocabulary"]
    stream: Float[Tensor, "places batch time d"]
    attention: Float[Tensor, "layer batch time d"]
    feed_forward: Float[Tensor, "layer batch time d"]


@torch.no_grad()
def record(model: TransformerLM, ids: Int[Tensor, "batch time"]) -> Recording:
    """Run a model and keep what every layer adds, without dropout.

    Parameters
    ----------
    model : with pre-norm
    ids : of tokens; what is padding comes last

    Raises
    ------
    ValueError : a model with post-norm, whose stream is no sum, and what the model refuses.

    References
    ----------
    Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, for the stream as a sum.

    Examples
    --------
    >>> from nlp_course.transformer import Settings
    >>> model = TransformerLM(10, Settings(dimension=8, heads=2, layers=3))
    >>> run = record(model, torch.tensor([[4, 5, 6]]))
    >>> run.stream.shape, run.attention.shape
    (torch.Size([4, 1, 3, 8]), torch.Size([3, 1, 3, 8]))
    >>> total = run.stream[0] + run.attention.sum(0) + run.feed_forward.sum(0)
    >>> torch.allclose(total, run.stream[-1], atol=1e-6)
    True
    """
    stream: list[Tensor] = []
    added: dict[str, list[Tensor]] = {part: [] for part in PARTS}

    def keep_input(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        stream.append(inputs[0])

    def keep_block(_: nn.Module, __: Any, output: tuple[Tensor, Any]) -> None:
        stream.append(output[0])

    def keep(part: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            added[part].append(output[0] if part == "attention" else output)

        return hook

    blocks = layers_of(model)
    handles = [blocks[0].register_forward_pre_hook(keep_input)]
    for block in blocks:
        handles.append(block.register_forward_hook(keep_block))
        handles += [getattr(block, part).register_forward_hook(keep(part)) for part in PARTS]
    with _hooked(handles):
        logits = logits_of(model, ids)
    return Recording(logits, torch.stack(stream), *(torch.stack(added[part]) for part in PARTS))


@torch.no_grad()
def logits_of(
    model: TransformerLM, ids: Int[Tensor, "batch time"]
) -> Float[Tensor, "batch time vocabulary"]:
    """What a model says after each token, without dropout; it stays in the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        return model(ids.to(model.embedding.weight.device))[0]
    finally:
        model.train(was_training)


@contextmanager
def cut_attention(
    model: TransformerLM, edges: Bool[Tensor, "batch query key"], layers: Iterable[int]
) -> Iterator[None]:
    """Inside this context no attention runs along some edges, in some layers.

    The scores of these edges count as −∞, so that the other weights of a query sum to 1. A query
    all of whose edges are cut attends to nothing and gets zeros.

    Parameters
    ----------
    edges : True where a query must not attend to a key; `edges_between` makes them. A batch of 1
        serves all texts
    layers : in which they are cut

    Raises
    ------
    ValueError : a layer that there is not, or, when the model is called, edges of another size.

    References
    ----------
    Geva et al. 2023, Dissecting Recall of Factual Associations in Auto-Regressive Language Models,
    section 4.
    """

    def cut(_: nn.Module, inputs: tuple[Tensor], named: dict[str, Any]) -> Any:
        batch, time = inputs[0].shape[:2]
        if edges.shape[0] not in (1, batch) or edges.shape[1:] != (time, time):
            raise ValueError(
                f"edges have shape {tuple(edges.shape)}, the texts need {(batch, time, time)}"
            )
        if named.get("past") is not None:
            raise ValueError("cut attention in whole texts: call the model without a state")
        seen = causal_mask(time, time, edges.device)
        if named.get("mask") is not None:
            seen = seen & named["mask"]
        return inputs, {**named, "mask": seen & ~edges[:, None], "causal": False}

    blocks = layers_of(model)
    with _hooked(
        blocks[layer].attention.register_forward_pre_hook(cut, with_kwargs=True)
        for layer in _checked(layers, len(blocks))
    ):
        yield


@contextmanager
def silence(
    model: TransformerLM,
    part: str,
    layers: Iterable[int],
    places: Bool[Tensor, "batch time"] | None = None,
) -> Iterator[None]:
    """Inside this context a sublayer adds nothing to the stream, in some layers.

    Parameters
    ----------
    part : "attention" or "feed_forward"
    places : True where it adds nothing; everywhere, by default

    Raises
    ------
    ValueError : another part, or a layer that there is not.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}")

    def quiet(_: nn.Module, __: Any, output: Any) -> Any:
        added = output[0] if part == "attention" else output
        hidden = torch.ones_like(added[..., 0], dtype=torch.bool) if places is None else places
        added = added.masked_fill(hidden[..., None], 0.0)
        return (added, *output[1:]) if part == "attention" else added

    blocks = layers_of(model)
    with _hooked(
        getattr(blocks[layer], part).register_forward_hook(quiet)
        for layer in _checked(layers, len(blocks))
    ):
        yield


@contextmanager
def patch(
    model: TransformerLM,
    place: int,
    positions: Bool[Tensor, "batch time"],
    vectors: Float[Tensor, "batch time d"],
) -> Iterator[None]:
    """Inside this context the stream has other vectors, at one of its places.

    Parameters
    ----------
    place : 0, before the first layer, … L, after the last
    positions : True at the tokens whose vectors are exchanged
    vectors : what stands there instead, such as ``record(model, other).stream[place]``

    Raises
    ------
    ValueError : a place that there is not.

    References
    ----------
    Meng et al. 2022, Locating and Editing Factual Associations in GPT, section 2 (causal tracing);
    Zhang and Nanda 2024, Towards Best Practices of Activation Patching in Language Models.
    """

    def exchanged(x: Tensor) -> Tensor:
        return torch.where(positions[..., None], vectors.to(x.dtype), x)

    def before(_: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
        return exchanged(inputs[0]), *inputs[1:]

    def after(_: nn.Module, __: Any, output: tuple[Tensor, Any]) -> Any:
        return exchanged(output[0]), *output[1:]

    blocks = layers_of(model)
    [place] = _checked([place], len(blocks) + 1)
    if place == 0:
        handle = blocks[0].register_forward_pre_hook(before)
    else:
        handle = blocks[place - 1].register_forward_hook(after)
    with _hooked([handle]):
        yield


def edges_between(
    queries: Bool[Tensor, "batch time"], keys: Bool[Tensor, "batch time"]
) -> Bool[Tensor, "batch time time"]:
    """The edges from some tokens, as queries, to others, as keys: for `cut_attention`.

    Examples
    --------
    >>> last, first = torch.tensor([[False, False, True]]), torch.tensor([[True, False, False]])
    >>> edges_between(last, first).int().tolist()
    [[[0, 0, 0], [0, 0, 0], [1, 0, 0]]]
    """
    return queries[:, :, None] & keys[:, None, :]


def window(layer: int, width: int, layers: int) -> range:
    """The layers around one, `width` of them, fewer at the ends: where `knockout_curve` cuts.

    Raises
    ------
    ValueError : a width below 1, or a layer that there is not.

    Examples
    --------
    >>> [list(window(layer, 3, 6)) for layer in (0, 2, 5)]
    [[0, 1], [1, 2, 3], [4, 5]]
    """
    if width < 1:
        raise ValueError(f"width must be at least 1, got {width}")
    _checked([layer], layers)
    start = layer - (width - 1) // 2
    return range(max(0, start), min(layers, start + width))


def answer_probabilities(
    logits: Float[Tensor, "batch time vocabulary"],
    last: Int[Tensor, "batch"],
    answers: Int[Tensor, "batch"],
) -> Float[Tensor, "batch"]:
    """p(answer) after the token at `last` of each text."""
    rows = torch.arange(len(logits))
    return logits[rows, last].softmax(dim=-1)[rows, answers]


def knockout_curve(
    model: TransformerLM,
    ids: Int[Tensor, "batch time"],
    last: Int[Tensor, "batch"],
    answers: Int[Tensor, "batch"],
    edges: Bool[Tensor, "batch time time"],
    width: int,
) -> Float[Tensor, "layer batch"]:
    """By what share an answer's probability changes if edges are cut around each layer.

    (p_cut − p) / p: 0 where nothing changes, −1 where the answer is lost

    Parameters
    ----------
    last : the place of each text's last token
    answers : the token whose probability is looked at
    edges : as for `cut_attention`
    width : of the `window` of layers

    Raises
    ------
    ValueError : as for `window` and `cut_attention`.

    References
    ----------
    Geva et al. 2023, Dissecting Recall of Factual Associations, section 5, with windows of 9
    layers in GPT-2 XL, which has 48.
    """
    usual = answer_probabilities(logits_of(model, ids), last, answers)
    changes = []
    number = len(layers_of(model))
    for layer in range(number):
        with cut_attention(model, edges, window(layer, width, number)):
            cut = answer_probabilities(logits_of(model, ids), last, answers)
        changes.append(cut / usual - 1)
    return torch.stack(changes)


def patching_effect(
    model: TransformerLM,
    clean: Int[Tensor, "batch time"],
    other: Int[Tensor, "others length"],
    last: Int[Tensor, "batch"],
    answers: Int[Tensor, "batch 2"],
) -> Float[Tensor, "places time"]:
    """How much of an answer comes back where the stream of another text gets vectors of a first.

    Both texts are read; then the other is read again, once for each place of the stream and each
    token, with the first text's vector there. With m = logit(answer to the first) − logit(answer
    to the other), the effect is (m_patched − m_other) / (m_clean − m_other), each m a mean over
    the batch: 0 where it does nothing, 1 where all comes back.

    Parameters
    ----------
    clean, other : texts of the same form, such as one question about two people
    last : the place of each text's last token
    answers : to the first and to the other

    Raises
    ------
    ValueError : texts of two sizes, or the same m for both.
    """
    if clean.shape != other.shape:
        raise ValueError(
            f"texts must be of one form, got {tuple(clean.shape)} and {tuple(other.shape)}"
        )
    rows = torch.arange(len(clean))

    def preference(logits: Tensor) -> float:
        first, second = (logits[rows, last, answers[:, column]] for column in (0, 1))
        return float((first - second).mean())

    run = record(model, clean)
    best, worst = preference(run.logits), preference(logits_of(model, other))
    if best == worst:
        raise ValueError("both texts prefer the same answer by as much: nothing to bring back")
    effect = torch.empty(len(run.stream), clean.shape[1])
    for place, vectors in enumerate(run.stream):
        for time in range(clean.shape[1]):
            chosen = torch.zeros_like(clean, dtype=torch.bool)
            chosen[:, time] = True
            with patch(model, place, chosen, vectors):
                found = preference(logits_of(model, other))
            effect[place, time] = (found - worst) / (best - worst)
    return effect


def layers_of(model: TransformerLM) -> list[Block]:
    """A model's blocks.

    Raises
    ------
    ValueError : a model with post-norm, whose stream is no sum of what its layers add.
    """
    if not model.settings.norm_first:
        raise ValueError("with post-norm the stream is no sum: give a model with norm_first=True")
    return [block for block in model.stack.blocks if isinstance(block, Block)]


@contextmanager
def _hooked(handles: Iterable[RemovableHandle]) -> Iterator[None]:
    """Hooks that are taken off again, whatever happens."""
    with ExitStack() as stack:
        for handle in handles:
            stack.callback(handle.remove)
        yield


def _checked(layers: Iterable[int], number: int) -> list[int]:
    found = list(layers)
    if bad := [layer for layer in found if not 0 <= layer < number]:
        raise ValueError(f"layers must lie in 0 … {number - 1}, got {', '.join(map(str, bad))}")
    return found
