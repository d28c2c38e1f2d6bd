"""The trainers: equal to the textbook in expectation, at the optimum where it is known, robust."""

import threading

import numpy as np
import pytest

from nlp_course import cooccurrence, data, similarity, text, word2vec, word2vec_corpus
from nlp_course import word2vec_training as training
from nlp_course.data.world import World

TRAINERS = [
    training.train_skipgram,
    training.train_cbow,
    training.train_skipgram_softmax,
    training.train_skipgram_hierarchical,
]
SAMPLING = [training.train_skipgram, training.train_cbow]
HOPE = [np.arange(5)]  # Hope can set you free


def encode(sentences, min_count=1):
    vocabulary = text.Vocabulary.from_sentences(sentences, min_count=min_count)
    return vocabulary, [vocabulary.encode_known(sentence) for sentence in sentences]


@pytest.fixture(scope="module")
def world():
    return encode(World(seed=0).sentences(4000))


def losses_of(trainer, sentences, counts, **settings):
    losses = []
    model = trainer(
        sentences, counts, on_epoch=lambda epoch, model, loss: losses.append(loss), **settings
    )
    return model, losses


class TestExpectation:
    """With the vectors held still, the mean of a block's gradient is the textbook's expectation."""

    VOCABULARY, D, WINDOW, NEGATIVES, DRAWS = 6, 4, 2, 3, 3000

    @pytest.fixture
    def frozen(self):
        rng = np.random.default_rng(0)
        sentences = [rng.integers(0, self.VOCABULARY, length) for length in (9, 1, 5, 31)]
        counts = np.bincount(np.concatenate(sentences), minlength=self.VOCABULARY)
        settings = word2vec_corpus.Settings(
            self.D, self.WINDOW, 1, 0.025, None, "fixed", False, None
        )
        stream = word2vec_corpus.Corpus(sentences, counts, settings).stream(rng)
        (batch,) = word2vec_corpus.blocks_of(stream, self.WINDOW, 64, rng)
        center = rng.normal(size=(self.VOCABULARY, self.D)).astype(np.float32)
        outside = rng.normal(size=(self.VOCABULARY, self.D)).astype(np.float32)
        return sentences, word2vec.noise_distribution(counts), batch.examples, center, outside

    def expected(self, examples, noise, loss, seen_rows, outside):
        """Σ over examples of ∇J without noise + k Σ_w P(w) (∇J with noise word w − without)."""
        of_seen = np.zeros((self.VOCABULARY, self.D))
        of_outside = np.zeros((self.VOCABULARY, self.D))
        nothing = np.zeros((0, self.D))
        for seen, predicted in examples:
            _, plain = loss(seen_rows[seen], outside[predicted].astype(float), nothing)
            np.add.at(of_seen, seen, plain[0])
            of_outside[predicted] += plain[1]
            for word in range(self.VOCABULARY):
                _, one = loss(
                    seen_rows[seen], outside[predicted].astype(float), outside[[word]].astype(float)
                )
                share = self.NEGATIVES * noise[word]
                np.add.at(of_seen, seen, share * (one[0] - plain[0]))
                of_outside[word] += share * one[2][0]
        return of_seen, of_outside

    def draws(self, blocks, noise):
        """The blocks, repeated once for each draw of shared noise words."""
        rng = np.random.default_rng(1)
        shared = training.NoiseTable(noise).draw((self.DRAWS * len(blocks.center), 32), rng)
        repeated = word2vec_corpus.Blocks(
            *(np.tile(array, (self.DRAWS,) + (1,) * (array.ndim - 1)) for array in blocks)
        )
        return repeated, shared

    def assert_mean_is(self, ids, descent, exact):
        """Sum the directions of each draw by word; compare their mean, by its standard error."""
        d = descent.shape[-1]
        samples = np.zeros((self.DRAWS, self.VOCABULARY, d))
        draw = np.arange(self.DRAWS)[:, None]
        np.add.at(samples, (draw, ids.reshape(self.DRAWS, -1)), descent.reshape(self.DRAWS, -1, d))
        mean, error = -samples.mean(axis=0), samples.std(axis=0) / np.sqrt(self.DRAWS)
        assert np.abs(mean - exact).max() < 0.02 * np.abs(exact).max(), "or it could not fail"
        assert np.all(np.abs(mean - exact) < 4.5 * error + 1e-4)

    def test_skipgram_block(self, frozen):
        sentences, noise, blocks, center, outside = frozen
        examples = [
            (seen, predicted)
            for sentence in sentences
            for seen, predicted in word2vec.skipgram_pairs(sentence, self.WINDOW)
        ]
        exact_center, exact_outside = self.expected(
            examples, noise, word2vec.negative_sampling_loss, center.astype(float), outside
        )
        repeated, shared = self.draws(blocks, noise)
        ids = np.concatenate([repeated.column, shared], axis=1)
        gradients = training.skipgram_gradients(
            center[repeated.center], outside[ids], repeated.inside, self.NEGATIVES
        )
        self.assert_mean_is(repeated.center, gradients.center, exact_center)
        self.assert_mean_is(ids, gradients.outside, exact_outside)

    def test_cbow_block(self, frozen):
        sentences, noise, blocks, center, outside = frozen
        examples = [
            example
            for sentence in sentences
            for example in word2vec.cbow_examples(sentence, self.WINDOW)
        ]
        exact_context, exact_outside = self.expected(
            examples, noise, word2vec.cbow_negative_sampling_loss, center.astype(float), outside
        )
        repeated, shared = self.draws(blocks, noise)
        gradients = training.cbow_gradients(
            center[repeated.column],
            outside[repeated.center],
            outside[shared],
            repeated.inside,
            self.NEGATIVES,
        )
        self.assert_mean_is(repeated.column, gradients.context, exact_context)
        self.assert_mean_is(
            np.concatenate([repeated.center, shared], axis=1),
            np.concatenate([gradients.target, gradients.noise], axis=1),
            exact_outside,
        )


