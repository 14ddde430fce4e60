"""Truncation with two numbers, against gradients cut by hand."""

from __future__ import annotations

import pytest
import torch
from cases import KINDS, MODELS, B, H, I, T, batch_of, gradients, squared_error, takes
from torch import Tensor, nn

from throughtime import Batch, Full, Truncated, backward
from throughtime._state import detach, leaves
from throughtime.gradients import Strategy, summed_loss
from throughtime.nn import GRU, Recurrent


def by_hand(model: nn.Module, batch: Batch, k1: int, k2: int) -> dict[str, Tensor]:
    """At each boundary the whole past is run anew, step by step, and the state is cut at every step up to t − k2."""
    steps = batch.inputs.shape[0]
    for stop in [*range(k1, steps, k1), steps]:
        start, state, total = (stop - 1) // k1 * k1, None, torch.zeros(()).double()
        for step in range(stop):
            state = detach(state) if step <= stop - k2 else state
            loss_sum, _, state = summed_loss(model, batch.segment(step, step + 1), squared_error, state)
            total = total + loss_sum if step >= start else total
        total.backward()
    return gradients(model)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("k1", "k2"), [(1, 3), (2, 4), (2, 3), (3, 5), (2, 100), (3, 1), (4, 2), (5, 6)])
def test_equals_a_gradient_cut_by_hand(model: nn.Module, kind: str, k1: int, k2: int) -> None:
    if not takes(model, kind):
        return
    batch = batch_of(kind)
    wanted = by_hand(model, batch, k1, k2)
    done = backward(model, batch, squared_error, Truncated(k1, k2))
    assert float(done.loss_sum) == pytest.approx(summed_loss(model, batch, squared_error, None)[0].item(), rel=1e-12)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-14)


