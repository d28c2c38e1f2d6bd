"""A test uses a student's names as its own, and sees data, handles, or a clear error."""

from __future__ import annotations

import itertools
import json
import socket
import struct
import time
import tracemalloc
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_course.grading import wire
from nlp_course.grading.outputs import claimed_outputs
from nlp_course.grading.remote import (
    CallTimeout,
    Names,
    Remote,
    SessionLost,
    Student,
    StudentError,
)
from tests.grading.sessions import session

Write = Callable[[str], Names]


@pytest.fixture(scope="module")
def live() -> Iterator[Student]:
    with session() as student:
        student.run_cell("import numpy as np\nimport torch", 60.0)
        yield student


@pytest.fixture
def student(live: Student) -> Iterator[Student]:
    copy = live.snapshot()
    assert copy is not None
    yield copy
    copy.close()


@pytest.fixture
def write(student: Student) -> Write:
    """Runs a cell; what a test then sees."""

    def run(source: str, **own: Any) -> Names:
        outputs = student.run_cell(source, 20.0)
        assert [output for output in outputs if output.output_type == "error"] == []
        student.deadline = time.monotonic() + 10
        return student.names(own)

    return run


def _run(names: Names, test: str) -> None:
    exec(compile(test, "<test>", "exec"), names)


# Names


def test_a_test_cell_finds_its_own_names_then_built_in_ones_then_the_students(write: Write):
    names = write("mine = 1\nset_up = 'theirs'\nlen = sum = lambda x: 'cheat'", set_up="ours")
    _run(names, "assert mine == 1 and set_up == 'ours' and len([1]) == sum([1]) == 1")
    _run(names, "def inner():\n    return [mine + x for x in (1, 2)]\nassert inner() == [2, 3]")
    _run(names, "assert [f() for f in [lambda: mine]] == [1]")


def test_what_a_test_defines_stays_with_it(write: Write, student: Student):
    names = write("value = 1")
    _run(names, "value = 5\nassert value == 5")
    assert student.names({})["value"] == 1


def test_a_name_that_the_notebook_lacks(write: Write):
    with pytest.raises(NameError, match="'nothing' is not defined in the notebook"):
        _run(write(""), "nothing(1)")


# Values


@pytest.mark.parametrize(
    "value",
    [None, 1.5, "a", (1, [2]), {"a": {1}}, Counter("aab"), range(3), b"x", 10**50, 1j, ...],
)
def test_data_goes_there_and_back(write: Write, value: Any):
    back = write("def same(x): return x")["same"](value)
    assert type(back) is type(value)
    assert back == value


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3).T,
        np.float32([1]),
        np.array("word"),
        np.zeros((0, 2), bool),
        torch.ones(2, 3, dtype=torch.bfloat16),
        torch.tensor(True),
    ],
)
def test_arrays_and_tensors_go_there_and_back(write: Write, array: Any):
    kind, back = write("def look(x): return (type(x).__name__, x)")["look"](array)
    assert kind == type(array).__name__
    assert type(back) is type(array)
    assert back.dtype == array.dtype
    assert (back == array).all()


def test_keywords_and_defaults(write: Write):
    f = write("def f(a, *rest, b=2, **more): return a, rest, b, more")["f"]
    assert f(1, 5, 6, b=3, c=4) == (1, (5, 6), 3, {"c": 4})


def test_objects_that_equal_everything_come_as_data_or_equal_nothing(write: Write):
    names = write(
        "class Always:\n    __eq__ = __lt__ = __gt__ = lambda *_: True\n    __hash__ = None\n"
        "    def __bool__(self): return True\n"
        "    def __contains__(self, x): return True\n    def __iter__(self): return iter(())\n"
        "class Text(str):\n    __eq__ = lambda *_: True\n    __hash__ = str.__hash__\n"
        "class Array(np.ndarray):\n    __eq__ = lambda *_: True\n"
        "one, text, array = Always(), Text('no'), np.zeros(2).view(Array)"
    )
    one = names["one"]
    assert one != 3
    assert 3 not in one
    assert names["text"] != "yes"
    assert not (names["array"] == 1).any()
    for decide in (bool, lambda x: x < 1, lambda x: x >= 1, lambda x: x > 1, lambda x: x and 1):
        with pytest.raises(TypeError, match="a student's Always; it must use plain data"):
            decide(one)


def test_a_handle_is_equal_to_a_handle_of_the_same_object_alone(write: Write):
    names = write("class A: pass\na = A(); b = A()\na.next = b; b.next = a\ndef same(x): return x")
    a, b = names["a"], names["b"]
    assert a is names["a"] is names["same"](a) is b.next
    assert a != b
    assert {a: 1}[a.next.next] == 1


def test_numbers_that_say_what_is_wanted_to_arithmetic(write: Write):
    names = write(
        "class Near:\n    def __sub__(self, other): return 0.0\n"
        "    __rsub__ = __truediv__ = __sub__\n    def __abs__(self): return 0.0\nnear = Near()"
    )
    for test in ("near - 5", "5 - near", "abs(near)", "near / np.ones(2)", "np.ones(2) - near"):
        with pytest.raises(TypeError, match="gave plain data"):
            eval(test, {"near": names["near"], "np": np})


# Objects


