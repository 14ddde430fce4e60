"""The tests of the kernels, which are written in C++: built and run, and under sanitizers where asked for."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ("bash", "cmake", "c++")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


def run(variant: str, *arguments: str) -> None:
    command = ["bash", str(ROOT / "native" / "tests" / "run"), variant, "--", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-8000:]


def test_kernels_agree_with_scalar_loops() -> None:
    run("plain", "--count", "100", "--battery", "60", "--most-work", "300000")


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["address", "thread"])
def test_kernels_under_sanitizers(variant: str) -> None:
    run(variant, "--count", "100", "--battery", "60", "--most-work", "100000")


@pytest.mark.slow
def test_ten_thousand_random_layers() -> None:
    run("plain", "--count", "10000", "--only", "random_layers")
