"""All states of h_t = a_t ⊙ h_{t−1} + b_t at once, against the loop."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from throughtime.ops import linear_recurrence

STEPS = (1, 2, 3, 4, 5, 7, 8, 9, 17, 63, 64, 65)


def loop(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    states = []
    for factor, added in zip(a, b, strict=True):
        h = factor * h + added
        states.append(h)
    return torch.stack(states)


def operands(time: int, batch: int = 3, hidden: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """Some factors are exactly 0, some exactly 1."""
    torch.manual_seed(time)
    a = (torch.rand(time, batch, hidden, dtype=torch.float64) * 1.4 - 0.2).clamp(0, 1)
    b, h = torch.randn_like(a), torch.randn(batch, hidden, dtype=torch.float64)
    return a.requires_grad_(), b.requires_grad_(), h.requires_grad_()


def assert_close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("time", STEPS)
def test_states_and_gradients_are_those_of_the_loop(time: int) -> None:
    given = operands(time)
    found, wanted = linear_recurrence(*given), loop(*given)
    assert_close(found, wanted)
    cotangent = torch.randn_like(wanted)
    pairs = (torch.autograd.grad(states, given, cotangent) for states in (found, wanted))
    for own, expected in zip(*pairs, strict=True):
        assert_close(own, expected)


@pytest.mark.parametrize("time", [1, 2, 5, 8])
def test_derivatives_of_every_kind_and_order(time: int) -> None:
    given = operands(time, 1, 2)
    whole = {"check_batched_grad": True, "check_forward_ad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(linear_recurrence, given, **whole)
    assert torch.autograd.gradgradcheck(linear_recurrence, given, check_fwd_over_rev=True)
    found, wanted = (
        torch.func.hessian(lambda *parts, run=run: run(*parts).pow(3).sum(), (0, 1, 2))(*given)
        for run in (linear_recurrence, loop)
    )
    for row, expected_row in zip(found, wanted, strict=True):
        for own, expected in zip(row, expected_row, strict=True):
            assert_close(own, expected)


@pytest.mark.parametrize("in_dims", [(0, 0, 0), (2, None, None), (None, 3, None), (None, None, 1), (1, 0, 2)])
def test_many_recurrences_under_vmap(in_dims: tuple[int | None, ...]) -> None:
    given = [part.detach() for part in operands(6)]
    many = [
        part if dim is None else torch.stack([part * factor for factor in (1.0, 0.5, 0.25, 0.0)], dim)
        for part, dim in zip(given, in_dims, strict=True)
    ]
    found = torch.vmap(linear_recurrence, in_dims)(*many)
    for index in range(4):
        own = [part if dim is None else part.select(dim, index) for part, dim in zip(many, in_dims, strict=True)]
        assert_close(found[index], loop(*own))


@pytest.mark.parametrize("time", STEPS[1:])
def test_a_zero_forgets_exactly(time: int) -> None:
    a, b, h = (part.detach() for part in operands(time))
    for start in range(time):
        factors = a.clone()
        factors[start] = 0
        others = b.clone()
        others[:start] *= 1e300
        found, wanted = (linear_recurrence(factors, added, h) for added in (others, b))
        assert torch.equal(found[start:], wanted[start:])
        assert torch.equal(found[start], b[start])


@pytest.mark.parametrize("time", STEPS[1:])
def test_no_gradient_crosses_a_zero(time: int) -> None:
    a, b, h = operands(time)
    start = time // 2
    factors = a.detach().clone()
    factors[start] = 0
    found = torch.autograd.grad(linear_recurrence(factors, b, h)[start:].sum(), (b, h))
    assert not found[0][:start].any()
    assert not found[1].any()


def test_long_products_neither_vanish_wrongly_nor_overflow() -> None:
    time = 5000
    for factor in (1.0, 0.999, 0.5, 1e-200, 0.0):
        a = torch.full((time, 1, 1), factor, dtype=torch.float64)
        found = linear_recurrence(a, torch.ones_like(a), torch.full((1, 1), 2.0).double()).flatten()
        steps = torch.arange(1, time + 1, dtype=torch.float64)
        power = factor**steps
        wanted = 2 + steps if factor == 1 else 2 * power + (1 - power) / (1 - factor)
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)


def test_no_steps() -> None:
    given = operands(0)
    found = linear_recurrence(*given)
    assert found.shape == (0, 3, 5)
    assert not torch.autograd.grad(found.sum(), given)[2].any()


def test_operands_are_left_as_they_were() -> None:
    given = [part.detach() for part in operands(9)]
    before = [part.clone() for part in given]
    linear_recurrence(*given)
    assert all(torch.equal(part, copy) for part, copy in zip(given, before, strict=True))


def test_factors_and_states_are_all_that_is_kept() -> None:
    kept: list[Tensor] = []

    def keep(part: Tensor) -> Tensor:
        kept.append(part)
        return part

    given = operands(64)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda part: part):
        states = linear_recurrence(*given)
    assert sum(part.numel() for part in kept) == given[0].numel() + states.numel() + given[2].numel()


class Counter(TorchDispatchMode):
    """Operations that compute, and the numbers that come out of them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function.overloadpacket.__name__ in ("addcmul", "addcmul_", "mul"):
            self.calls += 1
            self.numbers += result.numel()
        return result


@pytest.mark.parametrize("time", [64, 1000, 1024])
def test_few_operations_of_little_work(time: int) -> None:
    given = [part.detach() for part in operands(time, 1, 1)]
    with Counter() as counter:
        linear_recurrence(*given)
    assert counter.calls <= 3 * time.bit_length()
    assert counter.numbers <= 3 * time
