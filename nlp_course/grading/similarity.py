"""Answers of different students that are nearly the same, as far as a class lets one tell.

An answer becomes the set of its passages: runs of seven tokens, without comments, docstrings and
formatting, and with every name of a variable replaced by how far back it was last used in the run
(Baker 1995), so that renaming, reformatting and a new order of functions change nothing. Prose
becomes runs of four words. Fingerprints of such runs find copies in large collections (Schleimer
et al. 2003); a class is small enough to keep all of them, not only the smallest of each window.

References
----------
Schleimer, Wilkerson and Aiken 2003, Winnowing: Local Algorithms for Document Fingerprinting.
Baker 1995, Parameterized Pattern Matching by Boyer-Moore-type Algorithms.
"""

from __future__ import annotations

import builtins
import io
import keyword
import re
import tokenize
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from scipy.sparse import csr_array

from nlp_course.grading.scoring import StudentReport

CODE_RUN = 7  # tokens
PROSE_RUN = 4  # words
LONGEST_ANSWER = 60_000  # characters
# Shared passages that are no coincidence, over all questions: about a dozen lines of code.
FEWEST_PASSAGES = 60
FEWEST_IN_ONE_QUESTION = 10
LEAST_LIKENESS = 0.6
SPREADS = 3.0
NORMAL_SPREAD = 1.4826  # median absolute deviation of a normal distribution -> standard deviation

Passages = frozenset[Hashable]
FIXED_NAMES = frozenset([*keyword.kwlist, *dir(builtins)])
WORDS = re.compile(r"\w+|[^\w\s]")
LEXEMES = re.compile(
    r"""(?P<comment>\#[^\n]*)
    | (?P<string>[rbfuRBFU]{0,2}(?:
        \"\"\"(?:[^\\]|\\.|\\\Z)*?(?:\"\"\"|\Z) | '''(?:[^\\]|\\.|\\\Z)*?(?:'''|\Z)
      | \"(?:[^"\\\n]|\\.|\\\Z)*+\"? | '(?:[^'\\\n]|\\.|\\\Z)*+'?))
    | (?P<number>(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<name>\w+)
    | (?P<line>\n)
    | (?P<mark>\*\*=?|//=?|>>=?|<<=?|->|:=|[-+*/%@&|^=!<>]=|[^\w\s])""",
    re.VERBOSE | re.DOTALL,
)
UNSEEN = (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER)
LINES = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


@dataclass(frozen=True)
class Match:
    """Two nearly identical answers to one question.

    Parameters
    ----------
    question : grade id of the answers
    likeness : share of passages that both have, of all that the release did not give; 0 to 1
    passages : how many they share that no more than `common_from(n)` - 1 students have
    """

    question: str
    likeness: float
    passages: int


@dataclass(frozen=True)
class Pair:
    """Two students whose answers stand out of the class, with what does."""

    first: str
    second: str
    matches: tuple[Match, ...]

    @property
    def passages(self) -> int:
        """Uncommon passages they share, over all questions."""
        return sum(match.passages for match in self.matches)

    @property
    def likeness(self) -> float:
        """The largest likeness of their answers to one question."""
        return max(match.likeness for match in self.matches)


