"""Values come back from bytes as they were; bytes that a stranger wrote are a value or an error."""

from __future__ import annotations

import contextlib
import json
import math
import random
import socket
import struct
import sys
import threading
import time
import tracemalloc
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from enum import IntEnum
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nlp_course.grading import wire
from nlp_course.grading.wire import Limits, WireError, dumps, loads

Row = namedtuple("Row", ["word", "count"])
SMALL = Limits(bytes=1 << 20, depth=20, items=2000, digits=100)
# What no other module has: types that decoding may make.
MADE = (type(None), bool, int, float, complex, str, bytes, bytearray, list, tuple, set, frozenset)
MADE += (dict, Counter, OrderedDict, range, slice, type(...), np.ndarray, np.dtype, torch.Tensor)
MADE += (torch.dtype, torch.Size, torch.device)

text = st.text(st.characters(exclude_categories=[]), max_size=20)  # with halves of characters
hashable_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), text, st.binary()
)
hashable = st.recursive(
    hashable_leaves,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)
leaves = hashable_leaves | st.binary().map(bytearray) | st.just(...)
ranges = st.builds(
    lambda start, length, step: range(start, start + length * step, step),
    *(st.integers(), st.integers(-(10**20), 1000), st.sampled_from([1, 9, -1, -7])),
)
plain = st.recursive(
    leaves | ranges,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(hashable, inner, max_size=4),
        st.sets(hashable, max_size=4),
        st.builds(Row, inner, inner),
        st.builds(lambda x: OrderedDict(b=x, a=x), inner),
    ),
    max_leaves=20,
)
dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
    hnp.complex_number_dtypes(endianness="?"),
    hnp.byte_string_dtypes(min_len=1),
    hnp.unicode_string_dtypes(min_len=1, endianness="?"),
)
arrays = dtypes.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
)


def same(one: Any, other: Any) -> bool:
    """Equal in type and value, NaN too, however deep."""
    if isinstance(one, tuple) and hasattr(one, "_fields"):
        return one._fields == other._fields and same(tuple(one), tuple(other))
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return repr(one) == repr(other)
    if isinstance(one, complex):
        return repr(one) == repr(other)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        pairs = same(list(one.values()), list(other.values()))
        return pairs and same(list(one), list(other))
    if isinstance(one, set | frozenset):
        return sorted(map(_canonical, one)) == sorted(map(_canonical, other))
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == other.dtype and one.shape == other.shape and _bits(one) == _bits(other)
    return bool(one == other)


def _canonical(value: Any) -> str:
    """What is the same for equal sets, in whatever order their items come."""
    if isinstance(value, tuple | frozenset):
        items = map(_canonical, value)
        inside = items if isinstance(value, tuple) else sorted(items)
        return f"{type(value).__name__}({', '.join(inside)})"
    return repr(value)


def _bits(array: Any) -> bytes:
    return np.asarray(array).tobytes()


@given(plain)
def test_plain_data_comes_back_as_it_was(value: Any):
    assert same(loads(dumps(value)), value)


@given(arrays)
def test_arrays_come_back_to_the_bit(array: np.ndarray):
    back = loads(dumps(array))
    assert same(back, np.asarray(array, order="C"))
    assert back.flags.writeable
    assert back.flags.owndata or back.base.flags.owndata


@given(arrays.filter(lambda array: array.size > 0))
def test_array_scalars_come_back_as_scalars(array: np.ndarray):
    scalar = array.ravel()[0]
    assert same(loads(dumps(scalar)), scalar)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24).reshape(4, 6)[::2, 1::3],
        np.arange(6).reshape(2, 3).T,
        np.broadcast_to(np.float32(1), (3, 2)),
        np.asfortranarray(np.ones((2, 3), np.float16)),
        np.arange(3)[::-1],
    ],
)
def test_arrays_that_do_not_lie_in_a_row(array: np.ndarray):
    array = array.view()
    array.flags.writeable = False
    assert np.array_equal(loads(dumps(array)), array)


def test_subclasses_of_arrays_come_as_arrays():
    for value in (np.ma.masked_array([1, 2], [0, 1]), np.asmatrix([[1, 2]])):
        assert type(loads(dumps(value))) is np.ndarray


