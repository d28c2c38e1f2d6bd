"""Copies are found under new clothes; what a class has in common is not."""

from __future__ import annotations

import ast
import random
import re
import time
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course.grading.course import Course
from nlp_course.grading.notebooks import answer_cells, questions
from nlp_course.grading.scoring import StudentReport
from nlp_course.grading.similarity import (
    FEWEST_PASSAGES,
    Pair,
    common_from,
    near_identical,
    passages_of_code,
    passages_of_prose,
    rule,
)

pytestmark = pytest.mark.grading
SOLUTIONS = Path(__file__).parents[2] / "solutions" / "02-word2vec"
needs_solutions = pytest.mark.skipif(
    not SOLUTIONS.is_dir(), reason="the public copy of the course has no solutions"
)

TALLY = '''
def read(path):
    """Lines of a file."""
    with open(path) as file:
        return [line.strip() for line in file]


def tally(lines, least=2):
    counts = {}
    for line in lines:
        for word in line.lower().split(" "):
            if word.isalpha() and len(word) >= least:
                counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
'''


class _Rename(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(self.names.get(node.arg, node.arg))


def restyled(source: str, generator: random.Random) -> str:
    """The same answer under new names, formatting and comments."""
    tree = ast.parse(source)
    stored = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    names = {name: f"{name[0]}_{generator.randrange(10**6)}" for name in sorted(stored)}
    lines = ast.unparse(_Rename(names).visit(tree)).splitlines()
    return "\n".join(
        line + f"  # {generator.random()}" * (generator.random() < 0.3) for line in lines
    )


def reordered(source: str) -> str:
    tree = ast.parse(source)
    tree.body.reverse()
    return ast.unparse(tree)


def hand_in(**answers: str) -> list[StudentReport]:
    return [StudentReport(name, answers={"q": text}) for name, text in answers.items()]


def names(pairs: list[Pair]) -> list[tuple[str, str]]:
    return [(pair.first, pair.second) for pair in pairs]


def test_an_answer_is_wholly_like_itself_and_unlike_another():
    pairs = near_identical(hand_in(a=TALLY, b=TALLY, c=Path(re.__file__).read_text()[:5000]))
    assert names(pairs) == [("a", "b")]
    assert pairs[0].likeness == 1
    assert pairs[0].passages == len(passages_of_code(TALLY))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: restyled(text, random.Random(0)),
        lambda text: text.replace("counts", "n").replace("word", "w").replace("tally", "f"),
        lambda text: re.sub(r"\n", "  # so\n", text).replace(": (", ":\\\n(").replace("    ", "\t"),
        lambda text: text.replace('"""Lines of a file."""', '"""What it holds.\n\n    All."""'),
        lambda text: text.replace("item[0])", "item[0],)").replace(", 0)", ", 0.0,)"),
    ],
    ids=["unparsed and renamed", "renamed", "comments and tabs", "docstring", "commas"],
)
def test_names_comments_and_formatting_change_nothing(change):
    assert change(TALLY) != TALLY
    assert passages_of_code(change(TALLY)) == passages_of_code(TALLY)


def test_a_new_order_of_functions_changes_only_the_seam():
    one, other = passages_of_code(TALLY), passages_of_code(reordered(TALLY))
    assert len(one & other) / len(one | other) > 0.85
    assert names(near_identical(hand_in(a=TALLY, b=reordered(TALLY)))) == [("a", "b")]


def test_other_code_under_the_same_names_is_not_alike():
    other = TALLY.replace("counts.get(word, 0) + 1", "max(counts[word], 3) if word else None")
    other = other.replace("sorted(counts.items(), key=lambda item: (-item[1], item[0]))", "counts")
    other = other.replace("for word in line.lower().split()", "while line.pop()")
    assert passages_of_code(other) != passages_of_code(TALLY)
    assert passages_of_code("a - b * a - b") != passages_of_code("a - b * b - a")


def test_what_the_release_gave_does_not_count():
    assert near_identical(hand_in(a=TALLY, b=TALLY), given={"q": [TALLY]}) == []


def test_what_many_wrote_does_not_count():
    many = common_from(20)
    same = {f"s{i:02}": TALLY for i in range(many)}
    rest = {f"t{i:02}": f"x{i} = {i}" for i in range(20 - many)}
    assert near_identical(hand_in(**same, **rest)) == []
    same.popitem()
    rest["t99"] = "y = 3"
    assert len(near_identical(hand_in(**same, **rest))) == (many - 1) * (many - 2) // 2


def partners(lines: list[int]) -> list[StudentReport]:
    """Students who work in pairs; each pair shares this many lines that nobody else has."""
    texts = [
        "\n".join(f"a = f{pair}(a, {pair}{i}) - {i}" for i in range(count))
        for pair, count in enumerate(lines)
    ]
    return [
        StudentReport(f"{name}{pair:02}", answers={"q": text})
        for pair, text in enumerate(texts)
        for name in "ab"
    ]


def test_a_pair_must_stand_out_of_what_pairs_in_its_class_share():
    usual = [10, 11, 12, 13, 9, 10, 11, 12]
    assert near_identical(partners(usual)) == []
    assert names(near_identical(partners([*usual, 40]))) == [("a08", "b08")]
    assert names(near_identical(partners([10, 1, 1, 1, 1]))) == [("a00", "b00")]


