"""Gates looked at: what an LSTM and a GRU let through, keep and write, step by step.

The cells of `nlp_course.recurrent` give states alone. Here one sequence goes through a cell again
and every gate is kept, so that it can be drawn beside the words.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nlp_course.recurrent import GRUCell, LSTMCell, State, unroll


class LSTMGates(NamedTuple):
    """An LSTM's gates, candidate, cell and state after each step of one sequence."""

    i: Float[Tensor, "time hidden"]
    f: Float[Tensor, "time hidden"]
    o: Float[Tensor, "time hidden"]
    g: Float[Tensor, "time hidden"]
    c: Float[Tensor, "time hidden"]
    h: Float[Tensor, "time hidden"]


class GRUGates(NamedTuple):
    """A GRU's gates, candidate and state after each step of one sequence."""

    r: Float[Tensor, "time hidden"]
    z: Float[Tensor, "time hidden"]
    candidate: Float[Tensor, "time hidden"]
    h: Float[Tensor, "time hidden"]


class CellJacobian(NamedTuple):
    """∂c_t/∂c_{t−1} of an LSTM as diag(kept) + through_hidden.

    kept : f_t, the path on which the cell is added to
    through_hidden : what goes from c_{t−1} into h_{t−1} and from there into gates and candidate
    """

    kept: Float[Tensor, "hidden"]
    through_hidden: Float[Tensor, "hidden hidden"]


class TellingUnit(NamedTuple):
    """One number of a state, and how well it alone tells two classes apart.

    unit : its place
    threshold : between the values of the two classes
    above : whether the class is True above the threshold
    """

    unit: int
    threshold: float
    above: bool

    def predict(self, values: Float[np.ndarray, "example hidden"]) -> Bool[np.ndarray, "example"]:
        """The class of each example by this one number."""
        return (values[:, self.unit] > self.threshold) == self.above


@torch.no_grad()
def lstm_gates(
    cell: LSTMCell, x: Float[Tensor, "time inputs"], start: State | None = None
) -> LSTMGates:
    """What happens inside an LSTM while it reads one sequence.

    Parameters
    ----------
    x : the inputs, without a batch
    start : (h, c) before the first step, for a batch of one; zeros by default

    Raises
    ------
    ValueError : there is no step.

    Examples
    --------
    >>> gates = lstm_gates(LSTMCell(2, 3), torch.zeros(4, 2))
    >>> bool(torch.allclose(gates.f[0], torch.sigmoid(torch.ones(3))))  # b_f begins at 1
    True
    """
    h, c, before = _states(cell, x, start)
    i, f, g, o = (cell.project(x) + before @ cell.W_hh.T).chunk(4, dim=1)  # each (time, hidden)
    return LSTMGates(torch.sigmoid(i), torch.sigmoid(f), torch.sigmoid(o), torch.tanh(g), c, h)


@torch.no_grad()
def gru_gates(
    cell: GRUCell, x: Float[Tensor, "time inputs"], start: State | None = None
) -> GRUGates:
    """What happens inside a GRU while it reads one sequence.

    Parameters
    ----------
    x, start : as for `lstm_gates`, with (h,) for the state

    Raises
    ------
    ValueError : there is no step.
    """
    h, _, before = _states(cell, x, start)
    r_x, z_x, n_x = cell.project(x).chunk(3, dim=1)
    r_h, z_h, n_h = (before @ cell.W_hh.T).chunk(3, dim=1)
    r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
    return GRUGates(r, z, torch.tanh(n_x + r * (n_h + cell.b_hn)), h)


def _states(
    cell: LSTMCell | GRUCell, x: Tensor, start: State | None
) -> tuple[Tensor, Tensor, Tensor]:
    """h_1 … h_T; the longer memory after each step; h_0 … h_{T−1}."""
    if len(x) == 0:
        raise ValueError("a sequence needs at least one step")
    start = cell.start(1) if start is None else start
    states = unroll(cell, x[None], start)
    h, memory = (torch.cat([state[place] for state in states]) for place in (0, -1))
    return h, memory, torch.cat([start[0], h[:-1]])


