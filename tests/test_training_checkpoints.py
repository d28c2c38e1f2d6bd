"""Checkpoints: a training that was broken off ends as the unbroken one; nothing is mixed up."""

from __future__ import annotations

import random
from itertools import count

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course import checkpoints, training  # noqa: E402

nn = torch.nn


class Crash(Exception):
    """The machine goes down."""


def model_with(width=8):
    training.set_seed(0)
    return nn.Sequential(nn.Linear(3, width), nn.Dropout(0.3), nn.Linear(width, 4))


def noisy_loss(model, batch):
    """Draws from NumPy's and torch's global generators, as losses and models may.

    Not from Python's: the run-time shape checks of the tests draw from it too.
    """
    x, y = batch
    x = x + 0.01 * float(np.random.rand())  # noqa: NPY002
    return nn.functional.cross_entropy(model(x), y, reduction="sum"), len(y)


@pytest.fixture(scope="module")
def batches():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    return training.shuffled(x, (x[:, 0] > 0).long(), batch_size=8)  # 7 batches an epoch


def settings_of(batches, **changed):
    """A training with all that a checkpoint has to keep."""
    held_out = list(batches(np.random.default_rng(9)))
    return {
        "epochs": 4,
        "optimizer": "adamw",
        "learning_rate": 0.05,
        "schedule": training.cosine,
        "warmup": 5,
        "clip": 0.5,
        "validate": lambda model: training.evaluate(model, noisy_loss, held_out),
        "device": "cpu",
        "progress": False,
        "seed": 3,
    } | changed


def told(history):
    return [record[:-1] for record in history.records], history.validations, history.stopped


def crash_at(step):
    def on_step(model, history):
        if history.steps == step:
            raise Crash

    return on_step


@pytest.mark.parametrize("every", [None, 3, 7])
@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_resumed_training_ends_bit_for_bit_where_the_unbroken_one_does(
    batches, tmp_path, every, keep
):
    settings = settings_of(batches, every=every, keep=keep)
    unbroken, broken = model_with(), model_with()
    expected = training.train(unbroken, noisy_loss, batches, **settings)
    path = tmp_path / "deep" / "training.pt"
    for step in (10, 18, 26):  # in the middle of epochs, at and between checkpoints
        with pytest.raises(Crash):
            training.train(
                broken, noisy_loss, batches, checkpoint=path, on_step=crash_at(step), **settings
            )
        broken = model_with()  # a new process begins with a new model
    history = training.train(broken, noisy_loss, batches, checkpoint=path, **settings)
    assert told(history) == told(expected)
    for ours, theirs in zip(broken.parameters(), unbroken.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert not list(path.parent.glob("*.part"))


def test_a_training_that_is_done_is_not_done_again(batches, tmp_path):
    path, settings = tmp_path / "done.pt", settings_of(batches)
    first = model_with()
    expected = training.train(first, noisy_loss, batches, checkpoint=path, **settings)
    again = model_with()
    history = training.train(
        again, noisy_loss, batches, checkpoint=path, on_step=crash_at(29), **settings
    )
    assert told(history) == told(expected)
    assert all(map(torch.equal, again.parameters(), first.parameters()))


def test_a_longer_training_goes_on_from_a_shorter_one(batches, tmp_path):
    path = tmp_path / "longer.pt"
    steady = settings_of(batches, schedule=training.constant)
    straight, in_parts = model_with(), model_with()
    expected = training.train(straight, noisy_loss, batches, **steady)
    training.train(in_parts, noisy_loss, batches, checkpoint=path, **steady | {"epochs": 2})
    in_parts = model_with()
    history = training.train(in_parts, noisy_loss, batches, checkpoint=path, **steady)
    assert told(history) == told(expected)
    assert all(map(torch.equal, in_parts.parameters(), straight.parameters()))


def test_patience_counts_validations_from_before_the_break(batches, tmp_path):
    values = count(1)
    settings = settings_of(batches, validate=lambda model: next(values), epochs=9, patience=3)
    with pytest.raises(Crash):
        training.train(
            model_with(), noisy_loss, batches, checkpoint=tmp_path / "p.pt",
            on_step=crash_at(15), **settings,
        )  # fmt: skip
    history = training.train(
        model_with(), noisy_loss, batches, checkpoint=tmp_path / "p.pt", **settings
    )
    assert history.validation.tolist() == [1, 2, 3, 4]


def test_all_random_generators_go_on_where_they_were(tmp_path):
    def draw():
        return np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    model = model_with()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    checkpoints.save(tmp_path / "random.pt", model, optimizer, {}, {"answer": 42})
    expected = draw()
    training.set_seed(99)
    assert checkpoints.load(tmp_path / "random.pt", model, optimizer, {}) == {"answer": 42}
    assert draw() == expected


def test_pythons_random_generator_goes_on_where_it_was():
    states = checkpoints._random_states()
    training.set_seed(99)
    assert random.getstate() != states["python"]
    checkpoints._set_random_states(states)
    assert random.getstate() == states["python"]


class Carrying:
    """A loss that carries a number from batch to batch, as truncated back-propagation does."""

    def __init__(self):
        self.carried = torch.zeros(())

    def __call__(self, model, batch):
        summed, tokens = noisy_loss(model, batch)
        summed = summed + 0.1 * self.carried * model[0].weight.sum()
        self.carried = 0.5 * self.carried + summed.detach()
        return summed, tokens

    def state_dict(self):
        return {"carried": self.carried}

    def load_state_dict(self, state):
        self.carried = state["carried"]


def test_what_a_loss_carries_is_kept(batches, tmp_path):
    settings = settings_of(batches, every=3, validate=None)
    unbroken, broken = model_with(), model_with()
    training.train(unbroken, Carrying(), batches, **settings)
    path = tmp_path / "carried.pt"
    with pytest.raises(Crash):
        training.train(
            broken, Carrying(), batches, checkpoint=path, on_step=crash_at(11), **settings
        )
    training.train(broken, Carrying(), batches, checkpoint=path, **settings)
    assert all(map(torch.equal, broken.parameters(), unbroken.parameters()))


def test_a_crash_while_writing_leaves_the_old_checkpoint_whole(batches, tmp_path, monkeypatch):
    path, settings = tmp_path / "atomic.pt", settings_of(batches)
    model = model_with()
    training.train(model, noisy_loss, batches, checkpoint=path, **settings | {"epochs": 1})
    before = path.read_bytes()

    def half(content, file):
        file.write(b"half of it")
        raise Crash

    monkeypatch.setattr(checkpoints.torch, "save", half)
    with pytest.raises(Crash):
        training.train(model, noisy_loss, batches, checkpoint=path, **settings)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("model", "changed", "message"),
    [
        (model_with(9), {}, r"0.weight had shape \(8, 3\) and has \(9, 3\)"),
        (nn.Linear(3, 4), {}, "the model lacks 0.weight, 0.bias, 2.weight and 1 more"),
        (nn.Linear(3, 4), {}, "the file lacks weight, bias"),
        (model_with(), {"seed": 4}, "seed was 3 and is 4"),
        (model_with(), {"learning_rate": 0.1}, "initial_lr was 0.05 and is 0.1"),
        (model_with(), {"optimizer": "sgd"}, "optimizer was 'AdamW' and is 'SGD'"),
        (model_with(), {"schedule": training.linear}, "schedule was 'cosine' and is 'linear'"),
        (model_with(), {"clip": None}, "clip was 0.5 and is None"),
        (model_with(), {"every": 2}, "every was None and is 2"),
    ],
)
def test_a_checkpoint_of_another_training_is_named(batches, tmp_path, model, changed, message):
    path, settings = tmp_path / "other.pt", settings_of(batches, epochs=1)
    training.train(model_with(), noisy_loss, batches, checkpoint=path, **settings)
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(ValueError, match=message):
        training.train(model, noisy_loss, batches, checkpoint=path, **settings | changed)
    assert all(map(torch.equal, model.parameters(), before))


