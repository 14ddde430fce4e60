"""The native kernels as differentiable functions.

Inference calls a kernel and is done. Training goes through an autograd.Function whose backward is a kernel too; where
that backward is itself differentiated, and inside the transforms of torch.func and forward-mode differentiation, the
equations in plain PyTorch take over. Where a graph is captured, the custom ops of `_captured` stand in it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._errors import ShapeError, UnsupportedError
from .._types import Lengths, Resets, State
from . import _captured
from ._autograd import by_equations, captured, differentiated, gradients_by_equations, tracked, transformed
from ._kernels import Marks, Operands, Setting, run_backward, run_forward, run_trace
from .backend import product_dtype


def recurrence(
    kind: str,
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    *,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
    instructions: str = "",
) -> tuple[Tensor, State]:
    """Run one layer in one direction by the native kernels.

    Args:
        kind: one of `ops.KINDS`.
        x: [time, batch, input], float32 or bfloat16, any strides. In bfloat16, and under autocast, products are taken
            in bfloat16 and everything else in float32; the results have the dtypes that torch's layers give.
        state: h, or (h, C) of an LSTM, [batch, hidden]; `None` for zeros.
        weight_ih, weight_hh: [gates × hidden, input] and [gates × hidden, hidden].
        bias_ih, bias_hh: [gates × hidden].
        lengths: integers [batch].
        resets: bool [time, batch]; the state before these steps is zero.
        reverse: from the end to the beginning; each sequence begins at its own end, and afresh before each reset.
        instructions: the set of instructions, such as "avx2"; empty for the best of this machine.

    Returns:
        The output [time, batch, hidden], zero past the lengths, and each sequence's last state.

    Raises:
        UnsupportedError: where there are no kernels, or none for these instructions, this device or this dtype.
        ShapeError: where shapes contradict each other, or the state the kind.
        ConfigurationError: for an unknown kind or set of instructions.
    """
    operands = Operands(x, *_parts(kind, state), weight_ih, weight_hh, bias_ih, bias_hh)
    precision, dtype = _numbers(kind, x, operands.h0)
    if precision != "float32":
        operands = Operands._make(None if operand is None else operand.float() for operand in operands)
    setting, marks = Setting(kind, reverse, precision, instructions), Marks(lengths, resets)
    output, h_n, c_n = _run(setting, operands, marks)
    if output.dtype != dtype:
        output, h_n, c_n = output.to(dtype), h_n.to(dtype), None if c_n is None else c_n.to(dtype)
    return output, h_n if c_n is None else (h_n, c_n)


def trace(
    kind: str,
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    *,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
) -> dict[str, Tensor]:
    """What `recurrence` computes on its way, for inspection; arguments as there, float32, no gradients.

    Returns:
        Tensors [time, batch, hidden] by name, zero past the lengths. Of a GRU its gates `reset` and `update`, the
        candidate `new`, and `recurrent`, which is W_hn h + b_hn; of an LSTM its gates `input`, `forget`, `cell`,
        `output`, and the `memory` C after the step; of an RNN nothing, since its output is all there is.
    """
    operands = Operands(x, *_parts(kind, state), weight_ih, weight_hh, bias_ih, bias_hh)
    with torch.no_grad():
        return run_trace(Setting(kind, reverse), operands, Marks(lengths, resets))


def _run(setting: Setting, operands: Operands, marks: Marks) -> tuple[Tensor, Tensor, Tensor | None]:
    if transformed():  # a custom op would have no rule for it, or give zeros where jvp wants a derivative
        return by_equations(setting, operands, marks)
    if captured(operands):
        output, h_n, c_n, _ = _captured.recurrence(*setting, False, *operands, *marks)
        return output, h_n, c_n if setting.kind == "lstm" else None
    if tracked(operands):
        return _Recurrence.apply(setting, marks, *operands)
    return run_forward(setting, operands, marks, keep=False)[:3]


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, setting: Setting, marks: Marks, *operands: Tensor | None) -> Any:
        given = Operands._make(operands)
        output, h_n, c_n, save = run_forward(setting, given, marks, keep=True)
        ctx.setting = setting
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*operands, *marks, output, save)
        return output, h_n, c_n

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> Any:
        *saved, lengths, resets, output, save = ctx.saved_tensors
        operands, marks, wanted = Operands._make(saved), Marks(lengths, resets), ctx.needs_input_grad[2:]
        if differentiated(cotangents):
            gradients = gradients_by_equations(ctx.setting, operands, marks, cotangents, wanted)
        else:
            gradients = run_backward(ctx.setting, operands, marks, output, save, cotangents, wanted)
        return None, None, *gradients


def _parts(kind: str, state: State) -> tuple[Tensor | None, Tensor | None]:
    """h and C, as far as there are any."""
    if not isinstance(state, (tuple, list)):
        return state, None
    if len(state) != 2:
        raise ShapeError(f"{kind} got {len(state)} tensors as its state, expected the pair (h, C)")
    return state[0], state[1]


def _numbers(kind: str, x: Tensor, h0: Tensor | None) -> tuple[str, torch.dtype]:
    """In which numbers products are taken, and the dtype of the results."""
    if not torch.is_autocast_enabled("cpu"):
        return ("bfloat16" if x.dtype == torch.bfloat16 else "float32"), x.dtype
    low = product_dtype(x.dtype, "cpu")
    if low not in (torch.bfloat16, torch.float64):
        raise UnsupportedError(f"the kernels know no autocast to {low}: use another backend")
    precision = "bfloat16" if low == torch.bfloat16 else "float32"
    if kind != "gru":
        return precision, low
    # torch's RNN and LSTM give what their products have; its GRU mixes h into that, and keeps h's dtype.
    return precision, torch.promote_types(low, (x if h0 is None else h0).dtype)
