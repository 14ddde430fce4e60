"""Three series of the Numenta anomaly benchmark: labelled windows that hold no alarm, and alarms outside of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
from _common import DATA

from throughtime.artifacts import Calibration, Scored, judged, load, measured
from throughtime.data import Split, read_series
from throughtime.training import prepare

from .protocol import Protocol

FOLDER = DATA / "nab"
PERIODS = {"ambient_temperature_system_failure": 24, "machine_temperature_system_failure": 288, "nyc_taxi": 48}
"""The steps of a day."""

BEFORE = 0.15
SPLIT = Split(0.7, 0.3, 0.0)
WINDOW, FALSE_ALARMS = 8, 0.001

Window = tuple[np.datetime64, np.datetime64]


def table(name: str) -> pl.DataFrame:
    """A series; of two rows with the same time, as one has at the end of the hour that is there twice, the first."""
    rows = pl.read_csv(FOLDER / "data" / f"{name}.csv")
    return rows.unique("timestamp", keep="first", maintain_order=True)


def windows(name: str) -> list[Window]:
    """The labelled windows of a series."""
    labels = json.loads((FOLDER / "labels" / "combined_windows.json").read_text())
    return [(np.datetime64(datetime.fromisoformat(begin)), np.datetime64(datetime.fromisoformat(end)))
            for begin, end in labels[f"realKnownCause/{name}.csv"]]  # fmt: skip


def by_model(model: str, name: str, seed: int, folder: Path) -> tuple[Scored, int]:
    """The verdicts of a model that was trained on the first rows, and where the others begin."""
    rows = table(name)
    before = read_series(rows.head(round(BEFORE * len(rows))), fill="forward")
    family = model if model == "gru" else f"{model}:{PERIODS[name]}"
    training = prepare(before, folder / name, task={"split": SPLIT}, family=family, training={"seed": seed})
    training.fit()
    run = load(folder / name)
    detector = measured(run, before).detector(WINDOW, FALSE_ALARMS)
    (scored,) = judged(run, run.read(rows), detector).sequences
    return scored, len(before.series[0]) - 1


def by_residual(model: str, name: str) -> tuple[Scored, int]:
    """The same by half the squared residual in standard deviations: from the mean, or from the value a day before."""
    rows = table(name)
    (series,) = read_series(rows, fill="forward").series
    begin = len(read_series(rows.head(round(BEFORE * len(rows))), fill="forward").series[0])
    train_end, values, period = SPLIT.bounds(begin)[0], series.observed[:, 0], PERIODS[name]
    residual = values - values[:train_end].mean()
    if model != "z-score":
        residual[period:] = values[period:] - values[:-period]
        residual[:period] = np.nan
    surprise = np.square(residual / np.nanstd(residual[:train_end])) / 2
    if series.mended is not None:
        surprise[series.mended[:, 0]] = np.nan
    usual = surprise[train_end:begin]
    detector = Calibration({"": usual[np.isfinite(usual)]}).detector(WINDOW, FALSE_ALARMS)
    return Scored("", series.times, surprise, detector.judge("", surprise), detector.thresholds("")), begin


def counted(scored: Scored, begin: int, labelled: Sequence[Window]) -> tuple[int, int, int, int]:
    """(windows missed, windows, false alarms, steps outside of windows) from step `begin` on.

    A window that begins before counts neither way, nor do its steps. Alarms not more than `WINDOW` steps apart are one,
    which is false where none of it lies in a window.
    """
    times = scored.labels
    inside = np.zeros(len(times), bool)
    missed = total = 0
    for first, last in labelled:
        within = (times >= first) & (times <= last)
        inside |= within
        if first >= times[begin]:
            total, missed = total + 1, missed + int(not scored.verdict.alarm[within].any())
    intervals = [(first, last) for first, last, _ in scored.intervals(WINDOW) if last >= begin]
    false = sum(not inside[max(first, begin) : last + 1].any() for first, last in intervals)
    return missed, total, false, int((~inside[begin:]).sum())


def run(model: str, seed: int, folder: Path) -> dict[str, float]:
    missed = windows_ = false = steps = 0
    for name in PERIODS:
        scored = by_model(model, name, seed, folder) if model in ("gru", "ar") else by_residual(model, name)
        here = counted(*scored, windows(name))
        print(f"{name}: {here[0]} of {here[1]} windows missed, {here[2]} false alarms in {here[3]} steps")
        missed, windows_, false, steps = (a + b for a, b in zip((missed, windows_, false, steps), here, strict=True))
    return {"windows missed, of 10": 10 * missed / windows_, "false alarms in 1,000 steps": 1000 * false / steps}


PROTOCOL = Protocol(
    name="nab",
    title="Anomalies in three series of NAB",
    data=(*(f"nab/data/{name}.csv" for name in PERIODS), "nab/labels/combined_windows.json"),
    words="Ambient temperature, machine temperature and New York taxis, gaps filled forward, of rows with the same time"
    " the first. Of each series the first 15 % (the part that NAB calls probationary) are the data before: their "
    "first 70 % train, their last 30 % stop the training and calibrate. All later rows are scored one step ahead."
    " A step is an alarm where the mean surprise of the last 8 steps is rarer, on either side, than 0.001 by that"
    " calibration; alarms at most 8 steps apart are one. A labelled window that begins in the scored part is "
    "missed where it holds no alarm; an alarm is false where none of it lies in a window. Models are trained with"
    " the defaults; ar reads a day. z-score is half the squared distance from the mean of the training rows in "
    "standard deviations, seasonal naive that from the value a day before, both calibrated alike. Nothing was "
    "chosen by the labels. The whole benchmark is scored by another measure over 58 series, so that there is no "
    "figure to set beside these.",
    metrics=("windows missed, of 10", "false alarms in 1,000 steps"),
    published={},
    source="none: no figure is published for these three series alone",
    models=("gru", "ar", "z-score", "seasonal naive"),
    run=run,
)
