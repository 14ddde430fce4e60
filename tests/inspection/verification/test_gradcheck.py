"""Gradients that are right pass; each that was made wrong is found, and its gate named."""

from __future__ import annotations

import json
import math
from io import StringIO

import pytest
import torch
from rich.console import Console
from torch import nn

from throughtime import nn as ours
from throughtime._errors import ConfigurationError, DataError, ShapeError
from throughtime._types import Batch
from throughtime.inspection.verification._blocks import blocks_of
from throughtime.inspection.verification._differences import difference
from throughtime.inspection.verification.gradcheck import gradcheck
from throughtime.models import SequenceModel
from throughtime.models.heads import CategoricalHead
from throughtime.models.losses import mean_squared_error, negative_log_likelihood

TIME, BATCH, INPUT, HIDDEN = 5, 3, 2, 3


@pytest.fixture
def batch():
    torch.manual_seed(0)
    return Batch(torch.randn(TIME, BATCH, INPUT), torch.randn(TIME, BATCH, HIDDEN))


class HandStep(torch.autograd.Function):
    """One step of an LSTM with its backward by hand; `fault` makes it wrong."""

    @staticmethod
    def forward(ctx, x, h, memory, weight_ih, weight_hh, bias, fault):
        i, f, g, o = (x @ weight_ih.T + h @ weight_hh.T + bias).chunk(4, 1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        after = f * memory + i * g
        ctx.save_for_backward(x, h, memory, weight_ih, weight_hh, i, f, g, o, after)
        ctx.fault = fault
        return o * after.tanh(), after

    @staticmethod
    def backward(ctx, d_h, d_after):
        x, h, memory, weight_ih, weight_hh, i, f, g, o, after = ctx.saved_tensors
        d_after = d_after + d_h * o * (1 - after.tanh() ** 2)
        d_o = d_h * after.tanh() * o * (1 - o)
        d_i, d_g, d_f = d_after * g * i * (1 - i), d_after * i * (1 - g**2), d_after * memory * f * (1 - f)
        if ctx.fault == "sign":
            d_f = -d_f
        if ctx.fault == "factor":
            d_g = 1.001 * d_g
        d_gates = torch.cat([d_i, d_f, d_g, d_o], 1)
        d_memory = -d_after * f if ctx.fault == "memory" else d_after * f
        d_bias = d_gates.mean(0) if ctx.fault == "mean" else d_gates.sum(0)
        return d_gates @ weight_ih, d_gates @ weight_hh, d_memory, d_gates.T @ x, d_gates.T @ h, d_bias, None


class HandCell(nn.Module):
    gate_names = ("input", "forget", "cell", "output")

    def __init__(self, fault=""):
        super().__init__()
        self.weight_ih = nn.Parameter(torch.randn(4 * HIDDEN, INPUT))
        self.weight_hh = nn.Parameter(torch.randn(4 * HIDDEN, HIDDEN))
        self.bias = nn.Parameter(torch.randn(4 * HIDDEN))
        self.fault = fault

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, HIDDEN), torch.zeros(batch_size, HIDDEN)

    def forward(self, x, state):
        h, memory = HandStep.apply(x, *state, self.weight_ih, self.weight_hh, self.bias, self.fault)
        return h, (h, memory)


class HandSequence(torch.autograd.Function):
    """A tanh RNN over a whole sequence; `forgotten` writes over the sum of d_weight_hh where it should add to it."""

    @staticmethod
    def forward(ctx, x, h, weight_ih, weight_hh, forgotten):
        states = [h]
        for row in x:
            states.append((row @ weight_ih.T + states[-1] @ weight_hh.T).tanh())
        ctx.save_for_backward(x, torch.stack(states), weight_ih, weight_hh)
        ctx.forgotten = forgotten
        return torch.stack(states[1:])

    @staticmethod
    def backward(ctx, d_output):
        x, states, weight_ih, weight_hh = ctx.saved_tensors
        d_x, d_h = torch.zeros_like(x), torch.zeros_like(states[0])
        d_weight_ih, d_weight_hh = torch.zeros_like(weight_ih), torch.zeros_like(weight_hh)
        for t in reversed(range(len(x))):
            d_total = (d_output[t] + d_h) * (1 - states[t + 1] ** 2)
            d_weight_ih += d_total.T @ x[t]
            term = d_total.T @ states[t]
            if ctx.forgotten == "first":
                d_weight_hh = term
            elif ctx.forgotten == "last":
                d_weight_hh += term if t == len(x) - 1 else 0
            else:
                d_weight_hh += term
            d_x[t], d_h = d_total @ weight_ih, d_total @ weight_hh
        return d_x, d_h, d_weight_ih, d_weight_hh, None


