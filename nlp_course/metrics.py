"""How good what a model wrote is, measured against what people wrote: BLEU and chrF.

Both count runs that two texts share: BLEU of words, chrF of characters. The other rooms:
`metrics_summaries` has ROUGE, `metrics_answers` short answers, `metrics_vectors` the match of
vectors, `metrics_probabilities` whether a model knows how sure to be, `metrics_judges` how far
judges agree.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from nlp_course.judging import Interval, bootstrap

ORDER = 4  # the longest n-grams that BLEU looks at
CHARACTER_ORDER = 6  # the same of chrF
PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


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
    return bleu_of_counts(bleu_counts(hypotheses, *references).sum(axis=0))


def bleu_counts(
    hypotheses: Sequence[Sequence[str]], *references: Sequence[Sequence[str]]
) -> Int[np.ndarray, "sentence 10"]:
    """What BLEU sums over the sentences: n-grams that are right (4), n-grams (4), lengths (2).

    BLEU of any part of a text is `bleu_of_counts` of the sum of its rows. So a thousand samples of
    the sentences cost a thousand sums, and no n-gram is counted twice.

    Raises
    ------
    ValueError : as for `bleu`.
    """
    _check_texts("BLEU", hypotheses, references)
    rows = []
    for hypothesis, *alternatives in zip(hypotheses, *references, strict=True):
        lengths = [len(reference) for reference in alternatives]
        nearest = min(lengths, key=lambda size: (abs(size - len(hypothesis)), size))
        right, total = [], []
        for n in range(1, ORDER + 1):
            counts = _ngrams(hypothesis, n)
            most: Counter[tuple[str, ...]] = Counter()
            for reference in alternatives:
                most |= _ngrams(reference, n)  # the larger of two counts
            right.append((counts & most).total())  # the smaller
            total.append(counts.total())
        rows.append([*right, *total, len(hypothesis), nearest])
    return np.array(rows)


def bleu_of_counts(counts: Int[np.ndarray, "10"]) -> Bleu:
    """BLEU of a text, from the sum of its sentences' `bleu_counts`."""
    right, total = counts[:ORDER].tolist(), counts[ORDER : 2 * ORDER].tolist()
    length, reference_length = counts[2 * ORDER :].tolist()
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


def bleu_interval(
    hypotheses: Sequence[Sequence[str]],
    *references: Sequence[Sequence[str]],
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """BLEU, and its bootstrap interval over sentences.

    Raises
    ------
    ValueError : as for `bleu` and `judging.bootstrap`.

    References
    ----------
    Koehn 2004, Statistical Significance Tests for Machine Translation Evaluation.
    """
    score = _resampled(bleu_counts(hypotheses, *references))
    return bootstrap(score, len(hypotheses), resamples=resamples, confidence=confidence, seed=seed)


def bleu_difference(
    first: Sequence[Sequence[str]],
    second: Sequence[Sequence[str]],
    *references: Sequence[Sequence[str]],
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """BLEU of the first translations minus that of the second, and its paired bootstrap interval.

    Both are judged on the same drawn sentences, so what makes a sentence hard for both cancels.

    Raises
    ------
    ValueError : as for `bleu` and `judging.bootstrap`.
    """
    one, two = (_resampled(bleu_counts(text, *references)) for text in (first, second))
    return bootstrap(
        lambda drawn: one(drawn) - two(drawn),
        len(first),
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )


def _resampled(
    counts: Int[np.ndarray, "sentence 10"],
) -> Callable[[Int[np.ndarray, "resample n"]], Float[np.ndarray, "resample"]]:
    return lambda drawn: np.array([bleu_of_counts(row).score for row in counts[drawn].sum(axis=1)])


def chrf(
    hypotheses: Sequence[str],
    *references: Sequence[str],
    words: int = 0,
    beta: float | int = 2,
) -> float:
    """Runs of 1 to 6 characters that translation and reference share: chrF, in percent.

    chrF = (1 + β²) P R / (β² P + R)

    P is the share of the translation's character n-grams that the reference has, R the share of the
    reference's that the translation has, each a mean over n = 1 … 6; β = 2 counts recall twice as
    much. Blanks are left out. All counts are summed over the text first. An order of which the
    translations or the references have no n-gram is left out of the means; nothing in common is 0.

    Parameters
    ----------
    hypotheses : sentences as they are, not cut into words
    references : one text or more, each with a translation of every sentence; of several, each
        sentence counts with the one that it matches best
    words : word n-grams up to this length count, too; 2 makes it chrF++
    beta : how much recall counts

    Raises
    ------
    ValueError : there is no sentence or no reference, the texts differ in length, words is
        negative, or beta not above 0.

    References
    ----------
    Popović 2015, chrF: Character n-gram F-score for Automatic MT Evaluation; 2017, chrF++.
    Post 2018, whose sacrebleu gives the same scores.

    Examples
    --------
    >>> round(chrf(["surfing"], ["surfboard"]), 1), chrf(["surf"], ["surf"])
    (22.4, 100.0)
    """
    _check_texts("chrF", hypotheses, references)
    if words < 0 or not beta > 0:
        raise ValueError(f"words must be at least 0 and beta above 0, got {words} and {beta}")
    total = np.zeros((CHARACTER_ORDER + words, 3), dtype=np.int64)
    for hypothesis, *alternatives in zip(hypotheses, *references, strict=True):
        ours = _chrf_ngrams(hypothesis, words)
        counts = [_chrf_counts(ours, _chrf_ngrams(text, words)) for text in alternatives]
        total += max(counts, key=lambda one: _f_beta(one, beta))
    return _f_beta(total, beta)


def _chrf_ngrams(sentence: str, words: int) -> list[Counter[tuple[str, ...]]]:
    """n-grams of characters without blanks, n = 1 … 6, and of words."""
    characters = "".join(sentence.split())
    tokens: list[str] = []
    for word in sentence.split():
        if len(word) > 1 and word[-1] in PUNCTUATION:
            tokens += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in PUNCTUATION:
            tokens += [word[0], word[1:]]
        else:
            tokens.append(word)
    return [
        *(_ngrams(characters, n) for n in range(1, CHARACTER_ORDER + 1)),
        *(_ngrams(tokens, n) for n in range(1, words + 1)),
    ]


def _chrf_counts(
    ours: list[Counter[tuple[str, ...]]], theirs: list[Counter[tuple[str, ...]]]
) -> Int[np.ndarray, "order 3"]:
    """n-grams of the hypothesis, of the reference, and of both."""
    return np.array(
        [
            # sacrebleu's rule: where the reference has none of this length, nothing is counted.
            (one.total() if other else 0, other.total(), (one & other).total())
            for one, other in zip(ours, theirs, strict=True)
        ]
    )


def _f_beta(counts: Int[np.ndarray, "order 3"], beta: float | int) -> float:
    ours, theirs, both = counts[(counts[:, :2] > 0).all(axis=1)].T
    if not both.sum():
        return 0.0
    precision, recall = (both / ours).mean(), (both / theirs).mean()
    return float(100 * (1 + beta**2) * precision * recall / (beta**2 * precision + recall))


def _check_texts(
    score: str, hypotheses: Sequence[object], references: Sequence[Sequence[object]]
) -> None:
    if not references:
        raise ValueError(f"{score} compares with references: give at least one")
    if not len(hypotheses):
        raise ValueError("there is no sentence to score")
    for number, text in enumerate(references, 1):
        if len(text) != len(hypotheses):
            raise ValueError(
                f"each hypothesis needs a sentence in each reference, got {len(hypotheses)} "
                f"hypotheses and {len(text)} sentences in reference {number}"
            )


def _ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))
