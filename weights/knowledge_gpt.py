"""A GPT that has read World's knowledge base: writes knowledge_gpt.safetensors and knowledge.json.

    python weights/knowledge_gpt.py

Trains from three seeds on one core of a CPU, and measures each model's recall from within: what
cutting edges of attention costs, what of a subject can be read at its name, which sublayers write
the answer, and how well a probe on the name's vector estimates what the model knows, before and
after more training on some people. Weights of the first seed are shipped; nlp_course/weights/
knowledge.json holds what was measured of all three. What was broken off goes on from
_build/weights/knowledge, where each training is kept.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nlp_course import causal, causal_lm, pretrained, training
from nlp_course.data.world import World
from nlp_course.interpretability_knowledge import Reader
from nlp_course.interpretability_measures import measures
from nlp_course.text import Vocabulary
from nlp_course.transformer import Settings, TransformerLM

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINTS = ROOT / "_build" / "weights" / "knowledge"
SEEDS = (0, 1, 2)
TIME, BATCH_SIZE, STEPS, RATE = 48, 32, 1500, 4e-3
TOKENS_A_TEXT = 12  # about: so many texts are drawn that there are as many tokens as are read
SETTINGS: dict[str, Any] = {
    "dimension": 64,
    "heads": 4,
    "layers": 6,
    "length": TIME,
    "bias": False,
    "spread": 0.1,
    "norm": "rms",
    "position": "rotary",
}


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    """Only matrices are made smaller, not the factors of norms."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98))


def train(ids: np.ndarray, words: int, seed: int) -> tuple[TransformerLM, float]:
    """The model, and seconds of CPU; kept, so that a second call reads it."""
    path = CHECKPOINTS / f"{seed}.pt"
    training.set_seed(seed)
    model = TransformerLM(words, Settings(**SETTINGS))
    if path.exists():
        kept = torch.load(path)
        model.load_state_dict(kept["weights"])
        return model.eval(), kept["seconds"]
    start = time.process_time()
    training.train(
        model,
        causal_lm.next_token_loss,
        causal.random_blocks(ids, TIME, BATCH_SIZE, STEPS),
        steps=STEPS,
        optimizer=adamw(model),
        schedule=training.cosine,
        warmup=60,
        clip=1.0,
        device="cpu",
        seed=seed,
    )
    seconds = time.process_time() - start
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"weights": model.state_dict(), "seconds": seconds}, path)
    return model, seconds


def main() -> None:
    """Train, measure, write."""
    torch.set_num_threads(1)
    base = World(seed=0).facts()
    vocabulary = Vocabulary.from_sentences([base.vocabulary])
    texts = base.texts(STEPS * BATCH_SIZE * TIME // TOKENS_A_TEXT)
    ids = vocabulary.encode(word for text in texts for word in text)
    runs = []
    for seed in SEEDS:
        model, seconds = train(ids, len(vocabulary), seed)
        model.half().float()  # what is measured is what is written
        if seed == SEEDS[0]:
            about = {
                "script": f"weights/{Path(__file__).name}",
                "data": "World's knowledge base of seed 0",
                "licence": "of the package, as its code",
                "settings": SETTINGS,
                "steps": STEPS,
                "seconds": round(seconds),
                "accuracy": round(
                    float(Reader(model, vocabulary, base).accuracy(base.subjects).mean()), 4
                ),
            }
            path = pretrained.FOLDER / "knowledge_gpt.safetensors"
            pretrained.save_weights(model, path, {"words": vocabulary}, about)
            info = pretrained.weights_info(path)
            print(f"{info.parameters:,} parameters, {info.size:,} bytes, {about}", flush=True)
        runs.append({"seed": seed, "seconds": round(seconds), **measures(model, vocabulary, base)})
        print(runs[-1], flush=True)
    path = pretrained.FOLDER / "knowledge.json"
    found = {
        "script": f"weights/{Path(__file__).name}",
        "tokens": STEPS * BATCH_SIZE * TIME,
        "runs": runs,
    }
    path.write_text(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
