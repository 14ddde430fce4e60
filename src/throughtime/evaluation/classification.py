"""How well classes are told apart: figures, the confusion of each with each, and whether probabilities hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table
from rich.text import Text

from .. import _plotting
from .._errors import DataError
from ..artifacts import BINS, calibration_error, reliability

_MOST_NUMBERS = 20


@dataclass(frozen=True)
class ClassScores:
    """Figures of one classifier on the same cases.

    Args:
        accuracy: the share of cases whose likeliest class is the true one.
        balanced_accuracy: the same for each class that occurs, averaged over these.
        macro_f1: the harmonic mean of precision and recall of each class that occurs or is told, averaged over these.
        log_loss: −ln p(class) in nats a case.
        calibration_error: by how much the share of right verdicts differs from what was claimed.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float


@dataclass(frozen=True)
class Classification:
    """A classifier beside the majority class, on the same cases.

    Args:
        part: what the cases are: "test part", or a file.
        classes: their names.
        model, baseline: figures of the model, and of the class frequencies of the training part.
        confusion: how many cases of each class were given to each, [true][told].
        reliability: of each bin of the likeliest class's probability its cases, their mean probability and their
            accuracy; the last two `None` where there is no case.
        temperature: by which the model's logits were divided.
        uncalibrated_error: the calibration error without it.
    """

    part: str
    classes: tuple[str, ...]
    model: ClassScores
    baseline: ClassScores
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[tuple[int, float | None, float | None], ...]
    temperature: float
    uncalibrated_error: float

    @property
    def cases(self) -> int:
        """How many there were."""
        return int(np.sum(self.confusion))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON; precision, recall and F1 of each class among them."""
        precision, recall, f1 = (figures.tolist() for figures in _by_class(np.array(self.confusion)))
        each = {
            name: {"precision": precision[index], "recall": recall[index], "f1": f1[index]}
            for index, name in enumerate(self.classes)
        }
        return asdict(self) | {"cases": self.cases, "by_class": each}

    def table(self) -> Table:
        """Figures side by side."""
        directions = "accuracies and F1: higher is better; log loss (nats a case), calibration error: lower"
        table = Table(title=f"{self.part}: {self.cases:,} cases of {len(self.classes)} classes",
                      caption=f"{directions}; {self._calibration}")  # fmt: skip
        for heading in ("", "model", "majority class"):
            table.add_column(heading, justify="right" if heading else "left")
        for name, one in asdict(self.model).items():
            other = getattr(self.baseline, name)
            shown = "{:.4f}" if name == "log_loss" else "{:.1%}"
            best = min(one, other) if name in ("log_loss", "calibration_error") else max(one, other)
            cells = (Text(shown.format(value), style="bold" if value == best else "") for value in (one, other))
            table.add_row(name.replace("_", " "), *cells)
        return table

    @property
    def _calibration(self) -> str:
        if self.temperature == 1:
            return "not calibrated, as there was no validation part"
        return f"temperature {self.temperature:.2f}, without it a calibration error of {self.uncalibrated_error:.1%}"

    def plot(self) -> Figure:
        """Which class was taken for which, and how often a verdict was right beside how sure it was."""
        size = 2.6 + 0.34 * min(max(len(self.classes), 3), 24)
        with _plotting.style():
            figure = _plotting.figure(size + 4.2, max(3.6, size))
            grid = figure.add_gridspec(2, 2, width_ratios=(size, 3.8), height_ratios=(3, 1))
            self._draw_confusion(figure.add_subplot(grid[:, 0]))
            above = figure.add_subplot(grid[0, 1])
            self._draw_reliability(above, figure.add_subplot(grid[1, 1], sharex=above))
        return figure

    def _draw_confusion(self, axes: Axes) -> None:
        """Counts, coloured by their share of the true class."""
        counts = np.array(self.confusion)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
        ranks = range(len(self.classes))
        long = max(map(len, self.classes)) > 3
        axes.set_xticks(ranks, self.classes, rotation=45 if long else 0, ha="right" if long else "center")
        axes.set_yticks(ranks, self.classes)
        axes.tick_params(length=0)
        axes.set_xlabel("told")
        axes.set_ylabel("true")
        axes.set_title(f"{self.model.accuracy:.1%} of {self.cases:,} cases right", loc="left")
        if len(self.classes) > _MOST_NUMBERS:
            return
        for true, told in zip(*np.nonzero(counts), strict=True):
            axes.text(told, true, f"{counts[true, told]:,}", ha="center", va="center", fontsize=8,
                      color="white" if shares[true, told] > 0.5 else "#222222")  # fmt: skip

    def _draw_reliability(self, axes: Axes, below: Axes) -> None:
        """Accuracy by claimed probability, and below it how many cases claimed it."""
        filled = [(count, claimed, right) for count, claimed, right in self.reliability if count]
        counts, claimed, right = (np.array(column, float) for column in zip(*filled, strict=True))
        axes.plot([0, 1], [0, 1], color=_plotting.PALETTE["grey"], linewidth=0.9, linestyle=(0, (4, 3)))
        axes.vlines(claimed, claimed, right, color=_plotting.PALETTE["vermillion"], linewidth=1.4)
        axes.scatter(claimed, right, s=14 + 90 * counts / counts.max(), color=_plotting.PALETTE["blue"], zorder=3)
        axes.set_ylim(-0.03, 1.05)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylabel("share right")
        axes.set_title(f"calibration error {self.model.calibration_error:.1%}", loc="left")
        axes.tick_params(labelbottom=False)
        every = [count for count, _, _ in self.reliability]
        places = (np.arange(len(every)) + 0.5) / len(every)
        below.bar(places, every, width=0.9 / len(every), color=_plotting.PALETTE["sky"])
        below.grid(visible=False, axis="x")
        below.set_ylabel("cases")
        below.set_xlabel("probability of the class told")


def classified(
    probabilities: np.ndarray,
    plain: np.ndarray,
    truth: np.ndarray,
    classes: tuple[str, ...],
    frequencies: np.ndarray,
    *,
    part: str = "test part",
    temperature: float = 1.0,
) -> Classification:
    """Compare probabilities with the true classes.

    Args:
        probabilities: calibrated, [case, class].
        plain: before calibration, [case, class].
        truth: indices of classes, [case].
        classes: their names.
        frequencies: of each class in the training part, [class]; what one claims of every case who looks at none.
        part: what the cases are called.
        temperature: of the calibration.

    Raises:
        DataError: without a case.

    Example:
        >>> sure = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
        >>> found = classified(sure, sure, np.array([0, 1, 1]), ("a", "b"), np.array([0.5, 0.5]))
        >>> round(found.model.accuracy, 3), found.confusion
        (0.667, ((1, 0), (1, 1)))
    """
    if not len(truth):
        raise DataError(f"the {part} has no case: there is nothing to compare")
    told = np.broadcast_to(frequencies, probabilities.shape)
    counts, claimed, right = reliability(probabilities, truth, BINS)
    bins = tuple(
        (int(count), float(mean), float(share)) if count else (0, None, None)
        for count, mean, share in zip(counts, claimed, right, strict=True)
    )
    return Classification(
        part=part,
        classes=classes,
        model=class_scores(probabilities, truth),
        baseline=class_scores(told, truth),
        confusion=tuple(tuple(row) for row in confusion_matrix(probabilities.argmax(1), truth, len(classes)).tolist()),
        reliability=bins,
        temperature=temperature,
        uncalibrated_error=calibration_error(plain, truth),
    )


def confusion_matrix(told: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """How many cases of each class were given to each, [true, told].

    Example:
        >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    return np.bincount(truth * classes + told, minlength=classes**2).reshape(classes, classes)


def class_scores(probabilities: np.ndarray, truth: np.ndarray) -> ClassScores:
    """All figures, of probabilities [case, class] and the true classes [case]."""
    told, rows = probabilities.argmax(axis=1), np.arange(len(truth))
    counts = confusion_matrix(told, truth, probabilities.shape[1])
    _, recall, f1 = _by_class(counts)
    occurs, told_or_true = counts.sum(1) > 0, counts.sum(0) + counts.sum(1) > 0
    certain = np.maximum(probabilities[rows, truth], np.finfo(float).tiny)
    return ClassScores(
        accuracy=float((told == truth).mean()),
        balanced_accuracy=float(recall[occurs].mean()),
        macro_f1=float(f1[told_or_true].mean()),
        log_loss=float(-np.log(certain).mean()),
        calibration_error=calibration_error(probabilities, truth),
    )


def _by_class(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each class, 0 where there is nothing to divide by."""
    hits, true, told = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    return hits / np.maximum(told, 1), hits / np.maximum(true, 1), 2 * hits / np.maximum(true + told, 1)
