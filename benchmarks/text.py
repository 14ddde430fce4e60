"""Tiny Shakespeare: a network from `train`'s defaults, its test loss on the last tenth, and what it writes.

Settings were chosen on the tenth before the last, trained on the first eight (`--split 0.8,0.1,0.1`). The run that is
measured is then trained with them on all nine before the last.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from _common import data_file, machine

from throughtime.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="lstm", help="as `train` names it")
    parser.add_argument("--time-budget", default="15m")
    parser.add_argument("--split", default="0.9,0,0.1")
    parser.add_argument("--seed", default="0")
    settings, more = parser.parse_known_args()  # such as --epochs
    file = str(data_file("tinyshakespeare/input.txt"))
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "shakespeare")
        run(["train", file, "--model", settings.model, "--split", settings.split, "--seed", settings.seed,
             "--time-budget", settings.time_budget, "--out", out, *more])  # fmt: skip
        run(["evaluate", out])
        run(["generate", out, "--prompt", "ROMEO:", "--length", "500", "--temperature", "0.8"])


if __name__ == "__main__":
    main()
