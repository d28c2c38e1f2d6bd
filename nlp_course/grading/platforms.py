"""Who handed in which file, by the names that learning platforms give to files.

| platform | name of a file | where this is laid down |
|---|---|---|
| Canvas, "Download Submissions" | `lastfirst_LATE_12345_678910_sums-2.ipynb`: sortable name in lower case without blanks; LATE where it was; the user's number; the upload's number, which grows with time; the student's own file name, `-2` where Canvas has that name already. Anonymous: `anon_k3hGs_678910_sums.ipynb`. Text and links: `lastfirst_12345_text.html`, `…_link.html` | `lib/content_zipper.rb` of instructure/canvas-lms |
| Moodle 3.1 on, in folders | `First Last_123456_assignsubmission_file_/sums.ipynb`, in newer versions without the last `_`; the number is the participant's in this one assignment, not the user's. Blind: `Participant_123456_…`. In groups, in older versions: `Group A-First Last_123456_…`; in newer ones a team's: `Team A_17_…` | `mod/assign/locallib.php` and `classes/downloader.php` of moodle/moodle |
| Moodle, not in folders | `First Last_123456_assignsubmission_file_sums.ipynb` | the same |
| Google Classroom, Drive | `First Last - sums.ipynb`, `Copy of First Last - sums.ipynb`, `… (1).ipynb` from a browser | what Classroom makes; not laid down in public |
| nbgrader | `submitted/student-01/90-sums/90-sums.ipynb`, with `timestamp.txt` | nbgrader's manual |
| nbgrader's exchange | `student-01+90-sums+2026-01-31 23:59:59.000000 UTC/90-sums.ipynb`, with a random string at the end where `add_random_string` is set | `exchange/default/submit.py` of nbgrader |
| a folder a student | `student-01/anything.ipynb`, named by id or by name | |
| flat | `student-01.ipynb`, `90-sums-student-01.ipynb`, named by id, e-mail address or name | |

A name is compared without case, accents, apostrophes and hyphens, and from whichever of its words
it begins: `O’Dó-Trí, Éna` is `ena odo tri`.
"""  # noqa: E501

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from nlp_course.grading.reading import IntakeError
from nlp_course.grading.roster import FIT_FOR_A_FOLDER, Person

CANVAS = re.compile(
    r"(?:(?P<name>.+?)_)??(?:(?P<late>LATE)_)?(?P<user>anon_[A-Za-z0-9]+|\d{2,})"
    r"_(?:(?P<upload>\d{3,})_(?P<file>.+)|(?:text|link)\.html)"
)
MOODLE = re.compile(
    r"(?P<name>.+?)(?:_(?P<user>\d+))?_assignsubmission_(?:file|onlinetext)_?(?P<file>.*)"
)
EXCHANGE = re.compile(
    r"(?P<user>.+)\+(?P<assignment>[^+]+)\+(?P<day>\d{4}-\d\d-\d\d)[ _]"
    r"(?P<time>\d\d[:_-]\d\d[:_-]\d\d)(?:\.\d+)?[ _]\w+(?:\+[\w=-]+)?"
)
DRIVE = re.compile(r"(?P<name>.+?)\s+-\s+(?P<file>.+)")
COPIED = re.compile(r"^(?:(?:copy|kopie|copie|copia|cópia) (?:of|von|van|de|di) )+", re.IGNORECASE)
NUMBERED = re.compile(r"(?:\s*\(\d+\)|-checkpoint)+$")
ENDINGS = re.compile(r"(?:\.(?:ipynb|json|txt|zip|html?|py|pdf|gz))+$", re.IGNORECASE)


@dataclass(frozen=True)
class Owner:
    """What a file's place and name say about who handed it in.

    Parameters
    ----------
    platform : whose way of naming this is
    name : the person's name, as it stands there
    key : the platform's id, or the name of a folder or file that may be one
    order : grows with each time the same person hands in; 0 where the name does not say
    handed_in : when, where the name says so
    late : whether the platform says it was late
    """

    platform: str
    name: str = ""
    key: str = ""
    order: int = 0
    handed_in: datetime | None = None
    late: bool = False

    @property
    def times_are_theirs(self) -> bool:
        """Whether a file's time says when it was handed in; Canvas writes that of the download."""
        return self.platform != "Canvas"

    @property
    def shown(self) -> str:
        """The person, as the platform tells of them."""
        if self.name and self.key and self.name != self.key:
            return f"{self.name!r} ({self.platform}'s number {self.key})"
        return repr(self.name or self.key)


