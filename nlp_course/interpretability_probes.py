"""Linear probes: what can be read off a model's vectors, and how to know that it is the model's.

A probe is a small model trained on another one's vectors. That it succeeds may be its own merit: a
control task, whose labels are drawn at random for each type, says how much it can learn by heart.
`fit_probe` tells classes apart; with one column of shares as its target it estimates how much a
model knows of a subject, from the vector of the name alone, as KEEN does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch.nn import functional as F

from nlp_course.judging import Interval, bootstrap


@dataclass(frozen=True)
class Probe:
    """A linear map of standardized vectors, and softmax or, for one output, the sigmoid.

    Attributes
    ----------
    weight, bias : (output, d) and (output,)
    mean, scale : of the vectors that the probe was trained on, (d,)
    """

    weight: Float[np.ndarray, "output d"]
    bias: Float[np.ndarray, "output"]
    mean: Float[np.ndarray, "d"]
    scale: Float[np.ndarray, "d"]

    def scores(self, x: Float[np.ndarray, "row d"]) -> Float[np.ndarray, "row output"]:
        """The linear map's outputs, before softmax or sigmoid.

        Raises
        ------
        ValueError : vectors of another size than those of the training.
        """
        if x.shape[1] != len(self.mean):
            raise ValueError(f"the probe reads {len(self.mean)} numbers, got {x.shape[1]}")
        return (x - self.mean) / self.scale @ self.weight.T + self.bias

    def predict(self, x: Float[np.ndarray, "row d"]) -> Int[np.ndarray, "row"]:
        """The likeliest class."""
        return self.scores(x).argmax(axis=1)

    def estimate(self, x: Float[np.ndarray, "row d"]) -> Float[np.ndarray, "row"]:
        """σ(w · x + b), of a probe with one output: a share between 0 and 1.

        Raises
        ------
        ValueError : a probe with several outputs.
        """
        if len(self.bias) != 1:
            raise ValueError(f"a share has one output, this probe has {len(self.bias)}")
        return 1 / (1 + np.exp(-self.scores(x)[:, 0]))


def fit_probe(
    x: Float[np.ndarray, "row d"],
    target: Int[np.ndarray, "target"] | Float[np.ndarray, "target"],
    *,
    classes: int | None = None,
    penalty: float = 0.01,
    steps: int = 100,
) -> Probe:
    """Train a linear probe: a convex problem, so that there is one best.

    mean cross-entropy + penalty · ‖W‖² / 2

    Parameters
    ----------
    x : a vector a row; each of its numbers is standardized over the rows
    target : a class of each row, or, without `classes`, a share between 0 and 1
    classes : how many there are
    penalty : on weights, not on biases; above 0, so that there is a best
    steps : of L-BFGS, at most

    Raises
    ------
    ValueError : fewer than two rows, a target for each that there is not, one out of range, or
        penalty ≤ 0.

    References
    ----------
    Alain and Bengio 2017, Understanding Intermediate Layers Using Linear Classifier Probes.
    Gottesman and Geva 2024, Estimating Knowledge in Large Language Models Without Generating a
    Single Token, for one output; they make the squared error small, not the cross-entropy.

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> fit_probe(x, np.array([0, 0, 1, 1]), classes=2).predict(x)
    array([0, 0, 1, 1])
    >>> fit_probe(x, np.array([0.1, 0.2, 0.8, 0.9])).estimate(x).round(2)
    array([0.09, 0.31, 0.69, 0.91])
    """
    if len(x) < 2 or len(target) != len(x):
        raise ValueError(
            f"a probe needs 2 rows or more and a target for each: got {len(x)} and {len(target)}"
        )
    if not penalty > 0:
        raise ValueError(f"penalty must be above 0, got {penalty}")
    top = 1 if classes is None else classes - 1
    if target.min() < 0 or target.max() > top:
        raise ValueError(f"targets must lie in 0 … {top}, got {target.min()} … {target.max()}")
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    inputs = torch.from_numpy((x - mean) / scale).double()
    wanted = torch.from_numpy(target)
    layer = torch.nn.Linear(x.shape[1], classes or 1, dtype=torch.float64)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    descent = torch.optim.LBFGS(
        layer.parameters(), max_iter=steps, line_search_fn="strong_wolfe", tolerance_grad=1e-7
    )

    def loss() -> torch.Tensor:
        descent.zero_grad()
        scores = layer(inputs)
        if classes is None:
            fit = F.binary_cross_entropy_with_logits(scores[:, 0], wanted.double())
        else:
            fit = F.cross_entropy(scores, wanted)
        total = fit + penalty / 2 * layer.weight.square().sum()
        total.backward()
        return total

    descent.step(loss)
    weight, bias = (p.detach().numpy() for p in (layer.weight, layer.bias))
    return Probe(weight, bias, mean, scale)


def control_labels(
    types: Int[np.ndarray, "row"], classes: int, seed: int = 0
) -> Int[np.ndarray, "row"]:
    """Labels drawn at random for each type: what a probe gets right of them it learned by heart.

    Parameters
    ----------
    types : of each row, such as the word that stands there; rows of a type get one label
    classes : how many labels there are, as many as the real task has

    Raises
    ------
    ValueError : fewer than one class.

    References
    ----------
    Hewitt and Liang 2019, Designing and Interpreting Probes with Control Tasks.

    Examples
    --------
    >>> labels = control_labels(np.array([7, 7, 8, 9, 8]), classes=100)
    >>> bool(labels[0] == labels[1] and labels[2] == labels[4])
    True
    """
    if classes < 1:
        raise ValueError(f"there must be at least 1 class, got {classes}")
    kinds, places = np.unique(types, return_inverse=True)
    return np.random.default_rng(seed).integers(classes, size=len(kinds))[places]


class Selectivity(NamedTuple):
    """What a probe gets right where it was not trained, of a task and of its control.

    accuracy, control : shares of right predictions
    """

    accuracy: float
    control: float

    @property
    def difference(self) -> float:
        """Task − control: large if the vectors hold the labels and the probe alone does not."""
        return self.accuracy - self.control


def selectivity(
    train: tuple[Float[np.ndarray, "row d"], Int[np.ndarray, "row"], Int[np.ndarray, "row"]],
    test: tuple[Float[np.ndarray, "other d"], Int[np.ndarray, "other"], Int[np.ndarray, "other"]],
    classes: int,
    *,
    penalty: float = 0.01,
    seed: int = 0,
) -> Selectivity:
    """Train a probe on a task and one on its control task, and judge both on other rows.

    Parameters
    ----------
    train, test : vectors, labels and types. Types of `test` that are in `train` can be learned by
        heart; of others the control is at chance
    classes : of labels
    penalty : as for `fit_probe`
    seed : of the control's labels

    Raises
    ------
    ValueError : as for `fit_probe`.
    """
    types = np.concatenate([train[2], test[2]])
    drawn = np.split(control_labels(types, classes, seed), [len(train[2])])
    found = []
    for labels, others in ((train[1], test[1]), drawn):
        probe = fit_probe(train[0], labels, classes=classes, penalty=penalty)
        found.append(float((probe.predict(test[0]) == others).mean()))
    return Selectivity(*found)


def correlation(
    x: Float[np.ndarray, "item"], y: Float[np.ndarray, "other"], seed: int = 0
) -> Interval:
    """Pearson's r of two measures of the same items, with a bootstrap interval of 95 percent.

    Raises
    ------
    ValueError : not as many of both, fewer than three, or one that is the same for all.

    Examples
    --------
    >>> found = correlation(np.arange(9.0), np.arange(9.0) ** 2)
    >>> round(found.estimate, 3), found.low < found.estimate < found.high
    (0.962, True)
    """
    if len(x) != len(y) or len(x) < 3:
        raise ValueError(f"a correlation needs 3 pairs or more, got {len(x)} and {len(y)} values")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ValueError("a measure that is the same for all items correlates with nothing")

    def pearson(drawn: Int[np.ndarray, "resample item"]) -> Float[np.ndarray, "resample"]:
        a, b = x[drawn], y[drawn]
        a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
        return (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))

    return bootstrap(pearson, len(x), seed=seed)
