"""nbgrader's own pages in JupyterLab show the marks that the command gave, and grade likewise."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook

from tests.grading import hostile_class, hostile_course
from tests.grading.conftest import NAME, read_marks, write_course

pytestmark = [
    pytest.mark.browser,
    pytest.mark.grading,
    pytest.mark.sandbox,
    pytest.mark.slow,
]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STUDENT = "student-09"  # who loses points on the second question
STUCK = 300  # seconds; a machine that does much else answers late, and one that is stuck never


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course whose sample class the course's own command has graded."""
    folder = write_course(tmp_path_factory.mktemp("course"))
    command = Path(sys.executable).with_name("nlp-course")
    done = subprocess.run([command, "sample", NAME], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def marks(course: Path) -> dict[str, dict[str, str]]:
    """The marks that the command wrote."""
    rows = read_marks(course / f"_build/class/reports/{NAME}.csv")
    return {student: row for student, row in rows.items() if not row["failure"]}


@contextlib.contextmanager
def serving(folder: Path, home: Path) -> Iterator[tuple[str, str]]:
    """JupyterLab in a course's folder: its address, and the token that opens it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    own = {"HOME": str(home), "JUPYTER_TOKEN": token, "JUPYTER_RUNTIME_DIR": str(home)}
    options = ("ServerApp.ip=127.0.0.1", f"ServerApp.port={port}", "ServerApp.port_retries=0")
    with (home / "server.log").open("wb") as log:
        running = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                *(f"--{option}" for option in options),
            ],
            cwd=folder,
            env={**os.environ, **own},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + STUCK
        while True:
            try:
                fetch_from(address, token, "formgrader/api/status")
                break
            except (OSError, urllib.error.HTTPError):
                said = (home / "server.log").read_text()
                assert running.poll() is None, said
                assert time.monotonic() < until, said
                time.sleep(0.2)
        yield address, token
    finally:
        running.terminate()
        try:
            running.wait(STUCK / 10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@pytest.fixture(scope="module")
def server(course: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """JupyterLab in the folder of the course whose sample class is graded."""
    with serving(course, tmp_path_factory.mktemp("home")) as opened:
        yield opened


def fetch_from(address: str, token: str, path: str, method: str = "GET") -> str:
    request = urllib.request.Request(
        f"{address}/{path}",
        method=method,
        headers={"Authorization": f"token {token}"},
        data=b"" if method == "POST" else None,
    )
    with urllib.request.urlopen(request, timeout=STUCK) as answer:
        return answer.read().decode()


def visit(script: Path, *arguments: str) -> Any:
    """What a script says that opens pages in Chromium."""
    command = [
        str(Path(sys.executable).with_name("node")),
        str(script),
        str(ROOT / "book" / "_ext" / "package.json"),
        shutil.which("chromium") or "chromium",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=STUCK)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def screenshot(name: str) -> str:
    """Where a picture of a page goes, for who reads the tests' outcome."""
    folder = ROOT / "_build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder / name)


@pytest.fixture(scope="module")
def api(server: tuple[str, str]) -> Callable[..., Any]:
    """What the formgrader's pages ask the server."""
    address, token = server

    def ask(path: str, method: str = "GET") -> Any:
        return json.loads(fetch_from(address, token, f"formgrader/api/{path}", method))

    return ask


def test_without_the_token_nothing_is_shown(server):
    address, _ = server
    place = f"{address}/formgrader/api/submissions/{NAME}"
    with urllib.request.urlopen(place, timeout=STUCK) as answer:
        assert "/login?" in answer.url
        assert "student-0" not in answer.read().decode()


def test_the_formgrader_has_the_marks_that_the_command_gave(api, marks):
    shown = {one["student"]: one for one in api(f"submissions/{NAME}") if one["autograded"]}
    assert shown.keys() == marks.keys()
    assert len(shown) == 8
    for student, row in marks.items():
        assert shown[student]["score"] == float(row["total"])
        assert shown[student]["max_score"] == float(row["maximum"])
        assert shown[student]["needs_manual_grade"] == (row["waiting"] != "0")


def test_a_student_s_page_shows_the_tests_and_their_points(server, api, marks, course):
    address, token = server
    (one,) = api(f"student_notebook_submissions/{STUDENT}/{NAME}")
    page = fetch_from(address, token, f"formgrader/submissions/{one['id']}/")
    assert "the mean of nothing is None" in page  # the grader sees hidden tests
    assert "ZeroDivisionError" in page
    assert one["score"] == float(marks[STUDENT]["total"])


def test_autograde_in_the_browser_gives_the_same_marks(server, marks, course):
    address, token = server
    database = f"sqlite:///{course}/_build/class/gradebook.db"
    with Gradebook(database) as book:
        (notebook,) = book.find_submission(NAME, STUDENT).notebooks
        before = {grade.name: grade.auto_score for grade in notebook.grades}
        for grade in notebook.grades:
            grade.auto_score = 0.5 if grade.auto_score is not None else None
        book.db.commit()
    outcome = course / f"_build/class/results/{NAME}/{STUDENT}.json"
    ran = outcome.stat().st_mtime_ns
    picture = screenshot("formgrader.png")
    seen = visit(HERE / "visit_formgrader.mjs", address, token, NAME, STUDENT, picture)
    shown = {student: f"{row['total']} / {row['maximum']}" for student, row in marks.items()}
    assert seen["errors"] == []
    assert seen["said"]["success"], seen["said"]
    assert seen["before"] == {**shown, STUDENT: "1.5 / 10"}
    assert seen["after"] == shown
    with Gradebook(database) as book:
        (notebook,) = book.find_submission(NAME, STUDENT).notebooks
        assert {grade.name: grade.auto_score for grade in notebook.grades} == before
    assert outcome.stat().st_mtime_ns > ran  # the notebook was run, in the sandbox as ever


REACHING = [
    *("plants_marks_in_text", "plants_marks_in_outputs", "plants_marks_in_raw_cells"),
    "covers_the_marks",
]
ALL_GRADES = sorted(
    [f"{question}-{kind}" for question in hostile_course.ANSWERS for kind in ("tests", "hidden")]
    + [hostile_course.WHY]
)


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> hostile_class.Stage:
    """A graded class of those who reach for the page on which a person marks, and one honest."""
    stage = hostile_class.Stage(tmp_path_factory.mktemp("trust"))
    given = stage.write()
    scripts = {script.name: script for script in hostile_course.scripts()}
    handed = {name: hostile_course.submission(scripts[name], given, {}) for name in REACHING}
    honest, _ = hostile_course.honest(given, stage.known)["a-student-01"]
    hostile_class.hand_in(stage.class_folder, {"a-student-01": honest, **handed})
    hostile_class.grade_class(stage.class_folder, stage.environment)
    settings = f'[course]\nclass_folder = "{stage.class_folder.name}"\n'
    (stage.course_folder / "course.toml").write_text(settings)
    return stage


@pytest.fixture(scope="module")
def trust_server(
    trust: hostile_class.Stage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """JupyterLab in this class's course."""
    with serving(trust.course_folder, tmp_path_factory.mktemp("home")) as opened:
        yield opened


@pytest.mark.parametrize("student", ["a-student-01", *REACHING])
def test_who_marks_by_hand_changes_only_the_mark_they_press(
    student: str, trust_server, trust: hostile_class.Stage, tmp_path: Path
):
    """Nothing of the student's stands in the way, or counts as a button or a mark."""
    address, token = trust_server
    place = f"formgrader/api/student_notebook_submissions/{student}/{hostile_course.NAME}"
    (notebook,) = json.loads(fetch_from(address, token, place))
    before = rows_of(student, trust)
    script = tmp_path / "mark.mjs"
    script.write_text(MARK_BY_HAND)
    page = f"{address}/formgrader/submissions/{notebook['id']}/"
    picture = screenshot(f"formgrader-{student}.png")
    seen = visit(script, page, token, hostile_course.WHY, str(STUCK), picture)
    assert sorted(seen["scores"]) == ALL_GRADES
    assert seen["taken"] == {name: [name] for name in ALL_GRADES}
    assert seen["above"] == []
    assert seen["covered"] == []
    assert seen["clicks"] > 60
    assert seen["by clicks beside buttons"] == []
    assert seen["by full credit"] == [[hostile_course.WHY, 4]]
    assert seen["asked"] == []
    assert seen["errors"] == []
    after = rows_of(student, trust)
    assert after.pop(hostile_course.WHY)[1] == 4
    assert before.pop(hostile_course.WHY)[1] is None
    assert after == before


def rows_of(student: str, stage: hostile_class.Stage) -> dict[object, tuple[object, ...]]:
    """A student's marks by the tests, by hand and extra, as the gradebook has them."""
    rows = hostile_class.gradebook_rows(stage.class_folder)
    return {row[1]: row[2:] for row in rows if row[0] == student}


MARK_BY_HAND = """/* Opens a submission in the formgrader, clicks beside every button, and then on
   one: full credit for one answer. Prints what stands on the page and what was saved, as JSON. */
import { createRequire } from "node:module";
const [modules, executablePath, address, token, answer, stuck, picture] = process.argv.slice(2);
const { chromium } = createRequire(modules)("playwright-core");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const extraHTTPHeaders = { Authorization: `token ${token}` };
const viewport = { width: 1280, height: 900 };
const context = await browser.newContext({ viewport, extraHTTPHeaders });
context.setDefaultTimeout(1000 * stuck);
const page = await context.newPage();
const seen = { errors: [], asked: [], clicks: 0 };
let saved = [];
page.on("pageerror", (error) => seen.errors.push(String(error)));
page.on("request", (it) => {
  if (it.method() === "GET") return;
  const { name, manual_score } = it.postDataJSON() ?? {};
  saved.push(name ? [name, manual_score] : [it.method(), it.url()]);
});
// The page starts once MathJax has, which comes from another host; a stand-in says so at once.
const mathjax = `MathJax = { Hub: { Config() {}, Queue() {},
  Startup: { signal: { Interest: (say) => say("End") } } } }`;
await context.route((url) => url.origin !== new URL(address).origin, (route) =>
  route.request().url().includes("/mathjax/")
    ? route.fulfill({ contentType: "text/javascript", body: mathjax })
    : seen.asked.push(route.request().url()) && route.abort());
// A link off the page is noted, not followed: there is more to see here.
await page.exposeFunction("follow", (link) => seen.asked.push(link));
await page.addInitScript(() => document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || link.pathname === location.pathname) return;
  event.preventDefault();
  follow(link.href);
}, true));
const settled = () => page.waitForFunction(() =>
  formgrader.loaded && formgrader.grades.loaded && formgrader.comments.loaded && jQuery.active === 0
  && !jQuery(":animated").length);
await page.goto(address);
await settled();
await page.screenshot({ path: picture, fullPage: true });
Object.assign(seen, await page.evaluate(() => {
  const ids = (found) => [...found].map((it) => it.id);
  const about = (it) => it.outerHTML.slice(0, 200);
  const all = [...document.querySelectorAll("body *")];
  const controls = [...document.querySelectorAll(".full-credit, .no-credit, .score, .comment")];
  const covered = controls.filter((it) => {
    it.scrollIntoView({ block: "center", behavior: "instant" });
    const box = it.getBoundingClientRect();
    return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2) !== it;
  });
  const fixed = (it) => ["fixed", "sticky"].includes(getComputedStyle(it).position);
  return {
    scores: ids(document.querySelectorAll("input.score")),
    // What the script took for the mark of each name, and writes the points of.
    taken: Object.fromEntries(
      formgrader.grade_uis.map((it) => [it.model.get("name"), ids(it.$score)])),
    above: all.filter((it) => fixed(it) && !it.matches("nav, .help, #statusmessage")).map(about),
    covered: covered.map(about),
  };
}));
// Left of each text, where no link is, and the margins of each screenful.
const texts = ".nbgrader-label, .rendered_html, .input_area, .output_area";
const blocks = await page.locator(texts).all();
const click = async (x, y) => {
  seen.clicks += 1;
  await page.mouse.click(x, y);
};
for (const block of blocks) {
  await block.evaluate((it) => it.scrollIntoView({ block: "center", behavior: "instant" }));
  const box = await block.boundingBox();
  const middle = box ? box.y + box.height / 2 : 0;
  if (box?.height) await click(box.x + 1, Math.min(Math.max(middle, 60), 890));
}
const height = await page.evaluate(() => document.documentElement.scrollHeight);
for (let top = 0; top < height; top += 900) {
  await page.evaluate((y) => window.scrollTo({ top: y, behavior: "instant" }), top);
  for (const x of [5, 1260]) await click(x, 500);
}
await settled();
seen["by clicks beside buttons"] = saved;
saved = [];
const comment = page.locator(`textarea[id="${answer}-comment"]`);
const panel = page.locator(".nbgrader_cell").filter({ has: comment });
const button = panel.locator("button.full-credit").last();
await button.evaluate((it) => it.scrollIntoView({ block: "center", behavior: "instant" }));
const box = await button.boundingBox();
// Not `button.click()`, which waits until nothing lies over it.
await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
await settled();
seen["by full credit"] = saved;
await browser.close();
console.log(JSON.stringify(seen));
"""