def test_how_a_step_is_computed_makes_no_other_training(batches, tmp_path):
    """A checkpoint of an optimiser that was not fused goes on, as it was, by its name."""
    file = tmp_path / "run.pt"
    model = model_with()
    plain = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.0, fused=False)
    settings = settings_of(batches, optimizer=plain)
    with pytest.raises(Crash):
        training.train(
            model, noisy_loss, batches, checkpoint=file, on_step=crash_at(12), every=3, **settings
        )
    named = settings_of(batches)
    resumed = model_with()
    training.train(resumed, noisy_loss, batches, checkpoint=file, every=3, **named)
    unbroken = model_with()
    again = torch.optim.AdamW(unbroken.parameters(), lr=0.05, weight_decay=0.0, fused=False)
    training.train(unbroken, noisy_loss, batches, every=3, **settings_of(batches, optimizer=again))
    for one, other in zip(resumed.parameters(), unbroken.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_that_names_how_a_step_is_computed_goes_on(batches, tmp_path):
    """As those of version 0.8.0 did."""
    file, settings = tmp_path / "run.pt", settings_of(batches, epochs=1)
    training.train(model_with(), noisy_loss, batches, checkpoint=file, **settings)
    content = torch.load(file, weights_only=True)
    content["settings"] |= {"fused of group 0": None, "foreach of group 0": None}
    torch.save(content, file)
    training.train(model_with(), noisy_loss, batches, checkpoint=file, **settings)


def test_other_frozen_parameters_are_another_training(batches, tmp_path):
    path, settings = tmp_path / "frozen.pt", settings_of(batches, epochs=1)
    training.train(model_with(), noisy_loss, batches, checkpoint=path, **settings)
    model = model_with()
    model[0].requires_grad_(False)
    with pytest.raises(ValueError, match=r"trained parameters was .*0\.weight"):
        training.train(model, noisy_loss, batches, checkpoint=path, **settings)


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", b"PK\x03\x04 half of one"])
def test_a_file_that_is_no_checkpoint_is_refused(batches, tmp_path, content):
    path = tmp_path / "broken.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a whole checkpoint"):
        training.train(model_with(), noisy_loss, batches, checkpoint=path, **settings_of(batches))


def test_weights_alone_are_no_checkpoint(batches, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(model_with().state_dict(), path)
    with pytest.raises(ValueError, match="is not a checkpoint of this training loop"):
        training.train(model_with(), noisy_loss, batches, checkpoint=path, **settings_of(batches))


def test_a_file_cannot_run_code(batches, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the file ran code",))

    path = tmp_path / "bomb.pt"
    torch.save({"format": checkpoints.FORMAT, "model": Bomb()}, path)
    with pytest.raises(ValueError, match="is not a whole checkpoint"):
        training.train(model_with(), noisy_loss, batches, checkpoint=path, **settings_of(batches))
