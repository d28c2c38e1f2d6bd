"""Tagger and classifier: as torch's on packed batches, whatever is read beside a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

from nlp_course import sequence_models, training  # noqa: E402
from nlp_course.recurrent import GRUCell, LSTMCell, RNNCell  # noqa: E402
from nlp_course.sequence_models import NOTHING, Labelled, Tagger, TextClassifier, pad  # noqa: E402

WORDS = 12
CELLS = [RNNCell, GRUCell, LSTMCell]
POOLINGS = ["last", "mean", "max"]
SENTENCES = [np.array(ids) for ids in ([3, 1, 4], [1, 5, 9, 2, 6], [5], [3, 5, 8, 9])]
TAGS = [ids % 4 for ids in SENTENCES]
CLASSES = np.array([0, 1, 2, 1])
EMPTY = np.array([], dtype=np.int64)
sentences = st.lists(
    st.lists(st.integers(0, WORDS - 1), max_size=6).map(lambda ids: np.array(ids, dtype=np.int64)),
    min_size=1,
    max_size=5,
)


def randomized(model, seed=0):
    """Every parameter away from where it begins, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return model.double().eval()


def a_tagger(seed=0, **options):
    training.set_seed(seed)
    return Tagger(WORDS, 4, **{"dimension": 3, "hidden": 5} | options)


def a_classifier(seed=0, **options):
    training.set_seed(seed)
    return TextClassifier(WORDS, 3, **{"dimension": 3, "hidden": 5} | options)


def epoch(inputs=SENTENCES, targets=TAGS, batch_size=2, seed=0):
    batches = sequence_models.labelled_batches(inputs, targets, batch_size)
    return batches(np.random.default_rng(seed))


def torchs_lstm(reader):
    """torch's LSTM with the weights of a reader's."""
    network = reader.network
    theirs = nn.LSTM(
        network.inputs,
        network.hidden,
        network.layers,
        batch_first=True,
        bidirectional=network.directions == 2,
    ).double()
    for place, cell in enumerate(network.cells):
        layer, backward = divmod(place, network.directions)
        end = f"_l{layer}" + ("_reverse" if backward else "")
        ours = {"weight_ih": cell.W_hx, "weight_hh": cell.W_hh, "bias_ih": cell.b}
        for name, weights in ours.items():
            getattr(theirs, name + end).data = weights.data
        getattr(theirs, "bias_hh" + end).data.zero_()
    return theirs


# Scores


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_scores_of_tags_are_those_of_torch_on_a_packed_batch(bidirectional, layers):
    model = randomized(a_tagger(bidirectional=bidirectional, layers=layers))
    ids, lengths = pad(SENTENCES)
    packed = pack_padded_sequence(
        model.reader.embedding(ids), lengths, batch_first=True, enforce_sorted=False
    )
    outputs, _ = torchs_lstm(model.reader)(packed)
    expected = model.output(pad_packed_sequence(outputs, batch_first=True)[0])
    torch.testing.assert_close(model(ids, lengths), expected)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_scores_of_classes_are_those_of_torch_on_a_packed_batch(bidirectional, pooling):
    model = randomized(a_classifier(bidirectional=bidirectional, layers=2, pooling=pooling))
    ids, lengths = pad(SENTENCES)
    packed = pack_padded_sequence(
        model.reader.embedding(ids), lengths, batch_first=True, enforce_sorted=False
    )
    outputs, (h, _) = torchs_lstm(model.reader)(packed)
    outputs, _ = pad_packed_sequence(outputs, batch_first=True)
    if pooling == "last":
        pooled = torch.cat([h[-2], h[-1]], dim=1) if bidirectional else h[-1]
    elif pooling == "mean":
        pooled = outputs.sum(dim=1) / lengths[:, None]
    else:
        pooled = torch.stack(
            [row[:length].amax(dim=0) for row, length in zip(outputs, lengths, strict=True)]
        )
    torch.testing.assert_close(model(ids, lengths), model.output(pooled))


