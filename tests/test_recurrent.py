"""Cells and layers: by hand, beside torch.nn's, and with padding that must not matter."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

from nlp_course import recurrent, training  # noqa: E402
from nlp_course.recurrent import GRUCell, LSTMCell, Recurrent, RNNCell  # noqa: E402

CELLS = [RNNCell, GRUCell, LSTMCell]
TORCH = {RNNCell: nn.RNN, GRUCell: nn.GRU, LSTMCell: nn.LSTM}
TORCH_CELLS = {RNNCell: nn.RNNCell, GRUCell: nn.GRUCell, LSTMCell: nn.LSTMCell}
LSTM_FORGET = slice(3, 6)  # rows of f where hidden is 3


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def randomized(module, seed=0):
    """Every parameter away from where it begins, in double precision."""
    for place, parameter in enumerate(module.parameters()):
        parameter.data = numbers(*parameter.shape, seed=100 * seed + place) / 2
    return module.double()


def copy_weights(theirs, network):
    """Give our network the weights of torch's; their two biases are one here."""
    for place, cell in enumerate(network.cells):
        layer, backward = divmod(place, network.directions)
        end = f"_l{layer}" + ("_reverse" if backward else "")
        W_ih, W_hh, b_ih, b_hh = (
            getattr(theirs, name + end).detach().clone()
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        cell.W_hx.data, cell.W_hh.data, cell.b.data = W_ih, W_hh, b_ih + b_hh
        if isinstance(cell, GRUCell):
            hidden = cell.hidden
            cell.b.data[2 * hidden :] = b_ih[2 * hidden :]
            cell.b_hn.data = b_hh[2 * hidden :]


def pair(cell, layers=1, bidirectional=False, inputs=3, hidden=4):
    """Our network and torch's, with the same weights."""
    options = {"num_layers": layers, "bidirectional": bidirectional, "batch_first": True}
    theirs = randomized(TORCH[cell](inputs, hidden, **options))
    ours = Recurrent(cell, inputs, hidden, layers=layers, bidirectional=bidirectional).double()
    copy_weights(theirs, ours)
    return ours, theirs


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


def as_torch(state):
    return state if len(state) > 1 else state[0]


# Cells, by hand


def test_rnn_step_worked_by_hand():
    cell = RNNCell(inputs=2, hidden=1)
    cell.W_hx.data, cell.W_hh.data = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5]])
    cell.b.data = torch.tensor([0.25])
    (h,) = cell(torch.tensor([[3.0, 1.0]]), (torch.tensor([[-2.0]]),))
    assert h.item() == pytest.approx(torch.tanh(torch.tensor(3 - 2 - 1 + 0.25)).item())


def test_gru_with_z_of_one_copies_and_with_z_of_zero_is_new():
    cell, state = randomized(GRUCell(2, 3)), (numbers(1, 3),)
    x = numbers(1, 2, seed=1)
    cell.b.data[3:6] = 1e3
    torch.testing.assert_close(cell(x, state), state)
    cell.b.data[3:6] = -1e3
    W, U, b = cell.W_hx[6:], cell.W_hh[6:], cell.b[6:]
    cell.b.data[:3] = 1e3  # r = 1: the simple recurrent network
    expected = torch.tanh(x @ W.T + b + state[0] @ U.T + cell.b_hn)
    torch.testing.assert_close(cell(x, state)[0], expected)
    cell.b.data[:3] = -1e3  # r = 0: all before is forgotten
    torch.testing.assert_close(cell(x, state)[0], torch.tanh(x @ W.T + b))


def test_lstm_that_forgets_nothing_and_reads_nothing_keeps_its_cell():
    cell, state = randomized(LSTMCell(2, 3)), (numbers(1, 3), numbers(1, 3, seed=1))
    cell.b.data[:3], cell.b.data[LSTM_FORGET] = -1e3, 1e3
    h, c = cell(numbers(1, 2, seed=2), state)
    torch.testing.assert_close(c, state[1])
    assert not torch.equal(h, state[0])


