"""A small assignment, and students who try to get its points without answering it.

`hostile/NAME.py` are notebooks as percent scripts, each named for what it tries; hostile/README.md
says how they are written. Nothing here runs one: a script becomes a submission on top of the
release, which `hostile_class` has graded by the course's command and `hostile_stock` by nbgrader.
"""

from __future__ import annotations

import base64
import copy
import html
import json
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from nlp_course.grading.course import Course

ROOT = Path(__file__).parents[2]
SET = Path(__file__).with_name("hostile")
NAME = "91-trust"
GUARD = 'raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")'
WITHHELD = "nlp_course.similarity"
# What a script may name as @TCP@ and so on: see Stage.listening.
PLACES = ("TCP", "UDP", "UNIX", "ABSTRACT", "MARKER", "OUTSIDE", "COURSE", "CLASS", "VICTIM")
Files = Mapping[str, bytes]  # what one student hands in, by file name


@dataclass(frozen=True)
class Secrets:
    """What no student may ever see, new in each run; looked for in all that students get back."""

    hidden: str = field(default_factory=lambda: f"hidden{secrets.token_hex(6)}")
    word: str = field(default_factory=lambda: f"word{secrets.token_hex(6)}")  # a hidden input
    solution: str = field(default_factory=lambda: f"solution{secrets.token_hex(6)}")
    course: str = field(default_factory=lambda: f"course{secrets.token_hex(6)}")
    home: str = field(default_factory=lambda: f"home{secrets.token_hex(6)}")
    neighbour: str = field(default_factory=lambda: f"neighbour{secrets.token_hex(6)}")
    number: str = field(default_factory=lambda: _digits(8))  # another hidden input
    expected: str = field(default_factory=lambda: _digits(9))  # what its answer must be

    def told(self, text: str) -> list[str]:
        """Which of them a text tells, in plain or in a usual disguise."""
        plain = html.unescape(text)
        return [
            name
            for name, secret in asdict(self).items()
            if any(form in text or form in plain for form in _forms(secret))
        ]


def _digits(count: int) -> str:
    return str(10 ** (count - 1) + secrets.randbelow(9 * 10 ** (count - 1)))


def _forms(secret: str) -> set[str]:
    """A secret as it is, backwards, in capitals, in hexadecimal digits and in base 64."""
    forms = {secret, secret[::-1], secret.upper(), secret.encode().hex(), " ".join(secret)}
    for shift in range(3):
        code = base64.b64encode(b" " * shift + secret.encode()).decode().rstrip("=")
        forms.add(code[0 if shift == 0 else 4 : -1])
    return forms


