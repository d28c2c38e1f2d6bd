"""The engine: worked gradients, torch's gradients over random graphs, repeats, bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_course import backprop
from nlp_course.backprop import Node
from nlp_course.backprop_networks import log_softmax, lookup, softmax


def gradients(loss, *nodes):
    """The gradients of a loss, which start anew."""
    backprop.zero_grad(backprop.topological_order(loss))
    loss.backward()
    return [node.grad for node in nodes]


class TestWorkedByHand:
    def test_the_notes_graph_of_a_sum_times_z(self):
        x, y, z = Node(-2.0), Node(5.0), Node(-4.0)
        q = x + y
        f = q * z
        f.backward()
        assert (q.item(), f.item()) == (3, -12)
        assert [n.grad.item() for n in (f, q, x, y, z)] == [1, -4, -4, -4, 3]

    def test_a_node_used_twice_adds_both_ways(self):
        x = Node(3.0)
        (y,) = gradients(x * x + x, x)
        assert y == 2 * 3 + 1

    def test_a_diamond_counts_every_path_once(self):
        x = Node(2.0)
        a = x * 3.0
        b = a + x
        c = a * b  # 3x · 4x = 12 x²
        assert gradients(c, x)[0] == 24 * 2

    def test_quotient_and_power(self):
        a, b = Node(3.0), Node(2.0)
        of_a, of_b = gradients(a**3 / b, a, b)
        assert of_a == pytest.approx(27 / 2)
        assert of_b == pytest.approx(-27 / 4)

    def test_numbers_and_arrays_stand_on_either_side(self):
        x = Node(np.array([1.0, 2.0]))
        plain = np.array([3.0, 4.0])
        for made, value in (
            (plain + x, [4, 6]),
            (plain - x, [2, 2]),
            (plain * x, [3, 8]),
            (plain / x, [3, 2]),
            (plain @ x, 11),
            (1 - x, [0, -1]),
            (2 / x, [2, 1]),
            (-x, [-1, -2]),
        ):
            assert isinstance(made, Node)
            np.testing.assert_array_equal(made.data, value)

    def test_a_bias_added_to_every_row_sums_their_gradients(self):
        bias = Node(np.zeros(3))
        seed = np.arange(12.0).reshape(4, 3)
        (bias + np.ones((4, 3))).backward(seed)
        np.testing.assert_array_equal(bias.grad, seed.sum(axis=0))

    def test_the_gradient_of_a_product_is_that_of_the_chapter(self):
        rng = np.random.default_rng(0)
        X, W, G = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=(5, 3))
        x, w = Node(X), Node(W)
        (x @ w).backward(G)
        np.testing.assert_allclose(w.grad, X.T @ G)
        np.testing.assert_allclose(x.grad, G @ W.T)

    def test_relu_at_0_passes_nothing(self):
        x = Node(np.array([-1.0, 0.0, 2.0]))
        assert gradients(x.relu().sum(), x)[0].tolist() == [0, 0, 1]

    def test_the_largest_takes_all_and_ties_share(self):
        x = Node(np.array([[1.0, 5.0, 2.0], [4.0, 0.0, 4.0]]))
        assert gradients(x.max(axis=1).sum(), x)[0].tolist() == [[0, 1, 0], [0.5, 0, 0.5]]

    def test_power_0_has_no_slope_not_even_at_0(self):
        x = Node(np.array([0.0, 2.0]))
        assert gradients((x**0).sum(), x)[0].tolist() == [0, 0]

    def test_indexing_adds_what_repeats(self):
        x = Node(np.array([1.0, 2.0, 3.0]))
        assert gradients(x[[0, 2, 0]].sum() + x[1:].sum(), x)[0].tolist() == [2, 1, 2]

    def test_an_operation_of_ones_own_joins_the_graph(self):
        x = Node(np.array([2.0, 3.0]))
        cube = backprop.function("cube", x.data**3, (x, lambda g: 3 * x.data**2 * g))
        assert gradients((cube * x).sum(), x)[0].tolist() == [4 * 8, 4 * 27]


class TestWalking:
    def test_operands_come_before_what_is_made_of_them(self):
        x = Node(1.0)
        a = x.exp()
        loss = (a * x + a.tanh()) * a
        order = backprop.topological_order(loss)
        place = {node: number for number, node in enumerate(order)}
        assert len(place) == len(order)
        assert order[-1] is loss
        assert all(place[p] < place[node] for node in order for p in node.parents)

    def test_a_graph_far_deeper_than_pythons_stack_is_walked(self):
        x = Node(1.0)
        y = x
        for _ in range(5000):
            y = y + 0.0
        y.backward()
        assert x.grad == 1

    def test_a_second_walk_adds_the_same_again_at_inner_nodes_too(self):
        x = Node(3.0)
        inner = x * x
        loss = inner * 2.0
        loss.backward()
        first = inner.grad.item(), x.grad.item()
        loss.backward()
        assert first == (2, 12)
        assert (inner.grad.item(), x.grad.item()) == (4, 24)

    def test_two_losses_over_one_graph_add_up(self):
        x = Node(np.array([1.0, 2.0]))
        shared = x * x
        shared.sum().backward()
        (3.0 * shared).sum().backward()
        assert x.grad.tolist() == [8, 16]

    def test_zero_grad_starts_anew(self):
        x = Node(3.0)
        (x * x).backward()
        backprop.zero_grad([x])
        assert x.grad is None
        (x * x).backward()
        assert x.grad == 6

    def test_seed_is_the_gradient_that_comes_from_further_on(self):
        x = Node(np.array([1.0, 2.0]))
        y = x * x
        seed = np.array([10.0, -1.0])
        y.backward(seed)
        other = Node(x.data)
        (other * other * seed).sum().backward()
        np.testing.assert_array_equal(x.grad, other.grad)

    def test_constants_get_no_gradient(self):
        x, c = Node(2.0), Node(3.0, needs_grad=False)
        (x * c).backward()
        assert c.grad is None
        assert c.operation == "constant"
        assert not (c * c).needs_grad

    @pytest.mark.parametrize("name", ["exp", "log", "relu", "sigmoid", "tanh"])
    def test_new_data_leave_earlier_graphs_as_they_were(self, name):
        x, untouched = Node(np.array([0.5, 2.0])), Node(np.array([0.5, 2.0]))

        def loss(node):
            return (getattr(node, name)() * node / (node + 1.0) @ node) ** 2

        earlier = loss(x)
        x.data = np.array([7.0, 8.0])
        earlier.backward()
        loss(untouched).backward()
        np.testing.assert_array_equal(x.grad, untouched.grad)


# Each operation twice: for a node and for a torch tensor. b is used by those of two operands.
def _pairs(torch):
    return {
        "add": (lambda a, b: a + b, lambda a, b: a + b),
        "subtract": (lambda a, b: a - b, lambda a, b: a - b),
        "multiply": (lambda a, b: a * b, lambda a, b: a * b),
        "divide": (lambda a, b: a / (b * b + 1), lambda a, b: a / (b * b + 1)),
        "matmul": (lambda a, b: a @ b, lambda a, b: a @ b),
        "matmul with the transposed": (lambda a, b: a @ b.T, lambda a, b: a @ b.permute(_back(b))),
        "itself twice": (lambda a, b: a * a - a, lambda a, b: a * a - a),
        "cube": (lambda a, b: a**3, lambda a, b: a**3),
        "root": (lambda a, b: (a * a + 1) ** 0.5, lambda a, b: (a * a + 1) ** 0.5),
        "exp": (lambda a, b: a.tanh().exp(), lambda a, b: a.tanh().exp()),
        "log": (lambda a, b: (a * a + 0.5).log(), lambda a, b: (a * a + 0.5).log()),
        "relu": (lambda a, b: a.relu(), lambda a, b: a.relu()),
        "sigmoid": (lambda a, b: a.sigmoid(), lambda a, b: a.sigmoid()),
        "sum": (lambda a, b: a.sum(), lambda a, b: a.sum()),
        "sum of rows": (lambda a, b: a.sum(axis=-1), lambda a, b: a.sum(dim=-1)),
        "mean": (
            lambda a, b: a.mean(axis=0, keepdims=True),
            lambda a, b: a.mean(dim=0, keepdim=True),
        ),
        "max": (lambda a, b: a.max(axis=-1), lambda a, b: a.amax(dim=-1)),
        "reshape": (lambda a, b: a.reshape(-1, 1), lambda a, b: a.reshape(-1, 1)),
        "transpose": (lambda a, b: a.T, lambda a, b: a.permute(_back(a))),
        "index": (lambda a, b: a[[0, -1, 0]], lambda a, b: a[[0, -1, 0]]),
        "slice": (lambda a, b: a[..., 1:], lambda a, b: a[..., 1:]),
        "softmax": (lambda a, b: softmax(a), lambda a, b: torch.softmax(a, -1)),
        "log_softmax": (
            lambda a, b: log_softmax(100 * a),
            lambda a, b: torch.log_softmax(100 * a, -1),
        ),
        "lookup": (
            lambda a, b: lookup(a, np.array([[1, 0, 1], [1, 1, 0]])),
            lambda a, b: torch.nn.functional.embedding(torch.tensor([[1, 0, 1], [1, 1, 0]]), a),
        ),
    }


def _back(tensor):
    return tuple(reversed(range(tensor.ndim)))


SHAPES = [(), (3,), (2, 3), (2, 1), (1, 3), (3, 2), (2, 3, 3)]
NAMES = sorted(_pairs(None))
ALSO_OF_NUMBERS = {
    *("add", "subtract", "multiply", "divide", "itself twice", "cube", "root", "exp", "log"),
    *("relu", "sigmoid", "sum"),
}


class TestLikeTorch:
    @settings(max_examples=300)
    @given(
        st.lists(
            st.tuples(st.sampled_from(NAMES), st.integers(0, 30), st.integers(0, 30)),
            min_size=1,
            max_size=12,
        ),
        st.integers(0, 2**32 - 1),
    )
    def test_over_random_graphs(self, steps, seed):
        torch = pytest.importorskip("torch")
        operations = _pairs(torch)
        rng = np.random.default_rng(seed)
        arrays = [rng.normal(size=shape) for shape in SHAPES]
        leaves = [Node(array) for array in arrays]
        tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
        pool = list(zip(leaves, tensors, strict=True))
        for name, i, j in steps:
            (a, a_t), (b, b_t) = pool[i % len(pool)], pool[j % len(pool)]
            ours, theirs = operations[name]
            try:
                result_t = theirs(a_t, b_t)
            except (RuntimeError, IndexError):
                # What torch refuses, such as matrices that do not fit, is refused here.
                with pytest.raises((ValueError, IndexError)):
                    ours(a, b)
                continue
            if a.shape == () and name not in ALSO_OF_NUMBERS:
                continue  # to torch a single number has a last axis
            if result_t.numel() > 500 or result_t.numel() == 0:
                continue
            result = ours(a, b)
            if result_t.abs().max() > 30:
                result, result_t = result.tanh(), result_t.tanh()
            np.testing.assert_allclose(result.data, result_t.detach(), rtol=1e-10, atol=1e-10)
            pool.append((result, result_t))
        weights = rng.normal(size=len(pool))
        loss = sum((w * node.mean() for w, (node, _) in zip(weights, pool, strict=True)), 0.0)
        loss.backward()
        sum(w * tensor.mean() for w, (_, tensor) in zip(weights, pool, strict=True)).backward()
        for leaf, tensor in zip(leaves, tensors, strict=True):
            expected = tensor.grad.numpy()
            scale = max(1.0, np.abs(expected).max())
            np.testing.assert_allclose(leaf.grad, expected, rtol=1e-10, atol=1e-10 * scale)

    def test_sums_over_several_axes(self):
        torch = pytest.importorskip("torch")
        x = np.random.default_rng(1).normal(size=(2, 3, 4))
        weights = np.random.default_rng(2).normal(size=3)
        ours, theirs = Node(x), torch.tensor(x, requires_grad=True)
        ((ours.sum(axis=(0, 2)) ** 2) * weights).sum().backward()
        (theirs.sum(dim=(0, 2)) ** 2 * torch.tensor(weights)).sum().backward()
        np.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-12)

    def test_transposes_by_given_axes(self):
        torch = pytest.importorskip("torch")
        x = np.random.default_rng(1).normal(size=(2, 3, 4))
        seed = np.random.default_rng(2).normal(size=(4, 2, 3))
        ours, theirs = Node(x), torch.tensor(x, requires_grad=True)
        ours.transpose(2, 0, 1).backward(seed)
        theirs.permute(2, 0, 1).backward(torch.tensor(seed))
        np.testing.assert_array_equal(ours.grad, theirs.grad)


class TestBadInput:
    def test_backward_needs_a_single_number_or_a_seed(self):
        x = Node(np.ones((3, 4)))
        with pytest.raises(ValueError, match=r"sum or mean.*shape \(3, 4\).*seed was None"):
            (x * 2.0).backward()
        with pytest.raises(ValueError, match=r"shape \(3, 4\).*seed was \(4, 3\)"):
            (x * 2.0).backward(np.ones((4, 3)))

    def test_backward_needs_an_input_that_needs_a_gradient(self):
        constant = Node(2.0, needs_grad=False)
        with pytest.raises(ValueError, match="no input that needs a gradient"):
            (constant * constant).backward()

    @pytest.mark.parametrize(
        ("operation", "name"),
        [
            (lambda a, b: a + b, "add"),
            (lambda a, b: a - b, "subtract"),
            (lambda a, b: a * b, "multiply"),
            (lambda a, b: a / b, "divide"),
            (lambda a, b: a @ b, "matmul"),
        ],
    )
    def test_shapes_that_do_not_fit_are_named(self, operation, name):
        a, b = Node(np.ones((3, 4)), "W1"), Node(np.ones((5, 6)), "W2")
        with pytest.raises(ValueError, match=rf"{name}.*W1, shape \(3, 4\).*W2, shape \(5, 6\)"):
            operation(a, b)

    @pytest.mark.parametrize("data", [3, [1, 2], np.arange(3), np.array([True])])
    def test_whole_numbers_get_no_gradient(self, data):
        with pytest.raises(TypeError, match="floating-point numbers"):
            Node(data)
        assert Node(data, needs_grad=False).data.dtype == np.float64

    @pytest.mark.parametrize("data", ["word", np.array([1j]), np.array([None])])
    def test_what_is_no_number_is_refused(self, data):
        with pytest.raises(TypeError, match="real numbers"):
            Node(data, needs_grad=False)

    def test_single_precision_becomes_double(self):
        assert Node(np.ones(2, dtype=np.float32)).data.dtype == np.float64

    @pytest.mark.parametrize("number", [0.0, -1.0])
    def test_log_of_what_is_not_above_0_is_refused(self, number):
        with pytest.raises(ValueError, match=r"log needs numbers above 0.*log_softmax"):
            Node(np.array([1.0, number])).log()

    @pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
    def test_an_overflow_is_named_where_it_began(self):
        x = Node(np.array([1.0, 1000.0]), "x")
        with pytest.raises(FloatingPointError, match=r"inf first arose in Node\(exp.*from Node\(x"):
            ((x.exp() * 2.0).sum() + 1.0).backward()
        assert x.grad is None

    @pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
    def test_nan_is_named_where_it_began(self):
        x = Node(np.array([-1.0]), "x")
        with pytest.raises(FloatingPointError, match=r"nan first arose in Node\(power"):
            (x**0.5).sum().backward()

    def test_nan_in_the_input_is_named(self):
        with pytest.raises(
            FloatingPointError, match=r"nan first arose in Node\(features, shape \(2,\)\)$"
        ):
            (Node(np.ones(2)) * Node(np.array([1.0, np.nan]), "features")).sum().backward()

    @pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
    def test_an_infinite_slope_is_named_and_changes_no_gradient(self):
        x, y = Node(np.array([0.0]), "x"), Node(np.array([2.0]))
        with pytest.raises(FloatingPointError, match=r"∂Node\(power.* / ∂Node\(x.*is not finite"):
            (x**0.5 + y * y).sum().backward()
        assert x.grad is None
        assert y.grad is None

    @pytest.mark.parametrize("gradient", [np.ones(()), np.ones(2), np.ones((3, 2))])
    def test_an_operation_whose_gradient_has_another_shape_is_refused(self, gradient):
        x = Node(np.ones(3))
        with pytest.raises(ValueError, match=r"shape \(3,\) cannot have a gradient"):
            backprop.function("mine", 1.0, (x, lambda g: gradient)).backward()

    def test_changes_in_place_are_refused(self):
        w = Node(np.ones(3))
        loss = (w * w).sum()
        with pytest.raises(ValueError, match="read-only"):
            w.data[0] = 5.0
        with pytest.raises(ValueError, match="read-only"):
            w.data -= 0.1
        loss.backward()
        with pytest.raises(ValueError, match="read-only"):
            w.grad *= 2.0

    def test_the_callers_array_stays_the_callers(self):
        mine = np.ones(3)
        w = Node(mine)
        mine[0] = 7.0
        assert w.data.tolist() == [1, 1, 1]

    def test_new_data_must_have_the_shape_and_go_to_an_input(self):
        W = Node(np.ones(3), "W")
        with pytest.raises(ValueError, match=r"of its shape: Node\(W"):
            W.data = np.ones(2)
        with pytest.raises(ValueError, match="only an input"):
            (W * W).data = np.ones(3)

    def test_the_mean_of_nothing_is_refused(self):
        with pytest.raises(ValueError, match="mean of no numbers"):
            Node(np.ones((0, 3))).mean(axis=1)
