"""Our layers beside torch.nn's with the same weights: every result, every gradient, every backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor, nn

from ..._errors import ConfigurationError, UnsupportedError
from ..._state import leaves, map_state
from ...nn import RNN
from ...nn._stack import Stack
from ...nn.acceleration import obstacle, successor
from ...nn.cell import GatedCell, adapted
from ...nn.contract import initial_state
from ...nn.rnn import RNNCell
from ._picture import draw_parity

_BACKENDS = ("reference", "native", "torch")
_EPSILON = torch.finfo(torch.float32).eps
_Results: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True)
class ParityRow:
    """One result or gradient of one backend.

    Args:
        backend: "reference", "native" or "torch".
        quantity: "output", "h", "C", or as "∂ weight_hh_l0" the gradient by an input, a state or a weight.
        error: the largest |ours − exact|, ours in float32, exact being torch.nn's in float64.
        torchs_error: the same of torch.nn's own float32.
        bound: 2 × torchs_error + 4 eps × scale, the scale being the largest |exact|, and at least 1.
        ulps: the error in units in the last place of the largest |exact|.
        identical: whether ours is torch.nn's float32 bit for bit.
    """

    backend: str
    quantity: str
    error: float
    torchs_error: float
    bound: float
    ulps: float
    identical: bool

    @property
    def holds(self) -> bool:
        """Whether the error is within the bound."""
        return self.error <= self.bound


@dataclass(frozen=True)
class Parity:
    """What `parity` found.

    Args:
        layer: that it is about.
        rows: backend after backend, quantity after quantity.
        refused: the backends that cannot run this layer, each with the reason.
        steps, batch, seed: of the sequences that were drawn.
    """

    layer: str
    rows: tuple[ParityRow, ...]
    refused: tuple[tuple[str, str], ...]
    steps: int
    batch: int
    seed: int

    @property
    def agrees(self) -> bool:
        """Whether every row is within its bound."""
        return all(row.holds for row in self.rows)

    @property
    def worst(self) -> ParityRow:
        """The row that is furthest beyond its bound, or nearest to it."""
        return max(self.rows, key=lambda row: row.error / row.bound)

    @property
    def backends(self) -> tuple[str, ...]:
        """Those that ran."""
        return tuple(dict.fromkeys(row.backend for row in self.rows))

    @property
    def verdict(self) -> str:
        """A sentence."""
        row = self.worst
        errors = f"{row.error:.1e}, bound {row.bound:.1e}, torch's own {row.torchs_error:.1e}"
        shown = f"{row.quantity} by {row.backend}: {errors}"
        if self.agrees:
            return (
                f"as exact as torch.nn within the bound, on {', '.join(self.backends)}; nearest to its bound is {shown}"
            )
        count = sum(not row.holds for row in self.rows)
        return f"beyond the bound in {count} of {len(self.rows)}; worst is {shown}"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        return {
            "layer": self.layer,
            "agrees": self.agrees,
            "verdict": self.verdict,
            "steps": self.steps,
            "batch": self.batch,
            "seed": self.seed,
            "refused": dict(self.refused),
            "rows": [vars(row) | {"holds": row.holds} for row in self.rows],
        }

    def table(self) -> Table:
        """A row a quantity, a column a backend."""
        notes = [self.verdict, "=: bit for bit torch.nn's float32; !: beyond the bound"]
        notes += [f"{backend}: {reason}" for backend, reason in self.refused]
        table = Table(title="largest error beside float64", caption="\n".join(notes))
        table.add_column("of", overflow="fold")
        for heading in ("torch.nn", "bound", *self.backends):
            table.add_column(heading, justify="right", no_wrap=True)
        for quantity in dict.fromkeys(row.quantity for row in self.rows):
            own = [row for row in self.rows if row.quantity == quantity]
            cells = [f"{row.error:.1e}{'=' if row.identical else '' if row.holds else '!'}" for row in own]
            table.add_row(quantity, f"{own[0].torchs_error:.1e}", f"{own[0].bound:.1e}", *cells)
        return table

    def plot(self) -> Figure:
        """Of each quantity the error of each backend, torch.nn's own, and the bound."""
        return draw_parity(self)


def parity(layer: nn.Module, *, batch: int = 3, steps: int = 17, seed: int = 0) -> Parity:
    """Compare a layer or cell of ours with torch.nn's of the same weights, on random sequences, on the CPU.

    Looked at are the outputs, the last state, and the gradients by x, by the initial state and by every weight, for a
    random cotangent on each output and on the last state. Everything is computed in float32 by each backend that can,
    and judged beside torch.nn's in float64: an error may be twice that of torch.nn's own float32, and four roundings.
    Of a layer of torch.nn its successor under `accelerate` is looked at. A cell takes one step. The layer stays as it
    is, and runs in evaluation mode: dropout is off.

    Args:
        layer: an RNN, GRU or LSTM of ours or of torch.nn, or a cell of ours.
        batch, steps: the size of what is drawn.
        seed: of it.

    Raises:
        UnsupportedError: where torch.nn has no such layer: other modules, and options that it lacks.
        ConfigurationError: for a batch or steps below 1.

    Example:
        >>> from throughtime.nn import GRU
        >>> found = parity(GRU(3, 5))
        >>> found.agrees, [row.quantity for row in found.rows[:4]]
        (True, ['output', 'h', '∂ x', '∂ h'])
    """
    if batch < 1 or steps < 1:
        raise ConfigurationError(f"batch={batch}, steps={steps}: expected at least 1 of each")
    theirs, ours = _pair(layer)
    generator = torch.Generator().manual_seed(seed)
    given = _draw(theirs, batch, steps, generator)
    exact, plain = (_results(deepcopy(theirs).to(dtype), given, dtype) for dtype in (torch.float64, torch.float32))
    rows: list[ParityRow] = []
    refused: list[tuple[str, str]] = []
    for backend in _BACKENDS if isinstance(ours, Stack) else ("reference",):
        one = deepcopy(ours)
        if isinstance(one, Stack):
            one.backend = backend
        try:
            found = _results(one, given, torch.float32)
        except UnsupportedError as error:
            refused.append((backend, str(error)))
            continue
        rows += [_row(backend, name, found[name], plain[name], exact[name]) for name in exact]
    return Parity(repr(layer), tuple(rows), tuple(refused), steps, batch, seed)


