"""The training loop: what a step does, when it ends, what is left when something goes wrong."""

from __future__ import annotations

import math
from itertools import count, pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course import training, training_setup  # noqa: E402
from nlp_course.training_setup import uses_bfloat16  # noqa: E402

nn = torch.nn
HERE = {"device": "cpu", "progress": False}


def cross_entropy(model, batch):
    x, y = batch
    return nn.functional.cross_entropy(model(x), y, reduction="sum"), len(y)


def dropout_model():
    """Two layers with dropout between: its steps depend on torch's random generator."""
    training.set_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 4))


def linear_model():
    training.set_seed(0)
    return nn.Linear(3, 4)


@pytest.fixture(scope="module")
def examples():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(50, 3, generator=generator)
    return x, (x.sum(dim=1) > 0).long() + 2 * (x[:, 0] > 0).long()


@pytest.fixture(scope="module")
def batches(examples):
    return training.shuffled(*examples, batch_size=16)


def weights_of(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def told(history):
    """All that a history says, but for the time that steps took."""
    return [record[:-1] for record in history.records], history.validations, history.stopped


# What a step does


def test_a_step_of_sgd_moves_against_the_gradient_of_the_mean(examples):
    model, (x, y) = linear_model(), examples
    before = weights_of(model)
    nn.functional.cross_entropy(model(x), y).backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    history = training.train(
        model, cross_entropy, lambda rng: [(x, y)], steps=1, optimizer="sgd", learning_rate=0.5,
        **HERE,
    )  # fmt: skip
    torch.testing.assert_close(weights_of(model), before - 0.5 * gradient)
    assert history.gradient_norm[0] == pytest.approx(gradient.norm().item(), rel=1e-5)
    assert history.tokens.tolist() == [50]


def test_the_loop_does_what_its_lines_written_out_do(batches):
    """Dropout, shuffling, Adam, clipping and a schedule, all of torch's own."""
    model, plain = dropout_model(), dropout_model()
    history = training.train(
        model, cross_entropy, batches, epochs=3, learning_rate=0.05, schedule=training.cosine,
        clip=0.1, seed=7, **HERE,
    )  # fmt: skip
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12)
    torch.manual_seed(7)
    losses, norms = [], []
    for epoch in range(3):
        for x, y in batches(np.random.default_rng([7, epoch])):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(plain(x), y)
            loss.backward()
            norms.append(nn.utils.clip_grad_norm_(plain.parameters(), 0.1).item())
            losses.append(loss.item())
            optimizer.step()
            schedule.step()
    torch.testing.assert_close(weights_of(model), weights_of(plain), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-4)
    np.testing.assert_allclose(history.gradient_norm, norms, rtol=1e-3)


def test_a_long_gradient_becomes_one_of_length_tau_and_its_own_is_recorded(examples):
    model, (x, y) = linear_model(), examples
    before = weights_of(model)
    history = training.train(
        model, cross_entropy, lambda rng: [(1e3 * x, y)], steps=1, optimizer="sgd",
        learning_rate=1.0, clip=0.25, **HERE,
    )  # fmt: skip
    assert (weights_of(model) - before).norm().item() == pytest.approx(0.25, rel=1e-3)
    assert history.gradient_norm[0] > 100


def test_a_short_gradient_is_not_clipped(batches):
    free, clipped = linear_model(), linear_model()
    one = training.train(free, cross_entropy, batches, epochs=2, **HERE)
    other = training.train(clipped, cross_entropy, batches, epochs=2, clip=1e3, **HERE)
    assert torch.equal(weights_of(free), weights_of(clipped))
    assert told(one) == told(other)


def test_frozen_parameters_stay_as_they_are(batches):
    model = dropout_model()
    model[0].requires_grad_(False)
    frozen, free = model[0].weight.clone(), model[3].weight.clone()
    training.train(model, cross_entropy, batches, epochs=1, weight_decay=0.1, **HERE)
    assert torch.equal(model[0].weight, frozen)
    assert not torch.equal(model[3].weight, free)


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize("cut", [np.s_[:, :2], np.s_[::2], np.s_[:2]])
def test_parts_of_a_tensor_move_as_by_torchs_plain_optimiser(name, cut):
    """The fused step takes numbers in the order of memory, whatever the strides."""
    moved = []
    for make in (
        lambda parameters: training_setup.make_optimizer(name, parameters, 0.1, 0.0),
        lambda parameters: training_setup.OPTIMIZERS[name](
            parameters, lr=0.1, weight_decay=0.0, fused=False
        ),
    ):
        table = torch.arange(16.0).view(4, 4)
        part = torch.nn.Parameter(table[cut])
        optimizer = make([part])
        for _ in range(2):
            optimizer.zero_grad()
            (part**2).sum().backward()
            optimizer.step()
        moved.append(table)
    assert torch.allclose(*moved)


