"""A picture that moves by itself, once: words that find their places while a model learns.

It is one SVG whose marks a style sheet moves from frame to frame, so it needs neither a kernel nor
a script. Readers who asked their device for less motion see its last frame; so does a printer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from html import escape
from itertools import combinations
from typing import NamedTuple

import numpy as np
from IPython.display import HTML
from jaxtyping import Float

from nlp_course.plots import COLOURS

WIDTH, HEIGHT = 560, 380
MARGIN = 40
TOP = 34  # what stands above the marks
LETTER, LINE = 8.0, 17.0  # the room that a label takes: a letter's width, and a line's height
GROUP_LETTER, GROUP_LINE = 18.0, 28.0  # the same of a group's name, which is larger and bold
MARK = 7.0  # from a mark's middle to where its room ends
REACH = 9.0  # from a mark's middle to where its label begins
SECONDS = 5  # what moves by itself for longer needs a button that stops it
# Each group has a colour and a shape of its own: never colour alone.
SHAPES = (
    "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0",
    "M-4.5,-4.5h9v9h-9z",
    "M0,-6l6,10h-12z",
    "M0,-6.5l6.5,6.5l-6.5,6.5l-6.5,-6.5z",
    "M0,6l6,-10h-12z",
    "M-2,-6h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
)

STYLE = """
#ID {{ width: 100%; height: auto; }}
#ID text {{ fill: currentColor; font: {size}px sans-serif; }}
#ID .group {{ display: none; font-weight: bold; }}
@media (max-width: 480px) {{
  #ID .word {{ display: none; }}
  #ID .group {{ display: block; }}
  #ID .group, #ID .note {{ font-size: 28px; }}
}}
@media screen and (prefers-reduced-motion: no-preference) {{
{moving}
}}
"""


Room = tuple[float, float, float, float]  # left, top, right, bottom


class Label(NamedTuple):
    """Where a word stands beside its mark."""

    x: float
    y: float
    anchor: str


def moving_map(
    frames: Sequence[Float[np.ndarray, "word 2"]],
    words: Sequence[str],
    groups: Sequence[str],
    notes: Sequence[str],
    *,
    alt: str,
    seconds: float = 4.8,
) -> HTML:
    """Words as marks that move from frame to frame, then stay.

    Parameters
    ----------
    frames : places of the words, first to last, on one scale for all frames
    words : what the marks stand for
    groups : the group of each word; it has a colour and a shape, and on a phone, where words would
        be too small to read, its name goes along with it
    notes : what stands above each frame, such as how much was read by then
    alt : what the picture shows, for those who cannot see it
    seconds : from the first frame to the last, at most 5

    Raises
    ------
    ValueError : one frame alone, lengths that do not fit, more groups than shapes, no alternative
        text, or longer than 5 seconds.

    Examples
    --------
    >>> frames = [np.zeros((2, 2)), np.eye(2)]
    >>> words, groups, notes = ["cat", "dog"], ["pets", "pets"], ["before", "after"]
    >>> moving_map(frames, words, groups, notes, alt="Two words part.").data.count("<path")
    2
    """
    if len(frames) < 2:
        raise ValueError(f"a moving picture needs at least 2 frames, got {len(frames)}")
    if len(notes) != len(frames):
        raise ValueError(f"{len(frames)} frames need as many notes, got {len(notes)}")
    if len(groups) != len(words) or any(len(frame) != len(words) for frame in frames):
        raise ValueError(f"{len(words)} words need as many groups, and places in every frame")
    names = list(dict.fromkeys(groups))
    if len(names) > len(SHAPES):
        raise ValueError(f"at most {len(SHAPES)} groups can be told apart, got {len(names)}")
    if not alt.strip():
        raise ValueError("alt must say what the picture shows")
    if not 0 < seconds <= SECONDS:
        raise ValueError(f"seconds must be above 0 and at most {SECONDS}, got {seconds}")

    places = on_canvas(np.stack(frames))  # (frame, word, 2)
    name = "motion-" + hashlib.sha256(places.tobytes() + alt.encode()).hexdigest()[:8]
    rules: list[str] = []
    marks: list[str] = []

    def add(part: str, path: Float[np.ndarray, "frame 2"], content: str) -> None:
        rules.append(_moving(name, part, path, seconds))
        x, y = path[-1]
        marks.append(f'<g class="{part}" transform="translate({x:.0f},{y:.0f})">{content}</g>')

    labels = place_labels(places[-1], words)
    for number, (word, group, label) in enumerate(zip(words, groups, labels, strict=True)):
        kind = names.index(group)
        content = (
            f"<title>{escape(f'{word}: {group}')}</title>"
            # The rim keeps faint colours apart from a white page, and dark ones from a dark one.
            f'<path d="{SHAPES[kind]}" fill="{list(COLOURS.values())[kind]}" '
            f'stroke="currentColor" stroke-width="0.7"/>'
        )
        if label:
            content += (
                f'<text class="word" x="{label.x:.0f}" y="{label.y:.0f}" '
                f'text-anchor="{label.anchor}">{escape(word)}</text>'
            )
        add(f"w{number}", places[:, number], content)
    paths = place_groups(places, groups)  # (group, frame, 2)
    for kind, (group, path) in enumerate(zip(names, paths, strict=True)):
        add(f"g{kind}", path, f'<text class="group" text-anchor="middle">{escape(group)}</text>')
    rules.append(
        _shown(name, "group", first_apart(paths, names), len(frames), len(frames), seconds)
    )
    for number, note in enumerate(notes):
        rules.append(_shown(name, f"n{number}", number, number + 1, len(notes), seconds))
        hidden = "" if number == len(notes) - 1 else ' opacity="0"'
        marks.append(f'<text class="note n{number}" x="8" y="24"{hidden}>{escape(note)}</text>')
    style = STYLE.format(size=15, moving="\n".join(rules)).replace("#ID", f"#{name}")
    return HTML(
        f'<svg id="{name}" class="motion" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(alt)}"><style>{style}</style>{"".join(marks)}</svg>'
    )


def on_canvas(places: Float[np.ndarray, "frame word 2"]) -> Float[np.ndarray, "frame word 2"]:
    """Places in the picture's units, y downwards: each axis fills it over all frames."""
    low, high = places.min(axis=(0, 1)), places.max(axis=(0, 1))
    share = (places - low) / np.maximum(high - low, 1e-12)
    share[..., 1] = 1 - share[..., 1]
    room = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN - TOP])
    return share * room + np.array([MARGIN, MARGIN + TOP])