def _row(backend: str, quantity: str, found: Tensor, plain: Tensor, exact: Tensor) -> ParityRow:
    error, torchs_error = ((one.double() - exact).abs().max().item() for one in (found, plain))
    largest = exact.abs().max()
    ulp = torch.nextafter(largest.float(), torch.tensor(torch.inf)).double() - largest.float().double()
    bound = 2 * torchs_error + 4 * _EPSILON * max(1.0, largest.item())
    return ParityRow(backend, quantity, error, torchs_error, bound, error / ulp.item(), torch.equal(found, plain))


def _pair(layer: nn.Module) -> tuple[nn.Module, nn.Module]:
    """torch.nn's and ours, in float32 and with the same weights, neither of them the layer itself."""
    if not isinstance(layer, (nn.RNNBase, GatedCell)):
        raise UnsupportedError(
            f"parity of {type(layer).__name__}: expected an RNN, GRU or LSTM of throughtime.nn or torch.nn, or a cell "
            "of throughtime.nn; what torch.nn has no twin of is looked at by gradcheck"
        )
    if isinstance(layer, nn.RNNBase) and not isinstance(layer, Stack):
        reason = obstacle(layer)
        if reason is not None:
            raise UnsupportedError(f"parity of {type(layer).__name__}: no layer of ours takes its place, {reason}")
        theirs = deepcopy(layer).to("cpu", torch.float32).eval()
        return theirs, successor(deepcopy(theirs))
    _refuse_options(layer)
    ours = deepcopy(layer).to("cpu", torch.float32).eval()
    with torch.random.fork_rng(devices=[]):  # it draws weights, which are then replaced
        theirs = _twin(ours).eval()
    theirs.load_state_dict(ours.state_dict())
    return theirs, ours


def _refuse_options(layer: Stack | GatedCell) -> None:
    lacking = [*layer.recurrence.options, *layer.noise.at_work(False)]
    lacking += ["projection in a cell"] if isinstance(layer, GatedCell) and layer.proj_size else []
    if lacking:
        raise UnsupportedError(
            f"parity of {layer!r}: torch.nn has no {' and no '.join(lacking)}, so there is nothing to compare it with; "
            "gradcheck checks it against central differences"
        )


def _twin(ours: Stack | GatedCell) -> nn.Module:
    kind = ours.recurrence.kind
    names = ["input_size", "hidden_size", "bias"]
    if isinstance(ours, Stack):
        names += ["num_layers", "batch_first", "bidirectional"] + (["proj_size"] if kind == "lstm" else [])
    settings: dict[str, Any] = {name: getattr(ours, name) for name in names}
    if isinstance(ours, (RNN, RNNCell)):
        settings["nonlinearity"] = kind.removeprefix("rnn_")
    name = "RNN" if kind.startswith("rnn") else kind.upper()
    return getattr(nn, name if isinstance(ours, Stack) else f"{name}Cell")(**settings)


@dataclass(frozen=True)
class _Given:
    """What is fed, and the cotangents of what comes out, in float32."""

    x: Tensor
    state: Any
    cotangents: Callable[[list[Tensor]], list[Tensor]]


def _draw(theirs: Any, batch: int, steps: int, generator: torch.Generator) -> _Given:
    cell = isinstance(theirs, nn.RNNCellBase)
    x = torch.randn((batch, theirs.input_size) if cell else (steps, batch, theirs.input_size), generator=generator)
    if getattr(theirs, "batch_first", False):
        x = x.transpose(0, 1).contiguous()
    zeros = adapted(theirs)[1](batch) if cell else initial_state(theirs, batch)
    state = map_state(lambda part: torch.randn(part.shape, generator=generator), zeros)
    seed = int(torch.randint(2**31, (), generator=generator))

    def cotangents(results: list[Tensor]) -> list[Tensor]:
        own = torch.Generator().manual_seed(seed)
        return [torch.randn(result.shape, generator=own).to(result.dtype) for result in results]

    return _Given(x, state, cotangents)


def _results(layer: nn.Module, given: _Given, dtype: torch.dtype) -> _Results:
    """Every result and gradient by name."""
    x = given.x.to(dtype).requires_grad_()
    state = map_state(lambda part: part.to(dtype).requires_grad_(), given.state)
    with torch.enable_grad():
        output, after = (adapted(layer)[0] if isinstance(layer, nn.RNNCellBase) else layer)(x, state)
        found = {"output": output, **dict(_named(after))}
        weights = dict(layer.named_parameters())
        variables = {"x": x, **dict(_named(state)), **weights}
        for parameter in weights.values():
            parameter.requires_grad_()
        results = list(found.values())
        gradients = torch.autograd.grad(results, list(variables.values()), given.cotangents(results))
    named = {f"∂ {name}": gradient for name, gradient in zip(variables, gradients, strict=True)}
    return {name: value.detach() for name, value in (found | named).items()}


def _named(state: Any) -> Iterator[tuple[str, Tensor]]:
    for name, (_, part) in zip(("h", "C"), leaves(state), strict=False):
        yield name, part
