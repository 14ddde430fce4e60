"""The adding problem over 600 steps: two marked numbers are to be added up, wherever they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import throughtime as tt
from throughtime._types import State
from throughtime.nn import CausalConv

from .loop import improve
from .protocol import Protocol

STEPS, BATCH, TESTED = 600, 32, 1000
METRIC = "squared error"
_CLIP = 1.0


@dataclass(frozen=True)
class Case:
    """A layer, and how it is trained: Adam, its step size up to `rate` and down again over so many batches."""

    make: Callable[[], nn.Module]
    rate: float
    batches: int


CASES = {
    "GRU": Case(lambda: tt.GRU(2, 64), 5e-3, 15_000),
    "LSTM": Case(lambda: tt.LSTM(2, 64, chrono_init=STEPS), 1e-2, 15_000),
    "RNN, orthogonal": Case(lambda: tt.RNN(2, 64, nonlinearity="relu", recurrent_init="orthogonal"), 1e-3, 15_000),
    "TCN": Case(lambda: CausalConv(2, 24, num_layers=8, kernel_size=7), 4e-3, 4_000),
}


class Adder(nn.Module):
    """A recurrence, and a number read from each of its outputs."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(layer.hidden_size, 1)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        output, state = self.layer(x, state)
        return self.head(output)[..., 0], state


def drawn(count: int, generator: torch.Generator) -> tt.Batch:
    """Uniform numbers and two different steps marked among all; the sum counts at the last step alone."""
    values = torch.rand(STEPS, count, generator=generator)
    places = torch.rand(STEPS, count, generator=generator).topk(2, dim=0).indices
    marks = torch.zeros(STEPS, count).scatter_(0, places, 1.0)
    weights = torch.zeros(STEPS, count)
    weights[-1] = 1
    return tt.Batch(torch.stack([values, marks], -1), (values * marks).sum(0).expand(STEPS, count), weights=weights)


def squared(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square()


def run(model: str, seed: int, folder: Path) -> dict[str, float]:
    case = CASES[model]
    torch.manual_seed(seed)
    adder = Adder(case.make())
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(adder.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, case.rate, case.batches, pct_start=0.1)
    for _ in range(case.batches):
        improve(adder, drawn(BATCH, generator), squared, optimizer, _CLIP)
        schedule.step()
    held_out = drawn(TESTED, torch.Generator().manual_seed(10_000 + seed))
    with torch.no_grad():
        output, _ = adder.eval()(held_out.inputs)
    return {METRIC: float(squared(output, held_out.targets)[-1].mean())}


PROTOCOL = Protocol(
    name="adding",
    title="Adding problem, T = 600",
    data=(),
    words="""600 uniform numbers, two of them marked, anywhere; their sum is asked for at the last step. The figure is
    the squared error over 1000 sequences drawn for the test; an answer that knows neither number has 1/6. Training is
    in batches of 32, drawn afresh, about as many as ten epochs of the 50,000 sequences of Bai et al.; fewer for the
    TCN, too few: by their end it has hardly begun to learn. The RNN learns from some seeds; a batch whose gradient
    overflows is left out. Settings were chosen on other seeds.""",
    metrics=(METRIC,),
    published={
        "LSTM": {METRIC: 0.164},
        "GRU": {METRIC: 5.3e-5},
        "RNN": {METRIC: 0.177},
        "TCN": {METRIC: 5.8e-5},
    },
    source="Bai, Kolter & Koltun, 2018, <https://arxiv.org/abs/1803.01271>, table 1",
    models=tuple(CASES),
    run=run,
)
