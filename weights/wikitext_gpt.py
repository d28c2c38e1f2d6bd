"""A GPT of subwords, on WikiText-2: writes nlp_course/weights/wikitext_gpt.safetensors.

    python weights/wikitext_gpt.py

Trains on one core of a CPU, on the first 180,000 words of the validation split; the rest of that
split says when to stop, the test split is not read. The merges of the tokenizer travel in the file,
bytes written as the characters of Latin-1.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nlp_course import causal, causal_lm, data, ngram, pretrained, training
from nlp_course.subword import BPE
from nlp_course.transformer import Settings, TransformerLM

ROOT = Path(__file__).resolve().parents[1]
WORDS = 180_000
PIECES = 2048
TIME, BATCH_SIZE, STEPS = 128, 16, 1200
EVERY = 100
SETTINGS: dict[str, Any] = {"dimension": 128, "heads": 4, "layers": 3, "length": TIME}
DROPOUT = 0.2


def main() -> None:
    """Train, measure, write."""
    torch.set_num_threads(1)
    corpus = data.load("wikitext2")
    parts = ngram.split_by_tokens(corpus.splits["valid"].sentences, (WORDS,))
    train_text, held_out_text = ("\n".join(map(" ".join, part)) for part in parts)
    tokenizer = BPE.train([train_text], PIECES)
    train, held_out = tokenizer.encode(train_text), tokenizer.encode(held_out_text)
    read = train[: len(held_out)]  # as much of what is learned, to see the two part
    looking, history = 0.0, []

    def validate(model: nn.Module) -> float:
        nonlocal looking
        begun = time.process_time()
        bits = [
            causal_lm.bits_per_character(
                causal_lm.token_nats(model, ids, TIME), len(tokenizer.decode(ids))
            )
            for ids in (read, held_out)
        ]
        history.append([round(value, 4) for value in bits])
        looking += time.process_time() - begun
        print(f"bits a character: {bits[0]:.4f} where trained, {bits[1]:.4f} held out", flush=True)
        return bits[1]

    training.set_seed(0)
    model = TransformerLM(len(tokenizer), Settings(dropout=DROPOUT, **SETTINGS))
    start = time.process_time()
    steps = training.train(
        model,
        causal_lm.next_token_loss,
        causal.random_blocks(train, TIME, BATCH_SIZE, STEPS),
        steps=STEPS,
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=0.1,
        schedule=training.cosine,
        warmup=100,
        clip=1.0,
        validate=validate,
        every=EVERY,
        device="cpu",
    )
    seconds = time.process_time() - start - looking
    assert steps.best is not None

    about = {
        "script": f"weights/{Path(__file__).name}",
        "data": "WikiText-2, validation split; the first 180,000 words",
        "licence": f"of the data: {corpus.info.licence}",
        "settings": SETTINGS,
        "dropout": DROPOUT,
        "steps": steps.best.step,
        "seconds": round(seconds),
        "bits_a_character_on_train_and_held_out": history,
        "steps_between": EVERY,
        "merges": [[piece.decode("latin-1") for piece in pair] for pair in tokenizer.merges],
    }
    path = pretrained.FOLDER / "wikitext_gpt.safetensors"
    pretrained.save_weights(model, path, about=about)
    info = pretrained.weights_info(path)
    print(f"{info.parameters:,} parameters, {info.size:,} bytes, {seconds:,.0f} seconds of CPU")
    print(f"best at step {steps.best.step}: {steps.best.value:.4f} bits a character held out")


if __name__ == "__main__":
    main()
