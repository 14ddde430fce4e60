"""Surprise, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from .. import _plotting
from .records import write_record


@dataclass(frozen=True)
class Surprise:
    """−log p(x_t | x_<t) in nats, of one or many sequences.

    Args:
        sequences: for each sequence its name, what its steps are called (times, or symbols), and the surprises; NaN
            where a step was filled in rather than observed.
        unit: what a step is called.
    """

    sequences: tuple[tuple[str, np.ndarray, np.ndarray], ...]
    unit: str = "time"

    @property
    def steps(self) -> int:
        """How many steps were scored."""
        return sum(int(np.isfinite(values).sum()) for _, _, values in self.sequences)

    @property
    def mean(self) -> float:
        """Nats a step."""
        return float(np.nanmean(np.concatenate([values for _, _, values in self.sequences])))

    def frame(self) -> pl.DataFrame:
        """One row a step: sequence, position, what it is called, surprise (null where there is none)."""
        return pl.concat(
            pl.DataFrame(
                {"series": [name] * len(values), "step": np.arange(1, len(values) + 1), self.unit: labels,
                 "surprise": pl.Series(values).fill_nan(None)}
            )
            for name, labels, values in self.sequences
        )  # fmt: skip

    def most(self, count: int) -> pl.DataFrame:
        """The most surprising steps, worst first."""
        return self.frame().drop_nulls("surprise").top_k(count, by="surprise")

    def plot(self, most: int = 6) -> Figure:
        """Surprise along each sequence, `most` of them at most."""
        shown = self.sequences[:most]
        with _plotting.style():
            figure = _plotting.figure(9, 2.6 * len(shown))
            for row, (name, labels, values) in enumerate(shown):
                axes = figure.add_subplot(len(shown), 1, row + 1)
                places = labels if np.issubdtype(labels.dtype, np.datetime64) else np.arange(1, len(values) + 1)
                _plotting.gapped(axes, places, values, color=_plotting.PALETTE["blue"], linewidth=0.8)
                axes.set_ylabel("surprise (nats)")
                axes.set_title(name, loc="left")
        return figure

    def write(self, path: Path) -> None:
        """Write as CSV, Parquet or PNG, by the file's suffix."""
        write_record(self, path)
