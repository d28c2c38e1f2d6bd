"""The public copy of the course: what students and readers may see of it, with proof.

The course has two repositories. The source is private, for it holds `solutions/`. The public copy
is what is committed there but for what is withheld below, and has a history of its own. Before it
is written, its files, the wheel made of them and all that its history holds are searched for what
`leaks.course_secrets` knows. A line of an answer passes where students read it anyway, in the
package or in the public part of an assignment, and where `solutions/taught.toml` names the file.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import nbformat

from nlp_course.grading.course import Course
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
MARKER = ".public-copy"
NOTICE = """\
`make public` writes this folder from the course's source, which holds the solutions too.
Changes belong there: the next `make public` replaces what stands here.
"""
WRITTEN = "nlp-course.written"  # setting of git in the copy: the tree that was written last
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
        _export(root.resolve(), source)
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
    GradingError : the copy, its wheel or its history would tell an answer, or something would be
        lost that stands in the destination. Nothing is written then.
    """
    root, destination = root.resolve(), destination.expanduser().resolve()
    _require_writable(root, destination)
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
        if clashes := copy.clashes(destination):
            raise GradingError(
                f"{destination} holds what git ignores there, and the copy would replace: "
                f"{', '.join(clashes[:5])}. Move it away"
            )
        copy.write(destination)
    said = [
        f"{len(copy.names)} files → {destination}",
        f"None of {len(copy.secrets.lines)} secret lines stands in them, in the wheel made of "
        "them, or in the history there.",
    ]
    if copy.past:
        said.append(f"Earlier releases there hold {len(copy.past)} lines that are secret by now:")
        said += [f"  {told}" for told in sorted(copy.past)[:SHOWN]]
    changes = [line[3:] for line in _listed(root, "status", "--porcelain", "-z", "--no-renames")]
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
        _export(root, source)
        self.names = [name for name in _names(source) if not withheld(name)] + [MARKER]
        for name in self.names[:-1]:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, self.folder / name)
        (self.folder / MARKER).write_text(NOTICE, encoding="utf-8")
        self._blobs = {_blob((self.folder / name).read_bytes()) for name in self.names}

        course = Course(source)
        modules = sorted((source / "nlp_course").rglob("*.py"))
        package = "\n".join(path.read_text(encoding="utf-8") for path in modules)
        self.secrets = course_secrets(course, package)
        self._taught = taught_lines(course)
        self.past: set[str] = set()  # what the history tells that was public once; after `leaks`

    def leaks(self, repository: Path) -> list[str]:
        """Where the files, their wheel, or the history of the copy's repository tell an answer."""
        found: set[str] = set()
        for name in self.names:
            found |= self._told_by(name, (self.folder / name).read_bytes())
        wheel = build_wheel(self.folder, self._work)
        for name, content in _members(wheel):
            if _blob(content) not in self._blobs:
                found |= {f"in {wheel.name}, {told}" for told in self._told_by(name, content)}
        if (repository / ".git").exists():
            found |= set(self._told_by_history(repository))
        return sorted(found)

    def _told_by(self, name: str, content: bytes) -> set[str]:
        found = set()
        if name.startswith("solutions/") or Path(name).name in INSTRUCTORS_FILES:
            found.add(f"{name}: is for instructors only")
        *folders, file = Path(name).parts
        if file in PRIVATE_FILES or not {*folders}.isdisjoint(PRIVATE_FOLDERS):
            found.add(f"{name}: is of a class, and for the staff only")
        for place, text in texts(name, content):
            source = _path_in_source(place)
            told = set(self.secrets.told_in(text))
            told -= {f"holds {line!r}" for line, where in self._taught if _is_among(source, where)}
            if not _is_among(source, NAMES_THE_MARKS):
                told |= {f"says {mark[0]!r}" for mark in REGION.finditer(text)}
            found |= {f"{place}: {one}" for one in told}
        return found

    def _told_by_history(self, repository: Path) -> Iterator[str]:
        """By all that branches, tags and other references lead to: files and messages."""
        if _git(repository, "rev-parse", "--is-shallow-repository").strip() == "true":
            yield f"{repository}: lacks a part of its history; git fetch --unshallow brings it"
        listed = _git(repository, "rev-list", "--objects", "--all").split("\n")
        paths = {line.partition(" ")[0]: line.partition(" ")[2] for line in listed if line}
        for name, kind, content in _objects(repository, paths.keys() - self._blobs):
            if kind == "blob":
                found = self._told_by(paths[name], content)
                if found and paths[name].startswith("assignments/"):
                    found = self._without_what_was_public(found)
                commit = _first_commit(repository, name) if found else ""
                yield from (f"in commit {commit}, {told}" for told in sorted(found))
            elif kind in ("commit", "tag"):
                yield from self._told_by(f"the message of {kind} {name[:7]}", content)

    def _without_what_was_public(self, found: set[str]) -> set[str]:
        """An earlier release tells honestly what was no secret then; that is noted, not refused."""
        past = {one for one in found if one.endswith(self._public_in_the_past)}
        self.past |= past
        return found - past

    @cached_property
    def _public_in_the_past(self) -> tuple[str, ...]:
        """Secret lines that an earlier commit of the source had outside of its secret regions."""
        listed = _git(self._root, "rev-list", "--objects", "HEAD", "--", "solutions").split("\n")
        names = [line.partition(" ")[0] for line in listed if line.endswith(".ipynb")]
        notebooks = (
            nbformat.reads(content.decode(), as_version=4)
            for _, _, content in _objects(self._root, names)
        )
        text = "\n".join(public_part(notebook) for notebook in notebooks)
        lines = self.secrets.standing_in(text) & self.secrets.lines
        return tuple(f": holds {line!r}" for line in lines)

    def clashes(self, repository: Path) -> list[str]:
        """Paths of the copy at which a repository has something that git does not track."""
        if not (repository / ".git").exists():
            return []
        tracked = set(_listed(repository, "ls-files", "-z"))
        found = set()
        for name in self.names:
            folders = [
                folder for folder in Path(name).parents if (repository / folder).is_symlink()
            ]
            found |= {str(folder) for folder in folders}
            if name not in tracked and os.path.lexists(repository / name):
                found.add(name)
        return sorted(found)

    def write(self, repository: Path) -> None:
        """Make a repository hold these files and no others, and stage them."""
        repository.mkdir(parents=True, exist_ok=True)
        if not (repository / ".git").exists():
            _git(repository, "init", "--quiet", "--initial-branch=main")
        for old in _listed(repository, "ls-files", "-z"):
            (repository / old).unlink(missing_ok=True)
            _remove_empty(repository, (repository / old).parent)
        shutil.copytree(self.folder, repository, dirs_exist_ok=True)
        _git(repository, "add", "--update")
        # Named, for what git would ignore is committed in the source all the same.
        _git(repository, "--literal-pathspecs", "add", "--force", "--", *self.names)
        _git(repository, "config", WRITTEN, _git(repository, "write-tree").strip())


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


