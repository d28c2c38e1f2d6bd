"""Decoding: greedy, sampling and beam search, for every language model of the course."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course import (  # noqa: E402
    data,
    decoding,
    huggingface,
    ngram,
    seq2seq,
    training,
    transformer,
)
from nlp_course.decoding_processors import (  # noqa: E402
    MinP,
    NoRepeatNgram,
    NothingLeftError,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopP,
    Typical,
)
from nlp_course.feedforward import FeedForwardLM  # noqa: E402
from nlp_course.ngram_models import AddK, MaximumLikelihood  # noqa: E402
from nlp_course.recurrent import GRUCell, LSTMCell  # noqa: E402
from nlp_course.recurrent_lm import RecurrentLM  # noqa: E402

TEXT = [line.split() for line in ("the dog barks", "the cat sleeps", "the dog sleeps", "a cat")]
VOCABULARY = ngram.language_vocabulary(TEXT, min_count=1)
SENTENCES = [VOCABULARY.encode(line) for line in TEXT]
# Without ties, which greedy search and a draw at a low temperature break in different ways.
UNEQUAL = [
    words for words, times in zip(SENTENCES, (7, 4, 2, 1), strict=True) for _ in range(times)
]
START, STOP = VOCABULARY.id("<s>"), VOCABULARY.id("</s>")
V = len(VOCABULARY)
BEGIN = torch.tensor([[START], [VOCABULARY.id("the")]])


def randomized(model, seed=0, spread=1.0):
    """Weights so large that the model has preferences, which depend on all it has read."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = spread * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def markov(*rows):
    """A model without memory: the next token's probabilities after each token."""
    log_p = torch.tensor(rows).log()
    return lambda ids, state: (log_p[ids], state)


def a_transformer(position="learned", seed=0):
    settings = transformer.Settings(
        dimension=8, heads=2, layers=2, length=12, hidden=16, position=position
    )
    return randomized(transformer.TransformerLM(V, settings), seed, spread=0.7)


def an_encoder_decoder():
    settings = transformer.Settings(dimension=8, heads=2, layers=2, length=12)
    model = randomized(transformer.EncoderDecoder(V, settings), spread=0.5)
    return model, model.encode(torch.tensor([[3, 4, 5], [6, 0, 0]]), torch.tensor([3, 1]))


def a_translator(attention):
    model = seq2seq.EncoderDecoder(VOCABULARY, VOCABULARY, hidden=8, attention=attention)
    model = randomized(model, spread=0.6)
    return model, model.encode(torch.tensor([[3, 4, 5], [6, 0, 0]]), torch.tensor([3, 1]))


MODELS = {
    "n-gram": lambda: (
        AddK(ngram.count_ngrams(UNEQUAL, VOCABULARY, order=3), 0.1),
        None,
    ),
    "feed-forward": lambda: (randomized(FeedForwardLM(VOCABULARY, window=3, dimension=6)), None),
    "GRU": lambda: (randomized(RecurrentLM(VOCABULARY, cell=GRUCell, dimension=6)), None),
    "LSTM": lambda: (
        randomized(RecurrentLM(VOCABULARY, cell=LSTMCell, dimension=6, layers=2)),
        None,
    ),
    "transformer": lambda: (a_transformer(), None),
    "rotary": lambda: (a_transformer("rotary"), None),
    "transformer with encoder": an_encoder_decoder,
    "encoder and decoder": lambda: a_translator(None),
    "encoder, attention, decoder": lambda: a_translator("additive"),
}


@pytest.fixture(params=MODELS)
def model_and_state(request):
    training.set_seed(0)
    return MODELS[request.param]()


@torch.no_grad()
def log_probability(model, state, begin, new):
    """Of new tokens after others, read at one go: (rows,)."""
    logits, _ = model(torch.cat([begin, new], dim=1)[:, :-1], state)
    log_p = torch.log_softmax(logits.float(), dim=-1)[:, begin.shape[1] - 1 :]
    return log_p.gather(2, new[:, :, None])[:, :, 0].sum(dim=1)


