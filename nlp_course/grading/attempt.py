"""A locked-down process's own look at what is open to it, before any notebook is run."""

from __future__ import annotations

import importlib.util
import json
import os
import socket


def attempt(channel: socket.socket) -> None:
    """Say which of some files a locked-down child can read, and which modules it finds.

    The list comes over the child's own socket, so that no process that runs a notebook has held
    it: names of what is hidden are hidden too.
    """
    with channel.makefile("rb") as file:
        asked = json.loads(file.read())
    answer = {
        "readable": [path for path in asked["closed"] if _can_read(path, empty=False)],
        "missing": [path for path in asked["open"] if not _can_read(path, empty=True)],
        "found": [name for name in asked["withheld"] if _can_find(name)],
    }
    channel.sendall(json.dumps(answer).encode())
    channel.shutdown(socket.SHUT_WR)


def _can_read(path: str, *, empty: bool) -> bool:
    """Whether this process can read a file, or list a folder; one without entries, if `empty`."""
    try:
        if os.path.isdir(path):
            return bool(os.listdir(path)) or empty
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def _can_find(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its package is not there
        return False