def test_short_answers_are_never_enough_alone():
    short = "def softmax(z):\n    e = np.exp(z - z.max())\n    return e / e.sum()"
    assert near_identical(hand_in(a=short, b=short)) == []
    answers = {f"q{i}": short.replace("max", f"max{i}") for i in range(6)}
    reports = [StudentReport(name, answers=answers) for name in ("a", "b")]
    assert names(near_identical(reports)) == [("a", "b")]


def test_broken_code_is_compared_all_the_same():
    broken = TALLY + '\nif ("never closed'
    assert names(near_identical(hand_in(a=TALLY, b=broken))) == [("a", "b")]
    assert passages_of_code("def f(:\n  return x") == passages_of_code("def  g(: # no\n\treturn y")


def test_a_table_of_numbers_in_a_string_is_compared_number_by_number():
    numbers = [f"{i * 37 % 101 / 100}" for i in range(90)]
    table = f'printed = """{" ".join(numbers)}"""'
    other = f'p = """\n{" ".join([*numbers[:-1], "0.5"])}\n"""'
    assert names(near_identical(hand_in(a=table, b=other))) == [("a", "b")]


def test_prose_is_compared_by_words():
    text = "The derivative of the loss is zero " + " ".join(f"term{i}" for i in range(90))
    other = text.upper().replace(" ", ",\n")
    assert passages_of_prose(text) == passages_of_prose(other)
    reports = hand_in(a=text, b=other, c="Set it to nought, then solve for the mean.")
    assert names(near_identical(reports, prose={"q"})) == [("a", "b")]


@given(st.text(max_size=300))
def test_any_text_is_taken(text: str):
    passages_of_code(text)
    passages_of_prose(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00" * 50,
        "(" * 50_000,
        '"""' * 20_000,
        "\\\n" * 30_000,
        '"\\\n' * 20_000,
        '!: "\\"\\"\\"' + "\\x" * 30_000,
        "\ud800 = 1",
    ],
    ids=[
        "empty",
        "nulls",
        "brackets",
        "quotes",
        "continued",
        "open strings",
        "escaped",
        "surrogate",
    ],
)
def test_hostile_text_takes_no_time(text: str):
    start = time.perf_counter()
    passages_of_code(text)
    near_identical(hand_in(a=text, b=text, c=TALLY))
    assert time.perf_counter() - start < 5


def test_fewer_than_two_students_have_no_pairs():
    assert near_identical([]) == []
    assert near_identical(hand_in(a=TALLY)) == []


def test_the_rule_names_its_numbers():
    assert "12 or more of the 300 students" in rule(300)
    assert str(FEWEST_PASSAGES) in rule(300)
    assert "students wrote" not in rule(4)  # too few for anything to be common


@pytest.fixture(scope="module")
def assignment() -> tuple[dict[str, list[str]], dict[str, list[str]], dict[str, list[str]]]:
    """Assignment 02: common answers and rare ones by question, and what its release gives."""
    mistakes, alternatives = Course(SOLUTIONS.parents[1]).known_answers(SOLUTIONS.name)
    notebook = nbformat.read(SOLUTIONS / "02-word2vec.ipynb", as_version=4)
    sources = {name: cell.source for name, cell in answer_cells(notebook).items()}
    common, rare, release = {}, {}, {}
    for name in questions(notebook):
        head, body = sources[name].split("### BEGIN SOLUTION", 1)
        right = head + body.replace("### END SOLUTION", "").lstrip(" ")
        *usual, unusual = alternatives[name].values()
        common[name] = [right] * 4 + list(mistakes[name].values()) + usual
        rare[name] = [unusual]
        release[name] = [head + "raise NotImplementedError"]
    return common, rare, release


def a_class(common: dict[str, list[str]], students: int) -> list[StudentReport]:
    """Students who each answer in one of the usual ways, in a style of their own."""
    generator = random.Random(0)
    return [
        StudentReport(
            f"student-{i:03}",
            answers={
                name: restyled(generator.choice(texts), generator) for name, texts in common.items()
            },
        )
        for i in range(students)
    ]


@needs_solutions
def test_of_a_class_only_those_who_copied_an_unusual_answer_are_shown(assignment):
    common, rare, release = assignment
    reports = a_class(common, 300)
    start = time.perf_counter()
    assert near_identical(reports, given=release) == []
    assert time.perf_counter() - start < 20

    generator = random.Random(1)
    copied = ("q09-negative-sampling", "q11-training", "q13-pmi")
    for name in copied:
        reports[10].answers[name] = rare[name][0]
        reports[200].answers[name] = reordered(restyled(rare[name][0], generator))
    short = "q03-softmax"  # too short to tell
    reports[30].answers[short] = reports[40].answers[short] = rare[short][0]
    pairs = near_identical(reports, given=release)
    assert names(pairs) == [("student-010", "student-200")]
    assert {match.question for match in pairs[0].matches} == set(copied)
    assert all(match.likeness > 0.75 for match in pairs[0].matches)


@needs_solutions
@pytest.mark.parametrize("students", [3, 12, 40])
def test_each_usual_mistake_copied_once_is_found_in_a_small_class(assignment, students: int):
    """Each mistake against answers of other kinds: the alternatives, each by one student."""
    common, _, release = assignment
    name = "q11-training"
    others = [text for text in common[name] if "def " in text][:students]
    reports = [
        StudentReport(f"student-{i:02}", answers={name: f"x{i} = {i}"}) for i in range(students)
    ]
    mistake = others[-1]
    reports[0].answers[name] = mistake
    reports[-1].answers[name] = restyled(mistake, random.Random(2))
    pairs = near_identical(reports, given=release)
    assert names(pairs) == [(reports[0].student, reports[-1].student)]
