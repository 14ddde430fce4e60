"""x W' + b over many rows, for heads and projections, by the native kernels' own product."""

# Annotations are no strings here: torch reads the schemas of the custom ops from them.

from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ._autograd import captured, differentiated, tracked, transformed
from ._kernels import adjacent, require_library
from ._library import PRECISIONS, SETS, VERSION, Product, Sizes, threads, why_missing
from ._operator import define
from ._pool import POOL

_SMALL = 1 << 16
"""Below so many multiplications the crossing from Python costs more than a faster product saves."""

_FEW = 256
"""Below so many inputs a row is copied for too few multiplications: torch's product is the faster one."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What torch.nn.functional.linear computes: by the native product where that serves, by torch where not.

    Args:
        x: [..., input].
        weight: [output, input].
        bias: [output].

    Returns:
        [..., output].

    Example:
        >>> linear(torch.ones(5, 2, 3), torch.ones(4, 3), torch.ones(4)).shape
        torch.Size([5, 2, 4])
    """
    if not _served(x, weight, bias) or transformed():
        return functional.linear(x, weight, bias)
    rows = x.reshape(-1, x.shape[-1])
    if captured((rows, weight, bias)):
        y = _operator(rows, weight, bias)
    elif tracked((x, weight, bias)):
        y = _Linear.apply(_forward, rows, weight, bias)
    else:
        y = _forward(rows, weight, bias)
    return y.view(*x.shape[:-1], len(weight))


def _served(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether the kernel knows such operands, and is worth calling; what contradicts itself, torch refuses."""
    if torch.is_autocast_enabled("cpu") or why_missing() is not None:
        return False
    given = (x, weight) if bias is None else (x, weight, bias)
    if any(part.dtype != torch.float32 or part.device.type != "cpu" for part in given):
        return False
    fits = x.dim() > 0 and weight.dim() == 2 and x.shape[-1] == weight.shape[1]
    worth = fits and x.shape[-1] >= _FEW and prod(x.shape) * len(weight) >= _SMALL
    return worth and (bias is None or bias.shape == weight.shape[:1])


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, run: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return run(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        (d_y,), wanted = cotangents, list(ctx.needs_input_grad[1:])
        x, weight = ctx.saved_tensors
        if differentiated(cotangents):
            found = _gradients(x, weight, d_y)
        else:
            found = (_backward_operator if captured((x, weight, d_y)) else _backward)(x, weight, d_y, wanted)
        return None, *(gradient if want else None for gradient, want in zip(found, wanted, strict=True))


def _gradients(x: Tensor, weight: Tensor, d_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Those of x, weight and bias, differentiable themselves."""
    return d_y @ weight, d_y.mT @ x, d_y.sum(0)


def _forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    x, weight = adjacent(x.resolve_neg()), weight.resolve_neg().contiguous()
    bias = None if bias is None else bias.resolve_neg().contiguous()
    y = POOL.numbers(len(x), len(weight))
    fields = _sized(x, weight)
    scratch = POOL.take(_measured(**fields).forward_scratch)
    product = Product(
        **fields,
        x=x.data_ptr(),
        x_row=x.stride(0),
        weight=weight.data_ptr(),
        bias=None if bias is None else bias.data_ptr(),
        y=y.data_ptr(),
        y_row=y.stride(0),
        scratch=scratch.data_ptr(),
    )
    require_library().product_forward(product)
    return y


def _backward(x: Tensor, weight: Tensor, d_y: Tensor, wanted: list[bool]) -> list[Tensor | None]:
    x, weight, d_y = (part.resolve_neg() for part in (x, weight, d_y))
    x, weight, d_y = adjacent(x), weight.contiguous(), adjacent(d_y)
    shapes = (x.shape, weight.shape, weight.shape[:1])
    gradients = [POOL.numbers(*shape) if want else None for shape, want in zip(shapes, wanted, strict=True)]
    d_x, d_weight, d_bias = (None if gradient is None else gradient.data_ptr() for gradient in gradients)
    fields = _sized(x, weight)
    scratch = POOL.take(_measured(**fields).backward_scratch)
    product = Product(
        **fields,
        x=x.data_ptr(),
        x_row=x.stride(0),
        weight=weight.data_ptr(),
        d_y=d_y.data_ptr(),
        d_y_row=d_y.stride(0),
        d_x=d_x,
        d_weight=d_weight,
        d_bias=d_bias,
        scratch=scratch.data_ptr(),
    )
    require_library().product_backward(product)
    return gradients


def _sized(x: Tensor, weight: Tensor) -> dict[str, int]:
    """The first fields of `throughtime_product`: one answer for scratch and call, whatever the number of threads."""
    return {
        "version": VERSION,
        "precision": PRECISIONS["float32"],
        "set": SETS[require_library().chosen],
        "threads": threads(),
        "rows": len(x),
        "input": x.shape[1],
        "output": len(weight),
    }


@lru_cache(maxsize=1024)
def _measured(**fields: int) -> Sizes:
    return require_library().measure_product(Product(**fields))


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return _forward(x, weight, bias)


def _fake_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0])


def _differentiate(run: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if transformed():
        return functional.linear(x, weight, bias)
    return _Linear.apply(run, x, weight, bias) if tracked((x, weight, bias)) else run(x, weight, bias)


def _linear_backward(x: Tensor, weight: Tensor, d_y: Tensor, wanted: list[bool]) -> list[Tensor]:
    return [x.new_empty(0) if gradient is None else gradient for gradient in _backward(x, weight, d_y, wanted)]


def _fake_backward(x: Tensor, weight: Tensor, d_y: Tensor, wanted: list[bool]) -> list[Tensor]:
    shapes = (x.shape, weight.shape, weight.shape[:1])
    return [x.new_empty(shape if want else (0,)) for shape, want in zip(shapes, wanted, strict=True)]


def _differentiate_backward(run: Any, x: Tensor, weight: Tensor, d_y: Tensor, wanted: list[bool]) -> list[Tensor]:
    if not differentiated((d_y,)):
        return run(x, weight, d_y, wanted)
    found = _gradients(x, weight, d_y)
    return [gradient if want else x.new_empty(0) for gradient, want in zip(found, wanted, strict=True)]


_operator = define(_linear, fake=_fake_linear, rule=_differentiate)
_backward_operator = define(_linear_backward, fake=_fake_backward, rule=_differentiate_backward)
