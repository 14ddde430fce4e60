"""The kernels as custom ops, for graphs that are captured: torch.compile, torch.export, FakeTensor."""

# Annotations are no strings here: torch reads the schemas of the custom ops from them.

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._autograd import by_equations, differentiated, gradients_by_equations, tracked, transformed
from ._kernels import Marks, Operands, Setting, check_setting, measure, run_backward, run_forward
from ._operator import define


def _recurrence(
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
    return _filled(x, *run_forward(setting, operands, Marks(lengths, resets), keep))


def _filled(
    x: Tensor, output: Tensor, h_n: Tensor, c_n: Tensor | None, save: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same with empty tensors for what is not there: an operator of torch's always returns as many."""
    nothing = x.new_empty(0)
    return output, h_n, nothing if c_n is None else c_n, nothing.to(torch.uint8) if save is None else save


def _fake_recurrence(*given: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    setting, keep, operands = Setting(*given[:4]), given[4], Operands(*given[5:12])
    check_setting(setting)
    x = operands.x
    time, batch, input_size = x.shape
    hidden = operands.weight_hh.shape[1]
    shape = (batch, hidden)
    save: Any = 0
    if keep and all(isinstance(size, int) for size in (time, batch, input_size, hidden)):
        save = measure(setting, time, batch, input_size, hidden, 1).save
    elif keep:
        save = torch.library.get_ctx().new_dynamic_size()  # only the kernels know
    return (
        x.new_empty(time, *shape),
        x.new_empty(shape),
        x.new_empty(shape if setting.kind == "lstm" else (0,)),
        x.new_empty(save, dtype=torch.uint8),
    )


def _recurrence_backward(
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


def _fake_backward(kind: str, reverse: bool, precision: str, instructions: str, *rest: Any) -> list[Tensor]:
    operands, wanted = rest[:7], rest[-1]
    return [
        rest[0].new_empty(operand.shape if want and operand is not None else (0,))
        for operand, want in zip(operands, wanted, strict=True)
    ]


def _differentiate(run: Any, *given: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    setting, operands, marks = Setting(*given[:4]), Operands(*given[5:12]), Marks(*given[12:])
    if transformed():
        return _filled(operands.x, *by_equations(setting, operands, marks), None)
    if not tracked(operands):
        return run(*given)
    return _Recurrence.apply(run, setting, marks, *operands)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, run: Any, setting: Setting, marks: Marks, *operands: Tensor | None) -> Any:
        results = run(*setting, True, *operands, *marks)  # whatever the graph says: it may be an inference's
        ctx.setting = setting
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(results[3])
        ctx.save_for_backward(*operands, *marks, results[0], results[3])
        return results

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> Any:
        wanted = ctx.needs_input_grad[3:]
        # No operator may be given many cotangents at once, hence the question here and not in its rule alone.
        run = _backward_by_equations if differentiated(cotangents) else recurrence_backward
        found = run(*ctx.setting, *ctx.saved_tensors, *cotangents[:3], wanted)
        return None, None, None, *(part if want else None for part, want in zip(found, wanted, strict=True))


def _differentiate_backward(run: Any, *given: Any) -> list[Tensor]:
    return _backward_by_equations(*given) if differentiated(given[15:18]) else run(*given)


def _backward_by_equations(*given: Any) -> list[Tensor]:
    setting, operands, marks = Setting(*given[:4]), Operands(*given[4:11]), Marks(*given[11:13])
    cotangents, wanted = given[15:18], given[18]
    parts = cotangents if setting.kind == "lstm" else cotangents[:2]
    found = gradients_by_equations(setting, operands, marks, parts, wanted)
    return [operands.x.new_empty(0) if gradient is None else gradient for gradient in found]


recurrence = define(_recurrence, fake=_fake_recurrence, rule=_differentiate)
recurrence_backward = define(_recurrence_backward, fake=_fake_backward, rule=_differentiate_backward)
