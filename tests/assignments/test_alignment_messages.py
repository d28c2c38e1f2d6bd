"""09-alignment: the tests that students see tell these usual mistakes by name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlp_course.grading.course import Course
from nlp_course.grading.notebooks import read_notebook

pytest.importorskip("torch", reason="torch is not installed")

COURSE = Course(Path(__file__).parents[2])
NAME = "09-alignment"
SOURCE = COURSE.root / f"solutions/{NAME}/{NAME}.ipynb"

pytestmark = [
    pytest.mark.assignments,
    pytest.mark.skipif(not SOURCE.exists(), reason="this copy of the course holds no solutions"),
]

# question, mistake in mutants.py, and what the message says
SAID = [
    ("q01-masks", "not shifted", "its target is the next token"),
    ("q01-masks", "assistant is asked for", "the model is not asked for it"),
    ("q01-masks", "end is not asked for", "without it a model would not learn to stop"),
    ("q01-masks", "the last response only", "the responses of all turns"),
    ("q01-masks", "what is pad is no target", "do not look for padding by its number"),
    ("q01-masks", "positions of the row", "begin at 0 anew with each text"),
    ("q01-masks", "causal over the row", "the second text must not see the first"),
    ("q01-masks", "rows one too short", "two fill the first row"),
    ("q02-log-probability", "not shifted", "token t is predicted at place t − 1"),
    ("q02-log-probability", "mean", "the sum over the tokens, not their mean"),
    ("q02-log-probability", "an end in the prompt", "the `end` in the prompt ends nothing"),
    ("q02-log-probability", "prompt and answer", "tokens of the prompt, too"),
    ("q02-log-probability", "0 times nan", "0 * nan is nan"),
    ("q02-log-probability", "log of the softmax", "−inf where the softmax is 0"),
    ("q03-preferences", "the other way round", "the other way round"),
    ("q03-preferences", "counts turned round", "counts[i, j] belongs to P[i, j]"),
    ("q03-preferences", "0 times infinity", "0 · log 0 is nan"),
    ("q03-preferences", "log of a little more", "A small number added within the logarithm"),
    ("q04-ranking", "order as ranks", "It is not the rank of answer 0"),
    ("q04-ranking", "gradient in the order of ranks", "put each number back to its answer"),
    ("q04-ranking", "neighbours only", "not only those of neighbours"),
    ("q04-ranking", "worst first", "lists the best answer first"),
    ("q04-ranking", "pulls by the right order", "a pair in the right order pulls less"),
    ("q05-optimum", "times beta", "divided by β, not multiplied"),
    ("q05-optimum", "sorted prices", "which need not be sorted"),
    ("q05-optimum", "β = 0: all best ones alike", "share in proportion to the reference"),
    ("q05-optimum", "the largest of all rewards", "only among those that the reference gives"),
    ("q05-optimum", "clipped exponents", "subtract the largest of those that the reference gives"),
    ("q05-optimum", "reverse divergence", "yours is KL(π_ref ‖ π*)"),
    ("q06-best-of-n", "bound for the divergence", "stays below the bound for n > 1"),
    ("q06-best-of-n", "equal ones share alike", "share ¾ as 0.3 to 0.2"),
    ("q06-best-of-n", "wins without ties", "equal rewards count ½"),
    ("q07-divergence", "mean under the reference", "all means are under π"),
    ("q07-divergence", "k3: ρ in place of its inverse", "yours is ρ − 1 − log ρ"),
    ("q07-divergence", "k3's mean is the divergence", "k3 is biased"),
    ("q07-divergence", "those drawn, weighed once more", "both count alike"),
    ("q08-gradient", "π r", "leaves out that the probabilities sum to 1"),
    ("q08-gradient", "expected square", "yours is the expected square of g"),
    ("q08-gradient", "all actions alike", "weigh their squared distances"),
    ("q08-gradient", "best: the expected reward", "0.5 is E[r]"),
    ("q09-token-rewards", "score at every token", "at the LAST token alone"),
    ("q09-token-rewards", "score in place of the price", "it does not take its place"),
    ("q09-token-rewards", "nothing left out", "behind an answer's end stands 0"),
    ("q10-advantages", "δ without what comes after", "its last δ is r + γ after − V"),
    ("q10-advantages", "V of the place behind", "V after the last token is `after`"),
    ("q10-advantages", "normalised with padding", "counts the zeros behind their ends"),
    ("q10-advantages", "normalised by sample deviation", "not by one less"),
    ("q11-clip", "clip alone", "take the minimum of both terms"),
    ("q11-clip", "no clip", "nothing is clipped"),
    ("q11-clip", "gradient by the ratio", "the derivative of ρ by log_p is ρ itself"),
    ("q11-clip", "mean of the answers' means", "one mean over all tokens"),
    ("q11-clip", "mean over all places", "not all 4 places"),
    ("q12-dpo", "the first always wins", "or the winner (first_wins is False"),
    ("q12-dpo", "no reference", "the reference is missing"),
    ("q12-dpo", "gradient without beta", "has the factor β"),
    ("q12-dpo", "accuracy by probability", "yours compares probabilities"),
    ("q12-dpo", "ipo: beta times the gap", "β is not multiplied with Δ"),
    ("q12-dpo", "ipo: never pulled back", "a gap beyond the goal costs, too"),
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
    monkeypatch.setenv("NLP_COURSE_GRADING", "1")
    names: dict[str, Any] = {}
    exec(cells()["setup"], names)
    exec(mistakes()[question][mistake], names)
    with np.errstate(all="ignore"), pytest.raises(AssertionError, match=re.escape(said)):
        exec(cells()[f"{question}-tests"], names)
