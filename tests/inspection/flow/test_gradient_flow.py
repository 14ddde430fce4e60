"""What of each loss reaches each earlier state, against closed forms and against autograd by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from throughtime import Batch, ConfigurationError, DataError, UnsupportedError
from throughtime.inspection import gradient_flow
from throughtime.models.losses import mean_squared_error
from throughtime.nn import GRU, LSTM, RNN, CausalConv, Cell, GRUCell, LSTMCell, MinGRU, Recurrent


def sum_of_squares(output: Tensor, target: Tensor) -> Tensor:
    """One value a step and sequence, whatever the target."""
    return output.square().sum(-1)


def plain_sum(output: Tensor, target: Tensor) -> Tensor:
    """Its gradient is 1 in each feature."""
    return output.sum(-1)


def numbers(steps: int, sequences: int, inputs: int, outputs: int, **marks: Tensor) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(steps, sequences, inputs, generator=generator, dtype=torch.float64)
    y = torch.randn(steps, sequences, outputs, generator=generator, dtype=torch.float64)
    return Batch(x, y, **marks)


def scaled_identity(rate: float, size: int = 3) -> RNN:
    """h_t = relu(x_t + rate h_{t−1}): linear while all is positive."""
    layer = RNN(size, size, nonlinearity="relu", bias=False).double()
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.eye(size, dtype=torch.float64))
        layer.weight_hh_l0.copy_(rate * torch.eye(size, dtype=torch.float64))
    return layer


def positive(steps: int, sequences: int = 2, size: int = 3) -> Batch:
    x = 1 + torch.rand(steps, sequences, size, dtype=torch.float64)
    return Batch(x, torch.zeros_like(x))


class TestClosedForms:
    @pytest.mark.parametrize("rate", [0.7, 0.95, 1.0, 1.1])
    def test_a_linear_recurrence(self, rate: float) -> None:
        flow = gradient_flow(scaled_identity(rate), positive(60), plain_sum)
        assert np.allclose(flow.lag_profile.mean, math.log(math.sqrt(3)) + math.log(rate) * np.arange(60))
        for row, anchor in zip(flow.layer.norms, flow.anchors, strict=True):
            lags = anchor - np.arange(anchor + 1)
            assert np.allclose(row[: anchor + 1] / row[anchor], rate ** lags[:, None], rtol=1e-12)

    def test_one_anchor_gives_slope_half_life_and_horizon_exactly(self) -> None:
        flow = gradient_flow(scaled_identity(0.9), positive(60), sum_of_squares, anchors=[59])
        assert flow.slope is not None
        assert flow.slope.value == pytest.approx(math.log(0.9), abs=1e-6)
        assert flow.slope.r_squared == pytest.approx(1)
        assert flow.half_life == pytest.approx(math.log(2) / -math.log(0.9), abs=1e-6)
        assert flow.horizon == math.floor(math.log(0.01) / math.log(0.9))
        total = (1 - 0.9**60) / 0.1
        assert flow.reach == min(k for k in range(60) if (1 - 0.9 ** (k + 1)) / 0.1 >= 0.95 * total)
        assert flow.lag_profile.mean[0] - flow.lag_profile.mean[59] == pytest.approx(-59 * math.log(0.9), abs=1e-9)

    def test_a_gradient_that_grows_doubles_in_a_negative_half_life(self) -> None:
        flow = gradient_flow(scaled_identity(1.2), positive(60), sum_of_squares, anchors=[59])
        assert flow.half_life == pytest.approx(-math.log(2) / math.log(1.2), abs=1e-6)
        assert flow.verdict.word == "exploding"
        first = math.floor(math.log(1000) / math.log(1.2)) + 1
        assert f"above 1000 from lag {first} on" in flow.verdict.sentence


@pytest.mark.parametrize(("layer", "cell"), [(RNN, nn.RNNCell), (GRU, nn.GRUCell), (nn.GRU, nn.GRUCell)])
def test_the_norms_are_those_of_autograd_by_hand(layer: type[nn.Module], cell: type[nn.Module]) -> None:
    torch.manual_seed(0)
    batch, run, step = numbers(6, 3, 2, 4), layer(2, 4).double(), cell(2, 4).double()
    step.load_state_dict({name.removesuffix("_l0"): value for name, value in run.state_dict().items()})
    flow = gradient_flow(run, batch, mean_squared_error, anchors=[2, 5])
    states = [step(batch.inputs[0])]
    for x in batch.inputs[1:]:
        states.append(step(x, states[-1]))
    losses = mean_squared_error(torch.stack(states), batch.targets)
    for row, anchor in zip(flow.layer.norms, (2, 5), strict=True):
        found = torch.autograd.grad(losses[anchor].sum(), states[: anchor + 1], retain_graph=True)
        assert np.allclose(row[: anchor + 1], torch.stack(found).norm(dim=-1).numpy(), rtol=1e-10)


def test_h_and_the_memory_are_cut_as_two_views() -> None:
    torch.manual_seed(0)
    batch, cell = numbers(5, 2, 2, 3), nn.LSTMCell(2, 3).double()
    flow = gradient_flow(Recurrent(cell), batch, mean_squared_error, anchors=[4])
    for time in range(4):
        state = None
        for x in batch.inputs[: time + 1]:
            state = cell(x, state)
        assert state is not None
        cut = [part.detach().requires_grad_() for part in state]
        later = tuple(cut)
        for x in batch.inputs[time + 1 :]:
            later = cell(x, later)
        grads = torch.autograd.grad(mean_squared_error(later[0][None], batch.targets[-1:]).sum(), cut)
        assert np.allclose(flow.layer.norms[0, time], torch.cat(grads, 1).norm(dim=1).numpy(), rtol=1e-10)
    assert flow.layer.parts == ("h", "C")


def test_all_losses_together_stay_flat_while_each_one_fades() -> None:
    torch.manual_seed(0)
    layer = RNN(1, 16).double()
    layer.weight_hh_l0.data *= 0.5 / torch.linalg.matrix_norm(layer.weight_hh_l0.data, 2)
    flow = gradient_flow(layer, numbers(60, 4, 1, 16), mean_squared_error)
    itemised, together = flow.layer.norms[-1].mean(1), flow.layer.accumulated.mean(1)
    assert itemised[0] < 1e-12 * itemised[-1]
    assert together[0] > 0.1 * together[-1]
    assert flow.verdict.word == "vanishing"


def test_sequences_do_not_cancel() -> None:
    """Two with opposite gradients: the norm of their mean is zero, the mean of their norms is not."""
    layer = scaled_identity(0.9)
    batch = Batch(torch.ones(10, 2, 3, dtype=torch.float64), torch.zeros(10, 2, 3, dtype=torch.float64))

    def opposite(output: Tensor, target: Tensor) -> Tensor:
        return output.sum(-1) * torch.tensor([1.0, -1.0], dtype=torch.float64)

    flow = gradient_flow(layer, batch, opposite, anchors=[9])
    assert np.allclose(flow.layer.norms[0, 0], math.sqrt(3) * 0.9**9)


class TestWhereNothingFlows:
    def test_after_the_loss(self) -> None:
        flow = gradient_flow(GRU(2, 4).double(), numbers(8, 2, 2, 4), mean_squared_error, anchors=[3])
        assert np.isnan(flow.layer.norms[0, 4:]).all()
        assert np.isfinite(flow.layer.norms[0, :4]).all()

    def test_across_a_reset(self) -> None:
        resets = torch.zeros(8, 2, dtype=torch.bool)
        resets[5, 1] = True
        batch = numbers(8, 2, 2, 4, resets=resets)
        flow = gradient_flow(LSTM(2, 4).double(), batch, mean_squared_error, anchors=[7])
        assert np.isfinite(flow.layer.norms[0, :, 0]).all()
        assert np.isnan(flow.layer.norms[0, :5, 1]).all()
        assert np.isfinite(flow.layer.norms[0, 5:, 1]).all()

    def test_in_padding(self) -> None:
        batch = numbers(8, 2, 2, 4, lengths=torch.tensor([8, 5]))
        flow = gradient_flow(RNN(2, 4).double(), batch, mean_squared_error, anchors=[7, 4])
        assert np.isnan(flow.layer.norms[1, :, 1]).all()
        assert np.isfinite(flow.layer.norms[0, :5, 1]).all()
        assert np.isnan(flow.layer.accumulated[5:, 1]).all()

    def test_in_the_padding_of_a_layer_that_runs_backward(self) -> None:
        batch = numbers(8, 2, 2, 8, lengths=torch.tensor([8, 5]))
        flow = gradient_flow(GRU(2, 4, bidirectional=True).double(), batch, mean_squared_error, anchors=[2])
        backward = flow.layers[1].norms[0]
        assert np.isfinite(backward[2:, 0]).all()
        assert np.isfinite(backward[2:5, 1]).all()
        assert np.isnan(backward[5:, 1]).all()

    def test_before_the_loss_of_a_layer_that_runs_backward(self) -> None:
        flow = gradient_flow(GRU(2, 4, bidirectional=True).double(), numbers(8, 2, 2, 8), mean_squared_error, 3, [2])
        forward, backward = flow.layers
        assert (forward.name, backward.name) == ("GRU, forward", "GRU, backward")
        assert np.isnan(backward.norms[0, :2]).all()
        assert (np.diff(np.log(backward.norms[0, 2:]), axis=0) < 0.5).all()
        assert backward.profile.longest == 5


class Leaky(Cell):
    """A cell of somebody's own, its state a dict."""

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.keep = nn.Parameter(torch.tensor(keep, dtype=torch.float64))

    def initial_state(self, batch_size: int) -> dict[str, Tensor]:
        return {"level": torch.zeros(batch_size, 1, dtype=torch.float64)}

    def forward(self, x: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        level = self.keep * state["level"] + x
        return level, {"level": level}


class Squeezed(Cell):
    """Its output is made from its state, and is no part of it."""

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size, 1, dtype=torch.float64)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = 0.5 * state + x
        return 3 * state, state


