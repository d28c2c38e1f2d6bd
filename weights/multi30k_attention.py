"""German to English with attention: writes nlp_course/weights/multi30k_attention.safetensors.

    python weights/multi30k_attention.py

Trains on one core of a CPU, prints the BLEU of the test sentences, and writes it beside the
weights. A training that was broken off goes on from its checkpoint in _build/weights.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from nlp_course import data, metrics, pretrained, training, translation
from nlp_course.data import Translation
from nlp_course.seq2seq import EncoderDecoder, translate, translation_loss

ROOT = Path(__file__).resolve().parents[1]
MIN_COUNT = 4  # with all words that are seen 3 times the file would take more than 2 MB
BATCH_SIZE = 64
DROPOUT = 0.25
LEARNING_RATE = 3e-3
EPOCHS = 12


def make(script: str, **settings: Any) -> None:
    """Train a model on Multi30k, write its weights under the script's name, and measure them.

    Parameters
    ----------
    script : the file that calls
    settings : of `EncoderDecoder`
    """
    name = Path(script).stem
    # Readers of an English book can judge English, so English is what is written.
    corpus = data.load("multi30k")
    pairs = {
        part: [Translation(german, english) for english, german in split.records]
        for part, split in corpus.splits.items()
    }
    german, english = translation.vocabularies(pairs["train"], MIN_COUNT)
    ids = {part: translation.encode_pairs(some, german, english) for part, some in pairs.items()}
    batches, held_out = (
        translation.pair_batches(*ids[part], english, BATCH_SIZE) for part in ("train", "valid")
    )

    def validate(model: nn.Module) -> float:
        nats = training.evaluate(model, translation_loss, held_out(np.random.default_rng(0)))
        print(f"validation: {nats:.4f} nats a token", flush=True)
        return nats

    training.set_seed(0)
    start = time.process_time()
    model = EncoderDecoder(german, english, dropout=DROPOUT, **settings)
    history = training.train(
        model,
        translation_loss,
        batches,
        epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        schedule=training.cosine,
        warmup=200,
        clip=1.0,
        validate=validate,
        patience=2,
        checkpoint=ROOT / "_build" / "weights" / f"{name}.pt",
        device="cpu",
    )
    seconds = time.process_time() - start
    assert history.best is not None

    model.half().float()  # what is measured is what is written
    sources, (_, references) = ids["test"][0], translation.token_pairs(pairs["test"])
    hypotheses = [english.decode(words) for words in translate(model, sources).ids]
    bleu = {
        str(count): round(metrics.bleu(hypotheses[:count], references[:count]).score, 2)
        for count in (200, len(sources))
    }
    about = {
        "script": f"weights/{Path(script).name}",
        "data": "Multi30k, task 1, training split; German to English; translation.token_pairs",
        "licence": f"of the data: {corpus.info.licence}",
        "settings": settings,
        "steps": history.steps,
        "nats_a_token_on_valid": round(history.best.value, 4),
        "bleu_of_first_test_sentences": bleu,
    }
    vocabularies = {"source": german, "target": english}
    pretrained.save_weights(model, pretrained.FOLDER / f"{name}.safetensors", vocabularies, about)
    info = pretrained.weights_info(name)
    print(f"{info.parameters:,} parameters, {info.size:,} bytes")
    print(f"{history.steps} steps, {seconds:,.0f} seconds of CPU since the last start; BLEU {bleu}")


if __name__ == "__main__":
    make(__file__, dimension=64, hidden=192, attention="bilinear", tied=True)
