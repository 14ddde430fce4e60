"""Times in order, once each, without gaps: checked, and mended where that was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..._errors import DataError
from .description import Gaps, shown
from .frequency import Frequency, frequency_of

_CHUNK = 1 << 20
_MOST_ADDED = 10_000_000
FILLS = ("forward", "linear", "zero")
KEPT = "kept"
"""Stands for no way to fill: what is missing stays NaN, for a description alone."""


@dataclass(frozen=True)
class Stretch:
    """One series as it was read.

    Args:
        name: of the series; "" where there is only one.
        times: datetime64[us] or int64 [row].
        values: [row, column].
        rows: the number of each row in the file.
        mended: where values were filled, bool [row, column]; None where none was.
    """

    name: str
    times: Any
    values: Any
    rows: Sequence[int] | np.ndarray
    mended: np.ndarray | None = None


@dataclass
class Grid:
    """Puts series on the grid of one frequency.

    Args:
        file, place: for messages.
        columns: the names of the values.
        fill: "forward", "linear" or "zero" mends gaps and missing values; None refuses them, `KEPT` leaves them.
        mended: counts what was mended, by how one and how many are told of in the description.
        gaps: where times are missing.
    """

    file: str
    place: str
    columns: tuple[str, ...]
    fill: str | None
    mended: Counter[tuple[str, str]] = field(default_factory=Counter)
    gaps: Gaps = field(default_factory=Gaps)

    def notes(self) -> list[str]:
        """What was mended, in words."""
        return [f"{count} {one if count == 1 else many}" for (one, many), count in self.mended.items()]

    def ordered(self, one: Stretch) -> Stretch:
        """The rows in order of time, each time once.

        Raises:
            DataError: naming two rows with the same time.
        """
        disorder = _first(one.times, lambda before, after: after < before)
        if disorder is not None:
            if isinstance(one.values, np.memmap):
                raise DataError(
                    f"{self.file}, {self.place} {one.rows[disorder + 1]}: a time comes before that of the row above, "
                    "and the file is too large to sort in memory: sort it by time first"
                )
            late = int((one.times < np.maximum.accumulate(one.times)).sum())
            told = "came after a row of a later time, and all were sorted by time"
            self.mended[f"row {told}", f"rows {told}"] += late
            order = np.argsort(one.times, kind="stable")
            one = Stretch(one.name, one.times[order], one.values[order], np.asarray(one.rows)[order])
        repeat = _first(one.times, lambda before, after: after == before)
        return one if repeat is None else self._without_repeats(one, repeat)

    def _without_repeats(self, one: Stretch, repeat: int) -> Stretch:
        same = np.concatenate([[False], one.times[1:] == one.times[:-1]])
        equal = np.zeros(len(same), bool)
        equal[1:] = (np.nan_to_num(one.values[1:]) == np.nan_to_num(one.values[:-1])).all(axis=1)
        strict = self.fill in (None, KEPT)
        if strict or (same & ~equal).any():
            at = repeat if strict else int(np.argmax(same & ~equal)) - 1
            first, second = sorted((int(one.rows[at]), int(one.rows[at + 1])))
            remedy = "delete one of them" if not equal[at + 1] else "delete one of them, or give fill= (--fill linear)"
            raise DataError(
                f"{self.file}, {self.place} {second}: time {shown(one.times[at])} stands in {self.place} {first} "
                f"already{_of(one.name)} ({int(same.sum())} repeat{'s' if same.sum() > 1 else ''}): {remedy}"
                + (
                    ""
                    if one.name
                    else "; if the file holds several series, name the column that tells them apart (id=, --id)"
                )
            )
        told = (
            "row that repeats another word for word was read once",
            "rows that repeat another word for word were read once",
        )
        self.mended[told] += int(same.sum())
        return Stretch(one.name, one.times[~same], one.values[~same], np.asarray(one.rows)[~same])

    def frequency(self, series: Sequence[Stretch], expected: Frequency | None) -> Frequency:
        """That of the longest series; it may not contradict the one that is expected.

        Raises:
            DataError: where no series has two rows, or the times come at another pace.
        """
        longest = max(series, key=lambda one: len(one.times))
        found = frequency_of(longest.times)
        if found is None and expected is None:
            raise DataError(f"{self.file} has one row{_of(longest.name)}: at least two are expected")
        if expected is None or found is None:
            return found or expected  # pyright: ignore[reportReturnType]
        on_grid = expected.positions(np.asarray(longest.times[:_CHUNK]), longest.times[0])
        if (on_grid < 0).any() or (np.diff(on_grid) != 1).mean() > 0.5:
            raise DataError(
                f"{self.file} has a row every {found.name}{_of(longest.name)}, where every {expected.name} is expected"
            )
        return expected

    def regular(self, one: Stretch, frequency: Frequency) -> Stretch:
        """The series with every time of the grid and every value present.

        Raises:
            DataError: naming the row after a gap, or one that is off the grid.
        """
        added = 0
        for begin in range(0, len(one.times), _CHUNK):
            times = np.asarray(one.times[begin : begin + _CHUNK + 1])
            positions = frequency.positions(times, times[0])
            if (positions < 0).any():
                self._refuse_irregular(one, begin + int(np.argmax(positions < 0)), frequency)
            steps = np.diff(positions)
            if self.fill is None and (steps > 1).any():
                self._refuse_gap(one, begin + int(np.argmax(steps > 1)) + 1, frequency)
            if (steps > 1).any():
                at = begin + int(np.argmax(steps > 1))
                self.gaps = self.gaps.more(
                    steps, f"{shown(one.times[at])} to {shown(one.times[at + 1])}{_of(one.name)}"
                )
            added += int((steps - 1).sum())
        if added:
            if added > _MOST_ADDED and self.fill == KEPT:
                self._refuse_gap(
                    one, int(np.argmax(np.diff(frequency.positions(one.times, one.times[0])) > 1)) + 1, frequency
                )
            positions = frequency.positions(one.times, one.times[0])
            values = np.full((int(positions[-1]) + 1, one.values.shape[1]), np.nan)
            values[positions] = one.values
            times = frequency.at(one.times[0], np.arange(len(values)))
            one = Stretch(one.name, times.astype(one.times.dtype), values, range(len(values)))
            if self.fill != KEPT:
                told = f"missing: added and filled ({self.fill})"
                self.mended[f"time was {told}", f"times were {told}"] += added
        if self.fill in (None, KEPT):
            return one
        mended = np.isnan(one.values)
        self._fill(one, added)
        return replace(one, mended=mended if mended.any() else None)

    def _fill(self, one: Stretch, added: int) -> None:
        for index, column in enumerate(self.columns):
            values = one.values[:, index]
            missing = np.isnan(values)
            if not missing.any():
                continue
            if self.fill == "forward" and missing[0]:
                raise DataError(
                    f"{self.file}: column {column!r} starts without a value{_of(one.name)}, so that fill='forward' has "
                    "nothing to carry: use linear or zero"
                )
            if missing.all() and self.fill == "linear":
                raise DataError(f"{self.file}: column {column!r} has no value at all{_of(one.name)}: leave it out")
            count = int(missing.sum()) - added
            if count > 0:
                told = f"filled ({self.fill})"
                self.mended[f"missing value in {column!r} was {told}", f"missing values in {column!r} were {told}"] += (
                    count
                )
            values[missing] = _filled(values, missing, str(self.fill))

    def _refuse_gap(self, one: Stretch, at: int, frequency: Frequency) -> None:
        steps = np.concatenate(
            [
                np.diff(frequency.positions(times, times[0])) - 1
                for begin in range(0, len(one.times), _CHUNK)
                for times in [np.asarray(one.times[begin : begin + _CHUNK + 1])]
            ]
        )
        before, after = shown(one.times[at - 1]), shown(one.times[at])
        raise DataError(
            f"{self.file}, {self.place} {one.rows[at]}: {after} follows {before}{_of(one.name)}, where every "
            f"{frequency.name} is expected; times missing: {int(steps.sum())}, gaps: {int((steps > 0).sum())}; "
            "fill='linear' mends them (--fill forward, linear or zero)"
        )

    def _refuse_irregular(self, one: Stretch, at: int, frequency: Frequency) -> None:
        raise DataError(
            f"{self.file}, {self.place} {one.rows[at]}: {shown(one.times[at])} is not a whole number of steps of "
            f"{frequency.name} after {shown(one.times[max(at - 1, 0)])}{_of(one.name)}: bring the times to one "
            "distance, or count the rows instead (time='none', --time none)"
        )


def _filled(values: np.ndarray, missing: np.ndarray, how: str) -> np.ndarray | float:
    if how == "zero":
        return 0.0
    places = np.arange(len(values))
    if how == "linear":
        return np.interp(places[missing], places[~missing], values[~missing])
    return values[np.maximum.accumulate(np.where(missing, 0, places))[missing]]


def _first(times: Any, wrong: Any) -> int | None:
    """The first place whose time and the next one's are `wrong`, read in chunks."""
    for begin in range(0, len(times) - 1, _CHUNK):
        part = np.asarray(times[begin : begin + _CHUNK + 1])
        found = wrong(part[:-1], part[1:])
        if found.any():
            return begin + int(np.argmax(found))
    return None


def _of(name: str) -> str:
    return f" in series {name!r}" if name else ""
