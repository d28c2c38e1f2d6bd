"""The pages in headless Chromium, with every other host out of reach."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("[0-9][0-9]-*.md"))
HANDBOOK = sorted(f"instructors/{p.stem}" for p in (ROOT / "book" / "instructors").glob("*.md"))
HANDBOOK.remove("instructors/hostile-results")  # a part of another page
PAGES = ["index", *CHAPTERS, "glossary", "api", "bibliography", *HANDBOOK]


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Nothing: a line for each request would bury the tests' own."""


@pytest.fixture(scope="session")
def reports(built: Path, pytestconfig: pytest.Config) -> list[dict]:
    """What the browser found on each page, at desktop and phone width, light and dark."""
    screenshots = pytestconfig.getoption("--screenshots")
    if screenshots:
        (screenshots / "instructors").mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(built)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = [
        str(Path(sys.executable).with_name("node")),
        str(HERE / "visit.mjs"),
        str(ROOT / "book" / "_ext"),
        shutil.which("chromium") or "chromium",
        f"http://127.0.0.1:{server.server_port}",
        str(screenshots or ""),
        *(f"{page}.html" for page in PAGES),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    server.shutdown()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def found(reports: list[dict], key: str) -> list[tuple]:
    """Where something is that should not be."""
    return [(report["page"], report["screen"], report[key]) for report in reports if report[key]]


def test_every_page_was_seen_on_every_screen(reports):
    assert len(reports) == 4 * len(PAGES)


def test_nothing_is_asked_of_another_host(reports):
    assert found(reports, "external") == []


def test_the_console_reports_no_error(reports):
    assert found(reports, "errors") == []


def test_every_formula_is_set(reports):
    assert found(reports, "unset") == []
    assert found(reports, "wrong") == []
    for report in reports:
        if report["page"].removesuffix(".html") in CHAPTERS:
            assert report["formulas"] > 0


def test_every_picture_is_there_and_says_what_it_shows(reports):
    assert found(reports, "broken") == []
    assert found(reports, "speechless") == []


def test_every_control_changes_its_picture_by_keyboard(reports):
    for report in reports:
        if report["page"].removesuffix(".html") in CHAPTERS:
            assert report["views"] > 0
            assert len(report["moved"]) >= report["views"]
        for move in report["moved"]:
            assert move["before"], report["page"]
            assert move["after"] != move["before"], report["page"]
            assert move["decoded"]
            assert move["label"]


def test_no_page_is_wider_than_its_screen(reports):
    assert found(reports, "overflow") == []


def test_equation_numbers_take_no_room_from_wide_formulas(reports):
    assert found(reports, "crowded") == []


def test_labels_of_the_chapter_box_stay_on_one_line(reports):
    assert found(reports, "split") == []


def test_figures_with_controls_do_not_scroll_aside(reports):
    assert found(reports, "loose") == []


def test_text_keeps_its_contrast_in_light_and_dark(reports):
    assert found(reports, "faint") == []
