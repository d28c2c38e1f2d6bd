"""Six small transformers with other positions: writes nlp_course/weights/positions_*.safetensors.

    python weights/positions.py

Trains on one core of a CPU, on pieces of 64 characters of Shakespeare, each kind of position from
two seeds, and measures the loss by place on pieces of 256. The weights of seed 0 are written,
with what was measured for both. A training that was broken off goes on from its checkpoint in
_build/weights.
"""

from __future__ import annotations

import time
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from nlp_course import causal, causal_lm, data, pretrained, text, training
from nlp_course.transformer import Settings, TransformerLM
from nlp_course.transformer_blocks import POSITIONS

ROOT = Path(__file__).resolve().parents[1]
LENGTH = 64  # characters of a piece in training
FURTHEST = 256  # of a piece in evaluation
SPAN = 16  # places that a stated loss is the mean of
SEEDS = (0, 1)
SIZES = {"dimension": 64, "heads": 4, "layers": 2, "length": LENGTH}


@torch.no_grad()
def by_place(model: TransformerLM, ids: np.ndarray) -> np.ndarray:
    """Mean loss at each place of all pieces that begin 0, 64, 128, … characters into the text."""
    places = FURTHEST if model.settings.position != "learned" else LENGTH
    starts = np.arange(0, len(ids) - FURTHEST, LENGTH)
    total = np.zeros(places)
    for some in np.array_split(starts, len(starts) // 32):
        rows = torch.from_numpy(ids[some[:, None] + np.arange(places + 1)])
        logits, _ = model(rows[:, :-1])
        nats = F.cross_entropy(logits.transpose(1, 2), rows[:, 1:], reduction="none")
        total += nats.sum(dim=0).numpy()
    return total / len(starts)


def main() -> None:
    """Train, measure, write."""
    torch.set_num_threads(1)
    corpus = data.load("tinyshakespeare")
    characters = text.Vocabulary.from_sentences([corpus.text])
    ids = characters.encode(corpus.text)
    train, valid = np.split(ids, [len(ids) * 9 // 10])
    batches = causal.random_blocks(train, LENGTH, batch_size=16, steps=2500)
    models: dict[str, TransformerLM] = {}
    measured: dict[str, list[list[float]]] = {position: [] for position in POSITIONS}
    start = time.process_time()
    for seed, position in product(SEEDS, POSITIONS):
        training.set_seed(seed)
        model = TransformerLM(len(characters), Settings(position=position, **SIZES))
        history = training.train(
            model,
            causal_lm.next_token_loss,
            batches,
            epochs=1,
            optimizer="adamw",
            learning_rate=3e-3,
            weight_decay=0.1,
            schedule=training.cosine,
            warmup=100,
            clip=1.0,
            checkpoint=ROOT / "_build" / "weights" / f"positions_{position}_{seed}.pt",
            device="cpu",
            seed=seed,
        )
        model.half().float()  # what is measured is what is written
        spans = by_place(model, valid).reshape(-1, SPAN).mean(axis=1)
        measured[position].append([round(float(nats), 4) for nats in spans])
        models.setdefault(position, model)
        print(f"{position}, seed {seed}: {history.steps} steps,", *measured[position][-1])
    for position, model in models.items():
        about = {
            "script": f"weights/{Path(__file__).name}",
            "data": "Tiny Shakespeare, characters; the first nine tenths",
            "licence": f"of the data: {corpus.info.licence}",
            "settings": {"position": position, **SIZES},
            "nats_a_character_by_place": measured[position],
            "places_of_each": SPAN,
            "seeds": SEEDS,
        }
        path = pretrained.FOLDER / f"positions_{position}.safetensors"
        pretrained.save_weights(model, path, {"characters": characters}, about)
        info = pretrained.weights_info(path)
        print(f"{position}: {info.parameters:,} parameters, {info.size:,} bytes")
    print(f"{time.process_time() - start:,.0f} seconds of CPU since the last start")


if __name__ == "__main__":
    main()
