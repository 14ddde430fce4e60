"""Parity with torch.nn: it holds where it should, and a wrong weight, gradient or backend is seen."""

from __future__ import annotations

import json
import sys
from io import StringIO

import pytest
import torch
from rich.console import Console
from torch import nn

from throughtime import nn as ours
from throughtime._errors import ConfigurationError, UnsupportedError
from throughtime.inspection.verification.parity import parity
from throughtime.ops._library import why_missing

LAYERS = {
    "rnn": lambda: ours.RNN(3, 5),
    "rnn relu": lambda: ours.RNN(3, 17, nonlinearity="relu", bias=False),
    "gru": lambda: ours.GRU(3, 5, num_layers=2, bidirectional=True, batch_first=True, dropout=0.5),
    "lstm": lambda: ours.LSTM(15, 17, recurrent_init="orthogonal", forget_bias=1.0),
    "torch rnn": lambda: nn.RNN(3, 5, num_layers=2),
    "torch gru": lambda: nn.GRU(3, 15),
    "torch lstm": lambda: nn.LSTM(3, 5, dtype=torch.float64),
}
CELLS = {
    "rnn cell": lambda: ours.RNNCell(3, 5, nonlinearity="relu"),
    "gru cell": lambda: ours.GRUCell(3, 5, bias=False),
    "lstm cell": lambda: ours.LSTMCell(3, 5),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_layers_are_as_exact_as_torchs(make):
    torch.manual_seed(0)
    layer = make()
    before, random = {name: value.clone() for name, value in layer.state_dict().items()}, torch.get_rng_state()
    found = parity(layer)
    assert found.agrees, found.verdict
    assert found.backends == (("reference", "torch") if why_missing() else ("reference", "native", "torch"))
    assert all(row.identical for row in found.rows if row.backend == "torch")
    assert not all(row.identical for row in found.rows if row.backend != "torch")
    assert all(0 <= row.error < 1e-5 and row.ulps < 100 for row in found.rows)
    names = [row.quantity for row in found.rows if row.backend == "torch"]
    states = ["h", "C"] if "LSTM" in type(layer).__name__ else ["h"]
    gradients = ["x", *states, *(name for name, _ in layer.named_parameters())]
    assert names == ["output", *states, *(f"∂ {name}" for name in gradients)]
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert layer.training
    assert all(parameter.grad is None for parameter in layer.parameters())


@pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
def test_cells_take_one_step(make):
    found = parity(make())
    assert found.agrees, found.verdict
    assert found.backends == ("reference",)


def test_numbers_are_those_of_an_oracle_by_hand():
    torch.manual_seed(0)
    layer = ours.GRUCell(2, 3, bias=False)
    row = {row.quantity: row for row in parity(layer, batch=2, seed=4).rows}["output"]
    generator = torch.Generator().manual_seed(4)
    x, h = torch.randn(2, 2, generator=generator), torch.randn(2, 3, generator=generator)
    theirs = nn.GRUCell(2, 3, bias=False)
    theirs.load_state_dict(layer.state_dict())
    plain, mine = theirs(x, h), layer(x, h)[0]
    exact = theirs.double()(x.double(), h.double())
    assert row.error == (mine.double() - exact).abs().max().item()
    assert row.torchs_error == (plain.double() - exact).abs().max().item()
    assert row.bound == 2 * row.torchs_error + 4 * 2**-23 * max(1.0, exact.abs().max().item())
    assert row.ulps == pytest.approx(row.error / 2 ** (exact.abs().max().log2().floor().item() - 23))
    assert row.identical == torch.equal(mine, plain)


def test_a_kernel_that_is_slightly_wrong_is_seen(monkeypatch):
    torch.manual_seed(0)
    recurrence = ours.GRU(3, 5)._run_equations.__func__

    def off(self, suffix, x, *others, **marks):
        output, after = recurrence(self, suffix, x, *others, **marks)
        return output * (1 + 1e-5), after

    monkeypatch.setattr(ours.GRU, "_run_equations", off)
    found = parity(ours.GRU(3, 5))
    assert not found.agrees
    wrong = {(row.backend, row.quantity) for row in found.rows if not row.holds}
    assert {backend for backend, _ in wrong} == {"reference"}
    assert ("reference", "output") in wrong
    assert ("reference", "h") not in wrong
    assert found.worst.backend == "reference"
    assert found.verdict.startswith(f"beyond the bound in {len(wrong)} of {len(found.rows)}")


def test_other_weights_are_seen(monkeypatch):
    def other(layer):
        return nn.GRU(3, 5), ours.GRU(3, 5)

    monkeypatch.setattr(sys.modules[parity.__module__], "_pair", other)
    found = parity(ours.GRU(3, 5))
    assert not any(row.holds for row in found.rows)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch says it once
def test_what_a_backend_has_no_rule_for_is_said():
    found = parity(ours.LSTM(3, 5, proj_size=2))
    assert found.agrees
    assert [backend for backend, _ in found.refused] == ["native"]
    assert "projection" in found.refused[0][1]
    assert "∂ weight_hr_l0" in {row.quantity for row in found.rows}


def test_record():
    for layer in (ours.LSTM(3, 5), ours.RNNCell(3, 5)):
        found = parity(layer, steps=5, seed=2)
        record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert record["agrees"]
        assert (record["steps"], record["seed"], len(record["rows"])) == (5, 2, len(found.rows))
        assert record["rows"][0]["holds"]
        console = Console(file=StringIO(), width=80)
        console.print(found.table())
        assert max(map(len, console.file.getvalue().splitlines())) <= 80
        assert "…" not in console.file.getvalue()
        labels = [label.get_text() for label in found.plot().axes[0].get_yticklabels()]
        assert labels[:2] == ["output", "h"]
    assert parity(layer, seed=1).rows != parity(layer, seed=2).rows
    assert parity(layer, seed=1) == parity(layer, seed=1)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: ours.GRU(3, 5, layer_norm=True, reset_after=False), r"no reset_after=False and no layer_norm, so"),
        (lambda: ours.LSTM(3, 5, zoneout=0.1), r"torch.nn has no zoneout"),
        (lambda: ours.LSTMCell(3, 5, peephole=True), r"torch.nn has no peephole"),
        (lambda: ours.LSTMCell(3, 5, proj_size=2), r"torch.nn has no projection in a cell"),
        (lambda: nn.LSTMCell(3, 5), r"parity of LSTMCell: expected an RNN, GRU or LSTM"),
        (lambda: nn.Linear(3, 5), r"parity of Linear: expected .* gradcheck"),
        (lambda: type("Mine", (nn.GRU,), {})(3, 5), r"no layer of ours takes its place, .*Mine is a subclass"),
    ],
)
def test_what_has_no_twin_is_refused(layer, message):
    with pytest.raises(UnsupportedError, match=message):
        parity(layer())


def test_sizes_are_checked():
    with pytest.raises(ConfigurationError, match=r"batch=0, steps=17: expected at least 1 of each"):
        parity(ours.GRU(3, 5), batch=0)
