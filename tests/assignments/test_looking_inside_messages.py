"""10-looking-inside: the tests that students see tell these usual mistakes by name."""

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
NAME = "10-looking-inside"
SOURCE = COURSE.root / f"solutions/{NAME}/{NAME}.ipynb"

pytestmark = [
    pytest.mark.assignments,
    pytest.mark.skipif(not SOURCE.exists(), reason="this copy of the course holds no solutions"),
]

# question, mistake in mutants.py, and what the message says
SAID = [
    ("q01-index", "presence alone", "a posting says how often"),
    ("q01-index", "as often, and not more", "at least as often, not exactly"),
    ("q01-index", "repetitions do not matter", "How often a word stands in the query matters"),
    ("q01-index", "a missing word is left out", "no document has x, so none has a and x"),
    ("q02-scoring", "no k1 + 1", "a factor is missing"),
    ("q02-scoring", "repetitions in the query in full", "and not 2"),
    ("q02-scoring", "each repetition once more", "yours counts dog's part twice"),
    ("q02-scoring", "no halves", "without the two halves"),
    ("q02-scoring", "empty documents are none", "the empty document belongs to N, too"),
    ("q02-scoring", "L without empty documents", "the empty one counts, too"),
    ("q02-scoring", "ties in the order of arrival", "in alphabetical order"),
    ("q03-measures", "ties in the order of the list", "a tie counts as lost"),
    ("q03-measures", "ties as won", "a tie counts as lost"),
    ("q03-measures", "reciprocal rank from 0", "with r counted from 1"),
    ("q03-measures", "lowest score first", "begins with the highest score"),
    ("q03-measures", "linear gain", "is 2^g - 1, and not g"),
    ("q03-measures", "discount of the original", "1, 1.58, 2 for the first three"),
    ("q03-measures", "discount by the rank", "log2(i + 1), and not i"),
    ("q03-measures", "best of those found", "not of the first k alone"),
    ("q03-measures", "best of all documents", "is of its first k as well"),
    ("q04-in-batch", "not halved", "twice too large"),
    ("q04-in-batch", "sum over pairs", "by B for the pairs"),
    ("q04-in-batch", "copies are negatives", "so it is left out"),
    ("q04-in-batch", "copies on one side alone", "on one side alone"),
    ("q04-in-batch", "copies are right, too", "no second right answer"),
    ("q04-in-batch", "one side", "a passage looks for its question, too"),
    ("q04-in-batch", "the other side", "a question looks for its passage, too"),
    ("q04-in-batch", "overflows", "subtract the maximum"),
    ("q05-lens", "no norm", "the norm is missing"),
    ("q05-lens", "RMS norm", "does not subtract the mean"),
    ("q05-lens", "from 0", "counted from 1"),
    ("q05-lens", "ties as won", "a tie counts as lost"),
    ("q05-lens", "norm over positions", "comes of nan"),
    ("q05-lens", "shift before the gain", "first multiply by g, then add h"),
    ("q05-lens", "no shift", "the shift is missing"),
    ("q05-lens", "variance by d - 1", "divided by d, and not by d - 1"),
    ("q05-lens", "the first place with rank 1", "from there on to the end"),
    ("q05-lens", "settled from the last", "the FIRST of the places"),
    ("q05-lens", "never is the last place", "settled at 1, 1, 1, 0"),
    ("q06-knockout-mask", "the extra layer above", "lies below than above"),
    ("q06-knockout-mask", "moved inwards", "yours are moved inwards"),
    ("q06-knockout-mask", "not causal", "the mask stays causal"),
    ("q06-knockout-mask", "an empty row", "edge to itself comes back"),
    ("q06-knockout-mask", "all come back", "ONLY the edge to itself"),
    ("q06-knockout-mask", "nan", "0 · inf is nan"),
    ("q07-knockout", "absolute", "divide by p"),
    ("q07-knockout", "of what is left", "not by p_cut"),
    ("q07-knockout", "quotient", "not p_cut / p"),
    ("q07-knockout", "logarithms", "not their logarithms"),
    ("q07-knockout", "masks grow", "begin with fresh masks"),
    ("q07-knockout", "twice as wide", "one layer wide"),
    ("q07-knockout", "goes round", "is cut off"),
    ("q07-knockout", "begins below the first", "layer -1 is no layer"),
    ("q07-knockout", "read after the padding", "the others are padding"),
    ("q07-knockout", "hidden from all", "No other row is cut"),
    ("q07-knockout", "hidden from all texts", "Has each text its own mask?"),
    ("q07-knockout", "not causal", "all rows causal"),
    ("q08-patching", "hooks stay", "hooks are still on the model"),
    ("q08-patching", "one hook stays", "hooks are still on the model"),
    ("q08-patching", "hooks stay after an error", "Take it off in `finally:`"),
    ("q08-patching", "hooks are taken off at the end", "Take it off in `finally:`"),
    ("q08-patching", "writes into the model", "change none of its tensors"),
    ("q08-patching", "all positions", "one vector is exchanged, that of position t"),
    ("q08-patching", "what goes into the block", "what comes OUT of the block"),
    ("q08-patching", "the roles turned round", "the roles are turned round"),
    ("q08-patching", "from the clean end", "0 where nothing comes back"),
    ("q08-patching", "probability", "not its probability"),
    ("q08-patching", "logit", "not its logit"),
    ("q08-patching", "0/0", "are both m alike?"),
    ("q09-probe", "a label for each row", "draw for each type, not for each row"),
    ("q09-probe", "the last label never", "all equally likely"),
    ("q09-probe", "rows are split", "no type may be on both sides"),
    ("q09-probe", "no constant", "the constant is missing"),
    ("q09-probe", "the constant is penalized", "the constant c is not penalized"),
    ("q09-probe", "the mean of Y is forgotten", "add the mean of Y"),
    ("q09-probe", "the mean of the new rows", "that of the rows to learn from"),
    ("q09-probe", "no penalty", "the penalty is missing"),
    ("q09-probe", "times the rows", "not times the number of rows"),
    ("q09-probe", "judged where it was trained", "judge on the rows of `test` alone"),
    ("q10-attributes", "stop words stay in the k", "the stop word is not among those"),
    ("q10-attributes", "divided by k", "the share is of 4, and not of k"),
    ("q10-attributes", "an attribute twice", "an id counts once"),
    ("q10-attributes", "the last layer", "the FIRST layer"),
    ("q10-attributes", "from 1", "layers are counted from 0"),
    ("q10-attributes", "layer 0 is None", "Layer 0 is a layer, and not None"),
    ("q10-attributes", "share of layers and texts", "a share of the texts"),
    ("q11-correlation", "covariance", "yours is the covariance"),
    ("q11-correlation", "no roots", "the ROOTS of the sums of squares"),
    ("q11-correlation", "a constant by its squares", "so compare the numbers"),
    ("q11-correlation", "ties in the order of the list", "share the mean of ranks 1 and 2"),
    ("q11-correlation", "the formula without ties", "holds without ties only"),
    ("q11-correlation", "out of x alone", "out of y, too"),
    ("q11-correlation", "out of y alone", "out of x, too"),
    ("q11-correlation", "a line through 0", "the line has a constant"),
    ("q11-correlation", "rounding is data", "what is left is rounding, not data"),
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
