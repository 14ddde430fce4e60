"""Exact gradients from states kept here and there: the numbers, the order, the budget, the random draws."""

from __future__ import annotations

import weakref
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import KINDS, B, H, I, T, batch_of, gradients, squared_error, takes
from torch import Tensor, nn

from throughtime import Batch, Checkpointed, ConfigurationError, Full, UnsupportedError, backward
from throughtime._state import leaves
from throughtime.gradients._meter import metered
from throughtime.gradients._schedule import Advance, Reverse, forwards, schedule
from throughtime.gradients._units import bytes_of
from throughtime.nn import GRU, LSTM, RNN, Recurrent


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "strategy", [Checkpointed(), Checkpointed(1), Checkpointed(3), Checkpointed(T), Checkpointed(50)]
)
def test_equals_full(model: nn.Module, kind: str, strategy: Checkpointed) -> None:
    if not takes(model, kind):
        return
    batch = batch_of(kind)
    whole = backward(model, batch, squared_error, Full())
    wanted = gradients(model)
    done = backward(model, batch, squared_error, strategy)
    assert (done.start, done.stop, float(done.count)) == (0, T, float(whole.count))
    assert float(done.loss_sum) == pytest.approx(float(whole.loss_sum), rel=1e-12)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-14)
    for (_, found), (_, part) in zip(leaves(done.carry), leaves(whole.carry), strict=True):
        torch.testing.assert_close(found, part, rtol=1e-12, atol=1e-14)
        assert not found.requires_grad


@pytest.mark.parametrize("memory", ["3KB", "4KB", "6KB", "20KB", "1MB"])
@pytest.mark.parametrize("layer", [RNN, GRU, LSTM])
def test_equals_full_and_keeps_the_budget(layer: type[nn.Module], memory: str) -> None:
    torch.manual_seed(0)
    model = layer(I, H).double()
    batch = batch_of("plain", 100)
    carry = tuple(torch.randn(1, B, H).double() for _ in range(2 if layer is LSTM else 1))
    carry = carry if layer is LSTM else carry[0]
    backward(model, batch, squared_error, Full(), carry)
    wanted = gradients(model)
    strategy = Checkpointed(memory=memory)
    try:
        plan = strategy.plan(model, batch, squared_error, carry)
    except ConfigurationError as refusal:
        least = str(refusal).split("memory='")[-1].split("'")[0]
        strategy = Checkpointed(memory=least)
        plan = strategy.plan(model, batch, squared_error, carry)
    with metered([*model.parameters(), batch.inputs, batch.targets]) as meter:
        backward(model, batch, squared_error, strategy, carry)
    assert meter.peak <= bytes_of(strategy.memory or 0, "memory")
    assert plan.chunks <= 100
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-14)


def test_measuring_a_batch_leaves_nothing_behind() -> None:
    model = nn.Sequential(nn.Linear(I, H), nn.Tanh())  # tanh saves what it returned
    made: list[weakref.ref[Tensor]] = []

    def watched(output: Tensor, target: Tensor) -> Tensor:
        made.append(weakref.ref(output))
        return squared_error(output.tanh(), target)

    Checkpointed(memory="1MB").plan(Stateless(model), batch_of("plain"), watched)
    assert made
    assert not [left for left in made if left() is not None]


class Stateless(nn.Module):
    """A module beside a state of no size."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.double()

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.module(x), x.new_zeros(1)


@cache
def optimum(chunks: int, slots: int) -> int:
    """The paper's recurrence, C(t, m) = min over y of y + C(t − y, m − 1) + C(y, m), solved by trying all."""
    if chunks == 1:
        return 1
    if slots == 0:
        return chunks * (chunks + 1) // 2
    return min(ahead + optimum(chunks - ahead, slots - 1) + optimum(ahead, slots) for ahead in range(1, chunks))


def test_the_order_is_the_optimum_of_the_paper() -> None:
    for chunks in range(1, 60):
        for slots in range(min(chunks, 12)):
            actions = list(schedule(chunks, slots))
            run = sum(action.stop - action.start for action in actions if isinstance(action, Advance)) + chunks
            assert run == optimum(chunks, slots) == forwards(chunks, slots), (chunks, slots)
            states = {0}
            for action, following in pairwise([*actions, None]):
                if isinstance(action, Advance):
                    assert action.start in states
                    states.add(action.stop)
                    # One more than there are slots only if it is used at once.
                    assert len(states) <= slots + 1 or following == Reverse(action.stop)
                else:
                    states.remove(action.chunk)
            assert not states
            assert [action.chunk for action in actions if isinstance(action, Reverse)] == list(reversed(range(chunks)))


def test_the_order_of_ten_chunks_and_two_slots() -> None:
    """25 forwards instead of 55: states are kept before chunks 4 and 7, then, on the way back, before 5 and 1 and 2."""
    assert optimum(10, 2) == 25
    assert [tuple(action) for action in schedule(10, 2)] == [
        (0, 4), (4, 7), (7, 9), (9,), (7, 8), (8,), (7,), (4, 5), (5, 6), (6,), (5,), (4,),
        (0, 1), (1, 2), (2, 3), (3,), (2,), (1,), (0,),
    ]  # fmt: skip