def place_labels(places: Float[np.ndarray, "word 2"], words: Sequence[str]) -> list[Label | None]:
    """A label right, left, above or below each mark; None where each of these is taken.

    What is taken is a mark's room or an earlier label's, in the order of the words.
    """
    taken = [_mark_room(place) for place in places]
    labels: list[Label | None] = []
    for word, (x, y) in zip(words, places.tolist(), strict=True):
        for label, box in _beside(len(word) * LETTER):
            room = (x + box[0], y + box[1], x + box[2], y + box[3])
            if _free(room, taken):
                taken.append(room)
                labels.append(label)
                break
        else:
            labels.append(None)
    return labels


def place_groups(
    places: Float[np.ndarray, "frame word 2"], groups: Sequence[str]
) -> Float[np.ndarray, "group frame 2"]:
    """Where the names of groups stand in each frame: above their marks, or below them.

    A name is below where it would cover a mark or an earlier name above, in the last frame, and
    covers none below.
    """
    taken = [_mark_room(place) for place in places[-1]]
    paths = []
    for group in dict.fromkeys(groups):
        marks = places[:, [other == group for other in groups]]  # (frame, mark, 2)
        middle = marks[..., 0].mean(axis=1)
        above = np.stack([middle, marks[..., 1].min(axis=1) - REACH], axis=1)
        below = np.stack([middle, marks[..., 1].max(axis=1) + MARK + GROUP_LINE], axis=1)
        path = next(
            (way for way in (above, below) if _free(_group_room(way[-1], group), taken)), above
        )
        taken.append(_group_room(path[-1], group))
        paths.append(path)
    return np.stack(paths)


def first_apart(paths: Float[np.ndarray, "group frame 2"], names: Sequence[str]) -> int:
    """The frame from which on no name of a group covers another; the last if there is none."""
    for frame in reversed(range(paths.shape[1])):
        rooms = [
            _group_room(place, name) for place, name in zip(paths[:, frame], names, strict=True)
        ]
        if any(_overlap(one, other) for one, other in combinations(rooms, 2)):
            return min(frame + 1, paths.shape[1] - 1)
    return 0


def _group_room(place: Float[np.ndarray, "2"], name: str) -> Room:
    """The room of a group's name whose middle stands on a place."""
    x, y = map(float, place)
    half = len(name) * GROUP_LETTER / 2
    bottom = y + REACH - MARK - 1
    return x - half, bottom - GROUP_LINE, x + half, bottom


def _mark_room(place: Float[np.ndarray, "2"]) -> Room:
    x, y = map(float, place)
    return x - MARK, y - MARK, x + MARK, y + MARK


def _free(room: Room, taken: Sequence[Room]) -> bool:
    """Whether a room is in the picture, below its notes, and overlaps none that is taken."""
    inside = room[0] >= 0 and room[2] <= WIDTH and room[1] >= TOP and room[3] <= HEIGHT
    return inside and not any(_overlap(room, other) for other in taken)


def _beside(width: float) -> Iterator[tuple[Label, Room]]:
    """The four places of a label that is so wide, and the room each takes around its mark."""
    half = LINE / 2
    yield Label(REACH, 5, "start"), (REACH, -half, REACH + width, half)
    yield Label(-REACH, 5, "end"), (-REACH - width, -half, -REACH, half)
    yield Label(0, -REACH - 4, "middle"), (-width / 2, -REACH - LINE, width / 2, -REACH)
    yield Label(0, REACH + 12, "middle"), (-width / 2, REACH, width / 2, REACH + LINE)


def _overlap(one: Room, other: Room) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _moving(name: str, part: str, path: Float[np.ndarray, "frame 2"], seconds: float) -> str:
    """The style that moves a part along its path."""
    stops = " ".join(
        f"{100 * number / (len(path) - 1):.3g}%{{transform:translate({x:.0f}px,{y:.0f}px)}}"
        for number, (x, y) in enumerate(path)
    )
    return (
        f"#{name} .{part}{{animation:{name}-{part} {seconds:g}s linear both}}"
        f"@keyframes {name}-{part}{{{stops}}}"
    )


def _shown(name: str, part: str, first: int, until: int, of: int, seconds: float) -> str:
    """The style that shows a part while the nearest frame is `first` … `until - 1` of so many."""
    step = 100 / (of - 1)
    start, end = (first - 0.5) * step, (until - 0.5) * step
    stops = [f"0%{{opacity:{int(first == 0)}}}"]
    if first > 0:
        stops += [f"{start:.4g}%{{opacity:0}}", f"{start + 0.01:.4g}%{{opacity:1}}"]
    if until < of:
        stops += [f"{end:.4g}%{{opacity:1}}", f"{end + 0.01:.4g}%{{opacity:0}}"]
    stops.append(f"100%{{opacity:{int(until == of)}}}")
    return (
        f"#{name} .{part}{{animation:{name}-{part} {seconds:g}s linear both}}"
        f"@keyframes {name}-{part}{{{''.join(stops)}}}"
    )
