"""Instruction tuning: what is asked for, packing, prompts, answers, sums."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from nlp_course import causal_lm, training
from nlp_course import instructions as ins
from nlp_course.batching import NOTHING
from nlp_course.causal import CausalBatch
from nlp_course.data.dataset import Instruction
from nlp_course.data.world import World
from nlp_course.text import UnknownWordError, Vocabulary
from nlp_course.text_to_text import prompt_batch
from nlp_course.transformer import Settings, TransformerLM

TEMPLATE = ins.Template()
ROWS = World(seed=0).instructions(60)
WORDS = Vocabulary.from_sentences(
    [["<pad>", *TEMPLATE.specials]]
    + [part for row in ROWS for part in (row.instruction, row.input, *row.answers)]
)
TEXTS = [ins.conversation([TEMPLATE.turn(row)], WORDS) for row in ROWS]
PAD = WORDS.encode(["<pad>"])[0]


TRAINED_ON = World(seed=3).instructions(1_500)
EVERY = Vocabulary.from_sentences(
    [["<pad>", *TEMPLATE.specials]]
    + [part for row in TRAINED_ON for part in (row.instruction, row.input, *row.answers)]
)


def model(position: str = "rotary") -> TransformerLM:
    training.set_seed(0)
    return TransformerLM(
        len(WORDS),
        Settings(dimension=16, heads=2, layers=2, position=position, spread=0.3),
    ).eval()


# Templates


def test_a_turn_is_the_parts_between_special_tokens():
    row = Instruction("name", ["name", "one", "drink", "."], [], [["tea"], ["milk"]])
    prompt, response = TEMPLATE.turn(row)
    assert prompt == ["<user>", "name", "one", "drink", ".", "<assistant>"]
    assert response == ["tea", "<end>"]
    with_input = TEMPLATE.prompt(["count", "."], ["king", "son"])
    assert with_input == ["<user>", "count", ".", "<input>", "king", "son", "<assistant>"]


@pytest.mark.parametrize("where", [0, 1])
@pytest.mark.parametrize("special", TEMPLATE.specials)
def test_a_user_cannot_write_special_tokens(where, special):
    said = [["count", "."], ["king"]]
    said[where].append(special)
    with pytest.raises(ValueError, match=f"special tokens in what a user says: {special}"):
        TEMPLATE.prompt(*said)


def test_nothing_to_do_and_nothing_said_are_refused():
    with pytest.raises(ValueError, match="at least one word"):
        TEMPLATE.prompt([])
    with pytest.raises(ValueError, match="at least one turn"):
        ins.conversation([], WORDS)
    with pytest.raises(UnknownWordError):
        ins.conversation([ins.Turn(["blargh"], ["<end>"])], WORDS)


def test_prompts_can_be_told_apart_from_one_another():
    """No two different instructions have the same prompt."""
    rows = World(seed=1).instructions(600)
    prompts = {}
    for row in rows:
        prompt = tuple(TEMPLATE.turn(row).prompt)
        key = (tuple(row.instruction), tuple(row.input))
        assert prompts.setdefault(prompt, key) == key


# What is asked for


@pytest.mark.parametrize(("row", "text"), list(zip(ROWS, TEXTS, strict=True))[:20])
def test_asked_are_the_response_and_its_end_and_nothing_else(row, text):
    read, asked = ins.targets(text)
    wanted = asked[asked != NOTHING]
    assert WORDS.decode(wanted) == [*row.response, "<end>"]
    # The first answer's word is asked for where <assistant> is read.
    assert WORDS.decode(read[asked != NOTHING])[0] == "<assistant>"


def test_all_asks_for_every_token_but_the_first():
    for text in TEXTS[:10]:
        read, asked = ins.targets(text, "all")
        assert read.tolist() == text.ids[:-1].tolist()
        assert asked.tolist() == text.ids[1:].tolist()


def test_every_response_of_a_conversation_is_asked_for():
    turns = [TEMPLATE.turn(row) for row in ROWS[:3]]
    text = ins.conversation(turns, WORDS)
    _, asked = ins.targets(text)
    said = [word for turn in turns for word in turn.response]
    assert WORDS.decode(asked[asked != NOTHING]) == said


def test_loss_is_minus_the_log_probability_of_the_response_given_the_prompt():
    """Independent: score_continuations reads the prompt, and goes on from its state."""
    net = model()
    for row, text in zip(ROWS[:8], TEXTS, strict=False):
        batch = next(iter(ins.batches([text], 1, padding=int(PAD))(np.random.default_rng(0))))
        summed, number = causal_lm.next_token_loss(net, batch)
        turn = TEMPLATE.turn(row)
        prompt, response = (WORDS.encode(part) for part in turn)
        [score] = causal_lm.score_continuations(net, prompt, [response])
        assert summed.item() == pytest.approx(-score, rel=1e-4)
        assert number == len(response)


def test_loss_of_all_tokens_is_that_of_prompt_and_response():
    net = model()
    text = TEXTS[0]
    rng = np.random.default_rng(0)
    whole, n = causal_lm.next_token_loss(net, next(iter(ins.batches([text], 1, learn="all")(rng))))
    part, m = causal_lm.next_token_loss(net, next(iter(ins.batches([text], 1)(rng))))
    prompt = len(TEMPLATE.turn(ROWS[0]).prompt)
    logits, _ = net(torch.from_numpy(text.ids[: prompt - 1])[None])
    read = F.cross_entropy(logits[0], torch.from_numpy(text.ids[1:prompt]), reduction="sum")
    assert whole.item() == pytest.approx(part.item() + read.item(), rel=1e-4)
    assert n == m + prompt - 1


def test_prompt_tokens_have_no_gradient_of_their_own_prediction():
    """With responses alone asked for, logits at the prompt's places do not move the loss."""
    batch = next(iter(ins.batches(TEXTS[:4], 4, padding=int(PAD))(np.random.default_rng(0))))
    table = torch.nn.Embedding(batch.inputs.numel(), len(WORDS))  # logits of each place

    class Table(torch.nn.Module):
        def forward(self, ids):
            return table.weight.view(*ids.shape, -1), None

    causal_lm.next_token_loss(Table(), batch)[0].backward()
    moved = table.weight.grad.abs().sum(dim=1) > 0
    assert (moved.view(batch.targets.shape) == (batch.targets != NOTHING)).all()


