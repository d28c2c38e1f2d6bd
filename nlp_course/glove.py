"""GloVe: vectors whose dot products are the logarithms of co-occurrence counts.

The table of counts is factorised by weighted least squares over the cells that are not 0. Counts
come from `cooccurrence.window_counts`; a cell at 0 has no logarithm and is never looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Int, Real
from scipy import sparse
from tqdm.auto import tqdm

from nlp_course.cooccurrence import Counts


class CellGradients(NamedTuple):
    """∂J/∂w, ∂J/∂w̃, ∂J/∂b and ∂J/∂b̃ of each cell."""

    word: Float[np.ndarray, "cell d"]
    context: Float[np.ndarray, "cell d"]
    word_bias: Float[np.ndarray, "cell"]
    context_bias: Float[np.ndarray, "cell"]


class ContextRatio(NamedTuple):
    """P(k|i) / P(k|j), and the two counts behind it.

    low, high : the ends of a confidence interval
    first_count, second_count : X_ik and X_jk
    """

    ratio: float
    low: float
    high: float
    first_count: int
    second_count: int


@dataclass(frozen=True)
class GloVe:
    """Two vectors and two biases for each word of a vocabulary.

    word : (V, d) w, the vectors of words as rows of the table
    context : (V, d) w̃, the vectors of words as columns
    word_bias, context_bias : (V,) b and b̃, which take up how frequent a word is
    """

    word: Float[np.ndarray, "vocabulary d"]
    context: Float[np.ndarray, "vocabulary d"]
    word_bias: Float[np.ndarray, "vocabulary"]
    context_bias: Float[np.ndarray, "vocabulary"]

    @property
    def vectors(self) -> Float[np.ndarray, "vocabulary d"]:
        """The embeddings, w + w̃: two estimates of the same where the table is symmetric."""
        return np.asarray(self.word + self.context)


# Called after each epoch with its number from 1, the model so far (the arrays that go on being
# trained: copy what you keep) and the epoch's mean loss a cell.
OnEpoch: TypeAlias = Callable[[int, GloVe, float], object]


def context_ratio(
    counts: Counts, first: int, second: int, probe: int, confidence: float = 0.95
) -> ContextRatio:
    """How many times more often a probe word k stands near word i than near word j.

    P(k|i) / P(k|j), with P(k|i) = X_ik / X_i and X_i = Σ_k X_ik

    Parameters
    ----------
    counts : X, whole numbers, (word, context)
    first, second, probe : ids of i, j and k
    confidence : of the interval

    Returns
    -------
    The ratio, ∞ where only the second count is 0 and NaN where both are. The interval takes each
    meeting of k with i or j as a coin that falls on i with one unknown probability, and is exact
    for such coins. Meetings in one passage are no independent coins, so it is rather too narrow.

    Raises
    ------
    ValueError : a count is negative, not finite or not whole, an id is not in the table, one of
        the two words meets nothing, or a confidence outside 0 … 1.

    References
    ----------
    Pennington et al. 2014, GloVe, table 1. Clopper and Pearson 1934, The Use of Confidence or
    Fiducial Limits Illustrated in the Case of the Binomial.

    Examples
    --------
    >>> counts = np.array([[6.0, 4.0], [2.0, 8.0]])
    >>> round(context_ratio(counts, first=0, second=1, probe=0).ratio, 6)
    3.0
    """
    from scipy.stats import beta

    matrix = _checked(counts)
    rows, columns = matrix.shape
    for name, index, size in (
        ("first", first, rows),
        ("second", second, rows),
        ("probe", probe, columns),
    ):
        if not 0 <= index < size:
            raise ValueError(f"{name} must lie in 0 … {size - 1}, got {index}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    pair = matrix[[first, second], :].toarray()  # (2, context)
    if np.any(pair != np.floor(pair)):
        raise ValueError("an interval needs whole counts: count with weighting='uniform'")
    totals = pair.sum(axis=1)
    if not np.all(totals > 0):
        raise ValueError(f"word {(first, second)[int(totals.argmin())]} meets no other word")
    a, b = pair[:, probe]
    tail = (1 - confidence) / 2
    # A meeting is with i at odds P(k|i) X_i to P(k|j) X_j, so the ratio is these odds · X_j / X_i.
    low = beta.ppf(tail, a, b + 1) if a else 0.0
    high = beta.ppf(1 - tail, a + 1, b) if b else 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (a / totals[0]) / (b / totals[1])
        low, high = np.array([low, high]) / (1 - np.array([low, high])) * totals[1] / totals[0]
    return ContextRatio(float(ratio), float(low), float(high), int(a), int(b))


def weight(
    counts: Real[np.ndarray, "*shape"], x_max: float | int = 100.0, power: float | int = 0.75
) -> Float[np.ndarray, "*shape"]:
    """How much a cell counts in the loss: f(x) = (x / x_max)^power below x_max, 1 from there on.

    Raises
    ------
    ValueError : x_max is not above 0, power is negative, or a count is negative or not finite.

    References
    ----------
    Pennington et al. 2014, GloVe, eq. 9.

    Examples
    --------
    >>> weight(np.array([0.0, 1.0, 16.0, 100.0, 5000.0]), x_max=256).round(3)
    array([0.   , 0.016, 0.125, 0.494, 1.   ])
    """
    _check_weighting(x_max, power)
    if not np.all(np.isfinite(counts)) or np.any(counts < 0):
        raise ValueError("counts must be finite and not negative")
    # Clipped first: the power of a large count would be lost work.
    return np.asarray(np.minimum(counts / x_max, 1.0) ** power)


def cell_loss(
    word: Float[np.ndarray, "cell d"],
    context: Float[np.ndarray, "cell d"],
    word_bias: Float[np.ndarray, "cell"],
    context_bias: Float[np.ndarray, "cell"],
    counts: Real[np.ndarray, "cell"],
    x_max: float | int = 100.0,
    power: float | int = 0.75,
) -> tuple[float, CellGradients]:
    """Loss of some cells of the table, and its gradients.

    J = Σ f(X_ij) (w_i·w̃_j + b_i + b̃_j − log X_ij)²

    Parameters
    ----------
    word, word_bias : w_i and b_i of each cell's row
    context, context_bias : w̃_j and b̃_j of each cell's column
    counts : X_ij, above 0
    x_max, power : of f, see `weight`

    Returns
    -------
    J and its gradients with the arguments' shapes. A word that is in several cells gets the sum of
    its rows.

    Raises
    ------
    ValueError : a count is not above 0, x_max is not above 0, or power is negative.

    References
    ----------
    Pennington et al. 2014, GloVe, eq. 8.
    """
    if not np.all(counts > 0):
        raise ValueError("counts must be above 0: the logarithm of 0 is no target")
    # log X_ij is what the model should give; the rest is what it gives.
    error = np.einsum("cd,cd->c", word, context) + word_bias + context_bias - np.log(counts)
    weighted = weight(counts, x_max, power) * error  # (cell,)
    slope = 2 * weighted
    gradients = CellGradients(slope[:, None] * context, slope[:, None] * word, slope, slope)
    return float(weighted @ error), gradients


def train_glove(
    counts: Counts,
    *,
    dimension: int = 50,
    epochs: int = 25,
    learning_rate: float = 0.05,
    x_max: float | int = 100.0,
    power: float | int = 0.75,
    seed: int = 0,
    progress: bool = False,
    on_epoch: OnEpoch | None = None,
) -> GloVe:
    """Factorise the logarithms of a table of counts: weighted least squares with AdaGrad.

    J = Σ_{X_ij > 0} f(X_ij) (w_i·w̃_j + b_i + b̃_j − log X_ij)²

    The cells are dealt into blocks at random. A step takes a block: g, half of the gradient of its
    J, moves every number of the model by −η g / √(1 + Σ (η g)²), where the sum is over all steps up
    to this one. So a number starts with steps of η g and slows down as it has moved.

    Parameters
    ----------
    counts : X, the same words in rows and columns; `cooccurrence.window_counts` with
        weighting="harmonic" is what the paper counts
    dimension : d, numbers in a vector
    epochs : how many times to go through the cells
    learning_rate : η, the published one by default
    x_max, power : of f, see `weight`
    seed : same seed, same vectors
    progress : show a progress bar, in cells
    on_epoch : called after each epoch with its number from 1, the model so far (copy what you keep:
        its arrays go on being trained) and the epoch's mean loss a cell, measured as it goes

    Returns
    -------
    Vectors and biases in single precision; `GloVe.vectors` are the embeddings.

    Raises
    ------
    ValueError : a setting out of range, a table that is not square, a count that is negative or
        not finite, or none above 0, as when no sentence has two words.
    FloatingPointError : training diverged.

    References
    ----------
    Pennington et al. 2014, GloVe, sections 3 and 4.2. Duchi, Hazan and Singer 2011, Adaptive
    Subgradient Methods for Online Learning and Stochastic Optimization.

    Examples
    --------
    >>> losses = []
    >>> model = train_glove(
    ...     np.array([[10.0, 80.0], [80.0, 20.0]]), dimension=2, epochs=200,
    ...     on_epoch=lambda epoch, model, loss: losses.append(loss),
    ... )
    >>> losses[-1] < 1e-4 * losses[0]
    True
    """
    for name, value in (("dimension", dimension), ("epochs", epochs)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if not 0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate must be above 0 and finite, got {learning_rate}")
    _check_weighting(x_max, power)
    table = _checked(counts)
    if table.shape[0] != table.shape[1]:
        raise ValueError(f"rows and columns must stand for the same words, got {table.shape}")

    rng = np.random.default_rng(seed)
    blocks = _blocks(table, x_max, power, rng)
    # w·w̃ + b + b̃ is one dot product, of (w, b, 1) and (w̃, 1, b̃). The ones must stay what they are.
    word = _Rows(table.shape[0], dimension, constant=dimension + 1, rng=rng)
    context = _Rows(table.shape[1], dimension, constant=dimension, rng=rng)
    model = GloVe(
        word.values[:, :dimension],
        context.values[:, :dimension],
        word.values[:, dimension],
        context.values[:, dimension + 1],
    )
    bar = tqdm(total=epochs * table.nnz, unit="cell", unit_scale=True, disable=not progress)
    with bar:
        for epoch in range(epochs):
            total = 0.0
            for number in rng.permutation(len(blocks)):
                block = blocks[number]
                try:
                    with np.errstate(over="raise", invalid="raise"):
                        loss, of_word, of_context = _half_gradients(
                            block, word.values, context.values
                        )
                        word.step(of_word, learning_rate)
                        context.step(of_context, learning_rate)
                except FloatingPointError as error:
                    raise FloatingPointError(
                        f"training diverged in epoch {epoch + 1}: choose a learning_rate below "
                        f"{learning_rate}"
                    ) from error
                total += loss
                bar.update(len(block.column))
            if on_epoch is not None:
                on_epoch(epoch + 1, model, total / table.nnz)
    return model


# A block has so many cells for each row of the table, on average. More, and a step moves a word by
# gradients that do not know of one another; fewer, and the steps, which go through all numbers of
# the model, take longer than the gradients.
CELLS_PER_ROW = 4


class _Block(NamedTuple):
    """Some cells of the table, in the order of compressed sparse rows."""

    row_start: Int[np.ndarray, "rows_and_1"]
    column: Int[np.ndarray, "cell"]
    log_count: Float[np.ndarray, "cell"]
    weight: Float[np.ndarray, "cell"]


def _blocks(
    table: sparse.csr_array, x_max: float | int, power: float | int, rng: np.random.Generator
) -> list[_Block]:
    """The cells of the table, dealt out at random."""
    order = rng.permutation(table.nnz)
    size = CELLS_PER_ROW * table.shape[0]
    # The smallest type that holds them: the sparse products would otherwise convert each time.
    index = np.int32 if max(table.nnz, *table.shape) < 2**31 else np.int64
    result = []
    for start in range(0, table.nnz, size):
        chosen = np.sort(order[start : start + size])  # cells are numbered row by row
        count = table.data[chosen]
        result.append(
            _Block(
                np.searchsorted(chosen, table.indptr).astype(index),
                table.indices[chosen].astype(index),
                np.log(count).astype(np.float32),
                weight(count, x_max, power).astype(np.float32),
            )
        )
    return result


def _half_gradients(
    block: _Block,
    word: Float[np.ndarray, "rows d_and_2"],
    context: Float[np.ndarray, "columns d_and_2"],
) -> tuple[float, Float[np.ndarray, "rows d_and_2"], Float[np.ndarray, "columns d_and_2"]]:
    """J of a block, and ½ ∂J/∂word and ½ ∂J/∂context, summed over the block's cells."""
    of_cells = np.repeat(word, np.diff(block.row_start), axis=0)  # (cell, d_and_2)
    score = np.einsum("cd,cd->c", of_cells, context[block.column])
    error = score - block.log_count
    weighted = block.weight * error
    # Row i of the gradient is Σ_j f(X_ij) error_ij w̃_j: the table of weighted errors, times the
    # context vectors. As a sparse product this takes a tenth of the time of adding rows one by one.
    errors = sparse.csr_array(
        (weighted, block.column, block.row_start), shape=(len(word), len(context))
    )
    return float(weighted @ error), errors @ context, errors.T @ word


