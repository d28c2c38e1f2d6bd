"""The student's side: runs cells in IPython and answers what tests ask of its objects.

Nothing here is trusted: a student's code may change any of it, in its own process, and gains
nothing by that. This module and `wire` are all of the course's grading that a student's process
holds; neither knows a test.
"""

from __future__ import annotations

import base64
import builtins
import io
import itertools
import json
import marshal
import operator
import os
import random
import signal
import socket
import sys
import threading
import time
import traceback
import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

from nlp_course.grading import wire

REQUEST_BYTES = 256 << 20
PRINTED = 20_000  # characters of what calls print
TEXT = 2000  # characters of a message, or of a line of a traceback
OUTPUTS = 1000
ERROR_LINES = 40
FRAMES, CHAIN = 10, 4  # shown of each end of a traceback, and of exceptions in a chain
BATCH_SECONDS = 0.005
VIEWS: Any = (type({}.keys()), type({}.values()), type({}.items()))
CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "int": int,
    "index": operator.index,
    "str": str,
    "array": np.asarray,
}
# In Jupyter figures are shown inline; pip has no network, and is not to wait for one.
ENVIRONMENT = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PIP_NO_INDEX": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}


class _Outputs:
    """Outputs of a cell as a notebook holds them, in order, up to a number of characters."""

    def __init__(self, limit: int = 0) -> None:
        self.limit = self.left = limit
        self.kept: list[dict[str, Any]] = []
        self.cut = False

    def add(self, output: dict[str, Any], size: int) -> None:
        if size > self.left or len(self.kept) >= OUTPUTS:
            self.cut = True
            return
        self.left -= size
        self.kept.append(output)

    def write(self, name: str, text: str) -> None:
        last = self.kept[-1] if self.kept else {}
        goes_on = last.get("name") == name
        keep = text[: self.left] if goes_on or len(self.kept) < OUTPUTS else ""
        self.cut = self.cut or len(keep) < len(text)
        self.left -= len(keep)
        if goes_on and keep:
            last["text"].append(keep)
        elif keep:
            self.kept.append({"output_type": "stream", "name": name, "text": [keep]})

    def clear(self) -> None:
        self.__init__(self.limit)  # type: ignore[misc]

    def end(self) -> list[dict[str, Any]]:
        for output in self.kept:
            if output["output_type"] == "stream":
                output["text"] = "".join(output["text"])
        return self.kept


class _Stream(io.TextIOBase):
    """What a student's code prints to."""

    encoding = "utf-8"

    def __init__(self, write: Callable[[str, str], None], name: str) -> None:
        self._write, self._name = write, name

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() takes text, not {type(text).__name__}")
        self._write(self._name, text)
        return len(text)


class _Publisher(DisplayPublisher):
    agent: Agent

    def publish(self, data: Any, metadata: Any = None, **_: Any) -> None:  # type: ignore[override]  # noqa: ARG002
        self.agent.shown("display_data", data)

    def clear_output(self, wait: bool = False) -> None:  # noqa: ARG002
        self.agent.outputs.clear()


class _Hook(DisplayHook):
    agent: Agent

    def start_displayhook(self) -> None:
        pass

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:  # noqa: ARG002
        self.agent.shown("execute_result", format_dict)

    def finish_displayhook(self) -> None:
        pass


class _Shell(InteractiveShell):
    """IPython without a terminal and without anything of the user's: no files, no history."""

    agent: Agent
    displayhook_class = Type(_Hook)
    display_pub_class = Type(_Publisher)

    def showtraceback(self, exc_tuple: Any = None, *rest: Any, **options: Any) -> None:
        """As IPython does, but IPython takes a second over a thousand frames."""
        kind, error, trace = self._get_exc_info(exc_tuple)
        _shorten(error)
        super().showtraceback((kind, error, trace), *rest, **options)

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        lines = self.InteractiveTB.stb2text(stb)[-ERROR_LINES * TEXT :].splitlines()
        error = {
            "output_type": "error",
            "ename": etype.__name__[:200],
            "evalue": _message(evalue),
            "traceback": [line[:TEXT] for line in lines[-ERROR_LINES:]],
        }
        # An error is shown whatever was printed before it.
        self.agent.outputs.add(error, 0)

    def enable_gui(self, gui: Any = None) -> None:
        """Figures are pictures here: there is no window to wait for."""

    def system(self, cmd: str) -> None:
        """`!command`: what it prints is shown."""
        import subprocess

        done = subprocess.run(
            cmd, shell=True, capture_output=True, text=True, errors="replace", check=False
        )
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        self.user_ns["_exit_code"] = done.returncode


