"""One training loop for every model of the course.

`train` takes a module, a function that says what its loss on a batch is, and the batches of an
epoch. It leaves the module with its weights learned and returns the history. What lies between,
from the learning rate's schedule to checkpoints that go on to the same numbers, is here, once.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm.auto import tqdm

from nlp_course import checkpoints
from nlp_course.batching import Batch, Batches, pad, shuffled, similar_lengths, to_device
from nlp_course.training_history import History, Run, Step, Validation
from nlp_course.training_setup import (
    Schedule,
    check_settings,
    constant,
    cosine,
    learning_rate_factor,
    linear,
    make_optimizer,
    pick_device,
    set_seed,
    uses_bfloat16,
)

__all__ = [
    "Batch",
    "Batches",
    "History",
    "Loss",
    "Schedule",
    "constant",
    "cosine",
    "evaluate",
    "learning_rate_factor",
    "linear",
    "pad",
    "pick_device",
    "set_seed",
    "shuffled",
    "similar_lengths",
    "to_device",
    "train",
]

# The summed loss of a batch, in nats, and the number of tokens it is a sum over (or of pairs,
# sentences, images: of whatever one loss is of). A step makes their quotient, the mean, smaller.
Loss: TypeAlias = Callable[[nn.Module, Batch], tuple[Tensor, int | Tensor]]

RECENT = 20  # steps whose speed the progress bar shows


def evaluate(
    model: nn.Module, loss: Loss, batches: Iterable[Batch], device: str | None = None
) -> float:
    """Mean loss a token over all of some batches, without dropout and without gradients.

    Parameters
    ----------
    model, loss : as for `train`
    batches : what to measure on
    device : by default the one where the model is

    Returns
    -------
    Nats a token: the sum of the batches' sums over the sum of their tokens, so that each token
    counts alike. exp of it is the perplexity, where the loss is −log p.

    Raises
    ------
    ValueError : there is no batch, or not one token in them.
    """
    first = next(model.parameters(), torch.empty(0))
    place = first.device if device is None else pick_device(device)
    was_training = model.training
    model.to(place).eval()
    total, tokens = 0.0, 0
    try:
        with torch.no_grad():
            for batch in batches:
                summed, number = _checked_loss(loss(model, to_device(batch, place)))
                total += float(summed)
                tokens += number
    finally:
        model.train(was_training)
    if tokens == 0:
        raise ValueError("nothing to evaluate on: there is no batch, or no token in the batches")
    return total / tokens


def train(
    model: nn.Module,
    loss: Loss,
    batches: Batches,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    optimizer: str | Optimizer = "adam",
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    schedule: Schedule = constant,
    warmup: int = 0,
    clip: float | None = None,
    validate: Callable[[nn.Module], float | Tensor] | None = None,
    every: int | None = None,
    patience: int | None = None,
    keep: Literal["best", "last"] = "best",
    checkpoint: str | Path | None = None,
    device: str | None = None,
    precision: Literal["float32", "bfloat16"] | None = None,
    seed: int = 0,
    progress: bool = True,
    on_step: Callable[[nn.Module, History], object] | None = None,
) -> History:
    """Train a model, in place, by gradient descent on the mean loss of batches.

    Parameters
    ----------
    model : parameters that do not require gradients stay as they are
    loss : ``loss(model, batch)`` gives the batch's summed loss in nats and the number of tokens
        in the sum. One that carries something from batch to batch, as truncated backpropagation
        does, has ``state_dict`` and ``load_state_dict``; checkpoints then keep it
    batches : ``batches(rng)`` gives the batches of one epoch, with randomness from rng alone;
        `shuffled` makes such a function
    epochs, steps : how long, in passes or in batches: one of the two
    optimizer : "sgd", "adagrad", "adam", "adamw", or an optimiser of torch's made by you, which
        brings its own learning rate
    learning_rate, weight_decay : of an optimiser given by name
    schedule, warmup : `constant`, `linear`, `cosine`, or a function of the share of training that
        is done, after so many steps in which the rate rises: see `learning_rate_factor`
    clip : τ; a gradient g with ‖g‖ > τ becomes τ g / ‖g‖
    validate : ``validate(model)`` gives a number, lower is better; `evaluate` is the usual one
    every : validate and write the checkpoint after so many steps; by default after each epoch
    patience : stop when so many validations in a row were no better than the best before
    keep : end with the weights of the "best" validation, where there is one, or of the "last" step
    checkpoint : a file, written after each validation. If it is there already, training goes on
        from it: on the CPU to the same numbers as without a break, bit for bit. Epochs or steps
        may be more than before, all else has to be the same
    device : by default a CUDA GPU where there is one, else the CPU
    precision : of the forward pass; by default bfloat16 on a GPU that computes with it, else
        float32. Weights, optimiser and validation are in float32 in either case
    seed : of batches, of dropout, and of all else that draws from the global generators of
        Python, NumPy and torch, which it sets
    progress : show steps, loss and tokens a second, on standard error
    on_step : called after each step with the model and the history so far

    Returns
    -------
    The history. The model is on its device, in evaluation mode. Ctrl-C ends training as if it were
    done, with the weights that `keep` says.

    Raises
    ------
    ValueError : a setting out of range, nothing to train, no batches or a batch without tokens, or
        a checkpoint of another training.
    TypeError : `loss` or `validate` gives something else than it should.
    FloatingPointError : a loss, a gradient or a validation is not finite. The model keeps its last
        good weights: those that `keep` says.
    MemoryError : a batch does not fit into the GPU's memory.

    Examples
    --------
    >>> set_seed(0)
    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> line = nn.Linear(1, 1)
    >>> def squared_error(model, batch):
    ...     x, y = batch
    ...     return ((model(x) - y) ** 2).sum(), len(x)
    >>> history = train(
    ...     line, squared_error, shuffled(x, 3 * x, batch_size=16), epochs=99, learning_rate=0.1,
    ...     schedule=linear, device="cpu", progress=False,
    ... )
    >>> round(line.weight.item(), 3), history.steps
    (3.0, 396)
    """
    check_settings(epochs, steps, warmup, clip, validate, every, patience, keep)
    place = pick_device(device)
    model.to(place)
    set_seed(seed)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    descent = make_optimizer(optimizer, trained, learning_rate, weight_decay)
    for group in descent.param_groups:
        group.setdefault("initial_lr", group["lr"])  # what the schedule multiplies
    total = steps if steps is not None else (epochs or 0) * _epoch_length(batches, seed)
    if warmup > total:
        raise ValueError(f"warmup takes {warmup} steps, but there are only {total} in all")
    mixed = uses_bfloat16(precision, place)
    settings = {
        "seed": seed,
        "schedule": getattr(schedule, "__qualname__", repr(schedule)),
        "warmup": warmup,
        "clip": clip,
        "every": every,
        "bfloat16": mixed,
    }

    run = Run()
    if checkpoint is not None and Path(checkpoint).exists():
        run = Run.from_state(checkpoints.load(checkpoint, model, descent, settings, loss))
    history = run.history

    def step(batch: Batch) -> None:
        start = time.perf_counter()
        factor = learning_rate_factor(history.steps, total, schedule, warmup)
        for group in descent.param_groups:
            group["lr"] = group["initial_lr"] * factor
        rate = descent.param_groups[0]["lr"]
        descent.zero_grad()
        with torch.autocast(place.type, torch.bfloat16) if mixed else nullcontext():
            summed, tokens = _checked_loss(loss(model, to_device(batch, place)))
        if tokens < 1:
            raise ValueError(f"no tokens in the batch of {run.place()}: are its targets masked?")
        (summed / tokens).backward()
        norm = nn.utils.clip_grad_norm_(trained, math.inf if clip is None else clip)
        # Here a GPU is waited for, once a step: no weight may move by what is not finite.
        mean, length = torch.stack([summed.detach() / tokens, norm]).tolist()
        if not (math.isfinite(mean) and math.isfinite(length)):
            raise FloatingPointError(run.diverged(mean, length, rate))
        descent.step()
        seconds = time.perf_counter() - start
        history.records.append(Step(mean, length, rate, tokens, seconds))
        run.batch += 1

    def look() -> None:
        """Validate, keep the weights if they are the best, write the checkpoint."""
        if validate is not None:
            value = _validated(model, validate, history.steps)
            if keep == "best" and (history.best is None or value < history.best.value):
                run.best = _copied(model)
            history.validations.append(Validation(history.steps, value))
        run.looked = history.steps
        if checkpoint is not None:
            checkpoints.save(checkpoint, model, descent, settings, run.state_dict(), loss)

    def stop() -> str:
        """Why training is over; "" while it is not."""
        if not run.still_bettered(patience):
            return f"no validation better than the best, {patience} times in a row"
        over = run.epoch >= epochs if epochs is not None else history.steps >= total
        return "done" if over else ""

    model.train()
    bar = tqdm(total=total, initial=history.steps, unit="step", disable=not progress)
    try:
        while not (reason := stop()):
            rng = np.random.default_rng([seed, run.epoch])
            for batch in islice(batches(rng), run.batch, None):
                step(batch)
                _show(bar, history)
                if on_step is not None:
                    on_step(model, history)
                if every is not None and history.steps % every == 0:
                    look()
                if stop():
                    break
            else:
                if run.batch == 0:
                    raise ValueError(f"epoch {run.epoch + 1} has no batches: nothing to train on")
                run.epoch, run.batch = run.epoch + 1, 0
                if every is None:
                    look()
        if run.looked < history.steps:
            look()
        history.stopped = reason
    except KeyboardInterrupt:
        history.stopped = f"interrupted after step {history.steps}"
        print(f"{history.stopped}: the weights are {run.weights()}", file=sys.stderr)
    except torch.cuda.OutOfMemoryError as error:
        # Without its traceback, which would keep the tensors of the step alive.
        raise MemoryError(run.too_large()) from error.with_traceback(None)
    finally:
        bar.close()
        descent.zero_grad()
        if run.best is not None:
            model.load_state_dict(run.best)
        model.eval()
    return history


def _epoch_length(batches: Batches, seed: int) -> int:
    """How many batches the first epoch has; those without a length are gone through to count."""
    first: Any = batches(np.random.default_rng([seed, 0]))
    return len(first) if hasattr(first, "__len__") else sum(1 for _ in first)


def _checked_loss(result: Any) -> tuple[Tensor, int]:
    if not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(f"loss must return (summed loss, number of tokens), it returned {result!r}")
    summed, tokens = result
    if not (isinstance(summed, Tensor) and summed.ndim == 0):
        shape = tuple(summed.shape) if isinstance(summed, Tensor) else summed
        raise TypeError(f"the summed loss must be a tensor of one number, got {shape!r}")
    return summed, int(tokens)


def _validated(
    model: nn.Module, validate: Callable[[nn.Module], float | Tensor], steps: int
) -> float:
    model.eval()
    with torch.no_grad():
        value = validate(model)
    model.train()
    if value is None:
        raise TypeError("validate must return a number, it returned None")
    if math.isnan(value):
        raise FloatingPointError(f"validation gave NaN after step {steps}")
    return float(value)


def _copied(model: nn.Module) -> dict[str, Tensor]:
    """The weights, where they take no room on the GPU and no step reaches them."""
    state = model.state_dict()
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}


def _show(bar: tqdm, history: History) -> None:
    if not bar.disable:
        recent = History(history.records[-RECENT:])
        text = f"{recent.loss[-1]:.3f} nats, {recent.tokens_per_second:,.0f} tokens/s"
        bar.set_postfix_str(text, refresh=False)
        bar.update()
