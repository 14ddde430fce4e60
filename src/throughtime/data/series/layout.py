"""How a file of series is read: found once, kept with a trained model, and used to read the next file alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .frequency import Frequency


@dataclass(frozen=True)
class Columns:
    """Which column is what, by name.

    Args:
        time: of the times; None where the rows are counted.
        id: of the series' names, in a long file, or one with a series a row.
        targets: to be forecast.
        past: observed beside them, not known in advance.
        future: known in advance.
        calendar: computed from the times, known in advance.
    """

    time: str | None
    id: str | None
    targets: tuple[str, ...]
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    calendar: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeriesLayout:
    """Everything that `read_series` was told or found.

    Args:
        columns: which column is what.
        frequency: of the times.
        fill: how gaps and missing values are mended; None refuses them.
        calendar: the cycles computed.
        shape: "wide" (a column a variable), "long" (many series below each other), "rows" (a series a row) or "sound".
        time_format: how times are written.
        sample_rate: of sound, in Hz.
    """

    columns: Columns
    frequency: Frequency
    fill: str | None
    calendar: tuple[str, ...]
    shape: str
    time_format: str | None
    sample_rate: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> SeriesLayout:
        """The inverse of `to_dict`."""
        columns = record["columns"]
        lists = {name: tuple(columns[name]) for name in ("targets", "past", "future", "calendar")}
        return cls(
            Columns(columns["time"], columns["id"], **lists),
            Frequency.from_dict(record["frequency"]),
            record["fill"],
            tuple(record["calendar"]),
            record["shape"],
            record["time_format"],
            record.get("sample_rate"),
        )
