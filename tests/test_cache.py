"""Keys and values kept: as if all had been put together anew, and never changed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nlp_course.cache import ROOM, Cache, KeysValues


def some(batch: int, time: int, seed: int = 0) -> KeysValues:
    """Random keys and values of two heads with three numbers."""
    generator = torch.Generator().manual_seed(seed)
    keys, values = torch.randn(2, batch, 2, time, 3, generator=generator)
    return KeysValues(keys, values)


def joined(*pieces: KeysValues) -> tuple[torch.Tensor, torch.Tensor]:
    """What `append` must give."""
    return (
        torch.cat([piece.keys for piece in pieces], dim=2),
        torch.cat([piece.values for piece in pieces], dim=2),
    )


def holds(found: KeysValues, expected: tuple[torch.Tensor, torch.Tensor]) -> bool:
    return found.keys.equal(expected[0]) and found.values.equal(expected[1])


@pytest.mark.parametrize("gradients", [True, False])
@given(sizes=st.lists(st.integers(1, ROOM + 9), min_size=2, max_size=6))
def test_appended_pieces_are_the_pieces_put_together(gradients, sizes):
    pieces = [some(2, size, seed) for seed, size in enumerate(sizes)]
    with torch.set_grad_enabled(gradients):
        found = pieces[0]
        for number, piece in enumerate(pieces[1:], start=2):
            found = found.append(piece.keys, piece.values)
            assert holds(found, joined(*pieces[:number]))
            assert found.length == sum(sizes[:number])


@torch.no_grad()
def test_one_may_append_to_the_same_tokens_in_several_ways():
    begin, one, other, more = some(2, 5), some(2, 1, 1), some(2, 1, 2), some(2, 1, 3)
    kept = begin.append(some(2, 1, 4).keys, some(2, 1, 4).values)
    before = kept.keys.clone(), kept.values.clone()
    first = kept.append(one.keys, one.values)
    second = kept.append(other.keys, other.values)  # the next places are taken
    third = first.append(more.keys, more.values)
    assert holds(kept, before)
    assert holds(first, joined(KeysValues(*before), one))
    assert holds(second, joined(KeysValues(*before), other))
    assert holds(third, joined(KeysValues(*before), one, more))


@torch.no_grad()
def test_a_token_is_written_where_there_is_room_and_others_are_not_copied():
    new = some(1, 1, 1)
    first = some(1, 5).append(new.keys, new.values)
    second = first.append(new.keys, new.values)
    assert second.keys.data_ptr() == first.keys.data_ptr()
    for _ in range(ROOM):
        second = second.append(new.keys, new.values)
    assert second.keys.data_ptr() != first.keys.data_ptr()  # the room was full


@torch.no_grad()
@pytest.mark.parametrize("room", [True, False])
def test_selected_rows_are_those_rows_and_can_be_gone_on_from(room):
    rows, new = torch.tensor([2, 0, 0]), some(3, 1, 1)
    kept = some(3, 4)
    if room:
        kept = kept.append(new.keys, new.values)
    chosen = Cache((kept,)).select(rows).layers[0]
    assert holds(chosen, (kept.keys[rows], kept.values[rows]))
    longer = chosen.append(new.keys, new.values)
    assert holds(longer, joined(KeysValues(kept.keys[rows], kept.values[rows]), new))
    again = kept.append(new.keys, new.values)
    assert holds(again, joined(KeysValues(kept.keys, kept.values), new))


@torch.no_grad()
@pytest.mark.parametrize("room", [True, False])
def test_reordered_rows_are_selected_rows_if_they_differ_in_their_last_tokens_only(room):
    rows, begin = torch.tensor([2, 0, 0]), some(1, 4)
    kept = KeysValues(begin.keys.expand(3, -1, -1, -1), begin.values.expand(3, -1, -1, -1))
    for seed in (1, 2):
        new = some(3, 1, seed)
        kept = kept.append(new.keys, new.values)
    kept = kept if room else KeysValues(kept.keys.clone(), kept.values.clone())
    expected, place = (kept.keys[rows], kept.values[rows]), kept.keys.data_ptr()
    moved = Cache((kept,)).reorder(rows, last=2).layers[0]
    assert holds(moved, expected)
    assert (moved.keys.data_ptr() == place) == room
    new = some(3, 1, 3)
    assert holds(moved.append(new.keys, new.values), joined(KeysValues(*expected), new))


@torch.no_grad()
def test_reordering_touches_no_more_than_the_last_tokens():
    new = some(3, 2, 1)
    kept = some(3, 4).append(new.keys, new.values)
    before, rows = kept.keys.clone(), torch.tensor([1, 2, 0])
    found = kept.reorder(rows, last=2).keys
    assert found[:, :, :4].equal(before[:, :, :4])
    assert found[:, :, 4:].equal(before[rows, :, 4:])


def test_gradients_reach_what_was_appended():
    begin, new = some(1, 2), some(1, 1, 1)
    for part in (begin.keys, new.values):
        part.requires_grad_()
    one = begin.append(new.keys, new.values)
    squares = (one.keys**2).sum() + (one.values**2).sum()
    two = one.append(new.keys, new.values)
    (squares + (two.keys**2).sum() + (two.values**2).sum()).backward()
    assert begin.keys.grad.allclose(4 * begin.keys)
    assert new.values.grad.allclose(6 * new.values)


def test_a_cache_without_layers_is_empty():
    assert Cache(()).length == 0
