"""An assignment's last two cells: how it stands, and the file to hand in.

Both only tell. Nothing is sent, nothing here gives marks, and while a notebook is graded both
return at once.
"""

from __future__ import annotations

import ast
import hashlib
import json
import math
import numbers
import os
import re
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from IPython import get_ipython
from IPython.utils.capture import capture_output

DEFINITION = re.compile(r"^(?:async +)?(?:def|class) +(\w+)|^(\w+) *=(?!=)", re.MULTILINE)
MOST_BYTES = 10_000_000  # of a file with its outputs; learning platforms take no more gladly
FOLDER = Path("hand-in")
COLAB_SECONDS = 20
STUB = "Write your answer"  # how the error begins that stands where an answer belongs
HEAD = ("question", "the tests you see", "points", "hidden", "by hand")
WIDTH = 88
MISSING = (
    "Tests that have not run since the notebook was restarted, or were edited: {}. Run the "
    "answer's cell and then its tests, as they were given to you, and this cell again."
)
STEPS = """\
This cell cannot read the notebook here, so make the file yourself:
1. Save the notebook: Ctrl+S, on a Mac Cmd+S.
2. In Colab: File > Download > Download .ipynb. In JupyterLab: File > Download. In VS Code the
   file is the notebook itself; it lies where you opened it.
3. Upload the file where your course collects {name}. Its own name does not matter."""


Points = float | int


class Row(NamedTuple):
    """A question of an assignment, as its self-check cell says it.

    Parameters
    ----------
    question : its name
    seen, hidden, by_hand : points of the tests a student sees, of hidden tests, and by hand
    test : fingerprint of the test a student sees; empty where there is none
    """

    question: str
    seen: Points
    hidden: Points
    by_hand: Points
    test: str


class Saved(NamedTuple):
    """A notebook as it is outside of the kernel.

    Parameters
    ----------
    data : the file's bytes
    when : it was saved, in seconds since 1970; None where it is as it stands on the screen
    """

    data: bytes
    when: float | None = None

    @property
    def cells(self) -> list[dict[str, Any]]:
        """The notebook's cells; none where the file holds no notebook."""
        try:
            return list(json.loads(self.data)["cells"])
        except (ValueError, KeyError, TypeError):
            return []


def fingerprint(source: str) -> str:
    """Tells one cell's text from another's; blanks around it and at ends of lines do not count.

    >>> fingerprint("x = 1 ") == fingerprint("x = 1") != fingerprint("x = 2")
    True
    """
    lines = [line.rstrip() for line in source.strip().splitlines()]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).hexdigest()[:8]


EMPTY = fingerprint("")


def self_check(*rows: tuple[str, Points, Points, Points, str]) -> None:
    """Run the tests that a student sees once more, and say what is at stake; a line a question.

    A test is found by its text among the cells that ran in this session, and runs on a copy of
    the notebook's names. One that did not run, or was edited, is called not run, and an answer
    that is still to be written no answer yet.
    """
    if os.environ.get("NLP_COURSE_GRADING") == "1":
        return
    shell, questions = _shell(), [Row(*row) for row in rows]
    tests = {fingerprint(source): source for source in shell.history_manager.input_hist_raw}
    width = max(map(len, (HEAD[0], *(row.question for row in questions))))
    form = f"{{:{width}}}   {{:17}}   {{:>8}}   {{:>6}}   {{:>7}}"
    print(form.format(*HEAD))
    earned: Points = 0
    stopped = False
    for row in questions:
        try:
            state, gained, said = _try(row, tests, shell)
        except KeyboardInterrupt:
            stopped = True
            break
        earned += gained
        points = f"{gained:g} of {row.seen:g}" if row.seen else ""
        others = (f"{number:g}" if number else "" for number in (row.hidden, row.by_hand))
        print(form.format(row.question, state, points, *others).rstrip(), flush=True)
        if said:
            print(textwrap.fill(said, WIDTH, initial_indent="    ", subsequent_indent="    "))
    print()
    if stopped:
        print("Stopped: the questions that follow were not looked at.")
    _say(_sum(earned, questions))
    missing = [row.question for row in questions if row.test and row.test not in tests]
    if missing:
        _say(MISSING.format(", ".join(missing)))


def _try(row: Row, tests: Mapping[str, str], shell: Any) -> tuple[str, Points, str]:
    """What a question's test makes of its answer: state, points, the first line it says."""
    if not row.test:
        return "marked by hand", 0, ""
    if row.test not in tests:
        return "not run", 0, ""
    try:
        with capture_output():
            gained = _run(tests[row.test], dict(shell.user_ns))
    except (Exception, SystemExit) as error:  # whatever an answer may raise
        said = next(iter(str(error).strip().splitlines()), "")
        if isinstance(error, NotImplementedError) and said.startswith(STUB):
            return "no answer yet", 0, ""
        kind = "" if isinstance(error, AssertionError) and said else f"{type(error).__name__}: "
        return "failed", 0, kind + said
    if gained is None or gained >= row.seen:
        return "passed", row.seen, ""
    return "failed", max(gained, 0.0), "passed in part"


def _run(source: str, names: dict[str, Any]) -> float | None:
    """Run a test; the points that its last line gives, where that is a number."""
    tree = ast.parse(source)
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        tree.body.pop()
    exec(compile(tree, "<test>", "exec"), names)
    if not isinstance(last, ast.Expr):
        return None
    value = eval(compile(ast.Expression(last.value), "<test>", "eval"), names)
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return None
    return 0.0 if math.isnan(value) else float(value)


