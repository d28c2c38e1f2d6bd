"""What runs on the host of the repository: well formed, and whatever it names is there."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORDS = re.compile(r"(?<![\w./-])(make|\.ci/[\w.-]+)(?: +([\w./-]+))?")


def read(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def scripts() -> dict[str, str]:
    """Each `run` block by the workflow, job and number of its step."""
    return {
        f"{path.name}, {name}, {number}": step["run"]
        for path in WORKFLOWS
        for name, job in read(path)["jobs"].items()
        for number, step in enumerate(job.get("steps", []))
        if "run" in step
    }


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release_notes = load(ROOT / ".ci" / "release_notes.py")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_job_says_how_long_and_with_which_rights(path: Path):
    workflow = read(path)
    # YAML 1.1 reads the key `on` as true.
    assert workflow.keys() <= {"name", True, "permissions", "concurrency", "jobs"}
    assert workflow["permissions"]
    for job in workflow["jobs"].values():
        if "uses" in job:  # another workflow, of this repository
            assert (ROOT / job["uses"]).is_file()
        else:
            assert job["timeout-minutes"] <= 90
            assert all(("uses" in step) != ("run" in step) for step in job["steps"])
        assert job.get("needs") in {None, *workflow["jobs"]}


@pytest.mark.parametrize("place", scripts())
def test_every_script_is_one_that_bash_reads(place: str):
    # What the host puts in before bash sees it.
    script = re.sub(r"\$\{\{.*?\}\}", "value", scripts()[place])
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_targets_of_make_and_programs_that_are_named_are_there():
    targets = re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    in_ci = {path.name: path.read_text() for path in (ROOT / ".ci").iterdir() if path.is_file()}
    named = set()
    for script in [*scripts().values(), in_ci["run"], in_ci["machine"]]:
        commands = [line for line in script.splitlines() if "echo" not in line and "#" not in line]
        for program, word in WORDS.findall("\n".join(commands)):
            named.add((program, word))
            if program == "make":
                assert word in targets
            else:
                assert (ROOT / program).is_file()
    assert {("make", "book"), ("make", "pdf"), (".ci/run", ""), ("make", "test")} <= named
    run_as_they_are = {program for program, _ in named if program.startswith(".ci/")}
    for program in run_as_they_are - {".ci/release_notes.py"}:
        assert os.access(ROOT / program, os.X_OK), f"chmod +x {program}"


@pytest.mark.parametrize("name", ["book.yml", "release.yml"])
def test_only_the_public_copy_publishes(name: str):
    jobs = read(ROOT / ".github" / "workflows" / name)["jobs"]
    for job in jobs.values():
        if "write" in job.get("permissions", {}).values():
            while job["needs"] != "public":  # what needs a job that is skipped is skipped too
                assert "if" not in job
                job = jobs[job["needs"]]
            assert job["if"] == "needs.public.outputs.copy == 'true'"
        else:
            assert job["uses"] == "./.github/workflows/public.yml"


@pytest.mark.parametrize("has_solutions", [True, False])
def test_a_repository_with_solutions_is_no_public_copy(tmp_path: Path, has_solutions: bool):
    if has_solutions:
        (tmp_path / "solutions").mkdir()
    output = tmp_path / "output"
    subprocess.run(
        ["bash", "-e", "-c", scripts()["public.yml, look, 1"]],
        cwd=tmp_path,
        env={"GITHUB_OUTPUT": str(output), "PATH": os.environ["PATH"]},
        check=True,
    )
    assert output.read_text() == ("copy=false\n" if has_solutions else "copy=true\n")


# A release


def test_all_that_name_a_version_name_the_same_and_the_changelog_tells_of_it():
    [version] = set(release_notes.versions().values())
    assert release_notes.notes(version, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    namespace: dict[str, str] = {}
    exec((ROOT / "nlp_course" / "__init__.py").read_text(encoding="utf-8"), namespace)
    assert namespace["__version__"] == version


def test_the_notes_of_a_release_are_its_own_section():
    changelog = "# Changelog\n\n## 1.10\n\n- c\n\n## 1.1 (2026-01-02)\n\n- a\n- b\n\n## 1.0\n\n"
    assert release_notes.notes("1.1", changelog) == "- a\n- b"
    assert release_notes.notes("1.10", changelog) == "- c"
    for absent in ("1.0", "2.0", "1"):
        with pytest.raises(ValueError, match=f"says nothing of {absent}"):
            release_notes.notes(absent, changelog)


@pytest.mark.parametrize(
    ("tag", "file", "said"),
    [
        ("v9.9.9", None, "the tag has 9.9.9"),
        ("v1.0", "CITATION.cff", "CITATION.cff has 0.9"),
        ("v1.0", "nlp_course/__init__.py", "nlp_course/__init__.py has 0.9"),
        ("v1.0", "pyproject.toml", "pyproject.toml has 0.9"),
        ("v1.0", "CHANGELOG.md", "CHANGELOG.md says nothing of 1.0"),
        ("v1.0", None, ""),
    ],
)
def test_a_tag_that_does_not_fit_stops_the_release(tmp_path: Path, tag, file, said):
    texts = {
        "pyproject.toml": '[project]\nversion = "1.0"\n',
        "CITATION.cff": "cff-version: 1.2.0\nversion: 1.0\n",
        "nlp_course/__init__.py": '__version__ = "1.0"\n',
        "CHANGELOG.md": "# Changelog\n\n## 1.0 (2026-01-02)\n\n- new\n",
        ".ci/release_notes.py": (ROOT / ".ci" / "release_notes.py").read_text(),
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("1.0", "0.9") if name == file else text)
    command = [sys.executable, str(tmp_path / ".ci/release_notes.py"), tag]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == ((1, "") if said else (0, "- new\n"))
    assert said in done.stderr


# The branch that Colab opens


def git(folder: Path, *words: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, env=clean, check=True, capture_output=True, text=True).stdout


PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "nlp-course"
version = "{version}"
[tool.setuptools]
packages = ["nlp_course"]
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with what `make book` leaves, and one beside it to which it pushes."""
    pytest.importorskip("setuptools", reason="setuptools is not installed, and pip would fetch it")
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    folder = tmp_path / "course"
    (folder / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "publish-notebooks", folder / ".ci")
    for name, text in {
        ".gitignore": ".venv/\n_build/\nnotebooks/\n",
        ".venv/bin/python": f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
        "_config.yml": "sphinx: {config: {course_notebook_branch: lessons}}\n",
        "assignments/00-setup/00-setup.ipynb": "{}",
        "nlp_course/__init__.py": "",
        "notebooks/00-setup.ipynb": "{}",
        "pyproject.toml": PROJECT.format(version="1"),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / ".venv/bin/python").chmod(0o755)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "config", "user.name", "student-01")
    git(folder, "config", "user.email", "student-01@example.org")
    git(folder, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "The course")
    return folder


