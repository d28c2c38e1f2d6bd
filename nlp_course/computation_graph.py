"""Computational graphs drawn, and put into words: values, gradients, local derivatives."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from nlp_course.backprop import Node, topological_order
from nlp_course.plots import COLOURS

FEW = 3  # numbers of an array that words list; of longer ones they give the shape
MOST = 40  # boxes that stay legible in one figure


def draw_graph(last: Node, ax: Axes | None = None, fmt: str = ".3g", local: bool = True) -> Axes:
    """A box for each node, from the inputs at the top down to the result.

    A box has the name or the operation, then the value (=) and, after a backward pass, the gradient
    (∂); of an array it has the shape. An arrow goes from an operand to what is made of it; on it
    stands the local derivative (×), where both are single numbers.

    Parameters
    ----------
    last : the node to draw, with all it was made from
    ax : axes to draw in; None makes a figure
    fmt : of numbers, as in `format`
    local : write local derivatives

    Returns
    -------
    The axes. `describe_graph` has the same in words, for the text alternative.

    Raises
    ------
    ValueError : more than 40 nodes, which nobody could read.
    """
    order = topological_order(last)
    if len(order) > MOST:
        raise ValueError(f"a drawing has room for {MOST} nodes, this graph has {len(order)}")
    places = _places(order)
    x, y = np.array(list(places.values())).T
    # As narrow as the boxes allow: on a phone a wide figure's letters shrink.
    size = (max(3.0, 1.4 * (1 + np.ptp(x))), 1.0 + 1.45 * np.ptp(y))
    axes = plt.subplots(figsize=size)[1] if ax is None else ax
    boxes = {
        node: axes.text(
            x=places[node][0],
            y=places[node][1],
            s=_box(node, fmt),
            ha="center",
            va="center",
            bbox={
                "boxstyle": "square,pad=0.4" if node.parents else "round,pad=0.4",
                "facecolor": "#E8F1F8" if node.needs_grad else "#EEEEEE",
                "edgecolor": COLOURS["blue"] if node.needs_grad else "#888888",
            },
        )
        for node in order
    }
    for node in order:
        for parent, slope in zip(node.parents, _slopes(node), strict=True):
            # Above the boxes, which have to be drawn before an arrow can end at their edges.
            axes.annotate(
                "",
                tuple(places[node]),
                tuple(places[parent]),
                zorder=4,
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": "#666666",
                    "patchA": boxes[parent].get_bbox_patch(),
                    "patchB": boxes[node].get_bbox_patch(),
                },
            )
            if local and slope is not None:
                middle = 0.5 * (places[node] + places[parent])
                axes.text(
                    middle[0],
                    middle[1],
                    f"× {_number(slope, fmt)}",
                    ha="center",
                    va="center",
                    zorder=5,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
                )
    axes.set_xlim(x.min() - 0.5, x.max() + 0.5)
    axes.set_ylim(y.min() - 0.5, y.max() + 0.5)
    axes.axis("off")
    return axes


def describe_graph(last: Node, fmt: str = ".3g") -> str:
    """The graph as lines of text, operands before what is made of them.

    Examples
    --------
    >>> x, y = Node(2.0, "x"), Node(3.0, "y")
    >>> f = x * y
    >>> f.backward()
    >>> print(describe_graph(f))
    x: 2, gradient 3
    y: 3, gradient 2
    #1 = x × y: 6, gradient 1
    """
    labels: dict[Node, str] = {}
    lines = []
    for node in topological_order(last):
        unnamed = sum(label.startswith("#") for label in labels.values())
        value = _value(node.data, fmt)
        if node.name:
            labels[node] = node.name
        else:
            labels[node] = f"#{unnamed + 1}" if node.parents or node.needs_grad else value
        if not node.parents and not node.needs_grad and not node.name:
            continue  # a constant is named by its value where it is used
        made = f" = {_formula(node, labels)}" if node.parents else ""
        gradient = "" if node.grad is None else f", gradient {_value(node.grad, fmt)}"
        lines.append(f"{labels[node]}{made}: {value}{gradient}")
    return "\n".join(lines)


def _formula(node: Node, labels: Mapping[Node, str]) -> str:
    operands = [labels[parent] for parent in node.parents]
    if len(operands) == 2:
        return f" {node.operation} ".join(operands)
    return f"{node.operation}({', '.join(operands)})"


def _box(node: Node, fmt: str) -> str:
    head = f"{node.name} " if node.name else ""
    head += f"[{node.operation}]" if node.parents else ""
    if node.shape:
        lines = [head.strip(), " × ".join(map(str, node.shape))]
    else:
        lines = [head.strip(), f"= {_value(node.data, fmt)}"]
        lines += [] if node.grad is None else [f"∂ {_value(node.grad, fmt)}"]
    return "\n".join(line for line in lines if line)


def _value(array: Float[np.ndarray, "..."], fmt: str) -> str:
    if array.ndim == 0:
        return _number(float(array), fmt)
    if array.size > FEW:
        return " × ".join(map(str, array.shape))
    return f"({', '.join(_number(float(number), fmt) for number in array.ravel())})"


def _number(value: float, fmt: str) -> str:
    return format(value, fmt).replace("-", "−")


def _slopes(node: Node) -> list[float | None]:
    """∂node/∂parent for each parent, where both are single numbers."""
    return [
        float(pull(np.ones(()))) if node.shape == parent.shape == () and parent.needs_grad else None
        for parent, pull in zip(node.parents, node._pulls, strict=True)
    ]


def _places(order: list[Node]) -> dict[Node, Float[np.ndarray, "2"]]:
    """Operands a level above what is made of them; in a level, as what they go into stands."""
    level: dict[Node, int] = {}
    for node in order:
        level[node] = 1 + max((level[parent] for parent in node.parents), default=-1)
    users = {node: [user for user in order if node in user.parents] for node in order}
    for node in order:
        # An input moves down to where it is used first, so that no arrow crosses the whole drawing.
        if not node.parents and users[node]:
            level[node] = min(level[user] for user in users[node]) - 1
    places: dict[Node, Float[np.ndarray, "2"]] = {}
    for number in reversed(range(max(level.values()) + 1)):
        members = {}
        for node in order:
            if level[node] == number:
                across = [places[user][0] for user in users[node]]
                operand = [user.parents.index(node) for user in users[node]]
                members[node] = (np.mean(across), np.mean(operand)) if across else (0.0, 0.0)
        for rank, node in enumerate(sorted(members, key=members.__getitem__)):
            places[node] = np.array([rank - (len(members) - 1) / 2, -float(number)])
    return places