ANSWERS = {
    "q01-total": '''def total(numbers):
    """Sum of a list of numbers; 0 for none."""
    ### BEGIN SOLUTION
    return sum(numbers)
    ### END SOLUTION''',
    "q02-mean": '''def mean(numbers):
    """Arithmetic mean; None for none."""
    ### BEGIN SOLUTION
    return sum(numbers) / len(numbers) if numbers else None
    ### END SOLUTION''',
    "q03-ranks": '''def ranks(values):
    """Places of a list's values, from the smallest to the largest value."""
    ### BEGIN SOLUTION
    return sorted(range(len(values)), key=values.__getitem__)
    ### END SOLUTION''',
    "q04-softmax": '''def softmax(scores):
    """exp(s_i) / Σ_j exp(s_j) of an array of scores, also of large ones."""
    ### BEGIN SOLUTION
    remark = "@SOLUTION@"
    shifted = np.exp(scores - scores.max())
    return shifted / shifted.sum()
    ### END SOLUTION''',
    "q05-cosines": '''def cosines(queries, keys):
    """Cosine of each row of queries and each row of keys, a torch tensor."""
    ### BEGIN SOLUTION
    normal = torch.nn.functional.normalize
    return normal(queries, dim=1) @ normal(keys, dim=1).T
    ### END SOLUTION''',
    "q06-windows": '''def windows(tokens, size):
    """Yields each run of so many tokens, as a tuple."""
    ### BEGIN SOLUTION
    for start in range(len(tokens) - size + 1):
        yield tuple(tokens[start : start + size])
    ### END SOLUTION''',
    "q07-root": '''def root(function, low, high):
    """Where an increasing function is 0 between low and high, to a millionth."""
    ### BEGIN SOLUTION
    while high - low > 1e-7:
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2
    ### END SOLUTION''',
    "q08-center": '''def center(rows):
    """Takes each column's mean from it, in place; returns nothing."""
    ### BEGIN SOLUTION
    rows -= rows.mean(axis=0)
    ### END SOLUTION''',
}
WHY = "q09-why"
POINTS = 3 * len(ANSWERS)
# Visible and hidden. What a test compares with is computed before the student's function sees
# the input, which it may change.
TESTS = {
    "q01-total": (
        "assert total([1, 2]) == 3, 'add all of them'",
        "assert total([@NUMBER@, @REST@]) == @EXPECTED@, 'that is @EXPECTED@, says @HIDDEN@'\n"
        "assert total([]) == 0, 'nothing sums to nought, says @HIDDEN@'",
    ),
    "q02-mean": (
        "assert mean([1, 3]) == 2, 'half of the sum'",
        "assert mean([@NUMBER@, @REST@]) == @EXPECTED@ / 2\n"
        "assert mean([]) is None, 'of nothing there is no mean, says @HIDDEN@'",
    ),
    "q03-ranks": (
        "assert ranks([30, 10, 20]) == [1, 2, 0], 'the smallest stands at place 1'",
        "places = ranks([5, @NUMBER@, -1])\n"
        "assert isinstance(places, list), 'a list is asked for, says @HIDDEN@'\n"
        "assert places == [2, 0, 1], 'the largest stands at place 1, says @HIDDEN@'",
    ),
    "q04-softmax": (
        "half = softmax(np.array([0.0, 0.0]))\n"
        "assert half.shape == (2,), 'one probability a score'\n"
        "np.testing.assert_allclose(half, [0.5, 0.5])",
        "hidden_scores = np.random.default_rng(student_seed + @NUMBER@).normal(size=7)\n"
        "hidden_wanted = np.exp(hidden_scores) / np.exp(hidden_scores).sum()\n"
        "np.testing.assert_allclose(softmax(hidden_scores.copy()), hidden_wanted, rtol=1e-6)\n"
        "assert np.allclose(softmax(hidden_scores + 1e4), hidden_wanted), '@HIDDEN@'",
    ),
    "q05-cosines": (
        "same = cosines(torch.eye(2), 2 * torch.eye(2))\n"
        "assert isinstance(same, torch.Tensor), 'a tensor is asked for'\n"
        "assert torch.allclose(same, torch.eye(2)), 'length is of no matter'",
        "torch.manual_seed(student_seed + @NUMBER@)\n"
        "hidden_queries, hidden_keys = torch.randn(3, 4), torch.randn(5, 4)\n"
        "hidden_cosines = torch.cosine_similarity(hidden_queries[:, None], hidden_keys, dim=2)\n"
        "got = cosines(hidden_queries.clone(), hidden_keys.clone())\n"
        "assert got.shape == (3, 5), 'a row a query, says @HIDDEN@'\n"
        "assert torch.allclose(got, hidden_cosines, atol=1e-5), '@HIDDEN@'",
    ),
    "q06-windows": (
        "assert list(windows(['a', 'b', 'c'], 2)) == [('a', 'b'), ('b', 'c')]",
        "assert list(windows(['@WORD@', 'x', 'y'], 3)) == [('@WORD@', 'x', 'y')]\n"
        "assert list(windows(['@WORD@'], 2)) == [], 'too short, says @HIDDEN@'\n"
        "assert next(iter(windows(['@WORD@'] * 9, 1))) == ('@WORD@',)",
    ),
    "q07-root": (
        "assert abs(root(lambda x: x - 1, 0.0, 3.0) - 1) < 1e-6, 'it is 0 at 1'",
        "def hidden_line(hidden_root):\n"
        "    return lambda x: x - hidden_root\n\n\n"
        "assert abs(root(hidden_line(0.@NUMBER@), 0.0, 1.0) - 0.@NUMBER@) < 1e-6, '@HIDDEN@'",
    ),
    "q08-center": (
        "rows = np.array([[1.0, 2.0], [3.0, 4.0]])\n"
        "assert center(rows) is None, 'in place'\n"
        "np.testing.assert_allclose(rows, [[-1, -1], [1, 1]])",
        "hidden_rows = np.random.default_rng(student_seed + @NUMBER@).normal(size=(5, 3))\n"
        "hidden_centered = hidden_rows - hidden_rows.mean(axis=0)\n"
        "center(hidden_rows)\n"
        "np.testing.assert_allclose(hidden_rows, hidden_centered, atol=1e-9)",
    ),
}
SET_UP = """import numpy as np
import torch

student_seed = 0  # while it is graded, another number for each student"""


