"""What the tests need from the machine, and how they skip, aloud, where it is absent."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

# How long an example takes depends on what else the machine does.
settings.register_profile("course", deadline=None)
settings.load_profile("course")

ROOT = Path(__file__).resolve().parents[1]
MARKS = ("real_data", "browser", "postgresql", "sandbox", "gpu")
NEVER_NEEDED = ("text8",)  # too large to ask for


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require",
        default="",
        metavar="MARKS",
        help="marks, separated by spaces, whose tests must be able to run here: "
        "'browser real_data' makes a missing Chromium or corpus an error, not a skip",
    )
    parser.addoption(
        "--screenshots",
        type=Path,
        metavar="FOLDER",
        help="where to put a picture of each page on each screen, to be looked at; it takes "
        "longer than the tests",
    )


def _missing(mark: str) -> str | None:
    """Why tests with this mark cannot run here; None when they can."""
    if mark == "real_data":
        # Imported late: the run-time shape checks must be in place before the package is.
        from nlp_course import data

        missing = [name for name in data.names() if name not in NEVER_NEEDED and data.missing(name)]
        if missing:
            return f"real corpora: run nlp-course data fetch {' '.join(missing)}"
    if mark == "browser" and not shutil.which("chromium"):
        return "headless browser: install Chromium (Debian: apt-get install chromium)"
    if mark == "postgresql" and not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return "PostgreSQL: install its server (Debian: apt-get install postgresql)"
    if mark == "sandbox":
        return _no_sandbox()
    if mark == "gpu":
        if not importlib.util.find_spec("torch"):
            return "torch is not installed"
        import torch

        if not torch.cuda.is_available():
            return "no CUDA device"
    return None


def _no_sandbox() -> str | None:
    """Why notebooks of strangers cannot be run here."""
    from nlp_course.grading.sandbox import SandboxError, best_layer

    try:
        layer = best_layer()
    except SandboxError as error:
        return str(error)
    return None if layer.bubblewrap else "bubblewrap (Debian: apt-get install bubblewrap)"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reasons = {mark: _missing(mark) for mark in MARKS}
    for mark in config.getoption("--require").split():
        if mark not in reasons:
            raise pytest.UsageError(f"--require knows {', '.join(reasons)}; not {mark!r}")
        if reasons[mark]:
            raise pytest.UsageError(f"required, but cannot run here: {reasons[mark]}")
    for item in items:
        for mark, reason in reasons.items():
            if reason and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def built(pytestconfig: pytest.Config) -> Path:
    """The folder of built pages; building is quick where nothing changed."""
    command = [sys.executable, str(ROOT / "book" / "_ext" / "build.py")]
    # Tests run two at a time: the second waits for the first one's build, and finds it done.
    (ROOT / "_build").mkdir(exist_ok=True)
    with FileLock(ROOT / "_build" / "tests.lock"):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lacking = "need real text that is not on this machine" in done.stderr
    if lacking and "real_data" not in pytestconfig.getoption("--require"):
        pytest.skip(f"the book needs real corpora: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return ROOT / "_build" / "html"
