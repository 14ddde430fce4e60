"""`throughtime doctor`: what this machine has, and which path a layer takes on it."""

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
    "ragged (lengths)": Call("", lengths=True),
    "resets": Call("", resets=True),
    "bfloat16, autocast": Call("", dtype=torch.bfloat16),
    "float64": Call("", dtype=torch.float64),
    "on CUDA": Call("", device="cuda"),
    "on CUDA, resets": Call("", device="cuda", resets=True),
    "weight_drop": Call(""),
    "variational_dropout, in training": Call("", options=("variational_dropout",)),
    "zoneout": Call("", options=("zoneout",)),
    "layer_norm": Call("", options=("layer_norm",)),
    "reset_after=False": Call("gru", options=("reset_after=False",)),
    "peephole": Call("lstm", options=("peephole",)),
    "projection (proj_size)": Call("lstm", projected=True),
}
"""What a layer may be asked for; of every kind, unless one is named."""


def doctor(json: options.Json = False) -> None:
    """Print versions, threads, devices, the native kernels, and which backend computes which call and why.

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
        table.add_row(name, ", ".join(value) if isinstance(value, list) else str(value))
    out.print(table)
    for name, value in content["kernels"].items():
        say(f"{name}: {value}")
    paths = Table(title="which path a layer takes")
    for heading in ("call", "cells", "backend", "why"):
        paths.add_column(heading)
    for row in _joined(content["backends"]):
        paths.add_row(*row)
    out.print(paths)


def _joined(rows: list[dict[str, str]]) -> list[tuple[str, str, str, str]]:
    """Call, cells, backend and reason, the cells that agree in one row."""
    cells: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        cells.setdefault((row["call"], row["backend"], row["reason"]), []).append(row["cell"])
    return [
        (call, "all" if len(names) == len(KINDS) else ", ".join(names), backend, reason)
        for (call, backend, reason), names in cells.items()
    ]


def _findings() -> dict[str, Any]:
    rows = []
    for name, call in _CALLS.items():
        for kind in (call.kind,) if call.kind else KINDS:
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
