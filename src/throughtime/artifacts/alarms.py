"""Scores: the surprise of each step, how rare so much of it is, and the alarms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from ..data import MusicData, SeriesData, SoundData, TextData
from ._alarm_picture import picture
from .detector import Detector
from .records import write_record
from .run import Run
from .scored import Scored
from .series import SeriesRun
from .surprise import Surprise


@dataclass(frozen=True, eq=False)
class Scores:
    """The steps of one or many sequences, as a detector judges them.

    Args:
        sequences: each with its verdicts.
        detector: that judged.
        unit: what a step is called: "time" or "symbol".
        targets: the names of the values.
    """

    sequences: tuple[Scored, ...]
    detector: Detector
    unit: str = "time"
    targets: tuple[str, ...] = ()

    @property
    def surprise(self) -> Surprise:
        """Without the verdicts."""
        return Surprise(tuple((one.name, one.labels, one.surprise) for one in self.sequences), self.unit)

    @property
    def steps(self) -> int:
        """How many steps have a surprise."""
        return self.surprise.steps

    @property
    def mean(self) -> float:
        """Nats a step."""
        return self.surprise.mean

    @property
    def alarmed(self) -> int:
        """How many steps are alarms."""
        return sum(int(one.verdict.alarm.sum()) for one in self.sequences)

    def frame(self) -> pl.DataFrame:
        """One row a step: series, step, what it is called, surprise, probability (null where none is), alarm."""
        verdicts = [one.verdict for one in self.sequences]
        return self.surprise.frame().with_columns(
            probability=pl.Series(np.concatenate([one.probability for one in verdicts])).fill_nan(None),
            alarm=pl.Series(np.concatenate([one.alarm for one in verdicts])),
        )

    def alarms(self) -> pl.DataFrame:
        """One row an alarm, the rarest first: where it begins and ends, and its peak.

        Alarms of one sequence that are not more than a window apart are one. `surprise` and `probability` are those of
        the peak, surprise as the mean over the window. `side` is "high" where more surprising than usual, "low" where
        less. A text has its symbols from the beginning of the first window to the end.
        """
        rows = []
        for one in self.sequences:
            for first, last, peak in one.intervals(self.detector.window):
                row = {"series": one.name, "first": first + 1, "last": last + 1}
                if self.unit == "time":
                    row |= {
                        name: one.labels[at].item() for name, at in (("begin", first), ("end", last), ("peak", peak))
                    }
                else:
                    seen = one.labels[max(0, first - self.detector.window + 1) : last + 1]
                    row |= {"peak": peak + 1, "symbols": "".join(map(str, seen)) if seen.dtype.kind == "U" else ""}
                row |= {"surprise": float(one.verdict.smoothed[peak]),
                        "probability": float(one.verdict.probability[peak]),
                        "side": "low" if one.verdict.quiet[peak] else "high"}  # fmt: skip
                rows.append(row)
        if not rows:
            return pl.DataFrame()
        return pl.DataFrame(rows, infer_schema_length=None).sort("probability", "surprise", descending=[False, True])

    def most(self, count: int) -> pl.DataFrame:
        """The most surprising steps, worst first."""
        return self.frame().drop_nulls("surprise").top_k(count, by="surprise")

    def plot(self, most: int = 4) -> Figure:
        """Each series with its alarms shaded, and its surprise with the thresholds; of many the worst `most`."""
        return picture(self.sequences, self.detector.window, self.unit, self.targets, most)

    def write(self, path: Path) -> None:
        """Write as CSV, Parquet or PNG, by the file's suffix."""
        write_record(self, path)


def judged(run: Run, data: SeriesData | TextData | SoundData | MusicData, detector: Detector) -> Scores:
    """The surprise of every step of `data` from the second on, and the verdicts on it."""
    surprise = run.surprise(data)
    many = {series.name: series for series in data.series} if isinstance(data, SeriesData) else {}
    done = []
    for name, labels, values in surprise.sequences:
        units, seen = np.zeros(len(values)), None
        if isinstance(run, SeriesRun):
            units = run.units(name, run.scaler_of(many[name], run.task.lookback), many[name].observed[1:])
            seen = many[name].observed[1:, : len(run.layout.columns.targets)]
        verdict = detector.judge(name, values, units=units)
        done.append(Scored(name, labels, values, verdict, detector.thresholds(name, float(np.median(units))), seen))
    targets = run.layout.columns.targets if isinstance(run, SeriesRun) else ()
    return Scores(tuple(done), detector, surprise.unit, targets)
