"""Which of a student's cells is which of the release's.

A cell is known by its grade id, then by its own id, by its text, by the functions it defines, and
by its place among the others. Where two readings are possible, none is chosen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from nbformat import NotebookNode
from nbgrader.utils import is_solution, is_task

from nlp_course.grading.notebooks import grade_id
from nlp_course.grading.reading import Cell, Handed, IntakeError

ALIKE = 0.6
FEW_WORDS = 8  # `Write your answer here, in place of this line.` says nothing about whose it is
MOST_COMPARED = 100_000  # characters of a cell; no answer is so long
DEFINITION = re.compile(r"^(?:async[ \t]+def|def|class)[ \t]+(\w+)", re.MULTILINE)
ASSIGNMENT = re.compile(r"^(\w+)[ \t]*(?::[^=\n]+)?=(?!=)", re.MULTILINE)


def labels(release: NotebookNode) -> set[str]:
    """Grade ids of a release."""
    return {name for cell in release.cells if (name := grade_id(cell)) is not None}


def answers(notebook: NotebookNode) -> dict[str, str]:
    """Text of each answer cell of a rebuilt notebook or a release, by grade id."""
    return {
        name: cell.source
        for cell in notebook.cells
        if (name := grade_id(cell)) is not None and (is_solution(cell) or is_task(cell))
    }


def same(one: str, other: str) -> bool:
    """Whether two texts differ in nothing but blanks at the ends of lines and around them."""
    return plain(one) == plain(other)


def plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def defined(text: str) -> set[str]:
    """Functions and classes of a cell; variables where there are none."""
    return set(DEFINITION.findall(text)) or set(ASSIGNMENT.findall(text))


class Matching:
    """Which of a student's cells is which of the release's."""

    def __init__(self, handed: Handed, release: NotebookNode) -> None:
        self.cells: Sequence[Cell] = handed.cells
        self.cut = handed.cut
        self.given: list[NotebookNode] = list(release.cells)
        names = [grade_id(cell) for cell in self.given]
        self.index = {name: k for k, name in enumerate(names) if name is not None}
        self.answers = list(answers(release))
        self.locked = [name for name in self.index if name not in self.answers]
        self.defines = self._own_definitions()
        self.repairs: list[str] = list(handed.repairs)
        self.place: dict[int, int] = {}  # student's cell -> release's cell
        self.chosen: dict[str, int] = {}  # answer -> student's cell

    def match(self) -> None:
        """Recognise what can be; choose one cell for each answer.

        Raises
        ------
        IntakeError : nothing of the assignment is there, or two readings are possible.
        """
        self._match_labels()
        self._match_ids()
        self._match_text()
        found = {name: self.candidates(name) for name in self.answers}
        for name, candidates in found.items():
            if candidates:
                self._choose(name, candidates)
        self._match_definitions()
        self._match_places()
        if not self.chosen:
            raise IntakeError(self._nothing_found())
        self._say_what_is_missing()

    def _own_definitions(self) -> dict[str, set[str]]:
        """What each answer defines, and no other does."""
        every = {name: defined(self.source(name)) for name in self.answers}
        return {
            name: words - {word for other in every if other != name for word in every[other]}
            for name, words in every.items()
        }

    def source(self, name: str) -> str:
        return self.given[self.index[name]].source

    def free(self) -> list[int]:
        """Cells that are none of the release's, as far as is known, and not blank."""
        return [k for k, c in enumerate(self.cells) if k not in self.place and c.text.strip()]

    def candidates(self, name: str) -> list[int]:
        return [k for k, place in self.place.items() if place == self.index[name]]

    def _missing(self) -> list[str]:
        return [name for name in self.answers if name not in self.chosen]

    def number(self, cells: Iterable[int]) -> str:
        """Cells as a person counts them: 'cell 3', 'cells 3 and 5'."""
        numbers = [str(self.cells[k].number) for k in cells]
        if len(numbers) == 1:
            return f"cell {numbers[0]}"
        return f"cells {', '.join(numbers[:-1])} and {numbers[-1]}"

    def _match_labels(self) -> None:
        for k, cell in enumerate(self.cells):
            if cell.name in self.index:
                self.place[k] = self.index[cell.name]

    def _match_ids(self) -> None:
        """Editors that drop metadata keep the cells' own ids."""
        ids = {cell.get("id"): k for k, cell in enumerate(self.given) if cell.get("id")}
        labelled = set(self.place.values())
        again = []
        for k, cell in enumerate(self.cells):
            if k in self.place or cell.cell_id not in ids:
                continue
            place = ids[cell.cell_id]
            name = grade_id(self.given[place])
            if name is not None and self._belongs_elsewhere(cell, name):
                continue
            self.place[k] = place
            if name is not None and place not in labelled:
                again.append(name)
        self._say_found(again, "by cell id")

    def _belongs_elsewhere(self, cell: Cell, name: str) -> bool:
        """Whether a cell defines what another answer must, so that its id says nothing."""
        theirs = defined(cell.text)
        return not theirs & self.defines.get(name, set()) and any(
            theirs & self.defines[other] for other in self.answers if other != name
        )

    def _match_text(self) -> None:
        """Cells that stand in the release word for word, and only once."""
        texts: dict[str, int] = {}
        for k, cell in enumerate(self.given):
            text = plain(cell.source)
            texts[text] = -1 if text in texts else k
        taken = set(self.place.values())
        again = []
        for k in self.free():
            place = texts.get(plain(self.cells[k].text), -1)
            if place >= 0 and place not in taken:
                self.place[k] = place
                taken.add(place)
                again += [name for name in [grade_id(self.given[place])] if name is not None]
        self._say_found(again, "by their text" if len(again) > 1 else "by its text")

    def _say_found(self, names: Sequence[str], how: str) -> None:
        names = list(dict.fromkeys(names))
        if len(names) == 1:
            self.repairs.append(f"{names[0]} had lost its label, and is found again {how}")
        elif names:
            said = ", ".join(names)
            self.repairs.append(f"{said} had lost their labels, and are found again {how}")

    def _choose(self, name: str, candidates: Sequence[int]) -> None:
        """Of several cells for one answer the only one that says something of its own."""
        unread = [k for k in candidates if self.cells[k].source is None]
        if unread:
            raise IntakeError(
                f"{name}, {self.number(unread)} of the file, has no text that can be read; "
                "ask for the file again"
            )
        own = [
            k
            for k in candidates
            if (text := self.cells[k].text).strip() and not self.stub(name, text)
        ]
        distinct = {plain(self.cells[k].text): k for k in reversed(own)}
        if len(distinct) > 1:
            raise IntakeError(
                f"{name} is there {'twice' if len(own) == 2 else f'{len(own)} times'}, with "
                f"different answers, in {self.number(own)}; keep the one that is the answer"
            )
        best = own[0] if own else candidates[0]
        self.chosen[name] = best
        if len(candidates) > 1:
            others = [k for k in candidates if k != best]
            why = "are the same" if all(k in own for k in others) else "hold no answer"
            if len(others) == 1:
                why = "is the same" if others[0] in own else self._empty_or_stub(others[0])
            self.repairs.append(
                f"{name} is there {'twice' if len(candidates) == 2 else 'more than once'}: "
                f"{self.number([best])} is taken, {self.number(others)} {why}"
            )

    def stub(self, name: str, text: str) -> bool:
        return same(text, self.source(name))

    def _empty_or_stub(self, k: int) -> str:
        return "is the release's own stub" if self.cells[k].text.strip() else "is empty"

    def _match_definitions(self) -> None:
        """Answers whose label is lost, by the functions they define."""
        in_tests = [
            k
            for k, place in self.place.items()
            if grade_id(self.given[place]) in self.locked
            and not same(self.cells[k].text, self.given[place].source)
        ]
        found: dict[str, list[int]] = {}
        for name in self._missing():
            where = [k for k in self.free() if self.could_be(name, k)]
            where = where or [k for k in in_tests if self.could_be(name, k)]
            if where:
                found[name] = where
        for name, where in found.items():
            rivals = [n for n, cells in found.items() if n != name and set(cells) & set(where)]
            if rivals:
                raise IntakeError(
                    f"{self.number(where)} could be the answer to {name} or to "
                    f"{' or '.join(rivals)}, for it defines what both should; ask for two cells"
                )
            self._choose(name, where)
            self._place_found(name, where)
            word = ", ".join(sorted(self.defines[name] & defined(self.cells[where[0]].text)))
            if where[0] in in_tests:
                test = grade_id(self.given[self.place[where[0]]])
                self.repairs.append(
                    f"the answer to {name} stood in the test cell {test}, and is taken from there"
                )
            else:
                self.repairs.append(
                    f"{name} had lost its label, and is found again in "
                    f"{self.number([self.chosen[name]])} by what it defines ({word})"
                )

    def could_be(self, name: str, k: int) -> bool:
        return bool(self.defines[name] & defined(self.cells[k].text))

    def _place_found(self, name: str, where: Iterable[int]) -> None:
        for k in where:
            self.place.setdefault(k, self.index[name])

    def _match_places(self) -> None:
        """Answers whose label is lost and that define nothing, by the cells around them."""
        found = {name: fitting for name in self._missing() if (fitting := self._fitting(name))}
        for name, where in found.items():
            shared = [n for n, cells in found.items() if n != name and set(cells) & set(where)]
            if len(where) > 1 or shared:
                others = f" or of {' or '.join(shared)}" if shared else ""
                raise IntakeError(
                    f"{name} has no label, and {self.number(where)} could be the answer to it"
                    f"{others}; ask which it is"
                )
            self._choose(name, where)
            self._place_found(name, where)
            self.repairs.append(
                f"{name} had lost its label; {self.number(where)} is taken for it, "
                "by its place and its text"
            )

    def _fitting(self, name: str) -> list[int]:
        """Free cells at the answer's place, or much like its stub."""
        mine = self.index[name]
        order = sorted(self.place.items())
        before = [k for k, place in order if place < mine]
        after = [k for k, place in order if place > mine]
        low = max(before, key=lambda k: self.place[k], default=-1)
        high = min((k for k in after if k > low), default=len(self.cells))
        kind = self.given[mine].cell_type
        stub = self.source(name)
        # A label of another release says that it is no answer to this one.
        free = [k for k in self.free() if self.cells[k].kind == kind and not self.cells[k].name]
        alike = [k for k in free if _likeness(self.cells[k].text, stub) > ALIKE]
        here = [k for k in free if low < k < high]
        if kind == "code":  # any scratch cell could stand here
            here = [k for k in here if k in alike]
        return here or alike

    def _nothing_found(self) -> str:
        names = [cell.name for cell in self.cells if cell.name is not None]
        unknown = [name for name in names if name not in self.index]
        if unknown and len(unknown) == len(names):
            more = ", …" if len(unknown) > 3 else ""
            return (
                "no cell of this assignment is in the file, which answers "
                f"{', '.join(unknown[:3])}{more}"
            )
        return "no answer cell of this assignment is in the file, by label, id, function or place"

    def _say_what_is_missing(self) -> None:
        missing = self._missing()
        if missing and self.cut:
            raise IntakeError(
                f"the file breaks off before {', '.join(missing)}; ask for the whole file"
            )
        self.repairs += [f"no answer cell for {name}: counted as not answered" for name in missing]


def _likeness(text: str, stub: str) -> float:
    """The share of a stub's words that a text holds too; 0 for a stub of a few words only."""
    words = Counter(re.findall(r"\w+", stub))
    if words.total() < FEW_WORDS:
        return 0.0
    held = Counter(re.findall(r"\w+", text[:MOST_COMPARED]))
    return (words & held).total() / words.total()
