"""What only instructors may know of the assignments, and which texts tell it.

Secret are the regions that a release leaves out (solutions, hidden tests, marking schemes) and the
known answers of `mutants.py`, wrong and right: each line of them, and each as a whole. Secret are
the sentences of hints and rubrics in `assignment.toml` too, and what known answers are called,
where a file is called so.
"""

from __future__ import annotations

import bz2
import gzip
import html
import io
import json
import lzma
import re
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from nbformat import NotebookNode
from nbgrader.utils import is_solution

from nlp_course.grading.course import Course
from nlp_course.grading.notebooks import GradingError, read_notebook

REGION = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)")
INSTRUCTORS_FILES = ("mutants.py", "assignment.toml")
# A line shorter than this (`return x`) stands in many an honest place.
SHORTEST_SECRET = 12
# Longer lines that every program has. Alone they tell nothing; together they are a whole answer.
PHRASE = re.compile(
    r"""(from|import)\ .*
    | @.*
    | for\ [\w, ]+\ in\ [\w.]+(\([\w.]*\))?:?     # a loop over one thing
    | (return|except|while)\ \w+:?
    | [\w, ]+\ =\ [^\W\d]\w*(\(\))?               # a name for one thing
    | [\w, ]+\ =\ [\[({][\])}]?                   # a list that begins empty, or on the next line
    | \w+=[\w.]+,                                 # an argument
    """,
    re.VERBOSE,
)
ESCAPED = re.compile(r"""\\(["'\\])""")
SENTENCE = re.compile(r"\s*\n\s*|(?<=[.;:?!])\s+")  # between two
PACKED = (
    (b"\x1f\x8b", gzip.decompress),
    (b"BZh", bz2.decompress),
    (b"\xfd7zXZ\0", lzma.decompress),
)


@dataclass(frozen=True)
class Parts:
    """An assignment, taken apart.

    Parameters
    ----------
    public : the instructor's notebook without its secret regions
    regions : the lines of each secret region, with its kind
    known : the lines of each known answer, wrong or right
    names : what the known answers are called
    notes : the sentences of hints and rubrics
    """

    public: str
    regions: list[tuple[str, tuple[str, ...]]]
    known: list[tuple[str, ...]]
    names: frozenset[str]
    notes: tuple[str, ...]

    @cached_property
    def lines(self) -> frozenset[str]:
        """All secret lines that are no public ones."""
        regions = (region for _, region in self.regions)
        lines = frozenset(self.notes).union(*regions, *self.known)
        return lines - Secrets(lines, frozenset()).standing_in(self.public)


