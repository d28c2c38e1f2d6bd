"""Who takes the course: a CSV file of your own, or one that Canvas or Moodle exports."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from nlp_course.grading.notebooks import GradingError

# A student's id names folders, on every system and in nbgrader's patterns.
FIT_FOR_A_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*")
OWN = ("student", "name", "email", "lms_id", "section")
# Rows of Canvas's gradebook that are no student's.
NOT_STUDENTS = ("Points Possible", "Student, Test")
KNOWN_HEADERS = (
    "student,name,email,lms_id,section (only the first is needed); Canvas's "
    "Student,ID,SIS User ID,SIS Login ID,Section; Moodle's "
    "First name,Last name,ID number,Email address,Groups"
)

Row = Mapping[str, str]


@dataclass(frozen=True)
class Person:
    """A student of the course; what is not known is empty.

    Parameters
    ----------
    student : their id here, in the gradebook, and in the names of folders
    lms_id : their id on the learning platform
    section : their section or groups, as the platform writes them
    """

    student: str
    name: str = ""
    email: str = ""
    lms_id: str = ""
    section: str = ""


def read_roster(path: Path) -> dict[str, Person]:
    """The students in a CSV file, by id and in the file's order.

    The file may be UTF-8, UTF-16 with its mark, or Windows-1252; with commas, semicolons or tabs.
    Of Canvas, a student's id is their SIS Login ID, else SIS User ID, else Canvas's own number; of
    Moodle, their ID number, else their email address.

    Raises
    ------
    GradingError : the file is not there, its header is unknown, a row has no id or too many
        fields, an id cannot name a folder, or two rows share an id or an email address.
    """
    text = _text(path)
    if not text.strip():
        raise GradingError(f"{path}: is empty; its first line must be {KNOWN_HEADERS}")
    separator = max(",;\t", key=text.splitlines()[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    header = [name.strip() for name in next(reader)]
    read = _reader(path, header)
    people: dict[str, Person] = {}
    seen: dict[tuple[str, str], int] = {}
    for fields in reader:
        place = f"{path}: line {reader.line_num}"
        if not any(field.strip() for field in fields):
            continue
        if len(fields) > len(header) and any(field.strip() for field in fields[len(header) :]):
            raise GradingError(
                f"{place}: has {len(fields)} fields, and the header {len(header)}; "
                "put a field that holds the separator in double quotes"
            )
        values = [field.strip() for field in fields] + [""] * (len(header) - len(fields))
        person = read(dict(zip(header, values, strict=False)))
        if person is None:
            continue
        _check(place, person)
        for kind in ("student", "email", "lms_id"):
            # Folders and mailboxes that differ in case alone are the same on many machines.
            key = (kind, getattr(person, kind).casefold())
            if key[1] and key in seen:
                raise GradingError(
                    f"{place}: {kind} {getattr(person, kind)!r} is also on line {seen[key]}; "
                    "every student has one line, and ids and addresses of their own"
                )
            seen[key] = reader.line_num
        people[person.student] = person
    if not people:
        raise GradingError(f"{path}: holds a header and no students")
    return people


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise GradingError(f"{path}: cannot be read ({error.strerror})") from error
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        # Spreadsheets in Western Europe write the last; few other files are not UTF-8.
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise GradingError(f"{path}: is neither UTF-8, UTF-16 nor Windows-1252; save it as CSV UTF-8")


def _reader(path: Path, header: list[str]) -> Callable[[Row], Person | None]:
    """What makes a person of a row, by the header's names."""
    twice = sorted({name for name in header if name and header.count(name) > 1} & _KNOWN_NAMES)
    if twice:
        raise GradingError(f"{path}: line 1: names {twice[0]!r} twice; rename or delete one column")
    if {"Student", "ID", "Section"} <= set(header):
        return _from_canvas
    if {"First name", "Email address"} <= set(header) and {"Last name", "Surname"} & set(header):
        return _from_moodle
    if "student" in header:
        for name in header:
            close = get_close_matches(name.casefold(), [own for own in OWN if own not in header])
            if name not in OWN and close:
                raise GradingError(
                    f"{path}: line 1: column {name!r} is not known; did you mean {close[0]!r}?"
                )
        return _from_own
    raise GradingError(f"{path}: line 1 is {','.join(header)!r}; it must be {KNOWN_HEADERS}")


def _from_own(row: Row) -> Person:
    return Person(**{name: row.get(name, "") for name in OWN})


def _from_canvas(row: Row) -> Person | None:
    if row["Student"] in NOT_STUDENTS or not (row["Student"] or row["ID"]):
        return None
    login = row.get("SIS Login ID", "")
    last, comma, first = row["Student"].partition(",")
    name = f"{first.strip()} {last.strip()}" if comma else last
    student = login or row.get("SIS User ID", "") or row["ID"]
    return Person(student, name, login if "@" in login else "", row["ID"], row["Section"])


def _from_moodle(row: Row) -> Person:
    name = f"{row['First name']} {row.get('Last name') or row.get('Surname', '')}".strip()
    number, email = row.get("ID number", ""), row["Email address"]
    return Person(number or email, name, email, number, row.get("Groups", ""))


_KNOWN_NAMES = {
    *OWN,
    *("Student", "ID", "SIS User ID", "SIS Login ID", "Section"),
    *("First name", "Last name", "Surname", "ID number", "Email address", "Groups"),
}


def _check(place: str, person: Person) -> None:
    if not person.student:
        raise GradingError(f"{place}: has no student id; give one, such as 'student-01'")
    if not FIT_FOR_A_FOLDER.fullmatch(person.student) or len(person.student) > 128:
        raise GradingError(
            f"{place}: {person.student!r} cannot name a folder; use at most 128 Latin letters, "
            "digits, and . _ - @ within, such as 'student-01'"
        )
