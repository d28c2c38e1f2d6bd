"""The instructors' pages: what they tell people to type is there, and what they show happens."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
import time
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from typer.main import get_command

from nlp_course.cli import app

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
FOLDER = BOOK / "instructors"
PAGES = sorted(FOLDER.glob("*.md"))
INCLUDED = {"hostile-results"}  # of another page
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|\{download\}`[^`<]*<([^>]+)>`")
# Of the click that typer uses, which may be its own.
UsageError: Any = typer.BadParameter.__base__
# A test of a page's table gets so long; what it says of endless code must come sooner.
CALL_SECONDS = 1.0
# Programs of others that the pages name, and where their options are not looked up.
OTHERS = {
    *("apt-get", "cd", "chmod", "cp", "createdb", "createuser", "docker", "dropdb", "echo", "git"),
    *("jupyter", "ls", "make", "mkdir", "nbgrader", "nlp-course", "pip", "rm", "touch"),
}


def blocks(page: Path, language: str) -> list[str]:
    """What stands in a page's blocks of a language."""
    return [text for name, text in BLOCK.findall(page.read_text("utf-8")) if name == language]


def bash_lines(page: Path) -> list[str]:
    """Lines that a page tells people to type, those that go on put together."""
    return "\n".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()


def commands_of(program: str) -> Iterator[tuple[str, str]]:
    """Every line with a program's name first: in blocks, in tables, in sentences."""
    for page in PAGES:
        lines = bash_lines(page)
        lines += re.findall(rf"`({program} [a-z][^`]*)`", page.read_text("utf-8"))
        for line in lines:
            if line.startswith(f"{program} "):
                yield page.name, line


def anchors(page: Path) -> set[str]:
    """Places of a page that a link may name."""
    text = page.read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}
    return slugs | set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


def table(page: Path, first: str) -> list[list[str]]:
    """Rows of the table whose first heading is this."""
    found = re.search(
        rf"^\| {re.escape(first)} \|.*\n\|[-:| ]+\|\n((?:\|.*\n)+)",
        page.read_text("utf-8"),
        re.MULTILINE,
    )
    assert found is not None, f"{page.name} has no table of '{first}'"
    return [[cell.strip() for cell in row[1:-1].split(" | ")] for row in found[1].splitlines()]


def take_apart(line: str) -> list[str]:
    """The commands, the inner one last, that `nlp-course` finds in a line; else a UsageError."""
    command: Any = get_command(app)
    words, names = shlex.split(line)[1:], []
    context = command.make_context("nlp-course", list(words))
    while hasattr(command, "commands"):
        name, command, words = command.resolve_command(context, words)
        names.append(name)
        context = command.make_context(name, list(words), parent=context)
    return names


def the_settings(text: str, folder: Path) -> Any:
    """What the course's own reader makes of a `course.toml`."""
    settings = pytest.importorskip("nlp_course.grading.settings")
    (folder / "roster.csv").write_text("student\nstudent-03\nstudent-07\n", encoding="utf-8")
    password = folder / "password"
    password.write_text("db.example.org:5432:nlp_course:grader:x\n", encoding="utf-8")
    password.chmod(0o600)
    text = text.replace('"~/.nlp_course.pgpass"', f'"{password}"')
    (folder / "course.toml").write_text(text, encoding="utf-8")
    return settings.read_settings(folder)


def settings_shown(page: Path) -> list[str]:
    """A page's blocks of `course.toml`; those of `assignment.toml` are about questions."""
    return [text for text in blocks(page, "toml") if not text.startswith("[questions")]


# Commands


@pytest.mark.parametrize(("page", "line"), list(commands_of("nlp-course")))
def test_every_command_line_is_one_that_the_command_takes(page, line):
    words = shlex.split(line)
    if len(words) == 2:  # a sentence names the command alone
        assert words[1] in get_command(app).commands
    else:
        assert take_apart(line)[0] == words[1]


@pytest.mark.parametrize(
    "line",
    [
        "nlp-course grades 02-word2vec",
        "nlp-course grade",
        "nlp-course grade 02-word2vec --gpus",
        "nlp-course export 02-word2vec --format excel",
    ],
)
def test_a_command_line_that_is_wrong_is_seen(line):
    with pytest.raises(UsageError):
        take_apart(line)