def test_the_last_states_are_forward_at_the_last_word_and_backward_at_the_first():
    model = randomized(a_classifier())
    ids, lengths = pad(SENTENCES)
    outputs, _ = model.reader(ids, lengths)
    rows = torch.arange(len(lengths))
    forward, backward = outputs[rows, lengths - 1, :5], outputs[rows, 0, 5:]
    pooled = torch.cat([forward, backward], dim=1)
    torch.testing.assert_close(model(ids, lengths), model.output(pooled))


@given(sentences, st.sampled_from(CELLS), st.booleans())
@settings(deadline=None, max_examples=20)
def test_a_sentences_tags_do_not_depend_on_what_is_read_beside_it(batch, cell, bidirectional):
    model = randomized(a_tagger(cell=cell, bidirectional=bidirectional))
    scores = model(*pad(batch))
    for row, ids in zip(scores, batch, strict=True):
        torch.testing.assert_close(row[: len(ids)], model(*pad([ids]))[0])


@given(sentences, st.sampled_from(CELLS), st.booleans(), st.sampled_from(POOLINGS))
@settings(deadline=None, max_examples=20)
def test_a_texts_class_does_not_depend_on_what_is_read_beside_it(
    batch, cell, bidirectional, pooling
):
    model = randomized(a_classifier(cell=cell, bidirectional=bidirectional, pooling=pooling))
    alone = torch.cat([model(*pad([ids])) for ids in batch])
    torch.testing.assert_close(model(*pad(batch)), alone)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_text_without_words_is_scored_by_the_bias_alone(pooling):
    model = randomized(a_classifier(pooling=pooling))
    for batch in ([EMPTY], [SENTENCES[0], EMPTY]):
        torch.testing.assert_close(model(*pad(batch))[-1], model.output.bias)


def test_a_forward_network_tags_without_the_words_to_come_and_a_bidirectional_one_with_them():
    ids, lengths = pad([np.array([3, 1, 4, 1])])
    changed = ids.clone()
    changed[0, 3] = 7
    for bidirectional in (False, True):
        model = randomized(a_tagger(bidirectional=bidirectional))
        same = torch.equal(model(ids, lengths)[:, :3], model(changed, lengths)[:, :3])
        assert same is not bidirectional


def test_given_vectors_are_where_the_embedding_begins():
    vectors = np.arange(WORDS * 3, dtype=np.float64).reshape(WORDS, 3)
    embedding = a_tagger(vectors=vectors).reader.embedding
    np.testing.assert_array_equal(embedding.weight.detach(), vectors)
    assert embedding.weight.requires_grad
    vectors[:] = 0
    assert embedding.weight.any()


def test_a_module_may_make_the_vectors_and_inputs_be_features():
    """With the table's rows as features and nothing in between, all is as with ids."""
    model = randomized(a_tagger())
    table = model.reader.embedding.weight.detach()
    of_features = Tagger(nn.Identity(), 4, dimension=3, hidden=5).double()
    weights = model.state_dict()
    del weights["reader.embedding.weight"]
    of_features.load_state_dict(weights)
    features = [table[ids].numpy() for ids in SENTENCES]
    torch.testing.assert_close(of_features(*pad(features)), model(*pad(SENTENCES)))


# Losses and batches


def test_the_loss_of_tags_is_that_of_each_sentence_by_itself():
    model = randomized(a_tagger())
    (batch,) = epoch([*SENTENCES, EMPTY], [*TAGS, EMPTY], batch_size=9)
    summed, number = sequence_models.tagging_loss(model, batch)
    expected = 0.0
    for ids, tags in zip(SENTENCES, TAGS, strict=True):
        log_p = torch.log_softmax(model(*pad([ids]))[0], dim=-1)
        expected -= log_p[torch.arange(len(ids)), torch.from_numpy(tags)].sum().item()
    assert summed.item() == pytest.approx(expected)
    assert number == sum(map(len, SENTENCES))


