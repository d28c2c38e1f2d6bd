"""How good what a model wrote is, measured against what people wrote."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

ORDER = 4  # the longest n-grams that BLEU looks at


class Bleu(NamedTuple):
    """BLEU in percent, and what it is made of.

    score : BP · (p_1 p_2 p_3 p_4)^{1/4}
    precisions : p_1 … p_4, in percent, smoothed
    brevity_penalty : BP
    length, reference_length : tokens of all hypotheses, and of the references nearest in length
    """

    score: float
    precisions: tuple[float, ...]
    brevity_penalty: float
    length: int
    reference_length: int


def bleu(hypotheses: Sequence[Sequence[str]], *references: Sequence[Sequence[str]]) -> Bleu:
    """BLEU of a translated text: how many of its n-grams a reference has, and whether it is long.

    BLEU = BP · exp(Σ_{n=1}^{4} ¼ log p_n),  BP = min(1, e^{1 − r/c})

    p_n is the share of the hypotheses' n-grams that are right. An n-gram is right as often as the
    one reference has it that has it most often. c is the length of all hypotheses, r that of their
    references; of several, the one nearest in length counts, the shorter of two. All counts are
    summed over the text first.

    Where no n-gram of an order is right, p_n is smoothed: the first such order counts half an
    n-gram as right, the next a quarter, and so on. It is 0 where no unigram, and so nothing, is
    right, or where no hypothesis has 4 tokens.

    Parameters
    ----------
    hypotheses : tokens of each sentence; results can be compared only if tokens were cut alike
    references : one text or more, each with a translation of every sentence

    Raises
    ------
    ValueError : there is no sentence or no reference, or the texts differ in length.

    References
    ----------
    Papineni et al. 2002, BLEU: a Method for Automatic Evaluation of Machine Translation.
    Chen and Cherry 2014, A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU,
    method 3.
    Post 2018, A Call for Clarity in Reporting BLEU Scores, whose sacrebleu gives the same scores.

    Examples
    --------
    >>> hypothesis = "the cat sat on a mat".split()
    >>> score = bleu([hypothesis], ["the cat sat on the mat".split()])
    >>> round(score.score, 1), [round(p, 1) for p in score.precisions]
    (53.7, [83.3, 60.0, 50.0, 33.3])
    """
    if not references:
        raise ValueError("BLEU compares with references: give at least one")
    if not len(hypotheses):
        raise ValueError("there is no sentence to score")
    for number, text in enumerate(references, 1):
        if len(text) != len(hypotheses):
            raise ValueError(
                f"each hypothesis needs a sentence in each reference, got {len(hypotheses)} "
                f"hypotheses and {len(text)} sentences in reference {number}"
            )
    right, total = [0] * ORDER, [0] * ORDER
    length = reference_length = 0
    for hypothesis, *alternatives in zip(hypotheses, *references, strict=True):
        length += len(hypothesis)
        lengths = [len(reference) for reference in alternatives]
        reference_length += min(lengths, key=lambda size: (abs(size - len(hypothesis)), size))
        for n in range(1, ORDER + 1):
            counts = _ngrams(hypothesis, n)
            most: Counter[tuple[str, ...]] = Counter()
            for reference in alternatives:
                most |= _ngrams(reference, n)  # the larger of two counts
            right[n - 1] += (counts & most).total()  # the smaller
            total[n - 1] += counts.total()

    penalty = 1.0
    if length < reference_length:
        penalty = math.exp(1 - reference_length / length) if length else 0.0
    if not any(right):
        return Bleu(0.0, (0.0,) * ORDER, penalty, length, reference_length)
    precisions, half = [], 1.0
    for hits, number in zip(right, total, strict=True):
        if not hits:
            half /= 2
        precisions.append(100 * (hits or half) / number if number else 0.0)
    score = 0.0
    if min(precisions) > 0:
        score = penalty * math.exp(sum(map(math.log, precisions)) / ORDER)
    return Bleu(score, tuple(precisions), penalty, length, reference_length)


def _ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))
