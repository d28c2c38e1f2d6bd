"""The trusted side of a student's process: handles on its objects, and nothing but data.

A test uses the student's names as if they were its own. A call sends plain data and gets plain
data; any other object stays with the student behind a `Remote`. What a test passes that is no
data is lent: the student's process may call it, or hand it back, during that call, and later only
when the test uses what the call returned. Every answer is taken for an attacker's.
"""

from __future__ import annotations

import builtins
import contextlib
import itertools
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

from nbformat import NotebookNode

from nlp_course.grading import wire
from nlp_course.grading.handles import Facts, Remote, facts
from nlp_course.grading.outputs import claimed_outputs, cleaned, error_output
from nlp_course.grading.writeback import write_back

__all__ = ["CallTimeout", "Names", "Remote", "SessionLost", "Student", "StudentError"]

TEXT = 2000  # bytes kept of a message
TRACEBACK = 4000
PRINTED = 20_000
CALL_SECONDS = 60.0  # for an answer, where no deadline is set
INTERRUPT_SECONDS = 2.0
COPY_SECONDS = 20.0
CALLBACKS = 100_000  # of one call
NESTED = 20  # calls of a student's within calls of a test's within …
PLAIN = (int, float, str, bool, bytes, type(None))
# Where what a test may pass on by its name is found: np.exp, math.sqrt, float.
LIBRARIES = ("builtins", "math", "operator", "numpy", "torch", "torch.nn", "torch.nn.functional")


class StudentError(Exception):
    """What a student's code raised; a subclass of the built-in class that it stands for, too.

    Parameters
    ----------
    traceback_text : from the student's side, for the student
    kind : name of the built-in class
    """

    traceback_text = ""
    kind = "Exception"

    def __str__(self) -> str:  # a KeyError would show the message's repr
        return str(self.args[0]) if self.args else ""


class CallTimeout(StudentError, TimeoutError):
    """A call that was not answered in time."""

    kind = "TimeoutError"


class SessionLost(Exception):
    """The student's process has ended, or no longer speaks sense."""


_CLASSES: dict[str, type[StudentError]] = {}


def _student_error(kinds: Any, message: Any, lines: Any) -> StudentError:
    """An exception that `except ValueError` takes for one, made of built-in classes alone."""
    error = None
    for name in kinds if type(kinds) is list else []:
        if type(name) is str and error is None:
            error = _of_class(name, cleaned(message, TEXT))
    error = error or StudentError(cleaned(message, TEXT))
    error.traceback_text = cleaned(lines, TRACEBACK)
    return error


