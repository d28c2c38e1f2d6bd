"""The recurrent language model: interface, tied output, streams, truncated backpropagation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course import feedforward, ngram, recurrent_lm, training  # noqa: E402
from nlp_course.ngram_models import MaximumLikelihood  # noqa: E402
from nlp_course.recurrent import GRUCell, LSTMCell, RNNCell  # noqa: E402
from nlp_course.recurrent_lm import NOTHING, RecurrentLM, StreamLoss, streams  # noqa: E402
from nlp_course.text import Vocabulary  # noqa: E402

TEXT = [line.split() for line in ("the dog barks", "the cat sleeps", "the dog sleeps", "a cat")]
VOCABULARY = ngram.language_vocabulary(TEXT, min_count=1)
SENTENCES = [VOCABULARY.encode(line) for line in TEXT]
START, STOP = VOCABULARY.id("<s>"), VOCABULARY.id("</s>")
TOKENS = sum(len(words) + 1 for words in TEXT)
CELLS = [RNNCell, GRUCell, LSTMCell]


def a_model(seed=0, **options):
    training.set_seed(seed)
    return RecurrentLM(VOCABULARY, **{"dimension": 4} | options)


def randomized(model, seed=0):
    """Every parameter away from where it begins, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return model.double()


def chunks(batch_size, steps):
    return list(streams(SENTENCES, VOCABULARY, batch_size, steps)(np.random.default_rng(0)))


def gradients(model):
    return [parameter.grad.clone() for parameter in model.parameters()]


def stream():
    contexts, targets = feedforward.windows(SENTENCES, VOCABULARY, window=1)
    return contexts.T, targets


# The formula


@pytest.mark.parametrize("tied", [False, True])
def test_logits_are_the_formula_written_out(tied):
    model = randomized(a_model(tied=tied))
    words = [START, VOCABULARY.id("the"), VOCABULARY.id("dog")]
    cell, h = model.network.cells[0], torch.zeros(4, dtype=torch.float64)
    E = model.embedding.weight
    for word in words:
        h = torch.tanh(cell.W_hh @ h + cell.W_hx @ E[word] + cell.b)
    W_s = E if tied else model.output.weight
    expected = W_s @ h + model.output.bias
    expected[START] = -torch.inf
    logits, (state,) = model(torch.tensor([words]))
    torch.testing.assert_close(logits[0, -1], expected)
    torch.testing.assert_close(state[0, 0], h)


def test_a_tied_output_is_the_embedding_itself():
    model = a_model(tied=True)
    assert model.output.weight is model.embedding.weight
    untied = a_model()
    size = len(VOCABULARY)
    count, more = (sum(p.numel() for p in m.parameters()) for m in (model, untied))
    assert more - count == size * 4
    training.train(
        model, StreamLoss(), streams(SENTENCES, VOCABULARY, 2, 3), epochs=2, progress=False
    )
    assert model.output.weight.data_ptr() == model.embedding.weight.data_ptr()


def test_a_tied_output_gets_its_gradient_from_both_ends():
    model = randomized(a_model(tied=True))
    chunk = chunks(1, TOKENS)[0]
    StreamLoss()(model, chunk)[0].backward()
    tied = model.embedding.weight.grad
    untied = randomized(a_model())
    untied.load_state_dict(model.state_dict())
    StreamLoss()(untied, chunk)[0].backward()
    torch.testing.assert_close(tied, untied.embedding.weight.grad + untied.output.weight.grad)


def test_initial_spreads_are_the_documented_ones():
    words = tuple(f"w{number}" for number in range(2000))
    vocabulary = Vocabulary(("<s>", "</s>", *words), np.ones(2002, dtype=np.int64))
    training.set_seed(0)
    model = RecurrentLM(vocabulary, dimension=60, hidden=100)
    assert model.embedding.weight.std().item() == pytest.approx(0.1, rel=0.02)
    assert model.output.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert not model.output.bias.any()