def best_of_all(model, state, begin, length, stop, alpha):
    """Every text there is, scored: of the first row, the best and its log p."""
    first = torch.tensor([0])
    state, begin = decoding.select_rows(state, first), begin[:1]
    found = {}
    for text in product(range(V), repeat=length):
        n = text.index(stop) + 1 if stop in text else length
        found.setdefault(text[:n], None)
    scored = []
    for n in range(1, length + 1):
        texts = torch.tensor([text for text in found if len(text) == n])
        if len(texts):
            rows = torch.zeros(len(texts), dtype=torch.long)
            log_p = log_probability(
                model, decoding.select_rows(state, rows), begin.expand(len(texts), -1), texts
            )
            scored += zip((log_p / n**alpha).tolist(), texts.tolist(), log_p.tolist(), strict=True)
    return sorted(scored, reverse=True)


# Greedy


def test_greedy_takes_the_likeliest_token_after_those_it_took():
    model = markov([0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.7, 0.2, 0.1])
    assert decoding.greedy(model, torch.tensor([[2], [1]]), 4).tolist() == [
        [0, 1, 2, 0],
        [2, 0, 1, 2],
    ]


def test_what_follows_stop_is_stop_and_nothing_follows_when_all_have_stopped():
    model = markov([0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.7, 0.2, 0.1])
    found = decoding.greedy(model, torch.tensor([[2], [0]]), 9, stop=1)
    assert found.tolist() == [[0, 1], [1, 1]]


def test_greedy_with_a_state_is_greedy_without(model_and_state):
    model, state = model_and_state
    found = decoding.greedy(model, BEGIN, 6, state=state)
    ids = BEGIN
    for _ in range(6):
        with torch.no_grad():
            logits, _ = model(ids, state)
        ids = torch.cat([ids, logits[:, -1:].argmax(dim=-1)], dim=1)
    assert torch.equal(found, ids[:, 1:])


def test_processors_are_told_the_prompt_and_what_was_written():
    seen = []

    def watch(ids, logits):
        seen.append(ids.tolist())
        return logits

    model = markov([0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.7, 0.2, 0.1])
    decoding.greedy(model, torch.tensor([[2, 0]]), 3, processors=[watch])
    assert seen == [[[2, 0]], [[2, 0, 1]], [[2, 0, 1, 2]]]


def test_greedy_takes_the_likeliest_that_processors_leave():
    # After 0 comes 1, after 1 comes 0, and so on, unless a pair may not come again.
    model = markov([0.1, 0.6, 0.3], [0.8, 0.1, 0.1], [0.7, 0.2, 0.1])
    begin = torch.tensor([[0]])
    assert decoding.greedy(model, begin, 5).tolist() == [[1, 0, 1, 0, 1]]
    found = decoding.greedy(model, begin, 5, processors=[NoRepeatNgram(2)])
    assert found.tolist() == [[1, 0, 2, 0, 0]]


def test_a_text_that_is_over_needs_no_token():
    # No token may come twice. The first text stops at once; the second has used up all others.
    model = markov([1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0])
    begin = torch.tensor([[1, 1], [1, 2]])
    for choose in (decoding.greedy, decoding.sample):
        found = choose(model, begin, 4, processors=[NoRepeatNgram(1)], stop=0)
        assert found.tolist() == [[0, 0], [3, 0]]
        with pytest.raises(NothingLeftError, match="for text 0"):
            choose(model, begin, 4, processors=[NoRepeatNgram(1)])


def test_a_beam_without_a_token_left_ends_nowhere():
    model = markov([0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.5, 0.25, 0.25])
    found = decoding.beam_search(model, torch.tensor([[0]]), 3, 3, processors=[NoRepeatNgram(1)])
    assert (found.log_probabilities == -torch.inf).all()
    found = decoding.beam_search(model, torch.tensor([[0]]), 2, 3, processors=[NoRepeatNgram(1)])
    assert found.ids[0, :2].tolist() in ([[1, 2], [2, 1]], [[2, 1], [1, 2]])
    # Not made to sum to 1: a quarter times a quarter, though there was no other way.
    np.testing.assert_allclose(found.log_probabilities[0].exp(), [1 / 16, 1 / 16, 0], rtol=1e-6)


# Sampling


