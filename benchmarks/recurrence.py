"""This library's layers beside torch.nn, JAX, Keras and ONNX Runtime: training and inference, all in one run.

Training is the forward and every gradient (of x, weights and biases) from a cotangent on all outputs; inference is the
forward alone. Each peer has a process of its own, and they are timed in turn.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from _case import GATES, NAMES, Case
from _common import idle_or_leave, machine, options, processor, write_json
from _page import PAGE, in_time, table, write_section
from _peak import measured_peak
from _peers import PEERS
from _pictures import relative_times
from _timing import Timing, time_in_turn, workers

SHAPES = {
    "T100 B32 I16 H64": (100, 32, 16, 64),
    "T100 B64 I64 H128": (100, 64, 64, 128),
    "T200 B32 I128 H256": (200, 32, 128, 256),
    "T100 B64 I256 H512": (100, 64, 256, 512),
    "T1000 B1 I1 H32": (1000, 1, 1, 32),
    "T784 B64 I1 H128": (784, 64, 1, 128),
}
# torch's time over ours, to be reached with two threads, shape by shape.
WANTED = {
    ("gru", "training"): (11, 4.5, 3.8, 2.9, 150, 7),
    ("gru", "inference"): (8, 4, 3.5, 3, 70, 6),
    ("lstm", "training"): (2, 2.2, 1.7, 1.45, 5.5, 3.5),
    ("lstm", "inference"): (1.9, 1.3, 1.1, 1.1, 8, 1.7),
    ("rnn", "training"): (10, 4.3, 3.6, 2.7, 85, 5.5),
    ("rnn", "inference"): (9, 4.5, 3.8, 2.9, 40, 6),
}
WANTED_OF_OTHERS = {("JAX", "training"): 2.0, ("ONNX Runtime", "inference"): 1.25}
OURS = "throughtime"


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES), metavar='"T100 B32 I16 H64"')
    parser.add_argument("--kinds", nargs="+", choices=GATES, default=list(GATES))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    settings = parser.parse_args()
    if settings.quick:
        settings.repeats = min(settings.repeats, 2)
        settings.shapes = settings.shapes[:1]
    before = idle_or_leave(settings.force or settings.quick)
    peak = measured_peak(settings.threads)
    print(f"{processor()}; {machine()}; peak {peak} GFLOP/s")
    started, timings = time.monotonic(), []
    with workers(settings.peers, settings.threads) as (here, versions):
        print(f"{', '.join(versions.values())}; {settings.threads} threads, {settings.repeats} repeats")
        for kind in settings.kinds:
            for shape in settings.shapes:
                for training in (True, False):
                    case = Case(kind, *SHAPES[shape], training=training)
                    found = time_in_turn(here, case, settings.repeats)
                    tell(found, peak)
                    timings += [found] if found else []
    seconds = time.monotonic() - started
    told = {
        "machine": {"processor": processor(), "busy": before, "peak_gflops": peak, "threads": settings.threads},
        "versions": versions,
        "repeats": settings.repeats,
        "seconds": seconds,
        "timings": [timing.as_json() | compared(timing, found, peak) for found in timings for timing in found],
    }
    print(f"{seconds:.0f} s in all")
    write_json(settings.out, "recurrence", told)
    page = settings.page or (None if settings.quick else PAGE)
    if page is not None:
        write_page(page, timings, versions, peak, settings)


def compared(timing: Timing, found: list[Timing], peak: float | None) -> dict[str, Any]:
    """How one stands to ours, and to what the machine can do."""
    ours = next((other for other in found if other.peer == OURS), None)
    case = timing.case
    wanted = WANTED_OF_OTHERS.get((timing.peer, case.mode))
    if timing.peer == "torch.nn" and case.shape in SHAPES:
        wanted = WANTED[case.kind, case.mode][list(SHAPES).index(case.shape)]
    return {
        "share_of_peak": timing.gflops / peak if peak else None,
        "relative_to_ours": timing.median / ours.median if ours else None,
        "wanted": wanted,
    }


def tell(found: list[Timing], peak: float | None) -> None:
    if not found:
        return
    case = found[0].case
    print(f"{NAMES[case.kind]:4} {case.shape:18} {case.mode}", flush=True)
    for timing in found:
        words = [f"  {timing.peer:13} {in_time(timing.median):>8} {timing.gflops:6.1f} GFLOP/s"]
        figures = compared(timing, found, peak)
        share, ratio, wanted = (figures[name] for name in ("share_of_peak", "relative_to_ours", "wanted"))
        if share is not None:
            words.append(f"{share:4.0%} of peak")
        if ratio is not None:
            words.append(f"{ratio:7.2f} × ours")
        if ratio is not None and wanted is not None:
            words.append(f"({wanted:g} wanted{'' if ratio >= wanted else ', MISSED'})")
        if timing.backend is not None:
            words.append(f"on {timing.backend}")
        print(" ".join(words), flush=True)


def write_page(
    page: Path, timings: list[list[Timing]], versions: dict[str, str], peak: float | None, settings: Any
) -> None:
    picture = page.parent / "pictures" / "speed.png"
    relative_times(timings, OURS, picture)
    print(f"written: {picture}")
    lines = [
        f"{processor()}, {settings.threads} threads"
        + (f", at most {peak:.0f} GFLOP/s on registers alone" if peak else "")
        + f". {', '.join(versions.values())}. Medians of {settings.repeats}, taken in turn.",
        "![Time of each library relative to this one's, by layer and shape](pictures/speed.png)",
    ]
    peers = list(versions)
    for mode in ("training", "inference"):
        for kind in settings.kinds:
            chosen = [found for found in timings if (found[0].case.kind, found[0].case.mode) == (kind, mode)]
            present = [peer for peer in peers if any(timing.peer == peer for found in chosen for timing in found)]
            rows = [[found[0].case.shape, *(cell(found, peer, peak) for peer in present)] for found in chosen]
            lines += [f"### {NAMES[kind]}, {mode}", table(["", *present], rows)]
    write_section("recurrence", "\n\n".join(lines), page)


def cell(found: list[Timing], peer: str, peak: float | None) -> str:
    timing = next((timing for timing in found if timing.peer == peer), None)
    if timing is None:
        return "–"
    share = f", {timing.gflops / peak:.0%}" if peak else ""
    return f"{in_time(timing.median)}<br>{timing.gflops:.3g} GFLOP/s{share}"


if __name__ == "__main__":
    main()
