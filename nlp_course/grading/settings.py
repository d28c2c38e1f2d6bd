"""A course's settings: `course.toml`, beside `nbgrader_config.py`.

Every table and key may be left out; `course.sample.toml` shows them all. What is not understood
is an error that says where it stands and what would be right: a misspelt key must not become a
due date that nobody keeps.
"""

from __future__ import annotations

import importlib.util
import stat
import sys
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.roster import Person, read_roster

FILE = "course.toml"
# SQLite's own patience, 5 s, is less than a grading command's longest write on a slow disk.
SQLITE_PATIENCE = 60
POLICIES = ("none", "fraction", "budget")


@dataclass(frozen=True)
class LatePolicy:
    """What a late submission costs.

    Parameters
    ----------
    policy : "none" takes nothing; "fraction" takes a fraction of the points for each day begun;
        "budget" does so only for days beyond a student's free ones
    per_day : fraction of the points earned that a day costs, 0 to 1
    maximum : the largest fraction taken, 0 to 1
    free_days : late days that cost nothing, of each student and over the term
    free_days_each : how many of them one assignment may use; None for all
    last_days : a submission more days late than this counts 0; None where there is no last moment
    grace : lateness up to this is none at all
    """

    policy: Literal["none", "fraction", "budget"] = "none"
    per_day: float = 0.0
    maximum: float = 1.0
    free_days: int = 0
    free_days_each: int | None = None
    last_days: int | None = None
    grace: timedelta = timedelta(0)


@dataclass(frozen=True)
class Dates:
    """When an assignment is due, and after which moment it counts 0, if there is one; in UTC."""

    due: datetime
    closes: datetime | None = None


@dataclass(frozen=True)
class Settings:
    """What `course.toml` says, with defaults for what it does not say.

    Parameters
    ----------
    folder : the course's own, with `nbgrader_config.py`
    zone : in which due dates are read, days are counted and times are shown
    class_folder : where submissions, marks and feedback of the class lie
    db_url : address of nbgrader's gradebook, as `c.CourseDirectory.db_url` takes it
    secret : file with the course's secret; `seeds.read_secret` makes it
    dates : by assignment
    extensions : a student's own due date, in UTC, by student and assignment
    roster : students by id; empty where there is none
    """

    folder: Path
    zone: ZoneInfo
    class_folder: Path
    db_url: str
    secret: Path
    course_id: str = "nlp_course"
    title: str = "Natural language processing"
    late: LatePolicy = LatePolicy()
    dates: Mapping[str, Dates] = field(default_factory=dict)
    extensions: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    roster: Mapping[str, Person] = field(default_factory=dict)

    def due(self, assignment: str, student: str) -> datetime | None:
        """When an assignment is due for a student; None where `course.toml` does not say."""
        dates = self.dates.get(assignment)
        return None if dates is None else self.extensions.get((student, assignment), dates.due)


def read_settings(folder: Path) -> Settings:
    """The settings of the course in a folder.

    Assignments are compared with those in `solutions/`, where the folder has it.

    Raises
    ------
    GradingError : a mistake in `course.toml`, in the roster, or in what guards the database's
        password; the message names the file, the key, and what would be right.
    """
    folder = folder.resolve()
    file = folder / FILE
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8-sig")) if file.exists() else {}
    except (OSError, ValueError) as error:
        raise GradingError(f"{file}: is not TOML in UTF-8: {error}") from error
    top = _Table(file, "", values)
    course, gradebook = top.table("course"), top.table("gradebook")
    course.only({"id", "title", "time_zone", "class_folder", "secret"})
    gradebook.only({"url", "password_file"})
    top.only({"course", "gradebook", "roster", "late", "assignments", "extensions"})

    zone = _zone(course)
    class_folder = course.path("class_folder", folder / "_build" / "class")
    known = {path.parent.name for path in folder.glob("solutions/*/*.ipynb")}
    dates = _dates(top.table("assignments"), zone, known)
    table = top.table("roster")
    table.only({"file"})
    roster = read_roster(table.path("file", folder)) if "file" in table.values else {}
    return Settings(
        folder,
        zone,
        class_folder,
        _db_url(gradebook, class_folder),
        course.path("secret", class_folder / "secret"),
        course.text("id", Settings.course_id),
        course.text("title", Settings.title),
        _late(top.table("late")),
        dates,
        _extensions(top, zone, dates, roster),
        roster,
    )


