"""Submissions are known by their cells; what is unclear goes to a person, with a sentence."""

from __future__ import annotations

import copy
import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbgrader.utils import parse_utc

from nlp_course.grading.course import Course
from nlp_course.grading.intake import Collection, IntakeError, collect, take_in
from nlp_course.grading.matching import answers
from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.release import release
from nlp_course.grading.roster import Person

pytestmark = pytest.mark.grading
NAME = "90-sums"
TakeIn = Callable[[], list[str]]


@pytest.fixture
def given(course: Course) -> Path:
    """The notebook the students were given."""
    return release(course, NAME) / f"{NAME}.ipynb"


@pytest.fixture
def received(tmp_path: Path) -> Path:
    folder = tmp_path / "received"
    folder.mkdir()
    return folder


@pytest.fixture
def take(given: Path, received: Path, tmp_path: Path) -> TakeIn:
    return lambda: take_in(received, given, tmp_path / "submitted")


@pytest.fixture
def hand_in(given: Path, received: Path) -> Callable[..., Path]:
    """Puts the release, edited, into the student's folder."""

    def write(edit: Callable[[NotebookNode], None] = lambda _: None, name: str = given.name):
        notebook = nbformat.read(given, 4)
        edit(notebook)
        path = received / name
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, path)
        return path

    return write


def position(notebook: NotebookNode, name: str) -> int:
    return [cell.id for cell in notebook.cells].index(name)


def test_a_notebook_as_it_was_given_needs_no_repair(hand_in, take: TakeIn, tmp_path: Path):
    path = hand_in()
    assert take() == []
    assert nbformat.read(tmp_path / "submitted" / path.name, 4) == nbformat.read(path, 4)


@pytest.mark.parametrize("name", [f"Copy of {NAME}.ipynb", "Untitled (1).ipynb", "zip/mine.ipynb"])
def test_any_file_name_will_do_and_is_said(hand_in, take: TakeIn, tmp_path: Path, name: str):
    hand_in(name=name)
    assert take() == [f"took {name!r} for {NAME}.ipynb, by its cells"]
    assert [path.name for path in (tmp_path / "submitted").iterdir()] == [f"{NAME}.ipynb"]


def test_other_notebooks_beside_it_are_named(hand_in, take: TakeIn, received: Path):
    hand_in()
    nbformat.write(nbformat.v4.new_notebook(), received / "scratch.ipynb")
    (received / "broken.ipynb").write_text("{")
    broken, scratch = take()
    assert broken.startswith("'broken.ipynb' was left out: the file is broken")
    assert scratch.startswith("'scratch.ipynb' was left out: the file is a notebook without cells")


def test_edited_and_missing_tests_are_said(hand_in, take: TakeIn):
    def edit(notebook: NotebookNode) -> None:
        notebook.cells[position(notebook, "q02-mean-tests")].source = "pass"
        del notebook.cells[position(notebook, "q01-total-tests")]

    hand_in(edit)
    assert take() == [
        "q01-total-tests was missing, and is restored",
        "q02-mean-tests was edited, and is restored",
    ]


def answer(text: str) -> Callable[[NotebookNode], None]:
    def edit(notebook: NotebookNode) -> None:
        notebook.cells[position(notebook, "q01-total")].source = f"def total(numbers):\n    {text}"

    return edit


def test_two_notebooks_that_answer_differently_are_not_chosen_between(hand_in, take: TakeIn):
    hand_in(answer("return 1"), name="a.ipynb")
    hand_in(answer("return 2"), name="b.ipynb")
    with pytest.raises(IntakeError, match=r"'a\.ipynb', 'b\.ipynb' answer differently"):
        take()


def test_the_untouched_release_is_no_answer_beside_one_that_is(hand_in, take: TakeIn):
    hand_in(answer("return 1"), name="a.ipynb")
    hand_in(name=f"{NAME}.ipynb")
    assert take() == [
        "took 'a.ipynb' for 90-sums.ipynb, by its cells",
        "'90-sums.ipynb' is the release, untouched, and is passed over",
    ]