def _cell(
    name: str, source: str, points: float | None = None, *, answer: bool = False, text: bool = False
) -> NotebookNode:
    marks = {
        "grade_id": name,
        "grade": points is not None,
        "solution": answer,
        "locked": not answer,
        "task": False,
        "schema_version": 3,
    }
    if points is not None:
        marks["points"] = points
    new = new_markdown_cell if text else new_code_cell
    return new(source, id=name, metadata={"nbgrader": marks})


def source_notebook(known: Secrets) -> NotebookNode:
    """The instructor's version; each question has a visible test of 1 point, a hidden one of 2."""
    cells = [new_markdown_cell("# Trust", id="title"), _cell("set-up", SET_UP)]
    for name, answer in ANSWERS.items():
        visible, hidden = (_filled(source, known) for source in TESTS[name])
        region = f"### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
        cells += [
            _cell(name, _filled(answer, known), answer=True),
            _cell(f"{name}-tests", visible, points=1),
            _cell(f"{name}-hidden", region, points=2),
        ]
    cells.append(_cell(WHY, "Say why the mean is what it is.", points=4, answer=True, text=True))
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _filled(source: str, known: Secrets) -> str:
    rest = int(known.expected) - int(known.number)
    values = {**{name.upper(): value for name, value in asdict(known).items()}, "REST": str(rest)}
    return re.sub(r"@([A-Z]+)@", lambda place: values[place[1]], source)


def hidden_lines(known: Secrets) -> list[str]:
    """Lines of the hidden tests that are long enough to be looked for."""
    lines = [line.strip() for _, hidden in TESTS.values() for line in hidden.splitlines()]
    return sorted({_filled(line, known) for line in lines if len(line) >= 12})


def write_course(root: Path, known: Secrets) -> Course:
    """A course's folder with this assignment, the real settings but for shorter time-outs."""
    folder = root / "solutions" / NAME
    folder.mkdir(parents=True)
    nbformat.write(source_notebook(known), folder / f"{NAME}.ipynb")
    (folder / "mutants.py").write_text('"""None."""\nMUTANTS = {}\nALTERNATIVES = {}\n')
    (folder / "assignment.toml").write_text(f'title = "Trust"\nwithheld = ["{WITHHELD}"]\n')
    (root / "secret").write_text(known.course)
    settings = (ROOT / "nbgrader_config.py").read_text()
    own = {"timeout": 5, "cell_timeout": 4.0, "notebook_timeout": 30.0, "memory": 1 << 30}
    settings += "".join(f"\nc.Execute.{name} = {value}" for name, value in own.items())
    (root / "nbgrader_config.py").write_text(settings + "\n")
    shutil.copy(ROOT / "_config.yml", root)
    return Course(root)


