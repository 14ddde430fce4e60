"""What a file of series holds: how long, how often, between what, with which trend and season."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import MaxNLocator

from ... import _plotting
from ..describing import columns, number, plain, sheet
from .components import Components, decompose, find_period
from .frequency import Frequency

LOOKED_AT = 20_000
SERIES_LOOKED_AT = 48
_CHUNK = 1 << 20
_DAY = 86_400_000_000


@dataclass(frozen=True)
class ColumnDescription:
    """One column of numbers, over all series; strengths and period are medians over series.

    Args:
        name, role: as "OT", "target".
        minimum, maximum, mean, deviation: of all its values.
        trend, seasonality: strengths from 0 to 1.
        period: of its season in steps; None where none was found.
        missing: how many values were missing, in the rows that there are.
    """

    name: str
    role: str
    minimum: float
    maximum: float
    mean: float
    deviation: float
    trend: float
    seasonality: float
    period: int | None
    missing: int = 0

    @property
    def constant(self) -> bool:
        """Whether it never changes."""
        return self.minimum == self.maximum


@dataclass(frozen=True)
class Gaps:
    """Where times are missing from the grid.

    Args:
        count: gaps, over all series.
        times: that are missing in them.
        first: the times around the first gap.
    """

    count: int = 0
    times: int = 0
    first: str | None = None

    def more(self, steps: np.ndarray, first: str) -> Gaps:
        """With those among the distances between times, in steps of the grid, [time − 1]."""
        return Gaps(self.count + int((steps > 1).sum()), self.times + int((steps - 1).sum()), self.first or first)

    def __str__(self) -> str:
        if not self.count:
            return "none"
        missing = "1 time is missing" if self.times == 1 else f"{self.times:,} times are missing"
        return f"{self.count:,}: {missing}, the first from {self.first}"


@dataclass(frozen=True, eq=False)
class Line:
    """One column of one series, to be drawn: its last times, with NaN where a value was missing."""

    title: str
    times: np.ndarray
    values: np.ndarray
    components: Components


@dataclass(frozen=True)
class SeriesDescription:
    """What was read of series.

    Args:
        name: of the file.
        rows, series: how many in all.
        shortest, longest: rows of a series.
        begin, end: the first and last time.
        frequency: as "1h".
        time, calendar: the time column, and the cycles computed from it.
        columns: the observed ones.
        notes: what was left out, sorted, or mended, in words.
        gaps: where times are missing.
        lines: what `plot` draws.
    """

    name: str
    rows: int
    series: int
    shortest: int
    longest: int
    begin: str
    end: str
    frequency: str
    time: str | None
    calendar: tuple[str, ...]
    columns: tuple[ColumnDescription, ...]
    notes: tuple[str, ...]
    gaps: Gaps = Gaps()
    lines: tuple[Line, ...] = field(default=(), repr=False, compare=False)

    @property
    def period(self) -> int | None:
        """The period of the first target's season; None where none was found."""
        return self.columns[0].period

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        record = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "lines"}
        return record | {
            "kind": "series",
            "columns": [asdict(column) | {"constant": column.constant} for column in self.columns],
            "calendar": list(self.calendar),
            "notes": list(self.notes),
            "gaps": asdict(self.gaps),
        }

    def table(self) -> Any:
        """For `rich.print`."""
        many = self.series > 1
        lengths = f"{self.shortest:,} to {self.longest:,} rows each" if many else ""
        facts = {
            "file": self.name,
            "rows": f"{self.rows:,}" + (f" in {self.series:,} series, {lengths}" if many else ""),
            "time": f"{self.begin} to {self.end}" + (f" (column {self.time})" if self.time else " (rows counted)"),
            "frequency": self.frequency if self.time else "one row after the other",
            "gaps": str(self.gaps),
            "missing": self._missing(),
            "calendar": ", ".join(self.calendar) or "none",
        }
        table = columns("column", "role", "minimum", "maximum", "mean", "deviation", "trend", "season", "period")
        for column in self.columns:
            figures = (column.minimum, column.maximum, column.mean, column.deviation)
            table.add_row(
                column.name,
                column.role,
                *map(number, figures),
                f"{column.trend:.2f}",
                f"{column.seasonality:.2f}",
                "–" if column.period is None else str(column.period),
            )
        return sheet(facts, table, self.notes)

    def _missing(self, most: int = 8) -> str:
        found = [f"{column.missing:,} in {column.name!r}" for column in self.columns if column.missing]
        more = f" and in {len(found) - most:,} more" if len(found) > most else ""
        return ", ".join(found[:most]) + more or "no value"

    def plot(self) -> Figure:
        """The first target taken apart, the values it takes, and the other columns or series below."""
        first, *others = self.lines
        parts = {"trend": first.components.trend, "remainder": first.components.remainder}
        if first.components.period is not None:
            season = f"season of {first.components.period}"
            parts = {"trend": parts["trend"], season: first.components.seasonal, "remainder": parts["remainder"]}
        with _plotting.style():
            heights = [1.5, *(0.9 for _ in parts), *(0.8 for _ in others)]
            figure = _plotting.figure(10, 1.35 * sum(heights) + 0.5)
            grid = GridSpec(len(heights), 2, figure, width_ratios=[4, 1], height_ratios=heights)
            top = figure.add_subplot(grid[0, 0])
            _draw(top, first.title, first.times, first.values, "blue")
            for row, (name, values) in enumerate(parts.items(), 1):
                top.tick_params(labelbottom=False)
                part = figure.add_subplot(grid[row, 0], sharex=top)
                _draw(part, "", first.times, values, "vermillion")
                part.set_ylabel(name)
                part.tick_params(labelbottom=row == len(parts))
            _histogram(figure.add_subplot(grid[: 1 + len(parts), 1]), first.values)
            figure.axes[-1].set_title("values, times seen", loc="left")
            for row, line in enumerate(others, 1 + len(parts)):
                _draw(figure.add_subplot(grid[row, 0]), line.title, line.times, line.values, "blue")
                _histogram(figure.add_subplot(grid[row, 1]), line.values)
            figure.align_ylabels()
        return figure