class TestBlocks:
    @pytest.mark.parametrize("words", [1, 3, 32, 64, 2048])
    @pytest.mark.parametrize("window", [1, 2, 7])
    def test_blocks_hold_each_pair_of_the_textbook_once(self, words, window):
        rng = np.random.default_rng(window)
        sentences = [rng.integers(0, 9, length) for length in (4, 1, 2, 50)]
        settings = word2vec_corpus.Settings(2, window, 1, 0.1, None, "fixed", False, None)
        stream = word2vec_corpus.Corpus(sentences, np.ones(9), settings).stream(rng)
        found = []
        for batch in word2vec_corpus.blocks_of(stream, window, words, rng):
            block, center, column = np.nonzero(batch.examples.inside)
            found += zip(
                batch.examples.center[block, center], batch.examples.column[block, column],
                strict=True,
            )  # fmt: skip
        expected = np.concatenate([word2vec.skipgram_pairs(s, window) for s in sentences])
        assert sorted(found) == sorted(map(tuple, expected))

    def test_uniform_windows_weight_distance_linearly(self):
        settings = word2vec_corpus.Settings(2, 4, 1, 0.1, None, "uniform", False, None)
        corpus = word2vec_corpus.Corpus([np.zeros(40_000, dtype=np.int64)], np.ones(2), settings)
        right = corpus.stream(np.random.default_rng(0)).right
        reached = [(right >= distance).mean() for distance in (1, 2, 3, 4)]
        assert reached == pytest.approx([1.0, 0.75, 0.5, 0.25], abs=0.01)

    def test_noise_table_draws_by_the_distribution(self):
        probability = np.array([0.5, 0.0, 0.3, 0.2])
        drawn = training.NoiseTable(probability).draw((100_000,), np.random.default_rng(0))
        assert np.bincount(drawn) / len(drawn) == pytest.approx(probability, abs=0.01)

    def test_scatter_add_adds_every_update_of_a_row(self):
        rng = np.random.default_rng(0)
        vectors, ids = rng.normal(size=(7, 3)), rng.integers(0, 6, (4, 5))
        updates = 0.01 * rng.normal(size=(4, 5, 3))
        expected = vectors.copy()
        np.add.at(expected, ids, 0.5 * updates)
        word2vec_corpus.scatter_add(vectors, ids, updates, 0.5)
        assert vectors == pytest.approx(expected)

    def test_no_row_moves_further_than_the_limit(self):
        vectors = np.zeros((2, 2))
        word2vec_corpus.scatter_add(
            vectors, np.array([0, 1]), np.array([[30.0, 40], [0.3, 0.4]]), 1.0
        )
        assert vectors == pytest.approx(np.array([[0.6, 0.8], [0.3, 0.4]]))


