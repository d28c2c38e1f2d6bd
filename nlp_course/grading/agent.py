"""The student's side: runs cells in IPython and answers what tests ask of its objects.

Nothing here is trusted: a student's code may change any of it, in its own process, and gains
nothing by that. This module and `wire` are all of the course's grading that a student's process
holds; neither knows a test.
"""

from __future__ import annotations

import base64
import io
import itertools
import operator
import os
import random
import signal
import socket
import sys
import time
import traceback
import types
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
OUTPUTS = 1000
BATCH = 256
BATCH_SECONDS = 0.02
VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))


class _Outputs:
    """Outputs of a cell as a notebook holds them, in order, up to a number of bytes."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, limit: int) -> None:
        self.kept: list[dict[str, Any]] = []
        self.left, self.cut = limit, 0

    def add(self, output: dict[str, Any], size: int) -> None:
        if size > self.left or len(self.kept) >= OUTPUTS:
            self.cut += size
            return
        self.left -= size
        self.kept.append(output)

    def write(self, name: str, text: str) -> None:
        keep = text[: max(self.left, 0)]
        self.cut += len(text) - len(keep)
        self.left -= len(keep)
        last = self.kept[-1] if self.kept else None
        if last is not None and last["output_type"] == "stream" and last["name"] == name:
            last["text"].append(keep)
        elif keep:
            if len(self.kept) < OUTPUTS:
                self.kept.append({"output_type": "stream", "name": name, "text": [keep]})
            else:
                self.cut += len(keep)

    def end(self) -> list[dict[str, Any]]:
        for output in self.kept:
            if output["output_type"] == "stream":
                output["text"] = "".join(output["text"])
        if self.cut:
            text = f"\n… output cut: {self.cut:,} more characters\n"
            self.kept.append({"output_type": "stream", "name": "stdout", "text": text})
        return self.kept


class _Stream(io.TextIOBase):
    """What a student's code prints to."""

    def __init__(self, agent: Agent, name: str) -> None:
        self._agent, self._name = agent, name

    encoding = "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() takes text, not {type(text).__name__}")
        self._agent.printed(self._name, text)
        return len(text)


class _Publisher(DisplayPublisher):
    agent: Agent

    def publish(self, data: Any, metadata: Any = None, **_: Any) -> None:  # type: ignore[override]
        self.agent.shown({"output_type": "display_data", "data": data, "metadata": metadata or {}})

    def clear_output(self, wait: bool = False) -> None:  # noqa: ARG002
        self.agent.outputs.begin(self.agent.limit)


class _Hook(DisplayHook):
    agent: Agent

    def start_displayhook(self) -> None:
        pass

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        self.agent.shown(
            {
                "output_type": "execute_result",
                "data": format_dict,
                "metadata": md_dict or {},
                "execution_count": None,
            }
        )

    def finish_displayhook(self) -> None:
        pass


class _Shell(InteractiveShell):
    """IPython without a terminal and without anything of the user's: no files, no history."""

    agent: Agent
    displayhook_class = Type(_Hook)
    display_pub_class = Type(_Publisher)

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        lines = list(map(str, self.InteractiveTB.stb2text(stb).splitlines()))[-80:]
        try:
            message = str(evalue)[:2000]
        except Exception:
            message = ""
        self.agent.outputs.add(
            {
                "output_type": "error",
                "ename": etype.__name__[:200],
                "evalue": message,
                "traceback": lines,
            },
            0,
        )

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


def prepare() -> None:
    """What every student's process needs; done once, before any of them is forked."""
    _shell()


