"""The public copy of the course: what students and readers may see of it, with proof.

The course has two repositories. The source is private, for it holds `solutions/`. The public copy
is what is committed there but for what is withheld below, and has a history of its own. Before it
is written, its files, the wheel made of them and all that its history holds are searched for what
`leaks.course_secrets` knows. A line of an answer passes where students read it anyway, in the
package or in the public part of an assignment, and where `solutions/taught.toml` names the file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import nbformat

from nlp_course.grading.course import Course
from nlp_course.grading.destination import (
    MARKER,
    NOTICE,
    clashes,
    require_nothing_by_hand,
    require_writable,
    write,
)
from nlp_course.grading.leaks import (
    INSTRUCTORS_FILES,
    REGION,
    course_secrets,
    public_part,
    taught_lines,
    texts,
)
from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.release import differences, generate_release
from nlp_course.grading.repositories import (
    blob_name,
    commit_of_content,
    commit_of_path,
    export,
    git,
    listed,
    paths_ever,
    read_objects,
    versions,
)

# `tests/assignments/` runs solutions, and names the mistakes that hidden tests look for.
WITHHELD = ("solutions/", "tests/assignments/")
KEPT = ("tests/assignments/test_student_environment.py",)  # runs what students get
# What must name the marks around secret regions: pages for authors, what grades, and its tests.
NAMES_THE_MARKS = (
    "CONTRIBUTING.md",
    "book/instructors/questions.md",
    "nlp_course/grading/",
    "tests/grading/",
)
# Of a class, and for the staff only, wherever somebody committed it.
PRIVATE_FILES = (
    *("course.toml", "roster.csv", "receipt.json", "review.csv", "gradebook.db", "grading.log"),
    *("marks.csv", "grades.csv", "secret"),
)
PRIVATE_FOLDERS = ("received", "submitted", "autograded", "feedback")
NEWEST_SETUPTOOLS = 77  # that pyproject.toml asks for
SHOWN = 30


def require_fresh(root: Path) -> None:
    """See that `assignments/`, as it is committed, is what `solutions/` and `_config.yml` give.

    Raises
    ------
    GradingError : one is not; from an older one students would install another course's package.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, fresh = Path(folder) / "source", Path(folder) / "fresh"
        export(root.resolve(), source)
        course = Course(source)
        for name in course.assignments():
            released = source / "assignments" / name
            if differences(generate_release(course, name, fresh), released):
                raise GradingError(
                    f"{name} is committed otherwise than solutions/ and _config.yml give it: run "
                    "nlp-course release, commit _config.yml and assignments/, and do this again"
                )


def publish(root: Path, destination: Path) -> str:
    """Write the public copy of a course, after a search that found no answer in it.

    Parameters
    ----------
    root : folder of the course's source; what its last commit holds is copied
    destination : a folder that is absent or empty, or a repository that this wrote before

    Returns
    -------
    What was done, in a few lines.

    Raises
    ------
    GradingError : the copy, its wheel or its history would tell an answer; something would be
        lost that stands in the destination; or a symbolic link leads to no file of the source.
        Nothing is written then.
    """
    root, destination = root.resolve(), destination.expanduser().resolve()
    require_writable(root, destination)
    with tempfile.TemporaryDirectory() as folder:
        copy = PublicCopy(root, Path(folder))
        found = copy.leaks(destination)
        if found:
            more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
            raise GradingError(
                "\n  ".join(["nothing is written, for this would tell", *found[:SHOWN], *more])
                + "\nMend these files and commit them. Where a line stands or stood honestly, "
                "name it with the file and the reason in solutions/taught.toml. What a commit "
                "tells goes only with its history: take a new folder, and a new repository for it."
            )
        if ignored := clashes(destination, copy.blobs):
            raise GradingError(
                f"{destination} holds what git ignores there, and the copy would replace: "
                f"{', '.join(ignored[:5])}. Move it away"
            )
        require_nothing_by_hand(destination, copy.blobs)
        write(destination, copy.folder, copy.blobs)
    said = [
        f"{len(copy.blobs)} files → {destination}",
        f"None of {len(copy.secrets.lines)} secret lines stands in them, in the wheel made of "
        "them, or in the history there.",
    ]
    if copy.past:
        said.append(f"The history there holds {len(copy.past)} times what is secret by now:")
        said += [f"  {told}" for told in sorted(copy.past)[:SHOWN]]
    changes = [line[3:] for line in listed(root, "status", "--porcelain", "-z", "--no-renames")]
    if changes:
        others = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
        said.append(f"Not committed, so not as it is here: {', '.join(changes[:5])}{others}")
    said.append(f"All is staged: look at it, commit it and push it from {destination}")
    return "\n".join(said)


