"""Backpropagation: arrays that remember how they were made, and pass gradients back that way.

A `Node` holds an array, the operation that made it and the nodes it was made from. `backward` walks
this graph from the loss to its inputs and multiplies local derivatives: automatic differentiation
in reverse mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.special import expit

Array: TypeAlias = Float[np.ndarray, "..."]
# From the gradient of a result to that of one operand: v ↦ Jᵀv, without ever building J.
Pull: TypeAlias = Callable[[Array], Array]
Axis: TypeAlias = int | tuple[int, ...] | None


class Node:
    """An array in a computational graph.

    Arithmetic between nodes, and between nodes and plain arrays or numbers, makes new nodes; shapes
    broadcast as in NumPy. Plain arrays become constants, which receive no gradient. Arrays are held
    in double precision and read-only: a change in place after the forward pass, which would make
    the backward pass wrong, raises NumPy's "read-only" error. Give `data` a new array instead; the
    graphs that were built before keep the old one.

    `grad` is None until `backward` reaches the node; then it is the gradient, of the shape of
    `data`, and adds up over calls until `zero_grad`. `operation` says what made the node, "input"
    or "constant" where nothing did, and `parents` are the operands.

    Parameters
    ----------
    data : real numbers; copied
    name : what drawings and error messages call it
    needs_grad : whether `backward` computes a gradient for it

    Raises
    ------
    TypeError : a gradient is asked for data that are not floating-point numbers.

    Examples
    --------
    >>> x, y, z = Node(-2.0), Node(5.0), Node(-4.0)
    >>> f = (x + y) * z
    >>> f.backward()
    >>> f.item(), x.grad.item(), y.grad.item(), z.grad.item()
    (-12.0, -4.0, -4.0, 3.0)
    """

    __slots__ = ("_data", "_pulls", "grad", "name", "needs_grad", "operation", "parents")
    __array_ufunc__ = None  # else array + node would be an array of nodes, one for each number

    def __init__(self, data: Any, name: str = "", *, needs_grad: bool = True) -> None:
        self._data = _frozen(data, needs_grad)
        self._pulls: tuple[Pull, ...] = ()
        self.grad: Array | None = None
        self.name = name
        self.needs_grad = needs_grad
        self.operation = "input" if needs_grad else "constant"
        self.parents: tuple[Node, ...] = ()

    @property
    def data(self) -> Array:
        """The value, read-only; may be replaced by another of the same shape."""
        return self._data

    @data.setter
    def data(self, data: Any) -> None:
        if self.parents or np.shape(data) != self.shape:
            raise ValueError(f"only an input takes new data, and of its shape: {self} cannot")
        self._data = _frozen(data, self.needs_grad)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the data, and of the gradient."""
        return self._data.shape

    def item(self) -> float:
        """The value of a node that holds a single number."""
        return self._data.item()

    def __repr__(self) -> str:
        return f"Node({self.name or self.operation}, shape {self.shape})"

    def backward(self, seed: Array | None = None) -> None:
        """Add to `grad`, of this node and of all it was made from, the gradient of this node.

        grad(parent) += Σ over uses: Jᵀ grad(use), with J = ∂use/∂parent

        A second call adds the same once more, at inner nodes as at inputs, and nothing else. Where
        a call raises, no gradient has changed.

        Parameters
        ----------
        seed : ∂loss/∂(this node) where this node is not the loss itself but goes into it; a single
            number needs none, its seed is 1

        Raises
        ------
        ValueError : the node is no single number and there is no seed, the seed has another shape,
            or nothing that the node was made from needs a gradient.
        FloatingPointError : this node holds NaN or ∞, or a derivative on the way does; the message
            names the operation where that began.

        References
        ----------
        Rumelhart, Hinton and Williams 1986, Learning Representations by Back-Propagating Errors.
        """
        if not self.needs_grad:
            raise ValueError(f"{self} depends on no input that needs a gradient")
        start = np.ones(()) if seed is None else seed
        if start.shape != self.shape:
            raise ValueError(
                f"backward starts from a single number: take the sum or mean of {self}, or give a "
                f"seed ∂loss/∂node in its shape; the seed was {getattr(seed, 'shape', None)}"
            )
        order = topological_order(self)
        if not np.all(np.isfinite(self.data)):
            raise FloatingPointError(_where_not_finite(order))
        gradients = {self: start}
        # A node's turn comes after all that use it, so its gradient is whole by then.
        for node in reversed([node for node in order if node.needs_grad]):
            for parent, pull in zip(node.parents, node._pulls, strict=True):
                if not parent.needs_grad:
                    continue
                # asarray: NumPy makes scalars of arrays without axes.
                part = _sum_to(np.asarray(pull(gradients[node])), parent.shape)
                if not np.all(np.isfinite(part)):
                    raise FloatingPointError(f"∂{node} / ∂{parent} is not finite")
                if parent in gradients:
                    part = np.asarray(gradients[parent] + part)
                gradients[parent] = part
        for node, gradient in gradients.items():
            earlier = 0.0 if node.grad is None else node.grad
            node.grad = _read_only(earlier + gradient)

    def __add__(self, other: Node | np.ndarray | float | int) -> Node:
        b = _node(other)
        return function("+", _fit(np.add, self, b), (self, lambda g: g), (b, lambda g: g))

    def __sub__(self, other: Node | np.ndarray | float | int) -> Node:
        b = _node(other)
        return function("−", _fit(np.subtract, self, b), (self, lambda g: g), (b, lambda g: -g))

    def __mul__(self, other: Node | np.ndarray | float | int) -> Node:
        node = _node(other)
        a, b = self.data, node.data
        product = _fit(np.multiply, self, node)
        return function("×", product, (self, lambda g: g * b), (node, lambda g: g * a))

    def __truediv__(self, other: Node | np.ndarray | float | int) -> Node:
        node = _node(other)
        b, ratio = node.data, _fit(np.divide, self, node)
        return function("/", ratio, (self, lambda g: g / b), (node, lambda g: -g * ratio / b))

    def __pow__(self, exponent: float | int) -> Node:
        a = self.data
        # Without the case of 0, a = 0 would give 0 · ∞.
        slope = exponent * a ** (exponent - 1) if exponent else np.zeros_like(a)
        return function("power", a**exponent, (self, lambda g: g * slope))

    def __matmul__(self, other: Node | np.ndarray) -> Node:
        node = _node(other)
        a, b = self.data, node.data
        product = _fit(np.matmul, self, node)
        # A vector is a row on the left and a column on the right, and the product lacks that axis.
        rows = a[None, :] if a.ndim == 1 else a
        columns = b[:, None] if b.ndim == 1 else b

        def full(g: Array) -> Array:
            g = g[..., None] if b.ndim == 1 else g
            return g[..., None, :] if a.ndim == 1 else g

        def pull_left(g: Array) -> Array:
            return full(g) @ np.swapaxes(columns, -1, -2)

        def pull_right(g: Array) -> Array:
            gradient = np.swapaxes(rows, -1, -2) @ full(g)
            return gradient[..., 0] if b.ndim == 1 else gradient

        return function("@", product, (self, pull_left), (node, pull_right))

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: np.ndarray | float | int) -> Node:
        return _node(other) - self

    def __rtruediv__(self, other: np.ndarray | float | int) -> Node:
        return _node(other) / self

    def __rmatmul__(self, other: np.ndarray) -> Node:
        return _node(other) @ self

    def __neg__(self) -> Node:
        return function("−", -self.data, (self, lambda g: -g))

    def __getitem__(self, index: Any) -> Node:
        def pull(g: Array) -> Array:
            gradient = np.zeros(self.shape)
            np.add.at(gradient, index, g)  # `gradient[index] += g` would lose repeats
            return gradient

        return function("index", self.data[index], (self, pull))

    def reshape(self, *shape: int) -> Node:
        """The same numbers in another shape; one length may be −1."""
        reshaped = self.data.reshape(shape)
        return function("reshape", reshaped, (self, lambda g: g.reshape(self.shape)))

    def transpose(self, *axes: int) -> Node:
        """The axes in another order; all reversed where none is given."""
        order = axes or tuple(reversed(range(self.data.ndim)))
        moved, back = self.data.transpose(order), np.argsort(order)
        return function("transpose", moved, (self, lambda g: g.transpose(back)))

    @property
    def T(self) -> Node:
        """The axes reversed."""
        return self.transpose()

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Node:
        """Sum over an axis, several, or all: each operand receives the gradient whole."""
        total = self.data.sum(axis=axis, keepdims=keepdims)
        return function("sum", total, (self, lambda g: _spread(g, self.shape, axis, keepdims)))

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Node:
        """Mean over an axis, several, or all: the gradient divided among the operands."""
        if self.data.size == 0:
            raise ValueError(f"{self} is empty, and the mean of no numbers is not defined")
        mean = self.data.mean(axis=axis, keepdims=keepdims)
        n = self.data.size / mean.size
        return function("mean", mean, (self, lambda g: _spread(g, self.shape, axis, keepdims) / n))

    def max(self, axis: Axis = None, keepdims: bool = False) -> Node:
        """The largest: it alone receives the gradient, and several that are as large share it."""
        largest = self.data.max(axis=axis, keepdims=True)
        winner = self.data == largest
        share = winner / winner.sum(axis=axis, keepdims=True)

        def pull(g: Array) -> Array:
            return share * _spread(g, self.shape, axis, keepdims)

        return function("max", self.data.max(axis=axis, keepdims=keepdims), (self, pull))

    def exp(self) -> Node:
        """e^x, elementwise."""
        power = np.exp(self.data)
        return function("exp", power, (self, lambda g: g * power))

    def log(self) -> Node:
        """Natural logarithm, elementwise.

        Raises
        ------
        ValueError : a number is not above 0; log 0 = −∞ would turn into NaN further on.
        """
        x = self.data
        if np.any(x <= 0):
            raise ValueError(f"log needs numbers above 0, {self} has {x.min()}: see log_softmax")
        return function("log", np.log(x), (self, lambda g: g / x))

    def relu(self) -> Node:
        """max(0, x), elementwise; at 0 the derivative is taken to be 0."""
        positive = self.data > 0
        return function("relu", np.maximum(self.data, 0), (self, lambda g: g * positive))

    def sigmoid(self) -> Node:
        """σ(x) = 1 / (1 + e^−x), elementwise; σ′ = σ (1 − σ)."""
        s = expit(self.data)
        return function("sigmoid", s, (self, lambda g: g * s * (1 - s)))

    def tanh(self) -> Node:
        """Hyperbolic tangent, elementwise; tanh′ = 1 − tanh²."""
        t = np.tanh(self.data)
        return function("tanh", t, (self, lambda g: g * (1 - t * t)))