def _draw(axes: Axes, title: str, times: np.ndarray, values: np.ndarray, colour: str) -> None:
    width = 0.5 if len(times) > 4000 else 0.9
    _plotting.gapped(axes, times, values, color=_plotting.PALETTE[colour], linewidth=width)
    axes.set_title(title, loc="left")


def _histogram(axes: Axes, values: np.ndarray) -> None:
    present = values[np.isfinite(values)]
    axes.hist(present, bins=min(40, max(5, len(present) // 5)), color=_plotting.PALETTE["sky"])
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def describe_series(
    name: str,
    named: list[tuple[str, np.ndarray, np.ndarray, np.ndarray | None]],
    names: tuple[tuple[str, str], ...],
    frequency: Frequency,
    time: str | None,
    calendar: tuple[str, ...],
    notes: tuple[str, ...],
    gaps: Gaps = Gaps(),
) -> SeriesDescription:
    """Describe series, given for each its name, times, observed [time, column], and where that was mended.

    What is missing is NaN, or mended.

    Trend and season are looked for in the last 20,000 rows of at most 48 series; ranges are of everything.
    """
    chosen = [named[i * len(named) // SERIES_LOOKED_AT] for i in range(SERIES_LOOKED_AT)]
    looked_at = named if len(named) <= SERIES_LOOKED_AT else chosen
    described = tuple(_column(index, *names[index], named, looked_at, frequency, gaps) for index in range(len(names)))
    lengths = [len(times) for _, times, _, _ in named]
    constant = tuple(
        f"column {column.name!r} is constant ({number(column.minimum)})" for column in described if column.constant
    )
    if max(lengths) > LOOKED_AT:
        notes += (f"trend and season are those of the last {LOOKED_AT:,} rows",)
    if len(named) > SERIES_LOOKED_AT:
        notes += (f"trend and season are medians over {SERIES_LOOKED_AT} of the {len(named):,} series",)
    return SeriesDescription(
        name=plain(name),
        rows=sum(lengths),
        series=len(named),
        shortest=min(lengths),
        longest=max(lengths),
        begin=shown(min(times[0] for _, times, _, _ in named)),
        end=shown(max(times[-1] for _, times, _, _ in named)),
        frequency=frequency.name,
        time=time,
        calendar=calendar,
        columns=described,
        notes=(*notes, *constant),
        gaps=gaps,
        lines=tuple(_lines(named, names, described)),
    )


def shown(time: Any) -> str:
    """A time as short as it can be written in full."""
    text = str(time).replace("T", " ")
    return text.removesuffix(".000000").removesuffix(" 00:00:00") if isinstance(time, np.datetime64) else text


def expected_periods(frequency: Frequency) -> tuple[int, ...]:
    """A day, a week and a year in steps, where they are two steps or more.

    Example:
        >>> expected_periods(Frequency("us", 3_600_000_000))
        (24, 168, 8766)
    """
    if frequency.unit == "count":
        return ()
    cycles = (_DAY, 7 * _DAY, 365.25 * _DAY)
    return tuple(round(cycle / frequency.nominal) for cycle in cycles if cycle >= 2 * frequency.nominal)


def _column(
    index: int,
    name: str,
    role: str,
    named: list[tuple[str, np.ndarray, np.ndarray, np.ndarray | None]],
    looked_at: list[tuple[str, np.ndarray, np.ndarray, np.ndarray | None]],
    frequency: Frequency,
    gaps: Gaps,
) -> ColumnDescription:
    count, total, low, high = 0, 0.0, np.inf, -np.inf
    for chunk in _chunks(named, index):
        count, total = count + len(chunk), total + float(chunk.sum())
        low, high = min(low, float(chunk.min())), max(high, float(chunk.max()))
    mean = total / count
    squares = sum(float(np.square(chunk - mean).sum()) for chunk in _chunks(named, index))
    found = []
    for _, _, observed, _ in looked_at:
        values = _bridged(np.asarray(observed[-LOOKED_AT:, index]))
        found.append(decompose(values, find_period(values, expected_periods(frequency))))
    periods = [parts.period for parts in found]
    return ColumnDescription(
        name=name,
        role=role,
        minimum=low,
        maximum=high,
        mean=mean,
        deviation=float(np.sqrt(squares / count)),
        trend=float(np.median([parts.trend_strength for parts in found])),
        seasonality=float(np.median([parts.seasonal_strength for parts in found])),
        period=max(dict.fromkeys(periods), key=periods.count),
        missing=_missing(named, index, count) - gaps.times,
    )


def _missing(named: list[tuple[str, np.ndarray, np.ndarray, np.ndarray | None]], index: int, present: int) -> int:
    absent = sum(len(times) for _, times, _, _ in named) - present
    return absent + sum(int(mended[:, index].sum()) for _, _, _, mended in named if mended is not None)


def _bridged(values: np.ndarray) -> np.ndarray:
    """Lines between neighbours where values are missing; zeros where all are."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    if missing.all():
        return np.zeros(len(values))
    places = np.arange(len(values))
    return np.where(missing, np.interp(places, places[~missing], values[~missing]), values)


def _chunks(named: list[tuple[str, np.ndarray, np.ndarray, np.ndarray | None]], index: int) -> Iterator[np.ndarray]:
    for _, _, observed, _ in named:
        for begin in range(0, len(observed), _CHUNK):
            chunk = np.asarray(observed[begin : begin + _CHUNK, index])
            chunk = chunk[~np.isnan(chunk)]
            if len(chunk):
                yield chunk


def _lines(
    named: list[tuple[str, np.ndarray, np.ndarray, np.ndarray | None]],
    names: tuple[tuple[str, str], ...],
    described: tuple[ColumnDescription, ...],
    most: int = 6,
) -> Iterator[Line]:
    shown_lines = [(one, index) for one in named for index in range(len(names))][:most]
    for (name, times, observed, mended), index in shown_lines:
        values = np.array(observed[-LOOKED_AT:, index])
        parts = decompose(_bridged(values), described[index].period)
        if mended is not None:
            values[mended[-LOOKED_AT:, index]] = np.nan
        title = " · ".join(part for part in (name, names[index][0]) if part)
        yield Line(title, np.asarray(times[-LOOKED_AT:]), values, parts)
