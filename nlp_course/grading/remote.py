"""The trusted side of a student's process: handles on its objects, and nothing but data.

A test uses the student's names as if they were its own. A call sends plain data and gets plain
data; any other object stays with the student behind a `Remote`. What could decide a test is
never asked of the student: two handles are equal only if they are the same, and a handle has no
truth and no order. Every answer is taken for an attacker's.
"""

from __future__ import annotations

import base64
import binascii
import builtins
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from nbformat import NotebookNode
from nbformat.v4 import new_output

from nlp_course.grading import wire

TEXT = 2000  # characters kept of a message
TRACEBACK = 4000
PRINTED = 20_000
INTERRUPT_SECONDS = 2.0
CALLBACKS = 100_000  # of one call
OUTPUT_KEYS = 20
# What a page of feedback can show; a widget, say, would need a kernel.
SHOWN = frozenset(
    {f"text/{kind}" for kind in ("plain", "html", "markdown", "latex")}
    | {f"image/{kind}" for kind in ("png", "jpeg", "gif", "svg+xml")}
)


class StudentError(Exception):
    """What a student's code raised; a subclass of the built-in class that it stands for, too.

    Parameters
    ----------
    traceback_text : from the student's side, for the student
    kind : name of the built-in class
    """

    traceback_text = ""
    kind = "Exception"


class CallTimeout(StudentError, TimeoutError):
    """A call that was not answered in time."""

    kind = "TimeoutError"


class SessionLost(Exception):
    """The student's process has ended, or no longer speaks sense."""


_CLASSES: dict[type, type[StudentError]] = {}


def _student_error(kinds: Any, message: Any, lines: Any) -> StudentError:
    """An exception that `except ValueError` takes for one, made of built-in classes alone."""
    base: type = Exception
    for name in kinds if type(kinds) is list else []:
        known = getattr(builtins, name, None) if type(name) is str else None
        if isinstance(known, type) and issubclass(known, Exception):
            base = known
            break
    if base not in _CLASSES:
        try:
            _CLASSES[base] = type(base.__name__, (StudentError, base), {"kind": base.__name__})
            _CLASSES[base]("")
        except TypeError:  # such as UnicodeDecodeError, which takes five arguments
            _CLASSES[base] = type(
                base.__name__, (StudentError, ValueError), {"kind": base.__name__}
            )
    error = _CLASSES[base](str(message)[:TEXT])
    error.traceback_text = str(lines)[:TRACEBACK]
    return error


