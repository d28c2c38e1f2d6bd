"""Ways to fine-tune a BERT on one task: writes nlp_course/weights/finetuning.json.

    python weights/finetuning.py

Each way is tried with the same learning rates, chosen between by pairs kept for that, and run with
further seeds at the best. The file holds no weights, only what was measured. Runs that are in it
already are not made again.
"""

from __future__ import annotations

import copy
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nlp_course import data, encoder_tasks, encoders, masked_lm, pretrained, training
from nlp_course.data.world import World
from nlp_course.finetuning import add_adapters, count_parameters, train_only
from nlp_course.finetuning_lora import TARGETS, LoRALinear, add_lora
from nlp_course.finetuning_memory import measured_bytes
from nlp_course.finetuning_prompts import add_prefix, add_prompt
from nlp_course.masking import Specials, pack
from nlp_course.pretraining import masked_batches
from nlp_course.transformer import Encoder, Settings
from nlp_course.wordpiece import WordPiece

FILE = Path(__file__).resolve().parents[1] / "nlp_course" / "weights" / "finetuning.json"
KINDS = ("entailed", "contradicted", "neutral")
LABELS, STEPS, BATCH_SIZE = 1000, 200, 16
# Tried with seed 0; of all other ways, FURTHER_RATES.
RATES = {
    "full": (3e-4, 1e-3, 3e-3),
    "maps": (3e-4, 1e-3, 3e-3),
    "LoRA everywhere": (1e-3, 3e-3, 1e-2, 3e-2),
    "LoRA everywhere 16, α 32": (1e-3, 3e-3, 1e-2, 3e-2),
    "prefix": (3e-3, 1e-2, 3e-2, 1e-1),
}
FURTHER_RATES = (3e-3, 1e-2, 3e-2)
SEEDS, RANKS = (0, 1, 2), (1, 16)
GAP_STEPS = 100
PAIRS = {"learn": 61, "choose": 65, "judge": 62}  # seeds of World

EVERYWHERE = tuple(name for name in TARGETS if name != "gate")
MAPS = ("*project.weight", "*attention.output.weight", "*widen.weight", "*narrow.weight")
WAYS: dict[str, Callable[[nn.Module], None]] = {
    "full": lambda encoder: train_only(encoder, "*"),
    "maps": lambda encoder: train_only(encoder, *MAPS),  # those that LoRA everywhere changes
    "head": train_only,
    "biases": lambda encoder: train_only(encoder, "*bias"),
    "adapters": lambda encoder: add_adapters(encoder, size=8),
    "LoRA": lambda encoder: add_lora(encoder, rank=4),  # of the maps to queries and values
    "LoRA everywhere": lambda encoder: add_lora(encoder, rank=4, targets=EVERYWHERE),
    "LoRA everywhere 16, α 32": lambda encoder: add_lora(
        encoder, rank=16, alpha=32, targets=EVERYWHERE
    ),
    "prefix": lambda encoder: add_prefix(encoder, length=8),
    "prompt": lambda encoder: add_prompt(encoder, length=8),
}
for rank in RANKS:
    WAYS[f"LoRA everywhere {rank}"] = functools.partial(add_lora, rank=rank, targets=EVERYWHERE)


