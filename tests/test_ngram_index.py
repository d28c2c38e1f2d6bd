"""The hash table beside a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course.ngram_index import CodeIndex, Level

codes = st.integers(0, 2**62)


@given(st.sets(codes, min_size=1, max_size=200), st.lists(codes, max_size=50))
def test_rows_are_those_of_a_dictionary_and_minus_one_outside(kept, asked):
    rising = sorted(kept)
    rows = {code: row for row, code in enumerate(rising)}
    asked = [*asked, *rising, -1, -(2**40)]
    found = CodeIndex(np.array(rising)).find(np.array(asked))
    assert found.tolist() == [rows.get(code, -1) for code in asked]


@pytest.mark.parametrize("length", [1, 127, 128, 129, 2**15, 2**15 + 1])
def test_all_rows_are_found_where_their_type_grows(length):
    kept = 3 * np.arange(length)
    index = CodeIndex(kept)
    np.testing.assert_array_equal(index.find(kept), np.arange(length))
    assert (index.find(kept + 1) == -1).all()
    assert index.find(kept).dtype == np.int64


def test_codes_that_want_the_last_slot_go_on_at_the_first():
    # Nine codes get 64 slots: the upper 6 bits of the product say which.
    last = [c for c in range(5000) if (c * 0x9E3779B97F4A7C15) % 2**64 >> 58 == 63][:10]
    index = CodeIndex(np.array(last[:9]))
    assert len(index.rows) == 64
    assert index.find(np.array(last)).tolist() == [*range(9), -1]


def test_shape_is_kept():
    found = CodeIndex(np.array([2, 3, 5])).find(np.array([[5, 4], [3, 2], [0, 5]]))
    assert found.tolist() == [[2, -1], [1, 0], [-1, 2]]


def test_a_level_counts_none_where_nothing_was_seen():
    level = Level(np.array([1, -1]), np.array([0, -1]), np.array([4, 7]), np.array([9, 3]))
    assert level.count.tolist() == [7, 0]
    assert level.total.tolist() == [9, 0]
