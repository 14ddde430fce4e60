"""What a published figure is measured by, stated so that anyone can repeat it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Run = Callable[[str, int, Path], dict[str, float]]
"""`run(model, seed, folder)` trains one of ours, with what it writes in `folder`, and gives its figures by metric."""


@dataclass(frozen=True)
class Protocol:
    """A task that others have published figures on.

    Args:
        name: as `--only` takes it; its module's own.
        title: what readers see.
        data: what it needs of the data folder; empty where the data is drawn.
        words: the split, the normalisation, the metric, and what was chosen on which part; never on the test part.
        metrics: in the order of the columns.
        published: figures by model, by metric.
        source: where they stand.
        models: ours, as `run` knows them.
        run: trains and measures one of them.
        higher: whether a larger figure is better.
    """

    name: str
    title: str
    data: tuple[str, ...]
    words: str
    metrics: tuple[str, ...]
    published: Mapping[str, Mapping[str, float]]
    source: str
    models: tuple[str, ...]
    run: Run
    higher: bool = False