def _shell() -> _Shell:
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    config.InteractiveShell.xmode = "Context"
    config.InteractiveShell.cache_size = 0
    return _Shell.instance(config=config, user_module=types.ModuleType("__main__"))


def _message(error: BaseException) -> str:
    try:
        return str(error)[:TEXT]
    except BaseException:  # its own __str__ fails
        return ""


def _shorten(error: BaseException) -> None:
    """Leave the ends of a traceback, without this file's lines, and the last of a chain."""
    for _ in range(CHAIN):
        trace, nodes = error.__traceback__, []
        while trace is not None and trace.tb_frame.f_code.co_filename != __file__:
            nodes.append(trace)
            trace = trace.tb_next
        if nodes:
            nodes[-1].tb_next = None
        if len(nodes) > 2 * FRAMES:
            nodes[FRAMES - 1].tb_next = nodes[-FRAMES]
        before = error.__cause__ or error.__context__
        if before is None:
            return
        error = before
    error.__cause__ = error.__context__ = None


def _of_student(trace: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback from where the student's code begins."""
    while trace is not None:
        code, trace = trace.tb_frame.f_code, trace.tb_next
        if code.co_filename == __file__ and code.co_name.startswith("_do_"):
            break
    return trace


def prepare() -> None:
    """What every student's process needs; done once, before any of them is forked."""
    shell = _shell()
    if "matplotlib" in sys.modules:  # imported before the shell that is to show its figures
        shell.enable_matplotlib("inline")


def _no_input(prompt: object = "") -> str:  # noqa: ARG001
    raise RuntimeError("input() has nobody to ask while a notebook is graded")


class Agent:
    """One student's process: a shell, the objects that tests hold handles on, a channel."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.shell = _shell()
        self.outputs = _Outputs()
        self.running = False  # a cell runs, and what is printed is its output
        self.busy = False  # an interrupt may end what is done now
        self.said = ""  # what calls printed
        self.objects: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}  # of these objects, by their id
        self.late: dict[int, BaseException] = {}  # what iterators raised after some items
        self.next_number = itertools.count(1)
        self.sequence = 0
        self.copies: dict[int, int] = {}
        self.thread = threading.get_ident()
        self.pid = os.getpid()
        for part in (self.shell, self.shell.display_pub, self.shell.displayhook):
            vars(part)["agent"] = self
        sys.modules["__main__"] = self.shell.user_module
        sys.stdout, sys.stderr = _Stream(self.printed, "stdout"), _Stream(self.printed, "stderr")
        sys.stdin = io.StringIO()
        builtins.input = _no_input

    def printed(self, name: str, text: str) -> None:
        if self.running:
            self.outputs.write(name, text)
        elif len(self.said) < PRINTED:
            self.said += text[: PRINTED - len(self.said)]

    def shown(self, kind: str, forms: Any) -> None:
        data = {}
        for mime, value in dict(forms).items():
            if isinstance(value, bytes):
                value = base64.b64encode(value).decode()
            data[str(mime)] = value if isinstance(value, str) else json.dumps(value, default=repr)
        if self.running:
            self.outputs.add({"output_type": kind, "data": data}, sum(map(len, data.values())))

    def serve(self) -> None:
        """Answer until the channel closes."""
        signal.signal(signal.SIGINT, self._interrupt)
        while True:
            try:
                request = wire.receive(self.channel, None, REQUEST_BYTES)
            except (EOFError, OSError):
                return
            self._answer(self._read(request))

    def _interrupt(self, signum: int, frame: Any) -> None:  # noqa: ARG002
        if self.busy:
            self.busy = False
            raise KeyboardInterrupt

    def _read(self, request: bytes) -> Any:
        try:
            return wire.loads(request, self._found)
        except wire.WireError as error:
            return "ask", self.sequence + 1, "fail", f"what the test passed {error}"

    def _answer(self, request: Any) -> None:
        _, self.sequence, op, *arguments = request
        if op == "snapshot":
            self._snapshot(*arguments)
            return
        self.said = ""
        before = _states(*arguments[1:]) if op == "call" else {}
        changed: dict[Any, Any] = {}
        try:
            try:
                self.busy = True
                result = getattr(self, f"_do_{op}")(*arguments)
            finally:
                self.busy = False
                changed = _changed(before, *arguments[1:]) if before else {}
            self._reply("ok", list(result) if isinstance(result, VIEWS) else result, changed)
        except BaseException as error:
            self._reply_error(error, changed)

    def _reply(self, status: str, *message: Any) -> None:
        if os.getpid() != self.pid:
            os._exit(0)  # a process that the student's code forked and forgot to end
        try:
            data = wire.dumps((self.sequence, self.said, status, *message), self._named)
        except wire.WireError as error:
            what = type(message[0]).__name__ if status == "ok" else "value"
            raise TypeError(f"your code returned a {what}, which {error}") from error
        wire.send(self.channel, data)

    def _reply_error(self, error: BaseException, changed: Any) -> None:
        kinds = [kind.__name__[:100] for kind in type(error).__mro__]
        try:
            shown = error.with_traceback(_of_student(error.__traceback__))
            lines = "".join(traceback.format_exception(shown, limit=-8, chain=False))[-2 * TEXT :]
        except BaseException:  # an exception of a student's own can fail in every way
            lines = ""
        try:
            self._reply("error", kinds, _message(error), lines, changed)
        except TypeError as trouble:  # what it did to its arguments cannot be sent
            self._reply("error", ["TypeError"], _message(trouble), lines, {})

    def _named(self, value: Any) -> list[Any]:
        """How an object that stays here is called over there."""
        if isinstance(value, _Lent):
            return ["lent", value._number]
        number = self.numbers.get(id(value))
        if number is None:
            number = self.numbers[id(value)] = next(self.next_number)
            self.objects[number] = value
        kind = type(value)
        kinds = [f"{base.__module__}.{base.__qualname__}"[:200] for base in kind.__mro__[:40]]
        return ["ours", number, kind.__name__[:100], kinds, hasattr(kind, "__next__")]

    def _found(self, name: list[Any]) -> Any:
        kind, key, *rest = name
        if kind == "ours":
            return self.objects[key]
        if kind == "library":
            return getattr(sys.modules[key], rest[0])
        can_call, own = rest
        if own in self.shell.user_ns:
            return self.shell.user_ns[own]
        return (_LentFunction if can_call else _Lent)(self, key)

    def call_back(self, number: int, arguments: Any, options: Any) -> Any:
        """Ask the test's own function, during a call; it may call here meanwhile."""
        if threading.get_ident() != self.thread or not self.busy:
            raise RuntimeError("a test's function can be called during the test's call alone")
        self._reply("callback", number, arguments, options)
        sequence = self.sequence
        while True:
            message = self._read(wire.receive(self.channel, None, REQUEST_BYTES))
            if message[0] != "ask":
                break
            self._answer(message)
            self.sequence, self.busy = sequence, True
        self.said = ""  # the callback has told it
        if message[0] == "ok":
            return message[1]
        raise getattr(builtins, message[1], RuntimeError)(message[2])

    def _snapshot(self, number: int) -> None:
        """Fork; the copy serves the socket that comes with the request."""
        _, (descriptor, *_), _, _ = socket.recv_fds(self.channel, 1, 1)
        torch = sys.modules.get("torch")
        possible = torch is None or not torch.cuda.is_initialized()
        self.said = ""
        chance = random.getstate()
        with socket.socket(fileno=descriptor) as channel:
            try:
                pid = os.fork() if possible else -1
            except OSError as error:
                self._reply_error(error, {})
                return
            if pid == 0:
                random.setstate(chance)  # Python seeds it afresh after a fork
                self._be_copy(channel, torch)
        if possible:
            self.copies[number] = pid
        self._reply("ok", possible, {})

    def _be_copy(self, channel: socket.socket, torch: Any) -> None:
        """Never returns."""
        try:
            self.channel.close()
            self.channel = channel
            self.copies, self.pid = {}, os.getpid()
            if torch is not None:
                torch.set_num_threads(1)
            self.serve()
        finally:
            os._exit(0)

    def _do_drop(self, number: int) -> None:
        pid = self.copies.pop(number)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def _do_fail(self, why: str) -> None:
        raise ValueError(why)

    def _do_run(self, source: str, limit: int) -> tuple[list[dict[str, Any]], bool]:
        self.outputs = _Outputs(limit)
        self.running = True
        try:
            self.shell.run_cell(source, store_history=True)
        finally:
            self.running = False
        return self.outputs.end(), self.outputs.cut

    def _do_get(self, name: str) -> Any:
        return self.shell.user_ns[name]

    def _do_attr(self, target: Any, name: str) -> Any:
        return getattr(target, name)

    def _do_set(self, target: Any, name: str, value: Any) -> None:
        setattr(target, name, value)

    def _do_call(self, target: Any, arguments: Any, options: Any) -> Any:
        return target(*arguments, **options)

    def _do_item(self, target: Any, key: Any) -> Any:
        return target[key]

    def _do_setitem(self, target: Any, key: Any, value: Any) -> None:
        target[key] = value

    def _do_delitem(self, target: Any, key: Any) -> None:
        del target[key]

    def _do_len(self, target: Any) -> int:
        return len(target)

    def _do_iter(self, target: Any) -> Iterator[Any]:
        return iter(target)

    def _do_next(self, iterator: Iterator[Any], most: int) -> tuple[list[Any], bool]:
        """Some items, and whether they were the last; few where each takes its time."""
        if id(iterator) in self.late:
            raise self.late.pop(id(iterator))
        items: list[Any] = []
        until = time.monotonic() + BATCH_SECONDS
        while len(items) < most and (not items or time.monotonic() < until):
            try:
                items.append(next(iterator))
            except StopIteration:
                return items, True
            except BaseException as error:
                if not items:
                    raise
                self.late[id(iterator)] = error
                break
        return items, False

    def _do_operator(self, target: Any, name: str, turned: bool, *other: Any) -> Any:
        operands = (*other, target) if turned else (target, *other)
        plain = {"and": "and_", "or": "or_"}.get(name, name)
        return getattr(operator, plain)(*operands)

    def _do_convert(self, target: Any, kind: str) -> Any:
        return CONVERSIONS[kind](target)

    def _do_isinstance(self, kind: Any, value: Any) -> bool:
        return isinstance(value, kind)

    def _do_issubclass(self, kind: Any, value: Any) -> bool:
        return issubclass(value, kind)


class _Lent:
    """A test's own object, of which nothing can be seen here; it can be handed back."""

    __slots__ = ("_agent", "_number")

    def __init__(self, agent: Agent, number: int) -> None:
        self._agent, self._number = agent, number


class _LentFunction(_Lent):
    """A test's own function."""

    __slots__ = ()

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._agent.call_back(self._number, arguments, options)


def _states(arguments: Any, options: Any) -> dict[Any, Any]:
    """What can be changed of a call's arguments, by place or name, and how it is now."""
    places = [*enumerate(arguments), *options.items()]
    return {place: _state(value) for place, value in places if _can_change(value)}


def _changed(before: dict[Any, Any], arguments: Any, options: Any) -> dict[Any, Any]:
    now = {place: options[place] if type(place) is str else arguments[place] for place in before}
    return {place: value for place, value in now.items() if _state(value) != before[place]}


def _can_change(value: Any) -> bool:
    torch = sys.modules.get("torch")
    kinds = (list, dict, set, tuple, deque, bytearray, np.ndarray)
    return isinstance(value, kinds) or (torch is not None and isinstance(value, torch.Tensor))


def _state(value: Any) -> Any:
    try:
        return marshal.dumps(value, 2)  # many times faster, but knows no array
    except ValueError:
        pass
    try:
        return wire.dumps(value, lambda stays: [id(stays)])
    except wire.WireError:
        return None


def serve(channel: socket.socket) -> None:
    """Serve one student's notebook until the channel closes."""
    os.environ.update(ENVIRONMENT)
    served = Agent(channel)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    served.serve()
