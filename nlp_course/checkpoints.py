"""Checkpoints: all that a training has to know to go on as if nothing had happened.

Weights, the optimiser's memory, the place in the schedule and in the epoch, the history, and the
states of all random generators, in one file. It is written beside the old one, which it then
replaces at a stroke: a crash while writing leaves the old one whole.
"""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

FORMAT = "nlp_course.checkpoint.1"
WAYS = ("fused", "foreach", "capturable")  # how an optimiser's step is computed, not what


def save(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer,
    settings: Mapping[str, Any],
    run: Mapping[str, Any],
    loss: object = None,
) -> None:
    """Write a checkpoint; a file of that name is replaced once the new one is whole.

    Parameters
    ----------
    path : the file; its folder is made where there is none
    model, optimizer : their weights and memory
    settings : numbers and words that must be the same when training goes on
    run : what else is to be had back: numbers, words, tensors, lists and dictionaries of them
    loss : its ``state_dict``, where it has one
    """
    content = {
        "format": FORMAT,
        "settings": dict(settings) | _described(model, optimizer),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "loss": loss.state_dict() if hasattr(loss, "state_dict") else None,
        "run": dict(run),
        "random": _random_states(),
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())  # or the new name could reach the disk before the content
    os.replace(part, path)


def load(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer,
    settings: Mapping[str, Any],
    loss: object = None,
) -> dict[str, Any]:
    """Put a checkpoint back: into model, optimiser, loss and the global random generators.

    Nothing is changed unless all of it fits. The file is read as data: it cannot run code. How a
    step is computed, fused or not, goes on as it was in the file.

    Returns
    -------
    `run`, as it was given to `save`.

    Raises
    ------
    ValueError : the file is no checkpoint, or one of another model, optimiser or other settings;
        the message names what differs.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} is not a whole checkpoint: delete it to start anew") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is not a checkpoint of this training loop")
    differences = [
        *weights_that_differ(content["model"], model.state_dict()),
        *_settings_that_differ(
            {
                name: value
                for name, value in content["settings"].items()
                if name.partition(" of group ")[0] not in WAYS
            },
            dict(settings) | _described(model, optimizer),
        ),
    ]
    if differences:
        raise ValueError(
            f"{path} is of another training: {'; '.join(differences)}. "
            "Set these as they were, or give another file to start anew"
        )
    model.load_state_dict(content["model"])
    optimizer.load_state_dict(content["optimizer"])
    if hasattr(loss, "load_state_dict"):
        loss.load_state_dict(content["loss"])
    _set_random_states(content["random"])
    return dict(content["run"])


def _described(model: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """What the optimiser is, and what it trains: its memory is kept by position, not by name."""
    changing = ("params", "lr")  # the schedule moves the rate; initial_lr is what it moves from
    groups = [
        {name: value for name, value in group.items() if name not in (*changing, *WAYS)}
        | {"parameters": len(group["params"])}
        for group in optimizer.param_groups
    ]
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    options = {
        f"{name} of group {number}" if len(groups) > 1 else name: value
        for number, group in enumerate(groups, start=1)
        for name, value in group.items()
    }
    return {"optimizer": type(optimizer).__name__, "trained parameters": trained} | options


def weights_that_differ(
    saved: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor]
) -> list[str]:
    """What keeps saved weights from fitting those of a model, a phrase each; [] if they fit."""
    found = []
    if missing := [name for name in saved if name not in present]:
        found.append(f"the model lacks {_some(missing)}")
    if added := [name for name in present if name not in saved]:
        found.append(f"the file lacks {_some(added)}")
    for name in saved:
        if name in present and saved[name].shape != present[name].shape:
            before, now = tuple(saved[name].shape), tuple(present[name].shape)
            found.append(f"{name} had shape {before} and has {now}")
    return found


def _settings_that_differ(saved: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} was {saved.get(name)!r} and is {present.get(name)!r}"
        for name in {**saved, **present}
        if saved.get(name) != present.get(name)
    ]


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _random_states() -> dict[str, Any]:
    # As plain numbers: a NumPy array would need a file that is allowed to run code.
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002  (what other libraries draw from)
    return {
        "python": random.getstate(),
        "numpy": [kind, [int(key) for key in keys], *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_random_states(states: Mapping[str, Any]) -> None:
    random.setstate(states["python"])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
