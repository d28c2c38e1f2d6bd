"""How the course's figures look, and those kinds that chapters share.

Heat maps, word maps, and the curves of a training.

Figures have a white face in light and dark pages alike, colours that colour-blind readers tell
apart (Okabe and Ito's), and letters that stay legible on a phone, where a figure is about 350
pixels wide. Lines differ by dashes and groups of words by markers too: never by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from jaxtyping import Float, Int, Real
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.text import Text
from matplotlib.transforms import BboxBase

COLOURS = {
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "black": "#000000",
}
"""Okabe and Ito's colours, in the order in which lines take them (their yellow is too faint)."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)))
# Distances from a point at which its label is tried, in points; the first is beside the marker.
REACHES = (6.0, 12.0, 20.0, 30.0, 42.0, 56.0, 72.0)
NEAR = 20.0  # where labels may be left out, one further away is
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))


def use_style() -> None:
    """Draw everything from here on in the course's style; call it once, at the head of a page."""
    plt.rcParams.update(
        {
            "axes.axisbelow": True,
            "axes.grid": True,
            "axes.prop_cycle": cycler(color=COLOURS.values()) + cycler(linestyle=DASHES),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": 13,
            "figure.constrained_layout.use": True,
            "figure.dpi": 150,
            # Narrow on purpose: a 13-point letter of a 5.6-inch figure is 11 pixels on a phone.
            "figure.figsize": (5.6, 3.7),
            "font.family": "DejaVu Sans",
            "font.size": 13,
            "grid.color": "#DDDDDD",
            "legend.frameon": False,
            "legend.fontsize": 12,
            "lines.linewidth": 2,
            "savefig.facecolor": "white",
            "xtick.labelsize": 12,
            "ytick.labelsize": 12,
        }
    )


