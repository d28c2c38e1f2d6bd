"""A GPT of World's words: writes nlp_course/weights/instructions.safetensors.

    python weights/instructions.py

Trains on one core of a CPU, on sentences of World, some of them said twice, and on its lists. No
instruction is among them: the page tunes the model to follow instructions. What tuning brings under
other conditions is measured here and written into the file: with a loss on all tokens, with one
wording of each kind, from random weights; three seeds each. A training that was broken off goes on
from its checkpoint in _build/weights.
"""

from __future__ import annotations

import copy
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nlp_course import causal, causal_lm, instructions, pretrained, training
from nlp_course.data import world_instructions
from nlp_course.data.world import World
from nlp_course.text import Vocabulary
from nlp_course.transformer import Settings, TransformerLM

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = instructions.Template()
SETTINGS: dict[str, Any] = {
    "dimension": 64,
    "heads": 4,
    "layers": 3,
    "position": "rotary",
    "spread": 0.1,
    "bias": False,
}
SENTENCES, LISTS = 40_000, 20_000
TIME, BATCH_SIZE, STEPS, RATE = 64, 32, 2000, 4e-3
TUNING: dict[str, Any] = {"examples": 8000, "batch_size": 32, "steps": 600, "rate": 4e-3}
SEEDS = (0, 1, 2)
JUDGED = 600  # instructions of each split
CONDITIONS: dict[str, dict[str, Any]] = {
    "response": {},
    "all tokens": {"learn": "all"},
    "one wording": {"wordings": 1},
    "random weights": {"scratch": True},
}


def words() -> Vocabulary:
    """Padding, the template's tokens, and every word of World."""
    every = world_instructions.vocabulary(World().grammar)
    return Vocabulary.from_sentences([every], specials=("<pad>", *TEMPLATE.specials))


def text(vocabulary: Vocabulary, seed: int, share: float = 1.0) -> np.ndarray:
    """Sentences, every third said twice, and lists, in random order; each ends with <end>."""
    world = World(seed)
    parts = [
        sentence * (2 if i % 3 == 0 else 1)
        for i, sentence in enumerate(world.sentences(int(share * SENTENCES)))
    ]
    parts += world.lists(int(share * LISTS))
    random.Random(seed).shuffle(parts)
    return vocabulary.encode([word for part in parts for word in (*part, TEMPLATE.end)])


def pretrain(vocabulary: Vocabulary) -> tuple[TransformerLM, float]:
    """The model, and seconds of CPU."""
    training.set_seed(0)
    model = TransformerLM(len(vocabulary), Settings(**SETTINGS))
    start = time.process_time()
    training.train(
        model,
        causal_lm.next_token_loss,
        causal.random_blocks(text(vocabulary, seed=1), TIME, BATCH_SIZE, STEPS),
        steps=STEPS,
        optimizer="adamw",
        learning_rate=RATE,
        schedule=training.cosine,
        warmup=50,
        clip=1.0,
        checkpoint=ROOT / "_build" / "weights" / "instructions.pt",
        device="cpu",
    )
    return model, time.process_time() - start


def tune(
    base: TransformerLM,
    vocabulary: Vocabulary,
    seed: int,
    learn: Any = "response",
    wordings: int = 4,
    scratch: bool = False,
) -> dict[str, float]:
    """The mean accuracy over kinds in each split, after a tuning with one thing changed."""
    training.set_seed(seed)
    model = TransformerLM(len(vocabulary), Settings(**SETTINGS)) if scratch else copy.deepcopy(base)
    rows = World(seed=100 + seed).instructions(TUNING["examples"], wordings=wordings)
    texts = [instructions.conversation([TEMPLATE.turn(row)], vocabulary) for row in rows]
    training.train(
        model,
        causal_lm.next_token_loss,
        instructions.batches(texts, TUNING["batch_size"], learn=learn),
        steps=TUNING["steps"],
        optimizer="adamw",
        learning_rate=TUNING["rate"],
        schedule=training.cosine,
        warmup=20,
        clip=1.0,
        device="cpu",
        seed=seed,
        progress=False,
    )
    found = {}
    for split in world_instructions.SPLITS:
        judged = World(seed=99).instructions(JUDGED, split)
        prompts = [instructions.few_shot(TEMPLATE, [], row, vocabulary) for row in judged]
        right = instructions.accuracy(judged, instructions.answer(model, prompts, vocabulary))
        found[split] = round(float(np.mean(list(right.values()))), 4)
    return found


def main() -> None:
    """Train, measure, write."""
    torch.set_num_threads(1)
    vocabulary = words()
    model, seconds = pretrain(vocabulary)
    model.half().float()  # what is measured is what is written
    held_out = text(vocabulary, seed=2, share=0.02)
    nats = float(causal_lm.token_nats(model, held_out, TIME).mean())
    tuned: dict[str, list[dict[str, float]]] = {}
    for name, changes in CONDITIONS.items():
        tuned[name] = [tune(model, vocabulary, seed, **changes) for seed in SEEDS]
        print(name, tuned[name], flush=True)
    about = {
        "script": f"weights/{Path(__file__).name}",
        "data": f"World: {SENTENCES:,} sentences, every third twice, and {LISTS:,} lists",
        "licence": "of the data: World is of this package",
        "settings": SETTINGS,
        "steps": STEPS,
        "seconds": round(seconds),
        "nats_a_word_held_out": round(nats, 4),
        "tuning": TUNING,
        "tuned": tuned,
    }
    path = pretrained.FOLDER / "instructions.safetensors"
    pretrained.save_weights(model, path, {"words": vocabulary}, about)
    info = pretrained.weights_info(path)
    print(f"{info.parameters:,} parameters, {info.size:,} bytes, {seconds:.0f} seconds of CPU")
    print(f"{nats:.4f} nats a word")


if __name__ == "__main__":
    main()