class _Rows:
    """The rows of one side of the model, and what AdaGrad remembers of each number."""

    def __init__(
        self, number: int, dimension: int, constant: int, rng: np.random.Generator
    ) -> None:
        values = (rng.random((number, dimension + 2)) - 0.5) / dimension
        values[:, constant] = 1.0
        self.values = values.astype(np.float32)  # (number, d_and_2)
        self.squares = np.ones_like(self.values)
        self.constant = constant

    def step(self, gradient: Float[np.ndarray, "number d_and_2"], rate: float) -> None:
        """Move against the gradient; `gradient` is used up."""
        gradient *= np.float32(rate)
        gradient[:, self.constant] = 0.0
        # This step's square counts already, so no number moves by more than 1, whatever the rate.
        self.squares += gradient * gradient
        self.values -= gradient / np.sqrt(self.squares)


def _check_weighting(x_max: float | int, power: float | int) -> None:
    if not 0 < x_max < np.inf:
        raise ValueError(f"x_max must be above 0 and finite, got {x_max}")
    if not 0 <= power < np.inf:
        raise ValueError(f"power must be at least 0 and finite, got {power}")


def _checked(counts: Counts) -> sparse.csr_array:
    """The table in compressed rows, its zeros dropped, once all are known to be counts."""
    # A copy, since what follows works in place and the caller's counts are not ours to change.
    table = sparse.csr_array(counts, dtype=np.float64, copy=True)
    if table.ndim != 2:
        raise ValueError(f"counts must have rows and columns, got shape {table.shape}")
    if not np.all(np.isfinite(table.data)) or np.any(table.data < 0):
        raise ValueError("counts must be finite and not negative")
    table.eliminate_zeros()
    table.sum_duplicates()
    if table.nnz == 0:
        raise ValueError("counts must hold at least one number above 0")
    return table
