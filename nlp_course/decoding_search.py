"""Two more searches: through all texts there are, and for a text that does not circle.

Exhaustive search says what beam search approximates, where there are few enough texts to try.
Contrastive search takes the likeliest tokens and of these one that is unlike what was read.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from nlp_course.decoding import Beams, LanguageModel, select_rows
from nlp_course.transformer import Cache, TransformerLM

MOST_TEXTS = 1_000_000


@torch.no_grad()
def exhaustive_search(
    model: LanguageModel,
    ids: Int[Tensor, "batch time"],
    length: int,
    best: int = 1,
    *,
    length_penalty: float | int = 1.0,
    stop: int | None = None,
    state: Any = None,
) -> Beams:
    """The best of all texts, by trying them: |V|ⁿ of n tokens, and so only of a few.

    Parameters
    ----------
    model, ids, length, length_penalty, stop, state : as for `decoding.beam_search`, of one text
    best : how many to return

    Returns
    -------
    Texts in order of log p / n^α, where n counts new tokens, with their log p; fewer than `best`
    if there are fewer.

    Raises
    ------
    ValueError : not one text, no tokens to begin with, length or best below 1, or more than a
        million texts.

    Examples
    --------
    >>> log_p = torch.tensor([[0.1, 0.9], [0.5, 0.5]]).log()
    >>> found = exhaustive_search(lambda ids, state: (log_p[ids], state), torch.tensor([[0]]), 3, 2)
    >>> found.ids.tolist(), [round(p, 3) for p in found.log_probabilities[0].exp().tolist()]
    ([[[1, 0, 1], [1, 1, 0]]], [0.405, 0.225])
    """
    if len(ids) != 1 or ids.shape[1] == 0:
        raise ValueError(f"one text with at least one token is needed, got {tuple(ids.shape)}")
    if min(length, best) < 1:
        raise ValueError(f"length and best must be at least 1, got {length} and {best}")
    logits, state = model(ids, state)
    size = logits.shape[-1]
    if size**length > MOST_TEXTS:
        raise ValueError(
            f"{size} tokens make {size**length:.0e} texts of length {length}; at most "
            f"{MOST_TEXTS:,} are tried: use decoding.beam_search"
        )
    texts, total = ids.new_zeros(1, 0), logits.new_zeros(1)
    ended, log_probabilities, scores = [], [], []
    for n in range(1, length + 1):
        total = (total[:, None] + torch.log_softmax(logits[:, -1].float(), dim=-1)).flatten()
        parents = torch.arange(len(texts)).repeat_interleave(size)
        tokens = torch.arange(size).repeat(len(texts))
        texts = torch.cat([texts[parents], tokens[:, None]], dim=1)
        ends = torch.full_like(tokens, n == length, dtype=torch.bool) | (tokens == stop)
        ended.append(F.pad(texts[ends], (0, length - n), value=0 if stop is None else stop))
        log_probabilities.append(total[ends])
        scores.append(total[ends] / n**length_penalty)
        if ends.all():
            break
        texts, total, tokens, parents = (part[~ends] for part in (texts, total, tokens, parents))
        logits, state = model(tokens[:, None], select_rows(state, parents))
    order = torch.cat(scores).argsort(descending=True, stable=True)[:best]
    return Beams(torch.cat(ended)[order][None], torch.cat(log_probabilities)[order][None])


@torch.no_grad()
def contrastive_search(
    model: TransformerLM,
    ids: Int[Tensor, "batch time"],
    length: int,
    *,
    k: int = 4,
    alpha: float | int = 0.6,
    stop: int | None = None,
) -> Int[Tensor, "batch new"]:
    """What comes next, likely and yet unlike what stands there: no chance, and few repetitions.

    x_t = argmax over the k likeliest v of (1 − α) p(v | x_<t) − α max_{j<t} cos(h_v, h_j)

    h_v is the vector that the stack has of v, read after x_<t, and h_j that of a token before.

    Parameters
    ----------
    model : a transformer, since it is its vectors that are compared; in evaluation mode
    ids, length, stop : as for `decoding.greedy`
    k : candidates; each is read to have its vector, so a step takes k times as much work
    alpha : α; 0 is greedy search

    Raises
    ------
    ValueError : no tokens to begin with, length or k below 1, or α outside 0 … 1.

    References
    ----------
    Su et al. 2022, A Contrastive Framework for Neural Text Generation, eq. 5. Their models were
    trained to keep the vectors of a text apart; of others all cosines may be near 1.
    """
    if ids.shape[1] == 0:
        raise ValueError("a text begins with at least one token: give START")
    if min(length, k) < 1:
        raise ValueError(f"length and k must be at least 1, got {length} and {k}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in 0 … 1, got {alpha}")
    batch = len(ids)
    logits, vectors, state = _read(model, ids, None)
    logits, k = logits[:, -1], min(k, logits.shape[-1])
    over = torch.zeros(batch, dtype=torch.bool, device=ids.device)
    every = torch.arange(batch, device=ids.device)
    found: list[Tensor] = []
    while len(found) < length:
        p, candidates = torch.softmax(logits, dim=-1).topk(k, dim=-1)  # (batch, k)
        tried = select_rows(state, every.repeat_interleave(k))
        logits, new, state = _read(model, candidates.view(-1, 1), tried)
        likeness = torch.einsum("bkd,btd->bkt", new.view(batch, k, -1), vectors).amax(dim=2)
        choice = ((1 - alpha) * p - alpha * likeness).argmax(dim=1)  # (batch,)
        tokens = candidates[every, choice]
        rows = every * k + choice
        logits, state = logits[rows, -1], select_rows(state, rows)
        vectors = torch.cat([vectors, new[rows]], dim=1)
        if stop is not None:
            tokens = tokens.masked_fill(over, stop)
            over |= tokens == stop
        found.append(tokens)
        if stop is not None and over.all():
            break
    return torch.stack(found, dim=1)


def _read(
    model: TransformerLM, ids: Tensor, state: Cache | None
) -> tuple[Float[Tensor, "batch time vocabulary"], Float[Tensor, "batch time d"], Cache]:
    """Logits, vectors of length 1, and the cache."""
    h, state = model.stack(model.embedding(ids), state)
    return model.output(h), F.normalize(h, dim=-1), state