def test_lstm_can_count():
    """With i, f and o open and g = ±1, c adds up what is read."""
    cell = LSTMCell(1, 1).double()
    cell.W_hx.data[:], cell.W_hh.data[:] = 0, 0
    cell.b.data[:] = torch.tensor([1e3, 1e3, 0, 1e3])
    cell.W_hx.data[2] = 1e3
    x = torch.tensor([1.0, 1, 1, -1, 1, 1, -1], dtype=torch.float64)[None, :, None]
    counts = [c.item() for _, c in recurrent.unroll(cell, x)]
    assert counts == [1, 2, 3, 2, 3, 4, 3]


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_is_that_of_torch(cell):
    theirs = randomized(TORCH_CELLS[cell](3, 4))
    network, whole = pair(cell)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(theirs, name).data = getattr(whole, name + "_l0").data
    state = tuple(numbers(2, 4, seed=seed) for seed in range(cell.memories))
    x = numbers(2, 3, seed=9)
    expected = as_tuple(theirs(x, as_torch(state)))
    torch.testing.assert_close(network.cells[0](x, state), expected)


# Layers, beside torch


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_outputs_states_and_gradients_are_those_of_torch(cell, layers, bidirectional):
    ours, theirs = pair(cell, layers, bidirectional)
    x = numbers(5, 7, 3)
    places = layers * (1 + bidirectional)
    state = tuple(numbers(places, 5, 4, seed=seed) for seed in range(cell.memories))
    of_inputs = []
    for network, start in ((ours, state), (theirs, as_torch(state))):
        read = x.clone().requires_grad_()
        outputs, last = network(read, start)
        last = as_tuple(last)
        loss = (outputs * numbers(*outputs.shape, seed=5)).sum() + sum(
            (memory**3).sum() for memory in last
        )
        loss.backward()
        of_inputs.append((outputs, *last, read.grad))
    for our, their in zip(*of_inputs, strict=True):
        torch.testing.assert_close(our, their, rtol=0, atol=1e-10)
    for place, our in enumerate(ours.cells):
        end = f"_l{place // ours.directions}" + ("_reverse" if place % ours.directions else "")
        torch.testing.assert_close(our.W_hx.grad, getattr(theirs, "weight_ih" + end).grad)
        torch.testing.assert_close(our.W_hh.grad, getattr(theirs, "weight_hh" + end).grad)
        torch.testing.assert_close(our.b.grad, getattr(theirs, "bias_ih" + end).grad)
        if cell is GRUCell:
            theirs_hn = getattr(theirs, "bias_hh" + end).grad[-4:]
            torch.testing.assert_close(our.b_hn.grad, theirs_hn)


@pytest.mark.parametrize("cell", CELLS)
def test_in_single_precision_the_difference_is_below_a_millionth(cell):
    torch.manual_seed(0)
    theirs = TORCH[cell](50, 60, num_layers=2, bidirectional=True, batch_first=True)
    ours = Recurrent(cell, 50, 60, layers=2, bidirectional=True)
    copy_weights(theirs, ours)
    x = torch.randn(8, 40, 50)
    assert (ours(x)[0] - theirs(x)[0]).abs().max() < 1e-6


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padded_batches_are_those_of_torch(cell, bidirectional):
    ours, theirs = pair(cell, 2, bidirectional)
    x, lengths = numbers(4, 6, 3), torch.tensor([6, 2, 5, 1])
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected, last = theirs(packed)
    outputs, state = ours(x, lengths=lengths)
    torch.testing.assert_close(outputs, pad_packed_sequence(expected, batch_first=True)[0])
    for our, their in zip(state, as_tuple(last), strict=True):
        torch.testing.assert_close(our, their)


