"""Languages that have to be counted, and networks that count: aⁿbⁿ and aⁿbⁿcⁿ.

After the first b of aⁿbⁿ every symbol is determined: n − 1 more, then STOP. A model is right about
a string if it is right wherever the string is determined. It is trained on small n and asked about
large ones; there only a counter helps.

An LSTM's cell can be one: it is added to, without bound. A GRU's state is a convex combination,
h_t = z ∘ h_{t−1} + (1 − z) ∘ h̃ with h̃ in [−1, 1], and so never leaves [−1, 1] where it began.

References
----------
Weiss, Goldberg and Yahav 2018, On the Practical Computational Power of Finite Precision RNNs for
Language Recognition.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import nn

from nlp_course.recurrent import Cell, LSTMCell, unroll
from nlp_course.sequence_models import NOTHING, Tagger, predict_tags


def counting_string(n: int, letters: int = 2) -> Int[np.ndarray, "length"]:
    """The symbols of aⁿbⁿ, with three letters of aⁿbⁿcⁿ: n times 0, n times 1, …

    Raises
    ------
    ValueError : n < 1 or letters < 2.

    Examples
    --------
    >>> counting_string(3).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if letters < 2:
        raise ValueError(f"letters must be at least 2, got {letters}")
    return np.repeat(np.arange(letters), n)


def counting_examples(
    numbers: Iterable[int], letters: int = 2
) -> tuple[list[Int[np.ndarray, "length"]], list[Int[np.ndarray, "length"]]]:
    """Strings, and what comes next after each symbol: for `sequence_models.labelled_batches`.

    The id of STOP, which comes last, is `letters`. While a string has only a's, nobody can know how
    many are to come: there the target is `NOTHING`.

    Parameters
    ----------
    numbers : an n for each string

    Raises
    ------
    ValueError : as for `counting_string`.

    Examples
    --------
    >>> strings, targets = counting_examples([2])
    >>> strings[0].tolist(), targets[0].tolist()
    ([0, 0, 1, 1], [-100, -100, 1, 2])
    """
    numbers = list(numbers)
    strings = [counting_string(n, letters) for n in numbers]
    targets = [np.append(string[1:], letters) for string in strings]
    for n, target in zip(numbers, targets, strict=True):
        target[:n] = NOTHING
    return strings, targets


def one_hot_tagger(cell: type[Cell], hidden: int, letters: int = 2) -> Tagger:
    """A network that reads letters and scores what comes next: each letter, and STOP.

    A letter's vector is one-hot and stays so.
    """
    letter_vectors = nn.Embedding.from_pretrained(torch.eye(letters))
    return Tagger(
        letter_vectors,
        letters + 1,
        cell=cell,
        dimension=letters,
        hidden=hidden,
        bidirectional=False,
    )


def right_strings(
    model: nn.Module, numbers: Iterable[int], letters: int = 2
) -> Bool[np.ndarray, "string"]:
    """For each n, whether the model is right wherever its string is determined.

    Raises
    ------
    ValueError : as for `counting_string`.
    """
    strings, targets = counting_examples(numbers, letters)
    predicted = predict_tags(model, strings)
    return np.array(
        [
            bool(np.all((guess == target) | (target == NOTHING)))
            for guess, target in zip(predicted, targets, strict=True)
        ]
    )


def counts_up_to(right: Bool[np.ndarray, "string"]) -> int:
    """How many strings, from the first on, are right without a gap."""
    return len(right) if right.all() else int(right.argmin())


@torch.no_grad()
def states(
    model: Tagger, string: Int[np.ndarray, "length"]
) -> tuple[Float[np.ndarray, "length hidden"], ...]:
    """The states of a tagger of one layer and direction after each symbol: (h,), or (h, c)."""
    cell = _only_cell(model)
    x = model.reader.embedding(torch.from_numpy(string)[None])  # (1, length, d)
    after_each = unroll(cell, x)
    return tuple(torch.cat(memory).numpy() for memory in zip(*after_each, strict=True))


@torch.no_grad()
def steps_apart(model: Tagger, longest: int) -> Float[np.ndarray, "longest"]:
    """How far the state moves with each further a: ‖s_n − s_{n−1}‖ after aⁿ, n = 1 … longest.

    s is h, of an LSTM h and c side by side. A network that counts moves on by as much each time.
    The state of a GRU stays in [−1, 1]: it moves less and less, or it turns back.

    Raises
    ------
    ValueError : longest < 1, or the model has more than one layer or direction.
    """
    if longest < 1:
        raise ValueError(f"longest must be at least 1, got {longest}")
    s = np.hstack(states(model, np.zeros(longest, dtype=np.int64)))  # (longest, numbers in a state)
    return np.linalg.norm(np.diff(s, axis=0, prepend=0), axis=1)


def counting_lstm() -> Tagger:
    """An LSTM of one cell, with weights set by hand, that is right about every aⁿbⁿ up to 2²⁴.

    i = f = o = 1 and g = +1 at an a, −1 at a b, so that c is the number of a's minus that of b's,
    exactly: float32 holds every whole number up to 2²⁴, and there c + 1 is c. h = tanh c is 0 where
    c is, at least 0.76 elsewhere, and STOP is scored higher than b below the middle of the two.

    References
    ----------
    Weiss et al. 2018, section 3.2.

    Examples
    --------
    >>> model = counting_lstm()
    >>> _, c = states(model, np.array([0, 0, 0, 1, 1, 1]))
    >>> c[:, 0].tolist()
    [1.0, 2.0, 3.0, 2.0, 1.0, 0.0]
    """
    model = one_hot_tagger(LSTMCell, hidden=1)
    cell = _only_cell(model)
    always = 100.0  # σ(100) and tanh(100) are 1 in float32
    cell.W_hh.data[:] = 0.0
    cell.W_hx.data[:] = 0.0
    cell.W_hx.data[2] = torch.tensor([always, -always])  # g
    cell.b.data[:] = torch.tensor([always, always, 0.0, always])  # i, f, g, o
    a_b_stop = torch.tensor([0.0, 1.0, -1.0])
    model.output.weight.data[:] = a_b_stop[:, None]
    model.output.bias.data[:] = -a_b_stop * np.tanh(1.0) / 2
    # At an a the model may say what it likes; never at a b.
    model.output.bias.data[0] = -always
    return model


def _only_cell(model: Tagger) -> Cell:
    network = model.reader.network
    if len(network.cells) != 1:
        raise ValueError(
            f"the model must have one layer and direction, it has {len(network.cells)}"
        )
    return cast(Cell, network.cells[0])