def test_texts_are_drawn_from_the_models_own_distribution():
    model = randomized(RecurrentLM(VOCABULARY, cell=GRUCell, dimension=8))
    drawn = decoding.sample(model, torch.full((20_000, 1), START), length=2)
    share = torch.bincount(drawn[:, 0], minlength=V) / len(drawn)
    np.testing.assert_allclose(share, model.distribution(np.array([], dtype=np.int64)), atol=0.02)
    word = int(share.argmax())
    after = drawn[drawn[:, 0] == word, 1]
    share = torch.bincount(after, minlength=V) / len(after)
    np.testing.assert_allclose(share, model.distribution(np.array([word])), atol=0.03)


def test_a_wait_of_nothing_lets_no_forbidden_token_be_first(monkeypatch):
    """Generators of single precision draw a 0 now and then."""
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self, **_: self.zero_())

    def model(ids, state):
        return torch.tensor([[[-torch.inf, 0.0, -torch.inf]]]), state

    assert decoding.sample(model, torch.tensor([[0]]), 1).tolist() == [[1]]


def test_any_model_with_the_interface_can_be_sampled():
    table = MaximumLikelihood(ngram.count_ngrams(SENTENCES, VOCABULARY, order=3))
    drawn = decoding.sample(table, torch.full((3, 1), START), length=9, seed=1)
    texts = {tuple(words) for words in TEXT}
    for row in drawn.tolist():
        cut = [at for at, token in enumerate(row) if token == STOP]
        for begin, end in zip([-1, *cut[:-1]], cut, strict=True):
            assert tuple(VOCABULARY.decode(row[begin + 1 : end])) in texts


def test_the_same_seed_gives_the_same_text():
    model, start = a_transformer(), torch.full((2, 1), START)
    one, same = (decoding.sample(model, start, 10, seed=3) for _ in range(2))
    assert torch.equal(one, same)
    assert not torch.equal(one, decoding.sample(model, start, 10, seed=4))


def test_a_text_that_stops_stays_as_it_was_drawn():
    model = markov([0.1, 0.3, 0.6], [0.4, 0.3, 0.3], [0.5, 0.2, 0.3])
    begin = torch.zeros(50, 1, dtype=torch.long)
    free = decoding.sample(model, begin, 12, seed=2)
    stopped = decoding.sample(model, begin, 12, seed=2, stop=1)
    first = (free == 1).int().argmax(dim=1)
    assert ((free == 1).any(dim=1)).sum() > 30
    for row, kept, end in zip(free.tolist(), stopped.tolist(), first.tolist(), strict=True):
        if 1 in row:
            assert kept == row[: end + 1] + [1] * (len(kept) - end - 1)


@pytest.mark.parametrize("processor", [Temperature(1e-4), TopK(1), TopP(1e-6), MinP(1.0)])
def test_sampling_at_its_limit_is_greedy(processor, model_and_state):
    model, state = model_and_state
    found = decoding.sample(model, BEGIN, 6, processors=[processor], state=state)
    assert torch.equal(found, decoding.greedy(model, BEGIN, 6, state=state))


@pytest.mark.parametrize(
    ("processors", "expected"),
    [
        ([], [0.5, 0.3, 0.15, 0.05]),
        ([Temperature(0.5)], [0.6849, 0.2466, 0.0616, 0.0068]),  # squares, divided by 0.365
        ([TopK(2)], [0.625, 0.375, 0, 0]),
        ([TopK(9)], [0.5, 0.3, 0.15, 0.05]),
        ([TopP(0.79)], [0.625, 0.375, 0, 0]),
        ([TopP(0.81)], [0.5263, 0.3158, 0.1579, 0]),
        ([TopP(1.0)], [0.5, 0.3, 0.15, 0.05]),
        ([Temperature(0.5), TopP(0.9)], [0.7353, 0.2647, 0, 0]),  # of what temperature leaves
        ([TopP(0.9), Temperature(0.5)], [0.6897, 0.2483, 0.0621, 0]),  # the other way round
        ([TopK(2), TopP(0.6)], [1, 0, 0, 0]),  # of 0.625 and 0.375
    ],
)
def test_tokens_are_drawn_as_often_as_the_kept_probabilities_say(processors, expected):
    model = markov(*[[0.5, 0.3, 0.15, 0.05]] * 4)
    drawn = decoding.sample(
        model, torch.zeros(4000, 1, dtype=torch.long), 10, processors=processors
    )
    share = torch.bincount(drawn.flatten(), minlength=4) / drawn.numel()
    np.testing.assert_allclose(share, expected, atol=0.012)
    assert all((share == 0) == (torch.tensor(expected) == 0))


