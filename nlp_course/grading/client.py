"""Asks a warm process to start, interrupt and kill others."""

from __future__ import annotations

import itertools
import json
import socket
import time
from typing import Any

from nlp_course.grading.layers import SandboxError

MESSAGE_BYTES = 1 << 16


class Process:
    """A process that a warm one started for us."""

    def __init__(self, client: Client, key: int) -> None:
        self._client, self._key = client, key

    def interrupt(self) -> None:
        """Send it SIGINT."""
        self._client.ask(do="interrupt", id=self._key)

    def kill(self) -> None:
        """Kill it and all that it started."""
        self._client.ask(do="kill", id=self._key)

    def ended(self, timeout: float) -> str | None:
        """Why it ended; None if it has not in so many seconds."""
        return self._client.wait(self._key, timeout)

    def waited(self, timeout: float) -> float:
        """Seconds that it and all that it started could have run, and no core was free.

        Raises
        ------
        TimeoutError : so many seconds were not enough to find out.
        EOFError : it has ended.
        """
        return self._client.waited(self._key, timeout)


class Client:
    """Asks a warm process; one thread's. When its socket closes, its processes are killed."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._keys = itertools.count(1)
        self._ends: dict[int, str] = {}

    def start(self, *channels: socket.socket, do: str = "start") -> Process:
        """Fork a process that serves these sockets.

        Raises
        ------
        SandboxError : the warm process has gone.
        """
        key = next(self._keys)
        message = json.dumps({"do": do, "id": key}).encode()
        try:
            socket.send_fds(self._control, [message], [one.fileno() for one in channels])
        except OSError as error:
            raise SandboxError("the process that starts notebooks has ended") from error
        return Process(self, key)

    def ask(self, **message: Any) -> None:
        """Send a request that has no answer; to who has gone it is none."""
        try:
            self._control.send(json.dumps(message).encode())
        except OSError:
            return

    def wait(self, key: int, timeout: float) -> str | None:
        """Why a process ended."""
        until = time.monotonic() + timeout
        while key not in self._ends:
            try:
                self._hear(until)
            except TimeoutError:
                return None
            except EOFError as error:
                return str(error)
        return self._ends[key]

    def waited(self, key: int, timeout: float) -> float:
        """Seconds that a process has waited for a core."""
        self.ask(do="waited", id=key)
        until = time.monotonic() + timeout
        while key not in self._ends:
            message = self._hear(until)
            if message.get("waited") == key:
                return float(message["seconds"])
        raise EOFError(self._ends[key])

    def _hear(self, until: float) -> dict[str, Any]:
        """The next message; whose process has ended is kept in mind.

        Raises
        ------
        TimeoutError, EOFError : there is none in time, there will be none any more.
        """
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._control.settimeout(left)
        try:
            data = self._control.recv(MESSAGE_BYTES)
        except TimeoutError:
            raise
        except OSError:
            data = b""
        finally:
            self._control.settimeout(None)
        if not data:
            raise EOFError("the process that starts notebooks has ended")
        message: dict[str, Any] = json.loads(data)
        if "ended" in message:
            self._ends[message["ended"]] = message["why"]
        return message
