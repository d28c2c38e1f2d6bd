"""BERT's heads: beside Hugging Face's on the same weights, and against values worked by hand.

Comparisons are in double precision, to 10⁻¹⁰, unless it is said otherwise.
"""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.nn import functional as F  # noqa: E402

from nlp_course import encoders, masked_lm, training  # noqa: E402
from nlp_course.batching import NOTHING  # noqa: E402
from nlp_course.encoder_tasks import (  # noqa: E402
    NO_WORD,
    in_order,
    pack_words,
    span_batch,
    span_batches,
    span_tokens,
    span_words,
    tag_targets,
    task_batches,
)
from nlp_course.masking import Specials, pack  # noqa: E402
from nlp_course.pretrained import load_weights, names, save_weights  # noqa: E402
from nlp_course.pretraining import encoder_batch, sentence_pair_batches  # noqa: E402
from nlp_course.transformer import Encoder, Settings  # noqa: E402

V = 13
SPECIALS = Specials(pad=0, cls=1, sep=2, mask=3)
SIZES = {"dimension": 8, "heads": 2, "layers": 2, "length": 16}
BERT = {"norm_first": False, "embedding_norm": True}


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_ids(*shape, seed=0):
    return torch.randint(4, V, shape, generator=torch.Generator().manual_seed(seed))


def assert_close(found, expected, tolerance=1e-10):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def randomized(model):
    """In double precision, every weight away from where it begins."""
    model = model.double().eval()
    for i, parameter in enumerate(model.parameters()):
        parameter.data = 0.4 * numbers(*parameter.shape, seed=i) + (parameter.ndim == 1)
    return model


def an_encoder():
    return Encoder(V, Settings(**SIZES, **BERT), segments=2)


@functools.cache
def a_masked_lm(next_sentence=True):
    return randomized(masked_lm.MaskedLM(an_encoder(), next_sentence=next_sentence))