# Beams


def test_one_beam_is_greedy(model_and_state):
    model, state = model_and_state
    for stop in (None, STOP):
        expected = decoding.greedy(model, BEGIN, 6, stop=stop, state=state)
        found = decoding.beam_search(model, BEGIN, 6, 1, length_penalty=0, stop=stop, state=state)
        assert torch.equal(found.ids[:, 0], expected)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("stop", [None, STOP])
def test_log_probabilities_are_those_of_the_texts_read_at_one_go(model_and_state, stop, alpha):
    model, state = model_and_state
    found = decoding.beam_search(model, BEGIN, 5, 3, length_penalty=alpha, stop=stop, state=state)
    for row in range(2):
        place = torch.tensor([row])
        for text, log_p in zip(found.ids[row], found.log_probabilities[row], strict=True):
            end = text.tolist().index(STOP) + 1 if stop in text.tolist() else len(text)
            expected = log_probability(
                model, decoding.select_rows(state, place), BEGIN[place], text[None, :end]
            )
            torch.testing.assert_close(log_p, expected[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 3.0, -1.0])
@pytest.mark.parametrize("stop", [None, STOP])
def test_beams_as_many_as_texts_find_the_best_of_all(stop, alpha):
    for model, state in (
        (a_transformer(seed=1), None),
        (randomized(RecurrentLM(VOCABULARY, dimension=6)), None),
        an_encoder_decoder(),
    ):
        expected = best_of_all(model, state, BEGIN, 3, -1 if stop is None else stop, alpha)
        found = decoding.beam_search(
            model, BEGIN, 3, V**2, length_penalty=alpha, stop=stop, state=state
        )
        for number in range(5):
            _, text, log_p = expected[number]
            assert found.ids[0, number, : len(text)].tolist() == text
            np.testing.assert_allclose(found.log_probabilities[0, number], log_p, rtol=1e-4)


def test_each_row_is_searched_as_if_alone(model_and_state):
    model, state = model_and_state
    together = decoding.beam_search(model, BEGIN, 6, 3, stop=STOP, state=state)
    for row in range(2):
        place = torch.tensor([row])
        alone = decoding.beam_search(
            model, BEGIN[place], 6, 3, stop=STOP, state=decoding.select_rows(state, place)
        )
        steps = alone.ids.shape[2]
        assert torch.equal(together.ids[row, :, :steps], alone.ids[0])
        assert (together.ids[row, :, steps:] == STOP).all()
        torch.testing.assert_close(together.log_probabilities[row], alone.log_probabilities[0])


def test_a_search_leaves_the_state_it_begins_from_as_it_was(model_and_state):
    model, state = model_and_state
    with torch.no_grad():
        for token in BEGIN.T:  # one after another, so that a cache has room to be written to
            _, state = model(token[:, None], state)
        expected, _ = model(BEGIN, state)
        for _ in range(2):
            decoding.beam_search(model, BEGIN, 5, 3, state=state)
        found, _ = model(BEGIN, state)
    assert found.equal(expected)


def test_prompts_whose_beams_part_at_different_places_do_not_disturb_each_other():
    model = a_transformer("rotary")
    for first in range(V):
        begin = torch.arange(V).roll(first)[:, None]
        ids, found = decoding.beam_search(model, begin, 16, 3)
        read = log_probability(model, None, begin.repeat_interleave(3, dim=0), ids.flatten(0, 1))
        assert found.flatten().numpy() == pytest.approx(read.numpy(), abs=1e-4)


def test_two_beams_find_what_greedy_misses():
    # Greedy goes to 1 (0.6), whose continuations share it; over 2 the text has 0.4 · 0.9 = 0.36.
    model = markov([0.0, 0.6, 0.4, 0.0], [0.4, 0.3, 0.3, 0.0], [0.0, 0.0, 0.1, 0.9], [0.0, 0, 0, 1])
    start = torch.tensor([[0]])
    assert decoding.greedy(model, start, 2).tolist() == [[1, 0]]
    found = decoding.beam_search(model, start, 2, 2)
    assert found.ids[0].tolist() == [[2, 3], [1, 0]]
    np.testing.assert_allclose(found.log_probabilities[0].exp(), [0.36, 0.24], rtol=1e-6)


