"""Jacobians, exponents and condition numbers against closed forms, determinants and autograd by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from throughtime import Batch, ConfigurationError, DataError, UnsupportedError
from throughtime.inspection import gradient_flow
from throughtime.inspection._unrolling import unroll
from throughtime.inspection.stability._tangents import Tangents, stretch_of
from throughtime.inspection.stability.dynamics import LayerDynamics, dynamics
from throughtime.models.losses import mean_squared_error
from throughtime.nn import GRU, LSTM, RNN, CausalConv, Cell, LSTMCell, MinGRU, Recurrent


def plain_sum(output: Tensor, target: Tensor) -> Tensor:
    """Its gradient is 1 in each feature."""
    return output.sum(-1)


def numbers(steps: int, sequences: int, inputs: int, outputs: int, lengths: Tensor | None = None) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(steps, sequences, inputs, generator=generator, dtype=torch.float64)
    y = torch.randn(steps, sequences, outputs, generator=generator, dtype=torch.float64)
    return Batch(x, y, lengths=lengths)


def orthogonal(size: int) -> Tensor:
    return torch.linalg.qr(torch.randn(size, size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)).Q


class Linear(Cell):
    """h_t = A h_{t−1} + x_t."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size, len(self.matrix), dtype=torch.float64)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h = state @ self.matrix.T + x
        return h, h


def only(model: nn.Module, batch: Batch, **settings: Any) -> LayerDynamics:
    (layer,) = dynamics(model, batch, **settings).layers
    return layer


class TestClosedForms:
    @pytest.mark.parametrize("rate", [0.8, 1.0, 1.05])
    def test_a_scaled_orthogonal_matrix(self, rate: float) -> None:
        model, batch = Recurrent(Linear(rate * orthogonal(5))), numbers(80, 2, 5, 5)
        flow = gradient_flow(model, batch, plain_sum, anchors=[79])
        layer = only(model, batch, flow=flow)
        assert layer.spectrum.values == pytest.approx([math.log(rate)] * 5, abs=1e-9)
        assert layer.spectrum.errors == pytest.approx([0] * 5, abs=1e-9)
        assert layer.condition.log10 == pytest.approx(np.zeros(len(layer.condition.lags)), abs=1e-9)
        assert np.abs(layer.jacobians.eigenvalues) == pytest.approx(np.full((8, 5), rate), abs=1e-9)
        assert layer.word == {0.8: "contracting", 1.0: "marginal", 1.05: "expanding"}[rate]
        if rate != 1:
            assert flow.slope is not None
            assert flow.slope.value == pytest.approx(math.log(rate), abs=1e-6)
            assert flow.half_life == pytest.approx(math.log(2) / -math.log(rate), abs=1e-6)
            assert layer.check is not None
            assert layer.check.disagreement < 1e-6

    def test_a_normal_matrix_of_known_eigenvalues(self) -> None:
        """Profile, slope, half-life, exponents, Jacobian and condition number, each in closed form."""
        moduli = [0.95, 0.95, 0.8, 0.6]
        turned, basis = torch.zeros(4, 4, dtype=torch.float64), orthogonal(4)
        turned[:2, :2] = 0.95 * torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
        turned[2, 2], turned[3, 3] = 0.8, -0.6
        model, batch = Recurrent(Linear(basis @ turned @ basis.T)), numbers(200, 2, 4, 4)
        flow = gradient_flow(model, batch, plain_sum, anchors=[199])
        lags, shares = np.arange(200), (basis.T @ torch.ones(4, dtype=torch.float64)).square().numpy()
        profile = 0.5 * np.log((shares * np.array(moduli) ** (2 * lags[:, None])).sum(1))
        slope = np.polyfit(lags, profile, 1)[0]
        assert flow.lag_profile.mean == pytest.approx(profile, abs=1e-6)
        assert flow.slope is not None
        assert flow.slope.value == pytest.approx(slope, abs=1e-6)
        assert flow.half_life == pytest.approx(math.log(2) / -slope, abs=1e-6)
        layer = only(model, batch, flow=flow)
        assert layer.spectrum.values == pytest.approx(np.log(moduli), abs=1e-6)
        assert layer.condition.log10 == pytest.approx(layer.condition.lags * math.log10(0.95 / 0.6), abs=1e-6)
        expected = np.sort_complex(np.array([0.57 + 0.76j, 0.57 - 0.76j, 0.8, -0.6]))
        for row in layer.jacobians.eigenvalues:
            assert np.sort_complex(row) == pytest.approx(expected, abs=1e-9)
        assert layer.jacobians.largest == pytest.approx([0.95] * 8)
        assert layer.jacobians.smallest == pytest.approx([0.6] * 8)
        assert layer.check is not None
        assert layer.check.disagreement == pytest.approx(abs(slope / math.log(0.95) - 1), abs=1e-6)

    def test_a_matrix_that_is_not_normal(self) -> None:
        """Its norm is 5, its spectral radius .9: only the latter counts in the long run."""
        model = Recurrent(Linear(torch.tensor([[0.9, 5.0], [0.0, 0.5]], dtype=torch.float64)))
        layer = only(model, numbers(120, 1, 2, 2))
        assert layer.spectrum.values == pytest.approx(np.log([0.9, 0.5]), abs=1e-6)
        assert layer.jacobians.largest[0] > 5

    def test_our_relu_layer_while_all_is_positive(self) -> None:
        layer = RNN(3, 3, nonlinearity="relu", bias=False).double()
        layer.weight_ih_l0.data = torch.eye(3, dtype=torch.float64)
        layer.weight_hh_l0.data = 0.9 * torch.eye(3, dtype=torch.float64)
        batch = Batch(torch.ones(60, 2, 3, dtype=torch.float64), torch.zeros(60, 2, 3, dtype=torch.float64))
        found = only(layer, batch, flow=gradient_flow(layer, batch, plain_sum))
        assert found.spectrum.values == pytest.approx([math.log(0.9)] * 3, abs=1e-9)
        assert found.check is not None
        assert found.check.disagreement < 1e-6
        assert found.weights[0].radius == pytest.approx(0.9)


