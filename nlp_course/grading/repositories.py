"""What git says of a repository: its files, its objects, its history."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from nlp_course.grading.notebooks import GradingError


def git(repository: Path, *words: str) -> str:
    """What a command of git prints.

    Raises
    ------
    GradingError : it fails; the message has git's own.
    """
    return _run(repository, *words).decode(encoding="utf-8", errors="surrogateescape")


def listed(repository: Path, *words: str) -> list[str]:
    """What git lists with `-z`."""
    return [name for name in git(repository, *words).split("\0") if name]


def export(repository: Path, folder: Path) -> None:
    """Write what the last commit of a repository holds.

    Raises
    ------
    GradingError : there is no commit, or a link in it leads out of the repository.
    """
    try:
        packed = _run(repository, "archive", "--format=tar", "HEAD")
    except GradingError as error:
        raise GradingError(f"what is committed in {repository} cannot be read: {error}") from error
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        try:
            archive.extractall(folder, filter="data")
        except tarfile.FilterError as error:
            link = error.tarinfo
            raise GradingError(
                f"{link.name} is a symbolic link to {link.linkname}, which lies outside of "
                f"{repository}: commit the file itself in its place"
            ) from error


def blob_name(content: bytes) -> str:
    """The name that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def read_object(repository: Path, name: str) -> bytes | None:
    """An object's content, by any name of it, such as `HEAD:README.md`; None if there is none."""
    said = _run(repository, "cat-file", "--batch", asked=f"{name}\n".encode())
    header, _, content = said.partition(b"\n")
    return None if header.endswith(b" missing") else content[:-1]


def read_objects(repository: Path, names: Iterable[str]) -> Iterator[tuple[str, str, bytes]]:
    """Objects of a repository: name, kind and content."""
    with tempfile.TemporaryFile() as asked:
        asked.write("".join(f"{name}\n" for name in sorted(names)).encode())
        asked.seek(0)
        command = ["git", "-C", str(repository), "cat-file", "--batch"]
        with subprocess.Popen(
            command, stdin=asked, stdout=subprocess.PIPE, env=_environment()
        ) as running:
            assert running.stdout
            for header in running.stdout:
                name, kind, *size = header.decode().split()
                if not size:
                    raise GradingError(f"{repository} is damaged: object {name} is {kind}")
                yield name, kind, running.stdout.read(int(size[0]))
                running.stdout.read(1)  # the end of the line


def versions(repository: Path, *places: str) -> Iterator[tuple[str, bytes]]:
    """All that the files of these places ever were up to the last commit: path and content."""
    words = ("rev-list", "--objects", "--full-history", "HEAD", "--", *places)
    lines = git(repository, *words).split("\n")
    paths = {line.partition(" ")[0]: line.partition(" ")[2] for line in lines if " " in line}
    for name, kind, content in read_objects(repository, paths):
        if kind == "blob":
            yield paths[name], content


def paths_ever(repository: Path) -> set[str]:
    """Of all files that a commit of any branch or tag brought, changed or took away."""
    words = ("log", "--all", "-m", "--root", "--no-renames", "--name-only", "--format=", "-z")
    return set(listed(repository, *words))


def commit_of_content(repository: Path, blob: str) -> str:
    """The oldest commit that brought, or took away, a file with this content."""
    log = git(repository, "log", "--all", "-m", "--format=%h", f"--find-object={blob}").split()
    return log[-1] if log else f"that holds {blob[:7]}"


def commit_of_path(repository: Path, path: str) -> str:
    """The oldest commit that brought, or took away, a file of this name."""
    words = ("--literal-pathspecs", "log", "--all", "-m", "--full-history", "--format=%h")
    return git(repository, *words, "--", path).split()[-1]


def _run(repository: Path, *words: str, asked: bytes = b"") -> bytes:
    command = ["git", "-C", str(repository), *words]
    done = subprocess.run(
        command, input=asked, capture_output=True, check=False, env=_environment()
    )
    if done.returncode:
        said = done.stderr.decode(encoding="utf-8", errors="replace").strip()
        raise GradingError(f"git {words[0]} in {repository}: {said}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Without the variables by which a hook of git names another repository."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