def _of_class(name: str, message: str) -> StudentError | None:
    # The end of an iteration, raised by a function, would end a loop of the test's in silence.
    name = "RuntimeError" if name in ("StopIteration", "StopAsyncIteration") else name
    base = getattr(builtins, name, None)
    if not isinstance(base, type) or not issubclass(base, Exception):
        return None
    if name not in _CLASSES:
        _CLASSES[name] = type(name, (StudentError, base), {"kind": name})
    try:
        return _CLASSES[name](message)
    except TypeError:  # such as UnicodeDecodeError, which takes five arguments
        return None


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
        self._sequence = self._depth = 0
        self._handles: WeakValueDictionary[int, Remote] = WeakValueDictionary()
        self._numbers = itertools.count(1)
        self._lent: dict[int, Any] = {}  # what the student's process may use now, by its number
        self._known: dict[int, tuple[int, Any]] = {}  # numbers of all there was, by its id
        self._own: dict[int, tuple[str, Any]] = {}  # names by the object's id, and the object
        self._refused: AssertionError | None = None
        self._origin: tuple[Student, int] | None = None
        self._copies = itertools.count(1)
        self.received = 0
        self.deadline: float | None = None
        self.printed = ""
        self.lost: str | None = None

    def run_cell(
        self, source: str, timeout: float | int, *, output_limit: int = 1 << 20
    ) -> list[NotebookNode]:
        """Run a cell of the student's; its outputs.

        Raises
        ------
        SessionLost : the process has ended, or did not stop when its time was over.
        """
        self.deadline = time.monotonic() + timeout
        stopped = False
        try:
            self._say("run", source, output_limit)
            try:
                answer = self._answer(self._sequence)
            except CallTimeout:
                answer, stopped = self._after_interrupt(timeout), True
        except StudentError as error:  # the agent's own trouble with what the cell did
            return [error_output(error.kind, str(error))]
        finally:
            self.deadline = None
        outputs, was_cut = answer if type(answer) is tuple and len(answer) == 2 else ([], True)
        kept = claimed_outputs(outputs, was_cut, output_limit)
        return _stopped(kept, timeout) if stopped else kept

    def _after_interrupt(self, timeout: float | int) -> Any:
        if self._interrupt is not None:
            self.lost = None
            self._interrupt()
            self.deadline = time.monotonic() + INTERRUPT_SECONDS
            with contextlib.suppress(CallTimeout):
                return self._answer(self._sequence)
        self.lost = f"a cell did not stop after {timeout:.0f} seconds"
        raise SessionLost(self.lost)

    def snapshot(self) -> Student | None:
        """A copy of the process as it is now; None where it cannot be copied."""
        ours, theirs = socket.socketpair()
        number = next(self._copies)
        self.deadline = time.monotonic() + COPY_SECONDS
        try:
            self._say("snapshot", number)
            socket.send_fds(self._channel, [b"s"], [theirs.fileno()])
            possible = self._answer(self._sequence)
        except (OSError, StudentError, SessionLost) as error:
            ours.close()
            self.lost = self.lost or f"its process could not be copied ({error})"
            raise SessionLost(self.lost) from error
        finally:
            theirs.close()
            self.deadline = None
        if possible is not True:
            ours.close()
            return None
        copy = Student(ours, limits=self._limits)
        copy._sequence, copy._origin = self._sequence, (self, number)
        return copy

    def names(self, own: Mapping[str, Any]) -> Names:
        """Globals for a test: its own names first, then the student's."""
        self._own = {
            id(value): (name, value) for name, value in own.items() if not isinstance(value, PLAIN)
        }
        return Names(self, own)

    def close(self) -> None:
        """End a copy; of the first process, close the channel, which it notices when it waits."""
        self._channel.close()
        self.lost = self.lost or "it is closed"
        if self._origin is not None and self._origin[0].lost is None:
            origin, number = self._origin
            origin.deadline = time.monotonic() + COPY_SECONDS
            # What goes wrong is the original's loss, which its next use tells.
            with contextlib.suppress(StudentError, SessionLost):
                origin.ask("drop", number)
            origin.deadline = None

    def ask(self, op: str, *arguments: Any) -> Any:
        """Ask for something, and serve the test's own functions until the answer comes.

        Raises
        ------
        StudentError : what the student's code raised.
        CallTimeout : there was no answer in time.
        SessionLost : there will be none.
        """
        if self._depth >= NESTED:
            raise RuntimeError("the test's and the student's functions call each other too deeply")
        target = facts(arguments[0]) if arguments and type(arguments[0]) is Remote else None
        before, self._lent = self._lent, {**self._lent, **((target and target.lent) or {})}
        known = set(self._lent)
        self._depth += 1
        try:
            self._say(op, *arguments)
            passed = (arguments[1], arguments[2]) if op == "call" else ((), {})
            result = self._answer(self._sequence, *passed)
            new = {key: value for key, value in self._lent.items() if key not in known}
            _keep_lent(target, op, result, new)
            return result
        finally:
            self._lent = before
            self._depth -= 1
            if not self._depth and self._refused is not None:
                refused, self._refused = self._refused, None
                raise refused

    def _lose(self, why: str) -> Any:
        self.lost = self.lost or why
        raise SessionLost(self.lost)

    def _left(self) -> float:
        if self.deadline is None:
            return CALL_SECONDS
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise CallTimeout("your code was still running when the time for this was over")
        return left

    def _say(self, op: str, *arguments: Any) -> None:
        if self.lost is not None:
            raise SessionLost(self.lost)
        left = self._left()
        message = ("ask", self._sequence + 1, op, *arguments)
        self._send(wire.dumps(message, self._named, self._limits), left)
        self._sequence += 1

    def _send(self, message: bytes, left: float) -> None:
        self._channel.settimeout(left)
        try:
            wire.send(self._channel, message)
        except TimeoutError as error:
            self.lost = "it did not listen"
            raise CallTimeout("your code did not listen in time") from error
        except OSError:
            self._lose("its process has ended")
        except BaseException:  # the end of the test's time, in the middle of a message
            self.lost = "a call was broken off"
            raise

    def _answer(self, sequence: int, arguments: Any = (), options: Any = None) -> Any:
        try:
            return self._wait(sequence, arguments, options or {})
        except (StudentError, SessionLost):
            raise
        except BaseException:
            self.lost = self.lost or "a call was broken off"
            raise

    def _wait(self, sequence: int, arguments: Any, options: Any) -> Any:
        for _ in range(CALLBACKS):
            number, said, status, *rest = self._message()
            if number != sequence:
                continue  # said out of turn
            if type(said) is str:
                self.printed = (self.printed + cleaned(said, PRINTED))[:PRINTED]
            if status == "callback":
                self._call_back(*rest)
                continue
            write_back(arguments, options, rest.pop())
            if status == "ok":
                return rest[0]
            raise _student_error(*rest)
        return self._lose("it called the test's functions without end")

    def _message(self) -> tuple[Any, ...]:
        try:
            raw = wire.receive(self._channel, self._left(), self._limits.bytes)
            self.received = len(raw)
            message = wire.loads(raw, self._found, self._limits)
        except CallTimeout:
            self.lost = self.lost or "a call was not answered in time"
            raise
        except TimeoutError as error:
            self.lost = self.lost or "a call was not answered in time"
            raise CallTimeout(
                "your code was still running when the time for this was over"
            ) from error
        except (EOFError, OSError):
            self._lose("its process has ended")
        except wire.WireError as error:
            self._lose(f"what it returned {error}")
        if type(message) is not tuple or len(message) < 3 or type(message[2]) is not str:
            return self._lose("it answered what is no answer")
        match message:
            case (int(), _, "ok", _, _) | (int(), _, "error", _, _, _, _):
                return message
            case (int(), _, "callback", int(), tuple(), dict()):
                return message
        return self._lose("it answered what is no answer")

    def _call_back(self, key: int, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        reply: tuple[Any, ...]
        try:
            if not callable(self._lent.get(key)):
                raise RuntimeError("this function was lent for one call, which is over")
            reply = ("ok", self._lent[key](*arguments, **options))
        except (SessionLost, CallTimeout):
            raise
        except Exception as error:
            reply = ("error", *self._told(error))
        try:
            message = wire.dumps(reply, self._named, self._limits)
        except (wire.WireError, TypeError) as error:
            message = wire.dumps(("error", "TypeError", f"the test's function's answer {error}"))
        self._send(message, self._left())

    def _told(self, error: Exception) -> tuple[str, str]:
        """What the student's process learns of an exception of the test's function."""
        if isinstance(error, AssertionError) and not isinstance(error, StudentError):
            # It fails the test even where the student's code goes on, and what it says stays here.
            self._refused = self._refused or error
            return "AssertionError", "the test's function refused this"
        names = [kind.__name__ for kind in type(error).__mro__]
        return next(name for name in names if hasattr(builtins, name)), cleaned(str(error), TEXT)

    def _named(self, value: Any) -> list[Any]:
        """How an object that stays here is called over there."""
        if type(value) is Remote:
            known = facts(value)
            if known.student is not self:
                raise TypeError(f"{value!r} is of another test, or of another student")
            if known.ahead:
                raise TypeError("a student's iterator that a test has begun cannot be passed on")
            return ["ours", known.number]
        name, _ = self._own.get(id(value), ("", None))
        library = "" if name else _library(value)
        if library:
            return ["library", library, value.__name__]
        if id(value) not in self._known:
            self._known[id(value)] = next(self._numbers), value
        key, self._lent[key] = self._known[id(value)]
        return ["lent", key, callable(value), name]

    def _found(self, name: list[Any]) -> Any:
        """What is meant by the name of an object, theirs or one of ours handed back."""
        match name:
            case ["lent", int(key)]:
                return self._lent[key]
            case ["ours", int(number), str(shown), list(kinds), bool(iterates)]:
                if number not in self._handles:
                    named = tuple(kind for kind in kinds[:40] if type(kind) is str)
                    remote = Remote(Facts(self, number, cleaned(shown, 100), named, iterates))
                    self._handles[number] = remote
                    return remote
                return self._handles[number]
        raise wire.WireError("is malformed")


def _stopped(outputs: list[NotebookNode], timeout: float | int) -> list[NotebookNode]:
    """Outputs of a cell that was interrupted, which say why."""
    why = f"the cell was stopped after {timeout:.3g} seconds"
    for output in reversed(outputs):
        if output.output_type == "error" and output.ename == "KeyboardInterrupt":
            output.evalue = why
            output.traceback = [*output.traceback[:-1], f"KeyboardInterrupt: {why}"]
            return outputs
    return [*outputs, error_output("KeyboardInterrupt", why)]


def _keep_lent(target: Facts | None, op: str, result: Any, new: dict[int, Any]) -> None:
    """Let what was lent in a call stay so for what the call returned, and for what it is of."""
    family = None if target is None else target.lent
    if op in ("call", "set", "setitem") and family is not None:
        family.update(new)
    if type(result) is Remote and facts(result).lent is None and op != "get":
        facts(result).lent = new if family is None and op == "call" else family


def _library(value: Any) -> str:
    """The library in which the student's process finds the same object by its name."""
    name = getattr(value, "__name__", None)
    if not callable(value) or type(name) is not str:
        return ""
    for library in LIBRARIES:
        if library in sys.modules and vars(sys.modules[library]).get(name) is value:
            return library
    return ""


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
            return self._student.ask("get", name)
        except KeyError:
            raise NameError(f"name {name!r} is not defined in the notebook") from None
