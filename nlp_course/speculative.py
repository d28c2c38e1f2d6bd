"""Speculative decoding: a cheap model proposes tokens, a dear one checks several of them at once.

What comes out has the dear model's own distribution, exactly: the cheap one decides only how many
tokens a pass of the dear one brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlp_course.cache import Cache, KeysValues
from nlp_course.decoding import LanguageModel
from nlp_course.decoding_processors import Processor, check_possible, processed


class Speculated(NamedTuple):
    """A text, and what it took.

    ids : new tokens
    passes : of the dear model; without a draft there is one a token
    proposed : tokens that the cheap model proposed
    accepted : those of them that were taken
    """

    ids: Int[Tensor, "1 new"]
    passes: int
    proposed: int
    accepted: int


@torch.no_grad()
def speculative_sample(
    model: LanguageModel,
    draft: LanguageModel,
    ids: Int[Tensor, "batch time"],
    length: int,
    *,
    ahead: int = 4,
    processors: Sequence[Processor] = (),
    seed: int = 0,
    stop: int | None = None,
) -> Speculated:
    """A text drawn from a model, some tokens at a pass, with the help of another's proposals.

    The draft q writes γ tokens; the model p reads all of them in one pass. Each in turn is accepted
    with probability min(1, p(x) / q(x)). At the first that is not, a token is drawn from
    max(0, p − q) / Z instead, and the rest is thrown away; if all are, p's next token is drawn.

    Parameters
    ----------
    model : p, a decoder whose state is a `Cache`: of it, what was read of refused tokens can be
        dropped. In evaluation mode
    draft : q, any with the course's interface and the same tokens
    ids, length, stop : as for `decoding.greedy`; one text, since each accepts another number
    ahead : γ
    processors : change the logits of both
    seed : same seed, same text

    Raises
    ------
    ValueError : not one text, no tokens to begin with, length or ahead below 1, or vocabularies of
        other sizes.
    TypeError : the model's state is no `Cache`.
    NothingLeftError : no token can be chosen.

    References
    ----------
    Leviathan et al. 2023, Fast Inference from Transformers via Speculative Decoding; Chen et al.
    2023, Accelerating Large Language Model Decoding with Speculative Sampling.
    """
    if len(ids) != 1 or ids.shape[1] == 0:
        raise ValueError(f"one text with at least one token is needed, got {tuple(ids.shape)}")
    if min(length, ahead) < 1:
        raise ValueError(f"length and ahead must be at least 1, got {length} and {ahead}")
    generator = torch.Generator(ids.device).manual_seed(seed)

    def distribution(text: Tensor, logits: Tensor) -> Tensor:
        logits = processed(processors, text, logits.float())
        check_possible(logits)
        return torch.softmax(logits, dim=-1)[0]  # (V,)

    def drawn(p: Tensor) -> Tensor:
        return torch.multinomial(p, 1, generator=generator)[None]  # (1, 1)

    text, begin, end = ids, ids.shape[1], ids.shape[1] + length
    cache: Cache | None = None
    memory: Any = None  # the draft's state, after `heard` tokens of the text
    heard = passes = proposed = accepted = 0
    while text.shape[1] < end:
        sure, guesses = text.shape[1], []
        memories = {}  # the draft's states by the tokens that were read: any may be gone back to
        for _ in range(min(ahead, end - sure - 1)):
            logits, memory = draft(text[:, heard:], memory)
            heard = text.shape[1]
            memories[heard] = memory
            guesses.append(distribution(text, logits[:, -1]))
            text = torch.cat([text, drawn(guesses[-1])], dim=1)

        known = 0 if cache is None else cache.length
        logits, cache = model(text[:, known:], cache)
        if not isinstance(cache, Cache):
            raise TypeError(f"a state of which tokens can be dropped is needed, got {type(cache)}")
        passes, proposed = passes + 1, proposed + len(guesses)
        logits = logits[:, sure - known - 1 :]  # after the last sure token, and after each guess
        if guesses and guesses[0].shape[-1] != logits.shape[-1]:
            raise ValueError(
                f"both models need the same tokens, got {logits.shape[-1]} of the model and "
                f"{guesses[0].shape[-1]} of the draft"
            )
        for place, q in enumerate(guesses):
            p = distribution(text[:, : sure + place], logits[:, place])
            token = text[0, sure + place]
            if torch.rand((), generator=generator, device=ids.device) * q[token] >= p[token]:
                text = text[:, : sure + place]
                text = torch.cat([text, drawn((p - q).clamp(min=0))], dim=1)
                break
            accepted += 1
        else:
            p = distribution(text, logits[:, len(guesses)])
            text = torch.cat([text, drawn(p)], dim=1)
        if stop is not None and (ended := (text[0, sure:] == stop).nonzero()).numel():
            text = text[:, : sure + int(ended[0]) + 1]
            break
        # Both have read tokens that may be gone; the last one they have not read, in any case.
        cache = _first(cache, text.shape[1] - 1)
        heard = max((at for at in memories if at < text.shape[1]), default=heard)
        memory = memories.get(heard, memory)
    return Speculated(text[:, begin:], passes, proposed, accepted)


def acceptance(p: Float[Tensor, "*batch vocabulary"], q: Float[Tensor, "*batch vocabulary"]) -> Any:
    """Σ_x min(p(x), q(x)): how often a token that q proposes is accepted, 1 − their distance.

    References
    ----------
    Leviathan et al. 2023, corollary 3.6.

    Examples
    --------
    >>> acceptance(torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.25, 0.5])).item()
    0.5
    """
    return torch.minimum(p, q).sum(dim=-1)


def tokens_a_pass(acceptance: float, ahead: int) -> float:
    """(1 − a^{γ+1}) / (1 − a): tokens of one pass on average, were each accepted with chance a.

    Raises
    ------
    ValueError : a outside 0 … 1, or ahead below 0.

    References
    ----------
    Leviathan et al. 2023, eq. 1.

    Examples
    --------
    >>> tokens_a_pass(0.5, 4), tokens_a_pass(1.0, 4)
    (1.9375, 5.0)
    """
    if not 0 <= acceptance <= 1:
        raise ValueError(f"acceptance must lie in 0 … 1, got {acceptance}")
    if ahead < 0:
        raise ValueError(f"ahead must be at least 0, got {ahead}")
    return float(sum(acceptance**n for n in range(ahead + 1)))


def _first(cache: Cache, length: int) -> Cache:
    """What was read of the first tokens."""
    return Cache(
        tuple(
            KeysValues(layer.keys[:, :, :length], layer.values[:, :, :length])
            for layer in cache.layers
        )
    )
