"""Wrong answers made of right ones: they find the tests that pass whatever is returned.

An array without elements is equal to all that it is compared with, and a loop over no items asserts
nothing: `np.allclose(np.empty((0, 3)), [1, 2, 3])` is true.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Set

SPOILED = "-- what was given is gone --"

# Makes of right functions some that spoil their arguments and then return zeros, or nothing.
SPOIL = """
def _spoiling(function, empty):
    import functools
    import numbers
    import sys

    import numpy

    torch = sys.modules.get("torch")

    def is_tensor(value):
        return torch is not None and isinstance(value, torch.Tensor)

    def nothing(value):
        if value is None or isinstance(value, bool):
            return None if value is None else False
        if isinstance(value, numpy.ndarray) or is_tensor(value):
            return value * 0 if value.dtype != bool else value & False
        if isinstance(value, (numbers.Number, numpy.generic)):
            return type(value)(0)
        if isinstance(value, (str, set, frozenset)):
            return type(value)()
        if isinstance(value, dict):
            return {} if empty else {key: nothing(item) for key, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)() if empty else type(value)(map(nothing, value))
        raise TypeError

    def spoil(value):
        if isinstance(value, numpy.ndarray) and value.flags.writeable:
            value[...] = numpy.zeros((), value.dtype)
        elif is_tensor(value):
            value.detach().zero_()
        elif isinstance(value, (set, bytearray)) or empty and isinstance(value, (list, dict)):
            value.clear()
        elif isinstance(value, (list, dict)):
            for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
                spoil(item)
                if isinstance(item, numbers.Number):
                    value[key] = type(item)(0)
        elif isinstance(value, tuple):
            for item in value:
                spoil(item)

    @functools.wraps(function)
    def spoiling(*arguments, **options):
        result = function(*arguments, **options)
        try:
            result = nothing(result)
        except TypeError:  # such as a generator, which may still need what was given
            return result
        for value in (*arguments, *options.values()):
            spoil(value)
        print("{SPOILED}")
        return result

    return spoiling