def _require_writable(root: Path, destination: Path) -> None:
    """See that nothing would be lost in the destination, and that it is apart from the source."""
    if root.is_relative_to(destination) or destination.is_relative_to(root):
        raise GradingError(
            f"{destination} and the course's source are in one another; name a folder apart"
        )
    if not destination.exists():
        return
    if not destination.is_dir():
        raise GradingError(f"{destination} is a file; name a folder")
    if not (destination / ".git").exists():
        if any(destination.iterdir()):
            raise GradingError(f"{destination} holds files and is no repository of a public copy")
        return
    tracked = _listed(destination, "ls-files", "-z")
    if tracked and MARKER not in tracked:
        raise GradingError(
            f"{destination} is a repository that `make public` did not write: {MARKER} is not in "
            "it. Name an empty folder"
        )
    if any(line.startswith("160000 ") for line in _listed(destination, "ls-files", "-s", "-z")):
        raise GradingError(f"{destination} has a submodule; remove it there first")
    if _listed(destination, "ls-files", "--unmerged", "-z"):
        raise GradingError(f"a merge is not finished in {destination}; finish it there first")
    # Not committed, and not what the last `make public` left for a person to commit.
    others = _listed(destination, "ls-files", "-z", "--others", "--exclude-standard")
    others += _listed(destination, "diff", "-z", "--name-only")
    staged = _git(destination, "write-tree").strip()
    if staged != _git(destination, "config", "--default", "", WRITTEN).strip():
        # Against what was committed last; against nothing, where nothing was.
        status = _listed(destination, "status", "--porcelain", "-z", "--no-renames")
        others += [line[3:] for line in status]
    if others:
        raise GradingError(
            f"{destination} holds changes that are not committed: "
            f"{', '.join(sorted(set(others))[:5])}. Commit them there or move them away: "
            "the copy replaces all"
        )


def _export(root: Path, folder: Path) -> None:
    """Write what the last commit of a repository holds."""
    try:
        packed = _run_git(root, "archive", "--format=tar", "HEAD")
    except GradingError as error:
        raise GradingError(f"what is committed in {root} cannot be read: {error}") from error
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


def _names(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


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


def _blob(content: bytes) -> str:
    """The name that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _objects(repository: Path, names: Iterable[str]) -> Iterator[tuple[str, str, bytes]]:
    """Objects of a repository: name, kind and content."""
    with tempfile.TemporaryFile() as asked:
        asked.write("".join(f"{name}\n" for name in sorted(names)).encode())
        asked.seek(0)
        command = ["git", "-C", str(repository), "cat-file", "--batch"]
        with subprocess.Popen(
            command, stdin=asked, stdout=subprocess.PIPE, env=_environment()
        ) as git:
            assert git.stdout
            for header in git.stdout:
                name, kind, *size = header.decode().split()
                if not size:
                    raise GradingError(f"{repository} is damaged: object {name} is {kind}")
                yield name, kind, git.stdout.read(int(size[0]))
                git.stdout.read(1)  # the end of the line


def _first_commit(repository: Path, blob: str) -> str:
    """The oldest commit that brought, or took away, a file with this content."""
    log = _git(repository, "log", "--all", "-m", "--format=%h", f"--find-object={blob}").split()
    return log[-1] if log else f"that holds {blob[:7]}"


def _remove_empty(top: Path, folder: Path) -> None:
    while folder != top and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _listed(repository: Path, *words: str) -> list[str]:
    """What git lists with `-z`."""
    return [name for name in _git(repository, *words).split("\0") if name]


def _git(repository: Path, *words: str) -> str:
    return _run_git(repository, *words).decode(encoding="utf-8", errors="surrogateescape")


def _run_git(repository: Path, *words: str) -> bytes:
    done = subprocess.run(
        ["git", "-C", str(repository), *words], capture_output=True, check=False, env=_environment()
    )
    if done.returncode:
        said = done.stderr.decode(encoding="utf-8", errors="replace").strip()
        raise GradingError(f"git {words[0]} in {repository}: {said}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Without the variables by which a hook of git names another repository."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
