"""Small language models of several sizes, each trained on so many characters and measured.

What a scaling law is fitted to: one text, one recipe, and nothing that differs between two runs but
the model's size, the number of characters, and the learning rate that suits the size. No character
is read twice. `nlp_course.scaling.runs` gives the runs that come with the package.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor, nn

from nlp_course import data, training
from nlp_course.causal import CausalBatch, causal_targets
from nlp_course.causal_lm import next_token_loss
from nlp_course.scaling import EXACT, Run
from nlp_course.text import Vocabulary
from nlp_course.transformer import Settings, TransformerLM

TIME = 64  # characters of a piece: no character is predicted from more
HELD_OUT_EVERY = 20  # documents
HELD_OUT_CHARACTERS = 64 * TIME  # of each of these, its beginning


class Characters(NamedTuple):
    """A text's characters as ids, in pieces of 65: 64 to read, and 64 to predict, one later.

    train : pieces of the documents that are trained on, in the text's order
    held_out : pieces of the others' beginnings
    kinds : what kind of text each held-out piece is of
    characters : what an id stands for
    """

    train: Int[np.ndarray, "piece time"]
    held_out: Int[np.ndarray, "held time"]
    kinds: list[str]
    characters: Vocabulary


def brown_characters() -> Characters:
    """The Brown Corpus, character by character; every twentieth document is held out.

    Tokens are joined by blanks, sentences by line ends.
    """
    reader = data.load("brown").reader
    names = reader.fileids()
    documents = ["\n".join(map(" ".join, reader.sents(name))) + "\n" for name in names]
    characters = Vocabulary.from_sentences(documents)
    train, held_out, kinds = [], [], []
    for number, (name, document) in enumerate(zip(names, documents, strict=True)):
        ids = characters.encode(document)
        if number % HELD_OUT_EVERY:
            train.append(ids)
            continue
        held_out.append(_pieces(ids[: HELD_OUT_CHARACTERS + 1]))
        kinds += reader.categories(name) * len(held_out[-1])
    return Characters(_pieces(np.concatenate(train)), np.concatenate(held_out), kinds, characters)


def _pieces(ids: Integer[np.ndarray, "_"]) -> Int[np.ndarray, "piece time"]:
    """The last character of a piece, which is only predicted, is the first of the next."""
    starts = np.arange(0, len(ids) - TIME, TIME)
    return ids[starts[:, None] + np.arange(TIME + 1)].astype(np.int64)


def small_settings(dimension: int, layers: int) -> Settings:
    """The form that all sizes share: rotary positions, no biases, heads of about 16 numbers."""
    return Settings(
        dimension,
        heads=max(1, round(dimension / 16)),
        layers=layers,
        length=TIME,
        position="rotary",
        bias=False,
        spread=dimension**-0.5,
    )


def train_once(
    model: nn.Module,
    corpus: Characters,
    tokens: int,
    *,
    learning_rate: float,
    batch_size: int = 8,
    seed: int = 0,
    loss: training.Loss = next_token_loss,
) -> float:
    """Train a model on so many characters, each read once, and leave it in evaluation mode.

    AdamW, weight decay 0.1, gradients cut to length 1. The learning rate rises in the first
    twentieth of the steps and falls as a cosine, to nothing at the last: a schedule that does not
    end with its run makes short runs look worse than they need to be (Hoffmann et al. 2022).

    Parameters
    ----------
    tokens : D, a whole number of batches of batch_size · 64; what is more is left out
    seed : which pieces are drawn, and in which order
    loss : as for `training.train`

    Returns
    -------
    Seconds of the processor's time.

    Raises
    ------
    ValueError : fewer tokens than a batch has, or more than the corpus.
    """
    steps = tokens // (batch_size * TIME)
    number = steps * batch_size
    if not 1 <= number <= len(corpus.train):
        raise ValueError(
            f"tokens must lie in {batch_size * TIME:,} … {len(corpus.train) * TIME:,}, one batch "
            f"and all of the text, got {tokens:,}"
        )
    order = np.random.default_rng(seed).permutation(len(corpus.train))[:number]
    inputs, targets = map(torch.from_numpy, causal_targets(corpus.train[order]))
    batches = training.shuffled(inputs, targets, batch_size=batch_size)
    start = time.process_time()
    training.train(
        model,
        lambda model, batch: loss(model, CausalBatch(*batch)),
        batches,
        epochs=1,
        optimizer="adamw",
        learning_rate=learning_rate,
        weight_decay=0.1,
        schedule=training.cosine,
        warmup=math.ceil(steps / 20),
        clip=1.0,
        device="cpu",
        seed=seed,
        progress=False,
    )
    return time.process_time() - start


class Judged(NamedTuple):
    """What a model knows of held-out pieces.

    loss : nats a character
    exact : share of stretches of so many characters (`scaling.EXACT`) that are guessed whole
    """

    loss: float
    exact: tuple[float, ...]


@torch.no_grad()
def judge(model: nn.Module, pieces: Int[np.ndarray, "piece time"]) -> Judged:
    """Loss and exact matches on held-out pieces, none of their characters left out.

    A stretch of k characters is guessed whole if each is the model's most probable one, given the
    true ones before it. Stretches do not overlap: a piece has 64/k.
    """
    nats, right = [], []
    for some in np.array_split(pieces, max(1, len(pieces) // 64)):
        inputs, targets = map(torch.from_numpy, causal_targets(some))
        log_p: Float[Tensor, "batch time vocabulary"] = model(inputs)[0].log_softmax(-1)
        nats.append(-log_p.gather(2, targets[..., None]).flatten())
        right.append(log_p.argmax(-1) == targets)
    hits = torch.cat(right)  # (piece, time)
    exact = tuple(round(float(hits.unflatten(1, (-1, k)).all(-1).float().mean()), 5) for k in EXACT)
    return Judged(round(float(torch.cat(nats).double().mean()), 5), exact)


def train_run(
    corpus: Characters,
    dimension: int,
    layers: int,
    tokens: int,
    *,
    learning_rate: float,
    seed: int = 0,
    show: Callable[[str], object] | None = None,
) -> Run:
    """One point of a scaling law: a model of this size, trained on so many characters, judged.

    Parameters
    ----------
    corpus : such as `brown_characters()`
    dimension, layers : see `small_settings`
    tokens, learning_rate, seed : as for `train_once`; initial weights depend on the seed too
    show : called with a line about the run once it is done, such as `print`

    Examples
    --------
    A run that is too short to be of use:

    >>> corpus = Characters(
    ...     np.zeros((8, 65), int), np.zeros((2, 65), int), [], Vocabulary(("a",), np.array([1]))
    ... )
    >>> run = train_run(corpus, 16, 1, tokens=512, learning_rate=0.01)
    >>> run.non_embedding, run.parameters, run.tokens
    (3120, 3136, 512)
    """
    training.set_seed(seed)
    model = TransformerLM(len(corpus.characters), small_settings(dimension, layers))
    seconds = train_once(model, corpus, tokens, learning_rate=learning_rate, seed=seed)
    judged = judge(model, corpus.held_out)
    parameters = sum(p.numel() for p in model.parameters())
    run = Run(
        dimension,
        layers,
        parameters,
        parameters - model.embedding.weight.numel(),
        tokens,
        judged.loss,
        judged.exact,
        learning_rate,
        seed,
        round(seconds, 1),
    )
    if show is not None:
        show(
            f"d {dimension}, {layers} layers, N {run.non_embedding:,}, D {tokens:,}, rate "
            f"{learning_rate:g}, seed {seed}: {run.loss:.4f} nats, {run.seconds} s"
        )
    return run
