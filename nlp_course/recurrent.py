"""Recurrent networks: one cell applied at every step of a sequence, in three kinds.

A cell makes a new state from the last one and the present input. `unroll` applies it step after
step, `Recurrent` does so in layers, in one direction or both. The same numbers as torch.nn.RNN, GRU
and LSTM, from loops that can be read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, TypeAlias, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

# What a cell hands on from step to step: (h,), and (h, c) of an LSTM.
State: TypeAlias = tuple[Float[Tensor, "batch hidden"], ...]

# The same of all layers and directions, as torch.nn has it: layer 0 forward, layer 0 backward, …
LayerState: TypeAlias = tuple[Float[Tensor, "layer rows hidden"], ...]


class Cell(nn.Module, ABC):
    """One step of a recurrent network.

    Parameters
    ----------
    inputs : numbers in x_t
    hidden : numbers in h_t

    Attributes
    ----------
    W_hx, W_hh, b : one block of rows for each thing a cell computes from x_t and h_{t−1}; their
        order is torch's. b stands for the sum of torch's two biases

    Raises
    ------
    ValueError : a size below 1.

    Notes
    -----
    Initial weights: W_hx ~ N(0, 1/inputs), so that a_t has the spread of x_t; each block of W_hh is
    orthogonal, so that h_{t−1} enters with the length it has; b = 0. They are drawn from torch's
    global generator: call `training.set_seed` first.

    References
    ----------
    Saxe et al. 2014, Exact Solutions to the Nonlinear Dynamics of Learning in Deep Linear Neural
    Networks, section 3: orthogonal initial weights.
    """

    blocks: ClassVar[int]
    memories: ClassVar[int] = 1  # tensors in a state

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        for name, value in (("inputs", inputs), ("hidden", hidden)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.inputs, self.hidden = inputs, hidden
        self.W_hx = nn.Parameter(torch.randn(self.blocks * hidden, inputs) * inputs**-0.5)
        squares = [nn.init.orthogonal_(torch.empty(hidden, hidden)) for _ in range(self.blocks)]
        self.W_hh = nn.Parameter(torch.cat(squares))
        self.b = nn.Parameter(torch.zeros(self.blocks * hidden))

    def project(self, x: Float[Tensor, "*places inputs"]) -> Float[Tensor, "*places blocks_hidden"]:
        """W_hx x + b, of one step or of all at once: nothing in it waits for a state."""
        return F.linear(x, self.W_hx, self.b)

    @abstractmethod
    def step(self, projected: Float[Tensor, "batch blocks_hidden"], state: State) -> State:
        """The new state, from W_hx x_t + b and the old state."""

    def forward(self, x: Float[Tensor, "batch inputs"], state: State) -> State:
        """The new state, from x_t and the old state."""
        return self.step(self.project(x), state)

    def start(self, batch: int) -> State:
        """Zeros, the state before the first step."""
        return tuple(self.b.new_zeros(batch, self.hidden) for _ in range(self.memories))


class RNNCell(Cell):
    """The simple recurrent network.

    h_t = tanh(W_hh h_{t−1} + W_hx x_t + b)

    References
    ----------
    Elman 1990, Finding Structure in Time.

    Examples
    --------
    >>> cell = RNNCell(inputs=2, hidden=3)
    >>> (h,) = cell(torch.zeros(1, 2), (torch.zeros(1, 3),))
    >>> h.tolist()
    [[0.0, 0.0, 0.0]]
    """

    blocks = 1

    def step(self, projected: Float[Tensor, "batch blocks_hidden"], state: State) -> State:
        """The new state, from W_hx x_t + b and the old state."""
        (h,) = state
        return (torch.tanh(h @ self.W_hh.T + projected),)


class GRUCell(Cell):
    """The gated recurrent unit: an update gate z and a reset gate r.

    r = σ(W_r x_t + U_r h_{t−1} + b_r),  z = σ(W_z x_t + U_z h_{t−1} + b_z)
    h̃ = tanh(W_n x_t + b_n + r ∘ (U_n h_{t−1} + b_hn))
    h_t = z ∘ h_{t−1} + (1 − z) ∘ h̃

    W_hx = [W_r; W_z; W_n] and W_hh = [U_r; U_z; U_n].

    Attributes
    ----------
    b_hn : the bias that the reset gate multiplies, as in torch.nn.GRU; 0 at the beginning

    References
    ----------
    Cho et al. 2014, Learning Phrase Representations using RNN Encoder–Decoder, eq. 5–8, with r
    inside the brackets of U_n and without biases; its first version, arXiv 1406.1078v1, and cuDNN
    have the form used here.
    """

    blocks = 3

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.b_hn = nn.Parameter(torch.zeros(hidden))

    def step(self, projected: Float[Tensor, "batch blocks_hidden"], state: State) -> State:
        """The new state, from W_hx x_t + b and the old state."""
        (h,) = state
        r_x, z_x, n_x = projected.chunk(3, dim=1)  # each (batch, hidden)
        r_h, z_h, n_h = (h @ self.W_hh.T).chunk(3, dim=1)
        r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
        candidate = torch.tanh(n_x + r * (n_h + self.b_hn))
        return (z * h + (1 - z) * candidate,)


class LSTMCell(Cell):
    """Long short-term memory: gates i, f, o around a cell c that is added to.

    i, f, o = σ(W_i x_t + U_i h_{t−1} + b_i), and likewise with f and o
    g = tanh(W_g x_t + U_g h_{t−1} + b_g)
    c_t = f ∘ c_{t−1} + i ∘ g,  h_t = o ∘ tanh(c_t)

    W_hx = [W_i; W_f; W_g; W_o], and W_hh likewise. The state is (h, c).

    Notes
    -----
    b_f begins at 1, so that at first most of c is kept; all else as for `Cell`.

    References
    ----------
    Hochreiter and Schmidhuber 1997, Long Short-Term Memory; Gers et al. 2000, Learning to Forget,
    for f; Jozefowicz et al. 2015, An Empirical Exploration of Recurrent Network Architectures, for
    b_f = 1.
    """

    blocks, memories = 4, 2

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.b.data[hidden : 2 * hidden] = 1.0

    def step(self, projected: Float[Tensor, "batch blocks_hidden"], state: State) -> State:
        """The new state, from W_hx x_t + b and the old state."""
        h, c = state
        i, f, g, o = (h @ self.W_hh.T + projected).chunk(4, dim=1)  # each (batch, hidden)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


def unroll(
    cell: Cell,
    x: Float[Tensor, "batch time inputs"],
    state: State | None = None,
    present: Bool[Tensor, "batch time"] | None = None,
) -> list[State]:
    """The states after each step: the cell's loop over time.

    Parameters
    ----------
    state : before the first step; zeros by default
    present : False at padded steps, where the state stays as it is

    Returns
    -------
    A state a step. They are those of the graph: ∂L/∂h_k is ``torch.autograd.grad(L, states[k])``.

    Examples
    --------
    >>> states = unroll(RNNCell(inputs=2, hidden=3), torch.zeros(4, 5, 2))
    >>> len(states), states[-1][0].shape
    (5, torch.Size([4, 3]))
    """
    state = cell.start(len(x)) if state is None else state
    states = []
    for t, projected in enumerate(cell.project(x).unbind(dim=1)):  # (batch, blocks · hidden)
        new = cell.step(projected, state)
        if present is not None:
            kept = present[:, t, None]  # (batch, 1)
            new = tuple(torch.where(kept, n, old) for n, old in zip(new, state, strict=True))
        state = new
        states.append(state)
    return states


class Recurrent(nn.Module):
    """Layers of cells over time: layer 1 reads the input, each other the outputs of the one below.

    Parameters
    ----------
    cell : RNNCell, GRUCell or LSTMCell
    inputs, hidden : numbers in an input; in a state, of each layer and direction
    layers : how many lie one upon the other
    bidirectional : a second network, with weights of its own, reads from the end to the beginning
        in each layer; a step's output is h of both, side by side
    dropout : share of the outputs between layers that is left out in a step of training

    Attributes
    ----------
    cells : one a layer and direction: layer 0 forward, layer 0 backward, layer 1 forward, …

    Raises
    ------
    ValueError : a size or a number of layers below 1, or a dropout outside 0 … 1.

    References
    ----------
    Schuster and Paliwal 1997, Bidirectional Recurrent Neural Networks.

    Examples
    --------
    >>> network = Recurrent(GRUCell, inputs=2, hidden=3, bidirectional=True)
    >>> outputs, (h,) = network(torch.zeros(4, 5, 2))
    >>> outputs.shape, h.shape
    (torch.Size([4, 5, 6]), torch.Size([2, 4, 3]))
    """

    def __init__(
        self,
        cell: type[Cell],
        inputs: int,
        hidden: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers must be at least 1, got {layers}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
        self.inputs, self.hidden, self.layers = inputs, hidden, layers
        self.directions = 2 if bidirectional else 1
        self.dropout = nn.Dropout(dropout)
        sizes = [inputs] + [self.directions * hidden] * (layers - 1)
        self.cells = nn.ModuleList(
            cell(size, hidden) for size in sizes for _ in range(self.directions)
        )
        self.memories = cell.memories

    def forward(
        self,
        x: Float[Tensor, "batch time inputs"],
        state: LayerState | None = None,
        lengths: Int[Tensor, "sequence"] | None = None,
    ) -> tuple[Float[Tensor, "batch time directions_hidden"], LayerState]:
        """Outputs of the last layer at every step, and the last state of each layer.

        Parameters
        ----------
        x : a batch of sequences
        state : to begin with, as returned; zeros by default
        lengths : steps of each sequence, where the rest is padding. A padded step changes no state
            and puts out zeros; a sequence of length 0 ends in the state it began with. By default
            all steps count

        Raises
        ------
        ValueError : inputs, states or lengths do not fit.
        """
        self._check(x, state, lengths)
        batch, time = x.shape[:2]
        if state is None:
            zeros = x.new_zeros(len(self.cells), batch, self.hidden)
            state = (zeros,) * self.memories
        present = None
        if lengths is not None:
            steps = torch.arange(time, device=x.device)
            present = steps < lengths.to(x.device)[:, None]  # (batch, time)
        last: list[State] = []
        for layer in range(self.layers):
            below = x if layer == 0 else self.dropout(x)
            sides = []
            for direction in range(self.directions):
                place = layer * self.directions + direction
                cell = cast(Cell, self.cells[place])
                start = tuple(memory[place] for memory in state)
                outputs, final = _run(cell, below, start, present, backward=direction == 1)
                sides.append(outputs)
                last.append(final)
            x = torch.cat(sides, dim=-1)  # (batch, time, directions · hidden)
        return x, tuple(torch.stack(memory) for memory in zip(*last, strict=True))

    def _check(self, x: Tensor, state: LayerState | None, lengths: Tensor | None) -> None:
        batch, time, inputs = x.shape
        if inputs != self.inputs:
            raise ValueError(f"each step needs {self.inputs} inputs, got {inputs}")
        needed = len(self.cells), batch, self.hidden
        if state is not None and [tuple(memory.shape) for memory in state] != (
            [needed] * self.memories
        ):
            shapes = [tuple(memory.shape) for memory in state]
            raise ValueError(
                f"a state must be {self.memories} tensors of shape {needed} "
                f"(layers · directions, batch, hidden), got {shapes}"
            )
        if lengths is None:
            return
        if len(lengths) != batch:
            raise ValueError(f"{batch} sequences need as many lengths, got {len(lengths)}")
        if batch and not 0 <= lengths.min() <= lengths.max() <= time:
            raise ValueError(
                f"lengths must lie in 0 … {time}, got {lengths.min()} … {lengths.max()}"
            )


def _run(
    cell: Cell,
    x: Float[Tensor, "batch time inputs"],
    state: State,
    present: Bool[Tensor, "batch time"] | None,
    backward: bool,
) -> tuple[Float[Tensor, "batch time hidden"], State]:
    """One layer in one direction: its outputs, in the order of the input, and its last state."""
    if x.shape[1] == 0:
        return x.new_zeros(len(x), 0, cell.hidden), state
    if backward:
        # Padding comes first now, and the state waits for the last real step.
        x, present = x.flip(1), None if present is None else present.flip(1)
    states = unroll(cell, x, state, present)
    outputs = torch.stack([hidden for hidden, *_ in states], dim=1)  # (batch, time, hidden)
    if present is not None:
        outputs = outputs * present[:, :, None]
    return outputs.flip(1) if backward else outputs, states[-1]


def mean_pool(
    outputs: Float[Tensor, "batch time hidden"], lengths: Int[Tensor, "batch"]
) -> Float[Tensor, "batch hidden"]:
    """The mean output of each sequence, padding left out; zeros for a sequence without steps."""
    present = _present(outputs, lengths)
    return (outputs * present).sum(dim=1) / lengths.clamp(min=1)[:, None]


def max_pool(
    outputs: Float[Tensor, "batch time hidden"], lengths: Int[Tensor, "batch"]
) -> Float[Tensor, "batch hidden"]:
    """Each coordinate's largest output, padding left out; zeros for a sequence without steps."""
    if outputs.shape[1] == 0:
        return outputs.new_zeros(len(outputs), outputs.shape[2])
    present = _present(outputs, lengths)
    # Zero padding would win against a coordinate that is negative throughout.
    lowest = torch.finfo(outputs.dtype).min
    largest = outputs.masked_fill(~present, lowest).amax(dim=1)
    return largest.masked_fill(lengths[:, None] == 0, 0.0)


def _present(outputs: Tensor, lengths: Tensor) -> Bool[Tensor, "batch time 1"]:
    steps = torch.arange(outputs.shape[1], device=outputs.device)
    return (steps < lengths[:, None])[:, :, None]
