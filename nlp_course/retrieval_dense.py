"""Finding texts by vectors: two encoders, trained so that a query lies near its passage.

Queries and passages are arrays of token ids from any tokenizer. `retrieval` finds texts by the
words they share; here no word needs to be shared, and what lies near has been learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.batching import Batches, check_sizes, pad
from nlp_course.retrieval import rank
from nlp_course.transformer import Encoder

Texts = Sequence[Int[np.ndarray, "_"]]


class PairBatch(NamedTuple):
    """Queries, the passage of each, and further passages that are right for none of them.

    queries, passages : ids, padded; passage i is that of query i, those beyond are negatives
    query_lengths, passage_lengths : tokens of each
    numbers : which passage each is, so that the same one twice is not taken for a negative
    """

    queries: Int[Tensor, "batch query_time"]
    query_lengths: Int[Tensor, "batch"]
    passages: Int[Tensor, "passage time"]
    passage_lengths: Int[Tensor, "passage"]
    numbers: Int[Tensor, "passage"]


@dataclass(frozen=True)
class _Epoch:
    """Batches that are made when they are asked for."""

    make: Callable[[Int[np.ndarray, "_"]], PairBatch]
    rows: Int[np.ndarray, "batches batch_size"]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[PairBatch]:
        return map(self.make, self.rows)


class BagEncoder(nn.Module):
    """A text as the sum of its tokens' vectors, brought to length 1: x = e / ‖e‖, e = Σ_t E_{w_t}.

    A token with a long vector counts more, so weights such as IDF can be learned. The order of the
    tokens does not count.

    Parameters
    ----------
    vocabulary_size, dimension : of the table E, (V, d)

    Raises
    ------
    ValueError : a size below 1.

    Examples
    --------
    >>> encoder = BagEncoder(10, 4)
    >>> x = encoder(torch.tensor([[3, 5], [5, 3]]), torch.tensor([2, 2]))
    >>> x.shape, bool(torch.allclose(x[0], x[1]))
    (torch.Size([2, 4]), True)
    """

    def __init__(self, vocabulary_size: int, dimension: int) -> None:
        super().__init__()
        check_sizes(vocabulary_size=vocabulary_size, dimension=dimension)
        self.embedding = nn.Embedding(vocabulary_size, dimension)
        nn.init.normal_(self.embedding.weight, std=dimension**-0.5)

    def forward(
        self, ids: Int[Tensor, "batch time"], lengths: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch d"]:
        """A vector of length 1 for each text; 0 for a text without tokens."""
        present = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        return F.normalize((self.embedding(ids) * present[:, :, None]).sum(dim=1), dim=1)


class PooledEncoder(nn.Module):
    """A text as the mean of a transformer's vectors of its tokens, brought to length 1.

    Parameters
    ----------
    encoder : its weights are shared, not copied

    References
    ----------
    Reimers and Gurevych 2019, Sentence-BERT. (DPR takes the vector of [CLS] instead, and does not
    bring it to length 1.)
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self, ids: Int[Tensor, "batch time"], lengths: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch d"]:
        """A vector of length 1 for each text."""
        h = self.encoder(ids, lengths)  # (batch, time, d)
        present = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        return F.normalize((h * present[:, :, None]).sum(dim=1), dim=1)


