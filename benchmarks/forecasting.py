"""ETTh1's oil temperature, 96 hours ahead: `train` and `evaluate` as a user types them, beside the baselines."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from _common import data_file, machine

from throughtime.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time-budget", default="180s")
    parser.add_argument("--seed", default="0")
    settings = parser.parse_args()
    file = str(data_file("ett/ETTh1.csv"))
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "ett")
        started = time.monotonic()
        run(["train", file, "--target", "OT", "--horizon", "96", "--time-budget", settings.time_budget,
             "--seed", settings.seed, "--out", out])  # fmt: skip
        trained = time.monotonic()
        run(["evaluate", out])
        print(f"training {trained - started:.0f} s, evaluation {time.monotonic() - trained:.0f} s")


if __name__ == "__main__":
    main()