@pytest.mark.parametrize("seed", range(10))
def test_the_slope_is_the_largest_exponent(seed: int) -> None:
    """Of a tanh RNN: two roads, gradients of losses and QR of pushed directions, to one number."""
    torch.manual_seed(seed)
    layer = RNN(4, 64).double()
    layer.weight_hh_l0.data = 0.8 * torch.randn(64, 64, dtype=torch.float64) / 8
    batch = Batch(torch.randn(200, 8, 4, dtype=torch.float64), torch.randn(200, 8, 64, dtype=torch.float64))
    flow = gradient_flow(layer, batch, mean_squared_error)
    check = only(layer, batch, flow=flow, exponents=4, spectra=1, samples=8).check
    assert check is not None
    assert check.disagreement <= 0.05
    assert not check.flagged


class TestJacobians:
    @pytest.mark.parametrize("forward", [True, False])
    @pytest.mark.parametrize("reverse", [False, True])
    def test_h_and_the_memory_joined(self, *, forward: bool, reverse: bool) -> None:
        torch.manual_seed(0)
        layer = LSTM(2, 3, bidirectional=True).double()
        unrolled = unroll(layer, numbers(12, 2, 2, 6), mean_squared_error)
        trajectory = unrolled.trajectories[int(reverse)]
        tangents = Tangents(stretch_of(trajectory, [(0, 12), (0, 12)]))
        assert tangents.forward
        tangents.forward = forward
        step, time = trajectory.place.step, int(tangents.stretch.times[4, 1])
        assert step is not None
        assert time == (6 if reverse else 5)

        def joined(z: Tensor) -> Tensor:
            return torch.cat(step(trajectory.inputs[time][1:], (z[None, :3], z[None, 3:])), 1)[0]

        z = torch.cat([part.detach() for part in trajectory.parts(time + 1 if reverse else time - 1)], 1)[1]
        matrix = torch.autograd.functional.jacobian(joined, z)
        assert torch.allclose(tangents.jacobian(4)[1], matrix, atol=1e-12)
        some = torch.randn(2, 6, 3, dtype=torch.float64)
        assert torch.allclose(tangents.push(4, some)[1], matrix @ some[1], atol=1e-12)
        assert torch.allclose(tangents.pull(4, some)[1], matrix.T @ some[1], atol=1e-12)

    def test_the_bound_of_a_tanh_network_holds(self) -> None:
        torch.manual_seed(0)
        layer = RNN(2, 8).double()
        layer.weight_hh_l0.data = 3 * layer.state_dict()["weight_hh_l0"]
        found = only(layer, numbers(60, 2, 2, 8))
        assert (found.jacobians.largest <= found.weights[0].largest).all()
        assert "a bound, not a verdict" in found.bound
        assert found.weights[0].radius == pytest.approx(
            float(torch.linalg.eigvals(layer.state_dict()["weight_hh_l0"]).abs().max())
        )

    def test_of_gates_a_block_each(self) -> None:
        layer = LSTM(2, 4).double()
        blocks = only(layer, numbers(40, 2, 2, 4)).weights
        assert [block.name for block in blocks] == ["input", "forget", "cell", "output"]
        forget = layer.state_dict()["weight_hh_l0"][4:8]
        assert blocks[1].largest == pytest.approx(float(torch.linalg.matrix_norm(forget, 2)))

    def test_the_steps_are_spread_over_those_after_the_warm_up(self) -> None:
        found = only(GRU(2, 4).double(), numbers(41, 1, 2, 4), warm_up=20, spectra=3)
        assert found.jacobians.steps == (21, 31, 40)


