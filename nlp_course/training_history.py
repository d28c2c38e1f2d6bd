"""What happened in a training so far, and where it stands."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor


class Step(NamedTuple):
    """One step of a training; `History` says what the numbers are."""

    loss: float
    gradient_norm: float
    learning_rate: float
    tokens: int
    seconds: float


class Validation(NamedTuple):
    """What validation gave after so many steps."""

    step: int
    value: float


@dataclass
class History:
    """What happened at each step of a training, and at each validation.

    records : the steps, in order
    validations : in order
    stopped : why training ended

    Examples
    --------
    >>> history = History([Step(2.5, 1.0, 0.1, 60, 0.5), Step(2.0, 0.8, 0.1, 60, 0.4)])
    >>> history.steps, history.loss
    (2, array([2.5, 2. ]))
    """

    # One append adds a whole step: Ctrl-C, which may come at any moment, leaves no half of one.
    records: list[Step] = field(default_factory=list)
    validations: list[Validation] = field(default_factory=list)
    stopped: str = ""

    @property
    def steps(self) -> int:
        """How many steps were done."""
        return len(self.records)

    @property
    def loss(self) -> Float[np.ndarray, "step"]:
        """Mean of each step's batch before the step, in nats a token."""
        return np.array([record.loss for record in self.records], dtype=float)

    @property
    def gradient_norm(self) -> Float[np.ndarray, "step"]:
        """Length of each step's whole gradient, before clipping."""
        return np.array([record.gradient_norm for record in self.records], dtype=float)

    @property
    def learning_rate(self) -> Float[np.ndarray, "step"]:
        """The learning rate of each step, of the first group of parameters."""
        return np.array([record.learning_rate for record in self.records], dtype=float)

    @property
    def tokens(self) -> Int[np.ndarray, "step"]:
        """Tokens of each step's batch."""
        return np.array([record.tokens for record in self.records], dtype=int)

    @property
    def seconds(self) -> Float[np.ndarray, "step"]:
        """Time of each step, in which alone two equal trainings differ; without validation."""
        return np.array([record.seconds for record in self.records], dtype=float)

    @property
    def tokens_per_second(self) -> float:
        """Over all steps; 0 before the first."""
        return float(self.tokens.sum() / self.seconds.sum()) if self.records else 0.0

    @property
    def validated(self) -> Int[np.ndarray, "validation"]:
        """How many steps were done at each validation."""
        return np.array([validation.step for validation in self.validations], dtype=int)

    @property
    def validation(self) -> Float[np.ndarray, "validation"]:
        """The value of each validation."""
        return np.array([validation.value for validation in self.validations], dtype=float)

    @property
    def best(self) -> Validation | None:
        """The lowest validation, the first of equals; None before there is one."""
        return min(self.validations, key=lambda validation: validation.value, default=None)


@dataclass
class Run:
    """Where a training stands: what it must know to go on, besides weights and optimiser.

    epoch : how many epochs are done
    batch : how many batches of the epoch after them are done
    looked : how many steps were done at the last validation and checkpoint
    best : the weights at the best validation, where they are kept
    """

    epoch: int = 0
    batch: int = 0
    looked: int = 0
    best: dict[str, Tensor] | None = None
    history: History = field(default_factory=History)

    def state_dict(self) -> dict[str, Any]:
        """All of it as numbers, lists and tensors."""
        plain = {
            "records": [tuple(record) for record in self.history.records],
            "validations": [tuple(validation) for validation in self.history.validations],
        }
        return {**vars(self), "history": plain}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Run:
        """What `state_dict` wrote down."""
        records = [Step(*record) for record in state["history"]["records"]]
        validations = [Validation(*validation) for validation in state["history"]["validations"]]
        return cls(**{**state, "history": History(records, validations)})

    def still_bettered(self, patience: int | None) -> bool:
        """Whether one of the last `patience` validations was better than all before it."""
        best = self.history.best
        if patience is None or best is None:
            return True
        return len(self.history.validations) - 1 - self.history.validations.index(best) < patience

    def place(self) -> str:
        """The step that comes next, for messages."""
        return f"step {self.history.steps + 1} (epoch {self.epoch + 1}, batch {self.batch + 1})"

    def weights(self) -> str:
        """Which weights the model ends with, for messages."""
        best = self.history.best
        if self.best is None or best is None:
            return f"those after step {self.history.steps}"
        return f"those after step {best.step}, the best so far"

    def diverged(self, loss: float, gradient_norm: float, learning_rate: float) -> str:
        """What to say when a step's loss or gradient is not finite."""
        before = "it is the first step"
        if self.history.records:
            last = self.history.records[-1]
            before = (
                f"the step before had loss {last.loss:.4g}, gradient norm {last.gradient_norm:.4g}"
            )
        advice = "a lower learning rate, a longer warm-up, or clip=1.0"
        if math.isfinite(loss):
            advice += "; a gradient alone is not finite at √0, at x/‖x‖ of x = 0 and the like"
        elif not self.history.records:
            advice = "to find log 0, 0/0 or a word without a vector in loss and model"
        return (
            f"training stopped at {self.place()}: loss {loss:.4g}, gradient norm "
            f"{gradient_norm:.4g}, learning rate {learning_rate:.4g}; {before}. "
            f"The model's weights are {self.weights()}. Try {advice}"
        )

    def too_large(self) -> str:
        """What to say when the memory of a GPU is full."""
        return (
            f"the GPU's memory is full at {self.place()}. Lower the batch size, the length of the "
            "sequences, or the size of the model. What earlier models hold is free again once "
            "they are deleted and torch.cuda.empty_cache() is called"
        )