def heatmap(
    matrix: Real[np.ndarray, "row column"],
    rows: Sequence[str],
    columns: Sequence[str],
    ax: Axes | None = None,
    annotate: bool = True,
    fmt: str = ".2g",
    label: str = "",
) -> Axes:
    """A matrix as colours, with each value written into its cell.

    Colours run from white to blue; where there are negative values, from orange over white (zero)
    to purple. Cells that are not finite, such as the PMI of words never seen together, are grey.

    Parameters
    ----------
    matrix : values
    rows, columns : their names
    ax : axes to draw in; None makes a figure
    annotate : write the values
    fmt : how, as in `format`
    label : what the values are, with their unit, beside the scale of colours; "" draws no scale

    Returns
    -------
    The axes.

    Raises
    ------
    ValueError : the names are not as many as rows and columns, or the matrix is empty.
    """
    if matrix.shape != (len(rows), len(columns)):
        raise ValueError(
            f"matrix has shape {matrix.shape}, but there are {len(rows)} row and "
            f"{len(columns)} column names"
        )
    if matrix.size == 0:
        raise ValueError("matrix is empty: nothing to draw")
    axes = plt.subplots()[1] if ax is None else ax
    finite = matrix[np.isfinite(matrix)]
    largest = float(np.abs(finite).max(initial=0)) or 1.0
    signed = bool((finite < 0).any())
    # Half of the colour scale is left out at the dark end, so that black text stays legible on it.
    colours = plt.get_cmap("PuOr" if signed else "Blues")
    reach = largest * 1.8
    norm = Normalize(-reach if signed else 0, reach)
    shown = colours(norm(np.where(np.isfinite(matrix), matrix, 0.0)))  # (row, column, 4)
    shown[~np.isfinite(matrix)] = (0.8, 0.8, 0.8, 1)
    axes.imshow(shown, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=45 if _crowded(columns) else 0)
    if _crowded(columns):
        plt.setp(axes.get_xticklabels(), ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    if annotate:
        for (row, column), value in np.ndenumerate(matrix):
            axes.text(column, row, _written(value, fmt), ha="center", va="center", color="black")
    if label:
        scale = plt.cm.ScalarMappable(norm, colours)
        bar = axes.figure.colorbar(scale, ax=axes, label=label)
        bar.ax.set_ylim(-largest if signed else 0, largest)
        bar.outline.set_visible(False)
    return axes


def _crowded(names: Sequence[str]) -> bool:
    return sum(len(name) + 1 for name in names) > 36


def _written(value: np.number, fmt: str) -> str:
    if np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    return format(value, fmt).replace("-", "−")


@runtime_checkable
class TrainingHistory(Protocol):
    """What `training.train` returns, as far as it can be drawn."""

    @property
    def loss(self) -> Float[np.ndarray, "step"]:
        """Of each step, in nats a token."""

    @property
    def gradient_norm(self) -> Float[np.ndarray, "step"]:
        """Of each step, before clipping."""

    @property
    def learning_rate(self) -> Float[np.ndarray, "step"]:
        """Of each step."""

    @property
    def validated(self) -> Int[np.ndarray, "validation"]:
        """Steps done at each validation."""

    @property
    def validation(self) -> Float[np.ndarray, "validation"]:
        """What each gave."""


TRAINING_ROWS = {
    "loss": "loss (nats a token)",
    "gradient_norm": "gradient norm",
    "learning_rate": "learning rate",
}


def training_curves(
    history: TrainingHistory, rows: Sequence[str] = ("loss",), smooth: int | None = None
) -> list[Axes]:
    """A training step by step: loss with validation, gradient norm, learning rate.

    Loss and gradient norm jump from batch to batch, so they are drawn faintly, with their running
    mean over them. Validation is drawn beside the loss: let it give nats a token, too.

    Parameters
    ----------
    history : of `training.train`
    rows : which of "loss", "gradient_norm", "learning_rate" to draw, one below the other
    smooth : steps that the running mean goes over; by default a fortieth of all

    Returns
    -------
    The axes, one a row.

    Raises
    ------
    ValueError : no step was done, no row or an unknown one is asked for, or smooth < 1.
    """
    if len(history.loss) == 0:
        raise ValueError("the history has no steps: nothing to draw")
    unknown = [row for row in rows if row not in TRAINING_ROWS]
    if unknown or not rows:
        raise ValueError(
            f"rows must be some of {', '.join(TRAINING_ROWS)}, got {unknown or list(rows)}"
        )
    span = max(len(history.loss) // 40, 1) if smooth is None else smooth
    if span < 1:
        raise ValueError(f"smooth must be at least 1, got {smooth}")
    height = 3.7 if len(rows) == 1 else 2.3 * len(rows)
    _, grid = plt.subplots(len(rows), figsize=(5.6, height), sharex=True, squeeze=False)
    axes = list(grid[:, 0])
    for row, ax in zip(rows, axes, strict=True):
        values = getattr(history, row)
        steps = np.arange(1, len(values) + 1)
        if row == "learning_rate":
            ax.plot(steps, values)
        else:
            ax.plot(steps, values, color=COLOURS["sky"], linewidth=0.7, alpha=0.6)
            # The mean of the last `span` steps, of fewer at the beginning.
            sums = np.cumsum(np.concatenate([[0.0], values]))  # (step + 1,)
            first = np.maximum(steps - span, 0)
            mean = (sums[steps] - sums[first]) / (steps - first)
            ax.plot(steps, mean, "-", color=COLOURS["blue"], label="training")
        if row == "loss" and len(history.validation):
            points = history.validated, history.validation
            ax.plot(*points, "--o", color=COLOURS["vermilion"], label="validation")
            ax.legend()
        ax.set_ylabel(TRAINING_ROWS[row])
    axes[-1].set_xlabel("step")
    return axes


def word_map(
    points: Real[np.ndarray, "word 2"],
    words: Sequence[str],
    ax: Axes | None = None,
    groups: Sequence[str] | None = None,
    crowded: Literal["cover", "leave out"] = "cover",
) -> Axes:
    """Words as points in the plane, with labels that do not cover one another.

    A label goes beside its point, or as near as there is room, tied to it by a thin line. The
    places are found for the size that the axes have now: give them their title first.

    Parameters
    ----------
    points : a place for each word, such as `similarity.project` gives
    words : labels
    ax : axes to draw in; None makes a figure
    groups : a group for each word, shown by colour and marker, named in a legend
    crowded : what becomes of a label without room: it covers as little as it can, or, in a map of
        hundreds of words, it is left out where there is none near its point; the first words come
        first, and points are drawn smaller

    Returns
    -------
    The axes.

    Raises
    ------
    ValueError : labels or groups are not as many as points, there are none, a place is not
        finite, there are more groups than markers, or `crowded` is neither of the two.
    """
    if crowded not in ("cover", "leave out"):
        raise ValueError(f'crowded must be "cover" or "leave out", got {crowded!r}')
    if len(points) == 0 or len(words) != len(points):
        raise ValueError(f"there are {len(points)} points and {len(words)} words to draw")
    if not np.isfinite(points).all():
        raise ValueError("a point is not finite: a word without a vector has no place in the map")
    if groups is not None and len(groups) != len(points):
        raise ValueError(f"there are {len(points)} points and {len(groups)} groups")
    kinds = [""] if groups is None else list(dict.fromkeys(groups))
    if len(kinds) > len(MARKERS):
        raise ValueError(f"at most {len(MARKERS)} groups can be told apart, got {len(kinds)}")
    axes = plt.subplots()[1] if ax is None else ax
    membership = np.asarray([""] * len(points) if groups is None else groups)
    for kind, marker, colour in zip(kinds, MARKERS, COLOURS.values(), strict=False):
        members = points[membership == kind]  # (members, 2)
        axes.scatter(
            members[:, 0],
            members[:, 1],
            marker=marker,
            color=colour,
            label=kind,
            s=36 if crowded == "cover" else 12,
        )
    axes.margins(0.12)
    axes.tick_params(labelsize=10)
    if groups is not None:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=min(len(kinds), 3))
    _label(axes, points, words, crowded == "leave out")
    return axes


def _label(
    axes: Axes, points: Real[np.ndarray, "word 2"], words: Sequence[str], leave_out: bool
) -> None:
    """Write each word at the first free place around its point; the rows' order decides."""
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    pixels = axes.transData.transform(points)  # (word, 2)
    point = axes.figure.dpi / 72  # pixels
    side = (4 if leave_out else 6) * point  # of a marker
    taken = np.hstack([pixels - side / 2, pixels + side / 2])  # (box, 4): left, bottom, right, top
    for place, (x, y), word in zip(points, pixels, words, strict=True):
        label = axes.annotate(
            word,
            tuple(place),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=12,
            arrowprops={"arrowstyle": "-", "color": "#888888", "shrinkA": 0, "shrinkB": 3},
        )
        # The word alone: an annotation's own extent holds the line to the point too.
        size = Text.get_window_extent(label)
        found = _free_place(x, y, size.width, size.height, point, taken, axes.bbox)
        if leave_out and not (found.free and found.reach <= NEAR):
            label.remove()
            continue
        taken = np.vstack([taken, found.box])
        label.set_position(found.offset)
        label.arrow_patch.set_visible(found.reach > REACHES[0])  # type: ignore[union-attr]
        # Outside the layout: a label must not shrink the axes after its place was found.
        label.set_in_layout(False)


class _Place(NamedTuple):
    """Where a label goes: its box in pixels, how far from the point, and whether it is free."""

    box: Float[np.ndarray, "4"]
    reach: float
    offset: tuple[float, float]  # of its lower left corner from the point, in points
    free: bool


def _free_place(
    x: float,
    y: float,
    width: float,
    height: float,
    point: float,
    taken: Float[np.ndarray, "box 4"],
    frame: BboxBase,
) -> _Place:
    """The nearest box that covers nothing; where all are taken, the one that covers least."""
    tried = []
    inside = np.array([frame.extents])
    for reach, across, up in _places():
        left = across * reach * point + (across - 1) / 2 * width
        bottom = up * reach * point + (up - 1) / 2 * height
        box = np.array([x + left, y + bottom, x + left + width, y + bottom + height])
        covered = _overlaps(box, taken).sum() + width * height - _overlaps(box, inside).sum()
        place = _Place(box, reach, (left / point, bottom / point), bool(covered < 0.5))
        if place.free:
            return place
        tried.append((covered, place))
    return min(tried, key=lambda candidate: candidate[0])[1]


def _places() -> Iterator[tuple[float, float, float]]:
    for reach in REACHES:
        for across, up in DIRECTIONS:
            yield reach, across, up


def _overlaps(
    box: Float[np.ndarray, "4"], others: Float[np.ndarray, "box 4"]
) -> Float[np.ndarray, "box"]:
    """The area that a box shares with each of the others."""
    corner = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])  # (box, 2)
    return np.maximum(corner, 0.0).prod(axis=1)