class HandLayer(nn.Module):
    streams = True

    def __init__(self, forgotten=""):
        super().__init__()
        self.weight_ih, self.weight_hh = nn.Parameter(torch.randn(3, INPUT)), nn.Parameter(torch.randn(3, 3))
        self.forgotten = forgotten

    def forward(self, x, state=None):
        # A state that is not zero, so that the first step's term is none that vanishes.
        state = torch.full((x.shape[1], 3), 0.5, dtype=x.dtype) if state is None else state
        output = HandSequence.apply(x, state, self.weight_ih, self.weight_hh, self.forgotten)
        return output, output[-1]


class Detached(nn.Module):
    """A user's loop that detaches its state before some steps."""

    def __init__(self, before):
        super().__init__()
        self.cell, self.before = nn.GRUCell(INPUT, HIDDEN), before

    def forward(self, x, state=None):
        h, outputs = x.new_zeros(x.shape[1], HIDDEN) if state is None else state, []
        for t, row in enumerate(x):
            h = self.cell(row, h.detach() if self.before(t) else h)
            outputs.append(h)
        return torch.stack(outputs), h


MODELS = {
    "rnn": lambda: ours.RNN(INPUT, HIDDEN),
    "rnn relu": lambda: ours.RNN(INPUT, HIDDEN, nonlinearity="relu"),
    "rnn norm": lambda: ours.RNN(INPUT, HIDDEN, layer_norm=True),
    "gru": lambda: ours.GRU(INPUT, HIDDEN, backend="native"),
    "gru before": lambda: ours.GRU(INPUT, HIDDEN, reset_after=False),
    "gru norm": lambda: ours.GRU(INPUT, HIDDEN, layer_norm=True, zoneout=0.2),
    "lstm": lambda: ours.LSTM(INPUT, HIDDEN, num_layers=2, dropout=0.5),
    "lstm peephole": lambda: ours.LSTM(INPUT, HIDDEN, peephole=True, layer_norm=True),
    "lstm projected": lambda: ours.LSTM(INPUT, 4, proj_size=HIDDEN),
    "torch lstm": lambda: nn.LSTM(INPUT, HIDDEN),
    "torch gru": lambda: nn.GRU(INPUT, HIDDEN, batch_first=True),
    "recurrent": lambda: ours.Recurrent(nn.LSTMCell(INPUT, HIDDEN)),
    "hand cell": lambda: ours.Recurrent(HandCell()),
    "hand layer": lambda: HandLayer(),
    "min gru": lambda: ours.MinGRU(INPUT, HIDDEN),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_right_gradients_agree(make, batch):
    torch.manual_seed(1)
    model = make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    shares = []
    found = gradcheck(model, batch, mean_squared_error, entries=3, progress=shares.append)
    assert found.agrees, found.verdict
    assert found.wrong == ()
    assert found.within_step == ()
    assert max(block.relative for block in found.blocks) < 1e-6
    assert max(block.resolution for block in found.blocks) < 1e-5
    assert (
        sum(block.size for block in found.blocks) == sum(p.numel() for p in model.parameters()) + batch.inputs.numel()
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None and parameter.dtype == torch.float32 for parameter in model.parameters())
    assert model.training
    assert torch.equal(random, torch.get_rng_state())


def test_a_whole_model_on_symbols_with_lengths_and_weights():
    torch.manual_seed(0)
    model = SequenceModel(nn.Embedding(5, 3), ours.GRU(3, 4), CategoricalHead(4, 5))
    symbols = torch.randint(0, 5, (6, 3))
    batch = Batch(symbols[:-1], symbols[1:], lengths=torch.tensor([5, 2, 4]), weights=torch.rand(5, 3))
    found = gradcheck(model, batch, negative_log_likelihood, entries=4)
    assert found.agrees, found.verdict
    names = [block.name for block in found.blocks]
    assert "backbone.weight_hh_l0, update gate" in names
    assert "embedding.weight" in names
    assert "inputs" not in names


def test_a_wrong_sign_of_the_forget_gate_is_found(batch):
    torch.manual_seed(1)
    found = gradcheck(ours.Recurrent(HandCell("sign")), batch, mean_squared_error, entries=3)
    assert not found.agrees
    assert found.worst.gate == "forget"
    assert found.worst.diagnosis == "within a single step it is minus the numeric: a sign"
    assert found.verdict.startswith("wrong: cell.")
    step = {block.name: block for block in found.within_step}
    assert [name for name, block in step.items() if not block.agrees and "cell." in name] == [
        f"cell.{name}, forget gate" for name in ("weight_ih", "weight_hh", "bias")
    ]
    for name in ("weight_ih", "weight_hh", "bias"):
        assert f"cell.{name}, forget gate" in found.verdict
    assert {block.gate for block in found.blocks if block.cause} == {"forget"}
    assert "others differ and may inherit it" in found.verdict


def test_a_thousandth_too_much_in_one_gate_is_found(batch):
    torch.manual_seed(1)
    found = gradcheck(ours.Recurrent(HandCell("factor")), batch, mean_squared_error, entries=3)
    assert found.worst.gate == "cell"
    assert found.worst.diagnosis == "within a single step it is 1.001 times the numeric"


def test_a_mean_over_the_batch_is_found(batch):
    torch.manual_seed(1)
    found = gradcheck(ours.Recurrent(HandCell("mean")), batch, mean_squared_error, entries=3)
    assert {block.parameter for block in found.wrong} == {"cell.bias"}
    assert "divided by the number of sequences, 3: a mean where a sum was meant" in found.verdict


def test_a_wrong_way_back_through_the_memory_is_found(batch):
    torch.manual_seed(1)
    found = gradcheck(ours.Recurrent(HandCell("memory")), batch, mean_squared_error, entries=3)
    assert not found.agrees
    assert found.worst.name == "the state C"
    assert found.worst.diagnosis == "what a step sends back to it: it is minus the numeric: a sign"
    assert {block.name for block in found.within_step if not block.agrees} == {"the state C"}


@pytest.mark.parametrize("which", ["first", "last"])
def test_a_forgotten_sum_over_time_is_found(which, batch):
    torch.manual_seed(1)
    found = gradcheck(HandLayer(which), batch, mean_squared_error)
    assert [block.name for block in found.wrong] == ["weight_hh"]
    wanted = f"it is the term of the {which} step alone: the sum over time was forgotten"
    assert found.worst.diagnosis == wanted
    assert wanted in found.verdict


def test_a_forgotten_sum_over_time_in_a_cell_names_the_weight(batch):
    class Once(HandCell):
        """Uses its weight_hh in the third step, and a copy without a gradient in all others."""

        def forward(self, x, state):
            (h, memory), weight = state[:2], self.weight_hh
            if int(state[2][0]) != 2:
                weight = weight.detach()
            h, memory = HandStep.apply(x, h, memory, self.weight_ih, weight, self.bias, "")
            return h, (h, memory, state[2] + 1)

        def initial_state(self, batch_size):
            return *super().initial_state(batch_size), torch.zeros(batch_size, dtype=torch.long)

    torch.manual_seed(1)
    found = gradcheck(ours.Recurrent(Once()), batch, mean_squared_error, entries=3)
    assert {block.parameter for block in found.wrong} == {"cell.weight_hh"}
    assert found.wrong[1].gate == "forget"
    assert found.worst.parameter == "cell.weight_hh"


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        (lambda t: True, "what each loss owes to its own step: the state is detached after every step"),
        (lambda t: t % 2 == 0, "cut every 2 steps: the state is detached there"),
        (lambda t: t == 3, "cut before step 3: the state is detached there"),
    ],
)
def test_a_detached_state_is_shown(before, wanted, batch):
    torch.manual_seed(1)
    found = gradcheck(Detached(before), batch, mean_squared_error, entries=3)
    assert not found.agrees
    assert wanted in found.worst.diagnosis
    weights = [block for block in found.wrong if block.parameter == "cell.weight_hh"]
    assert all(wanted in block.diagnosis for block in weights)


