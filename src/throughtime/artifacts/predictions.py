"""What a model says of whole sequences: a class with its probability, or a value with its intervals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from .. import _plotting
from .records import write_record

_MOST_SHOWN = 40


@dataclass(frozen=True, eq=False)
class ClassPredictions:
    """The class of each case.

    Args:
        names: of the cases.
        classes: in the order of the columns.
        probabilities: [case, class].
        truth: indices of the true classes [case]; `None` where they are not known.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    probabilities: np.ndarray
    truth: np.ndarray | None = None

    @property
    def predicted(self) -> np.ndarray:
        """Indices of the likeliest classes, [case]."""
        return self.probabilities.argmax(axis=1)

    def frame(self) -> pl.DataFrame:
        """One row a case: name, predicted, p(CLASS) of each class, and the truth where it is known."""
        labels = np.array(self.classes, dtype=object)
        columns = {"name": list(self.names), "predicted": list(labels[self.predicted])}
        columns |= {f"p({name})": self.probabilities[:, index] for index, name in enumerate(self.classes)}
        if self.truth is not None:
            columns["truth"] = list(labels[self.truth])
        return pl.DataFrame(columns)

    def plot(self) -> Figure:
        """The probability of each class, a row a case: the first 40, where there are more."""
        shown = slice(0, _MOST_SHOWN)
        rows = self.probabilities[shown]
        with _plotting.style():
            figure = _plotting.figure(2.2 + 0.5 * len(self.classes), 0.9 + 0.22 * len(rows))
            axes = figure.add_subplot()
            axes.grid(visible=False)
            image = axes.imshow(rows, cmap="Blues", vmin=0, vmax=1, aspect="auto")
            turned = 90 if max(map(len, self.classes)) > 4 else 0
            axes.set_xticks(range(len(self.classes)), self.classes, rotation=turned)
            axes.set_yticks(range(len(rows)), self.names[shown])
            if self.truth is not None:
                marks = self.truth[shown]
                colours = np.where(rows.argmax(axis=1) == marks, "white", _plotting.PALETTE["vermillion"])
                axes.scatter(marks, range(len(rows)), s=16, c=colours, edgecolors="#444444", linewidths=0.4)
            dots = " (dot: the true class)" if self.truth is not None else ""
            more = f"\nthe first {len(rows)} of {len(self.names):,} cases" if len(rows) < len(self.names) else ""
            axes.set_title(f"probability{dots}{more}", loc="left")
            figure.colorbar(image, ax=axes, shrink=0.6)
        return figure

    def write(self, path: Path) -> None:
        """Write as CSV, Parquet or PNG, by the file's suffix."""
        write_record(self, path)


@dataclass(frozen=True, eq=False)
class ValuePredictions:
    """The value of each case.

    Args:
        names: of the cases.
        predicted: medians, [case].
        intervals: by level, the central interval, [case, 2].
        truth: the true values [case]; `None` where they are not known.
    """

    names: tuple[str, ...]
    predicted: np.ndarray
    intervals: dict[float, np.ndarray]
    truth: np.ndarray | None = None

    def frame(self) -> pl.DataFrame:
        """One row a case: name, predicted, both ends of each interval, and the truth where it is known."""
        columns = {"name": list(self.names), "predicted": self.predicted}
        for level, ends in self.intervals.items():
            columns |= {f"low_{level * 100:.0f}": ends[:, 0], f"high_{level * 100:.0f}": ends[:, 1]}
        if self.truth is not None:
            columns["truth"] = self.truth
        return pl.DataFrame(columns)

    def plot(self) -> Figure:
        """Medians and intervals in the order of the medians, and the truth where it is known."""
        order = np.argsort(self.predicted, kind="stable")
        ranks = np.arange(len(order))
        with _plotting.style():
            figure = _plotting.figure(8, 3.6)
            axes = figure.add_subplot()
            for level in sorted(self.intervals, reverse=True):
                ends = self.intervals[level][order]
                axes.fill_between(ranks, ends[:, 0], ends[:, 1], color=_plotting.PALETTE["blue"], linewidth=0,
                                  alpha=0.18, label=f"{level:.0%} interval", step="mid")  # fmt: skip
            axes.plot(ranks, self.predicted[order], color=_plotting.PALETTE["blue"], label="median")
            if self.truth is not None:
                axes.scatter(ranks, self.truth[order], s=9, color=_plotting.PALETTE["vermillion"], label="truth")
            axes.set_xlabel("case, by its median")
            axes.set_ylabel("value")
            axes.legend()
        return figure

    def write(self, path: Path) -> None:
        """Write as CSV, Parquet or PNG, by the file's suffix."""
        write_record(self, path)
