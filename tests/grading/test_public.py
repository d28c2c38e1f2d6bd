"""The public copy: all that students may see, nothing that tells an answer, nothing lost."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import re
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nlp_course.grading import public
from nlp_course.grading.course import Course
from nlp_course.grading.destination import MARKER
from nlp_course.grading.leaks import Secrets, course_secrets, leaks, taught_lines, texts
from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.public import PublicCopy, publish
from nlp_course.grading.release import release

from .conftest import NAME, write_course

pytestmark = pytest.mark.grading
ROOT = Path(__file__).parents[2]

SOLUTION = "result = result + number"
HIDDEN = "assert total([1.5, 2.5, 3.0]) == 7.0"
MUTANT = "return sum(numbers[:-1])"
OTHER_RIGHT_ANSWER = "return statistics.fmean(numbers) if numbers else None"
BY_HAND = "The mean minimises the sum of squares: set its derivative to nought."
HINT = "Begin with nought."
CRITERION = "The derivative is set to nought (1)."
NOTES = f"""\
[questions.q01-total]
hint = "{HINT} What is left is added."
[[questions.q03-derivation.rubric]]
points = 4
criterion = "A sum of squares. {CRITERION} Half of it for a sign."
"""
IN_PACKAGE = "count = len(numbers)"
REST_OF_ANSWER = "return sum(numbers) / count if count else None"

PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "nlp-course"
version = "0"
[tool.setuptools]
packages = ["nlp_course"]
[tool.setuptools.package-data]
nlp_course = ["*.txt"]
"""
# What lies in the wheel and in no file of the source: written while the wheel is built.
SETUP = """\
from pathlib import Path
from setuptools import setup
Path("nlp_course/hint.txt").write_text({text!r}[::-1])
setup()
"""


def git(folder: Path, *words: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    person = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "student-01"), ("EMAIL", "student-01@example.org"))
    }
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, env=clean | person, check=True, capture_output=True, text=True)
    return done.stdout


def commit(folder: Path, message: str = "Next") -> None:
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message", message)


