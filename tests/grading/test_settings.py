"""`course.toml`: what it may say, and what is said about each mistake in it."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import make_url

from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.roster import Person, read_roster
from nlp_course.grading.settings import LatePolicy, Settings, days_after, read_settings

pytestmark = pytest.mark.grading
ROOT = Path(__file__).parents[2]
Write = Callable[[str], Settings]
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")


@pytest.fixture
def read(tmp_path: Path) -> Write:
    """Reads a course.toml of this text, in a course with two assignments and two students."""
    for name in ("01-words", "02-word2vec"):
        folder = tmp_path / "solutions" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.ipynb").touch()
    (tmp_path / "roster.csv").write_text("student\nstudent-01\nstudent-02\n")

    def write(text: str) -> Settings:
        (tmp_path / "course.toml").write_text(text, encoding="utf-8")
        return read_settings(tmp_path)

    return write


def test_no_file_is_needed(tmp_path: Path):
    settings = read_settings(tmp_path)
    assert settings.course_id == "nlp_course"
    assert settings.zone.key == "UTC"
    assert settings.class_folder == tmp_path / "_build" / "class"
    assert settings.secret.parent == settings.class_folder
    assert settings.late == LatePolicy("none")
    assert not settings.dates
    assert not settings.extensions
    assert not settings.roster
    assert settings.due("02-word2vec", "student-01") is None


def test_an_empty_file_says_the_same_as_none(read: Write, tmp_path: Path):
    empty = read("")
    (tmp_path / "course.toml").unlink()
    assert empty == read_settings(tmp_path)


def test_the_sample_is_understood(read: Write, tmp_path: Path):
    sample = (ROOT / "course.sample.toml").read_text()
    settings = read(sample)
    assert settings.dates["02-word2vec"].due == datetime(2026, 10, 28, 22, 59, tzinfo=UTC)
    assert settings.late.free_days == 4
    # What is commented out must be right too, but for a database and a password that are not here.
    lines = [line.removeprefix("# ") for line in sample.splitlines()]
    keys = [line for line in lines if line.startswith(("[", *"abcdefghijklmnopqrstuvwxyz"))]
    keys = [line for line in keys if not line.startswith(("url", "password_file"))]
    whole = "\n".join(line for line in keys if line.startswith("[") or " = " in line)
    (tmp_path / "roster.csv").write_text("student\nstudent-03\nstudent-07\n")
    everything = read(whole)
    assert set(everything.extensions) == {
        ("student-03", "02-word2vec"),
        ("student-07", "02-word2vec"),
    }
    assert everything.secret == settings.secret
    assert everything.class_folder == settings.class_folder
    assert set(tomllib.loads(whole)) == {
        *("course", "gradebook", "roster", "late", "assignments", "extensions")
    }


def test_a_time_without_an_offset_is_the_courses(read: Write):
    due = "[assignments.01-words]\ndue = 2026-07-01T12:00:00"
    assert read(due).due("01-words", "anyone") == datetime(2026, 7, 1, 12, tzinfo=UTC)
    berlin = read(f"course.time_zone = 'Europe/Berlin'\n{due}")
    assert berlin.due("01-words", "anyone") == datetime(2026, 7, 1, 10, tzinfo=UTC)
    offset = read(f"course.time_zone = 'Europe/Berlin'\n{due}-05:00")
    assert offset.due("01-words", "anyone") == datetime(2026, 7, 1, 17, tzinfo=UTC)


EXTENSION = """
course.time_zone = "Europe/Berlin"
roster.file = "roster.csv"
[assignments.01-words]
due = 2026-10-24T23:59:00
[[extensions]]
student = "student-01"
assignment = "01-words"
"""


def test_an_extension_in_days_keeps_the_time_of_day_when_clocks_change(read: Write):
    settings = read(EXTENSION + "days = 1")
    assert settings.due("01-words", "student-02") == datetime(2026, 10, 24, 21, 59, tzinfo=UTC)
    # The night to 25 October has 25 hours.
    assert settings.due("01-words", "student-01") == datetime(2026, 10, 25, 22, 59, tzinfo=UTC)


def test_an_extension_may_name_the_moment(read: Write):
    settings = read(EXTENSION + "due = 2026-10-30T12:00:00+00:00")
    assert settings.due("01-words", "student-01") == datetime(2026, 10, 30, 12, tzinfo=UTC)


def test_a_day_after_a_skipped_time_is_the_later_moment(read: Write):
    zone = read("course.time_zone = 'Europe/Berlin'").zone
    # 2027-03-28 02:30 does not exist; 2026-10-25 02:30 is there twice.
    skipped = days_after(datetime(2027, 3, 27, 1, 30, tzinfo=UTC), 1, zone)
    assert skipped == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)
    twice = days_after(datetime(2026, 10, 24, 0, 30, tzinfo=UTC), 1, zone)
    assert twice == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_paths_start_at_the_courses_folder(read: Write, tmp_path: Path):
    settings = read('[course]\nclass_folder = "../class-2026"\nsecret = "/etc/nlp/secret"')
    assert settings.class_folder.resolve() == tmp_path.parent / "class-2026"
    assert settings.secret == Path("/etc/nlp/secret")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[cuorse]", "cuorse: no such key; did you mean 'course'?"),
        ("[late]\npolicy = 'fraction'\nper_dya = 0.1", "late.per_dya: .* mean 'per_day'"),
        ("course = 3", r"course: must be a table, \[course\], got 3"),
        ("course.id = 7", "course.id: must be text in quotes, and not empty, got 7"),
        ("course.id = ' '", "course.id: must be text in quotes, and not empty, got ' '"),
        ("course.time_zone = 'Europe/Berln'", "course.time_zone: .* mean 'Europe/Berlin'"),
        ("course.time_zone = 'here'", "course.time_zone: .* names are such as 'Europe/Berlin'"),
        ("[course\n", "is not TOML in UTF-8: "),
        (
            "late.policy = 'harsh'",
            "late.policy: must be one of none, fraction, budget, got 'harsh'",
        ),
        ("late.per_day = 0.1", "late.per_day: no such key with policy = 'none'"),
        ("late.policy = 'fraction'", "late.per_day: is missing; policy = 'fraction' needs it"),
        (
            "late.policy = 'budget'\nlate.per_day = 0",
            "late.free_days: is missing; policy = 'budget' needs it",
        ),
        (
            "late.policy = 'fraction'\nlate.per_day = 10",
            "late.per_day: must be a fraction from 0 to 1, such as 0.1, got 10",
        ),
        ("late.policy = 'fraction'\nlate.per_day = true", "from 0 to 1, such as 0.1, got true"),
        ("late.policy = 'fraction'\nlate.per_day = nan", "from 0 to 1, such as 0.1, got nan"),
        ("late.last_days = -1", "late.last_days: must be a whole number, 0 or more, got -1"),
        ("late.last_days = 1.5", "late.last_days: must be a whole number, 0 or more, got 1.5"),
        ("[assignments.01-wrods]", "01-wrods: no such assignment in solutions/; .* '01-words'"),
        ("[assignments.01-words]", "assignments.01-words.due: is missing; give a date and time"),
        ("assignments.01-words.due = 2026-10-14", "no time of day; write 2026-10-14T23:59:00"),
        ("assignments.01-words.due = '14 October'", "without quotes, .*, got '14 October'"),
        ("assignments.01-words = 1", r"must be a table, \[assignments.01-words\], got 1"),
        (
            "[assignments.01-words]\ndue = 2026-10-14T12:00:00\ncloses = 2026-10-14T11:00:00",
            "01-words.closes: 2026-10-14 11:00 is before the due date, 2026-10-14 12:00",
        ),
        (
            "course.time_zone = 'Europe/Berlin'\nassignments.01-words.due = 2027-03-28T02:30:00",
            r"2027-03-28 02:30:00 comes never in Europe/Berlin, .*2027-03-28T02:30:00\+01:00",
        ),
        (
            "course.time_zone = 'Europe/Berlin'\nassignments.01-words.due = 2026-10-25T02:30:00",
            r"2026-10-25 02:30:00 comes twice in Europe/Berlin, .*2026-10-25T02:30:00\+02:00",
        ),
        ("extensions = 3", r"extensions: must be tables, each headed \[\[extensions\]\]"),
        (EXTENSION, r"extensions\[1\]: must have either due or days"),
        (EXTENSION + "days = 1\ndue = 2026-10-30T12:00:00", "must have either due or days"),
        (EXTENSION + "days = 0", r"extensions\[1\].days: must be a whole number, 1 or more, got 0"),
        (EXTENSION + "due = 2026-10-24T23:58:00", "23:58 is before the usual due date, .* 23:59"),
        (
            EXTENSION.replace('"student-01"', '"studnet-01"') + "days = 1",
            "'studnet-01' is not in the roster; did you mean 'student-01'?",
        ),
        (
            EXTENSION.replace('assignment = "01-words"', 'assignment = "02-word2vec"') + "days = 1",
            "'02-word2vec' has no due date to extend; those that have one: 01-words",
        ),
        (
            EXTENSION + "days = 1\n[[extensions]]\nstudent = 'student-01'\n"
            "assignment = '01-words'\ndays = 2",
            r"extensions\[2\]: student-01 has an extension of 01-words already; keep one",
        ),
        ("roster.file = 'class.csv'", "class.csv: cannot be read"),
        ("roster.path = 'class.csv'", "roster.path: no such key; known: file"),
        ("gradebook.url = 'gradebook.db'", "'gradebook.db' is no database's address, such as"),
        ("gradebook.url = 'mysql://host/db'", "must be sqlite or postgresql, got 'mysql'"),
        ("gradebook.url = 'sqlite://'", "names no file; write sqlite:///gradebook.db"),
        ("gradebook.url = 'sqlite:///x.db?cache=shared'", "no option but timeout, got cache"),
        ("gradebook.url = 'postgresql+psycopg://a:b@host/db'", "password; put it into a file"),
        ("gradebook.url = 'postgresql+psycopg://host/db?password=b'", "password; put it into"),
        ("gradebook.url = 'postgresql+pg8000://a@host/db'", r"must begin with postgresql\+psycopg"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(
    read: Write, tmp_path: Path, text: str, wrong: str
):
    with pytest.raises(GradingError, match=wrong) as caught:
        read(text)
    assert str(caught.value).startswith(str(tmp_path))


def test_sqlite_waits_for_another_writer(read: Write, tmp_path: Path):
    for settings in (read(""), read("gradebook.url = 'sqlite:///_build/class/gradebook.db'")):
        url = make_url(settings.db_url)
        assert url.database == str(tmp_path / "_build" / "class" / "gradebook.db")
        assert url.query == {"timeout": "60"}
    patient = read("gradebook.url = 'sqlite:////var/marks.db?timeout=300'")
    assert patient.db_url == "sqlite:////var/marks.db?timeout=300"


POSTGRESQL = """
[gradebook]
url = "postgresql+psycopg://grader@db.example.org/nlp_course"
password_file = "pass word"
"""


def test_a_password_stays_in_its_file(read: Write, tmp_path: Path):
    pytest.importorskip("psycopg", reason="the PostgreSQL driver, psycopg, is not installed")
    path = tmp_path / "pass word"
    path.write_text("# comment\ndb.example.org:5432:nlp_course:grader:wren's song\n")
    path.chmod(0o600)
    settings = read(POSTGRESQL)
    assert make_url(settings.db_url).query == {"passfile": str(path)}
    assert "wren" not in repr(settings)


@posix
def test_a_password_that_others_may_read_is_refused(read: Write, tmp_path: Path):
    pytest.importorskip("psycopg", reason="the PostgreSQL driver, psycopg, is not installed")
    path = tmp_path / "pass word"
    with pytest.raises(GradingError, match=r"password_file: .* cannot be read .*holds one line"):
        read(POSTGRESQL)
    path.write_text("wren's song")
    path.chmod(0o644)
    with pytest.raises(GradingError, match=f"others may read {path}; run: chmod 600"):
        read(POSTGRESQL)
    path.chmod(0o600)
    with pytest.raises(GradingError, match="must hold a line host:port:database:user:password"):
        read(POSTGRESQL)


# The roster


@pytest.fixture
def roster(tmp_path: Path) -> Callable[[bytes | str], dict[str, Person]]:
    def write(content: bytes | str) -> dict[str, Person]:
        path = tmp_path / "class.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_roster(path)

    return write


def test_a_roster_of_ones_own(roster):
    text = (
        "student,name,email,lms_id,section,remark\n"
        'student-01,"One, Student",one@example.org,101,A,\n\nstudent-02,Student Two\n'
    )
    assert list(roster(text).values()) == [
        Person("student-01", "One, Student", "one@example.org", "101", "A"),
        Person("student-02", "Student Two"),
    ]


def test_canvas_gradebook_export(roster):
    text = (
        "Student,ID,SIS User ID,SIS Login ID,Section,Words (11)\n"
        "    Points Possible,,,,,10\n"
        '"One, Student",101,S1,one@example.org,NLP A,7\n'
        '"Two, Student",102,S2,,"NLP A and NLP B",\n'
        '"Three, Student",103,,,NLP A,\n'
        '"Student, Test",999,,abc,NLP A,\n'
    )
    assert list(roster(text).values()) == [
        Person("one@example.org", "Student One", "one@example.org", "101", "NLP A"),
        Person("S2", "Student Two", "", "102", "NLP A and NLP B"),
        Person("103", "Student Three", "", "103", "NLP A"),
    ]


@pytest.mark.parametrize("last", ["Last name", "Surname"])
def test_moodle_participants_export(roster, last: str):
    text = (
        f"First name,{last},ID number,Email address,Groups\n"
        'Student,One,4711,one@example.org,"Mon, Tue"\nStudent,Two,,two@example.org,\n'
    )
    assert list(roster(text).values()) == [
        Person("4711", "Student One", "one@example.org", "4711", "Mon, Tue"),
        Person("two@example.org", "Student Two", "two@example.org", "", ""),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_spreadsheets_csv_is_read(roster, encoding: str, separator: str, end: str):
    lines = [["student", "name"], ["student-01", '"Zoë\nMüller"'], ["student-02", "Ünal"]]
    text = end.join(separator.join(line) for line in lines)
    people = roster(text.encode(encoding))
    assert [person.name for person in people.values()] == ["Zoë\nMüller", "Ünal"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "is empty; its first line must be student,name"),
        ("student\n", "holds a header and no students"),
        ("name,email\nOne,a@b\n", "line 1 is 'name,email'; it must be student,name"),
        ("student,emial\na,b\n", "line 1: column 'emial' is not known; did you mean 'email'?"),
        ("student,student\na,b\n", "line 1: names 'student' twice"),
        ("student,name\n,One\n", "line 2: has no student id; give one"),
        ("student,name\na/b,One\n", "line 2: 'a/b' cannot name a folder"),
        ("student\n..\n", "line 2: '..' cannot name a folder"),
        ("student\na*\n", r"line 2: 'a\*' cannot name a folder"),
        ("student,name\na,One,Two\n", "line 2: has 3 fields, and the header 2; put a field"),
        ("student\na\n\nA\n", "line 4: student 'A' is also on line 2; every student has one line"),
        ("student,lms_id\na,7\nb,7\n", "line 3: lms_id '7' is also on line 2"),
        ("student,email\na,x@y\nb,X@y\n", "line 3: email 'X@y' is also on line 2"),
        (b"student,name\na,\x81\xff", "neither UTF-8, UTF-16 nor Windows-1252"),
    ],
)
def test_a_mistake_in_the_roster_is_named_with_its_line(roster, text: bytes | str, wrong: str):
    with pytest.raises(GradingError, match=rf"class\.csv: .*{wrong}|class\.csv: {wrong}"):
        roster(text)
