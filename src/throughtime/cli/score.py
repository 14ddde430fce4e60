"""`throughtime score`: how surprising each step is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..artifacts import Surprise, load
from . import _options as options
from ._console import cell, out, print_json, say, working


def score(
    run: options.RunFolder,
    file: options.OptionalFile = None,
    out_path: Annotated[
        Path | None, typer.Option("--out", help="A .csv, .parquet or .png file; RUN/scores.csv by default.")
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="How many of the most surprising steps to print.")] = 10,
    device: options.Device = "cpu",
    json: options.Json = False,
) -> None:
    """Surprise of each step of FILE given all before it, −log p in nats: large where something unexpected happens.

    Examples:

      throughtime score runs/machine today.csv --out today-scores.csv

      throughtime score runs/book chapter.txt --out surprise.png
    """
    trained = load(run, device=options.device(device))
    with working("reading"):
        data = trained.read(file)
    with working("scoring"):
        surprise = trained.surprise(data)
    path = run / "scores.csv" if out_path is None else out_path
    surprise.write(path)
    if json:
        print_json({"file": str(path), "mean": surprise.mean, "top": surprise.most(top).to_dicts()})
        return
    out.print(_table(surprise, top))
    say(f"mean surprise {surprise.mean:.4f} nats a step over {surprise.steps:,} steps; saved {path}")


def _table(surprise: Surprise, top: int) -> Table:
    table = Table(title="most surprising steps")
    rows = surprise.most(top)
    for name in rows.columns:
        table.add_column(name, justify="right" if name == "surprise" else "left")
    for row in rows.iter_rows():
        table.add_row(*(Text(cell(value)) for value in row))
    return table
