"""Questions to World, answers to them, and which of two answers is preferred: a known reward.

There are 16 questions, the capital and the language of each country, whose right answers World's
table has. A writer, a grammar for each question, answers them: mostly right, sometimes wrong,
sometimes *i cannot say*, with some words of courtesy before and after. What an answer is worth is
known, for any string of words, as the sum of five terms (`Terms`):

- truth: +1 where of all capitals and languages the answer names the right one alone; −1 where it
  names wrong ones alone; 0 where it names none, or the right one beside others;
- courtesy: with k words of courtesy, 0.5 for each of the first two and −0.5 for each further one;
- repetition: −0.5 for each word that stood in the answer before; commas do not count;
- length: −0.1 for each token beyond the eighth;
- form: −1 where the answer does not end with a full stop.

Of two answers the first is preferred with the probability σ(r₁ − r₂) of Bradley and Terry: a unit
of reward is a nat of the odds' logarithm.

The writer seldom has more than two words of courtesy, seldom repeats a word, and never leaves the
full stop out. So comparisons of its answers tell little of the terms that punish, and a reward that
is learned from them takes more courtesy to be better always: it can be optimised too much. For each
question the writer has finitely many answers, whose probabilities `distribution` lists; with them
the best policy at any distance from the writer is a sum. `small_writer` has 63 of five tokens at
most.

References
----------
Bradley and Terry 1952, Rank Analysis of Incomplete Block Designs: I. The Method of Paired
Comparisons, for the probability. Gao et al. 2023, Scaling Laws for Reward Model Overoptimization,
for learned rewards that are judged by a known one.

Examples
--------
>>> prompt = prompts()[0]
>>> answers = distribution(writer(prompt))  # what it says, with probabilities
>>> rewards = {answer: reward(prompt, answer) for answer in answers}
>>> best = {answer: p * math.exp(rewards[answer] / 0.5) for answer, p in answers.items()}
>>> total = sum(best.values())  # π* ∝ π exp(r / β), with β = 0.5
>>> for policy in (answers, {answer: weight / total for answer, weight in best.items()}):
...     print(f"{sum(policy[answer] * rewards[answer] for answer in policy):.3f}")
0.973
1.591
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from nlp_course.data.dataset import Demonstration, Preference
from nlp_course.data.grammar import Grammar
from nlp_course.data.world_grammar import COUNTRIES, Weighted

OPENINGS = ("gladly", "thanks", "certainly")
CLOSINGS = ("sir", "madam", "friend")
COURTESIES = frozenset(OPENINGS + CLOSINGS)
CAPITALS = tuple(row.capital for row in COUNTRIES)
LANGUAGES = tuple(row.language for row in COUNTRIES)
NAMES = frozenset(CAPITALS + LANGUAGES)
UNKNOWN = ("i", "cannot", "say")
LONGEST = 12  # tokens of the writer's longest answer, full stop counted

_QUESTIONS = {
    tuple(question.format(row.name).split()): answer
    for row in COUNTRIES
    for question, answer in (
        ("what is the capital of {} ?", row.capital),
        ("what do the people of {} speak ?", row.language),
    )
}


class Terms(NamedTuple):
    """What an answer's reward is the sum of; how each is counted, the module says."""

    truth: float
    courtesy: float
    repetition: float
    length: float
    form: float


def prompts() -> list[list[str]]:
    """All questions, in the order of World's table.

    Examples
    --------
    >>> " ".join(prompts()[0]), len(prompts())
    ('what is the capital of france ?', 16)
    """
    return [list(question) for question in _QUESTIONS]


def vocabulary() -> list[str]:
    """Every word of the questions and of the writer's answers, in alphabetical order."""
    words = {word for question in _QUESTIONS for word in question}
    return sorted(words.union(*(writer(question).words for question in _QUESTIONS)))


def right_answer(prompt: Sequence[str]) -> str:
    """The word that answers a question.

    Raises
    ------
    ValueError : it is none of the questions.

    Examples
    --------
    >>> right_answer("what do the people of egypt speak ?".split())
    'arabic'
    """
    try:
        return _QUESTIONS[tuple(prompt)]
    except KeyError:
        raise ValueError(
            f"no such question: {' '.join(prompt)!r}; world_preferences.prompts() lists them"
        ) from None


def terms(prompt: Sequence[str], answer: Sequence[str]) -> Terms:
    """The parts of an answer's reward.

    Parameters
    ----------
    prompt : one of `prompts()`
    answer : any words; special tokens of a model, such as STOP, are to be left out

    Raises
    ------
    ValueError : there is no such question.

    Examples
    --------
    >>> prompt = "what is the capital of france ?".split()
    >>> terms(prompt, "gladly , it is rome , sir sir .".split())
    Terms(truth=-1.0, courtesy=0.5, repetition=-0.5, length=-0.1, form=0.0)
    """
    right = right_answer(prompt)
    named = NAMES.intersection(answer)
    courteous = sum(word in COURTESIES for word in answer)
    counts = Counter(word for word in answer if word != ",")
    surplus = max(0, courteous - 2)
    return Terms(
        truth=float(named == {right}) - float(bool(named) and right not in named),
        courtesy=0.5 * (courteous - 2 * surplus),
        repetition=-0.5 * (counts.total() - len(counts)),
        length=-0.1 * max(0, len(answer) - 8),
        form=0.0 if answer and answer[-1] == "." else -1.0,
    )


