"""Temporal convolutional networks: against a loop over taps, and as a layer that streams."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributions import Distribution

from throughtime import (
    RTRL,
    Batch,
    Checkpointed,
    ConfigurationError,
    Full,
    RandomTruncation,
    ShapeError,
    Truncated,
    UnsupportedError,
    backward,
)
from throughtime._state import detach
from throughtime.models import SequenceModel, negative_log_likelihood
from throughtime.models.heads import NormalHead
from throughtime.nn import CausalConv
from throughtime.nn.contract import batch_axes

TIME, BATCH = 13, 4
LENGTHS = torch.tensor([7, 0, 13, 1])
SHAPES = [
    {"input_size": 3, "hidden_size": 5, "num_layers": 2},
    {"input_size": 4, "hidden_size": 4, "num_layers": 3, "kernel_size": 2},
    {"input_size": 1, "hidden_size": 3, "num_layers": 2, "kernel_size": 4, "dilation_base": 3},
    {"input_size": 2, "hidden_size": 3, "num_layers": 1, "kernel_size": 1},
    {"input_size": 2, "hidden_size": 3, "num_layers": 2, "dilation_base": 1, "bias": False},
    {"input_size": 3, "hidden_size": 5, "num_layers": 2, "norm": "batch"},
]
MARKS = ["whole", "lengths", "resets", "lengths and resets"]


def made(shape: dict[str, Any]) -> CausalConv:
    """In float64, its gains and running averages moved away from what they begin with."""
    torch.manual_seed(0)
    layer = CausalConv(**shape, dtype=torch.float64)
    for name, values in layer.state_dict().items():
        if name.endswith("original0") or ("norms" in name and values.is_floating_point()):
            values.mul_(torch.rand_like(values) + 1).add_(0.1)
    return layer.eval()


def by_taps(layer: CausalConv, x: Tensor, starts: list[int] = [0]) -> Tensor:  # noqa: B006
    """One sequence [time, feature]: every tap by itself; nothing from before the last of `starts` is read."""
    weights = layer.state_dict()
    began = [max(start for start in starts if start <= step) for step in range(len(x))]
    for index in range(layer.num_layers):
        below, dilation = x, layer.dilation_base**index
        for place in range(2):
            name = f"blocks.{index}.convolutions.{place}"
            if layer.norm == "weight":
                gain, direction = (weights[f"{name}.parametrizations.weight.original{part}"] for part in (0, 1))
                kernel = gain * direction / direction.square().sum((1, 2), keepdim=True).sqrt()
            else:
                kernel = weights[f"{name}.weight"]
            rows = []
            for step in range(len(x)):
                total = weights.get(f"{name}.bias", torch.zeros(layer.hidden_size).double())
                for tap in range(layer.kernel_size):
                    source = step - tap * dilation
                    if source >= began[step]:
                        total = total + kernel[:, :, layer.kernel_size - 1 - tap] @ x[source]
                if layer.norm == "batch":
                    mean, variance, scale, shift = (
                        weights[f"blocks.{index}.norms.{place}.{part}"]
                        for part in ("running_mean", "running_var", "weight", "bias")
                    )
                    total = (total - mean) / (variance + 1e-5).sqrt() * scale + shift
                rows.append(total.clamp(min=0))
            x = torch.stack(rows)
        if layer.blocks[index].convolutions[0].in_channels != layer.hidden_size:
            name = f"blocks.{index}.residual"
            bias = weights.get(f"{name}.bias", torch.zeros(layer.hidden_size).double())
            below = below @ weights[f"{name}.weight"][..., 0].T + bias
        x = (x + below).clamp(min=0)
    return x


def marks(kind: str) -> dict[str, Tensor]:
    resets = torch.rand(TIME, BATCH, generator=torch.Generator().manual_seed(3)) < 0.2
    return {name: mark for name, mark in (("lengths", LENGTHS), ("resets", resets)) if name in kind}


def inputs(layer: CausalConv, time: int = TIME) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(time, BATCH, layer.input_size, dtype=torch.float64)


def random_state(layer: CausalConv) -> tuple[Tensor, ...]:
    return tuple(torch.randn_like(part).requires_grad_() for part in layer.initial_state(BATCH))


@pytest.mark.parametrize("marked", MARKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_against_a_loop_over_taps(shape: dict[str, Any], marked: str) -> None:
    layer, given_marks = made(shape), marks(marked)
    x = inputs(layer)
    output, _ = layer(x, **given_marks)
    for index in range(BATCH):
        length = int(LENGTHS[index]) if "lengths" in given_marks else TIME
        starts = [0]
        if "resets" in given_marks:
            starts += [step for step in range(length) if given_marks["resets"][step, index]]
        if length:
            wanted = by_taps(layer, x[:length, index], starts)
            torch.testing.assert_close(output[:length, index], wanted, rtol=1e-12, atol=1e-12)
        assert not output[length:, index].any()


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.get("dilation_base", 2) < 3])
def test_the_receptive_field_is_what_changes(shape: dict[str, Any]) -> None:
    layer = made(shape)
    for parameter in layer.parameters():
        parameter.data.abs_()  # so that no ReLU hides a change
    x, reach = inputs(layer, 30).abs(), layer.receptive_field
    clean, _ = layer(x)
    for step in (0, 5, 28):
        other = x.clone()
        other[step] += 1
        changed = (layer(other)[0] != clean).any(-1).all(-1)
        untouched = (layer(other)[0] == clean).all(-1).all(-1)
        assert changed.nonzero().flatten().tolist() == list(range(step, min(step + reach, 30)))
        assert bool((changed ^ untouched).all())


def test_the_receptive_field_in_numbers() -> None:
    assert CausalConv(1, 2).receptive_field == 1 + 2 * 2 * (1 + 2 + 4 + 8)
    assert CausalConv(1, 2, num_layers=3, kernel_size=5, dilation_base=1).receptive_field == 25
    assert CausalConv(1, 2, kernel_size=1).receptive_field == 1
    assert CausalConv(3, 2).output_size == 2


def pieced(layer: CausalConv, batch: Batch, state: tuple[Tensor, ...], cuts: list[int]) -> list[Tensor]:
    pieces, borders = [], [0, *cuts, TIME]
    for start, stop in itertools.pairwise(borders):
        piece = batch.segment(start, stop)
        output, state = layer(piece.inputs, state, lengths=piece.lengths, resets=piece.resets)
        pieces.append(output)
    return [torch.cat(pieces), *state]


@given(data=st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_equal_the_whole(close, gradients, data) -> None:
    layer, marked = made(data.draw(st.sampled_from(SHAPES))), data.draw(st.sampled_from(MARKS))
    cuts = sorted(data.draw(st.lists(st.integers(0, TIME), max_size=6)))
    x, state = inputs(layer).requires_grad_(), random_state(layer)
    output, after = layer(x, state, **marks(marked))
    found, wanted = pieced(layer, Batch(x, x, **marks(marked)), state, cuts), [output, *after]
    close(found, wanted)
    variables = [x, *state, *layer.parameters()]
    close(gradients(found, variables), gradients(wanted, variables), factor=10)


@pytest.mark.parametrize("marked", MARKS)
def test_step_by_step_equals_the_whole(marked: str, close) -> None:
    layer = made(SHAPES[0])
    x = inputs(layer)
    output, after = layer(x, **marks(marked))
    found = pieced(layer, Batch(x, x, **marks(marked)), layer.initial_state(BATCH), list(range(1, TIME)))
    close(found, [output, *after])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_ragged_batch_with_resets_equals_each_sequence_alone(shape: dict[str, Any], close, gradients) -> None:
    layer, both = made(shape), marks("lengths and resets")
    x, state = inputs(layer).requires_grad_(), random_state(layer)
    output, after = layer(x, state, **both)
    columns, lasts = [], []
    for index, length in enumerate(LENGTHS.tolist()):
        starts = [step for step in range(length) if both["resets"][step, index]]
        now, parts = tuple(part[index : index + 1] for part in state), []
        for start, stop in zip([0, *starts], [*starts, length], strict=True):
            now = layer.initial_state(1) if start in starts else now
            own, now = layer(x[start:stop, index : index + 1], now)
            parts.append(own)
        columns.append(torch.cat([*parts, x.new_zeros(TIME - length, 1, layer.output_size)]))
        lasts.append(now)
    found = [output, *after]
    wanted = [torch.cat(columns, 1), *(torch.cat(parts) for parts in zip(*lasts, strict=True))]
    close(found, wanted)
    variables = [x, *state, *layer.parameters()]
    close(gradients(found, variables), gradients(wanted, variables), factor=10)


def test_gradients_against_finite_differences() -> None:
    layer = made({"input_size": 2, "hidden_size": 3, "num_layers": 1})
    state = random_state(layer)
    x = inputs(layer, 4).requires_grad_()
    resets = torch.zeros(4, BATCH, dtype=torch.bool)
    resets[2, 1:3] = True

    def run(x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        output, after = layer(x, state, resets=resets)
        return output, *after

    assert torch.autograd.gradcheck(run, (x, *state))
    assert torch.autograd.gradcheck(lambda x, *state: (layer(x, state)[0], *layer(x[:1], state)[1]), (x, *state))


def test_nothing_passes_a_reset_or_comes_from_the_padding() -> None:
    layer, both = made(SHAPES[0]), marks("lengths and resets")
    x = inputs(layer)
    clean, after = layer(x, **both)
    padding = torch.arange(TIME)[:, None] >= LENGTHS
    over = (both["resets"] & ~padding).flip(0).cumsum(0).flip(0) - (both["resets"] & ~padding).long() > 0
    dirty = x.masked_fill((padding | over)[..., None], torch.nan).requires_grad_()  # what a later reset makes past
    output, last = layer(dirty, **both)
    own = ~(padding | over)
    assert torch.equal(output[own], clean[own])
    assert all(torch.equal(a, b) for a, b in zip(last, after, strict=True))
    padded = x.masked_fill(padding[..., None], torch.nan).requires_grad_()
    layer(padded, lengths=LENGTHS)[0].sum().backward()
    assert all(part.grad.isfinite().all() for part in (padded, *layer.parameters()))


def test_the_past_is_zeros_and_no_steps_are_none() -> None:
    layer = made(SHAPES[0])
    x = inputs(layer)
    assert torch.equal(layer(x)[0], layer(x, layer.initial_state(BATCH))[0])
    state = random_state(layer)
    output, after = layer(x[:0], state)
    assert output.shape == (0, BATCH, 5)
    assert all(a is b for a, b in zip(after, state, strict=True))
    assert batch_axes(layer) == (0, 0, 0, 0)


def test_a_state_holds_no_more_than_itself() -> None:
    layer = made(SHAPES[0])
    _, state = layer(inputs(layer))
    assert all(part.untyped_storage().nbytes() == part.numel() * 8 for part in state)


@pytest.mark.parametrize("strategy", [Checkpointed(segment=3), Truncated(k1=1, k2=TIME)])
@pytest.mark.parametrize("marked", MARKS)
def test_strategies_equal_full(strategy: Checkpointed | Truncated, marked: str) -> None:
    torch.manual_seed(0)
    layer = CausalConv(2, 3, num_layers=2, kernel_size=2)
    model = SequenceModel(nn.Identity(), layer, NormalHead(3, 1)).double()
    x = torch.randn(TIME, BATCH, 2, dtype=torch.float64)
    batch = Batch(x, x[..., :1], **marks(marked))
    whole = backward(model, batch, likelihood, Full())
    wanted = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    done = backward(model, batch, likelihood, strategy)
    assert float(done.loss_sum) == pytest.approx(float(whole.loss_sum), rel=1e-6)
    for parameter, gradient in zip(model.parameters(), wanted, strict=True):  # the head is in float32
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-5)


def likelihood(output: Distribution, target: Tensor) -> Tensor:
    return negative_log_likelihood(output, target.float())


def test_gradients_that_travel_forward_are_refused() -> None:
    batch = Batch(torch.zeros(3, 1, 1), torch.zeros(3, 1, 2))
    with pytest.raises(UnsupportedError, match="no derivative forward"):
        backward(CausalConv(1, 2, num_layers=1), batch, lambda output, target: (output - target).sum(-1), RTRL())


def test_probabilities_read_no_later_element() -> None:
    torch.manual_seed(0)
    model = SequenceModel(nn.Identity(), CausalConv(1, 4, num_layers=2), NormalHead(4, 1))
    x = torch.randn(9, 3, 1)
    before = model.log_prob(x)
    x[5] += 10
    assert torch.equal(model.log_prob(x)[:5], before[:5])
    assert model.sample(4, batch_size=3).shape == (4, 3, 1)
    assert model.forecast(x, 3, samples=2).shape == (2, 3, 3, 1)


def test_dropout_is_at_work_in_training_alone() -> None:
    layer, x = CausalConv(3, 5, dropout=0.5), torch.randn(TIME, BATCH, 3)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    assert torch.equal(layer.eval()(x)[0], layer(x)[0])


def test_a_batch_is_normalised_by_its_steps_without_padding() -> None:
    layer = made({"input_size": 3, "hidden_size": 3, "num_layers": 1, "kernel_size": 1, "norm": "batch"}).train()
    (block,), real = layer.blocks, torch.arange(TIME)[:, None] < LENGTHS
    x = inputs(layer).masked_fill(~real[..., None], torch.nan)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    values = wanted = x[real]
    for convolution, norm, index in zip(block.convolutions, block.norms, "01", strict=True):
        values = values @ convolution.weight[..., 0].T
        variance, mean = torch.var_mean(values, 0, correction=0)
        values = ((values - mean) / (variance + 1e-5).sqrt() * norm.weight + norm.bias).clamp(min=0)
        old = before[f"blocks.0.norms.{index}.running_mean"]
        before[f"mean {index}"] = 0.9 * old + 0.1 * mean
        old = before[f"blocks.0.norms.{index}.running_var"]
        before[f"variance {index}"] = 0.9 * old + 0.1 * variance * len(values) / (len(values) - 1)
    output, _ = layer(x, lengths=LENGTHS)
    torch.testing.assert_close(output[real], (values + wanted).clamp(min=0))
    assert not output[~real].any()
    for index, norm in enumerate(block.norms):
        torch.testing.assert_close(norm.running_mean, before[f"mean {index}"])
        torch.testing.assert_close(norm.running_var, before[f"variance {index}"])
    output.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())


def test_a_single_step_has_no_variance_and_is_normalised_by_what_was_before() -> None:
    layer = made({"input_size": 3, "hidden_size": 5, "norm": "batch"})
    x, only = inputs(layer), torch.tensor([0, 1, 0, 0])
    wanted = layer(x[:1])[0], layer(x, lengths=only)[0], layer(x[:1, :1])[0]
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.train()
    assert torch.equal(layer(x[:1, :1])[0], wanted[2])
    assert torch.equal(layer(x, lengths=only)[0], wanted[1])
    assert not layer(x, lengths=torch.zeros(4, dtype=torch.long))[0].any()
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert not torch.equal(layer(x[:1])[0], wanted[0])


def test_in_training_a_normalised_batch_is_not_taken_in_pieces() -> None:
    model = SequenceModel(nn.Identity(), CausalConv(2, 3, norm="batch"), NormalHead(3, 1))
    batch = Batch(torch.randn(6, 3, 2), torch.randn(6, 3, 1))
    backward(model, batch, negative_log_likelihood, Full())
    for strategy in (Truncated(2), Checkpointed(2), RandomTruncation(2, 4)):
        with pytest.raises(UnsupportedError, match="a mean and variance of its own: use Full"):
            backward(model, batch, negative_log_likelihood, strategy)
        backward(model.eval(), batch, negative_log_likelihood, strategy)
        model.train()


@pytest.mark.parametrize("norm", ["weight", "batch"])
@pytest.mark.parametrize(("input_size", "hidden_size"), [(3, 5), (5, 5)])
def test_the_number_of_parameters(input_size: int, hidden_size: int, norm: Any) -> None:
    layer, taps = CausalConv(input_size, hidden_size, num_layers=1, kernel_size=4, norm=norm), 4
    wanted = taps * hidden_size * (input_size + hidden_size) + 4 * hidden_size
    wanted += hidden_size * (input_size + 1) if input_size != hidden_size else 0
    assert sum(parameter.numel() for parameter in layer.parameters()) == wanted


def test_weights_are_normalised_once_under_cached() -> None:
    layer = made(SHAPES[0])
    x, state = inputs(layer, 6), layer.initial_state(BATCH)
    wanted, _ = layer(x)
    with torch.no_grad(), nn.utils.parametrize.cached():
        for step in range(6):
            output, state = layer(x[step : step + 1], detach(state))
            torch.testing.assert_close(output[0], wanted[step], rtol=1e-12, atol=1e-12)


def test_refusals() -> None:
    for wrong in (
        *({"kernel_size": 0}, {"num_layers": 0}, {"dilation_base": 0}, {"dropout": 1.0}, {"hidden_size": 0}),
        {"norm": "layer"},
    ):
        with pytest.raises(
            ConfigurationError, match=r"expected sizes of at least 1, 0 ≤ dropout < 1 and norm 'weight'"
        ):
            CausalConv(**{"input_size": 3, "hidden_size": 5, **wrong})
    layer, x = CausalConv(3, 5, num_layers=1), torch.zeros(TIME, BATCH, 3)
    with pytest.raises(ShapeError, match=r"CausalConv got x \[4, 3\], expected \[time, batch, 3\]"):
        layer(x[0])
    with pytest.raises(ShapeError, match="with 2 features, expected input_size=3"):
        layer(x[..., :2])
    with pytest.raises(ConfigurationError, match="its weights are"):
        layer(x.double())
    with pytest.raises(ShapeError, match="a state of a Tensor, expected 2"):
        layer(x, torch.zeros(1, BATCH, 5))
    with pytest.raises(ShapeError, match="a state of 3 tensors, expected 2"):
        layer(x, (*layer.initial_state(BATCH), torch.zeros(1)))
    with pytest.raises(ShapeError, match=r"a state 0 \[3, 3, 2\], expected \[4, 3, 2\]"):
        layer(x, layer.initial_state(3))
    with pytest.raises(ShapeError, match="a length of 14"):
        layer(x, lengths=torch.tensor([14, 0, 0, 0]))
    with pytest.raises(ShapeError, match=r"torch\.bool"):
        layer(x, resets=torch.zeros(TIME, BATCH))
