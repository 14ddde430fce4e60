"""Layers and directions of one recurrence: what RNN, GRU and LSTM share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, Unpack, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from .._errors import ConfigurationError, ShapeError, UnsupportedError
from .._state import map_state
from .._types import State
from ..ops import Call, Choice, check_backend, choose, fused, native, product_dtype, scan, transformed
from ._checks import check_features, check_lengths, check_resets, check_state
from ._initialise import initialise_as_asked, initialise_extras
from ._layout import Layout
from ._step import Masked, Step, Visit, drop_weight, is_masked, without_masks
from .options import Options, Recurrence, read_options
from .stepper import LayerStepper, PackedStepper, Stepper

_RunDirection: TypeAlias = Callable[..., tuple[Tensor, State]]
"""`output, state = run(suffix, x, state, lengths, resets, reverse=…)`, for the direction whose parameters end so."""


class Stack(nn.RNNBase):
    """A drop-in replacement of torch.nn's recurrent layers: constructor, weights and their names are torch's own.

    Parameters that torch lacks follow its naming, as `gain_ih_l0_reverse`.
    """

    recurrence: Recurrence
    visitor: Callable[[str], Visit] | None = None
    """Where set, as by `visited`, gives what sees each step of the direction whose parameters end so."""

    def __init__(
        self,
        recurrence: Recurrence,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        backend: str = "auto",
        **options: Unpack[Options],
    ) -> None:
        shape = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)
        try:
            super().__init__(recurrence.kind.upper(), *shape, device, dtype)
        except ValueError as error:
            given = f"input_size={input_size}, hidden_size={hidden_size}, num_layers={num_layers}, dropout={dropout}"
            raise ConfigurationError(f"{error}; got {given}, proj_size={proj_size}") from None
        self.backend = check_backend(backend)
        self.noise, self.start = read_options(options, recurrence, bias)
        self.recurrence = recurrence
        for suffix in self.suffixes():
            for name, extra in recurrence.extras.items():
                self.register_parameter(name + suffix, nn.Parameter(torch.empty(extra, device=device, dtype=dtype)))
        self._initialise()

    def reset_parameters(self) -> None:
        """Draw new parameters: torch's distribution, then what the options ask for."""
        super().reset_parameters()
        if "recurrence" in vars(self):  # torch's constructor calls this before there is one
            self._initialise()

    def _initialise(self) -> None:
        for suffix in self.suffixes():
            group = self.group(suffix)
            initialise_extras(self.recurrence, group, self.hidden_size)
            initialise_as_asked(self.recurrence, group, self.start)

    @property
    def streams(self) -> bool:
        """Whether a sequence may be fed in pieces, time first, with the state passed on."""
        return not (self.bidirectional or self.batch_first)

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> State:
        """Zeros [layers × directions, batch, hidden_size]; of an LSTM h and C."""
        like = self._first_weight
        where = {"device": device or like.device, "dtype": dtype or like.dtype}
        parts = [torch.zeros(shape, **where) for shape in self._state_shapes(batch_size)]
        return tuple(parts) if len(parts) > 1 else parts[0]

    def choice(self, x: Tensor, *, lengths: bool = False, resets: bool = False) -> Choice:
        """The backend that such a call takes, and why."""
        return self._choice(x, self.training, lengths, resets)

    def _choice(self, x: Tensor, training: bool, lengths: bool = False, resets: bool = False) -> Choice:
        options = self.recurrence.options + self.noise.at_work(training)
        device = x.device.type
        dtype = product_dtype(x.dtype, device)
        call = Call(
            self.recurrence.kind,
            options,
            lengths,
            resets,
            device,
            dtype,
            projected=self.proj_size > 0,
            transformed=transformed(),
        )
        return choose(call, self.backend)

    def stepper(self, batch_size: int = 1) -> Stepper:
        """The layer one step at a time, in real time, with a state of its own; see `Stepper`.

        Raises:
            ShapeError: for a batch size below 1.
            UnsupportedError: for a bidirectional layer, which has no step.
        """
        if batch_size < 1:
            raise ShapeError(f"batch_size={batch_size}: expected at least 1")
        if self.bidirectional:
            raise UnsupportedError(
                "a bidirectional layer has no step: it reads a whole sequence before its first output"
            )
        like = self._first_weight
        if like.dtype != torch.float32 or self._choice(like, training=False).backend != "native":
            return LayerStepper(self, batch_size)
        weights = [self._kernel_weights(self.group(suffix)) for suffix in self.suffixes()]
        return PackedStepper(self.recurrence.kind, weights, batch_size)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: State = None,
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Any, State]:
        """Run over `input`, from the state `hx` or zeros.

        Args:
            input: [time, batch, input_size], or [batch, time, input_size] with `batch_first`; [time, input_size] for
                one sequence; or a PackedSequence.
            hx: [layers × directions, batch, hidden_size]; of an LSTM a pair (h, C) of them.
            lengths: integers [batch]: how many steps of each sequence are real. Outputs past them are zero, the state
                returned is each one's own last, and the reverse direction starts at each one's own end.
            resets: bool, the first two axes of the input: the state before these steps is the initial zeros; for the
                reverse direction a sequence ends before a reset.

        Returns:
            The output [time, batch, directions × hidden_size], laid out as the input, and the last state as `hx`.

        Raises:
            ShapeError: where lengths, resets, state and input contradict each other or the layer.
            UnsupportedError: where the backend asked for has no rule for the call.
        """
        layout = Layout.of(type(self).__name__, input, self.batch_first)
        x, lengths, resets = layout.unify(input, lengths, resets)
        state = self._checked(layout, x, hx, lengths, resets)
        backend = self.choice(x, lengths=lengths is not None, resets=resets is not None).backend
        if backend == "native" and x.numel():
            output, state = self._run_by_direction(self._run_kernel, x, state, lengths, resets)
            return layout.restore(output, state)
        if state is None:
            state = self.initial_state(x.shape[1], device=x.device, dtype=x.dtype)
        if backend == "torch" and x.numel():
            output, state = self._run_whole(x, state, lengths)
        else:
            output, state = self._run_by_direction(self._run_equations, x, state, lengths, resets)
        return layout.restore(output, state)

    def _checked(self, layout: Layout, x: Tensor, hx: State, lengths: Any, resets: Any) -> State:
        """The state given, if any, all having been checked against each other."""
        name, (time, batch) = layout.name, x.shape[:2]
        check_features(name, x, self.input_size, self._first_weight)
        if lengths is not None:
            check_lengths(name, lengths, time, batch, x.device)
        if resets is not None:
            check_resets(name, resets, time, batch, x.device)
        if hx is None:
            return None
        plain = without_masks(hx)
        shapes = tuple((s[0], s[2]) if layout.unbatched else s for s in self._state_shapes(batch))
        check_state(name, plain, shapes, time, x)
        return layout.unify_state(tuple(hx) if isinstance(hx, list) else hx)

    def _run_whole(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """All layers and directions in one call of torch's."""
        plain = without_masks(state)
        weights = [weight for suffix in self.suffixes() for weight in self._dropped(suffix).values()]
        return fused(
            self.recurrence.kind,
            x,
            map_state(Tensor.contiguous, plain),
            weights,
            bias=self.bias,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout,
            training=self.training,
            lengths=lengths,
        )

    def _run_by_direction(
        self, run: _RunDirection, x: Tensor, state: State, lengths: Any, resets: Any
    ) -> tuple[Tensor, State]:
        """Layer after layer, each direction by itself."""
        suffixes, finals = self.suffixes(), []
        directions = 2 if self.bidirectional else 1
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(directions):
                index = layer * directions + direction
                output, after = run(suffixes[index], x, _at(state, index), lengths, resets, reverse=direction == 1)
                outputs.append(output)
                finals.append(after)
            x = torch.cat(outputs, -1) if self.bidirectional else outputs[0]
            if self.dropout and layer < self.num_layers - 1:
                x = functional.dropout(x, self.dropout, self.training)
        return x, _joined(finals)

    def _run_kernel(
        self, suffix: str, x: Tensor, state: State, lengths: Any, resets: Any, *, reverse: bool
    ) -> tuple[Tensor, State]:
        weights = self._kernel_weights(self._dropped(suffix))
        marks = {"lengths": lengths, "resets": resets}
        return native.recurrence(self.recurrence.kind, x, without_masks(state), *weights, **marks, reverse=reverse)

    @staticmethod
    def _kernel_weights(own: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        return own["weight_ih"], own["weight_hh"], own.get("bias_ih"), own.get("bias_hh")

    def _run_equations(
        self, suffix: str, x: Tensor, state: State, lengths: Any, resets: Any, *, reverse: bool
    ) -> tuple[Tensor, State]:
        visit = None if self.visitor is None else self.visitor(suffix)
        step = Step(self.recurrence, self._dropped(suffix), self.noise, self.training, visit)
        before = step.ready(state)
        zeros = map_state(torch.zeros_like, without_masks(before))
        return scan(step, x, before, fresh=lambda: step.begin(zeros), lengths=lengths, resets=resets, reverse=reverse)

    @property
    def _first_weight(self) -> Tensor:
        return cast(Tensor, self.weight_ih_l0)

    def suffixes(self) -> list[str]:
        """The endings of the parameters of each layer and direction."""
        directions = ("", "_reverse") if self.bidirectional else ("",)
        return [f"_l{layer}{direction}" for layer in range(self.num_layers) for direction in directions]

    def group(self, suffix: str) -> dict[str, Tensor]:
        """The parameters of one layer and direction by the names they have in a cell."""
        names = ["weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if self.bias else ())]
        names += [*(("weight_hr",) if self.proj_size else ()), *self.recurrence.extras]
        return {name: getattr(self, name + suffix) for name in names}

    def _dropped(self, suffix: str) -> dict[str, Tensor]:
        return drop_weight(self.group(suffix), self.noise.weight_drop, self.training)

    def _state_shapes(self, batch: int) -> tuple[tuple[int, int, int], ...]:
        count = self.num_layers * (2 if self.bidirectional else 1)
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)
        return tuple((count, batch, size) for size in sizes[: self.recurrence.parts])

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        backend = () if self.backend == "auto" else (f"backend={self.backend!r}",)
        return ", ".join((super().extra_repr(), *self.recurrence.options, *self.noise.described(), *backend))


def _at(state: State, index: int) -> State:
    """The state of one layer and direction."""
    if is_masked(state):
        masks = (state["input_mask"], state["recurrent_mask"])
        input_mask, recurrent_mask = (None if mask is None else mask[index] for mask in masks)
        return Masked(state=_at(state["state"], index), input_mask=input_mask, recurrent_mask=recurrent_mask)
    return map_state(lambda part: part[index], state)


def _joined(states: list[State]) -> State:
    """The states of all layers and directions as one."""
    if is_masked(states[0]):
        plain, inputs, recurrents = zip(*(state.values() for state in states), strict=True)
        return Masked(state=_joined(list(plain)), input_mask=_together(inputs), recurrent_mask=_together(recurrents))
    if len(states) == 1:
        return map_state(lambda part: part.unsqueeze(0), states[0])
    return map_state(lambda *parts: torch.stack(parts), *states)


def _together(masks: tuple[Any, ...]) -> Any:
    return None if masks[0] is None else masks
