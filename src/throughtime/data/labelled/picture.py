"""A small panel a class: some of its cases drawn faintly and their mean, or how it differs from the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ... import _plotting
from .frames import Frames

_PANELS = 12
_CASES = 40
_LINES = 3
_COLOURS = ("blue", "vermillion", "green")
_ACROSS = {4: 2, 5: 3, 6: 3, 9: 3, 10: 5}


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a picture of labelled sequences shows.

    Args:
        name: of the file.
        sequences, targets: as in `Labelled`.
        classes: their names; none where there are no classes.
        features: their names.
        frames: of sound.
    """

    name: str
    sequences: tuple[np.ndarray, ...]
    targets: np.ndarray | None
    classes: tuple[str, ...]
    features: tuple[str, ...]
    frames: Frames | None

    @property
    def groups(self) -> list[tuple[str, list[np.ndarray]]]:
        """A title and the cases of each panel: the largest classes, in order, or all cases in one."""
        if not self.classes or self.targets is None:
            return [(f"all {len(self.sequences):,} cases", list(self.sequences))]
        counts = np.bincount(self.targets, minlength=len(self.classes))
        largest = sorted(np.argsort(-counts, kind="stable")[:_PANELS].tolist())
        cases = {index: np.flatnonzero(self.targets == index) for index in largest if counts[index]}
        return [
            (_title(self.classes[index], len(rows)), [self.sequences[row] for row in rows])
            for index, rows in cases.items()
        ]


def _title(name: str, count: int, most: int = 16) -> str:
    short = name if len(name) <= most else name[: most - 1] + "…"
    return f"{short} · {count:,} {'case' if count == 1 else 'cases'}"


def _words(drawn: Drawn) -> str:
    if not drawn.classes:
        return "cases by their number" if drawn.targets is not None else "cases, and their mean"
    largest = f" of the {_PANELS} largest of {len(drawn.classes)} classes" if len(drawn.classes) > _PANELS else ""
    if len(drawn.features) <= _LINES:
        return f"cases{largest or ' of each class'}, and their mean"
    return f"how the mean{largest or ' of each class'} differs from that of all"


def draw(drawn: Drawn) -> Figure:
    """Lines for up to three features, a heat map a class for more, colours by the number for regression."""
    groups = drawn.groups
    across = _ACROSS.get(len(groups), min(len(groups), 4))
    down = -(-len(groups) // across)
    with _plotting.style():
        figure = _plotting.figure(10, 0.7 + (2.1 if down > 1 else 3.2) * down)
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel().tolist()
        for axes in panels[len(groups) :]:
            axes.set_visible(False)
        panels = panels[: len(groups)]
        figure.suptitle(f"{drawn.name}: {_words(drawn)}", x=0.01, ha="left", weight="bold", size=11)
        if drawn.targets is not None and not drawn.classes:
            _by_number(figure, panels[0], drawn)
        elif len(drawn.features) <= _LINES:
            for axes, (title, cases) in zip(panels, groups, strict=True):
                _lines(axes, title, cases, drawn.features)
            if len(drawn.features) > 1:
                panels[0].legend(loc="best", fontsize=8)
        else:
            _maps(figure, panels, drawn, groups)
        for axes in panels[-across:]:
            axes.set_xlabel("seconds" if drawn.frames else "step")
            axes.tick_params(labelbottom=True)
    return figure


def _lines(axes: Axes, title: str, cases: Sequence[np.ndarray], features: Sequence[str]) -> None:
    shown = [cases[i * len(cases) // _CASES] for i in range(_CASES)] if len(cases) > _CASES else cases
    for index, (name, colour) in enumerate(zip(features, _COLOURS, strict=False)):
        for case in shown:
            axes.plot(case[:, index], color=_plotting.PALETTE[colour], alpha=0.22, linewidth=0.6)
        mean = _mean(cases)[:, index]
        axes.plot(mean, color="white", linewidth=3.2)
        axes.plot(mean, color=_plotting.PALETTE[colour], linewidth=1.8, label=name)
    axes.set_title(title, loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _mean(cases: Sequence[np.ndarray]) -> np.ndarray:
    """The mean over the cases at each step that at least half of them reach, [time, feature]; NaN where none has it."""
    steps = int(np.median([len(case) for case in cases]))
    total = np.zeros((steps, cases[0].shape[1]))
    count = np.zeros_like(total)
    for case in cases:
        part = np.asarray(case[:steps], np.float64)
        total[: len(part)] += np.nan_to_num(part)
        count[: len(part)] += np.isfinite(part)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _maps(figure: Figure, panels: list[Axes], drawn: Drawn, groups: list[tuple[str, list[np.ndarray]]]) -> None:
    every = np.concatenate(drawn.sequences)
    middle, spread = np.nanmean(every, axis=0), np.nanstd(every, axis=0)
    spread = np.where(spread > 0, spread, 1)
    means = [(_mean(cases) - middle) / spread for _, cases in groups]
    limit = float(np.nanquantile(np.abs(np.concatenate(means)), 0.99)) or 1.0
    colours = {"cmap": "PuOr_r", "norm": Normalize(-limit, limit)}
    hop = drawn.frames.hop if drawn.frames else 1
    for axes, (title, _), mean in zip(panels, groups, means, strict=True):
        extent = (-0.5 * hop, (len(mean) - 0.5) * hop, 0.5, mean.shape[1] + 0.5)
        axes.imshow(mean.T, origin="lower", aspect="auto", extent=extent, interpolation="nearest", **colours)
        axes.set_title(title, loc="left")
        axes.grid(visible=False)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    longest = max(len(mean) for mean in means)
    panels[0].set_xlim(-0.5 * hop, (longest - 0.5) * hop)
    panels[0].set_ylabel("band, low to high" if drawn.frames else "feature")
    bar = figure.colorbar(ScalarMappable(**colours), ax=panels, shrink=0.7, aspect=30, pad=0.01)
    bar.set_label("mean of the class, in deviations\nfrom the mean over all")
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]


def _by_number(figure: Figure, axes: Axes, drawn: Drawn) -> None:
    assert drawn.targets is not None
    colours = ScalarMappable(Normalize(float(drawn.targets.min()), float(drawn.targets.max())), "cividis")
    chosen = np.unique(np.linspace(0, len(drawn.sequences) - 1, 4 * _CASES).round().astype(int))
    for case in chosen:
        axes.plot(drawn.sequences[case][:, 0], color=colours.to_rgba(drawn.targets[case]), alpha=0.5, linewidth=0.7)
    axes.set_ylabel(drawn.features[0])
    axes.set_title(f"{len(chosen):,} of {len(drawn.sequences):,} cases", loc="left")
    bar = figure.colorbar(colours, ax=axes, aspect=30, pad=0.01)
    bar.set_label("number to be told")
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