def topological_order(last: Node) -> list[Node]:
    """A node and all it was made from, operands before what is made of them.

    Examples
    --------
    >>> x = Node(3.0, "x")
    >>> topological_order(x * x + 1.0)
    [Node(x, shape ()), Node(×, shape ()), Node(constant, shape ()), Node(+, shape ())]
    """
    order: list[Node] = []
    seen: set[Node] = set()
    stack = [(last, False)]  # no recursion: a recurrent network's graph is thousands deep
    while stack:
        node, operands_done = stack.pop()
        if operands_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((parent, False) for parent in reversed(node.parents))
    return order


def zero_grad(nodes: Iterable[Node]) -> None:
    """Forget gradients, so that the next `backward` does not add to them."""
    for node in nodes:
        node.grad = None


def function(operation: str, data: Any, *operands: tuple[Node, Pull]) -> Node:
    """A node for an operation of your own.

    Parameters
    ----------
    operation : its name
    data : its value
    operands : each node that went in, with the function from the gradient of the value to that of
        the node: v ↦ Jᵀv. Where the node was broadcast, the engine sums up by itself.

    Examples
    --------
    >>> x = Node(np.array([0.0, 2.0]))
    >>> square = function("square", x.data**2, (x, lambda g: 2 * x.data * g))
    >>> square.sum().backward()
    >>> x.grad
    array([0., 4.])
    """
    node = Node.__new__(Node)
    node._data = _read_only(data)
    node._pulls = tuple(pull for _, pull in operands)
    node.grad = None
    node.name = ""
    node.needs_grad = any(parent.needs_grad for parent, _ in operands)
    node.operation = operation
    node.parents = tuple(parent for parent, _ in operands)
    return node


