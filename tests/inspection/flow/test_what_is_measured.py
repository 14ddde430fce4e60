"""Cases in which a number could easily be that of another step, another sequence, or of nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from throughtime import Batch, ConfigurationError, UnsupportedError
from throughtime.gradients import backward
from throughtime.inspection import gradient_flow, ledger, report
from throughtime.models.losses import mean_squared_error
from throughtime.nn import GRU, LSTM, RNN, Cell, Recurrent


def plain_sum(output: Tensor, target: Tensor) -> Tensor:
    return output.sum(-1)


def numbers(steps: int, sequences: int, outputs: int, **marks: Tensor) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(steps, sequences, 2, generator=generator, dtype=torch.float64)
    return Batch(x, torch.randn(steps, sequences, outputs, generator=generator, dtype=torch.float64), **marks)


class Headed(nn.Module):
    """A streaming model of somebody's own: a step in its forward, and a head."""

    streams = True

    def __init__(self) -> None:
        super().__init__()
        self.step, self.head = nn.Linear(6, 4), nn.Linear(4, 1)

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size, 4, dtype=torch.float64)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = self.initial_state(x.shape[1]) if state is None else state
        outputs = []
        for row in x:
            h = torch.tanh(self.step(torch.cat([row, h], -1)))
            outputs.append(self.head(h))
        return torch.stack(outputs), h


def test_the_head_of_a_model_that_is_fed_step_by_step() -> None:
    torch.manual_seed(0)
    model, batch = Headed().double(), numbers(8, 3, 1)
    flow = gradient_flow(model, batch, mean_squared_error, anchors=[7])
    h, states, losses = model.initial_state(3), [], []
    for x, y in zip(batch.inputs, batch.targets, strict=True):
        h = torch.tanh(model.step(torch.cat([x, h], -1)))
        states.append(h)
        losses.append((model.head(h) - y).square().mean(-1))
    itemised = torch.autograd.grad(losses[7].sum(), states, retain_graph=True)
    together = torch.autograd.grad(torch.stack(losses).sum(), states)
    assert np.allclose(flow.layer.norms[0], torch.stack(itemised).norm(dim=-1).numpy())
    assert np.allclose(flow.layer.accumulated, torch.stack(together).norm(dim=-1).numpy())


def test_a_cell_of_two_states_whose_output_is_neither() -> None:
    class Two(Cell):
        def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor]:
            return torch.zeros(batch_size, 2).double(), torch.zeros(batch_size, 2).double()

        def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
            c = 0.5 * state[1] + x
            h = torch.tanh(c)
            return 2 * h, (h, c)

    flow = gradient_flow(Recurrent(Two()), numbers(6, 2, 2), plain_sum, anchors=[5])
    assert np.isnan(flow.layer.norms[0, 5]).all()  # its own loss reads past the cut
    assert np.isfinite(flow.layer.norms[0, :5]).all()
    assert np.isnan(flow.layer.accumulated).all()
    with pytest.raises(UnsupportedError, match=r"the output of Recurrent is made from its states and is none of them"):
        ledger(Recurrent(Two()), numbers(6, 2, 2), plain_sum)