def some_texts(*sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [pack(rng.integers(4, V, size), None, SPECIALS) for size in sizes]


def a_batch(labels=None):
    """Three pairs of different lengths, with two targets in the first and one in the last."""
    rng = np.random.default_rng(1)
    packed = [
        pack(rng.integers(4, V, a), rng.integers(4, V, b), SPECIALS)
        for a, b in [(3, 4), (2, 1), (4, 2)]
    ]
    targets = [np.full(len(one.ids), NOTHING) for one in packed]
    targets[0][[2, 6]] = 5, 7
    targets[2][3] = 11
    return encoder_batch(packed, SPECIALS, targets, labels)


def hugging_face(kind, **options):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.BertConfig(
        vocab_size=V,
        hidden_size=8,
        num_attention_heads=2,
        intermediate_size=32,
        num_hidden_layers=2,
        max_position_embeddings=16,
        **options,
    )
    model = getattr(transformers, kind)(config).double().eval()
    for i, parameter in enumerate(model.parameters()):
        parameter.data = 0.3 * numbers(*parameter.shape, seed=i) + (parameter.ndim == 1)
    return model


def same_encoder(theirs):
    from nlp_course import huggingface

    return huggingface.bert(theirs)


def their_input(batch):
    present = torch.arange(batch.ids.shape[1]) < batch.lengths[:, None]
    return {
        "input_ids": batch.ids,
        "token_type_ids": batch.segments,
        "attention_mask": present.long(),
    }


def copied(ours, theirs):
    ours.weight, ours.bias = theirs.weight, theirs.bias


# Pretraining


@torch.no_grad()
def test_masked_model_and_its_loss_are_those_of_hugging_face():
    theirs = hugging_face("BertForPreTraining")
    ours = masked_lm.MaskedLM(same_encoder(theirs)).double().eval()
    predictions = theirs.cls.predictions
    copied(ours.transform, predictions.transform.dense)
    copied(ours.norm, predictions.transform.LayerNorm)
    ours.norm.eps = predictions.transform.LayerNorm.eps
    ours.bias = predictions.bias
    copied(ours.pooler.linear, theirs.bert.pooler.dense)
    copied(ours.next_sentence, theirs.cls.seq_relationship)
    batch = a_batch(np.array([1, 0, 1]))
    present = torch.arange(batch.ids.shape[1]) < batch.lengths[:, None]

    expected = theirs(**their_input(batch), labels=batch.targets, next_sentence_label=batch.labels)
    logits = ours(batch.ids, batch.lengths, batch.segments)
    assert_close(logits[present], expected.prediction_logits[present])
    h = ours.encoder(batch.ids, batch.lengths, batch.segments)
    assert_close(ours.next_logits(h), expected.seq_relationship_logits)
    total, tokens = masked_lm.pretraining_loss(ours, batch)
    assert tokens == 3
    assert_close(total / tokens, expected.loss)


@torch.no_grad()
def test_loss_of_pretraining_is_the_sum_of_two_means():
    model, batch = a_masked_lm(), a_batch(np.array([1, NOTHING, 0]))
    masked, tokens = masked_lm.masked_loss(model, batch)
    h = model.encoder(batch.ids, batch.lengths, batch.segments)
    of_pairs = F.cross_entropy(model.next_logits(h)[[0, 2]], torch.tensor([1, 0]))
    total, same = masked_lm.pretraining_loss(model, batch)
    assert tokens == same == 3
    assert_close(total / 3, masked / 3 + of_pairs)


@torch.no_grad()
@pytest.mark.parametrize("next_sentence", [True, False])
def test_without_labels_or_without_the_second_head_only_tokens_count(next_sentence):
    model = a_masked_lm(next_sentence)
    batch = a_batch(None if next_sentence else np.array([1, 0, 1]))
    for found, expected in zip(
        masked_lm.pretraining_loss(model, batch), masked_lm.masked_loss(model, batch), strict=True
    ):
        assert float(found) == float(expected)


@torch.no_grad()
def test_masked_loss_is_minus_log_p_of_the_targets_at_their_places():
    model, batch = a_masked_lm(), a_batch()
    log_p = torch.log_softmax(model(batch.ids, batch.lengths, batch.segments), dim=2)
    by_hand = -(log_p[0, 2, 5] + log_p[0, 6, 7] + log_p[2, 3, 11])
    assert_close(masked_lm.masked_loss(model, batch)[0], by_hand)


def test_only_chosen_places_go_through_the_output_layer():
    model, seen = a_masked_lm(), []
    handle = model.transform.register_forward_hook(lambda *seen_: seen.append(seen_[2].shape))
    masked_lm.pretraining_loss(model, a_batch())
    handle.remove()
    assert seen == [(3, 8)]


def test_output_layer_is_the_table_of_token_vectors():
    model = masked_lm.MaskedLM(an_encoder())
    assert model.transform.weight.shape == (8, 8)
    total = sum(p.numel() for p in model.parameters())
    encoder = sum(p.numel() for p in model.encoder.parameters())
    d = 8
    assert total - encoder == (d * d + d) + 2 * d + V + (d * d + d) + (2 * d + 2)


def test_pretraining_learns_what_is_hidden_and_what_follows():
    """Documents that repeat one token: the rest says what is hidden, and pairs what follows."""
    documents = [[np.full(3, token)] * 4 for token in range(4, V)]
    training.set_seed(0)
    model = masked_lm.MaskedLM(Encoder(V, Settings(**SIZES, **BERT, spread=0.3), segments=2))
    batches = sentence_pair_batches(documents, SPECIALS, V, batch_size=9)
    training.train(
        model,
        masked_lm.pretraining_loss,
        batches,
        epochs=100,
        learning_rate=5e-3,
        device="cpu",
        progress=False,
    )
    held_out = list(batches(np.random.default_rng(99)))
    assert training.evaluate(model, masked_lm.masked_loss, held_out) < 1.2  # log 9 = 2.2
    with torch.no_grad():
        right = [
            model.next_logits(model.encoder(b.ids, b.lengths, b.segments)).argmax(1) == b.labels
            for b in held_out
        ]
    assert torch.cat(right).float().mean() > 0.75


@torch.no_grad()
def test_pseudo_log_likelihood_hides_one_token_at_a_time():
    model, ids = a_masked_lm(), torch.tensor([1, 6, 9, 9, 2])
    expected = []
    for place in (1, 2, 3):
        hidden = ids.clone()
        hidden[place] = SPECIALS.mask
        expected.append(torch.log_softmax(model(hidden[None])[0, place], dim=0)[ids[place]])
    assert_close(masked_lm.pseudo_log_likelihood(model, ids, SPECIALS), torch.stack(expected))


def test_pseudo_log_likelihood_scores_unknown_tokens_as_others():
    model, ids = a_masked_lm(), torch.tensor([1, 6, 12, 9, 2])
    knowing = Specials(*SPECIALS[:4], (12,))
    scores = masked_lm.pseudo_log_likelihood(model, ids, knowing)
    assert_close(scores, masked_lm.pseudo_log_likelihood(model, ids, SPECIALS))
    assert len(scores) == 3


@torch.no_grad()
def test_pseudo_likelihoods_of_all_texts_need_not_sum_to_one():
    model, total = a_masked_lm(), 0.0
    for pair in itertools.product(range(4, V), repeat=2):
        ids = torch.tensor([1, *pair, 2])
        total += masked_lm.pseudo_log_likelihood(model, ids, SPECIALS).sum().exp().item()
    assert abs(total - 1) > 0.01


# Heads beside Hugging Face's


@torch.no_grad()
def test_classifier_of_pairs_is_that_of_hugging_face():
    theirs = hugging_face("BertForSequenceClassification", num_labels=3)
    ours = encoders.SequenceClassifier(same_encoder(theirs), 3).double().eval()
    copied(ours.pooler.linear, theirs.bert.pooler.dense)
    copied(ours.output, theirs.classifier)
    batch = a_batch(np.array([2, 0, 1]))
    expected = theirs(**their_input(batch), labels=batch.labels)
    assert_close(ours(batch.ids, batch.lengths, batch.segments), expected.logits)
    total, texts = encoders.classification_loss(ours, batch)
    assert_close(total / texts, expected.loss)


@torch.no_grad()
def test_regression_is_that_of_hugging_face():
    theirs = hugging_face("BertForSequenceClassification", num_labels=1)
    ours = encoders.SequenceClassifier(same_encoder(theirs), 1).double().eval()
    copied(ours.pooler.linear, theirs.bert.pooler.dense)
    copied(ours.output, theirs.classifier)
    batch = a_batch()._replace(labels=torch.tensor([0.5, 5.0, 2.2], dtype=torch.float64))
    expected = theirs(**their_input(batch), labels=batch.labels)
    total, texts = encoders.regression_loss(ours, batch)
    assert texts == 3
    assert_close(total / texts, expected.loss)


@torch.no_grad()
def test_tagger_is_that_of_hugging_face():
    theirs = hugging_face("BertForTokenClassification", num_labels=V)
    ours = encoders.TokenClassifier(same_encoder(theirs), V).double().eval()
    copied(ours.output, theirs.classifier)
    batch = a_batch()
    expected = theirs(**their_input(batch), labels=batch.targets)
    present = torch.arange(batch.ids.shape[1]) < batch.lengths[:, None]
    found = ours(batch.ids, batch.lengths, batch.segments)
    assert_close(found[present], expected.logits[present])
    total, tokens = encoders.tagging_loss(ours, batch)
    assert tokens == 3
    assert_close(total / tokens, expected.loss)


def questions(seed=0):
    """Three passages with their questions, and an answer in each."""
    rng = np.random.default_rng(seed)
    texts = [
        pack_words(
            [rng.integers(4, V, size) for size in sizes], SPECIALS, question=rng.integers(4, V, 2)
        )
        for sizes in ([1, 1, 3, 1], [2, 3], [1, 2, 1])
    ]
    spans = np.array(
        [
            span_tokens(text, *span)
            for text, span in zip(texts, [(3, 4), (0, 2), (1, 2)], strict=True)
        ]
    )
    return texts, spans


@torch.no_grad()
def test_reader_of_spans_is_that_of_hugging_face():
    theirs = hugging_face("BertForQuestionAnswering")
    ours = encoders.SpanReader(same_encoder(theirs)).double().eval()
    copied(ours.output, theirs.qa_outputs)
    texts, spans = questions()
    batch = span_batch(texts, SPECIALS, spans)
    expected = theirs(**their_input(batch))
    present = torch.arange(batch.ids.shape[1]) < batch.lengths[:, None]
    found = ours(batch.ids, batch.lengths, batch.segments)
    assert_close(found.start[present], expected.start_logits[present])
    assert_close(found.end[present], expected.end_logits[present])


@torch.no_grad()
def test_loss_of_spans_is_the_mean_of_two_cross_entropies_over_the_passage():
    reader = randomized(encoders.SpanReader(an_encoder()))
    texts, spans = questions()
    batch = span_batch(texts, SPECIALS, spans)
    total, number = encoders.span_loss(reader, batch)
    expected = 0.0
    for text, (first, last) in zip(texts, spans.tolist(), strict=True):
        ids, segments = (torch.from_numpy(part)[None] for part in text.packed)
        scores = reader(ids, None, segments)
        inside = torch.from_numpy(text.word != NO_WORD)
        for some, place in zip(scores, (first, last), strict=True):
            log_p = torch.log_softmax(some[0][inside], dim=0)
            expected -= log_p[int(inside[:place].sum())] / 2
    assert number == 3
    assert_close(total, expected)


@torch.no_grad()
def test_questions_without_an_answer_do_not_count():
    reader = randomized(encoders.SpanReader(an_encoder()))
    texts, spans = questions()
    whole = span_batch(texts, SPECIALS, spans)
    part = whole._replace(spans=whole.spans.clone())
    part.spans[1] = NOTHING
    alone, _ = encoders.span_loss(reader, span_batch(texts[1:2], SPECIALS, spans[1:2]))
    total, number = encoders.span_loss(reader, part)
    assert number == 2
    assert_close(total + alone, encoders.span_loss(reader, whole)[0])


@torch.no_grad()
def test_no_head_sees_padding():
    batch = a_batch()
    longer = [
        F.pad(batch.ids, (0, 3), value=9),
        batch.lengths,
        F.pad(batch.segments, (0, 3), value=1),
    ]
    for head in (
        encoders.SequenceClassifier(an_encoder(), 3),
        encoders.TokenClassifier(an_encoder(), 3),
    ):
        model = randomized(head)
        found = model(*longer)
        expected = model(batch.ids, batch.lengths, batch.segments)
        if found.ndim == 3:
            row = int(batch.lengths.argmin())
            found, expected = (some[row, : batch.lengths[row]] for some in (found, expected))
        assert_close(found, expected)


def test_classifier_goes_on_from_the_pretrained_pooler_and_encoder():
    model = masked_lm.MaskedLM(an_encoder())
    classifier = encoders.SequenceClassifier(model.encoder, 2, model.pooler)
    assert classifier.pooler is model.pooler
    assert classifier.encoder is model.encoder


def test_heads_begin_with_the_spread_of_the_encoder():
    for spread in (0.02, 0.2):
        encoder = Encoder(V, Settings(dimension=64, layers=1, heads=2, spread=spread))
        head = encoders.SequenceClassifier(encoder, 40)
        for weight in (head.output.weight, head.pooler.linear.weight):
            assert weight.std().item() == pytest.approx(spread, rel=0.1)
        assert not head.output.bias.any()


# The best span


@given(st.integers(1, 9), st.integers(1, 10), st.integers(0, 2**16))
def test_best_span_is_the_best_of_all_that_are_allowed(time, longest, seed):
    rng = np.random.default_rng(seed)
    start, end = (torch.from_numpy(rng.normal(size=(2, time))) for _ in range(2))
    allowed = torch.from_numpy(rng.random((2, time)) < 0.7)
    allowed[:, rng.integers(time)] = True
    found = encoders.best_span(start, end, longest=longest, allowed=allowed)
    for row in range(2):
        scores = {
            (i, j): float(start[row, i] + end[row, j])
            for i in range(time)
            for j in range(i, min(time, i + longest))
            if allowed[row, i] and allowed[row, j]
        }
        assert tuple(found[row].tolist()) == max(scores, key=scores.get)


def test_best_span_is_not_the_two_best_ends():
    """The best beginning stands after the best end: one of the two has to give way."""
    start, end = torch.tensor([[1.0, 0.0, 5.0]]), torch.tensor([[5.0, 0.0, 0.5]])
    everywhere = torch.ones(1, 3, dtype=torch.bool)
    found = encoders.best_span(start, end, longest=3, allowed=everywhere)
    assert found.tolist() == [[0, 0]]  # 6.0, where (2, 2) has 5.5 and (2, 0) is no span
    long = encoders.best_span(start, torch.tensor([[0, 0, 5.0]]), longest=2, allowed=everywhere)
    assert long.tolist() == [[2, 2]]


# Words and pieces


@st.composite
def texts_of_words(draw):
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=8))
    question = draw(st.none() | st.integers(1, 5))
    length = draw(st.none() | st.integers(5 + (question or 0), 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    words = [rng.integers(4, V, size) for size in sizes]
    asked = None if question is None else rng.integers(4, V, question)
    return words, asked, length


@given(texts_of_words())
def test_packed_words_are_the_packed_pieces(made):
    words, question, length = made
    text = pack_words(words, SPECIALS, question=question, length=length)
    pieces = np.concatenate(words)[: (text.word != NO_WORD).sum()]
    expected = (
        pack(pieces, None, SPECIALS) if question is None else pack(question, pieces, SPECIALS)
    )
    assert text.packed.ids.tolist() == expected.ids.tolist()
    assert text.packed.segments.tolist() == expected.segments.tolist()


@given(texts_of_words())
def test_each_word_that_is_left_has_one_target_at_its_first_piece(made):
    words, question, length = made
    text = pack_words(words, SPECIALS, question=question, length=length)
    left = int(text.word.max()) + 1
    targets = tag_targets(text, np.arange(len(words)) + 100)
    assert targets[targets != NOTHING].tolist() == [100 + word for word in range(left)]
    for place in np.flatnonzero(targets != NOTHING):
        word = targets[place] - 100
        assert text.packed.ids[place] == words[word][0]
        assert text.word[place - 1] != word


@given(texts_of_words(), st.data())
def test_span_of_words_comes_back_from_its_tokens(made, data):
    words, question, length = made
    text = pack_words(words, SPECIALS, question=question, length=length)
    left = int(text.word.max()) + 1
    start = data.draw(st.integers(0, left - 1))
    end = data.draw(st.integers(start + 1, left))
    first, last = span_tokens(text, start, end)
    assert span_words(text, first, last) == (start, end)
    kept = text.packed.ids[first : last + 1]
    assert kept.tolist() == np.concatenate(words[start:end])[: len(kept)].tolist()
    if end < left:
        assert len(kept) == sum(map(len, words[start:end]))


def test_batches_of_a_task_keep_each_text_with_its_answer():
    texts = some_texts(3, 1, 5, 2, 4)
    labels = np.array([len(one.ids) for one in texts])
    targets = [one.ids * 10 for one in texts]
    batches = task_batches(texts, SPECIALS, 2, labels=labels, targets=targets)
    seen = []
    for batch in batches(np.random.default_rng(0)):
        assert batch.labels.tolist() == batch.lengths.tolist()
        present = torch.arange(batch.ids.shape[1]) < batch.lengths[:, None]
        assert torch.equal(batch.targets[present], 10 * batch.ids[present])
        seen += batch.lengths.tolist()
    assert sorted(seen) == [3, 4, 5, 6, 7]
    ordered = in_order(texts, SPECIALS, 2, labels=labels)
    assert [label for batch in ordered for label in batch.labels.tolist()] == labels.tolist()


def test_batches_of_spans_keep_each_question_with_its_answer():
    texts, spans = questions()
    seen = set()
    for batch in span_batches(texts, spans, SPECIALS, 2)(np.random.default_rng(0)):
        for row, length in enumerate(batch.lengths.tolist()):
            number = [len(text.word) for text in texts].index(length)
            assert batch.spans[row].tolist() == spans[number].tolist()
            assert batch.allowed[row].sum() == (texts[number].word != NO_WORD).sum()
            seen.add(number)
    assert seen == {0, 1, 2}


# Predictions


@torch.no_grad()
def test_predictions_come_in_the_order_of_the_texts_and_are_the_best():
    texts = some_texts(3, 1, 5, 2, 4, 6, 3, 7)
    training.set_seed(0)
    encoder = Encoder(V, Settings(**SIZES, **BERT, spread=3.0), segments=2)
    classifier = encoders.SequenceClassifier(encoder, 4).eval()
    tagger = encoders.TokenClassifier(encoder, 4).eval()
    targets = [np.full(len(one.ids), NOTHING) for one in texts]
    for one in targets:
        one[1:-1:2] = 0
    classes = encoders.predict_classes(classifier, in_order(texts, SPECIALS, 2))
    tags = encoders.predict_tags(tagger, in_order(texts, SPECIALS, 2, targets=targets))
    for number, one in enumerate(texts):
        ids = torch.from_numpy(one.ids)[None]
        assert classes[number] == classifier(ids).argmax()
        expected = tagger(ids)[0].argmax(dim=1).numpy()
        assert tags[number].tolist() == expected[1:-1:2].tolist()
    assert len(set(classes.tolist())) > 1
    assert len({tag for row in tags for tag in row.tolist()}) > 1


def test_a_reader_learns_to_find_what_the_question_names():
    """The answer is the one word of the passage that stands in the question."""
    rng = np.random.default_rng(0)
    texts, spans = [], []
    for _ in range(300):
        passage = rng.permutation(np.arange(4, V))[:5]
        answer = int(rng.integers(5))
        texts.append(
            pack_words(list(passage[:, None]), SPECIALS, question=passage[answer : answer + 1])
        )
        spans.append(span_tokens(texts[-1], answer, answer + 1))
    spans = np.array(spans)
    training.set_seed(0)
    settings = Settings(dimension=32, heads=2, layers=2, length=16, spread=0.2, **BERT)
    reader = encoders.SpanReader(Encoder(V, settings, segments=2))
    training.train(
        reader,
        encoders.span_loss,
        span_batches(texts[:250], spans[:250], SPECIALS, 25),
        epochs=30,
        learning_rate=3e-3,
        device="cpu",
        progress=False,
    )
    found = encoders.predict_spans(reader, [span_batch(texts[250:], SPECIALS)], longest=3)
    assert (found == spans[250:]).all(axis=1).mean() > 0.9


# What is refused


def test_bad_input_is_refused_before_it_is_computed_with():
    model, batch = a_masked_lm(), a_batch()
    nothing = torch.full_like(batch.targets, NOTHING)
    with pytest.raises(ValueError, match="all are NOTHING"):
        masked_lm.masked_loss(model, batch._replace(targets=nothing))
    with pytest.raises(ValueError, match=r"targets must lie in 0 … 12, got 13"):
        masked_lm.masked_loss(model, batch._replace(targets=torch.full_like(nothing, V)))
    with pytest.raises(ValueError, match=r"labels must lie in 0 … 1"):
        masked_lm.pretraining_loss(model, a_batch(np.array([0, 1, 2])))
    with pytest.raises(ValueError, match="next_sentence=True"):
        a_masked_lm(False).next_logits(torch.zeros(1, 2, 8, dtype=torch.float64))
    with pytest.raises(ValueError, match="nothing to score"):
        masked_lm.pseudo_log_likelihood(model, torch.tensor([1, 2]), SPECIALS)
    classifier = randomized(encoders.SequenceClassifier(an_encoder(), 3))
    with pytest.raises(ValueError, match=r"labels must lie in 0 … 2, got 0 … 3"):
        encoders.classification_loss(classifier, a_batch(np.array([0, 3, 1])))
    with pytest.raises(ValueError, match="no labels"):
        encoders.classification_loss(classifier, a_batch())
    with pytest.raises(ValueError, match="one logit"):
        encoders.regression_loss(classifier, a_batch())
    one = randomized(encoders.SequenceClassifier(an_encoder(), 1))
    with pytest.raises(ValueError, match="floats"):
        encoders.regression_loss(one, a_batch(np.array([0, 1, 2])))
    tagger = randomized(encoders.TokenClassifier(an_encoder(), 3))
    with pytest.raises(ValueError, match=r"targets must lie in 0 … 2, got 5 … 11"):
        encoders.tagging_loss(tagger, batch)
    for head in (encoders.SequenceClassifier, encoders.TokenClassifier):
        with pytest.raises(ValueError, match="at least 1"):
            head(an_encoder(), 0)


def test_texts_that_do_not_fit_are_refused():
    model, batch = randomized(encoders.TokenClassifier(an_encoder(), 3)), a_batch()
    with pytest.raises(ValueError, match="17 tokens, but only 16"):
        model(some_ids(1, 17))
    with pytest.raises(ValueError, match="as many lengths"):
        model(batch.ids, batch.lengths[:2], batch.segments)
    with pytest.raises(ValueError, match="segments"):
        model(batch.ids, batch.lengths, batch.segments + 2)


def test_spans_outside_their_passage_are_refused():
    texts, spans = questions()
    for wrong in ([3, 3], [5, 4], [1, 5], [4, 99]):
        bad = spans.copy()
        bad[0] = wrong
        with pytest.raises(ValueError, match="span of text 0"):
            span_batch(texts, SPECIALS, bad)
    reader = randomized(encoders.SpanReader(an_encoder()))
    batch = span_batch(texts, SPECIALS, spans)
    with pytest.raises(ValueError, match="inside its passage"):
        encoders.span_loss(reader, batch._replace(spans=torch.zeros_like(batch.spans)))
    with pytest.raises(ValueError, match="all are NOTHING"):
        encoders.span_loss(reader, span_batch(texts, SPECIALS))
    cut = pack_words([np.array([5]), np.array([6])], SPECIALS, question=np.array([7]), length=5)
    with pytest.raises(ValueError, match="may have been cut"):
        span_tokens(cut, 1, 2)
    for start, end in [(1, 1), (-1, 1), (0, 3)]:
        with pytest.raises(ValueError, match="answer must have words"):
            span_tokens(texts[1], start, end)
    zeros = torch.zeros(1, 3)
    with pytest.raises(ValueError, match="at least 1"):
        encoders.best_span(zeros, zeros, longest=0, allowed=zeros == 0)
    with pytest.raises(ValueError, match="may begin"):
        encoders.best_span(zeros, zeros, longest=1, allowed=zeros == 1)


def test_words_that_cannot_be_packed_are_refused():
    word, empty = np.array([5]), np.array([], dtype=int)
    for words, options, message in [
        ([], {}, "without words"),
        ([word, empty], {}, "word 1 has no pieces"),
        ([word], {"question": empty}, "question has no tokens"),
        ([word], {"length": 2}, "at least 3"),
        ([word], {"question": word, "length": 4}, "at least 5"),
    ]:
        with pytest.raises(ValueError, match=message):
            pack_words(words, SPECIALS, **options)
    text = pack_words([word, word], SPECIALS)
    with pytest.raises(ValueError, match="2 words need as many tags, got 1"):
        tag_targets(text, np.array([0]))
    texts = some_texts(2, 3)
    for make in (in_order, task_batches):
        with pytest.raises(ValueError, match="no texts"):
            make([], SPECIALS, 2)
        with pytest.raises(ValueError, match="batch_size"):
            make(texts, SPECIALS, 0)
        with pytest.raises(ValueError, match="2 texts need as many labels, got 1"):
            make(texts, SPECIALS, 2, labels=np.array([1]))
    some, spans = questions()
    with pytest.raises(ValueError, match="as many spans"):
        span_batches(some, spans[:2], SPECIALS, 2)
    with pytest.raises(ValueError, match="as many spans"):
        span_batch(some, SPECIALS, spans[:2])


# The weights that come with the package


def test_a_masked_model_comes_back_from_its_file(tmp_path):
    training.set_seed(0)
    model, other = (masked_lm.MaskedLM(an_encoder()) for _ in range(2))
    path = tmp_path / "small.safetensors"
    save_weights(model.half().float(), path)
    load_weights(other, path)
    ids = some_ids(2, 6)
    assert torch.equal(model.eval()(ids), other(ids))


def test_the_shipped_model_fills_a_gap_better_than_chance():
    if "bert" not in names():
        pytest.skip("the weights are not made")
    from nlp_course.pretrained import weights_info
    from nlp_course.wordpiece import WordPiece

    about = weights_info("bert").about
    pieces = WordPiece(tuple(about["pieces"]))
    model = masked_lm.MaskedLM(Encoder(len(pieces), Settings(**about["settings"]), segments=2))
    load_weights(model, "bert")
    ids = torch.from_numpy(pieces.encode("the longest river of egypt is the nile ."))
    specials = Specials(*map(pieces.id, ("[PAD]", "[CLS]", "[SEP]", "[MASK]")))
    packed = torch.tensor([specials.cls, *ids.tolist(), specials.sep])
    nats = -masked_lm.pseudo_log_likelihood(model, packed, specials).mean()
    assert nats < 0.3 * math.log(len(pieces))
