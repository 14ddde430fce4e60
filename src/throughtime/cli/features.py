"""`throughtime features`: the state of a model as a representation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..artifacts import Per, SeriesRun, load, write_table
from . import _options as options
from ._console import print_json, progress, remark, say, working


def features(
    run: options.RunFolder,
    file: options.OptionalFile = None,
    per: Annotated[Per, typer.Option(help="A row for each step, or for each sequence.")] = "step",
    steps: Annotated[int | None, typer.Option(min=1, help="With --per sequence: the rows or symbols of each.")] = None,
    layer: Annotated[int | None, typer.Option(min=1, help="Layer to take h from; the top one by default.")] = None,
    out_path: Annotated[
        Path | None, typer.Option("--out", help="A .csv or .parquet file; RUN/features.csv by default.")
    ] = None,
    device: options.Device = "cpu",
    json: options.Json = False,
) -> None:
    """What the model makes of FILE: vectors h_0, h_1, … to cluster, to compare, or to train something else on.

    The vector of a step has seen it and all before it, and is what the next one is predicted from.
    Where a value was filled in there is none.

    With --per sequence each sequence is read for itself and has one vector, that after its last step.
    A sequence is one of the series in FILE, a line of a text (without its line break), or a whole recording.
    With --steps it is so many rows or symbols instead.

    Examples:

      throughtime features runs/co2 --out co2.parquet

      throughtime features runs/book reviews.txt --per sequence

      throughtime features runs/load --per sequence --steps 24 --out days.csv
    """
    trained = load(run, device=options.device(device))
    with working("reading"):
        data = trained.read(file)
    path = run / "features.csv" if out_path is None else out_path
    with progress("reading states") as told:
        rows, columns = write_table(trained.features(data, per=per, steps=steps, layer=layer, progress=told), path)
    if isinstance(trained, SeriesRun) and trained.layout.columns.future:
        remark("the last row of each series is left out: the model reads the future columns of the one after it")
    count = sum(name.startswith("h_") for name in columns)
    if json:
        print_json({"file": str(path), "rows": rows, "features": count})
        return
    say(f"rows: {rows:,}; columns: {', '.join(columns[:-count])} and {count} features; saved {path}")
