"""A GPT of characters: writes nlp_course/weights/shakespeare_gpt.safetensors.

    python weights/shakespeare_gpt.py

Trains on one core of a CPU, with the settings that nanoGPT's README gives for a CPU, and writes
into the file what it measured besides: the same GPT at a higher learning rate, an LSTM of as many
parameters that reads as many characters, and what each part of the training's recipe is worth to a
smaller model. A training that was broken off goes on from its checkpoint in _build/weights.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nlp_course import (
    causal,
    causal_lm,
    data,
    ngram,
    pretrained,
    recurrent,
    recurrent_lm,
    text,
    training,
)
from nlp_course.transformer import Settings, TransformerLM

ROOT = Path(__file__).resolve().parents[1]
TIME, BATCH_SIZE, STEPS = 64, 12, 2000
SETTINGS: dict[str, Any] = {
    "dimension": 128,
    "heads": 4,
    "layers": 4,
    "length": TIME,
    "bias": False,
}
SMALL: dict[str, Any] = {"dimension": 64, "heads": 4, "layers": 2, "length": TIME, "bias": False}
RATE = 1e-3  # nanoGPT's
LSTM_SIZE = 312  # as many parameters as the transformer
LSTM_RATE = 3e-3
RECIPE_STEPS = 400
RECIPE_RATES = (3e-3, 1e-2, 3e-2)
RECIPE_CHARACTERS = 20_000  # of the validation part, to judge a recipe by
SEEDS = (0, 1, 2)


def nearly_to_zero(done: float) -> float:
    """The cosine, down to a tenth."""
    return 0.1 + 0.9 * training.cosine(done)


def decayed(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters for an optimizer; only matrices are made smaller, not the factors of norms."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


def adamw(model: nn.Module, rate: float, weight_decay: float = 0.1) -> torch.optim.Optimizer:
    """Each step makes the matrices smaller by a share of themselves."""
    return torch.optim.AdamW(decayed(model, weight_decay), lr=rate, betas=(0.9, 0.99))


def adam(model: nn.Module, rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """The decay is a part of the gradient, and is divided as that is."""
    return torch.optim.Adam(decayed(model, weight_decay), lr=rate, betas=(0.9, 0.99))


def train_gpt(
    train: np.ndarray, valid: np.ndarray, size: int, rate: float
) -> tuple[TransformerLM, float]:
    """The transformer, and seconds of CPU without validation."""
    looking = 0.0

    def validate(model: nn.Module) -> float:
        nonlocal looking
        begun = time.process_time()
        nats = float(causal_lm.token_nats(model, valid, TIME).mean())
        looking += time.process_time() - begun
        print(f"validation: {nats:.4f} nats a character", flush=True)
        return nats

    training.set_seed(0)
    model = TransformerLM(size, Settings(**SETTINGS))
    start = time.process_time()
    training.train(
        model,
        causal_lm.next_token_loss,
        causal.random_blocks(train, TIME, BATCH_SIZE, STEPS),
        steps=STEPS,
        optimizer=adamw(model, rate),
        schedule=nearly_to_zero,
        warmup=100,
        clip=1.0,
        validate=validate,
        every=500,
        checkpoint=ROOT / "_build" / "weights" / f"shakespeare_gpt_{rate:g}.pt",
        device="cpu",
    )
    return model, time.process_time() - start - looking


def train_lstm(train: str, valid: str) -> dict[str, float]:
    """An LSTM that reads as many characters; a line's end is STOP."""
    lines, held_out = train.split("\n"), valid.split("\n")
    characters = ngram.language_vocabulary(lines, min_count=1)
    read, judged = ([characters.encode(line) for line in some] for some in (lines, held_out))
    training.set_seed(0)
    model = recurrent_lm.RecurrentLM(
        characters, cell=recurrent.LSTMCell, dimension=LSTM_SIZE, tied=True
    )
    start = time.process_time()
    training.train(
        model,
        recurrent_lm.StreamLoss(),
        recurrent_lm.streams(read, characters, BATCH_SIZE, TIME),
        steps=STEPS,
        learning_rate=LSTM_RATE,
        schedule=nearly_to_zero,
        warmup=100,
        clip=1.0,
        checkpoint=ROOT / "_build" / "weights" / "shakespeare_lstm.pt",
        device="cpu",
    )
    seconds = time.process_time() - start
    nats = -model.log_probabilities(judged)
    parameters = sum(p.numel() for p in model.parameters())
    return {
        "rate": LSTM_RATE,
        "parameters": parameters,
        "seconds": round(seconds),
        "nats": round(nats.mean(), 4),
    }