def test_a_mistake_between_the_sampled_entries_is_found(batch):
    class Slip(torch.autograd.Function):
        @staticmethod
        def forward(ctx, weight):
            return weight.clone()

        @staticmethod
        def backward(ctx, d_weight):
            d_weight = d_weight.clone()
            d_weight[0, 0] *= 1.5
            return d_weight

    class Slipping(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(HIDDEN, INPUT))

        def forward(self, x, state=None):
            return (x @ Slip.apply(self.weight).T).tanh(), None

    model = Slipping()
    found = gradcheck(model, batch, mean_squared_error, entries=2, seed=1)
    assert [block.parameter for block in found.wrong] == ["weight"]
    assert found.worst.checked == 2
    assert found.worst.index is None
    assert "along a direction through all entries" in found.verdict
    assert gradcheck(model, batch, mean_squared_error).worst.index == (0, 0)


def test_kinks_raise_no_alarm():
    layer = ours.RNN(1, 2, nonlinearity="relu")
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)  # every unit stands at its kink
    found = gradcheck(layer, Batch(torch.ones(3, 1, 1), torch.ones(3, 1, 2)), mean_squared_error)
    assert found.agrees, found.verdict
    assert sum(block.kinks for block in found.blocks) > 0
    assert "stand at a kink" in found.verdict


