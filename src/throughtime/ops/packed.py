"""Layers whose weights are packed once: for one step at a time, in real time, and for long runs of inference."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from .._errors import ShapeError
from ._kernels import Marks, Operands, Setting, addresses, check, extents, head, measure, require_library
from ._library import ForwardCall, Layer, address, threads
from ._pool import POOL

Weights = tuple[Tensor, Tensor, Tensor | None, Tensor | None]
"""weight_ih, weight_hh, bias_ih, bias_hh of one layer."""


class PackedLayers:
    """A stack of layers of one kind, forward in time, with the state that it is in.

    Args:
        kind: one of `ops.KINDS`.
        weights: those of each layer, float32, on the CPU. They are copied: later changes are not seen.
        batch_size: how many sequences are fed side by side.

    Attributes:
        h: the state [layers, batch, hidden], which each call changes in place; so is `c`, the memories of an LSTM.

    Raises:
        UnsupportedError: where there are no kernels.

    Example:
        >>> layers = PackedLayers("gru", [(torch.zeros(3, 1), torch.zeros(3, 1), None, None)])
        >>> _ = layers.h.fill_(1)
        >>> layers.step(torch.ones(1, 1))  # the update gate is ½, the candidate 0
        tensor([[0.5000]])
    """

    def __init__(self, kind: str, weights: Sequence[Weights], batch_size: int = 1) -> None:
        self._setting = Setting(kind)
        input_size, hidden_size = weights[0][0].shape[1], weights[0][1].shape[1]
        with torch.inference_mode(False):  # what is made here is changed outside of inference too
            self.h = _empty(len(weights), batch_size, hidden_size).zero_()
            self.c = torch.zeros_like(self.h) if kind == "lstm" else None
            self._packed = [self._pack(own) for own in weights]
            self._shape = torch.Size((batch_size, input_size))
            self._outputs = _empty(len(weights), 1, batch_size, hidden_size)
        self._arrange()

    def __deepcopy__(self, memo: dict[int, Any]) -> PackedLayers:
        """One that goes its own way from the same state; packed weights, which never change, are shared."""
        other = copy(self)
        with torch.inference_mode(False):
            other.h, other.c = self.h.clone(), None if self.c is None else self.c.clone()
            other._outputs = self._outputs.clone()
        other._arrange()
        return other

    def step(self, x: Tensor | np.ndarray) -> Tensor:
        """One step, with nothing allocated where x is a contiguous float32 tensor.

        Args:
            x: [batch, input].

        Returns:
            The last layer's output [batch, hidden]: a view of the memory that the next step writes to. `.clone()` it
            where it must outlive that, as what a gradient is computed from: `backward` refuses one that has changed.

        Raises:
            ShapeError: for another shape.
        """
        if (
            type(x) is not Tensor
            or x.shape != self._shape
            or x.dtype is not torch.float32
            or not x.is_contiguous()
            or not x.is_cpu
            or x.is_neg()
        ):
            x = self._accepted(x)
        if threads() != self._threads:
            self._arrange()
        self._calls[0].x = x.data_ptr()
        status = self._forward(self._address, len(self._calls))
        increment_version(self._changed)  # autograd knows nothing of what the kernels write
        if status:
            require_library().check(status, self._calls[0])
        return self._output

    def run(self, x: Tensor | np.ndarray) -> Tensor:
        """Many steps at once.

        Args:
            x: [time, batch, input], any strides; taken in float32.

        Returns:
            [time, batch, hidden].

        Raises:
            ShapeError: for another shape.
        """
        x = x if isinstance(x, Tensor) else torch.from_numpy(x)
        if x.dim() != 3 or x.shape[1:] != self._shape:
            raise ShapeError(f"run got {list(x.shape)}, expected [time, {self._shape[0]}, {self._shape[1]}]")
        x = x.detach().to("cpu", torch.float32).resolve_neg()
        outputs = [
            POOL.numbers(len(x), *self.h.shape[1:]) for _ in self._packed[:2]
        ]  # a layer reads one, writes the other
        calls, scratch = self._arranged(x, [outputs[index % 2] for index in range(len(self._packed))])
        # All layers in one call, so that an interruption finds them at the same step.
        status = self._forward(address(calls), len(calls))
        increment_version(self._changed)
        require_library().check(status, calls[0])
        del scratch  # in use until here
        return outputs[(len(self._packed) - 1) % 2]

    def _arrange(self) -> None:
        """Make ready all that a step needs, on as many threads as there are now."""
        self._threads, self._output = threads(), self._outputs[-1, 0]
        self._calls, self._scratch = self._arranged(_empty(1, *self._shape), list(self._outputs))
        self._forward, self._address = require_library().functions.throughtime_forward, address(self._calls)
        self._changed = tuple(part for part in (self._output, self.h, self.c) if part is not None)

    def _accepted(self, x: Tensor | np.ndarray) -> Tensor:
        x = x if isinstance(x, Tensor) else torch.from_numpy(x)
        if x.shape != self._shape:
            raise ShapeError(f"step got {list(x.shape)}, expected {list(self._shape)}, [batch, input]")
        return x.detach().to("cpu", torch.float32).resolve_neg().contiguous()

    def _pack(self, weights: Weights) -> Tensor:
        weight_ih, weight_hh = weights[0].detach().contiguous(), weights[1].detach().contiguous()
        own = (weight_ih, weight_hh, *(None if bias is None else bias.detach().contiguous() for bias in weights[2:]))
        operands = Operands(_empty(0, 1, weight_ih.shape[1]), None, None, *own)
        check(self._setting, operands, Marks())
        layer = Layer(**head(self._setting, 1), **extents(operands.x.shape, weight_hh.shape[1]), **addresses(own))
        found = require_library().measure(layer)
        packed = torch.empty(found.packed, dtype=torch.uint8, device="cpu")
        require_library().pack(layer, packed.data_ptr())
        return packed

    def _arranged(self, x: Tensor, outputs: Sequence[Tensor]) -> tuple[Any, Tensor]:
        """The calls of all layers, and the scratch that must live as long as they are made: one after the other."""
        count = threads()
        sizes = [(*inputs.shape, self.h.shape[2]) for inputs in (x, *outputs[:-1])]
        scratch = POOL.take(max(measure(self._setting, *size, count).forward_scratch for size in sizes))
        calls = (ForwardCall * len(outputs))()
        for index, (inputs, output) in enumerate(zip((x, *outputs[:-1]), outputs, strict=True)):
            calls[index] = self._call(index, inputs, output, count)
            calls[index].scratch = scratch.data_ptr()
        return calls, scratch

    def _call(self, index: int, x: Tensor, output: Tensor, count: int) -> ForwardCall:
        hidden = self.h.shape[2]
        h, c = self.h[index].data_ptr(), None if self.c is None else self.c[index].data_ptr()
        call = ForwardCall(**head(self._setting, count), **extents(x.shape, hidden))
        call.packed = self._packed[index].data_ptr()
        call.x, call.x_time, call.x_batch, call.x_feature = x.data_ptr(), *x.stride()
        call.h0, call.c0, call.h0_batch, call.c0_batch = h, c, hidden, hidden
        call.output, call.output_time, call.output_batch = output.data_ptr(), *output.stride()[:2]
        call.h_n, call.c_n = h, c
        return call


def _empty(*shape: int) -> Tensor:
    """As the kernels take it, whatever torch's defaults are."""
    return torch.empty(shape, dtype=torch.float32, device="cpu")