def _node(value: Node | np.ndarray | float | int) -> Node:
    return value if isinstance(value, Node) else Node(value, needs_grad=False)


def _frozen(data: Any, needs_grad: bool) -> Array:
    array = np.asarray(data)
    if needs_grad and array.dtype.kind != "f":
        raise TypeError(
            f"gradients need floating-point numbers, got {array.dtype}: whole numbers do not move "
            "by small steps. Make them 1.0 or .astype(float); ids go to backprop_networks.lookup"
        )
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a node holds real numbers, got {array.dtype}")
    return _read_only(np.array(array, dtype=np.float64))


def _read_only(array: Any) -> Array:
    array = np.asarray(array).view()
    array.flags.writeable = False
    return array


def _fit(operation: np.ufunc, a: Node, b: Node) -> Array:
    """The operation's value, or an error that names the shapes."""
    try:
        return np.asarray(operation(a.data, b.data))
    except ValueError as error:
        raise ValueError(f"{operation.__name__}: {a} and {b} do not fit together") from error


def _sum_to(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Undo broadcasting: a number that was used in several places sums up their gradients."""
    if gradient.shape == shape:
        return gradient
    lead = gradient.ndim - len(shape)
    repeated = [lead + axis for axis, length in enumerate(shape) if length == 1]
    total = gradient.sum(axis=(*range(lead), *repeated), keepdims=True)
    if total.shape[lead:] != shape:
        raise ValueError(f"an operand of shape {shape} cannot have a gradient {gradient.shape}")
    return total.reshape(shape)


def _spread(gradient: Array, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Array:
    """Undo a reduction: its gradient, for each number that was reduced."""
    if axis is not None and not keepdims:
        gradient = np.expand_dims(gradient, axis)
    return np.broadcast_to(gradient, shape)


def _where_not_finite(order: list[Node]) -> str:
    node = next(node for node in order if not np.all(np.isfinite(node.data)))
    value = node.data[~np.isfinite(node.data)][0]
    made = f", from {', '.join(map(str, node.parents))}" if node.parents else ""
    return f"the loss is not finite: {value} first arose in {node}{made}"
