"""The built book, once for all tests that read it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def built(pytestconfig: pytest.Config) -> Path:
    """The folder of built pages; building is quick where nothing changed."""
    command = [sys.executable, str(ROOT / "book" / "_ext" / "build.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lacking = "need real text that is not on this machine" in done.stderr
    if lacking and "real_data" not in pytestconfig.getoption("--require"):
        pytest.skip(f"the book needs real corpora: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return ROOT / "_build" / "html"
