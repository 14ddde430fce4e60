"""The way of one loss back through time: sums that add up, closed forms, and the paths by hand."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from rich.console import Console
from torch import Tensor, nn

from throughtime import Batch, ConfigurationError, UnsupportedError
from throughtime.inspection import gradient_flow
from throughtime.inspection._unrolling import unroll
from throughtime.inspection.flow._paths import ABOVE, ELSEWHERE, Paths
from throughtime.inspection.flow.ledger import Ledger, ledger
from throughtime.models.losses import mean_squared_error
from throughtime.nn import GRU, LSTM, RNN, CausalConv, Cell, LSTMCell, MinGRU, MinLSTM, Recurrent

STEPS, SEQUENCES, WIDTH = 7, 3, 4


class Leaky(Cell):
    """A user's: two gates under no name that is known, a state that is a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.keep = nn.Linear(2, WIDTH), nn.Linear(WIDTH, WIDTH)

    def initial_state(self, batch_size: int) -> dict[str, Tensor]:
        return {"level": torch.zeros(batch_size, WIDTH, dtype=self.read.weight.dtype)}

    def forward(self, x: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        level = state["level"]
        gate = torch.sigmoid(self.keep(level))
        level = gate * level + (1 - gate) * torch.tanh(self.read(x) + self.keep(level))
        return level, {"level": level}


class Squashed(Leaky):
    """A user's plain one."""

    def forward(self, x: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        level = torch.tanh(self.read(x) + self.keep(state["level"]))
        return level, {"level": level}


class Headed(nn.Module):
    """A whole model."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.backbone, self.head = nn.Linear(2, 3), LSTM(3, 5), nn.Linear(5, WIDTH)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        output, state = self.backbone(self.embedding(x), state)
        return self.head(output), state


MODELS: dict[str, Callable[[], nn.Module]] = {
    "rnn tanh": lambda: RNN(2, WIDTH),
    "rnn relu": lambda: RNN(2, WIDTH, nonlinearity="relu"),
    "rnn zoneout": lambda: RNN(2, WIDTH, zoneout=0.3),
    "rnn layer norm": lambda: RNN(2, WIDTH, layer_norm=True),
    "gru": lambda: GRU(2, WIDTH),
    "gru reset before": lambda: GRU(2, WIDTH, reset_after=False),
    "lstm": lambda: LSTM(2, WIDTH),
    "lstm peephole": lambda: LSTM(2, WIDTH, peephole=True),
    "lstm projection": lambda: LSTM(2, 5, proj_size=WIDTH),
    "mingru": lambda: MinGRU(2, WIDTH),
    "minlstm": lambda: MinLSTM(2, WIDTH, 2),
    "rnn, 2 layers": lambda: RNN(2, WIDTH, 2),
    "gru, 2 layers": lambda: GRU(2, WIDTH, 2),
    "lstm, 2 layers": lambda: LSTM(2, WIDTH, 2),
    "torch rnn": lambda: nn.RNN(2, WIDTH),
    "torch gru": lambda: nn.GRU(2, WIDTH, 2),
    "torch lstm": lambda: nn.LSTM(2, 6, proj_size=WIDTH),
    "bidirectional": lambda: GRU(2, WIDTH // 2, 2, bidirectional=True),
    "torch bidirectional": lambda: nn.LSTM(2, WIDTH // 2, bidirectional=True),
    "torch cell": lambda: Recurrent(nn.LSTMCell(2, WIDTH)),
    "a user's cell": lambda: Recurrent(Leaky()),
    "a user's plain cell": lambda: Recurrent(Squashed()),
    "a model": Headed,
}
ALONE = ("rnn tanh", "gru", "gru reset before", "lstm", "lstm peephole", "lstm projection", "mingru", "torch gru",
         "a user's cell", "a model")  # fmt: skip


def made(name: str) -> nn.Module:
    torch.manual_seed(3)
    return MODELS[name]().double()


def numbers(steps: int = STEPS, sequences: int = SEQUENCES, outputs: int = WIDTH, **marks: Tensor) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(steps, sequences, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(steps, sequences, outputs, generator=generator, dtype=torch.float64)
    return Batch(x, y, **marks)


def summed(output: Tensor, target: Tensor) -> Tensor:
    return output.sum(-1)


class TestSums:
    @pytest.mark.parametrize("name", MODELS)
    def test_everything_adds_up(self, name: str) -> None:
        for anchor in (None, 2):
            for layer in ledger(made(name), numbers(), mean_squared_error, anchor, 1).layers:
                assert layer.lost is None
                assert layer.jumps.sum() == pytest.approx(layer.decay, abs=1e-10)
                if not len(layer.jumps):
                    continue
                assert np.abs(sum(layer.shares.values()) - 1).max() < 1e-10
                if layer.split is not None:
                    assert np.abs(sum(layer.split.values()) - layer.jumps).max() < 1e-10

    @pytest.mark.parametrize("name", ALONE)
    def test_of_the_last_layer_the_paths_alone_sum_to_one(self, name: str) -> None:
        layer = ledger(made(name), numbers(), mean_squared_error).layers[-1]
        assert ABOVE not in layer.shares

    @pytest.mark.parametrize("name", MODELS)
    def test_the_norms_are_those_of_the_flow(self, name: str) -> None:
        model, batch = made(name), numbers()
        flow = gradient_flow(model, batch, mean_squared_error, anchors=[4])
        found = ledger(model, batch, mean_squared_error, 4, 2)
        for layer, flowing in zip(found.layers, flow.layers, strict=True):
            assert layer.name == flowing.name
            assert np.allclose(layer.norms, flowing.norms[0, list(layer.steps), 2], rtol=1e-12)

    def test_which_paths_there_are(self) -> None:
        def paths(name: str) -> list[str]:
            return list(ledger(made(name), numbers(), mean_squared_error).layers[0].shares)

        assert paths("rnn tanh") == ["new gate"]
        assert paths("rnn zoneout") == ["direct path", "new gate"]
        assert paths("gru") == ["update path", "reset gate", "update gate", "new gate"]
        assert paths("lstm") == ["forget path", "forget gate", "input gate", "cell gate", "output gate"]
        assert paths("mingru") == ["update path"]
        assert paths("a user's cell") == ["direct path", "sigmoid 1 gate", "tanh 2 gate"]
        assert paths("lstm, 2 layers")[-1] == ABOVE


class TestClosedForms:
    def test_a_linear_recurrence(self) -> None:
        layer = RNN(2, 3, nonlinearity="relu", bias=False).double()
        with torch.no_grad():
            layer.weight_ih_l0.copy_(torch.ones(3, 2))
            layer.weight_hh_l0.copy_(0.9 * torch.eye(3, dtype=torch.float64))
        batch = Batch(torch.ones(50, 2, 2, dtype=torch.float64), torch.zeros(50, 2, 3, dtype=torch.float64))
        found = ledger(layer, batch, summed).layers[0]
        assert found.split is not None
        assert np.allclose(found.jumps, math.log(0.9), rtol=0, atol=1e-12)
        assert np.allclose(found.split["weights"], math.log(0.9), rtol=0, atol=1e-12)
        assert np.allclose(found.split["squashing"], 0, atol=1e-12)
        assert found.decay == pytest.approx(49 * math.log(0.9), abs=1e-10)

    def test_one_unit_that_squashes(self) -> None:
        """r_t = ln(1 − h_t²) + ln |w|."""
        torch.manual_seed(0)
        layer, batch = RNN(2, 1).double(), numbers(20, 2, 1)
        h = layer(batch.inputs)[0][:, 1, 0].detach().numpy()
        found = ledger(layer, batch, mean_squared_error, sample=1).layers[0]
        assert found.split is not None
        assert np.allclose(found.split["squashing"], np.log(1 - h[:0:-1] ** 2), atol=1e-12)
        assert np.allclose(found.split["weights"], math.log(abs(float(layer.weight_hh_l0.detach()))), atol=1e-12)

    def test_a_memory_without_recurrent_weights_comes_past_all_gates(self) -> None:
        layer = LSTM(2, WIDTH).double()
        nn.init.zeros_(layer.weight_hh_l0)
        found = ledger(layer, numbers(), mean_squared_error).layers[0]
        assert np.allclose(found.shares["forget path"], 1, atol=1e-12)


def test_the_paths_of_an_lstm_by_hand() -> None:
    torch.manual_seed(0)
    cell, batch = LSTMCell(2, 3).double(), numbers(6, 1, 3)
    unrolled = unroll(Recurrent(cell), batch, mean_squared_error)
    trajectory = unrolled.trajectories[0]
    found = [part for parts in next(unrolled.gradients([5], trajectory)) for part in parts]
    states = [[part.detach() for part in trajectory.parts(time)] for time in range(6)]
    weights = {name: value.detach() for name, value in cell.named_parameters()}
    shares = ledger(Recurrent(cell), batch, mean_squared_error).layers[0].shares
    for row, time in enumerate(range(5, 0, -1)):
        (h, memory), x = states[time - 1], batch.inputs[time]
        totals = x @ weights["weight_ih"].T + h @ weights["weight_hh"].T + weights["bias_ih"] + weights["bias_hh"]
        i, f, g, o = totals.chunk(4, -1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        shown = states[time][1].tanh()
        d_h, d_c = found[2 * time : 2 * time + 2]
        d_c = d_c + d_h * o * (1 - shown**2)
        ways = {
            "input gate": (d_c * g * i * (1 - i), 0),
            "forget gate": (d_c * memory * f * (1 - f), 1),
            "cell gate": (d_c * i * (1 - g**2), 2),
            "output gate": (d_h * shown * o * (1 - o), 3),
        }
        before = torch.cat(found[2 * time - 2 : 2 * time], 1)
        square = before.square().sum()
        assert shares["forget path"][row] == pytest.approx(float((d_c * f * before[:, 3:]).sum() / square), abs=1e-10)
        for name, (delta, block) in ways.items():
            back = delta @ weights["weight_hh"].chunk(4)[block]
            assert shares[name][row] == pytest.approx(float((back * before[:, :3]).sum() / square), abs=1e-10)


def test_what_comes_from_above_by_hand() -> None:
    layer, batch = made("rnn, 2 layers"), numbers()
    unrolled = unroll(layer, batch, mean_squared_error)
    lower, upper = (next(unrolled.gradients([6], one)) for one in unrolled.trajectories)
    found = ledger(layer, batch, mean_squared_error).layers[0]
    for row, time in enumerate(found.steps[1:]):
        h, delta = unrolled.trajectories[1].parts(time)[0][0].detach(), upper[time][0][0]
        above = ((1 - h**2) * delta) @ layer.weight_ih_l1.detach()
        own = lower[time][0][0]
        assert found.shares[ABOVE][row] == pytest.approx(float(above @ own / own.square().sum()), abs=1e-10)
        assert found.split is not None
        rest = math.log(float(own.norm() / (own - above).norm()))
        assert found.split[ELSEWHERE][row] == pytest.approx(rest, abs=1e-10)


class TestWhereTheWayEnds:
    def test_at_a_reset(self) -> None:
        resets = torch.zeros(STEPS, SEQUENCES, dtype=torch.bool)
        resets[3, 1] = True
        batch = numbers(resets=resets)
        cut, whole = (ledger(made("gru, 2 layers"), batch, mean_squared_error, sample=one).layers for one in (1, 0))
        for layer in cut:
            assert (layer.steps, layer.cut, layer.lost) == ((6, 5, 4, 3), 3, None)
            assert "cut by the reset of step 3" in layer.sentence
            assert np.isfinite(layer.jumps).all()
        assert all(layer.steps == (6, 5, 4, 3, 2, 1, 0) and layer.cut is None for layer in whole)

    def test_backward_at_the_end_of_the_sequence_or_before_a_reset(self) -> None:
        resets = torch.zeros(STEPS, SEQUENCES, dtype=torch.bool)
        resets[4, 1] = True
        batch = numbers(lengths=torch.tensor([6, 7, 7]), resets=resets)
        forward, backward = ledger(made("bidirectional"), batch, mean_squared_error, 2).layers[-2:]
        assert (forward.steps, backward.steps) == ((2, 1, 0), (2, 3, 4, 5))
        assert backward.end == "the sequence ends at step 5"
        _, backward = ledger(made("bidirectional"), batch, mean_squared_error, 1, 1).layers[-2:]
        assert (backward.steps, backward.cut) == ((1, 2, 3), 4)
        assert np.abs(sum(backward.shares.values()) - 1).max() < 1e-10

    def test_by_default_it_begins_at_the_last_loss_that_counts(self) -> None:
        weights = torch.ones(STEPS, SEQUENCES, dtype=torch.float64)
        weights[4:, 0] = 0
        batch = numbers(lengths=torch.tensor([7, 6, 7]), weights=weights)
        for sample, last in enumerate((3, 5, 6)):
            assert ledger(made("gru"), batch, mean_squared_error, sample=sample).anchor == last

    def test_a_gradient_that_is_zero_is_told(self) -> None:
        layer = made("rnn tanh")
        nn.init.zeros_(layer.weight_hh_l0)
        found = ledger(layer, numbers(), mean_squared_error)
        told = found.layers[0]
        assert (told.lost, told.measured, told.strongest) == (5, 0, None)
        assert "zero, or below what its numbers can express, from step 5 on" in told.sentence
        record = found.to_dict()["layers"][0]
        assert (record["decay"], record["jumps"]) == (None, [None] * 6)
        assert printed(found)
        assert isinstance(found.plot(), Figure)

    def test_a_gradient_that_explodes_is_told(self) -> None:
        layer = RNN(2, WIDTH, nonlinearity="relu").double()
        with torch.no_grad():
            for weight in layer.parameters():
                weight.fill_(1.0)
            layer.weight_hh_l0.fill_(1e60)
        batch = Batch(torch.zeros(9, 1, 2, dtype=torch.float64), torch.zeros(9, 1, WIDTH, dtype=torch.float64))
        layer.bias_ih_l0.data.zero_()
        layer.bias_hh_l0.data.fill_(1e-300)
        found = ledger(layer, batch, summed).layers[0]
        assert (found.lost, found.measured) == (2, 5)
        assert "not finite from step 2 on" in found.sentence
        assert found.jumps[:5].sum() == pytest.approx(5 * math.log(4e60), rel=1e-12)


def test_one_opening_serves_many_losses_and_sequences() -> None:
    model, batch = made("lstm, 2 layers"), numbers()
    unrolled = unroll(model, batch, mean_squared_error)
    for at, trajectory in enumerate(unrolled.trajectories):
        paths = Paths(trajectory.only([0, 2]))
        for anchor, found in zip((3, 6), unrolled.gradients([3, 6], trajectory), strict=True):
            shares = paths.shares([[part[[0, 2]] for part in parts] for parts in found])
            assert list(shares) == [*paths.names, ABOVE]
            assert all(np.isnan(share[anchor:]).all() for share in shares.values())
            for column, sample in enumerate((0, 2)):
                alone = ledger(model, batch, mean_squared_error, anchor, sample).layers[at]
                for name, share in alone.shares.items():
                    assert np.allclose(shares[name][list(alone.steps[1:]), column], share, atol=1e-12)
        assert paths.split(next(unrolled.gradients([3], trajectory))) is None


def test_small_gradients_are_told_in_float32() -> None:
    torch.manual_seed(0)
    layer = LSTM(2, 8)
    batch = Batch(torch.randn(400, 1, 2), torch.randn(400, 1, 8))
    found = ledger(layer, batch, mean_squared_error).layers[0]
    assert found.lost is not None
    assert found.measured > 50
    shares = sum(part[: found.measured] for part in found.shares.values())
    assert np.abs(shares - 1).max() < 1e-2
    assert ABOVE not in found.shares


def test_the_model_is_left_as_it_was() -> None:
    layer = LSTM(2, WIDTH, 2, dropout=0.5).double().train()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    ledger(layer, numbers(), mean_squared_error)
    assert layer.training
    assert all(one.grad is None for one in layer.parameters())
    assert all(torch.equal(before[name], value) for name, value in layer.state_dict().items())


def printed(found: Ledger) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=80).print(found.table())
    return out.getvalue().splitlines()


class TestShown:
    @pytest.mark.parametrize("name", ["rnn, 2 layers", "bidirectional", "lstm"])
    def test_as_numbers_table_and_picture(self, name: str) -> None:
        found = ledger(made(name), numbers(), mean_squared_error)
        record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert record["layers"][-1]["decay" if name != "bidirectional" else "steps"]
        lines = printed(found)
        assert max(map(len, lines)) <= 80
        assert "…" not in "".join(lines)
        drawn = found.plot()
        drawn.savefig(io.BytesIO())

    def test_many_steps_share_bars(self) -> None:
        found = ledger(made("gru"), numbers(500), mean_squared_error)
        axes = found.plot().axes
        assert len(axes) == 3
        assert all(len(one.patches) <= 4 * 160 for one in axes)
        assert "means of 4 steps" in axes[-1].get_xlabel()

    def test_a_reset_is_drawn_as_a_cut(self) -> None:
        resets = torch.zeros(STEPS, SEQUENCES, dtype=torch.bool)
        resets[3] = True
        drawn = ledger(made("gru"), numbers(resets=resets), mean_squared_error).plot()
        assert any("cut by the reset of step 3" in text.get_text() for text in drawn.axes[0].texts)


class TestRefusals:
    @pytest.mark.parametrize("sample", [-1, 3])
    def test_a_sequence_that_is_not_there(self, sample: int) -> None:
        with pytest.raises(ConfigurationError, match=rf"sample={sample}: expected a sequence of the batch, 0 to 2"):
            ledger(made("gru"), numbers(), mean_squared_error, sample=sample)

    @pytest.mark.parametrize("anchor", [-1, 5, 7])
    def test_a_loss_that_does_not_count(self, anchor: int) -> None:
        batch = numbers(lengths=torch.tensor([5, 7, 7]))
        with pytest.raises(ConfigurationError, match=rf"anchor={anchor}: expected .* first is 0, the last 4"):
            ledger(made("gru"), batch, mean_squared_error, anchor)

    def test_a_sequence_without_a_loss(self) -> None:
        with pytest.raises(ConfigurationError, match=r"sample=1: no loss of this sequence counts"):
            ledger(made("gru"), numbers(lengths=torch.tensor([5, 0, 7])), mean_squared_error, sample=1)

    def test_a_model_without_a_recurrence(self) -> None:
        with pytest.raises(UnsupportedError, match=r"no recurrence.*gradient_flow"):
            ledger(CausalConv(2, WIDTH).double(), numbers(), mean_squared_error)
