"""Handles: what a test holds of an object that stays in the student's process.

What could decide a test is never asked of the student. Two handles are equal only if they are of
one object, a handle has no truth and no order, and its arithmetic gives handles, never numbers:
a test compares plain data, which it asks for by an attribute, `float(...)` or `np.asarray(...)`.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, runtime_checkable

import numpy as np

BATCH = 256  # items of an iterator fetched at once, at most
SMALL = 1 << 16  # bytes of an answer up to which the next one may hold more items
BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"]
BINARY += ["lshift", "rshift", "and", "or", "xor"]
UNARY = ("neg", "pos", "abs", "invert")
NAMES = ("__name__", "__qualname__", "__doc__", "__module__")


@runtime_checkable
class Asked(Protocol):
    """Who passes on what a handle is asked."""

    received: int  # bytes of the last answer

    def ask(self, op: str, *arguments: Any) -> Any:
        """The student's answer."""


@dataclass
class Facts:
    """What is known of a handle.

    Parameters
    ----------
    number : the object's, in the student's process
    shown : name of its class, as the student's side has it
    kinds : its class and that one's bases
    iterates : whether it is an iterator
    lent : what stays lent to the student's process for as long as the handle is used
    ahead : items that came along with an earlier one, the next one last
    """

    student: Asked
    number: int
    shown: str
    kinds: tuple[str, ...]
    iterates: bool
    lent: dict[int, Any] | None = None
    ahead: list[Any] = field(default_factory=list)
    ended: bool = False
    batch: int = 1


def facts(remote: Remote) -> Facts:
    """What is known of a handle; its attributes are those of the student's object."""
    return object.__getattribute__(remote, "_facts")


class Remote:
    """A handle on an object that stays in the student's process."""

    __slots__ = ("__weakref__", "_facts")
    __hash__ = object.__hash__
    __array_ufunc__ = None  # an array's arithmetic with a handle is the student's, too

    def __init__(self, known: Facts) -> None:
        object.__setattr__(self, "_facts", known)

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return _claimed(facts(self).kinds)
        if name.startswith("__") and name not in NAMES:
            if name in vars(Remote) or name in vars(object):
                return object.__getattribute__(self, name)
            raise AttributeError(f"{name} of a student's object cannot be asked for in a test")
        return _ask(self, "attr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _ask(self, "set", name, value)

    def __repr__(self) -> str:
        return f"<the student's {facts(self).shown}>"

    def __str__(self) -> str:
        return _exactly(str, _ask(self, "convert", "str"))

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return _ask(self, "call", arguments, options)

    def __getitem__(self, key: Any) -> Any:
        return _ask(self, "item", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _ask(self, "setitem", key, value)

    def __delitem__(self, key: Any) -> None:
        _ask(self, "delitem", key)

    def __len__(self) -> int:
        length = _exactly(int, _ask(self, "len"))
        if length < 0:
            raise TypeError(f"a student's {facts(self).shown} has a length below 0")
        return length

    def __iter__(self) -> Remote:
        iterator = self if facts(self).iterates else _ask(self, "iter")
        if type(iterator) is not Remote or not facts(iterator).iterates:
            raise TypeError(f"a student's {facts(self).shown} cannot be iterated")
        return iterator

    def __next__(self) -> Any:
        known = facts(self)
        if not known.iterates:
            raise TypeError(f"a student's {known.shown} is not an iterator")
        if not known.ahead and not known.ended:
            _fetch(self, known)
        if not known.ahead:
            raise StopIteration
        return known.ahead.pop()

    def __float__(self) -> float:
        return _exactly(float, _ask(self, "convert", "float"))

    def __int__(self) -> int:
        return _exactly(int, _ask(self, "convert", "int"))

    def __index__(self) -> int:
        return _exactly(int, _ask(self, "convert", "index"))

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        array = _exactly(np.ndarray, _ask(self, "convert", "array"))
        return array if dtype is None else array.astype(dtype)

    def __instancecheck__(self, value: object) -> bool:
        return _ask(self, "isinstance", value) is True

    def __subclasscheck__(self, kind: type) -> bool:
        return _ask(self, "issubclass", kind) is True

    def __bool__(self) -> bool:
        _refuse(self, "takes the truth of")

    def __lt__(self, other: object) -> bool:
        _refuse(self, "compares")

    __le__ = __gt__ = __ge__ = __lt__

    def __enter__(self) -> NoReturn:
        _refuse(self, "uses `with` on")

    def __exit__(self, *_: object) -> NoReturn:
        _refuse(self, "uses `with` on")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        _refuse(self, "copies")


def _ask(remote: Remote, op: str, *arguments: Any) -> Any:
    return facts(remote).student.ask(op, remote, *arguments)


def _fetch(remote: Remote, known: Facts) -> None:
    """Some items more: few at first, for a test may count what an iterator consumes."""
    answer = _ask(remote, "next", known.batch)
    match answer:
        case (list(items), bool(ended)) if type(answer) is tuple and (items or ended):
            known.ahead, known.ended = items[::-1], ended
        case _:
            raise TypeError(f"a student's {known.shown} cannot be iterated")
    small = known.student.received <= SMALL
    known.batch = min(2 * known.batch, BATCH) if small else max(known.batch // 2, 1)


def _refuse(remote: Remote, does: str) -> NoReturn:
    raise TypeError(f"a test {does} a student's {facts(remote).shown}; it must use plain data")


def _exactly(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"a student's object gave no {kind.__name__} when it was asked for one")
    return value


def _claimed(kinds: tuple[str, ...]) -> type:
    """The class that `isinstance` takes a handle for: the claimed one, of a few there are."""
    known: dict[str, type] = {
        "builtins.function": types.FunctionType,
        "builtins.method": types.MethodType,
        "builtins.generator": types.GeneratorType,
        "builtins.type": type,
    }
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        known["torch.nn.modules.module.Module"] = torch.nn.Module
        known["torch.optim.optimizer.Optimizer"] = torch.optim.Optimizer
    return next((known[kind] for kind in kinds if kind in known), Remote)


def _handle(value: Any) -> Remote:
    """Data from an object's own arithmetic would let it choose what a test compares."""
    if type(value) is not Remote:
        raise TypeError(
            "arithmetic with a student's object gave plain data; a test must ask for the data, "
            "with float(...) or np.asarray(...), and reckon with that"
        )
    return value


def _operators() -> None:
    def binary(name: str, turned: bool) -> Callable[[Remote, Any], Remote]:
        return lambda self, other: _handle(_ask(self, "operator", name, turned, other))

    def unary(name: str) -> Callable[[Remote], Remote]:
        return lambda self: _handle(_ask(self, "operator", name, False))

    for name in BINARY:
        setattr(Remote, f"__{name}__", binary(name, False))
        setattr(Remote, f"__r{name}__", binary(name, True))
    for name in UNARY:
        setattr(Remote, f"__{name}__", unary(name))


_operators()