def test_complex_numbers_can_be_trained():
    part = torch.nn.Parameter(torch.ones(2, dtype=torch.complex64))
    optimizer = training_setup.make_optimizer("adam", [part], 0.1, 0.0)
    part.abs().sum().backward()
    optimizer.step()
    assert part.abs().max() < 1


def test_an_optimiser_of_torch_keeps_the_rate_of_each_group(examples):
    model = dropout_model()
    still, moving = model[0].weight.clone(), model[3].weight.clone()
    optimizer = torch.optim.SGD(
        [
            {"params": model[0].parameters(), "lr": 0.0},
            {"params": model[3].parameters(), "lr": 0.5},
        ]
    )
    training.train(
        model, cross_entropy, lambda rng: [examples], steps=4, optimizer=optimizer,
        schedule=training.linear, **HERE,
    )  # fmt: skip
    assert torch.equal(model[0].weight, still)
    assert not torch.equal(model[3].weight, moving)
    assert [group["lr"] for group in optimizer.param_groups] == [0.0, 0.5 * 0.25]


def test_the_number_of_tokens_divides_the_sum(examples):
    norms = []
    for tokens in (10, torch.tensor(50)):
        history = training.train(
            linear_model(),
            lambda model, batch, tokens=tokens: (cross_entropy(model, batch)[0], tokens),
            lambda rng: [examples], steps=1, **HERE,
        )  # fmt: skip
        norms.append(history.gradient_norm[0])
    assert norms[0] == pytest.approx(5 * norms[1], rel=1e-5)


def test_batches_may_be_dictionaries_and_come_from_a_generator(examples):
    x, y = examples
    model = linear_model()
    history = training.train(
        model,
        lambda model, batch: cross_entropy(model, (batch["x"], batch["y"])),
        lambda rng: ({"x": x, "y": y, "words": ["not", "a", "tensor"]} for _ in range(3)),
        epochs=2, **HERE,
    )  # fmt: skip
    assert history.steps == 6


def test_bfloat16_is_the_forward_pass_only(batches):
    kinds = []

    def loss(model, batch):
        x, y = batch
        logits = model(x)
        kinds.append(logits.dtype)
        return nn.functional.cross_entropy(logits.float(), y, reduction="sum"), len(y)

    model = linear_model()
    training.train(model, loss, batches, epochs=1, precision="bfloat16", **HERE)
    training.evaluate(model, loss, batches(np.random.default_rng(0)))
    assert kinds == [torch.bfloat16] * 4 + [torch.float32] * 4
    assert model.weight.dtype == torch.float32
    assert not uses_bfloat16(None, torch.device("cpu"))


# How long, at which rate, with which seed


@pytest.mark.parametrize(
    ("schedule", "torchs"),
    [
        (training.constant, lambda o: torch.optim.lr_scheduler.ConstantLR(o, 1.0)),
        (training.linear, lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.0, 20)),
        (training.cosine, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20)),
    ],
)
def test_schedules_are_torchs(schedule, torchs):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torchs(optimizer)
    for step in range(20):
        expected = optimizer.param_groups[0]["lr"]
        assert training.learning_rate_factor(step, 20, schedule) == pytest.approx(expected)
        optimizer.step()
        scheduler.step()


def test_the_rate_rises_to_its_height_and_no_step_is_lost_at_0():
    rates = [training.learning_rate_factor(s, 100, training.cosine, 10) for s in range(100)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert max(rates) == rates[9] == rates[10] == 1
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))
    assert rates[-1] > 0


def test_epochs_and_steps_measure_the_same_training(batches):
    by_epochs, by_steps = dropout_model(), dropout_model()
    settings = {"schedule": training.linear, "warmup": 3, **HERE}
    one = training.train(by_epochs, cross_entropy, batches, epochs=2, **settings)
    other = training.train(by_steps, cross_entropy, batches, steps=8, **settings)
    assert told(one) == told(other)
    assert one.steps == 8
    assert one.stopped == "done"
    assert torch.equal(weights_of(by_epochs), weights_of(by_steps))