def test_training_begins_at_the_frequencies_of_words():
    counts = np.array([3, 0, 40, *range(10, 10 + len(VOCABULARY) - 3)])
    p = a_model(counts=counts, dimension=100).distribution(VOCABULARY.encode(["the"]))
    expected = (counts + 1.0) * (np.arange(len(counts)) != START)
    np.testing.assert_allclose(p, expected / expected.sum(), rtol=0.5)


# As a language model


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_a_whole_text_at_once_gives_the_logits_of_token_by_token(cell, layers):
    model = randomized(a_model(cell=cell, layers=layers))
    ids = torch.randint(len(VOCABULARY), (4, 12), generator=torch.Generator().manual_seed(0))
    whole, final = model(ids)
    state, parts = None, []
    for piece in ids.split([1, 1, 4, 2, 3, 1], dim=1):
        logits, state = model(piece, state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    torch.testing.assert_close(state, final)


def test_stop_is_read_as_start():
    model = randomized(a_model())
    dog, cat = VOCABULARY.encode(["the", "dog"]).tolist(), VOCABULARY.encode(["cat"]).tolist()
    ends, begins = ([[START, *dog, edge, *cat]] for edge in (STOP, START))
    assert torch.equal(model(torch.tensor(ends))[0], model(torch.tensor(begins))[0])


def test_log_probabilities_are_those_of_the_logits_of_the_whole_text():
    model = randomized(a_model(cell=LSTMCell))
    inputs, targets = stream()
    log_p = torch.log_softmax(model(inputs)[0][0], dim=-1)
    expected = log_p[torch.arange(TOKENS), targets].tolist()
    np.testing.assert_allclose(model.log_probabilities(SENTENCES), expected)


def test_log_probabilities_go_on_from_piece_to_piece(monkeypatch):
    model = randomized(a_model())
    expected = model.log_probabilities(SENTENCES)
    monkeypatch.setattr(recurrent_lm, "SCORED_AT_ONCE", 4)
    np.testing.assert_allclose(model.log_probabilities(SENTENCES), expected)


def test_a_sentence_is_read_with_those_before_in_mind():
    model = randomized(a_model())
    alone = model.log_probabilities(SENTENCES[1:2])
    after = model.log_probabilities(SENTENCES[:2])[len(TEXT[0]) + 1 :]
    assert not np.allclose(alone, after)


def test_a_word_long_ago_matters_and_a_word_to_come_does_not():
    model = randomized(a_model())
    ids = torch.randint(3, len(VOCABULARY), (1, 12), generator=torch.Generator().manual_seed(0))
    changed = ids.clone()
    changed[0, 1] = 3 + (ids[0, 1] - 2) % (len(VOCABULARY) - 3)
    before, after = model(ids)[0], model(changed)[0]
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 11], after[:, 11])


def test_every_distribution_sums_to_one_without_start():
    model = randomized(a_model())
    for words in ([], ["the"], ["the", "dog", "barks", "the"]):
        p = model.distribution(VOCABULARY.encode(words))
        assert p.sum() == pytest.approx(1)
        assert p[START] == 0
        assert (np.delete(p, START) > 0).all()


def test_dropout_is_for_training_only():
    model = a_model(dropout=0.5)
    first = model.log_probabilities(SENTENCES)
    assert np.array_equal(first, model.log_probabilities(SENTENCES))
    assert model.training  # as it was
    chunk = chunks(1, TOKENS)[0]
    assert len({StreamLoss()(model, chunk)[0].item() for _ in range(3)}) == 3


@pytest.mark.parametrize("cell", CELLS)
def test_it_learns_the_text_by_heart(cell):
    """At the maximum of the likelihood each word has its relative frequency after all before it."""
    model = a_model(cell=cell, dimension=24)
    train_on = streams(SENTENCES, VOCABULARY, batch_size=1, steps=TOKENS)
    training.train(
        model, StreamLoss(), train_on, steps=300, learning_rate=0.02, clip=1.0, progress=False
    )
    assert ngram.perplexity(model.log_probabilities(SENTENCES)) < 1.02
    # Which no bigram model can: "the" is followed by three words.
    table = MaximumLikelihood(ngram.count_ngrams(SENTENCES, VOCABULARY, order=2))
    assert ngram.perplexity(table.log_probabilities(SENTENCES)) > 1.3


