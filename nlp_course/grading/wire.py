"""Values to bytes and back, plain data only.

What crosses from a student's process to the tests is rebuilt here as exact built-in, NumPy and
torch types: no class of a student's, and with it no `__eq__`, no `__reduce__`, ever exists on the
trusted side. The structure is JSON; arrays and long strings follow it as raw bytes. Nothing is
unpickled.
"""

from __future__ import annotations

import json
import math
import re
import socket
import struct
import sys
import time
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from keyword import iskeyword
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
DTYPE = re.compile(rf"[<>|=]?[{KINDS}]\d{{1,9}}", re.ASCII)
ITERABLES: dict[Any, str] = {list: "l", tuple: "t", set: "S", frozenset: "F", deque: "l"}
MAPPINGS: dict[Any, str] = {dict: "d", defaultdict: "d", Counter: "C", OrderedDict: "O"}
# What can be changed: where it comes twice it is one object there, too.
SHARED = {"l", "d", "S", "C", "O", "B", "n", "o", "T"}
TORCH = re.compile(
    r"bool|u?int(8|16|32|64)|b?float16|float(32|64)|float8_\w+|complex(32|64|128)", re.ASCII
)
LONG = 256  # characters from which a string travels beside the JSON
NODES = 5  # JSON values that one item may take, on average
ROWS, FIELDS = 100, 250  # namedtuple classes in a value, fields in a class
BUILD_SECONDS = 2.0  # for a dict or a set; only keys made to collide take so long


def dumps(value: Any, other: Other | None = None, limits: Limits = DEFAULT) -> bytes:
    """A value as bytes; what is no plain data goes to `other`, which says how it is named.

    Raises
    ------
    WireError : it is too large, too deep, refers to itself, or there is no `other` to ask.
    """
    encoder = _Encoder(other, limits)
    try:
        body = json.dumps(encoder.encode(value), separators=(",", ":")).encode()
    except RecursionError as error:
        raise WireError("is nested too deeply") from error
    _check_nodes(body, limits)
    data = b"".join([struct.pack(">I", len(body)), body, *encoder.buffers])
    if len(data) > limits.bytes:
        raise WireError(_megabytes(len(data), limits.bytes))
    return data


def _megabytes(size: int, limit: int) -> str:
    if limit < 1 << 20:
        return f"has {size:,} bytes, the limit is {limit:,}"
    return f"has {size >> 20} MB, the limit is {limit >> 20} MB"


def _check_nodes(body: bytes, limits: Limits) -> None:
    """Bound what parsing makes: two bytes of JSON can become sixty of memory."""
    if body.count(b",") + body.count(b"[") > NODES * limits.items + 1000:
        raise WireError(f"has more than {limits.items:,} items")


