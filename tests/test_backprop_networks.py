"""Lookup, softmax, losses, layers and descent: identities, torch and SciPy, the notes' networks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from nlp_course import backprop
from nlp_course import backprop_networks as networks
from nlp_course.backprop import Node


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


class TestLookup:
    def test_is_one_hot_rows_times_the_table(self):
        ids = np.array([[2, 0, 2], [1, 2, 2]])
        seed = random(2, 3, 4)
        table, other = Node(random(5, 4, seed=1)), Node(random(5, 4, seed=1))
        found, product = networks.lookup(table, ids), np.eye(5)[ids] @ other
        np.testing.assert_array_equal(found.data, product.data)
        found.backward(seed)
        product.backward(seed)
        np.testing.assert_allclose(table.grad, other.grad, atol=1e-15)

    def test_a_row_gets_the_sum_over_its_uses_and_an_unused_one_0(self):
        table = Node(np.zeros((4, 2)))
        networks.lookup(table, np.array([3, 1, 3])).backward(np.array([[1.0, 2], [3, 4], [5, 6]]))
        assert table.grad.tolist() == [[0, 0], [3, 4], [0, 0], [6, 8]]

    def test_is_torchs_embedding(self):
        torch = pytest.importorskip("torch")
        ids = np.random.default_rng(0).integers(50, size=(20, 7))
        weights = random(20, 7, 8)
        ours, theirs = Node(random(50, 8)), torch.tensor(random(50, 8), requires_grad=True)
        (networks.lookup(ours, ids).tanh() * weights).sum().backward()
        found = torch.nn.functional.embedding(torch.tensor(ids), theirs)
        (found.tanh() * torch.tensor(weights)).sum().backward()
        np.testing.assert_allclose(ours.grad, theirs.grad, atol=1e-12)

    @pytest.mark.parametrize("ids", [[-1], [5]])
    def test_refuses_ids_outside_the_table(self, ids):
        with pytest.raises(ValueError, match=r"ids must lie in 0 … 4"):
            networks.lookup(Node(np.zeros((5, 2))), np.array(ids))

    def test_refuses_what_is_no_table(self):
        with pytest.raises(ValueError, match="two axes"):
            networks.lookup(Node(np.zeros(5)), np.array([0]))


class TestSoftmax:
    @given(st.lists(st.floats(-800, 800), min_size=1, max_size=6), st.floats(-1e4, 1e4))
    def test_sums_to_1_and_forgets_a_shift(self, logits, shift):
        z = np.array(logits)
        p = networks.softmax(Node(z)).data
        assert p.sum() == pytest.approx(1)
        np.testing.assert_allclose(networks.softmax(Node(z + shift)).data, p, atol=1e-9)
        np.testing.assert_allclose(p, special.softmax(z), atol=1e-12)

    def test_jacobian_is_diag_p_minus_p_pT(self):
        z = random(5)
        p = special.softmax(z)
        rows = []
        for i in range(5):
            node = Node(z)
            networks.softmax(node)[i].backward()
            rows.append(node.grad)
        np.testing.assert_allclose(rows, np.diag(p) - np.outer(p, p), atol=1e-14)

    def test_log_softmax_is_the_logarithm_of_softmax_and_its_gradient_too(self):
        weights = random(3, 4, seed=1)
        one, other = Node(random(3, 4)), Node(random(3, 4))
        (networks.log_softmax(one) * weights).sum().backward()
        (networks.softmax(other).log() * weights).sum().backward()
        np.testing.assert_allclose(one.grad, other.grad, atol=1e-13)

    def test_large_logits_stay_finite_and_are_torchs(self):
        torch = pytest.importorskip("torch")
        z = np.array([[1e4, -1e4, 9999.0], [700.0, 710.0, -50.0]])
        weights = random(2, 3)
        ours, theirs = Node(z), torch.tensor(z, requires_grad=True)
        (networks.log_softmax(ours) * weights).sum().backward()
        (torch.log_softmax(theirs, -1) * torch.tensor(weights)).sum().backward()
        np.testing.assert_allclose(ours.grad, theirs.grad, atol=1e-12)


class TestLosses:
    def test_equal_logits_cost_log_of_the_classes(self):
        loss = networks.cross_entropy(Node(np.full((3, 7), 2.5)), np.array([0, 3, 6]))
        assert loss.item() == pytest.approx(np.log(7))

    def test_gradient_is_p_minus_y_divided_by_n(self):
        z, y = random(4, 3), np.array([0, 2, 2, 1])
        logits = Node(z)
        networks.cross_entropy(logits, y).backward()
        np.testing.assert_allclose(logits.grad, (special.softmax(z, 1) - np.eye(3)[y]) / 4)

    def test_is_the_sum_over_one_hot_targets_of_minus_y_log_p(self):
        z, y = random(4, 3), np.array([0, 2, 2, 1])
        written_out = -(np.eye(3)[y] * special.log_softmax(z, 1)).sum() / 4
        assert networks.cross_entropy(Node(z), y).item() == pytest.approx(written_out)

    def test_is_torchs_for_large_logits_and_several_axes(self):
        torch = pytest.importorskip("torch")
        z = 300 * random(2, 5, 4)
        y = np.random.default_rng(1).integers(4, size=(2, 5))
        ours, theirs = Node(z), torch.tensor(z, requires_grad=True)
        loss = networks.cross_entropy(ours, y)
        loss.backward()
        expected = torch.nn.functional.cross_entropy(
            theirs.reshape(-1, 4), torch.tensor(y).reshape(-1)
        )
        expected.backward()
        assert loss.item() == pytest.approx(expected.item())
        np.testing.assert_allclose(ours.grad, theirs.grad, atol=1e-12)

    def test_two_classes_are_the_binary_case_of_the_difference(self):
        z, y = random(6, 2), np.array([0, 1, 1, 0, 1, 0])
        both = networks.cross_entropy(Node(z), y).item()
        one = networks.binary_cross_entropy(Node(z[:, 1] - z[:, 0]), y).item()
        assert one == pytest.approx(both)

    def test_binary_is_torchs_for_large_logits_and_soft_targets(self):
        torch = pytest.importorskip("torch")
        z, y = np.array([800.0, -800.0, 0.0, 3.0]), np.array([1.0, 0.25, 0.5, 0.0])
        ours, theirs = Node(z), torch.tensor(z, requires_grad=True)
        loss = networks.binary_cross_entropy(ours, y)
        loss.backward()
        expected = torch.nn.functional.binary_cross_entropy_with_logits(theirs, torch.tensor(y))
        expected.backward()
        assert loss.item() == pytest.approx(expected.item())
        np.testing.assert_allclose(ours.grad, theirs.grad, atol=1e-15)

    @pytest.mark.parametrize(
        ("logits", "targets", "message"),
        [
            (np.zeros((2, 3)), [0, 3], r"targets must lie in 0 … 2, got 0 … 3"),
            (np.zeros((2, 3)), [-1, 0], r"targets must lie in 0 … 2, got -1 … 0"),
            (np.zeros((2, 3)), [0, 1, 2], r"needs a target, got targets \(3,\)"),
            (np.zeros((0, 3)), np.zeros(0, dtype=int), "at least one example"),
        ],
    )
    def test_cross_entropy_refuses_targets_that_are_no_classes(self, logits, targets, message):
        with pytest.raises(ValueError, match=message):
            networks.cross_entropy(Node(logits), np.array(targets))

    @pytest.mark.parametrize(
        ("logits", "targets", "message"),
        [
            (np.zeros(2), [0, 2], r"targets must lie in 0 … 1, got 0 … 2"),
            (np.zeros((2, 1)), [0, 1], "needs a target"),
            (np.zeros(0), [], "at least one example"),
        ],
    )
    def test_binary_cross_entropy_refuses_what_is_no_probability(self, logits, targets, message):
        with pytest.raises(ValueError, match=message):
            networks.binary_cross_entropy(Node(logits), np.array(targets))


class TestMLP:
    def test_the_notes_network_of_3_4_4_1_has_41_parameters_and_their_forward_pass(self):
        network = networks.MLP([3, 4, 4, 1], activation="sigmoid", seed=1)
        assert [W.shape for W in network.weights] == [(3, 4), (4, 4), (4, 1)]
        assert sum(p.data.size for p in network.parameters) == 41
        x = random(3, 1)
        (W1, W2, W3), (b1, b2, b3) = (
            [p.data.T for p in network.weights],
            [p.data[:, None] for p in network.biases],
        )
        h1 = special.expit(W1 @ x + b1)
        h2 = special.expit(W2 @ h1 + b2)
        np.testing.assert_allclose(network(x.T).data, (W3 @ h2 + b3).T)

    def test_layers_gives_each_hidden_activation_and_the_outputs(self):
        network = networks.MLP([3, 5, 2])
        hidden, outputs = network.layers(random(4, 3))
        assert hidden.shape == (4, 5)
        assert hidden.data.min() >= 0
        np.testing.assert_array_equal(outputs.data, network(random(4, 3)).data)

    def test_gradients_are_torchs(self):
        torch = pytest.importorskip("torch")
        network = networks.MLP([6, 8, 5, 3], activation="tanh", seed=2)
        x, y = random(10, 6), np.random.default_rng(3).integers(3, size=10)
        networks.cross_entropy(network(x), y).backward()
        layers = []
        for W, b in zip(network.weights, network.biases, strict=True):
            linear = torch.nn.Linear(*W.shape, dtype=torch.float64)
            linear.weight.data, linear.bias.data = torch.tensor(W.data.T), torch.tensor(b.data)
            layers += [linear, torch.nn.Tanh()]
        model = torch.nn.Sequential(*layers[:-1])
        torch.nn.functional.cross_entropy(model(torch.tensor(x)), torch.tensor(y)).backward()
        linears = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
        for W, b, linear in zip(network.weights, network.biases, linears, strict=True):
            np.testing.assert_allclose(W.grad, linear.weight.grad.T, atol=1e-14)
            np.testing.assert_allclose(b.grad, linear.bias.grad, atol=1e-14)

    @pytest.mark.parametrize("activation", ["relu", "tanh"])
    def test_the_default_spread_keeps_activations_of_one_size_through_ten_layers(self, activation):
        network = networks.MLP([200] * 11, activation=activation)
        first, *_, last, _ = network.layers(random(50, 200))
        ratio = np.sqrt((last.data**2).mean() / (first.data**2).mean())
        assert 0.25 < ratio < 2

    def test_weights_spread_by_the_number_of_inputs_not_of_outputs(self):
        wide, narrow = networks.MLP([900, 25, 400], gain=3).weights
        assert wide.data.std() == pytest.approx(3 / 30, rel=0.05)
        assert narrow.data.std() == pytest.approx(3 / 5, rel=0.05)

    def test_weights_of_0_never_part(self):
        network = networks.MLP([2, 4, 1], activation="tanh", gain=0)
        x, y = random(20, 2), random(20, 1)
        for _ in range(5):
            ((network(x) - y) ** 2).mean().backward()
            networks.sgd_step(network.parameters, 0.1)
        assert np.all(network.weights[0].data == 0)
        assert np.ptp(network.weights[1].data) == 0

    def test_the_same_seed_draws_the_same_weights(self):
        one, same, other = (networks.MLP([3, 4], seed=seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one.weights[0].data, same.weights[0].data)
        assert not np.array_equal(one.weights[0].data, other.weights[0].data)

    @pytest.mark.parametrize("sizes", [[3], [], [3, 0, 1]])
    def test_refuses_sizes_that_make_no_layer(self, sizes):
        with pytest.raises(ValueError, match="sizes"):
            networks.MLP(sizes)

    def test_refuses_unknown_activations_and_negative_gains(self):
        with pytest.raises(ValueError, match="relu, tanh, sigmoid, got 'step'"):
            networks.MLP([2, 1], activation="step")
        with pytest.raises(ValueError, match="gain"):
            networks.MLP([2, 1], gain=-1)

    def test_input_of_another_width_is_named(self):
        with pytest.raises(ValueError, match=r"matmul.*\(5, 4\).*W1, shape \(3, 2\)"):
            networks.MLP([3, 2])(random(5, 4))


class TestDescent:
    def test_a_step_goes_against_the_gradient_and_forgets_it(self):
        w = Node(np.array([1.0, 2.0]))
        (w * w).sum().backward()
        networks.sgd_step([w], 0.25)
        assert w.data.tolist() == [0.5, 1]
        assert w.grad is None

    def test_a_quadratic_converges_to_its_minimum(self):
        w = Node(np.zeros(3))
        target = np.array([1.0, -2.0, 0.5])
        for _ in range(100):
            ((w - target) ** 2).sum().backward()
            networks.sgd_step([w], 0.1)
        np.testing.assert_allclose(w.data, target, atol=1e-8)

    def test_a_parameter_listed_twice_moves_once(self):
        w = Node(np.array([1.0]))
        (w * w).sum().backward()
        networks.sgd_step([w, w], 0.1)
        assert w.data[0] == pytest.approx(0.8)

    def test_an_mlp_learns_xor(self):
        x = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
        y = np.array([0, 1, 1, 0])
        network = networks.MLP([2, 8, 2], seed=0)
        for _ in range(300):
            networks.cross_entropy(network(x), y).backward()
            networks.sgd_step(network.parameters, 0.5)
        assert network(x).data.argmax(axis=1).tolist() == y.tolist()

    @pytest.mark.parametrize("rate", [0, -1, np.inf])
    def test_refuses_rates_that_are_no_steps(self, rate):
        with pytest.raises(ValueError, match="learning_rate"):
            networks.sgd_step([], rate)

    def test_a_parameter_without_a_gradient_is_named_and_nothing_moves(self):
        w, forgotten = Node(np.ones(1), "w"), Node(np.ones(1), "forgotten")
        w.sum().backward()
        with pytest.raises(ValueError, match=r"forgotten.*has no gradient"):
            networks.sgd_step([w, forgotten], 0.1)
        assert w.data[0] == 1


class TestNotesTwoLayerNetwork:
    """64 × 1000 → 100 → 10 with gradients written by hand, as the notes have it."""

    def test_hand_written_gradients_are_the_engines(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(64, 1000)), rng.normal(size=(64, 10))
        w1, w2 = rng.normal(size=(1000, 100)), rng.normal(size=(100, 10))
        h = 1 / (1 + np.exp(-x.dot(w1)))
        grad_y_pred = 2.0 * (h.dot(w2) - y)
        grad_w2 = h.T.dot(grad_y_pred)
        grad_w1 = x.T.dot(grad_y_pred.dot(w2.T) * h * (1 - h))

        n1, n2 = Node(w1), Node(w2)
        (((x @ n1).sigmoid() @ n2 - y) ** 2).sum().backward()
        np.testing.assert_allclose(n1.grad, grad_w1, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(n2.grad, grad_w2, rtol=1e-9, atol=1e-9)


class TestNotesThreeLayerSoftmax:
    """z₁ = W₁z₀, z₂ = σ(W₂z₁), z₃ = softmax(W₃z₂), ℓ = −Σ y log z₃."""

    def setup_method(self):
        V, d1, d2 = 7, 4, 5
        self.z0, self.y = np.eye(V)[2], np.eye(V)[5]
        self.W1, self.W2, self.W3 = random(d1, V), random(d2, d1, seed=1), random(V, d2, seed=2)

    def loss(self, W1, W2, W3):
        z2 = (W2 @ (W1 @ Node(self.z0, needs_grad=False))).sigmoid()
        return -(networks.softmax(W3 @ z2).log() * self.y).sum()

    def test_the_recursion_is_the_engines_gradient(self):
        z1 = self.W1 @ self.z0
        z2 = special.expit(self.W2 @ z1)
        z3 = special.softmax(self.W3 @ z2)
        delta2 = self.W3.T @ (z3 - self.y)
        delta1 = self.W2.T @ (z2 * (1 - z2) * delta2)
        by_hand = (
            np.outer(delta1, self.z0),
            np.outer(delta2 * z2 * (1 - z2), z1),
            np.outer(z3 - self.y, z2),
        )
        check = networks.gradient_check(self.loss, self.W1, self.W2, self.W3)
        for hand, engine in zip(by_hand, check.analytic, strict=True):
            np.testing.assert_allclose(hand, engine, atol=1e-14)
        assert check.error < 1e-8

    def test_without_the_minus_sign_every_gradient_turns_round(self):
        flipped = networks.gradient_check(
            lambda *W: -1.0 * self.loss(*W), self.W1, self.W2, self.W3
        )
        z2 = special.expit(self.W2 @ self.W1 @ self.z0)
        z3 = special.softmax(self.W3 @ z2)
        np.testing.assert_allclose(flipped.numeric[2], -np.outer(z3 - self.y, z2), atol=1e-8)


class TestGradientCheck:
    def test_a_right_gradient_has_a_tiny_error(self):
        result = networks.gradient_check(
            lambda x, w: (x @ w).tanh().sum(), random(3, 4), random(4, 2)
        )
        assert result.error < 1e-8
        assert len(result.errors) == 2
        assert result.numeric[1].shape == (4, 2)

    def test_a_wrong_gradient_is_seen_and_says_whose(self):
        def half_wrong(x, w):
            return backprop.function(
                "product",
                (x.data * w.data).sum(),
                (x, lambda g: g * w.data),
                (w, lambda g: g * w.data),
            )

        result = networks.gradient_check(half_wrong, random(3), random(3, seed=1))
        assert result.errors[0] < 1e-8
        assert result.errors[1] > 0.1
        assert result.error == result.errors[1]

    def test_a_gradient_that_is_0_is_no_error(self):
        # Softmax forgets a shift: all there is to see is rounding.
        result = networks.gradient_check(
            lambda b: networks.cross_entropy(b + random(3, 4), np.array([0, 1, 2])), random(1)
        )
        assert np.abs(result.analytic[0]).max() < 1e-15
        assert result.error < 1e-2

    def test_an_argument_that_does_not_matter_has_gradient_0(self):
        result = networks.gradient_check(lambda x, y: x.sum(), random(2), random(3))
        assert result.analytic[1].tolist() == [0, 0, 0]
        assert result.error < 1e-8

    def test_refuses_what_cannot_be_checked(self):
        with pytest.raises(ValueError, match="at least one argument"):
            networks.gradient_check(lambda: Node(1.0))
        with pytest.raises(ValueError, match="step"):
            networks.gradient_check(lambda x: x.sum(), random(2), step=0.0)
        with pytest.raises(ValueError, match="single number"):
            networks.gradient_check(lambda x: x, random(2))
