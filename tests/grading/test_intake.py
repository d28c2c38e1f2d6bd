"""Submissions are known by their cells; what is unclear goes to a person, with a reason."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from nlp_course.grading.course import Course
from nlp_course.grading.intake import IntakeError, take_in
from nlp_course.grading.notebooks import NotANotebookError
from nlp_course.grading.release import release

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
    assert (tmp_path / "submitted" / f"{NAME}.ipynb").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", [f"Copy of {NAME}.ipynb", "Untitled (1).ipynb", "zip/mine.ipynb"])
def test_any_file_name_will_do_and_is_said(hand_in, take: TakeIn, tmp_path: Path, name: str):
    hand_in(name=name)
    assert take() == [f"took {Path(name).name!r} for {NAME}.ipynb, by its cells"]
    assert [path.name for path in (tmp_path / "submitted").iterdir()] == [f"{NAME}.ipynb"]


def test_other_notebooks_beside_it_are_passed_over(hand_in, take: TakeIn, received: Path):
    hand_in()
    nbformat.write(nbformat.v4.new_notebook(), received / "scratch.ipynb")
    (received / "broken.ipynb").write_text("{")
    assert take() == []


def test_edited_and_missing_tests_are_said(hand_in, take: TakeIn):
    def edit(notebook: NotebookNode) -> None:
        notebook.cells[position(notebook, "q02-mean-tests")].source = "pass"
        del notebook.cells[position(notebook, "q01-total-tests")]

    hand_in(edit)
    assert take() == [
        "q01-total-tests was missing, and is restored",
        "q02-mean-tests was edited, and is restored",
    ]


def test_two_notebooks_that_answer_are_not_chosen_between(hand_in, take: TakeIn):
    hand_in(name="a.ipynb")
    hand_in(name="b.ipynb")
    with pytest.raises(IntakeError, match=r"more than one .*: a\.ipynb, b\.ipynb; keep one"):
        take()


def test_an_answer_cell_that_is_missing_is_named(hand_in, take: TakeIn):
    hand_in(lambda notebook: notebook.cells.pop(position(notebook, "q02-mean")))
    with pytest.raises(IntakeError, match="no answer cell q02-mean; put it back"):
        take()


def test_an_answer_cell_that_is_there_twice_is_named(hand_in, take: TakeIn):
    def double(notebook: NotebookNode) -> None:
        twin = copy.deepcopy(notebook.cells[position(notebook, "q01-total")])
        twin.id = "twin"
        notebook.cells.append(twin)

    hand_in(double)
    with pytest.raises(IntakeError, match="there twice: q01-total"):
        take()


def test_a_link_is_not_followed(take: TakeIn, given: Path, received: Path):
    (received / f"{NAME}.ipynb").symlink_to(given)
    with pytest.raises(IntakeError, match="is a link"):
        take()


def test_a_folder_without_the_assignment_is_named(take: TakeIn, received: Path):
    nbformat.write(nbformat.v4.new_notebook(), received / "other.ipynb")
    with pytest.raises(IntakeError, match=r"no notebook answers 90-sums; found 'other\.ipynb'"):
        take()


def test_an_empty_folder_is_named(take: TakeIn):
    with pytest.raises(IntakeError, match=r"no notebook answers 90-sums; found no \.ipynb file"):
        take()


def test_of_another_assignment_s_notebook_it_is_said_what_it_answers(hand_in, take: TakeIn):
    def rename(notebook: NotebookNode) -> None:
        for cell in notebook.cells:
            cell.id = f"x-{cell.id}"
            if "nbgrader" in cell.metadata:
                cell.metadata.nbgrader.grade_id = cell.id

    hand_in(rename, "91.ipynb")
    said = r"found '91\.ipynb', which answers x-q01-total, x-q01-total-tests, x-q01-total-hidden, …"
    with pytest.raises(IntakeError, match=said):
        take()


def test_copies_that_jupyter_and_macos_keep_are_passed_over(hand_in, take: TakeIn, received: Path):
    hand_in()
    hand_in(name=f".ipynb_checkpoints/{NAME}-checkpoint.ipynb")
    (received / f"._{NAME}.ipynb").write_bytes(b"\x00\x05\x16\x07")
    assert take() == []


def test_a_byte_order_mark_is_taken_off(hand_in, take: TakeIn, tmp_path: Path):
    path = hand_in()
    plain = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + plain)
    assert take() == []
    assert (tmp_path / "submitted" / f"{NAME}.ipynb").read_bytes() == plain


def test_metadata_that_is_null_is_none(hand_in, take: TakeIn, tmp_path: Path):
    def null(notebook: NotebookNode) -> None:
        notebook.cells[position(notebook, "set-up")].metadata["nbgrader"] = None

    hand_in(null)
    assert take() == ["metadata that nbgrader cannot read was taken out"]
    mended = nbformat.read(tmp_path / "submitted" / f"{NAME}.ipynb", 4)
    assert "nbgrader" not in mended.cells[position(mended, "set-up")].metadata


@pytest.mark.parametrize("everywhere", [True, False])
def test_lost_metadata_come_back_by_cell_id(
    hand_in, take: TakeIn, tmp_path: Path, given: Path, everywhere: bool
):
    def strip(notebook: NotebookNode) -> None:
        for cell in notebook.cells:
            if everywhere or cell.id == "q02-mean":
                cell.metadata.pop("nbgrader", None)

    hand_in(strip)
    (repair,) = take()
    assert repair.startswith("metadata of q0")
    assert repair.endswith("q03-derivation was missing, and is restored by cell id") == everywhere
    mended, released = nbformat.read(tmp_path / "submitted" / f"{NAME}.ipynb", 4), given
    assert [cell.metadata.get("nbgrader") for cell in mended.cells] == [
        cell.metadata.get("nbgrader") for cell in nbformat.read(released, 4).cells
    ]


def test_lost_metadata_and_ids_are_named_for_a_person(hand_in, take: TakeIn):
    def strip(notebook: NotebookNode) -> None:
        for index, cell in enumerate(notebook.cells):
            cell.metadata.pop("nbgrader", None)
            cell.id = f"cell-{index}"

    hand_in(strip)
    with pytest.raises(IntakeError, match="no cell has nbgrader's metadata or a question's id"):
        take()


@pytest.mark.parametrize("text", ["", "<html>", '{"nbformat": 4, "cells": [1]}', "\x00PK"])
def test_a_file_that_is_no_notebook_is_named(take: TakeIn, received: Path, text: str):
    (received / f"{NAME}.ipynb").write_text(text)
    with pytest.raises(NotANotebookError, match=r"90-sums\.ipynb"):
        take()
