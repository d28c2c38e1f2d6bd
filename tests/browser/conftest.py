"""The built pages on a server of this machine, and the scripts that open them in Chromium."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Nothing: a line for each request would bury the tests' own."""


@pytest.fixture(scope="session")
def site(built: Path) -> Iterator[str]:
    """The address of the built pages."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(built)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def browse(site: str) -> Callable[..., Any]:
    """Runs one of the scripts beside this file on the pages; gives what it found."""

    def run(script: str, *arguments: str) -> Any:
        node = Path(sys.executable).with_name("node")
        chromium = shutil.which("chromium") or "chromium"
        command = [node, HERE / script, chromium, site, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
