"""Outcomes as tables and a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from _page import in_time, table
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from throughtime._plotting import PALETTE, figure, style

from .libraries import LIBRARIES, Library, Model
from .running import Outcome
from .tasks import Task

QUALITIES = (20.0, 16.0, 14.0)
"""Mean absolute errors on AirPassengers to be reached: good, better, best."""

_LOOKS = {"throughtime": "blue", "neuralforecast": "vermillion", "darts": "green", "gluonts": "purple"}
_MARKERS = "osD^"


@dataclass(frozen=True)
class Group:
    """One model on one task with one budget: an outcome a seed."""

    library: Library
    model: Model
    budget: int | None
    outcomes: tuple[Outcome, ...]

    @property
    def done(self) -> list[Outcome]:
        """Those with forecasts."""
        return [outcome for outcome in self.outcomes if outcome.failure is None]

    @property
    def title(self) -> str:
        """Library and model."""
        return titled(self.library, self.model)

    def values(self, what: Callable[[Outcome], float]) -> list[float]:
        """A number of each outcome."""
        return [what(outcome) for outcome in self.done]


def titled(library: Library, model: Model) -> str:
    """A model's name for readers; this library's own goes without."""
    return f"{library.title} {model.name}" if library.requirement else library.title


def grouped(task: Task, outcomes: Sequence[Outcome]) -> list[Group]:
    """In the order of the libraries and their models, from small budgets to large; the default's comes first."""
    found: dict[tuple[str, str, int | None], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.task == task.name:
            found.setdefault((outcome.library, outcome.effort.model, outcome.effort.budget), []).append(outcome)
    return [
        Group(library, model, budget, tuple(sorted(found[name], key=lambda outcome: outcome.effort.seed)))
        for library in LIBRARIES
        for model in library.models
        for name in sorted(found, key=lambda name: -1 if name[2] is None else name[2])
        if name[:2] == (library.name, model.name)
        for budget in [name[2]]
    ]


def usual(task: Task, groups: list[Group]) -> list[Group]:
    """Those with the budget that is each model's own on this task."""
    return [group for group in groups if group.budget == group.model.effort(task, 0, 1, 0.0).budget]


def section(task: Task, groups: list[Group]) -> str:
    """Quality and seconds of each model, then what the times are worth."""
    naive = task.naive()
    heads = ["", *naive, "seeds", "import", "fit", "forecast"]
    rows = [["season before", *(f"{value:.4g}" for value in naive.values()), "–", "–", "–", "–"]]
    for group in usual(task, groups):
        if not group.done:
            rows.append([f"{group.title}: {group.outcomes[0].failure}", *["–"] * (len(heads) - 1)])
            continue
        figures = [spread(group.values(lambda outcome, name=name: outcome.figures[name])) for name in naive]
        seconds = [
            in_time(fmean(group.values(lambda outcome, part=part: outcome.seconds[part])))
            for part in ("import", "fit", "forecast")
        ]
        rows.append([f"{group.title}{capped(group)}", *figures, str(len(group.done)), *seconds])
    return f"{task.words}\n\n{table(heads, rows)}"


def capped(group: Group) -> str:
    """A word where fitting was stopped by the clock."""
    stopped = any(outcome.seconds["fit"] >= outcome.effort.cap for outcome in group.done)
    return f", stopped after {group.done[0].effort.cap:.0f} s" if stopped else ""


def spread(values: list[float]) -> str:
    """The mean, and from the least to the largest where there are several."""
    if len(values) == 1:
        return f"{values[0]:.4g}"
    return f"{fmean(values):.4g} ({min(values):.4g}–{max(values):.4g})"


def by_year(tasks: Sequence[Task], outcomes: Sequence[Outcome]) -> str:
    """A row a model, a column a year: mean errors over the seeds, and their mean; empty where nothing is known."""
    found: dict[str, dict[str, float]] = {}
    for task in tasks:
        for group in grouped(task, outcomes):
            if group.done:
                error = fmean(group.values(lambda outcome: outcome.figures["MAE"]))
                found.setdefault(group.title, {})[task.name] = error
    if not found:
        return ""
    rows = []
    for title, errors in {"season before": {task.name: task.naive()["MAE"] for task in tasks}, **found}.items():
        cells = [f"{errors[task.name]:.1f}" if task.name in errors else "–" for task in tasks]
        rows.append([title, *cells, "–" if "–" in cells else f"{fmean(errors.values()):.1f}"])
    return table(["", *(str(task.year) for task in tasks), "mean"], rows)


def time_to(groups: list[Group], quality: float, metric: str = "MAE") -> tuple[float, Group] | None:
    """The least mean time of fitting and forecasting whose mean error is `quality` or better, and with what."""
    reached = [
        (fmean(group.values(lambda outcome: outcome.waited)), group)
        for group in groups
        if group.done and fmean(group.values(lambda outcome: outcome.figures[metric])) <= quality
    ]
    return min(reached, key=lambda found: found[0], default=None)


def times_to_quality(groups: list[Group], qualities: Sequence[float] = QUALITIES) -> str:
    """A row a model, a column a quality: the smallest time that reached it, and the budget that did."""
    rows = []
    for name in dict.fromkeys(group.title for group in groups):
        own = [group for group in groups if group.title == name]
        errors = [fmean(group.values(lambda outcome: outcome.figures["MAE"])) for group in own if group.done]
        cells = []
        for quality in qualities:
            found = time_to(own, quality)
            cells.append("never" if found is None else in_time(found[0]) + with_budget(found[1]))
        rows.append([name, *cells, f"{min(errors):.4g}" if errors else "–"])
    return table(["", *(f"MAE ≤ {quality:g}" for quality in qualities), "best mean MAE"], rows)


def with_budget(group: Group) -> str:
    """The budget in brackets."""
    return "" if group.budget is None else f" ({group.budget} {group.model.counts})"


def settings(tasks: Sequence[Task]) -> str:
    """What each model was asked for: budget and rows read, a column a task; all else is the library's default."""
    rows = []
    for library in LIBRARIES:
        for model in library.models:
            cells = []
            for task in tasks:
                effort = model.effort(task, 0, 1, 0.0)
                if len(task.question.origins) > 1 and not model.rolls:
                    cells.append("–")
                    continue
                budget = "its default" if effort.budget is None else f"{effort.budget} {model.counts}"
                parts = [budget] * bool(model.counts) + reads(effort.lookback, library)
                cells.append(", ".join(parts) or "–")
            rows.append([titled(library, model), *cells])
    return table(["", *(task.title.partition(",")[0] for task in tasks)], rows)


def reads(lookback: int | None, library: Library) -> list[str]:
    """How many rows, where that is said."""
    return [] if lookback is None or not library.requirement else [f"reads {lookback}"]


def picture(groups: list[Group], naive: float, file: Path) -> None:
    """Mean error against the seconds of fitting and forecasting, a line a model through its budgets."""
    with style():
        drawn = figure(9, 5)
        axes = drawn.add_subplot()
        axes.axhline(naive, color=PALETTE["grey"], linewidth=0.8, linestyle="--")
        axes.annotate("the season before", (1, naive), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                      xytext=(-4, 2), textcoords="offset points", color=PALETTE["grey"])  # fmt: skip
        for library in LIBRARIES:
            for index, model in enumerate(library.models):
                own = [group for group in groups if (group.library, group.model) == (library, model) and group.done]
                if own:
                    _line(axes, own, PALETTE[_LOOKS[library.name]], _MARKERS[index % len(_MARKERS)])
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("seconds of fitting and forecasting")
        axes.set_ylabel("mean absolute error")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        file.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(file)


def _line(axes: Axes, own: list[Group], colour: str, marker: str) -> None:
    points = []
    for group in own:
        errors = group.values(lambda outcome: outcome.figures["MAE"])
        points.append((fmean(group.values(lambda outcome: outcome.waited)), fmean(errors), min(errors), max(errors)))
    seconds, means, lows, highs = map(list, zip(*sorted(points), strict=True))
    axes.fill_between(seconds, lows, highs, color=colour, alpha=0.08, linewidth=0)
    line = "-" if marker == "o" else {"s": "--", "D": ":", "^": "-."}[marker]
    width = 1.3 if own[0].library.requirement else 2.6
    axes.plot(
        seconds, means, marker=marker, linewidth=width, markersize=4.5, color=colour, linestyle=line, label=own[0].title
    )
