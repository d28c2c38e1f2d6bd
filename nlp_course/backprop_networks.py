"""What networks are made of and trained with: lookup, softmax, losses, layers, descent, a check.

All of it works on the nodes of `nlp_course.backprop`. Scores before a softmax are called logits;
losses are means over examples, in nats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real
from scipy import sparse
from scipy.special import expit

from nlp_course.backprop import Array, Node, function

# W ~ N(0, gain² / inputs) keeps the spread of activations from layer to layer: He et al. 2015 for
# ReLU, which loses half of it; for tanh near 0, where its slope is 1. A sigmoid's is 1/4 there, so
# it loses three quarters at each layer.
GAINS = {"relu": 2**0.5, "tanh": 1.0, "sigmoid": 1.0}


def lookup(table: Node, ids: Int[np.ndarray, "*position"]) -> Node:
    """Rows of a table, one for each id: the product of one-hot vectors with the table.

    The gradient of a row is the sum over the places where it was used, and 0 for a row that was
    not.

    Parameters
    ----------
    table : (V, d)
    ids : of any shape

    Returns
    -------
    A vector for each id: the shape of ids, and d as one more axis.

    Raises
    ------
    ValueError : the table has not two axes, or an id lies outside 0 … V − 1.

    Examples
    --------
    >>> table = Node(np.eye(3))
    >>> lookup(table, np.array([2, 0, 2])).sum().backward()
    >>> table.grad[:, 0]
    array([1., 0., 2.])
    """
    if len(table.shape) != 2:
        raise ValueError(f"a table of vectors has two axes, got {table}")
    size, d = table.shape
    if ids.size and not 0 <= ids.min() <= ids.max() < size:
        raise ValueError(f"ids must lie in 0 … {size - 1}, got {ids.min()} … {ids.max()}")
    flat = ids.ravel()

    def scatter(g: Array) -> Array:
        # Row by row, `np.add.at` does the same in three times the time.
        places = (np.ones(flat.size), (flat, np.arange(flat.size)))
        return sparse.csr_array(places, shape=(size, flat.size)) @ g.reshape(-1, d)

    return function("lookup", table.data[ids], (table, scatter))


def softmax(logits: Node) -> Node:
    """p_i = e^{z_i} / Σ_j e^{z_j}, along the last axis.

    Its Jacobian is diag(p) − p pᵀ, so that Jᵀg = p ∘ (g − pᵀg).
    """
    p = np.exp(_log_softmax(logits.data))

    def pull(g: Array) -> Array:
        return p * (g - (p * g).sum(axis=-1, keepdims=True))

    return function("softmax", p, (logits, pull))


def log_softmax(logits: Node) -> Node:
    """z_i − log Σ_j e^{z_j}, along the last axis, for logits of any size.

    Its Jacobian is I − 1 pᵀ, so that Jᵀg = g − p Σ g.
    """
    log_p = _log_softmax(logits.data)

    def pull(g: Array) -> Array:
        return g - np.exp(log_p) * g.sum(axis=-1, keepdims=True)

    return function("log_softmax", log_p, (logits, pull))


def _log_softmax(z: Array) -> Array:
    # The largest becomes 0, so that no exponential overflows; the quotient stays the same.
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def cross_entropy(logits: Node, targets: Int[np.ndarray, "*position"]) -> Node:
    """Mean negative log-likelihood of the right classes.

    L = −(1/n) Σ_n log softmax(z_n)[y_n], ∂L/∂z_n = (p_n − e_{y_n}) / n

    Parameters
    ----------
    logits : z, the shape of the targets and one more axis, the classes
    targets : y, the right class of each, 0 … classes − 1

    Returns
    -------
    A single number, in nats.

    Raises
    ------
    ValueError : there is no example, shapes differ, or a target is no class.

    Examples
    --------
    >>> round(cross_entropy(Node(np.zeros((2, 4))), np.array([0, 3])).item(), 4)  # log 4
    1.3863
    """
    if logits.shape[:-1] != targets.shape:
        raise ValueError(f"each row of {logits} needs a target, got targets {targets.shape}")
    if targets.size == 0:
        raise ValueError("a mean needs at least one example, got none")
    classes = logits.shape[-1]
    if not 0 <= targets.min() <= targets.max() < classes:
        raise ValueError(
            f"targets must lie in 0 … {classes - 1}, got {targets.min()} … {targets.max()}"
        )
    log_p = _log_softmax(logits.data)
    chosen = targets[..., None]

    def pull(g: Array) -> Array:
        error = np.exp(log_p)
        np.put_along_axis(error, chosen, np.take_along_axis(error, chosen, -1) - 1, axis=-1)
        return g * error / targets.size

    loss = -np.take_along_axis(log_p, chosen, axis=-1).mean()
    return function("cross_entropy", loss, (logits, pull))


def binary_cross_entropy(logits: Node, targets: Real[np.ndarray, "*position"]) -> Node:
    """Mean of −y log σ(z) − (1 − y) log(1 − σ(z)).

    It is computed as log(1 + e^z) − y z, for logits of any size; ∂/∂z = (σ(z) − y) / n.

    Parameters
    ----------
    logits : z, one for each example
    targets : y, the probability of the positive class: 1 or 0 where it is known

    Raises
    ------
    ValueError : there is no example, shapes differ, or a target lies outside 0 … 1.
    """
    z, y = logits.data, targets
    if z.shape != y.shape:
        raise ValueError(f"each of {logits} needs a target, got targets {y.shape}")
    if y.size == 0:
        raise ValueError("a mean needs at least one example, got none")
    if not 0 <= y.min() <= y.max() <= 1:
        raise ValueError(f"targets must lie in 0 … 1, got {y.min()} … {y.max()}")
    loss = (np.logaddexp(0, z) - y * z).mean()
    return function("binary_cross_entropy", loss, (logits, lambda g: g * (expit(z) - y) / y.size))


class MLP:
    """A multi-layer perceptron: W_L f(… f(W_1 x + b_1) …) + b_L.

    Rows are examples, so the code has x @ W, with W of shape (inputs, outputs). Weights are drawn
    from N(0, gain² / inputs), biases begin at 0; `weights` and `biases` have a node for each layer.

    Parameters
    ----------
    sizes : number of features, of units in each hidden layer, and of outputs
    activation : f, "relu", "tanh" or "sigmoid"
    gain : √2 for ReLU and 1 for the others unless given
    seed : of the weights

    Raises
    ------
    ValueError : fewer than two sizes, one below 1, an unknown activation, or a negative gain.

    References
    ----------
    Glorot and Bengio 2010, Understanding the Difficulty of Training Deep Feedforward Neural
    Networks; He et al. 2015, Delving Deep into Rectifiers.

    Examples
    --------
    >>> network = MLP([3, 4, 4, 1])
    >>> network(np.ones((5, 3))).shape, sum(p.data.size for p in network.parameters)
    ((5, 1), 41)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str = "relu",
        gain: float | int | None = None,
        seed: int = 0,
    ) -> None:
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"sizes need at least inputs and outputs, each 1 or more, got {sizes}")
        if activation not in GAINS:
            raise ValueError(f"activation must be one of {', '.join(GAINS)}, got {activation!r}")
        gain = GAINS[activation] if gain is None else gain
        if gain < 0:
            raise ValueError(f"gain must be at least 0, got {gain}")
        rng = np.random.default_rng(seed)
        self.activation = activation
        self.weights: list[Node] = []
        self.biases: list[Node] = []
        for layer, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            W = gain / np.sqrt(inputs) * rng.standard_normal((inputs, outputs))
            self.weights.append(Node(W, f"W{layer}"))
            self.biases.append(Node(np.zeros(outputs), f"b{layer}"))

    @property
    def parameters(self) -> list[Node]:
        """All that training changes."""
        return [*self.weights, *self.biases]

    def __call__(self, x: Node | Float[np.ndarray, "example feature"]) -> Node:
        """The outputs: the last layer's sums, with no activation after them."""
        return self.layers(x)[-1]

    def layers(self, x: Node | Float[np.ndarray, "example feature"]) -> list[Node]:
        """What each layer gives: hidden activations, and the outputs last."""
        values: list[Node] = []
        for layer, (W, b) in enumerate(zip(self.weights, self.biases, strict=True), start=1):
            value = x @ W + b  # (example, units)
            x = value if layer == len(self.weights) else getattr(value, self.activation)()
            values.append(x)
        return values