def test_a_seed_decides_everything_and_another_decides_otherwise(batches):
    weights, histories = [], []
    for seed in (5, 5, 6):
        model = dropout_model()
        torch.rand(int(torch.randint(1, 9, ())))  # whatever was drawn before does not matter
        history = training.train(model, cross_entropy, batches, epochs=2, seed=seed, **HERE)
        weights.append(weights_of(model))
        histories.append(told(history))
    assert torch.equal(weights[0], weights[1])
    assert histories[0] == histories[1] != histories[2]
    assert not torch.equal(weights[0], weights[2])


def test_every_epoch_sees_each_example_once_in_another_order():
    rows = torch.arange(10)
    batches = training.shuffled(rows, rows * 2, batch_size=4)
    epochs = [list(batches(np.random.default_rng([0, epoch]))) for epoch in range(2)]
    orders = [torch.cat([first for first, _ in epoch]).tolist() for epoch in epochs]
    assert [len(first) for first, _ in epochs[0]] == [4, 4, 2]
    assert sorted(orders[0]) == sorted(orders[1]) == rows.tolist()
    assert orders[0] != orders[1]
    assert all(torch.equal(2 * first, second) for epoch in epochs for first, second in epoch)


# Validation, patience, what is kept


class Validation:
    """Gives values in order, and remembers the weights that it was asked about."""

    def __init__(self, *values):
        self.values, self.seen = list(values), []

    def __call__(self, model):
        assert not model.training
        assert not torch.is_grad_enabled()
        self.seen.append(weights_of(model))
        return self.values[len(self.seen) - 1]


def test_the_best_weights_come_back_and_patience_ends_training(batches):
    model, validation = dropout_model(), Validation(3.0, 2.0, 2.5, 2.0, 1.0)
    history = training.train(
        model, cross_entropy, batches, epochs=9, validate=validation, patience=2, **HERE
    )
    assert history.validation.tolist() == [3.0, 2.0, 2.5, 2.0]
    assert history.validated.tolist() == [4, 8, 12, 16]
    assert history.best == (8, 2.0)
    assert "2 times in a row" in history.stopped
    assert torch.equal(weights_of(model), validation.seen[1])
    assert not model.training


def test_the_last_weights_are_kept_where_that_is_asked(batches):
    model, validation = dropout_model(), Validation(1.0, 2.0, 3.0)
    training.train(
        model, cross_entropy, batches, epochs=3, validate=validation, keep="last", **HERE
    )
    assert torch.equal(weights_of(model), validation.seen[2])


def test_without_patience_training_goes_on_to_the_end(batches):
    history = training.train(
        dropout_model(), cross_entropy, batches, epochs=4, validate=Validation(1, 2, 3, 4), **HERE
    )
    assert history.validated.tolist() == [4, 8, 12, 16]


def test_validation_after_every_so_many_steps_and_after_the_last(batches):
    history = training.train(
        dropout_model(), cross_entropy, batches, steps=10, every=4, validate=Validation(3, 2, 1),
        **HERE,
    )  # fmt: skip
    assert history.validated.tolist() == [4, 8, 10]


def test_patience_is_kept_within_an_epoch(batches):
    history = training.train(
        dropout_model(), cross_entropy, batches, epochs=5, every=1, patience=1,
        validate=Validation(2.0, 1.0, 1.5), **HERE,
    )  # fmt: skip
    assert history.steps == 3


def test_every_step_is_in_training_mode_also_after_validation(batches):
    modes = []

    def loss(model, batch):
        modes.append(model.training)
        return cross_entropy(model, batch)

    training.train(
        dropout_model(), loss, batches, epochs=2, every=1, validate=lambda model: 1.0, **HERE
    )
    assert modes == [True] * 8


def test_evaluate_is_the_mean_over_tokens_not_over_batches(examples):
    model, (x, y) = dropout_model(), examples
    model.train()
    uneven = [(x[:3], y[:3]), (x[3:], y[3:])]
    expected = nn.functional.cross_entropy(model.eval()(x), y).item()
    model.train()
    assert training.evaluate(model, cross_entropy, uneven) == pytest.approx(expected, rel=1e-5)
    assert model.training  # as it was
    assert all(parameter.grad is None for parameter in model.parameters())


# When something goes wrong


