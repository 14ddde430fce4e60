"""Tensors in, tensors out: one call of a kernel, with no autograd about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple, overload

import torch
from torch import Tensor

from .._errors import ConfigurationError, ShapeError, UnsupportedError
from ._library import (
    KINDS,
    PRECISIONS,
    SETS,
    VERSION,
    BackwardCall,
    ForwardCall,
    Layer,
    Library,
    Sizes,
    library,
    threads,
)
from ._pool import ALIGNMENT, POOL

GATE_NAMES = {
    "rnn_tanh": ("new",),
    "rnn_relu": ("new",),
    "gru": ("reset", "update", "new"),
    "lstm": ("input", "forget", "cell", "output"),
}
"""The blocks of rows that the weights of each kind have, in torch's order."""
GATES = {kind: len(names) for kind, names in GATE_NAMES.items()}
"""How many they are."""

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
def measure(setting: Setting, time: int, batch: int, input_size: int, hidden_size: int, count: int) -> Sizes:
    """What calls of such sizes on `count` threads need, in bytes; many callers share it, and none changes it.

    Raises:
        ShapeError: where sizes are out of range.
    """
    return require_library().measure(Layer(**head(setting, count), **extents((time, batch, input_size), hidden_size)))


def resolved(tensors: Iterable[Tensor | None]) -> tuple[Tensor | None, ...]:
    """The tensors as their memory must read: torch notes of some, as of the imaginary part of a conjugate, that every
    number stands for its negative. All that a kernel is pointed at passes here.
    """
    return tuple([tensor.resolve_neg() if tensor is not None and tensor.is_neg() else tensor for tensor in tensors])


def _plain(operands: Operands, marks: Marks) -> tuple[Operands, Marks]:
    """Both `resolved`, which almost always they are."""
    for tensor in (*operands, *marks):
        if tensor is not None and tensor.is_neg():
            return Operands._make(resolved(operands)), Marks._make(resolved(marks))
    return operands, marks


@lru_cache(maxsize=64)
def check_setting(setting: Setting) -> None:
    """Refuse words that no kernel knows.

    Raises:
        ConfigurationError: for those.
    """
    for name, known in (("kind", KINDS), ("precision", PRECISIONS), ("instructions", SETS)):
        given = getattr(setting, name)
        if given not in known and (given or name != "instructions"):
            raise ConfigurationError(f"{name}={given!r} is unknown: choose one of {', '.join(map(repr, known))}")


def check(setting: Setting, operands: Operands, marks: Marks) -> None:
    """Refuse what a kernel must not be pointed at.

    Raises:
        ConfigurationError: for an unknown kind, precision, or set of instructions.
        ShapeError: where shapes contradict each other, or the state the kind.
        UnsupportedError: for other devices and dtypes.
    """
    check_setting(setting)
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
    if setting.kind != "lstm" and operands.c0 is not None:
        raise ShapeError(f"{setting.kind} got a pair as its state, expected h alone")
    if setting.kind == "lstm" and (operands.h0 is None) != (operands.c0 is None):
        raise ShapeError(f"lstm got {'C' if operands.h0 is None else 'h'} alone as its state, expected the pair (h, C)")
    lengths, resets = marks
    if lengths is not None and (lengths.is_floating_point() or lengths.is_complex() or lengths.dtype is torch.bool):
        raise ShapeError(f"lengths of {lengths.dtype}, expected integers")
    if lengths is not None and (lengths.shape != (batch,) or not lengths.is_cpu):
        raise ShapeError(f"lengths {list(lengths.shape)} on {lengths.device}, expected [{batch}] on the CPU")
    if resets is not None and (resets.shape != (time, batch) or resets.dtype is not torch.bool or not resets.is_cpu):
        raise ShapeError(f"resets {list(resets.shape)} of {resets.dtype}, expected bool [{time}, {batch}] on the CPU")