@pytest.mark.parametrize("trainer", TRAINERS)
class TestEveryTrainer:
    def test_same_seed_same_vectors_other_seed_others(self, trainer, world):
        vocabulary, sentences = world
        first, again, other = (
            trainer(sentences[:300], vocabulary.counts, dimension=8, epochs=1, seed=seed)
            for seed in (3, 3, 4)
        )
        assert np.array_equal(first.center, again.center)
        assert np.array_equal(first.outside, again.outside)
        assert not np.allclose(first.center, other.center)

    def test_loss_falls(self, trainer, world):
        vocabulary, sentences = world
        _, losses = losses_of(trainer, sentences, vocabulary.counts, dimension=16, epochs=4)
        assert losses[-1] < 0.9 * losses[0]

    def test_hope_can_set_you_free_is_enough_to_train_on(self, trainer):
        model, losses = losses_of(
            trainer, HOPE, np.ones(5), dimension=4, epochs=20, window=2, subsample=None
        )
        assert np.isfinite(model.center).all()
        assert np.isfinite(model.outside).all()
        assert losses[-1] < losses[0]

    @pytest.mark.parametrize("learning_rate", [0.025, 0.1])
    def test_five_words_many_times_do_not_diverge(self, trainer, learning_rate):
        sentences = [np.random.default_rng(0).integers(0, 5, 4000)]
        model, losses = losses_of(
            trainer, sentences, np.full(5, 800), epochs=6, learning_rate=learning_rate,
            subsample=None,
        )  # fmt: skip
        assert np.abs(model.center).max() < 5
        assert losses[-1] <= losses[0]

    def test_on_epoch_counts_from_one_and_sees_the_model(self, trainer):
        seen = []
        model = trainer(
            HOPE,
            np.ones(5),
            dimension=3,
            epochs=3,
            subsample=None,
            on_epoch=lambda *report: seen.append(report),
        )
        assert [epoch for epoch, _, _ in seen] == [1, 2, 3]
        assert all(reported is model for _, reported, _ in seen)

    def test_progress_is_shown_only_when_asked_for(self, trainer, capsys):
        trainer(HOPE, np.ones(5), dimension=2, epochs=2, subsample=None)
        assert capsys.readouterr().err == ""
        trainer(HOPE, np.ones(5), dimension=2, epochs=2, subsample=None, progress=True)
        assert "10.0/10.0" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("sentences", "counts", "settings", "message"),
        [
            ([], np.ones(5), {}, "no sentence of two words"),
            ([np.array([1]), np.array([2])], np.ones(5), {}, "no sentence of two words"),
            ([np.array([0, 0])], np.ones(1), {}, "at least two words, got 1"),
            (HOPE, np.array([1, 1, 1, 1, -1]), {}, "no negative number"),
            (HOPE, np.zeros(5), {}, "at least one above 0"),
            (HOPE, np.ones(4), {}, r"ids must lie in 0 … 3, one for each count; got 0 … 4"),
            ([np.array([0, -1])], np.ones(4), {}, r"got -1 … 0"),
            (HOPE, np.ones(5), {"window": 0}, "window must be at least 1, got 0"),
            (HOPE, np.ones(5), {"dimension": 0}, "dimension must be at least 1, got 0"),
            (HOPE, np.ones(5), {"epochs": 0}, "epochs must be at least 1, got 0"),
            (HOPE, np.ones(5), {"learning_rate": 0.0}, "learning_rate must be above 0"),
            (
                HOPE,
                np.ones(5),
                {"learning_rate": 50.0, "subsample": None},
                "makes training diverge",
            ),
            (HOPE, np.ones(5), {}, r"subsample 0.001 leaves about 0.4 of the corpus's 5 words"),
            (HOPE, np.ones(5), {"subsample": 0.0}, "threshold must be above 0"),
        ],
    )
    def test_bad_input_is_refused(self, trainer, sentences, counts, settings, message):
        with pytest.raises(ValueError, match=message):
            trainer(sentences, counts, **settings)