@pytest.mark.parametrize(
    "rows", [[[1], [2]], [[1, 2], [3, 4]], [[1], [2, 3]], [None, "a", {1: 2}], []]
)
def test_arrays_of_objects(rows: list[Any]):
    array = np.empty(len(rows), dtype=object)
    for place, row in enumerate(rows):
        array[place] = row
    back = loads(dumps(array))
    assert back.dtype == object
    assert back.tolist() == array.tolist()
    assert loads(dumps(np.array([[1, "a"], [None, 2.0]], object))).shape == (2, 2)


@pytest.mark.parametrize(
    "dtype",
    ["bool", "uint8", "int8", "int64", "bfloat16", "float16", "float64", "complex64"],
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)])
def test_tensors_of_every_kind_and_shape(dtype: str, shape: tuple[int, ...]):
    tensor = (torch.rand(shape) * 5).to(getattr(torch, dtype))
    back = loads(dumps(tensor))
    assert back.dtype == tensor.dtype
    assert torch.equal(back, tensor)
    assert not back.requires_grad


def test_gradients_are_asked_for_where_they_were_asked_for():
    leaf = torch.ones(2, requires_grad=True)
    assert loads(dumps(leaf)).requires_grad
    assert loads(dumps(torch.nn.Parameter(leaf))).requires_grad
    result = loads(dumps(leaf * 2))
    assert not result.requires_grad
    with pytest.raises(RuntimeError, match="does not require grad"):
        result.sum().backward()


def test_views_of_tensors_and_what_torch_computes_later():
    grid = torch.arange(6).reshape(2, 3)
    assert torch.equal(loads(dumps(grid.T)), grid.T)
    turned = torch.tensor([1 + 2j]).conj()
    assert torch.equal(loads(dumps(turned)), turned)
    assert torch.equal(loads(dumps(turned.imag)), turned.imag)
    with pytest.raises(WireError, match="dense"):
        dumps(grid.to_sparse())


@pytest.mark.parametrize(
    "value",
    [torch.float32, torch.Size([2, 3]), torch.device("cpu"), torch.device("cuda", 1)],
)
def test_what_describes_a_tensor(value: Any):
    assert same(loads(dumps(value)), value)


def test_what_describes_an_array():
    assert loads(dumps(np.dtype(">f4"))) == np.dtype(">f4")
    with pytest.raises(WireError, match="no plain data"):
        dumps(np.dtype("M8[s]"))


class Answer(str):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class Number(int):
    def __repr__(self) -> str:
        return "99"


class Half(float):
    def __repr__(self) -> str:
        return "99"


class Mine(list):
    def __iter__(self) -> Any:
        return iter([99])


class Table(dict):
    def items(self) -> Any:
        return [(99, 99)]

    keys = values = __iter__ = items


class Colour(IntEnum):
    RED = 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Answer("no"), "no"),
        (Answer("n" * 1000), "n" * 1000),
        (Number(5), 5),
        (Colour.RED, 3),
        (Half(-0.0), -0.0),
        (Mine([1, 2]), [1, 2]),
        (Table(a=1), {"a": 1}),
        (type("Both", (tuple,), {})((1, 2)), (1, 2)),
        (type("Set", (set,), {})({1}), {1}),
        (type("Frozen", (frozenset,), {})({1}), frozenset({1})),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (deque([1, 2], 5), [1, 2]),
    ],
)
def test_classes_over_built_in_ones_come_as_the_built_in_ones(value: Any, expected: Any):
    for got in (loads(dumps(value)), loads(dumps([value]))[0]):
        assert type(got) is type(expected)
        assert got == expected
        assert repr(got) == repr(expected)


def test_counters_and_ordered_dicts_stay_what_they_are():
    counts = loads(dumps(Counter("hello")))
    assert type(counts) is Counter
    assert counts.most_common(1) == [("l", 2)]
    assert counts["z"] == 0
    ordered = loads(dumps(OrderedDict(b=1, a=2)))
    assert type(ordered) is OrderedDict
    assert list(ordered) == ["b", "a"]


def test_namedtuples_are_rebuilt_from_their_field_names():
    first, second = loads(dumps([Row("a", 1), Row("b", 2)]))
    assert (first.word, second.count, first._fields) == ("a", 2, ("word", "count"))
    assert type(first) is type(second) is not Row
    assert first == Row("a", 1)


