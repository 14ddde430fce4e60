"""This library's layers beside torch.nn, JAX, Keras and ONNX Runtime: training and inference, all in one run.

Training is the forward and every gradient (of x, weights and biases) from a cotangent on all outputs; inference is the
forward alone. Each peer has a process of its own, and they are timed in turn.
"""

from __future__ import annotations

from typing import Any

from _case import GATES, NAMES, Case
from _common import options
from _page import in_time, table
from _peers import PEERS
from _pictures import relative_times
from _run import Run, run_of
from _timing import Timing, time_in_turn

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
    shapes = settings.shapes[:1] if settings.quick else settings.shapes
    groups = []
    with run_of("recurrence", settings.peers, settings) as run:
        for kind in settings.kinds:
            for shape in shapes:
                for training in (True, False):
                    group = time_in_turn(run.here, [Case(kind, *SHAPES[shape], training=training)], run.repeats)
                    if group:
                        tell(group, run)
                        groups.append(group)
        run.timings = [timing for group in groups for timing in group]
        run.record["ratios"] = [ratio(timing, group) for group in groups for timing in group]
    write(groups, run)


def ratio(timing: Timing, group: list[Timing]) -> dict[str, Any]:
    """How one stands to ours, and what is wanted."""
    case = timing.case
    wanted = WANTED_OF_OTHERS.get((timing.peer, case.mode))
    if timing.peer == "torch.nn":
        wanted = WANTED[case.kind, case.mode][list(SHAPES).index(case.shape)]
    ours = next((other.median for other in group if other.peer == OURS), None)
    return {
        "peer": timing.peer,
        "case": f"{case.kind} {case.mode} {case.shape}",
        "relative_to_ours": None if ours is None else timing.median / ours,
        "wanted": wanted,
    }


def tell(group: list[Timing], run: Run) -> None:
    case = group[0].case
    print(f"{NAMES[case.kind]:4} {case.shape:18} {case.mode}")
    for timing in group:
        words = [f"  {timing.peer:13} {in_time(timing.median):>8} {timing.gflops:6.1f} GFLOP/s"]
        found, share = ratio(timing, group), run.share(timing)
        relative, wanted = found["relative_to_ours"], found["wanted"]
        if share is not None:
            words.append(f"{share:4.0%} of peak")
        if relative is not None:
            words.append(f"{relative:7.2f} × ours")
        if relative is not None and wanted is not None:
            words.append(f"({wanted:g} wanted{'' if relative >= wanted else ', MISSED'})")
        if timing.backend is not None:
            words.append(f"on {timing.backend}")
        print(" ".join(words), flush=True)


def write(groups: list[list[Timing]], run: Run) -> None:
    """The picture and the tables: one a layer and mode, a row a shape, a column a peer."""
    picture = run.picture("speed")
    if picture is None:
        return
    relative_times(groups, OURS, picture)
    lines = ["![The time of each library relative to this one's, by layer and shape](pictures/speed.png)"]
    for mode in ("training", "inference"):
        for kind in dict.fromkeys(group[0].case.kind for group in groups):
            chosen = [group for group in groups if (group[0].case.kind, group[0].case.mode) == (kind, mode)]
            peers = list(dict.fromkeys(timing.peer for group in chosen for timing in group))
            rows = [[group[0].case.shape, *(cell(group, peer, run) for peer in peers)] for group in chosen]
            lines += [f"### {NAMES[kind]}, {mode}", table(["", *peers], rows)]
    run.write("\n\n".join(lines))


def cell(group: list[Timing], peer: str, run: Run) -> str:
    timing = next((timing for timing in group if timing.peer == peer), None)
    if timing is None:
        return "–"
    share, relative = run.share(timing), ratio(timing, group)["relative_to_ours"]
    beside = "" if relative is None or peer == OURS else f", **{relative:.3g} ×**"
    return f"{in_time(timing.median)}{beside}<br>{timing.gflops:.3g} GFLOP/s{'' if share is None else f', {share:.0%}'}"


if __name__ == "__main__":
    main()
