"""Models of several sizes on texts of several lengths: writes nlp_course/weights/scaling.json.

    python weights/scaling.py

Trains on one core of a CPU, on characters of the Brown Corpus, none of them read twice: a grid of
sizes and lengths for a scaling law, then a mixture of experts beside two dense models. The file
holds what was measured, and no weights. What was broken off goes on from _build/weights/scaling,
where each run is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nlp_course import causal_lm, scaling, training
from nlp_course.causal import CausalBatch
from nlp_course.experts import (
    active_parameters,
    balance_loss,
    mixtures,
    uncertainty_coefficient,
)
from nlp_course.scaling_runs import (
    TIME,
    Characters,
    brown_characters,
    judge,
    train_once,
    train_run,
)
from nlp_course.transformer import Settings, TransformerLM

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "_build" / "weights" / "scaling"
SIZES = ((16, 1), (24, 2), (40, 2), (64, 3), (96, 4))  # dimension, layers
TOKENS = (2**17, 2**18, 2**19, 2**20, 2**21)
MOST_FLOPS = 3e12  # 6 N D of a run of the grid: what is above is left out
FIRST_RATE, RATE_TOKENS = 16e-3, 2**18  # how the search for a size's learning rate begins

EXPERTS: dict[str, dict[str, Any]] = {
    "dense, as many active": {"hidden": 192},
    "dense, as many in all": {"hidden": 768},
    "mixture": {"hidden": 96, "experts": 8, "chosen": 2},
    "mixture, not balanced": {"hidden": 96, "experts": 8, "chosen": 2},
}
EXPERTS_FORM: dict[str, Any] = {
    "dimension": 48,
    "heads": 3,
    "layers": 2,
    "length": TIME,
    "position": "rotary",
    "bias": False,
    "spread": 48**-0.5,
}
EXPERTS_TOKENS, EXPERTS_BATCH, EXPERTS_SEEDS = 2**19, 16, (0, 1, 2)
BALANCE = 0.01  # Switch Transformers' weight of the balance loss
SHOWN = 40  # most frequent characters whose experts are told


def kept(name: str, make: Callable[[], Any]) -> Any:
    """What `make` gives, from a file if it was made before."""
    path = KEPT / f"{name}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make()))
    return json.loads(path.read_text())


def one(corpus: Characters, size: tuple[int, int], tokens: int, rate: float, seed: int = 0) -> Any:
    """A run of the grid."""
    run = partial(
        train_run,
        corpus,
        *size,
        tokens,
        learning_rate=rate,
        seed=seed,
        show=partial(print, flush=True),
    )
    name = f"{size[0]}_{size[1]}_{tokens}_{rate:g}_{seed}"
    return scaling.as_run(kept(name, lambda: run()._asdict()))


def best_rate(loss: Callable[[float], float]) -> tuple[float, list[float]]:
    """The learning rate whose half and double are both worse, and those that were tried."""
    tried = {FIRST_RATE: loss(FIRST_RATE)}
    while True:
        best = min(tried, key=tried.__getitem__)
        missing = [rate for rate in (best / 2, best * 2) if rate not in tried]
        if not missing:
            return best, list(tried)
        tried[missing[0]] = loss(missing[0])


def balanced_loss(model: nn.Module, batch: CausalBatch) -> tuple[Tensor, int]:
    """The next token's loss, and that of unequal work."""
    summed, tokens = causal_lm.next_token_loss(model, batch)
    return summed + BALANCE * tokens * balance_loss(model), tokens


@torch.no_grad()
def chosen_by(model: nn.Module, corpus: Characters) -> list[dict[str, Any]]:
    """Of each layer: the work of its experts, what tells the first choice, and whose it is."""
    read, next_one = (
        torch.from_numpy(corpus.held_out[:, cut]) for cut in (slice(-1), slice(1, None))
    )
    kinds = np.unique(corpus.kinds, return_inverse=True)[1]
    labels = {
        "character": read.flatten(),
        "next character": next_one.flatten(),
        "kind of text": torch.from_numpy(kinds).repeat_interleave(TIME),
    }
    labels["kind of text, shuffled"] = labels["kind of text"][
        torch.randperm(read.numel(), generator=torch.Generator().manual_seed(0))
    ]
    model(read)
    found = []
    for layer in mixtures(model):
        assert layer.routing is not None
        chosen = layer.routing.chosen
        number = len(layer.experts)
        share = chosen.flatten().bincount(minlength=number) / chosen.numel()
        first = chosen[:, 0]
        of_each = [
            first[labels["character"] == c].bincount(minlength=number).double().numpy()
            for c in range(SHOWN)
        ]
        found.append(
            {
                "share_of_choices": [round(float(s), 4) for s in share],
                "told_by": {
                    name: round(uncertainty_coefficient(first, label), 4)
                    for name, label in labels.items()
                },
                "first_choice_of_characters": [
                    [round(float(s), 3) for s in counts / max(1, counts.sum())]
                    for counts in of_each
                ],
            }
        )
    return found


