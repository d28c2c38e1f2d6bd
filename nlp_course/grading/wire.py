"""Values to bytes and back, plain data only.

What crosses from a student's process to the tests is rebuilt here as exact built-in, NumPy and
torch types: no class of a student's, and with it no `__eq__`, no `__reduce__`, ever exists on the
trusted side. The structure is JSON; arrays follow it as raw bytes. Nothing is unpickled.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


class WireError(ValueError):
    """Not plain data, too large, too deep, or malformed."""


@dataclass(frozen=True)
class Limits:
    """How large a value may be: bytes in all, nesting, items in all, digits of a whole number."""

    bytes: int = 64 << 20
    depth: int = 60
    items: int = 2_000_000
    digits: int = 4000


DEFAULT = Limits()
Other = Callable[[Any], list[Any]]
Resolve = Callable[[list[Any]], Any]
KINDS = "biufcSU"
TAGS: dict[type, str] = {list: "l", tuple: "t", set: "S", frozenset: "F", deque: "l"}
ITERABLES = {"l": list, "t": tuple, "S": set, "F": frozenset}


def dumps(value: Any, other: Other | None = None, limits: Limits = DEFAULT) -> bytes:
    """A value as bytes; what is no plain data goes to `other`, which says how it is named.

    Raises
    ------
    WireError : it is too large, too deep, refers to itself, or there is no `other` to ask.
    """
    encoder = _Encoder(other, limits)
    try:
        body = json.dumps(encoder.encode(value, 0), separators=(",", ":")).encode()
    except RecursionError as error:
        raise WireError("is nested too deeply") from error
    except ValueError as error:  # whole numbers of thousands of digits
        raise WireError(str(error)) from error
    data = b"".join([struct.pack(">I", len(body)), body, *encoder.buffers])
    if len(data) > limits.bytes:
        raise WireError(f"has {len(data) >> 20} MB, the limit is {limits.bytes >> 20} MB")
    return data


class _Encoder:
    def __init__(self, other: Other | None, limits: Limits) -> None:
        self.other, self.limits = other, limits
        self.buffers: list[bytes] = []
        self.bytes = self.items = self.end = 0

    def encode(self, value: Any, depth: int) -> Any:
        if value is None or value is True or value is False:
            return value
        kind = type(value)
        if kind is float:
            return value
        if kind is int:
            if value.bit_length() > 3.3 * self.limits.digits:
                raise WireError(f"holds a whole number of over {self.limits.digits} digits")
            return value
        if kind is str:
            self._count_bytes(len(value))
            return value
        if depth > self.limits.depth:
            raise WireError(f"is nested more than {self.limits.depth} deep, or in itself")
        if kind in TAGS:
            return [TAGS[kind], self._all(value, depth)]
        if kind in (dict, Counter, OrderedDict, defaultdict):
            tag = {Counter: "C", OrderedDict: "O"}.get(kind, "d")
            return [tag, self._all(value.keys(), depth), self._all(value.values(), depth)]
        if kind is complex:
            return ["c", value.real, value.imag]
        if kind in (bytes, bytearray):
            return ["b" if kind is bytes else "B", *self._buffer(bytes(value))]
        if kind is range:
            return ["r", value.start, value.stop, value.step]
        if kind is slice:
            return ["z", self._all((value.start, value.stop, value.step), depth)]
        if value is Ellipsis:
            return ["e"]
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value, depth)
        torch = sys.modules.get("torch")
        if torch is not None and kind.__module__.partition(".")[0] == "torch":
            encoded = self._torch(value, torch)
            if encoded is not None:
                return encoded
        return self._subclass(value, depth)

    def _subclass(self, value: Any, depth: int) -> Any:
        """A class of someone's own over a built-in one crosses as the built-in."""
        if isinstance(value, tuple):
            fields = getattr(type(value), "_fields", None)
            items = self._all(tuple.__iter__(value), depth)
            if isinstance(fields, tuple) and all(type(name) is str for name in fields):
                return ["N", type(value).__name__, list(fields), items]
            return ["t", items]
        if isinstance(value, str):
            return self.encode(str.__str__(value)[:], depth)
        if isinstance(value, int):
            return self.encode(int.__add__(value, 0), depth)
        if isinstance(value, float):
            return self.encode(float.__add__(value, 0.0), depth)
        if isinstance(value, list):
            return ["l", self._all(list.__iter__(value), depth)]
        if isinstance(value, set):
            return ["S", self._all(set.__iter__(value), depth)]
        if isinstance(value, frozenset):
            return ["F", self._all(frozenset.__iter__(value), depth)]
        if isinstance(value, dict):
            pairs = list(dict.items(value))
            return [
                "d",
                self._all((k for k, _ in pairs), depth),
                self._all((v for _, v in pairs), depth),
            ]
        return self._other(value)

    def _other(self, value: Any) -> Any:
        if self.other is None:
            raise WireError(f"holds a {type(value).__name__}, which is no plain data")
        return ["h", *self.other(value)]

    def _all(self, values: Any, depth: int) -> list[Any]:
        encoded = []
        for value in values:
            self.items += 1
            if self.items > self.limits.items:
                raise WireError(f"has more than {self.limits.items:,} items")
            encoded.append(self.encode(value, depth + 1))
        return encoded

    def _count_bytes(self, number: int) -> None:
        self.bytes += number
        if self.bytes > self.limits.bytes:
            raise WireError(f"has more than {self.limits.bytes >> 20} MB")

    def _buffer(self, data: bytes) -> list[int]:
        self._count_bytes(len(data))
        self.buffers.append(data)
        place, self.end = self.end, self.end + len(data)
        return [place, len(data)]

    def _array(self, value: Any, depth: int) -> Any:
        array = np.asarray(value)
        if array.dtype.kind == "O":
            return ["o", list(array.shape), self._all(array.ravel().tolist(), depth)]
        if array.dtype.kind not in KINDS or (array.dtype.itemsize == 0 and array.size):
            raise WireError(f"holds an array of {array.dtype}, which is no plain data")
        tag = "g" if isinstance(value, np.generic) else "n"
        self._count_bytes(array.nbytes)
        self.bytes -= array.nbytes
        data = np.ascontiguousarray(array).tobytes()
        return [tag, array.dtype.str, list(array.shape), *self._buffer(data)]

    def _torch(self, value: Any, torch: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if value.layout is not torch.strided or value.is_quantized:
                raise WireError(f"holds a tensor of layout {value.layout}; make it dense")
            dense = value.detach().to("cpu").contiguous()
            keeps = bool(value.requires_grad and value.is_leaf)
            self._count_bytes(dense.numel() * dense.element_size())
            self.bytes -= dense.numel() * dense.element_size()
            raw = dense.reshape(-1).view(torch.uint8).numpy().tobytes() if dense.numel() else b""
            shape = list(dense.shape)
            return ["T", str(dense.dtype).removeprefix("torch."), shape, keeps, *self._buffer(raw)]
        if isinstance(value, torch.dtype):
            return ["D", str(value).removeprefix("torch.")]
        if isinstance(value, torch.Size):
            return ["Z", list(value)]
        if isinstance(value, torch.device):
            return ["V", str(value)]
        return None


def loads(data: bytes, other: Resolve | None = None, limits: Limits = DEFAULT) -> Any:
    """The value that `dumps` wrote; handles go to `other`.

    Raises
    ------
    WireError : these bytes are not what `dumps` writes, or exceed the limits.
    """
    if len(data) > limits.bytes:
        raise WireError(f"has {len(data) >> 20} MB, the limit is {limits.bytes >> 20} MB")
    try:
        (length,) = struct.unpack_from(">I", data)
        if 4 + length > len(data):
            raise WireError("is cut short")
        body = json.loads(data[4 : 4 + length], parse_int=_digits(limits))
        return _Decoder(other, limits, memoryview(data)[4 + length :]).decode(body, 0)
    except WireError:
        raise
    # Whatever a stranger's bytes make of us is one thing: not a value.
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise WireError(f"is malformed ({type(error).__name__})") from error
    except (RecursionError, MemoryError, OverflowError, struct.error, RuntimeError) as error:
        raise WireError(f"is malformed ({type(error).__name__})") from error


def _digits(limits: Limits) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if len(text) > limits.digits + 1:
            raise WireError(f"holds a whole number of over {limits.digits} digits")
        return int(text)

    return parse


class _Decoder:
    def __init__(self, other: Resolve | None, limits: Limits, buffer: memoryview) -> None:
        self.other, self.limits, self.buffer = other, limits, buffer
        self.items = self.bytes = 0

    def decode(self, body: Any, depth: int) -> Any:
        if body is None or type(body) in (bool, int, float, str):
            return body
        if depth > self.limits.depth + 2:
            raise WireError(f"is nested more than {self.limits.depth} deep")
        if type(body) is not list or not body or type(body[0]) is not str:
            raise WireError("is malformed")
        tag, *rest = body
        if tag in ITERABLES:
            (items,) = rest
            return ITERABLES[tag](self._all(items, depth))
        if tag in ("d", "C", "O"):
            keys, values = (self._all(part, depth) for part in rest)
            if len(keys) != len(values):
                raise WireError("is malformed")
            made = {"d": dict, "C": dict, "O": OrderedDict}[tag](zip(keys, values, strict=True))
            return Counter(made) if tag == "C" else made
        if tag == "N":
            name, fields, items = rest
            values = self._all(items, depth)
            if len(values) != len(fields) or not all(type(field) is str for field in fields):
                raise WireError("is malformed")
            return namedtuple(_identifier(name), fields)(*values)
        if tag == "c":
            real, imaginary = map(float, rest)
            return complex(real, imaginary)
        if tag in ("b", "B"):
            raw = self._raw(*rest)
            return bytes(raw) if tag == "b" else bytearray(raw)
        if tag == "r":
            return range(*(self._whole(part) for part in rest))
        if tag == "z":
            return slice(*self._all(rest[0], depth))
        if tag == "e":
            return Ellipsis
        if tag in ("n", "g"):
            array = self._array(*rest)
            return array[()] if tag == "g" else array
        if tag == "o":
            shape, items = rest
            values = self._all(items, depth)
            array = np.empty(len(values), dtype=object)
            array[:] = values
            return array.reshape(self._shape(shape))
        if tag in ("T", "D", "Z", "V"):
            return self._torch(tag, rest)
        if tag == "h" and self.other is not None:
            return self.other(rest)
        raise WireError("is malformed")

    def _all(self, items: Any, depth: int) -> list[Any]:
        if type(items) is not list:
            raise WireError("is malformed")
        self.items += len(items)
        if self.items > self.limits.items:
            raise WireError(f"has more than {self.limits.items:,} items")
        return [self.decode(item, depth + 1) for item in items]

    def _whole(self, value: Any) -> int:
        if type(value) is not int:
            raise WireError("is malformed")
        return value

    def _raw(self, place: Any, length: Any) -> memoryview:
        place, length = self._whole(place), self._whole(length)
        self.bytes += length
        # Counted, since a thousand arrays could share one buffer.
        if place < 0 or length < 0 or place + length > len(self.buffer):
            raise WireError("is cut short")
        if self.bytes > self.limits.bytes:
            raise WireError(f"has more than {self.limits.bytes >> 20} MB")
        return self.buffer[place : place + length]

    def _shape(self, shape: Any) -> tuple[int, ...]:
        if type(shape) is not list or len(shape) > 32:
            raise WireError("is malformed")
        sizes = tuple(self._whole(size) for size in shape)
        if any(size < 0 for size in sizes):
            raise WireError("is malformed")
        return sizes

    def _array(self, kind: Any, shape: Any, place: Any, length: Any) -> np.ndarray:
        if type(kind) is not str or len(kind) > 16 or kind.lstrip("<>|=")[:1] not in [*KINDS]:
            raise WireError("is malformed")
        dtype = np.dtype(kind)
        if dtype.kind not in KINDS or dtype.hasobject:
            raise WireError("is malformed")
        sizes, raw = self._shape(shape), self._raw(place, length)
        count = 1
        for size in sizes:
            count *= size
        if count * dtype.itemsize != len(raw):
            raise WireError("is malformed")
        if not count:
            return np.empty(sizes, dtype)
        return np.frombuffer(raw, dtype).reshape(sizes).copy()

    def _torch(self, tag: str, rest: list[Any]) -> Any:
        import torch

        if tag == "Z":
            return torch.Size(self._shape(rest[0]))
        if tag == "V":
            return torch.device(str(rest[0])[:20])
        dtype = getattr(torch, str(rest[0])[:20], None)
        if not isinstance(dtype, torch.dtype):
            raise WireError("is malformed")
        if tag == "D":
            return dtype
        _, shape, keeps, place, length = rest
        sizes, raw = self._shape(shape), self._raw(place, length)
        count = 1
        for size in sizes:
            count *= size
        if count * dtype.itemsize != len(raw):
            raise WireError("is malformed")
        if not count:
            tensor = torch.empty(sizes, dtype=dtype)
        else:
            flat = torch.frombuffer(bytearray(raw), dtype=torch.uint8)
            tensor = flat.view(dtype).reshape(sizes).clone()
        real = tensor.is_floating_point() or tensor.is_complex()
        return tensor.requires_grad_() if keeps is True and real else tensor


def _identifier(name: Any) -> str:
    return name if type(name) is str and name.isidentifier() and len(name) < 100 else "Row"


def send(channel: socket.socket, message: bytes) -> None:
    """Send one message."""
    channel.sendall(struct.pack(">I", len(message)) + message)


def receive(channel: socket.socket, timeout: float | None, limit: int) -> bytes:
    """Receive one message.

    Raises
    ------
    TimeoutError : it has not come, or not all of it, in so many seconds.
    EOFError : the other end is closed.
    WireError : it is longer than `limit` bytes.
    """
    until = None if timeout is None else time.monotonic() + timeout
    (length,) = struct.unpack(">I", _exactly(channel, 4, until))
    if length > limit:
        raise WireError(f"has {length >> 20} MB, the limit is {limit >> 20} MB")
    return _exactly(channel, length, until)


def _exactly(channel: socket.socket, number: int, until: float | None) -> bytes:
    parts, missing = [], number
    while missing:
        if until is not None:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer in time")
            channel.settimeout(left)
        else:
            channel.settimeout(None)
        try:
            part = channel.recv(min(missing, 1 << 20))
        except ConnectionError as error:
            raise EOFError("the other end is closed") from error
        if not part:
            raise EOFError("the other end is closed")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
