"""How a transformer comes to an answer: read through its own output layer, layer by layer.

The logit lens takes a vector from any place of the stream, or what a sublayer or a head adds to it,
through the last norm and the output layer, as if the model ended there. With it one asks how much
of what is true of a subject can be read at its name (`attributes_rate`), which sublayer writes the
answer (`extraction_events`), and what a head makes of what it reads (`head_lens`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from nlp_course.interpretability import Recording, layers_of, record
from nlp_course.transformer import TransformerLM


@torch.no_grad()
def lens(
    model: TransformerLM, vectors: Float[Tensor, "*rows d"]
) -> Float[Tensor, "*rows vocabulary"]:
    """The logit lens: logits as if a vector stood at the end of the stream.

    lens(x) = U norm(x), with U the output layer

    Of what comes out of the last layer it gives the model's own logits.

    References
    ----------
    nostalgebraist 2020, interpreting GPT: the logit lens. Geva et al. 2022, Transformer
    Feed-Forward Layers Build Predictions by Promoting Concepts in the Vocabulary Space, for what a
    sublayer adds.
    """
    return model.output(model.stack.last_norm(vectors))


def attributes_rate(
    logits: Float[Tensor, "*rows vocabulary"], truth: Bool[Tensor, "*#rows vocabulary"], k: int
) -> Float[Tensor, "*rows"]:
    """The share of true attributes among the k tokens with the highest logits.

    Parameters
    ----------
    logits : such as the `lens` gives of the stream at a name's last token
    truth : True for the tokens that are attributes of the row's subject
    k : how many tokens are looked at

    Raises
    ------
    ValueError : k below 1 or above the size of the vocabulary.

    References
    ----------
    Geva et al. 2023, Dissecting Recall of Factual Associations in Auto-Regressive Language Models,
    section 6, with k = 50, and for truth the words of paragraphs about the subject.

    Examples
    --------
    >>> logits = torch.tensor([[4.0, 3.0, 2.0, 1.0]])
    >>> attributes_rate(logits, torch.tensor([[True, False, False, True]]), k=2)
    tensor([0.5000])
    """
    if not 1 <= k <= logits.shape[-1]:
        raise ValueError(f"k must lie in 1 … {logits.shape[-1]}, the vocabulary's size, got {k}")
    top = logits.topk(k, dim=-1).indices
    return truth.expand(logits.shape).gather(-1, top).float().mean(dim=-1)


def answer_rank(
    logits: Float[Tensor, "*rows vocabulary"], answers: Int[Tensor, "*#rows"]
) -> Int[Tensor, "*rows"]:
    """How many tokens have a higher logit than the answer: 0 where it is the first.

    Examples
    --------
    >>> answer_rank(torch.tensor([[4.0, 3.0, 2.0]]), torch.tensor([2]))
    tensor([2])
    """
    answers = answers.expand(logits.shape[:-1])
    return (logits > logits.gather(-1, answers[..., None])).sum(dim=-1)


class Extraction(NamedTuple):
    """Whether what a sublayer adds after the last token is, by the lens, the model's answer.

    attention, feed_forward : for each layer and text
    """

    attention: Bool[Tensor, "layer batch"]
    feed_forward: Bool[Tensor, "layer batch"]

    def rates(self) -> tuple[float, float]:
        """The share of texts with an event in at least one layer: of attention, of the network."""
        found = [part.any(dim=0).float().mean().item() for part in self]
        return found[0], found[1]


def extraction_events(
    model: TransformerLM, run: Recording, last: Int[Tensor, "batch"]
) -> Extraction:
    """Where the answer is extracted: argmax lens(what is added) = argmax of the model's logits.

    Parameters
    ----------
    run : of the texts, by `record`
    last : the place of each text's last token

    References
    ----------
    Geva et al. 2023, Dissecting Recall of Factual Associations, section 7.
    """
    rows = torch.arange(len(last))
    predicted = run.logits[rows, last].argmax(dim=-1)
    return Extraction(
        *(
            lens(model, part[:, rows, last]).argmax(dim=-1) == predicted
            for part in (run.attention, run.feed_forward)
        )
    )


@torch.no_grad()
def head_additions(
    model: TransformerLM, ids: Int[Tensor, "batch time"], layer: int
) -> Float[Tensor, "batch time head d"]:
    """What each head of a layer adds to the stream; the sum over heads is what attention adds.

    The bias of W_o, where there is one, is shared among the heads.

    Raises
    ------
    ValueError : a layer that there is not.
    """
    attention = layers_of(model)[_checked(model, layer)].attention
    mixed: list[Tensor] = []
    handle = attention.output.register_forward_pre_hook(lambda _, inputs: mixed.append(inputs[0]))
    try:
        record(model, ids)
    finally:
        handle.remove()
    by_head = mixed[0].unflatten(-1, (attention.heads, attention.head_size))
    weight = attention.output.weight.unflatten(1, (attention.heads, attention.head_size))
    added = torch.einsum("bthe,dhe->bthd", by_head, weight)
    if attention.output.bias is not None:
        added = added + attention.output.bias / attention.heads
    return added


@torch.no_grad()
def head_lens(
    model: TransformerLM,
    layer: int,
    head: int,
    vectors: Float[Tensor, "row d"] | None = None,
) -> Float[Tensor, "row vocabulary"]:
    """What a head writes when it attends to one vector alone, through the lens.

    W_o^m W_v^m norm(x), and then the lens: it comes from weights, with no text read. Row i of what
    all tokens' vectors give is the map from token i to tokens that the head holds.

    Parameters
    ----------
    vectors : what stands in the stream; the vectors of all tokens, by default

    Raises
    ------
    ValueError : a layer or head that there is not.

    References
    ----------
    Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, for the map W_o W_v of a
    head; Dar et al. 2023, Analyzing Transformers in Embedding Space, for reading it as a map from
    tokens to tokens; Geva et al. 2023, section 7.2, for heads that map subjects to attributes.
    """
    block = layers_of(model)[_checked(model, layer)]
    attention = block.attention
    if not 0 <= head < attention.heads:
        raise ValueError(f"head must lie in 0 … {attention.heads - 1}, got {head}")
    x = model.embedding.weight if vectors is None else vectors
    rows = slice(head * attention.head_size, (head + 1) * attention.head_size)
    values = slice(2 * attention.width + rows.start, 2 * attention.width + rows.stop)
    bias = None if attention.project.bias is None else attention.project.bias[values]
    value = F.linear(block.attention_norm(x), attention.project.weight[values], bias)
    return lens(model, value @ attention.output.weight[:, rows].T)


def _checked(model: TransformerLM, layer: int) -> int:
    number = len(layers_of(model))
    if not 0 <= layer < number:
        raise ValueError(f"layer must lie in 0 … {number - 1}, got {layer}")
    return layer