@pytest.mark.parametrize(
    "fields", [("a b; import os",), ("__class__",), ("class",), ("a", "a"), ("a",) * 2, "ab", (1,)]
)
def test_namedtuples_of_impossible_fields_are_tuples(fields: Any):
    odd = namedtuple("odd", ["a"])
    odd._fields = fields
    assert type(loads(dumps(odd(1)))) is tuple


def test_everything_else_is_given_to_other():
    asked: list[Any] = []
    data = dumps([Fraction(1, 2), {"a": print}], lambda value: asked.append(value) or [len(asked)])
    assert asked == [Fraction(1, 2), print]
    assert loads(data, lambda name: ("got", *name)) == [("got", 1), {"a": ("got", 2)}]
    with pytest.raises(WireError, match="holds a Fraction"):
        dumps(Fraction(1, 2))
    with pytest.raises(WireError, match="malformed"):
        loads(data)


def test_a_class_that_claims_another_is_what_it_is():
    for claimed in (list, dict, int, np.ndarray, torch.Tensor, torch.dtype):
        liar = type("Liar", (), {"__class__": property(lambda self, kind=claimed: kind)})()
        assert loads(dumps([liar], lambda value: ["it"]), lambda name: name) == [["it"]]


def test_one_object_in_two_places_is_one_there():
    inner, array, tensor, table = [1], np.ones(2), torch.ones(2), {1: 2}
    back = loads(dumps([inner, (inner, array), {"a": array}, tensor, [tensor], table, {9: table}]))
    assert back[0] is back[1][0]
    assert back[1][1] is back[2]["a"]
    assert back[3] is back[4][0]
    assert back[5] is back[6][9]
    one, other = loads(dumps([[1], [1]]))
    assert one is not other


def test_what_is_in_two_places_counts_twice():
    levels: list[Any] = [["l", [1] * 10], *(["l", [["=", n]] * 10] for n in range(60))]
    with pytest.raises(WireError, match="items"):
        loads(_frame(["l", levels]))
    body = ["l", [["n", "|u1", [1000], 0, 1000], *[["=", 0]] * 2000]]
    with pytest.raises(WireError, match="MB"):
        loads(_frame(body, bytes(1000)), limits=Limits(bytes=1 << 20))
    with pytest.raises(WireError, match="MB"):
        dumps([np.zeros(1000, np.uint8)] * 2000, limits=Limits(bytes=1 << 20))


def test_what_refers_to_itself_is_refused():
    own: list[Any] = []
    own.append(own)
    table: dict[str, Any] = {}
    table["me"] = (table,)
    array = np.empty(1, object)
    array[0] = array
    for value in (own, table, array):
        with pytest.raises(WireError, match="in itself"):
            dumps(value)


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_depth_is_bounded_on_both_sides_alike():
    assert loads(dumps(_nested(60))) == _nested(60)
    for depth in (62, 100_000):
        with pytest.raises(WireError, match="nested"):
            dumps(_nested(depth))
    body = b'["l",[' * 100_000 + b"1" + b"]]" * 100_000
    with pytest.raises(WireError):
        loads(struct.pack(">I", len(body)) + body)
    deep = dumps(_nested(50))
    with pytest.raises(WireError, match="nested"):
        loads(deep, limits=Limits(depth=40))


def test_what_doubles_at_each_level_is_refused_before_it_is_large():
    laughs: Any = ["ha"]
    for _ in range(50):
        laughs = [laughs, laughs]
    begun = time.monotonic()
    with pytest.raises(WireError, match="items"):
        dumps(laughs, limits=Limits(items=100_000))
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("value", [10**99, -(10**99), 1 << 320, 0])
def test_whole_numbers_up_to_the_limit(value: int):
    assert loads(dumps(value, limits=SMALL), limits=SMALL) == value


def test_a_range_without_end_is_refused():
    for made in (range(10**18), range(0, -(10**12), -3)):
        with pytest.raises(wire.WireError, match="has more than"):
            loads(dumps(made))
    for made in (range(0), range(5, 0, -2), range(10**30, 10**30 + 4, 2)):
        assert loads(dumps(made)) == made


