"""Short answers against gold ones: right to the letter, or how many words are right."""

from __future__ import annotations

import re
import string
from collections import Counter

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(a|an|the)\b")


def normalized_answer(answer: str) -> list[str]:
    """An answer's words as SQuAD compares them: lower case, no punctuation, no English article.

    Examples
    --------
    >>> normalized_answer("The Beatles' first record.")
    ['beatles', 'first', 'record']
    """
    return _ARTICLE.sub(" ", answer.lower().translate(_PUNCTUATION)).split()


def exact_match(answer: str, *gold: str) -> bool:
    """Whether the answer is, normalised, one of the gold ones.

    Raises
    ------
    ValueError : there is no gold answer; of a question without an answer the gold one is "".

    References
    ----------
    Rajpurkar et al. 2016, SQuAD: 100,000+ Questions for Machine Comprehension of Text.

    Examples
    --------
    >>> exact_match("the Alps.", "Alps", "the Swiss Alps")
    True
    """
    _check(gold)
    return any(normalized_answer(answer) == normalized_answer(one) for one in gold)


def token_f1(answer: str, *gold: str) -> float:
    """The words shared with a gold answer, of several the best: 2 |A ∩ G| / (|A| + |G|).

    A word counts as often as both have it. Where one of the two is empty after it is normalised,
    the value is 1 if both are, and 0 otherwise.

    Raises
    ------
    ValueError : there is no gold answer.

    References
    ----------
    Rajpurkar et al. 2016; 2018, Know What You Don't Know, for empty answers.

    Examples
    --------
    >>> token_f1("in the Swiss Alps", "the Alps")
    0.5
    """
    _check(gold)
    return max(_f1(normalized_answer(answer), normalized_answer(one)) for one in gold)


def _f1(ours: list[str], theirs: list[str]) -> float:
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * (Counter(ours) & Counter(theirs)).total() / (len(ours) + len(theirs))


def _check(gold: tuple[str, ...]) -> None:
    if not gold:
        raise ValueError('give at least one gold answer; "" where the question has none')
