from __future__ import annotations

import numpy as np
import pytest
import torch

from throughtime import ConfigurationError
from throughtime.data import Repeated, Streams, Windows, shifted

TOKENS = shifted(np.arange(40))


def test_an_epoch_is_several_of_the_other() -> None:
    windows = Windows([TOKENS], lookback=4, horizon=2, batch_size=8, seed=3)
    source = Repeated(windows, 3)
    drawn = [batch.targets for batch in source.batches(2)]
    wanted = [batch.targets for epoch in (6, 7, 8) for batch in windows.batches(epoch)]
    assert len(drawn) == len(source) == 3 * len(windows)
    assert all(torch.equal(a, b) for a, b in zip(drawn, wanted, strict=True))


@pytest.mark.parametrize("start", [0, 1, 4, 5, 9])
def test_a_position_is_returned_to(start: int) -> None:
    source = Repeated(Windows([TOKENS], lookback=4, horizon=2, batch_size=8, seed=3), 2)
    whole = list(source.batches(1))[start:]
    again = list(source.batches(1, start))
    assert len(whole) == len(again)
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(whole, again, strict=True))


def test_each_pass_starts_afresh() -> None:
    source = Repeated(Streams(TOKENS, batch_size=2, steps=5), 2)
    half = len(source) // 2
    assert [source.continues(index) for index in range(len(source))] == ([False] + [True] * (half - 1)) * 2


def test_refusal() -> None:
    with pytest.raises(ConfigurationError, match="times=0"):
        Repeated(Streams(TOKENS, batch_size=2, steps=5), 0)


def test_streams_begin_afresh_when_told() -> None:
    streams = Streams(TOKENS, batch_size=2, steps=5, restart=2)
    assert [streams.continues(index) for index in range(len(streams))] == [False, True, False, True]
    whole = Streams(TOKENS, batch_size=2, steps=5)
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(streams.batches(0), whole.batches(0), strict=True))
