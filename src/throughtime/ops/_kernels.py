"""Tensors in, tensors out: one call of a kernel, with no autograd about it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .._errors import ShapeError, UnsupportedError
from ._library import KINDS, PRECISIONS, SETS, VERSION, BackwardCall, ForwardCall, Layer, Library, library, threads
from ._pool import POOL

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}
TRACED = {
    "gru": ("reset", "update", "new", "recurrent"),
    "lstm": ("input", "forget", "cell", "output", "memory"),
}
"""What a trace consists of, in the kernels' order; `recurrent` is W_hn h + b_hn."""


class Setting(NamedTuple):
    """What tells one call from another beside its tensors.

    Args:
        kind: one of `ops.KINDS`.
        reverse: whether it runs from the end to the beginning.
        precision: in which numbers products are taken, "float32" or "bfloat16".
        instructions: the set of instructions; empty for the one that the library chose.
    """

    kind: str
    reverse: bool = False
    precision: str = "float32"
    instructions: str = ""


class Operands(NamedTuple):
    """The tensors that a gradient may be asked for, float32, on the CPU; x [time, batch, input], any strides."""

    x: Tensor
    h0: Tensor | None
    c0: Tensor | None
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None


class Marks(NamedTuple):
    """Where sequences end and begin: integers [batch], bool [time, batch]."""

    lengths: Tensor | None = None
    resets: Tensor | None = None


class Ran(NamedTuple):
    """What a forward gives: [time, batch, hidden], twice [batch, hidden], and bytes for the backward."""

    output: Tensor
    h_n: Tensor
    c_n: Tensor | None
    save: Tensor | None


class Needs(NamedTuple):
    """How many bytes a call needs."""

    save: int
    forward_scratch: int
    backward_scratch: int


def require_library() -> Library:
    """The kernels.

    Raises:
        UnsupportedError: where there are none.
    """
    found = library()
    if isinstance(found, Library):
        return found
    raise UnsupportedError(f"the native kernels cannot run: {found.reason}")


@lru_cache(maxsize=1024)
def measure(setting: Setting, time: int, batch: int, input_size: int, hidden_size: int, count: int) -> Needs:
    """What calls of such sizes on `count` threads need.

    Raises:
        ShapeError: where sizes are out of range.
    """
    sizes = require_library().measure(Layer(*leading(setting, count), time, batch, input_size, hidden_size))
    return Needs(sizes.save, sizes.forward_scratch, sizes.backward_scratch)


def check(setting: Setting, operands: Operands, marks: Marks) -> None:
    """Refuse what a kernel must not be pointed at.

    Raises:
        ShapeError: where shapes contradict each other.
        UnsupportedError: for other devices and dtypes.
    """
    x, weight_hh = operands.x, operands.weight_hh
    if x.dim() != 3 or weight_hh.dim() != 2:
        raise ShapeError(f"x {list(x.shape)} and weight_hh {list(weight_hh.shape)}: expected three axes and two")
    time, batch, input_size = x.shape
    hidden = weight_hh.shape[1]
    rows = GATES[setting.kind] * hidden
    wanted = (x.shape, *[(batch, hidden)] * 2, (rows, input_size), (rows, hidden), *[(rows,)] * 2)
    for name, operand, shape in zip(Operands._fields, operands, wanted, strict=True):
        if operand is None:
            continue
        if operand.shape != shape:
            raise ShapeError(f"{setting.kind} got {name} {list(operand.shape)}, expected {list(shape)}")
        if operand.dtype is not torch.float32 or not operand.is_cpu:
            where = f"{operand.dtype} on {operand.device}"
            raise UnsupportedError(f"the kernels compute in float32 on the CPU; {name} is {where}: use another backend")
    lengths, resets = marks
    if lengths is not None and (lengths.shape != (batch,) or not lengths.is_cpu):
        raise ShapeError(f"lengths {list(lengths.shape)} on {lengths.device}, expected [{batch}] on the CPU")
    if resets is not None and (resets.shape != (time, batch) or resets.dtype is not torch.bool or not resets.is_cpu):
        raise ShapeError(f"resets {list(resets.shape)} of {resets.dtype}, expected bool [{time}, {batch}] on the CPU")


