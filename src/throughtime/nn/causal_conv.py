"""A temporal convolutional network: its state is what its convolutions still have to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from .._errors import ConfigurationError, ShapeError
from .._types import State
from ..ops import transformed
from ._checks import check_features, check_lengths, check_resets


class CausalConv(nn.Module):
    """Dilated causal convolutions in residual blocks: a temporal convolutional network (TCN).

    Block l is relu(x + F(x)), F being two convolutions of dilation `dilation_base`ˡ, each followed by ReLU and dropout;
    where the widths differ, x passes a convolution of size 1. Output t reads inputs t − receptive_field + 1 … t, zeros
    before the first. Weights are normalised: w = g v / ‖v‖, g one number an output channel. With `norm="batch"` the
    outputs of each convolution are instead, before their ReLU: in training mode by their mean and variance over the
    batch and its time, padding left out, in evaluation, and where there is one step in all, by running averages of
    these. Pieces of a sequence have a mean and variance of their own: it streams in evaluation, and trains by `Full`.

    It streams: the state is a tuple of the last (kernel_size − 1) · dilation inputs of each convolution,
    [batch, channel, step]. To stream for long with weights at rest, run under
    `torch.nn.utils.parametrize.cached()`: they are then normalised once.

    The parameters of block l are in `blocks.l`: of each of its `convolutions` v [hidden_size, channels, kernel_size]
    and g [hidden_size, 1, 1], under torch's names `parametrizations.weight.original1` and `.original0`, and `bias`
    [hidden_size]; of `residual`, where the widths differ, `weight` [hidden_size, input_size, 1] and `bias`. So a
    block has K H (I + H) + 4 H numbers, K taps, and H (I + 1) more where I ≠ H. With `norm="batch"` there are as many:
    of each of the `convolutions` a `weight` alone, of each of the `norms` a `weight` and a `bias` [hidden_size].

    Args:
        input_size, hidden_size: features of x and of the output.
        num_layers: residual blocks.
        kernel_size: taps of each convolution.
        dilation_base: how much further apart the taps of each block are than those of the one before.
        dropout: of each convolution's outputs, number by number as in the authors' code, in training mode.
        bias: whether convolutions have biases; those before a batch normalisation, which has its own, never have.
        norm: what is normalised, "weight" or "batch".

    Raises:
        ConfigurationError: for a setting out of range.

    Example:
        >>> layer = CausalConv(3, 5, num_layers=2)
        >>> output, state = layer(torch.zeros(7, 2, 3))
        >>> output.shape, layer.receptive_field, [part.shape[-1] for part in state]
        (torch.Size([7, 2, 5]), 13, [2, 2, 4, 4])

    References:
        Bai, Kolter & Koltun, "An empirical evaluation of generic convolutional and recurrent networks for sequence
        modeling" (2018), https://arxiv.org/abs/1803.01271; Salimans & Kingma, "Weight normalization" (2016),
        https://arxiv.org/abs/1602.07868; Ioffe & Szegedy, "Batch normalization" (2015),
        https://arxiv.org/abs/1502.03167.
    """

    streams = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 4,
        kernel_size: int = 3,
        dilation_base: int = 2,
        dropout: float = 0.0,
        bias: bool = True,
        norm: str = "weight",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        smallest = min(input_size, hidden_size, num_layers, kernel_size, dilation_base)
        if smallest < 1 or not 0 <= dropout < 1 or norm not in ("weight", "batch"):
            raise ConfigurationError(
                f"CausalConv(input_size={input_size}, hidden_size={hidden_size}, num_layers={num_layers}, "
                f"kernel_size={kernel_size}, dilation_base={dilation_base}, dropout={dropout}, norm={norm!r}): "
                "expected sizes of at least 1, 0 ≤ dropout < 1 and norm 'weight' or 'batch'"
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.kernel_size, self.dilation_base, self.dropout = kernel_size, dilation_base, dropout
        self.bias, self.norm = bias, norm
        own, made = (hidden_size, kernel_size), {"device": device, "dtype": dtype}
        self.blocks = nn.ModuleList(
            _Block(hidden_size if layer else input_size, *own, dilation_base**layer, dropout, bias, norm, made)
            for layer in range(num_layers)
        )

    @property
    def output_size(self) -> int:
        """The number of features of the output."""
        return self.hidden_size

    @property
    def receptive_field(self) -> int:
        """How many inputs, the current one among them, an output reads."""
        return 1 + sum(_span(convolution) for convolution in self._convolutions())

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> State:
        """Zeros for each convolution, [batch, channel, (kernel_size − 1) · dilation]."""
        like = next(self.parameters())
        where = {"device": device or like.device, "dtype": dtype or like.dtype}
        return tuple(torch.zeros(shape, **where) for shape in self._state_shapes(batch_size))

    def forward(
        self, x: Tensor, state: State = None, *, lengths: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run over x [time, batch, input_size].

        Args:
            state: the state before the first step; `None` is zeros.
            lengths: integers [batch]; outputs past them are zero, the state is each sequence's own last.
            resets: bool [time, batch]; no output from these steps on reads what came before them.

        Returns:
            The outputs [time, batch, hidden_size] and the last state.

        Raises:
            ShapeError: where x does not fit the layer, or state, lengths or resets contradict it.
        """
        self._check(x, state, lengths, resets)
        time, batch = x.shape[:2]
        state = self.initial_state(batch, device=x.device, dtype=x.dtype) if state is None else tuple(state)
        if time == 0:
            return x.new_zeros(0, batch, self.hidden_size), state
        padding = None
        if lengths is not None:
            padding = torch.arange(time, device=x.device)[:, None] >= lengths
            x = x.masked_fill(padding[..., None], 0)
            resets = None if resets is None else resets & ~padding
        course = _Course(time, lengths, _numbered(resets), padding)
        values, after = x.permute(1, 2, 0), []
        for index, block in enumerate(self.blocks):
            values, histories = block(values, state[2 * index : 2 * index + 2], course)
            after += histories
        output = values.permute(2, 0, 1)
        return output if padding is None else output.masked_fill(padding[..., None], 0), tuple(after)

    def _convolutions(self) -> list[nn.Conv1d]:
        return [cast(nn.Conv1d, part) for block in self.blocks for part in cast(_Block, block).convolutions]

    def _state_shapes(self, batch: int) -> list[tuple[int, int, int]]:
        return [(batch, convolution.in_channels, _span(convolution)) for convolution in self._convolutions()]

    def _check(self, x: Tensor, state: State, lengths: Any, resets: Any) -> None:
        if x.dim() != 3:
            raise ShapeError(
                f"CausalConv got x {list(x.shape)}, expected [time, batch, {self.input_size}]: unsqueeze(1) for one "
                "sequence"
            )
        time, batch = x.shape[:2]
        check_features("CausalConv", x, self.input_size, next(self.parameters()))
        if lengths is not None:
            check_lengths("CausalConv", lengths, time, batch, x.device)
        if resets is not None:
            check_resets("CausalConv", resets, time, batch, x.device)
        if state is not None:
            self._check_state(state, batch)

    def _check_state(self, state: State, batch: int) -> None:
        wanted = self._state_shapes(batch)
        if not isinstance(state, (tuple, list)) or len(state) != len(wanted):
            given = f"{len(state)} tensors" if isinstance(state, (tuple, list)) else f"a {type(state).__name__}"
            raise ShapeError(f"CausalConv got a state of {given}, expected {len(wanted)}, one for each convolution")
        for index, (part, shape) in enumerate(zip(state, wanted, strict=True)):
            if tuple(part.shape) != shape:
                raise ShapeError(
                    f"CausalConv got a state {index} {list(part.shape)}, expected {list(shape)}, [batch, channel, step]"
                )

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return f"{self.input_size}, {self.hidden_size}, receptive_field={self.receptive_field}"


