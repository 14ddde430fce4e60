"""Layers on the kernels, where they meet the rest of torch: autocast, dtypes, transforms, dropout, frozen weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from throughtime import nn as ours
from throughtime.ops._library import sets, why_missing

pytestmark = pytest.mark.skipif(why_missing() is not None, reason=str(why_missing()))
LAYERS = ["RNN", "GRU", "LSTM"]
bfloat16 = pytest.mark.skipif("avx512_bf16" not in sets(), reason="this machine has no avx512_bf16")


def pair(name, *sizes, **settings):
    theirs, mine = getattr(nn, name)(*sizes, **settings), getattr(ours, name)(*sizes, **settings)
    mine.load_state_dict(theirs.state_dict())
    return theirs, mine


def parts(results):
    output, state = results
    return [output, *(state if isinstance(state, tuple) else (state,))]


@pytest.mark.parametrize("name", LAYERS)
def test_auto_takes_the_kernels(name):
    layer = getattr(ours, name)(3, 5)
    for marks in ({}, {"lengths": True}, {"resets": True}):
        assert layer.choice(torch.zeros(2, 2, 3), **marks).backend == "native"
    assert layer.choice(torch.zeros(2, 2, 3, dtype=torch.float64)).backend == "torch"
    assert layer.choice(torch.zeros(2, 2, 3, device="meta")).backend == "torch"
    assert layer(torch.ones(2, 2, 3))[0].grad_fn.name() == "_RecurrenceBackward"


@pytest.mark.parametrize("name", LAYERS)
def test_dropout_between_layers_draws_as_torch_does(name):
    theirs, mine = pair(name, 3, 5, num_layers=3, dropout=0.4)
    x, results = torch.randn(7, 4, 3), []
    for layer in (theirs, mine):
        torch.manual_seed(3)
        results.append(layer(x)[0])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("name", LAYERS)
def test_one_sequence_and_batch_first(name):
    theirs, mine = pair(name, 3, 5, num_layers=2, bidirectional=True, batch_first=True)
    for x in (torch.randn(6, 3), torch.randn(4, 6, 3)):
        torch.testing.assert_close(parts(mine(x)), parts(theirs(x)))


@bfloat16
@pytest.mark.parametrize("given", [False, True], ids=["no state", "state"])
@pytest.mark.parametrize("name", LAYERS)
def test_autocast_gives_the_dtypes_that_torch_gives(name, given):
    theirs, mine = pair(name, 16, 32, num_layers=2)
    x = torch.randn(9, 4, 16, requires_grad=True)
    h = torch.randn(2, 4, 32)
    state = ((h, torch.randn(2, 4, 32)) if name == "LSTM" else h) if given else None
    exact = parts(mine(x, state))
    with torch.autocast("cpu", torch.bfloat16):
        assert mine.choice(x).backend == "native"
        found, wanted = parts(mine(x, state)), parts(theirs(x, state))
    assert [part.dtype for part in found] == [part.dtype for part in wanted]
    for own, peer, truth in zip(found, wanted, exact, strict=True):
        assert (own - truth).norm() <= 2 * (peer - truth).norm() + 1e-3 * truth.norm()
    assert not torch.equal(found[0].float(), exact[0])  # its products are in bfloat16 indeed
    found[0].float().sum().backward()
    assert x.grad.dtype == mine.weight_hh_l0.grad.dtype == torch.float32


@bfloat16
@pytest.mark.parametrize("name", LAYERS)
def test_bfloat16_layers(name):
    theirs, mine = pair(name, 16, 32, dtype=torch.bfloat16)
    x = torch.randn(9, 4, 16, dtype=torch.bfloat16)
    found, wanted = parts(mine(x)), parts(theirs(x))
    assert [part.dtype for part in found] == [part.dtype for part in wanted]
    for own, peer in zip(found, wanted, strict=True):
        torch.testing.assert_close(own, peer, rtol=0.05, atol=0.05)
    found[0].sum().backward()
    assert all(weight.grad.dtype == torch.bfloat16 for weight in mine.parameters())


@pytest.mark.parametrize("name", LAYERS)
def test_autocast_in_float16_is_torchs(name):
    layer = getattr(ours, name)(3, 5)
    with torch.autocast("cpu", torch.float16):
        choice = layer.choice(torch.zeros(2, 2, 3))
    assert (choice.backend, choice.reason) == ("torch", "the kernels compute in float32, not in torch.float16")


@pytest.mark.parametrize("name", LAYERS)
def test_functional_gradients_and_mapping(name):
    mine = getattr(ours, name)(3, 5, num_layers=2, bidirectional=True)
    other = getattr(ours, name)(3, 5, num_layers=2, bidirectional=True, backend="reference")
    weights, x = {key: value.detach() for key, value in mine.named_parameters()}, torch.randn(6, 4, 3)

    def loss(layer):
        return lambda weights: torch.func.functional_call(layer, weights, (x,))[0].sin().sum()

    torch.testing.assert_close(torch.func.grad(loss(mine))(weights), torch.func.grad(loss(other))(weights))
    other.load_state_dict(weights)
    each = torch.func.vmap(lambda one: mine(one.unsqueeze(1))[0].squeeze(1), in_dims=1, out_dims=1)(x)
    torch.testing.assert_close(each, other(x)[0])


@pytest.mark.parametrize("name", LAYERS)
def test_frozen_weights_get_no_gradient(name):
    theirs, mine = pair(name, 3, 5)
    x = torch.randn(6, 4, 3)
    for layer in (theirs, mine):
        layer.weight_ih_l0.requires_grad_(False)
        layer(x)[0].sin().sum().backward()
    assert mine.weight_ih_l0.grad is None
    torch.testing.assert_close(mine.weight_hh_l0.grad, theirs.weight_hh_l0.grad)


def test_checkpointing_recomputes_what_was_saved():
    _, mine = pair("GRU", 3, 40)
    x = torch.randn(30, 50, 3, requires_grad=True)
    (wanted,) = torch.autograd.grad(mine(x)[0].sin().sum(), x)
    output, _ = torch.utils.checkpoint.checkpoint(mine, x, use_reentrant=False)
    assert torch.equal(torch.autograd.grad(output.sin().sum(), x)[0], wanted)


def test_fake_tensors_know_their_shapes():
    from torch._subclasses import FakeTensorMode

    layer = ours.LSTM(3, 5, bidirectional=True)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        output, (h, c) = layer(mode.from_tensor(torch.zeros(6, 4, 3)))
    assert (output.shape, h.shape, c.shape) == ((6, 4, 10), (2, 4, 5), (2, 4, 5))