@pytest.mark.parametrize("trainer", SAMPLING)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"negatives": 0}, "negatives must be at least 1, got 0"),
        ({"negatives": -2}, "negatives must be at least 1, got -2"),
        ({"noise_power": -1.0}, "power must be at least 0"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
    ],
)
def test_bad_settings_of_sampling_are_refused(trainer, settings, message):
    with pytest.raises(ValueError, match=message):
        trainer(HOPE, np.ones(5), subsample=None, **settings)


class TestWorkers:
    @pytest.mark.parametrize("number", [1, 2, 3, 9])
    def test_parts_are_the_corpus_cut_between_sentences(self, number):
        rng = np.random.default_rng(0)
        sentences = [rng.integers(0, 9, length) for length in (5, 1, 8, 3, 3, 12)]
        settings = word2vec_corpus.Settings(2, 2, 1, 0.1, None, "fixed", False, None)
        parts = word2vec_corpus.Corpus(sentences, np.ones(9), settings).parts(number)
        assert len(parts) == number
        assert np.array_equal(np.concatenate([p.words for p in parts]), np.concatenate(sentences))
        whole = [sentence for part in parts for sentence in np.unique(part.sentence)]
        assert whole == list(range(len(sentences))), "no sentence is in two parts"
        assert max(len(part.words) for part in parts) <= 32 / number + 12

    def test_parts_are_cut_at_the_nearest_end_of_a_sentence(self):
        sentences = [np.arange(length) % 2 for length in (600, 400)]
        settings = word2vec_corpus.Settings(2, 2, 1, 0.1, None, "fixed", False, None)
        parts = word2vec_corpus.Corpus(sentences, np.ones(2), settings).parts(2)
        assert [len(part.words) for part in parts] == [600, 400]

    @pytest.mark.parametrize("trainer", SAMPLING)
    def test_two_workers_learn_as_much_as_one(self, trainer, world):
        vocabulary, sentences = world
        (first, one), (second, two) = (
            losses_of(trainer, sentences, vocabulary.counts, dimension=20, workers=workers)
            for workers in (1, 2)
        )
        assert two[-1] < two[0]
        assert two[-1] == pytest.approx(one[-1], rel=0.02)
        assert type(second.center) is np.ndarray, "an array in memory, whose file is gone"
        assert second.center.shape == first.center.shape
        assert second.outside.any(axis=1).all(), "what workers did came back"

    def test_a_callback_need_not_reach_other_processes(self, world):
        vocabulary, sentences = world
        lock = threading.Lock()  # which no other process could be given
        settings = {"epochs": 1, "workers": 2, "dimension": 4}
        training.train_skipgram(sentences, vocabulary.counts, on_epoch=lambda *_: lock, **settings)

    def test_more_workers_than_sentences(self):
        model = training.train_skipgram(
            HOPE * 2, np.full(5, 2), dimension=4, subsample=None, workers=3
        )
        assert np.isfinite(model.center).all()
        assert model.outside.any(axis=1).all(), "all were trained on"

    def test_steps_are_as_much_shorter_as_there_are_workers(self):
        sizes = []
        for workers in (1, 3):
            settings = word2vec_corpus.Settings(2, 2, 1, 0.1, None, "fixed", False, None, workers)
            sizes.append(word2vec_corpus.words_per_step(settings, 0.125, 2.0))
        assert sizes == [320, 106]


def test_divergence_stops_with_what_to_change(monkeypatch):
    """Without the limit on a row's move, five words are enough to leave the numbers."""
    monkeypatch.setattr(word2vec_corpus, "shorten", lambda moves: None)
    sentences = [np.random.default_rng(0).integers(0, 5, 4000)]
    with pytest.raises(FloatingPointError, match=r"choose a learning_rate below 0\.1"):
        training.train_skipgram(
            sentences, np.ones(5), dimension=10, learning_rate=0.1, subsample=None, epochs=20
        )


def test_softmax_trainer_reaches_the_maximum_likelihood_table():
    """With d ≥ V the optimum of the full softmax is the empirical p(o|c)."""
    sentences = [np.array([0, 1, 2, 1, 0, 3, 1, 1])] * 40
    model = training.train_skipgram_softmax(
        sentences, np.ones(4), dimension=8, window=1, epochs=150, learning_rate=0.1,
        subsample=None, window_sampling="fixed",
    )  # fmt: skip
    counts = np.zeros((4, 4))
    np.add.at(counts, tuple(word2vec.skipgram_pairs(sentences[0], 1).T), 1)
    probability = word2vec.softmax(model.center @ model.outside.T)
    assert probability == pytest.approx(counts / counts.sum(1, keepdims=True), abs=0.03)


