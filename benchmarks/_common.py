"""What the benchmarks share: where the data is, which machine this is, and whether it is idle enough to time on."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path

import torch

DATA = Path(os.environ.get("THROUGHTIME_DATA", Path(__file__).parents[2] / "shared" / "data"))
"""Public data sets, one folder each; THROUGHTIME_DATA names another place."""


def data_file(name: str) -> Path:
    """A file of the public data sets; without it, this benchmark says so and leaves."""
    path = DATA / name
    if not path.exists():
        print(f"skipped: {path} is not here; set THROUGHTIME_DATA to the folder that has {name}")
        sys.exit(0)
    return path


def machine() -> str:
    """What figures are worth nothing without."""
    return (
        f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, Python {platform.python_version()}; {busy():.0%} of a core busy with other work"
    )


def busy(seconds: float = 1.0) -> float:
    """Processor time that other processes take meanwhile, in cores."""
    before = _processor_times()
    time.sleep(seconds)
    after = _processor_times()
    total, idle = (b - a for a, b in zip(before, after, strict=True))
    return (os.cpu_count() or 1) * (1 - idle / max(total, 1))


def _processor_times() -> tuple[int, int]:
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields), fields[3] + fields[4]
