"""Full and truncated gradients against what they must equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cases import KINDS, B, H, I, T, batch_of, gradients, squared_error, takes
from torch import Tensor, nn

from throughtime import (
    RTRL,
    UORO,
    Batch,
    Checkpointed,
    ConfigurationError,
    Full,
    RandomTruncation,
    ShapeError,
    SnAp1,
    Truncated,
    UnsupportedError,
    backward,
)
from throughtime._state import leaves
from throughtime._types import State
from throughtime.gradients import Strategy, strategy_named, summed_loss
from throughtime.nn import GRU, LSTM
from throughtime.training import checkpoint


@pytest.mark.parametrize("kind", KINDS)
def test_full_is_the_gradient_of_the_weighted_sum(model: nn.Module, kind: str) -> None:
    batch = batch_of(kind)
    if not takes(model, kind):
        with pytest.raises(UnsupportedError, match=r"takes no .*: throughtime's layers do"):
            backward(model, batch, squared_error)
        return
    extras = {key: getattr(batch, key) for key in ("lengths", "resets") if getattr(batch, key) is not None}
    weights = torch.ones(T, B).double() if batch.weights is None else batch.weights
    if batch.lengths is not None:
        weights = (torch.arange(T)[:, None] < batch.lengths).double()
    output, _ = model(batch.inputs, None, **extras)
    (squared_error(output, batch.targets) * weights).sum().backward()
    wanted = gradients(model)
    done = backward(model, batch, squared_error)
    assert (done.start, done.stop, float(done.count)) == (0, T, float(weights.sum()))
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k1", [1, 3, T, T + 5])
def test_truncated_equals_cutting_the_sequence_by_hand(model: nn.Module, kind: str, k1: int) -> None:
    batch = batch_of(kind)
    if not takes(model, kind):
        return
    state, total = None, 0.0
    for start in range(0, T, k1):
        done = backward(model, batch.segment(start, min(start + k1, T)), squared_error, Full(), state)
        state, total = done.carry, total + float(done.loss_sum)
    wanted = gradients(model)
    done = backward(model, batch, squared_error, Truncated(k1))
    assert float(done.loss_sum) == pytest.approx(total, rel=1e-12)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-14)


def test_truncated_over_the_whole_sequence_is_full(model: nn.Module) -> None:
    batch = batch_of("plain")
    backward(model, batch, squared_error)
    wanted = gradients(model)
    backward(model, batch, squared_error, Truncated(T))
    for name, gradient in gradients(model).items():
        assert torch.equal(gradient, wanted[name])


def test_carry_makes_batches_one_stream(model: nn.Module) -> None:
    batch = batch_of("plain")
    whole = backward(model, batch, squared_error, Truncated(2))
    wanted = gradients(model)
    carry, total = None, 0.0
    for start, stop in ((0, 4), (4, T)):
        done = backward(model, batch.segment(start, stop), squared_error, Truncated(2), carry)
        carry, total = done.carry, total + float(done.loss_sum)
    assert total == pytest.approx(float(whole.loss_sum), rel=1e-12)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-14)


def test_parameters_may_change_at_every_segment() -> None:
    model = GRU(I, H)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = model.weight_hh_l0.clone()
    for segment in Truncated(2).segments(model, Batch(torch.randn(T, B, I), torch.randn(T, B, H)), squared_error):
        optimizer.step()
        optimizer.zero_grad()
        assert not segment.loss_sum.requires_grad
    assert not torch.equal(before, model.weight_hh_l0)


@pytest.mark.parametrize("layer", [GRU(I, H, bidirectional=True), nn.GRU(I, H, batch_first=True)])
def test_what_cannot_stream_is_refused_by_truncated_alone(layer: nn.Module) -> None:
    width = H * (2 if layer.bidirectional else 1)
    batch = Batch(torch.randn(T, B, I), torch.randn(T, B, width))
    with pytest.raises(UnsupportedError, match=r"use Full\(\)"):
        backward(layer, batch, squared_error, Truncated(2))
    backward(layer, batch, squared_error, Full())
    assert layer.weight_hh_l0.grad is not None


def test_lengths_want_a_model_that_is_time_first() -> None:
    layer = GRU(I, H, batch_first=True)
    batch = Batch(torch.randn(B, B, I), torch.randn(B, B, H), lengths=torch.tensor([3, 2, 1]))
    with pytest.raises(UnsupportedError, match="lengths need a time-first model"):
        backward(layer, batch, squared_error)


def test_models_that_take_any_keyword_take_lengths() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = GRU(I, H)

        def forward(self, x: Tensor, state: Tensor | None = None, **extras: Tensor) -> tuple[Tensor, Tensor]:
            return self.layer(x, state, **extras)

    model = Wrapped().double()
    backward(model, batch_of("ragged"), squared_error)
    found = gradients(model.layer)
    backward(model.layer, batch_of("ragged"), squared_error)
    assert all(torch.equal(found[name], wanted) for name, wanted in gradients(model.layer).items())


@pytest.mark.parametrize("layer", [GRU, LSTM])
def test_a_carry_with_dropout_masks_outlives_a_checkpoint(layer: type[nn.Module], tmp_path: Path) -> None:
    def made() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = layer(I, H, num_layers=2, variational_dropout=(0.5, 0.3))
        return model, torch.optim.Adam(model.parameters(), lr=0.1)

    def train(model: nn.Module, optimizer: torch.optim.Optimizer, carry: State) -> State:
        torch.manual_seed(2)
        batch = Batch(torch.randn(T, B, I), torch.randn(T, B, H))
        for segment in Truncated(3).segments(model, batch, squared_error, carry):
            optimizer.step()
            optimizer.zero_grad()
            carry = segment.carry
        return carry

    model, optimizer = made()
    carry = train(model, optimizer, None)
    checkpoint.save(tmp_path / "kept.safetensors", model, optimizer, carry, checkpoint.Position(step=3), {})
    resumed, other = made()
    kept, *_ = checkpoint.restore(tmp_path / "kept.safetensors", resumed, other)
    assert dict(leaves(train(resumed, other, kept))).keys() == dict(leaves(train(model, optimizer, carry))).keys()
    for found, wanted in zip(resumed.parameters(), model.parameters(), strict=True):
        assert torch.equal(found, wanted)


def test_memory_maps_stay_on_disk_until_they_are_cut(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).standard_normal((T, B, I)).astype(np.float32)
    np.save(tmp_path / "inputs.npy", numbers)
    mapped = np.load(tmp_path / "inputs.npy", mmap_mode="r")
    batch = Batch(mapped, torch.zeros(T, B, H), lengths=torch.tensor([7, 3, 1])).to("meta")
    assert batch.inputs is mapped
    assert batch.targets.device.type == batch.lengths.device.type == "meta"
    assert batch.segment(0, 2).inputs.device.type == "meta"
    model = GRU(I, H)
    backward(model, Batch(mapped, torch.zeros(T, B, H)), squared_error, Truncated(3))
    found = gradients(model)
    backward(model, Batch(torch.from_numpy(numbers), torch.zeros(T, B, H)), squared_error, Truncated(3))
    assert all(torch.equal(found[name], wanted) for name, wanted in gradients(model).items())


STRATEGIES = [
    Full(),
    Truncated(2),
    Truncated(2, 4),
    Checkpointed(2),
    RandomTruncation(2, 4),
    RTRL(),
    SnAp1(),
    UORO(),
]


@pytest.mark.parametrize("later", STRATEGIES, ids=repr)
@pytest.mark.parametrize("earlier", STRATEGIES, ids=repr)
def test_a_carry_goes_into_any_other_strategy(earlier: Strategy, later: Strategy) -> None:
    torch.manual_seed(0)
    model, batch = GRU(I, H).double(), batch_of("plain")
    state = backward(model, batch.segment(0, 3), squared_error, Full()).carry
    whole = summed_loss(model, batch.segment(3, T), squared_error, state)
    carry = backward(model, batch.segment(0, 3), squared_error, earlier).carry
    done = backward(model, batch.segment(3, T), squared_error, later, carry)
    assert float(done.loss_sum) == pytest.approx(whole[0].item(), rel=1e-12)
    torch.testing.assert_close(later.unpacked(done.carry)[0], whole[2].detach(), rtol=1e-12, atol=1e-14)


def test_half_precision_counts_and_adds_in_more() -> None:
    output = torch.ones(1001, 1, 1, dtype=torch.bfloat16, requires_grad=True)

    class Same(nn.Module):
        def forward(self, x: Tensor, state: Tensor | None = None, lengths: Tensor | None = None) -> tuple:
            return output, state

    batch = Batch(torch.zeros(1001, 1, 1), torch.zeros(1001, 1, 1).bfloat16(), lengths=torch.tensor([1001]))
    done = backward(Same(), batch, squared_error)
    assert (float(done.count), float(done.loss_sum)) == (1001, 1001)


@pytest.mark.parametrize("strategy", [Full(), Truncated(2), Checkpointed(), Checkpointed(memory="1MB"), RTRL()])
def test_a_batch_without_a_step_is_refused(strategy: Full) -> None:
    with pytest.raises(ShapeError, match="without a step"):
        backward(GRU(I, H), Batch(torch.zeros(0, B, I), torch.zeros(0, B, H)), squared_error, strategy)


def test_refusals() -> None:
    model, batch = GRU(I, H), Batch(torch.randn(T, B, I), torch.randn(T, B, H))
    with pytest.raises(ShapeError, match="do not reduce it"):
        backward(model, batch, nn.functional.mse_loss)
    with pytest.raises(ConfigurationError, match="does not depend on any parameter"):
        backward(model, batch, lambda output, target: squared_error(output.detach(), target))
    with pytest.raises(ConfigurationError, match="at least 1"):
        Truncated(0)
    with pytest.raises(ConfigurationError, match="k2=0"):
        Truncated(2, 0)


def test_batches_refuse_axes_that_contradict_each_other() -> None:
    with pytest.raises(ShapeError, match=r"swapped: transpose\(0, 1\)"):
        Batch(torch.zeros(5, 2, 1), torch.zeros(2, 5))
    with pytest.raises(ShapeError, match="swapped"):
        Batch(torch.zeros(5, 2, 1), torch.zeros(5, 2), lengths=torch.ones(5, dtype=torch.long))
    with pytest.raises(ShapeError, match="resets"):
        Batch(torch.zeros(5, 2, 1), torch.zeros(5, 2), resets=torch.zeros(2, 5, dtype=torch.bool))


def test_strategies_by_name() -> None:
    named = {
        "full": Full(),
        "truncated:32": Truncated(32),
        "truncated:16,64": Truncated(16, 64),
        "checkpointed": Checkpointed(),
        "checkpointed:100": Checkpointed(segment=100),
        "checkpointed:256MB": Checkpointed(memory="256MB"),
        "artbp:32,128": RandomTruncation(32, 128),
        "rtrl": RTRL(),
        "snap1": SnAp1(),
        "uoro": UORO(),
    }
    assert {name: strategy_named(name) for name in named} == named
    wrong = ["truncated", "truncated:x", "full:3", "full:", "rtrl2", "truncated:0", "truncated:2,0", "truncated:1,2,3"]
    for name in [*wrong, "checkpointed:0", "checkpointed:much", "checkpointed:-5MB", "artbp:32", "artbp:0,5", "uoro:1"]:
        with pytest.raises(ConfigurationError):
            strategy_named(name)
