"""A submission rebuilt on the release: of the student's notebook only the answers and added cells.

Tests, points and labels are the release's own, whatever was done to them. Each thing that is put
right is a sentence for the instructor.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from nlp_course.grading.matching import Matching, defined, plain, same
from nlp_course.grading.notebooks import grade_id
from nlp_course.grading.reading import Cell, Handed, IntakeError, read_cells

MOST_TEXT = 2 << 20  # characters of all answers and added cells
MOST_PICTURES = 5 << 20  # base64 characters of the pictures in one cell
NEW_CELL = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}
FENCED = re.compile(r"\s*```[\w{} -]*\n(.*?)\n?```\s*", re.DOTALL)


@dataclass(frozen=True)
class Rebuilt:
    """The release with a student's answers.

    Parameters
    ----------
    notebook : every cell of the release, answers and added cells put in, no outputs
    repairs : what was put right, a sentence each; nothing where nothing was
    """

    notebook: NotebookNode
    repairs: tuple[str, ...]


def rebuild(data: bytes, release: NotebookNode) -> Rebuilt:
    """A student's file as the release with the student's answers.

    Parameters
    ----------
    data : the file that was handed in
    release : the notebook the student was given

    Raises
    ------
    IntakeError : the file is not a notebook, nothing of the assignment is in it, or which text
        is an answer is not clear; the sentence names the cells.
    """
    return rebuild_cells(read_cells(data), release)


def rebuild_cells(handed: Handed, release: NotebookNode) -> Rebuilt:
    """The same, of cells that are read already."""
    return _Assembly(handed, release).rebuilt()


class _Assembly:
    """Puts a release and the answers found in a file together."""

    def __init__(self, handed: Handed, release: NotebookNode) -> None:
        self.release = release
        self.match = Matching(handed, release)
        self.text: dict[str, str] = {}

    def rebuilt(self) -> Rebuilt:
        """Match, say what differs, put together."""
        self.match.match()
        for name, cell in self.match.chosen.items():
            self.text[name] = self._answer(name, self.match.cells[cell])
        self._say_what_was_changed()
        return Rebuilt(self._put_together(), tuple(dict.fromkeys(self.match.repairs)))

    def _answer(self, name: str, cell: Cell) -> str:
        """The text of an answer, without what is not the student's."""
        kind = self.match.given[self.match.index[name]].cell_type
        text = cell.text
        if cell.kind != kind:
            self.match.repairs.append(
                f"{name} had become a {cell.kind} cell, and is read as {kind}"
            )
            fence = FENCED.fullmatch(text)
            if kind == "code" and fence:
                text = fence[1]
        for test in self.match.locked:
            text = self._without(test, text, name)
        return text

    def _without(self, test: str, text: str, name: str) -> str:
        """An answer without a test that was merged into its cell."""
        pasted = plain(self.match.source(test)).splitlines()
        lines = [line.rstrip() for line in text.strip("\n").splitlines()]
        if len("".join(pasted)) < 10 or len(lines) <= len(pasted):
            return text
        if lines[-len(pasted) :] == pasted:
            rest = lines[: -len(pasted)]
        elif lines[: len(pasted)] == pasted:
            rest = lines[len(pasted) :]
        else:
            if set(pasted) <= set(lines):
                self.match.repairs.append(f"{name} holds lines of {test} too, and is kept as it is")
            return text
        if not "".join(rest).strip():
            return text
        self.match.repairs.append(f"{test} stood in the cell of {name} too, and is taken out of it")
        return "\n".join(rest).strip("\n")

    def _say_what_was_changed(self) -> None:
        """Everything of the release that is not as it was; all of it is restored."""
        present = set(self.match.place.values())
        for name in self.match.locked:
            theirs = [self.match.cells[k] for k in self.match.candidates(name)]
            if self.match.index[name] not in present:
                self.match.repairs.append(f"{name} was missing, and is restored")
            elif any(not same(cell.text, self.match.source(name)) for cell in theirs):
                self.match.repairs.append(f"{name} was edited, and is restored")
        for k, cell in enumerate(self.match.cells):
            if cell.name in self.match.index:
                self._say_forged(cell)
            elif cell.name is not None and k not in self.match.place:
                self.match.repairs.append(
                    f"{cell.name!r}, {self.match.number([k])} of the file, is no cell of this "
                    "release; it is kept as an added cell"
                )
        for name in self.match.chosen:
            self._say_defined_elsewhere(name)
        kept = [self.match.place[k] for k in sorted(self.match.chosen.values())]
        if kept != sorted(kept):
            self.match.repairs.append(
                "cells stood in another order, and stand in the release's again"
            )

    def _say_forged(self, cell: Cell) -> None:
        given = self.match.given[self.match.index[str(cell.name)]].metadata["nbgrader"]
        changed = [
            key
            for key in ("grade", "solution", "locked", "task", "points")
            if key in cell.marks and cell.marks[key] != given.get(key, False)
            if not (key == "points" and not given["grade"])
        ]
        if cell.marks.get("schema_version", 1) not in (1, 2, 3):
            changed.append("schema_version")
        if changed:
            self.match.repairs.append(
                f"nbgrader's metadata of {cell.name} were changed ({', '.join(changed)}), "
                "and are restored"
            )

    def _say_defined_elsewhere(self, name: str) -> None:
        """An answer may stand in an added cell beside its own, which then is left as it was."""
        if self.match.defines[name] & defined(self.text[name]) and not self.match.stub(
            name, self.text[name]
        ):
            return
        where = [
            k
            for k in self.match.free()
            if self.match.cells[k].kind == "code" and self.match.could_be(name, k)
        ]
        if where:
            self.match.repairs.append(
                f"the cell of {name} holds no answer; {self.match.number(where)}, which is kept, "
                f"defines {', '.join(sorted(self.match.defines[name]))}"
            )

    def _put_together(self) -> NotebookNode:
        notebook = copy.deepcopy(self.release)
        notebook.nbformat, notebook.nbformat_minor = 4, 5
        for name, text in self.text.items():
            cell = notebook.cells[self.match.index[name]]
            cell.source = text
            self._attach(cell, self.match.cells[self.match.chosen[name]], name)
        added = self._added()
        cells = [*added.get(-1, [])]
        for k, cell in enumerate(notebook.cells):
            cell.setdefault("id", f"released-{k}")
            cells += [cell, *added.get(k, [])]
        ids = {cell.id for cell in notebook.cells}
        fresh = (f"added-{k}" for k in range(1, len(cells) + len(ids) + 1))
        for cell in cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            if "id" not in cell:
                cell["id"] = next(name for name in fresh if name not in ids)
        if sum(len(cell.source) for cell in cells) > MOST_TEXT:
            raise IntakeError(f"its cells hold more than {MOST_TEXT >> 20} MB of text; look at it")
        notebook.cells = cells
        return notebook

    def _added(self) -> dict[int, list[NotebookNode]]:
        """The student's own cells, by the release's cell they followed."""
        added: dict[int, list[NotebookNode]] = {}
        chosen = set(self.match.chosen.values())
        last = -1
        for k, cell in enumerate(self.match.cells):
            place = self.match.place.get(k)
            if place is not None:
                name = grade_id(self.match.given[place])
                if name not in self.match.answers or k in chosen:
                    last = place
                if name is not None or same(cell.text, self.match.given[place].source):
                    continue
                self.match.repairs.append(
                    f"cell {cell.number} of the file, which is no answer cell, was edited; it is "
                    "restored, and the edited one kept behind it"
                )
            if cell.text.strip():
                new = NEW_CELL[cell.kind](cell.text)
                del new["id"]
                self._attach(new, cell, f"cell {cell.number}")
                added.setdefault(last, []).append(new)
        return added

    def _attach(self, cell: NotebookNode, theirs: Cell, name: str) -> None:
        """Pictures pasted into text go with it."""
        if cell.cell_type != "markdown" or not theirs.attachments:
            return
        pictures: dict[str, dict[str, str]] = {}
        for file, kinds in theirs.attachments.items():
            kept = kinds.items() if isinstance(kinds, dict) else ()
            data = {k: v for k, v in kept if k.startswith("image/") and isinstance(v, str)}
            if data:
                pictures[file] = data
        if sum(len(text) for data in pictures.values() for text in data.values()) > MOST_PICTURES:
            self.match.repairs.append(f"pictures of more than 5 MB were left out of {name}")
        elif pictures:
            cell["attachments"] = NotebookNode(
                {file: NotebookNode(data) for file, data in pictures.items()}
            )
