"""A damaged file is graded as the intact one is, or listed for a person; none is lost."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode

from nlp_course.grading.course import Course
from nlp_course.grading.intake import Collection, collect
from nlp_course.grading.matching import answers
from nlp_course.grading.reading import IntakeError
from nlp_course.grading.rebuild import rebuild
from nlp_course.grading.receipts import digest
from nlp_course.grading.release import release

# Tests are imported by their paths, so what lies beside one is not found by itself.
sys.path.append(str(Path(__file__).parent))
from damaged import builders

pytestmark = pytest.mark.grading
NAME = "90-sums"
RIGHT = {
    "q01-total": "def total(numbers):\n    return sum(numbers)  # “all”",
    "q02-mean": "def mean(numbers):\n    return sum(numbers) / len(numbers) if numbers else None",
    "q03-derivation": "The derivative is nought at the mean; voilà.",
}
ALL = {**builders.SAME, **builders.REVIEW}


@pytest.fixture(scope="module")
def given_out(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The release."""
    from_conftest = sys.modules.get("tests.grading.conftest") or __import__("conftest")
    course = Course(from_conftest.write_course(tmp_path_factory.mktemp("course")))
    return nbformat.read(release(course, NAME) / f"{NAME}.ipynb", 4)


def fresh(given_out: NotebookNode) -> dict:
    """A good notebook as plain data; beside its metadata the stub of one answer."""
    good = json.loads(nbformat.writes(given_out))
    stubs = {cell["id"]: "".join(cell["source"]) for cell in good["cells"]}
    good["metadata"]["stub"] = stubs["q02-mean"]
    for cell in good["cells"]:
        cell["source"] = RIGHT.get(cell["id"], "".join(cell["source"]))
    return good


@pytest.fixture(scope="module")
def damaged(given_out: NotebookNode) -> dict[str, bytes]:
    return {name: build(fresh(given_out)) for name, build in ALL.items()}


@pytest.fixture(scope="module")
def collected(
    given_out: NotebookNode,
    damaged: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Collection, Path]:
    """All of them as one class's, each in a folder of its own."""
    folder = tmp_path_factory.mktemp("class")
    for name, data in damaged.items():
        path = folder / "export" / name / builders.NAMES.get(name, f"{NAME}.ipynb")
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    found = collect(
        folder / "export", assignments={NAME: given_out}, wanted=NAME, into=folder / "class"
    )
    return found, folder / "class"


def test_there_are_enough_of_them_and_each_says_what_it_is():
    assert len(ALL) >= 36
    assert all(build.__doc__ for build in ALL.values())


@pytest.mark.parametrize("name", builders.SAME)
def test_it_is_graded_as_the_intact_one(collected: tuple[Collection, Path], name: str):
    found, folder = collected
    assert [one.sentence for one in found.reviews if one.student == name] == []
    path = folder / "submitted" / name / NAME / f"{NAME}.ipynb"
    rebuilt = nbformat.read(path, nbformat.NO_CONVERT)
    nbformat.validate(rebuilt)
    assert answers(rebuilt) == RIGHT


@pytest.mark.parametrize("name", builders.REVIEW)
def test_it_goes_to_a_person_with_a_sentence(collected: tuple[Collection, Path], name: str):
    found, folder = collected
    (one,) = [one for one in found.reviews if one.student == name]
    assert len(one.sentence.split()) >= 4
    assert not (folder / "submitted" / name).exists()


def test_none_is_lost_and_all_are_kept_byte_for_byte(
    collected: tuple[Collection, Path], damaged: dict[str, bytes]
):
    found, _ = collected
    assert len(found.accepted) + len(found.reviews) == len(damaged)
    in_a_zip = {name for name, data in damaged.items() if data.startswith(b"PK")}
    kept = {one.student: one.original for one in found.accepted}
    kept |= {one.student: one.kept for one in found.reviews}
    for name in damaged.keys() - in_a_zip:
        assert kept[name].read_bytes() == damaged[name], name
    for one in found.accepted:
        assert digest(one.original.read_bytes()) == one.sha256


