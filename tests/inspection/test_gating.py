"""The gates of any cell, and the paths past and through them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from throughtime import Batch
from throughtime.inspection._gating import opened
from throughtime.inspection._trajectory import Trajectory
from throughtime.inspection._unrolling import unroll
from throughtime.models.losses import mean_squared_error
from throughtime.nn import GRU, LSTM, RNN, Cell, LSTMCell, MinGRU, MinLSTM, Recurrent

LSTM_GATES = ["forget", "input", "cell", "output"]


class Own(Cell):
    """Two squashing functions, one inside the other's sum."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 3), nn.Linear(5, 3)

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size, 3, dtype=torch.float64)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.cat([x, state], -1)
        keep = self.a(both).sigmoid()
        h = keep * state + (1 - keep) * torch.tanh(self.b(both) + keep)
        return h, h


def trajectory(layer: nn.Module) -> Trajectory:
    torch.manual_seed(1)
    x = torch.randn(6, 2, 2, dtype=torch.float64)
    target = torch.randn_like(layer.double()(x)[0])
    (found,) = unroll(layer, Batch(x, target), mean_squared_error).trajectories
    return found


@pytest.mark.parametrize(
    ("make", "gates"),
    [
        (lambda: RNN(2, 3), ["new"]),
        (lambda: RNN(2, 3, nonlinearity="relu", layer_norm=True), ["new"]),
        (lambda: GRU(2, 3), ["reset", "update", "new"]),
        (lambda: GRU(2, 3, reset_after=False), ["reset", "update", "new"]),
        (lambda: LSTM(2, 3), LSTM_GATES),
        (lambda: nn.LSTM(2, 3), LSTM_GATES),
        (lambda: Recurrent(nn.LSTMCell(2, 3)), LSTM_GATES),
        (lambda: Recurrent(LSTMCell(2, 3, peephole=True, layer_norm=True)), LSTM_GATES),
        (lambda: LSTM(2, 3, proj_size=2), LSTM_GATES),
        (lambda: MinGRU(2, 3), ["update"]),
        (lambda: MinLSTM(2, 3), ["update"]),
        (lambda: Recurrent(Own()), ["sigmoid 1", "tanh 2"]),
    ],
)
def test_paths_add_up_to_the_whole(make: Callable[[], nn.Module], gates: list[str]) -> None:
    torch.manual_seed(0)
    steps = trajectory(make())
    whole, cut = opened(steps), opened(steps, cut=True)
    assert [gate.name for gate in whole.gates] == gates
    cotangents = [torch.randn_like(part) for part in whole.after]
    expected = torch.autograd.grad(whole.after, whole.before, cotangents)
    paths = cut.paths(cotangents)
    assert list(paths) == [cut.direct, *(name for name in paths if name != cut.direct)]
    for index, part in enumerate(expected):
        total = torch.stack([path.before[index] for path in paths.values()]).sum(0)
        torch.testing.assert_close(total, part, rtol=0, atol=1e-12)


def test_gates_are_what_the_equations_say() -> None:
    layer = LSTM(2, 3).double()
    steps = trajectory(layer)
    gates = {gate.name: gate.value for gate in opened(steps).gates}
    h = torch.cat([before[0] for before in steps.before])
    total = (
        torch.cat(steps.inputs) @ layer.weight_ih_l0.T + layer.bias_ih_l0 + h @ layer.weight_hh_l0.T + layer.bias_hh_l0
    )
    for name, rows in zip(("input", "forget", "cell", "output"), total.chunk(4, -1), strict=True):
        expected = rows.tanh() if name == "cell" else rows.sigmoid()
        torch.testing.assert_close(gates[name], expected)


def test_the_forget_path_is_what_the_forget_gate_lets_through() -> None:
    steps = trajectory(LSTM(2, 3).double())
    cut = opened(steps, cut=True)
    of_h, of_memory = (torch.randn_like(part) for part in cut.after)
    forget, output = (next(gate.value for gate in cut.gates if gate.name == name) for name in ("forget", "output"))
    path = cut.paths([of_h, of_memory])["forget path"]
    owed = of_memory + of_h * output * (1 - cut.after[1].tanh() ** 2)
    torch.testing.assert_close(path.before[1], owed * forget)
    assert path.before[0].abs().max() == 0
