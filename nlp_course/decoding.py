"""Decoding: from the scores of a language model to a text.

A model is anything with the course's interface, ``model(ids, state) -> (logits, state)``. It reads
what is there once, and then each new token with the state before it; the three ways differ in how a
token is chosen: the likeliest, one at random, or the best of several texts side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

# The course's interface of language models: (ids, state) → (logits, state).
LanguageModel: TypeAlias = Callable[[Tensor, Any], tuple[Tensor, Any]]

# Logits of the next token, (batch, V), to others: a token with −∞ is never chosen.
Filter: TypeAlias = Callable[[Tensor], Tensor]


@torch.no_grad()
def greedy(
    model: LanguageModel,
    ids: Int[Tensor, "batch time"],
    length: int,
    *,
    stop: int | None = None,
    state: Any = None,
) -> Int[Tensor, "batch new"]:
    """What comes next, the likeliest token in each place.

    Parameters
    ----------
    model : any with the course's interface; a module should be in evaluation mode
    ids : what is there already, a row a text; of a decoder after an encoder, START
    length : new tokens of each text at most
    stop : ends a text; by default nothing does
    state : what the model has read before `ids`, as an encoder's; None for nothing

    Returns
    -------
    The new tokens. What comes after `stop` is `stop` again; if all texts have ended there are no
    more columns.

    Raises
    ------
    ValueError : no tokens to begin with, or length < 1.
    """
    return _continued(model, ids, length, lambda logits: logits.argmax(dim=-1), stop, state)


@torch.no_grad()
def sample(
    model: LanguageModel,
    ids: Int[Tensor, "batch time"],
    length: int,
    *,
    temperature: float | int = 1.0,
    top_k: int | None = None,
    top_p: float | int | None = None,
    seed: int = 0,
    stop: int | None = None,
    state: Any = None,
) -> Int[Tensor, "batch new"]:
    """What comes next, drawn token after token, each from the model's own earlier ones.

    A token is drawn with a probability in proportion to p^{1/T}, among those that are kept.

    Parameters
    ----------
    model, ids, length, stop, state : as for `greedy`
    temperature : T
    top_k : keep the k likeliest tokens, see `keep_top_k`; by default all
    top_p : keep the likeliest tokens that together have this probability, see `keep_top_p`, of
        what temperature and `top_k` leave; by default all
    seed : same seed, same texts

    Raises
    ------
    ValueError : a temperature not above 0 and finite, top_k < 1, top_p not above 0 and at most 1,
        and as for `greedy`.

    References
    ----------
    Fan et al. 2018, Hierarchical Neural Story Generation, for top k; Holtzman et al. 2020, The
    Curious Case of Neural Text Degeneration, for top p.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be above 0 and finite, got {temperature}")
    filters: list[Filter] = [lambda logits: logits / temperature]
    if top_k is not None:
        filters.append(lambda logits: keep_top_k(logits, top_k))
    if top_p is not None:
        filters.append(lambda logits: keep_top_p(logits, top_p))
    generator = torch.Generator(ids.device).manual_seed(seed)

    def drawn(logits: Tensor) -> Tensor:
        for kept in filters:
            logits = kept(logits)
        return torch.multinomial(torch.softmax(logits, dim=-1), 1, generator=generator)[:, 0]

    return _continued(model, ids, length, drawn, stop, state)


def keep_top_k(
    logits: Float[Tensor, "batch vocabulary"], k: int
) -> Float[Tensor, "batch vocabulary"]:
    """Logits of the k likeliest tokens, −∞ for the others; of equal ones, more than k are kept.

    Raises
    ------
    ValueError : k < 1.

    Examples
    --------
    >>> keep_top_k(torch.tensor([[3.0, 1.0, 2.0]]), 2).tolist()
    [[3.0, -inf, 2.0]]
    """
    if k < 1:
        raise ValueError(f"top_k must be at least 1, got {k}")
    last = logits.topk(min(k, logits.shape[-1]), dim=-1).values[:, -1:]  # (batch, 1)
    return logits.masked_fill(logits < last, -torch.inf)