def put(folder: Path, name: str, content: str | bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def expected(source: Path) -> set[str]:
    """The files that a copy holds: those committed, but for the two that are not public."""
    committed = git(source, "ls-files").splitlines()
    private = {"tests/assignments/test_reference.py"}
    public = {name for name in committed if not name.startswith("solutions/")} - private
    assert public > PUBLIC_FILES.keys()
    return {*public, MARKER}


def notebook(*lines: str) -> str:
    """A notebook's JSON with one cell; its lines are strings of their own there."""
    return json.dumps({"cells": [{"source": [f"{line}\n" for line in lines]}]}, indent=1)


PUBLIC_FILES = {
    "assignments/90-sums/90-sums.ipynb": notebook("def total(numbers):"),
    "book/01-sums.md": "# Sums\n",
    "nlp_course/__init__.py": "",
    "nlp_course/counting.py": f"{IN_PACKAGE}\n",
    "nlp_course/means.py": f"{REST_OF_ANSWER}\n",
    "pyproject.toml": PROJECT,
    "tests/assignments/test_student_environment.py": "",
    "tests/test_sums.py": "def test_sums(): pass\n",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A course's source as a repository: one assignment, a page, a package, tests."""
    root = write_course(tmp_path / "source")
    put(root, f"solutions/{NAME}/assignment.toml", NOTES)
    put(root, "tests/assignments/test_reference.py", "runs the solutions")
    for name, text in PUBLIC_FILES.items():
        put(root, name, text)
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, f"A message of the source may say {SOLUTION}")
    return root


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of something else: a wheel of nothing, at once."""

    def build(_project: Path, work: Path) -> Path:
        with zipfile.ZipFile(work / "empty.whl", "w"):
            pass
        return work / "empty.whl"

    monkeypatch.setattr(public, "build_wheel", build)


# What is copied


def test_the_copy_is_what_is_committed_but_for_what_the_staff_alone_may_see(
    source: Path, tmp_path: Path
):
    put(source, "not committed.md", "")
    put(source, "book/01-sums.md", "# Sums, not committed\n")
    said = publish(source, tmp_path / "copy")
    assert files(tmp_path / "copy") == expected(source)
    assert (tmp_path / "copy/book/01-sums.md").read_text() == "# Sums\n"
    assert "not committed.md" in said
    assert "book/01-sums.md" in said


@pytest.mark.usefixtures("no_wheel")
def test_the_copy_has_no_history_of_the_source(source: Path, tmp_path: Path):
    publish(source, tmp_path / "copy")
    assert git(tmp_path / "copy", "rev-list", "--all") == ""
    assert set(git(tmp_path / "copy", "ls-files").splitlines()) == expected(source)


@pytest.mark.usefixtures("no_wheel")
def test_a_second_copy_removes_what_is_gone_and_keeps_the_history(source: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    put(source, "book/old/02-gone.md", "# Gone\n")
    commit(source)
    publish(source, copy)
    commit(copy, "The first")
    put(copy, ".git/info/exclude", "_build/\n")
    put(copy, "_build/kept.html", "")
    git(source, "rm", "--quiet", "book/old/02-gone.md")
    put(source, "book/03-new.md", "# New\n")
    commit(source)
    publish(source, copy)
    assert files(copy) == {*expected(source), "_build/kept.html"}
    assert not (copy / "book/old").exists()
    assert git(copy, "log", "--format=%s") == "The first\n"
    assert git(copy, "status", "--porcelain") == (
        f"M  {MARKER}\nA  book/03-new.md\nD  book/old/02-gone.md\n"
    )


@pytest.mark.usefixtures("no_wheel")
def test_a_copy_may_be_written_again_before_it_is_committed_and_from_another_machine(
    source: Path, tmp_path: Path
):
    copy, clone = tmp_path / "copy", tmp_path / "clone"
    publish(source, copy)
    publish(source, copy)
    commit(copy)
    git(tmp_path, "clone", "--quiet", str(copy), str(clone))
    publish(source, clone)
    assert files(clone) == files(copy)


@pytest.mark.usefixtures("no_wheel")
def test_an_empty_folder_and_an_empty_repository_are_written_to(source: Path, tmp_path: Path):
    for name in ("folder", "repository"):
        (tmp_path / name).mkdir()
    git(tmp_path / "repository", "init", "--quiet")
    for name in ("folder", "repository"):
        publish(source, tmp_path / name)
        assert files(tmp_path / name) == expected(source)


@pytest.mark.usefixtures("no_wheel")
@pytest.mark.parametrize("case", ["folder", "repository", "loose", "changed", "staged", "deleted"])
def test_a_folder_with_anothers_files_is_refused_and_left_as_it_is(
    source: Path, tmp_path: Path, case: str
):
    copy = tmp_path / "copy"
    said = {
        "folder": "holds files and is no repository",
        "repository": "did not write",
        "loose": "not committed: thesis.md",
        "deleted": "not committed: book/01-sums.md",
    }.get(case, r"not committed: book/01-sums\.md")
    if case in ("folder", "repository"):
        put(copy, "thesis.md", "years of work")
        if case == "repository":
            git(copy, "init", "--quiet")
            commit(copy)
    else:
        publish(source, copy)
        commit(copy)
        if case == "loose":
            put(copy, "thesis.md", "years of work")
        elif case == "deleted":
            (copy / "book/01-sums.md").unlink()
        else:
            put(copy, "book/01-sums.md", "corrected in the wrong place")
        if case == "staged":
            git(copy, "add", "--all")
    before = contents(copy)
    with pytest.raises(GradingError, match=said):
        publish(source, copy)
    after = contents(copy)
    assert {name: after[name] for name in before if ".git/index" not in name} == {
        name: before[name] for name in before if ".git/index" not in name
    }


def test_the_source_itself_is_no_place_for_the_copy(source: Path):
    for place in (source, source.parent, source / "public"):
        with pytest.raises(GradingError, match="in one another"):
            publish(source, place)


@pytest.mark.usefixtures("no_wheel")
@pytest.mark.parametrize(
    "name", ["course.toml", "class/roster.csv", "class/received/90-sums/student-01/receipt.json"]
)
def test_what_is_of_a_class_stays_with_the_staff(source: Path, tmp_path: Path, name: str):
    put(source, name, "names")
    commit(source)
    with pytest.raises(GradingError, match=f"{name}: is of a class"):
        publish(source, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.usefixtures("no_wheel")
def test_what_git_ignores_in_the_copy_is_neither_published_nor_replaced(
    source: Path, tmp_path: Path
):
    copy = tmp_path / "copy"
    put(source, ".gitignore", "drafts/\n")
    commit(source)
    publish(source, copy)
    commit(copy)
    put(copy, "drafts/mine.md", "years of work")
    put(source, ".gitignore", "")
    commit(source)
    publish(source, copy)
    assert "drafts" not in git(copy, "ls-files")
    git(copy, "commit", "--quiet", "--message", "Next")
    (copy / ".git/info/exclude").write_text("drafts/\n")
    put(source, "drafts/mine.md", "the source's")
    commit(source)
    with pytest.raises(GradingError, match=r"git ignores there.*drafts/mine\.md"):
        publish(source, copy)
    assert (copy / "drafts/mine.md").read_text() == "years of work"


@pytest.mark.usefixtures("no_wheel")
def test_a_submodule_in_the_copy_is_refused_before_anything_is_removed(
    source: Path, tmp_path: Path
):
    copy = tmp_path / "copy"
    publish(source, copy)
    commit(copy)
    commit_name = git(copy, "rev-parse", "HEAD").strip()
    git(copy, "update-index", "--add", "--cacheinfo", f"160000,{commit_name},other")
    git(copy, "commit", "--quiet", "--message", "A submodule")
    (copy / "other").mkdir()
    before = files(copy)
    with pytest.raises(GradingError, match="has a submodule"):
        publish(source, copy)
    assert files(copy) == before


@pytest.fixture
def merged(source: Path, tmp_path: Path) -> Path:
    """A public copy into which somebody merged a correction of a page, and a new page."""
    copy = tmp_path / "copy"
    publish(source, copy)
    commit(copy, "The first")
    git(copy, "switch", "--quiet", "--create", "correction")
    put(copy, "book/01-sums.md", "# Sums, corrected\n")
    commit(copy, "Correct a page")
    put(copy, "book/02-more.md", "# More\n")
    commit(copy, "Add a page")
    git(copy, "switch", "--quiet", "main")
    git(copy, "merge", "--quiet", "--no-ff", "--message", "Merge it", "correction")
    return copy


@pytest.mark.usefixtures("no_wheel")
@pytest.mark.parametrize("place", ["here", "clone"])
def test_commits_made_by_hand_in_the_copy_are_named_and_not_taken_back(
    source: Path, tmp_path: Path, merged: Path, place: str
):
    copy = merged if place == "here" else tmp_path / "clone"
    if place == "clone":
        git(tmp_path, "clone", "--quiet", str(merged), str(copy))
    head = git(copy, "rev-parse", "HEAD")
    with pytest.raises(GradingError) as refused:
        publish(source, copy)
    said = str(refused.value)
    assert re.findall(r"^  \w{7,} (.*)$", said, re.M)[:3] == [
        "Merge it",
        "Add a page",
        "Correct a page",
    ]
    assert "The first" not in said
    assert "take back what they changed: book/01-sums.md, book/02-more.md. " in said
    assert (copy / "book/02-more.md").read_text() == "# More\n"
    assert git(copy, "rev-parse", "HEAD") == head
    assert git(copy, "status", "--porcelain") == ""


@pytest.mark.usefixtures("no_wheel")
def test_what_the_source_has_alike_is_not_taken_back(source: Path, merged: Path):
    put(source, "book/01-sums.md", "# Sums, corrected\n")
    commit(source)
    with pytest.raises(GradingError, match=r"what they changed: book/02-more\.md\. "):
        publish(source, merged)
    put(source, "book/02-more.md", "# More\n")
    commit(source)
    publish(source, merged)
    commit(merged, "The next")
    put(source, "book/02-more.md", "# Still more\n")
    commit(source)
    publish(source, merged)
    assert (merged / "book/02-more.md").read_text() == "# Still more\n"


@pytest.mark.usefixtures("no_wheel")
def test_commits_by_hand_go_as_the_message_says(source: Path, merged: Path):
    with pytest.raises(GradingError) as refused:
        publish(source, merged)
    restore = re.search(r"^  git -C \S+ (restore .*)$", str(refused.value), re.M)
    assert restore
    git(merged, *restore[1].split())
    git(merged, "commit", "--quiet", "--message", "Back")
    publish(source, merged)
    assert files(merged) == expected(source)


@pytest.mark.usefixtures("no_wheel")
def test_a_file_that_was_removed_by_hand_does_not_come_back_unsaid(source: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    publish(source, copy)
    commit(copy)
    git(copy, "rm", "--quiet", "book/01-sums.md")
    git(copy, "commit", "--quiet", "--message", "Take a page away")
    with pytest.raises(GradingError, match=r"Take a page away[^:]*: book/01-sums\.md\."):
        publish(source, copy)


@pytest.mark.usefixtures("no_wheel")
def test_a_first_commit_that_is_not_what_was_written_is_answered(source: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    publish(source, copy)
    put(copy, "book/02-more.md", "# More\n")
    commit(copy)
    with pytest.raises(GradingError, match=r"no commit in .* is as `make public` left it"):
        publish(source, copy)


@pytest.mark.usefixtures("no_wheel")
def test_a_copy_whose_marker_says_nothing_of_its_files_is_written_to(source: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    put(copy, MARKER, "As an earlier version of the course wrote it.\n")
    git(copy, "init", "--quiet")
    commit(copy)
    publish(source, copy)
    assert files(copy) == expected(source)


@pytest.mark.usefixtures("no_wheel")
def test_a_symbolic_link_is_copied_as_its_file_or_refused_by_name(source: Path, tmp_path: Path):
    (source / "book/link.md").symlink_to("01-sums.md")
    commit(source)
    publish(source, tmp_path / "copy")
    assert (tmp_path / "copy/book/link.md").read_text() == "# Sums\n"
    assert not (tmp_path / "copy/book/link.md").is_symlink()
    for target in ("/etc/hostname", "../../outside.md", "../tests", "nowhere.md"):
        (source / "book/link.md").unlink()
        (source / "book/link.md").symlink_to(target)
        commit(source)
        with pytest.raises(GradingError, match=rf"^book/link.md is a symbolic link to {target}, "):
            publish(source, tmp_path / "other")
        assert not (tmp_path / "other").exists()


def test_a_release_that_is_older_than_the_address_is_not_published(source: Path):
    course = Course(source)
    release(course, NAME)
    commit(source)
    public.require_fresh(source)
    config = (source / "_config.yml").read_text()
    put(source, "_config.yml", config.replace("nlp-course/nlp_course", "somebody/else"))
    commit(source)
    with pytest.raises(GradingError, match=f"{NAME} is committed otherwise"):
        public.require_fresh(source)


def test_a_source_without_solutions_or_without_commits_is_answered(tmp_path: Path):
    with pytest.raises(GradingError, match=r"what is committed in .* cannot be read"):
        publish(tmp_path / "nothing", tmp_path / "copy")
    put(tmp_path / "public", "nbgrader_config.py", "")
    git(tmp_path / "public", "init", "--quiet")
    commit(tmp_path / "public")
    with pytest.raises(GradingError, match="comes without solutions"):
        publish(tmp_path / "public", tmp_path / "copy")


# What must not be told


def zipped(text: str, name: str = "inner/answers.txt") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return packed.getvalue()


PLANTS = {
    "a solution in a page": ("book/01-sums.md", f"# Sums\n\n    {SOLUTION}\n", SOLUTION),
    "a hidden test in a notebook": ("book/lab.ipynb", notebook("x = 1", f"  {HIDDEN}"), HIDDEN),
    "a mutant in a test": ("tests/test_sums.py", f'W = "def total(n):\\n    {MUTANT}"', MUTANT),
    "another right answer": ("weights/mean.py", OTHER_RIGHT_ANSWER, OTHER_RIGHT_ANSWER),
    "an answer in words": ("book/notes.toml", f'note = "{BY_HAND}"', BY_HAND),
    "a line among bytes": ("book/a.png", b"\x89PNG\0\xff" + HIDDEN.encode() + b"\0\xfe", HIDDEN),
    "a line in an archive": ("book/a.zip", zipped(SOLUTION), "a.zip/inner/answers.txt"),
    "an instructors' file": ("book/mutants.py", "", "is for instructors only"),
    "a whole answer": ("book/02.md", f"{IN_PACKAGE}\n\n{REST_OF_ANSWER}\n", "all of the answer"),
    "a mark": ("book/02.ipynb", notebook("### BEGIN HIDDEN TESTS"), "says 'BEGIN HIDDEN TESTS'"),
    "a hint": ("book/01-sums.md", f"Why? {HINT} So", HINT),
    "a criterion": ("book/01-sums.md", f"{CRITERION}\n", CRITERION),
    "a line in gzip": ("book/a.txt.gz", gzip.compress(SOLUTION.encode()), SOLUTION),
    "a line in bzip2": ("book/a.txt.bz2", bz2.compress(SOLUTION.encode()), SOLUTION),
    "a line in xz": ("book/a.txt.xz", lzma.compress(SOLUTION.encode()), SOLUTION),
    "a notebook in gzip": ("a.gz", gzip.compress(notebook("x = 1", HIDDEN).encode()), HIDDEN),
    "a line in half of an archive": ("a.gz", gzip.compress(b"")[:9] + HIDDEN.encode(), HIDDEN),
    "a line in UTF-16": ("book/a.txt", f"Zwölf\n{SOLUTION}\n".encode("utf-16"), SOLUTION),
    "the other UTF-16": ("book/a.txt", f"Zwölf\n{SOLUTION}\n".encode("utf-16-be"), SOLUTION),
    "a notebook in UTF-16": ("a.ipynb", notebook("é", HIDDEN).encode("utf-16"), HIDDEN),
    "UTF-16 among bytes": ("a.bin", b"\xff" + f"-{SOLUTION}".encode("utf-16-le"), SOLUTION),
    "a file called as a line": (f"book/{SOLUTION}.md", "# Sums", SOLUTION),
    "a file called as a mutant": ("tests/Last_left-out.py", "", "is called 'last left out'"),
    "a folder called as a mutant": ("tests/none-forgotten/a.md", "", "is called 'none forgotten'"),
    "a name in an archive": ("a.zip", zipped("", "last left out.py"), "a.zip/last left out.py"),
    "an instructors' file in one": ("a.zip", zipped("", "mutants.py"), "a.zip/mutants.py: is for"),
}


@pytest.mark.usefixtures("no_wheel")
@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_secret_is_found_and_nothing_is_written(source: Path, tmp_path: Path, plant: str):
    name, content, told = PLANTS[plant]
    put(source, name, content)
    commit(source)
    with pytest.raises(GradingError) as refused:
        publish(source, tmp_path / "copy")
    [found] = [line for line in str(refused.value).splitlines() if line.startswith("  ")]
    assert found.startswith(f"  {name}")
    assert told in found
    assert not (tmp_path / "copy").exists()


@pytest.mark.usefixtures("no_wheel")
def test_one_word_in_a_name_tells_nothing(source: Path, tmp_path: Path):
    put(source, f"solutions/{NAME}/mutants.py", "MUTANTS = {'q': {'probabilities': 'x'}}\n"
        "ALTERNATIVES = {}\n")  # fmt: skip
    put(source, "tests/test_probabilities.py", "")
    commit(source)
    publish(source, tmp_path / "copy")


@pytest.mark.usefixtures("no_wheel")
def test_a_name_passes_in_the_places_that_the_list_names(source: Path, tmp_path: Path):
    listed = '[[taught]]\nlines = ["last left out"]\nwhere = ["tests/"]\nwhy = "By chance."\n'
    put(source, "solutions/taught.toml", listed)
    put(source, "tests/last_left_out.py", "")
    commit(source)
    publish(source, tmp_path / "copy")


def test_a_release_is_searched_for_hints_and_names_too(source: Path, tmp_path: Path):
    put(tmp_path, "published/last left out.txt", HINT)
    assert leaks(Course(source), NAME, tmp_path / "published") == [
        f"last left out.txt: holds {HINT!r}",
        "last left out.txt: is called 'last left out'",
    ]


@pytest.mark.parametrize("pack", [zipped, gzip.compress, bz2.compress, lzma.compress])
def test_an_archive_that_is_damaged_stops_no_search(pack: Callable[[object], bytes]):
    packed = pack("x = 1\n" * 99) if pack is zipped else pack(b"x = 1\n" * 99)
    places = (10, 47)  # where what was compressed begins, in gzip and in zip
    damaged_inside = [packed[:at] + b"\xff" * 9 + packed[at + 9 :] for at in places]
    for damaged in (packed[:-9], packed[:20], *damaged_inside):
        assert [name for name, _ in texts("a", damaged)]


def test_an_answer_that_only_the_wheel_holds_is_found(source: Path, tmp_path: Path):
    put(source, "setup.py", SETUP.format(text=SOLUTION[::-1]))
    commit(source)
    with pytest.raises(GradingError) as refused:
        publish(source, tmp_path / "copy")
    assert f"in nlp_course-0-py3-none-any.whl, nlp_course/hint.txt: holds {SOLUTION!r}" in str(
        refused.value
    )
    assert not (tmp_path / "copy").exists()


@pytest.mark.usefixtures("no_wheel")
@pytest.mark.parametrize("place", ["file", "message", "tag", "branch", "mutants.py", "solutions/a"])
def test_an_answer_in_the_history_is_found_with_its_commit(
    source: Path, tmp_path: Path, place: str
):
    copy = tmp_path / "copy"
    publish(source, copy)
    commit(copy, "The first")
    if place in ("message", "tag"):
        git(copy, "tag", "week-1", "--message", SOLUTION if place == "tag" else "A week")
        put(copy, "book/01-sums.md", "# More\n")
        commit(copy, SOLUTION if place == "message" else "More")
    else:
        git(copy, "switch", "--quiet", "--create", "draft")
        name = "book/01-sums.md" if place in ("file", "branch") else place
        put(copy, name, f"As said: {SOLUTION}\n" if place in ("file", "branch") else "x = 1\n")
        commit(copy, "A slip")
    slip = git(copy, "rev-parse", "--short", "HEAD").strip()
    if place == "branch":
        git(copy, "switch", "--quiet", "main")  # the slip is on another branch
    else:
        git(copy, "checkout", "--quiet", "HEAD~1", "--", ".")
        if place in ("mutants.py", "solutions/a"):
            git(copy, "rm", "--quiet", place)
        git(copy, "commit", "--quiet", "--allow-empty", "--message", "Mended")
    before = contents(copy)
    with pytest.raises(GradingError) as refused:
        publish(source, copy)
    [found] = [line for line in str(refused.value).splitlines() if line.startswith("  ")]
    if place in ("message", "tag"):
        kind = "commit" if place == "message" else "tag"
        name = slip if place == "message" else git(copy, "rev-parse", "--short", "week-1").strip()
        assert found == f"  the message of {kind} {name}: holds {SOLUTION!r}"
    elif place in ("file", "branch"):
        assert found == f"  in commit {slip}, book/01-sums.md: holds {SOLUTION!r}"
    else:
        assert found == f"  in commit {slip}, {place}: is for instructors only"
    assert contents(copy).keys() >= before.keys()


@pytest.mark.usefixtures("no_wheel")
@pytest.mark.parametrize("name", ["tests/last_left_out.py", "roster.csv", "book/mutants.py"])
def test_a_name_in_the_history_is_found_though_another_file_had_its_content(
    source: Path, tmp_path: Path, name: str
):
    copy = tmp_path / "copy"
    publish(source, copy)
    commit(copy)
    put(copy, name, "")  # as nlp_course/__init__.py
    commit(copy)
    slip = git(copy, "rev-parse", "--short", "HEAD").strip()
    git(copy, "rm", "--quiet", name)
    git(copy, "commit", "--quiet", "--message", "Mended")
    with pytest.raises(GradingError, match=rf"in commit {slip}, {name}: is "):
        publish(source, copy)


@pytest.mark.usefixtures("no_wheel")
def test_a_part_of_a_history_is_not_taken_for_all_of_it(source: Path, tmp_path: Path):
    copy, part = tmp_path / "copy", tmp_path / "part"
    publish(source, copy)
    commit(copy)
    put(copy, "book/01-sums.md", "# More\n")
    commit(copy)
    git(tmp_path, "clone", "--quiet", "--depth=1", copy.as_uri(), str(part))
    with pytest.raises(GradingError, match="lacks a part of its history"):
        publish(source, part)


# What is honest


@pytest.mark.usefixtures("no_wheel")
def test_a_line_passes_in_the_files_that_the_list_names_and_in_no_other(
    source: Path, tmp_path: Path
):
    entry = {"lines": [SOLUTION], "where": ["book/01-sums.md", "tests/"], "why": "Taught."}
    listed = "[[taught]]\n" + "".join(f"{key} = {json.dumps(it)}\n" for key, it in entry.items())
    put(source, "solutions/taught.toml", listed)
    put(source, "book/01-sums.md", SOLUTION)
    put(source, "tests/test_sums.py", SOLUTION)
    commit(source)
    publish(source, tmp_path / "copy")
    put(source, "book/02-means.md", SOLUTION)
    commit(source)
    with pytest.raises(GradingError, match="02-means") as refused:
        publish(source, tmp_path / "copy")
    assert "01-sums" not in str(refused.value)


@pytest.mark.usefixtures("no_wheel")
def test_what_the_workflow_publishes_on_a_branch_is_honest_as_its_sources_are(
    source: Path, tmp_path: Path
):
    copy = tmp_path / "copy"
    entry = f'[[taught]]\nlines = ["{SOLUTION}"]\nwhere = ["book/01-sums.md"]\nwhy = "Taught."\n'
    put(source, "solutions/taught.toml", entry)
    commit(source)
    publish(source, copy)
    commit(copy)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        wheel.writestr("nlp_course/grading/leaks.py", "### BEGIN SOLUTION")
    git(copy, "switch", "--quiet", "--orphan", "notebooks")
    put(copy, "wheel/nlp_course-0-py3-none-any.whl", packed.getvalue())
    put(copy, "notebooks/01-sums.ipynb", notebook(SOLUTION))
    commit(copy)
    git(copy, "switch", "--quiet", "main")
    publish(source, copy)


@pytest.mark.usefixtures("no_wheel")
def test_an_earlier_release_may_hold_what_was_public_then_and_that_is_said(
    source: Path, tmp_path: Path
):
    copy, name = tmp_path / "copy", "assignments/90-sums/90-sums.ipynb"
    line = "assert total([2, 2, 2]) == 6"
    instructors = source / "solutions" / NAME / f"{NAME}.ipynb"
    now, mark = instructors.read_text(), "### BEGIN HIDDEN TESTS"
    instructors.write_text(now.replace(mark, f"{line}\\n{mark}"))
    put(source, name, notebook(line))
    commit(source)
    publish(source, copy)
    commit(copy)
    instructors.write_text(now.replace(mark, f"{mark}\\n{line}"))
    put(source, name, notebook("nothing"))
    commit(source)
    assert f"{name}: holds {line!r}" in publish(source, copy)
    put(copy, "book/01-sums.md", line)  # but it was never public there
    commit(copy)
    with pytest.raises(GradingError, match=r"in commit \w+, book/01-sums.md: holds 'assert total"):
        publish(source, copy)


@pytest.mark.usefixtures("no_wheel")
def test_publishing_goes_on_when_a_module_no_longer_teaches_a_line(source: Path, tmp_path: Path):
    copy, module = tmp_path / "copy", "nlp_course/counting.py"
    page = "book/01-sums.md"
    put(source, module, f"for number in numbers:\n    {SOLUTION}\n")
    put(source, page, f"As the package says: {SOLUTION}\n")
    commit(source)
    publish(source, copy)
    commit(copy)
    git(copy, "switch", "--quiet", "--orphan", "notebooks")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        wheel.writestr(module, SOLUTION)
    put(copy, "wheel/nlp_course-0-py3-none-any.whl", packed.getvalue())
    put(copy, "notebooks/01-sums.ipynb", notebook(SOLUTION))
    commit(copy)
    git(copy, "switch", "--quiet", "main")

    put(source, module, "total = sum\n")
    put(source, page, "# Sums\n")
    commit(source)
    said = publish(source, copy)
    for place in (
        module,
        page,
        f"wheel/nlp_course-0-py3-none-any.whl/{module}",
        "notebooks/01-sums.ipynb",
    ):
        assert f"  {place}: holds {SOLUTION!r}" in said
    commit(copy)

    put(source, page, SOLUTION)  # today it is a secret
    commit(source)
    with pytest.raises(GradingError, match=f"  {page}: holds"):
        publish(source, copy)
    git(source, "revert", "--no-edit", "HEAD")
    put(copy, "tests/test_sums.py", SOLUTION)  # and there it never stood in the source
    commit(copy)
    with pytest.raises(GradingError, match=r"in commit \w+, tests/test_sums.py: holds"):
        publish(source, copy)


@pytest.mark.usefixtures("no_wheel")
def test_what_was_public_only_in_a_page_was_never_public(source: Path, tmp_path: Path):
    copy, page = tmp_path / "copy", "book/01-sums.md"
    put(source, page, SOLUTION)  # a slip in the source, which was mended
    commit(source)
    git(source, "revert", "--no-edit", "HEAD")
    publish(source, copy)
    commit(copy)
    put(copy, page, SOLUTION)
    commit(copy)
    with pytest.raises(GradingError, match=r"in commit \w+, book/01-sums.md: holds"):
        publish(source, copy)


@pytest.mark.usefixtures("no_wheel")
def test_several_lines_of_a_test_may_be_hidden_later(source: Path, tmp_path: Path):
    copy, name = tmp_path / "copy", "assignments/90-sums/90-sums.ipynb"
    lines = ["assert total([2, 2, 2]) == 6", "assert total([3, 3, 3]) == 9"]
    instructors = source / "solutions" / NAME / f"{NAME}.ipynb"
    now, mark = instructors.read_text(), "### BEGIN HIDDEN TESTS"
    instructors.write_text("<<<<<<< a merge that was committed unfinished")
    commit(source)
    shown, hidden = "\\n".join([*lines, mark]), "\\n".join([mark, *lines])
    instructors.write_text(now.replace(mark, shown))
    put(source, name, notebook(*lines))
    commit(source)
    publish(source, copy)
    commit(copy)
    instructors.write_text(now.replace(mark, hidden))
    put(source, name, notebook("nothing"))
    commit(source)
    said = publish(source, copy)
    assert all(f"{name}: holds {line!r}" in said for line in lines)


def test_an_entry_of_the_list_says_why(source: Path):
    put(source, "solutions/taught.toml", '[[taught]]\nlines = ["a = b"]\nwhere = ["book/"]\n')
    with pytest.raises(GradingError, match="entry 1 lacks why"):
        taught_lines(Course(source))


@pytest.mark.parametrize(
    "line", ["import statistics", "for number in numbers:", "return result", "result = []"]
)
def test_a_phrase_of_every_program_tells_nothing(source: Path, line: str):
    put(source, f"solutions/{NAME}/mutants.py", f"MUTANTS = {{'q': {{'m': {line!r}}}}}\n"
        "ALTERNATIVES = {}\n")  # fmt: skip
    assert line not in course_secrets(Course(source), package="").lines


# How it searches


@pytest.mark.parametrize(
    "text",
    [
        r"wrong = 'return \'a\' + \"b\" + c'",
        "&lt;p&gt; return &#x27;a&#x27; + &quot;b&quot; + c",
        "\u2028return 'a' + \"b\" + c\ufffd",
    ],
)
def test_quotes_that_are_escaped_hide_nothing(text: str):
    secrets = Secrets(frozenset(["return 'a' + \"b\" + c"]), frozenset())
    assert len(secrets.told_in(text)) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_of_json_every_string_is_read_as_it_is_meant(encoding: str):
    content = json.dumps({"cells": [{"source": ["α = β\n", "γ = δ"]}], "σ": {"a": "ε"}}).encode()
    assert b"\\u03b1" in content
    found = list(texts("a.ipynb", content.decode().encode(encoding)))
    assert {name for name, _ in found} == {"a.ipynb"}
    assert any({"α = β", "γ = δ", "σ", "ε"} <= set(text.splitlines()) for _, text in found)


def test_the_search_finds_what_a_search_for_each_line_finds():
    rng = np.random.default_rng(0)
    letters = np.array(list("ab \n"))
    text = "".join(rng.choice(letters, 200_000))
    lines = {"".join(rng.choice(letters[:3], 12 + i % 4)) for i in range(300)}
    lines |= {text[i : i + 20] for i in range(0, 2000, 40)} | {text[:12], text[-12:]}
    expected = {f"holds {line!r}" for line in lines if line in text}
    assert 0 < len(expected) < len(lines)
    assert set(Secrets(frozenset(lines), frozenset()).told_in(text)) == expected


# The course itself


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> PublicCopy:
    """Of the course's files as they are now, committed or not."""
    if not (ROOT / "solutions").is_dir():
        pytest.skip("the public copy of the course holds no solutions")
    folder = tmp_path_factory.mktemp("course")
    try:
        listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    except subprocess.CalledProcessError:
        pytest.skip("this copy of the course is no repository of git")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():  # and not removed since
            put(folder / "source", name, (ROOT / name).read_bytes())
    git(folder / "source", "init", "--quiet")
    commit(folder / "source")
    (folder / "work").mkdir()
    return PublicCopy(folder / "source", folder / "work")


@pytest.mark.slow
@pytest.mark.assignments
def test_the_course_itself_tells_no_answer(whole: PublicCopy, tmp_path: Path):
    assert {"book/_toc.yml", "pyproject.toml"} <= set(whole.blobs)
    assert not [name for name in whole.blobs if "mutants" in name]
    assert whole.leaks(tmp_path) == []


@pytest.mark.slow
@pytest.mark.assignments
def test_every_secret_line_of_the_course_would_be_found(whole: PublicCopy):
    lines = whole.secrets.lines
    assert len(lines) > 10_000
    page = "\n\n    ".join(sorted(lines))
    assert {f"holds {line!r}" for line in lines} <= set(whole.secrets.told_in(page))
