"""GloVe: the loss and its gradients, the trainer equal to the formula, ratios, bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse, stats

from nlp_course import cooccurrence, data, glove, similarity, text
from nlp_course.data.world import World


def random_cells(n, d, seed=0):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((2, n, d))
    biases = rng.standard_normal((2, n))
    return *vectors, *biases, rng.uniform(0.1, 300, n)


def losses_of(counts, **settings):
    losses = []
    model = glove.train_glove(
        counts, on_epoch=lambda epoch, model, loss: losses.append(loss), **settings
    )
    return model, losses


def mean_loss(model, counts, **weighting):
    """Mean loss a cell of a finished model, from the formula alone."""
    cells = sparse.coo_array(counts)
    loss, _ = glove.cell_loss(
        model.word[cells.row],
        model.context[cells.col],
        model.word_bias[cells.row],
        model.context_bias[cells.col],
        cells.data,
        **weighting,
    )
    return loss / cells.nnz


@pytest.fixture(scope="module")
def world():
    sentences = World(seed=0).sentences(4000)
    vocabulary = text.Vocabulary.from_sentences(sentences)
    ids = [vocabulary.encode(sentence) for sentence in sentences]
    return vocabulary, cooccurrence.window_counts(ids, len(vocabulary), 5, "harmonic")


class TestWeight:
    def test_is_one_from_the_ceiling_on(self):
        assert glove.weight(np.array([100.0, 101.0, 1e9])).tolist() == [1, 1, 1]

    def test_a_sixteenth_of_the_ceiling_weighs_an_eighth(self):
        assert glove.weight(np.array([100 / 16]))[0] == pytest.approx(1 / 8)

    def test_power_0_weighs_all_alike_and_power_1_in_proportion(self):
        counts = np.array([1.0, 10.0, 50.0])
        assert glove.weight(counts, power=0).tolist() == [1, 1, 1]
        assert glove.weight(counts, power=1).tolist() == pytest.approx([0.01, 0.1, 0.5])

    def test_power_100_as_one_set_of_notes_prints_it_forgets_all_but_the_largest(self):
        assert glove.weight(np.array([50.0]), power=100)[0] < 1e-29

    @given(st.lists(st.floats(0, 1e6), min_size=2), st.floats(0.1, 1e4), st.floats(0, 3))
    def test_rises_with_the_count_from_0_to_1(self, counts, x_max, power):
        weights = glove.weight(np.sort(np.array(counts)), x_max, power)
        assert np.all(np.diff(weights) >= 0)
        assert weights[0] >= 0
        assert weights[-1] <= 1

    @pytest.mark.parametrize("settings", [{"x_max": 0}, {"x_max": np.inf}, {"power": -0.5}])
    def test_refuses_settings_out_of_range(self, settings):
        with pytest.raises(ValueError, match=next(iter(settings))):
            glove.weight(np.ones(2), **settings)

    @pytest.mark.parametrize("count", [-1.0, np.nan, np.inf])
    def test_refuses_what_is_no_count(self, count):
        with pytest.raises(ValueError, match="finite and not negative"):
            glove.weight(np.array([count]))


class TestCellLoss:
    def test_of_one_cell_by_hand(self):
        # w·w̃ = 2, biases 1 and −1, log X = 0: error 2, f(1) = 1/100^(3/4), loss 4 f.
        loss, slope = glove.cell_loss(
            np.array([[1.0, 1.0]]),
            np.array([[2.0, 0.0]]),
            np.array([1.0]),
            np.array([-1.0]),
            np.array([1.0]),
        )
        f = 100**-0.75
        assert loss == pytest.approx(4 * f)
        assert slope.word == pytest.approx(np.array([[8 * f, 0]]))
        assert slope.context == pytest.approx(np.array([[4 * f, 4 * f]]))
        assert slope.word_bias == pytest.approx(np.array([4 * f]))

    def test_is_0_where_the_logarithms_are_met(self):
        word, context, word_bias, _, counts = random_cells(5, 3)
        rest = np.log(counts) - (word * context).sum(axis=1) - word_bias
        loss, slope = glove.cell_loss(word, context, word_bias, rest, counts)
        assert loss == pytest.approx(0)
        assert np.abs(slope.word).max() < 1e-12

    @pytest.mark.parametrize("weighting", [{}, {"x_max": 7, "power": 0.5}])
    def test_gradients_are_those_of_finite_differences(self, weighting):
        *arguments, counts = random_cells(4, 3)
        _, slope = glove.cell_loss(*arguments, counts, **weighting)
        for number, exact in enumerate(slope):
            numeric = np.empty_like(exact)
            for place in np.ndindex(exact.shape):
                ends = []
                for step in (1e-5, -1e-5):
                    moved = [argument.copy() for argument in arguments]
                    moved[number][place] += step
                    ends.append(glove.cell_loss(*moved, counts, **weighting)[0])
                numeric[place] = (ends[0] - ends[1]) / 2e-5
            np.testing.assert_allclose(exact, numeric, atol=1e-7)

    def test_loss_and_gradients_are_those_of_torch(self):
        torch = pytest.importorskip("torch")
        *arguments, counts = random_cells(20, 8, seed=1)
        w, c, b, e = (torch.tensor(argument, requires_grad=True) for argument in arguments)
        x = torch.tensor(counts)
        f = torch.where(x < 100, (x / 100) ** 0.75, 1.0)
        expected = (f * ((w * c).sum(dim=1) + b + e - x.log()) ** 2).sum()
        expected.backward()
        loss, slope = glove.cell_loss(*arguments, counts)
        assert loss == pytest.approx(expected.item())
        for ours, theirs in zip(slope, (w, c, b, e), strict=True):
            np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-10)

    def test_refuses_a_cell_at_0(self):
        *arguments, _ = random_cells(2, 3)
        with pytest.raises(ValueError, match="above 0"):
            glove.cell_loss(*arguments, np.array([1.0, 0.0]))


class TestTrainer:
    STILL = 1e-30  # a learning rate at which nothing moves, in single precision

    def test_steps_are_those_of_the_formula_with_adagrad(self):
        rng = np.random.default_rng(3)
        counts = rng.integers(1, 5, (6, 6)) * (rng.random((6, 6)) < 0.5).astype(float)
        cells = sparse.coo_array(counts)
        assert cells.nnz <= glove.CELLS_PER_ROW * 6
        start = glove.train_glove(counts, dimension=3, epochs=1, learning_rate=self.STILL)
        # The cells fit into one block, so three epochs are three steps.
        model = glove.train_glove(counts, dimension=3, epochs=3, learning_rate=0.3)

        places = (cells.row, cells.col, cells.row, cells.col)
        values = [
            np.array(values, dtype=float)
            for values in (start.word, start.context, start.word_bias, start.context_bias)
        ]
        squares = [np.ones_like(value) for value in values]
        for _ in range(3):
            named = [value[place] for value, place in zip(values, places, strict=True)]
            _, slopes = glove.cell_loss(*named, cells.data)
            for value, square, place, slope in zip(values, squares, places, slopes, strict=True):
                gradient = np.zeros_like(value)
                np.add.at(gradient, place, 0.3 * slope / 2)
                square += gradient**2
                value -= gradient / np.sqrt(square)
        trained = (model.word, model.context, model.word_bias, model.context_bias)
        for ours, expected in zip(trained, values, strict=True):
            np.testing.assert_allclose(ours, expected, atol=1e-6)

    def test_an_epoch_goes_through_every_cell_once(self, world):
        _, counts = world
        model, losses = losses_of(counts, dimension=4, epochs=1, learning_rate=self.STILL)
        assert counts.nnz > 3 * glove.CELLS_PER_ROW * counts.shape[0]  # more than one block
        assert losses[0] == pytest.approx(mean_loss(model, counts), rel=1e-5)

    def test_reaches_log_counts_where_the_vectors_have_room(self):
        counts = np.random.default_rng(0).uniform(1, 50, (8, 8))
        model, losses = losses_of(counts, dimension=8, epochs=3000, learning_rate=0.5)
        score = model.word @ model.context.T + model.word_bias[:, None] + model.context_bias
        assert losses[-1] < 1e-6
        np.testing.assert_allclose(score, np.log(counts), atol=0.02)

    def test_biases_alone_fit_counts_of_independent_words(self):
        share = np.array([50.0, 20.0, 5.0, 2.0])
        model, losses = losses_of(np.outer(share, share), dimension=1, epochs=3000)
        assert losses[-1] < 1e-4
        # log X_ij = log s_i + log s_j: frequency is what biases are for.
        bias = model.word_bias + model.word[:, 0] * model.context[:, 0].mean()
        assert np.corrcoef(bias, np.log(share))[0, 1] > 0.999

    def test_comes_as_low_as_a_general_optimiser(self):
        from scipy.optimize import minimize

        counts = np.random.default_rng(1).uniform(1, 200, (10, 10))
        cells, d, V = sparse.coo_array(counts), 2, 10

        def objective(theta):
            w, c = theta[: 2 * V * d].reshape(2, V, d)
            b, e = theta[2 * V * d :].reshape(2, V)
            i, j = cells.row, cells.col
            loss, slopes = glove.cell_loss(w[i], c[j], b[i], e[j], cells.data)
            gradients = []
            for value, place, slope in zip((w, c, b, e), (i, j, i, j), slopes, strict=True):
                gradient = np.zeros_like(value)
                np.add.at(gradient, place, slope)
                gradients.append(gradient.ravel())
            return loss, np.concatenate(gradients)

        rng = np.random.default_rng(0)
        best = min(
            minimize(objective, rng.standard_normal(2 * V * (d + 1)), jac=True).fun
            for _ in range(8)
        )
        model = glove.train_glove(counts, dimension=d, epochs=4000, learning_rate=0.5)
        assert mean_loss(model, counts) * cells.nnz < 1.1 * best

    def test_rare_cells_weigh_less_than_frequent_ones(self):
        # Both words would have to be different: one number cannot fit both cells of a row.
        counts = np.array([[1.0, 1000.0], [1000.0, 1.0]])
        errors = {}
        for power in (0.0, 3.0):
            model = glove.train_glove(counts, dimension=1, epochs=2000, power=power)
            score = model.word @ model.context.T + model.word_bias[:, None] + model.context_bias
            errors[power] = np.abs(score - np.log(counts))
        assert errors[3.0][0, 1] < 0.1
        assert errors[3.0][0, 0] > errors[0.0][0, 0]

    def test_the_same_seed_gives_the_same_vectors_and_another_seed_others(self, world):
        _, counts = world
        first, again, other = (
            glove.train_glove(counts, dimension=4, epochs=2, seed=seed) for seed in (0, 0, 1)
        )
        assert np.array_equal(first.word, again.word)
        assert np.array_equal(first.context_bias, again.context_bias)
        assert not np.array_equal(first.word, other.word)

    def test_loss_falls_from_epoch_to_epoch(self, world):
        _, losses = losses_of(world[1], dimension=20, epochs=10)
        assert np.all(np.diff(losses) < 0)

    def test_leaves_the_counts_as_they_were(self):
        counts = sparse.csr_array(np.array([[0.0, 2.0], [2.0, 1.0]]))
        counts.data[0] = 0.0  # a stored zero, which training leaves out
        kept = counts.copy()
        glove.train_glove(counts, dimension=1, epochs=1)
        assert counts.nnz == kept.nnz
        assert np.array_equal(counts.toarray(), kept.toarray())

    def test_takes_dense_and_sparse_tables_alike(self):
        counts = np.random.default_rng(0).integers(0, 4, (9, 9)).astype(float)
        dense, sparse_one = (
            glove.train_glove(table, dimension=2, epochs=3)
            for table in (counts, sparse.coo_array(counts))
        )
        assert np.array_equal(dense.word, sparse_one.word)

    def test_on_epoch_hears_numbers_from_1_and_the_model(self):
        heard = []
        glove.train_glove(
            np.ones((3, 3)),
            dimension=2,
            epochs=3,
            on_epoch=lambda epoch, model, loss: heard.append((epoch, model.word.shape, loss >= 0)),
        )
        assert heard == [(1, (3, 2), True), (2, (3, 2), True), (3, (3, 2), True)]

    def test_shows_progress_in_cells_when_asked(self, capsys):
        glove.train_glove(np.ones((3, 3)), dimension=2, epochs=2, progress=True)
        assert "18.0/18.0" in capsys.readouterr().err

    def test_embeddings_are_the_sum_of_both_vectors(self):
        model = glove.train_glove(np.ones((3, 3)), dimension=2, epochs=1)
        assert np.array_equal(model.vectors, model.word + model.context)

    def test_a_word_without_counts_keeps_a_vector_near_0(self):
        counts = np.array([[1.0, 3.0, 0.0], [3.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
        model = glove.train_glove(counts, dimension=4, epochs=50)
        assert np.abs(model.vectors[2]).max() <= 2 * 0.5 / 4

    def test_finds_the_kings_and_queens_of_the_generated_language(self, world):
        vocabulary, counts = world
        model = glove.train_glove(counts, dimension=30, epochs=40)
        vectors = similarity.WordVectors(vocabulary, model.vectors)
        questions = [record[:4] for record in World(seed=0).analogies()]
        result = similarity.analogy_accuracy(vectors, questions)
        assert result.accuracy > 0.25  # drawn at random: one in several hundred


class TestBadInput:
    @pytest.mark.parametrize(
        ("counts", "reason"),
        [
            (np.ones((2, 3)), "the same words, got \\(2, 3\\)"),
            (np.array([[1.0, -1.0], [1.0, 1.0]]), "not negative"),
            (np.array([[1.0, np.nan], [1.0, 1.0]]), "finite"),
            (np.array([[1.0, np.inf], [1.0, 1.0]]), "finite"),
            (np.zeros((2, 2)), "at least one number above 0"),
            (np.ones(4), "rows and columns"),
        ],
    )
    def test_refuses_what_is_no_table_of_counts(self, counts, reason):
        with pytest.raises(ValueError, match=reason):
            glove.train_glove(counts)

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("dimension", 0),
            ("epochs", 0),
            ("learning_rate", 0.0),
            ("learning_rate", np.nan),
            ("x_max", 0),
            ("power", -1),
        ],
    )
    def test_refuses_settings_out_of_range_by_name(self, setting, value):
        with pytest.raises(ValueError, match=setting):
            glove.train_glove(np.ones((2, 2)), **{setting: value})

    def test_says_so_when_training_diverges(self):
        with pytest.raises(FloatingPointError, match=r"epoch 1: choose a learning_rate below"):
            glove.train_glove(np.full((3, 3), 9.0), dimension=2, learning_rate=1e30)

    def test_a_corpus_smaller_than_the_window_trains_on_the_pairs_it_has(self):
        counts = cooccurrence.window_counts([np.array([0, 1])], 2, window=10)
        _, losses = losses_of(counts, dimension=1, epochs=3)
        assert counts.sum() == 2
        assert np.isfinite(losses).all()

    def test_a_corpus_without_pairs_is_refused(self):
        counts = cooccurrence.window_counts([np.array([0]), np.array([1])], 2, window=10)
        with pytest.raises(ValueError, match="at least one number above 0"):
            glove.train_glove(counts)


class TestContextRatio:
    COUNTS = np.array([[6.0, 4.0, 0.0], [2.0, 8.0, 0.0], [0.0, 0.0, 5.0]])

    def test_is_1_for_equal_rows_and_inverse_when_words_are_exchanged(self):
        assert glove.context_ratio(np.ones((2, 3)), 0, 1, 2).ratio == 1
        one = glove.context_ratio(self.COUNTS, 0, 1, 0)
        other = glove.context_ratio(self.COUNTS, 1, 0, 0)
        assert one.ratio == pytest.approx(3)
        assert one.ratio * other.ratio == pytest.approx(1)
        assert one.low * other.high == pytest.approx(1)
        assert (one.first_count, one.second_count) == (6, 2)

    def test_counts_of_0_leave_one_end_or_both_open(self):
        nothing = glove.context_ratio(self.COUNTS, 0, 1, 2)
        assert np.isnan(nothing.ratio)
        assert (nothing.low, nothing.high) == (0, np.inf)
        none_second = glove.context_ratio(self.COUNTS, 0, 2, 0)
        assert none_second.ratio == np.inf
        assert 0 < none_second.low < none_second.high == np.inf
        none_first = glove.context_ratio(self.COUNTS, 2, 0, 0)
        assert none_first.ratio == none_first.low == 0 < none_first.high < np.inf

    def test_interval_holds_the_ratio_where_one_word_has_more_company_than_the_other(self):
        # 60 of 100 against 20 of 400: P(k|i) / P(k|j) = 0.6 / 0.05.
        result = glove.context_ratio(np.array([[60.0, 40.0], [20.0, 380.0]]), 0, 1, 0)
        assert result.ratio == pytest.approx(12)
        assert 6 < result.low < 12 < result.high < 24

    def test_interval_ends_are_where_a_binomial_test_no_longer_rejects(self):
        result = glove.context_ratio(self.COUNTS, 0, 1, 0)
        for end, side in ((result.low, "greater"), (result.high, "less")):
            # Both words meet ten others, so the ratio is the odds.
            p = stats.binomtest(6, 8, end / (1 + end), alternative=side).pvalue
            assert p == pytest.approx(0.025)

    def test_interval_covers_the_truth_as_often_as_it_says(self):
        rng, truth, inside = np.random.default_rng(0), 2.0, 0
        for _ in range(400):
            near = rng.poisson([20.0, 10.0])
            counts = np.column_stack([near, 1000 - near]).astype(float)
            result = glove.context_ratio(counts, 0, 1, 0)
            inside += result.low <= truth <= result.high
        assert inside / 400 >= 0.93

    def test_more_confidence_and_fewer_counts_widen_the_interval(self):
        def width(counts, **settings):
            result = glove.context_ratio(counts, 0, 1, 0, **settings)
            return np.log(result.high / result.low)

        assert width(self.COUNTS, confidence=0.99) > width(self.COUNTS)
        assert width(self.COUNTS) > width(100 * self.COUNTS)

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"first": 3}, "first must lie in 0 … 2"),
            ({"second": -1}, "second"),
            ({"probe": 9}, "probe"),
            ({"confidence": 1.0}, "confidence"),
            ({"counts": COUNTS / 4}, "uniform"),
            ({"counts": -COUNTS}, "not negative"),
            ({"counts": np.diag([1.0, 0.0, 1.0])}, "word 1 meets no other word"),
        ],
    )
    def test_refuses_bad_input(self, change, reason):
        arguments = {"counts": self.COUNTS, "first": 0, "second": 1, "probe": 0} | change
        with pytest.raises(ValueError, match=reason):
            glove.context_ratio(**arguments)


@pytest.mark.real_data
@pytest.mark.slow
def test_vectors_from_real_text_agree_with_people():
    sentences = data.load("word-corpus").sentences
    vocabulary = text.Vocabulary.from_sentences(sentences, max_size=5000)
    ids = [vocabulary.encode_known(sentence) for sentence in sentences]
    counts = cooccurrence.window_counts(ids, len(vocabulary), 5, "harmonic")
    model = glove.train_glove(counts, epochs=10, x_max=1)
    result = similarity.rating_correlation(
        similarity.WordVectors(vocabulary, model.vectors), data.load("wordsim353").records
    )
    assert result.spearman > 0.2