def test_ctrl_c_keeps_the_best_so_far_and_says_so(batches, capsys):
    model, validation = dropout_model(), Validation(2.0, 1.0, 3.0)

    def interrupt(model, history):
        if history.steps == 14:
            raise KeyboardInterrupt

    history = training.train(
        model, cross_entropy, batches, epochs=9, validate=validation, on_step=interrupt, **HERE
    )
    assert history.steps == 14
    assert history.stopped == "interrupted after step 14"
    assert torch.equal(weights_of(model), validation.seen[1])
    assert "the weights are those after step 8, the best so far" in capsys.readouterr().err
    assert not model.training


@pytest.mark.parametrize("place", ["loss", "batches", "validate"])
def test_ctrl_c_may_come_anywhere(batches, capsys, place):
    calls = count(1)

    def broken(name, result):
        if name == place and next(calls) == 2:
            raise KeyboardInterrupt
        return result

    history = training.train(
        dropout_model(),
        lambda model, batch: broken("loss", cross_entropy(model, batch)),
        lambda rng: [broken("batches", batch) for batch in batches(rng)],
        steps=20,
        validate=lambda model: broken("validate", 1.0),
        **HERE,
    )
    assert history.steps == {"loss": 1, "batches": 0, "validate": 8}[place]
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_and_leaves_the_weights_before_it(batches, bad):
    kept = []

    def loss(model, batch):
        kept.append(weights_of(model))
        summed, tokens = cross_entropy(model, batch)
        return summed * (bad if len(kept) == 6 else 1), tokens

    model = dropout_model()
    with pytest.raises(FloatingPointError) as caught:
        training.train(model, loss, batches, epochs=3, learning_rate=0.25, **HERE)
    message = str(caught.value)
    assert f"step 6 (epoch 2, batch 2): loss {bad}" in message
    assert "learning rate 0.25" in message
    assert "gradient norm" in message
    assert "those after step 5" in message
    assert "Try a lower learning rate" in message
    assert torch.equal(weights_of(model), kept[-1])


def test_a_gradient_that_is_not_finite_stops_too(examples):
    def loss(model, batch):
        return cross_entropy(model, batch)[0] + (0 * model.weight).square().sum().sqrt(), 1

    with pytest.raises(FloatingPointError, match=r"loss \d.*gradient norm nan.*x/‖x‖"):
        training.train(linear_model(), loss, lambda rng: [examples], steps=1, **HERE)


def test_a_training_that_diverges_keeps_the_best_validated_weights(batches):
    model, validation = dropout_model(), Validation(1.0, 2.0)

    def loss(model, batch):
        summed, tokens = cross_entropy(model, batch)
        return summed * (math.nan if len(validation.seen) == 2 else 1), tokens

    with pytest.raises(FloatingPointError, match="those after step 4, the best so far"):
        training.train(model, loss, batches, epochs=3, validate=validation, **HERE)
    assert torch.equal(weights_of(model), validation.seen[0])


def test_a_full_gpu_says_what_to_lower(batches):
    def loss(model, batch):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(MemoryError, match=r"step 1 \(epoch 1, batch 1\)\. Lower the batch size"):
        training.train(dropout_model(), loss, batches, epochs=1, **HERE)


def test_a_validation_that_is_no_number_is_refused(batches):
    with pytest.raises(FloatingPointError, match="validation gave NaN after step 4"):
        training.train(
            linear_model(), cross_entropy, batches, epochs=1, validate=Validation(math.nan), **HERE
        )
    with pytest.raises(TypeError, match="it returned None"):
        training.train(
            linear_model(), cross_entropy, batches, epochs=1, validate=lambda model: None, **HERE
        )


@pytest.mark.parametrize("empty", [lambda rng: [], lambda rng: iter(())], ids=["list", "generator"])
@pytest.mark.parametrize("length", [{"epochs": 2}, {"steps": 2}])
def test_an_epoch_without_batches_is_refused(empty, length):
    with pytest.raises(ValueError, match="epoch 1 has no batches"):
        training.train(linear_model(), cross_entropy, empty, **length, **HERE)


def test_nothing_to_evaluate_on_is_refused(examples):
    with pytest.raises(ValueError, match="nothing to evaluate on"):
        training.evaluate(linear_model(), cross_entropy, [])
    with pytest.raises(ValueError, match="no token"):
        training.evaluate(linear_model(), lambda *_: (torch.zeros(()), 0), [examples])


