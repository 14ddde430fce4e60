"""`throughtime forecast`: what comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from .._errors import ConfigurationError
from .._files import making
from ..artifacts import Forecast, SeriesRun, load
from . import _options as options
from ._console import cell, out, print_json, progress, say, working


def forecast(
    run: options.RunFolder,
    file: options.OptionalFile = None,
    horizon: options.Horizon = None,
    future: Annotated[Path | None, typer.Option(help="File with the future covariates of the horizon.")] = None,
    hold_out: Annotated[bool, typer.Option("--hold-out", help="Forecast the last rows; show the truth.")] = False,
    samples: options.Samples = 200,
    out_path: Annotated[
        Path | None, typer.Option("--out", help="A folder, or a .csv, .parquet or .png file; RUN by default.")
    ] = None,
    seed: options.Seed = 0,
    fill: options.Fill = None,
    device: options.Device = "cpu",
    json: options.Json = False,
) -> None:
    """Forecast what follows FILE: median and 50, 80 and 95 % intervals, as a table, a CSV and a picture.

    Examples:

      throughtime forecast runs/co2

      throughtime forecast runs/co2 --hold-out --out pictures

      throughtime forecast runs/load newest.csv --horizon 48 --future weather.csv --out forecast.parquet
    """
    trained = load(run, device=options.device(device))
    options.mend(trained, fill)
    if not isinstance(trained, SeriesRun):
        raise options.of_another_kind(trained)
    if hold_out and future is not None:
        raise ConfigurationError("--future is for what comes after FILE; with --hold-out FILE itself has those rows")
    with working("reading"):
        data = trained.read(file)
    with progress("sampling futures") as told:
        made = trained.forecast(
            data, horizon, future=future, hold_out=hold_out, samples=samples, seed=seed, progress=told
        )
    written = _write(made, run if out_path is None else out_path)
    if json:
        print_json({"files": [str(path) for path in written], "forecast": made.frame().to_dicts()})
        return
    out.print(_table(made))
    for path in written:
        say(f"saved {path}")


def _write(made: Forecast, path: Path) -> list[Path]:
    if path.suffix and not path.is_dir():
        made.write(path)
        return [path]
    paths = [path / "forecast.csv", path / "forecast.png"]
    with making(path):
        for one in paths:
            made.write(one)
    return paths


def _table(made: Forecast, most: int = 12) -> Table:
    one = made.series[0]
    lower, upper = one.interval(0.8)
    table = Table(title=" · ".join(part for part in (one.name, made.targets[0]) if part), title_justify="left")
    for heading in ("time", "median", "80 % interval", *(["truth"] if one.truth is not None else [])):
        table.add_column(heading, justify="left" if heading == "time" else "right")
    for step, when in list(enumerate(one.times))[:most]:
        truth = [] if one.truth is None else [cell(float(one.truth[step, 0]))]
        table.add_row(
            cell(when),
            cell(float(one.median[step, 0])),
            f"{cell(float(lower[step, 0]))} … {cell(float(upper[step, 0]))}",
            *truth,
        )
    rows = len(one.times) * len(made.series) * len(made.targets)
    if rows > most:
        others = f" of {len(made.series)} series and {len(made.targets)} targets" if rows > len(one.times) else ""
        table.caption = f"the first {min(most, len(one.times))} of {rows} rows{others}"
    return table
