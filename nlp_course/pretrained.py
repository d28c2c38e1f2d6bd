"""Weights that come with the package: saved in half precision, put into a model of the same form.

A page runs in seconds, and some models need half an hour. These were trained by the scripts of the
folder `weights/`, at the repository's root, and their weights are files of the package, in the
safetensors format: a file holds numbers and words, and cannot run code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from nlp_course.checkpoints import weights_that_differ
from nlp_course.text import Vocabulary

FOLDER = Path(__file__).parent / "weights"
SUFFIX = ".safetensors"
FORMAT = "nlp_course.weights.1"  # the metadata's key: what is under it, as JSON, says the rest


@dataclass(frozen=True)
class WeightsInfo:
    """What a file of weights says of itself.

    Attributes
    ----------
    shapes : of each tensor, by its name in the model
    vocabularies : such as "source" and "target": what the rows of embeddings stand for
    about : settings of the model, how and on what it was trained, licence, quality
    size : bytes of the file
    """

    shapes: dict[str, tuple[int, ...]]
    vocabularies: dict[str, Vocabulary]
    about: dict[str, Any]
    size: int

    @property
    def parameters(self) -> int:
        """How many numbers the file holds."""
        return sum(torch.Size(shape).numel() for shape in self.shapes.values())


def names() -> list[str]:
    """The names of the weights that come with the package.

    Examples
    --------
    >>> "multi30k_attention" in names()
    True
    """
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def save_weights(
    model: nn.Module,
    path: str | Path,
    vocabularies: Mapping[str, Vocabulary] | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write a model's weights in half precision, in two bytes a number instead of four.

    Half precision has 11 binary digits: a weight moves by at most 0.05 percent of itself, or by
    3·10⁻⁸ where that is more. A tensor with two names in the model, as tied weights have, is
    written once, by the first of them.

    Parameters
    ----------
    path : the file, named ….safetensors; one of that name is replaced once the new one is whole
    vocabularies : what is needed to read and write ids, by the part they play
    about : what else a reader needs or wants to know: anything that JSON can hold

    Raises
    ------
    ValueError : another suffix, or a weight that is not finite or too large for half precision.
    TypeError : `about` holds something that JSON cannot.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"a file of weights is named ….safetensors, got {path.name!r}")
    halved = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in _tensors(model).items()
    }
    if bad := [name for name, tensor in halved.items() if not tensor.isfinite().all()]:
        raise ValueError(
            f"not finite, or beyond the {torch.finfo(torch.half).max:,.0f} that half precision "
            f"reaches: {', '.join(bad)}"
        )
    kept = {
        part: (vocabulary.words, vocabulary.counts.tolist(), vocabulary.unknown)
        for part, vocabulary in (vocabularies or {}).items()
    }
    # One entry, since several would come in another order each time the file is written.
    description = json.dumps(
        {"about": dict(about or {}), "vocabularies": kept},
        ensure_ascii=False,
        separators=(",", ":"),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(save(halved, {FORMAT: description}))  # save_file lets nobody else read it
    os.replace(part, path)


def weights_info(name: str | Path) -> WeightsInfo:
    """What a file of weights says of itself: all one needs to build its model.

    Parameters
    ----------
    name : one of `names()`, or the path of a file that `save_weights` wrote

    Raises
    ------
    ValueError : no weights of this name come with the package, or the file is damaged or not one
        of `save_weights`.
    FileNotFoundError : there is no file of this path.
    """
    return _read(_path(name))[0]


def load_weights(model: nn.Module, name: str | Path) -> None:
    """Put saved weights into a model, in its own precision and on its device.

    The model keeps its old weights unless all of the new fit. Afterwards it is in evaluation mode,
    without dropout.

    Parameters
    ----------
    model : built with the settings and vocabularies that `weights_info` gives
    name : one of `names()`, or the path of a file that `save_weights` wrote

    Raises
    ------
    ValueError : names or shapes differ, and as for `weights_info`; the message says which.
    FileNotFoundError : there is no file of this path.
    """
    path = _path(name)
    _, saved = _read(path)
    present = _tensors(model)
    if found := weights_that_differ(saved, present):
        raise ValueError(
            f"{path.stem} has the weights of another model: {'; '.join(found)}. Build the "
            f"model with the settings and vocabularies of weights_info({str(name)!r})"
        )
    with torch.no_grad():
        for key, tensor in saved.items():
            present[key].copy_(tensor)
    model.eval()


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters and buffers, each by the first of its names."""
    first: dict[int, str] = {}
    state = model.state_dict(keep_vars=True)  # else tied weights would be two objects
    return {name: state[name] for name in state if first.setdefault(id(state[name]), name) == name}


def _path(name: str | Path) -> Path:
    if Path(name).suffix == SUFFIX:
        return Path(name)
    if name not in names():
        raise ValueError(f"there are no weights {str(name)!r}; there are {', '.join(names())}")
    return FOLDER / f"{name}{SUFFIX}"


def _read(path: Path) -> tuple[WeightsInfo, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged ({error}): install the package anew, or save the weights again"
        ) from error
    if FORMAT not in metadata:
        raise ValueError(f"{path} does not describe its model: it is not one of save_weights")
    description = json.loads(metadata[FORMAT])
    vocabularies = {
        part: Vocabulary(tuple(words), np.array(counts, dtype=np.int64), unknown)
        for part, (words, counts, unknown) in description["vocabularies"].items()
    }
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    return WeightsInfo(shapes, vocabularies, description["about"], path.stat().st_size), tensors
