"""minGRU and minLSTM: against their equations, their cells in the loop, and every strategy that may know them."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import throughtime
from throughtime import RTRL, Batch, Checkpointed, ConfigurationError, Full, ShapeError, SnAp1, backward
from throughtime._state import leaves
from throughtime.nn import GRU, MinGRU, MinGRUCell, MinLSTM, MinLSTMCell, Recurrent, Sequential

TIME, BATCH, INPUT, HIDDEN = 9, 4, 3, 5
PAIRS = [(MinGRU, MinGRUCell), (MinLSTM, MinLSTMCell)]
IDS = ["minGRU", "minLSTM"]
LENGTHS = torch.tensor([5, 0, 9, 1])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def g(x: float) -> float:
    return x + 0.5 if x >= 0 else sigmoid(x)


def min_gru_unit(gates: list[float], h: float) -> float:
    update, new = gates
    z = sigmoid(update)
    return (1 - z) * h + z * g(new)


def min_lstm_unit(gates: list[float], h: float) -> float:
    input, forget, new = gates
    i, f = sigmoid(input), sigmoid(forget)
    return f / (f + i) * h + i / (f + i) * g(new)


def by_hand(layer: nn.Module, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Unit by unit in Python's floats: outputs and last state of one sequence [time, feature]."""
    unit = min_gru_unit if isinstance(layer, MinGRU) else min_lstm_unit
    rows, h = x.tolist(), [part.tolist() for part in state]
    weights = layer.state_dict()
    for index in range(layer.num_layers):
        weight = weights[f"cells.{index}.gates.weight"].tolist()
        bias = weights.get(f"cells.{index}.gates.bias", torch.zeros(len(weight))).tolist()
        outputs = []
        for row in rows:
            gates = [
                sum(w * value for w, value in zip(line, row, strict=True)) + own
                for line, own in zip(weight, bias, strict=True)
            ]
            h[index] = [unit(gates[place :: layer.hidden_size], old) for place, old in enumerate(h[index])]
            outputs.append(h[index])
        rows = outputs
    return torch.tensor(rows, dtype=torch.float64), torch.tensor(h, dtype=torch.float64)


def made(kind: type[nn.Module], num_layers: int = 1, **settings: object) -> nn.Module:
    """Weights wide enough for both branches of g and for gates that are shut or open."""
    torch.manual_seed(0)
    layer = kind(INPUT, HIDDEN, num_layers=num_layers, dtype=torch.float64, **settings)
    for parameter in layer.parameters():
        parameter.data.mul_(3)
    return layer


def looped(layer: nn.Module, cell: type[nn.Module]) -> Sequential:
    """The same layers, step by step."""
    cells = []
    for own in layer.cells:
        cells.append(Recurrent(cell(own.input_size, own.hidden_size, dtype=torch.float64)))
        cells[-1].cell.load_state_dict(own.state_dict())
    return Sequential(*cells)