# Streams


@given(
    st.lists(st.lists(st.integers(3, 8), max_size=6), min_size=1, max_size=8),
    st.integers(1, 6),
    st.integers(1, 9),
)
@settings(deadline=None)
def test_each_token_of_a_text_is_predicted_once_and_in_order(sentences, batch_size, steps):
    ids = [np.array(words, dtype=np.int64) for words in sentences]
    tokens = [token for words in sentences for token in (*words, STOP)]
    batch_size = min(batch_size, len(tokens))
    pieces = list(streams(ids, VOCABULARY, batch_size, steps)(np.random.default_rng(0)))
    assert [chunk.first for chunk in pieces] == [True] + [False] * (len(pieces) - 1)
    assert all(chunk.inputs.shape[1] <= steps for chunk in pieces)
    targets = torch.cat([chunk.targets for chunk in pieces], dim=1).flatten()
    inputs = torch.cat([chunk.inputs for chunk in pieces], dim=1).flatten()
    real = targets != NOTHING
    assert targets[real].tolist() == tokens
    before = [START, *(START if token == STOP else token for token in tokens[:-1])]
    assert inputs[real].tolist() == before


def test_streams_know_their_length():
    batches = streams(SENTENCES, VOCABULARY, 2, 3)(np.random.default_rng(0))
    assert len(batches) == len(list(batches)) == 3


# Truncated backpropagation through time


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("steps", [1, 4, TOKENS])
def test_the_loss_does_not_depend_on_where_the_text_is_cut(cell, steps):
    model = randomized(a_model(cell=cell))
    loss = StreamLoss()
    total = sum(loss(model, chunk)[0].item() for chunk in chunks(1, steps))
    assert total == pytest.approx(-model.log_probabilities(SENTENCES).sum())


def test_in_one_chunk_the_gradient_is_the_full_one():
    model = randomized(a_model(cell=GRUCell))
    (chunk,) = chunks(1, TOKENS)
    StreamLoss()(model, chunk)[0].backward()
    truncated = gradients(model)
    model.zero_grad()
    inputs, targets = stream()
    log_p = torch.log_softmax(model(inputs)[0][0], dim=-1)
    (-log_p[torch.arange(TOKENS), targets].sum()).backward()
    torch.testing.assert_close(truncated, gradients(model))


def test_in_several_chunks_gradients_end_where_their_chunk_begins():
    model = randomized(a_model())
    loss, words = StreamLoss(), []
    for chunk in chunks(1, 5):
        model.zero_grad()
        loss(model, chunk)[0].backward()
        moved = model.embedding.weight.grad.abs().sum(dim=1) > 0
        words.append((set(chunk.inputs[0].tolist()), set(moved.nonzero().flatten().tolist())))
    assert all(read == moved for read, moved in words)


def test_the_gradient_of_a_chunk_is_that_with_the_state_held_fast():
    model = randomized(a_model())
    first, second, _ = chunks(2, 3)
    loss = StreamLoss()
    loss(model, first)
    loss(model, second)[0].backward()
    found = gradients(model)
    model.zero_grad()
    with torch.no_grad():
        _, state = model(first.inputs)
    logits, _ = model(second.inputs, state)
    torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), second.targets.flatten(), reduction="sum"
    ).backward()
    torch.testing.assert_close(found, gradients(model))


def test_validation_does_not_disturb_the_state_of_training():
    model, loss = randomized(a_model()), StreamLoss()
    first, second, _ = chunks(2, 3)
    loss(model, first)
    undisturbed = StreamLoss()
    undisturbed(model, first)
    training.evaluate(model, loss, chunks(2, 2))
    assert loss(model, second)[0].item() == undisturbed(model, second)[0].item()


