"""ROUGE: how much of a reference summary a summary has, in n-grams and in words in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from nlp_course.text import ngrams


class Rouge(NamedTuple):
    """The share of the hypothesis that is right, of the reference that is found, and both in one.

    precision : right, of what was written
    recall : right, of what was to be written
    f1 : their harmonic mean, 0 where nothing is right
    """

    precision: float
    recall: float
    f1: float


def rouge_n(hypothesis: Sequence[str], reference: Sequence[str], n: int) -> Rouge:
    """ROUGE-n: the n-grams that a summary and its reference share, each as often as both have it.

    recall = Σ_g min(c(g), r(g)) / Σ_g r(g), precision the same over Σ_g c(g); c and r count the
    n-grams g of the hypothesis and of the reference. All three are 0 where either has none.

    Parameters
    ----------
    hypothesis, reference : tokens; results can be compared only if tokens were cut alike
    n : how many words make an n-gram; ROUGE-1 and ROUGE-2 are usual

    Raises
    ------
    ValueError : n < 1.

    References
    ----------
    Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries. Google's rouge-score gives the
    same numbers.

    Examples
    --------
    >>> rouge_n("the cat sat".split(), "the cat sat on the mat".split(), 1)
    Rouge(precision=1.0, recall=0.5, f1=0.666...)
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    ours, theirs = Counter(ngrams(hypothesis, n)), Counter(ngrams(reference, n))
    return _rouge((ours & theirs).total(), ours.total(), theirs.total())


def rouge_l(hypothesis: Sequence[str], reference: Sequence[str]) -> Rouge:
    """ROUGE-L: the longest common subsequence, words in the same order, others between them or not.

    recall = LCS(hypothesis, reference) / length of the reference, precision = LCS / length of the
    hypothesis. All three are 0 where either is empty.

    Examples
    --------
    >>> rouge_l("the mat has a cat".split(), "the cat sat on the mat".split()).recall  # the … cat
    0.333...
    """
    length = _lcs_table(reference, hypothesis)[-1][-1]
    return _rouge(length, len(hypothesis), len(reference))


def rouge_lsum(hypothesis: Sequence[Sequence[str]], reference: Sequence[Sequence[str]]) -> Rouge:
    """ROUGE-L of several sentences: what any sentence of the hypothesis has of each reference one.

    A word of a reference sentence is found if it is in the longest common subsequence with at least
    one sentence of the hypothesis; no word counts more often than either text has it.

    Parameters
    ----------
    hypothesis, reference : tokens of each sentence

    References
    ----------
    Lin 2004, section 3.2, with the counts clipped as in ROUGE-1.5.5 and rouge-score.
    """
    left = Counter(token for sentence in hypothesis for token in sentence)
    wanted = Counter(token for sentence in reference for token in sentence)
    size, reference_size = left.total(), wanted.total()
    found: Counter[str] = Counter()
    for sentence in reference:
        places = set().union(*(_lcs_places(sentence, other) for other in hypothesis))
        found.update(sentence[place] for place in places)
    return _rouge((found & left & wanted).total(), size, reference_size)


def _rouge(right: int, size: int, reference_size: int) -> Rouge:
    if not right:
        return Rouge(0.0, 0.0, 0.0)
    return Rouge(right / size, right / reference_size, 2 * right / (size + reference_size))


def _lcs_table(reference: Sequence[str], hypothesis: Sequence[str]) -> list[list[int]]:
    """The longest common subsequence of the first i words of one and the first j of the other."""
    table = [[0] * (len(hypothesis) + 1)]
    for word in reference:
        above, row = table[-1], [0]
        for j, other in enumerate(hypothesis):
            row.append(above[j] + 1 if word == other else max(above[j + 1], row[j]))
        table.append(row)
    return table


def _lcs_places(reference: Sequence[str], hypothesis: Sequence[str]) -> set[int]:
    """Places in the reference of one longest common subsequence."""
    table = _lcs_table(reference, hypothesis)
    i, j, places = len(reference), len(hypothesis), set()
    while i and j:
        if reference[i - 1] == hypothesis[j - 1]:
            i, j = i - 1, j - 1
            places.add(i)
        # Which of several is taken matters where counts are clipped: as rouge-score does.
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places