def _sum(earned: Points, rows: Sequence[Row]) -> str:
    seen, hidden = sum(row.seen for row in rows), sum(row.hidden for row in rows)
    by_hand = sum(row.by_hand for row in rows)
    text = f"The visible tests give {earned:g} of {seen:g} points."
    if hidden:
        text += f" Hidden tests decide another {hidden:g} after you hand in"
    if by_hand:
        text += f"{';' if hidden else ''} {by_hand:g} are marked by hand"
    return text if text.endswith(".") else f"{text}."


def hand_in(name: str, given: Mapping[str, str]) -> None:
    """Lay the notebook into `hand-in/`, under its right name; in Colab, download it too.

    Parameters
    ----------
    name : of the assignment, such as "01-counting-words"
    given : the cells to be answered, with the fingerprint of what was given there
    """
    if os.environ.get("NLP_COURSE_GRADING") == "1":
        return
    shell = _shell()
    saved = _from_colab() or _from_file(shell, given)
    if saved is None:
        print(STEPS.format(name=name))
        return
    answers = _answers(saved.cells, given)
    if saved.when is not None:
        _say_when(saved, answers, shell)
    data = saved.data
    if len(data) > MOST_BYTES:
        data = _without_outputs(data)
        print(f"The notebook has {len(saved.data) / 1e6:.0f} MB: its outputs are left out.")
    path = FOLDER / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    digits = hashlib.sha256(data).hexdigest()[:12]
    print(f"\n{path.name}: {len(data) / 1e3:.0f} kB, SHA-256 {digits}…")
    if answers:
        blank = [one for one in given if fingerprint(answers.get(one, "")) in (given[one], EMPTY)]
        left = f"; without an answer: {', '.join(blank)}" if blank else ""
        _say(f"{len(given) - len(blank)} of {len(given)} questions are answered{left}.")
    if saved.when is None:
        from google.colab import files

        files.download(str(path))
        _say("Your browser downloads it now. If not: the folder symbol at the left, then hand-in.")
    else:
        print(f"It is a copy of your notebook, in the folder {path.parent.resolve()}")
    _say(
        "Upload that file where your course collects assignments. By the digits above your "
        "instructor can tell that the same file arrived."
    )


def _say(text: str) -> None:
    """Print a paragraph."""
    print(textwrap.fill(text, WIDTH))


def _shell() -> Any:
    shell = get_ipython()
    if shell is None:
        raise RuntimeError("this belongs into a cell of a notebook, in Colab or Jupyter")
    return shell


def _from_colab() -> Saved | None:
    """The notebook as Colab shows it; None elsewhere, or where it does not answer."""
    if "google.colab" not in sys.modules:
        return None
    from google.colab import _message

    try:
        reply = _message.blocking_request("get_ipynb", request="", timeout_sec=COLAB_SECONDS)
    except Exception as error:  # of Colab's own making, and of no known kind
        print(f"Colab does not give out the notebook: {error}")
        return None
    if not reply:
        return None
    text = json.dumps(reply["ipynb"], ensure_ascii=False, indent=1)
    return Saved(f"{text}\n".encode("utf-8", "replace"))


def _from_file(shell: Any, given: Mapping[str, str]) -> Saved | None:
    """The notebook as VS Code or Jupyter saved it; None where neither says where it is."""
    named = shell.user_ns.get("__vsc_ipynb_file__"), os.environ.get("JPY_SESSION_NAME")
    for path in (Path(name) for name in named if name):
        if path.suffix == ".ipynb" and path.is_file():
            saved = Saved(path.read_bytes(), path.stat().st_mtime)
            # Another notebook's name, where this kernel was started from that one.
            if _answers(saved.cells, given):
                return saved
    return None


def _answers(cells: Sequence[Mapping[str, Any]], given: Mapping[str, str]) -> dict[str, str]:
    """Text of the answer cells, found by nbgrader's label or by the cell's own id."""
    found = {}
    for cell in cells:
        about = cell.get("metadata", {})
        name = about.get("nbgrader", {}).get("grade_id") or cell.get("id") or about.get("id")
        if name in given:
            found[name] = _source(cell)
    return found


def _source(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _say_when(saved: Saved, answers: Mapping[str, str], shell: Any) -> None:
    """When the file was saved, and which answers ran since then and are not in it."""
    at = time.strftime("%H:%M:%S on %d %B", time.localtime(saved.when))
    _say(
        f"This is the notebook as it was saved at {at}; it is now {time.strftime('%H:%M:%S')}. "
        "What you wrote later is not in it: save first (Ctrl+S, on a Mac Cmd+S)."
    )
    texts = {fingerprint(_source(cell)) for cell in saved.cells}
    for name, source in answers.items():
        defined = _defined(source)
        ran = [one for one in shell.history_manager.input_hist_raw if defined & _defined(one)]
        if ran and fingerprint(ran[-1]) not in texts:
            _say(
                f"NOT SAVED: {name}. What ran last is not what the file holds. Save, and run this "
                "cell again; if you did, run that answer's cell again, too."
            )


def _defined(source: str) -> set[str]:
    """What a cell defines in its outermost lines: functions and classes, else variables."""
    found = DEFINITION.findall(source)
    return {name for name, _ in found if name} or {name for _, name in found if name}


def _without_outputs(data: bytes) -> bytes:
    notebook = json.loads(data)
    for cell in notebook["cells"]:
        if cell.get("cell_type") == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return f"{json.dumps(notebook, ensure_ascii=False, indent=1)}\n".encode("utf-8", "replace")