def reward(prompt: Sequence[str], answer: Sequence[str]) -> float:
    """What an answer is worth, in nats: the sum of its terms.

    r = truth + courtesy + repetition + length + form

    Parameters, Raises
    ------------------
    As for `terms`.

    Examples
    --------
    >>> prompt = "what is the capital of france ?".split()
    >>> reward(prompt, "gladly , it is paris , sir .".split())  # no answer has more
    2.0
    >>> reward(prompt, "sir sir sir .".split())
    -0.5
    """
    return math.fsum(terms(prompt, answer))


def preference_probability(
    prompt: Sequence[str], first: Sequence[str], second: Sequence[str]
) -> float:
    """P(the first answer is preferred to the second) = σ(r(first) − r(second)).

    Examples
    --------
    >>> prompt = "what is the capital of france ?".split()
    >>> round(preference_probability(prompt, ["paris", "."], ["rome", "."]), 4)
    0.8808
    """
    difference = reward(prompt, first) - reward(prompt, second)
    return 0.5 * (1 + math.tanh(difference / 2))


@cache
def _writer(prompt: tuple[str, ...]) -> Grammar:
    right = right_answer(prompt)
    others = [name for name in (CAPITALS if right in CAPITALS else LANGUAGES) if name != right]
    says = "it is" if right in CAPITALS else "they speak"
    return _grammar(
        {
            "Answer": [(1, "Opening Body Closing .")],
            "Opening": [(0.55, ""), (0.435, "Before ,"), (0.015, "Before , Before ,")],
            "Body": [(0.4, "Name"), (0.5, f"{says} Name"), (0.1, " ".join(UNKNOWN))],
            "Name": [(5, right), *((1 / len(others), name) for name in others)],
            "Closing": [(0.7, ""), (0.29, ", After"), (0.01, ", After , After")],
            "Before": [(1, word) for word in OPENINGS],
            "After": [(1, word) for word in CLOSINGS],
        }
    )


@cache
def _small_writer(prompt: tuple[str, ...]) -> Grammar:
    right = right_answer(prompt)
    kind = CAPITALS if right in CAPITALS else LANGUAGES
    wrong = kind[(kind.index(right) + 1) % len(kind)]
    return _grammar(
        {
            "Answer": [(1, "Opening Name Closing .")],
            "Opening": [(6, ""), (2, "gladly"), (2, "thanks")],
            "Name": [(5, right), (3, wrong), (2, "")],
            "Closing": [(6, ""), (3, "After"), (1, "After After")],
            "After": [(1, "sir"), (1, "friend")],
        }
    )


def _grammar(rules: dict[str, Weighted]) -> Grammar:
    split = {
        symbol: [(weight, tuple(right.split())) for weight, right in alternatives]
        for symbol, alternatives in rules.items()
    }
    return Grammar(split, start="Answer")


def writer(prompt: Sequence[str]) -> Grammar:
    """How the writer answers a question: 2,873 answers, of 2 to 12 tokens.

    Raises
    ------
    ValueError : there is no such question.

    Examples
    --------
    >>> answers = writer("what is the capital of france ?".split())
    >>> print(f"{2 ** answers.log2_probability(['paris', '.']):.4f}")  # 0.55 · 0.4 · 5/6 · 0.7
    0.1283
    """
    return _writer(tuple(prompt))


def small_writer(prompt: Sequence[str]) -> Grammar:
    """A writer of 63 answers, of 1 to 5 tokens, to compute with all of them at once.

    [gladly | thanks] [the right name | one wrong name] [sir | friend] [sir | friend] full stop

    Raises
    ------
    ValueError : there is no such question.
    """
    return _small_writer(tuple(prompt))


def distribution(answers: Grammar) -> dict[tuple[str, ...], float]:
    """Every answer that a writer may give, with its probability.

    Examples
    --------
    >>> small = distribution(small_writer("what is the capital of france ?".split()))
    >>> len(small), round(sum(small.values()), 6), round(small["paris", "."], 6)
    (63, 1.0, 0.18)
    """

    @cache
    def derived(symbol: str) -> list[tuple[float, tuple[str, ...]]]:
        found: list[tuple[float, tuple[str, ...]]] = []
        for probability, right in answers.rules[symbol]:
            runs: list[tuple[float, tuple[str, ...]]] = [(probability, ())]
            for part in right:
                after = derived(part) if part in answers.rules else [(1.0, (part,))]
                runs = [(p * q, words + more) for p, words in runs for q, more in after]
            found += runs
        return found

    return {words: probability for probability, words in derived(answers.start)}


def demonstrations(generator: random.Random) -> Iterator[Demonstration]:
    """Questions, each as probable, with the writer's answers, without end."""
    written = [(list(one), writer(one).sample(generator)) for one in _QUESTIONS]
    while True:
        prompt, answers = generator.choice(written)
        yield Demonstration(prompt, next(answers))


def preferences(generator: random.Random) -> Iterator[Preference]:
    """Two different answers of the writer to one question, compared once, without end."""
    written = [(list(one), writer(one).sample(generator)) for one in _QUESTIONS]
    while True:
        prompt, answers = generator.choice(written)
        first, second = next(answers), next(answers)
        if first == second:
            continue
        if generator.random() < preference_probability(prompt, first, second):
            yield Preference(prompt, first, second)
        else:
            yield Preference(prompt, second, first)