class Student:
    """A channel to one student's process.

    Parameters
    ----------
    interrupt : sends it an interrupt; None where it cannot be sent one
    """

    def __init__(
        self,
        channel: socket.socket,
        *,
        limits: wire.Limits = wire.DEFAULT,
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        self._channel, self._limits, self._interrupt = channel, limits, interrupt
        self._sequence = 0
        self._lent: dict[int, Any] = {}
        self._shared: dict[int, str] = {}
        self._in_call = False
        self.deadline: float | None = None
        self.printed = ""
        self.lost: str | None = None

    def run_cell(
        self, source: str, timeout: float, *, output_limit: int = 1 << 20
    ) -> list[NotebookNode]:
        """Run a cell of the student's; its outputs.

        Raises
        ------
        SessionLost : the process has ended, or did not stop when its time was over.
        """
        self.deadline = time.monotonic() + timeout
        try:
            outputs = self._ask("run", source, output_limit)
        except CallTimeout:
            outputs = self._after_interrupt(timeout)
        except StudentError as error:  # the agent's own trouble with what the cell did
            return [_error_output(error.kind, str(error))]
        finally:
            self.deadline = None
        return _outputs(outputs, output_limit)

    def _after_interrupt(self, timeout: float) -> Any:
        self.lost = None
        if self._interrupt is not None:
            self._interrupt()
            self.deadline = time.monotonic() + INTERRUPT_SECONDS
            try:
                return self._answer()
            except CallTimeout:
                pass
            except StudentError as error:
                return [dict(_error_output(error.kind, str(error)))]
        self._lose(f"a cell did not stop after {timeout:.0f} seconds")
        raise SessionLost(self.lost)

    def snapshot(self) -> Student | None:
        """A copy of the process as it is now; None where it cannot be copied."""
        ours, theirs = socket.socketpair()
        self.deadline = time.monotonic() + 20
        try:
            self._say("snapshot")
            socket.send_fds(self._channel, [b"s"], [theirs.fileno()])
            possible = self._answer()
        except (OSError, StudentError) as error:
            ours.close()
            self._lose(f"its process could not be copied ({error})")
            raise SessionLost(self.lost) from error
        finally:
            theirs.close()
            self.deadline = None
        if possible is not True:
            ours.close()
            return None
        copy = Student(ours, limits=self._limits)
        copy._sequence = self._sequence
        return copy

    def names(self, own: Mapping[str, Any]) -> Names:
        """Globals for a test: its own names first, then the student's."""
        plain = (int, float, str, bool, bytes, type(None))
        self._shared = {
            id(value): name for name, value in own.items() if not isinstance(value, plain)
        }
        return Names(self, own)

    def close(self) -> None:
        """Close the channel; the process ends when it notices."""
        self._channel.close()

    # speaking

    def _lose(self, why: str) -> None:
        self.lost = self.lost or why

    def _say(self, op: str, *arguments: Any) -> None:
        if self.lost is not None:
            raise SessionLost(self.lost)
        self._sequence += 1
        message = wire.dumps([self._sequence, op, *arguments], self._named, self._limits)
        self._channel.settimeout(self._left())
        try:
            wire.send(self._channel, message)
        except OSError as error:
            self._lose("its process has ended")
            raise SessionLost(self.lost) from error

    def _left(self) -> float | None:
        if self.deadline is None:
            return None
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise CallTimeout("the time for this is over")
        return left

    def _ask(self, op: str, *arguments: Any) -> Any:
        """Ask, and serve the test's own functions until the answer comes."""
        if self._in_call:
            raise RuntimeError("a function that the test passed uses the student's names itself")
        self._in_call = True
        try:
            self._say(op, *arguments)
            return self._answer(arguments[1:] if op == "call" else ())
        finally:
            self._in_call = False
            self._lent.clear()

    def _answer(self, passed: Any = ()) -> Any:
        for _ in range(CALLBACKS):
            message = self._message()
            sequence, said, status, *rest = message
            if sequence != self._sequence:
                continue  # said out of turn
            self._print(said)
            if status == "callback":
                self._call_back(*rest)
                continue
            changed = rest.pop()
            if changed is not None:
                _write_back(passed, changed)
            if status == "ok":
                return rest[0]
            raise _student_error(*rest)
        self._lose("it called the test's functions without end")
        raise SessionLost(self.lost)

    def _message(self) -> list[Any]:
        try:
            raw = wire.receive(self._channel, self._left(), 2 * self._limits.bytes)
            message = wire.loads(raw, self._found, self._limits)
        except TimeoutError as error:
            self._lose("a call was not answered in time")
            if isinstance(error, CallTimeout):
                raise
            raise CallTimeout(
                "your code was still running when the time for this was over"
            ) from error
        except (EOFError, OSError) as error:
            self._lose("its process has ended")
            raise SessionLost(self.lost) from error
        except wire.WireError as error:
            self._lose(f"what it returned {error}")
            raise SessionLost(self.lost) from error
        shape = {"ok": 5, "error": 7, "callback": 6}
        if (
            type(message) is not tuple
            or len(message) < 3
            or type(message[2]) is not str
            or len(message) != shape.get(message[2])
        ):
            self._lose("it answered what is no answer")
            raise SessionLost(self.lost)
        return list(message)

    def _print(self, said: Any) -> None:
        if type(said) is str:
            self.printed = (self.printed + said)[:PRINTED]

    def _call_back(self, key: Any, arguments: Any, options: Any) -> None:
        function = self._lent.get(key) if type(key) is int else None
        try:
            if not callable(function):
                raise RuntimeError("this function was lent for one call, which is over")
            if type(arguments) is not tuple or type(options) is not dict:
                raise TypeError("arguments are malformed")
            self._in_call = False
            reply = ["ok", function(*arguments, **options)]
        except Exception as error:
            kinds = [
                kind.__name__ for kind in type(error).__mro__ if hasattr(builtins, kind.__name__)
            ]
            reply = ["error", kinds[0], str(error)[:TEXT]]
        finally:
            self._in_call = True
        try:
            data = wire.dumps(reply, self._named, self._limits)
        except wire.WireError as error:
            data = wire.dumps(["error", "TypeError", str(error)])
        wire.send(self._channel, data)

    def _named(self, value: Any) -> list[Any]:
        """How an object that stays here is called over there."""
        if type(value) is Remote:
            if object.__getattribute__(value, "_student")._channel is not self._channel:
                raise wire.WireError("belongs to another process of the student's")
            return ["ours", object.__getattribute__(value, "_id")]
        if id(value) in self._shared:
            return ["name", self._shared[id(value)]]
        key = id(value)
        self._lent[key] = value
        return ["callback" if callable(value) else "theirs", key]

    def _found(self, name: list[Any]) -> Any:
        if len(name) == 2 and name[0] == "theirs":
            return self._lent[name[1]]
        kind, number, shown, is_callable, kinds = name
        if kind != "ours" or type(number) is not int or type(shown) is not str:
            raise wire.WireError("is malformed")
        return Remote(self, number, shown[:100], is_callable is True, _classes(kinds))


def _classes(kinds: Any) -> tuple[str, ...]:
    return tuple(k for k in kinds if type(k) is str)[:40] if type(kinds) is list else ()


def _write_back(passed: Any, changed: Any) -> None:
    """Put into a test's own objects what the student's code did to its copies of them."""
    if isinstance(passed, np.ndarray):
        same = isinstance(changed, np.ndarray) and changed.shape == passed.shape
        if same and passed.flags.writeable and changed.dtype == passed.dtype:
            passed[...] = changed
    elif isinstance(passed, tuple) and isinstance(changed, tuple | list):
        for one, other in zip(passed, changed, strict=False):
            _write_back(one, other)
    elif isinstance(passed, list) and isinstance(changed, list):
        passed[:] = [_merged(passed, index, new) for index, new in enumerate(changed)]
    elif isinstance(passed, dict) and isinstance(changed, dict):
        merged = {key: _merged(passed, key, new) for key, new in changed.items()}
        passed.clear()
        passed.update(merged)
    elif isinstance(passed, set) and isinstance(changed, set):
        passed.clear()
        passed.update(changed)
    elif isinstance(passed, bytearray) and isinstance(changed, bytearray):
        passed[:] = changed
    elif _same_tensors(passed, changed):
        passed.detach().copy_(changed.detach())


def _same_tensors(one: Any, other: Any) -> bool:
    """Whether one tensor's numbers fit into the other."""
    return (
        type(one).__module__ == "torch"
        and type(one) is type(other)
        and one.shape == other.shape
        and one.dtype == other.dtype
    )


def _merged(passed: Any, key: Any, new: Any) -> Any:
    """The old object with the new content where it is a container, else the new one."""
    try:
        old = passed[key]
    except (KeyError, IndexError):
        return new
    if type(old) is not type(new) or isinstance(old, Remote):
        return old if isinstance(new, Remote) else new
    if isinstance(old, list | dict | set | bytearray | np.ndarray | tuple):
        _write_back(old, new)
        if isinstance(old, np.ndarray) and old.shape != new.shape:
            return new
        return new if isinstance(old, tuple) and old != new else old
    return new


class Names(dict[str, Any]):
    """Globals of a test: names that it finds nowhere else are fetched from the student."""

    def __init__(self, student: Student, own: Mapping[str, Any]) -> None:
        super().__init__(own)
        self["__name__"] = "__main__"
        self["__builtins__"] = builtins
        self._student = student

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            raise KeyError(name)
        try:
            return self._student._ask("get", name)
        except KeyError:
            raise NameError(f"name {name!r} is not defined in the notebook") from None


def _allowed(kinds: tuple[str, ...]) -> type | None:
    """The class that an object claims, of a few that a test may ask for."""
    import sys
    import types

    known: dict[str, Any] = {
        "builtins.function": types.FunctionType,
        "builtins.method": types.MethodType,
        "builtins.generator": types.GeneratorType,
        "builtins.type": type,
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        known["torch.nn.modules.module.Module"] = torch.nn.Module
        known["torch.optim.optimizer.Optimizer"] = torch.optim.Optimizer
    return next((known[kind] for kind in kinds if kind in known), None)


class Remote:
    """A handle on an object that stays in the student's process."""

    __slots__ = ("_callable", "_id", "_kinds", "_shown", "_student")
    __hash__ = object.__hash__

    def __init__(
        self, student: Student, number: int, shown: str, is_callable: bool, kinds: tuple[str, ...]
    ) -> None:
        for name, value in (
            ("_student", student),
            ("_id", number),
            ("_shown", shown),
            ("_callable", is_callable),
            ("_kinds", kinds),
        ):
            object.__setattr__(self, name, value)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return _allowed(self._kinds) or Remote

    def __repr__(self) -> str:
        return f"<the student's {self._shown}>"

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._student._ask("call", self, arguments, options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__name__", "__doc__", "__qualname__"):
            raise AttributeError(f"{name} of a student's object cannot be asked for in a test")
        return self._student._ask("attr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._student._ask("set", self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._student._ask("item", self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._student._ask("setitem", self, key, value)

    def __delitem__(self, key: Any) -> None:
        self._student._ask("delitem", self, key)

    def __len__(self) -> int:
        length = self._student._ask("len", self)
        if type(length) is not int or length < 0:
            raise TypeError(f"the length of a student's {self._shown} is not a number")
        return length

    def __iter__(self) -> Iterator[Any]:
        number, batch = self._student._ask("iter", self)
        while True:
            items, all_of_them = batch
            if type(items) is not list:
                raise TypeError(f"a student's {self._shown} cannot be iterated")
            yield from items
            if all_of_them is True:
                return
            batch = self._student._ask("more", number)

    def __next__(self) -> Any:
        return self._student._ask("one", self)

    def __bool__(self) -> bool:
        raise TypeError(
            f"a test takes the truth of a student's {self._shown}; it must compare plain data"
        )

    def _no_order(self, other: object) -> bool:  # noqa: ARG002
        raise TypeError(f"a test compares a student's {self._shown}; it must compare plain data")

    __lt__ = __le__ = __gt__ = __ge__ = _no_order

    def __float__(self) -> float:
        return _exactly(float, self._student._ask("convert", "float", self))

    def __int__(self) -> int:
        return _exactly(int, self._student._ask("convert", "int", self))

    def __index__(self) -> int:
        return _exactly(int, self._student._ask("convert", "index", self))

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        array = _exactly(np.ndarray, self._student._ask("convert", "array", self))
        return array if dtype is None else array.astype(dtype)

    def __enter__(self) -> Any:
        raise TypeError("a student's object cannot be used in `with` by a test")

    def __exit__(self, *_: Any) -> None:
        raise TypeError("a student's object cannot be used in `with` by a test")

    def __instancecheck__(self, value: object) -> bool:
        return self._student._ask("isinstance", value, self) is True


def _exactly(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"a student's object should have given a {kind.__name__}")
    return value


def _operators() -> None:
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
        setattr(Remote, f"__{name}__", _binary(name))
        setattr(Remote, f"__r{name}__", _reversed(name))
    for name in ("neg", "pos", "abs", "invert"):
        setattr(Remote, f"__{name}__", _unary(name))


def _binary(name: str) -> Callable[[Remote, Any], Any]:
    return lambda self, other: _handle(self._student._ask("operator", name, self, other))


def _reversed(name: str) -> Callable[[Remote, Any], Any]:
    return lambda self, other: _handle(self._student._ask("operator", name, other, self))


def _unary(name: str) -> Callable[[Remote], Any]:
    return lambda self: _handle(self._student._ask("operator", name, self))


def _handle(value: Any) -> Remote:
    """Data from an object's own arithmetic would let it choose what a test compares."""
    if type(value) is not Remote:
        raise TypeError(
            "arithmetic with a student's object gave plain data; a test must ask for the data, "
            "with float(...) or np.asarray(...), and reckon with that"
        )
    return value


_operators()


def _error_output(kind: str, message: str) -> NotebookNode:
    said = f"{kind}: {message}"
    return new_output("error", ename=kind, evalue=message, traceback=[said])


def _outputs(claimed: Any, limit: int) -> list[NotebookNode]:
    """Outputs as a notebook may hold them; what is none is left out."""
    kept, left = [], 2 * limit
    for output in claimed if type(claimed) is list else []:
        made = _output(output, left) if type(output) is dict else None
        if made is not None:
            left -= sum(len(str(value)) for value in made.values())
            kept.append(made)
        if left <= 0 or len(kept) > 1001:
            break
    return kept


def _output(output: dict[Any, Any], left: int) -> NotebookNode | None:
    kind = output.get("output_type")
    text = {key: value[:left] for key, value in output.items() if type(value) is str}
    if kind == "stream":
        name = "stderr" if text.get("name") == "stderr" else "stdout"
        return new_output("stream", name=name, text=text.get("text", ""))
    if kind == "error":
        lines = output.get("traceback")
        shown = (
            [line[:TEXT] for line in lines if type(line) is str][:100]
            if type(lines) is list
            else []
        )
        message = text.get("evalue", "")[:TEXT]
        return new_output(
            "error", ename=text.get("ename", "")[:200], evalue=message, traceback=shown
        )
    if kind not in ("display_data", "execute_result") or type(output.get("data")) is not dict:
        return None
    data = {
        mime: value[:left]
        for mime, value in list(output["data"].items())[:OUTPUT_KEYS]
        if mime in SHOWN and type(value) is str and _is_whole(mime, value)
    }
    # In nbgrader a result is a mark; only a test gives one.
    return new_output("display_data", data=data) if data else None


def _is_whole(mime: str, value: str) -> bool:
    if not mime.startswith("image/") or mime == "image/svg+xml":
        return True
    try:
        base64.b64decode(value.replace("\n", ""), validate=True)
    except (ValueError, binascii.Error):
        return False
    return True
