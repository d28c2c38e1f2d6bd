"""A rebuilt notebook is the release but for answers and added cells; what was put right is said."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from nlp_course.grading.matching import answers
from nlp_course.grading.reading import MOST_BYTES, IntakeError, read_cells
from nlp_course.grading.rebuild import MOST_PICTURES, MOST_TEXT, Rebuilt, rebuild

pytestmark = pytest.mark.grading
STUB = "*Write your answer here.*"
RIGHT = {
    "q01-one": "def one():\n    return 1",
    "q02-two": "def two():\n    return 2",
    "q03-why": "Because.",
    "q04-how": "By hand.",
}
Edit = Callable[[list[dict[str, Any]]], object]


def labelled(name: str, source: str, **marks: Any) -> NotebookNode:
    own = {"grade": False, "solution": False, "locked": True, "task": False, "schema_version": 3}
    metadata = {"nbgrader": {"grade_id": name, **own, **marks}}
    text = name in ("q03-why", "q04-how")
    new = new_markdown_cell if text else new_code_cell
    return new(source, id=name, metadata=metadata)


@pytest.fixture(scope="module")
def release() -> NotebookNode:
    answer = {"solution": True, "locked": False}
    by_hand = {**answer, "grade": True, "points": 2}
    return new_notebook(
        cells=[
            new_markdown_cell("# Title", id="title"),
            new_code_cell("import math", id="set-up"),
            labelled("q01-one", "def one():\n    raise NotImplementedError", **answer),
            labelled("q01-one-tests", "assert one() == 1, 'one'", grade=True, points=1),
            labelled("q02-two", "def two():\n    raise NotImplementedError", **answer),
            labelled("q02-two-tests", "assert two() == 2, 'two'", grade=True, points=1),
            new_markdown_cell("## Why?", id="why"),
            labelled("q03-why", STUB, **by_hand),
            new_markdown_cell("## How?", id="how"),
            labelled("q04-how", STUB, **by_hand),
        ]
    )


@pytest.fixture
def hand_in(release: NotebookNode) -> Callable[..., Rebuilt]:
    """Rebuilds the release with right answers, edited."""

    def run(edit: Edit = lambda cells: None) -> Rebuilt:
        good = json.loads(nbformat.writes(release))
        for cell in good["cells"]:
            cell["source"] = RIGHT.get(cell["id"], "".join(cell["source"]))
        edit(good["cells"])
        rebuilt = rebuild(json.dumps(good).encode(), release)
        nbformat.validate(rebuilt.notebook)
        return rebuilt

    return run


def at(cells: list[dict[str, Any]], name: str) -> int:
    return [cell["id"] for cell in cells].index(name)


def added(rebuilt: Rebuilt) -> list[tuple[str, str]]:
    """Added cells, each with the cell it stands behind."""
    cells = rebuilt.notebook.cells
    return [
        (cells[k - 1].id if k else "", cell.source)
        for k, cell in enumerate(cells)
        if cell.id.startswith("added-")
    ]


def code(source: str, **more: Any) -> dict[str, Any]:
    plain = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    return {**plain, "source": source, **more}


def note(source: str, **more: Any) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source, **more}


def test_a_good_notebook_is_the_release_with_the_answers(hand_in, release: NotebookNode):
    rebuilt = hand_in()
    wanted = copy.deepcopy(release)
    for cell in wanted.cells:
        cell.source = RIGHT.get(cell.id, cell.source)
    assert rebuilt.notebook == wanted
    assert rebuilt.repairs == ()


def test_the_release_itself_is_not_changed(hand_in, release: NotebookNode):
    before = copy.deepcopy(release)
    hand_in(lambda cells: cells.reverse())
    assert release == before


def test_outputs_and_foreign_metadata_do_not_come_along(hand_in):
    def run(cells):
        cells[2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "1"}]
        cells[2]["metadata"]["tags"] = ["x"]

    cell = hand_in(run).notebook.cells[2]
    assert cell.outputs == []
    assert "tags" not in cell.metadata


def test_added_cells_stay_behind_the_cell_they_followed(hand_in):
    def add(cells):
        cells.insert(3, code("helper = 1\n!pip install x\n%matplotlib inline", id="n1"))
        cells.insert(0, note("My name", id="n2"))
        cells.append(code("print(1)", id="n3"))
        cells.append(code("  \n ", id="blank"))

    assert added(hand_in(add)) == [
        ("", "My name"),
        ("q01-one", "helper = 1\n!pip install x\n%matplotlib inline"),
        ("q04-how", "print(1)"),
    ]


def test_added_cells_follow_their_neighbour_out_of_order(hand_in):
    def move(cells):
        cells.insert(5, code("helper = 2", id="n"))  # behind q02-two
        cells[:] = cells[4:] + cells[:4]

    rebuilt = hand_in(move)
    assert added(rebuilt) == [("q02-two", "helper = 2")]
    assert rebuilt.repairs == ("cells stood in another order, and stand in the release's again",)


def test_an_answer_in_a_cell_of_its_own_is_kept_beside_the_emptied_one(hand_in):
    def split(cells):
        mine = cells[2]["source"]
        cells[2]["source"] = ""
        cells.insert(3, code(mine, id="n"))

    rebuilt = hand_in(split)
    assert added(rebuilt) == [("q01-one", RIGHT["q01-one"])]
    assert "the cell of q01-one holds no answer; cell 4, which is kept" in rebuilt.repairs[0]


def test_a_missing_answer_is_the_stub_and_is_said(hand_in, release: NotebookNode):
    rebuilt = hand_in(lambda cells: cells.pop(at(cells, "q02-two")))
    assert answers(rebuilt.notebook)["q02-two"] == answers(release)["q02-two"]
    assert rebuilt.repairs == ("no answer cell for q02-two: counted as not answered",)


def test_an_edited_cell_that_is_no_answer_is_restored_and_kept_beside(hand_in):
    def edit(cells):
        cells[1]["source"] += "\nimport random"

    rebuilt = hand_in(edit)
    assert rebuilt.notebook.cells[1].source == "import math"
    assert added(rebuilt) == [("set-up", "import math\nimport random")]
    assert "cell 2 of the file, which is no answer cell, was edited" in rebuilt.repairs[0]


def test_an_edited_test_is_not_kept(hand_in):
    rebuilt = hand_in(lambda cells: cells[3].update(source="assert True"))
    assert added(rebuilt) == []
    assert rebuilt.repairs == ("q01-one-tests was edited, and is restored",)


def test_an_answer_s_cell_id_does_not_outweigh_what_it_defines(hand_in):
    """Some tools number the cells anew."""

    def shift(cells):
        for cell in cells:
            cell["metadata"] = {}
        cells[2]["id"], cells[4]["id"] = cells[4]["id"], cells[2]["id"]

    rebuilt = hand_in(shift)
    assert answers(rebuilt.notebook) == RIGHT


def test_text_answers_without_labels_are_known_by_their_places(hand_in):
    def strip(cells):
        for number, cell in enumerate(cells):
            cell["metadata"], cell["id"] = {}, f"cell-{number}"

    rebuilt = hand_in(strip)
    assert answers(rebuilt.notebook) == RIGHT
    assert sum("by its place" in said for said in rebuilt.repairs) == 2


def test_two_texts_at_the_place_of_one_answer_are_not_chosen_between(hand_in):
    def strip(cells):
        k = at(cells, "q03-why")
        cells[k]["metadata"], cells[k]["id"] = {}, "a"
        cells.insert(k, note("Also because.", id="b"))

    with pytest.raises(IntakeError, match="q03-why has no label, and cells 8 and 9 could be"):
        hand_in(strip)


def test_one_text_at_the_places_of_two_answers_is_not_given_to_either(hand_in):
    def strip(cells):
        k = at(cells, "q03-why")
        del cells[k + 1 :]
        cells[k]["metadata"], cells[k]["id"] = {}, "a"
        del cells[k - 1]

    with pytest.raises(IntakeError, match=r"cell 7 could be the answer to it or of q04-how"):
        hand_in(strip)


def test_labels_of_last_term_are_said_and_their_functions_found(hand_in):
    def rename(cells):
        for cell in cells:
            marks = cell["metadata"].get("nbgrader")
            if marks and marks["grade_id"].startswith("q02"):
                marks["grade_id"] = marks["grade_id"].replace("q02-two", "q02-pair")
                cell["id"] = marks["grade_id"]

    rebuilt = hand_in(rename)
    assert answers(rebuilt.notebook) == RIGHT
    assert any("q02-two had lost its label" in said for said in rebuilt.repairs)
    assert any("q02-two-tests had lost its label" in said for said in rebuilt.repairs)


def test_pictures_come_with_text_and_nothing_else_does(hand_in):
    def attach(cells):
        cells[at(cells, "q03-why")]["attachments"] = {
            "a.png": {"image/png": "iVBORw0="},
            "b.html": {"text/html": "<script>"},
            "c.png": "not a picture",
        }

    cells = hand_in(attach).notebook.cells
    (cell,) = [cell for cell in cells if cell.id == "q03-why"]
    assert cell.attachments == {"a.png": {"image/png": "iVBORw0="}}


def test_pictures_that_are_too_large_are_said_to_be_left_out(hand_in):
    large = {"a.png": {"image/png": "A" * (MOST_PICTURES + 1)}}
    rebuilt = hand_in(lambda cells: cells[at(cells, "q03-why")].update(attachments=large))
    assert rebuilt.repairs == ("pictures of more than 5 MB were left out of q03-why",)


def test_more_text_than_anybody_writes_is_for_a_person(hand_in):
    with pytest.raises(IntakeError, match="more than 2 MB of text"):
        hand_in(lambda cells: cells[2].update(source="#" * (MOST_TEXT + 1)))


def test_a_test_pasted_into_an_answer_with_the_own_test_beside_is_taken_out(hand_in):
    def paste(cells):
        cells[2]["source"] += "\n\n" + cells[3]["source"] + "\n"

    rebuilt = hand_in(paste)
    assert answers(rebuilt.notebook) == RIGHT
    assert len(rebuilt.repairs) == 1


def test_added_ids_never_clash_with_the_release_s(hand_in, release: NotebookNode):
    rebuilt = hand_in(lambda cells: cells.extend(code(f"x = {k}", id="set-up") for k in range(5)))
    ids = [cell.id for cell in rebuilt.notebook.cells]
    assert len(set(ids)) == len(ids)


def test_a_release_without_ids_gets_some(release: NotebookNode):
    old = copy.deepcopy(release)
    old.nbformat_minor = 4
    for cell in old.cells:
        del cell["id"]
    rebuilt = rebuild(nbformat.writes(release).encode(), old)
    nbformat.validate(rebuilt.notebook)


def test_a_task_cell_is_the_student_s():
    task = new_notebook(cells=[labelled("t1", "Draw.", task=True, points=1)])
    handed = copy.deepcopy(task)
    handed.cells[0].source = "Draw.\n\nDrawn."
    rebuilt = rebuild(nbformat.writes(handed).encode(), task)
    assert rebuilt.notebook.cells[0].source == "Draw.\n\nDrawn."


def test_more_cells_than_anybody_writes_are_for_a_person(hand_in):
    with pytest.raises(IntakeError, match="more than anybody writes"):
        hand_in(lambda cells: cells.extend(code("1") for _ in range(2000)))


def test_without_a_label_a_function_of_another_name_is_no_answer_but_is_kept(hand_in):
    def rename(cells):
        k = at(cells, "q02-two")
        cells[k] = code(
            'def zwei():\n    """The number two, said of pairs."""\n    return 2', id="n"
        )

    rebuilt = hand_in(rename)
    assert rebuilt.repairs == ("no answer cell for q02-two: counted as not answered",)
    assert added(rebuilt)[0][0] == "q01-one-tests"


def test_a_file_that_is_too_large_is_not_even_read():
    with pytest.raises(IntakeError, match="without outputs"):
        read_cells(bytes(MOST_BYTES + 1))
