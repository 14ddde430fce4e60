from __future__ import annotations

import sys

import pytest
import torch
from torch.nn import functional

from throughtime.ops import linear
from throughtime.ops._pool import POOL

MODULE = sys.modules["throughtime.ops.linear"]  # the name in `ops` is the function's
FEW = MODULE._FEW
SIZES = [((1, 1), 1), ((7, 40, 33), 65), ((1000, 3), 100), ((5, 300), 301), ((65536, 1), 1)]


@pytest.fixture(autouse=True)
def _few_inputs_too(monkeypatch):
    """So that small products, which the tests can afford, are native ones."""
    monkeypatch.setattr(MODULE, "_FEW", 1)


@pytest.fixture
def native_calls(kernels, monkeypatch):
    """How many products ran natively."""
    calls, run = [], MODULE._forward
    monkeypatch.setattr(MODULE, "_forward", lambda *given: calls.append(1) or run(*given))
    return calls


def operands(shape, outputs, dtype=torch.float32, bias=True):
    torch.manual_seed(0)
    given = [torch.randn(shape), torch.randn(outputs, shape[-1]), *([torch.randn(outputs)] if bias else [])]
    return [part.to(dtype).requires_grad_() for part in given]


def everything(function, given):
    result = function(*given)
    cotangent = torch.randn(result.shape, generator=torch.Generator().manual_seed(1)).to(result.dtype)
    return [result.detach(), *torch.autograd.grad(result, given, cotangent)]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("shape", "outputs"), SIZES, ids=str)
def test_values_and_gradients(shape, outputs, bias, native_calls):
    given = operands(shape, outputs, bias=bias)
    found, peers = everything(linear, given), everything(functional.linear, given)
    truths = everything(functional.linear, [part.detach().double().requires_grad_() for part in given])
    for own, peer, truth in zip(found, peers, truths, strict=True):
        rounding = torch.finfo(torch.float32).eps * truth.abs().max()
        rows = own.new_tensor(shape[:-1]).prod().sqrt()
        assert (own - truth).abs().max() <= 2 * (peer - truth).abs().max() + 4 * rounding * rows.clamp(min=1)
    assert bool(native_calls) == (torch.Size(shape).numel() * outputs >= 1 << 16)


def test_few_inputs_are_left_to_torch(native_calls, monkeypatch):
    monkeypatch.setattr(MODULE, "_FEW", FEW)
    for inputs, native in ((128, 0), (255, 0), (256, 1), (300, 2)):
        linear(torch.ones(1000, inputs), torch.ones(65, inputs))
        assert len(native_calls) == native, inputs


def test_any_strides(native_calls):
    x, weight, bias = (part.detach() for part in operands((40, 50, 33), 65))
    wanted = linear(x, weight, bias)
    turned = x.transpose(0, 1).contiguous().transpose(0, 1)
    assert torch.equal(linear(turned, weight, bias), wanted)
    assert torch.equal(
        linear(x.mT.contiguous().mT, weight.T.contiguous().T, torch.stack([bias, bias], 1)[:, 0]), wanted
    )
    assert torch.equal(linear(torch.cat([x, x], -1)[..., :33], weight, bias), wanted)
    assert len(native_calls) == 4


def test_numbers_that_stand_for_their_negatives(native_calls):
    given = operands((40, 50, 33), 65)
    wanted = everything(linear, given)
    negated = [torch._neg_view(-part.detach()).requires_grad_() for part in given]
    cotangent = torch._neg_view(-torch.randn(40, 50, 65, generator=torch.Generator().manual_seed(1)))
    result = linear(*negated)
    assert all(map(torch.equal, [result, *torch.autograd.grad(result, negated, cotangent)], wanted))
    assert len(native_calls) == 2


def test_scratch_is_written_before_it_is_read(kernels, monkeypatch):
    given = operands((40, 50, 33), 65)
    wanted = everything(linear, given)
    take = POOL.take
    monkeypatch.setattr(POOL, "take", lambda size: take(size).fill_(255))  # NaN in any float
    assert all(map(torch.equal, everything(linear, given), wanted))


@pytest.mark.usefixtures("kernels")
def test_a_bias_may_change_before_the_backward():
    x, weight, bias = operands((40, 50, 33), 65)
    result = linear(x, weight, bias)
    with torch.no_grad():
        bias.add_(1)
    result.sum().backward()
    assert torch.equal(bias.grad, torch.full((65,), 2000.0))


@pytest.mark.usefixtures("kernels")
def test_the_number_of_threads_is_asked_once(monkeypatch):
    """A number that grew between measuring and running would be an overflow."""
    given, asked = operands((40, 50, 33), 65), []
    monkeypatch.setattr(MODULE, "threads", lambda: asked.append(1) or 1)
    result = linear(*given)
    assert len(asked) == 1
    result.sum().backward()
    assert len(asked) == 2


def test_only_what_is_needed(native_calls):
    x, weight, bias = operands((40, 50, 33), 65)
    wanted = everything(linear, [x, weight, bias])
    cotangent = torch.randn(40, 50, 65, generator=torch.Generator().manual_seed(1))
    for place, given in enumerate((x, weight, bias)):
        alone = [part.detach() for part in (x, weight, bias)]
        alone[place] = given
        assert torch.equal(torch.autograd.grad(linear(*alone), given, cotangent)[0], wanted[1 + place])


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch itself, at its first jvp
def test_transforms_and_double_backward_are_torchs(kernels):
    given = operands((10, 20, 33), 65)

    def twice(function):
        first = torch.autograd.grad(function(*given).sin().sum(), given, create_graph=True)
        return [*first, *torch.autograd.grad(sum(part.square().sum() for part in first), given)]

    torch.testing.assert_close(twice(linear), twice(functional.linear), rtol=1e-3, atol=1e-3)
    plain = [part.detach() for part in given]
    for transform in (
        lambda f: torch.func.grad(lambda *g: f(*g).sin().sum(), (0, 1, 2))(*plain),
        lambda f: torch.func.vmap(f, (0, None, None))(*plain),
        lambda f: torch.func.jvp(f, tuple(plain), tuple(plain)),
    ):
        torch.testing.assert_close(transform(linear), transform(functional.linear), rtol=1e-4, atol=1e-4)


def test_what_the_kernels_do_not_serve_is_torchs(native_calls):
    x, weight, bias = operands((40, 50, 33), 65, torch.float64)
    assert torch.equal(linear(x, weight, bias), functional.linear(x, weight, bias))
    x, weight, bias = operands((40, 50, 33), 65)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, weight, bias).dtype == torch.bfloat16
    assert linear(torch.zeros(0, 33), weight, bias).shape == (0, 65)
    assert not native_calls
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        linear(x, weight[:, :5], bias)
    with pytest.raises(RuntimeError):
        linear(x, weight.double(), bias)


def test_the_custom_op_is_sound(kernels):
    torch.library.opcheck(torch.ops.throughtime.linear.default, tuple(operands((100, 33), 65)))
    torch.library.opcheck(torch.ops.throughtime.linear.default, (*operands((100, 33), 65, bias=False), None))
