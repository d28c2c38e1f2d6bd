"""word2vec's objectives against autograd, finite differences, limits and values worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course import word2vec

torch = pytest.importorskip("torch")


def random_vectors(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def autograd(loss, *arrays):
    """A loss written in torch, and its gradients by automatic differentiation."""
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    value = loss(*tensors)
    value.backward()
    return value.item(), [tensor.grad.numpy() for tensor in tensors]


def finite_differences(loss, array, step=1e-6):
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        moved = array.copy()
        moved[index] += step
        above = loss(moved)
        moved[index] -= 2 * step
        gradient[index] = (above - loss(moved)) / (2 * step)
    return gradient


class TestPairs:
    def test_pairs_of_hope_can_set_you_free_with_window_two(self):
        words = ["hope", "can", "set", "you", "free"]
        pairs = word2vec.skipgram_pairs(np.arange(5), window=2)
        assert [f"{words[center]} {words[outside]}" for center, outside in pairs] == [
            *("hope can", "hope set"),
            *("can hope", "can set", "can you"),
            *("set hope", "set can", "set you", "set free"),
            *("you can", "you set", "you free"),
            *("free set", "free you"),
        ]

    def test_cbow_examples_of_hope_can_set_you_free(self):
        examples = word2vec.cbow_examples(np.arange(5), window=1)
        assert [(list(context), target) for context, target in examples] == [
            ([1], 0),
            ([0, 2], 1),
            ([1, 3], 2),
            ([2, 4], 3),
            ([3], 4),
        ]

    @pytest.mark.parametrize("length", [0, 1])
    def test_a_sentence_without_neighbours_gives_no_example(self, length):
        tokens = np.zeros(length, dtype=np.int64)
        assert word2vec.skipgram_pairs(tokens, window=3).shape == (0, 2)
        assert word2vec.cbow_examples(tokens, window=3) == []

    @given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 25))
    def test_pairs_are_symmetric_and_agree_with_the_contexts_of_cbow(self, tokens, window):
        tokens = np.array(tokens, dtype=np.int64)
        pairs = [tuple(pair) for pair in word2vec.skipgram_pairs(tokens, window)]
        assert sorted(pairs) == sorted((outside, center) for center, outside in pairs)
        contexts = word2vec.cbow_examples(tokens, window)
        assert pairs == [(target, word) for context, target in contexts for word in context]

    def test_window_of_zero_is_refused(self):
        with pytest.raises(ValueError, match="window must be at least 1, got 0"):
            word2vec.skipgram_pairs(np.arange(3), window=0)
        with pytest.raises(ValueError, match="window must be at least 1, got 0"):
            word2vec.cbow_examples(np.arange(3), window=0)


class TestSoftmaxAndSigmoid:
    def test_softmax_of_equal_scores_is_uniform_however_large(self):
        assert word2vec.softmax(np.full(4, 1e5)) == pytest.approx([0.25] * 4)

    @given(st.lists(st.floats(-50, 50), min_size=1, max_size=8), st.floats(-1e3, 1e3))
    def test_softmax_sums_to_one_and_does_not_see_a_constant(self, scores, constant):
        probability = word2vec.softmax(np.array(scores))
        assert probability.sum() == pytest.approx(1.0)
        assert word2vec.softmax(np.array(scores) + constant) == pytest.approx(probability, abs=1e-9)

    def test_softmax_works_along_the_last_axis(self):
        scores = np.log(np.array([[1.0, 3.0], [2.0, 2.0]]))
        assert word2vec.softmax(scores) == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]))

    def test_log_sigmoid_stays_finite_at_a_thousand(self):
        with np.errstate(all="raise", under="ignore"):
            values = word2vec.log_sigmoid(np.array([-1000.0, 1000.0]))
        assert values == pytest.approx([-1000.0, 0.0])

    def test_sigmoid_stays_finite_at_a_thousand(self):
        with np.errstate(all="raise", under="ignore"):
            values = word2vec.sigmoid(np.array([-1000.0, 0.0, 1000.0]))
        assert values == pytest.approx([0.0, 0.5, 1.0])

    def test_log_sigmoid_equals_torch(self):
        scores = np.linspace(-30, 30, 61)
        expected = torch.nn.functional.logsigmoid(torch.tensor(scores)).numpy()
        assert word2vec.log_sigmoid(scores) == pytest.approx(expected, rel=1e-12)


class TestDistributions:
    def test_noise_with_power_one_is_the_unigram_distribution(self):
        counts = np.array([6, 3, 1])
        assert word2vec.noise_distribution(counts, power=1.0) == pytest.approx([0.6, 0.3, 0.1])

    def test_noise_with_power_zero_is_uniform(self):
        assert word2vec.noise_distribution(np.array([6, 3]), 0.0) == pytest.approx([0.5, 0.5])

    def test_three_quarters_turns_counts_16_and_1_into_8_to_1(self):
        assert word2vec.noise_distribution(np.array([16, 1])) == pytest.approx([8 / 9, 1 / 9])

    def test_keep_probability_is_that_of_the_c_program(self):
        # f = 0.96 and 0.04; t = 0.01: √(1/96) + 1/96 and √(1/4) + 1/4
        keep = word2vec.keep_probability(np.array([96, 4]), threshold=0.01)
        assert keep == pytest.approx([96**-0.5 + 1 / 96, 0.75])

    def test_rare_and_unseen_words_are_always_kept(self):
        keep = word2vec.keep_probability(np.array([10**6, 1, 0]), threshold=1e-3)
        assert keep[1:] == pytest.approx([1.0, 1.0])

    @pytest.mark.parametrize("counts", [np.array([3, -1]), np.array([0, 0]), np.zeros(0)])
    @pytest.mark.parametrize(
        "function", [word2vec.noise_distribution, word2vec.keep_probability, word2vec.huffman_tree]
    )
    def test_what_is_not_counts_is_refused(self, function, counts):
        with pytest.raises(ValueError, match="no negative number and at least one above 0"):
            function(counts)

    def test_a_negative_power_and_a_threshold_of_zero_are_refused(self):
        with pytest.raises(ValueError, match="power must be at least 0, got -1"):
            word2vec.noise_distribution(np.array([1, 2]), power=-1.0)
        with pytest.raises(ValueError, match="threshold must be above 0, got 0"):
            word2vec.keep_probability(np.array([1, 2]), threshold=0.0)


class TestNaiveSoftmax:
    def test_zero_vectors_cost_the_logarithm_of_the_vocabulary(self):
        loss, _ = word2vec.naive_softmax_loss(np.zeros(3), 2, np.zeros((7, 3)))
        assert loss == pytest.approx(np.log(7))

    def test_value_and_gradients_worked_by_hand(self):
        # Scores log 1 and log 3: p = 1/4, 3/4; the word is the first.
        loss, gradients = word2vec.naive_softmax_loss(
            np.array([1.0]), 0, np.array([[0.0], [np.log(3.0)]])
        )
        assert loss == pytest.approx(np.log(4))
        assert gradients.outside_vectors == pytest.approx(np.array([[-0.75], [0.75]]))
        assert gradients.center == pytest.approx([0.75 * np.log(3.0)])

    def test_gradients_equal_autograd(self):
        center, outside = random_vectors(0, 5, (11, 5))
        loss, gradients = word2vec.naive_softmax_loss(center, 4, outside)
        expected, expected_gradients = autograd(
            lambda v, u: torch.nn.functional.cross_entropy((u @ v)[None], torch.tensor([4])),
            center,
            outside,
        )
        assert loss == pytest.approx(expected, abs=1e-10)
        for gradient, by_torch in zip(gradients, expected_gradients, strict=True):
            assert gradient == pytest.approx(by_torch, abs=1e-6)

    def test_gradients_equal_finite_differences(self):
        center, outside = random_vectors(1, 3, (4, 3))
        _, gradients = word2vec.naive_softmax_loss(center, 1, outside)
        assert gradients.center == pytest.approx(
            finite_differences(lambda v: word2vec.naive_softmax_loss(v, 1, outside)[0], center),
            abs=1e-7,
        )
        assert gradients.outside_vectors == pytest.approx(
            finite_differences(lambda u: word2vec.naive_softmax_loss(center, 1, u)[0], outside),
            abs=1e-7,
        )

    def test_huge_scores_neither_overflow_nor_lose_the_loss(self):
        outside = np.array([[1000.0], [-1000.0]])
        with np.errstate(all="raise", under="ignore"):
            loss, _ = word2vec.naive_softmax_loss(np.ones(1), 1, outside)
        assert loss == pytest.approx(2000.0)

    def test_bad_arguments_are_refused(self):
        with pytest.raises(IndexError, match="outside_id must lie in 0 … 3, got -1"):
            word2vec.naive_softmax_loss(np.zeros(2), -1, np.zeros((4, 2)))


class TestNegativeSampling:
    def test_zero_vectors_cost_one_bit_for_each_of_the_one_plus_k_answers(self):
        loss, _ = word2vec.negative_sampling_loss(np.zeros(3), np.zeros(3), np.zeros((5, 3)))
        assert loss == pytest.approx(6 * np.log(2))

    def test_value_worked_by_hand(self):
        # σ(log 3) = 3/4: J = −log 3/4 − log(1 − 3/4)
        center, outside = np.array([1.0]), np.array([np.log(3.0)])
        loss, gradients = word2vec.negative_sampling_loss(center, outside, outside[None])
        assert loss == pytest.approx(-np.log(3 / 16))
        assert gradients.outside == pytest.approx([-0.25])
        assert gradients.noise == pytest.approx(np.array([[0.75]]))
        assert gradients.center == pytest.approx([0.5 * np.log(3.0)])

    @pytest.mark.parametrize("k", [0, 1, 6])
    def test_gradients_equal_autograd(self, k):
        arrays = random_vectors(2, 4, 4, (k, 4))
        loss, gradients = word2vec.negative_sampling_loss(*arrays)
        log_sigmoid = torch.nn.functional.logsigmoid
        expected, expected_gradients = autograd(
            lambda v, u, noise: -log_sigmoid(u @ v) - log_sigmoid(-noise @ v).sum(), *arrays
        )
        assert loss == pytest.approx(expected, abs=1e-10)
        for gradient, by_torch in zip(gradients, expected_gradients, strict=True):
            assert gradient.shape == by_torch.shape
            assert gradient == pytest.approx(by_torch, abs=1e-6)

    def test_a_noise_word_drawn_twice_counts_twice(self):
        center, outside, noise = random_vectors(3, 4, 4, (1, 4))
        nothing, none = word2vec.negative_sampling_loss(center, outside, noise[:0])
        once, one = word2vec.negative_sampling_loss(center, outside, noise)
        twice, two = word2vec.negative_sampling_loss(center, outside, noise[[0, 0]])
        assert twice - nothing == pytest.approx(2 * (once - nothing))
        assert two.center - none.center == pytest.approx(2 * (one.center - none.center))
        assert two.noise == pytest.approx(one.noise[[0, 0]])

    def test_single_precision_stays_single_precision(self):
        arrays = [array.astype(np.float32) for array in random_vectors(4, 4, 4, (2, 4))]
        _, gradients = word2vec.negative_sampling_loss(*arrays)
        assert {gradient.dtype for gradient in gradients} == {np.dtype(np.float32)}


class TestCBOW:
    def test_gradients_equal_autograd(self):
        arrays = random_vectors(5, (3, 4), 4, (5, 4))
        loss, gradients = word2vec.cbow_negative_sampling_loss(*arrays)
        log_sigmoid = torch.nn.functional.logsigmoid
        expected, expected_gradients = autograd(
            lambda context, target, noise: (
                -log_sigmoid(target @ context.mean(0)) - log_sigmoid(-noise @ context.mean(0)).sum()
            ),
            *arrays,
        )
        assert loss == pytest.approx(expected, abs=1e-10)
        for gradient, by_torch in zip(gradients, expected_gradients, strict=True):
            assert gradient == pytest.approx(by_torch, abs=1e-6)

    def test_a_context_of_one_word_is_skipgram(self):
        center, outside, noise = random_vectors(6, 4, 4, (5, 4))
        loss, gradients = word2vec.cbow_negative_sampling_loss(center[None], outside, noise)
        expected, pair = word2vec.negative_sampling_loss(center, outside, noise)
        assert loss == pytest.approx(expected)
        assert gradients.context[0] == pytest.approx(pair.center)

    def test_the_order_of_the_context_does_not_matter(self):
        context, target, noise = random_vectors(7, (4, 3), 3, (2, 3))
        loss, _ = word2vec.cbow_negative_sampling_loss(context, target, noise)
        assert word2vec.cbow_negative_sampling_loss(context[::-1], target, noise)[
            0
        ] == pytest.approx(loss)

    def test_an_empty_context_is_refused(self):
        with pytest.raises(ValueError, match="context must hold at least one vector"):
            word2vec.cbow_negative_sampling_loss(np.zeros((0, 2)), np.zeros(2), np.zeros((1, 2)))


class TestHierarchicalSoftmax:
    def test_tree_of_powers_of_two_has_the_lengths_of_their_information(self):
        tree = word2vec.huffman_tree(np.array([8, 4, 2, 1, 1]))
        assert [len(path) for path in tree.paths] == [1, 2, 3, 4, 4]

    def test_mean_path_lies_between_the_entropy_and_one_more_bit(self):
        counts = np.random.default_rng(0).integers(1, 1000, 60)
        share = counts / counts.sum()
        entropy = -(share * np.log2(share)).sum()
        lengths = np.array([len(path) for path in word2vec.huffman_tree(counts).paths])
        assert entropy <= (share * lengths).sum() < entropy + 1

    @given(st.lists(st.integers(0, 50), min_size=2, max_size=30).filter(any), st.integers(0, 99))
    def test_probabilities_of_all_words_sum_to_one(self, counts, seed):
        tree = word2vec.huffman_tree(np.array(counts))
        center, nodes = random_vectors(seed, 3, (len(counts) - 1, 3))
        total = sum(
            np.exp(-word2vec.hierarchical_softmax_loss(center, nodes[path], turns)[0])
            for path, turns in zip(tree.paths, tree.turns, strict=True)
        )
        assert total == pytest.approx(1.0)

    def test_every_path_starts_at_the_root(self):
        tree = word2vec.huffman_tree(np.array([5, 4, 3, 2]))
        assert len(tree) == 4
        assert {int(path[0]) for path in tree.paths} == {2}

    def test_gradients_equal_autograd(self):
        center, nodes = random_vectors(8, 4, (3, 4))
        turns = np.array([1.0, -1.0, -1.0])
        loss, gradients = word2vec.hierarchical_softmax_loss(center, nodes, turns)
        expected, expected_gradients = autograd(
            lambda v, n: -torch.nn.functional.logsigmoid(torch.tensor(turns) * (n @ v)).sum(),
            center,
            nodes,
        )
        assert loss == pytest.approx(expected, abs=1e-10)
        for gradient, by_torch in zip(gradients, expected_gradients, strict=True):
            assert gradient == pytest.approx(by_torch, abs=1e-6)

    def test_bad_arguments_are_refused(self):
        with pytest.raises(ValueError, match="a tree needs at least two words, got 1"):
            word2vec.huffman_tree(np.array([3]))
        with pytest.raises(ValueError, match=r"turns must be \+1 or -1, got \[0.5\]"):
            word2vec.hierarchical_softmax_loss(np.zeros(2), np.zeros((1, 2)), np.array([0.5]))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (word2vec.naive_softmax_loss, (np.zeros(2), 0, np.zeros((4, 3)))),
        (word2vec.negative_sampling_loss, (np.zeros(2), np.zeros(2), np.zeros((4, 3)))),
        (word2vec.negative_sampling_loss, (np.zeros(2), np.zeros(3), np.zeros((4, 2)))),
        (word2vec.hierarchical_softmax_loss, (np.zeros(2), np.zeros((1, 3)), np.ones(1))),
    ],
)
def test_vectors_of_different_dimensions_are_refused(function, arguments):
    """By our own message, or by the shapes' run-time check where that comes first."""
    from jaxtyping import TypeCheckError

    with pytest.raises((ValueError, TypeCheckError)):
        function(*arguments)
