"""The equations against numbers worked out by scalar arithmetic."""

from __future__ import annotations

from math import exp, tanh

import pytest
import torch

from throughtime.ops import gru_step, lstm_step, rnn_step


def sigmoid(a):
    return 1 / (1 + exp(-a))


def column(*values):
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def row(*values):
    return torch.tensor(values, dtype=torch.float64)


X, H, C = 0.7, -0.4, 0.9


def test_rnn():
    wanted = 0.5 * X + 0.1 - 0.3 * H + 0.2
    arguments = (column(X), column(H), column(0.5), column(-0.3), row(0.1), row(0.2))
    assert rnn_step(*arguments).item() == pytest.approx(tanh(wanted))
    assert rnn_step(*arguments, nonlinearity="relu").item() == pytest.approx(wanted)
    masked = rnn_step(*arguments, recurrent_mask=column(2.0)).item()
    assert masked == pytest.approx(tanh(wanted - 0.3 * H))


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru(reset_after):
    reset = sigmoid(0.5 * X + 0.1 - 0.3 * H + 0.2)
    update = sigmoid(-0.6 * X + 0.3 + 0.8 * H - 0.1)
    recurrent = reset * (1.1 * H + 0.25) if reset_after else 1.1 * reset * H + 0.25
    new = tanh(0.9 * X - 0.2 + recurrent)
    weights = (column(0.5, -0.6, 0.9), column(-0.3, 0.8, 1.1), row(0.1, 0.3, -0.2), row(0.2, -0.1, 0.25))
    found = gru_step(column(X), column(H), *weights, reset_after=reset_after)
    assert found.item() == pytest.approx((1 - update) * new + update * H)


@pytest.mark.parametrize("peephole", [False, True])
def test_lstm(peephole):
    see_input, see_forget, see_output = (0.35, -0.45, 0.55) if peephole else (0, 0, 0)
    input_ = sigmoid(0.5 * X + 0.1 - 0.3 * H + 0.2 + see_input * C)
    forget = sigmoid(-0.6 * X + 0.3 + 0.8 * H - 0.1 + see_forget * C)
    memory = forget * C + input_ * tanh(0.9 * X - 0.2 + 1.1 * H + 0.25)
    h = sigmoid(0.4 * X + 0.15 - 0.7 * H + 0.05 + see_output * memory) * tanh(memory)
    weights = (column(0.5, -0.6, 0.9, 0.4), column(-0.3, 0.8, 1.1, -0.7))
    biases = (row(0.1, 0.3, -0.2, 0.15), row(0.2, -0.1, 0.25, 0.05))
    names = ("peephole_input", "peephole_forget", "peephole_output")
    seen = dict(zip(names, map(row, (0.35, -0.45, 0.55)), strict=True)) if peephole else {}
    found, found_memory = lstm_step(column(X), (column(H), column(C)), *weights, *biases, **seen)
    assert found_memory.item() == pytest.approx(memory)
    assert found.item() == pytest.approx(h)
    projected, _ = lstm_step(column(X), (column(H), column(C)), *weights, *biases, column(3.0), **seen)
    assert projected.item() == pytest.approx(3 * h)


def norm(a, gain=1.0):
    return gain * (a - a.mean(-1, keepdim=True)) / (a.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()


def parameters(gates, size=4, inputs=3):
    rows = gates * size
    shapes = [(2, inputs), (2, size), (rows, inputs), (rows, size), (rows,), (rows,), (rows,), (rows,)]
    return [torch.randn(shape, dtype=torch.float64) for shape in shapes]


def test_normalised_rnn():
    x, h, w, u, b, c, _, _ = parameters(1)
    gain = row(1.0, 2.0, 3.0, 4.0)
    wanted = torch.tanh(norm(x @ w.T + h @ u.T, gain) + b + c)
    torch.testing.assert_close(rnn_step(x, h, w, u, b, c, gain), wanted)


def test_normalised_gru():
    x, h, w, u, b, c, gain, other = parameters(3)
    gates = norm(x @ w[:8].T, gain[:8]) + b[:8] + norm(h @ u[:8].T, other[:8]) + c[:8]
    reset, update = torch.sigmoid(gates).chunk(2, -1)
    new = torch.tanh(norm(x @ w[8:].T, gain[8:]) + b[8:] + reset * (norm(h @ u[8:].T, other[8:]) + c[8:]))
    torch.testing.assert_close(gru_step(x, h, w, u, b, c, gain, other), (1 - update) * new + update * h)
    new = torch.tanh(norm(x @ w[8:].T, gain[8:]) + b[8:] + norm((reset * h) @ u[8:].T, other[8:]) + c[8:])
    found = gru_step(x, h, w, u, b, c, gain, other, reset_after=False)
    torch.testing.assert_close(found, (1 - update) * new + update * h)


def test_normalised_lstm():
    x, h, w, u, b, c, gain, other = parameters(4)
    memory, own, shift = torch.randn(2, 4).double(), row(1.0, 2.0, 3.0, 4.0), row(0.1, 0.2, 0.3, 0.4)
    gates = norm(x @ w.T, gain) + b + norm(h @ u.T, other) + c
    input_, forget, cell, output = gates.chunk(4, -1)
    memory_after = forget.sigmoid() * memory + input_.sigmoid() * cell.tanh()
    wanted = output.sigmoid() * torch.tanh(norm(memory_after, own) + shift)
    gains = {"gain_ih": gain, "gain_hh": other, "gain_memory": own, "shift_memory": shift}
    found, found_memory = lstm_step(x, (h, memory), w, u, b, c, **gains)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(found_memory, memory_after)