def test_whole_numbers_beyond_it_are_refused_without_being_read():
    with pytest.raises(WireError, match="100 digits"):
        dumps(10**105, limits=SMALL)
    body = b"9" * 900_000
    begun = time.monotonic()
    with pytest.raises(WireError):
        loads(struct.pack(">I", len(body)) + body, limits=SMALL)
    assert time.monotonic() - begun < 1


def test_sizes_are_checked_before_anything_is_copied():
    for value in (
        np.broadcast_to(np.float64(0), (10**6, 10**6)),
        torch.zeros(1).expand(10**9),
        "x" * (2 << 20),
        bytes(2 << 20),
        ["x" * 200_000] * 400,
        list(range(10_100)),
    ):
        tracemalloc.start()
        with pytest.raises(WireError, match=r"MB|items"):
            dumps(value, limits=Limits(bytes=1 << 20, items=10_000))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10 << 20


def _frame(body: Any, buffer: bytes = b"") -> bytes:
    raw = json.dumps(body).encode()
    return struct.pack(">I", len(raw)) + raw + buffer


EIGHT = bytes(8)


@pytest.mark.parametrize(
    ("body", "buffer"),
    [
        (["n", "O", [1], 0, 8], EIGHT),
        (["n", "|O8", [1], 0, 8], EIGHT),
        (["n", "V8", [1], 0, 8], EIGHT),
        (["n", "i4,O", [1], 0, 8], EIGHT),
        (["n", "i4,i4", [1], 0, 8], EIGHT),
        (["n", "(2,)i4", [1], 0, 8], EIGHT),
        (["n", "M8[s]", [1], 0, 8], EIGHT),
        (["n", "float64", [1], 0, 8], EIGHT),
        (["n", [["a", "O"]], [1], 0, 8], EIGHT),
        (["n", "f3", [1], 0, 8], EIGHT),
        (["n", "<f8", [-1], 0, 8], EIGHT),
        (["n", "<f8", [-1, -1], 0, 8], EIGHT),
        (["n", "<f8", [2], 0, 8], EIGHT),
        (["n", "<f8", [1], 1, 8], EIGHT),
        (["n", "<f8", [1], -8, 8], EIGHT),
        (["n", "<f8", [1], 0, -8], EIGHT),
        (["n", "<f8", [1], 0, 10**12], EIGHT),
        (["n", "<f8", [1.0], 0, 8], EIGHT),
        (["n", "<f8", [True], 0, 8], EIGHT),
        (["n", "<f8", [2**40, 2**40], 0, 0], b""),
        (["n", "<f8", [0, 2**62, 2**62], 0, 0], b""),
        (["n", "<f8", [1] * 40, 0, 8], EIGHT),
        (["n", "<U0", [5], 0, 0], b""),
        (["n", "<U2", [1], 0, 8], b"\xff" * 8),
        (["n", "S999999999", [1], 0, 8], EIGHT),
        (["g", "<f8", [-1], 0, 8], EIGHT),
        (["o", [3], [1]], b""),
        (["o", [-1], [1]], b""),
        (["T", "float64", [2], False, 0, 8], EIGHT),
        (["T", "float64", [-1], False, 0, 8], EIGHT),
        (["T", "load", [1], False, 0, 8], EIGHT),
        (["T", "_dynamo", [1], False, 0, 8], EIGHT),
        (["T", "quint8", [2, 2], False, 0, 8], EIGHT),
        (["T", "qint8", [8], False, 0, 8], EIGHT),
        (["T", "bits8", [8], False, 0, 8], EIGHT),
        (["=", 0], b""),
        (["l", [["l", []], ["=", 1]]], b""),
        (["l", [["=", -1]]], b""),
        (["D", "compile"], b""),
        (["D", ["float32"]], b""),
        (["Z", [-1]], b""),
        (["V", "hpu:0; import os", None], b""),
        (["V", "cuda", "x"], b""),
        (["P", "O"], b""),
        (["s", 0, 8], b"\xff" * 8),
        (["s", 0, 9], EIGHT),
        (["N", "x", ["a; import os"], ["l", [1]]], b""),
        (["N", "x", ["a; import os"], [1]], b""),
        (["N", "x\ny", ["a"], [1]], b""),
        (["N", "x", ["a", "b"], [1]], b""),
        (["N", "x", [1], [1]], b""),
        (["N", "x", [f"a{i}" for i in range(300)], [0] * 300], b""),
        (["d", [["l", []]], [1]], b""),
        (["d", [1, 2], [1]], b""),
        (["d", 1, 2], b""),
        (["S", [["l", []]]], b""),
        (["S", [["n", "<f8", [1], 0, 8]]], EIGHT),
        (["C", [["d", [], []]], [1]], b""),
        (["r", 1, 2, 0], b""),
        (["r", 1.5, 2, 1], b""),
        (["z", [1, 2, 3, 4]], b""),
        (["c", "nan", 1.0], b""),
        (["c", 1.0], b""),
        (["h", "ours", 1], b""),
        (["_all", [1]], b""),
        (["x"], b""),
        ([], b""),
        ([1], b""),
        ([["l", []]], b""),
        ({"a": 1}, b""),
        (["l", [{}]], b""),
        (["l", {"a": 1}], b""),
        (["l", "abc"], b""),
        (["l"], b""),
        (["l", [1], 2], b""),
    ],
)
def test_a_forged_message_is_an_error(body: Any, buffer: bytes):
    with pytest.raises(WireError):
        loads(_frame(body, buffer))


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0\5[]", b"\xff" * 9, b"\0\0\0\1\xff", EIGHT])
def test_bytes_that_are_no_message(data: bytes):
    with pytest.raises(WireError):
        loads(data)


