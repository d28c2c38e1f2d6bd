"""What a decoder keeps of the tokens it has read, so as not to compute it again.

Of each token a layer of attention keeps its key and its value. A cache is never changed: whoever
holds one may go on from it in several ways. Only `reorder` writes over what is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

ROOM = 64  # places for further tokens that are made at once


@dataclass
class _Room:
    """Memory for more tokens than there are: a new one is written there, and nothing is copied.

    filled : places that somebody has written to; none is written to twice
    """

    memory: Float[Tensor, "batch 2 heads places size"]
    filled: int

    def __post_init__(self) -> None:
        self.keys, self.values = self.memory.unbind(1)  # both see the same memory

    def part(self, end: int) -> KeysValues:
        """Keys and values of the first tokens."""
        return KeysValues(self.keys.narrow(2, 0, end), self.values.narrow(2, 0, end), self)


@dataclass(frozen=True)
class KeysValues:
    """Keys and values of some tokens, of one layer.

    They are kept after the position has entered, so they serve any query that comes later.
    """

    keys: Float[Tensor, "batch heads key size"]
    values: Float[Tensor, "batch heads key size"]
    _room: _Room | None = field(default=None, repr=False, compare=False)

    @property
    def length(self) -> int:
        """Tokens."""
        return self.keys.shape[2]

    def append(
        self,
        keys: Float[Tensor, "batch heads new size"],
        values: Float[Tensor, "batch heads new size"],
    ) -> KeysValues:
        """These and those of further tokens.

        Without gradients they are written beside the ones that are there, which takes the same time
        for every token; putting both into new memory would take as long as there are tokens.
        """
        begin, new = self.length, keys.shape[2]
        end = begin + new
        if torch.is_grad_enabled():
            return KeysValues(
                torch.cat([self.keys, keys], dim=2), torch.cat([self.values, values], dim=2)
            )
        room = self._room
        # Where somebody else has gone on from here, the next places are no longer free.
        if room is None or room.filled != begin or room.memory.shape[3] < end:
            batch, heads, _, size = self.keys.shape
            room = _Room(self.keys.new_empty(batch, 2, heads, end + ROOM, size), begin)
            room.keys[:, :, :begin], room.values[:, :, :begin] = self.keys, self.values
        room.keys.narrow(2, begin, new).copy_(keys)
        room.values.narrow(2, begin, new).copy_(values)
        room.filled = end
        return room.part(end)

    def select(self, rows: Int[Tensor, "new"]) -> KeysValues:
        """Those of some rows of the batch, in a new order; a row may come twice."""
        # Several times as fast as indexing by rows, which may be of any shape.
        if self._room is None:
            return KeysValues(self.keys.index_select(0, rows), self.values.index_select(0, rows))
        return _Room(self._room.memory.index_select(0, rows), self.length).part(self.length)

    def reorder(self, rows: Int[Tensor, "batch"], last: int) -> KeysValues:
        """As `select`, where the rows differ in their last tokens only: all others stay in place.

        They are written over the old ones, so this is for who alone holds this cache.
        """
        if self._room is None:
            return self.select(rows)
        differing = self._room.memory.narrow(3, self.length - last, last)
        differing.copy_(differing.index_select(0, rows))
        return self


class Cache(NamedTuple):
    """Keys and values of each layer of a stack."""

    layers: tuple[KeysValues, ...]

    @property
    def length(self) -> int:
        """Tokens read so far."""
        return self.layers[0].length if self.layers else 0

    def select(self, rows: Int[Tensor, "new"]) -> Cache:
        """The cache of some rows of the batch, in a new order; a row may come twice."""
        return Cache(tuple(layer.select(rows) for layer in self.layers))

    def reorder(self, rows: Int[Tensor, "batch"], last: int) -> Cache:
        """As `select`, for rows that differ in their last tokens only; see `KeysValues`."""
        return Cache(tuple(layer.reorder(rows, last) for layer in self.layers))
