"""Layers whose weights are packed once: for one step at a time, in real time, and for long runs of inference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .._errors import ShapeError
from ._kernels import Marks, Operands, Setting, check, leading, measure, require_library
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
        self._batch_size = batch_size
        hidden = weights[0][1].shape[1]
        self.h = torch.zeros(len(weights), batch_size, hidden)
        self.c = torch.zeros_like(self.h) if kind == "lstm" else None
        self._input_size = weights[0][0].shape[1]
        self._packed = [self._pack(own) for own in weights]
        self._shape = torch.Size((batch_size, self._input_size))
        self._outputs = torch.empty_like(self.h)
        self._scratch: list[Tensor] = []
        self._calls = (ForwardCall * len(weights))()
        first = torch.empty(1, batch_size, self._input_size)
        for index in range(len(weights)):
            x = first if index == 0 else self._outputs[index - 1].unsqueeze(0)
            self._calls[index], scratch = self._call(index, x, self._outputs[index].unsqueeze(0), threads())
            self._scratch.append(scratch)
        self._forward = require_library().functions.throughtime_forward
        self._address, self._output = address(self._calls), self._outputs[-1]

    def step(self, x: Tensor) -> Tensor:
        """One step, with nothing allocated.

        Args:
            x: [batch, input].

        Returns:
            The last layer's output [batch, hidden]: a view of the memory that the next step writes to.

        Raises:
            ShapeError: for another shape.
        """
        if x.shape != self._shape or x.dtype is not torch.float32 or not x.is_contiguous() or x.device.type != "cpu":
            x = self._accepted(x)
        self._calls[0].x = x.data_ptr()
        status = self._forward(self._address, len(self._calls))
        if status:
            require_library().check(status, self._calls[0])
        return self._output

    def run(self, x: Tensor) -> Tensor:
        """Many steps at once.

        Args:
            x: [time, batch, input], float32, any strides.

        Returns:
            [time, batch, hidden].

        Raises:
            ShapeError: for another shape.
        """
        if x.dim() != 3 or x.shape[1:] != self._shape:
            raise ShapeError(f"run got {list(x.shape)}, expected [time, {self._shape[0]}, {self._shape[1]}]")
        x = x.detach().to("cpu", torch.float32)
        for index in range(len(self._packed)):
            output = x.new_empty(len(x), *self.h.shape[1:])
            call, scratch = self._call(index, x, output, threads())
            require_library().forward(call)
            del scratch  # in use until here
            x = output
        return x

    def _accepted(self, x: Tensor) -> Tensor:
        if x.shape != self._shape:
            raise ShapeError(f"step got {list(x.shape)}, expected {list(self._shape)}, [batch, input]")
        self._converted = x.detach().to("cpu", torch.float32).contiguous()  # kept while the call reads it
        return self._converted

    def _pack(self, weights: Weights) -> Tensor:
        weight_ih, weight_hh = weights[0].detach().contiguous(), weights[1].detach().contiguous()
        own = (weight_ih, weight_hh, *(None if bias is None else bias.detach().contiguous() for bias in weights[2:]))
        operands = Operands(torch.empty(0, 1, weight_ih.shape[1]), None, None, *own)
        check(self._setting, operands, Marks())
        addresses = (None if part is None else part.data_ptr() for part in own)
        layer = Layer(*leading(self._setting, 1), *operands.x.shape, operands.weight_hh.shape[1], *addresses)
        found = require_library().measure(layer)
        packed = torch.empty(found.packed, dtype=torch.uint8)
        require_library().pack(layer, packed.data_ptr())
        return packed

    def _call(self, index: int, x: Tensor, output: Tensor, count: int) -> tuple[ForwardCall, Tensor]:
        """A call of one layer, and the scratch that must live as long as it is used."""
        time, batch, features = x.shape
        hidden = self.h.shape[2]
        needs = measure(self._setting, time, batch, features, hidden, count)
        scratch = POOL.take(needs.forward_scratch)
        h, c = self.h[index].data_ptr(), None if self.c is None else self.c[index].data_ptr()
        call = ForwardCall(*leading(self._setting, count), time, batch, features, hidden)
        call.packed = self._packed[index].data_ptr()
        call.x, call.x_time, call.x_batch, call.x_feature = x.data_ptr(), *x.stride()
        call.h0, call.c0, call.h0_batch, call.c0_batch = h, c, hidden, hidden
        call.output, call.output_time, call.output_batch = output.data_ptr(), *output.stride()[:2]
        call.h_n, call.c_n, call.scratch = h, c, scratch.data_ptr()
        return call, scratch
