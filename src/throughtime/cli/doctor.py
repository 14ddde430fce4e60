"""`throughtime doctor`: what this machine has, and which path each cell takes on it."""

from __future__ import annotations

import platform
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from rich.table import Table

from .._version import __version__
from ..ops import KINDS, Call, choose, kernels
from . import _options as options
from ._console import out, print_json, say

_PACKAGES = (
    "torch",
    "numpy",
    "polars",
    "narwhals",
    "safetensors",
    "pydantic",
    "typer",
    "rich",
    "matplotlib",
    "soundfile",
)
_CALLS = {
    "whole batches": Call(""),
    "ragged batches (lengths)": Call("", lengths=True),
    "resets in mid-sequence": Call("", resets=True),
    "in bfloat16, and under autocast": Call("", dtype=torch.bfloat16),
    "in float64": Call("", dtype=torch.float64),
    "options such as zoneout": Call("", options=("zoneout",)),
}


def doctor(json: options.Json = False) -> None:
    """Print versions, threads, devices, the native kernels, and which backend each cell takes and why.

    Examples:

      throughtime doctor

      throughtime doctor --json
    """
    content = _findings()
    if json:
        print_json(content)
        return
    table = Table(title="this machine", show_header=False)
    for name, value in {**content["versions"], **content["machine"]}.items():
        table.add_row(name, str(value))
    out.print(table)
    for name, value in content["kernels"].items():
        say(f"{name}: {value}")
    paths = Table(title="which path a cell takes on the CPU")
    for heading in ("cell", "call", "backend", "why"):
        paths.add_column(heading)
    for row in content["backends"]:
        paths.add_row(row["cell"], row["call"], row["backend"], row["reason"])
    out.print(paths)


def _findings() -> dict[str, Any]:
    rows = []
    for kind in KINDS:
        for name, call in _CALLS.items():
            choice = choose(replace(call, kind=kind))
            rows.append({"cell": kind, "call": name, "backend": choice.backend, "reason": choice.reason})
    cuda = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "versions": {
            "throughtime": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
        },
        "machine": {
            "system": platform.platform(),
            "threads": torch.get_num_threads(),
            "vector instructions": torch.backends.cpu.get_cpu_capability(),
            "devices": ["cpu", *cuda],
        },
        "kernels": kernels(),
        "backends": rows,
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
