"""What gates do on a batch: values, fractions, time scales, timelines and pictures."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from throughtime import Batch
from throughtime._errors import ConfigurationError, DataError, UnsupportedError
from throughtime.inspection.activity.gates import Gates, gates
from throughtime.models.losses import mean_squared_error
from throughtime.nn import GRU, LSTM, RNN, Cell, MinGRU, MinLSTM, Recurrent, Sequential, Transformer

BIASES = torch.tensor([-1.0, 0.0, 2.0, 5.0])


def batch(time: int = 12, size: int = 3, features: int = 2, **marks: Any) -> Batch:
    torch.manual_seed(3)
    x = torch.randn(time, size, features, dtype=torch.float64)
    return Batch(x, torch.zeros(time, size, 4, dtype=torch.float64), **marks)


def zeroed(layer: nn.Module, rows: slice, biases: Tensor = BIASES) -> nn.Module:
    layer = layer.double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        bias = layer.bias_ih_l0 if hasattr(layer, "bias_ih_l0") else layer.cells[0].gates.bias  # type: ignore
        bias[rows] = biases.double()
    return layer


def sigmoid(a: Tensor) -> np.ndarray:
    return a.double().sigmoid().numpy()


@pytest.mark.parametrize(
    ("layer", "rows", "kept"),
    [
        (LSTM(2, 4), slice(4, 8), sigmoid(BIASES)),
        (nn.LSTM(2, 4), slice(4, 8), sigmoid(BIASES)),
        (GRU(2, 4), slice(4, 8), sigmoid(BIASES)),
        (GRU(2, 4, reset_after=False), slice(4, 8), sigmoid(BIASES)),
        (nn.GRU(2, 4), slice(4, 8), sigmoid(BIASES)),
        (MinGRU(2, 4), slice(0, 4), 1 - sigmoid(BIASES)),
        (MinLSTM(2, 4), slice(4, 8), sigmoid(BIASES) / (sigmoid(BIASES) + 0.5)),
    ],
)
def test_a_gate_set_by_its_bias_has_the_time_scale_of_that_bias(
    layer: nn.Module, rows: slice, kept: np.ndarray
) -> None:
    (found,) = gates(zeroed(layer, rows), batch()).layers
    assert found.keeping is not None
    np.testing.assert_allclose(found.keeping.time_scale, 1 / (1 - kept), rtol=1e-12)


def test_a_time_scale_keeps_its_digits_where_the_gate_rounds_to_one() -> None:
    layer = zeroed(LSTM(2, 4), slice(4, 8), torch.tensor([20.0, 30.0, 40.0, 50.0])).float()
    given = batch()
    (found,) = gates(layer, Batch(given.inputs.float(), given.targets.float())).layers
    assert found.timelines["forget"].max() == 1
    np.testing.assert_allclose(found.keeping.time_scale, np.exp([20.0, 30.0, 40.0, 50.0]), rtol=1e-4)  # type: ignore


def test_leaks_are_averaged_not_time_scales() -> None:
    layer = zeroed(LSTM(2, 4), slice(4, 8), torch.zeros(4))
    with torch.no_grad():
        layer.weight_ih_l0[4:8, 0] = 1.0
    given = batch()
    (found,) = gates(layer, given).layers
    leak = 1 - given.inputs[..., 0].sigmoid()
    np.testing.assert_allclose(found.keeping.time_scale, np.full(4, 1 / leak.mean().item()), rtol=1e-12)  # type: ignore


@pytest.mark.parametrize("reset_after", [True, False])
def test_values_are_those_of_the_equations(reset_after: bool) -> None:
    torch.manual_seed(0)
    layer, given = GRU(2, 4, reset_after=reset_after).double(), batch()
    seen = gates(layer, given).layers[0].timelines
    h = torch.zeros(3, 4, dtype=torch.float64)
    w, u, b, c = layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0
    for time, x in enumerate(given.inputs):
        of_x, of_h = (x @ w.T + b).chunk(3, -1), (h @ u.T + c).chunk(3, -1)
        reset, update = (of_x[0] + of_h[0]).sigmoid(), (of_x[1] + of_h[1]).sigmoid()
        inner = reset * of_h[2] if reset_after else (reset * h) @ u[8:].T + c[8:]
        new = (of_x[2] + inner).tanh()
        h = (1 - update) * new + update * h
        for name, value in (("reset", reset), ("update", update), ("new", new), ("h", h)):
            np.testing.assert_allclose(seen[name][time], value.detach(), atol=1e-14)


def test_fractions_count_steps() -> None:
    torch.manual_seed(0)
    layer = nn.LSTM(2, 4).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(6)
    (found,) = gates(layer, batch(time=40)).layers
    assert found.parts == ("h", "C")
    assert [gate.name for gate in found.gates] == ["forget", "input", "cell", "output"]
    for gate in found.gates:
        values = found.timelines[gate.name].reshape(-1, 4)
        np.testing.assert_allclose(gate.mean, values.mean(0))
        if gate.function == "tanh":
            assert gate.below is gate.above is None
            np.testing.assert_allclose(gate.saturated, (abs(values) > 0.9).mean(0))
        else:
            np.testing.assert_allclose(gate.below, (values < 0.1).mean(0))
            np.testing.assert_allclose(gate.above, (values > 0.9).mean(0))
            np.testing.assert_allclose(gate.saturated, gate.below + gate.above)
        assert gate.saturated_units == (gate.saturated > 0.9).mean()  # type: ignore
    assert any(0.1 < gate.saturated.mean() < 0.9 for gate in found.gates)  # type: ignore


def test_dead_units_of_a_relu() -> None:
    layer = RNN(2, 4, nonlinearity="relu").double()
    with torch.no_grad():
        layer.bias_ih_l0.copy_(torch.tensor([-99.0, 0.0, 0.0, -99.0]))
    (found,) = gates(layer, batch()).layers
    (gate,) = found.gates
    assert gate.dead is not None
    assert gate.dead.tolist() == [True, False, False, True]
    assert gate.dead_units == 2
    values = found.timelines["new"].reshape(-1, 4)
    np.testing.assert_allclose(gate.zero, (values == 0).mean(0))  # type: ignore
    assert any(0 < share < 1 for share in gate.zero)  # type: ignore
    assert gate.saturated is gate.saturated_units is gate.time_scale is None


def test_padding_is_left_out() -> None:
    torch.manual_seed(0)
    layer, lengths = LSTM(2, 4).double(), torch.tensor([12, 5, 8])
    given = batch(lengths=lengths)
    (found,) = gates(layer, given).layers
    alone = gates(layer, Batch(given.inputs[:5, 1:2], given.targets[:5, 1:2])).layers[0]
    np.testing.assert_allclose(found.timelines["C"][:5, 1], alone.timelines["C"][:, 0], atol=1e-15)
    assert np.isnan(found.timelines["forget"][5:, 1]).all()
    assert len(found.timeline(1)["h"]) == 5
    rows = np.concatenate([found.timelines["forget"][: int(n), at] for at, n in enumerate(lengths)])
    np.testing.assert_allclose(found.gates[0].mean, rows.mean(0))


def test_steps_after_the_last_loss_are_left_out_and_those_before_are_not() -> None:
    weights = torch.zeros(12, 3)
    weights[7] = 1
    found = gates(LSTM(2, 4).double(), batch(weights=weights)).layers[0].timelines["forget"]
    assert np.isfinite(found[:8]).all()
    assert np.isnan(found[8:]).all()


def test_both_directions_stand_in_the_order_of_time() -> None:
    torch.manual_seed(0)
    layer, given = nn.GRU(2, 4, bidirectional=True).double(), batch()
    forward, backward = gates(layer, given).layers
    output = layer(given.inputs)[0].detach()
    np.testing.assert_allclose(forward.timelines["h"], output[..., :4], atol=1e-14)
    np.testing.assert_allclose(backward.timelines["h"], output[..., 4:], atol=1e-14)
    first = nn.GRU(2, 4, bidirectional=True, batch_first=True).double()
    first.load_state_dict(layer.state_dict())
    turned = Batch(given.inputs.transpose(0, 1), given.targets.transpose(0, 1))
    np.testing.assert_allclose(gates(first, turned).layers[1].timelines["h"], output[..., 4:], atol=1e-14)


class Own(Cell):
    """A leaky unit, its gate called by the function's name."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Linear(2, 4, dtype=torch.float64)

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size, 4, dtype=torch.float64)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        keep = torch.sigmoid(self.read(x))
        h = keep * state + (1 - keep)
        return h, h