@dataclass(frozen=True)
class Secrets:
    """What is looked for.

    Parameters
    ----------
    lines : in texts and names
    answers : of which all lines stand in one text
    names : in the names of files and folders, whatever stands between the words there
    """

    lines: frozenset[str]
    answers: frozenset[tuple[str, ...]]
    names: frozenset[str] = frozenset()

    def told_in(self, text: str) -> list[str]:
        """What a text tells, a phrase for each; quotes may be escaped as in code or HTML."""
        plain = html.unescape(ESCAPED.sub(r"\1", text))
        present = self.standing_in(text if plain == text else f"{text}\n{plain}")
        told = [f"holds {line!r}" for line in present & self.lines]
        told += [
            f"holds all of the answer that begins {lines[0]!r}"
            for lines in self.answers
            if present.issuperset(lines)
        ]
        return sorted(set(told))

    def told_by_path(self, path: str) -> list[str]:
        """What the names of a file and of its folders tell, a phrase for each.

        One word is no secret here: a module may be called as an answer is, `probabilities.py`.
        """
        words = "|".join(f" {_words(part)} " for part in PurePosixPath(path).parts)
        called = [name for name, sought in self._words_of_names if f" {sought} " in words]
        return self.told_in(path) + [f"is called {name!r}" for name in sorted(called)]

    @cached_property
    def _words_of_names(self) -> list[tuple[str, str]]:
        words = [(name, _words(name)) for name in self.names]
        return [(name, sought) for name, sought in words if " " in sought]

    def standing_in(self, text: str) -> set[str]:
        """The lines, of the answers too, that stand in a text.

        The text is gone through once, however many lines there are: at each place, what begins
        there is looked up among the beginnings of the lines.
        """
        n, beginnings = SHORTEST_SECRET, self._by_beginning
        return {
            line
            for i in range(len(text) - n + 1)
            if (lines := beginnings.get(text[i : i + n]))
            for line in lines
            if text.startswith(line, i)
        }

    @cached_property
    def _by_beginning(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in self.lines.union(*self.answers):
            found.setdefault(line[:SHORTEST_SECRET], []).append(line)
        return found


def leaks(course: Course, assignment: str, published: Path) -> list[str]:
    """Where files that anyone may read tell what only instructors may know.

    Found are: a line of a solution, hidden test, marking scheme or mutant, or a sentence of a hint
    or rubric, that stands in no public part of the instructor's notebook; a whole solution, even
    where its lines stand in public; the marks of such a region; the instructors' own files, and
    files called after a known answer. Lines and names of fewer than 12 characters are not looked
    for.

    Returns
    -------
    One sentence for each find; nothing where all is well.
    """
    parts = parts_of(course, assignment)
    solutions = frozenset(lines for kind, lines in parts.regions if kind == "SOLUTION")
    secrets = Secrets(parts.lines, solutions, parts.names)
    found = set()
    for path in sorted(path for path in published.rglob("*") if path.is_file()):
        name = path.relative_to(published).as_posix()
        for place, text in texts(name, path.read_bytes()):
            if PurePosixPath(place).name in INSTRUCTORS_FILES:
                found.add(f"{place}: is for instructors only")
            found |= {f"{place}: says {match[0]!r}" for match in REGION.finditer(text)}
            told = secrets.told_by_path(place) + secrets.told_in(text)
            found |= {f"{place}: {one}" for one in told}
    return sorted(found)


def course_secrets(course: Course, package: str) -> Secrets:
    """What no public text of a course may tell, of all its assignments.

    A line is no secret that stands in the public part of any assignment, or in the package: both
    are read by students, and the package teaches openly. Nor is a phrase that every program has.
    A whole answer is a secret even if each of its lines is none, unless one line is all of it.

    Parameters
    ----------
    package : the text of all modules of the package
    """
    every = [parts_of(course, assignment) for assignment in course.assignments()]
    openly = "\n".join([package, *(parts.public for parts in every)])
    lines = frozenset[str]().union(*(parts.lines for parts in every))
    lines -= Secrets(lines, frozenset()).standing_in(openly)
    lines = frozenset(line for line in lines if not PHRASE.fullmatch(line))
    answers = set()
    for parts in every:
        own = {line for line in parts.lines if not line.startswith(("import ", "from "))}
        whole = [region for _, region in parts.regions] + parts.known
        answers |= {answer for answer in whole if len(own.intersection(answer)) > 1}
    names = frozenset[str]().union(*(parts.names for parts in every))
    return Secrets(lines, frozenset(answers), names)


def taught_lines(course: Course) -> list[tuple[str, tuple[str, ...]]]:
    """Lines of answers that stand honestly in public files, each with these files.

    `solutions/taught.toml` names them: what a chapter teaches by the very line that a question
    asks for, and what two programs say alike by chance. A folder's name ends in `/`.

    Raises
    ------
    GradingError : an entry lacks one of its three keys.
    """
    path = course.solutions / "taught.toml"
    if not path.is_file():
        return []
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("taught", [])
    for number, entry in enumerate(entries, start=1):
        if lacking := {"lines", "where", "why"} - entry.keys():
            raise GradingError(f"{path}: entry {number} lacks {', '.join(sorted(lacking))}")
    return [(line, tuple(entry["where"])) for entry in entries for line in entry["lines"]]


def public_part(notebook: NotebookNode) -> str:
    """An instructor's notebook without its secret regions."""
    return "\n".join(_split(notebook)[0])


def parts_of(course: Course, assignment: str) -> Parts:
    """The public and the secret parts of an assignment."""
    public, regions = _split(read_notebook(course.source(assignment)))
    answers = [
        answer
        for questions in course.known_answers(assignment)
        for named in questions.values()
        for answer in named.items()
    ]
    known = [_worth_hiding(source.splitlines()) for _, source in answers]
    return Parts(
        public="\n".join(public),
        regions=regions,
        known=[lines for lines in known if lines],
        names=frozenset(_worth_hiding(name for name, _ in answers)),
        notes=_notes(course.source(assignment).with_name("assignment.toml")),
    )


def _notes(path: Path) -> tuple[str, ...]:
    """The sentences of hints and rubrics in an `assignment.toml`; none where there is none."""
    if not path.is_file():
        return ()
    try:
        about = tomllib.loads(path.read_text(encoding="utf-8")).get("questions", {})
    except ValueError as error:
        raise GradingError(f"{path}: {error}") from error
    notes = [question.get("hint", "") for question in about.values()]
    notes += [
        part["criterion"] for question in about.values() for part in question.get("rubric", [])
    ]
    return _worth_hiding(sentence for note in notes for sentence in SENTENCE.split(note))


def _split(notebook: NotebookNode) -> tuple[list[str], list[tuple[str, tuple[str, ...]]]]:
    """Public lines, and secret regions as (kind, lines)."""
    public: list[str] = []
    secrets: list[tuple[str, tuple[str, ...]]] = []
    for cell in notebook.cells:
        lines = cell.source.splitlines()
        if is_solution(cell) and not REGION.search(cell.source):
            secrets.append(("SOLUTION", _worth_hiding(lines)))  # all of it is the answer
            continue
        region: list[str] | None = None
        for line in lines:
            mark = REGION.search(line)
            if mark and mark[1] == "BEGIN":
                region = []
            elif mark and region is not None:
                secrets.append((mark[2], _worth_hiding(region)))
                region = None
            else:
                (public if region is None else region).append(line)
    return public, [(kind, lines) for kind, lines in secrets if lines]


def _worth_hiding(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(line.strip() for line in lines if len(line.strip()) >= SHORTEST_SECRET)


def texts(name: str, content: bytes) -> Iterator[tuple[str, str]]:
    """All that a file says, with its name: of an archive each member's, of JSON every string.

    What is compressed is read too. Bytes that are no text are read as well as they can be: what is
    written among them is found.
    """
    if content.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for member in archive.namelist():
                    yield from texts(f"{name}/{member}", archive.read(member))
            return
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error):
            pass  # no archive that can be opened: its bytes are looked at as they are
    for beginning, decompress in PACKED:
        if content.startswith(beginning):
            with suppress(OSError, EOFError, ValueError, lzma.LZMAError, zlib.error):  # likewise
                yield from texts(name, decompress(content))
    encodings = ["utf-8"]
    if b"\0" in content:  # which text in UTF-8 has not, and code in UTF-16 has everywhere
        encodings += ["utf-16-le", "utf-16-be"]
    for encoding in encodings:
        text = content.decode(encoding, errors="replace").removeprefix("\ufeff")
        try:
            parsed = json.loads(text)
        except ValueError:
            yield name, text
        else:
            # All in one, so that an answer is seen whole whose lines are strings of their own.
            yield name, "\n".join(_strings(parsed))


def _words(name: str) -> str:
    """The words of a name, in small letters.

    >>> _words("Last_left-out.py")
    'last left out py'
    """
    return " ".join(re.findall(r"[^\W_]+", name.casefold()))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(key)
            yield from _strings(inner)
    elif isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            yield "".join(value)  # a cell's source is a list of lines
        else:
            for item in value:
                yield from _strings(item)