def test_arithmetic_of_an_autograd_value_both_ways(write: Write):
    names = write(
        "class Value:\n"
        "    def __init__(self, data): self.data, self.grad = data, 0.0\n"
        "    def __add__(self, o): return Value(self.data + getattr(o, 'data', o))\n"
        "    __radd__ = __add__\n"
        "    def __mul__(self, o): return Value(self.data * getattr(o, 'data', o))\n"
        "    __rmul__ = __mul__\n"
        "    def __pow__(self, n): return Value(self.data ** n)\n"
        "    def __neg__(self): return self * -1\n"
        "    def __matmul__(self, o): return Value('at')\n"
        "    def __and__(self, o): return Value('and')\n"
        "    def __float__(self): return float(self.data)\n"
        "    def __str__(self): return f'Value({self.data})'\n"
    )
    _run(
        names,
        "import numpy as np\na, b = Value(2.0), Value(3.0)\n"
        "assert (a * b + 1).data == 7 and (1 + a).data == 3 and (2 * a).data == 4\n"
        "assert (a ** 2).data == 4 and (-a).data == -2 and (a @ b).data == 'at'\n"
        "assert (a & b).data == 'and' and float(a) == 2 and str(b) == 'Value(3.0)'\n"
        "assert (np.float64(3) * a).data == 6\n"
        "a.grad = 5.0\nassert a.grad == 5\n"
        "assert isinstance(a, Value) and not isinstance(3, Value) and issubclass(Value, Value)\n",
    )
    with pytest.raises(TypeError, match="unsupported operand"):
        _run(names, "a - b")


def test_conversions_must_give_what_they_are_asked_for(write: Write):
    names = write(
        "class A:\n    def __int__(self): return 3\n    def __index__(self): return 4\n"
        "    def __array__(self, *_, **__): return np.ones(2)\n    def __len__(self): return 2\n"
        "    def __getitem__(self, i): return [5, 6][i]\na = A()"
    )
    a = names["a"]
    assert (int(a), [0, 1, 2, 3, 9][a], len(a), a[1]) == (3, 9, 2, 6)
    assert np.asarray(a).tolist() == [1, 1]
    assert np.asarray(a, dtype=np.float32).dtype == np.float32
    assert np.allclose(a, 1)
    with pytest.raises(TypeError):
        float(write("class B: pass\nb = B()")["b"])


def test_items_are_got_set_and_deleted(write: Write):
    names = write("class Table(object):\n    def __init__(self): self.rows = {}\n"
                  "    def __getitem__(self, k): return self.rows[k]\n"
                  "    def __setitem__(self, k, v): self.rows[k] = v\n"
                  "    def __delitem__(self, k): del self.rows[k]\ntable = Table()")  # fmt: skip
    _run(names, "table['a'] = 1\ntable['b'] = [2]\nassert table['b'] == [2]\ndel table['a']\n"
                "assert table.rows == {'b': [2]}")  # fmt: skip
    with pytest.raises(KeyError, match=r"^'a'$"):
        names["table"]["a"]


def test_dataclasses_by_their_attributes(write: Write):
    names = write("from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n    y: int")
    point = names["P"](1, y=2)
    assert (point.x, point.y) == (1, 2)
    point.x = 7
    assert point.x == 7
    assert repr(point) == "<the student's P>"


@pytest.mark.parametrize("name", ["student", "number", "_facts", "_student", "_id", "lent", "ask"])
def test_no_name_of_ours_hides_an_attribute_of_the_students(write: Write, name: str):
    names = write(f"class A: pass\na = A()\na.{name} = 'theirs'")
    assert getattr(names["a"], name) == "theirs"


@pytest.mark.parametrize("name", ["__dict__", "__code__", "__globals__", "__wrapped__"])
def test_what_python_keeps_to_itself_cannot_be_asked_for(write: Write, name: str):
    with pytest.raises(AttributeError, match="cannot be asked for"):
        getattr(write("def f(): 'says'")["f"], name)


def test_names_and_documentation_can(write: Write):
    f = write("def f():\n    'says'")["f"]
    assert (f.__name__, f.__doc__) == ("f", "says")


def test_what_handles_refuse(write: Write):
    import copy
    import pickle

    names = write(
        "class A:\n    def __enter__(self): return 1\n    def __exit__(*_): pass\na = A()"
    )
    a = names["a"]
    with pytest.raises(TypeError, match="uses `with` on a student's A"), a:
        pass
    for act in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="copies a student's A"):
            act(a)


def test_a_claimed_class_is_believed_of_a_few_classes(write: Write):
    names = write(
        "net = torch.nn.Linear(2, 3)\nopt = torch.optim.SGD(net.parameters(), lr=.1)\n"
        "def f(): pass\ndef g(): yield 1\nclass A: pass\na = A()\nstream = g()"
    )
    import types

    assert isinstance(names["net"], torch.nn.Module)
    assert isinstance(names["opt"], torch.optim.Optimizer)
    assert isinstance(names["f"], types.FunctionType)
    assert isinstance(names["stream"], types.GeneratorType)
    assert isinstance(names["A"], type)
    assert isinstance(names["a"], names["A"])
    for kind in (int, str, list, dict, AssertionError, np.ndarray, torch.Tensor):
        assert not isinstance(names["a"], kind)


def test_modules_are_called_trained_and_looked_into(write: Write):
    names = write(
        "class Net(torch.nn.Module):\n"
        "    def __init__(self, d):\n"
        "        super().__init__(); self.fc = torch.nn.Linear(d, 3); self.seen = 0\n"
        "    def forward(self, x): self.seen += 1; return self.fc(x)\n"
        "def train(net, steps):\n"
        "    opt = torch.optim.SGD(net.parameters(), lr=.1)\n"
        "    for _ in range(steps):\n"
        "        opt.zero_grad(); loss = net(torch.ones(4, 5)).pow(2).mean()\n"
        "        loss.backward(); opt.step()\n"
        "    return loss\n"
    )
    _run(
        names,
        "import torch\nnet = Net(5)\nassert net(torch.ones(2, 5)).shape == (2, 3)\n"
        "assert sum(p.numel() for p in net.parameters()) == 18\n"
        "assert all(p.requires_grad for p in net.parameters())\n"
        "assert [name for name, _ in net.named_parameters()] == ['fc.weight', 'fc.bias']\n"
        "before = net.state_dict()\nassert list(before) == ['fc.weight', 'fc.bias']\n"
        "assert train(net, 50) < 0.05 and not train(net, 1).requires_grad\n"
        "assert not torch.equal(net.state_dict()['fc.weight'], before['fc.weight'])\n"
        "net.load_state_dict(before)\n"
        "assert torch.equal(net.fc.weight, before['fc.weight'])\n"
        "assert net.training and net.eval() is net and not net.training\n"
        "net.train()\nassert net.training and net.seen == 52\n",
    )


