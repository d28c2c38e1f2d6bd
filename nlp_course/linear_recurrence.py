"""Linear recurrences: a state of fixed size, read step by step or for all steps at once.

h_t = a_t ∘ h_{t−1} + b_t has no tanh around it, so two steps are one step of the same kind. What an
LSTM must do one after the other, this may do in any grouping: about log₂ T rounds instead of T. The
same holds where the state is a table of keys and values, which is attention without its softmax.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def step_by_step(
    a: Float[Tensor, "*batch time d"],
    b: Float[Tensor, "*batch time d"],
    start: Float[Tensor, "*batch d"] | None = None,
) -> Float[Tensor, "*batch time d"]:
    """The states of h_t = a_t ∘ h_{t−1} + b_t, by a loop: T steps that wait for each other.

    Parameters
    ----------
    a : what is kept of each number of the state
    b : what is added
    start : h_0; zeros by default

    Returns
    -------
    h_1 … h_T.

    Raises
    ------
    ValueError : there is no step.

    Examples
    --------
    >>> step_by_step(torch.full((3, 1), 0.5), torch.ones(3, 1)).flatten().tolist()
    [1.0, 1.5, 1.75]
    """
    _check_steps(b.shape[-2])
    h = torch.zeros_like(b[..., 0, :]) if start is None else start
    states = []
    for t in range(b.shape[-2]):
        h = a[..., t, :] * h + b[..., t, :]
        states.append(h)
    return torch.stack(states, dim=-2)


def parallel_scan(
    a: Float[Tensor, "*batch time d"],
    b: Float[Tensor, "*batch time d"],
    start: Float[Tensor, "*batch d"] | None = None,
) -> Float[Tensor, "*batch time d"]:
    """The same states as `step_by_step`, in ⌈log₂ T⌉ rounds, each of which does all places at once.

    Step (a₁, b₁) and then step (a₂, b₂) are one step: (a₂ ∘ a₁, a₂ ∘ b₁ + b₂).

    After the first round each place holds its own step and the one before as one step, after the
    second four, and so on, until each holds all steps from the first. That is about 2 T log₂ T
    multiplications instead of T: more work, and less waiting.

    Parameters
    ----------
    a, b, start : as for `step_by_step`

    Raises
    ------
    ValueError : there is no step.

    References
    ----------
    Hillis and Steele 1986, Data Parallel Algorithms; Blelloch 1990, Prefix Sums and Their
    Applications, for the rule and a scan that does only about 2 T combinations.

    Examples
    --------
    >>> parallel_scan(torch.full((3, 1), 0.5), torch.ones(3, 1)).flatten().tolist()
    [1.0, 1.5, 1.75]
    """
    _check_steps(b.shape[-2])
    if start is not None:
        first = b[..., :1, :] + a[..., :1, :] * start[..., None, :]
        b = torch.cat([first, b[..., 1:, :]], dim=-2)
    reach = 1
    while reach < b.shape[-2]:
        earlier = slice(None, -reach)
        kept = a[..., reach:, :]
        # Both from the values before this round; places without an earlier one are complete.
        b = torch.cat([b[..., :reach, :], kept * b[..., earlier, :] + b[..., reach:, :]], dim=-2)
        a = torch.cat([a[..., :reach, :], kept * a[..., earlier, :]], dim=-2)
        reach *= 2
    return b


def linear_attention(
    query: Float[Tensor, "*batch time d"],
    key: Float[Tensor, "*batch time d"],
    value: Float[Tensor, "*batch time e"],
    decay: Float[Tensor, "*batch time"] | None = None,
) -> Float[Tensor, "*batch time e"]:
    """Causal attention without softmax, for all queries at once: T² scores, as attention has them.

    o_i = Σ_{j ≤ i} (γ_{j+1} ⋯ γ_i) (q_i · k_j) v_j

    Parameters
    ----------
    query, key, value : of one head
    decay : γ, what each step keeps of all before it, above 0 and at most 1; 1 by default

    Raises
    ------
    ValueError : no step, or a decay out of range.

    References
    ----------
    Katharopoulos et al. 2020, Transformers are RNNs: Fast Autoregressive Transformers with Linear
    Attention. Their division by Σ_j q_i · k_j is a column of ones in `value`, divided by. Dao and
    Gu 2024, Transformers are SSMs, for γ.

    Examples
    --------
    >>> ones = torch.ones(3, 1)
    >>> linear_attention(ones, ones, torch.tensor([[1.0], [2.0], [4.0]])).flatten().tolist()
    [1.0, 3.0, 7.0]
    """
    time = query.shape[-2]
    _check_steps(time)
    scores = query @ key.mT  # (*batch, query, key)
    if decay is not None:
        _check_decay(decay)
        # In double precision, since what is wanted is a small difference of two large sums.
        total = decay.double().log().cumsum(dim=-1)
        # Of a key after its query the logarithm would be positive, and its exponential overflow.
        log_kept = (total[..., :, None] - total[..., None, :]).clamp(max=0.0)
        scores = scores * log_kept.exp().to(scores.dtype)
    return scores.tril() @ value


class Remembered(NamedTuple):
    """What `linear_attention_steps` gives.

    output : o_1 … o_T
    state : S_T, to go on from
    """

    output: Float[Tensor, "*batch time e"]
    state: Float[Tensor, "*batch d e"]


def linear_attention_steps(
    query: Float[Tensor, "*batch time d"],
    key: Float[Tensor, "*batch time d"],
    value: Float[Tensor, "*batch time e"],
    decay: Float[Tensor, "*batch time"] | None = None,
    state: Float[Tensor, "*batch d e"] | None = None,
) -> Remembered:
    """The same outputs as `linear_attention`, from a state that does not grow with the text.

    S_t = γ_t S_{t−1} + k_tᵀ v_t,  o_t = q_t S_t

    Parameters
    ----------
    query, key, value, decay : as for `linear_attention`
    state : S_0, as returned for the text before; zeros by default

    Raises
    ------
    ValueError : no step, or a decay out of range.

    Examples
    --------
    >>> ones = torch.ones(3, 1)
    >>> output, state = linear_attention_steps(ones, ones, torch.tensor([[1.0], [2.0], [4.0]]))
    >>> output.flatten().tolist(), state.tolist()
    ([1.0, 3.0, 7.0], [[7.0]])
    """
    time = query.shape[-2]
    _check_steps(time)
    if decay is None:
        decay = query.new_ones(query.shape[:-1])
    _check_decay(decay)
    S = query.new_zeros(*key.shape[:-2], key.shape[-1], value.shape[-1]) if state is None else state
    outputs = []
    for t in range(time):
        written = key[..., t, :, None] * value[..., t, None, :]  # (*batch, d, e)
        S = decay[..., t, None, None] * S + written
        outputs.append((query[..., t, None, :] @ S)[..., 0, :])
    return Remembered(torch.stack(outputs, dim=-2), S)


class GatedRecurrence(nn.Module):
    """A diagonal linear recurrence whose gates are made from the input alone.

    r_t = σ(W_r x_t + b_r),  i_t = σ(W_i x_t + b_i),  a_t = σ(Λ)^{8 r_t}
    h_t = a_t ∘ h_{t−1} + √(1 − a_t²) ∘ (i_t ∘ x_t)

    No gate sees h_{t−1}, so all gates are known before the first step, and a scan does the rest.

    Parameters
    ----------
    d : numbers in x_t and in h_t

    Attributes
    ----------
    gates : W_r and W_i, (2 d, d), and their biases
    forgetting : Λ, (d,); at first σ(Λ)⁸ is spread evenly over 0.9 … 0.999

    Raises
    ------
    ValueError : d < 1.

    References
    ----------
    De et al. 2024, Griffin: Mixing Gated Linear Recurrences with Local Attention for Efficient
    Language Models, section 2.4, where it is called RG-LRU.

    Examples
    --------
    >>> layer = GatedRecurrence(4)
    >>> h, state = layer(torch.zeros(2, 5, 4))
    >>> h.shape, state.shape
    (torch.Size([2, 5, 4]), torch.Size([2, 4]))
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        if d < 1:
            raise ValueError(f"a state has at least 1 number, got {d}")
        self.gates = nn.Linear(d, 2 * d)
        nn.init.normal_(self.gates.weight, std=d**-0.5)
        nn.init.zeros_(self.gates.bias)
        kept = torch.linspace(0.9, 0.999, d) ** (1 / 8)  # σ(Λ)
        self.forgetting = nn.Parameter(torch.logit(kept))

    def forward(
        self, x: Float[Tensor, "batch time d"], state: Float[Tensor, "batch d"] | None = None
    ) -> tuple[Float[Tensor, "batch time d"], Float[Tensor, "batch d"]]:
        """The states, and the last of them, to go on with.

        Raises
        ------
        ValueError : there is no step.
        """
        r, i = torch.sigmoid(self.gates(x)).chunk(2, dim=-1)  # each (batch, time, d)
        log_a = 8 * r * F.logsigmoid(self.forgetting)
        # expm1 keeps the digits of 1 − a² where a is nearly 1.
        b = torch.sqrt(-torch.expm1(2 * log_a)) * (i * x)
        h = parallel_scan(log_a.exp(), b, state)
        return h, h[:, -1]


def _check_steps(time: int) -> None:
    if time < 1:
        raise ValueError("a sequence needs at least one step")


def _check_decay(decay: Tensor) -> None:
    if not ((decay > 0) & (decay <= 1)).all():
        raise ValueError(
            f"a decay must be above 0 and at most 1, got {decay.min():g} … {decay.max():g}"
        )
