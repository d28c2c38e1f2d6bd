"""06-transformer: the tests that students see tell these usual mistakes by name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nlp_course.grading.course import Course
from nlp_course.grading.notebooks import read_notebook

pytest.importorskip("torch", reason="torch is not installed")

COURSE = Course(Path(__file__).parents[2])
NAME = "06-transformer"
SOURCE = COURSE.root / f"solutions/{NAME}/{NAME}.ipynb"

pytestmark = [
    pytest.mark.assignments,
    pytest.mark.skipif(not SOURCE.exists(), reason="this copy of the course holds no solutions"),
]

# question, mistake in mutants.py, and what the message says
SAID = [
    ("q01-attention", "softmax over axis 1", "softmax over dim=-1"),
    ("q02-saturation", "the root as well", "you divide by √d as well"),
    ("q03-masks", "0 times infinity", "0 · inf is nan"),
    ("q03-masks", "0 times infinity, and nan made 0", "Did nan_to_num make zeros of nan?"),
    ("q04-heads", "keys and values from x", "yours are made of `x`, as in self-attention"),
    ("q04-heads", "keys from x", "keys are memory @ W_k; yours are made of `x`"),
    ("q04-heads", "values from x", "values are memory @ W_v; yours are made of `x`"),
    ("q04-heads", "queries from the memory", "queries are x @ W_q; yours are made of `memory`"),
    ("q04-heads", "x answers and the memory asks", "`x` asks and `memory` answers"),
    ("q06-rotary", "always float32", "bfloat16 in, bfloat16 out"),
    ("q06-rotary", "places in the type of x", "angles in float32 or float64"),
    ("q07-layer-norm", "over axis 1", "x (2, 1, 4): means over dim=-1"),
    ("q07-layer-norm", "∂x: a mean of all tokens", "over all tokens together"),
    ("q07-layer-norm", "∂x: the other mean of all tokens", "over all tokens together"),
    ("q07-layer-norm", "∂x: both means of all tokens", "over all tokens together"),
    ("q07-layer-norm", "∂x: means over the tokens", "or both, over the tokens"),
    ("q07-layer-norm", "∂x: means over axis 1", "y (2, 1, 4): ∂J/∂x"),
    ("q08-block", "cut without turning", "heads are cut by reshape(B, T, h, d/h)"),
    ("q08-block", "merged without turning", "heads are merged by transpose(1, 2)"),
    ("q08-block", "cut and merged without turning", "transpose(1, 2) is missing"),
    ("q08-block", "cut into heads before queries, keys and values", "is cut into three first"),
    ("q11-cache", "tokens in all layers", "'tokens' is not 20"),
    ("q11-cache", "scores of all layers", "'scores' is not 55: the scores are those of one head"),
    ("q11-cache", "one more call", "'scores' is not 16: 3 calls"),
    ("q11-cache", "one layer is kept", "'kept' is not 32: all 5 layers keep"),
    ("q11-cache", "the last token is kept, too", "'kept' is not 200: the last token"),
    ("q12-gpt", "one block for all layers", "are all layers one block?"),
]


@cache
def cells() -> dict[str, str]:
    return {cell.id: cell.source for cell in read_notebook(SOURCE).cells}


@cache
def mistakes() -> Any:
    return COURSE.known_answers(NAME)[0]


@pytest.mark.parametrize(("question", "mistake", "said"), SAID)
def test_what_a_student_sees_names_the_mistake(
    question: str, mistake: str, said: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("NLP_COURSE_GRADING", raising=False)
    names: dict[str, Any] = {}
    exec(cells()["setup"], names)
    exec(mistakes()[question][mistake], names)
    with pytest.raises(AssertionError, match=re.escape(said)):
        exec(cells()[f"{question}-tests"], names)
