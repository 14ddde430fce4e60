"""What a clock and a calendar say of each time: known of the future as of the past."""

from __future__ import annotations

import difflib
from collections.abc import Callable

import numpy as np

from ..._errors import ConfigurationError
from .frequency import Frequency

_DAY = 86_400_000_000


def _of_day(times: np.ndarray) -> np.ndarray:
    return (times - times.astype("M8[D]")).astype(np.int64) / _DAY


def _of_week(times: np.ndarray) -> np.ndarray:
    return (times.astype("M8[D]").astype(np.int64) + 3) % 7 / 7


def _of_year(times: np.ndarray) -> np.ndarray:
    years = times.astype("M8[Y]")
    begin, end = years.astype("M8[us]"), (years + 1).astype("M8[us]")
    return (times - begin) / (end - begin)


def _month_of_year(times: np.ndarray) -> np.ndarray:
    return times.astype("M8[M]").astype(np.int64) % 12 / 12


CYCLES: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    "hour_of_day": (_DAY, _of_day),
    "day_of_week": (7 * _DAY, _of_week),
    "day_of_year": (365.2425 * _DAY, _of_year),
    "week_of_year": (365.2425 * _DAY, _of_year),
    "month_of_year": (365.2425 * _DAY, _month_of_year),
}
"""Each cycle's length in microseconds, and where in it a time stands, from 0 to below 1."""


def chosen(calendar: str | tuple[str, ...], frequency: Frequency, span: float) -> tuple[str, ...]:
    """The cycles that `calendar` stands for: "auto", "none", or names separated by commas.

    Automatic are those that are longer than two steps and come round at least twice in the `span`
    (microseconds) of the data; of the year one alone, as fine as the data is.

    Raises:
        ConfigurationError: for an unknown name, or names given for times that are a plain counter.
    """
    names = [name.strip() for name in calendar.split(",")] if isinstance(calendar, str) else list(calendar)
    if names in ([], ["none"], [""]):
        return ()
    if names != ["auto"]:
        for name in names:
            if name not in CYCLES:
                near = difflib.get_close_matches(name, CYCLES, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise ConfigurationError(f"calendar={name!r}: {hint}expected 'auto', 'none' or of {', '.join(CYCLES)}")
        if frequency.unit == "count":
            raise ConfigurationError(f"calendar={','.join(names)!r}: the times are a plain counter, without a calendar")
        return tuple(names)
    if frequency.unit == "count":
        return ()
    step = frequency.nominal
    year = "day_of_year" if step < 6 * _DAY else "week_of_year" if step < 27 * _DAY else "month_of_year"
    suited = ("hour_of_day", "day_of_week", year)
    return tuple(name for name in suited if 2 * step < CYCLES[name][0] and 2 * CYCLES[name][0] <= span + step)


def features(names: tuple[str, ...], times: np.ndarray) -> np.ndarray:
    """Sine and cosine of each cycle at each time, in [−1, 1], [time, 2 × name].

    Example:
        >>> features(("hour_of_day",), np.array(["2024-01-01T06:00"], "M8[us]")).round(6)
        array([[1., 0.]])
    """
    angles = [2 * np.pi * CYCLES[name][1](times) for name in names]
    pairs = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.stack(pairs, axis=1) if pairs else np.empty((len(times), 0))


def feature_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that `features` gives."""
    return tuple(f"{name}_{wave}" for name in names for wave in ("sin", "cos"))
