"""What a language model remembers of the text it was trained on, letter for letter.

Three questions, each to a model with the course's interface: does it write a secret it has read,
once it is given the beginning (`extracted`); is a secret likelier than all others that it might
have been (`exposure`); and can one tell from the loss alone that a text was in the training
(`membership`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import nn
from torch.nn import functional as F

from nlp_course.decoding import greedy, select_rows


class Membership(NamedTuple):
    """How well a loss tells texts of the training from others.

    auc : how often a text of the training has the lower loss of the two; ½ is a blind guess
    found : share of the training's texts below the threshold that few others pass
    threshold : that loss, in nats
    """

    auc: float
    found: float
    threshold: float


@torch.no_grad()
def extracted(
    model: nn.Module, texts: Int[np.ndarray, "text time"], prefix: int
) -> Bool[np.ndarray, "text"]:
    """Whether the model, given the first tokens of each text, writes the rest of it.

    The likeliest token is taken at each place. A text counts if every token after the prefix is the
    text's own.

    Parameters
    ----------
    texts : as many tokens of each
    prefix : how many of them are given

    Raises
    ------
    ValueError : a prefix of no token, or of all; no texts.

    References
    ----------
    Carlini et al. 2023, Quantifying Memorization Across Neural Language Models.
    """
    if not len(texts):
        raise ValueError("there are no texts to ask for")
    if not 1 <= prefix < texts.shape[1]:
        raise ValueError(
            f"a prefix has from 1 to {texts.shape[1] - 1} of {texts.shape[1]} tokens, got {prefix}"
        )
    place = next(model.parameters()).device
    wanted = torch.from_numpy(texts.astype(np.int64)).to(place)
    was_training = model.training
    model.eval()
    try:
        written = greedy(model, wanted[:, :prefix], texts.shape[1] - prefix)
    finally:
        model.train(was_training)
    return (written == wanted[:, prefix:]).all(dim=1).cpu().numpy()


@torch.no_grad()
def secret_nats(
    model: nn.Module,
    before: Int[np.ndarray, "read"],
    symbols: Int[np.ndarray, "symbol"],
    length: int,
) -> Float[np.ndarray, "secret"]:
    """−log p of every secret of this length after the same text: of k symbols, k^length numbers.

    They come in the order of counting: the last place changes fastest, so the secret with the
    symbols a, b, c has the number (a · k + b) · k + c. What stands before is read once, and a
    beginning once for all secrets that share it.

    Parameters
    ----------
    before : what stands before the secret
    symbols : ids of what it is made of, such as the digits

    Raises
    ------
    ValueError : nothing before, no symbols, or length < 1.
    """
    if not len(before) or not len(symbols) or length < 1:
        raise ValueError("give something before, at least one symbol, and a length of at least 1")
    place = next(model.parameters()).device
    choice = torch.from_numpy(symbols.astype(np.int64)).to(place)
    nats = torch.zeros(1, device=place)
    was_training = model.training
    model.eval()
    try:
        logits, state = model(torch.from_numpy(before.astype(np.int64)).to(place)[None])
        for read in range(1, length + 1):
            log_p = F.log_softmax(logits[:, -1], dim=1)[:, choice]  # (beginning, symbol)
            nats = (nats[:, None] - log_p).flatten()
            if read < length:
                rows = torch.arange(len(log_p), device=place).repeat_interleave(len(choice))
                ids = choice.repeat(len(log_p))[:, None]  # (longer beginning, 1)
                logits, state = model(ids, select_rows(state, rows))
    finally:
        model.train(was_training)
    return nats.double().cpu().numpy()


def exposure(nats: Float[np.ndarray, "secret"], secret: int) -> float:
    """How far a secret stands out among all that it might have been, in bits.

    exposure = log₂ |R| − log₂ rank(secret)

    The rank is 1 for the likeliest of the |R| secrets, so exposure lies between 0 and log₂ |R|. A
    secret that was never read has rank r with the same chance as any other: then 1.44 bits are
    expected if |R| is large, and more than b bits come with probability 2^{−b}. Of equally likely
    ones it has the mean rank.

    Parameters
    ----------
    nats : −log p of every secret, as `secret_nats` gives them
    secret : the number of the one that was in the training

    Raises
    ------
    ValueError : no such secret, or a number is NaN.

    References
    ----------
    Carlini et al. 2019, The Secret Sharer: Evaluating and Testing Unintended Memorization in Neural
    Networks.

    Examples
    --------
    >>> exposure(np.array([3.0, 1.0, 2.0, 4.0]), 1), exposure(np.array([3.0, 1.0, 2.0, 4.0]), 3)
    (2.0, 0.0)
    """
    if not 0 <= secret < len(nats):
        raise ValueError(f"secrets are numbered 0 … {len(nats) - 1}, got {secret}")
    if np.isnan(nats).any():
        raise ValueError("−log p must be numbers, got NaN")
    rank = (nats < nats[secret]).sum() + ((nats == nats[secret]).sum() + 1) / 2
    return math.log2(len(nats)) - math.log2(rank)


def membership(
    members: Float[np.ndarray, "member"],
    others: Float[np.ndarray, "other"],
    *,
    false_positives: float = 0.05,
) -> Membership:
    """Guess from the loss which texts were in the training: those below a threshold.

    Parameters
    ----------
    members, others : mean loss of texts that were in the training and of texts of the same kind
        that were not; if the kinds differ, it is the kind that is found out
    false_positives : the share of others that the threshold lets pass, at most

    Raises
    ------
    ValueError : no members or no others, NaN, or a share outside 0 … 1.

    References
    ----------
    Yeom et al. 2018, Privacy Risk in Machine Learning; Carlini et al. 2022, Membership Inference
    Attacks From First Principles, on judging at few false positives.

    Examples
    --------
    >>> guess = membership(np.array([1.0, 1.5, 3.0]), np.array([2.0, 2.5]), false_positives=0.5)
    >>> round(guess.auc, 3), guess.found, guess.threshold
    (0.667, 0.666..., 2.5)
    """
    if not len(members) or not len(others):
        raise ValueError("give losses of at least one member and of one other text")
    if np.isnan(members).any() or np.isnan(others).any():
        raise ValueError("losses must be numbers, got NaN")
    if not 0 <= false_positives <= 1:
        raise ValueError(f"a share lies between 0 and 1, got {false_positives}")
    lower = members[:, None] < others
    auc = lower.mean() + (members[:, None] == others).mean() / 2
    ordered = np.append(np.sort(others), np.inf)
    threshold = ordered[math.floor(false_positives * len(others) + 1e-9)]
    return Membership(float(auc), float((members < threshold).mean()), float(threshold))
