"""The picture that moves by itself."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nlp_course import motion

WORDS = ["two", "three", "red", "blue"]
GROUPS = ["numbers", "numbers", "colours", "colours"]
FRAMES = [
    np.zeros((4, 2)),
    np.array([[1.0, 0.0], [1.0, 1.0], [-1.0, 0.0], [-1.0, 1.0]]),
    np.array([[2.0, 0.0], [2.0, 2.0], [-2.0, 0.0], [-2.0, 2.0]]),
]
NOTES = ["nothing read", "half read", "all < read"]


def picture(**changes: object) -> str:
    arguments = {
        "frames": FRAMES, "words": WORDS, "groups": GROUPS, "notes": NOTES, "alt": 'Words "part".'
    }  # fmt: skip
    return motion.moving_map(**arguments | changes).data


def test_it_is_well_formed_and_says_what_it_shows():
    root = ElementTree.fromstring(picture())
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'Words "part".'
    assert [note.text for note in root.iter("text") if "note" in note.get("class", "")] == NOTES


def stops(data: str, part: str) -> list[tuple[float, float, float]]:
    """When a part is where, in percent of the time and units of the picture."""
    frames = re.search(rf"@keyframes motion-\w+-{part}{{(.*?)}}}}", data)[1]
    found = re.findall(r"([\d.]+)%{transform:translate\((-?\d+)px,(-?\d+)px\)", frames)
    return [tuple(map(float, stop)) for stop in found]


def test_each_word_goes_along_its_frames_and_stands_where_it_ends():
    data = picture()
    # The frames reach from −2 to 2 and from 0 to 2; y grows downwards in a picture.
    left, right = motion.MARGIN, motion.WIDTH - motion.MARGIN
    top, bottom = motion.MARGIN + motion.TOP, motion.HEIGHT - motion.MARGIN
    middle = (left + right) / 2
    three_quarters = left + 0.75 * (right - left)
    assert stops(data, "w0") == [
        (0, middle, bottom),
        (50, three_quarters, bottom),
        (100, right, bottom),
    ]
    assert stops(data, "w3")[-1] == (100, left, top)
    assert f'<g class="w3" transform="translate({left},{top})"' in data


def test_only_the_last_note_is_seen_where_nothing_moves():
    root = ElementTree.fromstring(picture())
    notes = [note for note in root.iter("text") if "note" in note.get("class", "")]
    assert [note.get("opacity") for note in notes] == ["0", "0", None]


def test_nothing_moves_for_readers_who_asked_for_less_motion():
    style = re.search(r"<style>(.*)</style>", picture(), re.S)[1]
    still, moving = style.split("@media screen and (prefers-reduced-motion: no-preference)")
    assert "animation" not in still
    assert "keyframes" not in still
    # And one for when the groups' names appear.
    assert moving.count("@keyframes") == len(WORDS) + len(set(GROUPS)) + len(NOTES) + 1


def test_at_any_time_exactly_one_note_is_shown():
    data = picture()

    def opacity(number: int, percent: float) -> float:
        frames = re.search(rf"@keyframes motion-\w+-n{number}{{(.*?)}}}}", data)[1] + "}"
        known = re.findall(r"([\d.]+)%{opacity:(\d)}", frames)
        times, values = zip(*[(float(time), float(value)) for time, value in known], strict=True)
        return float(np.interp(percent, times, values))

    for percent in np.linspace(0, 100, 41) + 0.3:
        shown = [opacity(number, min(percent, 100)) for number in range(len(NOTES))]
        assert shown.count(1.0) == 1, percent
        assert sum(shown) == 1, percent


def test_groups_differ_by_shape_as_well_as_by_colour():
    marks = re.findall(r'<path d="([^"]+)" fill="([^"]+)"', picture())
    assert marks[0] == marks[1]
    assert marks[2] == marks[3]
    assert marks[0][0] != marks[2][0]
    assert marks[0][1] != marks[2][1]
    assert len(set(motion.SHAPES)) == len(motion.SHAPES)


def test_two_pictures_on_a_page_do_not_share_their_style():
    names = [re.search(r'id="([\w-]+)"', data)[1] for data in (picture(), picture(alt="Other."))]
    assert names[0] != names[1]
    assert picture() == picture()


def group_rooms(places, frame: int) -> list[tuple[float, float, float, float]]:
    """The rooms of the names of GROUPS in a frame: letters are 28 units high, most of it above."""
    names = list(dict.fromkeys(GROUPS))
    paths = motion.place_groups(places, GROUPS)
    half = [len(name) * motion.GROUP_LETTER / 2 for name in names]
    return [(x - it, y - 26, x + it, y) for (x, y), it in zip(paths[:, frame], half, strict=True)]


def apart(one, other) -> bool:
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_a_group_s_name_is_above_its_marks_and_below_them_where_another_has_the_place():
    # Side by side and as high: each name is 126 wide, so two above marks 60 apart would overlap.
    places = np.array([[[200, 200], [220, 200], [260, 200], [280, 200]]], dtype=float)
    above, below = motion.place_groups(places, GROUPS)[:, 0]
    assert above.tolist() == [210, 191]
    assert below[0] == 270
    assert below[1] > 220
    assert apart(*group_rooms(places, 0))


def test_names_of_groups_appear_once_they_are_apart_for_good():
    heap = np.full((4, 2), 200.0)
    spread = np.array([[100, 200], [110, 200], [400, 200], [410, 200]], dtype=float)
    names = list(dict.fromkeys(GROUPS))

    def first(*frames: np.ndarray) -> int:
        return motion.first_apart(motion.place_groups(np.stack(frames), GROUPS), names)

    assert first(spread, spread, spread) == 0
    assert first(heap, spread, spread) == 1
    assert first(spread, heap, spread) == 2


def test_names_of_groups_are_hidden_until_they_are_apart():
    frames = re.search(r"@keyframes motion-\w+-group{(.*?)}}", picture())[1] + "}"
    known = [
        (float(time), int(value)) for time, value in re.findall(r"([\d.]+)%{opacity:(\d)}", frames)
    ]
    assert known[0] == (0, 0)
    assert known[-1] == (100, 1)


@given(arrays(float, (12, 2), elements=st.floats(-1, 1)))
def test_labels_cover_neither_marks_nor_one_another(places):
    words = [f"word{number}" for number in range(12)]
    on_canvas = motion.on_canvas(places[None])[0]
    assert (on_canvas >= [motion.MARGIN, motion.MARGIN]).all()
    assert (on_canvas <= [motion.WIDTH - motion.MARGIN, motion.HEIGHT - motion.MARGIN]).all()
    rooms = []
    for word, (x, y), label in zip(
        words, on_canvas, motion.place_labels(on_canvas, words), strict=True
    ):
        if label is not None:
            width = motion.LETTER * len(word)
            start = x + label.x - {"start": 0, "middle": width / 2, "end": width}[label.anchor]
            rooms.append((start, y + label.y - 12, start + width, y + label.y + 3))
    for number, (left, top, right, bottom) in enumerate(rooms):
        assert left >= 0
        assert right <= motion.WIDTH
        for x, y in on_canvas:
            assert not (left < x < right and top < y < bottom)
        for other in rooms[:number]:
            apart = other[2] <= left or right <= other[0] or other[3] <= top or bottom <= other[1]
            assert apart


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": FRAMES[:1], "notes": NOTES[:1]}, "at least 2 frames, got 1"),
        ({"notes": NOTES[:2]}, "3 frames need as many notes, got 2"),
        ({"groups": GROUPS[:3]}, "4 words need as many groups"),
        ({"words": WORDS[:3], "groups": GROUPS[:3]}, "places in every frame"),
        ({"alt": " "}, "alt must say"),
        ({"seconds": 6.0}, "at most 5, got 6"),
        ({"seconds": 0.0}, "above 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        picture(**changes)


def test_more_groups_than_shapes_are_refused():
    many = len(motion.SHAPES) + 1
    with pytest.raises(ValueError, match=f"told apart, got {many}"):
        motion.moving_map(
            [np.zeros((many, 2)), np.ones((many, 2))],
            words=[str(number) for number in range(many)],
            groups=[str(number) for number in range(many)],
            notes=["", ""],
            alt="Too many.",
        )
