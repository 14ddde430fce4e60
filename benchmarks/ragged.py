"""What a valid step of a ragged batch costs, relative to a full batch: this library beside torch's packed path."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from _case import GATES, NAMES, Case
from _common import options
from _page import in_time, table
from _run import run_of
from _timing import Timing, time_in_turn

SHAPES = [(100, 64, 64, 128), (200, 32, 128, 256), (784, 64, 1, 128)]
PEERS = ["throughtime", "torch.nn"]
WANTED = 1.2


def main() -> None:
    settings = options(__doc__).parse_args()
    kinds, shapes = (["gru"], SHAPES[:1]) if settings.quick else (list(GATES), SHAPES)
    found = []
    with run_of("ragged", PEERS, settings) as run:
        for kind in kinds:
            for shape in shapes:
                for training in (True, False):
                    full = Case(kind, *shape, training=training)
                    timings = time_in_turn(run.here, [full, replace(full, ragged=True)], run.repeats)
                    found.append(compared(full, timings))
                    run.timings += timings
        run.record["compared"] = found
    heads = ["", "valid steps"]
    for peer in PEERS:
        heads += [f"{peer}, ragged", f"{peer}, a valid step over a full one's"]
    run.write(table(heads, [in_words(row) for row in found]))


def compared(full: Case, timings: list[Timing]) -> dict[str, Any]:
    """Each peer's time for the ragged batch, and of a valid step relative to the full batch's."""
    ragged = replace(full, ragged=True)
    medians = {(timing.peer, timing.case): timing.median for timing in timings}
    valid = ragged.valid_steps / full.valid_steps
    row: dict[str, Any] = {"case": f"{NAMES[full.kind]}, {full.mode}, {full.shape}", "valid": valid}
    for peer in PEERS:
        if (peer, full) in medians and (peer, ragged) in medians:
            seconds = medians[peer, ragged]
            row[peer] = {"seconds": seconds, "relative": seconds / valid / medians[peer, full]}
    told = [
        f"{peer} {in_time(row[peer]['seconds'])}, {row[peer]['relative']:.2f} a step" for peer in PEERS if peer in row
    ]
    missed = PEERS[0] in row and row[PEERS[0]]["relative"] > WANTED
    print(f"{row['case']:34} {'; '.join(told)}{f' ({WANTED} wanted, MISSED)' * missed}", flush=True)
    return row


def in_words(row: dict[str, Any]) -> list[str]:
    cells = [row["case"], f"{row['valid']:.0%}"]
    for peer in PEERS:
        cells += [in_time(row[peer]["seconds"]), f"{row[peer]['relative']:.2f}"] if peer in row else ["–", "–"]
    return cells


if __name__ == "__main__":
    main()
