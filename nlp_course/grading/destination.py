"""The repository that a public copy of the course is written to, and what would be lost there."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.repositories import git, listed, read_object

MARKER = ".public-copy"
NOTICE = """\
`make public` writes this folder from the course's source, which holds the solutions too.
Changes belong there: the next `make public` replaces what stands here.
"""
WRITTEN = "nlp-course.written"  # setting of git in the copy: the tree that was written last
SHOWN = 5


def require_writable(root: Path, destination: Path) -> None:
    """See that nothing would be lost that is not committed, and that the two are apart.

    Raises
    ------
    GradingError : the destination is in the source or around it, holds something else than a
        public copy, or changes that are not committed.
    """
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
    tracked = listed(destination, "ls-files", "-z")
    if tracked and MARKER not in tracked:
        raise GradingError(
            f"{destination} is a repository that `make public` did not write: {MARKER} is not in "
            "it. Name an empty folder"
        )
    if any(line.startswith("160000 ") for line in listed(destination, "ls-files", "-s", "-z")):
        raise GradingError(f"{destination} has a submodule; remove it there first")
    if listed(destination, "ls-files", "--unmerged", "-z"):
        raise GradingError(f"a merge is not finished in {destination}; finish it there first")
    # Not committed, and not what the last `make public` left for a person to commit.
    others = listed(destination, "ls-files", "-z", "--others", "--exclude-standard")
    others += listed(destination, "diff", "-z", "--name-only")
    staged = git(destination, "write-tree").strip()
    if staged != git(destination, "config", "--default", "", WRITTEN).strip():
        # Against what was committed last; against nothing, where nothing was.
        status = listed(destination, "status", "--porcelain", "-z", "--no-renames")
        others += [line[3:] for line in status]
    if others:
        raise GradingError(
            f"{destination} holds changes that are not committed: {_few(others)}. "
            "Commit them there or move them away: the copy replaces all"
        )


def require_nothing_by_hand(destination: Path, blobs: Mapping[str, str]) -> None:
    """See that the copy takes back no commit that somebody made in the destination.

    What such a commit changed is kept where the source has the same by now.

    Parameters
    ----------
    blobs : of the copy to be written, git's name of each file's content by the file's path

    Raises
    ------
    GradingError : something would be taken back; the message names the commits and the files.
    """
    if not (destination / ".git").exists() or _mark(destination, "HEAD") is None:
        return
    commits = git(destination, "rev-list", "--topo-order", "HEAD").split()
    base = next((one for one in commits if _is_as_written(destination, one)), None)
    if base is None:
        raise GradingError(
            f"no commit in {destination} is as `make public` left it: bring what was changed there "
            "into the source, and name an empty folder"
        )
    changed = listed(destination, "diff", "-z", "--name-only", "--no-renames", base, "HEAD")
    there = _blobs(destination, "HEAD")
    lost = [name for name in changed if name != MARKER and there.get(name) != blobs.get(name)]
    if not lost:
        return
    by_hand = git(destination, "log", "--format=  %h %s", f"{base}..HEAD").rstrip()
    here = shlex.quote(str(destination))
    raise GradingError(
        f"{destination} has commits that `make public` did not write:\n{by_hand}\n"
        f"The copy would take back what they changed: {_few(lost)}. Bring it into the source and "
        "commit it there; what then stands alike in both is kept. If it is not wanted, undo it:\n"
        f"  git -C {here} restore --source={base[:12]} --staged --worktree :/\n"
        f"  git -C {here} commit --message 'Back to what make public wrote'"
    )


def clashes(destination: Path, names: Iterable[str]) -> list[str]:
    """Paths of the copy at which a repository has something that git does not track."""
    if not (destination / ".git").exists():
        return []
    tracked = set(listed(destination, "ls-files", "-z"))
    found = set()
    for name in names:
        folders = [folder for folder in Path(name).parents if (destination / folder).is_symlink()]
        found |= {str(folder) for folder in folders}
        if name not in tracked and os.path.lexists(destination / name):
            found.add(name)
    return sorted(found)


def write(destination: Path, folder: Path, names: Iterable[str]) -> None:
    """Make a repository hold the files of a folder and no others, and stage them."""
    destination.mkdir(parents=True, exist_ok=True)
    if not (destination / ".git").exists():
        git(destination, "init", "--quiet", "--initial-branch=main")
    for old in listed(destination, "ls-files", "-z"):
        (destination / old).unlink(missing_ok=True)
        _remove_empty(destination, (destination / old).parent)
    shutil.copytree(folder, destination, dirs_exist_ok=True)
    git(destination, "add", "--update")
    # Named, for what git would ignore is committed in the source all the same.
    git(destination, "--literal-pathspecs", "add", "--force", "--", *names)
    tree = git(destination, "write-tree").strip()
    mark = _digest(_blobs(destination, tree))
    (destination / MARKER).write_text(f"{NOTICE}Files: {mark}\n", encoding="utf-8")
    git(destination, "add", "--force", "--", MARKER)
    git(destination, "config", WRITTEN, git(destination, "write-tree").strip())


def _is_as_written(repository: Path, commit: str) -> bool:
    return _mark(repository, commit) == _digest(_blobs(repository, commit))


def _mark(repository: Path, commit: str) -> str | None:
    """What the marker of a commit says of its files; None without commit, marker or word."""
    marker = read_object(repository, f"{commit}:{MARKER}") or b""
    words = [line[7:] for line in marker.decode().splitlines() if line.startswith("Files: ")]
    return words[0] if words else None


def _digest(blobs: Mapping[str, str]) -> str:
    """Tells the files of one tree from another's, but for the marker, which holds it."""
    lines = [f"{blob} {name}\n" for name, blob in sorted(blobs.items()) if name != MARKER]
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def _blobs(repository: Path, tree: str) -> dict[str, str]:
    """Git's name of each file's content in a tree, by path."""
    lines = [line.split("\t", 1) for line in listed(repository, "ls-tree", "-r", "-z", tree)]
    return {name: about.split()[2] for about, name in lines}


def _few(names: Iterable[str]) -> str:
    """The first of some paths, and how many others there are."""
    each = sorted(set(names))
    others = f" and {len(each) - SHOWN} more" if len(each) > SHOWN else ""
    return ", ".join(each[:SHOWN]) + others


def _remove_empty(top: Path, folder: Path) -> None:
    while folder != top and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