VARIANTS: dict[str, dict[str, Any]] = {
    "all": {},
    "no warm-up": {"warmup": 0},
    "constant rate": {"schedule": training.constant},
    "no clipping": {"clip": None},
    "no warm-up, no clipping": {"warmup": 0, "clip": None},
    "no weight decay": {"optimizer": lambda m, rate: adamw(m, rate, 0.0)},
    "Adam, 0.1 in the gradient": {"optimizer": lambda m, rate: adam(m, rate, 0.1)},
    "Adam, 0.001 in the gradient": {"optimizer": lambda m, rate: adam(m, rate, 1e-3)},
    "SGD with momentum": {
        "optimizer": lambda m, rate: torch.optim.SGD(m.parameters(), lr=30 * rate, momentum=0.9)
    },
}


def recipe(
    train: np.ndarray, valid: np.ndarray, size: int, rate: float, changes: dict[str, Any]
) -> list[float | None]:
    """Nats a character of small models, a seed each; None where a loss was not finite."""
    results: list[float | None] = []
    for seed in SEEDS:
        training.set_seed(seed)
        model = TransformerLM(size, Settings(**SMALL))
        chosen: dict[str, Any] = {"schedule": nearly_to_zero, "warmup": 40, "clip": 1.0, **changes}
        optimizer = chosen.pop("optimizer", adamw)(model, rate)
        try:
            training.train(
                model,
                causal_lm.next_token_loss,
                causal.random_blocks(train, TIME, BATCH_SIZE, RECIPE_STEPS),
                steps=RECIPE_STEPS,
                optimizer=optimizer,
                device="cpu",
                seed=seed,
                progress=False,
                **chosen,
            )
            nats = causal_lm.token_nats(model, valid[:RECIPE_CHARACTERS], TIME).mean()
            results.append(round(float(nats), 4))
        except FloatingPointError:
            results.append(None)
    return results


def recipes(
    train: np.ndarray, valid: np.ndarray, size: int
) -> dict[str, dict[str, list[float | None]]]:
    """What is left if the training lacks a part, by the part and the learning rate."""
    found: dict[str, dict[str, list[float | None]]] = {}
    for name, changes in VARIANTS.items():
        found[name] = {}
        for rate in RECIPE_RATES:
            found[name][f"{rate:g}"] = recipe(train, valid, size, rate, changes)
            print(name, rate, found[name][f"{rate:g}"], flush=True)
    return found


def main() -> None:
    """Train, measure, write."""
    torch.set_num_threads(1)
    corpus = data.load("tinyshakespeare")
    characters = text.Vocabulary.from_sentences([corpus.text])
    ids = characters.encode(corpus.text)
    border = len(ids) * 9 // 10
    train, valid = np.split(ids, [border])
    model, seconds = train_gpt(train, valid, len(characters), RATE)
    model.half().float()  # what is measured is what is written
    nats = causal_lm.token_nats(model, valid, TIME)
    overlapping = causal_lm.token_nats(model, valid, TIME, stride=TIME // 4)
    faster, _ = train_gpt(train, valid, len(characters), LSTM_RATE)
    faster_nats = float(causal_lm.token_nats(faster, valid, TIME).mean())
    about = {
        "script": f"weights/{Path(__file__).name}",
        "data": "Tiny Shakespeare, characters; the first nine tenths",
        "licence": f"of the data: {corpus.info.licence}",
        "settings": SETTINGS,
        "steps": STEPS,
        "seconds": round(seconds),
        "nats_a_character_on_valid": round(float(nats.mean()), 4),
        "nats_with_stride_16": round(float(overlapping.mean()), 4),
        "nats_at_the_rate_of_the_lstm": round(faster_nats, 4),
        "lstm": train_lstm(corpus.text[:border], corpus.text[border:]),
        "recipes": recipes(train, valid, len(characters)),
        "recipe_settings": {**SMALL, "steps": RECIPE_STEPS, "seeds": SEEDS},
    }
    path = pretrained.FOLDER / "shakespeare_gpt.safetensors"
    pretrained.save_weights(model, path, {"characters": characters}, about)
    info = pretrained.weights_info(path)
    print(f"{info.parameters:,} parameters, {info.size:,} bytes, {seconds:.0f} seconds of CPU")
    print({key: about[key] for key in about if key.startswith("nats")}, about["lstm"])


if __name__ == "__main__":
    main()
