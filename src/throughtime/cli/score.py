"""`throughtime score`: how surprising each step is, and which are alarms."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.table import Table
from rich.text import Text

from .._errors import ConfigurationError
from ..artifacts import Calibration, LabelRun, Scores, SeriesRun, Surprise, calibrated, judged, keep, load
from ..artifacts.run import Run
from . import _options as options
from ._console import cell, out, print_json, progress, say, working
from ._streaming import answer_lines

_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 2_629_746, "year": 31_556_952}


def score(
    run: options.RunFolder,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="Data to use, or - for lines of standard input; the file it was trained on by default.",
            show_default=False,
        ),
    ] = None,
    out_path: Annotated[
        Path | None, typer.Option("--out", help="A .csv, .parquet or .png file; RUN/scores.csv by default.")
    ] = None,
    false_alarms: Annotated[
        str,
        typer.Option(
            help="How many usual steps may be alarms: a share such as 0.001, so many in a time such as 1/week, or none."
        ),
    ] = "0.001",
    window: Annotated[
        int | None,
        typer.Option(min=1, help="Steps judged together, by their mean surprise; 8, or 1 where data is scarce."),
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="How many alarms, and most surprising steps, to print.")] = 10,
    fill: options.Fill = None,
    device: options.Device = "cpu",
    json: options.Json = False,
) -> None:
    """Surprise of each step of FILE given all before it, −log p in nats, how rare so much of it is, and alarms.

    What is usual is measured on the validation part of the training data, once, and kept in the run folder.
    From standard input each line is answered at once.

    Examples:

      throughtime score runs/machine today.csv --out today-scores.csv

      throughtime score runs/machine today.csv --false-alarms 1/week --out alarms.png

      tail -f log.csv | throughtime score runs/machine -

      throughtime score runs/book chapter.txt --out surprise.png
    """
    trained = load(run, device=options.device(device))
    options.mend(trained, fill)
    if isinstance(trained, LabelRun):
        trained.surprise(None)
    share = _share(false_alarms, trained)
    if file == Path("-"):
        if out_path is not None:
            raise ConfigurationError(f"--out {out_path}: lines are answered on standard output; redirect that: > FILE")
        calibration = _calibration(trained) if share is not None else None
        detector = calibration.detector(window, share) if calibration is not None and share is not None else None
        if calibration is not None:
            keep(trained, calibration)
        answer_lines(trained, detector, calibration.columns if calibration else (), json)
        return
    with working("reading"):
        data = trained.read(file)
    path = run / "scores.csv" if out_path is None else out_path
    if share is None:
        with working("scoring"):
            surprise = trained.surprise(data)
        surprise.write(path)
        _report(surprise, top, path, json)
        return
    calibration = _calibration(trained)
    detector = calibration.detector(window, share)
    with working("scoring"):
        scores = judged(trained, data, detector)
    scores.write(path)
    keep(trained, calibration)
    _report_alarms(scores, calibration, share, top, path, json)


def _share(text: str, run: Run) -> float | None:
    """The share of steps that may be false alarms; `None` where none are wanted."""
    if text.strip().lower() == "none":
        return None
    found = re.fullmatch(rf"\s*(\d+(?:\.\d+)?)\s*(?:/|per)\s*({'|'.join(_SECONDS)})s?\s*", text)
    if found is None:
        try:
            return float(text)
        except ValueError:
            raise ConfigurationError(
                f"--false-alarms {text!r}: expected a share of steps such as 0.001, so many in a time such as 1/week, "
                "or none"
            ) from None
    if not isinstance(run, SeriesRun) or run.layout.frequency.unit == "count":
        raise ConfigurationError(f"--false-alarms {text!r}: the steps of this run have no time: give a share, as 0.001")
    share = float(found[1]) * run.layout.frequency.nominal / 1e6 / _SECONDS[found[2]]
    if not 0 < share < 1:
        raise ConfigurationError(
            f"--false-alarms {text!r} is {share:g} of the steps, one every {run.layout.frequency.name}: expected a "
            "share between 0 and 1"
        )
    return share


def _calibration(run: Run) -> Calibration:
    with progress("calibrating") as told:
        return calibrated(run, told)


def _report(surprise: Surprise, top: int, path: Path, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(path), "mean": surprise.mean, "top": surprise.most(top).to_dicts()})
        return
    out.print(_table("most surprising steps", surprise.most(top)))
    say(f"mean surprise {surprise.mean:.4f} nats a step over {surprise.steps:,} steps; saved {path}")


def _report_alarms(scores: Scores, calibration: Calibration, share: float, top: int, path: Path, as_json: bool) -> None:
    alarms = scores.alarms()
    if as_json:
        print_json({"file": str(path), "mean": scores.mean, "top": scores.most(top).to_dicts(),
                    **_settings(scores, calibration, share), "alarms": alarms.to_dicts()})  # fmt: skip
        return
    if len(alarms):
        title = f"alarms, the rarest first ({min(top, len(alarms))} of {len(alarms)})"
        out.print(_table(title, alarms.select(_printed(alarms)).head(top)))
    else:
        out.print(_table("most surprising steps; none is an alarm", scores.most(top)))
    window = scores.detector.window
    beyond = share * calibration.steps < 1
    say(f"{len(alarms)} alarms in {scores.alarmed:,} of {scores.steps:,} steps, where {share:.3g} of usual ones would "
        f"be; {f'means of {window} steps' if window > 1 else 'single steps'}, against "
        f"{calibration.steps:,} steps of {calibration.part}"
        + (", beyond which the tail is extrapolated" if beyond else ""))  # fmt: skip
    say(f"mean surprise {scores.mean:.4f} nats a step; saved {path}")


def _settings(scores: Scores, calibration: Calibration, share: float) -> dict[str, Any]:
    return {"steps": scores.steps, "window": scores.detector.window, "false_alarms": share,
            "alarmed": scores.alarmed,
            "calibration": {"part": calibration.part, "steps": calibration.steps}}  # fmt: skip


def _printed(alarms: pl.DataFrame) -> list[str]:
    """The columns that fit beside each other: the name of a series where there is one, and times in place of steps."""
    left_out = {"first", "last", "peak"} if "begin" in alarms.columns else {"peak"}
    left_out |= {"series"} if alarms["series"].n_unique() == 1 else set()
    return [name for name in alarms.columns if name not in left_out]


def _table(title: str, rows: pl.DataFrame) -> Table:
    table = Table(title=title)
    for name in rows.columns:
        table.add_column(name, justify="right" if name in ("surprise", "probability") else "left")
    for row in rows.iter_rows():
        table.add_row(*(Text(_shown(value)) for value in row))
    return table


def _shown(value: Any) -> str:
    """As in every table; symbols of a text one by one, and not more of them than fit."""
    if isinstance(value, str) and len(value) > 1:
        return "".join(map(cell, value[:60])) + ("…" if len(value) > 60 else "")
    return "" if value is None else cell(value)
