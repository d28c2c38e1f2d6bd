"""What each data set is, where it comes from, and how to tell that it arrived whole."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


class DataError(Exception):
    """A data set cannot be given; the message says why and what to do."""


class UnknownDatasetError(DataError):
    """No data set has this name."""


@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set: its name in the cache, its hash, its addresses, tried in order."""

    name: str
    hash: str
    urls: tuple[str, ...]
    bytes: int | None = None
    split: str = "all"
    optional: bool = False


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set before it is loaded."""

    name: str
    title: str
    kind: str
    size: str
    licence: str
    source: str
    citation: str
    files: tuple[RemoteFile, ...] = ()
    nltk: str | None = None
    bytes: int | None = None
    parts: tuple[str, ...] = ()
    fallback: bool = False

    @property
    def download_bytes(self) -> int:
        """Bytes to download for the whole set, as far as the registry states them."""
        return (self.bytes or 0) + sum(file.bytes or 0 for file in self.files)

    def __str__(self) -> str:
        """Title, contents, licence, source and citation, a line each."""
        lines = [
            f"{self.name}: {self.title}",
            f"  kind      {self.kind}",
            f"  size      {self.size}",
            f"  licence   {self.licence}",
            f"  source    {self.source}",
            f"  citation  {self.citation}",
        ]
        if self.download_bytes:
            lines.insert(3, f"  download  {self.download_bytes / 1e6:.1f} MB")
        return "\n".join(lines)


def parse(text: str) -> dict[str, DatasetInfo]:
    """Read a registry: a TOML table for each data set (see ``registry.toml``)."""
    return {name: _info(name, table) for name, table in tomllib.loads(text).items()}


def _info(name: str, table: dict[str, Any]) -> DatasetInfo:
    files = tuple(
        RemoteFile(**{**entry, "urls": tuple(entry["urls"])}) for entry in table.pop("files", ())
    )
    return DatasetInfo(name=name, files=files, parts=tuple(table.pop("parts", ())), **table)


@cache
def all_datasets() -> dict[str, DatasetInfo]:
    """Every data set the course knows, by name."""
    return parse((resources.files(__package__) / "registry.toml").read_text(encoding="utf-8"))


def info(name: str) -> DatasetInfo:
    """What is known of one data set.

    Raises
    ------
    UnknownDatasetError : no set has this name; the message lists the nearest names.
    """
    known = all_datasets()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}"
    raise UnknownDatasetError(f"no data set is called {name!r}: {hint}")
