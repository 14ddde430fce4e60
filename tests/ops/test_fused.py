from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from throughtime.ops import fused

NAMES = {"rnn_tanh": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@pytest.mark.parametrize("kind", NAMES)
def test_lengths_are_packed_within_and_may_be_zero(kind):
    torch.manual_seed(0)
    layer = NAMES[kind](3, 4, num_layers=2, bidirectional=True)
    x, lengths = torch.randn(6, 4, 3), torch.tensor([2, 6, 0, 4])
    h = torch.randn(4, 4, 4)
    state = (h, torch.randn(4, 4, 4)) if kind == "lstm" else h
    options = {"bias": True, "num_layers": 2, "bidirectional": True}
    output, after = fused(kind, x, state, layer._flat_weights, lengths=lengths, **options)
    kept = torch.tensor([0, 1, 3])
    packed = pack_padded_sequence(x[:, kept], lengths[kept], enforce_sorted=False)
    parts = state if kind == "lstm" else (state,)
    own = tuple(part[:, kept] for part in parts)
    wanted, last = layer(packed, own if kind == "lstm" else own[0])
    padded, _ = nn.utils.rnn.pad_packed_sequence(wanted)
    torch.testing.assert_close(output[:, kept], padded)
    assert not output[:, 2].any()
    lasts = last if kind == "lstm" else (last,)
    for found, expected, before in zip(after if kind == "lstm" else (after,), lasts, parts, strict=True):
        torch.testing.assert_close(found[:, kept], expected)
        assert torch.equal(found[:, 2], before[:, 2])
