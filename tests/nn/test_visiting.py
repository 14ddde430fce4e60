"""Every step of every recurrence is seen, the numbers are the same, and the module is left as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import throughtime as tt
from throughtime import UnsupportedError
from throughtime._state import leaves
from throughtime.nn import MinGRU, MinLSTM
from throughtime.nn.visiting import Place, visited


def passed_on(place: Place, x: Tensor, before: Any, after: Any) -> Any:
    return after


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "rnn": lambda: tt.RNN(3, 5),
    "gru, two layers": lambda: tt.GRU(3, 5, num_layers=2),
    "lstm, both directions": lambda: tt.LSTM(3, 5, bidirectional=True),
    "lstm, projected": lambda: tt.LSTM(3, 5, proj_size=2),
    "torch's gru": lambda: nn.GRU(3, 5, num_layers=2),
    "torch's lstm": lambda: nn.LSTM(3, 5),
    "mingru": lambda: MinGRU(3, 5, num_layers=2),
    "minlstm": lambda: MinLSTM(3, 5),
    "a cell": lambda: tt.Recurrent(tt.GRUCell(3, 5)),
    "torch's cell": lambda: tt.Recurrent(nn.LSTMCell(3, 5)),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_the_same_numbers_step_by_step(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    layer, x, seen = make().double().eval(), torch.randn(7, 2, 3).double(), []
    expected, last = layer(x)

    def note(place: Place, x: Tensor, before: Any, after: Any) -> Any:
        seen.append((place, x, before, after))
        return after

    with visited(layer, note) as places:
        output, state = layer(x)
    torch.testing.assert_close(output, expected)
    for (_, one), (_, other) in zip(leaves(state), leaves(last), strict=True):
        torch.testing.assert_close(one, other)
    assert len(seen) == 7 * len(places)
    for place, given, before, after in seen:
        assert place.step is not None
        for (_, one), (_, other) in zip(leaves(place.step(given, before)), leaves(after), strict=True):
            torch.testing.assert_close(one, other)
    again, _ = layer(x)
    torch.testing.assert_close(again, expected)
    assert len(seen) == 7 * len(places)  # nothing more is seen afterwards


def test_places_are_named_by_layer_and_direction() -> None:
    model = nn.ModuleDict({"encoder": tt.LSTM(3, 5, num_layers=2, bidirectional=True)})
    with visited(model, passed_on) as places:
        pass
    assert [(place.name, place.kind, place.reverse) for place in places] == [
        ("encoder, layer 1, forward", "lstm", False),
        ("encoder, layer 1, backward", "lstm", True),
        ("encoder, layer 2, forward", "lstm", False),
        ("encoder, layer 2, backward", "lstm", True),
    ]
    assert places[2].parameters["weight_ih"] is model["encoder"].weight_ih_l1


def test_what_is_handed_back_goes_on() -> None:
    layer, x = tt.GRU(3, 5), torch.randn(4, 2, 3)
    with visited(layer, lambda place, x, before, after: torch.zeros_like(after)):
        output, state = layer(x)
    assert output.abs().max() == 0
    assert state.abs().max() == 0


def test_a_cell_that_a_module_calls_without_a_state() -> None:
    seen = []

    def note(place: Place, x: Tensor, before: Any, after: Any) -> Any:
        seen.append(before)
        return after

    cell = nn.GRUCell(3, 5)
    with visited(cell, note):
        cell(torch.randn(2, 3))
    assert torch.equal(seen[0], torch.zeros(2, 5))


def test_an_error_inside_leaves_the_module_as_it_was() -> None:
    layer = nn.GRU(3, 5)

    def broken(place: Place, x: Tensor, before: Any, after: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), visited(layer, broken):
        layer(torch.randn(2, 1, 3))
    assert "forward" not in vars(layer)


def test_a_layer_that_cannot_be_taken_step_by_step() -> None:
    class Own(nn.LSTM):
        pass

    with (
        pytest.raises(UnsupportedError, match=r"Own cannot be taken step by step"),
        visited(Own(3, 5), passed_on),
    ):
        pass


def test_a_module_without_a_recurrence() -> None:
    with visited(nn.Linear(2, 2), passed_on) as places:
        assert places == ()
