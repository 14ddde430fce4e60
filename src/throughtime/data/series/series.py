"""Series in memory or on disk: their times, what was observed, and what is known in advance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..._errors import DataError
from ..files.source import Source
from . import calendar
from .description import Gaps, SeriesDescription, describe_series
from .frequency import Frequency
from .future import read_future
from .layout import Columns, SeriesLayout


@dataclass(frozen=True, eq=False)
class Series:
    """One series.

    Args:
        name: its own; "" where a file holds only one.
        times: datetime64[us] [time], or int64 where rows are counted.
        observed: float64 [time, target + past], the targets first.
        known: float64 [time, future + calendar].
        mended: where a value was filled, bool [time, target + past]; None where none was.
        interpolated: whether they were filled between their neighbours, the later one too.
    """

    name: str
    times: np.ndarray
    observed: np.ndarray
    known: np.ndarray
    mended: np.ndarray | None = None
    interpolated: bool = False

    def __len__(self) -> int:
        return len(self.times)

    def before(self, row: int) -> Series:
        """The same series as it stood before a row."""
        mended = None if self.mended is None else self.mended[:row]
        return Series(self.name, self.times[:row], self.observed[:row], self.known[:row], mended, self.interpolated)

    @property
    def foreseen(self) -> np.ndarray:
        """Whether a row holds what was filled from later rows, bool [time]: no fair forecast reads it last."""
        if self.mended is None or not self.interpolated:
            return np.zeros(len(self), bool)
        return np.any(self.mended, axis=1, keepdims=True)[:, 0]


@dataclass(frozen=True, eq=False)
class SeriesData:
    """The series of a file or frame.

    Args:
        series: in the order of their first rows.
        layout: how they were read; reads another file alike.
        source: the file; None for a frame.
        notes: what was left out or mended on the way, in words.
        gaps: where times were missing.
    """

    series: tuple[Series, ...]
    layout: SeriesLayout
    source: Source | None = None
    notes: tuple[str, ...] = ()
    gaps: Gaps = field(default_factory=Gaps)

    @property
    def columns(self) -> Columns:
        """Which column is what."""
        return self.layout.columns

    @property
    def frequency(self) -> Frequency:
        """How often the series are observed."""
        return self.layout.frequency

    def describe(self) -> SeriesDescription:
        """What was read, in figures and a picture."""
        columns = self.columns
        roles = (*((name, "target") for name in columns.targets), *((name, "past") for name in columns.past))
        return describe_series(
            self.source.path if self.source else "a frame",
            [(one.name, one.times, one.observed, one.mended) for one in self.series],
            roles,
            self.frequency,
            columns.time,
            self.layout.calendar,
            self.notes,
            self.gaps,
        )

    def known_after(self, series: Series, future: Any, horizon: int) -> np.ndarray:
        """What is known of the `horizon` steps after the end of `series`, [horizon, future + calendar].

        Args:
            series: one of these series.
            future: a frame or file with the time column (and the id column, if there is one) and every future
                column; None where the data has none.
            horizon: how many steps.

        Raises:
            DataError: where future columns are needed and not given, or a time of the horizon is not among them.
        """
        times = self.frequency.after(series.times, horizon)
        computed = calendar.features(self.layout.calendar, times)
        if not self.columns.future:
            return computed
        names = ", ".join(repr(name) for name in self.columns.future)
        if future is None:
            raise DataError(f"the model reads {names} of the future: give them for the {horizon} steps to come")
        return np.concatenate([read_future(future, self.layout, series.name, times), computed], axis=1)