class _Course(NamedTuple):
    """What there is to know of the steps of one call.

    Args:
        steps: how many.
        lengths: of each sequence, [batch].
        numbers: how many resets there have been up to each step, [batch, time]; of the history none.
        padding: what lies past the lengths, bool [time, batch].
    """

    steps: int
    lengths: Tensor | None
    numbers: Tensor | None
    padding: Tensor | None

    def last(self, timeline: Tensor) -> Tensor:
        """What each sequence will still see of a timeline [batch, channel, history and steps]."""
        span = timeline.shape[-1] - self.steps
        if self.lengths is None and self.numbers is None:
            return timeline[..., self.steps :].clone()  # a view would hold the whole
        every = torch.full(timeline.shape[:1], self.steps, device=timeline.device)
        first = every if self.lengths is None else self.lengths.long()
        columns = first[:, None] + torch.arange(span, device=timeline.device)
        own = timeline.gather(2, columns[:, None].expand(-1, timeline.shape[1], -1))
        if self.numbers is None:
            return own
        past = self.with_history(span).gather(1, columns) != self.numbers[:, -1:]
        return own.masked_fill(past[:, None], 0)

    def with_history(self, span: int) -> Tensor:
        """The numbers of a timeline's columns, the first `span` of which are history."""
        return functional.pad(cast(Tensor, self.numbers), (span, 0))


