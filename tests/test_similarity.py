"""Similarity: cosines by hand, neighbours beside gensim, correlations beside SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nlp_course import similarity as si
from nlp_course.text import UnknownWordError, Vocabulary

WORDS = tuple(f"w{index:02d}" for index in range(40))


@pytest.fixture(scope="module")
def vectors() -> si.WordVectors:
    vocabulary = Vocabulary(WORDS, np.arange(40, 0, -1))
    return si.WordVectors(vocabulary, np.random.default_rng(0).normal(size=(40, 8)))


@pytest.fixture(scope="module")
def gensim_vectors(vectors):
    models = pytest.importorskip("gensim.models", reason="gensim is not installed")
    keyed = models.KeyedVectors(vector_size=8)
    keyed.add_vectors(list(WORDS), vectors.vectors)
    return keyed


def test_cosine_of_parallel_orthogonal_and_opposite_vectors():
    east, north = np.array([2.0, 0.0]), np.array([0.0, 3.0])
    assert si.cosine(east, 5 * east) == pytest.approx(1)
    assert si.cosine(east, north) == 0
    assert si.cosine(east, -east) == pytest.approx(-1)


@given(st.floats(0.01, 100), st.integers(0, 1000))
def test_cosine_does_not_depend_on_length(scale, seed):
    first, second = np.random.default_rng(seed).normal(size=(2, 5))
    assert si.cosine(first * scale, second) == pytest.approx(si.cosine(first, second))


@given(st.floats(1e-3, 1e3), st.integers(0, 1000), st.sampled_from([np.float32, np.float64]))
def test_cosine_of_a_vector_with_itself_is_never_above_one(scale, seed, dtype):
    vector = np.random.default_rng(seed).normal(size=50).astype(dtype)
    assert 1 - 1e-6 < si.cosine(vector, vector * dtype(scale)) <= 1


def test_cosine_matrix_holds_each_cosine():
    rows, columns = np.random.default_rng(1).normal(size=(2, 3, 4))
    matrix = si.cosine_matrix(rows, columns[:2])
    assert matrix.shape == (3, 2)
    assert matrix[2, 1] == pytest.approx(si.cosine(rows[2], columns[1]))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.zeros(2), np.ones(2), "has no direction"),
        (np.ones(2), np.array([np.nan, 1.0]), "finite"),
    ],
)
def test_cosine_refuses(first, second, message):
    with pytest.raises(ValueError, match=message):
        si.cosine(first, second)


def test_cosine_refuses_vectors_of_two_lengths():
    # The run-time shape check would refuse them first.
    function = getattr(si.cosine_matrix, "__wrapped__", si.cosine_matrix)
    with pytest.raises(ValueError, match="differ in length: 2 and 3"):
        function(np.ones((1, 2)), np.ones((1, 3)))


def test_neighbours_are_gensims_and_leave_the_word_out(vectors, gensim_vectors):
    ours, theirs = vectors.neighbours("w07", k=5), gensim_vectors.most_similar("w07", topn=5)
    assert [word for word, _ in ours] == [word for word, _ in theirs]
    np.testing.assert_allclose([c for _, c in ours], [c for _, c in theirs], atol=1e-6)
    assert "w07" not in [word for word, _ in vectors.neighbours("w07", k=100)]
    assert len(vectors.neighbours("w07", k=100)) == 39


def test_neighbours_at_the_same_cosine_come_in_the_order_of_the_vocabulary():
    points = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [0.0, 1.0], [2.0, 2.0]])
    same = si.WordVectors(Vocabulary(("a", "b", "c", "d", "e"), np.ones(5, dtype=int)), points)
    assert [word for word, _ in same.neighbours("a")] == ["c", "e", "b", "d"]
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        same.neighbours("a", k=0)


def test_analogy_is_gensims_and_leaves_the_three_out(vectors, gensim_vectors):
    for a, b, c in (("w01", "w02", "w03"), ("w10", "w20", "w30")):
        ours = vectors.analogy(a, b, c, k=4)
        theirs = gensim_vectors.most_similar(positive=[b, c], negative=[a], topn=4)
        assert [word for word, _ in ours] == [word for word, _ in theirs]
        np.testing.assert_allclose([score for _, score in ours], [s for _, s in theirs], atol=1e-6)


def test_a_parallelogram_answers_its_analogies():
    words = ("man", "woman", "king", "queen", "apple")
    points = np.array([[1.0, 0, 1], [1, 1, 1], [3, 0, 1], [3, 1, 1], [-2, -1, 5]])
    small = si.WordVectors(Vocabulary(words, np.ones(5, dtype=np.int64)), points)
    assert small.analogy("man", "woman", "king")[0].word == "queen"
    result = si.analogy_accuracy(
        small, [("man", "woman", "king", "queen"), ("Man", "woman", "queen", "unicorn")]
    )
    assert result[:3] == (1.0, 1, 1)
    assert result.missing == (("man", "woman", "queen", "unicorn"),)


def test_accuracy_counts_the_analogies_answered_one_by_one(vectors):
    rng = np.random.default_rng(2)
    questions = [tuple(WORDS[i] for i in rng.choice(40, 4, replace=False)) for _ in range(600)]
    # Make a tenth of them right, so that there is something to count.
    questions = [
        (a, b, c, vectors.analogy(a, b, c)[0].word if n % 10 == 0 else d)
        for n, (a, b, c, d) in enumerate(questions)
    ]
    right = sum(vectors.analogy(a, b, c)[0].word == d for a, b, c, d in questions)
    assert si.analogy_accuracy(vectors, questions).correct == right >= 60


def test_rating_correlation_is_scipys_over_the_known_pairs(vectors):
    rng = np.random.default_rng(3)
    pairs = [
        (WORDS[i].upper(), WORDS[j], float(rng.random())) for i, j in rng.integers(0, 40, (30, 2))
    ]
    result = si.rating_correlation(vectors, [*pairs, ("w01", "nowhere", 5.0)])
    cosines = [vectors.similarity(a.lower(), b) for a, b, _ in pairs]
    assert result.spearman == pytest.approx(stats.spearmanr(cosines, [s for *_, s in pairs])[0])
    assert (result.used, result.missing) == (30, (("w01", "nowhere"),))


def test_rating_correlation_is_gensims(vectors, gensim_vectors, tmp_path):
    rng = np.random.default_rng(6)
    pairs = [(WORDS[i], WORDS[j], float(rng.random())) for i, j in rng.integers(0, 40, (50, 2))]
    table = tmp_path / "ratings.tsv"
    table.write_text("".join(f"{a}\t{b}\t{score}\n" for a, b, score in pairs))
    _, (theirs, _), unknown = gensim_vectors.evaluate_word_pairs(str(table))
    assert unknown == 0
    assert si.rating_correlation(vectors, pairs).spearman == pytest.approx(theirs)


def test_analogy_accuracy_is_gensims(vectors, gensim_vectors, tmp_path):
    rng = np.random.default_rng(7)
    questions = [[WORDS[i] for i in rng.choice(40, 4, replace=False)] for _ in range(300)]
    table = tmp_path / "analogies.txt"
    table.write_text(": all\n" + "".join(f"{' '.join(words)}\n" for words in questions))
    theirs, _ = gensim_vectors.evaluate_word_analogies(str(table), case_insensitive=False)
    ours = si.analogy_accuracy(vectors, questions)
    assert ours.correct > 0
    assert ours.accuracy == pytest.approx(theirs)


@pytest.fixture
def with_a_zero_vector() -> si.WordVectors:
    words = ("a", "b", "c", "d", "zero")
    points = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 2.0], [0.0, 0.0]])
    return si.WordVectors(Vocabulary(words, np.ones(5, dtype=int)), points)


def test_a_word_without_direction_is_refused(with_a_zero_vector):
    for ask in (
        lambda: with_a_zero_vector.similarity("a", "zero"),
        lambda: with_a_zero_vector.neighbours("zero"),
        # x_b − x_a + x_c is 0 too.
        lambda: with_a_zero_vector.analogy("a", "zero", "a"),
    ):
        with pytest.raises(ValueError, match="0 everywhere"):
            ask()


def test_a_word_without_direction_is_listed_not_judged(with_a_zero_vector):
    ratings = [("a", "b", 1.0), ("a", "c", 2.0), ("b", "d", 3.0), ("a", "zero", 4.0)]
    result = si.rating_correlation(with_a_zero_vector, ratings)
    assert (result.used, result.missing) == (3, (("a", "zero"),))
    analogies = [("a", "b", "c", "d"), ("a", "b", "zero", "d")]
    accuracy = si.analogy_accuracy(with_a_zero_vector, analogies)
    assert (accuracy.used, accuracy.missing) == (1, (("a", "b", "zero", "d"),))


@pytest.mark.parametrize(
    ("scores", "message"),
    [((1.0, 1.0, 1.0), "not all the same"), ((1.0, np.nan, 2.0), "ratings must be finite")],
)
def test_ratings_without_ranks_are_refused(vectors, scores, message):
    ratings = [("w01", f"w0{n + 2}", score) for n, score in enumerate(scores)]
    with pytest.raises(ValueError, match=message):
        si.rating_correlation(vectors, ratings)


def test_too_few_known_pairs_are_refused_not_guessed(vectors):
    with pytest.raises(ValueError, match="at least 3 pairs"):
        si.rating_correlation(vectors, [("w01", "nowhere", 1.0), ("w01", "w02", 2.0)])
    with pytest.raises(ValueError, match="none of the 1 analogies"):
        si.analogy_accuracy(vectors, [("a", "b", "c", "d")])


def test_an_unknown_word_is_named(vectors):
    for ask in (vectors.vector, vectors.neighbours, lambda word: vectors.similarity("w01", word)):
        with pytest.raises(UnknownWordError, match="'unicorn' is not among the 40 words"):
            ask("unicorn")


def test_the_vector_of_the_unknown_word_answers_for_no_other():
    vocabulary = Vocabulary(("<unk>", "a"), np.array([5, 1]), unknown="<unk>")
    vectors = si.WordVectors(vocabulary, np.eye(2))
    assert vectors.vector("<unk>").tolist() == [1, 0]
    with pytest.raises(UnknownWordError, match="'zebra' is not among the 2 words"):
        vectors.neighbours("zebra")


def test_vectors_must_fit_their_words():
    vocabulary = Vocabulary(("a", "b"), np.array([1, 1]))
    with pytest.raises(ValueError, match="each word needs one vector"):
        si.WordVectors(vocabulary, np.ones((3, 2)))
    with pytest.raises(ValueError, match="did training diverge"):
        si.WordVectors(vocabulary, np.array([[1.0], [np.inf]]))


def test_rated_pairs_are_what_the_correlation_compares(vectors):
    ratings = [("W01", "w02", 3.0), ("w01", "nowhere", 5.0), ("w03", "w04", 1.0)]
    rated = si.rated_pairs(vectors, ratings)
    assert rated.pairs == (("w01", "w02"), ("w03", "w04"))
    assert rated.missing == (("w01", "nowhere"),)
    assert rated.ratings.tolist() == [3.0, 1.0]
    assert rated.cosines[1] == pytest.approx(vectors.similarity("w03", "w04"))


def test_spearman_with_ties_worked_by_hand():
    # Cosines with "a" rank b < c = d < e, so 1, 2.5, 2.5, 4; ratings rank 1, 2, 3, 4. Distances of
    # ranks from their mean: (−1.5, 0, 0, 1.5) and (−1.5, −0.5, 0.5, 1.5).
    # ρ = (2.25 + 2.25) / √(4.5 · 5) = 3 / √10.
    points = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 2.0], [3.0, 0.0]])
    five = si.WordVectors(Vocabulary(tuple("abcde"), np.ones(5, dtype=int)), points)
    ratings = [("a", "b", 1.0), ("a", "c", 2.0), ("a", "d", 7.0), ("a", "e", 9.0)]
    assert si.rating_correlation(five, ratings).spearman == pytest.approx(3 / np.sqrt(10))


def test_accuracy_by_category_adds_up_to_the_accuracy(vectors):
    rng = np.random.default_rng(8)
    questions = []
    for number in range(90):
        a, b, c, d = (WORDS[i] for i in rng.choice(40, 4, replace=False))
        if number % 4 == 0:
            d = vectors.analogy(a, b, c)[0].word
        questions.append((a, b, c, d, f"kind{number % 3}"))
    by_category = si.accuracy_by_category(vectors, questions)
    assert list(by_category) == ["kind0", "kind1", "kind2"]
    for category, result in by_category.items():
        alone = [record for record in questions if record[4] == category]
        assert result == si.analogy_accuracy(vectors, alone)
    whole = si.analogy_accuracy(vectors, questions)
    assert sum(result.correct for result in by_category.values()) == whole.correct > 0
    assert sum(result.used for result in by_category.values()) == whole.used


def test_a_category_without_known_words_is_left_out_and_none_is_refused(vectors):
    known, lost = ("w01", "w02", "w03", "w04", "known"), ("p", "q", "r", "s", "lost")
    assert list(si.accuracy_by_category(vectors, [lost, known])) == ["known"]
    with pytest.raises(ValueError, match="none of 1 categories"):
        si.accuracy_by_category(vectors, [lost])
    with pytest.raises(ValueError, match="a, b, c, d and a category"):
        si.accuracy_by_category(vectors, [("w01", "w02", "w03", "w04")])


def test_unrestricted_answers_are_the_words_nearest_to_the_offset(vectors):
    rng = np.random.default_rng(9)
    questions = [tuple(WORDS[i] for i in rng.choice(40, 4, replace=False)) for _ in range(300)]
    unit = {word: vectors.unit[vectors.vocabulary.id(word)] for word in WORDS}
    named = dict.fromkeys("abcd", 0) | {"other": 0}
    for question in questions:
        a, b, c, _ = question
        nearest = max(WORDS, key=lambda w: unit[w] @ (unit[b] - unit[a] + unit[c]))
        named["abcd"[question.index(nearest)] if nearest in question else "other"] += 1
    answers = si.unrestricted_answers(vectors, questions)
    assert answers.used == 300
    for name, count in named.items():
        assert getattr(answers, name) == pytest.approx(count / 300)
    assert answers.b + answers.c > 0.5
    assert sum(answers[:5]) == pytest.approx(1)


def test_a_tiny_offset_gives_back_the_given_word():
    # x_b − x_a is so small beside x_c that c itself is nearest; left out, d is.
    words = ("a", "b", "c", "d")
    points = np.array([[1.0, 0, 0], [1, 0, 0.1], [0, 1, 0], [0, 1, 0.3]])
    small = si.WordVectors(Vocabulary(words, np.ones(4, dtype=int)), points)
    assert si.unrestricted_answers(small, [words]).c == 1
    assert si.analogy_accuracy(small, [words]).accuracy == 1
    with pytest.raises(ValueError, match="none of the 1 analogies"):
        si.unrestricted_answers(small, [("a", "b", "c", "unicorn")])


def test_projection_is_that_of_an_independent_svd_up_to_sign():
    points = np.random.default_rng(10).normal(size=(30, 5)) * [5, 4, 3, 2, 1]
    centred = points - points.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(
        np.abs(si.project(points, 3)), np.abs(left * singular)[:, :3], atol=1e-10
    )


def test_projection_keeps_the_distances_of_flat_points_and_its_signs():
    flat = (
        np.random.default_rng(4).normal(size=(10, 2))
        @ np.linalg.qr(np.random.default_rng(5).normal(size=(6, 2)))[0].T
    )
    points = si.project(flat)
    distance = lambda x: np.linalg.norm(x[:, None] - x[None], axis=-1)  # noqa: E731
    np.testing.assert_allclose(distance(points), distance(flat), atol=1e-10)
    np.testing.assert_allclose(si.project(flat), points)
    assert np.all(points[np.abs(points).argmax(axis=0), [0, 1]] > 0)
    with pytest.raises(ValueError, match="dimensions must lie in 1 … 6"):
        si.project(flat, 7)
