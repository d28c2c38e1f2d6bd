"""What a language model's predictions of a text cost: a token, a character, a given continuation.

A text is one array of ids, cut into batches by `nlp_course.causal`; a model is any with the
course's interface. What is true of one tokenizer's tokens cannot be compared with another's, so a
text's nats are shared among its characters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.batching import NOTHING
from nlp_course.causal import CausalBatch, blocks


def next_token_loss(model: nn.Module, batch: CausalBatch) -> tuple[Float[Tensor, ""], int]:
    """−Σ log p(next token | all before it) of a batch, and how many were asked for.

    For `training.train` and `training.evaluate`.

    Examples
    --------
    >>> from nlp_course.transformer import Settings, TransformerLM
    >>> model = TransformerLM(5, Settings(dimension=4, heads=1, layers=1))
    >>> batch = CausalBatch(torch.tensor([[0, 1, 2]]), torch.tensor([[1, 2, NOTHING]]))
    >>> next_token_loss(model, batch)[1]
    2
    """
    logits, _ = model(batch.inputs)
    targets = batch.targets.flatten()
    summed = F.cross_entropy(logits.flatten(0, 1), targets, reduction="sum", ignore_index=NOTHING)
    return summed, int((targets != NOTHING).sum())


@torch.no_grad()
def token_nats(
    model: nn.Module,
    ids: Integer[np.ndarray, "text"],
    time: int,
    *,
    stride: int | None = None,
    batch_size: int = 32,
) -> Float[np.ndarray, "token"]:
    """−log p of each token of a text but the first, in the text's order, without dropout.

    Parameters
    ----------
    ids : the text
    time : tokens that are read at once: no token is predicted from more
    stride : new tokens of a piece, as for `causal.blocks`; by default `time`. Then the token at
        place t of each piece is predicted from t others: `nats[: n * time].reshape(n, time)` has
        a column for each place
    batch_size : pieces read side by side; it changes the speed alone

    Raises
    ------
    ValueError : as for `causal.blocks`, and what the model refuses.
    """
    place = next(model.parameters()).device
    was_training = model.training
    model.eval()
    parts = []
    try:
        for inputs, targets in blocks(ids, time, batch_size, stride):
            logits, _ = model(inputs.to(place))
            nats = F.cross_entropy(
                logits.flatten(0, 1),
                targets.flatten().to(place),
                reduction="none",
                ignore_index=NOTHING,
            ).cpu()
            parts.append(nats[targets.flatten() != NOTHING])
    finally:
        model.train(was_training)
    return torch.cat(parts).double().numpy()


def bits_per_character(nats: Float[np.ndarray, "token"], characters: int) -> float:
    """The bits of a text over its characters: comparable whatever the tokens are.

    Σ_t −log₂ p(x_t | x_1 … x_{t−1}) / characters

    Parameters
    ----------
    nats : −log p of each token, as `token_nats` gives them
    characters : of the text that these tokens spell, blanks and line ends counted

    Raises
    ------
    ValueError : there are no characters.

    Examples
    --------
    >>> round(bits_per_character(np.log([4.0, 16.0]), characters=3), 3)  # 2 + 4 bits
    2.0
    """
    if characters < 1:
        raise ValueError(f"a text has at least 1 character, got {characters}")
    return float(nats.sum() / math.log(2) / characters)


@torch.no_grad()
def score_continuations(
    model: nn.Module,
    prompt: Int[np.ndarray, "read"],
    continuations: Sequence[Int[np.ndarray, "_"]],
) -> Float[np.ndarray, "continuation"]:
    """How likely each continuation is after a prompt: how a language model chooses an answer.

    log p(continuation | prompt) = Σ_t log p(c_t | prompt, c_1 … c_{t−1})

    The prompt is read once; each continuation goes on from the state after it.

    Raises
    ------
    ValueError : nothing to begin with, no continuations, one without tokens, and what the model
        refuses.

    Examples
    --------
    >>> from nlp_course.transformer import Settings, TransformerLM
    >>> model = TransformerLM(5, Settings(dimension=4, heads=1, layers=1))
    >>> every = [np.array([word]) for word in range(5)]
    >>> print(f"{np.exp(score_continuations(model, np.array([0, 1]), every)).sum():.4f}")
    1.0000
    """
    if not len(prompt):
        raise ValueError("a prompt has at least one token")
    if not len(continuations) or not all(map(len, continuations)):
        raise ValueError("give at least one continuation, and each at least one token")
    place = next(model.parameters()).device
    was_training = model.training
    model.eval()
    scores = []
    try:
        logits, state = model(torch.from_numpy(prompt).to(place)[None])
        for continuation in continuations:
            wanted = torch.from_numpy(continuation).to(place)[None]
            predicted = logits[:, -1:]
            if len(continuation) > 1:
                further, _ = model(wanted[:, :-1], state)
                predicted = torch.cat([predicted, further], dim=1)  # (1, token, V)
            scores.append(-F.cross_entropy(predicted[0], wanted[0], reduction="sum").item())
    finally:
        model.train(was_training)
    return np.array(scores)
