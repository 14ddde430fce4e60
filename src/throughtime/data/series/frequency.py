"""How often a series is observed: found from its times, and used to go on with them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

_DAY = 86_400_000_000
_UNITS = {"w": 7 * _DAY, "d": _DAY, "h": 3_600_000_000, "min": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
_SAMPLE = 1 << 20


@dataclass(frozen=True)
class Frequency:
    """A regular grid of times.

    Args:
        unit: "us" (a fixed time), "mo" (months of the calendar), "b" (days from Monday to Friday), or "count".
        step: how many units lie between two times.
        month_end: of months, whether each time is the last day of its month.

    Example:
        >>> monthly = Frequency("mo", 1)
        >>> monthly.name, monthly.period
        ('1mo', 12)
        >>> monthly.after(np.array(["1960-11-01", "1960-12-01"], "M8[us]"), 2).astype("M8[D]").astype(str).tolist()
        ['1961-01-01', '1961-02-01']
    """

    unit: str
    step: int
    month_end: bool = False

    @property
    def name(self) -> str:
        """As "1h", "15min", "1w", "1mo", "1y", "1b"; for a counter its step, as "1"."""
        if self.unit == "count":
            return str(self.step)
        if self.unit == "b":
            return f"{self.step}b"
        if self.unit == "mo":
            return f"{self.step // 12}y" if self.step % 12 == 0 else f"{self.step}mo"
        name, size = next((name, size) for name, size in _UNITS.items() if self.step % size == 0)
        return f"{self.step // size}{name}"

    @property
    def period(self) -> int:
        """The number of steps after which a season usually comes round: a day, a week or a year; 1 if none does."""
        if self.unit == "count":
            return 1
        if self.unit == "b":
            return 5 // self.step if 5 % self.step == 0 else 1
        if self.unit == "mo":
            return 12 // self.step if 12 % self.step == 0 else 1
        if self.step < _UNITS["min"]:
            cycle = _UNITS["min"] if self.step < _UNITS["s"] else _UNITS["h"]
        elif self.step < _DAY:
            cycle = _DAY
        else:
            cycle = _UNITS["w"] if self.step < _UNITS["w"] else 364 * _DAY
        return max(1, cycle // self.step) if cycle % self.step == 0 else 1

    @property
    def nominal(self) -> float:
        """The step in microseconds, a month counted as 30.436875 days."""
        days = {"us": 1 / _DAY, "mo": 30.436875, "b": 1.4, "count": np.nan}[self.unit]
        return self.step * days * _DAY

    def after(self, times: np.ndarray, count: int) -> np.ndarray:
        """The next `count` times after the last of `times`, of the same type."""
        return self.at(times[-1], np.arange(1, count + 1))

    def at(self, origin: Any, positions: np.ndarray) -> np.ndarray:
        """The times so many steps from `origin`, [position]."""
        positions = positions * self.step
        if self.unit == "count":
            return np.int64(origin) + positions
        origin = np.datetime64(origin, "us")
        if self.unit == "us":
            return origin + positions.astype("m8[us]")
        if self.unit == "b":
            date = origin.astype("M8[D]")
            return np.busday_offset(date, positions).astype("M8[us]") + (origin - date)
        month = origin.astype("M8[M]")
        months = month + positions.astype("m8[M]")
        if self.month_end:
            days = (months + 1).astype("M8[D]") - 1
            return days.astype("M8[us]") + (origin - origin.astype("M8[D]"))
        return months.astype("M8[us]") + (origin - month.astype("M8[us]"))

    def positions(self, times: np.ndarray, origin: Any) -> np.ndarray:
        """How many steps after `origin` each time comes, int64 [time]; −1 for one that is off the grid."""
        if self.unit == "count":
            distance = times - origin
        elif self.unit == "us":
            distance = (times - np.datetime64(origin, "us")).astype(np.int64)
        elif self.unit == "b":
            distance = np.busday_count(np.datetime64(origin, "D"), times.astype("M8[D]"))
        else:
            distance = (times.astype("M8[M]") - np.datetime64(origin, "M")).astype(np.int64)
        found = distance // self.step
        off = distance % self.step != 0
        if self.unit in ("b", "mo"):
            off |= self.at(origin, np.maximum(found, 0)) != times
        return np.where(off | (found < 0), -1, found)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Frequency:
        """The inverse of `to_dict`."""
        return cls(**record)


def frequency_of(times: np.ndarray) -> Frequency | None:
    """The commonest distance between `times`, in order and without repeats; None for fewer than two.

    Example:
        >>> frequency_of(np.array(["2024-01-31", "2024-02-29", "2024-03-31"], "M8[us]"))
        Frequency(unit='mo', step=1, month_end=True)
    """
    times = np.asarray(times[:_SAMPLE])
    if len(times) < 2:
        return None
    if times.dtype.kind != "M":
        return Frequency("count", _commonest(np.diff(times)))
    steps = np.diff(times).astype(np.int64)
    if steps.min() >= 28 * _DAY:
        months = times.astype("M8[M]")
        apart = np.diff(months).astype(np.int64)
        if len(np.unique(times - months)) == 1:
            return Frequency("mo", _commonest(apart))
        last_days = (months + 1).astype("M8[D]") - 1
        if (times.astype("M8[D]") == last_days).all() and len(np.unique(times - times.astype("M8[D]"))) == 1:
            return Frequency("mo", _commonest(apart), month_end=True)
    step = _commonest(steps)
    if step == _DAY and len(times) >= 6 and (steps % _DAY == 0).all():
        days = times.astype("M8[D]")
        if np.is_busday(days).all() and (steps == 3 * _DAY).any():
            return Frequency("b", 1)
    return Frequency("us", step)


def _commonest(steps: np.ndarray) -> int:
    values, counts = np.unique(steps, return_counts=True)
    return int(values[np.argmax(counts)])