def test_a_link_is_not_followed(take: TakeIn, given: Path, received: Path):
    (received / f"{NAME}.ipynb").symlink_to(given)
    with pytest.raises(IntakeError, match="is a link"):
        take()


def test_a_folder_without_the_assignment_is_named(take: TakeIn, received: Path):
    nbformat.write(nbformat.v4.new_notebook(), received / "other.ipynb")
    with pytest.raises(IntakeError, match=r"no notebook answers 90-sums; 'other\.ipynb': "):
        take()


def test_an_empty_folder_is_named(take: TakeIn):
    with pytest.raises(IntakeError, match=r"no notebook answers 90-sums; the folder is empty"):
        take()


def test_copies_that_jupyter_and_macos_keep_are_passed_over(hand_in, take: TakeIn, received: Path):
    hand_in()
    hand_in(name=f".ipynb_checkpoints/{NAME}-checkpoint.ipynb")
    (received / f"._{NAME}.ipynb").write_bytes(b"\x00\x05\x16\x07")
    assert take() == []


@pytest.mark.parametrize("text", ["", "<html>", '{"nbformat": 4, "cells": [1]}', "\x00PK"])
def test_a_file_that_is_no_notebook_is_named(take: TakeIn, received: Path, text: str):
    (received / f"{NAME}.ipynb").write_text(text)
    with pytest.raises(IntakeError, match=r"90-sums\.ipynb"):
        take()


# A whole class -----------------------------------------------------------------------------------