def test_words_without_a_target_are_left_out():
    model = randomized(a_tagger())
    known = sequence_models.tagging_loss(model, Labelled(*pad(SENTENCES), pad(TAGS, NOTHING)[0]))
    masked = [np.where(np.arange(len(tags)) == 0, NOTHING, tags) for tags in TAGS]
    fewer = sequence_models.tagging_loss(model, Labelled(*pad(SENTENCES), pad(masked, NOTHING)[0]))
    assert fewer[1] == known[1] - len(SENTENCES)
    assert fewer[0] < known[0]


def test_an_untrained_uniform_model_loses_log_k():
    for model, loss, targets, kinds in (
        (a_tagger(), sequence_models.tagging_loss, TAGS, 4),
        (a_classifier(), sequence_models.classification_loss, CLASSES, 3),
    ):
        nn.init.zeros_(model.output.weight)
        nn.init.zeros_(model.output.bias)
        nats = training.evaluate(model, loss, epoch(targets=targets))
        assert nats == pytest.approx(np.log(kinds))


def test_padding_gets_no_gradient():
    model = a_tagger()
    summed, _ = sequence_models.tagging_loss(model, epoch(batch_size=4)[0])
    summed.backward()
    moved = model.reader.embedding.weight.grad.abs().sum(dim=1) > 0
    assert set(moved.nonzero().flatten().tolist()) == set(np.concatenate(SENTENCES).tolist())


@given(sentences, st.integers(1, 3), st.integers(0, 5))
@settings(deadline=None, max_examples=50)
def test_every_sentence_is_in_one_batch_with_its_own_targets(batch, batch_size, seed):
    tags = [ids % 4 for ids in batch]
    seen = []
    for inputs, lengths, targets in epoch(batch, tags, batch_size, seed):
        for row, length, target in zip(inputs, lengths, targets, strict=True):
            assert target[:length].tolist() == (row[:length] % 4).tolist()
            assert set(target[length:].tolist()) <= {NOTHING}
            seen.append(row[:length].tolist())
    assert sorted(seen) == sorted(ids.tolist() for ids in batch)


def test_classes_stay_with_their_texts():
    for inputs, lengths, targets in epoch(targets=CLASSES):
        for row, length, target in zip(inputs, lengths, targets, strict=True):
            (place,) = [i for i, s in enumerate(SENTENCES) if s.tolist() == row[:length].tolist()]
            assert target == CLASSES[place]


# Learning


def test_a_tagger_learns_what_the_word_after_decides():
    """A tag is the parity of the next word: one direction cannot know it."""
    rng = np.random.default_rng(0)
    inputs = [rng.integers(0, 4, size=rng.integers(2, 6)) for _ in range(90)]
    tags = [np.append(ids[1:] % 2, 0) for ids in inputs]
    right = {}
    for bidirectional in (True, False):
        training.set_seed(0)
        model = Tagger(4, 2, dimension=8, hidden=8, bidirectional=bidirectional)
        batches = sequence_models.labelled_batches(inputs[:60], tags[:60], 30)
        training.train(
            model, sequence_models.tagging_loss, batches, epochs=20, learning_rate=0.05,
            device="cpu", progress=False,
        )  # fmt: skip
        found = np.concatenate(sequence_models.predict_tags(model, inputs[60:]))
        right[bidirectional] = np.mean(found == np.concatenate(tags[60:]))
    assert right[True] > 0.95
    assert right[False] < 0.85


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_classifier_learns_whether_a_word_occurs(pooling):
    rng = np.random.default_rng(0)
    inputs = [rng.integers(1, 6, size=rng.integers(1, 5)) for _ in range(200)]
    for ids in inputs[::2]:
        ids[rng.integers(len(ids))] = 0
    classes = np.array([int(0 in ids) for ids in inputs])
    training.set_seed(0)
    model = TextClassifier(6, 2, dimension=8, hidden=8, pooling=pooling, cell=RNNCell)
    batches = sequence_models.labelled_batches(inputs[:150], classes[:150], 50)
    training.train(
        model, sequence_models.classification_loss, batches, epochs=15, learning_rate=0.05,
        device="cpu", progress=False,
    )  # fmt: skip
    assert np.mean(sequence_models.predict_classes(model, inputs[150:]) == classes[150:]) > 0.94


