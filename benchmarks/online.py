"""Learning at every step, in one pass over a stream, with nothing of the past kept: RTRL, SnAp-1 and UORO.

Each of four streams of random bits asks for the bit of three steps before. The mean surprise of an answer that knows
nothing is 1 bit. Memory is anonymous resident memory of the process itself, as the stream goes on.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch
from _common import machine, options, write_json
from _page import ROOT, table, write_section
from torch import nn

import throughtime as tt
from throughtime.gradients import Strategy
from throughtime.models import negative_log_likelihood
from throughtime.models.heads import CategoricalHead

DELAY, BATCH, HIDDEN = 3, 4, 16
STRATEGIES: dict[str, tuple[Strategy, float]] = {
    "RTRL()": (tt.RTRL(), 5e-3),
    "SnAp1()": (tt.SnAp1(), 5e-3),
    "UORO()": (tt.UORO(), 1e-3),
    "Truncated(1)": (tt.Truncated(1), 5e-3),
}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--steps", type=int, default=4_000)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    steps = 400 if settings.quick else settings.steps
    rows, record = [], {}
    for name, (strategy, rate) in STRATEGIES.items():
        bits, memory, seconds = learn(strategy, rate, steps)
        record[name] = {"bits": bits, "memory": memory, "seconds": seconds}
        grown = memory[-1] - memory[len(memory) // 10]
        print(f"{name:14} bits {' '.join(f'{value:.2f}' for value in bits)}; {grown:+.2f} MiB from a tenth on; "
              f"{seconds / steps * 1e3:.2f} ms a step", flush=True)  # fmt: skip
        rows.append([f"`{name}`", *(f"{bits[place]:.2f}" for place in (0, len(bits) // 2, -1)), f"{grown:+.2f} MiB",
                     f"{seconds / steps * 1e3:.2f} ms"])  # fmt: skip
    write_json(settings.out, "online", record)
    if settings.quick and settings.page is None:
        return
    heads = ["", "bits, first tenth", "sixth tenth", "last tenth", "memory, from 10 % to the end", "a step"]
    words = f"{steps:,} steps of {BATCH} streams, a GRU of {HIDDEN} units, Adam at every step."
    write_section("online", f"{words}\n\n{table(heads, rows)}", settings.page or ROOT / "docs" / "gradients.md")


def learn(strategy: Strategy, rate: float, steps: int) -> tuple[list[float], list[float], float]:
    """Bits a symbol in each tenth of the stream, MiB after each hundredth, and seconds."""
    torch.manual_seed(0)
    model = tt.SequenceModel(nn.Embedding(2, 4), tt.Recurrent(tt.GRUCell(4, HIDDEN)), CategoricalHead(HIDDEN, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    bits = torch.randint(2, (steps + DELAY, BATCH))
    stream = tt.Batch(bits[DELAY:], bits[:-DELAY])
    surprise, memory, started = [], [], time.monotonic()
    for segment in strategy.segments(model, stream, negative_log_likelihood):
        optimizer.step()
        optimizer.zero_grad()
        surprise.append(float(segment.loss_sum / segment.count) / math.log(2))
        if segment.stop % max(1, steps // 100) == 0:
            memory.append(resident())
    seconds = time.monotonic() - started
    tenth = steps // 10
    return [sum(surprise[start : start + tenth]) / tenth for start in range(0, steps, tenth)], memory, seconds


def resident() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


if __name__ == "__main__":
    main()