class Own(nn.Module):
    """A model of somebody's own, its state [layer, batch, feature], that is fed step by step."""

    streams = True

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(1, batch_size, 2, dtype=torch.float64)

    def forward(self, x: Tensor, state: Tensor | None = None, *, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
        state = self.initial_state(x.shape[1]) if state is None else state
        outputs = []
        for time, row in enumerate(x):
            if resets is not None:
                state = torch.where(resets[time][None, :, None], torch.zeros_like(state), state)
            state = 0.5 * state + row
            outputs.append(state[0])
        return torch.stack(outputs), state


class Loop(nn.Module):
    """A model that calls a cell of torch's in a loop of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(2, 4)
        self.read = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        h, outputs = x.new_zeros(x.shape[1], 4), []
        for row in x:
            h = self.cell(row, h)
            outputs.append(self.read(h))
        return torch.stack(outputs)


class TestWhatIsSeen:
    def test_a_users_cell(self) -> None:
        flow = gradient_flow(Recurrent(Leaky(0.5)), numbers(20, 2, 1, 1), mean_squared_error, anchors=[19])
        assert flow.half_life == pytest.approx(1)

    def test_a_loss_that_reads_what_is_made_from_the_state(self) -> None:
        flow = gradient_flow(Recurrent(Squeezed()), numbers(20, 2, 1, 1), plain_sum, anchors=[19])
        assert np.allclose(flow.layer.norms[0, :, 0], 3 * 0.5 ** (19 - np.arange(20)))

    def test_a_users_model_that_is_fed_step_by_step(self) -> None:
        resets = torch.zeros(12, 3, dtype=torch.bool)
        resets[6, 1] = True
        flow = gradient_flow(Own(), numbers(12, 3, 2, 2, resets=resets), plain_sum, anchors=[11])
        assert flow.layer.norms.shape == (1, 12, 3)
        expected = math.sqrt(2) * 0.5 ** (11 - np.arange(12))
        assert np.allclose(flow.layer.norms[0, :, 0], expected)
        assert np.isnan(flow.layer.norms[0, :6, 1]).all()
        assert np.allclose(flow.layer.norms[0, 6:, 1], expected[6:])

    def test_a_users_loop(self) -> None:
        flow = gradient_flow(Loop().double(), numbers(8, 2, 2, 1), mean_squared_error)
        assert flow.layer.name == "cell"

    @pytest.mark.parametrize(("ours", "theirs"), [(RNN, nn.RNN), (GRU, nn.GRU), (LSTM, nn.LSTM)])
    def test_torch_s_layers_as_ours(self, ours: type[nn.Module], theirs: type[nn.Module]) -> None:
        first, second = ours(2, 4, num_layers=2).double(), theirs(2, 4, num_layers=2).double()
        second.load_state_dict(first.state_dict())
        found = [gradient_flow(layer, numbers(8, 2, 2, 4), mean_squared_error) for layer in (first, second)]
        assert len(found[0].layers) == 2
        for mine, other in zip(found[0].layers, found[1].layers, strict=True):
            assert np.array_equal(mine.norms, other.norms, equal_nan=True)

    def test_a_scanned_layer(self) -> None:
        flow = gradient_flow(MinGRU(2, 4, num_layers=2).double(), numbers(8, 2, 2, 4), mean_squared_error)
        assert [layer.name for layer in flow.layers] == ["MinGRU, layer 1", "MinGRU, layer 2"]

    def test_without_a_recurrence_the_inputs_are_looked_at(self) -> None:
        flow = gradient_flow(CausalConv(2, 4, num_layers=1).double(), numbers(12, 2, 2, 4), mean_squared_error)
        assert not flow.recurrent
        assert flow.layer.parts == ("x",)
        assert flow.layer.norms[-1, -6].sum() == 0  # five steps are seen, and no more
        assert flow.layer.norms[-1, -5].sum() > 0

    @pytest.mark.parametrize("cell", [GRUCell(2, 4), LSTMCell(2, 4)])
    def test_the_model_is_left_as_it_was(self, cell: nn.Module) -> None:
        model = Recurrent(cell).double().train()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        gradient_flow(model, numbers(5, 2, 2, 4), mean_squared_error)
        assert model.training
        assert not cell._forward_hooks
        assert all(parameter.grad is None for parameter in model.parameters())
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())

    def test_a_layer_is_left_as_it_was(self) -> None:
        ours, theirs = GRU(2, 4), nn.GRU(2, 4)
        for layer in (ours, theirs):
            gradient_flow(layer, Batch(torch.randn(5, 2, 2), torch.randn(5, 2, 4)), mean_squared_error)
        assert ours.visitor is None
        assert ours.backend == "auto"
        assert "forward" not in vars(theirs)


class TestVerdict:
    def test_healthy(self) -> None:
        assert gradient_flow(scaled_identity(1.0), positive(60), sum_of_squares).verdict.word == "healthy"

    def test_the_lag_of_the_task_decides(self) -> None:
        layer = scaled_identity(0.8)
        near = gradient_flow(layer, positive(60), sum_of_squares, 5)
        far = gradient_flow(layer, positive(60), sum_of_squares, 50)
        assert (near.verdict.word, far.verdict.word) == ("healthy", "vanishing")
        assert "1e-03" in far.verdict.sentence or "0.001" in far.verdict.sentence

    def test_a_lag_that_is_not_reached(self) -> None:
        flow = gradient_flow(scaled_identity(0.8), positive(10), sum_of_squares, 50)
        assert flow.verdict.word == "inconclusive"
        assert "the longest measured is 9" in flow.verdict.sentence

    def test_on_both_sides_of_a_threshold(self) -> None:
        """Half of the sequences keep all, half lose all: their mean is near the threshold."""
        rates = torch.tensor([1.0, 1e-6], dtype=torch.float64)

        class Fading(Cell):
            def initial_state(self, batch_size: int) -> Tensor:
                return torch.zeros(batch_size, 1, dtype=torch.float64)

            def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
                h = rates[: len(x), None] ** (1 / 10) * state + x
                return h, h

        batch = Batch(torch.ones(21, 2, 1, dtype=torch.float64), torch.zeros(21, 2, 1, dtype=torch.float64))
        flow = gradient_flow(Recurrent(Fading()), batch, plain_sum, 10)
        assert flow.verdict.word == "inconclusive"

    def test_overflow_is_named_where_it_begins(self) -> None:
        layer = scaled_identity(1e3).float()
        batch = Batch(torch.zeros(22, 1, 3), torch.zeros(22, 1, 3))
        batch.inputs[:] = 1e-44  # positive, and small enough for the states to stay finite
        flow = gradient_flow(layer, batch, plain_sum, anchors=[21])
        assert flow.verdict.word == "exploding"
        assert "the loss of step 21" in flow.verdict.sentence
        first = int(np.flatnonzero(np.isinf(flow.layer.norms[0, :, 0]))[-1])
        assert f"is not finite at step {first}" in flow.verdict.sentence
        assert first == 21 - 13  # 1e39 is the first power of 1e3 above the largest float

    def test_no_line_where_a_line_is_no_description(self) -> None:
        class Uneven(Cell):
            def initial_state(self, batch_size: int) -> Tensor:
                return torch.zeros(batch_size, 1, dtype=torch.float64)

            def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
                h = torch.where(x > 0, 3.0, 1 / 3.0) * state + 0.1
                return h, h

        steps = torch.tensor([1.0, -1.0] * 20, dtype=torch.float64)[:, None, None]
        flow = gradient_flow(Recurrent(Uneven()), Batch(steps, steps), sum_of_squares, anchors=[39])
        assert flow.slope is None
        assert flow.half_life is None
        assert "no line" in str(list(flow.table().columns[3].cells))


class TestRefusals:
    def test_a_single_step(self) -> None:
        with pytest.raises(DataError, match=r"the batch has 1 steps, and to look back through time takes 2"):
            gradient_flow(GRU(2, 4).double(), numbers(1, 2, 2, 4), mean_squared_error)

    def test_a_detached_loss(self) -> None:
        with pytest.raises(ConfigurationError, match=r"the loss of GRU is detached"):
            gradient_flow(
                GRU(2, 4).double(), numbers(5, 2, 2, 4), lambda output, target: output.detach().square().sum(-1)
            )

    def test_a_loss_that_reads_no_state(self) -> None:
        class Beside(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.rnn, self.read = nn.RNN(2, 4), nn.Linear(2, 4)

            def forward(self, x: Tensor) -> Tensor:
                self.rnn(x)
                return self.read(x)

        with pytest.raises(ConfigurationError, match=r"the loss of Beside does not depend on any of its states"):
            gradient_flow(Beside().double(), numbers(5, 2, 2, 4), mean_squared_error)

    @pytest.mark.parametrize(("bad", "word"), [(float("nan"), "NaN"), (float("inf"), "infinite")])
    def test_values_that_are_not_finite(self, bad: float, word: str) -> None:
        batch = numbers(6, 3, 2, 4)
        batch.inputs[4, 1, 0] = bad
        layer = RNN(2, 4, nonlinearity="relu").double()
        layer.weight_ih_l0.data.abs_()
        with pytest.raises(DataError, match=rf"the input is {word} at step 4 of sequence 1, the first"):
            gradient_flow(layer, batch, mean_squared_error)

    def test_a_state_that_overflows(self) -> None:
        batch = positive(8)
        layer = scaled_identity(1e60)
        with pytest.raises(DataError, match=r"h of RNN is infinite at step 6 of sequence 0, the first"):
            gradient_flow(layer, batch, plain_sum)

    def test_a_loss_that_is_not_finite(self) -> None:
        batch = numbers(6, 3, 2, 4)
        batch.targets[2, 2] = float("nan")
        with pytest.raises(DataError, match=r"the loss is NaN at step 2 of sequence 2"):
            gradient_flow(GRU(2, 4).double(), batch, mean_squared_error)

    def test_no_gradient_to_look_for(self) -> None:
        symbols = Batch(torch.zeros(4, 2, dtype=torch.long), torch.zeros(4, 2, dtype=torch.long))

        class Counting(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x.double()[..., None]

        with pytest.raises(UnsupportedError, match=r"the model has no recurrence, and reads symbols without"):
            gradient_flow(Counting(), symbols, plain_sum)

    @pytest.mark.parametrize("anchors", [[9], [-1], [], 0])
    def test_anchors_that_are_no_steps(self, anchors: list[int] | int) -> None:
        with pytest.raises(ConfigurationError, match=r"anchor"):
            gradient_flow(GRU(2, 4).double(), numbers(5, 2, 2, 4), mean_squared_error, anchors=anchors)


def test_the_record_as_table_dictionary_and_picture() -> None:
    flow = gradient_flow(LSTM(2, 4, num_layers=2).double(), numbers(12, 3, 2, 4), mean_squared_error)
    assert flow.table().row_count == 2
    kept = flow.to_dict()
    assert [layer["name"] for layer in kept["layers"]] == ["LSTM, layer 1", "LSTM, layer 2"]
    assert len(kept["layers"][0]["mean"]) == 12
    assert len(flow.plot().axes) == 4


def test_progress_is_told() -> None:
    told: list[float] = []
    gradient_flow(GRU(2, 4).double(), numbers(8, 2, 2, 4), mean_squared_error, anchors=[3, 7], progress=told.append)
    assert told == [0.5, 1.0]
