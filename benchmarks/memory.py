"""Files larger than memory: a generated text and a generated CSV, read and trained on; anonymous memory at its peak."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _common import machine
from _memory import PeakMemory

_COMMANDS = {
    "text.txt": ["--unit", "character"],
    "bytes.txt": ["--unit", "byte"],
    "series.csv": ["--calendar", "none"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--time-budget", default="10s")
    settings = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        for name, options in _COMMANDS.items():
            file = Path(folder) / name
            write(file, settings.megabytes << 20)
            started = time.monotonic()
            peak = peak_of(["train", str(file), *options, "--time-budget", settings.time_budget,
                            "--out", str(Path(folder) / f"run-{name}")], folder)  # fmt: skip
            size = file.stat().st_size / 1e9
            print(f"{name}: {size:.2f} GB read and trained on in {time.monotonic() - started:.0f} s, "
                  f"RssAnon at most {peak / 1024:.0f} MiB")  # fmt: skip
            file.unlink()


def write(file: Path, size: int) -> None:
    """Random words, or a random walk of three columns, until the file has `size` bytes."""
    random = np.random.default_rng(0)
    with file.open("w", encoding="utf-8") as out:
        if file.suffix == ".txt":
            words = ["".join(chr(97 + letter) for letter in random.integers(26, size=5)) for _ in range(1000)]
            while out.tell() < size:
                out.write(" ".join(words[index] for index in random.integers(1000, size=100_000)) + "\n")
            return
        out.write("a,b,c\n")
        while out.tell() < size:
            np.savetxt(out, random.normal(size=(100_000, 3)).cumsum(0), fmt="%.6f", delimiter=",")


def peak_of(arguments: list[str], folder: str) -> int:
    """Run the command line in a fresh process; its anonymous resident memory at its highest, in KiB."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from throughtime.cli import main; main()", *arguments], cwd=folder
    )
    with PeakMemory(process.pid) as peak:
        code = process.wait()
    if code:
        sys.exit(f"{' '.join(arguments)} ended with {code}")
    return peak.kib


if __name__ == "__main__":
    main()