@pytest.mark.parametrize(("page", "line"), list(commands_of("nbgrader")))
def test_every_line_for_nbgrader_is_one_that_it_takes(page, line):
    apps = pytest.importorskip("nbgrader.apps")
    words = shlex.split(line)[1:]
    found: Any = apps.NbGraderApp  # its subcommands are known to an instance
    while words and words[0] in found().subcommands:
        found = found().subcommands[words.pop(0)][0]
    assert found is not apps.NbGraderApp, line
    known = {*found().aliases, *found().flags}
    assert {word.lstrip("-").partition("=")[0] for word in words if word[:1] == "-"} <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_programs_are_those_that_are_meant(page):
    lines = [line for line in bash_lines(page) if line and not line[0].isspace()]
    assert {shlex.split(line)[0] for line in lines} <= OTHERS


def test_the_table_names_every_grading_command():
    told = {cell.split()[1].strip("`") for cell, *_ in table(FOLDER / "index.md", "command")}
    assert told == set(get_command(app).commands) - {"data"}


def test_targets_of_make_that_the_pages_name_are_there():
    known = set(re.findall(r"^([\w.-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {line.split()[1] for _, line in commands_of("make")}
    assert named
    assert named <= known


# Settings


@pytest.mark.parametrize(
    ("page", "text"),
    [(page.stem, text) for page in PAGES for text in settings_shown(page)],
)
def test_settings_that_are_shown_are_accepted(page, text, tmp_path):
    if "[[extensions]]" not in text and "[assignments" not in text:
        assert the_settings(text, tmp_path).folder == tmp_path.resolve()
        return
    read = the_settings(text, tmp_path)
    assert read.dates.keys() == tomllib.loads(text)["assignments"].keys()
    assert len(read.extensions) == text.count("[[extensions]]")


def test_settings_that_are_shown_fit_together(tmp_path):
    read = the_settings("\n".join(settings_shown(FOLDER / "term.md")), tmp_path)
    assert read.class_folder == Path("~/nlp-2026/class").expanduser()
    assert read.late.policy == "budget"
    adopting = "\n".join(settings_shown(FOLDER / "adopt.md"))
    assert the_settings(adopting, tmp_path).class_folder == read.class_folder


def test_a_setting_that_is_wrong_is_seen(tmp_path):
    from nlp_course.grading.notebooks import GradingError

    shown = "\n".join(settings_shown(FOLDER / "term.md"))
    with pytest.raises(GradingError, match="free_days"):
        the_settings(shown.replace("free_days =", "free_day ="), tmp_path)


def test_late_policies_and_their_keys_are_those_there_are(tmp_path):
    settings = pytest.importorskip("nlp_course.grading.settings")
    rows = table(FOLDER / "term.md", "policy")
    assert {row[0].strip("`") for row in rows} == set(settings.POLICIES)
    for policy, _, keys in rows:
        names = re.findall(r"`(\w+)`", keys)
        text = f'[late]\npolicy = "{policy.strip("`")}"\n'
        read = the_settings(text + "\n".join(f"{name} = 1" for name in names), tmp_path)
        assert read.late.policy == policy.strip("`")


def test_worked_examples_of_late_work_are_what_the_policy_takes(tmp_path):
    late = pytest.importorskip("nlp_course.grading.late")
    read = the_settings("\n".join(settings_shown(FOLDER / "term.md")), tmp_path)
    dates = read.dates["02-word2vec"]

    def lateness(student: str, moment: datetime) -> Any:
        handed_in = moment.replace(tzinfo=read.zone).astimezone(UTC)
        own = read.due("02-word2vec", student)
        one = late.Submitted(dates.due, own, handed_in, dates.closes)
        return late.lateness({"02-word2vec": one}, read)["02-word2vec"]

    assert dates.due - datetime(2026, 10, 28, 22, 59, tzinfo=UTC) == timedelta(0)
    found = []
    for who, when, told in table(FOLDER / "term.md", "student"):
        student = "student-03" if who.startswith("student-03") else "student-01"
        moment = datetime.strptime(f"2026 {when}", "%Y %d %B, %H:%M")
        found.append(lateness(student, moment))
        left = float((re.findall(r"\d[\d.]*", told) or ["6"])[-1])
        assert round(6 - found[-1].penalty(6.0), 2) == left, told
    assert [one.free for one in found] == [0, 2, 1, 0]
    assert late.explain(found[1], read) in " ".join((FOLDER / "term.md").read_text("utf-8").split())


# Limits and tests


def test_limits_are_those_that_hold():
    execute = pytest.importorskip("nlp_course.grading.execute")
    sandbox = pytest.importorskip("nlp_course.grading.sandbox")
    step, bounds = execute.Execute(), sandbox.Bounds()
    told = {row[0]: row[1] for row in table(FOLDER / "grade.md", "a notebook has")}
    assert list(told.values()) == [
        f"{step.cell_timeout:.0f} seconds",
        f"{step.notebook_timeout:.0f} seconds",
        f"{step.memory >> 30} GB",
        f"{step.output_limit >> 20} MB",
        f"{bounds.processes}",
        f"{bounds.file_bytes >> 20} MB each, {bounds.disk >> 20} MB in all",
    ]
    names = [row[2].strip("`") for row in table(FOLDER / "grade.md", "a notebook has")][:4]
    assert all(step.has_trait(name) for name in names)
    assert "c.Execute.cell_timeout = 30" in (ROOT / "nbgrader_config.py").read_text("utf-8")


def test_layers_are_those_there_are():
    layers = pytest.importorskip("nlp_course.grading.layers")
    source = inspect.getsource(layers)
    told = re.findall(r"^- \*\*`([\w+]+)`\*\*", (FOLDER / "sandbox.md").read_text(), re.MULTILINE)
    assert set(told) == {"bubblewrap+landlock", "bubblewrap", "landlock", "user", "none"}
    assert all(f'"{name}"' in source for name in told)


CANNOT = table(FOLDER / "questions.md", "a test")


@pytest.fixture(scope="module")
def student() -> Iterator[Any]:
    """A process that has run what the page lets a student write."""
    if sys.platform != "linux":
        pytest.skip("students' processes are forked on Linux only")
    from tests.grading.sessions import session

    pytest.importorskip("torch")
    written = next(t for t in blocks(FOLDER / "questions.md", "python") if "def knot" in t)
    with session() as live:
        outputs = live.run_cell(written, 60.0)
        assert outputs == []
        yield live


@pytest.mark.grading
@pytest.mark.parametrize(("test", "told"), CANNOT, ids=[row[0] for row in CANNOT])
def test_what_a_test_cannot_do_fails_as_the_page_says(student, test, told):
    own: dict[str, Any] = {"asdict": asdict, "deepcopy": deepcopy, "getsource": inspect.getsource}
    own["rng"] = np.random.default_rng(0)
    copied = student.snapshot()
    try:
        copied.deadline = time.monotonic() + CALL_SECONDS
        with pytest.raises(Exception) as caught:  # noqa: PT011  (its text is compared)
            exec(compile(test.strip("`"), "<test>", "exec"), copied.names(own))
    finally:
        copied.close()
    kind = getattr(caught.value, "kind", caught.type.__name__)
    assert f"{kind}: {caught.value}" == told.strip("`")


@pytest.mark.grading
@pytest.mark.parametrize("test", ["point() == 3", "point() == point()"])
def test_what_fails_without_a_word_does(student, test):
    copied = student.snapshot()
    try:
        copied.deadline = time.monotonic() + CALL_SECONDS
        assert eval(test, copied.names({})) is False
    finally:
        copied.close()


def test_every_hostile_notebook_has_its_line():
    from tests.grading.hostile_course import scripts

    names = {script.name.replace("_", " ") for script in scripts()}
    page = FOLDER / "hostile-results.md"
    rows = [row for row in table(page, "it") if not row[0].startswith("**")]
    assert {row[0] for row in rows} == names
    assert len(rows) == len(names)
    said = re.search(r"Of (\d+) notebooks, (\d+) were run", page.read_text("utf-8"))
    assert said is not None
    runs = sum(script.stock for script in scripts())
    assert (int(said[1]), int(said[2])) == (len(names), runs)
    assert sum(row[1] != "not run" for row in rows) == runs
    *groups, everything = table(page, "it tries")
    for place in range(1, 6):
        counts = [int(row[place].partition(" ")[0]) for row in [*groups, everything]]
        assert sum(counts[:-1]) == counts[-1]
    assert int(everything[1]) == runs
    for place, words in ((2, r"\d not earned"), (3, r"\bread "), (4, r"lost \d+ earned")):
        counted = sum(re.search(words, row[1]) is not None for row in rows)
        assert counted == int(everything[place].partition(" ")[0]), words


# Pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_pages_and_places_that_exist(page):
    for found in LINK.findall(page.read_text("utf-8")):
        address = next(filter(None, found))
        if address.startswith(("https://", "http://")):
            continue
        name, _, place = address.partition("#")
        target = (FOLDER / name) if name else page
        assert target.is_file(), f"{page.name}: {address}"
        if place:
            assert place in anchors(target), f"{page.name}: {address}"


def test_every_page_is_in_the_table_of_contents():
    contents = yaml.safe_load((BOOK / "_toc.yml").read_text("utf-8"))
    listed = {page["file"] for part in contents["parts"] for page in part["chapters"]}
    assert {f"instructors/{page.stem}" for page in PAGES if page.stem not in INCLUDED} <= listed
    named = {path for page in PAGES for path in re.findall(r"\{include\} (\S+)", page.read_text())}
    assert named == {f"{name}.md" for name in INCLUDED}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_of_the_course_that_a_page_names_are_there(page):
    text = page.read_text("utf-8")
    tops = r"(?:tests|nlp_course|book|benchmarks|\.ci)"
    named = re.findall(rf"`({tops}/[\w./-]+|\w+\.(?:py|toml)|Dockerfile|_config\.yml)`", text)
    beside = {"course.toml", "assignment.toml", "mutants.py"}  # an instructor's own
    for name in set(named) - beside:
        assert (ROOT / name).exists(), name


def test_the_term_plan_names_each_assignment_with_its_chapters():
    if not (ROOT / "solutions").is_dir():
        pytest.skip("the public copy of the course comes without solutions")
    rows = {name.strip("`"): chapters for _, name, chapters in table(FOLDER / "term.md", "week")}
    assert rows.keys() == {path.name for path in (ROOT / "solutions").glob("*") if path.is_dir()}
    for name, chapters in rows.items():
        about = tomllib.loads((ROOT / "solutions" / name / "assignment.toml").read_text("utf-8"))
        assert chapters == ", ".join(map(str, about["chapters"]))


# The image


def test_the_image_installs_what_ci_installs():
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    line = next(line for line in text.splitlines() if "apt-get install -y" in line)
    packages = line.partition("--no-install-recommends")[2].partition("&&")[0].split()
    in_ci = re.findall(r"lacking\+=\((.+)\)", (ROOT / ".ci" / "machine").read_text("utf-8"))
    assert sorted(packages) == sorted(in_ci)
    assert "bubblewrap" in packages


def test_the_image_makes_the_environment_that_ci_tests():
    image = (ROOT / "Dockerfile").read_text("utf-8")
    (target,) = re.findall(r"^RUN make (\S+)$", image, re.MULTILINE)
    rules = dict(
        re.findall(r"^([\w./-]+):([^#\n]*)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    )
    for tested in re.findall(r"^make ([\w-]+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE):
        assert target in rules[tested].split()
    copied = re.findall(r"^COPY (.*) \./$", image, re.MULTILINE)[0].split()
    assert set(rules[target].split()) <= set(copied)
    version = re.findall(r"^FROM python:(3\.\d+)-", image, re.MULTILINE)
    assert version[0] in (ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8")


def test_the_image_holds_nothing_that_is_secret_or_made_anew():
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert {".git", "solutions", "course.toml", "roster.csv", "_build", ".venv"} <= set(ignored)
    kept_from_git = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    names = {line.strip("/") for line in kept_from_git if line and not line.startswith("#")}
    assert names <= {line.removeprefix("**/") for line in ignored}