class _Block(nn.Module):
    """Two convolutions and what passes them by."""

    def __init__(
        self,
        width: int,
        hidden_size: int,
        kernel_size: int,
        dilation: int,
        dropout: float,
        bias: bool,
        norm: str,
        made: dict[str, Any],
    ) -> None:
        super().__init__()
        by_weight = norm == "weight"
        convolutions = [
            nn.Conv1d(channels, hidden_size, kernel_size, dilation=dilation, bias=bias and by_weight, **made)
            for channels in (width, hidden_size)
        ]
        self.convolutions = nn.ModuleList(map(weight_norm, convolutions) if by_weight else convolutions)
        self.norms = nn.ModuleList([] if by_weight else [nn.BatchNorm1d(hidden_size, **made) for _ in convolutions])
        self.residual = nn.Identity() if width == hidden_size else nn.Conv1d(width, hidden_size, 1, bias=bias, **made)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, histories: Sequence[Tensor], course: _Course) -> tuple[Tensor, list[Tensor]]:
        beside, after = self.residual(x), []
        for place, (convolution, history) in enumerate(zip(self.convolutions, histories, strict=True)):
            timeline = torch.cat([history, x], -1)
            after.append(course.last(timeline))
            x = _convolved(cast(nn.Conv1d, convolution), timeline, course)
            if self.norms:
                x = _normalised(cast(nn.BatchNorm1d, self.norms[place]), x, course.padding)
            x = self.dropout(torch.relu(x))
        return torch.relu(x + beside), after


def _normalised(norm: nn.BatchNorm1d, x: Tensor, padding: Tensor | None) -> Tensor:
    """x [batch, channel, step] over a batch and its time; in training without padding, bool [step, batch]."""
    if not norm.training:
        return norm(x)
    real = None if padding is None else ~padding.T
    if (x[:, 0].numel() if real is None else int(real.sum())) < 2:  # one number has no variance
        return functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
    if real is None:
        return norm(x)
    return torch.zeros_like(x.mT).masked_scatter(real[..., None], norm(x.mT[real])).mT


def _convolved(convolution: nn.Conv1d, timeline: Tensor, course: _Course) -> Tensor:
    """[batch, channel, step]: by torch's convolution; a single step, and where there are resets, by one product."""
    weight, bias = convolution.weight, convolution.bias
    if course.numbers is not None:
        beyond = _taps(course.with_history(_span(convolution)), convolution) != course.numbers[..., None]
        taps = _taps(timeline.mT, convolution).masked_fill(beyond[..., None], 0)
        return functional.linear(taps.flatten(2), weight.mT.flatten(1), bias).mT
    if course.steps == 1:
        taps = timeline[..., :: convolution.dilation[0]]
        return functional.linear(taps.flatten(1), weight.flatten(1), bias)[..., None]
    return functional.conv1d(timeline, weight, bias, dilation=convolution.dilation)


def _taps(timeline: Tensor, convolution: nn.Conv1d) -> Tensor:
    """What each step of a convolution reads of a timeline [batch, history and steps, …], [batch, step, tap, …]."""
    starts = range(0, _span(convolution) + 1, convolution.dilation[0])
    return torch.stack([timeline[:, start : timeline.shape[1] - _span(convolution) + start] for start in starts], 2)


def _span(convolution: nn.Conv1d) -> int:
    """How many steps before the current one a convolution reads."""
    return (convolution.kernel_size[0] - 1) * convolution.dilation[0]


def _numbered(resets: Tensor | None) -> Tensor | None:
    """How many resets there have been, [batch, time]; `None` where there are none, and values may be looked at."""
    if resets is None or not (torch.compiler.is_compiling() or transformed() or bool(resets.any())):
        return None
    return resets.cumsum(0).T
