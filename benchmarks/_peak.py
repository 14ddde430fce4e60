"""What the processor can do at most, measured; every figure is also told as a share of it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path


def compiler() -> str | None:
    return shutil.which("g++") or shutil.which("c++")


def measured_peak(threads: int) -> float | None:
    """GFLOP/s of float32 multiply-adds on registers alone; None, with a line that says so, without a compiler."""
    gcc = compiler()
    if gcc is None:
        print("no C++ compiler: the machine's peak is not measured, and no figure is told as a share of it")
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "peak")
        source = str(Path(__file__).with_name("peak.cpp"))
        subprocess.run([gcc, "-O3", "-march=native", "-pthread", source, "-o", program], check=True)
        done = subprocess.run([program, str(threads)], check=True, capture_output=True, text=True)
    return float(done.stdout)
