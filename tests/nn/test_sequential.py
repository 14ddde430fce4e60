from __future__ import annotations

import pytest
import torch
from torch import nn

from throughtime._errors import ShapeError, UnsupportedError
from throughtime._state import detach
from throughtime.nn import GRU, LSTM, GRUCell, Lags, Recurrent, Sequential


def layers():
    return Sequential(Lags(1, (0, 2)), nn.Linear(3, 4), GRU(4, 5), nn.Tanh(), Recurrent(GRUCell(5, 6)), LSTM(6, 2))


def test_streaming_equals_whole(tensors):
    stack, x = layers(), torch.randn(7, 3, 2)
    whole, last = stack(x)
    first, state = stack(x[:3])
    second, state = stack(x[3:], detach(state))
    torch.testing.assert_close(torch.cat([first, second]), whole)
    assert [part is None for part in state] == [False, True, False, True, False, False]
    for a, b in zip(tensors(state), tensors(last), strict=True):
        torch.testing.assert_close(a, b)


def test_the_initial_state_is_that_of_none(tensors):
    stack, x = layers(), torch.randn(7, 3, 2)
    assert torch.equal(stack(x)[0], stack(x, stack.initial_state(3))[0])
    assert stack.initial_state(3, dtype=torch.float64)[2].dtype == torch.float64


def test_lengths_and_resets_reach_every_layer_with_a_state():
    stack, x = layers(), torch.randn(7, 3, 2)
    resets = torch.zeros(7, 3, dtype=torch.bool)
    resets[4, 1] = True
    output, _ = stack(x, lengths=torch.tensor([7, 7, 2]), resets=resets)
    torch.testing.assert_close(output[4:, 1:2], stack(x[4:, 1:2])[0])
    torch.testing.assert_close(output[:2, 2:], stack(x[:2, 2:])[0])


def test_torchs_layers_take_part():
    stack, x = Sequential(nn.Linear(2, 3), nn.LSTM(3, 4)), torch.randn(7, 3, 2)
    assert [tuple(part.shape) for part in stack.initial_state(3)[1]] == [(1, 3, 4)] * 2
    output, state = stack(x, stack.initial_state(3))
    assert output.shape == (7, 3, 4)
    stack(x, state)
    with pytest.raises(UnsupportedError, match=r"layer 1, LSTM, takes no lengths: throughtime.s layers do"):
        stack(x, lengths=torch.tensor([7, 1, 1]))


def test_streams():
    assert layers().streams
    assert not Sequential(GRU(2, 3), GRU(3, 2, bidirectional=True)).streams
    assert not Sequential(nn.GRU(2, 3, batch_first=True)).streams
    assert Sequential(Sequential(nn.GRU(2, 3))).streams


def test_a_state_of_another_stack_is_refused():
    with pytest.raises(ShapeError, match="got 2 states for 6 layers"):
        layers()(torch.zeros(7, 3, 2), (None, None))
    with pytest.raises(ShapeError, match="got a Tensor for 6 layers"):
        layers()(torch.zeros(7, 3, 2), torch.zeros(1))