class Agent:
    """One student's process: a shell, the objects that tests hold handles on, a channel."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.shell = _shell()
        self.outputs = _Outputs()
        self.limit = 0
        self.running = False  # a cell runs, and what is printed is its output
        self.busy = False  # an interrupt may end what is done now
        self.calls: list[str] = []  # what calls printed
        self.objects: dict[int, Any] = {}
        self.ids = itertools.count(1)
        self.sequence = 0
        self.children: list[int] = []
        for part in (self.shell, self.shell.display_pub, self.shell.displayhook):
            part.agent = self  # type: ignore[union-attr]  # each is of a class above
        sys.modules["__main__"] = self.shell.user_module
        sys.stdout, sys.stderr = _Stream(self, "stdout"), _Stream(self, "stderr")
        sys.stdin = io.StringIO()
        import builtins

        def no_input(prompt: object = "") -> str:  # noqa: ARG001
            raise RuntimeError("input() has nobody to ask while a notebook is graded")

        builtins.input = no_input

    # what a student's code shows

    def printed(self, name: str, text: str) -> None:
        if self.running:
            self.outputs.write(name, text)
        else:
            kept = sum(map(len, self.calls))
            if kept < PRINTED:
                self.calls.append(text[: PRINTED - kept])

    def shown(self, output: dict[str, Any]) -> None:
        data = {}
        for kind, value in dict(output["data"]).items():
            if isinstance(value, bytes):
                value = base64.b64encode(value).decode()
            data[str(kind)] = value if isinstance(value, str) else repr(value)
        output = {**output, "data": data, "metadata": {}}
        if self.running:
            self.outputs.add(output, sum(map(len, data.values())) + 100)

    # what it is asked

    def serve(self) -> None:
        signal.signal(signal.SIGINT, self._interrupt)
        while True:
            try:
                request = wire.receive(self.channel, None, REQUEST_BYTES)
            except (EOFError, OSError):
                return
            self._answer(request)

    def _interrupt(self, signum: int, frame: Any) -> None:  # noqa: ARG002
        if self.busy:
            self.busy = False
            raise KeyboardInterrupt

    def _answer(self, request: bytes) -> None:
        self.calls = []
        changed = None
        try:
            self.sequence, op, *arguments = wire.loads(request, self._found)
            if op == "snapshot":
                self._snapshot()
                return
            passed = arguments[1:] if op == "call" else []
            before = _encoded(passed) if _mutable(tuple(passed)) else None
            try:
                self.busy = True
                result = getattr(self, f"_do_{op}")(*arguments)
            finally:
                self.busy = False
                if before is not None and _encoded(passed) != before:
                    changed = passed
            if isinstance(result, VIEWS):
                result = [*result]  # type: ignore[misc]  # views are iterable
            reply = self._pack("ok", result, changed)
        except BaseException as error:
            reply = self._error(error, changed)
        wire.send(self.channel, reply)

    def _pack(self, *message: Any) -> bytes:
        said = "".join(self.calls)[:PRINTED]
        return wire.dumps((self.sequence, said, *message), self._named)

    def _error(self, error: BaseException, changed: Any) -> bytes:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        try:
            message = str(error)[:2000]
        except BaseException:
            message = ""
        if isinstance(error, wire.WireError):
            kinds, message = ["TypeError"], f"what your code returned {message}"
        try:
            lines = "".join(traceback.format_exception(error, limit=-8))[-4000:]
            lines = lines.replace(__file__, "")
        except BaseException:
            lines = ""
        try:
            return self._pack("error", kinds, message, lines, changed)
        except BaseException:
            return self._pack("error", ["RuntimeError"], message, "", None)

    def _named(self, value: Any) -> list[Any]:
        """How an object that stays here is called over there."""
        if isinstance(value, _Theirs):
            return ["theirs", value._id]
        number = next(self.ids)
        self.objects[number] = value
        kinds = [f"{kind.__module__}.{kind.__qualname__}"[:200] for kind in type(value).__mro__][
            :40
        ]
        return ["ours", number, type(value).__name__[:100], callable(value), kinds]

    def _found(self, name: list[Any]) -> Any:
        kind, key = name
        if kind == "ours":
            return self.objects[key]
        if kind == "name":
            return self.shell.user_ns[key]
        return (_Callback if kind == "callback" else _Theirs)(self, key)

    def callback(self, key: int, arguments: Any, options: Any) -> Any:
        """Ask the test's own function, during a call."""
        wire.send(self.channel, self._pack("callback", key, arguments, options))
        status, *rest = wire.loads(wire.receive(self.channel, None, REQUEST_BYTES), self._found)
        if status == "ok":
            return rest[0]
        raise getattr(__import__("builtins"), rest[0], RuntimeError)(rest[1])

    def _snapshot(self) -> None:
        """Fork; the copy serves the socket that came with the request."""
        _, (descriptor, *_), _, _ = socket.recv_fds(self.channel, 1, 1)
        torch = sys.modules.get("torch")
        possible = torch is None or not torch.cuda.is_initialized()
        copy = socket.socket(fileno=descriptor)
        while self.children and os.waitpid(self.children[0], os.WNOHANG)[0]:
            del self.children[0]
        pid = os.fork() if possible else -1
        if pid == 0:
            self.channel.close()
            self.channel = copy
            self.children = []
            if torch is not None:
                torch.set_num_threads(1)
            return
        copy.close()
        if possible:
            self.children.append(pid)
        wire.send(self.channel, self._pack("ok", possible, None))

    def _do_run(self, source: str, limit: int) -> list[dict[str, Any]]:
        self.limit = limit
        self.outputs.begin(limit)
        self.running = True
        try:
            self.shell.run_cell(source, store_history=True)
        finally:
            self.running = False
        return self.outputs.end()

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

    def _do_iter(self, target: Any) -> list[Any]:
        iterator = iter(target)
        number = next(self.ids)
        self.objects[number] = iterator
        return [number, self._do_next(iterator)]

    def _do_next(self, iterator: Iterator[Any]) -> list[Any]:
        """Some items, and whether these are all; few where each takes its time."""
        items, until = [], time.monotonic() + BATCH_SECONDS
        for item in iterator:
            items.append(item)
            if len(items) == BATCH or time.monotonic() > until:
                return [items, False]
        return [items, True]

    def _do_more(self, number: int) -> list[Any]:
        return self._do_next(self.objects[number])

    def _do_one(self, iterator: Iterator[Any]) -> Any:
        return next(iterator)

    def _do_operator(self, name: str, *operands: Any) -> Any:
        return getattr(operator, name)(*operands)

    def _do_convert(self, kind: str, target: Any) -> Any:
        known: dict[str, Callable[[Any], Any]] = {
            "float": float,
            "int": int,
            "index": operator.index,
            "array": np.asarray,
        }
        return known[kind](target)

    def _do_isinstance(self, value: Any, kind: Any) -> bool:
        return isinstance(value, kind)


class _Theirs:
    """A test's own object, of which nothing can be seen here; it can be handed back."""

    __slots__ = ("_agent", "_id")

    def __init__(self, agent: Agent, number: int) -> None:
        self._agent, self._id = agent, number


class _Callback(_Theirs):
    """A test's own function."""

    __slots__ = ()

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._agent.callback(self._id, arguments, options)


def _mutable(value: Any) -> bool:
    if isinstance(value, list | dict | set | bytearray | np.ndarray):
        return not isinstance(value, list | dict | set) or bool(value)
    if isinstance(value, tuple):
        return any(map(_mutable, value))
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _blank(value: Any) -> list[Any]:  # noqa: ARG001
    return []


def _encoded(value: Any) -> bytes | None:
    try:
        return wire.dumps(value, _blank)
    except wire.WireError:
        return None


def serve(channel: socket.socket) -> None:
    """Serve one student's notebook until the channel closes."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    Agent(channel).serve()
