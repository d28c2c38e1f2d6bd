"""What BERT is fine-tuned with: heads for classes of texts, tags of tokens, answers in passages.

An encoder gives a vector a token; a head is a small layer that makes an answer of these vectors.
`encoder_tasks` makes the batches. All of it is trained, encoder and head.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.batching import NOTHING
from nlp_course.encoder_tasks import SpanBatch
from nlp_course.masked_lm import Pooler, check_answers, new_linear
from nlp_course.pretraining import EncoderBatch
from nlp_course.transformer import Encoder


class SequenceClassifier(nn.Module):
    """A class for a text, or for a pair of texts: logits = W tanh(W_p h_1 + b_p) + b.

    Parameters
    ----------
    encoder : its weights are shared, not copied
    labels : how many classes; 1 for a regression, whose only logit is the answer
    pooler : that of `MaskedLM`, if it was pretrained; a new one by default

    Raises
    ------
    ValueError : labels < 1.

    References
    ----------
    Devlin et al. 2019, section 4.1.
    """

    def __init__(self, encoder: Encoder, labels: int, pooler: Pooler | None = None) -> None:
        super().__init__()
        _check_labels(labels)
        self.encoder = encoder
        self.pooler = Pooler(encoder) if pooler is None else pooler
        self.dropout = nn.Dropout(encoder.settings.dropout)
        self.output = new_linear(encoder, encoder.settings.dimension, labels)

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        lengths: Int[Tensor, "text"] | None = None,
        segments: Int[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch label"]:
        """Logits of each class, for each text: see `Encoder.forward`."""
        return self.output(self.dropout(self.pooler(self.encoder(ids, lengths, segments))))


class TokenClassifier(nn.Module):
    """A tag for each token: logits_t = W h_t + b.

    Parameters
    ----------
    encoder : its weights are shared, not copied
    labels : how many tags there are

    Raises
    ------
    ValueError : labels < 1.

    References
    ----------
    Devlin et al. 2019, section 5.3: entities, the tag of a word at its first piece.
    """

    def __init__(self, encoder: Encoder, labels: int) -> None:
        super().__init__()
        _check_labels(labels)
        self.encoder = encoder
        self.dropout = nn.Dropout(encoder.settings.dropout)
        self.output = new_linear(encoder, encoder.settings.dimension, labels)

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        lengths: Int[Tensor, "text"] | None = None,
        segments: Int[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch time label"]:
        """Logits of each tag, for each token: see `Encoder.forward`."""
        return self.output(self.dropout(self.encoder(ids, lengths, segments)))


class SpanScores(NamedTuple):
    """How well an answer may begin, and end, at each token."""

    start: Float[Tensor, "batch time"]
    end: Float[Tensor, "batch time"]


class SpanReader(nn.Module):
    """The two ends of an answer in a passage: start_t = s·h_t + b_s, end_t = e·h_t + b_e.

    Parameters
    ----------
    encoder : its weights are shared, not copied

    References
    ----------
    Devlin et al. 2019, section 4.2.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.output = new_linear(encoder, encoder.settings.dimension, 2)

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        lengths: Int[Tensor, "text"] | None = None,
        segments: Int[Tensor, "batch time"] | None = None,
    ) -> SpanScores:
        """Both scores of each token, question and padding included: see `Encoder.forward`."""
        start, end = self.output(self.encoder(ids, lengths, segments)).unbind(dim=2)
        return SpanScores(start, end)


def classification_loss(
    model: SequenceClassifier, batch: EncoderBatch
) -> tuple[Float[Tensor, ""], int]:
    """−Σ log p(label) over texts that have one, and their number, for `training.train`.

    Raises
    ------
    ValueError : no text has a label, or a label out of range.
    """
    logits = model(batch.ids, batch.lengths, batch.segments)
    return _cross_entropy(logits, batch.labels, "labels")


def regression_loss(
    model: SequenceClassifier, batch: EncoderBatch
) -> tuple[Float[Tensor, ""], int]:
    """Σ (logit − label)² over the batch, and its size: labels are numbers, such as STS-B's 0 … 5.

    Raises
    ------
    ValueError : a model with more than one logit, or labels that are not real numbers.
    """
    prediction = model(batch.ids, batch.lengths, batch.segments)
    if prediction.shape[1] != 1:
        raise ValueError(f"a regression has one logit: labels=1, not {prediction.shape[1]}")
    if not batch.labels.is_floating_point():
        raise ValueError("the labels of a regression must be real numbers: give them as floats")
    return ((prediction[:, 0] - batch.labels) ** 2).sum(), len(prediction)