def test_batches_are_those_of_the_text_to_text_module():
    """The same question in that module's words: a source, START, a target, STOP."""
    turns = [TEMPLATE.turn(row) for row in ROWS[:5]]
    sources = [WORDS.encode(turn.prompt[:-1]) for turn in turns]
    wanted = [WORDS.encode(turn.response[:-1]) for turn in turns]
    [start, stop] = WORDS.encode(["<assistant>", "<end>"]).tolist()
    other = prompt_batch(sources, wanted, start=start, stop=stop, padding=int(PAD))
    for i, text in enumerate(TEXTS[:5]):
        read, asked = ins.targets(text)
        assert other.inputs[i, : len(read)].tolist() == read.tolist()
        assert other.targets[i, : len(read)].tolist() == asked.tolist()


def test_each_text_is_in_one_batch_of_an_epoch_and_padding_is_not_asked_for():
    every: list[tuple[int, ...]] = []
    make = ins.batches(TEXTS, 8, padding=int(PAD))
    for inputs, wanted in make(np.random.default_rng(3)):
        for read, asked in zip(inputs.tolist(), wanted.tolist(), strict=True):
            last = max(i for i, target in enumerate(asked) if target != NOTHING)
            assert set(read[last + 1 :]) <= {int(PAD)}
            every.append(tuple(read[: last + 1]))
    assert sorted(every) == sorted(tuple(text.ids[:-1].tolist()) for text in TEXTS)
    orders = [[b.inputs.tolist() for b in make(np.random.default_rng(s))] for s in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize(("texts", "size", "says"), [([], 4, "no texts"), (TEXTS, 0, "at least 1")])
def test_batches_that_cannot_be_made_are_refused(texts, size, says):
    with pytest.raises(ValueError, match=says):
        list(ins.batches(texts, size)(np.random.default_rng(0)))


# Packing


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(2, 20), min_size=1, max_size=30), st.integers(19, 40))
def test_packed_rows_hold_each_text_once_and_whole(lengths, time):
    texts = [
        ins.Conversation(np.arange(n) + 100 * (i + 1), np.arange(n) > 0)
        for i, n in enumerate(lengths)
    ]
    packed = ins.pack(texts, time)
    found = []
    for inputs, asked, segments in zip(*packed, strict=True):
        for number in range(int(segments.max()) + 1):
            here = (segments == number).nonzero().flatten()
            assert (here.diff() == 1).all()  # one run
            found.append((inputs[here].tolist(), asked[here].tolist()))
        assert (asked[segments < 0] == NOTHING).all()
    expected = [(t.ids[:-1].tolist(), t.ids[1:].tolist()) for t in texts]
    assert sorted(found) == sorted(expected)
    # First fit leaves at most one row that is half empty.
    used = (packed.segments >= 0).sum(dim=1)
    assert sum(int(n) * 2 < time for n in used) <= 1


