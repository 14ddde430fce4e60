"""Every explained line agrees with autograd, says what it computes, and is found out where it is wrong."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from functools import partial
from io import StringIO

import pytest
import torch
from rich.console import Console
from torch import nn

from throughtime import nn as ours
from throughtime._errors import ConfigurationError, DataError, ShapeError, UnsupportedError
from throughtime._state import leaves, map_state
from throughtime._types import Batch
from throughtime.inspection.explanation import _values
from throughtime.inspection.explanation._equations import symbol
from throughtime.inspection.explanation.explain import explain
from throughtime.models import CategoricalHead, SequenceModel
from throughtime.models.losses import squared_error

module = sys.modules[explain.__module__]  # the package has the function under its name

LAYERS = {
    "rnn tanh": lambda: ours.RNN(3, 5),
    "rnn relu": lambda: ours.RNN(15, 17, nonlinearity="relu", bias=False),
    "gru": lambda: ours.GRU(3, 5),
    "gru, reset before": lambda: ours.GRU(17, 15, reset_after=False),
    "gru without bias": lambda: ours.GRU(1, 3, bias=False),
    "gru, reset before, without bias": lambda: ours.GRU(3, 1, bias=False, reset_after=False),
    "lstm": lambda: ours.LSTM(3, 5, forget_bias=1.0),
    "lstm with peepholes": lambda: ours.LSTM(1, 7, peephole=True),
    "lstm with a projection": lambda: ours.LSTM(3, 7, proj_size=2, bias=False),
    "lstm with both": lambda: ours.LSTM(5, 3, proj_size=1, peephole=True),
    "torch rnn": lambda: nn.RNN(3, 5, nonlinearity="relu"),
    "torch gru": lambda: nn.GRU(3, 5, batch_first=True),
    "torch lstm": lambda: nn.LSTM(3, 5, proj_size=3),
    "min gru": lambda: ours.MinGRU(3, 5),
    "min lstm": lambda: ours.MinLSTM(15, 17),
    "rnn cell": lambda: ours.RNNCell(3, 5),
    "gru cell": lambda: ours.GRUCell(3, 5, reset_after=False),
    "lstm cell": lambda: ours.LSTMCell(3, 5, peephole=True, proj_size=2),
    "torch rnn cell": lambda: nn.RNNCell(3, 5),
    "torch gru cell": lambda: nn.GRUCell(3, 5, bias=False),
    "torch lstm cell": lambda: nn.LSTMCell(3, 5),
    "min gru cell": lambda: ours.MinGRUCell(3, 5, bias=False),
    "min lstm cell": lambda: ours.MinLSTMCell(3, 5),
}
ALL = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@ALL
def test_every_line_agrees(make):
    layer = make()
    random = torch.get_rng_state()
    found = explain(layer)
    assert [line.text for line in found.lines if not line.agrees] == []
    assert found.agrees
    assert all(line.relative < 1e-13 for line in found.lines)
    assert all(parameter.grad is None for parameter in layer.parameters())
    assert layer.training
    assert torch.equal(torch.get_rng_state(), random)
    width = layer.input_size
    hidden, output = layer.hidden_size, getattr(layer, "proj_size", 0) or layer.hidden_size
    sizes = {f"[batch, {width}]", f"[batch, {hidden}]", f"[batch, {output}]", f"[{hidden}]", f"[{hidden}, {width}]"}
    sizes |= {f"[{hidden}, {output}]", f"[{output}, {hidden}]"}
    for line in found.lines:
        assert line.text.endswith(line.shape)
        assert line.shape in sizes
    gradients = sum(line.equation.left.startswith("∂L/∂") for line in found.backward)
    assert gradients == sum(len(symbol.split(", ")) for symbol, _, _ in found.symbols if symbol[0] in "Wbp")


@ALL
def test_the_gradients_compared_with_are_those_of_the_whole_graph(make, monkeypatch):
    layer, kept = make().double(), []
    monkeypatch.setattr(module, "values_of", lambda *given: kept.append(_values.values_of(*given)) or kept[0])
    explain(layer)
    (values,) = kept
    time_first = values["x_t"]
    x = time_first.clone().requires_grad_()
    run = layer if not isinstance(layer, module._CELLS) else ours.Recurrent(layer)
    fed = x.transpose(0, 1) if getattr(layer, "batch_first", False) else x
    output, _ = run(fed)
    generator = torch.Generator().manual_seed(0)
    torch.randn(fed.shape, generator=generator, dtype=torch.float64)
    target = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    squared_error(output, target).sum().backward()
    assert torch.allclose(values["δx_t"], x.grad, rtol=1e-12, atol=1e-14)
    (place,) = _places(run)
    for name, weight in module.derivation_of(place).weights.items():
        whole = place.parameters[weight.parameter].grad
        assert whole is not None
        assert torch.allclose(values[f"∂L/∂{name}"], weight.of(whole), rtol=1e-12, atol=1e-14)


@ALL
def test_the_text_alone_gives_the_same_numbers(make, monkeypatch):
    kept = []
    monkeypatch.setattr(module, "values_of", lambda *given: kept.append(_values.values_of(*given)) or kept[0])
    for line in explain(make()).lines:
        value = kept[0][line.equation.left]
        read = evaluated(line.equation.right.text, kept[0])
        assert read.shape == value.shape
        assert torch.allclose(read, value, rtol=1e-11, atol=1e-15), line.text


def evaluated(text, values):
    """What a formula gives, read sign by sign, by a reading of its own."""
    names: list[str] = []

    def kept(match: re.Match) -> str:
        names.append(match[0])
        return f"@{len(names) - 1}@"

    text = re.sub(r"(δ?[a-zA-Z][ⁱᶠᵍᵒʳᶻⁿᶜ]?|W|b|p)_(\{t[+−]1\}|[a-z]+|1)", kept, text)
    values_ = [values[name] for name in names]
    outer = re.fullmatch(r"Σ_t @(\d+)@ @(\d+)@ᵀ", text)
    if outer:
        delta, read = (values_[int(at)] for at in outer.groups())
        return torch.stack([d.T @ r for d, r in zip(delta, read, strict=True)]).sum(0)
    text = re.sub(r"@(\d+)@(ᵀ?) @(\d+)@", lambda m: f"(v[{m[3]}] @ v[{m[1]}]{'' if m[2] else '.T'})", text)
    text = re.sub(r"@(\d+)@", r"v[\1]", text)
    text = text.replace("⊙", "*").replace("⊘", "/").replace("−", "-").replace("²", "**2")
    text = text.replace("σ(", "torch.sigmoid(").replace("tanh(", "torch.tanh(").replace("relu(", "torch.relu(")
    text = text.replace("[v", "(v").replace("> 0]", "> 0).double()").replace("g′(", "slope(")
    if text.startswith("Σ_t "):
        return eval(text.removeprefix("Σ_t "), {"v": values_}).sum((0, 1))
    known = {"g": lambda a: torch.where(a >= 0, a + 0.5, a.sigmoid())}
    known["slope"] = lambda a: torch.where(a > 0, torch.ones_like(a), a.sigmoid() * a.neg().sigmoid())
    return eval(text, {"v": values_, "torch": torch, **known})


def _places(layer):
    with module.visited(layer, lambda place, x, before, after: after) as places:
        return places


LINES = ("aᶠ_t", "C_t", "δh_t", "δaᶠ_t", "δC_t", "∂L/∂W_hf", "∂L/∂b_ho", "δC_0")
FAULTS = {
    "sign": (lambda v, right: -right.compute(v), LINES),
    "nan": (lambda v, right: right.compute(v) * torch.nan, LINES),
    "not summed over time": (lambda v, right: right.compute(_LastStep(v)), ("∂L/∂W_hf", "∂L/∂b_ho")),
}


@pytest.mark.parametrize(("fault", "left"), [(fault, left) for fault, (_, lines) in FAULTS.items() for left in lines])
def test_a_broken_line_is_found_and_it_alone(left, fault, monkeypatch):
    wrong, _ = FAULTS[fault]
    derive = module.derivation_of

    def broken(*given, **named):
        derivation = derive(*given, **named)
        parts = {
            part: tuple(
                replace(line, right=replace(line.right, compute=partial(wrong, right=line.right)))
                if line.left == left
                else line
                for line in getattr(derivation, part)
            )
            for part in ("forward", "backward")
        }
        return replace(derivation, **parts)

    monkeypatch.setattr(module, "derivation_of", broken)
    found = explain(ours.LSTM(3, 5))
    assert not found.agrees
    assert [line.equation.left for line in found.lines if not line.agrees] == [left]
    assert found.verdict.startswith("1 of 39 lines disagree")
    assert found.verdict.endswith(f": {left}")
    assert "It disagrees" in found.text()
    json.dumps(found.to_dict(), allow_nan=False)


class _LastStep(dict):
    def __init__(self, values):
        super().__init__({name: value[-1:] if value.dim() == 3 else value for name, value in values.items()})


def test_a_line_of_another_shape_disagrees(monkeypatch):
    derive = module.derivation_of

    def once_too_often(*given, **named):
        derivation = derive(*given, **named)
        *others, bias, last = derivation.backward
        right = replace(bias.right, compute=lambda v: bias.right.compute(v).expand(2, -1))
        return replace(derivation, backward=(*others, replace(bias, right=right), last))

    monkeypatch.setattr(module, "derivation_of", once_too_often)
    assert explain(ours.RNN(3, 5)).verdict.endswith("in float64: ∂L/∂b_hh")


def test_brackets_stand_where_they_must():
    a, b, c = (symbol(name) for name in "abc")
    numbers = {name: torch.tensor(value, dtype=torch.float64) for name, value in zip("abc", (2, 3, 5), strict=True)}
    expected = {
        "1 − (a − b)": (1 - (a - b), 2),
        "1 − a + b": (1 - a + b, 2),
        "−(a + b) ⊙ c": (-((a + b) * c), -25),
        "(−a − b) ⊙ c": ((-a - b) * c, -25),
        "−(a − b)": (-(a - b), 1),
        "a ⊘ (b ⊘ c)": (a / (b / c), 10 / 3),
        "(a + b)² ⊙ c": ((a + b).squared * c, 125),
        "(a ⊙ b)²": ((a * b).squared, 36),
    }
    for text, (expression, value) in expected.items():
        assert expression.text == text
        assert expression.compute(numbers).item() == pytest.approx(value)
        assert expression.symbols <= {"a", "b", "c"}
        assert expression.latex.count("(") == text.count("(")


STACK = {
    "ours": lambda: ours.LSTM(3, 5, num_layers=2, bidirectional=True, proj_size=2, dropout=0.5),
    "torch's": lambda: nn.LSTM(3, 5, num_layers=2, bidirectional=True, proj_size=2),
}


@pytest.mark.parametrize("make", STACK.values(), ids=STACK)
def test_each_layer_and_direction_of_a_stack_by_itself(make):
    stack = make()
    names = [f"LSTM, layer {layer}, {way}" for layer in (1, 2) for way in ("forward", "backward")]
    for index, name in enumerate(names):
        found = explain(stack, recurrence=index)
        assert found.agrees
        assert found.to_dict() == explain(stack, recurrence=name).to_dict()
        assert found.name == name
        assert found.reverse == name.endswith("backward")
        assert ("t − 1 is the step after" in found.title) == found.reverse
        assert ("x_t", f"[batch, {3 if index < 2 else 4}]", "the input of step t") in found.symbols


def test_what_arrives_from_above_is_what_the_layer_above_sends(monkeypatch):
    kept = []
    real = _values.values_of
    monkeypatch.setattr(module, "values_of", lambda *given: kept.append(real(*given)) or kept[-1])
    stack = ours.GRU(3, 5, num_layers=2)
    for recurrence in range(2):
        explain(stack, recurrence=recurrence)
    below, above = kept
    assert torch.allclose(below["e_t"], above["δx_t"], rtol=1e-12, atol=1e-14)


MARKED = {
    "gru": lambda: ours.GRU(3, 5, bidirectional=True),
    "lstm": lambda: ours.LSTM(3, 5, bidirectional=True, peephole=True),
    "relu": lambda: ours.RNN(3, 5, nonlinearity="relu", bidirectional=True),
    "min": lambda: ours.MinLSTM(3, 5),
}


@pytest.mark.parametrize("make", MARKED.values(), ids=MARKED)
def test_lengths_resets_and_weights(make, monkeypatch):
    kept, real = [], _values.values_of
    monkeypatch.setattr(module, "values_of", lambda *given: kept.append(real(*given)) or kept[-1])
    layer = make().double()
    resets = torch.zeros(7, 4, dtype=torch.bool)
    resets[3, 0] = resets[5, 0] = resets[2, 2] = True
    lengths, directions = torch.tensor([7, 4, 5, 1]), 2 if getattr(layer, "bidirectional", False) else 1
    x, targets, weights = (torch.randn(7, 4, width).double() for width in (3, 5 * directions, 1))
    batch = Batch(x, targets, lengths=lengths, resets=resets, weights=weights[..., 0])
    state = map_state(lambda part: part.double().requires_grad_(), layer.initial_state(4))
    output, _ = layer(x, state, lengths=lengths, resets=resets)
    within = torch.arange(7)[:, None] < lengths
    loss = (squared_error(output, targets) * weights[..., 0] * within).sum()
    arriving, *to_state = torch.autograd.grad(loss, [output, *(part for _, part in leaves(state))])
    for recurrence, own in enumerate(arriving.chunk(directions, -1)):
        found = explain(layer, batch, recurrence=recurrence)
        assert found.agrees, found.verdict
        assert (found.steps, found.sequences) == (7, 4)
        wanted = {"e_t": own.flip(0) if found.reverse else own}
        wanted |= {f"δ{name}_0": part[recurrence] for name, part in zip("hC", to_state, strict=False)}
        for name, value in wanted.items():
            assert torch.allclose(kept[-1][name], value, rtol=1e-12, atol=1e-14), name


class Looped(nn.Module):
    """A cell whose output is part of its next input, and whose memory is read by the loss."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(5, 3)
        self.cell.requires_grad_(False)

    def forward(self, x, state=None):
        h, memory = state or (x.new_zeros(x.shape[1], 3),) * 2
        outputs = []
        for row in x:
            h, memory = self.cell(torch.cat([row, 2 * h[:, :2]], 1), (h, memory))
            outputs.append(h + memory.square())
        return torch.stack(outputs), (h, memory)