# Iteration


def test_endless_generators_are_read_as_far_as_a_test_reads(write: Write):
    count = write("def count():\n    n = 0\n    while True:\n        yield n\n        n += 1")[
        "count"
    ]
    assert list(itertools.islice(count(), 600)) == list(range(600))
    stream = count()
    assert next(stream) == 0
    assert list(itertools.islice(stream, 3)) == [1, 2, 3]
    assert next(stream) == 4
    assert [got for _, got in zip(range(2), stream, strict=False)] == [5, 6]
    assert 9 in stream


def test_generators_end_and_stay_ended(write: Write):
    names = write("def two():\n    yield 1\n    yield 2\nempty = iter([])")
    stream = names["two"]()
    assert list(stream) == [1, 2]
    assert list(stream) == []
    for ended in (stream, names["empty"]):
        with pytest.raises(StopIteration):
            next(ended)
        assert next(ended, "default") == "default"


def test_a_generator_is_not_read_far_ahead(write: Write):
    names = write(
        "seen = []\ndef slow():\n    for n in range(500):\n        seen.append(n); yield n"
    )
    stream = names["slow"]()
    assert names["seen"] == []
    next(stream)
    assert names["seen"] == [0]
    next(stream)
    assert len(names["seen"]) <= 3


def test_items_that_take_their_time_come_at_once(write: Write):
    slow = write(
        "import time\ndef slow():\n    while True:\n        time.sleep(.05)\n        yield 1"
    )
    begun = time.monotonic()
    for _ in zip(range(8), slow["slow"](), strict=False):
        pass
    assert time.monotonic() - begun < 1


def test_large_items_come_few_at_a_time(write: Write):
    large = write("def large():\n    for n in range(40):\n        yield np.full(1 << 19, n * 1.0)")
    assert [array[0] for array in large["large"]()] == list(range(40))


def test_what_is_raised_after_some_items_is_raised_after_them(write: Write):
    names = write("def broken():\n    for n in range(5): yield n\n    raise ValueError('five')")
    got = []
    with pytest.raises(ValueError, match="five"):
        got.extend(item for item in names["broken"]())
    assert got == [0, 1, 2, 3, 4]


def test_map_filter_zip_views_and_iterables(write: Write):
    names = write(
        "def f(): return map(str, [1, 2]), zip('ab', 'cd'), filter(None, [0, 1]), enumerate('a')\n"
        "class Bag:\n    def __iter__(self): return iter([Bag, 2])\nbag = Bag()\n"
        "class Old:\n    def __getitem__(self, i): return [7, 8][i]\nold = Old()\n"
        "def keys(): return {'a': 1}.keys()\n"
    )
    mapped, zipped, filtered, counted = names["f"]()
    assert list(mapped) == ["1", "2"]
    assert dict(zipped) == {"a": "c", "b": "d"}
    assert (list(filtered), list(counted)) == ([1], [(0, "a")])
    assert list(names["bag"]) == [names["Bag"], 2]
    assert list(names["old"]) == [7, 8]
    assert names["keys"]() == ["a"]
    assert not isinstance(mapped, list)
    with pytest.raises(TypeError, match="not an iterator"):
        next(names["bag"])
    with pytest.raises(TypeError):
        iter(names["f"])


def test_an_iterator_that_was_begun_is_not_passed_on_wrongly(write: Write):
    names = write("def count():\n    yield from range(9)\ndef rest(it): return list(it)")
    assert names["rest"](names["count"]()) == list(range(9))
    stream = names["count"]()
    next(stream)
    assert names["rest"](stream) == list(range(1, 9))
    stream = names["count"]()
    next(stream), next(stream)
    with pytest.raises(TypeError, match="begun cannot be passed on"):
        names["rest"](stream)


def test_the_end_of_an_iteration_raised_by_a_function_ends_no_loop_of_a_test(write: Write):
    f = write("def f(x): raise StopIteration\ndef g(x): raise StopAsyncIteration")
    for name in ("f", "g"):
        with pytest.raises(RuntimeError):
            for _ in zip(map(f[name], [1, 2]), [1, 2], strict=False):
                pass
        with pytest.raises(RuntimeError):
            list(map(f[name], [1]))


# Functions of the test's


def test_functions_are_called_back_with_plain_data_and_handles(write: Write):
    names = write(
        "class A: pass\nmade = A()\ndef apply(f, xs): return [f(x, scale=2) for x in xs]\n"
        "def give(f): return f(made, [made])\ndef name(f): return f.__name__"
    )
    assert names["apply"](lambda x, scale: x * scale, [1, 2.5, np.ones(1)]) == [2, 5.0, 2]
    assert names["give"](lambda one, many: one is names["made"] is many[0])
    with pytest.raises(AttributeError):
        names["name"](lambda: 1)


def test_a_function_of_the_tests_may_use_the_students_names(write: Write):
    names = write(
        "def loss(w): return float((w ** 2).sum())\n"
        "def slope(f, x, h=1e-6): return (f(x + h) - f(x - h)) / (2 * h)\n"
        "def twice(f, x): print('in'); return f(f(x))"
    )
    slope = names["slope"](lambda x: names["loss"](np.array([x, 1.0])), 3.0)
    assert slope == pytest.approx(6, abs=1e-4)
    assert names["twice"](lambda x: names["twice"](lambda y: y + 1, x), 0) == 4


def test_calls_back_and_forth_end(write: Write):
    again = write("def again(f): return f(again)")["again"]

    def back(f: Any) -> Any:
        return f(back)

    with pytest.raises(RuntimeError, match="too deeply"):
        again(back)
    assert again(lambda f: 5) == 5