@pytest.mark.parametrize(
    "name",
    sorted(
        set(builders.SAME)
        - {  # of these nothing had to be put right
            "with_a_byte_order_mark",
            "with_windows_line_ends",
            "with_values_json_does_not_have",
            "with_the_same_key_twice",
            "called_txt",
            "called_json",
            "called_copy_of",
            "in_format_3",
            "in_format_4_0",
            "in_a_format_to_come",
            "with_lines_in_lists",
            "saved_by_vs_code",
            "saved_by_kaggle_and_deepnote",
            "with_ids_that_are_none",
            "with_all_ids_the_same",
            "in_nbgraders_first_schema",
        }
    ),
)
def test_what_was_put_right_is_said(collected: tuple[Collection, Path], name: str):
    (one,) = [one for one in collected[0].accepted if one.student == name]
    assert one.repairs


def test_a_good_one_needs_no_repair(given_out: NotebookNode):
    rebuilt = rebuild(builders.dump(fresh(given_out)), given_out)
    assert rebuilt.repairs == ()
    assert answers(rebuilt.notebook) == RIGHT


def claimed(data: bytes) -> dict[str, str]:
    """What a file that still is JSON says under each answer's label."""
    cells = json.loads(data)["cells"]
    return {
        cell["metadata"]["nbgrader"]["grade_id"]: "".join(cell["source"])
        for cell in cells
        if cell.get("metadata", {}).get("nbgrader", {}).get("grade_id") in RIGHT
    }


def check(data: bytes, given_out: NotebookNode) -> None:
    """Nothing but IntakeError; and no other text is taken for an answer without a word."""
    try:
        rebuilt = rebuild(data, given_out)
    except IntakeError:
        return
    nbformat.validate(rebuilt.notebook)
    if not rebuilt.repairs:
        assert answers(rebuilt.notebook) == claimed(data)


QUICK = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@QUICK
@given(st.data())
def test_cut_off_anywhere(given_out: NotebookNode, data: st.DataObject):
    whole = builders.dump(fresh(given_out))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        rebuilt = rebuild(cut, given_out)
    except IntakeError:
        return
    assert rebuilt.repairs
    assert answers(rebuilt.notebook) == RIGHT


@QUICK
@given(st.data())
def test_any_bits_flipped(given_out: NotebookNode, data: st.DataObject):
    whole = bytearray(builders.dump(fresh(given_out)))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    check(bytes(whole), given_out)


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes(given_out: NotebookNode, data: bytes):
    check(data, given_out)


@QUICK
@given(st.data())
def test_cells_and_keys_dropped_doubled_and_moved(given_out: NotebookNode, data: st.DataObject):
    good = fresh(given_out)
    cells = good["cells"]
    for _ in range(data.draw(st.integers(1, 6))):
        if not cells:
            break
        index = data.draw(st.integers(0, len(cells) - 1))
        what = data.draw(st.sampled_from(["drop", "double", "move", "key", "marks", "mark"]))
        cell = cells[index]
        if what == "drop":
            del cells[index]
        elif what == "double":
            cells.insert(data.draw(st.integers(0, len(cells))), json.loads(json.dumps(cell)))
        elif what == "move":
            cells.insert(data.draw(st.integers(0, len(cells) - 1)), cells.pop(index))
        elif what == "key" and cell:
            del cell[data.draw(st.sampled_from(sorted(cell)))]
        elif what == "marks":
            cell.pop("metadata", None)
        elif cell.get("metadata", {}).get("nbgrader"):
            marks = cell["metadata"]["nbgrader"]
            del marks[data.draw(st.sampled_from(sorted(marks)))]
    try:
        rebuilt = rebuild(builders.dump(good), given_out)
    except IntakeError:
        return
    if answers(rebuilt.notebook) != RIGHT:
        assert rebuilt.repairs