def test_the_length_penalty_chooses_between_short_and_long():
    # Stopping at once has 0.4; going on has 0.6 and then stops for certain.
    model = markov([0.0, 0.6, 0.4], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0])
    start = torch.tensor([[0]])
    first = {
        alpha: decoding.beam_search(model, start, 5, 2, length_penalty=alpha, stop=2).ids[0, 0]
        for alpha in (-3.0, 0.0, 1.0)
    }
    assert first[0.0].tolist() == [1, 2]  # 0.6 > 0.4
    assert first[1.0].tolist() == [1, 2]
    assert first[-3.0].tolist() == [2, 2]  # log 0.6 · 8 < log 0.4


def test_fewer_texts_than_beams_have_log_probability_minus_infinity():
    model = markov([0.0, 0.5, 0.5], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0])
    found = decoding.beam_search(model, torch.tensor([[0]]), 2, 5, stop=2, length_penalty=0.0)
    np.testing.assert_allclose(found.log_probabilities[0, :2], np.log([0.5, 0.5]), rtol=1e-6)
    assert (found.log_probabilities[0, 2:] == -torch.inf).all()


def test_rows_of_a_state_may_come_twice_and_in_any_order(model_and_state):
    model, state = model_and_state
    rows = torch.tensor([1, 0, 1])
    with torch.no_grad():
        _, after = model(BEGIN, state)
        read = torch.tensor([[4], [5], [6]])
        expected = torch.cat(
            [
                model(token[None], decoding.select_rows(after, row[None]))[0]
                for row, token in zip(rows, read, strict=True)
            ]
        )
        found, _ = model(read, decoding.select_rows(after, rows))
    torch.testing.assert_close(found, expected)
    assert decoding.select_rows(None, rows) is None


def test_an_unknown_state_says_what_it_needs():
    with pytest.raises(TypeError, match=r"rows of a dict .* method select"):
        decoding.select_rows({"a": 1}, torch.tensor([0]))


# The same as Hugging Face's


