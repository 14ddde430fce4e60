"""Trainings and published figures side by side: a table a protocol, and one picture of all."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _page import table
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from throughtime._plotting import PALETTE, figure, style

from .protocol import Protocol

Records = Mapping[str, Sequence[Mapping[str, Any]]]
"""What is kept of the trainings, by the name of the protocol."""

_BUSY = 0.15
_EDGE = 4.0  # times the best published figure, where the picture ends


def sections(protocols: Mapping[str, Protocol], records: Records) -> str:
    """Every protocol with its words, its table and what failed."""
    return "\n\n".join(_section(protocol, records[name]) for name, protocol in protocols.items())


def _section(protocol: Protocol, records: Sequence[Mapping[str, Any]]) -> str:
    done = {model: _of(records, model) for model in protocol.models}
    heads = ["", *protocol.metrics, "seeds", "time", "memory"]
    rows = [_own_row(protocol, model, trained) for model, trained in done.items() if trained]
    rows += [
        [f"{model}, published", *(_published(figures.get(name)) for name in protocol.metrics), *[""] * 3]
        for model, figures in protocol.published.items()
    ]
    lines = [f"## {protocol.title}", " ".join(protocol.words.split()), table(heads, rows), *_remarks(protocol, records)]
    return "\n\n".join([*lines, f"Published: {protocol.source}."])


def _of(records: Sequence[Mapping[str, Any]], model: str) -> list[Mapping[str, Any]]:
    return [record for record in records if record["model"] == model and "metrics" in record]


def _own_row(protocol: Protocol, model: str, trained: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = []
    for name in protocol.metrics:
        values = [record["metrics"][name] for record in trained]
        best = best_published(protocol, name)
        ahead = best is not None and _better(statistics.fmean(values), best, protocol.higher)
        cells.append(f"**{mean_and_spread(values)}**" if ahead else mean_and_spread(values))
    seconds = statistics.fmean(record["seconds"] for record in trained)
    memory = max(record["peak_kib"] for record in trained) / 1024
    return [model, *cells, str(len(trained)), f"{seconds:.0f} s", f"{memory:.0f} MiB"]


def _remarks(protocol: Protocol, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where it was trained, and what failed."""
    good = [record for record in records if "metrics" in record and record["model"] in protocol.models]
    if not good:
        return ["Not run here yet."]
    places = dict.fromkeys(
        f"{record['processor']}, {record['threads']} thread{'s' * (record['threads'] > 1)}, "
        f"torch {record['versions']['torch']}"
        for record in good
    )
    busy = max(record["busy"] for record in good)
    told = f"{'; '.join(places)}."
    if busy > _BUSY:
        told += f" Up to {busy:.1f} cores were busy with other work, so times are too long."
    failed = [
        f"- {record['model']}, seed {record['seed']}, failed: {record['failure']}"
        for record in records
        if "failure" in record and record["model"] in protocol.models
    ]
    return [told, *(["\n".join(failed)] if failed else [])]


def best_published(protocol: Protocol, metric: str) -> float | None:
    """The best of the published figures, None where there is none of this metric."""
    values = [figures[metric] for figures in protocol.published.values() if metric in figures]
    if not values:
        return None
    return max(values) if protocol.higher else min(values)


def _better(one: float, other: float, higher: bool) -> bool:
    return one > other if higher else one < other


def _published(value: float | None) -> str:
    return "–" if value is None else _digits(value, 6)


def _digits(value: float, most: int = 4) -> str:
    mantissa, _, exponent = f"{value:.{most}g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def mean_and_spread(values: Sequence[float]) -> str:
    """The mean, and of several the standard deviation, to as many digits as that is worth: `8.43 ± 0.02`."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return _digits(mean)
    spread = statistics.stdev(values)
    if spread == 0:
        return f"{_digits(mean)} ± 0"
    power = math.floor(math.log10(abs(mean))) if mean else 0
    if -3 <= power <= 5:
        power = 0
    mean, spread = mean / 10.0**power, spread / 10.0**power
    decimals = min(max(1 - math.floor(math.log10(spread)), 0), 4)
    told = f"{mean:.{decimals}f} ± {spread:.{decimals}f}"
    return f"({told})e{power}" if power else told


def picture(protocols: Mapping[str, Protocol], records: Records, file: Path) -> bool:
    """A row a figure: every one of ours and of the published ones, relative to the best that was published.

    Returns:
        Whether there was anything to draw.
    """
    rows = [
        (protocol, name)
        for key, protocol in protocols.items()
        for name in protocol.metrics
        if best_published(protocol, name) and any(_of(records[key], model) for model in protocol.models)
    ]
    if not rows:
        return False
    with style():
        drawn = figure(8, 1.1 + 0.26 * len(rows))
        axes = drawn.add_subplot()
        for height, (protocol, name) in enumerate(rows):
            _row(axes, height, protocol, name, records[protocol.name])
        axes.axvline(1, color="#bbbbbb", linewidth=0.9, zorder=1)
        axes.set_xscale("log")
        axes.set_xlim(1 / _EDGE, _EDGE)
        ticks = (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4)
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:g}×")
        axes.set_yticks(range(len(rows)), [_label(protocol, name) for protocol, name in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel("relative to the best published figure; to the left is better")
        handles = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
        drawn.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles))
        file.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(file)
    return True


def _label(protocol: Protocol, metric: str) -> str:
    short = protocol.title.split(",")[0]
    return f"{short}, {metric}" if len(protocol.metrics) > 1 else short


def _row(axes: Axes, height: int, protocol: Protocol, metric: str, records: Sequence[Mapping[str, Any]]) -> None:
    best = best_published(protocol, metric)
    assert best is not None
    published = [figures[metric] for figures in protocol.published.values() if metric in figures]
    means = [
        statistics.fmean(record["metrics"][metric] for record in trained)
        for trained in (_of(records, model) for model in protocol.models)
        if trained
    ]
    first = max(means) if protocol.higher else min(means)
    _dots(axes, published, height, best, protocol.higher, "published", color=PALETTE["black"], marker="|", size=8)
    others = [mean for mean in means if mean != first]
    _dots(axes, others, height, best, protocol.higher, "ours", color=PALETTE["sky"], marker="o", size=4)
    _dots(axes, [first], height, best, protocol.higher, "our best", color=PALETTE["blue"], marker="o", size=6.5)


def _dots(
    axes: Axes, values: list[float], height: int, best: float, higher: bool, label: str, *, color: str, marker: str,
    size: float,
) -> None:  # fmt: skip
    """Dots within the picture; an arrow at its edge where one lies beyond."""
    for value in values:
        ratio = best / value if higher else value / best
        if 1 / _EDGE <= ratio <= _EDGE:
            axes.plot(ratio, height, marker, color=color, markersize=size, label=label, linestyle="none")
            continue
        beyond = ratio > _EDGE
        place, arrow = (_EDGE, ">") if beyond else (1 / _EDGE, "<")
        beside = height + (-0.17 if label == "published" else 0.17)
        axes.plot(place, beside, arrow, color=color, markersize=size, clip_on=False, linestyle="none")
