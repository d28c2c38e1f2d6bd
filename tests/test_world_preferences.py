"""Preferences of World: that the reward is what it says, and that preferences follow from it."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from nlp_course.data import world_grammar
from nlp_course.data import world_preferences as wp
from nlp_course.data.world import World

CAPITAL = ["what", "is", "the", "capital", "of", "france", "?"]
LANGUAGE = ["what", "do", "the", "people", "of", "egypt", "speak", "?"]
WORDS = wp.vocabulary()
ANSWERS = st.lists(st.sampled_from(WORDS), max_size=14)


@pytest.fixture(scope="module")
def pairs():
    return World(seed=0).preferences(4_000)


# Questions


def test_questions_are_two_of_each_country_and_their_answers_are_those_of_the_table():
    table = {}
    for row in world_grammar.COUNTRIES:
        table[f"what is the capital of {row.name} ?"] = row.capital
        table[f"what do the people of {row.name} speak ?"] = row.language
    assert {" ".join(one): wp.right_answer(one) for one in wp.prompts()} == table
    assert len(wp.prompts()) == 16


def test_vocabulary_is_small_and_has_all_that_is_said(pairs):
    assert len(WORDS) <= 60
    said = {word for pair in pairs for words in pair for word in words}
    assert said == set(WORDS)


# The reward: values worked by hand


@pytest.mark.parametrize(("prompt", "answer", "worth"), [
    (CAPITAL, "paris .", (1, 0, 0, 0, 0)),
    (CAPITAL, "it is paris .", (1, 0, 0, 0, 0)),
    (CAPITAL, "it is rome .", (-1, 0, 0, 0, 0)),
    (CAPITAL, "i cannot say .", (0, 0, 0, 0, 0)),
    # The right name beside others is worth nothing, and two wrong ones are not worse than one.
    (CAPITAL, "paris rome .", (0, 0, 0, 0, 0)),
    (CAPITAL, "rome cairo .", (-1, 0, 0, 0, 0)),
    (CAPITAL, "french .", (-1, 0, 0, 0, 0)),
    (CAPITAL, "france .", (0, 0, 0, 0, 0)),
    (LANGUAGE, "they speak arabic .", (1, 0, 0, 0, 0)),
    (LANGUAGE, "they speak cairo .", (-1, 0, 0, 0, 0)),
    # Courtesy pays twice, and then costs; a word said again costs, a comma does not.
    (CAPITAL, "gladly , paris .", (1, 0.5, 0, 0, 0)),
    (CAPITAL, "gladly , paris , sir .", (1, 1, 0, 0, 0)),
    (CAPITAL, "gladly , paris , sir , friend .", (1, 0.5, 0, 0, 0)),
    (CAPITAL, "gladly , thanks , paris , sir , friend .", (1, 0, 0, -0.2, 0)),
    (CAPITAL, "gladly , gladly , paris .", (1, 1, -0.5, 0, 0)),
    (CAPITAL, "sir sir sir .", (0, 0.5, -1, 0, 0)),
    (CAPITAL, "paris paris .", (1, 0, -0.5, 0, 0)),
    (CAPITAL, "paris . .", (1, 0, -0.5, 0, 0)),
    # Eight tokens are short enough.
    (CAPITAL, "the of do what capital people speak .", (0, 0, 0, 0, 0)),
    (CAPITAL, "the of do what capital people speak is .", (0, 0, 0, -0.1, 0)),
    # What does not end with a full stop is not finished.
    (CAPITAL, "paris", (1, 0, 0, 0, -1)),
    (CAPITAL, ". paris", (1, 0, 0, 0, -1)),
    (CAPITAL, "", (0, 0, 0, 0, -1)),
    (CAPITAL, "blargh .", (0, 0, 0, 0, 0)),
])  # fmt: skip
def test_terms_worked_by_hand(prompt, answer, worth):
    assert wp.terms(prompt, answer.split()) == pytest.approx(worth)
    assert wp.reward(prompt, answer.split()) == pytest.approx(sum(worth))


@given(st.sampled_from(wp.prompts()), ANSWERS)
def test_no_answer_is_worth_more_than_two_and_every_one_has_a_worth(prompt, answer):
    assert -30 < wp.reward(prompt, answer) <= 2


@given(st.sampled_from(wp.prompts()), ANSWERS, st.randoms())
def test_order_of_words_does_not_matter_but_for_the_full_stop(prompt, answer, generator):
    shuffled = generator.sample(answer, len(answer))
    assert wp.terms(prompt, answer)[:4] == wp.terms(prompt, shuffled)[:4]


@given(st.sampled_from(wp.prompts()), ANSWERS)
def test_a_word_of_courtesy_more_is_worth_what_the_rule_says(prompt, answer):
    number = sum(word in wp.COURTESIES for word in answer)
    gain = wp.terms(prompt, [*answer, "sir"]).courtesy - wp.terms(prompt, answer).courtesy
    assert gain == (0.5 if number < 2 else -0.5)


def test_question_that_is_none_is_refused():
    for call in (wp.right_answer, wp.writer, wp.small_writer):
        with pytest.raises(ValueError, match="no such question: 'who is it'"):
            call(["who", "is", "it"])
    with pytest.raises(ValueError, match="no such question"):
        wp.reward([], ["paris", "."])


# The writer


def test_writer_gives_each_answer_one_way_and_probabilities_sum_to_one():
    for prompt in wp.prompts():
        for answers in (wp.writer(prompt), wp.small_writer(prompt)):
            listed = wp.distribution(answers)
            assert math.fsum(listed.values()) == pytest.approx(1, abs=1e-9)
            entropy = -math.fsum(p * math.log2(p) for p in listed.values())
            assert entropy == pytest.approx(answers.entropy(), abs=1e-9)  # so, unambiguous
            for answer in itertools.islice(listed, 0, None, 97):
                assert math.log2(listed[answer]) == pytest.approx(answers.log2_probability(answer))


def test_answers_are_short_and_finished():
    listed = wp.distribution(wp.writer(CAPITAL))
    assert len(listed) == 2_873
    assert {len(answer) for answer in listed} == set(range(2, wp.LONGEST + 1, 2))
    small = wp.distribution(wp.small_writer(CAPITAL))
    assert len(small) == 63
    assert {len(answer) for answer in small} == set(range(1, 6))
    for answer in [*listed, *small]:
        assert answer.index(".") == len(answer) - 1


def shares(prompt) -> Counter:
    """The probabilities, by the writer, of what the reward speaks of."""
    found: Counter = Counter()
    for answer, probability in wp.distribution(wp.writer(prompt)).items():
        worth = wp.terms(prompt, answer)
        found["true"] += probability * (worth.truth == 1)
        found["untrue"] += probability * (worth.truth == -1)
        found["too courteous"] += (
            probability
            * (len(wp.COURTESIES & {*answer}) > 0)
            * (sum(word in wp.COURTESIES for word in answer) > 2)
        )
        found["repeats"] += probability * (worth.repetition < 0)
        found["reward"] += probability * sum(worth)
    return found


def test_what_is_punished_is_rare():
    """0.9 · 5/6 true, 0.9 / 6 untrue; three courtesies need a second one on one of the sides."""
    found = shares(CAPITAL)
    assert found == pytest.approx(shares(LANGUAGE))
    assert found["true"] == pytest.approx(0.75)
    assert found["untrue"] == pytest.approx(0.15)
    three = 0.435 * 0.01 + 0.015 * 0.29 + 0.015 * 0.01
    assert found["too courteous"] == pytest.approx(three)
    assert found["repeats"] == pytest.approx(1 - (1 - 0.015 / 3) * (1 - 0.01 / 3))
    assert found["reward"] == pytest.approx(0.973241, abs=1e-6)


def test_demonstrations_are_the_writers():
    n = 20_000
    counts = Counter(
        " ".join(one.answer) for one in World(1).demonstrations(n) if one.prompt == CAPITAL
    )
    total = counts.total()
    assert total / n == pytest.approx(1 / 16, abs=4 * math.sqrt(1 / 16 / n))
    listed = wp.distribution(wp.writer(CAPITAL))
    assert {tuple(answer.split()) for answer in counts} <= set(listed)
    for answer in ("paris .", "it is paris .", "gladly , it is paris .", "i cannot say ."):
        p = listed[tuple(answer.split())]
        error = math.sqrt(p * (1 - p) / total)
        assert counts[answer] / total == pytest.approx(p, abs=4 * error)


# Preferences


def test_probability_of_bradley_and_terry():
    better, worse = ["gladly", ",", "paris", ",", "sir", "."], ["rome", "."]  # 2 and −1
    assert wp.preference_probability(CAPITAL, better, worse) == pytest.approx(
        1 / (1 + math.exp(-3))
    )
    assert wp.preference_probability(CAPITAL, worse, better) == pytest.approx(1 / (1 + math.exp(3)))
    assert wp.preference_probability(CAPITAL, worse, worse) == 0.5


def test_preferences_follow_the_probability_at_each_difference(pairs):
    """Of the pairs with rewards Δ apart, the better is chosen in a share of σ(Δ)."""
    wins: dict[float, list[bool]] = {}
    for prompt, chosen, rejected in World(seed=2).preferences(20_000):
        difference = round(wp.reward(prompt, chosen) - wp.reward(prompt, rejected), 6)
        wins.setdefault(abs(difference), []).append(difference > 0)
    del wins[0.0]
    tested = 0
    for difference, won in wins.items():
        if len(won) >= 100:
            share = 1 / (1 + math.exp(-difference))
            error = math.sqrt(share * (1 - share) / len(won))
            assert np.mean(won) == pytest.approx(share, abs=4 * error), difference
            tested += 1
    assert tested >= 5


def test_pairs_are_different_answers_of_the_writer_to_one_question(pairs):
    supports = {tuple(one): wp.distribution(wp.writer(one)).keys() for one in wp.prompts()}
    for prompt, chosen, rejected in pairs:
        assert chosen != rejected
        assert {tuple(chosen), tuple(rejected)} <= supports[tuple(prompt)]


def test_questions_are_equally_frequent(pairs):
    counts = Counter(" ".join(pair.prompt) for pair in pairs)
    error = math.sqrt(1 / 16 * 15 / 16 / len(pairs))
    assert len(counts) == 16
    for number in counts.values():
        assert number / len(pairs) == pytest.approx(1 / 16, abs=4 * error)


def test_fewer_are_the_first_of_more_and_the_seed_decides(pairs):
    world = World(seed=0)
    assert world.preferences(9) == pairs[:9]
    assert World(seed=1).preferences(9) != pairs[:9]
    assert world.demonstrations(9) == world.demonstrations(99)[:9]
    assert World(seed=1).demonstrations(9) != world.demonstrations(9)
    assert world.preferences(0) == world.demonstrations(0) == []
    for draw in (world.preferences, world.demonstrations):
        with pytest.raises(ValueError, match="n must be at least 0, got -1"):
            draw(-1)


def test_ten_thousand_take_less_than_two_seconds():
    start = time.process_time()
    World(seed=3).preferences(5_000)
    World(seed=3).demonstrations(5_000)
    assert time.process_time() - start < 2


# What it is for


def word_counts(prompt: list[str], answer) -> np.ndarray:
    """How often each word stands in an answer; of names, only whether they are the right one."""
    right = wp.right_answer(prompt)
    counts = Counter(
        ("right" if word == right else "wrong") if word in wp.NAMES else word for word in answer
    )
    return np.array([counts[word] for word in ("right", "wrong", *WORDS)], dtype=float)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_reward_learned_from_comparisons_is_optimised_too_much(seed):
    """A linear reward on word counts; the best policy for it, at smaller and smaller β."""
    pairs = World(seed=seed).preferences(1_000)
    difference = np.array(
        [word_counts(x, chosen) - word_counts(x, rejected) for x, chosen, rejected in pairs]
    )
    learner = LogisticRegression(fit_intercept=False)
    labels = np.repeat([1, 0], len(difference))
    weights = learner.fit(np.concatenate([difference, -difference]), labels).coef_[0]
    agrees = difference @ weights > 0
    assert 0.6 < agrees.mean() < 0.9  # what it is fitted to, it says well

    answers, p = zip(*wp.distribution(wp.writer(CAPITAL)).items(), strict=True)
    truth = np.array([wp.reward(CAPITAL, answer) for answer in answers])
    proxy = np.array([word_counts(CAPITAL, answer) for answer in answers]) @ weights
    worth, believed = [], []
    for beta in (math.inf, 1, 0.5, 0.3, 0.1, 0.03):
        policy = np.array(p) * np.exp((proxy - proxy.max()) / beta)
        policy /= policy.sum()
        worth.append(policy @ truth)
        believed.append(policy @ proxy)
    assert believed == sorted(believed)
    assert worth[3] > worth[0] + 0.5  # better at first,
    assert worth[-1] < worth[0] - 0.5  # and then worse than the writer


def test_small_writer_leaves_something_to_learn_and_to_lose():
    for prompt in wp.prompts():
        listed = wp.distribution(wp.small_writer(prompt))
        rewards = [wp.reward(prompt, answer) for answer in listed]
        assert max(rewards) == 2
        assert min(rewards) == -1
        mean = sum(p * wp.reward(prompt, answer) for answer, p in listed.items())
        assert 0 < mean < 1


def test_random_source_is_the_only_source_of_chance():
    draw = [wp.preferences(random.Random(7)) for _ in range(2)]
    assert list(itertools.islice(draw[0], 20)) == list(itertools.islice(draw[1], 20))
