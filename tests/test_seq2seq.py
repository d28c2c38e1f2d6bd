"""Encoder and decoder: beside loops over torch.nn's, step by step, padded, and run freely."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from nlp_course import ngram, seq2seq, training  # noqa: E402
from nlp_course.attention_scores import SCORES  # noqa: E402
from nlp_course.batching import NOTHING  # noqa: E402
from nlp_course.recurrent import GRUCell, LSTMCell, RNNCell  # noqa: E402
from nlp_course.seq2seq import EncoderDecoder  # noqa: E402
from nlp_course.text import UnknownWordError, Vocabulary  # noqa: E402
from nlp_course.translation import Pairs  # noqa: E402

ENGLISH = ["the dog barks", "a cat", "the dog sees the cat", "", "dog dog dog"]
GERMAN = ["der Hund bellt", "eine Katze", "der Hund sieht die Katze", "so", "Hund und Hund und"]
SOURCE = Vocabulary.from_sentences([line.split() for line in ENGLISH], unknown="<unk>")
TARGET = ngram.language_vocabulary([line.split() for line in GERMAN], min_count=1)
SOURCES = [SOURCE.encode(line.split()) for line in ENGLISH]
TARGETS = [TARGET.encode(line.split()) for line in GERMAN]
START, STOP = TARGET.id("<s>"), TARGET.id("</s>")
CELLS = [RNNCell, GRUCell, LSTMCell]
ATTENTIONS = [None, *SCORES]


def a_model(seed=0, **options):
    training.set_seed(seed)
    return EncoderDecoder(SOURCE, TARGET, **{"dimension": 3, "hidden": 4} | options)


def randomized(model, seed=0):
    """Every parameter away from where it begins, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return model.double()


def padded(rows, fill=0, width=None):
    width = max(map(len, rows)) if width is None else width
    rows = [[*map(int, row), *[fill] * (width - len(row))] for row in rows]
    return torch.tensor(rows, dtype=torch.long)


def pairs(sources=SOURCES, targets=TARGETS):
    return Pairs(
        source=padded(sources),
        source_lengths=torch.tensor([len(words) for words in sources]),
        inputs=padded([[START, *words] for words in targets]),
        targets=padded([[*words, STOP] for words in targets], fill=NOTHING),
    )


def encoded(model, sources=SOURCES):
    batch = pairs(sources, [TARGETS[0]] * len(sources))
    return model.encode(batch.source, batch.source_lengths)


def torch_gru(cells):
    """torch's GRU with our cells' weights; its second bias is b_hn for the candidate alone."""
    first = cells[0]
    theirs = nn.GRU(
        first.inputs, first.hidden, bidirectional=len(cells) == 2, batch_first=True
    ).double()
    for cell, end in zip(cells, ("", "_reverse"), strict=False):
        getattr(theirs, "weight_ih_l0" + end).data = cell.W_hx.data
        getattr(theirs, "weight_hh_l0" + end).data = cell.W_hh.data
        getattr(theirs, "bias_ih_l0" + end).data = cell.b.data
        zeros = torch.zeros(2 * cell.hidden, dtype=torch.float64)
        getattr(theirs, "bias_hh_l0" + end).data = torch.cat([zeros, cell.b_hn.data])
    return theirs


def score_by_hand(name, score, s, h):
    if name == "dot":
        return sum(a * b for a, b in zip(s, h, strict=True))
    if name == "bilinear":
        return s @ (score.W @ h)
    return (score.v * torch.tanh(score.W_s @ s + score.W_h @ h)).sum()