def test_longest_texts_come_first_and_rows_may_be_full():
    """Of 2, 3, 4 and 3 tokens rows of six make 4 + 2 and 3 + 3; shortest first would need three."""
    texts = [ins.Conversation(np.arange(n + 1), np.arange(n + 1) > 0) for n in (2, 3, 4, 3)]
    packed = ins.pack(texts, time=6)
    assert packed.segments.tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1]]


@pytest.mark.parametrize("position", ins.RELATIVE_POSITIONS)
def test_packed_loss_is_the_sum_of_the_texts_own(position):
    net = model(position)
    packed = ins.pack(TEXTS[:20], time=40, padding=int(PAD))
    assert len(packed.inputs) < 20
    together, number = ins.packed_loss(net, packed)
    alone = [
        causal_lm.next_token_loss(net, batch)
        for text in TEXTS[:20]
        for batch in ins.batches([text], 1)(np.random.default_rng(0))
    ]
    assert together.item() == pytest.approx(sum(one.item() for one, _ in alone), rel=1e-5)
    assert number == sum(n for _, n in alone)


def test_packed_gradients_are_those_of_the_texts_alone():
    def gradient(losses: Any) -> torch.Tensor:
        net = model()
        sum(loss(net)[0] for loss in losses).backward()
        return torch.cat([p.grad.flatten() for p in net.parameters()])

    packed = ins.pack(TEXTS[:6], time=60, padding=int(PAD))
    singles = [next(iter(ins.batches([text], 1)(np.random.default_rng(0)))) for text in TEXTS[:6]]
    one = gradient([lambda net: ins.packed_loss(net, packed)])
    two = gradient([lambda net, b=b: causal_lm.next_token_loss(net, b) for b in singles])
    assert torch.allclose(one, two, rtol=1e-3, atol=1e-4 * two.abs().max().item())


def test_without_the_mask_texts_of_a_row_disturb_each_other():
    net = model()
    packed = ins.pack(TEXTS[:6], time=60, padding=int(PAD))
    together, _ = ins.packed_loss(net, packed)
    plain, _ = causal_lm.next_token_loss(net, CausalBatch(packed.inputs, packed.targets))
    assert plain.item() != pytest.approx(together.item(), rel=1e-3)


@pytest.mark.parametrize("position", ["learned", "sinusoidal"])
def test_absolute_positions_cannot_be_packed(position):
    with pytest.raises(ValueError, match=f"with {position} ones a text depends on its place"):
        ins.packed_loss(model(position), ins.pack(TEXTS[:2], time=60))


def test_texts_that_cannot_be_packed_are_refused():
    with pytest.raises(ValueError, match="no texts to pack"):
        ins.pack([], 10)
    with pytest.raises(ValueError, match="but a row holds 3"):
        ins.pack(TEXTS[:2], 3)


# Prompts and answers


def test_few_shot_prompt_is_a_conversation_that_breaks_off():
    prompt = ins.few_shot(TEMPLATE, ROWS[:2], ROWS[2], WORDS)
    text = ins.conversation([TEMPLATE.turn(row) for row in ROWS[:3]], WORDS)
    answered = len(ROWS[2].response) + 1
    assert prompt.tolist() == text.ids[:-answered].tolist()
    zero = ins.few_shot(TEMPLATE, [], ROWS[2], WORDS)
    assert WORDS.decode(zero) == TEMPLATE.turn(ROWS[2]).prompt


class Parrot:
    """Says the words that follow <user>, one a step, and then ends; or never does."""

    def __init__(self, endless: bool = False) -> None:
        self.endless = endless

    def __call__(self, ids, state):
        text, step = (ids, 0) if state is None else state
        [end] = WORDS.encode(["<end>"])
        words = text[:, 1:-1]
        logits = torch.zeros(len(text), 1, len(WORDS))
        over = step >= words.shape[1]
        following = words[:, step % words.shape[1]] if self.endless or not over else None
        for row in range(len(text)):
            logits[row, 0, end if following is None else following[row]] = 1.0
        return logits, (text, step + 1)


