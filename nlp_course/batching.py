"""Batches for training: in random order, similar lengths together, padded, moved to a device."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor

NOTHING = -100  # the target at a step that is padding: what cross_entropy leaves out

Batch: TypeAlias = Any  # tensors, or tuples, lists and dictionaries of them

# The batches of one epoch. Whatever is random in them is drawn from the generator, which seed and
# epoch alone decide: so a resumed training meets the batches that it would have met.
Batches: TypeAlias = Callable[[np.random.Generator], Iterable[Batch]]


def check_sizes(**sizes: int) -> None:
    """ValueError where one of some named sizes is below 1.

    Examples
    --------
    >>> check_sizes(batch_size=2, pool=1)
    """
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def to_device(batch: Batch, device: torch.device | str) -> Batch:
    """A batch with its tensors on a device; tuples, lists and dictionaries keep their kind.

    Examples
    --------
    >>> to_device({"ids": torch.zeros(2), "words": ["a", "b"]}, "cpu")["words"]
    ['a', 'b']
    """
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):  # a NamedTuple
        return type(batch)(*(to_device(part, device) for part in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(to_device(part, device) for part in batch)
    if isinstance(batch, dict):
        return {name: to_device(part, device) for name, part in batch.items()}
    return batch


@dataclass(frozen=True)
class _Rows:
    """Batches of rows of some tensors; a batch is cut out when it is asked for."""

    tensors: tuple[Tensor, ...]
    order: Tensor
    size: int

    def __len__(self) -> int:
        return math.ceil(len(self.order) / self.size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for rows in self.order.split(self.size):
            yield tuple(tensor[rows] for tensor in self.tensors)


def shuffled(*tensors: Tensor, batch_size: int) -> Batches:
    """Batches of rows that belong together, in a new random order each epoch.

    Parameters
    ----------
    tensors : of one length; row i of each belongs to example i
    batch_size : examples in a batch; the last batch of an epoch has those that are left

    Returns
    -------
    What `training.train` takes as its batches: each batch is a tuple of as many tensors.

    Raises
    ------
    ValueError : no tensor, no rows, lengths that differ, or a batch size below 1.

    Examples
    --------
    >>> batches = shuffled(torch.arange(5), torch.arange(5) * 10, batch_size=2)
    >>> [len(inputs) for inputs, targets in batches(np.random.default_rng(0))]
    [2, 2, 1]
    """
    check_sizes(batch_size=batch_size)
    lengths = [len(tensor) for tensor in tensors]
    if len(set(lengths)) != 1:
        raise ValueError(f"give one tensor or more, of one length; got lengths {lengths}")
    if lengths[0] == 0:
        raise ValueError("there are no examples to make batches of")

    def batches(rng: np.random.Generator) -> _Rows:
        return _Rows(tensors, torch.from_numpy(rng.permutation(lengths[0])), batch_size)

    return batches


def similar_lengths(
    lengths: Int[np.ndarray, "example"],
    batch_size: int,
    rng: np.random.Generator,
    pool: int = 100,
) -> list[Int[np.ndarray, "_"]]:
    """Which examples go into which batch, such that little of a batch is padding.

    The examples are dealt at random into pools, sorted by length inside each, and cut into batches,
    which come in random order. So an example has other neighbours in each epoch, but always such as
    are nearly as long.

    Parameters
    ----------
    lengths : of each example, in whatever is padded
    batch_size : examples in a batch; the last of a pool may have fewer
    rng : all that is random is drawn from it
    pool : batches in a pool: 1 is plain shuffling, very many is sorting the whole set

    Returns
    -------
    The places of each batch's examples, the shortest first. Each example is in one batch.

    Raises
    ------
    ValueError : there are no examples, or batch_size or pool is below 1.

    Examples
    --------
    >>> batches = similar_lengths(np.array([9, 1, 8, 2]), 2, np.random.default_rng(0))
    >>> sorted(batch.tolist() for batch in batches)
    [[1, 3], [2, 0]]
    """
    check_sizes(batch_size=batch_size, pool=pool)
    if len(lengths) == 0:
        raise ValueError("there are no examples to make batches of")
    order = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), pool * batch_size):
        drawn = order[start : start + pool * batch_size]
        drawn = drawn[np.argsort(lengths[drawn], kind="stable")]
        batches += [drawn[at : at + batch_size] for at in range(0, len(drawn), batch_size)]
    return [batches[place] for place in rng.permutation(len(batches))]


def pad(
    sequences: Sequence[Shaped[np.ndarray, "_ *rest"]], value: int = 0
) -> tuple[Shaped[Tensor, "batch time *rest"], Int[Tensor, "batch"]]:
    """Sequences of different lengths as the rows of one tensor, and their lengths.

    Parameters
    ----------
    sequences : ids, or features of each step; a sequence may be empty
    value : what stands after a sequence's end

    Raises
    ------
    ValueError : there are no sequences.

    Examples
    --------
    >>> ids, lengths = pad([np.array([5, 6, 7]), np.array([8])])
    >>> ids.tolist(), lengths.tolist()
    ([[5, 6, 7], [8, 0, 0]], [3, 1])
    """
    if not len(sequences):
        raise ValueError("there are no sequences to pad")
    lengths = np.array([len(sequence) for sequence in sequences])
    steps = np.concatenate(sequences)  # (steps of all, *rest)
    rows = np.full((len(lengths), lengths.max(), *steps.shape[1:]), value, dtype=steps.dtype)
    rows[np.arange(rows.shape[1]) < lengths[:, None]] = steps
    return torch.from_numpy(rows), torch.from_numpy(lengths)
