"""Which rows train, choose and test a model, fold by fold: nothing is tested before what it is fitted on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .. import _plotting
from .._errors import ConfigurationError, DataError

_MARKS = {"train": "━", "validation": "▒", "gap": "·", "test": "█"}
_COLOURS = {"train": "sky", "validation": "orange", "gap": "grey", "test": "blue"}


@dataclass(frozen=True)
class Fold:
    """The rows of one fold, in the order of time.

    Args:
        train: those that the model and its scaling are fitted on.
        validation: those that say when training stops; they follow upon `train`, and may be none.
        test: those that are forecast.

    Example:
        >>> Fold(range(0, 8), range(8, 8), range(10, 12)).gap
        range(8, 10)
    """

    train: range
    validation: range
    test: range

    @property
    def gap(self) -> range:
        """Between the last row that anything is fitted or chosen by, and the first that is forecast."""
        return range(self.validation.stop, self.test.start)

    @property
    def parts(self) -> dict[str, range]:
        """All parts by name, in order."""
        return {"train": self.train, "validation": self.validation, "gap": self.gap, "test": self.test}


@dataclass(frozen=True)
class Scheme(ABC):
    """How a series is cut into folds. All folds have as many rows in each part but `train`.

    Args:
        folds: how many.
        test: rows that are forecast, at the end of each fold.
        validation: rows before them that say when training stops.
        gap: rows between these two. A forecast may read them, as it may read all that lies before it, but nothing is
            fitted or chosen by them.
    """

    folds: int
    test: int
    _: KW_ONLY
    validation: int = 0
    gap: int = 0

    def __post_init__(self) -> None:
        _at_least(self, 1, folds=self.folds, test=self.test)
        _at_least(self, 0, validation=self.validation, gap=self.gap)

    @property
    @abstractmethod
    def rows_needed(self) -> int:
        """The rows of the shortest series that it fits."""

    @abstractmethod
    def _span(self, rows: int, fold: int) -> range:
        """All rows of a fold, counted from 0."""

    def split(self, rows: int) -> tuple[Fold, ...]:
        """The folds of a series of so many rows, the earliest first.

        Raises:
            DataError: where they are too few.
        """
        if rows < self.rows_needed:
            fitting = [folds for folds in range(1, self.folds) if replace(self, folds=folds).rows_needed <= rows]
            fits = f"folds={fitting[-1]} fits" if fitting else "not even one fold fits: shorten its parts"
            raise DataError(f"{self} needs {self.rows_needed} rows, there are {rows}: {fits}")
        return tuple(self._fold(self._span(rows, fold)) for fold in range(self.folds))

    def _fold(self, span: range) -> Fold:
        test = span.stop - self.test
        chosen = test - self.gap
        train = chosen - self.validation
        return Fold(range(span.start, train), range(train, chosen), range(test, span.stop))

    def picture(self, rows: int, width: int = 72) -> str:
        """The folds in letters, a line each: ━ train, ▒ validation, · gap, █ test.

        Where there are more rows than `width`, a letter stands for several, and tells of the one in their middle.
        """
        columns = min(rows, width)
        middles = [(2 * column + 1) * rows // (2 * columns) for column in range(columns)]
        lines = []
        for number, fold in enumerate(self.split(rows), 1):
            marks = ("".join(_MARKS[name] for name, part in fold.parts.items() if row in part) for row in middles)
            lines.append(f"{number:>{len(str(self.folds))}} " + "".join(mark or " " for mark in marks).rstrip())
        return "\n".join(lines)

    def plot(self, rows: int) -> Figure:
        """The folds as bars over the rows."""
        with _plotting.style():
            figure = _plotting.figure(8, 0.9 + 0.3 * self.folds)
            draw_folds(figure.add_subplot(), self.split(rows))
            figure.legend(handles=fold_legend(self.split(rows)), loc="outside upper right", ncols=4)
        return figure


@dataclass(frozen=True)
class RollingOrigin(Scheme):
    """The origin of the forecasts moves on through the series, and with it what may be known.

    The last fold ends with the series, each other one `step` rows before the next. Training begins at the first row
    (an expanding window) or `window` rows before its end (a sliding one); scikit-learn's `TimeSeriesSplit` and tsCV of
    R's forecast package are of this kind.

    Args:
        folds, test, validation, gap: see `Scheme`.
        window: rows that train; `None` for all there are.
        step: rows from one fold to the next; as many as `test` by default, so that each is forecast once.

    Raises:
        ConfigurationError: for a setting out of range.

    Example:
        >>> RollingOrigin(3, test=4).split(20)[0]
        Fold(train=range(0, 8), validation=range(8, 8), test=range(8, 12))
        >>> print(RollingOrigin(3, test=4, validation=2, gap=1).picture(20))
        1 ━━━━━▒▒·████
        2 ━━━━━━━━━▒▒·████
        3 ━━━━━━━━━━━━━▒▒·████
        >>> print(RollingOrigin(3, test=4, window=8).picture(20))
        1 ━━━━━━━━████
        2     ━━━━━━━━████
        3         ━━━━━━━━████

    References:
        Tashman, "Out-of-sample tests of forecasting accuracy: an analysis and review", International Journal of
        Forecasting 16 (2000) 437-450. Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd edition
        (2021), section 5.10.
    """

    window: int | None = None
    step: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _at_least(self, 1, **{name: value for name in ("window", "step") if (value := getattr(self, name)) is not None})

    @property
    def rows_needed(self) -> int:
        """Those of the first fold, and the steps from it to the last."""
        return (self.window or 1) + self._after_training + (self.folds - 1) * self._step

    @property
    def _after_training(self) -> int:
        return self.validation + self.gap + self.test

    @property
    def _step(self) -> int:
        return self.test if self.step is None else self.step

    def _span(self, rows: int, fold: int) -> range:
        stop = rows - (self.folds - 1 - fold) * self._step
        return range(0 if self.window is None else stop - self._after_training - self.window, stop)


@dataclass(frozen=True)
class Blocked(Scheme):
    """Blocks that have no row in common, each with its own training, validation and test.

    What is found in one block is found anew in the next, from other rows: the scores of two folds share none. The
    blocks cover the series, and their lengths differ by one row at most.

    The blocked K-fold cross-validation of Bergmeir & Benítez trains on all other blocks, the later ones too. For a
    stationary series that is no fault; as a rule it lets a model know the future of what it is tested on, and it is not
    offered here.

    Args:
        folds, test, validation, gap: see `Scheme`.

    Raises:
        ConfigurationError: for a setting out of range.

    Example:
        >>> print(Blocked(3, test=2, gap=1).picture(24))
        1 ━━━━━·██
        2         ━━━━━·██
        3                 ━━━━━·██

    References:
        Bergmeir and Benítez, "On the use of cross-validation for time series predictor evaluation", Information
        Sciences 191 (2012) 192-213. Cerqueira, Torgo and Mozetič, "Evaluating time series forecasting models: an
        empirical study on performance estimation methods", Machine Learning 109 (2020) 1997-2028, arXiv:1905.11744.
    """

    @property
    def rows_needed(self) -> int:
        """A block with one row that trains, for each fold."""
        return self.folds * (1 + self.validation + self.gap + self.test)

    def _span(self, rows: int, fold: int) -> range:
        return range(fold * rows // self.folds, (fold + 1) * rows // self.folds)


def draw_folds(axes: Axes, folds: Sequence[Fold]) -> None:
    """A bar a fold, the first on top."""
    for number, fold in enumerate(folds, 1):
        for name, part in fold.parts.items():
            height = 0.12 if name == "gap" else 0.6
            bar = [(part.start, len(part))], (number - height / 2, height)
            axes.broken_barh(*bar, color=_plotting.PALETTE[_COLOURS[name]], linewidth=0)
    axes.set_yticks(range(1, len(folds) + 1))
    axes.set_ylim(len(folds) + 0.6, 0.4)
    axes.set_xlabel("row")
    axes.set_ylabel("fold")
    axes.grid(axis="y", visible=False)


def fold_legend(folds: Sequence[Fold]) -> list[Patch]:
    """What the colours of those parts mean that there are."""
    return [Patch(color=_plotting.PALETTE[_COLOURS[name]], label=name) for name, part in folds[0].parts.items() if part]


def _at_least(scheme: Scheme, least: int, **settings: int) -> None:
    for name, value in settings.items():
        if value < least:
            raise ConfigurationError(f"{scheme}: {name}={value}, expected {least} or more")
