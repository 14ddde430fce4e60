"""How well a number is told from a whole sequence, beside the mean."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table
from rich.text import Text

from .. import _plotting
from .._errors import DataError
from ..artifacts import ValuePredictions
from .metrics import mae, rmse


@dataclass(frozen=True)
class ValueScores:
    """Figures of one regression on the same cases.

    Args:
        mae: mean absolute error.
        rmse: root of the mean squared error.
        r2: the share of the cases' variance that is explained; nan where all are alike.
    """

    mae: float
    rmse: float
    r2: float


@dataclass(frozen=True)
class Regression:
    """A regression beside the mean of the training part, on the same cases.

    Args:
        part: what the cases are: "test part", or a file.
        model, baseline: figures of both.
        coverage: by level in percent, the share of true values inside the central interval.
        truth, predicted: of each case.
        interval: the ends of each case's widest interval.
    """

    part: str
    model: ValueScores
    baseline: ValueScores
    coverage: dict[int, float]
    truth: tuple[float, ...]
    predicted: tuple[float, ...]
    interval: tuple[tuple[float, float], ...]

    @property
    def cases(self) -> int:
        """How many there were."""
        return len(self.truth)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        return asdict(self) | {"cases": self.cases}

    def table(self) -> Table:
        """Figures side by side."""
        caption = "errors: lower is better; R²: higher, 1 at most; coverage should be near the interval's own level"
        table = Table(title=f"{self.part}: {self.cases:,} cases", caption=caption)
        for heading in ("", "model", "mean"):
            table.add_column(heading, justify="right" if heading else "left")
        for name, label in (("mae", "MAE"), ("rmse", "RMSE"), ("r2", "R²")):
            pair = getattr(self.model, name), getattr(self.baseline, name)
            best = max(pair) if name == "r2" else min(pair)
            table.add_row(label, *(Text(f"{value:.4g}", style="bold" if value == best else "") for value in pair))
        for level, share in self.coverage.items():
            table.add_row(f"in {level} % interval", f"{share:.1%}", "–")
        return table

    def plot(self) -> Figure:
        """What was told against what is true, with the widest intervals."""
        truth, told, ends = np.array(self.truth), np.array(self.predicted), np.array(self.interval)
        low, high = min(truth.min(), told.min()), max(truth.max(), told.max())
        with _plotting.style():
            figure = _plotting.figure(5.2, 4.8)
            axes = figure.add_subplot()
            axes.vlines(truth, ends[:, 0], ends[:, 1], color=_plotting.PALETTE["sky"], alpha=0.35, linewidth=1.2,
                        label=f"{max(self.coverage)} % interval")  # fmt: skip
            axes.plot([low, high], [low, high], color=_plotting.PALETTE["grey"], linestyle=(0, (4, 3)), linewidth=0.9)
            axes.scatter(truth, told, s=12, color=_plotting.PALETTE["blue"], label="median", zorder=3)
            axes.set_xlabel("true")
            axes.set_ylabel("told")
            axes.set_title(f"R² {self.model.r2:.3f}, MAE {self.model.mae:.3g}", loc="left")
            axes.legend(loc="upper left")
        return figure


def regressed(predictions: ValuePredictions, mean: float, *, part: str = "test part") -> Regression:
    """Compare predictions with the true values.

    Args:
        predictions: with their truth.
        mean: of the training part.
        part: what the cases are called.

    Raises:
        DataError: without a case, or without the truth.

    Example:
        >>> ends = {0.95: np.array([[0.0, 2.0], [1.0, 3.0]])}
        >>> told = ValuePredictions(("a", "b"), np.array([1.0, 2.0]), ends, truth=np.array([1.0, 4.0]))
        >>> found = regressed(told, mean=2.5)
        >>> found.model.mae, found.baseline.mae, found.coverage
        (1.0, 1.5, {95: 0.5})
    """
    truth = predictions.truth
    if truth is None or not len(truth):
        raise DataError(f"the {part} has no case with a value: there is nothing to compare")
    inside = {
        round(100 * level): float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean())
        for level, ends in predictions.intervals.items()
    }
    widest = predictions.intervals[max(predictions.intervals)]
    return Regression(
        part=part,
        model=value_scores(truth, predictions.predicted),
        baseline=value_scores(truth, np.full_like(truth, mean)),
        coverage=inside,
        truth=tuple(truth.tolist()),
        predicted=tuple(predictions.predicted.tolist()),
        interval=tuple((float(low), float(high)) for low, high in widest),
    )


def value_scores(truth: np.ndarray, told: np.ndarray) -> ValueScores:
    """All figures, of values [case].

    Example:
        >>> value_scores(np.array([0.0, 2.0]), np.array([0.0, 2.0])).r2
        1.0
    """
    spread = float(np.square(truth - truth.mean()).sum())
    explained = 1 - float(np.square(truth - told).sum()) / spread if spread else float("nan")
    return ValueScores(mae(truth, told), rmse(truth, told), explained)