class TestExponents:
    @pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
    def test_all_together_are_the_logarithm_of_the_determinant(self, kind: type[nn.Module]) -> None:
        torch.manual_seed(0)
        layer = kind(2, 4).double()
        batch = numbers(40, 3, 2, 4)
        found = only(layer, batch, warm_up=10)
        tangents = Tangents(stretch_of(unroll(layer, batch, mean_squared_error).trajectories[0], [(0, 40)] * 3))
        logs = [torch.linalg.slogdet(tangents.jacobian(time)).logabsdet for time in range(10, 39)]
        assert found.steps == 29
        assert found.spectrum.values.sum() == pytest.approx(float(torch.stack(logs).mean()), abs=1e-9)
        assert (np.diff(found.spectrum.values) <= 0).all()

    def test_the_condition_number_far_beyond_what_a_product_could_show(self) -> None:
        """Of two numbers: κ + 1/κ = ‖P‖² / |det P|, and a determinant is a product."""
        torch.manual_seed(0)
        layer, batch = RNN(2, 2).double(), numbers(200, 1, 2, 2)
        found = only(layer, batch, warm_up=0).condition
        tangents = Tangents(stretch_of(unroll(layer, batch, mean_squared_error).trajectories[0], [(0, 200)]))
        product, scale, determinant = torch.eye(2, dtype=torch.float64), 0.0, 0.0
        for lag in range(1, 200):
            matrix = tangents.jacobian(lag - 1)[0]
            product = matrix @ product
            scale, product = scale + float(product.norm().log10()), product / product.norm()
            determinant += float(torch.linalg.slogdet(matrix).logabsdet) / math.log(10)
        assert found.lags[-1] == 199
        assert found.log10[-1] == pytest.approx(2 * scale - determinant, abs=1e-6)
        assert found.log10[-1] > 20

    def test_a_larger_state_has_its_leading_exponents_and_its_own_run_for_the_condition_number(self) -> None:
        rates = torch.linspace(0.2, 0.9, 70, dtype=torch.float64)
        found = only(Recurrent(Linear(torch.diag(rates))), numbers(400, 2, 70, 70), spectra=2, warm_up=300)
        assert len(found.spectrum.values) == 12
        assert found.exponent == pytest.approx(math.log(0.9), abs=1e-3)
        assert found.condition.log10 == pytest.approx(found.condition.lags * math.log10(0.9 / 0.2), rel=1e-6)

    def test_what_maps_to_zero_is_minus_infinity_and_singular(self) -> None:
        found = only(Recurrent(Linear(torch.diag(torch.tensor([0.5, 0.0], dtype=torch.float64)))), numbers(40, 1, 2, 2))
        assert found.exponent == pytest.approx(math.log(0.5))
        assert found.spectrum.values[1] < -30
        kept = found.to_dict()
        json.dumps(kept, allow_nan=False)
        assert kept["condition"]["log10"][0] is None or kept["condition"]["log10"][0] > 15

    def test_the_standard_error_is_that_of_what_varies(self) -> None:
        """h_t = c_t h_{t−1} with ln c_t drawn from a normal: the error is σ/√steps."""

        class Varying(Linear):
            def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
                h = (0.5 * x - 0.2).exp() * state + 1e-3
                return h, h

        found = only(Recurrent(Varying(torch.ones(1, 1, dtype=torch.float64))), numbers(1000, 4, 1, 1), warm_up=0)
        assert found.error == pytest.approx(0.5 / math.sqrt(4 * 999), rel=0.35)
        assert abs(found.exponent + 0.2) < 4 * found.error


