"""Products in bfloat16 under torch's autocast beside float32: how much faster, and how far off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from _case import GATES, NAMES, Case
from _common import options
from _page import in_time, table
from _run import Run, run_of
from _timing import time_in_turn

SHAPES = [(200, 32, 128, 256), (100, 64, 256, 512), (50, 64, 512, 1024)]
PEERS = ["throughtime", "torch.nn"]
WANTED = 1.4


def main() -> None:
    settings = options(__doc__).parse_args()
    kinds, shapes = (["gru"], SHAPES[:1]) if settings.quick else (list(GATES), SHAPES)
    found = []
    with run_of("bfloat16", PEERS, settings) as run:
        for kind in kinds:
            for shape in shapes:
                for training in (True, False):
                    found.append(compared(Case(kind, *shape, training=training), run))
        run.record["compared"] = found
    heads = [""]
    for peer in PEERS:
        heads += [peer, "times float32's speed", "error of the output", "of the worst gradient"]
    run.write(table(heads, [in_words(row) for row in found]))


def compared(case: Case, run: Run) -> dict[str, Any]:
    """Each peer in bfloat16: its time, how many times the speed of its own float32, and its errors to that."""
    half = replace(case, precision="bfloat16")
    timings = time_in_turn(run.here, [case, half], run.repeats)
    run.timings += timings
    medians = {(timing.peer, timing.case): timing.median for timing in timings}
    row: dict[str, Any] = {"case": f"{NAMES[case.kind]}, {case.mode}, {case.shape}"}
    for peer, worker in run.here.items():
        if (peer, half) not in medians or (peer, case) not in medians:
            continue
        errors = worker.errors(half, case)
        seconds, faster = medians[peer, half], medians[peer, case] / medians[peer, half]
        row[peer] = {"seconds": seconds, "faster": faster, "errors": errors}
        missed = peer == PEERS[0] and faster < WANTED
        print(
            f"{row['case']:34} {peer:11} {in_time(seconds):>8} {faster:5.2f} × float32, "
            f"error {max(errors.values()):.2g}{f' ({WANTED} wanted, MISSED)' * missed}",
            flush=True,
        )
    return row


def in_words(row: dict[str, Any]) -> list[str]:
    cells = [row["case"]]
    for peer in PEERS:
        if peer not in row:
            cells += ["–"] * 4
            continue
        gradients = [error for name, error in row[peer]["errors"].items() if name != "output"]
        worst = f"{max(gradients):.1e}" if gradients else "–"
        output = f"{row[peer]['errors']['output']:.1e}"
        cells += [in_time(row[peer]["seconds"]), f"{row[peer]['faster']:.2f}", output, worst]
    return cells


if __name__ == "__main__":
    main()
