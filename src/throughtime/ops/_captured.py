"""The kernels as custom ops, for graphs that are captured: torch.compile, torch.export, FakeTensor."""

# Annotations are no strings here: torch reads the schemas of the custom ops from them.

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._kernels import Marks, Operands, Setting, measure, run_backward, run_forward


@torch.library.custom_op("throughtime::recurrence", mutates_args=(), device_types="cpu")
def recurrence(
    kind: str,
    reverse: bool,
    precision: str,
    instructions: str,
    keep: bool,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    lengths: Tensor | None,
    resets: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Output, h_n, c_n (empty but for the LSTM) and what a backward needs (empty unless `keep`)."""
    setting = Setting(kind, reverse, precision, instructions)
    operands = Operands(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh)
    output, h_n, c_n, save = run_forward(setting, operands, Marks(lengths, resets), keep)
    nothing = x.new_empty(0)
    return output, h_n, nothing if c_n is None else c_n, nothing.byte() if save is None else save


@recurrence.register_fake
def _(
    kind: str,
    reverse: bool,
    precision: str,
    instructions: str,
    keep: bool,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weight_ih: Tensor,
    weight_hh: Tensor,
    *rest: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    time, batch, input_size = x.shape
    hidden = weight_hh.shape[1]
    shape = (batch, hidden)
    save: Any = 0
    if keep and all(isinstance(size, int) for size in (time, batch, input_size, hidden)):
        save = measure(Setting(kind, reverse, precision, instructions), time, batch, input_size, hidden, 1).save
    elif keep:
        save = torch.library.get_ctx().new_dynamic_size()  # only the kernels know
    return (
        x.new_empty(time, *shape),
        x.new_empty(shape),
        x.new_empty(shape if kind == "lstm" else (0,)),
        x.new_empty(save, dtype=torch.uint8),
    )


@torch.library.custom_op("throughtime::recurrence_backward", mutates_args=(), device_types="cpu")
def recurrence_backward(
    kind: str,
    reverse: bool,
    precision: str,
    instructions: str,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    lengths: Tensor | None,
    resets: Tensor | None,
    output: Tensor,
    save: Tensor,
    d_output: Tensor | None,
    d_h_n: Tensor | None,
    d_c_n: Tensor | None,
    wanted: Sequence[bool],
) -> list[Tensor]:
    """The gradients of x, h0, c0, the weights and the biases; empty where not wanted."""
    setting = Setting(kind, reverse, precision, instructions)
    operands = Operands(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh)
    cotangents = (d_output, d_h_n, d_c_n if kind == "lstm" else None)
    found = run_backward(setting, operands, Marks(lengths, resets), output, save, cotangents, tuple(wanted))
    return [x.new_empty(0) if gradient is None else gradient for gradient in found]


@recurrence_backward.register_fake
def _(kind: str, reverse: bool, precision: str, instructions: str, *rest: Any) -> list[Tensor]:
    operands, wanted = rest[:7], rest[-1]
    return [
        rest[0].new_empty(operand.shape if want and operand is not None else (0,))
        for operand, want in zip(operands, wanted, strict=True)
    ]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.setting = inputs[:4]
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[5:], output[0], output[3])


def _backward(
    ctx: Any, d_output: Tensor | None, d_h_n: Tensor | None, d_c_n: Tensor | None, _: None
) -> tuple[Any, ...]:
    wanted = ctx.needs_input_grad[5:12]
    found = recurrence_backward(*ctx.setting, *ctx.saved_tensors, d_output, d_h_n, d_c_n, wanted)
    return (None,) * 5 + tuple(g if want else None for g, want in zip(found, wanted, strict=True)) + (None, None)


recurrence.register_autograd(_backward, setup_context=_remember)