def common_from(students: int) -> int:
    """How many students with a passage make it common in a class of this size: 4%, at least 5.

    >>> common_from(10), common_from(300)
    (5, 12)
    """
    return max(5, -(-4 * students // 100))


def rule(students: int) -> str:
    """The rule by which pairs are shown, for the reader of a report."""
    common = common_from(students)
    shared = (
        f" and passages that {common} or more of the {students} students wrote"
        if common <= students
        else ""
    )
    return (
        "Comments, formatting and the names of variables are ignored; so are passages that the "
        f"assignment gave{shared}. Of what remains of two answers, at least "
        f"{LEAST_LIKENESS:.0%} must be the same, and more than nearest neighbours among the others "
        "usually share: above their median by three standard deviations. Over all questions it "
        f"must be {FEWEST_PASSAGES} "
        f"passages of {CODE_RUN} tokens or more."
    )


def near_identical(
    reports: Sequence[StudentReport],
    *,
    given: Mapping[str, Sequence[str]] | None = None,
    prose: Collection[str] = (),
) -> list[Pair]:
    """The pairs of students whose answers are alike and stand out, most passages first.

    What counts of an answer are its passages that the release did not give and that fewer than
    `common_from(n)` students have. A pair counts for a question if it shares at least
    `FEWEST_IN_ONE_QUESTION` of them, at least `LEAST_LIKENESS` of what both have, and more
    than median + 3 standard deviations (from the median absolute deviation) of what every other
    student shares with their nearest neighbour. It is shown if it shares `FEWEST_PASSAGES` over
    the questions.

    Parameters
    ----------
    given : grade id -> texts that do not count: the release's cell, the published answer
    prose : grade ids whose answers are text, not code
    """
    questions = dict.fromkeys(name for report in reports for name in report.answers)
    known = given or {}
    found: dict[tuple[int, int], list[Match]] = {}
    for question in questions:
        of = passages_of_prose if question in prose else passages_of_code
        cache: dict[str, Passages] = {}
        free = frozenset().union(*(of(text) for text in known.get(question, ())))
        answers = []
        for report in reports:
            text = report.answers.get(question, "")
            if text not in cache:
                cache[text] = of(text) - free
            answers.append(cache[text])
        for first, second, match in _matches(question, answers):
            found.setdefault((first, second), []).append(match)
    pairs = [
        Pair(reports[first].student, reports[second].student, tuple(matches))
        for (first, second), matches in found.items()
    ]
    shown = [pair for pair in pairs if pair.passages >= FEWEST_PASSAGES]
    return sorted(shown, key=lambda pair: (-pair.passages, pair.first, pair.second))


def _matches(question: str, answers: Sequence[Passages]) -> Iterator[tuple[int, int, Match]]:
    """Answers to one question that are alike and stand out."""
    students = Counter(passage for answer in answers for passage in answer)
    few = common_from(len(answers))
    uncommon = [frozenset(p for p in answer if students[p] < few) for answer in answers]
    shared = _shared(uncommon)  # (student, student)
    sizes = np.array([len(answer) for answer in uncommon])
    alike = 2 * shared / np.maximum(1, sizes[:, None] + sizes)  # (student, student)
    candidates = (shared >= FEWEST_IN_ONE_QUESTION) & (alike >= LEAST_LIKENESS)
    nearest = np.argsort(-shared, axis=1, kind="stable")[:, :3]  # (student, 3)
    for first, second in np.argwhere(np.triu(candidates)).tolist():
        if shared[first, second] > _rare(shared, nearest, first, second):
            one, other = answers[first], answers[second]
            likeness = 2 * len(one & other) / (len(one) + len(other))
            yield first, second, Match(question, likeness, int(shared[first, second]))


def _rare(
    shared: Int[np.ndarray, "student student"],
    nearest: Int[np.ndarray, "student three"],
    first: int,
    second: int,
) -> float:
    """How many passages nearest neighbours rarely share: median and three standard deviations.

    Every other student's nearest neighbour is looked up as if the two were not there; else two
    copies in a class of four would be half of what is usual.
    """
    if len(shared) < 4:  # nobody is left to compare with
        return 0.0
    others = np.delete(np.arange(len(shared)), [first, second])
    best = np.take_along_axis(shared, nearest, axis=1)[others]  # (student - 2, 3)
    usual = np.where(np.isin(nearest[others], (first, second)), 0, best).max(axis=1)
    middle = np.median(usual)
    spread = NORMAL_SPREAD * np.median(np.abs(usual - middle))
    return float(middle + SPREADS * spread)


def _shared(answers: Sequence[Passages]) -> Int[np.ndarray, "student student"]:
    """How many passages each two answers share; 0 of an answer with itself."""
    columns: dict[Hashable, int] = {}
    places = [columns.setdefault(p, len(columns)) for answer in answers for p in answer]
    ends = np.cumsum([0, *(len(answer) for answer in answers)])
    ones = np.ones(len(places), dtype=np.int64)
    table = csr_array((ones, places, ends), shape=(len(answers), max(1, len(columns))))
    shared = (table @ table.T).toarray()
    np.fill_diagonal(shared, 0)
    return shared


def passages_of_code(source: str) -> Passages:
    r"""The runs of seven tokens in a cell, whatever its variables are called.

    >>> passages_of_code("total = w * h  # area\n\nprint(total)") == passages_of_code(
    ...     "a = b*c\nprint( a )")
    True
    """
    tokens = _tokens(source[:LONGEST_ANSWER])
    last: dict[str, int] = {}
    ids: list[tuple[str, int]] = []  # token, or "" and how far back the name was last used
    for place, (text, is_variable) in enumerate(tokens):
        ids.append(("", place - last.get(text, place - 10**9)) if is_variable else (text, 0))
        if is_variable:
            last[text] = place
    size = min(CODE_RUN, len(ids))
    if not size:
        return frozenset()
    return frozenset(
        tuple(
            text or (back if back <= offset else 0)
            for offset, (text, back) in enumerate(ids[start : start + size])
        )
        for start in range(len(ids) - size + 1)
    )


def passages_of_prose(text: str) -> Passages:
    """The runs of four words in a text, whatever its case and punctuation.

    >>> sorted(passages_of_prose("The mean, minimises **squares**."))
    [('the', 'mean', 'minimises', 'squares')]
    """
    words = re.findall(r"\w+", text[:LONGEST_ANSWER].casefold())
    size = min(PROSE_RUN, len(words))
    return frozenset(
        tuple(words[start : start + size]) for start in range(len(words) - size + 1) if size
    )


def _tokens(source: str) -> Iterator[tuple[str, bool]]:
    """Tokens that mean something, and whether each is a name that one could change."""
    try:
        lexemes = list(_python_lexemes(source))
    # Python's own tokenizer gives up on broken code; so is some that is handed in.
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
        lexemes = list(_rough_lexemes(source))
    depth = 0
    for place, (kind, text) in enumerate(lexemes):
        before = lexemes[place - 1][1] if place else "\n"
        after = lexemes[place + 1][1] if place + 1 < len(lexemes) else "\n"
        if kind == "line":
            continue
        if kind == "string":
            if before == "\n" and after == "\n":  # a docstring, or code that was commented out
                continue
            yield from _string(text)
        elif kind == "number":
            yield _number(text), False
        elif kind == "name":
            argument = depth > 0 and after == "=" and before in ("(", ",")
            fixed = text in FIXED_NAMES or before == "." or argument
            yield text, not fixed
        else:
            depth += (text in "([{") - (text in ")]}")
            if not (text == "," and after in ")]}"):  # formatters add and remove it
                yield text, False


def _python_lexemes(source: str) -> Iterator[tuple[str, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in UNSEEN:
            continue
        if token.type in LINES:
            yield "line", "\n"
        elif token.type == tokenize.ERRORTOKEN:
            raise SyntaxError(f"not Python: {token.string!r}")
        else:
            kinds = {tokenize.STRING: "string", tokenize.NUMBER: "number", tokenize.NAME: "name"}
            yield kinds.get(token.type, "mark"), token.string


def _rough_lexemes(source: str) -> Iterator[tuple[str, str]]:
    for match in LEXEMES.finditer(source):
        kind = match.lastgroup or "mark"
        if kind != "comment":
            yield kind, match.group()


def _string(text: str) -> Iterator[tuple[str, bool]]:
    """A string as one token, but a long one, which may be a table, as its words."""
    words = text.strip("rbfuRBFU").strip("\"'").split()
    if len(words) <= CODE_RUN:
        yield f'"{" ".join(words)}"', False
    else:
        yield from ((f'"{word}', False) for word in words)


def _number(text: str) -> str:
    """One way to write a number.

    >>> _number("1e-3") == _number("0.001"), _number("0x1F"), _number("1_000")
    (True, '0x1f', '1000.0')
    """
    try:
        return str(float(text.replace("_", "")))
    except ValueError:
        return text.casefold()
