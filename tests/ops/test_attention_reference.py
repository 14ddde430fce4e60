"""The equation of attention against sums written out."""

from __future__ import annotations

from math import exp, sqrt

import pytest
import torch

from throughtime.ops import attention, attention_weights


def slowly(query, key, value, mask):
    """One query after the other, on lists."""
    rows = []
    for q, allowed in zip(query.tolist(), mask.tolist(), strict=True):
        scores = [exp(sum(a * b for a, b in zip(q, k, strict=True)) / sqrt(len(q))) for k in key.tolist()]
        scores = [score if seen else 0.0 for score, seen in zip(scores, allowed, strict=True)]
        total = sum(scores) or 1.0
        rows.append([sum(s * v[i] for s, v in zip(scores, value.tolist(), strict=True)) / total for i in range(4)])
    return torch.tensor(rows, dtype=torch.float64)


def operands(queries=5, keys=7):
    torch.manual_seed(0)
    return [torch.randn(2, n, d, dtype=torch.float64) for n, d in ((queries, 3), (keys, 3), (keys, 4))]


def test_against_sums_on_lists():
    query, key, value = operands()
    mask = torch.rand(2, 5, 7) < 0.5
    mask[0, 2] = False
    for given in (None, mask):
        found = attention(query, key, value, given)
        shown = torch.ones(2, 5, 7, dtype=torch.bool) if given is None else given
        for index in range(2):
            torch.testing.assert_close(found[index], slowly(query[index], key[index], value[index], shown[index]))


def test_a_query_that_sees_nothing_gets_zeros_and_sends_none_back():
    parts = [part.requires_grad_() for part in operands()]
    mask = torch.ones(2, 5, 7, dtype=torch.bool)
    mask[1] = False
    output = attention(*parts, mask)
    assert not output[1].any()
    for gradient in torch.autograd.grad(output.square().sum(), parts):
        assert gradient.isfinite().all()
        assert gradient[0].any()
        assert not gradient[1].any()


def test_weights_are_shares():
    query, key, _ = operands()
    mask = torch.tensor([True, False, True, True, False, True, True])
    weights = attention_weights(query, key, mask)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5, dtype=torch.float64))
    assert not weights[..., ~mask].any()
    assert attention_weights(query[:, :0], key).shape == (2, 0, 7)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_against_finite_differences(masked):
    parts = [part.requires_grad_() for part in operands(2, 3)]
    mask = torch.tensor([[True, False, True], [False, False, False]]) if masked else None
    assert torch.autograd.gradcheck(lambda *given: attention(*given, mask), parts)
