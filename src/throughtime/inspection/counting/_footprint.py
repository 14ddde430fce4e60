"""One forward over a batch, watched module by module: shapes, multiply-adds, and bytes kept for the backward."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parameter import is_lazy
from torch.nn.utils.rnn import PackedSequence
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from ..._errors import ConfigurationError, UnsupportedError
from ..._state import leaves
from ..._types import Batch
from ...gradients._meter import metered
from ...gradients.strategy import forward
from ...nn import CausalConv, MultiHeadAttention, Recurrent
from ...nn.cell import adapted
from ...nn.contract import accepted, has_state, initial_state
from ._formulas import ATTENTION, GATED, SCANNED, Shape, attended, products, recurrent_cell, spatial, whole
from ._joining import Joining

_UNKNOWN = {"aten::mkldnn_rnn_layer", "aten::_trilinear", "aten::_cdist_forward"}

Given: TypeAlias = Batch | Tensor | tuple[Tensor, ...]


@dataclass
class Seen:
    """A module, and what was seen of it in a forward.

    Args:
        name: in the model.
        module: itself.
        ran: whether it was run at all.
        calls: how often.
        input, output: the first call's shapes.
        extent: time and batch of the first call, of modules that read sequences.
        uses: steps of all calls together, of a recurrence.
        products: multiply-adds of all calls; `None` where no rule is known.
        looks: queries, keys and features of an attention, and how many sequences.
        credit: bytes saved for the backward, by itself and not by its parts.
        looked: how many looks there were when the present call began.
        sides: widths that went in, of a convolution or a pool.
        reads: how many inputs of the model an output reads along each axis, and how many it read before.
    """

    name: str
    module: nn.Module
    ran: bool = False
    calls: int = 0
    input: Shape | None = None
    output: Shape | None = None
    extent: tuple[int, int] | None = None
    uses: int = 0
    products: int | None = 0
    looks: list[tuple[int, int, int, int]] = field(default_factory=list)
    credit: int = 0
    looked: int = 0
    sides: Shape = ()
    reads: tuple[Field, Field] | None = None

    @property
    def recurrent(self) -> bool:
        """Whether one matrix is used at every step."""
        return isinstance(self.module, (*GATED, *SCANNED)) or recurrent_cell(self.module) is not None


@dataclass(frozen=True)
class Field:
    """How many inputs an output reads along each axis, and how far apart those of neighbouring outputs are."""

    size: Shape
    jump: Shape


def footprint(model: nn.Module, given: Given) -> list[Seen]:
    """What was seen of each module, in the order in which they begin; those that did not run come last.

    Raises:
        ConfigurationError: for a model whose parameters have no shape yet.
    """
    if any(is_lazy(part) for part in (*model.parameters(), *model.buffers())):
        raise ConfigurationError(
            f"{type(model).__name__} has lazy parameters, which get their shapes in the first forward: run it once"
        )
    beside = [*model.parameters(), *model.buffers(), *_tensors(given)]
    with undisturbed(model), torch.enable_grad(), metered(beside) as meter:
        walk = _Walk(model, lambda: meter.now)
        with walk.watching():
            output = run_over(model, given)
        meter.forget()
        del output
    rows = walk.rows
    if any(row.ran and row.products is None for row in rows):
        counted = _counted(model, given)
        for row in rows:
            if row.products is None and counted is not None:
                row.products = counted.get(row.name)
    return rows


def extent(given: Given, model: nn.Module, rows: list[Seen]) -> tuple[int | None, int]:
    """Time, if there is any, and batch."""
    if isinstance(given, Batch):
        time, batch = given.inputs.shape[:2]
        return (batch, time) if getattr(model, "batch_first", False) else (time, batch)
    first = _tensors(given)[0]
    own = next((row for row in rows if row.extent is not None), None)
    if own is not None and own.extent is not None:
        return (own.uses if own.extent[0] == 1 and own.recurrent else own.extent[0]), own.extent[1]
    if (has_state(model) or hasattr(model, "streams")) and first.dim() > 1:
        return first.shape[0], first.shape[1]
    return None, (first.shape[0] if first.dim() else 1)


class _Walk:
    """The hooks of one forward: each module's reading of a meter is credited to it alone."""

    def __init__(self, model: nn.Module, reading: Callable[[], int]) -> None:
        self.reading, self.last = reading, 0
        self.stack: list[Seen] = []
        self.order: list[Seen] = []
        self.of: dict[nn.Module, Seen] = {}
        self.fields: dict[int, tuple[Tensor, Field]] = {}
        self._enter(model, "", None)

    @property
    def rows(self) -> list[Seen]:
        """Those that ran, and the others."""
        every = {id(row): row for row in self.of.values()}.values()
        return [*self.order, *(row for row in every if not row.ran)]

    @contextmanager
    def watching(self) -> Iterator[None]:
        with ExitStack() as undo:
            for module in self.of:
                undo.callback(module.register_forward_pre_hook(self._before).remove)
                undo.callback(module.register_forward_hook(self._after, with_kwargs=True).remove)
                if isinstance(module, MultiHeadAttention):
                    module.attend = self._attending(module)
                    undo.callback(delattr, module, "attend")
            undo.enter_context(Joining(self.joined))
            yield

    def _enter(self, module: nn.Module, name: str, owner: Seen | None) -> None:
        if module in self.of:
            return
        row = owner or Seen(name, module)
        self.of[module] = row
        inside = row if owner is not None or whole(module) else None
        for own, child in module.named_children():
            self._enter(child, f"{name}.{own}" if name else own, inside)

    def _flush(self) -> None:
        now = self.reading()
        if self.stack:
            self.stack[-1].credit += now - self.last
        self.last = now

    def _push(self, row: Seen) -> None:
        self._flush()
        if not row.ran:
            row.ran = True
            self.order.append(row)
        self.stack.append(row)

    def _pop(self) -> None:
        self._flush()
        self.stack.pop()

    def _before(self, module: nn.Module, given: tuple[Any, ...]) -> None:
        row = self.of[module]
        row.looked = len(row.looks) if module is row.module else row.looked
        self._push(row)

    def _after(self, module: nn.Module, given: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        self._pop()
        row, shapes = self.of[module], [tuple(one.shape) for one in _tensors((*given, *named.values()))]
        output = shape_of(result)
        if module is not row.module:
            if isinstance(row.module, MultiHeadAttention) and not row.calls:
                row.input, row.output = row.input or (shapes[0] if shapes else None), output
                row.extent = row.extent or (None if row.input is None else (row.input[0], row.input[1]))
            if isinstance(row.module, MultiHeadAttention):
                row.products = (row.products or 0) + (products(module, shapes, output or ()) or 0)
            return
        row.calls += 1
        if row.input is None or row.calls == 1:
            row.input, row.output = shapes[0] if shapes else None, output
            row.extent = _extent_of(module, given)
        if row.recurrent:
            own = _extent_of(module, given)
            row.uses += 1 if own is None else own[0]
        self._count(row, shapes, output)
        self._follow(row, given, result)

    def _count(self, row: Seen, shapes: list[Shape], output: Shape | None) -> None:
        if isinstance(row.module, MultiHeadAttention):
            if len(row.looks) == row.looked:
                queries, keys = shapes[0], shapes[1] if len(shapes) > 1 and len(shapes[1]) == 3 else shapes[0]
                self._look(row, queries[1], queries[0], keys[0], row.module.query_size)
            return
        found = products(row.module, shapes, output or ())
        if isinstance(row.module, nn.MultiheadAttention) and found is not None and row.extent is not None:
            keys = shapes[1][1 if row.module.batch_first and len(shapes[1]) == 3 else 0]
            row.looks.append((row.extent[1], row.extent[0], keys, row.module.embed_dim))
        row.products = None if found is None or row.products is None else row.products + found

    @staticmethod
    def _look(row: Seen, sequences: int, queries: int, keys: int, size: int) -> None:
        row.looks.append((sequences, queries, keys, size))
        row.products = (row.products or 0) + sequences * attended(queries, keys, size)

    def _attending(self, module: MultiHeadAttention) -> Any:
        attend, row = module.attend, self.of[module]

        def watched(query: Tensor, key: Tensor, *given: Any, **named: Any) -> Tensor:
            self._push(row)
            seen = attend(query, key, *given, **named)
            self._pop()
            whole = prod(query.shape[:-2]) * query.shape[-1] // module.query_size
            self._look(row, whole, query.shape[-2], key.shape[-2], module.query_size)
            return seen

        return watched

    def _follow(self, row: Seen, given: tuple[Any, ...], result: Any) -> None:
        """The receptive field of what came out, if that of what went in is known."""
        if not given or not isinstance(given[0], Tensor) or not isinstance(result, Tensor):
            return
        x, sizes = given[0], spatial(row.module)
        if sizes is None and any(True for _ in row.module.children()):
            return  # the modules inside have told
        axes = len(sizes[0]) if sizes is not None else x.dim() - 2
        if axes < 1:
            return
        known = self.fields.get(id(x))
        before = None if known is None else known[1]
        if before is None and not self.fields:
            before = Field((1,) * axes, (1,) * axes)
            self._keep(x, before)
        after = before
        if sizes is not None:
            row.sides = row.sides or tuple(x.shape[-axes:])
            if before is not None:
                after = _grown(before, *sizes)
                row.reads = row.reads or (before, after)
        elif x.shape[2:] != result.shape[2:] or products(row.module, [tuple(x.shape)], ()) != 0:
            return
        if after is not None and len(after.size) == axes:
            self._keep(result, after)

    def _keep(self, tensor: Tensor, field: Field) -> None:
        self.fields[id(tensor)] = (tensor, field)

    def joined(self, tensors: Sequence[Tensor], result: Tensor) -> None:
        """What is computed number by number has seen all that any of its operands has."""
        known = [self.fields[id(one)][1] for one in tensors if id(one) in self.fields]
        if known and all(one.jump == known[0].jump for one in known):
            size = tuple(max(sizes) for sizes in zip(*(one.size for one in known), strict=True))
            self._keep(result, Field(size, known[0].jump))


def _grown(before: Field, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Field:
    size, jump = [], []
    for read, apart, taps, step, spread in zip(before.size, before.jump, kernel, stride, dilation, strict=True):
        size.append(read + (taps - 1) * spread * apart)
        jump.append(apart * step)
    return Field(tuple(size), tuple(jump))


def _extent_of(module: nn.Module, given: tuple[Any, ...]) -> tuple[int, int] | None:
    """Time and batch of a call to a module that reads sequences, or steps of them."""
    if not given:
        return None
    if isinstance(given[0], PackedSequence):
        return len(given[0].batch_sizes), int(given[0].batch_sizes[0])
    shape = tuple(given[0].shape) if isinstance(given[0], Tensor) else ()
    if isinstance(module, (nn.RNNBase, nn.MultiheadAttention)):
        time, batch = (shape[0], shape[1] if len(shape) == 3 else 1) if shape else (1, 1)
        return (batch, time) if len(shape) == 3 and module.batch_first else (time, batch)
    if isinstance(module, (*SCANNED, *GATED)) and len(shape) < 3:
        return 1, shape[0] if len(shape) == 2 else 1
    known = isinstance(module, (*SCANNED, *ATTENTION, CausalConv, Recurrent))
    return (shape[0], shape[1]) if known and len(shape) > 2 else None


def _counted(model: nn.Module, given: Given) -> dict[str, int] | None:
    """Multiply-adds of each module by itself, as torch counts them; `None` where it cannot."""
    counter = FlopCounterMode(display=False)
    walk = _Walk(model, counter.get_total_flops)
    try:
        plain = sdpa_kernel(SDPBackend.MATH)
        with undisturbed(model), torch.no_grad(), plain, counter, walk.watching(), _Doubting(walk) as doubting:
            run_over(model, given)
    except (RuntimeError, NotImplementedError, TypeError):
        return None
    return {row.name: row.credit // 2 for row in walk.rows if row.name not in doubting.names}


class _Doubting(TorchDispatchMode):
    """Notes which modules call what torch's counter takes for nothing though it multiplies, or may."""

    def __init__(self, walk: _Walk) -> None:
        super().__init__()
        self.walk = walk
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        foreign = func.namespace not in ("aten", "prim") or func._schema.name in _UNKNOWN
        if foreign and func._overloadpacket not in flop_registry and self.walk.stack:
            self.names.add(self.walk.stack[-1].name)
        return func(*args, **(kwargs or {}))


def run_over(model: nn.Module, given: Given) -> Any:
    """The model's output."""
    if isinstance(given, Batch):
        if has_state(model) or not _takes_one(model):
            return forward(model, given, None)
        extras = accepted(model, type(model).__name__, lengths=given.lengths, resets=given.resets)
        return model(given.inputs, **extras)
    tensors = _tensors(given)
    if len(tensors) == 1 and not _takes_one(model) and hasattr(model, "initial_state"):
        x = tensors[0]
        return model(x, initial_state(model, x.shape[0] if x.dim() < 3 else x.shape[1]))
    return model(*tensors)


def _takes_one(model: nn.Module) -> bool:
    """Whether it may be called on its input alone."""
    try:
        inspect.signature(model.forward).bind(None)
    except TypeError:
        return False
    return True


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Inside, buffers and random numbers may be used up; afterwards they are as before."""
    buffers = [
        (part, name, buffer, buffer.clone())
        for part in model.modules()
        for name, buffer in part.named_buffers(recurse=False)
    ]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it would pass over the modules inside
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        with torch.no_grad():
            for part, name, buffer, copy in buffers:
                part._buffers[name] = buffer.copy_(copy)


def _tensors(given: Any) -> list[Tensor]:
    """The tensors that came in, those of a pair by themselves."""
    if isinstance(given, Batch):
        marks = (given.inputs, given.targets, given.lengths, given.resets)
        return [one for one in marks if isinstance(one, Tensor)]
    if isinstance(given, Tensor):
        return [given]
    if isinstance(given, PackedSequence):
        return [given.data]
    return [one for part in given for one in _tensors(part)] if isinstance(given, (tuple, list)) else []


def shape_of(result: Any) -> Shape | None:
    """Of a tensor, of the first of several, of what a distribution is over."""
    if isinstance(result, Distribution):
        return tuple(result.batch_shape + result.event_shape)
    found = _tensors(result)
    return tuple(found[0].shape) if found else None


def state_of(module: nn.Module) -> tuple[int, int] | None:
    """Numbers and bytes that a stream of one sequence carries from step to step; `None` where nothing streams."""
    if getattr(module, "bidirectional", False):
        return None
    try:
        state = adapted(cast(Any, module))[1](1) if isinstance(module, nn.RNNCellBase) else initial_state(module, 1)
    except (TypeError, UnsupportedError):
        return None
    parts = [part for _, part in leaves(state)]
    if not parts:
        return None
    return sum(part.numel() for part in parts), sum(part.numel() * part.element_size() for part in parts)