class _Encoder:
    def __init__(self, other: Other | None, limits: Limits) -> None:
        self.other, self.limits = other, limits
        self.buffers: list[bytes] = []
        self.end = self.bytes = self.items = self.depth = 0
        self.rows: dict[type, tuple[str, list[str]]] = {}  # namedtuples' names and fields
        self.seen: dict[int, int] = {}  # numbers of what is shared, by its id
        self.sizes: list[tuple[int, int]] = []  # its items and bytes

    def encode(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is float:
            return value
        if kind is int:
            # A decimal digit is 3.32 bits; what has fewer bits than this has fewer digits.
            if value.bit_length() > 3.32 * self.limits.digits:
                raise WireError(f"holds a whole number of over {self.limits.digits} digits")
            return value
        if kind is str:
            if len(value) < LONG:
                self._count(len(value))
                return value
            return ["s", *self._buffer(value.encode("utf-8", "surrogatepass"))]
        if self.depth > self.limits.depth:
            raise WireError(f"is nested more than {self.limits.depth} deep, or in itself")
        number = self.seen.get(id(value))
        if number is not None:
            self._again(*self.sizes[number])
            return ["=", number]
        before = self.items, self.bytes
        encoded = self._structure(value, kind)
        if (
            type(encoded) is list and encoded[0] in SHARED
        ):  # numbered when whole, as the other side does
            self.seen[id(value)] = len(self.seen)
            self.sizes.append((self.items - before[0], self.bytes - before[1]))
        return encoded

    def _again(self, items: int, size: int) -> None:
        self.items += items
        if self.items > self.limits.items:
            raise WireError(f"has more than {self.limits.items:,} items")
        self._count(size)

    def _structure(self, value: Any, kind: type) -> Any:
        if kind in ITERABLES:
            return [ITERABLES[kind], self._all(value)]
        if kind in MAPPINGS:
            return self._mapping(MAPPINGS[kind], value)
        if kind is complex:
            return ["c", value.real, value.imag]
        if kind in (bytes, bytearray):
            return ["b" if kind is bytes else "B", *self._buffer(bytes(value))]
        if kind is range:
            return ["r", *self._all((value.start, value.stop, value.step))]
        if kind is slice:
            return ["z", self._all((value.start, value.stop, value.step))]
        if value is Ellipsis:
            return ["e"]
        # Its type is asked: what an object says of its class is its own matter.
        if issubclass(kind, np.ndarray | np.generic):
            return self._array(value)
        if issubclass(kind, np.dtype) and value.kind in KINDS:
            return ["P", value.str]
        torch = sys.modules.get("torch")
        if torch is not None:
            encoded = self._torch(value, kind, torch)
            if encoded is not None:
                return encoded
        return self._subclass(value, kind)

    def _subclass(self, value: Any, kind: type) -> Any:
        """Someone's own class over a built-in one crosses as the built-in, by its own methods."""
        if issubclass(kind, tuple):
            items = self._all(tuple.__iter__(value))
            if kind not in self.rows:
                fields: Any = getattr(kind, "_fields", None)
                name = kind.__name__
                self.rows[kind] = (name, list(fields)) if _is_row(name, fields) else ("", [])
            name, fields = self.rows[kind]
            return (
                ["N", name, fields, items] if name and len(fields) == len(items) else ["t", items]
            )
        if issubclass(kind, str):
            return self.encode(str.__str__(value))
        if issubclass(kind, int):
            return self.encode(int.__pos__(value))
        if issubclass(kind, float):
            return self.encode(float.__pos__(value))
        base: Any
        for base in (list, set, frozenset, deque):
            if issubclass(kind, base):
                return [ITERABLES[base], self._all(base.__iter__(value))]
        for base in (Counter, OrderedDict, dict):
            if issubclass(kind, base):
                return self._mapping(MAPPINGS[base], value)
        if self.other is None:
            raise WireError(f"holds a {kind.__name__}, which is no plain data")
        return ["h", *self.other(value)]

    def _mapping(self, tag: str, value: Any) -> Any:
        pairs = list(dict.items(value))
        keys, values = [key for key, _ in pairs], [item for _, item in pairs]
        return [tag, self._all(keys), self._all(values)]

    def _all(self, values: Iterable[Any]) -> list[Any]:
        encoded = []
        self.depth += 1
        for value in values:
            self.items += 1
            if self.items > self.limits.items:
                raise WireError(f"has more than {self.limits.items:,} items")
            simple = value is None or type(value) is float or type(value) is bool
            encoded.append(value if simple else self.encode(value))
        self.depth -= 1
        return encoded

    def _count(self, number: int) -> None:
        self.bytes += number
        if self.bytes > self.limits.bytes:
            raise WireError(_megabytes(self.bytes, self.limits.bytes))

    def _buffer(self, data: bytes) -> list[int]:
        self._count(len(data))
        self.buffers.append(data)
        self.end += len(data)
        return [self.end - len(data), len(data)]

    def _fits(self, size: int) -> None:
        """Refuse before a copy is made: a broadcast array is larger than its memory."""
        if self.bytes + size > self.limits.bytes:
            raise WireError(_megabytes(self.bytes + size, self.limits.bytes))

    def _array(self, value: Any) -> Any:
        array = np.asarray(value)
        if array.dtype.kind == "O":
            if array.size > self.limits.items:
                raise WireError(f"has more than {self.limits.items:,} items")
            return ["o", list(array.shape), self._all(array.ravel().tolist())]
        if array.dtype.kind not in KINDS or not array.dtype.itemsize:
            raise WireError(f"holds an array of {array.dtype}, which is no plain data")
        self._fits(array.nbytes)
        tag = "g" if isinstance(value, np.generic) else "n"
        return [tag, array.dtype.str, list(array.shape), *self._buffer(array.tobytes())]

    def _torch(self, value: Any, kind: type, torch: Any) -> Any:
        if issubclass(kind, torch.Tensor):
            name = str(value.dtype).removeprefix("torch.")
            if value.layout is not torch.strided or not TORCH.fullmatch(name):
                raise WireError(f"holds a tensor of {name}, {value.layout}; make it dense")
            self._fits(value.numel() * value.element_size())
            whole = value.detach().to("cpu").resolve_conj().resolve_neg()
            # A tensor of one number may be called contiguous and have any stride.
            dense = whole.clone(memory_format=torch.contiguous_format)
            raw = dense.reshape(-1).view(torch.uint8).numpy().tobytes() if dense.numel() else b""
            leaf = bool(value.requires_grad and value.is_leaf)
            return ["T", name, list(dense.shape), leaf, *self._buffer(raw)]
        if kind is torch.dtype:
            return ["D", str(value).removeprefix("torch.")]
        if kind is torch.Size:
            return ["Z", list(value)]
        if kind is torch.device:
            return ["V", value.type, value.index]
        return None


def _is_row(name: Any, fields: Any) -> bool:
    """Whether `namedtuple` makes a class of these: it compiles code from the names."""
    return (
        type(fields) is tuple
        and len(fields) <= FIELDS
        and all(type(one) is str and len(one) < 100 for one in (name, *fields))
        and all(one.isidentifier() and not iskeyword(one) for one in (name, *fields))
        and not any(field.startswith("_") for field in fields)
        and len(set(fields)) == len(fields)
    )


def loads(data: bytes, other: Resolve | None = None, limits: Limits = DEFAULT) -> Any:
    """The value that `dumps` wrote; handles go to `other`.

    Raises
    ------
    WireError : these bytes are not what `dumps` writes, or exceed the limits.
    """
    if len(data) > limits.bytes:
        raise WireError(_megabytes(len(data), limits.bytes))
    try:
        (length,) = struct.unpack_from(">I", data)
        body = data[4 : 4 + length]
        if len(body) != length:
            raise WireError("is cut short")
        _check_nodes(body, limits)
        # Python itself refuses thousands of digits, and faster than we can, unless told not to.
        parse_int = None if 0 < sys.get_int_max_str_digits() <= 10_000 else _digits(limits)
        parsed = json.loads(body, parse_int=parse_int, object_pairs_hook=_no_object)
        return _Decoder(other, limits, memoryview(data)[4 + length :]).decode(parsed)
    except WireError:
        raise
    # Whatever a stranger's bytes make of us is one thing: not a value.
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise WireError(f"is malformed ({type(error).__name__})") from error
    except (RuntimeError, MemoryError, struct.error) as error:
        raise WireError(f"is malformed ({type(error).__name__})") from error


def _digits(limits: Limits) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if len(text) > limits.digits + 1:
            raise WireError(f"holds a whole number of over {limits.digits} digits")
        return int(text)

    return parse


def _no_object(pairs: list[Any]) -> None:  # noqa: ARG001
    raise WireError("is malformed")


class _Decoder:
    def __init__(self, other: Resolve | None, limits: Limits, buffer: memoryview) -> None:
        self.other, self.limits, self.buffer = other, limits, buffer
        self.items = self.bytes = self.depth = 0
        self.rows: dict[Any, Any] = {}
        self.made: list[Any] = []  # what is shared
        self.sizes: list[tuple[int, int]] = []

    def decode(self, body: Any) -> Any:
        kind = type(body)
        if kind is int and body.bit_length() > 3.33 * self.limits.digits:
            raise WireError(f"holds a whole number of over {self.limits.digits} digits")
        if body is None or kind in (bool, int, float, str):
            return body
        before = self.items, self.bytes
        value = self._structure(body)
        if body[0] in SHARED:
            self.made.append(value)
            self.sizes.append((self.items - before[0], self.bytes - before[1]))
        return value

    def _structure(self, body: Any) -> Any:
        match body:
            case ["l", items]:
                return self._all(items)
            case ["t", items]:
                return tuple(self._all(items))
            case ["n", *parts]:
                return self._array(*parts)
            case ["g", *parts]:
                return self._array(*parts)[()]
            case ["T", *parts]:
                return self._tensor(*parts)
            case ["d", keys, values]:
                return self._table(self._all(keys), self._all(values))
            case ["s", place, length]:
                return bytes(self._raw(place, length)).decode("utf-8", "surrogatepass")
            case ["h", *name] if self.other is not None:
                return self.other(name)
            case ["S", items]:
                return set(self._table(*[self._all(items)] * 2))
            case ["F", items]:
                return frozenset(self._table(*[self._all(items)] * 2))
            case ["C", keys, values]:
                return Counter(self._table(self._all(keys), self._all(values)))
            case ["O", keys, values]:
                return OrderedDict(self._table(self._all(keys), self._all(values)))
            case ["N", name, list(fields), items]:
                return self._row(name, tuple(fields), self._all(items))
            case ["b", place, length]:
                return bytes(self._raw(place, length))
            case ["B", place, length]:
                return bytearray(self._raw(place, length))
            case ["c", float(real), float(imaginary)]:
                return complex(real, imaginary)
            case ["r", start, stop, step]:
                return self._range(range(_whole(start), _whole(stop), _whole(step)))
            case ["z", list(parts)]:
                return slice(*self._all(parts))
            case ["e"]:
                return Ellipsis
            case ["=", int(number)] if 0 <= number < len(self.made):
                self._count(*self.sizes[number])
                return self.made[number]
            case ["o", shape, items]:
                return self._objects(_shape(shape), self._all(items))
            case ["P", name]:
                return _dtype(name)
            case ["D", name]:
                return _torch_dtype(name)
            case ["Z", sizes]:
                return _torch().Size(_shape(sizes))
            case ["V", "cpu" | "cuda" | "mps" | "meta" as kind, index]:
                return _torch().device(kind, *([] if index is None else [_whole(index)]))
        raise WireError("is malformed")

    def _objects(self, shape: tuple[int, ...], values: list[Any]) -> np.ndarray:
        array = np.empty(len(values), dtype=object)
        for place, value in enumerate(values):  # a slice would take lists for rows
            array[place] = value
        return array.reshape(shape)

    def _row(self, name: Any, fields: tuple[Any, ...], values: list[Any]) -> Any:
        if (name, fields) not in self.rows:
            if not _is_row(name, fields):
                raise WireError("is malformed")
            if len(self.rows) >= ROWS:
                raise WireError(f"has more than {ROWS} classes of namedtuples")
            self.rows[name, fields] = namedtuple(name, fields)
        if len(values) != len(fields):
            raise WireError("is malformed")
        return self.rows[name, fields](*values)

    def _array(self, kind: Any, shape: Any, place: Any, length: Any) -> np.ndarray:
        dtype, sizes, raw = _dtype(kind), _shape(shape), self._raw(place, length)
        if math.prod(sizes) * dtype.itemsize != len(raw):
            raise WireError("is malformed")
        if not len(raw):
            return np.empty(sizes, dtype)
        flat = np.frombuffer(raw, dtype)
        if dtype.kind == "b":  # a byte that is neither 0 nor 1 is a truth of its own
            flat = np.frombuffer(raw, np.uint8) != 0
        elif dtype.kind == "U":
            order = ">" if dtype.byteorder == ">" else "<"
            if np.frombuffer(raw, f"{order}u4").max() > sys.maxunicode:
                raise WireError("is malformed")
        return flat.reshape(sizes).copy()

    def _tensor(self, name: Any, shape: Any, keeps: Any, place: Any, length: Any) -> Any:
        torch = _torch()
        dtype, sizes, raw = _torch_dtype(name), _shape(shape), self._raw(place, length)
        if math.prod(sizes) * dtype.itemsize != len(raw):
            raise WireError("is malformed")
        if not len(raw):
            tensor = torch.empty(sizes, dtype=dtype)
        else:
            tensor = torch.frombuffer(bytearray(raw), dtype=torch.uint8)
            tensor = tensor != 0 if dtype is torch.bool else tensor.view(dtype)
            tensor = tensor.reshape(sizes)
        real = tensor.is_floating_point() or tensor.is_complex()
        return tensor.requires_grad_() if keeps is True and real else tensor

    def _all(self, items: Any) -> list[Any]:
        if type(items) is not list:
            raise WireError("is malformed")
        self._count(len(items), 0)
        if self.depth > self.limits.depth:
            raise WireError(f"is nested more than {self.limits.depth} deep")
        self.depth += 1
        simple = (float, str, bool, type(None))
        values = [item if type(item) in simple else self.decode(item) for item in items]
        self.depth -= 1
        return values

    def _range(self, made: range) -> range:
        """One that can be walked through: what does that in C cannot be interrupted."""
        if (made.stop - made.start) // made.step > self.limits.items:
            raise WireError(f"has more than {self.limits.items:,} items")
        return made

    def _table(self, keys: list[Any], values: list[Any]) -> dict[Any, Any]:
        """Put in one by one: numbers chosen to collide make a dict of them quadratic."""
        made, until = {}, time.monotonic() + BUILD_SECONDS
        for place, (key, value) in enumerate(zip(keys, values, strict=True)):
            made[key] = value
            if place % 1024 == 1023 and time.monotonic() > until:
                raise WireError("takes too long to build")
        return made

    def _raw(self, place: Any, length: Any) -> memoryview:
        place, length = _whole(place), _whole(length)
        if place < 0 or length < 0 or place + length > len(self.buffer):
            raise WireError("is cut short")
        self._count(0, length)
        return self.buffer[place : place + length]

    def _count(self, items: int, size: int) -> None:
        """Count what is used twice twice: a thousand arrays could be of one buffer."""
        self.items += items
        self.bytes += size
        if self.items > self.limits.items:
            raise WireError(f"has more than {self.limits.items:,} items")
        if self.bytes > self.limits.bytes:
            raise WireError(_megabytes(self.bytes, self.limits.bytes))


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise WireError("is malformed")
    return value


def _shape(shape: Any) -> tuple[int, ...]:
    if type(shape) is not list or len(shape) > 32:
        raise WireError("is malformed")
    sizes = tuple(_whole(size) for size in shape)
    if any(size < 0 for size in sizes):
        raise WireError("is malformed")
    return sizes


def _dtype(name: Any) -> np.dtype[Any]:
    dtype = np.dtype(name) if type(name) is str and DTYPE.fullmatch(name) else None
    if dtype is None or not dtype.itemsize:
        raise WireError("is malformed")
    return dtype


def _torch() -> Any:
    import torch  # only where something of torch's has come

    return torch


def _torch_dtype(name: Any) -> Any:
    # Looked up among what is there: an attribute of torch that is asked for may import more.
    plain = type(name) is str and TORCH.fullmatch(name)
    dtype = vars(_torch()).get(name) if plain else None
    if not isinstance(dtype, _torch().dtype):
        raise WireError("is malformed")
    return dtype


def send(channel: socket.socket, message: bytes) -> None:
    """Send one message."""
    header = struct.pack(">I", len(message))
    if len(message) < 1 << 16:
        channel.sendall(header + message)
    else:  # a long message is not copied for the sake of four bytes
        channel.sendall(header)
        channel.sendall(message)


def receive(channel: socket.socket, timeout: float | int | None, limit: int) -> bytes:
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
        raise WireError(_megabytes(length, limit))
    return _exactly(channel, length, until)


def _exactly(channel: socket.socket, number: int, until: float | None) -> bytes:
    data = bytearray()
    while len(data) < number:
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("no answer in time")
        channel.settimeout(left)
        try:
            part = channel.recv(min(number - len(data), 1 << 20))
        except ConnectionError as error:
            raise EOFError("the other end is closed") from error
        if not part:
            raise EOFError("the other end is closed")
        data += part
    return bytes(data)