def test_a_gradient_too_small_to_be_checked_is_said(batch):
    layer = ours.GRU(INPUT, HIDDEN)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)  # new is 0, and so nothing reaches reset and update
    found = gradcheck(layer, batch, mean_squared_error, entries=2)
    assert found.agrees
    small = {block.gate for block in found.blocks if not block.resolved}
    assert {"reset", "update"} <= small
    assert "too near to zero for a mistake of a thousandth to show" in found.verdict
    assert math.isfinite(found.worst.relative)


def test_differences_know_their_error():
    for h, function, slope in [
        (1.0, torch.exp, math.e),
        (1e-3, lambda x: (1000 * x).sin(), 1000 * math.cos(1)),
        (100.0, torch.log, 0.01),
    ]:
        point = torch.tensor([h], dtype=torch.float64)
        found = difference(lambda d, f=function, p=point: f(p + d), function(point), h, 0.0)
        assert abs(found.value - slope) <= found.error <= 1e-8 * abs(slope)
        assert not found.kink
    near = torch.tensor([1e-7], dtype=torch.float64)  # a kink that is near, but not here
    found = difference(lambda d: (near + d).abs(), near.abs(), 1.0, 1e-9)
    assert not found.kink
    assert abs(found.value - 1) <= found.error < 1e-6
    here = torch.zeros(1, dtype=torch.float64)
    found = difference(lambda d: (here + d).abs(), here, 1.0, 1e-9)
    assert found.kink
    assert found.error >= 1


@pytest.mark.parametrize("layer", [nn.LSTM, nn.LSTMCell, ours.LSTM, ours.LSTMCell, nn.GRU, nn.GRUCell, ours.GRUCell])
def test_gates_of_known_layers(layer):
    gates = ["input", "forget", "cell", "output"] if "LSTM" in layer.__name__ else ["reset", "update", "new"]
    found = list(blocks_of(nn.Sequential(layer(2, 3))))
    assert [block.gate for block in found] == 4 * gates
    assert found[1].positions.tolist() == list(range(6, 12))


def test_gates_of_a_users_cell():
    class Columns(nn.Module):
        gate_names = ("keep", "write")
        hidden_size = 3

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(5, 6))
            self.head = nn.Linear(3, 4)

    model = nn.ModuleDict({"cell": Columns()})
    named = {(block.name, block.gate): block for block in blocks_of(model)}
    assert list(named) == [
        ("cell.weight", "keep"),
        ("cell.weight", "write"),
        ("cell.head.weight", None),
        ("cell.head.bias", None),
    ]
    write = named["cell.weight", "write"]
    assert [write.index(int(at)) for at in write.positions[:4]] == [(0, 3), (0, 4), (0, 5), (1, 3)]


def test_record(batch):
    torch.manual_seed(1)
    for model in (ours.LSTM(INPUT, HIDDEN), ours.Recurrent(HandCell("sign"))):
        found = gradcheck(model, batch, mean_squared_error, entries=4)
        record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert record["agrees"] == found.agrees
        assert len(record["blocks"]) == len(found.blocks)
        console = Console(file=StringIO(), width=80)
        console.print(found.table())
        lines = console.file.getvalue().splitlines()
        assert max(map(len, lines)) <= 80
        assert "…" not in console.file.getvalue()
        assert "forget" in console.file.getvalue()
        axes = found.plot().axes[0]
        assert len(axes.get_yticks()) == len(found.blocks)


