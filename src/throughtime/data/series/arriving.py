"""Rows as they come on the grid of their series: in order, and with what is missing between them filled in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from . import calendar
from .layout import SeriesLayout
from .lines import Rows

_MOST_FILLED = 10_000


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps of one series without a gap.

    Args:
        values: targets and past columns, [step, target + past].
        known: future columns and calendar, [step, known].
        times: [step].
        filled: whether a target was filled in, bool [step].
        lines: the number of each step's line, 0 where the whole row was filled in, [step].
        anew: whether the series begins anew with them, after a gap too long to fill.
    """

    values: np.ndarray
    known: np.ndarray
    times: np.ndarray
    filled: np.ndarray
    lines: np.ndarray
    anew: bool


class Arriving:
    """Puts the rows of one series on its grid.

    A missing value, and each of the times missing before a row, is filled with the last value, or with zero where the
    training data was. After more than 10,000 missing times the series begins anew. A row whose time is off the grid, or
    not after that of the row before, is left out.

    Args:
        layout: of the training data.
        name: of the series.
        tell: is told, in words, what was filled or left out.
    """

    def __init__(self, layout: SeriesLayout, name: str, tell: Callable[[str], None]) -> None:
        self._layout, self._of, self._tell = layout, f" of series {name!r}" if name else "", tell
        columns = layout.columns
        self._targets = len(columns.targets)
        self._observed = self._targets + len(columns.past)
        self._values: np.ndarray | None = None
        self._time: np.ndarray | None = None
        self._count = 0

    def steps(self, rows: Rows, own: np.ndarray) -> list[Steps]:
        """The rows of this series, `own` among all that came, in stretches that have no gap."""
        lines, values = rows.numbers[own], rows.values[own]
        times = self._count + np.arange(len(own)) if rows.times is None else rows.times[own]
        self._count += len(own)
        if self._values is None:
            first = self._first(values, lines)
            lines, values, times = lines[first:], values[first:], times[first:]
        if not len(lines):
            return []
        frequency = self._layout.frequency
        begins = self._time is None
        origin = times[0] if self._time is None else self._time
        places = frequency.positions(times, origin)
        highest = np.maximum.accumulate(np.concatenate([[-1 if begins else 0], places]))[:-1]
        late = places <= highest
        self._tell_late(lines[late], times[late], places[late])
        lines, values, places = lines[~late], values[~late], places[~late]
        if not len(lines):
            return []
        apart = np.diff(places, prepend=places[0] if begins else 0)
        bounds = [0, *np.flatnonzero(apart > _MOST_FILLED + 1), len(lines)]
        stretches = []
        for start, stop in pairwise(bounds):
            if stop > start:
                anew = bool(apart[start] > _MOST_FILLED + 1) or (begins and start == 0)
                part = slice(start, stop)
                stretches.append(self._stretch(lines[part], values[part], places[part], apart[part], origin, anew))
        return stretches

    def _first(self, values: np.ndarray, lines: np.ndarray) -> int:
        """The first row that has nothing missing, where there is nothing yet to fill with."""
        whole = np.array(np.isfinite(values).all(axis=1) | (self._layout.fill == "zero"))
        first = int(np.argmax(whole)) if whole.any() else len(whole)
        for line in lines[:first]:
            self._tell(f"standard input, line {line} is left out: it has a missing value, and there is none before it")
        return first

    def _tell_late(self, lines: np.ndarray, times: np.ndarray, places: np.ndarray) -> None:
        for line, time, place in zip(lines, times, places, strict=True):
            wrong = (
                f"is not a whole number of steps of {self._layout.frequency.name} after the row before"
                if place < 0
                else "does not come after the row before"
            )
            self._tell(f"standard input, line {line} is left out: its time {time}{self._of} {wrong}")

    def _stretch(
        self, lines: np.ndarray, values: np.ndarray, places: np.ndarray, apart: np.ndarray, origin: object, anew: bool
    ) -> Steps:
        for at in np.flatnonzero(apart > 1):
            missing, what = int(apart[at]) - 1, "the series begins anew" if anew and at == 0 else "filled"
            self._tell(f"standard input, line {lines[at]}: {missing} times missing{self._of} before it: {what}")
        first = places[0] if anew or self._time is None else places[0] - apart[0] + 1
        size = int(places[-1] - first) + 1
        table = np.full((size, values.shape[1]), np.nan)
        numbers = np.zeros(size, np.int64)
        table[places - first], numbers[places - first] = values, lines
        missing = np.isnan(table)
        table = self._filled(table, missing)
        frequency = self._layout.frequency
        times = frequency.at(origin, np.arange(first, first + size))
        self._values, self._time = table[-1], times[-1]
        known = np.concatenate([table[:, self._observed :], calendar.features(self._layout.calendar, times)], axis=1)
        filled = np.array(missing[:, : self._targets].any(axis=1))
        return Steps(table[:, : self._observed], known, times, filled, numbers, anew)

    def _filled(self, table: np.ndarray, missing: np.ndarray) -> np.ndarray:
        if self._layout.fill == "zero":
            return np.where(missing, 0.0, table)
        carried = table[:1] if self._values is None else self._values[None]
        table = np.concatenate([carried, table])
        places = np.where(missing, 0, np.arange(1, len(table))[:, None])
        return np.take_along_axis(table, np.maximum.accumulate(places, axis=0), axis=0)