def run_forward(setting: Setting, operands: Operands, marks: Marks, keep: bool) -> Ran:
    """Run one layer in one direction; `keep` says whether a backward will follow.

    Raises:
        ShapeError, UnsupportedError: as `check`.
    """
    check(setting, operands, marks)
    x, h0, c0 = operands[:3]
    time, batch, _ = x.shape
    hidden, count = operands.weight_hh.shape[1], threads()
    needs = measure(setting, time, batch, x.shape[2], hidden, count)
    output = x.new_empty(time, batch, hidden)
    h_n = x.new_empty(batch, hidden)
    c_n = x.new_empty(batch, hidden) if setting.kind == "lstm" else None
    save = POOL.take(needs.save) if keep else None
    scratch = POOL.take(needs.forward_scratch)
    layer, held = _layer(setting, operands, marks, count)
    h0, c0 = _rows(h0), _rows(c0)
    call = ForwardCall(
        *layer,
        *_sequences(x, h0, c0, output),
        h_n.data_ptr(),
        _address(c_n),
        _address(save),
        scratch.data_ptr(),
    )
    require_library().forward(call)
    del held  # what the call pointed at
    return Ran(output, h_n, c_n, save)


def run_backward(
    setting: Setting,
    operands: Operands,
    marks: Marks,
    output: Tensor,
    save: Tensor | None,
    cotangents: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """The gradient of each operand that is `wanted`.

    Args:
        cotangents: of output, h_n and c_n; `None` for zeros.
        wanted: one for each operand.
    """
    x, h0, c0 = operands[:3]
    time, batch, _ = x.shape
    hidden, count = operands.weight_hh.shape[1], threads()
    needs = measure(setting, time, batch, x.shape[2], hidden, count)
    gradients = tuple(
        operand.new_empty(operand.shape) if want and operand is not None else None
        for operand, want in zip(operands, wanted, strict=True)
    )
    scratch = POOL.take(needs.backward_scratch)
    layer, held = _layer(setting, operands, marks, count)
    h0, c0 = _rows(h0), _rows(c0)
    d_output, d_h_n, d_c_n = cotangents
    if d_output is not None and d_output.stride(2) != 1:
        d_output = d_output.contiguous()
    d_h_n, d_c_n = (None if part is None else part.contiguous() for part in (d_h_n, d_c_n))
    call = BackwardCall(
        *layer,
        *_sequences(x, h0, c0, output),
        _address(save),
        _address(d_output),
        *((0, 0) if d_output is None else d_output.stride()[:2]),
        _address(d_h_n),
        _address(d_c_n),
        *map(_address, gradients),
        scratch.data_ptr(),
    )
    require_library().backward(call)
    del held
    return gradients


def run_trace(setting: Setting, operands: Operands, marks: Marks) -> dict[str, Tensor]:
    """Gates and candidates by name, each [time, batch, hidden]; of an RNN none."""
    time, batch = operands.x.shape[:2]
    hidden, count = operands.weight_hh.shape[1], threads()
    names = TRACED.get(setting.kind, ())
    traced = torch.empty(len(names), time, batch, hidden)
    if traced.numel():
        save = run_forward(setting, operands, marks, keep=True).save
        layer, held = _layer(setting, operands, marks, count)
        require_library().trace(Layer(*layer), _address(save) or 0, traced.data_ptr())
        del held
    return dict(zip(names, traced, strict=True))


def leading(setting: Setting, count: int) -> tuple[int, ...]:
    """The first fields of `throughtime_layer`."""
    instructions = SETS[setting.instructions or require_library().chosen]
    return VERSION, KINDS[setting.kind], PRECISIONS[setting.precision], instructions, int(setting.reverse), count


def _layer(
    setting: Setting, operands: Operands, marks: Marks, count: int
) -> tuple[tuple[int | None, ...], tuple[Tensor | None, ...]]:
    """The fields of `throughtime_layer`, and tensors that must live as long as it is used."""
    weights = tuple(None if weight is None else weight.contiguous() for weight in operands[3:])
    lengths = None if marks.lengths is None else marks.lengths.to(torch.int64).contiguous()
    resets = marks.resets
    fields = (
        *leading(setting, count),
        *operands.x.shape,
        operands.weight_hh.shape[1],
        *map(_address, weights),
        None,  # packed
        _address(lengths),
        _address(resets),
        *((0, 0) if resets is None else resets.stride()),
    )
    return fields, (*weights, lengths)


def _sequences(x: Tensor, h0: Tensor | None, c0: Tensor | None, output: Tensor) -> tuple[int | None, ...]:
    """The fields that forward and backward share."""
    return (
        x.data_ptr(),
        *x.stride(),
        _address(h0),
        _address(c0),
        0 if h0 is None else h0.stride(0),
        0 if c0 is None else c0.stride(0),
        output.data_ptr(),
        *output.stride()[:2],
    )


def _rows(state: Tensor | None) -> Tensor | None:
    """A state whose features are adjacent."""
    return state if state is None or state.stride(1) == 1 else state.contiguous()


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