def test_students_functions_go_as_themselves(write: Write):
    names = write("def double(x): return 2 * x\ndef apply(f, x): return f is double, f(x)")
    assert names["apply"](names["double"], 4) == (True, 8)


@pytest.mark.parametrize(
    "value", [np.exp, float, np.float32, torch.relu, torch.nn.functional.gelu, sorted, np.dot]
)
def test_functions_of_libraries_go_as_themselves(write: Write, value: Any):
    assert write("def kind(f): return type(f).__name__")["kind"](value) == type(value).__name__


def test_a_dtype_may_be_an_argument(write: Write):
    zeros = write("def zeros(n, dtype): return np.zeros(n, dtype)")["zeros"]
    assert zeros(2, np.float32).dtype == zeros(2, np.dtype("f4")).dtype == np.float32


def test_exceptions_of_a_function_cross_by_kind_and_message(write: Write):
    names = write(
        "def careful(f):\n    try: f(); return 'none'\n"
        "    except ValueError as e: return str(e), e.__traceback__.tb_next is not None, "
        "e.__cause__, e.__context__"
    )

    class Odd(ValueError):
        pass

    def fail() -> None:
        secret = "expected"  # noqa: F841
        raise Odd("too small")

    said, _, cause, context = names["careful"](fail)
    assert (said, cause, context) == ("too small", None, None)


def test_an_assertion_in_a_function_fails_the_test_and_says_nothing_there(write: Write):
    names = write(
        "def swallow(f):\n    try: f(5)\n    except BaseException as e: return str(e)\n    return 0"
    )

    def check(x: int) -> None:
        assert x == 42, "must be 42"

    with pytest.raises(AssertionError, match="must be 42") as caught:
        names["swallow"](check)
    assert not isinstance(caught.value, StudentError)
    told = []

    def check_and_listen(x: int) -> None:
        told.append(x)
        raise AssertionError("42")

    with pytest.raises(AssertionError):
        told.append(names["swallow"](check_and_listen))
    assert names["swallow"](lambda x: 1) == 0


def test_a_function_is_lent_for_one_call(write: Write):
    names = write(
        "kept = []\ndef keep(f): kept.append(f); return f(1)\n"
        "def later(x): return kept[0](x)\ndef count(): return len(kept)"
    )
    assert names["keep"](lambda x: x + 1) == 2
    with pytest.raises(RuntimeError, match="one call, which is over"):
        names["later"](5)
    assert names["count"]() == 1


def test_what_a_call_returned_may_use_what_it_was_given(write: Write):
    names = write(
        "def mapped(f, xs):\n    for x in xs: yield f(x)\n"
        "class Trainer:\n    def __init__(self, step): self.step = step\n"
        "    def fit(self, x): return self.step(x)\n    def hook(self, f): self.f = f\n"
        "    def run(self): return self.f()\n"
    )
    assert list(names["mapped"](lambda x: x * x, [1, 2, 3])) == [1, 4, 9]
    trainer = names["Trainer"](lambda x: x + 1)
    assert trainer.fit(1) == 2
    trainer.hook(lambda: "hooked")
    assert trainer.run() == "hooked"
    trainer.step = lambda x: x * 10
    assert trainer.fit(3) == 30


def test_other_objects_are_tokens_that_can_be_handed_back(write: Write):
    from fractions import Fraction

    names = write("def same(x): return x, [x]\ndef look(x): return x.numerator")
    token = Fraction(1, 2)
    back, inside = names["same"](token)
    assert back is token is inside[0]
    with pytest.raises(AttributeError):
        names["look"](token)
    with pytest.raises(TypeError, match="not callable"):
        write("def call(x): return x()")["call"](token)


def test_set_up_objects_are_found_by_their_name(write: Write):
    class Tokenizer:
        def encode(self, text: str) -> list[int]:
            raise AssertionError("it must be the student's side's own")

    names = write(
        "class Tokenizer:\n    def encode(self, text): return [len(text)]\n"
        "tokenizer = Tokenizer()\ndef use(t): return t.encode('abc'), t is tokenizer",
        tokenizer=Tokenizer(),
    )
    assert names["use"](names["tokenizer"]) == ([3], True)
    _run(names, "assert use(tokenizer) == ([3], True)")


def test_calls_back_from_other_threads_and_from_cells_are_refused(write: Write, student: Student):
    names = write(
        "import threading\nkept = []\n"
        "def threads(f):\n    got = []\n    def go():\n"
        "        try: got.append(f(1))\n        except RuntimeError as e: got.append(str(e))\n"
        "    t = threading.Thread(target=go); t.start(); t.join(); kept.append(f); return got"
    )
    (said,) = names["threads"](lambda x: x)
    assert "during the test's call alone" in said
    (error,) = student.run_cell("kept[0](1)", 5.0)
    assert "one call, which is over" in error.evalue


# In-place changes


def test_changes_of_what_was_passed_are_made_to_the_tests_own_objects(write: Write):
    names = write(
        "def change(a, t, xs, d, s, raw, q, *, k):\n"
        "    a += 1; t.mul_(2); xs.append(a.sum()); xs[0].append('in'); del d['gone']\n"
        "    d['new'] = [1]; s.add(9); raw.extend(b'!'); q.append(5); k[0] = 7\n"
    )
    array, tensor, inner = np.zeros(2), torch.ones(2), ["x"]
    kept = ["y"]
    items, table, some = [inner], {"gone": 1, "kept": kept}, {1}
    raw, queue, key = bytearray(b"a"), deque([1]), [0]
    view = array[:1]
    assert names["change"](array, tensor, items, table, some, raw, queue, k=key) is None
    assert array.tolist() == [1, 1]
    assert view[0] == 1
    assert tensor.tolist() == [2, 2]
    assert items == [["x", "in"], 2.0]
    assert items[0] is inner
    assert table == {"kept": ["y"], "new": [1]}
    assert table["kept"] is kept
    assert (some, raw, list(queue), key) == ({1, 9}, bytearray(b"a!"), [1, 5], [7])


