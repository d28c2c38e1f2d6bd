"""What a language model ends in: a score for each word of the vocabulary, never for START."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.ngram import special_ids
from nlp_course.text import Vocabulary


class OutputLayer(nn.Linear):
    """Scores of every word, s = W h + b; START, which is never predicted, has −∞.

    Parameters
    ----------
    vocabulary : has START and STOP
    inputs : numbers in h
    counts : how often each word is a target; b then begins at log (c + 1), so that training begins
        at the frequencies of words instead of having to find them. By default b begins at 0. W is
        left for the model to draw

    Raises
    ------
    ValueError : inputs < 1, not one count a word, or a vocabulary without START or STOP.

    Examples
    --------
    >>> from nlp_course.ngram import language_vocabulary
    >>> layer = OutputLayer(language_vocabulary([["a", "b"]], min_count=1), inputs=3)
    >>> torch.softmax(layer(torch.zeros(3)), dim=0).tolist()
    [0.25, 0.0, 0.25, 0.25, 0.25]
    """

    never: Float[Tensor, "vocabulary"]  # added to b: −∞ for START, else 0

    def __init__(
        self,
        vocabulary: Vocabulary,
        inputs: int,
        counts: Int[np.ndarray, "vocabulary"] | None = None,
    ) -> None:
        if inputs < 1:
            raise ValueError(f"inputs must be at least 1, got {inputs}")
        size = len(vocabulary)
        start, _ = special_ids(vocabulary)
        if counts is not None and len(counts) != size:
            raise ValueError(f"each of {size} words needs a count, got {len(counts)}")
        super().__init__(inputs, size)
        nn.init.zeros_(self.bias)
        if counts is not None:
            self.bias.data = torch.log(torch.from_numpy(counts + 1.0)).float()
        never = torch.zeros(size)
        never[start] = -torch.inf
        self.register_buffer("never", never, persistent=False)

    def forward(self, h: Float[Tensor, "*places inputs"]) -> Float[Tensor, "*places vocabulary"]:
        """Scores of every word, from h."""
        # Added to the bias, −∞ costs V numbers; added to the scores it would cost a batch of them.
        return F.linear(h, self.weight, self.bias + self.never)


@torch.no_grad()
def next_word_distribution(
    model: nn.Module, start: int, words: Int[np.ndarray, "_"]
) -> Float[np.ndarray, "vocabulary"]:
    """p(w | words) for every word, by a model with the course's interface, without dropout.

    Parameters
    ----------
    start : the id of START, which the model reads first
    words : ids of a text's first words
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    logits, _ = model(torch.tensor([[start, *words.tolist()]], device=device))
    model.train(was_training)
    return torch.softmax(logits[0, -1].double(), dim=0).cpu().numpy()