def test_truth_is_either_true_or_false():
    raw = bytes([0, 1, 2, 255])
    array = loads(_frame(["n", "|b1", [4], 0, 4], raw))
    tensor = loads(_frame(["T", "bool", [4], False, 0, 4], raw))
    assert array.view(np.uint8).tolist() == [0, 1, 1, 1]
    assert tensor.view(torch.uint8).tolist() == [0, 1, 1, 1]


def test_one_buffer_counts_each_time_it_is_used():
    body = ["l", [["b", 0, 1000]] * 1500]
    with pytest.raises(WireError, match="MB"):
        loads(_frame(body, bytes(1000)), limits=SMALL)


def test_classes_of_namedtuples_are_few():
    body = ["l", [["N", f"x{i}", ["a"], [1]] for i in range(200)]]
    with pytest.raises(WireError, match="namedtuples"):
        loads(_frame(body))
    rows = [Row("a", number) for number in range(20_000)]
    begun = time.monotonic()
    assert len(loads(dumps(rows))) == 20_000
    assert time.monotonic() - begun < 5


def test_numbers_that_collide_do_not_hang(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wire, "BUILD_SECONDS", 0.5)
    modulus = sys.hash_info.modulus
    keys = [number * modulus for number in range(1, 60_000)]
    assert {hash(key) for key in keys} == {0}
    begun = time.monotonic()
    with pytest.raises(WireError, match="too long"):
        loads(_frame(["S", keys]))
    assert time.monotonic() - begun < 5


