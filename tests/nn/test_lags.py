from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from throughtime._errors import ConfigurationError, ShapeError
from throughtime.nn import Lags


def slowly(layer, column, history, started, resets):
    """One sequence of `Lags`, step by step on lists: the rows, and the history after them."""
    past, rows = list(history) if started else [], []
    for step, x in enumerate(column.tolist()):
        if resets is not None and resets[step]:
            past = []
        now = x[: layer.features]
        past = past or [now] * layer.max_lag
        timeline = [*past, now]
        row = []
        for lag in layer.lags:
            value = timeline[-1 - lag]
            row += [v - c for v, c in zip(value, now, strict=True)] if layer.relative else value
        rows.append(row + x[layer.features :])
        past = timeline[len(timeline) - layer.max_lag :]
    return rows, past


@given(data=st.data())
def test_against_lists(data):
    time, batch = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 3))
    lags = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True).filter(any))
    layer = Lags(2, lags, relative=data.draw(st.booleans()))
    lengths = torch.tensor(data.draw(st.lists(st.integers(0, time), min_size=batch, max_size=batch)))
    bits = data.draw(st.lists(st.booleans(), min_size=time * batch, max_size=time * batch))
    resets = torch.tensor(bits).reshape(time, batch)
    x, before = torch.randn(time, batch, 3), torch.randn(batch, layer.max_lag, 2)
    started = torch.tensor(data.draw(st.lists(st.booleans(), min_size=batch, max_size=batch)))
    output, state = layer(x, {"history": before, "started": started}, lengths=lengths, resets=resets)
    assert output.shape == (time, batch, layer.output_size(3))
    for index, length in enumerate(lengths.tolist()):
        rows, past = slowly(layer, x[:length, index], before[index].tolist(), started[index], resets[:, index])
        if length:
            torch.testing.assert_close(output[:length, index], torch.tensor(rows))
            torch.testing.assert_close(state["history"][index], torch.tensor(past))
        else:
            assert torch.equal(state["history"][index], before[index])
        assert not output[length:, index].any()
        assert state["started"][index] == bool(started[index] or length)


def test_streaming_equals_whole():
    layer, x = Lags(1, (1, 3), relative=True), torch.randn(9, 2, 2)
    whole, last = layer(x)
    pieces, state = [], None
    for piece in x.split([1, 0, 3, 5]):
        output, state = layer(piece, state)
        pieces.append(output)
    assert torch.equal(torch.cat(pieces), whole)
    assert torch.equal(state["history"], last["history"])


def test_the_first_value_stands_in_for_what_is_missing():
    output, _ = Lags(1, (1, 2), relative=True)(torch.tensor([5.0, 7.0]).reshape(2, 1, 1))
    assert output[:, 0].tolist() == [[0.0, 0.0], [-2.0, -2.0]]


def test_the_current_value_alone_needs_no_history():
    layer = Lags(1, (0,))
    x = torch.randn(3, 2, 2)
    output, state = layer(x)
    assert torch.equal(output, x)
    assert state["history"].shape == (2, 0, 1)


def test_refusals():
    with pytest.raises(ConfigurationError, match="lags ≥ 0"):
        Lags(1, (-1, 2))
    with pytest.raises(ConfigurationError, match="the difference at lag 0 is always 0"):
        Lags(1, (0,), relative=True)
    layer, x = Lags(2, (1, 2)), torch.zeros(4, 3, 2)
    with pytest.raises(ShapeError, match="2 or more features"):
        layer(x[..., :1])
    with pytest.raises(ShapeError, match=r"a history \[4, 2, 2\], expected \[3, 2, 2\]"):
        layer(x, layer.initial_state(4))
    with pytest.raises(ShapeError, match="a Tensor of another layer"):
        layer(x, torch.zeros(1, 3, 2))