def test_empty_containers_are_filled(write: Write):
    fill = write("def fill(xs, d, s): xs.append(1); d['a'] = 2; s.add(3)")["fill"]
    one, two, three = [], {}, set()
    fill(one, two, three)
    assert (one, two, three) == ([1], {"a": 2}, {3})


def test_changes_are_made_also_when_the_call_raises(write: Write):
    half = write("def half(xs): xs.append(1); raise ValueError('half way')")["half"]
    items: list[int] = []
    with pytest.raises(ValueError, match="half way"):
        half(items)
    assert items == [1]


def test_the_same_object_twice_is_not_set_back(write: Write):
    add = write("def add(one, other): one.append(1)")["add"]
    items: list[int] = []
    add(items, items)
    assert items == [1]


def test_what_two_arguments_hold_in_common_is_changed_once(write: Write):
    add = write("def add(xs, d): xs[0].append(1); d['n'] = 2")["add"]
    inner: list[int] = []
    items, table = [inner], {"inner": inner}
    add(items, table)
    assert inner == [1]
    assert items[0] is inner is table["inner"]
    assert table["n"] == 2


def test_arrays_deep_inside_and_gradient_leaves_are_changed(write: Write):
    step = write(
        "def step(layers, weight):\n    layers[0]['w'][:] = 5\n    layers[0]['p'][0][0] = 4\n"
        "    with torch.no_grad(): weight -= 1\n    layers.append(np.ones(1))"
    )["step"]
    w, p, weight = np.zeros(2), np.zeros(2), torch.ones(2, requires_grad=True)
    layers = [{"w": w, "p": (p, 1)}]
    step(layers, weight)
    assert w.tolist() == [5, 5]
    assert p.tolist() == [4, 0]
    assert layers[0]["w"] is w
    assert layers[0]["p"][0] is p
    assert len(layers) == 2
    assert weight.tolist() == [0, 0]
    assert weight.requires_grad


def test_what_was_not_changed_is_left_alone(write: Write):
    read = write("def read(a, xs): return float(a.sum()) + len(xs)")["read"]
    array = np.ones(3)
    array.flags.writeable = False
    inner = [1]
    items = [inner, array]
    assert read(array, items) == 5
    assert items[0] is inner
    assert items[1] is array


def test_handles_in_lists_that_were_sorted(write: Write):
    names = write(
        "class W:\n    def __init__(self, n): self.n = n\ndef order(ws): ws.sort(key=lambda w: w.n)"
    )
    first, second = names["W"](2), names["W"](1)
    words = [first, second]
    names["order"](words)
    assert words[0] is second
    assert words[1] is first


# Errors


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("1 / 0", ZeroDivisionError),
        ("[][1]", IndexError),
        ("{}['a']", KeyError),
        ("np.linalg.inv(np.zeros((2, 2)))", ValueError),
        ("''.nothing", AttributeError),
        ("exec('import nothing_of_this_name')", ModuleNotFoundError),
        ("exec('1 +')", SyntaxError),
        ("open('/nothing')", FileNotFoundError),
        ("b'\\xff'.decode()", ValueError),
        ("torch.ones(2) @ torch.ones(3)", RuntimeError),
        ("exec('assert False')", AssertionError),
        ("deep()", RecursionError),
        ("exec('raise NotImplementedError')", NotImplementedError),
        ("exec('raise KeyboardInterrupt')", StudentError),
        ("exit(3)", StudentError),
        ("exec('raise Odd')", LookupError),
        ("exec('raise ExceptionGroup(\"a\", [ValueError()])')", StudentError),
    ],
)
def test_exceptions_are_of_the_built_in_class(write: Write, source: str, kind: type):
    names = write(
        f"class Odd(IndexError): pass\ndef deep(): return deep()\ndef fail(): return {source}"
    )
    with pytest.raises(kind) as caught:
        names["fail"]()
    assert isinstance(caught.value, StudentError)
    assert isinstance(caught.value, Exception)
    assert type(caught.value).__module__ != "__main__"


def test_an_exception_has_its_message_and_the_students_lines(write: Write):
    names = write("def inner():\n    raise KeyError('word')\ndef outer():\n    inner()")
    with pytest.raises(KeyError) as caught:
        names["outer"]()
    assert str(caught.value) == "'word'"
    assert caught.value.kind == "KeyError"
    assert "in outer" in caught.value.traceback_text
    assert "agent.py" not in caught.value.traceback_text
    with pytest.raises(TypeError, match=r"takes 0 positional arguments but 1 was given") as caught:
        names["outer"](1)
    assert "agent.py" not in caught.value.traceback_text


def test_messages_are_bounded_and_can_be_written_to_a_file(write: Write):
    names = write(
        "class Bad(Exception):\n    def __str__(self): raise self\n"
        "def long(): raise ValueError('x' * 10**7)\ndef half(): raise ValueError('\\ud800')\n"
        "def bad(): raise Bad\n"
    )
    with pytest.raises(ValueError, match=r"^x{2000}$") as caught:
        names["long"]()
    assert len(caught.value.traceback_text) <= 4000
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        names["half"]()
    str(caught.value).encode()
    caught.value.traceback_text.encode()
    with pytest.raises(StudentError, match=r"^$"):
        names["bad"]()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("own = []; own.append(own); return own", "a list, which is nested more than 60 deep"),
        ("return np.zeros((10**4, 10**4))", "a ndarray, which has .* MB, the limit is"),
        (
            "return torch.eye(2).to_sparse()",
            "a Tensor, which holds a tensor of float32, .*; make it dense",
        ),
        ("return np.array(['2020'], 'M8')", r"a ndarray, which holds an array of datetime64"),
        ("return {'a': 10**5000}", "a dict, which holds a whole number of over 4000 digits"),
        ("return [np.zeros(10**6)] * 50", "a list, which has .* MB"),
    ],
)
def test_what_cannot_cross_is_named(write: Write, source: str, message: str):
    names = write(f"def f():\n    {source}\ndef well(): return 1")
    with pytest.raises(TypeError, match=f"your code returned {message}"):
        names["f"]()
    assert names["well"]() == 1