class Counting(nn.Module):
    """A layer that notes the steps it is run for."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.runs = layer, []

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self.runs.append((len(x), torch.is_grad_enabled()))
        return self.layer(x, state)


def test_no_step_is_run_more_than_twice_where_all_states_are_kept() -> None:
    model = Counting(GRU(I, H).double())
    backward(model, batch_of("plain", 100), squared_error, Checkpointed(10))
    assert model.runs == [(10, False)] * 9 + [(10, True)] * 10
    model.runs.clear()
    backward(model, batch_of("plain", 400), squared_error, Checkpointed())
    assert model.runs == [(160, False)] * 2 + [(80, True)] + [(160, True)] * 2


def test_random_draws_are_the_same_again() -> None:
    """Two chunks by hand, their masks drawn in the same order, and the generator left where that leaves it."""
    model = GRU(I, H, num_layers=2, dropout=0.5).double()
    batch = batch_of("plain", 8)
    torch.manual_seed(3)
    states, total = [None], torch.zeros(()).double()
    for start in (0, 4):
        output, after = model(batch.inputs[start : start + 4], states[-1])
        total = total + squared_error(output, batch.targets[start : start + 4]).sum()
        states.append(after)
    total.backward()
    wanted, left = gradients(model), torch.get_rng_state()
    torch.manual_seed(3)
    backward(model, batch, squared_error, Checkpointed(4))
    assert torch.equal(torch.get_rng_state(), left)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-14)
    torch.manual_seed(3)
    backward(model, batch, squared_error, Checkpointed(memory="1MB"))  # measuring draws, and gives back what it drew
    whole = gradients(model)
    torch.manual_seed(3)
    backward(model, batch, squared_error, Full())
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, whole[name], rtol=1e-12, atol=1e-14)


def test_masks_of_a_sequence_stay_its_own() -> None:
    torch.manual_seed(0)
    model = GRU(I, H, variational_dropout=(0.3, 0.5)).double()
    for strategy in (Full(), Checkpointed(2)):
        torch.manual_seed(5)
        backward(model, batch_of("plain"), squared_error, strategy)
        if isinstance(strategy, Full):
            wanted = gradients(model)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-14)


def test_a_memory_map_longer_than_a_chunk_stays_on_disk(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).standard_normal((50, B, I)).astype(np.float32)
    np.save(tmp_path / "inputs.npy", numbers)
    mapped = np.load(tmp_path / "inputs.npy", mmap_mode="r")

    class Sliced:
        shape = mapped.shape
        longest = 0

        def __getitem__(self, place: slice) -> np.ndarray:
            Sliced.longest = max(Sliced.longest, place.stop - place.start)
            return mapped[place]

    model, targets = GRU(I, H), torch.randn(50, B, H)
    backward(model, Batch(Sliced(), targets), squared_error, Checkpointed(8))
    found = gradients(model)
    assert Sliced.longest == 8
    backward(model, Batch(torch.from_numpy(numbers), targets), squared_error, Full())
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-6)


class Growing(nn.Module):
    """A model that keeps all it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(I, H)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        seen = x if state is None else torch.cat([state, x])
        return self.linear(x) + self.linear(seen).mean(0), seen


def test_a_state_that_grows_is_refused() -> None:
    model = Growing().double()
    with pytest.raises(UnsupportedError, match="grows with time"):
        backward(model, batch_of("plain"), squared_error, Checkpointed(2))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_refusals() -> None:
    model, batch = GRU(I, H).double(), batch_of("plain", 100)
    with pytest.raises(ConfigurationError, match=r"cannot be met for 100 steps.*would do"):
        backward(model, batch, squared_error, Checkpointed(memory=100))
    with pytest.raises(ConfigurationError, match="not both"):
        Checkpointed(3, "1MB")
    with pytest.raises(ConfigurationError, match="at least 1"):
        Checkpointed(0)
    for memory in ("lots", "5 parsecs", 0, "-3MB"):
        with pytest.raises(ConfigurationError, match="expected bytes, or an amount in"):
            Checkpointed(memory=memory)
    with pytest.raises(UnsupportedError, match=r"use Full\(\)"):
        backward(GRU(I, H, bidirectional=True).double(), batch, squared_error, Checkpointed())


def test_learnt_initial_states_get_their_gradient() -> None:
    class Learnt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.first = nn.GRUCell(I, H), nn.Parameter(torch.randn(H))

        def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
            h = self.cell(x, h)
            return h, h

        def initial_state(self, batch_size: int) -> Tensor:
            return self.first.expand(batch_size, H)

    model = Recurrent(Learnt()).double()
    backward(model, batch_of("resets"), squared_error, Full())
    wanted = gradients(model)
    backward(model, batch_of("resets"), squared_error, Checkpointed(2))
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-14)