def test_a_small_message_takes_little_memory():
    for body in (b"[],", b'"a",', b"{},", b"1e1,", b'["e"],'):
        raw = b'["l",[' + body * ((20 << 20) // len(body)) + b"1]]"
        tracemalloc.start()
        with pytest.raises(WireError):
            loads(struct.pack(">I", len(raw)) + raw, limits=Limits(items=100_000))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 100 << 20


def _made_of_plain_types(value: Any) -> bool:
    if isinstance(value, np.generic):
        return type(value).__module__ == "numpy"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        value = tuple(value)
    if isinstance(value, dict):
        return type(value) in MADE and all(map(_made_of_plain_types, [*value, *value.values()]))
    if isinstance(value, list | tuple | set | frozenset) and type(value) is not torch.Size:
        return type(value) in MADE and all(map(_made_of_plain_types, value))
    return isinstance(value, np.dtype) or type(value) in MADE


def _tried(data: bytes) -> None:
    with contextlib.suppress(WireError):
        assert _made_of_plain_types(loads(data, limits=SMALL))


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_are_a_value_or_an_error(data: bytes):
    _tried(data)
    _tried(struct.pack(">I", len(data)) + data)


VALID = dumps(
    [
        *(1, None, "word", "long" * 100, 2.5, 1j, b"bytes", (1,), {2}, {"a": [1]}, Row(1, 2)),
        *(np.arange(6.0).reshape(2, 3), np.float32(1), np.array(["a"]), np.array([None]), ...),
        *(torch.ones(2, 2), torch.float32, range(3), slice(1), Counter("aab"), np.dtype("f4")),
    ]
)


@given(st.integers(), st.integers(1, 6))
@settings(max_examples=500)
def test_a_changed_message_is_a_value_or_an_error(seed: int, times: int):
    dice, data = random.Random(seed), bytearray(VALID)
    for _ in range(times):
        place = dice.randrange(len(data))
        match dice.randrange(4):
            case 0:
                data[place] = dice.randrange(256)
            case 1:
                del data[place : place + dice.randrange(1, 9)]
            case 2:
                data[place:place] = data[dice.randrange(len(data)) :][: dice.randrange(1, 9)]
            case 3:
                data[place : place + 1] = dice.choice([b"[", b"]", b'"', b"-", b"1e9", b"99999999"])
    _tried(bytes(data))


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.sampled_from(["<f8", "|b1", "<U1", "S1", "float32", "a", "cpu", "ours", "O"]),
        text,
    ),
    lambda inner: st.lists(inner, max_size=5)
    | st.builds(lambda tag, rest: [tag, *rest], st.sampled_from([*"ltSFdCONcbBrzengosTDZVPhx"]),
                st.lists(inner, max_size=5))
    | st.dictionaries(text, inner, max_size=2),
    max_leaves=15,
)  # fmt: skip


@given(json_values, st.binary(max_size=32))
@settings(max_examples=800)
def test_any_structure_is_a_value_or_an_error(body: Any, buffer: bytes):
    _tried(_frame(body, buffer))


def test_decoding_imports_nothing_by_a_name_it_is_sent():
    before = set(sys.modules)
    for name in ("antigravity", "onnx", "torch.onnx", "distributed"):
        for tag in ("T", "D", "n", "N", "P", "h", "V"):
            with pytest.raises(WireError):
                loads(_frame([tag, name]))
    assert set(sys.modules) == before


def test_messages_arrive_whole_and_in_order():
    one, other = socket.socketpair()
    messages = [b"", b"a", bytes(3 << 20), b"end"]
    with one, other:
        sender = threading.Thread(target=lambda: [wire.send(one, each) for each in messages])
        sender.start()
        assert [wire.receive(other, 5.0, 4 << 20) for _ in messages] == messages
        sender.join()


def test_waiting_ends_when_its_time_is_over():
    one, other = socket.socketpair()
    with one, other:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            wire.receive(other, 0.1, 100)
        one.sendall(b"\0\0\0\x09abc")  # a message of which the rest does not come
        with pytest.raises(TimeoutError):
            wire.receive(other, 0.1, 100)
        assert time.monotonic() - begun < 2


def test_a_message_in_drops_of_a_byte_does_not_get_more_time():
    one, other = socket.socketpair()

    def drip() -> None:
        with contextlib.suppress(OSError):
            one.sendall(struct.pack(">I", 1000))
            for _ in range(100):
                one.sendall(b"x")
                time.sleep(0.02)

    with one, other:
        thread = threading.Thread(target=drip)
        thread.start()
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            wire.receive(other, 0.3, 1000)
        assert time.monotonic() - begun < 1
        other.close()
        thread.join()


def test_a_closed_channel_and_a_message_that_is_too_long():
    one, other = socket.socketpair()
    with other:
        one.sendall(struct.pack(">I", 2**32 - 1))
        with pytest.raises(WireError, match="the limit is"):
            wire.receive(other, 1.0, 100)
        one.sendall(b"\0\0")
        one.close()
        with pytest.raises(EOFError):
            wire.receive(other, 1.0, 100)


def test_numbers_of_every_size_keep_their_bits():
    for value in (0.1, 5e-324, 1.7976931348623157e308, -0.0, math.inf, -math.inf):
        assert struct.pack("d", loads(dumps(value))) == struct.pack("d", value)
    assert math.isnan(loads(dumps(math.nan)))