def test_arguments_that_cannot_cross_cost_the_call_alone(write: Write, student: Student):
    names = write("def f(x): return 1")
    own: list[Any] = []
    own.append(own)
    for argument, error in ((own, "in itself"), (np.zeros(10**8, np.int8), "MB")):
        with pytest.raises(ValueError, match=error):
            names["f"](argument)
    assert names["f"](0) == 1
    assert student.lost is None


def test_a_handle_of_another_copy_is_refused(live: Student, write: Write):
    other = live.snapshot()
    assert other is not None
    handle = other.names({})["np"]
    other.close()
    names = write("def f(x): return 1")
    with pytest.raises(TypeError, match="of another test"):
        names["f"](handle)
    assert names["f"](1) == 1
    with pytest.raises(SessionLost):
        handle.array  # noqa: B018


# Time, printing, ends


def test_a_call_that_does_not_end(write: Write, student: Student):
    names = write("def loop():\n    while True: pass")
    student.deadline = time.monotonic() + 0.3
    begun = time.monotonic()
    with pytest.raises(CallTimeout, match="still running") as caught:
        names["loop"]()
    assert time.monotonic() - begun < 1
    assert isinstance(caught.value, TimeoutError | StudentError)
    with pytest.raises(SessionLost):
        names["loop"]()


def test_after_the_deadline_nothing_is_asked(write: Write, student: Student):
    names = write("def f(): return 1")
    f = names["f"]
    student.deadline = time.monotonic() - 1
    with pytest.raises(CallTimeout):
        f()
    student.deadline = None
    assert f() == 1


def test_an_error_of_the_tests_that_breaks_off_a_call_ends_the_session(write: Write):
    class Stop(BaseException):
        pass

    def stop() -> None:
        raise Stop

    names = write("def call(f): return f()")
    with pytest.raises(Stop):
        names["call"](stop)
    with pytest.raises(SessionLost, match="broken off"):
        names["call"](lambda: 1)


def test_what_calls_print_is_collected_and_costs_nothing(write: Write, student: Student):
    names = write(
        "import sys, warnings\ndef talk():\n    print('said'); print('loud', file=sys.stderr)\n"
        "    warnings.warn('careful')\n    return 1\n"
        "def shout():\n    print('x' * 50_000_000)\n    for _ in range(5_000): print(1)\n"
        "    return 2\n"
    )
    assert names["talk"]() == 1
    assert "said\nloud\n" in student.printed
    assert "careful" in student.printed
    begun = time.monotonic()
    assert names["shout"]() == 2
    assert time.monotonic() - begun < 8
    assert len(student.printed) <= 20_000


@pytest.mark.parametrize(
    "source",
    [
        "import os; os._exit(0)",
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.close(CHANNEL)",
    ],
)
def test_the_end_of_the_process_is_told(write: Write, student: Student, source: str):
    source = source.replace("CHANNEL", "get_ipython().agent.channel.fileno()")
    names = write(f"def end(): {source}")
    with pytest.raises((SessionLost, CallTimeout)):
        names["end"]()
    with pytest.raises(SessionLost):
        names["end"]()


# Copies


def test_a_copy_has_what_there_was_and_keeps_its_changes_to_itself(live: Student):
    with session() as student:
        student.run_cell("history = [1]\ndef add(x): history.append(x); return len(history)", 10.0)
        first = student.snapshot()
        assert first is not None
        names = first.names({})
        assert [names["add"](2), names["add"](3)] == [2, 3]
        student.run_cell("history.append('later')", 5.0)
        second = student.snapshot()
        assert second is not None
        assert second.names({})["history"] == [1, "later"]
        assert names["history"] == [1, 2, 3]
        first.close()
        second.close()
        third = student.snapshot()
        assert third is not None
        assert third.names({})["add"](0) == 3
        third.close()


def test_copies_that_run_on_are_ended_and_leave_no_zombie():
    with session() as student:
        student.run_cell(
            "import os\ndef loop():\n    while True: pass\n"
            "def children():\n"
            "    return open(f'/proc/self/task/{os.getpid()}/children').read().split()",
            10.0,
        )
        for _ in range(3):
            copy = student.snapshot()
            assert copy is not None
            copy.deadline = time.monotonic() + 0.1
            with pytest.raises(CallTimeout):
                copy.names({})["loop"]()
            copy.close()
        assert student.names({})["children"]() == []


def test_handles_of_before_are_of_the_original(live: Student):
    copy = live.snapshot()
    assert copy is not None
    copy.close()
    copy.close()
    assert copy.lost == "it is closed"
    assert live.lost is None


# Strangers


def _stranger(answer: Callable[[socket.socket, Any], None]) -> Callable[[socket.socket], None]:
    """A process that reads requests, and answers as it likes."""

    def child(channel: socket.socket) -> None:
        while True:
            request = wire.loads(wire.receive(channel, None, 1 << 30), lambda name: name)
            answer(channel, request)

    return child


def _says(*parts: Any) -> Callable[[socket.socket, Any], None]:
    def answer(channel: socket.socket, request: Any) -> None:
        message = tuple(request[1] if part == "sequence" else part for part in parts)
        wire.send(channel, wire.dumps(message, lambda value: value.name))

    return answer


class Named:
    def __init__(self, *name: Any) -> None:
        self.name = list(name)


def _sends(raw: bytes) -> Callable[[socket.socket, Any], None]:
    return lambda channel, request: channel.sendall(raw)


def _closes(channel: socket.socket, request: Any) -> None:
    channel.close()