def test_answers_are_in_the_order_of_the_prompts_whatever_their_lengths():
    prompts = [WORDS.encode(TEMPLATE.turn(row).prompt) for row in ROWS]
    said = ins.answer(Parrot(), prompts, WORDS, length=30)
    assert said == [TEMPLATE.turn(row).prompt[1:-1] for row in ROWS]


def test_an_answer_that_does_not_end_is_cut():
    prompts = [WORDS.encode(["<user>", *ROWS[0].instruction[:2], "<assistant>"])]
    [said] = ins.answer(Parrot(endless=True), prompts, WORDS, length=7)
    assert len(said) == 7
    assert "<end>" not in said


def test_no_prompts_have_no_answers():
    assert ins.answer(Parrot(), [], WORDS) == []
    assert ins.accuracy([], []) == {}


def test_accuracy_is_the_share_of_right_answers_of_each_kind():
    rows = [row for row in ROWS if row.kind in ("capital", "name")]
    wrong = ins.accuracy(rows, [["blargh"]] * len(rows))
    assert wrong == {"capital": 0, "name": 0}
    assert set(ins.accuracy(rows, [row.answers[-1] for row in rows]).values()) == {1}
    with pytest.raises(ValueError, match="shorter"):
        ins.accuracy(rows, [["x"]])


# Tuning a small model


def test_a_tiny_model_learns_to_do_what_it_is_told():
    rows = [row for row in TRAINED_ON if row.kind in ("count", "plural")]
    texts = [ins.conversation([TEMPLATE.turn(row)], EVERY) for row in rows]
    training.set_seed(0)
    net = TransformerLM(
        len(EVERY), Settings(dimension=32, heads=4, layers=2, position="rotary", spread=0.15)
    )
    prompts = [EVERY.encode(TEMPLATE.turn(row).prompt) for row in rows[:60]]
    before = np.mean(list(ins.accuracy(rows[:60], ins.answer(net.eval(), prompts, EVERY)).values()))
    training.train(
        net,
        causal_lm.next_token_loss,
        ins.batches(texts, 32),
        steps=100,
        optimizer="adamw",
        learning_rate=8e-3,
        schedule=training.cosine,
        warmup=10,
        clip=1.0,
        device="cpu",
        progress=False,
    )
    after = np.mean(list(ins.accuracy(rows[:60], ins.answer(net, prompts, EVERY)).values()))
    assert before < 0.05
    assert after > 0.8


# A question of several steps

GUESTS = ("john", "mary", "paul", "anna", "king", "queen")


@given(st.permutations(GUESTS), st.integers(0, 5), st.integers(1, 9))
def test_steps_lead_to_the_answer_one_place_at_a_time(table, start, places):
    walk = ins.Walk(tuple(table), table[start], places)
    assert walk.response == [table[(start + places) % 6]]
    assert walk.check(walk.steps)
    assert walk.check(walk.response)
    assert not walk.check([table[(start + places + 1) % 6]])
    assert not walk.check([])
    numbers, guests = walk.steps[::2], walk.steps[1::2]
    assert numbers == list(reversed(ins.COUNT[:places]))
    # Each step is the answer to one place from the step before.
    for before, after in itertools.pairwise([table[start], *guests]):
        assert ins.Walk(tuple(table), before, 1).response == [after]


def test_walks_worked_by_hand():
    walk = ins.Walk(GUESTS, "paul", 2)
    assert walk.question == ["two", "paul"]
    assert walk.steps == ["one", "anna", "zero", "king"]
    assert ins.Walk(GUESTS, "queen", 1).response == ["john"]


def test_walks_are_all_questions_once():
    every = ins.walks(GUESTS, 4)
    assert len(every) == len(set(every)) == 24
    assert {(walk.guest, walk.places) for walk in every} == set(
        itertools.product(GUESTS, range(1, 5))
    )
    with pytest.raises(ValueError, match="each guest sits at one place"):
        ins.walks(["john", "john"], 2)
    for most in (0, 10):
        with pytest.raises(ValueError, match=f"most must lie in 1 … 9, got {most}"):
            ins.walks(GUESTS, most)