class Doubling(torch.autograd.Function):
    """2x; without a forward derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return 2 * grads[0]


class Silent(Doubling):
    """2x, whose forward derivative is silently zero."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
        return torch.zeros_like(tangents[0])


@pytest.mark.parametrize("function", [Doubling, Silent])
def test_a_step_without_a_right_forward_derivative_is_built_of_gradients(function: type[Doubling]) -> None:
    class Own(Linear):
        def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            h = function.apply(state @ self.matrix.T) + x
            return h, h

    found = only(Recurrent(Own(0.4 * orthogonal(3))), numbers(40, 2, 3, 3))
    assert found.spectrum.values == pytest.approx([math.log(0.8)] * 3, abs=1e-9)
    assert np.abs(found.jacobians.eigenvalues) == pytest.approx(np.full((8, 3), 0.8))


class TestWhatIsFollowed:
    def test_the_longest_stretch_between_resets(self) -> None:
        torch.manual_seed(0)
        layer, batch = GRU(2, 4).double(), numbers(60, 1, 2, 4)
        resets = torch.zeros(60, 1, dtype=torch.bool)
        resets[[10, 50]] = True
        whole = only(layer, Batch(batch.inputs, batch.targets, resets=resets))
        cut = only(layer, Batch(batch.inputs[10:50], batch.targets[10:50]))
        assert whole.jacobians.steps == tuple(step + 10 for step in cut.jacobians.steps)
        assert np.array_equal(whole.spectrum.values, cut.spectrum.values)

    def test_a_layer_that_runs_backward_begins_at_each_end(self) -> None:
        torch.manual_seed(0)
        layer, batch = GRU(2, 4, bidirectional=True).double(), numbers(60, 1, 2, 8, lengths=torch.tensor([40]))
        alone = GRU(2, 4).double()
        alone.load_state_dict(
            {name.removesuffix("_reverse"): value for name, value in layer.state_dict().items() if "reverse" in name}
        )
        backward = dynamics(layer, batch).layers[1]
        turned = only(alone, Batch(batch.inputs[:40].flip(0), batch.targets[:40, :, :4]))
        assert backward.spectrum.values == pytest.approx(turned.spectrum.values, abs=1e-9)
        assert backward.jacobians.steps == tuple(39 - step for step in turned.jacobians.steps)

    def test_short_sequences_are_left_out(self) -> None:
        batch = numbers(60, 3, 2, 4, lengths=torch.tensor([60, 5, 50]))
        assert only(GRU(2, 4).double(), batch).sequences == (0, 2)
        assert only(GRU(2, 4).double(), batch, samples=[2]).sequences == (2,)

    def test_torch_s_layers_stacks_and_scanned_layers(self) -> None:
        ours, theirs = GRU(2, 4, num_layers=2).double(), nn.GRU(2, 4, num_layers=2).double()
        theirs.load_state_dict(ours.state_dict())
        mine, other = (dynamics(layer, numbers(40, 2, 2, 4)) for layer in (ours, theirs))
        assert [layer.name for layer in mine.layers] == ["GRU, layer 1", "GRU, layer 2"]
        for one, two in zip(mine.layers, other.layers, strict=True):
            assert np.array_equal(one.spectrum.values, two.spectrum.values)
        scanned = only(MinGRU(2, 4).double(), numbers(40, 2, 2, 4))
        assert scanned.weights == ()
        assert "no W_hh" in scanned.bound

    def test_batch_first(self) -> None:
        torch.manual_seed(0)
        layer, batch = nn.GRU(2, 4).double(), numbers(40, 3, 2, 4)
        turned = nn.GRU(2, 4, batch_first=True).double()
        turned.load_state_dict(layer.state_dict())
        swapped = Batch(batch.inputs.transpose(0, 1), batch.targets.transpose(0, 1))
        found = only(turned, swapped)
        assert found.sequences == (0, 1, 2)
        assert np.array_equal(found.spectrum.values, only(layer, batch).spectrum.values)

    def test_a_state_with_a_counter(self) -> None:
        class Counting(Linear):
            def initial_state(self, batch_size: int) -> Any:
                return {"h": super().initial_state(batch_size), "count": torch.zeros(batch_size, dtype=torch.long)}

            def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
                h, _ = super().forward(x, state["h"])
                return h, {"h": h, "count": state["count"] + 1}

        found = only(Recurrent(Counting(0.7 * orthogonal(3))), numbers(30, 2, 3, 3))
        assert found.size == 3
        assert found.exponent == pytest.approx(math.log(0.7))

    def test_the_model_is_left_as_it_was(self) -> None:
        model = Recurrent(LSTMCell(2, 4)).train()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        dynamics(model, Batch(torch.randn(30, 2, 2), torch.randn(30, 2, 4)))
        assert model.training
        assert all(parameter.grad is None for parameter in model.parameters())
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert next(model.parameters()).dtype == torch.float32