def keep_top_p(
    logits: Float[Tensor, "batch vocabulary"], p: float | int
) -> Float[Tensor, "batch vocabulary"]:
    """Logits of the nucleus, −∞ for the others: the fewest tokens whose probability reaches p.

    Raises
    ------
    ValueError : p not above 0 and at most 1.

    References
    ----------
    Holtzman et al. 2020, The Curious Case of Neural Text Degeneration, eq. 2.

    Examples
    --------
    >>> keep_top_p(torch.tensor([[2.0, 0.0, 1.0]]), 0.8).tolist()  # of 0.67, 0.09 and 0.24
    [[2.0, -inf, 1.0]]
    """
    if not 0 < p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, got {p}")
    probabilities, order = torch.softmax(logits, dim=-1).sort(dim=-1, descending=True)
    before = probabilities.cumsum(dim=-1) - probabilities  # of all likelier tokens
    outside = torch.zeros_like(logits, dtype=torch.bool).scatter(1, order, before >= p)
    return logits.masked_fill(outside, -torch.inf)


class Beams(NamedTuple):
    """The texts that a beam search ends with, of each prompt the best first.

    ids : new tokens; what comes after the stop token is the stop token again
    log_probabilities : nats of a text's new tokens, stop counted; −∞ where no text was left
    """

    ids: Int[Tensor, "batch beams new"]
    log_probabilities: Float[Tensor, "batch beams"]


@torch.no_grad()
def beam_search(
    model: LanguageModel,
    ids: Int[Tensor, "batch time"],
    length: int,
    beams: int,
    *,
    length_penalty: float | int = 1.0,
    stop: int | None = None,
    state: Any = None,
) -> Beams:
    """The likeliest texts, searched for with some of them side by side.

    In each step every text is continued by every token. Of the k likeliest continuations those that
    the stop token ends are put aside; the k likeliest of the others go on. Returned are those put
    aside and those that reach `length` with the highest log p / n^α, where n counts new tokens.

    Parameters
    ----------
    model, ids, length, stop, state : as for `greedy`
    beams : k, texts side by side; 1 is greedy search, if nothing stops a text or α = 0
    length_penalty : α; 0 compares log p itself, which falls with every token, so that short texts
        win; 1 compares its mean over tokens

    Returns
    -------
    k texts for each row of `ids`, with their log p, not divided by anything.

    Raises
    ------
    ValueError : beams < 1, a length penalty that is not finite, and as for `greedy`.

    Notes
    -----
    The search ends early where no text that still goes on can become better than the worst of k put
    aside, were all its further tokens certain. Hugging Face's `generate` does the same with
    ``early_stopping="never"``; by default it may end before.

    References
    ----------
    Wu et al. 2016, Google's Neural Machine Translation System, section 7, who divide by
    ((5 + n) / 6)^α.
    """
    _check(ids, length)
    if beams < 1:
        raise ValueError(f"beams must be at least 1, got {beams}")
    if not math.isfinite(length_penalty):
        raise ValueError(f"length_penalty must be finite, got {length_penalty}")
    batch = len(ids)
    logits, state = model(ids, state)  # a prompt is read once, not once a beam
    prompt = torch.arange(batch, device=ids.device).repeat_interleave(beams)
    logits, state = logits[prompt, -1:], select_rows(state, prompt)  # (batch · beams, 1, V)

    # All beams begin the same, so one goes on; the fill is what stands after a text's end.
    blank = ids.new_full((batch, beams, length), 0 if stop is None else stop)
    nothing = torch.full((batch, beams), -torch.inf, device=ids.device)
    going, ended, scores = Beams(blank, nothing.clone()), Beams(blank, nothing), nothing
    going.log_probabilities[:, 0] = 0.0
    for n in range(1, length + 1):
        log_p = torch.log_softmax(logits[:, -1].float(), dim=-1).view(batch, beams, -1)
        total = (going.log_probabilities[:, :, None] + log_p).flatten(1)  # (batch, beams · V)
        # A beam is ended by one of its continuations only: of the 2k likeliest, k go on.
        best, place = total.topk(min(2 * beams, total.shape[1]), dim=1)  # (batch, 2 · beams)
        parents, tokens = place // log_p.shape[2], place % log_p.shape[2]
        texts = _taken(going.ids, parents)  # (batch, 2 · beams, length)
        texts[:, :, n - 1] = tokens

        stops = torch.zeros_like(tokens, dtype=torch.bool) if stop is None else tokens == stop
        ends = stops | (n == length)
        ends[:, beams:] = False  # not among the k likeliest
        if ends.any():
            score = (best / n**length_penalty).masked_fill(~ends, -torch.inf)
            scores, chosen = torch.cat([scores, score], dim=1).topk(beams, dim=1)
            ended = Beams(
                _taken(torch.cat([ended.ids, texts], dim=1), chosen),
                _taken(torch.cat([ended.log_probabilities, best], dim=1), chosen),
            )

        likeliest, chosen = best.masked_fill(stops, -torch.inf).topk(beams, dim=1)
        hoped = likeliest[:, 0] / (length if length_penalty > 0 else n) ** length_penalty
        if n == length or (hoped <= scores[:, -1]).all():
            break
        going = Beams(_taken(texts, chosen), likeliest)
        rows = prompt * beams + _taken(parents, chosen).flatten()
        logits, state = model(_taken(tokens, chosen).view(-1, 1), select_rows(state, rows))
    return Beams(
        ended.ids[:, :, :n], ended.log_probabilities.masked_fill(scores == -torch.inf, -torch.inf)
    )