def written(gates: LSTMGates) -> Float[Tensor, "time hidden"]:
    """What each step wrote into the last cell, as far as it is still there.

    c_T = Σ_k (Π_{j=k+1…T} f_j) ∘ i_k ∘ g_k, where c_0 = 0

    Returns
    -------
    The terms of the sum.
    """
    later = torch.cat([gates.f[1:], torch.ones_like(gates.f[:1])])  # f_{k+1}, and 1 after the last
    kept = later.flip(0).cumprod(dim=0).flip(0)  # Π_{j>k} f_j
    return kept * gates.i * gates.g


@torch.no_grad()
def cell_jacobian(cell: LSTMCell, gates: LSTMGates, t: int) -> CellJacobian:
    """How the cell after step t depends on the cell after the step before.

    ∂c_t/∂c_{t−1} = diag(f) + [diag(c_{t−1} f(1−f)) U_f + diag(g i(1−i)) U_i + diag(i (1−g²)) U_g]
                    diag(o_{t−1} (1 − tanh²(c_{t−1})))

    The gates are those of step t. The earlier state h_{t−2} is held fixed: what reaches c_t from
    further back by way of o_{t−1} is not in it.

    Parameters
    ----------
    t : the step, counted from 0; at least 1

    Raises
    ------
    ValueError : there is no step t, or none before it.
    """
    if not 1 <= t < len(gates.c):
        raise ValueError(f"t must lie in 1 … {len(gates.c) - 1}, got {t}")
    i, f, g, c = gates.i[t], gates.f[t], gates.g[t], gates.c[t - 1]
    U_i, U_f, U_g, _ = cell.W_hh.chunk(4)
    from_hidden = (
        (c * f * (1 - f))[:, None] * U_f
        + (g * i * (1 - i))[:, None] * U_i
        + (i * (1 - g**2))[:, None] * U_g
    )
    return CellJacobian(f, from_hidden * (gates.o[t - 1] * (1 - torch.tanh(c) ** 2)))


def telling_unit(
    values: Float[np.ndarray, "example hidden"], labels: Bool[np.ndarray, "label"]
) -> TellingUnit:
    """The number of a state that alone, with a threshold, is right about most examples.

    It was chosen because it is right here; how right it is has to be asked on other examples.

    Raises
    ------
    ValueError : values and labels differ in number, one of the two classes has no example, or no
        number of the state ever changes.

    Examples
    --------
    >>> telling_unit(np.array([[1.0, 5.0], [2.0, 1.0], [3.0, 4.0]]), np.array([True, False, True]))
    TellingUnit(unit=1, threshold=2.5, above=True)
    """
    if len(values) != len(labels):
        raise ValueError(f"{len(values)} examples need as many labels, got {len(labels)}")
    if labels.all() or not labels.any():
        raise ValueError("there must be examples of both classes")
    order = np.argsort(values, axis=0, kind="stable")
    ranked = np.take_along_axis(values, order, axis=0)  # (example, hidden), each column ascending
    true_below = np.cumsum(labels[order], axis=0)[:-1]  # if the threshold comes after this place
    false_below = np.arange(1, len(labels))[:, None] - true_below
    above = labels.sum() - true_below + false_below  # right if True is above
    right = np.maximum(above, len(labels) - above)
    # Between two equal values no threshold fits.
    right[ranked[1:] == ranked[:-1]] = -1
    # Of thresholds that are right equally often, the one with most room on both sides.
    gap = (ranked[1:] - ranked[:-1]) / (ranked[-1] - ranked[0]).clip(min=1e-12)
    if right.max() < 0:
        raise ValueError("the examples have all the same values: nothing can tell them apart")
    place, unit = np.unravel_index(np.argmax(right + 0.5 * gap), right.shape)
    threshold = (ranked[place, unit] + ranked[place + 1, unit]) / 2
    is_above = above[place, unit] >= len(labels) - above[place, unit]
    return TellingUnit(int(unit), float(threshold), bool(is_above))