class TestDisagreement:
    def test_a_loss_that_does_not_read_the_leading_direction(self) -> None:
        model = Recurrent(Linear(torch.diag(torch.tensor([0.9, 0.3], dtype=torch.float64))))
        batch = numbers(60, 2, 2, 2)
        flow = gradient_flow(model, batch, lambda output, target: output[..., 1])
        check = only(model, batch, flow=flow).check
        assert check is not None
        assert check.flagged
        assert check.disagreement == pytest.approx(math.log(0.3) / math.log(0.9) - 1, rel=1e-6)
        assert "the loss may not read the leading direction" in check.sentence

    def test_another_layer_that_keeps_more(self) -> None:
        slow, fast = (RNN(2, 2, nonlinearity="relu", bias=False).double() for _ in range(2))
        for layer, rate in ((fast, 0.3), (slow, 0.9)):
            layer.weight_ih_l0.data = torch.eye(2, dtype=torch.float64)
            layer.weight_hh_l0.data = rate * torch.eye(2, dtype=torch.float64)

        class Stack(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.fast, self.slow = fast, slow

            def forward(self, x: Tensor) -> Tensor:
                return self.slow(self.fast(x)[0])[0]

        batch = Batch(torch.ones(80, 1, 2, dtype=torch.float64), torch.zeros(80, 1, 2, dtype=torch.float64))
        below, above = dynamics(Stack(), batch, flow=gradient_flow(Stack(), batch, plain_sum)).layers
        assert below.check is not None
        assert above.check is not None
        assert "through slow, whose λ_max is -0.105" in below.check.sentence
        assert not above.check.flagged

    def test_a_horizon_too_short(self) -> None:
        model = Recurrent(Linear(torch.diag(torch.tensor([0.9, 0.7], dtype=torch.float64))))
        flow = gradient_flow(model, numbers(6, 2, 2, 2), lambda output, target: output[..., 0] + 9 * output[..., 1])
        check = only(model, numbers(60, 2, 2, 2), flow=flow).check
        assert check is not None
        assert "too short a horizon" in check.sentence

    def test_the_flow_of_another_model(self) -> None:
        batch = numbers(30, 2, 2, 4)
        flow = gradient_flow(LSTM(2, 4).double(), batch, mean_squared_error)
        with pytest.raises(ConfigurationError, match=r"the flow has no layer GRU, only LSTM"):
            dynamics(GRU(2, 4).double(), batch, flow=flow)


class TestRefusals:
    def test_no_recurrence(self) -> None:
        with pytest.raises(UnsupportedError, match=r"CausalConv has no recurrence"):
            dynamics(CausalConv(2, 4).double(), numbers(30, 2, 2, 4))

    def test_sequences_that_are_too_short(self) -> None:
        with pytest.raises(DataError, match=r"the longest stretch of GRU without a reset has 7 steps, expected 8"):
            dynamics(GRU(2, 4), numbers(8, 2, 2, 4))
        with pytest.raises(DataError, match=r"the longest stretch of sequence 1 without a reset has 4 steps"):
            dynamics(GRU(2, 4), numbers(30, 2, 2, 4, lengths=torch.tensor([30, 5])), samples=[0, 1])

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"samples": 0}, r"samples=0: expected 1"),
            ({"samples": [2]}, r"samples=\[2\]: expected sequences of the batch, 0 to 1"),
            ({"spectra": 0}, r"spectra=0: expected 1"),
            ({"exponents": 0}, r"exponents=0: expected 1"),
            ({"warm_up": -1}, r"warm_up=-1: expected 0"),
            ({"warm_up": 28}, r"warm_up=28: expected 27 at most"),
        ],
    )
    def test_settings_out_of_range(self, settings: dict[str, Any], words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            dynamics(GRU(2, 4), numbers(30, 2, 2, 4), **settings)

    def test_an_output_that_takes_a_loss(self) -> None:
        class Two(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.rnn = nn.RNN(2, 4)

            def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[dict[str, Tensor], Any]:
                output, state = self.rnn(x, state)
                return {"mean": output}, state

        with pytest.raises(ConfigurationError, match=r"the model gives a dict, expected a tensor or a distribution"):
            dynamics(Two(), numbers(30, 2, 2, 4))
        assert dynamics(Two(), numbers(30, 2, 2, 4), lambda output, target: output["mean"].sum(-1)).layers

    def test_a_state_that_grows(self) -> None:
        class Growing(nn.Module):
            streams = True

            def initial_state(self, batch_size: int) -> Tensor:
                return torch.zeros(batch_size, 1, 2, dtype=torch.float64)

            def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
                state = torch.cat([state, x.transpose(0, 1)], 1)
                return state.mean(1)[None], state

        with pytest.raises(UnsupportedError, match=r"changes its shape from step to step"):
            dynamics(Growing(), numbers(30, 2, 2, 2))


def test_the_record_as_table_dictionary_and_picture() -> None:
    model, batch = LSTM(2, 4, num_layers=2).double(), numbers(60, 3, 2, 4)
    found = dynamics(model, batch, flow=gradient_flow(model, batch, mean_squared_error))
    console = Console(width=80, record=True)
    console.print(found.table())
    assert max(len(line) for line in console.export_text().splitlines()) <= 80
    kept = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [layer["name"] for layer in kept["layers"]] == ["LSTM, layer 1", "LSTM, layer 2"]
    assert len(kept["layers"][0]["exponents"]) == 8
    assert len(kept["layers"][0]["jacobians"]["eigenvalues"][0][0]) == 2
    drawn = found.plot()
    assert sum("eigenvalues" in axes.get_title(loc="left") for axes in drawn.axes) == 2
    drawn.canvas.draw()


def test_progress_is_told() -> None:
    told: list[float] = []
    dynamics(GRU(2, 4, num_layers=2).double(), numbers(20, 2, 2, 4), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert any(0.5 < share < 1 for share in told)