# The formula


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_logits_are_those_of_torchs_gru_and_a_loop_over_words(attention):
    model = randomized(a_model(attention=attention))
    encoder, decoder = torch_gru(model.encoder.cells), torch_gru(model.decoder.cells)
    for source, target in zip(SOURCES, TARGETS, strict=True):
        if not len(source):
            continue  # torch's GRU refuses it
        h, last = encoder(model.source_embedding(torch.from_numpy(source))[None])
        read = torch.from_numpy(np.array([START, *target]))
        first = torch.tanh(model.bridge(torch.cat([last[0], last[1]], dim=-1)))
        s, _ = decoder(model.target_embedding(read)[None], first[None])
        expected, weights = [], []
        for s_i in s[0]:
            features = s_i
            if attention is not None:
                e = torch.stack([score_by_hand(attention, model.score, s_i, h_j) for h_j in h[0]])
                alpha = e.exp() / e.exp().sum()
                weights.append(alpha)
                features = torch.cat(
                    [s_i, sum(a * h_j for a, h_j in zip(alpha, h[0], strict=True))]
                )
            expected.append(model.output(torch.tanh(model.combine(features))))
        expected = torch.stack(expected)
        expected[:, START] = -torch.inf
        logits, state = model(read[None], encoded(model, [source]))
        torch.testing.assert_close(logits[0], expected)
        if attention is None:
            assert state.attention is None
        else:
            torch.testing.assert_close(state.attention[0], torch.stack(weights))


def test_dot_attention_is_torchs_scaled_dot_product_attention_with_scale_one():
    model, batch = randomized(a_model(attention="dot")), pairs()
    start = encoded(model)
    s, _ = model.decoder(model.target_embedding(batch.inputs), start.hidden)
    contexts = F.scaled_dot_product_attention(
        s, start.encoded, start.encoded, attn_mask=start.present[:, None], scale=1.0
    )
    # Of the empty source torch gives zeros, too.
    assert not contexts[3].any()
    expected = model.output(torch.tanh(model.combine(torch.cat([s, contexts], dim=-1))))
    expected[..., START] = -torch.inf
    torch.testing.assert_close(model(batch.inputs, start)[0], expected)


def test_the_state_of_an_lstm_has_both_parts_from_the_bridge():
    model = randomized(a_model(cell=LSTMCell))
    h, c = encoded(model).hidden
    both = model.encoder(model.source_embedding(pairs().source), lengths=pairs().source_lengths)[1][
        0
    ]
    expected = torch.tanh(model.bridge(torch.cat([both[0], both[1]], dim=1)))
    torch.testing.assert_close(torch.cat([h[0], c[0]], dim=1), expected)


def test_a_tied_output_is_the_table_of_target_words():
    tied, untied = a_model(tied=True), a_model()
    assert tied.output.weight is tied.target_embedding.weight
    counts = [sum(p.numel() for p in model.parameters()) for model in (tied, untied)]
    assert counts[1] - counts[0] == len(TARGET) * 3


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_parameter_counts(attention):
    d, m, x, y = 3, 4, len(SOURCE), len(TARGET)
    half = m // 2
    encoder = 2 * (3 * half * (d + half + 1) + half)
    decoder = 3 * m * (d + m + 1) + m
    score = {None: 0, "dot": 0, "bilinear": m * m, "additive": 2 * m * m + m}[attention]
    combine = d * (m if attention is None else 2 * m) + d
    expected = d * (x + y) + encoder + decoder + (m * m + m) + score + combine + y * (d + 1)
    assert sum(p.numel() for p in a_model(attention=attention).parameters()) == expected


def test_initial_spreads_are_the_documented_ones():
    words = tuple(f"w{number}" for number in range(2000))
    vocabulary = Vocabulary(("<s>", "</s>", *words), np.ones(2002, dtype=np.int64))
    training.set_seed(0)
    model = EncoderDecoder(vocabulary, vocabulary, dimension=64, hidden=100, attention="dot")
    assert model.source_embedding.weight.std().item() == pytest.approx(0.3, rel=0.02)
    assert model.target_embedding.weight.std().item() == pytest.approx(0.3, rel=0.02)
    assert model.output.weight.std().item() == pytest.approx(1 / 8, rel=0.02)
    assert model.bridge.weight.std().item() == pytest.approx(0.1, rel=0.05)
    assert model.combine.weight.std().item() == pytest.approx(200**-0.5, rel=0.05)