def test_a_batch_without_tokens_is_refused(examples):
    with pytest.raises(ValueError, match=r"no tokens in the batch of step 1 .*masked"):
        training.train(
            linear_model(),
            lambda model, batch: (cross_entropy(model, batch)[0], 0),
            lambda rng: [examples],
            steps=1,
            **HERE,
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give epochs or steps"),
        ({"epochs": 1, "steps": 1}, "give epochs or steps"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"steps": -1}, "steps must be at least 1"),
        ({"epochs": 1, "every": 0}, "every must be at least 1"),
        ({"epochs": 1, "patience": 2}, "give validate"),
        ({"epochs": 1, "patience": 0, "validate": lambda model: 1.0}, "patience must be"),
        ({"epochs": 1, "warmup": -1}, "warmup must be at least 0"),
        ({"epochs": 1, "warmup": 5}, "warmup takes 5 steps, but there are only 4"),
        ({"epochs": 1, "clip": 0.0}, "clip must be above 0"),
        ({"epochs": 1, "learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"epochs": 1, "learning_rate": math.nan}, "learning_rate must be above 0"),
        ({"epochs": 1, "weight_decay": -1.0}, "weight_decay must be at least 0"),
        ({"epochs": 1, "optimizer": "adamax"}, "one of sgd, adagrad, adam, adamw, got 'adamax'"),
        ({"epochs": 1, "seed": -1}, "seed must lie in"),
        ({"epochs": 1, "device": "gpu"}, "a name such as 'cpu' or 'cuda'"),
    ],
)
def test_a_setting_out_of_range_is_refused(batches, settings, message):
    with pytest.raises(ValueError, match=message):
        training.train(linear_model(), cross_entropy, batches, **HERE | settings)


def test_a_device_that_is_not_here_is_refused():
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(ValueError, match="finds no 'cuda' device"):
        training.pick_device("cuda")
    assert training.pick_device() == torch.device("cpu")


def test_a_model_without_trainable_parameters_is_refused(batches):
    model = linear_model().requires_grad_(False)
    with pytest.raises(ValueError, match="nothing to train"):
        training.train(model, cross_entropy, batches, epochs=1, **HERE)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (torch.zeros(()), "must return"),
        ((torch.zeros(3), 3), r"tensor of one number, got \(3,\)"),
        ((1.5, 3), "tensor of one number, got 1.5"),
    ],
)
def test_a_loss_that_returns_something_else_is_refused(batches, result, message):
    loss = lambda model, batch: result  # noqa: E731
    with pytest.raises(TypeError, match=message):
        training.train(linear_model(), loss, batches, epochs=1, **HERE)


@pytest.mark.parametrize(
    ("tensors", "size", "message"),
    [
        ((torch.zeros(3), torch.zeros(2)), 1, r"one length; got lengths \[3, 2\]"),
        ((), 1, "one tensor or more"),
        ((torch.zeros(0),), 1, "no examples"),
        ((torch.zeros(3),), 0, "batch_size must be at least 1"),
    ],
)
def test_batches_that_cannot_be_made_are_refused(tensors, size, message):
    with pytest.raises(ValueError, match=message):
        training.shuffled(*tensors, batch_size=size)


# What is shown


def test_progress_goes_to_standard_error_with_loss_and_speed(batches, capsys):
    training.train(linear_model(), cross_entropy, batches, epochs=2, device="cpu")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "8/8" in shown.err
    assert "nats" in shown.err
    assert "tokens/s" in shown.err


def test_without_progress_nothing_is_shown(batches, capsys):
    training.train(linear_model(), cross_entropy, batches, epochs=1, **HERE)
    assert capsys.readouterr() == ("", "")


def test_history_counts_tokens_and_time(batches):
    history = training.train(linear_model(), cross_entropy, batches, epochs=1, **HERE)
    assert history.tokens.tolist() == [16, 16, 16, 2]
    assert history.tokens_per_second == pytest.approx(50 / history.seconds.sum())
    assert history.best is None
    assert training.History().tokens_per_second == 0


@pytest.mark.gpu
def test_on_a_gpu_it_learns_as_on_the_cpu(batches):
    losses = {}
    for device in ("cpu", "cuda"):
        model = dropout_model().eval()
        model[2].p = 0.0
        history = training.train(
            model, cross_entropy, batches, epochs=5, device=device, precision="float32",
            progress=False,
        )  # fmt: skip
        losses[device] = history.loss
    np.testing.assert_allclose(losses["cpu"], losses["cuda"], rtol=1e-3)
