"""Batches of examples that are nearly as long, and padding."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course.batching import pad, similar_lengths  # noqa: E402

LENGTHS = np.random.default_rng(0).integers(0, 60, size=1000)
ids_of_sequences = st.lists(
    st.lists(st.integers(0, 99), max_size=7).map(lambda ids: np.array(ids, dtype=np.int64)),
    min_size=1,
    max_size=6,
)


def batches_of(lengths=LENGTHS, batch_size=16, pool=100, seed=0):
    return similar_lengths(lengths, batch_size, np.random.default_rng(seed), pool)


def padding(batches):
    """Share of padded places."""
    places = sum(len(batch) * LENGTHS[batch].max() for batch in batches)
    return 1 - LENGTHS.sum() / places


# Similar lengths


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=80),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(0, 9),
)
@settings(deadline=None)
def test_each_example_is_in_one_batch(lengths, batch_size, pool, seed):
    batches = batches_of(np.array(lengths), batch_size, pool, seed)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    assert all(np.all(np.diff(np.array(lengths)[batch]) >= 0) for batch in batches)


def test_in_one_pool_batches_do_not_overlap_in_length():
    batches = sorted(batches_of(pool=10_000), key=lambda batch: LENGTHS[batch].mean())
    for shorter, longer in pairwise(batches):
        assert LENGTHS[shorter].max() <= LENGTHS[longer].min()


def test_padding_is_less_than_in_batches_at_random():
    rows = np.random.default_rng(0).permutation(len(LENGTHS))
    at_random = padding(np.split(rows, range(16, len(rows), 16)))
    assert at_random > 0.4
    assert padding(batches_of(pool=1)) == pytest.approx(at_random, abs=0.03)
    assert padding(batches_of(pool=10)) < 0.15
    assert padding(batches_of(pool=100)) < 0.05


def test_batches_of_similar_lengths_come_in_random_order():
    means = [LENGTHS[batch].mean() for batch in batches_of()]
    ranks = np.argsort(np.argsort(means))
    assert abs(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1]) < 0.4


def test_the_same_generator_gives_the_same_batches_and_another_gives_others():
    one, same, other = ([batch.tolist() for batch in batches_of(seed=s)] for s in (0, 0, 1))
    assert one == same
    assert sorted(one) != sorted(other)  # other neighbours, not only another order


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"pool": 0}, "pool must be at least 1, got 0"),
        ({"lengths": np.array([], dtype=np.int64)}, "there are no examples"),
    ],
)
def test_impossible_batches_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        batches_of(**options)


# Padding


@given(ids_of_sequences, st.integers(-100, 0))
@settings(deadline=None)
def test_what_was_padded_can_be_cut_out_again(sequences, value):
    ids, lengths = pad(sequences, value)
    assert ids.shape == (len(sequences), max(map(len, sequences)))
    for row, length, sequence in zip(ids.tolist(), lengths.tolist(), sequences, strict=True):
        assert row[:length] == sequence.tolist()
        assert set(row[length:]) <= {value}


def test_padding_is_that_of_torch():
    sequences = [np.array([3, 1, 4]), np.array([1, 5, 9, 2]), np.array([6])]
    expected = torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(ids) for ids in sequences], batch_first=True, padding_value=7
    )
    assert torch.equal(pad(sequences, 7)[0], expected)


def test_rows_of_numbers_are_padded_as_ids_are():
    features = [np.ones((2, 3, 4), dtype=np.float32), np.ones((1, 3, 4), dtype=np.float32)]
    rows, lengths = pad(features)
    assert rows.shape == (2, 2, 3, 4)
    assert rows.dtype == torch.float32
    assert rows.sum(dim=(2, 3)).tolist() == [[12, 12], [12, 0]]
    assert lengths.tolist() == [2, 1]


def test_there_must_be_something_to_pad():
    with pytest.raises(ValueError, match="no sequences to pad"):
        pad([])