def test_hierarchical_trainer_reaches_the_maximum_likelihood_table():
    sentences = [np.array([0, 1, 2, 1, 0, 3, 1, 1])] * 40
    tree_counts = np.array([2, 4, 1, 1])
    model = training.train_skipgram_hierarchical(
        sentences, tree_counts, dimension=8, window=1, epochs=150, learning_rate=0.1,
        subsample=None, window_sampling="fixed",
    )  # fmt: skip
    counts = np.zeros((4, 4))
    np.add.at(counts, tuple(word2vec.skipgram_pairs(sentences[0], 1).T), 1)
    tree = word2vec.huffman_tree(tree_counts)
    probability = np.array(
        [
            [
                np.exp(-word2vec.hierarchical_softmax_loss(
                    model.center[c], model.outside[tree.paths[o]], tree.turns[o].astype(np.float32)
                )[0])
                for o in range(4)
            ]
            for c in range(4)
        ]
    )  # fmt: skip
    assert probability == pytest.approx(counts / counts.sum(1, keepdims=True), abs=0.03)


@pytest.mark.parametrize("trainer", SAMPLING)
def test_neighbours_in_world_are_words_of_the_same_kind(trainer, world):
    vocabulary, sentences = world
    model = trainer(
        sentences, vocabulary.counts, dimension=30, window=3, epochs=10, learning_rate=0.1
    )
    vectors = similarity.WordVectors(vocabulary, model.center)
    pairs = {question.a: question.b for question in World(seed=0).analogies()}
    near = [
        b in [neighbour.word for neighbour in vectors.neighbours(a, k=20)]
        for a, b in pairs.items()
        if a in vocabulary and b in vocabulary
    ]
    by_chance = 20 / len(vocabulary)
    assert np.mean(near) > 4 * by_chance


@pytest.mark.slow
def test_sgns_with_unigram_noise_and_enough_dimensions_reaches_pmi_minus_log_k():
    """Weighted by how often a pair is seen: RMSE below 0.3 nats, correlation above 0.97."""
    vocabulary, sentences = encode(World(seed=0).sentences(10_000))
    counts = cooccurrence.window_counts(sentences, len(vocabulary), window=2)
    model = training.train_skipgram(
        sentences, np.asarray(counts.sum(axis=0)), dimension=len(vocabulary), window=2,
        negatives=5, epochs=8, learning_rate=0.1, subsample=None, noise_power=1.0,
        window_sampling="fixed",
    )  # fmt: skip
    weight = counts.toarray()
    seen = weight > 0
    scores = (model.center @ model.outside.T)[seen]
    target = cooccurrence.pmi(counts)[seen] - np.log(5)
    weight = weight[seen]
    error = np.sqrt(np.average((scores - target) ** 2, weights=weight))
    covariance = np.cov(scores, target, aweights=weight)
    correlation = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    print(f"RMSE {error:.3f} nats, correlation {correlation:.4f}")
    assert error < 0.3
    assert correlation > 0.97


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("trainer", SAMPLING)
def test_wordsim_on_brown_is_within_the_seeds_of_gensim(trainer):
    from gensim.models import Word2Vec

    tokens = [[word.lower() for word in s] for s in data.load("brown").sentences]
    vocabulary, sentences = encode(tokens, min_count=5)
    ratings = data.load("wordsim353").records
    model = trainer(sentences, vocabulary.counts, epochs=8, seed=1)
    ours = similarity.rating_correlation(
        similarity.WordVectors(vocabulary, model.center), ratings
    ).spearman
    skipgram = trainer is training.train_skipgram
    peer = Word2Vec(
        tokens, vector_size=100, window=5, min_count=5, negative=5, sg=int(skipgram), epochs=8,
        alpha=0.025 if skipgram else 0.05, workers=1, seed=1,
    )  # fmt: skip
    vectors = np.stack([peer.wv[word] for word in vocabulary.words])
    theirs = similarity.rating_correlation(
        similarity.WordVectors(vocabulary, vectors), ratings
    ).spearman
    print(f"WordSim-353 Spearman {ours:.3f}, gensim {theirs:.3f}")
    assert ours > theirs - 0.06
