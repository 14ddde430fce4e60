"""Linear products as heads and projections have them: this library's, torch's (MKL), and oneDNN's by way of torch.

All three run on torch's own threads, so they share a process, and are timed in turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from _common import idle_or_leave, options, place, processor, write_json
from _page import PAGE, in_time, table, write_section
from _peak import measured_peak
from torch import Tensor
from torch.nn import functional

SHAPES = [(6400, 128, 65), (6400, 512, 65), (12800, 256, 256), (6400, 256, 1536), (6400, 64, 384), (32000, 128, 8)]
"""Rows, inputs, outputs."""
_SECONDS = 0.02  # at least, of each repeat
OURS = "throughtime"

Product = Callable[[Tensor, Tensor, Tensor], Tensor]


def main() -> None:
    settings = options(__doc__).parse_args()
    repeats, shapes = (2, SHAPES[:1]) if settings.quick else (settings.repeats, SHAPES)
    before = idle_or_leave(settings.force or settings.quick)
    torch.set_num_threads(settings.threads)
    peak, here = measured_peak(settings.threads), products()
    found = [measured(here, shape, training, repeats) for shape in shapes for training in (True, False)]
    machine = {"processor": processor(), "busy": before, "peak_gflops": peak, "threads": settings.threads}
    write_json(settings.out, "products", {"machine": machine, "torch": torch.__version__, "products": found})
    page = settings.page or (None if settings.quick else PAGE)
    if page is not None:
        rows = [[row["case"], *(cell(row, name, peak) for name in here)] for row in found]
        described = f"{place(settings.threads)}. torch {torch.__version__}. Medians of {repeats}, in turn."
        write_section("products", f"{described}\n\n{table(['', *here], rows)}", page)


def products() -> dict[str, Product]:
    """Those that are here; oneDNN's has no backward of its own, and is timed forward only."""
    found: dict[str, Product] = {}
    try:
        from throughtime.ops.linear import linear

        found[OURS] = linear
    except ImportError:
        print(f"{OURS} left out: this version has no product of its own")
    found["torch (MKL)"] = functional.linear
    if torch.backends.mkldnn.is_available():
        found["oneDNN"] = lambda x, weight, bias: torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


def measured(here: dict[str, Product], shape: tuple[int, int, int], training: bool, repeats: int) -> dict[str, Any]:
    rows, inputs, outputs = shape
    generator = torch.Generator().manual_seed(0)
    x, weight, bias, cotangent = (
        torch.randn(size, generator=generator)
        for size in ((rows, inputs), (outputs, inputs), (outputs,), (rows, outputs))
    )
    calls: dict[str, Callable[[], Any]] = {}
    for name, product in here.items():
        if training and name == "oneDNN":
            continue
        calls[name] = (
            _training(product, x, weight, bias, cotangent) if training else _inference(product, x, weight, bias)
        )
        reference = functional.linear(x, weight, bias)
        if (product(x, weight, bias) - reference).abs().max() > 1e-4 * reference.abs().max():
            print(f"{name} computes something else than torch, at {shape}")
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats):
        names = list(calls)
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            taken[name].append(_time(calls[name]))
    operations = 2 * rows * inputs * outputs * (3 if training else 1)
    row: dict[str, Any] = {"case": f"{rows} × {inputs} → {outputs}, {'training' if training else 'inference'}"}
    for name, seconds in taken.items():
        row[name] = {"seconds": statistics.median(seconds), "gflops": operations / statistics.median(seconds) / 1e9}
        print(
            f"{row['case']:32} {name:12} {in_time(row[name]['seconds']):>8} {row[name]['gflops']:6.1f} GFLOP/s",
            flush=True,
        )
    return row


def _training(product: Product, x: Tensor, weight: Tensor, bias: Tensor, cotangent: Tensor) -> Callable[[], Any]:
    leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
    return lambda: torch.autograd.grad(product(*leaves), leaves, cotangent)


def _inference(product: Product, x: Tensor, weight: Tensor, bias: Tensor) -> Callable[[], Any]:
    def call() -> Tensor:
        with torch.inference_mode():
            return product(x, weight, bias)

    return call


def _time(call: Callable[[], Any]) -> float:
    """Seconds a call, over as many as fit, after as many to warm up."""
    started, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - started < _SECONDS:
        call()
        calls += 1
    started = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - started) / calls


def cell(row: dict[str, Any], name: str, peak: float | None) -> str:
    if name not in row:
        return "–"
    gflops = row[name]["gflops"]
    share = "" if peak is None else f", {gflops / peak:.0%}"
    return f"{in_time(row[name]['seconds'])}<br>{gflops:.3g} GFLOP/s{share}"


if __name__ == "__main__":
    main()