BAD = [
    _closes,
    _sends(b"\xff" * 100),
    _sends(struct.pack(">I", 2**32 - 1)),
    _sends(struct.pack(">I", 3) + b"abc"),
    _sends(struct.pack(">I", 30) + b"\0\0\0\2[]"),
    _says("sequence", "", "ok", 1),
    _says("sequence", "", "ok", 1, {}, 2),
    _says("sequence", "", "well", 1, {}),
    _says("sequence", "", "error", 1),
    _says("sequence", "", "callback", "x", (), {}),
    _says("sequence", "", "callback", 1, [], {}),
    _says("sequence", "", "callback", 1, (), 3),
    _says("sequence", "", "callback", 1, (), {1: 2}, 3),
    _says(),
    _says("x", "", "ok", 1, {}),
    _says([], [], [], [], []),
    _says("sequence", "", "ok", Named("ours", "x", "A", [], False), {}),
    _says("sequence", "", "ok", Named("ours", 1, 2, [], False), {}),
    _says("sequence", "", "ok", Named("lent", 77), {}),
    _says("sequence", "", "ok", Named("lent", [1]), {}),
    _says("sequence", "", "ok", Named(), {}),
    _says(1 << 70, "", "ok", 1, {}),
    _says("sequence", "", "callback", 1, (), {}),
]


@pytest.mark.parametrize("answer", BAD)
def test_what_is_no_answer_ends_the_session_in_time(answer: Callable[[socket.socket, Any], None]):
    with session(_stranger(answer)) as student:
        student.deadline = time.monotonic() + 0.5
        begun = time.monotonic()
        with pytest.raises((SessionLost, CallTimeout)):
            student.ask("get", "x")
        assert student.lost
        assert time.monotonic() - begun < 2
        with pytest.raises(SessionLost):
            student.ask("get", "x")


def test_an_answer_given_early_is_not_taken_for_a_later_one():
    def answer(channel: socket.socket, request: Any) -> None:
        for number in (request[1] - 1, request[1] + 1, request[1] + 5, -1, 0):
            _says(number, "", "ok", "early", {})(channel, request)
        _says("sequence", "", "ok", request[1], {})(channel, request)

    with session(_stranger(answer)) as student:
        assert [student.ask("get", "x") for _ in range(5)] == [1, 2, 3, 4, 5]


def test_answers_without_end_end():
    def answer(channel: socket.socket, request: Any) -> None:
        while True:
            _says(-1, "said " * 1000, "ok", 1, {})(channel, request)

    with session(_stranger(answer)) as student:
        student.deadline = time.monotonic() + 0.5
        begun = time.monotonic()
        with pytest.raises((SessionLost, CallTimeout)):
            student.ask("get", "x")
        assert time.monotonic() - begun < 2
        assert len(student.printed) <= 20_000


def test_a_process_that_does_not_listen_holds_nobody_up():
    with session(lambda channel: time.sleep(60)) as student:
        student.deadline = time.monotonic() + 0.5
        begun = time.monotonic()
        with pytest.raises(CallTimeout):
            student.ask("call", None, (bytes(30 << 20),), {})
        with pytest.raises(SessionLost):
            student.ask("get", "x")
        assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "kinds",
    [["SystemExit"], ["KeyboardInterrupt"], ["GeneratorExit"], ["BaseException"], ["eval"], "x"],
)
def test_no_exception_but_an_exception_is_raised_here(kinds: Any):
    with session(_stranger(_says("sequence", "", "error", kinds, ["m"], {}, {}))) as student:
        with pytest.raises(StudentError) as caught:
            student.ask("get", "x")
        assert isinstance(caught.value, Exception)
        assert not isinstance(caught.value, SystemExit | KeyboardInterrupt)


@pytest.mark.parametrize(
    "changed",
    [1, {9: [1]}, {-1: [1]}, {"nothing": 1}, {0: {"a": 1}}, {0: np.zeros(9)}, {1.5: 1}, {0: None}],
)
def test_changes_that_do_not_fit_are_passed_over(changed: Any):
    with session(_stranger(_says("sequence", "", "ok", 5, changed))) as student:
        target = student._found(["ours", 1, "f", [], False])
        array, items = np.ones(2), [1]
        assert student.ask("call", target, (array, items), {}) == 5
        assert array.tolist() == [1, 1]
        assert items == [1]


@pytest.mark.parametrize("batch", [5, (1, 2), ([], False), ([1], 1), ("ab", True), [[1], True]])
def test_batches_that_are_none(batch: Any):
    with session(_stranger(_says("sequence", "", "ok", batch, {}))) as student:
        iterator = student._found(["ours", 1, "gen", [], True])
        with pytest.raises(TypeError, match="cannot be iterated"):
            next(iterator)


@pytest.mark.parametrize("value", [-1, 1.0, "1", None, True, [1], 10**30])
def test_lengths_and_numbers_that_are_none(value: Any):
    with session(_stranger(_says("sequence", "", "ok", value, {}))) as student:
        handle = student._found(["ours", 1, "A", [], False])
        with pytest.raises((TypeError, OverflowError)):
            len(handle)
        if type(value) is not float:
            with pytest.raises(TypeError):
                float(handle)
        assert not isinstance(3, handle) or value is True
        with pytest.raises(TypeError):
            np.asarray(handle)