@pytest.fixture(scope="module")
def trained():
    """A GPT-2 that has read Shakespeare's letters for a few seconds, theirs and ours."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    text = "".join(data.load("tinyshakespeare").text)
    letters = sorted(set(text))
    ids = torch.tensor([letters.index(letter) for letter in text[:200_000]])
    training.set_seed(0)
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=len(letters), n_positions=64, n_embd=48, n_layer=2, n_head=4,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
        )
    )  # fmt: skip
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=3e-3)
    for _ in range(150):
        places = torch.randint(len(ids) - 33, (16, 1)) + torch.arange(33)
        block = ids[places]
        logits = theirs(block[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), block[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 2.7  # of log 65 = 4.2: it has learned what letters follow each other
    prompts = torch.stack([ids[at : at + 8] for at in (0, 500, 1000, 1500)])
    return theirs.eval(), huggingface.gpt2(theirs), prompts, letters


@pytest.mark.real_data
def test_greedy_is_hugging_faces(trained):
    theirs, ours, prompts, letters = trained
    expected = theirs.generate(
        prompts, max_new_tokens=40, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    found = decoding.greedy(ours, prompts, 40)
    assert torch.equal(found, expected[:, 8:])
    assert len(set(found.flatten().tolist())) > 5
    stop = letters.index(" ")
    expected = theirs.generate(
        prompts, max_new_tokens=40, do_sample=False, eos_token_id=stop, pad_token_id=stop
    )
    assert torch.equal(decoding.greedy(ours, prompts, 40, stop=stop), expected[:, 8:])


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("options", "processors"),
    [
        ({}, []),
        ({"temperature": 0.7, "top_k": 9}, [Temperature(0.7), TopK(9)]),
        ({"top_p": 0.8}, [TopP(0.8)]),
        ({"min_p": 0.2}, [MinP(0.2)]),
        ({"typical_p": 0.6}, [Typical(0.6)]),
        (
            {"repetition_penalty": 1.3, "no_repeat_ngram_size": 3, "temperature": 0.9},
            [RepetitionPenalty(1.3), NoRepeatNgram(3), Temperature(0.9)],
        ),
    ],
)
def test_samples_with_the_same_random_numbers_are_hugging_faces(trained, options, processors):
    theirs, ours, prompts, _ = trained
    torch.manual_seed(5)
    expected = theirs.generate(
        prompts, max_new_tokens=30, do_sample=True, eos_token_id=None, pad_token_id=0,
        **{"top_k": 0} | options,
    )  # fmt: skip
    found = decoding.sample(ours, prompts, 30, processors=processors, seed=5)
    assert torch.equal(found, expected[:, 8:])


@pytest.mark.real_data
@pytest.mark.parametrize("stops", [None, " "])
@pytest.mark.parametrize(
    ("options", "processors"),
    [
        ({"no_repeat_ngram_size": 2}, [NoRepeatNgram(2)]),
        ({"repetition_penalty": 1.5}, [RepetitionPenalty(1.5)]),
    ],
)
def test_beams_with_processors_are_hugging_faces(trained, stops, options, processors):
    theirs, ours, prompts, letters = trained
    stop = None if stops is None else letters.index(stops)
    answer = theirs.generate(
        prompts, max_new_tokens=20, num_beams=4, num_return_sequences=4, do_sample=False,
        eos_token_id=stop, pad_token_id=0 if stop is None else stop,
        early_stopping="never", **options,
    )  # fmt: skip
    found = decoding.beam_search(ours, prompts, 20, 4, processors=processors, stop=stop)
    plain = decoding.beam_search(ours, prompts, 20, 4, stop=stop)
    expected = answer[:, 8:].unflatten(0, (4, 4))
    assert torch.equal(found.ids[:, :, : expected.shape[2]], expected)
    assert not torch.equal(found.log_probabilities, plain.log_probabilities)


@pytest.mark.real_data
@pytest.mark.parametrize("stops", [None, " ", "e", "\n"])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
def test_beams_are_hugging_faces(trained, stops, alpha):
    theirs, ours, prompts, letters = trained
    stop = None if stops is None else letters.index(stops)
    answer = theirs.generate(
        prompts, max_new_tokens=20, num_beams=4, num_return_sequences=4, do_sample=False,
        length_penalty=alpha, eos_token_id=stop, pad_token_id=0 if stop is None else stop,
        early_stopping="never", output_scores=True, return_dict_in_generate=True,
    )  # fmt: skip
    found = decoding.beam_search(ours, prompts, 20, 4, length_penalty=alpha, stop=stop)
    expected = answer.sequences[:, 8:].unflatten(0, (4, 4))
    steps = expected.shape[2]
    assert torch.equal(found.ids[:, :, :steps], expected)
    lengths = torch.full((4, 4), steps)
    if stop is not None:
        ended = (expected == stop).any(dim=2)
        lengths = torch.where(ended, (expected == stop).int().argmax(dim=2) + 1, lengths)
    scores = found.log_probabilities / lengths**alpha
    torch.testing.assert_close(scores.flatten(), answer.sequences_scores, rtol=1e-4, atol=1e-4)


# Bad input


@pytest.mark.parametrize(
    ("ids", "options", "message"),
    [
        (torch.empty(2, 0, dtype=torch.long), {}, "begins with at least one token"),
        (BEGIN, {"length": 0}, "length must be at least 1"),
    ],
)
def test_texts_that_cannot_be_sampled_are_refused(ids, options, message):
    with pytest.raises(ValueError, match=message):
        decoding.sample(a_transformer(), ids, **{"length": 2} | options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beams": 0}, "beams must be at least 1, got 0"),
        ({"length": 0}, "length must be at least 1"),
        ({"length_penalty": float("nan")}, "length_penalty must be finite"),
        ({"ids": BEGIN[:, :0]}, "begins with at least one token"),
        ({"length": 13}, "learned vector"),  # 13 tokens are read, and there are 12 places
    ],
)
def test_searches_that_cannot_be_done_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        decoding.beam_search(a_transformer(), **{"ids": BEGIN, "length": 2, "beams": 2} | options)