def publish(folder: Path) -> int:
    # Without a network: pip builds with this environment's setuptools.
    environment = {**os.environ, "PIP_NO_BUILD_ISOLATION": "0"}
    return subprocess.run([folder / ".ci/publish-notebooks"], env=environment).returncode


@pytest.mark.slow
def test_the_branch_holds_notebooks_and_wheels_of_earlier_versions_too(checkout: Path):
    origin = checkout.parent / "origin.git"
    assert publish(checkout) == 0
    first = git(origin, "ls-tree", "-r", "lessons")
    assert [line.split()[-1] for line in first.splitlines()] == [
        "assignments/00-setup/00-setup.ipynb",
        "notebooks/00-setup.ipynb",
        "wheel/nlp_course-1-py3-none-any.whl",
    ]
    assert publish(checkout) == 0
    assert git(origin, "ls-tree", "-r", "lessons") == first, "the same sources, the same wheel"
    (checkout / "pyproject.toml").write_text(PROJECT.format(version="2"))
    git(checkout, "commit", "--quiet", "--all", "--message", "The next version")
    assert publish(checkout) == 0
    names = git(origin, "ls-tree", "-r", "--name-only", "lessons").splitlines()
    assert names[2:] == [f"wheel/nlp_course-{n}-py3-none-any.whl" for n in "12"]
    assert git(origin, "rev-list", "--count", "lessons") == "1\n"
    # And what was checked out is as it was.
    assert git(checkout, "status", "--porcelain", "--branch") == "## main\n"
    assert (checkout / "assignments/00-setup/00-setup.ipynb").exists()


@pytest.mark.slow
def test_a_remote_that_does_not_answer_costs_no_wheel(checkout: Path):
    origin = checkout.parent / "origin.git"
    assert publish(checkout) == 0
    before = git(origin, "rev-parse", "lessons")
    origin.rename(checkout.parent / "away.git")
    assert publish(checkout) != 0
    assert git(checkout.parent / "away.git", "rev-parse", "lessons") == before
