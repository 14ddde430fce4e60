"""Exact gradients of sequences up to a million steps: memory at its peak and time, strategy by strategy.

A GRU of 128 units over a vocabulary of 64, 4 sequences (`--batch`), a loss at every step. Memory is RssAnon at its peak
in a fresh process, beyond what the process had with the model, the inputs and the libraries warm.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from argparse import Namespace
from typing import Any

import torch
from _common import idle_or_leave, machine, options, place, write_json
from _memory import PeakMemory
from _page import ROOT, in_time, table, write_section
from torch import nn

import throughtime as tt
from throughtime.gradients import strategy_named
from throughtime.models import negative_log_likelihood
from throughtime.models.heads import CategoricalHead
from throughtime.ops import release_memory

LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
STRATEGIES = ("full", "checkpointed", "checkpointed:64MB")
MOST_OF_FULL = 100_000
BATCH, VOCABULARY, HIDDEN = 4, 64, 128
PAGE = ROOT / "docs" / "gradients.md"


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--one", nargs=3, metavar=("STRATEGY", "STEPS", "REPEATS"), help="what a fresh process runs")
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS)
    parser.add_argument("--batch", type=int, default=BATCH, help="sequences side by side")
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    if settings.one:
        return one(settings.one[0], int(settings.one[1]), int(settings.one[2]), settings.batch)
    idle_or_leave(settings.force or settings.quick)
    print(machine())
    lengths = [length for length in settings.lengths if length <= 10_000] if settings.quick else settings.lengths
    found: dict[int, dict[str, dict[str, float]]] = {}
    for length in lengths:
        found[length] = {}
        for strategy in settings.strategies:
            if strategy == "full" and length > MOST_OF_FULL:
                continue
            repeats = 1 if settings.quick or length > 100_000 else 3 if length > 10_000 else settings.repeats
            own = found[length][strategy] = run(strategy, length, repeats, settings)
            full = found[length].get("full", own)["seconds"]
            print(f"T {length:9,} {strategy:20} {own['mib']:8.1f} MiB {in_time(own['seconds']):>8} "
                  f"{own['seconds'] / full:.2f} × full", flush=True)  # fmt: skip
    written = {"threads": settings.threads, "batch": settings.batch, "found": found}
    write_json(settings.out, "long_sequences", written)
    usual = (settings.batch, tuple(settings.strategies)) == (BATCH, STRATEGIES)
    if settings.page is None and (settings.quick or not usual):
        return
    heads = ["steps", *(f"`{strategy}`" for strategy in STRATEGIES)]
    rows = [[f"{length:,}", *(told(own.get(name), own) for name in STRATEGIES)] for length, own in found.items()]
    words = f"{place(settings.threads)}, torch {torch.__version__}; peak of memory, and the time of one gradient."
    write_section("long sequences", f"{words}\n\n{table(heads, rows)}", settings.page or PAGE)


def told(own: dict[str, float] | None, beside: dict[str, dict[str, float]]) -> str:
    if own is None:
        return "–"
    full = beside.get("full")
    ratio = "" if full is None or full is own else f", {own['seconds'] / full['seconds']:.2f} ×"
    return f"{own['mib']:.1f} MiB, {in_time(own['seconds'])}{ratio}"


def run(strategy: str, length: int, repeats: int, settings: Namespace) -> dict[str, float]:
    """Ask a fresh process."""
    shape = ["--threads", str(settings.threads), "--batch", str(settings.batch)]
    command = [sys.executable, __file__, *shape, "--one", strategy, str(length), str(repeats)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            sys.exit(f"{strategy} with {length} steps ended by itself")
        with PeakMemory(process.pid, 0.002) as peak:
            before = peak.kib
            process.stdin.write("\n")
            process.stdin.flush()
            line = process.stdout.readline()
        answer: dict[str, Any] = json.loads(line)
        process.stdin.write("\n")
        process.stdin.flush()
        process.wait()
    return {"mib": (peak.kib - before) / 1024, "seconds": statistics.median(answer["seconds"])}


def one(strategy: str, length: int, repeats: int, sequences: int) -> None:
    """Get warm, say so, and on a word from outside take the gradient, `repeats` times."""
    torch.manual_seed(0)
    model = tt.SequenceModel(
        nn.Embedding(VOCABULARY, HIDDEN), tt.GRU(HIDDEN, HIDDEN), CategoricalHead(HIDDEN, VOCABULARY)
    )
    symbols = torch.randint(VOCABULARY, (length + 1, sequences), dtype=torch.uint8).numpy()
    batch = Indices(symbols[:-1], symbols[1:])
    chosen = strategy_named(strategy)
    for warm in (tt.Full(), tt.Checkpointed(8)):
        tt.backward(model, tt.Batch(batch.inputs[:64], batch.targets[:64]), negative_log_likelihood, warm)
    release_memory()
    print("ready", flush=True)
    sys.stdin.readline()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        tt.backward(model, tt.Batch(batch.inputs, batch.targets), negative_log_likelihood, chosen)
        seconds.append(time.perf_counter() - started)
        model.zero_grad()
    print(json.dumps({"seconds": seconds}), flush=True)
    sys.stdin.readline()


class Indices:
    """Symbols kept as bytes, given out as the indices that an embedding reads."""

    def __init__(self, inputs: Any, targets: Any) -> None:
        self.inputs, self.targets = Widened(inputs), Widened(targets)


class Widened:
    """An array whose slices are int64."""

    def __init__(self, array: Any) -> None:
        self._array, self.shape = array, array.shape

    def __getitem__(self, place: slice) -> Any:
        return self._array[place].astype("int64")


if __name__ == "__main__":
    main()
