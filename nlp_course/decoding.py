"""Decoding: from the scores of a language model to a text.

A model is anything with the course's interface, ``model(ids, state) -> (logits, state)``. It reads
what is there once, and then each new token with the state before it; the three ways differ in how a
token is chosen: the likeliest, one at random, or the best of several texts side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, NamedTuple, ParamSpec, TypeAlias, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlp_course.decoding_processors import Processor, check_possible, processed
from nlp_course.inference import inferring

# The course's interface of language models: (ids, state) → (logits, state).
LanguageModel: TypeAlias = Callable[[Tensor, Any], tuple[Tensor, Any]]

Arguments = ParamSpec("Arguments")
Found = TypeVar("Found", Tensor, "Beams")


def _inferring(search: Callable[Arguments, Found]) -> Callable[Arguments, Found]:
    """A search that runs inside `inferring`, and gives copies, which one may train on."""

    @wraps(search)
    def run(*arguments: Arguments.args, **named: Arguments.kwargs) -> Found:
        with inferring(arguments[0] if arguments else named.get("model")):
            found = search(*arguments, **named)
        return found.clone() if isinstance(found, Tensor) else Beams(*(x.clone() for x in found))

    return run


@_inferring
def greedy(
    model: LanguageModel,
    ids: Int[Tensor, "batch time"],
    length: int,
    *,
    processors: Sequence[Processor] = (),
    stop: int | None = None,
    state: Any = None,
) -> Int[Tensor, "batch new"]:
    """What comes next, the likeliest token in each place.

    Parameters
    ----------
    model : any with the course's interface; a module should be in evaluation mode
    ids : what is there already, a row a text; of a decoder after an encoder, START
    length : new tokens of each text at most
    processors : change logits before a token is chosen, see `decoding_processors`; they are told
        `ids` and the new tokens, not what `state` has read
    stop : ends a text; by default nothing does
    state : what the model has read before `ids`, as an encoder's; None for nothing

    Returns
    -------
    The new tokens. What comes after `stop` is `stop` again; if all texts have ended there are no
    more columns.

    Raises
    ------
    ValueError : no tokens to begin with, or length < 1.
    NothingLeftError : no token can be chosen, since each has a logit of −∞.
    """
    choose = partial(torch.argmax, dim=-1)
    return _continued(model, ids, length, choose, processors, stop, state)


@_inferring
def sample(
    model: LanguageModel,
    ids: Int[Tensor, "batch time"],
    length: int,
    *,
    processors: Sequence[Processor] = (),
    seed: int = 0,
    stop: int | None = None,
    state: Any = None,
) -> Int[Tensor, "batch new"]:
    """What comes next, drawn token after token, each from the model's own earlier ones.

    A token is drawn with its probability, which is the softmax of what processors leave.

    Parameters
    ----------
    model, ids, length, processors, stop, state : as for `greedy`
    seed : same seed, same texts

    Raises
    ------
    ValueError, NothingLeftError : as for `greedy`.
    """
    generator = torch.Generator(ids.device).manual_seed(seed)

    def drawn(logits: Tensor) -> Tensor:
        # As torch.multinomial for one draw, without its checks. Of clocks that run at the speeds
        # p_i and ring after exponentially distributed times, i is the first with probability p_i.
        probability = torch.softmax(logits, dim=-1)
        waits = torch.empty_like(probability).exponential_(generator=generator)
        waits.clamp_(min=torch.finfo(waits.dtype).tiny)  # a wait of 0 would let anything be first
        return (probability / waits).argmax(dim=-1)

    return _continued(model, ids, length, drawn, processors, stop, state)


class Beams(NamedTuple):
    """The texts that a beam search ends with, of each prompt the best first.

    ids : new tokens; what comes after the stop token is the stop token again
    log_probabilities : nats of a text's new tokens, stop counted; −∞ where no text was left
    """

    ids: Int[Tensor, "batch beams new"]
    log_probabilities: Float[Tensor, "batch beams"]


@_inferring
def beam_search(
    model: LanguageModel,
    ids: Int[Tensor, "batch time"],
    length: int,
    beams: int,
    *,
    length_penalty: float | int = 1.0,
    processors: Sequence[Processor] = (),
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
    processors : change the log p of each next token, see `decoding_processors`. They are not made
        to sum to 1 again: where tokens are forbidden, the others keep the model's own log p

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
    unmoved = torch.arange(batch * beams, device=ids.device)
    prompt = unmoved // beams
    logits, state = logits[prompt, -1:], select_rows(state, prompt)  # (batch · beams, 1, V)

    # All beams begin the same, so one goes on; the fill is what stands after a text's end.
    blank = ids.new_full((batch, beams, length), 0 if stop is None else stop)
    nothing = torch.full((batch, beams), -torch.inf, device=ids.device)
    going, ended, scores = Beams(blank, nothing.clone()), Beams(blank, nothing), nothing
    going.log_probabilities[:, 0] = 0.0
    same = 0  # new tokens that all beams of a prompt begin with
    for n in range(1, length + 1):
        log_p = torch.log_softmax(logits[:, -1].float(), dim=-1)
        if processors:
            text = torch.cat([ids[prompt], going.ids.flatten(0, 1)[:, : n - 1]], dim=1)
            log_p = processed(processors, text, log_p)
        log_p = log_p.view(batch, beams, -1)
        total = (going.log_probabilities[:, :, None] + log_p).flatten(1)  # (batch, beams · V)
        # A beam is ended by one of its continuations only: of the 2k likeliest, k go on.
        best, place = total.topk(min(2 * beams, total.shape[1]), dim=1)  # (batch, 2 · beams)
        parents, tokens = place // log_p.shape[2], place % log_p.shape[2]
        stops = torch.zeros_like(tokens, dtype=torch.bool) if stop is None else tokens == stop
        ends = stops | (n == length)
        ends[:, beams:] = False  # not among the k likeliest
        if ends.any():
            texts = _continued_by(going.ids, parents, tokens, n)  # (batch, 2 · beams, length)
            score = (best / n**length_penalty).masked_fill(~ends, -torch.inf)
            scores, chosen = torch.cat([scores, score], dim=1).topk(beams, dim=1)
            ended = Beams(
                _taken(torch.cat([ended.ids, texts], dim=1), chosen),
                torch.cat([ended.log_probabilities, best], dim=1).gather(1, chosen),
            )

        likeliest, chosen = best.masked_fill(stops, -torch.inf).topk(beams, dim=1)
        hoped = likeliest[:, 0] / (length if length_penalty > 0 else n) ** length_penalty
        if n == length or (hoped <= scores[:, -1]).all():
            break
        parents, tokens = parents.gather(1, chosen), tokens.gather(1, chosen)  # (batch, beams)
        rows = prompt * beams + parents.flatten()
        # What all beams begin with is in its place already, whichever goes on from which.
        while same < n - 1 and (going.ids[:, :, same] == going.ids[:, :1, same]).all():
            same += 1
        if same < n - 1 and not torch.equal(rows, unmoved):
            state = _reordered(state, rows, n - 1 - same)
        going = Beams(_continued_by(going.ids, parents, tokens, n), likeliest)
        logits, state = model(tokens.view(-1, 1), state)
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
    processors: Sequence[Processor],
    stop: int | None,
    state: Any,
) -> Tensor:
    """New tokens, each chosen from the logits after those before it."""
    _check(ids, length)
    begin = ids.shape[1]
    text = torch.cat([ids, ids.new_zeros(len(ids), length)], dim=1)
    over = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    read = ids
    for end in range(begin, begin + length):
        logits, state = model(read, state)
        last = logits[:, -1].float()  # (batch, V)
        if processors:
            last = processed(processors, text[:, :end], last)
        if stop is not None:
            last = last.masked_fill(over[:, None], 0.0)  # of a text that is over none is needed
        check_possible(last)
        tokens = choose(last)  # (batch,)
        if stop is not None:
            tokens = tokens.masked_fill(over, stop)
            over |= tokens == stop
        text[:, end] = tokens
        if stop is not None and over.all():
            break
        read = tokens[:, None]
    return text[:, begin : end + 1]


def _check(ids: Tensor, length: int) -> None:
    if ids.shape[1] == 0:
        raise ValueError("a text begins with at least one token: give START")
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")


def _taken(texts: Tensor, places: Tensor) -> Tensor:
    """Of each row of a batch, the texts in some places: (batch, n, time) to (batch, m, time)."""
    batch, n, length = texts.shape
    rows = places + n * torch.arange(batch, device=places.device)[:, None]
    return texts.view(-1, length).index_select(0, rows.flatten()).view(batch, -1, length)


def _continued_by(texts: Tensor, parents: Tensor, tokens: Tensor, n: int) -> Tensor:
    """Of each row of a batch, some of its texts, each with a token as its n-th."""
    continued = _taken(texts, parents)
    continued[:, :, n - 1] = tokens
    return continued


def _reordered(state: Any, rows: Tensor, last: int) -> Any:
    """As `select_rows`, of rows that have all in common but what was read of their last tokens."""
    return state.reorder(rows, last) if hasattr(state, "reorder") else select_rows(state, rows)