class _Ready(NamedTuple):
    """What a kernel may be pointed at, and what the call needs."""

    operands: Operands
    marks: Marks
    shape: tuple[int, int, int]
    """[time, batch, hidden]."""
    threads: int
    needs: Sizes


def _ready(setting: Setting, operands: Operands, marks: Marks) -> _Ready:
    """A call's operands and marks checked, and as their memory must read.

    Raises:
        ConfigurationError, ShapeError, UnsupportedError: as `check`.
    """
    check(setting, operands, marks)
    operands, marks = _plain(operands, marks)
    time, batch, input_size = operands.x.shape
    hidden, count = operands.weight_hh.shape[1], threads()
    needs = measure(setting, time, batch, input_size, hidden, count)
    return _Ready(operands, marks, (time, batch, hidden), count, needs)


def run_forward(setting: Setting, operands: Operands, marks: Marks, keep: bool) -> Ran:
    """Run one layer in one direction; `keep` says whether a backward will follow.

    Raises:
        ShapeError, UnsupportedError: as `check`.
    """
    operands, marks, shape, count, needs = _ready(setting, operands, marks)
    x, h0, c0 = operands[:3]
    output, h_n = POOL.numbers(*shape), POOL.numbers(*shape[1:])
    c_n = POOL.numbers(*shape[1:]) if setting.kind == "lstm" else None
    save = POOL.take(needs.save) if keep else None
    scratch = POOL.take(needs.forward_scratch)
    layer, held = _layer(setting, operands, marks, count)
    h0, c0 = adjacent(h0), adjacent(c0)
    call = ForwardCall(
        **layer,
        **_sequences(x, h0, c0, output),
        h_n=h_n.data_ptr(),
        c_n=_address(c_n),
        save=_address(save),
        scratch=scratch.data_ptr(),
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
        output, save: what the forward gave, or copies of it, wherever they lie.
        cotangents: of output, h_n and c_n; `None` for zeros.
        wanted: one for each operand.

    Raises:
        ShapeError, UnsupportedError: as `check`; hooks on saved tensors may have given back anything.
    """
    operands, marks, shape, count, needs = _ready(setting, operands, marks)
    x, h0, c0 = operands[:3]
    gradients = tuple(
        POOL.numbers(*operand.shape) if want and operand is not None else None
        for operand, want in zip(operands, wanted, strict=True)
    )
    output, save = _checked(setting, needs, shape, output, save)
    scratch = POOL.take(needs.backward_scratch)
    layer, held = _layer(setting, operands, marks, count)
    h0, c0 = adjacent(h0), adjacent(c0)
    d_output, d_h_n, d_c_n = resolved(cotangents)
    d_output = adjacent(d_output)
    d_h_n, d_c_n = (None if part is None else part.contiguous() for part in (d_h_n, d_c_n))
    d_output_time, d_output_batch = (0, 0) if d_output is None else d_output.stride()[:2]
    call = BackwardCall(
        **layer,
        **_sequences(x, h0, c0, output),
        save=save.data_ptr(),
        d_output=_address(d_output),
        d_output_time=d_output_time,
        d_output_batch=d_output_batch,
        d_h_n=_address(d_h_n),
        d_c_n=_address(d_c_n),
        **{f"d_{name}": _address(part) for name, part in zip(Operands._fields, gradients, strict=True)},
        scratch=scratch.data_ptr(),
    )
    require_library().backward(call)
    del held
    return gradients


def run_trace(setting: Setting, operands: Operands, marks: Marks) -> dict[str, Tensor]:
    """Gates and candidates by name, each [time, batch, hidden]; of an RNN none.

    Raises:
        ConfigurationError, ShapeError, UnsupportedError: as `check`.
    """
    operands, marks, shape, count, _ = _ready(setting, operands, marks)
    names = TRACED.get(setting.kind, ())
    traced = POOL.numbers(len(names), *shape)
    if traced.numel():
        save = run_forward(setting, operands, marks, keep=True).save
        layer, held = _layer(setting, operands, marks, count)
        require_library().trace(Layer(**layer), _address(save) or 0, traced.data_ptr())
        del held
    return dict(zip(names, traced, strict=True))


@lru_cache(maxsize=64)
def head(setting: Setting, count: int) -> dict[str, int]:
    """The first fields of `throughtime_layer`; many callers share it, and none changes it."""
    return {
        "version": VERSION,
        "kind": KINDS[setting.kind],
        "precision": PRECISIONS[setting.precision],
        "set": SETS[setting.instructions or require_library().chosen],
        "reverse": int(setting.reverse),
        "threads": count,
    }


def extents(x_shape: Sequence[int], hidden_size: int) -> dict[str, int]:
    """The fields of `throughtime_layer` that tell its sizes."""
    return dict(zip(("time", "batch", "input", "hidden"), (*x_shape, hidden_size), strict=True))


def addresses(weights: Sequence[Tensor | None]) -> dict[str, int | None]:
    """The fields of `throughtime_layer` that point at weights and biases."""
    return dict(zip(Operands._fields[3:], map(_address, weights), strict=True))


def _layer(
    setting: Setting, operands: Operands, marks: Marks, count: int
) -> tuple[dict[str, int | None], tuple[Tensor | None, ...]]:
    """The fields of `throughtime_layer`, and tensors that must live as long as it is used."""
    weights = tuple(None if weight is None else weight.contiguous() for weight in operands[3:])
    lengths = None if marks.lengths is None else marks.lengths.to(torch.int64).contiguous()
    resets = marks.resets
    fields: dict[str, int | None] = {
        **head(setting, count),
        **extents(operands.x.shape, operands.weight_hh.shape[1]),
        **addresses(weights),
    }
    if lengths is not None:
        fields["lengths"] = lengths.data_ptr()
    if resets is not None:
        fields["resets"] = resets.data_ptr()
        fields["resets_time"], fields["resets_batch"] = resets.stride()
    return fields, (*weights, lengths, resets)


def _sequences(x: Tensor, h0: Tensor | None, c0: Tensor | None, output: Tensor) -> dict[str, int | None]:
    """The fields that forward and backward share."""
    x_time, x_batch, x_feature = x.stride()
    output_time, output_batch, _ = output.stride()
    return {
        "x": x.data_ptr(),
        "x_time": x_time,
        "x_batch": x_batch,
        "x_feature": x_feature,
        "h0": _address(h0),
        "c0": _address(c0),
        "h0_batch": 0 if h0 is None else h0.stride(0),
        "c0_batch": 0 if c0 is None else c0.stride(0),
        "output": output.data_ptr(),
        "output_time": output_time,
        "output_batch": output_batch,
    }


@overload
def adjacent(tensor: Tensor) -> Tensor: ...
@overload
def adjacent(tensor: None) -> None: ...
@overload
def adjacent(tensor: Tensor | None) -> Tensor | None: ...
def adjacent(tensor: Tensor | None) -> Tensor | None:
    """A tensor whose features are adjacent."""
    return tensor if tensor is None or tensor.stride(-1) == 1 else tensor.contiguous()


def _checked(
    setting: Setting, needs: Sizes, shape: tuple[int, ...], output: Tensor, save: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What a forward gave where a kernel may read it: hooks give back copies of their own, or parts of them."""
    if output.shape != shape or output.dtype is not torch.float32:
        raise ShapeError(f"{setting.kind} got back {list(output.shape)} of {output.dtype}, expected {list(shape)}")
    if save is None or save.shape != (needs.save,) or save.dtype is not torch.uint8:
        given = "nothing" if save is None else f"{list(save.shape)} of {save.dtype}"
        raise ShapeError(f"{setting.kind} got back {given}, expected the {needs.save} bytes of its forward")
    if save.data_ptr() % ALIGNMENT or not save.is_contiguous():
        save = POOL.take(needs.save).copy_(save)
    return adjacent(output.resolve_neg()), save


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