class PublicCopy:
    """The files of a public copy, and what must not be told by them.

    Parameters
    ----------
    root : folder of the course's source, a git repository
    work : an empty folder, for the copy and its wheel
    """

    def __init__(self, root: Path, work: Path) -> None:
        self._root, self._work = root, work
        source, self.folder = work / "source", work / "copy"
        export(root, source)
        public = [name for name in _names(source) if not withheld(name)]
        for name in public:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, self.folder / name)
        (self.folder / MARKER).write_text(NOTICE, encoding="utf-8")
        names = [*public, MARKER]
        self.blobs = {name: blob_name((self.folder / name).read_bytes()) for name in names}

        course = Course(source)
        modules = sorted((source / "nlp_course").rglob("*.py"))
        package = "\n".join(path.read_text(encoding="utf-8") for path in modules)
        self.secrets = course_secrets(course, package)
        self._taught = taught_lines(course)
        self.past: set[str] = set()  # what the history tells that was public once; after `leaks`
        self._once: dict[str, set[str]] = {}

    def leaks(self, repository: Path) -> list[str]:
        """Where the files, their wheel, or the history of the copy's repository tell an answer."""
        found: set[str] = set()
        for name in self.blobs:
            found |= _sentences(self._told_by(name, (self.folder / name).read_bytes()))
        wheel = build_wheel(self.folder, self._work)
        known = set(self.blobs.values())
        for name, content in _members(wheel):
            if blob_name(content) not in known:
                told = _sentences(self._told_by(name, content))
                found |= {f"in {wheel.name}, {one}" for one in told}
        if (repository / ".git").exists():
            found |= set(self._told_by_history(repository))
        return sorted(found)

    def _told_by(self, name: str, content: bytes) -> set[tuple[str, str]]:
        """What a file tells by its content and by its name: places in it, and what each tells."""
        found = self._told_by_path(name)
        for place, text in texts(name, content):
            source = _path_in_source(place)
            told = set(self.secrets.told_in(text))
            told -= {f"holds {line!r}" for line, where in self._taught if _is_among(source, where)}
            if not _is_among(source, NAMES_THE_MARKS):
                told |= {f"says {mark[0]!r}" for mark in REGION.finditer(text)}
            found |= {(place, one) for one in told}
            if place != name:
                found |= self._told_by_path(place)  # of a member of an archive
        return found

    def _told_by_path(self, path: str) -> set[tuple[str, str]]:
        source = _path_in_source(path)
        *folders, file = Path(source).parts
        told = set(self.secrets.told_by_path(source))
        told -= {f"is called {name!r}" for name, where in self._taught if _is_among(source, where)}
        if "solutions" in folders or file in INSTRUCTORS_FILES:
            told.add("is for instructors only")
        if file in PRIVATE_FILES or not {*folders}.isdisjoint(PRIVATE_FOLDERS):
            told.add("is of a class, and for the staff only")
        return {(path, one) for one in told}

    def _told_by_history(self, repository: Path) -> Iterator[str]:
        """By all that branches, tags and other references lead to: files, names and messages."""
        if git(repository, "rev-parse", "--is-shallow-repository").strip() == "true":
            yield f"{repository}: lacks a part of its history; git fetch --unshallow brings it"
        lines = git(repository, "rev-list", "--objects", "--all").split("\n")
        paths = {line.partition(" ")[0]: line.partition(" ")[2] for line in lines if line}
        for name, kind, content in read_objects(repository, paths.keys() - self.blobs.values()):
            if kind == "blob":
                found = self._without_what_was_public(self._told_by(paths[name], content))
                commit = commit_of_content(repository, name) if found else ""
                yield from (f"in commit {commit}, {told}" for told in _sentences(found))
            elif kind in ("commit", "tag"):
                yield from _sentences(self._told_by(f"the message of {kind} {name[:7]}", content))
        # Of files with one content, only one is in the list of objects.
        for path in paths_ever(repository) - self.blobs.keys():
            if found := self._told_by_path(path):
                commit = commit_of_path(repository, path)
                yield from (f"in commit {commit}, {told}" for told in _sentences(found))

    def _without_what_was_public(self, found: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """What an earlier copy told honestly, as no secret then, is noted and not refused.

        That is what stood once in the same file of the source, and once, open to students, in the
        package or in an assignment.
        """
        past = {
            (place, told)
            for place, told in found
            if told in self._open_in_the_past and told in self._told_once(_path_in_source(place))
        }
        self.past |= _sentences(past)
        return found - past

    @cached_property
    def _open_in_the_past(self) -> set[str]:
        """What modules and public parts of assignments told, in any commit of the source."""
        told: set[str] = set()
        for path, content in versions(self._root, "nlp_course", "solutions"):
            if path.startswith("nlp_course/") and path.endswith(".py"):
                told.update(self.secrets.told_in(_text(content)))
            elif path.startswith("solutions/") and path.endswith(".ipynb"):
                try:
                    notebook = nbformat.reads(_text(content), as_version=4)
                except ValueError:
                    continue  # broken in that commit: it showed nobody anything
                told.update(self.secrets.told_in(public_part(notebook)))
        return told

    def _told_once(self, path: str) -> set[str]:
        """What a file told, in any commit of the source."""
        if path not in self._once:
            every = (one for _, one in versions(self._root, f":(literal){path}"))
            self._once[path] = {
                told
                for content in every
                for _, text in texts(path, content)
                for told in self.secrets.told_in(text)
            }
        return self._once[path]


def withheld(name: str) -> bool:
    """Whether a file of the source, by its path there, is for the teaching staff alone."""
    return name.startswith(WITHHELD) and name not in KEPT


def build_wheel(project: Path, work: Path) -> Path:
    """The wheel of a project, built in a working folder: setuptools writes beside the sources.

    Raises
    ------
    GradingError : pip cannot build it; the message ends as pip's does.
    """
    source, out = work / "wheel-source", work / "wheel"
    shutil.copytree(project, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    # With a setuptools that will do in this environment, no network is needed.
    isolation = ["--no-build-isolation"] if _has_setuptools() else []
    command = [*pip, "--no-deps", *isolation, "--wheel-dir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(out.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise GradingError(f"the wheel cannot be built:\n{(done.stdout + done.stderr)[-2000:]}")
    return wheels[0]


def _has_setuptools() -> bool:
    try:
        return int(version("setuptools").partition(".")[0]) >= NEWEST_SETUPTOOLS
    except PackageNotFoundError:
        return False


def _names(folder: Path) -> list[str]:
    """Paths of all files; a symbolic link must lead to one, which is copied in its place."""
    paths = sorted(folder.rglob("*"))
    for path in paths:
        if path.is_symlink() and not path.is_file():
            raise GradingError(
                f"{path.relative_to(folder).as_posix()} is a symbolic link to {os.readlink(path)}, "
                "which is no file of the course: commit files in its place"
            )
    return [path.relative_to(folder).as_posix() for path in paths if path.is_file()]


def _sentences(found: Iterable[tuple[str, str]]) -> set[str]:
    return {f"{place}: {told}" for place, told in found}


def _text(content: bytes) -> str:
    return content.decode(encoding="utf-8", errors="replace")


def _path_in_source(name: str) -> str:
    """Of which file of the source this is a form: it lies in a wheel, or is a page's notebook.

    >>> _path_in_source("wheel/nlp_course-1-py3-none-any.whl/nlp_course/text.py")
    'nlp_course/text.py'
    >>> _path_in_source("notebooks/04-word2vec.ipynb")
    'book/04-word2vec.md'
    """
    inner = name.rpartition(".whl/")[2]
    page = re.fullmatch(r"notebooks/(.+)\.ipynb", inner)
    return f"book/{page[1]}.md" if page else inner


def _is_among(name: str, places: Iterable[str]) -> bool:
    """Whether a file is one of these, or lies in a folder of these, which end in `/`."""
    return any(
        name == place or (place.endswith("/") and name.startswith(place)) for place in places
    )


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            yield name, opened.read(name)