def one_of_experts(corpus: Characters, name: str, rate: float, seed: int) -> Any:
    """A mixture or a dense model of the same form."""

    def make() -> dict[str, Any]:
        training.set_seed(seed)
        model = TransformerLM(len(corpus.characters), Settings(**EXPERTS_FORM, **EXPERTS[name]))
        seconds = train_once(
            model,
            corpus,
            EXPERTS_TOKENS,
            learning_rate=rate,
            batch_size=EXPERTS_BATCH,
            seed=seed,
            loss=balanced_loss if name == "mixture" else causal_lm.next_token_loss,
        )
        made = {
            "seed": seed,
            "loss": judge(model, corpus.held_out).loss,
            "seconds_a_step": round(seconds / (EXPERTS_TOKENS // (EXPERTS_BATCH * TIME)), 4),
            "parameters": active_parameters(model)._asdict(),
            "layers": chosen_by(model, corpus) if mixtures(model) else [],
        }
        print(name, rate, {key: made[key] for key in made if key != "layers"}, flush=True)
        return made

    return kept(f"experts/{name}_{EXPERTS_TOKENS}_{rate:g}_{seed}", make)


def experts(corpus: Characters) -> dict[str, Any]:
    """Each model from several seeds, with the learning rate that is best for the first of them."""
    found: dict[str, dict[str, Any]] = {}
    for name in EXPERTS:
        first = partial(one_of_experts, corpus, name, seed=EXPERTS_SEEDS[0])
        if "not" in name:  # the work is to be the only difference between the two mixtures
            rate = found["mixture"]["learning_rate"]
        else:
            rate, _ = best_rate(lambda rate, run=first: run(rate)["loss"])
        runs = [one_of_experts(corpus, name, rate, seed) for seed in EXPERTS_SEEDS]
        found[name] = {
            "settings": EXPERTS[name],
            "learning_rate": rate,
            **runs[0]["parameters"],
            "runs": [{key: run[key] for key in run if key != "parameters"} for run in runs],
        }
        for run in found[name]["runs"][1:]:  # whose characters these are is told of one seed
            for layer in run["layers"]:
                layer.pop("first_choice_of_characters")
    return {
        "form": EXPERTS_FORM,
        "tokens": EXPERTS_TOKENS,
        "batch_size": EXPERTS_BATCH,
        "balance": BALANCE,
        "characters": list(corpus.characters.words[:SHOWN]),
        "models": found,
    }


def main() -> None:
    """Train, measure, write."""
    torch.set_num_threads(1)
    corpus = brown_characters()
    rates: dict[tuple[int, int], float] = {}
    tried: list[scaling.Run] = []
    for size in SIZES:
        searched = partial(one, corpus, size, RATE_TOKENS)
        rates[size], others = best_rate(lambda rate, run=searched: run(rate).loss)
        tried += map(searched, others)
    grid = [
        one(corpus, size, tokens, rates[size])
        for tokens in TOKENS
        for size in SIZES
        if 6 * 12 * size[0] ** 2 * size[1] * tokens <= MOST_FLOPS
    ]
    grid += [one(corpus, size, 2**19, rates[size], seed=1) for size in SIZES[:3]]
    tried += [one(corpus, SIZES[1], 2**20, factor * rates[SIZES[1]]) for factor in (0.5, 2)]
    about = {
        "script": f"weights/{Path(__file__).name}",
        "data": "Brown Corpus, characters; every twentieth document is held out",
        "characters_in_all": len(corpus.characters),
        "held_out": corpus.held_out[:, 1:].size,
        "runs": [run._asdict() for run in grid],
        "other_learning_rates": [run._asdict() for run in tried if run not in grid],
        "experts": experts(corpus),
    }
    path = scaling.FILE
    path.write_text(json.dumps(about, ensure_ascii=False, separators=(",", ":")) + "\n")
    seconds = sum(run.seconds for run in {*grid, *tried})
    print(f"{len(grid)} runs, {seconds:,.0f} seconds of CPU, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
