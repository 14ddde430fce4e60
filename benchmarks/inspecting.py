"""What `report` costs at 1,000 steps and 256 units, of 32 sequences, 32 losses followed: time, and memory at its peak.

Each recurrence runs in a fresh process, after a training step of the same model that it is set beside.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import torch
from _common import idle_or_leave, machine, options, write_json
from _memory import PeakMemory
from _page import ROOT, table, write_section

import throughtime as tt
from throughtime.inspection import report
from throughtime.models.losses import mean_squared_error

STEPS, BATCH, HIDDEN, LOSSES = 1000, 32, 256, 32
LAYERS = {"RNN": tt.RNN, "GRU": tt.GRU, "LSTM": tt.LSTM}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--layer", choices=LAYERS, help="measure this one alone, in this process")
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    if settings.layer:
        measure(settings.layer, 100 if settings.quick else STEPS)
        return
    print(machine())
    idle_or_leave(settings.force)
    rows, kept = [], {}
    for name in LAYERS:
        more = ["--quick"] if settings.quick else []
        command = [sys.executable, __file__, "--layer", name, "--threads", str(settings.threads), *more]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = kept[name] = json.loads(done.stdout)
        print(f"{name}: {found}", flush=True)
        rows.append(
            [
                name,
                f"{found['report']:.0f} s",
                f"{found['report'] / found['training']:.0f}",
                f"{found['kib'] / 2**20:.1f} GiB",
                f"{found['page'] / 2**20:.1f} MiB",
            ]
        )
    write_json(settings.out, "inspecting", kept)
    if settings.quick and settings.page is None:
        return
    heads = ["", "time", "in training steps", "memory", "page"]
    write_section("inspecting", table(heads, rows), settings.page or ROOT / "docs" / "inspection.md")


def measure(name: str, steps: int) -> None:
    """One line of JSON: seconds, KiB, bytes."""
    torch.manual_seed(0)
    layer = LAYERS[name](8, HIDDEN)
    batch = tt.Batch(torch.randn(steps, BATCH, 8), torch.randn(steps, BATCH, HIDDEN))
    tt.backward(layer, batch, mean_squared_error)
    started = time.perf_counter()
    tt.backward(layer, batch, mean_squared_error)
    training = time.perf_counter() - started
    with PeakMemory(os.getpid()) as memory:
        started = time.perf_counter()
        found = report(layer, batch, mean_squared_error, anchors=LOSSES)
        seconds = time.perf_counter() - started
    page = len(json.dumps(found.document))
    print(json.dumps({"report": seconds, "training": training, "kib": memory.kib, "page": page}))


if __name__ == "__main__":
    main()
