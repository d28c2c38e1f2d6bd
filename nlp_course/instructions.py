"""Instruction tuning: templates, the loss on responses alone, packing, examples in prompts.

An instruction and its response become one text, with special tokens between the parts. A decoder
reads it with teacher forcing, as any text, and is asked for the response only. Nothing else differs
from pretraining: `causal_lm.next_token_loss` and `training.train` are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn import functional as F

from nlp_course import decoding
from nlp_course.batching import NOTHING, Batches, check_sizes, pad, similar_lengths
from nlp_course.causal import CausalBatch, causal_targets
from nlp_course.data.dataset import Instruction
from nlp_course.text import Vocabulary
from nlp_course.transformer import TransformerLM

# Positions that depend on distances alone, so that a text is the same wherever it stands in a row.
RELATIVE_POSITIONS = ("rotary", "relative", "alibi", "none")


class Turn(NamedTuple):
    """What a user says, special tokens first and last, and what the model is to say then."""

    prompt: list[str]
    response: list[str]


class Conversation(NamedTuple):
    """A text of one turn or several, as ids.

    asked : True for each token that the model is to write: responses, and what ends them
    """

    ids: Int[np.ndarray, "token"]
    asked: Bool[np.ndarray, "token"]


@dataclass(frozen=True)
class Template:
    """How the parts of a turn are put together: special tokens that no text can have in it.

    ``<user> instruction <input> input <assistant> response <end>``; without an input, <input> is
    left out.

    Examples
    --------
    >>> row = Instruction("count", ["count", "the", "words", "."], ["king", "son"], [["two"]])
    >>> turn = Template().turn(row)
    >>> " ".join(turn.prompt)
    '<user> count the words . <input> king son <assistant>'
    >>> " ".join(turn.response)
    'two <end>'
    """

    user: str = "<user>"
    input: str = "<input>"
    assistant: str = "<assistant>"
    end: str = "<end>"

    @property
    def specials(self) -> tuple[str, str, str, str]:
        """The tokens that a vocabulary needs besides its words."""
        return self.user, self.input, self.assistant, self.end

    def prompt(self, instruction: Sequence[str], given: Sequence[str] = ()) -> list[str]:
        """What the model reads before it answers.

        Raises
        ------
        ValueError : no instruction, or a special token among the words. A user who could write
            <assistant> could put words into the model's mouth.
        """
        if not instruction:
            raise ValueError("an instruction has at least one word")
        if found := set(self.specials).intersection([*instruction, *given]):
            raise ValueError(f"special tokens in what a user says: {', '.join(sorted(found))}")
        return [self.user, *instruction, *([self.input, *given] if given else []), self.assistant]

    def turn(self, row: Instruction) -> Turn:
        """An instruction with its first right answer."""
        return Turn(self.prompt(row.instruction, row.input), [*row.response, self.end])


def conversation(turns: Sequence[Turn], vocabulary: Vocabulary) -> Conversation:
    """Turns one after the other as ids; the model is asked for the response of each.

    Raises
    ------
    ValueError : no turns.
    UnknownWordError : a word that the vocabulary lacks, as for `Vocabulary.encode`.

    Examples
    --------
    >>> words = Vocabulary.from_sentences([["hi", "<user>", "<assistant>", "hello", "<end>"]])
    >>> turn = Turn(["<user>", "hi", "<assistant>"], ["hello", "<end>"])
    >>> conversation([turn, turn], words).asked.astype(int).tolist()
    [0, 0, 0, 1, 1, 0, 0, 0, 1, 1]
    """
    if not turns:
        raise ValueError("a conversation has at least one turn")
    words = [word for turn in turns for part in turn for word in part]
    asked = [[False] * len(prompt) + [True] * len(response) for prompt, response in turns]
    return Conversation(vocabulary.encode(words), np.concatenate(asked))


def few_shot(
    template: Template, shown: Sequence[Instruction], row: Instruction, vocabulary: Vocabulary
) -> Int[np.ndarray, "token"]:
    """The ids of a prompt that has other instructions with their answers before its own.

    Parameters
    ----------
    shown : the examples, in order; none makes a zero-shot prompt

    References
    ----------
    Brown et al. 2020, Language Models are Few-Shot Learners, section 2.
    """
    turns = [template.turn(one) for one in shown]
    words = [word for turn in turns for part in turn for word in part]
    return vocabulary.encode([*words, *template.prompt(row.instruction, row.input)])


# What is trained on


def targets(
    text: Conversation, learn: Literal["response", "all"] = "response"
) -> tuple[Int[np.ndarray, "time"], Int[np.ndarray, "time"]]:
    """What a decoder reads at each place, and what it is asked for there.

    J = −Σ_t m_t log p(x_t | x_1 … x_{t−1}), where m_t is 1 for tokens of responses, and 0 else

    Parameters
    ----------
    learn : "response" asks for responses; "all" for every token, m_t = 1, as in pretraining

    Examples
    --------
    >>> text = Conversation(np.array([5, 6, 7, 8]), np.array([False, False, True, True]))
    >>> [part.tolist() for part in targets(text)]
    [[5, 6, 7], [-100, 7, 8]]
    """
    read, following = causal_targets(text.ids)
    return read, np.where(text.asked[1:] | (learn == "all"), following, NOTHING)


def batches(
    texts: Sequence[Conversation],
    batch_size: int,
    *,
    learn: Literal["response", "all"] = "response",
    padding: int = 0,
    pool: int = 100,
) -> Batches:
    """Conversations of similar length together, in a new random order each epoch.

    Parameters
    ----------
    texts : at least one
    batch_size : texts in a batch
    learn : as for `targets`
    padding : id of what stands after a text's end; it is never asked for
    pool : batches among which texts are sorted, see `batching.similar_lengths`

    Returns
    -------
    What `training.train` takes as its batches: each is a `CausalBatch`.

    Raises
    ------
    ValueError : no texts, or a size below 1.
    """
    check_sizes(batch_size=batch_size, pool=pool)
    if not texts:
        raise ValueError("there are no texts to make batches of")
    pairs = [targets(text, learn) for text in texts]
    lengths = np.array([len(read) for read, _ in pairs])

    def drawn(rng: np.random.Generator) -> Iterator[CausalBatch]:
        for chosen in similar_lengths(lengths, batch_size, rng, pool):
            read, asked = zip(*(pairs[i] for i in chosen), strict=True)
            yield CausalBatch(pad(read, padding)[0], pad(asked, NOTHING)[0])

    return drawn


class PackedBatch(NamedTuple):
    """Several conversations in each row.

    segments : which conversation of its row a token belongs to; −1 for padding
    """

    inputs: Int[Tensor, "batch time"]
    targets: Int[Tensor, "batch time"]
    segments: Int[Tensor, "batch time"]


def pack(texts: Sequence[Conversation], time: int, padding: int = 0) -> PackedBatch:
    """Conversations side by side in rows of one length, so that little of them is padding.

    First fit, the longest first: each text goes into the first row that has room for it. Where two
    meet, the first does not predict the second, and `packed_loss` keeps them from seeing each
    other.

    Raises
    ------
    ValueError : no texts, or one that is longer than a row.

    Examples
    --------
    >>> texts = [Conversation(np.arange(n), np.arange(n) > 1) for n in (3, 5, 4)]
    >>> packed = pack(texts, time=6)
    >>> packed.inputs.tolist()
    [[0, 1, 2, 3, 0, 1], [0, 1, 2, 0, 0, 0]]
    >>> packed.segments.tolist()
    [[0, 0, 0, 0, 1, 1], [0, 0, 0, -1, -1, -1]]
    """
    if not texts:
        raise ValueError("there are no texts to pack")
    pairs = sorted(map(targets, texts), key=lambda pair: -len(pair[0]))
    if len(pairs[0][0]) > time:
        raise ValueError(f"a text has {len(pairs[0][0])} tokens to read, but a row holds {time}")
    rows: list[list[tuple[np.ndarray, np.ndarray]]] = []
    room: list[int] = []
    for read, asked in pairs:
        place = next((i for i, left in enumerate(room) if left >= len(read)), len(rows))
        if place == len(rows):
            rows.append([])
            room.append(time)
        rows[place].append((read, asked))
        room[place] -= len(read)
    inputs = np.full((len(rows), time), padding)
    wanted, segments = np.full_like(inputs, NOTHING), np.full_like(inputs, -1)
    for i, row in enumerate(rows):
        start = 0
        for number, (read, asked) in enumerate(row):
            here = slice(start, start := start + len(read))
            inputs[i, here], wanted[i, here], segments[i, here] = read, asked, number
    return PackedBatch(*map(torch.from_numpy, (inputs, wanted, segments)))


def packed_loss(model: TransformerLM, batch: PackedBatch) -> tuple[Tensor, int]:
    """What `causal_lm.next_token_loss` gives for each text by itself, of all texts in the rows.

    A token attends to those before it in its own text: the mask is block-diagonal.

    Raises
    ------
    ValueError : a model with absolute positions, to which a text would be another one at another
        place of a row.

    References
    ----------
    Krell et al. 2021, Efficient Sequence Packing without Cross-contamination.
    """
    if model.settings.position not in RELATIVE_POSITIONS:
        raise ValueError(
            f"packing needs positions that are relative, {', '.join(RELATIVE_POSITIONS)}: with "
            f"{model.settings.position} ones a text depends on its place in the row"
        )
    segments = batch.segments
    same = segments[:, None, :, None] == segments[:, None, None, :]  # (batch, 1, time, time)
    h, _ = model.stack(model.embedding(batch.inputs), mask=same)
    wanted = batch.targets.flatten()
    logits = model.output(h).flatten(0, 1)
    summed = F.cross_entropy(logits, wanted, reduction="sum", ignore_index=NOTHING)
    return summed, int((wanted != NOTHING).sum())


# What is asked of a model


def answer(
    model: decoding.LanguageModel,
    prompts: Sequence[Int[np.ndarray, "_"]],
    vocabulary: Vocabulary,
    *,
    end: str = "<end>",
    length: int = 16,
) -> list[list[str]]:
    """What a model says after each prompt, by the likeliest token in each place, up to the end.

    Prompts of one length are read side by side, so that none needs padding.

    Parameters
    ----------
    model : any with the course's interface
    end : the token that ends a response; it is not part of the answer
    length : tokens of a response at most

    Raises
    ------
    ValueError : as for `decoding.greedy`.
    """
    found: list[list[str]] = [[] for _ in prompts]
    lengths = np.array([len(prompt) for prompt in prompts])
    [stop] = vocabulary.encode([end]).tolist()
    for size in np.unique(lengths):
        rows = np.flatnonzero(lengths == size).tolist()
        ids = torch.from_numpy(np.stack([prompts[i] for i in rows]))
        for i, new in zip(
            rows, decoding.greedy(model, ids, length, stop=stop).tolist(), strict=True
        ):
            found[i] = vocabulary.decode(new[: new.index(stop)] if stop in new else new)
    return found


def accuracy(rows: Sequence[Instruction], answers: Sequence[Sequence[str]]) -> dict[str, float]:
    """The share of right answers to the instructions of each kind.

    Raises
    ------
    ValueError : not one answer a row.

    Examples
    --------
    >>> row = Instruction("name", ["name", "one", "drink", "."], [], [["tea"], ["milk"]])
    >>> accuracy([row, row], [["milk"], ["cake"]])
    {'name': 0.5}
    """
    right: dict[str, list[bool]] = {}
    for row, said in zip(rows, answers, strict=True):
        right.setdefault(row.kind, []).append(row.check(said))
    return {kind: float(np.mean(every)) for kind, every in right.items()}


# A question of several steps


COUNT = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Walk(NamedTuple):
    """Who sits so many places on from a guest of a round table?

    table : guests in order; the first sits beside the last
    places : 1 to 9
    """

    table: tuple[str, ...]
    guest: str
    places: int

    @property
    def question(self) -> list[str]:
        """The number of places, and from whom."""
        return [COUNT[self.places], self.guest]

    @property
    def response(self) -> list[str]:
        """The answer at once."""
        return self.steps[-1:]

    @property
    def steps(self) -> list[str]:
        """One place after the other, with the number of those left; the answer is the last word.

        Examples
        --------
        >>> " ".join(Walk(("john", "mary", "paul", "anna"), "paul", 3).steps)
        'two anna one john zero mary'
        """
        place = self.table.index(self.guest)
        written = []
        for gone in range(1, self.places + 1):
            written += [COUNT[self.places - gone], self.table[(place + gone) % len(self.table)]]
        return written

    def check(self, said: Sequence[str]) -> bool:
        """Whether the last word of what was said is right, whatever steps led there."""
        return list(said[-1:]) == self.response


def walks(table: Sequence[str], most: int) -> list[Walk]:
    """Every question on a table of up to so many places.

    Raises
    ------
    ValueError : a guest who sits at the table twice, or places not in 1 … 9.
    """
    if len(set(table)) != len(table):
        raise ValueError("each guest sits at one place")
    if not 1 <= most < len(COUNT):
        raise ValueError(f"most must lie in 1 … {len(COUNT) - 1}, got {most}")
    return [Walk(tuple(table), guest, n) for n in range(1, most + 1) for guest in table]