def test_validating_by_the_loss_is_validating_by_log_probabilities():
    model = randomized(a_model())
    nats = training.evaluate(model, StreamLoss(), chunks(1, 4))
    assert nats == pytest.approx(-model.log_probabilities(SENTENCES).mean())


def test_a_training_broken_off_within_an_epoch_goes_on_to_the_same_numbers(tmp_path):
    settings = {"learning_rate": 0.05, "every": 1, "progress": False, "device": "cpu", "clip": 1.0}
    batches = streams(SENTENCES, VOCABULARY, 2, 3)  # three chunks an epoch

    def trained(steps, path, model):
        return training.train(
            model, StreamLoss(), batches, steps=steps, checkpoint=path, **settings
        )

    whole = a_model(dropout=0.1)
    expected = trained(8, tmp_path / "whole.pt", whole)
    trained(4, tmp_path / "broken.pt", a_model(dropout=0.1))
    resumed = a_model(seed=7, dropout=0.1)
    found = trained(8, tmp_path / "broken.pt", resumed)
    assert found.loss.tolist() == expected.loss.tolist()
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_padding_at_the_end_of_a_text_is_not_counted():
    model, loss = randomized(a_model()), StreamLoss()
    rows = 4
    assert TOKENS % rows
    counted = sum(loss(model, chunk)[1] for chunk in chunks(rows, 2))
    assert counted == TOKENS


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimension": 0}, "dimension must be at least 1, got 0"),
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
        ({"hidden": 5, "tied": True}, "dimension 4 and hidden 5 must be the same"),
        ({"layers": 0}, "layers must be at least 1"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"counts": np.ones(3, dtype=np.int64)}, "each of 9 words needs a count, got 3"),
    ],
)
def test_a_model_that_cannot_be_built_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        a_model(**options)


def test_a_vocabulary_without_start_and_stop_is_refused():
    with pytest.raises(ValueError, match=r"lacks \['<s>', '</s>'\]: make it with"):
        RecurrentLM(Vocabulary.from_sentences(TEXT))


def test_ids_and_states_that_do_not_fit_are_refused():
    model = a_model()
    for wrong in (99, -1):
        with pytest.raises(ValueError, match="ids must lie in 0 … 8, got"):
            model(torch.tensor([[wrong, 3]]))
    _, state = model(torch.tensor([[3], [4]]))
    with pytest.raises(ValueError, match=r"of shape \(1, 1, 4\)"):
        model(torch.tensor([[3]]), state)


@pytest.mark.parametrize(
    ("sentences", "batch_size", "steps", "message"),
    [
        ([], 1, 1, "the text is empty"),
        (SENTENCES, 0, 1, "batch_size must be at least 1, got 0"),
        (SENTENCES, 1, 0, "steps must be at least 1, got 0"),
        (SENTENCES, TOKENS + 1, 1, f"{TOKENS} tokens cannot be read in {TOKENS + 1} rows"),
        ([np.array([99])], 1, 1, "ids must lie in 0 … 8"),
        ([np.array([START])], 1, 1, "must not hold them"),
    ],
)
def test_a_text_that_cannot_be_cut_is_refused(sentences, batch_size, steps, message):
    with pytest.raises(ValueError, match=message):
        streams(sentences, VOCABULARY, batch_size, steps)


def test_an_empty_text_has_no_log_probabilities():
    with pytest.raises(ValueError, match="the text is empty"):
        a_model().log_probabilities([])


def test_a_text_read_from_the_middle_is_refused():
    with pytest.raises(ValueError, match="from its first chunk on"):
        StreamLoss()(a_model(), chunks(1, 3)[1])


def test_a_loss_that_is_not_a_number_is_stopped_by_training():
    model = a_model()
    model.embedding.weight.data[START] = torch.nan
    with pytest.raises(FloatingPointError, match="step 1"):
        training.train(
            model, StreamLoss(), streams(SENTENCES, VOCABULARY, 1, 4), steps=2, progress=False
        )