# Padding


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=5),
    st.integers(0, 3),
    st.sampled_from(CELLS),
    st.booleans(),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_padding_changes_nothing(lengths, more, cell, bidirectional, seed):
    """Each sequence alone gives what it gives in a batch, whatever stands in the padding."""
    network = randomized(Recurrent(cell, 2, 3, layers=2, bidirectional=bidirectional), seed)
    x = numbers(len(lengths), max(lengths) + more, 2, seed=seed)
    places = 2 * network.directions
    start = tuple(numbers(places, len(lengths), 3, seed=seed + m) for m in range(cell.memories))
    outputs, state = network(x, start, torch.tensor(lengths))
    assert not outputs.isnan().any()
    for row, length in enumerate(lengths):
        alone = tuple(memory[:, row : row + 1] for memory in start)
        of_row, last = network(x[row : row + 1, :length], alone)
        torch.testing.assert_close(outputs[row, :length], of_row[0])
        assert not outputs[row, length:].any()
        for memory, expected in zip(state, last, strict=True):
            torch.testing.assert_close(memory[:, row], expected[:, 0])


@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_without_steps_ends_in_the_state_it_began_with(cell):
    network = randomized(Recurrent(cell, 2, 3, bidirectional=True))
    start = tuple(numbers(2, 3, 3, seed=seed) for seed in range(cell.memories))
    outputs, state = network(numbers(3, 4, 2), start, torch.tensor([4, 0, 2]))
    assert not outputs[1].any()
    for memory, began in zip(state, start, strict=True):
        assert torch.equal(memory[:, 1], began[:, 1])
        assert not torch.equal(memory[:, 0], began[:, 0])


def test_a_batch_without_steps_has_no_outputs_and_keeps_its_state():
    network = Recurrent(GRUCell, 2, 3)
    outputs, (h,) = network(torch.zeros(2, 0, 2))
    assert outputs.shape == (2, 0, 3)
    assert not h.any()


def test_no_gradient_flows_into_padding():
    network = randomized(Recurrent(LSTMCell, 2, 3, bidirectional=True))
    x = numbers(2, 5, 2).requires_grad_()
    outputs, state = network(x, lengths=torch.tensor([3, 0]))
    (outputs.sum() + sum(memory.sum() for memory in state)).backward()
    assert x.grad[0, :3].all()
    assert not x.grad[0, 3:].any()
    assert not x.grad[1].any()


# Time


@given(st.sampled_from(CELLS), st.integers(1, 3), st.lists(st.integers(0, 4), max_size=4))
@settings(deadline=None, max_examples=25)
def test_a_text_in_pieces_gives_what_it_gives_at_once(cell, layers, pieces):
    network = randomized(Recurrent(cell, 2, 3, layers=layers))
    x = numbers(2, sum(pieces) + 1, 2)
    whole, last = network(x)
    state, parts = None, []
    for piece in x.split([1, *pieces], dim=1):
        outputs, state = network(piece, state)
        parts.append(outputs)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    torch.testing.assert_close(state, last)


def test_the_present_depends_on_the_past_and_not_on_the_future():
    network = randomized(Recurrent(GRUCell, 2, 3))
    x = numbers(1, 8, 2).requires_grad_()
    network(x)[0][0, 4].sum().backward()
    assert x.grad[0, :5].all()
    assert not x.grad[0, 5:].any()


def test_both_directions_see_the_whole_sequence():
    network = randomized(Recurrent(GRUCell, 2, 3, bidirectional=True))
    x = numbers(1, 8, 2).requires_grad_()
    network(x)[0][0, 4].sum().backward()
    assert x.grad.all()


def test_the_backward_direction_is_the_forward_one_of_the_reversed_sequence():
    both = randomized(Recurrent(LSTMCell, 2, 3, bidirectional=True))
    one = Recurrent(LSTMCell, 2, 3).double()
    one.cells[0].load_state_dict(both.cells[1].state_dict())
    x = numbers(2, 5, 2)
    torch.testing.assert_close(both(x)[0][..., 3:], one(x.flip(1))[0].flip(1))


