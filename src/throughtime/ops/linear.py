"""x W' + b over many rows, for heads and projections, by the native kernels' own product."""

# Annotations are no strings here: torch reads the schemas of the custom ops from them.

from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ._autograd import captured, differentiated, transformed
from ._kernels import require_library
from ._library import PRECISIONS, SETS, VERSION, Product, threads, why_missing
from ._pool import POOL

_SMALL = 1 << 16
"""Below so many multiplications the crossing from Python costs more than a faster product saves."""


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
        y = _product(rows, weight, bias)
    elif torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias)):
        y = _Linear.apply(rows, weight, bias)
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
    return fits and (bias is None or bias.shape == weight.shape[:1]) and prod(x.shape) * len(weight) >= _SMALL


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        return _forward(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        (d_y,) = cotangents
        x, weight, _ = ctx.saved_tensors
        if differentiated(cotangents):
            rows = (d_y @ weight, d_y.mT @ x, d_y.sum(0))
            return tuple(gradient if want else None for gradient, want in zip(rows, ctx.needs_input_grad, strict=True))
        return _backward(x, weight, d_y, ctx.needs_input_grad)


def _forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    x, weight, bias = _adjacent(x), weight.contiguous(), None if bias is None else bias.contiguous()
    y = x.new_empty(len(x), len(weight))
    sizes = (len(x), x.shape[1], len(weight))
    scratch = POOL.take(_scratch(*sizes, threads())[0])
    product = Product(*_leading(threads()), *sizes)
    product.x, product.x_row, product.weight = x.data_ptr(), x.stride(0), weight.data_ptr()
    product.bias = None if bias is None else bias.data_ptr()
    product.y, product.y_row, product.scratch = y.data_ptr(), y.stride(0), scratch.data_ptr()
    require_library().product_forward(product)
    return y


def _backward(x: Tensor, weight: Tensor, d_y: Tensor, wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
    x, d_y, weight = _adjacent(x), _adjacent(d_y), weight.contiguous()
    shapes = (x.shape, weight.shape, weight.shape[:1])
    gradients = tuple(x.new_empty(shape) if want else None for shape, want in zip(shapes, wanted, strict=True))
    sizes = (len(x), x.shape[1], len(weight))
    scratch = POOL.take(_scratch(*sizes, threads())[1])
    product = Product(*_leading(threads()), *sizes)
    product.x, product.x_row, product.weight = x.data_ptr(), x.stride(0), weight.data_ptr()
    product.d_y, product.d_y_row, product.scratch = d_y.data_ptr(), d_y.stride(0), scratch.data_ptr()
    for name, gradient in zip(("d_x", "d_weight", "d_bias"), gradients, strict=True):
        setattr(product, name, None if gradient is None else gradient.data_ptr())
    require_library().product_backward(product)
    return gradients


def _leading(count: int) -> tuple[int, ...]:
    return VERSION, PRECISIONS["float32"], SETS[require_library().chosen], count


@lru_cache(maxsize=1024)
def _scratch(rows: int, input_size: int, output_size: int, count: int) -> tuple[int, int]:
    sizes = require_library().measure_product(Product(*_leading(count), rows, input_size, output_size))
    return sizes.forward_scratch, sizes.backward_scratch


def _adjacent(rows: Tensor) -> Tensor:
    """Rows whose features are adjacent."""
    return rows if rows.stride(1) == 1 else rows.contiguous()


@torch.library.custom_op("throughtime::linear", mutates_args=(), device_types="cpu")
def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return _forward(x, weight, bias)


@_product.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0])


@torch.library.custom_op("throughtime::linear_backward", mutates_args=(), device_types="cpu")
def _product_backward(x: Tensor, weight: Tensor, d_y: Tensor, wanted: list[bool]) -> list[Tensor]:
    found = _backward(x, weight, d_y, tuple(wanted))
    return [x.new_empty(0) if gradient is None else gradient for gradient in found]


@_product_backward.register_fake
def _(x: Tensor, weight: Tensor, d_y: Tensor, wanted: list[bool]) -> list[Tensor]:
    shapes = (x.shape, weight.shape, weight.shape[:1])
    return [x.new_empty(shape if want else (0,)) for shape, want in zip(shapes, wanted, strict=True)]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])


def _differentiate(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
    wanted = list(ctx.needs_input_grad)
    found = _product_backward(*ctx.saved_tensors, d_y, wanted)
    return tuple(gradient if want else None for gradient, want in zip(found, wanted, strict=True))


_product.register_autograd(_differentiate, setup_context=_remember)