def select_rows(state: Any, rows: Int[Tensor, "new"]) -> Any:
    """Some rows of the batch from a state, in a new order; a row may come twice.

    Parameters
    ----------
    state : None; a tensor, batch first, as of n-gram and feed-forward models; a tuple of tensors,
        (layer, batch, hidden), as of recurrent networks; or anything with ``select(rows)``, as a
        transformer's cache
    rows : places in the batch

    Raises
    ------
    TypeError : a state that is none of these.

    Examples
    --------
    >>> select_rows(torch.tensor([[4, 5], [6, 7]]), torch.tensor([1, 1, 0])).tolist()
    [[6, 7], [6, 7], [4, 5]]
    """
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state[rows]
    if hasattr(state, "select"):
        return state.select(rows)
    if isinstance(state, tuple) and all(isinstance(part, Tensor) for part in state):
        return tuple(part[:, rows] for part in state)
    raise TypeError(
        f"how to take rows of a {type(state).__name__} is not known: give it a method select(rows)"
    )


def _continued(
    model: LanguageModel,
    ids: Tensor,
    length: int,
    choose: Callable[[Tensor], Tensor],
    stop: int | None,
    state: Any,
) -> Tensor:
    """New tokens, each chosen from the logits after those before it."""
    _check(ids, length)
    over = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    read, found = ids, []
    for _ in range(length):
        logits, state = model(read, state)
        tokens = choose(logits[:, -1].float())  # (batch,)
        if stop is not None:
            tokens = tokens.masked_fill(over, stop)
            over |= tokens == stop
        found.append(tokens)
        if stop is not None and over.all():
            break
        read = tokens[:, None]
    return torch.stack(found, dim=1)


def _check(ids: Tensor, length: int) -> None:
    if ids.shape[1] == 0:
        raise ValueError("a text begins with at least one token: give START")
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")


def _taken(values: Tensor, places: Tensor) -> Tensor:
    """Of each row of a batch, the values in some places: (batch, n, …) to (batch, m, …)."""
    return values[torch.arange(len(values), device=values.device)[:, None], places]
