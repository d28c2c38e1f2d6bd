"""Feedback as an archive that a learning platform hands out to each student.

Platforms know whose a file is by its name, and by nothing else. The names were taken from what
reads them: Moodle's `mod/assign/feedback/file/importziplib.php`, and
`infer_comment_context_from_filename` in Canvas's `app/models/abstract_assignment.rb`.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.scoring import StudentReport

Platform = Literal["plain", "moodle", "canvas"]
# The archive's own time; the zip format knows none earlier.
MADE = (1980, 1, 1, 0, 0, 0)
# Moodle: Full Name_123_assignsubmission_file, before 4.1 with one more underscore; the file itself
# follows in the folder, or after the underscore where folders were not asked for.
FROM_MOODLE = re.compile(
    r"(?P<name>[^_/\\]*)_(?P<number>\d+)_(?P<kind>assign(?:submission|feedback)_[a-z]+)"
)
NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
# Windows cannot make such files.
DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


@dataclass(frozen=True)
class Returned:
    """What an archive holds.

    Parameters
    ----------
    path : the archive
    sent : student -> their file in it
    left_out : student -> why there is nothing for them
    """

    path: Path
    sent: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def return_feedback(
    path: Path,
    platform: Platform,
    assignment: str,
    reports: Sequence[StudentReport],
    pages: Mapping[str, Path],
    *,
    received_as: Mapping[str, str] | None = None,
) -> Returned:
    """Write the archive that gives each student their page of feedback.

    `plain` STUDENT/ASSIGNMENT.html, for mail or a shared drive.

    `moodle` For "Upload multiple feedback files in a zip": a folder for each student, called as in
    the archive Moodle gave out. The assignment needs the feedback type "Feedback files".

    `canvas` For "Upload Submissions": the file's name as Canvas gave it out, with another ending.
    Canvas takes only files that answer one it gave out, and shows the page under the name of that
    one; opened from there, `02-word2vec.ipynb` is a web page.

    Who was not graded gets nothing, and is named. The same pages give the same bytes.

    Parameters
    ----------
    path : where to write
    pages : student -> their page, as HTML
    received_as : student -> their file's path in the archive that the platform gave out

    Raises
    ------
    GradingError : nobody's page can be returned, two students would get the same file, or an id
        or the assignment's name cannot be a file's.
    """
    if platform not in ("plain", "moodle", "canvas"):
        raise GradingError(f"no platform {platform!r}; there are: plain, moodle, canvas")
    _check_name(assignment, "the assignment's name")
    received = received_as or {}
    sent: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for report in reports:
        student = report.student
        page = pages.get(student)
        if report.failure is not None:
            left_out[student] = f"not graded: {report.failure}"
        elif page is None or not page.is_file():
            left_out[student] = "there is no page of feedback"
        else:
            name = _name(platform, assignment, student, received.get(student, ""))
            if name:
                sent[student] = name
            else:
                left_out[student] = _unknown(platform, received.get(student))
    if not sent:
        reasons = "; ".join(f"{student}: {why}" for student, why in list(left_out.items())[:5])
        raise GradingError(f"there is no feedback to return ({reasons or 'no submissions'})")
    _check_different(sent)
    _write(path, {name: pages[student] for student, name in sent.items()})
    return Returned(path, sent, left_out)


def _name(platform: Platform, assignment: str, student: str, received: str) -> str | None:
    """The page's name in the archive; None where the platform could not tell whose it is."""
    if platform == "plain":
        _check_name(student, "the student's id")
        return f"{student}/{assignment}.html"
    if platform == "moodle":
        return moodle_name(received, assignment)
    return canvas_name(received, assignment)


def moodle_name(received: str, assignment: str) -> str | None:
    """Where a page belongs in Moodle's archive, from a path in the one Moodle gave out.

    >>> moodle_name("Ada One_4711_assignsubmission_file/sums (1).ipynb", "01-sums")
    'Ada One_4711_assignsubmission_file/01-sums.html'
    >>> moodle_name("Ada One/sums.ipynb", "01-sums")
    """
    for part in re.split(r"[/\\]", received):
        match = FROM_MOODLE.match(part)
        # Moodle reads past what begins with these: to it such a file is hidden.
        if match and not part.startswith((".", "~")):
            name = NOT_IN_NAMES.sub("", match["name"])
            return f"{name}_{match['number']}_{match['kind']}/{assignment}.html"
    return None


def canvas_name(received: str, assignment: str) -> str | None:
    """What a page must be called for Canvas, from the name of the file that Canvas gave out.

    Canvas reads the first two numbers between underscores: the student, and the file handed in.

    >>> canvas_name("oneada_LATE_4711_90210_my sums-1.ipynb", "01-sums")
    'oneada_LATE_4711_90210_01-sums.html'
    >>> canvas_name("anon_x1Yz9_90210_sums.ipynb", "01-sums")
    'anon_x1Yz9_90210_01-sums.html'
    >>> canvas_name("oneada_4711_text.html", "01-sums")
    """
    parts = re.split(r"[/\\]", received)[-1].split("_")
    if parts[0].startswith(".") or parts[-1].startswith("link"):
        return None
    places = [place for place, part in enumerate(parts) if part != "LATE"]
    if not places:
        return None
    if parts[places[0]] == "anon":  # a letter code in place of the student's number
        numbers = places[1:3]
    else:
        numbers = [place for place in places if _is_number(parts[place])][:2]
    if len(numbers) < 2 or not _is_number(parts[numbers[1]]) or numbers[1] == len(parts) - 1:
        return None
    kept = [NOT_IN_NAMES.sub("", part) for part in parts[: numbers[1] + 1]]
    return "_".join([*kept, f"{assignment}.html"])


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdecimal()


def _unknown(platform: Platform, received: str | None) -> str:
    if received is None:
        return f"what they handed in did not come from {platform.capitalize()}'s archive"
    return f"{received[:100]!r} is not a name that {platform.capitalize()} gives a file"


def _check_name(name: str, what: str) -> None:
    """Refuse what would lie elsewhere in an archive, or nowhere on some system."""
    plain = name and PurePosixPath(name).name == name and not NOT_IN_NAMES.search(name)
    if not plain or name.startswith(".") or name.endswith((".", " ")) or DEVICES.fullmatch(name):
        raise GradingError(f"{what}, {name[:100]!r}, cannot name a file; change it")


def _check_different(sent: Mapping[str, str]) -> None:
    taken: dict[str, str] = {}
    for student, name in sent.items():
        # Folders that differ in case alone are the same on many machines.
        other = taken.setdefault(name.casefold(), student)
        if other != student:
            raise GradingError(
                f"{other} and {student} would both get {name!r}; see whose submission it was"
            )


def _write(path: Path, files: Mapping[str, Path]) -> None:
    """A zip with these files, in order of their names and without any other time or owner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with zipfile.ZipFile(part, "w") as archive:
        for name, file in sorted(files.items()):
            about = zipfile.ZipInfo(name, MADE)
            about.create_system = 3  # as made on Linux, wherever it is made
            about.external_attr = 0o100644 << 16
            archive.writestr(about, file.read_bytes(), zipfile.ZIP_DEFLATED, 6)
    part.replace(path)
