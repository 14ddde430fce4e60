"""What the benchmarks share: where the data is, which machine this is, and whether it is idle enough to time on."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import torch

DATA = Path(os.environ.get("THROUGHTIME_DATA", Path(__file__).parents[2] / "shared" / "data"))
"""Public data sets, one folder each; THROUGHTIME_DATA names another place."""

RESULTS = Path(__file__).parent / "results"
"""Every run of a benchmark as JSON; `published/` and `peers/` alone, which take days, are in version control."""

_BUSY = 0.15
"""Cores that others may take while something is timed. Two threads that wait for each other take turns on a busy core,
a thousand times slower."""


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


def idle_or_leave(force: bool) -> float:
    """How busy the machine is with other work, in cores; too busy for timing is the end, unless forced."""
    found = busy()
    if found > _BUSY and not force:
        sys.exit(f"{found:.0%} of a core is busy with other work, so times would mean nothing: wait, or --force")
    return found


def processor() -> str:
    """The processor's own name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def place(threads: int) -> str:
    """The processor, and how many threads of it."""
    return f"{processor()}, {threads} thread{'s' * (threads > 1)}"


def options(description: str | None) -> argparse.ArgumentParser:
    """What every benchmark of speed can be asked for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two repeats and fewer cases: to see that it works")
    parser.add_argument("--force", action="store_true", help="measure although the machine is busy")
    parser.add_argument("--out", type=Path, default=RESULTS, help="a folder for the run as JSON")
    parser.add_argument("--page", type=Path, help="the page to write into; docs/speed.md, or none with --quick")
    return parser


def write_json(folder: Path, name: str, content: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written: {file}")


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