@dataclass(frozen=True)
class Script:
    """A hostile notebook, as it is written."""

    path: Path

    @property
    def name(self) -> str:
        """What it tries."""
        return self.path.stem

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def _head(self) -> list[str]:
        lines = self.text.partition(GUARD)[0].splitlines()
        return [line.removeprefix("#").strip() for line in lines]

    @cached_property
    def expectations(self) -> dict[str, str]:
        """What must come of it: the lines `key: value` at its head."""
        pairs = (
            re.fullmatch(r"(gains|keeps|may keep|stock|ruff): (.+)", line) for line in self._head
        )
        return {pair[1]: pair[2] for pair in pairs if pair}

    @property
    def about(self) -> str:
        """What it tries, in a sentence or two."""
        return " ".join(
            line for line in self._head if line and line.partition(":")[0] not in self.expectations
        )

    def _names(self, key: str) -> frozenset[str]:
        return frozenset(filter(None, self.expectations.get(key, "").split(", ")))

    @property
    def keeps(self) -> frozenset[str]:
        """Questions that it answers rightly, and must have all points of."""
        return self._names("keeps")

    @property
    def may_keep(self) -> frozenset[str]:
        """Questions that it answers rightly, and loses where it cannot be graded whole."""
        return self._names("may keep")

    @property
    def stock(self) -> bool:
        """Whether stock nbgrader can run it without harm to the machine."""
        return self.expectations.get("stock") == "runs"

    def cells(self, places: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Each cell's mark, and its text with the places filled in."""
        text = self.text.partition(GUARD)[2]
        for name, value in places.items():
            text = text.replace(f"@{name}@", value)
        parts = re.split(r"^# %% \[(.+)\]$", text, flags=re.MULTILINE)[1:]
        for mark, body in zip(parts[::2], parts[1::2], strict=True):
            yield mark, body.strip("\n")


def scripts() -> list[Script]:
    """The whole set, by name."""
    return [Script(path) for path in sorted(SET.glob("*.py")) if path.name != "conftest.py"]


def submission(script: Script, given: bytes, places: Mapping[str, str]) -> dict[str, bytes]:
    """The files a script hands in.

    Parameters
    ----------
    given : the release
    places : what stands for `@NAME@` in it, such as the port of a server that listens
    """
    notebook = nbformat.reads(given.decode(), as_version=4)
    files: dict[str, bytes] = {}
    for question in script.keeps | script.may_keep:
        _find(notebook, question).source = reference(question)
    for mark, body in script.cells(places):
        kind, _, name = mark.rpartition(" ")
        if kind == "file":
            files[name] = body.encode()
        elif mark == "second notebook":
            files[f"{NAME} (1).ipynb"] = answered(
                given, {name: reference(name) for name in ANSWERS}
            )
        elif mark == "notebook metadata":
            notebook.metadata.update(json.loads(_uncommented(body)))
        else:
            _change(notebook, kind, name, body)
    return {f"{NAME}.ipynb": json.dumps(notebook).encode(), **files}


def _find(notebook: NotebookNode, name: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.id == name)


def _change(notebook: NotebookNode, kind: str, name: str, body: str) -> None:
    """One marked cell of a script: what it does to the cell of the release with this id."""
    cell = _find(notebook, name)
    place = notebook.cells.index(cell)
    match kind:
        case "answer" | "edit":
            cell.source = _code(body)
        case "markdown answer":
            cell.source = _uncommented(body)
        case "before" | "after":
            # Behind what was added there before, so that cells run in the order they are read.
            ids = [cell.id for cell in notebook.cells]
            earlier = sum(other.startswith(f"{kind}-{name}-") for other in ids)
            place += earlier + 1 if kind == "after" else 0
            added = new_code_cell(_code(body), id=f"{kind}-{name}-{earlier}")
            notebook.cells.insert(place, added)
        case "markdown after":
            notebook.cells.insert(place + 1, new_markdown_cell(_uncommented(body)))
        case "delete":
            del notebook.cells[place]
        case "copy":
            twin = copy.deepcopy(cell)
            twin.source = _code(body) or twin.source
            notebook.cells.insert(place + 1, twin)
        case "metadata":
            cell.metadata.nbgrader.update(json.loads(_uncommented(body)))
        case "outputs":
            cell.outputs = nbformat.from_dict(json.loads(_uncommented(body)))
        case "attachments":
            cell.attachments = nbformat.from_dict(json.loads(_uncommented(body)))
        case _:
            raise ValueError(f"no cell of a script is marked {kind!r}")


def _uncommented(body: str) -> str:
    return "\n".join(re.sub(r"^# ?", "", line) for line in body.splitlines())


def _code(body: str) -> str:
    """Python, in which magics and shell commands stand as comments, as jupytext has them."""
    return re.sub(r"^# ([!%])", r"\1", body, flags=re.MULTILINE)


def reference(question: str) -> str:
    """The right answer, without what is the instructor's alone."""
    lines = ANSWERS[question].splitlines()
    return "\n".join(line for line in lines if "###" not in line and "@SOLUTION@" not in line)


def answered(given: bytes, answers: Mapping[str, str]) -> bytes:
    """The release with these answers."""
    notebook = nbformat.reads(given.decode(), as_version=4)
    for cell in notebook.cells:
        cell.source = answers.get(cell.id, cell.source)
    return json.dumps(notebook).encode()


NOISY = """import sys, warnings


def total(numbers):
    print("adding", len(numbers), file=sys.stderr)
    warnings.warn("this may take a moment")
    return float(np.sum(numbers)) if numbers else 0"""


def honest(given: bytes, known: Secrets) -> dict[str, tuple[Files, float]]:
    """Students in the same class who try nothing, and the points that each must get.

    Some are graded before all others and some after them.
    """
    right = {name: reference(name) for name in ANSWERS}
    neighbour = {**right, WHY: f"Since {known.neighbour} says so.", "q01-total": NOISY}
    wrong = {**right, "q03-ranks": "def ranks(values):\n    return sorted(values)"}
    answers = {
        "a-student-01": (right, POINTS),
        "a-student-02": (neighbour, POINTS),
        "z-student-03": (wrong, POINTS - 3),
        "z-student-04": ({}, 0),
        "z-student-05": (right, POINTS),
    }
    return {
        student: ({f"{NAME}.ipynb": answered(given, cells)}, float(points))
        for student, (cells, points) in answers.items()
    }