def days_after(moment: datetime, days: int, zone: ZoneInfo) -> datetime:
    """The same time of day, some days later, in UTC; a day of 23 or 25 hours is a day.

    Where clocks skip that time or show it twice, the later moment.
    """
    local = moment.astimezone(zone)
    if days == 0:
        return moment.astimezone(UTC)
    later = local.replace(tzinfo=None) + timedelta(days=days)
    return max(later.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


@dataclass(frozen=True)
class _Table:
    """A table of the file that knows where it stands, for the errors."""

    file: Path
    name: str
    values: Mapping[str, object]

    def error(self, key: str, wrong: str) -> GradingError:
        place = ".".join(filter(None, (self.name, key)))
        return GradingError(f"{self.file}: {place}: {wrong}")

    def only(self, known: Collection[str], what: str = "key") -> None:
        """Refuse what is not known, and name what was perhaps meant."""
        for key in self.values:
            if key not in known:
                close = get_close_matches(key, known, n=1, cutoff=0.5)
                hint = f"did you mean {close[0]!r}?" if close else f"known: {_listed(known)}"
                raise self.error(key, f"no such {what}; {hint}")

    def get(self, key: str, right: Callable[[object], bool], must_be: str) -> object:
        """A value that is as it must be."""
        value = self.values[key]
        if not right(value):
            raise self.error(key, f"must be {must_be}, got {_toml(value)}")
        return value

    def table(self, key: str) -> _Table:
        place = ".".join(filter(None, (self.name, key)))
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, f"must be a table, [{place}], got {_toml(value)}")
        return _Table(self.file, place, value)

    def text(self, key: str, default: str | None = None) -> str:
        if key not in self.values:
            if default is None:
                raise self.error(key, "is missing; it must be text in quotes")
            return default
        right = "text in quotes, and not empty"
        return str(self.get(key, lambda v: isinstance(v, str) and v.strip() != "", right))

    def path(self, key: str, default: Path) -> Path:
        """A path; a relative one starts at the file's folder, and ~ is your home."""
        if key not in self.values:
            return default
        return self.file.parent / Path(self.text(key)).expanduser()

    def number(self, key: str, default: float) -> float:
        def right(value: object) -> bool:
            return type(value) in (int, float) and 0 <= value <= 1  # type: ignore[operator]

        if key not in self.values:
            return default
        return float(self.get(key, right, "a fraction from 0 to 1, such as 0.1"))  # type: ignore[arg-type]

    def whole(self, key: str, least: int) -> int | None:
        if key not in self.values:
            return None

        def right(value: object) -> bool:
            return type(value) is int and value >= least

        return int(self.get(key, right, f"a whole number, {least} or more"))  # type: ignore[call-overload]

    def moment(self, key: str, zone: ZoneInfo) -> datetime:
        """A time, in UTC; one without an offset is in the course's zone."""
        example = "2026-10-14T23:59:00"
        if key not in self.values:
            raise self.error(key, f"is missing; give a date and time, such as {example}")
        value = self.values[key]
        if type(value) is date:
            raise self.error(key, f"gives no time of day; write {value}T23:59:00")
        if not isinstance(value, datetime):
            raise self.error(
                key,
                f"must be a date and time without quotes, such as {example}, got {_toml(value)}",
            )
        if value.tzinfo is not None:
            return value.astimezone(UTC)
        first, second = (value.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        if first.utcoffset() != second.utcoffset():
            there = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == value
            raise self.error(
                key,
                f"{value} comes {'twice' if there else 'never'} in {zone.key}, where clocks change "
                f"that day; write it with an offset from UTC, such as {first.isoformat()}",
            )
        # Python subtracts times of one zone as if its clocks never changed.
        return first.astimezone(UTC)


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _shown(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


def _toml(value: object) -> str:
    """A value, nearly as the file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, date) else repr(value)


def _zone(course: _Table) -> ZoneInfo:
    name, known = course.text("time_zone", "UTC"), available_timezones()
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "names are such as 'Europe/Berlin'"
        raise course.error("time_zone", f"no time zone is called {name!r}; {hint}")
    return ZoneInfo(name)


def _db_url(gradebook: _Table, class_folder: Path) -> str:
    """The gradebook's address with what the driver needs, and without a password."""
    if "url" not in gradebook.values:
        return _patient(class_folder / "gradebook.db")
    text = gradebook.text("url")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        right = "such as postgresql+psycopg://grader@host/nlp_course"
        raise gradebook.error("url", f"{text!r} is no database's address, {right}") from error
    if url.password is not None or "password" in url.query:
        raise gradebook.error("url", "holds a password; put it into a file named by password_file")
    backend = url.get_backend_name()
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise gradebook.error("url", "names no file; write sqlite:///gradebook.db")
        if set(url.query) - {"timeout"}:
            raise gradebook.error("url", f"takes no option but timeout, got {_listed(url.query)}")
        return _patient(gradebook.file.parent / url.database, url.query.get("timeout"))
    if backend != "postgresql":
        raise gradebook.error("url", f"must be sqlite or postgresql, got {backend!r}")
    if url.drivername != "postgresql+psycopg":
        wrong = f"must begin with postgresql+psycopg://, got {url.drivername}://"
        raise gradebook.error("url", wrong)
    if importlib.util.find_spec("psycopg") is None:
        raise gradebook.error("url", 'needs psycopg; run: pip install "psycopg[binary]>=3.2"')
    if "password_file" not in gradebook.values:
        return text
    passwords = _password_file(gradebook)
    # Slashes stay: in nbgrader's alembic.ini a percent sign means something else.
    return f"{text}{'&' if url.query else '?'}passfile={quote(str(passwords), safe='/')}"


def _patient(database: Path, seconds: object = None) -> str:
    """An SQLite database's address; a writer waits while another one writes."""
    return f"sqlite:///{database}?timeout={seconds or SQLITE_PATIENCE}"


def _password_file(gradebook: _Table) -> Path:
    """A file as PostgreSQL's own programs read it; they pass over one that others may read."""
    path = gradebook.path("password_file", Path())
    form = "host:port:database:user:password"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        wrong = f"{path} cannot be read ({error.strerror}); it holds one line, {form}"
        raise gradebook.error("password_file", wrong) from error
    if sys.platform != "win32" and mode & 0o077:
        raise gradebook.error("password_file", f"others may read {path}; run: chmod 600 {path}")
    if not any(line.count(":") >= 4 for line in lines if not line.startswith("#")):
        raise gradebook.error("password_file", f"{path} must hold a line {form}; * stands for any")
    return path


def _late(table: _Table) -> LatePolicy:
    policy = table.text("policy", "none")
    if policy not in POLICIES:
        raise table.error("policy", f"must be one of {', '.join(POLICIES)}, got {policy!r}")
    needed = {"none": (), "fraction": ("per_day",), "budget": ("free_days", "per_day")}[policy]
    known = {"policy", "last_days", "grace_minutes", *needed}
    if policy != "none":
        known.add("maximum")
    if policy == "budget":
        known.add("free_days_each")
    table.only(known, f"key with policy = {policy!r}")
    for key in needed:
        if key not in table.values:
            raise table.error(key, f"is missing; policy = {policy!r} needs it")
    return LatePolicy(
        policy,  # type: ignore[arg-type]  # compared with POLICIES above
        table.number("per_day", 0.0),
        table.number("maximum", 1.0),
        table.whole("free_days", 0) or 0,
        table.whole("free_days_each", 1),
        table.whole("last_days", 0),
        timedelta(minutes=table.whole("grace_minutes", 0) or 0),
    )


def _dates(assignments: _Table, zone: ZoneInfo, known: set[str]) -> dict[str, Dates]:
    if known:
        assignments.only(known, "assignment in solutions/")
    dates = {}
    for name in assignments.values:
        table = assignments.table(name)
        table.only({"due", "closes"})
        due = table.moment("due", zone)
        closes = table.moment("closes", zone) if "closes" in table.values else None
        if closes is not None and closes < due:
            early = f"{_shown(closes, zone)} is before the due date, {_shown(due, zone)}"
            raise table.error("closes", early)
        dates[name] = Dates(due, closes)
    return dates


def _extensions(
    top: _Table, zone: ZoneInfo, dates: Mapping[str, Dates], roster: Collection[str]
) -> dict[tuple[str, str], datetime]:
    entries = top.values.get("extensions", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise top.error("extensions", "must be tables, each headed [[extensions]]")
    extensions: dict[tuple[str, str], datetime] = {}
    for number, entry in enumerate(entries, start=1):
        table = _Table(top.file, f"extensions[{number}]", entry)
        table.only({"student", "assignment", "due", "days"})
        student, assignment = table.text("student"), table.text("assignment")
        if roster and student not in roster:
            close = get_close_matches(student, roster, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise table.error("student", f"{student!r} is not in the roster{hint}")
        if assignment not in dates:
            known = f"those that have one: {_listed(dates)}"
            raise table.error("assignment", f"{assignment!r} has no due date to extend; {known}")
        if (student, assignment) in extensions:
            raise table.error("", f"{student} has an extension of {assignment} already; keep one")
        if ("due" in entry) == ("days" in entry):
            raise table.error("", "must have either due or days")
        usual = dates[assignment].due
        days = table.whole("days", 1)
        due = table.moment("due", zone) if days is None else days_after(usual, days, zone)
        if due < usual:
            early = f"{_shown(due, zone)} is before the usual due date, {_shown(usual, zone)}"
            raise table.error("due", early)
        extensions[student, assignment] = due
    return extensions