class People:
    """Finds the student that a file is from.

    Parameters
    ----------
    roster : who takes the course; with none, students are named by the platform
    paths : all paths of an export, from which it is seen what all of them share
    assignment : its name, which is no student's
    """

    def __init__(self, roster: Sequence[Person], paths: Iterable[str], assignment: str) -> None:
        self.roster = roster
        self.assignment = assignment
        self.wrapped = _wrapping([path.split("/") for path in paths])
        self.numbers: dict[str, set[str]] = {}  # student -> Moodle's numbers
        for path in paths:
            for owner in self._owners(path)[:1]:
                if owner.platform == "Moodle" and owner.key:
                    self.numbers.setdefault(_slug(owner.name), set()).add(owner.key)

    def find(self, path: str) -> tuple[str, Owner]:
        """The student's id, and what the name of the file says.

        Raises
        ------
        IntakeError : nobody, or more than one person, fits.
        """
        owners = self._owners(path)
        if not owners:
            raise IntakeError("its name does not say who handed it in")
        if not self.roster:
            return self._by_platform(owners[0]), owners[0]
        reasons = []
        for owner in owners:
            fitting, reason = self._fitting(owner)
            if len(fitting) == 1:
                return fitting[0].student, owner
            reasons.append((len(fitting), reason))
        raise IntakeError(max(reasons, key=lambda pair: pair[0])[1])

    def times_are_theirs(self, path: str) -> bool:
        """Whether a file's time says when it was handed in, whoever it is from."""
        return all(owner.times_are_theirs for owner in self._owners(path))

    def _owners(self, path: str) -> list[Owner]:
        """Readings of a path, the likeliest first."""
        parts = path.split("/")
        if ".." in parts or not all(parts):
            return []
        for part in reversed(parts):
            certain = _exchange(part) or _moodle(part) or _canvas(part)
            if certain:
                return [certain]
        if "submitted" in parts[:-2]:
            return [Owner("nbgrader", key=parts[parts.index("submitted") + 1])]
        parts = parts[self.wrapped :]
        folders = [Owner("the folder", name=part, key=part) for part in parts[:-1]]
        stem = COPIED.sub("", NUMBERED.sub("", ENDINGS.sub("", parts[-1]))).strip()
        drive = DRIVE.fullmatch(stem)
        bare = re.sub(re.escape(self.assignment), " ", stem, flags=re.IGNORECASE).strip(" _-+.")
        files = [Owner("Google Drive", name=drive["name"], key=drive["name"])] if drive else []
        if bare and not drive:
            files.append(Owner("the file's name", name=bare, key=bare))
        return [*folders, *files]

    def _by_platform(self, owner: Owner) -> str:
        """Without a roster, an id out of what the platform says."""
        if owner.platform == "Canvas":
            return _slug(f"{owner.name} {owner.key}")
        if (
            owner.platform == "Moodle"
            and len(self.numbers) == 1
            and len(self.numbers[_slug(owner.name)]) > 1
        ):
            return _slug(f"{owner.name} {owner.key}")  # blind: all are called Participant
        if owner.platform == "Moodle" and len(self.numbers.get(_slug(owner.name), ())) > 1:
            raise IntakeError(
                f"more than one person is called {owner.name!r}; give a roster that tells them "
                "apart by lms_id"
            )
        if owner.platform != "Moodle" and FIT_FOR_A_FOLDER.fullmatch(owner.key):
            return owner.key
        return _slug(owner.name or owner.key)

    def _fitting(self, owner: Owner) -> tuple[list[Person], str]:
        """People on the roster whom this may be, and what to say where that is not one."""
        key = unicodedata.normalize("NFC", owner.key).casefold()
        # Moodle numbers people afresh for each assignment.
        by_id = [p for p in self.roster if owner.platform != "Moodle" and key in _ids(p)]
        by_name = [p for p in self.roster if _called(owner.name, p.name)]
        if owner.platform == "Moodle" and not by_name:
            after = owner.name.split("-")  # of a group
            tails = ["-".join(after[k:]) for k in range(1, len(after))]
            by_name = [p for p in self.roster if any(_called(tail, p.name) for tail in tails)]
        if len(by_name) > 1:
            narrowed = [p for p in by_name if key in (p.lms_id.casefold(), p.student.casefold())]
            by_name = narrowed if len(narrowed) == 1 else by_name
        if by_id and by_name and not set(by_id) & set(by_name):
            said = f"{owner.shown} has the id of {by_id[0].student} and the name of "
            return [*by_id, *by_name], said + by_name[0].student
        if len(by_id) == 1:
            return by_id, ""
        if owner.platform == "Canvas" and len(by_name) == 1 and by_name[0].lms_id.isdigit():
            theirs = by_name[0].lms_id
            return (
                [],
                f"{owner.shown} has the name of {by_name[0].student}, whose number is {theirs}",
            )
        if not by_name and owner.platform == "the file's name":
            words = set(re.split(r"[\s_+]+|(?<=\w)-(?=\w)", key)) | set(re.split(r"[\s_+]+", key))
            by_name = [p for p in self.roster if words & _ids(p)]
        found = by_id or by_name
        if len(found) > 1:
            who = " or ".join(person.student for person in found)
            return found, f"{owner.shown} may be {who}; lay the file into the right folder"
        return found, f"nobody on the roster is {owner.shown}"