@dataclass
class Class:
    """A class's folder, and an export that is collected into it."""

    releases: dict[str, NotebookNode]
    folder: Path
    roster: tuple[Person, ...] = ()

    def notebook(self, text: str = "return 1", assignment: str = NAME) -> bytes:
        notebook = copy.deepcopy(self.releases[assignment])
        if text:
            answer(text)(notebook)
        return nbformat.writes(notebook).encode()

    def export(self, files: dict[str, bytes], name: str = "export.zip", day: int = 1) -> Path:
        path = self.folder.parent / name
        with zipfile.ZipFile(path, "w") as archive:
            for inner, data in files.items():
                archive.writestr(zipfile.ZipInfo(inner, (2026, 2, day, 12, 0, 0)), data)
        return path

    def collect(self, source: Path) -> Collection:
        return collect(
            source, assignments=self.releases, wanted=NAME, into=self.folder, roster=self.roster
        )

    def graded(self, student: str) -> str:
        path = self.folder / "submitted" / student / NAME / f"{NAME}.ipynb"
        return answers(nbformat.read(path, 4))["q01-total"].splitlines()[-1].strip()

    def state(self) -> dict[str, tuple[bytes, int]]:
        return {
            path.relative_to(self.folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def group(given: Path, tmp_path: Path) -> Class:
    release_one = nbformat.read(given, 4)
    text = nbformat.writes(release_one).replace("q01-", "z01-").replace("q02-", "z02-")
    other = nbformat.reads(text, 4)
    return Class({"91-other": other, NAME: release_one}, tmp_path / "class")


def test_a_class_is_collected_and_nothing_is_lost(group: Class):
    good = group.notebook()
    found = group.collect(
        group.export(
            {
                "s1/90-sums.ipynb": good,
                "s2/anything (2).ipynb": group.notebook("return 2"),
                "s3/broken.ipynb": good[:300],
                "s4/other.ipynb": group.notebook("", "91-other"),
                "../s5.ipynb": good,
            }
        )
    )
    assert [one.student for one in found.accepted] == ["s1", "s2"]
    assert [one.student for one in found.reviews] == [None, "s3", "s4"]
    assert "it answers 91-other, not 90-sums" in [one.sentence for one in found.reviews]
    assert all(one.kept is not None and one.kept.is_file() for one in found.reviews)
    first = found.accepted[0]
    assert first.original == group.folder / "received" / NAME / "s1" / "90-sums.ipynb"
    assert first.original.read_bytes() == good
    assert first.sha256 == hashlib.sha256(good).hexdigest()
    stamp = group.folder / "submitted" / "s1" / NAME / "timestamp.txt"
    assert stamp.read_text() == "2026-02-01 12:00:00.000000 UTC"
    assert parse_utc(stamp.read_text()).isoformat() == "2026-02-01T12:00:00"
    listed = (group.folder / "received" / NAME / "review.csv").read_text().splitlines()
    assert len(listed) == 4


def test_collecting_again_changes_nothing(group: Class):
    files = {"s1/a.ipynb": group.notebook(), "s2/a.ipynb": b"{", "s3/a.ipynb": b""}
    export = group.export(files)
    first = group.collect(export)
    before = group.state()
    assert group.collect(export) == first
    assert group.state() == before


def test_the_order_of_the_files_does_not_matter(group: Class, tmp_path: Path):
    files = {f"s{k % 3}/{k}.ipynb": group.notebook(f"return {k % 2}") for k in range(6)}
    one = group.collect(group.export(files))
    other = Class(group.releases, tmp_path / "other" / "class")
    other.folder.mkdir(parents=True)
    two = other.collect(other.export(dict(reversed(files.items()))))
    assert [x.sentence for x in one.reviews] == [x.sentence for x in two.reviews]
    assert [x.repairs for x in one.accepted] == [x.repairs for x in two.accepted]


def test_an_empty_source_is_an_error(group: Class, tmp_path: Path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(GradingError, match="holds no file: is it what the platform gave out"):
        group.collect(tmp_path / "nothing")


def test_a_newer_file_replaces_and_the_older_is_kept(group: Class):
    first = group.notebook("return 1")
    group.collect(group.export({"s1/a.ipynb": first}, day=1))
    found = group.collect(group.export({"s1/a.ipynb": group.notebook("return 2")}, day=2))
    assert group.graded("s1") == "return 2"
    assert any("is taken, handed in last" in said for said in found.accepted[0].repairs)
    kept = [path.read_bytes() for path in (group.folder / "received" / NAME / "s1").iterdir()]
    assert first in kept


def test_an_older_file_does_not_replace(group: Class):
    group.collect(group.export({"s1/a.ipynb": group.notebook("return 2")}, day=2))
    group.collect(group.export({"s1/a.ipynb": group.notebook("return 1")}, day=1))
    assert group.graded("s1") == "return 2"


def test_canvas_s_numbers_tell_what_was_handed_in_last(group: Class):
    found = group.collect(
        group.export(
            {
                "lastfirst_LATE_55_9002_sums-1.ipynb": group.notebook("return 2"),
                "lastfirst_55_9001_sums.ipynb": group.notebook("return 1"),
            }
        )
    )
    (one,) = found.accepted
    assert group.graded(one.student) == "return 2"
    assert one.handed_in is None  # the archive's clock tells of the download
    assert "Canvas says that it was handed in late" in one.repairs


def test_files_handed_in_at_once_that_differ_are_for_a_person_who_settles_it(group: Class):
    right = group.notebook("return 2")
    files = {"s1/a.ipynb": group.notebook("return 1"), "s1/b.ipynb": right}
    export = group.export(files)
    found = group.collect(export)
    assert [(one.student, one.file) for one in found.reviews] == [
        ("s1", "s1/a.ipynb"),
        ("s1", "s1/b.ipynb"),
    ]
    assert all("lay the right one" in one.sentence for one in found.reviews)

    folder = group.folder / "received" / NAME / "s1"
    folder.mkdir()
    (folder / "b.ipynb").write_bytes(right)
    settled = group.collect(folder)
    assert settled.reviews == ()
    assert group.graded("s1") == "return 2"
    assert settled.accepted[0].handed_in == datetime(2026, 2, 1, 12, tzinfo=UTC)
    again = group.collect(export)
    before = group.state()
    assert again.reviews == ()
    assert group.collect(export) == again
    (first,), (second,) = settled.accepted, again.accepted
    assert "it was laid here by hand" in first.repairs
    # What came after a person had chosen, at a time that nothing tells, is named.
    assert "it was laid here by hand, and is taken over 's1/a.ipynb'" in second.repairs
    assert replace(second, repairs=first.repairs) == first
    assert group.collect(group.folder / "received" / NAME).accepted == again.accepted
    assert group.state() == before
    assert (folder.parent / "review.csv").read_text().count("\n") == 1


def test_a_file_of_nobody_is_settled_by_laying_it_into_a_folder(group: Class):
    group.roster = (Person("student-01", "First Number"),)
    data = group.notebook("return 3")
    export = group.export({"unknown.ipynb": data})
    (one,) = group.collect(export).reviews
    assert one.sentence == "nobody on the roster is 'unknown'"
    folder = group.folder / "received" / NAME / "student-01"
    folder.mkdir()
    (folder / "unknown.ipynb").write_bytes(data)
    assert group.collect(folder).reviews == ()
    assert group.collect(export).reviews == ()
    assert group.graded("student-01") == "return 3"


def test_the_time_of_a_download_is_no_time_of_handing_in(group: Class):
    group.roster = (Person("student-01", "First Number"),)
    data = group.notebook("return 3")
    name = f"nobodyelse_9999_90099_{NAME}.ipynb"  # as Canvas names it
    export = group.export({name: data})
    (one,) = group.collect(export).reviews
    assert one.handed_in is None
    folder = group.folder / "received" / NAME / "student-01"
    folder.mkdir()
    (folder / name).write_bytes(data)
    assert group.collect(folder).accepted[0].handed_in is None
    assert not (group.folder / "submitted" / "student-01" / NAME / "timestamp.txt").exists()


def test_what_a_platform_says_is_said_again_when_a_class_is_collected_again(group: Class):
    export = group.export({f"oneexample_LATE_4711_90001_{NAME}.ipynb": group.notebook()})
    late = "Canvas says that it was handed in late"
    for source in (export, group.folder / "received" / NAME, export):
        (found,) = group.collect(source).accepted
        assert late in found.repairs


def test_a_broken_file_handed_in_later_is_for_a_person_and_the_older_stands(group: Class):
    good = group.notebook()
    group.collect(group.export({"s1/a.ipynb": good}, day=1))
    found = group.collect(group.export({"s1/a.ipynb": good[:400]}, day=2))
    assert [one.student for one in found.accepted] == ["s1"]
    assert "An older file of s1 is graded meanwhile" in found.reviews[0].sentence


def test_what_lies_beside_a_notebook_is_said(group: Class):
    found = group.collect(group.export({"s1/a.ipynb": group.notebook(), "s1/n.csv": b"1,2"}))
    assert found.reviews == ()
    assert any("'s1/n.csv' was left out" in said for said in found.accepted[0].repairs)


def test_nbgrader_s_own_folder_with_its_times(group: Class):
    files = {
        f"submitted/s1/{NAME}/{NAME}.ipynb": group.notebook(),
        f"submitted/s1/{NAME}/timestamp.txt": b"2026-01-15 08:30:00.250000 UTC",
    }
    (one,) = group.collect(group.export(files)).accepted
    assert one.handed_in == datetime(2026, 1, 15, 8, 30, 0, 250_000, tzinfo=UTC)


def test_a_student_s_own_zip_is_opened_and_said(group: Class):
    inner = group.export({"work/a.ipynb": group.notebook()}, "inner.zip").read_bytes()
    (one,) = group.collect(group.export({"s1/homework.zip": inner})).accepted
    assert one.repairs[0] == "'work/a.ipynb' was taken out of the zip archive 's1/homework.zip'"


def test_names_that_a_spreadsheet_would_run_are_made_harmless(group: Class):
    group.collect(group.export({"=1+1.ipynb": b"{", "+x.ipynb": b"{"}))
    lines = (group.folder / "received" / NAME / "review.csv").read_text().splitlines()[1:]
    assert len(lines) == 2
    assert all(line.startswith("'") for line in lines)


def test_an_assignment_that_is_not_there_is_named(group: Class, tmp_path: Path):
    with pytest.raises(GradingError, match="no assignment '92'; there are: 91-other, 90-sums"):
        collect(tmp_path, assignments=group.releases, wanted="92", into=tmp_path)
