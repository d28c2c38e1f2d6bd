"""Python's collector of cyclic garbage, paused where millions of words are made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Leave the collector off inside, and then as it was.

    It goes through all that lives, again and again while more is made, in search of cycles. Lists
    of words have none, and what is not used any more is freed without it.

    Examples
    --------
    >>> with collector_paused():
    ...     lines = [["a", "line"] for _ in range(10_000)]
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