def tagging_loss(model: TokenClassifier, batch: EncoderBatch) -> tuple[Float[Tensor, ""], int]:
    """−Σ log p(tag) over tokens that have one, and their number, for `training.train`.

    Raises
    ------
    ValueError : no token has a tag, or a tag out of range.
    """
    logits = model(batch.ids, batch.lengths, batch.segments)
    return _cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), "targets")


def span_loss(model: SpanReader, batch: SpanBatch) -> tuple[Float[Tensor, ""], int]:
    """Σ −½ (log p(first) + log p(last)) over questions with an answer, and their number.

    Both are softmaxes over the passage's tokens alone; BERT's are over all tokens.

    Raises
    ------
    ValueError : no question has an answer, or an answer is not inside its passage.
    """
    asked = batch.spans[:, 0] != NOTHING
    spans, allowed = batch.spans[asked], batch.allowed[asked]
    if not len(spans):
        raise ValueError("no spans: nothing is asked for, since all are NOTHING")
    check_answers(spans.flatten(), allowed.shape[1], "spans")
    if not allowed.gather(1, spans).all():
        raise ValueError("an answer must begin and end inside its passage: see span_tokens")
    scores = model(batch.ids[asked], batch.lengths[asked], batch.segments[asked])
    losses = [
        F.cross_entropy(some.masked_fill(~allowed, -torch.inf), spans[:, place], reduction="sum")
        for place, some in enumerate(scores)
    ]
    return (losses[0] + losses[1]) / 2, len(spans)


def best_span(
    start: Float[Tensor, "batch time"],
    end: Float[Tensor, "batch time"],
    *,
    longest: int,
    allowed: Bool[Tensor, "batch time"],
) -> Int[Tensor, "batch 2"]:
    """The first and the last token of the best span: argmax start_i + end_j, i ≤ j < i + longest.

    Parameters
    ----------
    start, end : scores, as `SpanReader` gives them
    longest : tokens that a span may have
    allowed : where a span may begin and end

    Raises
    ------
    ValueError : longest < 1, or a row where nothing is allowed.

    Examples
    --------
    >>> start, end = torch.tensor([[0.0, 2.0, 5.0]]), torch.tensor([[9.0, 1.0, 1.5]])
    >>> best_span(start, end, longest=2, allowed=torch.tensor([[False, True, True]])).tolist()
    [[2, 2]]
    """
    if longest < 1:
        raise ValueError(f"longest must be at least 1, got {longest}")
    if not allowed.any(dim=1).all():
        raise ValueError("each text needs a token where a span may begin: allowed has none in one")
    time = start.shape[1]
    places = torch.arange(time, device=start.device)
    ahead = places - places[:, None]  # (time, time), how far j is after i
    fits = (ahead >= 0) & (ahead < longest) & allowed[:, :, None] & allowed[:, None]
    scores = (start[:, :, None] + end[:, None]).masked_fill(~fits, -torch.inf)
    best = scores.flatten(1).argmax(dim=1)
    return torch.stack([best // time, best % time], dim=1)


@torch.no_grad()
def predict_classes(
    model: SequenceClassifier, batches: Iterable[EncoderBatch]
) -> Int[np.ndarray, "text"]:
    """The most probable class of each text, in the order of the batches."""
    found = [model(b.ids, b.lengths, b.segments).argmax(dim=1) for b in batches]
    return torch.cat(found).cpu().numpy()


@torch.no_grad()
def predict_tags(
    model: TokenClassifier, batches: Iterable[EncoderBatch]
) -> list[Int[np.ndarray, "_"]]:
    """For each text the most probable tags, at the tokens that have a target: a tag a word."""
    found = []
    for b in batches:
        tags = model(b.ids, b.lengths, b.segments).argmax(dim=2)
        asked = b.targets != NOTHING
        found += [row[where].cpu().numpy() for row, where in zip(tags, asked, strict=True)]
    return found


@torch.no_grad()
def predict_spans(
    model: SpanReader, batches: Iterable[SpanBatch], longest: int
) -> Int[np.ndarray, "text 2"]:
    """The best span of each text, in the order of the batches: see `best_span`."""
    found = [
        best_span(*model(b.ids, b.lengths, b.segments), longest=longest, allowed=b.allowed)
        for b in batches
    ]
    return torch.cat(found).cpu().numpy()


def _cross_entropy(
    logits: Float[Tensor, "place label"], answers: Int[Tensor, "place"], name: str
) -> tuple[Float[Tensor, ""], int]:
    asked = answers != NOTHING
    check_answers(answers[asked], logits.shape[1], name)
    return F.cross_entropy(logits[asked], answers[asked], reduction="sum"), int(asked.sum())


def _check_labels(labels: int) -> None:
    if labels < 1:
        raise ValueError(f"labels must be at least 1, got {labels}")
