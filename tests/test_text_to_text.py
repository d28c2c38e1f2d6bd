"""Tasks as text, prompts for decoders, prefix masks, and the answers that models write."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course import training  # noqa: E402
from nlp_course.attention import causal_mask  # noqa: E402
from nlp_course.batching import NOTHING  # noqa: E402
from nlp_course.data.dataset import (  # noqa: E402
    AlignedTranslation,
    LabelledPair,
    LabelledText,
    Rating,
    SpanQuestion,
    TaggedSentence,
    Translation,
)
from nlp_course.pretraining import denoising_batch  # noqa: E402
from nlp_course.text_to_text import (  # noqa: E402
    PrefixLM,
    answer_loss,
    as_text,
    exact_match,
    prefix_mask,
    prompt_batch,
    prompt_batches,
    write_answers,
)
from nlp_course.transformer import EncoderDecoder, Settings, TransformerLM  # noqa: E402

V, START, STOP = 12, 1, 2
KINDS = (EncoderDecoder, TransformerLM, PrefixLM)


def model_of(kind, **settings):
    training.set_seed(0)
    return kind(V, Settings(**{"dimension": 16, "heads": 2, "layers": 2, "spread": 0.3} | settings))


def ids(*numbers):
    return np.array(numbers, dtype=np.int64)


# Tasks as text


@pytest.mark.parametrize(
    ("record", "source", "target"),
    [
        (Translation("Two dogs.", "Zwei Hunde."), "do it : Two dogs .", "Zwei Hunde ."),
        (AlignedTranslation(["two", "dogs"], ["fod"], [(0, 0)]), "do it : two dogs", "fod"),
        (LabelledText([["a", "film", "."], ["bad", "."]], "neg"), "do it : a film . bad .", "neg"),
        (
            LabelledPair(["he", "ran"], ["he", "sat"], "neutral"),
            "do it premise : he ran hypothesis : he sat",
            "neutral",
        ),
        (
            SpanQuestion(["he", "drank", "tea", "."], ["what", "?"], 2, 3, "object"),
            "do it : what ? context : he drank tea .",
            "tea",
        ),
        (TaggedSentence(["he", "ran"], ["PRP", "VBD"]), "do it : he ran", "PRP VBD"),
    ],
)
def test_each_kind_of_record_is_put_as_text(record, source, target):
    example = as_text(record, "do it")
    assert " ".join(example.source) == source
    assert " ".join(example.target) == target


def test_a_prefix_without_words_and_an_unknown_record_are_refused():
    with pytest.raises(ValueError, match="prefix has at least one word"):
        as_text(LabelledText([["a"]], "neg"), "  ")
    with pytest.raises(TypeError, match="Rating"):
        as_text(Rating("a", "b", 1.0), "similar")


# Prompts


def test_a_prompt_asks_for_the_target_and_stop_alone():
    batch = prompt_batch([ids(5, 6, 7), ids(8)], [ids(9), ids(10, 11)], start=START, stop=STOP)
    assert batch.inputs.tolist() == [[5, 6, 7, START, 9], [8, START, 10, 11, 0]]
    nothing = NOTHING
    assert batch.targets.tolist() == [
        [nothing, nothing, nothing, 9, STOP],
        [nothing, 10, 11, STOP, nothing],
    ]
    assert batch.prefixes.tolist() == [4, 2]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=5))
def test_a_prompt_asks_for_the_same_tokens_as_an_encoder_decoder_is_asked_for(sizes):
    draw = np.random.default_rng(0)
    sources = [draw.integers(3, V, size=n) for n, _ in sizes]
    targets = [draw.integers(3, V, size=m) for _, m in sizes]
    prompts = prompt_batch(sources, targets, start=START, stop=STOP)
    pairs = denoising_batch(sources, targets, start=START, stop=STOP)
    for asked, wanted in zip(prompts.targets, pairs.targets, strict=True):
        assert asked[asked != NOTHING].tolist() == wanted[wanted != NOTHING].tolist()


def test_every_pair_is_in_one_batch_of_an_epoch():
    sources = [ids(*range(3, 3 + n)) for n in (1, 5, 2, 4, 3)]
    targets = [ids(number + 3) for number in range(5)]
    batches = prompt_batches(sources, targets, 2, start=START, stop=STOP)
    found = [
        row[row != NOTHING][0].item() for b in batches(np.random.default_rng(0)) for row in b[1]
    ]
    assert sorted(found) == [3, 4, 5, 6, 7]


def test_prompts_are_the_same_when_an_epoch_is_gone_through_twice():
    batches = prompt_batches([ids(n) for n in range(3, 9)], [ids(3)] * 6, 2, start=1, stop=2)
    epoch = batches(np.random.default_rng(3))
    once, again = ([b.inputs.tolist() for b in epoch] for _ in range(2))
    assert once == again
    assert len(epoch) == len(once) == 3


def test_prompts_refuse_bad_input():
    with pytest.raises(ValueError, match="as many targets"):
        prompt_batch([ids(3)], [], start=START, stop=STOP)
    with pytest.raises(ValueError, match="as many targets"):
        prompt_batches([ids(3)], [], 2, start=START, stop=STOP)
    with pytest.raises(ValueError, match="no texts"):
        prompt_batches([], [], 2, start=START, stop=STOP)
    with pytest.raises(ValueError, match="batch_size"):
        prompt_batches([ids(3)], [ids(3)], 0, start=START, stop=STOP)


# Prefixes


def test_a_prefix_of_at_most_one_token_leaves_a_causal_mask():
    mask = prefix_mask(torch.tensor([0, 1]), 4)
    assert torch.equal(mask[0, 0], causal_mask(4, 4))
    assert torch.equal(mask[1, 0], causal_mask(4, 4))


def test_a_prefix_of_all_tokens_hides_nothing():
    assert prefix_mask(torch.tensor([3]), 3).all()


@pytest.mark.parametrize("prefix", [-1, 4])
def test_a_prefix_longer_than_its_text_is_refused(prefix):
    with pytest.raises(ValueError, match=r"0 … 3"):
        prefix_mask(torch.tensor([prefix]), 3)


def moved(model, place, prefixes=None):
    """Places whose logits move where the token at one place changes."""
    one = torch.arange(3, 9)[None]
    other = one.clone()
    other[0, place] = 10
    named = {} if prefixes is None else {"prefixes": prefixes}
    with torch.no_grad():
        difference = (model(one, **named)[0] - model(other, **named)[0]).abs().amax(dim=2)[0]
    return difference.nonzero().flatten().tolist()


def test_inside_a_prefix_tokens_see_each_other_and_after_it_only_what_came_before():
    model = model_of(PrefixLM).eval()
    assert moved(model, 2, torch.tensor([3])) == [0, 1, 2, 3, 4, 5]
    assert moved(model, 4, torch.tensor([3])) == [4, 5]
    assert moved(model_of(TransformerLM).eval(), 2) == [2, 3, 4, 5]


def test_without_a_prefix_a_prefix_model_is_the_decoder_with_the_same_weights():
    prefix, decoder = model_of(PrefixLM).eval(), model_of(TransformerLM).eval()
    text = torch.arange(3, 9)[None]
    with torch.no_grad():
        expected, _ = decoder(text)
        found, _ = prefix(text, prefixes=torch.tensor([0]))
    assert torch.allclose(found, expected, atol=1e-6)


def test_reading_on_from_a_prefix_is_reading_all_at_once():
    model = model_of(PrefixLM).eval()
    text = torch.arange(3, 10)[None]
    with torch.no_grad():
        whole, _ = model(text, prefixes=torch.tensor([4]))
        _, state = model(text[:, :4])
        further, state = model(text[:, 4:6], state)
        last, state = model(text[:, 6:], state)
    assert torch.allclose(torch.cat([further, last], 1), whole[:, 4:], atol=1e-5)
    assert state.length == 7


def test_relative_positions_of_a_prefix_model_tell_before_from_after():
    decoder, prefix = (
        model_of(kind, position="relative").stack.position for kind in (TransformerLM, PrefixLM)
    )
    after = torch.ones(5, 5).triu(1).bool()
    assert decoder.bias(5, 5)[:, after].unique(dim=1).shape[1] == 1
    above = prefix.bias(5, 5)
    for near in range(1, 5):
        assert not torch.isclose(above[:, 0, near], above[:, near, 0]).any()
        assert not torch.isclose(above[:, 0, near], above[:, 0, 0]).any()


def test_a_prefix_model_refuses_prefixes_that_do_not_fit():
    model = model_of(PrefixLM)
    text = torch.arange(3, 6)[None]
    _, state = model(text)
    with pytest.raises(ValueError, match="where a text begins"):
        model(text, state, torch.tensor([1]))
    with pytest.raises(ValueError, match="1 texts need as many prefixes, got 2"):
        model(text, prefixes=torch.tensor([1, 1]))


def test_padding_changes_nothing_of_what_is_asked():
    sources, targets = [ids(5, 6, 7), ids(8)], [ids(9), ids(10)]
    for kind in (TransformerLM, PrefixLM):
        model = model_of(kind).eval()
        together, number = answer_loss(model, prompt_batch(sources, targets, start=1, stop=2))
        apart = [
            answer_loss(model, prompt_batch([s], [t], start=1, stop=2))[0]
            for s, t in zip(sources, targets, strict=True)
        ]
        assert number == 4
        assert torch.allclose(together, sum(apart), atol=1e-4)


def test_a_prefix_model_is_told_its_prefixes_in_training():
    batch = prompt_batch([ids(5, 6, 7)], [ids(9)], start=START, stop=STOP)
    model = model_of(PrefixLM).eval()
    told, _ = answer_loss(model, batch)
    causal, _ = answer_loss(model, batch._replace(prefixes=torch.tensor([0])))
    assert not torch.isclose(told, causal)


# Answers


def greedy_by_hand(model, source, length):
    """One source, each token from a pass over everything."""
    written = []
    for _ in range(length):
        if isinstance(model, EncoderDecoder):
            read = torch.tensor([[START, *written]])
            state = model.encode(torch.tensor([source]), torch.tensor([len(source)]))
            logits, _ = model(read, state)
        else:
            read = torch.tensor([[*source, START, *written]])
            prefix = {"prefixes": torch.tensor([len(source) + 1])}
            logits, _ = model(read, **(prefix if isinstance(model, PrefixLM) else {}))
        token = int(logits[0, -1].argmax())
        if token == STOP:
            break
        written.append(token)
    return written


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_answers_are_those_of_one_source_at_a_time(kind, batch_size):
    model = model_of(kind).train()
    draw = np.random.default_rng(1)
    sources = [draw.integers(3, V, size=n) for n in (3, 5, 3, 1, 4, 3)]
    found = write_answers(model, sources, 5, start=START, stop=STOP, batch_size=batch_size)
    assert model.training
    model.eval()
    with torch.no_grad():
        expected = [greedy_by_hand(model, source.tolist(), 5) for source in sources]
    assert [answer.tolist() for answer in found] == expected
    assert len({tuple(answer) for answer in expected}) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_each_model_learns_to_write_a_source_backwards_and_to_stop(kind):
    draw = np.random.default_rng(0)
    sources = [draw.integers(3, V, size=2) for _ in range(48)]
    targets = [source[::-1].copy() for source in sources]
    model = model_of(kind, dimension=32, layers=1, spread=0.1)
    if kind is EncoderDecoder:
        batch = denoising_batch(sources, targets, start=1, stop=2)
    else:
        batch = prompt_batch(sources, targets, start=1, stop=2)
    training.train(
        model,
        answer_loss,
        lambda _: [batch],
        steps=60,
        learning_rate=5e-3,
        device="cpu",
        progress=False,
    )
    written = write_answers(model, sources, 6, start=START, stop=STOP)
    assert exact_match(written, targets) > 0.95


def test_a_loss_refuses_the_other_kind_of_batch():
    pairs = denoising_batch([ids(3)], [ids(4)], start=START, stop=STOP)
    prompts = prompt_batch([ids(3)], [ids(4)], start=START, stop=STOP)
    with pytest.raises(TypeError, match="EncoderDecoder cannot read a PromptBatch"):
        answer_loss(model_of(EncoderDecoder), prompts)
    for kind in (TransformerLM, PrefixLM):
        with pytest.raises(TypeError, match="takes a PromptBatch"):
            answer_loss(model_of(kind), pairs)


def test_the_loss_is_minus_log_p_of_the_answer():
    model = model_of(EncoderDecoder).eval()
    batch = denoising_batch([ids(5, 6), ids(7)], [ids(8), ids(9, 10)], start=START, stop=STOP)
    summed, number = answer_loss(model, batch)
    logits, _ = model(batch.inputs, model.encode(batch.source, batch.source_lengths))
    nats = -torch.log_softmax(logits, dim=2)
    wanted = nats[0, 0, 8] + nats[0, 1, STOP] + nats[1, 0, 9] + nats[1, 1, 10] + nats[1, 2, STOP]
    assert number == 5
    assert torch.allclose(summed, wanted, atol=1e-4)


def test_write_answers_refuses_bad_sizes():
    with pytest.raises(ValueError, match="length"):
        write_answers(model_of(TransformerLM), [ids(3)], 0, start=START, stop=STOP)


def test_exact_match_counts_whole_answers():
    wanted = [ids(5, 6), ids(7), ids()]
    assert exact_match(wanted, wanted) == 1
    assert exact_match([ids(6, 5), ids(7, 7), ids()], wanted) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="3 answers were wanted, got 1"):
        exact_match([ids(5)], wanted)
    with pytest.raises(ValueError, match="no answers"):
        exact_match([], [])