def test_training_begins_at_the_frequencies_of_words():
    """With W_o = 0, where W_o would begin on average."""
    counts = np.arange(1, len(TARGET) + 1) * 20
    model = a_model(counts=counts)
    model.output.weight.data.zero_()
    logits, _ = model(torch.tensor([[START]]), encoded(model, SOURCES[:1]))
    expected = (counts + 1.0) * (np.arange(len(counts)) != START)
    p = torch.softmax(logits[0, 0], dim=0).detach().numpy()
    np.testing.assert_allclose(p, expected / expected.sum(), rtol=1e-5)


# As a language model


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_all_steps_at_once_give_the_logits_of_step_by_step(cell, attention):
    model, batch = randomized(a_model(cell=cell, attention=attention)), pairs()
    whole, final = model(batch.inputs, encoded(model))
    state, parts, weights = encoded(model), [], []
    for piece in batch.inputs.split([1, 2, 1, 2], dim=1):
        logits, state = model(piece, state)
        parts.append(logits)
        weights.append(state.attention)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    torch.testing.assert_close(state.hidden, final.hidden)
    if attention is not None:
        torch.testing.assert_close(torch.cat(weights, dim=1), final.attention)


@given(st.integers(0, 4), st.integers(0, 9), st.integers(0, 7))
@settings(deadline=None)
def test_a_batch_gives_what_the_sentences_give_alone(row, extra, fill):
    """However much padding there is, and whatever stands in it."""
    model = randomized(a_model(attention="additive"))
    fill = min(fill, len(SOURCE) - 1)
    batch = pairs()
    wide = padded(SOURCES, fill=fill, width=5 + extra)
    logits, state = model(batch.inputs, model.encode(wide, batch.source_lengths))
    alone, own = model(
        torch.from_numpy(np.array([[START, *TARGETS[row]]])), encoded(model, [SOURCES[row]])
    )
    steps, words = len(TARGETS[row]) + 1, len(SOURCES[row])
    torch.testing.assert_close(logits[row, :steps], alone[0])
    torch.testing.assert_close(state.attention[row, :steps, :words], own.attention[0])
    assert not state.attention[row, :, words:].any()


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_an_empty_source_is_defined_and_gives_no_nan(attention):
    model = randomized(a_model(attention=attention))
    state = model.encode(torch.zeros(2, 0, dtype=torch.long), torch.zeros(2, dtype=torch.long))
    torch.testing.assert_close(state.hidden[0][0], torch.tanh(model.bridge.bias).expand(2, 4))
    logits, after = model(torch.tensor([[START, 3], [START, 4]]), state)
    assert torch.isfinite(logits[..., STOP]).all()
    beside, _ = model(torch.tensor([[START, 3]] * 2), encoded(model, [SOURCES[3], SOURCES[0]]))
    torch.testing.assert_close(beside[0], logits[0])
    logits[..., STOP].sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    if attention is not None:
        assert after.attention.shape == (2, 2, 0)


def test_a_target_word_depends_on_the_source_and_on_words_before_it_only():
    model = randomized(a_model(attention="bilinear"))
    inputs = torch.tensor([[START, 4, 5, 6, 7]])
    changed = inputs.clone()
    changed[0, 3] = 3
    before, _ = model(inputs, encoded(model, SOURCES[2:3]))
    after, _ = model(changed, encoded(model, SOURCES[2:3]))
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.equal(before[:, 3], after[:, 3])
    other, _ = model(inputs, encoded(model, SOURCES[:1]))
    assert not torch.equal(before[:, 0], other[:, 0])


def test_attention_weights_are_distributions_over_the_source():
    model = randomized(a_model(attention="bilinear"))
    state = model(pairs().inputs, encoded(model))[1]
    sums = state.attention.sum(dim=-1)
    full = torch.tensor([len(words) > 0 for words in SOURCES])
    torch.testing.assert_close(sums[full], torch.ones_like(sums[full]))
    assert not sums[~full].any()


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_gradients_are_those_of_finite_differences(attention):
    """Along a random direction of each parameter."""
    model, batch = randomized(a_model(attention=attention, tied=True)), pairs()
    seq2seq.translation_loss(model, batch)[0].backward()
    for name, parameter in model.named_parameters():
        place, size = parameter.data.clone(), 1e-6
        direction = torch.randn(place.shape, generator=torch.Generator().manual_seed(1)).double()
        losses = []
        for sign in (1, -1):
            parameter.data = place + sign * size * direction
            losses.append(seq2seq.translation_loss(model, batch)[0].item())
        parameter.data = place
        slope = (losses[0] - losses[1]) / (2 * size)
        expected = (parameter.grad * direction).sum().item()
        assert slope == pytest.approx(expected, rel=1e-5, abs=1e-6), name


