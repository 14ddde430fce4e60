from __future__ import annotations

import pytest
import torch
from torch import nn

from throughtime._errors import ConfigurationError, ShapeError
from throughtime.nn import Cell, GRUCell, Recurrent


class Leaky(Cell):
    """A user's cell, its state a dict with a tuple in it."""

    def __init__(self, inputs=3, size=4):
        super().__init__()
        self.size = size
        self.linear = nn.Linear(inputs, size)
        self.first = nn.Parameter(torch.randn(size))

    def initial_state(self, batch_size):
        return {"level": self.first.expand(batch_size, -1), "seen": (torch.zeros(batch_size, dtype=torch.long),)}

    def forward(self, x, state):
        level = 0.5 * state["level"] + torch.tanh(self.linear(x))
        return level, {"level": level, "seen": (state["seen"][0] + 1,)}


class Duck(nn.Module):
    """A cell that derives from nothing of ours."""

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 3)

    def forward(self, x, state):
        return x + state, x + state


@pytest.mark.parametrize("name", ["RNNCell", "GRUCell", "LSTMCell"])
def test_torchs_cells(name, tensors):
    cell = getattr(nn, name)(3, 5)
    x = torch.randn(6, 2, 3)
    output, last = Recurrent(cell)(x)
    state = None
    for step, wanted in zip(x, output, strict=True):
        state = cell(step, state)
        assert torch.equal(wanted, state[0] if isinstance(state, tuple) else state)
    assert all(map(torch.equal, tensors(last), tensors(state)))
    assert list(Recurrent(cell).state_dict()) == [f"cell.{key}" for key in cell.state_dict()]


def test_a_users_cell_with_lengths_and_resets():
    layer = Recurrent(Leaky())
    x = torch.randn(6, 3, 3)
    lengths = torch.tensor([6, 0, 4])
    resets = torch.zeros(6, 3, dtype=torch.bool)
    resets[2, 0] = resets[5, 2] = True
    output, state = layer(x, lengths=lengths, resets=resets)
    assert state["seen"][0].tolist() == [4, 0, 4]
    torch.testing.assert_close(output[2:, :1], layer(x[2:, :1])[0])
    torch.testing.assert_close(output[:4, 2:], layer(x[:4, 2:])[0])
    assert not output[:, 1].any()
    assert not output[4:, 2].any()
    assert torch.equal(state["level"][1], layer.cell.first)
    output.sum().backward()
    assert layer.cell.first.grad is not None


def test_streaming_a_users_cell_bit_for_bit():
    layer, x = Recurrent(Leaky()), torch.randn(6, 2, 3)
    whole, last = layer(x)
    first, state = layer(x[:2])
    second, state = layer(x[2:], state)
    assert torch.equal(torch.cat([first, second]), whole)
    assert torch.equal(state["level"], last["level"])


def test_a_cell_of_any_class_and_no_steps():
    output, state = Recurrent(Duck())(torch.ones(4, 2, 3))
    assert torch.equal(state, torch.full((2, 3), 4.0))
    output, state = Recurrent(Duck())(torch.ones(0, 2, 3), state)
    assert output.shape == (0, 2, 3)
    assert torch.equal(state, torch.full((2, 3), 4.0))


def test_no_steps_draw_nothing():
    layer = Recurrent(GRUCell(3, 4, zoneout=0.5))
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    layer(torch.ones(0, 2, 3))
    assert torch.equal(torch.rand(3), expected)


def test_the_initial_state_follows_the_input():
    output, state = Recurrent(Duck())(torch.ones(4, 2, 3, dtype=torch.float64))
    assert output.dtype == state.dtype == torch.float64
    assert Recurrent(Leaky()).initial_state(2, dtype=torch.float64)["seen"][0].dtype == torch.long


def test_hooks_of_a_cell_see_every_step():
    cell, seen = GRUCell(3, 4), []
    cell.register_forward_hook(lambda module, arguments, result: seen.append(result[0]))
    output, _ = Recurrent(cell)(torch.randn(5, 2, 3))
    assert torch.equal(torch.stack(seen), output)


def test_a_state_without_batch_is_refused():
    with pytest.raises(ShapeError, match=r"a state 'seen.0' \[3\] for a batch of 2"):
        Recurrent(Leaky())(torch.zeros(4, 2, 3), {"level": torch.zeros(2, 4), "seen": (torch.zeros(3),)})


def test_what_is_no_cell_is_refused():
    with pytest.raises(ConfigurationError, match=r"got GRU, which has no initial_state\(batch_size\)"):
        Recurrent(nn.GRU(3, 4))