""".replace("{SPOILED}", SPOILED)

# Watches the calls that tests make of right functions. By `_plan`, parts of what some return have
# no elements, or are an object that has a length and no items.
WATCH = """
def _watching():
    import functools
    import itertools
    import numbers
    import sys

    import numpy

    torch = sys.modules.get("torch")
    now = {"line": 0, "busy": False}

    def is_tensor(value):
        return torch is not None and isinstance(value, torch.Tensor)

    class Hollow:
        def __init__(self, value, place):
            self._length, self._place = len(value), place

        def __len__(self):
            return self._length

        def __iter__(self):
            print(f"-- `{self._place}` has a length and no items --")
            return iter(())

        def items(self):
            return self

        keys = values = items

    def emptied(value, place):
        if isinstance(value, (list, dict, set, frozenset, str, bytes)):
            return type(value)() if value else None
        if isinstance(value, tuple):
            return () if value else None
        if is_tensor(value):
            return value.new_empty((0, *value.shape)) if value.numel() else None
        if isinstance(value, bool) or not isinstance(
            value, (numpy.ndarray, numpy.generic, numbers.Number)
        ):
            return None
        # With this shape it can be compared with what is expected, and no element differs.
        value = numpy.asarray(value)
        return numpy.empty((0, *value.shape), value.dtype) if value.size else None

    def hollow(value, place):
        array = isinstance(value, numpy.ndarray) or is_tensor(value)
        if not (array and len(value.shape) or isinstance(value, (list, tuple, dict))):
            return None
        return Hollow(value, place) if len(value) else None

    def wrong(value):
        if isinstance(value, dict):
            return {key: wrong(item) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return rebuilt(value, dict(enumerate(map(wrong, value))))
        if isinstance(value, (str, bytes)):
            return value + value
        if value is None or isinstance(value, bool):
            return True if value is None else not value
        if is_tensor(value):
            return value * float("nan") if value.is_floating_point() else ~value
        value = numpy.asarray(value)
        return value * float("nan") if value.dtype.kind in "fc" else ~value

    def rebuilt(value, items):
        if isinstance(value, dict):
            return items
        new = items.values()
        return type(value)(*new) if hasattr(value, "_fields") else type(value)(new)

    def versions(value, instead, place="result", inner=False):
        whole = instead(value, place)
        if whole is not None:
            yield whole, place
        if not isinstance(value, (list, tuple, dict)):
            return
        items = dict(value.items() if isinstance(value, dict) else enumerate(value))
        if inner or isinstance(value, list) or len(items) > 4:
            place += "[...]"
            other = {key: next(versions(item, instead, place), None) for key, item in items.items()}
            if any(other.values()):
                new = {key: one[0] if one else items[key] for key, one in other.items()}
                yield rebuilt(value, new), place
            return
        for key, item in items.items():
            for one, where in versions(item, instead, f"{place}[{key!r}]", True):
                yield rebuilt(value, {**items, key: one}), where

    def told(result):
        if not now["line"] or now["at"] not in (0, now["line"]):
            return result
        if not now["way"]:
            counts = [sum(1 for _ in versions(result, way)) for way in (emptied, hollow)]
            before = now["counted"].get(now["line"], [0, 0])
            now["counted"][now["line"]] = most = list(map(max, before, counts))
            if most != before:
                print("-- line", now["line"], "has", *most, "--")
            return result

        def instead(value, place):
            other = way(value, place)
            return wrong(value) if now["wrong"] and other is not None else other

        way = hollow if now["way"] == "hollow" else emptied
        found = next(itertools.islice(versions(result, instead), now["version"], None), None)
        if found is None:
            return result
        if way is emptied:
            print(f"-- `{found[1]}` is empty --")
        return found[0]

    def watch(function):
        @functools.wraps(function)
        def watched(*arguments, **options):
            if now["busy"]:  # a call within a call
                return function(*arguments, **options)
            now["busy"] = True
            try:
                return told(function(*arguments, **options))
            finally:
                now["busy"] = False

        return watched

    def line(number):
        now["line"] = number

    def plan(at, way, version, wrong):
        now.update(line=0, at=at, way=way, version=version, wrong=wrong, counted={})

    return watch, line, plan


_watch, _line, _plan = _watching()
"""
COUNTED = re.compile(r"^-- line (\d+) has (\d+) (\d+) --$", flags=re.MULTILINE)
FOUND = re.compile(r"^-- (.*) (?:is empty|has a length and no items) --$", flags=re.MULTILINE)


def spoiled(answer: str, *, empty: bool) -> str:
    """A wrong answer: the functions of a right one, then their arguments wiped out, then zeros.

    A test passes it that computes what it expects from an argument after the call.

    Parameters
    ----------
    answer : source of a right answer
    empty : whether containers are emptied; else their numbers are 0
    """
    names = [node.name for node in ast.parse(answer).body if isinstance(node, ast.FunctionDef)]
    wrapped = [f"{name} = _spoiling({name}, {empty})" for name in names]
    return "\n".join([answer, SPOIL, *wrapped])


def watched(answer: str) -> str:
    """A right answer whose calls are watched, methods' too; `_plan` spoils some results.

    `_plan(line, way, version, wrong)` spoils results of the calls in one line of an announced test,
    in all for line 0. The way is "empty" or "hollow", and "" counts the parts that can be so; the
    version is the part's number, and a wrong part keeps its shape.
    """
    wrapped = [f"{name} = _watch({name})" for name in _callables(answer)]
    return "\n".join([answer, WATCH, *wrapped])


def _callables(answer: str) -> Iterator[str]:
    """Functions of an answer and its classes' methods, as they are called from outside."""
    for node in ast.parse(answer).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
            for name in [method.name for method in methods if not method.decorator_list]:
                if name == "__call__" or not name.startswith("_"):
                    yield f"{node.name}.{name}"


def announced(test: str, answer: str) -> str:
    """A test that says the line, by `_line`, before it calls what an answer defines."""
    names = {part for name in _callables(answer) for part in name.split(".")}
    tree = ast.parse(test)
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                setattr(node, field, [new for old in body for new in _announced(old, names)])
    marks = [line for line in test.splitlines() if line.startswith("### ")]  # it stays hidden
    return "\n".join([*marks, ast.unparse(tree)])


def _announced(statement: ast.stmt, names: Set[str]) -> Iterator[ast.stmt]:
    if any(_name(node) in names for node in _head(statement)):
        yield from ast.parse(f"_line({statement.lineno})").body
    yield statement


def _head(node: ast.AST) -> Iterator[ast.AST]:
    """A statement without those within it."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)):
            yield from _head(child)


def _name(node: ast.AST) -> str:
    return getattr(node, "id", getattr(node, "attr", ""))