# Training


def test_the_loss_is_minus_the_log_probabilities_of_the_tokens():
    model = randomized(a_model(attention="dot"))
    summed, tokens = seq2seq.translation_loss(model, pairs())
    reading = seq2seq.read_translations(model, SOURCES, TARGETS)
    assert tokens == sum(len(words) + 1 for words in TARGETS)
    assert summed.item() == pytest.approx(-np.concatenate(reading.log_probabilities).sum())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_it_learns_some_pairs_by_heart_and_writes_them(cell, attention):
    model = a_model(cell=cell, attention=attention, dimension=16, hidden=16)
    training.train(
        model,
        seq2seq.translation_loss,
        lambda rng: [pairs()],
        steps=200,
        learning_rate=0.02,
        clip=1.0,
        device="cpu",
        progress=False,
    )
    reading = seq2seq.read_translations(model, SOURCES, TARGETS)
    assert ngram.perplexity(np.concatenate(reading.log_probabilities)) < 1.05
    written = seq2seq.translate(model, SOURCES).ids
    assert [TARGET.decode(ids) for ids in written] == [line.split() for line in GERMAN]


def test_dropout_is_for_training_only():
    model = a_model(attention="dot", dropout=0.5)
    first = seq2seq.read_translations(model, SOURCES, TARGETS).log_probabilities
    again = seq2seq.read_translations(model, SOURCES, TARGETS).log_probabilities
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(again))
    seq2seq.translate(model, SOURCES)
    assert model.training  # as it was
    assert len({seq2seq.translation_loss(model, pairs())[0].item() for _ in range(3)}) == 3


# Teacher forcing and free running


@pytest.mark.parametrize("batch_size", [1, 2, 64])
@pytest.mark.parametrize("attention", [None, "additive"])
def test_readings_are_those_of_each_sentence_alone(attention, batch_size):
    model = randomized(a_model(attention=attention))
    reading = seq2seq.read_translations(model, SOURCES, TARGETS, batch_size=batch_size)
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        logits, state = model(
            torch.from_numpy(np.array([[START, *target]])), encoded(model, [source])
        )
        log_p = torch.log_softmax(logits[0], dim=-1).detach().numpy()
        wanted = [*target, STOP]
        assert reading.predicted[row].tolist() == log_p.argmax(axis=-1).tolist()
        np.testing.assert_allclose(
            reading.log_probabilities[row], log_p[np.arange(len(wanted)), wanted]
        )
        if attention is None:
            assert reading.attention == []
        else:
            assert reading.attention[row].shape == (len(wanted), len(source))
            np.testing.assert_allclose(reading.attention[row], state.attention[0].detach())


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("attention", [None, "dot"])
def test_greedy_translation_is_the_likeliest_word_again_and_again(attention, batch_size):
    model = randomized(a_model(attention=attention), seed=3)
    found = seq2seq.translate(model, SOURCES, max_length=7, batch_size=batch_size)
    for row, source in enumerate(SOURCES):
        words = [START]
        while len(words) < 8:
            logits, _ = model(torch.tensor([words]), encoded(model, [source]))
            words.append(int(logits[0, -1].argmax()))
            if words[-1] == STOP:
                break
        expected = [word for word in words[1:] if word != STOP]
        assert found.ids[row].tolist() == expected
        if attention is not None:
            assert found.attention[row].shape == (len(expected), len(source))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("attention", [None, "bilinear"])