class Linear(Own):
    """No gate at all."""

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h = 0.5 * state + self.read(x)
        return h, h


class Whole(nn.Module):
    """A model with a state, fed in pieces, its step written into its forward."""

    streams = True

    def __init__(self) -> None:
        super().__init__()
        self.cell = Own()

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size, 4, dtype=torch.float64)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        rows = []
        for step in x:
            keep = torch.sigmoid(self.cell.read(step))
            state = keep * state + (1 - keep)
            rows.append(state)
        return torch.stack(rows), state


@pytest.mark.parametrize("wrap", [Recurrent, lambda cell: Whole()])
def test_any_cell(wrap: Any) -> None:
    torch.manual_seed(0)
    model, given = wrap(Own()), batch()
    (found,) = gates(model, given).layers
    assert [gate.name for gate in found.gates] == ["sigmoid 1"]
    read = model.cell.read
    np.testing.assert_allclose(found.timelines["sigmoid 1"], read(given.inputs).sigmoid().detach(), atol=1e-15)
    assert "time scales are not told" in found.sentence
    assert found.keeping is None


def test_a_cell_without_gates_is_told_and_its_state_shown() -> None:
    found = gates(Recurrent(Linear()), batch())
    assert found.layers[0].gates == ()
    assert "no gate of Recurrent is seen" in found.layers[0].sentence
    assert list(found.layers[0].timelines) == ["h"]
    assert "no gate" in printed(found)
    found.plot()


