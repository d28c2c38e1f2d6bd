"""Scaling laws: how a language model's loss falls with its size, its text and its computation.

A law (`nlp_course.scaling_laws`) is fitted to the losses of models that were trained
(`nlp_course.scaling_fits`), and asked about those that were not; what is in both is here too. The
models that the course trained are read by `runs`; `nlp_course.scaling_runs` trains more.

N is the number of parameters, D that of tokens trained on, C that of floating-point operations of
the training, L the loss in nats a token. Kaplan et al. count N without the vectors of tokens and
positions, Hoffmann et al. with them; for small models the two are far apart.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nlp_course.scaling_fits import (
    bootstrap,
    fit_chinchilla,
    fit_kaplan,
    fit_power_law,
    interval,
)
from nlp_course.scaling_laws import (
    BESIROGLU,
    HOFFMANN,
    KAPLAN,
    KAPLAN_PARAMETERS,
    KAPLAN_TOKENS,
    Allocation,
    ChinchillaLaw,
    KaplanLaw,
    LossLaw,
    compute_optimal,
)

if TYPE_CHECKING:
    from nlp_course.transformer_blocks import Settings

__all__ = [
    "BESIROGLU",
    "EXACT",
    "HOFFMANN",
    "KAPLAN",
    "KAPLAN_PARAMETERS",
    "KAPLAN_TOKENS",
    "Allocation",
    "ChinchillaLaw",
    "KaplanLaw",
    "LossLaw",
    "Run",
    "as_run",
    "bootstrap",
    "compute_optimal",
    "fit_chinchilla",
    "fit_kaplan",
    "fit_power_law",
    "forward_flops",
    "interval",
    "measured",
    "runs",
    "training_flops",
]

FILE = Path(__file__).parent / "weights" / "scaling.json"
EXACT = (1, 2, 4, 8, 16)  # characters of the stretches that `Run.exact` is about


# Computation


def training_flops(parameters: int | float, tokens: int | float) -> int | float:
    """C ≈ 6 N D: operations of a training, if a product of matrices is all that counts.

    Each number of a matrix meets each token in one multiplication and one addition. Backward there
    are twice as many, for the gradients of the token's vector and of the matrix.

    Parameters
    ----------
    parameters : N. With tied vectors of tokens count these once, since they are the output's matrix
        too; leave out those that are only looked up
    tokens : D

    References
    ----------
    Kaplan et al. 2020, Scaling Laws for Neural Language Models, section 2.1.

    Examples
    --------
    >>> f"{training_flops(70e9, 1.4e12):.2e}"  # Chinchilla
    '5.88e+23'
    """
    return 6 * parameters * tokens


def forward_flops(settings: Settings, vocabulary_size: int, time: int) -> int:
    """Operations of all products of matrices while a `transformer.TransformerLM` reads one text.

    2 T (L (4 d w + m d h) + d V) + 4 T² w L

    for T tokens, L layers, h hidden units, m = 2 products in a feed-forward network, 3 if it is
    gated, and w = heads · head_size. What is quadratic is attention's: scores, and sums of values,
    for all pairs of tokens, though a causal kernel may leave half of them out. Of experts only
    those chosen count, and the router's d N_E for each token. Training takes three times as many,
    forward and backward.

    Raises
    ------
    ValueError : fewer than 1 token or id.

    References
    ----------
    Hoffmann et al. 2022, appendix F, with nothing for softmax and the looking-up of vectors.

    Examples
    --------
    >>> from nlp_course.transformer_blocks import Settings
    >>> small = Settings(dimension=16, heads=1, layers=1)
    >>> round(3 * forward_flops(small, vocabulary_size=85, time=64) / training_flops(4432, 64), 3)
    1.462
    """
    if vocabulary_size < 1 or time < 1:
        raise ValueError(
            f"there must be at least 1 id and 1 token, got {vocabulary_size} and {time}"
        )
    d = settings.dimension
    width = settings.heads * (settings.head_size or d // settings.heads)
    network = (3 if settings.gated else 2) * d * (settings.hidden or 4 * d)
    if settings.experts:
        network = settings.chosen * network + d * settings.experts  # and the router
    matrices = settings.layers * (4 * d * width + network) + d * vocabulary_size
    return 2 * time * matrices + 4 * time**2 * width * settings.layers


# The course's own runs


class Run(NamedTuple):
    """A model of the course's, trained on characters of the Brown Corpus.

    dimension, layers : of the model
    parameters : N with the vectors of characters, which are the output's matrix too
    non_embedding : N without them
    tokens : D, characters it was trained on, none of them twice
    loss : L on held-out documents, in nats a character
    exact : share of held-out stretches of so many characters (`EXACT`) that it guesses whole
    learning_rate : the highest of the run
    seed : of initial weights, and of what is drawn from the text
    seconds : of a processor's core
    """

    dimension: int
    layers: int
    parameters: int
    non_embedding: int
    tokens: int
    loss: float
    exact: tuple[float, ...]
    learning_rate: float
    seed: int
    seconds: float


def runs() -> list[Run]:
    """The runs that come with the package, the script `weights/scaling.py` made them.

    Examples
    --------
    >>> len(runs()) >= 12
    True
    """
    return [as_run(row) for row in measured()["runs"]]


def measured() -> dict[str, Any]:
    """All that `weights/scaling.py` measured.

    Returns
    -------
    "runs", of which `runs` is the better form; "other_learning_rates", runs with a rate that was
    not taken; "experts", a mixture of experts beside dense models; and what they were trained on.
    """
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def as_run(row: dict[str, Any]) -> Run:
    """A run as JSON gives it back."""
    return Run(**{**row, "exact": tuple(row["exact"])})
