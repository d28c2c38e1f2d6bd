"""In-place changes that a student's code made to copies of a test's objects, made to them, too."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from nlp_course.grading.handles import Remote


def write_back(arguments: Sequence[Any], options: dict[str, Any], changed: Any) -> None:
    """Give a call's arguments what it made of them, by place or by name.

    What does not fit is passed over: `changed` is what the student's side claims.
    """
    for key, new in changed.items() if type(changed) is dict else ():
        if type(key) is int and 0 <= key < len(arguments):
            updated(arguments[key], new)
        elif type(key) is str and key in options:
            updated(options[key], new)


def updated(old: Any, new: Any) -> Any:
    """The old object, with the new content where it can take it; else the new object.

    >>> inner = [1, 2]
    >>> outer = {"a": inner, "b": 3}
    >>> updated(outer, {"a": [1, 2, 3]}) is outer
    True
    >>> outer["a"] is inner, outer
    (True, {'a': [1, 2, 3]})
    """
    if type(old) is Remote or type(new) is Remote:
        return new
    if isinstance(old, tuple):
        return _updated_tuple(old, new)
    if isinstance(old, np.ndarray):
        return _updated_array(old, new)
    if isinstance(old, list | deque) and type(new) is list:
        items = [updated(*pair) for pair in zip(old, new, strict=False)] + new[len(old) :]
        old.clear()
        old.extend(items)
        return old
    if isinstance(old, dict) and isinstance(new, dict):
        merged = {key: updated(old[key], new[key]) if key in old else new[key] for key in new}
        old.clear()
        old.update(merged)  # its own: an OrderedDict keeps its order beside
        return old
    if isinstance(old, set) and type(new) is set:
        old.clear()
        old.update(new)
        return old
    if isinstance(old, bytearray) and type(new) is bytearray:
        old[:] = new
        return old
    if type(old).__module__.startswith("torch") and hasattr(old, "detach"):
        return _updated_tensor(old, new)
    return new


def _updated_tuple(old: tuple[Any, ...], new: Any) -> Any:
    if not isinstance(new, tuple) or len(new) != len(old):
        return new
    items = [updated(*pair) for pair in zip(old, new, strict=True)]
    return old if all(one is item for one, item in zip(old, items, strict=True)) else new


def _updated_array(old: np.ndarray, new: Any) -> Any:
    if type(new) is not np.ndarray or new.shape != old.shape or new.dtype != old.dtype:
        return new
    if not old.flags.writeable:
        return old
    old[...] = new
    return old


def _updated_tensor(old: Any, new: Any) -> Any:
    import torch

    fits = type(new) is torch.Tensor and new.shape == old.shape and new.dtype == old.dtype
    if not fits:
        return new
    with contextlib.suppress(RuntimeError):  # an expanded tensor has fewer numbers than places
        old.detach().copy_(new.detach())
    return old