class BiEncoder(nn.Module):
    """One encoder for queries, one for passages; they meet only in a dot product.

    s(q, p) = x_q·z_p. So passages can be encoded before any query is known.

    Parameters
    ----------
    queries, passages : modules that make of ids and lengths a vector a text; one module may be both
    temperature : τ, by which scores are divided in the loss; below 1, since dot products of vectors
        of length 1 lie in −1 … 1

    Raises
    ------
    ValueError : the temperature is not above 0.

    References
    ----------
    Karpukhin et al. 2020, Dense Passage Retrieval for Open-Domain Question Answering.
    """

    def __init__(
        self, queries: nn.Module, passages: nn.Module, temperature: float | int = 0.05
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.queries = queries
        self.passages = passages
        self.temperature = temperature


def contrastive_loss(
    queries: Float[Tensor, "batch d"],
    passages: Float[Tensor, "passage d"],
    numbers: Int[Tensor, "passage"],
    temperature: float | int = 1,
) -> Float[Tensor, ""]:
    """In-batch negatives: each query is to find its passage among all passages of the batch.

    J = −Σ_i log [exp(s_ii / τ) / Σ_j exp(s_ij / τ)],  s_ij = x_i·z_j

    The sum over j leaves out other copies of the query's own passage.

    Parameters
    ----------
    queries, passages : x_i and z_j; passage i is that of query i, and there may be more of them
    numbers : which passage each z_j is
    temperature : τ

    Returns
    -------
    The sum over the queries, in nats.

    Raises
    ------
    ValueError : fewer than 2 passages, more queries than passages, or the temperature is not
        above 0.

    References
    ----------
    Oord, Li and Vinyals 2018, Representation Learning with Contrastive Predictive Coding (InfoNCE).
    Karpukhin et al. 2020, Dense Passage Retrieval, eq. 2.

    Examples
    --------
    >>> x = torch.eye(2)
    >>> round(contrastive_loss(x, x, torch.tensor([0, 1])).item(), 4)  # 2 log(1 + 1/e)
    0.6265
    """
    batch, total = len(queries), len(passages)
    if total < 2 or batch > total:
        raise ValueError(
            f"{batch} queries need a passage each, and at least 2 passages in all: got {total}"
        )
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    own = torch.arange(batch, device=queries.device)
    copies = numbers[:batch, None] == numbers  # (batch, passage)
    copies[own, own] = False
    scores = (queries @ passages.T / temperature).masked_fill(copies, -torch.inf)
    return F.cross_entropy(scores, own, reduction="sum")


def in_batch_loss(model: BiEncoder, batch: PairBatch) -> tuple[Float[Tensor, ""], int]:
    """`contrastive_loss` of a batch of texts, and its number of queries, for `training.train`.

    Raises
    ------
    ValueError : as for `contrastive_loss`.
    """
    x = model.queries(batch.queries, batch.query_lengths)
    z = model.passages(batch.passages, batch.passage_lengths)
    return contrastive_loss(x, z, batch.numbers, model.temperature), len(x)


def pair_batches(
    queries: Texts,
    passages: Texts,
    targets: Int[np.ndarray, "target"],
    batch_size: int,
    negatives: Int[np.ndarray, "row negative"] | None = None,
) -> Batches:
    """Batches of queries with their passages, in a new random order each epoch.

    The last queries of an epoch, too few for a batch, are left out, so that each query has equally
    many negatives.

    Parameters
    ----------
    targets : the number of each query's passage
    batch_size : queries in a batch; each of them has the other queries' passages as negatives
    negatives : numbers of passages that are wrong for each query, such as `hard_negatives` finds;
        they are negatives for the whole batch

    Raises
    ------
    ValueError : not one target, or not one row of negatives, a query; a passage that there is not;
        a batch size below 1 or above the number of queries.
    """
    check_sizes(batch_size=batch_size)
    if len(queries) != len(targets) or batch_size > len(queries):
        raise ValueError(
            f"{len(queries)} queries need as many targets, got {len(targets)}; and batch_size may "
            f"be so many at most, got {batch_size}"
        )
    extra = np.empty((len(queries), 0), dtype=np.int64) if negatives is None else negatives
    if len(extra) != len(queries):
        raise ValueError(f"{len(queries)} queries need as many rows of negatives, got {len(extra)}")
    every = np.concatenate([targets, extra.ravel()])
    if not 0 <= every.min() <= every.max() < len(passages):
        raise ValueError(f"passages are 0 … {len(passages) - 1}, got {every.min()} … {every.max()}")

    def batch(rows: Int[np.ndarray, "_"]) -> PairBatch:
        numbers = np.concatenate([targets[rows], extra[rows].ravel()])
        return PairBatch(
            *pad([queries[row] for row in rows]),
            *pad([passages[number] for number in numbers]),
            torch.from_numpy(numbers.astype(np.int64)),
        )

    def batches(rng: np.random.Generator) -> _Epoch:
        order = rng.permutation(len(queries))
        return _Epoch(batch, order[: len(order) // batch_size * batch_size].reshape(-1, batch_size))

    return batches


def inverse_cloze(
    documents: Sequence[Texts], rng: np.random.Generator, *, keep: float | int = 0.1
) -> tuple[list[Int[np.ndarray, "_"]], list[Int[np.ndarray, "_"]]]:
    """Queries without labels: a sentence of each document, and the rest of it as the passage.

    Parameters
    ----------
    documents : each its sentences; those with fewer than two are left out
    keep : the share of passages where the sentence stays in, so that finding shared words is
        learned, too

    Returns
    -------
    Queries, and the passage of each.

    Raises
    ------
    ValueError : no document has two sentences, or keep is outside 0 … 1.

    References
    ----------
    Lee, Chang and Toutanova 2019, Latent Retrieval for Weakly Supervised Open Domain Question
    Answering, section 4.
    """
    if not 0 <= keep <= 1:
        raise ValueError(f"keep must lie in 0 … 1, got {keep}")
    queries, passages = [], []
    for sentences in documents:
        if len(sentences) < 2:
            continue
        chosen = int(rng.integers(len(sentences)))
        kept = rng.random() < keep
        rest = [one for place, one in enumerate(sentences) if kept or place != chosen]
        queries.append(sentences[chosen])
        passages.append(np.concatenate(rest))
    if not queries:
        raise ValueError("no document has two sentences: there is nothing to take out")
    return queries, passages


@torch.no_grad()
def embed(encoder: nn.Module, texts: Texts, batch_size: int = 256) -> Float[np.ndarray, "text d"]:
    """The vectors of texts, in their order; texts of similar lengths go through together.

    Raises
    ------
    ValueError : there are no texts, or a batch size below 1.
    """
    check_sizes(batch_size=batch_size)
    if not len(texts):
        raise ValueError("there are no texts to embed")
    order = np.argsort([len(text) for text in texts], kind="stable")
    parts = [
        encoder(*pad([texts[row] for row in order[at : at + batch_size]]))
        for at in range(0, len(order), batch_size)
    ]
    found = torch.cat(parts).cpu().numpy()
    vectors = np.empty_like(found)
    vectors[order] = found
    return vectors


def hard_negatives(
    scores: Float[np.ndarray, "query document"], targets: Int[np.ndarray, "target"], n: int = 1
) -> Int[np.ndarray, "query n"]:
    """For each query the n documents of highest score that are not the right one.

    Raises
    ------
    ValueError : n < 1, fewer than n + 1 documents, or not one target a query.

    Examples
    --------
    >>> hard_negatives(np.array([[0.9, 0.1, 0.5]]), np.array([0])).tolist()
    [[2]]
    """
    if len(scores) != len(targets):
        raise ValueError(f"{len(scores)} queries need as many targets, got {len(targets)}")
    if not 1 <= n < scores.shape[1]:
        raise ValueError(f"n must lie in 1 … {scores.shape[1] - 1}, got {n}")
    others = scores.copy()
    np.put_along_axis(others, targets[:, None], -np.inf, axis=1)
    return np.array([rank(row, n) for row in others])