def test_a_loss_changes_nothing() -> None:
    layer = LSTM(2, 4).double()
    without, with_one = (gates(layer, batch(), loss).layers[0] for loss in (None, mean_squared_error))
    np.testing.assert_array_equal(without.timelines["forget"], with_one.timelines["forget"])


def test_the_model_stays_as_it_was() -> None:
    model = Sequential(nn.LSTM(2, 4), nn.Dropout(0.5), GRU(4, 4)).double().train()
    before = {name: part.clone() for name, part in model.state_dict().items()}
    names = [layer.name for layer in gates(model, batch()).layers]
    assert len(names) == len(set(names)) == 2
    assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())
    assert all(part.grad is None for part in model.parameters())
    assert all(part.training and not part._forward_hooks for part in model.modules())


def test_refusals() -> None:
    attending = Transformer(2, 4, num_heads=1).double()
    with pytest.raises(UnsupportedError, match=r"Transformer has no recurrence.*shown by attention_maps"):
        gates(attending, batch())
    with pytest.raises(UnsupportedError, match=r"Linear has no recurrence, and so no gates: expected a recurrent"):
        gates(nn.Linear(2, 4).double(), batch(), mean_squared_error)
    given = batch()
    given.inputs[2, 1] = torch.nan
    with pytest.raises(DataError, match=r"h of LSTM is NaN at step 2 of sequence 1"):
        gates(LSTM(2, 4).double(), given)
    with pytest.raises(DataError, match=r"no step of the batch counts"):
        gates(LSTM(2, 4).double(), batch(lengths=torch.tensor([0, 0, 0])))
    with pytest.raises(DataError, match=r"the batch has no step"):
        gates(LSTM(2, 4).double(), batch(time=0))


