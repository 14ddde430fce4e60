"""One step at a time equals the whole sequence."""

from __future__ import annotations

import pytest
import torch

from throughtime import GRU, LSTM, RNN
from throughtime._errors import ShapeError, UnsupportedError
from throughtime._state import leaves
from throughtime.nn.stepper import LayerStepper, PackedStepper
from throughtime.ops._library import why_missing

LAYERS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


def make(kind, backend="auto", **options):
    torch.manual_seed(0)
    return LAYERS[kind](3, 17, num_layers=2, dropout=0.5, backend=backend, **options)


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_steps_and_runs_equal_the_whole(kind, batch_first, backend):
    layer = make(kind, backend, batch_first=batch_first)
    x = torch.randn(9, 2, 3)
    stepper = layer.stepper(batch_size=2)
    stepped = [stepper.step(row).clone() for row in x[:4]]
    found = torch.cat([torch.stack(stepped), stepper.run(x[4:].transpose(0, 1).contiguous().transpose(0, 1))])
    assert layer.training, "the layer is left as it was"
    wanted, state = layer.eval()(x.transpose(0, 1) if batch_first else x)
    torch.testing.assert_close(found, wanted.transpose(0, 1) if batch_first else wanted)
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
def test_a_state_may_be_given_in_part_and_with_masks_but_not_in_other_parts(backend):
    layer = make("lstm", backend)
    stepper, x = layer.stepper(), torch.randn(5, 1, 3)
    h, c = torch.randn(2, 2, 1, 17)
    zeros = torch.zeros_like(h)
    layer.eval()
    for given, meant in (((None, c), (zeros, c)), ([h, None], (h, zeros)), ((h.double(), c), (h, c))):
        stepper.state = given
        torch.testing.assert_close(stepper.run(x), layer(x, meant)[0])
    stepper.state = {"state": (h, c), "input_mask": None, "recurrent_mask": None}
    torch.testing.assert_close(stepper.run(x), layer(x, (h, c))[0])
    before = stepper.state
    for wrong in (h, (h,), (h, c, c), (h, c[:1])):
        with pytest.raises(ShapeError, match=r"the state has shapes .* expected"):
            stepper.state = wrong
    torch.testing.assert_close(stepper.state, before, rtol=0, atol=0)


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_made_in_inference_and_used_outside_of_it(backend):
    layer, x = make("lstm", backend), torch.randn(5, 1, 3)
    wanted = layer.stepper().run(x)
    with torch.inference_mode():
        stepper = layer.stepper()
        stepper.run(x)
    stepper.reset()
    torch.testing.assert_close(torch.stack([stepper.step(row).clone() for row in x]), wanted)


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_under_another_default_dtype(backend):
    layer, x = make("gru", backend), torch.randn(5, 1, 3)
    wanted = layer.stepper().run(x)
    torch.set_default_dtype(torch.float64)
    try:
        found = layer.stepper().run(x)
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("kept", [False, True])
def test_a_gradient_that_reads_outputs_is_right_or_refused(kept, backend):
    stepper, head, x = make("gru", backend).stepper(), torch.nn.Linear(17, 1), torch.randn(4, 1, 3)
    loss = torch.zeros(())
    for row in x:
        output = stepper.step(row)
        loss = loss + head(output.clone() if kept else output).sum()
    if isinstance(stepper, PackedStepper) and not kept:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()
        return
    loss.backward()
    stepper.reset()
    torch.testing.assert_close(head.weight.grad, stepper.run(x).sum(0))


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


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_arrays_and_negated_tensors_are_taken_and_later_weights_are_not_seen(backend):
    layer = make("gru", backend).eval()
    stepper = layer.stepper()
    x = torch.randn(4, 1, 3)
    wanted = stepper.run(x).clone()
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
    for given in (x.numpy(), torch._neg_view(-x)):
        stepper.reset()
        torch.testing.assert_close(torch.stack([stepper.step(row).clone() for row in given]), wanted)
        stepper.reset()
        torch.testing.assert_close(stepper.run(given), wanted)