def _canvas(part: str) -> Owner | None:
    match = CANVAS.fullmatch(part)
    if match is None or not (match["name"] or match["user"].startswith("anon_")):
        return None
    order = int(match["upload"] or 0)
    late = match["late"] is not None
    return Owner("Canvas", match["name"] or "", match["user"], order, late=late)


def _moodle(part: str) -> Owner | None:
    match = MOODLE.fullmatch(part)
    return Owner("Moodle", match["name"], match["user"] or "") if match else None


def _exchange(part: str) -> Owner | None:
    match = EXCHANGE.fullmatch(part)
    if match is None:
        return None
    clock = re.sub("[_-]", ":", match["time"])
    try:
        at = datetime.fromisoformat(f"{match['day']}T{clock}").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Owner("nbgrader", key=match["user"], order=int(at.timestamp()), handed_in=at)


def _wrapping(paths: list[list[str]]) -> int:
    """How many folders lie around all of an export and say nothing about who handed in what."""
    depth = 0
    while len({tuple(path[: depth + 1]) for path in paths}) == 1 and paths[0][depth + 1 :]:
        inside = {path[depth + 1] for path in paths if len(path) > depth + 2}
        bare = [path[-1] for path in paths if len(path) == depth + 2]
        titled = len(bare) > 1 and all(DRIVE.fullmatch(ENDINGS.sub("", name)) for name in bare)
        if len(inside) < 2 and not titled:
            break
        depth += 1
    return depth


def _ids(person: Person) -> set[str]:
    """All a person may be named by, but for their name."""
    known = {person.student, person.lms_id, person.email, person.email.partition("@")[0]}
    return {unicodedata.normalize("NFC", one).casefold() for one in known if one}


def _called(one: str, other: str) -> bool:
    """Whether two are one name: the same words, from whichever they begin."""
    # As one word, since Canvas writes them so.
    words = _words(other)
    return "".join(_words(one)) in {"".join(words[k:] + words[:k]) for k in range(len(words))}


def _words(name: str) -> list[str]:
    """Words of a name, without what is written in more than one way."""
    plain = "".join(
        sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign)
    )
    plain = re.sub(r"['’ʼ`´.\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", plain.casefold())
    return re.findall(r"[^\W_]+", plain)


def _slug(text: str) -> str:
    """An id that can name a folder; letters that have none get it a mark of their own."""
    words = _words(text)
    plain = "-".join(words).encode("ascii", "ignore").decode().strip("-")
    if plain != "-".join(words):
        mark = hashlib.sha256(" ".join(words).encode(errors="backslashreplace")).hexdigest()[:8]
        return f"{plain}-{mark}" if plain else f"student-{mark}"
    return (
        plain or "student-" + hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:8]
    )
