"""One step at a time equals the whole sequence."""

from __future__ import annotations

import pytest
import torch

from throughtime import GRU, LSTM, RNN
from throughtime._errors import ShapeError, UnsupportedError
from throughtime._state import leaves
from throughtime.nn.stepper import LayerStepper
from throughtime.ops._library import why_missing

LAYERS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


def make(kind, backend="auto", **options):
    torch.manual_seed(0)
    return LAYERS[kind](3, 17, num_layers=2, dropout=0.5, backend=backend, **options)


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("kind", LAYERS)
def test_steps_and_runs_equal_the_whole(kind, backend):
    layer = make(kind, backend)
    x = torch.randn(9, 2, 3)
    stepper = layer.stepper(batch_size=2)
    stepped = [stepper.step(row).clone() for row in x[:4]]
    found = torch.cat([torch.stack(stepped), stepper.run(x[4:].transpose(0, 1).contiguous().transpose(0, 1))])
    assert layer.training, "the layer is left as it was"
    wanted, state = layer.eval()(x)
    torch.testing.assert_close(found, wanted)
    for (_, part), (_, other) in zip(leaves(stepper.state), leaves(state), strict=True):
        torch.testing.assert_close(part, other)


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("kind", LAYERS)
def test_the_state_is_taken_given_and_begun_anew(kind, backend):
    layer = make(kind, backend).eval()
    x = torch.randn(5, 1, 3)
    stepper = layer.stepper()
    first = stepper.run(x)
    assert not first.requires_grad
    middle = stepper.state
    later = stepper.run(x)
    stepper.state = middle
    torch.testing.assert_close(stepper.run(x), later, rtol=0, atol=0)
    stepper.reset()
    torch.testing.assert_close(stepper.run(x), first, rtol=0, atol=0)
    with pytest.raises(ShapeError, match=r"the state has shapes .* expected"):
        stepper.state = torch.zeros(1, 1, 1)


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_any_strides_and_dtypes_of_x_are_taken_and_other_shapes_refused(backend):
    stepper = make("gru", backend).stepper()
    x = torch.randn(3, 1)
    wanted = stepper.step(x.T.contiguous()).clone()
    stepper.reset()
    torch.testing.assert_close(stepper.step(x.T), wanted, rtol=0, atol=0)
    if backend == "auto" and why_missing() is None:
        stepper.reset()
        torch.testing.assert_close(stepper.step(x.T.double()), wanted, rtol=0, atol=0)
    for shape in ((3,), (1, 4), (2, 3), (1, 1, 3)):
        with pytest.raises(ShapeError, match=r"step got .* expected \[1, 3\]"):
            stepper.step(torch.zeros(shape))
    with pytest.raises(ShapeError, match=r"run got \[1, 3\], expected \[time, 1, 3\]"):
        stepper.run(torch.zeros(1, 3))


def test_what_has_no_step_is_refused_and_what_has_no_kernel_goes_by_the_layer():
    with pytest.raises(UnsupportedError, match="bidirectional"):
        GRU(3, 4, bidirectional=True).stepper()
    with pytest.raises(ShapeError, match="batch_size=0"):
        GRU(3, 4).stepper(0)
    projected = LSTM(3, 4, proj_size=2, backend="reference")
    stepper = projected.stepper()
    assert isinstance(stepper, LayerStepper)
    x = torch.randn(4, 1, 3)
    torch.testing.assert_close(torch.stack([stepper.step(row) for row in x]), projected(x)[0])