def sgd_step(parameters: Iterable[Node], learning_rate: float | int) -> None:
    """One step of gradient descent, w ← w − η ∂L/∂w, after which gradients are forgotten.

    Raises
    ------
    ValueError : the learning rate is not above 0 and finite, or a parameter has no gradient.
    """
    if not 0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate must be above 0 and finite, got {learning_rate}")
    once = list(dict.fromkeys(parameters))  # a weight that two layers share is listed twice
    for parameter in once:
        if parameter.grad is None:
            raise ValueError(
                f"{parameter} has no gradient: call backward on a loss that depends on it"
            )
    for parameter in once:
        parameter.data = parameter.data - learning_rate * np.asarray(parameter.grad)
        parameter.grad = None


class GradientCheck(NamedTuple):
    """What backpropagation gives for each argument, what differences give, and how they differ.

    error : the largest of `errors`, the relative error of each argument
    """

    error: float
    errors: tuple[float, ...]
    analytic: tuple[Any, ...]
    numeric: tuple[Any, ...]


def gradient_check(
    f: Callable[..., Node],
    *arguments: Array,
    step: float = 1e-6,
    shortest: float = 1e-6,
) -> GradientCheck:
    """Compare the gradients of f by backpropagation with those by central differences.

    ∂f/∂x_i ≈ (f(x + h e_i) − f(x − h e_i)) / 2h, relative error ‖a − n‖ / max(‖a‖, ‖n‖)

    With step h = 1e-6 rounding leaves an error of about 1e-10 of |f|. About 1e-7 or less is right;
    1e-2 and more is a mistake, unless a kink such as ReLU's lies within a step.

    Parameters
    ----------
    f : takes a node for each argument, returns a node with a single number
    arguments : where to check
    step : h
    shortest : gradients shorter than this are measured against this, since rounding is all they are

    Raises
    ------
    ValueError : there is no argument, f returns no single number, or step is not above 0.
    """
    if not arguments:
        raise ValueError("give at least one argument to differentiate by")
    if step <= 0:
        raise ValueError(f"step must be above 0, got {step}")
    nodes = [Node(argument) for argument in arguments]
    f(*nodes).backward()
    analytic = [np.zeros(node.shape) if node.grad is None else node.grad for node in nodes]
    numeric = [_by_differences(f, arguments, which, step) for which in range(len(arguments))]
    errors = []
    for one, other in zip(analytic, numeric, strict=True):
        longer = max(float(np.linalg.norm(one)), float(np.linalg.norm(other)), shortest)
        errors.append(float(np.linalg.norm(one - other)) / longer)
    return GradientCheck(max(errors), tuple(errors), tuple(analytic), tuple(numeric))


def _by_differences(
    f: Callable[..., Node], arguments: Sequence[Array], which: int, step: float
) -> Array:
    """∂f/∂(one argument), a number at a time."""
    nodes = [Node(argument, needs_grad=False) for argument in arguments]
    here = nodes[which].data
    gradient = np.zeros(here.shape)
    for place in np.ndindex(here.shape):
        move = np.zeros(here.shape)
        move[place] = step
        nodes[which].data = here + move
        above = f(*nodes).item()
        nodes[which].data = here - move
        gradient[place] = (above - f(*nodes).item()) / (2 * step)
    return gradient
