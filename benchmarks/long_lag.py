"""A task with a lag of 200: which gradients learn what lies that far back.

The adding problem: two of 250 random numbers are marked, one among the first 40 and one among the last 10, and their
sum is asked for at the last step. An answer that knows the second alone has an error of 1/12, one that knows neither
1/6.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from _common import machine, options, write_json
from _page import ROOT, table, write_section
from torch import Tensor, nn

import throughtime as tt
from throughtime._plotting import PALETTE, figure, style
from throughtime.gradients import Strategy

STEPS, BATCH, HIDDEN, SEEDS = 250, 32, 64, 3
STRATEGIES: dict[str, Strategy] = {
    "Full()": tt.Full(),
    "Truncated(50)": tt.Truncated(50),
    "Truncated(50, 250)": tt.Truncated(50, 250),
    "Checkpointed()": tt.Checkpointed(),
    "RandomTruncation(50, 150)": tt.RandomTruncation(50, 150),
}
COLOURS = ("grey", "vermillion", "blue", "green", "purple")
LEARNT = 0.01
_WINDOW = 50  # batches that a point of a curve is the mean of


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--batches", type=int, default=600)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    print(machine())
    batches, seeds = (100, 1) if settings.quick else (settings.batches, SEEDS)
    found = {name: [learn(strategy, seed, batches) for seed in range(seeds)] for name, strategy in STRATEGIES.items()}
    rows = []
    for name, curves in found.items():
        first = [curve.learnt for curve in curves]
        print(f"{name:26} {', '.join(f'{curve.errors[-1]:.4f}' for curve in curves)}; below {LEARNT} after {first}; "
              f"{curves[0].seconds:.0f} s", flush=True)  # fmt: skip
        rows.append([f"`{name}`", ", ".join(f"{curve.errors[-1]:.4f}" for curve in curves),
                     ", ".join("never" if batch is None else str(batch) for batch in first)])  # fmt: skip
    write_json(settings.out, "long_lag", {name: [curve.errors for curve in curves] for name, curves in found.items()})
    if settings.quick and settings.page is None:
        return
    page = settings.page or ROOT / "docs" / "gradients.md"
    draw(found, page.parent / "pictures" / "long-lag.png")
    heads = ["", f"error after {batches} batches, {seeds} seeds", f"batches until below {LEARNT}"]
    write_section("long lag", table(heads, rows), page)


@dataclass
class Curve:
    """Mean squared errors, each over some batches."""

    errors: list[float]
    seconds: float

    @property
    def learnt(self) -> int | None:
        """After how many batches the error is small for the first time."""
        return next(((place + 1) * _WINDOW for place, error in enumerate(self.errors) if error < LEARNT), None)


class Adder(nn.Module):
    """A GRU that begins with a long memory, and a number a step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = tt.GRU(2, HIDDEN), nn.Linear(HIDDEN, 1)
        with torch.no_grad():
            self.layer.bias_ih_l0[HIDDEN : 2 * HIDDEN] += 3  # the update gate keeps

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output, state = self.layer(x, state)
        return self.head(output)[..., 0], state


def batch_of(generator: torch.Generator) -> tt.Batch:
    values = torch.rand(STEPS, BATCH, generator=generator)
    marks = torch.zeros(STEPS, BATCH)
    rows = torch.arange(BATCH)
    first = torch.randint(40, (BATCH,), generator=generator)
    second = STEPS - 1 - torch.randint(10, (BATCH,), generator=generator)
    marks[first, rows] = marks[second, rows] = 1
    targets = (values * marks).sum(0).expand(STEPS, BATCH)
    weights = torch.zeros(STEPS, BATCH)
    weights[-1] = 1
    return tt.Batch(torch.stack([values, marks], -1), targets, weights=weights)


def learn(strategy: Strategy, seed: int, batches: int) -> Curve:
    torch.manual_seed(seed)
    model, generator = Adder(), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    errors: list[float] = []
    started = time.monotonic()
    for _ in range(batches):
        done = tt.backward(model, batch_of(generator), lambda output, target: (output - target).square(), strategy)
        for parameter in model.parameters():
            parameter.grad /= done.count
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        errors.append(float(done.loss_sum / done.count))
    means = [statistics.mean(errors[start : start + _WINDOW]) for start in range(0, batches, _WINDOW)]
    return Curve(means, time.monotonic() - started)


def draw(found: dict[str, list[Curve]], file: Path) -> None:
    with style():
        drawn = figure(7, 3.6)
        axes = drawn.add_subplot()
        for (name, curves), colour in zip(found.items(), COLOURS, strict=True):
            for index, curve in enumerate(curves):
                places = [(place + 1) * _WINDOW for place in range(len(curve.errors))]
                axes.plot(places, curve.errors, color=PALETTE[colour], label=None if index else name)
        for error, words in ((1 / 6, "knows neither number"), (1 / 12, "knows the second")):
            axes.axhline(error, color=PALETTE["grey"], linewidth=0.8, linestyle=":")
            axes.text(axes.get_xlim()[1], error, words, ha="right", va="bottom", fontsize="small")
        axes.set_yscale("log")
        axes.set_xlabel("batches")
        axes.set_ylabel("squared error of the sum")
        drawn.legend(loc="outside right upper")
        file.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(file)


if __name__ == "__main__":
    main()
