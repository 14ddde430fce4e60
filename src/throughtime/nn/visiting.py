"""Every step of every recurrence inside a module, seen as it is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from .._errors import UnsupportedError
from .._state import leaves
from .._types import State
from ..ops import EQUATIONS
from ._scanned import Scanned, ScannedCell
from ._stack import Stack
from ._step import Step, without_masks
from .acceleration import obstacle, successor
from .cell import GatedCell, adapted, kind_of
from .recurrent import Recurrent


@dataclass(frozen=True)
class Place:
    """Where a recurrence stands in a module.

    Args:
        name: of the layer or cell in the module, with its layer and direction where it has several; of one deep inside
            that is the only one of its class, the class.
        kind: one of `ops.KINDS`, "mingru" or "minlstm"; of another cell the name of its class.
        parameters: of this layer and direction, by the names they have in a cell.
        options: what it asks for beyond torch's equations, in words.
        reverse: whether it runs from the end to the beginning.
        cell: the cell or layer itself.
        step: `after = step(x, before)`, any one step again; `None` where there is none.
        apart: whether its output is made from its state, and is no part of it.
    """

    name: str
    kind: str
    parameters: Mapping[str, Tensor]
    options: tuple[str, ...] = ()
    reverse: bool = False
    cell: nn.Module | None = None
    step: Callable[[Tensor, State], State] | None = None
    apart: bool = False


Visit: TypeAlias = Callable[[Place, Tensor, State, State], State]
"""`after = visit(place, x, before, after)`: x [batch, feature], the state a step read, and the one it made."""


@contextmanager
def visited(module: nn.Module, visit: Visit) -> Iterator[tuple[Place, ...]]:
    """Inside, recurrences of `module` run step by step, by their equations, and hand each step to `visit`.

    What `visit` returns goes on to the next step, and as the output where the output is part of the state. Layers of
    ours and of torch.nn, any cell in `Recurrent`, and cells that a module calls in a loop of its own are seen; the
    module computes the same numbers, and is left as it was.

    Args:
        visit: called in the order of the steps; of a direction that runs backward, from the end.

    Returns:
        The recurrences there are, in the order of their modules; none where the module has none.

    Raises:
        UnsupportedError: for a layer of torch.nn that does more than torch's own.

    Example:
        >>> layer, seen = nn.GRU(2, 3), []
        >>> def note(place, x, before, after):
        ...     seen.append((place.name, place.kind, after.shape))
        ...     return after
        >>> with visited(layer, note):
        ...     output, _ = layer(torch.zeros(4, 1, 2))
        >>> len(seen), seen[0]
        (4, ('GRU', 'gru', torch.Size([1, 3])))
    """
    places: list[Place] = []
    with ExitStack() as undo:
        for name, part in _named(module).items():
            places += _ENTRANCES[_sort(part)](name, part, visit, undo)
        yield tuple(places)


def _named(module: nn.Module) -> dict[str, nn.Module]:
    """The recurrences by name: the module's own attribute; deep inside, the class where there is one of it alone."""
    inside: set[nn.Module] = set()
    found: list[tuple[str, nn.Module]] = []
    for name, part in module.named_modules():
        if part not in inside and _sort(part):
            inside |= set(part.modules())
            found.append((name, part))
    kinds = [type(part).__name__ for _, part in found]
    short = {name: not name or ("." in name and kinds.count(type(part).__name__) == 1) for name, part in found}
    taken = {name for name, _ in found}
    return {
        type(part).__name__ if short[name] and type(part).__name__ not in taken else name: part for name, part in found
    }


def _sort(part: nn.Module) -> str:
    if isinstance(part, Stack):
        return "stack"
    if isinstance(part, nn.RNNBase):
        return "torch"
    if isinstance(part, Scanned):
        return "scanned"
    if isinstance(part, Recurrent):
        return "recurrent"
    return "cell" if isinstance(part, (nn.RNNCellBase, GatedCell, ScannedCell)) else ""


def _stack(name: str, layer: Any, visit: Visit, undo: ExitStack) -> list[Place]:
    places = {suffix: _place_of(name, layer, suffix) for suffix in layer.suffixes()}
    before = layer.backend, layer.visitor

    def restore() -> None:
        layer.backend, layer.visitor = before

    undo.callback(restore)
    layer.backend, layer.visitor = "reference", lambda suffix: partial(visit, places[suffix])
    return list(places.values())