@given(st.binary(max_size=60), st.booleans())
@settings(max_examples=150)
def test_any_bytes_from_there_are_an_error_or_an_answer(raw: bytes, framed: bool):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(struct.pack(">I", len(raw)) + raw if framed else raw)
        theirs.shutdown(socket.SHUT_WR)
        student = Student(ours)
        student.deadline = time.monotonic() + 5
        with pytest.raises((SessionLost, StudentError)):
            student.ask("get", "x")


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.text(max_size=3)
    | st.sampled_from(["ok", "error", "callback", "ours", "lent", "stream", "display_data"])
    | st.builds(Named, st.sampled_from(["ours", "lent"]), st.integers(0, 3), st.text(max_size=2),
                st.just([]), st.booleans()),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=6).map(tuple)
    | st.dictionaries(st.text(max_size=3) | st.integers(0, 2), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
statuses = st.sampled_from(["ok", "error", "callback"])
messages = st.builds(
    lambda status, rest: (1, "", status, *rest), statuses, st.lists(anything, max_size=4)
)


@given(messages | anything, st.sampled_from(["call", "run", "iter", "len", "convert"]))
@settings(max_examples=300)
def test_any_message_from_there_is_an_error_or_an_answer(message: Any, op: str):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.send(theirs, wire.dumps(message, lambda value: value.name))
        theirs.shutdown(socket.SHUT_WR)
        student = Student(ours)
        handle = student._found(["ours", 50, "A", [], False])
        acts: dict[str, Callable[[], Any]] = {
            "call": lambda: handle([1], {"a": np.ones(2)}, print),
            "run": lambda: student.run_cell("1", 5.0),
            "iter": lambda: list(itertools.islice(handle, 3)),
            "len": lambda: len(handle),
            "convert": lambda: float(handle),
        }
        try:
            result = acts[op]()
        except (SessionLost, StudentError, TypeError):
            return
        json.dumps(result if op == "run" else None).encode()


# Outputs of cells


def test_outputs_that_are_none_are_left_out():
    good = {"output_type": "stream", "name": "stdout", "text": "said"}
    for bad in (
        None, [], "x", {}, {"output_type": "stream"}, {"output_type": []}, {"output_type": "x"},
        {"output_type": "display_data"}, {"output_type": "display_data", "data": []},
        {"output_type": "display_data", "data": {"text/plain": 5}},
        {"output_type": "display_data", "data": {1: "x"}},
        {"output_type": "display_data", "data": {"image/png": "no base64!"}},
        {"output_type": "display_data", "data": {"application/x-widget": "x"}},
        {"output_type": "stream", "text": b"bytes"},
        {"output_type": np.ones(2)}, {"output_type": "stream", "name": np.ones(2), "text": ""},
        {"output_type": "stream", "text": np.ones(2)},
        {"output_type": "display_data", "data": {"text/html": "<b>bold</b>"}},
    ):  # fmt: skip
        kept = claimed_outputs([bad, good], False, 10_000)
        assert [output.text for output in kept if output.text == "said"] == ["said"]
    for claimed in (None, 5, "abc", {"a": 1}):
        assert claimed_outputs(claimed, False, 1000) == []


def test_an_error_of_any_form_is_an_error():
    for lines in (None, 5, [5, None, "line"], ["x" * 10**6] * 1000):
        bad = {"output_type": "error", "ename": 5, "evalue": None, "traceback": lines}
        (output,) = claimed_outputs([bad], False, 1 << 20)
        assert output.output_type == "error"
        assert len(json.dumps(output)) < 50_000


def test_a_result_is_shown_and_is_no_mark():
    result = {"output_type": "execute_result", "data": {"text/plain": "3"}, "execution_count": 1}
    (output,) = claimed_outputs([result], False, 1000)
    assert output.output_type == "display_data"


texts = st.text(st.characters(exclude_categories=[]), max_size=60)
outputs = st.lists(
    st.one_of(
        st.builds(lambda t: {"output_type": "stream", "name": "stdout", "text": t * 5}, texts),
        st.builds(lambda t: {"output_type": "display_data", "data": {"text/html": t}}, texts),
        st.builds(
            lambda a, b: {"output_type": "error", "ename": a, "evalue": b, "traceback": [a, b]},
            texts, texts,
        ),
    ),
    max_size=12,
)  # fmt: skip


@given(outputs, st.integers(500, 3000))
def test_outputs_stay_below_the_limit_and_can_be_written(claimed: Any, limit: int):
    kept = claimed_outputs(claimed, False, limit)
    text = [
        [o.get("text", ""), o.get("evalue", ""), *o.get("traceback", []),
         *o.get("data", {}).values()] for o in kept
    ]  # fmt: skip
    assert sum(len(part.encode()) for parts in text for part in parts) <= limit
    json.dumps(kept, ensure_ascii=False).encode()


def test_huge_claims_cost_little():
    claimed = [{"output_type": "stream", "name": "stdout", "text": "x" * 10**7}] * 3000
    tracemalloc.start()
    begun = time.monotonic()
    kept = claimed_outputs(claimed, False, 1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.monotonic() - begun < 2
    assert peak < 20 << 20
    assert sum(len(output.text) for output in kept) <= 1 << 20
    assert kept[-1].text.startswith("\n[output cut after 1,0")


def test_many_outputs_are_cut():
    claimed = [{"output_type": "display_data", "data": {"text/plain": "x"}}] * 5000
    kept = claimed_outputs(claimed, False, 1 << 20)
    assert len(kept) == 1001
    assert "output cut" in kept[-1].text


def test_threads_that_write_to_the_channel_harm_their_own_session_alone():
    with session() as student:
        cell = (
            "import threading, os, struct\nfd = get_ipython().agent.channel.fileno()\n"
            "def shout():\n"
            "    for _ in range(50): os.write(fd, struct.pack('>I', 2) + b'[]')\n"
            "t = threading.Thread(target=shout); t.start(); t.join()"
        )
        with pytest.raises(SessionLost):
            student.run_cell(cell, 10.0)


def test_a_handle_of_a_class_that_lies_about_itself(write: Write):
    names = write(
        "class Meta(type):\n    def __instancecheck__(cls, x): return True\n"
        "    __subclasscheck__ = __instancecheck__\n"
        "class Liar(metaclass=Meta):\n    def __len__(self): return -5\n"
        "    def __getattr__(self, name): return self\n"
        "liar = Liar()"
    )
    liar = names["liar"]
    assert type(liar) is Remote
    assert not isinstance(liar, int)
    assert isinstance(5, names["Liar"])  # a class may say so of itself, in Python too
    with pytest.raises(ValueError, match="__len__"):
        len(liar)
    assert liar.anything is liar
