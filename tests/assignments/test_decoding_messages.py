"""08-decoding: the tests that students see tell these usual mistakes by name."""

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
NAME = "08-decoding"
SOURCE = COURSE.root / f"solutions/{NAME}/{NAME}.ipynb"

pytestmark = [
    pytest.mark.assignments,
    pytest.mark.skipif(not SOURCE.exists(), reason="this copy of the course holds no solutions"),
]

# question, mistake in mutants.py, and what the message says
SAID = [
    ("q01-temperature", "multiplied by T", "divided by T, not multiplied"),
    ("q01-temperature", "T is not used", "is T used, and on logits, not on probabilities?"),
    ("q01-temperature", "probabilities divided by T", "on logits, not on probabilities?"),
    ("q01-temperature", "overflows", "Subtract the largest logit first"),
    ("q01-temperature", "T = 0: the first of the largest", "and share the probability"),
    ("q02-top-k", "all that tie are kept, as in the course's package", "that ties with the third"),
    ("q02-top-k", "ties: larger ids, the order turned round", "the smallest id is kept, 0"),
    ("q02-top-k", "not made to sum to 1", "divide what is kept by its sum"),
    ("q03-nucleus", "without the token that crosses", "The token that crosses p belongs"),
    ("q03-nucleus", "one more than needed", "at least p, and not more than p"),
    ("q03-nucleus", "rounding decides", "a rounded sum reaches p from p - 10⁻⁶ on"),
    ("q03-nucleus", "p = 1 drops what is rare", "p = 1 keeps every token that is possible"),
    ("q03-nucleus", "ties: larger ids", "the smaller id comes first"),
    ("q03-nucleus", "all that tie with the last", "all that tie with the last one"),
    ("q04-chain", "penalty divides all", "-1 / 2 would raise it"),
    ("q04-chain", "penalty each time", "still divided by θ once"),
    (
        "q04-chain",
        "penalty: the prompt counts, as in the package",
        "only what comes after",
    ),
    ("q04-chain", "penalty each time, prompt and all", "once for each token, and only for those"),
    ("q04-chain", "steps turned round", "yours is what the other order gives"),
    ("q04-chain", "min-p always last", "steps are taken in the order given"),
    ("q04-chain", "min-p: p itself", "and not 0.3 itself"),
    ("q04-chain", "no-repeat: the prompt does not count", "the prompt counts here"),
    ("q05-beam", "END takes no place, as in the package", "END takes a place"),
    ("q05-beam", "END is not counted", "the length n counts END"),
    ("q05-beam", "END's own log p is left out", "END's log p counts"),
    ("q05-beam", "ends when enough texts have ended", "Does your search end too early?"),
    ("q05-beam", "ends by the present score", "Does your search end too early?"),
    ("q05-beam", "in the order in which they ended", "Is the best first?"),
    ("q05-beam", "never ends early", "the search is over, and asks no more"),
    ("q05-beam", "what has not ended is a result, as in the package", "and is no result"),
    ("q06-wider", "the chapter's table", "they are equally likely: that would be luck"),
    ("q06-wider", "the chapter's table, moved apart, for every k", "crowding(2): 2 beams find"),
    ("q06-wider", "the crowd does not crowd out", "at most 0.95 times as likely"),
    ("q06-wider", "words without a row", "'so-so' follows 'good' and has no row"),
    ("q07-bleu", "not clipped", "no single reference has it more than twice"),
    ("q07-bleu", "references' counts added up", "no single reference has it more than twice"),
    ("q07-bleu", "mean of sentences", "add counts of all sentences first"),
    ("q07-bleu", "the longest reference", "the nearest in length counts"),
    ("q07-bleu", "the shortest reference", "not the shortest reference"),
    ("q07-bleu", "equally near: the first one", "the shorter one counts"),
    ("q07-bleu", "no root", "the N-th root of the product is missing"),
    ("q07-bleu", "precisions of 0 left out", "there is no smoothing"),
    ("q08-subsequence", "the longest run", "other tokens may stand between"),
    ("q08-subsequence", "tokens in any order", "the order counts"),
    ("q08-subsequence", "β on the other side", "β² stands beside P"),
    ("q08-subsequence", "the largest L", "the largest F counts, not L"),
    ("q09-perplexity", "mean of perplexities", "not the mean of 4 and 32"),
    ("q09-perplexity", "mean of the texts' means", "every TOKEN weighs alike"),
    ("q09-perplexity", "multiplied by the mask", "Do you multiply by the mask"),
    ("q09-perplexity", "padding is at the end", "take padding to be at the end only?"),
    ("q09-perplexity", "characters", "one letter and two bytes"),
    ("q10-variety", "distinct: divided by tokens", "not by tokens"),
    ("q10-variety", "n-grams run over the ends", "do not run over the end of a text"),
    ("q10-variety", "repeated: short texts count as 0", "is left out of the mean"),
    ("q10-variety", "shared: also within one text", "and in no other"),
    ("q11-bootstrap", "mean of sentences", "add right ones and totals first, then divide"),
    ("q11-bootstrap", "interpolated quantiles", "nothing is interpolated"),
    ("q11-bootstrap", "smallest and largest", "so two are left out at each end"),
    ("q11-bootstrap", "0 is better", "-1, 0 and 0, are 0 or less"),
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
