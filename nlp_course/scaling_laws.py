"""Laws of a language model's loss: see `nlp_course.scaling`.

N is the number of parameters, D that of tokens trained on, C that of floating-point operations of
the training, L the loss in nats a token.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real


class LossLaw(NamedTuple):
    """L = (x_c/x)^α + L_∞: a straight line in the logarithms of x and L − L_∞.

    scale : x_c, of the kind of x: N_c, D_c or C_c
    exponent : α
    floor : L_∞, in nats; 0 where the law has none
    """

    scale: float
    exponent: float
    floor: float = 0.0

    def predict(
        self, x: int | float | Real[np.ndarray, "*points"]
    ) -> float | Float[np.ndarray, "*points"]:
        """The loss at each x > 0."""
        return (self.scale / np.asarray(x, dtype=np.float64)) ** self.exponent + self.floor


class ChinchillaLaw(NamedTuple):
    """L(N, D) = E + A/N^α + B/D^β.

    E : what no model can do better than: the entropy of the text
    A, alpha : of what a model of N parameters lacks
    B, beta : of what D tokens do not tell
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    def predict(
        self,
        parameters: int | float | Real[np.ndarray, "*#points"],
        tokens: int | float | Real[np.ndarray, "*#points"],
    ) -> float | Float[np.ndarray, "*_"]:
        """The loss of each model."""
        n, d = np.asarray(parameters, np.float64), np.asarray(tokens, np.float64)
        return self.E + self.A * n**-self.alpha + self.B * d**-self.beta


class KaplanLaw(NamedTuple):
    """L(N, D) = [(N_c/N)^(α_N/α_D) + D_c/D]^α_D.

    Of a large model it is (D_c/D)^α_D, of a small one on a long text (N_c/N)^α_N: what a model
    gains from more text depends on its size, while in `ChinchillaLaw` it does not.

    parameters_scale : N_c
    tokens_scale : D_c
    alpha_N : exponent of N where there is text enough
    alpha_D : exponent of D where the model is large enough
    """

    parameters_scale: float
    tokens_scale: float
    alpha_N: float
    alpha_D: float

    def predict(
        self,
        parameters: int | float | Real[np.ndarray, "*#points"],
        tokens: int | float | Real[np.ndarray, "*#points"],
    ) -> float | Float[np.ndarray, "*_"]:
        """The loss of each model."""
        n, d = np.asarray(parameters, np.float64), np.asarray(tokens, np.float64)
        of_size = (self.parameters_scale / n) ** (self.alpha_N / self.alpha_D)
        return (of_size + self.tokens_scale / d) ** self.alpha_D


KAPLAN_PARAMETERS = LossLaw(8.8e13, 0.076)  # Kaplan et al. 2020, eq. 1.1: N without embeddings
KAPLAN_TOKENS = LossLaw(5.4e13, 0.095)  # Kaplan et al. 2020, eq. 1.2
KAPLAN = KaplanLaw(6.4e13, 1.8e13, 0.076, 0.103)  # Kaplan et al. 2020, table 2
HOFFMANN = ChinchillaLaw(1.69, 406.4, 410.7, 0.34, 0.28)  # Hoffmann et al. 2022, eq. 10
BESIROGLU = ChinchillaLaw(1.8172, 482.01, 2085.43, 0.3478, 0.3658)  # Besiroglu et al. 2024, eq. 6


class Allocation(NamedTuple):
    """What to spend a computation on: a model of so many parameters, on so many tokens."""

    parameters: float
    tokens: float


def compute_optimal(law: ChinchillaLaw | KaplanLaw, flops: int | float) -> Allocation:
    """The model and the text with the lowest loss that can be had for 6 N D = C.

    N = G (C/6)^(β/(α+β)),  D = (C/6)^(α/(α+β))/G,  G = (α A/(β B))^(1/(α+β))

    since at the lowest point α A N^−α = β B D^−β: a per cent more of N gains as much as a per cent
    more of D. Kaplan's law is lowest where what is in its brackets is, a law of this kind with
    α = α_N/α_D and β = 1.

    Parameters
    ----------
    law : published, or fitted
    flops : C

    Raises
    ------
    ValueError : a number of the law, other than E, or C is not positive: there is no lowest point.

    References
    ----------
    Hoffmann et al. 2022, eq. 4.

    Examples
    --------
    >>> n, d = compute_optimal(BESIROGLU, 5.88e23)  # Chinchilla: 70 billion, 1.4 trillion
    >>> f"{n:.2e} {d:.2e} {d / n:.0f}"
    '7.30e+10 1.34e+12 18'
    """
    numbers = law[1:] if isinstance(law, ChinchillaLaw) else law
    if not all(number > 0 for number in (*numbers, flops)):
        raise ValueError(f"numbers of a law and C must be above 0, got {numbers} and {flops}")
    if isinstance(law, KaplanLaw):
        ratio = law.alpha_N / law.alpha_D
        law = ChinchillaLaw(0.0, law.parameters_scale**ratio, law.tokens_scale, ratio, 1.0)
    _, a, b, alpha, beta = law
    balance = (alpha * a / (beta * b)) ** (1 / (alpha + beta))  # G
    product = flops / 6  # N D
    parameters = balance * product ** (beta / (alpha + beta))
    return Allocation(parameters, product / parameters)
