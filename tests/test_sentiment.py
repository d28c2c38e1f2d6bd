"""The perceptron: its bound, its average beside a plain loop, and what it cannot learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import sparse

from nlp_course import representations
from nlp_course import sentiment as sm
from nlp_course.text import Vocabulary


def separable(seed: int, documents: int = 60, words: int = 8, margin: float = 0.3):
    """Random points with a gap around the plane that tells them apart, and that plane."""
    generator = np.random.default_rng(seed)
    plane = generator.normal(size=words)
    plane /= np.linalg.norm(plane)
    points = generator.normal(size=(20 * documents, words))
    points = points[np.abs(points @ plane) > margin][:documents]
    return sparse.csr_array(points), np.sign(points @ plane).astype(np.int64), plane


def plain_perceptron(features, labels, epochs, seed):
    """Every weight vector after every step, dense, as the definition says."""
    rows, generator = features.toarray(), np.random.default_rng(seed)
    weights, every = np.zeros(rows.shape[1]), []
    for _ in range(epochs):
        for i in generator.permutation(len(rows)):
            if np.sign(rows[i] @ weights) != labels[i]:
                weights = weights + labels[i] * rows[i]
            every.append(weights)
    return every


@pytest.mark.parametrize("seed", range(8))
def test_mistakes_stay_below_the_bound_of_any_separator(seed):
    features, labels, plane = separable(seed)
    fit = sm.perceptron(features, labels, epochs=1000, seed=seed)
    assert fit.mistakes[-1] == 0
    bound = sm.mistake_bound(features, labels, plane)
    largest = (features.toarray() ** 2).sum(axis=1).max()
    assert bound <= largest / 0.3**2
    assert fit.mistakes.sum() <= bound
    # What was learned is a separator too, so its own margin bounds the mistakes as well.
    assert fit.mistakes.sum() <= sm.mistake_bound(features, labels, fit.weights)
    np.testing.assert_array_equal(sm.predict(features, fit.weights), labels)


def test_the_bound_is_reached_by_orthogonal_documents():
    # Each word's document is a mistake once: R = 1, γ = 1/√n, so the bound is n.
    features, labels = sparse.csr_array(np.eye(5)), np.array([1, -1, 1, 1, -1])
    fit = sm.perceptron(features, labels)
    assert fit.mistakes.tolist() == [5, 0]
    assert fit.weights.tolist() == labels.tolist()
    assert sm.mistake_bound(features, labels, labels.astype(float)) == pytest.approx(5)


def test_the_bound_does_not_depend_on_the_separators_length():
    features, labels, plane = separable(3)
    assert sm.mistake_bound(features, labels, 7 * plane) == pytest.approx(
        sm.mistake_bound(features, labels, plane)
    )
    with pytest.raises(ValueError, match="on the wrong side"):
        sm.mistake_bound(features, labels, -plane)


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_averaged_weights_are_the_mean_over_all_steps(seed, epochs):
    generator = np.random.default_rng(seed)
    features = sparse.csr_array(generator.poisson(0.4, size=(12, 6)).astype(float))
    labels = generator.choice([-1, 1], size=12)
    fit = sm.perceptron(features, labels, epochs=epochs, seed=seed)
    every = plain_perceptron(features, labels, len(fit.mistakes), seed)
    np.testing.assert_allclose(fit.weights, every[-1], atol=1e-12)
    np.testing.assert_allclose(fit.averaged, np.mean(every, axis=0), atol=1e-12)


def test_exclusive_or_is_never_learned():
    # "good" or "bad" alone is an opinion, both or neither the other: no line parts these.
    features = sparse.csr_array([[1.0, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 1]])
    fit = sm.perceptron(features, np.array([1, 1, -1, -1]), epochs=200)
    assert len(fit.mistakes) == 200
    assert fit.mistakes.min() > 0


def test_two_orders_of_the_same_words_cannot_be_told_apart():
    texts = [["not", "good", "but", "bad"], ["not", "bad", "but", "good"]]
    vocabulary = Vocabulary.from_sentences(texts)
    bags = representations.bag_of_words([vocabulary.encode(t) for t in texts], len(vocabulary))
    labels = np.array([-1, 1])
    assert sm.perceptron(bags, labels, epochs=50).mistakes.min() > 0
    runs = [representations.up_to_ngrams(tokens) for tokens in texts]
    pairs = Vocabulary.from_sentences(runs)
    rows = representations.bag_of_words([pairs.encode(run) for run in runs], len(pairs))
    assert sm.perceptron(rows, labels, epochs=50).mistakes[-1] == 0


@given(st.integers(0, 1000))
def test_the_same_seed_gives_the_same_weights_and_labels_turned_give_them_turned(seed):
    features, labels, _ = separable(seed, documents=20)
    assume(len(set(labels.tolist())) == 2)
    first, again = (sm.perceptron(features, labels, seed=seed) for _ in range(2))
    np.testing.assert_array_equal(first.averaged, again.averaged)
    turned = sm.perceptron(features, -labels, seed=seed)
    np.testing.assert_array_equal(turned.weights, -first.weights)


def test_training_leaves_its_input_and_adds_up_cells_stored_twice():
    twice = sparse.csr_array(([1.0, 2.0, 1.0], [0, 0, 1], [0, 2, 3]), shape=(2, 2))
    fit = sm.perceptron(twice, np.array([1, -1]))
    assert fit.weights.tolist() == [3, -1]
    assert twice.nnz == 3


def test_no_known_word_is_no_opinion():
    weights = np.array([0.5, -1.0])
    assert sm.predict(sparse.csr_array((1, 2)), weights).tolist() == [0]
    assert sm.predict(sparse.csr_array([[2.0, 1.0]]), weights).tolist() == [0]


def test_a_score_is_the_sum_of_what_its_tokens_add():
    vocabulary = Vocabulary(("fine", "dull", "film"), np.array([1, 1, 1]))
    weights = np.array([2.0, -1.5, 0.25])
    tokens = ["dull", "fine", "fine", "zebra"]
    added = sm.weigh(tokens, vocabulary, weights)
    assert added == [("dull", -1.5), ("fine", 2.0), ("fine", 2.0), ("zebra", 0.0)]
    bag = representations.bag_of_words([vocabulary.encode_known(tokens)], 3)
    assert sum(word.weight for word in added) == pytest.approx((bag @ weights)[0])


def test_telling_words_come_strongest_first_and_only_with_their_sign():
    vocabulary = Vocabulary(("a", "b", "c", "d"), np.ones(4, dtype=int))
    told = sm.telling_words(vocabulary, np.array([1.0, -2.0, 3.0, 0.0]), k=3)
    assert told.positive == [("c", 3.0), ("a", 1.0)]
    assert told.negative == [("b", -2.0)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: sm.perceptron(x, y, epochs=0), "epochs must be at least 1, got 0"),
        (lambda x, y: sm.perceptron(x, y[:1]), "got 2 documents and 1 labels"),
        (lambda x, y: sm.perceptron(x[:0], y[:0]), "got 0 documents and 0 labels"),
        (lambda x, y: sm.perceptron(x, y * 2), r"labels must be \+1 or −1"),
        (lambda x, y: sm.perceptron(x, np.array([0, 1])), r"got \[0, 1\]"),
        (lambda x, y: sm.perceptron(x * np.nan, y), "features must be finite"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(sparse.csr_array(np.eye(2)), np.array([1, -1]))


def test_words_and_weights_must_be_as_many():
    vocabulary = Vocabulary(("a", "b"), np.array([1, 1]))
    for call in (
        lambda: sm.telling_words(vocabulary, np.ones(3)),
        lambda: sm.weigh(["a"], vocabulary, np.ones(3)),
    ):
        with pytest.raises(ValueError, match="got 2 words and 3 weights"):
            call()
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        sm.telling_words(vocabulary, np.ones(2), k=0)


@pytest.mark.real_data
def test_averaging_beats_the_last_weights_on_new_reviews():
    from sklearn.model_selection import train_test_split

    from nlp_course import data

    records = data.load("sentence_polarity").records
    labels = np.array([1 if record.label == "pos" else -1 for record in records])
    train, test = train_test_split(
        np.arange(len(records)), test_size=0.2, stratify=labels, random_state=0
    )
    vocabulary = Vocabulary.from_sentences([records[i].sentences[0] for i in train], min_count=2)
    bags = representations.bag_of_words(
        [vocabulary.encode_known(record.sentences[0]) for record in records], len(vocabulary)
    )
    fit = sm.perceptron(bags[train], labels[train], epochs=10)
    last, averaged = (
        (sm.predict(bags[test], weights) == labels[test]).mean()
        for weights in (fit.weights, fit.averaged)
    )
    assert averaged > 0.73
    assert averaged > last
    told = sm.telling_words(vocabulary, fit.averaged, 30)
    assert {"dull", "boring"} <= {word for word, _ in told.negative}
