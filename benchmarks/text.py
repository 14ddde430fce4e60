"""Tiny Shakespeare: an LSTM of two layers from `train`'s defaults, ten minutes, and what it writes."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from _common import data_file, machine

from throughtime.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time-budget", default="10m")
    parser.add_argument("--seed", default="0")
    settings = parser.parse_args()
    file = str(data_file("tinyshakespeare/input.txt"))
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "shakespeare")
        run(["train", file, "--model", "lstm", "--time-budget", settings.time_budget, "--seed", settings.seed,
             "--out", out])  # fmt: skip
        run(["evaluate", out])
        run(["generate", out, "--prompt", "ROMEO:", "--length", "500", "--temperature", "0.8"])


if __name__ == "__main__":
    main()