def test_unroll_gives_the_states_of_the_graph():
    cell = randomized(RNNCell(2, 3))
    states = recurrent.unroll(cell, numbers(1, 4, 2))
    (of_second,) = torch.autograd.grad(states[3][0].sum(), states[1])
    assert of_second.abs().sum() > 0


# What it begins with


@pytest.mark.parametrize("cell", CELLS)
def test_initial_weights_are_the_documented_ones(cell):
    training.set_seed(0)
    made = cell(400, 100)
    assert made.W_hx.std().item() == pytest.approx(400**-0.5, rel=0.02)
    for block in made.W_hh.chunk(cell.blocks):
        torch.testing.assert_close(block @ block.T, torch.eye(100), atol=1e-5, rtol=0)
    ones = torch.zeros(100 * cell.blocks)
    if cell is LSTMCell:
        ones[100:200] = 1
    assert torch.equal(made.b.data, ones)


def test_dropout_lies_between_layers_and_in_training_only():
    training.set_seed(0)
    x = torch.randn(1, 4, 3)
    one = Recurrent(RNNCell, 3, 50, dropout=0.5)
    assert torch.equal(one(x)[0], one(x)[0])
    two = Recurrent(RNNCell, 3, 50, layers=2, dropout=0.5)
    assert not torch.equal(two(x)[0], two(x)[0])
    two.eval()
    assert torch.equal(two(x)[0], two(x)[0])


# Pooling


def test_pooling_worked_by_hand():
    outputs = torch.tensor([[[1.0, -5.0], [3.0, -1.0], [99.0, 99.0]], [[2.0, 2.0]] * 3])
    lengths = torch.tensor([2, 0])
    assert recurrent.mean_pool(outputs, lengths).tolist() == [[2.0, -3.0], [0.0, 0.0]]
    assert recurrent.max_pool(outputs, lengths).tolist() == [[3.0, -1.0], [0.0, 0.0]]


def test_pooling_of_no_steps_at_all_is_zeros():
    outputs, lengths = torch.zeros(2, 0, 3), torch.tensor([0, 0])
    assert not recurrent.mean_pool(outputs, lengths).any()
    assert recurrent.max_pool(outputs, lengths).shape == (2, 3)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_pooling_of_a_padded_batch_is_that_of_each_sequence(lengths, seed):
    outputs = numbers(len(lengths), 6, 3, seed=seed)
    mean = recurrent.mean_pool(outputs, torch.tensor(lengths))
    largest = recurrent.max_pool(outputs, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        torch.testing.assert_close(mean[row], outputs[row, :length].mean(dim=0))
        torch.testing.assert_close(largest[row], outputs[row, :length].amax(dim=0))


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": 0}, "inputs must be at least 1, got 0"),
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Recurrent(RNNCell, **{"inputs": 2, "hidden": 3} | options)


def test_inputs_states_and_lengths_that_do_not_fit_are_refused():
    network, x = Recurrent(LSTMCell, 2, 3), torch.zeros(4, 5, 2)
    with pytest.raises(ValueError, match="each step needs 2 inputs, got 3"):
        network(torch.zeros(4, 5, 3))
    _, state = network(torch.zeros(3, 5, 2))
    with pytest.raises(ValueError, match=r"2 tensors of shape \(1, 4, 3\) .*got \[\(1, 3, 3\)"):
        network(x, state)
    with pytest.raises(ValueError, match="must be 2 tensors"):
        network(x, (torch.zeros(1, 4, 3),))
    with pytest.raises(ValueError, match="4 sequences need as many lengths, got 2"):
        network(x, lengths=torch.tensor([1, 2]))
    for wrong in ([1, 2, 3, 6], [1, -1, 3, 4]):
        with pytest.raises(ValueError, match="lengths must lie in 0 … 5, got"):
            network(x, lengths=torch.tensor(wrong))
