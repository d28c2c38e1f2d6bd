"""What is kept of what was handed in: the original bytes, a receipt a student, a review list.

    received/ASSIGNMENT/STUDENT/NAME           as it was handed in, byte for byte
    received/ASSIGNMENT/STUDENT/receipt.json   which of these is graded, and why
    received/ASSIGNMENT/review/…               what a person must look at, byte for byte
    received/ASSIGNMENT/review.csv             why, a line a file

Nothing that is kept is ever overwritten or deleted, but for the two lists.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Collection as Some
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from nlp_course.grading.archives import File
from nlp_course.grading.notebooks import GradingError

RECEIPT = "receipt.json"
REVIEW_LIST = "review.csv"
REVIEW_FOLDER = "review"
HEAD = ("file", "student", "sentence", "handed_in", "sha256", "kept")
NOT_IN_A_NAME = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
LONGEST_NAME = 120
FORMULA = ("=", "+", "-", "@", "\t")  # what a spreadsheet takes for the beginning of one


@dataclass(frozen=True)
class Accepted:
    """A student whose notebook can be graded.

    Parameters
    ----------
    student : their id
    original : where the file lies as it was handed in
    sha256 : of its bytes
    handed_in : when, where that is known
    repairs : what was put right, a sentence each
    """

    student: str
    original: Path
    sha256: str
    handed_in: datetime | None
    repairs: tuple[str, ...]


@dataclass(frozen=True)
class Review:
    """A file that a person must look at.

    Parameters
    ----------
    file : where it lay in the export
    student : whose it is, where that is known
    sentence : why, and what to do
    sha256 : of its bytes; empty where they cannot be had
    handed_in : when, where that is known
    kept : where it lies now; None where its bytes cannot be had
    """

    file: str
    student: str | None
    sentence: str
    sha256: str = ""
    handed_in: datetime | None = None
    kept: Path | None = None


@dataclass(frozen=True)
class Collection:
    """All of an export: who can be graded, and what a person must look at."""

    accepted: tuple[Accepted, ...]
    reviews: tuple[Review, ...]


@dataclass(frozen=True)
class Kept:
    """A file of a student that could be graded.

    Parameters
    ----------
    name : in the student's folder
    sha256 : of its bytes
    shown : where it came from
    order : grows with each time the student hands in; 0 where that is not known
    handed_in : when, in ISO 8601 and UTC; empty where that is not known
    settled : when a person laid it there, likewise
    said : what the place it came from tells, a sentence each
    """

    name: str
    sha256: str
    shown: str
    order: int = 0
    handed_in: str = ""
    settled: str = ""
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Receipt:
    """What is kept of a student, and which file is graded."""

    student: str
    assignment: str
    graded: str = ""
    files: tuple[Kept, ...] = ()
    repairs: tuple[str, ...] = field(default=())


def digest(data: bytes) -> str:
    """The sha256 that names some bytes."""
    return hashlib.sha256(data).hexdigest()


def write(path: Path, data: bytes) -> None:
    """A file is whole or not there; one that is right is left alone, its time too."""
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(data)
    fresh.replace(path)


def keep(folder: Path, name: str, data: bytes) -> Path:
    """Lay bytes into a folder under their name, beside another file of that name if need be."""
    safe = safe_name(name)
    path = folder / safe
    if safe in (RECEIPT, REVIEW_LIST) or (path.exists() and path.read_bytes() != data):
        stem, dot, suffix = safe.rpartition(".")
        path = folder / f"{stem or suffix}-{digest(data)[:12]}{dot and stem and '.' + suffix}"
    write(path, data)
    return path


def safe_name(name: str) -> str:
    """A file name that every system takes.

    >>> safe_name("a: b?.ipynb")
    'a_ b_.ipynb'
    """
    plain = NOT_IN_A_NAME.sub("_", name).strip(" .") or "unnamed"
    stem, dot, suffix = plain.rpartition(".")
    if not dot:
        return plain[:LONGEST_NAME]
    return f"{stem[:LONGEST_NAME]}.{suffix[:20]}"


def read_receipt(folder: Path, assignment: str) -> Receipt:
    """A student's receipt; an empty one where there is none yet.

    Raises
    ------
    GradingError : it is damaged.
    """
    path = folder / RECEIPT
    if not path.is_file():
        return Receipt(folder.name, assignment)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(Kept(**{**one, "said": tuple(one["said"])}) for one in told.pop("files"))
        repairs = tuple(told.pop("repairs"))
        return Receipt(**told, files=files, repairs=repairs)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise GradingError(f"{path} is damaged; move it away and collect again") from error


def write_receipt(folder: Path, receipt: Receipt) -> None:
    """Write it beside what it is for."""
    text = json.dumps(asdict(receipt), indent=1, ensure_ascii=False, sort_keys=True)
    write(folder / RECEIPT, f"{text}\n".encode())


def iso(moment: datetime | None) -> str:
    """A time in UTC as text; empty for none."""
    return "" if moment is None else moment.astimezone(UTC).isoformat()


def from_iso(text: str) -> datetime | None:
    """The time that `iso` wrote."""
    return datetime.fromisoformat(text) if text else None


def read_reviews(folder: Path) -> list[dict[str, str]]:
    """The lines of an assignment's review list."""
    path = folder / REVIEW_LIST
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {key: _as_it_was(row.get(key) or "") for key in HEAD} for row in csv.DictReader(file)
        ]


def settled_files(received: Path, assignment: str) -> set[str]:
    """The sha256 of each file that a person has laid into some student's folder."""
    receipts = [read_receipt(path.parent, assignment) for path in received.glob(f"*/{RECEIPT}")]
    return {one.sha256 for told in receipts for one in told.files if one.settled}


def merge_reviews(
    received: Path,
    reviews: Iterable[Review],
    files: Iterable[File],
    settled: Some[str],
    students: Some[str],
) -> None:
    """Write the review list: of this run, and of earlier ones what this run says nothing about.

    Parameters
    ----------
    files : all that this run has looked at
    settled, students : files and students that a person has settled
    """
    here = {(file.shown, digest(file.data)) for file in files}
    rows = [
        row
        for row in read_reviews(received)
        if (row["file"], row["sha256"] or digest(b"")) not in here
        and row["sha256"] not in settled
        and row["student"] not in students
    ]
    for one in reviews:
        kept = "" if one.kept is None else one.kept.relative_to(received).as_posix()
        values = (one.file, one.student or "", one.sentence, iso(one.handed_in), one.sha256, kept)
        rows.append(dict(zip(HEAD, values, strict=True)))
    if rows or (received / REVIEW_LIST).is_file():
        write_reviews(received, rows)


def write_reviews(folder: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write the list, in an order that does not depend on how the files came."""
    lines: Sequence[tuple[str, ...]] = sorted({tuple(row[key] for key in HEAD) for row in rows})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    # A name that begins like a formula must not become one in a spreadsheet.
    writer.writerows([_harmless(value) for value in line] for line in lines)
    write(folder / REVIEW_LIST, text.getvalue().encode())


def _harmless(value: str) -> str:
    return f"'{value}" if value[:1] in FORMULA else value


def _as_it_was(value: str) -> str:
    return value[1:] if value[:1] == "'" and value[1:2] in FORMULA else value
