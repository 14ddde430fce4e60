"""A report on a run, as `inspect` and `explore` make it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from .._errors import ConfigurationError
from ..artifacts import Run, SymbolRun, load
from ..data import visible
from ..gradients import Truncated, strategy_named
from ..inspection import Report, report
from ..models import DirectForecaster, Markov, negative_log_likelihood
from ..training import first_batch
from . import _options as options
from ._console import progress, working

Lag = Annotated[
    int | None, typer.Option(min=1, help="How far back the task looks; the longest that can be judged by default.")
]
Anchors = Annotated[int, typer.Option(min=1, help="Losses that are followed back through time.")]
Steps = Annotated[int | None, typer.Option(min=2, help="Steps to look at; as in training, of symbols 256, by default.")]

_SYMBOLS = 256
_COLOURS = {"vanishing": "red", "exploding": "red", "healthy": "green", "inconclusive": "yellow"}


def inspected(run: Path, file: Path | None, lag: int | None, steps: int | None, anchors: int, device: str) -> Report:
    """Load a run, read its data or a file, and look at how gradients flow there."""
    trained = load(run, device=options.device(device))
    if isinstance(trained.model, DirectForecaster):
        raise ConfigurationError(
            f"{run} forecasts from windows, each read anew: no gradient travels from loss to loss; inspect a run "
            "without --decoding direct, such as --model gru"
        )
    if isinstance(trained.model, Markov):
        raise ConfigurationError(f"{run} is a Markov model: it counts, and no gradient flows in it; inspect a network")
    with working("reading"):
        data = trained.read(file)
        if steps is None and isinstance(trained, SymbolRun):
            steps = max(2, min(max(_SYMBOLS, trained.task.steps), len(data.tokens) - 1))
        batch = first_batch(trained, data, steps).to(options.device(device))
    with progress("following losses back through time") as done:
        return report(
            trained.model,
            batch,
            negative_log_likelihood,
            lag,
            title=str(run),
            anchors=anchors,
            symbols=_written(trained),
            truncation=_truncation(trained),
            norms=[record["gradient_norm"] for record in trained.metrics() if "gradient_norm" in record],
            progress=done,
        )


def shown(found: Report, by_default: bool) -> Group:
    """The verdict, at a lag that was named or chosen by default, the profile, five numbers and one remedy."""
    verdict = found.flow.verdict
    _, _, rest = found.sentence.partition(": ")
    line = Text(f"{verdict.word}: ", style=f"bold {_COLOURS[verdict.word]}") + Text(rest, style="not bold default")
    profile = found.flow.lag_profile
    spark = Text(found.sparkline(), style="cyan") + Text(f"  φ, lag 0 to {profile.longest}", style="dim")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for figure in found.figures:
        table.add_row(figure.name, f"{figure.value} {figure.unit}".strip(), Text(figure.meaning, style="dim"))
    chosen = f"judged at lag {verdict.lag}, the longest that half of the losses reach; --lag names another"
    parts = [line, *([Text(chosen, style="dim")] if by_default else []), Text(), spark, Text(), table]
    if found.remedies:
        first = found.remedies[0]
        helps = first.verdict is None or first.verdict.word == "healthy"
        said = Text(f"try {first.title}{'' if helps else ', which alone is not enough'}: ", style="bold")
        said += Text(first.evidence, style="not bold default")
        parts += [Text(), said, *([Text(f"  throughtime train FILE {first.option}")] if first.option else [])]
    return Group(*parts)


def _truncation(run: Run) -> int | None:
    strategy = strategy_named(run.configuration.training.strategy)
    return (strategy.k2 or strategy.k1) if isinstance(strategy, Truncated) else None


def _written(run: Run) -> Callable[[int], str] | None:
    """How an integer of the inputs is written."""
    vocabulary = run.vocabulary if isinstance(run, SymbolRun) else None
    return None if vocabulary is None else lambda index: visible(vocabulary.decode([index]))
