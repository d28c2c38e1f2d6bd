"""How the table of n-grams is read: a hash table over arrays, and what it says at one order."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Int


class CodeIndex:
    """A hash table from codes to rows.

    Halving a sorted array would do, but waits for memory some twenty times a code, one after the
    other; here it is once or twice, and whole texts are scored several times as fast.

    Examples
    --------
    >>> CodeIndex(np.array([2, 3, 5, 7])).find(np.array([7, 4, 2]))
    array([ 3, -1,  0])
    """

    def __init__(self, codes: Int[np.ndarray, "row"]) -> None:
        self.codes = codes
        self.bits = int(4 * len(codes)).bit_length()  # at most a quarter full: few collisions
        # The smallest type that holds the rows and −1: more of the table is near the processor.
        self.rows = np.full(1 << self.bits, -1, np.min_scalar_type(-len(codes)))  # (slot,)
        row, slot = np.arange(len(codes), dtype=self.rows.dtype), self._first_slot(codes)
        while len(row):
            free = self.rows[slot] < 0
            self.rows[slot[free]] = row[free]
            taken = self.rows[slot] != row  # by another row, before or just now
            row, slot = row[taken], self._next_slot(slot[taken])

    def find(self, codes: Int[np.ndarray, "*shape"]) -> Int[np.ndarray, "*shape"]:
        """The row of each code, −1 where there is none."""
        wanted = codes.ravel()
        slot = self._first_slot(wanted)
        row = self.rows[slot].astype(np.int64)
        other = self._other_codes(row, wanted)
        result, slot, wanted = row, slot[other], wanted[other]
        while len(other):
            slot = self._next_slot(slot)
            row = self.rows[slot]
            result[other] = row
            wrong = self._other_codes(row, wanted)
            other, slot, wanted = other[wrong], slot[wrong], wanted[wrong]
        return result.reshape(codes.shape)

    def _other_codes(
        self, rows: Int[np.ndarray, "_"], wanted: Int[np.ndarray, "_"]
    ) -> Int[np.ndarray, "_"]:
        """Where a slot holds a row, but that of another code."""
        # Row −1 reads the last code, which is not the one asked for, or it would have been found.
        return np.flatnonzero((self.codes[rows] != wanted) & (rows >= 0))

    def _first_slot(self, codes: Int[np.ndarray, "_"]) -> Int[np.ndarray, "_"]:
        # Multiplied by 2⁶⁴ divided by the golden ratio, near codes get upper bits far apart.
        scattered = codes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        return (scattered >> np.uint64(64 - self.bits)).view(np.int64)

    def _next_slot(self, slots: Int[np.ndarray, "_"]) -> Int[np.ndarray, "_"]:
        return (slots + 1) & (len(self.rows) - 1)


@dataclass(frozen=True, eq=False)
class Level:
    """What the table says at one order, for each of the words asked about.

    run : row of the context with the word, −1 where never seen
    context : row of the context among the runs one token shorter, −1 where never seen
    counts, totals : of the table, for the runs and for their contexts

    `run` and `context` are (token,) when the words of a text are asked about, or (context, V) and
    (context, 1) when all words are, so one formula serves both.
    """

    run: Int[np.ndarray, "*words"]
    context: Int[np.ndarray, "*contexts"]
    counts: Int[np.ndarray, "_"] = field(repr=False)
    totals: Int[np.ndarray, "_"] = field(repr=False)

    @cached_property
    def count(self) -> Int[np.ndarray, "*words"]:
        """c(context, w), 0 where never seen."""
        return _at(self.counts, self.run)

    @cached_property
    def total(self) -> Int[np.ndarray, "*contexts"]:
        """c(context) = Σ_w c(context, w), 0 where never seen."""
        return _at(self.totals, self.context)


def _at(
    values: Int[np.ndarray, "row"], rows: Int[np.ndarray, "*shape"]
) -> Int[np.ndarray, "*shape"]:
    """values[rows], and 0 where a row is −1."""
    # A choice by np.where takes eight times as long: no processor guesses which rows are there.
    return np.asarray(values[rows] * (rows >= 0))