def test_free_running_is_teacher_forcing_by_ones_own_words(attention, seed):
    model = randomized(a_model(attention=attention), seed=seed)
    written = seq2seq.translate(model, SOURCES, max_length=6)
    reading = seq2seq.read_translations(model, SOURCES, written.ids)
    for row, ids in enumerate(written.ids):
        assert reading.predicted[row][: len(ids)].tolist() == ids.tolist()
        if len(ids) < 6:
            assert reading.predicted[row][-1] == STOP
        if attention is not None:
            np.testing.assert_allclose(reading.attention[row][:-1], written.attention[row])


def test_a_translation_ends_before_stop_or_at_max_length():
    model = a_model(attention="dot")
    model.output.bias.data[STOP] = 99.0
    assert [len(ids) for ids in seq2seq.translate(model, SOURCES).ids] == [0] * 5
    model.output.bias.data[STOP] = -99.0
    found = seq2seq.translate(model, SOURCES, max_length=3)
    assert [len(ids) for ids in found.ids] == [3] * 5
    assert [alpha.shape for alpha in found.attention] == [(3, len(words)) for words in SOURCES]


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimension": 0}, "dimension must be at least 1, got 0"),
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
        ({"hidden": 5}, "each direction of the encoder has half of hidden: 5 is odd"),
        (
            {"attention": "luong"},
            r"attention must be one of \['additive', 'bilinear', 'dot'\] or None, got 'luong'",
        ),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"counts": np.ones(3, dtype=np.int64)}, f"each of {len(TARGET)} words needs"),
    ],
)
def test_a_model_that_cannot_be_built_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        a_model(**options)


def test_a_target_vocabulary_without_start_and_stop_is_refused():
    with pytest.raises(ValueError, match=r"lacks \['<s>', '</s>'\]: make it with"):
        EncoderDecoder(SOURCE, SOURCE)


@pytest.mark.parametrize("wrong", [-1, len(SOURCE)])
def test_source_ids_outside_the_vocabulary_are_refused(wrong):
    with pytest.raises(ValueError, match=f"source ids must lie in 0 … {len(SOURCE) - 1}, got"):
        a_model().encode(torch.tensor([[wrong]]), torch.tensor([1]))


@pytest.mark.parametrize("wrong", [-1, len(TARGET)])
def test_target_ids_outside_the_vocabulary_are_refused(wrong):
    model = a_model()
    with pytest.raises(ValueError, match=f"target ids must lie in 0 … {len(TARGET) - 1}, got"):
        model(torch.tensor([[wrong]]), encoded(model, SOURCES[:1]))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [([3], "2 sequences need as many lengths, got 1"), ([1, 4], "lengths must lie in 0 … 3")],
)
def test_lengths_that_do_not_fit_are_refused(lengths, message):
    with pytest.raises(ValueError, match=message):
        a_model().encode(torch.zeros(2, 3, dtype=torch.long), torch.tensor(lengths))


def test_a_state_of_another_batch_is_refused():
    model = a_model(attention="dot")
    with pytest.raises(ValueError, match="a state must be 1 tensors of shape"):
        model(torch.tensor([[START], [START]]), encoded(model, SOURCES[:1]))


def test_a_word_outside_the_vocabulary_is_unknown_or_refused():
    assert SOURCE.encode(["the", "hippopotamus"]).tolist()[1] == SOURCE.id("<unk>")
    model = randomized(a_model(attention="dot"))
    found = seq2seq.translate(model, [SOURCE.encode(["the", "hippopotamus"])], max_length=4)
    assert found.attention[0].shape[1] == 2
    closed = Vocabulary.from_sentences([["the", "dog"]])
    with pytest.raises(UnknownWordError):
        closed.encode(["hippopotamus"])


def test_what_cannot_be_translated_or_read_is_refused():
    model = a_model()
    with pytest.raises(ValueError, match="nothing to translate"):
        seq2seq.translate(model, [])
    with pytest.raises(ValueError, match="max_length must be at least 1, got 0"):
        seq2seq.translate(model, SOURCES, max_length=0)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        seq2seq.translate(model, SOURCES, batch_size=0)
    with pytest.raises(ValueError, match="5 sources need as many targets, got 4"):
        seq2seq.read_translations(model, SOURCES, TARGETS[:4])
