"""Cost against size: time a step and memory over units, batch and length; and what odd sizes cost beside round ones.

Memory is RssAnon at its peak in a fresh process, beyond what the process had after a first tiny layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from _case import GATES, NAMES, Case
from _common import options
from _memory import PeakMemory
from _page import table
from _pictures import sizes
from _run import Run, run_of
from _timing import time_in_turn
from _worker import Worker

PEERS = ["throughtime", "torch.nn"]
UNITS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
LENGTHS = (1, 10, 100, 1000, 10_000, 100_000)
ODD = {"hidden": (15, 17, 31, 33, 63, 65, 100, 127, 129, 255, 257), "batch": (3, 15, 17, 31, 33, 63, 65)}
WANTED = 1.3
_REMEMBERED = {8, 32, 128, 512, 2048}  # sizes whose memory is measured too: a process each
_SHORT, _LONG = 20, 100  # steps; large layers are timed over few


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--kind", choices=GATES, default="gru")
    settings = parser.parse_args()
    with run_of("scaling", PEERS, settings) as run:
        swept = {name: [point(name, size, case, run) for size, case in cases] for name, cases in sweeps(settings)}
        odd = {} if settings.quick else odd_sizes(run)
        run.record |= {"swept": swept, "odd": odd}
    picture = run.picture("speed_sizes")
    if picture is None:
        return
    sizes(swept, PEERS, picture)
    lines = [
        f"{NAMES[settings.kind]}.",
        "![Time a step and memory over units, batch and length](pictures/speed_sizes.png)",
    ]
    if odd:
        rows = [
            [name, f"{max(ratios.values()):.2f}", max(ratios, key=ratios.__getitem__)] for name, ratios in odd.items()
        ]
        lines += [
            f"Odd sizes over the next multiple of 16, the worst of {', '.join(map(str, ODD['hidden']))} units and of "
            f"{', '.join(map(str, ODD['batch']))} sequences:",
            table(["", "time over that of the multiple", "at"], rows),
        ]
    run.write("\n\n".join(lines), "sizes")


def sweeps(settings: Any) -> Iterator[tuple[str, list[tuple[int, Case]]]]:
    """One size after another, the others being fixed."""
    every = slice(None, None, 4) if settings.quick else slice(None)
    yield "hidden", [(h, Case(settings.kind, _LONG if h <= 512 else _SHORT, 32, h, h)) for h in UNITS[every]]
    yield "batch", [(b, Case(settings.kind, _LONG, b, 64, 128)) for b in BATCHES[every]]
    yield "time", [(t, Case(settings.kind, t, 1, 1, 32)) for t in LENGTHS[every]]


def point(name: str, size: int, case: Case, run: Run) -> dict[str, Any]:
    """Seconds a step in training and inference, and MiB in training, of each peer."""
    found: dict[str, Any] = {"size": size, "case": case.shape}
    for each in (case, replace(case, training=False)):
        timings = time_in_turn(run.here, [each], run.repeats)
        run.timings += timings
        for timing in timings:
            found.setdefault(timing.peer, {})[each.mode] = timing.median / case.time
    for peer in run.here:
        if name == "time" or size in _REMEMBERED or size == 1:
            found[peer]["memory"] = memory(peer, case, run.threads)
    told = [
        f"{peer} {found[peer]['training'] * 1e6:.4g} µs, {found[peer]['inference'] * 1e6:.4g} µs"
        + (f", {found[peer]['memory']:.4g} MiB" if "memory" in found[peer] else "")
        for peer in run.here
    ]
    print(f"{name:6} {case.shape:22} {'; '.join(told)}", flush=True)
    return found


def memory(peer: str, case: Case, threads: int) -> float:
    """MiB that training takes at most, beyond what was there after a tiny one."""
    with Worker(peer, threads) as worker:
        worker.prepare(Case(case.kind, 2, 2, 2, 2))
        worker.forget()
        worker.prepare(case, check=False)
        with PeakMemory(worker.pid, 0.002) as peak:
            before = peak.kib
            worker.measure(case, 0.05)
        return (peak.kib - before) / 1024


def odd_sizes(run: Run) -> dict[str, dict[str, float]]:
    """Our time at odd sizes over that at the next multiple of 16."""
    ours, found = {PEERS[0]: run.here[PEERS[0]]}, {}
    for kind in GATES:
        for training in (True, False):
            for name, odd in ODD.items():
                base = Case(kind, 50, 32, 32, 64, training=training)
                cases = {size: replace(base, **{name: size}) for size in {*odd, *map(next_multiple, odd)}}
                timings = time_in_turn(ours, list(cases.values()), run.repeats)
                medians = {timing.case: timing.median for timing in timings}
                ratios = {
                    f"{'H' if name == 'hidden' else 'B'}{size}": medians[cases[size]]
                    / medians[cases[next_multiple(size)]]
                    for size in odd
                }
                run.timings += timings
                label, worst = f"{NAMES[kind]}, {base.mode}, {name}", max(ratios, key=ratios.__getitem__)
                found[label] = ratios
                missed = f" ({WANTED} wanted, MISSED)" * (ratios[worst] > WANTED)
                print(f"odd sizes: {label:24} at most {ratios[worst]:.2f}, at {worst}{missed}", flush=True)
    return found


def next_multiple(size: int) -> int:
    return -(-size // 16) * 16


if __name__ == "__main__":
    main()
