"""The adding problem with a lag of 100: what `report` says of trained networks, and of those that did as it proposed.

Of the random numbers two are marked, one among the first ten, at least 100 steps before the end, and one later; their
sum is asked for at the last step. An answer that knows neither has a squared error of 1/6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from _common import machine, options, write_json
from _page import ROOT, table, write_section
from torch import Tensor, nn

import throughtime as tt
from throughtime.inspection import report

LAG, BATCH, HIDDEN = 100, 64, 64
HELD_OUT = 256


@dataclass(frozen=True)
class Case:
    """A network, the step size it is trained with, none for one that is not, and the lag of its task."""

    name: str
    make: Callable[[], nn.Module]
    rate: float | None = None
    lag: int = LAG


CASES = (
    Case("RNN, trained", lambda: tt.RNN(2, HIDDEN), 2e-3),
    Case("the LSTM that was proposed, trained", lambda: tt.LSTM(2, HIDDEN, chrono_init=LAG), 1e-2),
    Case("the orthogonal RNN that was proposed", lambda: tt.RNN(2, HIDDEN, recurrent_init="orthogonal")),
    Case("LSTM, untrained", lambda: tt.LSTM(2, HIDDEN)),
    Case("LSTM with a forget bias of 1, trained", lambda: tt.LSTM(2, HIDDEN, forget_bias=1.0), 1e-2),
    Case("LSTM with a forget bias of 4.6, trained", lambda: tt.LSTM(2, HIDDEN, forget_bias=4.6), 1e-2),
    Case("RNN with ρ = 1.5, untrained, lag 300", lambda: growing(1.5), lag=300),
    Case("the LSTM that was proposed, lag 300", lambda: tt.LSTM(2, HIDDEN, chrono_init=300), lag=300),
)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--batches", type=int, default=2500, help="of training, for each network")
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    print(machine())
    batches = 100 if settings.quick else settings.batches
    rows, kept = [], {}
    for case in CASES:
        torch.manual_seed(0)
        model = Adder(case.make())
        if case.rate is not None:
            learn(model, case.lag, batches, case.rate)
        held = batch_of(HELD_OUT, case.lag, torch.Generator().manual_seed(2))
        with torch.no_grad():
            error = float(squared(model(held.inputs)[0], held.targets)[-1].mean())
        found = report(model, held, squared, case.lag, title=case.name)
        verdict, half = found.flow.verdict, found.flow.half_life
        print(f"{case.name}: error {error:.4f}; {found.sentence}", flush=True)
        for remedy in found.remedies:
            print(f"  {remedy.title} ({remedy.option}): {remedy.evidence}", flush=True)
        first = f"{found.remedies[0].title}" if found.remedies else "–"
        left, halved = (("–" if number is None else f"{number:.2g}") for number in (verdict.ratio, half))
        rows.append([case.name, "–" if case.rate is None else f"{error:.4f}", left, halved, verdict.word, first])
        kept[case.name] = {"error": error, **found.to_dict()}
    write_json(settings.out, "adding", kept)
    if settings.quick and settings.page is None:
        return
    heads = ["", "squared error", "left at the lag", "half-life", "verdict", "first remedy"]
    write_section("adding", table(heads, rows), settings.page or ROOT / "docs" / "inspection.md")


class Adder(nn.Module):
    """A recurrence, and a number a step."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        output, state = self.layer(x, state)
        return self.head(output)[..., 0], state


def growing(radius: float) -> tt.RNN:
    """An RNN whose recurrent weights multiply every direction by `radius`."""
    layer = tt.RNN(2, HIDDEN, recurrent_init="orthogonal")
    with torch.no_grad():
        layer.weight_hh_l0 *= radius
    return layer


def batch_of(count: int, lag: int, generator: torch.Generator) -> tt.Batch:
    steps = lag + 10
    values, marks, weights = torch.rand(steps, count, generator=generator), *torch.zeros(2, steps, count)
    rows = torch.arange(count)
    marks[torch.randint(10, (count,), generator=generator), rows] = 1
    marks[torch.randint(10, steps, (count,), generator=generator), rows] = 1
    weights[-1] = 1
    return tt.Batch(torch.stack([values, marks], -1), (values * marks).sum(0).expand(steps, count), weights=weights)


def squared(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square()


def learn(model: nn.Module, lag: int, batches: int, rate: float) -> None:
    """By Adam, clipped to a norm of 1."""
    generator, optimizer = torch.Generator().manual_seed(1), torch.optim.Adam(model.parameters(), rate)
    for _ in range(batches):
        done = tt.backward(model, batch_of(BATCH, lag, generator), squared)
        for parameter in model.parameters():
            parameter.grad /= done.count
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


if __name__ == "__main__":
    main()
