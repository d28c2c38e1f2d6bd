"""BERT as it is pretrained: an encoder that restores hidden tokens, and judges pairs of sentences.

`masking` hides the tokens, `pretraining` makes the batches, and `encoders` has the heads for what
comes after pretraining.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.batching import NOTHING
from nlp_course.masking import Specials
from nlp_course.pretraining import EncoderBatch
from nlp_course.transformer import Encoder


class Pooler(nn.Module):
    """One vector for a text, from that of its first token, [CLS]: tanh(W h_1 + b).

    Parameters
    ----------
    encoder : whose vectors it reads

    References
    ----------
    Devlin et al. 2019, and its code: the layer is trained with next-sentence prediction.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        d = encoder.settings.dimension
        self.linear = new_linear(encoder, d, d)

    def forward(self, h: Float[Tensor, "batch time d"]) -> Float[Tensor, "batch d"]:
        """The vector of each text."""
        return torch.tanh(self.linear(h[:, 0]))


class MaskedLM(nn.Module):
    """BERT as it is pretrained: which token is hidden, and does the second text follow the first?

    g_t = norm(gelu(W h_t + b)),  p(w_t | the rest) = softmax(E g_t + b_o)

    E is the table of token vectors, so the head adds d² + O(d) numbers, and V biases.

    Parameters
    ----------
    encoder : its weights are shared, not copied
    next_sentence : whether there is the second head

    Attributes
    ----------
    transform, norm, bias : W and b, the norm, and b_o
    pooler, next_sentence : of the second head; None without it

    References
    ----------
    Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers for Language
    Understanding, section 3.1, and its code for the layer between h and E.

    Examples
    --------
    >>> from nlp_course.transformer_blocks import Settings
    >>> encoder = Encoder(10, Settings(dimension=8, heads=2, layers=1), segments=2)
    >>> model = MaskedLM(encoder)
    >>> model(torch.tensor([[1, 5, 3, 2]])).shape
    torch.Size([1, 4, 10])
    """

    def __init__(self, encoder: Encoder, *, next_sentence: bool = True) -> None:
        super().__init__()
        d = encoder.settings.dimension
        self.encoder = encoder
        self.transform = new_linear(encoder, d, d)
        self.norm = encoder.settings.make_norm()
        self.bias = nn.Parameter(torch.zeros(encoder.embedding.num_embeddings))
        self.pooler = Pooler(encoder) if next_sentence else None
        self.next_sentence = new_linear(encoder, d, 2) if next_sentence else None

    def token_logits(self, h: Float[Tensor, "*places d"]) -> Float[Tensor, "*places vocabulary"]:
        """Scores of each token of the vocabulary, at the places whose vectors are given."""
        g = self.norm(F.gelu(self.transform(h)))
        return F.linear(g, self.encoder.embedding.weight, self.bias)

    def next_logits(self, h: Float[Tensor, "batch time d"]) -> Float[Tensor, "batch 2"]:
        """Scores of "is from elsewhere" and "follows", from the vectors of pairs.

        Raises
        ------
        ValueError : the model has no such head.
        """
        if self.pooler is None or self.next_sentence is None:
            raise ValueError("this model has no second head: build it with next_sentence=True")
        return self.next_sentence(self.pooler(h))

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        lengths: Int[Tensor, "text"] | None = None,
        segments: Int[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch time vocabulary"]:
        """Scores of each token of the vocabulary, at all places: see `Encoder.forward`."""
        return self.token_logits(self.encoder(ids, lengths, segments))


def pretraining_loss(model: MaskedLM, batch: EncoderBatch) -> tuple[Float[Tensor, ""], int]:
    """BERT's loss, for `training.train`: the two means are added, here times the chosen tokens.

    L = −(1/n) Σ_t log p(w_t | the rest) − (1/m) Σ_i log p(label_i | pair_i)

    n tokens were chosen to be predicted, m pairs have a label; without labels, or without the
    second head, the second sum is left out. Only the n vectors go through the output layer, which
    is what makes a large vocabulary affordable.

    Returns
    -------
    n L and n.

    Raises
    ------
    ValueError : no token was chosen, or a target or a label out of range.
    """
    h = model.encoder(batch.ids, batch.lengths, batch.segments)
    total, tokens = _masked(model, h, batch.targets)
    if model.next_sentence is not None and bool((batch.labels != NOTHING).any()):
        total = total + tokens * _next_sentence_mean(model, h, batch.labels)
    return total, tokens


def masked_loss(model: MaskedLM, batch: EncoderBatch) -> tuple[Float[Tensor, ""], int]:
    """−Σ log p of the chosen tokens alone, and their number: to measure, or to train as RoBERTa.

    Raises
    ------
    ValueError : no token was chosen, or a target out of range.
    """
    h = model.encoder(batch.ids, batch.lengths, batch.segments)
    return _masked(model, h, batch.targets)


@torch.no_grad()
def pseudo_log_likelihood(
    model: MaskedLM, ids: Int[Tensor, "time"], specials: Specials
) -> Float[Tensor, "token"]:
    """Log p(w_t | all others) of each token of the text, hidden one at a time.

    Padding, [CLS], [SEP] and [MASK] are not of the text. What else is special is, so that unknown
    words are not free. Their sum scores a text. It is no log-probability: over all texts, exp of it
    need not sum to 1.

    Raises
    ------
    ValueError : the text has no such token, or as for `Encoder.forward`.

    References
    ----------
    Salazar et al. 2020, Masked Language Model Scoring.
    """
    framing = torch.tensor(specials[:4], device=ids.device)
    places = torch.isin(ids, framing, invert=True).nonzero().flatten()
    if not len(places):
        raise ValueError(
            "there is nothing to score: a text needs a token that is not padding, [CLS], [SEP] or "
            "[MASK]"
        )
    rows = torch.arange(len(places), device=ids.device)
    hidden = ids.repeat(len(places), 1)  # (token, time)
    hidden[rows, places] = specials.mask
    logits = model.token_logits(model.encoder(hidden)[rows, places])  # (token, V)
    return torch.log_softmax(logits, dim=1)[rows, ids[places]]


def _masked(
    model: MaskedLM, h: Float[Tensor, "batch time d"], targets: Int[Tensor, "batch time"]
) -> tuple[Float[Tensor, ""], int]:
    chosen = targets != NOTHING
    check_answers(targets[chosen], len(model.bias), "targets")
    logits = model.token_logits(h[chosen])  # (chosen, V)
    return F.cross_entropy(logits, targets[chosen], reduction="sum"), len(logits)


def _next_sentence_mean(
    model: MaskedLM, h: Float[Tensor, "batch time d"], labels: Int[Tensor, "batch"]
) -> Float[Tensor, ""]:
    known = labels != NOTHING
    check_answers(labels[known], 2, "labels")
    return F.cross_entropy(model.next_logits(h[known]), labels[known])


def new_linear(encoder: Encoder, inputs: int, outputs: int) -> nn.Linear:
    """A linear layer for a head, which begins as those of the encoder do."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=encoder.settings.spread)
    nn.init.zeros_(layer.bias)
    return layer


def check_answers(answers: Int[Tensor, "_"], size: int, name: str) -> None:
    """ValueError where no answer is asked for, or one is not in 0 … size − 1."""
    if not len(answers):
        raise ValueError(f"no {name}: nothing is asked for, since all are NOTHING")
    if ((answers < 0) | (answers >= size)).any():
        raise ValueError(
            f"{name} must lie in 0 … {size - 1}, got {answers.min()} … {answers.max()}"
        )
