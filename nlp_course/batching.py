"""Batches for training: rows in random order, moved to the device of the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

Batch: TypeAlias = Any  # tensors, or tuples, lists and dictionaries of them

# The batches of one epoch. Whatever is random in them is drawn from the generator, which seed and
# epoch alone decide: so a resumed training meets the batches that it would have met.
Batches: TypeAlias = Callable[[np.random.Generator], Iterable[Batch]]


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
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    lengths = [len(tensor) for tensor in tensors]
    if len(set(lengths)) != 1:
        raise ValueError(f"give one tensor or more, of one length; got lengths {lengths}")
    if lengths[0] == 0:
        raise ValueError("there are no examples to make batches of")

    def batches(rng: np.random.Generator) -> _Rows:
        return _Rows(tensors, torch.from_numpy(rng.permutation(lengths[0])), batch_size)

    return batches
