"""What a release says of itself: `python .ci/release_notes.py v0.8.0`.

Prints the changelog's section of a version, after it was seen that the tag, pyproject.toml,
CITATION.cff and the package name the same one.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def versions(root: Path = ROOT) -> dict[str, str]:
    """The version that each file names."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = {"pyproject.toml": project["version"]}
    for name, pattern in (
        ("CITATION.cff", r"^version: *(\S+)$"),
        ("nlp_course/__init__.py", r'^__version__ = "(.+)"$'),
    ):
        match = re.search(pattern, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        found[name] = match[1] if match else "none"
    return found


def notes(version: str, changelog: str) -> str:
    """The changelog's section of a version, without its heading.

    Raises
    ------
    ValueError : there is none, or it is empty.
    """
    for section in re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        if heading.split()[:1] == [version] and text.strip():
            return text.strip()
    raise ValueError(f"CHANGELOG.md says nothing of {version}: give it a section '## {version}'")


def main(tag: str) -> None:
    """Print the notes of a release; the exit status is 1 where it does not fit."""
    named = {"the tag": tag.removeprefix("v"), **versions()}
    if len(set(named.values())) > 1:
        sys.exit("Not one version: " + ", ".join(f"{one} has {it}" for one, it in named.items()))
    try:
        print(notes(named["the tag"], (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python .ci/release_notes.py TAG")
    main(sys.argv[1])