def printed(found: Gates) -> str:
    console = Console(width=80, file=StringIO())
    console.print(found.table())
    text = console.file.getvalue()  # type: ignore
    assert max(len(line) for line in text.splitlines()) <= 80
    return text


def test_table_and_dict() -> None:
    found = gates(zeroed(LSTM(2, 4), slice(4, 8)), batch())
    text = printed(found)
    assert all(name in text for name in ("forget", "output", "LSTM"))
    assert "half the units of LSTM keep for more than" in text
    told = json.loads(json.dumps(found.to_dict(timelines=True), allow_nan=False))
    np.testing.assert_allclose(told["layers"][0]["gates"][0]["units"]["time_scale"], 1 / (1 - sigmoid(BIASES)))
    assert np.shape(told["layers"][0]["timelines"]["C"]) == (12, 3, 4)
    assert "timelines" not in found.to_dict()["layers"][0]


def texts(figure: Any, panel: int) -> list[str]:
    return [text.get_text() for text in figure.axes[panel].texts]


def test_units_are_sorted_by_time_scale_and_symbols_stand_on_the_axis() -> None:
    found = gates(zeroed(LSTM(2, 4), slice(4, 8)), batch())
    drawn = found.plot(labels="hello world!")
    assert texts(drawn, 0) == list("hello␣world!")
    maps = [axes for axes in drawn.axes if axes.images]
    assert [axes.get_ylabel() for axes in maps] == ["forget", "input", "cell", "output", "h", "C"]
    shown = np.asarray(maps[0].images[0].get_array())
    np.testing.assert_allclose(shown[:, 0], sigmoid(BIASES)[::-1])
    assert [tick.get_text() for tick in maps[-1].get_xticklabels()] == list("hello␣world!")
    chosen = found.plot(units=[1, 3])
    np.testing.assert_allclose(np.asarray(chosen.axes[1].images[0].get_array())[:, 0], sigmoid(BIASES)[[1, 3]])
    assert np.asarray(found.plot(units=2).axes[1].images[0].get_array()).shape == (2, 12)


def test_pictures_of_symbols_values_and_projections() -> None:
    symbols = torch.randint(0, 9, (30, 2))
    model = Sequential(nn.Embedding(9, 3), LSTM(3, 50, proj_size=2))
    drawn = gates(model, Batch(symbols, symbols)).plot(1)
    assert texts(drawn, 0) == [str(int(one)) for one in symbols[:, 1]]
    maps = [np.asarray(axes.images[0].get_array()).shape for axes in drawn.axes if axes.images]
    assert maps == [(40, 30)] * 4 + [(2, 30), (40, 30)]
    plain = gates(RNN(2, 4).double(), batch(time=300))
    assert len(plain.plot().axes[0].lines) == 2
    assert [axes.get_ylabel() for axes in plain.plot().axes if axes.images] == ["new = h"]
    long = gates(model, Batch(*[torch.randint(0, 9, (400, 2))] * 2))
    long.plot(labels=[f"word {at}" for at in range(400)])
    long.plot()


def test_refusals_of_pictures() -> None:
    found = gates(LSTM(2, 4).double(), batch())
    with pytest.raises(ConfigurationError, match=r"sample=3: expected a sequence of the batch, 0 to 2"):
        found.plot(3)
    with pytest.raises(ConfigurationError, match=r"2 labels for a sequence of 12 steps"):
        found.plot(labels="ab")
    with pytest.raises(ConfigurationError, match=r"units=\[7\]: expected units of LSTM, 0 to 3"):
        found.plot(units=[7])
    with pytest.raises(ConfigurationError, match=r"units=0: expected at least 1"):
        found.plot(units=0)
    with pytest.raises(ConfigurationError, match=r"no layer 'GRU': expected one of LSTM"):
        found.plot(layer="GRU")