def _place_of(name: str, layer: Stack, suffix: str) -> Place:
    number = f", layer {int(suffix.split('_')[1][1:]) + 1}" if layer.num_layers > 1 else ""
    reverse = suffix.endswith("_reverse")
    direction = (", backward" if reverse else ", forward") if layer.bidirectional else ""
    return _ours(f"{name}{number}{direction}", layer, layer.group(suffix), reverse)


def _ours(name: str, owner: Stack | GatedCell, parameters: Mapping[str, Tensor], reverse: bool = False) -> Place:
    recurrence, noise = owner.recurrence, owner.noise
    step = Step(recurrence, parameters, noise, training=False)
    options = (*recurrence.options, *noise.at_work(False))
    return Place(name, recurrence.kind, parameters, options, reverse, owner, step=lambda x, before: step(x, before)[1])


def _torch(name: str, layer: Any, visit: Visit, undo: ExitStack) -> list[Place]:
    reason = obstacle(layer)
    if reason is not None:
        raise UnsupportedError(f"{name} cannot be taken step by step: {reason}")
    ours = successor(layer)
    _replace_forward(layer, ours.forward, undo)
    return _stack(name, ours, visit, undo)


def _scanned(name: str, layer: Any, visit: Visit, undo: ExitStack) -> list[Place]:
    runs, places = [], []
    for index, cell in enumerate(layer.cells):
        runs.append(Recurrent(cell))
        own = f"{name}, layer {index + 1}" if len(layer.cells) > 1 else name
        places += _cell(own, cell, visit, undo)

    def forward(x: Tensor, state: State = None, **marks: Any) -> tuple[Tensor, State]:
        state = layer.initial_state(x.shape[1], device=x.device, dtype=x.dtype) if state is None else state
        last = []
        for run, h in zip(runs, state.unbind(0), strict=True):
            x, h = run(x, h, **marks)
            last.append(h)
        return x, torch.stack(last)

    _replace_forward(layer, forward, undo)
    return places


def _replace_forward(layer: nn.Module, forward: Callable[..., Any], undo: ExitStack) -> None:
    """For a while; one that the layer itself, and not its class, had comes back."""
    if "forward" in vars(layer):
        undo.callback(setattr, layer, "forward", vars(layer)["forward"])
    else:
        undo.callback(delattr, layer, "forward")
    layer.forward = forward


def _recurrent(name: str, layer: Any, visit: Visit, undo: ExitStack) -> list[Place]:
    return _cell(name, layer.cell, visit, undo)


def _cell(name: str, cell: Any, visit: Visit, undo: ExitStack) -> list[Place]:
    parameters = dict(cell.named_parameters())
    bare = isinstance(cell, nn.RNNCellBase)
    if isinstance(cell, GatedCell):
        place = _ours(name, cell, parameters)
    elif isinstance(cell, nn.RNNCellBase):
        kind = kind_of(cell)
        place = Place(name, kind, parameters, cell=cell, step=partial(_equation, kind, parameters))
    else:
        kind = cell.kind if isinstance(cell, ScannedCell) else type(cell).__name__
        place = Place(name, kind, parameters, cell=cell, step=lambda x, before: cell(x, before)[1])

    def hook(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any], result: Any) -> Any:
        x, before = given[0], given[1] if len(given) > 1 else named.get("state", named.get("hx"))
        output, after = (None, result) if bare else result
        if before is None:
            before = adapted(cell)[1](len(x))
        apart = not bare and all(output is not part for _, part in leaves(after))
        replaced = visit(replace(place, apart=apart), x, without_masks(before), after)
        return replaced if bare else (_same_part(output, after, replaced), replaced)

    handle = cell.register_forward_hook(hook, with_kwargs=True)
    undo.callback(handle.remove)
    return [place]


def _equation(kind: str, parameters: Mapping[str, Tensor], x: Tensor, before: State) -> State:
    return EQUATIONS[kind](x, before, **parameters)


def _same_part(output: Any, after: State, replaced: State) -> Any:
    """The part of `replaced` that stands where `output` stood in `after`, or `output` where it stood nowhere."""
    for (_, old), (_, new) in zip(leaves(after), leaves(replaced), strict=True):
        if old is output:
            return new
    return output


_ENTRANCES = {"stack": _stack, "torch": _torch, "scanned": _scanned, "recurrent": _recurrent, "cell": _cell}