def test_a_model_with_a_loop_of_its_own_and_frozen_weights():
    model = Looped()
    found = explain(model, Batch(torch.randn(6, 2, 3), torch.randn(6, 2, 3)))
    assert found.agrees
    assert found.name == "cell"
    line = next(line for line in found.backward if line.equation.left == "δC_t")
    assert line.text.startswith("δC_t = eᶜ_t + δh_t ⊙ o_t ⊙ (1 − tanh(C_t)²) + f_{t+1} ⊙ δC_{t+1}")
    assert any(symbol == "eᶜ_t" for symbol, _, _ in found.symbols)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_what_is_written():
    found = explain(ours.LSTM(300, 64, peephole=True))
    lines = {line.equation.left: line for line in found.lines}
    assert lines["δaᶠ_t"].text == "δaᶠ_t = δf_t ⊙ f_t ⊙ (1 − f_t)  [batch, 64]"
    assert lines["δf_t"].text == "δf_t = δC_t ⊙ C_{t−1}  [batch, 64]"
    assert lines["∂L/∂W_hf"].text == "∂L/∂W_hf = Σ_t δaᶠ_t h_{t−1}ᵀ  [64, 64]"
    assert lines["∂L/∂W_hf"].meaning == "one matrix, used T times: its gradient is a sum of T terms"
    assert lines["∂L/∂W_hf"].latex == (r"\frac{\partial L}{\partial W_{hf}} = \sum_t \delta a^{f}_{t}\, h_{t-1}^{\top}")
    assert ("W_ii, W_if, W_ig, W_io", "[64, 300]", "weight_ih, 64 rows each, in this order") in found.symbols
    page, latex = found.text(), found.text(latex=True)
    for line in found.lines:
        assert f"- `{line.equation.formula}` {line.shape}" in page
        assert f"- ${line.latex}$ {line.shape}" in latex
    stream = StringIO()
    Console(file=stream, width=80).print(found.table())
    printed = stream.getvalue()
    assert max(map(len, printed.splitlines())) <= 80
    assert "…" not in printed
    for words in ("given", "forward", "backward", "δh_t = e_t + W_hiᵀ δaⁱ_{t+1}", "[64, 300]", found.verdict[:40]):
        assert words in printed
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["agrees"]
    assert len(plain["forward"]) == 10
    assert len(plain["backward"]) == len(found.backward)
    assert set(plain["backward"][0]) >= {"formula", "latex", "shape", "meaning", "difference", "relative", "agrees"}


