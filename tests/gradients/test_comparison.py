"""Strategies beside each other."""

from __future__ import annotations

import json

import pytest
import torch
from cases import B, H, I, T, batch_of, squared_error

from throughtime import RTRL, UORO, Batch, Checkpointed, Full, SnAp1, Truncated, backward, compare_gradients
from throughtime.gradients import smallest_truncation
from throughtime.nn import GRU


def test_bias_cosine_and_memory() -> None:
    torch.manual_seed(0)
    model, batch = GRU(I, H).double(), batch_of("plain", 200)
    backward(model, batch, squared_error, Truncated(20))
    cut = torch.cat([p.grad.flatten() for p in model.parameters()])
    model.zero_grad()
    backward(model, batch, squared_error, Full())
    whole = torch.cat([p.grad.flatten() for p in model.parameters()])
    before = [p.grad for p in model.parameters()]
    random = torch.get_rng_state()
    found = compare_gradients(model, batch, squared_error, [Full(), Truncated(20), Checkpointed(15), RTRL(limit="1KB")])
    assert torch.equal(torch.get_rng_state(), random)
    assert all(p.grad is own for p, own in zip(model.parameters(), before, strict=True))
    full, truncated, checkpointed, refused = found.rows
    assert full.bias == 0
    assert truncated.bias == pytest.approx(((cut - whole).norm() / whole.norm()).item(), rel=1e-9)
    assert truncated.cosine == pytest.approx((cut @ whole / cut.norm() / whole.norm()).item(), rel=1e-9)
    assert checkpointed.bias < 1e-12
    assert truncated.memory < full.memory / 5
    assert checkpointed.memory < full.memory / 3
    assert "SnAp1" in refused.refused
    assert refused.bias is None
    assert found.table().row_count == 4
    assert json.loads(json.dumps(found.to_dict()))["rows"][1]["strategy"] == "Truncated(k1=20, k2=None)"


def test_gradients_forward_in_time_are_compared_too() -> None:
    torch.manual_seed(0)
    found = compare_gradients(GRU(I, H).double(), batch_of("plain"), squared_error, [RTRL(), SnAp1(), UORO()])
    rtrl, snap, uoro = found.rows
    assert rtrl.bias < 1e-10 < snap.bias
    assert all(row.refused is None and row.memory > 0 for row in (rtrl, snap, uoro))


def test_the_smallest_truncation_is_enough_and_one_less_is_not() -> None:
    torch.manual_seed(0)
    model, batch = GRU(I, H).double(), batch_of("plain", 64)
    k = smallest_truncation(model, batch, squared_error, tolerance=0.05)
    assert k is not None
    less, enough = compare_gradients(model, batch, squared_error, [Truncated(k - 1), Truncated(k)]).rows
    assert enough.bias <= 0.05 < less.bias
    assert (
        smallest_truncation(
            model, Batch(torch.randn(T, B, I).double(), torch.randn(T, B, H).double()), squared_error, 1e-15
        )
        is None
    )
