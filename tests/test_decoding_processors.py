"""Processors of logits: what each leaves, alone, in a row, and beside Hugging Face's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course.decoding_processors import (  # noqa: E402
    MinP,
    NoRepeatNgram,
    NothingLeftError,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopP,
    Typical,
    check_possible,
    processed,
)

NOTHING = torch.zeros(1, 0, dtype=torch.long)


def logits_of(*probabilities):
    return torch.tensor([probabilities], dtype=torch.float64).log()


def nothing(logits):
    """As many texts, without a token."""
    return NOTHING.expand(len(logits), -1)


def kept(processor, logits, ids=NOTHING):
    """Places that are left."""
    return (processor(ids, logits)[0] > -torch.inf).nonzero()[:, 0].tolist()


# Identities and limits


@pytest.mark.parametrize(
    "processor",
    [Temperature(1), TopK(99), TopP(1.0), MinP(1e-30), Typical(1.0), RepetitionPenalty(1)],
)
def test_at_its_neutral_value_a_processor_changes_nothing(processor):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(50, (4, 7), generator=generator)
    for spread in (0.1, 1.0, 5.0):
        logits = spread * torch.randn(4, 50, generator=generator)
        assert torch.equal(processor(ids, logits), logits)


def test_the_whole_nucleus_keeps_a_tail_that_single_precision_loses():
    # Added up from the likeliest, the sum is 1 long before the end.
    logits = torch.cat([torch.zeros(1), torch.full((5000,), -19.0)])[None]
    for processor in (TopP(1.0), Typical(1.0)):
        assert (processor(NOTHING, logits) > -torch.inf).all()


@pytest.mark.parametrize("processor", [TopK(1), TopP(1e-9), MinP(1.0)])
def test_at_the_other_limit_the_likeliest_is_left(processor):
    assert kept(processor, logits_of(0.2, 0.5, 0.3)) == [1]
    assert kept(processor, logits_of(0.2, 0.5, 0.3).float()) == [1]  # where 1 − p rounds to 1


def test_a_forbidden_token_stays_forbidden():
    logits = torch.tensor([[1.0, -torch.inf, 0.5, 0.0]])
    ids = torch.tensor([[1, 3, 1]])
    for processor in (
        Temperature(0.5), Temperature(2.0), TopK(4), TopP(1.0), TopP(0.9), MinP(0.01),
        Typical(0.9), Typical(1.0), RepetitionPenalty(1.5), NoRepeatNgram(2),
    ):  # fmt: skip
        found = processor(ids, logits)
        assert found[0, 1] == -torch.inf
        assert not found.isnan().any()


# Worked by hand


@pytest.mark.parametrize(
    ("p", "places"), [(0.5, [0]), (0.51, [0, 1]), (0.79, [0, 1]), (0.81, [0, 1, 2]), (1, [0, 1, 2])]
)
def test_the_nucleus_is_the_fewest_tokens_that_reach_p(p, places):
    assert kept(TopP(p), logits_of(0.5, 0.3, 0.2)) == places


def test_a_nucleus_that_has_exactly_p_is_enough():
    assert len(kept(TopP(0.5), torch.zeros(1, 4))) == 2
    assert len(kept(TopP(0.51), torch.zeros(1, 4))) == 3


def test_equal_tokens_all_belong_to_the_k_likeliest():
    assert kept(TopK(2), torch.tensor([[3.0, 1.0, 2.0, 2.0]])) == [0, 2, 3]


def test_min_p_keeps_more_where_the_model_is_less_sure():
    assert kept(MinP(0.2), logits_of(0.9, 0.06, 0.04)) == [0]
    assert kept(MinP(0.2), logits_of(0.4, 0.35, 0.25)) == [0, 1, 2]
    assert kept(MinP(0.5), logits_of(0.4, 0.35, 0.25)) == [0, 1, 2]
    assert kept(MinP(0.65), logits_of(0.4, 0.35, 0.25)) == [0, 1]


def test_typical_leaves_out_the_likeliest_where_it_says_too_little():
    p = [0.6] + [0.05] * 8  # surprises 0.51 and 3.00, H = 1.50: 0.99 and 1.49 away
    assert kept(Typical(0.1), logits_of(*p)) == [0]
    q = [0.4] + [0.12] * 5  # surprises 0.92 and 2.12, H = 1.64: 0.72 and 0.48 away
    assert kept(Typical(0.1), logits_of(*q)) == [1, 2, 3, 4, 5]
    assert kept(Typical(0.7), logits_of(*q)) == [0, 1, 2, 3, 4, 5]


def test_repetition_is_penalised_once_however_often_a_token_came():
    logits = torch.tensor([[4.0, -4.0, 4.0, 0.0]])
    found = RepetitionPenalty(2)(torch.tensor([[0, 0, 0, 1]]), logits)
    assert found.tolist() == [[2.0, -8.0, 4.0, 0.0]]


def test_the_repetition_penalty_depends_on_where_zero_is():
    ids, logits = torch.tensor([[0]]), torch.tensor([[1.0, 0.0]])
    same = torch.softmax(logits + 10, dim=1) - torch.softmax(logits, dim=1)
    assert same.abs().max() < 1e-6
    lowered = [torch.softmax(RepetitionPenalty(1.2)(ids, logits + c), 1)[0, 0] for c in (0, 10)]
    assert lowered[0] - lowered[1] > 0.3


@pytest.mark.parametrize(
    ("n", "ids", "forbidden"),
    [
        (1, [1, 3], [1, 3]),
        (2, [1, 2, 3, 1], [2]),
        (2, [1, 2, 1, 3, 1], [2, 3]),
        (2, [1, 1], [1]),
        (3, [1, 2, 3, 1, 2], [3]),
        (3, [1, 2, 3, 2, 1], []),
        (3, [1, 2], []),
        (3, [1, 1, 1], [1]),
        (4, [], []),
    ],
)
def test_no_ngram_comes_again(n, ids, forbidden):
    found = NoRepeatNgram(n)(torch.tensor([ids], dtype=torch.long), torch.zeros(1, 5))
    assert found.isneginf()[0].nonzero()[:, 0].tolist() == forbidden


def test_each_is_put_on_what_the_one_before_leaves():
    logits = logits_of(0.5, 0.3, 0.2)
    one = processed([Temperature(2.0), TopP(0.75)], NOTHING, logits)
    other = processed([TopP(0.75), Temperature(2.0)], NOTHING, logits)
    assert (one > -torch.inf).sum() == 3  # √p: 0.42, 0.32, 0.26
    assert (other > -torch.inf).sum() == 2
    torch.testing.assert_close(torch.softmax(other, 1)[0, 0].item(), 0.5635, atol=1e-4, rtol=0)
    assert processed([], NOTHING, logits) is logits


# The same as Hugging Face's

PAIRS = [
    ("TemperatureLogitsWarper", Temperature, [0.3, 1.7]),
    ("TopKLogitsWarper", TopK, [1, 3, 40]),
    ("TopPLogitsWarper", TopP, [0.01, 0.4, 0.95]),
    ("MinPLogitsWarper", MinP, [0.02, 0.3, 1.0]),
    ("TypicalLogitsWarper", Typical, [0.05, 0.5, 0.95]),
    ("RepetitionPenaltyLogitsProcessor", RepetitionPenalty, [0.7, 1.3]),
    ("NoRepeatNGramLogitsProcessor", NoRepeatNgram, [1, 2, 3]),
]


@pytest.mark.parametrize(("name", "ours", "values"), PAIRS, ids=[pair[0] for pair in PAIRS])
def test_logits_are_those_of_hugging_faces_processor(name, ours, values):
    process = pytest.importorskip("transformers.generation.logits_process")
    generator = torch.Generator().manual_seed(1)
    for value in values:
        theirs = getattr(process, name)(value)
        for spread in (0.5, 3.0):
            logits = spread * torch.randn(64, 30, generator=generator)
            ids = torch.randint(6, (64, 12), generator=generator)
            expected = theirs(ids, logits.clone())
            torch.testing.assert_close(ours(value)(ids, logits), expected)


# Over random inputs

LOGITS = arrays.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 9)),
                       elements=st.integers(-6, 6).map(float))  # fmt: skip
SHARES = st.floats(0.01, 1)


@given(LOGITS, st.integers(1, 9), SHARES)
def test_what_is_kept_keeps_its_logit_and_is_likelier_than_what_is_not(numbers, k, p):
    logits = torch.from_numpy(numbers)
    for processor in (TopK(k), TopP(p), MinP(p)):
        for row, found in zip(logits, processor(nothing(logits), logits), strict=True):
            inside = found > -torch.inf
            assert inside.any()
            assert torch.equal(found[inside], row[inside])
            assert not (~inside).any() or row[~inside].max() <= row[inside].min()


@given(LOGITS, st.integers(1, 9), SHARES)
def test_each_keeps_as_many_as_it_must_and_no_more(numbers, k, p):
    for row in torch.from_numpy(numbers)[:, None]:
        probability = torch.softmax(row, dim=-1)[0]
        assert len(kept(TopK(k), row)) >= min(k, row.shape[1])
        nucleus = probability[kept(TopP(p), row)]
        assert nucleus.sum() >= p - 1e-9
        assert len(nucleus) == 1 or nucleus.sum() - nucleus.min() < p + 1e-9
        inside = (processed([MinP(p)], NOTHING, row) > -torch.inf)[0]
        ratio = probability / probability.max()
        assert (ratio[inside] >= p - 1e-9).all()
        assert (ratio[~inside] < p + 1e-9).all()
        typical = kept(Typical(p), row)
        assert probability[typical].sum() >= p - 1e-9


@given(LOGITS, st.data())
def test_an_ngram_is_forbidden_if_and_only_if_the_text_has_it(numbers, data):
    logits = torch.from_numpy(numbers)
    size = logits.shape[1]
    n = data.draw(st.integers(1, 3))
    text = data.draw(st.lists(st.integers(0, size - 1), max_size=8))
    ids = torch.tensor([text] * len(logits), dtype=torch.long)
    found = NoRepeatNgram(n)(ids, logits)
    seen = {tuple(text[at : at + n]) for at in range(len(text) - n + 1)}
    for token in range(size):
        new = tuple([*text, token][-n:])
        assert (found[0, token] == -torch.inf) == (len(text) >= n and new in seen)


@given(LOGITS, st.floats(0.05, 20))
def test_temperature_keeps_the_order_and_turns_probabilities_into_powers(numbers, t):
    logits = torch.from_numpy(numbers)
    powers = torch.softmax(logits, dim=-1) ** (1 / t)
    expected = powers / powers.sum(dim=-1, keepdim=True)
    torch.testing.assert_close(torch.softmax(Temperature(t)(nothing(logits), logits), -1), expected)


# Bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Temperature(0), "temperature must be above 0 .* got 0; greedy is the limit"),
        (lambda: Temperature(-1.0), "temperature must be above 0"),
        (lambda: Temperature(math.inf), "temperature must be above 0 and finite"),
        (lambda: Temperature(math.nan), "temperature must be above 0 and finite"),
        (lambda: TopK(0), "k must be at least 1, got 0"),
        (lambda: TopP(0.0), "p must be above 0 and at most 1, got 0.0"),
        (lambda: TopP(1.1), "p must be above 0 and at most 1"),
        (lambda: MinP(-0.1), "p must be above 0 and at most 1"),
        (lambda: MinP(math.nan), "p must be above 0 and at most 1"),
        (lambda: Typical(2), "p must be above 0 and at most 1"),
        (lambda: RepetitionPenalty(0), "theta must be above 0"),
        (lambda: RepetitionPenalty(math.inf), "theta must be above 0 and finite"),
        (lambda: NoRepeatNgram(0), "n must be at least 1, got 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ([-math.inf, -math.inf], "are all −∞"),
        ([math.nan, 0.0], "are not all numbers"),
        ([math.inf, 0.0], "are not all numbers"),
    ],
)
def test_logits_that_no_token_can_be_chosen_by_are_refused(row, why):
    check_possible(torch.tensor([[0.0, -math.inf]]))
    with pytest.raises(NothingLeftError, match=rf"text 1: its logits {why}"):
        check_possible(torch.tensor([[0.0, -math.inf], row]))