def test_functions_are_said_where_they_are_used():
    assert "g(a)" in dict(explain(ours.MinGRU(3, 5)).reading)
    assert "g(a)" not in dict(explain(ours.GRU(3, 5)).reading)


class Leaky(ours.Cell):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 3)

    def forward(self, x, state):
        state = self.weight * state + x
        return state, state


def some_batch(steps=4):
    return Batch(torch.randn(steps, 2, 3), torch.randn(steps, 2, 5))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: ours.GRU(3, 5, layer_norm=True), r"GRU has layer_norm, .* finite differences"),
        (lambda: ours.LSTMCell(3, 5, zoneout=0.1), r"zoneout, .*gradcheck\(model, batch, loss\)"),
        (lambda: ours.Recurrent(Leaky()), r"is a Leaky, .* of a cell of your own, gradcheck"),
        (Leaky, r"Leaky has no recurrence whose equations are known: .*gradcheck"),
        (lambda: nn.Linear(3, 5), r"Linear has no recurrence whose equations are known: expected an RNN, GRU"),
    ],
)
def test_what_has_no_equations_here_is_refused(model, words):
    with pytest.raises(UnsupportedError, match=words):
        explain(model())


def test_bad_arguments_get_words():
    with pytest.raises(ConfigurationError, match=r"recurrence=2: .* 0 \(GRU, layer 1\), 1 \(GRU, layer 2\)"):
        explain(ours.GRU(3, 5, num_layers=2), recurrence=2)
    with pytest.raises(ConfigurationError, match=r"recurrence='gru': expected one of 0 \(GRU\)"):
        explain(ours.GRU(3, 5), recurrence="gru")
    with pytest.raises(ConfigurationError, match=r"Looped is a model .*explain\(model, batch, loss\)"):
        explain(Looped())
    with pytest.raises(DataError, match=r"the batch has 1 steps"):
        explain(ours.GRU(3, 5), some_batch(1))
    with pytest.raises(ShapeError, match=r"\[4, 2, 7\]"):
        explain(ours.GRU(3, 7), some_batch())
    bad = some_batch()
    bad.inputs[2, 1] = torch.nan
    with pytest.raises(DataError, match=r"NaN at step 2 of sequence 1"):
        explain(ours.GRU(3, 5), bad)


def test_variational_dropout_and_weight_drop_are_not_at_work():
    assert explain(ours.GRU(3, 5, variational_dropout=0.3, weight_drop=0.2)).agrees


def test_a_whole_model_that_reads_symbols():
    model = SequenceModel(nn.Embedding(7, 3), ours.GRU(3, 5), CategoricalHead(5, 7))
    symbols = torch.randint(7, (6, 2))
    found = explain(model, Batch(symbols, symbols), lambda output, target: -output.log_prob(target))
    assert found.agrees
    assert found.name == "backbone"
    with pytest.raises(ConfigurationError, match=r"output is a .*: give the loss"):
        explain(model, Batch(symbols, symbols))


def test_the_other_recurrences_are_named():
    found = explain(ours.LSTM(3, 5, bidirectional=True))
    assert found.others == ("LSTM, backward",)
    assert found.verdict.endswith("recurrence= names the others: LSTM, backward")
    assert explain(ours.LSTM(3, 5)).others == ()