class Linear(nn.Module):
    """h_t = w h_{t−1} + x_t."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(0.5).double())

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = self.w * h + x
        return h, h

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size, 1).double()


def scalar() -> tuple[Recurrent, Batch]:
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).double().view(4, 1, 1)
    return Recurrent(Linear()), Batch(x, torch.zeros(4, 1, 1).double())


def itself(output: Tensor, target: Tensor) -> Tensor:
    return output[..., 0]


def test_a_scalar_recurrence_term_by_term() -> None:
    """ℓ_t = h_t, k1 = 2: after step 2 the gradient of h_1 + h_2, after step 4 that of h_3 + h_4."""
    layer, batch = scalar()
    w = 0.5
    h1 = 1.0  # w · 0 + 1
    h2 = w * h1 + 2.0
    h3 = w * h2 + 3.0
    first = 0.0 + h1  # h_1 = 1 has no w in it; dh_2/dw = h_1
    for strategy, second in {
        Truncated(2): h2 + (h3 + w * h2),
        Truncated(2, 1): h2 + h3,  # h_2 is a constant for ℓ_3, h_3 for ℓ_4
        Truncated(2, 2): h2 + (h3 + w * h2),  # cut after step 2: h_2 is a constant
        Truncated(2, 3): (h2 + w * h1) + (h3 + w * (h2 + w * h1)),  # cut after step 1: h_1 is a constant
        Full(): (h2 + w * h1) + (h3 + w * (h2 + w * h1)),  # nothing is cut, and h_1 has no w in it
    }.items():
        layer.zero_grad()
        backward(layer, batch, itself, strategy)
        assert layer.cell.w.grad.item() == pytest.approx(first + second, rel=1e-15), strategy


def test_the_past_is_run_again_by_the_parameters_of_now() -> None:
    """k1 = 1, k2 = 2, and w becomes 2 after step 2: each step goes back one segment, from the state kept before it."""
    layer, batch = scalar()
    found = []
    for segment in Truncated(1, 2).segments(layer, batch, itself):
        found.append(layer.cell.w.grad.item())
        layer.zero_grad()
        if segment.stop == 2:
            layer.cell.w.data.fill_(2.0)
    h1 = 1.0
    kept = 0.5 * h1 + 2.0  # h_2, as the old w has made it: where step 4 sets out from
    w = 2.0
    h2 = w * h1 + 2.0  # anew, for step 3
    h3 = w * kept + 3.0  # anew, for step 4
    assert found == [0.0, h1, h2 + w * h1, h3 + w * kept]


@pytest.mark.parametrize("kind", ["plain", "ragged", "resets"])
@pytest.mark.parametrize(("k1", "k2", "border"), [(2, 4, 4), (2, 5, 4), (1, 4, 3), (3, 4, 6), (2, 100, 2)])
def test_a_stream_does_not_see_the_borders_of_its_batches(kind: str, k1: int, k2: int, border: int) -> None:
    torch.manual_seed(0)
    model, batch = GRU(I, H).double(), batch_of(kind)
    wanted = by_hand(model, batch, k1, k2)
    carry = None
    for piece in (batch.segment(0, border), batch.segment(border, T)):
        carry = backward(model, piece, squared_error, Truncated(k1, k2), carry).carry
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-14)


def test_a_border_off_the_beat() -> None:
    """Batches of 3 and 4 steps with k1 = 2: boundaries after steps 2, 3, 5 and 7; each reaches back 4 steps."""
    torch.manual_seed(0)
    model, batch = GRU(I, H).double(), batch_of("plain")
    for start, stop in ((0, 2), (2, 3), (3, 5), (5, 7)):
        state, total = None, torch.zeros(()).double()
        for step in range(stop):
            state = detach(state) if step <= stop - 4 else state
            loss_sum, _, state = summed_loss(model, batch.segment(step, step + 1), squared_error, state)
            total = total + loss_sum if step >= start else total
        total.backward()
    wanted = gradients(model)
    done = backward(model, batch.segment(0, 3), squared_error, Truncated(2, 4))
    backward(model, batch.segment(3, 7), squared_error, Truncated(2, 4), done.carry)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-14)


def test_what_is_carried_is_bounded_and_a_fresh_stream_begins_afresh() -> None:
    model, carry, sizes = GRU(I, H).double(), None, []
    for _ in range(6):
        carry = backward(model, batch_of("plain"), squared_error, Truncated(2, 5), carry).carry
        sizes.append(sum(part.numel() for _, part in leaves(carry)))
    assert len(set(sizes[1:])) == 1
    model.zero_grad()
    backward(model, batch_of("plain"), squared_error, Truncated(2, 5))
    fresh = gradients(model)
    backward(model, batch_of("plain"), squared_error, Truncated(2, 5), None)
    assert all(torch.equal(fresh[name], found) for name, found in gradients(model).items())


class Counting(nn.Module):
    """A layer that counts the steps it is run for."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.steps = GRU(I, H).double(), 0

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self.steps += len(x)
        return self.layer(x, state)


@pytest.mark.parametrize(
    ("k1", "k2", "wanted"), [(5, 5, 60), (5, 10, 2 * 60 - 5), (5, 12, 5 + 10 + 10 * 15), (5, 3, 60), (10, 60, 210)]
)
def test_what_it_costs(k1: int, k2: int, wanted: int) -> None:
    """At most (k1 + k2) / k1 forwards, and one where k2 = k1."""
    model = Counting()
    batch = Batch(torch.randn(60, B, I).double(), torch.randn(60, B, H).double())
    backward(model, batch, squared_error, Truncated(k1, k2))
    assert model.steps == wanted
    assert model.steps <= (60 if k2 <= k1 else 60 * (k1 + k2) / k1)


def test_the_whole_reach_is_full() -> None:
    torch.manual_seed(0)
    model, batch = MODELS["LSTM"]().double(), batch_of("last")
    backward(model, batch, squared_error, Full())
    wanted = gradients(model)
    backward(model, batch, squared_error, Truncated(1, T))
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-14)


def test_strategies_are_settings() -> None:
    assert isinstance(Truncated(2, 4), Strategy)
    assert Truncated(2, 4) == Truncated(2, 4) != Truncated(2)
