"""Pooling over the steps so far, against the plain formula over each sequence."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from throughtime import Batch, Full, Truncated, backward
from throughtime._errors import ConfigurationError, ShapeError
from throughtime._state import leaves
from throughtime.gradients import Checkpointed
from throughtime.models import CategoricalHead, SequenceModel, negative_log_likelihood
from throughtime.nn import GRU, RunningAttention, RunningMean, Sequential
from throughtime.nn.contract import batch_axes, streams

POOLINGS = [RunningMean, RunningAttention]


def made(kind):
    torch.manual_seed(3)
    layer = kind(2).double()
    for parameter in layer.parameters():
        parameter.data.normal_(0, 2)
    return layer


def plainly(layer, x):
    """The pooled steps of one sequence [time, feature], by the formula, one softmax a step."""
    weights = torch.ones(len(x), 1, dtype=x.dtype)
    if isinstance(layer, RunningAttention):
        scores = torch.tanh(x @ layer.hidden.weight.T + layer.hidden.bias) @ layer.score.weight.T
        return torch.stack([(scores[: t + 1].softmax(0) * x[: t + 1]).sum(0) for t in range(len(x))])
    return torch.stack([(weights[: t + 1] * x[: t + 1]).mean(0) for t in range(len(x))])


@pytest.mark.parametrize("kind", POOLINGS)
@given(data=st.data())
def test_against_the_formula(kind, data):
    time, batch = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 3))
    layer, x = made(kind), 5 * torch.randn(time, batch, 2, dtype=torch.float64)
    before = 5 * torch.randn(3, batch, 2, dtype=torch.float64)
    lengths = torch.tensor(data.draw(st.lists(st.integers(0, time), min_size=batch, max_size=batch)))
    bits = data.draw(st.lists(st.booleans(), min_size=time * batch, max_size=time * batch))
    resets = torch.tensor(bits).reshape(time, batch)
    _, state = layer(before)
    output, after = layer(x, state, lengths=lengths, resets=resets)
    goes_on, _ = layer(x, after)
    for index, length in enumerate(lengths.tolist()):
        history, rows = before[:, index], []
        for step in range(length):
            own = x[step : step + 1, index]
            history = own if resets[step, index] else torch.cat([history, own])
            rows.append(plainly(layer, history)[-1])
        if rows:
            torch.testing.assert_close(output[:length, index], torch.stack(rows), rtol=1e-10, atol=1e-10)
        assert not output[length:, index].any()
        following = plainly(layer, torch.cat([history, x[:, index]]))[len(history) :]
        torch.testing.assert_close(goes_on[:, index], following, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", POOLINGS)
def test_streaming_equals_whole(kind):
    layer, x = made(kind), torch.randn(9, 2, 2, dtype=torch.float64)
    whole, last = layer(x)
    pieces, state = [], None
    for piece in x.split([1, 0, 3, 5]):
        output, state = layer(piece, state)
        pieces.append(output)
    torch.testing.assert_close(torch.cat(pieces), whole, rtol=1e-12, atol=1e-12)
    for (name, one), (other, two) in zip(leaves(state), leaves(last), strict=True):
        assert name == other
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)
    assert streams(layer)
    assert set(batch_axes(layer).values()) == {0}


def test_great_scores_do_not_overflow():
    layer = RunningAttention(1)
    layer.hidden.weight.data.fill_(1.0)
    layer.hidden.bias.data.zero_()
    layer.score.weight.data.fill_(1e4)
    x = torch.tensor([-9.0, 9.0, -9.0]).reshape(3, 1, 1)
    output, _ = layer(x, resets=torch.tensor([[False], [False], [True]]))
    assert output.flatten().tolist() == [-9.0, 9.0, -9.0]


@pytest.mark.parametrize("kind", POOLINGS)
def test_gradients_by_finite_differences(kind):
    layer = made(kind)
    resets = torch.zeros(5, 2, dtype=torch.bool)
    resets[3, 0] = True

    def run(x, *parameters):
        named = dict(zip((name for name, _ in layer.named_parameters()), parameters, strict=True))
        lengths = torch.tensor([5, 3])
        return torch.func.functional_call(layer, named, (x,), {"lengths": lengths, "resets": resets})[0]

    x = torch.randn(5, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, (x, *layer.parameters()))


@pytest.mark.parametrize("kind", POOLINGS)
def test_what_is_padded_may_be_no_number(kind):
    layer, x = made(kind), torch.randn(4, 2, 2, dtype=torch.float64)
    x[2:, 1] = torch.nan
    x.requires_grad_()
    output, after = layer(x, lengths=torch.tensor([4, 2]))
    output.sum().backward()
    assert output.isfinite().all()
    assert x.grad.isfinite().all()
    assert all(part.isfinite().all() for _, part in leaves(after))


@pytest.mark.parametrize("kind", POOLINGS)
@pytest.mark.parametrize("strategy", [Checkpointed(segment=3), Truncated(8)])
def test_strategies_that_cut_nothing_agree(kind, strategy):
    torch.manual_seed(0)
    backbone = Sequential(GRU(3, 2), made(kind).float())
    model = SequenceModel(torch.nn.Identity(), backbone, CategoricalHead(2, 3)).double()
    weights = torch.zeros(8, 2, dtype=torch.float64)
    weights[7, 0] = weights[4, 1] = 1
    targets = torch.tensor([1, 2]).expand(8, 2)
    batch = Batch(torch.randn(8, 2, 3).double(), targets, torch.tensor([8, 5]), weights=weights)
    found = []
    for one in (Full(), strategy):
        model.zero_grad()
        backward(model, batch, negative_log_likelihood, one)
        found.append([parameter.grad.clone() for parameter in model.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
        assert one.any()


def test_no_steps_return_the_state():
    for kind in POOLINGS:
        layer = made(kind)
        _, state = layer(torch.randn(3, 2, 2, dtype=torch.float64))
        output, after = layer(torch.zeros(0, 2, 2, dtype=torch.float64), state)
        assert output.shape == (0, 2, 2)
        for (_, one), (_, other) in zip(leaves(state), leaves(after), strict=True):
            assert torch.equal(one, other)


def test_refusals():
    with pytest.raises(ConfigurationError, match=r"RunningMean\(input_size=0\): expected sizes of at least 1"):
        RunningMean(0)
    with pytest.raises(ConfigurationError, match=r"hidden_size=0\): expected sizes of at least 1"):
        RunningAttention(2, hidden_size=0)
    layer, x = RunningMean(2), torch.zeros(4, 3, 2)
    with pytest.raises(ShapeError, match=r"got x \[4, 3, 1\], expected \[time, batch, 2\]"):
        layer(x[..., :1])
    with pytest.raises(ShapeError, match=r"a state sum \[4, 2\], expected \[3, 2\]"):
        layer(x, layer.initial_state(4))
    with pytest.raises(ShapeError, match="a Tensor of another layer"):
        layer(x, torch.zeros(3, 2))
    with pytest.raises(ShapeError, match="of another layer"):
        layer(x, RunningAttention(2).initial_state(3))