def marks(kind: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    resets = torch.rand(TIME, BATCH, generator=generator) < 0.3
    return {name: mark for name, mark in (("lengths", LENGTHS), ("resets", resets)) if name in kind}


MARKS = ["whole", "lengths", "resets", "lengths and resets"]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("kind", [MinGRU, MinLSTM])
def test_against_the_equations(kind, num_layers, bias):
    layer = made(kind, num_layers, bias=bias)
    x, state = torch.randn(TIME, BATCH, INPUT).double(), torch.randn(num_layers, BATCH, HIDDEN).double()
    output, last = layer(x, state)
    for index in range(BATCH):
        wanted, wanted_last = by_hand(layer, x[:, index], state[:, index])
        torch.testing.assert_close(output[:, index], wanted, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(last[:, index], wanted_last, rtol=1e-12, atol=1e-12)


def test_gates_that_are_both_shut_share_by_their_logarithms():
    cell = MinLSTMCell(1, 1, dtype=torch.float64)
    cell.gates.weight.data.zero_()
    cell.gates.bias.data = torch.tensor([-800.0, -801.0, 0.0]).double()
    h, _ = cell(torch.zeros(1, 1).double(), torch.zeros(1, 1).double())
    assert h.item() == pytest.approx(0.5 * sigmoid(1.0), rel=1e-12)
    h.backward()
    assert cell.gates.bias.grad.isfinite().all()


@pytest.mark.parametrize("marked", MARKS)
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize(("kind", "cell"), PAIRS, ids=IDS)
def test_layers_equal_their_cells_step_by_step(kind, cell, num_layers, marked, close, gradients):
    layer = made(kind, num_layers)
    loop = looped(layer, cell)
    x = torch.randn(TIME, BATCH, INPUT).double().requires_grad_()
    state = torch.randn(num_layers, BATCH, HIDDEN).double().requires_grad_()
    output, last = layer(x, state, **marks(marked))
    wanted, wanted_last = loop(x, tuple(state), **marks(marked))
    found, expected = [output, last], [wanted, torch.stack(wanted_last)]
    close(found, expected)
    own = gradients(found, [x, state, *layer.parameters()])
    close(own, gradients(expected, [x, state, *loop.parameters()]), factor=10)


@given(cuts=st.lists(st.integers(0, TIME), max_size=4), marked=st.sampled_from(MARKS))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("kind", [MinGRU, MinLSTM])
def test_pieces_equal_the_whole(kind, close, gradients, cuts, marked):
    layer = made(kind, 2).eval()
    x = torch.randn(TIME, BATCH, INPUT).double().requires_grad_()
    state = torch.randn(2, BATCH, HIDDEN).double().requires_grad_()
    batch, variables = Batch(x, x, **marks(marked)), [x, state, *layer.parameters()]
    whole, last = layer(x, state, **marks(marked))
    pieces, borders, now = [], [0, *sorted(cuts), TIME], state
    for start, stop in itertools.pairwise(borders):
        piece = batch.segment(start, stop)
        output, now = layer(piece.inputs, now, lengths=piece.lengths, resets=piece.resets)
        pieces.append(output)
    found, wanted = [torch.cat(pieces), now], [whole, last]
    close(found, wanted)
    close(gradients(found, variables), gradients(wanted, variables), factor=10)


@pytest.mark.parametrize("kind", [MinGRU, MinLSTM])
def test_padding_never_reaches_a_product(kind):
    layer, x = made(kind, 2), torch.randn(TIME, BATCH, INPUT).double()
    clean, last = layer(x, lengths=LENGTHS)
    x[torch.arange(TIME)[:, None] >= LENGTHS] = torch.nan
    output, after = layer(x.requires_grad_(), lengths=LENGTHS)
    assert torch.equal(output, clean)
    assert torch.equal(after, last)
    assert not after[:, 1].any()
    output.sum().backward()
    assert all(part.grad.isfinite().all() for part in (x, *layer.parameters()))


@pytest.mark.parametrize("kind", [MinGRU, MinLSTM])
def test_no_steps(kind):
    layer, state = made(kind, 2), torch.randn(2, BATCH, HIDDEN).double()
    output, last = layer(torch.zeros(0, BATCH, INPUT).double(), state)
    assert output.shape == (0, BATCH, HIDDEN)
    assert last is state
    assert torch.equal(layer(torch.zeros(0, BATCH, INPUT).double())[1], layer.initial_state(BATCH))


@pytest.mark.parametrize("marked", MARKS)
@pytest.mark.parametrize("strategy", [RTRL(), SnAp1()], ids=["RTRL", "SnAp1"])
@pytest.mark.parametrize("whole", [False, True], ids=["cell", "layer"])
@pytest.mark.parametrize(("kind", "cell"), PAIRS, ids=IDS)
def test_forward_in_time_is_exact_and_small(kind, cell, whole, strategy, marked):
    model = made(kind) if whole else looped(made(kind), cell)[0]
    batch = batch_of(marked)
    wanted = gradients_of(model, batch, Full())
    done = backward(model, batch, squared_error, strategy)
    compare(model, wanted)
    account = sum(part.numel() for _, part in leaves(strategy.unpacked(done.carry)[1]))
    assert account < 3 * BATCH * sum(part.numel() for part in model.parameters())


@pytest.mark.parametrize("strategy", [RTRL(), Checkpointed(segment=2)], ids=["RTRL", "Checkpointed"])
@pytest.mark.parametrize("kind", [MinGRU, MinLSTM])
def test_stacks_are_exact_too(kind, strategy):
    batch = batch_of("resets").segment(0, 4)
    for model in (made(kind, 2), looped(made(kind, 2), MinGRUCell if kind is MinGRU else MinLSTMCell)):
        wanted = gradients_of(model, batch, Full())
        backward(model, batch, squared_error, strategy)
        compare(model, wanted)


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square().sum(-1)


def batch_of(marked: str) -> Batch:
    generator = torch.Generator().manual_seed(5)
    inputs, targets = (
        torch.randn(TIME, BATCH, size, generator=generator, dtype=torch.float64) for size in (INPUT, HIDDEN)
    )
    return Batch(inputs, targets, **marks(marked))


def gradients_of(model: nn.Module, batch: Batch, strategy: Full) -> list[Tensor]:
    backward(model, batch, squared_error, strategy)
    found = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    return found


def compare(model: nn.Module, wanted: list[Tensor]) -> None:
    for parameter, gradient in zip(model.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("kind", "gates"), [(MinGRU, 2), (MinLSTM, 3)])
def test_weights_by_name_and_number(kind, gates):
    layer = kind(INPUT, HIDDEN, num_layers=2)
    shapes = {name: tuple(value.shape) for name, value in layer.state_dict().items()}
    rows = gates * HIDDEN
    assert shapes == {
        "cells.0.gates.weight": (rows, INPUT),
        "cells.0.gates.bias": (rows,),
        "cells.1.gates.weight": (rows, HIDDEN),
        "cells.1.gates.bias": (rows,),
    }
    assert sum(p.numel() for p in layer.parameters()) == rows * (INPUT + 1) + rows * (HIDDEN + 1)
    assert sum(p.numel() for p in kind(INPUT, HIDDEN, bias=False).parameters()) == rows * INPUT


def test_dropout_lies_between_layers_and_in_training_alone():
    x = torch.randn(200, 1, INPUT)
    single, double = MinGRU(INPUT, HIDDEN, dropout=0.9), MinGRU(INPUT, HIDDEN, 2, dropout=0.5)
    assert torch.equal(single(x)[0], single.eval()(x)[0])
    assert not torch.equal(double(x)[0], double(x)[0])
    assert torch.equal(double.eval()(x)[0], double(x)[0])
    assert (double.train()(x)[1][0] == double.eval()(x)[1][0]).all()


def test_products_in_bfloat16_leave_the_state_in_float32():
    layer, x = MinGRU(INPUT, HIDDEN, 2), torch.randn(TIME, BATCH, INPUT)
    wanted, _ = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, state = layer(x)
    assert output.dtype == state.dtype == torch.float32
    torch.testing.assert_close(output, wanted, rtol=0.05, atol=0.05)


def test_a_last_state_is_not_taken_for_a_sequence():
    _, state = MinGRU(INPUT, HIDDEN)(torch.randn(TIME, BATCH, INPUT))
    with pytest.raises(ShapeError, match="last state or last output"):
        GRU(HIDDEN, HIDDEN)(state[-1])


def test_refusals():
    for settings_ in ({"num_layers": 0}, {"dropout": 1.0}, {"dropout": -0.1}):
        with pytest.raises(ConfigurationError, match="at least one layer and 0 ≤ dropout < 1"):
            MinGRU(INPUT, HIDDEN, **settings_)
    with pytest.raises(ConfigurationError, match="hidden_size=0: both must be at least 1"):
        MinLSTM(INPUT, 0)
    layer, cell, x = MinGRU(INPUT, HIDDEN), MinGRUCell(INPUT, HIDDEN), torch.zeros(TIME, BATCH, INPUT)
    with pytest.raises(ShapeError, match=r"MinGRU got x \[4, 3\], expected \[time, batch, 3\]: unsqueeze\(1\)"):
        layer(x[0])
    with pytest.raises(ShapeError, match="with 2 features, expected input_size=3"):
        layer(x[..., :2])
    with pytest.raises(ConfigurationError, match="its weights are"):
        layer(x.double())
    with pytest.raises(ShapeError, match=r"a state h \[1, 3, 5\], expected \[1, 4, 5\]"):
        layer(x, torch.zeros(1, 3, HIDDEN))
    with pytest.raises(ShapeError, match="a tuple of 2, expected one tensor h"):
        layer(x, (torch.zeros(1, BATCH, HIDDEN),) * 2)
    with pytest.raises(ShapeError, match="a length of 10, expected 0 to 9"):
        layer(x, lengths=torch.tensor([10, 0, 0, 0]))
    with pytest.raises(ShapeError, match=r"resets \[4, 9\].*swapped"):
        layer(x, resets=torch.zeros(BATCH, TIME, dtype=torch.bool))
    with pytest.raises(ShapeError, match=r"MinGRUCell got x \[9, 4, 3\].*wrap it in Recurrent"):
        cell(x)
    with pytest.raises(ShapeError, match=r"a state \[3, 5\], expected h \[4, 5\]"):
        cell(x[0], torch.zeros(3, HIDDEN))
    with pytest.raises(ShapeError, match="a state that is a tuple, expected h"):
        cell(x[0], (torch.zeros(BATCH, HIDDEN),))


SCRIPT = """
import torch
from throughtime.nn import CausalConv, MinGRU

x, marks = torch.randn(3, 2, 3), {"lengths": torch.tensor([3, 1]), "resets": torch.rand(3, 2) < 0.5}
for layer in (MinGRU(3, 5), CausalConv(3, 5, num_layers=1)):
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    found, wanted = (
        torch.autograd.grad(run(x, **marks)[0].square().sum(), list(layer.parameters())) for run in (compiled, layer)
    )
    for a, b in zip(found, wanted):
        torch.testing.assert_close(a, b)
"""


def test_layers_compile_without_a_break():
    """In a process of its own: the shape checks that tests run under are none that Dynamo can trace."""
    environment = {**os.environ, "PYTHONPATH": str(Path(throughtime.__file__).parents[1])}
    result = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