class Course:
    """The model, the pairs, and the text on which forgetting is measured."""

    def __init__(self) -> None:
        about = pretrained.weights_info("bert").about
        pieces = WordPiece(tuple(about["pieces"]))
        names = ("[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]")
        pad, cls, sep, mask, unknown = map(pieces.id, names)
        specials = Specials(pad, cls, sep, mask, (unknown,))
        encoder = Encoder(len(pieces), Settings(**about["settings"]), segments=2)
        self.bert = masked_lm.MaskedLM(encoder)
        pretrained.load_weights(self.bert, "bert")
        packed, labels = {}, {}
        for part, seed in PAIRS.items():
            pairs = World(seed).entailments(LABELS // 2 if part == "choose" else LABELS)
            packed[part] = [
                pack(*(pieces.encode(" ".join(s)) for s in pair[:2]), specials) for pair in pairs
            ]
            labels[part] = np.array([KINDS.index(pair.label) for pair in pairs])
        self.batches = encoder_tasks.task_batches(
            packed["learn"], specials, BATCH_SIZE, labels=labels["learn"]
        )
        self.labels = labels
        self.asked = {
            part: encoder_tasks.in_order(packed[part], specials, labels=labels[part])
            for part in ("choose", "judge")
        }
        opinions = data.load("sentence_polarity").records
        order = np.random.default_rng(0).permutation(len(opinions))[:900]
        texts = [pieces.encode(" ".join(opinions[i].sentences[0])) for i in order]
        masked = masked_batches(texts[:300], specials, len(pieces), 32, length=96)
        self.more_gaps = masked_batches(texts[300:], specials, len(pieces), 16, length=96)
        self.text = list(masked(np.random.default_rng(0)))
        # A prompt takes places, and the longest text has none to spare.
        self.cut = [
            b._replace(
                ids=b.ids[:, :88],
                lengths=b.lengths.clamp(max=88),
                segments=b.segments[:, :88],
                targets=b.targets[:, :88],
            )
            for b in self.text
        ]

    def gap_loss(self, bert: masked_lm.MaskedLM, way: str) -> float:
        """The loss on gaps, in nats a gap."""
        text = self.cut if way == "prompt" else self.text
        return training.evaluate(bert, masked_lm.masked_loss, text)

    def run(self, way: str, rate: float, seed: int) -> dict[str, Any]:
        """Fine-tune once, and measure."""
        bert = copy.deepcopy(self.bert)
        training.set_seed(seed)
        model = encoders.SequenceClassifier(bert.encoder, len(KINDS), bert.pooler)
        if way != "full":
            model.requires_grad_(False)
        WAYS[way](model.encoder)
        model.output.requires_grad_(True)
        before = count_parameters(model)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        adam = torch.optim.AdamW(trained, rate, weight_decay=0.01)
        start = time.process_time()
        history = training.train(
            model,
            encoders.classification_loss,
            self.batches,
            steps=STEPS,
            optimizer=adam,
            schedule=training.linear,
            warmup=STEPS // 10,
            clip=1.0,
            device="cpu",
            seed=seed,
            progress=False,
        )
        seconds = time.process_time() - start
        measured = measured_bytes(model, adam)  # gradients are cleared by then
        found = {
            part: float((encoders.predict_classes(model, asked) == self.labels[part]).mean())
            for part, asked in self.asked.items()
        }
        updates = [m.update().norm().item() for m in bert.modules() if isinstance(m, LoRALinear)]
        return {
            "way": way,
            "rate": rate,
            "seed": seed,
            "trained": before.trained,
            "parameters": before.every,
            "bytes": measured,
            "seconds": round(seconds, 1),
            "loss": round(float(np.mean(history.loss[-20:])), 4),
            "change": round(float(np.mean(updates)), 3) if updates else None,  # Frobenius norm
            "forgotten": round(self.gap_loss(bert, way) - self.gap_loss(self.bert, way), 4),
            **found,
        }

    def gaps_alone(self, rate: float) -> float:
        """What more a gap costs after the model was trained on gaps of other reviews alone."""
        bert = copy.deepcopy(self.bert)
        training.train(
            bert,
            masked_lm.masked_loss,
            self.more_gaps,
            steps=GAP_STEPS,
            optimizer="adamw",
            learning_rate=rate,
            weight_decay=0.01,
            schedule=training.linear,
            warmup=GAP_STEPS // 10,
            clip=1.0,
            device="cpu",
            seed=0,
            progress=False,
        )
        return round(self.gap_loss(bert, "full") - self.gap_loss(self.bert, "full"), 4)


def main() -> None:
    """All runs, those that are missing."""
    torch.set_num_threads(1)
    course = Course()
    table = json.loads(FILE.read_text()) if FILE.exists() else {"runs": []}
    table["gaps"] = round(course.gap_loss(course.bert, "full"), 4)
    table |= {"labels": LABELS, "steps": STEPS}
    done = {(one["way"], one["rate"], one["seed"]): one for one in table["runs"]}

    def run(way: str, rate: float, seed: int) -> float:
        key = way, rate, seed
        if key not in done:
            done[key] = course.run(*key)
            table["runs"] = list(done.values())
            text = json.dumps(table, separators=(",", ":"))
            FILE.write_text(text.replace('{"way"', '\n{"way"') + "\n")
            print(done[key], flush=True)
        return done[key]["choose"]

    best = {}
    if "gaps_alone" not in table:
        table["gaps_alone"] = {str(rate): course.gaps_alone(rate) for rate in RATES["full"]}
    for way in list(WAYS)[: -len(RANKS)]:
        rates = RATES.get(way, FURTHER_RATES)
        best[way] = max(rates, key=lambda rate, way=way: run(way, rate, 0))
        for seed in SEEDS:
            run(way, best[way], seed)
    for rank in RANKS:
        for seed in SEEDS[:2]:  # rank 4 is there already
            run(f"LoRA everywhere {rank}", best["LoRA everywhere"], seed)


if __name__ == "__main__":
    main()