# Predicting


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_predictions_are_the_best_scores_in_the_order_of_the_sentences(batch_size):
    inputs = [*SENTENCES, EMPTY]
    tagger, classifier = randomized(a_tagger()), randomized(a_classifier())
    tags = sequence_models.predict_tags(tagger, inputs, batch_size)
    classes = sequence_models.predict_classes(classifier, inputs, batch_size)
    for ids, found, kind in zip(inputs, tags, classes, strict=True):
        assert found.tolist() == tagger(*pad([ids]))[0].argmax(dim=-1).tolist()
        assert kind == classifier(*pad([ids]))[0].argmax()


def test_dropout_is_for_training_only():
    model = a_tagger(dropout=0.5).train()
    one, same = (sequence_models.predict_tags(model, SENTENCES) for _ in range(2))
    assert [tags.tolist() for tags in one] == [tags.tolist() for tags in same]
    assert model.training  # as it was
    scores = {model(*pad(SENTENCES)).sum().item() for _ in range(3)}
    assert len(scores) == 3


def test_no_sentences_have_no_predictions():
    assert sequence_models.predict_tags(a_tagger(), []) == []
    assert sequence_models.predict_classes(a_classifier(), []).tolist() == []


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"words": 0}, "words must be at least 1, got 0"),
        ({"dimension": 0}, "dimension must be at least 1, got 0"),
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"vectors": np.ones((WORDS, 2))}, r"vectors must have shape \(12, 3\)"),
        ({"words": nn.Identity(), "vectors": np.ones((WORDS, 3))}, "the module has its own"),
    ],
)
@pytest.mark.parametrize("model", [Tagger, TextClassifier])
def test_impossible_models_are_refused(model, options, message):
    whole = {"words": WORDS, "dimension": 3, "hidden": 5} | options
    with pytest.raises(ValueError, match=message):
        model(whole.pop("words"), 4, **whole)


def test_no_tags_no_classes_and_an_unknown_pooling_are_refused():
    with pytest.raises(ValueError, match="tags must be at least 1, got 0"):
        Tagger(WORDS, 0)
    with pytest.raises(ValueError, match="classes must be at least 1, got 0"):
        TextClassifier(WORDS, 0)
    # Past the run-time check of types, which is for tests only.
    make = getattr(TextClassifier.__init__, "__wrapped__", TextClassifier.__init__)
    with pytest.raises(ValueError, match="pooling must be"):
        make(TextClassifier.__new__(TextClassifier), 9, 2, pooling="median")


@pytest.mark.parametrize(
    ("inputs", "targets", "batch_size", "message"),
    [
        (SENTENCES, TAGS[:-1], 2, "4 sentences need as many targets, got 3"),
        (SENTENCES, CLASSES[:-1], 2, "4 sentences need as many targets, got 3"),
        (SENTENCES, [*TAGS[:3], TAGS[0]], 2, "sentence 3 has 4 words and 3 tags"),
        ([], [], 2, "there are no examples"),
        (SENTENCES, TAGS, 0, "batch_size must be at least 1, got 0"),
    ],
)
def test_impossible_batches_are_refused(inputs, targets, batch_size, message):
    with pytest.raises(ValueError, match=message):
        epoch(inputs, targets, batch_size)


def test_impossible_predictions_are_refused():
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        sequence_models.predict_tags(a_tagger(), SENTENCES, batch_size=0)
    with pytest.raises(ValueError, match="lengths must lie in 0 … 2"):
        a_tagger()(torch.zeros(1, 2, dtype=torch.int64), torch.tensor([3]))