def test_refusals(batch):
    layer = ours.GRU(INPUT, HIDDEN)
    with pytest.raises(ConfigurationError, match=r"entries=0, tolerance=1e-06: expected at least 1 entry"):
        gradcheck(layer, batch, mean_squared_error, entries=0)
    with pytest.raises(ConfigurationError, match=r"no parameter of GRU requires a gradient"):
        gradcheck(ours.GRU(INPUT, HIDDEN).requires_grad_(False), batch, mean_squared_error)
    with pytest.raises(ConfigurationError, match=r"does not depend on any parameter"):
        gradcheck(layer, batch, lambda output, target: (output.detach() - target).square().sum(-1))
    with pytest.raises(ShapeError, match=r"do not reduce it"):
        gradcheck(layer, batch, lambda output, target: (output - target).square().mean())
    targets = batch.targets.clone()
    targets[2, 1] = math.nan
    with pytest.raises(DataError, match=r"the loss is NaN at step 2 of sequence 1"):
        gradcheck(layer, Batch(batch.inputs, targets), mean_squared_error)

    calls = []

    def changing(output, target):
        calls.append(1)
        return (output - target).square().sum(-1) * len(calls)

    with pytest.raises(ConfigurationError, match=r"the loss of GRU is another at each call"):
        gradcheck(layer, batch, changing)
    cell = HandCell()
    cell.gate_names = "ifgo"
    with pytest.raises(ConfigurationError, match=r"gate_names of HandCell is 'ifgo': expected a tuple of names"):
        gradcheck(ours.Recurrent(cell), batch, mean_squared_error)


def test_random_numbers_are_drawn_alike(batch):
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.scale = nn.GRU(INPUT, HIDDEN), nn.Parameter(torch.tensor(0.5))

        def forward(self, x, state=None):
            output, state = self.layer(x, state)
            return output + self.scale * torch.randn(output.shape, dtype=output.dtype), state

    model, random = Noisy(), torch.get_rng_state()
    found = gradcheck(model, batch, mean_squared_error, entries=4)
    assert torch.equal(random, torch.get_rng_state())
    assert found.agrees, found.verdict
    assert found.blocks[0].name == "scale"


def test_units_that_stand_at_a_kink_together_are_no_alarm() -> None:
    """Blank steps and no bias: all units of a ReLU are at 0, where torch says 0 and any slope is as good."""
    torch.manual_seed(0)
    layer = ours.RNN(1, 8, nonlinearity="relu")
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.eye(8))
        layer.bias_ih_l0.zero_()
        layer.bias_hh_l0.zero_()
    x = (torch.rand(6, 2, 1) < 0.5).float()
    x[0] = 0
    found = gradcheck(layer, Batch(x, torch.randn(6, 2, 8)), mean_squared_error)
    assert found.agrees, found.verdict
    assert sum(block.kinks for block in found.blocks) > 0


class Scaled(torch.autograd.Function):
    """The same number; its gradient times a factor."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx, cotangent):
        return cotangent * ctx.factor, None


class FaultyGRU(nn.Module):
    """A GRU's step; what goes back to one gate's sum is wrong by a factor."""

    gate_names = ("reset", "update", "new")

    def __init__(self, gate, factor):
        super().__init__()
        self.weight_ih = nn.Parameter(torch.randn(3 * HIDDEN, INPUT))
        self.weight_hh = nn.Parameter(torch.randn(3 * HIDDEN, HIDDEN))
        self.faults = {name: factor if name == gate else 1.0 for name in self.gate_names}

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, HIDDEN)

    def forward(self, x, state):
        of_x, of_h = (x @ self.weight_ih.T).chunk(3, 1), (state @ self.weight_hh.T).chunk(3, 1)
        reset, update = (
            torch.sigmoid(Scaled.apply(of_x[at] + of_h[at], self.faults[name]))
            for at, name in enumerate(("reset", "update"))
        )
        new = torch.tanh(Scaled.apply(of_x[2] + reset * of_h[2], self.faults["new"]))
        h = (1 - update) * new + update * state
        return h, h


@pytest.mark.parametrize("factor", [-1.0, 1.001])
@pytest.mark.parametrize("gate", FaultyGRU.gate_names)
def test_of_gates_that_read_each_other_the_wrong_one_is_named(gate, factor):
    """The reset gate gets its gradient through the new one, and with it the new one's mistake."""
    torch.manual_seed(0)
    batch = Batch(torch.randn(6, 3, INPUT), torch.randn(6, 3, HIDDEN))
    found = gradcheck(ours.Recurrent(FaultyGRU(gate, factor)), batch, mean_squared_error, entries=6)
    assert not found.agrees
    assert found.worst.gate == gate
    assert f"{gate} gate" in found.verdict.split("; ")[0]


def test_a_kink_elsewhere_does_not_hide_a_smooth_place():
    """|x| bends at 1; at 0.9995 steps of a thousandth see it, and smaller ones do not."""
    curve = lambda h: torch.tensor([1e9 + abs(0.9995 + h - 1)], dtype=torch.float64)  # noqa: E731
    found = difference(curve, curve(0.0), 1.0, 1e-12)
    assert not found.kink
