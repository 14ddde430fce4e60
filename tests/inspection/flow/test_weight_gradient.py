"""The terms of a weight's gradient, against copies of the weight, one a step, and against a closed form."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.func import functional_call

from throughtime import Batch, ConfigurationError, UnsupportedError
from throughtime.inspection.flow.weight_gradient import WeightGradient, weight_gradient_by_step
from throughtime.models.losses import mean_squared_error
from throughtime.nn import GRU, LSTM, RNN, CausalConv, Cell, MinGRU, Recurrent

STEPS, SEQUENCES, WIDTH = 7, 3, 4


class Stacked(Cell):
    """A user's, its gates side by side in columns."""

    gate_names = ("keep", "new")

    def __init__(self) -> None:
        super().__init__()
        self.hidden_size = WIDTH
        self.read = nn.Parameter(torch.randn(2, 2 * WIDTH))
        self.back = nn.Parameter(torch.randn(WIDTH, 2 * WIDTH))

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size, WIDTH, dtype=self.read.dtype)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        keep, new = (x @ self.read + state @ self.back).chunk(2, -1)
        h = torch.sigmoid(keep) * state + torch.tanh(new)
        return h, h


class Tied(nn.Module):
    """Its head reads the recurrence's weight once more."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = RNN(2, WIDTH)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output, state = self.layer(x, state)
        return output @ self.layer.weight_hh_l0, state


MODELS: dict[str, Callable[[], nn.Module]] = {
    "rnn tanh": lambda: RNN(2, WIDTH),
    "rnn relu": lambda: RNN(2, WIDTH, nonlinearity="relu"),
    "gru reset before": lambda: GRU(2, WIDTH, reset_after=False),
    "gru, 2 layers": lambda: GRU(2, WIDTH, 2),
    "lstm": lambda: LSTM(2, WIDTH),
    "lstm peephole": lambda: LSTM(2, WIDTH, 2, peephole=True),
    "lstm projection": lambda: LSTM(2, 5, proj_size=WIDTH),
    "mingru": lambda: MinGRU(2, WIDTH),
    "torch gru": lambda: nn.GRU(2, WIDTH, 2),
    "torch lstm": lambda: nn.LSTM(2, 6, proj_size=WIDTH),
    "bidirectional": lambda: GRU(2, WIDTH // 2, 2, bidirectional=True),
    "torch cell": lambda: Recurrent(nn.LSTMCell(2, WIDTH)),
    "a user's cell": lambda: Recurrent(Stacked()),
}


def made(name: str) -> nn.Module:
    torch.manual_seed(3)
    return MODELS[name]().double()


def numbers(steps: int = STEPS, sequences: int = SEQUENCES, outputs: int = WIDTH, **marks: Tensor) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(steps, sequences, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(steps, sequences, outputs, generator=generator, dtype=torch.float64)
    return Batch(x, y, **marks)


@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_the_terms_add_up(name: str, marked: bool) -> None:
    marks: dict[str, Tensor] = {}
    if marked and not name.startswith("torch"):
        resets = torch.zeros(STEPS, SEQUENCES, dtype=torch.bool)
        resets[3, 1] = resets[4, 0] = True
        weights = torch.rand(STEPS, SEQUENCES, dtype=torch.float64).round(decimals=1)
        marks = {"resets": resets, "weights": weights, "lengths": torch.tensor([7, 5, 2])}
    found = weight_gradient_by_step(made(name), numbers(**marks), mean_squared_error)
    assert found.difference is not None
    assert found.difference < 1e-10
    for layer in found.layers:
        for terms in layer.terms:
            assert terms.c.sum() == pytest.approx(1, abs=1e-10)
            assert terms.norm <= terms.summed + 1e-12


@pytest.mark.parametrize(
    ("layer", "cell", "gates"),
    [
        (RNN, nn.RNNCell, ()),
        (GRU, nn.GRUCell, ("reset", "update", "new")),
        (nn.LSTM, nn.LSTMCell, ("input", "forget", "cell", "output")),
    ],
)
def test_each_term_is_the_gradient_of_a_copy(
    layer: type[nn.Module], cell: type[nn.Module], gates: tuple[str, ...]
) -> None:
    """The same forward with a copy of the weights a step: the gradient of each copy is a term."""
    torch.manual_seed(0)
    run, step, batch = layer(2, WIDTH).double(), cell(2, WIDTH).double(), numbers()
    step.load_state_dict({name.removesuffix("_l0"): value for name, value in run.state_dict().items()})
    copies = [{name: one.detach().clone().requires_grad_() for name, one in step.named_parameters()} for _ in range(7)]
    state, outputs = None, []
    for x, weights in zip(batch.inputs, copies, strict=True):
        state = functional_call(step, weights, (x, state))
        outputs.append(state[0] if isinstance(state, tuple) else state)
    loss = mean_squared_error(torch.stack(outputs), batch.targets).sum()
    found = weight_gradient_by_step(run, batch, mean_squared_error).layers[0]
    names = [name for name, _ in step.named_parameters()]
    assert [terms.parameter for terms in found.terms if terms.gate is None] == names
    for name in names:
        each = torch.stack(torch.autograd.grad(loss, [weights[name] for weights in copies], retain_graph=True))
        own = [terms for terms in found.terms if terms.parameter == name]
        assert [terms.gate for terms in own] == [None, *gates]
        pieces = [each, *(each.chunk(len(gates), 1) if gates else ())]
        for terms, piece in zip(own, pieces, strict=True):
            rows = piece.flatten(1).numpy()
            total = rows.sum(0)
            assert np.allclose(terms.norms, np.linalg.norm(rows, axis=1), rtol=1e-10)
            assert terms.norm == pytest.approx(np.linalg.norm(total), rel=1e-10)
            assert np.allclose(terms.c, rows @ total / (total @ total), rtol=0, atol=1e-10)


def test_gates_in_columns() -> None:
    cell = made("a user's cell")
    found = weight_gradient_by_step(cell, numbers(), mean_squared_error).layers[0]
    assert [terms.name for terms in found.terms][:3] == ["read", "read, keep gate", "read, new gate"]
    weights = torch.ones(STEPS, SEQUENCES, dtype=torch.float64)
    losses = mean_squared_error(cell(numbers().inputs)[0], numbers().targets)
    (whole,) = torch.autograd.grad((losses * weights).sum(), [cell.cell.back])
    for terms, columns in zip(found.terms[-2:], whole.chunk(2, 1), strict=True):
        assert terms.norm == pytest.approx(float(columns.norm()), rel=1e-10)


def test_a_linear_recurrence() -> None:
    """With one loss, h_T, the term of step t is w^(T−t) h_{t−1}."""
    layer = RNN(1, 1, nonlinearity="relu", bias=False).double()
    layer.weight_hh_l0.data.fill_(0.8)
    layer.weight_ih_l0.data.fill_(1.0)
    weights = torch.zeros(12, 1, dtype=torch.float64)
    weights[-1] = 1
    x = torch.rand(12, 1, 1, dtype=torch.float64) + 1
    batch = Batch(x, torch.zeros_like(x), weights=weights)
    h = np.concatenate([[0], layer(x)[0].detach().flatten().numpy()])
    found = weight_gradient_by_step(layer, batch, lambda output, target: output.sum(-1)).layers[0].terms[1]
    expected = 0.8 ** np.arange(11, -1, -1) * h[:-1]
    assert found.parameter == "weight_hh"
    assert np.allclose(found.norms, expected, rtol=0, atol=1e-12)
    assert np.allclose(found.c, expected / expected.sum(), rtol=0, atol=1e-12)
    assert (found.kept, found.negative) == (pytest.approx(1), 0)
    order = np.argsort(-expected)
    count = next(n for n in range(1, 13) if expected[order[:n]].sum() >= expected.sum() / 2)
    assert found.half == tuple(sorted(order[:count].tolist()))


def test_terms_that_cancel_are_told() -> None:
    layer = RNN(1, 1, nonlinearity="relu", bias=False).double()
    layer.weight_hh_l0.data.fill_(0.0)
    layer.weight_ih_l0.data.fill_(1.0)
    x = torch.ones(3, 1, 1, dtype=torch.float64)
    signs = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)[:, None, None]

    def signed(output: Tensor, target: Tensor) -> Tensor:
        return (output * target).sum(-1)

    found = weight_gradient_by_step(layer, Batch(x, signs), signed).layers[0].terms[0]
    assert found.parameter == "weight_ih"
    assert found.c.tolist() == [1, 1, -1]
    assert (found.norm, found.summed) == (1, 3)
    assert (found.kept, found.negative) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_a_gradient_of_zero_has_no_shares() -> None:
    found = weight_gradient_by_step(made("gru, 2 layers"), numbers(), lambda output, target: 0 * output.sum(-1))
    terms = found.layers[0].terms[0]
    assert (terms.norm, terms.half) == (0, ())
    assert np.isnan(terms.c).all()
    assert found.series("GRU, layer 1")[0]["c"] == [None] * STEPS
    json.dumps(found.to_dict(), allow_nan=False)
    printed(found)
    found.plot()


def test_padding_gives_nothing() -> None:
    found = weight_gradient_by_step(made("lstm"), numbers(lengths=torch.tensor([5, 3, 4])), mean_squared_error)
    for terms in found.layers[0].terms:
        assert not terms.norms[5:].any()
        assert terms.norms[:5].any()


def test_gradients_whose_squares_float32_cannot_hold() -> None:
    torch.manual_seed(0)
    batch = Batch(torch.randn(20, 2, 2), torch.zeros(20, 2, WIDTH))
    small, large = (
        weight_gradient_by_step(
            nn.GRU(2, WIDTH).requires_grad_(), batch, lambda output, target, by=by: by * output.sum(-1)
        )
        for by in (1e-25, 1.0)
    )
    for terms in (*small.layers[0].terms, *large.layers[0].terms):
        assert terms.norm > 0
        assert terms.c.sum() == pytest.approx(1, abs=1e-3)


def test_a_weight_that_is_used_elsewhere_too_is_told() -> None:
    torch.manual_seed(0)
    found = weight_gradient_by_step(Tied().double(), numbers(), mean_squared_error)
    assert found.difference is not None
    assert found.difference > 1e-3
    assert found.worst == "weight_hh of layer"
    assert "weight_hh of layer is used elsewhere too" in found.sentence


def test_the_model_is_left_as_it_was() -> None:
    layer = LSTM(2, WIDTH, 2, dropout=0.5).double().train()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    weight_gradient_by_step(layer, numbers(), mean_squared_error)
    assert layer.training
    assert all(one.grad is None for one in layer.parameters())
    assert all(torch.equal(before[name], value) for name, value in layer.state_dict().items())


def printed(found: WeightGradient) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=80).print(found.table())
    return out.getvalue().splitlines()


class TestShown:
    @pytest.mark.parametrize("name", ["lstm peephole", "bidirectional", "a user's cell"])
    def test_as_numbers_table_and_picture(self, name: str) -> None:
        found = weight_gradient_by_step(made(name), numbers(), mean_squared_error)
        record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert record["steps"] == STEPS
        lines = printed(found)
        assert max(map(len, lines)) <= 80
        assert "…" not in "".join(lines)
        assert "used 7 times" in "".join(lines)
        found.plot().savefig(io.BytesIO())

    def test_a_series_for_the_page(self) -> None:
        found = weight_gradient_by_step(made("gru, 2 layers"), numbers(), mean_squared_error)
        series = found.series("GRU, layer 2")
        assert [(one["name"], one["block"]) for one in series[:3]] == [
            ("weight_ih", None),
            ("weight_ih", "reset"),
            ("weight_ih", "update"),
        ]
        assert sum(series[0]["c"]) == pytest.approx(1, abs=1e-2)
        assert found.series("another") == []

    def test_many_steps_share_bars(self) -> None:
        axes = weight_gradient_by_step(made("rnn tanh"), numbers(500), mean_squared_error).plot().axes[0]
        assert len(axes.patches) <= 4 * 240
        assert "sums of 3 steps" in axes.get_xlabel()


class TestRefusals:
    def test_frozen(self) -> None:
        layer = nn.Sequential(GRU(2, WIDTH).double().requires_grad_(False))[0]
        with pytest.raises(ConfigurationError, match=r"frozen.*requires_grad_\(True\)"):
            weight_gradient_by_step(layer, numbers(), mean_squared_error)

    def test_what_is_frozen_in_part_is_left_out(self) -> None:
        layer = made("lstm")
        layer.weight_ih_l0.requires_grad_(False)
        found = weight_gradient_by_step(layer, numbers(), mean_squared_error)
        assert "weight_ih" not in {terms.parameter for terms in found.layers[0].terms}

    def test_a_model_without_a_recurrence(self) -> None:
        with pytest.raises(UnsupportedError, match=r"no recurrence"):
            weight_gradient_by_step(CausalConv(2, WIDTH).double(), numbers(), mean_squared_error)