class Packing(nn.Module):
    """Packs what is not sorted by length."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(2, 4)

    def forward(self, x: Tensor, *, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return pad_packed_sequence(self.rnn(packed)[0], total_length=len(x))[0]


def test_packed_sequences_stay_who_they_are() -> None:
    torch.manual_seed(0)
    model = Packing().double()
    lengths = torch.tensor([4, 12, 7])
    batch = numbers(12, 3, 4, lengths=lengths)
    together = gradient_flow(model, batch, mean_squared_error, anchors=[3])
    for at, length in enumerate(lengths.tolist()):
        alone = Batch(batch.inputs[:length, [at]], batch.targets[:length, [at]])
        expected = gradient_flow(model.rnn, alone, mean_squared_error, anchors=[3]).layer.norms[0, :4, 0]
        assert np.allclose(together.layer.norms[0, :4, at], expected)


def test_what_all_losses_owe_is_told_where_no_loss_counts() -> None:
    weights = torch.zeros(10, 2).double()
    weights[-1] = 1
    flow = gradient_flow(GRU(2, 4).double(), numbers(10, 2, 4, weights=weights), mean_squared_error)
    assert np.allclose(flow.layer.accumulated, flow.layer.norms[-1])


def test_losses_without_a_gradient_are_no_vanishing_gradient() -> None:
    torch.manual_seed(0)
    layer, batch = LSTM(2, 4).double(), numbers(16, 4, 4)
    fit = Batch(batch.inputs, layer(batch.inputs)[0].detach())
    flow = gradient_flow(layer, fit, mean_squared_error)
    assert flow.verdict.word == "inconclusive"
    assert "no loss that was followed sends any gradient" in flow.verdict.sentence
    half = Batch(batch.inputs, torch.cat([fit.targets[:, :2], batch.targets[:, 2:]], 1))
    rest = Batch(batch.inputs[:, 2:], batch.targets[:, 2:])
    some, others = (gradient_flow(layer, one, mean_squared_error) for one in (half, rest))
    assert some.verdict.ratio == pytest.approx(others.verdict.ratio)


def test_each_direction_is_judged_at_a_lag_of_its_own() -> None:
    torch.manual_seed(0)
    weights = torch.zeros(60, 3).double()
    weights[-1] = 1
    layer = RNN(2, 4, bidirectional=True).double()
    flow = gradient_flow(layer, numbers(60, 3, 8, weights=weights), mean_squared_error)
    forward, backward_ = flow.verdicts
    assert (forward.word, forward.lag) == ("vanishing", 59)
    assert backward_.word == "inconclusive"
    assert flow.verdict.word == "vanishing"


def test_losses_of_another_size_at_another_time_are_no_decay() -> None:
    """Every loss keeps .87 a step; the later ones are smaller."""
    layer = RNN(1, 1, nonlinearity="relu", bias=False).double()
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1.0)
        layer.weight_hh_l0.fill_(0.87)
    x = torch.ones(64, 3, 1).double()
    size = 10 ** (-0.1 * torch.arange(64.0).double())[:, None]
    flow = gradient_flow(layer, Batch(x, x), lambda output, target: output.sum(-1) * size, 48)
    assert flow.verdict.ratio == pytest.approx(0.87**48)
    assert flow.slope is not None
    assert flow.slope.value == pytest.approx(math.log(0.87))


def test_batch_first_is_turned_round() -> None:
    torch.manual_seed(0)
    layer = nn.GRU(2, 4, batch_first=True).double()
    batch = numbers(9, 3, 4)
    sideways = Batch(batch.inputs.transpose(0, 1), batch.targets.transpose(0, 1))
    found = report(layer, sideways, mean_squared_error)
    assert np.array(found.document["inputs"][0]["values"]).shape == (3, 9)
    assert np.allclose(found.document["inputs"][0]["values"], batch.inputs[..., 0].T, atol=1e-3)
    one = Batch(sideways.inputs[:1], sideways.targets[:1])
    assert gradient_flow(layer, one, mean_squared_error).layer.norms.shape[1:] == (9, 1)


def test_an_encoder_is_refused() -> None:
    class Translator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = nn.GRU(2, 4), nn.GRU(2, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.decoder(x, self.encoder(x)[1])[0]

    with pytest.raises(UnsupportedError, match=r"depends on step \d+ of encoder: its steps are not the losses"):
        gradient_flow(Translator().double(), numbers(8, 2, 4), mean_squared_error)


def test_a_parameter_that_is_squashed_is_no_gate() -> None:
    class Leaky(Cell):
        def __init__(self) -> None:
            super().__init__()
            self.decay = nn.Parameter(torch.zeros(2).double())

        def initial_state(self, batch_size: int) -> Tensor:
            return torch.zeros(batch_size, 2).double()

        def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            h = torch.sigmoid(self.decay) * state + x
            return h, h

    found = report(Recurrent(Leaky()), numbers(12, 2, 2), plain_sum)
    assert found.flow.half_life == pytest.approx(1)
    assert ledger(Recurrent(Leaky()), numbers(12, 2, 2), plain_sum).layers[0].decay == pytest.approx(-11 * math.log(2))


def test_half_precision() -> None:
    layer = GRU(2, 4).bfloat16()
    batch = numbers(12, 2, 4)
    flow = gradient_flow(layer, Batch(batch.inputs.bfloat16(), batch.targets.bfloat16()), mean_squared_error)
    assert np.isfinite(flow.layer.norms[-1]).all()


@pytest.mark.parametrize("lag", [0, -5])
def test_a_lag_that_is_none(lag: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"task_lag={lag}: expected a number of steps, at least 1"):
        gradient_flow(GRU(2, 4).double(), numbers(8, 2, 4), mean_squared_error, lag)


def test_what_does_not_count_may_be_anything() -> None:
    """A missing target is NaN, and counts nothing."""
    batch = numbers(8, 2, 4, weights=torch.ones(8, 2).double())
    batch.targets[3] = float("nan")
    batch.weights[3] = 0
    layer = GRU(2, 4).double()
    backward(layer, batch, mean_squared_error)
    assert torch.isfinite(layer.weight_hh_l0.grad).all()
    assert gradient_flow(layer, batch, mean_squared_error).verdict.word != "exploding"
    padded = Batch(batch.inputs, batch.targets, lengths=torch.tensor([3, 3]))
    layer.zero_grad()
    backward(layer, padded, mean_squared_error)
    assert torch.isfinite(layer.weight_hh_l0.grad).all()
